/* SPDX-License-Identifier: MIT */
/* elbv2_tcp.c - network load balancers: their listeners, groups and health checks speak TCP. */
#include "api/elbv2.h"

#include "core/target_health.h"

/* ---- network load balancers ---- */

const struct attribute_row elb_network_rows[] = {
    {"deletion_protection.enabled", "false", "bool"},
    {"load_balancing.cross_zone.enabled", "false", "fixed"},
    {"access_logs.s3.enabled", "false", "fixed"},
    {"access_logs.s3.bucket", "", "fixed"},
    {"access_logs.s3.prefix", "", "fixed"},
    {"ipv6.deny_all_igw_traffic", "false", "fixed"},
    {"dns_record.client_routing_policy", "any_availability_zone", "fixed"},
    {"secondary_ips.auto_assigned.per_subnet", "0", "fixed"},
    {"zonal_shift.config.enabled", "false", "fixed"},
};
const size_t elb_network_row_count = ARRAY_COUNT(elb_network_rows);

/* The address of clients is not kept towards targets, and connections of unhealthy ones are not
 * cut: both are true by default in AWS (docs/LIMITS.md). */
const struct attribute_row elb_tcp_group_rows[] = {
    {"deregistration_delay.timeout_seconds", "300", "int:0:3600"},
    {"deregistration_delay.connection_termination.enabled", "false", "bool"},
    {"stickiness.enabled", "false", "bool"},
    {"stickiness.type", "source_ip", "fixed"},
    {"preserve_client_ip.enabled", "false", "fixed"},
    {"proxy_protocol_v2.enabled", "false", "bool"},
    {"load_balancing.cross_zone.enabled", "use_load_balancer_configuration", "fixed"},
    {"target_health_state.unhealthy.connection_termination.enabled", "false", "fixed"},
    {"target_health_state.unhealthy.draining_interval_seconds", "0", "fixed"},
    {"target_group_health.unhealthy_state_routing.minimum_healthy_targets.count", "1", "fixed"},
    {"target_group_health.unhealthy_state_routing.minimum_healthy_targets.percentage", "off",
     "fixed"},
    {"target_group_health.dns_failover.minimum_healthy_targets.count", "1", "fixed"},
    {"target_group_health.dns_failover.minimum_healthy_targets.percentage", "off", "fixed"},
};
const size_t elb_tcp_group_row_count = ARRAY_COUNT(elb_tcp_group_rows);

bool
elb_is_network(const char *lb_arn)
{
    return elb_arn_is_of(lb_arn, "loadbalancer/net/");
}

bool
elb_is_tcp(const struct target_group *tg)
{
    return strcmp(tg->protocol, "TCP") == 0;
}

bool
elb_network_check_listener(const struct json *in, const char *protocol, struct err *err)
{
    static const char *const unbuilt[] = {"TLS", "UDP", "TCP_UDP", "QUIC", "TCP_QUIC"};

    for (size_t i = 0; i < ARRAY_COUNT(unbuilt); i++)
        if (strcmp(protocol, unbuilt[i]) == 0)
            return err_set(err, ERR_UNSUPPORTED_PROTOCOL,
                           "Listeners of protocol '%s' are not built in naru for network load "
                           "balancers; use TCP",
                           protocol);
    if (strcmp(protocol, "TCP") != 0)
        return err_set(err, ERR_ELB_VALIDATION,
                       "Listener protocol '%s' must be one of 'UDP, TLS, TCP, TCP_UDP'", protocol);
    if (json_size(json_get(in, "Certificates")) > 0 || json_get(in, "SslPolicy") != NULL ||
        json_size(json_get(in, "AlpnPolicy")) > 0)
        return err_set(err, ERR_INVALID_CONFIGURATION,
                       "Certificates, SSL and ALPN policies cannot be specified for TCP listeners");
    return true;
}

