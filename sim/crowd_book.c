/* SPDX-License-Identifier: MIT */
/* crowd_book.c - the promises in a large world.  The rules are those of checks.c, and so are their exceptions; what
 * differs is that only the services and tasks are looked at that a step names.
 *   1  crowd_hands.c judges each signal; judge_group(): who is led to stays enough
 *   2  judge_start(), judge_stop()
 *   3  crowd_reckon.c, crowd_is_steady()
 *   5  judge_verdict()
 *   6  judge_digest()
 *   7  crowd_rows.c; crowd_reckon() after each restart
 *   and where tasks go: judge_place(), crowd_reckon() */
#include "crowd.h"
#include <assert.h>
#include <stdio.h>
#include <string.h>

#define STEADY_AFTER_MS 40000 /* as the core's default */

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
        if (t->host >= 0)
            take_out(&w->hosts[t->host].tasks, t, offsetof(struct crowd_task, next_here));
        free(t);
    }
}

/* ---- what naru was told ---- */

static void
told_task(struct crowd *w, const struct ev_task_state *ev)
{
    struct crowd_task *t = strmap_get(&w->tasks_by_id, ev->task_id);

    if (t == NULL || t->book.told_stopped || (ev->status == TASK_PENDING && t->book.told_running_ms != 0))
        return;
    crowd_note(w, &t->book, sizeof(t->book));
    t->book.told_stopped = ev->status == TASK_STOPPED;
    if (ev->status == TASK_RUNNING && t->book.told_running_ms == 0)
        t->book.told_running_ms = w->now_ms;
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

static void
told_host(struct crowd *w, const struct ev_instance_report *ev)
{
    int64_t number = -1;
    struct crowd_host *h;

    if (!str_to_i64(str_of(ev->host + strlen("host-")), &number))
        return;
    h = &w->hosts[number];
    crowd_note(w, &h->book, sizeof(h->book));
    h->book.told_connected = ev->is_connected;
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

void
crowd_told(struct crowd *w, const struct event *ev)
{
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
        break;
    case EVENT_SERVICE_UPDATE:
        told_service(w, ev->service_update.service_arn, ev->service_update.desired_count, ev->service_update.config);
        break;
    case EVENT_TASK_STOP_REQUEST:
        t = crowd_task_by_arn(w, ev->task_stop_request.task_arn);
        crowd_note(w, &t->book, sizeof(t->book));
        t->book.by_user = true;
        break;
    default:
        break;
    }
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

static bool
is_told_healthy(const struct crowd *w, const struct crowd_task *t)
{
    if (!crowd_is_wanted(t) || t->book.told_running_ms == 0)
        return false;
    if (!crowd_has_balancer(&w->services[t->service]))
        return w->now_ms >= t->book.told_running_ms + STEADY_AFTER_MS;
    return t->target.is_registered && !t->target.is_draining && t->book.told == TARGET_healthy;
}

/* ---- promise 2 ---- */

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

static void
judge_start(struct crowd *w, const struct crowd_task *t)
{
    struct crowd_service *s = &w->services[t->service];
    int total = 0, most = s->book.desired_count * s->book.maximum / 100;

    for (const struct crowd_task *x = crowd_first_of_service(w, s); x != NULL; x = x->next_of_service)
        total += crowd_is_wanted(x);
    if (s->kind == CROWD_SHIFTS && most < 2 * s->book.desired_count)
        most = 2 * s->book.desired_count; /* both revisions at full strength (ecs.md 6.7) */
    if (s->kind != CROWD_DAEMON && total > most)
        crowd_fail(w, t->service, "promise 2: task %.8s is started: %d tasks, desired %d, maximum %d %%", t->id, total,
                   s->book.desired_count, s->book.maximum);
}

/* Promise 1 where traffic is moved: as long as requests are led to a group, enough tasks are left there. */
static void
judge_group(struct crowd *w, const struct crowd_task *t)
{
    struct crowd_service *s = &w->services[t->service];
    int healthy = 0, lower = (s->book.desired_count * s->book.minimum + 99) / 100;

    if (s->kind != CROWD_SHIFTS || s->weights[t->target.group] == 0)
        return;
    if (lower == 0 && s->book.desired_count > 0 && !(t->host >= 0 && w->hosts[t->host].book.told_draining))
        lower = 1;
    for (const struct crowd_task *x = s->tasks; x != NULL; x = x->next_of_service)
        healthy += x != t && x->target.group == t->target.group && is_told_healthy(w, x);
    if (healthy < lower)
        crowd_fail(w, t->service, "promise 1: healthy task %.8s is stopped where requests are led to: %d healthy are "
                   "left, desired %d, minimum %d %%", t->id, healthy, s->book.desired_count, s->book.minimum);
}

static void
judge_stop(struct crowd *w, struct crowd_task *t, const char *what)
{
    struct crowd_service *s = t->service < 0 ? NULL : &w->services[t->service];
    int healthy = 0, lower;
    bool was_healthy;

    if (!crowd_is_wanted(t))
        return;
    was_healthy = s != NULL && is_told_healthy(w, t);
    crowd_tell(w, t->service, "decides to %s task %.8s, which is %shealthy", what, t->id, was_healthy ? "" : "not ");
    if (was_healthy && !t->book.by_user)
        judge_group(w, t);
    crowd_note(w, &t->book, sizeof(t->book));
    t->book.asked_stop = true;
    if (!was_healthy || t->book.by_user)
        return;
    if (s->kind == CROWD_SHIFTS && s->weights[t->target.group] == 0 && s->weights[1 - t->target.group] > 0)
        return; /* it serves nobody */
    lower = (crowd_desired_of(w, t->service) * s->book.minimum + 99) / 100;
    for (const struct crowd_task *x = crowd_first_of_service(w, s); x != NULL; x = x->next_of_service)
        healthy += is_told_healthy(w, x);
    if (healthy < lower)
        crowd_fail(w, t->service, "promise 2: healthy task %.8s is stopped: %d healthy left, desired %d, minimum %d %%",
                   t->id, healthy, crowd_desired_of(w, t->service), s->book.minimum);
}

/* ---- a new task ---- */

/* Those that are told to stop hold their place until they are said to be STOPPED. */
static void
judge_place(struct crowd *w, const struct crowd_task *t)
{
    struct crowd_host *h = &w->hosts[t->host];
    int cpu = t->cpu, memory_mib = t->memory_mib;
    bool has_twin = false;

    for (const struct crowd_task *x = crowd_first_of_host(w, h); x != NULL; x = x->next_here) {
        if (x->book.told_stopped)
            continue;
        cpu += x->cpu;
        memory_mib += x->memory_mib;
        has_twin |= t->fixed_port != 0 && x->fixed_port == t->fixed_port;
    }
    if (!h->book.told_connected || h->book.told_draining || has_twin || cpu > h->cpu || memory_mib > h->memory_mib)
        crowd_fail(w, t->service, "task %.8s goes to %s: connected %d, draining %d, port taken %d, %d of %d cpu, "
                   "%d of %d MiB", t->id, h->name, h->book.told_connected, h->book.told_draining, has_twin, cpu, h->cpu,
                   memory_mib, h->memory_mib);
}

/* Promise 6. */
static void
judge_digest(struct crowd *w, const struct crowd_task *t)
{
    for (const struct crowd_task *x = w->services[t->service].tasks; x != NULL; x = x->next_of_service) {
        if (strcmp(x->deployment_id, t->deployment_id) == 0 && strcmp(x->digest, t->digest) != 0)
            crowd_fail(w, t->service, "promise 6: %s runs %s and %s", t->deployment_id, x->digest, t->digest);
    }
}

static struct crowd_task *
page_of(struct crowd *w, const struct task *t)
{
    const struct crowd_service *s = t->service_arn[0] == '\0' ? NULL : crowd_service_of(w, t->service_arn);
    const struct crowd_host *h = t->launch_type == LAUNCH_EC2 ? strmap_get(&w->hosts_by_arn, t->instance_arn) : NULL;
    const char *digest = strchr(t->containers[0].image, '@');
    struct crowd_task *page = mem_new(sizeof(*page));

    text_copy(page->id, sizeof(page->id), str_of(t->id));
    text_copy(page->deployment_id, sizeof(page->deployment_id), str_of(t->deployment_id));
    text_copy(page->digest, sizeof(page->digest), str_of(digest == NULL ? "" : digest + 1));
    page->service = s == NULL ? -1 : (int)(s - w->services);
    page->host = h == NULL ? -1 : (int)(h - w->hosts);
    page->cpu = t->cpu;
    page->memory_mib = t->memory_mib;
    page->fixed_port = s != NULL && s->kind == CROWD_DAEMON ? CROWD_FIXED_PORT + s->size : 0;
    page->behaviour = crowd_behaviour_of(w, t->task_definition_arn);
    if (t->launch_type == LAUNCH_EC2 && h == NULL)
        crowd_fail(w, page->service, "task %.8s is on no host", t->id);
    return page;
}

static void
open_page(struct crowd *w, const struct task *t)
{
    struct crowd_task *page = page_of(w, t);

    if (w->task_count == w->task_capacity) {
        w->task_capacity = w->task_capacity == 0 ? 1024 : w->task_capacity * 2;
        w->tasks = mem_grow(w->tasks, (size_t)w->task_capacity, sizeof(struct crowd_task *));
    }
    w->tasks[w->task_count++] = page;
    strmap_put(&w->tasks_by_id, page->id, page);
    crowd_tell(w, page->service, "starts task %.8s of %s on %s, behaviour %d", page->id, page->deployment_id,
               page->host < 0 ? "FARGATE" : w->hosts[page->host].name, (int)page->behaviour);
    if (page->host >= 0) {
        judge_place(w, page);
        page->next_here = w->hosts[page->host].tasks;
        w->hosts[page->host].tasks = page;
    }
    if (page->service >= 0) {
        page->next_of_service = w->services[page->service].tasks;
        w->services[page->service].tasks = page;
        judge_start(w, page);
        judge_digest(w, page);
    }
}

/* ---- a step ---- */

static void
judge_row(struct crowd *w, const struct task *t)
{
    struct crowd_task *page = t == NULL ? NULL : strmap_get(&w->tasks_by_id, t->id);

    if (page == NULL)
        return;
    if (t->version <= page->book.version)
        crowd_fail(w, page->service, "version of task %.8s went from %d to %d", t->id, page->book.version, t->version);
    if (page->book.told_stopped && t->last_status != TASK_STOPPED)
        crowd_fail(w, page->service, "task %.8s left STOPPED", t->id);
    crowd_note(w, &page->book, sizeof(page->book));
    page->book.version = t->version;
}

void
crowd_judge(struct crowd *w, int first)
{
    for (int i = first; i < w->effects.count; i++) {
        const struct effect *e = &w->effects.at[i];
        const struct task *t;
        struct crowd_task *page;
        char name[96];

        if (e->type == EFFECT_PERSIST && e->persist.kind == ROW_TASK) {
            judge_row(w, core_task_by_arn(w->core, e->persist.key));
        } else if (e->type == EFFECT_TASK_START) {
            t = core_task_by_arn(w->core, e->task_start.task_arn);
            if (t != NULL && strmap_get(&w->tasks_by_id, t->id) == NULL)
                open_page(w, t);
        } else if (e->type == EFFECT_TASK_STOP) {
            judge_stop(w, crowd_task_by_arn(w, e->task_stop.task_arn), "stop");
        } else if (e->type == EFFECT_TARGET_DEREGISTER) {
            snprintf(name, sizeof(name), "%s:%d", e->target_deregister.target_id, e->target_deregister.port);
            page = strmap_get(&w->tasks_by_target, name);
            if (page != NULL)
                judge_stop(w, page, "deregister");
        }
    }
}

/* ---- promise 5 ---- */

/* Whoever says COMPLETED says that the old revisions take no traffic any more. */
static void
judge_verdict(struct crowd *w, int service)
{
    struct crowd_service *s = &w->services[service];
    const struct service *now = core_service_by_arn(w->core, s->arn);
    const struct deployment *p = now == NULL ? NULL : service_primary(now);

    if (p == NULL || p->rollout_state != ROLLOUT_COMPLETED)
        return;
    for (const struct crowd_task *t = crowd_first_of_service(w, s); t != NULL; t = t->next_of_service) {
        const bool serves = t->target.is_registered && t->state == UP &&
                            (t->target.is_draining ? t->target.has_requests : t->target.state == TARGET_healthy);
        if (serves && strcmp(t->deployment_id, p->id) != 0)
            crowd_fail(w, service, "promise 5: %s is COMPLETED and task %.8s of %s still takes traffic", p->id, t->id,
                       t->deployment_id);
    }
}

void
crowd_judge_services(struct crowd *w, int first)
{
    for (int i = first; i < w->effects.count; i++) {
        const struct effect *e = &w->effects.at[i];
        const struct crowd_service *s =
            e->type == EFFECT_PERSIST && e->persist.kind == ROW_SERVICE ? crowd_service_of(w, e->persist.key) : NULL;
        if (s != NULL)
            judge_verdict(w, (int)(s - w->services));
    }
}

/* Of what is committed: the newest deployment of a service, and the one that it replaced. */
void
crowd_count_outcomes(struct crowd *w)
{
    for (int i = 0; i < w->effects.count; i++) {
        const struct effect *e = &w->effects.at[i];
        struct crowd_service *s =
            e->type == EFFECT_PERSIST && e->persist.kind == ROW_SERVICE ? crowd_service_of(w, e->persist.key) : NULL;
        const struct service *now = s == NULL ? NULL : core_service_by_arn(w->core, s->arn);
        const struct service_deployment *sd = now == NULL ? NULL : service_current(now);

        if (sd != NULL && sd->finished_at_ms == 0)
            sd = sd->next;
        if (sd == NULL || strcmp(sd->id, s->counted_id) == 0)
            continue;
        text_copy(s->counted_id, sizeof(s->counted_id), str_of(sd->id));
        w->sum.outcomes[sd->status]++;
        crowd_tell(w, (int)(s - w->services), "deployment of %s is %s", sd->deployment_id, sd_status_name(sd->status));
    }
}
