#include "core/sig_bundle.h"

#include "base/num.h"
#include "base/text.h"

struct reader {
        struct sig_bundle *b;
        size_t payload_max;
        struct fault *fault;
};

/* Protocol buffers in JSON may spell "absent" as null. */
static const struct json *member(const struct json *o, const char *key) {
        const struct json *m = json_get(o, key);

        return m && m->type == JSON_NULL ? NULL : m;
}

static int shape(struct reader *r, const struct json *at, const char *what) {
        return fault_set(r->fault, -EBADMSG, "PROVENANCE-010", at ? at->at : 0, "bundle: %s", what);
}

static int only(struct reader *r, const struct json *o, const char *const *names, const char *what) {
        const struct json *m;

        if (!o || o->type != JSON_OBJECT)
                return fault_set(r->fault, -EBADMSG, "PROVENANCE-010", o ? o->at : 0,
                                 "bundle: %s is missing or no object", what);
        m = json_unknown_member(o, names);
        if (m)
                return fault_set(r->fault, -EBADMSG, "PROVENANCE-010", m->at,
                                 "bundle: %s has a member that is unknown", what);
        return 0;
}

/* Decodes the base64 string member `key`; missing = empty view. */
static int bytes(struct reader *r, const struct json *o, const char *key, size_t max, struct view *ret) {
        _cleanup_(buf_donep) struct buf raw = BUF_INIT(max + 4);
        const struct json *m = member(o, key);
        struct view v;

        if (!m)
                return 0;
        if (m->type != JSON_STRING)
                return fault_set(r->fault, -EBADMSG, "PROVENANCE-010", m->at, "bundle: %s must be a string",
                                 key);
        if (m->text.n > (max + 2) / 3 * 4)
                return fault_set(r->fault, -E2BIG, "PROVENANCE-010", m->at,
                                 "bundle: %s is longer than %zu bytes", key, max);
        if (base64_decode(m->text, &raw) < 0)
                return fault_set(r->fault, -EBADMSG, "PROVENANCE-012", m->at,
                                 "bundle: %s is not canonical base64", key);
        v = arena_copy(r->b->arena, buf_view(&raw));
        if (!v.p)
                return fault_set(r->fault, -ENOMEM, NULL, 0, "out of memory");
        *ret = v;
        return 0;
}

static int need_bytes(struct reader *r, const struct json *o, const char *key, size_t least, size_t max,
                      struct view *ret) {
        struct view v = VIEW_NULL;
        int k = bytes(r, o, key, max, &v);

        if (k < 0)
                return k;
        if (v.n < least || v.n == 0)
                return fault_set(r->fault, -EBADMSG, "PROVENANCE-010", o ? o->at : 0,
                                 "bundle: %s is missing or too short", key);
        *ret = v;
        return 0;
}

static int text(struct reader *r, const struct json *o, const char *key, struct view *ret) {
        const struct json *m = member(o, key);

        if (!m)
                return 0;
        if (m->type != JSON_STRING)
                return fault_set(r->fault, -EBADMSG, "PROVENANCE-010", m->at, "bundle: %s must be a string",
                                 key);
        *ret = m->text;
        return 0;
}

/* 64-bit numbers are strings in the JSON of protocol buffers; writers also use plain numbers. */
static int number(struct reader *r, const struct json *o, const char *key, uint64_t *ret) {
        const struct json *m = member(o, key);

        *ret = 0;
        if (!m)
                return 0;
        if (m->type == JSON_STRING && u64_parse(m->text, INT64_MAX, ret) == 0)
                return 0;
        if (m->type == JSON_NUMBER && m->is_integer && !m->is_negative && m->integer <= INT64_MAX) {
                *ret = m->integer;
                return 0;
        }
        return fault_set(r->fault, -EBADMSG, "PROVENANCE-010", m->at, "bundle: %s must be a whole number",
                         key);
}

