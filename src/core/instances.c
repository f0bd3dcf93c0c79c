/* SPDX-License-Identifier: MIT */
/* instances.c - clusters, and the container instances that machines are in each of them. */
#include <assert.h>
#include "core/backoff.h"
#include "core/gpus.h"
#include "core/hearing.h"
#include "core/place_index.h"
#include "core/placement.h"
#include "core/progress.h"
#include "core/requests.h"
#include "model/arn.h"

#define INACTIVE_CLUSTERS_KEPT 100

void
instance_touch(struct core *core, struct container_instance *i)
{
    i->version++;
    place_index_note(core, i->machine);
    core_touch(core, ROW_INSTANCE, i->arn);
}

/* Behind the others of its cluster, and on its machine. */
void
instance_link(struct core *core, struct container_instance *i)
{
    i->cluster = strmap_get(&core->index->clusters, i->cluster_arn);
    i->machine = core_host(core, i->host);
    assert(i->cluster != NULL && i->machine != NULL);
    if (i->cluster->last_instance != NULL)
        i->cluster->last_instance->next_in_cluster = i;
    else
        i->cluster->instances = i;
    i->cluster->last_instance = i;
    place_index_add(core, i);
}

static void
set_instance(struct container_instance *i, const struct host *h)
{
    i->is_connected = h->is_connected;
    i->cpu_total = h->cpu_total;
    i->memory_total_mib = h->memory_total_mib;
    replace_doc(&i->doc, h->doc);
}

static void
read_zone(const struct container_instance *i, char out[static ATTRIBUTE_NAME_MAX + 1])
{
    struct str zone = {0};

    (void)container_instance_attribute(i, STR(ZONE_ATTRIBUTE), &zone);
    (void)text_copy(out, ATTRIBUTE_NAME_MAX + 1, str_slice(zone, 0, ATTRIBUTE_NAME_MAX));
}

static bool
is_new_zone(struct core *core, const struct cluster *c, const char *zone)
{
    const struct place_pool *pool = place_pool_of(core, c);

    for (const struct place_class *class = pool == NULL ? NULL : pool->classes; class != NULL;
         class = class->next) {
        char other[ATTRIBUTE_NAME_MAX + 1];
        read_zone(place_oldest(class)->instance, other);
        if (strcmp(other, zone) == 0)
            return false;
    }
    return true;
}

/* True if it brings its cluster a zone. */
static bool
add_instance(struct core *core, struct cluster *c, const struct host *h)
{
    char zone[ATTRIBUTE_NAME_MAX + 1];
    bool brings_zone;

    struct container_instance *i = mem_new(sizeof(*i));

    rng_hex(&core->rng, i->id, 32);
    arn_format(i->arn, "ecs", c->region, core->options.account, "container-instance/%s/%s", c->name,
               i->id);
    text_copy(i->cluster_arn, sizeof(i->cluster_arn), str_of(c->arn));
    text_copy(i->host, sizeof(i->host), str_of(h->name));
    i->registered_at_ms = core->now_ms;
    set_instance(i, h);
    read_zone(i, zone);
    brings_zone = is_new_zone(core, c, zone);
    if (core->index->last_instance != NULL)
        core->index->last_instance->next = i;
    else
        core->instances = i;
    core->index->last_instance = i;
    strmap_put(&core->index->instances, i->arn, i);
    instance_link(core, i);
    core_touch_meta(core);
    instance_touch(core, i);
    return brings_zone;
}

/* True if it moved to another zone. */
static bool
take_report(struct core *core, struct container_instance *i, struct host *h)
{
    char before[ATTRIBUTE_NAME_MAX + 1], now[ATTRIBUTE_NAME_MAX + 1];

    read_zone(i, before);
    set_instance(i, h);
    gpus_mark_all(h, i);
    instance_touch(core, i);
    read_zone(i, now);
    return strcmp(before, now) != 0;
}

