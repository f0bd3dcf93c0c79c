/* SPDX-License-Identifier: MIT */
#include "core/core.h"
#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include "core/account.h"
#include "core/alarms.h"
#include "core/capacity.h"
#include "core/certificates.h"
#include "core/definitions.h"
#include "core/deployment.h"
#include "core/hearing.h"
#include "core/hooks.h"
#include "core/index.h"
#include "core/parts.h"
#include "core/place_index.h"
#include "core/placement.h"
#include "core/prefetch.h"
#include "core/progress.h"
#include "core/networks.h"
#include "core/protection.h"
#include "core/requests.h"
#include "core/rollout.h"
#include "core/rules.h"
#include "core/strategy.h"
#include "core/targets.h"
#include "core/task_lifecycle.h"
#include "core/task_set.h"
#include "core/traffic_shift.h"

#define STOOD_STILL_MS 2000 /* who comes so late was stopped, or starved */

struct core *
core_new(const struct core_options *options)
{
    struct core *core = mem_new(sizeof(*core));

    core->options = *options;
    if (core->options.steady_after_ms == 0)
        core->options.steady_after_ms = 40000;
    if (core->options.start_timeout_ms == 0)
        core->options.start_timeout_ms = 3 * 3600 * 1000;
    rng_seed(&core->rng, options->seed);
    core->last_id = 1000000000000000000ULL;
    core->families = json_object();
    core->alarms = json_object();
    core->index = mem_new(sizeof(*core->index));
    core->index->standalone_wake_ms = INT64_MAX;
    return core;
}

#define FREE_LIST(list, free_one)   \
    while ((list) != NULL) {        \
        __auto_type head_ = (list); \
        (list) = head_->next;       \
        free_one(head_);            \
    }

static void
host_free(struct host *h)
{
    json_unref(h->doc);
    free(h->ports[0]);
    free(h->ports[1]);
    free(h);
}

static void
index_free(struct core_index *x)
{
    strmap_done(&x->tasks);
    strmap_done(&x->services);
    strmap_done(&x->clusters);
    strmap_done(&x->instances);
    strmap_done(&x->definitions);
    strmap_done(&x->target_groups);
    strmap_done(&x->target_owners);
    strmap_done(&x->load_balancers);
    strmap_done(&x->listeners);
    strmap_done(&x->rules);
    strmap_done(&x->certificates);
    strmap_done(&x->trust_stores);
    strmap_done(&x->networks);
    strmap_done(&x->hosts_by_name);
    FREE_LIST(x->hosts, host_free);
    free(x->heap);
    effects_done(&x->persists);
    for (size_t i = 0; i < ARRAY_COUNT(x->loaded_parts); i++)
        json_unref(x->loaded_parts[i]);
    free(x);
}

void
core_free(struct core *core)
{
    if (core == NULL)
        return;
    FREE_LIST(core->accounts, account_free);
    for (struct container_instance *i = core->instances; i != NULL; i = i->next)
        free(i->place);
    for (struct cluster *c = core->clusters; c != NULL; c = c->next)
        place_pool_free(c->pool);
    FREE_LIST(core->clusters, cluster_free);
    FREE_LIST(core->capacity_providers, capacity_provider_free);
    FREE_LIST(core->instances, container_instance_free);
    FREE_LIST(core->task_definitions, task_definition_free);
    FREE_LIST(core->services, service_free);
    FREE_LIST(core->tasks, task_free);
    FREE_LIST(core->load_balancers, load_balancer_free);
    FREE_LIST(core->listeners, listener_free);
    FREE_LIST(core->rules, rule_free);
    FREE_LIST(core->certificates, certificate_free);
    FREE_LIST(core->trust_stores, trust_store_free);
    FREE_LIST(core->networks, network_free);
    FREE_LIST(core->target_groups, target_group_free);
    json_unref(core->families);
    json_unref(core->alarms);
    place_index_done(core);
    index_free(core->index);
    free(core);
}

/* ---- one step ---- */

