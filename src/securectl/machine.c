#include "securectl/machine.h"

#include <fcntl.h>
#include <linux/fsverity.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/wait.h>

#include "wire/json.h"

#define FS_VERITY_DIGEST_MAX 64 /* SHA-512 */

static bool has_tpm(const struct places *places) {
        return access("/dev/tpmrm0", R_OK | W_OK) == 0;
}

/* Encrypted state belongs to the appliance image; a folder in somebody's home is what that home is. */
static bool has_vault(const struct places *places) {
        return false;
}

/* A filesystem with fs-verity answers "this file has none" for a file without it. */
static bool has_fs_verity(const struct places *places) {
        _cleanup_(closep) int fd = -EBADF;
        _Alignas(struct fsverity_digest) char
                measured[sizeof(struct fsverity_digest) + FS_VERITY_DIGEST_MAX] = {0};
        struct fsverity_digest head = {.digest_size = FS_VERITY_DIGEST_MAX};
        char path[PLACE_MAX];

        if (place_join(path, places->state_root, "log/services/supervisor.log") < 0)
                return false;
        memcpy(measured, &head, sizeof head);
        fd = open(path, O_RDONLY | O_CLOEXEC);
        return fd >= 0 && (ioctl(fd, FS_IOC_MEASURE_VERITY, measured) == 0 || errno == ENODATA);
}

static bool has_user_namespaces(const struct places *places) {
        pid_t pid = fork();
        int status = 1;

        if (pid == 0)
                _exit(unshare(CLONE_NEWUSER | CLONE_NEWNET) == 0 ? 0 : 1);
        return pid > 0 && waitpid(pid, &status, 0) == pid && status == 0;
}

static bool has_worker_root(const struct places *places) {
        return places->worker_root[0] != '\0';
}

static const struct {
        bool (*is_there)(const struct places *);
        struct absence absence;
} things[] = {
        {has_worker_root,
         {"sealed worker root", "it has not been built, so there is no chat and no model can be promoted",
          "run tools/worker-root.sh, or give --worker-root DIR"}},
        {has_user_namespaces,
         {"user namespaces", "this kernel refuses them to this user, so the workers can't be sealed",
          "allow them: sysctl kernel.unprivileged_userns_clone=1 or "
          "kernel.apparmor_restrict_unprivileged_userns=0"}},
        {has_tpm,
         {"TPM", "no /dev/tpmrm0 that this user may open, so keys are not bound to this machine",
          "nothing, unless the machine has one: then add the user to the group tss"}},
        {has_vault,
         {"vault", "on a workstation the state is a plain folder",
          "keep it on an encrypted disk, or use the appliance image"}},
        {has_fs_verity,
         {"fs-verity",
          "the filesystem of the state has it not, so stored models are checked by reading them again",
          "ext4: tune2fs -O verity on its device"}},
};

size_t machine_absences(const struct places *places, struct absence out[ABSENCES_MAX]) {
        size_t n = 0;

        for (size_t i = 0; i < ARRAY_SIZE(things); i++)
                if (!things[i].is_there(places))
                        out[n++] = things[i].absence;
        return n;
}

int machine_write(const struct absence *a, size_t n, struct buf *out) {
        struct json_writer w = JSON_WRITER(out);

        json_object_begin(&w);
        json_key(&w, "absent");
        json_array_begin(&w);
        for (size_t i = 0; i < n; i++) {
                json_object_begin(&w);
                json_member_string(&w, "what", a[i].what);
                json_member_string(&w, "why", a[i].why);
                json_member_string(&w, "what_to_do", a[i].what_to_do);
                json_object_end(&w);
        }
        json_array_end(&w);
        json_object_end(&w);
        return json_write_end(&w);
}
