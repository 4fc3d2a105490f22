/* stage: the result of one of the seven stages, and its JSON form. Pure. */
#pragma once

#include "model/finding.h"
#include "quarantine/limits.h"
#include "wire/json.h"

#define STAGES 7
enum stage_number {
        STAGE_SOURCE = 1,
        STAGE_FORMAT,
        STAGE_INTEGRITY,
        STAGE_PROVENANCE,
        STAGE_STATIC,
        STAGE_BEHAVIOUR,
        STAGE_DIFFUSION,
};
enum stage_status { STAGE_NOT_RUN, STAGE_PASS, STAGE_FAIL, STAGE_NOT_APPLICABLE, STAGE_STATUS_MAX };

struct stage {
        enum stage_status status;
        uint64_t bytes, msec;
        struct finding *findings;
        size_t n;
};

const char *stage_name(unsigned number); /* "format_gate" */
const char *stage_status_name(enum stage_status s);
void stage_done(struct stage *s);
/* Adds a finding; past FINDINGS_STORED_MAX lesser ones are dropped. -ENOMEM. */
SAI_NODISCARD int stage_put(struct stage *s, const struct finding *f);
SAI_NODISCARD int stage_say(struct stage *s, unsigned number, enum finding_severity severity,
                            const char *rule, const char *format, ...) SAI_PRINTF(5, 6);
/* PASS, or FAIL when a finding is FINDING_REJECT. */
void stage_settle(struct stage *s);
void stage_write(struct json_writer *w, unsigned number, const struct stage *s);
/* Reads what stage_write wrote; -EBADMSG. */
SAI_NODISCARD int stage_read(const struct json *o, unsigned number, struct stage *ret);
