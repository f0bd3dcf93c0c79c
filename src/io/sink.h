/* SPDX-License-Identifier: MIT */
/* sink.h - reads a pipe that nobody listens to any more.
 * Closed, it would kill its writers with SIGPIPE; left alone, it would stop them once it is full. */
#pragma once

/* Takes `fd` over and throws away what comes, on a thread of its own, until the last writer has
 * gone.  At most 128 at a time: one more is closed. */
void sink_pipe(int fd);
