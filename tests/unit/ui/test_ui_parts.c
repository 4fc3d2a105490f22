/* The parts of the ui service that can be tried alone: guesses, sessions, passphrase, code, saved chats. */
#include <fcntl.h>
#include <pthread.h>
#include <sys/stat.h>

#include "support/cm.h"
#include "support/temp_dir.h"
#include "base/clock.h"
#include "base/file.h"
#include "ui/conversations.h"
#include "ui/first_run.h"
#include "ui/limits.h"
#include "ui/lockout.h"
#include "ui/passphrase.h"
#include "ui/sessions.h"

#define BOOT       "0123456789abcdef0123456789abcdef"
#define OTHER_BOOT "fedcba9876543210fedcba9876543210"

static struct temp_dir dir;
static int dir_fd;
static struct app app;

static int set_up(void **state) {
        const char *const migrations[] = {SESSIONS_SQL, conversations_sql};
        char path[600];

        dir = temp_dir_new();
        dir_fd = dir.fd;
        app = (struct app){.state_dir = dir_fd, .boot_id = BOOT};
        app.settings = (struct settings){.idle_usec = 60 * USEC_PER_SEC, .absolute_usec = 600 * USEC_PER_SEC};
        (void)snprintf(path, sizeof(path), "%s/ui.sqlite", dir.path);
        assert_int_equal(db_open(path, migrations, ARRAY_SIZE(migrations), &app.db), 0);
        return 0;
}

static int tear_down(void **state) {
        app.db = db_free(app.db);
        temp_dir_done(&dir);
        return 0;
}

static void write_file(const char *name, const char *text) {
        assert_int_equal(replace_file(dir_fd, name, view_of(text), 0600), 0);
}

/* --- lockout --- */

static struct lockout *lockout_of(const char *boot, uint64_t tries, uint64_t pause_usec) {
        struct lockout *l = NULL;

        assert_int_equal(lockout_new(dir_fd, "lock.json", boot, tries, pause_usec, &l, NULL), 0);
        return l;
}

static void a_try_counts_before_it_is_looked_at(void **state) {
        struct lockout *l = lockout_of(BOOT, 3, 3600 * USEC_PER_SEC);

        assert_int_equal(lockout_take(l), 0);
        assert_int_equal(lockout_tries_left(l), 2);
        lockout_free(l); /* as after kill -9 in the middle of the derivation */
        l = lockout_of(BOOT, 3, 3600 * USEC_PER_SEC);
        assert_int_equal(lockout_tries_left(l), 2);
        assert_int_equal(lockout_take(l), 0);
        assert_int_equal(lockout_take(l), 0);
        assert_int_equal(lockout_take(l), -EAGAIN);
        lockout_free(l);
        l = lockout_of(BOOT, 3, 3600 * USEC_PER_SEC);
        assert_int_equal(lockout_take(l), -EAGAIN);
        assert_true(lockout_remaining_usec(l) > 3590 * USEC_PER_SEC);
        assert_int_equal(lockout_right(l), 0);
        assert_int_equal(lockout_take(l), 0);
        lockout_free(l);
}

static void a_reboot_begins_the_pause_anew_once(void **state) {
        struct lockout *l;

        /* Nearly over on another boot, whose clock says nothing here. */
        write_file("lock.json", "{\"boot\":\"" OTHER_BOOT "\",\"wrong\":3,\"pauses\":1,\"locked_until\":1}");
        l = lockout_of(BOOT, 3, 3600 * USEC_PER_SEC);
        assert_true(lockout_remaining_usec(l) > 3590 * USEC_PER_SEC);
        lockout_free(l);
        usleep(20000);
        l = lockout_of(BOOT, 3, 3600 * USEC_PER_SEC);
        assert_true(lockout_remaining_usec(l) < 3600 * USEC_PER_SEC - 10000);
        lockout_free(l);
}

static void each_pause_is_twice_as_long_up_to_a_day(void **state) {
        static const struct {
                uint64_t pauses, seconds;
        } cases[] = {{0, 3600}, {1, 7200}, {2, 14400}, {5, 86400}, {4000000000, 86400}};

        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                struct lockout *l;
                char text[256];

                (void)snprintf(text, sizeof(text),
                               "{\"boot\":\"" BOOT "\",\"wrong\":2,\"pauses\":%llu,\"locked_until\":0}",
                               (unsigned long long)cases[i].pauses);
                write_file("lock.json", text);
                l = lockout_of(BOOT, 3, 3600 * USEC_PER_SEC);
                assert_int_equal(lockout_take(l), 0);
                assert_int_equal((lockout_remaining_usec(l) + USEC_PER_SEC) / USEC_PER_SEC, cases[i].seconds);
                lockout_free(l);
        }
}

