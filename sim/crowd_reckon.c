/* SPDX-License-Identifier: MIT */
/* crowd_reckon.c - looks at the whole of a large world: whether naru reckons as the book does, and whether all has
 * come to rest. */
#include "crowd.h"
#include <stdio.h>
#include <string.h>

/* ---- all of it ---- */

static void
reckon_instance(struct crowd *w, const struct container_instance *i)
{
    struct crowd_host *h = strmap_get(&w->hosts_by_arn, i->arn);
    int cpu = 0, memory_mib = 0, count = 0;

    if (h == NULL)
        return; /* its coming is not committed */
    for (const struct task *t = i->tasks; t != NULL; t = t->next_here) {
        const struct crowd_task *page = strmap_get(&w->tasks_by_id, t->id);
        cpu += t->cpu;
        memory_mib += t->memory_mib;
        count++;
        if (page == NULL || page->book.told_stopped || page->host != (int)(h - w->hosts))
            crowd_fail(w, page == NULL ? -1 : page->service, "task %.8s holds a place on %s, the book knows of none",
                       t->id, h->name);
    }
    for (const struct crowd_task *t = crowd_first_of_host(w, h); t != NULL; t = t->next_here) {
        if (t->book.told_stopped)
            continue;
        cpu -= t->cpu;
        memory_mib -= t->memory_mib;
        count--;
    }
    if (cpu != 0 || memory_mib != 0 || count != 0)
        crowd_fail(w, -1, "%s: naru reckons with %d cpu, %d MiB, %d tasks more than the book", h->name, cpu, memory_mib,
                   count);
}

void
crowd_reckon(struct crowd *w)
{
    int live = 0;

    core_check(w->core);
    crowd_judge_rules(w);
    for (const struct task *t = w->core->tasks; t != NULL; t = t->next)
        live += t->last_status != TASK_STOPPED;
    if (live > w->sum.most_tasks)
        w->sum.most_tasks = live;
    for (const struct container_instance *i = w->core->instances; i != NULL; i = i->next)
        reckon_instance(w, i);
    for (int i = 0; i < w->service_count; i++) {
        struct crowd_service *s = &w->services[i];
        const struct service *now = core_service_by_arn(w->core, s->arn);
        int wanted = 0;

        for (const struct crowd_task *t = crowd_first_of_service(w, s); t != NULL; t = t->next_of_service)
            wanted += crowd_is_wanted(t);
        if ((now != NULL) != s->book.is_created)
            crowd_fail(w, i, "promise 7: %s is there: %d", s->name, now != NULL);
        else if (now != NULL && core_counts(w->core, now, NULL).desired_running != wanted)
            crowd_fail(w, i, "naru wants %d tasks to run, by its orders %d do",
                       core_counts(w->core, now, NULL).desired_running, wanted);
    }
}

/* ---- promise 3 ---- */

/* No deployment can move within such bounds; an operator has to change them (ecs.md 5.1). */
static bool
is_stuck(const struct crowd_service *s, int desired)
{
    return desired * s->book.maximum / 100 <= desired && (desired * s->book.minimum + 99) / 100 >= desired;
}

bool
crowd_is_bad(enum crowd_behaviour b)
{
    return b == CROWD_CRASHES_AT_START || b == CROWD_UNHEALTHY || b == CROWD_BAD_IMAGE;
}

/* Machines where a daemon should be and others have taken the room. */
static int
crowded_out_of(struct crowd *w, const struct crowd_service *s)
{
    int n = 0;

    for (int i = 0; s->kind == CROWD_DAEMON && i < w->host_count; i++) {
        struct crowd_host *h = &w->hosts[i];
        int cpu = 0, memory_mib = 0;
        bool is_there = false;
        for (const struct crowd_task *t = crowd_first_of_host(w, h); t != NULL; t = t->next_here) {
            is_there |= t->service == (int)(s - w->services) && crowd_is_wanted(t);
            cpu += t->book.told_stopped ? 0 : t->cpu;
            memory_mib += t->book.told_stopped ? 0 : t->memory_mib;
        }
        n += !is_there && (cpu + crowd_sizes[s->size].cpu > h->cpu ||
                           memory_mib + crowd_sizes[s->size].memory_mib > h->memory_mib);
    }
    return n;
}

