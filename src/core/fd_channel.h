/* fd_channel: requests between services that carry open descriptors, over a UNIX stream socket
 * (/run/secure-ai/<name>.fd.sock). A frame is a 4-byte little-endian length and a JSON object (at most
 * FD_MESSAGE_MAX bytes) with at most one descriptor (SCM_RIGHTS). The first frame from a client is
 * {"op":"hello","token":"…"}. Frames with more descriptors than one, or truncated control data, end the channel and
 * close what arrived. */
#pragma once

#include "base/buf.h"
#include "wire/json.h"

#define FD_MESSAGE_MAX ((size_t)256 << 10)

/* Connects, sends hello. Returns the socket, or negative errno. */
SAI_NODISCARD int fd_channel_connect(const char *socket_path, struct view token, uint64_t timeout_usec);
/* Sends one frame; pass_fd < 0: none (the caller keeps its descriptor). */
SAI_NODISCARD int fd_channel_send(int sock, struct view json_text, int pass_fd, uint64_t timeout_usec);
/* Receives one frame. *ret_fd is -EBADF when none came; else the caller owns it. -EPIPE: the peer closed. */
SAI_NODISCARD int fd_channel_receive(int sock, uint64_t timeout_usec, struct json_document **ret,
                                     int *ret_fd);

struct fd_channel_server; /* opaque: accepts on a thread, one thread a client, at most `clients` */
struct service;
/* One client's session. `session` is a per-connection pointer that the handler may set; `closed` is called when the
 * client has gone (crash included), so leases end with the connection. The handler answers through
 * fd_channel_send(sock, …). Negative result ends the connection. `caller` is the name that the token stands for;
 * *fd is -EBADF or the descriptor that came: who keeps it, takes it (TAKE_FD), else it is closed after the call. */
struct fd_channel_handlers {
        int (*message)(int sock, struct view caller, const struct json *message, int *fd, void **session,
                       void *userdata);
        void (*closed)(void *session, void *userdata);
};
/* `listen_fd` stays the caller's and must be open until fd_channel_server_free. An unknown token is answered with
 * {"ok":false,"code":"unknown_caller",…}, one client too many with too_many_clients; both are then disconnected. */
SAI_NODISCARD int fd_channel_serve(struct service *s, int listen_fd,
                                   const struct fd_channel_handlers *handlers, unsigned clients,
                                   void *userdata, struct fd_channel_server **ret);
/* Ends all connections, calls `closed` for each and waits for handlers that are at work. */
struct fd_channel_server *fd_channel_server_free(struct fd_channel_server *f);
