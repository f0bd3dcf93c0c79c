/* SPDX-License-Identifier: MIT */
/* Preloaded into HAProxy's master: its old worker hears only later that it has to leave, as on a busy machine: when
 * the file LATE_SIGNAL_UNTIL is there. */
#include <signal.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define LOOK_US 1000
#define LOOKS_MAX 10000

int kill(pid_t pid, int signal_number); /* instead of libc's */

int
kill(pid_t pid, int signal_number)
{
    if (signal_number != SIGUSR1)
        return (int)syscall(SYS_kill, pid, signal_number);
    const pid_t child = fork();
    if (child > 0)
        return waitpid(child, NULL, 0) == child ? 0 : -1;
    if (child == 0 && fork() == 0) { /* nobody's child: the master asks for its own */
        for (int i = 0; i < LOOKS_MAX && access(getenv("LATE_SIGNAL_UNTIL"), F_OK) != 0; i++)
            usleep(LOOK_US);
        syscall(SYS_kill, pid, signal_number);
    }
    _exit(0);
}
