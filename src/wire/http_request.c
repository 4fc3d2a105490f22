/* Reading a request: what arrived is checked completely before a handler sees any of it, and read in one way only.
 * Requests that two HTTP implementations could read differently (two lengths, length and chunked, two Hosts,
 * absolute targets, encoded slashes) are refused, not interpreted. */
#include "wire/http_internal.h"

#include <strings.h>

#include "base/num.h"
#include "base/secret.h"
#include "base/text.h"

static bool same_name(struct view a, const char *b) {
        return a.n == strlen(b) && strncasecmp(a.p, b, a.n) == 0;
}

static int refuse(struct http_request *q, unsigned status, const char *code, const char *text) {
        q->close = true;
        if (http_reply_error(q, status, code, NULL, "%s", text) < 0)
                return -ENOMEM;
        return -EBADMSG;
}

/* RFC 9110 section 5.6.2 */
static bool is_token(struct view v) {
        for (size_t i = 0; i < v.n; i++) {
                unsigned char c = (unsigned char)v.p[i];

                if (c <= 0x20 || c >= 0x7f || strchr("\"(),/:;<=>?@[\\]{}", c))
                        return false;
        }
        return v.n > 0;
}

static bool is_field_text(struct view v) {
        for (size_t i = 0; i < v.n; i++) {
                unsigned char c = (unsigned char)v.p[i];

                if ((c < 0x20 && c != '\t') || c == 0x7f)
                        return false;
        }
        return true;
}

struct collect {
        struct http_request *q;
        size_t bytes;
        bool too_many, malformed;
};

static enum MHD_Result collect_header(void *userdata, enum MHD_ValueKind kind, const char *key, size_t n_key,
                                      const char *value, size_t n_value) {
        struct collect *c = userdata;
        struct http_pair *h;

        if (c->q->n_headers == HTTP_HEADERS_MAX) {
                c->too_many = true;
                return MHD_NO;
        }
        h = &c->q->headers[c->q->n_headers++];
        h->name = view_make(key, n_key);
        h->value = view_make(value ? value : "", n_value);
        c->bytes += h->name.n + h->value.n + 4;
        if (!is_token(h->name) || !is_field_text(h->value))
                c->malformed = true;
        return MHD_YES;
}

/* Headers whose repetition would leave open which one counts. */
static const char *const single_headers[] = {"Host",          "Content-Length", "Transfer-Encoding",
                                             "Authorization", "Origin",         "Cookie",
                                             "Content-Type",  "X-CSRF-Token",   "X-Requested-With"};

static const char *repeated_header(const struct http_request *q) {
        for (size_t k = 0; k < ARRAY_SIZE(single_headers); k++) {
                unsigned count = 0;

                for (size_t i = 0; i < q->n_headers; i++)
                        count += same_name(q->headers[i].name, single_headers[k]);
                if (count > 1)
                        return single_headers[k];
        }
        return NULL;
}

static int check_headers(struct http_request *q) {
        struct collect c = {.q = q, .bytes = q->target.n + strlen(q->method) + sizeof(" HTTP/1.1\r\n\r\n")};

        (void)MHD_get_connection_values_n(q->mhd, MHD_HEADER_KIND, collect_header, &c);
        if (c.too_many || c.bytes > q->server->limits.header_bytes)
                return refuse(q, 431, "headers_too_large", "The request line and headers are too large.");
        if (c.malformed)
                return refuse(q, 400, "bad_header", "A header has characters that are not allowed there.");
        if (repeated_header(q))
                return refuse(q, 400, "repeated_header", "A header that may occur once was sent twice.");
        return 0;
}

static int check_framing(struct http_request *q) {
        struct view length = http_header(q, "Content-Length"), encoding = http_header(q, "Transfer-Encoding");

        if (length.p && encoding.p)
                return refuse(q, 400, "bad_framing",
                              "Content-Length and Transfer-Encoding exclude each other.");
        if (encoding.p && !same_name(encoding, "chunked"))
                return refuse(q, 400, "bad_framing", "The only Transfer-Encoding taken here is chunked.");
        if (length.p && u64_parse(length, INT64_MAX, &q->body_announced) < 0)
                return refuse(q, 400, "bad_framing", "Content-Length must be a plain decimal number.");
        q->is_chunked = encoding.p != NULL;
        q->has_body = q->is_chunked || q->body_announced > 0;
        q->is_framed = true;
        return 0;
}

