/* claim: how a file comes into quarantine's own hands, and what becomes of it. A claim is <state>/claims/<job>/data (of an
 * artifact that is a folder: set/…, see claim_set.h) in a folder that nobody else can enter; from then on it is used by
 * descriptor.
 *
 * A file is taken over by rename when it can be shown that nobody else can write to it: a read lease is granted only while nobody
 * has it open for writing, it has one name, it is ours, and after the rename the lease still stands. Else its bytes are
 * copied (as a reflink where the file system can). Each step leaves the file in exactly one place a restart can find.
 * Functions that change folders return after fsync. Thread-safe for different jobs. */
#pragma once

#include "base/buf.h"
#include "base/fault.h"
#include "quarantine/jobs.h"

struct claims {
        int state_dir, incoming, claims, rejected; /* owned */
};
SAI_NODISCARD int claims_open(int state_dir, struct claims *ret);
void claims_done(struct claims *c);

enum claim_readiness {
        CLAIM_READY,    /* complete: take it */
        CLAIM_BUSY,     /* somebody has it open for writing */
        CLAIM_SETTLING, /* changed a moment ago */
        CLAIM_REFUSED,  /* will never be taken as it is */
        CLAIM_GONE,
};
/* What rescans remember of an inbox entry, to see whether it still changes. */
struct sighting {
        char name[ARTIFACT_NAME_MAX + 1];
        uint64_t inode, size, changed_nsec;
        uint64_t since_usec; /* monotonic */
        bool seen;
};
struct inbox_entry {
        int fd; /* read-only; holds the lease when has_lease */
        uint64_t size;
        bool has_lease;
        bool is_folder;
        char id[128];              /* device, inode and change time */
        const char *code, *reason; /* CLAIM_REFUSED */
        char text[FAULT_TEXT_MAX]; /* of the reason, where it names a file of a folder */
};
/* Opens and judges one entry. On CLAIM_READY the caller owns entry->fd; else it is -EBADF. */
enum claim_readiness claim_look(const struct claims *c, const char *name, struct sighting *s,
                                struct inbox_entry *ret);
/* Names that are never looked at: hidden ones, those of unfinished downloads, detached signatures. */
bool claim_name_is_ignored(struct view name);

/* Takes the entry over for the job (its row must exist). -EBUSY: it was opened for writing meanwhile, all is as before.
 * -EPERM: the entry can't be removed from the inbox; nothing is kept of it. */
SAI_NODISCARD int claim_take(const struct claims *c, const char *name, struct inbox_entry *e,
                             const char *job);
/* Copies `size` bytes from a descriptor (reflink where possible). -ENOSPC before anything is written when the disk would get
 * full; -ESTALE when the source changed meanwhile; `go_on` as elsewhere. */
SAI_NODISCARD int claim_copy(const struct claims *c, int source, uint64_t size, const char *job,
                             bool (*go_on)(uint64_t bytes, void *), void *userdata);
/* For uploads: an empty file in the claim's folder. The reader is ours, the writer goes to the client. */
SAI_NODISCARD int claim_upload_begin(const struct claims *c, const char *job, uint64_t size, int *ret_reader,
                                     int *ret_writer);
/* The client says it is complete: 0 and it is data now. -EBUSY while somebody can still write, -EBADMSG when the size differs. */
SAI_NODISCARD int claim_upload_commit(const struct claims *c, const char *job, int reader, uint64_t size);

/* The claim's bytes; -ENOENT. `ret_id` (128 bytes) changes when the file does. */
SAI_NODISCARD int claim_open_data(const struct claims *c, const char *job, int *ret_fd, uint64_t *ret_size,
                                  char *ret_id);
/* Bytes of an upload or copy that have arrived. */
uint64_t claim_received(const struct claims *c, const char *job);
/* Whether the open file is still the one of `id`: not written to, not cut, since. */
bool claim_is_same(int fd, const char *id);
bool claim_exists(const struct claims *c, const char *job);
SAI_NODISCARD int claim_reject(const struct claims *c, const char *job); /* claims/ → rejected/ */
SAI_NODISCARD int claim_remove(const struct claims *c,
                               const char *job); /* from claims/ and rejected/; missing is fine */
/* Reads the detached signature that lies beside an inbox entry; -ENOENT. The other removes it. */
SAI_NODISCARD int claim_read_signature(const struct claims *c, const char *name, struct buf *out);
void claim_drop_signature(const struct claims *c, const char *name);
/* Removes the inbox entry if it is still the one of `id`. -EPERM: it can't be removed. */
SAI_NODISCARD int claim_drop_inbox(const struct claims *c, const char *name, const char *id);
SAI_NODISCARD int claim_check_space(const struct claims *c, uint64_t size);
/* The same for an inbox entry, which only takes room when it must be copied. */
SAI_NODISCARD int claim_check_room(const struct claims *c, const struct inbox_entry *e);
