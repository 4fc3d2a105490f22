/* Folders through the scan: what is believed of two workers, and that the listing is quarantine's own whatever they do. */
#include "support/cm.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/num.h"
#include "quarantine/scan_set.h"
#include "support/setgen.h"
#include "support/temp_dir.h"

#define SHARDS      5u
#define SHARD_BYTES ((size_t)3 * RING_SLOT_BYTES + 1000)

static struct launcher *real, *fake;
static int rules = -EBADF, no_rules = -EBADF;

static int make_all(void **state) {
        struct launcher_config lying = {.libexec_path = secure_getenv("SECAI_FAKE_WORKER"),
                                        .socket_dir = "/tmp"},
                               honest = {.socket_dir = "/tmp"};
        _cleanup_(freep) char *libexec = NULL, *yara = NULL;
        _cleanup_(closep) int dir = -EBADF;
        struct fault why = FAULT_NONE;
        struct sha256 digest;

        assert_true(asprintf(&libexec, "%s/usr/libexec/secure-ai", secure_getenv("SECAI_STAGE")) > 0);
        assert_true(asprintf(&yara, "%s/share/yara", secure_getenv("SECAI_SOURCE")) > 0);
        honest.libexec_path = libexec;
        dir = open_dir(yara);
        assert_true(dir >= 0);
        assert_int_equal(scan_rules_collect(dir, &rules, &digest, &why), 0);
        no_rules = memfd_create("rules", MFD_CLOEXEC);
        assert_int_equal(launcher_start(&lying, &fake), 0);
        return launcher_start(&honest, &real);
}

static int drop_all(void **state) {
        launcher_free(real);
        launcher_free(fake);
        close_fd(rules);
        close_fd(no_rules);
        return 0;
}

static int scan_into(int dir, bool is_real, uint64_t patience, const struct scan_watch *watch,
                     struct scan_set_result *ret) {
        struct scan_engine e = {.launcher = is_real ? real : fake,
                                .rules_fd = is_real ? rules : no_rules,
                                .start_usec = patience,
                                .stall_usec = patience};
        _cleanup_(set_walk_donep) struct set_walk walk = {0};
        struct fault why = FAULT_NONE;

        assert_int_equal(set_walk(dir, &walk, &why), 0);
        return scan_set(&e, dir, &walk, watch, ret);
}

static struct scan_set_result *scan(int dir, bool is_real, uint64_t patience) {
        struct scan_set_result *r = calloc(1, sizeof *r);

        assert_non_null(r);
        assert_int_equal(scan_into(dir, is_real, patience, NULL, r), 0);
        return r;
}

/* By another way than the scan's. */
static struct sha256 listing_digest(int dir) {
        _cleanup_(set_listing_donep) struct set_listing l = {0};
        _cleanup_(set_walk_donep) struct set_walk walk = {0};
        struct sha256 digest;

        assert_int_equal(set_walk(dir, &walk, NULL), 0);
        for (size_t i = 0; i < walk.n; i++) {
                _cleanup_(closep) int fd = set_walk_open(dir, &walk.files[i]);
                struct sha256 one;

                assert_int_equal(sha256_of_fd(fd, walk.files[i].size, &one), 0);
                assert_int_equal(set_listing_add(&l, view_of(walk.files[i].path), walk.files[i].size, &one),
                                 0);
        }
        assert_int_equal(set_listing_digest(&l, &digest), 0);
        return digest;
}

static void two_workers_read_a_sharded_model_once_and_agree_with_its_listing(void **state) {
        _cleanup_(temp_dir_done) struct temp_dir t = temp_dir_new();
        _cleanup_(scan_set_result_freep) struct scan_set_result *r = NULL;
        struct sha256 expected;

        setgen_sharded(t.fd, SHARDS, SHARD_BYTES, 0);
        expected = listing_digest(t.fd);
        r = scan(t.fd, true, 0);
        assert_int_equal(r->whole.trouble, WORKER_FINE);
        for (size_t i = 0; i < r->whole.findings.n; i++)
                if (r->whole.findings.list[i].severity == FINDING_REJECT)
                        fail_msg("%s %s", r->whole.findings.list[i].rule, r->whole.findings.list[i].message);
        assert_int_equal(r->whole.summary.kind, MODEL_KIND_SAFETENSORS_SET);
        assert_int_equal(r->whole.summary.tensors, SHARDS);
        assert_memory_equal(&r->whole.sha256, &expected, sizeof expected);
        assert_int_equal(r->listing.n, SHARDS + 2);
        assert_int_equal(r->kinds[0], MODEL_KIND_JSON);
        assert_int_equal(r->kinds[1], MODEL_KIND_SAFETENSORS);
}