static int list(struct reader *r, const struct json *o, const char *key, uint32_t max,
                const struct json **ret) {
        const struct json *m = member(o, key);

        *ret = NULL;
        if (!m)
                return 0;
        if (m->type != JSON_ARRAY)
                return fault_set(r->fault, -EBADMSG, "PROVENANCE-010", m->at, "bundle: %s must be a list",
                                 key);
        if (m->count > max)
                return fault_set(r->fault, -E2BIG, "PROVENANCE-010", m->at,
                                 "bundle: %s has more than %u members", key, max);
        *ret = m->child;
        return 0;
}

static int read_version(struct reader *r, const struct json *root) {
        static const struct {
                const char *type;
                unsigned minor;
        } known[] = {
                {"application/vnd.dev.sigstore.bundle.v0.3+json", 3},
                {"application/vnd.dev.sigstore.bundle+json;version=0.3", 3},
                {"application/vnd.dev.sigstore.bundle+json;version=0.2", 2},
                {"application/vnd.dev.sigstore.bundle+json;version=0.1", 1},
        };
        struct view type = json_get_view(root, "mediaType", VIEW_NULL);

        for (size_t i = 0; i < ARRAY_SIZE(known); i++)
                if (view_eq_str(type, known[i].type)) {
                        r->b->minor = known[i].minor;
                        return 0;
                }
        return fault_set(r->fault, -EPROTONOSUPPORT, "PROVENANCE-011", 0,
                         "not a Sigstore bundle of version 0.1 to 0.3 (mediaType); cosign writes one with "
                         "--new-bundle-format");
}

static int read_certificate(struct reader *r, const struct json *o) {
        static const char *const names[] = {"rawBytes", NULL};
        int k = only(r, o, names, "certificate");

        return k < 0 ? k
                     : need_bytes(r, o, "rawBytes", 1, SIG_CERTIFICATE_MAX,
                                  &r->b->certificates[r->b->n_certificates++]);
}

static int read_chain(struct reader *r, const struct json *o) {
        static const char *const names[] = {"certificates", NULL};
        const struct json *c;
        int k = only(r, o, names, "x509CertificateChain");

        if (k >= 0)
                k = list(r, o, "certificates", SIG_CHAIN_MAX, &c);
        if (k < 0)
                return k;
        if (!c)
                return shape(r, o, "the certificate chain is empty");
        for (; k >= 0 && c; c = c->next)
                k = read_certificate(r, c);
        return k;
}

static int read_public_key(struct reader *r, const struct json *o) {
        static const char *const names[] = {"hint", "rawBytes", "keyDetails", NULL};
        int k = only(r, o, names, "publicKey");

        if (k >= 0)
                k = text(r, o, "hint", &r->b->hint);
        return k < 0 ? k : bytes(r, o, "rawBytes", SIG_CERTIFICATE_MAX, &r->b->raw_key);
}

static int read_material(struct reader *r, const struct json *o) {
        const struct json *key = member(o, "publicKey"), *chain = member(o, "x509CertificateChain"),
                          *leaf = member(o, "certificate");

        if (!!key + !!chain + !!leaf != 1)
                return fault_set(
                        r->fault, -EBADMSG, "PROVENANCE-015", o->at,
                        "bundle: exactly one of publicKey, x509CertificateChain and certificate must say who "
                        "signed");
        r->b->material = key ? SIG_PUBLIC_KEY : chain ? SIG_CHAIN : SIG_CERTIFICATE;
        return key ? read_public_key(r, key) : chain ? read_chain(r, chain) : read_certificate(r, leaf);
}

