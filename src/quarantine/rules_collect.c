#include "base/file.h"
#include "quarantine/names.h"
#include "quarantine/scan_pass.h"

#include <fcntl.h>
#include <sys/mman.h>

static int append_file(int dir_fd, const char *name, struct buf *out) {
        _cleanup_(buf_donep) struct buf text = BUF_INIT(RULES_TEXT_MAX);
        uint32_t head[2];
        int r;

        r = read_file_beneath(dir_fd, name, RULES_TEXT_MAX, &text);
        if (r < 0)
                return r;
        head[0] = (uint32_t)strlen(name);
        head[1] = (uint32_t)text.n;
        r = buf_append(out, head, sizeof head);
        if (r >= 0)
                r = buf_append_str(out, name);
        return r < 0 ? r : buf_append_view(out, buf_view(&text));
}

static int seal(struct view content, int *ret_fd) {
        _cleanup_(closep) int fd = memfd_create("scan-rules", MFD_CLOEXEC | MFD_ALLOW_SEALING);
        int r;

        if (fd < 0)
                return negative_errno();
        r = write_all(fd, content.p, content.n);
        if (r < 0)
                return r;
        if (fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL) < 0)
                return negative_errno();
        *ret_fd = TAKE_FD(fd);
        return 0;
}

int scan_rules_collect(int dir_fd, int *ret_fd, struct sha256 *ret_digest, struct fault *reterr) {
        _cleanup_(names_donep) struct names names = {.n = 0};
        _cleanup_(buf_donep) struct buf all = BUF_INIT(RULES_TEXT_MAX);
        int r;

        r = names_list(dir_fd, VIEW(".yar"), &names);
        if (r < 0)
                return fault_set(reterr, r, "RULES-012", 0, "the rule folder can't be listed: %s",
                                 strerror(-r));
        if (names.n == 0)
                return fault_set(reterr, -ENOENT, "RULES-012", 0, "the rule folder holds no *.yar file");
        for (size_t i = 0; i < names.n; i++) {
                r = append_file(dir_fd, names.list[i], &all);
                if (r < 0)
                        return fault_set(reterr, r, "RULES-012", 0, "%.60s: %s", names.list[i], strerror(-r));
        }
        r = sha256_of(buf_view(&all), ret_digest);
        return r < 0 ? r : seal(buf_view(&all), ret_fd);
}
