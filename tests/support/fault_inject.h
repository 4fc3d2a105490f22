/* fault_inject: makes the n-th call of chosen functions fail, to walk through every failure that an operation can
 * meet. Link the test with fault_inject.c and the arguments in tests/support/meson.build (fault_inject_link_args).
 * One thread only. */
#pragma once

#include "base/macros.h"

enum fault_kind {
        FAULT_ALLOCATION = 1 << 0, /* malloc, calloc, realloc: NULL with ENOMEM */
        FAULT_READ = 1 << 1,       /* read, pread: EIO */
        FAULT_WRITE = 1 << 2,      /* write, pwrite: ENOSPC */
        FAULT_FSYNC = 1 << 3,      /* fsync, fdatasync: EIO */
        FAULT_RENAME = 1 << 4,     /* rename, renameat: ENOSPC */
        FAULT_CHMOD = 1 << 5,      /* fchmod: EPERM */
        FAULT_ALL = (1 << 6) - 1,
};

/* The n-th call (from 1) of these kinds, and no other, fails from now on. */
void fault_inject_arm(unsigned kinds, unsigned n);
/* Every read and write moves one byte, and every second one is interrupted (EINTR) first. */
void fault_inject_trickle(bool on);
/* Ends both. True when a call was made to fail. */
bool fault_inject_disarm(void);

/* Runs `operation` with its first, second, third… call failing until it runs through untouched, and `check` after
 * each run (result < 0 after a failed one; an operation may also survive the fault). Returns how many runs met
 * a fault; aborts after 10,000. */
unsigned fault_inject_walk(unsigned kinds, int (*operation)(void *), void (*check)(int result, void *),
                           void *userdata);