/* --- target --- */

static int hex_value(char c) {
        if (c >= '0' && c <= '9')
                return c - '0';
        if (c >= 'a' && c <= 'f')
                return c - 'a' + 10;
        if (c >= 'A' && c <= 'F')
                return c - 'A' + 10;
        return -1;
}

/* Decodes %XX into `out` (room for in.n bytes). False on a broken escape. */
static bool percent_decode(struct view in, bool plus_is_space, char *out, size_t *ret_n) {
        size_t n = 0;

        for (size_t i = 0; i < in.n; i++) {
                char c = in.p[i];

                if (c == '%') {
                        int high = i + 2 < in.n ? hex_value(in.p[i + 1]) : -1;
                        int low = high >= 0 ? hex_value(in.p[i + 2]) : -1;

                        if (low < 0)
                                return false;
                        c = (char)(high << 4 | low);
                        i += 2;
                } else if (c == '+' && plus_is_space) {
                        c = ' ';
                }
                out[n++] = c;
        }
        *ret_n = n;
        return true;
}

/* An encoded '/' or '\' would make one segment look like two to whoever decodes later. */
static bool has_encoded_separator(struct view v) {
        for (size_t i = 0; i + 2 < v.n; i++) {
                struct view escape = view_sub(v, i, 3);

                if (view_eq_str(escape, "%2f") || view_eq_str(escape, "%2F") || view_eq_str(escape, "%5c") ||
                    view_eq_str(escape, "%5C"))
                        return true;
        }
        return false;
}

static bool has_bad_segment(struct view path) {
        struct view rest = view_sub(path, 1, SIZE_MAX), segment;
        bool more;

        do {
                more = view_split(&rest, '/', &segment);
                if (!more)
                        segment = rest;
                if (view_eq_str(segment, ".") || view_eq_str(segment, "..") || (more && segment.n == 0))
                        return true;
        } while (more);
        return false;
}

static bool has_control_character(struct view v) {
        for (size_t i = 0; i < v.n; i++)
                if ((unsigned char)v.p[i] < 0x20 || v.p[i] == 0x7f)
                        return true;
        return false;
}

static int check_path(struct http_request *q, struct view raw) {
        char *decoded;
        size_t n;

        for (size_t i = 0; i < q->target.n; i++)
                if ((unsigned char)q->target.p[i] <= 0x20 || (unsigned char)q->target.p[i] >= 0x7f ||
                    q->target.p[i] == '\\' || q->target.p[i] == '#')
                        return refuse(q, 400, "bad_path",
                                      "The target has characters that must be percent-encoded.");
        if (raw.n == 0 || raw.p[0] != '/')
                return refuse(q, 400, "bad_path", "The target must be a path that starts with '/'.");
        if (has_encoded_separator(raw))
                return refuse(q, 400, "bad_path", "Encoded slashes are not taken in a path.");
        decoded = malloc(raw.n + 1);
        if (!decoded)
                return -ENOMEM;
        q->path = (struct view){decoded, 0};
        if (!percent_decode(raw, false, decoded, &n))
                return refuse(q, 400, "bad_path",
                              "A percent sign must be followed by two hexadecimal digits.");
        decoded[n] = '\0';
        q->path.n = n;
        if (utf8_first_fault(q->path) != SIZE_MAX || has_control_character(q->path))
                return refuse(q, 400, "bad_path", "The path must be UTF-8 without control characters.");
        if (has_bad_segment(q->path))
                return refuse(q, 400, "bad_path", "Dot segments and empty segments are not taken in a path.");
        return 0;
}

