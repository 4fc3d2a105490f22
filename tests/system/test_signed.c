/* The owner's own models where policy wants signatures: what `securectl sign` has signed enters, nothing else does. */
#include "support/cm.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "base/file.h"
#include "support/modelgen.h"
#include "support/setgen.h"
#include "support/system.h"
#include "support/temp_dir.h"

#define POLICY                                                                                               \
        "version: 1\nprovenance:\n  local: {signature: required}\n  trusted_keys: [owner.pub, other.pub]\n"  \
        "  sources:\n    - match: \"house-*\"\n      require: [{key: owner.pub}]\n"

struct fixture {
        struct system *system;
        struct temp_dir dir;
};

static int run(struct fixture *f, struct buf *out, const char *const *arguments) {
        int status;

        buf_done(out);
        *out = BUF_INIT((size_t)16 << 20);
        status = system_securectl(f->system, arguments, out);
        assert_true(WIFEXITED(status));
        return WEXITSTATUS(status);
}
#define RUN(f, out, ...) run(f, out, (const char *const[]){__VA_ARGS__, NULL})

static void expect(struct fixture *f, int code, const char *says, const char *const *arguments) {
        _cleanup_(buf_donep) struct buf out = BUF_INIT(0);
        int got = run(f, &out, arguments);

        if (got != code || !strstr(buf_str(&out), says))
                fail_msg("%d, not %d with \"%s\":\n%s", got, code, says, buf_str(&out));
}
#define EXPECT(f, code, says, ...) expect(f, code, says, (const char *const[]){__VA_ARGS__, NULL})

static int make_beneath(int dir, const char *name) {
        int fd = open_or_make_dir(dir, name, 0700);

        assert_true(fd >= 0);
        return fd;
}

static void copy(int to, const char *name, const char *from) {
        _cleanup_(buf_donep) struct buf text = BUF_INIT(1 << 20);

        if (read_file(from, 1 << 20, &text) < 0)
                fail_msg("%s can't be read", from);
        assert_int_equal(replace_file(to, name, buf_view(&text), 0644), 0);
}

/* A configuration of the owner's own, beside the state. */
static void configure(const char *root) {
        static const char *const files[][2] = {{".", "service-acl.yaml"},
                                               {"config", "appliance.yaml"},
                                               {"policy", "sources.allowlist.yaml"},
                                               {"policy", "models.lock.yaml"}};
        static const char *const keys[] = {"owner.pub", "other.pub"};
        _cleanup_(closep) int state = open_dir(root), config = make_beneath(state, "config"),
                              policy = make_beneath(config, "policy"), trusted = make_beneath(config, "keys");
        char path[4096];

        for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
                _cleanup_(closep) int to = strcmp(files[i][0], ".") == 0 ? dup(config)
                                                                         : make_beneath(config, files[i][0]);

                (void)snprintf(path, sizeof path, "%s/etc/secure-ai/%s/%s", secure_getenv("SECAI_STAGE"),
                               files[i][0], files[i][1]);
                copy(to, files[i][1], path);
        }
        assert_int_equal(replace_file(policy, "policy.yaml", VIEW(POLICY), 0644), 0);
        for (size_t i = 0; i < ARRAY_SIZE(keys); i++) {
                (void)snprintf(path, sizeof path, "%s/keys/%s", root, keys[i]);
                copy(trusted, keys[i], path);
        }
}

static int start(void **state) {
        static struct fixture f;
        _cleanup_(buf_donep) struct buf out = BUF_INIT(0);

        f.system = system_new(NULL);
        f.dir = temp_dir_new();
        system_start(f.system, NULL); /* makes the state folder, which has to be empty at first */
        assert_int_equal(system_stop(f.system), 0);
        assert_int_equal(RUN(&f, &out, "keys", "new", "owner"), 0);
        assert_int_equal(RUN(&f, &out, "keys", "new", "other"), 0);
        assert_int_equal(RUN(&f, &out, "keys", "new", "stranger"), 0);
        configure(system_root(f.system));
        system_start(f.system, NULL);
        *state = &f;
        return 0;
}

