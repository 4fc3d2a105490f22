#include "inference/worker_real.h"

#include <fcntl.h>
#include <sys/stat.h>

#include "base/log.h"
#include "core/fd_channel.h"
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

static int ask(int sock, const char *sha256, struct json_document **ret, int *ret_fd) {
        char question[128];
        int n = snprintf(question, sizeof(question), "{\"op\":\"open\",\"sha256\":\"%s\"}", sha256);
        int r = fd_channel_send(sock, view_make(question, (size_t)n), -1, REGISTRY_CALL_USEC);

        return r < 0 ? r : fd_channel_receive(sock, REGISTRY_CALL_USEC, ret, ret_fd);
}

static int open_model(void *userdata, const char *sha256, int *ret_model, int *ret_lease, uint64_t *ret_size,
                      struct refusal *why) {
        const struct worker_real *x = userdata;
        _cleanup_(json_document_freep) struct json_document *d = NULL;
        _cleanup_(closep) int sock = -EBADF, model = -EBADF;
        bool ok = false;
        uint64_t size;
        int r;

        r = sock = fd_channel_connect(x->registry_socket, x->token, REGISTRY_CALL_USEC);
        if (r >= 0)
                r = ask(sock, sha256, &d, &model);
        if (r < 0)
                return no_registry(why, r);
        if (json_get_bool(json_root(d), "ok", &ok) < 0 || !ok)
                return refused(json_root(d), why);
        if (json_get_u64(json_root(d), "size", &size) < 0 || !is_model(model, size))
                return no_registry(why, -EPROTO);
        *ret_model = TAKE_FD(model);
        *ret_lease = TAKE_FD(sock);
        *ret_size = size;
        return 0;
}

static int read_machine(void *userdata, struct machine *ret) {
        return machine_read("", ret);
}

static int spawn(void *userdata, int model, const struct plan *plan, uint32_t *ret_id, int *ret_pid_fd,
                 char ret_socket[108]) {
        const struct worker_real *x = userdata;
        const struct launcher_request q = {
                .kind = LAUNCHER_LLAMA_SERVER,
                .fds = {model, -EBADF},
                .n_fds = 1,
                .threads = plan->threads,
                .context = plan->context,
                .slots = WORKER_SLOTS,
                .memory_bytes = plan->memory_limit,
        };
        struct launcher_worker l;
        int r = launcher_spawn(x->launcher, &q, &l);

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
