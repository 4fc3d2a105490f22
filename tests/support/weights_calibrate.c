/* weights_calibrate: how often ordinary weights raise each alarm about weights. For every type it generates tensors such as
 * weightgen makes them and counts the findings. usage: weights_calibrate TENSORS MEBIBYTES */
#include "base/num.h"
#include "model/dtype.h"
#include "model/ggml_types.h"
#include "model/tensor_scan.h"
#include "support/weightgen.h"

struct tally {
        unsigned findings;
        double entropy;
        double saturated;
};

static void count_finding(void *userdata, const struct finding *f) {
        struct tally *t = userdata;

        t->findings++;
        (void)fprintf(stderr, "%s: %s\n", f->rule, f->message);
}

static void note_record(void *userdata, const struct tensor_record *r) {
        struct tally *t = userdata;

        t->entropy = MAX_OF(t->entropy, r->entropy_max);
        t->saturated = MAX_OF(t->saturated, r->saturated);
}

static int one_tensor(struct weightgen *g, const char *name, const struct weights_layout *l, size_t block,
                      uint8_t *bytes, size_t n, struct tally *tally) {
        struct finding_sink findings = {count_finding, tally};
        struct model_report report = {.sink = &findings};
        struct model_summary summary = {0};
        struct tensor_sink sink = {note_record, tally};
        struct tensor_scan *t = NULL;
        uint64_t shape[] = {n};
        struct tensor_about about = {VIEW("t"), name, shape, 1, 0, n, l, block};
        int r = tensor_scan_new(&report, &summary, &t);

        if (r < 0)
                return r;
        weightgen_fill(g, name, l, block, bytes, n / block);
        tensor_scan_set(t, NULL, &sink);
        tensor_scan_declare(t, &about);
        tensor_scan_begin(t, &about);
        tensor_scan_feed(t, view_make(bytes, n));
        tensor_scan_end(t);
        tensor_scan_free(t);
        return 0;
}

static int one_type(const char *name, const struct weights_layout *l, size_t block, unsigned tensors,
                    size_t bytes, unsigned *all, unsigned *ret_findings) {
        size_t n = bytes / block * block;
        uint8_t *p = malloc(n);
        struct tally tally = {0};
        struct weightgen g;
        int r = p ? 0 : -ENOMEM;

        weightgen_init(&g, block);
        for (unsigned i = 0; i < tensors && r >= 0; i++)
                r = one_tensor(&g, name, l, block, p, n, &tally);
        free(p);
        if (r < 0)
                return r;
        printf("%-8s %4u tensors, %u findings, entropy of a window at most %.3f, saturated codes at most "
               "%.1f%%\n",
               name, tensors, tally.findings, tally.entropy, tally.saturated * 100);
        *all += tensors;
        *ret_findings += tally.findings;
        return 0;
}

int main(int argc, char *argv[]) {
        static const char *const dtypes[] = {"F8_E4M3", "F8_E5M2", "F8_E8M0"};
        uint64_t tensors, mebibytes;
        unsigned all = 0, findings = 0;
        int r = 0;

        if (argc != 3 || u64_parse(view_of(argv[1]), 100000, &tensors) < 0 ||
            u64_parse(view_of(argv[2]), 1024, &mebibytes) < 0 || mebibytes == 0) {
                (void)fputs("usage: weights_calibrate TENSORS MEBIBYTES\n", stderr);
                return 2;
        }
        for (uint32_t i = 0; i < GGML_TYPE_ID_MAX && r >= 0; i++)
                if (ggml_type_get(i))
                        r = one_type(ggml_type_get(i)->name, &ggml_type_get(i)->layout,
                                     ggml_type_get(i)->bytes, (unsigned)tensors, (size_t)mebibytes << 20,
                                     &all, &findings);
        for (size_t i = 0; i < ARRAY_SIZE(dtypes) && r >= 0; i++) {
                const struct dtype *d = dtype_get(dtype_find(view_of(dtypes[i])));

                r = one_type(d->name, &d->layout, d->block, (unsigned)tensors, (size_t)mebibytes << 20, &all,
                             &findings);
        }
        printf("%u tensors of %llu MiB, %u findings\n", all, (unsigned long long)mebibytes, findings);
        return r < 0 ? 2 : findings > 0;
}
