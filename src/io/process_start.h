/* SPDX-License-Identifier: MIT */
/* process_start.h - starts a program; for process.c.
 * What a process is to be before it is the program (in a cgroup, another user, without a network) is done
 * by the child itself, between clone() and exec(): a shell in front that did it would be root with an
 * environment that the build chose (LD_PRELOAD). */
#pragma once
#include "base/err.h"
#include "io/process.h"

#define PROCESS_FDS_MAX 4

struct process_start {
    const char *const *argv;
    const char *const *env;   /* NULL: ours */
    const char *directory;    /* NULL: ours */
    int fds[PROCESS_FDS_MAX]; /* they become 0, 1, 2 ...; it gets no others */
    size_t fd_count;
    bool new_session; /* else a process group of its own */
    /* Made with its process id in it; if it is there already nothing is started. NULL: none. */
    const char *pid_file;
    const struct process_place *place; /* NULL: ours */
};

/* argv[0] is looked up in PATH of `env` (or ours), as the place's user sees it. */
bool process_start(const struct process_start *s, pid_t *pid_out, struct err *err) MUST_CHECK;
/* Full path of `program` in the list of folders; `skip_directory` (may be NULL) is passed over. */
bool process_find_in(const char *path_list, const char *program, const char *skip_directory, char *out,
                     size_t size);
const char *process_path_of(const char *const *env);
