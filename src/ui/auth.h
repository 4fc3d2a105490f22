/* auth: first run, login and logout of the browser, and the guard in front of all other routes. */
#pragma once

#include "ui/app.h"

/* http_server_config.authorize, userdata = app: 401 login_required without a session; for anything but GET and HEAD
 * also the CSRF token (403 csrf). Reads that pages repeat by themselves do not count as use of the session. */
int auth_guard(struct http_request *q, const struct http_route *route, void *app);
/* True while the session of this request is open; does not count as use. For streams. */
bool auth_still_open(struct app *app, struct view token);
struct view auth_token(const struct http_request *q);

int auth_on_session(struct http_request *q, void *app);
int auth_on_setup(struct http_request *q, void *app);
int auth_on_login(struct http_request *q, void *app);
int auth_on_logout(struct http_request *q, void *app);
int auth_on_passphrase(struct http_request *q, void *app);
