/* sessions: who is logged in. The database knows only the hash of a session's token; the CSRF token is derived from
 * the session token, so that it is bound to it. Time is the boot clock together with the boot id: neither a restart of
 * the program nor a changed wall clock makes a session last longer, and a reboot ends all. Thread-safe. */
#pragma once

#include "core/db.h"
#include "ui/app.h"

#define SESSION_TOKEN_CHARS 64
#define SESSION_TOKEN_SIZE  (SESSION_TOKEN_CHARS + 1)

/* Table of the sessions: a migration for db_open. */
#define SESSIONS_SQL                                                                                         \
        "CREATE TABLE session (hash BLOB PRIMARY KEY, boot TEXT NOT NULL, created INTEGER NOT NULL,"         \
        " seen INTEGER NOT NULL) STRICT;"

/* Makes a session; `token` gets lower-case hex and a NUL. */
SAI_NODISCARD int session_begin(struct app *app, char token[SESSION_TOKEN_SIZE]);
/* 1 when the token's session is open, 0 when there is none (any more). `touch`: this is use, idle time starts anew. */
SAI_NODISCARD int session_check(struct app *app, struct view token, bool touch);
SAI_NODISCARD int session_end(struct app *app, struct view token);
/* All but this one (VIEW_NULL: all). */
SAI_NODISCARD int session_end_others(struct app *app, struct view token);
/* Lower-case hex and NUL. */
SAI_NODISCARD int session_csrf(struct view token, char out[SESSION_TOKEN_SIZE]);
