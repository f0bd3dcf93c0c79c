/* SPDX-License-Identifier: MIT */
/* Target groups through the Query protocol: attributes, health checks, targets. */
#include "elb_world.h"

#define ATTRIBUTE(n) "&Attributes.member." #n ".Key=%s&Attributes.member." #n ".Value=%s"
#define MODIFY "Action=ModifyTargetGroupAttributes&TargetGroupArn=%s" ATTRIBUTE(1)

static const char *
attribute(struct world *w, const char *key)
{
    return json_get_cstr(w->core->target_groups->attributes, key, "(none)");
}

/* ---- attributes ---- */

#define COUNT "target_group_health.unhealthy_state_routing.minimum_healthy_targets.count"
#define PERCENTAGE "target_group_health.unhealthy_state_routing.minimum_healthy_targets.percentage"
#define DNS_COUNT "target_group_health.dns_failover.minimum_healthy_targets.count"
#define DNS_PERCENTAGE "target_group_health.dns_failover.minimum_healthy_targets.percentage"

TEST(attributes_have_ranges)
{
    static const struct {
        const char *key, *good, *bad;
    } rows[] = {
        {"deregistration_delay.timeout_seconds", "0", "3601"},
        {"stickiness.enabled", "true", "yes"},
        {"stickiness.enabled", "false", "TRUE"},
        {"stickiness.type", "app_cookie", "source_ip"},
        {"stickiness.type", "lb_cookie", ""},
        {"stickiness.lb_cookie.duration_seconds", "1", "0"},
        {"stickiness.lb_cookie.duration_seconds", "604800", "604801"},
        {"stickiness.app_cookie.duration_seconds", "604800", "604801"},
        {"slow_start.duration_seconds", "30", "29"},
        {"slow_start.duration_seconds", "900", "901"},
        {"slow_start.duration_seconds", "0", "x"},
        {"load_balancing.algorithm.type", "least_outstanding_requests", "random"},
        {"load_balancing.algorithm.type", "weighted_random", "ROUND_ROBIN"},
        {"load_balancing.cross_zone.enabled", "true", "off"},
        {COUNT, "2", "0"},
        {COUNT, "1000", "1001"},
        {COUNT, "1", "off"},
        {PERCENTAGE, "100", "101"},
        {PERCENTAGE, "1", "0"},
        {PERCENTAGE, "off", "none"},
        {DNS_COUNT, "off", "0"},
        {DNS_COUNT, "1000", "1001"},
        {DNS_PERCENTAGE, "off", "0"},
        {DNS_PERCENTAGE, "100", "101"},
    };
    cleanup(world_done) struct world w;

    prepare(&w);
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        works(&w, MODIFY, tg_arn(&w), rows[i].key, rows[i].good);
        CHECK_TEXT(attribute(&w, rows[i].key), rows[i].good);
        refused(&w, "ValidationError", rows[i].key, MODIFY, tg_arn(&w), rows[i].key, rows[i].bad);
        CHECK_TEXT(attribute(&w, rows[i].key), rows[i].good);
    }
}

TEST(an_unknown_attribute_is_named)
{
    cleanup(world_done) struct world w;

    prepare(&w);
    refused(&w, "ValidationError", "Target group attribute key 'stickiness.lb_cookie' is not recognized",
            MODIFY, tg_arn(&w), "stickiness.lb_cookie", "1");
    /* All or nothing. */
    refused(&w, "ValidationError", "is not recognized", MODIFY ATTRIBUTE(2), tg_arn(&w), "stickiness.enabled", "true",
            "no.such", "1");
    CHECK_TEXT(attribute(&w, "stickiness.enabled"), "false");
}

