/* follow: stays with one job of the quarantine until it ends. */
#pragma once

#include "securectl/link.h"
#include "wire/json.h"

/* Shows progress (a line that is redrawn on a terminal, else a line a step; nothing when `quiet` and no terminal) until the job is promoted,
 * rejected or parked: 0 and *ret, the answer of GET /v1/jobs/{id}. Negative: said already. */
SAI_NODISCARD int follow_job(const struct link *quarantine, struct view id, bool quiet,
                             struct json_document **ret);
/* The end of a job in words, with its stages and at most `most_findings` of each. Returns the exit code. */
int follow_print_end(const struct json *job, uint32_t most_findings);
