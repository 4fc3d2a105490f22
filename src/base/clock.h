/* clock: the three clocks that the project uses, in microseconds, and timestamps for people. */
#pragma once

#include "base/macros.h"

uint64_t clock_monotonic_usec(void); /* for deadlines */
uint64_t clock_boot_usec(void);      /* counts through suspend: sessions, lockouts */
uint64_t clock_real_usec(void);      /* since 1970, may jump: shown to people and written to records only */

#define CLOCK_TEXT_SIZE 28
/* "2026-11-22T03:14:15.926535Z" into `out` (RFC 3339, UTC). */
void clock_format(uint64_t real_usec, char out[CLOCK_TEXT_SIZE]);
/* The kernel's id of this boot, 32 lower-case hex digits and a NUL; zeros when it can't be read. */
void clock_boot_id(char out[33]);

/* Remaining time until `deadline_usec` (monotonic) in milliseconds for poll(); 0 when past, at most INT_MAX. */
int clock_poll_timeout(uint64_t deadline_usec);
