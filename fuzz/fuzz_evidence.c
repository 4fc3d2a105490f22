/* The registry's evidence check: whatever it accepts must really say pass, stage by stage, when the text is read again in
 * the plainest way. */
#include "base/text.h"
#include "registry/evidence.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static bool is_one_of(struct view v, const char *const *names) {
        while (*names && !view_eq_str(v, *names))
                names++;
        return *names;
}

static void check_stage(const struct json *stage, bool is_run, bool is_diffusion) {
        struct view name = json_get_view(stage, "name", VIEW_NULL),
                    status = json_get_view(stage, "status", VIEW_NULL);
        bool pass = view_eq(status, VIEW("pass"));

        if (!pass && !view_eq(status, VIEW("not_applicable")))
                abort();
        if ((view_eq(name, VIEW("format_gate")) || view_eq(name, VIEW("static_scan"))) && !pass)
                abort();
        if (view_eq(name, VIEW("behavioral_test")) && pass != is_run)
                abort();
        if (view_eq(name, VIEW("diffusion_scan")) && is_diffusion && !pass)
                abort();
}

static void check_accepted(const struct evidence *e) {
        const struct json *stages = json_get(e->verdict, "stages");
        bool is_run = is_one_of(e->kind, (const char *const[]){"gguf", "gguf-set", NULL}),
             is_set = is_one_of(e->kind,
                                (const char *const[]){"gguf-set", "safetensors-set", "diffusion", NULL});
        uint64_t n = 0;

        if (!view_eq(json_get_view(e->verdict, "verdict", VIEW_NULL), VIEW("pass")))
                abort();
        if (!is_run && !is_set && !view_eq(e->kind, VIEW("safetensors")))
                abort();
        if (is_set != (e->members > 0) || is_set != evidence_is_set(e))
                abort();
        if (e->size == 0 || e->policy_digest.n != 64 || utf8_first_fault(e->name) != SIZE_MAX)
                abort();
        for (const struct json *c = stages->child; c; c = c->next, n++)
                check_stage(c, is_run, view_eq_str(e->kind, "diffusion"));
        if (n != 7)
                abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n) {
        struct evidence e = {0};
        struct fault fault = FAULT_NONE;

        if (evidence_read(view_make(data, n), &e, &fault) < 0) {
                if (fault.code < 0 && !fault.rule)
                        abort();
                return 0;
        }
        check_accepted(&e);
        evidence_done(&e);
        return 0;
}