static void a_damaged_count_stops_the_service(void **state) {
        static const char *const bad[] = {
                "", "{}", "[]", "{\"boot\":\"x\",\"wrong\":-1,\"pauses\":0,\"locked_until\":0}",
                "{\"boot\":\"x\",\"wrong\":0,\"pauses\":0,\"locked_until\":0,\"more\":1}"};

        for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
                struct lockout *l = NULL;
                struct fault f = FAULT_NONE;

                write_file("lock.json", bad[i]);
                assert_int_equal(lockout_new(dir_fd, "lock.json", BOOT, 3, 1, &l, &f), -EUCLEAN);
                assert_string_equal(f.rule, "UI-002");
        }
}

static struct lockout *shared;
static unsigned taken;

static void *take_one(void *userdata) {
        if (lockout_take(shared) == 0)
                __atomic_add_fetch(&taken, 1, __ATOMIC_SEQ_CST);
        return NULL;
}

static void parallel_tries_are_each_counted(void **state) {
        pthread_t threads[16];

        taken = 0;
        shared = lockout_of(BOOT, 5, 3600 * USEC_PER_SEC);
        for (size_t i = 0; i < ARRAY_SIZE(threads); i++)
                assert_int_equal(pthread_create(&threads[i], NULL, take_one, NULL), 0);
        for (size_t i = 0; i < ARRAY_SIZE(threads); i++)
                pthread_join(threads[i], NULL);
        assert_int_equal(taken, 5);
        shared = lockout_free(shared);
}

/* --- passphrase --- */

static void the_right_passphrase_is_told_from_others(void **state) {
        assert_int_equal(passphrase_exists(dir_fd, NULL), 0);
        assert_int_equal(passphrase_set(dir_fd, VIEW("correct horse")), 0);
        assert_int_equal(passphrase_exists(dir_fd, NULL), 1);
        assert_int_equal(passphrase_check(dir_fd, VIEW("correct horse")), 1);
        assert_int_equal(passphrase_check(dir_fd, VIEW("correct horsf")), 0);
        assert_int_equal(passphrase_check(dir_fd, VIEW("")), 0);
        assert_int_equal(passphrase_check(dir_fd, VIEW("correct horse\0")), 0);
}

static void the_stored_form_is_private_and_salted(void **state) {
        _cleanup_(buf_donep) struct buf one = {0}, two = {0};
        struct stat st;

        assert_int_equal(passphrase_set(dir_fd, VIEW("correct horse")), 0);
        assert_int_equal(read_file_beneath(dir_fd, "passphrase.json", 4096, &one), 0);
        assert_int_equal(passphrase_set(dir_fd, VIEW("correct horse")), 0);
        assert_int_equal(read_file_beneath(dir_fd, "passphrase.json", 4096, &two), 0);
        assert_string_not_equal(buf_str(&one), buf_str(&two));
        assert_null(strstr(buf_str(&one), "horse"));
        assert_int_equal(fstatat(dir_fd, "passphrase.json", &st, 0), 0);
        assert_int_equal(st.st_mode & 0777, 0600);
}

#define STORED(n, r, p)                                                                                      \
        "{\"version\":1,\"kdf\":\"scrypt\",\"n\":" n ",\"r\":" r ",\"p\":" p                                 \
        ",\"salt\":\"00000000000000000000000000000000\",\"hash\":"                                           \
        "\"0000000000000000000000000000000000000000000000000000000000000000\"}"

static void a_damaged_passphrase_file_is_no_first_run(void **state) {
        static const char *const bad[] = {"",
                                          "{}",
                                          STORED("1", "8", "1"),       /* no work */
                                          STORED("65537", "8", "1"),   /* not a power of two */
                                          STORED("2097152", "8", "1"), /* 2 GiB */
                                          STORED("65536", "1", "1"),
                                          STORED("65536", "8", "100"),
                                          STORED("65536", "8", "0")};

        for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
                struct fault f = FAULT_NONE;

                write_file("passphrase.json", bad[i]);
                assert_int_equal(passphrase_exists(dir_fd, &f), -EUCLEAN);
                assert_int_equal(passphrase_check(dir_fd, VIEW("")), -EUCLEAN);
        }
        write_file("passphrase.json", STORED("65536", "8", "1"));
        assert_int_equal(passphrase_exists(dir_fd, NULL), 1);
}

