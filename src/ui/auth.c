#include "ui/auth.h"

#include "base/clock.h"
#include "base/secret.h"
#include "ui/first_run.h"
#include "ui/limits.h"
#include "ui/lockout.h"
#include "ui/passphrase.h"
#include "ui/sessions.h"

#define COOKIE_NAME "secai_session"

struct view auth_token(const struct http_request *q) {
        return http_cookie(q, COOKIE_NAME);
}

bool auth_still_open(struct app *app, struct view token) {
        return session_check(app, token, false) == 1;
}

static bool is_read(const struct http_request *q) {
        return view_eq_str(http_method(q), "GET") || view_eq_str(http_method(q), "HEAD");
}

/* Pages ask for these again and again while nobody is there. */
static bool is_polled(const struct http_request *q) {
        static const char *const paths[] = {"/api/status", "/api/inference", "/api/jobs", "/api/jobs/events",
                                            "/api/models"};

        for (size_t i = 0; i < ARRAY_SIZE(paths); i++)
                if (view_eq_str(http_path(q), paths[i]))
                        return is_read(q);
        return false;
}

static int refuse_csrf(struct http_request *q) {
        int r = http_reply_error(q, 403, "csrf", NULL, "This request did not come from the page. Reload it.");

        return r < 0 ? r : -EACCES;
}

static int check_csrf(struct http_request *q) {
        char csrf[SESSION_TOKEN_SIZE];
        int r = session_csrf(auth_token(q), csrf);

        if (r < 0)
                return r;
        return view_eq_constant_time(http_header(q, "X-CSRF-Token"), view_of(csrf)) ? 0 : refuse_csrf(q);
}

int auth_guard(struct http_request *q, const struct http_route *route, void *userdata) {
        int r = session_check(userdata, auth_token(q), !is_polled(q));

        if (r < 0)
                return r;
        if (r == 0) {
                r = http_reply_error(q, 401, "login_required", NULL, "Log in first.");
                return r < 0 ? r : -EACCES;
        }
        return is_read(q) ? 0 : check_csrf(q);
}

/* --- answers --- */

static int has_passphrase(struct app *app) {
        int r;

        pthread_mutex_lock(&app->passphrase_mutex);
        r = passphrase_exists(app->state_dir, NULL);
        pthread_mutex_unlock(&app->passphrase_mutex);
        return r;
}

static void put_locked_until(struct json_writer *w, struct app *app, bool first_run) {
        uint64_t rest = lockout_remaining_usec(first_run ? app->setup_lock : app->login_lock);
        char text[CLOCK_TEXT_SIZE];

        json_key(w, "locked_until");
        if (rest == 0) {
                json_put_null(w);
                return;
        }
        clock_format(clock_real_usec() + rest, text);
        json_put_string(w, text);
}

/* `token`: of an open session, or VIEW_NULL. */
static int reply_session(struct app *app, struct http_request *q, struct view token) {
        _cleanup_(buf_donep) struct buf body = BUF_INIT(4096);
        struct json_writer w = JSON_WRITER(&body);
        char csrf[SESSION_TOKEN_SIZE];
        int r = token.p ? session_csrf(token, csrf) : 0, exists = has_passphrase(app);

        if (r < 0 || exists < 0)
                return r < 0 ? r : exists;
        json_object_begin(&w);
        json_member_string(&w, "state", token.p ? "open" : exists ? "login" : "first_run");
        if (token.p)
                json_member_string(&w, "csrf", csrf);
        put_locked_until(&w, app, !exists);
        json_member_u64(&w, "idle_timeout_s", app->settings.idle_usec / USEC_PER_SEC);
        json_member_string(&w, "version", SAI_VERSION);
        json_object_end(&w);
        r = json_write_end(&w);
        return r < 0 ? r : http_reply_json(q, 200, buf_view(&body));
}

static int set_cookie(struct http_request *q, const char *token, const char *more) {
        char text[256];
        int n = snprintf(text, sizeof(text), COOKIE_NAME "=%s; HttpOnly; SameSite=Strict; Path=/%s", token,
                         more);

        return n < 0 || (size_t)n >= sizeof(text) ? -E2BIG : http_add_header(q, "Set-Cookie", text);
}

