/* kind: what a file is, by its content alone, and in plain words why it is refused. Pure. */
#pragma once

#include "model/report.h"
#include "model/scan.h"

/* `head`: the first SCAN_HEAD_MAX bytes or all of a shorter file; `size`: of the whole file. */
enum model_kind model_kind_detect(struct view head, uint64_t size);
/* Puts why a file of this kind is not accepted. `name` of a global that a pickle would call, or empty. */
void model_kind_refuse(struct model_report *report, enum model_kind kind, struct view head);
/* Puts a finding when the name's ending promises something else than `kind`. */
void model_kind_check_name(struct model_report *report, enum model_kind kind, struct view name);

/* Other formats that may be read from the same bytes: at the front (documents, archives, disk images) … */
void model_kind_check_head(struct model_report *report, struct view head);
/* … and at the end (ZIP readers start there). `tail`: the last SCAN_TAIL_MAX bytes or all; `size` of the
 * file. */
void model_kind_check_tail(struct model_report *report, struct view tail, uint64_t size);
