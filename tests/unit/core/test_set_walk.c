/* Which folders can be one artifact, and how they are removed again. */
#include "support/cm.h"

#include <sys/stat.h>

#include "base/clock.h"
#include "base/file.h"
#include "core/set_remove.h"
#include "core/set_walk.h"
#include "support/temp_dir.h"

#define DEEP    1500
#define ENTRIES 30000

static int folder(const struct temp_dir *t, const char *path) {
        int fd;

        assert_true(mkdirat(t->fd, path, 0700) == 0 || errno == EEXIST);
        fd = openat(t->fd, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        assert_true(fd >= 0);
        return fd;
}

static void put(int dir, const char *name, const char *text) {
        _cleanup_(closep) int fd = openat(dir, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

        assert_true(fd >= 0);
        assert_int_equal(write_all(fd, text, strlen(text)), 0);
}

static void expect_refusal(int dir, const char *word) {
        _cleanup_(set_walk_donep) struct set_walk w = {0};
        struct fault why = FAULT_NONE;

        assert_true(set_walk(dir, &w, &why) < 0);
        assert_string_equal(why.rule, word);
        assert_true(why.text[0] != '\0');
}

static void a_folder_is_listed_in_the_order_of_its_listing(void **state) {
        static const char *const expected[] = {"a b", "config.json", "unet-2", "unet/deep/x.bin", "unet/y"};
        _cleanup_(temp_dir_done) struct temp_dir t = temp_dir_new();
        _cleanup_(closep) int sd = folder(&t, "sd"), unet = folder(&t, "sd/unet"),
                              deep = folder(&t, "sd/unet/deep"), git = folder(&t, "sd/.git"),
                              nothing = folder(&t, "sd/nothing");
        _cleanup_(set_walk_donep) struct set_walk w = {0};
        struct fault why = FAULT_NONE;

        (void)nothing; /* an empty folder that is in no listing */
        put(sd, "config.json", "{}");
        put(sd, "unet-2", "12345");
        put(sd, "a b", "");
        put(sd, "model.sig", "not a member");
        put(unet, "y", "1");
        put(deep, "x.bin", "12");
        put(git, "config", "not a member");
        assert_int_equal(symlinkat("/etc", git, "link"), 0);
        assert_int_equal(set_walk(sd, &w, &why), 0);
        assert_int_equal(w.n, ARRAY_SIZE(expected));
        for (size_t i = 0; i < w.n; i++)
                assert_string_equal(w.files[i].path, expected[i]);
        assert_int_equal(w.size, 10);
        assert_int_equal(w.folders, 4);
        assert_false(w.unfinished);
}

static void what_no_artifact_may_hold_is_named(void **state) {
        _cleanup_(temp_dir_done) struct temp_dir t = temp_dir_new();
        _cleanup_(closep) int d = folder(&t, "d"), in = folder(&t, "d/in");
        static const char *const names[] = {"a\nb", "a\x1b[2J", "\xff", "\x7f"};

        expect_refusal(d, "empty");
        put(d, "file", "x");
        assert_int_equal(symlinkat("file", in, "x"), 0);
        expect_refusal(d, "symbolic_link");
        assert_int_equal(unlinkat(in, "x", 0), 0);
        assert_int_equal(mkfifoat(in, "x", 0600), 0);
        expect_refusal(d, "special_file");
        assert_int_equal(unlinkat(in, "x", 0), 0);
        assert_int_equal(linkat(d, "file", t.fd, "second", 0), 0);
        expect_refusal(d, "hard_link");
        {
                _cleanup_(set_walk_donep) struct set_walk claim = {0};

                assert_int_equal(set_walk_claim(d, &claim, NULL), 0);
        }
        assert_int_equal(unlinkat(t.fd, "second", 0), 0);
        put(in, "s", "x");
        assert_int_equal(fchmodat(in, "s", 04700, 0), 0);
        expect_refusal(d, "special_mode");
        assert_int_equal(unlinkat(in, "s", 0), 0);
        for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
                put(in, names[i], "x");
                expect_refusal(d, "bad_name");
                assert_int_equal(unlinkat(in, names[i], 0), 0);
                assert_int_equal(mkdirat(in, names[i], 0700), 0);
                expect_refusal(d, "bad_name");
                assert_int_equal(unlinkat(in, names[i], AT_REMOVEDIR), 0);
        }
        if (geteuid() == 0 && mknodat(in, "dev", S_IFCHR | 0600, 0x103) == 0)
                expect_refusal(d, "special_file");
}

static void a_download_under_way_is_seen(void **state) {
        _cleanup_(temp_dir_done) struct temp_dir t = temp_dir_new();
        _cleanup_(set_walk_donep) struct set_walk w = {0};

        put(t.fd, "model.safetensors.incomplete", "x");
        assert_int_equal(set_walk(t.fd, &w, NULL), 0);
        assert_true(w.unfinished);
}

static void make_levels(int top, unsigned levels) {
        int fd = dup(top);

        for (unsigned i = 0; i < levels; i++) {
                int next;

                assert_int_equal(mkdirat(fd, "d", 0700), 0);
                next = openat(fd, "d", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
                assert_true(next >= 0);
                close(fd);
                fd = next;
        }
        put(fd, "x", "deep");
        close(fd);
}

static void depth_is_bounded_at_n_and_n_plus_one(void **state) {
        _cleanup_(temp_dir_done) struct temp_dir t = temp_dir_new();
        _cleanup_(closep) int good = folder(&t, "good"), bad = folder(&t, "bad");
        _cleanup_(set_walk_donep) struct set_walk w = {0};

        make_levels(good, SET_DEPTH_MAX - 1);
        make_levels(bad, SET_DEPTH_MAX);
        assert_int_equal(set_walk(good, &w, NULL), 0);
        assert_int_equal(w.n, 1);
        expect_refusal(bad, "too_deep");
}

static void fifteen_hundred_levels_are_refused_and_removed(void **state) {
        _cleanup_(temp_dir_done) struct temp_dir t = temp_dir_new();
        _cleanup_(closep) int d = folder(&t, "d");
        struct stat st;

        make_levels(d, DEEP);
        expect_refusal(d, "too_deep");
        assert_int_equal(set_remove(t.fd, "d"), 0);
        assert_int_equal(fstatat(t.fd, "d", &st, 0), -1);
}

static void too_many_entries_are_refused_without_looking_at_all(void **state) {
        _cleanup_(temp_dir_done) struct temp_dir t = temp_dir_new();
        _cleanup_(closep) int d = folder(&t, "d"), in = folder(&t, "d/in");
        char name[16];
        struct stat st;

        for (unsigned i = 0; i < ENTRIES; i++) {
                (void)snprintf(name, sizeof name, "%u", i);
                put(in, name, "");
                if (i + 1 == SET_MEMBERS_MAX) {
                        _cleanup_(set_walk_donep) struct set_walk w = {0};

                        assert_int_equal(set_walk(d, &w, NULL), 0);
                        assert_int_equal(w.n, SET_MEMBERS_MAX);
                }
        }
        expect_refusal(d, "too_many_files");
        assert_int_equal(set_remove(t.fd, "d"), 0);
        assert_int_equal(fstatat(t.fd, "d", &st, 0), -1);
}

static void a_file_that_changed_since_is_not_opened_as_the_one_that_was_seen(void **state) {
        _cleanup_(temp_dir_done) struct temp_dir t = temp_dir_new();
        _cleanup_(set_walk_donep) struct set_walk w = {0}, again = {0};
        _cleanup_(closep) int fd = -EBADF;
        struct sha256 before, after;

        put(t.fd, "a", "one");
        put(t.fd, "b", "two");
        assert_int_equal(set_walk(t.fd, &w, NULL), 0);
        assert_int_equal(set_walk_digest(&w, &before), 0);
        fd = set_walk_open(t.fd, &w.files[0]);
        assert_true(fd >= 0);
        assert_int_equal(renameat(t.fd, "a", t.fd, "c"), 0);
        assert_int_equal(set_walk_open(t.fd, &w.files[0]), -ESTALE);
        assert_int_equal(renameat(t.fd, "c", t.fd, "a"), 0); /* back again: its time of change says so */
        assert_int_equal(set_walk_open(t.fd, &w.files[0]), -ESTALE);
        assert_int_equal(set_walk(t.fd, &again, NULL), 0);
        assert_false(set_walk_equal(&w, &again));
        assert_int_equal(set_walk_digest(&again, &after), 0);
        assert_memory_not_equal(&before, &after, sizeof before);
        assert_int_equal(unlinkat(t.fd, "b", 0), 0);
        assert_int_equal(symlinkat("a", t.fd, "b"), 0);
        assert_int_equal(set_walk_open(t.fd, &w.files[1]), -ESTALE);
}

static void removal_takes_folders_without_rights_and_leaves_what_links_point_to(void **state) {
        _cleanup_(temp_dir_done) struct temp_dir t = temp_dir_new();
        _cleanup_(closep) int d = folder(&t, "d"), a = folder(&t, "d/a"), b = folder(&t, "d/a/b"),
                              up = folder(&t, "d/.up-0");
        struct stat st;

        (void)d;
        put(t.fd, "outside", "stays");
        put(b, "x", "");
        put(up, "y", "");
        assert_int_equal(symlinkat("../outside", b, "link"), 0);
        assert_int_equal(fchmod(b, 0), 0);
        assert_int_equal(fchmod(a, 0), 0);
        assert_int_equal(set_remove(t.fd, "d"), 0);
        assert_int_equal(fstatat(t.fd, "d", &st, 0), -1);
        assert_int_equal(fstatat(t.fd, "outside", &st, 0), 0);
        assert_int_equal(set_remove(t.fd, "missing"), 0);
        assert_int_equal(set_remove(t.fd, "outside"), 0);
        assert_int_equal(fstatat(t.fd, "outside", &st, 0), -1);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(a_folder_is_listed_in_the_order_of_its_listing),
                cmocka_unit_test(what_no_artifact_may_hold_is_named),
                cmocka_unit_test(a_download_under_way_is_seen),
                cmocka_unit_test(depth_is_bounded_at_n_and_n_plus_one),
                cmocka_unit_test(fifteen_hundred_levels_are_refused_and_removed),
                cmocka_unit_test(too_many_entries_are_refused_without_looking_at_all),
                cmocka_unit_test(a_file_that_changed_since_is_not_opened_as_the_one_that_was_seen),
                cmocka_unit_test(removal_takes_folders_without_rights_and_leaves_what_links_point_to),
        };

        return cmocka_run_group_tests_name("set_walk", tests, NULL, NULL);
}
