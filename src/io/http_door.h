/* SPDX-License-Identifier: MIT */
/* http_door.h - one port for HTTP and HTTPS: accepts connections and looks at their first byte,
 * which tells a TLS handshake from a request. Until it comes a connection waits here, no more than
 * DOOR_WAITING_MAX of them, of one address (http_guests.h) DOOR_OF_ONE_MAX, and none for longer
 * than DOOR_WAIT_MS. One too many drives out the first of its address, or the first of all, if that
 * still says nothing. For http_server.c. */
#pragma once
#include <sys/socket.h>

#include "base/err.h"

#define DOOR_WAITING_MAX 256
#define DOOR_OF_ONE_MAX 64
#define DOOR_WAIT_MS 10000

struct http_door;
/* Calls take() on the door's thread for each connection; the descriptor (non-blocking) is take()'s.
 * `listener` is borrowed, and non-blocking. */
struct http_door *http_door_open(int listener,
                                 void (*take)(void *ctx, int fd, const struct sockaddr *address,
                                              socklen_t length, bool is_tls),
                                 void *ctx, struct err *err) MUST_CHECK;
void http_door_close(struct http_door *door); /* NULL is fine; take() is not called any more */
