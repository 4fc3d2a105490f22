#include "ui/uploads.h"

#include <fcntl.h>

#include "base/file.h"
#include "base/text.h"
#include "core/fd_channel.h"
#include "ui/folder_list.h"
#include "ui/limits.h"
#include "ui/proxy.h"

#define SERVICE   "quarantine"
#define PATH_SIZE 256
#define JOB_MAX   64
#define DEMO_PATH "demo/pebble.gguf"
#define DEMO_NAME "pebble.gguf"

struct upload {
        struct app *app;
        int channel, file;
        uint64_t size, written;
        bool is_folder;
        struct folder_list list; /* of a folder: what comes, … */
        size_t next;             /* … the file after the one that is written, … */
        uint64_t left;           /* … and what that one still lacks */
        char job[JOB_MAX];
        size_t n_job;
};

static void upload_free(void *p) {
        struct upload *u = p;

        if (!u)
                return;
        (void)close_fd(u->file);
        (void)close_fd(u->channel);
        folder_list_done(&u->list);
        atomic_fetch_sub(&u->app->uploads, 1);
        free(u);
}

static int new_upload(struct app *app, struct http_request *q, struct upload **ret) {
        struct upload *u;
        int r;

        if (atomic_fetch_add(&app->uploads, 1) >= UI_UPLOADS_MAX) {
                atomic_fetch_sub(&app->uploads, 1);
                r = http_reply_error(q, 429, "too_many_uploads", NULL,
                                     "Wait until another upload has ended.");
                return r < 0 ? r : -EBADMSG;
        }
        u = calloc(1, sizeof(*u));
        if (!u) {
                atomic_fetch_sub(&app->uploads, 1);
                return -ENOMEM;
        }
        *u = (struct upload){.app = app, .channel = -EBADF, .file = -EBADF, .list = FOLDER_LIST_INIT};
        *ret = u;
        return 0;
}

/* --- the channel --- */

static int connect_channel(struct app *app, int *ret) {
        struct view token = service_token(app->service, SERVICE);
        char path[PATH_SIZE];
        int n = snprintf(path, sizeof(path), "%s/" SERVICE ".fd.sock", service_run_path(app->service)), fd;

        if (n < 0 || (size_t)n >= sizeof(path))
                return -ENAMETOOLONG;
        fd = fd_channel_connect(path, token, UI_CHANNEL_USEC);
        if (fd < 0)
                return fd;
        *ret = fd;
        return 0;
}

/* Sends one message and waits for the answer; its descriptor, if any, goes to *ret_fd (NULL: none is expected). */
static int exchange(int channel, struct view message, int pass_fd, uint64_t answer_usec,
                    struct json_document **ret, int *ret_fd) {
        _cleanup_(closep) int fd = -EBADF;
        int r = fd_channel_send(channel, message, pass_fd, UI_CHANNEL_USEC);

        if (r == 0)
                r = fd_channel_receive(channel, answer_usec, ret, &fd);
        if (r < 0)
                return r;
        if (ret_fd)
                *ret_fd = TAKE_FD(fd);
        return 0;
}

static unsigned status_of_code(struct view code) {
        if (view_eq_str(code, "disk_full"))
                return 507;
        if (view_eq_str(code, "too_large"))
                return 413;
        return 409;
}

/* Quarantine's refusal, in its own words. */
static int reply_refusal(struct http_request *q, const struct json *answer) {
        struct view code = json_get_view(answer, "code", VIEW("refused"));
        struct view message = json_get_view(answer, "message", VIEW("The file was refused."));
        char text[JOB_MAX];
        int r;

        (void)snprintf(text, sizeof(text), "%.*s", (int)MIN_OF(code.n, sizeof(text) - 1), code.p);
        r = http_reply_error(q, status_of_code(code), text, NULL, "%.*s", VIEW_ARG(message));
        return r < 0 ? r : -EBADMSG;
}

static int check_answer(struct http_request *q, const struct json *answer) {
        bool ok = false;

        return json_get_bool(answer, "ok", &ok) == 0 && ok ? 0 : reply_refusal(q, answer);
}

static int keep_job(struct upload *u, const struct json *answer) {
        struct view job = json_get_view(answer, "job", VIEW_NULL);

        if (job.n == 0 || job.n > sizeof(u->job))
                return -EPROTO;
        memcpy(u->job, job.p, job.n);
        u->n_job = job.n;
        return 0;
}

static int fail_channel(struct http_request *q, int error) {
        int r = proxy_reply_failure(q, SERVICE, error == -ENOMEM ? error : -ECONNREFUSED);

        return r < 0 ? r : -EBADMSG;
}

static int open_channel(struct upload *u, struct http_request *q, struct view message, int pass_fd,
                        int *ret_fd) {
        _cleanup_(json_document_freep) struct json_document *answer = NULL;
        int r = proxy_require(q, u->app->quarantine, SERVICE);

        if (r < 0)
                return r;
        r = connect_channel(u->app, &u->channel);

        if (r == 0)
                r = exchange(u->channel, message, pass_fd, UI_CHANNEL_USEC, &answer, ret_fd);
        if (r < 0)
                return fail_channel(q, r);
        r = check_answer(q, json_root(answer));
        return r < 0 ? r : keep_job(u, json_root(answer));
}