static bool
has_services(const struct core *core, const struct cluster *c)
{
    for (const struct service *s = core->services; s != NULL; s = s->next) {
        if (s->cluster == c)
            return true;
    }
    return false;
}

static bool
went_before(const struct cluster *a, const struct cluster *b)
{
    return a->deleted_at_ms != b->deleted_at_ms ? a->deleted_at_ms < b->deleted_at_ms
                                                : a->created_at_ms < b->created_at_ms;
}

/* Of those that may be forgotten, or NULL. */
static struct cluster **
longest_gone(struct core *core)
{
    struct cluster **first = NULL;

    for (struct cluster **at = &core->clusters; *at != NULL; at = &(*at)->next) {
        if ((*at)->status == CLUSTER_INACTIVE && (first == NULL || went_before(*at, *first)) &&
            !has_services(core, *at))
            first = at;
    }
    return first;
}

/* INACTIVE ones are described for a while; of many those go that were deleted first. */
static void
forget_old_clusters(struct core *core)
{
    struct cluster **at;
    int count = 0;

    for (const struct cluster *c = core->clusters; c != NULL; c = c->next)
        count += c->status == CLUSTER_INACTIVE;
    for (; count > INACTIVE_CLUSTERS_KEPT && (at = longest_gone(core)) != NULL; count--) {
        struct cluster *c = *at;

        *at = c->next;
        strmap_remove(&core->index->clusters, c->arn);
        core_touch(core, ROW_CLUSTER, c->arn);
        place_pool_free(c->pool);
        cluster_free(c);
    }
}

void
cluster_create(struct core *core, const struct ev_cluster_create *ev)
{
    struct cluster *c = mem_new(sizeof(*c)), *before;
    struct cluster **end = &core->clusters;

    arn_format(c->arn, "ecs", ev->region, core->options.account, "cluster/%s", ev->name);
    before = strmap_get(&core->index->clusters, c->arn);
    assert(before == NULL || before->status == CLUSTER_INACTIVE);
    text_copy_all(c->name, sizeof(c->name), ev->name);
    text_copy_all(c->region, sizeof(c->region), ev->region);
    c->status = CLUSTER_ACTIVE;
    c->created_at_ms = core->now_ms;
    replace_doc(&c->doc, ev->doc);
    replace_doc(&c->tags, ev->tags);
    while (*end != NULL && *end != before)
        end = &(*end)->next;
    if (before != NULL) { /* in the old one's place */
        for (struct service *s = core->services; s != NULL; s = s->next)
            s->cluster = s->cluster == before ? c : s->cluster;
        c->next = before->next;
        place_pool_free(before->pool);
        cluster_free(before);
    }
    *end = c;
    strmap_put(&core->index->clusters, c->arn, c);
    core_touch(core, ROW_CLUSTER, c->arn);
    forget_old_clusters(core);
    for (const struct host *h = core->index->hosts; h != NULL; h = h->next)
        (void)add_instance(core, c, h); /* nothing is there yet that could be moved to it */
}

static void
remove_instances(struct core *core, struct cluster *c)
{
    c->instances = c->last_instance = NULL;
    core->index->last_instance = NULL;
    for (struct container_instance **at = &core->instances; *at != NULL;) {
        struct container_instance *i = *at;
        if (i->cluster != c) {
            core->index->last_instance = i;
            at = &i->next;
            continue;
        }
        assert(i->tasks == NULL);
        *at = i->next;
        strmap_remove(&core->index->instances, i->arn);
        core_touch(core, ROW_INSTANCE, i->arn);
        place_index_remove(i);
        container_instance_free(i);
    }
}

void
cluster_delete(struct core *core, const struct ev_cluster_delete *ev)
{
    struct cluster *c = strmap_get(&core->index->clusters, ev->arn);

    assert(c != NULL);
    c->status = CLUSTER_INACTIVE; /* and still described, as ECS does */
    c->deleted_at_ms = core->now_ms;
    remove_instances(core, c);
    core_touch(core, ROW_CLUSTER, c->arn);
}

