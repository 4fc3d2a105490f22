#include "inference/machine.h"

#include <sched.h>

#include "base/buf.h"
#include "base/file.h"
#include "base/num.h"

#define PATH_SIZE      512
#define FILE_SIZE_MAX  ((size_t)64 << 10)
#define PROCESSORS_MAX 4096u
#define CGROUP_DEPTH   32

static int read_at(const char *root, const char *path, struct buf *ret) {
        char full[PATH_SIZE];
        int n = snprintf(full, sizeof(full), "%s%s", root, path);

        if (n < 0 || (size_t)n >= sizeof(full))
                return -ENAMETOOLONG;
        return read_file(full, FILE_SIZE_MAX, ret);
}

static struct view trim(struct view v) {
        while (v.n > 0 && (v.p[v.n - 1] == '\n' || v.p[v.n - 1] == ' '))
                v.n--;
        while (v.n > 0 && v.p[0] == ' ')
                v = view_sub(v, 1, v.n);
        return v;
}

static int read_number(const char *root, const char *path, uint64_t *ret) {
        _cleanup_(buf_donep) struct buf text = BUF_INIT(FILE_SIZE_MAX);
        int r = read_at(root, path, &text);

        return r < 0 ? r : u64_parse(trim(buf_view(&text)), UINT64_MAX, ret);
}

/* --- processors --- */

/* A physical core is named by the lowest of its hardware threads: "0,4" or "0-1". */
static uint64_t first_sibling(const char *root, unsigned cpu) {
        _cleanup_(buf_donep) struct buf text = BUF_INIT(FILE_SIZE_MAX);
        char path[PATH_SIZE];
        uint64_t first;
        size_t n = 0;

        (void)snprintf(path, sizeof(path), "/sys/devices/system/cpu/cpu%u/topology/thread_siblings_list",
                       cpu);
        if (read_at(root, path, &text) < 0)
                return cpu;
        while (n < text.n && text.p[n] >= '0' && text.p[n] <= '9')
                n++;
        return u64_parse(view_sub(buf_view(&text), 0, n), PROCESSORS_MAX - 1, &first) < 0 ? cpu : first;
}

static unsigned count_cores(const char *root) {
        bool seen[PROCESSORS_MAX] = {false};
        cpu_set_t *set = CPU_ALLOC(PROCESSORS_MAX);
        size_t size = CPU_ALLOC_SIZE(PROCESSORS_MAX);
        unsigned n = 0;

        if (!set)
                return 1;
        CPU_ZERO_S(size, set);
        if (sched_getaffinity(0, size, set) == 0) {
                for (unsigned cpu = 0; cpu < PROCESSORS_MAX; cpu++) {
                        uint64_t first;

                        if (!CPU_ISSET_S(cpu, size, set))
                                continue;
                        first = first_sibling(root, cpu);
                        n += seen[first] ? 0 : 1;
                        seen[first] = true;
                }
        }
        CPU_FREE(set);
        return MAX_OF(n, 1u);
}

/* --- control groups, version 2: every group up to the root can set a limit --- */

static void quota_of(const char *root, const char *group, unsigned *cores) {
        _cleanup_(buf_donep) struct buf text = BUF_INIT(FILE_SIZE_MAX);
        char path[PATH_SIZE];
        struct view rest, quota;
        uint64_t q, period, n;

        (void)snprintf(path, sizeof(path), "/sys/fs/cgroup%s/cpu.max", group);
        if (read_at(root, path, &text) < 0)
                return;
        rest = trim(buf_view(&text));
        if (!view_split(&rest, ' ', &quota) || u64_parse(quota, UINT32_MAX, &q) < 0 ||
            u64_parse(rest, UINT32_MAX, &period) < 0 || period == 0)
                return; /* "max 100000": no quota */
        n = MAX_OF((q + period - 1) / period, UINT64_C(1));
        if (*cores == 0 || n < *cores)
                *cores = (unsigned)n;
}

static void memory_of(const char *root, const char *group, struct machine *m) {
        char path[PATH_SIZE];
        uint64_t most, used;

        (void)snprintf(path, sizeof(path), "/sys/fs/cgroup%s/memory.max", group);
        if (read_number(root, path, &most) < 0)
                return; /* "max" or no such controller */
        (void)snprintf(path, sizeof(path), "/sys/fs/cgroup%s/memory.current", group);
        if (read_number(root, path, &used) < 0)
                used = 0;
        m->memory_total = MIN_OF(m->memory_total, most);
        m->memory_available = MIN_OF(m->memory_available, most > used ? most - used : 0);
}

/* "0::/user.slice/…" is this process's group. */
static void apply_cgroup(const char *root, struct machine *m) {
        _cleanup_(buf_donep) struct buf text = BUF_INIT(FILE_SIZE_MAX);
        char group[PATH_SIZE / 2];
        struct view rest, line;
        char *slash;

        if (read_at(root, "/proc/self/cgroup", &text) < 0)
                return;
        rest = buf_view(&text);
        while (view_split(&rest, '\n', &line) && !view_starts(line, VIEW("0::/")))
                line = VIEW_NULL;
        if (line.n < 4 || line.n - 3 >= sizeof(group))
                return;
        memcpy(group, line.p + 3, line.n - 3);
        group[line.n - 3] = '\0';
        for (unsigned depth = 0; depth < CGROUP_DEPTH; depth++) {
                quota_of(root, strcmp(group, "/") == 0 ? "" : group, &m->quota_cores);
                memory_of(root, strcmp(group, "/") == 0 ? "" : group, m);
                slash = strrchr(group, '/');
                if (!slash || strcmp(group, "/") == 0)
                        return;
                slash[slash == group ? 1 : 0] = '\0';
        }
}

/* "MemAvailable:   123456 kB" */
static int meminfo(struct view text, const char *name, uint64_t *ret) {
        struct view line, key, number;

        while (view_split(&text, '\n', &line)) {
                if (!view_split(&line, ':', &key) || !view_eq_str(key, name))
                        continue;
                line = trim(line);
                if (!view_split(&line, ' ', &number) || u64_parse(number, UINT64_MAX >> 10, ret) < 0)
                        return -EIO;
                *ret <<= 10;
                return 0;
        }
        return -EIO;
}

int machine_read(const char *root, struct machine *ret) {
        _cleanup_(buf_donep) struct buf text = BUF_INIT(FILE_SIZE_MAX);
        struct machine m = {.cores = count_cores(root)};
        int r = read_at(root, "/proc/meminfo", &text);

        if (r == 0)
                r = meminfo(buf_view(&text), "MemTotal", &m.memory_total);
        if (r == 0)
                r = meminfo(buf_view(&text), "MemAvailable", &m.memory_available);
        if (r < 0)
                return -EIO;
        apply_cgroup(root, &m);
        *ret = m;
        return 0;
}

unsigned machine_threads(const struct machine *m, unsigned wanted, unsigned most) {
        unsigned n = m->cores > 1 ? m->cores - 1 : 1;

        if (m->quota_cores > 0)
                n = MIN_OF(n, m->quota_cores);
        return MIN_OF(wanted > 0 ? wanted : n, most);
}
