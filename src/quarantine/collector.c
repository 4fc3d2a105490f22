#include "quarantine/collector.h"

/* Index of the last one of least severity below `than`, or SIZE_MAX. */
static size_t least_severe(const struct collector *c, enum finding_severity than) {
        size_t found = SIZE_MAX;

        for (size_t i = 0; i < c->n; i++)
                if (c->list[i].severity < than) {
                        than = (enum finding_severity)(c->list[i].severity + 1);
                        found = i;
                }
        return found;
}

void collector_put(struct collector *c, const struct finding *f) {
        size_t at = c->n;

        if (c->n == FINDINGS_MAX) {
                c->dropped++;
                at = least_severe(c, f->severity);
                if (at == SIZE_MAX)
                        return;
                memmove(&c->list[at], &c->list[at + 1], (c->n - at - 1) * sizeof c->list[0]);
                c->n--;
                at = c->n;
        }
        c->list[at] = *f;
        c->n++;
}

static void put(void *userdata, const struct finding *f) {
        collector_put(userdata, f);
}

struct finding_sink collector_sink(struct collector *c) {
        return (struct finding_sink){.put = put, .userdata = c};
}
