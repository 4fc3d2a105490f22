#include "quarantine/documents.h"

#include "base/text.h"
#include "core/sig_bundle.h"

#define PEM_BYTES_MAX ((size_t)4096)
#define UUID_SIZE     46 /* "urn:uuid:", 36 characters, NUL */

/* --- statement --- */

static void write_subject(struct json_writer *w, struct view name, const struct sha256 *digest) {
        char hex[SHA256_HEX_SIZE];

        sha256_hex(digest, hex);
        json_object_begin(w);
        json_member_view(w, "name", name);
        json_key(w, "digest");
        json_object_begin(w);
        json_member_string(w, "sha256", hex);
        json_object_end(w);
        json_object_end(w);
}

/* A folder is named with a slash at its end, which no file of it has. */
static void write_subjects(struct json_writer *w, const struct verdict *v,
                           const struct set_listing *members) {
        char name[sizeof v->name + 2];

        (void)snprintf(name, sizeof name, "%s%s", v->name, members ? "/" : "");
        json_key(w, "subject");
        json_array_begin(w);
        write_subject(w, view_of(name), &v->sha256);
        for (size_t i = 0; members && i < members->n; i++)
                write_subject(w, view_of(members->members[i].path), &members->members[i].sha256);
        json_array_end(w);
}

static bool is_told(const struct stage *s, size_t n) {
        for (size_t i = 0; i < n; i++)
                if (s->findings[i].severity == s->findings[n].severity &&
                    strcmp(s->findings[i].rule, s->findings[n].rule) == 0)
                        return true;
        return false;
}

/* Each rule once: places and words are for the verdict itself. */
static void write_rules(struct json_writer *w, const struct stage *s) {
        json_key(w, "rules");
        json_array_begin(w);
        for (size_t i = 0; i < s->n; i++) {
                if (is_told(s, i))
                        continue;
                json_object_begin(w);
                json_member_string(w, "rule", s->findings[i].rule);
                json_member_string(w, "severity", finding_severity_name(s->findings[i].severity));
                json_object_end(w);
        }
        json_array_end(w);
}

static void write_stages(struct json_writer *w, const struct verdict *v) {
        json_key(w, "secai_stages");
        json_array_begin(w);
        for (unsigned i = 1; i <= STAGES; i++) {
                json_object_begin(w);
                json_member_string(w, "name", stage_name(i));
                json_member_string(w, "status", stage_status_name(v->stages[i].status));
                write_rules(w, &v->stages[i]);
                json_object_end(w);
        }
        json_array_end(w);
}

static void write_artifact(struct json_writer *w, const struct verdict *v,
                           const struct set_listing *members) {
        json_key(w, "secai_artifact");
        json_object_begin(w);
        json_member_string(w, "kind", model_kind_name(v->summary.kind));
        json_member_u64(w, "size", v->summary.size);
        json_member_u64(w, "members", members ? members->n : 0);
        json_key(w, "summary");
        verdict_write_summary(w, v);
        json_object_end(w);
}

static void write_verifier(struct json_writer *w, const struct verdict *v, const char *verifier) {
        char id[SHA256_HEX_SIZE + 32];

        (void)snprintf(id, sizeof id, "urn:secai:quarantine:%s", verifier);
        json_key(w, "verifier");
        json_object_begin(w);
        json_member_string(w, "id", id);
        json_key(w, "version");
        json_object_begin(w);
        json_member_string(w, "scanner", v->scanner);
        json_object_end(w);
        json_object_end(w);
}

static void write_policy(struct json_writer *w, const struct verdict *v) {
        json_key(w, "policy");
        json_object_begin(w);
        json_member_string(w, "uri", "urn:secai:policy");
        json_key(w, "digest");
        json_object_begin(w);
        json_member_string(w, "sha256", v->policy_digest);
        json_object_end(w);
        json_object_end(w);
}

static void write_predicate(struct json_writer *w, const struct verdict *v, const struct set_listing *members,
                            const char *verifier) {
        char hex[SHA256_HEX_SIZE], uri[SHA256_HEX_SIZE + 32];

        sha256_hex(&v->sha256, hex);
        (void)snprintf(uri, sizeof uri, "urn:secai:artifact:sha256:%s", hex);
        json_key(w, "predicate");
        json_object_begin(w);
        write_verifier(w, v, verifier);
        json_member_string(w, "resourceUri", uri);
        write_policy(w, v);
        json_member_string(w, "verificationResult", verdict_is_pass(v) ? "PASSED" : "FAILED");
        json_key(w, "verifiedLevels"); /* how it was built is not what is looked at here */
        json_array_begin(w);
        json_put_string(w, verdict_is_pass(v) ? "SLSA_BUILD_LEVEL_UNEVALUATED" : "FAILED");
        json_array_end(w);
        json_member_string(w, "slsaVersion", "1.0");
        write_artifact(w, v, members);
        write_stages(w, v);
        json_object_end(w);
}

