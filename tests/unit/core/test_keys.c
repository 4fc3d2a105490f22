#include "support/cm.h"

#include <sys/stat.h>

#include "base/file.h"
#include "base/text.h"
#include "core/digest.h"
#include "core/keys.h"
#include "support/temp_dir.h"

/* RFC 8032 section 7.1, TEST 2: the public key in SubjectPublicKeyInfo, the message 0x72 and its signature */
static const char ed25519_pem[] = "-----BEGIN PUBLIC KEY-----\n"
                                  "MCowBQYDK2VwAyEAPUAXw+hDiVqStwqnTRt+vJyYLM8uxJaMwM1V8Sr0Zgw=\n"
                                  "-----END PUBLIC KEY-----\n";
static const char ed25519_signature[] = "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da"
                                        "085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00";

/* made with: openssl dgst -sha256 -sign over "attack at dawn" */
static const char p256_pem[] = "-----BEGIN PUBLIC KEY-----\n"
                               "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEgLU1xBNkEUsFkbssPHgGYIWPjiFM\n"
                               "f7nkqm6Jmtc37LP3zTxix1gIJaWQ9d2wUbWcTXJl57OH2/sUQtmfNaLtKA==\n"
                               "-----END PUBLIC KEY-----\n";
static const char p256_signature[] =
        "304402201d92a99b9b252570077d21f5e78c6a9dd2a7968540a8f0ec4d267c747896af2d"
        "0220688f17d04ecc56014ccf5beada67c6ec60cfd8df4707bbbf9249a9ac8697a957";
static const char p256_id[] = "f9b14682add64fd098dff9c1f8a0b684bc3425e3861e09ab4ea0910e26d1a2fe";

static const char *const foreign_keys[] = {
        /* P-384 */
        "-----BEGIN PUBLIC KEY-----\n"
        "MHYwEAYHKoZIzj0CAQYFK4EEACIDYgAE5iSZjEnN8/OAXWVHTCX2hWQDulF48s+k\n"
        "O/5v4hno3IwgVemVnzlDLCBYK9GoaJeyCbUApoC7elyKtQmt9gcUVfYuNptSGvIG\n"
        "sLmgXY5L+dKX0uK+0wLPvvMKQdnYMayU\n"
        "-----END PUBLIC KEY-----\n",
        /* secp256k1 */
        "-----BEGIN PUBLIC KEY-----\n"
        "MFYwEAYHKoZIzj0CAQYFK4EEAAoDQgAEUaK3HNxt9DhS3To2Fbf32oaWiqES+lFH\n"
        "vb7AV7F0d2zTK4FOtip5a28KNVlUSwBU+Boc0bv2UPhx9lVFY3hEBA==\n"
        "-----END PUBLIC KEY-----\n",
        /* Ed448 */
        "-----BEGIN PUBLIC KEY-----\n"
        "MEMwBQYDK2VxAzoAxDvSQau7SsSaKpGOWs5brWvNEL2EwwI7Eny/sbAsB6eOBcF8\n"
        "BD5+biwsxP2drhxh99701RJZBZeA\n"
        "-----END PUBLIC KEY-----\n",
        /* RSA */
        "-----BEGIN PUBLIC KEY-----\n"
        "MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQCb8PTDWdNsw40AhltDMB8wF1IO\n"
        "eX7oOayyBUbXjagm9GlcXq8U3NezVTTFEnDxDEcKlbEpQVyPUJnQM8dMdB9XqCV2\n"
        "aq8t9BLz+8QjmFBmTIwEEW0ZT++/TPJlPwbj4fc9NU9ZNM5cHqUvzpXBH92kLokT\n"
        "oyjeoFXHE8xqLZkDiwIDAQAB\n"
        "-----END PUBLIC KEY-----\n",
};

static struct public_key *key_of(const char *pem) {
        struct public_key *k = NULL;
        struct fault f = FAULT_NONE;

        assert_int_equal(public_key_from_pem(view_of(pem), &k, &f), 0);
        return k;
}

static struct view bytes_of(const char *hex, uint8_t out[128]) {
        size_t n = strlen(hex) / 2;

        assert_int_equal(hex_decode(view_of(hex), out, n), 0);
        return view_make(out, n);
}

