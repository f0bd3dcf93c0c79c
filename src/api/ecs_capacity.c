/* SPDX-License-Identifier: MIT */
/* Capacity providers: FARGATE, FARGATE_SPOT, and groups of hosts (docs/decisions/placement.md). */
#include "api/ecs_capacity.h"

#include "api/ecs_describe.h"
#include "api/ecs_operations.h"
#include "model/arn.h"

#define KEPT_MAX 100 /* own ones of a region */
#define NAMED_MAX 100
#define IN_USE "The specified capacity provider is in use and cannot be removed."

static bool
not_found(const char *name, struct err *err)
{
    return err_set(err, ERR_INVALID_PARAMETER,
                   "The specified capacity provider '%.255s' was not found. Specify a valid name and try "
                   "again.",
                   name);
}

static const char *
item_name(const struct json *strategy, size_t i)
{
    return json_get_cstr(json_at(strategy, i), "capacityProvider", "");
}

/* ---- strategies ---- */

bool
capacity_check_names(const struct request *rq, const struct json *names, struct err *err)
{
    for (size_t i = 0; i < json_size(names); i++) {
        const char *name = json_cstr(json_at(names, i), "");
        const struct capacity_provider *p = core_capacity_provider(rq->core, rq->region, name);
        if (!capacity_provider_is_fargate(name) && (p == NULL || strcmp(p->name, name) != 0))
            return not_found(name, err);
    }
    return true;
}

static bool
check_item(const struct json *strategy, size_t at, const struct json *associated, struct err *err)
{
    const char *name = item_name(strategy, at);

    if (!json_has_text(associated, name))
        return err_set(err, ERR_INVALID_PARAMETER,
                       "The specified capacity provider strategy cannot contain a capacity provider "
                       "that is not associated with the cluster. Associate the capacity provider "
                       "'%.200s' with the cluster and try again.", name);
    if (capacity_provider_is_fargate(name) != capacity_provider_is_fargate(item_name(strategy, 0)))
        return err_set(err, ERR_INVALID_PARAMETER,
                       "A capacity provider strategy cannot contain a mix of capacity providers using Auto "
                       "Scaling groups and Fargate providers. Specify one or the other and try again.");
    for (size_t i = 0; i < at; i++) {
        if (strcmp(item_name(strategy, i), name) == 0)
            return err_set(err, ERR_INVALID_PARAMETER,
                           "The capacity provider strategy names '%.200s' twice.", name);
    }
    return true;
}

bool
capacity_check_strategy(const struct json *strategy, const struct json *associated, struct err *err)
{
    int bases = 0;

    for (size_t i = 0; i < json_size(strategy); i++) {
        if (!check_item(strategy, i, associated, err))
            return false;
        bases += json_get_i64(json_at(strategy, i), "base", 0) > 0;
    }
    return bases <= 1 || err_set(err, ERR_INVALID_PARAMETER,
                                 "Only one capacity provider in a capacity provider strategy can have a "
                                 "base defined.");
}

bool
capacity_check_count(const struct json *strategy, int64_t count, struct err *err)
{
    int64_t base = 0, weights = 0;

    for (size_t i = 0; i < json_size(strategy); i++) {
        base += json_get_i64(json_at(strategy, i), "base", 0);
        weights += json_get_i64(json_at(strategy, i), "weight", 0);
    }
    return json_size(strategy) == 0 || weights > 0 || count <= base ||
           err_set(err, ERR_INVALID_PARAMETER,
                   "The capacity provider strategy must contain at least one capacity provider with a weight "
                   "greater than 0 to place more tasks than its base.");
}

const struct capacity_provider *
capacity_of_instance(const struct request *rq, const struct container_instance *i)
{
    struct str group;

    if (!container_instance_attribute(i, STR(HOST_GROUP_ATTRIBUTE), &group))
        return NULL;
    for (const struct capacity_provider *p = rq->core->capacity_providers; p != NULL; p = p->next) {
        if (strcmp(p->region, i->cluster->region) == 0 && str_is(group, p->host_group) &&
            json_has_text(json_get(i->cluster->doc, "capacityProviders"), p->name))
            return p;
    }
    return NULL;
}

/* ---- how one is shown ---- */

static struct json *
describe_own(const struct request *rq, const struct capacity_provider *p, bool with_tags)
{
    struct json *o = json_object();

    json_set(o, "capacityProviderArn", json_text(p->arn));
    json_set(o, "name", json_text(p->name));
    json_set(o, "status", json_text("ACTIVE"));
    json_set(o, "autoScalingGroupProvider", json_ref(p->doc));
    json_set(o, "tags", with_tags ? ecs_tags_or_empty(p->tags) : json_array());
    json_set(o, "type", json_text("EC2_AUTOSCALING"));
    return o;
}

