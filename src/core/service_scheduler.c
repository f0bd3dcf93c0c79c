/* SPDX-License-Identifier: MIT */
/* service_scheduler.c - services and tasks as operators ask for them; deployment.c then makes it
 * so. */
#include <assert.h>
#include <stdio.h>
#include "core/backoff.h"
#include "core/capacity.h"
#include "core/parts.h"
#include "core/requests.h"
#include "core/rollout.h"
#include "core/strategy.h"
#include "core/task_lifecycle.h"
#include "core/task_set.h"
#include "core/zone_balance.h"
#include "model/arn.h"

#define INACTIVE_SERVICES_KEPT 100 /* with their stopped tasks and events, for post-mortems */
#define FORGOTTEN_AT_ONCE 10       /* services, with up to some hundred rows each */

void
replace_doc(struct json **at, const struct json *doc)
{
    struct json *before = *at;

    if (doc == NULL)
        return;
    *at = json_ref(doc);
    json_unref(before);
}

static void
set_config(struct service *s, const struct deployment_config *config)
{
    struct json *doc = s->config.doc;

    s->config = *config;
    s->config.doc = config->doc == NULL ? NULL : json_ref(config->doc);
    json_unref(doc);
}

/* The door checked them; those of a row from before it did bind nothing. */
static void
read_rules(struct core *core, struct service *s)
{
    placement_rules_done(&s->rules);
    core->index->daemon_count -= s->is_daemon;
    s->balances_zones =
        strcmp(json_get_cstr(s->doc, "availabilityZoneRebalancing", ""), "ENABLED") == 0;
    s->is_daemon = strcmp(json_get_cstr(s->doc, "schedulingStrategy", "REPLICA"), "DAEMON") == 0;
    s->is_external = strcmp(json_get_cstr(json_get(s->doc, "deploymentController"), "type", "ECS"),
                            "EXTERNAL") == 0;
    core->index->daemon_count += s->is_daemon;
    (void)placement_rules_read(json_get(s->doc, "placementStrategy"),
                               json_get(s->doc, "placementConstraints"), &s->rules, /* err= */ NULL);
}

void
service_add(struct core *core, struct service *s)
{
    struct core_index *x = core->index;

    read_rules(core, s);
    s->options = service_options_read(s->tags);
    s->heap_index = -1;
    s->change = ++x->last_change;
    s->next = NULL;
    if (x->last_service != NULL)
        x->last_service->next = s;
    else
        core->services = s;
    x->last_service = s;
    strmap_put(&core->index->services, s->arn, s);
}

/* A new service may take the name or the room of an INACTIVE one; what is left of that one's tasks is
 * history. */
static void
service_remove(struct core *core, struct service *s)
{
    struct service **at = &core->services, *before = NULL;

    assert(s->status == SERVICE_INACTIVE);
    while (s->live != NULL) {
        /* They are past their draining; the agent still ends them, asked for as standalone tasks.
         */
        struct task *t = s->live;
        s->live = t->next_live;
        t->service = NULL;
        t->deployment = NULL;
        core_link_task(core, t);
    }
    while (s->settled != NULL)
        core_drop_task(core, s->settled);
    core_queue(core, /* service= */ NULL);
    core_forget_wake(core, s);
    core_stop_waiting(core, s);
    parts_drop_all(core, s);
    zones_set_uneven(core, s, false);
    core->index->daemon_count -= s->is_daemon;
    while (*at != s) {
        before = *at;
        at = &before->next;
    }
    *at = s->next;
    if (core->index->last_service == s)
        core->index->last_service = before;
    strmap_remove(&core->index->services, s->arn);
    core_touch(core, ROW_SERVICE, s->arn);
    service_free(s);
}

/* Services that come and go with every branch would else fill memory and database for ever.  Not all
 * in one step, of which there may be thousands where a naru of before kept them. */
static void
forget_longest_gone(struct core *core)
{
    for (int i = 0; i < FORGOTTEN_AT_ONCE; i++) {
        struct service *oldest = NULL;
        int count = 0;
        for (struct service *s = core->services; s != NULL; s = s->next) {
            if (s->status != SERVICE_INACTIVE)
                continue;
            count++;
            if (oldest == NULL || s->deleted_at_ms < oldest->deleted_at_ms)
                oldest = s;
        }
        if (count <= INACTIVE_SERVICES_KEPT)
            return;
        service_remove(core, oldest);
    }
}

static struct revision *
make_revision(struct core *core, struct service *s, const char *task_definition_arn,
              enum launch_type launch_type, const struct service_load_balancer *load_balancers,
              int load_balancer_count, const struct json *doc)
{
    const struct task_definition *td = strmap_get(&core->index->definitions, task_definition_arn);
    struct revision *r;

    assert(td != NULL);
    r = revision_new(core, s, td);
    r->launch_type = launch_type;
    revision_set_load_balancers(r, load_balancers, load_balancer_count);
    r->doc = doc == NULL ? NULL : json_ref(doc);
    return r;
}

