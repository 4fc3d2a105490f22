/* log: one structured line (JSON) on standard error. For main() and the supervisors' loops only: libraries are
 * silent and return what went wrong. Text from outside is escaped and cut here. Thread-safe (one write a line). */
#pragma once

#include "base/macros.h"

enum log_level { LOG_LEVEL_DEBUG, LOG_LEVEL_INFO, LOG_LEVEL_WARNING, LOG_LEVEL_ERROR, LOG_LEVEL_MAX };

/* Name that each line carries ("registry"); static string. Default "secure-ai". */
void log_set_program(const char *name);
void log_set_level(enum log_level least);
/* `event` is a stable snake_case code ("worker_died"), the rest is for people. */
void log_line(enum log_level level, const char *event, const char *format, ...) SAI_PRINTF(3, 4);
#define log_info(event, ...)    log_line(LOG_LEVEL_INFO, event, __VA_ARGS__)
#define log_warning(event, ...) log_line(LOG_LEVEL_WARNING, event, __VA_ARGS__)
#define log_error(event, ...)   log_line(LOG_LEVEL_ERROR, event, __VA_ARGS__)
