/* Bundles of the key method: what we sign verifies, and every damage is refused under its own rule. */
#include "support/cm.h"

#include <fcntl.h>
#include <ftw.h>
#include <openssl/evp.h>
#include <sys/stat.h>

#include "base/file.h"
#include "base/text.h"
#include "core/sig_check.h"
#include "core/sig_sign.h"

struct fixture {
        char path[64];
        int dir; /* the model */
        int store;
        struct sig_signer *signer, *other;
        struct sig_trust *trust;
        struct buf payload, bundle;
};

static void put(int dir, const char *name, const char *text) {
        assert_int_equal(replace_file(dir, name, view_of(text), 0644), 0);
}

static void make_payload(struct fixture *f) {
        static const char *const left_out[] = {".git", "model.sig", NULL};
        struct sig_tree t = {0};

        assert_int_equal(sig_tree_list(f->dir, left_out, &t, NULL), 0);
        assert_int_equal(sig_tree_hash(f->dir, &t, NULL), 0);
        assert_int_equal(sig_statement_write("m", t.files, t.n, left_out, &f->payload), 0);
        sig_tree_done(&t);
}

static int setup(void **state) {
        struct fixture *f = calloc(1, sizeof *f);
        struct buf pem = BUF_INIT(4096);
        int sub;

        (void)snprintf(f->path, sizeof f->path, "/tmp/test_sig_key.XXXXXX");
        assert_non_null(mkdtemp(f->path));
        f->store = open_dir(f->path);
        f->dir = open_or_make_dir(f->store, "m", 0755);
        assert_true(f->dir >= 0);
        put(f->dir, "a.txt", "one");
        put(f->dir, "empty", "");
        sub = open_or_make_dir(f->dir, "a", 0755);
        put(sub, "b", "two");
        close(sub);
        assert_int_equal(sig_signer_make(f->store, "owner", true), 0);
        assert_int_equal(sig_signer_make(f->store, "other", false), 0);
        assert_int_equal(sig_signer_load(f->store, "owner", &f->signer), 0);
        assert_int_equal(sig_signer_load(f->store, "other", &f->other), 0);
        assert_int_equal(sig_signer_public_pem(f->signer, &(struct buf){.max = 0}), -EFBIG);
        assert_int_equal(sig_signer_public_pem(f->signer, &pem), 0);
        assert_int_equal(sig_trust_of_key(buf_view(&pem), "owner.pub", &f->trust, NULL), 0);
        buf_done(&pem);
        f->payload = f->bundle = BUF_INIT(1 << 20);
        make_payload(f);
        assert_int_equal(sig_signer_bundle(f->signer, buf_view(&f->payload), &f->bundle), 0);
        *state = f;
        return 0;
}

static int remove_one(const char *path, const struct stat *st, int flag, struct FTW *at) {
        return remove(path);
}

static int teardown(void **state) {
        struct fixture *f = *state;

        close(f->dir);
        close(f->store);
        sig_signer_free(f->signer);
        sig_signer_free(f->other);
        sig_trust_free(f->trust);
        buf_done(&f->payload);
        buf_done(&f->bundle);
        assert_int_equal(nftw(f->path, remove_one, 8, FTW_DEPTH | FTW_PHYS), 0);
        free(f);
        return 0;
}

/* "" = accepted */
static void expect_of(const struct fixture *f, struct view bundle, const char *rule) {
        _cleanup_(sig_bundle_freep) struct sig_bundle *b = NULL;
        struct fault why = FAULT_NONE;
        struct sig_result result;
        int r = sig_bundle_read(bundle, &b, &why);

        if (r >= 0)
                r = sig_check_folder(b, f->trust, f->dir, NULL, 0, &result, &why);
        assert_string_equal(r < 0 ? (why.rule ? why.rule : "none") : "", rule);
        if (r >= 0) {
                assert_int_equal(result.method, SIG_METHOD_KEY);
                assert_string_equal(result.who, "owner.pub");
                assert_string_equal(result.key_id, f->trust->keys[0].id);
        }
}

