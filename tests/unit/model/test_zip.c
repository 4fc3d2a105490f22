/* Archives: both tables must agree, and what stands in stored members is named. */
#include "base/buf.h"
#include "model/limits.h"
#include "support/cm.h"
#include "support/scan_run.h"

#define FILE_MAX ((size_t)64 << 20)
#define B(lit)   VIEW_INIT(lit)
#define EVIL     "\x80\2cos\nsystem\nU\2id\x85R."

struct part {
        struct view name, data;
        uint16_t flags, method;
        bool wide; /* sizes in ZIP64 extra fields */
};

/* Where things stand in the archive last built. */
static struct { size_t local[4], data[4], descriptor[4], central[4], directory, end; } at;
static struct scan_run run;

static void number(struct buf *b, uint64_t v, unsigned bytes) {
        for (unsigned i = 0; i < bytes; i++)
                assert_int_equal(buf_append_char(b, (char)(i < 8 ? v >> 8 * i : 0)), 0);
}

static void text(struct buf *b, struct view v) {
        assert_int_equal(buf_append_view(b, v), 0);
}

static void common(struct buf *b, const struct part *p, bool sizes) {
        number(b, p->flags, 2);
        number(b, p->method, 2);
        number(b, 0, 4);
        number(b, sizes ? 0x11223344 : 0, 4);
        for (unsigned i = 0; i < 2; i++)
                number(b, !sizes ? 0 : p->wide ? UINT32_MAX : p->data.n, 4);
        number(b, p->name.n, 2);
}

static void wide_extra(struct buf *b, const struct part *p) {
        if (!p->wide)
                return;
        number(b, 1, 2);
        number(b, 16, 2);
        number(b, p->data.n, 8);
        number(b, p->data.n, 8);
}

static void local(struct buf *b, const struct part *p, size_t i) {
        bool sizes = !(p->flags & 8);

        at.local[i] = b->n;
        text(b, VIEW("PK\3\4\x14\0"));
        common(b, p, sizes);
        number(b, p->wide ? 20 : 0, 2);
        text(b, p->name);
        wide_extra(b, p);
        at.data[i] = b->n;
        text(b, p->data);
        at.descriptor[i] = b->n;
        if (sizes)
                return;
        text(b, VIEW("PK\7\10\x44\x33\x22\x11"));
        number(b, p->data.n, 4);
        number(b, p->data.n, 4);
}

static void central(struct buf *b, const struct part *p, size_t i) {
        at.central[i] = b->n;
        text(b, VIEW("PK\1\2\x14\3\x14\0"));
        common(b, p, true);
        number(b, p->wide ? 20 : 0, 2);
        number(b, 0, 10);
        number(b, at.local[i], 4);
        text(b, p->name);
        wide_extra(b, p);
}

static void end(struct buf *b, size_t n) {
        at.end = b->n;
        text(b, VIEW("PK\5\6\0\0\0\0"));
        number(b, n, 2);
        number(b, n, 2);
        number(b, at.end - at.directory, 4);
        number(b, at.directory, 4);
        number(b, 0, 2);
}

static void build(struct buf *b, const struct part *parts, size_t n) {
        for (size_t i = 0; i < n; i++)
                local(b, &parts[i], i);
        at.directory = b->n;
        for (size_t i = 0; i < n; i++)
                central(b, &parts[i], i);
        end(b, n);
}

static bool said(const char *rule, const char *words) {
        for (size_t i = 0; i < run.n; i++)
                if (strcmp(run.findings[i].rule, rule) == 0 && strstr(run.findings[i].message, words))
                        return true;
        return false;
}

static void expect(const char *name, const char *rule, const char *words) {
        if (said(rule, words))
                return;
        scan_run_print(&run);
        fail_msg("%s", name);
}

/* Nothing but that the format is refused. */
static void expect_sound(const char *name) {
        for (size_t i = 0; i < run.n; i++)
                if (run.findings[i].severity == FINDING_REJECT &&
                    strcmp(run.findings[i].rule, "KIND-001") != 0) {
                        scan_run_print(&run);
                        fail_msg("%s", name);
                }
}

