/* Bundles of the Sigstore and certificate methods from a Sigstore of our own: sound ones pass, and each of the damages is
 * refused under its own rule. */
#include "support/cm.h"

#include "core/sig_check.h"
#include "support/sig_world.h"

static int setup(void **state) {
        *state = world_new();
        return 0;
}

static int teardown(void **state) {
        world_free(*state);
        return 0;
}

static void expect(struct world *w, struct view text, const char *rule, int line, struct sig_result *result,
                   uint64_t now) {
        _cleanup_(sig_bundle_freep) struct sig_bundle *b = NULL;
        struct fault why = FAULT_NONE;
        struct sha256 file;
        int r;

        assert_int_equal(sha256_of(VIEW(WORLD_FILE), &file), 0);
        r = sig_bundle_read(text, &b, &why);
        if (r >= 0)
                r = sig_check_file(b, world_trust(w), &file, now, result, &why);
        if (strcmp(r < 0 ? (why.rule ? why.rule : "none") : "", rule) != 0)
                fail_msg("damage %d: expected \"%s\", got %s: %s", line, rule,
                         why.rule ? why.rule : "nothing", why.text);
}

static void expect_bundle(struct world *w, enum flavour flavour, enum damage damage, const char *rule) {
        struct buf text = BUF_INIT(1 << 20);
        struct sig_result result = {0};

        world_bundle(w, flavour, damage, &text);
        expect(w, buf_view(&text), rule, (int)damage + 1000 * (int)flavour, &result, 0);
        if (rule[0] == '\0') {
                assert_int_equal(result.method, SIG_METHOD_SIGSTORE);
                assert_string_equal(result.who, WORLD_IDENTITY);
                assert_string_equal(result.issuer, WORLD_ISSUER);
                assert_int_equal(result.signed_at, WORLD_TIME);
                assert_int_equal(strlen(result.key_id), 64);
        }
        buf_done(&text);
}

static void test_sound_bundles_of_each_sort_pass(void **state) {
        expect_bundle(*state, MESSAGE_V1, SOUND, "");
        expect_bundle(*state, ENVELOPE_V1, SOUND, "");
        expect_bundle(*state, MESSAGE_V2, SOUND, "");
}

static const struct {
        enum damage damage;
        const char *rule;
        bool first, second; /* generations of the log that have the part */
} damages[] = {
        {LEAF_EXPIRED, "PROVENANCE-043", true, true},
        {LEAF_NOT_YET, "PROVENANCE-043", true, true},
        {LEAF_TLS, "PROVENANCE-042", true, true},
        {LEAF_NO_EKU, "PROVENANCE-042", true, true},
        {LEAF_IS_CA, "PROVENANCE-042", true, true},
        {LEAF_OF_STRANGER, "PROVENANCE-041", true, true},
        {LEAF_OTHER_IDENTITY, "PROVENANCE-060", true, true},
        {LEAF_OTHER_ISSUER, "PROVENANCE-061", true, true},
        {LEAF_NO_ISSUER, "PROVENANCE-061", true, true},
        {LEAF_TWO_NAMES, "PROVENANCE-060", true, true},
        {LEAF_DNS_NAME, "PROVENANCE-060", true, true},
        {LEAF_SAN_NOT_CRITICAL, "PROVENANCE-060", true, true},
        {SCT_MISSING, "PROVENANCE-059", true, true},
        {SCT_WRONG, "PROVENANCE-059", true, true},
        {SCT_UNKNOWN_LOG, "PROVENANCE-059", true, true},
        {SET_OVER_OTHER_BODY, "PROVENANCE-053", true, false},
        {SET_OTHER_TIME, "PROVENANCE-053", true, false},
        {SET_BY_STRANGER, "PROVENANCE-053", true, false},
        {SET_MISSING, "PROVENANCE-062", true, false},
        {PATH_TOO_LONG, "PROVENANCE-054", true, true},
        {PATH_TOO_SHORT, "PROVENANCE-054", true, true},
        {PATH_CHANGED, "PROVENANCE-055", true, true},
        {INDEX_BEYOND_SIZE, "PROVENANCE-054", true, true},
        {INDEX_OTHER, "PROVENANCE-055", true, false},
        {INDEX_OTHER, "PROVENANCE-054", false, true},
        {PROOF_MISSING, "PROVENANCE-054", true, true},
        {CHECKPOINT_SIZE, "PROVENANCE-057", true, true},
        {CHECKPOINT_ROOT, "PROVENANCE-057", true, true},
        {CHECKPOINT_ZERO_PADDED, "PROVENANCE-056", true, true},
        {CHECKPOINT_BY_STRANGER, "PROVENANCE-056", true, true},
        {CHECKPOINT_BROKEN_SIGNATURE, "PROVENANCE-056", true, true},
        {CHECKPOINT_UNSIGNED, "PROVENANCE-056", true, true},
        {CHECKPOINT_MISSING, "PROVENANCE-056", true, true},
        {LOG_UNKNOWN, "PROVENANCE-064", true, true},
        {NO_ENTRY, "PROVENANCE-051", true, true},
        {KIND_UNKNOWN, "PROVENANCE-062", true, false}, /* its time does not count either */
        {KIND_UNKNOWN, "PROVENANCE-052", false, true},
        {KIND_LIES, "PROVENANCE-058", true, true},
        {BODY_OTHER_HASH, "PROVENANCE-058", true, true},
        {BODY_OTHER_SIGNATURE, "PROVENANCE-058", true, true},
        {BODY_OTHER_CERTIFICATE, "PROVENANCE-058", true, true},
        {BODY_DUPLICATE_KEY, "PROVENANCE-058", true, true},
        {SIGNATURE_OTHER, "PROVENANCE-017", true, true},
        {STAMP_MISSING, "PROVENANCE-062", false, true},
        {STAMP_OVER_OTHER, "PROVENANCE-063", true, true},
        {STAMP_OUT_OF_WINDOW, "PROVENANCE-063", true, true},
        {STAMP_BY_STRANGER, "PROVENANCE-063", true, true},
};

