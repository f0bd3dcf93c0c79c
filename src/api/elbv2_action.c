/* SPDX-License-Identifier: MIT */
/* elbv2_action.c - actions (alb.md A4): checked, and written out in full. */
#include "api/elbv2.h"

#include <ctype.h>

#define STICKY_MAX_S 604800

static bool
check_group(const struct request *rq, const char *arn, const char *load_balancer_arn, struct err *err)
{
    const struct target_group *tg = elb_find_target_group(rq, arn, err);
    const struct load_balancer *of;

    if (tg == NULL || !elb_check_protocols(load_balancer_arn, tg, err))
        return false;
    of = target_group_load_balancer(rq->core, arn);
    if (of != NULL && strcmp(of->arn, load_balancer_arn) != 0)
        return err_set(err, ERR_TARGET_GROUP_ASSOCIATION_LIMIT,
                       "The following target groups cannot be associated with more than one load balancer: %s", arn);
    return true;
}

/* [{TargetGroupArn, Weight}] of either form. */
static struct json *
forward_groups(const struct json *action)
{
    const struct json *given = json_get(json_get(action, "ForwardConfig"), "TargetGroups");
    const char *single = json_get_cstr(action, "TargetGroupArn", NULL);
    struct json *groups = json_array();

    for (size_t i = 0; i < json_size(given); i++) {
        struct json *group = json_object();

        json_set(group, "TargetGroupArn", json_text(json_get_cstr(json_at(given, i), "TargetGroupArn", "")));
        json_set(group, "Weight", json_int(json_get_i64(json_at(given, i), "Weight", 1)));
        json_append(groups, group);
    }
    if (json_size(groups) == 0 && single != NULL) {
        struct json *group = json_object();

        json_set(group, "TargetGroupArn", json_text(single));
        json_set(group, "Weight", json_int(1));
        json_append(groups, group);
    }
    return groups;
}

/* As it is shown: Enabled, and the duration if one was given. */
static struct json *
accept_stickiness(const struct json *given, struct err *err)
{
    const bool is_enabled = json_get_bool(given, "Enabled", false);
    const int64_t seconds = json_get_i64(given, "DurationSeconds", 0);
    struct json *config;

    if (json_get(given, "DurationSeconds") == NULL) {
        if (is_enabled) {
            err_set(err, ERR_ELB_VALIDATION, "A duration must be specified when target group stickiness is enabled");
            return NULL;
        }
    } else if (seconds < 1 || seconds > STICKY_MAX_S) {
        err_set(err, ERR_ELB_VALIDATION, "Target group stickiness duration '%lld' must be in the range from 1 to %d seconds",
                (long long)seconds, STICKY_MAX_S);
        return NULL;
    }
    config = json_object();
    json_set(config, "Enabled", json_bool(is_enabled));
    if (seconds > 0)
        json_set(config, "DurationSeconds", json_int(seconds));
    return config;
}

static bool
accept_forward(const struct request *rq, const char *lb_arn, const struct json *action, struct json *out,
               struct err *err)
{
    const struct json *stickiness = json_get(json_get(action, "ForwardConfig"), "TargetGroupStickinessConfig");
    const char *single = json_get_cstr(action, "TargetGroupArn", NULL);
    cleanup_json struct json *groups = forward_groups(action);
    struct json *config, *sticky;

    if (json_size(groups) < 1 || json_size(groups) > GROUPS_PER_ACTION)
        return err_set(err, ERR_ELB_VALIDATION, "A forward action must name 1 to %d target groups", GROUPS_PER_ACTION);
    if (single != NULL &&
        (json_size(groups) > 1 || strcmp(json_get_cstr(json_at(groups, 0), "TargetGroupArn", ""), single) != 0))
        return err_set(err, ERR_ELB_VALIDATION,
                       "ForwardConfig beside TargetGroupArn must name one target group, the same");
    for (size_t i = 0; i < json_size(groups); i++) {
        const int64_t weight = json_get_i64(json_at(groups, i), "Weight", 1);
        const char *arn = json_get_cstr(json_at(groups, i), "TargetGroupArn", "");

        if (weight < 0 || weight > 999)
            return err_set(err, ERR_ELB_VALIDATION, "Weight '%lld' must be in the range from 0 to 999", (long long)weight);
        if (!check_group(rq, arn, lb_arn, err))
            return false;
        for (size_t k = 0; k < i; k++)
            if (strcmp(json_get_cstr(json_at(groups, k), "TargetGroupArn", ""), arn) == 0)
                return err_set(err, ERR_ELB_VALIDATION, "Target group '%s' is named more than once", arn);
    }
    sticky = accept_stickiness(stickiness, err);
    if (sticky == NULL)
        return false;
    config = json_object();
    if (json_size(groups) == 1)
        json_set(out, "TargetGroupArn", json_ref(json_get(json_at(groups, 0), "TargetGroupArn")));
    json_set(config, "TargetGroups", TAKE(groups));
    json_set(config, "TargetGroupStickinessConfig", sticky);
    json_set(out, "ForwardConfig", config);
    return true;
}

