/* SPDX-License-Identifier: MIT */
/* checks.c - the promises, judged by the world's own book.
 * A decision is judged when it is taken, by what naru had been told by then; faults kill tasks too,
 * and nobody may be blamed for those.
 *
 * What is checked where (promises of the README and docs; # of the invariants derived from ECS):
 *   1  no request is lost           check_signal(), balancer_traffic(): nobody is signalled in traffic (#4)
 *   2  the bounds hold              judge_start(), judge_stop() (#1, #2)
 *   3  every rollout ends           world_is_steady(); check_service_shown(): of deleted services, too;
 *                                   launch_is_allowed(): not beyond the breaker (#7);
 *                                   waits_have_ended(): what was waited for is over
 *   4  rollback restores what ran   check_service_shown(): only what was COMPLETED; judge_digest() (#8)
 *   5  the verdict is honest        check_verdict(); check_progress(): not too slow before its time; check_probation();
 *                                   check_service_shown(): not stable before COMPLETED (#9)
 *   6  what runs was resolved once  judge_digest() (#6)
 *   7  killing naru is harmless     store_take_all(): every change was persisted; check_rows_read_back(): same
 *                                   ids, counters and events (#10); start(): nothing is created twice
 *   8  nothing in use is deleted    forget(): no running task; check_service_shown(): what a rollback needs
 *   #3 one PRIMARY                  core_check(), check_service_shown()
 *   lifecycle hooks                 fake_hooks.h: they are waited for and heard (3, 5)
 *   rules of listeners              rule_book.c: they are those that were asked for, in the core and in HAProxy
 *   images that are pushed again    pushes.c: who wants them next is told to fetch them, once, and nobody else
 *   task sets                       set_book.c: 2 of each set, 5 of its STEADY_STATE
 *   #5 a task never leaves STOPPED, versions rise, times are in order     check_task_rows()
 *   #11, #12 and promises 9, 10 are about the API: tests/unit/test_ecs_api.c, tests/api. */
#include "world.h"
#include <assert.h>

/* ---- the book ---- */

static struct sim_service *
service_by_arn(struct world *w, const char *arn)
{
    for (int i = 0; i < w->service_count; i++) {
        if (strcmp(w->services[i].arn, arn) == 0)
            return &w->services[i];
    }
    return NULL;
}

static void
told_task(struct world *w, const struct ev_task_state *ev)
{
    const int i = container_find(w, ev->task_id);
    struct sim_container *c = i < 0 ? NULL : &w->containers[i];

    if (c == NULL || c->told_stopped || (ev->status == TASK_PENDING && c->told_running_ms != 0))
        return;
    c->is_unheard = false;
    if (ev->status == TASK_STOPPED) {
        c->told_stopped = true;
        if (c->hook_service >= 0)
            hook_task_told(&w->services[c->hook_service].hooks, c->hook_id,
                           hook_task_has_failed(ev, c->asked_stop && !c->by_user), naru_now(w));
        c->exited_early = c->service >= 0 && !c->asked_stop &&
                          is_early_exit(&w->services[c->service].watch, ev, c->told_running_ms,
                                        naru_now(w));
    }
    if (ev->status == TASK_RUNNING && c->told_running_ms == 0)
        c->told_running_ms = naru_now(w);
    c->told_health = ev->health;
}

static void
told_target(struct world *w, const struct ev_target_health *ev)
{
    const int i = target_find(w, ev->target_group_arn, ev->target_id, ev->port);

    if (i >= 0 && w->targets[i].is_registered && !w->targets[i].is_draining &&
        w->targets[i].registration == ev->registration)
        w->targets[i].told = ev->state;
}

static void
told_placement(struct sim_service *s, const struct json *doc)
{
    const struct json *constraint = json_at(json_get(doc, "placementConstraints"), 0);
    const char *type = json_get_cstr(constraint, "type", "");

    s->is_external = strcmp(json_get_cstr(json_get(doc, "deploymentController"), "type", "ECS"),
                            "EXTERNAL") == 0;
    s->balances_zones =
        strcmp(json_get_cstr(doc, "availabilityZoneRebalancing", ""), "ENABLED") == 0;
    s->strategy = (enum sim_strategy)json_get_i64(doc, "drawn", NO_STRATEGY);
    s->constraint = strcmp(type, "distinctInstance") == 0 ? DISTINCT
                    : strcmp(type, "memberOf") == 0       ? RED
                                                          : NO_CONSTRAINT;
}

