#include "support/set_files.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>

#include "base/file.h"
#include "base/num.h"
#include "base/text.h"
#include "support/cm.h"
#include "support/split_gguf.h"

#define FILE_MAX ((size_t)80 << 20)

void set_files_done(struct set_files *s) {
        for (size_t i = 0; i < s->n; i++)
                buf_done(&s->list[i].content);
        free(s->list);
        *s = (struct set_files){NULL, 0};
}

static size_t find(const struct set_files *s, struct view path) {
        for (size_t i = 0; i < s->n; i++)
                if (view_eq_str(path, s->list[i].path))
                        return i;
        return SIZE_MAX;
}

static size_t must_find(const struct set_files *s, struct view path) {
        size_t i = find(s, path);

        if (i == SIZE_MAX)
                fail_msg("the folder has no file \"%.*s\"", VIEW_ARG(path));
        return i;
}

static void put(struct set_files *s, struct view path, struct view content) {
        size_t i = find(s, path), at = 0;

        if (i == SIZE_MAX) {
                if (!s->list)
                        s->list = calloc(SET_FILES_MAX, sizeof *s->list);
                assert_non_null(s->list);
                assert_true(s->n < SET_FILES_MAX && path.n < sizeof s->list[0].path);
                while (at < s->n && view_compare(view_of(s->list[at].path), path) < 0)
                        at++;
                memmove(&s->list[at + 1], &s->list[at], (s->n - at) * sizeof *s->list);
                memset(&s->list[at], 0, sizeof s->list[at]);
                memcpy(s->list[at].path, path.p, path.n);
                s->list[at].content = BUF_INIT(FILE_MAX);
                s->n++;
                i = at;
        }
        buf_clear(&s->list[i].content);
        s->list[i].judged = false;
        assert_int_equal(buf_append_view(&s->list[i].content, content), 0);
}

void set_files_put(struct set_files *s, const char *path, struct view content) {
        put(s, view_of(path), content);
}

static void take_out(struct set_files *s, size_t i) {
        buf_done(&s->list[i].content);
        memmove(&s->list[i], &s->list[i + 1], (s->n - i - 1) * sizeof *s->list);
        s->n--;
}

static void read_below(struct set_files *s, const char *root, const char *below, unsigned depth) {
        char path[4096];
        const struct dirent *e;
        struct stat st;
        DIR *d;

        assert_true(depth < 8);
        (void)snprintf(path, sizeof path, "%s/%s", root, below);
        d = opendir(path);
        if (!d)
                fail_msg("%s can't be opened", path);
        while ((e = readdir(d))) {
                _cleanup_(buf_donep) struct buf content = BUF_INIT(FILE_MAX);
                char inner[1100];

                if (e->d_name[0] == '.')
                        continue;
                (void)snprintf(inner, sizeof inner, "%s%s%s", below, *below ? "/" : "", e->d_name);
                (void)snprintf(path, sizeof path, "%s/%s", root, inner);
                assert_int_equal(lstat(path, &st), 0);
                if (S_ISDIR(st.st_mode)) {
                        read_below(s, root, inner, depth + 1);
                        continue;
                }
                assert_int_equal(read_file(path, FILE_MAX, &content), 0);
                set_files_put(s, inner, buf_view(&content));
        }
        (void)closedir(d);
}

void set_files_read(struct set_files *s, const char *folder) {
        read_below(s, folder, "", 0);
}

void set_files_copy(const struct set_files *from, struct set_files *ret) {
        for (size_t i = 0; i < from->n; i++) {
                size_t k;

                set_files_put(ret, from->list[i].path, buf_view(&from->list[i].content));
                k = must_find(ret, view_of(from->list[i].path));
                ret->list[k].judged = from->list[i].judged;
                ret->list[k].facts = from->list[i].facts;
        }
}

void set_files_write(const struct set_files *s, const char *folder) {
        for (size_t i = 0; i < s->n; i++) {
                char path[4096];
                size_t skip = strlen(folder) + 1;
                int fd;

                (void)snprintf(path, sizeof path, "%s/%s", folder, s->list[i].path);
                for (char *p = path + skip; (p = strchr(p, '/')); p++) {
                        *p = '\0';
                        assert_true(mkdir(path, 0755) == 0 || errno == EEXIST);
                        *p = '/';
                }
                fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
                if (fd < 0)
                        fail_msg("%s can't be written: %s", path, strerror(errno));
                assert_int_equal(write_all(fd, buf_str(&s->list[i].content), s->list[i].content.n), 0);
                close(fd);
        }
}

void set_files_split(struct set_files *s, struct view file, unsigned parts, const char *stem) {
        struct buf out[SPLIT_GGUF_MAX];
        char name[128];

        for (unsigned i = 0; i < SPLIT_GGUF_MAX; i++)
                out[i] = BUF_INIT(FILE_MAX);
        assert_int_equal(split_gguf(file, parts, out), 0);
        for (unsigned i = 0; i < parts; i++) {
                split_gguf_name(stem, i, parts, name);
                set_files_put(s, name, buf_view(&out[i]));
                buf_done(&out[i]);
        }
}