static const struct {
        const char *name;
        struct part parts[3];
} sound[] = {
        {"stored", {{B("a.txt"), B("hello"), 0, 0, false}, {B("b/c"), B(""), 0, 0, false}}},
        {"deflated", {{B("a.txt"), B("\x4b\x04\0"), 0, 8, false}}},
        {"deflated, into a pipe", {{B("a.txt"), B("\x4b\x04\0"), 8, 8, false}}},
        {"as PyTorch writes",
         {{B("archive/data.pkl"), B("\x80\2}q\0."), 0x808, 0, false},
          {B("archive/data/0"), B("PK\7\10PPK\7\10\0\0\0\0\1\0\0\0\1\0\0\0PK"), 0x808, 0, false}}},
        {"as NumPy writes",
         {{B("w.npy"), B("\x93NUMPY\1\0\x1a\0{'descr': '<f4', 'shape':}abcd"), 0, 0, true}}},
        {"UTF-8 name", {{B("\xc3\xa4"), B("x"), 0x800, 0, false}}},
};

static void sound_archives_have_no_fault_of_their_own(void **state) {
        for (size_t i = 0; i < ARRAY_SIZE(sound); i++)
                for (size_t piece = 0; piece < 9; piece++) {
                        _cleanup_(buf_donep) struct buf b = BUF_INIT(FILE_MAX);
                        size_t n = 0;

                        while (n < 3 && sound[i].parts[n].name.n > 0)
                                n++;
                        build(&b, sound[i].parts, n);
                        scan_run(buf_view(&b), "model", piece, &run);
                        expect_sound(sound[i].name);
                }
}

static void a_pickle_in_an_archive_is_followed_at_its_offset(void **state) {
        const struct part parts[] = {{B("x/version"), B("3\n"), 0x808, 0, false},
                                     {B("x/data.pkl"), B(EVIL), 0x808, 0, false},
                                     {B("x/code/more.pkl"), B(EVIL), 0, 0, false}};

        for (size_t piece = 0; piece < 30; piece++) {
                _cleanup_(buf_donep) struct buf b = BUF_INIT(FILE_MAX);
                unsigned found = 0;

                build(&b, parts, ARRAY_SIZE(parts));
                scan_run(buf_view(&b), "model.pt", piece, &run);
                for (size_t i = 0; i < run.n; i++)
                        found += strcmp(run.findings[i].rule, "PICKLE-001") == 0 &&
                                 (run.findings[i].at == at.data[1] + 2 ||
                                  run.findings[i].at == at.data[2] + 2);
                assert_int_equal(found, 2);
                expect("count", "ZIP-007",
                       "3 members: 2 pickles, 0 arrays, 0 files of program code, 1 others");
                assert_false(scan_run_has(&run, "ZIP-004"));
        }
}

static void an_array_of_objects_is_named_as_a_pickle(void **state) {
        static const struct view arrays[] = {
                B("\x93NUMPY\1\0\x0f\0{'descr': '|O'}" EVIL),
                B("\x93NUMPY\2\0\x1a\0\0\0{'descr': [('a', \"O8\",1)]}" EVIL),
                B("\x93NUMPY\1\0\x15\0{'descr': '\\x7c\\x4f'}" EVIL),
        };

        for (size_t i = 0; i < ARRAY_SIZE(arrays); i++)
                for (size_t piece = 0; piece < 6; piece++) {
                        _cleanup_(buf_donep) struct buf b = BUF_INIT(FILE_MAX);
                        const struct part part = {B("a.npy"), arrays[i], 0, 0, true};

                        build(&b, &part, 1);
                        scan_run(buf_view(&b), "model.npz", piece, &run);
                        expect("in an archive", "NPY-001", "Python objects");
                        expect("in an archive", "PICKLE-001", "os.system");
                        scan_run(arrays[i], "model.npy", piece, &run);
                        expect("alone", "NPY-001", "Python objects");
                        expect("alone", "PICKLE-001", "os.system");
                }
        scan_run(VIEW("\x93NUMPY\1\0\x10\0{'descr': '<f4'}abcd"), "model.npy", 0, &run);
        expect_sound("numbers");
        scan_run(VIEW("\x93NUMPY\4\0\x10\0{'descr': '<f4'}"), "model.npy", 0, &run);
        expect("version 4", "NPY-002", "version");
        scan_run(VIEW("\x93NUMPY\1\0\xff\0{'descr'"), "model.npy", 0, &run);
        expect("cut", "NPY-002", "cut off");
        scan_run(VIEW("\x93NUMPY\2\0\xff\xff\0\0{"), "model.npy", 0, &run);
        expect("at the limit, cut", "NPY-002", "cut off");
        scan_run(VIEW("\x93NUMPY\2\0\0\0\1\0{"), "model.npy", 0, &run);
        expect("over the limit", "NPY-002", "longer than");
}

