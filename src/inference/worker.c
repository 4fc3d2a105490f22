#include "inference/worker.h"

#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <sys/eventfd.h>
#include <sys/wait.h>
#include <time.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/num.h"
#include "inference/limits.h"
#include "inference/shape.h"

#define NEVER UINT64_MAX

/* What somebody asked for. `serial` tells one request from the next, so that a load that was overtaken is dropped. */
struct target {
        char sha256[65]; /* kept when an unused model was unloaded: the next chat brings it back */
        bool wanted;
        uint32_t context; /* 0: as configured */
        uint64_t serial;
};

/* A worker process and all that belongs to it. */
struct loaded {
        bool present; /* there is something to clean up */
        bool ended;   /* the process is gone and reaped */
        char sha256[65];
        uint32_t asked_context;
        uint32_t id;
        int pid_fd, lease;
        int pid;
        struct plan plan;
        struct http_client *client;
        uint64_t ready_at;
};
#define LOADED_NONE ((struct loaded){.pid_fd = -EBADF, .lease = -EBADF})

struct worker {
        struct worker_config config;
        pthread_t thread;
        int wake_fd;

        pthread_mutex_t mutex; /* guards everything below */
        pthread_cond_t changed;
        bool stopping;
        enum worker_state state; /* LOADING: the thread has work to do, as soon as no answer is under way */
        struct target target;
        struct loaded now; /* changed by the thread only */
        unsigned busy;
        uint64_t last_used;
        struct refusal failure; /* of FAILED */
        int failure_error;
        uint64_t failed_serial;
        unsigned deaths; /* in a row */
        uint64_t restarts;
        uint64_t restart_at, lease_retry_at;
        char reason[sizeof((struct refusal *)0)->text];
};

/* --- small helpers --- */

void worker_model_done(struct worker_model *m) {
        while (m->n > 0)
                close_fd(m->fds[--m->n]);
}

const char *worker_state_name(enum worker_state s) {
        static const char *const names[WORKER_STATE_MAX] = {"idle", "loading", "ready", "failed"};

        return s < WORKER_STATE_MAX ? names[s] : "failed";
}

static void wake(struct worker *w) {
        uint64_t one = 1;

        while (write(w->wake_fd, &one, sizeof(one)) < 0 && errno == EINTR)
                ;
}

static void drain(int fd) {
        uint64_t n;

        while (read(fd, &n, sizeof(n)) < 0 && errno == EINTR)
                ;
}

static void set_state(struct worker *w, enum worker_state s) {
        w->state = s;
        pthread_cond_broadcast(&w->changed);
}

static void note(const struct worker *w, bool bad, const char *event, const char *text) {
        if (w->config.ops->note)
                w->config.ops->note(w->config.userdata, bad, event, text);
}

static int record(const struct worker *w, const char *event, const char *decision, const char *sha256,
                  const char *detail) {
        return w->config.ops->record(w->config.userdata, event, decision, sha256, detail);
}

/* "killed by signal 9", "exit status 1" */
static void describe_end(int status, char out[64]) {
        if (WIFSIGNALED(status))
                (void)snprintf(out, 64, "killed by signal %d", WTERMSIG(status));
        else
                (void)snprintf(out, 64, "exit status %d", WEXITSTATUS(status));
}

/* The kernel tells which process a descriptor stands for. */
static int pid_of(int pid_fd) {
        _cleanup_(buf_donep) struct buf text = BUF_INIT(4096);
        char path[64];
        struct view rest, line, key;
        uint64_t pid;

        (void)snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", pid_fd);
        if (read_file(path, 4096, &text) < 0)
                return 0;
        rest = buf_view(&text);
        while (view_split(&rest, '\n', &line)) {
                if (!view_split(&line, ':', &key) || !view_eq_str(key, "Pid"))
                        continue;
                while (line.n > 0 && (line.p[0] == '\t' || line.p[0] == ' '))
                        line = view_sub(line, 1, line.n);
                return u64_parse(line, INT32_MAX, &pid) < 0 ? 0 : (int)pid;
        }
        return 0;
}

