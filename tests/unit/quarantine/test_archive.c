/* Refused formats, looked into with everything that the scan worker has: the files of tests/attacks/formats. */
#include "base/buf.h"
#include "base/file.h"
#include "model/limits.h"
#include "quarantine/archive_walk.h"
#include "quarantine/collector.h"
#include "quarantine/limits.h"
#include "support/cm.h"

#define FILE_MAX ((size_t)64 << 20)

static struct collector found;
static struct model_summary summary;

static void scan(struct view bytes, const char *name, size_t piece) {
        struct finding_sink sink = collector_sink(&found);
        struct model_scan *m;

        memset(&found, 0, sizeof found);
        assert_int_equal(model_scan_new(bytes.n, view_of(name), &sink, &m), 0);
        model_scan_set_unpacker(m, archive_walk_unpacker());
        for (size_t i = 0; i < bytes.n; i += piece)
                assert_int_equal(model_scan_feed(m, view_sub(bytes, i, piece)), 0);
        assert_int_equal(model_scan_finish(m, &summary), 0);
        model_scan_free(m);
}

static void print(void) {
        for (size_t i = 0; i < found.n; i++)
                fprintf(stderr, "#   %s %s at %llu: %s\n", finding_severity_name(found.list[i].severity),
                        found.list[i].rule, (unsigned long long)found.list[i].at, found.list[i].message);
}

static bool said(struct view rule, struct view words) {
        for (size_t i = 0; i < found.n; i++)
                if (view_eq_str(rule, found.list[i].rule) &&
                    view_find(view_of(found.list[i].message), words) != SIZE_MAX)
                        return true;
        return false;
}

/* Nothing but that the format is refused. */
static bool is_harmless(void) {
        for (size_t i = 0; i < found.n; i++)
                if (found.list[i].severity == FINDING_REJECT && strcmp(found.list[i].rule, "KIND-001") != 0)
                        return false;
        return true;
}

static bool is_refused(void) {
        for (size_t i = 0; i < found.n; i++)
                if (found.list[i].severity == FINDING_REJECT)
                        return true;
        return false;
}

static void read_case(const char *name, struct buf *ret) {
        _cleanup_(buf_donep) struct buf path = BUF_INIT(4096);
        const char *source = secure_getenv("SECAI_SOURCE");

        assert_non_null(source);
        assert_int_equal(buf_printf(&path, "%s/tests/attacks/formats/%s", source, name), 0);
        buf_done(ret);
        assert_int_equal(read_file(buf_str(&path), FILE_MAX, ret), 0);
}

typedef void each_fn(const char *name, struct view bytes, struct view rule, struct view words);

/* Runs `each` over the lines of expect.txt; `once`: only the first of each file. */
static unsigned each_case(each_fn *each, bool once) {
        _cleanup_(buf_donep) struct buf table = BUF_INIT(FILE_MAX), bytes = BUF_INIT(FILE_MAX);
        struct view rest, line, name, rule;
        char last[128] = "";
        unsigned n = 0;

        read_case("expect.txt", &table);
        rest = buf_view(&table);
        while (view_split(&rest, '\n', &line)) {
                char path[256], *plain;

                if (view_starts(line, VIEW("#")))
                        continue;
                assert_true(view_split(&line, '\t', &name) && view_split(&line, '\t', &rule));
                if (once && view_eq_str(name, last))
                        continue;
                (void)snprintf(last, sizeof last, "%.*s", VIEW_ARG(name));
                (void)snprintf(path, sizeof path, "files/%s", last);
                read_case(path, &bytes);
                plain = strrchr(path, '/') + 1;
                each(plain, buf_view(&bytes), rule, line);
                n++;
        }
        return n;
}

static unsigned bad;
static const size_t pieces[] = {SIZE_MAX, 1, 7, 511, 4096};

static void check_case(const char *name, struct view bytes, struct view rule, struct view words) {
        for (size_t i = 0; i < ARRAY_SIZE(pieces); i++) {
                bool fine;

                scan(bytes, name, MIN_OF(pieces[i], bytes.n));
                fine = view_eq_str(rule, "-") ? is_harmless() : said(rule, words);
                if (fine && is_refused())
                        continue;
                fprintf(stderr, "# %s in pieces of %zu bytes: %.*s is missing or something else is said\n",
                        name, pieces[i], VIEW_ARG(rule));
                print();
                bad++;
                return;
        }
}

static void what_is_inside_is_named_whatever_the_pieces(void **state) {
        assert_true(each_case(check_case, false) > 80);
        assert_int_equal(bad, 0);
}

/* What unpacks to very much takes its time. */
static bool is_bomb(const char *name) {
        return strstr(name, "bomb") != NULL;
}

/* Cut anywhere, a file stays refused, and nothing crashes or leaks. */
static void check_cut(const char *name, struct view bytes, struct view rule, struct view words) {
        size_t step = MAX_OF(bytes.n / 64, (size_t)1);

        for (size_t n = 1; n < bytes.n && !is_bomb(name); n += step) {
                scan(view_sub(bytes, 0, n), name, 1000);
                if (!is_refused())
                        fail_msg("%s cut at %zu passes", name, n);
        }
}