static void
told_service(struct world *w, const char *arn, int desired_count,
             const struct deployment_config *config, const struct json *doc)
{
    struct sim_service *s = service_by_arn(w, arn);

    if (doc != NULL)
        told_placement(s, doc);
    if (desired_count >= 0)
        s->desired_count = desired_count;
    if (config != NULL) {
        s->minimum = config->minimum_healthy_percent;
        s->maximum = config->maximum_percent;
        s->has_breaker = config->breaker.enable;
        s->has_rolled |= config->strategy.strategy == STRATEGY_ROLLING;
        s->has_shifted |= config->strategy.strategy != STRATEGY_ROLLING;
        s->may_be_early |= config->strategy.succeeds_early;
    }
}

static void
told_host(struct world *w, const struct ev_instance_report *ev)
{
    struct complaint complaint;

    for (int i = 0; i < w->host_count; i++) {
        struct sim_host *h = &w->hosts[i];
        if (strcmp(h->name, ev->host) != 0)
            continue;
        if (ev->is_connected && (!h->told_connected || h->told_epoch != w->epoch + 1))
            world_judge(w, waits_have_ended(w->core, naru_now(w), &complaint), &complaint);
        if (ev->is_connected && !h->told_connected)
            nobody_watched(w, i);
        h->told_connected = ev->is_connected;
        h->told_gpus = gpu_bits(json_get(ev->doc, "gpus"), i);
        h->told_epoch = w->epoch + 1; /* 0: never */
        for (const struct container_instance *c = w->core->instances; c != NULL; c = c->next) {
            if (strcmp(c->host, h->name) != 0)
                continue;
            text_copy(h->instance, sizeof(h->instance), str_of(c->id));
            text_copy(h->instance_arn, sizeof(h->instance_arn), str_of(c->arn));
        }
    }
}

static void
note_steady(struct world *w)
{
    for (int i = 0; i < w->container_count; i++) {
        struct sim_container *c = &w->containers[i];
        c->was_steady |= c->service >= 0 && w->services[c->service].kind == NO_LB && is_told_healthy(w, i);
    }
}

/* Once the step is committed: what the core knows now, and what was asked of it. */
void
told(struct world *w, const struct event *ev)
{
    switch (ev->type) {
    case EVENT_RULE_PUT:
    case EVENT_RULE_DELETE:
    case EVENT_RULE_PRIORITIES:
        told_rules(w);
        break;
    case EVENT_TASK_STATE:
        told_task(w, &ev->task_state);
        break;
    case EVENT_TARGET_HEALTH:
        told_target(w, &ev->target_health);
        break;
    case EVENT_STOOD_STILL:
        nobody_watched(w, /* host= */ -1);
        break;
    case EVENT_INSTANCE_REPORT:
        told_host(w, &ev->instance_report);
        break;
    case EVENT_INSTANCE_STATUS:
        w->hosts[host_find(w, ev->instance_status.arn)].told_draining =
            ev->instance_status.status == INSTANCE_DRAINING;
        break;
    case EVENT_INSTANCE_ATTRIBUTES:
        w->hosts[host_find(w, ev->instance_attributes.arn)].told_red =
            json_size(ev->instance_attributes.custom) > 0;
        break;
    case EVENT_SERVICE_CREATE:
        for (int i = 0; i < w->service_count; i++) {
            struct sim_service *s = &w->services[i];
            if (strcmp(s->name, ev->service_create.name) != 0)
                continue;
            s->exists = true;
            s->is_deleted = s->has_rolled = s->has_shifted = s->may_be_early = false;
            s->sets.count = 0;
            watch_begin(&s->watch);
            told_service(w, s->arn, ev->service_create.desired_count, ev->service_create.config,
                         ev->service_create.doc);
        }
        break;
    case EVENT_SERVICE_UPDATE:
        told_service(w, ev->service_update.service_arn, ev->service_update.desired_count,
                     ev->service_update.config, ev->service_update.doc);
        break;
    case EVENT_SERVICE_ROLLBACK:
        told_service(w, ev->service_rollback.service_arn, ev->service_rollback.desired_count, NULL,
                     NULL);
        break;
    case EVENT_SERVICE_DELETE:
        service_by_arn(w, ev->service_delete.service_arn)->is_deleted = true;
        break;
    case EVENT_HOOK_ANSWERED:
        note_hook_answer(w, &ev->hook_answered);
        break;
    case EVENT_TASK_SET_CREATE:
    case EVENT_TASK_SET_SCALE:
    case EVENT_TASK_SET_DELETE:
        note_task_set(w, ev);
        break;
    case EVENT_TARGETS_CHANGE: {
        const struct ev_targets_change *c = &ev->targets_change;
        const int i = target_find(w, c->target_group_arn, c->targets[0].id, c->targets[0].port);
        if (i >= 0 && !c->registers)
            w->targets[i].by_hand = true;
        break;
    }
    case EVENT_TAGS_SET:
        watch_told(&service_by_arn(w, ev->tags_set.arn)->watch, ev->tags_set.tags);
        break;
    case EVENT_TASK_STOP_REQUEST: {
        const int i = container_find(w, strrchr(ev->task_stop_request.task_arn, '/') + 1);
        if (i >= 0)
            w->containers[i].by_user = true;
        break;
    }
    case EVENT_TASK_PROTECT: {
        const int i = container_find(w, strrchr(ev->task_protect.task_arn, '/') + 1);
        if (i >= 0)
            w->containers[i].protected_until_ms =
                ev->task_protect.duration_ms == 0 ? 0 : naru_now(w) + ev->task_protect.duration_ms;
        break;
    }
    default:
        break;
    }
    note_steady(w);
}

