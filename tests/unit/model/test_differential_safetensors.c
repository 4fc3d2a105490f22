/* What our safetensors reader accepts, the reader of the format's authors reads in the same way: same metadata, names, types and
 * shapes, and the same bytes for each tensor; over generated files, whole and tampered with. That reader comes from Debian
 * (tools/reference-readers.sh); without it the comparison is skipped, loudly. */
#include "support/cm.h"

#include "base/num.h"
#include "model/limits.h"
#include "model/safetensors.h"
#include "support/differential.h"
#include "support/modelgen.h"

#define LINES_MAX 64u /* of one file: generated ones have fewer */

struct dump {
        struct view file;
        uint64_t data_start;
        FILE *out; /* the line being written */
        char *lines[LINES_MAX];
        size_t n, room;
        bool in_tensor;
        char dtype[16];
        uint64_t shape[SAFETENSORS_RANK_MAX], offsets[2];
        size_t rank, offsets_n;
};

static uint32_t crc32_of(struct view v) {
        uint32_t crc = UINT32_MAX;

        for (size_t i = 0; i < v.n; i++) {
                crc ^= (uint8_t)v.p[i];
                for (unsigned b = 0; b < 8; b++)
                        crc = crc >> 1 ^ (crc & 1 ? UINT32_C(0xedb88320) : 0);
        }
        return ~crc;
}

static void print_hex(FILE *out, struct view v) {
        for (size_t i = 0; i < v.n; i++)
                fprintf(out, "%02x", (unsigned)(uint8_t)v.p[i]);
}

static void begin_line(struct dump *d, const char *word, struct view text) {
        assert_true(d->n < LINES_MAX);
        d->out = open_memstream(&d->lines[d->n], &d->room);
        assert_non_null(d->out);
        fprintf(d->out, "%s ", word);
        print_hex(d->out, text);
}

static void end_line(struct dump *d) {
        if (d->out && fclose(d->out) == 0)
                d->n++;
        d->out = NULL;
}

/* Of a file that we accept, all the parts of an entry are there when the next one begins. */
static void end_tensor(struct dump *d) {
        uint64_t begin = d->data_start + d->offsets[0], n = d->offsets[1] - d->offsets[0];
        struct view data = VIEW_NULL;

        if (!d->in_tensor)
                return;
        d->in_tensor = false;
        fprintf(d->out, " %s [", d->dtype);
        for (size_t i = 0; i < d->rank; i++)
                fprintf(d->out, "%s%llu", i ? "," : "", (unsigned long long)d->shape[i]);
        if (n > 0 && begin <= d->file.n && n <= d->file.n - begin)
                data = view_sub(d->file, (size_t)begin, (size_t)n);
        fprintf(d->out, "] %llu %08x", (unsigned long long)n, crc32_of(data));
        end_line(d);
}

static void on_part(void *userdata, enum safetensors_part part, struct view text, uint64_t number) {
        struct dump *d = userdata;

        switch (part) {
        case SAFETENSORS_METADATA_KEY:
                end_tensor(d);
                begin_line(d, "metadata", text);
                break;
        case SAFETENSORS_METADATA_TEXT:
                fputc(' ', d->out);
                print_hex(d->out, text);
                end_line(d);
                break;
        case SAFETENSORS_NAME:
                end_tensor(d);
                begin_line(d, "tensor", text);
                d->in_tensor = true;
                d->rank = d->offsets_n = 0;
                break;
        case SAFETENSORS_DTYPE:
                (void)snprintf(d->dtype, sizeof d->dtype, "%.*s", VIEW_ARG(text));
                break;
        case SAFETENSORS_DIMENSION:
                d->shape[d->rank++] = number;
                break;
        default:
                d->offsets[d->offsets_n++ % 2] = number;
                break;
        }
}

static int compare_lines(const void *a, const void *b) {
        return strcmp(*(char *const *)a, *(char *const *)b);
}