/* --- starting one --- */

static bool is_overtaken(struct worker *w, uint64_t serial) {
        bool yes;

        pthread_mutex_lock(&w->mutex);
        yes = w->stopping || w->target.serial != serial;
        pthread_mutex_unlock(&w->mutex);
        return yes;
}

/* Kills what is left of the process; the client stays, because an answer may still be using it. */
static void end_process(const struct worker *w, struct loaded *l, int *ret_status) {
        if (!l->ended)
                w->config.ops->kill(w->config.userdata, l->id, ret_status);
        l->ended = true;
        l->pid_fd = close_fd(l->pid_fd);
        l->lease = close_fd(l->lease);
        l->pid = 0;
}

static void loaded_done(const struct worker *w, struct loaded *l) {
        int status = 0;

        if (l->present)
                end_process(w, l, &status);
        l->lease = close_fd(l->lease);
        l->client = http_client_free(l->client);
        *l = LOADED_NONE;
}

static int died_loading(const struct worker *w, struct loaded *l, struct refusal *why) {
        char end[64] = "";
        int status = 0;

        end_process(w, l, &status);
        describe_end(status, end);
        return refusal_set(
                why, -ECHILD, 503, "worker_failed",
                "The worker ended while it loaded the model (%s). Either this llama-server does not know "
                "the model's architecture, or memory ran out. Try another model, or close other programs.",
                end);
}

static bool answers_health(struct http_client *c) {
        _cleanup_(http_answer_donep) struct http_answer a = {0};

        return http_call(c, "GET", "/health", NULL, VIEW_NULL, HEALTH_CALL_USEC, HEALTH_ANSWER_MAX, &a) ==
                       0 &&
               a.status == 200;
}

static int wait_healthy(struct worker *w, struct loaded *l, uint64_t serial, struct refusal *why) {
        uint64_t deadline = clock_monotonic_usec() + w->config.load_timeout_usec;
        int delay_ms = 5;

        while (clock_monotonic_usec() < deadline) {
                struct pollfd p[] = {{.fd = l->pid_fd, .events = POLLIN},
                                     {.fd = w->wake_fd, .events = POLLIN}};

                if (answers_health(l->client))
                        return 0;
                if (poll(p, ARRAY_SIZE(p), delay_ms) > 0) {
                        if (p[0].revents)
                                return died_loading(w, l, why);
                        drain(w->wake_fd);
                        if (is_overtaken(w, serial))
                                return -ECANCELED;
                }
                delay_ms = MIN_OF(delay_ms * 2, 200);
        }
        return refusal_set(
                why, -ETIMEDOUT, 503, "worker_failed",
                "The model was not ready within %llu seconds. Raise inference.load_timeout_seconds in "
                "appliance.yaml, or choose a smaller model.",
                (unsigned long long)(w->config.load_timeout_usec / USEC_PER_SEC));
}

/* A split model describes itself in its first file. */
static int make_plan(const struct worker *w, const struct target *t, const struct worker_model *model,
                     struct plan *ret, struct refusal *why) {
        struct plan_settings settings = w->config.settings;
        struct machine machine;
        struct shape shape = {0};

        if (t->context > 0)
                settings.context = t->context;
        if (shape_read(model->fds[0], model->first_size, &shape) < 0)
                shape = (struct shape){0}; /* the estimate is made from the size alone */
        if (w->config.ops->read_machine(w->config.userdata, &machine) < 0)
                return refusal_set(why, -EIO, 503, "worker_failed",
                                   "How much memory the machine has could not be found out (/proc/meminfo).");
        return plan_make(&machine, &settings, &shape, model->size, ret, why);
}