static void
handle(struct core *core, const struct event *ev)
{
    switch (ev->type) {
    case EVENT_CLOCK:
        break; /* only now_ms moved; a deadline may have passed */
    case EVENT_ORDERS_LATE:
        targets_drain_anew(core);
        progress_anew(core);
        break;
    case EVENT_STOOD_STILL:
        hooks_stood_still(core, ev->stood_still.late_ms);
        strategy_stood_still(core, ev->stood_still.late_ms);
        hearing_stood_still(core, ev->stood_still.late_ms);
        break;
#define CASE(NAME, member, function) \
    case EVENT_##NAME:               \
        function(core, &ev->member); \
        break;
        CASE(ACCOUNT_SETTING_PUT, account_setting_put, account_setting_put)
        CASE(CLUSTER_CREATE, cluster_create, cluster_create)
        CASE(CLUSTER_DELETE, cluster_delete, cluster_delete)
        CASE(CLUSTER_UPDATE, cluster_update, cluster_update)
        CASE(INSTANCE_STATUS, instance_status, instance_status_set)
        CASE(INSTANCE_ATTRIBUTES, instance_attributes, instance_attributes_set)
        CASE(CAPACITY_PROVIDER_PUT, capacity_provider_put, capacity_provider_put)
        CASE(CAPACITY_PROVIDER_DELETE, capacity_provider_delete, capacity_provider_delete)
        CASE(TASK_DEFINITION_REGISTER, task_definition_register, task_definition_register)
        CASE(TASK_DEFINITION_DEREGISTER, task_definition_deregister, task_definition_deregister)
        CASE(TASK_DEFINITION_DELETE, task_definition_delete, task_definition_delete)
        CASE(SERVICE_CREATE, service_create, service_create)
        CASE(SERVICE_UPDATE, service_update, service_update)
        CASE(SERVICE_ROLLBACK, service_rollback, service_rollback)
        CASE(SERVICE_DELETE, service_delete, service_delete)
        CASE(SERVICE_DEPLOYMENT_STOP, service_deployment_stop, service_deployment_stop)
        CASE(SERVICE_DEPLOYMENT_CONTINUE, service_deployment_continue, hooks_continued)
        CASE(TASK_SET_CREATE, task_set_create, task_set_create)
        CASE(TASK_SET_SCALE, task_set_scale, task_set_scale)
        CASE(TASK_SET_PROMOTE, task_set_promote, task_set_promote)
        CASE(TASK_SET_DELETE, task_set_delete, task_set_delete)
        CASE(TASK_RUN, task_run, task_run)
        CASE(TASK_STOP_REQUEST, task_stop_request, task_stop_request)
        CASE(TASK_PROTECT, task_protect, task_protect)
        CASE(TAGS_SET, tags_set, tags_set)
        CASE(LOAD_BALANCER_PUT, load_balancer_put, load_balancer_put)
        CASE(LOAD_BALANCER_DELETE, load_balancer_delete, load_balancer_delete)
        CASE(LISTENER_PUT, listener_put, listener_put)
        CASE(LISTENER_DELETE, listener_delete, listener_delete)
        CASE(RULE_PUT, rule_put, rule_put)
        CASE(RULE_DELETE, rule_delete, rule_delete)
        CASE(RULE_PRIORITIES, rule_priorities, rule_priorities)
        CASE(CERTIFICATE_PUT, certificate_put, certificate_put)
        CASE(CERTIFICATE_DELETE, certificate_delete, certificate_delete)
        CASE(TRUST_STORE_PUT, trust_store_put, trust_store_put)
        CASE(TRUST_STORE_DELETE, trust_store_delete, trust_store_delete)
        CASE(NETWORK_PUT, network_put, network_put)
        CASE(NETWORK_DELETE, network_delete, network_delete)
        CASE(TARGET_GROUP_PUT, target_group_put, target_group_put)
        CASE(TARGET_GROUP_DELETE, target_group_delete, target_group_delete)
        CASE(TARGETS_CHANGE, targets_change, targets_change)
        CASE(INSTANCE_REPORT, instance_report, instance_reported)
        CASE(IMAGE_RESOLVED, image_resolved, image_resolved)
        CASE(IMAGE_PUSHED, image_pushed, image_pushed)
        CASE(TASK_STATE, task_state, task_state_changed)
        CASE(TARGET_HEALTH, target_health, target_health_reported)
        CASE(TARGET_DRAINED, target_drained, target_drained)
        CASE(LISTENER_IN_FORCE, listener_in_force, traffic_in_force)
        CASE(HOOK_ANSWERED, hook_answered, hooks_answered)
        CASE(ALARM_STATE, alarm_state, alarm_changed)
#undef CASE
    }
}

