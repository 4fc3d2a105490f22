#include "support/cm.h"

#include <poll.h>
#include <pthread.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "base/clock.h"
#include "base/file.h"
#include "core/fd_channel.h"
#include "core/service.h"
#include "support/temp_dir.h"

#define PATIENCE (10 * USEC_PER_SEC)

/* Stands in for the identity module: the channel asks it one question. */
struct view service_caller_of_token(const struct service *s, struct view token) {
        return view_eq(token, VIEW("good")) ? VIEW("ui") : VIEW_NULL;
}

static void socket_pair(int out[2]) {
        assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, out), 0);
}

static int fd_with(const char *text) {
        int fd = memfd_create("passed", MFD_CLOEXEC);

        assert_true(fd >= 0);
        assert_int_equal(write_all(fd, text, strlen(text)), 0);
        return fd;
}

static unsigned count_open_fds(void) {
        unsigned n = 0;

        for (int fd = 0; fd < 256; fd++)
                n += fcntl(fd, F_GETFD) >= 0;
        return n;
}

/* Sends raw bytes with any number of descriptors, as a peer that does not keep the rules would. */
static void send_raw(int sock, struct view bytes, const int *fds, size_t n) {
        union {
                char space[CMSG_SPACE(8 * sizeof(int))];
                struct cmsghdr align;
        } control = {0};
        struct iovec piece = {(char *)(uintptr_t)bytes.p, bytes.n};
        struct msghdr m = {.msg_iov = &piece, .msg_iovlen = 1};

        if (n > 0) {
                struct cmsghdr *c;

                m.msg_control = &control;
                m.msg_controllen = CMSG_SPACE(n * sizeof(int));
                c = CMSG_FIRSTHDR(&m);
                c->cmsg_level = SOL_SOCKET;
                c->cmsg_type = SCM_RIGHTS;
                c->cmsg_len = CMSG_LEN(n * sizeof(int));
                memcpy(CMSG_DATA(c), fds, n * sizeof(int));
        }
        assert_int_equal(sendmsg(sock, &m, MSG_NOSIGNAL), (ssize_t)bytes.n);
}

static void frame_and_descriptor_arrive_whole(void **state) {
        _cleanup_(json_document_freep) struct json_document *d = NULL;
        _cleanup_(closep) int passed = fd_with("content"), got = -EBADF;
        char text[8] = "";
        int s[2];

        socket_pair(s);
        assert_int_equal(fd_channel_send(s[0], VIEW("{\"op\":\"open\"}"), passed, PATIENCE), 0);
        assert_int_equal(fd_channel_receive(s[1], PATIENCE, &d, &got), 0);
        assert_true(view_eq_str(json_get_view(json_root(d), "op", VIEW_NULL), "open"));
        assert_true(got >= 0);
        assert_true(fcntl(got, F_GETFD) & FD_CLOEXEC);
        assert_int_equal(pread(got, text, 7, 0), 7);
        assert_string_equal(text, "content");
        close(s[0]);
        close(s[1]);
}

static void pipelined_frames_keep_their_own_descriptors(void **state) {
        _cleanup_(closep) int passed = fd_with("x");
        int s[2];

        socket_pair(s);
        assert_int_equal(fd_channel_send(s[0], VIEW("{\"n\":1}"), -EBADF, PATIENCE), 0);
        assert_int_equal(fd_channel_send(s[0], VIEW("{\"n\":2}"), passed, PATIENCE), 0);
        assert_int_equal(fd_channel_send(s[0], VIEW("{\"n\":3}"), -EBADF, PATIENCE), 0);
        for (uint64_t i = 1; i <= 3; i++) {
                _cleanup_(json_document_freep) struct json_document *d = NULL;
                _cleanup_(closep) int fd = -EBADF;
                uint64_t n = 0;

                assert_int_equal(fd_channel_receive(s[1], PATIENCE, &d, &fd), 0);
                assert_int_equal(json_get_u64(json_root(d), "n", &n), 0);
                assert_int_equal(n, i);
                assert_int_equal(fd >= 0, i == 2);
        }
        close(s[0]);
        close(s[1]);
}

