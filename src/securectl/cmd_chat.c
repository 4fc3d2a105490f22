/* securectl chat: talks to a model, one question or a conversation. */
#include <signal.h>

#include "base/clock.h"
#include "base/num.h"
#include "securectl/chat_stream.h"
#include "securectl/command.h"
#include "securectl/link.h"
#include "securectl/options.h"
#include "securectl/show.h"
#include "securectl/terminal.h"

static const struct command_help help = {
        .usage = "chat [OPTION…] [TEXT…]",
        .text = "With TEXT, or with text on standard input that is no terminal: one question, and the answer "
                "is printed\n"
                "as it comes. Without: a conversation; /new starts another, /quit or the end of input "
                "leaves, Ctrl-C\n"
                "stops an answer. Nothing of it is stored.",
        .least = 0,
        .most = 10000,
};

struct chat {
        struct common common;
        char *model;                 /* that was chosen because none was given */
        struct chat_request request; /* options; messages are filled in for each question */
        struct link *inference;
        struct buf history;
};

static volatile sig_atomic_t interrupted;

static void on_interrupt(int number) {
        interrupted = 1;
}

static void catch_interrupt(void) {
        const struct sigaction action = {.sa_handler = on_interrupt};

        (void)sigaction(SIGINT, &action, NULL);
}

/* A model's text: its lines and tabs stay, everything that moves a terminal is made visible. */
static int print_piece(struct view content) {
        _cleanup_(buf_donep) struct buf text = BUF_INIT(8 * CHAT_EVENT_MAX);
        int r = show_lines(&text, content);

        if (r >= 0)
                terminal_print(&text);
        (void)fflush(stdout);
        return r;
}

static int take_delta(const struct chat_delta *d, struct buf *answer) {
        int r;

        if (d->error.p) {
                _cleanup_(buf_donep) struct buf text = BUF_INIT(OUTPUT_LINE_MAX);

                if (show_text(&text, d->error) >= 0)
                        complain("inference: %s", buf_str(&text));
                return -EREMOTEIO;
        }
        if (d->is_end || d->content.n == 0)
                return d->is_end ? 0 : 1;
        r = buf_append_view(answer, d->content);
        if (r >= 0)
                r = print_piece(d->content);
        return r < 0 ? r : 1;
}

/* Events that have arrived whole: 1 more to come, 0 end. */
static int take_events(struct sse_reader *reader, struct buf *answer) {
        _cleanup_(buf_donep) struct buf event = BUF_INIT(256), data = BUF_INIT(CHAT_EVENT_MAX);
        int r;

        while ((r = sse_next(reader, &event, &data)) > 0) {
                _cleanup_(chat_delta_donep) struct chat_delta d = {0};

                r = chat_read_event(buf_view(&data), &d);
                if (r >= 0)
                        r = take_delta(&d, answer);
                if (r <= 0)
                        return r;
        }
        return r < 0 ? r : 1;
}

static int read_stream(struct http_incoming *in, struct buf *answer) {
        struct sse_reader reader = {.pending = BUF_INIT(CHAT_EVENT_MAX)};
        uint64_t deadline = clock_monotonic_usec() + SILENCE_USEC;
        int r;

        do {
                r = http_incoming_read(in, POLL_USEC, &reader.pending);
                if (interrupted) {
                        r = -ECANCELED;
                        break;
                }
                if (r == -ETIMEDOUT) {
                        r = clock_monotonic_usec() > deadline ? -ETIMEDOUT : 1;
                        continue;
                }
                if (r <= 0)
                        break;
                deadline = clock_monotonic_usec() + SILENCE_USEC;
                r = take_events(&reader, answer);
        } while (r > 0);
        buf_done(&reader.pending);
        return r;
}

/* The body of an answer that is no stream: an error. */
static int read_refusal(const struct chat *c, struct http_incoming *in, unsigned status) {
        _cleanup_(buf_donep) struct buf body = BUF_INIT(CHAT_EVENT_MAX);
        int r;

        do
                r = http_incoming_read(in, CALL_TIMEOUT_USEC, &body);
        while (r > 0);
        return link_explain_answer(c->inference, status, buf_view(&body));
}

static int stream_answer(const struct chat *c, struct view body, struct buf *answer) {
        _cleanup_(http_incoming_freep) struct http_incoming *in = NULL;
        unsigned status = 0;
        int r = http_open(link_client(c->inference), "POST", "/v1/chat/completions", "application/json", body,
                          ANSWER_TIMEOUT_USEC, &in, &status);

        if (r < 0)
                return link_explain(c->inference, r);
        if (status != 200)
                return read_refusal(c, in, status);
        interrupted = 0;
        r = read_stream(in, answer);
        (void)printf("\n");
        if (r == -ECANCELED)
                (void)printf("(stopped)\n");
        else if (r < 0 && r != -EREMOTEIO)
                complain("the answer broke off: %s", strerrordesc_np(-r));
        return r == -ECANCELED ? 0 : r;
}

