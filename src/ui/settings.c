#include "ui/app.h"

#include "core/config.h"

static uint64_t number(const struct json *ui, const char *key, uint64_t otherwise) {
        uint64_t v;

        return json_get_u64(ui, key, &v) == 0 ? v : otherwise; /* the schema has checked type and range */
}

int settings_load(int config_dir, struct settings *ret, struct fault *reterr) {
        _cleanup_(json_document_freep) struct json_document *d = NULL;
        const struct json *ui;
        int r = config_load(config_dir, "config/appliance.yaml", "appliance", &d, reterr);

        if (r < 0)
                return r;
        ui = json_get(json_root(d), "ui");
        *ret = (struct settings){
                .idle_usec = number(ui, "idle_timeout_minutes", 30) * 60 * USEC_PER_SEC,
                .absolute_usec = number(ui, "absolute_timeout_hours", 12) * 3600 * USEC_PER_SEC,
                .lockout_tries = number(ui, "lockout_tries", 5),
                .lockout_usec = number(ui, "lockout_minutes", 15) * 60 * USEC_PER_SEC,
                .passphrase_min = number(ui, "passphrase_min_length", 10),
        };
        return 0;
}
