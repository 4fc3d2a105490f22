/* machine: what this computer is and what it can't provide. Looked up once, before the sandbox closes /proc and /sys;
 * what is absent is said, never pretended. */
#pragma once

#include "ui/app.h"

struct sandbox_report;

SAI_NODISCARD int machine_look(const struct service *s, struct machine_facts **ret);
struct machine_facts *machine_free(struct machine_facts *m);
/* What entering the sandbox has shown. */
void machine_note_sandbox(struct machine_facts *m, const struct sandbox_report *report);
/* Writes the members "machine" and "absent" of /api/status. */
void machine_write(const struct machine_facts *m, struct json_writer *w);
