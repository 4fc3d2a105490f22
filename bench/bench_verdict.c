/* bench_verdict: how long a file that its first bytes give away waits for its verdict, in the running system (quarantine, registry,
 * audit as shipped), as one sees it who asks for the job again and again: from the moment the job is taken until a finding that
 * rejects it is known, and from the answer to the import until the job says "rejected". Beside it what the same machine takes for the
 * steps that must be on disk: an append to the audit log, of which a rejection needs two. */
#include "support/cm.h"

#include <fcntl.h>
#include <sys/mman.h>

#include "base/clock.h"
#include "base/file.h"
#include "core/fd_channel.h"
#include "support/harness.h"
#include "wire/json.h"

#define RUNS      31u
#define WAIT_USEC (UINT64_C(60) * USEC_PER_SEC)

static void make_keys(struct harness *h) {
        const char *arguments[] = {"--make-keys", "--state", harness_state_path(h, "quarantine"), NULL};
        _cleanup_(buf_donep) struct buf pem = BUF_INIT(4096);
        _cleanup_(closep) int dir = open_dir(harness_credentials_path(h, "registry"));
        char from[4096];

        assert_int_equal(harness_run(h, "quarantine", arguments, NULL), 0);
        (void)snprintf(from, sizeof from, "%s/evidence.pub", harness_state_path(h, "quarantine"));
        assert_int_equal(read_file(from, 4096, &pem), 0);
        assert_int_equal(replace_file(dir, "evidence.pub", buf_view(&pem), 0644), 0);
}

/* The job's number; each file is another one. */
static void import(struct harness *h, unsigned i, char ret_path[128]) {
        _cleanup_(closep) int fd = memfd_create("bad", MFD_CLOEXEC);
        char socket_path[512], content[64];
        struct json_document *doc;
        int sock, none, n = snprintf(content, sizeof content, "#!/bin/sh\n# %u\n", i);

        assert_int_equal(write_all(fd, content, (size_t)n), 0);
        (void)snprintf(socket_path, sizeof socket_path, "%s/quarantine.fd.sock", harness_run_path(h));
        sock = fd_channel_connect(socket_path, view_of(harness_token(h, "ui", "quarantine")), 5000000);
        assert_true(sock >= 0);
        assert_int_equal(fd_channel_send(sock,
                                         VIEW("{\"op\":\"import\",\"name\":\"x.gguf\",\"source\":\"local\"}"),
                                         fd, 5000000),
                         0);
        assert_int_equal(fd_channel_receive(sock, 5000000, &doc, &none), 0);
        (void)snprintf(ret_path, 128, "/v1/jobs/%.*s",
                       VIEW_ARG(json_get_view(json_root(doc), "job", VIEW_NULL)));
        json_document_free(doc);
        close_fd(sock);
}

/* What is known of it: 0 it was not taken yet, 1 it is scanned, 2 a finding rejects it, 3 it is rejected. */
static unsigned known(struct http_client *c, const char *path) {
        struct json_document *doc = NULL;
        struct http_answer a;
        struct view state;
        unsigned k;

        assert_int_equal(harness_call(c, "GET", path, NULL, &a), 200);
        assert_int_equal(json_parse(buf_view(&a.body), NULL, &doc, NULL), 0);
        state = json_get_view(json_root(doc), "state", VIEW_NULL);
        k = view_eq(state, VIEW("rejected"))                                       ? 3
            : json_get_view(json_root(doc), "found", VIEW_NULL).p                  ? 2
            : view_eq(state, VIEW("waiting")) || view_eq(state, VIEW("receiving")) ? 0
                                                                                   : 1;
        json_document_free(doc);
        http_answer_done(&a);
        return k;
}

struct times {
        double first, rejected; /* from the moment it was taken; from the import */
};

static double since_ms(uint64_t start) {
        return (double)(clock_monotonic_usec() - start) / 1000;
}

static struct times time_verdict(struct harness *h, struct http_client *c, unsigned i) {
        struct times t = {.first = -1};
        uint64_t start, taken = 0;
        char path[128];
        unsigned k;

        usleep(400000); /* until the spare worker has compiled its rules */
        import(h, i, path);
        start = clock_monotonic_usec();
        do {
                uint64_t asked = clock_monotonic_usec();

                assert_true(asked - start < WAIT_USEC);
                k = known(c, path);
                if (k == 0 || taken == 0)
                        taken = asked; /* the last time that it might not have been taken */
                if (k >= 2 && t.first < 0)
                        t.first = since_ms(taken);
                usleep(300);
        } while (k < 3);
        t.rejected = since_ms(start);
        return t;
}

static double append_ms(struct http_client *audit) {
        struct http_answer a;
        uint64_t start = clock_monotonic_usec();

        assert_int_equal(
                harness_call(audit, "POST", "/v1/append", "{\"event\":\"bench\",\"decision\":\"info\"}", &a),
                200);
        http_answer_done(&a);
        return (double)(clock_monotonic_usec() - start) / 1000;
}

static int compare(const void *a, const void *b) {
        double x = *(const double *)a, y = *(const double *)b;

        return x < y ? -1 : x > y;
}

static void bench(void **state) {
        struct harness *h = harness_new();
        struct http_client *c, *audit;
        double first[RUNS], verdicts[RUNS], appends[RUNS];

        make_keys(h);
        harness_start(h, "audit", NULL);
        harness_start(h, "registry", NULL);
        harness_start(h, "quarantine", NULL);
        c = harness_client(h, "ui", "quarantine");
        audit = harness_client(h, "quarantine", "audit");
        for (unsigned i = 0; i < RUNS; i++) {
                struct times t = time_verdict(h, c, i);

                first[i] = t.first;
                verdicts[i] = t.rejected;
                appends[i] = append_ms(audit);
        }
        qsort(first, RUNS, sizeof *first, compare);
        qsort(verdicts, RUNS, sizeof *verdicts, compare);
        qsort(appends, RUNS, sizeof *appends, compare);
        printf("first verdict (a script called x.gguf), from taking the job until the finding is known: "
               "median "
               "%.1f ms, best %.1f ms (target: below 10 ms); from import to rejected: median %.1f ms, best "
               "%.1f "
               "ms; one durable audit record: median %.1f ms\n",
               first[RUNS / 2], first[0], verdicts[RUNS / 2], verdicts[0], appends[RUNS / 2]);
        http_client_free(c);
        http_client_free(audit);
        harness_free(h);
}

int main(void) {
        const struct CMUnitTest tests[] = {cmocka_unit_test(bench)};

        return cmocka_run_group_tests(tests, NULL, NULL);
}
