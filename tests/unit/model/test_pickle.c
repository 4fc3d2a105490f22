/* The pickle machine: what a pickle would import and call is named, what can't be followed is said. */
#include "attacks/pickle/cases.h"
#include "base/buf.h"
#include "model/limits.h"
#include "model/pickle_machine.h"
#include "support/cm.h"
#include "support/scan_run.h"

#define FILE_MAX ((size_t)64 << 20)

static struct scan_run run;

static void put(void *userdata, const struct finding *f) {
        struct scan_run *s = userdata;

        assert_true(s->n < FINDINGS_MAX);
        s->findings[s->n++] = *f;
        s->rejected |= f->severity == FINDING_REJECT;
}

static void follow_sized(struct view bytes, uint64_t size, size_t piece) {
        struct finding_sink sink = {put, &run};
        struct model_report report = {.sink = &sink};
        _cleanup_(pickle_machine_freep) struct pickle_machine *m = NULL;

        memset(&run, 0, sizeof run);
        assert_int_equal(pickle_machine_new(&report, 0, size, &m), 0);
        for (size_t i = 0; i < bytes.n; i += piece)
                assert_int_equal(pickle_machine_feed(m, view_sub(bytes, i, piece)), 0);
        pickle_machine_finish(m);
}

static void follow(struct view bytes, size_t piece) {
        follow_sized(bytes, bytes.n, piece);
}

static bool said(const char *rule, const char *words) {
        for (size_t i = 0; i < run.n; i++)
                if (strcmp(run.findings[i].rule, rule) == 0 && strstr(run.findings[i].message, words))
                        return true;
        return false;
}

static bool said_at(const struct pickle_case *c) {
        for (size_t i = 0; i < run.n; i++)
                if (strcmp(run.findings[i].rule, c->rule) == 0 && run.findings[i].at == c->at &&
                    strstr(run.findings[i].message, c->says))
                        return true;
        return false;
}

static void hidden_calls_are_named_at_their_offset(void **state) {
        unsigned bad = 0;

        for (size_t i = 0; i < pickle_cases_n; i++) {
                const struct pickle_case *c = &pickle_cases[i];

                follow(c->bytes, c->bytes.n);
                if (said_at(c))
                        continue;
                fprintf(stderr, "# %s\n", c->name);
                scan_run_print(&run);
                bad++;
        }
        assert_int_equal(bad, 0);
}

static void pieces_make_no_difference(void **state) {
        static struct scan_run whole;

        for (size_t i = 0; i < pickle_cases_n; i++) {
                follow(pickle_cases[i].bytes, pickle_cases[i].bytes.n);
                whole = run;
                for (size_t piece = 1; piece < 8; piece++) {
                        follow(pickle_cases[i].bytes, piece);
                        if (!scan_run_equal(&whole, &run))
                                fail_msg("%s: pieces of %zu bytes", pickle_cases[i].name, piece);
                }
        }
}

/* Cut anywhere, a pickle is either broken or ends at a STOP: never silently fine. */
static void no_truncation_is_silent(void **state) {
        for (size_t i = 0; i < pickle_cases_n; i++)
                for (size_t n = 0; n < pickle_cases[i].bytes.n; n++) {
                        follow(view_sub(pickle_cases[i].bytes, 0, n), 64);
                        if (!run.rejected && (n == 0 || pickle_cases[i].bytes.p[n - 1] != '.'))
                                fail_msg("%s cut at %zu", pickle_cases[i].name, n);
                }
}

static const struct {
        const char *name;
        struct view bytes;
} harmless[] = {
        {"a list", VIEW_INIT("\x80\3]q\0(K\1K\2e.")},
        {"protocol 0", VIEW_INIT("(lp0\nI1\naI01\naF1.5\naL2L\naV\\u0061\na.")},
        {"every plain opcode",
         VIEW_INIT("\x80\5("
                   "J\1\0\0\0M\1\0K\1G\0\0\0\0\0\0\0\0N\x88\x89\x8a\1\1\x8b\1\0\0\0\1U\1aX\1\0\0\0a\x8c\1"
                   "aB\1\0\0\0aC\1a\x8e\1\0\0\0\0\0\0\0a\x96\1\0\0\0\0\0\0\0a(\x91\x8f(K\1\x90}(K\1K\2u(d2t0)"
                   ".")},
        {"an ordered dictionary", VIEW_INIT("\x80\2"
                                            "ccollections\nOrderedDict\n)RU\1aK\1s}U\1bK\1sb.")},
        {"a tensor", VIEW_INIT("\x80\2"
                               "ctorch._utils\n_rebuild_tensor_v2\n(("
                               "U\7storagectorch\nFloatStorage\nU\0010U\3cpuK\4tQK\0K\4"
                               "\x85K\1\x85\x89"
                               "ccollections\nOrderedDict\n)RtR.")},
        {"an array",
         VIEW_INIT("\x80\2"
                   "cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\0\x85"
                   "c_codecs\nencode\nX\1\0\0\0bX\6\0\0\0latin1\x86R\x87R(K\1K\1\x85"
                   "cnumpy\ndtype\nU\2f4\x89\x88\x87R(K\3U\1<NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\0tb\x89"
                   "c_codecs\nencode\nX\1\0\0\0bX\6\0\0\0latin1\x86Rtb.")},
};

