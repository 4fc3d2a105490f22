/* securectl verify: who signed a model file or folder, and whether it is still what was signed. Offline. */
#include <fcntl.h>
#include <limits.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "base/file.h"
#include "core/config.h"
#include "core/sig_check.h"
#include "core/sig_intoto.h"
#include "securectl/command.h"
#include "securectl/options.h"
#include "securectl/show.h"
#include "securectl/terminal.h"

static const struct command_help help = {
        .usage = "verify [OPTION…] FILE|DIR",
        .text = "Checks the signature of a model without any connection: a Sigstore bundle of cosign "
                "sign-blob or of\n"
                "OpenSSF Model Signing v1.0. Without --bundle it is FILE.sig or FILE.sigstore.json, or "
                "DIR/model.sig.\n"
                "Whom to believe is said by --key, or else by `provenance` in policy/policy.yaml.\n"
                "With --statement it checks what a quarantine has stated of FILE or DIR instead (`securectl "
                "models\n"
                "documents`), by this machine's evidence key or the one that --key names.\n"
                "Exit status: 0 signed by somebody who is trusted, and unchanged; 1 not so; 2 trouble.",
        .least = 1,
        .most = 1,
};

struct job {
        const char *path, *bundle_path;
        char found[PATH_MAX];
        int fd;
        struct stat st;
        struct buf text;
        struct sig_trust *trust;
        struct sig_bundle *bundle;
        struct sig_result result;
};

static void job_done(struct job *j) {
        close_fd(j->fd);
        buf_done(&j->text);
        sig_bundle_free(j->bundle);
        sig_trust_free(j->trust);
}

static int read_bundle(struct job *j, struct fault *f) {
        static const char *const endings[] = {".sig", ".sigstore.json"};
        int r = -ENOENT;

        if (j->bundle_path)
                r = read_file(j->bundle_path, SIG_BUNDLE_BYTES_MAX, &j->text);
        else if (S_ISDIR(j->st.st_mode)) {
                if (snprintf(j->found, sizeof j->found, "%s/model.sig", j->path) < (int)sizeof j->found)
                        r = read_file(j->found, SIG_BUNDLE_BYTES_MAX, &j->text);
        } else
                for (size_t i = 0; r == -ENOENT && i < ARRAY_SIZE(endings); i++)
                        if (snprintf(j->found, sizeof j->found, "%s%s", j->path, endings[i]) <
                            (int)sizeof j->found)
                                r = read_file(j->found, SIG_BUNDLE_BYTES_MAX, &j->text);
        if (r == -ENOENT)
                return fault_set(f, r, "PROVENANCE-003", 0,
                                 "there is no signature beside it; name one with --bundle");
        return r < 0 ? fault_set(f, r, NULL, 0, "the signature can't be read: %s", strerrordesc_np(-r)) : 0;
}

static int load_key(struct job *j, const char *key, struct fault *f) {
        _cleanup_(buf_donep) struct buf pem = BUF_INIT(0);
        const char *slash = strrchr(key, '/');
        int r = read_file(key, (size_t)64 << 10, &pem);

        if (r < 0)
                return fault_set(f, r, NULL, 0, "--key %.80s: %s", key, strerrordesc_np(-r));
        r = sig_trust_of_key(buf_view(&pem), slash ? slash + 1 : key, &j->trust, f);
        f->rule = NULL; /* a bad --key says nothing about the model */
        return r;
}

static int load_policy(struct job *j, const char *folder, struct fault *f) {
        _cleanup_(json_document_freep) struct json_document *doc = NULL;
        _cleanup_(closep) int dir = open_dir(folder);
        int r = dir;

        if (r < 0)
                return fault_set(f, r, NULL, 0, "%.100s: %s", folder, strerrordesc_np(-r));
        r = config_load(dir, "policy/policy.yaml", "policy", &doc, f);
        if (r >= 0)
                r = sig_trust_load(dir, json_get_typed(json_root(doc), "provenance", JSON_OBJECT), NULL,
                                   &j->trust, f);
        f->rule = NULL;
        return r;
}

/* The path of the bundle seen from the folder, when it lies at its top; else NULL. */
static const char *bundle_inside(const struct job *j, char out[256]) {
        const char *path = j->bundle_path ? j->bundle_path : j->found, *slash = strrchr(path, '/');
        struct stat a, b;

        if (snprintf(out, 256, "%s", slash ? slash + 1 : path) >= 256)
                return NULL;
        if (fstatat(j->fd, out, &a, AT_SYMLINK_NOFOLLOW) < 0 || stat(path, &b) < 0)
                return NULL;
        return S_ISREG(a.st_mode) && a.st_dev == b.st_dev && a.st_ino == b.st_ino ? out : NULL;
}

