#include "browser.h"

#include <arpa/inet.h>
#include <poll.h>
#include <sys/socket.h>

#include "support/cm.h"
#include "base/clock.h"
#include "base/file.h"

#define LONG_USEC (30 * USEC_PER_SEC)

void page_done(struct page *p) {
        buf_done(&p->head);
        buf_done(&p->body);
        p->json = json_document_free(p->json);
}

int browser_open(struct browser *b, const char *method, const char *target, size_t content_length) {
        struct sockaddr_in to = {
                .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK), .sin_port = htons(b->port)};
        _cleanup_(buf_donep) struct buf head = BUF_INIT(65536);
        int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), r;

        assert_int_equal(connect(fd, (struct sockaddr *)&to, sizeof(to)), 0);
        r = buf_printf(&head, "%s %s HTTP/1.1\r\nHost: 127.0.0.1:%u\r\nConnection: close\r\n", method, target,
                       b->port);
        if (r == 0 && b->origin)
                r = buf_printf(&head, "Origin: %s\r\n", b->origin);
        else if (r == 0)
                r = buf_printf(&head, "Origin: http://127.0.0.1:%u\r\n", b->port);
        if (r == 0 && b->cookie[0])
                r = buf_printf(&head, "Cookie: %s\r\n", b->cookie);
        if (r == 0 && b->csrf[0])
                r = buf_printf(&head, "X-CSRF-Token: %s\r\n", b->csrf);
        if (r == 0 && b->requested_with)
                r = buf_append_str(&head, "X-Requested-With: secai\r\n");
        if (r == 0 && (content_length > 0 || strcmp(method, "GET") != 0))
                r = buf_printf(&head, "Content-Type: application/json\r\nContent-Length: %zu\r\n",
                               content_length);
        if (r == 0)
                r = buf_append_str(&head, "\r\n");
        assert_int_equal(r, 0);
        assert_int_equal(send(fd, head.p, head.n, MSG_NOSIGNAL), head.n);
        return fd;
}

static void read_all(int fd, struct buf *out) {
        uint64_t deadline = clock_monotonic_usec() + LONG_USEC;
        struct pollfd p = {.fd = fd, .events = POLLIN};
        char piece[16384];
        ssize_t n;

        while (poll(&p, 1, clock_poll_timeout(deadline)) > 0) {
                n = recv(fd, piece, sizeof(piece), 0);
                if (n <= 0)
                        return;
                assert_int_equal(buf_append(out, piece, (size_t)n), 0);
        }
        fail_msg("no whole answer in time; so far:\n%s", buf_str(out));
}

static void keep_cookie(struct browser *b, const struct buf *head) {
        const char *at = strstr(buf_str(head), "Set-Cookie: ");
        size_t n;

        if (!at)
                return;
        at += strlen("Set-Cookie: ");
        n = strcspn(at, ";\r");
        assert_true(n < sizeof(b->cookie));
        memcpy(b->cookie, at, n);
        b->cookie[n] = '\0';
}

void browse(struct browser *b, const char *method, const char *target, const char *body, struct page *ret) {
        _cleanup_(closep) int fd = browser_open(b, method, target, body ? strlen(body) : 0);
        _cleanup_(buf_donep) struct buf all = BUF_INIT((size_t)32 << 20);
        size_t split;

        *ret = (struct page){.head = BUF_INIT(65536), .body = BUF_INIT((size_t)32 << 20)};
        for (size_t at = 0, n = body ? strlen(body) : 0; at < n;) {
                ssize_t sent = send(fd, body + at, n - at, MSG_NOSIGNAL);

                if (sent <= 0)
                        break; /* answered early */
                at += (size_t)sent;
        }
        read_all(fd, &all);
        split = view_find(buf_view(&all), VIEW("\r\n\r\n"));
        assert_true(split != SIZE_MAX);
        assert_int_equal(buf_append(&ret->head, all.p, split + 2), 0);
        assert_int_equal(buf_append_view(&ret->body, view_sub(buf_view(&all), split + 4, SIZE_MAX)), 0);
        assert_int_equal(sscanf(buf_str(&ret->head), "HTTP/1.1 %3u", &ret->status), 1);
        keep_cookie(b, &ret->head);
        if (json_parse(buf_view(&ret->body), NULL, &ret->json, NULL) < 0)
                ret->json = NULL;
}

unsigned browse_status(struct browser *b, const char *method, const char *target, const char *body) {
        _cleanup_(page_done) struct page p;

        browse(b, method, target, body, &p);
        return p.status;
}

static void keep_csrf(struct browser *b, const struct page *p) {
        struct view csrf = json_get_view(json_root(p->json), "csrf", VIEW_NULL);

        assert_true(csrf.n > 0 && csrf.n < sizeof(b->csrf));
        memcpy(b->csrf, csrf.p, csrf.n);
        b->csrf[csrf.n] = '\0';
}

static void open_session(struct browser *b, const char *target, const char *body) {
        _cleanup_(page_done) struct page p;

        b->requested_with = true;
        browse(b, "POST", target, body, &p);
        if (p.status != 200)
                fail_msg("%s: %u %s", target, p.status, buf_str(&p.body));
        keep_csrf(b, &p);
}

void browser_set_up(struct browser *b, struct harness *h, const char *passphrase) {
        _cleanup_(buf_donep) struct buf code = {0};
        char path[600], body[1024];

        (void)snprintf(path, sizeof(path), "%s/first-run-code", harness_state_path(h, "ui"));
        assert_int_equal(read_file(path, 100, &code), 0);
        (void)snprintf(body, sizeof(body), "{\"code\":\"%.*s\",\"passphrase\":\"%s\"}", (int)(code.n - 1),
                       code.p, passphrase);
        open_session(b, "/api/setup", body);
}

void browser_login(struct browser *b, const char *passphrase) {
        char body[1024];

        (void)snprintf(body, sizeof(body), "{\"passphrase\":\"%s\"}", passphrase);
        open_session(b, "/api/login", body);
}