TEST(stickiness_by_the_applications_cookie_needs_its_name)
{
    static const char *const reserved[] = {"AWSALB", "AWSALBAPP", "AWSALBTG", "AWSALBAPP-0", "AWSALBCORS"};
    cleanup(world_done) struct world w;

    prepare(&w);
    refused(&w, "ValidationError", "stickiness.app_cookie.cookie_name", MODIFY ATTRIBUTE(2), tg_arn(&w),
            "stickiness.enabled", "true", "stickiness.type", "app_cookie");
    for (size_t i = 0; i < ARRAY_COUNT(reserved); i++)
        refused(&w, "ValidationError", "reserved", MODIFY, tg_arn(&w), "stickiness.app_cookie.cookie_name", reserved[i]);
    refused(&w, "ValidationError", "must be 1 to 128", MODIFY, tg_arn(&w), "stickiness.app_cookie.cookie_name", "a%20b");
    works(&w, MODIFY ATTRIBUTE(2) ATTRIBUTE(3), tg_arn(&w), "stickiness.enabled", "true", "stickiness.type",
          "app_cookie", "stickiness.app_cookie.cookie_name", "SID");
    CHECK(says(&w, "<Key>stickiness.app_cookie.cookie_name</Key><Value>SID</Value>"));
    refused(&w, "ValidationError", "stickiness.app_cookie.cookie_name", MODIFY, tg_arn(&w),
            "stickiness.app_cookie.cookie_name", "");
}

TEST(attributes_that_do_not_go_together_are_refused)
{
    cleanup(world_done) struct world w;

    prepare(&w);
    refused(&w, "InvalidConfigurationRequest", "slow_start.duration_seconds", MODIFY ATTRIBUTE(2), tg_arn(&w),
            "slow_start.duration_seconds", "30", "load_balancing.algorithm.type", "least_outstanding_requests");
    works(&w, MODIFY, tg_arn(&w), "slow_start.duration_seconds", "30");
    refused(&w, "InvalidConfigurationRequest", "weighted_random", MODIFY, tg_arn(&w),
            "load_balancing.algorithm.type", "weighted_random");
    refused(&w, "InvalidConfigurationRequest", "load_balancing.cross_zone.enabled", MODIFY, tg_arn(&w),
            "load_balancing.cross_zone.enabled", "false");
    refused(&w, "InvalidConfigurationRequest", "anomaly_mitigation", MODIFY, tg_arn(&w),
            "load_balancing.algorithm.anomaly_mitigation", "on");
    works(&w, MODIFY, tg_arn(&w), COUNT, "3"); /* the default of the other is not in the way */
    refused(&w, "ValidationError", "greater than or equal", MODIFY, tg_arn(&w), DNS_COUNT, "2");
    works(&w, MODIFY, tg_arn(&w), DNS_COUNT, "3");
    works(&w, MODIFY, tg_arn(&w), DNS_COUNT, "off");
    refused(&w, "ValidationError", "greater than or equal", MODIFY ATTRIBUTE(2), tg_arn(&w), PERCENTAGE, "50",
            DNS_PERCENTAGE, "49");
}

TEST(attributes_are_described_with_their_defaults)
{
    static const char *const shown[] = {
        "<Key>" COUNT "</Key><Value>1</Value>", "<Key>" PERCENTAGE "</Key><Value>off</Value>",
        "<Key>" DNS_COUNT "</Key><Value>1</Value>", "<Key>" DNS_PERCENTAGE "</Key><Value>off</Value>",
        "<Key>stickiness.enabled</Key><Value>false</Value>",
        "<Key>stickiness.lb_cookie.duration_seconds</Key><Value>86400</Value>",
        "<Key>slow_start.duration_seconds</Key><Value>0</Value>"};
    cleanup(world_done) struct world w;

    prepare(&w);
    works(&w, "Action=DescribeTargetGroupAttributes&TargetGroupArn=%s", tg_arn(&w));
    for (size_t i = 0; i < ARRAY_COUNT(shown); i++)
        if (!says(&w, shown[i]))
            check_fail(__FILE__, __LINE__, "no %s in %s", shown[i], w.body);
}

/* ---- protocols and health checks ---- */

#define CREATE "Action=CreateTargetGroup&VpcId=vpc-1&TargetType=ip&Port=80"

