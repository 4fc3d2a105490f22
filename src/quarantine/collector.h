/* collector: keeps the findings of one artifact, at most FINDINGS_MAX; the worst are never dropped. Pure. */
#pragma once

#include "model/finding.h"

struct collector {
        struct finding list[FINDINGS_MAX];
        size_t n;
        uint64_t dropped;
};

void collector_put(struct collector *c, const struct finding *f);
struct finding_sink collector_sink(struct collector *c);
