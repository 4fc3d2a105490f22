/* runner: the threads that take jobs from the table one after the other, examine them and carry out what follows. */
#pragma once

#include "quarantine/quarantine.h"

struct runner; /* opaque */
/* As many threads as the policy allows. */
SAI_NODISCARD int runner_start(struct quarantine *q, struct runner **ret);
struct runner *runner_free(struct runner *r); /* after live_stop */

/* After a start: brings table and folders into step again, whatever moment the last run ended at. Before the threads. */
SAI_NODISCARD int runner_recover(struct quarantine *q);
