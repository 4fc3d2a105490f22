#include "securectl/options.h"

#include <stdarg.h>

#include "base/buf.h"
#include "securectl/command.h"

static const struct option_spec *find_long(const struct option_spec *specs, struct view name) {
        for (; specs->name; specs++)
                if (view_eq_str(name, specs->name))
                        return specs;
        return NULL;
}

static const struct option_spec *find_letter(const struct option_spec *specs, char letter) {
        for (; specs->name; specs++)
                if (specs->letter == letter && letter != '\0')
                        return specs;
        return NULL;
}

static int refuse(struct fault *reterr, const char *what, struct view option) {
        _cleanup_(buf_donep) struct buf shown = BUF_INIT(1024);

        if (buf_append_escaped(&shown, option, 64) < 0)
                buf_clear(&shown);
        return fault_set(reterr, -EINVAL, NULL, 0, "%s %s; see --help", buf_str(&shown), what);
}

/* One option at argv[*at], with its value, which may be the next argument. */
static int read_option(const struct option_spec *specs, int argc, char *argv[], int *at,
                       struct fault *reterr) {
        struct view text = view_of(argv[*at]), name = view_sub(text, 2, SIZE_MAX);
        bool is_long = view_starts(text, VIEW("--"));
        const char *equals = is_long ? strchr(text.p, '=') : NULL;
        const struct option_spec *spec;

        if (equals)
                name = view_sub(text, 2, (size_t)(equals - text.p) - 2);
        spec = is_long ? find_long(specs, name) : text.n == 2 ? find_letter(specs, text.p[1]) : NULL;
        if (!spec)
                return refuse(reterr, "is not an option of this command", text);
        if (spec->flag) {
                if (equals)
                        return refuse(reterr, "takes no value", text);
                *spec->flag = true;
                return 0;
        }
        if (equals)
                *spec->value = equals + 1;
        else if (*at + 1 < argc)
                *spec->value = argv[++*at];
        else
                return refuse(reterr, "needs a value", text);
        return 0;
}

int options_read(const struct option_spec *specs, int argc, char *argv[], int *ret_operands,
                 struct fault *reterr) {
        bool only_operands = false;
        int operands = 0;

        for (int i = 1; i < argc; i++) {
                int r;

                if (only_operands || argv[i][0] != '-' || argv[i][1] == '\0') {
                        argv[1 + operands++] = argv[i];
                        continue;
                }
                if (strcmp(argv[i], "--") == 0) {
                        only_operands = true;
                        continue;
                }
                r = read_option(specs, argc, argv, &i, reterr);
                if (r < 0)
                        return r;
        }
        *ret_operands = operands;
        return 0;
}

void options_print_help(FILE *out, const struct command_help *help, const struct option_spec *specs) {
        (void)fprintf(out, "usage: securectl %s\n\n%s\n\nOptions:\n", help->usage, help->text);
        for (; specs->name; specs++) {
                char text[64];

                (void)snprintf(text, sizeof text, "%c%c%s--%s%s%s", specs->letter ? '-' : ' ',
                               specs->letter ? specs->letter : ' ', specs->letter ? ", " : "  ", specs->name,
                               specs->value ? " " : "", specs->value ? specs->value_name : "");
                (void)fprintf(out, "  %-26s %s\n", text, specs->help);
        }
}

int complain(const char *format, ...) {
        va_list ap;

        (void)fflush(stdout);
        (void)fputs("securectl: ", stderr);
        va_start(ap, format);
        (void)vfprintf(stderr, format, ap);
        va_end(ap);
        (void)fputc('\n', stderr);
        return EXIT_TROUBLE;
}

int command_begin(const struct command_help *help, const struct option_spec *specs, struct common *common,
                  int argc, char *argv[], int *ret_operands, int *ret_exit) {
        struct fault fault = FAULT_NONE;
        int operands = 0;

        if (options_read(specs, argc, argv, &operands, &fault) < 0) {
                *ret_exit = complain("%s: %s", argv[0], fault.text);
                return -ECANCELED;
        }
        if (common->help) {
                options_print_help(stdout, help, specs);
                *ret_exit = EXIT_YES;
                return -ECANCELED;
        }
        if (operands < help->least || operands > help->most) {
                *ret_exit = complain("usage: securectl %s", help->usage);
                return -ECANCELED;
        }
        if (layout_find(common->state_root, &common->layout, &fault) < 0) {
                *ret_exit = complain("%s", fault.text);
                return -ECANCELED;
        }
        *ret_operands = operands;
        return 0;
}
