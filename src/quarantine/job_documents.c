#include "quarantine/job_documents.h"

#include "base/file.h"
#include "quarantine/documents.h"

#include <fcntl.h>
#include <sys/stat.h>

#define PIECE_BYTES ((size_t)64 << 10)
#define PATH_SIZE   32

static const char *const names[DOCUMENT_MAX] = {"tensors", "statement", "bom", "behaviour"};

struct document_writer {
        int folder, fd;
        enum document document;
        struct digest *digest;
        struct buf piece; /* not yet written */
        uint64_t size;
};

const char *document_name(enum document d) {
        return names[d];
}

int document_from_name(struct view name, enum document *ret) {
        for (int d = 0; d < DOCUMENT_MAX; d++)
                if (view_eq_str(name, names[d])) {
                        *ret = (enum document)d;
                        return 0;
                }
        return -ENOENT;
}

static void path_of(enum document d, bool is_new, char out[PATH_SIZE]) {
        (void)snprintf(out, PATH_SIZE, "%s.json%s", names[d], is_new ? ".new" : "");
}

int job_documents_folder(const struct claims *c, const char *job) {
        int fd = open_beneath(c->claims, job, O_RDONLY | O_DIRECTORY, 0);

        return fd == -ENOENT ? open_beneath(c->rejected, job, O_RDONLY | O_DIRECTORY, 0) : fd;
}

static int remove_path(int folder, enum document d, bool is_new) {
        char path[PATH_SIZE];

        path_of(d, is_new, path);
        return unlinkat(folder, path, 0) < 0 && errno != ENOENT ? negative_errno() : 0;
}

/* Under a temporary name that a cut-off writer may have left. */
static int open_new(struct document_writer *w) {
        char path[PATH_SIZE];
        int r = remove_path(w->folder, w->document, true);

        if (r < 0)
                return r;
        path_of(w->document, true, path);
        w->fd = open_beneath(w->folder, path, O_WRONLY | O_CREAT | O_EXCL, 0400);
        return w->fd < 0 ? w->fd : 0;
}

int document_writer_new(int folder, enum document d, struct document_writer **ret) {
        _cleanup_(document_writer_freep) struct document_writer *w = calloc(1, sizeof *w);
        int r;

        if (!w)
                return -ENOMEM;
        *w = (struct document_writer){.fd = -EBADF, .document = d, .piece = BUF_INIT(PIECE_BYTES)};
        w->folder = fcntl(folder, F_DUPFD_CLOEXEC, 3);
        if (w->folder < 0)
                /* cppcheck-suppress memleak ; it does not know the cleanup attribute */
                return negative_errno();
        r = digest_new(&w->digest);
        if (r >= 0)
                r = open_new(w);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(w);
        return 0;
}

static int flush(struct document_writer *w) {
        int r = digest_update(w->digest, buf_view(&w->piece));

        if (r >= 0)
                r = write_all(w->fd, w->piece.p, w->piece.n);
        buf_clear(&w->piece);
        return r;
}

int document_writer_put(struct document_writer *w, struct view text) {
        if (text.n > DOCUMENT_BYTES_MAX - w->size)
                return -EFBIG;
        w->size += text.n;
        while (text.n > 0) {
                struct view part = view_sub(text, 0, MIN_OF(text.n, PIECE_BYTES - w->piece.n));
                int r = buf_append_view(&w->piece, part);

                if (r >= 0 && w->piece.n == PIECE_BYTES)
                        r = flush(w);
                if (r < 0)
                        return r;
                text = view_sub(text, part.n, SIZE_MAX);
        }
        return 0;
}

int document_writer_end(struct document_writer *w, struct sha256 *ret) {
        char from[PATH_SIZE], to[PATH_SIZE];
        struct sha256 digest;
        int r = flush(w);

        if (r >= 0)
                r = digest_final(w->digest, &digest);
        if (r >= 0 && fsync(w->fd) < 0)
                r = negative_errno();
        path_of(w->document, true, from);
        path_of(w->document, false, to);
        if (r >= 0 && renameat(w->folder, from, w->folder, to) < 0)
                r = negative_errno();
        if (r < 0)
                return r;
        w->fd = close_fd(w->fd);
        r = fsync_dir(w->folder);
        if (r >= 0)
                *ret = digest;
        return r;
}