/* ---- changes ---- */

static void unescape(struct view v, struct buf *out) {
        for (size_t i = 0; i < v.n; i++) {
                char c = v.p[i];
                uint8_t byte;

                if (c == '\\' && i + 1 < v.n) {
                        c = v.p[++i];
                        if (c == 'n' || c == 't' || c == 's') {
                                c = c == 'n' ? '\n' : c == 't' ? '\t' : ' ';
                        } else if (c == 'x') {
                                assert_int_equal(hex_decode(view_sub(v, i + 1, 2), &byte, 1), 0);
                                c = (char)byte;
                                i += 2;
                        } else {
                                assert_int_equal(c, '\\');
                        }
                }
                assert_int_equal(buf_append_char(out, c), 0);
        }
}

static struct view word(struct view *line) {
        struct view w;

        if (!view_split(line, ' ', &w)) {
                w = *line;
                *line = VIEW_NULL;
        }
        return w;
}

static void change_sub(struct set_files_one *f, struct view rest) {
        _cleanup_(buf_donep) struct buf from = BUF_INIT(4096), to = BUF_INIT(4096), out = BUF_INIT(FILE_MAX);
        size_t arrow = view_find(rest, VIEW(" => ")), at;
        struct view have = buf_view(&f->content);

        assert_true(arrow != SIZE_MAX);
        unescape(view_sub(rest, 0, arrow), &from);
        unescape(view_sub(rest, arrow + 4, SIZE_MAX), &to);
        at = view_find(have, buf_view(&from));
        if (at == SIZE_MAX)
                fail_msg("%s has no \"%.*s\"", f->path, VIEW_ARG(rest));
        assert_int_equal(buf_append_view(&out, view_sub(have, 0, at)), 0);
        assert_int_equal(buf_append_view(&out, buf_view(&to)), 0);
        assert_int_equal(buf_append_view(&out, view_sub(have, at + from.n, SIZE_MAX)), 0);
        buf_done(&f->content);
        f->content = TAKE_BUF(out);
}

static void change_one(struct set_files_one *f, struct view verb, struct view rest) {
        _cleanup_(buf_donep) struct buf text = BUF_INIT(4096);
        uint64_t n;

        f->judged = false;
        if (view_eq(verb, VIEW("append"))) {
                unescape(rest, &text);
                assert_int_equal(buf_append_view(&f->content, buf_view(&text)), 0);
        } else if (view_eq(verb, VIEW("sub"))) {
                change_sub(f, rest);
        } else {
                assert_int_equal(u64_parse(rest, f->content.n, &n), 0);
                if (view_eq(verb, VIEW("cut")))
                        f->content.n -= n;
                else
                        f->content.p[n] = (char)~f->content.p[n];
        }
}

static void remove_paths(struct set_files *s, struct view path) {
        bool folder = view_ends(path, VIEW("/"));
        size_t gone = 0;

        for (size_t i = s->n; i > 0; i--)
                if (folder ? view_starts(view_of(s->list[i - 1].path), path)
                           : view_eq_str(path, s->list[i - 1].path)) {
                        take_out(s, i - 1);
                        gone++;
                }
        assert_true(gone > 0);
}

static void fill(struct set_files *s, struct view path, struct view rest) {
        _cleanup_(buf_donep) struct buf text = BUF_INIT(4096), all = BUF_INIT(FILE_MAX);
        uint64_t n;

        assert_int_equal(u64_parse(word(&rest), FILE_MAX, &n), 0);
        unescape(rest, &text);
        for (uint64_t i = 0; i < n; i++)
                assert_int_equal(buf_append_view(&all, buf_view(&text)), 0);
        put(s, path, buf_view(&all));
}

void set_files_change(struct set_files *s, struct view line) {
        _cleanup_(buf_donep) struct buf path = BUF_INIT(2048), other = BUF_INIT(2048), text = BUF_INIT(8192);
        struct view verb = word(&line);
        size_t i;

        unescape(word(&line), &path);
        if (view_eq(verb, VIEW("remove"))) {
                remove_paths(s, buf_view(&path));
        } else if (view_eq(verb, VIEW("write"))) {
                unescape(line, &text);
                put(s, buf_view(&path), buf_view(&text));
        } else if (view_eq(verb, VIEW("fill"))) {
                fill(s, buf_view(&path), line);
        } else if (view_eq(verb, VIEW("copy")) || view_eq(verb, VIEW("rename"))) {
                _cleanup_(buf_donep) struct buf content = BUF_INIT(FILE_MAX);

                unescape(line, &other);
                i = must_find(s, buf_view(&path));
                assert_int_equal(buf_append_view(&content, buf_view(&s->list[i].content)), 0);
                if (view_eq(verb, VIEW("rename")))
                        take_out(s, i);
                put(s, buf_view(&other), buf_view(&content));
        } else {
                change_one(&s->list[must_find(s, buf_view(&path))], verb, line);
        }
}

