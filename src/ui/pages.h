/* pages: the files of the web UI, compiled in. Names of assets carry a hash of their content, so browsers may keep
 * them; the page itself is asked for each time. */
#pragma once

#include "ui/app.h"

int pages_on_index(struct http_request *q, void *app);
int pages_on_asset(struct http_request *q, void *app);
