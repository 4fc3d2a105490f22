/* Documents of a job: written whole or not at all, found again, moved and removed with the job. */
#include "support/cm.h"

#include <fcntl.h>
#include <sys/stat.h>

#include "base/file.h"
#include "quarantine/job_documents.h"
#include "support/temp_dir.h"

#define JOB "0123456789abcdef01234567"

struct fixture {
        struct temp_dir dir;
        struct claims claims;
        int folder;
};

static int set_up(void **state) {
        struct fixture *f = calloc(1, sizeof *f);

        assert_non_null(f);
        f->dir = temp_dir_new();
        assert_int_equal(claims_open(f->dir.fd, &f->claims), 0);
        f->folder = open_or_make_dir(f->claims.claims, JOB, 0700);
        assert_true(f->folder >= 0);
        *state = f;
        return 0;
}

static int tear_down(void **state) {
        struct fixture *f = *state;

        close_fd(f->folder);
        claims_done(&f->claims);
        temp_dir_done(&f->dir);
        free(f);
        return 0;
}

static void expect_content(int folder, enum document d, struct view expected) {
        _cleanup_(buf_donep) struct buf text = BUF_INIT(DOCUMENT_BYTES_MAX);
        _cleanup_(closep) int fd = -EBADF;
        uint64_t size;

        assert_int_equal(document_open(folder, d, &fd, &size), 0);
        assert_int_equal(fcntl(fd, F_GETFL) & O_ACCMODE, O_RDONLY);
        assert_int_equal(size, expected.n);
        assert_int_equal(buf_read_file(&text, fd), 0);
        assert_true(view_eq(buf_view(&text), expected));
}

static void test_a_document_is_there_whole_with_its_digest(void **state) {
        struct fixture *f = *state;
        struct sha256 said, expected;
        struct job_documents list;

        assert_int_equal(document_write(f->folder, DOCUMENT_BOM, VIEW("{\"a\":1}"), &said), 0);
        assert_int_equal(sha256_of(VIEW("{\"a\":1}"), &expected), 0);
        assert_memory_equal(&said, &expected, sizeof said);
        expect_content(f->folder, DOCUMENT_BOM, VIEW("{\"a\":1}"));
        assert_int_equal(job_documents_list(f->folder, &list), 0);
        for (int d = 0; d < DOCUMENT_MAX; d++)
                assert_int_equal(list.of[d].exists, d == DOCUMENT_BOM);
        assert_int_equal(list.of[DOCUMENT_BOM].size, 7);
        assert_memory_equal(&list.of[DOCUMENT_BOM].sha256, &expected, sizeof expected);
}

static void test_a_writer_that_stops_leaves_the_old_one(void **state) {
        struct fixture *f = *state;
        struct document_writer *w;
        struct sha256 digest;
        struct stat st;

        assert_int_equal(document_write(f->folder, DOCUMENT_TENSORS, VIEW("{}"), &digest), 0);
        assert_int_equal(document_writer_new(f->folder, DOCUMENT_TENSORS, &w), 0);
        assert_int_equal(document_writer_put(w, VIEW("{\"half\":")), 0);
        expect_content(f->folder, DOCUMENT_TENSORS, VIEW("{}"));
        document_writer_free(w);
        expect_content(f->folder, DOCUMENT_TENSORS, VIEW("{}"));
        assert_int_equal(fstatat(f->folder, "tensors.json.new", &st, 0), -1);
        /* and what a killed one left does not stop the next */
        close_fd(openat(f->folder, "tensors.json.new", O_WRONLY | O_CREAT | O_CLOEXEC, 0400));
        assert_int_equal(document_write(f->folder, DOCUMENT_TENSORS, VIEW("[]"), &digest), 0);
        expect_content(f->folder, DOCUMENT_TENSORS, VIEW("[]"));
}

static void test_a_document_has_a_largest_size(void **state) {
        static char piece[1 << 20];
        struct fixture *f = *state;
        struct document_writer *w;
        struct job_documents list;
        struct sha256 digest;

        memset(piece, ' ', sizeof piece);
        assert_int_equal(document_writer_new(f->folder, DOCUMENT_TENSORS, &w), 0);
        for (uint64_t n = 0; n < DOCUMENT_BYTES_MAX; n += sizeof piece)
                assert_int_equal(document_writer_put(w, view_make(piece, sizeof piece)), 0);
        assert_int_equal(document_writer_put(w, VIEW(" ")), -EFBIG);
        assert_int_equal(document_writer_end(w, &digest), 0);
        document_writer_free(w);
        assert_int_equal(job_documents_list(f->folder, &list), 0);
        assert_int_equal(list.of[DOCUMENT_TENSORS].size, DOCUMENT_BYTES_MAX);
        assert_memory_equal(&list.of[DOCUMENT_TENSORS].sha256, &digest, sizeof digest);
}

static void test_documents_move_and_go_with_the_job(void **state) {
        struct fixture *f = *state;
        _cleanup_(closep) int moved = -EBADF;
        struct sha256 digest;

        assert_int_equal(document_write(f->folder, DOCUMENT_STATEMENT, VIEW("{}"), &digest), 0);
        close_fd(openat(f->folder, "behaviour.json.new", O_WRONLY | O_CREAT | O_CLOEXEC, 0400));
        close_fd(openat(f->folder, "data", O_WRONLY | O_CREAT | O_CLOEXEC, 0400));
        assert_int_equal(claim_reject(&f->claims, JOB), 0);
        moved = job_documents_folder(&f->claims, JOB);
        assert_true(moved >= 0);
        expect_content(moved, DOCUMENT_STATEMENT, VIEW("{}"));
        assert_int_equal(claim_remove(&f->claims, JOB), 0);
        assert_int_equal(job_documents_folder(&f->claims, JOB), -ENOENT);
}

static void test_names_are_the_four(void **state) {
        static const char *const wrong[] = {"", "data", "Tensors", "tensors.json", "..", "bom\n"};
        enum document d;

        for (int i = 0; i < DOCUMENT_MAX; i++) {
                assert_int_equal(document_from_name(view_of(document_name((enum document)i)), &d), 0);
                assert_int_equal(d, i);
        }
        for (size_t i = 0; i < ARRAY_SIZE(wrong); i++)
                assert_int_equal(document_from_name(view_of(wrong[i]), &d), -ENOENT);
}

static void test_links_and_pipes_are_no_documents(void **state) {
        struct fixture *f = *state;
        uint64_t size;
        int fd;

        assert_int_equal(symlinkat("/etc/passwd", f->folder, "bom.json"), 0);
        assert_true(document_open(f->folder, DOCUMENT_BOM, &fd, &size) < 0);
        assert_int_equal(mkfifoat(f->folder, "tensors.json", 0600), 0);
        assert_int_equal(document_open(f->folder, DOCUMENT_TENSORS, &fd, &size), -EBADFD);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(test_a_document_is_there_whole_with_its_digest, set_up,
                                                tear_down),
                cmocka_unit_test_setup_teardown(test_a_writer_that_stops_leaves_the_old_one, set_up,
                                                tear_down),
                cmocka_unit_test_setup_teardown(test_a_document_has_a_largest_size, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_documents_move_and_go_with_the_job, set_up, tear_down),
                cmocka_unit_test(test_names_are_the_four),
                cmocka_unit_test_setup_teardown(test_links_and_pipes_are_no_documents, set_up, tear_down),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