static void harmless_pickles_have_no_fault_of_their_own(void **state) {
        for (size_t i = 0; i < ARRAY_SIZE(harmless); i++) {
                follow(harmless[i].bytes, 3);
                if (!run.rejected)
                        continue;
                scan_run_print(&run);
                fail_msg("%s", harmless[i].name);
        }
}

/* Each opcode of pickletools is known, and no other byte is one. */
static void there_are_68_opcodes(void **state) {
        unsigned known = 0;

        for (unsigned c = 0; c < 256; c++) {
                char bytes[1] = {(char)c};

                follow(view_make(bytes, 1), 1);
                known += !said("PICKLE-005", "No such opcode");
        }
        assert_int_equal(known, 68);
}

static void repeat(struct buf *b, struct view v, size_t times) {
        for (size_t i = 0; i < times; i++)
                assert_int_equal(buf_append_view(b, v), 0);
}

/* `times` of `unit` are followed, one more is a finding. */
static void expect_limit(struct view head, struct view unit, size_t times, const char *words) {
        for (unsigned extra = 0; extra < 2; extra++) {
                _cleanup_(buf_donep) struct buf b = BUF_INIT(FILE_MAX);

                repeat(&b, head, 1);
                repeat(&b, unit, times + extra);
                follow(buf_view(&b), 65536);
                assert_int_equal(said("PICKLE-007", words), extra);
        }
}

static void the_stack_is_bounded(void **state) {
        expect_limit(VIEW(""), VIEW("N"), PICKLE_STACK_MAX, "values at once");
}

static void marks_are_bounded(void **state) {
        expect_limit(VIEW(""), VIEW("("), PICKLE_MARKS_MAX, "open MARKs");
}

static void the_memo_is_bounded(void **state) {
        expect_limit(VIEW("N"), VIEW("\x94"), PICKLE_MEMO_MAX, "Memo entry 1048576");
        follow(VIEW("\x80\2Nr\xff\xff\x0f\0000j\xff\xff\x0f\0."), 100);
        assert_false(run.rejected);
        follow(VIEW("\x80\2Nr\0\0\x10\0."), 100);
        assert_true(said("PICKLE-007", "Memo entry 1048576"));
}

static void pickles_in_a_row_are_bounded(void **state) {
        expect_limit(VIEW(""), VIEW("N."), PICKLE_COUNT_MAX, "pickles in a row");
}

static void different_names_are_bounded(void **state) {
        for (unsigned extra = 0; extra < 2; extra++) {
                _cleanup_(buf_donep) struct buf b = BUF_INIT(FILE_MAX);

                for (unsigned i = 0; i < PICKLE_GLOBALS_MAX + extra; i++)
                        assert_int_equal(buf_printf(&b, "cm\nn%u\n0", i), 0);
                repeat(&b, VIEW("N."), 1);
                follow(buf_view(&b), 4096);
                assert_true(said("PICKLE-002", "248 further"));
                assert_int_equal(said("PICKLE-007", "\"m.n256\""), extra);
        }
}

