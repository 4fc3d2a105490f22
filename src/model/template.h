/* template: decides whether a chat template does no more than lay out a conversation. The template is parsed
 * whole (it is never run), and only the statements, filters, tests, functions, methods and fields that real
 * chat templates use are allowed. Pure; memory and time are linear in the template's length, which is capped.
 * */
#pragma once

#include "model/report.h"

/* `key` names the template for people (escaped); `at` is the file offset of its first byte. */
void template_check(struct model_report *report, struct view text, const char *key, uint64_t at);