static char *join(struct dump *d) {
        char *text = NULL;
        size_t n;
        FILE *out = open_memstream(&text, &n);

        assert_non_null(out);
        end_tensor(d);
        qsort(d->lines, d->n, sizeof *d->lines, compare_lines);
        for (size_t i = 0; i < d->n; i++)
                fprintf(out, "%s\n", d->lines[i]);
        assert_int_equal(fclose(out), 0);
        return text;
}

static void feed_all(struct safetensors *s, struct view bytes, uint64_t seed) {
        uint64_t state = modelgen_seed(seed);

        while (bytes.n > 0) {
                size_t piece = 1 + (size_t)(modelgen_random(&state) % 200);

                assert_int_equal(safetensors_feed(s, view_sub(bytes, 0, MIN_OF(piece, bytes.n))), 0);
                bytes = view_sub(bytes, MIN_OF(piece, bytes.n), SIZE_MAX);
        }
        safetensors_finish(s);
}

static char *our_reading(struct view bytes, uint64_t seed, struct finding *ret_why) {
        struct dump d = {.file = bytes};
        const struct safetensors_visitor visitor = {&d, on_part};
        const struct finding_sink sink = {differential_keep_first, ret_why};
        struct model_report report = {.sink = &sink};
        struct model_summary summary = {0};
        struct safetensors *s;
        char *text = NULL;

        memset(ret_why, 0, sizeof *ret_why);
        if (bytes.n >= 8)
                d.data_start = 8 + load_le64(bytes.p);
        assert_int_equal(safetensors_new(bytes.n, &report, &summary, &s), 0);
        safetensors_visit(s, &visitor);
        feed_all(s, bytes, seed);
        safetensors_free(s);
        if (!report_rejected(&report))
                text = join(&d);
        else if (d.out)
                end_line(&d);
        for (size_t i = 0; i < d.n; i++)
                free(d.lines[i]);
        return text;
}

static char *reference_path(void) {
        const char *given = secure_getenv("SECAI_REFERENCE_READERS"), *home = secure_getenv("HOME");
        char *path = NULL;

        if (given)
                assert_true(asprintf(&path, "%s/_safetensors_rust.so", given) > 0);
        else if (home)
                assert_true(asprintf(&path, "%s/.cache/secure-ai/reference-readers/_safetensors_rust.so",
                                     home) > 0);
        return path;
}

static void test_what_we_accept_safetensors_own_reader_reads_in_the_same_way(void **state) {
        static char shell[] = "/bin/sh", option[] = "-c", script[] = "exec python3 \"$0\" \"$@\"";
        _cleanup_(freep) char *library = reference_path(), *program = NULL;
        char *const source = secure_getenv("SECAI_SOURCE");

        assert_non_null(source);
        if (!library || access(library, R_OK) < 0) {
                printf("# NO COMPARISON WITH SAFETENSORS' OWN READER: run tools/reference-readers.sh\n");
                skip();
        }
        assert_true(asprintf(&program, "%s/tests/support/safetensors_dump.py", source) > 0);
        {
                char *const command[] = {shell, option, script, program, library, NULL};

                differential_run(&(struct differential){modelgen_random_safetensors, our_reading, command});
        }
}

static void test_generated_files_have_all_number_formats(void **state) {
        const struct differential d = {.make = modelgen_random_safetensors};
        unsigned seen = 0;

        for (size_t i = 0; i < modelgen_dtypes_n; i++) {
                const char *name = modelgen_dtypes[i].name;
                bool found = false;

                for (uint64_t k = 0; !found && k < 100; k++) {
                        _cleanup_(buf_donep) struct buf file = differential_case(
                                &d, k * DIFFERENTIAL_VALID_EVERY);
                        struct finding why;
                        _cleanup_(freep) char *text = our_reading(buf_view(&file), k, &why);
                        char word[32];

                        (void)snprintf(word, sizeof word, " %s [", name);
                        found = text && strstr(text, word);
                }
                seen += found;
        }
        assert_int_equal(seen, 22);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_generated_files_have_all_number_formats),
                cmocka_unit_test(test_what_we_accept_safetensors_own_reader_reads_in_the_same_way),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
