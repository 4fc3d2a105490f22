#include "registry/catalog.h"

#include <pthread.h>
#include <sys/stat.h>

#include "registry/anchor.h"
#include "registry/limits.h"

struct lease {
        struct sha256 digest;
        unsigned holders;
        struct lease *next;
};

struct catalog {
        struct catalog_parts p;
        pthread_mutex_t lock;       /* rows and objects change together */
        pthread_mutex_t lease_lock; /* innermost: also taken while the manifest is being read */
        struct lease *leases;
};

int catalog_new(const struct catalog_parts *parts, struct catalog **ret) {
        struct catalog *c = calloc(1, sizeof *c);

        if (!c)
                return -ENOMEM;
        c->p = *parts;
        pthread_mutex_init(&c->lock, NULL);
        pthread_mutex_init(&c->lease_lock, NULL);
        *ret = c;
        return 0;
}

struct catalog *catalog_free(struct catalog *c) {
        if (!c)
                return NULL;
        while (c->leases) {
                struct lease *l = c->leases;

                c->leases = l->next;
                free(l);
        }
        pthread_mutex_destroy(&c->lock);
        pthread_mutex_destroy(&c->lease_lock);
        free(c);
        return NULL;
}

static int refuse(struct refusal *f, int code, bool final, const char *name, const char *format, ...)
        SAI_PRINTF(5, 6);

static int refuse(struct refusal *f, int code, bool final, const char *name, const char *format, ...) {
        va_list ap;

        f->code = name;
        f->final = final;
        va_start(ap, format);
        (void)vsnprintf(f->text, sizeof f->text, format, ap);
        va_end(ap);
        return code;
}

/* Failures that are nobody's fault and may pass. */
static int refuse_for_now(struct refusal *f, int error, const char *what) {
        if (error == -ENOSPC || error == -EDQUOT)
                return refuse(f, error, false, "disk_full", "%s: the registry's disk is full; make room",
                              what);
        return refuse(f, error, false, "storage_failed", "%s: %s", what, strerror(-error));
}

static bool same(const struct sha256 *a, const struct sha256 *b) {
        return memcmp(a->b, b->b, SHA256_SIZE) == 0;
}

static int record(struct catalog *c, const char *event, const char *decision, const char *rule,
                  const struct sha256 *digest, struct view detail) {
        char hex[SHA256_HEX_SIZE];
        struct audit_event e = {.event = event, .decision = decision, .rule = rule, .detail = detail};

        sha256_hex(digest, hex);
        e.subject = view_of(hex);
        return audit_append(c->p.audit, &e);
}

/* --- leases --- */

static struct lease **find_lease(struct catalog *c, const struct sha256 *digest) {
        struct lease **l = &c->leases;

        while (*l && !same(&(*l)->digest, digest))
                l = &(*l)->next;
        return l;
}

static int take_lease(struct catalog *c, const struct sha256 *digest) {
        struct lease **l;
        int r = 0;

        pthread_mutex_lock(&c->lease_lock);
        l = find_lease(c, digest);
        if (!*l) {
                *l = calloc(1, sizeof **l);
                if (*l)
                        (*l)->digest = *digest;
        }
        if (*l)
                (*l)->holders++;
        else
                r = -ENOMEM;
        pthread_mutex_unlock(&c->lease_lock);
        return r;
}

void catalog_release(struct catalog *c, const struct sha256 *digest) {
        struct lease **l;

        pthread_mutex_lock(&c->lease_lock);
        l = find_lease(c, digest);
        if (*l && --(*l)->holders == 0) {
                struct lease *gone = *l;

                *l = gone->next;
                free(gone);
        }
        pthread_mutex_unlock(&c->lease_lock);
}

bool catalog_is_loaded(struct catalog *c, const struct sha256 *digest) {
        bool loaded;

        pthread_mutex_lock(&c->lease_lock);
        loaded = *find_lease(c, digest) != NULL;
        pthread_mutex_unlock(&c->lease_lock);
        return loaded;
}

/* --- repair --- */

struct repair {
        struct catalog *c;
        uint64_t orphans;
        struct sha256 missing[64]; /* a round; further ones in the next */
        size_t n;
};

static int remove_orphan(const struct sha256 *digest, void *userdata) {
        struct repair *r = userdata;

        if (manifest_has(r->c->p.manifest, digest))
                return 0;
        r->orphans++;
        return objects_remove(r->c->p.objects, digest);
}

