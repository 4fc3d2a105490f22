#include "core/audit_tree.h"

#include "base/num.h"
#include "base/text.h"
#include "wire/json.h"

#define CHECKPOINT_CONTEXT  "secai.audit-checkpoint/1\n"
#define CHECKPOINT_TEXT_MAX ((size_t)1024)

static int node_hash(const struct sha256 *left, const struct sha256 *right, struct sha256 *ret) {
        uint8_t text[1 + 2 * SHA256_SIZE];

        text[0] =
                1; /* RFC 6962 section 2.1: 0 before a leaf, 1 before a node, so that neither passes for the other */
        memcpy(text + 1, left->b, SHA256_SIZE);
        memcpy(text + 1 + SHA256_SIZE, right->b, SHA256_SIZE);
        return sha256_of(view_make(text, sizeof text), ret);
}

static int leaf_hash(struct view line, struct sha256 *ret) {
        _cleanup_(buf_donep) struct buf text = BUF_INIT(line.n + 1);
        int r = buf_append_char(&text, '\0');

        if (r < 0)
                return r;
        r = buf_append_view(&text, line);
        return r < 0 ? r : sha256_of(buf_view(&text), ret);
}

int audit_tree_add(struct audit_tree *t, struct view line) {
        struct sha256 hash;
        unsigned i = 0;
        int r = leaf_hash(line, &hash);

        if (r < 0)
                return r;
        if (t->count == UINT64_MAX)
                return -EOVERFLOW;
        for (; t->count >> i & 1; i++) {
                r = node_hash(&t->level[i], &hash, &hash);
                if (r < 0)
                        return r;
        }
        t->level[i] = hash;
        t->count++;
        return 0;
}

int audit_tree_root(const struct audit_tree *t, struct sha256 *ret) {
        struct sha256 root;
        bool have = false;
        int r;

        if (t->count == 0)
                return sha256_of(VIEW(""), ret);
        for (unsigned i = 0; i < AUDIT_TREE_LEVELS; i++) {
                if (!(t->count >> i & 1))
                        continue;
                if (have) {
                        r = node_hash(&t->level[i], &root, &root);
                        if (r < 0)
                                return r;
                } else
                        root = t->level[i];
                have = true;
        }
        *ret = root;
        return 0;
}

static int append_statement(const struct audit_checkpoint *c, struct buf *out) {
        char root[SHA256_HEX_SIZE], hash[SHA256_HEX_SIZE];

        sha256_hex(&c->root, root);
        sha256_hex(&c->hash, hash);
        return buf_printf(out, "{\"count\":%llu,\"root\":\"%s\",\"hash\":\"%s\"",
                          (unsigned long long)c->count, root, hash);
}

/* What is signed: the context, then the object as it reads without its signature. */
static int signed_text(const struct audit_checkpoint *c, struct buf *out) {
        int r = buf_append_str(out, CHECKPOINT_CONTEXT);

        if (r >= 0)
                r = append_statement(c, out);
        return r < 0 ? r : buf_append_char(out, '}');
}

int audit_checkpoint_sign(const struct audit_checkpoint *c, const struct signing_key *key, struct buf *out) {
        _cleanup_(buf_donep) struct buf text = BUF_INIT(CHECKPOINT_TEXT_MAX), signature = BUF_INIT(512),
                                        whole = BUF_INIT(CHECKPOINT_TEXT_MAX);
        int r = signed_text(c, &text);

        if (r >= 0)
                r = signing_key_sign(key, buf_view(&text), &signature);
        if (r >= 0)
                r = append_statement(c, &whole);
        if (r >= 0)
                r = buf_append_str(&whole, ",\"signature\":\"");
        if (r >= 0)
                r = base64_encode(buf_view(&signature), &whole);
        if (r >= 0)
                r = buf_append_str(&whole, "\"}");
        return r < 0 ? r : buf_append_view(out, buf_view(&whole));
}

static int checkpoint_fields(const struct json *o, struct audit_checkpoint *ret, struct buf *signature) {
        static const char *const names[] = {"count", "root", "hash", "signature", NULL};
        struct audit_checkpoint c = {0};

        if (!o || o->type != JSON_OBJECT || json_unknown_member(o, names) ||
            json_get_u64(o, "count", &c.count) < 0 ||
            sha256_from_hex(json_get_view(o, "root", VIEW_NULL), &c.root) < 0 ||
            sha256_from_hex(json_get_view(o, "hash", VIEW_NULL), &c.hash) < 0 ||
            base64_decode(json_get_view(o, "signature", VIEW_NULL), signature) < 0)
                return -EBADMSG;
        *ret = c;
        return 0;
}

int audit_checkpoint_read(struct view json_text, const struct public_key *key, struct audit_checkpoint *ret) {
        _cleanup_(json_document_freep) struct json_document *d = NULL;
        _cleanup_(buf_donep) struct buf signature = BUF_INIT(512), text = BUF_INIT(CHECKPOINT_TEXT_MAX);
        struct audit_checkpoint c;
        int r;

        if (json_text.n > CHECKPOINT_TEXT_MAX)
                return -EBADMSG;
        r = json_parse(json_text, NULL, &d, NULL);
        if (r < 0)
                return r == -ENOMEM ? r : -EBADMSG;
        r = checkpoint_fields(json_root(d), &c, &signature);
        if (r >= 0)
                r = signed_text(&c, &text);
        if (r < 0)
                return r;
        r = public_key_verify(key, buf_view(&text), buf_view(&signature));
        if (r < 0)
                return r;
        if (r == 0)
                return -EKEYREJECTED;
        *ret = c;
        return 0;
}