static int stop(void **state) {
        struct fixture *f = *state;

        assert_int_equal(system_stop(f->system), 0);
        f->system = system_free(f->system);
        temp_dir_done(&f->dir);
        return 0;
}

/* A model that needs no sealed root to be tested. */
static void put_model(struct fixture *f, const char *name, const char *dtype, char path[4096]) {
        _cleanup_(buf_donep) struct buf model = BUF_INIT(1 << 20);

        assert_int_equal(modelgen_safetensors_of_type(dtype, 32, &model), 0);
        assert_int_equal(replace_file(f->dir.fd, name, buf_view(&model), 0644), 0);
        (void)snprintf(path, 4096, "%s/%s", f->dir.path, name);
}

static void a_file_enters_with_the_owners_signature_only(void **state) {
        struct fixture *f = *state;
        char path[4096], signature[4200];

        put_model(f, "tuned.safetensors", "F32", path);
        (void)snprintf(signature, sizeof signature, "%s.sig", path);
        EXPECT(f, 1, "PROVENANCE-003", "import", path);
        EXPECT(f, 0, "signed with the key stranger", "sign", "--key", "stranger", path);
        EXPECT(f, 1, "PROVENANCE-016", "import", "--signature", signature, path);
        EXPECT(f, 0, "signed with the key owner", "sign", "--key", "owner", path);
        EXPECT(f, 0, "passed; stored as", "import", "--signature", signature, path);
        put_model(f, "tuned.safetensors", "I32", path); /* not what was signed */
        EXPECT(f, 1, "PROVENANCE-031", "import", "--signature", signature, path);
}

static void names_that_policy_binds_need_their_signer(void **state) {
        struct fixture *f = *state;
        char path[4096], signature[4200];

        put_model(f, "house-1.safetensors", "U32", path);
        (void)snprintf(signature, sizeof signature, "%s.sig", path);
        EXPECT(f, 0, "signed with the key other", "sign", "--key", "other", path);
        EXPECT(f, 1, "PROVENANCE-008", "import", "--signature", signature, path);
        EXPECT(f, 0, "signed with the key owner", "sign", "--key", "owner", path);
        EXPECT(f, 0, "passed; stored as", "import", "--signature", signature, path);
}

#define SHARDS 2u

/* Unsigned, signed, changed; and what is stated of the one that entered is true of the folder, all of it. */
static void a_folder_enters_with_the_owners_signature_and_is_stated_whole(void **state) {
        struct fixture *f = *state;
        _cleanup_(closep) int dir = setgen_folder(f->dir.fd, "tuned"),
                              other = setgen_folder(f->dir.fd, "changed");
        char path[4096], changed[4096], statement[4200], signature[4200];

        setgen_sharded(dir, SHARDS, 4096, 1);
        (void)snprintf(path, sizeof path, "%s/tuned", f->dir.path);
        EXPECT(f, 1, "PROVENANCE-003", "import", path);
        EXPECT(f, 0, "signed with the key owner", "sign", "--key", "owner", path);
        EXPECT(f, 0, "passed; stored as", "import", path);
        setgen_sharded(other, SHARDS, 4096, 2);
        (void)snprintf(changed, sizeof changed, "%s/changed", f->dir.path);
        (void)snprintf(signature, sizeof signature, "%s/model.sig", path);
        copy(other, "model.sig", signature);
        EXPECT(f, 1, "PROVENANCE-031", "import", changed);
        EXPECT(f, 0, "tuned.statement.json", "models", "documents", "tuned", "--out", f->dir.path);
        (void)snprintf(statement, sizeof statement, "%s/tuned.statement.json", f->dir.path);
        EXPECT(f, 0, "signed by quarantine", "verify", "--statement", statement, path);
        EXPECT(f, 1, "PROVENANCE-031", "verify", "--statement", statement, changed);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(a_file_enters_with_the_owners_signature_only),
                cmocka_unit_test(names_that_policy_binds_need_their_signer),
                cmocka_unit_test(a_folder_enters_with_the_owners_signature_and_is_stated_whole),
        };

        return cmocka_run_group_tests(tests, start, stop);
}
