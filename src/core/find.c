/* SPDX-License-Identifier: MIT */
/* find.c - what readers ask of the core; nothing here changes anything. */
#include <stdio.h>
#include "core/index.h"
#include "core/rollout.h"
#include "core/strategy.h"
#include "core/targets.h"
#include "model/arn.h"

static void *
find_by_view(const struct strmap *m, struct str key)
{
    char text[ARN_SIZE];

    return text_copy(text, sizeof(text), key) ? strmap_get(m, text) : NULL;
}

struct cluster *
core_cluster(const struct core *core, const char *region, struct str name_or_arn)
{
    if (arn_is(name_or_arn))
        return find_by_view(&core->index->clusters, name_or_arn);
    for (struct cluster *c = core->clusters; c != NULL; c = c->next) {
        if (str_is(name_or_arn, c->name) && strcmp(c->region, region) == 0)
            return c;
    }
    return NULL;
}

struct service *
core_service(const struct core *core, const struct cluster *cluster, struct str name_or_arn)
{
    struct service *s;
    char arn[ARN_SIZE];

    if (cluster == NULL)
        return NULL;
    if (arn_is(name_or_arn)) {
        s = find_by_view(&core->index->services, name_or_arn);
        return s != NULL && strcmp(s->cluster_arn, cluster->arn) == 0 ? s : NULL;
    }
    if (name_or_arn.len == 0 || name_or_arn.len >= NAME_SIZE)
        return NULL;
    arn_format(arn, "ecs", cluster->region, core->options.account, "service/%s/" STR_FMT, cluster->name,
               STR_ARG(name_or_arn));
    return strmap_get(&core->index->services, arn);
}

struct service *
core_service_by_arn(const struct core *core, const char *arn)
{
    return strmap_get(&core->index->services, arn);
}

/* "arn:...:service-deployment/CLUSTER/NAME/ID" belongs to "arn:...:service/CLUSTER/NAME". */
struct service *
core_service_of_part(const struct core *core, const char *part_arn)
{
    struct arn arn;
    struct str rest, kind;
    ptrdiff_t slash;
    char text[ARN_SIZE];

    if (!arn_parse(str_of(part_arn), &arn))
        return NULL;
    rest = arn.resource;
    slash = str_split(&rest, '/', &kind) ? str_rindex(rest, '/') : -1;
    if (slash < 0 || strlen(part_arn) >= ARN_SIZE)
        return NULL;
    snprintf(text, sizeof(text), "%.*sservice/%.*s", (int)(arn.resource.at - part_arn), part_arn, (int)slash,
             rest.at);
    return core_service_by_arn(core, text);
}

struct service *
core_service_of_deployment(const struct core *core, const char *service_deployment_arn,
                           struct service_deployment **out)
{
    struct service *s = core_service_of_part(core, service_deployment_arn);

    for (struct service_deployment *sd = s == NULL ? NULL : s->history; sd != NULL; sd = sd->next) {
        if (strcmp(sd->arn, service_deployment_arn) != 0)
            continue;
        if (out != NULL)
            *out = sd;
        return s;
    }
    return NULL;
}

/* "arn:...:task-set/CLUSTER/NAME/ecs-svc/NUMBER". */
struct deployment *
core_task_set(const struct core *core, const char *arn, struct service **service_out)
{
    const char *slash = strrchr(arn, '/');
    struct service *s = NULL;
    char text[ARN_SIZE];

    if (slash != NULL && text_copy(text, sizeof(text), (struct str){arn, (size_t)(slash - arn)}))
        s = core_service_of_part(core, text);
    for (struct deployment *d = s == NULL ? NULL : s->deployments; d != NULL; d = d->next) {
        if (d->set == NULL || strcmp(d->set->arn, arn) != 0)
            continue;
        if (service_out != NULL)
            *service_out = s;
        return d;
    }
    return NULL;
}

struct task *
core_task(const struct core *core, const struct cluster *cluster, struct str id_or_arn)
{
    struct task *t;

    if (cluster == NULL)
        return NULL;
    t = find_by_view(&core->index->tasks, arn_last(id_or_arn));
    if (t == NULL || strcmp(t->cluster_arn, cluster->arn) != 0)
        return NULL;
    return arn_is(id_or_arn) && !str_is(id_or_arn, t->arn) ? NULL : t;
}

struct task *
core_task_by_id(const struct core *core, const char *id)
{
    return strmap_get(&core->index->tasks, id);
}

struct task *
core_task_by_arn(const struct core *core, const char *arn)
{
    struct task *t = find_by_view(&core->index->tasks, arn_last(str_of(arn)));

    return t != NULL && strcmp(t->arn, arn) == 0 ? t : NULL;
}

