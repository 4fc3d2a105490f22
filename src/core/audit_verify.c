#include "core/audit_verify.h"

#include <fcntl.h>
#include <stdarg.h>
#include <time.h>

#include "base/file.h"
#include "base/num.h"
#include "base/secret.h"
#include "core/audit_state.h"
#include "wire/json.h"

/* Codes of a broken log:
 *   key_missing, key_changed        verify.key or checkpoint.pub is not there or not a key
 *   state_missing, state_changed    the writer's state is not there, damaged, or not the chain's
 *   log_missing, file_missing       audit.log or a rotated file is not there
 *   log_empty, log_cut              no record at all; records at the end are gone
 *   record_torn, record_malformed   not a whole line; a line that is no record
 *   record_missing, record_repeated sequence jumps forward or back
 *   record_swapped, record_changed  follows another record than it says; hash is wrong
 *   record_foreign                  wrong hash behind the end that the writer knows
 *   checkpoint_wrong                signature, count or root of a checkpoint is wrong
 *   head_missing, head_changed      audit.head is not there or is not the log's
 *   rolled_back                     log and state are older than at the last verification */

#define VERIFY_READ_SIZE ((size_t)65536)

struct known_end {
        bool known;
        uint64_t sequence; /* of the record that has this hash */
        struct sha256 hash;
};

struct checker {
        struct audit_chain chain;
        struct audit_tree tree;
        struct audit_state state; /* as it was before the log was read */
        struct public_key *checkpoint_key;
        struct audit_checkpoint head;
        bool have_head;
        struct known_end remembered;
        struct audit_report *report;
        char file[sizeof((struct audit_report *)0)->file];
        uint64_t line;
};

/* From here on findings are about this file. */
static void at_file(struct checker *c, const char *name) {
        (void)snprintf(c->file, sizeof c->file, "%s", name);
        c->line = 0;
}

static int broken(struct checker *c, const char *code, uint64_t sequence, const char *format, ...)
        SAI_PRINTF(4, 5);

/* Notes the place and returns -EBADMSG, which ends the check. */
static int broken(struct checker *c, const char *code, uint64_t sequence, const char *format, ...) {
        struct audit_report *p = c->report;
        va_list ap;

        p->ok = false;
        p->code = code;
        p->line = c->line;
        p->sequence = sequence;
        (void)snprintf(p->file, sizeof p->file, "%s", c->file);
        va_start(ap, format);
        (void)vsnprintf(p->text, sizeof p->text, format, ap);
        va_end(ap);
        return -EBADMSG;
}

static int check_remembered(struct checker *c) {
        const struct known_end *e = &c->remembered;

        if (!e->known || e->sequence != c->chain.next_sequence - 1 ||
            memcmp(e->hash.b, c->chain.last.b, SHA256_SIZE) == 0)
                return 0;
        return broken(
                c, "rolled_back", e->sequence,
                "this record is another one than at the last verification: the log was put back to an older "
                "copy and written on");
}

/* The stored key must be the one that this point of the chain leads to. */
static int check_state(struct checker *c) {
        const struct audit_chain *s = &c->state.chain;

        if (s->next_sequence != c->chain.next_sequence)
                return 0;
        if (memcmp(s->last.b, c->chain.last.b, SHA256_SIZE) == 0 &&
            view_eq_constant_time(view_make(s->key, AUDIT_KEY_SIZE), view_make(c->chain.key, AUDIT_KEY_SIZE)))
                return 0;
        return broken(c, "state_changed", s->next_sequence,
                      "the writer's state does not belong to the record before sequence %llu",
                      (unsigned long long)s->next_sequence);
}

static int check_head(struct checker *c) {
        struct sha256 root;
        int r;

        if (!c->have_head || c->head.count != c->tree.count)
                return 0;
        r = audit_tree_root(&c->tree, &root);
        if (r < 0)
                return r;
        if (memcmp(root.b, c->head.root.b, SHA256_SIZE) == 0 &&
            memcmp(c->head.hash.b, c->chain.last.b, SHA256_SIZE) == 0)
                return 0;
        return broken(c, "head_changed", c->head.count,
                      "%s speaks of another log: the first %llu records differ", AUDIT_HEAD_NAME,
                      (unsigned long long)c->head.count);
}

