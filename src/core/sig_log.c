#include "core/sig_log.h"

#include "base/num.h"
#include "base/text.h"

#define NOTE_LINES_MAX 16

const struct sig_log_key *sig_log_find(const struct sig_root *root, const struct sig_log_entry *e,
                                       struct fault *reterr) {
        for (size_t i = 0; i < root->n_logs; i++)
                if (view_eq(e->log_id, view_make(root->logs[i].id, sizeof root->logs[i].id)))
                        return &root->logs[i];
        (void)fault_set(reterr, -ENOKEY, "PROVENANCE-064", 0,
                        "the log of the entry is not in the pinned trusted root");
        return NULL;
}

/* Canonical JSON: members in this order, no space (RFC 8785). */
int sig_log_check_set(const struct sig_log_entry *e, const struct sig_log_key *log, struct fault *reterr) {
        _cleanup_(buf_donep) struct buf text = BUF_INIT(2 * SIG_LOG_BODY_MAX);
        int r = buf_append_str(&text, "{\"body\":\"");

        if (r >= 0)
                r = buf_append_view(&text, e->body_text); /* checked as base64: nothing to escape */
        if (r >= 0)
                r = buf_printf(&text, "\",\"integratedTime\":%llu,\"logID\":\"",
                               (unsigned long long)e->integrated_time);
        if (r >= 0)
                r = buf_append_hex(&text, e->log_id.p, e->log_id.n);
        if (r >= 0)
                r = buf_printf(&text, "\",\"logIndex\":%llu}", (unsigned long long)e->log_index);
        if (r >= 0)
                r = sig_key_verify(&log->key, buf_view(&text), e->set);
        if (r < 0)
                return fault_set(reterr, r, NULL, 0, "the log's promise could not be checked");
        return r == 1 ? 0
                      : fault_set(reterr, -EBADMSG, "PROVENANCE-053", 0,
                                  "the log has not signed this entry with this time and index");
}

static int hash_leaf(struct view body, struct sha256 *ret) {
        _cleanup_(digest_freep) struct digest *d = NULL;
        int r = digest_new(&d);

        if (r >= 0)
                r = digest_update(d, view_make("\0", 1));
        if (r >= 0)
                r = digest_update(d, body);
        return r < 0 ? r : digest_final(d, ret);
}

static int hash_node(const void *left, const void *right, struct sha256 *ret) {
        char both[1 + 2 * SHA256_SIZE] = {1};

        memcpy(both + 1, left, SHA256_SIZE);
        memcpy(both + 1 + SHA256_SIZE, right, SHA256_SIZE);
        return sha256_of(view_make(both, sizeof both), ret);
}

int sig_log_check_inclusion(struct view body, uint64_t index, uint64_t size, const struct view *path,
                            size_t n_path, struct view root, struct fault *reterr) {
        struct sha256 h;
        unsigned inner, border;
        int r;

        if (size == 0 || index >= size)
                return fault_set(reterr, -EBADMSG, "PROVENANCE-054", 0,
                                 "the entry's index lies beyond the log's size");
        inner = index == size - 1 ? 0 : 64U - (unsigned)__builtin_clzll(index ^ (size - 1));
        border = inner == 64 ? 0 : (unsigned)__builtin_popcountll(index >> inner);
        if (n_path != inner + border)
                return fault_set(reterr, -EBADMSG, "PROVENANCE-054", 0,
                                 "the proof has %zu hashes; %u belong to its index", n_path, inner + border);
        r = hash_leaf(body, &h);
        for (size_t i = 0; r >= 0 && i < n_path; i++) {
                bool sibling_is_right = i < inner && (index >> i & 1) == 0;

                r = sibling_is_right ? hash_node(h.b, path[i].p, &h) : hash_node(path[i].p, h.b, &h);
        }
        if (r < 0)
                return fault_set(reterr, r, NULL, 0, "the proof could not be computed");
        return view_eq(root, view_make(h.b, SHA256_SIZE))
                       ? 0
                       : fault_set(reterr, -EBADMSG, "PROVENANCE-055", 0,
                                   "the proof does not lead to the log's root");
}

