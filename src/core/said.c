/* SPDX-License-Identifier: MIT */
#include "core/said.h"
#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include "core/zone_balance.h"

#define COMPLAINT_AGAIN_MS (6LL * 3600 * 1000)

static void
add_event(struct core *core, struct service *s, char *message)
{
    char id[37];

    rng_uuid(&core->rng, id);
    service_add_event(s, id, core->now_ms, message);
    core_touch_meta(core);
    core_touch_service(core, s);
}

void
said_event(struct core *core, struct service *s, const char *format, ...)
{
    char text[4 * REASON_SIZE];
    va_list args;

    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    add_event(core, s, text_dup(text));
}

void
said_complaint(struct core *core, struct service *s, const char *text)
{
    /* Of several task sets each may have its own, always in the same order: the first one is said. */
    if (s->is_external && s->complained_at_ms == core->now_ms && strcmp(s->last_complaint, text) != 0)
        return;
    s->complained_at_ms = core->now_ms;
    if (strcmp(s->last_complaint, text) == 0 &&
        core->now_ms < s->last_complaint_ms + COMPLAINT_AGAIN_MS)
        return;
    text_copy(s->last_complaint, sizeof(s->last_complaint), str_of(text));
    s->last_complaint_ms = core->now_ms;
    said_event(core, s, "%s", text);
}

void
said_no_complaint(struct core *core, struct service *s)
{
    if (s->last_complaint[0] == '\0')
        return;
    s->last_complaint[0] = '\0';
    core_touch_service(core, s);
}

/* What is said of a zone is not said of the tasks of another, nor of more than so many. */
static void
begin_list(struct core *core, struct moves *m, int count, char *zone, struct str new_zone)
{
    struct service *s = m->service;

    /* ECS launches at most ten a call, too */
    if (count == SAID_TASKS_MAX || (count > 0 && !str_equal(str_of(zone), new_zone)))
        said_flush(core);
    m->service = s;
    text_copy(zone, sizeof(m->started_zone), new_zone);
}

/* The gathered moves of the task's service.  Of a standalone task nothing is said: the scheduler
 * neither starts nor stops it, and it has no targets. */
static struct moves *
moves_of(struct core *core, const struct task *t)
{
    struct moves *m = &core->index->moves;

    assert(t->service != NULL);
    if (m->service != t->service)
        said_flush(core);
    m->service = t->service;
    return m;
}

void
said_started(struct core *core, struct task *t, bool replaces_unhealthy)
{
    struct moves *m = moves_of(core, t);

    begin_list(core, m, m->started_count, m->started_zone, zones_evened_by_start(t));
    text_copy(m->started[m->started_count++], ID_SIZE, str_of(t->id));
    m->unhealthy_replaced += replaces_unhealthy;
}

void
said_stopped(struct core *core, struct task *t, bool was_running)
{
    struct moves *m = moves_of(core, t);

    if (!was_running) {
        m->pending_stopped_count++;
        return;
    }
    begin_list(core, m, m->stopped_count, m->stopped_zone, zones_evened_by_stop(t));
    text_copy(m->stopped[m->stopped_count++], ID_SIZE, str_of(t->id));
}

/* The counters of a group, or -1 if there are too many groups for one step: then it goes unsaid. */
static int
group_index(struct moves *m, const char *group_arn)
{
    for (int i = 0; i < m->group_count; i++) {
        if (strcmp(m->groups[i].arn, group_arn) == 0)
            return i;
    }
    if (m->group_count == LOAD_BALANCERS_MAX)
        return -1;
    text_copy(m->groups[m->group_count].arn, ARN_SIZE, str_of(group_arn));
    return m->group_count++;
}

void
said_registered(struct core *core, struct task *t, const char *group_arn)
{
    struct moves *m = moves_of(core, t);
    const int i = group_index(m, group_arn);

    if (i >= 0)
        m->groups[i].registered++;
}

void
said_deregistered(struct core *core, struct task *t, const char *group_arn)
{
    struct moves *m = moves_of(core, t);
    const int i = group_index(m, group_arn);

    if (i >= 0)
        m->groups[i].deregistered++;
}

void
said_draining(struct core *core, struct task *t)
{
    struct moves *m = moves_of(core, t);

    if (m->draining_count > 0 && strcmp(m->draining_deployment, t->deployment_id) != 0) {
        said_flush(core);
        m->service = t->service;
    }
    text_copy(m->draining_deployment, ID_SIZE, str_of(t->deployment_id));
    m->draining_count++;
}

static void
add_task_list(struct strbuf *text, char (*ids)[ID_SIZE], int count)
{
    for (int i = 0; i < count; i++)
        strbuf_addf(text, " (task %s)", ids[i]);
    strbuf_add_char(text, '.');
}

static void
say_started(struct core *core, struct moves *m)
{
    cleanup(strbuf_done) struct strbuf text = {0};

    strbuf_addf(&text, "(service %s) has started %d tasks", m->service->name, m->started_count);
    if (m->started_zone[0] != '\0')
        strbuf_addf(&text, " in %s to AZ Rebalance", m->started_zone);
    strbuf_add_char(&text, ':');
    add_task_list(&text, m->started, m->started_count);
    if (m->unhealthy_replaced > 0)
        strbuf_addf(&text, " Amazon ECS replaced %d tasks due to an unhealthy status.",
                    m->unhealthy_replaced);
    said_event(core, m->service, "%s", strbuf_cstr(&text));
}

static void
say_stopped(struct core *core, struct moves *m)
{
    cleanup(strbuf_done) struct strbuf text = {0};

    strbuf_addf(&text, "(service %s) has stopped %d running tasks", m->service->name,
                m->stopped_count);
    if (m->stopped_zone[0] != '\0')
        strbuf_addf(&text, " in %s due to AZ rebalancing", m->stopped_zone);
    strbuf_add_char(&text, ':');
    add_task_list(&text, m->stopped, m->stopped_count);
    said_event(core, m->service, "%s", strbuf_cstr(&text));
}

/* In the order of ecs.md 5.12: started, registered, stopped, deregistered, draining. */
void
said_flush(struct core *core)
{
    struct moves m = core->index->moves;
    struct service *s = m.service;

    if (s == NULL)
        return;
    core->index->moves = (struct moves){0};
    if (m.started_count > 0)
        say_started(core, &m);
    for (int i = 0; i < m.group_count; i++) {
        if (m.groups[i].registered > 0)
            said_event(core, s, "(service %s) registered %d targets in (target-group %s)", s->name,
                       m.groups[i].registered, m.groups[i].arn);
    }
    if (m.stopped_count > 0)
        say_stopped(core, &m);
    if (m.pending_stopped_count > 0)
        said_event(core, s, "(service %s) stopped %d pending tasks.", s->name,
                   m.pending_stopped_count);
    for (int i = 0; i < m.group_count; i++) {
        if (m.groups[i].deregistered > 0)
            said_event(core, s, "(service %s) deregistered %d targets in (target-group %s)",
                       s->name, m.groups[i].deregistered, m.groups[i].arn);
    }
    if (m.draining_count > 0)
        said_event(core, s, "(service %s, taskSet %s) has begun draining connections on %d tasks.",
                   s->name, m.draining_deployment, m.draining_count);
}
