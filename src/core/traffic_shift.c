/* SPDX-License-Identifier: MIT */
#include "core/traffic_shift.h"
#include <assert.h>
#include "core/requests.h"

/* ---- which group ---- */

static bool
serves_in(const struct deployment *d, const char *group_arn)
{
    for (int i = 0; i < d->revision->load_balancer_count; i++) {
        if (strcmp(deployment_target_group(d, i), group_arn) == 0)
            return true;
    }
    return false;
}

void
traffic_choose_groups(struct deployment *d, const struct deployment *other, bool is_beside)
{
    d->alternates = 0;
    for (int i = 0; i < d->revision->load_balancer_count && other != NULL; i++) {
        const struct service_load_balancer *lb = &d->revision->load_balancers[i];
        const bool is_in_first = serves_in(other, lb->target_group_arn);
        if (lb->alternate_group_arn[0] == '\0')
            continue;
        if (is_beside ? is_in_first : !is_in_first && serves_in(other, lb->alternate_group_arn))
            d->alternates |= 1 << i;
    }
}

bool
traffic_is_astray(const struct task *t)
{
    for (int i = 0; i < t->target_count; i++) {
        if (!serves_in(t->deployment, t->targets[i].target_group_arn))
            return true;
    }
    return false;
}

/* ---- orders ---- */

static const char *
listener_of(const struct service_load_balancer *lb, enum traffic_kind kind)
{
    return kind == TRAFFIC_PRODUCTION ? lb->production_listener_arn : lb->test_listener_arn;
}

static void
add_group(struct json *groups, const char *arn, int weight)
{
    struct json *tuple = json_object();

    json_set(tuple, "TargetGroupArn", json_text(arn));
    json_set(tuple, "Weight", json_int(weight));
    json_append(groups, tuple);
}

/* How long clients stay with their group is the listener's, whoever moves its weights. */
static struct json *
stickiness_of(const struct listener *l)
{
    const struct json *kept = json_get(json_get(json_at(l->actions, 0), "ForwardConfig"),
                                       "TargetGroupStickinessConfig");
    struct json *off;

    if (kept != NULL)
        return json_copy(kept);
    off = json_object();
    json_set(off, "Enabled", json_bool(false));
    return off;
}

/* The action as the API's door writes it out.  Whole percents are shown as such. */
static struct json *
split_action(const struct listener *l, const struct service_load_balancer *lb, bool is_to_alternate,
             int share)
{
    const int unit = share % 10 == 0 ? 10 : 1;
    const int of_alternate = is_to_alternate ? share : SHARE_ALL - share;
    struct json *actions = json_array(), *action = json_object(), *config = json_object();
    struct json *groups = json_array();

    add_group(groups, lb->target_group_arn, (SHARE_ALL - of_alternate) / unit);
    add_group(groups, lb->alternate_group_arn, of_alternate / unit);
    json_set(config, "TargetGroups", groups);
    json_set(config, "TargetGroupStickinessConfig", stickiness_of(l));
    json_set(action, "Type", json_text("forward"));
    json_set(action, "Order", json_int(1));
    json_set(action, "ForwardConfig", config);
    json_append(actions, action);
    return actions;
}

static void
order_one(struct core *core, struct listener *l, struct json *actions)
{
    if (json_equal(l->actions, actions)) {
        json_unref(actions);
        return;
    }
    json_unref(l->actions);
    l->actions = actions;
    l->generation++;
    config_changed(core, ROW_LISTENER, l->arn);
}

static bool
pair_is_whole(const struct core *core, const struct service_load_balancer *lb,
              enum traffic_kind kind)
{
    return core_listener(core, listener_of(lb, kind)) != NULL &&
           core_target_group(core, lb->target_group_arn) != NULL &&
           core_target_group(core, lb->alternate_group_arn) != NULL;
}

bool
traffic_order(struct core *core, const struct deployment *via, const struct deployment *to,
              enum traffic_kind kind, int share)
{
    const struct revision *r = via->revision;

    assert(share >= 0 && share <= SHARE_ALL);
    for (int i = 0; i < r->load_balancer_count; i++) {
        if (listener_of(&r->load_balancers[i], kind)[0] != '\0' &&
            !pair_is_whole(core, &r->load_balancers[i], kind))
            return false;
    }
    for (int i = 0; i < r->load_balancer_count; i++) {
        const struct service_load_balancer *lb = &r->load_balancers[i];
        struct listener *l = core_listener(core, listener_of(lb, kind));
        if (l != NULL)
            order_one(core, l,
                      split_action(l, lb, serves_in(to, lb->alternate_group_arn), share));
    }
    return true;
}

bool
traffic_has_listeners(const struct deployment *via, enum traffic_kind kind)
{
    for (int i = 0; i < via->revision->load_balancer_count; i++) {
        if (listener_of(&via->revision->load_balancers[i], kind)[0] != '\0')
            return true;
    }
    return false;
}

bool
traffic_is_in_force(const struct core *core, const struct deployment *via, enum traffic_kind kind)
{
    for (int i = 0; i < via->revision->load_balancer_count; i++) {
        const struct listener *l =
            core_listener(core, listener_of(&via->revision->load_balancers[i], kind));
        if (l != NULL && l->in_force < l->generation)
            return false;
    }
    return true;
}

void
traffic_ask_again(struct core *core, const struct deployment *via, enum traffic_kind kind)
{
    for (int i = 0; i < via->revision->load_balancer_count; i++) {
        const struct listener *l =
            core_listener(core, listener_of(&via->revision->load_balancers[i], kind));
        struct effect *e;
        if (l == NULL || l->in_force >= l->generation)
            continue;
        e = core_emit(core, EFFECT_BALANCER_CONFIG);
        text_copy(e->balancer_config.arn, ARN_SIZE, str_of(l->arn));
    }
}

/* ---- whose ---- */

static bool
names_listener(const struct revision *r, const char *arn)
{
    for (int i = 0; i < r->load_balancer_count; i++) {
        const struct service_load_balancer *lb = &r->load_balancers[i];
        if (strcmp(lb->production_listener_arn, arn) == 0 ||
            strcmp(lb->test_listener_arn, arn) == 0)
            return true;
    }
    return false;
}

const struct service *
core_listener_owner(const struct core *core, const char *listener_arn)
{
    for (const struct service *s = core->services; s != NULL; s = s->next) {
        const struct deployment *via =
            s->course.is_on && !s->course.is_frozen ? service_find_deployment(s, s->course.via_id)
                                                    : NULL;
        if (s->status == SERVICE_ACTIVE && via != NULL &&
            names_listener(via->revision, listener_arn))
            return s;
    }
    return NULL;
}

void
traffic_in_force(struct core *core, const struct ev_listener_in_force *ev)
{
    struct listener *l = core_listener(core, ev->listener_arn);
    const struct service *s;

    if (l == NULL || ev->generation <= l->in_force || ev->generation > l->generation)
        return;
    l->in_force = ev->generation;
    s = core_listener_owner(core, l->arn);
    if (s != NULL)
        core_queue(core, core_service_by_arn(core, s->arn));
}
