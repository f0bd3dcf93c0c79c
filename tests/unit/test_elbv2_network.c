/* SPDX-License-Identifier: MIT */
/* Network load balancers through the Query protocol. */
#include "elb_world.h"

#define TG "Action=CreateTargetGroup&Port=80&VpcId=vpc-1&TargetType=ip&Name="
#define FORWARD "DefaultActions.member.1.Type=forward&DefaultActions.member.1.TargetGroupArn="

static const char *
group_named(const struct world *w, const char *name)
{
    for (const struct target_group *tg = w->core->target_groups; tg != NULL; tg = tg->next)
        if (strcmp(tg->name, name) == 0)
            return tg->arn;
    return "";
}

/* A network load balancer, and a TCP group "tcp" beside the HTTP group "tg" of prepare(). */
static void
prepare_network(struct world *w)
{
    prepare(w);
    works(w, "Action=DeleteLoadBalancer&LoadBalancerArn=%s", lb_arn(w));
    works(w, "Action=CreateLoadBalancer&Name=lb&Type=network&Subnets.member.1=subnet-a");
    works(w, TG "tcp&Protocol=TCP");
}

TEST(a_network_load_balancer_says_what_it_is)
{
    cleanup(world_done) struct world w;

    prepare_network(&w);
    CHECK(strstr(lb_arn(&w), ":loadbalancer/net/lb/") != NULL);
    works(&w, "Action=DescribeLoadBalancers");
    CHECK(says(&w, "<Type>network</Type>") && says(&w, "<Code>active</Code>"));
    works(&w, "Action=CreateLoadBalancer&Name=lb&Type=network&Subnets.member.1=subnet-a");
    refused(
        &w, "DuplicateLoadBalancerName", "different settings",
        "Action=CreateLoadBalancer&Name=lb&Subnets.member.1=subnet-a&Subnets.member.2=subnet-b");
    refused(&w, "InvalidConfigurationRequest", "'gateway'",
            "Action=CreateLoadBalancer&Name=gw&Type=gateway&Subnets.member.1=subnet-a");
    works(&w, "Action=DescribeLoadBalancerAttributes&LoadBalancerArn=%s", lb_arn(&w));
    CHECK(says(&w, "dns_record.client_routing_policy") && !says(&w, "idle_timeout"));
    refused(&w, "ValidationError", "idle_timeout.timeout_seconds",
            "Action=ModifyLoadBalancerAttributes&LoadBalancerArn=%s&Attributes.member.1.Key=idle_"
            "timeout."
            "timeout_seconds&Attributes.member.1.Value=70",
            lb_arn(&w));
    works(&w,
          "Action=ModifyLoadBalancerAttributes&LoadBalancerArn=%s&Attributes.member.1.Key=deletion_"
          "protection."
          "enabled&Attributes.member.1.Value=true",
          lb_arn(&w));
    refused(&w, "OperationNotPermitted", "deletion protection",
            "Action=DeleteLoadBalancer&LoadBalancerArn=%s", lb_arn(&w));
}

