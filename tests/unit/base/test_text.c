/* num, text, hash_set, fault, clock */
#include "support/cm.h"

#include <limits.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/fault.h"
#include "base/hash_set.h"
#include "base/num.h"
#include "base/text.h"

static void test_decimal_numbers_have_one_spelling(void **state) {
        static const char *const bad[] = {"",   "-1",  "+1",  " 1",  "1 ", "01",
                                          "00", "0x1", "1e3", "1.0", "１", "-"};
        uint64_t value = 7;

        assert_int_equal(u64_parse(VIEW("0"), 10, &value), 0);
        assert_int_equal(value, 0);
        assert_int_equal(u64_parse(VIEW("18446744073709551615"), UINT64_MAX, &value), 0);
        assert_true(value == UINT64_MAX);
        for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
                assert_int_equal(u64_parse(view_of(bad[i]), UINT64_MAX, &value), -EBADMSG);
        assert_int_equal(u64_parse(VIEW("1\0"), UINT64_MAX, &value), -EBADMSG);
        assert_true(value == UINT64_MAX); /* untouched by failures */
}

static void test_numbers_hold_their_maximum_at_n_and_n_plus_1(void **state) {
        uint64_t value;
        int64_t signed_value;

        assert_int_equal(u64_parse(VIEW("100"), 100, &value), 0);
        assert_int_equal(u64_parse(VIEW("101"), 100, &value), -ERANGE);
        assert_int_equal(u64_parse(VIEW("18446744073709551616"), UINT64_MAX, &value), -ERANGE);
        assert_int_equal(u64_parse(VIEW("99999999999999999999999"), UINT64_MAX, &value), -ERANGE);
        assert_int_equal(i64_parse(VIEW("9223372036854775807"), &signed_value), 0);
        assert_true(signed_value == INT64_MAX);
        assert_int_equal(i64_parse(VIEW("9223372036854775808"), &signed_value), -ERANGE);
        assert_int_equal(i64_parse(VIEW("-9223372036854775808"), &signed_value), 0);
        assert_true(signed_value == INT64_MIN);
        assert_int_equal(i64_parse(VIEW("-9223372036854775809"), &signed_value), -ERANGE);
        assert_int_equal(i64_parse(VIEW("-0"), &signed_value), -EBADMSG);
        assert_int_equal(i64_parse(VIEW("--1"), &signed_value), -EBADMSG);
}

static void test_checked_arithmetic_overflows_loudly(void **state) {
        uint64_t u;
        size_t s;

        assert_int_equal(u64_add(UINT64_MAX, 0, &u), 0);
        assert_int_equal(u64_add(UINT64_MAX, 1, &u), -EOVERFLOW);
        assert_int_equal(u64_mul(UINT64_MAX / 2, 2, &u), 0);
        assert_int_equal(u64_mul(UINT64_MAX / 2 + 1, 2, &u), -EOVERFLOW);
        assert_int_equal(size_add(SIZE_MAX, 1, &s), -EOVERFLOW);
        assert_int_equal(size_mul(SIZE_MAX, 2, &s), -EOVERFLOW);
        assert_int_equal(u64_align_up(33, 32, &u), 0);
        assert_int_equal(u, 64);
        assert_int_equal(u64_align_up(64, 32, &u), 0);
        assert_int_equal(u, 64);
        assert_int_equal(u64_align_up(UINT64_MAX, 32, &u), -EOVERFLOW);
}

static void test_little_endian_loads_need_no_alignment(void **state) {
        static const unsigned char bytes[] = {0xee, 0x01, 0x82, 0x03, 0x84, 0x05, 0x86, 0x07, 0x88};

        assert_int_equal(load_le16(bytes + 1), 0x8201);
        assert_true(load_le32(bytes + 1) == UINT32_C(0x84038201));
        assert_true(load_le64(bytes + 1) == UINT64_C(0x8807860584038201));
}

