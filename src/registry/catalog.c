#include "registry/catalog.h"

#include <pthread.h>
#include <sys/stat.h>

#include "registry/anchor.h"
#include "registry/artifact.h"
#include "registry/digest_count.h"
#include "registry/limits.h"

struct catalog {
        struct catalog_parts p;
        pthread_mutex_t lock;       /* rows and objects change together */
        pthread_mutex_t lease_lock; /* innermost: also taken while the manifest is being read */
        struct digest_count leases; /* models that are open */
        struct digest_count holds;  /* with `lock`: objects that somebody is about to give an owner */
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
        digest_count_done(&c->leases);
        digest_count_done(&c->holds);
        pthread_mutex_destroy(&c->lock);
        pthread_mutex_destroy(&c->lease_lock);
        free(c);
        return NULL;
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

static int take_lease(struct catalog *c, const struct sha256 *digest) {
        struct digest_entry *e;

        pthread_mutex_lock(&c->lease_lock);
        e = digest_count_get(&c->leases, digest);
        if (e)
                e->count++;
        pthread_mutex_unlock(&c->lease_lock);
        return e ? 0 : -ENOMEM;
}

void catalog_release(struct catalog *c, const struct sha256 *digest) {
        struct digest_entry *e;

        pthread_mutex_lock(&c->lease_lock);
        e = digest_count_find(&c->leases, digest);
        if (e && --e->count == 0)
                digest_count_drop(&c->leases, e);
        pthread_mutex_unlock(&c->lease_lock);
}

bool catalog_is_loaded(struct catalog *c, const struct sha256 *digest) {
        bool loaded;

        pthread_mutex_lock(&c->lease_lock);
        loaded = digest_count_find(&c->leases, digest) != NULL;
        pthread_mutex_unlock(&c->lease_lock);
        return loaded;
}

/* --- objects that have no owner yet --- */

struct objects *catalog_objects(struct catalog *c) {
        return c->p.objects;
}

int catalog_hold(struct catalog *c, const struct sha256 *digest) {
        struct digest_entry *e;

        pthread_mutex_lock(&c->lock);
        e = digest_count_get(&c->holds, digest);
        if (e)
                e->count++;
        pthread_mutex_unlock(&c->lock);
        return e ? 0 : -ENOMEM;
}

/* With the lock. What can't be removed now is an orphan, which the next start removes. */
static int drop_object(struct catalog *c, const struct sha256 *digest) {
        if (digest_count_find(&c->holds, digest) || manifest_owns(c->p.manifest, digest))
                return 0;
        return objects_remove(c->p.objects, digest);
}

void catalog_let_go(struct catalog *c, const struct sha256 *digest) {
        struct digest_entry *e;
        int r = 0;

        pthread_mutex_lock(&c->lock);
        e = digest_count_find(&c->holds, digest);
        if (e && --e->count == 0) {
                digest_count_drop(&c->holds, e);
                r = drop_object(c, digest);
        }
        pthread_mutex_unlock(&c->lock);
        (void)r;
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

        if (manifest_owns(r->c->p.manifest, digest))
                return 0;
        r->orphans++;
        return objects_remove(r->c->p.objects, digest);
}

static int collect_missing(struct repair *r, const struct sha256 *model, const struct sha256 *object) {
        _cleanup_(closep) int fd = -EBADF;

        if (r->n == ARRAY_SIZE(r->missing) || (r->n > 0 && same(&r->missing[r->n - 1], model)))
                return 0;
        fd = objects_open(r->c->p.objects, object);
        if (fd == -ENOENT)
                r->missing[r->n++] = *model;
        return fd < 0 && fd != -ENOENT ? fd : 0;
}

static int collect_missing_model(const struct model *m, void *userdata) {
        return check_has_failed(m->check) ? 0 : collect_missing(userdata, &m->sha256, &m->sha256);
}

static int collect_missing_member(const struct part *p, void *userdata) {
        return collect_missing(userdata, &p->model, &p->sha256);
}

/* Models of which something is gone, as many as fit; those that are marked already are passed over. */
static int find_missing(struct repair *state) {
        int r;

        state->n = 0;
        r = manifest_each(state->c->p.manifest, collect_missing_model, state);
        return r < 0 ? r : manifest_each_member(state->c->p.manifest, NULL, collect_missing_member, state);
}

int catalog_repair(struct catalog *c, uint64_t *ret_orphans, uint64_t *ret_missing) {
        struct repair state = {.c = c};
        uint64_t missing = 0;
        int r = objects_each(c->p.objects, remove_orphan, &state);

        do {
                if (r >= 0)
                        r = find_missing(&state);
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
                              "this artifact is on the blocklist of models.lock.yaml");
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

static int promotion_detail(const struct promotion *p, const struct evidence *e, uint64_t version,
                            struct buf *out) {
        struct json_writer w = JSON_WRITER(out);

        json_object_begin(&w);
        json_member_view(&w, "job", e->job);
        json_member_view(&w, "name", p->name);
        json_member_u64(&w, "size", e->size);
        json_member_u64(&w, "members", e->members);
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

static int find_lost(const struct part *p, void *userdata) {
        return object_is_there(userdata, &p->sha256) ? 0 : -ENOENT;
}

/* Also all files of a set, as far as the manifest knows them. */
static bool all_is_there(struct catalog *c, const struct sha256 *model) {
        return object_is_there(c, model) && manifest_each_member(c->p.manifest, model, find_lost, c) >= 0;
}

/* All objects are in the store; makes them a model. With the lock, so that no delete comes between. */
static int add_locked(struct catalog *c, const struct promotion *p, const struct evidence *e,
                      const struct artifact *a, bool *ret_duplicate, struct refusal *f) {
        struct manifest_entry entry = {.evidence = e,
                                       .text = p->evidence,
                                       .name = p->name,
                                       .members = evidence_is_set(e) ? &a->listing : NULL};
        int r;

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
        memcpy(entry.document_sizes, a->document_sizes, sizeof entry.document_sizes);
        r = manifest_add(c->p.manifest, &entry);
        *ret_duplicate = false;
        if (r == -E2BIG)
                return refuse(
                        f, r, false, "registry_full",
                        "the registry holds its most of %llu models and %llu files in sets; delete some",
                        (unsigned long long)REGISTRY_MODELS_MAX, (unsigned long long)REGISTRY_MEMBERS_MAX);
        return r < 0 ? refuse_for_now(f, r, "the manifest can't be written") : 0;
}

static int add_model(struct catalog *c, const struct promotion *p, const struct evidence *e,
                     const struct artifact *a, bool *ret_duplicate, struct refusal *f) {
        int r;

        pthread_mutex_lock(&c->lock);
        r = add_locked(c, p, e, a, ret_duplicate, f);
        pthread_mutex_unlock(&c->lock);
        if (r >= 0 && !*ret_duplicate)
                record_head(c);
        return r;
}

/* The promoted file itself (of a set its listing) comes into the store last. */
static int take_in(struct catalog *c, const struct promotion *p, const struct evidence *e,
                   bool *ret_duplicate, struct refusal *f) {
        _cleanup_(artifact_donep) struct artifact a = {0};
        int r = p->handed ? handover_wait(p->handed, f) : 0;

        if (r >= 0)
                r = artifact_check(e, p->fd, p->handed, c->p.blocklist, &a, f);
        if (r < 0)
                return r;
        r = catalog_hold(c, &e->sha256);
        if (r < 0)
                return refuse_for_now(f, r, "the file can't be taken in");
        r = objects_admit(c->p.objects, p->fd, a.size, &e->sha256);
        r = r < 0 ? refuse_admission(f, r) : add_model(c, p, e, &a, ret_duplicate, f);
        catalog_let_go(c, &e->sha256);
        return r;
}

int catalog_promote(struct catalog *c, const struct promotion *p, struct sha256 *ret_digest,
                    bool *ret_duplicate, struct refusal *reterr) {
        _cleanup_(evidence_donep) struct evidence e = {0};
        bool duplicate = false;
        int r = check_evidence(c, p, &e, reterr);

        if (r >= 0)
                r = find_answered(c, &e, &duplicate, reterr);
        if (r == 0 || (r > 0 && !all_is_there(c, &e.sha256)))
                r = take_in(c, p, &e, &duplicate, reterr);
        if (r < 0)
                return r;
        *ret_digest = e.sha256;
        *ret_duplicate = duplicate;
        return 0;
}

/* --- open and delete --- */

struct opened {
        struct catalog_model *model;
        enum check_state check;
};

static int note_opened(const struct model *m, void *userdata) {
        struct opened *o = userdata;

        o->model->size = m->size;
        o->model->members = m->members;
        o->check = m->check;
        buf_clear(&o->model->name);
        buf_clear(&o->model->kind);
        return buf_append_view(&o->model->name, m->name) < 0 || buf_append_view(&o->model->kind, m->kind) < 0
                       ? -ENOMEM
                       : 0;
}

struct blocking {
        struct blocklist *blocklist;
        bool found;
};

static int find_blocked(const struct part *p, void *userdata) {
        struct blocking *b = userdata;

        b->found |= blocklist_has(b->blocklist, &p->sha256);
        return 0;
}

/* 1 when the model or a file of it is on the blocklist. */
static int is_blocked(struct catalog *c, const struct sha256 *digest) {
        struct blocking b = {c->p.blocklist, blocklist_has(c->p.blocklist, digest)};
        int r = manifest_each_member(c->p.manifest, digest, find_blocked, &b);

        return r < 0 ? r : b.found;
}

static int refuse_unusable(struct catalog *c, const struct sha256 *digest, const struct opened *o,
                           struct refusal *f) {
        int r = is_blocked(c, digest);

        if (check_has_failed(o->check))
                return refuse(f, -EPERM, true, "model_damaged",
                              "the stored file is damaged; delete it and import it again");
        if (r > 0)
                return refuse(f, -EPERM, true, "blocked",
                              "this model is on the blocklist of models.lock.yaml");
        return r < 0 ? refuse_for_now(f, r, "the manifest can't be read") : 0;
}

static int open_locked(struct catalog *c, const struct sha256 *digest, struct catalog_model *model,
                       struct refusal *f) {
        _cleanup_(closep) int fd = -EBADF;
        struct opened o = {.model = model};
        struct stat st;
        int r = manifest_get(c->p.manifest, digest, note_opened, &o);

        if (r == -ENOENT)
                return refuse(f, r, true, "unknown_model", "the registry has no such model");
        if (r < 0)
                return refuse_for_now(f, r, "the manifest can't be read");
        r = refuse_unusable(c, digest, &o, f);
        if (r < 0)
                return r;
        fd = objects_open(c->p.objects, digest);
        if (fd < 0 || fstat(fd, &st) < 0 || (model->members == 0 && (uint64_t)st.st_size != model->size))
                return refuse(f, -EIO, true, "model_damaged",
                              "the stored file is missing or has another size");
        r = take_lease(c, digest);
        return r < 0 ? refuse_for_now(f, r, "the model can't be opened") : TAKE_FD(fd);
}

int catalog_open(struct catalog *c, const struct sha256 *digest, struct catalog_model *ret,
                 struct refusal *reterr) {
        int fd;

        pthread_mutex_lock(&c->lock);
        fd = open_locked(c, digest, ret, reterr);
        pthread_mutex_unlock(&c->lock);
        return fd;
}

int catalog_open_member(struct catalog *c, const struct sha256 *set, struct view path, uint64_t *ret_size,
                        struct refusal *reterr) {
        _cleanup_(closep) int fd = -EBADF;
        struct sha256 digest;
        struct stat st;
        int r = manifest_find_member(c->p.manifest, set, path, &digest, ret_size);

        if (r == -ENOENT)
                return refuse(reterr, r, true, "unknown_member", "the set has no file of this path");
        if (r < 0)
                return refuse_for_now(reterr, r, "the manifest can't be read");
        if (blocklist_has(c->p.blocklist, &digest))
                return refuse(reterr, -EPERM, true, "blocked",
                              "this file is on the blocklist of models.lock.yaml");
        fd = objects_open(c->p.objects, &digest);
        if (fd < 0 || fstat(fd, &st) < 0 || (uint64_t)st.st_size != *ret_size)
                return refuse(reterr, -EIO, true, "model_damaged",
                              "the stored file is missing or has another size");
        return TAKE_FD(fd);
}

/* 1 when the bytes are the document's. */
static int is_document(int fd, uint64_t size, const struct sha256 *digest) {
        struct sha256 found;
        int r = sha256_of_fd(fd, size, &found);

        return r < 0 ? r : same(&found, digest);
}

int catalog_open_document(struct catalog *c, const struct sha256 *model, enum document_kind kind,
                          uint64_t *ret_size, struct refusal *reterr) {
        _cleanup_(closep) int fd = -EBADF;
        struct sha256 digest;
        int r = manifest_find_document(c->p.manifest, model, kind, &digest, ret_size);

        if (r == -ENOENT)
                return refuse(reterr, r, true, "unknown_document", "the model has no such document");
        if (r < 0)
                return refuse_for_now(reterr, r, "the manifest can't be read");
        fd = objects_open(c->p.objects, &digest);
        if (fd < 0 || is_document(fd, *ret_size, &digest) != 1)
                return refuse(reterr, -EIO, true, "document_damaged",
                              "the stored document is missing or damaged; import the model again");
        return TAKE_FD(fd);
}

/* --- delete --- */

static int note_part(const struct part *p, void *userdata) {
        return digest_count_get(userdata, &p->sha256) ? 0 : -ENOMEM;
}

/* All objects that the model is and has. */
static int collect_objects(struct catalog *c, const struct sha256 *digest, struct digest_count *ret) {
        int r = digest_count_get(ret, digest) ? 0 : -ENOMEM;

        if (r >= 0)
                r = manifest_each_member(c->p.manifest, digest, note_part, ret);
        return r < 0 ? r : manifest_each_document(c->p.manifest, digest, note_part, ret);
}

/* With the lock, after the rows are gone: what another model has too stays. A crash before: the next start removes the rest. */
static int drop_objects(struct catalog *c, struct digest_count *objects) {
        int r = 0;

        for (struct digest_entry *e = digest_count_any(objects); e && r >= 0; e = digest_count_any(objects)) {
                r = drop_object(c, &e->digest);
                digest_count_drop(objects, e);
        }
        return r;
}

static int record_deletion(struct catalog *c, const struct sha256 *digest, struct view caller,
                           struct refusal *f) {
        _cleanup_(buf_donep) struct buf detail = BUF_INIT(256);
        int r = buf_printf(&detail, "{\"asked_by\":\"%.*s\"}", VIEW_ARG(caller));

        if (r >= 0)
                r = record(c, "model_deleted", "allow", NULL, digest, buf_view(&detail));
        return r < 0 ? refuse(f, r, false, "audit_unavailable",
                              "the deletion can't be recorded in the audit log (%s), so it does not happen",
                              strerror(-r))
                     : 0;
}

static int delete_locked(struct catalog *c, const struct sha256 *digest, struct view caller,
                         struct digest_count *objects, struct refusal *f) {
        int r;

        if (!manifest_has(c->p.manifest, digest))
                return refuse(f, -ENOENT, true, "unknown_model", "the registry has no such model");
        if (catalog_is_loaded(c, digest))
                return refuse(f, -EBUSY, false, "model_loaded", "the model is loaded; unload it first");
        r = collect_objects(c, digest, objects);
        if (r < 0)
                return refuse_for_now(f, r, "the model can't be deleted");
        r = record_deletion(c, digest, caller, f);
        if (r < 0)
                return r;
        r = manifest_remove(c->p.manifest, digest);
        if (r >= 0)
                r = drop_objects(c, objects);
        return r < 0 ? refuse_for_now(f, r, "the model can't be deleted") : 0;
}

int catalog_delete(struct catalog *c, const struct sha256 *digest, struct view caller,
                   struct refusal *reterr) {
        struct digest_count objects = {0};
        int r;

        pthread_mutex_lock(&c->lock);
        r = delete_locked(c, digest, caller, &objects, reterr);
        pthread_mutex_unlock(&c->lock);
        digest_count_done(&objects);
        if (r >= 0)
                record_head(c);
        return r;
}