bool
elb_network_check_actions(const struct json *actions, struct err *err)
{
    const struct json *action = json_at(actions, 0);
    const char *type = json_get_cstr(action, "Type", "");

    if (strcmp(type, "forward") != 0)
        return err_set(
            err, ERR_INVALID_LB_ACTION,
            "Actions of type '%s' are not supported with a load balancer of type 'network'", type);
    if (json_size(json_get(json_get(action, "ForwardConfig"), "TargetGroups")) > 1)
        return err_set(err, ERR_ELB_VALIDATION,
                       "You cannot specify multiple target groups in a single action with a load "
                       "balancer of type "
                       "'network'");
    if (json_get_bool(json_get(json_get(action, "ForwardConfig"), "TargetGroupStickinessConfig"), "Enabled", false))
        return err_set(err, ERR_ELB_VALIDATION,
                       "You cannot enable target group stickiness with a load balancer of type 'network'");
    return true;
}

bool
elb_check_protocols(const char *lb_arn, const struct target_group *tg, struct err *err)
{
    const bool is_network = elb_is_network(lb_arn);

    if (elb_is_tcp(tg) == is_network)
        return true;
    return err_set(err, ERR_INCOMPATIBLE_PROTOCOLS,
                   "The listener and its associated target group '%s' have incompatible protocols: "
                   "'%s' and '%s'",
                   tg->arn, is_network ? "TCP" : "HTTP", tg->protocol);
}

/* ---- health checks of TCP groups ---- */

void
elb_tcp_health_defaults(const struct json *in, struct health_check *check)
{
    const bool is_http = strcmp(json_get_cstr(in, "HealthCheckProtocol", "TCP"), "HTTP") == 0;

    *check = (struct health_check){.enabled = true,
                                   .protocol = "TCP",
                                   .path = "/",
                                   .interval_s = 30,
                                   .timeout_s = is_http ? 6 : 10,
                                   .healthy_threshold = 5,
                                   .unhealthy_threshold = 2,
                                   .matcher = "200-399"};
}

static bool
check_no_http(const struct json *in, struct err *err)
{
    if (json_get(in, "HealthCheckPath") != NULL)
        return err_set(err, ERR_ELB_VALIDATION,
                       "Health check path cannot be specified for TCP health checks");
    if (json_get(in, "Matcher") != NULL)
        return err_set(err, ERR_ELB_VALIDATION,
                       "Health check matcher cannot be specified for TCP health checks");
    return true;
}

static bool
take_matcher(const struct json *matcher, struct health_check *check, struct err *err)
{
    const char *codes = json_get_cstr(matcher, "HttpCode", NULL);

    if (json_get(matcher, "GrpcCode") != NULL)
        return err_set(err, ERR_ELB_VALIDATION,
                       "gRPC codes cannot be specified for target groups with the TCP protocol");
    if (codes != NULL && (!matcher_is_valid("HTTP1", codes) ||
                          !text_copy(check->matcher, sizeof(check->matcher), str_of(codes))))
        return err_set(err, ERR_ELB_VALIDATION,
                       "Health check matcher HTTP code '%s' must be within '200-499'", codes);
    return true;
}

bool
elb_take_tcp_health(const struct json *in, struct health_check *check, struct err *err)
{
    const char *protocol = json_get_cstr(in, "HealthCheckProtocol", check->protocol);

    if (strcmp(protocol, "TCP") != 0 && strcmp(protocol, "HTTP") != 0 && strcmp(protocol, "HTTPS") != 0)
        return err_set(err, ERR_ELB_VALIDATION,
                       "Health check protocol '%s' must be one of 'TCP, HTTP, HTTPS'", protocol);
    text_copy(check->protocol, sizeof(check->protocol), str_of(protocol));
    return (strcmp(protocol, "TCP") == 0 ? check_no_http(in, err)
                                         : take_matcher(json_get(in, "Matcher"), check, err)) &&
           elb_take_health_common(in, check, err);
}
