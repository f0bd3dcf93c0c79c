/* SPDX-License-Identifier: MIT */
/* rollout.h - the course of a deployment: begun, judged, completed, failed, rolled back.
 * deployment.c moves tasks; this file keeps the books: `deployments[]`, the service deployment, the
 * failure counters and the circuit breaker (ecs.md 5.5, 5.7, 6.1 to 6.6).
 *
 * What fails a deployment: tasks of the PRIMARY that never reached RUNNING, that failed their health
 * checks after the grace period, or (ours: users' pain 2 of ecs.md 11) that ran and exited before they
 * were healthy even once, or within their probation (probation.h).  What the runtime lost
 * (is_infrastructure) never counts. */
#pragma once
#include "core/index.h"

/* A new PRIMARY for `revision`, which belongs to `s` already, and its service deployment. */
void rollout_begin(struct core *core, struct service *s, struct revision *revision);
/* Has the breaker seen enough?  Then the deployment has failed, and is rolled back if so configured. */
bool rollout_judge(struct core *core, struct service *s);
/* Something else than the breaker failed it: rolled back, if there is anything to return to. */
void rollout_fail(struct core *core, struct service *s, const char *because);
/* It made no progress for so long (progress.h): rolled back if the breaker would do so. */
void rollout_out_of_time(struct core *core, struct service *s, int seconds);
void rollout_complete(struct core *core, struct service *s);
/* Sources that have no task in traffic any more are INACTIVE; false if some still have.  By the
 * counts of the last look. */
bool rollout_retire_sources(struct core *core, struct service *s);
/* Is the bake time of a rolling update over?  The first question begins it. */
bool rollout_has_baked(struct core *core, struct service *s);
/* The present deployment is complete and failed its probation: `target` is made the PRIMARY again. */
void rollout_take_back(struct core *core, struct service *s, struct deployment *target);
/* An operator's rollback to `target`, whatever the state of the present deployment. */
void rollout_return(struct core *core, struct service *s, struct deployment *target,
                    const char *reason);
void rollout_stop(struct core *core, struct service *s, struct service_deployment *sd,
                  bool rolls_back);
void rollout_abandon(struct core *core, struct service *s); /* the service is deleted */
/* Forgets the oldest history; keeps what runs and what a rollback needs. */
void rollout_prune(struct core *core, struct service *s);
/* Any that is not settled? */
bool deployment_has_tasks(const struct service *s, const struct deployment *d);
bool sd_is_finished(const struct service_deployment *sd);

/* ---- what tasks go through ---- */
void rollout_task_running(struct core *core, struct task *t);
void rollout_task_healthy(struct core *core, struct task *t); /* for the first time */
void rollout_task_unhealthy(struct core *core, struct task *t);
/* By itself: nobody had asked for it.  Whose fault: of the infrastructure (it never counts), of the
 * environment (it counts). */
struct ending {
    bool by_itself, is_infrastructure, is_environment;
};
void rollout_task_ended(struct core *core, struct task *t, const struct ending *e);

/* ---- revision.c: service revisions and their digests ---- */
struct revision *revision_new(struct core *core, struct service *s,
                              const struct task_definition *td);
/* Copies them into one that has none yet. */
void revision_set_load_balancers(struct revision *r, const struct service_load_balancer *list,
                                 int count);
/* Asks for the digests if it is time to; true once tasks may start. */
bool revision_resolve(struct core *core, struct service *s, struct revision *r);
void image_resolved(struct core *core, const struct ev_image_resolved *ev);
