#include "wire/url.h"

#include <arpa/inet.h>

#include "base/num.h"

#define HOST_MAX  ((size_t)253)
#define LABEL_MAX ((size_t)63)

struct reader {
        struct view text;
        struct buf out;
        bool is_pattern;
        bool is_https;
        uint16_t port;
        size_t host_at, host_n, path_at, path_n;
        struct fault *fault;
};

static int refuse(const struct reader *k, const char *rule, size_t at, const char *text) {
        return fault_set(k->fault, -EBADMSG, rule, at, "%s", text);
}

static int append(const struct reader *k, struct buf *out, struct view v) {
        int r = buf_append_view(out, v);

        return r < 0 ? fault_set(k->fault, r == -EFBIG ? -E2BIG : r, "URL-002", 0, "the address is too long")
                     : 0;
}

static bool is_alpha(char c) {
        return (c | 0x20) >= 'a' && (c | 0x20) <= 'z';
}

static bool is_digit(char c) {
        return c >= '0' && c <= '9';
}

/* RFC 3986, section 2.3 */
static bool is_unreserved(char c) {
        return is_alpha(c) || is_digit(c) || (c && strchr("-._~", c));
}

/* What may stand in a path or query as it is: pchar, '/' and '?'. */
static bool is_plain(char c) {
        return is_unreserved(c) || (c && strchr("!$&'()*+,;=:@/?", c));
}