TEST(target_groups_of_tcp_have_defaults_of_their_own)
{
    cleanup(world_done) struct world w;

    prepare_network(&w);
    works(&w, "Action=DescribeTargetGroups&Names.member.1=tcp");
    CHECK(says(&w, "<Protocol>TCP</Protocol>") &&
          says(&w, "<HealthCheckProtocol>TCP</HealthCheckProtocol>"));
    CHECK(says(&w, "<HealthCheckIntervalSeconds>30</HealthCheckIntervalSeconds>"
                   "<HealthCheckTimeoutSeconds>10</HealthCheckTimeoutSeconds>"
                   "<HealthyThresholdCount>5</HealthyThresholdCount>"
                   "<UnhealthyThresholdCount>2</UnhealthyThresholdCount>"));
    CHECK(!says(&w, "HealthCheckPath") && !says(&w, "Matcher") && !says(&w, "ProtocolVersion"));
    works(&w, TG "web&Protocol=TCP&HealthCheckProtocol=HTTP&HealthCheckPath=/health");
    CHECK(says(&w, "<HealthCheckTimeoutSeconds>6</HealthCheckTimeoutSeconds>"));
    CHECK(says(&w, "<HealthCheckPath>/health</HealthCheckPath><Matcher><HttpCode>200-399</"
                   "HttpCode></Matcher>"));
    works(&w,
          TG "web&Protocol=TCP&HealthCheckProtocol=HTTP&HealthCheckPath=/health"); /* the same */
    refused(&w, "DuplicateTargetGroupName", "different settings", TG "web&Protocol=TCP");
    refused(&w, "DuplicateTargetGroupName", "different settings", TG "tcp&Protocol=HTTP");
    refused(&w, "ValidationError", "path cannot", TG "a&Protocol=TCP&HealthCheckPath=/");
    refused(&w, "ValidationError", "matcher cannot", TG "a&Protocol=TCP&Matcher.HttpCode=200");
    refused(&w, "ValidationError", "Protocol version", TG "a&Protocol=TCP&ProtocolVersion=HTTP1");
    refused(&w, "ValidationError", "HTTP or HTTPS", TG "a&Protocol=HTTP&HealthCheckProtocol=TCP");
    refused(&w, "ValidationError", "'TCP, HTTP, HTTPS'",
            TG "a&Protocol=TCP&HealthCheckProtocol=UDP");
    works(&w, TG "secure&Protocol=TCP&HealthCheckProtocol=HTTPS&HealthCheckPath=/health");
    CHECK(says(&w, "<HealthCheckTimeoutSeconds>10</HealthCheckTimeoutSeconds>") && says(&w, "200-399"));
    refused(&w, "ValidationError", "smaller than the interval",
            TG "a&Protocol=TCP&HealthCheckIntervalSeconds=10");
    refused(&w, "ValidationError", "HealthyThresholdCount",
            TG "a&Protocol=TCP&HealthyThresholdCount=11");
    refused(&w, "ValidationError", "traffic-port", TG "a&Protocol=TCP&HealthCheckPort=none");
    refused(&w, "ValidationError", "gRPC",
            TG "a&Protocol=TCP&HealthCheckProtocol=HTTP&Matcher.GrpcCode=0");
    for (const char *p = "UDP TLS TCP_UDP QUIC"; p != NULL;
         p = strchr(p, ' ') != NULL ? strchr(p, ' ') + 1 : NULL)
        refused(&w, "UnsupportedProtocol", "not built in naru", TG "a&Protocol=%.*s",
                (int)strcspn(p, " "), p);
    works(&w,
          "Action=ModifyTargetGroup&TargetGroupArn=%s&HealthCheckIntervalSeconds=10&"
          "HealthCheckTimeoutSeconds=5"
          "&HealthCheckPort=81",
          group_named(&w, "tcp"));
    CHECK(says(&w, "<HealthCheckPort>81</HealthCheckPort>"));
    works(&w,
          "Action=ModifyTargetGroup&TargetGroupArn=%s&HealthCheckProtocol=HTTP&HealthCheckPath=/x",
          group_named(&w, "tcp"));
    CHECK(says(&w, "<HealthCheckProtocol>HTTP</HealthCheckProtocol>") && says(&w, "200-399"));
    /* Back to TCP, it is what it was. */
    works(&w, TG "back&Protocol=TCP");
    works(&w,
          "Action=ModifyTargetGroup&TargetGroupArn=%s&HealthCheckProtocol=HTTP&HealthCheckPath=/x",
          group_named(&w, "back"));
    refused(&w, "DuplicateTargetGroupName", "different settings", TG "back&Protocol=TCP");
    works(&w, "Action=ModifyTargetGroup&TargetGroupArn=%s&HealthCheckProtocol=TCP",
          group_named(&w, "back"));
    works(&w, TG "back&Protocol=TCP");
}

