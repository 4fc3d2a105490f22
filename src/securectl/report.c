#include "securectl/report.h"

#include "base/clock.h"
#include "base/file.h"
#include "wire/json.h"

#define TEXT_MAX ((size_t)8 << 10)
#define LINE_MAX ((size_t)32 << 10)

static int json_line(const struct report_event *e, struct view text, struct buf *out) {
        static const char *const levels[LOG_LEVEL_MAX] = {"debug", "info", "warning", "error"};
        struct json_writer w = JSON_WRITER(out);
        char stamp[CLOCK_TEXT_SIZE];
        int r;

        clock_format(clock_real_usec(), stamp);
        json_object_begin(&w);
        json_member_string(&w, "time", stamp);
        json_member_string(&w, "level", levels[e->level]);
        json_member_string(&w, "program", "securectl");
        json_member_string(&w, "event", e->event);
        if (e->service)
                json_member_string(&w, "service", e->service);
        if (e->pid > 0)
                json_member_u64(&w, "pid", (uint64_t)e->pid);
        json_member_view(&w, "message", text);
        json_object_end(&w);
        r = json_write_end(&w);
        return r < 0 ? r : buf_append_char(out, '\n');
}

static void tell_people(const struct report_event *e, struct view text) {
        FILE *out = e->level >= LOG_LEVEL_WARNING ? stderr : stdout;

        fprintf(out, "%s%s%.*s\n", e->service ? e->service : "", e->service ? ": " : "", VIEW_ARG(text));
        fflush(out);
}

void report(const struct report *r, const struct report_event *e, const char *format, ...) {
        _cleanup_(buf_donep) struct buf text = BUF_INIT(TEXT_MAX), line = BUF_INIT(LINE_MAX);
        va_list ap;
        int put;

        va_start(ap, format);
        put = buf_vprintf(&text, format, ap);
        va_end(ap);
        if (put < 0 || json_line(e, buf_view(&text), &line) < 0)
                return;
        if (r->log_fd >= 0)
                put = write_all(r->log_fd, line.p, line.n);
        if (r->json)
                put = write_all(STDOUT_FILENO, line.p, line.n);
        else
                tell_people(e, buf_view(&text));
        (void)put; /* a full disk or a closed terminal must not stop the services */
}