static int start_process(struct worker *w, const struct worker_model *model, struct loaded *l,
                         struct refusal *why) {
        char socket[108] = "";
        int r = w->config.ops->spawn(w->config.userdata, model, &l->plan, &l->id, &l->pid_fd, socket);

        if (r == -ENOENT)
                return refusal_set(why, r, 503, "no_worker_root",
                                   "The sealed root with llama-server is missing. Run tools/worker-root.sh "
                                   "(make setup does) "
                                   "and start the service again.");
        if (r < 0)
                return refusal_set(
                        why, r, 503, "worker_failed",
                        "The worker could not be started: %s. The machine must allow user namespaces.",
                        strerror(-r));
        l->present = true;
        l->pid = pid_of(l->pid_fd);
        r = http_client_new(socket, 0, VIEW_NULL, &l->client);
        return r < 0 ? refusal_set(why, r, 503, "worker_failed", "Out of memory.") : 0;
}

/* The record comes before the first use: a model that the log does not know answers nobody. */
static int record_load(const struct worker *w, const struct loaded *l, struct refusal *why) {
        char detail[160];

        (void)snprintf(detail, sizeof(detail), "{\"threads\":%u,\"context\":%u,\"memory_limit\":%llu}",
                       l->plan.threads, l->plan.context, (unsigned long long)l->plan.memory_limit);
        if (record(w, "model_loaded", "info", l->sha256, detail) < 0)
                return refusal_set(
                        why, -EIO, 503, "audit_unavailable",
                        "The audit log can't be written, so no model is loaded. See the audit service "
                        "(securectl status).");
        return 0;
}

static int load(struct worker *w, const struct target *t, struct loaded *ret, struct refusal *why) {
        _cleanup_(worker_model_done) struct worker_model model = {0};
        struct loaded l = LOADED_NONE;
        int r = w->config.ops->open_model(w->config.userdata, t->sha256, &model, &l.lease, why);

        memcpy(l.sha256, t->sha256, sizeof(l.sha256));
        l.asked_context = t->context;
        if (r == 0)
                r = make_plan(w, t, &model, &l.plan, why);
        if (r == 0)
                r = start_process(w, &model, &l, why);
        if (r == 0)
                r = wait_healthy(w, &l, t->serial, why);
        if (r == 0)
                r = record_load(w, &l, why);
        if (r < 0) {
                loaded_done(w, &l);
                return r;
        }
        l.ready_at = clock_monotonic_usec();
        *ret = l;
        return 0;
}

/* --- the thread: called and left with the mutex locked, unlocked while anything takes time --- */

static void drop_now(struct worker *w, const char *why) {
        struct loaded old = w->now;
        char detail[96];

        w->now = LOADED_NONE;
        if (!old.present)
                return;
        pthread_mutex_unlock(&w->mutex);
        if (!old.ended) {
                (void)snprintf(detail, sizeof(detail), "{\"reason\":\"%s\"}", why);
                if (record(w, "model_unloaded", "info", old.sha256, detail) < 0)
                        note(w, true, "audit_failed", "the end of a model's use was not recorded");
        }
        loaded_done(w, &old);
        pthread_mutex_lock(&w->mutex);
}

static void fail(struct worker *w, int error, const struct refusal *why, uint64_t serial) {
        w->failure = *why;
        w->failure_error = error;
        w->failed_serial = serial;
        (void)snprintf(w->reason, sizeof(w->reason), "%s", why->text);
        set_state(w, WORKER_FAILED);
        note(w, true, "model_load_failed", why->text);
}

static void load_target(struct worker *w) {
        struct target t = w->target;
        struct loaded fresh = LOADED_NONE;
        struct refusal why = {
                .status = 503, .code = "worker_failed", .text = "The model could not be loaded."};
        bool restart = w->deaths > 0;
        int r;

        pthread_mutex_unlock(&w->mutex);
        r = load(w, &t, &fresh, &why);
        pthread_mutex_lock(&w->mutex);
        if (w->stopping || w->target.serial != t.serial) {
                w->now = fresh; /* overtaken: dropped like any other loaded model */
                if (fresh.present)
                        drop_now(w, "overtaken");
                return;
        }
        if (r < 0) {
                fail(w, r, &why, t.serial);
                return;
        }
        w->now = fresh;
        w->last_used = fresh.ready_at;
        w->restarts += restart ? 1 : 0;
        w->lease_retry_at = NEVER;
        w->reason[0] = '\0';
        set_state(w, WORKER_READY);
        note(w, false, restart ? "worker_restarted" : "model_loaded", fresh.sha256);
}

