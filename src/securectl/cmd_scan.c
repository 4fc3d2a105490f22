/* securectl scan: the quarantine's own stages on files, without importing them. */
#include "securectl/command.h"
#include "securectl/explain.h"
#include "securectl/options.h"

#define ARGUMENTS_MAX 1100

static const struct command_help help = {
        .usage = "scan [OPTION…] FILE|DIR… | scan --explain [RULE…]",
        .text = "Examines models with the stages of the quarantine and prints a verdict for each. Nothing "
                "is\n"
                "imported, and the system need not be up. A folder is one model. A detached signature beside "
                "FILE\n"
                "(FILE.sig) or in the folder (model.sig) is used.\n"
                "--explain says what rules of findings mean instead, and lists them all when none is named.\n"
                "Exit status: 0 all passed, 1 one was rejected, 2 trouble or not finished.",
        .least = 0,
        .most = 1000,
};

static void add(const char *arguments[], size_t *n, const char *name, const char *value) {
        if (!value || value[0] == '\0')
                return;
        arguments[(*n)++] = name;
        arguments[(*n)++] = value;
}

static int wrong_use(void) {
        return complain("usage: securectl %s", help.usage);
}

int command_scan(int argc, char *argv[]) {
        struct common common = {0};
        const char *stages = NULL, *tensors = NULL;
        bool sarif = false, explain = false;
        const struct option_spec specs[] = {
                {"stages", 0, NULL, &stages, "1-N", "only the first N stages; 1-5 needs no model to run"},
                {"sarif", 0, &sarif, NULL, NULL,
                 "print one SARIF 2.1.0 log of all files, for code-scanning tools"},
                {"tensors", 0, NULL, &tensors, "OUT",
                 "write what was seen of each tensor of the one file or folder to OUT (secai.tensors/1)"},
                {"explain", 0, &explain, NULL, NULL, "explain RULE… instead of scanning"},
                COMMON_OPTIONS(&common),
        };
        const char *arguments[ARGUMENTS_MAX] = {0};
        char program[PLACE_MAX];
        size_t n = 0;
        int operands, code;

        if (command_begin(&help, specs, &common, argc, argv, &operands, &code) < 0)
                return code;
        if (explain && (sarif || stages || tensors))
                return wrong_use();
        if (explain)
                return explain_print(argv + 1, operands, common.json);
        if (operands < 1 || (tensors && operands != 1) || (sarif && common.json))
                return wrong_use();
        if (place_join(program, common.layout.places.libexec, "quarantine") < 0)
                return complain("the path of the programs is too long");
        arguments[n++] = program;
        arguments[n++] = "--scan";
        add(arguments, &n, "--config", common.layout.places.config);
        add(arguments, &n, "--share", common.layout.places.share);
        add(arguments, &n, "--libexec", common.layout.places.libexec);
        add(arguments, &n, "--worker-root", common.layout.places.worker_root);
        add(arguments, &n, "--stages", stages);
        add(arguments, &n, "--tensors", tensors);
        if (sarif)
                arguments[n++] = "--sarif";
        if (common.json)
                arguments[n++] = "--json";
        arguments[n++] = "--";
        for (int i = 1; i <= operands; i++)
                arguments[n++] = argv[i];
        (void)execv(program, (char *const *)(uintptr_t)arguments);
        return complain("%s can't be started: %s", program, strerrordesc_np(errno));
}
