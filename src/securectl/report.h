/* report: what the supervisor says: on standard output, as a line for people or (--json) as a JSON object, and always
 * as a JSON line in <state_root>/log/services/supervisor.log. */
#pragma once

#include <sys/types.h>

#include "base/log.h"

struct report {
        int log_fd; /* -EBADF: none */
        bool json;
};

struct report_event {
        enum log_level level;
        const char *event;   /* stable snake_case code */
        const char *service; /* or NULL */
        pid_t pid;           /* or 0 */
};

/* VIEW_ARG text from outside must have been escaped or be a log's own JSON. */
void report(const struct report *r, const struct report_event *e, const char *format, ...) SAI_PRINTF(3, 4);
