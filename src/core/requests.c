/* SPDX-License-Identifier: MIT */
/* requests.c - task definitions, load balancing and tags; instances.c has clusters and their instances. */
#include "core/requests.h"
#include <assert.h>
#include <stdio.h>
#include "core/rules.h"
#include "core/targets.h"
#include "model/arn.h"

/* ---- task definitions ---- */

/* "region/family": the highest revision ever used, also by deregistered ones. */
static int
next_revision(struct core *core, const char *region, const char *family)
{
    char key[REGION_SIZE + NAME_SIZE + 2];
    int64_t revision;

    snprintf(key, sizeof(key), "%s/%s", region, family);
    revision = json_get_i64(core->families, key, 0) + 1;
    json_set(core->families, key, json_int(revision));
    core_touch(core, ROW_FAMILY, key);
    return (int)revision;
}

void
task_definition_register(struct core *core, const struct ev_task_definition_register *ev)
{
    struct json *doc = json_copy(ev->doc);
    const int revision = next_revision(core, ev->region, ev->family);
    struct task_definition *td, **at = &core->task_definitions;
    char arn[ARN_SIZE];

    arn_format(arn, "ecs", ev->region, core->options.account, "task-definition/%s:%d", ev->family,
               revision);
    json_set(doc, "taskDefinitionArn", json_text(arn));
    json_set(doc, "family", json_text(ev->family));
    json_set(doc, "revision", json_int(revision));
    json_set(doc, "registeredAt", json_time_ms(core->now_ms));
    td = task_definition_new(ev->region, doc, ev->tags);
    json_unref(doc);
    td->registered_at_ms = core->now_ms;
    td->next = *at; /* at the head: the newest of its family comes first */
    *at = td;
    strmap_put(&core->index->definitions, td->arn, td);
    core_touch(core, ROW_TASK_DEFINITION, td->arn);
}

void
task_definition_deregister(struct core *core, const struct ev_task_definition_deregister *ev)
{
    struct task_definition *td = strmap_get(&core->index->definitions, ev->arn);

    assert(td != NULL);
    if (td->status != TASK_DEFINITION_ACTIVE)
        return;
    td->status = TASK_DEFINITION_INACTIVE;
    td->deregistered_at_ms = core->now_ms;
    core_touch(core, ROW_TASK_DEFINITION, td->arn);
}

/* ---- load balancing ---- */

void
config_changed(struct core *core, enum row_kind kind, const char *arn)
{
    struct effect *e;

    core_touch(core, kind, arn);
    e = core_emit(core, EFFECT_BALANCER_CONFIG);
    text_copy(e->balancer_config.arn, ARN_SIZE, str_of(arn));
}

void
load_balancer_put(struct core *core, const struct ev_load_balancer_put *ev)
{
    struct load_balancer *lb = ev->load_balancer, **at = SLOT_OF(core->load_balancers, lb->arn);

    lb->next = NULL;
    if (*at != NULL) {
        lb->next = (*at)->next;
        load_balancer_free(*at);
    }
    *at = lb;
    strmap_put(&core->index->load_balancers, lb->arn, lb);
    config_changed(core, ROW_LOAD_BALANCER, lb->arn);
}

static void
remove_listener(struct core *core, struct listener **at)
{
    struct listener *l = *at;

    rules_forget_listener(core, l->arn);
    *at = l->next;
    strmap_remove(&core->index->listeners, l->arn);
    config_changed(core, ROW_LISTENER, l->arn);
    listener_free(l);
}

void
load_balancer_delete(struct core *core, const struct ev_load_balancer_delete *ev)
{
    struct load_balancer **at = SLOT_OF(core->load_balancers, ev->arn), *lb = *at;

    for (struct listener **l = &core->listeners; *l != NULL;) {
        if (strcmp((*l)->load_balancer_arn, ev->arn) == 0)
            remove_listener(core, l);
        else
            l = &(*l)->next;
    }
    if (lb == NULL)
        return; /* deleting an unknown one succeeds (alb.md A1) */
    *at = lb->next;
    strmap_remove(&core->index->load_balancers, lb->arn);
    config_changed(core, ROW_LOAD_BALANCER, lb->arn);
    load_balancer_free(lb);
}

