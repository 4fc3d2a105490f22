/* kill -9 at random moments, SECAI_KILLS of them (default 45): no file is lost, none is in two places that could both become a model, and in the end each has come
 * through. The files are small safetensors models, each of a size of its own, by which they are known everywhere. */
#include "rig.h"

#include <dirent.h>
#include <fcntl.h>
#include <glob.h>
#include <linux/fs.h>
#include <sqlite3.h>
#include <sys/ioctl.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/num.h"
#include "base/secret.h"
#include "support/temp_dir.h"

#define ROUNDS       UINT64_C(45)
#define ROUNDS_MAX   UINT64_C(100000)
#define LOOKED_AT    20u /* of the newest files, after each kill; all in the end */
#define FIRST_BYTES  ((size_t)300000)
#define STEP_BYTES   ((size_t)20004)
#define NAILED       5000
#define NAILED_NAME  "model-5000.safetensors"
#define JOB_ID_CHARS 24

static size_t size_of(unsigned file) {
        return file == NAILED ? FIRST_BYTES - 4 : FIRST_BYTES + file * STEP_BYTES;
}

/* A valid model of exactly that size. */
static void drop_file(struct harness *h, unsigned file) {
        _cleanup_(buf_donep) struct buf b = BUF_INIT((size_t)128 << 20);
        size_t n = size_of(file), data = (n - 8 - 200) / 4 * 4;
        char name[64], head[256];
        uint64_t header = n - 8 - data;
        int used = snprintf(head, sizeof head,
                            "{\"w\":{\"dtype\":\"F32\",\"shape\":[%zu],\"data_offsets\":[0,%zu]}}", data / 4,
                            data);

        assert_true(used > 0 && (uint64_t)used <= header && header < sizeof head);
        memset(head + used, ' ', (size_t)header - (size_t)used);
        assert_int_equal(buf_append(&b, &header, sizeof header), 0);
        assert_int_equal(buf_append(&b, head, (size_t)header), 0);
        assert_int_equal(buf_reserve(&b, data), 0);
        for (size_t i = 0; i < data; i += 4) {
                float f = (float)(i % 1000) / 1000 + (float)file;

                memcpy(b.p + b.n + i, &f, sizeof f);
        }
        b.n += data;
        assert_int_equal(b.n, n);
        (void)snprintf(name, sizeof name, "model-%02u.safetensors", file);
        rig_drop_bytes(h, name, buf_view(&b));
}

/* Counts regular files of that size two levels below `path` at most. */
static unsigned count_below(const char *path, size_t size, unsigned depth) {
        DIR *d = opendir(path);
        unsigned count = 0;
        struct dirent *e;

        while (d && (e = readdir(d))) {
                _cleanup_(freep) char *child = NULL;
                struct stat st;

                if (e->d_name[0] == '.')
                        continue;
                assert_true(asprintf(&child, "%s/%s", path, e->d_name) > 0);
                if (lstat(child, &st) < 0)
                        continue;
                if (S_ISREG(st.st_mode) && (size_t)st.st_size == size)
                        count++;
                else if (S_ISDIR(st.st_mode) && depth > 0)
                        count += count_below(child, size, depth - 1);
        }
        if (d)
                closedir(d);
        return count;
}

static unsigned count_in(struct harness *h, const char *service, const char *folder, unsigned file,
                         unsigned depth) {
        _cleanup_(freep) char *path = NULL;

        assert_true(asprintf(&path, "%s/%s", harness_state_path(h, service), folder) > 0);
        return count_below(path, size_of(file), depth);
}

