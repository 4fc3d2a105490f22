#include "audit/log_store.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>

#include "audit/limits.h"
#include "audit/reserve.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/secret.h"
#include "core/audit_state.h"
#include "core/audit_verify.h"

#define LOCK_NAME "lock"
#define NOTE_NAME "recovery.json" /* what is about to be cut off, until a record in the log says so */
#define BATCH_MAX ((AUDIT_BATCH_RECORDS + 4) * AUDIT_LINE_MAX)
#define HEAD_MAX  ((size_t)4096)

struct log_store {
        struct log_store_config config;
        int lock_fd, state_fd, log_fd;
        struct secret now_pages, next_pages;
        struct audit_state *now;  /* durable, but for state_dirty */
        struct audit_state *next; /* the batch being put together */
        struct signing_key *key;
        struct buf batch;
        struct buf next_head; /* the batch's checkpoint, if it has one */
        struct buf head;      /* the newest one that is on disk in the log */
        struct reserve reserve;
        char boot_id[33];
        uint64_t real_usec;
        bool log_dirty;   /* bytes behind now->offset may be there and must go first */
        bool state_dirty; /* *now is not stored yet */
        bool rotating;    /* between rename and the state that knows it */
        bool head_dirty;  /* audit.head is older than `head` */
};

void log_file_name(uint64_t number, char out[LOG_FILE_NAME_SIZE]) {
        (void)snprintf(out, LOG_FILE_NAME_SIZE, AUDIT_FILE_NAME ".%06llu", (unsigned long long)number);
}

struct log_end log_store_end(const struct log_store *s) {
        return (struct log_end){
                .sequence = s->now->chain.next_sequence - 1,
                .hash = s->now->chain.last,
                .rotated = s->now->rotated,
                .offset = s->now->offset,
                .real_usec = s->real_usec,
        };
}

static void batch_begin(struct log_store *s) {
        buf_clear(&s->batch);
        buf_clear(&s->next_head);
        *s->next = *s->now;
        s->real_usec = clock_real_usec();
}

/* Adds a record to the batch; on failure batch and *next are as before. */
static int batch_add(struct log_store *s, const struct audit_entry *e) {
        struct audit_chain before = s->next->chain;
        size_t start = s->batch.n;
        int r;

        r = audit_line_append(&s->next->chain, e, s->real_usec, s->boot_id, &s->batch);
        if (r >= 0) {
                r = audit_tree_add(&s->next->tree, view_make(s->batch.p + start, s->batch.n - start - 1));
                if (r < 0) {
                        s->next->chain = before;
                        s->batch.n = start;
                }
        }
        wipe(&before, sizeof before);
        return r;
}

static int batch_add_checkpoint(struct log_store *s) {
        struct audit_checkpoint c = {.count = s->next->tree.count, .hash = s->next->chain.last};
        struct audit_entry e = {.caller = VIEW(AUDIT_OWN_CALLER),
                                .event = VIEW(AUDIT_EVENT_CHECKPOINT),
                                .decision = VIEW("info")};
        int r;

        buf_clear(&s->next_head);
        r = audit_tree_root(&s->next->tree, &c.root);
        if (r >= 0)
                r = audit_checkpoint_sign(&c, s->key, &s->next_head);
        if (r < 0)
                return r;
        e.detail = buf_view(&s->next_head);
        r = batch_add(s, &e);
        if (r >= 0)
                s->next->last_checkpoint = s->next->chain.next_sequence - 1;
        return r;
}

static bool checkpoint_is_due(const struct log_store *s) {
        return s->next->chain.next_sequence - 1 - s->next->last_checkpoint >= s->config.checkpoint_each;
}

static int cut_back(struct log_store *s) {
        if (ftruncate(s->log_fd, (off_t)s->now->offset) < 0 || fdatasync(s->log_fd) < 0)
                return negative_errno();
        s->log_dirty = false;
        return 0;
}

static int store_now(struct log_store *s) {
        int r = audit_state_store(s->state_fd, s->now);

        s->state_dirty = r < 0;
        return r;
}

