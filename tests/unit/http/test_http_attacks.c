/* Sends the raw requests of tests/attacks/http to running programs; see README.md there. */
#include <arpa/inet.h>
#include <dirent.h>
#include <poll.h>
#include <sys/socket.h>

#include "support/cm.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/num.h"
#include "support/harness.h"

#define REQUEST_MAX ((size_t)4 << 20)
#define ANSWER_MAX  ((size_t)1 << 20)

struct attack {
        char name[96], expect[96];
        struct buf bytes;
};

static struct harness *h;
static const char *const programs[] = {"probe", "ui"};

/* --- reading cases --- */

static int hex_digit(char c) {
        static const char digits[] = "0123456789abcdef";
        const char *at = c ? strchr(digits, c) : NULL;

        return at ? (int)(at - digits) : -1;
}

static void append_unescaped(struct buf *out, struct view text, uint16_t port) {
        for (size_t i = 0; i < text.n; i++) {
                struct view rest = view_sub(text, i, SIZE_MAX);
                char c = text.p[i];

                if (view_starts(rest, VIEW("{port}"))) {
                        assert_int_equal(buf_printf(out, "%u", port), 0);
                        i += 5;
                        continue;
                }
                if (c == '\\' && rest.n >= 4 && rest.p[1] == 'x') {
                        c = (char)(hex_digit(rest.p[2]) << 4 | hex_digit(rest.p[3]));
                        i += 3;
                } else if (c == '\\' && rest.n >= 2) {
                        i++;
                        c = rest.p[1] == 'r'   ? '\r'
                            : rest.p[1] == 'n' ? '\n'
                            : rest.p[1] == 't' ? '\t'
                            : rest.p[1] == '0' ? '\0'
                                               : rest.p[1];
                }
                assert_int_equal(buf_append_char(out, c), 0);
        }
}

static void append_repeated(struct buf *out, struct view text, uint16_t port) {
        struct view number;
        uint64_t n = 0;

        assert_true(view_split(&text, ' ', &number));
        assert_int_equal(u64_parse(number, 1000000, &n), 0);
        for (uint64_t i = 0; i < n; i++)
                append_unescaped(out, text, port);
}

static void copy_word(char out[96], struct view v) {
        assert_true(v.n < 96);
        memcpy(out, v.p, v.n);
        out[v.n] = '\0';
}

static void read_line(struct attack *a, struct view line, uint16_t port) {
        struct view rest = view_sub(line, MIN_OF(line.n, (size_t)2), SIZE_MAX);

        if (view_starts(line, VIEW("expect ")))
                copy_word(a->expect, view_sub(line, 7, SIZE_MAX));
        else if (line.p[0] == '|') {
                append_unescaped(&a->bytes, rest, port);
                assert_int_equal(buf_append_str(&a->bytes, "\r\n"), 0);
        } else if (line.p[0] == '+')
                append_unescaped(&a->bytes, rest, port);
        else if (line.p[0] == '*')
                append_repeated(&a->bytes, rest, port);
        else
                fail_msg("case %s: can't read \"%.*s\"", a->name, VIEW_ARG(line));
}

/* --- sending --- */

static int connect_to(uint16_t port) {
        struct sockaddr_in to = {
                .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK), .sin_port = htons(port)};
        int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

        assert_int_equal(connect(fd, (struct sockaddr *)&to, sizeof(to)), 0);
        return fd;
}

static void read_all(int fd, struct buf *out) {
        uint64_t deadline = clock_monotonic_usec() + 20 * USEC_PER_SEC;
        struct pollfd p = {.fd = fd, .events = POLLIN};
        char piece[4096];
        ssize_t n;

        while (poll(&p, 1, clock_poll_timeout(deadline)) > 0) {
                n = recv(fd, piece, sizeof(piece), 0);
                if (n <= 0)
                        return;
                assert_int_equal(buf_append(out, piece, (size_t)n), 0);
        }
        fail_msg("the connection was neither answered nor closed in time");
}

static void send_all(int fd, struct view v) {
        while (v.n > 0) {
                ssize_t n = send(fd, v.p, v.n, MSG_NOSIGNAL);

                if (n <= 0)
                        return; /* refused early: fine, the answer counts */
                v = view_sub(v, (size_t)n, SIZE_MAX);
        }
}

static bool is_status(struct view v) {
        return v.n >= 4 && v.p[0] >= '1' && v.p[0] <= '5' && v.p[1] >= '0' && v.p[1] <= '9' &&
               v.p[2] >= '0' && v.p[2] <= '9' && v.p[3] == ' ';
}

