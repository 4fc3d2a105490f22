#include "support/cm.h"

#include "support/fault_inject.h"
#include "wire/url.h"

static void test_parts_point_into_the_canonical_text(void **state) {
        struct url u = {0};

        assert_int_equal(url_parse(VIEW("HTTPS://Example.ORG:8443/a/../b%7e?x=%2f"), &u, NULL), 0);
        assert_string_equal(u.text.p, "https://example.org:8443/b~?x=%2F");
        assert_true(view_eq(u.scheme, VIEW("https")));
        assert_true(view_eq(u.host, VIEW("example.org")));
        assert_int_equal(u.port, 8443);
        assert_true(view_eq(u.path, VIEW("/b~")));
        assert_true(view_eq(u.query, VIEW("x=%2F")));
        url_done(&u);
        assert_int_equal(u.host.n, 0);
}

static void test_hosts_of_ipv6_lose_their_brackets(void **state) {
        struct url u = {0};

        assert_int_equal(url_parse(VIEW("http://[2001:DB8::1]/"), &u, NULL), 0);
        assert_true(view_eq(u.host, VIEW("2001:db8::1")));
        assert_int_equal(u.port, 80);
        assert_int_equal(u.query.n, 0);
        url_done(&u);
}

static void test_length_limit_holds_at_n_and_n_plus_1(void **state) {
        char text[URL_MAX + 2] = "https://example.org/";
        struct url u = {0};

        memset(text + 20, 'x', sizeof text - 20);
        assert_int_equal(url_parse(view_make(text, URL_MAX), &u, NULL), 0);
        url_done(&u);
        assert_int_equal(url_parse(view_make(text, URL_MAX + 1), &u, NULL), -E2BIG);
}

static bool is_beneath(const char *text, const char *pattern_text) {
        _cleanup_(url_donep) struct url u = {0}, pattern = {0};

        assert_int_equal(url_parse(view_of(text), &u, NULL), 0);
        assert_int_equal(url_parse_pattern(view_of(pattern_text), &pattern, NULL), 0);
        return url_is_beneath(&u, &pattern);
}

static void test_beneath_ends_at_a_slash(void **state) {
        assert_true(is_beneath("https://h.example/org", "https://h.example/org"));
        assert_true(is_beneath("https://h.example/org/m.gguf", "https://h.example/org"));
        assert_true(is_beneath("https://h.example/org/m.gguf", "https://h.example/org/"));
        assert_true(is_beneath("https://h.example/org/m.gguf?download=1", "https://h.example/org"));
        assert_true(is_beneath("https://h.example/x", "https://h.example"));
        assert_false(is_beneath("https://h.example/organisation", "https://h.example/org"));
        assert_false(is_beneath("https://h.example/org", "https://h.example/org/"));
        assert_false(is_beneath("https://h.example/", "https://h.example/org"));
        assert_false(is_beneath("https://h.example/org/../x", "https://h.example/org"));
        assert_false(is_beneath("https://h.example/ORG/m", "https://h.example/org"));
}

static void test_beneath_needs_scheme_host_and_port(void **state) {
        assert_false(is_beneath("http://h.example/", "https://h.example/"));
        assert_false(is_beneath("https://h.example:8443/", "https://h.example/"));
        assert_true(is_beneath("https://h.example:443/", "https://h.example/"));
        assert_false(is_beneath("https://h.example.evil.org/", "https://h.example/"));
        assert_false(is_beneath("https://evil-h.example/", "https://h.example/"));
        assert_false(is_beneath("https://sub.h.example/", "https://h.example/"));
}

static void test_a_star_stands_for_subdomains_only(void **state) {
        assert_true(is_beneath("https://a.h.example/", "https://*.h.example/"));
        assert_true(is_beneath("https://a.b.h.example/", "https://*.h.example/"));
        assert_false(is_beneath("https://h.example/", "https://*.h.example/"));
        assert_false(is_beneath("https://evilh.example/", "https://*.h.example/"));
}

static void test_a_star_anywhere_else_is_refused(void **state) {
        static const char *const bad[] = {"https://*/",           "https://*h.example/",
                                          "https://a.*.example/", "https://**.h.example/",
                                          "https://*.1.2.3/",     "https://*.*.example/"};
        struct url u = {0};

        for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
                assert_int_equal(url_parse_pattern(view_of(bad[i]), &u, NULL), -EBADMSG);
        assert_int_equal(url_parse(VIEW("https://*.h.example/"), &u, NULL), -EBADMSG);
}

static void test_a_query_in_a_pattern_must_be_the_same(void **state) {
        assert_true(is_beneath("https://h.example/a?x=1", "https://h.example/a?x=1"));
        assert_false(is_beneath("https://h.example/a?x=2", "https://h.example/a?x=1"));
        assert_false(is_beneath("https://h.example/a", "https://h.example/a?x=1"));
}

static int parse_for_walk(void *userdata) {
        return url_parse(
                VIEW("https://example.org:8443/some/long/path/../that/grows/the/buffer/more/than/once?a=b"),
                userdata, NULL);
}

static void check_walk(int result, void *userdata) {
        struct url *u = userdata;

        assert_true(result == 0 || result == -ENOMEM);
        if (result == 0)
                assert_int_equal(u->port, 8443);
        url_done(u);
}

static void test_parse_survives_every_failed_allocation(void **state) {
        struct url u = {0};

        assert_true(fault_inject_walk(FAULT_ALLOCATION, parse_for_walk, check_walk, &u) >= 2);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_parts_point_into_the_canonical_text),
                cmocka_unit_test(test_hosts_of_ipv6_lose_their_brackets),
                cmocka_unit_test(test_length_limit_holds_at_n_and_n_plus_1),
                cmocka_unit_test(test_beneath_ends_at_a_slash),
                cmocka_unit_test(test_beneath_needs_scheme_host_and_port),
                cmocka_unit_test(test_a_star_stands_for_subdomains_only),
                cmocka_unit_test(test_a_star_anywhere_else_is_refused),
                cmocka_unit_test(test_a_query_in_a_pattern_must_be_the_same),
                cmocka_unit_test(test_parse_survives_every_failed_allocation),
        };

        return cmocka_run_group_tests_name("url", tests, NULL, NULL);
}
