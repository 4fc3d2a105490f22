#include "core/set_listing.h"

#include "base/num.h"
#include "base/text.h"

void set_listing_done(struct set_listing *s) {
        for (size_t i = 0; i < s->n; i++)
                free(s->members[i].path);
        free(s->members);
        *s = (struct set_listing){0};
}

static bool component_is_valid(struct view c) {
        return c.n > 0 && !view_eq_str(c, ".") && !view_eq_str(c, "..");
}

static bool has_control(struct view v) {
        for (size_t i = 0; i < v.n; i++)
                if ((unsigned char)v.p[i] < 0x20 || v.p[i] == 0x7f)
                        return true;
        return false;
}

bool set_path_is_valid(struct view path) {
        struct view rest = path, head;
        unsigned depth = 1;

        if (path.n == 0 || path.n > SET_PATH_MAX || has_control(path) || utf8_first_fault(path) != SIZE_MAX)
                return false;
        for (; view_split(&rest, '/', &head); depth++)
                if (!component_is_valid(head))
                        return false;
        return component_is_valid(rest) && depth <= SET_DEPTH_MAX;
}

/* The capacity is the next power of two. */
static int make_room(struct set_listing *s) {
        struct set_member *more;

        if ((s->n & (s->n - 1)) != 0)
                return 0;
        more = reallocarray(s->members, s->n ? 2 * s->n : 1, sizeof *more);
        if (!more)
                return -ENOMEM;
        s->members = more;
        return 0;
}

int set_listing_add(struct set_listing *s, struct view path, uint64_t size, const struct sha256 *sha256) {
        uint64_t sum;
        char *copy;
        int r;

        if (!set_path_is_valid(path))
                return -EINVAL;
        if (s->n == SET_MEMBERS_MAX || u64_add(s->size, size, &sum) < 0 || sum > SET_BYTES_MAX)
                return -E2BIG;
        r = make_room(s);
        if (r < 0)
                return r;
        copy = view_dup(path);
        if (!copy)
                return -ENOMEM;
        s->members[s->n++] = (struct set_member){.path = copy, .size = size, .sha256 = *sha256};
        s->size = sum;
        return 0;
}

static int by_path(const void *a, const void *b) {
        return strcmp(((const struct set_member *)a)->path, ((const struct set_member *)b)->path);
}

size_t set_listing_find(const struct set_listing *s, struct view path) {
        size_t low = 0, high = s->n;

        while (low < high) {
                size_t middle = low + (high - low) / 2;
                int order = view_compare(view_of(s->members[middle].path), path);

                if (order == 0)
                        return middle;
                if (order < 0)
                        low = middle + 1;
                else
                        high = middle;
        }
        return SIZE_MAX;
}

/* Whether one of the folders above the member is a member itself. */
static bool has_file_above(const struct set_listing *s, const char *path) {
        for (const char *p = strchr(path, '/'); p; p = strchr(p + 1, '/'))
                if (set_listing_find(s, view_make(path, (size_t)(p - path))) != SIZE_MAX)
                        return true;
        return false;
}

static int check_order(const struct set_listing *s) {
        for (size_t i = 0; i < s->n; i++)
                if ((i > 0 && by_path(&s->members[i - 1], &s->members[i]) >= 0) ||
                    has_file_above(s, s->members[i].path))
                        return -EEXIST;
        return 0;
}

int set_listing_sort(struct set_listing *s) {
        if (s->n > 0)
                qsort(s->members, s->n, sizeof *s->members, by_path);
        return check_order(s);
}

int set_listing_write(const struct set_listing *s, struct buf *out) {
        size_t start = out->n;
        int r = s->n > 0 ? buf_append_str(out, SET_LISTING_HEAD) : -EINVAL;

        for (size_t i = 0; i < s->n && r >= 0; i++) {
                char hex[SHA256_HEX_SIZE];

                sha256_hex(&s->members[i].sha256, hex);
                r = buf_printf(out, "%s %llu %s\n", hex, (unsigned long long)s->members[i].size,
                               s->members[i].path);
        }
        return r < 0 ? r : out->n - start > SET_LISTING_MAX ? -EFBIG : 0;
}

int set_listing_digest(const struct set_listing *s, struct sha256 *ret) {
        _cleanup_(buf_donep) struct buf text = BUF_INIT(SET_LISTING_MAX);
        int r = set_listing_write(s, &text);

        return r < 0 ? r : sha256_of(buf_view(&text), ret);
}

static int parse_line(struct view line, struct set_listing *s) {
        struct view hex, size;
        struct sha256 digest;
        uint64_t n;

        if (!view_split(&line, ' ', &hex) || sha256_from_hex(hex, &digest) < 0 ||
            !view_split(&line, ' ', &size) || u64_parse(size, SET_BYTES_MAX, &n) < 0 ||
            !set_path_is_valid(line))
                return -EBADMSG;
        return set_listing_add(s, line, n, &digest);
}

int set_listing_parse(struct view text, struct set_listing *ret) {
        _cleanup_(set_listing_donep) struct set_listing s = {0};
        struct view rest = text, line;
        int r = 0;

        if (text.n > SET_LISTING_MAX)
                return -E2BIG;
        if (!view_starts(text, VIEW(SET_LISTING_HEAD)))
                return -EBADMSG;
        rest = view_sub(text, sizeof SET_LISTING_HEAD - 1, SIZE_MAX);
        while (r >= 0 && view_split(&rest, '\n', &line))
                r = parse_line(line, &s);
        if (r < 0)
                return r;
        if (rest.n > 0 || s.n == 0 || check_order(&s) < 0)
                return -EBADMSG;
        *ret = s;
        s = (struct set_listing){0};
        return 0;
}