/* A claim and the registry may hold the same inode for the moment between promotion and tidying up: one file, one claim. */
static void check_places(struct harness *h, unsigned from, unsigned files, unsigned round) {
        for (unsigned i = from; i < files; i++) {
                unsigned in = count_in(h, "quarantine", "incoming", i, 0),
                         claim = count_in(h, "quarantine", "claims", i, 1),
                         rejected = count_in(h, "quarantine", "rejected", i, 1),
                         registry = count_in(h, "registry", "objects", i, 4);

                if (in + claim > 1 || rejected != 0 || registry > 1 || in + claim + registry == 0 ||
                    (in && registry))
                        fail_msg("round %u, file %u: %u in the inbox, %u claims, %u rejected, %u in the "
                                 "registry",
                                 round, i, in, claim, rejected, registry);
        }
}

static unsigned entries_of(struct harness *h, const char *folder) {
        _cleanup_(freep) char *path = NULL;
        unsigned n = 0;
        DIR *d;

        assert_true(asprintf(&path, "%s/%s", harness_state_path(h, "quarantine"), folder) > 0);
        d = opendir(path);
        for (struct dirent *e = d ? readdir(d) : NULL; e; e = readdir(d))
                n += e->d_name[0] != '.';
        if (d)
                closedir(d);
        return n;
}

/* Until all files are through, or none was for a long time: after many kills there are many. */
static void wait_while_there_is_progress(struct harness *h) {
        unsigned left, before = 0;

        for (uint64_t since = clock_monotonic_usec();; usleep(100000)) {
                left = entries_of(h, "incoming") + entries_of(h, "claims");
                if (left != before)
                        since = clock_monotonic_usec();
                before = left;
                if (left == 0 || clock_monotonic_usec() - since > 60 * USEC_PER_SEC)
                        return;
        }
}

static unsigned rounds_n(void) {
        const char *asked = secure_getenv("SECAI_KILLS");
        uint64_t n;

        return (unsigned)(asked && u64_parse(view_of(asked), ROUNDS_MAX, &n) == 0 && n > 0 ? n : ROUNDS);
}

static void test_no_file_is_lost_however_often_quarantine_is_killed(void **state) {
        struct harness *h = *state;
        unsigned files = 0, rounds = rounds_n();

        harness_kill(h, "quarantine");
        for (unsigned round = 0; round < rounds; round++) {
                uint32_t chance;

                if (round % 3 == 0)
                        drop_file(h, files++);
                harness_start(h, "quarantine", NULL);
                assert_int_equal(random_bytes(&chance, sizeof chance), 0);
                usleep(chance % (round % 3 == 2 ? 60000 : 400000));
                harness_kill(h, "quarantine");
                check_places(h, files > LOOKED_AT ? files - LOOKED_AT : 0, files, round);
        }
        check_places(h, 0, files, rounds);
        harness_start(h, "quarantine", NULL);
        wait_while_there_is_progress(h);
        for (unsigned i = 0; i < files; i++) {
                char name[64];

                (void)snprintf(name, sizeof name, "model-%02u.safetensors", i);
                rig_expect_state(h, name, "promoted", NULL);
                assert_true(rig_registry_has(h, name));
        }
        for (unsigned i = 0; i < files; i++)
                for (unsigned tries = 0; count_in(h, "quarantine", "claims", i, 1) > 0; tries++) {
                        assert_true(tries < 100);
                        usleep(20000);
                }
}

/* Marks the stored results, so that one can see whether they were used or made anew. */
static void mark_stored_results(struct harness *h) {
        _cleanup_(freep) char *path = NULL;
        sqlite3 *db;

        assert_true(asprintf(&path, "%s/jobs.db", harness_state_path(h, "quarantine")) > 0);
        assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
        assert_int_equal(sqlite3_exec(db,
                                      "UPDATE job SET verdict = replace(verdict, '\"ms\":', '\"ms\":98765') "
                                      "WHERE state = 2",
                                      NULL, NULL, NULL),
                         SQLITE_OK);
        assert_int_equal(sqlite3_changes(db), 1);
        assert_int_equal(sqlite3_close(db), SQLITE_OK);
}

