#include "registry/artifact.h"

#include <sys/stat.h>

#include "base/file.h"
#include "registry/limits.h"

void artifact_done(struct artifact *a) {
        set_listing_done(&a->listing);
}

static int read_listing(const struct evidence *e, int fd, struct buf *text, struct refusal *f) {
        struct sha256 digest;
        struct stat st;
        int r;

        if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
                return refuse_admission(f, -EBADFD);
        if (st.st_size <= 0 || (uint64_t)st.st_size > SET_LISTING_MAX)
                return refuse(f, -EMSGSIZE, true, "size_mismatch", "a set's listing has 1 to %zu bytes",
                              SET_LISTING_MAX);
        r = buf_reserve(text, (size_t)st.st_size);
        if (r >= 0)
                r = pread_all(fd, text->p, (size_t)st.st_size, 0);
        if (r < 0)
                return refuse_admission(f, r == -EIO ? -EMSGSIZE : r);
        text->n = (size_t)st.st_size;
        r = sha256_of(buf_view(text), &digest);
        if (r >= 0 && memcmp(digest.b, e->sha256.b, SHA256_SIZE) != 0)
                r = -EBADMSG;
        return r < 0 ? refuse_admission(f, r) : 0;
}

static int parse_listing(const struct evidence *e, struct view text, struct set_listing *ret,
                         struct refusal *f) {
        int r = set_listing_parse(text, ret);

        if (r == -ENOMEM)
                return refuse_for_now(f, r, "the listing can't be read");
        if (r < 0)
                return refuse(f, r, true, "bad_listing", "the descriptor is not the listing of a set");
        if (ret->n != e->members || ret->size != e->size)
                return refuse(f, -EMSGSIZE, true, "size_mismatch",
                              "the listing has not the files or not the size that the evidence states");
        return 0;
}

static int check_members(const struct set_listing *l, const struct handover *handed,
                         struct blocklist *blocklist, struct refusal *f) {
        for (size_t i = 0; i < l->n; i++) {
                const struct set_member *m = &l->members[i];

                if (!handed || !handover_has_member(handed, &m->sha256, m->size))
                        return refuse(f, -ENOENT, true, "member_missing",
                                      "file %zu of the listing was not handed in", i + 1);
                if (blocklist_has(blocklist, &m->sha256))
                        return refuse(f, -EPERM, true, "blocked",
                                      "file %zu of the set is on the blocklist of models.lock.yaml", i + 1);
        }
        return 0;
}

static int check_documents(const struct evidence *e, const struct handover *handed,
                           uint64_t sizes[DOCUMENT_KIND_MAX], struct refusal *f) {
        unsigned stated = 0;

        for (enum document_kind k = 0; k < DOCUMENT_KIND_MAX; k++) {
                if (!e->has_document[k])
                        continue;
                sizes[k] = handed ? handover_document_size(handed, k, &e->documents[k]) : 0;
                if (sizes[k] == 0)
                        return refuse(f, -ENOENT, true, "documents_mismatch",
                                      "the document \"%s\" that the evidence states was not handed in",
                                      document_kind_name(k));
                stated++;
        }
        if (handed && handover_documents(handed) != stated)
                return refuse(f, -EBADMSG, true, "documents_mismatch",
                              "a document was handed in that the evidence does not state");
        return 0;
}

static int check_set(const struct evidence *e, int fd, const struct handover *handed,
                     struct blocklist *blocklist, struct artifact *a, struct refusal *f) {
        _cleanup_(buf_donep) struct buf text = BUF_INIT(SET_LISTING_MAX);
        int r = read_listing(e, fd, &text, f);

        if (r >= 0)
                r = parse_listing(e, buf_view(&text), &a->listing, f);
        if (r >= 0)
                r = check_members(&a->listing, handed, blocklist, f);
        a->size = text.n;
        return r;
}

int artifact_check(const struct evidence *e, int fd, const struct handover *handed,
                   struct blocklist *blocklist, struct artifact *ret, struct refusal *reterr) {
        _cleanup_(artifact_donep) struct artifact a = {.size = e->size};
        int r = check_documents(e, handed, a.document_sizes, reterr);

        if (r >= 0 && evidence_is_set(e))
                r = check_set(e, fd, handed, blocklist, &a, reterr);
        if (r < 0)
                return r;
        *ret = a;
        a.listing = (struct set_listing){0};
        return 0;
}
