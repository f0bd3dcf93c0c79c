/* SPDX-License-Identifier: MIT */
/* Load balancing through the Query protocol, over a real core. */
#include "elb_world.h"

TEST(what_belongs_to_another_region_is_not_seen)
{
    cleanup(world_done) struct world w;

    prepare(&w);
    works(&w, LISTENER "Type=forward&DefaultActions.member.1.TargetGroupArn=%s", lb_arn(&w),
          tg_arn(&w));
    w.region = "us-west-2";
    refused(&w, "LoadBalancerNotFound", "",
            "Action=DescribeLoadBalancers&LoadBalancerArns.member.1=%s", lb_arn(&w));
    refused(&w, "TargetGroupNotFound", "", "Action=DescribeTargetHealth&TargetGroupArn=%s",
            tg_arn(&w));
    refused(&w, "ListenerNotFound", "", "Action=DeleteListener&ListenerArn=%s",
            w.core->listeners->arn);
    refused(&w, "LoadBalancerNotFound", "",
            "Action=AddTags&ResourceArns.member.1=%s&Tags.member.1.Key=a", lb_arn(&w));
    works(&w, "Action=DeleteLoadBalancer&LoadBalancerArn=%s", lb_arn(&w));
    works(&w, "Action=DeleteTargetGroup&TargetGroupArn=%s", tg_arn(&w));
    CHECK(w.core->load_balancers != NULL && w.core->target_groups != NULL);
}

TEST(deleting_what_is_gone_succeeds_and_a_name_is_no_arn)
{
    cleanup(world_done) struct world w;

    prepare(&w);
    refused(&w, "ValidationError", "'lb' is not a valid load balancer ARN",
            "Action=DeleteLoadBalancer&LoadBalancerArn=lb");
    refused(&w, "ValidationError", "'tg' is not a valid target group ARN",
            "Action=DeleteTargetGroup&TargetGroupArn=tg");
    works(&w, "Action=DeleteLoadBalancer&LoadBalancerArn=%sx", lb_arn(&w));
    works(&w, "Action=DeleteTargetGroup&TargetGroupArn=%sx", tg_arn(&w));
    CHECK(w.core->load_balancers != NULL && w.core->target_groups != NULL);
    works(&w, "Action=DeleteLoadBalancer&LoadBalancerArn=%s", lb_arn(&w));
    works(&w, "Action=DeleteTargetGroup&TargetGroupArn=%s", tg_arn(&w));
    CHECK(w.core->load_balancers == NULL && w.core->target_groups == NULL);
}

TEST(a_forward_action_says_one_thing)
{
    cleanup(world_done) struct world w;
    const char *a, *b;

    prepare(&w);
    works(&w,
          "Action=CreateTargetGroup&Name=other&Protocol=HTTP&Port=80&VpcId=vpc-1&TargetType=ip");
    a = tg_arn(&w);
    b = w.core->target_groups->next->arn;
    refused(&w, "ValidationError", "TargetGroupArn",
            LISTENER
            "Type=forward&DefaultActions.member.1.TargetGroupArn=%s"
            "&DefaultActions.member.1.ForwardConfig.TargetGroups.member.1.TargetGroupArn=%s",
            lb_arn(&w), a, b);
    refused(
        &w, "ValidationError", "more than once",
        LISTENER
        "Type=forward&DefaultActions.member.1.ForwardConfig.TargetGroups.member.1.TargetGroupArn=%s"
        "&DefaultActions.member.1.ForwardConfig.TargetGroups.member.2.TargetGroupArn=%s",
        lb_arn(&w), a, a);
    works(&w,
          LISTENER "Type=forward&DefaultActions.member.1.TargetGroupArn=%s"
                   "&DefaultActions.member.1.ForwardConfig.TargetGroups.member.1.TargetGroupArn=%s",
          lb_arn(&w), a, a);
    CHECK(says(&w, "<Weight>1</Weight>"));
}

