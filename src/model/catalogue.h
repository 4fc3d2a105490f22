/* catalogue: every rule that a finding can carry, of all seven stages: those of the format readers (model/rules.h) and
 * those that the quarantine and its signatures (share/yara) state. One place gives each id its words for people;
 * docs/rules.md, `securectl explain` and the rules of a SARIF report come from it. Signatures that an owner adds are
 * not in it. */
#pragma once

#include "model/rules.h"

#define CATALOGUE_STAGES 7

size_t catalogue_count(void);
/* NULL past the end. A rule's stage is 0 when it can belong to any stage. */
const struct model_rule_text *catalogue_at(size_t i);
/* False when there is no such rule; *ret is its place for catalogue_at. */
SAI_NODISCARD bool catalogue_find(struct view id, size_t *ret);
const char *catalogue_stage_name(unsigned stage); /* "format_gate"; "any" for 0, "" past the last */
