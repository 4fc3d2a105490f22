#include "model/finding.h"

const char *finding_severity_name(enum finding_severity s) {
        static const char *const names[FINDING_SEVERITY_MAX] = {"info", "warning", "reject"};

        return (unsigned)s < FINDING_SEVERITY_MAX ? names[s] : "reject";
}
