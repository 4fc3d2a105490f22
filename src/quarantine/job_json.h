/* job_json: the job object of the API. */
#pragma once

#include "quarantine/quarantine.h"

#define JOB_JSON_FINDINGS 16 /* a stage, in lists and events; GET of one job gives all */

/* Writes the job; `whole`: every finding, and "verdict". */
SAI_NODISCARD int job_json_write(const struct quarantine *q, const struct job *j, bool whole,
                                 struct json_writer *w);
