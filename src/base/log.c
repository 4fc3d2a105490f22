#include "base/log.h"

#include "base/buf.h"
#include "base/clock.h"
#include "base/file.h"

#define LOG_TEXT_MAX 2048
#define LOG_LINE_MAX 16384

static const char *program = "secure-ai";
static enum log_level level_least = LOG_LEVEL_INFO;

void log_set_program(const char *name) {
        program = name;
}

void log_set_level(enum log_level least) {
        level_least = least;
}

/* buf_append_escaped leaves only printable text; what is left to escape for JSON is '"' and '\'. */
static int append_json_text(struct buf *line, struct view text) {
        for (size_t i = 0; i < text.n; i++) {
                int r = 0;

                if (text.p[i] == '"' || text.p[i] == '\\')
                        r = buf_append_char(line, '\\');
                if (r >= 0)
                        r = buf_append_char(line, text.p[i]);
                if (r < 0)
                        return r;
        }
        return 0;
}

void log_line(enum log_level level, const char *event, const char *format, ...) {
        static const char *const names[LOG_LEVEL_MAX] = {"debug", "info", "warning", "error"};
        _cleanup_(buf_donep) struct buf text = BUF_INIT(LOG_LINE_MAX), safe = BUF_INIT(LOG_LINE_MAX),
                                        line = BUF_INIT(2 * LOG_LINE_MAX);
        char stamp[CLOCK_TEXT_SIZE];
        va_list ap;
        int r;

        if (level < level_least || level >= LOG_LEVEL_MAX)
                return;
        va_start(ap, format);
        r = buf_vprintf(&text, format, ap);
        va_end(ap);
        if (r < 0)
                return;
        clock_format(clock_real_usec(), stamp);
        r = buf_append_escaped(&safe, buf_view(&text), LOG_TEXT_MAX);
        if (r >= 0)
                r = buf_printf(&line,
                               "{\"time\":\"%s\",\"level\":\"%s\",\"program\":\"%s\",\"event\":\"%s\","
                               "\"message\":\"",
                               stamp, names[level], program, event);
        if (r >= 0)
                r = append_json_text(&line, buf_view(&safe));
        if (r >= 0)
                r = buf_append_str(&line, "\"}\n");
        if (r >= 0)
                r = write_all(STDERR_FILENO, line.p, line.n);
        (void)r; /* nowhere left to say it */
}