static void names_are_bounded(void **state) {
        for (unsigned extra = 0; extra < 2; extra++) {
                _cleanup_(buf_donep) struct buf b = BUF_INIT(FILE_MAX), s = BUF_INIT(FILE_MAX);

                repeat(&b, VIEW("cm\n"), 1);
                repeat(&b, VIEW("n"), PICKLE_TEXT_MAX + extra);
                repeat(&b, VIEW("\n."), 1);
                follow(buf_view(&b), 77);
                assert_int_equal(said("PICKLE-003", "too long for a name"), extra);
                assert_int_equal(said("PICKLE-002", "m.nnn"), !extra);
                repeat(&s, VIEW("U\1mX\0\0\0\0"), 1);
                s.p[4] = (char)(uint8_t)(PICKLE_TEXT_MAX + extra);
                s.p[5] = (char)((PICKLE_TEXT_MAX + extra) >> 8);
                repeat(&s, VIEW("n"), PICKLE_TEXT_MAX + extra);
                repeat(&s, VIEW("\x93."), 1);
                follow(buf_view(&s), 77);
                assert_int_equal(said("PICKLE-003", "too long for a name"), extra);
                assert_int_equal(said("PICKLE-002", "m.nnn"), !extra);
        }
}

/* A text that no longer fits is not forgotten in silence: it can't become a name. */
static void texts_are_bounded(void **state) {
        for (unsigned extra = 0; extra < 2; extra++) {
                _cleanup_(buf_donep) struct buf b = BUF_INIT(FILE_MAX);
                size_t before = PICKLE_TEXTS_MAX - 8 + extra; /* "os" and "system" are eight bytes */

                for (size_t n = 0; before > 0; before -= n) {
                        n = MIN_OF(before, (size_t)250);
                        assert_int_equal(buf_append_char(&b, 'U'), 0);
                        assert_int_equal(buf_append_char(&b, (char)n), 0);
                        assert_int_equal(buf_reserve(&b, n), 0);
                        memset(b.p + b.n, 'x', n);
                        b.n += n;
                        assert_int_equal(buf_append_char(&b, '0'), 0);
                }
                repeat(&b, VIEW("U\2osU\6system\x93."), 1);
                follow(buf_view(&b), 65536);
                assert_int_equal(said("PICKLE-003", "one text too many"), extra);
                assert_int_equal(said("PICKLE-001", "os.system"), !extra);
        }
}

/* More of a kind than are listed: the number of the others is said, and the dangerous ones have their own list. */
static void dangerous_names_are_not_crowded_out(void **state) {
        _cleanup_(buf_donep) struct buf b = BUF_INIT(FILE_MAX);

        for (unsigned i = 0; i < 200; i++)
                assert_int_equal(buf_printf(&b, "cdecoy\nn%u\n0", i), 0);
        repeat(&b, VIEW("cos\nsystem\n."), 1);
        follow(buf_view(&b), 4096);
        assert_true(said("PICKLE-001", "\"os.system\""));
        assert_true(said("PICKLE-002", "192 further"));
}

/* The end is known to the feeder only: a member of an archive without a length. */
static void an_unknown_size_is_no_fault(void **state) {
        follow_sized(VIEW("\x80\2N."), PICKLE_SIZE_UNKNOWN, 2);
        assert_int_equal(run.n, 0);
        follow_sized(VIEW("\x80\4\x95\xff\0\0\0\0\0\0\0\x8d\xff\xff\xff\xff\xff\xff\xff\xff"),
                     PICKLE_SIZE_UNKNOWN, 2);
        assert_true(said("PICKLE-005", "length beyond"));
}

static void the_scan_names_the_call(void **state) {
        scan_run(VIEW("\x80\2cposix\nsystem\nU\2id\x85R."), "model.pkl", 5, &run);
        assert_int_equal(run.summary.kind, MODEL_KIND_PICKLE);
        assert_true(scan_run_has(&run, "KIND-001"));
        assert_true(said("PICKLE-001", "\"posix.system\" (GLOBAL) and calls it (REDUCE at 21)"));
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(hidden_calls_are_named_at_their_offset),
                cmocka_unit_test(pieces_make_no_difference),
                cmocka_unit_test(no_truncation_is_silent),
                cmocka_unit_test(harmless_pickles_have_no_fault_of_their_own),
                cmocka_unit_test(there_are_68_opcodes),
                cmocka_unit_test(the_stack_is_bounded),
                cmocka_unit_test(marks_are_bounded),
                cmocka_unit_test(the_memo_is_bounded),
                cmocka_unit_test(pickles_in_a_row_are_bounded),
                cmocka_unit_test(different_names_are_bounded),
                cmocka_unit_test(names_are_bounded),
                cmocka_unit_test(texts_are_bounded),
                cmocka_unit_test(dangerous_names_are_not_crowded_out),
                cmocka_unit_test(an_unknown_size_is_no_fault),
                cmocka_unit_test(the_scan_names_the_call),
        };

        return cmocka_run_group_tests_name("pickle", tests, NULL, NULL);
}
