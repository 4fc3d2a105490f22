/* Runs the case files of tests/attacks/{json,yaml,url}: each becomes a test of its own. */
#include "support/cm.h"

#include "support/attack_files.h"
#include "wire/url.h"
#include "wire/yaml.h"

#define CASES_MAX 2048

struct url_case {
        struct view text, expected;
};

static struct CMUnitTest cases[CASES_MAX];
static size_t n_cases;

static void add_case(const char *name, CMUnitTestFunction run, void *state) {
        assert_true(n_cases < CASES_MAX);
        cases[n_cases++] = (struct CMUnitTest){name, run, NULL, NULL, state};
}

static struct buf write_tree(const struct json *root) {
        struct buf text = BUF_INIT((size_t)1 << 20);
        struct json_writer w = JSON_WRITER(&text);

        json_put_value(&w, root);
        assert_int_equal(json_write_end(&w), 0);
        return text;
}

static void assert_refused(const struct attack_file *file, int r, const struct fault *fault,
                           uint64_t most_at) {
        assert_true(r == -EBADMSG || r == -E2BIG);
        assert_int_equal(fault->code, r);
        assert_non_null(fault->rule);
        assert_string_equal(fault->rule, file->rule);
        assert_true(fault->at <= most_at);
        assert_true(fault->text[0] != '\0');
}

/* What was accepted must read the same after it has been written. */
static void assert_writes_back(const struct json_document *doc) {
        _cleanup_(buf_donep) struct buf once = write_tree(json_root(doc)), twice = BUF_INIT(0);
        struct json_document *again = NULL;

        assert_int_equal(json_parse(buf_view(&once), NULL, &again, NULL), 0);
        twice = write_tree(json_root(again));
        assert_true(view_eq(buf_view(&once), buf_view(&twice)));
        json_document_free(again);
}

static void test_json_file(void **state) {
        const struct attack_file *file = *state;
        struct json_document *doc = NULL;
        struct fault fault = FAULT_NONE;
        int r = json_parse(view_make(file->content, file->n), NULL, &doc, &fault);

        if (!file->is_accepted) {
                assert_null(doc);
                assert_refused(file, r, &fault, file->n);
                return;
        }
        assert_int_equal(r, 0);
        assert_writes_back(doc);
        json_document_free(doc);
}

static void test_yaml_file(void **state) {
        const struct attack_file *file = *state;
        struct json_document *doc = NULL;
        struct fault fault = FAULT_NONE;
        int r = yaml_parse(view_make(file->content, file->n), &doc, &fault);

        if (!file->is_accepted) {
                assert_null(doc);
                assert_refused(file, r, &fault, file->n + 1); /* a line number */
                assert_true(fault.at >= 1);
                return;
        }
        assert_int_equal(r, 0);
        assert_writes_back(doc);
        json_document_free(doc);
}

static void test_url_line(void **state) {
        const struct url_case *c = *state;
        struct fault fault = FAULT_NONE;
        struct url url = {0}, again = {0};
        int r = url_parse(c->text, &url, &fault);

        if (view_starts(c->expected, VIEW("URL-"))) {
                assert_true(r < 0);
                assert_non_null(fault.rule);
                assert_true(view_eq_str(c->expected, fault.rule));
                assert_true(fault.at <= c->text.n);
                return;
        }
        assert_int_equal(r, 0);
        assert_true(view_eq(buf_view(&url.text), c->expected));
        assert_int_equal(url_parse(buf_view(&url.text), &again, NULL), 0);
        assert_true(view_eq(buf_view(&again.text), buf_view(&url.text))); /* canonical is a fixed point */
        assert_true(url_is_beneath(&url, &again));
        url_done(&url);
        url_done(&again);
}

static void add_files(const char *area, CMUnitTestFunction run) {
        struct attack_file *files;
        size_t n = attack_files_load(area, &files);

        assert_true(n > 0);
        for (size_t i = 0; i < n; i++)
                add_case(files[i].name, run, &files[i]);
}

/* '#' has a meaning in TAP. */
static char *case_name(struct view line) {
        char *name = view_dup(line);

        assert_non_null(name);
        for (char *p = name; *p; p++)
                if (*p == '#')
                        *p = '_';
        return name;
}

static void add_url_lines(void) {
        struct view rest = attack_text_load("url", "cases.txt"), line;

        while (view_split(&rest, '\n', &line)) {
                size_t arrow = view_find(line, VIEW(" -> "));
                struct url_case *c;

                if (view_starts(line, VIEW("#")))
                        continue;
                assert_true(arrow != SIZE_MAX);
                c = calloc(1, sizeof *c);
                assert_non_null(c);
                c->text = view_sub(line, 0, arrow);
                c->expected = view_sub(line, arrow + 4, SIZE_MAX);
                add_case(case_name(line), test_url_line, c);
        }
}

int main(void) {
        add_files("json", test_json_file);
        add_files("yaml", test_yaml_file);
        add_url_lines();
        return _cmocka_run_group_tests("attacks on readers", cases, n_cases, NULL, NULL);
}