TEST(groups_speak_http_https_http2_and_grpc)
{
    cleanup(world_done) struct world w;

    prepare(&w);
    works(&w, CREATE "&Name=secure&Protocol=HTTPS&HealthCheckProtocol=HTTPS");
    CHECK(says(&w, "<Protocol>HTTPS</Protocol><ProtocolVersion>HTTP1</ProtocolVersion>"));
    CHECK(says(&w, "<HealthCheckProtocol>HTTPS</HealthCheckProtocol>") && says(&w, "<HttpCode>200</HttpCode>"));
    CHECK(says(&w, "<HealthCheckTimeoutSeconds>5</HealthCheckTimeoutSeconds>"));
    works(&w, CREATE "&Name=two&Protocol=HTTPS&ProtocolVersion=HTTP2");
    CHECK(says(&w, "<ProtocolVersion>HTTP2</ProtocolVersion>"));
    CHECK(says(&w, "<HealthCheckProtocol>HTTP</HealthCheckProtocol>")); /* ALB's default, whatever the group */
    CHECK(says(&w, "<HealthCheckPath>/</HealthCheckPath>"));
    works(&w, CREATE "&Name=grpc&Protocol=HTTP&ProtocolVersion=GRPC");
    CHECK(says(&w, "<HealthCheckPath>/AWS.ALB/healthcheck</HealthCheckPath>"));
    CHECK(says(&w, "<Matcher><GrpcCode>12</GrpcCode></Matcher>"));
    works(&w, CREATE "&Name=grpc2&Protocol=HTTP&ProtocolVersion=GRPC&Matcher.GrpcCode=0-99&HealthCheckPath=/a.B/c");
    CHECK(says(&w, "<GrpcCode>0-99</GrpcCode>") && says(&w, "<HealthCheckPath>/a.B/c</HealthCheckPath>"));
    refused(&w, "ValidationError", "HTTP1, HTTP2, GRPC", CREATE "&Name=x&Protocol=HTTP&ProtocolVersion=HTTP3");
    refused(&w, "ValidationError", "GrpcCode is not supported", CREATE "&Name=x&Protocol=HTTP&Matcher.GrpcCode=0");
    refused(&w, "ValidationError", "HttpCode is not supported",
            CREATE "&Name=x&Protocol=HTTP&ProtocolVersion=GRPC&Matcher.HttpCode=200");
    refused(&w, "ValidationError", "0-99", CREATE "&Name=x&Protocol=HTTP&ProtocolVersion=GRPC&Matcher.GrpcCode=100");
    refused(&w, "ValidationError", "together",
            CREATE "&Name=x&Protocol=HTTP&ProtocolVersion=GRPC&Matcher.GrpcCode=0&Matcher.HttpCode=200");
    refused(&w, "ValidationError", "200-499", CREATE "&Name=x&Protocol=HTTP&Matcher.HttpCode=199");
    refused(&w, "ValidationError", "200-499", CREATE "&Name=x&Protocol=HTTPS&Matcher.HttpCode=200-500");
    refused(&w, "ValidationError", "TCP", CREATE "&Name=x&Protocol=HTTP&HealthCheckProtocol=TCP");
}

TEST(a_group_is_made_twice_only_if_it_is_the_same)
{
    static const char *const other[] = {"&Protocol=HTTPS", "&Protocol=HTTP&ProtocolVersion=HTTP2",
                                        "&Protocol=HTTP&HealthCheckProtocol=HTTPS", "&Protocol=HTTP&Matcher.HttpCode=201",
                                        "&Protocol=HTTP&HealthCheckPath=/a"};
    cleanup(world_done) struct world w;

    prepare(&w);
    works(&w, CREATE "&Name=tg&Protocol=HTTP");
    CHECK(says(&w, tg_arn(&w)));
    for (size_t i = 0; i < ARRAY_COUNT(other); i++)
        refused(&w, "DuplicateTargetGroupName", "different settings", CREATE "&Name=tg%s", other[i]);
}

