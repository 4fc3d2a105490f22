/* The parts of a folder's reader: names, strict JSON with its limits, vocabularies, pictures, digests of names, and how the set is
 * called. */
#include "model/json_walk.h"
#include "model/names_digest.h"
#include "model/png_walk.h"
#include "model/sentencepiece.h"
#include "model/set_names.h"
#include "support/cm.h"
#include "support/set_files.h"

static struct set_result result;

static void put(void *userdata, const struct finding *f) {
        (void)userdata;
        assert_true(result.n < ARRAY_SIZE(result.findings));
        result.findings[result.n++] = *f;
}

static struct finding_sink sink = {put, NULL};

/* ---- names ---- */

static const struct {
        const char *path;
        const char *why; /* FOLDER-001: part of the words; NULL: fine */
} names[] = {
        {"model.safetensors", NULL},
        {"unet/config.json", NULL},
        {"a/b/c/d.txt", NULL},
        {"Größe.txt", NULL},
        {"Ωmega", "mixes"},
        {"Ωμέγα.txt", NULL}, /* endings are Latin */
        {"Ωμέγα", NULL},
        {"модель.bin.json", "mixes"},
        {"модель", NULL},
        {"模型.md", NULL},
        {"모델/README.md", NULL},
        {"モデル.txt", NULL},
        {"a b (1).txt", NULL},
        {"", "empty"},
        {"a//b", "empty"},
        {"/a", "empty"},
        {"a/", "empty"},
        {"../a", "hidden"},
        {"a/./b", "hidden"},
        {".a", "hidden"},
        {" a", "space"},
        {"-a", "dash"},
        {"~a", "tilde"},
        {"a ", "space"},
        {"a.", "dot"},
        {"a./b", "dot"},
        {"CON", "device"},
        {"con.txt", "device"},
        {"Lpt9.json", "device"},
        {"com0", "device"},
        {"nul .txt", "device"},
        {"conin$", "device"},
        {"lpt10.json", NULL},
        {"control.json", NULL},
        {"a\tb", "character"},
        {"a\x7f", "character"},
        {"a\\b", "character"},
        {"a:b", "character"},
        {"a*b", "character"},
        {"a?b", "character"},
        {"a|b", "character"},
        {"a\"b", "character"},
        {"a<b", "character"},
        {"\xff", "UTF-8"},
        {"a\xc0\xaf", "UTF-8"},
        {"a\xed\xa0\x80", "UTF-8"},
        {"e\xcc\x81", "character"},                /* a mark that combines: not NFC */
        {"\xe2\x84\xab", "character"},             /* the Angstrom sign: another spelling of a letter */
        {"\xe1\x84\x80\xe1\x85\xa1", "character"}, /* Korean letters not put together */
        {"\xef\xac\x81", "character"},             /* a ligature */
        {"a\xe2\x80\xae", "character"},            /* turns the direction */
        {"a\xe2\x80\x8b", "character"},            /* has no width */
        {"a\xef\xbb\xbf", "character"},
        {"a\xc2\xa0", "character"},
        {"\xd7\x90", "character"}, /* from right to left */
        {"\xf0\x9f\x98\x80", "character"},
        {"\xc4\xb0", "character"}, /* its small form depends on the language */
        {"c\xd0\xbenfig", "mixes"},
        {"\xd0\x90\xce\x91", "mixes"},
};

static void names_are_read_in_one_way_only(void **state) {
        for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
                const char *why = set_name_fault(view_of(names[i].path));

                if (!names[i].why != !why || (why && !strstr(why, names[i].why)))
                        fail_msg("\"%s\": %s", names[i].path, why ? why : "accepted");
        }
}

