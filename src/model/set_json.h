/* set_json: what the JSON files of a folder say. Every one must be strict (json_walk) and free of keys that make a
 * program load code, of paths out of the folder where a path is followed, and of templates that do more than lay
 * out text. Configurations, indexes and the list of an image model's components are remembered for the rules
 * across files. Pure.
 *
 * Words of a vocabulary are no keys in this sense: in vocab.json, added_tokens.json and tokenizer.json a key with a
 * plain number as its value is a word. Paths are looked for only under the names that loaders follow; where programs only
 * note where a model was made (_name_or_path and the like), one out of the folder is mentioned, not refused. */
#pragma once

#include "model/report.h"

struct model_set;
struct set_json; /* opaque; free with set_json_free */

/* -ENOMEM. `set` and `report` must outlive it. */
SAI_NODISCARD int set_json_new(struct model_set *set, uint32_t member, struct model_report *report,
                               struct set_json **ret);
struct set_json *set_json_free(struct set_json *j); /* NULL is fine; returns NULL */
SAI_NODISCARD int set_json_feed(struct set_json *j, struct view bytes);
SAI_NODISCARD int set_json_finish(struct set_json *j);
