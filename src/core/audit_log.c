#include "core/audit_log.h"

#include "base/clock.h"
#include "base/num.h"
#include "base/secret.h"
#include "base/text.h"
#include "wire/json.h"

#define KEY_CONTEXT "secai.audit-key/1\n"

/* Fixed parts around the two digests at the end of each line. */
#define PREV_PART ",\"prev\":\""
#define HASH_PART "\",\"hash\":\""
#define TAIL_PART "\"}"
#define HEX_SIZE  (SHA256_HEX_SIZE - 1)

int audit_chain_forward(struct audit_chain *c) {
        uint8_t text[sizeof KEY_CONTEXT - 1 + AUDIT_KEY_SIZE];
        struct sha256 next;
        int r;

        memcpy(text, KEY_CONTEXT, sizeof KEY_CONTEXT - 1);
        memcpy(text + sizeof KEY_CONTEXT - 1, c->key, AUDIT_KEY_SIZE);
        r = sha256_of(view_make(text, sizeof text), &next);
        wipe(text, sizeof text);
        if (r < 0)
                return r;
        memcpy(c->key, next.b, AUDIT_KEY_SIZE);
        wipe(&next, sizeof next);
        return 0;
}

static int chain_move(struct audit_chain *c, const struct sha256 *hash) {
        int r = audit_chain_forward(c);

        if (r < 0)
                return r;
        c->last = *hash;
        c->next_sequence++;
        return 0;
}

/* Everything up to the value of "prev", which JSON's writer leaves open for the digests. */
static int append_fields(const struct audit_chain *c, const struct audit_entry *e, uint64_t real_usec,
                         const char *boot_id, struct buf *out) {
        struct json_writer w = JSON_WRITER(out);
        char time[CLOCK_TEXT_SIZE];

        clock_format(real_usec, time);
        json_object_begin(&w);
        json_member_u64(&w, "sequence", c->next_sequence);
        json_member_string(&w, "time", time);
        json_member_string(&w, "boot", boot_id);
        json_member_view(&w, "caller", e->caller);
        json_member_view(&w, "event", e->event);
        json_member_view(&w, "decision", e->decision);
        json_key(&w, "rule");
        if (e->rule.p)
                json_put_view(&w, e->rule);
        else
                json_put_null(&w);
        json_member_view(&w, "subject", e->subject);
        json_key(&w, "detail");
        json_put_raw(&w, e->detail.n ? e->detail : VIEW("{}"));
        json_object_end(&w);
        return json_write_end(&w);
}

static int append_digest(struct buf *out, const char *part, const struct sha256 *d) {
        int r = buf_append_str(out, part);

        return r < 0 ? r : buf_append_hex(out, d->b, sizeof d->b);
}

static int append_line(struct audit_chain *c, const struct audit_entry *e, uint64_t real_usec,
                       const char *boot_id, struct buf *line) {
        struct sha256 hash;
        int r;

        r = append_fields(c, e, real_usec, boot_id, line);
        if (r < 0)
                return r;
        line->n--; /* the closing brace comes after the digests */
        r = append_digest(line, PREV_PART, &c->last);
        if (r < 0)
                return r;
        r = buf_append_char(line, '"'); /* the hash covers the line up to and without `,"hash":"` */
        if (r < 0)
                return r;
        r = hmac_sha256(view_make(c->key, sizeof c->key), buf_view(line), &hash);
        if (r < 0)
                return r;
        r = append_digest(line, &HASH_PART[1], &hash);
        if (r < 0)
                return r;
        r = buf_append_str(line, TAIL_PART "\n");
        return r < 0 ? r : chain_move(c, &hash);
}

int audit_line_append(struct audit_chain *c, const struct audit_entry *e, uint64_t real_usec,
                      const char *boot_id, struct buf *out) {
        _cleanup_(buf_donep) struct buf line = BUF_INIT(AUDIT_LINE_MAX);
        int r = buf_reserve(out, AUDIT_LINE_MAX);

        if (r < 0)
                return r;
        r = append_line(c, e, real_usec, boot_id, &line);
        return r < 0 ? r : buf_append_view(out, buf_view(&line));
}

static bool take_part(struct view *v, struct view part) {
        if (!view_starts(*v, part))
                return false;
        *v = view_sub(*v, part.n, SIZE_MAX);
        return true;
}

static bool take_digest(struct view *v, struct sha256 *ret) {
        if (v->n < HEX_SIZE || sha256_from_hex(view_sub(*v, 0, HEX_SIZE), ret) < 0)
                return false;
        *v = view_sub(*v, HEX_SIZE, SIZE_MAX);
        return true;
}

static bool parse_front(struct view v, struct audit_line *line) {
        struct view number;

        return take_part(&v, VIEW("{\"sequence\":")) && view_split(&v, ',', &number) &&
               u64_parse(number, UINT64_MAX, &line->sequence) >= 0 && take_part(&v, VIEW("\"time\":\"")) &&
               view_split(&v, '"', &line->time) && line->time.n < CLOCK_TEXT_SIZE &&
               take_part(&v, VIEW(",\"boot\":\""));
}

static bool parse_back(struct view v, struct audit_line *line) {
        const size_t n = sizeof PREV_PART - 1 + HEX_SIZE + sizeof HASH_PART - 1 + HEX_SIZE +
                         sizeof TAIL_PART - 1;
        struct view back;

        if (v.n < n)
                return false;
        back = view_sub(v, v.n - n, n);
        line->body = view_sub(v, 0, v.n - (HEX_SIZE + sizeof TAIL_PART - 1) - (sizeof HASH_PART - 2));
        return take_part(&back, VIEW(PREV_PART)) && take_digest(&back, &line->prev) &&
               take_part(&back, VIEW(HASH_PART)) && take_digest(&back, &line->hash) &&
               view_eq(back, VIEW(TAIL_PART));
}

int audit_line_parse(struct view text, struct audit_line *ret) {
        struct audit_line line = {0};

        if (text.n >= AUDIT_LINE_MAX || !parse_front(text, &line) || !parse_back(text, &line))
                return -EBADMSG;
        *ret = line;
        return 0;
}

static bool digest_eq(const struct sha256 *a, const struct sha256 *b) {
        return view_eq_constant_time(view_make(a->b, sizeof a->b), view_make(b->b, sizeof b->b));
}

int audit_chain_check(struct audit_chain *c, const struct audit_line *line) {
        struct sha256 hash;
        int r;

        if (line->sequence != c->next_sequence)
                return -ESTALE;
        if (!digest_eq(&line->prev, &c->last))
                return -EXDEV;
        r = hmac_sha256(view_make(c->key, sizeof c->key), line->body, &hash);
        if (r < 0)
                return r;
        if (!digest_eq(&line->hash, &hash))
                return -EKEYREJECTED;
        return chain_move(c, &hash);
}

bool audit_event_is_valid(struct view event) {
        if (event.n == 0 || event.n > 64 || event.p[0] < 'a' || event.p[0] > 'z')
                return false;
        for (size_t i = 0; i < event.n; i++) {
                char ch = event.p[i];

                if (!((ch >= 'a' && ch <= 'z') || (ch >= '0' && ch <= '9') || ch == '_'))
                        return false;
        }
        return true;
}

bool audit_decision_is_valid(struct view decision) {
        static const char *const known[] = {"allow", "deny", "ask", "info", "error"};

        for (size_t i = 0; i < ARRAY_SIZE(known); i++)
                if (view_eq_str(decision, known[i]))
                        return true;
        return false;
}