static void test_each_damage_is_refused_under_its_rule(void **state) {
        for (size_t i = 0; i < ARRAY_SIZE(damages); i++) {
                if (damages[i].first) {
                        expect_bundle(*state, MESSAGE_V1, damages[i].damage, damages[i].rule);
                        expect_bundle(*state, ENVELOPE_V1, damages[i].damage, damages[i].rule);
                }
                if (damages[i].second)
                        expect_bundle(*state, MESSAGE_V2, damages[i].damage, damages[i].rule);
        }
        expect_bundle(*state, MESSAGE_V1, DIGEST_OTHER, "PROVENANCE-018");
        expect_bundle(*state, MESSAGE_V2, DIGEST_OTHER, "PROVENANCE-018");
}

static void expect_chain(struct world *w, uint64_t from, uint64_t to, enum damage damage, uint64_t now,
                         const char *rule) {
        struct buf text = BUF_INIT(1 << 20);
        struct sig_result result = {0};

        world_chain_bundle(w, from, to, damage, &text);
        expect(w, buf_view(&text), rule, (int)damage, &result, now);
        if (rule[0] == '\0')
                assert_int_equal(result.method, SIG_METHOD_CERTIFICATE);
        buf_done(&text);
}

/* The reference takes the start of the certificate as the time, so that it never expires there. */
static void test_a_certificate_counts_only_while_it_is_valid(void **state) {
        const uint64_t from = WORLD_TIME, to = WORLD_TIME + 1000;

        expect_chain(*state, from, to, SOUND, WORLD_TIME + 10, "");
        expect_chain(*state, from, to, SOUND, WORLD_TIME + 2000, "PROVENANCE-043");
        expect_chain(*state, from, to, SOUND, WORLD_TIME - 10, "PROVENANCE-043");
        expect_chain(*state, from, to, LEAF_TLS, WORLD_TIME + 10, "PROVENANCE-042");
        expect_chain(*state, from, to, LEAF_IS_CA, WORLD_TIME + 10, "PROVENANCE-042");
        expect_chain(*state, from, to, LEAF_OF_STRANGER, WORLD_TIME + 10, "PROVENANCE-041");
        expect_chain(*state, from, to, SIGNATURE_OTHER, WORLD_TIME + 10, "PROVENANCE-017");
        expect_chain(*state, from, to, STAMP_OVER_OTHER, WORLD_TIME + 10, "PROVENANCE-063");
        expect_chain(*state, from, to, STAMP_BY_STRANGER, WORLD_TIME + 10, "PROVENANCE-063");
}

/* With a time stamp a certificate that has expired since still counts. */
static void test_a_time_stamp_outlives_the_certificate(void **state) {
        expect_chain(*state, WORLD_TIME, WORLD_TIME + 1000, STAMP_SOUND, WORLD_TIME + 99999, "");
}

static void test_without_a_pinned_root_nothing_is_believed(void **state) {
        struct sig_trust empty = {0};
        struct buf text = BUF_INIT(1 << 20);
        _cleanup_(sig_bundle_freep) struct sig_bundle *b = NULL;
        struct fault why = FAULT_NONE;
        struct sig_result result;
        struct sha256 file = {0};

        world_bundle(*state, MESSAGE_V1, SOUND, &text);
        assert_int_equal(sig_bundle_read(buf_view(&text), &b, NULL), 0);
        assert_true(sig_check_file(b, &empty, &file, 0, &result, &why) < 0);
        assert_string_equal(why.rule, "PROVENANCE-050");
        buf_done(&text);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_sound_bundles_of_each_sort_pass),
                cmocka_unit_test(test_each_damage_is_refused_under_its_rule),
                cmocka_unit_test(test_a_certificate_counts_only_while_it_is_valid),
                cmocka_unit_test(test_a_time_stamp_outlives_the_certificate),
                cmocka_unit_test(test_without_a_pinned_root_nothing_is_believed),
        };

        return cmocka_run_group_tests(tests, setup, teardown);
}