static struct json *
describe_fargate(const struct request *rq, const char *name)
{
    struct json *o = json_object();
    char arn[ARN_SIZE];

    arn_format(arn, "ecs", rq->region, rq->account, "capacity-provider/%s", name);
    json_set(o, "capacityProviderArn", json_text(arn));
    json_set(o, "name", json_text(name));
    json_set(o, "status", json_text("ACTIVE"));
    json_set(o, "tags", json_array());
    json_set(o, "type", json_text(name));
    return o;
}

/* ---- CreateCapacityProvider, UpdateCapacityProvider ---- */

/* What would have naru buy, keep or end machines. */
static bool
check_managed(const struct json *group, struct err *err)
{
    if (strcmp(json_get_cstr(json_get(group, "managedScaling"), "status", "DISABLED"), "DISABLED") != 0)
        return err_set(err, ERR_UNSUPPORTED_FEATURE,
                       "autoScalingGroupProvider.managedScaling is not built in naru: it has no machines to add. "
                       "Its status can be DISABLED.");
    if (strcmp(json_get_cstr(group, "managedTerminationProtection", "DISABLED"), "DISABLED") != 0)
        return err_set(err, ERR_UNSUPPORTED_FEATURE,
                       "autoScalingGroupProvider.managedTerminationProtection is not built in naru: it ends no "
                       "machines. It can be DISABLED.");
    if (strcmp(json_get_cstr(group, "managedDraining", "DISABLED"), "DISABLED") != 0)
        return err_set(err, ERR_UNSUPPORTED_FEATURE,
                       "autoScalingGroupProvider.managedDraining is not built in naru: use "
                       "UpdateContainerInstancesState. It can be DISABLED.");
    return true;
}

static bool
check_unmanaged(const struct request *rq, struct err *err)
{
    if (json_get(rq->input, "managedInstancesProvider") != NULL)
        return err_set(err, ERR_UNSUPPORTED_FEATURE,
                       "managedInstancesProvider is not built in naru yet: autoScalingGroupProvider is.");
    if (json_get(rq->input, "cluster") != NULL)
        return err_set(err, ERR_UNSUPPORTED_FEATURE,
                       "cluster: capacity providers of one cluster (managed instances) are not built in naru yet.");
    return true;
}

/* "arn:aws:autoscaling:...:autoScalingGroupName/NAME", or the name itself. */
static bool
read_group(const struct json *provider, char out[static HOST_GROUP_SIZE], struct err *err)
{
    const struct str given = str_of(json_get_cstr(provider, "autoScalingGroupArn", ""));
    const ptrdiff_t at = str_find(given, STR(":autoScalingGroupName/"));
    struct str name = given;

    if (str_starts(given, STR("arn:"))) {
        if (at < 0 || str_find(given, STR(":autoscaling:")) < 0)
            return err_set(err, ERR_INVALID_PARAMETER,
                           "The ARN of an Auto Scaling group ends with ':autoScalingGroupName/NAME'.");
        name = str_slice(given, (size_t)at + 22, given.len);
    }
    for (size_t i = 0; i < name.len; i++) {
        const char c = name.at[i];
        if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
              strchr("_.@/\\:-", c) != NULL))
            return err_set(err, ERR_INVALID_PARAMETER,
                           "The name of an Auto Scaling group consists of letters, digits and _.@/\\:- here.");
    }
    return (name.len > 0 && text_copy(out, HOST_GROUP_SIZE, name)) ||
           err_set(err, ERR_INVALID_PARAMETER,
                   "The name of an Auto Scaling group has 1 to %d characters.", HOST_GROUP_SIZE - 1);
}

static bool
is_reserved(const char *name)
{
    return strncasecmp(name, "aws", 3) == 0 || strncasecmp(name, "ecs", 3) == 0 ||
           strncasecmp(name, "fargate", 7) == 0;
}

static bool
check_new(const struct request *rq, const char *name, const char *group, struct err *err)
{
    int count = 0;

    if (is_reserved(name))
        return err_set(err, ERR_INVALID_PARAMETER,
                       "The name of a capacity provider cannot begin with aws, ecs or fargate.");
    for (const struct capacity_provider *p = rq->core->capacity_providers; p != NULL; p = p->next) {
        if (strcmp(p->region, rq->region) != 0)
            continue;
        count++;
        if (strcmp(p->name, name) == 0)
            return err_set(err, ERR_INVALID_PARAMETER,
                           "The specified capacity provider already exists. To change it, use "
                           "UpdateCapacityProvider.");
        if (strcmp(p->host_group, group) == 0)
            return err_set(err, ERR_CLIENT,
                           "The specified Auto Scaling group is already used by the capacity provider "
                           "'%s'.", p->name);
    }
    return count < KEPT_MAX || err_set(err, ERR_LIMIT_EXCEEDED,
                                       "There are %d capacity providers, the most that are kept.", count);
}

