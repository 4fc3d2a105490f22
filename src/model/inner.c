#include "model/inner.h"

#include "base/buf.h"
#include "model/kind.h"
#include "model/limits.h"
#include "model/torchscript.h"

struct inner {
        struct refused_context context;
        struct refused *reader;
        struct torchscript *code;
        enum model_kind kind;
        bool decided;
        struct buf name, head;
};

int inner_new(const struct refused_context *c, struct view name, struct inner **ret) {
        struct inner *i = calloc(1, sizeof *i);
        int r;

        if (!i)
                return -ENOMEM;
        i->context = *c;
        i->name = BUF_INIT(INNER_NAME_MAX);
        i->head = BUF_INIT(SCAN_HEAD_MAX);
        r = buf_append_view(&i->name,
                            view_sub(name, name.n - MIN_OF(name.n, (size_t)INNER_NAME_MAX), SIZE_MAX));
        if (r < 0) {
                inner_free(i);
                return r;
        }
        *ret = i;
        return 0;
}

struct inner *inner_free(struct inner *i) {
        if (i) {
                refused_free(i->reader);
                torchscript_free(i->code);
                buf_done(&i->name);
                buf_done(&i->head);
                free(i);
        }
        return NULL;
}

static bool is_program(enum model_kind k) {
        return k == MODEL_KIND_ELF || k == MODEL_KIND_PE || k == MODEL_KIND_MACHO || k == MODEL_KIND_SCRIPT ||
               k == MODEL_KIND_LLAMAFILE;
}

/* Endings of text that some program runs. */
static bool is_code_name(struct view name) {
        static const char *const endings[] = {".py", ".pyc", ".pyw", ".sh",  ".bat",
                                              ".js", ".ps1", ".cmd", ".vbs", ".lua"};

        for (size_t i = 0; i < ARRAY_SIZE(endings); i++)
                if (view_ends(name, view_of(endings[i])))
                        return true;
        return false;
}

static int decide(struct inner *i) {
        struct model_report *report = i->context.report;
        struct view name = buf_view(&i->name);

        i->decided = true;
        i->kind = model_kind_detect(buf_view(&i->head), i->head.n);
        if (i->kind != MODEL_KIND_EMPTY)
                model_kind_check_name(report, i->kind, name);
        if (torchscript_is_code(name))
                return torchscript_new(report, &i->code);
        if (is_program(i->kind) || is_code_name(name))
                report_put(report, RULE_ARCHIVE_PROGRAM, REPORT_WHOLE, VIEW_NULL,
                           "This is a %s, which no model needs.",
                           is_program(i->kind) ? model_kind_title(i->kind) : "file of program code");
        return refused_new(&i->context, i->kind, UNPACK_SIZE_UNKNOWN, &i->reader);
}

static int feed_reader(struct inner *i, struct view bytes) {
        if (i->code)
                torchscript_feed(i->code, bytes);
        return i->reader ? refused_feed(i->reader, bytes) : 0;
}

static int begin(struct inner *i) {
        int r = decide(i);

        return r < 0 ? r : feed_reader(i, buf_view(&i->head));
}

int inner_feed(struct inner *i, struct view bytes) {
        size_t n = MIN_OF(SCAN_HEAD_MAX - i->head.n, bytes.n);
        int r = 0;

        if (!i->decided) {
                r = buf_append(&i->head, bytes.p, n);
                if (r >= 0 && i->head.n == SCAN_HEAD_MAX)
                        r = begin(i);
                bytes = view_sub(bytes, n, SIZE_MAX);
        }
        return r < 0 || bytes.n == 0 ? r : feed_reader(i, bytes);
}

int inner_finish(struct inner *i, enum model_kind *ret_kind) {
        int r = i->decided ? 0 : begin(i);

        if (r >= 0 && i->code)
                torchscript_finish(i->code);
        if (r >= 0 && i->reader)
                r = refused_finish(i->reader);
        if (r >= 0)
                *ret_kind = i->kind;
        return r;
}