static int whole_answer(const struct chat *c, struct view body) {
        _cleanup_(http_answer_donep) struct http_answer answer = {0};
        _cleanup_(json_document_freep) struct json_document *doc = NULL;
        int r = http_call(link_client(c->inference), "POST", "/v1/chat/completions", "application/json", body,
                          ANSWER_TIMEOUT_USEC, ANSWER_MAX, &answer);

        if (r < 0)
                return link_explain(c->inference, r);
        if (answer.status != 200)
                return link_explain_answer(c->inference, answer.status, buf_view(&answer.body));
        if (json_parse(buf_view(&answer.body), NULL, &doc, NULL) < 0)
                return link_explain(c->inference, -EPROTO);
        return terminal_print_json(json_root(doc));
}

/* Asks with the history as it is. */
static int ask(struct chat *c, struct buf *ret_answer) {
        _cleanup_(buf_donep) struct buf body = BUF_INIT(CHAT_HISTORY_MAX + CHAT_PROMPT_MAX);
        int r;

        c->request.messages = buf_view(&c->history);
        c->request.stream = !c->common.json;
        r = chat_write_request(&c->request, &body);
        if (r < 0)
                return complain("the conversation has become too long"), r;
        return c->common.json ? whole_answer(c, buf_view(&body))
                              : stream_answer(c, buf_view(&body), ret_answer);
}

static int ask_once(struct chat *c, struct view text) {
        _cleanup_(buf_donep) struct buf answer = BUF_INIT(CHAT_ANSWER_MAX);

        if (chat_add_message(&c->history, "user", text) < 0)
                return complain("the text is too long");
        return ask(c, &answer) < 0 ? EXIT_TROUBLE : EXIT_YES;
}

/* One line of input: 1, 0 at the end, -EFBIG when it is too long (the rest of it is skipped), -EINTR. */
static int read_line(struct buf *line) {
        int c, r = 0;

        buf_clear(line);
        clearerr(stdin);
        errno = 0;
        while ((c = getchar()) != EOF && c != '\n')
                if (r >= 0)
                        r = buf_append_char(line, (char)c);
        if (c == EOF && errno == EINTR)
                return -EINTR;
        return r < 0 ? r : c == '\n' || line->n > 0;
}

static int talk_line(struct chat *c, struct view line) {
        _cleanup_(buf_donep) struct buf answer = BUF_INIT(CHAT_ANSWER_MAX);
        size_t before = c->history.n;
        int r;

        if (line.n == 0)
                return 0;
        if (view_eq(line, VIEW("/new"))) {
                buf_clear(&c->history);
                (void)printf("(a new conversation)\n");
                return 0;
        }
        r = chat_add_message(&c->history, "user", line);
        if (r >= 0)
                r = ask(c, &answer);
        else
                complain("the conversation has become too long; /new starts another");
        if (r >= 0 && chat_add_message(&c->history, "assistant", buf_view(&answer)) < 0)
                complain("the conversation has become too long; /new starts another");
        else if (r < 0 && c->history.p) { /* as if it had not been asked */
                c->history.n = before;
                c->history.p[before] = '\0';
        }
        return r == -ECONNREFUSED ? r : 0;
}

static int talk(struct chat *c) {
        _cleanup_(buf_donep) struct buf line = BUF_INIT(CHAT_PROMPT_MAX);
        int r;

        catch_interrupt();
        (void)printf("/new starts another conversation, /quit leaves, Ctrl-C stops an answer.\n");
        do {
                (void)printf("> ");
                (void)fflush(stdout);
                r = read_line(&line);
                if (r == -EFBIG)
                        complain("a message has at most %zu bytes", CHAT_PROMPT_MAX);
                if (r == -EINTR || r == -EFBIG) {
                        (void)printf("\n");
                        r = 1;
                        continue;
                }
                if (r <= 0 || view_eq(buf_view(&line), VIEW("/quit")))
                        break;
                r = talk_line(c, buf_view(&line)) < 0 ? -EIO : 1;
        } while (r > 0);
        (void)printf("\n");
        return r < 0 ? EXIT_TROUBLE : EXIT_YES;
}

/* All of standard input as one question. */
static int read_input(struct buf *text) {
        char piece[4096];
        size_t n;
        int r = 0;

        while (r >= 0 && (n = fread(piece, 1, sizeof piece, stdin)) > 0)
                r = buf_append(text, piece, n);
        return r < 0 ? r : ferror(stdin) ? -EIO : 0;
}

