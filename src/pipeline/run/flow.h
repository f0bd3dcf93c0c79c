/* SPDX-License-Identifier: MIT */
/* flow.h - lines of control of one build: its main one, and one for every branch of a `parallel`.
 * They are coroutines on the build's one thread: exactly one runs at a time, and it runs until it
 * waits (flow_wait) or ends, so nothing in a build needs a lock and code between two waits is
 * atomic.  Start at flow_new(); the one who made a flow joins and frees it.
 * What a flow has for itself stands in `struct run` and `struct interp` while it runs, and is
 * swapped at a switch (FLOW_RUN_FIELDS, FLOW_INTERP_FIELDS); the rest is the build's.
 * Stacks are mapped with a guard page below and get memory as they are touched.
 * Limits: FLOWS_MAX living flows of a build; a flow's stack ends calls that go too deep with a
 * StackOverflowError (interp_enter). */
#pragma once
#include <poll.h>
#include "pipeline/groovy/interp.h"

#define FLOWS_MAX 5000u
#define FLOW_STACK_SIZE ((size_t)4 << 20)
#define FLOW_STACK_MARGIN ((size_t)256 << 10) /* for steps, libc and sanitizers below the interpreter */
#define FLOW_FDS_MAX 4u

struct run;
struct flow;

/* clang-format off */
#define FLOW_RUN_FIELDS(X)                                                                         \
    X(env) X(workspace) X(directory) X(fetched) X(shows_result) X(shown) X(stage) X(depth)         \
    X(deadlines) X(fired) X(abort_fired) X(abort_grace_ms) X(interrupts_seen) X(timestamps)        \
    X(line) X(branch) X(launcher) X(noted_result) X(noted_mark) X(node) X(files) X(past) X(acts)   \
    X(executor) X(executor_number) X(agents) X(block)
#define FLOW_INTERP_FIELDS(X)                                                                      \
    X(scope) X(completion) X(result) X(thrown) X(depth) X(stack_end) X(entered)
/* clang-format on */

typedef bool flow_body(struct run *run, void *arg, struct value *out);

/* The main flow is the calling thread. */
struct flow *flow_main_new(struct run *run);
/* A flow that starts in the caller's place and scope and runs `body`, when it gets its turn or
 * flow_run() gives it the turn.  `path` (borrowed) names it among the build's flows.  NULL with
 * something thrown if there are too many. */
struct flow *flow_new(struct run *run, const char *path, struct str branch, flow_body *body,
                      void *arg);
void flow_run(struct flow *f); /* until it first waits */
void flow_free(struct flow *f); /* one that has ended, or the main one */
bool flow_has_ended(const struct flow *f);
/* What became of an ended flow: the value, or (false) what was thrown. */
bool flow_outcome(const struct flow *f, struct value *out, struct exception **error);
/* Moves what an ended flow knows of fired deadlines and aborts to the one that runs. */
void flow_inherit(struct run *run, const struct flow *from);
/* Asks a flow and those that it made to end: their next poll throws. */
void flow_interrupt(struct flow *f, struct str why);
/* Of the flow that runs: interrupts that it and those who made it got; `why` of the nearest. */
unsigned flow_interrupts(const struct run *run, struct str *why);
const char *flow_path(const struct run *run);
unsigned flow_next_step(struct run *run); /* counts from 1 in every flow */
unsigned flow_steps(const struct run *run); /* the last one */
void flow_step_back(struct run *run, unsigned steps); /* that was the last one */

/* Lets others run until a descriptor is ready, `until_ms` (monotonic) has come, or flow_wake(). */
void flow_wait(struct run *run, struct pollfd *fds, size_t count, int64_t until_ms);
void flow_wake(struct flow *f);
/* The flow that runs does nothing but wait, until it says otherwise; do all of the build's, those that have
 * ended among them?  `runs_on`: while its time goes on. */
void flow_rest(struct run *run, bool runs_on);
void flow_rested(struct run *run);
bool flow_all_rest(const struct run *run, bool *runs_on_out);
struct flow *flow_current(const struct run *run);