int document_statement_text(const struct verdict *v, const struct set_listing *members, const char *verifier,
                            struct buf *out) {
        struct json_writer w = JSON_WRITER(out);

        if (!v->is_known)
                return -EINVAL;
        json_object_begin(&w);
        json_member_string(&w, "_type", "https://in-toto.io/Statement/v1");
        write_subjects(&w, v, members);
        json_member_string(&w, "predicateType", "https://slsa.dev/verification_summary/v1");
        write_predicate(&w, v, members, verifier);
        json_object_end(&w);
        return json_write_end(&w);
}

static int id_of(const struct signing_key *key, char out[SHA256_HEX_SIZE]) {
        _cleanup_(buf_donep) struct buf pem = BUF_INIT(PEM_BYTES_MAX);
        struct public_key *public;
        int r = signing_key_public_pem(key, &pem);

        if (r >= 0)
                r = public_key_from_pem(buf_view(&pem), &public, NULL);
        if (r < 0)
                return r;
        public_key_id(public, out);
        public_key_free(public);
        return 0;
}

static int write_envelope(const char *id, struct view payload64, struct view signature64, struct buf *out) {
        struct json_writer w = JSON_WRITER(out);

        json_object_begin(&w);
        json_member_string(&w, "payloadType", SIG_DSSE_PAYLOAD_TYPE);
        json_member_view(&w, "payload", payload64);
        json_key(&w, "signatures");
        json_array_begin(&w);
        json_object_begin(&w);
        json_member_string(&w, "keyid", id);
        json_member_view(&w, "sig", signature64);
        json_object_end(&w);
        json_array_end(&w);
        json_object_end(&w);
        return json_write_end(&w);
}

static int sign(const struct signing_key *key, struct view text, struct buf *signature64) {
        _cleanup_(buf_donep) struct buf pae = BUF_INIT(STATEMENT_TEXT_MAX + 128), signature = BUF_INIT(64);
        int r = sig_pae(text, &pae);

        if (r >= 0)
                r = signing_key_sign(key, buf_view(&pae), &signature);
        return r < 0 ? r : base64_encode(buf_view(&signature), signature64);
}

int document_statement(const struct verdict *v, const struct set_listing *members,
                       const struct signing_key *key, struct buf *out) {
        _cleanup_(buf_donep) struct buf text = BUF_INIT(STATEMENT_TEXT_MAX), signature64 = BUF_INIT(128),
                                        payload64 = BUF_INIT(DOCUMENT_BYTES_MAX);
        char id[SHA256_HEX_SIZE];
        int r = id_of(key, id);

        if (r >= 0)
                r = document_statement_text(v, members, id, &text);
        if (r >= 0)
                r = sign(key, buf_view(&text), &signature64);
        if (r >= 0)
                r = base64_encode(buf_view(&text), &payload64);
        return r < 0 ? r : write_envelope(id, buf_view(&payload64), buf_view(&signature64), out);
}

/* --- bill of materials --- */

/* A UUID of version 8 (RFC 9562: "vendor-specific") out of what the text depends on. */
static int serial_number(const struct verdict *v, char out[UUID_SIZE]) {
        _cleanup_(digest_freep) struct digest *d = NULL;
        struct sha256 h;
        char hex[SHA256_HEX_SIZE];
        int r = digest_new(&d);

        if (r >= 0)
                r = digest_update(d, VIEW("secai.bom/1\n"));
        if (r >= 0)
                r = digest_update(d, view_make(v->sha256.b, SHA256_SIZE));
        if (r >= 0)
                r = digest_update(d, view_of(v->scanner));
        if (r >= 0)
                r = digest_update(d, view_make("\n", 1));
        if (r >= 0)
                r = digest_update(d, view_of(v->name));
        if (r >= 0)
                r = digest_final(d, &h);
        if (r < 0)
                return r;
        h.b[6] = (uint8_t)((h.b[6] & 0x0f) | 0x80);
        h.b[8] = (uint8_t)((h.b[8] & 0x3f) | 0x80);
        sha256_hex(&h, hex);
        (void)snprintf(out, UUID_SIZE, "urn:uuid:%.8s-%.4s-%.4s-%.4s-%.12s", hex, hex + 8, hex + 12, hex + 16,
                       hex + 20);
        return 0;
}

static void write_hashes(struct json_writer *w, const struct sha256 *digest) {
        char hex[SHA256_HEX_SIZE];

        sha256_hex(digest, hex);
        json_key(w, "hashes");
        json_array_begin(w);
        json_object_begin(w);
        json_member_string(w, "alg", "SHA-256");
        json_member_string(w, "content", hex);
        json_object_end(w);
        json_array_end(w);
}

static void write_property(struct json_writer *w, const char *name, const char *value) {
        if (!value[0])
                return;
        json_object_begin(w);
        json_member_string(w, "name", name);
        json_member_string(w, "value", value);
        json_object_end(w);
}

