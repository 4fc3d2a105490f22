/* conversations: the saved chats, in the service's database; found again by any part of their titles and texts. A
 * conversation is written as a whole, in one transaction. Thread-safe. */
#pragma once

#include "base/fault.h"
#include "core/db.h"
#include "wire/json.h"

#define CONVERSATION_ID_SIZE 17 /* lower-case hex and NUL */

/* Tables: a migration for db_open. */
extern const char conversations_sql[];

/* Checks the object that the page sends (title, model, system, settings, messages): 0, or -EBADMSG / -E2BIG and
 * *reterr for people. */
SAI_NODISCARD int conversation_check(const struct json *c, struct fault *reterr);
/* `c` has been checked. -EDQUOT when there are too many. */
SAI_NODISCARD int conversation_create(struct db *db, const struct json *c, char id[CONVERSATION_ID_SIZE]);
/* -ENOENT */
SAI_NODISCARD int conversation_replace(struct db *db, struct view id, const struct json *c);
SAI_NODISCARD int conversation_delete(struct db *db, struct view id);
/* Appends the whole conversation as JSON. -ENOENT. */
SAI_NODISCARD int conversation_read(struct db *db, struct view id, struct buf *out);
/* Appends {"conversations":[…]}, newest first; `search`: words that must all be in it, empty for all. */
SAI_NODISCARD int conversation_list(struct db *db, struct view search, struct buf *out);
