/* What the machine gives, what a model needs, and whether the one fits the other. */
#include <sched.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "support/cm.h"
#include "support/temp_dir.h"
#include "base/file.h"
#include "inference/limits.h"
#include "inference/plan.h"

#define GIB (UINT64_C(1) << 30)

/* --- machine --- */

static void put(const struct temp_dir *t, const char *path, const char *text) {
        char full[256], folder[256];
        _cleanup_(closep) int dir = -EBADF;
        char *slash;

        (void)snprintf(full, sizeof(full), "%s%s", t->path, path);
        (void)snprintf(folder, sizeof(folder), "%s", full);
        slash = strrchr(folder, '/');
        *slash = '\0';
        assert_int_equal(make_path(folder, 0755), 0);
        dir = open_dir(folder);
        assert_true(dir >= 0);
        assert_int_equal(replace_file(dir, slash + 1, view_of(text), 0644), 0);
}

static void put_meminfo(const struct temp_dir *t) {
        put(t, "/proc/meminfo", "MemTotal:       16777216 kB\nMemFree: 5 kB\nMemAvailable:    8388608 kB\n");
}

static void reads_this_machine(void **state) {
        struct machine m;

        assert_int_equal(machine_read("", &m), 0);
        assert_true(m.cores >= 1);
        assert_true(m.memory_total > 0 && m.memory_available <= m.memory_total);
}

static void memory_comes_from_meminfo(void **state) {
        _cleanup_(temp_dir_done) struct temp_dir t = temp_dir_new();
        struct machine m;

        put_meminfo(&t);
        assert_int_equal(machine_read(t.path, &m), 0);
        assert_int_equal(m.memory_total, 16 * GIB);
        assert_int_equal(m.memory_available, 8 * GIB);
        assert_int_equal(m.quota_cores, 0);
}

static void without_meminfo_there_is_no_answer(void **state) {
        _cleanup_(temp_dir_done) struct temp_dir t = temp_dir_new();
        struct machine m;

        assert_int_equal(machine_read(t.path, &m), -EIO);
        put(&t, "/proc/meminfo", "MemTotal: many kB\n");
        assert_int_equal(machine_read(t.path, &m), -EIO);
}

static void every_cgroup_up_to_the_root_limits(void **state) {
        _cleanup_(temp_dir_done) struct temp_dir t = temp_dir_new();
        struct machine m;

        put_meminfo(&t);
        put(&t, "/proc/self/cgroup", "1:name=systemd:/x\n0::/a/b\n");
        put(&t, "/sys/fs/cgroup/a/b/cpu.max", "max 100000\n");
        put(&t, "/sys/fs/cgroup/a/b/memory.max", "max\n");
        put(&t, "/sys/fs/cgroup/a/cpu.max", "250000 100000\n");
        put(&t, "/sys/fs/cgroup/a/memory.max", "4294967296\n");
        put(&t, "/sys/fs/cgroup/a/memory.current", "1073741824\n");
        assert_int_equal(machine_read(t.path, &m), 0);
        assert_int_equal(m.quota_cores, 3);
        assert_int_equal(m.memory_total, 4 * GIB);
        assert_int_equal(m.memory_available, 3 * GIB);
}

static void a_container_sees_its_limit_at_the_root(void **state) {
        _cleanup_(temp_dir_done) struct temp_dir t = temp_dir_new();
        struct machine m;

        put_meminfo(&t);
        put(&t, "/proc/self/cgroup", "0::/\n");
        put(&t, "/sys/fs/cgroup/memory.max", "2147483648\n");
        put(&t, "/sys/fs/cgroup/cpu.max", "50000 100000\n");
        assert_int_equal(machine_read(t.path, &m), 0);
        assert_int_equal(m.memory_available, 2 * GIB);
        assert_int_equal(m.quota_cores, 1);
}

static void hardware_threads_of_one_core_count_once(void **state) {
        _cleanup_(temp_dir_done) struct temp_dir t = temp_dir_new();
        struct machine m;
        cpu_set_t set;
        char path[128];

        put_meminfo(&t);
        assert_int_equal(sched_getaffinity(0, sizeof(set), &set), 0);
        for (unsigned cpu = 0; cpu < CPU_SETSIZE; cpu++) {
                if (!CPU_ISSET(cpu, &set))
                        continue;
                (void)snprintf(path, sizeof(path),
                               "/sys/devices/system/cpu/cpu%u/topology/thread_siblings_list", cpu);
                put(&t, path, "0-127\n");
        }
        assert_int_equal(machine_read(t.path, &m), 0);
        assert_int_equal(m.cores, 1);
}