/* Every single-bit change of the signature must be refused, and never be an internal error. */
static void no_bit_may_change(const struct public_key *k, struct view message, uint8_t *signature, size_t n) {
        for (size_t bit = 0; bit < n * 8; bit++) {
                signature[bit / 8] ^= (uint8_t)(1u << bit % 8);
                assert_int_equal(public_key_verify(k, message, view_make(signature, n)), 0);
                signature[bit / 8] ^= (uint8_t)(1u << bit % 8);
        }
}

static void ed25519_vector_verifies(void **state) {
        _cleanup_(public_key_freep) struct public_key *k = key_of(ed25519_pem);
        uint8_t raw[128];
        struct view signature = bytes_of(ed25519_signature, raw);

        assert_int_equal(public_key_verify(k, VIEW("\x72"), signature), 1);
        assert_int_equal(public_key_verify(k, VIEW("\x73"), signature), 0);
        assert_int_equal(public_key_verify(k, VIEW_NULL, signature), 0);
        no_bit_may_change(k, VIEW("\x72"), raw, signature.n);
}

static void ecdsa_vector_verifies_by_message_and_by_digest(void **state) {
        _cleanup_(public_key_freep) struct public_key *k = key_of(p256_pem);
        uint8_t raw[128];
        struct view signature = bytes_of(p256_signature, raw);
        struct sha256 digest;

        assert_int_equal(public_key_verify(k, VIEW("attack at dawn"), signature), 1);
        assert_int_equal(public_key_verify(k, VIEW("attack at dusk"), signature), 0);
        assert_int_equal(sha256_of(VIEW("attack at dawn"), &digest), 0);
        assert_int_equal(public_key_verify_digest(k, digest.b, signature), 1);
        digest.b[31] ^= 1;
        assert_int_equal(public_key_verify_digest(k, digest.b, signature), 0);
        no_bit_may_change(k, VIEW("attack at dawn"), raw, signature.n);
}

static void signatures_of_wrong_length_are_refused(void **state) {
        _cleanup_(public_key_freep) struct public_key *ed = key_of(ed25519_pem), *ec = key_of(p256_pem);
        uint8_t raw[128] = {0};

        for (size_t n = 0; n < sizeof raw; n++) {
                assert_int_equal(public_key_verify(ed, VIEW("\x72"), view_make(raw, n)), 0);
                assert_int_equal(public_key_verify(ec, VIEW("attack at dawn"), view_make(raw, n)), 0);
        }
}

static void signature_of_another_kind_of_key_is_refused(void **state) {
        _cleanup_(public_key_freep) struct public_key *ed = key_of(ed25519_pem), *ec = key_of(p256_pem);
        uint8_t a[128], b[128];

        assert_int_equal(public_key_verify(ec, VIEW("\x72"), bytes_of(ed25519_signature, a)), 0);
        assert_int_equal(public_key_verify(ed, VIEW("attack at dawn"), bytes_of(p256_signature, b)), 0);
        assert_int_equal(public_key_verify_digest(ed, a, view_make(b, 64)), -EOPNOTSUPP);
}

static void other_curves_and_algorithms_are_refused(void **state) {
        for (size_t i = 0; i < ARRAY_SIZE(foreign_keys); i++) {
                struct public_key *k = NULL;
                struct fault f = FAULT_NONE;

                assert_int_equal(public_key_from_pem(view_of(foreign_keys[i]), &k, &f), -EPROTONOSUPPORT);
                assert_null(k);
                assert_string_equal(f.rule, "KEY-002");
        }
}

static void what_is_no_public_key_is_refused(void **state) {
        static char long_text[20000];
        const struct view cases[] = {
                VIEW(""),
                VIEW("hello"),
                VIEW("-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n"),
                VIEW("-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEAPUAXw+hDiVqStwqnTRt+vJyYLM8uxJaM"
                     "\n-----END PUBLIC KEY-----\n"),
                view_make(long_text, sizeof long_text),
        };

        memset(long_text, '-', sizeof long_text);
        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                struct public_key *k = NULL;
                struct fault f = FAULT_NONE;

                assert_int_equal(public_key_from_pem(cases[i], &k, &f), -EBADMSG);
                assert_string_equal(f.rule, "KEY-001");
        }
}