TEST(fixed_responses_and_redirects_are_checked)
{
    cleanup(world_done) struct world w;
#define FIXED LISTENER "Type=fixed-response&DefaultActions.member.1.FixedResponseConfig."
#define REDIRECT                                                                        \
    LISTENER "Type=redirect&DefaultActions.member.1.RedirectConfig.StatusCode=HTTP_301" \
             "&DefaultActions.member.1.RedirectConfig."

    prepare(&w);
    refused(&w, "ValidationError", "ContentType",
            FIXED "StatusCode=200&DefaultActions.member.1.FixedResponseConfig.ContentType=text/"
                  "plain%%0d%%0aX:1",
            lb_arn(&w));
    refused(&w, "ValidationError", "StatusCode", FIXED "StatusCode=301", lb_arn(&w));
    refused(&w, "ValidationError", "Port", REDIRECT "Port=no", lb_arn(&w));
    refused(&w, "ValidationError", "Protocol", REDIRECT "Protocol=FTP", lb_arn(&w));
    refused(&w, "ValidationError", "Path", REDIRECT "Path=x", lb_arn(&w));
    refused(&w, "ValidationError", "Host", REDIRECT "Host=a%%20b", lb_arn(&w));
    refused(&w, "InvalidLoadBalancerAction", "loop", REDIRECT "Path=/%%23%%7Bpath%%7D", lb_arn(&w));
    works(&w, REDIRECT "Port=443&DefaultActions.member.1.RedirectConfig.Protocol=HTTPS",
          lb_arn(&w));
}

TEST(attributes_that_tools_write_out_may_have_their_defaults)
{
    static const char *const keys[] = {"connection_logs.s3.bucket", "connection_logs.s3.prefix",
                                       "health_check_logs.s3.bucket",
                                       "health_check_logs.s3.prefix"};
    cleanup(world_done) struct world w;

    prepare(&w);
    for (size_t i = 0; i < ARRAY_COUNT(keys); i++)
        works(&w,
              "Action=ModifyLoadBalancerAttributes&LoadBalancerArn=%s&Attributes.member.1.Key=%s"
              "&Attributes.member.1.Value=",
              lb_arn(&w), keys[i]);
    works(&w,
          "Action=ModifyLoadBalancerAttributes&LoadBalancerArn=%s&Attributes.member.1.Key=health_"
          "check_logs.s3.enabled"
          "&Attributes.member.1.Value=false&Attributes.member.2.Key=ipv6.deny_all_igw_traffic"
          "&Attributes.member.2.Value=false",
          lb_arn(&w));
    refused(&w, "InvalidConfigurationRequest", "health_check_logs",
            "Action=ModifyLoadBalancerAttributes&LoadBalancerArn=%s&Attributes.member.1.Key=health_"
            "check_logs.s3.enabled"
            "&Attributes.member.1.Value=true",
            lb_arn(&w));
}

#define LOGS(enabled, bucket, prefix)                                                              \
    "Action=ModifyLoadBalancerAttributes&LoadBalancerArn=%s"                                       \
    "&Attributes.member.1.Key=access_logs.s3.enabled&Attributes.member.1.Value=" enabled           \
    "&Attributes.member.2.Key=access_logs.s3.bucket&Attributes.member.2.Value=" bucket             \
    "&Attributes.member.3.Key=access_logs.s3.prefix&Attributes.member.3.Value=" prefix

/* A bucket is a folder: nothing but a bucket's name may come near a path. */
TEST(access_logs_need_a_bucket_that_can_be_a_folder)
{
    cleanup(world_done) struct world w;

    prepare(&w);
    refused(&w, "InvalidConfigurationRequest", "bucket", LOGS("true", "", ""), lb_arn(&w));
    refused(&w, "InvalidConfigurationRequest", "bucket", LOGS("true", "..%%2Fetc", ""), lb_arn(&w));
    refused(&w, "InvalidConfigurationRequest", "bucket", LOGS("false", "A", ""), lb_arn(&w));
    refused(&w, "InvalidConfigurationRequest", "prefix", LOGS("true", "my-logs", "a%%2F..%%2Fb"), lb_arn(&w));
    refused(&w, "InvalidConfigurationRequest", "prefix", LOGS("false", "", "%%2Fetc"), lb_arn(&w));
    refused(&w, "InvalidConfigurationRequest", "prefix", LOGS("true", "my-logs", "AWSLogs"), lb_arn(&w));
    refused(&w, "ValidationError", "true or false", LOGS("yes", "my-logs", ""), lb_arn(&w));
    works(&w, LOGS("true", "my-logs", "team%%2Fa"), lb_arn(&w));
    works(&w, "Action=DescribeLoadBalancerAttributes&LoadBalancerArn=%s", lb_arn(&w));
    works(&w, LOGS("false", "", ""), lb_arn(&w));
}

TEST(targets_that_are_registered_already_do_not_count_twice)
{
    cleanup(world_done) struct world w;
    cleanup(strbuf_done) struct strbuf form = {0};

    prepare(&w);
    strbuf_addf(&form, "Action=RegisterTargets&TargetGroupArn=%s", tg_arn(&w));
    for (int i = 1; i <= 1000; i++)
        strbuf_addf(&form, "&Targets.member.%d.Id=10.0.0.1&Targets.member.%d.Port=%d", i, i, i);
    works(&w, "%s", strbuf_cstr(&form));
    works(&w, "%s", strbuf_cstr(&form));
    CHECK_EQ(w.core->target_groups->target_count, 1000);
    refused(&w, "TooManyTargets", "1000",
            "Action=RegisterTargets&TargetGroupArn=%s&Targets.member.1.Id=10.0.0.2", tg_arn(&w));
}

