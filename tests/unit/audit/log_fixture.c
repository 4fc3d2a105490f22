#include "log_fixture.h"

#include <dirent.h>
#include <fcntl.h>

#include "support/cm.h"

#include "audit/limits.h"
#include "audit/setup.h"
#include "base/file.h"

struct buf file_get(int dir, const char *name) {
        struct buf b = BUF_INIT((size_t)64 << 20);

        assert_int_equal(read_file_beneath(dir, name, (size_t)64 << 20, &b), 0);
        return b;
}

void file_put(int dir, const char *name, struct view content) {
        (void)unlinkat(dir, name, 0);
        assert_int_equal(replace_file(dir, name, content, 0600), 0);
}

static void open_folders(struct log_fixture *f) {
        (void)snprintf(f->state_path, sizeof f->state_path, "%s/state", f->base.path);
        (void)snprintf(f->log_path, sizeof f->log_path, "%s/log", f->base.path);
        assert_int_equal(make_path(f->state_path, 0700), 0);
        assert_int_equal(make_path(f->log_path, 0700), 0);
        assert_true((f->state_dir = open_dir(f->state_path)) >= 0);
        assert_true((f->log_dir = open_dir(f->log_path)) >= 0);
        assert_true((f->writer_dir = open_or_make_dir(f->state_dir, AUDIT_WRITER_DIR_NAME, 0700)) >= 0);
}

void log_fixture_make(struct log_fixture *f) {
        struct fault fault = FAULT_NONE;

        f->base = temp_dir_new();
        f->rotate_bytes = AUDIT_ROTATE_BYTES;
        f->checkpoint_each = AUDIT_CHECKPOINT_EACH;
        open_folders(f);
        assert_int_equal(setup_make_keys(f->state_path, f->log_path, &fault), 0);
}

void log_fixture_done(struct log_fixture *f) {
        close_fd(f->state_dir);
        close_fd(f->log_dir);
        close_fd(f->writer_dir);
        temp_dir_done(&f->base);
}

static void copy_files(int from, int to) {
        DIR *d = fdopendir(open_beneath(from, ".", O_RDONLY | O_DIRECTORY, 0));

        assert_non_null(d);
        for (struct dirent *e = readdir(d); e; e = readdir(d)) {
                struct buf b;

                if (e->d_type != DT_REG)
                        continue;
                b = file_get(from, e->d_name);
                file_put(to, e->d_name, buf_view(&b));
                buf_done(&b);
        }
        closedir(d);
}

void log_fixture_copy(const struct log_fixture *from, struct log_fixture *to) {
        to->base = temp_dir_new();
        to->rotate_bytes = from->rotate_bytes;
        to->checkpoint_each = from->checkpoint_each;
        open_folders(to);
        copy_files(from->state_dir, to->state_dir);
        copy_files(from->writer_dir, to->writer_dir);
        copy_files(from->log_dir, to->log_dir);
}

int log_fixture_try_open(const struct log_fixture *f, struct log_store **ret, struct fault *fault) {
        struct log_store_config c = {.log_dir = f->log_dir,
                                     .writer_dir = f->writer_dir,
                                     .rotate_bytes = f->rotate_bytes,
                                     .checkpoint_each = f->checkpoint_each};

        return log_store_open(&c, ret, fault);
}

struct log_store *log_fixture_open(const struct log_fixture *f) {
        struct log_store *s = NULL;
        struct fault fault = FAULT_NONE;

        if (log_fixture_try_open(f, &s, &fault) < 0)
                fail_msg("log_store_open: %s %s", fault.rule, fault.text);
        return s;
}

void log_fixture_append(struct log_store *s, unsigned n) {
        struct audit_entry e = {.caller = VIEW("tester"),
                                .event = VIEW("model_promoted"),
                                .decision = VIEW("allow"),
                                .rule = VIEW("RULE-1"),
                                .subject = VIEW("0123456789abcdef"),
                                .detail = VIEW("{\"number\":7}")};
        struct log_item items[32];

        while (n > 0) {
                unsigned now = n < 32 ? n : 32;

                for (unsigned i = 0; i < now; i++)
                        items[i] = (struct log_item){.entry = &e};
                log_store_commit(s, items, now);
                for (unsigned i = 0; i < now; i++)
                        assert_int_equal(items[i].result, 0);
                n -= now;
        }
}

struct audit_report log_fixture_verify(const struct log_fixture *f) {
        struct audit_report report;

        assert_int_equal(audit_verify(f->log_dir, f->state_dir, &report), 0);
        return report;
}
