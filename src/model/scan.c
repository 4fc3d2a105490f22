#include "model/scan.h"

#include "base/buf.h"
#include "model/gguf.h"
#include "model/kind.h"
#include "model/limits.h"
#include "model/refused.h"
#include "model/safetensors.h"
#include "model/set_reader.h"
#include "model/template.h"
#include "model/tensor_scan.h"

#define NAME_MAX_BYTES 4096u

struct model_scan {
        uint64_t size;
        uint64_t at;
        struct finding_sink sink;
        struct tensor_sink tensor_sink;
        struct weights_limits weights_limits;
        struct model_report report;
        struct model_summary summary;
        struct buf name;
        struct gguf *gguf; /* one of these at most */
        struct safetensors *safetensors;
        struct refused *refused;
        const struct model_unpacker *unpacker;
        struct set_reader *reader; /* of a folder's member, for what holds no weights */
        bool reader_reads;
        bool decided;
        size_t head_n;
        size_t tail_n;
        char head[SCAN_HEAD_MAX];
        char tail[SCAN_TAIL_MAX];
};

int model_scan_new(uint64_t size, struct view name, const struct finding_sink *sink,
                   struct model_scan **ret) {
        _cleanup_(model_scan_freep) struct model_scan *m = calloc(1, sizeof *m);
        int r;

        if (!m)
                return -ENOMEM;
        m->size = m->summary.size = size;
        m->sink = *sink;
        m->report.sink = &m->sink;
        m->weights_limits = weights_limits_default;
        m->name = BUF_INIT(NAME_MAX_BYTES);
        r = buf_append_view(&m->name,
                            view_sub(name, name.n - MIN_OF(name.n, (size_t)NAME_MAX_BYTES), SIZE_MAX));
        if (r < 0)
                return r;
        *ret = TAKE_PTR(m);
        return 0;
}

int model_scan_new_member(uint64_t size, struct view name, uint32_t member, const struct finding_sink *sink,
                          struct set_reader *reader, struct model_scan **ret) {
        int r = model_scan_new(size, name, sink, ret);

        if (r < 0)
                return r;
        (*ret)->report.member = member + 1;
        (*ret)->reader = reader;
        return 0;
}

struct model_scan *model_scan_free(struct model_scan *m) {
        if (m) {
                gguf_free(m->gguf);
                safetensors_free(m->safetensors);
                refused_free(m->refused);
                set_reader_free(m->reader);
                buf_done(&m->name);
                free(m);
        }
        return NULL;
}

void model_scan_set_tensor_sink(struct model_scan *m, const struct tensor_sink *sink) {
        m->tensor_sink = *sink;
}

void model_scan_set_weights_limits(struct model_scan *m, const struct weights_limits *limits) {
        m->weights_limits = *limits;
}

/* A name such as "x-00001-of-00003.gguf" says that the file is a part, whatever its metadata says. */
static bool name_is_part(struct view name) {
        static const char shape[] = "-NNNNN-of-NNNNN.gguf";
        size_t n = sizeof shape - 1;
        const char *p = name.p + name.n - n;

        if (name.n < n)
                return false;
        for (size_t i = 0; i < n; i++)
                if (shape[i] == 'N' ? p[i] < '0' || p[i] > '9' : p[i] != shape[i])
                        return false;
        return memcmp(p + 10, "00001", 5) != 0;
}

void model_scan_set_unpacker(struct model_scan *m, const struct model_unpacker *u) {
        m->unpacker = u;
}

static int start_refused(struct model_scan *m, struct view head) {
        const struct refused_context c = {.report = &m->report, .unpacker = m->unpacker};

        model_kind_refuse(&m->report, m->summary.kind, head);
        return refused_new(&c, m->summary.kind, m->size, &m->refused);
}

static int start_reader(struct model_scan *m, struct view head) {
        switch (m->summary.kind) {
        case MODEL_KIND_GGUF:
                if (m->report.member == 0 && name_is_part(buf_view(&m->name)))
                        report_put(&m->report, RULE_GGUF_SPLIT, REPORT_WHOLE, VIEW_NULL,
                                   "The name says that this is one part of a model in several files. Put all "
                                   "parts into one folder and import that.");
                return gguf_new(m->size, &m->report, &m->summary, &m->gguf);
        case MODEL_KIND_SAFETENSORS:
                return safetensors_new(m->size, &m->report, &m->summary, &m->safetensors);
        default:
                return start_refused(m, head);
        }
}

