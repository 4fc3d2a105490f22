/* A chat template. Whatever it says, the judgement ends, and a template that was accepted has no text that
 * begins an internal name behind a dot. */
#include "model/scan.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void put(void *userdata, const struct finding *f) {
        if (f->severity == FINDING_REJECT)
                *(bool *)userdata = true;
}

/* An output of nothing but a chain of names, one of which begins with an underscore: {{ a.__b }}. */
static bool is_plainly_hostile(struct view v) {
        size_t i = 2;

        if (!view_starts(v, VIEW("{{")) || !view_ends(v, VIEW("}}")))
                return false;
        for (; i < v.n - 2; i++)
                if (!((v.p[i] >= 'a' && v.p[i] <= 'z') || v.p[i] == '.' || v.p[i] == '_'))
                        return false;
        return view_find(v, VIEW("._")) != SIZE_MAX;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n) {
        bool rejected = false;
        struct finding_sink sink = {put, &rejected};
        struct view text = view_make(data, n);

        model_template_check(text, "template", 0, &sink);
        if (!rejected && n >= 4 && is_plainly_hostile(text))
                abort();
        return 0;
}