/* The head may stay behind for a while (its folder may be full); the state is what the log's end is checked by. */
static void publish_head(struct log_store *s) {
        if (s->head_dirty && replace_file(s->config.log_dir, AUDIT_HEAD_NAME, buf_view(&s->head), 0600) >= 0)
                s->head_dirty = false;
}

/* The batch is on disk: it becomes what is. */
static void batch_take(struct log_store *s) {
        s->next->offset += s->batch.n;
        *s->now = *s->next;
        audit_state_wipe(s->next);
        if (s->next_head.n) {
                buf_done(&s->head);
                s->head = TAKE_BUF(s->next_head);
                s->head_dirty = true;
        }
}

static int write_durably(struct log_store *s) {
        int r = lseek(s->log_fd, (off_t)s->now->offset, SEEK_SET) < 0 ? negative_errno() : 0;

        if (r >= 0)
                r = write_all(s->log_fd, s->batch.p, s->batch.n);
        return r >= 0 && fdatasync(s->log_fd) < 0 ? negative_errno() : r;
}

/* Makes the batch durable and the state after it. */
static int batch_write(struct log_store *s) {
        int r;

        if (s->batch.n == 0)
                return 0;
        s->log_dirty = true;
        r = write_durably(s);
        if ((r == -ENOSPC || r == -EDQUOT) && reserve_release(&s->reserve))
                r = write_durably(s);
        if (r < 0) {
                (void)cut_back(s); /* gives the space back; else the next batch tries again first */
                return r == -EFBIG ? -ENOSPC : r; /* a limit on the file's size is a full disk to callers */
        }
        s->log_dirty = false;
        batch_take(s);
        r = store_now(s);
        if (r >= 0)
                publish_head(s);
        return r;
}

/* Second half of a rotation, also after a crash: the file has its new name, an empty audit.log follows it. */
static int finish_rotation(struct log_store *s) {
        _cleanup_(closep) int fd = open_beneath(s->config.log_dir, AUDIT_FILE_NAME,
                                                O_RDWR | O_CREAT | O_NONBLOCK, 0600);
        struct stat st;
        int r;

        if (fd < 0)
                return fd;
        if (fstat(fd, &st) < 0)
                return negative_errno();
        if (!S_ISREG(st.st_mode) || st.st_size != 0)
                return -EUCLEAN;
        r = fsync(fd) < 0 ? negative_errno() : fsync_dir(s->config.log_dir);
        if (r < 0)
                return r;
        close_fd(s->log_fd);
        s->log_fd = TAKE_FD(fd);
        s->now->rotated++;
        s->now->offset = 0;
        s->rotating = false;
        return store_now(s);
}

static int rotate(struct log_store *s) {
        char name[LOG_FILE_NAME_SIZE];
        int r;

        batch_begin(s);
        r = batch_add_checkpoint(s);
        if (r >= 0)
                r = batch_write(s);
        if (r < 0)
                return r;
        log_file_name(s->now->rotated + 1, name);
        if (renameat2(s->config.log_dir, AUDIT_FILE_NAME, s->config.log_dir, name, RENAME_NOREPLACE) < 0)
                return negative_errno();
        s->rotating = true;
        (void)fchmod(s->log_fd, 0400);
        return finish_rotation(s);
}

/* What an earlier failure left undone comes first; nothing is written on top of it. */
static int repair(struct log_store *s) {
        int r = 0;

        if (s->log_dirty)
                r = cut_back(s);
        if (r >= 0 && s->state_dirty)
                r = store_now(s);
        if (r >= 0 && s->rotating)
                r = finish_rotation(s);
        return r;
}

static int prepare(struct log_store *s) {
        int r = repair(s);

        if (r >= 0 && s->now->offset >= s->config.rotate_bytes)
                r = rotate(s);
        return r;
}

static int batch_fill(struct log_store *s, struct log_item *items, size_t n) {
        batch_begin(s);
        for (size_t i = 0; i < n; i++) {
                items[i].result = batch_add(s, items[i].entry);
                items[i].sequence = s->next->chain.next_sequence - 1;
        }
        return checkpoint_is_due(s) ? batch_add_checkpoint(s) : 0;
}

