/* A model's header, as the inference service reads it to know how much memory the model needs. */
#include <sys/mman.h>

#include "base/file.h"
#include "inference/shape.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n) {
        _cleanup_(closep) int fd = memfd_create("shape", MFD_CLOEXEC);
        struct shape s;

        if (fd < 0 || write_all(fd, data, n) < 0)
                abort();
        if (shape_read(fd, n, &s) == 0 && shape_conversation_bytes(&s, n, 4096) == 0)
                abort(); /* a conversation always takes something */
        return 0;
}
