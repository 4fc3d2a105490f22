#include "support/setgen.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>

#include "base/buf.h"
#include "base/file.h"
#include "support/cm.h"
#include "support/modelgen.h"

void setgen_write(int dir_fd, const char *path, struct view content) {
        _cleanup_(closep) int fd = openat(dir_fd, path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

        assert_true(fd >= 0);
        assert_int_equal(write_all(fd, content.p, content.n), 0);
}

int setgen_folder(int dir_fd, const char *name) {
        int fd;

        assert_int_equal(mkdirat(dir_fd, name, 0755), 0);
        fd = openat(dir_fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        assert_true(fd >= 0);
        return fd;
}

static void write_shard(int dir_fd, unsigned i, unsigned shards, size_t n, unsigned mark) {
        _cleanup_(buf_donep) struct buf header = BUF_INIT(512), file = BUF_INIT(n + 1024);
        char name[64];

        (void)snprintf(name, sizeof name, "model-%05u-of-%05u.safetensors", i + 1, shards);
        assert_int_equal(buf_printf(&header,
                                    "{\"layers.%u.weight\":{\"dtype\":\"F32\",\"shape\":[%zu],"
                                    "\"data_offsets\":[0,%zu]}}",
                                    i, n / 4, n),
                         0);
        while ((header.n + 8) % 8 != 0)
                assert_int_equal(buf_append_char(&header, ' '), 0);
        assert_int_equal(modelgen_safetensors(buf_view(&header), n, &file), 0);
        memcpy(file.p + 8 + header.n, &(float){(float)(mark + 1) + (float)i / 64}, sizeof(float));
        setgen_write(dir_fd, name, buf_view(&file));
}

void setgen_sharded(int dir_fd, unsigned shards, size_t bytes, unsigned mark) {
        _cleanup_(buf_donep) struct buf index = BUF_INIT((size_t)1 << 20);
        size_t n = bytes / 8 * 8;

        assert_int_equal(
                buf_printf(&index, "{\"metadata\":{\"total_size\":%zu},\"weight_map\":{", n * shards), 0);
        for (unsigned i = 0; i < shards; i++) {
                write_shard(dir_fd, i, shards, n, mark);
                assert_int_equal(buf_printf(&index,
                                            "%s\"layers.%u.weight\":\"model-%05u-of-%05u.safetensors\"",
                                            i ? "," : "", i, i + 1, shards),
                                 0);
        }
        assert_int_equal(buf_append_str(&index, "}}"), 0);
        setgen_write(dir_fd, "model.safetensors.index.json", buf_view(&index));
        setgen_write(dir_fd, "config.json", VIEW("{\"model_type\":\"llama\"}"));
}

static void copy_file(int from_dir, int to_dir, const char *name) {
        _cleanup_(buf_donep) struct buf content = BUF_INIT((size_t)64 << 20);

        assert_int_equal(read_file_beneath(from_dir, name, (size_t)64 << 20, &content), 0);
        setgen_write(to_dir, name, buf_view(&content));
}

static void copy_folder(int from, int to, unsigned depth) {
        DIR *d = fdopendir(dup(from));
        const struct dirent *e;

        assert_true(d && depth < 8);
        while ((e = readdir(d))) {
                struct stat st;

                if (e->d_name[0] == '.')
                        continue;
                assert_int_equal(fstatat(from, e->d_name, &st, AT_SYMLINK_NOFOLLOW), 0);
                if (S_ISDIR(st.st_mode)) {
                        _cleanup_(closep) int in = openat(from, e->d_name,
                                                          O_RDONLY | O_DIRECTORY | O_CLOEXEC),
                                              out = setgen_folder(to, e->d_name);

                        copy_folder(in, out, depth + 1);
                } else
                        copy_file(from, to, e->d_name);
        }
        closedir(d);
}

void setgen_copy(const char *from, int to_dir, const char *name) {
        _cleanup_(closep) int in = open_dir(from), out = setgen_folder(to_dir, name);

        assert_true(in >= 0);
        copy_folder(in, out, 0);
}