/* `text` with the first `from` replaced by `to`. */
static struct buf replaced(struct view text, const char *from, const char *to) {
        struct buf out = BUF_INIT(1 << 20);
        size_t at = view_find(text, view_of(from));

        assert_true(at != SIZE_MAX);
        assert_int_equal(buf_append(&out, text.p, at), 0);
        assert_int_equal(buf_append_str(&out, to), 0);
        assert_int_equal(buf_append_view(&out, view_sub(text, at + strlen(from), SIZE_MAX)), 0);
        return out;
}

static void test_what_we_sign_verifies(void **state) {
        struct fixture *f = *state;

        expect_of(f, buf_view(&f->bundle), "");
}

static void test_every_change_of_the_folder_is_found(void **state) {
        struct fixture *f = *state;
        struct view bundle = buf_view(&f->bundle);

        put(f->dir, "a.txt", "One");
        expect_of(f, bundle, "PROVENANCE-031");
        put(f->dir, "a.txt", "onee");
        expect_of(f, bundle, "PROVENANCE-031");
        put(f->dir, "a.txt", "one");
        put(f->dir, "c", "");
        expect_of(f, bundle, "PROVENANCE-032");
        assert_int_equal(unlinkat(f->dir, "c", 0), 0);
        assert_int_equal(symlinkat("a.txt", f->dir, "c"), 0);
        expect_of(f, bundle, "PROVENANCE-033");
        assert_int_equal(unlinkat(f->dir, "c", 0), 0);
        assert_int_equal(mkfifoat(f->dir, "c", 0600), 0);
        expect_of(f, bundle, "PROVENANCE-033");
        assert_int_equal(unlinkat(f->dir, "c", 0), 0);
        assert_int_equal(unlinkat(f->dir, "a.txt", 0), 0);
        expect_of(f, bundle, "PROVENANCE-030");
        assert_int_equal(symlinkat("empty", f->dir, "a.txt"), 0);
        expect_of(f, bundle, "PROVENANCE-033");
        assert_int_equal(unlinkat(f->dir, "a.txt", 0), 0);
        put(f->dir, "a.txt", "one");
        put(f->dir, "model.sig",
            "not the bundle"); /* the signer left it out; it is not covered, so it is extra */
        expect_of(f, bundle, "PROVENANCE-032");
        assert_int_equal(unlinkat(f->dir, "model.sig", 0), 0);
        assert_int_equal(mkdirat(f->dir, ".git", 0755), 0);
        expect_of(f, bundle, "");
        assert_int_equal(unlinkat(f->dir, ".git", AT_REMOVEDIR), 0);
}

static void test_every_damage_of_the_bundle_has_its_rule(void **state) {
        static const struct {
                const char *from, *to, *rule;
        } cases[] = {
                {"{\"mediaType\":", "{\"mediaType\":\"x\",\"mediaType\":", "PROVENANCE-010"},
                {"{\"mediaType\":", "[\"mediaType\",", "PROVENANCE-010"},
                {"}}", "}", "PROVENANCE-010"},
                {"bundle.v0.3+json", "bundle.v0.4+json", "PROVENANCE-011"},
                {"bundle.v0.3+json", "bundle.v0.3+json2", "PROVENANCE-011"},
                {"\"mediaType\":", "\"media\":", "PROVENANCE-011"},
                {"\"verificationMaterial\":", "\"extra\":1,\"verificationMaterial\":", "PROVENANCE-010"},
                {"\"payload\":\"", "\"payload\":\" ", "PROVENANCE-012"},
                {"\"payload\":\"", "\"payload\":\"A", "PROVENANCE-012"},
                {"\"payload\":\"", "\"payload\":\"AAAA", "PROVENANCE-017"},
                {"\"sig\":\"", "\"sig\":\"-", "PROVENANCE-012"},
                {"\"sig\":\"M", "\"sig\":\"N", "PROVENANCE-017"},
                {"\"signatures\":[{", "\"signatures\":[{\"sig\":\"AAAA\"},{", "PROVENANCE-013"},
                {"\"signatures\":[", "\"signatures\":[],\"x\":[", "PROVENANCE-010"},
                {"\"dsseEnvelope\":", "\"messageSignature\":{\"signature\":\"AAAA\"},\"dsseEnvelope\":",
                 "PROVENANCE-013"},
                {"vnd.in-toto+json", "vnd.in-toto+JSON", "PROVENANCE-014"},
                {"vnd.in-toto+json", "octet-stream", "PROVENANCE-014"},
                {"\"publicKey\":{", "\"certificate\":{\"rawBytes\":\"AAAA\"},\"publicKey\":{",
                 "PROVENANCE-015"},
                {"\"publicKey\":{", "\"publicKey\":null,\"tlogEntries\":[],\"x\":{", "PROVENANCE-010"},
                {"\"hint\":\"", "\"hint\":\"0", "PROVENANCE-016"},
                {"\"hint\":", "\"keyDetails\":", "PROVENANCE-016"},
                {"\"tlogEntries\":[]", "\"tlogEntries\":[1]", "PROVENANCE-010"},
                {"\"tlogEntries\":[]", "\"tlogEntries\":[{},{},{},{},{}]", "PROVENANCE-010"},
                {"\"keyid\":\"\"", "\"keyid\":null", ""},
                {"\"tlogEntries\":[]", "\"tlogEntries\":null", ""},
        };
        struct fixture *f = *state;

        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                struct buf b = replaced(buf_view(&f->bundle), cases[i].from, cases[i].to);

                expect_of(f, buf_view(&b), cases[i].rule);
                buf_done(&b);
        }
}

