/* SPDX-License-Identifier: MIT */
#include "api/ecs_strategy_input.h"

#include "api/ecs_hook_input.h"
#include "model/arn.h"

static const char *
text_of(const struct json *o, const char *key)
{
    return json_get_cstr(o, key, "");
}

/* ---- steps ---- */

/* Percent in steps of a tenth, as 1/1000. */
static bool
read_permille(const struct json *o, const char *member, double fallback, double least, int *out,
              struct err *err)
{
    const double percent = json_get(o, member) == NULL ? fallback : json_f64(json_get(o, member), 0);
    const int permille = (int)(percent * 10 + 0.5);
    const double difference = percent * 10 - permille;

    if (percent < least || percent > 100 || difference > 1e-6 || difference < -1e-6)
        return err_set(err, ERR_INVALID_PARAMETER,
                       "%s must be between %.1f and 100.0, in steps of 0.1.", member, least);
    *out = permille;
    return true;
}

static bool
read_minutes(const struct json *o, const char *member, int fallback, int *out, struct err *err)
{
    const int64_t minutes = json_get_i64(o, member, fallback);

    if (minutes < 0 || minutes > 1440)
        return err_set(err, ERR_INVALID_PARAMETER, "%s must be between 0 and 1440.", member);
    *out = (int)minutes;
    return true;
}

/* What is left out of a given one has its default, not what it was (ecs.md 2.2). */
static bool
read_steps(const struct json *given, const struct strategy_config *old, struct strategy_config *c,
           struct err *err)
{
    const struct json *linear = json_get(given, "linearConfiguration");
    const struct json *canary = json_get(given, "canaryConfiguration");
    const bool is_new = old == NULL || old->strategy != c->strategy;

    if (linear != NULL && c->strategy != STRATEGY_LINEAR)
        return err_set(err, ERR_INVALID_PARAMETER,
                       "linearConfiguration is only valid with the LINEAR deployment strategy.");
    if (canary != NULL && c->strategy != STRATEGY_CANARY)
        return err_set(err, ERR_INVALID_PARAMETER,
                       "canaryConfiguration is only valid with the CANARY deployment strategy.");
    if (c->strategy == STRATEGY_LINEAR && (linear != NULL || is_new))
        return read_permille(linear, "stepPercent", 10, 3, &c->step_permille, err) &&
               read_minutes(linear, "stepBakeTimeInMinutes", 6, &c->step_bake_min, err);
    if (c->strategy == STRATEGY_CANARY && (canary != NULL || is_new))
        return read_permille(canary, "canaryPercent", 5, 0.1, &c->step_permille, err) &&
               read_minutes(canary, "canaryBakeTimeInMinutes", 10, &c->step_bake_min, err);
    if (c->strategy != STRATEGY_LINEAR && c->strategy != STRATEGY_CANARY)
        c->step_permille = c->step_bake_min = 0;
    return true;
}

static void
show_steps(const struct strategy_config *c, struct json *doc)
{
    const bool is_linear = c->strategy == STRATEGY_LINEAR;
    struct json *o;

    if (!is_linear && c->strategy != STRATEGY_CANARY)
        return;
    o = json_object();
    json_set(o, is_linear ? "stepPercent" : "canaryPercent", json_real(c->step_permille / 10.0));
    json_set(o, is_linear ? "stepBakeTimeInMinutes" : "canaryBakeTimeInMinutes",
             json_int(c->step_bake_min));
    json_set(doc, is_linear ? "linearConfiguration" : "canaryConfiguration", o);
}

/* ---- early success ---- */

static bool
read_early(const struct json *given, int minimum_healthy_percent, struct strategy_config *c,
           struct json *doc, struct err *err)
{
    const struct json *early = json_get(given, "earlySuccessCriteria");
    struct json *shown;

    if (early != NULL) {
        c->succeeds_early = json_get_bool(early, "enable", false);
        c->early_percent = (int)json_get_i64(early, "healthyPercent", 100);
        c->cleans_up_later =
            strcmp(json_get_cstr(early, "sourceServiceRevisionCleanup", "BLOCKING"), "DEFERRED") == 0;
    }
    if (!c->succeeds_early)
        return true;
    if (c->strategy != STRATEGY_ROLLING)
        return err_set(err, ERR_INVALID_PARAMETER,
                       "earlySuccessCriteria is only valid with the ROLLING deployment strategy.");
    if (c->early_percent < minimum_healthy_percent)
        return err_set(err, ERR_INVALID_PARAMETER,
                       "earlySuccessCriteria.healthyPercent can not be less than minimumHealthyPercent.");
    shown = json_object();
    json_set(shown, "enable", json_bool(true));
    json_set(shown, "healthyPercent", json_int(c->early_percent));
    json_set(shown, "sourceServiceRevisionCleanup",
             json_text(c->cleans_up_later ? "DEFERRED" : "BLOCKING"));
    json_set(doc, "earlySuccessCriteria", shown);
    return true;
}

/* ---- all of it ---- */

