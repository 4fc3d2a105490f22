/* set_walk: which files lie in a folder that is one artifact, found beneath one descriptor without following links and
 * without recursion. Stops at the first thing that an artifact must not hold, and at the first limit that is passed: a folder
 * with a million entries or a thousand levels costs no more than one that is just too large. Names only; no byte is read. */
#pragma once

#include <sys/stat.h>

#include "base/fault.h"
#include "core/set_listing.h"

/* Changes with every write, rename, link, truncation or change of mode; nobody can set the time of it. */
struct set_identity {
        uint64_t device, inode, changed_nsec;
};

struct set_file {
        char *path;
        uint64_t size;
        struct set_identity id;
};

struct set_walk {
        struct set_file *files; /* sorted by the bytes of the path: position + 1 is finding.member */
        size_t n;
        uint64_t size;        /* of all files */
        uint64_t newest_nsec; /* last change of a file or folder */
        size_t folders;       /* the top is the first */
        bool unfinished;      /* a name is that of a download under way */
};

void set_walk_done(struct set_walk *w);
static inline void set_walk_donep(struct set_walk *w) {
        set_walk_done(w);
}
/* 0 and *ret; or negative and *reterr with a machine-readable word in `rule` ("symbolic_link", "too_many_files" …) and the path,
 * escaped, in `text`. Left out, in the folder itself only: what set_name_is_left_out says. `ret` (may be half filled then: what
 * was seen before the fault) must be freed in any case. */
SAI_NODISCARD int set_walk(int dir_fd, struct set_walk *ret, struct fault *reterr);
/* The same for a folder that is a claim already: its files had one name each when they became one, and the second is the registry's,
 * which keeps a promoted file under its own before the claim goes. */
SAI_NODISCARD int set_walk_claim(int dir_fd, struct set_walk *ret, struct fault *reterr);
/* "model.sig" (a signature over the folder) and Git's own names are no members. */
bool set_name_is_left_out(const char *name);
/* Opens the file and checks that it is the one that was seen. -ESTALE when not. */
SAI_NODISCARD int set_walk_open(int dir_fd, const struct set_file *f);
/* The same files, unchanged? */
bool set_walk_equal(const struct set_walk *a, const struct set_walk *b);
/* SHA-256 over paths, sizes and identities: the same only while nothing changed. */
SAI_NODISCARD int set_walk_digest(const struct set_walk *w, struct sha256 *ret);
struct set_identity set_identity_of(const struct stat *st);
