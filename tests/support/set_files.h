/* set_files: a folder in memory, for tests of artifacts that are folders: read from disk, changed by a line of a table,
 * judged by src/model alone, or written to disk for the shipped programs. */
#pragma once

#include "base/buf.h"
#include "model/model_set.h"

#define SET_FILES_MAX 512u

struct set_files_one {
        char path[1100];
        struct buf content;
        bool judged; /* what its own scan said is known and holds still */
        struct model_summary facts;
};

struct set_files {
        struct set_files_one *list; /* sorted by the bytes of the path */
        size_t n;
};

void set_files_done(struct set_files *s);
static inline void set_files_donep(struct set_files *s) {
        set_files_done(s);
}
/* All assert that they work. */
void set_files_read(struct set_files *s, const char *folder); /* the regular files below it, added */
void set_files_put(struct set_files *s, const char *path, struct view content); /* adds or replaces */
void set_files_copy(const struct set_files *from, struct set_files *ret);
void set_files_write(const struct set_files *s, const char *folder); /* which exists */

/* Cuts a safetensors file into shards STEM-00001-of-0000N.safetensors, tensor i in shard i % N, with their index. */
void set_files_shard(struct set_files *s, struct view file, unsigned shards, const char *stem);
/* The same for a GGUF file: STEM-00001-of-0000N.gguf. */
void set_files_split(struct set_files *s, struct view file, unsigned parts, const char *stem);

/* One change, as a line of a table says it (TEXT: \n \t \\ \xNN and \s for a space are written so):
 *   remove PATH            a file, or with a slash at the end all below it
 *   rename FROM TO         copy FROM TO
 *   write PATH TEXT        append PATH TEXT
 *   sub PATH FROM => TO    the first FROM becomes TO; it must be there
 *   cut PATH N             the last N bytes go
 *   flip PATH N            all bits of byte N change
 *   fill PATH N TEXT       TEXT, N times
 */
void set_files_change(struct set_files *s, struct view line);

struct set_result {
        struct model_summary summary;
        bool rejected;
        size_t n;
        struct finding findings[1024];
};

/* The whole folder through model_set, each file in pieces of that size (0: at once). Files whose own scan is known and put
 * nothing are not scanned again. */
void set_files_judge(struct set_files *s, size_t piece, struct set_result *ret);
bool set_result_has(const struct set_result *r, const char *rule);
void set_result_print(const struct set_result *r);

/* A table: "case NAME", "rule RULE" (several: each must be found; none: it must pass), lines of changes, an empty line. '#'
 * begins a comment. Calls `each` with the changed folder; the number of cases. */
struct set_case {
        char name[128];
        size_t rules;
        char rule[4][24];
};
size_t set_files_table(const char *file, struct set_files *base,
                       void (*each)(void *userdata, const struct set_case *c, struct set_files *s),
                       void *userdata);
