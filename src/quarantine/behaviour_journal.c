#include "quarantine/behaviour_journal.h"

#include "base/clock.h"
#include "base/file.h"
#include "base/text.h"
#include "wire/json.h"

#include <fcntl.h>

#define SCHEMA    "secai.behaviour-progress/1"
#define SYNC_USEC (UINT64_C(1) * USEC_PER_SEC) /* a power cut costs at most the answers of so long */

static const char *const ends[ANSWER_END_MAX] = {"none", "complete", "timed_out", "died"};

/* --- reading --- */

static bool is_head(const struct json *o, const char *artifact, const char *scanner,
                    struct variation_seed *seed) {
        struct variation_seed s = {{0}};
        uint64_t judge;

        if (!view_eq_str(json_get_view(o, "schema", VIEW_NULL), SCHEMA) ||
            !view_eq_str(json_get_view(o, "artifact", VIEW_NULL), artifact) ||
            !view_eq_str(json_get_view(o, "scanner", VIEW_NULL), scanner) ||
            json_get_u64(o, "judge", &judge) < 0 || judge != JUDGE_VERSION ||
            hex_decode(json_get_view(o, "seed", VIEW_NULL), s.b, sizeof s.b) < 0)
                return false;
        *seed = s;
        return true;
}

static size_t find_prompt(const struct prompt_set *set, struct view id) {
        for (size_t i = 0; i < set->n; i++)
                if (view_eq_str(id, set->list[i].id))
                        return i;
        return SIZE_MAX;
}

static bool read_grade(const struct json *o, struct graded *g) {
        struct view end = json_get_view(o, "end", VIEW_NULL), grade = json_get_view(o, "grade", VIEW_NULL);
        uint64_t risk;

        g->end = view_eq_str(end, ends[ANSWER_COMPLETE]) ? ANSWER_COMPLETE
                 : view_eq_str(end, ends[ANSWER_DIED])   ? ANSWER_DIED
                                                         : ANSWER_NONE;
        g->judgement.kind = judgement_from_name(grade);
        if (g->end == ANSWER_NONE || g->judgement.kind == JUDGEMENT_MAX ||
            json_get_u64(o, "risk", &risk) < 0 || risk > 100 ||
            json_get_bool(o, "only_thoughts", &g->only_thoughts) < 0 ||
            sha256_from_hex(json_get_view(o, "sha256", VIEW_NULL), &g->digest) < 0)
                return false;
        g->judgement.risk = (unsigned)risk;
        return true;
}

static int read_answer(const struct json *o, const struct prompt_set *set, struct graded *list) {
        size_t at = find_prompt(set, json_get_view(o, "prompt", VIEW_NULL));
        struct graded g = {0};

        if (at == SIZE_MAX || list[at].end != ANSWER_NONE || !read_grade(o, &g))
                return -EBADMSG;
        g.shown = view_dup(json_get_view(o, "shown", VIEW(""))); /* "" or NULL mean the same */
        list[at] = g;
        return 0;
}

struct replay {
        const char *artifact, *scanner;
        const struct prompt_set *set;
        struct variation_seed *seed;
        struct graded *list;
        bool has_head;
};

static int replay_line(struct replay *rp, struct view line) {
        _cleanup_(json_document_freep) struct json_document *doc = NULL;
        int r = json_parse(line, NULL, &doc, NULL);

        if (r < 0)
                return r;
        if (rp->has_head)
                return read_answer(json_root(doc), rp->set, rp->list);
        rp->has_head = is_head(json_root(doc), rp->artifact, rp->scanner, rp->seed);
        return rp->has_head ? 0 : -EBADMSG;
}

/* How many bytes from the start are good lines. */
static size_t replay(struct replay *rp, struct view text) {
        struct view rest = text, line;
        size_t good = 0;

        while (view_split(&rest, '\n', &line) && replay_line(rp, line) >= 0)
                good += line.n + 1;
        return good;
}

/* --- writing --- */