static bool
accept_fixed_response(const struct json *action, struct json *out, struct err *err)
{
    static const char *const content_types[] = {"text/plain", "text/css", "text/html", "application/javascript",
                                                "application/json"};
    const struct json *config = json_get(action, "FixedResponseConfig");
    const char *status = json_get_cstr(config, "StatusCode", "");
    const char *type = json_get_cstr(config, "ContentType", "text/plain");
    bool is_known = false;

    for (size_t i = 0; i < ARRAY_COUNT(content_types); i++)
        is_known = is_known || strcmp(content_types[i], type) == 0;
    if (!is_known)
        return err_set(err, ERR_ELB_VALIDATION,
                       "ContentType '%s' of a fixed response must be one of: text/plain, text/css, text/html, "
                       "application/javascript, application/json", type);
    if (strlen(status) != 3 || strchr("245", status[0]) == NULL || !isdigit((unsigned char)status[1]) ||
        !isdigit((unsigned char)status[2]))
        return err_set(err, ERR_ELB_VALIDATION, "StatusCode '%s' of a fixed response must be 2XX, 4XX or 5XX", status);
    json_set(out, "FixedResponseConfig", json_copy(config));
    return true;
}

static bool
check_redirect(const struct json *r, struct err *err)
{
    static const char *const words[] = {"Host", "Path", "Query"};
    const char *protocol = json_get_cstr(r, "Protocol", ""), *port = json_get_cstr(r, "Port", "");
    int64_t number;

    if (strcmp(protocol, "HTTP") != 0 && strcmp(protocol, "HTTPS") != 0 && strcmp(protocol, "#{protocol}") != 0)
        return err_set(err, ERR_ELB_VALIDATION, "Protocol '%s' of a redirect must be HTTP, HTTPS or #{protocol}", protocol);
    if (strcmp(port, "#{port}") != 0 && (!str_to_i64(str_of(port), &number) || number < 1 || number > 65535))
        return err_set(err, ERR_ELB_VALIDATION, "Port '%s' of a redirect must be #{port} or in the range from 1 to 65535", port);
    if (json_get_cstr(r, "Path", "")[0] != '/')
        return err_set(err, ERR_ELB_VALIDATION, "Path '%s' of a redirect must begin with '/'", json_get_cstr(r, "Path", ""));
    for (size_t i = 0; i < ARRAY_COUNT(words); i++)
        for (const char *p = json_get_cstr(r, words[i], ""); *p != '\0'; p++)
            if ((unsigned char)*p <= ' ' || (unsigned char)*p > '~')
                return err_set(err, ERR_ELB_VALIDATION, "%s of a redirect can hold printable ASCII without blanks only", words[i]);
    return true;
}

static bool
accept_redirect(const struct json *action, struct json *out, struct err *err)
{
    static const struct {
        const char *name, *fallback;
    } parts[] = {{"Protocol", "#{protocol}"}, {"Port", "#{port}"}, {"Host", "#{host}"},
                 {"Path", "/#{path}"}, {"Query", "#{query}"}};
    const struct json *config = json_get(action, "RedirectConfig");
    const char *status = json_get_cstr(config, "StatusCode", "");
    struct json *full = json_object();
    bool has_change = false;

    for (size_t i = 0; i < ARRAY_COUNT(parts); i++) {
        const char *value = json_get_cstr(config, parts[i].name, parts[i].fallback);

        has_change |= strcmp(value, parts[i].fallback) != 0 && strcmp(parts[i].name, "Query") != 0;
        json_set(full, parts[i].name, json_text(value));
    }
    json_set(full, "StatusCode", json_text(status));
    json_set(out, "RedirectConfig", full);
    if (strcmp(status, "HTTP_301") != 0 && strcmp(status, "HTTP_302") != 0)
        return err_set(err, ERR_ELB_VALIDATION, "StatusCode '%s' of a redirect must be HTTP_301 or HTTP_302", status);
    if (!check_redirect(full, err))
        return false;
    if (!has_change)
        return err_set(err, ERR_INVALID_LB_ACTION, "The redirect would loop: it changes neither protocol, port, host nor path");
    return true;
}

