/* browser: what a page would do, for tests: speaks HTTP to ui's TCP port with a cookie, a CSRF token and an Origin. */
#pragma once

#include "base/buf.h"
#include "support/harness.h"
#include "wire/json.h"

struct browser {
        uint16_t port;
        char cookie[256]; /* "secai_session=…" or "" */
        char csrf[128];   /* "" : none is sent */
        bool requested_with;
        const char *origin; /* NULL: the right one */
};

struct page {
        unsigned status;
        struct buf head, body;
        struct json_document *json; /* NULL when the body is none */
};
void page_done(struct page *p);

/* `body` NULL: none. Text bodies are sent as application/json. Cookies that come back are kept. */
void browse(struct browser *b, const char *method, const char *target, const char *body, struct page *ret);
/* Only the status. */
unsigned browse_status(struct browser *b, const char *method, const char *target, const char *body);
/* First run with the code from the state folder, or login; keeps cookie and CSRF token. */
void browser_set_up(struct browser *b, struct harness *h, const char *passphrase);
void browser_login(struct browser *b, const char *passphrase);
/* Connects and sends the head (and the start of a body); for streams and broken uploads. */
int browser_open(struct browser *b, const char *method, const char *target, size_t content_length);
