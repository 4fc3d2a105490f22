#include "ui/machine.h"

#include <dirent.h>
#include <fcntl.h>
#include <linux/fsverity.h>
#include <sys/ioctl.h>
#include <sys/sysinfo.h>
#include <sys/utsname.h>

#include "base/file.h"
#include "core/sandbox.h"

#define NAME_SIZE     128
#define CPUINFO_MAX   ((size_t)1 << 20)
#define PCI_DISPLAY   "0x03"
#define EFI_VARIABLES "/sys/firmware/efi/efivars/"
#define SECURE_BOOT   EFI_VARIABLES "SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c"

struct machine_facts {
        char cpu[NAME_SIZE], kernel[NAME_SIZE], gpu[NAME_SIZE];
        unsigned cores;
        uint64_t memory_bytes;
        bool has_tpm, has_secure_boot, has_vault, has_verity, has_worker_root, has_landlock;
        char sandbox_absent[NAME_SIZE];
};

static void copy_text(char out[NAME_SIZE], struct view v) {
        while (v.n > 0 && (v.p[0] == ' ' || v.p[0] == '\t'))
                v = view_sub(v, 1, SIZE_MAX);
        while (v.n > 0 && (v.p[v.n - 1] == '\n' || v.p[v.n - 1] == ' '))
                v.n--;
        (void)snprintf(out, NAME_SIZE, "%.*s", (int)MIN_OF(v.n, (size_t)NAME_SIZE - 1), v.n > 0 ? v.p : "");
}

/* /proc has no sizes, so it is read piece by piece. */
static int read_pseudo_file(const char *path, struct buf *out) {
        _cleanup_(closep) int fd = open(path, O_RDONLY | O_CLOEXEC);
        char piece[4096];
        ssize_t n;

        if (fd < 0)
                return negative_errno();
        while ((n = read(fd, piece, sizeof(piece))) > 0) {
                int r = buf_append(out, piece, (size_t)n);

                if (r < 0)
                        return r;
        }
        return n < 0 ? negative_errno() : 0;
}

static void look_at_cpu(struct machine_facts *m) {
        _cleanup_(buf_donep) struct buf text = BUF_INIT(CPUINFO_MAX);
        int r = read_pseudo_file("/proc/cpuinfo", &text);
        struct view rest = buf_view(&text), line, key;

        m->cores = (unsigned)MAX_OF(sysconf(_SC_NPROCESSORS_ONLN), 1L);
        copy_text(m->cpu, VIEW("unknown"));
        if (r < 0 && r != -EFBIG)
                return;
        while (view_split(&rest, '\n', &line))
                if (view_starts(line, VIEW("model name")) && view_split(&line, ':', &key)) {
                        copy_text(m->cpu, line);
                        return;
                }
}

static void read_attribute(int folder, const char *device, const char *name, char out[NAME_SIZE]) {
        char path[512], text[NAME_SIZE];
        int n = snprintf(path, sizeof(path), "%s/%s", device, name);
        _cleanup_(closep) int fd = n > 0 && (size_t)n < sizeof(path)
                                           ? openat(folder, path, O_RDONLY | O_CLOEXEC)
                                           : -EBADF;
        ssize_t got = fd >= 0 ? read(fd, text, sizeof(text)) : 0;

        copy_text(out, view_make(text, got > 0 ? (size_t)got : 0));
}

static const char *vendor_name(const char *id) {
        static const struct {
                const char *id, *name;
        } vendors[] = {{"0x10de", "NVIDIA"}, {"0x1002", "AMD"}, {"0x8086", "Intel"}};

        for (size_t i = 0; i < ARRAY_SIZE(vendors); i++)
                if (strcmp(vendors[i].id, id) == 0)
                        return vendors[i].name;
        return NULL;
}

/* Only makers whose devices can compute; a virtual machine's picture is no GPU. */
static void look_at_gpu(struct machine_facts *m) {
        DIR *dir = opendir("/sys/bus/pci/devices");
        struct dirent *entry;

        while (dir && m->gpu[0] == '\0' && (entry = readdir(dir))) {
                char class[NAME_SIZE], vendor[NAME_SIZE], device[NAME_SIZE];

                read_attribute(dirfd(dir), entry->d_name, "class", class);
                if (strncmp(class, PCI_DISPLAY, strlen(PCI_DISPLAY)) != 0)
                        continue;
                read_attribute(dirfd(dir), entry->d_name, "vendor", vendor);
                read_attribute(dirfd(dir), entry->d_name, "device", device);
                if (vendor_name(vendor))
                        (void)snprintf(m->gpu, sizeof(m->gpu), "%s %.32s", vendor_name(vendor), device);
        }
        if (dir)
                closedir(dir);
}

