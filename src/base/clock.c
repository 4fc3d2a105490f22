#include "base/clock.h"

#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <time.h>

static uint64_t read_clock(clockid_t id) {
        struct timespec ts = {0};

        (void)clock_gettime(id, &ts);
        return (uint64_t)ts.tv_sec * USEC_PER_SEC + (uint64_t)ts.tv_nsec / 1000;
}

uint64_t clock_monotonic_usec(void) {
        return read_clock(CLOCK_MONOTONIC);
}

uint64_t clock_boot_usec(void) {
        return read_clock(CLOCK_BOOTTIME);
}

uint64_t clock_real_usec(void) {
        return read_clock(CLOCK_REALTIME);
}

void clock_format(uint64_t real_usec, char out[CLOCK_TEXT_SIZE]) {
        time_t seconds = (time_t)(real_usec / USEC_PER_SEC);
        struct tm tm = {0};

        (void)gmtime_r(&seconds, &tm);
        (void)snprintf(out, CLOCK_TEXT_SIZE, "%04u-%02u-%02uT%02u:%02u:%02u.%06" PRIu64 "Z",
                       (unsigned)(tm.tm_year + 1900) % 10000U, (unsigned)(tm.tm_mon + 1) % 100U,
                       (unsigned)tm.tm_mday % 100U, (unsigned)tm.tm_hour % 100U, (unsigned)tm.tm_min % 100U,
                       (unsigned)tm.tm_sec % 100U, real_usec % USEC_PER_SEC);
}

void clock_boot_id(char out[33]) {
        char text[37] = {0};
        _cleanup_(closep) int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
        size_t n = 0;

        memset(out, '0', 32);
        out[32] = '\0';
        if (fd < 0 || read(fd, text, 36) != 36)
                return;
        for (size_t i = 0; i < 36 && n < 32; i++)
                if (text[i] != '-')
                        out[n++] = text[i];
}

int clock_poll_timeout(uint64_t deadline_usec) {
        uint64_t now = clock_monotonic_usec(), left;

        if (now >= deadline_usec)
                return 0;
        left = (deadline_usec - now + 999) / 1000;
        return left > INT_MAX ? INT_MAX : (int)left;
}
