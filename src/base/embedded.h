/* embedded: files compiled into a program by tools/embed.c, so that nothing on disk can replace them. The generated
 * source defines an array of these that ends with name == NULL. */
#pragma once

#include "base/view.h"

struct embedded_file {
        const char *name; /* as given to the generator, without folders */
        struct view content;
};
