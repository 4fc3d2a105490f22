#include "quarantine/sarif.h"

#include "model/catalogue.h"

#define FILES_BYTES_MAX ((size_t)32 << 20) /* of 1,024 files with the longest of paths */

static const char *const levels[FINDING_SEVERITY_MAX] = {
        [FINDING_INFO] = "note", [FINDING_WARNING] = "warning", [FINDING_REJECT] = "error"};

/* {"text":…} */
static void write_message(struct json_writer *w, const char *key, const char *text) {
        json_key(w, key);
        json_object_begin(w);
        json_member_string(w, "text", text);
        json_object_end(w);
}

static void write_rule(struct json_writer *w, const struct model_rule_text *t) {
        json_object_begin(w);
        json_member_string(w, "id", t->id);
        write_message(w, "shortDescription", t->title);
        write_message(w, "fullDescription", t->meaning);
        write_message(w, "help", t->action);
        json_key(w, "defaultConfiguration");
        json_object_begin(w);
        json_member_string(w, "level", levels[t->severity]);
        json_object_end(w);
        json_key(w, "properties");
        json_object_begin(w);
        json_member_string(w, "stage", catalogue_stage_name(t->stage));
        json_object_end(w);
        json_object_end(w);
}

static void write_tool(struct json_writer *w) {
        json_key(w, "tool");
        json_object_begin(w);
        json_key(w, "driver");
        json_object_begin(w);
        json_member_string(w, "name", "SecAI OS quarantine");
        json_member_string(w, "version", SAI_VERSION);
        json_key(w, "rules");
        json_array_begin(w);
        for (size_t i = 0; i < catalogue_count(); i++)
                write_rule(w, catalogue_at(i));
        json_array_end(w);
        json_object_end(w);
        json_object_end(w);
}

void sarif_begin(struct sarif *s, struct buf *out) {
        *s = (struct sarif){.w = JSON_WRITER(out), .files = BUF_INIT(FILES_BYTES_MAX)};
        json_object_begin(&s->w);
        json_member_string(&s->w, "$schema", "https://json.schemastore.org/sarif-2.1.0.json");
        json_member_string(&s->w, "version", "2.1.0");
        json_key(&s->w, "runs");
        json_array_begin(&s->w);
        json_object_begin(&s->w);
        write_tool(&s->w);
        json_key(&s->w, "results");
        json_array_begin(&s->w);
}

/* RFC 3986: what is not unreserved, and no slash, is written as %XX; so any bytes of a path make a reference. */
static int write_quoted(struct buf *out, struct view path) {
        int r = 0;

        for (size_t i = 0; i < path.n && r >= 0; i++) {
                char c = path.p[i];
                bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                             (c && strchr("-._~/", c));

                r = plain ? buf_append_char(out, c) : buf_printf(out, "%%%02X", (unsigned char)c);
        }
        return r;
}

static int write_uri(struct buf *out, const char *path) {
        int r = path[0] == '/' ? buf_append_str(out, "file://") : 0;

        return r < 0 ? r : write_quoted(out, view_of(path));
}

/* What is examined has an entry in run.artifacts; a member of a set has none of its own. */
static void write_location(struct json_writer *w, const char *uri, size_t index, struct view member) {
        _cleanup_(buf_donep) struct buf whole = BUF_INIT((size_t)1 << 17);
        int r = 0;

        json_object_begin(w);
        if (member.n == 0) {
                json_member_string(w, "uri", uri);
                json_member_u64(w, "index", index);
        } else {
                r = buf_printf(&whole, "%s/", uri);
                if (r >= 0)
                        r = write_quoted(&whole, member);
                json_member_view(w, "uri", buf_view(&whole));
        }
        json_object_end(w);
        if (r < 0)
                w->error = r;
}

static void write_place(struct json_writer *w, const char *uri, size_t index, const struct finding *f,
                        struct view member) {
        json_key(w, "locations");
        json_array_begin(w);
        json_object_begin(w);
        json_key(w, "physicalLocation");
        json_object_begin(w);
        json_key(w, "artifactLocation");
        write_location(w, uri, index, member);
        if (f->at != UINT64_MAX) {
                json_key(w, "region");
                json_object_begin(w);
                json_member_u64(w, "byteOffset", f->at);
                json_object_end(w);
        }
        json_object_end(w);
        if (f->tensor[0]) {
                json_key(w, "logicalLocations");
                json_array_begin(w);
                json_object_begin(w);
                json_member_string(w, "name", f->tensor);
                json_member_string(w, "kind", "tensor");
                json_object_end(w);
                json_array_end(w);
        }
        json_object_end(w);
        json_array_end(w);
}

