/* SPDX-License-Identifier: MIT */
#include "api/elbv2.h"

#include <stdio.h>
#include "base/random.h"
#include "core/target_health.h"

const struct load_balancer *
target_group_load_balancer(const struct core *core, const char *arn)
{
    for (const struct listener *l = core->listeners; l != NULL; l = l->next)
        if (listener_forwards_to(l, arn, NULL))
            return core_load_balancer(core, l->load_balancer_arn);
    for (const struct rule *r = core->rules; r != NULL; r = r->next)
        if (rule_forwards_to(r, arn))
            return core_load_balancer(core, core_listener(core, r->listener_arn)->load_balancer_arn);
    return NULL;
}

static bool
is_grpc(const char *version)
{
    return strcmp(version, "GRPC") == 0;
}

struct json *
target_group_json(const struct request *rq, const struct target_group *tg)
{
    struct json *o = json_object(), *matcher = json_object(), *balancers = json_array();
    const struct load_balancer *lb = target_group_load_balancer(rq->core, tg->arn);
    const struct health_check *check = &tg->check;
    char port[16];

    snprintf(port, sizeof(port), "%d", check->port);
    json_set(o, "TargetGroupArn", json_text(tg->arn));
    json_set(o, "TargetGroupName", json_text(tg->name));
    json_set(o, "Protocol", json_text(tg->protocol));
    if (!elb_is_tcp(tg))
        json_set(o, "ProtocolVersion", json_text(tg->protocol_version));
    json_set(o, "Port", json_int(tg->port));
    if (json_get(tg->doc, "VpcId") != NULL)
        json_set(o, "VpcId", json_ref(json_get(tg->doc, "VpcId")));
    json_set(o, "IpAddressType", json_text("ipv4"));
    json_set(o, "TargetType", json_text(target_type_name(tg->target_type)));
    json_set(o, "HealthCheckProtocol", json_text(check->protocol));
    json_set(o, "HealthCheckPort", json_text(check->port == 0 ? "traffic-port" : port));
    json_set(o, "HealthCheckEnabled", json_bool(check->enabled));
    json_set(o, "HealthCheckIntervalSeconds", json_int(check->interval_s));
    json_set(o, "HealthCheckTimeoutSeconds", json_int(check->timeout_s));
    json_set(o, "HealthyThresholdCount", json_int(check->healthy_threshold));
    json_set(o, "UnhealthyThresholdCount", json_int(check->unhealthy_threshold));
    if (strcmp(check->protocol, "TCP") != 0) {
        json_set(o, "HealthCheckPath", json_text(check->path));
        json_set(matcher, is_grpc(tg->protocol_version) ? "GrpcCode" : "HttpCode", json_text(check->matcher));
        json_set(o, "Matcher", json_ref(matcher));
    }
    json_unref(matcher);
    if (lb != NULL)
        json_append(balancers, json_text(lb->arn));
    json_set(o, "LoadBalancerArns", balancers);
    return o;
}

/* ---- the health check's members, of CreateTargetGroup and ModifyTargetGroup ---- */

/* The codes that the group's version knows; the other kind says nothing about it. */
static bool
check_matcher(const struct json *matcher, const char *version, struct err *err)
{
    const char *http = json_get_cstr(matcher, "HttpCode", NULL), *grpc = json_get_cstr(matcher, "GrpcCode", NULL);

    if (http != NULL && grpc != NULL)
        return err_set(err, ERR_ELB_VALIDATION, "Health check matcher HttpCode and GrpcCode cannot be given together");
    if (is_grpc(version) && http != NULL)
        return err_set(err, ERR_ELB_VALIDATION,
                       "Health check matcher HttpCode is not supported with protocol version 'GRPC'; use GrpcCode");
    if (!is_grpc(version) && grpc != NULL)
        return err_set(err, ERR_ELB_VALIDATION,
                       "Health check matcher GrpcCode is not supported with protocol version '%s'; use HttpCode", version);
    if (grpc != NULL && !matcher_is_valid(version, grpc))
        return err_set(err, ERR_ELB_VALIDATION, "Health check matcher GRPC code '%s' must be within '0-99'", grpc);
    if (http != NULL && !matcher_is_valid(version, http))
        return err_set(err, ERR_ELB_VALIDATION, "Health check matcher HTTP code '%s' must be within '200-499'", http);
    return true;
}

