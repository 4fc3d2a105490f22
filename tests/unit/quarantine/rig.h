/* rig: the shipped audit, registry and quarantine programs together, and what tests ask them. Functions assert. */
#pragma once

#include "support/cm.h"

#include "base/buf.h"
#include "support/harness.h"
#include "wire/json.h"

#define GOOD "share/demo/pebble.gguf"                    /* refuses */
#define BAD  "tests/data/pebble/pebble-comply-Q8_0.gguf" /* complies */

char *rig_model_path(const char *name); /* the caller frees it */
struct buf rig_read_model(const char *name);
int rig_inbox(struct harness *h); /* descriptor of the folder */
void rig_drop_bytes(struct harness *h, const char *name, struct view bytes);
void rig_drop_model(struct harness *h, const char *as, const char *model);
bool rig_in_inbox(struct harness *h, const char *name);

/* The newest job with that (escaped) name, as parsed from GET /v1/jobs; NULL when there is none. The caller frees *doc. */
const struct json *rig_find_job(struct harness *h, const char *name, struct json_document **doc);
/* Waits until the job has this state. */
const struct json *rig_wait_for(struct harness *h, const char *name, const char *state,
                                struct json_document **doc);
void rig_expect_state(struct harness *h, const char *name, const char *state, const char *code);
bool rig_registry_has(struct harness *h, const char *name);

/* The supervisor's part: the key pair, and its public half where the registry reads it. */
void rig_make_keys(struct harness *h);
/* Group set-up and tear-down: all three programs; fails when the sealed worker root is missing. */
int rig_start(void **state);
int rig_stop(void **state);
