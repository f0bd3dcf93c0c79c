/* SPDX-License-Identifier: MIT */
/* listener.h - a TCP socket that listens. */
#pragma once
#include "base/err.h"

/* At "127.0.0.1", "0.0.0.0" or "::" (which takes IPv4, too); port 0 picks a free one. The caller's
 * descriptor, non-blocking, or -1. */
int listener_open(const char *listen_at, unsigned port, struct err *err) MUST_CHECK;
unsigned listener_port(int fd);
