/* securectl keys: the owner's own keys, for `securectl sign`. */
#include <dirent.h>
#include <fcntl.h>

#include "base/file.h"
#include "core/sig_key.h"
#include "core/sig_sign.h"
#include "securectl/command.h"
#include "securectl/key_store.h"
#include "securectl/options.h"
#include "securectl/show.h"
#include "securectl/terminal.h"

static const struct command_help help = {
        .usage = "keys [OPTION…] [list | new NAME | show NAME]",
        .text = "list  the keys in the store, <state>/keys (the default)\n"
                "new   makes a key that `securectl sign` can use; only this account can read it\n"
                "show  prints the public half (PEM): copy it to config/keys and name it under trusted_keys "
                "in\n"
                "      policy/policy.yaml, so that the quarantine believes what you sign\n"
                "Exit status: 0 done, 1 there is such a key already or none, 2 trouble.",
        .least = 0,
        .most = 2,
};

static void closedirp(DIR **d) {
        if (*d)
                (void)closedir(*d);
}

static int put(struct json_writer *w, struct buf *text, const char *name, const struct sig_key *key) {
        json_object_begin(w);
        json_member_string(w, "name", name);
        json_member_string(w, "key", key->id);
        json_member_string(w, "hint", key->hint);
        json_object_end(w);
        return buf_printf(text, "%-24s %.16s…\n", name, key->id);
}

static int put_entry(int dir, const char *file, struct json_writer *w, struct buf *text) {
        _cleanup_(buf_donep) struct buf pem = BUF_INIT(0);
        struct view name = view_of(file);
        char plain[SIG_KEY_NAME_MAX + 1];
        struct sig_key key;
        int r;

        if (!view_ends(name, VIEW(".pub")) || name.n > SIG_KEY_NAME_MAX + 4)
                return 0;
        (void)snprintf(plain, sizeof plain, "%.*s", (int)(name.n - 4), file);
        if (!sig_signer_name_is_good(plain) || read_file_beneath(dir, file, KEY_STORE_FILE_MAX, &pem) < 0 ||
            sig_key_from_pem(buf_view(&pem), plain, &key, NULL) < 0)
                return 0; /* not one of ours */
        r = put(w, text, plain, &key);
        sig_key_done(&key);
        return r;
}

static int list(const struct common *common, int dir) {
        _cleanup_(buf_donep) struct buf text = BUF_INIT((size_t)1 << 20), json = BUF_INIT((size_t)1 << 20);
        _cleanup_(closedirp) DIR *d = NULL;
        struct json_writer w = JSON_WRITER(&json);
        int fd = openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC), r = 0;
        struct dirent *e;

        if (fd >= 0)
                d = fdopendir(fd);
        if (!d) {
                close_fd(fd);
                return complain("the key store can't be listed: %s", strerrordesc_np(errno));
        }
        json_array_begin(&w);
        while (r >= 0 && (e = readdir(d)))
                r = put_entry(dir, e->d_name, &w, &text);
        json_array_end(&w);
        if (r >= 0)
                r = json_write_end(&w);
        if (r >= 0)
                r = buf_append_char(&json, '\n');
        if (r < 0)
                return complain("%s", strerrordesc_np(-r));
        if (text.n == 0 && !common->json)
                (void)printf("no keys yet; `securectl keys new owner` makes one\n");
        terminal_print(common->json ? &json : &text);
        return EXIT_YES;
}

static int make(const struct common *common, int dir, const char *name, const char *type) {
        bool p256 = !type || strcmp(type, "p256") == 0;
        int r;

        if (!p256 && strcmp(type, "ed25519") != 0)
                return complain("--type is p256 or ed25519");
        if (!sig_signer_name_is_good(name))
                return complain("a key's name has 1 to %d letters, digits, '.', '_' and '-'",
                                SIG_KEY_NAME_MAX);
        r = sig_signer_make(dir, name, p256);
        if (r == -EEXIST)
                return complain("there is a key of this name already; it is left as it is"), EXIT_NO;
        if (r < 0)
                return complain("the key can't be written: %s", strerrordesc_np(-r));
        (void)printf("%s/keys/%s.pem   the private key: keep a copy in a safe place\n"
                     "%s/keys/%s.pub   the public key: `securectl keys show %s` prints it\n",
                     common->layout.places.state_root, name, common->layout.places.state_root, name, name);
        return EXIT_YES;
}

static int show(int dir, const char *name) {
        _cleanup_(sig_signer_freep) struct sig_signer *signer = NULL;
        _cleanup_(buf_donep) struct buf pem = BUF_INIT(KEY_STORE_FILE_MAX);
        int r = sig_signer_load(dir, name, &signer);

        if (r >= 0)
                r = sig_signer_public_pem(signer, &pem);
        if (r < 0)
                return key_store_complain(name, r);
        terminal_print(&pem);
        return EXIT_YES;
}

int command_keys(int argc, char *argv[]) {
        struct common common = {0};
        const char *type = NULL;
        const struct option_spec specs[] = {
                {"type", 0, NULL, &type, "TYPE",
                 "new: p256 (the default, which every verifier knows) or ed25519"},
                COMMON_OPTIONS(&common),
        };
        _cleanup_(closep) int dir = -EBADF;
        const char *verb;
        int operands, code;

        if (command_begin(&help, specs, &common, argc, argv, &operands, &code) < 0)
                return code;
        verb = operands > 0 ? argv[1] : "list";
        dir = key_store_open(&common.layout, true);
        if (dir < 0)
                return complain("%s/keys can't be opened: %s", common.layout.places.state_root,
                                strerrordesc_np(-dir));
        if (strcmp(verb, "list") == 0 && operands < 2)
                return list(&common, dir);
        if (strcmp(verb, "new") == 0 && operands == 2)
                return make(&common, dir, argv[2], type);
        if (strcmp(verb, "show") == 0 && operands == 2)
                return show(dir, argv[2]);
        return complain("usage: securectl %s", help.usage);
}