void log_store_commit(struct log_store *s, struct log_item *items, size_t n) {
        int r;

        for (size_t i = 0; i < n; i++)
                items[i].result = 0;
        r = prepare(s);
        if (r >= 0)
                r = batch_fill(s, items, n);
        if (r >= 0)
                r = batch_write(s);
        for (size_t i = 0; i < n && r < 0; i++)
                if (items[i].result >= 0)
                        items[i].result = r;
        audit_state_wipe(s->next);
        if (r >= 0)
                reserve_restore(&s->reserve);
}

static int commit_own(struct log_store *s, const char *event, struct view detail) {
        struct audit_entry e = {.caller = VIEW(AUDIT_OWN_CALLER),
                                .event = view_of(event),
                                .decision = VIEW("info"),
                                .detail = detail};
        struct log_item item = {.entry = &e};

        log_store_commit(s, &item, 1);
        return item.result;
}

static int open_lock(struct log_store *s, struct fault *f) {
        s->lock_fd = open_beneath(s->config.writer_dir, LOCK_NAME, O_RDWR | O_CREAT | O_NONBLOCK, 0600);
        if (s->lock_fd < 0)
                return fault_set(f, s->lock_fd, "AUDIT-001", 0, "the lock file can't be opened");
        if (flock(s->lock_fd, LOCK_EX | LOCK_NB) < 0)
                return fault_set(f, errno == EWOULDBLOCK ? -EBUSY : negative_errno(), "AUDIT-002", 0,
                                 "another audit service writes this log; stop it first");
        return 0;
}

static int open_state(struct log_store *s, struct fault *f) {
        int r;

        s->state_fd = open_beneath(s->config.writer_dir, AUDIT_STATE_NAME, O_RDWR | O_NONBLOCK, 0);
        if (s->state_fd == -ENOENT)
                return fault_set(f, -EUCLEAN, "AUDIT-003", 0,
                                 "the writer's state is missing; it is made once by `audit --make-keys`");
        if (s->state_fd < 0)
                return fault_set(f, s->state_fd, "AUDIT-004", 0, "the writer's state can't be opened");
        r = audit_state_read(s->state_fd, s->now);
        if (r < 0)
                return fault_set(f, r, "AUDIT-004", 0, "the writer's state is damaged");
        r = signing_key_load(s->config.writer_dir, AUDIT_CHECKPOINT_PRIVATE, false, &s->key);
        return r < 0 ? fault_set(f, r, "AUDIT-005", 0, "the checkpoint key can't be read") : 0;
}

static int resume_rotation(struct log_store *s, const char *name, struct fault *f) {
        int r = finish_rotation(s);

        return r < 0 ? fault_set(f, r, "AUDIT-006", 0, "the interrupted rotation to %s can't be finished",
                                 name)
                     : 0;
}

static int open_log(struct log_store *s, struct fault *f) {
        char next_name[LOG_FILE_NAME_SIZE];

        log_file_name(s->now->rotated + 1, next_name);
        if (faccessat(s->config.log_dir, next_name, F_OK, AT_SYMLINK_NOFOLLOW) == 0)
                return resume_rotation(s, next_name, f);
        s->log_fd = open_beneath(s->config.log_dir, AUDIT_FILE_NAME, O_RDWR | O_NONBLOCK, 0);
        if (s->log_fd == -ENOENT)
                return fault_set(f, -EUCLEAN, "AUDIT-007", 0, "%s is missing, but %llu records were written",
                                 AUDIT_FILE_NAME, (unsigned long long)(s->now->chain.next_sequence - 1));
        return s->log_fd < 0 ? fault_set(f, s->log_fd, "AUDIT-008", 0, "%s can't be opened", AUDIT_FILE_NAME)
                             : 0;
}

static bool is_last_record(const struct log_store *s, struct view text) {
        struct audit_line line;

        return audit_line_parse(text, &line) >= 0 && line.sequence == s->now->chain.next_sequence - 1 &&
               memcmp(line.hash.b, s->now->chain.last.b, SHA256_SIZE) == 0;
}

