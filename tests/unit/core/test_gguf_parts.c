#include "support/cm.h"

#include "core/gguf_parts.h"

static int find(const char *const *paths, struct gguf_parts *ret) {
        _cleanup_(set_listing_donep) struct set_listing s = {0};
        const struct sha256 zero = {{0}};

        for (; *paths; paths++)
                assert_int_equal(set_listing_add(&s, view_of(*paths), 1, &zero), 0);
        assert_int_equal(set_listing_sort(&s), 0);
        return gguf_parts_find(&s, ret);
}

static void parts_come_in_the_order_of_their_numbers_whatever_lies_beside(void **state) {
        static const char *const paths[] = {"sub/m-00003-of-00003.gguf", "zz.txt",
                                            "sub/m-00001-of-00003.gguf", "README.md",
                                            "sub/m-00002-of-00003.gguf", NULL};
        static const char *const one[] = {"m-00001-of-00001.gguf", NULL};
        struct gguf_parts p;

        assert_int_equal(find(paths, &p), 0);
        assert_int_equal(p.n, 3);
        for (unsigned i = 0; i < 3; i++)
                assert_int_equal(p.index[i], i + 1);
        assert_int_equal(find(one, &p), 0);
        assert_int_equal(p.n, 1);
}

static void a_model_in_one_file_needs_no_numbers(void **state) {
        static const char *const paths[] = {"LICENSE", "README.md", "pebble-Q8_0.gguf", NULL};
        struct gguf_parts p;

        assert_int_equal(find(paths, &p), 0);
        assert_int_equal(p.n, 1);
        assert_int_equal(p.index[0], 2);
}

static void what_is_not_one_model_in_parts_is_refused(void **state) {
        static const char *const cases[][4] = {
                {"a.txt", NULL},                           /* none */
                {"a.gguf", "b.gguf", NULL},                /* not numbered */
                {"m-00001-of-00001.gguf", "x.gguf", NULL}, /* and one whole beside */
                {"a.gguf", "m-00002-of-00002.gguf", NULL},
                {"m-00001-of-00002.gguf", NULL},                              /* one missing at the end */
                {"m-00002-of-00002.gguf", NULL},                              /* and at the beginning */
                {"m-00001-of-00003.gguf", "m-00003-of-00003.gguf", NULL},     /* and between */
                {"m-00001-of-00002.gguf", "n-00002-of-00002.gguf", NULL},     /* two models */
                {"a/m-00001-of-00002.gguf", "b/m-00002-of-00002.gguf", NULL}, /* two folders */
                {"m-00001-of-00002.gguf", "m-00002-of-00003.gguf", NULL},     /* two counts */
                {"m-00001-of-00002.gguf", "m-00002-of-00002.gguf", "x.gguf", NULL}, /* one more */
                {"m-00000-of-00001.gguf", NULL},
                {"m-0000a-of-00002.gguf", "m-00002-of-00002.gguf", NULL},
                {"-00001-of-00002.gguf", "-00002-of-00002.gguf", NULL}, /* no name */
        };
        struct gguf_parts p;

        for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
                assert_int_equal(find(cases[i], &p), -EBADMSG);
}

static void as_many_parts_as_the_launcher_hands_on(void **state) {
        char names[GGUF_PARTS_MAX + 1][64];
        const char *paths[GGUF_PARTS_MAX + 2] = {NULL};
        struct gguf_parts p;

        for (unsigned count = GGUF_PARTS_MAX; count <= GGUF_PARTS_MAX + 1; count++) {
                for (unsigned i = 0; i < count; i++) {
                        (void)snprintf(names[i], sizeof names[i], "m-%05u-of-%05u.gguf", i + 1, count);
                        paths[i] = names[i];
                }
                assert_int_equal(find(paths, &p), count == GGUF_PARTS_MAX ? 0 : -EBADMSG);
        }
        assert_int_equal(p.n, GGUF_PARTS_MAX);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(parts_come_in_the_order_of_their_numbers_whatever_lies_beside),
                cmocka_unit_test(a_model_in_one_file_needs_no_numbers),
                cmocka_unit_test(what_is_not_one_model_in_parts_is_refused),
                cmocka_unit_test(as_many_parts_as_the_launcher_hands_on),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