static void
advance_standalone(struct core *core)
{
    struct core_index *x = core->index;

    x->is_standalone_queued = false;
    targets_advance(core);
    x->standalone_wake_ms = earlier(targets_deadline_ms(core), definitions_sweep(core));
    for (struct task *t = x->standalone, *next; t != NULL; t = next) {
        next = t->next_live;
        task_advance(core, t);
    }
    for (struct task *t = x->standalone; t != NULL; t = t->next_live)
        x->standalone_wake_ms = earlier(x->standalone_wake_ms, task_deadline_ms(core, t));
}

static void
advance(struct core *core, struct effects *out)
{
    struct core_index *x = core->index;
    struct service *s;

    while (x->heap_count > 0 && x->heap[0]->wake_ms <= core->now_ms) {
        s = x->heap[0];
        core_forget_wake(core, s);
        core_queue(core, s);
    }
    if (x->is_standalone_queued || x->standalone_wake_ms <= core->now_ms)
        advance_standalone(core);
    while ((s = core_unqueue(core)) != NULL)
        deployment_advance(core, s, out);
    if (x->is_standalone_queued)
        advance_standalone(core);
}

/* All touched rows, once each. */
static void
emit_persists(struct core *core)
{
    struct effects *persists = &core->index->persists;

    core->index->is_meta_touched = false;
    for (int i = 0; i < persists->count; i++) {
        const struct ef_persist *p = &persists->at[i].persist;
        struct task *t = p->kind == ROW_TASK ? core_task_by_arn(core, p->key) : NULL;
        struct service *s = p->kind == ROW_SERVICE ? core_service_by_arn(core, p->key) : NULL;
        if (t != NULL)
            t->is_dirty = false;
        core_emit(core, EFFECT_PERSIST)->persist = *p;
        if (s != NULL) {
            s->is_dirty = false;
            parts_sort(core, s); /* may add to the list, and move it */
        }
    }
    effects_clear(persists);
}

void
core_step(struct core *core, const struct event *event, int64_t now_ms, struct effects *out)
{
    const int first = out->count;
    const int64_t due_ms = core_deadline_ms(core);

    assert(now_ms >= core->now_ms);
    core->now_ms = now_ms;
    core->index->out = out;
    core->index->step++;
    progress_was_late(core, event->type == EVENT_STOOD_STILL ? event->stood_still.late_ms : now_ms - due_ms);
    handle(core, event);
    advance(core, out);
    emit_persists(core);
    core->index->out = NULL;
    assert(core_deadline_ms(core) > now_ms); /* else whoever drives us would spin */
    core_check_touched(core, out, first);
}

int64_t
core_deadline_ms(const struct core *core)
{
    const struct core_index *x = core->index;

    return earlier(x->standalone_wake_ms, x->heap_count == 0 ? INT64_MAX : x->heap[0]->wake_ms);
}

int64_t
core_stood_still_ms(const struct core *core, int64_t look_ms, int64_t now_ms)
{
    const int64_t late_ms = now_ms - earlier(core_deadline_ms(core), look_ms);

    return late_ms > STOOD_STILL_MS ? late_ms : 0;
}

/* ---- rows ---- */

static struct json *
meta_row(const struct core *core)
{
    struct json *row = json_object(), *dice = json_array();
    char text[32];

    for (int i = 0; i < 4; i++) {
        snprintf(text, sizeof(text), "%016" PRIx64, core->rng.s[i]);
        json_append(dice, json_text(text));
    }
    json_set(row, "rng", dice);
    snprintf(text, sizeof(text), "%" PRIu64, core->last_id);
    json_set(row, "last_id", json_text(text));
    json_set(row, "alarms", json_copy(core->alarms)); /* ours goes on changing */
    return row;
}

/* Of the thousands that there may be one changes at a time. */
static struct json *
family_row(const struct core *core, const char *key)
{
    const int64_t revision = json_get_i64(core->families, key, 0);
    struct json *row;

    if (revision == 0)
        return NULL;
    row = json_object();
    json_set(row, "family", json_text(key));
    json_set(row, "revision", json_int(revision));
    return row;
}

#define ROW(kind, find, encode) \
    case kind:                  \
        object = find;          \
        return object == NULL ? NULL : encode(object);