/* A daemon leaves a machine last: it stays where another's task does, whose bounds do not let that
 * go. */
static bool
stays_beside(struct crowd *w, int host)
{
    for (const struct crowd_task *t = crowd_first_of_host(w, &w->hosts[host]); t != NULL;
         t = t->next_here) {
        if ((t->state == UP || t->state == PULLING) &&
            (t->service < 0 || w->services[t->service].kind != CROWD_DAEMON))
            return true;
    }
    return false;
}

static bool
service_is_steady(struct crowd *w, int service, char *why, size_t why_size)
{
    struct crowd_service *s = &w->services[service];
    const struct service *now = core_service_by_arn(w->core, s->arn);
    const struct deployment *p = now == NULL ? NULL : service_primary(now);
    const int desired = crowd_desired_of(w, service);
    int up = 0, starting = 0, foreign = 0, in_rotation = 0, leaving = 0, staying = 0;
    bool is_where_it_can_be;

    if (now != NULL && s->sets != NULL)
        return crowd_sets_are_steady(w, service, why, why_size);
    if (p == NULL)
        return false;
    for (const struct crowd_task *t = crowd_first_of_service(w, s); t != NULL; t = t->next_of_service) {
        up += t->state == UP;
        starting += t->state == PULLING;
        foreign += t->state == UP && strcmp(t->deployment_id, p->id) != 0;
        leaving += t->state == UP && t->host >= 0 && w->hosts[t->host].book.told_draining;
        staying += s->kind == CROWD_DAEMON && t->state == UP &&
                   w->hosts[t->host].book.told_draining && stays_beside(w, t->host);
        in_rotation += t->target.is_registered && !t->target.is_draining && t->target.state == TARGET_healthy;
    }
    snprintf(why, why_size,
             "%s: %d up, %d starting, %d of other deployments, %d in rotation, %d leaving, desired "
             "%d, bounds %d/%d, stage %s, %.60s",
             s->name, up, starting, foreign, in_rotation, leaving, desired, s->book.minimum,
             s->book.maximum, lifecycle_stage_name(now->course.stage), p->rollout_reason);
    is_where_it_can_be = s->kind == CROWD_DAEMON && starting == 0 && leaving == staying &&
                         up - staying <= desired && up - staying + crowded_out_of(w, s) >= desired;
    if (p->is_failed)
        return starting == 0;
    if (p->rollout_state == ROLLOUT_IN_PROGRESS && is_stuck(s, desired) &&
        s->book.watch.deadline_s == 0)
        return true;
    if (crowd_is_bad(crowd_behaviour_of(w, p->revision->task_definition_arn)))
        return (!s->book.has_breaker && s->book.watch.deadline_s == 0) ||
               p->rollout_state != ROLLOUT_IN_PROGRESS ||
               (now->course.is_on && /* for a day */
                (now->course.stage == STAGE_CLEAN_UP || now->course.is_returning)) ||
               (up == foreign && crowded_out_of(w, s) > 0); /* its clock stands */
    if (s->kind == CROWD_DAEMON && up - staying < desired)
        return is_where_it_can_be;
    if (staying > 0) /* whoever stays beside others' tasks holds no deployment up */
        return is_where_it_can_be && foreign == 0 && p->rollout_state == ROLLOUT_COMPLETED;
    return p->rollout_state == ROLLOUT_COMPLETED && up == desired && starting == 0 &&
           foreign == 0 && (leaving == 0 || is_stuck(s, desired)) &&
           (!crowd_has_balancer(s) || in_rotation == desired);
}

bool
crowd_is_steady(struct crowd *w, char *why, size_t why_size, int *service_out)
{
    snprintf(why, why_size, "naru is down");
    if (w->core == NULL)
        return false;
    for (int i = 0; i < w->service_count; i++) {
        *service_out = i;
        if (!service_is_steady(w, i, why, why_size) || !crowd_rules_are_steady(&w->services[i], why, why_size))
            return false;
    }
    return true;
}
