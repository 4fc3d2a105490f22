#include "model/executable.h"

#include "base/num.h"
#include "model/limits.h"

/* Magic, version, both counts: what must make sense before a GGUF is said to begin. */
#define GGUF_HEAD 24u
#define ZIP_END   22u

struct executable {
        struct model_report *report;
        uint64_t at;
        uint64_t zip_at; /* last plausible end record, plus one */
        size_t n;        /* bytes kept of a head that may go on in the next piece */
        char kept[GGUF_HEAD];
};

int executable_new(struct model_report *report, struct executable **ret) {
        struct executable *e = calloc(1, sizeof *e);

        if (!e)
                return -ENOMEM;
        e->report = report;
        *ret = e;
        return 0;
}

struct executable *executable_free(struct executable *e) {
        free(e);
        return NULL;
}

static bool is_gguf(const char *p) {
        uint32_t version = load_le32(p + 4);
        uint64_t tensors = load_le64(p + 8), pairs = load_le64(p + 16);

        return memcmp(p, "GGUF", 4) == 0 && (version == 2 || version == 3) && tensors <= GGUF_TENSORS_MAX &&
               pairs >= 1 && pairs <= GGUF_PAIRS_MAX;
}

/* The end of a ZIP directory: one disk, both counts equal (APPNOTE 4.3.16). */
static bool is_zip_end(const char *p) {
        return memcmp(p, "PK\5\6", 4) == 0 && load_le16(p + 4) == load_le16(p + 6) &&
               load_le16(p + 8) == load_le16(p + 10) && load_le16(p + 8) > 0;
}

static void look(struct executable *e, const char *p, uint64_t at) {
        if (p[0] == 'G' && is_gguf(p))
                report_put(e->report, RULE_PROGRAM_HOLDS, at, VIEW_NULL,
                           "A GGUF model of %llu tensors begins here, inside of the program.",
                           (unsigned long long)load_le64(p + 8));
        if (p[0] == 'P' && is_zip_end(p))
                e->zip_at = at + 1;
}

/* All places at which GGUF_HEAD bytes are at hand. Returns how many bytes are done with. */
static size_t look_through(struct executable *e, const char *p, size_t n, uint64_t at) {
        size_t i = 0;

        for (; i + GGUF_HEAD <= n; i++)
                if (p[i] == 'G' || p[i] == 'P')
                        look(e, p + i, at + i);
        return i;
}

void executable_feed(struct executable *e, struct view bytes) {
        char both[2 * GGUF_HEAD];
        size_t more = MIN_OF(bytes.n, GGUF_HEAD - 1u), n = e->n + more, done;

        memcpy(both, e->kept, e->n);
        if (more > 0)
                memcpy(both + e->n, bytes.p, more);
        done = look_through(e, both, n, e->at - e->n);
        if (done < e->n) { /* still too few bytes */
                e->n = n - done;
                memmove(e->kept, both + done, e->n);
        } else {
                size_t from = done - e->n;

                from += look_through(e, bytes.p + from, bytes.n - from, e->at + from);
                e->n = bytes.n - from;
                memcpy(e->kept, bytes.p + from, e->n);
        }
        e->at += bytes.n;
}

void executable_finish(struct executable *e) {
        char rest[GGUF_HEAD] = {0};

        memcpy(rest, e->kept, e->n); /* an end record is shorter than a head */
        for (size_t i = 0; i + ZIP_END <= e->n; i++)
                if (is_zip_end(rest + i))
                        e->zip_at = e->at - e->n + i + 1;
        if (e->zip_at > 0)
                report_put(e->report, RULE_KIND_POLYGLOT, e->zip_at - 1, VIEW_NULL,
                           "A ZIP archive ends here: the program can also be opened as an archive.");
}
