/* SPDX-License-Identifier: MIT */
/* key_file.h - a small JSON file of secrets beside others (mode 0600), {"<member>": [...] or {...}}: changed by
 * commands under a lock, read again by a server when it has changed. keys.json, roles.json and sessions.json are such.
 * Limits: KEY_FILE_MAX bytes. Errors: those of the disk, naming the file.
 * Threads: a struct key_file is its owner's, who locks. */
#pragma once
#include <sys/types.h>
#include <time.h>

#include "base/err.h"
#include "base/json.h"

#define KEY_FILE_MAX (8 << 20)

struct key_file {
    char *path;
    const char *member;     /* static */
    enum json_type type;    /* JSON_ARRAY or JSON_OBJECT */
    struct json *read;      /* the member, as it was at `seen_*` */
    struct timespec seen_time;
    ino_t seen_inode;
    off_t seen_size;
    bool is_out_of_reach; /* the system did not let us read it */
};

/* Without a file the member is empty. A new reference. */
bool key_file_read(const char *path, const char *member, enum json_type type, struct json **out,
                   struct err *err) MUST_CHECK;
bool key_file_write(const char *path, const char *member, const struct json *value, struct err *err) MUST_CHECK;
/* Two commands at once would lose what one of them wrote. A descriptor to close, or -1. */
int key_file_lock(const char *path, struct err *err);
/* What the file holds now, borrowed until the next call. What cannot be read is empty, is logged; if it was for a
 * reason of the system's, each call tries again. */
const struct json *key_file_now(struct key_file *file);
void key_file_done(struct key_file *file);
