/* Requests on libcurl. A client keeps a few idle handles, each with its kept-alive connection; a call takes one or
 * makes one. Everything that libcurl would do on its own (other protocols, redirects, proxies, .netrc, cookies,
 * environment) is off. */
#include "wire/http_client.h"

#include <curl/curl.h>
#include <pthread.h>

#include "base/clock.h"
#include "base/secret.h"

#define POOL_MAX            8
#define CONNECT_TIMEOUT_MS  5000L
#define ANSWER_HEADER_MAX   ((size_t)64 << 10)
#define JSON_ANSWER_MAX     ((size_t)16 << 20)
#define INCOMING_BUFFER_MAX ((size_t)4 << 20)

struct http_client {
        char *unix_path; /* NULL: TCP */
        uint16_t port;
        struct secret authorization; /* "Authorization: Bearer …" with NUL, or empty */
        pthread_mutex_t mutex;
        CURL *idle[POOL_MAX];
        size_t n_idle;
};

static pthread_once_t curl_once = PTHREAD_ONCE_INIT;
static void curl_start(void) {
        (void)curl_global_init(CURL_GLOBAL_DEFAULT);
}

static int make_authorization(struct view token, struct secret *ret) {
        static const char prefix[] = "Authorization: Bearer ";
        int r;

        if (token.n == 0)
                return 0;
        for (size_t i = 0; i < token.n; i++)
                if (token.p[i] <= 0x20 || token.p[i] >= 0x7f)
                        return -EINVAL;
        r = secret_new(sizeof(prefix) + token.n, ret); /* zeroed: ends with NUL */
        if (r < 0)
                return r;
        memcpy(ret->p, prefix, sizeof(prefix) - 1);
        memcpy(ret->p + sizeof(prefix) - 1, token.p, token.n);
        return 0;
}

int http_client_new(const char *unix_path, uint16_t port, struct view token, struct http_client **ret) {
        struct http_client *c = calloc(1, sizeof(*c));
        int r = 0;

        if (!c)
                return -ENOMEM;
        pthread_once(&curl_once, curl_start);
        pthread_mutex_init(&c->mutex, NULL);
        c->port = port;
        if (unix_path) {
                c->unix_path = strdup(unix_path);
                r = c->unix_path ? 0 : -ENOMEM;
        }
        if (r == 0)
                r = make_authorization(token, &c->authorization);
        if (r < 0) {
                http_client_free(c);
                return r;
        }
        *ret = c;
        return 0;
}

struct http_client *http_client_free(struct http_client *c) {
        if (!c)
                return NULL;
        for (size_t i = 0; i < c->n_idle; i++)
                curl_easy_cleanup(c->idle[i]);
        secret_done(&c->authorization);
        pthread_mutex_destroy(&c->mutex);
        free(c->unix_path);
        free(c);
        return NULL;
}

void http_answer_done(struct http_answer *a) {
        buf_done(&a->body);
}

static CURL *take_handle(struct http_client *c) {
        CURL *h = NULL;

        pthread_mutex_lock(&c->mutex);
        if (c->n_idle > 0)
                h = c->idle[--c->n_idle];
        pthread_mutex_unlock(&c->mutex);
        return h ? h : curl_easy_init();
}

static void give_handle(struct http_client *c, CURL *h) {
        curl_easy_reset(h); /* options and pointers go, the connection stays */
        pthread_mutex_lock(&c->mutex);
        if (c->n_idle < POOL_MAX) {
                c->idle[c->n_idle++] = h;
                h = NULL;
        }
        pthread_mutex_unlock(&c->mutex);
        if (h)
                curl_easy_cleanup(h);
}

/* --- one exchange --- */

struct exchange {
        struct curl_slist *headers;
        char url[512];
};

static void exchange_done(struct exchange *e) {
        for (struct curl_slist *h = e->headers; h; h = h->next)
                wipe(h->data, strlen(h->data)); /* the token was copied in there */
        curl_slist_free_all(e->headers);
        e->headers = NULL;
}

static bool add_header(struct exchange *e, const char *text) {
        struct curl_slist *longer = curl_slist_append(e->headers, text);

        if (longer)
                e->headers = longer;
        return longer != NULL;
}

