/* SPDX-License-Identifier: MIT */
/* crowd_judge.c - the promises in a large world.  The rules are those of checks.c, and so are their
 * exceptions; what differs is that only the services and tasks are looked at that a step names.
 *   1        crowd_hands.c judges each signal; judge_group(): who is led to stays enough
 *   2        judge_start(), judge_stop(); of task sets by task_sets.h
 *   3        crowd_is_steady(); launch_is_allowed(), waits_have_ended(), hook_call_is_well()
 *   4, 5, 8  crowd_shown.c
 *   6        judge_digest()
 *   7        crowd_rows.c; crowd_reckon() after each restart
 *   where tasks go: judge_place(), crowd_reckon(); what waits for hooks or is one: fake_hooks.h */
#include "crowd.h"
#include <stdio.h>
#include <string.h>

/* ---- promise 2 ---- */

static void
judge_set_start(struct crowd *w, const struct crowd_task *t)
{
    const struct set_service s = crowd_set_service(&w->services[t->service]);
    struct complaint complaint;
    int total = 0;

    for (const struct crowd_task *x = crowd_first_of_service(w, &w->services[t->service]);
         x != NULL; x = x->next_of_service)
        total += crowd_is_wanted(x) && strcmp(x->deployment_id, t->deployment_id) == 0;
    crowd_complain(w, t->service, set_start_is_well(&s, t->deployment_id, t->id, total, &complaint),
                   &complaint);
}

/* A healthy one is stopped, and by nobody's order to stop that task. */
static void
judge_set_stop(struct crowd *w, const struct crowd_task *t)
{
    const struct set_service s = crowd_set_service(&w->services[t->service]);
    struct complaint complaint;
    int healthy = 0;

    for (const struct crowd_task *x = crowd_first_of_service(w, &w->services[t->service]);
         x != NULL; x = x->next_of_service)
        healthy += crowd_is_told_healthy(w, x) && strcmp(x->deployment_id, t->deployment_id) == 0;
    crowd_complain(w, t->service,
                   set_stop_is_well(&s, t->deployment_id, t->id, healthy, &complaint), &complaint);
}

static void
judge_start(struct crowd *w, const struct crowd_task *t)
{
    struct crowd_service *s = &w->services[t->service];
    int total = 0, most = s->book.desired_count * s->book.maximum / 100;

    if (s->sets != NULL) {
        judge_set_start(w, t);
        return;
    }
    for (const struct crowd_task *x = crowd_first_of_service(w, s); x != NULL;
         x = x->next_of_service)
        total += crowd_is_wanted(x);
    if (s->kind == CROWD_SHIFTS && most < 2 * s->book.desired_count)
        most = 2 * s->book.desired_count; /* both revisions at full strength (ecs.md 6.7) */
    if (s->kind != CROWD_DAEMON && total > most)
        crowd_fail(w, t->service,
                   "promise 2: task %.8s is started: %d tasks, desired %d, maximum %d %%", t->id,
                   total, s->book.desired_count, s->book.maximum);
}

/* Promise 1 where traffic is moved: as long as requests are led to a group, enough tasks are left
 * there. */
static void
judge_group(struct crowd *w, const struct crowd_task *t)
{
    struct crowd_service *s = &w->services[t->service];
    int healthy = 0, lower = (s->book.desired_count * s->book.minimum + 99) / 100;

    if (s->kind != CROWD_SHIFTS || s->weights[t->target.group] == 0)
        return;
    if (lower == 0 && s->book.desired_count > 0 &&
        !(t->host >= 0 && w->hosts[t->host].book.told_draining))
        lower = 1;
    /* One of its own deployment may be in the other group by protection: it is to be kept, too. */
    for (const struct crowd_task *x = s->tasks; x != NULL; x = x->next_of_service)
        healthy +=
            x != t && crowd_is_told_healthy(w, x) &&
            (x->target.group == t->target.group || strcmp(x->deployment_id, t->deployment_id) == 0);
    if (healthy < lower)
        crowd_fail(
            w, t->service,
            "promise 1: healthy task %.8s is stopped where requests are led to: %d healthy are "
            "left, desired %d, minimum %d %%",
            t->id, healthy, s->book.desired_count, s->book.minimum);
}

