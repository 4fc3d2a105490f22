#include "base/buf.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/text.h"
#include "core/sig_check.h"
#include "quarantine/checks.h"

static struct view trimmed(struct view v) {
        while (v.n > 0 && (v.p[v.n - 1] == '\n' || v.p[v.n - 1] == '\r' || v.p[v.n - 1] == ' '))
                v.n--;
        return v;
}

/* As `cosign sign-blob` writes it (base64), or the raw signature. */
static int decode_signature(struct view text, struct buf *out) {
        struct view t = trimmed(text);

        if (t.n == 0)
                return -EBADMSG;
        if (utf8_first_fault(t) == SIZE_MAX && base64_decode(t, out) >= 0)
                return 0;
        buf_clear(out);
        return buf_append_view(out, text);
}

/* The whole file, bound to the digest of the pass. NULL in *ret_message->p when it is too long. */
static int read_message(const struct artifact *a, const struct sha256 *digest, const struct set_listing *set,
                        struct buf *message) {
        struct sha256 again;
        int r;

        if (set)
                return set_listing_write(set, message);
        if (a->size > ED25519_BYTES_MAX)
                return -EFBIG;
        r = buf_reserve(message, (size_t)a->size);
        if (r >= 0)
                r = pread_all(a->fd, message->p, (size_t)a->size, 0);
        if (r < 0)
                return r;
        message->n = (size_t)a->size;
        r = sha256_of(buf_view(message), &again);
        if (r < 0)
                return r;
        return memcmp(&again, digest, sizeof again) == 0 ? 0 : -ESTALE;
}

/* 1 = this key made it, 0 = no, -EFBIG = would need more memory than allowed, other negative = could not be decided. */
static int try_key(const struct trusted_key *k, const struct artifact *a, const struct sha256 *digest,
                   const struct set_listing *set, struct view signature, struct buf *message) {
        int r;

        r = public_key_verify_digest(k->key, digest->b, signature);
        if (r != -EOPNOTSUPP)
                return r;
        if (!message->p) {
                r = read_message(a, digest, set, message);
                if (r < 0)
                        return r;
        }
        return public_key_verify(k->key, buf_view(message), signature);
}

static int say_unsigned(const struct policy *p, const struct artifact *a, bool required, struct stage *s) {
        _cleanup_(buf_donep) struct buf text = BUF_INIT(DEMAND_TEXT_MAX);
        bool met;
        int r = demands_check(p->demands, a, NULL, &met, &text);

        if (r < 0)
                return r;
        if (!met)
                return stage_say(s, STAGE_PROVENANCE, FINDING_REJECT, "PROVENANCE-003",
                                 "nobody signed this file; %s", buf_str(&text));
        return required ? stage_say(s, STAGE_PROVENANCE, FINDING_REJECT, "PROVENANCE-003",
                                    "nobody signed this file, and policy.yaml requires a signature of a "
                                    "trusted key")
                        : stage_say(s, STAGE_PROVENANCE, FINDING_INFO, "PROVENANCE-002",
                                    "nobody signed this file; policy.yaml allows unsigned files from this "
                                    "source");
}

/* The message ends with the key's id: the registry reads it there. */
static int say_signed(const struct sig_result *signer, struct stage *s) {
        int r = 0;

        if (signer->builder[0])
                r = stage_say(s, STAGE_PROVENANCE, FINDING_INFO, "PROVENANCE-009",
                              "a signed SLSA provenance says that it was built by %.120s", signer->builder);
        if (r < 0)
                return r;
        if (signer->issuer[0])
                return stage_say(s, STAGE_PROVENANCE, FINDING_INFO, "PROVENANCE-001",
                                 "signed by %.40s, vouched for by %.40s (%s), key %.64s", signer->who,
                                 signer->issuer, sig_method_name(signer->method), signer->key_id);
        return stage_say(s, STAGE_PROVENANCE, FINDING_INFO, "PROVENANCE-001",
                         "signed by %.64s (method %s), key %.64s", signer->who,
                         sig_method_name(signer->method), signer->key_id);
}

/* A good signature counts where policy demands this signer, or nobody in particular. */
static int accept_signer(const struct policy *p, const struct artifact *a, const struct sig_result *signer,
                         struct stage *s) {
        _cleanup_(buf_donep) struct buf text = BUF_INIT(DEMAND_TEXT_MAX);
        bool met;
        int r = demands_check(p->demands, a, signer, &met, &text);

        if (r < 0)
                return r;
        return met ? say_signed(signer, s)
                   : stage_say(s, STAGE_PROVENANCE, FINDING_REJECT, "PROVENANCE-008", "%s, not by %.40s",
                               buf_str(&text), signer->who);
}