static int bad_note(struct fault *f, const char *what) {
        return fault_set(f, -EBADMSG, "PROVENANCE-056", 0, "checkpoint: %s", what);
}

/* The first four bytes of a note signature. */
static int key_id(const struct sig_log_key *log, struct view name, uint8_t ret[4]) {
        struct sha256 h;
        int r;

        if (!log->is_ed25519)
                memcpy(ret, log->id_of_key, 4);
        else {
                _cleanup_(buf_donep) struct buf text = BUF_INIT(SIG_CHECKPOINT_MAX);

                r = buf_append_view(&text, name);
                if (r >= 0)
                        r = buf_append(&text, "\n\1", 2);
                if (r >= 0)
                        r = buf_append(&text, log->raw, sizeof log->raw);
                if (r >= 0)
                        r = sha256_of(buf_view(&text), &h);
                if (r < 0)
                        return r;
                memcpy(ret, h.b, 4);
        }
        return 0;
}

/* One line "— name base64". 1 = by this log, 0 = by somebody else, negative = malformed, or by this log and wrong. */
static int check_line(struct view line, struct view text, const struct sig_log_key *log, struct fault *f) {
        _cleanup_(buf_donep) struct buf raw = BUF_INIT(SIG_SIGNATURE_MAX);
        struct view name;
        uint8_t id[4];
        int r;

        if (!view_starts(line, VIEW("\xe2\x80\x94 ")))
                return bad_note(f, "a signature line is malformed");
        line = view_sub(line, 4, SIZE_MAX);
        if (!view_split(&line, ' ', &name) || name.n == 0 || base64_decode(line, &raw) < 0 || raw.n < 5)
                return bad_note(f, "a signature line is malformed");
        r = key_id(log, name, id);
        if (r < 0)
                return fault_set(f, r, NULL, 0, "out of memory");
        if (memcmp(raw.p, id, 4) != 0)
                return 0;
        r = sig_key_verify(&log->key, text, view_make(raw.p + 4, raw.n - 4));
        if (r < 0)
                return fault_set(f, r, NULL, 0, "the checkpoint could not be checked");
        return r == 1 ? 1 : bad_note(f, "the log's signature is wrong");
}

static int check_lines(struct view lines, struct view text, const struct sig_log_key *log, struct fault *f) {
        bool signed_by_log = false;
        struct view line;

        for (unsigned n = 0; lines.n > 0; n++) {
                int r;

                if (n == NOTE_LINES_MAX || !view_split(&lines, '\n', &line))
                        return bad_note(f, "too many signatures, or the last line does not end");
                r = check_line(line, text, log, f);
                if (r < 0)
                        return r;
                signed_by_log |= r == 1;
        }
        return signed_by_log ? 0 : bad_note(f, "the log itself has not signed it");
}

static int check_text(struct view text, uint64_t size, struct view root, struct fault *f) {
        _cleanup_(buf_donep) struct buf raw = BUF_INIT(64);
        struct view origin, size_text, root_text;
        uint64_t n;

        if (!view_split(&text, '\n', &origin) || origin.n == 0 || !view_split(&text, '\n', &size_text) ||
            !view_split(&text, '\n', &root_text) || u64_parse(size_text, INT64_MAX, &n) < 0 ||
            root_text.n != 44 || base64_decode(root_text, &raw) < 0)
                return bad_note(f, "expected origin, size and root");
        return n == size && view_eq(buf_view(&raw), root)
                       ? 0
                       : fault_set(f, -EBADMSG, "PROVENANCE-057", 0,
                                   "the checkpoint is about another size or root than the proof");
}

int sig_log_check_checkpoint(struct view note, uint64_t size, struct view root, const struct sig_log_key *log,
                             struct fault *reterr) {
        size_t end = view_find(note, VIEW("\n\n"));
        struct view text;
        int r;

        if (end == SIZE_MAX)
                return bad_note(reterr, "there is none, or it has no signature");
        text = view_sub(note, 0, end + 1);
        r = check_lines(view_sub(note, end + 2, SIZE_MAX), text, log, reterr);
        return r < 0 ? r : check_text(text, size, root, reterr);
}
