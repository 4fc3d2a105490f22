#include "registry/refusal.h"

#include <stdarg.h>

int refuse(struct refusal *f, int code, bool final, const char *name, const char *format, ...) {
        va_list ap;

        f->code = name;
        f->final = final;
        va_start(ap, format);
        (void)vsnprintf(f->text, sizeof f->text, format, ap);
        va_end(ap);
        return code;
}

int refuse_for_now(struct refusal *f, int error, const char *what) {
        if (error == -ENOSPC || error == -EDQUOT)
                return refuse(f, error, false, "disk_full", "%s: the registry's disk is full; make room",
                              what);
        return refuse(f, error, false, "storage_failed", "%s: %s", what, strerror(-error));
}

int refuse_admission(struct refusal *f, int error) {
        switch (error) {
        case -EBADFD:
                return refuse(f, error, true, "bad_descriptor",
                              "the descriptor is not a readable regular file");
        case -EMSGSIZE:
                return refuse(f, error, true, "size_mismatch", "the file has not the size that was stated");
        case -EBADMSG:
                return refuse(f, error, true, "sha256_mismatch",
                              "the file has not the content that was stated");
        case -ETXTBSY:
                return refuse(f, error, false, "being_written", "somebody has the file open for writing");
        default:
                return refuse_for_now(f, error, "the file could not be taken in");
        }
}
