/* signature_scan: feeds the slots of an artifact to the literal matcher and, around hits, to YARA and to the check for
 * embedded executables and archives. Constant memory. Runs inside the locked worker. */
#pragma once

#include "quarantine/rules.h"

struct signature_scan;

SAI_NODISCARD int signature_scan_new(struct rules *rules, const struct finding_sink *sink,
                                     struct signature_scan **ret);
struct signature_scan *signature_scan_free(struct signature_scan *s);
static inline void signature_scan_freep(struct signature_scan **s) {
        *s = signature_scan_free(*s);
}
/* `fresh` are the next bytes, at file offset `at`; the `before` bytes directly in front of them in memory are the ones
 * that came before (those of the previous slot). `last`: nothing follows. */
SAI_NODISCARD int signature_scan_feed(struct signature_scan *s, struct view fresh, size_t before, uint64_t at,
                                      bool last);
uint64_t signature_scan_windows(const struct signature_scan *s); /* looked at by YARA so far */