static int open_session(struct app *app, struct http_request *q) {
        char token[SESSION_TOKEN_SIZE];
        int r = session_begin(app, token);

        if (r == 0)
                r = set_cookie(q, token, "");
        if (r == 0)
                r = reply_session(app, q, view_of(token));
        wipe(token, sizeof(token));
        return r;
}

static int reply_locked(struct http_request *q, struct lockout *l) {
        uint64_t seconds = (lockout_remaining_usec(l) + USEC_PER_SEC - 1) / USEC_PER_SEC;
        char detail[64], retry[24];
        int r;

        (void)snprintf(detail, sizeof(detail), "{\"retry_after_s\":%llu}", (unsigned long long)seconds);
        (void)snprintf(retry, sizeof(retry), "%llu", (unsigned long long)seconds);
        r = http_add_header(q, "Retry-After", retry);
        if (r < 0)
                return r;
        return http_reply_error(q, 429, "locked_out", detail,
                                "Too many wrong tries. Wait %llu seconds, then try again.",
                                (unsigned long long)seconds);
}

/* After a wrong guess: what is left. */
static int reply_wrong(struct http_request *q, struct lockout *l, const char *code, const char *text) {
        char detail[64];

        if (lockout_remaining_usec(l) > 0)
                return reply_locked(q, l);
        (void)snprintf(detail, sizeof(detail), "{\"tries_left\":%llu}",
                       (unsigned long long)lockout_tries_left(l));
        return http_reply_error(q, 403, code, detail, "%s", text);
}

/* --- requests --- */

/* The two strings of a body that has nothing else; false when it has been answered. */
static int read_strings(struct http_request *q, const char *const names[], struct view values[]) {
        const struct json *body;
        int r = http_body_json(q, &body);

        if (r < 0)
                return r;
        r = json_unknown_member(body, names) ? -EBADMSG : 0;
        for (size_t i = 0; names[i]; i++) {
                values[i] = json_get_view(body, names[i], VIEW_NULL);
                if (!values[i].p)
                        r = -EBADMSG;
        }
        if (r == 0)
                return 0;
        r = http_reply_error(q, 400, "bad_request", NULL, "Expected an object with the strings %s%s%s only.",
                             names[0], names[1] ? " and " : "", names[1] ? names[1] : "");
        return r < 0 ? r : -EBADMSG;
}

/* Where no session is, a header that other origins can't send stands for the CSRF token. */
static int check_requested_with(struct http_request *q) {
        return view_eq_str(http_header(q, "X-Requested-With"), "secai") ? 0 : refuse_csrf(q);
}

int auth_on_session(struct http_request *q, void *userdata) {
        struct app *app = userdata;
        struct view token = auth_token(q);
        int r = session_check(app, token, false);

        return r < 0 ? r : reply_session(app, q, r == 1 ? token : VIEW_NULL);
}

/* Takes a try and looks at it: 1 right, 0 wrong (answered), negative. */
static int guess_code(struct app *app, struct http_request *q, struct view code) {
        int r = lockout_take(app->setup_lock);

        if (r == -EAGAIN)
                return reply_locked(q, app->setup_lock);
        if (r == 0)
                r = first_run_check(app->state_dir, code);
        if (r == 1) { /* whoever has the code may think about a good passphrase as long as it takes */
                r = lockout_right(app->setup_lock);
                return r < 0 ? r : 1;
        }
        if (r < 0)
                return r;
        r = app_audit(app, q, "setup_code_wrong", "deny", VIEW_NULL, VIEW_NULL);
        if (r < 0)
                return r;
        return reply_wrong(q, app->setup_lock, "wrong_code",
                           "The one-time code is not right. `make run` (or securectl up) shows it.");
}

static int choose_passphrase(struct app *app, struct http_request *q, struct view passphrase) {
        struct fault why = FAULT_NONE;
        int r;

        if (!passphrase_is_good(passphrase, app->settings.passphrase_min, &why)) {
                r = http_reply_error(q, 422, "weak_passphrase", NULL, "%s", why.text);
                return r < 0 ? r : -EBADMSG;
        }
        r = app_audit(app, q, "passphrase_set", "allow", VIEW_NULL, VIEW_NULL);
        return r < 0 ? r : passphrase_set(app->state_dir, passphrase);
}

