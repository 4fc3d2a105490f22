#include "model/npy.h"

#include "base/buf.h"
#include "base/num.h"
#include "model/limits.h"
#include "model/pickle_machine.h"

#define PREFIX_MAX 12u /* magic, version, length of 2 or 4 bytes */

struct npy {
        struct model_report *report;
        uint64_t base, size, at;
        struct pickle_machine *pickle;
        struct buf header; /* with the prefix */
        size_t want;       /* bytes of `header` before the next decision */
        bool sized, over;
};

int npy_new(struct model_report *report, uint64_t base, uint64_t size, struct npy **ret) {
        struct npy *a = calloc(1, sizeof *a);

        if (!a)
                return -ENOMEM;
        *a = (struct npy){.report = report, .base = base, .size = size, .want = 10};
        a->header = BUF_INIT(NPY_HEADER_MAX + PREFIX_MAX);
        *ret = a;
        return 0;
}

struct npy *npy_free(struct npy *a) {
        if (a) {
                pickle_machine_free(a->pickle);
                buf_done(&a->header);
                free(a);
        }
        return NULL;
}

static void broken(struct npy *a, const char *why) {
        a->over = true;
        report_put(a->report, RULE_NPY_HEADER, a->base, VIEW_NULL, "The array's description %s.", why);
}

/* Type codes stand in quotes: 'O', '|O', '|O8', also in the fields of a structure. */
static bool is_object_code(struct view v) {
        if (v.n > 0 && strchr("|<>=", v.p[0]))
                v = view_sub(v, 1, SIZE_MAX);
        if (v.n == 0 || v.p[0] != 'O')
                return false;
        for (size_t i = 1; i < v.n; i++)
                if (v.p[i] < '0' || v.p[i] > '9')
                        return false;
        return true;
}

/* Python evaluates the text, so an escape in it may spell anything. */
static bool has_objects(struct view text) {
        size_t open = SIZE_MAX;

        for (size_t i = 0; i < text.n; i++) {
                if (text.p[i] == '\\')
                        return true;
                if (text.p[i] != '\'' && text.p[i] != '"')
                        continue;
                if (open != SIZE_MAX && is_object_code(view_sub(text, open, i - open)))
                        return true;
                open = i + 1; /* also from a closing quote on: more is looked at, not less */
        }
        return false;
}

static int take_header(struct npy *a) {
        struct view text = view_sub(buf_view(&a->header), (uint8_t)a->header.p[6] == 1 ? 10 : 12, SIZE_MAX);
        uint64_t at = a->header.n;

        a->over = true;
        if (!has_objects(text))
                return 0;
        a->over = false;
        report_put(a->report, RULE_NPY_OBJECTS, a->base + at, VIEW_NULL,
                   "The array holds Python objects: a pickle begins here, and loading it runs code from the "
                   "file.");
        return pickle_machine_new(a->report, a->base + at,
                                  a->size == PICKLE_SIZE_UNKNOWN ? PICKLE_SIZE_UNKNOWN : a->size - at,
                                  &a->pickle);
}

/* `want` bytes are there. */
static int step(struct npy *a) {
        const char *p = a->header.p;
        bool first = p[6] == 1;
        uint32_t n;

        if (a->sized)
                return take_header(a);
        if (memcmp(p, "\x93NUMPY", 6) != 0 || p[6] < 1 || p[6] > 3 || p[7] != 0) {
                broken(a, "has a version that doesn't exist");
                return 0;
        }
        if (!first && a->want == 10) {
                a->want = 12;
                return 0;
        }
        n = first ? load_le16(p + 8) : load_le32(p + 8);
        if (n > NPY_HEADER_MAX) {
                broken(a, "is longer than NumPy itself accepts");
                return 0;
        }
        a->sized = true;
        a->want += n;
        return n > 0 ? 0 : take_header(a);
}

int npy_feed(struct npy *a, struct view bytes) {
        a->at += bytes.n;
        while (bytes.n > 0 && !a->over && !a->pickle) {
                size_t n = MIN_OF(a->want - a->header.n, bytes.n);
                int r = buf_append(&a->header, bytes.p, n);

                if (r >= 0 && a->header.n == a->want)
                        r = step(a);
                if (r < 0)
                        return r;
                bytes = view_sub(bytes, n, SIZE_MAX);
        }
        return a->pickle && bytes.n > 0 ? pickle_machine_feed(a->pickle, bytes) : 0;
}

void npy_finish(struct npy *a) {
        if (a->pickle)
                pickle_machine_finish(a->pickle);
        else if (!a->over)
                broken(a, "is cut off");
}