static const struct {
        const char *words;
        struct view text;
} described[] = {
        {"Lambda layer", B("{\"layers\": [{\"class_name\": \"Lambda\", \"config\": {}}]}")},
        {"Lambda layer", B("\\\"class_name\\\":\\\"Lambda\\\"")},
        {"Lambda layer", B("\"class_name\":\"class_name\" : \"Lambda\"")},
        {"lambda function", B("{\"class_name\": \"__lambda__\"}")},
        {"lambda function", B("{\"function_type\":\"lambda\"}")},
        {"PyTorch module", B("\"\"class_name\":\n\"TorchModuleWrapper\"")},
        {NULL, B("{\"class_name\": \"Dense\", \"name\": \"Lambda\", \"class_name\": \"LambdaX\"}")},
};

static void layers_of_code_are_named(void **state) {
        for (size_t i = 0; i < ARRAY_SIZE(described); i++)
                for (size_t piece = 0; piece < 8; piece++) {
                        _cleanup_(buf_donep) struct buf b = BUF_INIT(FILE_MAX), h = BUF_INIT(FILE_MAX);
                        const struct part part = {B("config.json"), described[i].text, 0, 0, false};

                        build(&b, &part, 1);
                        scan_run(buf_view(&b), "model.keras", piece, &run);
                        if (described[i].words)
                                expect("Keras 3", "KERAS-001", described[i].words);
                        else
                                expect_sound("Keras 3");
                        text(&h, VIEW("\x89HDF\r\n\x1a\n\0\0"));
                        text(&h, described[i].text);
                        scan_run(buf_view(&h), "model.h5", piece, &run);
                        if (described[i].words)
                                expect("HDF5", "KERAS-001", described[i].words);
                        else
                                expect_sound("HDF5");
                }
}

static void bad_names_are_refused(void **state) {
        static const struct {
                struct view name;
                const char *words;
        } names[] = {
                {B("/etc/passwd"), "absolute"}, {B("C:/x"), "absolute"},
                {B("../x"), "upwards"},         {B("a/../b"), "upwards"},
                {B("a/.."), "upwards"},         {B("a\\b"), "backslash"},
                {B("a\0b"), "control"},         {B("a\nb"), "control"},
                {B("a\xff"), "UTF-8"},          {B(""), "empty"},
        };

        for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
                _cleanup_(buf_donep) struct buf b = BUF_INIT(FILE_MAX);
                const struct part part = {names[i].name, B("x"), 0, 0, false};

                build(&b, &part, 1);
                scan_run(buf_view(&b), "model", 0, &run);
                expect(names[i].words, "ZIP-003", names[i].words);
        }
}

static void what_is_not_looked_into_is_said(void **state) {
        static const struct {
                struct part part;
                const char *words;
        } closed[] = {
                {{B("x/data.pkl"), B("\3\0"), 0, 8, false}, "compressed"},
                {{B("x.npy"), B("\3\0"), 0, 8, false}, "compressed"},
                {{B("config.json"), B("\3\0"), 0, 8, false}, "compressed"},
                {{B("x/data.pkl"), B("\3\0"), 1, 0, false}, "encrypted"},
        };

        for (size_t i = 0; i < ARRAY_SIZE(closed); i++) {
                _cleanup_(buf_donep) struct buf b = BUF_INIT(FILE_MAX);

                build(&b, &closed[i].part, 1);
                scan_run(buf_view(&b), "model", 0, &run);
                expect(closed[i].words, "ZIP-005", closed[i].words);
        }
}

