/* SPDX-License-Identifier: MIT */
/* process_nudge.h - keeps a child going until it is the program; for process_start.c.
 * The thread that starts a program sleeps until then, and nothing wakes it before.  From when the child is
 * another user on, that user's other processes may send it a SIGSTOP, which it cannot ignore: a hostile one
 * would keep our thread for ever.  So a thread of ours sends SIGCONT to those that take long. */
#pragma once
#include <sys/types.h>

struct nudge {
    volatile pid_t pid; /* the child sets it, which has our memory; 0: not yet */
    struct nudge *next;
};
void nudge_begin(struct nudge *n);
/* Before the child is waited for: its number is its own until then. */
void nudge_end(struct nudge *n);