bool
strategy_read(const struct json *given, const struct deployment_config *old,
              int minimum_healthy_percent, struct strategy_config *out, struct json *doc,
              struct err *err)
{
    const struct strategy_config *before = old == NULL ? NULL : &old->strategy;
    struct strategy_config c = before == NULL ? (struct strategy_config){0} : *before;
    const bool was_blue_green = before != NULL && before->strategy == STRATEGY_BLUE_GREEN;

    if (json_get(given, "strategy") != NULL &&
        !deployment_strategy_parse(str_of(text_of(given, "strategy")), &c.strategy))
        return err_set(err, ERR_INVALID_PARAMETER, "Unknown deployment strategy.");
    if (c.strategy == STRATEGY_BLUE_GREEN && !was_blue_green &&
        json_get(given, "bakeTimeInMinutes") == NULL)
        return err_set(err, ERR_INVALID_PARAMETER,
                       "bakeTimeInMinutes is required for the BLUE_GREEN deployment strategy.");
    if (!read_minutes(given, "bakeTimeInMinutes", c.bake_min, &c.bake_min, err) ||
        !read_steps(given, before, &c, err) || !hooks_read(given, old, &c, doc, err) ||
        !read_early(given, minimum_healthy_percent, &c, doc, err))
        return false;
    json_set(doc, "strategy", json_text(deployment_strategy_name(c.strategy)));
    json_set(doc, "bakeTimeInMinutes", json_int(c.bake_min));
    show_steps(&c, doc);
    *out = c;
    return true;
}

/* ---- target groups and listeners ---- */

static bool
copy_arn(const struct json *o, const char *member, char out[static BALANCING_ARN_SIZE],
         struct err *err)
{
    return text_copy(out, BALANCING_ARN_SIZE, str_of(text_of(o, member))) ||
           err_set(err, ERR_INVALID_PARAMETER, "%s is too long.", member);
}

/* Not of a rule: a deployment moves a listener's default action. */
static bool
check_listener_arn(const char *member, const char *arn, struct err *err)
{
    if (strstr(arn, ":listener-rule/") != NULL)
        return err_set(err, ERR_UNSUPPORTED_FEATURE,
                       "%s: deployments by listener rules are not built in naru; name a listener, whose default "
                       "action forwards to both target groups. Got: %s", member, arn);
    if (strstr(arn, ":listener/") == NULL)
        return err_set(err, ERR_INVALID_PARAMETER,
                       "%s has an invalid ARN format. Must be RuleArn for ALB or ListenerArn for NLB. "
                       "Got: %s", member, arn);
    return true;
}

bool
strategy_read_pair(const struct json *item, struct service_load_balancer *lb, struct err *err)
{
    const struct json *advanced = json_get(item, "advancedConfiguration");

    if (json_size(advanced) == 0)
        return true;
    if (!copy_arn(advanced, "alternateTargetGroupArn", lb->alternate_group_arn, err) ||
        !copy_arn(advanced, "productionListenerRule", lb->production_listener_arn, err) ||
        !copy_arn(advanced, "testListenerRule", lb->test_listener_arn, err))
        return false;
    if (lb->alternate_group_arn[0] == '\0' || lb->production_listener_arn[0] == '\0')
        return err_set(err, ERR_INVALID_PARAMETER,
                       "advancedConfiguration needs alternateTargetGroupArn and productionListenerRule.");
    return check_listener_arn("productionListenerRule", lb->production_listener_arn, err) &&
           (lb->test_listener_arn[0] == '\0' ||
            check_listener_arn("testListenerRule", lb->test_listener_arn, err));
}

static bool
check_listener(const struct request *rq, const char *member, const char *arn, struct err *err)
{
    const struct listener *l = core_listener(rq->core, arn);
    const char *type = l == NULL ? "" : text_of(json_at(l->actions, 0), "Type");

    if (l == NULL)
        return err_set(err, ERR_INVALID_PARAMETER, "%s: the listener %s does not exist.", member, arn);
    if (strcmp(type, "forward") != 0)
        return err_set(err, ERR_INVALID_PARAMETER,
                       "%s: the default action of listener %s does not forward to a target group.",
                       member, arn);
    return true;
}

static bool
names_group(const struct service_load_balancer *lb, const char *group)
{
    return strcmp(lb->target_group_arn, group) == 0 || strcmp(lb->alternate_group_arn, group) == 0;
}

static bool
names_listener(const struct service_load_balancer *lb, const char *listener)
{
    return listener[0] != '\0' && (strcmp(lb->production_listener_arn, listener) == 0 ||
                                   strcmp(lb->test_listener_arn, listener) == 0);
}

