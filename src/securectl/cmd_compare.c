/* securectl compare: which tensors differ between two versions of a model, how much and where. */
#include <fcntl.h>
#include <math.h>

#include "base/file.h"
#include "base/num.h"
#include "securectl/command.h"
#include "securectl/options.h"
#include "securectl/terminal.h"
#include "wire/json.h"

#define DOCUMENT_MAX_BYTES ((size_t)64 << 20)
#define PIECE              ((size_t)64 << 10) /* as the leaves of the Merkle trees */

static const struct command_help help = {
        .usage = "compare [OPTION…] OLD NEW",
        .text = "Compares two versions of a model by their secai.tensors/1 documents, which `securectl scan\n"
                "--tensors OUT` writes for a file or folder and the quarantine keeps of each model: which\n"
                "tensors are the same, changed, added or removed, and how their statistics moved. With\n"
                "--old-file and --new-file (single files) it also reads changed tensors and says which 64 "
                "KiB\n"
                "differ.\n"
                "Exit status: 0 all tensors are the same, 1 some differ, 2 trouble.",
        .least = 2,
        .most = 2,
};

enum change { SAME, CHANGED, ADDED, REMOVED, CHANGES };
static const char *const change_names[CHANGES] = {"same", "changed", "added", "removed"};

struct side {
        struct json_document *document;
        const struct json **list; /* by file and name */
        size_t n;
        int fd; /* of the model, or negative */
};

struct comparison {
        struct side old, new;
        size_t counts[CHANGES];
        struct buf out;
        struct json_writer json;
        bool as_json;
};

static int order(const struct json *a, const struct json *b) {
        int r = view_compare(json_get_view(a, "file", VIEW_NULL), json_get_view(b, "file", VIEW_NULL));

        return r ? r : view_compare(json_get_view(a, "name", VIEW_NULL), json_get_view(b, "name", VIEW_NULL));
}

static int compare_pointers(const void *a, const void *b) {
        return order(*(const struct json *const *)a, *(const struct json *const *)b);
}

static int load(const char *path, const char *model, struct side *s) {
        _cleanup_(buf_donep) struct buf text = BUF_INIT(DOCUMENT_MAX_BYTES);
        struct fault why = FAULT_NONE;
        const struct json *list;
        int r = read_file(path, DOCUMENT_MAX_BYTES, &text);

        if (r < 0)
                return complain("%s can't be read: %s", path, strerror(-r));
        r = json_parse(buf_view(&text), NULL, &s->document, &why);
        list = r < 0 ? NULL : json_get_typed(json_root(s->document), "tensors", JSON_ARRAY);
        if (!list ||
            !view_eq_str(json_get_view(json_root(s->document), "schema", VIEW_NULL), "secai.tensors/1"))
                return complain(
                        "%s is no secai.tensors/1 document; `securectl scan --tensors OUT MODEL` writes one",
                        path);
        s->list = calloc((size_t)list->count + 1, sizeof *s->list);
        if (!s->list)
                return complain("out of memory");
        for (const struct json *t = list->child; t; t = t->next)
                s->list[s->n++] = t;
        qsort(s->list, s->n, sizeof *s->list, compare_pointers);
        if (model) {
                s->fd = open(model, O_RDONLY | O_CLOEXEC | O_NOCTTY);
                if (s->fd < 0)
                        return complain("%s can't be opened: %s", model, strerror(errno));
        }
        return 0;
}

static void side_done(struct side *s) {
        json_document_free(s->document);
        free(s->list);
        close_fd(s->fd);
}

static double number(const struct json *t, const char *key) {
        double v = 0;

        return json_get_double(t, key, &v) < 0 ? 0 : v;
}

static bool is_same(const struct json *a, const struct json *b) {
        struct view root = json_get_view(a, "merkle_root", VIEW_NULL);

        return root.n == 64 && view_eq(root, json_get_view(b, "merkle_root", VIEW_NULL)) &&
               view_eq(json_get_view(a, "type", VIEW_NULL), json_get_view(b, "type", VIEW_NULL));
}

struct spread {
        bool known;
        uint64_t pieces, differ, first, last; /* offsets of pieces within the tensor */
};

/* Both files are read at the places that the documents name; a place beyond the end counts as different. */
static void find_places(const struct comparison *c, const struct json *a, const struct json *b,
                        struct spread *ret) {
        static uint8_t left[PIECE], right[PIECE];
        uint64_t at_a, at_b, bytes, bytes_b;

        *ret = (struct spread){.known = false};
        if (c->old.fd < 0 || c->new.fd < 0 || json_get_u64(a, "offset", &at_a) < 0 ||
            json_get_u64(b, "offset", &at_b) < 0 || json_get_u64(a, "bytes", &bytes) < 0 ||
            json_get_u64(b, "bytes", &bytes_b) < 0 || bytes != bytes_b || bytes > INT64_MAX ||
            at_a > INT64_MAX || at_b > INT64_MAX)
                return;
        ret->known = true;
        for (uint64_t at = 0; at < bytes; at += PIECE, ret->pieces++) {
                size_t n = (size_t)MIN_OF((uint64_t)PIECE, bytes - at);
                bool same = pread(c->old.fd, left, n, (off_t)(at_a + at)) == (ssize_t)n &&
                            pread(c->new.fd, right, n, (off_t)(at_b + at)) == (ssize_t)n &&
                            memcmp(left, right, n) == 0;

                if (same)
                        continue;
                if (ret->differ++ == 0)
                        ret->first = at;
                ret->last = at;
        }
}

static void put_delta(struct comparison *c, const char *key, const struct json *a, const struct json *b) {
        json_key(&c->json, key);
        json_object_begin(&c->json);
        json_key(&c->json, "old");
        json_put_double(&c->json, number(a, key));
        json_key(&c->json, "new");
        json_put_double(&c->json, number(b, key));
        json_object_end(&c->json);
}

