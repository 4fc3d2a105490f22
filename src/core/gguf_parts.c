#include "core/gguf_parts.h"

static const char shape[] = "-NNNNN-of-NNNNN.gguf";
#define SHAPE_SIZE (sizeof shape - 1)

struct part_name {
        struct view stem; /* what stands before the numbers */
        unsigned number, count;
};

static bool read_name(struct view path, struct part_name *ret) {
        struct part_name name = {0};
        const char *p;

        if (path.n <= SHAPE_SIZE)
                return false;
        name.stem = view_sub(path, 0, path.n - SHAPE_SIZE);
        p = path.p + name.stem.n;
        for (size_t i = 0; i < SHAPE_SIZE; i++) {
                unsigned *number = i < 6 ? &name.number : &name.count;

                if (shape[i] == 'N' ? p[i] < '0' || p[i] > '9' : p[i] != shape[i])
                        return false;
                if (shape[i] == 'N')
                        *number = *number * 10 + (unsigned)(p[i] - '0');
        }
        *ret = name;
        return true;
}

int gguf_parts_find(const struct set_listing *set, struct gguf_parts *ret) {
        struct part_name first = {0}, name = {0};
        struct gguf_parts parts = {0};

        for (size_t i = 0; i < set->n; i++) {
                struct view path = view_of(set->members[i].path);

                if (!view_ends(path, VIEW(".gguf")))
                        continue;
                if (!read_name(path, &name))
                        name = (struct part_name){
                                .stem = path, .number = 1, .count = 1}; /* all in one file */
                if (parts.n == GGUF_PARTS_MAX || name.number != parts.n + 1)
                        return -EBADMSG; /* sorted by name is sorted by number */
                if (parts.n == 0)
                        first = name;
                if (!view_eq(name.stem, first.stem) || name.count != first.count)
                        return -EBADMSG;
                parts.index[parts.n++] = i;
        }
        if (parts.n == 0 || parts.n != first.count)
                return -EBADMSG;
        *ret = parts;
        return 0;
}