static bool has_work(const struct worker *w) {
        return w->state == WORKER_LOADING && w->busy == 0 &&
               (!w->target.wanted || w->restart_at <= clock_monotonic_usec());
}

static void work(struct worker *w) {
        drop_now(w, w->target.wanted ? "another model" : "unload");
        if (w->stopping)
                return;
        if (w->target.wanted) {
                load_target(w);
        } else {
                w->reason[0] = '\0';
                set_state(w, WORKER_IDLE);
        }
}

static uint64_t backoff(const struct worker *w) {
        uint64_t wait = w->config.restart_first_usec;

        if (w->deaths <= 1)
                return 0;
        for (unsigned i = 2; i < w->deaths && wait < RESTART_MOST_USEC; i++)
                wait *= 2;
        return MIN_OF(wait, RESTART_MOST_USEC);
}

static void on_death(struct worker *w) {
        uint64_t now = clock_monotonic_usec();
        bool was_ready = w->state == WORKER_READY;
        struct refusal why;
        char end[64] = "", detail[160];
        int status = 0;

        if (was_ready)
                set_state(w, WORKER_LOADING); /* nobody gets the dead one from here on */
        w->restart_at = NEVER;                /* until it is known when */
        pthread_mutex_unlock(&w->mutex);
        end_process(w, &w->now, &status);
        describe_end(status, end);
        (void)snprintf(detail, sizeof(detail), "{\"end\":\"%s\",\"lived_ms\":%llu}", end,
                       (unsigned long long)((now - w->now.ready_at) / USEC_PER_MSEC));
        if (record(w, "worker_died", "error", w->now.sha256, detail) < 0)
                note(w, true, "audit_failed", "the death of a worker was not recorded");
        note(w, true, "worker_died", end);
        pthread_mutex_lock(&w->mutex);
        w->deaths = now - w->now.ready_at >= RESTART_HEALTHY_USEC ? 1 : w->deaths + 1;
        if (w->restart_at != NEVER || !was_ready) { /* somebody wants another one, or none */
                w->restart_at = 0;
                return;
        }
        if (w->deaths > RESTART_DEATHS_MAX) {
                (void)refusal_set(&why, -ECHILD, 503, "worker_failed",
                                  "The worker died %u times in a row (%s). Ask again to try once more, or "
                                  "choose another model.",
                                  w->deaths, end);
                fail(w, -ECHILD, &why, w->target.serial);
                return;
        }
        (void)snprintf(w->reason, sizeof(w->reason), "The worker died (%s) and is being started again.", end);
        w->restart_at = now + backoff(w);
}

static void unload_unused(struct worker *w) {
        w->target.wanted = false;
        w->target.serial++;
        set_state(w, WORKER_LOADING);
}

/* The registry was restarted, or the model deleted while it had no lease. */
static void renew_lease(struct worker *w) {
        struct refusal why = {0};
        struct worker_model model = {0};
        int lease = -EBADF, r;

        w->now.lease = close_fd(w->now.lease);
        pthread_mutex_unlock(&w->mutex);
        r = w->config.ops->open_model(w->config.userdata, w->now.sha256, &model, &lease, &why);
        worker_model_done(&model);
        pthread_mutex_lock(&w->mutex);
        w->lease_retry_at = NEVER;
        if (r == 0) {
                w->now.lease = lease;
        } else if (r == -ENOENT && w->state == WORKER_READY) {
                w->target.sha256[0] = '\0';
                unload_unused(w);
        } else {
                w->lease_retry_at = clock_monotonic_usec() + LEASE_RETRY_USEC;
        }
}