static int fill_headers(const struct http_client *c, struct exchange *e, const char *content_type) {
        char type[128];
        int n;

        if (!add_header(e, "Expect:") || !add_header(e, "Accept:"))
                return -ENOMEM;
        if (c->authorization.p && !add_header(e, (const char *)c->authorization.p))
                return -ENOMEM;
        n = snprintf(type, sizeof(type), "Content-Type:%s%s", content_type ? " " : "",
                     content_type ? content_type : "");
        if (n < 0 || (size_t)n >= sizeof(type))
                return -E2BIG;
        return add_header(e, type) ? 0 : -ENOMEM;
}

static bool is_sendable(const char *path) {
        for (; *path; path++)
                if ((unsigned char)*path <= 0x20 || (unsigned char)*path >= 0x7f)
                        return false;
        return true;
}

#if LIBCURL_VERSION_NUM >= 0x075500
#define ONLY_HTTP(h) curl_easy_setopt((h), CURLOPT_PROTOCOLS_STR, "http")
#else
#define ONLY_HTTP(h) curl_easy_setopt((h), CURLOPT_PROTOCOLS, CURLPROTO_HTTP)
#endif

static CURLcode set_target(const struct http_client *c, CURL *h) {
        CURLcode ok = ONLY_HTTP(h);

        if (!ok)
                ok = curl_easy_setopt(h, CURLOPT_NOPROXY, "*");
        if (!ok)
                ok = curl_easy_setopt(h, CURLOPT_PROXY, "");
        if (!ok)
                ok = curl_easy_setopt(h, CURLOPT_NETRC, (long)CURL_NETRC_IGNORED);
        if (!ok)
                ok = curl_easy_setopt(h, CURLOPT_FOLLOWLOCATION, 0L);
        if (!ok)
                ok = curl_easy_setopt(h, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
        if (!ok)
                ok = curl_easy_setopt(h, CURLOPT_HTTP09_ALLOWED, 0L);
        if (!ok)
                ok = curl_easy_setopt(h, CURLOPT_PATH_AS_IS, 1L);
        if (!ok)
                ok = curl_easy_setopt(h, CURLOPT_NOSIGNAL, 1L);
        if (!ok)
                ok = curl_easy_setopt(h, CURLOPT_TCP_NODELAY, 1L);
        if (!ok && c->unix_path)
                ok = curl_easy_setopt(h, CURLOPT_UNIX_SOCKET_PATH, c->unix_path);
        return ok;
}

static CURLcode set_message(CURL *h, const char *method, struct view body, const struct exchange *e) {
        CURLcode ok = curl_easy_setopt(h, CURLOPT_URL, e->url);

        if (!ok)
                ok = curl_easy_setopt(h, CURLOPT_HTTPHEADER, e->headers);
        if (!ok && (body.n > 0 || strcmp(method, "POST") == 0 || strcmp(method, "PUT") == 0)) {
                ok = curl_easy_setopt(h, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)body.n);
                if (!ok)
                        ok = curl_easy_setopt(h, CURLOPT_POSTFIELDS, body.n > 0 ? body.p : "");
        }
        if (!ok && strcmp(method, "HEAD") == 0)
                return curl_easy_setopt(h, CURLOPT_NOBODY, 1L);
        return ok ? ok : curl_easy_setopt(h, CURLOPT_CUSTOMREQUEST, method);
}

/* Leaves everything to be sent in `h` and `e`; the body is borrowed until the transfer ends. */
static int prepare(const struct http_client *c, CURL *h, struct exchange *e, const char *method,
                   const char *path, const char *content_type, struct view body) {
        int n = c->unix_path ? snprintf(e->url, sizeof(e->url), "http://localhost%s", path)
                             : snprintf(e->url, sizeof(e->url), "http://127.0.0.1:%u%s", c->port, path);
        int r;

        if (n < 0 || (size_t)n >= sizeof(e->url))
                return -ENAMETOOLONG;
        if (path[0] != '/' || !is_sendable(path))
                return -EINVAL;
        r = fill_headers(c, e, content_type);
        if (r < 0)
                return r;
        return set_target(c, h) || set_message(h, method, body, e) ? -ENOMEM : 0;
}