static void write_number(struct json_writer *w, const char *name, uint64_t value) {
        char text[24];

        (void)snprintf(text, sizeof text, "%llu", (unsigned long long)value);
        write_property(w, name, value > 0 ? text : "");
}

static void write_properties(struct json_writer *w, const struct verdict *v,
                             const struct set_listing *members) {
        const struct model_summary *s = &v->summary;

        json_key(w, "properties");
        json_array_begin(w);
        write_property(w, "secai:kind", model_kind_name(s->kind));
        write_number(w, "secai:format_version", s->format_version);
        write_number(w, "secai:size", s->size);
        write_number(w, "secai:members", members ? members->n : 0);
        write_number(w, "secai:tensors", s->tensors);
        write_number(w, "secai:parameters", s->parameters);
        write_property(w, "secai:quantization", s->quantization);
        write_number(w, "secai:context_length", s->context_length);
        write_property(w, "secai:chat_template", s->has_chat_template ? "true" : "false");
        json_array_end(w);
}

static void write_license(struct json_writer *w, const char *license) {
        if (!license[0])
                return;
        json_key(w, "licenses");
        json_array_begin(w);
        json_object_begin(w);
        json_key(w, "license");
        json_object_begin(w);
        json_member_string(w, "name", license); /* "id" is for names that are surely those of SPDX */
        json_member_string(w, "acknowledgement", "declared");
        json_object_end(w);
        json_object_end(w);
        json_array_end(w);
}

static void write_model_card(struct json_writer *w, const struct model_summary *s) {
        json_key(w, "modelCard");
        json_object_begin(w);
        json_key(w, "modelParameters");
        json_object_begin(w);
        if (s->architecture[0])
                json_member_string(w, "architectureFamily", s->architecture);
        if (s->name[0])
                json_member_string(w, "modelArchitecture", s->name);
        json_object_end(w);
        json_object_end(w);
}

/* How the properties are known: from the bytes that have this hash. */
static void write_evidence(struct json_writer *w) {
        json_key(w, "evidence");
        json_object_begin(w);
        json_key(w, "identity");
        json_array_begin(w);
        json_object_begin(w);
        json_member_string(w, "field", "hash");
        json_member_u64(w, "confidence", 1);
        json_key(w, "methods");
        json_array_begin(w);
        json_object_begin(w);
        json_member_string(w, "technique", "binary-analysis");
        json_member_u64(w, "confidence", 1);
        json_object_end(w);
        json_array_end(w);
        json_object_end(w);
        json_array_end(w);
        json_object_end(w);
}

static void write_member(struct json_writer *w, const struct set_member *m, size_t number) {
        char ref[32];

        (void)snprintf(ref, sizeof ref, "file-%zu", number);
        json_object_begin(w);
        json_member_string(w, "type", "file");
        json_member_string(w, "bom-ref", ref);
        json_member_string(w, "name", m->path);
        write_hashes(w, &m->sha256);
        json_key(w, "properties");
        json_array_begin(w);
        write_number(w, "secai:size", m->size);
        json_array_end(w);
        json_object_end(w);
}

static void write_model(struct json_writer *w, const struct verdict *v, const struct set_listing *members) {
        json_object_begin(w);
        json_member_string(w, "type", "machine-learning-model");
        json_member_string(w, "bom-ref", "model");
        json_member_string(w, "name", v->name);
        write_hashes(w, &v->sha256);
        write_license(w, v->summary.license);
        write_evidence(w);
        write_model_card(w, &v->summary);
        write_properties(w, v, members);
        if (members) {
                json_key(w, "components");
                json_array_begin(w);
                for (size_t i = 0; i < members->n; i++)
                        write_member(w, &members->members[i], i + 1);
                json_array_end(w);
        }
        json_object_end(w);
}

static void write_metadata(struct json_writer *w, const struct verdict *v,
                           const struct set_listing *members) {
        json_key(w, "metadata");
        json_object_begin(w);
        json_key(w, "tools");
        json_object_begin(w);
        json_key(w, "components");
        json_array_begin(w);
        json_object_begin(w);
        json_member_string(w, "type", "application");
        json_member_string(w, "name", "secai-os quarantine");
        json_member_string(w, "version", v->scanner);
        json_object_end(w);
        json_array_end(w);
        json_object_end(w);
        json_key(w, "component");
        write_model(w, v, members);
        json_object_end(w);
}

int document_bom(const struct verdict *v, const struct set_listing *members, struct buf *out) {
        struct json_writer w = JSON_WRITER(out);
        char serial[UUID_SIZE];
        int r = v->is_known ? serial_number(v, serial) : -EINVAL;

        if (r < 0)
                return r;
        json_object_begin(&w);
        json_member_string(&w, "bomFormat", "CycloneDX");
        json_member_string(&w, "specVersion", "1.6");
        json_member_string(&w, "serialNumber", serial);
        json_member_u64(&w, "version", 1);
        write_metadata(&w, v, members);
        json_object_end(&w);
        return json_write_end(&w);
}
