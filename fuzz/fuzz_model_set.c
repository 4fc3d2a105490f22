/* A folder of any files: the first byte chooses the pieces; then, for each file, a byte with the length of its path, the
 * path, two bytes with the length of its content, the content. */
#include "model/model_set.h"
#include "model_compare.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

#define FILES_MAX 24u

struct file {
        struct view path, content;
};

static int by_path(const void *a, const void *b) {
        return view_compare(((const struct file *)a)->path, ((const struct file *)b)->path);
}

/* Sorted, each path once, as a listing has them. */
static size_t take_files(struct view v, struct file *ret) {
        size_t n = 0, kept = 0;

        while (n < FILES_MAX && v.n > 0) {
                size_t path = (uint8_t)v.p[0], content;

                ret[n].path = view_sub(v, 1, path);
                v = view_sub(v, 1 + path, SIZE_MAX);
                content = v.n > 1 ? (size_t)(uint8_t)v.p[0] | (size_t)(uint8_t)v.p[1] << 8 : 0;
                ret[n].content = view_sub(v, 2, content);
                v = view_sub(v, 2 + content, SIZE_MAX);
                n += ret[n].path.n > 0;
        }
        qsort(ret, n, sizeof *ret, by_path);
        for (size_t i = 0; i < n; i++)
                if (kept == 0 || !view_eq(ret[kept - 1].path, ret[i].path))
                        ret[kept++] = ret[i];
        return kept;
}

static void scan(struct model_set *set, uint32_t i, struct view content, uint32_t *seed) {
        struct model_summary facts;
        struct model_scan *m;

        if (model_set_scan_new(set, i, &m) < 0)
                abort();
        for (size_t at = 0; at < content.n;) {
                struct view piece = view_sub(content, at, *seed ? compare_piece(seed) : SIZE_MAX);

                if (model_scan_feed(m, piece) < 0)
                        abort();
                at += piece.n;
        }
        if (model_scan_finish(m, &facts) < 0 || model_set_fact(set, i, &facts) < 0)
                abort();
        model_scan_free(m);
}

static uint64_t sizes[FILES_MAX];

static void put_few(void *userdata, const struct finding *f) {
        struct compare_result *r = userdata;

        if (f->member > FILES_MAX || f->stage < 2 || f->stage > 7)
                abort();
        if (f->at != UINT64_MAX && (f->member == 0 || f->at > sizes[f->member - 1]))
                abort(); /* no such place */
        if (r->n < FINDINGS_MAX)
                r->findings[r->n++] = *f;
}

static void judge(const struct file *files, size_t n, uint32_t seed, struct compare_result *ret) {
        struct finding_sink sink = {put_few, ret};
        struct model_set *set;

        memset(ret, 0, sizeof *ret);
        if (model_set_new(&sink, &set) < 0)
                abort();
        for (size_t i = 0; i < n; i++)
                sizes[i] = files[i].content.n;
        for (size_t i = 0; i < n; i++)
                if (model_set_add(set, files[i].path, files[i].content.n) < 0)
                        abort();
        for (size_t i = 0; i < n; i++)
                scan(set, (uint32_t)i, files[i].content, &seed);
        if (model_set_finish(set, &ret->summary) < 0)
                abort();
        model_set_free(set);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n) {
        static struct compare_result whole, pieces;
        struct file files[FILES_MAX];
        size_t count;

        if (n == 0)
                return 0;
        count = take_files(view_make(data + 1, n - 1), files);
        judge(files, count, 0, &whole);
        judge(files, count, data[0] + 1u, &pieces);
        compare_check(&whole, &pieces);
        return 0;
}