static int join_operands(char *argv[], int operands, struct buf *text) {
        int r = 0;

        for (int i = 1; r >= 0 && i <= operands; i++) {
                r = i > 1 ? buf_append_char(text, ' ') : 0;
                if (r >= 0)
                        r = buf_append_str(text, argv[i]);
        }
        return r;
}

static int run(struct chat *c, char *argv[], int operands) {
        _cleanup_(buf_donep) struct buf text = BUF_INIT(CHAT_PROMPT_MAX);
        int r;

        if (operands == 0 && isatty(STDIN_FILENO)) {
                if (c->common.json)
                        return complain("--json needs a TEXT");
                return talk(c);
        }
        r = operands > 0 ? join_operands(argv, operands, &text) : read_input(&text);
        if (r < 0 || text.n == 0)
                return complain(r < 0 ? "the text is too long or can't be read" : "the text is empty");
        return ask_once(c, buf_view(&text));
}

/* Numbers go into the request as they were written, so they must be numbers. */
static int check_number(const char *name, const char *text, bool whole) {
        struct json_document *doc = NULL;
        bool good = true;

        if (text) {
                good = json_parse(view_of(text), NULL, &doc, NULL) >= 0 &&
                       json_root(doc)->type == JSON_NUMBER && !json_root(doc)->is_negative &&
                       (!whole || json_root(doc)->is_integer);
                json_document_free(doc);
        }
        if (good)
                return 0;
        complain("--%s wants a %snumber", name, whole ? "whole " : "");
        return -EINVAL;
}

static bool is_wanted(const struct json *model, struct view wanted) {
        struct view id = json_get_view(model, "id", VIEW_NULL);
        bool is_loaded = false;

        if (wanted.n == 0)
                return json_get_bool(model, "loaded", &is_loaded) == 0 && is_loaded;
        return view_eq(json_get_view(model, "name", VIEW_NULL), wanted) ||
               (wanted.n >= MODEL_DIGITS_MIN && view_starts(id, wanted));
}

/* -m by name or first digits; without it the loaded model, or the only one there is. The list is OpenAI's. */
static int choose_model(struct chat *c, const char *wanted) {
        _cleanup_(json_document_freep) struct json_document *doc = NULL;
        const struct json *list, *found = NULL;
        unsigned matches = 0;
        int r = link_call(c->inference, "GET", "/v1/models", VIEW_NULL, &doc);

        if (r < 0)
                return r;
        list = json_get_typed(json_root(doc), "data", JSON_ARRAY);
        for (const struct json *m = list ? list->child : NULL; m; m = m->next)
                if (is_wanted(m, view_of(wanted))) {
                        found = m;
                        matches++;
                }
        if (matches == 0 && !wanted && list && list->count == 1)
                found = list->child;
        if (!found || matches > 1) {
                complain("%s; `securectl models` lists them, `securectl import FILE` brings one in",
                         matches > 1 ? "more than one model fits: use more digits of the SHA-256"
                         : wanted    ? "there is no such model"
                                     : "which model? Name one with -m");
                return -ENOENT;
        }
        c->model = view_dup(json_get_view(found, "id", VIEW_NULL));
        c->request.model = c->model;
        return c->model ? 0 : -ENOMEM;
}

int command_chat(int argc, char *argv[]) {
        struct chat c = {.history = BUF_INIT(CHAT_HISTORY_MAX)};
        const struct option_spec specs[] = {
                {"model", 'm', NULL, &c.request.model, "MODEL",
                 "name or SHA-256 (default: the one that is loaded)"},
                {"system", 0, NULL, &c.request.system, "TEXT", "instructions before the conversation"},
                {"temperature", 0, NULL, &c.request.temperature, "N", "0 always takes the likeliest word"},
                {"max-tokens", 0, NULL, &c.request.max_tokens, "N", "longest answer"},
                {"seed", 0, NULL, &c.request.seed, "N", "same seed, same answer"},
                COMMON_OPTIONS(&c.common),
        };
        int operands, code;

        if (command_begin(&help, specs, &c.common, argc, argv, &operands, &code) < 0)
                return code;
        if (check_number("temperature", c.request.temperature, false) < 0 ||
            check_number("max-tokens", c.request.max_tokens, true) < 0 ||
            check_number("seed", c.request.seed, true) < 0)
                return EXIT_TROUBLE;
        if (link_new(&c.common.layout, "inference", &c.inference) < 0)
                return EXIT_TROUBLE;
        code = choose_model(&c, c.request.model) < 0 ? EXIT_TROUBLE : run(&c, argv, operands);
        c.inference = link_free(c.inference);
        free(c.model);
        buf_done(&c.history);
        return code;
}