struct json *
core_row(const struct core *core, enum row_kind kind, const char *key)
{
    const struct core_index *x = core->index;
    const void *object;

    switch (kind) {
    case ROW_META:
        return meta_row(core);
        ROW(ROW_CLUSTER, strmap_get(&x->clusters, key), cluster_encode)
        ROW(ROW_INSTANCE, core_instance(core, key), container_instance_encode)
        ROW(ROW_TASK_DEFINITION, strmap_get(&x->definitions, key), task_definition_encode)
        ROW(ROW_SERVICE, core_service_by_arn(core, key), service_encode)
        ROW(ROW_TASK, core_task_by_arn(core, key), task_encode)
        ROW(ROW_LOAD_BALANCER, core_load_balancer(core, key), load_balancer_encode)
        ROW(ROW_LISTENER, core_listener(core, key), listener_encode)
        ROW(ROW_RULE, core_rule(core, key), rule_encode)
        ROW(ROW_CERTIFICATE, core_certificate(core, key), certificate_encode)
        ROW(ROW_TRUST_STORE, core_trust_store(core, key), trust_store_encode)
        ROW(ROW_TARGET_GROUP, core_target_group(core, key), target_group_encode)
        ROW(ROW_NETWORK, core_network(core, key), network_encode)
    case ROW_CAPACITY_PROVIDER:
        for (const struct capacity_provider *p = core->capacity_providers; p != NULL; p = p->next) {
            if (strcmp(p->arn, key) == 0)
                return capacity_provider_encode(p);
        }
        return NULL;
        ROW(ROW_ACCOUNT, account_of(core, key), account_encode)
    case ROW_FAMILY:
        return family_row(core, key);
    case ROW_SERVICE_REVISION:
    case ROW_DEPLOYMENT:
    case ROW_SERVICE_DEPLOYMENT:
    case ROW_SERVICE_EVENTS:
        return parts_row(core, kind, key);
    case ROW_KIND_COUNT:
        break;
    }
    return NULL;
}
#undef ROW

void
core_each_row(const struct core *core, void (*each)(void *arg, enum row_kind kind, const char *key),
              void *arg)
{
    each(arg, ROW_META, "core");
#define EACH(list, kind)                                           \
    for (__auto_type o_ = core->list; o_ != NULL; o_ = o_->next) \
        each(arg, kind, o_->arn);
    EACH(clusters, ROW_CLUSTER)
    EACH(capacity_providers, ROW_CAPACITY_PROVIDER)
    EACH(instances, ROW_INSTANCE)
    EACH(task_definitions, ROW_TASK_DEFINITION)
    EACH(services, ROW_SERVICE)
    EACH(tasks, ROW_TASK)
    EACH(load_balancers, ROW_LOAD_BALANCER)
    EACH(listeners, ROW_LISTENER)
    EACH(rules, ROW_RULE)
    EACH(certificates, ROW_CERTIFICATE)
    EACH(trust_stores, ROW_TRUST_STORE)
    EACH(networks, ROW_NETWORK)
    EACH(target_groups, ROW_TARGET_GROUP)
#undef EACH
    for (void *it = json_first(core->families); it != NULL; it = json_next(core->families, it))
        each(arg, ROW_FAMILY, json_key(it));
    for (const struct service *s = core->services; s != NULL; s = s->next)
        parts_each(core, s, each, arg);
}

/* They were in this row, all of them in each commit, before they had rows of their own. */
static void
load_old_families(struct core *core, const struct json *families)
{
    if (json_type(families) != JSON_OBJECT)
        return;
    json_unref(core->families);
    core->families = json_copy(families);
    core->index->has_old_families = true;
}

static bool
load_family(struct core *core, const struct json *row, struct err *err)
{
    const char *family = json_get_cstr(row, "family", "");
    const int64_t revision = json_get_i64(row, "revision", 0);

    if (family[0] == '\0' || revision < 1)
        return err_set(err, ERR_INTERNAL, "the stored row of a task definition family is damaged");
    json_set(core->families, family, json_int(revision));
    return true;
}

static bool
load_meta(struct core *core, const struct json *row, struct err *err)
{
    const struct json *dice = json_get(row, "rng");
    uint64_t last_id;

    if (json_size(dice) != 4 ||
        sscanf(json_get_cstr(row, "last_id", ""), "%" SCNu64, &last_id) != 1)
        return err_set(err, ERR_INTERNAL, "the stored row of the core is damaged");
    for (size_t i = 0; i < 4; i++) {
        if (sscanf(json_cstr(json_at(dice, i), ""), "%" SCNx64, &core->rng.s[i]) != 1)
            return err_set(err, ERR_INTERNAL, "the stored dice are damaged");
    }
    core->last_id = last_id;
    load_old_families(core, json_get(row, "families"));
    json_unref(core->alarms);
    core->alarms = json_type(json_get(row, "alarms")) == JSON_OBJECT
                       ? json_copy(json_get(row, "alarms"))
                       : json_object();
    return true;
}

