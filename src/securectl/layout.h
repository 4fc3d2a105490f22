/* layout: the folders of a running system: of this account's workstation, or of the appliance. */
#pragma once

#include "securectl/cli_limits.h"
#include "securectl/places.h"

struct layout {
        bool is_appliance;
        bool is_elsewhere; /* --state-root was given: hints must repeat it */
        struct places places;
        char log[PLACE_MAX]; /* audit.log */
};

/* `state_root` from the command line, or NULL to look for it. Negative errno and *reterr. */
SAI_NODISCARD int layout_find(const char *state_root, struct layout *ret, struct fault *reterr);