static void more_descriptors_than_one_are_refused_and_closed(void **state) {
        for (size_t n = 2; n <= 5; n++) {
                struct json_document *d = NULL;
                int fds[5], s[2], got = -EBADF;
                unsigned before;

                for (size_t i = 0; i < n; i++)
                        fds[i] = fd_with("x");
                socket_pair(s);
                before = count_open_fds();
                send_raw(s[0], VIEW("\x02\0\0\0{}"), fds, n);
                assert_int_equal(fd_channel_receive(s[1], PATIENCE, &d, &got), -EPROTO);
                assert_null(d);
                assert_int_equal(got, -EBADF);
                assert_int_equal(count_open_fds(), before);
                for (size_t i = 0; i < n; i++)
                        close(fds[i]);
                close(s[0]);
                close(s[1]);
        }
}

static void second_descriptor_in_a_later_piece_is_refused_and_closed(void **state) {
        _cleanup_(closep) int one = fd_with("x");
        struct json_document *d = NULL;
        int s[2], got = -EBADF;
        unsigned before;

        socket_pair(s);
        before = count_open_fds();
        send_raw(s[0], VIEW("\x07\0\0\0{\"a\""), &one, 1);
        send_raw(s[0], VIEW(":1}"), &one, 1);
        assert_int_equal(fd_channel_receive(s[1], PATIENCE, &d, &got), -EPROTO);
        assert_int_equal(count_open_fds(), before);
        close(s[0]);
        close(s[1]);
}

static void *send_largest(void *sock) {
        static char text[FD_MESSAGE_MAX];
        int r;

        memset(text, ' ', sizeof text);
        memcpy(text, "{}", 2);
        r = fd_channel_send(*(int *)sock, view_make(text, sizeof text), -EBADF, PATIENCE);
        return r < 0 ? sock : NULL;
}

static void largest_frame_passes_and_one_byte_more_is_refused(void **state) {
        static char text[FD_MESSAGE_MAX + 1];
        _cleanup_(json_document_freep) struct json_document *d = NULL;
        int s[2], got = -EBADF;
        pthread_t sender;
        void *failed = NULL;

        socket_pair(s);
        assert_int_equal(pthread_create(&sender, NULL, send_largest, &s[0]), 0);
        assert_int_equal(fd_channel_receive(s[1], PATIENCE, &d, &got), 0);
        assert_int_equal(pthread_join(sender, &failed), 0);
        assert_null(failed);
        memset(text, ' ', sizeof text);
        assert_int_equal(fd_channel_send(s[0], view_make(text, sizeof text), -EBADF, PATIENCE), -EFBIG);
        send_raw(s[0], VIEW("\x01\0\x04\0"), NULL, 0); /* FD_MESSAGE_MAX + 1 */
        d = json_document_free(d);
        assert_int_equal(fd_channel_receive(s[1], PATIENCE, &d, &got), -EFBIG);
        close(s[0]);
        close(s[1]);
}

static void what_is_no_json_object_is_refused(void **state) {
        static const struct view cases[] = {
                VIEW_INIT("\x00\0\0\0"),
                VIEW_INIT("\x02\0\0\0[]"),
                VIEW_INIT("\x04\0\0\0null"),
                VIEW_INIT("\x03\0\0\0{}x"),
                VIEW_INIT("\x01\0\0\0{"),
                VIEW_INIT("\x03\0\0\0{}\0"),
                VIEW_INIT("\x0d\0\0\0{\"a\":1,\"a\":2}"),
        };

        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                struct json_document *d = NULL;
                int s[2], got = -EBADF;

                socket_pair(s);
                send_raw(s[0], cases[i], NULL, 0);
                assert_int_equal(fd_channel_receive(s[1], PATIENCE, &d, &got), -EBADMSG);
                close(s[0]);
                close(s[1]);
        }
}

static void slow_sender_meets_the_deadline(void **state) {
        struct json_document *d = NULL;
        int s[2], got = -EBADF;

        socket_pair(s);
        assert_int_equal(fd_channel_receive(s[1], 10 * USEC_PER_MSEC, &d, &got), -ETIMEDOUT);
        send_raw(s[0], VIEW("\x07\0\0\0{\"a\""), NULL, 0);
        assert_int_equal(fd_channel_receive(s[1], 50 * USEC_PER_MSEC, &d, &got), -ETIMEDOUT);
        close(s[0]);
        close(s[1]);
}