static int error_of(CURL *h, CURLcode code) {
        long os_error = 0;

        switch (code) {
        case CURLE_OK:
                return 0;
        case CURLE_COULDNT_CONNECT:
                (void)curl_easy_getinfo(h, CURLINFO_OS_ERRNO, &os_error);
                return os_error == ENOENT || os_error == EACCES ? (int)-os_error : -ECONNREFUSED;
        case CURLE_OPERATION_TIMEDOUT:
                return -ETIMEDOUT;
        case CURLE_OUT_OF_MEMORY:
                return -ENOMEM;
        case CURLE_GOT_NOTHING:
        case CURLE_SEND_ERROR:
        case CURLE_RECV_ERROR:
        case CURLE_PARTIAL_FILE:
                return -ECONNRESET;
        default:
                return -EPROTO;
        }
}

static long milliseconds(uint64_t usec) {
        uint64_t ms = (usec + USEC_PER_MSEC - 1) / USEC_PER_MSEC;

        return ms == 0 ? 1 : (long)MIN_OF(ms, (uint64_t)INT32_MAX);
}

struct collector {
        struct buf *body;
        size_t header_bytes;
        int error;
};

static size_t collect_body(char *p, size_t size, size_t n, void *userdata) {
        struct collector *c = userdata;

        c->error = buf_append(c->body, p, size * n);
        return c->error < 0 ? 0 : size * n;
}

static size_t count_header(char *p, size_t size, size_t n, void *userdata) {
        struct collector *c = userdata;

        c->header_bytes += size * n;
        if (c->header_bytes <= ANSWER_HEADER_MAX)
                return size * n;
        c->error = -EFBIG;
        return 0;
}

static int set_collector(CURL *h, struct collector *c, uint64_t timeout_usec) {
        long ms = milliseconds(timeout_usec);
        CURLcode ok = curl_easy_setopt(h, CURLOPT_WRITEFUNCTION, collect_body);

        if (!ok)
                ok = curl_easy_setopt(h, CURLOPT_WRITEDATA, c);
        if (!ok)
                ok = curl_easy_setopt(h, CURLOPT_HEADERFUNCTION, count_header);
        if (!ok)
                ok = curl_easy_setopt(h, CURLOPT_HEADERDATA, c);
        if (!ok)
                ok = curl_easy_setopt(h, CURLOPT_TIMEOUT_MS, ms);
        if (!ok)
                ok = curl_easy_setopt(h, CURLOPT_CONNECTTIMEOUT_MS, MIN_OF(ms, CONNECT_TIMEOUT_MS));
        return ok ? -ENOMEM : 0;
}

static void read_answer(CURL *h, struct http_answer *a) {
        const char *type = NULL;
        long status = 0;

        (void)curl_easy_getinfo(h, CURLINFO_RESPONSE_CODE, &status);
        (void)curl_easy_getinfo(h, CURLINFO_CONTENT_TYPE, &type);
        a->status = (unsigned)status;
        (void)snprintf(a->content_type, sizeof(a->content_type), "%s", type ? type : "");
}

static int perform(CURL *h, struct exchange *e, const struct http_client *c, const char *method,
                   const char *path, const char *content_type, struct view body, uint64_t timeout_usec,
                   struct http_answer *a) {
        struct collector collector = {.body = &a->body};
        int r = prepare(c, h, e, method, path, content_type, body);

        if (r == 0)
                r = set_collector(h, &collector, timeout_usec);
        if (r < 0)
                return r;
        r = error_of(h, curl_easy_perform(h));
        if (collector.error < 0)
                return collector.error;
        if (r == 0)
                read_answer(h, a);
        return r;
}