static int read_path(struct reader *r, const struct json *proof, struct sig_log_entry *e) {
        const struct json *c;
        int k = list(r, proof, "hashes", SIG_PATH_MAX, &c);

        if (k < 0)
                return k;
        e->path = arena_alloc(r->b->arena, sizeof *e->path * (SIG_PATH_MAX + 1));
        if (!e->path)
                return fault_set(r->fault, -ENOMEM, NULL, 0, "out of memory");
        for (; c; c = c->next) {
                _cleanup_(buf_donep) struct buf raw = BUF_INIT(64);

                if (c->type != JSON_STRING || c->text.n != 44)
                        return shape(r, c, "a hash of the inclusion proof has not 32 bytes");
                if (base64_decode(c->text, &raw) < 0)
                        return fault_set(r->fault, -EBADMSG, "PROVENANCE-012", c->at,
                                         "bundle: a hash of the inclusion proof is not canonical base64");
                if (raw.n != 32)
                        return shape(r, c, "a hash of the inclusion proof has not 32 bytes");
                e->path[e->n_path] = arena_copy(r->b->arena, buf_view(&raw));
                if (!e->path[e->n_path++].p)
                        return fault_set(r->fault, -ENOMEM, NULL, 0, "out of memory");
        }
        return 0;
}

static int read_proof(struct reader *r, const struct json *o, struct sig_log_entry *e) {
        static const char *const names[] = {"logIndex", "rootHash", "treeSize", "hashes", "checkpoint", NULL};
        static const char *const checkpoint_names[] = {"envelope", NULL};
        const struct json *checkpoint = member(o, "checkpoint");
        int k = only(r, o, names, "inclusionProof");

        if (k >= 0)
                k = number(r, o, "logIndex", &e->proof_index);
        if (k >= 0)
                k = number(r, o, "treeSize", &e->tree_size);
        if (k >= 0)
                k = need_bytes(r, o, "rootHash", 32, 32, &e->root);
        if (k >= 0)
                k = read_path(r, o, e);
        if (k >= 0 && checkpoint)
                k = only(r, checkpoint, checkpoint_names, "checkpoint");
        if (k >= 0 && checkpoint)
                k = text(r, checkpoint, "envelope", &e->checkpoint);
        if (k >= 0 && e->checkpoint.n > SIG_CHECKPOINT_MAX)
                return shape(r, checkpoint, "the checkpoint is too long");
        e->has_proof = true;
        return k;
}

static int read_kind(struct reader *r, const struct json *o, struct sig_log_entry *e) {
        static const char *const names[] = {"kind", "version", NULL};
        int k = only(r, o, names, "kindVersion");

        if (k >= 0)
                k = text(r, o, "kind", &e->kind);
        return k < 0 ? k : text(r, o, "version", &e->version);
}

static int read_log_id(struct reader *r, const struct json *o, struct sig_log_entry *e) {
        static const char *const names[] = {"keyId", NULL};
        int k = only(r, o, names, "logId");

        return k < 0 ? k : need_bytes(r, o, "keyId", 32, 32, &e->log_id);
}

static int read_promise(struct reader *r, const struct json *o, struct sig_log_entry *e) {
        static const char *const names[] = {"signedEntryTimestamp", NULL};
        int k = only(r, o, names, "inclusionPromise");

        return k < 0 ? k : bytes(r, o, "signedEntryTimestamp", SIG_SIGNATURE_MAX, &e->set);
}

static int read_entry(struct reader *r, const struct json *o) {
        static const char *const names[] = {
                "logIndex",         "logId",          "kindVersion",       "integratedTime",
                "inclusionPromise", "inclusionProof", "canonicalizedBody", NULL};
        struct sig_log_entry *e = &r->b->entries[r->b->n_entries++];
        int k = only(r, o, names, "tlogEntries");

        if (k >= 0)
                k = number(r, o, "logIndex", &e->log_index);
        if (k >= 0)
                k = number(r, o, "integratedTime", &e->integrated_time);
        if (k >= 0)
                k = read_log_id(r, member(o, "logId"), e);
        if (k >= 0)
                k = read_kind(r, member(o, "kindVersion"), e);
        if (k >= 0 && member(o, "inclusionPromise"))
                k = read_promise(r, member(o, "inclusionPromise"), e);
        if (k >= 0 && member(o, "inclusionProof"))
                k = read_proof(r, member(o, "inclusionProof"), e);
        if (k >= 0)
                k = need_bytes(r, o, "canonicalizedBody", 1, SIG_LOG_BODY_MAX, &e->body);
        if (k >= 0)
                k = text(r, o, "canonicalizedBody", &e->body_text);
        return k;
}