static void names_end_at_their_limits(void **state) {
        char path[1200];

        memset(path, 'a', sizeof path);
        assert_null(set_name_fault((struct view){path, 255}));
        assert_non_null(set_name_fault((struct view){path, 256}));
        for (size_t i = 200; i < sizeof path; i += 200)
                path[i] = '/';
        assert_null(set_name_fault((struct view){path, 1024}));
        assert_non_null(set_name_fault((struct view){path, 1025}));
        for (size_t i = 1; i < sizeof path; i += 2)
                path[i] = '/';
        path[0] = 'a';
        for (size_t i = 0; i < sizeof path; i += 2)
                path[i] = 'a';
        assert_null(set_name_fault((struct view){path, 63}));
        assert_non_null(set_name_fault((struct view){path, 65}));
}

static void names_fold_as_systems_without_capitals_do(void **state) {
        static const struct {
                const char *a, *b;
        } pairs[] = {
                {"Unet/Config.JSON", "unet/config.json"},
                {"GRÖSSE", "größe"},
                {"ΣΊΣΥΦΟΣ", "σίσυφος"},
                {"ЁЛКА", "ёлка"},
                {"ŽŸĹ", "žÿĺ"},
                {"Ђ", "ђ"},
                {"ΆΈΉΊΌΎΏ", "άέήίόύώ"},
                {"ĀĲĶŊŒ", "āĳķŋœ"},
        };

        for (size_t i = 0; i < ARRAY_SIZE(pairs); i++) {
                _cleanup_(buf_donep) struct buf a = BUF_INIT(256), b = BUF_INIT(256);

                assert_int_equal(set_name_fold(view_of(pairs[i].a), &a), 0);
                assert_int_equal(set_name_fold(view_of(pairs[i].b), &b), 0);
                assert_string_equal(buf_str(&a), buf_str(&b));
        }
}

static void endings_say_what_a_member_is(void **state) {
        static const struct {
                const char *path;
                enum set_file file;
        } files[] = {
                {"a.safetensors", SET_FILE_SAFETENSORS},
                {"x/a.gguf", SET_FILE_GGUF},
                {"a.json", SET_FILE_JSON},
                {"merges.txt", SET_FILE_TEXT},
                {"README.md", SET_FILE_TEXT},
                {"x/LICENSE", SET_FILE_TEXT},
                {"a.vocab", SET_FILE_TEXT},
                {"a.merges", SET_FILE_TEXT},
                {"a.model", SET_FILE_PIECES},
                {"a.jinja", SET_FILE_TEMPLATE},
                {"a.png", SET_FILE_PICTURE},
                {"a.bin", SET_FILE_NUMBERS},
                {"x/a.bin", SET_FILE_REFUSED},
                {"a.py", SET_FILE_REFUSED},
                {"a.pkl", SET_FILE_REFUSED},
                {"a.pt", SET_FILE_REFUSED},
                {"a.so", SET_FILE_REFUSED},
                {"a.zip", SET_FILE_REFUSED},
                {"a.SAFETENSORS", SET_FILE_REFUSED},
                {"license", SET_FILE_REFUSED},
                {".json", SET_FILE_REFUSED},
                {"a", SET_FILE_REFUSED},
                {"a.json.py", SET_FILE_REFUSED},
        };

        for (size_t i = 0; i < ARRAY_SIZE(files); i++)
                if (set_name_file(view_of(files[i].path)) != files[i].file)
                        fail_msg("%s", files[i].path);
}

/* ---- JSON ---- */

static int ignore(void *userdata, const struct json_walk *w, enum json_event e, struct view text,
                  uint64_t length) {
        return 0;
}

static const char *walk(struct view text, size_t piece) {
        static struct json_walk w;
        struct model_report report = {.sink = &sink};
        bool strict;

        result.n = 0;
        assert_int_equal(json_walk_init(&w, &report, ignore, NULL), 0);
        for (size_t i = 0; i < text.n; i += piece)
                assert_int_equal(json_walk_feed(&w, view_sub(text, i, piece)), 0);
        strict = json_walk_finish(&w);
        json_walk_done(&w);
        assert_int_equal(strict, result.n == 0);
        return strict ? "" : result.findings[0].rule;
}

