#include "securectl/key_store.h"

#include "base/file.h"
#include "core/sig_sign.h"
#include "securectl/command.h"
#include "securectl/options.h"

int key_store_open(const struct layout *l, bool create) {
        _cleanup_(closep) int root = -EBADF;
        int r = create ? make_path(l->places.state_root, 0700) : 0;

        if (r < 0)
                return r;
        root = open_dir(l->places.state_root);
        if (root < 0)
                return root;
        return create ? open_or_make_dir(root, "keys", 0700) : open_beneath(root, "keys", 0, 0);
}

int key_store_complain(const char *name, int r) {
        if (r == -ENOENT)
                return complain("there is no such key; `securectl keys new NAME` makes one"), EXIT_NO;
        if (r == -EINVAL)
                return complain("a key's name has 1 to %d letters, digits, '.', '_' and '-'",
                                SIG_KEY_NAME_MAX);
        if (r == -EPERM)
                return complain("the key %s.pem can be read by others or belongs to somebody else: chmod 600 "
                                "it, and think "
                                "about a new one",
                                name);
        return complain("the key %s.pem can't be used: %s", name, strerrordesc_np(-r));
}
