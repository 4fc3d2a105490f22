/* Each call that can fail fails once: no guess goes uncounted, no passphrase is half there, no chat is half saved. */
#include "support/cm.h"
#include "support/fault_inject.h"
#include "support/temp_dir.h"
#include "base/file.h"
#include "ui/app.h"
#include "ui/conversations.h"
#include "ui/first_run.h"
#include "ui/lockout.h"
#include "ui/passphrase.h"

#define BOOT "0123456789abcdef0123456789abcdef"

static struct temp_dir dir;

static int set_up(void **state) {
        dir = temp_dir_new();
        return 0;
}

static int tear_down(void **state) {
        temp_dir_done(&dir);
        return 0;
}

/* --- lockout --- */

static struct lockout *lockout_open(void) {
        struct lockout *l = NULL;

        assert_int_equal(lockout_new(dir.fd, "lock.json", BOOT, 20, 3600 * USEC_PER_SEC, &l, NULL), 0);
        return l;
}

struct guess {
        struct lockout *lock;
        uint64_t left_before;
};

static int take(void *userdata) {
        struct guess *g = userdata;

        return lockout_take(g->lock);
}

/* What counts is what the next start of the program finds: a try that was given is written down, whatever failed. */
static void check_taken(int result, void *userdata) {
        struct guess *g = userdata;
        uint64_t left;

        lockout_free(g->lock);
        g->lock = lockout_open();
        left = lockout_tries_left(g->lock);
        if (result == 0)
                assert_int_equal(left, g->left_before - 1);
        else
                assert_true(left == g->left_before || left == g->left_before - 1);
        assert_int_equal(lockout_right(g->lock), 0);
        g->left_before = lockout_tries_left(g->lock);
}

static void no_guess_goes_uncounted(void **state) {
        struct guess g = {.lock = lockout_open(), .left_before = 20};

        assert_true(fault_inject_walk(FAULT_ALL, take, check_taken, &g) >= 4);
        lockout_free(g.lock);
}

/* --- passphrase --- */

static bool is_new;

static int change(void *userdata) {
        return passphrase_set(dir.fd, is_new ? VIEW("the old passphrase") : VIEW("the new passphrase"));
}

static void check_changed(int result, void *userdata) {
        int old = passphrase_check(dir.fd, VIEW("the old passphrase")),
            new = passphrase_check(dir.fd, VIEW("the new passphrase"));

        assert_int_equal(old + new, 1); /* one of them, whatever happened */
        if (result == 0)
                assert_int_equal(new, !is_new);
        is_new = new == 1;
}

static void a_change_leaves_one_whole_passphrase(void **state) {
        is_new = true;
        assert_int_equal(change(NULL), 0);
        is_new = false;
        assert_true(fault_inject_walk(FAULT_READ | FAULT_WRITE | FAULT_FSYNC | FAULT_RENAME | FAULT_CHMOD,
                                      change, check_changed, NULL) >= 4);
}

/* --- the code --- */

static int begin(void *userdata) {
        return first_run_begin(dir.fd);
}

static void check_begun(int result, void *userdata) {
        _cleanup_(buf_donep) struct buf code = {0};
        int r = read_file_beneath(dir.fd, "first-run-code", 64, &code);

        if (result == 0)
                assert_int_equal(r, 0);
        if (r == 0)
                assert_int_equal(first_run_check(dir.fd, buf_view(&code)), 1); /* never a half one */
        (void)unlinkat(dir.fd, "first-run-code", 0);
}

static void the_code_is_whole_or_not_there(void **state) {
        assert_true(fault_inject_walk(FAULT_ALL, begin, check_begun, NULL) >= 4);
}

/* --- chats (SQLite itself is not reached: only what this program does around it fails) --- */

static struct app app;
static struct json_document *chat;
static char last_id[CONVERSATION_ID_SIZE];

static void open_database(void) {
        const char *const migrations[] = {conversations_sql};
        char path[128];

        app = (struct app){.state_dir = dir.fd};
        (void)snprintf(path, sizeof(path), "%s/ui.sqlite", dir.path);
        assert_int_equal(db_open(path, migrations, ARRAY_SIZE(migrations), &app.db), 0);
}

static int create(void *userdata) {
        return conversation_create(app.db, json_root(chat), last_id);
}

static size_t count_found(const char *search) {
        _cleanup_(buf_donep) struct buf out = BUF_INIT((size_t)16 << 20);
        _cleanup_(json_document_freep) struct json_document *d = NULL;

        assert_int_equal(conversation_list(app.db, view_of(search), &out), 0);
        assert_int_equal(json_parse(buf_view(&out), NULL, &d, NULL), 0);
        return json_get(json_root(d), "conversations")->count;
}

/* The row and what is searched are there together or not at all. */
static void check_created(int result, void *userdata) {
        size_t all = count_found("");

        assert_int_equal(all, count_found("pastry"));
        assert_true(all == (result == 0) || result < 0);
        if (all == 1)
                assert_int_equal(conversation_delete(app.db, view_of(last_id)), 0);
        assert_int_equal(count_found(""), 0);
}

static void a_chat_is_saved_whole_or_not_at_all(void **state) {
        open_database();
        assert_int_equal(
                json_parse(VIEW("{\"title\":\"About pastry\",\"messages\":[{\"role\":\"user\",\"content\":"
                                "\"How do I bake pastry?\"}]}"),
                           NULL, &chat, NULL),
                0);
        assert_true(fault_inject_walk(FAULT_ALL, create, check_created, NULL) >= 1);
        chat = json_document_free(chat);
        app.db = db_free(app.db);
}

int main(void) {
#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
        const struct CMUnitTest tests[] = {
                TEST(no_guess_goes_uncounted),
                TEST(a_change_leaves_one_whole_passphrase),
                TEST(the_code_is_whole_or_not_there),
                TEST(a_chat_is_saved_whole_or_not_at_all),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
