#include "securectl/layout.h"

#include <sys/stat.h>

#define APPLIANCE_RUN   "/run/secure-ai"
#define APPLIANCE_STATE "/var/lib/secure-ai"
#define APPLIANCE_LOG   "/var/log/secure-ai"

static bool is_dir(const char *path) {
        struct stat st;

        return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

int layout_find(const char *state_root, struct layout *ret, struct fault *reterr) {
        struct layout l = {.is_elsewhere = state_root != NULL};
        int r = places_find(state_root, NULL, &l.places, reterr);

        if (r < 0)
                return r;
        /* an appliance has its sockets in /run, and no workstation in the account's own folder */
        l.is_appliance = !state_root && is_dir(APPLIANCE_RUN) && !is_dir(l.places.run);
        if (l.is_appliance) {
                (void)snprintf(l.places.state_root, PLACE_MAX, "%s", APPLIANCE_STATE);
                (void)snprintf(l.places.run, PLACE_MAX, "%s", APPLIANCE_RUN);
                (void)snprintf(l.log, PLACE_MAX, "%s", APPLIANCE_LOG);
        } else
                r = place_join(l.log, l.places.state_root, "log");
        if (r < 0)
                return fault_set(reterr, r, NULL, 0, "the path of the state folder is too long");
        *ret = l;
        return 0;
}
