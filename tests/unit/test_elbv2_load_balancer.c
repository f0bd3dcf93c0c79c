/* SPDX-License-Identifier: MIT */
/* Load balancers and their listeners: what is kept, checked, changed, and what there may be. */
#include "check.h"
#include "elb_world.h"

#define CREATE "Action=CreateLoadBalancer&Name=new"
#define TWO "&Subnets.member.1=subnet-a&Subnets.member.2=subnet-b"

TEST(a_load_balancer_stands_in_two_subnets)
{
    cleanup(world_done) struct world w;

    prepare(&w);
    refused(&w, "ValidationError", "name cannot be empty", "Action=CreateLoadBalancer&Name=" TWO);
    refused(&w, "ValidationError",
            "At least two subnets in two different Availability Zones must be specified", CREATE);
    refused(&w, "ValidationError", "At least two subnets", CREATE "&Subnets.member.1=subnet-a");
    refused(&w, "InvalidConfigurationRequest", "multiple subnets in the same Availability Zone",
            CREATE "&Subnets.member.1=subnet-a&Subnets.member.2=subnet-a");
    refused(&w, "ValidationError", "The subnet ID 'sn-a' is not valid",
            CREATE "&Subnets.member.1=sn-a&Subnets.member.2=subnet-b");
    refused(&w, "ValidationError", "given together",
            CREATE TWO "&SubnetMappings.member.1.SubnetId=subnet-c");
    refused(&w, "ValidationError", "SubnetId",
            CREATE "&SubnetMappings.member.1.SubnetId=subnet-a"
                   "&SubnetMappings.member.2.Nothing=x");
    works(&w, CREATE
          "&SubnetMappings.member.1.SubnetId=subnet-a&SubnetMappings.member.2.SubnetId=subnet-b"
          "&SecurityGroups.member.1=sg-1&Scheme=internal");
    CHECK(says(&w, "<ZoneName>" WORLD_REGION "a</ZoneName><SubnetId>subnet-a</SubnetId>"));
    CHECK(says(&w, "<ZoneName>" WORLD_REGION "b</ZoneName><SubnetId>subnet-b</SubnetId>"));
    CHECK(says(&w, "<SecurityGroups><member>sg-1</member></SecurityGroups>"));
    CHECK(says(&w, "<Scheme>internal</Scheme>"));
    /* Which way they are named makes no difference. */
    works(&w, CREATE TWO "&SecurityGroups.member.1=sg-1&Scheme=internal");
    refused(&w, "DuplicateLoadBalancerName", "different settings", CREATE TWO "&Scheme=internal");
    refused(&w, "DuplicateLoadBalancerName", "different settings",
            CREATE TWO "&SecurityGroups.member.1=sg-1");
}

TEST(what_other_types_or_machines_have_is_refused_by_name)
{
    cleanup(world_done) struct world w;
    static const char *const members[] = {
        "AllocationId=eipalloc-1",
        "PrivateIPv4Address=10.0.0.1",
        "IPv6Address=::1",
        "SourceNatIpv6Prefix=::1/80",
    };

    prepare(&w);
    for (size_t i = 0; i < ARRAY_COUNT(members); i++)
        refused(
            &w, "InvalidConfigurationRequest", "type 'application'",
            CREATE
            "&SubnetMappings.member.1.SubnetId=subnet-a&SubnetMappings.member.2.SubnetId=subnet-b"
            "&SubnetMappings.member.1.%s",
            members[i]);
    refused(&w, "InvalidConfigurationRequest", "CustomerOwnedIpv4Pool",
            CREATE TWO "&CustomerOwnedIpv4Pool=ipv4pool-coip-1");
    refused(&w, "InvalidConfigurationRequest", "IpamPools",
            CREATE TWO "&IpamPools.Ipv4IpamPoolId=ipam-pool-1");
    refused(&w, "InvalidConfigurationRequest", "EnablePrefixForIpv6SourceNat",
            CREATE TWO "&EnablePrefixForIpv6SourceNat=on");
    refused(&w, "InvalidConfigurationRequest", "dualstack", CREATE TWO "&IpAddressType=dualstack");
    refused(&w, "InvalidConfigurationRequest", "dualstack-without-public-ipv4",
            CREATE TWO "&IpAddressType=dualstack-without-public-ipv4");
    refused(&w, "ValidationError", "ipv5", CREATE TWO "&IpAddressType=ipv5");
    refused(&w, "ValidationError", "outside", CREATE TWO "&Scheme=outside");
    refused(&w, "InvalidConfigurationRequest", "gateway", CREATE TWO "&Type=gateway");
    refused(&w, "InvalidSecurityGroup", "'web'", CREATE TWO "&SecurityGroups.member.1=web");
    refused(
        &w, "InvalidConfigurationRequest", "at most 5",
        CREATE TWO
        "&SecurityGroups.member.1=sg-1&SecurityGroups.member.2=sg-2&SecurityGroups.member.3=sg-3"
        "&SecurityGroups.member.4=sg-4&SecurityGroups.member.5=sg-5&SecurityGroups.member.6=sg-6");
    CHECK(w.core->load_balancers->next == NULL);
}