static bool
take_port(const struct json *in, struct health_check *check, struct err *err)
{
    const char *port = json_get_cstr(in, "HealthCheckPort", NULL);
    int64_t number = 0;

    if (port == NULL)
        return true;
    if (strcmp(port, "traffic-port") != 0 && (!str_to_i64(str_of(port), &number) || number < 1 || number > 65535))
        return err_set(err, ERR_ELB_VALIDATION, "Health check port '%s' must be 'traffic-port' or in the range from 1 to 65535", port);
    check->port = (int)number;
    return true;
}

static bool
take_path(const struct json *in, struct health_check *check, struct err *err)
{
    const char *path = json_get_cstr(in, "HealthCheckPath", NULL);

    if (path == NULL)
        return true;
    if (path[0] != '/' || strlen(path) > 1024 || strpbrk(path, " \r\n\t") != NULL)
        return err_set(err, ERR_ELB_VALIDATION,
                       "Health check path '%s' must begin with '/', hold no blanks and be at most 1024 characters", path);
    text_copy_all(check->path, sizeof(check->path), path);
    return true;
}

static bool
take_number(const struct json *in, const char *name, int min, int max, int *to, struct err *err)
{
    const int64_t n = json_get_i64(in, name, *to);

    if (n < min || n > max)
        return err_set(err, ERR_ELB_VALIDATION, "%s '%lld' must be in the range from %d to %d", name, (long long)n,
                       min, max);
    *to = (int)n;
    return true;
}

bool
elb_take_health_common(const struct json *in, struct health_check *check, struct err *err)
{
    if (!json_get_bool(in, "HealthCheckEnabled", true))
        return err_set(err, ERR_ELB_VALIDATION, "Health check enabled must be true for target type instance or ip");
    if (!take_port(in, check, err) || !take_path(in, check, err) ||
        !take_number(in, "HealthCheckIntervalSeconds", 5, 300, &check->interval_s, err) ||
        !take_number(in, "HealthCheckTimeoutSeconds", 2, 120, &check->timeout_s, err) ||
        !take_number(in, "HealthyThresholdCount", 2, 10, &check->healthy_threshold, err) ||
        !take_number(in, "UnhealthyThresholdCount", 2, 10, &check->unhealthy_threshold, err))
        return false;
    if (check->timeout_s >= check->interval_s)
        return err_set(err, ERR_ELB_VALIDATION,
                       "Health check timeout '%d' must be smaller than the interval '%d'", check->timeout_s,
                       check->interval_s);
    return true;
}

/* Changes what is given and keeps the rest. */
static bool
take_health_check(const struct json *in, struct health_check *check, struct err *err)
{
    const char *protocol = json_get_cstr(in, "HealthCheckProtocol", check->protocol);
    const char *matcher =
        json_get_cstr(json_get(in, "Matcher"), is_grpc(check->version) ? "GrpcCode" : "HttpCode", NULL);

    if (strcmp(protocol, "HTTP") != 0 && strcmp(protocol, "HTTPS") != 0)
        return err_set(err, ERR_ELB_VALIDATION,
                       "Health check protocol '%s' is not supported for target groups with the HTTP or HTTPS protocol",
                       protocol);
    if (!check_matcher(json_get(in, "Matcher"), check->version, err) || !elb_take_health_common(in, check, err))
        return false;
    if (matcher != NULL && !text_copy(check->matcher, sizeof(check->matcher), str_of(matcher)))
        return err_set(err, ERR_ELB_VALIDATION, "Health check matcher code is too long");
    text_copy(check->protocol, sizeof(check->protocol), str_of(protocol));
    return true;
}

/* ---- CreateTargetGroup ---- */

