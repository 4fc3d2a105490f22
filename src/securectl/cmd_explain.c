/* securectl explain: what a rule that a finding quotes means, and what to do. */
#include "securectl/command.h"
#include "securectl/explain.h"
#include "securectl/options.h"

static const struct command_help help = {
        .usage = "explain [OPTION…] [RULE…]",
        .text = "Says what a rule that a finding quotes means and what to do about it. Without RULE: lists "
                "all.\n"
                "Exit status: 0 yes, 1 there is no such rule, 2 trouble.",
        .least = 0,
        .most = 1000,
};

int command_explain(int argc, char *argv[]) {
        struct common common = {0};
        const struct option_spec specs[] = {COMMON_OPTIONS(&common)};
        int operands, code;

        if (command_begin(&help, specs, &common, argc, argv, &operands, &code) < 0)
                return code;
        return explain_print(argv + 1, operands, common.json);
}