static int check_file(struct job *j, bool is_bundle, uint64_t now, struct fault *f) {
        struct sha256 digest;
        int r = sha256_of_fd(j->fd, (uint64_t)j->st.st_size, &digest);

        if (r < 0)
                return fault_set(f, r, NULL, 0, "can't be read: %s", strerrordesc_np(-r));
        r = is_bundle ? sig_check_file(j->bundle, j->trust, &digest, now, &j->result, f)
                      : sig_check_detached(buf_view(&j->text), j->trust, &digest, &j->result, f);
        if (r < 0)
                return r;
        j->result.files = 1;
        j->result.bytes = (uint64_t)j->st.st_size;
        return 0;
}

static int check(struct job *j, struct fault *f) {
        uint64_t now = clock_real_usec() / USEC_PER_SEC;
        bool is_folder = S_ISDIR(j->st.st_mode),
             is_bundle = is_folder || sig_bundle_is_likely(buf_view(&j->text));
        char inside[256];
        int r = 0;

        if (sig_trust_is_empty(j->trust))
                return fault_set(f, -ENOKEY, "PROVENANCE-007", 0,
                                 "nobody is trusted: give --key, or name somebody in policy/policy.yaml");
        if (is_bundle)
                r = sig_bundle_read(buf_view(&j->text), &j->bundle, f);
        if (r < 0)
                return r;
        return is_folder ? sig_check_folder(j->bundle, j->trust, j->fd, bundle_inside(j, inside), now,
                                            &j->result, f)
                         : check_file(j, is_bundle, now, f);
}

/* --- verdicts of a quarantine --- */

static int load_evidence_key(const struct layout *l, const char *path, struct sig_key *ret, struct fault *f) {
        _cleanup_(buf_donep) struct buf pem = BUF_INIT(0);
        char own[PLACE_MAX];
        int r = path ? 0 : place_join(own, l->places.state_root, "quarantine/evidence.pub");

        if (r >= 0)
                r = read_file(path ? path : own, (size_t)64 << 10, &pem);
        if (r < 0)
                return fault_set(f, r, NULL, 0, "the key of the quarantine (%.80s): %s; name one with --key",
                                 path ? path : "evidence.pub", strerrordesc_np(-r));
        r = sig_key_from_pem(buf_view(&pem), "evidence.pub", ret, f);
        f->rule = NULL;
        return r;
}

static int compare_summary(struct job *j, const struct sig_summary *s, struct fault *f) {
        struct sha256 digest;
        int r;

        if (S_ISDIR(j->st.st_mode))
                return sig_summary_check_folder(s, j->fd, &j->result.files, &j->result.bytes, f);
        r = s->files ? 0 : sha256_of_fd(j->fd, (uint64_t)j->st.st_size, &digest);
        if (r < 0)
                return fault_set(f, r, NULL, 0, "can't be read: %s", strerrordesc_np(-r));
        j->result.files = 1;
        j->result.bytes = (uint64_t)j->st.st_size;
        return sig_summary_check_file(s, &digest, f);
}

static int check_statement(struct job *j, const struct layout *l, const char *key_path, const char *statement,
                           struct fault *f) {
        _cleanup_(sig_summary_donep) struct sig_summary s = {0};
        struct sig_key key = {0};
        int r = load_evidence_key(l, key_path, &key, f);

        if (r < 0)
                return r;
        r = read_file(statement, SIG_ENVELOPE_BYTES_MAX, &j->text);
        if (r < 0)
                r = fault_set(f, r, NULL, 0, "the statement can't be read: %s", strerrordesc_np(-r));
        if (r >= 0)
                r = sig_envelope_read(buf_view(&j->text), &j->bundle, f);
        if (r >= 0)
                r = sig_summary_read(j->bundle, &key, &s, f);
        if (r >= 0)
                r = compare_summary(j, &s, f);
        (void)snprintf(j->result.who, sizeof j->result.who, "quarantine");
        (void)snprintf(j->result.key_id, sizeof j->result.key_id, "%s", key.id);
        sig_key_done(&key);
        return r;
}

static int print_json(const struct job *j, int r, const struct fault *f) {
        _cleanup_(buf_donep) struct buf out = BUF_INIT((size_t)64 << 10);
        struct json_writer w = JSON_WRITER(&out);

        json_object_begin(&w);
        json_member_string(&w, "schema", "secai.signature/1");
        json_member_string(&w, "target", j->path);
        json_member_string(&w, "verdict", r >= 0 ? "pass" : "reject");
        if (r >= 0) {
                json_member_string(&w, "method", sig_method_name(j->result.method));
                json_member_string(&w, "signer", j->result.who);
                if (j->result.issuer[0])
                        json_member_string(&w, "issuer", j->result.issuer);
                json_member_string(&w, "key", j->result.key_id);
                if (j->result.builder[0])
                        json_member_string(&w, "builder", j->result.builder);
                if (j->result.signed_at)
                        json_member_u64(&w, "signed_at", j->result.signed_at);
                json_member_u64(&w, "files", j->result.files);
                json_member_u64(&w, "bytes", j->result.bytes);
        } else {
                json_member_string(&w, "rule", f->rule);
                json_member_string(&w, "message", f->text);
        }
        json_object_end(&w);
        if (json_write_end(&w) < 0 || buf_append_char(&out, '\n') < 0)
                return complain("out of memory");
        terminal_print(&out);
        return 0;
}