static void json_is_strict_and_keys_are_given_once(void **state) {
        static const struct {
                const char *text, *rule;
        } texts[] = {
                {"{}", ""},
                {" [1, -0.5e+3, true, null, \"\\u00e9\\ud83d\\ude00\"] \n", ""},
                {"{\"a\": {\"a\": 1}, \"b\": {\"a\": [{\"a\": 1}, {\"a\": 2}]}}", ""},
                {"\"x\"", ""},
                {"12", ""},
                {"", "FOLDER-006"},
                {"{", "FOLDER-006"},
                {"{}}", "FOLDER-006"},
                {"{} {}", "FOLDER-006"},
                {"[NaN]", "FOLDER-006"},
                {"[Infinity]", "FOLDER-006"},
                {"[01]", "FOLDER-006"},
                {"[1.]", "FOLDER-006"},
                {"[.5]", "FOLDER-006"},
                {"[1,]", "FOLDER-006"},
                {"{\"a\" 1}", "FOLDER-006"},
                {"{a: 1}", "FOLDER-006"},
                {"// x\n{}", "FOLDER-006"},
                {"[\"\\ud800\"]", "FOLDER-006"},
                {"[\"\\udc00x\"]", "FOLDER-006"},
                {"[\"a\tb\"]", "FOLDER-006"},
                {"[\"\\u0000\"]", "FOLDER-006"},
                {"[\"\xff\"]", "FOLDER-006"},
                {"\xef\xbb\xbf{}", "FOLDER-006"},
                {"{\"a\": 1, \"a\": 1}", "FOLDER-007"},
                {"{\"a\": 1, \"\\u0061\": 2}", "FOLDER-007"},
                {"[[{\"x\": {\"\": 1, \"\": 2}}]]", "FOLDER-007"},
        };

        for (size_t i = 0; i < ARRAY_SIZE(texts); i++)
                for (size_t piece = 1; piece < 64; piece += 31) {
                        const char *rule = walk(view_of(texts[i].text), piece);

                        if (strcmp(rule, texts[i].rule) != 0)
                                fail_msg("%s: %s", texts[i].text, rule);
                }
}

static void repeat(struct buf *out, const char *text, size_t n) {
        for (size_t i = 0; i < n; i++)
                assert_int_equal(buf_append_str(out, text), 0);
}

static void json_ends_at_its_limits(void **state) {
        _cleanup_(buf_donep) struct buf text = BUF_INIT((size_t)64 << 20);

        repeat(&text, "[", JSON_WALK_DEPTH_MAX);
        repeat(&text, "]", JSON_WALK_DEPTH_MAX);
        assert_string_equal(walk(buf_view(&text), SIZE_MAX), "");
        buf_clear(&text);
        repeat(&text, "[", JSON_WALK_DEPTH_MAX + 1);
        repeat(&text, "]", JSON_WALK_DEPTH_MAX + 1);
        assert_string_equal(walk(buf_view(&text), SIZE_MAX), "FOLDER-006");
        for (size_t more = 0; more < 2; more++) {
                buf_clear(&text);
                repeat(&text, "{\"", 1);
                repeat(&text, "k", JSON_WALK_KEY_MAX + more);
                repeat(&text, "\":1}", 1);
                assert_string_equal(walk(buf_view(&text), 1000), more ? "FOLDER-003" : "");
        }
        for (size_t more = 0; more < 2; more++) {
                buf_clear(&text);
                repeat(&text, "[0", 1);
                repeat(&text, ",0", JSON_WALK_TOKENS_MAX - 3 + more); /* the brackets count, too */
                repeat(&text, "]", 1);
                assert_string_equal(walk(buf_view(&text), SIZE_MAX), more ? "FOLDER-003" : "");
        }
        for (size_t more = 0; more < 2; more++) {
                buf_clear(&text);
                repeat(&text, "[", 1);
                repeat(&text, "{\"\":0},", JSON_WALK_KEYS_MAX + more);
                repeat(&text, "0]", 1);
                assert_string_equal(walk(buf_view(&text), SIZE_MAX), more ? "FOLDER-003" : "");
        }
}