static void rules_for_new_passphrases(void **state) {
        static const struct {
                const char *text;
                bool good;
        } cases[] = {
                {"", false},
                {"123456789", false},
                {"tiny word", false},
                {"tiny words", true},
                {"0123456789", false},
                {"abcdefghijklm", false},
                {"zyxwvutsrqpo", false},
                {"aaaaaaaaaabbb", false},
                {"\xc3\xa4\xc3\xb6\xc3\xbc\xc3\x9f\xc3\xa9", false}, /* five characters in ten bytes */
                {"\xc3\xa4\xc3\xb6\xc3\xbc \xc3\x9f\xc3\xa9 abcd", true},
                {"bad \xff bytes here", false},
                {"correct horse", true},
        };

        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                struct fault why = FAULT_NONE;
                bool good = passphrase_is_good(view_of(cases[i].text), 10, &why);

                if (good != cases[i].good)
                        fail_msg("\"%s\": %s", cases[i].text, why.text);
                assert_true(good == (why.text[0] == '\0'));
        }
}

/* --- the one-time code --- */

static void the_code_is_read_with_forgiveness(void **state) {
        static const struct {
                const char *typed;
                int right;
        } cases[] = {{"01AB-CDEF-GHJK", 1},
                     {"01abcdefghjk", 1},
                     {"oiab cdef ghjk", 1},
                     {" OLAB-CDEF-GHJK ", 1},
                     {"01AB-CDEF-GHJ", 0},
                     {"01AB-CDEF-GHJKK", 0},
                     {"", 0},
                     {"----", 0}};

        write_file("first-run-code", "01AB-CDEF-GHJK\n");
        assert_int_equal(first_run_begin(dir_fd), 0); /* keeps it */
        for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
                assert_int_equal(first_run_check(dir_fd, view_of(cases[i].typed)), cases[i].right);
        assert_int_equal(first_run_end(dir_fd), 0);
        assert_int_equal(first_run_check(dir_fd, VIEW("01AB-CDEF-GHJK")), -ENOENT);
        assert_int_equal(first_run_end(dir_fd), 0);
}

static void a_torn_code_is_replaced(void **state) {
        _cleanup_(buf_donep) struct buf code = {0};

        write_file("first-run-code", "01AB");
        assert_int_equal(first_run_begin(dir_fd), 0);
        assert_int_equal(read_file_beneath(dir_fd, "first-run-code", 64, &code), 0);
        assert_int_equal(code.n, UI_CODE_CHARS + 3);
}

/* --- sessions --- */

static struct view token_view(const char *token) {
        return (struct view){token, SESSION_TOKEN_CHARS};
}

static void sessions_end_when_idle_and_when_old(void **state) {
        char token[SESSION_TOKEN_SIZE];

        assert_int_equal(session_begin(&app, token), 0);
        assert_int_equal(session_check(&app, token_view(token), true), 1);
        app.settings.idle_usec = 30000;
        usleep(40000);
        assert_int_equal(session_check(&app, token_view(token), true), 0);
        app.settings.idle_usec = 60 * USEC_PER_SEC;
        assert_int_equal(session_begin(&app, token), 0);
        app.settings.absolute_usec = 30000;
        usleep(40000);
        assert_int_equal(session_check(&app, token_view(token), true), 0);
}

static void use_keeps_a_session_and_polling_does_not(void **state) {
        char used[SESSION_TOKEN_SIZE], polled[SESSION_TOKEN_SIZE];

        app.settings.idle_usec = 300000;
        assert_int_equal(session_begin(&app, used), 0);
        assert_int_equal(session_begin(&app, polled), 0);
        for (unsigned i = 0; i < 5; i++) {
                usleep(100000);
                assert_int_equal(session_check(&app, token_view(used), true), 1);
                (void)!session_check(&app, token_view(polled), false);
        }
        assert_int_equal(session_check(&app, token_view(polled), false), 0);
}