/* "200 404", or "none" */
static void statuses_of(const struct buf *answer, struct buf *ret) {
        struct view rest = buf_view(answer);
        size_t at;

        while ((at = view_find(rest, VIEW("HTTP/1.1 "))) != SIZE_MAX) {
                rest = view_sub(rest, at + 9, SIZE_MAX);
                if (is_status(rest))
                        assert_int_equal(buf_printf(ret, "%s%.3s", ret->n > 0 ? " " : "", rest.p), 0);
        }
        if (ret->n == 0)
                assert_int_equal(buf_append_str(ret, "none"), 0);
}

static bool is_one_of(struct view got, struct view choices) {
        struct view one;

        while (view_split(&choices, '|', &one))
                if (view_eq(got, one))
                        return true;
        return view_eq(got, choices);
}

/* Word by word; a further expected "…|none" may be missing. */
static bool matches(const char *got, const char *expect) {
        struct view g = view_of(got), e = view_of(expect), gw, ew;
        bool more = true;

        while (more) {
                more = view_split(&e, ' ', &ew);
                if (!more)
                        ew = e;
                if (!view_split(&g, ' ', &gw)) {
                        gw = g;
                        g = VIEW("none");
                }
                if (!is_one_of(gw, ew))
                        return false;
        }
        return view_eq_str(g, "none");
}

static void run_attack(const char *program, const struct attack *a) {
        _cleanup_(buf_donep) struct buf answer = BUF_INIT(ANSWER_MAX), got = BUF_INIT(1024);
        _cleanup_(closep) int fd = connect_to(harness_port(h, program));

        assert_true(a->expect[0] != '\0');
        send_all(fd, buf_view(&a->bytes));
        (void)shutdown(fd, SHUT_WR);
        read_all(fd, &answer);
        statuses_of(&answer, &got);
        if (!matches(buf_str(&got), a->expect))
                fail_msg("%s, case %s: got %s, expected %s", program, a->name, buf_str(&got), a->expect);
}

static unsigned run_file(const char *program, struct view text) {
        struct attack a = {.bytes = BUF_INIT(REQUEST_MAX)};
        struct view line;
        unsigned n = 0;

        while (view_split(&text, '\n', &line)) {
                if (line.n == 0 || line.p[0] == '#')
                        continue;
                if (!view_starts(line, VIEW("case "))) {
                        read_line(&a, line, harness_port(h, program));
                        continue;
                }
                if (n++ > 0)
                        run_attack(program, &a);
                buf_clear(&a.bytes);
                copy_word(a.name, view_sub(line, 5, SIZE_MAX));
        }
        run_attack(program, &a);
        buf_done(&a.bytes);
        return n;
}

static void run_named_file(const char *name) {
        char path[512];
        unsigned n = 0;

        (void)snprintf(path, sizeof(path), "%s/tests/attacks/http/%s.txt", secure_getenv("SECAI_SOURCE"),
                       name);
        for (size_t i = 0; i < ARRAY_SIZE(programs); i++) {
                _cleanup_(buf_donep) struct buf text = {0};

                assert_int_equal(read_file(path, REQUEST_MAX, &text), 0);
                n += run_file(programs[i], buf_view(&text));
                assert_true(harness_pid(h, programs[i]) > 0);
        }
        assert_true(n >= 5 * ARRAY_SIZE(programs));
}

static void hostile_targets_are_refused(void **state) {
        run_named_file("targets");
}
static void only_our_own_host_is_served(void **state) {
        run_named_file("hosts");
}
static void other_origins_are_refused(void **state) {
        run_named_file("origins");
}
static void ambiguous_framing_is_refused(void **state) {
        run_named_file("framing");
}
static void malformed_headers_are_refused(void **state) {
        run_named_file("headers");
}
static void garbage_is_refused(void **state) {
        run_named_file("garbage");
}

static int set_up(void **state) {
        h = harness_new();
        harness_use_program(h, "probe", secure_getenv("SECAI_PROBE"));
        for (size_t i = 0; i < ARRAY_SIZE(programs); i++)
                harness_start(h, programs[i], NULL);
        return 0;
}

static int tear_down(void **state) {
        h = harness_free(h);
        return 0;
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(hostile_targets_are_refused),
                cmocka_unit_test(only_our_own_host_is_served),
                cmocka_unit_test(other_origins_are_refused),
                cmocka_unit_test(ambiguous_framing_is_refused),
                cmocka_unit_test(malformed_headers_are_refused),
                cmocka_unit_test(garbage_is_refused),
        };

        return cmocka_run_group_tests(tests, set_up, tear_down);
}