static struct json *
group_doc(const struct json *arn)
{
    struct json *doc = json_object(), *scaling = json_object();

    json_set(doc, "autoScalingGroupArn", json_ref(arn));
    json_set(scaling, "status", json_text("DISABLED"));
    json_set(doc, "managedScaling", scaling);
    json_set(doc, "managedTerminationProtection", json_text("DISABLED"));
    json_set(doc, "managedDraining", json_text("DISABLED"));
    return doc;
}

bool
ecs_create_capacity_provider(struct request *rq, struct json *out, struct err *err)
{
    const struct json *given = json_get(rq->input, "autoScalingGroupProvider");
    const char *name = json_get_cstr(rq->input, "name", "");
    cleanup_json struct json *doc = NULL, *tags = NULL;
    char group[HOST_GROUP_SIZE];

    if (!check_unmanaged(rq, err))
        return false;
    if (given == NULL)
        return err_set(err, ERR_INVALID_PARAMETER, "autoScalingGroupProvider must be given.");
    if (!check_managed(given, err) || !read_group(given, group, err) ||
        !check_new(rq, name, group, err) || !ecs_check_tags(json_get(rq->input, "tags"), err))
        return false;
    doc = group_doc(json_get(given, "autoScalingGroupArn"));
    tags = ecs_tags_or_empty(json_get(rq->input, "tags"));
    request_step(rq, &(struct event){.type = EVENT_CAPACITY_PROVIDER_PUT,
                                     .capacity_provider_put = {.region = rq->region,
                                                               .name = name,
                                                               .host_group = group,
                                                               .doc = doc,
                                                               .tags = tags}});
    json_set(out, "capacityProvider",
             describe_own(rq, core_capacity_provider(rq->core, rq->region, name), true));
    return true;
}

/* An own one that is named to be changed. */
static struct capacity_provider *
find_own(const struct request *rq, const char *name, struct err *err)
{
    struct capacity_provider *p = core_capacity_provider(rq->core, rq->region, name);
    const struct str last = arn_last(str_of(name));

    if (str_is(last, "FARGATE") || str_is(last, "FARGATE_SPOT"))
        err_set(err, ERR_CLIENT,
                "The specified capacity provider is reserved and cannot be changed or deleted.");
    else if (p == NULL)
        (void)not_found(name, err);
    return p;
}

/* All that can be set is what holds anyway; the rest is refused. */
bool
ecs_update_capacity_provider(struct request *rq, struct json *out, struct err *err)
{
    const struct capacity_provider *p;

    if (!check_unmanaged(rq, err) ||
        !check_managed(json_get(rq->input, "autoScalingGroupProvider"), err))
        return false;
    p = find_own(rq, json_get_cstr(rq->input, "name", ""), err);
    if (p == NULL)
        return false;
    json_set(out, "capacityProvider", describe_own(rq, p, true));
    return true;
}

/* ---- DeleteCapacityProvider ---- */

bool
ecs_delete_capacity_provider(struct request *rq, struct json *out, struct err *err)
{
    const struct capacity_provider *p;
    struct json *shown;

    if (!check_unmanaged(rq, err))
        return false;
    p = find_own(rq, json_get_cstr(rq->input, "capacityProvider", ""), err);
    if (p == NULL)
        return false;
    for (const struct cluster *c = rq->core->clusters; c != NULL; c = c->next) {
        if (c->status == CLUSTER_ACTIVE && strcmp(c->region, p->region) == 0 &&
            json_has_text(json_get(c->doc, "capacityProviders"), p->name))
            return err_set(err, ERR_CLIENT, IN_USE " It is associated with the cluster '%s'.", c->name);
    }
    shown = describe_own(rq, p, true);
    json_set(shown, "status", json_text("INACTIVE"));
    json_set(shown, "updateStatus", json_text("DELETE_COMPLETE"));
    json_set(out, "capacityProvider", shown);
    request_step(rq, &(struct event){.type = EVENT_CAPACITY_PROVIDER_DELETE,
                                     .capacity_provider_delete = {.arn = p->arn}});
    return true;
}

/* ---- DescribeCapacityProviders ---- */

static struct json *
describe_named(const struct request *rq, const char *name_or_arn)
{
    const struct capacity_provider *p = core_capacity_provider(rq->core, rq->region, name_or_arn);
    const struct str last = arn_last(str_of(name_or_arn));

    if (p != NULL)
        return describe_own(rq, p, ecs_includes(rq, "TAGS"));
    if (str_is(last, "FARGATE"))
        return describe_fargate(rq, "FARGATE");
    return str_is(last, "FARGATE_SPOT") ? describe_fargate(rq, "FARGATE_SPOT") : NULL;
}

