/* quarantine: watches the inbox, examines what lies there in seven stages and hands what passes to the registry.
 * `quarantine --scan FILE…` runs the same stages on files alone, `quarantine --make-keys --state DIR` makes the key that signs
 * its evidence. */
#include "quarantine/scan_cli.h"

static bool asks_for(int argc, char *argv[], const char *option) {
        for (int i = 1; i < argc; i++)
                if (strcmp(argv[i], option) == 0)
                        return true;
        return false;
}

int main(int argc, char *argv[]) {
        if (asks_for(argc, argv, "--scan"))
                return scan_cli(argc, argv);
        return 2;
}