struct document_writer *document_writer_free(struct document_writer *w) {
        if (!w)
                return NULL;
        if (w->fd >= 0)
                (void)remove_path(w->folder, w->document, true);
        close_fd(w->fd);
        close_fd(w->folder);
        digest_free(w->digest);
        buf_done(&w->piece);
        free(w);
        return NULL;
}

int document_write(int folder, enum document d, struct view text, struct sha256 *ret) {
        _cleanup_(document_writer_freep) struct document_writer *w = NULL;
        int r = document_writer_new(folder, d, &w);

        if (r >= 0)
                r = document_writer_put(w, text);
        return r < 0 ? r : document_writer_end(w, ret);
}

int document_open(int folder, enum document d, int *ret_fd, uint64_t *ret_size) {
        _cleanup_(closep) int fd = -EBADF;
        char path[PATH_SIZE];
        struct stat st;

        path_of(d, false, path);
        fd = open_beneath(folder, path, O_RDONLY | O_NONBLOCK, 0);
        if (fd < 0)
                return fd;
        if (fstat(fd, &st) < 0)
                return negative_errno();
        if (!S_ISREG(st.st_mode))
                return -EBADFD;
        if ((uint64_t)st.st_size > DOCUMENT_BYTES_MAX)
                return -EFBIG;
        *ret_size = (uint64_t)st.st_size;
        *ret_fd = TAKE_FD(fd);
        return 0;
}

int document_remove(int folder, enum document d) {
        return remove_path(folder, d, false);
}

void job_documents_look(int folder, bool ret[DOCUMENT_MAX]) {
        for (int d = 0; d < DOCUMENT_MAX; d++) {
                char path[PATH_SIZE];
                struct stat st;

                path_of((enum document)d, false, path);
                ret[d] = fstatat(folder, path, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(st.st_mode);
        }
}

int job_documents_list(int folder, struct job_documents *ret) {
        struct job_documents list = {0};

        for (int d = 0; d < DOCUMENT_MAX; d++) {
                _cleanup_(closep) int fd = -EBADF;
                int r = document_open(folder, (enum document)d, &fd, &list.of[d].size);

                if (r == -ENOENT)
                        continue;
                if (r >= 0)
                        r = sha256_of_fd(fd, list.of[d].size, &list.of[d].sha256);
                if (r < 0)
                        return r;
                list.of[d].exists = true;
        }
        *ret = list;
        return 0;
}

int job_documents_remove(int folder) {
        int r = 0;

        for (int d = 0; d < DOCUMENT_MAX && r >= 0; d++) {
                r = remove_path(folder, (enum document)d, false);
                if (r >= 0)
                        r = remove_path(folder, (enum document)d, true);
        }
        return r;
}

static int make_bom(int folder, const struct verdict *v, const struct set_listing *members) {
        _cleanup_(buf_donep) struct buf text = BUF_INIT(DOCUMENT_BYTES_MAX);
        struct sha256 digest;
        int r = document_bom(v, members, &text);

        return r < 0 ? r : document_write(folder, DOCUMENT_BOM, buf_view(&text), &digest);
}

int job_documents_make(int folder, const struct verdict *v, const struct set_listing *members,
                       const struct signing_key *key) {
        _cleanup_(buf_donep) struct buf text = BUF_INIT(DOCUMENT_BYTES_MAX);
        struct sha256 digest;
        int r = document_statement(v, members, key, &text);

        if (r >= 0)
                r = document_write(folder, DOCUMENT_STATEMENT, buf_view(&text), &digest);
        if (r < 0)
                return r;
        return verdict_is_pass(v) ? make_bom(folder, v, members) : document_remove(folder, DOCUMENT_BOM);
}
