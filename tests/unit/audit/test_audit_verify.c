#include "support/cm.h"

#include <fcntl.h>

#include "base/file.h"
#include "base/text.h"
#include "core/audit_state.h"
#include "log_fixture.h"

/* One log for all cases: three rotated files and an active one, checkpoints, cleanly closed; each case damages a copy. */
static struct log_fixture original;

static const char *const file_names[] = {"audit.log.000001", "audit.log.000002", "audit.log.000003",
                                         "audit.log"};
#define FILES   ARRAY_SIZE(file_names)
#define DAMAGED "audit.log.000002" /* where most cases do their work */

static int make_original(void **state) {
        struct log_store *s;

        log_fixture_make(&original);
        original.rotate_bytes = 8192;
        original.checkpoint_each = 10;
        s = log_fixture_open(&original);
        log_fixture_append(s, 64);
        for (unsigned i = 0; i < 12; i++)
                log_fixture_append(s, 2);
        log_store_close(s);
        assert_int_equal(faccessat(original.log_dir, file_names[2], F_OK, 0), 0);
        return 0;
}

static int drop_original(void **state) {
        log_fixture_done(&original);
        return 0;
}

/* The line with that number (1-based), newline included. */
static struct view line_of(const struct buf *b, unsigned number) {
        struct view rest = buf_view(b), line = VIEW_NULL;

        for (unsigned i = 0; i < number; i++)
                assert_true(view_split(&rest, '\n', &line));
        return view_make(line.p, line.n + 1);
}

static uint64_t sequence_of(const struct log_fixture *f, const char *name, unsigned number) {
        struct buf b = file_get(f->log_dir, name);
        struct view v = line_of(&b, number);
        struct audit_line line;
        uint64_t n;

        assert_int_equal(audit_line_parse(view_sub(v, 0, v.n - 1), &line), 0);
        n = line.sequence;
        buf_done(&b);
        return n;
}

static unsigned lines_in(const struct log_fixture *f, const char *name) {
        struct buf b = file_get(f->log_dir, name);
        struct view rest = buf_view(&b), line;
        unsigned n = 0;

        while (view_split(&rest, '\n', &line))
                n++;
        buf_done(&b);
        return n;
}

/* Puts the file together anew from `parts`. */
static void put_parts(const struct log_fixture *f, const char *name, const struct view *parts, size_t n) {
        struct buf b = BUF_INIT((size_t)1 << 20);

        for (size_t i = 0; i < n; i++)
                assert_int_equal(buf_append_view(&b, parts[i]), 0);
        file_put(f->log_dir, name, buf_view(&b));
        buf_done(&b);
}

/* Changes one byte of the value that follows `key` in line 3 of DAMAGED. */
static void flip(const struct log_fixture *f, const char *key, size_t at) {
        struct buf b = file_get(f->log_dir, DAMAGED);
        struct view line = line_of(&b, 3);
        size_t where = view_find(line, view_of(key));

        assert_true(where != SIZE_MAX);
        where += strlen(key) + at + (size_t)(line.p - b.p);
        b.p[where] = b.p[where] == '7' ? '5' : '7';
        file_put(f->log_dir, DAMAGED, buf_view(&b));
        buf_done(&b);
}

static void test_each_changed_field_is_found_with_its_place(void **state) {
        static const struct {
                const char *key;
                size_t at;
                const char *code;
        } cases[] = {
                {"\"time\":\"", 3, "record_changed"},     {"\"boot\":\"", 4, "record_changed"},
                {"\"caller\":\"", 1, "record_changed"},   {"\"event\":\"", 2, "record_changed"},
                {"\"decision\":\"", 0, "record_changed"}, {"\"rule\":\"", 0, "record_changed"},
                {"\"subject\":\"", 5, "record_changed"},  {"\"number\":", 0, "record_changed"},
                {"\"prev\":\"", 9, "record_swapped"},     {"\"hash\":\"", 63, "record_changed"},
                {"{\"sequenc", 0, "record_malformed"},    {"\"hash\":", 0, "record_malformed"},
        };

        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                struct log_fixture f;
                struct audit_report p;

                log_fixture_copy(&original, &f);
                flip(&f, cases[i].key, cases[i].at);
                p = log_fixture_verify(&f);
                assert_false(p.ok);
                assert_string_equal(p.code, cases[i].code);
                assert_string_equal(p.file, DAMAGED);
                assert_int_equal(p.line, 3);
                assert_int_equal(p.sequence, sequence_of(&original, DAMAGED, 3));
                log_fixture_done(&f);
        }
}

