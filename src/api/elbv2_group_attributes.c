/* SPDX-License-Identifier: MIT */
/* elbv2_group_attributes.c - attributes of target groups (alb.md A5). */
#include "api/elbv2.h"
#include "base/json.h"
#include "model/group_options.h"

#define HEALTH "target_group_health."
#define ROUTING HEALTH "unhealthy_state_routing.minimum_healthy_targets."
#define FAILOVER HEALTH "dns_failover.minimum_healthy_targets."
#define CROSS_ZONE "load_balancing.cross_zone.enabled"
#define ALGORITHM "load_balancing.algorithm.type"
#define COOKIE_NAME "stickiness.app_cookie.cookie_name"
#define SLOW_START "slow_start.duration_seconds"

static const struct attribute_row attribute_rows[] = {
    {"deregistration_delay.timeout_seconds", "300", "int:0:3600"},
    {ALGORITHM, "round_robin", "one:round_robin,least_outstanding_requests,weighted_random"},
    {"stickiness.enabled", "false", "bool"},
    {"stickiness.type", "lb_cookie", "one:lb_cookie,app_cookie"},
    {"stickiness.lb_cookie.duration_seconds", "86400", "int:1:604800"},
    {COOKIE_NAME, "", "text"},
    {"stickiness.app_cookie.duration_seconds", "86400", "int:1:604800"},
    {SLOW_START, "0", "int:30:900"},
    {"load_balancing.algorithm.anomaly_mitigation", "off", "fixed"},
    {CROSS_ZONE, "use_load_balancer_configuration", "one:true,false,use_load_balancer_configuration"},
    {ROUTING "count", "1", "int:1:1000"},
    {ROUTING "percentage", "off", "int:1:100"},
    {FAILOVER "count", "1", "int:1:1000"}, /* or "off" */
    {FAILOVER "percentage", "off", "int:1:100"},
};

struct rows {
    const struct attribute_row *at;
    size_t count;
};

static struct rows
rows_of(bool is_tcp)
{
    return is_tcp ? (struct rows){elb_tcp_group_rows, elb_tcp_group_row_count}
                  : (struct rows){attribute_rows, ARRAY_COUNT(attribute_rows)};
}

struct json *
target_group_default_attributes(bool is_tcp)
{
    const struct rows rows = rows_of(is_tcp);

    return attributes_default(rows.at, rows.count);
}

/* ---- what one value may be, beyond the table ---- */

static bool
check_keys(struct rows rows, const struct json *list, struct err *err)
{
    for (size_t i = 0; i < json_size(list); i++) {
        const char *key = json_get_cstr(json_at(list, i), "Key", "");
        bool is_known = false;

        for (size_t k = 0; k < rows.count; k++)
            is_known = is_known || strcmp(rows.at[k].key, key) == 0;
        if (!is_known)
            return err_set(err, ERR_ELB_VALIDATION, "Target group attribute key '%s' is not recognized", key);
    }
    return true;
}

/* A count that a health rule of DNS does without: the table has no word for it. */
static bool
is_off(const struct json *attribute)
{
    return strcmp(json_get_cstr(attribute, "Key", ""), FAILOVER "count") == 0 &&
           strcmp(json_get_cstr(attribute, "Value", ""), "off") == 0;
}

/* The attributes after the request, or NULL and err. */
static struct json *
change(struct rows rows, const struct json *old, const struct json *list, struct err *err)
{
    cleanup_json struct json *rest = json_array();
    struct json *changed;
    bool turns_off = false;

    for (size_t i = 0; i < json_size(list); i++) {
        if (is_off(json_at(list, i)))
            turns_off = true;
        else
            json_append(rest, json_ref(json_at(list, i)));
    }
    changed = attributes_change(rows.at, rows.count, old, rest, err);
    if (changed != NULL && turns_off)
        json_set(changed, FAILOVER "count", json_text("off"));
    return changed;
}

/* ---- what they may be together ---- */

static const char *
value_of(const struct json *attributes, const char *key)
{
    return json_get_cstr(attributes, key, "");
}

static bool
is_reserved(const char *cookie)
{
    return strncmp(cookie, "AWSALB", 6) == 0;
}

