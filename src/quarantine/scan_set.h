/* scan_set: reads an artifact that is a folder once, member by member. Two lanes, each with a locked worker and a hashing thread of
 * its own, so that both cores hash and look. All but the weights goes to lane 0, whose worker also judges the whole; weights,
 * the largest first, go to whichever lane is free. The listing is made here, from the digests of what was read. Blocks. */
#pragma once

#include "core/set_listing.h"
#include "core/set_walk.h"
#include "quarantine/scan_pass.h"

struct scan_set_result {
        struct scan_result
                whole; /* sha256: of the listing's text; a member's findings name it, in order of members */
        struct set_listing listing;
        enum model_kind *kinds; /* of the members, in order of the listing, as the workers said */
};
void scan_set_result_free(struct scan_set_result *r); /* NULL is fine */
static inline void scan_set_result_freep(struct scan_set_result **r) {
        scan_set_result_free(*r);
}
/* `set`: what set_walk found beneath dir_fd; *ret: zeroed, on the heap. As scan_pass; -ESTALE also when a file came, went or
 * changed while the folder was read. */
SAI_NODISCARD int scan_set(const struct scan_engine *e, int dir_fd, const struct set_walk *set,
                           const struct scan_watch *watch, struct scan_set_result *ret);
