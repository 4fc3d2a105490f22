#include "registry/blocklist.h"

#include <fcntl.h>
#include <pthread.h>
#include <sys/stat.h>

#include "base/file.h"
#include "core/config.h"

#define LOCK_FILE "policy/models.lock.yaml"

struct blocklist {
        int config_dir; /* borrowed */
        pthread_mutex_t lock;
        struct sha256 *digests; /* sorted */
        size_t n;
        struct stat seen; /* of the file as it was looked at last, good or bad */
};

static int compare(const void *a, const void *b) {
        return memcmp(a, b, SHA256_SIZE);
}

static int collect(const struct json *list, struct sha256 **ret, size_t *ret_n) {
        size_t n = list ? list->count : 0, i = 0;
        _cleanup_(freep) struct sha256 *digests = calloc(n ? n : 1, sizeof *digests);

        if (!digests)
                return -ENOMEM;
        for (const struct json *c = list ? list->child : NULL; c; c = c->next)
                if (sha256_from_hex(json_get_view(c, "sha256", VIEW_NULL), &digests[i++]) < 0)
                        return -EBADMSG; /* the schema has checked it */
        qsort(digests, n, sizeof *digests, compare);
        *ret = TAKE_PTR(digests);
        *ret_n = n;
        return 0;
}

static int load(struct blocklist *b, struct fault *reterr) {
        _cleanup_(json_document_freep) struct json_document *d = NULL;
        struct sha256 *digests, *old;
        size_t n;
        int r = config_load(b->config_dir, LOCK_FILE, "models.lock", &d, reterr);

        if (r >= 0)
                r = collect(json_get_typed(json_root(d), "blocklist", JSON_ARRAY), &digests, &n);
        if (r < 0)
                return r;
        pthread_mutex_lock(&b->lock);
        old = b->digests;
        b->digests = digests;
        b->n = n;
        pthread_mutex_unlock(&b->lock);
        free(old);
        return 0;
}

int blocklist_new(int config_dir, struct blocklist **ret, struct fault *reterr) {
        struct blocklist *b = calloc(1, sizeof *b);
        int r;

        if (!b)
                return -ENOMEM;
        b->config_dir = config_dir;
        pthread_mutex_init(&b->lock, NULL);
        (void)fstatat(config_dir, LOCK_FILE, &b->seen, AT_SYMLINK_NOFOLLOW);
        r = load(b, reterr);
        if (r < 0) {
                blocklist_free(b);
                return r;
        }
        *ret = b;
        return 0;
}

struct blocklist *blocklist_free(struct blocklist *b) {
        if (!b)
                return NULL;
        pthread_mutex_destroy(&b->lock);
        free(b->digests);
        free(b);
        return NULL;
}

static bool is_same_file(const struct stat *a, const struct stat *b) {
        return a->st_ino == b->st_ino && a->st_dev == b->st_dev && a->st_size == b->st_size &&
               a->st_mtim.tv_sec == b->st_mtim.tv_sec && a->st_mtim.tv_nsec == b->st_mtim.tv_nsec &&
               a->st_ctim.tv_sec == b->st_ctim.tv_sec && a->st_ctim.tv_nsec == b->st_ctim.tv_nsec;
}

int blocklist_refresh(struct blocklist *b, struct fault *reterr) {
        struct stat now = {0};
        int r;

        if (fstatat(b->config_dir, LOCK_FILE, &now, AT_SYMLINK_NOFOLLOW) >= 0 && is_same_file(&now, &b->seen))
                return 0;
        if (now.st_ino == 0 && b->seen.st_ino == 0)
                return 0; /* gone, and said so already */
        b->seen = now;
        r = load(b, reterr);
        return r < 0 ? r : 1;
}

bool blocklist_has(struct blocklist *b, const struct sha256 *digest) {
        bool has;

        pthread_mutex_lock(&b->lock);
        has = b->n > 0 && bsearch(digest, b->digests, b->n, sizeof *b->digests, compare) != NULL;
        pthread_mutex_unlock(&b->lock);
        return has;
}