static bool add_query_pair(struct http_request *q, struct view pair, char *out, size_t *used) {
        struct http_pair *p = &q->query[q->n_query];
        struct view name, value = pair;
        size_t n;

        if (q->n_query == HTTP_QUERY_MAX)
                return false;
        if (!view_split(&value, '=', &name)) {
                name = pair;
                value = view_sub(pair, pair.n, 0);
        }
        if (!percent_decode(name, true, out + *used, &n))
                return false;
        p->name = (struct view){out + *used, n};
        *used += n;
        if (!percent_decode(value, true, out + *used, &n))
                return false;
        p->value = (struct view){out + *used, n};
        *used += n;
        if (utf8_first_fault(p->name) != SIZE_MAX || utf8_first_fault(p->value) != SIZE_MAX ||
            memchr(p->value.p, 0, p->value.n) || memchr(p->name.p, 0, p->name.n))
                return false;
        for (size_t i = 0; i < q->n_query; i++)
                if (view_eq(q->query[i].name, p->name))
                        return false;
        q->n_query++;
        return true;
}

static int check_query(struct http_request *q, struct view raw) {
        size_t used = 0;

        if (raw.n == 0)
                return 0;
        q->query_text = malloc(raw.n);
        if (!q->query_text)
                return -ENOMEM;
        for (bool more = true; more;) {
                struct view pair;

                more = view_split(&raw, '&', &pair);
                if (!more)
                        pair = raw;
                if (pair.n > 0 && !add_query_pair(q, pair, q->query_text, &used))
                        return refuse(q, 400, "bad_query",
                                      "The query is malformed, repeats a name or has too many.");
        }
        return 0;
}

static int check_target(struct http_request *q) {
        struct view rest = q->target, path;
        int r;

        if (!view_split(&rest, '?', &path)) {
                path = q->target;
                rest = VIEW_NULL;
        }
        r = check_path(q, path);
        return r < 0 ? r : check_query(q, rest);
}

/* --- who is addressed, and from where (TCP only) --- */

/* `host` without port must be in the list, the port must be the one that we listen on. */
static bool is_own_authority(const struct http_request *q, struct view authority) {
        static const char *const usual[] = {"127.0.0.1", "localhost", "[::1]", NULL};
        const char *const *hosts = q->server->config.hosts ? q->server->config.hosts : usual;
        uint16_t port = q->connection->listener->port;

        for (; *hosts; hosts++) {
                size_t n = strlen(*hosts);
                struct view rest;
                uint64_t given;

                if (authority.n < n || strncasecmp(authority.p, *hosts, n) != 0)
                        continue;
                rest = view_sub(authority, n, SIZE_MAX);
                if (rest.n == 0 && port == 80)
                        return true;
                if (rest.n > 1 && rest.p[0] == ':' &&
                    u64_parse(view_sub(rest, 1, SIZE_MAX), 65535, &given) == 0 && given == port)
                        return true;
        }
        return false;
}

static int check_host(struct http_request *q) {
        struct view host = http_header(q, "Host"), origin = http_header(q, "Origin");
        bool reads = view_eq_str(http_method(q), "GET") || view_eq_str(http_method(q), "HEAD");

        if (q->connection->peer.is_unix)
                return 0;
        if (!host.p || !is_own_authority(q, host))
                return refuse(q, 421, "misdirected_request",
                              "This service answers only to its own address on this machine.");
        if (reads || !origin.p)
                return 0;
        if (!view_starts(origin, VIEW("http://")) || !is_own_authority(q, view_sub(origin, 7, SIZE_MAX)))
                return refuse(q, 403, "bad_origin", "Requests from pages of another origin are refused.");
        return 0;
}

/* --- routes --- */

static bool match_path(const char *pattern, struct view path, struct view parts[], size_t *ret_n) {
        size_t n = 0, at = 0;

        for (const char *p = pattern; *p; p++) {
                size_t end = at;

                if (*p == '*' && p[1] == '\0') {
                        if (at == path.n)
                                return false;
                        parts[n++] = view_sub(path, at, SIZE_MAX);
                        *ret_n = n;
                        return true;
                }
                if (*p == '{') {
                        while (end < path.n && path.p[end] != '/')
                                end++;
                        if (end == at || n == HTTP_PARTS_MAX - 1)
                                return false;
                        parts[n++] = view_sub(path, at, end - at);
                        at = end;
                        p = strchr(p, '}');
                        if (!p)
                                return false;
                        continue;
                }
                if (at == path.n || path.p[at] != *p)
                        return false;
                at++;
        }
        *ret_n = n;
        return at == path.n;
}

