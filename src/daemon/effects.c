/* SPDX-License-Identifier: MIT */
#include "daemon/effects.h"

#include <assert.h>
#include <stdio.h>
#include "daemon/view_tls.h"
#include "model/arn.h"

static void
copy_images(struct agent_task *t, const struct task_definition *td, const struct revision *revision)
{
    for (int i = 0; i < td->container_count; i++) {
        const struct container_definition *c = &td->containers[i];

        text_copy(t->images[i].name, sizeof(t->images[i].name), str_of(c->name));
        text_copy(t->images[i].image, sizeof(t->images[i].image), str_of(c->image));
        for (int k = 0; revision != NULL && k < revision->image_count; k++)
            if (strcmp(revision->images[k].container, c->name) == 0)
                text_copy(t->images[i].digest, sizeof(t->images[i].digest),
                          str_of(revision->images[k].digest));
    }
    t->image_count = td->container_count;
}

struct agent_task *
agent_task_of(const struct core *core, const struct ef_task_start *start)
{
    const struct task *task = core_task_by_arn(core, start->task_arn);
    const struct task_definition *td;
    const struct service *service;
    const char *log_mode;
    struct agent_task *t;

    if (task == NULL || task->last_status == TASK_STOPPED)
        return NULL;
    td = core_task_definition(core, task->region, str_of(task->task_definition_arn));
    assert(td != NULL); /* a definition in use is never forgotten */
    t = mem_new(sizeof(*t));
    text_copy(t->id, sizeof(t->id), str_of(task->id));
    text_copy(t->arn, sizeof(t->arn), str_of(task->arn));
    text_copy(t->cluster_name, sizeof(t->cluster_name), str_of(task->cluster_name));
    text_copy(t->cluster_arn, sizeof(t->cluster_arn), str_of(task->cluster_arn));
    text_copy(t->region, sizeof(t->region), str_of(task->region));
    text_copy(t->service_name, sizeof(t->service_name), str_of(task->service_name));
    text_copy(t->family, sizeof(t->family), str_of(td->family));
    t->revision = td->revision;
    t->launch_type = task->launch_type;
    t->definition = json_ref(td->doc);
    t->overrides = json_ref(task->overrides);
    t->gpus = json_ref(task->gpus);
    t->only_adopt = start->only_adopt;
    t->is_repeated = start->is_repeated;
    log_mode = core_account_default(core, task->region, "defaultLogDriverMode");
    if (log_mode != NULL)
        text_copy(t->log_mode, sizeof(t->log_mode), str_of(log_mode));
    service = task->service_arn[0] != '\0' ? core_service_by_arn(core, task->service_arn) : NULL;
    copy_images(t, td, service != NULL ? service_find_revision(service, task->revision_arn) : NULL);
    return t;
}

bool
agent_task_check_images(const struct agent_task *task, struct registry *registry, struct err *err)
{
    for (int i = 0; i < task->image_count; i++) {
        const char *digest = task->images[i].digest;
        struct registry_image ours;

        if (!registry_parse_image(registry, str_of(task->images[i].image), &ours))
            continue;
        if (digest[0] == '\0')
            digest = ours.digest;
        if (digest[0] != '\0' && !registry_image_check_active(registry, ours.region, ours.repository, digest, err))
            return false;
    }
    return true;
}

static void
fill_target(struct view_target *to, const struct target_group *tg, const struct target *from)
{
    text_copy(to->id, sizeof(to->id), str_of(from->id));
    to->port = from->port;
    to->registration = from->registration;
    /* A target of type `instance` is a published port of this machine. */
    text_copy(to->address, sizeof(to->address),
              tg->target_type == TARGET_TYPE_instance ? STR("127.0.0.1") : str_of(from->id));
    to->is_draining = from->draining_since_ms != 0;
    to->state = from->state;
}

static bool
is_on(const struct target_group *tg, const char *attribute)
{
    return strcmp(json_get_cstr(tg->attributes, attribute, "false"), "true") == 0;
}

static struct tcp_options
tcp_options_of(const struct target_group *tg)
{
    return (struct tcp_options){
        .is_on = true,
        .sends_proxy = is_on(tg, "proxy_protocol_v2.enabled"),
        .by_source = is_on(tg, "stickiness.enabled"),
        .outlives_drain = !is_on(tg, "deregistration_delay.connection_termination.enabled"),
    };
}

