/* worker_link: quarantine's end of the line to one scan-worker. Everything that comes back is hostile until it is checked
 * here: size and type of each packet, their order, text, ranges. One fault ends the worker. Not thread-safe. */
#pragma once

#include "core/launcher.h"
#include "core/set_walk.h"
#include "quarantine/collector.h"
#include "quarantine/ring.h"
#include "quarantine/worker_protocol.h"

/* Why a worker's word is not taken. The rule ids are WORKER-001 and on. */
enum worker_trouble {
        WORKER_FINE,
        WORKER_CRASHED,   /* ended by itself or by a signal */
        WORKER_STUCK,     /* made no progress within its deadline */
        WORKER_LIED,      /* broke the protocol */
        WORKER_FLOODED,   /* more findings or packets than allowed */
        WORKER_NOT_READY, /* could not load its rules or lock itself */
        WORKER_TROUBLE_MAX,
};
const char *worker_trouble_rule(enum worker_trouble t); /* "WORKER-001" */
const char *worker_trouble_text(enum worker_trouble t);

enum worker_phase {
        WORKER_PHASE_WAITING,  /* for an artifact; `prepared` when it has locked itself in */
        WORKER_PHASE_STARTING, /* BEGIN was sent */
        WORKER_PHASE_RESTING,  /* of a set: between two files */
        WORKER_PHASE_READING,
        WORKER_PHASE_ENDING, /* of a set: it must say what the file was */
        WORKER_PHASE_TELLING,
        WORKER_PHASE_DONE,
};

/* Takes what a worker told about a tensor, checked. Called by the thread that attends the link. */
struct tensor_hearer {
        void (*put)(uint32_t member, const struct tensor_record *r, void *userdata);
        void *userdata;
};

struct worker_link {
        struct launcher *launcher;
        struct launcher_worker worker;
        int sock;
        enum worker_phase phase;
        bool prepared;
        uint64_t size;              /* of the file that is read */
        uint64_t total;             /* of the artifact */
        const struct set_walk *set; /* NULL: a single file */
        uint32_t member;            /* that is read, or 0 */
        struct model_summary facts; /* of the last member */
        uint64_t sent, done, taken; /* slots: told to the worker, looked at, let go of */
        uint64_t deadline_usec;     /* monotonic; moved on by progress */
        uint64_t stall_usec;
        enum worker_trouble trouble;
        char text[WORKER_TEXT_MAX]; /* of WORKER_NOT_READY, escaped */
        struct collector findings;
        uint64_t packets, tensors;
        const struct tensor_hearer *hearer;
        const struct finding_sink *early_sink;
        bool has_early;
        struct finding early; /* must be among the findings in the end */
        uint64_t windows;
        struct model_summary summary; /* when phase is DONE */
};

struct worker_link_config {
        struct launcher *launcher;
        int rules_fd;
        const struct ring *ring;
        uint64_t size; /* of the artifact */
        struct view name;
        const struct set_walk *set; /* borrowed for as long as the link; NULL: a single file */
        int names_fd;               /* of a set: what scan_set_names wrote */
        unsigned lane;
        const struct tensor_hearer *hearer; /* borrowed for as long as the link; NULL: nobody */
        const struct finding_sink *early;   /* hears of the first finding that rejects; as `hearer` */
        const struct weights_limits *weights;
        uint64_t start_usec, stall_usec; /* 0: the limits */
};

/* Starts the worker, which compiles the rules and locks itself in. Needs of the config only launcher, rules, ring, deadlines and the
 * largest size that will be begun. Negative: it could not be started at all (then nothing is to be freed). */
SAI_NODISCARD int worker_link_prepare(const struct worker_link_config *config, struct worker_link *l);
/* Gives it its artifact: once, when it is prepared or before. A failure shows as trouble. */
void worker_link_begin(const struct worker_link_config *config, struct worker_link *l);
void worker_link_done(struct worker_link *l); /* kills it */
/* Orders; a failure shows as trouble. */
void worker_link_send_slot(struct worker_link *l, uint64_t n);
void worker_link_send_end(struct worker_link *l);
/* Of a set; the worker must be RESTING. The first begins the member's file, slots follow; after the last slot the second asks
 * what it was: l->facts hold once it is RESTING again. */
void worker_link_begin_file(struct worker_link *l, uint32_t member);
void worker_link_end_file(struct worker_link *l);
/* Waits while the worker's queue is full. */
void worker_link_send_fact(struct worker_link *l, uint32_t member, const struct model_summary *facts);
/* Takes what has come in (`readable`: poll said so) and looks at deadline and pulse. */
void worker_link_attend(struct worker_link *l);
static inline bool worker_link_is_over(const struct worker_link *l) {
        return l->trouble != WORKER_FINE || l->phase == WORKER_PHASE_DONE;
}