static void reader_that_does_not_read_meets_the_deadline(void **state) {
        static char text[FD_MESSAGE_MAX];
        int s[2], r = 0;

        memset(text, ' ', sizeof text);
        socket_pair(s);
        for (unsigned i = 0; i < 64 && r == 0; i++)
                r = fd_channel_send(s[0], view_make(text, sizeof text), -EBADF, 20 * USEC_PER_MSEC);
        assert_int_equal(r, -ETIMEDOUT);
        close(s[0]);
        close(s[1]);
}

static void closed_peer_is_told_apart(void **state) {
        struct json_document *d = NULL;
        int s[2], got = -EBADF;

        socket_pair(s);
        close(s[0]);
        assert_int_equal(fd_channel_receive(s[1], PATIENCE, &d, &got), -EPIPE);
        assert_int_equal(fd_channel_send(s[1], VIEW("{}"), -EBADF, PATIENCE), -EPIPE);
        close(s[1]);
        socket_pair(s);
        send_raw(s[0], VIEW("\x07\0\0\0{"), NULL, 0);
        close(s[0]);
        assert_int_equal(fd_channel_receive(s[1], PATIENCE, &d, &got), -EPIPE);
        close(s[1]);
}

/* A server whose handler answers with the caller's name and remembers how sessions end. */
struct fixture {
        struct temp_dir dir;
        char path[100];
        int listen_fd;
        struct fd_channel_server *server;
        pthread_mutex_t lock;
        pthread_cond_t changed;
        unsigned messages, with_fd, sessions_closed;
};

static int on_message(int sock, struct view caller, const struct json *message, int *fd, void **session,
                      void *userdata) {
        struct fixture *f = userdata;
        char text[128];

        pthread_mutex_lock(&f->lock);
        f->messages++;
        f->with_fd += *fd >= 0;
        *session = f;
        pthread_mutex_unlock(&f->lock);
        if (view_eq_str(json_get_view(message, "op", VIEW_NULL), "stop"))
                return -ECANCELED;
        (void)snprintf(text, sizeof text, "{\"ok\":true,\"caller\":\"%.*s\"}", (int)caller.n, caller.p);
        return fd_channel_send(sock, view_of(text), *fd, PATIENCE);
}

static void on_closed(void *session, void *userdata) {
        struct fixture *f = userdata;

        pthread_mutex_lock(&f->lock);
        f->sessions_closed += session == f;
        pthread_cond_broadcast(&f->changed);
        pthread_mutex_unlock(&f->lock);
}

static int listen_at(const char *path) {
        struct sockaddr_un a = {.sun_family = AF_UNIX};
        int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

        assert_true(fd >= 0);
        (void)snprintf(a.sun_path, sizeof a.sun_path, "%s", path);
        assert_int_equal(bind(fd, (struct sockaddr *)&a, sizeof a), 0);
        assert_int_equal(listen(fd, 16), 0);
        return fd;
}

static int set_up(void **state) {
        static const struct fd_channel_handlers handlers = {on_message, on_closed};
        struct fixture *f = calloc(1, sizeof *f);

        f->dir = temp_dir_new();
        (void)snprintf(f->path, sizeof f->path, "%s/x.fd.sock", f->dir.path);
        f->listen_fd = listen_at(f->path);
        pthread_mutex_init(&f->lock, NULL);
        pthread_cond_init(&f->changed, NULL);
        *state = f;
        return fd_channel_serve(NULL, f->listen_fd, &handlers, 2, f, &f->server);
}

static int tear_down(void **state) {
        struct fixture *f = *state;

        fd_channel_server_free(f->server);
        close(f->listen_fd);
        temp_dir_done(&f->dir);
        pthread_cond_destroy(&f->changed);
        pthread_mutex_destroy(&f->lock);
        free(f);
        return 0;
}

static void wait_for_closed(struct fixture *f, unsigned n) {
        struct timespec until;

        clock_gettime(CLOCK_REALTIME, &until);
        until.tv_sec += 10;
        pthread_mutex_lock(&f->lock);
        while (f->sessions_closed < n)
                assert_int_equal(pthread_cond_timedwait(&f->changed, &f->lock, &until), 0);
        pthread_mutex_unlock(&f->lock);
}