static void cut_last_line(struct log_fixture *f) {
        struct buf b = file_get(f->log_dir, "audit.log");
        struct view last = line_of(&b, lines_in(f, "audit.log"));

        b.n -= last.n;
        file_put(f->log_dir, "audit.log", buf_view(&b));
        buf_done(&b);
}

static void cut_half_a_line(struct log_fixture *f) {
        struct buf b = file_get(f->log_dir, "audit.log");

        b.n -= 40;
        file_put(f->log_dir, "audit.log", buf_view(&b));
        buf_done(&b);
}

static void drop_lines(struct log_fixture *f) {
        struct buf b = file_get(f->log_dir, DAMAGED);
        struct view l4 = line_of(&b, 4), l5 = line_of(&b, 5);
        struct view parts[] = {view_sub(buf_view(&b), 0, (size_t)(l4.p - b.p)),
                               view_sub(buf_view(&b), (size_t)(l5.p - b.p) + l5.n, SIZE_MAX)};

        put_parts(f, DAMAGED, parts, 2);
        buf_done(&b);
}

static void swap_lines(struct log_fixture *f) {
        struct buf b = file_get(f->log_dir, DAMAGED);
        struct view l3 = line_of(&b, 3), l4 = line_of(&b, 4);
        struct view parts[] = {view_sub(buf_view(&b), 0, (size_t)(l3.p - b.p)), l4, l3,
                               view_sub(buf_view(&b), (size_t)(l4.p - b.p) + l4.n, SIZE_MAX)};

        put_parts(f, DAMAGED, parts, 4);
        buf_done(&b);
}

static void duplicate_line(struct log_fixture *f) {
        struct buf b = file_get(f->log_dir, DAMAGED);
        struct view l3 = line_of(&b, 3);
        size_t end = (size_t)(l3.p - b.p) + l3.n;
        struct view parts[] = {view_sub(buf_view(&b), 0, end), l3, view_sub(buf_view(&b), end, SIZE_MAX)};

        put_parts(f, DAMAGED, parts, 3);
        buf_done(&b);
}

static void join_lines(struct log_fixture *f) {
        struct buf b = file_get(f->log_dir, DAMAGED);
        struct view l3 = line_of(&b, 3);

        b.p[(size_t)(l3.p - b.p) + l3.n - 1] = ' ';
        file_put(f->log_dir, DAMAGED, buf_view(&b));
        buf_done(&b);
}

static void insert_empty_line(struct log_fixture *f) {
        struct buf b = file_get(f->log_dir, DAMAGED);
        size_t at = (size_t)(line_of(&b, 3).p - b.p);
        struct view parts[] = {view_sub(buf_view(&b), 0, at), VIEW("\n"),
                               view_sub(buf_view(&b), at, SIZE_MAX)};

        put_parts(f, DAMAGED, parts, 3);
        buf_done(&b);
}

static void zero_a_line(struct log_fixture *f) {
        struct buf b = file_get(f->log_dir, DAMAGED);
        struct view l3 = line_of(&b, 3);

        memset(b.p + (l3.p - b.p), 0, l3.n - 1);
        file_put(f->log_dir, DAMAGED, buf_view(&b));
        buf_done(&b);
}

static void cut_rotated_file(struct log_fixture *f) {
        struct buf b = file_get(f->log_dir, DAMAGED);

        b.n -= 10;
        file_put(f->log_dir, DAMAGED, buf_view(&b));
        buf_done(&b);
}

static void empty_log(struct log_fixture *f) {
        file_put(f->log_dir, "audit.log", VIEW(""));
}

static void empty_rotated_file(struct log_fixture *f) {
        file_put(f->log_dir, DAMAGED, VIEW(""));
}

static void delete_log(struct log_fixture *f) {
        assert_int_equal(unlinkat(f->log_dir, "audit.log", 0), 0);
}

static void delete_rotated_file(struct log_fixture *f) {
        assert_int_equal(unlinkat(f->log_dir, DAMAGED, 0), 0);
}

static void delete_all_files(struct log_fixture *f) {
        for (size_t i = 0; i < FILES; i++)
                assert_int_equal(unlinkat(f->log_dir, file_names[i], 0), 0);
}

static void exchange_rotated_files(struct log_fixture *f) {
        assert_int_equal(renameat2(f->log_dir, file_names[0], f->log_dir, file_names[1], RENAME_EXCHANGE), 0);
}