void
cluster_update(struct core *core, const struct ev_cluster_update *ev)
{
    struct cluster *c = strmap_get(&core->index->clusters, ev->arn);

    assert(c != NULL);
    replace_doc(&c->doc, ev->doc);
    core_touch(core, ROW_CLUSTER, c->arn);
}

static struct container_instance *
instance_of(const struct cluster *c, const struct host *h)
{
    for (struct container_instance *i = h->instances; i != NULL; i = i->next_on_machine) {
        if (i->cluster == c)
            return i;
    }
    return NULL;
}

/* Docker was away: what it says about its tasks may have got lost, so all of them are asked for. */
static void
ask_for_all(struct core *core, const struct host *h)
{
    for (struct task *t = core->tasks; t != NULL; t = t->next) {
        if (t->last_status > TASK_RUNNING || (t->instance != NULL && t->instance->machine != h))
            continue;
        t->ask_at_ms = core->now_ms;
        core_queue(core, t->service);
    }
}

void
instance_reported(struct core *core, const struct ev_instance_report *ev)
{
    struct host *h = core_host(core, ev->host);
    bool comes_back, is_back, is_lost, is_first, zones_changed = false;

    if (h == NULL) {
        h = mem_new(sizeof(*h));
        if (!text_copy(h->name, sizeof(h->name), str_of(ev->host))) {
            free(h); /* no host has such a name */
            return;
        }
        core_add_host(core, h);
    }
    comes_back = ev->is_connected && !h->is_connected;
    is_first = !h->is_heard;
    is_back = comes_back || (ev->is_connected && is_first);
    is_lost = !ev->is_connected && h->is_connected;
    if (is_back)
        hearing_agent_comes(core, h);
    h->is_connected = ev->is_connected;
    h->is_heard = true;
    if (is_lost || (!ev->is_connected && is_first))
        h->down_since_ms = core->now_ms;
    h->cpu_total = ev->cpu_total;
    h->memory_total_mib = ev->memory_total_mib;
    replace_doc(&h->doc, ev->doc);
    h->gpus_taken = 0; /* other places mean other bits */
    for (struct cluster *c = core->clusters; c != NULL; c = c->next) {
        struct container_instance *i = instance_of(c, h);
        if (i != NULL)
            zones_changed |= take_report(core, i, h);
        else if (c->status == CLUSTER_ACTIVE)
            zones_changed |= add_instance(core, c, h);
    }
    if (comes_back)
        ask_for_all(core, h);
    if (comes_back || is_lost)
        progress_agents_changed(core);
    if (comes_back || is_lost || is_first)
        hearing_agents_changed(core);
    if (is_back)
        backoff_host_returned(core);
    place_changed(core, zones_changed);
}

/* DRAINING: nothing new comes, and the services whose tasks are there replace them (deployment.c).
 * ACTIVE again: nothing comes back by itself, but what waits for a place may find one. */
void
instance_status_set(struct core *core, const struct ev_instance_status *ev)
{
    struct container_instance *i = core_instance(core, ev->arn);

    assert(i != NULL);
    if (i->status == ev->status)
        return;
    i->status = ev->status;
    instance_touch(core, i);
    for (struct task *t = i->tasks; t != NULL; t = t->next_here) {
        if (t->service != NULL)
            core_queue(core, t->service);
    }
    place_changed(core, /* zones_changed= */ false);
}

/* Tasks that run stay where they are, even if a constraint does not hold any more. */
void
instance_attributes_set(struct core *core, const struct ev_instance_attributes *ev)
{
    struct container_instance *i = core_instance(core, ev->arn);

    assert(i != NULL);
    replace_doc(&i->custom, ev->custom);
    instance_touch(core, i);
    place_changed(core, /* zones_changed= */ false); /* its zone is the agent's to say */
}
