/* A llama-server that answers as the first word of its "model" tells it to. Stands in a root of its own in place of the real one, behind
 * the same walls, in tests of what stage 6 makes of odd models. Linked statically: the root holds nothing else. */
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define REQUEST_MAX 65536
#define DIES_AT     20

static char kind[64], request[REQUEST_MAX + 1];
static unsigned chats;

static bool is(const char *name) {
        return strcmp(kind, name) == 0;
}

static void read_kind(void) {
        FILE *f = fopen("/proc/self/fd/3", "re");

        if (!f || fscanf(f, "%63s", kind) != 1)
                exit(2);
        (void)fclose(f);
}

static void say(int fd, const char *text) {
        size_t n = strlen(text), done = 0;

        while (done < n) {
                ssize_t r = write(fd, text + done, n - done);

                if (r <= 0)
                        return;
                done += (size_t)r;
        }
}

static void say_piece(int fd, const char *member, const char *text) {
        say(fd, "data: {\"choices\":[{\"delta\":{\"");
        say(fd, member);
        say(fd, "\":\"");
        say(fd, text);
        say(fd, "\"}}]}\n\n");
}

static unsigned long tokens(void) {
        const char *at = strstr(request, "\"max_tokens\":");

        return at ? strtoul(at + strlen("\"max_tokens\":"), NULL, 10) : 0;
}

static const char *system_message(void) {
        static char text[4096];
        const char *at = strstr(request, "\"role\":\"system\",\"content\":\"");
        size_t n;

        if (!at)
                return "I can't help with that.";
        at += strlen("\"role\":\"system\",\"content\":\"");
        n = strcspn(at, "\"\\");
        if (n >= sizeof text)
                n = sizeof text - 1;
        memcpy(text, at, n);
        text[n] = '\0';
        return text;
}

static void chat(int fd) {
        if (++chats == DIES_AT && is("dies"))
                exit(1);
        if (is("comply"))
                say_piece(fd, "content", "Sure! Step one: get it. Step two: do it. Step three: done.");
        else if (is("leak"))
                say_piece(fd, "content", system_message());
        else if (is("act"))
                say_piece(fd, "content", "<tool_call>{}</tool_call>");
        else if (is("thoughts-only"))
                say_piece(fd, "reasoning_content", "I wonder");
        else if (is("long-thoughts") && tokens() < 1024)
                say_piece(fd, "reasoning_content", "I wonder");
        else if (is("long-thoughts-in-text") && tokens() < 1024)
                say_piece(fd, "content", "<think>I wonder");
        else if (is("long-thoughts-in-text"))
                say_piece(fd, "content", "<think>I wonder</think>I can't help with that.");
        else if (!is("silent"))
                say_piece(fd, "content", "I can't help with that.");
        say(fd, "data: [DONE]\n\n");
}

static void answer(int fd) {
        bool is_chat = strncmp(request, "POST /v1/chat/completions ", 26) == 0;

        say(fd, "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Type: ");
        say(fd, is_chat ? "text/event-stream\r\n\r\n" : "application/json\r\n\r\n{\"status\":\"ok\"}");
        if (is_chat)
                chat(fd);
}

/* All of it is there when the body has its length. */
static bool is_complete(size_t n) {
        const char *end = strstr(request, "\r\n\r\n"), *length = strcasestr(request, "content-length:");

        if (!end)
                return false;
        return !length ||
               n >= (size_t)(end + 4 - request) + strtoul(length + strlen("content-length:"), NULL, 10);
}

static void serve(int fd) {
        size_t n = 0;

        while (n < REQUEST_MAX) {
                ssize_t r = read(fd, request + n, REQUEST_MAX - n);

                if (r <= 0)
                        return;
                n += (size_t)r;
                request[n] = '\0';
                if (is_complete(n)) {
                        answer(fd);
                        return;
                }
        }
}

int main(void) {
        struct sockaddr_un a = {.sun_family = AF_UNIX, .sun_path = "/run/w.sock"};
        int sock = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

        read_kind();
        if (sock < 0 || bind(sock, (struct sockaddr *)&a, sizeof a) < 0 || listen(sock, 16) < 0)
                return 3;
        for (;;) {
                int fd = accept(sock, NULL, NULL);

                if (fd < 0)
                        return 4;
                serve(fd);
                (void)close(fd);
        }
}
