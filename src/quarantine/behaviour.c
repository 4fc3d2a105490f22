#include "quarantine/behaviour.h"

#include "base/clock.h"
#include "base/secret.h"
#include "quarantine/behaviour_journal.h"
#include "quarantine/behaviour_report.h"
#include "quarantine/job_documents.h"
#include "quarantine/llama_session.h"
#include "quarantine/score.h"

#include <signal.h>
#include <sys/sysinfo.h>
#include <sys/wait.h>

#define THINKING_TIME 4 /* times the time for an answer, when the model thinks first */

struct test {
        const struct behaviour *b;
        const struct policy *policy;
        const struct artifact *artifact;
        const struct model_summary *summary;
        const struct behaviour_keep *keep;
        const struct behaviour_watch *watch;
        struct stage *stage;
        struct llama_session session;
        struct variation_seed seed;
        struct behaviour_journal journal;
        struct graded *list; /* a prompt each */
        unsigned done, timeouts, crashes;
        bool thinks;
        uint64_t deadline_usec;
};

static bool test_goes_on(void *userdata) {
        struct test *t = userdata;

        return !t->watch || !t->watch->progress ||
               t->watch->progress(t->done, (unsigned)t->b->prompts->n, t->watch->userdata);
}

static int not_run(struct stage *s, const char *rule, const char *text) {
        int r = stage_say(s, STAGE_BEHAVIOUR, FINDING_WARNING, rule, "%s", text);

        s->status = STAGE_NOT_RUN;
        return r;
}

/* --- grading --- */

static struct judge_question question_of(const struct prompt *p, const struct asked *asked) {
        static const enum judge_task tasks[PROMPT_EXPECT_MAX] = {
                [PROMPT_REFUSE] = JUDGE_HARMFUL,
                [PROMPT_KEEP] = JUDGE_SECRET,
                [PROMPT_IGNORE] = JUDGE_INJECTED,
                [PROMPT_ANSWER] = JUDGE_HARMLESS,
        };

        return (struct judge_question){
                .task = tasks[p->expect],
                .prompt = buf_view(asked->goal.n > 0 ? &asked->goal : &asked->text),
                .canary = view_of(asked->canary),
        };
}

static int grade(const struct prompt *p, const struct asked *asked, const struct llama_answer *a,
                 struct graded *g) {
        struct judge_question q = question_of(p, asked);
        _cleanup_(buf_donep) struct buf shown = BUF_INIT(8 * ANSWER_SHOWN_BYTES);
        int r;

        g->end = a->end == LLAMA_TIMED_OUT ? ANSWER_TIMED_OUT : ANSWER_COMPLETE;
        g->judgement = judge_answer(&q, buf_view(&a->text));
        g->only_thoughts = g->judgement.kind == JUDGE_EMPTY &&
                           (a->thought || judge_is_thought(buf_view(&a->text)));
        if (g->only_thoughts)
                g->judgement.kind = JUDGE_OTHER;
        r = sha256_of(buf_view(&a->text), &g->digest);
        if (r >= 0)
                r = buf_append_escaped(&shown, buf_view(&a->text), ANSWER_SHOWN_BYTES);
        if (r < 0)
                return r;
        g->shown = strdup(buf_str(&shown));
        return g->shown ? 0 : -ENOMEM;
}

/* --- the server --- */

static unsigned context_of(const struct model_summary *summary) {
        uint64_t n = summary->context_length ? summary->context_length : BEHAVIOUR_CONTEXT;

        return (unsigned)MAX_OF(MIN_OF(n, (uint64_t)BEHAVIOUR_CONTEXT), (uint64_t)128);
}

static struct llama_start start_of(struct test *t, int fd, uint64_t size) {
        return (struct llama_start){
                .launcher = t->b->launcher,
                .model_fd = fd,
                .model_size = size,
                .context = context_of(t->summary),
                .threads = t->b->threads,
                .timeout_usec = BEHAVIOUR_START_USEC + size / 50, /* 50 MB/s */
                .go_on = test_goes_on,
                .userdata = t,
        };
}

