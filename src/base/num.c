#include "base/num.h"

int u64_parse(struct view v, uint64_t max, uint64_t *ret) {
        uint64_t value = 0;

        if (v.n == 0 || (v.n > 1 && v.p[0] == '0'))
                return -EBADMSG;
        for (size_t i = 0; i < v.n; i++) {
                if (v.p[i] < '0' || v.p[i] > '9')
                        return -EBADMSG;
                if (__builtin_mul_overflow(value, (uint64_t)10, &value) ||
                    __builtin_add_overflow(value, (uint64_t)(v.p[i] - '0'), &value))
                        return -ERANGE;
        }
        if (value > max)
                return -ERANGE;
        *ret = value;
        return 0;
}

int i64_parse(struct view v, int64_t *ret) {
        uint64_t magnitude;
        bool negative = v.n > 0 && v.p[0] == '-';
        int r;

        r = u64_parse(negative ? view_sub(v, 1, SIZE_MAX) : v,
                      negative ? (uint64_t)INT64_MAX + 1 : (uint64_t)INT64_MAX, &magnitude);
        if (r < 0)
                return r;
        if (negative && magnitude == 0)
                return -EBADMSG; /* "-0" has two readings */
        *ret = negative ? (int64_t)(~magnitude + 1) : (int64_t)magnitude;
        return 0;
}