static void call(int sock, const char *text, const char *key, const char *expected) {
        _cleanup_(json_document_freep) struct json_document *d = NULL;
        _cleanup_(closep) int fd = -EBADF;

        assert_int_equal(fd_channel_send(sock, view_of(text), -EBADF, PATIENCE), 0);
        assert_int_equal(fd_channel_receive(sock, PATIENCE, &d, &fd), 0);
        assert_true(view_eq_str(json_get_view(json_root(d), key, VIEW_NULL), expected));
}

static void caller_is_named_and_answered(void **state) {
        struct fixture *f = *state;
        int sock = fd_channel_connect(f->path, VIEW("good"), PATIENCE);

        assert_true(sock >= 0);
        call(sock, "{\"op\":\"a\"}", "caller", "ui");
        call(sock, "{\"op\":\"b\"}", "caller", "ui");
        close(sock);
        wait_for_closed(f, 1);
        assert_int_equal(f->messages, 2);
}

static void descriptors_pass_both_ways(void **state) {
        struct fixture *f = *state;
        _cleanup_(json_document_freep) struct json_document *d = NULL;
        _cleanup_(closep) int passed = fd_with("round trip"), back = -EBADF;
        _cleanup_(closep) int sock = fd_channel_connect(f->path, VIEW("good"), PATIENCE);
        struct stat a, b;

        assert_int_equal(fd_channel_send(sock, VIEW("{\"op\":\"x\"}"), passed, PATIENCE), 0);
        assert_int_equal(fd_channel_receive(sock, PATIENCE, &d, &back), 0);
        assert_int_equal(fstat(passed, &a), 0);
        assert_int_equal(fstat(back, &b), 0);
        assert_int_equal(a.st_ino, b.st_ino);
        assert_int_equal(f->with_fd, 1);
}

static void crash_of_a_client_closes_its_session(void **state) {
        struct fixture *f = *state;
        int sock = fd_channel_connect(f->path, VIEW("good"), PATIENCE);

        call(sock, "{\"op\":\"a\"}", "caller", "ui");
        send_raw(sock, VIEW("\x10\0\0\0{\"half"), NULL, 0);
        close(sock);
        wait_for_closed(f, 1);
}

static void negative_answer_of_the_handler_ends_the_connection(void **state) {
        struct fixture *f = *state;
        _cleanup_(closep) int sock = fd_channel_connect(f->path, VIEW("good"), PATIENCE);
        struct json_document *d = NULL;
        int fd = -EBADF;

        assert_int_equal(fd_channel_send(sock, VIEW("{\"op\":\"stop\"}"), -EBADF, PATIENCE), 0);
        assert_int_equal(fd_channel_receive(sock, PATIENCE, &d, &fd), -EPIPE);
        wait_for_closed(f, 1);
}

static void unknown_token_is_told_so_and_never_reaches_the_handler(void **state) {
        struct fixture *f = *state;
        _cleanup_(closep) int sock = fd_channel_connect(f->path, VIEW("bad"), PATIENCE);
        _cleanup_(json_document_freep) struct json_document *d = NULL;
        int fd = -EBADF;

        assert_true(sock >= 0);
        assert_int_equal(fd_channel_receive(sock, PATIENCE, &d, &fd), 0);
        assert_true(view_eq_str(json_get_view(json_root(d), "code", VIEW_NULL), "unknown_caller"));
        d = json_document_free(d);
        assert_int_equal(fd_channel_receive(sock, PATIENCE, &d, &fd), -EPIPE);
        assert_int_equal(f->messages, 0);
        assert_int_equal(f->sessions_closed, 0);
}

static void first_frame_must_be_a_plain_hello(void **state) {
        static const struct view cases[] = {
                VIEW_INIT("\x0d\0\0\0{\"op\":\"open\"}"),
                VIEW_INIT("\x02\0\0\0{}"),
                VIEW_INIT("\x26\0\0\0{\"op\":\"hello\",\"token\":\"good\",\"more\":1}"),
        };
        struct fixture *f = *state;

        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                struct sockaddr_un a = {.sun_family = AF_UNIX};
                _cleanup_(closep) int sock = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
                struct json_document *d = NULL;
                int fd = -EBADF;

                (void)snprintf(a.sun_path, sizeof a.sun_path, "%s", f->path);
                assert_int_equal(connect(sock, (struct sockaddr *)&a, sizeof a), 0);
                send_raw(sock, cases[i], NULL, 0);
                assert_int_equal(fd_channel_receive(sock, PATIENCE, &d, &fd), -EPIPE);
        }
        assert_int_equal(f->messages, 0);
}

