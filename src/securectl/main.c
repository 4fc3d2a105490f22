/* securectl: the command line. One table of commands; each has a file of its own. */
#include "securectl/command.h"

static const struct command commands[] = {
        {"up", "start everything on this machine, without root", command_up},
        {"down", "stop what up has started", command_down},
};

static void usage(void) {
        printf("usage: securectl COMMAND [OPTION…]\n\n");
        for (size_t i = 0; i < ARRAY_SIZE(commands); i++)
                printf("  %-10s %s\n", commands[i].name, commands[i].summary);
        printf("\nEach command has --help. Exit status: 0 yes, 1 no, 2 wrong usage or trouble.\n");
}

int main(int argc, char *argv[]) {
        const char *name = argc > 1 ? argv[1] : "";

        if (strcmp(name, "--help") == 0 || strcmp(name, "help") == 0) {
                usage();
                return EXIT_YES;
        }
        if (strcmp(name, "--version") == 0) {
                printf("securectl %s\n", SAI_VERSION);
                return EXIT_YES;
        }
        for (size_t i = 0; i < ARRAY_SIZE(commands); i++)
                if (strcmp(name, commands[i].name) == 0)
                        return commands[i].run(argc - 1, argv + 1);
        fprintf(stderr, "securectl: %s%s%s\n", argc > 1 ? "no command \"" : "which command?", name,
                argc > 1 ? "\"; see securectl --help" : " See securectl --help.");
        return EXIT_TROUBLE;
}