/* --- an upload --- */

static bool is_good_name(struct view name) {
        if (name.n > UI_UPLOAD_NAME_MAX || !file_name_is_safe(name) || utf8_first_fault(name) != SIZE_MAX ||
            name.p[0] == '.')
                return false;
        for (size_t i = 0; i < name.n; i++)
                if ((unsigned char)name.p[i] < 0x20 || name.p[i] == 0x7f)
                        return false;
        return true;
}

static int check_upload(struct http_request *q) {
        int r;

        if (!is_good_name(http_query(q, "name")))
                r = http_reply_error(
                        q, 400, "bad_name", NULL,
                        "The file's name must be text without slashes, not begin with a dot and have at most "
                        "%zu bytes.",
                        UI_UPLOAD_NAME_MAX);
        else if (http_body_announced(q) == 0)
                r = http_reply_error(q, 411, "length_required", NULL,
                                     "Send the file as the body, with its length, and not an empty one.");
        else
                return 0;
        return r < 0 ? r : -EBADMSG;
}

static int upload_message(struct view name, uint64_t size, struct buf *out) {
        struct json_writer w = JSON_WRITER(out);

        json_object_begin(&w);
        json_member_string(&w, "op", "upload");
        json_member_view(&w, "name", name);
        json_member_u64(&w, "size", size);
        json_object_end(&w);
        return json_write_end(&w);
}

static int upload_begin(struct app *app, struct http_request *q) {
        _cleanup_(buf_donep) struct buf message = BUF_INIT(4096);
        struct upload *u = NULL;
        int r = check_upload(q);

        if (r == 0)
                r = new_upload(app, q, &u);
        if (r < 0)
                return r;
        http_set_context(q, u, upload_free);
        u->size = http_body_announced(q);
        u->is_folder = view_eq_str(http_query(q, "folder"), "1");
        if (u->is_folder)
                return 0; /* what it holds must come first */
        r = upload_message(http_query(q, "name"), u->size, &message);
        if (r == 0)
                r = open_channel(u, q, buf_view(&message), -EBADF, &u->file);
        return r < 0 ? r : u->file < 0 ? fail_channel(q, -EPROTO) : 0;
}

/* --- a folder: its list, then its files --- */

static int folder_message(const struct upload *u, struct view name, struct buf *out) {
        struct json_writer w = JSON_WRITER(out);

        json_object_begin(&w);
        json_member_string(&w, "op", "upload_set");
        json_member_view(&w, "name", name);
        json_member_u64(&w, "files", u->list.n);
        json_member_u64(&w, "size", u->list.size);
        json_object_end(&w);
        return json_write_end(&w);
}

static int file_message(const struct folder_file *f, struct buf *out) {
        struct json_writer w = JSON_WRITER(out);

        json_object_begin(&w);
        json_member_string(&w, "op", "file");
        json_member_view(&w, "path", f->path);
        json_member_u64(&w, "size", f->size);
        json_object_end(&w);
        return json_write_end(&w);
}

static int reply_bad_folder(struct http_request *q, int error) {
        int r;

        if (error == -ENOMEM)
                return error;
        r = http_reply_error(
                q, error == -EBADMSG ? 400 : 413, error == -EBADMSG ? "bad_folder" : "too_large", NULL,
                error == -EBADMSG
                        ? "The list of the folder's files is not right: a name that can't be, or sizes "
                          "that don't add up to what was sent."
                        : "The folder has more files than one model may have.");
        return r < 0 ? r : -EBADMSG;
}

/* Takes the list off the front of the body; once it is there, the quarantine is told of it. */
static int take_list(struct upload *u, struct http_request *q, struct view *piece) {
        _cleanup_(buf_donep) struct buf message = BUF_INIT(4096);
        int r = folder_list_feed(&u->list, piece);

        if (r == 1 && u->list.text.n + u->list.size != u->size)
                r = -EBADMSG;
        if (r < 0)
                return reply_bad_folder(q, r);
        if (r == 0)
                return 0;
        r = folder_message(u, http_query(q, "name"), &message);
        return r < 0 ? r : open_channel(u, q, buf_view(&message), -EBADF, NULL);
}

/* Opens the files that come next, until one wants bytes: empty ones are done as soon as they are there. */
static int next_file(struct upload *u, struct http_request *q) {
        while (u->left == 0 && u->next < u->list.n) {
                _cleanup_(json_document_freep) struct json_document *answer = NULL;
                _cleanup_(buf_donep) struct buf message = BUF_INIT(4096);
                const struct folder_file *f = &u->list.files[u->next++];
                int r = file_message(f, &message);

                u->file = close_fd(u->file);
                if (r == 0)
                        r = exchange(u->channel, buf_view(&message), -EBADF, UI_CHANNEL_USEC, &answer,
                                     &u->file);
                if (r < 0)
                        return fail_channel(q, r);
                r = check_answer(q, json_root(answer));
                if (r < 0)
                        return r;
                if (u->file < 0)
                        return fail_channel(q, -EPROTO);
                u->left = f->size;
        }
        return 0;
}