bool
is_wanted(const struct sim_container *c)
{
    return !c->asked_stop && !c->told_stopped;
}

static int
target_of(const struct world *w, int container)
{
    for (int i = 0; i < w->target_count; i++) {
        if (w->targets[i].is_registered && w->targets[i].container == container)
            return i;
    }
    return -1;
}

/* Has it an agent that could tell of its end?  What has no place may be anywhere. */
static bool
is_in_reach(const struct world *w, const struct sim_container *c)
{
    bool is_any = false;

    for (int i = 0; i < w->host_count; i++)
        is_any |= w->hosts[i].told_connected;
    return c->is_placed ? w->hosts[c->host].told_connected : is_any;
}

void
nobody_watched(struct world *w, int host)
{
    for (int i = 0; i < w->container_count; i++) {
        struct sim_container *c = &w->containers[i];
        if (c->service >= 0 && !c->was_steady &&
            (host < 0 || (c->is_placed ? c->host == host : !is_in_reach(w, c))))
            c->is_unheard = true;
    }
}

bool
is_told_healthy(const struct world *w, int container)
{
    const struct sim_container *c = &w->containers[container];
    const enum service_kind kind = w->services[c->service].kind;
    int t;

    if (!is_wanted(c) || c->told_running_ms == 0)
        return false;
    if (kind == CHECKED_NO_LB)
        return c->told_health == HEALTH_HEALTHY;
    if (kind == NO_LB) /* time that nobody saw proves nothing */
        return c->was_steady ||
               (!c->is_unheard && is_in_reach(w, c) && naru_now(w) >= c->told_running_ms + STEADY_AFTER_MS);
    t = target_of(w, container);
    return t >= 0 && !w->targets[t].is_draining && w->targets[t].told == TARGET_healthy;
}

/* ---- promise 2: the bounds, and 6: one digest a deployment ---- */

int
wanted_on(const struct world *w, int service, int host)
{
    int n = 0;

    for (int i = 0; i < w->container_count; i++) {
        const struct sim_container *c = &w->containers[i];
        n += c->service == service && c->host == host && is_wanted(c);
    }
    return n;
}

/* A daemon wants as many as there are instances for it. */
int
desired_of(const struct world *w, int service)
{
    const struct sim_service *s = &w->services[service];
    int n = 0;

    if (!s->is_daemon)
        return s->desired_count;
    for (int i = 0; i < w->host_count; i++) {
        const struct sim_host *h = &w->hosts[i];
        n += !h->told_draining && (s->constraint != RED || h->told_red) &&
             (h->told_connected || wanted_on(w, service, i) > 0);
    }
    return n;
}