static bool
check_pair(const struct request *rq, const struct service_load_balancer *lb, struct err *err)
{
    const struct listener *production;

    if (strcmp(lb->target_group_arn, lb->alternate_group_arn) == 0)
        return err_set(err, ERR_INVALID_PARAMETER, "Duplicate targetGroupArn found: %s",
                       lb->target_group_arn);
    if (strcmp(lb->production_listener_arn, lb->test_listener_arn) == 0)
        return err_set(err, ERR_INVALID_PARAMETER,
                       "The following rules cannot be used as both production and test listener rules: %s",
                       lb->test_listener_arn);
    if (!check_listener(rq, "productionListenerRule", lb->production_listener_arn, err) ||
        (lb->test_listener_arn[0] != '\0' &&
         !check_listener(rq, "testListenerRule", lb->test_listener_arn, err)))
        return false;
    production = core_listener(rq->core, lb->production_listener_arn);
    if (strcmp(production->protocol, "TCP") == 0)
        return err_set(err, ERR_INVALID_PARAMETER,
                       "Listeners of network load balancers are not built in naru for strategies other than ROLLING: %s",
                       production->arn);
    if (lb->test_listener_arn[0] == '\0' &&
        (!listener_forwards_to(production, lb->target_group_arn, NULL) ||
         !listener_forwards_to(production, lb->alternate_group_arn, NULL)))
        return err_set(err, ERR_INVALID_PARAMETER,
                       "For Application LoadBalancer, testListenerRule is required when "
                       "productionListenerRule is not associated with both targetGroup and "
                       "alternateTargetGroup");
    return true;
}

bool
strategy_check_pairs(const struct request *rq, const struct workload *w, struct err *err)
{
    int pairs = 0;

    for (int i = 0; i < w->load_balancer_count; i++)
        pairs += w->load_balancers[i].alternate_group_arn[0] != '\0';
    if (pairs == 0)
        return true;
    if (pairs < w->load_balancer_count)
        return err_set(err, ERR_INVALID_PARAMETER,
                       "Either all or none of the provided loadBalancers must have advancedConfiguration "
                       "defined");
    for (int i = 0; i < w->load_balancer_count; i++) {
        const struct service_load_balancer *lb = &w->load_balancers[i];
        if (!check_pair(rq, lb, err))
            return false;
        for (int k = 0; k < i; k++) {
            const struct service_load_balancer *other = &w->load_balancers[k];
            if (names_group(other, lb->target_group_arn) || names_group(other, lb->alternate_group_arn))
                return err_set(err, ERR_INVALID_PARAMETER, "Duplicate targetGroupArn found: %s",
                               names_group(other, lb->target_group_arn) ? lb->target_group_arn
                                                                        : lb->alternate_group_arn);
            if (names_listener(other, lb->production_listener_arn) ||
                names_listener(other, lb->test_listener_arn))
                return err_set(err, ERR_INVALID_PARAMETER,
                               "Two loadBalancers can not share a listener: its default action moves the "
                               "traffic of one.");
        }
    }
    return true;
}

/* Two services that move the weights of one listener would undo each other's work. */
static bool
check_alone(const struct request *rq, const struct service_load_balancer *lb, const struct service *s,
            struct err *err)
{
    for (const struct service *other = rq->core->services; other != NULL; other = other->next) {
        const struct deployment *p = other == s ? NULL : service_primary(other);
        for (int i = 0; p != NULL && i < p->revision->load_balancer_count; i++) {
            const struct service_load_balancer *theirs = &p->revision->load_balancers[i];
            if (names_listener(theirs, lb->production_listener_arn) ||
                names_listener(theirs, lb->test_listener_arn))
                return err_set(err, ERR_INVALID_PARAMETER,
                               "The service %s moves the traffic of this listener already.", other->name);
        }
    }
    return true;
}

/* Whoever took the group away where the tasks are would take the service from its users. */
static bool
check_live_groups(const struct service_load_balancer *lbs, int count, const struct service *s,
                  struct err *err)
{
    const struct deployment *live = service_find_deployment(s, s->live_id);

    for (int i = 0; live != NULL && i < live->revision->load_balancer_count; i++) {
        const char *group = deployment_target_group(live, i);
        bool is_named = live->revision->load_balancers[i].alternate_group_arn[0] == '\0';
        for (int k = 0; k < count; k++)
            is_named |= names_group(&lbs[k], group);
        if (!is_named && count > 0)
            return err_set(err, ERR_INVALID_PARAMETER,
                           "loadBalancers must name the target group %s: the service's tasks are there, "
                           "and its traffic.", group);
    }
    return true;
}

bool
strategy_check(const struct request *rq, const struct strategy_config *config,
               const struct service_load_balancer *lbs, int count, const struct service *s,
               struct err *err)
{
    const bool moves_traffic = config->strategy != STRATEGY_ROLLING;

    if (count == 0 && moves_traffic && config->strategy != STRATEGY_BLUE_GREEN)
        return err_set(err, ERR_INVALID_PARAMETER,
                       "The %s deployment strategy needs a load balancer, whose traffic it moves.",
                       deployment_strategy_name(config->strategy));
    for (int i = 0; i < count; i++) {
        if (moves_traffic && lbs[i].alternate_group_arn[0] == '\0')
            return err_set(err, ERR_INVALID_PARAMETER,
                           "advancedConfiguration field is required for all loadBalancers when using a "
                           "non-ROLLING deployment strategy");
        if (!check_alone(rq, &lbs[i], s, err))
            return false;
    }
    return s == NULL || check_live_groups(lbs, count, s, err);
}
