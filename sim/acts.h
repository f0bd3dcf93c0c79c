/* SPDX-License-Identifier: MIT */
/* acts.h - what people do to services beyond making and updating them, in worlds of both sizes:
 * each draws one event, for the world to step the core with; false: the door would refuse.
 * Ownership: an event points into its act, and holds until act_done(). */
#pragma once
#include "core/core.h"
#include "fate.h"

struct act {
    struct event event;
    char arn[ARN_SIZE], id[HOOK_ID_SIZE];
    struct service_load_balancer balancer;
    struct json *doc;
    char said[256]; /* in a few words */
};
void act_done(struct act *a);

/* "alarms" of a deploymentConfiguration that watches one. */
struct json *alarms_of(const char *name);
bool act_ring(const char *alarm, bool is_alarm, struct act *out);
/* Some people look after their hooks. */
bool act_answer_hook(struct fate *f, const struct service *now, struct act *out);
/* What naru offers beyond ECS; short, so that it strikes within the time of a world. */
bool act_tag(struct fate *f, const char *arn, const char *name, struct act *out);
/* Shorter than a world may take to settle. */
bool act_protect(struct fate *f, const struct task *t, bool turns_on, struct act *out);