static void
add_if_associated(const struct request *rq, const struct cluster *cluster, const char *name,
                  struct ecs_page *page)
{
    if (cluster == NULL || json_has_text(json_get(cluster->doc, "capacityProviders"), name))
        ecs_page_add(page, describe_named(rq, name), "%s", name);
}

bool
ecs_describe_capacity_providers(struct request *rq, struct json *out, struct err *err)
{
    const struct json *names = json_get(rq->input, "capacityProviders");
    cleanup(ecs_page_done) struct ecs_page page = {0};
    const struct cluster *cluster = NULL;
    cleanup_json struct json *failures = json_array();

    if (json_get(rq->input, "cluster") != NULL && (cluster = ecs_find_cluster(rq, err)) == NULL)
        return false;
    if (json_size(names) > 0 &&
        !ecs_check_list(rq, "capacityProviders", NAMED_MAX, "", err))
        return false;
    for (size_t i = 0; i < json_size(names); i++) {
        const char *name = json_cstr(json_at(names, i), "");
        struct json *found = describe_named(rq, name);
        if (found != NULL)
            ecs_page_add(&page, found, "%s", json_get_cstr(found, "name", ""));
        else
            json_append(failures, ecs_failure(name, "MISSING"));
    }
    if (json_size(names) == 0) {
        add_if_associated(rq, cluster, "FARGATE", &page);
        add_if_associated(rq, cluster, "FARGATE_SPOT", &page);
        for (const struct capacity_provider *p = rq->core->capacity_providers; p != NULL; p = p->next) {
            if (strcmp(p->region, rq->region) == 0)
                add_if_associated(rq, cluster, p->name, &page);
        }
    }
    json_set(out, "failures", json_ref(failures));
    return ecs_page_write(&page, rq, "capacityProviders", 10, false, out, err);
}

/* ---- PutClusterCapacityProviders ---- */

static bool
uses(const struct json *doc, const char *name)
{
    const struct json *strategy = json_get(doc, "capacityProviderStrategy");

    for (size_t i = 0; i < json_size(strategy); i++) {
        if (strcmp(item_name(strategy, i), name) == 0)
            return true;
    }
    return false;
}

/* Also a task set that runs nothing now: it may be scaled out again. */
static bool
service_uses(const struct service *s, const char *name)
{
    const struct revision *r = ecs_current_revision(s);

    if (!s->is_external)
        return r != NULL && uses(r->doc, name);
    for (const struct deployment *d = s->deployments; d != NULL; d = d->next) {
        if (uses(d->revision->doc, name))
            return true;
    }
    return false;
}

/* By a service's present revision, or by a task that has not stopped. */
static bool
is_in_use(const struct request *rq, const struct cluster *cluster, const char *name)
{
    for (const struct service *s = rq->core->services; s != NULL; s = s->next) {
        if (s->status != SERVICE_INACTIVE && s->cluster == cluster && service_uses(s, name))
            return true;
    }
    for (const struct task *t = rq->core->tasks; t != NULL; t = t->next) {
        if (t->last_status != TASK_STOPPED && strcmp(t->capacity_provider, name) == 0 &&
            strcmp(t->cluster_arn, cluster->arn) == 0)
            return true;
    }
    return false;
}

bool
ecs_put_cluster_capacity_providers(struct request *rq, struct json *out, struct err *err)
{
    const struct cluster *cluster = ecs_find_cluster(rq, err);
    const struct json *names = json_get(rq->input, "capacityProviders");
    const struct json *strategy = json_get(rq->input, "defaultCapacityProviderStrategy"), *before;
    cleanup_json struct json *doc = NULL;

    if (cluster == NULL || !capacity_check_names(rq, names, err) ||
        !capacity_check_strategy(strategy, names, err))
        return false;
    before = json_get(cluster->doc, "capacityProviders");
    for (size_t i = 0; i < json_size(before); i++) {
        const char *name = json_cstr(json_at(before, i), "");
        if (!json_has_text(names, name) && is_in_use(rq, cluster, name))
            return err_set(err, ERR_RESOURCE_IN_USE, IN_USE);
    }
    doc = json_copy(cluster->doc);
    json_set(doc, "capacityProviders", json_ref(names));
    json_set(doc, "defaultCapacityProviderStrategy", json_ref(strategy));
    request_step(rq, &(struct event){.type = EVENT_CLUSTER_UPDATE,
                                     .cluster_update = {.arn = cluster->arn, .doc = doc}});
    json_set(out, "cluster", ecs_describe_cluster(rq, cluster));
    return true;
}
