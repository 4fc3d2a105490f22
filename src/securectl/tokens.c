#include "securectl/tokens.h"

#include <dirent.h>
#include <fcntl.h>

#include "base/file.h"
#include "core/config.h"
#include "core/digest.h"

#define NAMES_MAX      ((size_t)24)
#define NAME_SIZE      64
#define TOKENS_MAX     ((size_t)64 << 10)
#define SUPERVISOR     "supervisor"
#define ACL_FILE       "service-acl.yaml"
#define CREDENTIALS_OF "tokens.json"

struct mint {
        char names[NAMES_MAX][NAME_SIZE];
        size_t n;
        char tokens[NAMES_MAX][NAMES_MAX][TOKEN_SIZE]; /* [caller][target]; "" when it may not call */
};

static int name_index(struct mint *m, struct view name, size_t *ret) {
        for (size_t i = 0; i < m->n; i++)
                if (view_eq_str(name, m->names[i])) {
                        *ret = i;
                        return 0;
                }
        if (m->n >= NAMES_MAX)
                return -E2BIG;
        if (name.n >= NAME_SIZE || !file_name_is_safe(name))
                return -EBADMSG;
        memcpy(m->names[m->n], name.p, name.n);
        *ret = m->n++;
        return 0;
}

static int make_token(char out[TOKEN_SIZE]) {
        uint8_t bytes[(TOKEN_SIZE - 1) / 2];
        int r = random_bytes(bytes, sizeof bytes);

        if (r < 0)
                return r;
        for (size_t i = 0; i < sizeof bytes; i++)
                (void)snprintf(out + 2 * i, 3, "%02x", bytes[i]);
        wipe(bytes, sizeof bytes);
        return 0;
}

static int allow_pair(struct mint *m, size_t caller, struct view permission) {
        struct view target = permission;
        struct view rest = permission;
        size_t at;
        int r;

        if (!view_split(&rest, '.', &target))
                return -EBADMSG;
        r = name_index(m, target, &at);
        if (r < 0 || m->tokens[caller][at][0])
                return r;
        return make_token(m->tokens[caller][at]);
}

static int read_pairs(struct mint *m, const struct json *acl) {
        const struct json *callers = json_get_typed(acl, "callers", JSON_OBJECT);

        for (const struct json *c = callers ? callers->child : NULL; c; c = c->next) {
                size_t caller;
                int r = name_index(m, c->key, &caller);

                for (const struct json *p = c->child; p && r >= 0; p = p->next)
                        r = allow_pair(m, caller, p->text);
                if (r < 0)
                        return r;
        }
        return 0;
}

static int write_inbound(struct mint *m, size_t name, struct json_writer *w) {
        json_key(w, "inbound");
        json_array_begin(w);
        for (size_t i = 0; i < m->n; i++) {
                char hex[SHA256_HEX_SIZE];
                struct sha256 digest;

                if (!m->tokens[i][name][0])
                        continue;
                if (sha256_of(view_of(m->tokens[i][name]), &digest) < 0)
                        return -EIO;
                sha256_hex(&digest, hex);
                json_object_begin(w);
                json_member_string(w, "caller", m->names[i]);
                json_member_string(w, "sha256", hex);
                json_object_end(w);
        }
        json_array_end(w);
        return 0;
}

static void write_outbound(struct mint *m, size_t name, struct json_writer *w) {
        json_key(w, "outbound");
        json_array_begin(w);
        for (size_t i = 0; i < m->n; i++)
                if (m->tokens[name][i][0]) {
                        json_object_begin(w);
                        json_member_string(w, "target", m->names[i]);
                        json_member_string(w, "token", m->tokens[name][i]);
                        json_object_end(w);
                }
        json_array_end(w);
}

static int write_one(struct mint *m, size_t name, int credentials_dir) {
        _cleanup_(closep) int folder = open_or_make_dir(credentials_dir, m->names[name], 0700);
        _cleanup_(buf_donep) struct buf text = BUF_INIT(TOKENS_MAX);
        struct json_writer w = JSON_WRITER(&text);
        int r;

        if (folder < 0)
                return folder;
        json_object_begin(&w);
        r = write_inbound(m, name, &w);
        write_outbound(m, name, &w);
        json_object_end(&w);
        if (r >= 0)
                r = json_write_end(&w);
        if (r >= 0)
                r = replace_file(folder, CREDENTIALS_OF, buf_view(&text), 0600);
        wipe(text.p, text.n);
        return r;
}

static int write_all_names(struct mint *m, int credentials_dir, char ret_audit[TOKEN_SIZE]) {
        size_t supervisor, audit;
        int r = name_index(m, VIEW(SUPERVISOR), &supervisor);

        if (r >= 0)
                r = name_index(m, VIEW("audit"), &audit);
        for (size_t i = 0; i < m->n && r >= 0; i++)
                r = write_one(m, i, credentials_dir);
        if (r >= 0)
                memcpy(ret_audit, m->tokens[supervisor][audit], TOKEN_SIZE);
        return r;
}

int tokens_write(int config_dir, int credentials_dir, char ret_audit[TOKEN_SIZE], struct fault *reterr) {
        _cleanup_(json_document_freep) struct json_document *acl = NULL;
        _cleanup_(freep) struct mint *m = NULL;
        int r = config_load(config_dir, ACL_FILE, "service-acl", &acl, reterr);

        if (r < 0)
                return r;
        m = calloc(1, sizeof *m);
        if (!m)
                return fault_set(reterr, -ENOMEM, "UP-004", 0, "out of memory");
        r = read_pairs(m, json_root(acl));
        if (r >= 0)
                r = write_all_names(m, credentials_dir, ret_audit);
        wipe(m, sizeof *m);
        return r < 0 ? fault_set(reterr, r, "UP-004", 0, "tokens can't be made from " ACL_FILE ": %s",
                                 strerrordesc_np(-r))
                     : 0;
}

void tokens_remove(int credentials_dir) {
        int copy = openat(credentials_dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        DIR *d = copy < 0 ? NULL : fdopendir(copy);

        for (struct dirent *e = d ? readdir(d) : NULL; e; e = readdir(d)) {
                _cleanup_(closep) int folder = -EBADF;

                if (!file_name_is_safe(view_of(e->d_name)))
                        continue;
                folder = open_beneath(credentials_dir, e->d_name, O_RDONLY | O_DIRECTORY, 0);
                if (folder >= 0)
                        (void)unlinkat(folder, CREDENTIALS_OF, 0);
        }
        if (d)
                closedir(d);
        else
                close_fd(copy);
}
