#include "registry/head.h"

#include "base/clock.h"
#include "base/text.h"
#include "wire/json.h"

#define CONTEXT "secai.registry-head/1\n"

static int append_statement(const struct head *h, struct view created, struct buf *out) {
        char hex[SHA256_HEX_SIZE];

        sha256_hex(&h->digest, hex);
        return buf_printf(out, "{\"version\":%llu,\"models\":%llu,\"sha256\":\"%s\",\"created\":\"%.*s\"",
                          (unsigned long long)h->version, (unsigned long long)h->models, hex,
                          VIEW_ARG(created));
}

static int signed_text(const struct head *h, struct view created, struct buf *out) {
        int r = buf_append_str(out, CONTEXT);

        if (r >= 0)
                r = append_statement(h, created, out);
        return r < 0 ? r : buf_append_char(out, '}');
}

int head_sign(const struct head *h, uint64_t real_usec, const struct signing_key *key, struct buf *out) {
        _cleanup_(buf_donep) struct buf text = BUF_INIT(HEAD_TEXT_MAX), signature = BUF_INIT(512);
        char created[CLOCK_TEXT_SIZE];
        int r;

        clock_format(real_usec, created);
        r = signed_text(h, view_of(created), &text);
        if (r >= 0)
                r = signing_key_sign(key, buf_view(&text), &signature);
        buf_clear(&text);
        if (r >= 0)
                r = append_statement(h, view_of(created), &text);
        if (r >= 0)
                r = buf_append_str(&text, ",\"signature\":\"");
        if (r >= 0)
                r = base64_encode(buf_view(&signature), &text);
        if (r >= 0)
                r = buf_append_str(&text, "\"}");
        return r < 0 ? r : buf_append_view(out, buf_view(&text));
}

static int read_fields(const struct json *o, struct head *h, struct view *created, struct buf *signature) {
        static const char *const names[] = {"version", "models", "sha256", "created", "signature", NULL};

        *created = json_get_view(o, "created", VIEW_NULL);
        if (!o || o->type != JSON_OBJECT || json_unknown_member(o, names) || created->n == 0 ||
            created->n >= CLOCK_TEXT_SIZE || json_get_u64(o, "version", &h->version) < 0 ||
            json_get_u64(o, "models", &h->models) < 0 ||
            sha256_from_hex(json_get_view(o, "sha256", VIEW_NULL), &h->digest) < 0 ||
            base64_decode(json_get_view(o, "signature", VIEW_NULL), signature) < 0)
                return -EBADMSG;
        return 0;
}

int head_read(struct view text, const struct public_key *key, struct head *ret) {
        _cleanup_(json_document_freep) struct json_document *d = NULL;
        _cleanup_(buf_donep) struct buf signature = BUF_INIT(512), statement = BUF_INIT(HEAD_TEXT_MAX);
        struct head h = {0};
        struct view created;
        int r;

        if (text.n > HEAD_TEXT_MAX)
                return -EBADMSG;
        r = json_parse(text, NULL, &d, NULL);
        if (r < 0)
                return r == -ENOMEM ? r : -EBADMSG;
        r = read_fields(json_root(d), &h, &created, &signature);
        if (r >= 0)
                r = signed_text(&h, created, &statement);
        if (r >= 0)
                r = public_key_verify(key, buf_view(&statement), buf_view(&signature));
        if (r < 0)
                return r;
        if (r == 0)
                return -EKEYREJECTED;
        *ret = h;
        return 0;
}