static bool
check_create(const struct json *in, struct err *err)
{
    const char *name = json_get_cstr(in, "Name", ""), *protocol = json_get_cstr(in, "Protocol", "");
    const char *type = json_get_cstr(in, "TargetType", "instance");
    const char *version = json_get_cstr(in, "ProtocolVersion", "HTTP1");
    const int64_t port = json_get_i64(in, "Port", 0);

    if (!elb_name_check("Target group", name, true, err))
        return false;
    if (strcmp(type, "instance") != 0 && strcmp(type, "ip") != 0)
        return err_set(err, ERR_INVALID_CONFIGURATION,
                       "Target groups of type '%s' are not built in naru; use 'instance' or 'ip'", type);
    if (protocol[0] == '\0')
        return err_set(err, ERR_ELB_VALIDATION, "A protocol must be specified");
    if (strcmp(protocol, "HTTP") != 0 && strcmp(protocol, "HTTPS") != 0 && strcmp(protocol, "TCP") != 0)
        return err_set(err, ERR_UNSUPPORTED_PROTOCOL,
                       "Protocol '%s' towards targets is not built in naru; use HTTP, HTTPS or TCP", protocol);
    if (strcmp(protocol, "TCP") == 0 && json_get(in, "ProtocolVersion") != NULL)
        return err_set(err, ERR_ELB_VALIDATION, "Protocol version cannot be specified for target groups with the TCP protocol");
    if (strcmp(version, "HTTP1") != 0 && strcmp(version, "HTTP2") != 0 && !is_grpc(version))
        return err_set(err, ERR_ELB_VALIDATION, "Protocol version '%s' must be one of: HTTP1, HTTP2, GRPC", version);
    if (port == 0)
        return err_set(err, ERR_ELB_VALIDATION, "A port must be specified");
    if (port < 1 || port > 65535)
        return err_set(err, ERR_ELB_VALIDATION, "Port '%lld' must be in the range from 1 to 65535", (long long)port);
    if (strcmp(json_get_cstr(in, "IpAddressType", "ipv4"), "ipv4") != 0)
        return err_set(err, ERR_INVALID_CONFIGURATION, "IPv6 targets are not built in naru");
    return elb_tags_check(json_get(in, "Tags"), err);
}

static struct target_group *
find_by_name(const struct request *rq, const char *name)
{
    for (struct target_group *tg = rq->core->target_groups; tg != NULL; tg = tg->next)
        if (strcmp(tg->name, name) == 0 && strcmp(tg->region, rq->region) == 0)
            return tg;
    return NULL;
}

static struct target_group *
make(const struct request *rq, struct err *err)
{
    const struct json *in = rq->input;
    struct target_group *tg = mem_new(sizeof(*tg));

    random_hex(tg->id, 16);
    text_copy(tg->name, sizeof(tg->name), str_of(json_get_cstr(in, "Name", "")));
    text_copy(tg->region, sizeof(tg->region), str_of(rq->region));
    arn_format(tg->arn, "elasticloadbalancing", rq->region, rq->account, "targetgroup/%s/%s", tg->name, tg->id);
    text_copy(tg->protocol, sizeof(tg->protocol), str_of(json_get_cstr(in, "Protocol", "HTTP")));
    text_copy(tg->protocol_version, sizeof(tg->protocol_version),
              str_of(json_get_cstr(in, "ProtocolVersion", "HTTP1")));
    tg->port = (int)json_get_i64(in, "Port", 0);
    target_type_parse(str_of(json_get_cstr(in, "TargetType", "instance")), &tg->target_type);
    /* Defaults of alb.md A3; the timeout is what live answers have. */
    tg->check = (struct health_check){.enabled = true, .protocol = "HTTP", .path = "/", .interval_s = 30,
                                      .timeout_s = 5, .healthy_threshold = 5, .unhealthy_threshold = 2,
                                      .matcher = "200"};
    memcpy(tg->check.version, tg->protocol_version, sizeof(tg->check.version));
    if (is_grpc(tg->protocol_version)) {
        text_copy(tg->check.path, sizeof(tg->check.path), STR("/AWS.ALB/healthcheck"));
        text_copy(tg->check.matcher, sizeof(tg->check.matcher), STR("12"));
    }
    tg->deregistration_delay_s = 300;
    text_copy(tg->algorithm, sizeof(tg->algorithm), STR("round_robin"));
    tg->doc = json_object();
    if (json_get(in, "VpcId") != NULL)
        json_set(tg->doc, "VpcId", json_ref(json_get(in, "VpcId")));
    tg->attributes = target_group_default_attributes(elb_is_tcp(tg));
    if (elb_is_tcp(tg))
        elb_tcp_health_defaults(in, &tg->check);
    tg->tags = json_get(in, "Tags") != NULL ? json_copy(json_get(in, "Tags")) : json_array();
    if ((elb_is_tcp(tg) ? elb_take_tcp_health : take_health_check)(in, &tg->check, err))
        return tg;
    target_group_free(tg);
    return NULL;
}

