#include "support/attack_files.h"

#include <dirent.h>

#include "base/file.h"

#define FILE_MAX ((size_t)1 << 20)

static SAI_NORETURN void give_up(const char *what) {
        fprintf(stderr, "attack files: %s\n", what);
        abort();
}

static int open_area(const char *area) {
        const char *source = secure_getenv("SECAI_SOURCE");
        char path[4096];
        int fd;

        if (!source)
                give_up("SECAI_SOURCE is not set; run through meson test");
        (void)snprintf(path, sizeof path, "%s/tests/attacks/%s", source, area);
        fd = open_dir(path);
        if (fd < 0)
                give_up(path);
        return fd;
}

static struct view load(int dir_fd, const char *name) {
        struct buf text = BUF_INIT(FILE_MAX);
        struct view v;
        char *copy;

        if (read_file_beneath(dir_fd, name, FILE_MAX, &text) < 0)
                give_up(name);
        copy = malloc(MAX_OF(text.n, (size_t)1));
        if (!copy)
                give_up("out of memory");
        memcpy(copy, buf_str(&text), text.n);
        v = view_make(copy, text.n);
        buf_done(&text);
        return v;
}

/* "y_NAME.EXT" or "n_RULE_NAME.EXT". */
static void read_name(const char *name, struct attack_file *file) {
        struct view rest = view_of(name), rule;

        file->is_accepted = view_starts(rest, VIEW("y_"));
        if (file->is_accepted)
                return;
        if (!view_starts(rest, VIEW("n_")))
                give_up(name);
        rest = view_sub(rest, 2, SIZE_MAX);
        if (!view_split(&rest, '_', &rule) || rule.n >= sizeof file->rule)
                give_up(name);
        memcpy(file->rule, rule.p, rule.n);
}

static int by_name(const void *a, const void *b) {
        return strcmp(((const struct attack_file *)a)->name, ((const struct attack_file *)b)->name);
}

size_t attack_files_load(const char *area, struct attack_file **ret) {
        struct attack_file *files = calloc(ATTACK_FILES_MAX, sizeof *files);
        DIR *dir = fdopendir(open_area(area));
        struct dirent *entry;
        size_t n = 0;

        if (!files || !dir)
                give_up(area);
        while ((entry = readdir(dir))) {
                struct view content;

                if (entry->d_name[0] == '.')
                        continue;
                if (n >= ATTACK_FILES_MAX)
                        give_up("more files than ATTACK_FILES_MAX");
                read_name(entry->d_name, &files[n]);
                content = load(dirfd(dir), entry->d_name);
                files[n].content = (char *)(uintptr_t)content.p;
                files[n].n = content.n;
                files[n].name = view_dup(view_of(entry->d_name));
                if (!files[n++].name)
                        give_up("out of memory");
        }
        closedir(dir);
        qsort(files, n, sizeof *files, by_name);
        *ret = files;
        return n;
}

struct view attack_text_load(const char *area, const char *name) {
        _cleanup_(closep) int fd = open_area(area);

        return load(fd, name);
}
