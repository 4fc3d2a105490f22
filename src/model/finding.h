/* finding: one thing a reader or scanner says about a file. The rule id is stable and documented. */
#pragma once

#include "base/view.h"

enum finding_severity { FINDING_INFO, FINDING_WARNING, FINDING_REJECT, FINDING_SEVERITY_MAX };

#define FINDING_MESSAGE_MAX 200
#define FINDING_TENSOR_MAX  64
#define FINDING_RULE_MAX    24
#define FINDINGS_MAX        256 /* of one artifact; further ones are counted, the worst are never dropped */

struct finding {
        unsigned stage; /* 1..7 */
        enum finding_severity severity;
        char rule[FINDING_RULE_MAX]; /* "GGUF-G12" */
        uint64_t at;                 /* byte offset; UINT64_MAX: the file as a whole */
        uint32_t member; /* of a set: 1 + its position in the listing; 0: the artifact as a whole */
        char tensor[FINDING_TENSOR_MAX];   /* escaped name, "" when none */
        char message[FINDING_MESSAGE_MAX]; /* plain language, escaped, UTF-8 */
};

/* Takes a finding; called in order of discovery. */
struct finding_sink {
        void (*put)(void *userdata, const struct finding *f);
        void *userdata;
};
const char *finding_severity_name(enum finding_severity s); /* "info", "warning", "reject" */
