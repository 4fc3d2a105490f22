/* machine: how many processors and how much memory this process may use: physical cores, CPU affinity and the
 * cgroup's quota; free memory of the machine and of the cgroup. Reads /proc and /sys beneath `root` ("" for the real
 * ones), so that tests can show it another machine. */
#pragma once

#include "base/view.h"

struct machine {
        unsigned cores;            /* physical ones that the affinity mask allows; at least 1 */
        unsigned quota_cores;      /* cpu.max rounded up; 0: no quota */
        uint64_t memory_total;     /* of the machine, or the cgroup's limit when that is less */
        uint64_t memory_available; /* now */
};

/* What can't be read is left at the safe side: 1 core, no quota. -EIO when the memory can't be found out. */
SAI_NODISCARD int machine_read(const char *root, struct machine *ret);
/* Physical cores minus one, at least one, at most the quota; `wanted` > 0 is the owner's choice and only cut at `most`. */
unsigned machine_threads(const struct machine *m, unsigned wanted, unsigned most);