static int read_stamps(struct reader *r, const struct json *o) {
        static const char *const names[] = {"rfc3161Timestamps", NULL};
        static const char *const stamp_names[] = {"signedTimestamp", NULL};
        const struct json *c;
        int k;

        if (!o)
                return 0;
        k = only(r, o, names, "timestampVerificationData");
        if (k >= 0)
                k = list(r, o, "rfc3161Timestamps", SIG_STAMPS_MAX, &c);
        if (k < 0)
                return k;
        for (; k >= 0 && c; c = c->next) {
                k = only(r, c, stamp_names, "rfc3161Timestamps");
                if (k >= 0)
                        k = need_bytes(r, c, "signedTimestamp", 1, SIG_STAMP_MAX,
                                       &r->b->stamps[r->b->n_stamps]);
                for (size_t i = 0; k >= 0 && i < r->b->n_stamps; i++)
                        if (view_eq(r->b->stamps[i], r->b->stamps[r->b->n_stamps]))
                                return shape(r, c, "the same time stamp twice");
                r->b->n_stamps++;
        }
        return k;
}

static int read_verification(struct reader *r, const struct json *o) {
        static const char *const names[] = {"publicKey",   "x509CertificateChain",      "certificate",
                                            "tlogEntries", "timestampVerificationData", NULL};
        const struct json *c = NULL;
        int k = only(r, o, names, "verificationMaterial");

        if (k >= 0)
                k = read_material(r, o);
        if (k >= 0)
                k = list(r, o, "tlogEntries", SIG_LOG_ENTRIES_MAX, &c);
        for (; k >= 0 && c; c = c->next)
                k = read_entry(r, c);
        return k < 0 ? k : read_stamps(r, member(o, "timestampVerificationData"));
}

static int read_message(struct reader *r, const struct json *o) {
        static const char *const names[] = {"messageDigest", "signature", NULL};
        static const char *const digest_names[] = {"algorithm", "digest", NULL};
        const struct json *digest = member(o, "messageDigest");
        int k = only(r, o, names, "messageSignature");

        if (k >= 0)
                k = need_bytes(r, o, "signature", 1, SIG_SIGNATURE_MAX, &r->b->signature);
        if (k < 0 || !digest)
                return k;
        k = only(r, digest, digest_names, "messageDigest");
        if (k >= 0 && !view_eq_str(json_get_view(digest, "algorithm", VIEW_NULL), "SHA2_256"))
                return fault_set(r->fault, -EPROTONOSUPPORT, "PROVENANCE-019", digest->at,
                                 "bundle: messageDigest must be SHA2_256");
        return k < 0 ? k : need_bytes(r, digest, "digest", 32, 32, &r->b->digest);
}

static int read_signatures(struct reader *r, const struct json *list_of) {
        static const char *const names[] = {"sig", "keyid", NULL};
        int k;

        if (!list_of || list_of->type != JSON_ARRAY || list_of->count != 1)
                return fault_set(r->fault, -EBADMSG, "PROVENANCE-013", list_of ? list_of->at : 0,
                                 "bundle: the envelope must have exactly one signature");
        k = only(r, list_of->child, names, "signatures");
        return k < 0 ? k : need_bytes(r, list_of->child, "sig", 1, SIG_SIGNATURE_MAX, &r->b->signature);
}

static int read_envelope(struct reader *r, const struct json *o) {
        static const char *const names[] = {"payload", "payloadType", "signatures", NULL};
        int k = only(r, o, names, "dsseEnvelope");

        if (k < 0)
                return k;
        if (!view_eq_str(json_get_view(o, "payloadType", VIEW_NULL), SIG_DSSE_PAYLOAD_TYPE))
                return fault_set(r->fault, -EPROTONOSUPPORT, "PROVENANCE-014", o->at,
                                 "bundle: the envelope's payloadType must be " SIG_DSSE_PAYLOAD_TYPE);
        k = read_signatures(r, member(o, "signatures"));
        return k < 0 ? k : need_bytes(r, o, "payload", 1, r->payload_max, &r->b->payload);
}