static uint64_t idle_deadline(const struct worker *w) {
        if (w->state != WORKER_READY || w->busy > 0 || w->config.idle_unload_usec == 0)
                return NEVER;
        return w->last_used + w->config.idle_unload_usec;
}

static uint64_t next_deadline(const struct worker *w) {
        uint64_t d = idle_deadline(w);

        if (w->now.present && !w->now.ended)
                d = MIN_OF(d, w->lease_retry_at);
        if (w->state == WORKER_LOADING && w->busy == 0)
                d = MIN_OF(d, w->restart_at);
        return d;
}

static void watch(struct worker *w) {
        bool alive = w->now.present && !w->now.ended;
        struct pollfd p[] = {
                {.fd = w->wake_fd, .events = POLLIN},
                {.fd = alive ? w->now.pid_fd : -1, .events = POLLIN},
                {.fd = alive ? w->now.lease : -1, .events = POLLIN},
        };
        uint64_t deadline = next_deadline(w), now;
        int n;

        pthread_mutex_unlock(&w->mutex);
        n = poll(p, ARRAY_SIZE(p), deadline == NEVER ? -1 : clock_poll_timeout(deadline));
        pthread_mutex_lock(&w->mutex);
        now = clock_monotonic_usec();
        if (n > 0 && p[0].revents)
                drain(w->wake_fd);
        if (n > 0 && p[1].revents)
                on_death(w);
        else if (alive && ((n > 0 && p[2].revents) || now >= w->lease_retry_at))
                renew_lease(w);
        if (now >= idle_deadline(w))
                unload_unused(w);
}

static void *supervise(void *userdata) {
        struct worker *w = userdata;
        struct loaded last;

        pthread_mutex_lock(&w->mutex);
        while (!w->stopping) {
                if (has_work(w))
                        work(w);
                else
                        watch(w);
        }
        last = w->now;
        pthread_mutex_unlock(&w->mutex);
        if (last.present && !last.ended) {
                if (record(w, "model_unloaded", "info", last.sha256, "{\"reason\":\"stop\"}") < 0)
                        note(w, true, "audit_failed", "the end of a model's use was not recorded");
                end_process(w, &w->now, &(int){0});
        }
        return NULL;
}

/* --- what others may ask --- */

static void new_target(struct worker *w, const char *sha256, uint32_t context) {
        if (strcmp(w->target.sha256, sha256) != 0)
                w->deaths = 0;
        (void)snprintf(w->target.sha256, sizeof(w->target.sha256), "%s", sha256);
        w->target.wanted = sha256[0] != '\0';
        w->target.context = context;
        w->target.serial++;
        w->restart_at = 0;
        set_state(w, WORKER_LOADING);
        wake(w);
}

/* 0 when woken, -ETIMEDOUT. */
static int wait_change(struct worker *w, uint64_t deadline) {
        struct timespec t = {.tv_sec = (time_t)(deadline / USEC_PER_SEC),
                             .tv_nsec = (long)(deadline % USEC_PER_SEC) * 1000};

        return pthread_cond_timedwait(&w->changed, &w->mutex, &t) == ETIMEDOUT ? -ETIMEDOUT : 0;
}

static int say_stopping(struct refusal *why) {
        return refusal_set(why, -ESHUTDOWN, 503, "stopping",
                           "The service is being stopped. Try again in a moment.");
}

static int say_busy(struct refusal *why) {
        return refusal_set(
                why, -EBUSY, 409, "model_busy",
                "The loaded model is still answering. Wait for the answer or stop it, then try again.");
}

static int say_late(const struct worker *w, struct refusal *why) {
        if (w->state == WORKER_READY)
                return say_busy(why);
        return refusal_set(why, -EAGAIN, 503, "model_loading",
                           "The model is still being loaded. Try again in a moment; GET /v1/status shows how "
                           "far it is.");
}

