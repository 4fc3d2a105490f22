#include "registry/handover.h"

#include <sys/stat.h>

#include "core/set_listing.h"
#include "registry/admission.h"
#include "registry/digest_count.h"
#include "registry/limits.h"

struct document {
        struct sha256 digest;
        uint64_t size; /* 0: none */
};

struct handover {
        struct catalog *catalog; /* borrowed */
        struct admission *admission;
        struct digest_count members; /* value: size */
        struct document documents[DOCUMENT_KIND_MAX];
};

int handover_new(struct catalog *c, struct handover **ret) {
        struct handover *h = calloc(1, sizeof *h);
        int r = h ? admission_new(catalog_objects(c), &h->admission) : -ENOMEM;

        if (r < 0) {
                free(h);
                return r;
        }
        h->catalog = c;
        *ret = h;
        return 0;
}

/* Nothing is being admitted any more when this is called. */
static void let_go(struct handover *h) {
        for (struct digest_entry *e = digest_count_any(&h->members); e; e = digest_count_any(&h->members)) {
                catalog_let_go(h->catalog, &e->digest);
                digest_count_drop(&h->members, e);
        }
        for (enum document_kind k = 0; k < DOCUMENT_KIND_MAX; k++)
                if (h->documents[k].size > 0)
                        catalog_let_go(h->catalog, &h->documents[k].digest);
        memset(h->documents, 0, sizeof h->documents);
}

struct handover *handover_free(struct handover *h) {
        if (!h)
                return NULL;
        h->admission = admission_free(h->admission);
        let_go(h);
        free(h);
        return NULL;
}

void handover_clear(struct handover *h) {
        int r = admission_wait(h->admission);

        (void)r; /* a failure stays with this connection */
        let_go(h);
}

static bool is_known(struct handover *h, const struct sha256 *digest, uint64_t size, struct refusal *f,
                     int *ret) {
        struct digest_entry *e = digest_count_find(&h->members, digest);

        if (!e)
                return false;
        *ret = e->value == size ? 0
                                : refuse(f, -EMSGSIZE, true, "size_mismatch",
                                         "this file was handed in with another size");
        return true;
}

int handover_member(struct handover *h, int *fd, uint64_t size, const struct sha256 *digest,
                    struct refusal *reterr) {
        struct digest_entry *e;
        int r = 0;

        if (is_known(h, digest, size, reterr, &r))
                return r;
        if (h->members.n >= SET_MEMBERS_MAX)
                return refuse(reterr, -E2BIG, true, "bad_request", "a set has at most %d files",
                              SET_MEMBERS_MAX);
        e = digest_count_get(&h->members, digest);
        r = e ? catalog_hold(h->catalog, digest) : -ENOMEM;
        if (r < 0) {
                if (e)
                        digest_count_drop(&h->members, e);
                return refuse_for_now(reterr, r, "the file can't be taken in");
        }
        e->value = size;
        r = admission_put(h->admission, TAKE_FD(*fd), size, digest);
        return r < 0 ? refuse_admission(reterr, r) : 0;
}

static int document_size(int fd, uint64_t *ret, struct refusal *f) {
        struct stat st;

        if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) || st.st_size == 0)
                return refuse(f, -EBADFD, true, "bad_descriptor",
                              "a document is a regular file with content");
        if ((uint64_t)st.st_size > REGISTRY_DOCUMENT_MAX)
                return refuse(f, -EFBIG, true, "document_too_large", "a document has at most %llu bytes",
                              (unsigned long long)REGISTRY_DOCUMENT_MAX);
        *ret = (uint64_t)st.st_size;
        return 0;
}

int handover_document(struct handover *h, int fd, enum document_kind kind, const struct sha256 *digest,
                      struct refusal *reterr) {
        uint64_t size;
        int r = document_size(fd, &size, reterr);

        if (r < 0)
                return r;
        if (h->documents[kind].size > 0)
                return refuse(reterr, -EEXIST, true, "bad_request",
                              "the document \"%s\" was handed in before", document_kind_name(kind));
        r = catalog_hold(h->catalog, digest);
        if (r < 0)
                return refuse_for_now(reterr, r, "the document can't be taken in");
        h->documents[kind] = (struct document){*digest, size};
        r = objects_admit(catalog_objects(h->catalog), fd, size, digest);
        if (r >= 0)
                return 0;
        catalog_let_go(h->catalog, digest);
        h->documents[kind] = (struct document){0};
        return refuse_admission(reterr, r);
}

int handover_wait(struct handover *h, struct refusal *reterr) {
        int r = admission_wait(h->admission);

        return r < 0 ? refuse_admission(reterr, r) : 0;
}

bool handover_has_member(const struct handover *h, const struct sha256 *digest, uint64_t size) {
        const struct digest_entry *e = digest_count_find(&h->members, digest);

        return e && e->value == size;
}

uint64_t handover_document_size(const struct handover *h, enum document_kind kind,
                                const struct sha256 *digest) {
        const struct document *d = &h->documents[kind];

        return memcmp(d->digest.b, digest->b, SHA256_SIZE) == 0 ? d->size : 0;
}

unsigned handover_documents(const struct handover *h) {
        unsigned n = 0;

        for (enum document_kind k = 0; k < DOCUMENT_KIND_MAX; k++)
                n += h->documents[k].size > 0;
        return n;
}