static void threads_are_cores_minus_one_within_the_quota(void **state) {
        static const struct {
                unsigned cores, quota, wanted, most, expected;
        } cases[] = {
                {1, 0, 0, 256, 1}, {2, 0, 0, 256, 1},   {8, 0, 0, 256, 7}, {8, 3, 0, 256, 3},
                {8, 0, 8, 256, 8}, {8, 3, 12, 256, 12}, {8, 0, 9, 4, 4},   {300, 0, 0, 256, 256},
        };

        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                struct machine m = {.cores = cases[i].cores, .quota_cores = cases[i].quota};

                assert_int_equal(machine_threads(&m, cases[i].wanted, cases[i].most), cases[i].expected);
        }
}

/* --- shape: a GGUF header made by hand --- */

static void put_u32(struct buf *b, uint32_t v) {
        assert_int_equal(buf_append(b, &v, sizeof(v)), 0); /* tests run on little-endian machines */
}
static void put_u64(struct buf *b, uint64_t v) {
        assert_int_equal(buf_append(b, &v, sizeof(v)), 0);
}
static void put_text(struct buf *b, const char *s) {
        put_u64(b, strlen(s));
        assert_int_equal(buf_append_str(b, s), 0);
}
static void put_pair_u32(struct buf *b, const char *key, uint32_t v) {
        put_text(b, key);
        put_u32(b, 4);
        put_u32(b, v);
}

static void put_header(struct buf *b, uint64_t pairs) {
        assert_int_equal(buf_append_str(b, "GGUF"), 0);
        put_u32(b, 3);
        put_u64(b, 0);
        put_u64(b, pairs);
}

static int read_shape(const struct buf *b, struct shape *ret) {
        _cleanup_(closep) int fd = memfd_create("gguf", MFD_CLOEXEC);

        assert_true(fd >= 0);
        assert_int_equal(write_all(fd, b->p, b->n), 0);
        return shape_read(fd, b->n, ret);
}

static void reads_the_dimensions_among_other_keys(void **state) {
        _cleanup_(buf_donep) struct buf b = BUF_INIT(1 << 22);
        struct shape s;

        put_header(&b, 8);
        put_text(&b, "general.architecture");
        put_u32(&b, 8);
        put_text(&b, "llama");
        put_text(&b, "tokenizer.ggml.tokens"); /* an array of texts, longer than the reader's buffer */
        put_u32(&b, 9);
        put_u32(&b, 8);
        put_u64(&b, 20000);
        for (int i = 0; i < 20000; i++)
                put_text(&b, "token");
        put_pair_u32(&b, "llama.block_count", 32);
        put_pair_u32(&b, "llama.embedding_length", 4096);
        put_pair_u32(&b, "llama.attention.head_count", 32);
        put_text(&b, "llama.attention.head_count_kv"); /* one a layer: the largest counts */
        put_u32(&b, 9);
        put_u32(&b, 4);
        put_u64(&b, 3);
        put_u32(&b, 4);
        put_u32(&b, 8);
        put_u32(&b, 2);
        put_pair_u32(&b, "llama.context_length", 8192);
        put_pair_u32(&b, "llama.rope.dimension_count", 128);
        assert_int_equal(read_shape(&b, &s), 0);
        assert_int_equal(s.layers, 32);
        assert_int_equal(s.kv_heads, 8);
        assert_int_equal(s.key_length, 128);
        assert_int_equal(s.value_length, 128);
        assert_int_equal(s.context_length, 8192);
        assert_int_equal(shape_conversation_bytes(&s, 0, 8192), GIB); /* Llama 3 8B at 8192 tokens: 1 GiB */
}

static void every_cut_of_a_header_is_refused(void **state) {
        _cleanup_(buf_donep) struct buf b = BUF_INIT(1 << 16);
        struct shape s;
        size_t n;

        put_header(&b, 2);
        put_pair_u32(&b, "llama.block_count", 32);
        put_text(&b, "x");
        put_u32(&b, 9);
        put_u32(&b, 8);
        put_u64(&b, 2);
        put_text(&b, "one");
        put_text(&b, "two");
        n = b.n;
        assert_int_equal(read_shape(&b, &s), 0);
        for (b.n = 0; b.n < n; b.n++)
                assert_int_equal(read_shape(&b, &s), -EBADMSG);
}

static void absurd_headers_are_refused(void **state) {
        struct shape s;
        static const struct {
                uint32_t version, type, element;
                uint64_t pairs, count;
        } cases[] = {
                {1, 4, 0, 1, 0},       {4, 4, 0, 1, 0},
                {3, 13, 0, 1, 0},      {3, 4, 0, 65537, 0},
                {3, 9, 9, 1, 1},       {3, 9, 4, 1, UINT64_MAX},
                {3, 9, 8, 1, 1 << 24}, {3, 9, 10, 1, UINT64_MAX / 8 + 1},
        };

        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                _cleanup_(buf_donep) struct buf b = BUF_INIT(1 << 16);

                assert_int_equal(buf_append_str(&b, "GGUF"), 0);
                put_u32(&b, cases[i].version);
                put_u64(&b, 0);
                put_u64(&b, cases[i].pairs);
                put_text(&b, "a.b");
                put_u32(&b, cases[i].type);
                put_u32(&b, cases[i].element);
                put_u64(&b, cases[i].count);
                assert_true(read_shape(&b, &s) < 0);
        }
}