/* Signed by the right key, but not a statement to believe. */
static void test_every_damage_of_a_signed_statement_has_its_rule(void **state) {
        static const struct {
                const char *from, *to, *rule;
        } cases[] = {
                {"\"_type\":", "\"_type\":\"x\",\"_type\":", "PROVENANCE-020"},
                {"Statement/v1", "Statement/v0.1", "PROVENANCE-020"},
                {"signature/v1.0", "Digests/v0.1", "PROVENANCE-020"},
                {"\"predicate\":{", "\"predicate\":{\"more\":1,", "PROVENANCE-020"},
                {"\"subject\":[", "\"subject\":[{},", "PROVENANCE-021"},
                {"\"sha256\":\"", "\"sha512\":\"", "PROVENANCE-021"},
                {"\"sha256\":\"", "\"sha256\":\"0", "PROVENANCE-021"},
                {"\"digest\":{", "\"digest\":{\"md5\":\"\",", "PROVENANCE-021"},
                {"\"name\":\"a/b\"", "\"name\":\"../a/b\"", "PROVENANCE-022"},
                {"\"name\":\"a/b\"", "\"name\":\"/a/b\"", "PROVENANCE-022"},
                {"\"name\":\"a/b\"", "\"name\":\"a//b\"", "PROVENANCE-022"},
                {"\"name\":\"a/b\"", "\"name\":\"a\\\\b\"", "PROVENANCE-022"},
                {"\"name\":\"a/b\"", "\"name\":\"z\"", "PROVENANCE-022"},
                {"\"name\":\"a/b\"", "\"name\":\"a.txt\"", "PROVENANCE-022"},
                {"\"name\":\"a/b\"", "\"name\":\"a/c\"", "PROVENANCE-032"},
                {"\"name\":\"a/b\"", "\"name\":\".\"", "PROVENANCE-022"},
                {"\"method\":\"files\"", "\"method\":\"chunks\"", "PROVENANCE-023"},
                {"\"method\":\"files\"", "\"method\":\"shards\"", "PROVENANCE-023"},
                {"\"allow_symlinks\":false", "\"allow_symlinks\":\"false\"", "PROVENANCE-023"},
                {"\"ignore_paths\":[", "\"ignore_paths\":[\"../x\",", "PROVENANCE-023"},
                {"\"ignore_paths\":[", "\"ignore_paths\":[\"a.txt\",", ""}, /* listed all the same: covered */
                {"\"hash_type\":\"sha256\"", "\"hash_type\":\"sha1\"", "PROVENANCE-024"},
                {"\"hash_type\":\"sha256\"", "\"hash_type\":\"blake2b\"", "PROVENANCE-024"},
                {"\"algorithm\":\"sha256\"", "\"algorithm\":\"blake3\"", "PROVENANCE-024"},
        };
        struct fixture *f = *state;

        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                struct buf p = replaced(buf_view(&f->payload), cases[i].from, cases[i].to),
                           b = BUF_INIT(1 << 20);

                assert_int_equal(sig_signer_bundle(f->signer, buf_view(&p), &b), 0);
                expect_of(f, buf_view(&b), cases[i].rule);
                buf_done(&p);
                buf_done(&b);
        }
}

