/* What policy says of folders, asked of the shipped `quarantine --scan`: signatures over all files, pins, blocked content and
 * the kinds that are accepted. */
#include <fcntl.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <sys/wait.h>

#include "base/file.h"
#include "core/set_walk.h"
#include "core/sig_sign.h"
#include "support/cm.h"
#include "support/harness.h"
#include "support/set_files.h"
#include "support/setgen.h"
#include "support/temp_dir.h"

#define SHARDS      2u
#define SHARD_BYTES ((size_t)4096)
#define SHARD_ONE   "model-00001-of-00002.safetensors"
#define SHARD_TWO   "model-00002-of-00002.safetensors"
#define REQUIRED                                                                                             \
        "version: 1\nprovenance:\n  local: {signature: required}\n  trusted_keys: [owner.pub, "              \
        "edwards.pub]\n"
#define OPTIONAL "version: 1\nprovenance:\n  trusted_keys: [owner.pub, edwards.pub]\n"
#define NO_PINS  "version: 1\npins: []\nblocklist: []\n"

static struct harness *harness;
static int config = -EBADF, keys = -EBADF;

static int make_all(void **state) {
        harness = harness_new();
        config = open_dir(harness_copy_config(harness));
        assert_true(config >= 0);
        keys = open_or_make_dir(config, "keys", 0755);
        assert_true(keys >= 0);
        assert_int_equal(sig_signer_make(keys, "owner", true), 0);
        assert_int_equal(sig_signer_make(keys, "edwards", false), 0);
        assert_int_equal(sig_signer_make(keys, "stranger", true), 0);
        return 0;
}

static int drop_all(void **state) {
        close_fd(config);
        close_fd(keys);
        harness_free(harness);
        return 0;
}