static int collect_missing(const struct model *m, void *userdata) {
        struct repair *r = userdata;
        int fd;

        if (check_has_failed(m->check) || r->n == ARRAY_SIZE(r->missing))
                return 0;
        fd = objects_open(r->c->p.objects, &m->sha256);
        if (fd == -ENOENT)
                r->missing[r->n++] = m->sha256;
        close_fd(fd);
        return fd < 0 && fd != -ENOENT ? fd : 0;
}

int catalog_repair(struct catalog *c, uint64_t *ret_orphans, uint64_t *ret_missing) {
        struct repair state = {.c = c};
        uint64_t missing = 0;
        int r = objects_each(c->p.objects, remove_orphan, &state);

        do {
                state.n = 0;
                if (r >= 0)
                        r = manifest_each(c->p.manifest, collect_missing, &state);
                for (size_t i = 0; i < state.n && r >= 0; i++)
                        r = catalog_checked(c, &state.missing[i], false);
                missing += state.n;
        } while (r >= 0 && state.n == ARRAY_SIZE(state.missing));
        if (r < 0)
                return r;
        *ret_orphans = state.orphans;
        *ret_missing = missing;
        return 0;
}

int catalog_checked(struct catalog *c, const struct sha256 *digest, bool good) {
        return manifest_set_check(c->p.manifest, digest, good ? CHECK_OK : CHECK_UNREPORTED);
}

int catalog_report_damage(struct catalog *c) {
        struct sha256 digest;
        int r;

        while ((r = manifest_next_unreported(c->p.manifest, &digest)) >= 0) {
                r = record(c, "model_damaged", "error", "REG-D01", &digest, VIEW_NULL);
                if (r >= 0)
                        r = manifest_set_check(c->p.manifest, &digest, CHECK_FAILED);
                if (r < 0 && r != -ENOENT)
                        return r;
        }
        return r == -ENOENT ? 0 : r;
}

/* --- promote --- */

static int check_signature(struct catalog *c, const struct promotion *p, struct refusal *f) {
        _cleanup_(buf_donep) struct buf text = BUF_INIT(sizeof EVIDENCE_CONTEXT + REGISTRY_EVIDENCE_MAX);
        int r = buf_append_str(&text, EVIDENCE_CONTEXT);

        if (r >= 0)
                r = buf_append_view(&text, p->evidence);
        if (r == -EFBIG)
                return refuse(f, r, true, "bad_evidence", "the evidence is larger than %zu bytes",
                              REGISTRY_EVIDENCE_MAX);
        if (r >= 0)
                r = public_key_verify(c->p.evidence_key, buf_view(&text), p->signature);
        if (r < 0 && r != -EBADMSG && r != -EINVAL)
                return refuse_for_now(f, r, "the signature could not be checked");
        return r == 1 ? 0
                      : refuse(f, -EKEYREJECTED, true, "bad_signature",
                               "the evidence was not signed by the quarantine that this registry knows");
}

static int check_evidence(struct catalog *c, const struct promotion *p, struct evidence *e,
                          struct refusal *f) {
        struct fault fault = FAULT_NONE;
        int r = check_signature(c, p, f);

        if (r < 0)
                return r;
        r = evidence_read(p->evidence, e, &fault);
        if (r == -ENOMEM)
                return refuse_for_now(f, r, "the evidence could not be read");
        if (r < 0)
                return refuse(f, r, true, r == -EPERM ? "not_passed" : "bad_evidence", "%s: %s", fault.rule,
                              fault.text);
        if (!view_eq(e->job, p->job))
                return refuse(f, -EBADMSG, true, "bad_evidence", "the evidence belongs to another job");
        if (blocklist_has(c->p.blocklist, &e->sha256))
                return refuse(f, -EPERM, true, "blocked",
                              "this file is on the blocklist of models.lock.yaml");
        return 0;
}

/* 1 when this job has been answered before and its model is still there; fills what was answered. */
static int find_answered(struct catalog *c, const struct evidence *e, bool *ret_duplicate,
                         struct refusal *f) {
        struct sha256 before;
        int r = manifest_find_job(c->p.manifest, e->job, &before, ret_duplicate);

        if (r == -ENOENT)
                return 0;
        if (r < 0)
                return refuse_for_now(f, r, "the manifest can't be read");
        if (!same(&before, &e->sha256))
                return refuse(f, -EEXIST, true, "job_reused", "this job has promoted another file before");
        return 1;
}