/* Then protection does not hold its tasks up. */
static bool
is_set_deleted(const struct crowd_service *s, const struct crowd_task *t)
{
    const struct sim_set *set = s->sets == NULL ? NULL : set_of_id(s->sets, t->deployment_id);

    return set != NULL && set->is_deleted;
}

static void
judge_stop(struct crowd *w, struct crowd_task *t, const char *what)
{
    struct crowd_service *s = t->service < 0 ? NULL : &w->services[t->service];
    int healthy = 0, lower;
    bool was_healthy;

    if (!crowd_is_wanted(t))
        return;
    was_healthy = s != NULL && crowd_is_told_healthy(w, t);
    crowd_tell(w, t->service, "decides to %s task %.8s, which is %shealthy", what, t->id,
               was_healthy ? "" : "not ");
    if (was_healthy && !t->book.by_user && s->sets == NULL)
        judge_group(w, t);
    crowd_note(w, &t->book, sizeof(t->book));
    t->book.asked_stop = true;
    if (s != NULL && !t->book.by_user && !is_set_deleted(s, t) &&
        crowd_naru_now(w) < t->book.protected_until_ms)
        crowd_fail(w, t->service, "task %.8s is stopped while it is protected", t->id);
    if (!was_healthy || t->book.by_user)
        return;
    if (s->sets != NULL) {
        judge_set_stop(w, t);
        return;
    }
    if (s->kind == CROWD_SHIFTS && s->weights[t->target.group] == 0 &&
        s->weights[1 - t->target.group] > 0)
        return; /* it serves nobody */
    lower = (crowd_desired_of(w, t->service) * s->book.minimum + 99) / 100;
    for (const struct crowd_task *x = crowd_first_of_service(w, s); x != NULL;
         x = x->next_of_service)
        healthy += crowd_is_told_healthy(w, x);
    if (healthy < lower)
        crowd_fail(
            w, t->service,
            "promise 2: healthy task %.8s is stopped: %d healthy left, desired %d, minimum %d %%",
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
    if (!h->book.told_connected || h->book.told_draining || has_twin || cpu > h->cpu ||
        memory_mib > h->memory_mib)
        crowd_fail(w, t->service,
                   "task %.8s goes to %s: connected %d, draining %d, port taken %d, %d of %d cpu, "
                   "%d of %d MiB",
                   t->id, h->name, h->book.told_connected, h->book.told_draining, has_twin, cpu,
                   h->cpu, memory_mib, h->memory_mib);
}

/* Promise 6. */
static void
judge_digest(struct crowd *w, const struct crowd_task *t)
{
    for (const struct crowd_task *x = w->services[t->service].tasks; x != NULL;
         x = x->next_of_service) {
        if (strcmp(x->deployment_id, t->deployment_id) == 0 && strcmp(x->digest, t->digest) != 0)
            crowd_fail(w, t->service, "promise 6: %s runs %s and %s", t->deployment_id, x->digest,
                       t->digest);
    }
}

static struct crowd_task *
page_of(struct crowd *w, const struct task *t)
{
    const struct crowd_service *s =
        t->service_arn[0] == '\0' ? NULL : crowd_service_of(w, t->service_arn);
    const struct crowd_host *h =
        t->launch_type == LAUNCH_EC2 ? strmap_get(&w->hosts_by_arn, t->instance_arn) : NULL;
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
    memcpy(page->hook_id, t->hook_id, sizeof(page->hook_id));
    page->hook_service = -1;
    if (t->launch_type == LAUNCH_EC2 && h == NULL)
        crowd_fail(w, page->service, "task %.8s is on no host", t->id);
    return page;
}

static void
judge_hook_task(struct crowd *w, const struct task *t, struct crowd_task *page)
{
    const struct service *now = service_of_hook(w->core, t->hook_id);
    struct crowd_service *s = now == NULL ? NULL : crowd_service_of(w, now->arn);
    struct complaint complaint;

    if (s == NULL) {
        crowd_fail(w, -1, "task %.8s is of hook %.8s, which nobody waits for", t->id, t->hook_id);
        return;
    }
    page->hook_service = (int)(s - w->services);
    for (const struct crowd_task *x = s->hook_tasks; x != NULL; x = x->next_of_service)
        crowd_complain(w, page->hook_service,
                       hook_task_is_well(w->core, t, x->id, x->hook_id, x->book.told_stopped,
                                         /* is_of_other_service= */ false, &complaint),
                       &complaint);
    crowd_note(w, &s->hooks, sizeof(s->hooks));
    hook_task_noted(&s->hooks, now, t->hook_id);
    w->sum.hook_tasks++;
    page->next_of_service = s->hook_tasks;
    s->hook_tasks = page;
}

static void
open_page(struct crowd *w, const struct task *t)
{
    struct crowd_task *page = page_of(w, t);
    struct complaint complaint;

    if (t->hook_id[0] != '\0')
        judge_hook_task(w, t, page);
    if (w->task_count == w->task_capacity) {
        w->task_capacity = w->task_capacity == 0 ? 1024 : w->task_capacity * 2;
        w->tasks = mem_grow(w->tasks, (size_t)w->task_capacity, sizeof(struct crowd_task *));
    }
    w->tasks[w->task_count++] = page;
    strmap_put(&w->tasks_by_id, page->id, page);
    crowd_tell(w, page->service, "starts task %.8s of %s on %s, behaviour %d", page->id,
               page->deployment_id, page->host < 0 ? "FARGATE" : w->hosts[page->host].name,
               (int)page->behaviour);
    if (page->host >= 0) {
        judge_place(w, page);
        page->next_here = w->hosts[page->host].tasks;
        w->hosts[page->host].tasks = page;
    }
    if (page->service >= 0) {
        crowd_complain(w, page->service, hooks_let_start(w->core, t, &complaint), &complaint);
        crowd_complain(w, page->service, launch_is_allowed(t, &complaint), &complaint);
        page->next_of_service = w->services[page->service].tasks;
        w->services[page->service].tasks = page;
        judge_start(w, page);
        judge_digest(w, page);
    }
}

/* ---- hooks ---- */

static void
judge_call(struct crowd *w, const struct ef_hook_call *call)
{
    const struct service *now = service_of_hook(w->core, call->hook_id);
    struct crowd_service *s = now == NULL ? NULL : crowd_service_of(w, now->arn);
    struct complaint complaint;

    if (s == NULL)
        return;
    crowd_note(w, &s->hooks, sizeof(s->hooks));
    crowd_complain(w, (int)(s - w->services),
                   hook_call_is_well(&s->hooks, now, call, w->now_ms, w->stalled_until_ms, w->epoch,
                                     &complaint),
                   &complaint);
}

static void
judge_cancel(struct crowd *w, const char *hook_id)
{
    struct crowd_service *s = NULL;
    struct hook_note *n = crowd_hook_note(w, hook_id, &s);
    struct complaint complaint;

    if (n == NULL)
        return;
    crowd_note(w, n, sizeof(*n));
    crowd_complain(w, (int)(s - w->services),
                   hook_cancel_is_well(n, w->now_ms, w->stalled_until_ms, w->epoch, &complaint),
                   &complaint);
}

/* ---- a step ---- */

static void
judge_row(struct crowd *w, const struct task *t)
{
    struct crowd_task *page = t == NULL ? NULL : strmap_get(&w->tasks_by_id, t->id);
    struct complaint complaint;

    if (page == NULL)
        return;
    crowd_complain(w, page->service,
                   task_is_shown_well(t, page->book.version, page->book.told_stopped, &complaint),
                   &complaint);
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
        } else if (e->type == EFFECT_HOOK_CALL) {
            judge_call(w, &e->hook_call);
        } else if (e->type == EFFECT_HOOK_CANCEL) {
            judge_cancel(w, e->hook_cancel.hook_id);
        } else if (e->type == EFFECT_TARGET_DEREGISTER) {
            snprintf(name, sizeof(name), "%s:%d", e->target_deregister.target_id,
                     e->target_deregister.port);
            page = strmap_get(&w->tasks_by_target, name);
            if (page != NULL)
                judge_stop(w, page, "deregister");
        }
    }
}