TEST(a_health_check_keeps_its_ranges_when_it_changes)
{
#define CHANGE "Action=ModifyTargetGroup&TargetGroupArn=%s"
    static const struct {
        const char *good, *bad;
    } rows[] = {
        {"HealthCheckIntervalSeconds=300", "HealthCheckIntervalSeconds=301"},
        {"HealthCheckTimeoutSeconds=120", "HealthCheckTimeoutSeconds=121"},
        {"HealthCheckTimeoutSeconds=2", "HealthCheckTimeoutSeconds=1"},
        {"HealthCheckIntervalSeconds=5", "HealthCheckIntervalSeconds=4"},
        {"HealthCheckTimeoutSeconds=4", "HealthCheckTimeoutSeconds=5"}, /* not the interval */
        {"HealthyThresholdCount=10", "HealthyThresholdCount=11"},
        {"HealthyThresholdCount=2", "HealthyThresholdCount=1"},
        {"UnhealthyThresholdCount=10", "UnhealthyThresholdCount=11"},
        {"UnhealthyThresholdCount=2", "UnhealthyThresholdCount=1"},
        {"HealthCheckPort=65535", "HealthCheckPort=65536"},
        {"HealthCheckPort=traffic-port", "HealthCheckPort=0"},
        {"HealthCheckPath=/a?b", "HealthCheckPath=a"},
        {"HealthCheckProtocol=HTTPS", "HealthCheckProtocol=TCP"},
        {"Matcher.HttpCode=200,404-499", "Matcher.HttpCode=200,"},
        {"HealthCheckEnabled=true", "HealthCheckEnabled=false"},
    };
    cleanup(world_done) struct world w;

    prepare(&w);
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        works(&w, CHANGE "&%s", tg_arn(&w), rows[i].good);
        refused(&w, "ValidationError", "", CHANGE "&%s", tg_arn(&w), rows[i].bad);
    }
    refused(&w, "ValidationError", "GrpcCode is not supported", CHANGE "&Matcher.GrpcCode=0", tg_arn(&w));
    works(&w, "Action=DescribeTargetGroups");
    CHECK(says(&w, "<HealthCheckProtocol>HTTPS</HealthCheckProtocol>") && says(&w, "<HttpCode>200,404-499</HttpCode>"));
}

/* ---- targets ---- */

TEST(health_is_described_for_what_is_registered_and_what_is_asked_for)
{
#define HEALTH "Action=DescribeTargetHealth&TargetGroupArn=%s"
    cleanup(world_done) struct world w;

    prepare(&w);
    works(&w, "Action=RegisterTargets&TargetGroupArn=%s&Targets.member.1.Id=10.0.0.1", tg_arn(&w));
    works(&w, HEALTH, tg_arn(&w));
    CHECK(says(&w, "<State>unused</State><Reason>Target.NotInUse</Reason>"));
    CHECK(says(&w, "<AdministrativeOverride><State>no_override</State><Reason>AdministrativeOverride.NoOverride</Reason>"));
    works(&w, HEALTH "&Targets.member.1.Id=10.0.0.2", tg_arn(&w));
    CHECK(says(&w, "<Reason>Target.NotRegistered</Reason>") && !says(&w, "10.0.0.1"));
    refused(&w, "InvalidConfigurationRequest", "Anomaly detection", HEALTH "&Include.member.1=AnomalyDetection", tg_arn(&w));
    refused(&w, "InvalidConfigurationRequest", "Anomaly detection", HEALTH "&Include.member.1=All", tg_arn(&w));
    refused(&w, "ValidationError", "", HEALTH "&Include.member.1=Everything", tg_arn(&w));
}

