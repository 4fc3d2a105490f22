/* modelgen: writes model files for tests and measurements. */
#include <fcntl.h>

#include "base/file.h"
#include "base/num.h"
#include "support/modelgen.h"

#define FILE_MAX_BYTES ((size_t)64 << 20)

static int usage(void) {
        fprintf(stderr,
                "usage: modelgen gguf FILE | gguf-type NUMBER FILE | gguf-large BYTES FILE | safetensors "
                "DTYPE FILE |\n"
                "       modelgen safetensors-large BYTES FILE\n"
                "       modelgen malformed FOLDER   (writes every malformed file, name = rule and case)\n");
        return 2;
}

static int fail(const char *what, int r) {
        fprintf(stderr, "modelgen: %s: %s\n", what, strerror(-r));
        return 2;
}

static int write_file(const char *path, struct view content) {
        _cleanup_(closep) int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

        if (fd < 0)
                return negative_errno();
        return write_all(fd, content.p, content.n);
}

static int write_large(int (*generate)(uint64_t size, int fd), const char *size, const char *path) {
        _cleanup_(closep) int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
        uint64_t bytes;
        int r = u64_parse(view_of(size), UINT64_C(1) << 46, &bytes);

        if (fd < 0)
                return negative_errno();
        return r < 0 ? r : generate(bytes, fd);
}

static int write_safetensors(const char *dtype, const char *path) {
        _cleanup_(buf_donep) struct buf out = BUF_INIT(FILE_MAX_BYTES);

        for (size_t i = 0; i < modelgen_dtypes_n; i++)
                if (strcmp(modelgen_dtypes[i].name, dtype) == 0) {
                        int r = modelgen_safetensors_of_type(dtype, modelgen_dtypes[i].bits, &out);

                        return r < 0 ? r : write_file(path, buf_view(&out));
                }
        return -EINVAL;
}

static int write_case(const char *folder, const struct modelgen_case *c, struct view content,
                      const char *ending) {
        _cleanup_(buf_donep) struct buf path = BUF_INIT(4096);
        int r = buf_printf(&path, "%s/%s %s%s", folder, c->rule, c->name, ending);

        for (size_t i = strlen(folder) + 1; r >= 0 && i < path.n; i++)
                if (path.p[i] == ' ' || path.p[i] == '/')
                        path.p[i] = '_';
        return r < 0 ? r : write_file(path.p, content);
}

static int write_malformed(const char *folder) {
        struct modelgen_case c;
        int r = 0;

        for (size_t i = 0; r >= 0 && i < modelgen_bad_gguf_n(); i++) {
                _cleanup_(buf_donep) struct buf out = BUF_INIT(FILE_MAX_BYTES);

                r = modelgen_bad_gguf(i, &out, &c);
                if (r >= 0)
                        r = write_case(folder, &c, buf_view(&out), ".gguf");
        }
        for (size_t i = 0; r >= 0 && i < modelgen_bad_safetensors_n(); i++) {
                _cleanup_(buf_donep) struct buf out = BUF_INIT(FILE_MAX_BYTES);

                r = modelgen_bad_safetensors(i, &out, &c);
                if (r >= 0)
                        r = write_case(folder, &c, buf_view(&out), ".safetensors");
        }
        return r;
}

int main(int argc, char *argv[]) {
        _cleanup_(buf_donep) struct buf out = BUF_INIT(FILE_MAX_BYTES);
        uint64_t id;
        size_t data;
        int r;

        if (argc == 3 && strcmp(argv[1], "gguf") == 0) {
                r = modelgen_gguf(&out);
                if (r >= 0)
                        r = write_file(argv[2], buf_view(&out));
        } else if (argc == 3 && strcmp(argv[1], "malformed") == 0)
                r = write_malformed(argv[2]);
        else if (argc == 4 && strcmp(argv[1], "gguf-large") == 0)
                r = write_large(modelgen_gguf_large, argv[2], argv[3]);
        else if (argc == 4 && strcmp(argv[1], "safetensors-large") == 0)
                r = write_large(modelgen_safetensors_large, argv[2], argv[3]);
        else if (argc == 4 && strcmp(argv[1], "safetensors") == 0)
                r = write_safetensors(argv[2], argv[3]);
        else if (argc == 4 && strcmp(argv[1], "gguf-type") == 0) {
                r = u64_parse(view_of(argv[2]), UINT32_MAX, &id);
                if (r >= 0)
                        r = modelgen_gguf_of_type((uint32_t)id, &out, &data);
                if (r >= 0)
                        r = write_file(argv[3], buf_view(&out));
        } else
                return usage();
        return r < 0 ? fail(argv[argc - 1], r) : 0;
}
