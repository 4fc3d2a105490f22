#include "inference/refusal.h"

#include <stdarg.h>

int refusal_set(struct refusal *r, int error, unsigned status, const char *code, const char *format, ...) {
        va_list ap;

        if (!r)
                return error;
        r->status = status;
        r->code = code;
        r->detail[0] = '\0';
        va_start(ap, format);
        (void)vsnprintf(r->text, sizeof(r->text), format, ap);
        va_end(ap);
        return error;
}