void
service_create(struct core *core, const struct ev_service_create *ev)
{
    struct cluster *c = strmap_get(&core->index->clusters, ev->cluster_arn);
    struct service *s = service_new(), *before;

    assert(c != NULL);
    arn_format(s->arn, "ecs", c->region, core->options.account, "service/%s/%s", c->name, ev->name);
    before = strmap_get(&core->index->services, s->arn);
    if (before != NULL)
        service_remove(core, before);
    forget_longest_gone(core);
    text_copy_all(s->name, sizeof(s->name), ev->name);
    text_copy_all(s->cluster_arn, sizeof(s->cluster_arn), c->arn);
    text_copy_all(s->cluster_name, sizeof(s->cluster_name), c->name);
    text_copy_all(s->region, sizeof(s->region), c->region);
    text_copy_all(s->created_by, sizeof(s->created_by), ev->created_by);
    text_copy_all(s->client_token, sizeof(s->client_token), ev->client_token);
    s->cluster = c;
    s->status = SERVICE_ACTIVE;
    s->desired_count = ev->desired_count;
    s->health_check_grace_s = ev->health_check_grace_s;
    set_config(s, ev->config);
    replace_doc(&s->doc, ev->doc);
    replace_doc(&s->tags, ev->tags);
    s->created_at_ms = core->now_ms;
    service_add(core, s);
    if (s->is_external) {
        core_touch_service(core, s);
        core_queue(core, s);
        return;
    }
    rollout_begin(core, s,
                  make_revision(core, s, ev->task_definition_arn, ev->launch_type,
                                ev->load_balancers, ev->load_balancer_count, ev->revision_doc));
}

/* In the group of a pair that has no traffic: more tasks there would serve nobody. */
static bool
is_out_of_traffic(const struct service *s, const struct deployment *d)
{
    const struct deployment *p = service_primary(s);

    return !s->course.is_on && p != NULL && p->revision->load_balancer_count > 0 &&
           d->revision->load_balancer_count > 0 &&
           p->revision->load_balancers[0].alternate_group_arn[0] != '\0' &&
           strcmp(deployment_target_group(p, 0), deployment_target_group(d, 0)) != 0;
}

static struct deployment *
newest_complete_source(const struct service *s)
{
    for (struct deployment *d = s->deployments; d != NULL; d = d->next) {
        if (d->status == DEPLOYMENT_ACTIVE && d->rollout_state == ROLLOUT_COMPLETED &&
            !is_out_of_traffic(s, d))
            return d;
    }
    return NULL;
}

/* A scale-out during a deployment reaches the old revision too (Nov 2025, ecs.md 5.6): its capacity
 * is there even if the new one never gets healthy.  A scale-in takes from the sources what is more
 * than desired, oldest first. */
static void
spread_desired_count(struct service *s, int before, int now)
{
    struct deployment *d = newest_complete_source(s);
    int sum = 0;

    if (d != NULL && now > before)
        d->desired_count += now - before;
    for (d = s->deployments; d != NULL; d = d->next) {
        if (d->status != DEPLOYMENT_ACTIVE)
            continue;
        if (d->desired_count > now - sum)
            d->desired_count = now - sum; /* newest first: the oldest give */
        sum += d->desired_count;
    }
}

static void
set_desired_count(struct core *core, struct service *s, int count)
{
    struct deployment *p = service_primary(s);

    if (count < 0 || count == s->desired_count)
        return;
    assert(!s->is_daemon); /* its count is that of the instances; the door refuses another */
    if (s->is_external) {
        s->desired_count = count;
        task_sets_resize(core, s);
        return;
    }
    spread_desired_count(s, s->desired_count, count);
    s->desired_count = count;
    strategy_size_changed(s);
    if (p != NULL) {
        p->desired_count = count;
        p->updated_at_ms = core->now_ms;
    }
    s->is_steady = false;
}

static void
start_deployment(struct core *core, struct service *s, const struct ev_service_update *ev)
{
    const struct deployment *p = service_primary(s);
    const struct revision *now = p->revision;
    struct revision *r;

    r = make_revision(core, s,
                      ev->task_definition_arn != NULL ? ev->task_definition_arn
                                                      : now->task_definition_arn,
                      ev->launch_type >= 0 ? (enum launch_type)ev->launch_type : now->launch_type,
                      ev->has_load_balancers ? ev->load_balancers : now->load_balancers,
                      ev->has_load_balancers ? ev->load_balancer_count : now->load_balancer_count,
                      ev->revision_doc != NULL ? ev->revision_doc : now->doc);
    rollout_begin(core, s, r);
}

