/* macros: attributes, scope-bound cleanup and explicit hand-over of ownership.
 * Every C file of the project includes this first (directly or through another base header); it also bans
 * the functions that the house does not want. */
#pragma once

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SAI_NODISCARD    __attribute__((warn_unused_result))
#define SAI_PRINTF(f, a) __attribute__((format(printf, f, a)))
#define SAI_NORETURN     __attribute__((noreturn))
#define SAI_UNUSED       __attribute__((unused))
#define _cleanup_(f)     __attribute__((cleanup(f)))
#define ARRAY_SIZE(a)    (sizeof(a) / sizeof((a)[0]))
#define MIN_OF(a, b)     ((a) < (b) ? (a) : (b))
#define MAX_OF(a, b)     ((a) > (b) ? (a) : (b))
#define USEC_PER_SEC     UINT64_C(1000000)
#define USEC_PER_MSEC    UINT64_C(1000)

/* Moves a value out of a variable that has a cleanup attribute: the variable is left empty. */
#define TAKE_PTR(p)                                                                                          \
        ({                                                                                                   \
                __typeof__(p) *_pp = &(p);                                                                   \
                __typeof__(p) _v = *_pp;                                                                     \
                *_pp = NULL;                                                                                 \
                _v;                                                                                          \
        })
#define TAKE_FD(fd)                                                                                          \
        ({                                                                                                   \
                int *_pf = &(fd);                                                                            \
                int _v = *_pf;                                                                               \
                *_pf = -EBADF;                                                                               \
                _v;                                                                                          \
        })

/* Closes a descriptor when it is one; keeps errno. Returns -EBADF so that `fd = close_fd(fd)` reads well. */
static inline int close_fd(int fd) {
        if (fd >= 0) {
                int saved = errno;
                close(fd);
                errno = saved;
        }
        return -EBADF;
}
static inline void closep(int *fd) {
        *fd = close_fd(*fd);
}
static inline void freep(void *p) {
        free(*(void **)p);
}
static inline void fclosep(FILE **f) {
        if (*f)
                fclose(*f);
}

/* -errno after a failed call, never 0 (some libraries fail without setting errno). */
static inline int negative_errno(void) {
        return errno > 0 ? -errno : -EIO;
}

/* Banned: calling one of these is an error under -Werror (tools/lint.sh finds the rest by text, and everything for
 * clang, which refuses attributes behind the definitions that _FORTIFY_SOURCE brings). */
#ifndef __clang__
#define SAI_BANNED __attribute__((deprecated("banned by the house rules, see CONTRIBUTING.md")))
SAI_BANNED char *strcpy(char *, const char *);
SAI_BANNED char *strcat(char *, const char *);
SAI_BANNED char *strncpy(char *, const char *, size_t);
SAI_BANNED char *strtok(char *, const char *);
SAI_BANNED int sprintf(char *, const char *, ...);
SAI_BANNED int atoi(const char *);
SAI_BANNED long atol(const char *);
SAI_BANNED int system(const char *);
SAI_BANNED FILE *popen(const char *, const char *);
SAI_BANNED char *mktemp(char *);
SAI_BANNED int rand(void);
SAI_BANNED char *getenv(const char *);
#endif
