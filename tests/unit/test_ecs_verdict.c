/* SPDX-License-Identifier: MIT */
/* What is said of deployments and services that do not get where they were told to. */
#include "api_world.h"

/* ---- why nothing runs ---- */

static const struct json *
wait_of(struct world *w)
{
    world_call(w, "DescribeServices", "{'cluster':'c','services':['s'],'include':['WAIT']}");
    return json_get(world_item(w, "services", 0), "wait");
}

TEST(a_service_says_what_it_waits_for_if_it_is_asked)
{
    cleanup(world_done) struct world w;
    const struct json *wait;

    world_prepare(&w);
    w.tasks_crash = true;
    world_call(&w, "CreateService",
               "{'cluster':'c','serviceName':'s','taskDefinition':'web','desiredCount':2}");
    world_wait(&w, 5000);
    wait = wait_of(&w);
    CHECK_TEXT(text_at(wait, "cause"), "START_FAILURES");
    CHECK_EQ(json_get_i64(wait, "missingCount", 0), 2);
    CHECK(!json_get_bool(wait, "endsWithContainerInstance", true));
    CHECK_TEXT(text_at(wait, "reason"), "Essential container in task exited");
    CHECK_EQ((int64_t)(json_f64(json_get(wait, "nextTryAt"), 0) * 1000 + 0.5),
             w.core->services->launches.after_ms);
    world_call(&w, "DescribeServices", "{'cluster':'c','services':['s']}");
    CHECK(json_get(world_item(&w, "services", 0), "wait") == NULL); /* only who asks gets it */
    w.tasks_crash = false;
    world_wait(&w, 60000);
    CHECK(wait_of(&w) == NULL);
}

/* ---- options by tags ---- */

TEST(an_option_that_is_none_is_refused_by_every_door)
{
    static const char *const bad[] = {"", "soon", "9", "2592001", "-1", "+60", " 60", "60s", "1e3",
                                      "99999999999999999999"};
    cleanup(world_done) struct world w;

    world_prepare(&w);
    for (size_t i = 0; i < ARRAY_COUNT(bad); i++) {
        cleanup_free char *input = text_format(
            "{'cluster':'c','serviceName':'t','taskDefinition':'web','desiredCount':0,"
            "'tags':[{'key':'naru:progressDeadlineSeconds','value':'%s'}]}",
            bad[i]);
        cleanup_free char *want = text_format(
            "The tag naru:progressDeadlineSeconds must be 0 or a whole number of seconds from 10 to "
            "2592000, not '%s'.",
            bad[i]);

        world_refuse(&w, "CreateService", input, "InvalidParameterException", want);
        CHECK(w.core->services == NULL);
    }
    world_call(&w, "CreateService",
               "{'cluster':'c','serviceName':'s','taskDefinition':'web','desiredCount':0,"
               "'tags':[{'key':'naru:progressDeadlineSeconds','value':'10'}]}");
    CHECK_EQ(w.core->services->options.progress_deadline_s, 10);
    for (size_t i = 0; i < ARRAY_COUNT(bad); i++) {
        cleanup_free char *input =
            text_format("{'resourceArn':'%s','tags':[{'key':'team','value':'x'},"
                        "{'key':'naru:progressDeadlineSeconds','value':'%s'}]}",
                        w.core->services->arn, bad[i]);

        world_refuse(&w, "TagResource", input, "InvalidParameterException",
                     "The tag naru:progressDeadlineSeconds must be 0 or");
        CHECK_EQ(json_size(w.core->services->tags), 1);
        CHECK_EQ(w.core->services->options.progress_deadline_s, 10);
    }
    world_call(&w, "TagResource",
               "{'resourceArn':'%s','tags':[{'key':'naru:progressDeadlineSeconds','value':'0'}]}",
               w.core->services->arn);
    CHECK_EQ(w.core->services->options.progress_deadline_s, 0);
    world_call(&w, "UntagResource",
               "{'resourceArn':'%s','tagKeys':['naru:progressDeadlineSeconds']}", w.core->services->arn);
    CHECK_EQ(w.core->services->options.progress_deadline_s, 86400);
    world_call(&w, "TagResource", /* elsewhere it is a tag like any other */
               "{'resourceArn':'%s','tags':[{'key':'naru:progressDeadlineSeconds','value':'soon'}]}",
               w.core->clusters->arn);
}

