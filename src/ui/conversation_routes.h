/* conversation_routes: the browser's routes of conversations.h. */
#pragma once

#include "ui/app.h"

int conversations_on_list(struct http_request *q, void *app);
int conversations_on_create(struct http_request *q, void *app);
int conversations_on_read(struct http_request *q, void *app);
int conversations_on_replace(struct http_request *q, void *app);
int conversations_on_delete(struct http_request *q, void *app);