enum place { LOCAL, CENTRAL, END };

/* One field written over in an archive of "a" and "b", four bytes each. */
static const struct {
        const char *name;
        const char *rule;
        enum place place;
        size_t offset;
        struct view bytes;
} tampered[] = {
        {"central name", "ZIP-001", CENTRAL, 46, B("x")},
        {"local name", "ZIP-001", LOCAL, 30, B("x")},
        {"central method", "ZIP-001", CENTRAL, 10, B("\x08")},
        {"central checksum", "ZIP-001", CENTRAL, 16, B("\0")},
        {"central packed size", "ZIP-001", CENTRAL, 20, B("\5")},
        {"central plain size", "ZIP-001", CENTRAL, 24, B("\5")},
        {"central flags", "ZIP-001", CENTRAL, 8, B("\1")},
        {"central offset", "ZIP-001", CENTRAL, 42, B("\1")},
        {"offset into the other member", "ZIP-002", CENTRAL, 42, B("\x23")},
        {"symbolic link", "ZIP-003", CENTRAL, 38, B("\0\0\xff\xa1")},
        {"same name", "ZIP-002", LOCAL, 30, B("b")},
        {"two sizes of a stored member", "ZIP-001", LOCAL, 22, B("\x09")},
        {"local size too short", "ZIP-004", LOCAL, 18, B("\3")},
        {"local size beyond the end", "ZIP-004", LOCAL, 18, B("\xff\xff\xff\x7f")},
        {"extra field cut off", "ZIP-004", LOCAL, 28, B("\4")},
        {"count", "ZIP-001", END, 8, B("\1\0\1\0")},
        {"counts differ", "ZIP-004", END, 8, B("\1\0\2\0")},
        {"disk number", "ZIP-004", END, 4, B("\1")},
        {"directory's place", "ZIP-001", END, 16, B("\1")},
        {"directory's size", "ZIP-001", END, 12, B("\1")},
        {"comment longer than the file", "ZIP-004", END, 20, B("\5")},
        {"64-bit count without a record", "ZIP-001", END, 8, B("\xff\xff\xff\xff")},
        {"directory entry overwritten", "ZIP-004", CENTRAL, 0, B("xxxx")},
};

static void tampered_headers_are_refused_by_their_rule(void **state) {
        const struct part parts[] = {{B("a"), B("1234"), 0, 0, false}, {B("b"), B("5678"), 0, 0, false}};

        for (size_t i = 0; i < ARRAY_SIZE(tampered); i++) {
                _cleanup_(buf_donep) struct buf b = BUF_INIT(FILE_MAX);
                size_t where[] = {[LOCAL] = 0, [CENTRAL] = 0, [END] = 0};

                build(&b, parts, 2);
                where[CENTRAL] = at.central[0];
                where[END] = at.end;
                memcpy(b.p + where[tampered[i].place] + tampered[i].offset, tampered[i].bytes.p,
                       tampered[i].bytes.n);
                scan_run(buf_view(&b), "model", 0, &run);
                expect(tampered[i].name, tampered[i].rule, "");
        }
}

static void bytes_before_between_and_behind_are_refused(void **state) {
        const struct part parts[] = {{B("a"), B("1234"), 0, 0, false}, {B("b"), B("5678"), 0, 0, false}};
        _cleanup_(buf_donep) struct buf b = BUF_INIT(FILE_MAX);

        build(&b, parts, 2);
        text(&b, VIEW("x"));
        scan_run(buf_view(&b), "model", 0, &run);
        expect("behind", "ZIP-004", "follow the end");
        for (size_t gap = 1; gap < 6; gap++) {
                _cleanup_(buf_donep) struct buf c = BUF_INIT(FILE_MAX);

                local(&c, &parts[0], 0);
                for (size_t i = 0; i < gap; i++)
                        text(&c, VIEW("x"));
                local(&c, &parts[1], 1);
                at.directory = c.n;
                central(&c, &parts[0], 0);
                central(&c, &parts[1], 1);
                end(&c, 2);
                scan_run(buf_view(&c), "model", 0, &run);
                expect("between", "ZIP-004", "belong to no member");
        }
}

