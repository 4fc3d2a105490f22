/* folder_send: hands a folder to the quarantine, file by file: each goes as a descriptor that the quarantine copies from. */
#pragma once

#include "base/buf.h"
#include "securectl/layout.h"

/* `name`: as the model is to be called; `signature`: base64, or empty. Complains itself. 0 and the job's id. */
SAI_NODISCARD int folder_send(const struct layout *l, int dir_fd, struct view name, struct view signature,
                              struct buf *ret_id);