static void test_utf8_borders(void **state) {
        static const struct {
                struct view in;
                size_t n;
                uint32_t code_point;
        } table[] = {
                {VIEW_INIT("\0"), 1, 0},
                {VIEW_INIT("\x7f"), 1, 0x7f},
                {VIEW_INIT("\xc2\x80"), 2, 0x80},
                {VIEW_INIT("\xdf\xbf"), 2, 0x7ff},
                {VIEW_INIT("\xe0\xa0\x80"), 3, 0x800},
                {VIEW_INIT("\xed\x9f\xbf"), 3, 0xd7ff},
                {VIEW_INIT("\xee\x80\x80"), 3, 0xe000},
                {VIEW_INIT("\xef\xbf\xbf"), 3, 0xffff},
                {VIEW_INIT("\xf0\x90\x80\x80"), 4, 0x10000},
                {VIEW_INIT("\xf4\x8f\xbf\xbf"), 4, 0x10ffff},
                {VIEW_INIT(""), 0, 0},
                {VIEW_INIT("\x80"), 0, 0},
                {VIEW_INIT("\xc0\x80"), 0, 0},
                {VIEW_INIT("\xc1\xbf"), 0, 0},
                {VIEW_INIT("\xe0\x9f\xbf"), 0, 0},
                {VIEW_INIT("\xed\xa0\x80"), 0, 0},
                {VIEW_INIT("\xed\xbf\xbf"), 0, 0},
                {VIEW_INIT("\xf0\x8f\xbf\xbf"), 0, 0},
                {VIEW_INIT("\xf4\x90\x80\x80"), 0, 0},
                {VIEW_INIT("\xf5\x80\x80\x80"), 0, 0},
                {VIEW_INIT("\xff"), 0, 0},
                {VIEW_INIT("\xc3"), 0, 0},
                {VIEW_INIT("\xe2\x82"), 0, 0},
                {VIEW_INIT("\xf0\x9f\x98"), 0, 0},
                {VIEW_INIT("\xe2(\xa1"), 0, 0},
        };

        for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
                uint32_t code_point = 0;

                assert_int_equal(utf8_decode(table[i].in, &code_point), table[i].n);
                if (table[i].n)
                        assert_int_equal(code_point, table[i].code_point);
        }
}

static void test_utf8_fault_is_found_at_every_position(void **state) {
        char text[40];

        memset(text, 'a', sizeof text);
        assert_true(utf8_first_fault(view_make(text, sizeof text)) == SIZE_MAX);
        assert_true(utf8_first_fault(VIEW_NULL) == SIZE_MAX);
        for (size_t i = 0; i < sizeof text; i++) {
                text[i] = '\xff';
                assert_int_equal(utf8_first_fault(view_make(text, sizeof text)), i);
                text[i] = 'a';
        }
        for (size_t i = 0; i < sizeof text - 1; i++) {
                memcpy(text + i, "\xc3\xa9", 2);
                assert_true(utf8_first_fault(view_make(text, sizeof text)) == SIZE_MAX);
                assert_int_equal(utf8_first_fault(view_make(text, i + 1)), i); /* cut in the middle */
                memset(text + i, 'a', 2);
        }
}

static void test_hex_has_one_spelling(void **state) {
        unsigned char out[3] = {9, 9, 9};
        char text[6];

        hex_encode("\x00\xaf\xff", 3, text);
        assert_memory_equal(text, "00afff", 6);
        assert_int_equal(hex_decode(VIEW("00afff"), out, 3), 0);
        assert_memory_equal(out, "\x00\xaf\xff", 3);
        assert_int_equal(hex_decode(VIEW("00AFFF"), out, 3), -EBADMSG);
        assert_int_equal(hex_decode(VIEW("00affg"), out, 3), -EBADMSG);
        assert_int_equal(hex_decode(VIEW("00aff"), out, 3), -EBADMSG);
        assert_int_equal(hex_decode(VIEW("00afff00"), out, 3), -EBADMSG);
        assert_int_equal(hex_decode(VIEW(""), out, 0), 0);
}

static void test_base64_of_rfc_4648(void **state) {
        static const char *const table[][2] = {
                {"", ""},
                {"f", "Zg=="},
                {"fo", "Zm8="},
                {"foo", "Zm9v"},
                {"foob", "Zm9vYg=="},
                {"fooba", "Zm9vYmE="},
                {"foobar", "Zm9vYmFy"},
        };

        for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
                _cleanup_(buf_donep) struct buf text = BUF_INIT(64), back = BUF_INIT(64);

                assert_int_equal(base64_encode(view_of(table[i][0]), &text), 0);
                assert_string_equal(buf_str(&text), table[i][1]);
                assert_int_equal(base64_decode(buf_view(&text), &back), 0);
                assert_string_equal(buf_str(&back), table[i][0]);
        }
}

static void test_base64_refuses_other_spellings(void **state) {
        static const char *const bad[] = {"Zg",   "Zg=",  "Zg===",    "Zh==", "Zm9=",
                                          "Z===", "====", "Zg==Zg==", "Z g=", "Zm9v\n",
                                          "Zm-v", "Zm_v", "=Zm9",     "Zm=v", "Zm9v "};
        _cleanup_(buf_donep) struct buf out = BUF_INIT(64);

        assert_int_equal(buf_append_str(&out, "before"), 0);
        for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
                assert_int_equal(base64_decode(view_of(bad[i]), &out), -EBADMSG);
                assert_string_equal(out.p, "before");
        }
}

/* Test vectors of the reference implementation (vectors_sip128, key 00…0f, input 00, 01, 02, …). */
static void test_siphash_128_reference_vectors(void **state) {
        static const struct {
                size_t n;
                const char *hex;
        } vectors[] = {
                {0, "a3817f04ba25a8e66df67214c7550293"},
                {1, "da87c1d86b99af44347659119b22fc45"},
                {2, "8177228da4a45dc7fca38bdef60affe4"},
                {15, "5493e99933b0a8117e08ec0f97cfc3d9"},
        };
        uint8_t key[16], input[64];

        for (uint8_t i = 0; i < 64; i++)
                input[i] = i;
        memcpy(key, input, sizeof key);
        for (size_t i = 0; i < ARRAY_SIZE(vectors); i++) {
                uint8_t expected[16];
                uint64_t out[2];

                siphash_128(key, view_make(input, vectors[i].n), out);
                assert_int_equal(hex_decode(view_of(vectors[i].hex), expected, 16), 0);
                assert_true(out[0] == load_le64(expected) && out[1] == load_le64(expected + 8));
        }
}

