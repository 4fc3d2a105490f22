#include "support/set_files.h"

#include "model/safetensors.h"
#include "support/cm.h"

#define TENSORS_MAX 512u
#define TEXT_MAX    ((size_t)4 << 20)

struct tensor {
        char name[256], dtype[16];
        uint64_t dims[8], begin, end;
        unsigned rank, offsets;
};

struct source {
        struct tensor list[TENSORS_MAX];
        size_t n;
};

static void copy_text(char *out, size_t size, struct view v) {
        assert_true(v.n < size);
        memcpy(out, v.p, v.n);
        out[v.n] = '\0';
}

static void take_part(void *userdata, enum safetensors_part part, struct view text, uint64_t number) {
        struct source *s = userdata;
        struct tensor *t = s->n > 0 ? &s->list[s->n - 1] : NULL;

        switch (part) {
        case SAFETENSORS_NAME:
                assert_true(s->n < TENSORS_MAX);
                t = &s->list[s->n++];
                copy_text(t->name, sizeof t->name, text);
                break;
        case SAFETENSORS_DTYPE:
                copy_text(t->dtype, sizeof t->dtype, text);
                break;
        case SAFETENSORS_DIMENSION:
                assert_true(t->rank < ARRAY_SIZE(t->dims));
                t->dims[t->rank++] = number;
                break;
        case SAFETENSORS_OFFSET:
                *(t->offsets++ == 0 ? &t->begin : &t->end) = number;
                break;
        default:
                break;
        }
}

static void ignore(void *userdata, const struct finding *f) {
        fail_msg("%s: %s", f->rule, f->message);
}

static void read_table(struct view file, struct source *ret) {
        struct finding_sink sink = {ignore, NULL};
        struct model_report report = {.sink = &sink};
        struct model_summary summary = {.size = file.n};
        struct safetensors_visitor visitor = {ret, take_part};
        struct safetensors *s;

        assert_int_equal(safetensors_new(file.n, &report, &summary, &s), 0);
        safetensors_visit(s, &visitor);
        assert_int_equal(safetensors_feed(s, file), 0);
        safetensors_finish(s);
        safetensors_free(s);
}

static void put_entry(struct buf *out, const struct tensor *t, uint64_t at) {
        assert_int_equal(buf_printf(out, "%s\"%s\":{\"dtype\":\"%s\",\"shape\":[", out->n > 1 ? "," : "",
                                    t->name, t->dtype),
                         0);
        for (unsigned i = 0; i < t->rank; i++)
                assert_int_equal(buf_printf(out, "%s%llu", i ? "," : "", (unsigned long long)t->dims[i]), 0);
        assert_int_equal(buf_printf(out, "],\"data_offsets\":[%llu,%llu]}", (unsigned long long)at,
                                    (unsigned long long)(at + t->end - t->begin)),
                         0);
}

static void put_length(struct buf *out, uint64_t n) {
        for (unsigned i = 0; i < 8; i++)
                assert_int_equal(buf_append_char(out, (char)(n >> 8 * i)), 0);
}

void set_files_shard(struct set_files *s, struct view file, unsigned shards, const char *stem) {
        _cleanup_(buf_donep) struct buf index = BUF_INIT(TEXT_MAX), map = BUF_INIT(TEXT_MAX);
        struct source *source = calloc(1, sizeof *source);
        uint64_t data = 8, total = 0;
        char name[300];

        assert_non_null(source);
        read_table(file, source);
        for (unsigned i = 0; i < 8; i++)
                data += (uint64_t)(uint8_t)file.p[i] << 8 * i;
        for (unsigned k = 0; k < shards; k++) {
                _cleanup_(buf_donep) struct buf header = BUF_INIT(TEXT_MAX), out = BUF_INIT((size_t)64 << 20);
                uint64_t at = 0;

                (void)snprintf(name, sizeof name, "%s-%05u-of-%05u.safetensors", stem, k + 1, shards);
                assert_int_equal(buf_append_char(&header, '{'), 0);
                for (size_t i = k; i < source->n; i += shards) {
                        put_entry(&header, &source->list[i], at);
                        at += source->list[i].end - source->list[i].begin;
                        assert_int_equal(buf_printf(&map, "%s\n    \"%s\": \"%s\"", map.n ? "," : "",
                                                    source->list[i].name,
                                                    strrchr(name, '/') ? strrchr(name, '/') + 1 : name),
                                         0);
                }
                assert_int_equal(buf_append_char(&header, '}'), 0);
                put_length(&out, header.n);
                assert_int_equal(buf_append_view(&out, buf_view(&header)), 0);
                for (size_t i = k; i < source->n; i += shards)
                        assert_int_equal(
                                buf_append_view(&out, view_sub(file, (size_t)(data + source->list[i].begin),
                                                               (size_t)(source->list[i].end -
                                                                        source->list[i].begin))),
                                0);
                set_files_put(s, name, buf_view(&out));
                total += at;
        }
        assert_int_equal(buf_printf(&index,
                                    "{\n  \"metadata\": {\n    \"total_size\": %llu\n  },\n  \"weight_map\": "
                                    "{%s\n  }\n}\n",
                                    (unsigned long long)total, buf_str(&map)),
                         0);
        (void)snprintf(name, sizeof name, "%s.safetensors.index.json", stem);
        set_files_put(s, name, buf_view(&index));
        free(source);
}
