#include "support/cm.h"

#include "core/set_listing.h"

#define ZERO "0000000000000000000000000000000000000000000000000000000000000000"
#define HEAD SET_LISTING_HEAD

static const struct sha256 zero;

static void add(struct set_listing *s, const char *path, uint64_t size) {
        assert_int_equal(set_listing_add(s, view_of(path), size, &zero), 0);
}

static void a_listing_is_sorted_by_bytes_and_reads_back_as_it_was(void **state) {
        _cleanup_(set_listing_donep) struct set_listing s = {0}, again = {0};
        _cleanup_(buf_donep) struct buf text = BUF_INIT(SET_LISTING_MAX);
        struct sha256 a, b;

        add(&s, "unet/config.json", 7);
        add(&s, "a b.txt", 0);
        add(&s, "unet-2", 1);
        add(&s, "\xc3\xa4", 2);
        assert_int_equal(set_listing_sort(&s), 0);
        assert_int_equal(set_listing_write(&s, &text), 0);
        assert_string_equal(buf_str(&text), HEAD ZERO " 0 a b.txt\n" ZERO " 1 unet-2\n" ZERO
                                                      " 7 unet/config.json\n" ZERO " 2 \xc3\xa4\n");
        assert_int_equal(set_listing_parse(buf_view(&text), &again), 0);
        assert_int_equal(again.n, 4);
        assert_int_equal(again.size, 10);
        assert_int_equal(set_listing_find(&again, VIEW("unet/config.json")), 2);
        assert_int_equal(set_listing_find(&again, VIEW("unet")), SIZE_MAX);
        assert_int_equal(set_listing_digest(&again, &a), 0);
        assert_int_equal(sha256_of(buf_view(&text), &b), 0);
        assert_memory_equal(&a, &b, sizeof a);
}

static void paths_that_leave_the_folder_or_hide_something_are_refused(void **state) {
        static const char *const bad[] = {"",    "/a",   "a/",   "a//b",  ".",    "..",   "a/../b",
                                          "./a", "a/..", "a\nb", "a\x7f", "\x1b", "\xff", "a\xc0\xaf"};
        struct set_listing s = {0};

        for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
                assert_int_equal(set_listing_add(&s, view_of(bad[i]), 1, &zero), -EINVAL);
        assert_int_equal(set_listing_add(&s, VIEW("a\0b"), 1, &zero), -EINVAL);
        assert_true(set_path_is_valid(VIEW("...")));
        assert_true(set_path_is_valid(VIEW(".hidden/a..b")));
        set_listing_done(&s);
}

static void limits_hold_at_n_and_n_plus_one(void **state) {
        _cleanup_(set_listing_donep) struct set_listing s = {0};
        char path[SET_PATH_MAX + 2];

        memset(path, 'a', sizeof path);
        assert_true(set_path_is_valid(view_make(path, SET_PATH_MAX)));
        assert_false(set_path_is_valid(view_make(path, SET_PATH_MAX + 1)));
        for (size_t i = 1; i < 2 * SET_DEPTH_MAX + 1; i += 2)
                path[i] = '/';
        assert_true(set_path_is_valid(view_make(path, 2 * SET_DEPTH_MAX - 1)));
        assert_false(set_path_is_valid(view_make(path, 2 * SET_DEPTH_MAX + 1)));
        for (unsigned i = 0; i < SET_MEMBERS_MAX; i++) {
                (void)snprintf(path, sizeof path, "%u", i);
                add(&s, path, 1);
        }
        assert_int_equal(set_listing_add(&s, VIEW("x"), 1, &zero), -E2BIG);
        assert_int_equal(set_listing_sort(&s), 0);
        set_listing_done(&s);
        add(&s, "a", SET_BYTES_MAX);
        assert_int_equal(set_listing_add(&s, VIEW("b"), 1, &zero), -E2BIG);
}

static void a_path_can_be_there_once_and_not_be_a_folder_too(void **state) {
        _cleanup_(set_listing_donep) struct set_listing twice = {0}, folder = {0};

        add(&twice, "a", 1);
        add(&twice, "a", 2);
        assert_int_equal(set_listing_sort(&twice), -EEXIST);
        add(&folder, "a/b/c", 1);
        add(&folder, "a-x", 1);
        add(&folder, "a", 1);
        assert_int_equal(set_listing_sort(&folder), -EEXIST);
}

static void only_the_one_spelling_is_read(void **state) {
        static const char *const bad[] = {
                "",
                HEAD,
                "secai.set/2\n" ZERO " 1 a\n",
                HEAD ZERO " 1 a",
                HEAD ZERO " 1 a\n\n",
                HEAD ZERO " 1 a\nx",
                HEAD ZERO " 01 a\n",
                HEAD ZERO " -1 a\n",
                HEAD ZERO "  a\n",
                HEAD ZERO " 1 \n",
                HEAD ZERO " 1 ../a\n",
                HEAD ZERO " 1 a\r\n",
                HEAD ZERO "0 1 a\n",
                HEAD "A" ZERO " 1 a\n",
                HEAD ZERO " 1 b\n" ZERO " 1 a\n",
                HEAD ZERO " 1 a\n" ZERO " 1 a\n",
                HEAD ZERO " 1 a\n" ZERO " 1 a/b\n",
                HEAD ZERO " 9223372036854775808 a\n",
        };
        struct set_listing s = {0};

        for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
                if (set_listing_parse(view_of(bad[i]), &s) != -EBADMSG)
                        fail_msg("read: %s", bad[i]);
        assert_int_equal(set_listing_parse(VIEW(HEAD ZERO " 9223372036854775807 a\n" ZERO " 1 b\n"), &s),
                         -E2BIG);
        assert_int_equal(set_listing_parse(VIEW(HEAD ZERO " 1  \xe2\x80\xae.x\n"), &s), 0);
        set_listing_done(&s);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(a_listing_is_sorted_by_bytes_and_reads_back_as_it_was),
                cmocka_unit_test(paths_that_leave_the_folder_or_hide_something_are_refused),
                cmocka_unit_test(limits_hold_at_n_and_n_plus_one),
                cmocka_unit_test(a_path_can_be_there_once_and_not_be_a_folder_too),
                cmocka_unit_test(only_the_one_spelling_is_read),
        };

        return cmocka_run_group_tests_name("set_listing", tests, NULL, NULL);
}