static int print_text(const struct job *j, int r, const struct fault *f) {
        _cleanup_(buf_donep) struct buf out = BUF_INIT((size_t)16 << 10);
        int k = show_text(&out, view_of(j->path));

        if (k >= 0 && r < 0)
                k = buf_printf(&out, ": NOT VERIFIED\n  %s: %s\n", f->rule, f->text);
        else if (k >= 0)
                k = buf_printf(&out, ": verified, %llu file%s\n  signed by %s%s%s (%s method)\n  key %s\n",
                               (unsigned long long)j->result.files, j->result.files == 1 ? "" : "s",
                               j->result.who, j->result.issuer[0] ? ", vouched for by " : "",
                               j->result.issuer, sig_method_name(j->result.method), j->result.key_id);
        if (k >= 0 && r >= 0 && j->result.builder[0])
                k = buf_append_str(&out, "  built by ");
        if (k >= 0 && r >= 0 && j->result.builder[0])
                k = show_text(&out, view_of(j->result.builder));
        if (k >= 0 && r >= 0 && j->result.builder[0])
                k = buf_append_char(&out, '\n');
        if (k < 0)
                return complain("out of memory");
        terminal_print(&out);
        return 0;
}

struct asked {
        const char *key, *folder, *statement, *builder;
};

static int check_signature(struct job *j, const struct asked *a, struct fault *f) {
        int r = a->key ? load_key(j, a->key, f) : load_policy(j, a->folder, f);

        if (r >= 0 && a->builder && sig_trust_add_builder(j->trust, view_of(a->builder)) < 0)
                r = fault_set(f, -EINVAL, NULL, 0, "--builder must have 1 to %d characters",
                              SIG_IDENTITY_MAX);
        if (r >= 0)
                r = read_bundle(j, f);
        return r < 0 ? r : check(j, f);
}

static int run(struct job *j, const struct common *common, const struct asked *a) {
        struct fault f = FAULT_NONE;
        int r;

        j->fd = open(j->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
        if (j->fd < 0 || fstat(j->fd, &j->st) < 0)
                return complain("%s: %s", j->path, strerrordesc_np(errno));
        if (!S_ISREG(j->st.st_mode) && !S_ISDIR(j->st.st_mode))
                return complain("%s: neither a regular file nor a folder", j->path);
        r = a->statement ? check_statement(j, &common->layout, a->key, a->statement, &f)
                         : check_signature(j, a, &f);
        if (r < 0 && !f.rule)
                return complain("%s: %s", j->path, f.text[0] ? f.text : strerrordesc_np(-r));
        if ((common->json ? print_json(j, r, &f) : print_text(j, r, &f)) != 0)
                return EXIT_TROUBLE;
        return r < 0 ? EXIT_NO : EXIT_YES;
}

int command_verify(int argc, char *argv[]) {
        struct common common = {0};
        struct asked asked = {0};
        const char *bundle = NULL;
        const struct option_spec specs[] = {
                {"key", 'k', NULL, &asked.key, "PEM", "believe this public key, and nobody else"},
                {"policy-dir", 'p', NULL, &asked.folder, "DIR",
                 "configuration folder with policy/policy.yaml and keys/"},
                {"bundle", 'b', NULL, &bundle, "FILE", "the signature"},
                {"builder", 0, NULL, &asked.builder, "URI", "believe a SLSA provenance by this builder, too"},
                {"statement", 's', NULL, &asked.statement, "FILE", "what a quarantine has stated of it"},
                COMMON_OPTIONS(&common),
        };
        struct job job = {.fd = -EBADF, .text = BUF_INIT(SIG_ENVELOPE_BYTES_MAX)};
        int operands, code;

        if (command_begin(&help, specs, &common, argc, argv, &operands, &code) < 0)
                return code;
        if (asked.key && asked.folder)
                return complain("--key and --policy-dir exclude each other");
        if (asked.statement && (asked.folder || bundle || asked.builder))
                return complain("with --statement only --key counts");
        if (!asked.folder)
                asked.folder = common.layout.places.config;
        job.path = argv[1];
        job.bundle_path = bundle;
        code = run(&job, &common, &asked);
        job_done(&job);
        return code;
}