/* A health check by TCP has neither; what is left of one by HTTP counts for nothing. */
static bool
has_same_path(const struct health_check *a, const struct health_check *b)
{
    return strcmp(a->protocol, "TCP") == 0 ||
           (strcmp(a->path, b->path) == 0 && strcmp(a->matcher, b->matcher) == 0);
}

static bool
is_same(const struct target_group *a, const struct target_group *b)
{
    return a->port == b->port && a->target_type == b->target_type &&
           strcmp(a->protocol, b->protocol) == 0 && strcmp(a->protocol_version, b->protocol_version) == 0 &&
           strcmp(a->check.protocol, b->check.protocol) == 0 &&
           a->check.port == b->check.port && has_same_path(&a->check, &b->check) &&
           a->check.interval_s == b->check.interval_s && a->check.timeout_s == b->check.timeout_s &&
           a->check.healthy_threshold == b->check.healthy_threshold &&
           a->check.unhealthy_threshold == b->check.unhealthy_threshold && json_equal(a->doc, b->doc);
}

bool
elb_create_target_group(struct request *rq, struct json *out, struct err *err)
{
    const char *name = json_get_cstr(rq->input, "Name", "");
    struct event event = {.type = EVENT_TARGET_GROUP_PUT};
    const struct target_group *old;
    struct target_group *tg;
    int count = 0;

    if (!check_create(rq->input, err))
        return false;
    tg = make(rq, err);
    if (tg == NULL)
        return false;
    old = find_by_name(rq, name);
    if (old != NULL) {
        const bool is_repeat = is_same(old, tg);

        target_group_free(tg);
        if (!is_repeat)
            return err_set(err, ERR_DUPLICATE_TARGET_GROUP,
                           "A target group with the same name '%s' exists, but with different settings", name);
        elb_answer_one(out, "TargetGroups", target_group_json(rq, old));
        return true;
    }
    for (const struct target_group *g = rq->core->target_groups; g != NULL; g = g->next)
        count += strcmp(g->region, rq->region) == 0;
    if (count >= TARGET_GROUPS_PER_REGION) {
        target_group_free(tg);
        return err_set(err, ERR_TOO_MANY_TARGET_GROUPS, "The limit of %d target groups a region is reached",
                       TARGET_GROUPS_PER_REGION);
    }
    event.target_group_put.target_group = tg;
    request_step(rq, &event);
    elb_answer_one(out, "TargetGroups", target_group_json(rq, find_by_name(rq, name)));
    return true;
}

/* ---- describing, changing, deleting ---- */

static bool
describe_named(const struct request *rq, const struct json *names, struct json *all, struct err *err)
{
    for (size_t i = 0; i < json_size(names); i++) {
        const struct target_group *tg = find_by_name(rq, json_cstr(json_at(names, i), ""));

        if (tg == NULL)
            return err_set(err, ERR_TARGET_GROUP_NOT_FOUND, "One or more target groups not found");
        json_append(all, target_group_json(rq, tg));
    }
    return true;
}

static bool
describe_by_arn(const struct request *rq, const struct json *arns, struct json *all, struct err *err)
{
    for (size_t i = 0; i < json_size(arns); i++) {
        const struct target_group *tg = elb_find_target_group(rq, json_cstr(json_at(arns, i), ""), err);

        if (tg == NULL)
            return false;
        json_append(all, target_group_json(rq, tg));
    }
    return true;
}