static int refuse_method(struct http_request *q, const char *allow) {
        q->close = true;
        if (http_add_header(q, "Allow", allow) < 0)
                return -ENOMEM;
        return refuse(q, 405, "method_not_allowed",
                      "This path does not take that method; see the Allow header.");
}

static int find_route(struct http_request *q) {
        _cleanup_(buf_donep) struct buf allow = BUF_INIT(256);
        const char *method = strcmp(q->method, "HEAD") == 0 ? "GET" : q->method;

        for (const struct http_route *route = q->server->config.routes; route->method; route++) {
                size_t n;

                if (!match_path(route->path, q->path, q->parts, &n))
                        continue;
                if (strcmp(route->method, method) == 0) {
                        q->route = route;
                        q->n_parts = n;
                        return 0;
                }
                if (buf_printf(&allow, "%s%s", allow.n > 0 ? ", " : "", route->method) < 0 ||
                    (strcmp(route->method, "GET") == 0 && buf_append_str(&allow, ", HEAD") < 0))
                        return -ENOMEM;
        }
        if (allow.n > 0)
                return refuse_method(q, buf_str(&allow));
        return refuse(q, 404, "unknown_route", "There is nothing at this path.");
}

static int authorize(struct http_request *q) {
        const struct http_server_config *c = &q->server->config;

        if (!q->route->permission)
                return 0;
        if (!c->authorize)
                return refuse(q, 403, "forbidden_route", "Nobody may use this route here.");
        if (c->authorize(q, q->route, c->userdata) == 0)
                return 0;
        q->close = true;
        return q->response ? -EACCES : refuse(q, 403, "forbidden_route", "You may not use this route.");
}

static int check_body(struct http_request *q) {
        bool reads = strcmp(q->method, "GET") == 0 || strcmp(q->method, "HEAD") == 0;

        q->body_limit = q->route->body_bytes > 0 ? q->route->body_bytes : q->server->limits.body_bytes;
        if (reads && q->has_body)
                return refuse(q, 400, "unexpected_body", "A request of this method has no body here.");
        if (q->body_announced > q->body_limit)
                return refuse(q, 413, "body_too_large", "The body is larger than this route takes.");
        q->body = BUF_INIT((size_t)q->body_limit);
        return 0;
}

int http_request_check(struct http_request *q, const char *version) {
        int (*const steps[])(struct http_request *) = {check_headers, check_framing, check_target, check_host,
                                                       find_route,    authorize,     check_body};
        int r;

        if (strcmp(version, "HTTP/1.1") != 0 && strcmp(version, "HTTP/1.0") != 0)
                return refuse(q, 505, "bad_version", "Only HTTP/1.1 is spoken here.");
        for (size_t i = 0; i < ARRAY_SIZE(steps); i++) {
                r = steps[i](q);
                if (r < 0)
                        return r;
        }
        return 0;
}

/* --- what handlers read --- */

struct view http_method(const struct http_request *q) {
        return view_of(q->method);
}

struct view http_path(const struct http_request *q) {
        return q->path;
}

struct view http_path_part(const struct http_request *q, unsigned index) {
        return index < q->n_parts ? q->parts[index] : VIEW_NULL;
}

struct view http_query(const struct http_request *q, const char *name) {
        for (size_t i = 0; i < q->n_query; i++)
                if (view_eq_str(q->query[i].name, name))
                        return q->query[i].value;
        return VIEW_NULL;
}

struct view http_header(const struct http_request *q, const char *name) {
        for (size_t i = 0; i < q->n_headers; i++)
                if (same_name(q->headers[i].name, name))
                        return q->headers[i].value;
        return VIEW_NULL;
}