#define LOAD(type, decode, list, map)                         \
    {                                                         \
        struct type *object_ = decode(row, err);              \
        if (object_ == NULL)                                  \
            return false;                                     \
        object_->next = core->list;                           \
        core->list = object_;                                 \
        strmap_put(&core->index->map, object_->arn, object_); \
        return true;                                          \
    }

/* The clock of the host may have been set back while we were down: ours goes on from the latest moment
 * that was written. */
static void
was_seen(struct core *core, int64_t ms)
{
    core->now_ms = ms > core->now_ms ? ms : core->now_ms;
}

static bool
load_capacity_provider(struct core *core, const struct json *row, struct err *err)
{
    struct capacity_provider *p = capacity_provider_decode(row, err);

    if (p == NULL)
        return false;
    p->next = core->capacity_providers;
    core->capacity_providers = p;
    return true;
}

static bool
load_task(struct core *core, const struct json *row, struct err *err)
{
    struct task *t = task_decode(row, err);

    if (t == NULL)
        return false;
    was_seen(core, t->created_at_ms);
    was_seen(core, t->started_at_ms);
    was_seen(core, t->stopping_at_ms);
    was_seen(core, t->stopped_at_ms);
    core_add_task(core, t);
    return true;
}

static bool
load_service(struct core *core, const struct json *row, struct err *err)
{
    struct service *s = service_decode(row, err);

    if (s == NULL)
        return false;
    service_add(core, s);
    return true;
}

bool
core_load(struct core *core, enum row_kind kind, const struct json *row, struct err *err)
{
    assert(!core->index->is_linked);
    switch (kind) {
    case ROW_META:
        return load_meta(core, row, err);
    case ROW_CLUSTER:
        LOAD(cluster, cluster_decode, clusters, clusters)
    case ROW_INSTANCE:
        LOAD(container_instance, container_instance_decode, instances, instances)
    case ROW_TASK_DEFINITION:
        LOAD(task_definition, task_definition_decode, task_definitions, definitions)
    case ROW_SERVICE:
        return load_service(core, row, err);
    case ROW_TASK:
        return load_task(core, row, err);
    case ROW_LOAD_BALANCER:
        LOAD(load_balancer, load_balancer_decode, load_balancers, load_balancers)
    case ROW_LISTENER:
        LOAD(listener, listener_decode, listeners, listeners)
    case ROW_RULE:
        LOAD(rule, rule_decode, rules, rules)
    case ROW_CERTIFICATE:
        LOAD(certificate, certificate_decode, certificates, certificates)
    case ROW_TRUST_STORE:
        LOAD(trust_store, trust_store_decode, trust_stores, trust_stores)
    case ROW_TARGET_GROUP:
        LOAD(target_group, target_group_decode, target_groups, target_groups)
    case ROW_NETWORK:
        LOAD(network, network_decode, networks, networks)
    case ROW_CAPACITY_PROVIDER:
        return load_capacity_provider(core, row, err);
    case ROW_ACCOUNT:
        return account_load(core, row, err);
    case ROW_FAMILY:
        return load_family(core, row, err);
    case ROW_SERVICE_REVISION:
    case ROW_DEPLOYMENT:
    case ROW_SERVICE_DEPLOYMENT:
    case ROW_SERVICE_EVENTS:
        parts_load(core, kind, row);
        return true;
    case ROW_KIND_COUNT:
        break;
    }
    return err_set(err, ERR_INTERNAL, "a stored row of an unknown kind");
}

bool
core_link(struct core *core, struct err *err)
{
    assert(!core->index->is_linked);
    core->index->is_linked = true;
    parts_link(core);
    for (struct service *s = core->services; s != NULL; s = s->next) {
        if (!service_link(s, err))
            return false;
        was_seen(core, s->created_at_ms);
        if (s->event_count > 0)
            was_seen(core, s->events[0].created_at_ms);
        for (const struct deployment *d = s->deployments; d != NULL; d = d->next)
            was_seen(core, d->updated_at_ms);
    }
    return true;
}
