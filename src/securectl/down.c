/* securectl down: asks the supervisor of a state root to stop, and waits until it has. */
#include <getopt.h>
#include <poll.h>
#include <signal.h>
#include <sys/syscall.h>

#include "base/file.h"
#include "base/num.h"
#include "securectl/command.h"
#include "securectl/lock.h"
#include "securectl/places.h"

#define WAIT_MSEC (120 * 1000) /* five services, each with its time to end */

static void usage(void) {
        printf("usage: securectl down [--state-root DIR]\n"
               "\n"
               "Stops what `securectl up` has started and waits for its end.\n"
               "\n"
               "  --state-root DIR   folder of the state (default: $XDG_DATA_HOME/secure-ai, "
               "~/.local/share/secure-ai)\n"
               "\n"
               "Exit status: 0 stopped, 1 nothing was running, 2 trouble.\n");
}

/* By descriptor, so that a number that is given to a new process meanwhile is not signalled. */
static int stop_process(int root, pid_t pid) {
        _cleanup_(closep) int process = (int)syscall(SYS_pidfd_open, pid, 0);
        struct pollfd p = {.fd = process, .events = POLLIN};
        pid_t again = 0;
        int r;

        if (process < 0)
                return errno == ESRCH ? 0 : negative_errno();
        r = lock_holder(root, &again);
        if (r < 0 || again != pid)
                return r;
        if (syscall(SYS_pidfd_send_signal, process, SIGTERM, NULL, 0) < 0)
                return negative_errno();
        do
                r = poll(&p, 1, WAIT_MSEC);
        while (r < 0 && errno == EINTR);
        return r > 0 ? 0 : r == 0 ? -ETIMEDOUT : negative_errno();
}

static int stop_at(const struct places *places) {
        _cleanup_(closep) int root = open_dir(places->state_root);
        pid_t pid = 0;
        int r = root == -ENOENT ? 0 : root < 0 ? root : lock_holder(root, &pid);

        if (r >= 0 && pid == 0) {
                fprintf(stderr, "securectl: nothing is running in %s\n", places->state_root);
                return EXIT_NO;
        }
        if (r >= 0)
                r = stop_process(root, pid);
        if (r >= 0) {
                printf("stopped\n");
                return EXIT_YES;
        }
        fprintf(stderr, "securectl: the supervisor (process %ld) could not be stopped: %s\n", (long)pid,
                strerrordesc_np(-r));
        return EXIT_TROUBLE;
}

int command_down(int argc, char *argv[]) {
        static const struct option options[] = {
                {"state-root", required_argument, NULL, 's'}, {"help", no_argument, NULL, 'h'}, {0}};
        const char *state_root = NULL;
        struct places places;
        struct fault fault = FAULT_NONE;
        int option;

        while ((option = getopt_long(argc, argv, "", options, NULL)) != -1)
                switch (option) {
                case 's':
                        state_root = optarg;
                        break;
                case 'h':
                        usage();
                        return EXIT_YES;
                default:
                        return EXIT_TROUBLE;
                }
        if (optind < argc) {
                fprintf(stderr, "securectl: down takes no \"%s\"; see securectl down --help\n", argv[optind]);
                return EXIT_TROUBLE;
        }
        if (places_find(state_root, NULL, &places, &fault) < 0) {
                fprintf(stderr, "securectl: %s\n", fault.text);
                return EXIT_TROUBLE;
        }
        return stop_at(&places);
}
