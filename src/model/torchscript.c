#include "model/torchscript.h"

#include "model/limits.h"

/* The text is cut into dotted names ("torch.save", "ops.aten.relu"): only those are looked at. */
struct torchscript {
        struct model_report *report;
        uint64_t at, name_at;
        size_t n;
        bool cut;
        bool bracket; /* a name was read, and what follows decides whether it is called */
        char name[TORCHSCRIPT_NAME_MAX];
};

bool torchscript_is_code(struct view name) {
        return view_ends(name, VIEW(".py")) &&
               (view_find(name, VIEW("/code/")) != SIZE_MAX || view_starts(name, VIEW("code/")));
}

int torchscript_new(struct model_report *report, struct torchscript **ret) {
        struct torchscript *t = calloc(1, sizeof *t);

        if (!t)
                return -ENOMEM;
        t->report = report;
        report_put(report, RULE_TORCH_CODE, 0, VIEW_NULL,
                   "This is TorchScript: program code that runs when the model is used.");
        *ret = t;
        return 0;
}

struct torchscript *torchscript_free(struct torchscript *t) {
        free(t);
        return NULL;
}

static const struct {
        const char *name, *why;
} calls[] = {
        {"torch.save", "writes a file"},
        {"torch.load", "loads a pickle"},
        {"torch.from_file", "reads or overwrites a file"},
        {"ops.aten.save", "writes a file"},
        {"ops.aten.from_file", "reads or overwrites a file"},
        {"aten.save", "writes a file"},
        {"aten.from_file", "reads or overwrites a file"},
        {"torch.classes.load_library", "loads machine code"},
        {"torch.ops.load_library", "loads machine code"},
        {"ops.load_library", "loads machine code"},
        {"torch.hub.load", "downloads and runs code"},
};

/* ops.NAMESPACE.name: operators that PyTorch itself brings. */
static bool is_foreign(struct view name) {
        static const char *const own[] = {"aten",    "prim",   "quantized", "prims",
                                          "_caffe2", "onednn", "mkldnn"};
        struct view rest = name, part;

        if (view_starts(rest, VIEW("torch.")))
                rest = view_sub(rest, 6, SIZE_MAX);
        if (!view_starts(rest, VIEW("ops.")))
                return false;
        rest = view_sub(rest, 4, SIZE_MAX);
        if (!view_split(&rest, '.', &part))
                return false;
        for (size_t i = 0; i < ARRAY_SIZE(own); i++)
                if (view_eq_str(part, own[i]))
                        return false;
        return true;
}

static void judge(struct torchscript *t) {
        struct view name = view_make(t->name, t->n);

        if (t->cut || report_is_full(t->report, RULE_TORCH_CALL))
                return;
        for (size_t i = 0; i < ARRAY_SIZE(calls); i++)
                if (view_eq_str(name, calls[i].name)) {
                        report_put(t->report, RULE_TORCH_CALL, t->name_at, VIEW_NULL,
                                   "The code calls \"%.60s\", which %s.", report_quote(name).text,
                                   calls[i].why);
                        return;
                }
        if (is_foreign(name))
                report_put(t->report, RULE_TORCH_CALL, t->name_at, VIEW_NULL,
                           "The code calls \"%.80s\", an operator from outside of PyTorch: machine code.",
                           report_quote(name).text);
}

static bool is_of_name(char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
               c == '.';
}

static void take_name(struct torchscript *t, char c) {
        if (t->bracket || t->n == 0) { /* another name begins */
                t->n = 0;
                t->cut = t->bracket = false;
                t->name_at = t->at;
        }
        if (t->n < TORCHSCRIPT_NAME_MAX)
                t->name[t->n++] = c;
        else
                t->cut = true;
}

void torchscript_feed(struct torchscript *t, struct view bytes) {
        for (size_t i = 0; i < bytes.n; i++, t->at++) {
                char c = bytes.p[i];

                if (is_of_name(c))
                        take_name(t, c);
                else if (t->n > 0 && (c == ' ' || c == '\t'))
                        t->bracket = true; /* spaces may stand in front of the bracket */
                else {
                        if (t->n > 0 && c == '(')
                                judge(t);
                        t->n = 0;
                }
        }
}

void torchscript_finish(struct torchscript *t) {
        t->n = 0;
}