static bool is_marked(const struct json *job, unsigned stage) {
        const struct json *s = json_get_typed(job, "stages", JSON_ARRAY)->child;

        for (unsigned i = 1; i < stage; i++)
                s = s->next;
        return view_starts(json_get(s, "ms")->text, VIEW("98765"));
}

static void test_a_kill_during_the_behavioural_test_does_not_repeat_the_scan(void **state) {
        struct harness *h = *state;
        uint64_t deadline = clock_monotonic_usec() + 30 * USEC_PER_SEC;
        struct json_document *doc;
        const struct json *j;
        bool seen = false;

        rig_drop_model(h, "interrupted.gguf", GOOD);
        while (!seen) {
                uint64_t stage = 0;

                j = rig_find_job(h, "interrupted.gguf", &doc);
                if (j && json_get_u64(j, "stage", &stage) == 0)
                        seen = stage >= 6;
                json_document_free(doc);
                assert_true(clock_monotonic_usec() < deadline);
        }
        harness_kill(h, "quarantine");
        mark_stored_results(h);
        harness_start(h, "quarantine", NULL);
        j = rig_wait_for(h, "interrupted.gguf", "promoted", &doc);
        assert_true(is_marked(j, 2));
        assert_true(is_marked(j, 5));
        assert_false(is_marked(j, 6));
        json_document_free(doc);
}

/* --- answers of the behavioural test --- */

#define ANSWERS_BEFORE 30

/* The journal of the only claim, once it has that many lines; its text is read into *out. */
static char *wait_for_journal(struct harness *h, struct buf *out) {
        _cleanup_(freep) char *pattern = NULL;
        uint64_t deadline = clock_monotonic_usec() + 60 * USEC_PER_SEC;

        assert_true(asprintf(&pattern, "%s/claims/*/behaviour.progress",
                             harness_state_path(h, "quarantine")) > 0);
        while (clock_monotonic_usec() < deadline) {
                glob_t found = {0};
                char *path = NULL;
                size_t lines = 0;

                if (glob(pattern, 0, NULL, &found) == 0)
                        path = strdup(found.gl_pathv[0]);
                globfree(&found);
                if (path && read_file(path, (size_t)1 << 20, out) >= 0)
                        for (size_t i = 0; i < out->n; i++)
                                lines += out->p[i] == '\n';
                if (lines > ANSWERS_BEFORE)
                        return path;
                buf_done(out);
                free(path);
                usleep(5000);
        }
        fail_msg("no answers were kept");
        return NULL;
}

/* The first answer gets a text that no model gives. */
static void mark_first_answer(const char *path, const struct buf *text) {
        static const struct view shown = VIEW_INIT("\"shown\":\"");
        size_t at = view_find(buf_view(text), shown);
        _cleanup_(buf_donep) struct buf marked = BUF_INIT((size_t)2 << 20);
        _cleanup_(closep) int fd = open(path, O_WRONLY | O_TRUNC | O_CLOEXEC);

        assert_true(at != SIZE_MAX && fd >= 0);
        assert_int_equal(buf_append_view(&marked, view_sub(buf_view(text), 0, at + shown.n)), 0);
        assert_int_equal(buf_append_str(&marked, "MARKED "), 0);
        assert_int_equal(buf_append_view(&marked, view_sub(buf_view(text), at + shown.n, SIZE_MAX)), 0);
        assert_int_equal(buf_append_str(&marked, "{\"prompt\":\"cut of"), 0);
        assert_int_equal(write_all(fd, marked.p, marked.n), 0);
}

static void seed_of(struct view text, char out[40]) {
        size_t at = view_find(text, VIEW("\"seed\":\""));

        assert_true(at != SIZE_MAX);
        (void)snprintf(out, 40, "%.32s", text.p + at + 8);
}

