/* rig: an HTTP server inside the test program, on a UNIX socket and on loopback TCP, with routes that show what the
 * server gives to handlers; and raw connections that send any bytes. */
#pragma once

#include "base/buf.h"
#include "wire/http_server.h"

struct rig {
        struct http_server *server;
        char dir[64], unix_path[96];
        uint16_t port;
        unsigned streams_open; /* streams that have not been destroyed */
        uint64_t sunk;         /* bytes that went into the sink route */
};

/* Short limits where the tests want them; zero fields: defaults. */
void rig_start(struct rig *r, const struct http_limits *limits);
void rig_stop(struct rig *r);

int rig_connect_tcp(const struct rig *r);
int rig_connect_unix(const struct rig *r);
/* Sends all of it; false when the peer has closed before. */
bool rig_send(int fd, struct view bytes);
/* Reads until the peer closes or `timeout_usec` has passed. Returns true when it closed. */
bool rig_read_to_end(int fd, uint64_t timeout_usec, struct buf *out);
/* Reads until `text` has been seen; false when the peer closes or time runs out before. */
bool rig_read_until(int fd, const char *text, uint64_t timeout_usec, struct buf *out);
/* One connection, `bytes` out, everything back; the status of the first answer, 0 when none came. */
unsigned rig_exchange(const struct rig *r, struct view bytes, struct buf *ret_answer);
/* The same with the TCP Host header filled in: printf-like head without the blank line. */
unsigned rig_get(const struct rig *r, const char *target, const char *more_headers, struct buf *ret_answer);