TEST(subnets_groups_and_address_type_are_set)
{
    cleanup(world_done) struct world w;

    prepare(&w);
    works(&w,
          "Action=SetSubnets&LoadBalancerArn=%s&Subnets.member.1=subnet-c&Subnets.member.2=subnet-d"
          "&Subnets.member.3=subnet-e",
          lb_arn(&w));
    CHECK(says(&w, "<SetSubnetsResult><AvailabilityZones><member>"));
    CHECK(says(&w, "<SubnetId>subnet-e</SubnetId>"));
    CHECK(says(&w, "<IpAddressType>ipv4</IpAddressType>"));
    works(&w, "Action=DescribeLoadBalancers&Names.member.1=lb");
    CHECK(says(&w, "<SubnetId>subnet-c</SubnetId>"));
    CHECK(!says(&w, "<SubnetId>subnet-a</SubnetId>"));
    refused(&w, "ValidationError", "At least two subnets",
            "Action=SetSubnets&LoadBalancerArn=%s&Subnets.member.1=subnet-c", lb_arn(&w));
    refused(&w, "InvalidConfigurationRequest", "dualstack",
            "Action=SetSubnets&LoadBalancerArn=%s&IpAddressType=dualstack&Subnets.member.1=subnet-c"
            "&Subnets.member.2=subnet-d",
            lb_arn(&w));

    /* The row is another one then: who holds the old document sees no change in it. */
    cleanup_json struct json *doc = json_ref(w.core->load_balancers->doc), *was = json_copy(doc);
    works(&w, "Action=SetSecurityGroups&LoadBalancerArn=%s&SecurityGroups.member.1=sg-7",
          lb_arn(&w));
    CHECK(json_equal(doc, was));
    CHECK(says(&w, "<SecurityGroupIds><member>sg-7</member></SecurityGroupIds>"));
    works(&w, "Action=DescribeLoadBalancers&Names.member.1=lb");
    CHECK(says(&w, "<SecurityGroups><member>sg-7</member></SecurityGroups>"));
    CHECK(says(&w, "<SubnetId>subnet-c</SubnetId>"));
    refused(&w, "InvalidSecurityGroup", "'7'",
            "Action=SetSecurityGroups&LoadBalancerArn=%s&SecurityGroups.member.1=7", lb_arn(&w));
    refused(&w, "InvalidConfigurationRequest", "at least one",
            "Action=SetSecurityGroups&LoadBalancerArn=%s&SecurityGroups=", lb_arn(&w));
    refused(&w, "InvalidConfigurationRequest", "PrivateLink",
            "Action=SetSecurityGroups&LoadBalancerArn=%s&SecurityGroups.member.1=sg-7"
            "&EnforceSecurityGroupInboundRulesOnPrivateLinkTraffic=on",
            lb_arn(&w));

    works(&w, "Action=SetIpAddressType&LoadBalancerArn=%s&IpAddressType=ipv4", lb_arn(&w));
    CHECK(says(&w, "<SetIpAddressTypeResult><IpAddressType>ipv4</IpAddressType>"));
    refused(&w, "InvalidConfigurationRequest", "dualstack",
            "Action=SetIpAddressType&LoadBalancerArn=%s&IpAddressType=dualstack", lb_arn(&w));
    refused(&w, "ValidationError", "IpAddressType", "Action=SetIpAddressType&LoadBalancerArn=%s",
            lb_arn(&w));
    refused(&w, "LoadBalancerNotFound", "",
            "Action=SetIpAddressType&LoadBalancerArn=%s0&IpAddressType=ipv4", lb_arn(&w));
    refused(&w, "LoadBalancerNotFound", "", "Action=SetSubnets&LoadBalancerArn=%s0" TWO,
            lb_arn(&w));
    refused(&w, "LoadBalancerNotFound", "",
            "Action=SetSecurityGroups&LoadBalancerArn=%s0&SecurityGroups.member.1=sg-7",
            lb_arn(&w));
}

