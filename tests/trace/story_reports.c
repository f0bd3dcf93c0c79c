/* SPDX-License-Identifier: MIT */
/* story_reports.c - what agents say of tasks, and the balancer and its health checks of targets. */
#include "story.h"

static void
report_at(struct story *st, int task, int port, enum task_status status, int exit_code,
          const char *reason, bool is_infrastructure, const char *verb)
{
    struct task_container c = {.name = "app", .last_status = status};
    struct network_binding binding = {.container_port = 80, .host_port = port};
    struct event ev = {.type = EVENT_TASK_STATE};
    char words[64];

    if (status == TASK_RUNNING) {
        c.binding_count = 1;
        c.bindings = &binding;
    }
    c.has_exit_code = status == TASK_STOPPED && reason == NULL;
    c.exit_code = exit_code;
    ev.task_state.task_id = st->ids[task - 1];
    ev.task_state.status = status;
    ev.task_state.containers = &c;
    ev.task_state.container_count = 1;
    ev.task_state.reason = reason;
    ev.task_state.is_infrastructure = is_infrastructure;
    ev.task_state.is_environment = strcmp(verb, "unanswered") == 0;
    snprintf(words, sizeof(words), "%s t%d", verb, task);
    story_tell(st, &ev, words);
}

static void
report(struct story *st, int task, enum task_status status, int exit_code, const char *reason,
       bool is_infrastructure, const char *verb)
{
    const struct task *t = story_task(st, task);
    int port = t != NULL && t->target_count > 0 ? t->targets[0].port : 0;

    if (port == 0 && status == TASK_RUNNING)
        port = st->next_port++;
    report_at(st, task, port, status, exit_code, reason, is_infrastructure, verb);
}

void
story_moved(struct story *st, int task)
{
    report_at(st, task, st->next_port++, TASK_RUNNING, 0, NULL, false, "moved");
}

void
story_host(struct story *st, int cpu, bool is_connected)
{
    struct event ev = {.type = EVENT_INSTANCE_REPORT};

    ev.instance_report.host = "h";
    ev.instance_report.is_connected = is_connected;
    ev.instance_report.cpu_total = cpu;
    ev.instance_report.memory_total_mib = 4096;
    story_tell(st, &ev, "host");
}

void
story_pending(struct story *st, int task)
{
    report(st, task, TASK_PENDING, 0, NULL, false, "pending");
}

void
story_running(struct story *st, int task)
{
    report(st, task, TASK_RUNNING, 0, NULL, false, "running");
}

void
story_stopped(struct story *st, int task, int exit_code)
{
    report(st, task, TASK_STOPPED, exit_code, NULL, false, "stopped");
}

void
story_failed_to_start(struct story *st, int task)
{
    report(st, task, TASK_STOPPED, 0, "CannotPullContainerError: manifest unknown", false,
           "failed");
}

void
story_cannot_pull(struct story *st, int task)
{
    report(st, task, TASK_STOPPED, 0,
           "CannotPullContainerError: pull image manifest has been retried 5 time(s)", false,
           "unanswered");
}

void
story_lost(struct story *st, int task)
{
    report(st, task, TASK_STOPPED, 0, "DockerTimeoutError: no answer", true, "lost");
}

static int64_t
registration_in(const struct story *st, const struct task_target *tt)
{
    const struct target *x = target_group_find(core_target_group(st->core, tt->target_group_arn),
                                               tt->target_id, tt->port);

    return x == NULL ? 0 : x->registration;
}

int64_t
story_registration(const struct story *st, int task)
{
    return registration_in(st, &story_task(st, task)->targets[0]);
}

static void
health(struct story *st, int task, int at, enum target_state state)
{
    const struct task_target *tt = &story_task(st, task)->targets[at];
    struct event ev = {.type = EVENT_TARGET_HEALTH};
    char words[64];

    ev.target_health.target_group_arn = tt->target_group_arn;
    ev.target_health.target_id = tt->target_id;
    ev.target_health.port = tt->port;
    ev.target_health.registration = registration_in(st, tt);
    ev.target_health.state = state;
    if (state == TARGET_unhealthy) {
        ev.target_health.reason = "Target.ResponseCodeMismatch";
        ev.target_health.description = "Health checks failed with these codes: [500]";
    }
    snprintf(words, sizeof(words), "%s t%d", target_state_name(state), task);
    story_tell(st, &ev, words);
}

void
story_healthy(struct story *st, int task)
{
    for (int i = 0; i < story_task(st, task)->target_count; i++)
        health(st, task, i, TARGET_healthy);
}

void
story_unhealthy(struct story *st, int task)
{
    health(st, task, 0, TARGET_unhealthy);
}

void
story_drained(struct story *st, int task)
{
    story_drained_of(st, task, story_registration(st, task));
}

void
story_drained_of(struct story *st, int task, int64_t registration)
{
    const struct task_target *tt = &story_task(st, task)->targets[0];
    struct event ev = {.type = EVENT_TARGET_DRAINED};
    char words[64];

    ev.target_drained.target_group_arn = tt->target_group_arn;
    ev.target_drained.target_id = tt->target_id;
    ev.target_drained.port = tt->port;
    ev.target_drained.registration = registration;
    snprintf(words, sizeof(words), "drained t%d", task);
    story_tell(st, &ev, words);
}