static void test_answers_that_were_given_before_a_kill_are_not_asked_for_again(void **state) {
        struct harness *h = *state;
        struct http_client *c = harness_client(h, "ui", "quarantine");
        _cleanup_(buf_donep) struct buf before = BUF_INIT((size_t)1 << 20);
        _cleanup_(freep) char *journal = NULL, *path = NULL;
        struct json_document *doc;
        struct http_answer a;
        char seed[40], seed_after[40];
        struct view id;

        rig_drop_model(h, "resumed.gguf", BAD);
        journal = wait_for_journal(h, &before);
        harness_kill(h, "quarantine");
        buf_done(&before);
        assert_int_equal(read_file(journal, (size_t)1 << 20, &before), 0);
        seed_of(buf_view(&before), seed);
        mark_first_answer(journal, &before);
        harness_start(h, "quarantine", NULL);
        id = json_get_view(rig_wait_for(h, "resumed.gguf", "rejected", &doc), "id", VIEW_NULL);
        assert_true(asprintf(&path, "/v1/jobs/%.*s/documents/behaviour", VIEW_ARG(id)) > 0);
        json_document_free(doc);
        assert_int_equal(harness_call(c, "GET", path, NULL, &a), 200);
        seed_of(buf_view(&a.body), seed_after);
        assert_string_equal(seed_after, seed);
        assert_int_not_equal(view_find(buf_view(&a.body), VIEW("\"answer\":\"MARKED ")), SIZE_MAX);
        assert_int_not_equal(view_find(buf_view(&a.body), VIEW("\"schema\":\"secai.behaviour/1\"")),
                             SIZE_MAX);
        http_answer_done(&a);
        http_client_free(c);
        assert_int_equal(access(journal, F_OK), -1); /* the report has it all */
}

/* A file that nobody can take out of the folder; false where that can't be made. */
static bool set_immutable(int fd, bool on) {
        int flags = 0;

        if (fd < 0 || ioctl(fd, FS_IOC_GETFLAGS, &flags) < 0)
                return false;
        flags = on ? flags | FS_IMMUTABLE_FL : flags & ~FS_IMMUTABLE_FL;
        return ioctl(fd, FS_IOC_SETFLAGS, &flags) == 0;
}

static bool nail(struct harness *h, const char *name, bool nailed) {
        _cleanup_(closep) int dir = rig_inbox(h), fd = openat(dir, name, O_RDONLY | O_CLOEXEC);

        return set_immutable(fd, nailed);
}