TEST(the_limits_of_an_account_are_told_in_pages)
{
    cleanup(world_done) struct world w;

    prepare(&w);
    works(&w, "Action=DescribeAccountLimits");
    CHECK(says(&w, "<Name>application-load-balancers</Name><Max>50</Max>"));
    CHECK(says(&w, "<Name>target-groups</Name><Max>3000</Max>"));
    CHECK(says(&w, "<Name>rules-per-application-load-balancer</Name><Max>100</Max>"));
    CHECK(says(&w, "<Name>targets-per-network-load-balancer</Name><Max>1000</Max>"));
    CHECK(!says(&w, "<NextMarker>"));
    works(&w, "Action=DescribeAccountLimits&PageSize=1");
    CHECK(says(&w, "<Name>application-load-balancers</Name>"));
    CHECK(says(&w, "<NextMarker>application-load-balancers</NextMarker>"));
    works(&w, "Action=DescribeAccountLimits&PageSize=400&Marker=targets-per-network-load-balancer");
    CHECK(says(
        &w,
        "<Limits><member><Name>targets-per-target-group</Name><Max>1000</Max></member></Limits>"));
    CHECK(!says(&w, "<NextMarker>"));
    refused(&w, "ValidationError", "PageSize", "Action=DescribeAccountLimits&PageSize=0");
}

/* Each limit that is told is one that is met. */
TEST(the_fifty_first_load_balancer_and_listener_are_refused)
{
    cleanup(world_done) struct world w;

    prepare(&w);
    for (int i = 1; i < 50; i++)
        works(&w, "Action=CreateLoadBalancer&Name=lb-%d" TWO, i);
    refused(&w, "TooManyLoadBalancers", "50", "Action=CreateLoadBalancer&Name=lb-50" TWO);
    works(&w, "Action=CreateLoadBalancer&Name=lb-49" TWO); /* a repeat */
    for (int i = 1; i <= 51; i++) {
        const char *form =
            arena_format(&test_arena,
                         "Action=CreateListener&LoadBalancerArn=%s&Protocol=HTTP&Port=%d"
                         "&DefaultActions.member.1.Type=forward"
                         "&DefaultActions.member.1.TargetGroupArn=%s",
                         lb_arn(&w), 1000 + i, tg_arn(&w));
        if (i <= 50)
            works(&w, "%s", form);
        else
            refused(&w, "TooManyListeners", "50", "%s", form);
    }
}

#define MODIFY                                                                          \
    "Action=ModifyLoadBalancerAttributes&LoadBalancerArn=%s&Attributes.member.1.Key=%s" \
    "&Attributes.member.1.Value=%s"

TEST(attributes_of_load_balancers_have_ranges)
{
    cleanup(world_done) struct world w;
    static const struct {
        const char *key, *good[4], *bad[4];
    } rows[] = {
        {"client_keep_alive.seconds", {"60", "604800", "3600"}, {"59", "604801", "1h"}},
        {"idle_timeout.timeout_seconds", {"1", "4000", "60"}, {"0", "4001", ""}},
        {"routing.http.drop_invalid_header_fields.enabled", {"true", "false"}, {"yes", ""}},
        {"routing.http.preserve_host_header.enabled", {"true", "false"}, {"True"}},
        {"routing.http.xff_client_port.enabled", {"true", "false"}, {"1"}},
        {"routing.http.x_amzn_tls_version_and_cipher_suite.enabled", {"true", "false"}, {"on"}},
        {"routing.http2.enabled", {"false", "true"}, {"h2"}},
        {"deletion_protection.enabled", {"true", "false"}, {"0"}},
        {"routing.http.xff_header_processing.mode",
         {"preserve", "remove", "append"},
         {"prepend", ""}},
        {"routing.http.desync_mitigation_mode",
         {"monitor", "strictest", "defensive"},
         {"strict", "Monitor"}},
    };

    prepare(&w);
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        for (size_t k = 0; k < 4 && rows[i].good[k] != NULL; k++) {
            works(&w, MODIFY, lb_arn(&w), rows[i].key, rows[i].good[k]);
            works(&w, "Action=DescribeLoadBalancerAttributes&LoadBalancerArn=%s", lb_arn(&w));
            CHECK(says(&w, arena_format(&test_arena, "<Key>%s</Key><Value>%s</Value>", rows[i].key,
                                        rows[i].good[k])));
        }
        for (size_t k = 0; k < 4 && rows[i].bad[k] != NULL; k++)
            refused(&w, "ValidationError", rows[i].key, MODIFY, lb_arn(&w), rows[i].key,
                    rows[i].bad[k]);
    }
    refused(&w, "ValidationError", "not recognized", MODIFY, lb_arn(&w), "tcp.timeout", "1");
    refused(&w, "InvalidConfigurationRequest", "waf", MODIFY, lb_arn(&w), "waf.fail_open.enabled",
            "true");
    refused(&w, "LoadBalancerNotFound", "",
            "Action=DescribeLoadBalancerAttributes&LoadBalancerArn=%s0", lb_arn(&w));
}