static void write_result(struct json_writer *w, const char *uri, size_t index, const struct finding *f,
                         struct view member) {
        size_t rule;

        json_object_begin(w);
        json_member_string(w, "ruleId", f->rule);
        if (catalogue_find(view_of(f->rule), &rule)) /* an owner's own signature is not in it */
                json_member_u64(w, "ruleIndex", rule);
        json_member_string(w, "level", levels[f->severity]);
        write_message(w, "message", f->message);
        write_place(w, uri, index, f, member);
        json_object_end(w);
}

static void write_hash(struct json_writer *w, const struct verdict *v) {
        char hex[SHA256_HEX_SIZE];

        sha256_hex(&v->sha256, hex);
        json_key(w, "hashes");
        json_object_begin(w);
        json_member_string(w, "sha-256", hex);
        json_object_end(w);
}

/* The number keeps the entries apart, as SARIF demands, when a file is given twice. */
static void write_properties(struct json_writer *w, size_t number, const struct verdict *v) {
        json_key(w, "properties");
        json_object_begin(w);
        json_member_u64(w, "number", number);
        json_member_string(w, "verdict", verdict_is_pass(v) ? "pass" : "reject");
        json_member_bool(w, "finished", verdict_is_pass(v) || verdict_is_reject(v));
        json_member_string(w, "kind", model_kind_name(v->summary.kind));
        json_key(w, "stages");
        json_object_begin(w);
        for (unsigned i = 1; i <= STAGES; i++)
                json_member_string(w, stage_name(i), stage_status_name(v->stages[i].status));
        json_object_end(w);
        json_member_string(w, "policy_digest", v->policy_digest);
        json_member_string(w, "scanner", v->scanner);
        json_object_end(w);
}

static int put_file(struct sarif *s, const char *uri, uint64_t size, const struct verdict *v) {
        struct json_writer w = JSON_WRITER(&s->files);
        int r = s->n > 0 ? buf_append_char(&s->files, ',') : 0;

        if (r < 0)
                return r;
        json_object_begin(&w);
        json_key(&w, "location");
        json_object_begin(&w);
        json_member_string(&w, "uri", uri);
        json_object_end(&w);
        json_member_u64(&w, "length", size);
        json_key(&w, "roles");
        json_array_begin(&w);
        json_put_string(&w, "analysisTarget");
        json_array_end(&w);
        if (v->is_known)
                write_hash(&w, v);
        write_properties(&w, s->n + 1, v);
        json_object_end(&w);
        return json_write_end(&w);
}

int sarif_put(struct sarif *s, const char *path, uint64_t size, const struct verdict *v) {
        _cleanup_(buf_donep) struct buf uri = BUF_INIT((size_t)1 << 16);
        int r = write_uri(&uri, path);

        if (r >= 0)
                r = put_file(s, buf_str(&uri), size, v);
        if (r < 0)
                return s->w.error = r; /* half an entry: the log can't be finished */
        for (unsigned i = 1; i <= STAGES; i++)
                for (size_t f = 0; f < v->stages[i].n; f++)
                        write_result(&s->w, buf_str(&uri), s->n, &v->stages[i].findings[f],
                                     member_name(&v->names, v->stages[i].findings[f].member));
        s->n++;
        return s->w.error;
}

int sarif_end(struct sarif *s, int exit_code) {
        struct json_writer *w = &s->w;

        json_array_end(w);
        json_key(w, "artifacts");
        json_array_begin(w);
        if (s->files.n > 0)
                json_put_raw(w, buf_view(&s->files));
        json_array_end(w);
        json_key(w, "invocations");
        json_array_begin(w);
        json_object_begin(w);
        json_member_bool(w, "executionSuccessful", exit_code != 2);
        json_member_u64(w, "exitCode", (uint64_t)exit_code);
        json_object_end(w);
        json_array_end(w);
        json_object_end(w);
        json_array_end(w);
        json_object_end(w);
        return json_write_end(w);
}

void sarif_done(struct sarif *s) {
        buf_done(&s->files);
}
