/* SPDX-License-Identifier: MIT */
/* name_space.h - what is so where the kernel knows fewer users, as in a container.  For tests that are root. */
#pragma once
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include "base/str.h"
#include "check.h"

static inline void
write_map(pid_t pid, const char *which, unsigned count)
{
    cleanup_free char *path = text_format("/proc/%d/%s", (int)pid, which);
    cleanup_free char *text = text_format("0 0 %u\n", count);
    cleanup_close int fd = open(path, O_WRONLY | O_CLOEXEC);

    CHECK(fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text));
}

/* What `look` says in a name space of `count` users; 0: all is well. */
static inline int
within(unsigned count, int (*look)(void))
{
    int ready[2], go[2], status;
    char c = 0;
    pid_t pid;

    CHECK(pipe(ready) == 0 && pipe(go) == 0);
    pid = fork();
    if (pid == 0) {
        c = unshare(CLONE_NEWUSER) == 0 ? 'y' : 'n';
        if (write(ready[1], &c, 1) != 1 || c == 'n' || read(go[0], &c, 1) != 1)
            _exit(99);
        _exit(look());
    }
    CHECK(read(ready[0], &c, 1) == 1);
    if (c == 'y') {
        write_map(pid, "uid_map", count);
        write_map(pid, "gid_map", count);
    } else {
        check_skip("no name spaces of users");
    }
    CHECK(write(go[1], &c, 1) == 1 && waitpid(pid, &status, 0) == pid);
    for (int i = 0; i < 2; i++) {
        close(ready[i]);
        close(go[i]);
    }
    return c == 'n' ? 0 : WIFEXITED(status) ? WEXITSTATUS(status) : 100;
}