static void
judge_start(struct world *w, int container)
{
    const struct sim_container *c = &w->containers[container];
    const struct sim_service *s = &w->services[c->service];
    int total = 0, most = s->desired_count * s->maximum / 100;

    if (s->is_external) {
        judge_set_start(w, container);
        return;
    }
    for (int i = 0; i < w->container_count; i++)
        total += w->containers[i].service == c->service && is_wanted(&w->containers[i]);
    if (s->has_shifted && most < 2 * s->desired_count)
        most = 2 * s->desired_count; /* both revisions at full strength (ecs.md 6.7) */
    if (!s->is_daemon && total > most)
        world_fail(w, "promise 2: %s starts task %.8s: %d tasks, desired %d, maximum %d %%",
                   s->name, c->id, total, s->desired_count, s->maximum);
    if (s->is_deleted)
        world_fail(w, "%s is deleted and starts task %.8s", s->name, c->id);
}

/* ---- where a task goes (ecs.md 7) ---- */

/* Those that no task holds: a task that is told to stop does so until it is said to be STOPPED. */
static uint64_t
free_gpus(const struct world *w, int host)
{
    uint64_t free_ones = w->hosts[host].told_gpus;

    for (int i = 0; i < w->container_count; i++) {
        const struct sim_container *c = &w->containers[i];
        if (c->is_placed && c->host == host && !c->told_stopped)
            free_ones &= ~c->gpus;
    }
    return free_ones;
}

/* May the service have another task on this host?  Those that are told to stop count until they are. */
static bool
has_room(const struct world *w, int service, int host)
{
    const enum sim_constraint constraint =
        service < 0 ? NO_CONSTRAINT : w->services[service].constraint;
    const bool is_alone =
        service >= 0 && (constraint == DISTINCT || w->services[service].is_daemon ||
                         w->services[service].kind == FIXED_PORT_LB);
    int cpu = TASK_CPU;

    for (int i = 0; i < w->container_count; i++) {
        const struct sim_container *c = &w->containers[i];
        if (!c->is_placed || c->host != host || c->told_stopped)
            continue;
        cpu += TASK_CPU;
        if (is_alone && c->service == service)
            return false;
    }
    return cpu <= w->host_cpu &&
           gpus_wanted_by(w, service) <= __builtin_popcountll(free_gpus(w, host));
}

bool
is_eligible(const struct world *w, int service, int host)
{
    const struct sim_host *h = &w->hosts[host];

    return h->told_connected && !h->told_draining &&
           (service < 0 || w->services[service].constraint != RED || h->told_red) &&
           has_room(w, service, host);
}

/* As many as its definition or the operator asked for, of its own host, and nobody else's;
 * `service` is that of its definition. */
static uint64_t
judge_gpus(struct world *w, const struct task *t, int service, int host)
{
    const struct json *given = json_get(t->gpus, "app");
    const int wanted = t->overrides != NULL ? GPU_OVERRIDE : gpus_wanted_by(w, service);
    const uint64_t gpus = gpu_bits(given, host);

    if (__builtin_popcountll(gpus) != wanted || json_size(given) != (size_t)wanted)
        world_fail(w, "task %.8s wants %d GPUs and has %d of its host", t->id, wanted,
                   __builtin_popcountll(gpus));
    if ((gpus & ~free_gpus(w, host)) != 0)
        world_fail(w, "task %.8s is given a GPU that is not free", t->id);
    return gpus;
}