static void
fill_group(struct view_group *to, const struct core *core, const struct target_group *tg)
{
    int i = 0;

    text_copy(to->arn, sizeof(to->arn), str_of(tg->arn));
    text_copy(to->id, sizeof(to->id), str_of(tg->id));
    text_copy(to->algorithm, sizeof(to->algorithm), str_of(tg->algorithm));
    to->check = tg->check;
    to->options = group_options_of(tg->attributes);
    group_options_set_protocol(&to->options, tg->protocol, tg->protocol_version);
    to->deregistration_delay_s = tg->deregistration_delay_s;
    if (strcmp(tg->protocol, "TCP") == 0)
        to->tcp = tcp_options_of(tg);
    to->in_use = core_target_group_in_use(core, tg->arn);
    to->target_count = tg->target_count;
    to->targets = mem_new(sizeof(*to->targets) * (size_t)(tg->target_count + 1));
    for (const struct target *t = tg->targets; t != NULL; t = t->next)
        fill_target(&to->targets[i++], tg, t);
    assert(i == tg->target_count);
}

static void
fill_listener(struct view_listener *to, const struct core *core, const struct listener *l)
{
    const struct load_balancer *lb = core_load_balancer(core, l->load_balancer_arn);

    text_copy(to->arn, sizeof(to->arn), str_of(l->arn));
    text_copy(to->id, sizeof(to->id), arn_last(str_of(l->arn)));
    to->port = l->port;
    to->is_tcp = strcmp(l->protocol, "TCP") == 0;
    to->idle_timeout_s =
        to->is_tcp ? atoi(json_get_cstr(l->attributes, "tcp.idle_timeout.seconds", "350"))
                   : atoi(json_get_cstr(lb != NULL ? lb->attributes : NULL, "idle_timeout.timeout_seconds", "60"));
    text_copy(to->load_balancer_arn, sizeof(to->load_balancer_arn), str_of(l->load_balancer_arn));
    if (lb != NULL && strcmp(json_get_cstr(lb->attributes, "access_logs.s3.enabled", ""), "true") == 0) {
        text_copy(to->log_bucket, sizeof(to->log_bucket),
                  str_of(json_get_cstr(lb->attributes, "access_logs.s3.bucket", "")));
        text_copy(to->log_prefix, sizeof(to->log_prefix),
                  str_of(json_get_cstr(lb->attributes, "access_logs.s3.prefix", "")));
    }
    to->actions = json_ref(l->actions);
    view_tls_listener(to, core, lb, l);
    to->sources = lb == NULL ? NULL : core_allowed_sources(core, lb, l->port);
    to->attributes = json_ref(l->attributes);
    to->balancer_attributes = lb != NULL ? json_ref(lb->attributes) : NULL;
    to->generation = l->generation;
    to->is_awaited = l->in_force < l->generation;
}

static int
compare_rules(const void *a, const void *b)
{
    const struct rule *one = *(const struct rule *const *)a, *other = *(const struct rule *const *)b;
    const int order = strcmp(one->listener_arn, other->listener_arn);

    return order != 0 ? order : one->priority - other->priority;
}

static void
fill_rules(struct view_listener *to, const struct rule *const *rules, int count)
{
    to->rules = mem_new(sizeof(*to->rules) * (size_t)count);
    for (int i = 0; i < count; i++) {
        struct view_rule *r = &to->rules[to->rule_count++];

        text_copy(r->id, sizeof(r->id), arn_last(str_of(rules[i]->arn)));
        r->priority = rules[i]->priority;
        r->conditions = json_ref(rules[i]->conditions);
        r->actions = json_ref(rules[i]->actions);
        r->transforms = rules[i]->transforms != NULL ? json_ref(rules[i]->transforms) : NULL;
    }
}

/* Each listener's, in the order of their priorities. */
static void
share_out_rules(struct balancer_view *v, const struct core *core)
{
    const struct rule **all;
    int count = 0, next = 0;

    for (const struct rule *r = core->rules; r != NULL; r = r->next)
        count++;
    all = mem_new(sizeof(*all) * (size_t)(count + 1));
    count = 0;
    for (const struct rule *r = core->rules; r != NULL; r = r->next)
        all[count++] = r;
    qsort(all, (size_t)count, sizeof(*all), compare_rules);
    for (int first = 0; first < count; first = next) {
        for (next = first + 1; next < count; next++)
            if (strcmp(all[next]->listener_arn, all[first]->listener_arn) != 0)
                break;
        for (int i = 0; i < v->listener_count; i++)
            if (strcmp(v->listeners[i].arn, all[first]->listener_arn) == 0)
                fill_rules(&v->listeners[i], all + first, next - first);
    }
    free(all);
}