int http_call(struct http_client *c, const char *method, const char *path, const char *content_type,
              struct view body, uint64_t timeout_usec, size_t max, struct http_answer *ret) {
        struct http_answer a = {.body = BUF_INIT(max)};
        struct exchange e = {0};
        CURL *h = take_handle(c);
        int r;

        if (!h)
                return -ENOMEM;
        r = perform(h, &e, c, method, path, content_type, body, timeout_usec, &a);
        exchange_done(&e);
        if (r < 0) {
                curl_easy_cleanup(h); /* whatever is left on that connection is nobody's answer */
                http_answer_done(&a);
                return r;
        }
        give_handle(c, h);
        *ret = a;
        return 0;
}

int http_call_json(struct http_client *c, const char *method, const char *path, struct view body,
                   uint64_t timeout_usec, unsigned *ret_status, struct json_document **ret) {
        _cleanup_(http_answer_donep) struct http_answer a = {0};
        int r;

        r = http_call(c, method, path, body.n > 0 ? "application/json" : NULL, body, timeout_usec,
                      JSON_ANSWER_MAX, &a);
        if (r < 0)
                return r;
        r = json_parse(buf_view(&a.body), NULL, ret, NULL);
        if (r < 0)
                return r == -ENOMEM ? r : -EPROTO;
        *ret_status = a.status;
        return 0;
}

/* --- an answer piece by piece --- */

struct http_incoming {
        CURL *h;
        CURLM *multi;
        struct exchange exchange;
        struct buf request; /* own copy: libcurl borrows it while it sends */
        struct buf arrived;
        struct collector collector;
        bool headers_done, ended;
        int error;
};

static size_t on_header_line(char *p, size_t size, size_t n, void *userdata) {
        struct http_incoming *in = userdata;
        struct view line = {p, size * n};

        if (count_header(p, size, n, &in->collector) == 0)
                return 0;
        if (view_eq(line, VIEW("\r\n"))) {
                long status = 0;

                (void)curl_easy_getinfo(in->h, CURLINFO_RESPONSE_CODE, &status);
                in->headers_done = status >= 200; /* 100 Continue is not the answer */
        }
        return size * n;
}

static int advance(struct http_incoming *in) {
        CURLMsg *m;
        int running, left;

        if (curl_multi_perform(in->multi, &running) != CURLM_OK)
                return -EIO;
        while ((m = curl_multi_info_read(in->multi, &left))) {
                if (m->msg != CURLMSG_DONE)
                        continue;
                in->ended = true;
                in->error = in->collector.error < 0 ? in->collector.error : error_of(in->h, m->data.result);
        }
        return 0;
}

static int wait_more(struct http_incoming *in, uint64_t deadline) {
        int ms = clock_poll_timeout(deadline);

        if (ms == 0)
                return -ETIMEDOUT;
        return curl_multi_poll(in->multi, NULL, 0, ms, NULL) == CURLM_OK ? 0 : -EIO;
}

static int set_streaming(struct http_incoming *in, uint64_t timeout_usec) {
        CURLcode ok = curl_easy_setopt(in->h, CURLOPT_WRITEFUNCTION, collect_body);

        if (!ok)
                ok = curl_easy_setopt(in->h, CURLOPT_WRITEDATA, &in->collector);
        if (!ok)
                ok = curl_easy_setopt(in->h, CURLOPT_HEADERFUNCTION, on_header_line);
        if (!ok)
                ok = curl_easy_setopt(in->h, CURLOPT_HEADERDATA, in);
        if (!ok)
                ok = curl_easy_setopt(in->h, CURLOPT_BUFFERSIZE, 16384L);
        if (!ok)
                ok = curl_easy_setopt(in->h, CURLOPT_CONNECTTIMEOUT_MS,
                                      MIN_OF(milliseconds(timeout_usec), CONNECT_TIMEOUT_MS));
        return ok ? -ENOMEM : 0;
}

static int incoming_start(struct http_incoming *in, const struct http_client *c, const char *method,
                          const char *path, const char *content_type, struct view body,
                          uint64_t timeout_usec) {
        int r = buf_append_view(&in->request, body);

        if (r == 0)
                r = prepare(c, in->h, &in->exchange, method, path, content_type, buf_view(&in->request));
        if (r == 0)
                r = set_streaming(in, timeout_usec);
        if (r < 0)
                return r;
        return curl_multi_add_handle(in->multi, in->h) == CURLM_OK ? 0 : -ENOMEM;
}

