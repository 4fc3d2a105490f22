#include "ui/passphrase.h"

#include <openssl/core_names.h>
#include <openssl/kdf.h>
#include <openssl/params.h>

#include "base/file.h"
#include "base/secret.h"
#include "base/text.h"
#include "ui/limits.h"
#include "wire/json.h"

#define FILE_NAME      "passphrase.json"
#define FILE_BYTES_MAX ((size_t)4096)
#define SALT_BYTES     16
#define HASH_BYTES     32

struct stored {
        uint64_t n, r, p;
        uint8_t salt[SALT_BYTES], hash[HASH_BYTES];
};

static bool is_power_of_two(uint64_t v) {
        return v != 0 && (v & (v - 1)) == 0;
}

/* The file is ours, but a damaged one must not make us derive for an hour or with no work at all. */
static bool is_sane(const struct stored *s) {
        return is_power_of_two(s->n) && s->n >= 1 << 15 && s->n <= UI_SCRYPT_N_MAX && s->r >= 8 &&
               s->r <= 16 && s->p >= 1 && s->p <= 4;
}

static int parse(const struct json *o, struct stored *ret) {
        static const char *const known[] = {"version", "kdf", "n", "r", "p", "salt", "hash", NULL};
        struct stored s;
        uint64_t version;

        if (o->type != JSON_OBJECT || json_unknown_member(o, known) ||
            json_get_u64(o, "version", &version) < 0 || version != 1 ||
            !view_eq_str(json_get_view(o, "kdf", VIEW_NULL), "scrypt") || json_get_u64(o, "n", &s.n) < 0 ||
            json_get_u64(o, "r", &s.r) < 0 || json_get_u64(o, "p", &s.p) < 0)
                return -EUCLEAN;
        if (json_get_view(o, "salt", VIEW_NULL).n != 2 * SALT_BYTES ||
            json_get_view(o, "hash", VIEW_NULL).n != 2 * HASH_BYTES ||
            hex_decode(json_get_view(o, "salt", VIEW_NULL), s.salt, SALT_BYTES) < 0 ||
            hex_decode(json_get_view(o, "hash", VIEW_NULL), s.hash, HASH_BYTES) < 0 || !is_sane(&s))
                return -EUCLEAN;
        *ret = s;
        return 0;
}

static int load(int state_dir, struct stored *ret) {
        _cleanup_(buf_donep) struct buf text = {0};
        _cleanup_(json_document_freep) struct json_document *d = NULL;
        int r = read_file_beneath(state_dir, FILE_NAME, FILE_BYTES_MAX, &text);

        if (r < 0)
                return r;
        r = json_parse(buf_view(&text), NULL, &d, NULL);
        if (r < 0)
                return r == -ENOMEM ? r : -EUCLEAN;
        return parse(json_root(d), ret);
}

static int derive(struct view passphrase, struct stored *s, uint8_t out[HASH_BYTES]) {
        uint64_t memory = 128 * s->n * s->r *
                          2; /* what it takes, and as much again for OpenSSL's own reckoning */
        OSSL_PARAM params[] = {
                OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_PASSWORD, (void *)(uintptr_t)passphrase.p,
                                                  passphrase.n),
                OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_SALT, s->salt, SALT_BYTES),
                OSSL_PARAM_construct_uint64(OSSL_KDF_PARAM_SCRYPT_N, &s->n),
                OSSL_PARAM_construct_uint64(OSSL_KDF_PARAM_SCRYPT_R, &s->r),
                OSSL_PARAM_construct_uint64(OSSL_KDF_PARAM_SCRYPT_P, &s->p),
                OSSL_PARAM_construct_uint64(OSSL_KDF_PARAM_SCRYPT_MAXMEM, &memory),
                OSSL_PARAM_construct_end(),
        };
        EVP_KDF *kdf = EVP_KDF_fetch(NULL, "SCRYPT", NULL);
        EVP_KDF_CTX *context = kdf ? EVP_KDF_CTX_new(kdf) : NULL;
        int ok = context ? EVP_KDF_derive(context, out, HASH_BYTES, params) : 0;

        EVP_KDF_CTX_free(context);
        EVP_KDF_free(kdf);
        return ok == 1 ? 0 : -ENOMEM; /* the parameters are known to be good */
}

int passphrase_exists(int state_dir, struct fault *reterr) {
        struct stored s;
        int r = load(state_dir, &s);

        if (r == 0)
                return 1;
        if (r == -ENOENT)
                return 0;
        return fault_set(
                reterr, r, "UI-001", 0,
                "passphrase.json can't be read (%s); restore it from a backup, or delete it to choose a new "
                "passphrase with a one-time code",
                strerror(-r));
}