void
listener_put(struct core *core, const struct ev_listener_put *ev)
{
    struct listener *l = ev->listener, **at = SLOT_OF(core->listeners, l->arn);

    l->next = NULL;
    if (*at != NULL) {
        l->next = (*at)->next;
        l->generation = (*at)->generation;
        l->in_force = (*at)->in_force;
        listener_free(*at);
    }
    *at = l;
    strmap_put(&core->index->listeners, l->arn, l);
    config_changed(core, ROW_LISTENER, l->arn);
}

void
listener_delete(struct core *core, const struct ev_listener_delete *ev)
{
    struct listener **at = SLOT_OF(core->listeners, ev->arn);

    assert(*at != NULL);
    remove_listener(core, at);
}

void
target_group_put(struct core *core, const struct ev_target_group_put *ev)
{
    struct target_group *tg = ev->target_group, **at = SLOT_OF(core->target_groups, tg->arn);
    struct target_group *before = *at;

    tg->next = NULL;
    if (before != NULL) {
        targets_replace_group(core, before, tg);
        tg->next = before->next;
        target_group_free(before);
    }
    *at = tg;
    strmap_put(&core->index->target_groups, tg->arn, tg);
    config_changed(core, ROW_TARGET_GROUP, tg->arn);
}

void
target_group_delete(struct core *core, const struct ev_target_group_delete *ev)
{
    struct target_group **at = SLOT_OF(core->target_groups, ev->arn), *tg = *at;

    assert(tg != NULL);
    targets_forget_group(core, tg);
    *at = tg->next;
    strmap_remove(&core->index->target_groups, tg->arn);
    config_changed(core, ROW_TARGET_GROUP, tg->arn);
    target_group_free(tg);
}

/* ---- tags ---- */

void
tags_set(struct core *core, const struct ev_tags_set *ev)
{
    struct cluster *c = strmap_get(&core->index->clusters, ev->arn);
    struct service *s = core_service_by_arn(core, ev->arn);
    struct task *t = core_task_by_arn(core, ev->arn);
    struct task_definition *td = strmap_get(&core->index->definitions, ev->arn);
    struct target_group *tg = core_target_group(core, ev->arn);
    struct load_balancer *lb = core_load_balancer(core, ev->arn);
    struct listener *l = core_listener(core, ev->arn);
    struct rule *r = core_rule(core, ev->arn);
    struct certificate *certificate = core_certificate(core, ev->arn);
    struct trust_store *trust = core_trust_store(core, ev->arn);
    struct network *n = core_network(core, ev->arn);
    struct container_instance *i = core_instance(core, ev->arn);
    struct service *owner = NULL;
    struct deployment *set = core_task_set(core, ev->arn, &owner);

    for (struct capacity_provider *p = core->capacity_providers; p != NULL; p = p->next) {
        if (strcmp(p->arn, ev->arn) == 0)
            replace_doc(&p->tags, ev->tags), core_touch(core, ROW_CAPACITY_PROVIDER, p->arn);
    }
    if (c != NULL)
        replace_doc(&c->tags, ev->tags), core_touch(core, ROW_CLUSTER, c->arn);
    if (i != NULL)
        replace_doc(&i->tags, ev->tags), instance_touch(core, i);
    if (s != NULL) {
        replace_doc(&s->tags, ev->tags), core_touch_service(core, s);
        s->options = service_options_read(s->tags);
        core_queue(core, s);
    }
    if (set != NULL)
        replace_doc(&set->set->tags, ev->tags), core_touch_service(core, owner);
    if (t != NULL)
        replace_doc(&t->tags, ev->tags), core_touch_task(core, t);
    if (td != NULL)
        replace_doc(&td->tags, ev->tags), core_touch(core, ROW_TASK_DEFINITION, td->arn);
    if (tg != NULL)
        replace_doc(&tg->tags, ev->tags), core_touch_group(core, tg);
    if (lb != NULL)
        replace_doc(&lb->tags, ev->tags), core_touch(core, ROW_LOAD_BALANCER, lb->arn);
    if (l != NULL)
        replace_doc(&l->tags, ev->tags), core_touch(core, ROW_LISTENER, l->arn);
    if (r != NULL)
        replace_doc(&r->tags, ev->tags), core_touch(core, ROW_RULE, r->arn);
    if (certificate != NULL)
        replace_doc(&certificate->tags, ev->tags), core_touch(core, ROW_CERTIFICATE, certificate->arn);
    if (trust != NULL)
        replace_doc(&trust->tags, ev->tags), core_touch(core, ROW_TRUST_STORE, trust->arn);
    if (n != NULL)
        replace_doc(&n->tags, ev->tags), core_touch(core, ROW_NETWORK, n->arn);
}