TEST(an_option_that_is_mistyped_is_refused_not_kept)
{
    static const char *const mistyped[] = {"naru:probationSecond", "naru:ProbationSeconds", "naru:",
                                           "NARU:probationSeconds", "naru:probationSeconds "};
    cleanup(world_done) struct world w;

    world_prepare(&w);
    for (size_t i = 0; i < ARRAY_COUNT(mistyped); i++) {
        cleanup_free char *input = text_format(
            "{'cluster':'c','serviceName':'t','taskDefinition':'web','desiredCount':0,"
            "'tags':[{'key':'%s','value':'60'}]}",
            mistyped[i]);
        cleanup_free char *want =
            text_format("The tag %s is no option of a service. Those that begin with 'naru:' are: "
                        "naru:progressDeadlineSeconds, naru:probationSeconds.",
                        mistyped[i]);

        world_refuse(&w, "CreateService", input, "InvalidParameterException", want);
        CHECK(w.core->services == NULL);
    }
    world_call(&w, "CreateService",
               "{'cluster':'c','serviceName':'s','taskDefinition':'web','desiredCount':0,"
               "'tags':[{'key':'naruto:x','value':'y'}]}");
    cleanup_free char *input =
        text_format("{'resourceArn':'%s','tags':[{'key':'naru:deadline','value':'60'}]}",
                    w.core->services->arn);
    world_refuse(&w, "TagResource", input, "InvalidParameterException",
                 "The tag naru:deadline is no option of a service.");
    CHECK_EQ(json_size(w.core->services->tags), 1);
}

/* One may stand in a store from before it was looked at. */
TEST(an_option_counts_beside_one_that_cannot_be_understood)
{
    cleanup_json struct json *tags = json_parse(
        STR("[{\"key\":\"naru:progressDeadlineSeconds\",\"value\":\"soon\"},"
            "{\"key\":\"naru:other\",\"value\":\"1\"},"
            "{\"key\":\"naru:probationSeconds\",\"value\":\"5\"}]"),
        NULL);
    const struct service_options options = service_options_read(tags);

    CHECK_EQ(options.progress_deadline_s, 86400);
    CHECK_EQ(options.probation_s, 5);
}

TEST(a_probation_has_limits_of_its_own)
{
    cleanup(world_done) struct world w;

    world_prepare(&w);
    world_refuse(&w, "CreateService",
                 "{'cluster':'c','serviceName':'s','taskDefinition':'web','desiredCount':0,"
                 "'tags':[{'key':'naru:probationSeconds','value':'86401'}]}",
                 "InvalidParameterException",
                 "The tag naru:probationSeconds must be 0 or a whole number of seconds from 1 to 86400, "
                 "not '86401'.");
    world_call(&w, "CreateService",
               "{'cluster':'c','serviceName':'s','taskDefinition':'web','desiredCount':0,"
               "'tags':[{'key':'naru:probationSeconds','value':'1'}]}");
    CHECK_EQ(w.core->services->options.probation_s, 1);
    CHECK_EQ(w.core->services->options.progress_deadline_s, 86400);
}

TEST(a_deployment_that_gets_nowhere_says_so)
{
    cleanup(world_done) struct world w;
    const struct json *deployment;

    world_prepare(&w);
    w.tasks_crash = true;
    world_call(&w, "CreateService",
               "{'cluster':'c','serviceName':'s','taskDefinition':'web','desiredCount':1,"
               "'tags':[{'key':'naru:progressDeadlineSeconds','value':'30'}]}");
    world_wait(&w, 40000);
    world_call(&w, "DescribeServices", "{'cluster':'c','services':['s']}");
    deployment = json_at(json_get(world_item(&w, "services", 0), "deployments"), 0);
    CHECK_TEXT(text_at(deployment, "rolloutState"), "FAILED");
    CHECK(strstr(text_at(deployment, "rolloutStateReason"), "progress deadline exceeded") != NULL);
    world_call(&w, "DescribeServiceDeployments", "{'serviceDeploymentArns':['%s']}",
               w.core->services->history->arn);
    CHECK_TEXT(text_at(world_item(&w, "serviceDeployments", 0), "status"), "STOPPED");
    CHECK_TEXT(text_at(world_item(&w, "serviceDeployments", 0), "statusReason"),
               "Service deployment stopped because no more of its tasks became healthy for 30 seconds.");
}