static bool
check_stickiness(const struct json *a, struct err *err)
{
    const char *name = value_of(a, COOKIE_NAME);
    const bool is_app = strcmp(value_of(a, "stickiness.type"), "app_cookie") == 0;

    if (is_reserved(name))
        return err_set(err, ERR_ELB_VALIDATION,
                       "The cookie name '%s' is not allowed: names that start with AWSALB, AWSALBAPP and AWSALBTG are "
                       "reserved for use by the load balancer", name);
    if (name[0] != '\0' && !cookie_name_is_valid(name))
        return err_set(err, ERR_ELB_VALIDATION,
                       "The cookie name '%.140s' must be 1 to %d letters, digits, '-', '_' and '.'", name, COOKIE_NAME_MAX);
    if (is_app && strcmp(value_of(a, "stickiness.enabled"), "true") == 0 && name[0] == '\0')
        return err_set(err, ERR_ELB_VALIDATION, "'" COOKIE_NAME "' must be specified for the stickiness type app_cookie");
    return true;
}

/* 0: off. */
static int64_t
threshold(const struct json *a, const char *key)
{
    int64_t n = 0;

    return str_to_i64(str_of(value_of(a, key)), &n) ? n : 0;
}

static bool
is_asked_for(const struct json *list, const char *key)
{
    for (size_t i = 0; i < json_size(list); i++)
        if (strcmp(json_get_cstr(json_at(list, i), "Key", ""), key) == 0)
            return true;
    return false;
}

/* Who is taken out of DNS later than it sends traffic to all would never be.  The default is not held
 * against those who only ask for the other one. */
static bool
check_health(const struct json *a, const struct json *list, struct err *err)
{
    static const struct {
        const char *failover, *routing;
    } pairs[] = {{FAILOVER "count", ROUTING "count"}, {FAILOVER "percentage", ROUTING "percentage"}};

    for (size_t i = 0; i < ARRAY_COUNT(pairs); i++) {
        const int64_t failover = threshold(a, pairs[i].failover), routing = threshold(a, pairs[i].routing);

        if (is_asked_for(list, pairs[i].failover) && failover != 0 && failover < routing)
            return err_set(err, ERR_ELB_VALIDATION, "'%s' must be greater than or equal to '%s'", pairs[i].failover,
                           pairs[i].routing);
    }
    return true;
}

static bool
check_together(const struct json *a, const struct json *list, struct err *err)
{
    const char *algorithm = value_of(a, ALGORITHM);

    if (strcmp(value_of(a, SLOW_START), "0") != 0 && strcmp(algorithm, "round_robin") != 0)
        return err_set(err, ERR_INVALID_CONFIGURATION,
                       "'" SLOW_START "' is not supported with the load balancing algorithm '%s'", algorithm);
    if (strcmp(value_of(a, CROSS_ZONE), "false") == 0)
        return err_set(err, ERR_INVALID_CONFIGURATION,
                       "The attribute '" CROSS_ZONE "' can not be 'false' here: naru's load balancers have one zone");
    return check_stickiness(a, err) && check_health(a, list, err);
}

/* ---- the operations ---- */

bool
elb_describe_target_group_attributes(struct request *rq, struct json *out, struct err *err)
{
    const struct target_group *tg =
        elb_find_target_group(rq, json_get_cstr(rq->input, "TargetGroupArn", ""), err);

    if (tg == NULL)
        return false;
    json_set(out, "Attributes", attributes_list(tg->attributes));
    return true;
}

bool
elb_modify_target_group_attributes(struct request *rq, struct json *out, struct err *err)
{
    const char *arn = json_get_cstr(rq->input, "TargetGroupArn", "");
    const struct json *list = json_get(rq->input, "Attributes");
    const struct target_group *tg = elb_find_target_group(rq, arn, err);
    struct event event = {.type = EVENT_TARGET_GROUP_PUT};
    cleanup_json struct json *changed = NULL;
    struct target_group *copy;

    if (tg == NULL || !check_keys(rows_of(elb_is_tcp(tg)), list, err))
        return false;
    changed = change(rows_of(elb_is_tcp(tg)), tg->attributes, list, err);
    if (changed == NULL || (!elb_is_tcp(tg) && !check_together(changed, list, err)))
        return false;
    copy = target_group_copy(tg, err);
    if (copy == NULL)
        return false;
    json_unref(copy->attributes);
    copy->attributes = json_ref(changed);
    copy->deregistration_delay_s = atoi(value_of(changed, "deregistration_delay.timeout_seconds"));
    text_copy(copy->algorithm, sizeof(copy->algorithm),
              str_of(json_get_cstr(changed, ALGORITHM, "round_robin")));
    event.target_group_put.target_group = copy;
    request_step(rq, &event);
    json_set(out, "Attributes", attributes_list(core_target_group(rq->core, arn)->attributes));
    return true;
}