/* Which lane reads a file is chance; what is said must not depend on it. */
static void findings_come_in_the_order_of_the_members(void **state) {
        _cleanup_(temp_dir_done) struct temp_dir t = temp_dir_new();
        static const char pickle[] = "\x80\x04"
                                     "cos\nsystem\n(S'true'\ntR.";
        struct scan_set_result *first = NULL;

        setgen_sharded(t.fd, SHARDS, SHARD_BYTES, 0);
        setgen_write(t.fd, "model-00002-of-00005.safetensors", VIEW(pickle));
        setgen_write(t.fd, "model-00004-of-00005.safetensors", VIEW("PK\3\4 not this either"));
        for (unsigned i = 0; i < 4; i++) {
                struct scan_set_result *r = scan(t.fd, true, 0);

                assert_true(r->whole.findings.n > 3);
                for (size_t k = 1; k < r->whole.findings.n; k++)
                        assert_true(r->whole.findings.list[k].member >= r->whole.findings.list[k - 1].member);
                if (first)
                        assert_memory_equal(&first->whole.findings, &r->whole.findings,
                                            sizeof r->whole.findings);
                else {
                        first = r;
                        continue;
                }
                scan_set_result_free(r);
        }
        scan_set_result_free(first);
}

static const struct {
        const char *name;
        enum worker_trouble trouble;
} lies[] = {
        {"crash-at-the-second-lane", WORKER_CRASHED},
        {"no-summary", WORKER_CRASHED},
        {"hang-at-a-member", WORKER_STUCK},
        {"failed", WORKER_NOT_READY},
        {"member-of-another", WORKER_LIED},
        {"size-of-another-member", WORKER_LIED},
        {"member-twice", WORKER_LIED},
        {"taken-between-files", WORKER_LIED},
        {"finding-of-no-member", WORKER_LIED},
        {"place-beyond-the-member", WORKER_LIED},
        {"place-in-the-whole", WORKER_LIED},
        {"stage-six-of-a-set", WORKER_LIED},
        {"size-of-another", WORKER_LIED},
        {"flood", WORKER_FLOODED},
        {"honest", WORKER_FINE},
};

static void a_worker_in_trouble_is_a_rejection_and_the_listing_is_right(void **state) {
        for (size_t i = 0; i < ARRAY_SIZE(lies); i++) {
                _cleanup_(temp_dir_done) struct temp_dir t = temp_dir_new();
                _cleanup_(scan_set_result_freep) struct scan_set_result *r = NULL;
                bool hangs = lies[i].trouble == WORKER_STUCK;
                struct sha256 expected;
                char name[64];

                setgen_sharded(t.fd, SHARDS, SHARD_BYTES, 0);
                (void)snprintf(name, sizeof name, "%s.txt", lies[i].name);
                setgen_write(t.fd, name, VIEW("x"));
                expected = listing_digest(t.fd);
                r = scan(t.fd, false, hangs ? USEC_PER_SEC / 2 : 20 * USEC_PER_SEC);
                if (r->whole.trouble != lies[i].trouble)
                        fail_msg("%s: trouble %d, expected %d", lies[i].name, (int)r->whole.trouble,
                                 (int)lies[i].trouble);
                assert_memory_equal(&r->whole.sha256, &expected, sizeof expected);
                if (lies[i].trouble != WORKER_FINE) {
                        assert_int_equal(r->whole.findings.n, 1);
                        assert_string_equal(r->whole.findings.list[0].rule,
                                            worker_trouble_rule(lies[i].trouble));
                        assert_int_equal(r->whole.summary.kind, MODEL_KIND_UNKNOWN);
                }
        }
}

struct change {
        const struct temp_dir *t;
        void (*make)(int dir);
        bool made;
};

static bool change_now(uint64_t bytes, void *userdata) {
        struct change *c = userdata;

        if (!c->made)
                c->make(c->t->fd);
        c->made = true;
        return true;
}

