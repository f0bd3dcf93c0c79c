/* SPDX-License-Identifier: MIT */
/* effects.h - from the core's effects to the hands: copies of what they need to know.
 * Runs on the engine's thread, after the commit. */
#pragma once
#include "agent/agent.h"
#include "balancer/balancer.h"
#include "core/core.h"
#include "hooks/hooks.h"
#include "registry/registry.h"

/* What a task needs to start, or NULL if it is gone or stopped meanwhile. */
struct agent_task *agent_task_of(const struct core *core, const struct ef_task_start *start);
/* May its images be started, as far as our own registry says? Docker may have one that is archived by now, and would not
 * ask. Only those that are known by digest: of a tag the registry is asked each time. */
bool agent_task_check_images(const struct agent_task *task, struct registry *registry, struct err *err) MUST_CHECK;
/* The whole of load balancing as the balancer wants it. */
struct balancer_view *balancer_view_of(const struct core *core);
/* The call of a lifecycle hook, or NULL if nobody waits for it any more. */
struct hook_call *hook_call_of(const struct core *core, const struct ef_hook_call *effect);
/* Tags of our own repositories become digests here and now; the rest is left for the agent.  True if all are
 * answered: then `digests` (one a container) holds them, or `error` says what is missing. */
bool resolve_images(const struct core *core, struct registry *registry,
                    const struct ef_image_resolve *effect, struct agent_resolve *ask_out,
                    struct err *error);