static int wait_for_headers(struct http_incoming *in, uint64_t deadline) {
        while (!in->headers_done && !in->ended) {
                int r = advance(in);

                if (r == 0 && !in->headers_done && !in->ended)
                        r = wait_more(in, deadline);
                if (r < 0)
                        return r;
        }
        if (in->headers_done)
                return 0;
        return in->error < 0 ? in->error : -EPROTO;
}

static int begin(struct http_client *c, const char *method, const char *path, const char *content_type,
                 struct view body, uint64_t connect_timeout_usec, struct http_incoming **ret) {
        _cleanup_(http_incoming_freep) struct http_incoming *in = calloc(1, sizeof(*in));
        int r;

        if (!in)
                return -ENOMEM;
        in->request = BUF_INIT(body.n + 1);
        in->arrived = BUF_INIT(INCOMING_BUFFER_MAX);
        in->collector.body = &in->arrived;
        in->h = curl_easy_init(); /* not from the pool: the transfer may be cut in the middle */
        in->multi = curl_multi_init();
        if (!in->h || !in->multi)
                return -ENOMEM;
        r = incoming_start(in, c, method, path, content_type, body, connect_timeout_usec);
        if (r == 0)
                r = advance(in);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(in);
        return 0;
}

int http_begin(struct http_client *c, const char *method, const char *path, const char *content_type,
               struct view body, struct http_incoming **ret) {
        return begin(c, method, path, content_type, body, CONNECT_TIMEOUT_MS * USEC_PER_MSEC, ret);
}

int http_incoming_status(struct http_incoming *in, uint64_t timeout_usec, unsigned *ret_status) {
        long status = 0;
        int r = wait_for_headers(in, clock_monotonic_usec() + timeout_usec);

        if (r < 0)
                return r;
        (void)curl_easy_getinfo(in->h, CURLINFO_RESPONSE_CODE, &status);
        *ret_status = (unsigned)status;
        return 0;
}

int http_open(struct http_client *c, const char *method, const char *path, const char *content_type,
              struct view body, uint64_t timeout_usec, struct http_incoming **ret, unsigned *ret_status) {
        _cleanup_(http_incoming_freep) struct http_incoming *in = NULL;
        int r = begin(c, method, path, content_type, body, timeout_usec, &in);

        if (r == 0)
                r = http_incoming_status(in, timeout_usec, ret_status);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(in);
        return 0;
}

const char *http_incoming_content_type(const struct http_incoming *in) {
        const char *type = NULL;

        (void)curl_easy_getinfo(in->h, CURLINFO_CONTENT_TYPE, &type);
        return type ? type : "";
}

static int hand_over(struct http_incoming *in, struct buf *out) {
        size_t n = MIN_OF(in->arrived.n, out->max - out->n);
        int r = n > 0 ? buf_append(out, in->arrived.p, n) : -EFBIG;

        if (r < 0)
                return r;
        memmove(in->arrived.p, in->arrived.p + n, in->arrived.n - n);
        in->arrived.n -= n;
        return 1;
}

int http_incoming_read(struct http_incoming *in, uint64_t timeout_usec, struct buf *out) {
        uint64_t deadline = clock_monotonic_usec() + timeout_usec;
        int r = 0;

        while (in->arrived.n == 0 && !in->ended) {
                r = advance(in);
                if (r == 0 && in->arrived.n == 0 && !in->ended)
                        r = wait_more(in, deadline);
                if (r < 0)
                        return r;
        }
        return in->arrived.n > 0 ? hand_over(in, out) : in->error;
}

struct http_incoming *http_incoming_free(struct http_incoming *in) {
        if (!in)
                return NULL;
        if (in->multi && in->h)
                (void)curl_multi_remove_handle(in->multi, in->h);
        if (in->h)
                curl_easy_cleanup(in->h);
        if (in->multi)
                (void)curl_multi_cleanup(in->multi);
        exchange_done(&in->exchange);
        buf_done(&in->request);
        buf_done(&in->arrived);
        free(in);
        return NULL;
}