/* `before`: the tree without this record, which is what the checkpoint signs. */
static int check_checkpoint(struct checker *c, const struct json *record, const struct audit_line *line) {
        _cleanup_(buf_donep) struct buf text = BUF_INIT(AUDIT_LINE_MAX);
        struct json_writer w = JSON_WRITER(&text);
        struct audit_checkpoint said;
        struct sha256 root;
        int r;

        json_put_value(&w, json_get(record, "detail"));
        r = json_write_end(&w);
        if (r >= 0)
                r = audit_checkpoint_read(buf_view(&text), c->checkpoint_key, &said);
        if (r == -EBADMSG || r == -EKEYREJECTED)
                return broken(c, "checkpoint_wrong", line->sequence,
                              "the checkpoint's signature is not valid");
        if (r >= 0)
                r = audit_tree_root(&c->tree, &root);
        if (r < 0)
                return r;
        if (said.count != c->tree.count || memcmp(said.root.b, root.b, SHA256_SIZE) != 0 ||
            memcmp(said.hash.b, line->prev.b, SHA256_SIZE) != 0)
                return broken(c, "checkpoint_wrong", line->sequence,
                              "the checkpoint signs other records than the ones before it");
        c->report->checkpoints++;
        return 0;
}

/* Records of the log about itself; the line's hash has been found right. */
static int check_own_record(struct checker *c, struct view text, const struct audit_line *line) {
        _cleanup_(json_document_freep) struct json_document *d = NULL;
        const struct json *o;
        struct view event;
        int r = json_parse(text, NULL, &d, NULL);

        if (r == -ENOMEM)
                return r;
        if (r < 0)
                return broken(c, "record_malformed", line->sequence, "the line is not valid JSON");
        o = json_root(d);
        if (!view_eq_str(json_get_view(o, "caller", VIEW_NULL), AUDIT_OWN_CALLER))
                return 0;
        event = json_get_view(o, "event", VIEW_NULL);
        if (view_eq_str(event, AUDIT_EVENT_RECOVERED))
                c->report->recoveries++;
        return view_eq_str(event, AUDIT_EVENT_CHECKPOINT) ? check_checkpoint(c, o, line) : 0;
}

static int explain_rejection(struct checker *c, const struct audit_line *line, int error) {
        uint64_t expected = c->chain.next_sequence;

        if (error == -ESTALE && line->sequence > expected)
                return broken(c, "record_missing", expected,
                              "records %llu to %llu are missing before this line",
                              (unsigned long long)expected, (unsigned long long)(line->sequence - 1));
        if (error == -ESTALE)
                return broken(c, "record_repeated", line->sequence,
                              "record %llu stands here again; record %llu was expected",
                              (unsigned long long)line->sequence, (unsigned long long)expected);
        if (expected >= c->state.chain.next_sequence)
                return broken(
                        c, "record_foreign", line->sequence,
                        "the line was not written by the audit service (it stands behind the writer's end)");
        if (error == -EXDEV)
                return broken(c, "record_swapped", line->sequence,
                              "the record does not follow the one before it");
        return broken(c, "record_changed", line->sequence, "the record was changed after it was written");
}

static void note_record(struct checker *c, const struct audit_line *line) {
        struct audit_report *p = c->report;

        (void)snprintf(p->last_time, sizeof p->last_time, "%.*s", VIEW_ARG(line->time));
        if (p->records++ == 0)
                (void)snprintf(p->first_time, sizeof p->first_time, "%s", p->last_time);
        p->head = c->chain.last;
}