struct balancer_view *
balancer_view_of(const struct core *core)
{
    struct balancer_view *v = mem_new(sizeof(*v));
    int groups = 0, listeners = 0;

    for (const struct target_group *tg = core->target_groups; tg != NULL; tg = tg->next)
        groups++;
    for (const struct listener *l = core->listeners; l != NULL; l = l->next)
        listeners++;
    v->groups = mem_new(sizeof(*v->groups) * (size_t)(groups + 1));
    v->listeners = mem_new(sizeof(*v->listeners) * (size_t)(listeners + 1));
    for (const struct target_group *tg = core->target_groups; tg != NULL; tg = tg->next)
        fill_group(&v->groups[v->group_count++], core, tg);
    for (const struct listener *l = core->listeners; l != NULL; l = l->next)
        fill_listener(&v->listeners[v->listener_count++], core, l);
    share_out_rules(v, core);
    view_tls_certificates(v, core);
    return v;
}

/* The core is the one who says that a hook's time is over; the hands only see to it that nothing stays. */
#define HOOK_MARGIN_MS 5000

struct hook_call *
hook_call_of(const struct core *core, const struct ef_hook_call *effect)
{
    struct hook_order order;
    struct hook_call *c;

    if (!core_hook_order(core, effect, &order))
        return NULL;
    c = mem_new(sizeof(*c));
    text_copy(c->service_deployment_arn, sizeof(c->service_deployment_arn),
              str_of(effect->service_deployment_arn));
    text_copy(c->hook_id, sizeof(c->hook_id), str_of(effect->hook_id));
    c->attempt = effect->attempt;
    c->target = text_dup(order.target);
    c->payload = order.payload;
    c->timeout_ms = order.time_left_ms + HOOK_MARGIN_MS;
    return c;
}

/* Digest of one image: from its own name, or from our registry.  Sets `left_out` for the agent. */
static bool
resolve_one(struct registry *registry, const char *image, char digest[static DIGEST_SIZE], bool *left_out,
            struct err *err)
{
    const char *at = strrchr(image, '@');
    struct registry_image ours;

    if (at != NULL) {
        if (!text_copy(digest, DIGEST_SIZE, str_of(at + 1)))
            return err_set(err, ERR_DIGEST_INVALID, "the digest of image '%s' is too long", image);
        return true;
    }
    if (!registry_parse_image(registry, str_of(image), &ours)) {
        *left_out = true;
        return true;
    }
    if (!registry_resolve(registry, ours.region, ours.repository, ours.tag, digest, err) ||
        !registry_image_check_active(registry, ours.region, ours.repository, digest, err))
        return err_context(err, "%s", image);
    return true;
}

bool
resolve_images(const struct core *core, struct registry *registry, const struct ef_image_resolve *effect,
               struct agent_resolve *ask, struct err *err)
{
    const struct service *service = core_service_by_arn(core, effect->service_arn);
    const struct revision *revision =
        service != NULL ? service_find_revision(service, effect->revision_arn) : NULL;
    const struct task_definition *td;
    bool left_out = false;

    memset(ask, 0, sizeof(*ask));
    text_copy(ask->service_arn, sizeof(ask->service_arn), str_of(effect->service_arn));
    text_copy(ask->revision_arn, sizeof(ask->revision_arn), str_of(effect->revision_arn));
    if (revision == NULL)
        return true; /* gone meanwhile: the answer will be ignored */
    td = core_task_definition(core, service->region, str_of(revision->task_definition_arn));
    if (td == NULL)
        return true; /* likewise */
    ask->image_count = revision->image_count;
    for (int i = 0; i < revision->image_count; i++) {
        const struct container_definition *c = task_definition_container(td, revision->images[i].container);

        text_copy(ask->images[i].image, sizeof(ask->images[i].image), str_of(revision->images[i].image));
        ask->images[i].skip = c == NULL || !c->pins_digest;
        if (!ask->images[i].skip &&
            !resolve_one(registry, revision->images[i].image, ask->images[i].digest, &left_out, err))
            return false;
    }
    return !left_out;
}
