/* SPDX-License-Identifier: MIT */
/* crowd_book.c - the book of a large world: what naru was told in steps that are committed, and
 * what it decided. */
#include "crowd.h"
#include <assert.h>
#include <stdio.h>
#include <string.h>

struct crowd_task *
crowd_task_by_arn(const struct crowd *w, const char *arn)
{
    struct crowd_task *t = strmap_get(&w->tasks_by_id, strrchr(arn, '/') + 1);

    assert(t != NULL); /* crowd_judge() opened its page */
    return t;
}

/* ---- what commits that fail undo ---- */

void
crowd_note(struct crowd *w, void *at, size_t size)
{
    struct crowd_undo *u;

    if (!w->store_is_away)
        return;
    if (w->undo_count == w->undo_capacity) {
        w->undo_capacity = w->undo_capacity == 0 ? 256 : w->undo_capacity * 2;
        w->undo = mem_grow(w->undo, (size_t)w->undo_capacity, sizeof(w->undo[0]));
    }
    u = &w->undo[w->undo_count++];
    *u = (struct crowd_undo){.at = at, .was = mem_new(size), .size = size};
    memcpy(u->was, at, size);
}

void
crowd_book_forget(struct crowd *w)
{
    for (int i = 0; i < w->undo_count; i++)
        free(w->undo[i].was);
    w->undo_count = 0;
}

static void
take_out(struct crowd_task **list, const struct crowd_task *t, size_t next)
{
    while (*list != NULL && *list != t)
        list = (struct crowd_task **)((char *)*list + next);
    if (*list != NULL)
        *list = *(struct crowd_task **)((char *)*list + next);
}

/* Tasks that were decided meanwhile never were: nothing was performed for them. */
void
crowd_book_return(struct crowd *w)
{
    while (w->undo_count > 0) {
        struct crowd_undo *u = &w->undo[--w->undo_count];
        memcpy(u->at, u->was, u->size);
        free(u->was);
    }
    while (w->task_count > w->kept_task_count) {
        struct crowd_task *t = w->tasks[--w->task_count];
        strmap_remove(&w->tasks_by_id, t->id);
        if (t->service >= 0)
            take_out(&w->services[t->service].tasks, t, offsetof(struct crowd_task, next_of_service));
        if (t->hook_service >= 0)
            take_out(&w->services[t->hook_service].hook_tasks, t,
                     offsetof(struct crowd_task, next_of_service));
        if (t->host >= 0)
            take_out(&w->hosts[t->host].tasks, t, offsetof(struct crowd_task, next_here));
        free(t);
    }
    completed_cut(&w->completed, w->kept_completed_count);
}

/* ---- what naru was told ---- */

static void
told_hook_task(struct crowd *w, const struct crowd_task *t, const struct ev_task_state *ev)
{
    struct crowd_service *s = &w->services[t->hook_service];

    crowd_note(w, &s->hooks, sizeof(s->hooks));
    hook_task_told(&s->hooks, t->hook_id,
                   hook_task_has_failed(ev, t->book.asked_stop && !t->book.by_user),
                   crowd_naru_now(w));
}

static void
told_task(struct crowd *w, const struct ev_task_state *ev)
{
    struct crowd_task *t = strmap_get(&w->tasks_by_id, ev->task_id);

    if (t == NULL || t->book.told_stopped || (ev->status == TASK_PENDING && t->book.told_running_ms != 0))
        return;
    crowd_note(w, &t->book, sizeof(t->book));
    t->book.is_unheard = false;
    t->book.told_stopped = ev->status == TASK_STOPPED;
    if (t->book.told_stopped && t->hook_service >= 0)
        told_hook_task(w, t, ev);
    if (t->book.told_stopped && t->service >= 0 && !t->book.asked_stop)
        t->book.exited_early = is_early_exit(&w->services[t->service].book.watch, ev,
                                             t->book.told_running_ms, crowd_naru_now(w));
    if (ev->status == TASK_RUNNING && t->book.told_running_ms == 0)
        t->book.told_running_ms = crowd_naru_now(w);
}

static void
told_target(struct crowd *w, const struct ev_target_health *ev)
{
    char name[96];
    struct crowd_task *t;

    snprintf(name, sizeof(name), "%s:%d", ev->target_id, ev->port);
    t = strmap_get(&w->tasks_by_target, name);
    if (t == NULL || !t->target.is_registered || t->target.is_draining || t->target.registration != ev->registration)
        return;
    crowd_note(w, &t->book, sizeof(t->book));
    t->book.told = ev->state;
}

