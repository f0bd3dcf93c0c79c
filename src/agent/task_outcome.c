/* SPDX-License-Identifier: MIT */
/* task_outcome.c - one task: what inspections and finished jobs teach about it.
 * Only fields change here (and a restart policy is served); what to do next is task_runner.c's. */
#include <stdio.h>
#include "agent/internal.h"
#include "base/clock.h"

#define RETRY_MS 1000
#define PULL_TRIES 5
#define PREPARE_TRIES 3

/* ---- what is learnt ---- */

void
runner_container_stopped(struct runner *r, struct runner_container *c)
{
    if (c->is_stopped)
        return;
    c->is_running = false;
    c->is_stopped = r->is_dirty = true;
    if (c->has_run && c->id[0] != '\0')
        container_logs_finish(r->agent->logs, c->id);
}

void
runner_container_failed(struct runner *r, struct runner_container *c, const char *reason)
{
    if (c->is_stopped)
        return;
    (void)snprintf(c->reason, sizeof(c->reason), "%s", reason);
    runner_container_stopped(r, c);
    /* The first thing that keeps an essential container from starting names the task's failure. */
    if (c->plan.is_essential && !c->has_run && r->reason[0] == '\0')
        (void)snprintf(r->reason, sizeof(r->reason), "%s", reason);
}

static bool
may_restart(const struct runner *r, const struct runner_container *c, int exit_code)
{
    if (!c->plan.restarts || r->is_stopping || c->signalled_at_ms != 0 || !c->is_running)
        return false;
    for (int i = 0; i < c->plan.restart_ignored_count; i++)
        if (c->plan.restart_ignored[i] == exit_code)
            return false;
    return clock_monotonic_ms() - c->started_at_ms >= c->plan.restart_period_s * 1000LL;
}

static void apply_ended(struct runner *r, struct runner_container *c, const struct docker_state *s);

static void
apply_running(struct runner *r, struct runner_container *c, const struct docker_state *s)
{
    if (!c->is_running) {
        c->started_at_ms = clock_monotonic_ms();
        c->health_is_newer = false; /* of the run before */
        if (c != &r->containers[PAUSE_INDEX])
            container_logs_follow(r->agent->logs, r->agent->info.api_minor, r->id, c->plan.name, c->id, c->has_tty);
    }
    c->is_running = c->has_run = true;
    c->was_running_when_lost = false;
    if (!c->health_is_newer) /* else events go on to tell it */
        c->health = c->plan.has_health_check ? s->health : HEALTH_UNKNOWN;
    c->binding_count = s->binding_count;
    memcpy(c->bindings, s->bindings, sizeof(c->bindings));
    if (s->address[0] != '\0') {
        memcpy(r->address, s->address, sizeof(r->address));
        memcpy(r->mac_address, s->mac_address, sizeof(r->mac_address));
    }
}

void
runner_apply(struct runner *r, struct runner_container *c, const struct docker_state *s)
{
    memcpy(c->id, s->id, sizeof(c->id));
    memcpy(c->stop_signal, s->stop_signal, sizeof(c->stop_signal));
    c->has_tty = s->has_tty;
    if (s->health_log[0] != '\0')
        memcpy(c->health_log, s->health_log, sizeof(c->health_log));
    c->may_exist = false;
    c->has_image = true;
    if (c->is_stopped)
        return; /* STOPPED is final, whatever Docker says later */
    r->is_dirty = true;
    if (s->is_running)
        apply_running(r, c, s);
    else if (s->has_ended)
        apply_ended(r, c, s);
    else if (s->error[0] != '\0') { /* created, and a start of before failed */
        char reason[REASON_SIZE];

        (void)snprintf(reason, sizeof(reason), "CannotStartContainerError: %.900s", s->error);
        runner_container_failed(r, c, reason);
    }
}

static void outcome_restart(struct job *job);

static void
apply_ended(struct runner *r, struct runner_container *c, const struct docker_state *s)
{
    if (may_restart(r, c, s->exit_code)) {
        struct job *job = job_new(r->agent, r, (int)(c - r->containers), job_restart, outcome_restart);

        (void)text_copy(job->id, sizeof(job->id), str_of(c->id));
        c->is_busy = true;
        c->is_running = false;
        job_post(job, r->agent->workers);
        return;
    }
    if (!c->has_run && c != &r->containers[PAUSE_INDEX]) /* it came and went between two looks */
        container_logs_follow(r->agent->logs, r->agent->info.api_minor, r->id, c->plan.name, c->id, c->has_tty);
    /* A Docker that goes down takes its containers along: that says nothing about the application. */
    if (c->was_running_when_lost && c->plan.is_essential && !r->is_stopping)
        r->is_infrastructure = true;
    c->has_run = true;
    c->has_exit_code = true;
    c->exit_code = s->exit_code;
    c->exited_at_ms = s->finished_at_ms;
    if (s->was_oom_killed && s->exit_code != 0)
        (void)snprintf(c->reason, sizeof(c->reason), "OutOfMemoryError: Container killed due to memory usage");
    else if (s->error[0] != '\0')
        (void)snprintf(c->reason, sizeof(c->reason), "ContainerRuntimeError: %.900s", s->error);
    runner_container_stopped(r, c);
}

/* ---- jobs come home ---- */

/* The call went unanswered.  Docker may be gone, or this one call too slow: ask which, and try again;
 * every job can be done twice. True if it was that. */
static bool
was_unanswered(struct job *job, struct runner_container *c)
{
    if (job->is_ok || job->has_state || job->err.code != ERR_UNAVAILABLE) {
        c->unanswered = 0;
        return false;
    }
    c->retry_at_ms = clock_monotonic_ms() + RETRY_MS;
    if (job->agent->link == LINK_UP)
        c->unanswered++;
    link_suspect(job->agent);
    return true;
}