static int hex_digit(char c) {
        if (is_digit(c))
                return c - '0';
        c = (char)(c | 0x20);
        return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Value of the percent-encoding at `at`, or -1. */
static int percent_value(struct view text, size_t at) {
        int high = at + 2 < text.n ? hex_digit(text.p[at + 1]) : -1;
        int low = high < 0 ? -1 : hex_digit(text.p[at + 2]);

        return low < 0 ? -1 : high << 4 | low;
}

/* The whole text: only printable ASCII that some part of an address may hold. */
static int check_characters(const struct reader *k) {
        for (size_t i = 0; i < k->text.n; i++) {
                char c = k->text.p[i];

                if (c == '#')
                        return refuse(k, "URL-006", i, "a fragment (#…) is not allowed");
                if (!is_plain(c) && c != '%' && c != '[' && c != ']')
                        return refuse(k, "URL-003", i,
                                      "this character is not allowed in an address; percent-encode it");
        }
        return 0;
}

static bool starts_ignoring_case(struct view v, const char *lower) {
        size_t n = strlen(lower);

        return v.n >= n && strncasecmp(v.p, lower, n) == 0;
}

/* Returns how many bytes scheme and "://" take, or negative errno. */
static int read_scheme(struct reader *k) {
        k->is_https = starts_ignoring_case(k->text, "https://");
        if (!k->is_https && !starts_ignoring_case(k->text, "http://"))
                return refuse(k, "URL-004", 0, "an address starts with https:// or http://");
        return k->is_https ? 8 : 7;
}

static int check_label(const struct reader *k, struct view label, size_t at) {
        if (label.n == 0)
                return refuse(k, "URL-007", at, "a part of the host name is empty");
        if (label.n > LABEL_MAX)
                return refuse(k, "URL-007", at, "a part of the host name is longer than 63 characters");
        for (size_t i = 0; i < label.n; i++)
                if (!is_alpha(label.p[i]) && !is_digit(label.p[i]) && label.p[i] != '-')
                        return refuse(k, "URL-008", at + i,
                                      "a host name has letters, digits, '-' and '.' only (other scripts: "
                                      "write punycode)");
        if (label.p[0] == '-' || label.p[label.n - 1] == '-')
                return refuse(k, "URL-008", at, "a part of a host name can't start or end with '-'");
        return 0;
}

/* WHATWG "ends in a number": such hosts are IPv4 to browsers and libraries, in octal, hexadecimal, short forms. */
static bool is_numeric(struct view label) {
        size_t i = 0;

        if (label.n >= 2 && label.p[0] == '0' && (label.p[1] | 0x20) == 'x') {
                for (i = 2; i < label.n && hex_digit(label.p[i]) >= 0;)
                        i++;
                return i == label.n;
        }
        while (i < label.n && is_digit(label.p[i]))
                i++;
        return i == label.n;
}

static int check_ipv4(const struct reader *k, struct view host, size_t at) {
        struct view rest = host, part;
        unsigned parts = 0;

        for (bool more = true; more; parts++) {
                uint64_t value;

                more = view_split(&rest, '.', &part);
                if (!more)
                        part = rest;
                if (u64_parse(part, 255, &value) < 0)
                        return refuse(k, "URL-009", at,
                                      "an IPv4 address is written as four decimal numbers 0 to 255");
        }
        return parts == 4 ? 0
                          : refuse(k, "URL-009", at,
                                   "an IPv4 address is written as four decimal numbers 0 to 255");
}

static int check_domain(const struct reader *k, struct view host, size_t at) {
        struct view rest = host, label;

        if (host.n > HOST_MAX)
                return refuse(k, "URL-007", at, "the host name is longer than 253 characters");
        if (k->is_pattern && view_starts(rest, VIEW("*."))) {
                rest = view_sub(rest, 2, SIZE_MAX);
                at += 2;
        }
        for (bool more = true; more;) {
                int r;

                more = view_split(&rest, '.', &label);
                if (!more)
                        label = rest;
                r = check_label(k, label, at);
                if (r < 0)
                        return r;
                at += label.n + 1;
        }
        return is_numeric(label) ? check_ipv4(k, host, at - host.n - 1) : 0;
}

static int put_ipv6(struct reader *k, struct view address, size_t at) {
        char text[INET6_ADDRSTRLEN] = {0};
        struct in6_addr a;
        int r;

        if (address.n >= sizeof text)
                return refuse(k, "URL-010", at, "not an IPv6 address");
        memcpy(text, address.p, address.n);
        if (inet_pton(AF_INET6, text, &a) != 1)
                return refuse(k, "URL-010", at, "not an IPv6 address");
        if (IN6_IS_ADDR_V4MAPPED(&a) || IN6_IS_ADDR_V4COMPAT(&a))
                if (!IN6_IS_ADDR_LOOPBACK(&a) && !IN6_IS_ADDR_UNSPECIFIED(&a))
                        return refuse(k, "URL-010", at, "an IPv4 address inside IPv6; write it as IPv4");
        if (!inet_ntop(AF_INET6, &a, text, sizeof text))
                return refuse(k, "URL-010", at, "not an IPv6 address");
        r = append(k, &k->out, VIEW("["));
        k->host_at = k->out.n;
        if (r >= 0)
                r = append(k, &k->out, view_of(text));
        k->host_n = k->out.n - k->host_at;
        return r < 0 ? r : append(k, &k->out, VIEW("]"));
}

static int put_domain(struct reader *k, struct view host, size_t at) {
        int r = check_domain(k, host, at);

        if (r < 0)
                return r;
        k->host_at = k->out.n;
        k->host_n = host.n;
        r = append(k, &k->out, host);
        for (size_t i = 0; r >= 0 && i < host.n; i++)
                if (is_alpha(host.p[i]))
                        k->out.p[k->host_at + i] = (char)(host.p[i] | 0x20);
        return r;
}

static int put_port(struct reader *k, struct view digits, size_t at) {
        uint16_t standard = k->is_https ? 443 : 80;
        uint64_t port;
        int r;

        r = u64_parse(digits, UINT16_MAX, &port);
        if (r < 0 || port == 0)
                return refuse(k, "URL-011", at, "a port is a number from 1 to 65535");
        k->port = (uint16_t)port;
        if (k->port == standard)
                return 0;
        r = buf_printf(&k->out, ":%u", (unsigned)k->port);
        return r < 0 ? fault_set(k->fault, r, "URL-002", at, "the address is too long") : 0;
}

/* Host and port; `at` is where the authority stands in the text. */
static int put_authority(struct reader *k, struct view authority, size_t at) {
        struct view host, port;
        size_t end;
        int r;

        if (view_find_char(authority, '@') != SIZE_MAX)
                return refuse(k, "URL-005", at, "user names and passwords are not allowed in an address");
        if (authority.n > 0 && authority.p[0] == '[') {
                end = view_find_char(authority, ']');
                if (end == SIZE_MAX)
                        return refuse(k, "URL-010", at, "']' is missing");
                r = put_ipv6(k, view_sub(authority, 1, end - 1), at + 1);
                end++;
        } else {
                end = view_find_char(authority, ':');
                host = view_sub(authority, 0, end);
                end = host.n;
                r = put_domain(k, host, at);
        }
        if (r < 0 || end >= authority.n)
                return r;
        if (authority.p[end] != ':')
                return refuse(k, "URL-010", at + end, "only a port may follow ']'");
        port = view_sub(authority, end + 1, SIZE_MAX);
        return put_port(k, port, at + end + 1);
}

/* Appends path or query text with percent-encodings in their one form. `at` is where it stands in the text. */
static int put_encoded(struct reader *k, struct view part, size_t at, bool is_query) {
        static const char digits[] = "0123456789ABCDEF";
        int r = 0;

        for (size_t i = 0; r >= 0 && i < part.n; i++) {
                char c = part.p[i], text[3] = {'%'};
                int value;

                if (c != '%') {
                        if (!is_plain(c)) /* '[' and ']' belong to hosts */
                                return refuse(k, "URL-003", at + i,
                                              "this character is not allowed here; percent-encode it");
                        r = append(k, &k->out, view_make(&c, 1));
                        continue;
                }
                value = percent_value(part, i);
                if (value < 0)
                        return refuse(k, "URL-012", at + i, "'%' must be followed by two hexadecimal digits");
                if (value < 0x20 || value == 0x7f || (!is_query && (value == '/' || value == '\\')))
                        return refuse(k, "URL-013", at + i,
                                      "an encoded '/', '\\' or control character is not allowed");
                i += 2;
                c = (char)value;
                text[1] = digits[value >> 4];
                text[2] = digits[value & 15];
                r = append(k, &k->out, is_unreserved(c) ? view_make(&c, 1) : view_make(text, 3));
        }
        return r;
}

/* Takes the last segment off the canonical path. */
static int climb(struct reader *k, size_t at) {
        size_t i = k->out.n;

        if (i == k->path_at)
                return refuse(k, "URL-015", at, "'..' climbs above the root");
        while (k->out.p[i - 1] != '/')
                i--;
        k->out.n = i - 1;
        k->out.p[k->out.n] = '\0';
        return 0;
}

/* One segment without its slash; `is_last` ones that are dots leave a slash behind, as RFC 3986 5.2.4 has it. */
static int put_segment(struct reader *k, struct view segment, size_t at, bool is_last) {
        size_t start = k->out.n;
        struct view put;
        int r;

        if (segment.n == 0 && !is_last)
                return refuse(k, "URL-016", at, "an empty path segment ('//') is not allowed");
        if (view_eq(segment, VIEW(".")) || view_eq(segment, VIEW(".."))) {
                r = segment.n == 2 ? climb(k, at) : 0;
                return r < 0 || !is_last ? r : append(k, &k->out, VIEW("/"));
        }
        r = append(k, &k->out, VIEW("/"));
        if (r >= 0)
                r = put_encoded(k, segment, at, false);
        if (r < 0)
                return r;
        put = view_sub(buf_view(&k->out), start + 1, SIZE_MAX);
        if (view_eq(put, VIEW(".")) || view_eq(put, VIEW("..")))
                return refuse(k, "URL-014", at, "an encoded '.' or '..' segment is not allowed");
        return 0;
}

/* `path` is empty or starts with '/'. */
static int put_path(struct reader *k, struct view path, size_t at) {
        struct view rest = view_sub(path, 1, SIZE_MAX), segment;

        k->path_at = k->out.n;
        at++;
        for (bool more = true; more;) {
                int r;

                more = view_split(&rest, '/', &segment);
                if (!more)
                        segment = rest;
                r = put_segment(k, segment, at, !more);
                if (r < 0)
                        return r;
                at += segment.n + 1;
        }
        k->path_n = k->out.n - k->path_at;
        return 0;
}

static int read_all(struct reader *k) {
        size_t authority_n, path_at, path_n;
        struct view rest;
        int start, r;

        r = check_characters(k);
        if (r < 0)
                return r;
        start = read_scheme(k);
        if (start < 0)
                return start;
        k->port = k->is_https ? 443 : 80;
        rest = view_sub(k->text, (size_t)start, SIZE_MAX);
        authority_n = MIN_OF(rest.n, MIN_OF(view_find_char(rest, '/'), view_find_char(rest, '?')));
        path_at = (size_t)start + authority_n;
        r = append(k, &k->out, k->is_https ? VIEW("https://") : VIEW("http://"));
        if (r >= 0)
                r = put_authority(k, view_sub(rest, 0, authority_n), (size_t)start);
        if (r < 0)
                return r;
        rest = view_sub(k->text, path_at, SIZE_MAX);
        path_n = MIN_OF(rest.n, view_find_char(rest, '?'));
        r = put_path(k, view_sub(rest, 0, path_n), path_at);
        if (r < 0 || path_n + 1 >= rest.n)
                return r;
        r = append(k, &k->out, VIEW("?"));
        return r < 0 ? r : put_encoded(k, view_sub(rest, path_n + 1, SIZE_MAX), path_at + path_n + 1, true);
}

static void fill(struct reader *k, struct url *ret) {
        struct view text;

        ret->text = TAKE_BUF(k->out);
        text = buf_view(&ret->text);
        ret->scheme = view_sub(text, 0, k->is_https ? 5 : 4);
        ret->host = view_sub(text, k->host_at, k->host_n);
        ret->port = k->port;
        ret->path = view_sub(text, k->path_at, k->path_n);
        ret->query = view_sub(text, k->path_at + k->path_n + 1, SIZE_MAX);
}

static int parse(struct view text, bool is_pattern, struct url *ret, struct fault *reterr) {
        struct reader k = {
                .text = text, .out = BUF_INIT(URL_MAX + 16), .is_pattern = is_pattern, .fault = reterr};
        int r;

        if (text.n > URL_MAX)
                return fault_set(reterr, -E2BIG, "URL-002", URL_MAX,
                                 "the address is longer than %d characters", URL_MAX);
        if (text.n == 0)
                return refuse(&k, "URL-001", 0, "the address is empty");
        r = read_all(&k);
        if (r >= 0)
                fill(&k, ret);
        buf_done(&k.out);
        return r < 0 ? r : 0;
}

int url_parse(struct view text, struct url *ret, struct fault *reterr) {
        return parse(text, false, ret, reterr);
}

int url_parse_pattern(struct view text, struct url *ret, struct fault *reterr) {
        return parse(text, true, ret, reterr);
}

void url_done(struct url *u) {
        buf_done(&u->text);
        *u = (struct url){.text = u->text};
}

static bool host_matches(struct view host, struct view pattern) {
        struct view suffix = view_sub(pattern, 1, SIZE_MAX);

        if (!view_starts(pattern, VIEW("*.")))
                return view_eq(host, pattern);
        return host.n > suffix.n && view_ends(host, suffix);
}

static bool path_is_beneath(struct view path, struct view pattern) {
        if (!view_starts(path, pattern))
                return false;
        return path.n == pattern.n || view_ends(pattern, VIEW("/")) || path.p[pattern.n] == '/';
}

bool url_is_beneath(const struct url *u, const struct url *pattern) {
        if (pattern->query.n > 0 && !view_eq(u->query, pattern->query))
                return false;
        return view_eq(u->scheme, pattern->scheme) && u->port == pattern->port &&
               host_matches(u->host, pattern->host) && path_is_beneath(u->path, pattern->path);
}