/* The bytes before the durable end must end in the record that the state names. */
static int check_last_record(struct log_store *s, struct fault *f) {
        char text[AUDIT_LINE_MAX];
        size_t n = (size_t)MIN_OF(s->now->offset, (uint64_t)sizeof text), start;
        int r;

        if (n == 0)
                return 0;
        r = pread_all(s->log_fd, text, n, s->now->offset - n);
        if (r < 0)
                return fault_set(f, r, "AUDIT-008", 0, "%s can't be read", AUDIT_FILE_NAME);
        for (start = n - 1; start > 0 && text[start - 1] != '\n'; start--)
                ;
        if (text[n - 1] != '\n' || !is_last_record(s, view_make(text + start, n - 1 - start)))
                return fault_set(f, -EUCLEAN, "AUDIT-009", s->now->offset,
                                 "%s does not end in record %llu as the writer left it", AUDIT_FILE_NAME,
                                 (unsigned long long)(s->now->chain.next_sequence - 1));
        return 0;
}

/* Moves the state over the whole, valid records at the front of *tail, and *tail behind them. */
static int adopt_records(struct log_store *s, struct view *tail, uint64_t *ret_adopted) {
        struct view rest = *tail, text;
        struct audit_line line;
        uint64_t adopted = 0;
        int r;

        while (view_split(&rest, '\n', &text) && audit_line_parse(text, &line) >= 0) {
                r = audit_chain_check(&s->now->chain, &line);
                if (r == -ESTALE || r == -EXDEV || r == -EKEYREJECTED)
                        break;
                if (r >= 0)
                        r = audit_tree_add(&s->now->tree, text);
                if (r < 0)
                        return r;
                s->now->offset += text.n + 1;
                *tail = rest;
                adopted++;
        }
        *ret_adopted = adopted;
        return 0;
}

static int write_note(struct log_store *s, uint64_t adopted, struct view cut) {
        _cleanup_(buf_donep) struct buf text = BUF_INIT(512);
        char hex[SHA256_HEX_SIZE];
        struct sha256 digest;
        int r = sha256_of(cut, &digest);

        if (r < 0)
                return r;
        sha256_hex(&digest, hex);
        r = buf_printf(&text, "{\"adopted_records\":%llu,\"cut_bytes\":%llu,\"cut_sha256\":\"%s\"}",
                       (unsigned long long)adopted, (unsigned long long)cut.n, hex);
        return r < 0 ? r : replace_file(s->config.writer_dir, NOTE_NAME, buf_view(&text), 0600);
}

/* The note is durable before anything is cut, so that a second crash doesn't make the first one forgotten. */
static int take_over_tail(struct log_store *s, struct view tail) {
        uint64_t adopted;
        int r = adopt_records(s, &tail, &adopted);

        if (r >= 0)
                r = write_note(s, adopted, tail);
        if (r >= 0)
                r = cut_back(s);
        return r < 0 ? r : store_now(s);
}

static int read_tail(struct log_store *s, size_t n, struct buf *tail) {
        int r = buf_reserve(tail, n);

        if (r >= 0)
                r = pread_all(s->log_fd, tail->p, n, s->now->offset);
        if (r >= 0)
                tail->n = n;
        return r;
}

static int check_size(struct log_store *s, uint64_t size, struct fault *f) {
        if (size < s->now->offset)
                return fault_set(f, -EUCLEAN, "AUDIT-010", size,
                                 "%s is shorter than the writer left it: %llu instead of %llu bytes",
                                 AUDIT_FILE_NAME, (unsigned long long)size,
                                 (unsigned long long)s->now->offset);
        if (size - s->now->offset > AUDIT_TAIL_MAX)
                return fault_set(f, -EUCLEAN, "AUDIT-011", s->now->offset,
                                 "%s goes on behind the writer's end for more than a crash can leave",
                                 AUDIT_FILE_NAME);
        return 0;
}

