/* SPDX-License-Identifier: MIT */
/* cgroup.h - a group of processes with limits, which the kernel keeps together: children stay in it,
 * whatever session, parent or user they flee to.
 * A group has a name and lies as the folder naru/<name> in each hierarchy of this machine that is
 * of use: those of version 1 that have a controller named below, and the one of version 2 (also
 * where both are mounted).  It outlives us, and is found again by its name.
 * `mounts` is the list of mounts to look into, NULL the system's own; the rest is for tests.
 * Errors: an err where no group could be made at all.  A limit that could not be set is named, and
 * the group holds without it.  Ownership: a struct cgroup is the caller's; freeing it leaves the group. */
#pragma once
#include <sys/types.h>
#include "base/err.h"
#include "base/str.h"

#define CGROUP_NAME_MAX 100u
#define CGROUP_PROCESSES_MAX 65536u /* that one look gives */

struct cgroup;
struct cgroup_limits { /* 0: none */
    int64_t memory_bytes; /* with what they swap out */
    int64_t cpu_milli;    /* 1500: one and a half processors */
    int64_t processes;    /* and threads */
};
struct cgroup_use { /* -1: not known */
    int64_t cpu_ms, memory_peak_bytes; /* files that are cached for them count */
    int64_t killed;                    /* by the kernel, for want of memory within the limit */
    int64_t refused;                   /* forks beyond the limit of processes */
};

/* Makes the group, or takes the one of that name; either way with these limits.  `lacking` gets the
 * limits that cannot be kept here ("memory, processes"). */
struct cgroup *cgroup_make(const char *mounts, const char *name, const struct cgroup_limits *limits,
                           struct strbuf *lacking, struct err *err) MUST_CHECK;
struct cgroup *cgroup_find(const char *mounts, const char *name); /* NULL if there is none */
void cgroup_free(struct cgroup *g);
/* Whose it is: a text that goes with the group, where the kernel keeps such (2.6.39 and a file system that is
 * not of a test).  "" of one without. */
void cgroup_mark(const struct cgroup *g, const char *owner);
void cgroup_owner(const struct cgroup *g, struct strbuf *out);

/* The files by which a process enters the group: it writes "0" into each.  NULL-terminated. */
const char *const *cgroup_joins(const struct cgroup *g);
/* Those in it now, each once; gives how many of `out` were filled. */
size_t cgroup_processes(const struct cgroup *g, pid_t *out, size_t max);
/* Is it in the group now?  Who is to be killed is asked for it, with a pidfd at hand: the number of one
 * that has ended may be a stranger's by then. */
bool cgroup_has(const struct cgroup *g, pid_t pid);
void cgroup_let_go(const struct cgroup *g, pid_t pid); /* it may outlive the group */
/* SIGKILL to all at once, where the kernel can do that (5.14); else it does nothing. */
void cgroup_kill(const struct cgroup *g);
void cgroup_used(const struct cgroup *g, struct cgroup_use *out);
bool cgroup_remove(const struct cgroup *g); /* false while somebody is in it */
/* Removes the folder naru of each hierarchy, unless somebody has a group or a process in it. */
void cgroup_forget_all(const char *mounts);
/* All groups, each once; `g` is there for the call, and may be removed. */
void cgroup_each(const char *mounts, void (*each)(void *arg, const char *name, const struct cgroup *g), void *arg);
