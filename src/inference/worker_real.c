#include "inference/worker_real.h"

#include <fcntl.h>
#include <sys/stat.h>

#include "base/log.h"
#include "core/fd_channel.h"
#include "core/gguf_parts.h"
#include "inference/limits.h"

static int no_registry(struct refusal *why, int error) {
        return refusal_set(why, error, 503, "registry_unavailable",
                           "The registry of models does not answer (%s). See securectl status.",
                           strerror(-error));
}

static int refused(const struct json *answer, struct refusal *why) {
        _cleanup_(buf_donep) struct buf text = BUF_INIT(512);
        struct view code = json_get_view(answer, "code", VIEW_NULL);

        if (view_eq_str(code, "unknown_model"))
                return refusal_set(why, -ENOENT, 404, "unknown_model",
                                   "The registry has no such model. GET /v1/models lists what it has.");
        if (buf_append_escaped(&text, json_get_view(answer, "message", VIEW("no reason given")), 160) < 0)
                buf_clear(&text);
        return refusal_set(why, -EACCES, 409, "model_refused",
                           "The registry does not hand out this model: %s", buf_str(&text));
}

/* A regular file of the announced size that nobody can write to through this descriptor. */
static bool is_model(int fd, uint64_t size) {
        struct stat st;
        int flags = fcntl(fd, F_GETFL);

        return flags >= 0 && (flags & O_ACCMODE) == O_RDONLY && fstat(fd, &st) == 0 && S_ISREG(st.st_mode) &&
               st.st_size > 0 && (uint64_t)st.st_size == size;
}

/* Sends a question and takes the descriptor that comes with a good answer: *ret_fd of *ret_size bytes, as announced. */
static int ask(int sock, struct view question, struct json_document **ret, int *ret_fd, uint64_t *ret_size,
               struct refusal *why) {
        bool ok = false;
        int r = fd_channel_send(sock, question, -1, REGISTRY_CALL_USEC);

        if (r >= 0)
                r = fd_channel_receive(sock, REGISTRY_CALL_USEC, ret, ret_fd);
        if (r < 0)
                return no_registry(why, r);
        if (json_get_bool(json_root(*ret), "ok", &ok) < 0 || !ok)
                return refused(json_root(*ret), why);
        return json_get_u64(json_root(*ret), "size", ret_size) < 0 ? no_registry(why, -EPROTO) : 0;
}

static int read_listing(int fd, const char *sha256, struct set_listing *ret) {
        _cleanup_(buf_donep) struct buf text = BUF_INIT(SET_LISTING_MAX);
        struct sha256 wanted, found;
        int r = buf_read_file(&text, fd);

        if (r >= 0)
                r = sha256_of(buf_view(&text), &found);
        if (r >= 0)
                r = sha256_from_hex(view_of(sha256), &wanted);
        if (r >= 0 && memcmp(wanted.b, found.b, SHA256_SIZE) != 0)
                r = -EBADMSG;
        return r < 0 ? r : set_listing_parse(buf_view(&text), ret);
}

static int open_part(int sock, const char *sha256, const struct set_member *m, struct worker_model *model,
                     struct refusal *why) {
        _cleanup_(buf_donep) struct buf question = BUF_INIT(FD_MESSAGE_MAX);
        _cleanup_(json_document_freep) struct json_document *d = NULL;
        _cleanup_(closep) int fd = -EBADF;
        struct json_writer w = JSON_WRITER(&question);
        uint64_t size;
        int r;

        json_object_begin(&w);
        json_member_string(&w, "op", "open_member");
        json_member_string(&w, "sha256", sha256);
        json_member_string(&w, "path", m->path);
        json_object_end(&w);
        r = json_write_end(&w);
        if (r < 0)
                return no_registry(why, r);
        r = ask(sock, buf_view(&question), &d, &fd, &size, why);
        if (r < 0)
                return r;
        if (size != m->size || !is_model(fd, size))
                return no_registry(why, -EPROTO);
        if (model->n == 0)
                model->first_size = size;
        model->size += size;
        model->fds[model->n++] = TAKE_FD(fd);
        return 0;
}