static void members_that_the_directory_leaves_out_are_refused(void **state) {
        const struct part parts[] = {{B("a"), B("1234"), 0, 0, false}, {B("b"), B("5678"), 0, 0, false}};
        _cleanup_(buf_donep) struct buf b = BUF_INIT(FILE_MAX);

        local(&b, &parts[0], 0);
        local(&b, &parts[1], 1);
        at.directory = b.n;
        central(&b, &parts[0], 0);
        end(&b, 1);
        scan_run(buf_view(&b), "model", 0, &run);
        expect("left out", "ZIP-001", "1 members are not listed");
}

static void no_truncation_is_silent(void **state) {
        const struct part parts[] = {{B("x/data.pkl"), B("\x80\2N."), 0x808, 0, false},
                                     {B("x/data/0"), B("5678"), 0, 0, false}};
        _cleanup_(buf_donep) struct buf b = BUF_INIT(FILE_MAX);

        build(&b, parts, 2);
        for (size_t n = 4; n < b.n; n++) {
                scan_run(view_sub(buf_view(&b), 0, n), "model", 0, &run);
                expect("cut", "ZIP-004", "");
        }
}

static void members_and_names_are_bounded(void **state) {
        for (unsigned extra = 0; extra < 2; extra++) {
                _cleanup_(buf_donep) struct buf b = BUF_INIT(FILE_MAX), c = BUF_INIT(FILE_MAX);

                for (unsigned i = 0; i < ZIP_MEMBERS_MAX + extra; i++) {
                        char name[16];
                        struct part p = {.data = VIEW_NULL};

                        (void)snprintf(name, sizeof name, "%u", i);
                        p.name = view_of(name);
                        local(&b, &p, 0);
                }
                scan_run(buf_view(&b), "model", 0, &run);
                assert_int_equal(scan_run_has(&run, "ZIP-006"), extra);
                assert_int_equal(buf_reserve(&c, ZIP_NAME_MAX + 1), 0);
                memset(c.p, 'n', ZIP_NAME_MAX + 1);
                c.n = ZIP_NAME_MAX + extra;
                {
                        _cleanup_(buf_donep) struct buf d = BUF_INIT(FILE_MAX);
                        const struct part p = {buf_view(&c), B("x"), 0, 0, false};

                        build(&d, &p, 1);
                        scan_run(buf_view(&d), "model", 0, &run);
                        assert_int_equal(scan_run_has(&run, "ZIP-006"), extra);
                }
        }
}

static void names_together_are_bounded(void **state) {
        for (unsigned extra = 0; extra < 2; extra++) {
                _cleanup_(buf_donep) struct buf b = BUF_INIT(FILE_MAX);

                for (unsigned i = 0; i < ZIP_NAMES_MAX / ZIP_NAME_MAX + extra; i++) {
                        char name[ZIP_NAME_MAX];
                        const struct part p = {{name, sizeof name}, B("x"), 0, 0, false};

                        memset(name, 'n', sizeof name);
                        for (unsigned k = 0; k < 5; k++)
                                name[k] = (char)('a' + (i >> 4 * k) % 16);
                        local(&b, &p, 0);
                }
                scan_run(buf_view(&b), "model", 0, &run);
                assert_int_equal(scan_run_has(&run, "ZIP-006"), extra);
        }
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(sound_archives_have_no_fault_of_their_own),
                cmocka_unit_test(a_pickle_in_an_archive_is_followed_at_its_offset),
                cmocka_unit_test(an_array_of_objects_is_named_as_a_pickle),
                cmocka_unit_test(layers_of_code_are_named),
                cmocka_unit_test(bad_names_are_refused),
                cmocka_unit_test(what_is_not_looked_into_is_said),
                cmocka_unit_test(tampered_headers_are_refused_by_their_rule),
                cmocka_unit_test(bytes_before_between_and_behind_are_refused),
                cmocka_unit_test(members_that_the_directory_leaves_out_are_refused),
                cmocka_unit_test(no_truncation_is_silent),
                cmocka_unit_test(members_and_names_are_bounded),
                cmocka_unit_test(names_together_are_bounded),
        };

        return cmocka_run_group_tests_name("zip", tests, NULL, NULL);
}