static void
set_attribute(struct world *w, const char *key, const char *value)
{
    works(w,
          "Action=ModifyTargetGroupAttributes&TargetGroupArn=%s&Attributes.member.1.Key=%s"
          "&Attributes.member.1.Value=%s",
          group_named(w, "tcp"), key, value);
}

TEST(attributes_of_tcp_groups)
{
    cleanup(world_done) struct world w;

    prepare_network(&w);
    set_attribute(&w, "stickiness.enabled", "true");
    set_attribute(&w, "proxy_protocol_v2.enabled", "true");
    set_attribute(&w, "deregistration_delay.connection_termination.enabled", "true");
    set_attribute(&w, "deregistration_delay.timeout_seconds", "5");
    CHECK_EQ(core_target_group(w.core, group_named(&w, "tcp"))->deregistration_delay_s, 5);
    works(&w, "Action=DescribeTargetGroupAttributes&TargetGroupArn=%s", group_named(&w, "tcp"));
    CHECK(says(&w, "<Key>stickiness.type</Key><Value>source_ip</Value>"));
    refused(&w, "InvalidConfigurationRequest", "preserve_client_ip.enabled",
            "Action=ModifyTargetGroupAttributes&TargetGroupArn=%s&Attributes.member.1.Key=preserve_"
            "client_ip.enabled"
            "&Attributes.member.1.Value=true",
            group_named(&w, "tcp"));
    refused(&w, "ValidationError", "slow_start",
            "Action=ModifyTargetGroupAttributes&TargetGroupArn=%s&Attributes.member.1.Key=slow_"
            "start.duration_seconds"
            "&Attributes.member.1.Value=30",
            group_named(&w, "tcp"));
    refused(&w, "ValidationError", "proxy_protocol_v2",
            "Action=ModifyTargetGroupAttributes&TargetGroupArn=%s&Attributes.member.1.Key=proxy_"
            "protocol_v2.enabled"
            "&Attributes.member.1.Value=true",
            group_named(&w, "tg"));
}

#define TCP_LISTENER "Action=CreateListener&LoadBalancerArn=%s&Port=8081&Protocol="

#define SET_IDLE                                                                               \
    "Action=ModifyListenerAttributes&ListenerArn=%s&Attributes.member.1.Key=tcp.idle_timeout." \
    "seconds"                                                                                  \
    "&Attributes.member.1.Value="