/* The set's lease holds for its files, which come over the same channel one by one. */
static int open_parts(int sock, const char *sha256, int listing, struct worker_model *ret,
                      struct refusal *why) {
        _cleanup_(set_listing_donep) struct set_listing set = {0};
        _cleanup_(worker_model_done) struct worker_model model = {0};
        struct gguf_parts parts;
        int r = read_listing(listing, sha256, &set);

        if (r >= 0)
                r = gguf_parts_find(&set, &parts);
        if (r < 0)
                return no_registry(why, r);
        for (unsigned i = 0; i < parts.n && r >= 0; i++)
                r = open_part(sock, sha256, &set.members[parts.index[i]], &model, why);
        if (r < 0)
                return r;
        *ret = model;
        model.n = 0;
        return 0;
}

static int open_model(void *userdata, const char *sha256, struct worker_model *ret_model, int *ret_lease,
                      struct refusal *why) {
        const struct worker_real *x = userdata;
        _cleanup_(json_document_freep) struct json_document *d = NULL;
        _cleanup_(closep) int sock = -EBADF, file = -EBADF;
        char question[128];
        uint64_t size;
        int n = snprintf(question, sizeof(question), "{\"op\":\"open\",\"sha256\":\"%s\"}", sha256);
        int r = sock = fd_channel_connect(x->registry_socket, x->token, REGISTRY_CALL_USEC);

        if (r < 0)
                return no_registry(why, r);
        r = ask(sock, view_make(question, (size_t)n), &d, &file, &size, why);
        if (r < 0)
                return r;
        if (view_eq_str(json_get_view(json_root(d), "kind", VIEW_NULL), "gguf-set")) {
                r = open_parts(sock, sha256, file, ret_model, why);
                if (r < 0)
                        return r;
        } else {
                if (!is_model(file, size))
                        return no_registry(why, -EPROTO);
                *ret_model = (struct worker_model){
                        .fds = {TAKE_FD(file)}, .n = 1, .first_size = size, .size = size};
        }
        *ret_lease = TAKE_FD(sock);
        return 0;
}

static int read_machine(void *userdata, struct machine *ret) {
        return machine_read("", ret);
}

static int spawn(void *userdata, const struct worker_model *model, const struct plan *plan, uint32_t *ret_id,
                 int *ret_pid_fd, char ret_socket[108]) {
        const struct worker_real *x = userdata;
        struct launcher_request q = {
                .kind = LAUNCHER_LLAMA_SERVER,
                .n_fds = model->n,
                .threads = plan->threads,
                .context = plan->context,
                .slots = WORKER_SLOTS,
                .memory_bytes = plan->memory_limit,
        };
        struct launcher_worker l;
        int r;

        memcpy(q.fds, model->fds, model->n * sizeof(q.fds[0]));
        r = launcher_spawn(x->launcher, &q, &l);
        if (r < 0)
                return r;
        *ret_id = l.id;
        *ret_pid_fd = l.pid_fd;
        memcpy(ret_socket, l.socket_path, sizeof(l.socket_path));
        return 0;
}

static void end(void *userdata, uint32_t id, int *ret_status) {
        const struct worker_real *x = userdata;

        (void)launcher_kill(x->launcher, id, ret_status);
}

static int record(void *userdata, const char *event, const char *decision, const char *sha256,
                  const char *detail) {
        const struct worker_real *x = userdata;
        const struct audit_event e = {
                .event = event,
                .decision = decision,
                .subject = view_of(sha256),
                .detail = view_of(detail),
        };

        return x->audit ? audit_append(x->audit, &e) : -ENOTCONN;
}

static void note(void *userdata, bool bad, const char *event, const char *text) {
        log_line(bad ? LOG_LEVEL_WARNING : LOG_LEVEL_INFO, event, "%s", text);
}

const struct worker_ops worker_real_ops = {
        .open_model = open_model,
        .read_machine = read_machine,
        .spawn = spawn,
        .kill = end,
        .record = record,
        .note = note,
};
