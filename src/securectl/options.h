/* options: the options of one command, from a table that also gives its --help. */
#pragma once

#include "base/fault.h"
#include "securectl/layout.h"

struct option_spec {
        const char *name; /* "json" for --json; NULL ends the table */
        char letter;      /* 'j' for -j, or 0 */
        bool *flag;       /* exactly one of these two is set */
        const char **value;
        const char *value_name; /* "DIR", for help */
        const char *help;
};

struct command_help {
        const char *usage; /* "import [OPTION…] FILE…" */
        const char *text;
        int least, most; /* operands */
};

/* Reads `--name`, `--name VALUE`, `--name=VALUE`, `-x`, `-x VALUE`, until "--". What is no option is moved, in order, to
 * argv[1], argv[2], …; *ret_operands is their number. -EINVAL and *reterr. */
SAI_NODISCARD int options_read(const struct option_spec *specs, int argc, char *argv[], int *ret_operands,
                               struct fault *reterr);
void options_print_help(FILE *out, const struct command_help *help, const struct option_spec *specs);

/* What every command has. */
struct common {
        bool json, help;
        const char *state_root;
        struct layout layout; /* filled by command_begin */
};
#define COMMON_OPTIONS(c)                                                                                      \
        {"json", 0, &(c)->json, NULL, NULL, "print JSON, for scripts"},                                        \
                {"state-root",     0,     NULL,                                                                \
                 &(c)->state_root, "DIR", "state folder of a workstation (default ~/.local/share/secure-ai)"}, \
                {"help", 'h', &(c)->help, NULL, NULL, "print this help"}, {                                    \
                NULL                                                                                           \
        }

/* Options, help and layout: 0 and *ret_operands: go on; else *ret_exit is the exit code and -ECANCELED comes back. */
SAI_NODISCARD int command_begin(const struct command_help *help, const struct option_spec *specs,
                                struct common *common, int argc, char *argv[], int *ret_operands,
                                int *ret_exit);
/* Prints "securectl: MESSAGE" to stderr; returns EXIT_TROUBLE. */
int complain(const char *format, ...) SAI_PRINTF(1, 2);