static void append(int dir) {
        _cleanup_(closep) int fd = openat(dir, "config.json", O_WRONLY | O_APPEND | O_CLOEXEC);

        assert_int_equal(write_all(fd, " ", 1), 0);
}
static void truncate_last(int dir) {
        _cleanup_(closep) int fd = openat(dir, "model-00005-of-00005.safetensors", O_WRONLY | O_CLOEXEC);

        assert_int_equal(ftruncate(fd, 100), 0);
}
static void replace(int dir) {
        setgen_write(dir, "x", VIEW("{\"model_type\":\"gpt2\"} "));
        assert_int_equal(renameat(dir, "x", dir, "config.json"), 0);
}
static void rename_there_and_back(int dir) {
        assert_int_equal(renameat(dir, "config.json", dir, "x"), 0);
        assert_int_equal(renameat(dir, "x", dir, "config.json"), 0);
}
static void add(int dir) {
        setgen_write(dir, "new.json", VIEW("{}"));
}
static void take_away(int dir) {
        assert_int_equal(unlinkat(dir, "model-00003-of-00005.safetensors", 0), 0);
}
static void link_hard(int dir) {
        assert_int_equal(linkat(dir, "config.json", dir, "second.json", 0), 0);
}
static void write_by_map(int dir) {
        _cleanup_(closep) int fd = openat(dir, "model-00001-of-00005.safetensors", O_RDWR | O_CLOEXEC);
        char *p = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

        assert_ptr_not_equal(p, MAP_FAILED);
        p[8] = ' ';
        assert_int_equal(msync(p, 4096, MS_SYNC), 0);
        assert_int_equal(munmap(p, 4096), 0);
}

static void what_changes_during_the_scan_is_noticed(void **state) {
        static void (*const changes[])(int) = {append, truncate_last, replace,   rename_there_and_back,
                                               add,    take_away,     link_hard, write_by_map};

        for (size_t i = 0; i < ARRAY_SIZE(changes); i++) {
                _cleanup_(temp_dir_done) struct temp_dir t = temp_dir_new();
                _cleanup_(scan_set_result_freep) struct scan_set_result *r = calloc(1, sizeof *r);
                struct change c = {.t = &t, .make = changes[i]};
                struct scan_watch watch = {.progress = change_now, .userdata = &c};

                setgen_sharded(t.fd, SHARDS, SHARD_BYTES, 0);
                if (scan_into(t.fd, true, 0, &watch, r) != -ESTALE)
                        fail_msg("change %zu was not noticed", i);
                assert_true(c.made);
        }
}

static bool stop_at_once(uint64_t bytes, void *userdata) {
        return false;
}

static void a_pass_can_be_stopped(void **state) {
        _cleanup_(temp_dir_done) struct temp_dir t = temp_dir_new();
        _cleanup_(scan_set_result_freep) struct scan_set_result *r = calloc(1, sizeof *r);
        struct scan_watch watch = {.progress = stop_at_once};

        setgen_sharded(t.fd, SHARDS, SHARD_BYTES, 0);
        assert_int_equal(scan_into(t.fd, true, 0, &watch, r), -ECANCELED);
}

/* More files than a socket's queue holds packets, and an empty one among them. */
static void many_small_files_are_read_in_order(void **state) {
        _cleanup_(temp_dir_done) struct temp_dir t = temp_dir_new();
        _cleanup_(scan_set_result_freep) struct scan_set_result *r = NULL;
        struct sha256 expected;
        char name[32];

        for (unsigned i = 0; i < 600; i++) {
                (void)snprintf(name, sizeof name, "%03u.json", i);
                setgen_write(t.fd, name, i == 300 ? VIEW_NULL : VIEW("{\"a\":1}"));
        }
        setgen_sharded(t.fd, 2, 4096, 0);
        expected = listing_digest(t.fd);
        r = scan(t.fd, true, 0);
        assert_int_equal(r->whole.trouble, WORKER_FINE);
        assert_memory_equal(&r->whole.sha256, &expected, sizeof expected);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(two_workers_read_a_sharded_model_once_and_agree_with_its_listing),
                cmocka_unit_test(findings_come_in_the_order_of_the_members),
                cmocka_unit_test(a_worker_in_trouble_is_a_rejection_and_the_listing_is_right),
                cmocka_unit_test(what_changes_during_the_scan_is_noticed),
                cmocka_unit_test(a_pass_can_be_stopped),
                cmocka_unit_test(many_small_files_are_read_in_order),
        };

        return cmocka_run_group_tests_name("sets", tests, make_all, drop_all);
}