static int check_line(struct checker *c, struct view text) {
        struct audit_line line;
        int r;

        c->line++;
        if (audit_line_parse(text, &line) < 0)
                return broken(c, "record_malformed", c->chain.next_sequence,
                              "the line has not the form of a record; record %llu was expected",
                              (unsigned long long)c->chain.next_sequence);
        r = audit_chain_check(&c->chain, &line);
        if (r == -ESTALE || r == -EXDEV || r == -EKEYREJECTED)
                return explain_rejection(c, &line, r);
        if (r >= 0 && view_find(text, VIEW("\"caller\":\"" AUDIT_OWN_CALLER "\"")) != SIZE_MAX)
                r = check_own_record(c, text, &line);
        if (r >= 0)
                r = audit_tree_add(&c->tree, text);
        if (r >= 0)
                r = check_state(c);
        if (r >= 0)
                r = check_head(c);
        if (r >= 0)
                r = check_remembered(c);
        if (r >= 0)
                note_record(c, &line);
        return r;
}

/* Checks the whole lines in `pending` and drops them from it. */
static int check_pending(struct checker *c, struct buf *pending) {
        struct view rest = buf_view(pending), line;
        int r;

        while (view_split(&rest, '\n', &line)) {
                r = check_line(c, line);
                if (r < 0)
                        return r;
        }
        if (rest.n >= AUDIT_LINE_MAX) {
                c->line++;
                return broken(c, "record_malformed", c->chain.next_sequence,
                              "the line is longer than any record");
        }
        if (rest.n)
                memmove(pending->p, rest.p, rest.n);
        pending->n = rest.n;
        return 0;
}

static int check_file(struct checker *c, int fd, const char *name, bool is_last) {
        _cleanup_(buf_donep) struct buf pending = BUF_INIT(AUDIT_LINE_MAX + VERIFY_READ_SIZE);
        ssize_t got;
        int r;

        at_file(c, name);
        c->report->files++;
        for (;;) {
                r = buf_reserve(&pending, VERIFY_READ_SIZE);
                if (r < 0)
                        return r;
                got = read(fd, pending.p + pending.n, VERIFY_READ_SIZE);
                if (got < 0 && errno == EINTR)
                        continue;
                if (got < 0)
                        return negative_errno();
                if (got == 0)
                        break;
                pending.n += (size_t)got;
                r = check_pending(c, &pending);
                if (r < 0)
                        return r;
        }
        if (pending.n == 0)
                return 0;
        if (!is_last || c->chain.next_sequence < c->state.chain.next_sequence) {
                c->line++;
                return broken(c, "record_torn", c->chain.next_sequence, "record %llu has no end",
                              (unsigned long long)c->chain.next_sequence);
        }
        c->report->torn_bytes = pending.n;
        return 0;
}

static int open_log(int log_dir, const char *name) {
        return open_beneath(log_dir, name, O_RDONLY | O_NONBLOCK, 0);
}

static int check_rotated(struct checker *c, int log_dir, uint64_t number, bool must) {
        _cleanup_(closep) int fd = -EBADF;
        char name[sizeof c->report->file];

        (void)snprintf(name, sizeof name, AUDIT_FILE_NAME ".%06llu", (unsigned long long)number);
        fd = open_log(log_dir, name);
        if (fd == -ENOENT && !must)
                return fd;
        if (fd == -ENOENT) {
                at_file(c, name);
                return broken(c, "file_missing", c->chain.next_sequence,
                              "the rotated file is missing; it begins with record %llu",
                              (unsigned long long)c->chain.next_sequence);
        }
        return fd < 0 ? fd : check_file(c, fd, name, false);
}

/* The writer may rotate while this runs: the descriptor of audit.log is opened first, and only when the file that it
 * would be renamed to is not there yet is it known to be the next one of the chain. */
