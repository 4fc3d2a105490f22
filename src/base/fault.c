#include "base/fault.h"

#include <stdarg.h>

int fault_set(struct fault *f, int code, const char *rule, uint64_t at, const char *format, ...) {
        va_list ap;

        if (!f)
                return code;
        f->code = code;
        f->rule = rule;
        f->at = at;
        va_start(ap, format);
        (void)vsnprintf(f->text, sizeof f->text, format, ap);
        va_end(ap);
        return code;
}