/* Judged before the task is in the book. */
static void
judge_place(struct world *w, const struct task *t, int service, int host)
{
    if (host < 0) {
        world_fail(w, "task %.8s is on no host", t->id);
        return;
    }
    if (!is_eligible(w, service, host))
        world_fail(w, "task %.8s goes to %s: connected %d, draining %d, red %d, room %d", t->id,
                   w->hosts[host].name, w->hosts[host].told_connected, w->hosts[host].told_draining,
                   w->hosts[host].told_red, has_room(w, service, host));
    if (t->capacity_provider[0] != '\0' && t->capacity_provider[strlen("group")] - '0' != host % 2)
        world_fail(w, "task %.8s of %s goes to %s", t->id, t->capacity_provider, w->hosts[host].name);
    if (service < 0 || w->services[service].strategy != OVER_INSTANCES)
        return;
    for (int i = 0; i < w->host_count; i++) {
        if (t->capacity_provider[0] != '\0' && i % 2 != host % 2)
            continue;
        if (is_eligible(w, service, i) && wanted_on(w, service, i) < wanted_on(w, service, host))
            world_fail(w, "task %.8s goes to %s and %s has fewer of its service", t->id,
                       w->hosts[host].name, w->hosts[i].name);
    }
}

static bool
is_drained_away(const struct world *w, int container)
{
    const struct sim_container *c = &w->containers[container];

    return c->is_placed && w->hosts[c->host].told_draining;
}

/* Promise 1 where traffic is moved: as long as HAProxy leads requests to a group, naru leaves enough
 * tasks there.  A service that never rolled has no bounds to go below, but for an instance that is
 * being drained, where the percentages say what may go (ecs.md 5.11). */
static void
judge_group(struct world *w, int container)
{
    const struct sim_service *s = &w->services[w->containers[container].service];
    const int t = target_of(w, container);
    int healthy = 0, lower = (s->desired_count * s->minimum + 99) / 100;

    if (!service_has_pair(s) || t < 0 ||
        s->weights[w->targets[t].group % 2] == 0 || s->is_deleted)
        return;
    if (!s->has_rolled && lower == 0 && s->desired_count > 0 && !is_drained_away(w, container))
        lower = 1;
    for (int i = 0; i < w->container_count; i++) {
        const int other = w->containers[i].service != w->containers[container].service
                              ? -1
                              : target_of(w, i);
        /* A task that was protected may have stayed in the group that its deployment had left:
         * it still is one of those that are to be kept. */
        healthy += i != container && other >= 0 && is_told_healthy(w, i) &&
                   (w->targets[other].group == w->targets[t].group ||
                    strcmp(w->containers[i].deployment_id,
                           w->containers[container].deployment_id) == 0);
    }
    if (healthy < lower)
        world_fail(w,
                   "promise 1: %s stops healthy task %.8s: HAProxy leads requests to its group, "
                   "where %d healthy are left, desired %d, minimum %d %%",
                   s->name, w->containers[container].id, healthy, s->desired_count, s->minimum);
}

/* In a group without any weight, or in none: it serves nobody. */
static bool
nobody_is_led_to(const struct world *w, int container)
{
    const struct sim_service *s = &w->services[w->containers[container].service];
    const int t = target_of(w, container);

    return service_has_pair(s) && t >= 0 && s->weights[w->targets[t].group % 2] == 0 &&
           s->weights[1 - w->targets[t].group % 2] > 0;
}

static void
judge_stop(struct world *w, int container)
{
    struct sim_container *c = &w->containers[container];
    const struct sim_service *s;
    int healthy = 0, lower;
    bool was_healthy;

    if (!is_wanted(c))
        return;
    was_healthy = c->service >= 0 && is_told_healthy(w, container);
    if (was_healthy && !c->by_user && !w->services[c->service].is_external)
        judge_group(w, container);
    c->asked_stop = true;
    c->asked_stop_ms = w->now_ms;
    if (c->service >= 0 && !c->by_user && !w->services[c->service].is_deleted &&
        !is_set_deleted(w, container) && naru_now(w) < c->protected_until_ms)
        world_fail(w, "task %.8s is stopped while it is protected", c->id);
    if (!was_healthy || c->by_user)
        return;
    s = &w->services[c->service];
    if (s->is_external) {
        judge_set_stop(w, container);
        return;
    }
    lower = (desired_of(w, c->service) * s->minimum + 99) / 100;
    for (int i = 0; i < w->container_count; i++)
        healthy += w->containers[i].service == c->service && is_told_healthy(w, i);
    if (healthy < lower && !s->is_deleted && !nobody_is_led_to(w, container))
        world_fail(w,
                   "promise 2: %s stops healthy task %.8s: %d healthy left, desired %d, minimum "
                   "%d %%",
                   s->name, c->id, healthy, s->desired_count, s->minimum);
}

