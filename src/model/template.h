/* template: decides whether a chat template does no more than lay out a conversation. The template is parsed
 * whole (it is never run), and only the statements, filters, tests, functions, methods and fields that real
 * chat templates use are allowed. Pure; memory and time are linear in the template's length, which is capped.
 * */
#pragma once

#include "model/report.h"
#include "model/scan.h"

/* `key` names the template for people (escaped); `at` is the file offset of its first byte. */
void template_check(struct model_report *report, struct view text, const char *key, uint64_t at);

/* Remembers that there is such a template. With one, the summary's digest is the SHA-256 of its text; each further one makes
 * it the SHA-256 of both digests, the smaller first, because the parts of a folder are read in any order. */
void template_note(struct model_summary *summary, struct view text);
void template_join(struct model_summary *summary, const uint8_t digest[32]); /* the same, by its digest */
