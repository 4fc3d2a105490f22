#include "support/differential.h"

#include "support/cm.h"

#include <fcntl.h>
#include <sys/wait.h>

#include "base/file.h"
#include "base/num.h"
#include "support/temp_dir.h"

#define CASES     UINT64_C(2600)
#define CASES_MAX UINT64_C(1000000)
#define FILE_MAX  ((size_t)8 << 20)

void differential_keep_first(void *userdata, const struct finding *f) {
        struct finding *first = userdata;

        if (f->severity == FINDING_REJECT && first->message[0] == '\0')
                *first = *f;
}

static uint64_t cases_n(void) {
        const char *asked = secure_getenv("SECAI_DIFFERENTIAL_CASES");
        uint64_t n;

        return asked && u64_parse(view_of(asked), CASES_MAX, &n) == 0 && n > 0 ? n : CASES;
}

static bool is_valid(uint64_t i) {
        return i % DIFFERENTIAL_VALID_EVERY == 0;
}

struct buf differential_case(const struct differential *d, uint64_t i) {
        static struct modelgen_map map;
        struct buf file = BUF_INIT(FILE_MAX);

        assert_int_equal(d->make(i, &file, &map), 0);
        if (!is_valid(i))
                assert_int_equal(modelgen_mutate(i, &file, &map), 0);
        return file;
}

static void write_case(const struct temp_dir *dir, uint64_t i, struct view bytes) {
        char name[24];
        _cleanup_(closep) int fd = -EBADF;

        (void)snprintf(name, sizeof name, "%llu", (unsigned long long)i);
        fd = openat(dir->fd, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
        assert_true(fd >= 0);
        assert_int_equal(write_all(fd, bytes.p, bytes.n), 0);
}

#define ARGUMENTS_MAX 16u

static FILE *start(const struct differential *d, char *folder, uint64_t n) {
        static char path[] = "PATH=/usr/bin:/bin", locale[] = "LC_ALL=C", home[] = "HOME=/";
        char *const clean[] = {path, locale, home, NULL};
        char *arguments[ARGUMENTS_MAX] = {NULL}, count[24];
        size_t used = 0;
        int ends[2];
        pid_t child;

        (void)snprintf(count, sizeof count, "%llu", (unsigned long long)n);
        while (d->command[used] && used + 3 < ARGUMENTS_MAX) {
                arguments[used] = d->command[used];
                used++;
        }
        arguments[used++] = folder;
        arguments[used] = count;
        assert_int_equal(pipe(ends), 0);
        child = fork();
        assert_true(child >= 0);
        if (child == 0) {
                (void)dup2(ends[1], STDOUT_FILENO);
                (void)close(ends[0]);
                (void)close(ends[1]);
                (void)execve(arguments[0], arguments, clean);
                _exit(127);
        }
        (void)close(ends[1]);
        return fdopen(ends[0], "r");
}

/* Everything that the reference says about case `i`, from "file N" to "end". */
static char *their_reading(FILE *in, uint64_t i) {
        _cleanup_(freep) char *line = NULL;
        char *text = NULL, head[32];
        size_t n = 0, room = 0;
        FILE *out = open_memstream(&text, &n);

        assert_non_null(out);
        (void)snprintf(head, sizeof head, "file %llu\n", (unsigned long long)i);
        if (getline(&line, &room, in) < 0 || strcmp(line, head) != 0)
                fail_msg("the reference reader did not come to case %llu", (unsigned long long)i);
        while (getline(&line, &room, in) >= 0 && strcmp(line, "end\n") != 0)
                fputs(line, out);
        assert_int_equal(fclose(out), 0);
        return text;
}

/* The first line in which two texts differ. */
static void fail_at_difference(uint64_t i, struct view ours, struct view theirs) {
        struct view a, b;
        bool more;

        do {
                more = view_split(&ours, '\n', &a);
                more &= view_split(&theirs, '\n', &b);
        } while (more && view_eq(a, b));
        fail_msg("case %llu is read differently; ours: %.*s, theirs: %.*s", (unsigned long long)i,
                 VIEW_ARG(a), VIEW_ARG(b));
}

struct tally {
        uint64_t both, neither, ours_stricter, crashed;
};

static void compare(const struct differential *d, uint64_t i, FILE *in, struct tally *t) {
        _cleanup_(buf_donep) struct buf file = differential_case(d, i);
        struct finding why;
        _cleanup_(freep) char *ours = d->ours(buf_view(&file), i, &why), *theirs = their_reading(in, i);
        bool crashed = strstr(theirs, "crashed") != NULL, refused = strcmp(theirs, "refused\n") == 0;

        if (is_valid(i) && !ours)
                fail_msg("valid case %llu is refused: %s %s", (unsigned long long)i, why.rule, why.message);
        if (ours && strcmp(ours, theirs) != 0)
                fail_at_difference(i, view_of(ours), view_of(theirs));
        t->crashed += crashed;
        t->both += ours != NULL;
        t->neither += !ours && (refused || crashed);
        t->ours_stricter += !ours && !refused && !crashed;
}

void differential_run(const struct differential *d) {
        _cleanup_(temp_dir_done) struct temp_dir dir = temp_dir_new();
        uint64_t n = cases_n();
        struct tally t = {0};
        FILE *in;

        for (uint64_t i = 0; i < n; i++) {
                _cleanup_(buf_donep) struct buf file = differential_case(d, i);

                write_case(&dir, i, buf_view(&file));
        }
        in = start(d, dir.path, n);
        assert_non_null(in);
        for (uint64_t i = 0; i < n; i++)
                compare(d, i, in, &t);
        (void)fclose(in);
        (void)wait(NULL);
        printf("# %llu files: %llu read alike, %llu refused by both, %llu refused by us only, the reference "
               "died of %llu\n",
               (unsigned long long)n, (unsigned long long)t.both, (unsigned long long)t.neither,
               (unsigned long long)t.ours_stricter, (unsigned long long)t.crashed);
        assert_true(t.both >
                    n / DIFFERENTIAL_VALID_EVERY); /* tampered ones among them, or nothing was shown */
        assert_true(t.neither > n / 20);
}