static int explain_admission(struct refusal *f, int r) {
        switch (r) {
        case -EBADFD:
                return refuse(f, r, true, "bad_descriptor", "the descriptor is not a readable regular file");
        case -EMSGSIZE:
                return refuse(f, r, true, "size_mismatch",
                              "the file has not the size that the evidence states");
        case -EBADMSG:
                return refuse(f, r, true, "sha256_mismatch",
                              "the file has not the content that the evidence states");
        case -ETXTBSY:
                return refuse(f, r, false, "being_written", "somebody has the file open for writing");
        default:
                return refuse_for_now(f, r, "the file could not be taken in");
        }
}

static int promotion_detail(const struct promotion *p, const struct evidence *e, uint64_t version,
                            struct buf *out) {
        struct json_writer w = JSON_WRITER(out);

        json_object_begin(&w);
        json_member_view(&w, "job", e->job);
        json_member_view(&w, "name", p->name);
        json_member_u64(&w, "size", e->size);
        json_member_view(&w, "policy_digest", e->policy_digest);
        json_member_view(&w, "scanner", e->scanner);
        json_member_u64(&w, "manifest_version", version);
        json_object_end(&w);
        return json_write_end(&w);
}

static int record_promotion(struct catalog *c, const struct promotion *p, const struct evidence *e,
                            struct refusal *f) {
        _cleanup_(buf_donep) struct buf detail = BUF_INIT(8192);
        int r = promotion_detail(p, e, manifest_head(c->p.manifest).version + 1, &detail);

        if (r >= 0)
                r = record(c, "model_promoted", "allow", NULL, &e->sha256, buf_view(&detail));
        return r < 0 ? refuse(f, r, false, "audit_unavailable",
                              "the promotion can't be recorded in the audit log (%s), so it does not happen",
                              strerror(-r))
                     : 0;
}

/* Says which manifest holds from now on. The act itself was recorded before it happened. */
static void record_head(struct catalog *c) {
        struct manifest_head h = manifest_head(c->p.manifest);
        int r = anchor_record(c->p.audit, &h);

        (void)r; /* the next change or start records a newer one */
}

static bool object_is_there(struct catalog *c, const struct sha256 *digest) {
        _cleanup_(closep) int fd = objects_open(c->p.objects, digest);

        return fd >= 0;
}

/* The object is in the store; makes it a model. With the lock, so that no delete comes between. */
static int add_locked(struct catalog *c, const struct promotion *p, const struct evidence *e,
                      bool *ret_duplicate, struct refusal *f) {
        int r;

        if (!object_is_there(c, &e->sha256))
                return refuse(f, -EAGAIN, false, "try_again", "the file was deleted while it was promoted");
        if (manifest_has(c->p.manifest, &e->sha256)) {
                r = manifest_set_check(c->p.manifest, &e->sha256,
                                       CHECK_OK); /* its bytes have just been read */
                if (r >= 0)
                        r = manifest_note_job(c->p.manifest, e->job, &e->sha256);
                *ret_duplicate = true;
                return r < 0 ? refuse_for_now(f, r, "the manifest can't be written") : 0;
        }
        r = record_promotion(c, p, e, f);
        if (r < 0)
                return r;
        r = manifest_add(c->p.manifest, e, p->evidence, p->name);
        *ret_duplicate = false;
        if (r == -E2BIG)
                return refuse(f, r, false, "registry_full",
                              "the registry holds its most of %llu models; delete some",
                              (unsigned long long)REGISTRY_MODELS_MAX);
        return r < 0 ? refuse_for_now(f, r, "the manifest can't be written") : 0;
}

static int add_model(struct catalog *c, const struct promotion *p, const struct evidence *e,
                     bool *ret_duplicate, struct refusal *f) {
        int r, removed = 0;

        pthread_mutex_lock(&c->lock);
        r = add_locked(c, p, e, ret_duplicate, f);
        if (r < 0 && !manifest_has(c->p.manifest, &e->sha256))
                removed = objects_remove(c->p.objects, &e->sha256);
        pthread_mutex_unlock(&c->lock);
        (void)removed; /* what can't be removed now is an orphan, which the next start removes */
        if (r >= 0 && !*ret_duplicate)
                record_head(c);
        return r;
}

