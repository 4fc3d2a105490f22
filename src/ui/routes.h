/* routes: the table of everything that the browser may ask for, and the headers on every answer. */
#pragma once

#include "ui/app.h"

SAI_NODISCARD int routes_serve(struct app *app, const int *fds, size_t n_fds, struct http_server **ret);