static int put_line(struct behaviour_journal *j, struct buf *line) {
        uint64_t now = clock_monotonic_usec();
        int r = buf_append_char(line, '\n');

        if (r >= 0)
                r = write_all(j->fd, line->p, line->n);
        if (r >= 0 && now - j->synced_usec >= SYNC_USEC) {
                r = fdatasync(j->fd) < 0 ? negative_errno() : 0;
                j->synced_usec = now;
        }
        return r;
}

static int put_head(struct behaviour_journal *j, const struct replay *rp) {
        _cleanup_(buf_donep) struct buf line = BUF_INIT(1024);
        struct json_writer w = JSON_WRITER(&line);
        char seed[2 * VARIATION_SEED_BYTES];
        int r;

        hex_encode(rp->seed->b, sizeof rp->seed->b, seed);
        json_object_begin(&w);
        json_member_string(&w, "schema", SCHEMA);
        json_member_string(&w, "artifact", rp->artifact);
        json_member_string(&w, "scanner", rp->scanner);
        json_member_u64(&w, "judge", JUDGE_VERSION);
        json_member_view(&w, "seed", view_make(seed, sizeof seed));
        json_object_end(&w);
        r = json_write_end(&w);
        return r < 0 ? r : put_line(j, &line);
}

void behaviour_journal_put(struct behaviour_journal *j, const struct prompt *p, const struct graded *g) {
        _cleanup_(buf_donep) struct buf line = BUF_INIT((size_t)16 << 10);
        struct json_writer w = JSON_WRITER(&line);
        char hex[SHA256_HEX_SIZE];

        if (j->fd < 0 || g->end == ANSWER_TIMED_OUT) /* a slow answer may be asked for again */
                return;
        sha256_hex(&g->digest, hex);
        json_object_begin(&w);
        json_member_string(&w, "prompt", p->id);
        json_member_string(&w, "end", ends[g->end]);
        json_member_string(&w, "grade", judgement_name(g->judgement.kind));
        json_member_u64(&w, "risk", g->judgement.risk);
        json_member_bool(&w, "only_thoughts", g->only_thoughts);
        json_member_string(&w, "sha256", hex);
        json_member_string(&w, "shown", g->shown ? g->shown : "");
        json_object_end(&w);
        if (json_write_end(&w) < 0 || put_line(j, &line) < 0)
                j->fd = close_fd(j->fd);
}

/* --- */

static int open_and_replay(int folder, struct replay *rp, struct behaviour_journal *j) {
        _cleanup_(buf_donep) struct buf text = BUF_INIT(BEHAVIOUR_JOURNAL_MAX);
        size_t good = 0;

        j->fd = open_beneath(folder, BEHAVIOUR_JOURNAL, O_RDWR | O_CREAT | O_APPEND, 0600);
        if (j->fd < 0)
                return j->fd;
        if (buf_read_file(&text, j->fd) >= 0)
                good = replay(rp, buf_view(&text));
        if (ftruncate(j->fd, (off_t)good) < 0)
                return negative_errno();
        return rp->has_head ? 0 : put_head(j, rp);
}

int behaviour_journal_open(int folder, const struct sha256 *artifact, const char *scanner,
                           const struct prompt_set *set, struct variation_seed *seed, struct graded *list,
                           struct behaviour_journal *ret) {
        char hex[SHA256_HEX_SIZE];
        struct replay rp = {.artifact = hex, .scanner = scanner, .set = set, .seed = seed, .list = list};
        int r;

        sha256_hex(artifact, hex);
        *ret = (struct behaviour_journal){.fd = -EBADF};
        r = open_and_replay(folder, &rp, ret);
        if (r < 0)
                behaviour_journal_done(ret);
        return r;
}

void behaviour_journal_done(struct behaviour_journal *j) {
        j->fd = close_fd(j->fd);
}

void behaviour_journal_remove(int folder) {
        (void)unlinkat(folder, BEHAVIOUR_JOURNAL, 0);
}
