#include "quarantine/wilson.h"

#include <math.h>

#define Z 1.959963984540054 /* 97.5 % quantile of the normal distribution */

struct interval wilson_interval(unsigned hits, unsigned n) {
        double p, middle, half, scale;

        if (n == 0)
                return (struct interval){0, 0, 100};
        p = (double)hits / n;
        scale = 1 + Z * Z / n;
        middle = (p + Z * Z / (2.0 * n)) / scale;
        half = Z * sqrt(p * (1 - p) / n + Z * Z / (4.0 * n * n)) / scale;
        return (struct interval){100 * p, hits == 0 ? 0 : 100 * (middle - half),
                                 hits == n ? 100 : 100 * (middle + half)};
}