/* Four bytes of attributes, then 1 when the firmware checks what it starts. */
static bool secure_boot_is_on(void) {
        _cleanup_(closep) int fd = open(SECURE_BOOT, O_RDONLY | O_CLOEXEC);
        char value[5];

        return fd >= 0 && read(fd, value, sizeof(value)) == sizeof(value) && value[4] == 1;
}

/* A file system with fs-verity says "this file has none" about a file without it. */
static bool folder_knows_verity(int dir_fd) {
        _cleanup_(closep) int fd = openat(dir_fd, ".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
        union {
                struct fsverity_digest head; /* the digest follows it */
                uint8_t space[sizeof(struct fsverity_digest) + 64];
        } measured = {.space = {0}};

        measured.head.digest_size = 64;
        return fd >= 0 && (ioctl(fd, FS_IOC_MEASURE_VERITY, &measured) == 0 || errno == ENODATA);
}

int machine_look(const struct service *s, struct machine_facts **ret) {
        struct machine_facts *m = calloc(1, sizeof(*m));
        struct utsname names;
        struct sysinfo info;

        if (!m)
                return -ENOMEM;
        look_at_cpu(m);
        look_at_gpu(m);
        if (uname(&names) == 0)
                copy_text(m->kernel, view_of(names.release));
        if (sysinfo(&info) == 0)
                m->memory_bytes = (uint64_t)info.totalram * info.mem_unit;
        m->has_tpm = access("/sys/class/tpm/tpm0", F_OK) == 0;
        m->has_secure_boot = secure_boot_is_on();
        m->has_vault = access("/dev/mapper/secure-ai-vault", F_OK) == 0;
        m->has_verity = folder_knows_verity(service_state_dir(s));
        m->has_worker_root = service_worker_root_path(s) != NULL;
        *ret = m;
        return 0;
}

struct machine_facts *machine_free(struct machine_facts *m) {
        free(m);
        return NULL;
}

void machine_note_sandbox(struct machine_facts *m, const struct sandbox_report *report) {
        m->has_landlock = report->landlock_abi > 0;
        copy_text(m->sandbox_absent, view_of(report->absent));
}

static void put_absent(struct json_writer *w, const char *what, const char *why, const char *what_to_do) {
        json_object_begin(w);
        json_member_string(w, "what", what);
        json_member_string(w, "why", why);
        json_member_string(w, "what_to_do", what_to_do);
        json_object_end(w);
}

static void put_all_absent(const struct machine_facts *m, struct json_writer *w) {
        char text[2 * NAME_SIZE];

        if (!m->has_worker_root)
                put_absent(w, "Sealed worker root",
                           "The closed-off system that models run in was not built on this machine.",
                           "Run `make setup`. Until then models can neither be tested nor used.");
        if (!m->has_tpm)
                put_absent(w, "Security chip (TPM 2.0)", "The machine has none, or it is switched off.",
                           "Switch it on in the firmware settings if the machine has one. Until then the "
                           "start of the "
                           "system can't be proven.");
        if (!m->has_secure_boot)
                put_absent(w, "Secure Boot", "The firmware does not check what it starts.",
                           "Switch it on in the firmware settings if the machine has it.");
        if (!m->has_vault)
                put_absent(w, "Encrypted vault", "On a workstation the data lies in your home folder.",
                           "Encrypt your disk, or use the appliance image.");
        if (!m->has_verity)
                put_absent(w, "fs-verity", "The file system of the data folder does not offer it.",
                           "Nothing needs to be done: stored models are checked by reading them again.");
        if (!m->has_landlock)
                put_absent(w, "Landlock", "This kernel does not offer it.", "Use Linux 5.13 or newer.");
        if (m->sandbox_absent[0]) {
                (void)snprintf(text, sizeof(text), "This kernel does not give the services: %s.",
                               m->sandbox_absent);
                put_absent(
                        w, "Namespaces", text,
                        "Allow unprivileged user namespaces (sysctl kernel.unprivileged_userns_clone=1 or "
                        "the AppArmor "
                        "setting of your distribution). The other locks of the services hold without them.");
        }
        if (!m->gpu[0])
                put_absent(w, "Graphics card", "No graphics card that can compute was found.",
                           "Nothing needs to be done: models run on the processor.");
}

void machine_write(const struct machine_facts *m, struct json_writer *w) {
        json_key(w, "machine");
        json_object_begin(w);
        json_member_string(w, "cpu", m->cpu);
        json_member_u64(w, "cores", m->cores);
        json_member_u64(w, "memory_bytes", m->memory_bytes);
        json_member_string(w, "kernel", m->kernel);
        json_member_string(w, "gpu", m->gpu[0] ? m->gpu : NULL);
        json_object_end(w);
        json_key(w, "absent");
        json_array_begin(w);
        put_all_absent(m, w);
        json_array_end(w);
}