static bool is_goal(const char *sha256, uint32_t its_context, const char *goal, uint32_t context) {
        return strcmp(sha256, goal) == 0 && (context == 0 || its_context == context);
}

/* The thread may not have seen its end yet. */
static bool is_alive(const struct worker *w) {
        struct pollfd p = {.fd = w->now.pid_fd, .events = POLLIN};

        return poll(&p, 1, 0) == 0;
}

/* One look at the state: 1 = it is there, 0 = wait, negative = no. *mine: the attempt whose failure is ours. */
static int try_obtain(struct worker *w, const char *sha256, uint32_t context, uint64_t *mine,
                      struct refusal *why) {
        const char *goal = sha256[0] ? sha256 : w->target.sha256;

        if (w->stopping)
                return say_stopping(why);
        if (goal[0] == '\0')
                return refusal_set(why, -ENOENT, 404, "unknown_model",
                                   "No model is loaded. Name one in \"model\"; GET /v1/models lists them.");
        if (w->state == WORKER_READY && is_goal(w->now.sha256, w->now.asked_context, goal, context))
                return is_alive(w) ? 1 : 0;
        if (w->state == WORKER_FAILED && *mine > 0 && *mine == w->failed_serial) {
                if (why)
                        *why = w->failure;
                return w->failure_error;
        }
        if (w->state == WORKER_LOADING) {
                if (w->target.wanted && is_goal(w->target.sha256, w->target.context, goal, context))
                        *mine = w->target.serial;
                return 0;
        }
        if (w->state != WORKER_READY || w->busy == 0) {
                char copy[65];

                memcpy(copy, goal, sizeof(copy)); /* `goal` may be the target's own text */
                new_target(w, copy, context);
                *mine = w->target.serial;
        }
        return 0;
}

static int obtain(struct worker *w, const char *sha256, uint32_t context, uint64_t wait_usec,
                  struct refusal *why) {
        uint64_t deadline = clock_monotonic_usec() + wait_usec,
                 busy_deadline = clock_monotonic_usec() + BUSY_WAIT_USEC;
        uint64_t mine = 0;

        for (;;) {
                int r = try_obtain(w, sha256, context, &mine, why);

                if (r != 0)
                        return r;
                r = wait_change(w, w->state == WORKER_READY ? MIN_OF(deadline, busy_deadline) : deadline);
                if (r < 0)
                        return say_late(w, why);
        }
}

int worker_acquire(struct worker *w, const char *sha256, uint64_t wait_usec, struct worker_use *ret,
                   struct refusal *ret_why) {
        int r;

        pthread_mutex_lock(&w->mutex);
        if (w->busy >= CHATS_AT_ONCE_MAX)
                r = refusal_set(ret_why, -EBUSY, 503, "too_many_chats",
                                "%u answers are under way already. Wait for one to end.", CHATS_AT_ONCE_MAX);
        else
                r = obtain(w, sha256, 0, wait_usec, ret_why);
        if (r > 0) {
                *ret = (struct worker_use){
                        .worker = w, .client = w->now.client, .context = w->now.plan.context};
                memcpy(ret->sha256, w->now.sha256, sizeof(ret->sha256));
                w->busy++;
        }
        pthread_mutex_unlock(&w->mutex);
        return r > 0 ? 0 : r;
}

void worker_await_end(struct worker *w, uint64_t wait_usec) {
        uint64_t deadline = clock_monotonic_usec() + wait_usec;

        pthread_mutex_lock(&w->mutex);
        while (w->state == WORKER_READY && is_alive(w) && wait_change(w, deadline) == 0)
                ;
        pthread_mutex_unlock(&w->mutex);
}

void worker_release(struct worker_use *u) {
        struct worker *w = u->worker;

        if (!w)
                return;
        pthread_mutex_lock(&w->mutex);
        w->busy--;
        w->last_used = clock_monotonic_usec();
        pthread_cond_broadcast(&w->changed);
        wake(w);
        pthread_mutex_unlock(&w->mutex);
        *u = (struct worker_use){0};
}

