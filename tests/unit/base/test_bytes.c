/* view, buf, arena */
#include "support/cm.h"

#include <fcntl.h>

#include "base/arena.h"
#include "base/buf.h"
#include "support/fault_inject.h"
#include "support/temp_dir.h"

static void test_views_compare_by_bytes_then_length(void **state) {
        assert_true(view_compare(VIEW("a"), VIEW("b")) < 0);
        assert_true(view_compare(VIEW("a"), VIEW("ab")) < 0);
        assert_true(view_compare(VIEW("b"), VIEW("ab")) > 0);
        assert_int_equal(view_compare(VIEW("ab"), VIEW("ab")), 0);
        assert_int_equal(view_compare(VIEW_NULL, VIEW("")), 0);
        assert_true(view_compare(VIEW("\x7f"), VIEW("\x80")) < 0);
}

static void test_views_are_equal_with_nul_inside(void **state) {
        assert_true(view_eq(VIEW("a\0b"), VIEW("a\0b")));
        assert_false(view_eq(VIEW("a\0b"), VIEW("a\0c")));
        assert_true(view_eq(VIEW_NULL, VIEW("")));
        assert_true(view_eq_constant_time(VIEW("a\0b"), VIEW("a\0b")));
        assert_false(view_eq_constant_time(VIEW("abc"), VIEW("abd")));
        assert_false(view_eq_constant_time(VIEW("abc"), VIEW("ab")));
        assert_true(view_eq_constant_time(VIEW_NULL, VIEW("")));
}

static void test_view_ends_and_starts(void **state) {
        assert_true(view_starts(VIEW("abc"), VIEW("ab")));
        assert_false(view_starts(VIEW("a"), VIEW("ab")));
        assert_true(view_ends(VIEW("abc"), VIEW("bc")));
        assert_false(view_ends(VIEW("c"), VIEW("bc")));
        assert_true(view_starts(VIEW_NULL, VIEW("")));
        assert_true(view_ends(VIEW("x"), VIEW_NULL));
}

static void test_view_sub_is_clipped(void **state) {
        assert_true(view_eq(view_sub(VIEW("hello"), 1, 3), VIEW("ell")));
        assert_true(view_eq(view_sub(VIEW("hello"), 3, SIZE_MAX), VIEW("lo")));
        assert_int_equal(view_sub(VIEW("hello"), 9, 3).n, 0);
        assert_int_equal(view_sub(VIEW_NULL, 1, 1).n, 0);
        assert_null(view_sub(VIEW_NULL, 1, 1).p);
}

static void test_view_find(void **state) {
        assert_int_equal(view_find(VIEW("abcabc"), VIEW("ca")), 2);
        assert_int_equal(view_find(VIEW("abc"), VIEW("")), 0);
        assert_true(view_find(VIEW("ab"), VIEW("abc")) == SIZE_MAX);
        assert_true(view_find(VIEW_NULL, VIEW("a")) == SIZE_MAX);
        assert_int_equal(view_find_char(VIEW("a\0b"), '\0'), 1);
        assert_true(view_find_char(VIEW_NULL, 'a') == SIZE_MAX);
}

static void test_view_split_leaves_all_untouched_without_separator(void **state) {
        struct view rest = VIEW("a,b"), head = VIEW("old");

        assert_true(view_split(&rest, ',', &head));
        assert_true(view_eq(head, VIEW("a")));
        assert_true(view_eq(rest, VIEW("b")));
        assert_false(view_split(&rest, ',', &head));
        assert_true(view_eq(head, VIEW("a")));
        assert_true(view_eq(rest, VIEW("b")));
}

static void test_view_dup_refuses_nul(void **state) {
        char *copy = view_dup(VIEW("abc"));

        assert_string_equal(copy, "abc");
        free(copy);
        copy = view_dup(VIEW_NULL);
        assert_string_equal(copy, "");
        free(copy);
        assert_null(view_dup(VIEW("a\0b")));
}

static void test_buf_grows_to_its_maximum_exactly(void **state) {
        _cleanup_(buf_donep) struct buf b = BUF_INIT(100);

        for (int i = 0; i < 100; i++)
                assert_int_equal(buf_append_char(&b, 'x'), 0);
        assert_int_equal(buf_append_char(&b, 'y'), -EFBIG);
        assert_int_equal(b.n, 100);
        assert_int_equal(b.p[100], '\0');
        assert_int_equal(b.p[99], 'x');
        assert_int_equal(buf_append(&b, "", 0), 0);
        buf_clear(&b);
        assert_int_equal(b.n, 0);
        assert_string_equal(buf_str(&b), "");
        assert_int_equal(buf_printf(&b, "%0100d", 1), 0);
        assert_int_equal(buf_printf(&b, "%d", 1), -EFBIG);
}

