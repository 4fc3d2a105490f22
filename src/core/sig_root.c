#include "core/sig_root.h"

#include <openssl/evp.h>
#include <openssl/x509.h>
#include <time.h>

#include "base/num.h"
#include "base/text.h"
#include "wire/json.h"

#define DER_MAX ((size_t)16 << 10)

static int bad(struct fault *f, const struct json *at, const char *what) {
        return fault_set(f, -EBADMSG, "PROVENANCE-050", at ? at->at : 0, "trusted root: %s", what);
}

static bool digits(struct view v, size_t at, size_t n, int *ret) {
        int value = 0;

        for (size_t i = at; i < at + n; i++) {
                if (v.p[i] < '0' || v.p[i] > '9')
                        return false;
                value = value * 10 + (v.p[i] - '0');
        }
        *ret = value;
        return true;
}

int sig_time_read(struct view v, uint64_t *ret_seconds) {
        struct tm t = {0}, again;
        time_t seconds;

        if (v.n < 20 || v.n > 30 || v.p[4] != '-' || v.p[7] != '-' || v.p[10] != 'T' || v.p[13] != ':' ||
            v.p[16] != ':' || v.p[v.n - 1] != 'Z' || (v.n > 20 && v.p[19] != '.'))
                return -EBADMSG;
        for (size_t i = 20; i + 1 < v.n; i++)
                if (v.p[i] < '0' || v.p[i] > '9')
                        return -EBADMSG;
        if (!digits(v, 0, 4, &t.tm_year) || !digits(v, 5, 2, &t.tm_mon) || !digits(v, 8, 2, &t.tm_mday) ||
            !digits(v, 11, 2, &t.tm_hour) || !digits(v, 14, 2, &t.tm_min) || !digits(v, 17, 2, &t.tm_sec))
                return -EBADMSG;
        t.tm_year -= 1900;
        t.tm_mon -= 1;
        again = t;
        seconds = timegm(&again); /* normalises: a date that doesn't exist comes back changed */
        if (seconds < 0 || again.tm_mon != t.tm_mon || again.tm_mday != t.tm_mday ||
            again.tm_hour != t.tm_hour || again.tm_min != t.tm_min || again.tm_sec != t.tm_sec)
                return -EBADMSG;
        *ret_seconds = (uint64_t)seconds;
        return 0;
}

static int read_window(const struct json *o, struct sig_window *ret, struct fault *f) {
        struct view start = json_get_view(o, "start", VIEW_NULL), end = json_get_view(o, "end", VIEW_NULL);

        *ret = (struct sig_window){.start = 0, .end = UINT64_MAX};
        if (!o || sig_time_read(start, &ret->start) < 0)
                return bad(f, o, "validFor needs a start such as 2021-01-12T11:53:27Z");
        return end.n == 0 || sig_time_read(end, &ret->end) == 0 ? 0
                                                                : bad(f, o, "the end of validFor is no time");
}

static int read_der(const struct json *o, struct buf *out, struct fault *f) {
        struct view v = json_get_view(o, "rawBytes", VIEW_NULL);

        return v.n > 0 && base64_decode(v, out) == 0 && out->n > 0
                       ? 0
                       : bad(f, o, "rawBytes is not canonical base64");
}

static int take_key(EVP_PKEY *key, struct sig_log_key *ret) {
        size_t n = sizeof ret->raw;
        int r = sig_key_from(key, "", &ret->key);

        if (r < 0)
                return r;
        ret->is_ed25519 = EVP_PKEY_is_a(key, "ED25519");
        if (ret->is_ed25519 && (EVP_PKEY_get_raw_public_key(key, ret->raw, &n) != 1 || n != sizeof ret->raw))
                r = -EIO;
        if (r >= 0)
                r = hex_decode(view_of(ret->key.id), ret->id_of_key, sizeof ret->id_of_key);
        if (r < 0)
                sig_key_done(&ret->key);
        return r;
}

/* Logs of the second generation have names that are no hash of the key alone. */
static int read_id(const struct json *o, struct sig_log_key *k, struct fault *f) {
        _cleanup_(buf_donep) struct buf raw = BUF_INIT(64);
        struct view v = json_get_view(json_get_typed(o, "logId", JSON_OBJECT), "keyId", VIEW_NULL);

        memcpy(k->id, k->id_of_key, sizeof k->id);
        if (v.n == 0)
                return 0;
        if (v.n != 44 || base64_decode(v, &raw) < 0 || raw.n != sizeof k->id)
                return bad(f, o, "a log's keyId is not base64 of 32 bytes");
        memcpy(k->id, raw.p, sizeof k->id);
        return 0;
}

