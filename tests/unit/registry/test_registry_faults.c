#include "support/cm.h"

#include <fcntl.h>
#include <sys/stat.h>

#include "base/file.h"
#include "registry/objects.h"
#include "support/fault_inject.h"
#include "support/temp_dir.h"

static const char content[] = "content of a model";

struct walk {
        struct temp_dir temp;
        struct objects *objects;
        struct sha256 digest;
        bool linked; /* the way of the link; else the way of the copy */
};

static int open_source(const struct walk *w) {
        int fd;

        (void)unlinkat(w->temp.fd, "source", 0);
        assert_int_equal(replace_file(w->temp.fd, "source", VIEW(content), 0600), 0);
        fd = open_beneath(w->temp.fd, "source", O_RDONLY, 0);
        assert_true(fd >= 0);
        if (!w->linked)
                assert_int_equal(unlinkat(w->temp.fd, "source", 0), 0);
        return fd;
}

struct attempt {
        struct walk *w;
        int fd;
};

static int admit(void *userdata) {
        struct attempt *a = userdata;

        return objects_admit(a->w->objects, a->fd, sizeof content - 1, &a->w->digest);
}

/* The object is there as a whole, or it is not there. */
static void check(int result, void *userdata) {
        struct attempt *a = userdata;
        _cleanup_(closep) int kept = objects_open(a->w->objects, &a->w->digest);
        struct buf text = BUF_INIT(64);

        if (result >= 0)
                assert_true(kept >= 0);
        if (kept >= 0) {
                assert_int_equal(buf_read_file(&text, kept), 0);
                assert_string_equal(buf_str(&text), content);
        } else
                assert_int_equal(kept, -ENOENT);
        buf_done(&text);
        assert_int_equal(objects_remove(a->w->objects, &a->w->digest), 0);
        a->fd = close_fd(a->fd);
        a->fd = open_source(a->w);
}

static void walk_admission(bool linked) {
        struct walk w = {.temp = temp_dir_new(), .linked = linked};
        struct attempt a = {.w = &w};

        assert_int_equal(sha256_of(VIEW(content), &w.digest), 0);
        assert_int_equal(objects_open_store(w.temp.fd, &w.objects), 0);
        a.fd = open_source(&w);
        assert_true(fault_inject_walk(FAULT_ALL, admit, check, &a) > 3);
        close_fd(a.fd);
        objects_free(w.objects);
        temp_dir_done(&w.temp);
}

static void test_linking_survives_every_failing_call(void **state) {
        walk_admission(true);
}

static void test_copying_survives_every_failing_call(void **state) {
        walk_admission(false);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_linking_survives_every_failing_call),
                cmocka_unit_test(test_copying_survives_every_failing_call),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