/* ---- vocabularies, pictures, digests ---- */

static size_t pieces(struct view v, size_t piece) {
        struct model_report report = {.sink = &sink};
        struct sentencepiece p;

        result.n = 0;
        sentencepiece_init(&p, v.n, &report);
        for (size_t i = 0; i < v.n; i += piece)
                assert_int_equal(sentencepiece_feed(&p, view_sub(v, i, piece)), 0);
        sentencepiece_finish(&p);
        sentencepiece_done(&p);
        for (size_t i = 0; i < result.n; i++)
                assert_string_equal(result.findings[i].rule, "FOLDER-012");
        return result.n;
}

#define PIECE                                                                                                \
        "\x0a\x0c\x0a\x03"                                                                                   \
        "abc\x15\0\0\x80\x3f\x18\x01"

static void vocabularies_are_sound_to_the_last_byte(void **state) {
        static const struct {
                struct view v;
                bool sound;
        } rows[] = {
                {VIEW_INIT(PIECE), true},
                {VIEW_INIT(PIECE PIECE "\x12\x02\x18\x04"), true},
                {VIEW_INIT("\x0a\x05\x0a\x03"
                           "abc"),
                 true},
                {VIEW_INIT("\x12\x02\x18\x04"), false},                       /* no pieces */
                {VIEW_INIT(PIECE "\x12\x02\x18\x04\x12\x02\x18\x04"), false}, /* twice */
                {VIEW_INIT(PIECE "\x12\x02\x1b\x04"), false},                 /* a group */
                {VIEW_INIT(PIECE "\x12\x03\x18\x84\x00"), false},             /* a longer spelling */
                {VIEW_INIT(PIECE "\x12\x01\x18"), false},                     /* cut inside */
                {VIEW_INIT(PIECE "\x12\x7f\x18"), false},                     /* longer than the file */
                {VIEW_INIT(PIECE "\x10\x01"), false},                         /* another wire type */
                {VIEW_INIT(PIECE "\x32\x01\x00"), false},                     /* field 6 */
                {VIEW_INIT(PIECE "\x02\x00"), false},                         /* field 0 */
                {VIEW_INIT("\x0a\x02\x0a\x00"), false},                       /* a piece without text */
                {VIEW_INIT("\x0a\x00"), false},
                {VIEW_INIT("\x0a\x0a\x0a\x03"
                           "abc\x15\0\0\xc0\x7f"),
                 false}, /* NaN */
                {VIEW_INIT("\x0a\x07\x0a\x03"
                           "abc\x18\x00"),
                 false},
                {VIEW_INIT("\x0a\x07\x0a\x03"
                           "abc\x20\x01"),
                 false},
                {VIEW_INIT(PIECE "\x80\x80\x80\x80\x80\x01"), false},
        };

        for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
                for (size_t piece = 1; piece < 8; piece += 3)
                        if ((pieces(rows[i].v, piece) == 0) != rows[i].sound)
                                fail_msg("vocabulary %zu", i);
}

static bool picture(struct view v, size_t piece) {
        struct model_report report = {.sink = &sink};
        struct png_walk p;

        result.n = 0;
        png_walk_init(&p, v.n, &report);
        for (size_t i = 0; i < v.n; i += piece)
                png_walk_feed(&p, view_sub(v, i, piece));
        png_walk_finish(&p);
        for (size_t i = 0; i < result.n; i++)
                assert_string_equal(result.findings[i].rule, "FOLDER-013");
        return result.n == 0;
}