static void one_client_too_many_is_sent_away_and_later_let_in(void **state) {
        struct fixture *f = *state;
        int a = fd_channel_connect(f->path, VIEW("good"), PATIENCE);
        int b = fd_channel_connect(f->path, VIEW("good"), PATIENCE);
        int c = -EBADF, fd = -EBADF;
        _cleanup_(json_document_freep) struct json_document *d = NULL;

        call(a, "{\"op\":\"a\"}", "caller", "ui");
        call(b, "{\"op\":\"b\"}", "caller", "ui");
        c = fd_channel_connect(f->path, VIEW("good"), PATIENCE);
        if (c >= 0) {
                assert_int_equal(fd_channel_receive(c, PATIENCE, &d, &fd), 0);
                assert_true(view_eq_str(json_get_view(json_root(d), "code", VIEW_NULL), "too_many_clients"));
                close(c);
        } else
                assert_int_equal(c, -EPIPE); /* sent away before the hello was written */
        close(a);
        wait_for_closed(f, 1);
        /* the place is free once the thread has said so, a moment after `closed` */
        for (unsigned tries = 0; tries < 1000; tries++) {
                _cleanup_(json_document_freep) struct json_document *answer = NULL;
                _cleanup_(closep) int again = fd_channel_connect(f->path, VIEW("good"), PATIENCE);

                if (again >= 0 && fd_channel_send(again, VIEW("{\"op\":\"a\"}"), -EBADF, PATIENCE) == 0 &&
                    fd_channel_receive(again, PATIENCE, &answer, &fd) == 0 &&
                    view_eq_str(json_get_view(json_root(answer), "caller", VIEW_NULL), "ui")) {
                        close(b);
                        return;
                }
                usleep(1000);
        }
        fail_msg("the place of a client that left was not given again");
}

static void end_of_the_server_closes_open_sessions(void **state) {
        struct fixture *f = *state;
        _cleanup_(closep) int sock = fd_channel_connect(f->path, VIEW("good"), PATIENCE);

        call(sock, "{\"op\":\"a\"}", "caller", "ui");
        f->server = fd_channel_server_free(f->server);
        assert_int_equal(f->sessions_closed, 1);
}

static void missing_socket_and_long_path_have_their_codes(void **state) {
        struct fixture *f = *state;
        char path[200];

        memset(path, 'x', sizeof path - 1);
        path[sizeof path - 1] = '\0';
        assert_int_equal(fd_channel_connect(path, VIEW("good"), PATIENCE), -ENAMETOOLONG);
        (void)snprintf(path, sizeof path, "%s/none", f->dir.path);
        assert_int_equal(fd_channel_connect(path, VIEW("good"), PATIENCE), -ENOENT);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(frame_and_descriptor_arrive_whole),
                cmocka_unit_test(pipelined_frames_keep_their_own_descriptors),
                cmocka_unit_test(more_descriptors_than_one_are_refused_and_closed),
                cmocka_unit_test(second_descriptor_in_a_later_piece_is_refused_and_closed),
                cmocka_unit_test(largest_frame_passes_and_one_byte_more_is_refused),
                cmocka_unit_test(what_is_no_json_object_is_refused),
                cmocka_unit_test(slow_sender_meets_the_deadline),
                cmocka_unit_test(reader_that_does_not_read_meets_the_deadline),
                cmocka_unit_test(closed_peer_is_told_apart),
                CASE(caller_is_named_and_answered),
                CASE(descriptors_pass_both_ways),
                CASE(crash_of_a_client_closes_its_session),
                CASE(negative_answer_of_the_handler_ends_the_connection),
                CASE(unknown_token_is_told_so_and_never_reaches_the_handler),
                CASE(first_frame_must_be_a_plain_hello),
                CASE(one_client_too_many_is_sent_away_and_later_let_in),
                CASE(end_of_the_server_closes_open_sessions),
                CASE(missing_socket_and_long_path_have_their_codes),
        };

        return cmocka_run_group_tests_name("fd_channel", tests, NULL, NULL);
}