static void test_buf_refuses_sizes_that_overflow(void **state) {
        _cleanup_(buf_donep) struct buf b = BUF_INIT(SIZE_MAX);

        assert_int_equal(buf_append_char(&b, 'x'), 0);
        assert_int_equal(buf_reserve(&b, SIZE_MAX), -EFBIG);
        assert_int_equal(buf_reserve(&b, SIZE_MAX - 1), -EFBIG);
        assert_int_equal(buf_append_hex(&b, "", SIZE_MAX / 2 + 1), -EFBIG);
        assert_int_equal(b.n, 1);
}

static void test_buf_failure_keeps_the_content(void **state) {
        _cleanup_(buf_donep) struct buf b = BUF_INIT(8);

        assert_int_equal(buf_append_str(&b, "abc"), 0);
        assert_int_equal(buf_append_str(&b, "defghi"), -EFBIG);
        assert_string_equal(b.p, "abc");
        assert_int_equal(buf_printf(&b, "%s", "defghi"), -EFBIG);
        assert_string_equal(b.p, "abc");
        assert_int_equal(buf_append_escaped(&b, VIEW("\x01\x02\x03"), SIZE_MAX), -EFBIG);
        assert_string_equal(b.p, "abc");
        assert_int_equal(b.n, 3);
}

static void test_take_buf_leaves_an_empty_one_with_the_same_maximum(void **state) {
        struct buf b = BUF_INIT(8), taken;

        assert_int_equal(buf_append_str(&b, "abc"), 0);
        taken = TAKE_BUF(b);
        assert_null(b.p);
        assert_int_equal(b.n, 0);
        assert_int_equal(b.max, 8);
        assert_string_equal(taken.p, "abc");
        buf_done(&taken);
        buf_done(&b);
}

static void test_escaping_leaves_nothing_that_moves_a_terminal(void **state) {
        static const struct {
                struct view in;
                const char *out;
        } table[] = {
                {VIEW_INIT("plain é€😀"), "plain é€😀"},
                {VIEW_INIT("\x1b[2Jx"), "\\x1b[2Jx"},
                {VIEW_INIT("a\nb\r\t\0"), "a\\x0ab\\x0d\\x09\\x00"},
                {VIEW_INIT("\x7f"), "\\x7f"},
                {VIEW_INIT("\xc2\x9b"
                           "31m"),
                 "\\u{9b}31m"}, /* CSI as a C1 control */
                {VIEW_INIT("\xe2\x80\xae"
                           "gpj.exe"),
                 "\\u{202e}gpj.exe"},
                {VIEW_INIT("\xe2\x81\xa6"), "\\u{2066}"},
                {VIEW_INIT("\xe2\x80\x8b"), "\\u{200b}"},
                {VIEW_INIT("\xef\xbb\xbf"), "\\u{feff}"},
                {VIEW_INIT("\xf3\xa0\x81\x81"), "\\u{e0041}"},
                {VIEW_INIT("\xff\xc3("), "\\xff\\xc3("},
                {VIEW_INIT("\xed\xa0\x80"), "\\xed\\xa0\\x80"},
        };

        for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
                _cleanup_(buf_donep) struct buf b = BUF_INIT(256);

                assert_int_equal(buf_append_escaped(&b, table[i].in, SIZE_MAX), 0);
                assert_string_equal(buf_str(&b), table[i].out);
        }
}

static void test_escaping_cuts_and_says_so(void **state) {
        _cleanup_(buf_donep) struct buf b = BUF_INIT(256);

        assert_int_equal(buf_append_escaped(&b, VIEW("abcdef"), 3), 0);
        assert_string_equal(b.p, "abc…");
        buf_clear(&b);
        assert_int_equal(buf_append_escaped(&b, VIEW("abc"), 3), 0);
        assert_string_equal(b.p, "abc");
}