static int check_files(struct checker *c, int log_dir) {
        uint64_t number = 1;
        int r;

        for (; number <= c->state.rotated; number++) {
                r = check_rotated(c, log_dir, number, true);
                if (r < 0)
                        return r;
        }
        for (;; number++) {
                _cleanup_(closep) int fd = open_log(log_dir, AUDIT_FILE_NAME);

                if (fd < 0 && fd != -ENOENT)
                        return fd;
                r = check_rotated(c, log_dir, number, false);
                if (r == -ENOENT && fd >= 0)
                        return check_file(c, fd, AUDIT_FILE_NAME, true);
                if (r == -ENOENT)
                        break;
                if (r < 0)
                        return r;
        }
        at_file(c, AUDIT_FILE_NAME);
        if (number > c->state.rotated + 1)
                return 0; /* stopped between rename and create; the next start goes on from there */
        return broken(c, "log_missing", c->chain.next_sequence, "the log file is missing");
}

/* What the log's end must at least reach. */
static int check_end(struct checker *c) {
        uint64_t end = c->chain.next_sequence, wanted = c->state.chain.next_sequence;

        if (end < wanted)
                return broken(
                        c, c->report->records ? "log_cut" : "log_empty", end,
                        "the log ends before record %llu; records %llu to %llu were written and are gone",
                        (unsigned long long)end, (unsigned long long)end, (unsigned long long)(wanted - 1));
        if (c->have_head && c->head.count >= end)
                return broken(c, "log_cut", end, "the log ends before record %llu, but %s knows %llu records",
                              (unsigned long long)end, AUDIT_HEAD_NAME, (unsigned long long)c->head.count);
        if (c->remembered.known && c->remembered.sequence >= end)
                return broken(
                        c, "rolled_back", end,
                        "the log ends at record %llu, but the last verification saw record %llu: everything "
                        "was put back to an older copy",
                        (unsigned long long)(end - 1), (unsigned long long)c->remembered.sequence);
        if (c->report->records == 0)
                return broken(c, "log_empty", 1, "the log has no record: the audit service has never run");
        if (!c->have_head && c->report->checkpoints > 1) {
                at_file(c, AUDIT_HEAD_NAME);
                return broken(c, "head_missing", 0, "%s is missing", AUDIT_HEAD_NAME);
        }
        return 0;
}

static int load_verify_key(struct checker *c, int state_dir) {
        _cleanup_(closep) int fd = open_beneath(state_dir, AUDIT_VERIFY_KEY_NAME, O_RDONLY | O_NONBLOCK, 0);
        int r;

        at_file(c, AUDIT_VERIFY_KEY_NAME);
        if (fd == -ENOENT)
                return broken(c, "key_missing", 0,
                              "the verification key is missing; without it nothing can be checked");
        if (fd < 0)
                return fd;
        r = pread_all(fd, c->chain.key, AUDIT_KEY_SIZE, 0);
        if (r == -EIO)
                return broken(c, "key_changed", 0, "the verification key is too short");
        c->chain.next_sequence = 1;
        return r;
}

static int load_checkpoint_key(struct checker *c, int state_dir) {
        _cleanup_(buf_donep) struct buf pem = BUF_INIT(4096);
        int r = read_file_beneath(state_dir, AUDIT_CHECKPOINT_PUBLIC, 4096, &pem);

        at_file(c, AUDIT_CHECKPOINT_PUBLIC);
        if (r == -ENOENT)
                return broken(c, "key_missing", 0, "the checkpoints' public key is missing");
        if (r < 0)
                return r;
        r = public_key_from_pem(buf_view(&pem), &c->checkpoint_key, NULL);
        return r >= 0 || r == -ENOMEM
                       ? r
                       : broken(c, "key_changed", 0, "the checkpoints' public key is not a key");
}

/* A reader beside a running writer can meet a slot that is being written: the other one may be wiped already. */
static int read_state_patiently(int fd, struct audit_state *ret) {
        int r = -EUCLEAN;

        for (unsigned tries = 0; tries < 5 && r == -EUCLEAN; tries++) {
                if (tries)
                        (void)nanosleep(&(struct timespec){.tv_nsec = 2000000}, NULL);
                r = audit_state_read(fd, ret);
        }
        return r;
}

