/* url: a canonical form is a fixed point, its parts make up the whole, and it is beneath itself and its host. */
#include "wire/url.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void expect(bool holds) {
        if (!holds)
                abort();
}

static void check_canonical(const struct url *u) {
        _cleanup_(url_donep) struct url again = {0}, root = {0};
        _cleanup_(buf_donep) struct buf text = BUF_INIT(2 * URL_MAX);
        bool is_ipv6 = view_find_char(u->host, ':') != SIZE_MAX;

        expect(url_parse(buf_view(&u->text), &again, NULL) == 0 || u->text.n > URL_MAX);
        if (again.text.n)
                expect(view_eq(buf_view(&again.text), buf_view(&u->text)) && url_is_beneath(u, &again));
        expect(u->path.n > 0 && u->path.p[0] == '/' && view_find(u->path, VIEW("/../")) == SIZE_MAX &&
               view_find(u->path, VIEW("//")) == SIZE_MAX && !view_ends(u->path, VIEW("/..")));
        expect(view_find_char(buf_view(&u->text), '@') == SIZE_MAX ||
               view_find_char(u->host, '@') == SIZE_MAX);
        expect(buf_printf(&text, "%.*s://%s%.*s%s:%u/", VIEW_ARG(u->scheme), is_ipv6 ? "[" : "",
                          VIEW_ARG(u->host), is_ipv6 ? "]" : "", (unsigned)u->port) == 0);
        expect(url_parse(buf_view(&text), &root, NULL) == 0);
        expect(url_is_beneath(u, &root));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n) {
        _cleanup_(url_donep) struct url u = {0}, pattern = {0};
        struct fault fault = FAULT_NONE;
        int r = url_parse(view_make(data, n), &u, &fault);

        if (r < 0)
                expect(fault.rule && fault.at <= n);
        else
                check_canonical(&u);
        r = url_parse_pattern(view_make(data, n), &pattern, NULL);
        expect(r == 0 || !u.text.n); /* every address is a pattern */
        return 0;
}