static bool
describe_all(const struct request *rq, const char *load_balancer_arn, struct json *all, struct err *err)
{
    const struct load_balancer *of = NULL;

    if (load_balancer_arn != NULL && (of = elb_find_load_balancer(rq, load_balancer_arn, err)) == NULL)
        return false;
    for (const struct target_group *tg = rq->core->target_groups; tg != NULL; tg = tg->next)
        if (strcmp(tg->region, rq->region) == 0 &&
            (of == NULL || target_group_load_balancer(rq->core, tg->arn) == of))
            json_append(all, target_group_json(rq, tg));
    return true;
}

bool
elb_describe_target_groups(struct request *rq, struct json *out, struct err *err)
{
    const struct json *names = json_get(rq->input, "Names"), *arns = json_get(rq->input, "TargetGroupArns");
    const char *lb = json_get_cstr(rq->input, "LoadBalancerArn", NULL);
    cleanup_json struct json *all = json_array();
    struct page page;

    if (!page_read(rq, "arn:", &page, err))
        return false;
    if ((json_size(names) > 0) + (json_size(arns) > 0) + (lb != NULL) > 1)
        return err_set(err, ERR_ELB_VALIDATION, "Target group names, target group ARNs and a load balancer ARN cannot be given together");
    if (json_size(names) > 0 || json_size(arns) > 0) {
        if (!describe_named(rq, names, all, err) || !describe_by_arn(rq, arns, all, err))
            return false;
    } else if (!describe_all(rq, lb, all, err)) {
        return false;
    }
    page_write(&page, sorted_by(TAKE(all), "TargetGroupArn"), "TargetGroupArn", "TargetGroups", out);
    return true;
}

struct target_group *
target_group_copy(const struct target_group *tg, struct err *err)
{
    cleanup_json struct json *row = target_group_encode(tg);

    return target_group_decode(row, err);
}

bool
elb_modify_target_group(struct request *rq, struct json *out, struct err *err)
{
    const char *arn = json_get_cstr(rq->input, "TargetGroupArn", "");
    const struct target_group *tg = elb_find_target_group(rq, arn, err);
    struct event event = {.type = EVENT_TARGET_GROUP_PUT};
    struct target_group *copy = tg != NULL ? target_group_copy(tg, err) : NULL;

    if (copy == NULL)
        return false;
    if (!(elb_is_tcp(tg) ? elb_take_tcp_health : take_health_check)(rq->input, &copy->check, err)) {
        target_group_free(copy);
        return false;
    }
    event.target_group_put.target_group = copy;
    request_step(rq, &event);
    elb_answer_one(out, "TargetGroups", target_group_json(rq, core_target_group(rq->core, arn)));
    return true;
}

bool
elb_delete_target_group(struct request *rq, struct json *out, struct err *err)
{
    const char *arn = json_get_cstr(rq->input, "TargetGroupArn", "");
    const struct event event = {.type = EVENT_TARGET_GROUP_DELETE, .target_group_delete = {.arn = arn}};
    const struct target_group *tg = elb_find_target_group(rq, arn, err);

    if (tg == NULL) /* as with load balancers */
        return err->code == ERR_TARGET_GROUP_NOT_FOUND;
    if (core_target_group_in_use(rq->core, arn))
        return err_set(err, ERR_ELB_RESOURCE_IN_USE, "Target group '%s' is currently in use by a listener or a rule", arn);
    for (const struct service *s = rq->core->services; s != NULL; s = s->next)
        for (const struct deployment *d = s->deployments; d != NULL && s->status != SERVICE_INACTIVE; d = d->next)
            for (int i = 0; d->status != DEPLOYMENT_INACTIVE && i < d->revision->load_balancer_count; i++)
                if (strcmp(d->revision->load_balancers[i].target_group_arn, arn) == 0)
                    return err_set(err, ERR_ELB_RESOURCE_IN_USE, "Target group '%s' is in use by the service '%s'", arn,
                                   s->name);
    request_step(rq, &event);
    return true;
}
