/* claim_parts: what claims of files and of folders share. */
#pragma once

#include <sys/stat.h>

#include "quarantine/claim.h"

/* 1 = lease taken, 0 = leases can't be had here, -EBUSY = open for writing. */
int claim_take_lease(int fd);
bool claim_is_settled(struct sighting *s, uint64_t inode, uint64_t size, uint64_t changed_nsec,
                      uint64_t usec);
/* Changed so long ago that it need not be watched first. */
bool claim_is_old(uint64_t changed_nsec, uint64_t usec);
enum claim_readiness claim_refuse(struct inbox_entry *e, const char *code, const char *reason);
SAI_NODISCARD int claim_open_folder(const struct claims *c, const char *job, bool make, int *ret_fd);
/* Copies and syncs; checks that the source is a regular file of that size which does not change meanwhile (-ESTALE). */
SAI_NODISCARD int claim_fill_copy(int source, uint64_t size, int to, bool (*go_on)(uint64_t, void *),
                                  void *userdata);
