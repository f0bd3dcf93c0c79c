/* SPDX-License-Identifier: MIT */
/* engine.h - step, commit, perform: the one thread that changes the core.
 * Callers hand in calls (requests) and events (reports); the engine runs all that wait, steps the
 * core, commits the changed rows in ONE transaction, and only then answers the callers and performs
 * the other effects.  A kill between commit and act loses nothing: core_resume() makes the effects
 * of what is unfinished again at the next start.
 * Who only reads need not wake it: engine_read() runs on the caller's thread, between two turns of the
 * engine, each from the first step until its commit (turns.h).  So readers see what is durable, and
 * nothing else.
 * If a commit fails, nobody is answered with success and no effect is performed until a later try
 * succeeds; it is tried every second. */
#pragma once
#include "agent/agent.h"
#include "balancer/balancer.h"
#include "core/core.h"
#include "hooks/hooks.h"
#include "registry/registry.h"
#include "store/store.h"

struct engine;

struct engine_config {
    struct store *store;            /* borrowed, used by the engine's thread only from now on */
    struct registry *registry;      /* borrowed; resolves tags of our own repositories */
    struct core_options options;    /* seed: used at the first start only, then the stored state */
    int64_t read_patience_ms;       /* how long who only reads waits for a commit; 0: 10 s */
};

/* Loads the core from the store. */
struct engine *engine_new(const struct engine_config *config, struct err *err) MUST_CHECK;
/* Hands the known tasks to the agent, gives the hands what is unfinished, and starts the thread. */
void engine_start(struct engine *e, struct agent *agent, struct balancer *balancer, struct hooks *hooks);
/* Stops the thread; what it accepted is committed. The core stays readable until engine_free(). */
void engine_stop(struct engine *e);
void engine_free(struct engine *e);

/* Runs call(arg) on the engine's thread; true once everything it changed is durable.  False: stopping, or the
 * commit failed, and nothing it found out may be told.  Any thread but the engine's. */
bool engine_run(struct engine *e, void (*call)(void *arg, struct core *core, int64_t now_ms), void *arg);
/* Runs call(arg), which changes nothing, on this thread; soon, for whoever holds the core meanwhile
 * waits.  False as above, and if a commit takes longer than read_patience_ms: a disk that stalls shall
 * not keep the threads of clients who only look.  Any thread but the engine's. */
bool engine_read(struct engine *e, void (*call)(void *arg, struct core *core, int64_t now_ms), void *arg);
/* One step; only inside a call of engine_run(), and it meets what the call has seen. */
void engine_step(struct engine *e, const struct event *event);
/* A report of the hands: copied, stepped soon. Any thread. */
void engine_report(struct engine *e, const struct event *event);
