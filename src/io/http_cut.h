/* SPDX-License-Identifier: MIT */
/* http_cut.h - ends a connection whose client still sends, so that it hears why.
 * libmicrohttpd takes an answer before a body or behind it, not in its midst; and closing a socket with
 * unread bytes resets it, and the reset can overtake the answer. So the answer is written here, and what
 * the client still sends is read for a moment, until it has seen the answer and closes. Works on the
 * connection's own thread, plain or TLS, while nothing else of it is on its way out. */
#pragma once
#include <microhttpd.h>

#include "base/str.h"

/* `reply` has the headers, `body` its body. False: it could not be written. The caller then ends the connection. */
bool http_cut_answer(struct MHD_Connection *connection, int status, struct MHD_Response *reply,
                     struct str body) MUST_CHECK;
/* Has the client closed its side, or reset the connection? One that only shut down its writing, which clients that
 * wait for an answer hardly do, looks the same. */
bool http_cut_by_client(struct MHD_Connection *connection);
/* Says that nothing more comes, and reads on for two seconds at most. */
void http_cut_linger(struct MHD_Connection *connection);
