#include "securectl/terminal.h"

#include <sys/ioctl.h>
#include <time.h>

#include "securectl/cli_limits.h"
#include "securectl/options.h"

unsigned terminal_columns(int fd) {
        struct winsize size = {0};

        if (!isatty(fd))
                return 0;
        return ioctl(fd, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 ? size.ws_col : 80;
}

void terminal_redraw(const struct buf *line) {
        (void)fflush(stdout);
        (void)fprintf(stderr, "\r\x1b[K%s", buf_str(line));
        (void)fflush(stderr);
}

void terminal_print(const struct buf *text) {
        (void)fwrite(buf_str(text), 1, text->n, stdout);
}

int terminal_print_json(const struct json *v) {
        _cleanup_(buf_donep) struct buf text = BUF_INIT(2 * ANSWER_MAX);
        struct json_writer w = JSON_WRITER(&text);
        int r;

        json_put_value(&w, v);
        r = json_write_end(&w);
        if (r >= 0)
                r = buf_append_char(&text, '\n');
        if (r < 0)
                complain("the answer is too large to be shown");
        else
                terminal_print(&text);
        return r;
}

bool terminal_confirm(const char *question) {
        char answer[16];

        if (!isatty(STDIN_FILENO) || !isatty(STDERR_FILENO))
                return false;
        (void)fprintf(stderr, "%s [y/N] ", question);
        (void)fflush(stderr);
        if (!fgets(answer, sizeof answer, stdin))
                return false;
        return answer[0] == 'y' || answer[0] == 'Y';
}

void terminal_sleep(uint64_t usec) {
        struct timespec t = {.tv_sec = (time_t)(usec / USEC_PER_SEC),
                             .tv_nsec = (long)(usec % USEC_PER_SEC) * 1000};

        (void)clock_nanosleep(CLOCK_MONOTONIC, 0, &t, NULL);
}