static void link_instead_of_file(struct log_fixture *f) {
        assert_int_equal(renameat(f->log_dir, DAMAGED, f->log_dir, "elsewhere"), 0);
        assert_int_equal(symlinkat("elsewhere", f->log_dir, DAMAGED), 0);
}

/* As the service would write it, but by somebody who does not have the key. */
static void append_foreign_record(struct log_fixture *f) {
        struct audit_entry e = {
                .caller = VIEW("registry"), .event = VIEW("model_promoted"), .decision = VIEW("allow")};
        struct audit_state s;
        struct buf b = file_get(f->log_dir, "audit.log");
        int fd = open_beneath(f->writer_dir, AUDIT_STATE_NAME, O_RDONLY, 0);

        assert_int_equal(audit_state_read(fd, &s), 0);
        memset(s.chain.key, 'x', sizeof s.chain.key);
        assert_int_equal(audit_line_append(&s.chain, &e, 1, "00", &b), 0);
        file_put(f->log_dir, "audit.log", buf_view(&b));
        buf_done(&b);
        close_fd(fd);
}

/* Who takes over the writer has the newest key: enough to write on, not enough for what was before. */
static void rewrite_with_the_newest_key(struct log_fixture *f) {
        struct audit_entry e = {
                .caller = VIEW("tester"), .event = VIEW("nothing_happened"), .decision = VIEW("info")};
        struct buf b = file_get(f->log_dir, DAMAGED), forged = BUF_INIT(AUDIT_LINE_MAX * 2);
        struct view l2 = line_of(&b, 2), l3 = line_of(&b, 3);
        struct audit_state s;
        struct audit_line before;
        int fd = open_beneath(f->writer_dir, AUDIT_STATE_NAME, O_RDONLY, 0);

        assert_int_equal(audit_state_read(fd, &s), 0);
        assert_int_equal(audit_line_parse(view_sub(l2, 0, l2.n - 1), &before), 0);
        s.chain.next_sequence = before.sequence + 1;
        s.chain.last = before.hash;
        assert_int_equal(audit_line_append(&s.chain, &e, 1, "00", &forged), 0);
        put_parts(f, DAMAGED,
                  (struct view[]){view_sub(buf_view(&b), 0, (size_t)(l3.p - b.p)), buf_view(&forged),
                                  view_sub(buf_view(&b), (size_t)(l3.p - b.p) + l3.n, SIZE_MAX)},
                  3);
        buf_done(&b);
        buf_done(&forged);
        close_fd(fd);
}

/* Cuts the last record and writes a state that ends before it, with the key at hand. */
static void turn_the_state_back(struct log_fixture *f) {
        struct buf b = file_get(f->log_dir, "audit.log");
        struct view last = line_of(&b, lines_in(f, "audit.log"));
        struct audit_line line;
        struct audit_state s;
        int fd = open_beneath(f->writer_dir, AUDIT_STATE_NAME, O_RDWR, 0);

        assert_int_equal(audit_line_parse(view_sub(last, 0, last.n - 1), &line), 0);
        assert_int_equal(audit_state_read(fd, &s), 0);
        s.chain.next_sequence--;
        s.chain.last = line.prev;
        s.tree.count--;
        s.offset -= last.n;
        assert_int_equal(audit_state_store(fd, &s), 0);
        b.n -= last.n;
        file_put(f->log_dir, "audit.log", buf_view(&b));
        assert_int_equal(unlinkat(f->log_dir, "audit.head", 0), 0);
        buf_done(&b);
        close_fd(fd);
}

static void flip_in(int dir, const char *name, const char *after) {
        struct buf b = file_get(dir, name);
        size_t at = view_find(buf_view(&b), view_of(after));

        assert_true(at != SIZE_MAX);
        at += strlen(after);
        b.p[at] = b.p[at] == '1' ? '2' : '1';
        file_put(dir, name, buf_view(&b));
        buf_done(&b);
}

static void edit_head_count(struct log_fixture *f) {
        flip_in(f->log_dir, "audit.head", "\"count\":");
}

static void edit_head_root(struct log_fixture *f) {
        flip_in(f->log_dir, "audit.head", "\"root\":\"");
}

static void delete_head(struct log_fixture *f) {
        assert_int_equal(unlinkat(f->log_dir, "audit.head", 0), 0);
}