static int accept_key(const struct policy *p, const struct artifact *a, const struct trusted_key *k,
                      struct stage *s) {
        struct sig_result signer = {.method = SIG_METHOD_KEY};

        (void)snprintf(signer.key_id, sizeof signer.key_id, "%s", k->id);
        (void)snprintf(signer.who, sizeof signer.who, "%s", k->name);
        return accept_signer(p, a, &signer, s);
}

static int check_signature(const struct policy *p, const struct artifact *a, const struct sha256 *digest,
                           const struct set_listing *set, struct view signature, struct stage *s) {
        _cleanup_(buf_donep) struct buf message = BUF_INIT((size_t)ED25519_BYTES_MAX + 1);
        bool too_long = false;

        for (size_t i = 0; i < p->n_keys; i++) {
                int r = try_key(&p->keys[i], a, digest, set, signature, &message);

                if (r == 1)
                        return accept_key(p, a, &p->keys[i], s);
                if (r == -ENOMEM || r == -EIO || r == -ESTALE)
                        return r;
                too_long |= r == -EFBIG;
        }
        if (too_long)
                return stage_say(s, STAGE_PROVENANCE, FINDING_REJECT, "PROVENANCE-006",
                                 "Ed25519 signatures are checked over files of at most %llu bytes; sign this "
                                 "one with ECDSA P-256",
                                 (unsigned long long)ED25519_BYTES_MAX);
        return stage_say(
                s, STAGE_PROVENANCE, FINDING_REJECT, "PROVENANCE-004",
                "the signature fits none of the trusted keys, or the file was changed after it was signed");
}

/* By the digests of the pass alone; only a statement over shards, or by BLAKE2b, has the files read again. */
static int check_folder(const struct policy *p, const struct artifact *a, const struct sig_bundle *b,
                        const struct set_listing *set, struct sig_result *signer, struct fault *why) {
        uint64_t now = clock_real_usec() / USEC_PER_SEC;
        int r = sig_check_listing(b, p->trust, set, now, signer, why);

        return r == -EOPNOTSUPP && !why->rule
                       ? sig_check_folder(b, p->trust, a->fd, "model.sig", now, signer, why)
                       : r;
}

/* A bundle goes by the digest of the pass alone: the file is not read again. */
static int check_bundle(const struct policy *p, const struct artifact *a, const struct sha256 *digest,
                        const struct set_listing *set, struct stage *s) {
        _cleanup_(sig_bundle_freep) struct sig_bundle *b = NULL;
        struct fault why = FAULT_NONE;
        struct sig_result signer;
        int r = sig_bundle_read(a->signature, &b, &why);

        if (r >= 0)
                r = set ? check_folder(p, a, b, set, &signer, &why)
                        : sig_check_file(b, p->trust, digest, clock_real_usec() / USEC_PER_SEC, &signer,
                                         &why);
        if (r >= 0)
                return accept_signer(p, a, &signer, s);
        return why.rule ? stage_say(s, STAGE_PROVENANCE, FINDING_REJECT, why.rule, "%s", why.text) : r;
}

int check_provenance(const struct policy *p, const struct artifact *a, const struct sha256 *digest,
                     const struct set_listing *set, struct stage *s) {
        _cleanup_(buf_donep) struct buf signature = BUF_INIT(SIGNATURE_BYTES_MAX);

        bool required = (a->source == SOURCE_URL ? p->url_signed : p->local_signed) ||
                        demands_concern(p->demands, a);

        if (!a->signature.p)
                return say_unsigned(p, a, required, s);
        if (sig_trust_is_empty(
                    p->trust)) /* nothing to check it with: it proves nothing, and is no reason to refuse either */
                return stage_say(s, STAGE_PROVENANCE, required ? FINDING_REJECT : FINDING_WARNING,
                                 "PROVENANCE-007",
                                 "the file comes with a signature, but policy.yaml names no trusted key; it "
                                 "counts as unsigned");
        if (sig_bundle_is_likely(a->signature))
                return check_bundle(p, a, digest, set, s);
        if (a->signature.n > SIGNATURE_BYTES_MAX || decode_signature(a->signature, &signature) < 0)
                return stage_say(s, STAGE_PROVENANCE, FINDING_REJECT, "PROVENANCE-005",
                                 "the detached signature is empty or longer than %d bytes",
                                 SIGNATURE_BYTES_MAX);
        return check_signature(p, a, digest, set, buf_view(&signature), s);
}
