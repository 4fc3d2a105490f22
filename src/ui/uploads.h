/* uploads: files from the browser go straight into the descriptor that quarantine gives for them, never through a file
 * of this program. An upload that breaks off leaves nothing: quarantine drops it when the channel closes. */
#pragma once

#include "ui/app.h"

int uploads_sink(struct http_request *q, struct view piece, void *app);
int uploads_on_done(struct http_request *q, void *app);
/* The model that came with the program, imported by descriptor. */
int uploads_on_demo(struct http_request *q, void *app);