static void
judge_digest(struct world *w, const struct sim_container *c)
{
    for (int i = 0; i < w->pinned_count; i++) {
        if (strcmp(w->pinned[i].id, c->deployment_id) != 0)
            continue;
        if (strcmp(w->pinned[i].digest, c->digest) != 0)
            world_fail(w, "promise 6: deployment %s runs %s and %s", c->deployment_id,
                       w->pinned[i].digest, c->digest);
        return;
    }
    if (w->pinned_count == w->pinned_capacity) {
        w->pinned_capacity = w->pinned_capacity == 0 ? 16 : w->pinned_capacity * 2;
        w->pinned = mem_grow(w->pinned, (size_t)w->pinned_capacity, sizeof(w->pinned[0]));
    }
    text_copy(w->pinned[w->pinned_count].id, ID_SIZE, str_of(c->deployment_id));
    text_copy(w->pinned[w->pinned_count++].digest, DIGEST_SIZE, str_of(c->digest));
}

/* Whose hook it is, noted when its page in the book is opened. */
static int
service_number_of_hook(const struct world *w, const struct task *t)
{
    const struct service *s = t->hook_id[0] == '\0' ? NULL : service_of_hook(w->core, t->hook_id);

    for (int i = 0; s != NULL && i < w->service_count; i++) {
        if (strcmp(w->services[i].arn, s->arn) == 0)
            return i;
    }
    return -1;
}

static void
check_hook_task(struct world *w, const struct task *t)
{
    const int service = service_number_of_hook(w, t);
    struct complaint complaint;

    if (service < 0)
        world_fail(w, "task %.8s is of hook %.8s, which nobody waits for", t->id, t->hook_id);
    for (int i = 0; i < w->container_count; i++) {
        const struct sim_container *c = &w->containers[i];
        if (c->hook_id[0] != '\0')
            world_judge(w,
                        hook_task_is_well(w->core, t, c->id, c->hook_id, c->told_stopped,
                                          c->hook_service != service, &complaint),
                        &complaint);
    }
}

/* A task is seen for the first time: opens its page. */
static void
open_page(struct world *w, const struct task *t)
{
    const char *at = strchr(t->containers[0].image, '@');
    struct complaint complaint;
    struct sim_container *c;
    int service = -1, of = -1;

    for (int i = 0; i < w->service_count; i++)
        service = strcmp(w->services[i].arn, t->service_arn) == 0 ? i : service;
    if (t->launch_type == LAUNCH_EC2)
        judge_place(w, t, service, host_find(w, t->instance_arn));
    if (t->hook_id[0] != '\0')
        check_hook_task(w, t);
    if (service >= 0)
        world_judge(w, hooks_let_start(w->core, t, &complaint), &complaint);
    if (w->container_count == w->container_capacity) {
        w->container_capacity = w->container_capacity == 0 ? 64 : w->container_capacity * 2;
        w->containers =
            mem_grow(w->containers, (size_t)w->container_capacity, sizeof(w->containers[0]));
    }
    c = &w->containers[w->container_count++];
    *c = (struct sim_container){.service = -1,
                                .is_placed = t->launch_type == LAUNCH_EC2,
                                .ignores_sigterm = chance(w, 1000)};
    if (c->is_placed && host_find(w, t->instance_arn) >= 0)
        c->host = host_find(w, t->instance_arn);
    text_copy(c->id, ID_SIZE, str_of(t->id));
    text_copy(c->arn, ARN_SIZE, str_of(t->arn));
    text_copy(c->deployment_id, ID_SIZE, str_of(t->deployment_id));
    memcpy(c->hook_id, t->hook_id, sizeof(c->hook_id));
    c->hook_service = service_number_of_hook(w, t);
    if (c->hook_service >= 0)
        hook_task_noted(&w->services[c->hook_service].hooks, service_of_hook(w->core, t->hook_id),
                        t->hook_id);
    text_copy(c->digest, DIGEST_SIZE, str_of(at == NULL ? "" : at + 1));
    for (int i = 0; i < w->service_count; i++) {
        const struct sim_service *s = &w->services[i];
        const int v = version_of(s, t->task_definition_arn);
        if (v < 0)
            continue;
        of = i;
        c->behaviour = s->behaviours[v];
        if (t->service_arn[0] != '\0')
            c->service = i;
        c->has_check = s->kind == CHECKED_NO_LB;
    }
    if (c->is_placed)
        c->gpus = judge_gpus(w, t, of, c->host);
    world_trace(w, "  task %.8s of %.30s behaves %d", c->id, c->deployment_id, (int)c->behaviour);
    if (c->service >= 0) {
        world_judge(w, launch_is_allowed(t, &complaint), &complaint);
        judge_start(w, w->container_count - 1);
        judge_digest(w, c);
    }
}

