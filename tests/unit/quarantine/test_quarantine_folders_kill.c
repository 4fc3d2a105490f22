/* kill -9 at random moments while folders are claimed, examined and handed over: none is lost, none is in two places or in parts. The
 * files of each folder have a size of their own, by which they are known everywhere. */
#include "rig.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "base/secret.h"
#include "support/setgen.h"

#define ROUNDS      30u
#define FOLDERS     6u
#define SHARDS      3u
#define FIRST_BYTES ((size_t)300000)
#define STEP_BYTES  ((size_t)50000)

static size_t bytes_of(unsigned folder) {
        return FIRST_BYTES + folder * STEP_BYTES;
}

static void drop(struct harness *h, unsigned folder, size_t sizes[FOLDERS]) {
        _cleanup_(closep) int inbox = rig_inbox(h), dir = setgen_folder(inbox, ".new");
        struct stat st;
        char name[32];

        setgen_sharded(dir, SHARDS, bytes_of(folder), folder);
        assert_int_equal(fstatat(dir, "model-00001-of-00003.safetensors", &st, 0), 0);
        sizes[folder] = (size_t)st.st_size;
        (void)snprintf(name, sizeof name, "folder-%u", folder);
        assert_int_equal(renameat(inbox, ".new", inbox, name), 0);
}

static unsigned count_below(const char *path, size_t size, unsigned depth) {
        DIR *d = opendir(path);
        unsigned count = 0;
        struct dirent *e;

        while (d && (e = readdir(d))) {
                _cleanup_(freep) char *child = NULL;
                struct stat st;

                if (e->d_name[0] == '.')
                        continue;
                assert_true(asprintf(&child, "%s/%s", path, e->d_name) > 0);
                if (lstat(child, &st) < 0)
                        continue;
                if (S_ISREG(st.st_mode) && (size_t)st.st_size == size)
                        count++;
                else if (S_ISDIR(st.st_mode) && depth > 0)
                        count += count_below(child, size, depth - 1);
        }
        if (d)
                closedir(d);
        return count;
}

static unsigned count_in(struct harness *h, const char *service, const char *folder, size_t size) {
        _cleanup_(freep) char *path = NULL;

        assert_true(asprintf(&path, "%s/%s", harness_state_path(h, service), folder) > 0);
        return count_below(path, size, 4);
}

/* A claim and the registry may hold the same content between promotion and tidying up, which may itself be cut off. */
static void check_places(struct harness *h, unsigned folders, size_t sizes[FOLDERS], unsigned round) {
        for (unsigned i = 0; i < folders; i++) {
                size_t size = sizes[i];
                unsigned in = count_in(h, "quarantine", "incoming", size),
                         claim = count_in(h, "quarantine", "claims", size),
                         rejected = count_in(h, "quarantine", "rejected", size),
                         registry = count_in(h, "registry", "objects", size);

                if ((in != 0 && in != SHARDS) || (in > 0 && claim > 0) || rejected != 0 ||
                    (in == 0 && claim < SHARDS && registry < SHARDS))
                        fail_msg("round %u, folder %u: %u files in the inbox, %u in claims, %u rejected, %u "
                                 "in "
                                 "the registry",
                                 round, i, in, claim, rejected, registry);
        }
}

static void test_no_folder_is_lost_or_torn_however_often_quarantine_is_killed(void **state) {
        struct harness *h = *state;
        size_t sizes[FOLDERS] = {0};
        unsigned folders = 0;

        harness_kill(h, "quarantine");
        while (folders < FOLDERS)
                drop(h, folders++, sizes);
        sleep(4); /* they have rested: each start takes one at once */
        for (unsigned round = 0; round < ROUNDS; round++) {
                uint32_t chance;

                harness_start(h, "quarantine", NULL);
                assert_int_equal(random_bytes(&chance, sizeof chance), 0);
                usleep(chance % (round % 3 == 2 ? 60000 : 500000));
                harness_kill(h, "quarantine");
                check_places(h, folders, sizes, round);
        }
        harness_start(h, "quarantine", NULL);
        for (unsigned i = 0; i < folders; i++) {
                char name[32];

                (void)snprintf(name, sizeof name, "folder-%u", i);
                rig_expect_state(h, name, "promoted", NULL);
                assert_true(rig_registry_has(h, name));
                assert_false(rig_in_inbox(h, name));
        }
        for (unsigned i = 0; i < folders; i++)
                for (unsigned tries = 0; count_in(h, "quarantine", "claims", sizes[i]) > 0; tries++) {
                        assert_true(tries < 100);
                        usleep(20000);
                }
}

/* What a kill between taking a folder out and calling it a claim leaves behind. */
static void make_half_taken(struct harness *h, const char *job) {
        _cleanup_(freep) char *path = NULL;
        _cleanup_(closep) int dir = -EBADF, raw = -EBADF;

        assert_true(asprintf(&path, "%s/claims/%s", harness_state_path(h, "quarantine"), job) > 0);
        assert_int_equal(mkdir(path, 0700), 0);
        dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        raw = setgen_folder(dir, "raw");
        setgen_sharded(raw, SHARDS, FIRST_BYTES - STEP_BYTES, 50);
}

static void test_a_folder_cut_off_on_its_way_goes_back_and_comes_again(void **state) {
        struct harness *h = *state;

        harness_kill(h, "quarantine");
        make_half_taken(h, "0123456789abcdef01234567");
        harness_start(h, "quarantine", NULL);
        rig_expect_state(h, "0123456789abcdef01234567", "promoted", NULL);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_no_folder_is_lost_or_torn_however_often_quarantine_is_killed),
                cmocka_unit_test(test_a_folder_cut_off_on_its_way_goes_back_and_comes_again),
        };

        return cmocka_run_group_tests(tests, rig_start, rig_stop);
}
