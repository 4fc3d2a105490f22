/* wilson: what a share that was counted on few tries says about the share on all (E. B. Wilson, "Probable inference, the law of
 * succession, and statistical inference", JASA 22, 1927). Pure. */
#pragma once

#include "base/macros.h"

struct interval {
        double rate, low, high; /* percent; low and high bound the true rate with 95 % confidence */
};
/* `hits` of `n`; all of it is possible when n is 0. */
struct interval wilson_interval(unsigned hits, unsigned n);
