/* securectl: the command line. One table of commands; each has a file of its own. */
#include <signal.h>

#include "base/buf.h"
#include "securectl/command.h"

static const struct command commands[] = {
        {"up", "start everything on this machine, without root", command_up},
        {"down", "stop what up has started", command_down},
        {"status", "what runs, and how it is", command_status},
        {"scan", "examine model files without importing them", command_scan},
        {"compare", "which tensors differ between two versions of a model", command_compare},
        {"explain", "what a rule that a finding quotes means, and what to do", command_explain},
        {"verify", "check who signed a model file or folder", command_verify},
        {"sign", "sign a model of your own", command_sign},
        {"keys", "list and make the keys that you sign with", command_keys},
        {"import", "bring a model file in and follow it through the stages", command_import},
        {"models", "list, show, verify and delete models", command_models},
        {"jobs", "list, show, retry and delete imports", command_jobs},
        {"chat", "talk to a model", command_chat},
        {"audit", "verify and read the audit log", command_audit},
};

static int usage(FILE *out, int code) {
        (void)fprintf(out, "usage: securectl COMMAND [OPTION…]\n\n");
        for (size_t i = 0; i < ARRAY_SIZE(commands); i++)
                (void)fprintf(out, "  %-10s %s\n", commands[i].name, commands[i].summary);
        (void)fprintf(
                out, "\nEach command has --help; `man securectl` has it all.\n"
                     "Exit status: 0 yes, 1 no (rejected, broken, not running), 2 wrong usage or trouble.\n");
        return code;
}

static int no_such_command(const char *name) {
        _cleanup_(buf_donep) struct buf shown = BUF_INIT(1024);

        if (buf_append_escaped(&shown, view_of(name), 64) < 0)
                buf_clear(&shown);
        (void)fprintf(stderr, "securectl: no command \"%s\"; see securectl --help\n", buf_str(&shown));
        return EXIT_TROUBLE;
}

static int run(int argc, char *argv[]) {
        const char *name = argc > 1 ? argv[1] : "";

        if (argc < 2)
                return usage(stderr, EXIT_TROUBLE);
        if (strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0 || strcmp(name, "help") == 0)
                return usage(stdout, EXIT_YES);
        if (strcmp(name, "--version") == 0) {
                (void)printf("securectl %s\n", SAI_VERSION);
                return EXIT_YES;
        }
        for (size_t i = 0; i < ARRAY_SIZE(commands); i++)
                if (strcmp(name, commands[i].name) == 0)
                        return commands[i].run(argc - 1, argv + 1);
        return no_such_command(name);
}

int main(int argc, char *argv[]) {
        const struct sigaction ignore = {.sa_handler = SIG_IGN};
        int code;

        (void)sigaction(SIGPIPE, &ignore, NULL); /* a closed pipe is an error of the write, found below */
        code = run(argc, argv);
        return fflush(stdout) != 0 || ferror(stdout) ? EXIT_TROUBLE : code;
}