static int change_jobs(struct harness *h, const char *sql) {
        _cleanup_(freep) char *path = NULL;
        sqlite3 *db;
        int changes;

        assert_true(asprintf(&path, "%s/jobs.db", harness_state_path(h, "quarantine")) > 0);
        assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
        assert_int_equal(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
        changes = sqlite3_changes(db);
        assert_int_equal(sqlite3_close(db), SQLITE_OK);
        return changes;
}

/* As after a kill between the copy and the removal from the inbox. */
static void make_half_claimed(struct harness *h, const char *id, unsigned file) {
        char name[64], path[512];
        _cleanup_(buf_donep) struct buf content = BUF_INIT((size_t)8 << 20);
        _cleanup_(closep) int inbox = rig_inbox(h), folder = -EBADF;

        (void)snprintf(name, sizeof name, "model-%02u.safetensors", file);
        assert_int_equal(read_file_beneath(inbox, name, (size_t)8 << 20, &content), 0);
        (void)snprintf(path, sizeof path, "%s/claims/%s", harness_state_path(h, "quarantine"), id);
        assert_int_equal(make_path(path, 0700), 0);
        folder = open_dir(path);
        assert_int_equal(replace_file(folder, "data", buf_view(&content), 0400), 0);
        assert_int_equal(change_jobs(h, "UPDATE job SET state = 0, inbox_id = replace(inbox_id, ':stays', '')"
                                        " WHERE code = 'not_removable'"),
                         1);
}

static void test_a_file_that_can_not_be_taken_away_is_told_once_and_fills_no_disk(void **state) {
        struct harness *h = *state;
        struct json_document *doc;
        const struct json *j;
        char id[JOB_ID_CHARS + 1];

        harness_stop(h, "quarantine");
        drop_file(h, NAILED);
        assert_true(nail(h, NAILED_NAME, true));
        harness_start(h, "quarantine", NULL);
        usleep(5000000); /* two more looks at the inbox */
        assert_int_equal(count_in(h, "quarantine", "claims", NAILED, 1), 0);
        j = rig_wait_for(h, NAILED_NAME, "parked", &doc);
        assert_true(view_eq_str(json_get_view(j, "code", VIEW_NULL), "not_removable"));
        (void)snprintf(id, sizeof id, "%.*s", VIEW_ARG(json_get_view(j, "id", VIEW_NULL)));
        json_document_free(doc);

        harness_stop(h, "quarantine");
        make_half_claimed(h, id, NAILED);
        harness_start(h, "quarantine", NULL); /* does not fail over one file */
        assert_true(nail(h, NAILED_NAME, false));
}

static void change_policy(struct harness *h, const char *from, const char *to) {
        _cleanup_(closep) int config = open_dir(harness_copy_config(h)),
                              dir = openat(config, "policy", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        _cleanup_(buf_donep) struct buf text = BUF_INIT(0), changed = BUF_INIT(65536);
        size_t at;

        assert_true(dir >= 0);
        assert_int_equal(read_file_beneath(dir, "policy.yaml", 65536, &text), 0);
        at = view_find(buf_view(&text), view_of(from));
        assert_true(at != SIZE_MAX);
        assert_int_equal(buf_append_view(&changed, view_sub(buf_view(&text), 0, at)), 0);
        assert_int_equal(buf_append_str(&changed, to), 0);
        assert_int_equal(buf_append_view(&changed, view_sub(buf_view(&text), at + strlen(from), SIZE_MAX)),
                         0);
        assert_int_equal(replace_file(dir, "policy.yaml", buf_view(&changed), 0644), 0);
}

static void test_what_waits_for_the_registry_is_judged_by_the_policy_of_its_promotion(void **state) {
        struct harness *h = *state;
        struct json_document *doc;

        harness_stop(h, "registry");
        rig_drop_model(h, "waits.gguf", GOOD);
        rig_wait_for(h, "waits.gguf", "promoting", &doc);
        json_document_free(doc);
        harness_stop(h, "quarantine");
        change_policy(h, "\nformats: [gguf, ", "\nformats: [");
        harness_start(h, "registry", NULL);
        harness_start(h, "quarantine", NULL);
        rig_expect_state(h, "waits.gguf", "rejected", NULL);
        assert_false(rig_registry_has(h, "waits.gguf"));
}

static bool can_nail(void) {
        _cleanup_(temp_dir_done) struct temp_dir dir = temp_dir_new();
        _cleanup_(closep) int fd = open_beneath(dir.fd, "x", O_RDONLY | O_CREAT, 0600);

        return set_immutable(fd, true) && set_immutable(fd, false);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_no_file_is_lost_however_often_quarantine_is_killed),
                cmocka_unit_test(test_a_kill_during_the_behavioural_test_does_not_repeat_the_scan),
                cmocka_unit_test(test_answers_that_were_given_before_a_kill_are_not_asked_for_again),
                cmocka_unit_test(test_what_waits_for_the_registry_is_judged_by_the_policy_of_its_promotion),
                /* last: left out where files can't be made immutable */
                cmocka_unit_test(test_a_file_that_can_not_be_taken_away_is_told_once_and_fills_no_disk),
        };
        size_t n = ARRAY_SIZE(tests);

        if (!can_nail()) {
                printf("# NO TEST OF FILES THAT CAN'T BE REMOVED: this file system or user can't make "
                       "them\n");
                n--;
        }
        return _cmocka_run_group_tests("quarantine_kill", tests, n, rig_start, rig_stop);
}