/* --- plan --- */

static const struct machine sixteen = {.cores = 8, .memory_total = 16 * GIB, .memory_available = 12 * GIB};
static const struct shape eight_billion = {.layers = 32,
                                           .embedding = 4096,
                                           .heads = 32,
                                           .kv_heads = 8,
                                           .key_length = 128,
                                           .value_length = 128,
                                           .context_length = 131072};

static void a_model_that_fits_gets_what_was_asked_for(void **state) {
        const struct plan_settings settings = {.context = 8192, .memory_percent = 60};
        struct plan p;

        assert_int_equal(plan_make(&sixteen, &settings, &eight_billion, 5 * GIB, &p, NULL), 0);
        assert_int_equal(p.context, 8192);
        assert_int_equal(p.threads, 7);
        assert_true(p.memory_needed > 6 * GIB && p.memory_needed < 7 * GIB);
        assert_int_equal(p.memory_limit / 100, 16 * GIB / 100 * 60 / 100);
}

static void the_context_shrinks_before_the_model_is_refused(void **state) {
        const struct plan_settings settings = {.context = 65536, .memory_percent = 60};
        struct plan p;

        assert_int_equal(plan_make(&sixteen, &settings, &eight_billion, 5 * GIB, &p, NULL), 0);
        assert_int_equal(p.context, 32768);
}

static void the_models_own_context_is_not_exceeded(void **state) {
        const struct plan_settings settings = {.context = 8192, .memory_percent = 60},
                                   free_choice = {.memory_percent = 90};
        struct shape small = {.layers = 4,
                              .heads = 4,
                              .kv_heads = 4,
                              .embedding = 128,
                              .key_length = 32,
                              .value_length = 32,
                              .context_length = 512};
        struct plan p;

        assert_int_equal(plan_make(&sixteen, &settings, &small, 1 << 20, &p, NULL), 0);
        assert_int_equal(p.context, 512);
        small.context_length = 1 << 20;
        assert_int_equal(plan_make(&sixteen, &free_choice, &small, 1 << 20, &p, NULL), 0);
        assert_int_equal(p.context, CONTEXT_CAP);
}

static void what_does_not_fit_is_refused_with_what_to_do(void **state) {
        const struct plan_settings settings = {.context = 8192, .memory_percent = 60};
        struct machine busy = sixteen;
        struct refusal why;
        struct plan p;

        assert_int_equal(plan_make(&sixteen, &settings, &eight_billion, 10 * GIB, &p, &why), -EFBIG);
        assert_int_equal(why.status, 507);
        assert_string_equal(why.code, "model_too_large");
        assert_non_null(strstr(why.text, "smaller"));
        busy.memory_available = GIB; /* other programs count */
        assert_int_equal(plan_make(&busy, &settings, &eight_billion, 5 * GIB, &p, &why), -EFBIG);
        assert_non_null(strstr(why.detail, "\"available_bytes\":1073741824"));
}

static void absurd_dimensions_do_not_overflow(void **state) {
        const struct plan_settings settings = {.context = 8192, .memory_percent = 60};
        struct shape s = {.layers = UINT32_MAX,
                          .embedding = UINT32_MAX,
                          .heads = UINT32_MAX,
                          .kv_heads = UINT32_MAX,
                          .key_length = UINT32_MAX,
                          .value_length = UINT32_MAX,
                          .context_length = UINT32_MAX};
        struct refusal why;
        struct plan p;

        assert_int_equal(shape_conversation_bytes(&s, 1, 8192), UINT64_MAX);
        assert_int_equal(plan_make(&sixteen, &settings, &s, 1 << 20, &p, &why), -EFBIG);
        assert_int_equal(plan_make(&sixteen, &settings, &(struct shape){0}, UINT64_MAX / 2, &p, &why),
                         -EFBIG);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(reads_this_machine),
                cmocka_unit_test(memory_comes_from_meminfo),
                cmocka_unit_test(without_meminfo_there_is_no_answer),
                cmocka_unit_test(every_cgroup_up_to_the_root_limits),
                cmocka_unit_test(a_container_sees_its_limit_at_the_root),
                cmocka_unit_test(hardware_threads_of_one_core_count_once),
                cmocka_unit_test(threads_are_cores_minus_one_within_the_quota),
                cmocka_unit_test(reads_the_dimensions_among_other_keys),
                cmocka_unit_test(every_cut_of_a_header_is_refused),
                cmocka_unit_test(absurd_headers_are_refused),
                cmocka_unit_test(a_model_that_fits_gets_what_was_asked_for),
                cmocka_unit_test(the_context_shrinks_before_the_model_is_refused),
                cmocka_unit_test(the_models_own_context_is_not_exceeded),
                cmocka_unit_test(what_does_not_fit_is_refused_with_what_to_do),
                cmocka_unit_test(absurd_dimensions_do_not_overflow),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
