#include "quarantine/setup.h"

#include "base/file.h"

#include <fcntl.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/stat.h>

static int open_data(int share_dir, const char *name, int *ret_fd, struct fault *reterr) {
        int fd = open_beneath(share_dir, name, O_RDONLY | O_DIRECTORY, 0);

        if (fd < 0)
                return fault_set(reterr, fd, "SETUP-001", 0,
                                 "the data folder %s can't be opened: %s; is --share right?", name,
                                 strerror(-fd));
        *ret_fd = fd;
        return 0;
}

/* One core is left to the rest of the machine: ggml's threads spin, and two on two busy cores are slower than one. */
static unsigned thread_count(void) {
        cpu_set_t set;
        int n = 1;

        if (sched_getaffinity(0, sizeof set, &set) == 0)
                n = CPU_COUNT(&set);
        return n > 2 ? (unsigned)MIN_OF(n - 1, 16) : 1;
}

static int load_data(int share_dir, struct setup *s, struct fault *reterr) {
        _cleanup_(closep) int yara = -EBADF, prompts = -EBADF;
        struct sha256 rules_digest;
        int r;

        r = open_data(share_dir, "yara", &yara, reterr);
        if (r >= 0)
                r = open_data(share_dir, "prompts", &prompts, reterr);
        if (r >= 0)
                r = scan_rules_collect(yara, &s->rules_fd, &rules_digest, reterr);
        if (r >= 0)
                r = prompts_load(prompts, &s->prompts, reterr);
        if (r >= 0)
                pipeline_name_scanner(&s->pipeline, &rules_digest, &s->prompts.digest);
        return r;
}

/* A limit for a category that does not exist would limit nothing. */
static int check_limits(const struct setup *s, struct fault *reterr) {
        for (size_t i = 0; i < s->policy->n_categories; i++) {
                const char *name = s->policy->categories[i].name;
                size_t at = prompts_find_category(&s->prompts, view_of(name));

                if (at == SIZE_MAX || s->prompts.categories[at].harmless)
                        return fault_set(
                                reterr, -EBADMSG, "CONFIG-002", 0,
                                "policy/policy.yaml: behavioral.categories names %s, which is no category "
                                "of harmful prompts in share/prompts",
                                name);
        }
        return 0;
}

/* May be missing. */
static void open_demo(int share_dir, struct setup *s, uint64_t *ret_size) {
        struct stat st;

        s->demo_fd = open_beneath(share_dir, "demo/pebble.gguf", O_RDONLY, 0);
        if (s->demo_fd >= 0 && fstat(s->demo_fd, &st) == 0)
                *ret_size = (uint64_t)st.st_size;
}

static int start_launcher(const char *libexec, const char *worker_root, const char *socket_dir,
                          struct setup *s, struct fault *reterr) {
        struct launcher_config config = {
                .libexec_path = libexec,
                .worker_root_path = worker_root,
                .socket_dir = socket_dir,
        };
        int r = launcher_start(&config, &s->launcher);

        return r < 0 ? fault_set(reterr, r, "SETUP-002", 0,
                                 "the launcher of the workers can't be started: %s", strerror(-r))
                     : 0;
}

int setup_make(int config_dir, int share_dir, const char *libexec, const char *worker_root,
               const char *socket_dir, struct setup *ret, struct fault *reterr) {
        uint64_t demo_size = 0;
        struct setup s = {.rules_fd = -EBADF, .demo_fd = -EBADF};
        int r;

        open_demo(share_dir, &s, &demo_size);
        r = policy_load(config_dir, &s.policy, reterr);
        if (r >= 0)
                r = load_data(share_dir, &s, reterr);
        if (r >= 0)
                r = check_limits(&s, reterr);
        if (r >= 0)
                r = start_launcher(libexec, worker_root, socket_dir, &s, reterr);
        if (r < 0) {
                setup_done(&s);
                return r;
        }
        *ret = s;
        ret->pipeline.policy = ret->policy;
        ret->pipeline.engine = (struct scan_engine){
                .weights = &ret->policy->weights, .launcher = ret->launcher, .rules_fd = ret->rules_fd};
        ret->pipeline.behaviour = (struct behaviour){
                .launcher = ret->launcher,
                .prompts = &ret->prompts,
                .has_worker_root = worker_root != NULL,
                .threads = thread_count(),
                .known_fd = ret->demo_fd,
                .known_size = demo_size,
        };
        return 0;
}

int setup_keep_spare(struct setup *s) {
        int r = scan_spare_new(&s->spare);

        s->pipeline.engine.spare = s->spare;
        return r;
}

void setup_done(struct setup *s) {
        s->spare = scan_spare_free(s->spare);
        s->launcher = launcher_free(s->launcher);
        s->policy = policy_free(s->policy);
        prompts_done(&s->prompts);
        s->rules_fd = close_fd(s->rules_fd);
        s->demo_fd = close_fd(s->demo_fd);
}

int setup_try(const struct setup *s, struct fault *reterr) {
        _cleanup_(freep) struct scan_result *result = NULL;
        _cleanup_(closep) int fd = memfd_create("nothing", MFD_CLOEXEC);
        int r;

        if (fd < 0)
                return negative_errno();
        result = calloc(1, sizeof *result);
        if (!result)
                return -ENOMEM;
        r = scan_pass(&s->pipeline.engine, fd, 0, VIEW("nothing"), NULL, result);
        if (r < 0)
                return fault_set(reterr, r, "SETUP-003", 0, "scan-worker can't be started: %s", strerror(-r));
        if (result->trouble != WORKER_FINE)
                return fault_set(reterr, -ENOEXEC, "SETUP-003", 0, "%.150s", result->trouble_text);
        return 0;
}
