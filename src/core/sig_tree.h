/* sig_tree: the files of a model folder, listed and hashed beneath one descriptor: links are never followed, nothing
 * outside is reached. Blocking reads; not for service loops. */
#pragma once

#include "core/set_listing.h"
#include "core/sig_statement.h"

#define SIG_TREE_DEPTH_MAX 32
#define SIG_TREE_FILES_MAX 65536

struct sig_tree {
        struct sig_file *files; /* sorted by the bytes of the path; digests are filled by sig_tree_hash */
        size_t n;
        uint64_t bytes; /* hashed so far */
};

void sig_tree_done(struct sig_tree *t);
static inline void sig_tree_donep(struct sig_tree *t) {
        sig_tree_done(t);
}
/* All regular files beneath dir_fd but those at or below the paths of `ignored` (NULL-terminated). A link, device, FIFO
 * or socket is PROVENANCE-033, too many or too deep -034. `ret` starts zeroed. */
SAI_NODISCARD int sig_tree_list(int dir_fd, const char *const *ignored, struct sig_tree *ret,
                                struct fault *reterr);
SAI_NODISCARD int sig_tree_hash(int dir_fd, struct sig_tree *t, struct fault *reterr);
/* The folder against the statement: every file that is listed is there and has its digest, and no other is there.
 * `bundle`: relative path of the signature's own file when it lies in the folder, or NULL. PROVENANCE-030 to -034. */
SAI_NODISCARD int sig_tree_check(int dir_fd, const struct sig_statement *s, const char *bundle,
                                 uint64_t *ret_files, uint64_t *ret_bytes, struct fault *reterr);
/* The same for a set of which all digests are known: nothing is read. -EOPNOTSUPP without a rule when the statement goes by other
 * digests than SHA-256 of whole files. What is signed beside the members (set_name_is_left_out) does not count. */
SAI_NODISCARD int sig_tree_check_listing(const struct sig_statement *s, const struct set_listing *l,
                                         struct fault *reterr);
/* What the writer leaves out, beside the signature itself. NULL-terminated. */
extern const char *const sig_default_ignored[];