/* A model that is known to load: tells a machine on which no sealed worker can run from a model that can't be loaded. */
static bool machine_can_run_models(struct test *t) {
        _cleanup_(llama_session_donep) struct llama_session s = {.worker.pid_fd = -EBADF};
        struct llama_start start = start_of(t, t->b->known_fd, t->b->known_size);
        int status;

        return t->b->known_fd >= 0 && llama_session_start(&start, &s, &status) == 0;
}

/* bwrap passes on a signal as exit code 128 + signal. The kernel kills so when memory runs out. */
static bool was_killed(int status) {
        return (WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL) ||
               (WIFEXITED(status) && WEXITSTATUS(status) == 128 + SIGKILL);
}

static int ended_while_loading(struct test *t, int status) {
        int r;

        if (was_killed(status))
                return not_run(t->stage, "BEHAVIOUR-102",
                               "llama-server was killed while loading: too little memory on this machine");
        if (!machine_can_run_models(t))
                return not_run(t->stage, "BEHAVIOUR-105",
                               "llama-server does not run on this machine, not even with the demo model; see "
                               "the service's log");
        r = stage_say(t->stage, STAGE_BEHAVIOUR, FINDING_REJECT, "BEHAVIOUR-001",
                      WIFSIGNALED(status) ? "llama-server died of signal %d while loading the model"
                                          : "llama-server refused to load the model (exit code %d)",
                      WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
        stage_settle(t->stage);
        return r;
}

static unsigned part_descriptors(const struct artifact *a, int fds[LAUNCHER_FDS_MAX]) {
        unsigned n = 0;

        for (; n < a->n_members && n < LAUNCHER_FDS_MAX; n++)
                fds[n] = a->members[n].fd;
        return n;
}

/* 1 = runs, 0 = the stage has its result already, negative = error. */
static int start_server(struct test *t) {
        struct llama_start start = start_of(t, t->artifact->fd, t->artifact->size);
        int parts[LAUNCHER_FDS_MAX], status = 0, r;

        start.part_fds = parts;
        start.n_parts = part_descriptors(t->artifact, parts);
        r = llama_session_start(&start, &t->session, &status);
        switch (r) {
        case 0:
                return 1;
        case -ENOENT:
                return not_run(t->stage, "BEHAVIOUR-101",
                               "the sealed worker root with llama-server is missing; `make setup` makes it");
        case -ETIMEDOUT:
                return not_run(
                        t->stage, "BEHAVIOUR-103",
                        "the model was not loaded in time on this machine; try again when it is less busy");
        case -ECHILD:
                return ended_while_loading(t, status);
        default:
                return r;
        }
}

/* --- asking --- */

static int ask_once(struct test *t, const struct asked *asked, bool thinking, struct llama_answer *a) {
        struct llama_question q = {
                .system = asked->system.n > 0 ? buf_view(&asked->system) : VIEW_NULL,
                .prompt = buf_view(&asked->text),
                .tokens = thinking ? ANSWER_TOKENS_THINKING : ANSWER_TOKENS_MAX,
                .timeout_usec = t->policy->prompt_usec * (thinking ? THINKING_TIME : 1),
                .quiet_usec = BEHAVIOUR_QUIET_USEC,
                .go_on = test_goes_on,
                .userdata = t,
        };

        llama_answer_donep(a);
        *a = (struct llama_answer){.text = BUF_INIT(ANSWER_BYTES_MAX)};
        return llama_session_ask(&t->session, &q, a);
}

static bool is_only_thought(const struct llama_answer *a) {
        return (a->end == LLAMA_COMPLETE || a->end == LLAMA_TIMED_OUT) &&
               ((a->text.n == 0 && a->thought) || judge_is_thought(buf_view(&a->text)));
}

/* A model that was still thinking when its words were up gets more of them, once. */
static int ask(struct test *t, const struct asked *asked, struct llama_answer *a) {
        int r = ask_once(t, asked, t->thinks, a);

        if (r >= 0 && !t->thinks && is_only_thought(a))
                r = ask_once(t, asked, true, a);
        return r;
}

/* Whether it thinks shows at the first word, so that not every prompt has to be asked twice. */
static int find_out_whether_it_thinks(struct test *t) {
        _cleanup_(asked_donep) struct asked hello = ASKED_INIT;
        _cleanup_(llama_answer_donep) struct llama_answer a = {0};
        int r = buf_append_str(&hello.text, "Hello!");

        if (r >= 0)
                r = ask_once(t, &hello, false, &a);
        t->thinks = r >= 0 && is_only_thought(&a);
        return r;
}

/* 1 = next prompt, 0 = the stage has its result, negative = error. */
static int after_crash(struct test *t) {
        t->crashes++;
        if (t->crashes > t->policy->crashes)
                return 0;
        llama_session_done(&t->session);
        return start_server(t);
}

static int run_prompt(struct test *t, size_t at) {
        const struct prompt *p = &t->b->prompts->list[at];
        struct graded *g = &t->list[at];
        _cleanup_(asked_donep) struct asked asked = ASKED_INIT;
        _cleanup_(llama_answer_donep) struct llama_answer a = {0};
        int r;

        r = variation_fill(t->b->prompts, p, &t->seed, &asked);
        if (r >= 0)
                r = ask(t, &asked, &a);
        if (r < 0)
                return r;
        if (a.end == LLAMA_DIED) {
                g->end = ANSWER_DIED;
                g->judgement.kind = JUDGE_EMPTY;
        } else
                r = grade(p, &asked, &a, g);
        if (r < 0)
                return r;
        behaviour_journal_put(&t->journal, p, g);
        t->done++;
        t->timeouts += g->end == ANSWER_TIMED_OUT;
        return g->end == ANSWER_DIED ? after_crash(t) : 1;
}

static int run_in_order(struct test *t, const unsigned *order) {
        for (size_t i = 0; i < t->b->prompts->n; i++) {
                int r;

                if (t->list[order[i]].end != ANSWER_NONE)
                        continue; /* answered before a restart */
                if (t->timeouts > t->policy->timeouts || clock_monotonic_usec() > t->deadline_usec)
                        break;
                r = run_prompt(t, order[i]);
                if (r <= 0)
                        return r;
        }
        return 0;
}

static int run_prompts(struct test *t) {
        _cleanup_(freep) unsigned *order = calloc(t->b->prompts->n + 1, sizeof *order);
        int r;

        if (!order)
                return -ENOMEM;
        r = variation_order(&t->seed, t->b->prompts->n, order);
        return r < 0 ? r : run_in_order(t, order);
}

/* --- the result --- */

static int write_report(struct test *t, const struct scores *scores) {
        _cleanup_(buf_donep) struct buf text = BUF_INIT(BEHAVIOUR_REPORT_MAX);
        struct behaviour_report report = {
                .artifact = t->keep->artifact,
                .artifact_size = t->artifact->size,
                .policy = t->policy,
                .set = t->b->prompts,
                .seed = &t->seed,
                .list = t->list,
                .scores = scores,
                .status = t->stage->status,
        };
        struct sha256 digest;
        int r;

        r = behaviour_report_write(&report, &text);
        return r < 0 ? r : document_write(t->keep->folder, DOCUMENT_BEHAVIOUR, buf_view(&text), &digest);
}

/* Not all was asked, or too many answers were cut by the clock: no pass, and nothing held against the model. */
static int conclude(struct test *t) {
        _cleanup_(freep) struct scores *scores = calloc(1, sizeof *scores);
        int r;

        if (!scores)
                return -ENOMEM;
        scores_count(t->b->prompts, t->list, scores);
        if (scores->timeouts > t->policy->timeouts ||
            (scores->asked < t->b->prompts->n && scores->crashes <= t->policy->crashes))
                return not_run(t->stage, "BEHAVIOUR-104",
                               "not finished: this machine was too slow for the answers; nothing is held "
                               "against the model");
        r = score_tell_answers(t->b->prompts, t->list, t->stage);
        if (r >= 0)
                r = score_conclude(t->policy, t->b->prompts, scores, t->stage);
        return r < 0 || !t->keep ? r : write_report(t, scores);
}

static bool fits_memory(uint64_t size) {
        struct sysinfo info;

        if (sysinfo(&info) < 0)
                return true;
        return size < (uint64_t)info.totalram * info.mem_unit / 10 * 9;
}

static void count_kept(struct test *t) {
        for (size_t i = 0; i < t->b->prompts->n; i++) {
                t->done += t->list[i].end != ANSWER_NONE;
                t->crashes += t->list[i].end == ANSWER_DIED;
        }
}

/* The seed, and the answers of a test that was cut off. */
static int prepare(struct test *t) {
        int r = 0;

        t->list = graded_new(t->b->prompts->n);
        if (!t->list)
                return -ENOMEM;
        if (t->b->seed)
                t->seed = *t->b->seed;
        else
                r = random_bytes(t->seed.b, sizeof t->seed.b);
        if (r < 0 || !t->keep)
                return r;
        if (behaviour_journal_open(t->keep->folder, t->keep->artifact, t->keep->scanner, t->b->prompts,
                                   &t->seed, t->list, &t->journal) < 0)
                return 0; /* a full disk: then a restart begins anew */
        count_kept(t);
        return 0;
}

static int run_test(struct test *t) {
        int r = prepare(t);

        if (r >= 0 && t->crashes <= t->policy->crashes) {
                r = start_server(t);
                if (r <= 0)
                        return r;
                r = find_out_whether_it_thinks(t);
                if (r >= 0)
                        r = run_prompts(t);
                llama_session_done(&t->session);
        }
        return r < 0 ? r : conclude(t);
}

static void test_done(struct test *t, bool is_settled) {
        llama_session_done(&t->session);
        behaviour_journal_done(&t->journal);
        if (t->keep && is_settled)
                behaviour_journal_remove(t->keep->folder);
        graded_free(t->list, t->b->prompts->n);
}

int behaviour_test(const struct behaviour *b, const struct policy *p, const struct artifact *a,
                   const struct model_summary *summary, const struct behaviour_watch *watch,
                   struct stage *s) {
        struct test t = {.b = b,
                         .policy = p,
                         .artifact = a,
                         .summary = summary,
                         .keep = watch ? watch->keep : NULL,
                         .watch = watch,
                         .stage = s,
                         .session.worker.pid_fd = -EBADF,
                         .journal.fd = -EBADF};
        uint64_t start = clock_monotonic_usec();
        int r;

        if (summary->kind != MODEL_KIND_GGUF && a->n_members == 0) {
                s->status = STAGE_NOT_APPLICABLE;
                return stage_say(
                        s, STAGE_BEHAVIOUR, FINDING_INFO, "BEHAVIOUR-100",
                        "weights alone, without tokenizer and configuration, can't answer questions");
        }
        if (!b->has_worker_root)
                return not_run(s, "BEHAVIOUR-101",
                               "the sealed worker root with llama-server is missing; `make setup` makes it");
        if (!fits_memory(a->size))
                return not_run(s, "BEHAVIOUR-102",
                               "the model is larger than this machine's memory; it can't be tried here");
        t.deadline_usec = start + BEHAVIOUR_TOTAL_USEC;
        r = run_test(&t);
        test_done(&t, r >= 0 && s->status != STAGE_NOT_RUN);
        s->msec = (clock_monotonic_usec() - start) / USEC_PER_MSEC;
        return r;
}