#define SIGN "\x89PNG\r\n\x1a\n"
#define IHDR "\0\0\0\x0dIHDR0123456789abcCRC_"
#define IDAT "\0\0\0\1IDATxCRC_"
#define IEND "\0\0\0\0IENDCRC_"

static void pictures_are_framed_to_the_last_byte(void **state) {
        static const struct {
                struct view v;
                bool sound;
        } rows[] = {
                {VIEW_INIT(SIGN IHDR IDAT IEND), true},
                {VIEW_INIT(SIGN IHDR "\0\0\0\2tEXthiCRC_" IDAT IDAT IEND), true},
                {VIEW_INIT(SIGN IDAT IHDR IEND), false},
                {VIEW_INIT(SIGN IHDR IHDR IDAT IEND), false},
                {VIEW_INIT(SIGN IHDR IEND), false},
                {VIEW_INIT(SIGN IHDR IDAT), false},
                {VIEW_INIT(SIGN IHDR IDAT IEND "x"), false},
                {VIEW_INIT(SIGN IHDR "\0\0\0\1EVILxCRC_" IDAT IEND), false},
                {VIEW_INIT(SIGN IHDR "\0\0\0\1ID1TxCRC_" IDAT IEND), false},
                {VIEW_INIT(SIGN IHDR "\x7f\xff\xff\xffIDATxCRC_"), false},
                {VIEW_INIT(SIGN IHDR IDAT "\0\0\0\1IENDxCRC_"), false},
                {VIEW_INIT("\x89PNG\r\n\x1a\r" IHDR IDAT IEND), false},
                {VIEW_INIT(SIGN), false},
        };

        for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
                for (size_t piece = 1; piece < 100; piece += 49)
                        if (picture(rows[i].v, piece) != rows[i].sound)
                                fail_msg("picture %zu", i);
}

static void digests_of_names_don_t_depend_on_the_order(void **state) {
        static const char *const orders[][3] = {{"a", "b", "c"}, {"c", "a", "b"}, {"b", "c", "a"}};
        uint8_t digest[3][NAMES_DIGEST_MAX], other[NAMES_DIGEST_MAX];
        struct names_digest d;

        for (size_t i = 0; i < 3; i++) {
                names_digest_init(&d, 3);
                for (size_t k = 0; k < 3; k++)
                        assert_int_equal(names_digest_add(&d, view_of(orders[i][k])), 0);
                assert_int_equal(names_digest_add(&d, VIEW("one too many")), -EFBIG);
                names_digest_final(&d, digest[i]);
                assert_memory_equal(digest[i], digest[0], NAMES_DIGEST_MAX);
        }
        names_digest_init(&d, 3);
        assert_int_equal(names_digest_add(&d, VIEW("abc")), 0);
        names_digest_final(&d, other);
        assert_memory_not_equal(other, digest[0], NAMES_DIGEST_MAX);
}

/* ---- the set ---- */

static void a_set_is_told_in_order_and_whole(void **state) {
        struct model_summary facts = {.kind = MODEL_KIND_TEXT, .size = 1}, whole;
        _cleanup_(model_set_freep) struct model_set *s = NULL;
        struct model_scan *scan;

        result.n = 0;
        assert_int_equal(model_set_new(&sink, &s), 0);
        assert_int_equal(model_set_add(s, VIEW("b.txt"), 1), 0);
        assert_int_equal(model_set_add(s, VIEW("b.txt"), 1), -EINVAL);
        assert_int_equal(model_set_add(s, VIEW("a.txt"), 1), -EINVAL);
        assert_int_equal(model_set_add(s, VIEW("c.txt"), 1), 0);
        assert_int_equal(model_set_scan_new(s, 2, &scan), -EINVAL);
        assert_int_equal(model_set_fact(s, 2, &facts), -EINVAL);
        assert_int_equal(model_set_fact(s, 0, &facts), 0);
        assert_int_equal(model_set_fact(s, 0, &facts), -EINVAL); /* once */
        assert_int_equal(model_set_finish(s, &whole), -ENODATA);
        facts.size = 2;
        assert_int_equal(model_set_fact(s, 1, &facts), -EINVAL); /* another size */
        facts.size = 1;
        assert_int_equal(model_set_fact(s, 1, &facts), 0);
        assert_int_equal(model_set_finish(s, &whole), 0);
        assert_int_equal(whole.kind, MODEL_KIND_FOLDER);
        assert_int_equal(whole.size, 2);
        assert_string_equal(result.findings[result.n - 1].rule, "FOLDER-015");
}

