/* log_fixture: an audit log in a temporary folder: <base>/state and <base>/log, as the service keeps them. */
#pragma once

#include "audit/log_store.h"
#include "core/audit_verify.h"
#include "support/temp_dir.h"

struct log_fixture {
        struct temp_dir base;
        char state_path[96], log_path[96];
        int state_dir, writer_dir, log_dir;
        uint64_t rotate_bytes, checkpoint_each;
};

void log_fixture_make(struct log_fixture *f); /* folders, keys, empty log */
void log_fixture_done(struct log_fixture *f);
/* A second fixture with the same files. */
void log_fixture_copy(const struct log_fixture *from, struct log_fixture *to);
struct log_store *log_fixture_open(const struct log_fixture *f);
int log_fixture_try_open(const struct log_fixture *f, struct log_store **ret, struct fault *fault);
/* Appends `n` records "number" 0… one by one or as batches of 32. */
void log_fixture_append(struct log_store *s, unsigned n);
struct audit_report log_fixture_verify(const struct log_fixture *f);

/* Whole small files by name beneath a folder; aborts the test on failure. */
struct buf file_get(int dir, const char *name);
void file_put(int dir, const char *name, struct view content);
