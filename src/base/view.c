#include "base/view.h"

size_t view_find(struct view v, struct view needle) {
        const char *hit;

        if (needle.n == 0)
                return 0;
        if (v.n < needle.n)
                return SIZE_MAX;
        hit = memmem(v.p, v.n, needle.p, needle.n);
        return hit ? (size_t)(hit - v.p) : SIZE_MAX;
}

size_t view_find_char(struct view v, char c) {
        const char *hit = v.n ? memchr(v.p, c, v.n) : NULL;

        return hit ? (size_t)(hit - v.p) : SIZE_MAX;
}

bool view_split(struct view *v, char sep, struct view *ret_head) {
        size_t at = view_find_char(*v, sep);

        if (at == SIZE_MAX)
                return false;
        *ret_head = view_sub(*v, 0, at);
        *v = view_sub(*v, at + 1, SIZE_MAX);
        return true;
}

int view_compare(struct view a, struct view b) {
        size_t n = MIN_OF(a.n, b.n);
        int c = n ? memcmp(a.p, b.p, n) : 0;

        if (c != 0)
                return c;
        return a.n < b.n ? -1 : a.n > b.n;
}

bool view_eq_constant_time(struct view a, struct view b) {
        unsigned char diff = 0;

        if (a.n != b.n)
                return false;
        for (size_t i = 0; i < a.n; i++)
                diff |= (unsigned char)((unsigned char)a.p[i] ^ (unsigned char)b.p[i]);
        return diff == 0;
}

char *view_dup(struct view v) {
        char *s;

        if (v.n == SIZE_MAX || view_find_char(v, '\0') != SIZE_MAX)
                return NULL;
        s = malloc(v.n + 1);
        if (!s)
                return NULL;
        if (v.n)
                memcpy(s, v.p, v.n);
        s[v.n] = '\0';
        return s;
}