static void no_truncation_passes(void **state) {
        assert_true(each_case(check_cut, true) > 0);
}

/* One byte changed: whatever comes of it, it stays refused. */
static void check_changed(const char *name, struct view bytes, struct view rule, struct view words) {
        size_t step = MAX_OF(bytes.n / 48, (size_t)1);

        for (size_t i = 0; i < bytes.n && !is_bomb(name); i += step) {
                _cleanup_(freep) char *copy = malloc(bytes.n);

                assert_non_null(copy);
                memcpy(copy, bytes.p, bytes.n);
                copy[i] = (char)(copy[i] ^ 0x55);
                scan(view_make(copy, bytes.n), name, 4096);
                assert_true(is_refused());
        }
}

static void changed_bytes_do_no_harm(void **state) {
        assert_true(each_case(check_changed, true) > 0);
}

/* Closed in the middle, at any place: everything is let go of (the sanitizers look). */
static void an_archive_can_be_given_up_anywhere(void **state) {
        _cleanup_(buf_donep) struct buf bytes = BUF_INIT(FILE_MAX);

        read_case("files/nested.tar.gz", &bytes);
        for (size_t n = 0; n < bytes.n; n++) {
                struct finding_sink sink = collector_sink(&found);
                struct model_scan *m;

                memset(&found, 0, sizeof found);
                assert_int_equal(model_scan_new(bytes.n, VIEW("x.gz"), &sink, &m), 0);
                model_scan_set_unpacker(m, archive_walk_unpacker());
                assert_int_equal(model_scan_feed(m, view_sub(buf_view(&bytes), 0, n)), 0);
                model_scan_free(m);
        }
}

/* A tar of `n` empty files. */
static void build_tar(struct buf *b, unsigned n) {
        for (unsigned i = 0; i < n; i++) {
                char block[512] = "f";
                unsigned sum = 0;

                (void)snprintf(block + 100, 8, "0000644");
                (void)snprintf(block + 124, 12, "00000000000");
                (void)snprintf(block + 136, 12, "00000000000");
                memset(block + 148, ' ', 8);
                block[156] = '0';
                memcpy(block + 257, "ustar\00000", 8);
                for (unsigned k = 0; k < sizeof block; k++)
                        sum += (uint8_t)block[k];
                (void)snprintf(block + 148, 8, "%06o", sum & 0777777u);
                assert_int_equal(buf_append(b, block, sizeof block), 0);
        }
        for (unsigned i = 0; i < 2; i++)
                assert_int_equal(buf_append(b, (const char[512]){0}, 512), 0);
}

static void members_are_bounded(void **state) {
        for (unsigned extra = 0; extra < 2; extra++) {
                _cleanup_(buf_donep) struct buf b = BUF_INIT(FILE_MAX);

                build_tar(&b, ARCHIVE_MEMBERS_MAX + extra);
                scan(buf_view(&b), "x.tar", (size_t)1 << 18);
                assert_int_equal(said(VIEW("ARCHIVE-004"), VIEW("too many members")), extra);
        }
}

static void a_7z_archive_that_is_kept_is_bounded(void **state) {
        for (unsigned extra = 0; extra < 2; extra++) {
                _cleanup_(freep) char *p = calloc(1, ARCHIVE_HELD_MAX + 1);

                assert_non_null(p);
                memcpy(p, "7z\xbc\xaf\x27\x1c\0\4", 8);
                scan(view_make(p, ARCHIVE_HELD_MAX + extra), "x.7z", (size_t)1 << 18);
                assert_int_equal(said(VIEW("ARCHIVE-004"), VIEW("this one is larger")), extra);
        }
}

/* Without what unpacks, compressed members are named as closed. */
static void without_an_unpacker_that_is_said(void **state) {
        _cleanup_(buf_donep) struct buf bytes = BUF_INIT(FILE_MAX);
        struct finding_sink sink = collector_sink(&found);
        struct model_scan *m;

        read_case("files/pytorch-evil-deflated.pt", &bytes);
        memset(&found, 0, sizeof found);
        assert_int_equal(model_scan_new(bytes.n, VIEW("m.pt"), &sink, &m), 0);
        assert_int_equal(model_scan_feed(m, buf_view(&bytes)), 0);
        assert_int_equal(model_scan_finish(m, &summary), 0);
        model_scan_free(m);
        assert_true(said(VIEW("ZIP-005"), VIEW("compressed and not looked into")));
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(what_is_inside_is_named_whatever_the_pieces),
                cmocka_unit_test(no_truncation_passes),
                cmocka_unit_test(changed_bytes_do_no_harm),
                cmocka_unit_test(an_archive_can_be_given_up_anywhere),
                cmocka_unit_test(members_are_bounded),
                cmocka_unit_test(a_7z_archive_that_is_kept_is_bounded),
                cmocka_unit_test(without_an_unpacker_that_is_said),
        };

        if (archive_walk_prepare() < 0)
                return 1;
        return cmocka_run_group_tests_name("archive", tests, NULL, NULL);
}