/* Has it an agent that could tell of its end?  What has no place may be anywhere. */
static bool
is_in_reach(const struct crowd *w, const struct crowd_task *t)
{
    bool is_any = false;

    if (t->host >= 0)
        return w->hosts[t->host].book.told_connected;
    for (int i = 0; i < w->host_count && !is_any; i++)
        is_any = w->hosts[i].book.told_connected;
    return is_any;
}

void
crowd_nobody_watched(struct crowd *w, int host)
{
    for (int i = 0; i < w->task_count; i++) {
        struct crowd_task *t = w->tasks[i];
        if (t->service < 0 || t->book.was_steady || t->book.is_unheard ||
            (host >= 0 && (t->host >= 0 ? t->host != host : is_in_reach(w, t))))
            continue;
        crowd_note(w, &t->book, sizeof(t->book));
        t->book.is_unheard = true;
    }
}

/* What the core has once found to be steady needs no watching to stay so. */
static void
note_steady(struct crowd *w)
{
    for (int i = 0; i < w->service_count; i++) {
        struct crowd_service *s = &w->services[i];
        if (crowd_has_balancer(s))
            continue;
        for (struct crowd_task *t = crowd_first_of_service(w, s); t != NULL; t = t->next_of_service) {
            if (t->book.was_steady || !crowd_is_told_healthy(w, t))
                continue;
            crowd_note(w, &t->book, sizeof(t->book));
            t->book.was_steady = true;
        }
    }
}

static void
told_host(struct crowd *w, const struct ev_instance_report *ev)
{
    int64_t number = -1;
    struct complaint complaint;
    struct crowd_host *h;

    if (!str_to_i64(str_of(ev->host + strlen("host-")), &number))
        return;
    h = &w->hosts[number];
    crowd_note(w, &h->book, sizeof(h->book));
    if (ev->is_connected && (!h->book.told_connected || h->book.told_epoch != w->epoch + 1))
        crowd_complain(w, -1, waits_have_ended(w->core, crowd_naru_now(w), &complaint), &complaint);
    if (ev->is_connected && !h->book.told_connected)
        crowd_nobody_watched(w, (int)number);
    h->book.told_connected = ev->is_connected;
    h->book.told_epoch = w->epoch + 1; /* 0: never */
    for (const struct container_instance *i = w->core->instances; h->instance_arn[0] == '\0' && i != NULL; i = i->next) {
        if (strcmp(i->host, h->name) != 0)
            continue;
        text_copy(h->instance, sizeof(h->instance), str_of(i->id));
        text_copy(h->instance_arn, sizeof(h->instance_arn), str_of(i->arn));
        strmap_put(&w->hosts_by_arn, h->instance_arn, h);
    }
}

static void
told_service(struct crowd *w, const char *arn, int desired_count, const struct deployment_config *config)
{
    struct crowd_service *s = crowd_service_of(w, arn);

    crowd_note(w, &s->book, sizeof(s->book));
    s->book.is_created = true;
    if (desired_count >= 0)
        s->book.desired_count = desired_count;
    if (config != NULL) {
        s->book.minimum = config->minimum_healthy_percent;
        s->book.maximum = config->maximum_percent;
        s->book.has_breaker = config->breaker.enable;
    }
}

struct hook_note *
crowd_hook_note(struct crowd *w, const char *hook_id, struct crowd_service **service_out)
{
    struct hook_note *n = NULL;

    for (int i = 0; i < w->service_count && n == NULL; i++) {
        *service_out = &w->services[i];
        n = hook_note_of(&w->services[i].hooks, hook_id);
    }
    return n;
}

static struct crowd_service *
owner_of_set(const struct crowd *w, const char *arn)
{
    for (int i = 0; i < w->service_count; i++) {
        if (w->services[i].sets != NULL && has_task_set(w->services[i].sets, arn))
            return &w->services[i];
    }
    return NULL;
}

static void
told_sets(struct crowd *w, struct crowd_service *s, const struct event *ev)
{
    crowd_note(w, s->sets, sizeof(*s->sets));
    told_task_set(s->sets, core_service_by_arn(w->core, s->arn), ev);
}

