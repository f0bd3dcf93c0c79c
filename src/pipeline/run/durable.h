/* SPDX-License-Identifier: MIT */
/* durable.h - a script of a build that goes on when naru ends, and is found again afterwards.
 * A shell of its own session runs the command, as the build's user; everything about it is in one folder
 * of naru's, which he does not get to (with ".2" and so on behind its name where an attempt never came to
 * its command):
 *   pid      written by that process before it is the shell; who makes this file decides: a naru that
 *            finds none makes it itself, and then the command was not and will not be started
 *   log      standard error, and output unless that is captured
 *   output   captured output
 *   told     it was told to end (run_is_due()), and gets its last signal a little later
 *   lost     made where the machine went down in between: the command may have run, and is not started
 *            (again); without a result its exit code is DURABLE_LOST
 *   result   the exit code and a line end, when the command has ended
 * One that is interrupted gets SIGTERM, five seconds later SIGKILL, and with it all that has its mark
 * in the environment: also what runs in a container, where only the client of docker is of our
 * session.
 * Errors: an err where nothing could be started; how the command went is the result. */
#pragma once
#include "pipeline/run/run.h"

#define DURABLE_LOST (-1) /* the exit code of a command whose shell was killed */

struct durable_spec {
    const char *folder; /* absolute; if it is there, the command was begun before */
    const char *const *argv;
    const char *const *env;
    const char *directory;
    const char *mark; /* "NAME=value" that `env` has, and no other: what it starts has it, too */
    bool captures;
    bool is_lost; /* begun before the machine went down: it is not started, whatever is in the folder */
    void (*on_output)(void *arg, struct str data, bool is_error);
    void *arg;
};
struct durable_result {
    int exit_code;
    bool interrupted; /* run_is_due(): it was ended */
    bool left;        /* naru is about to end: it goes on */
};
bool durable_run(struct run *run, const struct durable_spec *spec, struct durable_result *out,
                 struct err *err) MUST_CHECK;