static void
stop_decided(struct world *w, const char *what, int container)
{
    if (container < 0)
        return;
    world_trace(w, "  %s %.8s", what, w->containers[container].id);
    judge_stop(w, container);
}

/* A task whose target an operator took out already is stopped without a DEREGISTER of its own. */
static void
note_stops_by_hand(struct world *w, int first)
{
    for (int i = first; i < w->effects.count; i++) {
        const struct effect *e = &w->effects.at[i];
        const struct task *t = e->type == EFFECT_PERSIST && e->persist.kind == ROW_TASK
                                   ? core_task_by_arn(w->core, e->persist.key)
                                   : NULL;
        const int c = t == NULL || task_is_wanted(t) ? -1 : container_find(w, t->id);
        for (int x = 0; c >= 0 && x < w->target_count; x++) {
            if (w->targets[x].container == c && w->targets[x].by_hand)
                w->containers[c].asked_stop = true;
        }
    }
}

/* By the same effects, whose commit came late: the balancer has not heard of it yet. */
static bool
is_registered_before(const struct world *w, int effect)
{
    const int64_t registration = w->effects.at[effect].target_deregister.registration;
    const char *group = w->effects.at[effect].target_deregister.target_group_arn;

    for (int i = 0; i < effect; i++) {
        const struct effect *e = &w->effects.at[i];
        if (e->type == EFFECT_TARGET_REGISTER && e->target_register.registration == registration &&
            strcmp(e->target_register.target_group_arn, group) == 0)
            return true;
    }
    return false;
}

void
check_effects(struct world *w)
{
    check_effects_from(w, 0);
}

void
check_effects_from(struct world *w, int first)
{
    note_stops_by_hand(w, first);
    check_task_rows(w, first);
    for (int i = first; i < w->effects.count; i++) {
        const struct effect *e = &w->effects.at[i];
        const struct ef_target_change *c = &e->target_deregister;
        const struct task *t;
        int at;
        switch (e->type) {
        case EFFECT_TASK_START:
            t = core_task_by_arn(w->core, e->task_start.task_arn);
            if (t != NULL && container_find(w, t->id) < 0)
                open_page(w, t);
            break;
        case EFFECT_TASK_STOP:
            stop_decided(w, "stop", container_find(w, strrchr(e->task_stop.task_arn, '/') + 1));
            break;
        case EFFECT_TARGET_DEREGISTER:
            at = target_find(w, c->target_group_arn, c->target_id, c->port);
            if (at >= 0 && w->targets[at].is_registered && !w->targets[at].by_hand)
                stop_decided(w, "deregister", w->targets[at].container);
            else if (is_registered_before(w, i))
                stop_decided(w, "deregister",
                             container_of_target(w, group_find(w, c->target_group_arn), c->target_id,
                                                 c->port));
            break;
        case EFFECT_HOOK_CALL:
        case EFFECT_HOOK_CANCEL:
            note_hook_effect(w, e);
            break;
        default:
            break;
        }
    }
}

/* ---- promise 1 ---- */

void
check_signal(struct world *w, int container)
{
    for (int i = 0; i < w->target_count; i++) {
        const struct sim_target *x = &w->targets[i];
        if (!x->is_registered || x->container != container)
            continue;
        if (x->in_rotation)
            world_fail(w, "promise 1: task %.8s is signalled while it takes traffic",
                       w->containers[container].id);
        else if (x->in_flight > 0)
            world_fail(w, "promise 1: task %.8s is signalled with %d requests in flight",
                       w->containers[container].id, x->in_flight);
        else if (!x->is_draining) /* idle, and about to say so, is as good as gone */
            world_fail(w, "promise 1: task %.8s is signalled while its target is registered",
                       w->containers[container].id);
    }
}

