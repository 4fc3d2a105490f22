#include "quarantine/evidence.h"

#include "base/clock.h"
#include "base/file.h"

static void write_documents(struct json_writer *w, const struct job_documents *d) {
        json_key(w, "documents");
        json_object_begin(w);
        for (int i = 0; i < DOCUMENT_MAX; i++)
                if (d->of[i].exists) {
                        char hex[SHA256_HEX_SIZE];

                        sha256_hex(&d->of[i].sha256, hex);
                        json_member_string(w, document_name((enum document)i), hex);
                }
        json_object_end(w);
}

static int write_text(const struct verdict *v, const struct job_documents *d, const struct job *j,
                      struct buf *out) {
        struct json_writer w = JSON_WRITER(out);
        char created[CLOCK_TEXT_SIZE], hex[SHA256_HEX_SIZE];

        clock_format(clock_real_usec(), created);
        sha256_hex(&v->sha256, hex);
        json_object_begin(&w);
        json_member_string(&w, "schema", "secai.evidence/1");
        json_member_string(&w, "job", j->id);
        json_member_string(&w, "sha256", hex);
        json_member_u64(&w, "size", v->summary.size);
        json_member_string(&w, "name", v->name);
        json_member_string(&w, "kind", model_kind_name(v->summary.kind));
        json_member_string(&w, "source", source_kind_name(j->source));
        json_member_string(&w, "policy_digest", v->policy_digest);
        json_member_string(&w, "scanner", v->scanner);
        json_member_string(&w, "created", created);
        write_documents(&w, d);
        json_member_u64(&w, "members", v->members.n);
        json_key(&w, "summary");
        verdict_write_summary(&w, v);
        json_key(&w, "verdict");
        verdict_write(&w, v);
        json_object_end(&w);
        return json_write_end(&w);
}

int evidence_make(const struct signing_key *key, const struct verdict *v, const struct job_documents *d,
                  struct job *j) {
        _cleanup_(buf_donep) struct buf message = BUF_INIT(((size_t)2 << 20) + 64);
        int r;

        if (!verdict_is_pass(v) || v->last_stage != STAGES)
                return -EPERM;
        buf_clear(&j->evidence);
        buf_clear(&j->evidence_signature);
        r = write_text(v, d, j, &j->evidence);
        if (r >= 0)
                r = buf_append_str(&message, EVIDENCE_CONTEXT);
        if (r >= 0)
                r = buf_append_view(&message, buf_view(&j->evidence));
        return r < 0 ? r : signing_key_sign(key, buf_view(&message), &j->evidence_signature);
}

int evidence_key_load(int state_dir, struct signing_key **ret) {
        _cleanup_(signing_key_freep) struct signing_key *key = NULL;
        _cleanup_(buf_donep) struct buf pem = BUF_INIT(4096);
        int r;

        r = signing_key_load(state_dir, EVIDENCE_KEY_NAME, true, &key);
        if (r >= 0)
                r = signing_key_public_pem(key, &pem);
        if (r >= 0)
                r = replace_file(state_dir, EVIDENCE_PUB_NAME, buf_view(&pem), 0644);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(key);
        return 0;
}
