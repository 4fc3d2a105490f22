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

/* Paths of the members of a set as they are (not escaped): finding.member - 1 is an index here. Empty for a single file. */
struct member_names {
        char **list;
        size_t n;
};
void member_names_done(struct member_names *m);
/* Appends a copy and gives its number (position + 1). -ENOMEM, -E2BIG past SET_MEMBERS_MAX. */
SAI_NODISCARD int member_names_add(struct member_names *m, struct view path, uint32_t *ret_member);
/* VIEW_NULL for 0 and for a number that has no name. */
struct view member_name(const struct member_names *m, uint32_t member);

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
void stage_write(struct json_writer *w, unsigned number, const struct stage *s,
                 const struct member_names *names);
/* Reads what stage_write wrote; -EBADMSG. Paths that findings name are added to `names`, as they were written (escaped). */
SAI_NODISCARD int stage_read(const struct json *o, unsigned number, struct member_names *names,
                             struct stage *ret);
