/* zip_walk: walks a ZIP archive from front to back, as the bytes come: local headers, members, directory and end must
 * follow each other and agree. Nothing is unpacked; stored pickles and arrays are followed where they stand, the other
 * members are counted. Streaming; memory bounded by the ZIP_ limits. */
#pragma once

#include "model/report.h"

struct zip_walk; /* opaque */

/* `size` of the archive, UINT64_MAX when it is not known. `unpacked`: somebody else looks into the members that this one
 * does not follow. -ENOMEM. */
SAI_NODISCARD int zip_walk_new(struct model_report *report, uint64_t size, bool unpacked,
                               struct zip_walk **ret);
SAI_NODISCARD int zip_walk_feed(struct zip_walk *z, struct view bytes); /* -ENOMEM */
void zip_walk_finish(struct zip_walk *z);
/* Whether a member of this name is followed when it is stored as it is. */
bool zip_walk_follows(struct view name);
struct zip_walk *zip_walk_free(struct zip_walk *z); /* NULL is fine; returns NULL */