/* ---- promises 3 and 5 ---- */

/* ... and that all requests are led to it. */
static void
check_led(struct world *w, const struct sim_service *s, const struct deployment *p)
{
    struct complaint complaint;

    if (service_has_pair(s) && !s->has_rolled)
        world_judge(w, is_led_well(p, s->groups, s->weights, &complaint), &complaint);
}

/* Whoever says COMPLETED says that the old revisions take no traffic any more. */
static void
check_verdict(struct world *w, int service)
{
    const struct sim_service *s = &w->services[service];
    const struct service *now = core_service_by_arn(w->core, s->arn);
    const struct deployment *p = now == NULL ? NULL : service_primary(now);

    if (p == NULL || p->rollout_state != ROLLOUT_COMPLETED || (service_current(now)->is_early && s->may_be_early))
        return;
    check_led(w, s, p);
    for (int i = 0; i < w->target_count; i++) {
        const struct sim_target *x = &w->targets[i];
        const struct sim_container *c = x->container < 0 ? NULL : &w->containers[x->container];
        const bool serves = x->in_rotation || (x->is_registered && x->in_flight > 0);
        if (x->group / 2 == service && serves && c != NULL && c->state == UP && c->service == service &&
            strcmp(c->deployment_id, p->id) != 0)
            world_fail(w, "promise 5: %s is COMPLETED and task %.8s of %s still takes traffic",
                       p->id, c->id, c->deployment_id);
    }
}

static int
healthy_of(const struct world *w, int service, const char *deployment_id)
{
    int n = 0;

    for (int i = 0; i < w->container_count; i++)
        n += w->containers[i].service == service && is_told_healthy(w, i) &&
             strcmp(w->containers[i].deployment_id, deployment_id) == 0;
    return n;
}

static void
check_progress(struct world *w, int service)
{
    struct sim_service *s = &w->services[service];
    const struct service *now = core_service_by_arn(w->core, s->arn);
    const struct deployment *p = now == NULL ? NULL : service_primary(now);
    const bool is_stalled = w->now_ms < w->stalled_until_ms; /* naru looks at nothing */
    char late_id[ID_SIZE];
    struct complaint complaint;
    bool is_well;

    if (p == NULL)
        return;
    text_copy(late_id, sizeof(late_id), str_of(s->watch.late_id));
    still_note(&w->still, w->core, naru_now(w), w->now_ms);
    is_well = progress_is_judged_well(&s->watch, now, healthy_of(w, service, p->id), w->now_ms,
                                      w->still.stood_ms, is_stalled, &complaint);
    if (strcmp(late_id, s->watch.late_id) != 0)
        world_trace(w, "%s made no progress", now->name);
    world_judge(w, is_well, &complaint);
}

static void
check_probation(struct world *w, int service)
{
    struct sim_service *s = &w->services[service];
    const struct service *now = core_service_by_arn(w->core, s->arn);
    const struct deployment *failed = NULL;
    struct complaint complaint;
    bool is_news;
    int exits = 0;

    if (now == NULL)
        return;
    is_news = is_taken_back(&s->watch, now, &failed);
    if (is_news)
        world_trace(w, "%s takes a complete deployment back", now->name);
    for (int i = 0; failed != NULL && i < w->container_count; i++)
        exits += w->containers[i].service == service && w->containers[i].exited_early &&
                 strcmp(w->containers[i].deployment_id, failed->id) == 0;
    world_judge(w, probation_is_judged_well(now, is_news, exits, &complaint), &complaint);
}

void
check_after_step(struct world *w)
{
    for (int i = 0; i < w->service_count; i++) {
        check_verdict(w, i);
        check_probation(w, i);
        check_progress(w, i);
        check_service_shown(w, i);
        check_hooks_heard(w, i);
        check_rules(w, i);
    }
    if (w->steps % 16 == 0)
        core_check(w->core);
}
