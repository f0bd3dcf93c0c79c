/* SPDX-License-Identifier: MIT */
/* identity.h - who acts, where it is not naru itself: the user of a child process (process.h), or of what
 * one thread does with files.
 * identity_enter() makes the kernel judge the file operations of the calling thread as that user's, without
 * root's rights; identity_leave() takes it back.  The rest of the thread, and the other threads, stay what
 * they are.  Between the two nothing may be done that is to be done as ourselves, and they do not nest.
 * Only root can become somebody else: identity_is_possible(). */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define IDENTITY_GROUPS_MAX 64u

struct identity {
    uid_t uid;
    gid_t gid;
    gid_t groups[IDENTITY_GROUPS_MAX]; /* further ones */
    size_t group_count;
};

/* May we act as others, and give files to them? */
bool identity_is_possible(void);
/* Do users and groups of all these numbers exist here?  A name space of users may know fewer of them, and
 * nobody can be one of the others. */
bool identity_exists(uint32_t first, uint32_t last);
void identity_enter(const struct identity *id); /* ends the program if the kernel does not do it */
void identity_leave(void);
