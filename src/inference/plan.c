#include "inference/plan.h"

#include "base/num.h"
#include "inference/limits.h"

#define CONTEXT_USEFUL 2048u /* the context is not made shorter than this to make a model fit */
#define WORK_SPACE     ((uint64_t)96 << 20) /* the server itself, its threads, small models' buffers */
#define MEBIBYTE       ((uint64_t)1 << 20)

/* Attention scores and activations of one batch of 512 tokens, and what grows with the weights. */
static uint64_t work_space(const struct shape *s, uint64_t model_size, uint32_t context) {
        uint64_t batch = 512u * 4u * (16u * MIN_OF(s->embedding, (uint64_t)65536) + context);

        return WORK_SPACE + batch + model_size / 32;
}

static uint64_t needed(const struct shape *s, uint64_t model_size, uint32_t context) {
        uint64_t n = shape_conversation_bytes(s, model_size, context);

        if (u64_add(n, work_space(s, model_size, context), &n) < 0 || u64_add(n, model_size, &n) < 0)
                return UINT64_MAX;
        return n;
}

static uint32_t wished_context(const struct shape *s, uint32_t setting) {
        uint64_t n = setting > 0 ? setting : CONTEXT_CAP;

        if (s->context_length > 0)
                n = MIN_OF(n, s->context_length);
        return (uint32_t)MIN_OF(MAX_OF(n, (uint64_t)CONTEXT_LEAST), (uint64_t)CONTEXT_MOST);
}

static int too_large(const struct machine *m, uint64_t need, uint64_t may, uint64_t model_size,
                     struct refusal *ret) {
        int r = refusal_set(
                ret, -EFBIG, 507, "model_too_large",
                "The model needs about %llu MiB of memory (its file has %llu MiB), and %llu MiB may be used. "
                "Close other programs, choose a smaller model or a smaller quantisation, or raise "
                "inference.memory_percent in appliance.yaml.",
                (unsigned long long)(need / MEBIBYTE), (unsigned long long)(model_size / MEBIBYTE),
                (unsigned long long)(may / MEBIBYTE));

        if (ret)
                (void)snprintf(ret->detail, sizeof(ret->detail),
                               "{\"needed_bytes\":%llu,\"usable_bytes\":%llu,\"available_bytes\":%llu,"
                               "\"model_bytes\":%llu}",
                               (unsigned long long)need, (unsigned long long)may,
                               (unsigned long long)m->memory_available, (unsigned long long)model_size);
        return r;
}

int plan_make(const struct machine *m, const struct plan_settings *settings, const struct shape *shape,
              uint64_t model_size, struct plan *ret, struct refusal *ret_refusal) {
        uint64_t share = m->memory_total / 100 * settings->memory_percent;
        uint64_t may = MIN_OF(share, m->memory_available);
        uint32_t context = wished_context(shape, settings->context);

        while (needed(shape, model_size, context) > may && context / 2 >= CONTEXT_USEFUL)
                context /= 2;
        if (needed(shape, model_size, context) > may)
                return too_large(m, needed(shape, model_size, context), may, model_size, ret_refusal);
        *ret = (struct plan){
                .threads = machine_threads(m, settings->threads, WORKER_THREADS_MAX),
                .context = context,
                .memory_needed = needed(shape, model_size, context),
                .memory_limit = may,
        };
        return 0;
}
