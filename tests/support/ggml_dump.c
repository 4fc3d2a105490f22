/* ggml_dump FOLDER COUNT: reads FOLDER/0 to FOLDER/COUNT-1 with llama.cpp's own GGUF reader and prints what it understood of each
 * (model_dump.h) between "file N" and "end", or "refused", or "crashed". Each file in a process of its own. The reader's library
 * is not known when this is built: it comes from the sealed worker root, whose loader runs this program. Its interface is
 * written down from gguf.h. */
#include <dlfcn.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "model_dump.h"

#define LIBRARY      "libggml-base.so.0"
#define MEMORY       ((rlim_t)4 << 30) /* of the process that reads one file */
#define SECONDS      20u
#define TYPE_STRING  8
#define TYPE_ARRAY   9
#define TYPE_NO_LIST 13

struct gguf_context;
struct ggml_context;
struct gguf_init_params {
        bool no_alloc;
        struct ggml_context **ctx;
};

#define CALLS(X)                                                                                             \
        X(struct gguf_context *, gguf_init_from_file, (const char *, struct gguf_init_params))               \
        X(int64_t, gguf_get_n_kv, (const struct gguf_context *))                                             \
        X(const char *, gguf_get_key, (const struct gguf_context *, int64_t))                                \
        X(int, gguf_get_kv_type, (const struct gguf_context *, int64_t))                                     \
        X(int, gguf_get_arr_type, (const struct gguf_context *, int64_t))                                    \
        X(size_t, gguf_get_arr_n, (const struct gguf_context *, int64_t))                                    \
        X(const void *, gguf_get_arr_data, (const struct gguf_context *, int64_t))                           \
        X(const char *, gguf_get_arr_str, (const struct gguf_context *, int64_t, size_t))                    \
        X(const char *, gguf_get_val_str, (const struct gguf_context *, int64_t))                            \
        X(const void *, gguf_get_val_data, (const struct gguf_context *, int64_t))                           \
        X(int64_t, gguf_get_n_tensors, (const struct gguf_context *))                                        \
        X(const char *, gguf_get_tensor_name, (const struct gguf_context *, int64_t))                        \
        X(int, gguf_get_tensor_type, (const struct gguf_context *, int64_t))                                 \
        X(size_t, gguf_get_tensor_offset, (const struct gguf_context *, int64_t))                            \
        X(const int64_t *, gguf_get_tensor_ne, (const struct gguf_context *, int64_t))                       \
        X(size_t, gguf_get_data_offset, (const struct gguf_context *))

#define DECLARE(result, name, arguments) static result(*name) arguments;
CALLS(DECLARE)

static bool load_all(void) {
        void *library = dlopen(LIBRARY, RTLD_NOW);

        if (!library) {
                fprintf(stderr, "ggml_dump: %s\n", dlerror());
                return false;
        }
#define LOAD(result, name, arguments)                                                                        \
        *(void **)&name = dlsym(library, #name);                                                             \
        if (!name) {                                                                                         \
                fprintf(stderr, "ggml_dump: " LIBRARY " has no " #name "\n");                                \
                return false;                                                                                \
        }
        CALLS(LOAD)
        return true;
}

static size_t size_of(int type) {
        static const uint8_t sizes[] = {1, 1, 2, 2, 4, 4, 4, 1, 0, 0, 8, 8, 8};

        return (size_t)type < sizeof sizes ? sizes[type] : 0;
}

static uint64_t hash_text(uint64_t h, const char *text) {
        uint64_t n = strlen(text);

        h = dump_hash(h, &n, sizeof n); /* little-endian, like the file */
        return dump_hash(h, text, n);
}

static void print_pair(FILE *out, const struct gguf_context *g, int64_t i) {
        const char *key = gguf_get_key(g, i);
        int type = gguf_get_kv_type(g, i), element = TYPE_NO_LIST;
        uint64_t h = DUMP_HASH_START, n = 1;

        if (type == TYPE_ARRAY) {
                element = gguf_get_arr_type(g, i);
                n = gguf_get_arr_n(g, i);
                for (size_t k = 0; element == TYPE_STRING && k < n; k++)
                        h = hash_text(h, gguf_get_arr_str(g, i, k));
                if (element != TYPE_STRING && n > 0)
                        h = dump_hash(h, gguf_get_arr_data(g, i), n * size_of(element));
        } else if (type == TYPE_STRING)
                h = hash_text(h, gguf_get_val_str(g, i));
        else
                h = dump_hash(h, gguf_get_val_data(g, i), size_of(type));
        dump_pair(out, key, strlen(key), (uint32_t)type, (uint32_t)element, n, h);
}

static void print_tensor(FILE *out, const struct gguf_context *g, int64_t i) {
        const char *name = gguf_get_tensor_name(g, i);
        const int64_t *ne = gguf_get_tensor_ne(g, i);
        uint64_t dimensions[4];

        for (unsigned d = 0; d < 4; d++)
                dimensions[d] = (uint64_t)ne[d];
        dump_tensor(out, name, strlen(name), (uint32_t)gguf_get_tensor_type(g, i),
                    gguf_get_tensor_offset(g, i), dimensions);
}

static void print_all(FILE *out, const struct gguf_context *g) {
        for (int64_t i = 0; i < gguf_get_n_kv(g); i++)
                print_pair(out, g, i);
        for (int64_t i = 0; i < gguf_get_n_tensors(g); i++)
                print_tensor(out, g, i);
        if (gguf_get_n_tensors(g) > 0) /* else the reference does not align it; there is no data */
                dump_data(out, gguf_get_data_offset(g));
}

/* As llama.cpp reads it: with tensors made, without their data. */
static void read_one(FILE *out, const char *path) {
        struct rlimit memory = {MEMORY, MEMORY};
        struct ggml_context *tensors = NULL;
        struct gguf_context *g;

        (void)setrlimit(RLIMIT_AS, &memory);
        (void)alarm(SECONDS);
        g = gguf_init_from_file(path, (struct gguf_init_params){true, &tensors});
        if (g)
                print_all(out, g);
        else
                fprintf(out, "refused\n");
        (void)fflush(out);
        _exit(0);
}

static int dump_one(const char *folder, unsigned i) {
        char path[4096];
        int status;
        pid_t child;

        (void)snprintf(path, sizeof path, "%s/%u", folder, i);
        printf("file %u\n", i);
        (void)fflush(stdout);
        child = fork();
        if (child == 0)
                read_one(stdout, path);
        if (child < 0 || waitpid(child, &status, 0) < 0)
                return 1;
        if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
                printf("crashed\n");
        printf("end\n");
        return 0;
}

int main(int argc, char *argv[]) {
        unsigned long count = argc == 3 ? strtoul(argv[2], NULL, 10) : 0;
        int nowhere = open("/dev/null", O_WRONLY | O_CLOEXEC), r = 0;

        if (count == 0) {
                fprintf(stderr, "usage: ggml_dump FOLDER COUNT\n");
                return 2;
        }
        if (!load_all())
                return 2;
        if (nowhere >= 0)
                (void)dup2(nowhere, STDERR_FILENO); /* the reader tells each fault */
        for (unsigned i = 0; r == 0 && i < count; i++)
                r = dump_one(argv[1], i);
        return r;
}
