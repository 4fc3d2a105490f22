/* securectl sign: the owner's signature on a model file or folder. */
#include <fcntl.h>
#include <limits.h>
#include <sys/stat.h>

#include "base/file.h"
#include "core/sig_bundle.h"
#include "core/sig_key.h"
#include "core/sig_sign.h"
#include "securectl/command.h"
#include "securectl/key_store.h"
#include "securectl/options.h"

#define FOLDER_SIGNATURE "model.sig"

static const struct command_help help = {
        .usage = "sign [OPTION…] FILE|DIR",
        .text = "Signs a model with a key of the key store (`securectl keys new`): an OpenSSF Model Signing "
                "v1.0\n"
                "bundle over the SHA-256 of each file, written to FILE.sig or DIR/model.sig. Links and "
                "devices in\n"
                "DIR are refused; .git, .gitattributes, .github and .gitignore at its top are left out.\n"
                "Exit status: 0 signed, 1 can't be signed as it is, 2 trouble.",
        .least = 1,
        .most = 1,
};

struct job {
        const char *path;
        char name[256]; /* last component of the real path */
        bool is_folder;
        struct sig_tree tree;
};

static int refuse(const char *path, const struct fault *f, int r) {
        complain("%s: %s", path, f->text[0] ? f->text : strerrordesc_np(-r));
        return f->rule ? EXIT_NO : EXIT_TROUBLE;
}

static int name_of(const char *path, char out[256]) {
        char real[PATH_MAX];
        const char *slash;

        if (!realpath(path, real))
                return negative_errno();
        slash = strrchr(real, '/');
        return snprintf(out, 256, "%s", slash && slash[1] ? slash + 1 : "model") < 256 ? 0 : -ENAMETOOLONG;
}

static int hash_folder(struct job *j, int fd, struct fault *f) {
        const char *ignored[8] = {FOLDER_SIGNATURE};
        int r;

        for (size_t i = 0; sig_default_ignored[i]; i++)
                ignored[i + 1] = sig_default_ignored[i];
        r = sig_tree_list(fd, ignored, &j->tree, f);
        if (r >= 0 && j->tree.n == 0)
                r = fault_set(f, -ENODATA, "PROVENANCE-030", 0, "there is no file in it");
        return r < 0 ? r : sig_tree_hash(fd, &j->tree, f);
}

/* A single file is named "." by Model Signing. */
static int hash_file(struct job *j, int fd, const struct stat *st, struct fault *f) {
        int r;

        j->tree.files = calloc(1, sizeof *j->tree.files);
        if (!j->tree.files)
                return fault_set(f, -ENOMEM, NULL, 0, "out of memory");
        j->tree.n = 1;
        j->tree.files[0].path = strdup(".");
        if (!j->tree.files[0].path)
                return fault_set(f, -ENOMEM, NULL, 0, "out of memory");
        r = sha256_of_fd(fd, (uint64_t)st->st_size, &j->tree.files[0].digest);
        return r < 0 ? fault_set(f, r, NULL, 0, "can't be read: %s", strerrordesc_np(-r)) : 0;
}

static int hash(struct job *j, struct fault *f) {
        _cleanup_(closep) int fd = open(j->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
        struct stat st;
        int r = fd < 0 || fstat(fd, &st) < 0 ? negative_errno() : name_of(j->path, j->name);

        if (r < 0)
                return fault_set(f, r, NULL, 0, "%s", strerrordesc_np(-r));
        j->is_folder = S_ISDIR(st.st_mode);
        if (j->is_folder)
                return hash_folder(j, fd, f);
        if (!S_ISREG(st.st_mode))
                return fault_set(f, -EBADMSG, "PROVENANCE-033", 0, "neither a regular file nor a folder");
        return hash_file(j, fd, &st, f);
}

static int write_beside(const char *path, struct view content) {
        _cleanup_(closep) int dir = -EBADF;
        char folder[PATH_MAX];
        const char *slash = strrchr(path, '/');
        int n = slash ? snprintf(folder, sizeof folder, "%.*s", (int)(slash == path ? 1 : slash - path), path)
                      : snprintf(folder, sizeof folder, ".");

        if (n < 0 || (size_t)n >= sizeof folder)
                return -ENAMETOOLONG;
        dir = open_dir(folder);
        return dir < 0 ? dir : replace_file(dir, slash ? slash + 1 : path, content, 0644);
}

static int finish(struct job *j, const struct sig_signer *signer, const char *output,
                  const struct common *common) {
        static const char *const none[] = {NULL};
        static const char *const left_out[] = {".git",       ".gitattributes", ".github",
                                               ".gitignore", FOLDER_SIGNATURE, NULL};
        _cleanup_(buf_donep) struct buf payload = BUF_INIT(SIG_BUNDLE_BYTES_MAX / 2),
                                        bundle = BUF_INIT(SIG_BUNDLE_BYTES_MAX);
        char path[PATH_MAX];
        int n = output         ? snprintf(path, sizeof path, "%s", output)
                : j->is_folder ? snprintf(path, sizeof path, "%s/" FOLDER_SIGNATURE, j->path)
                               : snprintf(path, sizeof path, "%s.sig", j->path);
        int r = n < 0 || (size_t)n >= sizeof path ? -ENAMETOOLONG : 0;

        if (r >= 0)
                r = sig_statement_write(j->name, j->tree.files, j->tree.n, j->is_folder ? left_out : none,
                                        &payload);
        if (r >= 0)
                r = sig_signer_bundle(signer, buf_view(&payload), &bundle);
        if (r >= 0)
                r = write_beside(path, buf_view(&bundle));
        if (r < 0)
                return complain("%s: the signature can't be written: %s", path, strerrordesc_np(-r));
        if (common->json)
                (void)printf("{\"files\":%zu,\"key\":\"%s\"}\n", j->tree.n, sig_signer_key(signer)->id);
        else
                (void)printf("%s: %zu file%s signed with the key %s\n", path, j->tree.n,
                             j->tree.n == 1 ? "" : "s", sig_signer_key(signer)->name);
        return EXIT_YES;
}

int command_sign(int argc, char *argv[]) {
        struct common common = {0};
        const char *key = KEY_STORE_DEFAULT, *output = NULL;
        const struct option_spec specs[] = {
                {"key", 'k', NULL, &key, "NAME", "key of the key store (default " KEY_STORE_DEFAULT ")"},
                {"output", 'o', NULL, &output, "FILE", "where the signature goes"},
                COMMON_OPTIONS(&common),
        };
        _cleanup_(sig_signer_freep) struct sig_signer *signer = NULL;
        _cleanup_(closep) int store = -EBADF;
        struct fault fault = FAULT_NONE;
        struct job job = {0};
        int operands, code, r;

        if (command_begin(&help, specs, &common, argc, argv, &operands, &code) < 0)
                return code;
        store = key_store_open(&common.layout, false);
        r = store < 0 ? store : sig_signer_load(store, key, &signer);
        if (r < 0)
                return key_store_complain(key, r);
        job.path = argv[1];
        r = hash(&job, &fault);
        code = r < 0 ? refuse(argv[1], &fault, r) : finish(&job, signer, output, &common);
        sig_tree_done(&job.tree);
        return code;
}