static struct runner_container *
come_home(struct job *job)
{
    struct runner_container *c = runner_at(job->runner, job->container);

    c->is_busy = false;
    if (c->recheck)
        c->needs_inspect = true;
    c->recheck = false;
    if (job->id[0] != '\0')
        memcpy(c->id, job->id, sizeof(c->id));
    if (job->digest[0] != '\0')
        memcpy(c->digest, job->digest, sizeof(c->digest));
    return c;
}

static void
give_up_unanswered(struct runner *r, struct runner_container *c, const char *what)
{
    char reason[REASON_SIZE];

    (void)snprintf(reason, sizeof(reason), "DockerTimeoutError: Could not transition to %s; %s", what,
                   "Docker Engine does not answer");
    r->is_infrastructure = true;
    runner_container_failed(r, c, reason);
}

void
outcome_run(struct job *job)
{
    struct runner *r = job->runner;
    struct runner_container *c = come_home(job);

    if (was_unanswered(job, c)) {
        c->may_exist = true;
        if (c->unanswered >= UNANSWERED_MAX)
            give_up_unanswered(r, c, "started");
    } else if (job->is_ok) {
        runner_apply(r, c, &job->state);
    } else if (job->needs_image && !c->must_pull) {
        c->must_pull = true;
        c->has_image = false;
    } else {
        runner_container_failed(r, c, job->reason);
    }
}

static void
outcome_restart(struct job *job)
{
    struct runner *r = job->runner;
    struct runner_container *c = come_home(job);

    if (was_unanswered(job, c))
        c->needs_inspect = true;
    else if (job->is_ok)
        runner_apply(r, c, &job->state);
    else
        runner_container_failed(r, c, job->reason);
}

void
outcome_inspect(struct job *job)
{
    struct runner *r = job->runner;
    struct runner_container *c = come_home(job);

    if (was_unanswered(job, c)) {
        c->needs_inspect = true;
    } else if (job->is_ok) {
        runner_apply(r, c, &job->state);
    } else if (job->err.code == ERR_RESOURCE_NOT_FOUND && c->id[0] == '\0') {
        c->may_exist = false; /* the unanswered create did not happen */
    } else if (job->err.code == ERR_RESOURCE_NOT_FOUND) {
        runner_container_failed(r, c, "DockerStateError: the container was removed from outside");
    } else {
        char reason[REASON_SIZE];

        (void)snprintf(reason, sizeof(reason), "CannotInspectContainerError: %.900s", job->err.message);
        runner_container_failed(r, c, reason);
    }
    runner_looked(r->agent);
}

void
outcome_signal(struct job *job)
{
    struct runner *r = job->runner;
    struct runner_container *c = come_home(job);

    if (was_unanswered(job, c)) {
        c->kill_at_ms = c->retry_at_ms; /* ask again; harmless if the first one arrived */
        return;
    }
    if (job->has_state)
        runner_apply(r, c, &job->state);
    else if (!job->is_ok && job->err.code == ERR_RESOURCE_NOT_FOUND)
        runner_container_failed(r, c, "DockerStateError: the container was removed from outside");
}

void
outcome_prepare(struct job *job)
{
    struct runner *r = job->runner;
    struct runner_container *pause = runner_at(r, PAUSE_INDEX);
    const bool is_network = container_spec_is_awsvpc(r->task);

    r->is_preparing = false;
    if (job->has_network)
        r->agent->network_state = NETWORK_READY;
    else if (job->makes_network || (job->lacks_network && r->agent->network_state == NETWORK_READY))
        r->agent->network_state = NETWORK_UNKNOWN;
    if (job->is_ok) {
        r->is_prepared = true;
        if (r->has_pause)
            runner_apply(r, pause, &job->state);
    } else if (!job->lacks_secret && (job->err.code == ERR_UNAVAILABLE || ++r->prepare_tries < PREPARE_TRIES)) {
        r->prepare_retry_at_ms = clock_monotonic_ms() + RETRY_MS;
        link_suspect(r->agent);
    } else {
        r->is_environment = job->lacks_network; /* secrets and volumes are the definition's own */
        for (int i = 0; i < r->count; i++)
            runner_container_failed(r, runner_at(r, i), job->reason);
    }
    if (is_network)
        agent_advance_all(r->agent); /* others waited for the network */
}

void
outcome_image(struct job *job)
{
    struct runner *r = job->runner;
    struct runner_container *c = come_home(job);
    char reason[REASON_SIZE];

    r->pull_stopped_at_ms = clock_wall_ms();
    if (job->is_ok) {
        c->has_image = true;
        return;
    }
    if (r->is_stopping)
        return; /* we broke it off ourselves */
    if (was_unanswered(job, c) && r->agent->link != LINK_UP)
        return; /* Docker went away: not the image's fault */
    const bool is_final = job->err.code == ERR_RESOURCE_NOT_FOUND || job->err.code == ERR_CLIENT;
    if (!is_final && ++c->pull_tries < PULL_TRIES) {
        c->retry_at_ms = clock_monotonic_ms() + (1100LL << (c->pull_tries - 1) > 5000 ? 5000 : 1100LL << (c->pull_tries - 1));
        return;
    }
    if (is_final)
        (void)snprintf(reason, sizeof(reason), "CannotPullContainerError: Error response from daemon: %.900s",
                       job->err.message);
    else
        (void)snprintf(reason, sizeof(reason),
                       "CannotPullContainerError: pull image manifest has been retried %d time(s): %.900s",
                       PULL_TRIES, job->err.message);
    r->is_environment = !is_final; /* nobody said that there is no such image */
    runner_container_failed(r, c, reason);
}