static int set_up(struct app *app, struct http_request *q, struct view code, struct view passphrase) {
        int r = passphrase_exists(app->state_dir, NULL);

        if (r < 0)
                return r;
        if (r == 1) {
                r = http_reply_error(q, 409, "already_set_up", NULL,
                                     "A passphrase was already chosen. Log in.");
                return r < 0 ? r : -EBADMSG;
        }
        r = guess_code(app, q, code);
        if (r != 1)
                return r < 0 ? r : -EBADMSG;
        r = choose_passphrase(app, q, passphrase);
        if (r == 0)
                r = first_run_end(app->state_dir);
        return r;
}

int auth_on_setup(struct http_request *q, void *userdata) {
        static const char *const names[] = {"code", "passphrase", NULL};
        struct app *app = userdata;
        struct view values[2];
        int r = check_requested_with(q);

        if (r == 0)
                r = read_strings(q, names, values);
        if (r < 0)
                return r;
        pthread_mutex_lock(&app->passphrase_mutex);
        r = set_up(app, q, values[0], values[1]);
        pthread_mutex_unlock(&app->passphrase_mutex);
        return r < 0 ? r : open_session(app, q);
}

/* A try at the passphrase: 0 when it was right; else the request has been answered (-EACCES) or failed. */
static int guess_passphrase(struct app *app, struct http_request *q, struct view passphrase) {
        int r = lockout_take(app->login_lock);

        if (r == -EAGAIN) {
                r = reply_locked(q, app->login_lock);
                return r < 0 ? r : -EACCES;
        }
        if (r < 0)
                return r;
        pthread_mutex_lock(&app->passphrase_mutex);
        r = passphrase.n <= UI_PASSPHRASE_BYTES_MAX ? passphrase_check(app->state_dir, passphrase) : 0;
        pthread_mutex_unlock(&app->passphrase_mutex);
        if (r < 0)
                return r;
        if (r == 1)
                return 0;
        r = app_audit(app, q, "login", "deny", VIEW_NULL, VIEW_NULL);
        if (r == 0)
                r = reply_wrong(q, app->login_lock, "wrong_passphrase", "The passphrase is not right.");
        return r < 0 ? r : -EACCES;
}

int auth_on_login(struct http_request *q, void *userdata) {
        static const char *const names[] = {"passphrase", NULL};
        struct app *app = userdata;
        struct view passphrase;
        int r = check_requested_with(q);

        if (r == 0)
                r = read_strings(q, names, &passphrase);
        if (r < 0)
                return r;
        r = has_passphrase(app);
        if (r == 0)
                return http_reply_error(q, 409, "not_set_up", NULL,
                                        "No passphrase was chosen yet. Use the one-time code first.");
        if (r > 0)
                r = guess_passphrase(app, q, passphrase);
        if (r == 0)
                r = app_audit(app, q, "login", "allow", VIEW_NULL, VIEW_NULL);
        if (r == 0)
                r = lockout_right(app->login_lock);
        return r < 0 ? r : open_session(app, q);
}

int auth_on_logout(struct http_request *q, void *userdata) {
        struct app *app = userdata;
        int r = app_audit(app, q, "logout", "info", VIEW_NULL, VIEW_NULL);

        if (r == 0)
                r = session_end(app, auth_token(q));
        if (r == 0)
                r = set_cookie(q, "", "; Max-Age=0");
        return r < 0 ? r : http_reply(q, 204, NULL, VIEW_NULL);
}

int auth_on_passphrase(struct http_request *q, void *userdata) {
        static const char *const names[] = {"old", "new", NULL};
        struct app *app = userdata;
        struct view values[2];
        int r = read_strings(q, names, values);

        if (r == 0)
                r = guess_passphrase(app, q, values[0]);
        if (r == 0)
                r = lockout_right(app->login_lock);
        if (r < 0)
                return r;
        pthread_mutex_lock(&app->passphrase_mutex);
        r = choose_passphrase(app, q, values[1]);
        pthread_mutex_unlock(&app->passphrase_mutex);
        if (r == 0)
                r = session_end_others(app, auth_token(q));
        return r < 0 ? r : reply_session(app, q, auth_token(q));
}