TEST(listeners_of_a_network_load_balancer)
{
    cleanup(world_done) struct world w;
    const char *listener;

    prepare_network(&w);
    for (const char *p = "UDP TLS TCP_UDP QUIC TCP_QUIC"; p != NULL;
         p = strchr(p, ' ') != NULL ? strchr(p, ' ') + 1 : NULL)
        refused(&w, "UnsupportedProtocol", "use TCP", TCP_LISTENER "%.*s&" FORWARD "%s", lb_arn(&w),
                (int)strcspn(p, " "), p, group_named(&w, "tcp"));
    refused(&w, "ValidationError", "'UDP, TLS, TCP, TCP_UDP'", TCP_LISTENER "HTTP&" FORWARD "%s",
            lb_arn(&w), group_named(&w, "tcp"));
    refused(&w, "ValidationError", "protocol must be specified",
            "Action=CreateListener&LoadBalancerArn=%s&Port=8081&" FORWARD "%s", lb_arn(&w),
            group_named(&w, "tcp"));
    refused(&w, "IncompatibleProtocols", "'TCP' and 'HTTP'", TCP_LISTENER "TCP&" FORWARD "%s",
            lb_arn(&w), group_named(&w, "tg"));
    refused(&w, "InvalidLoadBalancerAction", "'network'",
            TCP_LISTENER "TCP&DefaultActions.member.1.Type=fixed-response&DefaultActions.member.1."
                         "FixedResponseConfig."
                         "StatusCode=200",
            lb_arn(&w));
    refused(
        &w, "ValidationError", "multiple target groups",
        TCP_LISTENER
        "TCP&DefaultActions.member.1.Type=forward&DefaultActions.member.1.ForwardConfig."
        "TargetGroups."
        "member.1.TargetGroupArn=%s&DefaultActions.member.1.ForwardConfig.TargetGroups.member.2."
        "TargetGroupArn=%s",
        lb_arn(&w), group_named(&w, "tcp"), group_named(&w, "tg"));
    refused(&w, "InvalidConfigurationRequest", "Certificates",
            TCP_LISTENER "TCP&SslPolicy=ELBSecurityPolicy-2016-08&" FORWARD "%s", lb_arn(&w),
            group_named(&w, "tcp"));
    refused(&w, "ValidationError", "stickiness",
            TCP_LISTENER "TCP&" FORWARD "%s&DefaultActions.member.1.ForwardConfig.TargetGroupStickinessConfig.Enabled=true"
            "&DefaultActions.member.1.ForwardConfig.TargetGroupStickinessConfig.DurationSeconds=5", lb_arn(&w),
            group_named(&w, "tcp"));
    works(&w, TCP_LISTENER "TCP&" FORWARD "%s", lb_arn(&w), group_named(&w, "tcp"));
    CHECK(says(&w, "<Protocol>TCP</Protocol>") && says(&w, ":listener/net/lb/"));
    listener = arena_format(&test_arena, "%s", w.core->listeners->arn);
    refused(&w, "InvalidConfigurationRequest", "Rules are not supported",
            "Action=CreateRule&ListenerArn=%s&Priority=1&Conditions.member.1.Field=path-pattern"
            "&Conditions.member.1.Values.member.1=/"
            "a&Actions.member.1.Type=forward&Actions.member.1.TargetGroupArn=%s",
            listener, group_named(&w, "tcp"));
    works(&w, "Action=ModifyListener&ListenerArn=%s&Port=8082", listener);
    CHECK(says(&w, "<Protocol>TCP</Protocol>") && says(&w, "<Port>8082</Port>"));
    refused(&w, "UnsupportedProtocol", "TLS", "Action=ModifyListener&ListenerArn=%s&Protocol=TLS",
            listener);
    works(&w, "Action=DescribeTargetGroups&Names.member.1=tcp");
    CHECK(says(&w, lb_arn(&w)));
    works(&w, "Action=DescribeListenerAttributes&ListenerArn=%s", listener);
    CHECK(says(&w, "<Attributes><member><Key>tcp.idle_timeout.seconds</Key><Value>350</Value></"
                   "member></Attributes>"));
    works(&w, SET_IDLE "60", listener);
    CHECK_TEXT(json_get_cstr(w.core->listeners->attributes, "tcp.idle_timeout.seconds", ""), "60");
    refused(&w, "ValidationError", "60 to 6000", SET_IDLE "59", listener);
    refused(&w, "ValidationError", "60 to 6000", SET_IDLE "6001", listener);
    refused(&w, "InvalidConfigurationRequest", "'TCP'",
            "Action=ModifyListenerAttributes&ListenerArn=%s&Attributes.member.1.Key=routing.http."
            "response.server.enabled"
            "&Attributes.member.1.Value=false",
            listener);
}

TEST(an_application_load_balancer_does_not_lead_to_tcp_groups)
{
    cleanup(world_done) struct world w;

    prepare(&w);
    works(&w, TG "tcp&Protocol=TCP");
    refused(&w, "IncompatibleProtocols", "'HTTP' and 'TCP'", TCP_LISTENER "HTTP&" FORWARD "%s",
            lb_arn(&w), group_named(&w, "tcp"));
    refused(&w, "ValidationError", "'HTTPS, HTTP'", TCP_LISTENER "TCP&" FORWARD "%s", lb_arn(&w),
            tg_arn(&w));
}
