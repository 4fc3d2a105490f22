#include "support/cm.h"

#include <sys/mman.h>

#include "base/file.h"
#include "core/digest.h"

struct vector {
        struct view key, text;
        const char *hex;
};

/* FIPS 180-2 appendix B, and the empty message */
static const struct vector sha256_vectors[] = {
        {.text = VIEW_INIT(""), .hex = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},
        {.text = VIEW_INIT("abc"), .hex = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"},
        {.text = VIEW_INIT("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq"),
         .hex = "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"},
};

/* RFC 4231 cases 1 to 3; Wikipedia's empty key and text */
static const struct vector hmac_vectors[] = {
        {VIEW_INIT("\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b"),
         VIEW_INIT("Hi There"), "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7"},
        {VIEW_INIT("Jefe"), VIEW_INIT("what do ya want for nothing?"),
         "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"},
        {VIEW_INIT(""), VIEW_INIT(""), "b613679a0814d9ec772f95d778c35fc5ff1697c493715653c6c712144292c5ad"},
};

static void sha256_matches_published_vectors(void **state) {
        for (size_t i = 0; i < ARRAY_SIZE(sha256_vectors); i++) {
                char hex[SHA256_HEX_SIZE];
                struct sha256 d;

                assert_int_equal(sha256_of(sha256_vectors[i].text, &d), 0);
                sha256_hex(&d, hex);
                assert_string_equal(hex, sha256_vectors[i].hex);
        }
}

static void hmac_matches_published_vectors(void **state) {
        for (size_t i = 0; i < ARRAY_SIZE(hmac_vectors); i++) {
                char hex[SHA256_HEX_SIZE];
                struct sha256 d;

                assert_int_equal(hmac_sha256(hmac_vectors[i].key, hmac_vectors[i].text, &d), 0);
                sha256_hex(&d, hex);
                assert_string_equal(hex, hmac_vectors[i].hex);
        }
}

static void running_digest_takes_pieces_and_starts_anew_after_final(void **state) {
        _cleanup_(digest_freep) struct digest *d = NULL;
        struct sha256 first, second, whole;

        assert_int_equal(digest_new(&d), 0);
        assert_int_equal(digest_update(d, VIEW("a")), 0);
        assert_int_equal(digest_update(d, VIEW_NULL), 0);
        assert_int_equal(digest_update(d, VIEW("bc")), 0);
        assert_int_equal(digest_final(d, &first), 0);
        assert_int_equal(digest_update(d, VIEW("abc")), 0);
        assert_int_equal(digest_final(d, &second), 0);
        assert_int_equal(sha256_of(VIEW("abc"), &whole), 0);
        assert_memory_equal(&first, &whole, sizeof whole);
        assert_memory_equal(&second, &whole, sizeof whole);
}

/* 3 MiB + 5: several chunks of the reader and a rest */
#define FILE_SIZE ((size_t)(3 << 20) + 5)

static int file_of_pattern(char **ret_content) {
        int fd = memfd_create("digest", MFD_CLOEXEC);
        char *content = malloc(FILE_SIZE);

        assert_true(fd >= 0);
        assert_non_null(content);
        for (size_t i = 0; i < FILE_SIZE; i++)
                content[i] = (char)(i * 31 + i / 251);
        assert_int_equal(write_all(fd, content, FILE_SIZE), 0);
        *ret_content = content;
        return fd;
}

static void file_is_hashed_from_its_start_and_position_stays(void **state) {
        _cleanup_(freep) char *content = NULL;
        _cleanup_(closep) int fd = file_of_pattern(&content);
        struct sha256 a, b;

        assert_int_equal(lseek(fd, 77, SEEK_SET), 77);
        assert_int_equal(sha256_of_fd(fd, FILE_SIZE, &a), 0);
        assert_int_equal(lseek(fd, 0, SEEK_CUR), 77);
        assert_int_equal(sha256_of(view_make(content, FILE_SIZE), &b), 0);
        assert_memory_equal(&a, &b, sizeof a);
}

static void file_of_another_size_is_refused(void **state) {
        _cleanup_(freep) char *content = NULL;
        _cleanup_(closep) int fd = file_of_pattern(&content);
        struct sha256 d;

        assert_int_equal(sha256_of_fd(fd, FILE_SIZE - 1, &d), -EIO);
        assert_int_equal(sha256_of_fd(fd, FILE_SIZE + 1, &d), -EIO);
        assert_int_equal(sha256_of_fd(fd, 0, &d), -EIO);
        assert_true(sha256_of_fd(fd, UINT64_MAX, &d) < 0);
}

static void hex_reads_one_spelling_only(void **state) {
        static const char good[] = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        char upper[sizeof good], again[SHA256_HEX_SIZE];
        struct sha256 d;

        assert_int_equal(sha256_from_hex(view_of(good), &d), 0);
        sha256_hex(&d, again);
        assert_string_equal(again, good);
        memcpy(upper, good, sizeof good);
        upper[0] = 'B';
        assert_int_equal(sha256_from_hex(view_of(upper), &d), -EBADMSG);
        assert_int_equal(sha256_from_hex(view_make(good, 63), &d), -EBADMSG);
        assert_int_equal(sha256_from_hex(view_make(good, 65), &d), -EBADMSG);
        assert_int_equal(sha256_from_hex(VIEW_NULL, &d), -EBADMSG);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(sha256_matches_published_vectors),
                cmocka_unit_test(hmac_matches_published_vectors),
                cmocka_unit_test(running_digest_takes_pieces_and_starts_anew_after_final),
                cmocka_unit_test(file_is_hashed_from_its_start_and_position_stays),
                cmocka_unit_test(file_of_another_size_is_refused),
                cmocka_unit_test(hex_reads_one_spelling_only),
        };

        return cmocka_run_group_tests_name("digest", tests, NULL, NULL);
}