static int read_root(struct reader *r, const struct json *root) {
        static const char *const names[] = {"mediaType", "verificationMaterial", "messageSignature",
                                            "dsseEnvelope", NULL};
        const struct json *message, *envelope;
        int k;

        if (!root || root->type != JSON_OBJECT)
                return shape(r, root, "expected a JSON object");
        k = read_version(r, root);
        if (k >= 0)
                k = only(r, root, names, "it");
        if (k >= 0)
                k = read_verification(r, member(root, "verificationMaterial"));
        if (k < 0)
                return k;
        message = member(root, "messageSignature");
        envelope = member(root, "dsseEnvelope");
        if (!!message + !!envelope != 1)
                return fault_set(r->fault, -EBADMSG, "PROVENANCE-013", 0,
                                 "bundle: exactly one of messageSignature and dsseEnvelope must be there");
        r->b->content = message ? SIG_MESSAGE : SIG_ENVELOPE;
        return message ? read_message(r, message) : read_envelope(r, envelope);
}

bool sig_bundle_is_likely(struct view v) {
        while (v.n > 0 && (*v.p == ' ' || *v.p == '\n' || *v.p == '\r' || *v.p == '\t'))
                v = view_sub(v, 1, SIZE_MAX);
        return v.n > 0 && *v.p == '{';
}

/* The key is named inside of the envelope. */
static int read_bare_envelope(struct reader *r, const struct json *root) {
        int k;

        if (!root || root->type != JSON_OBJECT)
                return shape(r, root, "expected a JSON object");
        r->b->content = SIG_ENVELOPE;
        r->b->material = SIG_PUBLIC_KEY;
        k = read_envelope(r, root);
        return k < 0 ? k : text(r, member(root, "signatures")->child, "keyid", &r->b->hint);
}

static int read_with(struct view v, size_t max, int (*read)(struct reader *r, const struct json *root),
                     struct sig_bundle **ret, struct fault *reterr) {
        _cleanup_(sig_bundle_freep) struct sig_bundle *b = NULL;
        struct fault why = FAULT_NONE;
        struct reader r;
        int k;

        if (v.n > max)
                return fault_set(reterr, -E2BIG, "PROVENANCE-010", 0, "bundle: longer than %zu bytes", max);
        b = calloc(1, sizeof *b);
        if (!b || arena_new(v.n + ((size_t)64 << 10), &b->arena) < 0)
                return fault_set(reterr, -ENOMEM, NULL, 0, "out of memory");
        k = json_parse(v, NULL, &b->document, &why);
        if (k < 0)
                return fault_set(reterr, k, k == -ENOMEM ? NULL : "PROVENANCE-010", why.at,
                                 "bundle: not strict JSON at byte %llu: %.80s", (unsigned long long)why.at,
                                 why.text);
        r = (struct reader){.b = b, .payload_max = max, .fault = reterr};
        k = read(&r, json_root(b->document));
        if (k < 0)
                return k;
        *ret = TAKE_PTR(b);
        return 0;
}

int sig_bundle_read(struct view v, struct sig_bundle **ret, struct fault *reterr) {
        return read_with(v, SIG_BUNDLE_BYTES_MAX, read_root, ret, reterr);
}

int sig_envelope_read(struct view v, struct sig_bundle **ret, struct fault *reterr) {
        return read_with(v, SIG_ENVELOPE_BYTES_MAX, read_bare_envelope, ret, reterr);
}

struct sig_bundle *sig_bundle_free(struct sig_bundle *b) {
        if (!b)
                return NULL;
        json_document_free(b->document);
        arena_free(b->arena);
        free(b);
        return NULL;
}

int sig_pae(struct view payload, struct buf *out) {
        int r = buf_printf(out, "DSSEv1 %zu %s %zu ", sizeof SIG_DSSE_PAYLOAD_TYPE - 1, SIG_DSSE_PAYLOAD_TYPE,
                           payload.n);

        return r < 0 ? r : buf_append_view(out, payload);
}