static void put_policy(const char *name, const char *text) {
        _cleanup_(closep) int policy = openat(config, "policy", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

        assert_true(policy >= 0);
        assert_int_equal(replace_file(policy, name, view_of(text), 0644), 0);
}

static int defaults(void **state) {
        put_policy("policy.yaml", "version: 1\n");
        put_policy("models.lock.yaml", NO_PINS);
        return 0;
}

/* A place with the folder "m" in it. */
struct place {
        struct temp_dir t;
        int m;
        char path[4096];
};

static void place_done(struct place *p) {
        close_fd(p->m);
        temp_dir_done(&p->t);
}

static struct place place_empty(void) {
        struct place p = {.t = temp_dir_new()};

        p.m = setgen_folder(p.t.fd, "m");
        (void)snprintf(p.path, sizeof p.path, "%s/m", p.t.path);
        return p;
}

static struct place place_new(void) {
        struct place p = place_empty();

        setgen_sharded(p.m, SHARDS, SHARD_BYTES, 0);
        setgen_write(p.m, "README.md", VIEW("# A model\n"));
        return p;
}

#define PLACES_MAX 16

/* One verdict a line. */
static int scan_all(const struct place *places, size_t n, struct buf *out) {
        const char *arguments[9 + PLACES_MAX] = {
                "--scan",   "--json", "--stages", "1-5",
                "--config", NULL,     "--share",  harness_share_path(harness)};
        char where[4096];
        int status;

        assert_true(n <= PLACES_MAX);
        (void)snprintf(where, sizeof where, "/proc/%d/fd/%d", (int)getpid(), config);
        arguments[5] = where;
        for (size_t i = 0; i < n; i++)
                arguments[8 + i] = places[i].path;
        *out = BUF_INIT((size_t)4 << 20);
        status = harness_run(harness, "quarantine", arguments, out);
        assert_true(WIFEXITED(status));
        return WEXITSTATUS(status);
}

/* The verdict has the rule about that file ("null": about the folder), with these words. */
static bool has_finding(struct view verdict, const char *rule, const char *file) {
        char wanted[160];

        (void)snprintf(wanted, sizeof wanted, "\"rule\":\"%s\"", rule);
        for (size_t at; (at = view_find(verdict, view_of(wanted))) != SIZE_MAX;) {
                struct view rest = view_sub(verdict, at, SIZE_MAX);
                struct view one = view_sub(rest, 0, view_find(rest, VIEW("}")));
                char name[160];

                (void)snprintf(name, sizeof name,
                               strcmp(file, "null") == 0 ? "\"file\":%s" : "\"file\":\"%s\"", file);
                if (view_find(one, view_of(name)) != SIZE_MAX)
                        return true;
                verdict = view_sub(rest, 1, SIZE_MAX);
        }
        return false;
}

static void expect(const struct place *p, bool passes, const char *rule, const char *file, const char *what) {
        _cleanup_(buf_donep) struct buf out = BUF_INIT(0);
        int code = scan_all(p, 1, &out);

        if (code != (passes ? 0 : 1) || !has_finding(buf_view(&out), rule, file))
                fail_msg("%s: code %d, expected %s about %s:\n%s", what, code, rule, file, buf_str(&out));
}

/* --- signatures --- */

/* As `securectl sign DIR` does. */
static void make_bundle(const struct place *p, const char *who, struct buf *out) {
        static const char *const ignored[] = {"model.sig", ".git",       ".gitattributes",
                                              ".github",   ".gitignore", NULL};
        _cleanup_(sig_signer_freep) struct sig_signer *s = NULL;
        _cleanup_(sig_tree_donep) struct sig_tree tree = {0};
        _cleanup_(buf_donep) struct buf statement = BUF_INIT((size_t)1 << 20);

        *out = BUF_INIT((size_t)1 << 20);
        assert_int_equal(sig_signer_load(keys, who, &s), 0);
        assert_int_equal(sig_tree_list(p->m, ignored, &tree, NULL), 0);
        assert_int_equal(sig_tree_hash(p->m, &tree, NULL), 0);
        assert_int_equal(sig_statement_write("m", tree.files, tree.n, ignored, &statement), 0);
        assert_int_equal(sig_signer_bundle(s, buf_view(&statement), out), 0);
}

static void write_listing(const struct place *p, struct buf *out) {
        _cleanup_(set_listing_donep) struct set_listing l = {0};
        _cleanup_(set_walk_donep) struct set_walk walk = {0};

        *out = BUF_INIT(SET_LISTING_MAX);
        assert_int_equal(set_walk(p->m, &walk, NULL), 0);
        for (size_t i = 0; i < walk.n; i++) {
                _cleanup_(closep) int fd = set_walk_open(p->m, &walk.files[i]);
                struct sha256 one;

                assert_int_equal(sha256_of_fd(fd, walk.files[i].size, &one), 0);
                assert_int_equal(set_listing_add(&l, view_of(walk.files[i].path), walk.files[i].size, &one),
                                 0);
        }
        assert_int_equal(set_listing_write(&l, out), 0);
}

/* A bare signature over the listing, by OpenSSL alone. */
static void make_raw(const struct place *p, const char *who, struct buf *out) {
        _cleanup_(buf_donep) struct buf listing = BUF_INIT(0), pem = BUF_INIT(4096);
        EVP_MD_CTX *c = EVP_MD_CTX_new();
        bool edwards = strcmp(who, "edwards") == 0;
        size_t n = 256;
        EVP_PKEY *k;
        char name[64];
        BIO *b;

        write_listing(p, &listing);
        (void)snprintf(name, sizeof name, "%s.pem", who);
        assert_int_equal(read_file_beneath(keys, name, pem.max, &pem), 0);
        b = BIO_new_mem_buf(pem.p, (int)pem.n);
        k = PEM_read_bio_PrivateKey(b, NULL, NULL, NULL);
        assert_non_null(k);
        *out = BUF_INIT(1024);
        assert_int_equal(buf_reserve(out, n), 0);
        assert_int_equal(EVP_DigestSignInit(c, NULL, edwards ? NULL : EVP_sha256(), NULL, k), 1);
        assert_int_equal(
                EVP_DigestSign(c, (unsigned char *)out->p, &n, (const unsigned char *)listing.p, listing.n),
                1);
        out->n = n;
        EVP_MD_CTX_free(c);
        EVP_PKEY_free(k);
        BIO_free(b);
}

/* Where the three sorts lie. */
static const struct sort {
        const char *name;
        bool raw, inside;
        const char *who;
} sorts[] = {
        {"m/model.sig", false, true, "owner"},
        {"m.sigstore.json", false, false, "edwards"},
        {"m.sig", true, false, "owner"},
        {"m.sig", true, false, "edwards"},
};

static void sign(const struct place *p, const struct sort *s, const char *who) {
        _cleanup_(buf_donep) struct buf out = BUF_INIT(0);

        if (s->raw)
                make_raw(p, who, &out);
        else
                make_bundle(p, who, &out);
        setgen_write(s->inside ? p->m : p->t.fd, s->inside ? "model.sig" : s->name, buf_view(&out));
}

static void a_signature_over_the_folder_counts_wherever_it_lies(void **state) {
        put_policy("policy.yaml", REQUIRED);
        for (size_t i = 0; i < ARRAY_SIZE(sorts); i++) {
                struct place p = place_new();

                if (i == 0)
                        expect(&p, false, "PROVENANCE-003", "null", "unsigned");
                sign(&p, &sorts[i], sorts[i].who);
                expect(&p, true, "PROVENANCE-001", "null", sorts[i].name);
                place_done(&p);
        }
}

static void flip_a_byte(int dir) {
        _cleanup_(closep) int fd = openat(dir, SHARD_TWO, O_RDWR | O_CLOEXEC);
        char c;

        assert_int_equal(pread(fd, &c, 1, SHARD_BYTES / 2), 1);
        c ^= 1;
        assert_int_equal(pwrite(fd, &c, 1, SHARD_BYTES / 2), 1);
}
static void rename_one(int dir) {
        assert_int_equal(renameat(dir, "README.md", dir, "NOTICE"), 0);
}
static void exchange_two(int dir) {
        assert_int_equal(renameat(dir, SHARD_ONE, dir, "x"), 0);
        assert_int_equal(renameat(dir, SHARD_TWO, dir, SHARD_ONE), 0);
        assert_int_equal(renameat(dir, "x", dir, SHARD_TWO), 0);
}
static void add_one(int dir) {
        setgen_write(dir, "LICENSE", VIEW("Do what you want.\n"));
}
static void add_an_empty_one_below(int dir) {
        close_fd(setgen_folder(dir, "more"));
        setgen_write(dir, "more/NOTICE", VIEW_NULL);
}
static void take_one_away(int dir) {
        assert_int_equal(unlinkat(dir, "README.md", 0), 0);
}

static const struct change {
        const char *name;
        void (*make)(int dir);
        const char *rule; /* of a bundle, which lists the files */
} changes[] = {{"a byte", flip_a_byte, "PROVENANCE-031"},
               {"a name", rename_one, "PROVENANCE-032"},
               {"two exchanged", exchange_two, "PROVENANCE-031"},
               {"one more", add_one, "PROVENANCE-032"},
               {"an empty one more", add_an_empty_one_below, "PROVENANCE-032"},
               {"one less", take_one_away, "PROVENANCE-030"}};

/* Policy asks for no signature here: a bad one is refused all the same. */
static void whatever_changes_in_a_signed_folder_ends_the_signature(void **state) {
        /* by the positions of sort and change: the bundle in the folder with all changes, the others with some */
        static const uint8_t pairs[][2] = {{0, 0}, {0, 1}, {0, 2}, {0, 3}, {0, 4}, {0, 5}, {1, 0}, {1, 3},
                                           {2, 0}, {2, 1}, {2, 2}, {2, 3}, {2, 4}, {2, 5}, {3, 0}, {3, 5}};
        _cleanup_(buf_donep) struct buf out = BUF_INIT(0);
        struct place places[ARRAY_SIZE(pairs)];
        struct view rest, line;

        put_policy("policy.yaml", OPTIONAL);
        for (size_t i = 0; i < ARRAY_SIZE(pairs); i++) {
                places[i] = place_new();
                sign(&places[i], &sorts[pairs[i][0]], sorts[pairs[i][0]].who);
                changes[pairs[i][1]].make(places[i].m);
        }
        assert_int_equal(scan_all(places, ARRAY_SIZE(pairs), &out), 1);
        rest = buf_view(&out);
        for (size_t i = 0; i < ARRAY_SIZE(pairs); i++) {
                const struct sort *sort = &sorts[pairs[i][0]];
                const struct change *change = &changes[pairs[i][1]];

                do /* a sanitizer may say something in between */
                        assert_true(view_split(&rest, '\n', &line));
                while (line.n == 0 || line.p[0] != '{');
                if (!has_finding(line, sort->raw ? "PROVENANCE-004" : change->rule, "null"))
                        fail_msg("%s, %s: %.*s", sort->name, change->name, VIEW_ARG(line));
                place_done(&places[i]);
        }
}

static void a_strangers_signature_over_a_folder_does_not_count(void **state) {
        struct place p = place_new();

        put_policy("policy.yaml", REQUIRED);
        for (size_t i = 0; i < 3; i++) {
                sign(&p, &sorts[i], "stranger"); /* what lies beside the folder goes before what lies in it */
                expect(&p, false, sorts[i].raw ? "PROVENANCE-004" : "PROVENANCE-016", "null", sorts[i].name);
        }
        put_policy("policy.yaml", OPTIONAL);
        expect(&p, false, "PROVENANCE-004", "null", "no signature is required");
        place_done(&p);
}

/* --- pins and blocked content --- */

static void hex_of(const struct place *p, const char *member, char hex[SHA256_HEX_SIZE]) {
        _cleanup_(buf_donep) struct buf bytes = BUF_INIT((size_t)1 << 20);
        struct sha256 digest;

        if (member)
                assert_int_equal(read_file_beneath(p->m, member, bytes.max, &bytes), 0);
        else
                write_listing(p, &bytes);
        assert_int_equal(sha256_of(buf_view(&bytes), &digest), 0);
        sha256_hex(&digest, hex);
}

static void lock_to(const char *pin, const char *blocked) {
        char text[1024];

        if (pin)
                (void)snprintf(text, sizeof text, "version: 1\npins:\n%sblocklist: []\n", pin);
        else
                (void)snprintf(text, sizeof text,
                               "version: 1\npins: []\nblocklist:\n  - sha256: %s\n    reason: stolen\n",
                               blocked);
        put_policy("models.lock.yaml", text);
}

static void pin_to(const char *name, const char *hex) {
        char pin[512];

        (void)snprintf(pin, sizeof pin, "  - name: %s\n    sha256: %s\n", name, hex);
        lock_to(pin, NULL);
}

static void a_folder_is_pinned_by_its_listing_and_a_file_by_its_path(void **state) {
        struct place p = place_new();
        char hex[SHA256_HEX_SIZE];

        hex_of(&p, NULL, hex);
        pin_to("m", hex);
        expect(&p, true, "INTEGRITY-003", "null", "pinned folder");
        pin_to("m/" SHARD_TWO, hex); /* of something else */
        expect(&p, false, "INTEGRITY-001", SHARD_TWO, "file pinned to another content");
        hex_of(&p, SHARD_TWO, hex);
        pin_to("m/" SHARD_TWO, hex);
        expect(&p, true, "INTEGRITY-003", SHARD_TWO, "pinned file");
        pin_to("m", hex);
        expect(&p, false, "INTEGRITY-001", "null", "folder pinned to another content");
        hex_of(&p, NULL, hex);
        pin_to("m", hex);
        add_one(p.m);
        expect(&p, false, "INTEGRITY-001", "null", "pinned folder with one file more");
        place_done(&p);
}

static void blocked_content_is_refused_as_a_folder_and_in_any_file(void **state) {
        static const char *const members[] = {NULL, "README.md", SHARD_ONE, "config.json"};
        struct place p = place_new();
        char hex[SHA256_HEX_SIZE];

        for (size_t i = 0; i < ARRAY_SIZE(members); i++) {
                hex_of(&p, members[i], hex);
                lock_to(NULL, hex);
                expect(&p, false, "INTEGRITY-002", members[i] ? members[i] : "null", "blocked");
        }
        take_one_away(p.m);
        lock_to(NULL, "0000000000000000000000000000000000000000000000000000000000000000");
        expect(&p, true, "PROVENANCE-002", "null", "nothing of it is blocked");
        place_done(&p);
}

/* Twice the same content: each of the files is named. */
static void blocked_content_is_named_in_every_file_that_has_it(void **state) {
        struct place p = place_new();
        char hex[SHA256_HEX_SIZE];

        setgen_write(p.m, "NOTICE", VIEW("# A model\n"));
        hex_of(&p, "README.md", hex);
        lock_to(NULL, hex);
        expect(&p, false, "INTEGRITY-002", "README.md", "first");
        expect(&p, false, "INTEGRITY-002", "NOTICE", "second");
        place_done(&p);
}

/* --- kinds --- */

static struct place place_of(const char *folder) {
        _cleanup_(set_files_donep) struct set_files s = {NULL, 0};
        struct place p = place_empty();
        char path[4096];

        (void)snprintf(path, sizeof path, "%s/%s", secure_getenv("SECAI_SOURCE"), folder);
        set_files_read(&s, path);
        set_files_write(&s, p.path);
        return p;
}

static struct place place_of_gguf(unsigned parts) {
        _cleanup_(set_files_donep) struct set_files s = {NULL, 0};
        _cleanup_(buf_donep) struct buf file = BUF_INIT((size_t)16 << 20);
        struct place p = place_empty();
        char path[4096];

        (void)snprintf(path, sizeof path, "%s/tests/data/pebble/pebble-comply-Q8_0.gguf",
                       secure_getenv("SECAI_SOURCE"));
        assert_int_equal(read_file(path, file.max, &file), 0);
        if (parts > 1)
                set_files_split(&s, buf_view(&file), parts, "pebble");
        else
                set_files_put(&s, "pebble.gguf", buf_view(&file));
        set_files_put(&s, "README.md", VIEW("# Pebble\n"));
        set_files_write(&s, p.path);
        return p;
}

static void expect_switch(struct place *p, const char *kind, const char *without, const char *only) {
        _cleanup_(buf_donep) struct buf out = BUF_INIT(0);
        char wanted[64], text[128];

        (void)snprintf(text, sizeof text, "version: 1\nformats: [%s]\n", only);
        put_policy("policy.yaml", text);
        assert_int_equal(scan_all(p, 1, &out), 0);
        (void)snprintf(wanted, sizeof wanted, "\"kind\":\"%s\"", kind);
        assert_true(view_find(buf_view(&out), view_of(wanted)) != SIZE_MAX);
        (void)snprintf(text, sizeof text, "version: 1\nformats: [%s]\n", without);
        put_policy("policy.yaml", text);
        expect(p, false, "FORMAT-002", "null", kind);
        place_done(p);
}

static void kinds_of_folders_that_are_switched_off_are_refused(void **state) {
        struct place diffusion = place_of("tests/data/pebble-sd"), shards = place_new(),
                     parts = place_of_gguf(3), one = place_of_gguf(1);

        expect_switch(&diffusion, "diffusion", "gguf, safetensors", "diffusion");
        expect_switch(&shards, "safetensors-set", "gguf, diffusion", "safetensors");
        expect_switch(&parts, "gguf-set", "safetensors, diffusion", "gguf");
        expect_switch(&one, "gguf-set", "safetensors, diffusion", "gguf");
}

#define CASE(f) cmocka_unit_test_setup(f, defaults)

int main(void) {
        const struct CMUnitTest tests[] = {
                CASE(a_signature_over_the_folder_counts_wherever_it_lies),
                CASE(whatever_changes_in_a_signed_folder_ends_the_signature),
                CASE(a_strangers_signature_over_a_folder_does_not_count),
                CASE(a_folder_is_pinned_by_its_listing_and_a_file_by_its_path),
                CASE(blocked_content_is_refused_as_a_folder_and_in_any_file),
                CASE(blocked_content_is_named_in_every_file_that_has_it),
                CASE(kinds_of_folders_that_are_switched_off_are_refused),
        };

        return cmocka_run_group_tests_name("quarantine_set_policy", tests, make_all, drop_all);
}