static void test_a_stranger_is_not_believed(void **state) {
        struct fixture *f = *state;
        struct buf b = BUF_INIT(1 << 20), forged;

        assert_int_equal(sig_signer_bundle(f->other, buf_view(&f->payload), &b), 0);
        expect_of(f, buf_view(&b), "PROVENANCE-016");
        forged = replaced(buf_view(&b), sig_signer_key(f->other)->hint, f->trust->keys[0].hint);
        expect_of(f, buf_view(&forged), "PROVENANCE-017");
        buf_done(&forged);
        buf_done(&b);
}

static void test_one_file_is_compared_by_its_digest(void **state) {
        struct fixture *f = *state;
        _cleanup_(sig_bundle_freep) struct sig_bundle *b = NULL, *folder = NULL;
        struct sig_file file = {.path = (char *)(uintptr_t) "."};
        static const char *const none[] = {NULL};
        struct buf p = BUF_INIT(4096), text = BUF_INIT(8192);
        struct fault why = FAULT_NONE;
        struct sig_result result;
        struct sha256 digest;

        assert_int_equal(sha256_of(VIEW("weights"), &file.digest), 0);
        assert_int_equal(sig_statement_write("w", &file, 1, none, &p), 0);
        assert_int_equal(sig_signer_bundle(f->signer, buf_view(&p), &text), 0);
        assert_int_equal(sig_bundle_read(buf_view(&text), &b, NULL), 0);
        assert_int_equal(sig_check_file(b, f->trust, &file.digest, 0, &result, &why), 0);
        assert_int_equal(sha256_of(VIEW("weightz"), &digest), 0);
        assert_int_equal(sig_check_file(b, f->trust, &digest, 0, &result, &why), -EBADMSG);
        assert_string_equal(why.rule, "PROVENANCE-031");
        assert_int_equal(sig_bundle_read(buf_view(&f->bundle), &folder, NULL), 0);
        assert_true(sig_check_file(folder, f->trust, &file.digest, 0, &result, &why) < 0);
        assert_string_equal(why.rule, "PROVENANCE-034");
        buf_done(&p);
        buf_done(&text);
}

static void test_a_key_that_others_can_read_is_refused(void **state) {
        struct fixture *f = *state;
        struct sig_signer *s = NULL;
        struct stat st;

        assert_int_equal(fstatat(f->store, "owner.pem", &st, 0), 0);
        assert_int_equal(st.st_mode & 0777, 0600);
        assert_int_equal(sig_signer_make(f->store, "owner", true), -EEXIST);
        assert_int_equal(fchmodat(f->store, "owner.pem", 0640, 0), 0);
        assert_int_equal(sig_signer_load(f->store, "owner", &s), -EPERM);
        assert_int_equal(sig_signer_load(f->store, "../owner", &s), -EINVAL);
        assert_int_equal(sig_signer_load(f->store, "nobody", &s), -ENOENT);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_what_we_sign_verifies),
                cmocka_unit_test(test_every_change_of_the_folder_is_found),
                cmocka_unit_test(test_every_damage_of_the_bundle_has_its_rule),
                cmocka_unit_test(test_every_damage_of_a_signed_statement_has_its_rule),
                cmocka_unit_test(test_a_stranger_is_not_believed),
                cmocka_unit_test(test_one_file_is_compared_by_its_digest),
                cmocka_unit_test(test_a_key_that_others_can_read_is_refused),
        };

        return cmocka_run_group_tests(tests, setup, teardown);
}