static int load_state(struct checker *c, int state_dir) {
        _cleanup_(closep) int fd = open_beneath(state_dir, AUDIT_WRITER_DIR_NAME "/" AUDIT_STATE_NAME,
                                                O_RDONLY | O_NONBLOCK, 0);
        int r;

        at_file(c, AUDIT_WRITER_DIR_NAME "/" AUDIT_STATE_NAME);
        if (fd == -ENOENT)
                return broken(c, "state_missing", 0, "the writer's state is missing");
        if (fd < 0)
                return fd;
        r = read_state_patiently(fd, &c->state);
        if (r >= 0) {
                c->report->known_sequence = c->state.chain.next_sequence - 1;
                c->report->known_hash = c->state.chain.last;
        }
        return r == -EUCLEAN ? broken(c, "state_changed", 0, "the writer's state is damaged") : r;
}

static int load_head(struct checker *c, int log_dir) {
        _cleanup_(buf_donep) struct buf text = BUF_INIT(4096);
        int r = read_file_beneath(log_dir, AUDIT_HEAD_NAME, 4096, &text);

        at_file(c, AUDIT_HEAD_NAME);
        if (r == -ENOENT)
                return 0;
        if (r >= 0)
                r = audit_checkpoint_read(buf_view(&text), c->checkpoint_key, &c->head);
        if (r == -EBADMSG || r == -EKEYREJECTED || r == -EFBIG)
                return broken(c, "head_changed", 0, "the signature of %s is not valid", AUDIT_HEAD_NAME);
        c->have_head = r >= 0;
        return r;
}

static int load_remembered(struct checker *c, int state_dir) {
        _cleanup_(buf_donep) struct buf text = BUF_INIT(4096);
        _cleanup_(json_document_freep) struct json_document *d = NULL;
        struct known_end e = {.known = true};
        int r = read_file_beneath(state_dir, AUDIT_REMEMBERED_NAME, 4096, &text);

        if (r == -ENOENT)
                return 0;
        at_file(c, AUDIT_REMEMBERED_NAME);
        if (r >= 0)
                r = json_parse(buf_view(&text), NULL, &d, NULL);
        if (r == -EBADMSG || r == -E2BIG || r == -EFBIG ||
            (r >= 0 && (json_get_u64(json_root(d), "sequence", &e.sequence) < 0 ||
                        sha256_from_hex(json_get_view(json_root(d), "hash", VIEW_NULL), &e.hash) < 0)))
                return broken(c, "rolled_back", 0, "what the last verification saw can't be read any more");
        if (r >= 0)
                c->remembered = e;
        return r;
}

static int run_checks(struct checker *c, int log_dir, int state_dir) {
        int r = load_verify_key(c, state_dir);

        if (r >= 0)
                r = load_checkpoint_key(c, state_dir);
        if (r >= 0)
                r = load_state(c, state_dir);
        if (r >= 0)
                r = load_head(c, log_dir);
        if (r >= 0)
                r = load_remembered(c, state_dir);
        if (r >= 0)
                r = check_state(c); /* when no record has been written yet */
        if (r >= 0)
                r = check_files(c, log_dir);
        return r < 0 ? r : check_end(c);
}

int audit_verify(int log_dir, int state_dir, struct audit_report *ret) {
        struct audit_report report = {.ok = true, .code = "ok"};
        struct checker c = {.report = &report};
        int r = run_checks(&c, log_dir, state_dir);

        c.checkpoint_key = public_key_free(c.checkpoint_key);
        wipe(&c, sizeof c);
        if (r < 0 && !(r == -EBADMSG && !report.ok))
                return r;
        *ret = report;
        return 0;
}

int audit_verify_remember(int state_dir, const struct audit_report *report) {
        _cleanup_(buf_donep) struct buf text = BUF_INIT(4096);
        char hash[SHA256_HEX_SIZE];
        int r;

        if (!report->ok)
                return -EINVAL;
        sha256_hex(&report->known_hash, hash);
        r = buf_printf(&text, "{\"sequence\":%llu,\"hash\":\"%s\"}\n", (unsigned long long)report->records,
                       hash);
        return r < 0 ? r : replace_file(state_dir, AUDIT_REMEMBERED_NAME, buf_view(&text), 0600);
}