/* A head that the right key signed, but over another log. */
static void head_of_another_log(struct log_fixture *f) {
        struct signing_key *key = NULL;
        struct audit_checkpoint c = {.count = 5};
        struct buf b = BUF_INIT(4096);

        assert_int_equal(signing_key_load(f->writer_dir, "checkpoint.key", false, &key), 0);
        assert_int_equal(audit_checkpoint_sign(&c, key, &b), 0);
        file_put(f->log_dir, "audit.head", buf_view(&b));
        buf_done(&b);
        signing_key_free(key);
}

static void change_state(struct log_fixture *f) {
        struct buf b = file_get(f->writer_dir, AUDIT_STATE_NAME);

        b.p[30] ^= 1;
        b.p[AUDIT_STATE_SLOT_SIZE + 30] ^= 1;
        file_put(f->writer_dir, AUDIT_STATE_NAME, buf_view(&b));
        buf_done(&b);
}

static void delete_state(struct log_fixture *f) {
        assert_int_equal(unlinkat(f->writer_dir, AUDIT_STATE_NAME, 0), 0);
}

static void delete_verify_key(struct log_fixture *f) {
        assert_int_equal(unlinkat(f->state_dir, AUDIT_VERIFY_KEY_NAME, 0), 0);
}

static void other_verify_key(struct log_fixture *f) {
        file_put(f->state_dir, AUDIT_VERIFY_KEY_NAME, VIEW("0123456789abcdef0123456789abcdef"));
}

static void other_checkpoint_key(struct log_fixture *f) {
        struct signing_key *key = NULL;
        struct buf pem = BUF_INIT(4096);

        assert_int_equal(signing_key_load(f->state_dir, "other.key", true, &key), 0);
        assert_int_equal(signing_key_public_pem(key, &pem), 0);
        file_put(f->state_dir, AUDIT_CHECKPOINT_PUBLIC, buf_view(&pem));
        assert_int_equal(unlinkat(f->log_dir, "audit.head", 0), 0);
        buf_done(&pem);
        signing_key_free(key);
}

static void test_each_tampering_is_found_and_named(void **state) {
        static const struct {
                const char *name;
                void (*tamper)(struct log_fixture *f);
                const char *code, *file;
        } cases[] = {
                {"last line cut", cut_last_line, "log_cut", "audit.log"},
                {"last line cut in half", cut_half_a_line, "record_torn", "audit.log"},
                {"middle lines cut", drop_lines, "record_missing", DAMAGED},
                {"lines swapped", swap_lines, "record_missing", DAMAGED},
                {"line duplicated", duplicate_line, "record_repeated", DAMAGED},
                {"lines joined", join_lines, "record_swapped", DAMAGED},
                {"empty line inserted", insert_empty_line, "record_malformed", DAMAGED},
                {"line overwritten with zeros", zero_a_line, "record_malformed", DAMAGED},
                {"rotated file cut", cut_rotated_file, "record_torn", DAMAGED},
                {"log emptied", empty_log, "log_cut", "audit.log"},
                {"rotated file emptied", empty_rotated_file, "record_missing", "audit.log.000003"},
                {"log deleted", delete_log, "log_missing", "audit.log"},
                {"rotated file deleted", delete_rotated_file, "file_missing", DAMAGED},
                {"everything deleted", delete_all_files, "file_missing", "audit.log.000001"},
                {"rotated files exchanged", exchange_rotated_files, "record_missing", "audit.log.000001"},
                {"foreign record appended", append_foreign_record, "record_foreign", "audit.log"},
                {"record rewritten with the newest key", rewrite_with_the_newest_key, "record_changed",
                 DAMAGED},
                {"state turned back", turn_the_state_back, "state_changed", "audit.log"},
                {"head: count changed", edit_head_count, "head_changed", "audit.head"},
                {"head: root changed", edit_head_root, "head_changed", "audit.head"},
                {"head deleted", delete_head, "head_missing", "audit.head"},
                {"head of another log", head_of_another_log, "head_changed", "audit.log.000001"},
                {"state changed", change_state, "state_changed", "writer/state"},
                {"state deleted", delete_state, "state_missing", "writer/state"},
                {"verification key deleted", delete_verify_key, "key_missing", "verify.key"},
                {"another verification key", other_verify_key, "record_changed", "audit.log.000001"},
                {"another checkpoint key", other_checkpoint_key, "checkpoint_wrong", "audit.log.000001"},
        };

        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                struct log_fixture f;
                struct audit_report p;

                log_fixture_copy(&original, &f);
                cases[i].tamper(&f);
                p = log_fixture_verify(&f);
                if (p.ok || strcmp(p.code, cases[i].code) != 0 || strcmp(p.file, cases[i].file) != 0)
                        fail_msg("%s: got %s in %s line %llu (%s)", cases[i].name, p.code, p.file,
                                 (unsigned long long)p.line, p.text);
                assert_true(p.text[0]);
                log_fixture_done(&f);
        }
}