static void test_hash_set_remembers_many_keys(void **state) {
        _cleanup_(hash_set_freep) struct hash_set *set = NULL;
        char name[32];

        assert_int_equal(hash_set_new(10000, &set), 0);
        for (int round = 0; round < 2; round++)
                for (int i = 0; i < 10000; i++) {
                        int n = snprintf(name, sizeof name, "key %d", i);

                        assert_int_equal(hash_set_add(set, view_make(name, (size_t)n)), round == 0);
                }
        assert_int_equal(hash_set_count(set), 10000);
        assert_int_equal(hash_set_add(set, VIEW("one more")), -E2BIG);
        assert_int_equal(hash_set_add(set, VIEW("key 7")), 0);
        hash_set_clear(set);
        assert_int_equal(hash_set_count(set), 0);
        assert_int_equal(hash_set_add(set, VIEW("key 7")), 1);
        assert_int_equal(hash_set_add(set, VIEW("")), 1);
        assert_int_equal(hash_set_add(set, VIEW_NULL), 0);
        assert_int_equal(hash_set_add(set, VIEW("key 7\0")), 1);
}

static void test_fault_cuts_its_text_and_returns_the_code(void **state) {
        struct fault fault = FAULT_NONE;
        char text[400];

        memset(text, 'x', sizeof text - 1);
        text[sizeof text - 1] = '\0';
        assert_int_equal(fault_set(&fault, -EBADMSG, "TEST-001", 42, "%s", text), -EBADMSG);
        assert_int_equal(fault.code, -EBADMSG);
        assert_string_equal(fault.rule, "TEST-001");
        assert_int_equal(fault.at, 42);
        assert_int_equal(strlen(fault.text), FAULT_TEXT_MAX - 1);
        assert_int_equal(fault_set(NULL, -EIO, "TEST-001", 0, "x"), -EIO);
}

static void test_timestamps_are_rfc_3339(void **state) {
        char text[CLOCK_TEXT_SIZE];

        clock_format(0, text);
        assert_string_equal(text, "1970-01-01T00:00:00.000000Z");
        clock_format(UINT64_C(951827696789012), text);
        assert_string_equal(text, "2000-02-29T12:34:56.789012Z");
        clock_format(UINT64_C(253402300799999999), text);
        assert_string_equal(text, "9999-12-31T23:59:59.999999Z");
}

static void test_clocks_move_forward(void **state) {
        uint64_t a = clock_monotonic_usec(), b = clock_boot_usec();
        char id[33];

        assert_true(a > 0 && b >= a - USEC_PER_SEC);
        assert_true(clock_monotonic_usec() >= a);
        assert_true(clock_real_usec() > UINT64_C(1700000000) * USEC_PER_SEC);
        clock_boot_id(id);
        assert_int_equal(strlen(id), 32);
        assert_int_equal(strspn(id, "0123456789abcdef"), 32);
}

static void test_poll_timeouts_never_overflow(void **state) {
        uint64_t now = clock_monotonic_usec();

        assert_int_equal(clock_poll_timeout(0), 0);
        assert_int_equal(clock_poll_timeout(now), 0);
        assert_int_equal(clock_poll_timeout(UINT64_MAX), INT_MAX);
        assert_in_range(clock_poll_timeout(now + 3600 * USEC_PER_SEC), 3590000, 3600000);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_decimal_numbers_have_one_spelling),
                cmocka_unit_test(test_numbers_hold_their_maximum_at_n_and_n_plus_1),
                cmocka_unit_test(test_checked_arithmetic_overflows_loudly),
                cmocka_unit_test(test_little_endian_loads_need_no_alignment),
                cmocka_unit_test(test_utf8_borders),
                cmocka_unit_test(test_utf8_fault_is_found_at_every_position),
                cmocka_unit_test(test_hex_has_one_spelling),
                cmocka_unit_test(test_base64_of_rfc_4648),
                cmocka_unit_test(test_base64_refuses_other_spellings),
                cmocka_unit_test(test_siphash_128_reference_vectors),
                cmocka_unit_test(test_hash_set_remembers_many_keys),
                cmocka_unit_test(test_fault_cuts_its_text_and_returns_the_code),
                cmocka_unit_test(test_timestamps_are_rfc_3339),
                cmocka_unit_test(test_clocks_move_forward),
                cmocka_unit_test(test_poll_timeouts_never_overflow),
        };

        return cmocka_run_group_tests_name("text", tests, NULL, NULL);
}