static int feed_reader(struct model_scan *m, struct view bytes) {
        if (m->reader_reads)
                return set_reader_feed(m->reader, bytes);
        if (m->gguf)
                return gguf_feed(m->gguf, bytes);
        if (m->safetensors)
                return safetensors_feed(m->safetensors, bytes);
        return m->refused ? refused_feed(m->refused, bytes) : 0;
}

/* The first bytes are all there: decides what the file is and hands them to its reader. */
static int decide(struct model_scan *m) {
        struct view head = {m->head, m->head_n};
        int r;

        m->decided = true;
        m->summary.kind = model_kind_detect(head, m->size);
        if (m->reader) {
                r = set_reader_begin(m->reader, head, &m->report, &m->summary);
                if (r < 0)
                        return r;
                m->reader_reads = r > 0;
        }
        model_kind_check_name(&m->report, m->summary.kind, buf_view(&m->name));
        if (m->reader_reads)
                return set_reader_feed(m->reader, head);
        if (m->summary.kind == MODEL_KIND_GGUF || m->summary.kind == MODEL_KIND_SAFETENSORS)
                model_kind_check_head(&m->report, head);
        r = start_reader(m, head);
        if (m->gguf)
                tensor_scan_set(gguf_tensors(m->gguf), &m->weights_limits, &m->tensor_sink);
        if (m->safetensors)
                tensor_scan_set(safetensors_tensors(m->safetensors), &m->weights_limits, &m->tensor_sink);
        return r < 0 ? r : feed_reader(m, head);
}

static int feed_head(struct model_scan *m, struct view *bytes) {
        uint64_t want = MIN_OF(m->size, (uint64_t)SCAN_HEAD_MAX);
        size_t n = MIN_OF((size_t)want - m->head_n, bytes->n);

        if (n > 0)
                memcpy(m->head + m->head_n, bytes->p, n);
        m->head_n += n;
        *bytes = view_sub(*bytes, n, SIZE_MAX);
        return m->head_n == want ? decide(m) : 0;
}

static void keep_tail(struct model_scan *m, struct view bytes) {
        uint64_t start = m->size - MIN_OF(m->size, (uint64_t)SCAN_TAIL_MAX);
        struct view part = bytes;

        if (m->at + bytes.n <= start)
                return;
        if (m->at < start)
                part = view_sub(bytes, (size_t)(start - m->at), SIZE_MAX);
        memcpy(m->tail + m->tail_n, part.p, part.n);
        m->tail_n += part.n;
}

int model_scan_feed(struct model_scan *m, struct view bytes) {
        int r = 0;

        if (bytes.n > m->size - m->at)
                return -EFBIG;
        if (bytes.n == 0)
                return 0;
        keep_tail(m, bytes);
        m->at += bytes.n;
        if (!m->decided)
                r = feed_head(m, &bytes);
        if (r >= 0 && m->decided && bytes.n > 0)
                r = feed_reader(m, bytes);
        return r;
}

int model_scan_finish(struct model_scan *m, struct model_summary *ret) {
        int r = 0;

        if (m->at != m->size)
                return -EIO;
        if (!m->decided)
                r = decide(m); /* an empty file has no first byte */
        if (r < 0)
                return r;
        if (m->reader_reads)
                r = set_reader_finish(m->reader);
        if (r < 0)
                return r;
        if (m->gguf)
                gguf_finish(m->gguf);
        if (m->safetensors)
                safetensors_finish(m->safetensors);
        if (m->refused)
                r = refused_finish(m->refused);
        if (r < 0)
                return r;
        if (m->summary.kind == MODEL_KIND_GGUF || m->summary.kind == MODEL_KIND_SAFETENSORS ||
            m->reader_reads)
                model_kind_check_tail(&m->report, (struct view){m->tail, m->tail_n}, m->size);
        *ret = m->summary;
        return 0;
}

void model_template_check(struct view template_text, const char *key, uint64_t at,
                          const struct finding_sink *sink) {
        struct model_report report = {.sink = sink};

        template_check(&report, template_text, report_quote(view_of(key)).text, at);
}
