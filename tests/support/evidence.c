#include "support/evidence.h"

#include "support/cm.h"

#include "base/file.h"
#include "base/secret.h"
#include "base/text.h"
#include "core/keys.h"
#include "wire/json.h"

#define KEY_NAME "evidence.key"
#define KEY_ID   "abababababababababababababababababababababababababababababababab"

static const char *const stage_names[] = {"source_policy", "format_gate",     "integrity_check", "provenance",
                                          "static_scan",   "behavioral_test", "diffusion_scan"};

struct evidence_spec evidence_spec_for(const char *name, struct view content) {
        struct evidence_spec s = {
                .name = name,
                .kind = "gguf",
                .source = "local",
                .verdict = "pass",
                .quantization = "Q4_0",
                .statuses = {"pass", "pass", "pass", "pass", "pass", "pass", "not_applicable"},
                .policy_digest = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff",
                .size = content.n,
        };
        uint8_t id[16];

        assert_int_equal(random_bytes(id, sizeof id), 0);
        hex_encode(id, sizeof id, s.job);
        assert_int_equal(sha256_of(content, &s.sha256), 0);
        return s;
}

static void write_finding(struct json_writer *w, const char *rule, const char *severity,
                          const char *message) {
        json_object_begin(w);
        json_member_string(w, "rule", rule);
        json_member_string(w, "severity", severity);
        json_member_string(w, "message", message);
        json_key(w, "at");
        json_put_null(w);
        json_member_string(w, "tensor", "");
        json_key(w, "file");
        json_put_null(w);
        json_object_end(w);
}

static void write_stage(struct json_writer *w, const struct evidence_spec *s, unsigned number) {
        json_object_begin(w);
        json_member_u64(w, "stage", number);
        json_member_string(w, "name", stage_names[number - 1]);
        json_member_string(w, "status", s->statuses[number - 1]);
        json_member_u64(w, "bytes", s->size);
        json_member_u64(w, "ms", 3);
        json_key(w, "findings");
        json_array_begin(w);
        if (number == 4 && s->is_signed)
                write_finding(w, "PROVENANCE-001", "info", "signed by somebody, key " KEY_ID);
        if (number == 5 && s->finding)
                write_finding(w, "TEST-001", s->finding, "found something");
        json_array_end(w);
        json_object_end(w);
}

static void write_verdict(struct json_writer *w, const struct evidence_spec *s, const char *hex) {
        json_object_begin(w);
        json_member_string(w, "schema", "secai.verdict/1");
        json_key(w, "artifact");
        json_object_begin(w);
        json_member_string(w, "name", s->name);
        json_member_string(w, "kind", s->kind);
        json_member_u64(w, "size", s->size);
        json_member_string(w, "sha256", hex);
        json_member_string(w, "chat_template_sha256", NULL);
        json_object_end(w);
        json_member_string(w, "verdict", s->verdict);
        json_key(w, "stages");
        json_array_begin(w);
        for (unsigned i = 1; i <= 7; i++)
                if (s->statuses[i - 1])
                        write_stage(w, s, i);
        json_array_end(w);
        json_key(w, "not_tested");
        json_array_begin(w);
        json_put_string(w, "Something.");
        json_array_end(w);
        json_member_string(w, "policy_digest", s->policy_digest);
        json_member_string(w, "scanner", "secai-scanner 0.1.0");
        json_object_end(w);
}

static void write_summary(struct json_writer *w, const struct evidence_spec *s) {
        json_object_begin(w);
        json_member_string(w, "architecture", "llama");
        json_member_u64(w, "parameters", 912384);
        json_member_u64(w, "context_length", 512);
        json_member_string(w, "quantization", s->quantization);
        json_member_u64(w, "format_version", 3);
        json_member_u64(w, "tensors", 12);
        json_object_end(w);
}

void evidence_write(const struct evidence_spec *s, struct buf *out) {
        struct json_writer w = JSON_WRITER(out);
        char hex[SHA256_HEX_SIZE], documents[1024];

        sha256_hex(&s->sha256, hex);
        json_object_begin(&w);
        json_member_string(&w, "schema", "secai.evidence/1");
        json_member_string(&w, "job", s->job);
        json_member_string(&w, "sha256", hex);
        json_member_u64(&w, "size", s->size);
        json_member_string(&w, "name", s->name);
        json_member_string(&w, "kind", s->kind);
        json_member_string(&w, "source", s->source);
        json_member_string(&w, "policy_digest", s->policy_digest);
        json_member_string(&w, "scanner", "secai-scanner 0.1.0");
        json_member_string(&w, "created", "2026-11-22T03:14:15.926535Z");
        (void)snprintf(documents, sizeof documents, "{%s}", s->documents ? s->documents : "");
        json_key(&w, "documents");
        json_put_raw(&w, view_of(documents));
        json_member_u64(&w, "members", s->members);
        json_key(&w, "summary");
        write_summary(&w, s);
        json_key(&w, "verdict");
        write_verdict(&w, s, hex);
        json_object_end(&w);
        assert_int_equal(json_write_end(&w), 0);
        if (!s->extra)
                return;
        out->n--; /* the closing brace */
        assert_int_equal(buf_printf(out, ",%s}", s->extra), 0);
}

static struct signing_key *load_key(const char *private_dir) {
        _cleanup_(closep) int dir = open_dir(private_dir);
        struct signing_key *key = NULL;

        assert_true(dir >= 0);
        assert_int_equal(signing_key_load(dir, KEY_NAME, true, &key), 0);
        return key;
}

void evidence_make_key(const char *private_dir, const char *credentials_dir) {
        _cleanup_(signing_key_freep) struct signing_key *key = load_key(private_dir);
        _cleanup_(buf_donep) struct buf pem = BUF_INIT(4096);
        _cleanup_(closep) int dir = open_dir(credentials_dir);

        assert_true(dir >= 0);
        assert_int_equal(signing_key_public_pem(key, &pem), 0);
        assert_int_equal(replace_file(dir, "evidence.pub", buf_view(&pem), 0444), 0);
}

static void put_base64(struct json_writer *w, const char *key, struct view v) {
        _cleanup_(buf_donep) struct buf text = BUF_INIT((size_t)1 << 20);

        assert_int_equal(base64_encode(v, &text), 0);
        json_member_view(w, key, buf_view(&text));
}

void evidence_message_of(const char *private_dir, const char *job, const char *name, struct view text,
                         struct buf *out) {
        _cleanup_(signing_key_freep) struct signing_key *key = load_key(private_dir);
        _cleanup_(buf_donep) struct buf signed_text = BUF_INIT((size_t)1 << 20), signature = BUF_INIT(512);
        struct json_writer w = JSON_WRITER(out);

        assert_int_equal(buf_append_str(&signed_text, "secai.evidence/1\n"), 0);
        assert_int_equal(buf_append_view(&signed_text, text), 0);
        assert_int_equal(signing_key_sign(key, buf_view(&signed_text), &signature), 0);
        json_object_begin(&w);
        json_member_string(&w, "op", "promote");
        json_member_string(&w, "job", job);
        json_member_string(&w, "name", name);
        put_base64(&w, "evidence", text);
        put_base64(&w, "signature", buf_view(&signature));
        json_object_end(&w);
        assert_int_equal(json_write_end(&w), 0);
}

void evidence_message(const char *private_dir, const struct evidence_spec *s, struct buf *out) {
        _cleanup_(buf_donep) struct buf text = BUF_INIT((size_t)1 << 20);

        evidence_write(s, &text);
        evidence_message_of(private_dir, s->job, s->name, buf_view(&text), out);
}
