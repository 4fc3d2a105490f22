/* attack_files: the cases of tests/attacks/<area>/, one a file: y_NAME.EXT must be accepted, n_RULE_NAME.EXT refused
 * with that rule. Found through $SECAI_SOURCE. */
#pragma once

#include "base/buf.h"

#define ATTACK_FILES_MAX 1024

struct attack_file {
        char *name;
        bool is_accepted;
        char rule[16]; /* "" when accepted */
        char *content; /* exactly `n` bytes on the heap, so that a sanitizer sees reads past the end */
        size_t n;
};

/* Loads all of an area, sorted by name; the process ends when that is impossible. Kept until the process ends. */
size_t attack_files_load(const char *area, struct attack_file **ret);
/* Text of one file of an area. */
struct view attack_text_load(const char *area, const char *name);