static int take_folder(struct upload *u, struct http_request *q, struct view piece) {
        int r = 0;

        if (!u->list.complete) {
                r = take_list(u, q, &piece);
                if (r < 0 || !u->list.complete)
                        return r;
                u->written = u->list.text.n;
        }
        r = next_file(u, q);
        while (r >= 0 && piece.n > 0 && u->left > 0) {
                size_t n = (size_t)MIN_OF((uint64_t)piece.n, u->left);

                r = write_all(u->file, piece.p, n);
                piece = view_sub(piece, n, SIZE_MAX);
                u->left -= n;
                u->written += n;
                if (r >= 0)
                        r = next_file(u, q);
        }
        return r < 0         ? r
               : piece.n > 0 ? -EPROTO
                             : 0; /* bytes that no file wants can't be: the sizes add up */
}

int uploads_sink(struct http_request *q, struct view piece, void *userdata) {
        struct upload *u = http_context(q);
        int r;

        if (!u) {
                r = upload_begin(userdata, q);
                if (r < 0)
                        return r;
                u = http_context(q);
        }
        r = u->is_folder ? take_folder(u, q, piece) : write_all(u->file, piece.p, piece.n);
        if (r < 0) /* nothing more is wanted: let quarantine drop it now */
                http_set_context(q, NULL, NULL);
        else if (!u->is_folder)
                u->written += piece.n;
        return r;
}

static int reply_job(struct http_request *q, struct view job) {
        _cleanup_(buf_donep) struct buf body = BUF_INIT(1024);
        struct json_writer w = JSON_WRITER(&body);
        int r;

        json_object_begin(&w);
        json_member_view(&w, "job", job);
        json_object_end(&w);
        r = json_write_end(&w);
        return r < 0 ? r : http_reply_json(q, 201, buf_view(&body));
}

static int commit(struct upload *u, struct http_request *q) {
        _cleanup_(json_document_freep) struct json_document *answer = NULL;
        _cleanup_(buf_donep) struct buf message = BUF_INIT(1024);
        struct json_writer w = JSON_WRITER(&message);
        int r;

        json_object_begin(&w);
        json_member_string(&w, "op", "commit");
        json_member_view(&w, "job", (struct view){u->job, u->n_job});
        json_object_end(&w);
        r = json_write_end(&w);
        u->file = close_fd(u->file);
        if (r == 0)
                r = exchange(u->channel, buf_view(&message), -EBADF, UI_COMMIT_USEC, &answer, NULL);
        return r < 0 ? fail_channel(q, r) : check_answer(q, json_root(answer));
}

static int record(struct app *app, struct http_request *q, const char *event, const struct upload *u,
                  struct view name) {
        _cleanup_(buf_donep) struct buf detail = BUF_INIT(4096);
        struct json_writer w = JSON_WRITER(&detail);
        int r;

        json_object_begin(&w);
        json_member_view(&w, "name", name);
        json_member_u64(&w, "size", u->size);
        if (u->is_folder)
                json_member_u64(&w, "files", u->list.n);
        json_object_end(&w);
        r = json_write_end(&w);
        return r < 0 ? r
                     : app_audit(app, q, event, "allow", (struct view){u->job, u->n_job}, buf_view(&detail));
}

int uploads_on_done(struct http_request *q, void *userdata) {
        struct upload *u = http_context(q);
        int r;

        if (!u) {
                r = check_upload(q);
                return r < 0 ? r : -EPROTO;
        }
        if (u->is_folder && !u->list.complete)
                return reply_bad_folder(q, -EBADMSG);
        if (u->written != u->size)
                return -EPROTO;
        r = record(u->app, q, "upload", u, http_query(q, "name"));
        if (r == 0)
                r = commit(u, q);
        return r < 0 ? r : reply_job(q, (struct view){u->job, u->n_job});
}

/* --- the demo model --- */

static int open_demo(struct app *app, struct http_request *q) {
        int fd = open_beneath(app->share_dir, DEMO_PATH, O_RDONLY, 0), r;

        if (fd != -ENOENT)
                return fd;
        r = http_reply_error(q, 404, "no_demo_model", NULL, "This installation came without the demo model.");
        return r < 0 ? r : -EBADMSG;
}

int uploads_on_demo(struct http_request *q, void *userdata) {
        _cleanup_(closep) int model = open_demo(userdata, q);
        struct upload *u = NULL;
        int r = model < 0 ? model : new_upload(userdata, q, &u);

        if (r < 0)
                return r;
        http_set_context(q, u, upload_free);
        r = app_audit(u->app, q, "demo_import", "allow", VIEW(DEMO_NAME), VIEW_NULL);
        if (r == 0)
                r = open_channel(u, q,
                                 VIEW("{\"op\":\"import\",\"name\":\"" DEMO_NAME "\",\"source\":\"demo\"}"),
                                 model, NULL);
        return r < 0 ? r : reply_job(q, (struct view){u->job, u->n_job});
}