void
service_update(struct core *core, const struct ev_service_update *ev)
{
    struct service *s = core_service_by_arn(core, ev->service_arn);

    assert(s != NULL && s->status == SERVICE_ACTIVE);
    text_copy_all(s->invocation, sizeof(s->invocation), ev->invocation);
    set_desired_count(core, s, ev->desired_count);
    if (ev->health_check_grace_s >= 0)
        s->health_check_grace_s = ev->health_check_grace_s;
    if (ev->config != NULL)
        set_config(s, ev->config); /* in force at once, also for the deployment under way */
    replace_doc(&s->doc, ev->doc);
    read_rules(core, s);
    backoff_end(s);
    core_touch_service(core, s);
    core_queue(core, s);
    if (ev->starts_deployment)
        start_deployment(core, s, ev);
}

void
service_rollback(struct core *core, const struct ev_service_rollback *ev)
{
    struct service *s = core_service_by_arn(core, ev->service_arn);
    struct deployment *target;

    assert(s != NULL && s->status == SERVICE_ACTIVE);
    target = ev->deployment_id == NULL ? core_rollback_target(core, s)
                                       : service_find_deployment(s, ev->deployment_id);
    text_copy_all(s->invocation, sizeof(s->invocation), ev->invocation);
    set_desired_count(core, s, ev->desired_count);
    if (target != NULL && core_can_return_to(core, s, target))
        rollout_return(core, s, target, ev->reason); /* else the door refuses */
    core_touch_service(core, s);
    core_queue(core, s);
}

void
service_delete(struct core *core, const struct ev_service_delete *ev)
{
    struct service *s = core_service_by_arn(core, ev->service_arn);

    assert(s != NULL);
    if (s->status != SERVICE_ACTIVE)
        return;
    s->status = SERVICE_DRAINING;
    s->desired_count = 0;
    s->deleted_at_ms = core->now_ms;
    rollout_abandon(core, s);
    task_sets_abandon(s);
    core_queue(core, s);
}

void
service_deployment_stop(struct core *core, const struct ev_service_deployment_stop *ev)
{
    struct service_deployment *sd;
    struct service *s = core_service_of_deployment(core, ev->arn, &sd);

    assert(s != NULL);
    rollout_stop(core, s, sd, ev->rolls_back);
    core_touch_service(core, s);
    core_queue(core, s);
}

/* ---- standalone tasks ---- */

/* Where the next one goes, and by which provider. */
static enum place_lack
find_place(struct core *core, const struct ev_task_run *ev, struct place_request *rq,
           int counts[static PROVIDERS_MAX], struct container_instance **instance_out,
           const char **provider_out)
{
    struct container_instance *closest;
    enum place_lack lack =
        capacity_for_run(core, rq->cluster->region, ev->providers, counts, rq, provider_out);

    if (lack != PLACE_FITS)
        return lack;
    if (ev->instance_arn == NULL)
        return place_find(core, rq, instance_out, &closest);
    *instance_out = core_instance(core, ev->instance_arn);
    assert(*instance_out != NULL);
    return place_lack(rq, *instance_out);
}

void
task_run(struct core *core, const struct ev_task_run *ev)
{
    const struct cluster *c = strmap_get(&core->index->clusters, ev->cluster_arn);
    struct task_definition *td = strmap_get(&core->index->definitions, ev->task_definition_arn);
    char group[NAME_SIZE + 16];
    struct place_request rq;
    int counts[PROVIDERS_MAX] = {0};

    assert(c != NULL && td != NULL);
    assert(ev->count >= 1 && ev->count <= (int)ARRAY_COUNT(core->created_arns));
    snprintf(group, sizeof(group), "family:%s", td->family);
    core->created_count = 0;
    core->run_failure = NULL;
    rq = (struct place_request){.cluster = c,
                                .definition = td,
                                .launch_type = ev->launch_type,
                                .rules = ev->rules,
                                .group = ev->group != NULL ? ev->group : group};
    place_size(&rq, ev->overrides);
    for (int i = 0; i < ev->count; i++) {
        struct container_instance *instance;
        const char *provider;
        const enum place_lack lack = find_place(core, ev, &rq, counts, &instance, &provider);
        struct task *t;
        if (lack != PLACE_FITS) {
            core->run_failure = place_reason(lack);
            return;
        }
        t = task_create(
            core, &(struct task_plan){.cluster_arn = c->arn,
                                      .cluster_name = c->name,
                                      .region = c->region,
                                      .definition = td,
                                      .launch_type = ev->launch_type,
                                      .instance = instance,
                                      .provider = provider,
                                      .group = rq.group,
                                      .started_by = ev->started_by != NULL ? ev->started_by : "",
                                      .overrides = ev->overrides,
                                      .doc = ev->doc,
                                      .tags = ev->tags});
        text_copy(core->created_arns[core->created_count++], ARN_SIZE, str_of(t->arn));
    }
}

void
task_stop_request(struct core *core, const struct ev_task_stop_request *ev)
{
    struct task *t = core_task_by_arn(core, ev->task_arn);

    assert(t != NULL);
    task_stop(core, t, STOP_UserInitiated,
              ev->reason != NULL && ev->reason[0] != '\0' ? ev->reason : "Task stopped by user");
}