TEST(a_target_is_one_machine_and_keeps_its_zone)
{
#define REGISTER "Action=RegisterTargets&TargetGroupArn=%s&Targets.member.1.Id="
    cleanup(world_done) struct world w;
    static const char *const bad[] = {"0.0.0.0", "0.1.2.3", "224.0.0.1", "255.255.255.255"};

    prepare(&w);
    for (size_t i = 0; i < ARRAY_COUNT(bad); i++)
        refused(&w, "ValidationError", "is not one of a machine", REGISTER "%s", tg_arn(&w), bad[i]);
    refused(&w, "ValidationError", "Availability Zone 'mars-1a' is not valid",
            REGISTER "10.0.0.1&Targets.member.1.AvailabilityZone=mars-1a", tg_arn(&w));
    CHECK_EQ(w.core->target_groups->target_count, 0);
    works(&w, REGISTER "10.0.0.1&Targets.member.1.AvailabilityZone=all&Targets.member.2.Id=10.0.0.2"
              "&Targets.member.2.AvailabilityZone=" WORLD_REGION "a&Targets.member.3.Id=10.0.0.3", tg_arn(&w));
    works(&w, HEALTH, tg_arn(&w));
    CHECK(says(&w, "<AvailabilityZone>all</AvailabilityZone>"));
    CHECK(says(&w, "<AvailabilityZone>" WORLD_REGION "a</AvailabilityZone>"));
    /* It goes through the store's form. */
    works(&w, "Action=ModifyTargetGroup&TargetGroupArn=%s&HealthCheckPath=/x", tg_arn(&w));
    works(&w, HEALTH "&Targets.member.1.Id=10.0.0.1", tg_arn(&w));
    CHECK(says(&w, "<AvailabilityZone>all</AvailabilityZone>"));
    works(&w, HEALTH "&Targets.member.1.Id=10.0.0.3", tg_arn(&w));
    CHECK(!says(&w, "AvailabilityZone"));
    works(&w, "Action=CreateTargetGroup&VpcId=vpc-1&Port=80&Name=machines&Protocol=HTTP");
    refused(&w, "ValidationError", "for targets of type 'instance'", REGISTER "i-1&Targets.member.1.AvailabilityZone=all",
            w.core->target_groups->next->arn);
}

TEST(an_instance_that_has_gone_is_stopped)
{
    cleanup(world_done) struct world w;
    struct target gone = {.id = "0123456789abcdef0123456789abcdef", .port = 80};
    struct event event = {.type = EVENT_TARGETS_CHANGE};

    prepare(&w);
    works(&w, "Action=CreateTargetGroup&VpcId=vpc-1&Port=80&Name=machines&Protocol=HTTP");
    const char *arn = arena_format(&test_arena, "%s", w.core->target_groups->next->arn);
    event.targets_change = (struct ev_targets_change){arn, true, &gone, 1};
    world_step(&w, &event);
    works(&w, HEALTH, arn);
    CHECK(says(&w, "<State>unused</State><Reason>Target.InvalidState</Reason>"
                   "<Description>Target is in the stopped state</Description>"));
}

/* ---- stickiness of actions ---- */

#define STICKY LISTENER "Type=forward&DefaultActions.member.1.TargetGroupArn=%s&DefaultActions.member.1." \
                        "ForwardConfig.TargetGroupStickinessConfig."

TEST(forward_actions_keep_clients_for_a_week_at_most)
{
    cleanup(world_done) struct world w;

    prepare(&w);
    refused(&w, "ValidationError", "duration must be specified", STICKY "Enabled=true", lb_arn(&w), tg_arn(&w));
    refused(&w, "ValidationError", "1 to 604800",
            STICKY "Enabled=true&DefaultActions.member.1.ForwardConfig.TargetGroupStickinessConfig.DurationSeconds=0",
            lb_arn(&w), tg_arn(&w));
    refused(&w, "ValidationError", "1 to 604800",
            STICKY "DurationSeconds=604801", lb_arn(&w), tg_arn(&w));
    works(&w, STICKY "DurationSeconds=604800", lb_arn(&w), tg_arn(&w));
    CHECK(says(&w, "<TargetGroupStickinessConfig><Enabled>false</Enabled><DurationSeconds>604800</DurationSeconds>"));
    works(&w, "Action=ModifyListener&ListenerArn=%s&DefaultActions.member.1.Type=forward"
              "&DefaultActions.member.1.TargetGroupArn=%s&DefaultActions.member.1.ForwardConfig."
              "TargetGroupStickinessConfig.Enabled=true&DefaultActions.member.1.ForwardConfig."
              "TargetGroupStickinessConfig.DurationSeconds=1", w.core->listeners->arn, tg_arn(&w));
    CHECK(says(&w, "<TargetGroupStickinessConfig><Enabled>true</Enabled><DurationSeconds>1</DurationSeconds>"));
}