static void test_a_link_in_place_of_a_file_is_not_followed(void **state) {
        struct log_fixture f;
        struct audit_report p;

        log_fixture_copy(&original, &f);
        link_instead_of_file(&f);
        assert_int_equal(audit_verify(f.log_dir, f.state_dir, &p), -ELOOP);
        log_fixture_done(&f);
}

static void test_an_untouched_log_is_ok_and_counted(void **state) {
        struct audit_report p = log_fixture_verify(&original);

        assert_true(p.ok);
        assert_string_equal(p.code, "ok");
        assert_int_equal(p.files, FILES);
        assert_true(p.records >= 89); /* log_opened, 88 of ours, checkpoints */
        assert_true(p.checkpoints >= 4);
        assert_int_equal(p.recoveries, 0);
        assert_int_equal(p.torn_bytes, 0);
}

static void test_an_older_copy_of_everything_is_noticed_after_a_verification(void **state) {
        struct log_fixture old, now;
        struct log_store *s;
        struct audit_report p;

        log_fixture_copy(&original, &old);
        log_fixture_copy(&original, &now);
        s = log_fixture_open(&now);
        log_fixture_append(s, 5);
        log_store_close(s);
        p = log_fixture_verify(&now);
        assert_true(p.ok);
        assert_int_equal(audit_verify_remember(now.state_dir, &p), 0);
        assert_true(log_fixture_verify(&now).ok);

        /* the verifier's notebook stays, log and writer's state are the old ones */
        assert_int_equal(renameat(now.state_dir, "verified.json", old.state_dir, "verified.json"), 0);
        p = log_fixture_verify(&old);
        assert_false(p.ok);
        assert_string_equal(p.code, "rolled_back");

        /* and when it is written on past that point */
        s = log_fixture_open(&old);
        log_fixture_append(s, 40);
        log_store_close(s);
        p = log_fixture_verify(&old);
        assert_false(p.ok);
        assert_string_equal(p.code, "rolled_back");
        log_fixture_done(&old);
        log_fixture_done(&now);
}

static void test_a_log_that_never_ran_is_not_ok(void **state) {
        struct log_fixture f;
        struct audit_report p;

        log_fixture_make(&f);
        p = log_fixture_verify(&f);
        assert_false(p.ok);
        assert_string_equal(p.code, "log_empty");
        log_fixture_done(&f);
}

static void test_a_broken_report_is_not_remembered(void **state) {
        struct log_fixture f;
        struct audit_report p;

        log_fixture_copy(&original, &f);
        empty_log(&f);
        p = log_fixture_verify(&f);
        assert_int_equal(audit_verify_remember(f.state_dir, &p), -EINVAL);
        log_fixture_done(&f);
}

static void test_merkle_roots_are_those_of_rfc_6962(void **state) {
        /* leaves "", 0x00, 0x10 of the certificate-transparency reference tree */
        static const struct {
                size_t n;
                const char *root;
        } cases[] = {
                {0, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},
                {1, "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d"},
                {2, "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125"},
                {3, "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77"},
        };
        static const struct view leaves[] = {{"", 0}, {"\0", 1}, {"\x10", 1}};

        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                struct audit_tree t = {0};
                struct sha256 root;
                char hex[SHA256_HEX_SIZE];

                for (size_t k = 0; k < cases[i].n; k++)
                        assert_int_equal(audit_tree_add(&t, leaves[k]), 0);
                assert_int_equal(audit_tree_root(&t, &root), 0);
                sha256_hex(&root, hex);
                assert_string_equal(hex, cases[i].root);
        }
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_merkle_roots_are_those_of_rfc_6962),
                cmocka_unit_test(test_an_untouched_log_is_ok_and_counted),
                cmocka_unit_test(test_each_changed_field_is_found_with_its_place),
                cmocka_unit_test(test_each_tampering_is_found_and_named),
                cmocka_unit_test(test_a_link_in_place_of_a_file_is_not_followed),
                cmocka_unit_test(test_an_older_copy_of_everything_is_noticed_after_a_verification),
                cmocka_unit_test(test_a_log_that_never_ran_is_not_ok),
                cmocka_unit_test(test_a_broken_report_is_not_remembered),
        };

        return cmocka_run_group_tests(tests, make_original, drop_original);
}