int worker_load(struct worker *w, const char *sha256, uint32_t context, uint64_t wait_usec,
                struct refusal *ret_why) {
        int r;

        pthread_mutex_lock(&w->mutex);
        r = obtain(w, sha256, context, wait_usec, ret_why);
        pthread_mutex_unlock(&w->mutex);
        return r > 0 ? 0 : r;
}

static int unload_locked(struct worker *w, uint64_t deadline, struct refusal *why) {
        bool asked = false;

        for (;;) {
                if (w->stopping)
                        return say_stopping(why);
                if (w->state == WORKER_IDLE)
                        break;
                if (!asked && (w->busy == 0 || w->state != WORKER_READY)) {
                        new_target(w, "", 0);
                        asked = true;
                }
                if (wait_change(w, deadline) < 0)
                        return say_busy(why);
                asked = asked && w->state == WORKER_LOADING; /* somebody else has loaded another one: again */
        }
        w->target.sha256[0] = '\0';
        return 0;
}

int worker_unload(struct worker *w, uint64_t wait_usec, struct refusal *ret_why) {
        int r;

        pthread_mutex_lock(&w->mutex);
        r = unload_locked(w, clock_monotonic_usec() + wait_usec, ret_why);
        pthread_mutex_unlock(&w->mutex);
        return r;
}

void worker_get_status(struct worker *w, struct worker_status *ret) {
        *ret = (struct worker_status){0};
        pthread_mutex_lock(&w->mutex);
        ret->state = w->state;
        if (w->target.wanted)
                memcpy(ret->model, w->target.sha256, sizeof(ret->model));
        ret->restarts = w->restarts;
        ret->busy = w->busy;
        if (w->state == WORKER_READY) {
                ret->pid = w->now.pid;
                ret->threads = w->now.plan.threads;
                ret->context = w->now.plan.context;
                ret->memory_limit = w->now.plan.memory_limit;
        }
        memcpy(ret->reason, w->reason, sizeof(ret->reason));
        pthread_mutex_unlock(&w->mutex);
}

bool worker_is_stopping(struct worker *w) {
        bool yes;

        pthread_mutex_lock(&w->mutex);
        yes = w->stopping;
        pthread_mutex_unlock(&w->mutex);
        return yes;
}

/* --- life --- */

static void init_lock(struct worker *w) {
        pthread_condattr_t a;

        pthread_mutex_init(&w->mutex, NULL);
        pthread_condattr_init(&a);
        pthread_condattr_setclock(&a, CLOCK_MONOTONIC);
        pthread_cond_init(&w->changed, &a);
        pthread_condattr_destroy(&a);
}

static void worker_done(struct worker *w) {
        close_fd(w->wake_fd);
        pthread_cond_destroy(&w->changed);
        pthread_mutex_destroy(&w->mutex);
        free(w);
}

int worker_new(const struct worker_config *config, struct worker **ret) {
        struct worker *w = calloc(1, sizeof(*w));

        if (!w)
                return -ENOMEM;
        w->config = *config;
        if (w->config.restart_first_usec == 0)
                w->config.restart_first_usec = RESTART_FIRST_USEC;
        w->now = LOADED_NONE;
        w->lease_retry_at = NEVER;
        init_lock(w);
        w->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
        if (w->wake_fd < 0 || pthread_create(&w->thread, NULL, supervise, w) != 0) {
                worker_done(w);
                return -EAGAIN;
        }
        *ret = w;
        return 0;
}

void worker_stop(struct worker *w) {
        pthread_mutex_lock(&w->mutex);
        w->stopping = true;
        pthread_cond_broadcast(&w->changed);
        pthread_mutex_unlock(&w->mutex);
        wake(w);
}

struct worker *worker_free(struct worker *w) {
        if (!w)
                return NULL;
        worker_stop(w);
        pthread_join(w->thread, NULL);
        loaded_done(w, &w->now);
        worker_done(w);
        return NULL;
}