static void put_json(struct comparison *c, enum change what, const struct json *a, const struct json *b,
                     const struct spread *p) {
        const struct json *t = a ? a : b;
        struct view file = json_get_view(t, "file", VIEW_NULL);

        json_object_begin(&c->json);
        if (file.p)
                json_member_view(&c->json, "file", file);
        json_member_view(&c->json, "name", json_get_view(t, "name", VIEW_NULL));
        json_member_string(&c->json, "change", change_names[what]);
        if (what == CHANGED) {
                put_delta(c, "mean", a, b);
                put_delta(c, "deviation", a, b);
        }
        if (p->known) {
                json_member_u64(&c->json, "pieces", p->pieces);
                json_member_u64(&c->json, "pieces_changed", p->differ);
                json_member_u64(&c->json, "first_offset", p->first);
                json_member_u64(&c->json, "last_offset", p->last);
        }
        json_object_end(&c->json);
}

static int put_text(struct comparison *c, enum change what, const struct json *a, const struct json *b,
                    const struct spread *p) {
        const struct json *t = a ? a : b;
        struct view file = json_get_view(t, "file", VIEW_NULL);
        int r = buf_printf(&c->out, "%-8s ", change_names[what]);

        if (r >= 0 && file.n > 0)
                r = buf_append_escaped(&c->out, file, 200);
        if (r >= 0 && file.n > 0)
                r = buf_append_str(&c->out, ": ");
        if (r >= 0)
                r = buf_append_escaped(&c->out, json_get_view(t, "name", VIEW_NULL), 200);
        if (r >= 0 && what == CHANGED)
                r = buf_printf(&c->out, "  mean %.4g -> %.4g, deviation %.4g -> %.4g", number(a, "mean"),
                               number(b, "mean"), number(a, "deviation"), number(b, "deviation"));
        if (r >= 0 && p->known)
                r = buf_printf(&c->out,
                               ", %llu of %llu pieces of 64 KiB, from byte %llu to %llu of the tensor",
                               (unsigned long long)p->differ, (unsigned long long)p->pieces,
                               (unsigned long long)p->first, (unsigned long long)p->last + PIECE);
        return r < 0 ? r : buf_append_char(&c->out, '\n');
}

static int put(struct comparison *c, enum change what, const struct json *a, const struct json *b) {
        struct spread p = {.known = false};

        c->counts[what]++;
        if (what == SAME)
                return 0;
        if (what == CHANGED)
                find_places(c, a, b, &p);
        if (!c->as_json)
                return put_text(c, what, a, b, &p);
        put_json(c, what, a, b, &p);
        return 0;
}

static int walk(struct comparison *c) {
        size_t i = 0, k = 0;
        int r = 0;

        while (r >= 0 && (i < c->old.n || k < c->new.n)) {
                const struct json *a = i < c->old.n ? c->old.list[i] : NULL;
                const struct json *b = k < c->new.n ? c->new.list[k] : NULL;
                int o = !a ? 1 : !b ? -1 : order(a, b);

                if (o == 0)
                        r = put(c, is_same(a, b) ? SAME : CHANGED, a, b);
                else
                        r = o < 0 ? put(c, REMOVED, a, NULL) : put(c, ADDED, NULL, b);
                i += o <= 0;
                k += o >= 0;
        }
        return r;
}

static int compare(struct comparison *c) {
        int r;

        if (c->as_json) {
                json_object_begin(&c->json);
                json_member_string(&c->json, "schema", "secai.tensors.comparison/1");
                json_key(&c->json, "tensors");
                json_array_begin(&c->json);
        }
        r = walk(c);
        if (r >= 0 && c->as_json) {
                json_array_end(&c->json);
                for (size_t i = 0; i < CHANGES; i++)
                        json_member_u64(&c->json, change_names[i], c->counts[i]);
                json_object_end(&c->json);
                r = json_write_end(&c->json);
                return r < 0 ? r : buf_append_char(&c->out, '\n');
        }
        return r < 0 ? r
                     : buf_printf(&c->out, "%zu same, %zu changed, %zu added, %zu removed\n", c->counts[SAME],
                                  c->counts[CHANGED], c->counts[ADDED], c->counts[REMOVED]);
}

int command_compare(int argc, char *argv[]) {
        static struct comparison c = {.old.fd = -EBADF, .new.fd = -EBADF};
        struct common common = {0};
        const char *old_file = NULL, *new_file = NULL;
        const struct option_spec specs[] = {
                {"old-file", 0, NULL, &old_file, "FILE", "the model that OLD was written of"},
                {"new-file", 0, NULL, &new_file, "FILE", "the model that NEW was written of"},
                COMMON_OPTIONS(&common),
        };
        int operands, code, r;

        if (command_begin(&help, specs, &common, argc, argv, &operands, &code) < 0)
                return code;
        c.out = BUF_INIT(4 * DOCUMENT_MAX_BYTES);
        c.json = JSON_WRITER(&c.out);
        c.as_json = common.json;
        code = load(argv[1], old_file, &c.old);
        if (code == 0)
                code = load(argv[2], new_file, &c.new);
        if (code == 0) {
                r = compare(&c);
                if (r >= 0)
                        r = write_all(STDOUT_FILENO, c.out.p, c.out.n);
                code = r < 0 ? complain("the comparison failed: %s", strerror(-r))
                       : c.counts[CHANGED] + c.counts[ADDED] + c.counts[REMOVED] > 0 ? EXIT_NO
                                                                                     : EXIT_YES;
        }
        side_done(&c.old);
        side_done(&c.new);
        buf_done(&c.out);
        return code;
}