static int recover_tail(struct log_store *s, struct fault *f) {
        _cleanup_(buf_donep) struct buf tail = BUF_INIT(AUDIT_TAIL_MAX);
        struct stat st;
        int r;

        if (fstat(s->log_fd, &st) < 0 || !S_ISREG(st.st_mode))
                return fault_set(f, -EUCLEAN, "AUDIT-008", 0, "%s is not a file", AUDIT_FILE_NAME);
        r = check_size(s, (uint64_t)st.st_size, f);
        if (r >= 0)
                r = check_last_record(s, f);
        if (r < 0 || (uint64_t)st.st_size == s->now->offset)
                return r;
        r = read_tail(s, (size_t)((uint64_t)st.st_size - s->now->offset), &tail);
        if (r >= 0)
                r = take_over_tail(s, buf_view(&tail));
        return r < 0 ? fault_set(f, r, "AUDIT-012", s->now->offset, "the end of %s can't be repaired",
                                 AUDIT_FILE_NAME)
                     : 0;
}

static int record_recovery(struct log_store *s, struct fault *f) {
        _cleanup_(buf_donep) struct buf note = BUF_INIT(512);
        int r = read_file_beneath(s->config.writer_dir, NOTE_NAME, 512, &note);

        if (r == -ENOENT)
                return 0;
        if (r >= 0)
                r = commit_own(s, AUDIT_EVENT_RECOVERED, buf_view(&note));
        if (r >= 0 && unlinkat(s->config.writer_dir, NOTE_NAME, 0) < 0)
                r = negative_errno();
        return r < 0 ? fault_set(f, r, "AUDIT-013", 0, "the repair of the log can't be recorded") : 0;
}

static int new_store(const struct log_store_config *config, struct log_store **ret) {
        _cleanup_(log_store_closep) struct log_store *s = calloc(1, sizeof *s);
        int r;

        if (!s)
                return -ENOMEM;
        s->config = *config;
        s->lock_fd = s->state_fd = s->log_fd = -EBADF;
        s->reserve = RESERVE_NONE;
        s->batch = BUF_INIT(BATCH_MAX);
        s->head = BUF_INIT(HEAD_MAX);
        s->next_head = BUF_INIT(HEAD_MAX);
        clock_boot_id(s->boot_id);
        r = secret_new(sizeof *s->now, &s->now_pages);
        if (r >= 0)
                r = secret_new(sizeof *s->next, &s->next_pages);
        if (r < 0)
                return r;
        s->now = (struct audit_state *)(void *)s->now_pages.p;
        s->next = (struct audit_state *)(void *)s->next_pages.p;
        *ret = TAKE_PTR(s);
        return 0;
}

int log_store_open(const struct log_store_config *config, struct log_store **ret, struct fault *reterr) {
        _cleanup_(log_store_closep) struct log_store *s = NULL;
        int r = new_store(config, &s);

        if (r < 0)
                return fault_set(reterr, r, "AUDIT-014", 0, "out of memory");
        r = open_lock(s, reterr);
        if (r >= 0)
                reserve_open(&s->reserve, config->writer_dir);
        if (r >= 0)
                r = open_state(s, reterr);
        if (r >= 0)
                r = open_log(s, reterr);
        if (r >= 0)
                r = recover_tail(s, reterr);
        if (r >= 0)
                r = record_recovery(s, reterr);
        if (r < 0)
                return r;
        r = commit_own(s, AUDIT_EVENT_OPENED, VIEW("{\"version\":\"" SAI_VERSION "\"}"));
        if (r < 0)
                return fault_set(reterr, r, "AUDIT-015", 0, "the first record can't be written");
        *ret = TAKE_PTR(s);
        return 0;
}

/* Best effort: whatever fails here, the records are on disk and the state knows them. */
static void seal(struct log_store *s) {
        if (!s->real_usec || s->now->last_checkpoint == s->now->chain.next_sequence - 1 || repair(s) < 0)
                return;
        batch_begin(s);
        if (batch_add_checkpoint(s) >= 0)
                (void)batch_write(s);
}

struct log_store *log_store_close(struct log_store *s) {
        if (!s)
                return NULL;
        seal(s);
        s->key = signing_key_free(s->key);
        close_fd(s->log_fd);
        close_fd(s->state_fd);
        close_fd(s->lock_fd);
        reserve_close(&s->reserve);
        secret_done(&s->now_pages);
        secret_done(&s->next_pages);
        buf_done(&s->batch);
        buf_done(&s->next_head);
        buf_done(&s->head);
        free(s);
        return NULL;
}