/* One, of a type that there is. */
static bool
check_types(const struct json *actions, struct err *err)
{
    for (size_t i = 0; i < json_size(actions); i++) {
        const char *type = json_get_cstr(json_at(actions, i), "Type", "");

        if (strcmp(type, "forward") != 0 && strcmp(type, "fixed-response") != 0 && strcmp(type, "redirect") != 0)
            return err_set(err, ERR_INVALID_LB_ACTION, "Actions of type '%s' are not built in naru", type);
    }
    return json_size(actions) == 1 ||
           err_set(err, ERR_INVALID_LB_ACTION,
                   "A listener must have exactly one default action, and a rule one action: forward, redirect or "
                   "fixed-response");
}

struct json *
elb_accept_actions(const struct request *rq, const char *lb_arn, const struct json *actions, struct err *err)
{
    const struct json *action = json_at(actions, 0);
    const char *type = json_get_cstr(action, "Type", "");
    cleanup_json struct json *full = json_object();
    struct json *all;
    bool ok;

    if (!check_types(actions, err))
        return NULL;
    if (elb_is_network(lb_arn) && !elb_network_check_actions(actions, err))
        return NULL;
    json_set(full, "Type", json_text(type));
    json_set(full, "Order", json_int(json_get_i64(action, "Order", 1)));
    if (strcmp(type, "forward") == 0)
        ok = accept_forward(rq, lb_arn, action, full, err);
    else if (strcmp(type, "fixed-response") == 0)
        ok = accept_fixed_response(action, full, err);
    else
        ok = accept_redirect(action, full, err);
    if (!ok)
        return NULL;
    all = json_array();
    json_append(all, TAKE(full));
    return all;
}

/* ---- what a load balancer leads to ---- */

static bool
leads_to(const struct request *rq, const char *lb_arn, const char *group_arn, const struct listener *but_listener,
         const struct rule *but_rule)
{
    for (const struct listener *l = rq->core->listeners; l != NULL; l = l->next)
        if (l != but_listener && listener_forwards_to(l, group_arn, NULL) && strcmp(l->load_balancer_arn, lb_arn) == 0)
            return true;
    for (const struct rule *r = rq->core->rules; r != NULL; r = r->next)
        if (r != but_rule && rule_forwards_to(r, group_arn) &&
            strcmp(core_listener(rq->core, r->listener_arn)->load_balancer_arn, lb_arn) == 0)
            return true;
    return false;
}

int
elb_targets_of(const struct request *rq, const char *lb_arn)
{
    int targets = 0;

    for (const struct target_group *tg = rq->core->target_groups; tg != NULL; tg = tg->next)
        targets += leads_to(rq, lb_arn, tg->arn, NULL, NULL) ? tg->target_count : 0;
    return targets;
}

bool
elb_check_groups(const struct request *rq, const char *lb_arn, const struct json *actions,
                 const struct listener *of_listener, const struct rule *of_rule, struct err *err)
{
    int groups = 0, targets = 0;
    bool adds = false;

    for (const struct target_group *tg = rq->core->target_groups; tg != NULL; tg = tg->next) {
        const bool is_in = actions_forward_to(actions, tg->arn, NULL);

        if (!is_in && !leads_to(rq, lb_arn, tg->arn, of_listener, of_rule))
            continue;
        adds = adds || (is_in && !leads_to(rq, lb_arn, tg->arn, NULL, NULL));
        groups++;
        targets += tg->target_count;
    }
    if (!adds)
        return true;
    if (groups > GROUPS_PER_LOAD_BALANCER)
        return err_set(err, ERR_TOO_MANY_UNIQUE_TARGET_GROUPS,
                       "The limit of %d target groups a load balancer would be exceeded", GROUPS_PER_LOAD_BALANCER);
    return targets <= TARGETS_PER_LOAD_BALANCER ||
           err_set(err, ERR_TOO_MANY_TARGETS, "The limit of %d targets a load balancer would be exceeded",
                   TARGETS_PER_LOAD_BALANCER);
}