static void key_name_is_the_digest_of_its_der_form(void **state) {
        _cleanup_(public_key_freep) struct public_key *k = key_of(p256_pem);
        char id[65];

        public_key_id(k, id);
        assert_string_equal(id, p256_id);
}

static void created_key_is_private_and_the_same_next_time(void **state) {
        _cleanup_(temp_dir_done) struct temp_dir dir = temp_dir_new();
        _cleanup_(buf_donep) struct buf first = BUF_INIT(4096), second = BUF_INIT(4096);
        struct signing_key *k = NULL;
        struct stat s;

        assert_int_equal(signing_key_load(dir.fd, "sign.pem", false, &k), -ENOENT);
        assert_int_equal(signing_key_load(dir.fd, "sign.pem", true, &k), 0);
        assert_int_equal(signing_key_public_pem(k, &first), 0);
        k = signing_key_free(k);
        assert_int_equal(fstatat(dir.fd, "sign.pem", &s, 0), 0);
        assert_int_equal(s.st_mode & 07777, 0600);
        assert_int_equal(signing_key_load(dir.fd, "sign.pem", true, &k), 0);
        assert_int_equal(signing_key_public_pem(k, &second), 0);
        k = signing_key_free(k);
        assert_true(view_eq(buf_view(&first), buf_view(&second)));
}

static void own_signature_verifies_with_own_public_half_only(void **state) {
        _cleanup_(temp_dir_done) struct temp_dir dir = temp_dir_new();
        _cleanup_(signing_key_freep) struct signing_key *k = NULL;
        _cleanup_(public_key_freep) struct public_key *own = NULL, *other = key_of(ed25519_pem);
        _cleanup_(buf_donep) struct buf pem = BUF_INIT(4096), signature = BUF_INIT(64), full = BUF_INIT(63);

        assert_int_equal(signing_key_load(dir.fd, "sign.pem", true, &k), 0);
        assert_int_equal(signing_key_public_pem(k, &pem), 0);
        assert_int_equal(signing_key_sign(k, VIEW("secai.evidence/1\n{}"), &signature), 0);
        assert_int_equal(signature.n, 64);
        assert_int_equal(signing_key_sign(k, VIEW("x"), &full), -EFBIG);
        own = key_of(buf_str(&pem));
        assert_int_equal(public_key_verify(own, VIEW("secai.evidence/1\n{}"), buf_view(&signature)), 1);
        assert_int_equal(public_key_verify(own, VIEW("secai.evidence/2\n{}"), buf_view(&signature)), 0);
        assert_int_equal(public_key_verify(other, VIEW("secai.evidence/1\n{}"), buf_view(&signature)), 0);
}

static void damaged_or_foreign_private_key_is_not_replaced(void **state) {
        _cleanup_(temp_dir_done) struct temp_dir dir = temp_dir_new();
        _cleanup_(buf_donep) struct buf after = BUF_INIT(4096);
        struct signing_key *k = NULL;

        assert_int_equal(replace_file(dir.fd, "sign.pem", VIEW("rubbish"), 0600), 0);
        assert_int_equal(signing_key_load(dir.fd, "sign.pem", true, &k), -EBADMSG);
        assert_int_equal(read_file_beneath(dir.fd, "sign.pem", 4096, &after), 0);
        assert_true(view_eq_str(buf_view(&after), "rubbish"));
        assert_int_equal(symlinkat("/etc/passwd", dir.fd, "link.pem"), 0);
        assert_int_equal(signing_key_load(dir.fd, "link.pem", true, &k), -ELOOP);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(ed25519_vector_verifies),
                cmocka_unit_test(ecdsa_vector_verifies_by_message_and_by_digest),
                cmocka_unit_test(signatures_of_wrong_length_are_refused),
                cmocka_unit_test(signature_of_another_kind_of_key_is_refused),
                cmocka_unit_test(other_curves_and_algorithms_are_refused),
                cmocka_unit_test(what_is_no_public_key_is_refused),
                cmocka_unit_test(key_name_is_the_digest_of_its_der_form),
                cmocka_unit_test(created_key_is_private_and_the_same_next_time),
                cmocka_unit_test(own_signature_verifies_with_own_public_half_only),
                cmocka_unit_test(damaged_or_foreign_private_key_is_not_replaced),
        };

        return cmocka_run_group_tests_name("keys", tests, NULL, NULL);
}
