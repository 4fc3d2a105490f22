/* link: to the services of the running system, with the owner's tokens. What goes wrong is said on standard error, with
 * what to do about it; the functions then return a negative errno for the command to end with EXIT_TROUBLE. */
#pragma once

#include "base/secret.h"
#include "securectl/layout.h"
#include "wire/http_client.h"

struct link; /* opaque: one service; free with link_free */

SAI_NODISCARD int link_new(const struct layout *l, const char *service, struct link **ret);
struct link *link_free(struct link *k); /* NULL is fine; returns NULL */
static inline void link_freep(struct link **k) {
        *k = link_free(*k);
}
struct http_client *link_client(const struct link *k);

/* A call that is expected to work: 0 and *ret (NULL when the answer has no body; `ret` may be NULL). An answer other than
 * 2xx is explained and comes back as -EREMOTEIO, 404 as -ENOENT. */
SAI_NODISCARD int link_call(const struct link *k, const char *method, const char *path, struct view body,
                            struct json_document **ret);
/* GET that outlives a restart of the service: what breaks is tried again for some seconds before it is said. */
SAI_NODISCARD int link_get_patiently(const struct link *k, const char *path, struct json_document **ret);
/* Says that the system is not up, and what to do; returns -ECONNREFUSED. */
int link_explain_down(const struct layout *l);
/* Says why an exchange failed (r < 0); returns r. */
int link_explain(const struct link *k, int r);
/* Says what an error answer says; returns -EREMOTEIO, or -ENOENT for 404. */
int link_explain_answer(const struct link *k, unsigned status, struct view body);

/* Socket of the service's descriptor channel, after hello. */
SAI_NODISCARD int link_open_channel(const struct layout *l, const char *service);

/* The token for `service` out of the text of tokens.json. -ENOENT, -EBADMSG, -ENOMEM. */
SAI_NODISCARD int link_find_token(struct view tokens_json, const char *service, struct secret *ret);
