/* SPDX-License-Identifier: MIT */
/* seeing_reader.h - takes HAProxy's lines off their socket as fast as they come.
 * The kernel keeps few datagrams for who does not read (net.unix.max_dgram_qlen: ten by default), and
 * HAProxy drops the next.  So one thread does nothing but read; it hands over what it has in one piece. */
#pragma once
#include "base/err.h"

struct reader;

#define READER_BUFFER_MAX (32u << 20) /* of lines not yet taken; beyond it they are lost, and counted */

/* Binds `path`. wake(ctx) comes from the reader's thread, when there are lines again after none. */
struct reader *reader_new(const char *path, void (*wake)(void *ctx), void *ctx, struct err *err) MUST_CHECK;
/* All lines so far, each ended by a NUL; `out` is given empty. */
void reader_take(struct reader *r, struct strbuf *out, int64_t *lost_out);
void reader_free(struct reader *r);
