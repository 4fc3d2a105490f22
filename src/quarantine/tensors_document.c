#include "quarantine/tensors_document.h"

#include <pthread.h>

#include "base/text.h"
#include "wire/json.h"

#define RECORD_TEXT_MAX ((size_t)16 << 10)

struct tensors_document {
        struct tensors_output out;
        const struct set_walk *set;
        struct tensor_hearer hearer;
        pthread_mutex_t lock;
        struct buf text;
        uint64_t written, tensors, left_out;
        int error;
};

static void put_text(struct tensors_document *d, struct view text) {
        if (d->error == 0)
                d->error = MIN_OF(d->out.put(d->out.userdata, text), 0);
        d->written += text.n;
}

static void put_hex(struct json_writer *w, const char *key, const uint8_t digest[SHA256_BYTES]) {
        static const uint8_t none[SHA256_BYTES];
        struct sha256 d;
        char hex[SHA256_HEX_SIZE];

        _Static_assert(sizeof d.b == SHA256_BYTES, "the same digest");
        memcpy(d.b, digest, sizeof d.b);
        sha256_hex(&d, hex);
        json_member_string(w, key, memcmp(digest, none, sizeof none) == 0 ? NULL : hex);
}

static void put_number(struct json_writer *w, const char *key, double v) {
        json_key(w, key);
        json_put_double(w, v);
}

static void put_entropy(struct json_writer *w, const struct tensor_record *r) {
        json_key(w, "entropy");
        if (r->windows == 0) {
                json_put_null(w);
                return;
        }
        json_object_begin(w);
        put_number(w, "min", r->entropy_min);
        put_number(w, "mean", r->entropy_mean);
        put_number(w, "max", r->entropy_max);
        json_object_end(w);
}

static void put_moments(struct json_writer *w, const struct tensor_record *r) {
        static const char *const of[TENSOR_MOMENTS_MAX] = {NULL, "values", "scales"};

        json_member_string(w, "of", of[r->moments]);
        if (r->moments == TENSOR_MOMENTS_NONE)
                return;
        json_member_u64(w, "sampled", r->sampled);
        put_number(w, "mean", r->mean);
        put_number(w, "deviation", r->deviation);
        put_number(w, "min", r->least);
        put_number(w, "max", r->most);
        put_number(w, "zeros", r->zeros);
        put_number(w, "peak", r->peak);
}

static void put_counts(struct json_writer *w, const struct tensor_record *r) {
        json_member_u64(w, "windows", r->windows);
        json_member_u64(w, "constant_windows", r->constant_windows);
        json_member_u64(w, "repeated_windows", r->repeated_windows);
        json_member_u64(w, "hidden_windows", r->hidden_windows);
        json_member_u64(w, "mixed_windows", r->mixed_windows);
        json_member_u64(w, "non_finite", r->non_finite);
        put_number(w, "saturated", r->saturated);
}

static void put_flags(struct json_writer *w, uint32_t flags) {
        json_key(w, "flags");
        json_array_begin(w);
        for (unsigned i = 0; i < TENSOR_FLAGS_N; i++)
                if (flags >> i & 1)
                        json_put_string(w, tensor_flag_name(i));
        json_array_end(w);
}

static void put_place(struct json_writer *w, const struct tensor_record *r, const char *file) {
        json_member_string(w, "file", file);
        json_member_string(w, "name", r->name);
        json_member_string(w, "type", r->type);
        json_key(w, "shape");
        json_array_begin(w);
        for (uint32_t i = 0; i < r->rank; i++)
                json_put_u64(w, r->shape[i]);
        json_array_end(w);
        json_member_u64(w, "offset", r->at);
        json_member_u64(w, "bytes", r->bytes);
}

static int write_record(struct tensors_document *d, uint32_t member, const struct tensor_record *r) {
        struct json_writer w = JSON_WRITER(&d->text);
        const char *file = d->set && member > 0 && member <= d->set->n ? d->set->files[member - 1].path
                                                                       : NULL;

        json_object_begin(&w);
        put_place(&w, r, file);
        put_hex(&w, "merkle_root", r->merkle_root);
        put_entropy(&w, r);
        put_moments(&w, r);
        put_counts(&w, r);
        put_flags(&w, r->flags);
        json_object_end(&w);
        return json_write_end(&w);
}

/* Nothing is written for what is never read. */
static void begin(struct tensors_document *d) {
        if (d->written == 0)
                put_text(d, VIEW("{\"schema\":\"secai.tensors/1\",\"tensors\":["));
}

static void hear(uint32_t member, const struct tensor_record *r, void *userdata) {
        struct tensors_document *d = userdata;
        int e;

        (void)pthread_mutex_lock(&d->lock);
        begin(d);
        buf_clear(&d->text);
        e = write_record(d, member, r);
        if (e < 0)
                d->error = d->error ? d->error : e;
        else if (d->written + d->text.n > TENSORS_TEXT_MAX)
                d->left_out++;
        else {
                put_text(d, d->tensors++ ? VIEW(",\n") : VIEW("\n"));
                put_text(d, buf_view(&d->text));
        }
        (void)pthread_mutex_unlock(&d->lock);
}

int tensors_document_new(const struct tensors_output *out, const struct set_walk *set,
                         struct tensors_document **ret) {
        struct tensors_document *d = calloc(1, sizeof *d);

        if (!d)
                return -ENOMEM;
        d->out = *out;
        d->set = set;
        d->hearer = (struct tensor_hearer){hear, d};
        d->text = BUF_INIT(RECORD_TEXT_MAX);
        (void)pthread_mutex_init(&d->lock, NULL);
        *ret = d;
        return 0;
}

struct tensors_document *tensors_document_free(struct tensors_document *d) {
        if (d) {
                (void)pthread_mutex_destroy(&d->lock);
                buf_done(&d->text);
                free(d);
        }
        return NULL;
}

const struct tensor_hearer *tensors_document_hearer(struct tensors_document *d) {
        return &d->hearer;
}

int tensors_document_end(struct tensors_document *d, const struct sha256 *sha256, uint64_t size,
                         const struct model_summary *summary) {
        struct json_writer w = JSON_WRITER(&d->text);
        struct view rest;
        int r;

        buf_clear(&d->text);
        json_object_begin(&w);
        json_key(&w, "artifact");
        json_object_begin(&w);
        put_hex(&w, "sha256", sha256->b);
        json_member_u64(&w, "size", size);
        json_object_end(&w);
        put_hex(&w, "merkle_root", summary->merkle_root);
        put_hex(&w, "structure", summary->structure);
        json_member_string(&w, "family", summary->family[0] ? summary->family : NULL);
        json_member_u64(&w, "left_out", d->left_out);
        json_object_end(&w);
        r = json_write_end(&w);
        if (r < 0)
                return r;
        rest = view_sub(buf_view(&d->text), 1, SIZE_MAX); /* the members go on where the tensors end */
        begin(d);
        put_text(d, VIEW("\n],"));
        put_text(d, rest);
        put_text(d, VIEW("\n"));
        return d->error;
}