TEST(twenty_attributes_a_call_and_all_or_none)
{
    cleanup(world_done) struct world w;
    cleanup(strbuf_done) struct strbuf form = {0};

    prepare(&w);
    strbuf_addf(&form, "Action=ModifyLoadBalancerAttributes&LoadBalancerArn=%s", lb_arn(&w));
    for (int i = 1; i <= 20; i++)
        strbuf_addf(&form,
                    "&Attributes.member.%d.Key=idle_timeout.timeout_seconds"
                    "&Attributes.member.%d.Value=%d",
                    i, i, i);
    works(&w, "%s", strbuf_cstr(&form));
    CHECK(says(&w, "<Key>idle_timeout.timeout_seconds</Key><Value>20</Value>"));
    strbuf_addf(&form, "&Attributes.member.21.Key=idle_timeout.timeout_seconds"
                       "&Attributes.member.21.Value=21");
    refused(&w, "ValidationError", "20", "%s", strbuf_cstr(&form));
    refused(
        &w, "ValidationError", "mode",
        "Action=ModifyLoadBalancerAttributes&LoadBalancerArn=%s"
        "&Attributes.member.1.Key=idle_timeout.timeout_seconds&Attributes.member.1.Value=77"
        "&Attributes.member.2.Key=routing.http.desync_mitigation_mode&Attributes.member.2.Value=x",
        lb_arn(&w));
    works(&w, "Action=DescribeLoadBalancerAttributes&LoadBalancerArn=%s", lb_arn(&w));
    CHECK(says(&w, "<Key>idle_timeout.timeout_seconds</Key><Value>20</Value>"));
}

#define MODIFY_LISTENER                              \
    "Action=ModifyListenerAttributes&ListenerArn=%s" \
    "&Attributes.member.1.Key=routing.http.%s&Attributes.member.1.Value=%s"