static void a_reboot_ends_all_sessions(void **state) {
        char token[SESSION_TOKEN_SIZE];

        assert_int_equal(session_begin(&app, token), 0);
        memcpy(app.boot_id, OTHER_BOOT, sizeof(OTHER_BOOT));
        assert_int_equal(session_check(&app, token_view(token), true), 0);
}

static void the_oldest_session_gives_way(void **state) {
        char tokens[UI_SESSIONS_MAX + 1][SESSION_TOKEN_SIZE];

        for (size_t i = 0; i < ARRAY_SIZE(tokens); i++) {
                assert_int_equal(session_begin(&app, tokens[i]), 0);
                usleep(1000);
        }
        assert_int_equal(session_check(&app, token_view(tokens[0]), true), 0);
        for (size_t i = 1; i < ARRAY_SIZE(tokens); i++)
                assert_int_equal(session_check(&app, token_view(tokens[i]), true), 1);
}

static void only_whole_tokens_are_looked_up(void **state) {
        char token[SESSION_TOKEN_SIZE];

        assert_int_equal(session_begin(&app, token), 0);
        assert_int_equal(session_check(&app, VIEW_NULL, true), 0);
        assert_int_equal(session_check(&app, (struct view){token, SESSION_TOKEN_CHARS - 1}, true), 0);
        token[0] = token[0] == '0' ? '1' : '0';
        assert_int_equal(session_check(&app, token_view(token), true), 0);
}

/* --- saved chats --- */

static int check_text(const char *json) {
        _cleanup_(json_document_freep) struct json_document *d = NULL;
        struct fault f = FAULT_NONE;
        int r;

        assert_int_equal(
                json_parse(view_of(json), &(struct json_limits){.memory = (size_t)256 << 20}, &d, NULL), 0);
        r = conversation_check(json_root(d), &f);
        assert_true((r < 0) == (f.text[0] != '\0'));
        return r;
}

static int check_with_content(size_t n) {
        _cleanup_(buf_donep) struct buf text = BUF_INIT(n + 200);

        assert_int_equal(
                buf_append_str(&text, "{\"title\":\"t\",\"messages\":[{\"role\":\"user\",\"content\":\""), 0);
        for (size_t i = 0; i < n; i++)
                assert_int_equal(buf_append_char(&text, 'x'), 0);
        assert_int_equal(buf_append_str(&text, "\"}]}"), 0);
        return check_text(buf_str(&text));
}

static int check_with_messages(size_t n) {
        _cleanup_(buf_donep) struct buf text = BUF_INIT(n * 64 + 200);

        assert_int_equal(buf_append_str(&text, "{\"title\":\"t\",\"messages\":["), 0);
        for (size_t i = 0; i < n; i++)
                assert_int_equal(buf_append_str(&text, i ? ",{\"role\":\"user\",\"content\":\"\"}"
                                                         : "{\"role\":\"user\",\"content\":\"\"}"),
                                 0);
        assert_int_equal(buf_append_str(&text, "]}"), 0);
        return check_text(buf_str(&text));
}

static void limits_of_a_conversation(void **state) {
        assert_int_equal(check_with_content(UI_MESSAGE_BYTES_MAX), 0);
        assert_int_equal(check_with_content(UI_MESSAGE_BYTES_MAX + 1), -E2BIG);
        assert_int_equal(check_with_messages(UI_MESSAGES_MAX), 0);
        assert_int_equal(check_with_messages(UI_MESSAGES_MAX + 1), -E2BIG);
}

int main(void) {
#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
        const struct CMUnitTest tests[] = {
                TEST(a_try_counts_before_it_is_looked_at),
                TEST(a_reboot_begins_the_pause_anew_once),
                TEST(each_pause_is_twice_as_long_up_to_a_day),
                TEST(a_damaged_count_stops_the_service),
                TEST(parallel_tries_are_each_counted),
                TEST(the_right_passphrase_is_told_from_others),
                TEST(the_stored_form_is_private_and_salted),
                TEST(a_damaged_passphrase_file_is_no_first_run),
                TEST(rules_for_new_passphrases),
                TEST(the_code_is_read_with_forgiveness),
                TEST(a_torn_code_is_replaced),
                TEST(sessions_end_when_idle_and_when_old),
                TEST(use_keeps_a_session_and_polling_does_not),
                TEST(a_reboot_ends_all_sessions),
                TEST(the_oldest_session_gives_way),
                TEST(only_whole_tokens_are_looked_up),
                TEST(limits_of_a_conversation),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