static struct view trim(struct view v) {
        while (v.n > 0 && (v.p[0] == ' ' || v.p[0] == '\t'))
                v = view_sub(v, 1, SIZE_MAX);
        while (v.n > 0 && (v.p[v.n - 1] == ' ' || v.p[v.n - 1] == '\t'))
                v.n--;
        return v;
}

/* A name that occurs twice is as good as absent: somebody else on this machine's loopback may have set the other. */
struct view http_cookie(const struct http_request *q, const char *name) {
        struct view rest = http_header(q, "Cookie"), found = VIEW_NULL;

        for (bool more = rest.p != NULL; more;) {
                struct view pair, key;

                more = view_split(&rest, ';', &pair);
                if (!more)
                        pair = rest;
                pair = trim(pair);
                if (!view_split(&pair, '=', &key) || !view_eq_str(key, name))
                        continue;
                if (found.p)
                        return VIEW_NULL;
                found = pair;
        }
        return found;
}

struct view http_body(const struct http_request *q) {
        return buf_view(&q->body);
}

struct http_peer http_peer(const struct http_request *q) {
        return q->connection->peer;
}

void http_set_context(struct http_request *q, void *p, void (*destroy)(void *)) {
        if (q->context && q->context_destroy)
                q->context_destroy(q->context);
        q->context = p;
        q->context_destroy = destroy;
}

void *http_context(const struct http_request *q) {
        return q->context;
}

int http_set_caller(struct http_request *q, struct view name) {
        if (name.n > sizeof(q->caller))
                return -ENAMETOOLONG;
        if (name.n > 0)
                memcpy(q->caller, name.p, name.n);
        q->n_caller = name.n;
        return 0;
}

struct view http_caller(const struct http_request *q) {
        return (struct view){q->caller, q->n_caller};
}

bool http_is_stopping(const struct http_request *q) {
        return atomic_load(&q->server->stopping);
}

int http_failure(const struct http_request *q) {
        return q->error;
}

uint64_t http_body_announced(const struct http_request *q) {
        return q->body_announced;
}

static bool is_json_type(struct view type) {
        struct view rest = type, head;

        return same_name(trim(view_split(&rest, ';', &head) ? head : type), "application/json");
}

int http_body_json(struct http_request *q, const struct json **ret) {
        struct fault fault = FAULT_NONE;
        char detail[96];
        int r;

        /* Pages of other origins can't send this type without asking first, which is never answered. */
        if (!q->connection->peer.is_unix && !is_json_type(http_header(q, "Content-Type"))) {
                r = http_reply_error(q, 415, "bad_content_type", NULL, "Send the body as application/json.");
                return r < 0 ? r : -EBADMSG;
        }
        r = json_parse(http_body(q), NULL, &q->json, &fault);
        if (r == -ENOMEM)
                return r;
        if (r < 0 || json_root(q->json)->type != JSON_OBJECT) {
                (void)snprintf(detail, sizeof(detail), "{\"rule\":\"%s\",\"at\":%llu}",
                               fault.rule ? fault.rule : "JSON", (unsigned long long)fault.at);
                r = http_reply_error(q, 400, "bad_json", detail, "The body must be a JSON object%s%s.",
                                     fault.text[0] ? ": " : "", fault.text);
                return r < 0 ? r : -EBADMSG;
        }
        *ret = json_root(q->json);
        return 0;
}

static void free_pairs(struct http_pair *pairs, size_t n) {
        for (size_t i = 0; i < n; i++) {
                free((void *)(uintptr_t)pairs[i].name.p);
                free((void *)(uintptr_t)pairs[i].value.p);
        }
}

struct http_request *http_request_free(struct http_request *q) {
        if (!q)
                return NULL;
        http_set_context(q, NULL, NULL);
        if (q->response)
                MHD_destroy_response(q->response);
        free_pairs(q->extra, q->n_extra);
        free((void *)(uintptr_t)q->target.p);
        free((void *)(uintptr_t)q->path.p);
        free(q->query_text);
        json_document_free(q->json);
        if (q->body.n > 0)
                wipe(q->body.p, q->body.n); /* passphrases arrive here */
        buf_done(&q->body);
        free(q);
        return NULL;
}
