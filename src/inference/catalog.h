/* catalog: which models the registry has, seen by this service: names to digests, and the list in OpenAI's form. */
#pragma once

#include "inference/refusal.h"
#include "wire/http_client.h"

/* `model` is a SHA-256 (taken as it is), the unique name of a model, or empty (""). 0 and ret_sha256, or negative and
 * *ret_why: 404 unknown_model, 409 ambiguous_model, 503 registry_unavailable. */
SAI_NODISCARD int catalog_resolve(struct http_client *registry, struct view model, char ret_sha256[65],
                                  struct refusal *ret_why);
/* Appends {"object":"list","data":[{"id","object":"model","created","owned_by","name","size",…,"loaded"}…]}. */
SAI_NODISCARD int catalog_list(struct http_client *registry, const char *loaded_sha256, struct buf *out,
                               struct refusal *ret_why);