struct task_definition *
core_task_definition(const struct core *core, const char *region, struct str name)
{
    const ptrdiff_t colon = str_rindex(name, ':');
    int64_t revision = 0;
    struct str family = name;

    if (arn_is(name))
        return find_by_view(&core->index->definitions, name);
    if (colon >= 0) {
        if (!str_to_i64(str_slice(name, (size_t)colon + 1, name.len), &revision) || revision < 1)
            return NULL;
        family = str_slice(name, 0, (size_t)colon);
    }
    for (struct task_definition *td = core->task_definitions; td != NULL; td = td->next) {
        if (!str_is(family, td->family) || strcmp(td->region, region) != 0)
            continue;
        if (revision == 0 ? td->status == TASK_DEFINITION_ACTIVE : td->revision == revision)
            return td; /* newest first */
    }
    return NULL;
}

struct container_instance *
core_instance(const struct core *core, const char *arn)
{
    return strmap_get(&core->index->instances, arn);
}

struct load_balancer *
core_load_balancer(const struct core *core, const char *arn)
{
    return strmap_get(&core->index->load_balancers, arn);
}

struct listener *
core_listener(const struct core *core, const char *arn)
{
    return strmap_get(&core->index->listeners, arn);
}

struct target_group *
core_target_group(const struct core *core, const char *arn)
{
    return strmap_get(&core->index->target_groups, arn);
}

bool
core_can_return_to(const struct core *core, const struct service *service,
                   const struct deployment *deployment)
{
    if (service->course.is_on)
        return deployment == strategy_rollback_target(service);
    return deployment != service_primary(service) &&
           deployment->rollout_state == ROLLOUT_COMPLETED &&
           strmap_get(&core->index->definitions, deployment->revision->task_definition_arn) != NULL;
}

/* The most recent COMPLETED one (the list's order is that of their last activation).  While the
 * present one is itself complete, only an older one will do: going back twice must not return to
 * what the first rollback left. */
struct deployment *
core_rollback_target(const struct core *core, const struct service *service)
{
    const struct deployment *p = service_primary(service);

    if (p == NULL)
        return NULL;
    if (service->course.is_on)
        return strategy_rollback_target(service);
    for (struct deployment *d = service->deployments; d != NULL; d = d->next) {
        if (!core_can_return_to(core, service, d))
            continue;
        if (p->rollout_state == ROLLOUT_COMPLETED && strcmp(d->id, p->id) > 0)
            continue;
        return d;
    }
    return NULL;
}

#define BUSY_DEPLOYMENTS_MAX 400 /* with those kept for a rollback fewer than SERVICE_REVISIONS_MAX */

bool
core_has_room_for_deployment(const struct service *s)
{
    int busy = 0;

    if (s->revision_count < BUSY_DEPLOYMENTS_MAX)
        return true;
    for (const struct deployment *d = s->deployments; d != NULL; d = d->next)
        busy += deployment_has_tasks(s, d);
    return busy < BUSY_DEPLOYMENTS_MAX;
}

/* Else it may have ended, and nobody could say so. */
static bool
is_in_reach(const struct core *core, const struct task *t)
{
    if (t->instance != NULL)
        return t->instance->is_connected;
    return core_any_is_connected(core) || core->index->hosts == NULL;
}

bool
core_task_is_healthy(const struct core *core, const struct task *t)
{
    const bool has_check = task_definition_has_health_check(t->definition);

    if (!task_is_wanted(t) || t->last_status != TASK_RUNNING)
        return false;
    if (t->is_unheard && t->healthy_at_ms == 0)
        return false; /* it may have ended since then */
    if (has_check && t->health != HEALTH_HEALTHY)
        return false;
    if (t->target_count > 0)
        return targets_are_healthy(core, t);
    if (has_check || t->healthy_at_ms != 0)
        return true;
    return core->now_ms >= t->started_at_ms + core->options.steady_after_ms && is_in_reach(core, t);
}

struct task_counts
core_counts(const struct core *core, const struct service *service,
            const struct deployment *deployment)
{
    struct task_counts n = {0};

    for (const struct task *t = service->live; t != NULL; t = t->next_live) {
        if (deployment != NULL && t->deployment != deployment)
            continue;
        if (!task_is_wanted(t)) {
            n.stopping += t->last_status != TASK_STOPPED;
            continue;
        }
        n.desired_running++;
        n.running += t->last_status == TASK_RUNNING;
        n.pending += t->last_status < TASK_RUNNING;
        n.healthy += core_task_is_healthy(core, t);
    }
    return n;
}
