/* SPDX-License-Identifier: MIT */
/* Preloaded into HAProxy's master: its old worker hears only later that it has to leave, as on a busy machine. */
#include <signal.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define LATE_US 600000

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
        usleep(LATE_US);
        syscall(SYS_kill, pid, signal_number);
    }
    _exit(0);
}