/* ---- judging ---- */

static void take(void *userdata, const struct finding *f) {
        struct set_result *r = userdata;

        assert_true(r->n < ARRAY_SIZE(r->findings));
        r->findings[r->n++] = *f;
        r->rejected |= f->severity == FINDING_REJECT;
}

static void scan(struct model_set *set, struct set_files_one *f, uint32_t i, size_t piece,
                 struct set_result *ret) {
        struct model_scan *scan;
        struct view v = buf_view(&f->content);
        size_t before = ret->n;

        assert_int_equal(model_set_scan_new(set, i, &scan), 0);
        for (size_t at = 0; at < v.n; at += piece)
                assert_int_equal(model_scan_feed(scan, view_sub(v, at, piece)), 0);
        assert_int_equal(model_scan_finish(scan, &f->facts), 0);
        model_scan_free(scan);
        for (size_t k = before; k < ret->n; k++)
                assert_true(ret->findings[k].member == i + 1 &&
                            (ret->findings[k].at == UINT64_MAX || ret->findings[k].at <= v.n));
        f->judged = ret->n == before &&
                    (f->facts.kind == MODEL_KIND_SAFETENSORS || f->facts.kind == MODEL_KIND_GGUF);
}

void set_files_judge(struct set_files *s, size_t piece, struct set_result *ret) {
        struct finding_sink sink = {take, ret};
        struct model_set *set;

        memset(ret, 0, sizeof *ret);
        assert_int_equal(model_set_new(&sink, &set), 0);
        for (size_t i = 0; i < s->n; i++)
                assert_int_equal(model_set_add(set, view_of(s->list[i].path), s->list[i].content.n), 0);
        for (size_t i = 0; i < s->n; i++) {
                if (!s->list[i].judged || piece > 0)
                        scan(set, &s->list[i], (uint32_t)i, piece ? piece : SIZE_MAX / 2, ret);
                assert_int_equal(model_set_fact(set, (uint32_t)i, &s->list[i].facts), 0);
        }
        assert_int_equal(model_set_finish(set, &ret->summary), 0);
        model_set_free(set);
}

bool set_result_has(const struct set_result *r, const char *rule) {
        for (size_t i = 0; i < r->n; i++)
                if (strcmp(r->findings[i].rule, rule) == 0)
                        return true;
        return false;
}

void set_result_print(const struct set_result *r) {
        for (size_t i = 0; i < r->n; i++)
                fprintf(stderr, "#   %s %s member %u: %s\n", finding_severity_name(r->findings[i].severity),
                        r->findings[i].rule, r->findings[i].member, r->findings[i].message);
}

/* ---- tables ---- */

static void take_head(struct view verb, struct view rest, struct set_case *c) {
        if (view_eq(verb, VIEW("case"))) {
                *c = (struct set_case){.rules = 0};
                (void)snprintf(c->name, sizeof c->name, "%.*s", VIEW_ARG(rest));
                return;
        }
        assert_true(c->rules < ARRAY_SIZE(c->rule));
        (void)snprintf(c->rule[c->rules++], sizeof c->rule[0], "%.*s", VIEW_ARG(rest));
}

size_t set_files_table(const char *file, struct set_files *base,
                       void (*each)(void *userdata, const struct set_case *c, struct set_files *s),
                       void *userdata) {
        _cleanup_(buf_donep) struct buf text = BUF_INIT((size_t)1 << 20);
        _cleanup_(set_files_donep) struct set_files now = {NULL, 0};
        struct set_case c = {.rules = 0};
        struct view rest, line, words;
        size_t cases = 0;

        if (read_file(file, text.max, &text) < 0)
                fail_msg("%s can't be read", file);
        assert_int_equal(buf_append_str(&text, "\n\n"), 0);
        for (rest = buf_view(&text); view_split(&rest, '\n', &line);) {
                struct view verb;

                if (line.n == 0 && c.name[0]) {
                        each(userdata, &c, &now);
                        cases++;
                        c.name[0] = '\0';
                }
                if (line.n == 0 || line.p[0] == '#')
                        continue;
                words = line;
                verb = word(&words);
                if (view_eq(verb, VIEW("case")) || view_eq(verb, VIEW("rule"))) {
                        take_head(verb, words, &c);
                        if (view_eq(verb, VIEW("case"))) {
                                set_files_done(&now);
                                set_files_copy(base, &now);
                        }
                        continue;
                }
                set_files_change(&now, line);
        }
        return cases;
}