void
crowd_told(struct crowd *w, const struct event *ev)
{
    struct crowd_service *s;
    struct crowd_host *h;
    struct crowd_task *t;
    char arn[ARN_SIZE];

    switch (ev->type) {
    case EVENT_TASK_STATE:
        told_task(w, &ev->task_state);
        break;
    case EVENT_TARGET_HEALTH:
        told_target(w, &ev->target_health);
        break;
    case EVENT_STOOD_STILL:
        crowd_nobody_watched(w, /* host= */ -1);
        break;
    case EVENT_INSTANCE_REPORT:
        told_host(w, &ev->instance_report);
        break;
    case EVENT_INSTANCE_STATUS:
        h = strmap_get(&w->hosts_by_arn, ev->instance_status.arn);
        crowd_note(w, &h->book, sizeof(h->book));
        h->book.told_draining = ev->instance_status.status == INSTANCE_DRAINING;
        break;
    case EVENT_SERVICE_CREATE:
        snprintf(arn, sizeof(arn), "arn:aws:ecs:eu-west-1:000000000000:service/crowd/%s", ev->service_create.name);
        told_service(w, arn, ev->service_create.desired_count, ev->service_create.config);
        watch_begin(&crowd_service_of(w, arn)->book.watch);
        break;
    case EVENT_SERVICE_UPDATE:
        told_service(w, ev->service_update.service_arn, ev->service_update.desired_count, ev->service_update.config);
        break;
    case EVENT_TASK_STOP_REQUEST:
        t = crowd_task_by_arn(w, ev->task_stop_request.task_arn);
        crowd_note(w, &t->book, sizeof(t->book));
        t->book.by_user = true;
        break;
    case EVENT_TASK_PROTECT:
        t = crowd_task_by_arn(w, ev->task_protect.task_arn);
        crowd_note(w, &t->book, sizeof(t->book));
        t->book.protected_until_ms = ev->task_protect.duration_ms == 0
                                         ? 0
                                         : crowd_naru_now(w) + ev->task_protect.duration_ms;
        break;
    case EVENT_TAGS_SET:
        s = crowd_service_of(w, ev->tags_set.arn);
        crowd_note(w, &s->book, sizeof(s->book));
        watch_told(&s->book.watch, ev->tags_set.tags);
        break;
    case EVENT_HOOK_ANSWERED:
        if (crowd_hook_note(w, ev->hook_answered.hook_id, &s) != NULL) {
            crowd_note(w, &s->hooks, sizeof(s->hooks));
            hook_answer_told(&s->hooks, &ev->hook_answered, crowd_naru_now(w));
        }
        break;
    case EVENT_RULE_PUT:
    case EVENT_RULE_DELETE:
    case EVENT_RULE_PRIORITIES:
        crowd_told_rules(w);
        break;
    case EVENT_TASK_SET_CREATE:
        told_sets(w, crowd_service_of(w, ev->task_set_create.service_arn), ev);
        break;
    case EVENT_TASK_SET_SCALE:
        told_sets(w, owner_of_set(w, ev->task_set_scale.arn), ev);
        break;
    case EVENT_TASK_SET_DELETE:
        told_sets(w, owner_of_set(w, ev->task_set_delete.arn), ev);
        break;
    default:
        break;
    }
    note_steady(w);
}

bool
crowd_is_wanted(const struct crowd_task *t)
{
    return !t->book.asked_stop && !t->book.told_stopped;
}

bool
crowd_has_balancer(const struct crowd_service *s)
{
    return s->groups[0][0] != '\0';
}

bool
crowd_is_told_healthy(const struct crowd *w, const struct crowd_task *t)
{
    if (!crowd_is_wanted(t) || t->book.told_running_ms == 0)
        return false;
    if (!crowd_has_balancer(&w->services[t->service]))
        return t->book.was_steady || (!t->book.is_unheard && is_in_reach(w, t) &&
                                      crowd_naru_now(w) >= t->book.told_running_ms + STEADY_AFTER_MS);
    return t->target.is_registered && !t->target.is_draining && t->book.told == TARGET_healthy;
}

/* ---- by the book ---- */

struct crowd_task *
crowd_first_of_service(const struct crowd *w, struct crowd_service *s)
{
    struct crowd_task **at = &s->tasks;

    while (!w->store_is_away && *at != NULL) {
        if ((*at)->book.told_stopped && (*at)->state >= EXITED)
            *at = (*at)->next_of_service;
        else
            at = &(*at)->next_of_service;
    }
    return s->tasks;
}

struct crowd_task *
crowd_first_of_host(const struct crowd *w, struct crowd_host *h)
{
    struct crowd_task **at = &h->tasks;

    while (!w->store_is_away && *at != NULL) {
        if ((*at)->book.told_stopped && (*at)->state >= EXITED)
            *at = (*at)->next_here;
        else
            at = &(*at)->next_here;
    }
    return h->tasks;
}

/* A daemon wants as many as there are instances for it. */
int
crowd_desired_of(struct crowd *w, int service)
{
    int n = 0;

    if (w->services[service].kind != CROWD_DAEMON)
        return w->services[service].book.desired_count;
    for (int i = 0; i < w->host_count; i++) {
        struct crowd_host *h = &w->hosts[i];
        bool is_there = false;
        for (const struct crowd_task *t = h->tasks; !h->book.told_connected && t != NULL; t = t->next_here)
            is_there |= t->service == service && crowd_is_wanted(t);
        n += !h->book.told_draining && (h->book.told_connected || is_there);
    }
    return n;
}