TEST(attributes_of_listeners_are_checked_and_kept)
{
    cleanup(world_done) struct world w;
    static const struct {
        const char *key, *good[4], *bad[4];
    } rows[] = {
        {"response.server.enabled", {"false", "true"}, {"no", ""}},
        {"response.strict_transport_security.header_value",
         {"max-age%3D31536000; includeSubDomains", ""},
         {"a%0d%0aX: y", "%c3%a9"}},
        {"response.access_control_allow_origin.header_value", {"*", "https://a.example"}, {"%01"}},
        {"response.access_control_allow_methods.header_value",
         {"GET, HEAD,PUT", "*", ""},
         {"GET,FETCH", "get", "GET%0d%0a", "%0aGET"}},
        {"response.access_control_allow_headers.header_value", {"X-A, X-B"}, {"%7f"}},
        {"response.access_control_allow_credentials.header_value", {"true", ""}, {"false"}},
        {"response.access_control_expose_headers.header_value", {"*"}, {"%00"}},
        {"response.access_control_max_age.header_value", {"0", "86400", ""}, {"-1", "86401", "x"}},
        {"response.content_security_policy.header_value", {"default-src 'self'"}, {"a%0ab"}},
        {"response.x_content_type_options.header_value", {"nosniff", ""}, {"sniff"}},
        {"response.x_frame_options.header_value",
         {"DENY", "SAMEORIGIN", "ALLOW-FROM https://a.example"},
         {"ALLOW-FROM ", "deny", "ALLOW-FROM %0d"}},
    };
    const char *arn;

    prepare(&w);
    works(&w,
          "Action=CreateListener&LoadBalancerArn=%s&Protocol=HTTP&Port=8080"
          "&DefaultActions.member.1.Type=forward&DefaultActions.member.1.TargetGroupArn=%s",
          lb_arn(&w), tg_arn(&w));
    arn = arena_format(&test_arena, "%s", w.core->listeners->arn);
    works(&w, "Action=DescribeListenerAttributes&ListenerArn=%s", arn);
    CHECK(says(&w, "<Key>routing.http.response.server.enabled</Key><Value>true</Value>"));
    CHECK(says(&w, "<Key>routing.http.response.x_frame_options.header_value</Key><Value></Value>"));
    CHECK(!says(&w, "x_amzn_tls_version")); /* listeners of HTTPS have it */
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        for (size_t k = 0; k < 4 && rows[i].good[k] != NULL; k++)
            works(&w, MODIFY_LISTENER, arn, rows[i].key, rows[i].good[k]);
        for (size_t k = 0; k < 4 && rows[i].bad[k] != NULL; k++)
            refused(&w, "ValidationError", "", MODIFY_LISTENER, arn, rows[i].key, rows[i].bad[k]);
    }
    works(&w, "Action=DescribeListenerAttributes&ListenerArn=%s", arn);
    CHECK(says(&w, "<Value>ALLOW-FROM https://a.example</Value>"));
    CHECK(says(&w, "<Value>default-src 'self'</Value>") ||
          says(&w, "default-src &apos;self&apos;") || says(&w, "default-src &#39;self&#39;"));
    refused(&w, "ValidationError", "not recognized", MODIFY_LISTENER, arn,
            "response.x.header_value", "1");
    refused(&w, "InvalidConfigurationRequest", "protocol 'HTTP'", MODIFY_LISTENER, arn,
            "request.x_amzn_tls_version.header_name", "X-V");
    refused(&w, "ListenerNotFound", "", MODIFY_LISTENER, arena_format(&test_arena, "%s0", arn),
            "response.server.enabled", "true");
    /* ModifyListener changes nothing of it, and it goes through the store's form. */
    works(&w, "Action=ModifyListener&ListenerArn=%s&Port=8081", arn);
    works(&w, "Action=DescribeListenerAttributes&ListenerArn=%s", arn);
    CHECK(says(&w, "<Value>ALLOW-FROM https://a.example</Value>"));
}

TEST(a_listener_needs_a_protocol_and_a_port)
{
#define BARE "Action=CreateListener&LoadBalancerArn=%s&DefaultActions.member.1.Type=fixed-response" \
             "&DefaultActions.member.1.FixedResponseConfig.StatusCode=404"
    cleanup(world_done) struct world w;

    prepare(&w);
    refused(&w, "ValidationError", "A listener protocol must be specified", BARE "&Port=8080", lb_arn(&w));
    refused(&w, "ValidationError", "A listener port must be specified", BARE "&Protocol=HTTP", lb_arn(&w));
    works(&w, BARE "&Protocol=HTTP&Port=8080", lb_arn(&w));
    works(&w, "Action=ModifyListener&ListenerArn=%s&Port=8081", w.core->listeners->arn);
}

TEST(a_security_group_is_named_once)
{
    cleanup(world_done) struct world w;

    prepare(&w);
    refused(&w, "InvalidConfigurationRequest", "'sg-1' is named more than once",
            CREATE TWO "&SecurityGroups.member.1=sg-1&SecurityGroups.member.2=sg-2&SecurityGroups.member.3=sg-1");
}

TEST(operations_that_are_not_built_say_so)
{
    cleanup(world_done) struct world w;
    static const char *const operations[] = {
        "DescribeCapacityReservation", "ModifyIpPools", "GetResourcePolicy", "DeleteSharedTrustStoreAssociation",
    };

    prepare(&w);
    for (size_t i = 0; i < ARRAY_COUNT(operations); i++)
        refused(&w, "UnsupportedFeature", operations[i], "Action=%s", operations[i]);
}