/* A key of a sort that we can't verify with (RSA) is left out: whatever it signed is then from an unknown log. */
static int read_log(const struct json *o, struct sig_log_key *keys, size_t *n, struct fault *f) {
        _cleanup_(buf_donep) struct buf der = BUF_INIT(DER_MAX);
        const struct json *public = json_get_typed(o, "publicKey", JSON_OBJECT);
        const unsigned char *p;
        EVP_PKEY *key;
        int r = read_der(public, &der, f);

        if (r >= 0)
                r = read_window(json_get_typed(public, "validFor", JSON_OBJECT), &keys[*n].window, f);
        if (r < 0)
                return r;
        p = (const unsigned char *)der.p;
        key = d2i_PUBKEY(NULL, &p, (long)der.n);
        if (!key)
                return bad(f, o, "a log's publicKey is no DER key");
        r = take_key(key, &keys[*n]);
        EVP_PKEY_free(key);
        if (r == 0)
                return read_id(o, &keys[(*n)++], f);
        return r < 0 && r != -EPROTONOSUPPORT ? fault_set(f, r, NULL, 0, "out of memory") : 0;
}

static int read_logs(const struct json *list, struct sig_log_key *keys, size_t *n, struct fault *f) {
        int r = 0;

        if (list && list->count > SIG_ROOT_LOGS_MAX)
                return bad(f, list, "too many logs");
        for (const struct json *c = list ? list->child : NULL; r >= 0 && c; c = c->next)
                r = read_log(c, keys, n, f);
        return r;
}

static int read_authority(const struct json *o, struct sig_authority *a, struct fault *f) {
        const struct json *list = json_get_typed(json_get_typed(o, "certChain", JSON_OBJECT), "certificates",
                                                 JSON_ARRAY);
        int r = 0;

        if (!list || list->count == 0 || list->count > SIG_ROOT_CHAIN_MAX)
                return bad(f, o, "an authority needs 1 to 8 certificates");
        for (const struct json *c = list->child; r >= 0 && c; c = c->next) {
                _cleanup_(buf_donep) struct buf der = BUF_INIT(DER_MAX);
                const unsigned char *p;

                r = read_der(c, &der, f);
                if (r < 0)
                        return r;
                p = (const unsigned char *)der.p;
                a->chain[a->n] = d2i_X509(NULL, &p, (long)der.n);
                if (!a->chain[a->n])
                        return bad(f, c, "a certificate can't be read");
                a->n++;
        }
        return r < 0 ? r : read_window(json_get_typed(o, "validFor", JSON_OBJECT), &a->window, f);
}

static int read_authorities(const struct json *list, struct sig_authority *all, size_t *n, struct fault *f) {
        int r = 0;

        if (list && list->count > SIG_ROOT_AUTHORITIES_MAX)
                return bad(f, list, "too many authorities");
        for (const struct json *c = list ? list->child : NULL; r >= 0 && c; c = c->next)
                r = read_authority(c, &all[(*n)++], f);
        return r;
}

int sig_root_read(struct view text, struct sig_root **ret, struct fault *reterr) {
        _cleanup_(json_document_freep) struct json_document *doc = NULL;
        _cleanup_(sig_root_freep) struct sig_root *root = NULL;
        struct fault why = FAULT_NONE;
        const struct json *o;
        int r;

        r = json_parse(text, NULL, &doc, &why);
        if (r < 0)
                return fault_set(reterr, r, "PROVENANCE-050", why.at, "trusted root: not strict JSON: %.80s",
                                 why.text);
        o = json_root(doc);
        if (!view_starts(json_get_view(o, "mediaType", VIEW_NULL),
                         VIEW("application/vnd.dev.sigstore.trustedroot")))
                return bad(reterr, o, "its mediaType is not that of a Sigstore trusted root");
        root = calloc(1, sizeof *root);
        if (!root)
                return fault_set(reterr, -ENOMEM, NULL, 0, "out of memory");
        r = read_logs(json_get_typed(o, "tlogs", JSON_ARRAY), root->logs, &root->n_logs, reterr);
        if (r >= 0)
                r = read_logs(json_get_typed(o, "ctlogs", JSON_ARRAY), root->ct_logs, &root->n_ct_logs,
                              reterr);
        if (r >= 0)
                r = read_authorities(json_get_typed(o, "certificateAuthorities", JSON_ARRAY),
                                     root->authorities, &root->n_authorities, reterr);
        if (r >= 0)
                r = read_authorities(json_get_typed(o, "timestampAuthorities", JSON_ARRAY), root->stampers,
                                     &root->n_stampers, reterr);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(root);
        return 0;
}

static void free_authorities(struct sig_authority *all, size_t n) {
        for (size_t i = 0; i < n; i++)
                for (size_t k = 0; k < all[i].n; k++)
                        X509_free(all[i].chain[k]);
}

struct sig_root *sig_root_free(struct sig_root *r) {
        if (!r)
                return NULL;
        for (size_t i = 0; i < r->n_logs; i++)
                sig_key_done(&r->logs[i].key);
        for (size_t i = 0; i < r->n_ct_logs; i++)
                sig_key_done(&r->ct_logs[i].key);
        free_authorities(r->authorities, r->n_authorities);
        free_authorities(r->stampers, r->n_stampers);
        free(r);
        return NULL;
}