static void a_set_ends_at_its_limits(void **state) {
        _cleanup_(model_set_freep) struct model_set *s = NULL;
        char path[64];
        int r = 0;

        result.n = 0;
        assert_int_equal(model_set_new(&sink, &s), 0);
        for (unsigned i = 0; i < MODEL_SET_MEMBERS_MAX; i++) {
                (void)snprintf(path, sizeof path, "f%05u/a.txt", i);
                assert_int_equal(model_set_add(s, view_of(path), 0), 0);
        }
        for (size_t i = 0; i < result.n; i++)
                assert_string_equal(result.findings[i].rule, "FOLDER-003"); /* too many folders */
        assert_true(result.n > 0 && result.n <= FINDINGS_PER_RULE_MAX);
        r = model_set_add(s, VIEW("g.txt"), 0);
        assert_int_equal(r, -E2BIG);
}

static void weights_are_scanned_without_the_set_as_with_it(void **state) {
        _cleanup_(set_files_donep) struct set_files f = {NULL, 0};
        _cleanup_(model_set_freep) struct model_set *s = NULL;
        struct model_summary alone, within;
        struct model_scan *scan;
        struct view v;
        char path[4096];

        (void)snprintf(path, sizeof path, "%s/tests/data/pebble/pebble-refuse-hf",
                       secure_getenv("SECAI_SOURCE"));
        set_files_read(&f, path);
        v = buf_view(&f.list[1].content);
        assert_int_equal(model_set_scan_alone(view_of("config.json"), 3, 1, &sink, &scan), -EINVAL);
        assert_int_equal(model_set_scan_alone(view_of(f.list[1].path), v.n, 1, &sink, &scan), 0);
        assert_int_equal(model_scan_feed(scan, v), 0);
        assert_int_equal(model_scan_finish(scan, &alone), 0);
        model_scan_free(scan);
        assert_int_equal(model_set_new(&sink, &s), 0);
        assert_int_equal(model_set_add(s, view_of(f.list[1].path), v.n), 0);
        assert_int_equal(model_set_scan_new(s, 0, &scan), 0);
        assert_int_equal(model_scan_feed(scan, v), 0);
        assert_int_equal(model_scan_finish(scan, &within), 0);
        model_scan_free(scan);
        assert_memory_equal(&alone, &within, sizeof alone);
        assert_int_equal(alone.embedding_rows, 1024);
        assert_int_equal(alone.embedding_columns, 128);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(names_are_read_in_one_way_only),
                cmocka_unit_test(names_end_at_their_limits),
                cmocka_unit_test(names_fold_as_systems_without_capitals_do),
                cmocka_unit_test(endings_say_what_a_member_is),
                cmocka_unit_test(json_is_strict_and_keys_are_given_once),
                cmocka_unit_test(json_ends_at_its_limits),
                cmocka_unit_test(vocabularies_are_sound_to_the_last_byte),
                cmocka_unit_test(pictures_are_framed_to_the_last_byte),
                cmocka_unit_test(digests_of_names_don_t_depend_on_the_order),
                cmocka_unit_test(a_set_is_told_in_order_and_whole),
                cmocka_unit_test(a_set_ends_at_its_limits),
                cmocka_unit_test(weights_are_scanned_without_the_set_as_with_it),
        };

        return cmocka_run_group_tests_name("set_parts", tests, NULL, NULL);
}