static uint64_t count_characters(struct view v) {
        uint64_t n = 0;

        for (size_t i = 0; i < v.n; i++)
                n += ((unsigned char)v.p[i] & 0xc0) != 0x80;
        return n;
}

static unsigned count_distinct_bytes(struct view v) {
        bool seen[256] = {false};
        unsigned n = 0;

        for (size_t i = 0; i < v.n; i++) {
                unsigned char c = (unsigned char)v.p[i];

                n += !seen[c];
                seen[c] = true;
        }
        return n;
}

/* "12345678901234", "abcdefghijklmn", "zyxwvu…": each character is the one before plus or minus one (or 9 to 0). */
static bool is_sequence(struct view v) {
        size_t steps = 0;

        for (size_t i = 1; i < v.n; i++) {
                int step = (unsigned char)v.p[i] - (unsigned char)v.p[i - 1];

                steps += step == 1 || step == -1 || (v.p[i - 1] == '9' && v.p[i] == '0');
        }
        return v.n > 1 && steps >= v.n - 2;
}

bool passphrase_is_good(struct view v, uint64_t min, struct fault *reterr) {
        const char *why = NULL;

        if (utf8_first_fault(v) != SIZE_MAX || (v.n > 0 && memchr(v.p, 0, v.n)))
                why = "The passphrase has characters that can't be typed.";
        else if (v.n > UI_PASSPHRASE_BYTES_MAX)
                why = "The passphrase is too long; 1,000 letters are enough.";
        else if (count_distinct_bytes(v) < 5 && count_characters(v) >= min)
                why = "The passphrase repeats a few characters only. Several words that you can remember are "
                      "best.";
        else if (is_sequence(v))
                why = "The passphrase is a row of neighbouring characters. Several words that you can "
                      "remember are best.";
        if (why)
                (void)fault_set(reterr, -EINVAL, NULL, 0, "%s", why);
        else if (count_characters(v) < min) {
                why = "";
                (void)fault_set(
                        reterr, -EINVAL, NULL, 0,
                        "The passphrase has %llu characters; use at least %llu. Several words are best.",
                        (unsigned long long)count_characters(v), (unsigned long long)min);
        }
        return why == NULL;
}

static int write_stored(const struct stored *s, struct buf *out) {
        char salt[2 * SALT_BYTES], hash[2 * HASH_BYTES];
        struct json_writer w = JSON_WRITER(out);

        hex_encode(s->salt, SALT_BYTES, salt);
        hex_encode(s->hash, HASH_BYTES, hash);
        json_object_begin(&w);
        json_member_u64(&w, "version", 1);
        json_member_string(&w, "kdf", "scrypt");
        json_member_u64(&w, "n", s->n);
        json_member_u64(&w, "r", s->r);
        json_member_u64(&w, "p", s->p);
        json_member_view(&w, "salt", (struct view){salt, sizeof(salt)});
        json_member_view(&w, "hash", (struct view){hash, sizeof(hash)});
        json_object_end(&w);
        return json_write_end(&w);
}

int passphrase_set(int state_dir, struct view passphrase) {
        _cleanup_(buf_donep) struct buf text = BUF_INIT(FILE_BYTES_MAX);
        struct stored s = {.n = UI_SCRYPT_N, .r = UI_SCRYPT_R, .p = UI_SCRYPT_P};
        int r = random_bytes(s.salt, sizeof(s.salt));

        if (r == 0)
                r = derive(passphrase, &s, s.hash);
        if (r == 0)
                r = write_stored(&s, &text);
        return r < 0 ? r : replace_file(state_dir, FILE_NAME, buf_view(&text), 0600);
}

int passphrase_check(int state_dir, struct view passphrase) {
        uint8_t hash[HASH_BYTES];
        struct stored s;
        int r = load(state_dir, &s);

        /* HMAC fills keys up with zeros: without this, zeros behind the right passphrase would be right, too. */
        if (r == 0 && passphrase.n > 0 && memchr(passphrase.p, 0, passphrase.n))
                return 0;
        if (r == 0)
                r = derive(passphrase, &s, hash);
        if (r < 0)
                return r;
        r = view_eq_constant_time(view_make(hash, sizeof(hash)), view_make(s.hash, sizeof(s.hash)));
        wipe(hash, sizeof(hash));
        return r;
}
