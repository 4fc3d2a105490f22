/* url: one canonical form of an http(s) URL (WHATWG subset, stricter), so that a list of allowed sources can't be
 * passed by another spelling. Pure.
 * Refused: credentials, fragments, backslashes, control and non-ASCII characters (hosts: write punycode), IPv4 in any
 * form but dotted decimal, IPv4 inside IPv6, empty labels and path segments, encoded '/', '\', control characters or
 * '.' segments, ports 0 or > 65535. Lower-cased:
 * scheme, host. Removed: default port, dot segments (refused when they climb above the root). Percent-encoding is
 * upper-cased and decoded where the character is unreserved. */
#pragma once

#include "base/buf.h"
#include "base/fault.h"

#define URL_MAX 4096

struct url {
        struct buf text;    /* canonical; the views point into it */
        struct view scheme; /* "https" or "http" */
        struct view host;   /* without brackets */
        uint16_t port;
        struct view path;  /* starts with '/' */
        struct view query; /* without '?', empty when there is none */
};

/* 0 and *ret (caller: url_done), or -EBADMSG / -E2BIG / -ENOMEM and *reterr (rule "URL-0NN", at = byte). */
SAI_NODISCARD int url_parse(struct view text, struct url *ret, struct fault *reterr);
/* The same for an entry of a list: the host may be "*.example.org". */
SAI_NODISCARD int url_parse_pattern(struct view text, struct url *ret, struct fault *reterr);
void url_done(struct url *u);
static inline void url_donep(struct url *u) {
        url_done(u);
}
/* True when `u` is inside `pattern`, itself canonical: same scheme, host ("*.example.org" matches subdomains
 * only), port, and path equal or below pattern's path at a '/' border. A query in the pattern must be the same. */
bool url_is_beneath(const struct url *u, const struct url *pattern);