TEST(lengths_are_counted_in_characters)
{
    cleanup(world_done) struct world w;
    cleanup(strbuf_done) struct strbuf text = {0};

    prepare(&w);
    for (int i = 0; i < 250; i++)
        strbuf_add_cstr(&text, "%EB%82%98"); /* three bytes */
    works(&w, "Action=AddTags&ResourceArns.member.1=%s&Tags.member.1.Key=a&Tags.member.1.Value=%s",
          lb_arn(&w), strbuf_cstr(&text));
    works(&w,
          LISTENER "Type=fixed-response"
                   "&DefaultActions.member.1.FixedResponseConfig.StatusCode=503"
                   "&DefaultActions.member.1.FixedResponseConfig.MessageBody=%s%s",
          lb_arn(&w), strbuf_cstr(&text), strbuf_cstr(&text));
    for (int i = 0; i < 10; i++)
        strbuf_add_cstr(&text, "%EB%82%98");
    refused(&w, "ValidationError", "length less than or equal to 256",
            "Action=AddTags&ResourceArns.member.1=%s&Tags.member.1.Key=a&Tags.member.1.Value=%s",
            lb_arn(&w), strbuf_cstr(&text));
}

TEST(pages_and_waiters_see_what_they_expect)
{
    cleanup(world_done) struct world w;

    prepare(&w);
    works(&w, "Action=CreateTargetGroup&Name=tg2&Protocol=HTTP&Port=80&VpcId=vpc-1&TargetType=ip");
    works(&w, "Action=DescribeTargetGroups&PageSize=1");
    CHECK(says(&w, "<NextMarker>"));
    works(&w, "Action=DescribeTargetGroups&PageSize=2");
    CHECK(!says(&w, "<NextMarker>"));
    refused(&w, "ValidationError", "PageSize", "Action=DescribeTargetGroups&PageSize=401");
    refused(&w, "ValidationError", "The marker 'x' is not valid", "Action=DescribeTargetGroups&Marker=x");
    refused(&w, "ValidationError", "The marker 'x' is not valid", "Action=DescribeSSLPolicies&Marker=x");
    refused(&w, "LoadBalancerNotFound", "", "Action=DescribeLoadBalancers&Names.member.1=gone");
    works(&w, "Action=DescribeListeners&LoadBalancerArn=%s", lb_arn(&w));
    works(&w, "Action=DescribeTargetHealth&TargetGroupArn=%s&Targets.member.1.Id=10.0.0.9",
          tg_arn(&w));
    CHECK(says(&w, "<State>unused</State><Reason>Target.NotRegistered</Reason>"));
    works(&w, "Action=RegisterTargets&TargetGroupArn=%s&Targets.member.1.Id=10.0.0.9", tg_arn(&w));
    CHECK(says(&w, "<RegisterTargetsResult></RegisterTargetsResult>"));
    works(&w, "Action=DeregisterTargets&TargetGroupArn=%s&Targets.member.1.Id=10.0.0.7",
          tg_arn(&w));
    refused(&w, "ValidationError", "UTF-8",
            "Action=CreateTargetGroup&Name=tg3&Protocol=HTTP&Port=80"
            "&Tags.member.1.Key=a&Tags.member.1.Value=%%ff");
}

TEST(tags_have_the_characters_that_tags_have)
{
#define TAG "Action=AddTags&ResourceArns.member.1=%s&Tags.member.1.Key="
    cleanup(world_done) struct world w;

    prepare(&w);
    refused(&w, "ValidationError", "regular expression pattern", TAG "a%%3Cb", lb_arn(&w));
    refused(&w, "ValidationError", "regular expression pattern", TAG "a%%01", lb_arn(&w));
    refused(&w, "ValidationError", "regular expression pattern", TAG "a&Tags.member.1.Value=b%%2A", lb_arn(&w));
    refused(&w, "ValidationError", "reserved", TAG "AWS:a", lb_arn(&w));
    CHECK_EQ(json_size(w.core->load_balancers->tags), 0);
    works(&w, TAG "a%%20b_.:/%%3D%%2B-@9&Tags.member.1.Value=%%EB%%82%%98%%EB%%A3%%A8", lb_arn(&w));
    CHECK_EQ(json_size(w.core->load_balancers->tags), 1);
}