static int file_with(struct temp_dir *dir, size_t n) {
        int fd = openat(dir->fd, "f", O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

        assert_true(fd >= 0);
        for (size_t i = 0; i < n; i++)
                assert_int_equal(write(fd, "x", 1), 1);
        assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
        return fd;
}

static void test_reading_a_file_holds_its_limit_at_n_and_n_plus_1(void **state) {
        _cleanup_(temp_dir_done) struct temp_dir dir = temp_dir_new();
        _cleanup_(closep) int fits = file_with(&dir, 64), passes = -EBADF;
        _cleanup_(buf_donep) struct buf b = BUF_INIT(64), c = BUF_INIT(64);

        assert_int_equal(buf_read_file(&b, fits), 0);
        assert_int_equal(b.n, 64);
        passes = file_with(&dir, 65);
        assert_int_equal(buf_read_file(&c, passes), -EFBIG);
}

static void test_reading_survives_one_byte_at_a_time(void **state) {
        _cleanup_(temp_dir_done) struct temp_dir dir = temp_dir_new();
        _cleanup_(closep) int fd = file_with(&dir, 300);
        _cleanup_(buf_donep) struct buf b = BUF_INIT(300);
        int r;

        fault_inject_trickle(true);
        r = buf_read_file(&b, fd);
        (void)fault_inject_disarm();
        assert_int_equal(r, 0);
        assert_int_equal(b.n, 300);
}

static void test_reading_takes_regular_files_only(void **state) {
        _cleanup_(buf_donep) struct buf b = BUF_INIT(64);
        int ends[2];

        assert_int_equal(pipe(ends), 0);
        assert_int_equal(buf_read_file(&b, ends[0]), -EBADFD);
        close(ends[0]);
        close(ends[1]);
}

static void test_arena_holds_its_cap_at_n_and_n_plus_1(void **state) {
        _cleanup_(arena_freep) struct arena *a = NULL;

        assert_int_equal(arena_new(1000, &a), 0);
        assert_non_null(arena_alloc_bytes(a, 999));
        assert_null(arena_alloc_bytes(a, 2));
        assert_non_null(arena_alloc_bytes(a, 1));
        assert_null(arena_alloc_bytes(a, 1));
        assert_int_equal(arena_used(a), 1000);
        arena_clear(a);
        assert_int_equal(arena_used(a), 0);
        assert_non_null(arena_alloc_bytes(a, 1000));
        assert_null(arena_alloc_bytes(a, SIZE_MAX));
}

static void test_arena_memory_is_aligned_zeroed_and_separate(void **state) {
        _cleanup_(arena_freep) struct arena *a = NULL;
        unsigned char *blocks[200];

        assert_int_equal(arena_new((size_t)1 << 20, &a), 0);
        for (size_t i = 0; i < ARRAY_SIZE(blocks); i++) {
                assert_non_null(arena_alloc_bytes(a, 1 + i % 7)); /* puts the next one off its alignment */
                blocks[i] = arena_alloc(a, 100);
                assert_non_null(blocks[i]);
                assert_int_equal((uintptr_t)blocks[i] % 16, 0);
                for (size_t k = 0; k < 100; k++)
                        assert_int_equal(blocks[i][k], 0);
                memset(blocks[i], (int)(i + 1), 100);
        }
        for (size_t i = 0; i < ARRAY_SIZE(blocks); i++)
                for (size_t k = 0; k < 100; k++)
                        assert_int_equal(blocks[i][k], (i + 1) & 0xff);
}

static void test_arena_reuse_after_clear_is_zeroed_again(void **state) {
        _cleanup_(arena_freep) struct arena *a = NULL;
        unsigned char *p;

        assert_int_equal(arena_new(4096, &a), 0);
        p = arena_alloc(a, 64);
        memset(p, 0xff, 64);
        arena_clear(a);
        p = arena_alloc(a, 64);
        for (size_t i = 0; i < 64; i++)
                assert_int_equal(p[i], 0);
}

static void test_arena_copy_ends_with_nul(void **state) {
        _cleanup_(arena_freep) struct arena *a = NULL;
        struct view copy;

        assert_int_equal(arena_new(16, &a), 0);
        copy = arena_copy(a, VIEW("a\0b"));
        assert_true(view_eq(copy, VIEW("a\0b")));
        assert_int_equal(copy.p[3], '\0');
        assert_non_null(arena_copy(a, VIEW_NULL).p);
        assert_null(arena_copy(a, VIEW("too long for what is left")).p);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_views_compare_by_bytes_then_length),
                cmocka_unit_test(test_views_are_equal_with_nul_inside),
                cmocka_unit_test(test_view_ends_and_starts),
                cmocka_unit_test(test_view_sub_is_clipped),
                cmocka_unit_test(test_view_find),
                cmocka_unit_test(test_view_split_leaves_all_untouched_without_separator),
                cmocka_unit_test(test_view_dup_refuses_nul),
                cmocka_unit_test(test_buf_grows_to_its_maximum_exactly),
                cmocka_unit_test(test_buf_refuses_sizes_that_overflow),
                cmocka_unit_test(test_buf_failure_keeps_the_content),
                cmocka_unit_test(test_take_buf_leaves_an_empty_one_with_the_same_maximum),
                cmocka_unit_test(test_escaping_leaves_nothing_that_moves_a_terminal),
                cmocka_unit_test(test_escaping_cuts_and_says_so),
                cmocka_unit_test(test_reading_a_file_holds_its_limit_at_n_and_n_plus_1),
                cmocka_unit_test(test_reading_survives_one_byte_at_a_time),
                cmocka_unit_test(test_reading_takes_regular_files_only),
                cmocka_unit_test(test_arena_holds_its_cap_at_n_and_n_plus_1),
                cmocka_unit_test(test_arena_memory_is_aligned_zeroed_and_separate),
                cmocka_unit_test(test_arena_reuse_after_clear_is_zeroed_again),
                cmocka_unit_test(test_arena_copy_ends_with_nul),
        };

        return cmocka_run_group_tests_name("bytes", tests, NULL, NULL);
}