int catalog_promote(struct catalog *c, const struct promotion *p, struct sha256 *ret_digest,
                    bool *ret_duplicate, struct refusal *reterr) {
        _cleanup_(evidence_donep) struct evidence e = {0};
        bool duplicate = false;
        int r = check_evidence(c, p, &e, reterr);

        if (r >= 0)
                r = find_answered(c, &e, &duplicate, reterr);
        if (r < 0)
                return r;
        if (r == 0 || !object_is_there(c, &e.sha256)) {
                r = objects_admit(c->p.objects, p->fd, e.size, &e.sha256);
                if (r < 0)
                        return explain_admission(reterr, r);
                r = add_model(c, p, &e, &duplicate, reterr);
                if (r < 0)
                        return r;
        }
        *ret_digest = e.sha256;
        *ret_duplicate = duplicate;
        return 0;
}

/* --- open and delete --- */

struct opened {
        struct buf *name;
        uint64_t size;
        enum check_state check;
        int error;
};

static int note_opened(const struct model *m, void *userdata) {
        struct opened *o = userdata;

        o->size = m->size;
        o->check = m->check;
        return buf_append_view(o->name, m->name);
}

static int open_locked(struct catalog *c, const struct sha256 *digest, struct opened *o, struct refusal *f) {
        _cleanup_(closep) int fd = -EBADF;
        struct stat st;
        int r = manifest_get(c->p.manifest, digest, note_opened, o);

        if (r == -ENOENT)
                return refuse(f, r, true, "unknown_model", "the registry has no such model");
        if (r < 0)
                return refuse_for_now(f, r, "the manifest can't be read");
        if (check_has_failed(o->check) || blocklist_has(c->p.blocklist, digest))
                return refuse(f, -EPERM, true, check_has_failed(o->check) ? "model_damaged" : "blocked",
                              check_has_failed(o->check)
                                      ? "the stored file is damaged; delete it and import it again"
                                      : "this file is on the blocklist of models.lock.yaml");
        fd = objects_open(c->p.objects, digest);
        if (fd < 0 || fstat(fd, &st) < 0 || (uint64_t)st.st_size != o->size)
                return refuse(f, -EIO, true, "model_damaged",
                              "the stored file is missing or has another size");
        r = take_lease(c, digest);
        return r < 0 ? refuse_for_now(f, r, "the model can't be opened") : TAKE_FD(fd);
}

int catalog_open(struct catalog *c, const struct sha256 *digest, uint64_t *ret_size, struct buf *name,
                 struct refusal *reterr) {
        struct opened o = {.name = name};
        int fd;

        pthread_mutex_lock(&c->lock);
        fd = open_locked(c, digest, &o, reterr);
        pthread_mutex_unlock(&c->lock);
        if (fd >= 0)
                *ret_size = o.size;
        return fd;
}

static int delete_locked(struct catalog *c, const struct sha256 *digest, struct view caller,
                         struct refusal *f) {
        _cleanup_(buf_donep) struct buf detail = BUF_INIT(256);
        int r;

        if (!manifest_has(c->p.manifest, digest))
                return refuse(f, -ENOENT, true, "unknown_model", "the registry has no such model");
        if (catalog_is_loaded(c, digest))
                return refuse(f, -EBUSY, false, "model_loaded", "the model is loaded; unload it first");
        r = buf_printf(&detail, "{\"asked_by\":\"%.*s\"}", VIEW_ARG(caller));
        if (r >= 0)
                r = record(c, "model_deleted", "allow", NULL, digest, buf_view(&detail));
        if (r < 0)
                return refuse(f, r, false, "audit_unavailable",
                              "the deletion can't be recorded in the audit log (%s), so it does not happen",
                              strerror(-r));
        r = manifest_remove(c->p.manifest, digest);
        if (r >= 0)
                r = objects_remove(c->p.objects,
                                   digest); /* a crash before: the next start removes the orphan */
        return r < 0 ? refuse_for_now(f, r, "the model can't be deleted") : 0;
}

int catalog_delete(struct catalog *c, const struct sha256 *digest, struct view caller,
                   struct refusal *reterr) {
        int r;

        pthread_mutex_lock(&c->lock);
        r = delete_locked(c, digest, caller, reterr);
        pthread_mutex_unlock(&c->lock);
        if (r >= 0)
                record_head(c);
        return r;
}
