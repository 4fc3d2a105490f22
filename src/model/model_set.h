/* model_set: an artifact that is a folder, judged as one. Every member is scanned by its own reader (weights, JSON,
 * text, vocabularies); what one of them says is then held against what the others are. Pure: bytes in, findings
 * out; runs inside the locked worker. Memory: MODEL_SET_MEMBERS_MAX members of some 200 bytes, plus what the
 * JSON members say about others: 24 bytes a tensor that an index names.
 *
 * Order of calls: _new, _add for every member in the listing's order, then for each member either _scan_new (feed
 * and finish that scan, then give its facts to _fact) or _fact alone with what another worker learnt, then _finish.
 * Small members (all but .safetensors and .gguf) must be scanned here: their content is needed. */
#pragma once

#include "model/scan.h"

struct model_set; /* opaque; free with model_set_free */

/* Findings carry `member`: 0 for the folder as a whole, i + 1 for member i. -ENOMEM. */
SAI_NODISCARD int model_set_new(const struct finding_sink *sink, struct model_set **ret);
/* The next member, in the order of the listing. Puts findings about its name, depth and ending, and about
 * names that programs could take for each other. -ENOMEM; -E2BIG past MODEL_SET_MEMBERS_MAX or
 * MODEL_SET_PATHS_MAX. */
SAI_NODISCARD int model_set_add(struct model_set *s, struct view path, uint64_t size);
/* A scan of one member; the set must outlive it. -EINVAL when there is no such member, -ENOMEM. */
SAI_NODISCARD int model_set_scan_new(struct model_set *s, uint32_t member, struct model_scan **ret);
/* The same for a file of weights (.safetensors, .gguf) in a worker that does not hold the set; `member` only numbers
 * the findings. -EINVAL for other files, -ENOMEM. */
SAI_NODISCARD int model_set_scan_alone(struct view path, uint64_t size, uint32_t member,
                                       const struct finding_sink *sink, struct model_scan **ret);
/* What the scan of a member said; for own scans and for another worker's. -EINVAL, -ENOMEM. */
SAI_NODISCARD int model_set_fact(struct model_set *s, uint32_t member, const struct model_summary *facts);
/* After the last member: the rules across files, and what the whole is. -ENODATA when the facts of a member
 * are missing, -ENOMEM. */
SAI_NODISCARD int model_set_finish(struct model_set *s, struct model_summary *ret);
struct model_set *model_set_free(struct model_set *s); /* NULL is fine; returns NULL */
static inline void model_set_freep(struct model_set **s) {
        *s = model_set_free(*s);
}
