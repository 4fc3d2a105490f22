/* view: borrowed bytes with a length. NUL never ends input; a view may hold any byte.
 * Pure, no allocation. */
#pragma once

#include "base/macros.h"

struct view {
        const char *p;
        size_t n;
};

#define VIEW_NULL ((struct view){NULL, 0})
#define VIEW(lit) ((struct view){(lit), sizeof(lit) - 1}) /* string literals only */
#define VIEW_INIT(lit)                                                                                       \
        { (lit), sizeof(lit) - 1 }                          /* for static tables */
#define VIEW_ARG(v) (int)MIN_OF((v).n, (size_t)4096), (v).p /* for "%.*s"; callers escape hostile text */

static inline struct view view_of(const char *s) {
        return (struct view){s, s ? strlen(s) : 0};
}
static inline struct view view_make(const void *p, size_t n) {
        return (struct view){p, n};
}
static inline bool view_eq(struct view a, struct view b) {
        return a.n == b.n && (a.n == 0 || memcmp(a.p, b.p, a.n) == 0);
}
static inline bool view_eq_str(struct view a, const char *s) {
        return view_eq(a, view_of(s));
}
static inline bool view_starts(struct view v, struct view prefix) {
        return v.n >= prefix.n && (prefix.n == 0 || memcmp(v.p, prefix.p, prefix.n) == 0);
}
static inline bool view_ends(struct view v, struct view suffix) {
        return v.n >= suffix.n && (suffix.n == 0 || memcmp(v.p + (v.n - suffix.n), suffix.p, suffix.n) == 0);
}
/* The part of `v` from `at` on, at most `n` bytes; clipped to what is there. */
static inline struct view view_sub(struct view v, size_t at, size_t n) {
        if (at > v.n)
                at = v.n;
        return (struct view){v.p ? v.p + at : NULL, MIN_OF(n, v.n - at)};
}
/* Offset of the first `needle` in `v`, or SIZE_MAX. An empty needle is found at 0. */
size_t view_find(struct view v, struct view needle);
size_t view_find_char(struct view v, char c);
/* Splits at the first `sep`: true, *ret_head before it and *v after it. False when there is none (all untouched). */
bool view_split(struct view *v, char sep, struct view *ret_head);
/* Order by bytes, then by length: <0, 0, >0. */
int view_compare(struct view a, struct view b);
/* Compares in time that depends on the lengths only; for tokens and digests. */
bool view_eq_constant_time(struct view a, struct view b);
/* NUL-terminated copy, caller frees; NULL when out of memory or when the view holds a NUL byte. */
SAI_NODISCARD char *view_dup(struct view v);
