/* sandbox_parts: the steps of sandbox_enter, one file each. For core/sandbox*.c only. */
#pragma once

#include "core/sandbox.h"

/* AddressSanitizer's leak check stops the threads with ptrace and reads /proc at exit: builds with it get those calls
 * and that folder on top, and no memory limit (its shadow alone passes any). Never in a release build. */
#if defined(__SANITIZE_ADDRESS__)
#define SANDBOX_SANITIZER 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define SANDBOX_SANITIZER 1
#endif
#endif
#ifndef SANDBOX_SANITIZER
#define SANDBOX_SANITIZER 0
#endif

/* Leaves what the profile names behind. A kernel that refuses is not an error: *ret says what is absent. */
SAI_NODISCARD int sandbox_namespaces(const struct sandbox_profile *profile, struct sandbox_report *ret,
                                     struct fault *reterr);
/* In a mount namespace of its own: nothing is there but the profile's paths. *ret says when the kernel refuses. */
SAI_NODISCARD int sandbox_root(const struct sandbox_profile *profile, struct sandbox_report *ret,
                               struct fault *reterr);
/* Restricts files to the profile's paths, and TCP, abstract sockets and signals where the kernel can. */
SAI_NODISCARD int sandbox_landlock(const struct sandbox_profile *profile, struct sandbox_report *ret,
                                   struct fault *reterr);
SAI_NODISCARD int sandbox_seccomp(const struct sandbox_profile *profile, struct fault *reterr);
