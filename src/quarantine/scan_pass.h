/* scan_pass: reads an artifact once, through its descriptor. Each byte goes by pread into a slot of the ring, where a thread of ours
 * hashes it while the locked worker parses it. So the digest is ours and belongs to exactly the bytes that the worker
 * saw, whatever the worker says. Blocks; use one thread an artifact. */
#pragma once

#include "quarantine/scan_lane.h"

struct scan_watch {
        /* Called after each slot; false stops the pass (-ECANCELED). May be NULL. */
        bool (*progress)(uint64_t bytes, void *userdata);
        void *userdata;
        const struct tensor_hearer
                *tensors;                 /* hears of each tensor; of a set from two threads. May be NULL */
        const struct finding_sink *early; /* hears of the first finding that rejects, checked, as soon as
                                             it is known; of a set from two threads, once each. May be NULL */
};

struct scan_result {
        struct sha256 sha256;
        uint64_t bytes;
        uint64_t usec;
        enum worker_trouble trouble; /* not WORKER_FINE: the findings hold one WORKER-00n and nothing else */
        char trouble_text[WORKER_TEXT_MAX];
        struct collector findings;
        struct model_summary summary;
        uint64_t windows;
};

/* Fills *ret (large: keep it on the heap). A worker in trouble is a result; negative: the bytes could not be read (-EIO; -ESTALE
 * when the size changed meanwhile), no memory, or no worker could be started. */
SAI_NODISCARD int scan_pass(const struct scan_engine *e, int fd, uint64_t size, struct view name,
                            const struct scan_watch *watch, struct scan_result *ret);

/* In place of what the worker said: why nothing of it is believed. `member`: that it was about, or 0. */
void scan_result_distrust(struct scan_result *result, const struct worker_link *l, uint32_t member);

/* Reads every *.yar of `dir_fd` in order of name into a sealed memfd. Their digest goes into the scanner's name. */
SAI_NODISCARD int scan_rules_collect(int dir_fd, int *ret_fd, struct sha256 *ret_digest,
                                     struct fault *reterr);
