/* The listing of a set: what is accepted is exactly what would be written again, with paths that stay inside. */
#include "core/set_listing.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n) {
        _cleanup_(set_listing_donep) struct set_listing s = {0};
        _cleanup_(buf_donep) struct buf again = BUF_INIT(SET_LISTING_MAX);

        if (set_listing_parse(view_make(data, n), &s) < 0)
                return 0;
        if (s.n == 0 || s.n > SET_MEMBERS_MAX || set_listing_write(&s, &again) < 0 ||
            !view_eq(buf_view(&again), view_make(data, n)))
                abort();
        for (size_t i = 0; i < s.n; i++) {
                struct view path = view_of(s.members[i].path);

                if (!set_path_is_valid(path) || path.p[0] == '/' || set_listing_find(&s, path) != i)
                        abort();
        }
        return 0;
}
