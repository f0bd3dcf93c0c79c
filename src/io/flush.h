/* SPDX-License-Identifier: MIT */
/* flush.h - flushes several files at the same time. One after the other each waits for the file system's journal
 * and for the disk's cache by itself; at the same time they share both.
 * The kernel's asynchronous flushes are used (io_submit). Where those are not to be had - a sandbox, a file system
 * without them, too many at once - the files are flushed one after the other.
 * Errors: the errno of a file that was not flushed, or 0.  Threads: any number may call at once. */
#pragma once
#include <stddef.h>

#define FLUSH_FILES_MAX 8

struct flusher;

struct flusher *flusher_new(void);
void flusher_free(struct flusher *f); /* nobody is flushing; NULL is fine */

enum flush_what {
    FLUSH_BYTES, /* as fdatasync(): of files */
    FLUSH_NAMES, /* as fsync(): of folders, too */
};
/* Comes back when all `count` (FLUSH_FILES_MAX at most) are done; `*failed_out` says which one the error is of. */
int flusher_flush(struct flusher *f, const int *fds, size_t count, enum flush_what what, size_t *failed_out);
