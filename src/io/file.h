/* SPDX-License-Identifier: MIT */
/* file.h - whole files, durably.  Paths are C strings; `err` names the path. */
#pragma once
#include "base/err.h"
#include "base/str.h"

bool file_read(const char *path, size_t limit, struct strbuf *out, struct err *err) MUST_CHECK;
/* What somebody else may have put at `path`: a pipe is refused, which would keep us waiting for its other end
 * for ever.  `flags` and `mode` as of open(); the descriptor is the caller's. */
bool file_open_plain(const char *path, int flags, unsigned mode, int *fd_out, struct err *err) MUST_CHECK;
bool file_read_plain(const char *path, size_t limit, struct strbuf *out, struct err *err) MUST_CHECK;
/* As file_read(), of a file below the folder `root`: no part of the path `below` is a symbolic link, nor is it anything but a
 * plain file.  ERR_RESOURCE_NOT_FOUND: there is none such, or
 * it cannot be opened. */
bool file_read_below(const char *root, const char *below, size_t limit, struct strbuf *out, struct err *err) MUST_CHECK;
/* Such a file opened; the caller's. */
bool file_open_below(const char *root, const char *below, int *fd_out, int64_t *size_out, struct err *err) MUST_CHECK;
/* Temporary file, fsync, rename, fsync of the directory: the old or the new content, never half. */
bool file_write_atomic(const char *path, struct str content, unsigned mode, struct err *err) MUST_CHECK;
bool file_write_all(int fd, struct str content, struct err *err) MUST_CHECK;
bool file_make_dirs(const char *path, unsigned mode, struct err *err) MUST_CHECK; /* mkdir -p */
bool file_remove_tree(const char *path, struct err *err) MUST_CHECK; /* absent is success; never follows links */
bool file_empty_folder(const char *path, struct err *err) MUST_CHECK; /* absent is success; the folder stays */
bool file_exists(const char *path);
bool file_sync_dir(const char *path, struct err *err) MUST_CHECK;
/* Takes the lock of an open file, or directory, for us alone. Waits for a second: a process that was just killed may take
 * a moment to go, or a child of its that is not its program yet. False: EWOULDBLOCK, somebody else has it (errno). */
bool file_lock(int fd) MUST_CHECK;
