/* SPDX-License-Identifier: MIT */
/* Lifecycle hooks through the API: what the door refuses, what it shows.
 * tests/trace/test_trace_hooks.c tells how the core decides, test_hooks.c how they are called. */
#include "api_expect.h"

#define ARN "arn:aws:ecs:eu-west-1:000000000000:task-definition/"

static struct arena test_arena; /* each test is a process */

static void
prepare(struct world *w)
{
    world_init(w);
    world_call(w, "CreateCluster", "{'clusterName':'c'}");
    world_call(w, "RegisterTaskDefinition",
               "{'family':'web','containerDefinitions':[{'name':'app','image':'x','memory':64}]}");
    world_call(
        w, "RegisterTaskDefinition",
        "{'family':'migrate','containerDefinitions':[{'name':'m','image':'x','memory':64}]}");
}

static const char *
create(const char *hooks)
{
    return arena_format(&test_arena,
                        "{'cluster':'c','serviceName':'s','taskDefinition':'web','desiredCount':1,"
                        "'deploymentConfiguration':{'lifecycleHooks':[%s]}}",
                        hooks);
}

static const char *
hook(const char *target, const char *rest)
{
    return create(arena_format(
        &test_arena, "{'hookTargetArn':'%s','lifecycleStages':['PRE_SCALE_UP']%s}", target, rest));
}

static const struct json *
service(struct world *w)
{
    return json_at(
        json_get(world_call(w, "DescribeServices", "{'cluster':'c','services':['s']}"), "services"),
        0);
}

static const struct json *
current(struct world *w)
{
    const char *arn =
        arena_format(&test_arena, "%s", text_at(service(w), "currentServiceDeployment"));

    return json_at(json_get(world_call(w, "DescribeServiceDeployments",
                                       "{'serviceDeploymentArns':['%s']}", arn),
                            "serviceDeployments"),
                   0);
}

TEST(what_is_no_hook_is_refused_by_name)
{
    static const char *const bad[][3] = {
        {"{'hookTargetArn':'arn:aws:lambda:eu-west-1:000000000000:function:f','roleArn':"
         "'arn:aws:iam::000000000000:role/r','lifecycleStages':['PRE_SCALE_UP']}",
         "UnsupportedFeatureException", "Name an http:// or https:// URL"},
        {"{'lifecycleStages':['PRE_SCALE_UP']}", "InvalidParameterException",
         "hookTargetArn is required"},
        {"{'hookTargetArn':'naru:command/../sh','lifecycleStages':['PRE_SCALE_UP']}",
         "InvalidParameterException", "the name of a command"},
        {"{'hookTargetArn':'http://u:p@h/','lifecycleStages':['PRE_SCALE_UP']}",
         "InvalidParameterException", "password"},
        {"{'hookTargetArn':'http://h/','lifecycleStages':[]}", "InvalidParameterException",
         "can not be empty"},
        {"{'hookTargetArn':'http://h/','lifecycleStages':['POST_SCALE_UP']}",
         "InvalidParameterException", "With the ROLLING deployment strategy"},
        {"{'targetType':'PAUSE','lifecycleStages':['PRE_SCALE_UP','RECONCILE_SERVICE']}",
         "InvalidParameterException", "With the ROLLING deployment strategy"},
        {"{'targetType':'PAUSE','hookTargetArn':'http://h/','lifecycleStages':['PRE_SCALE_UP']}",
         "InvalidParameterException", "do not apply"},
        {"{'targetType':'SNS','hookTargetArn':'http://h/','lifecycleStages':['PRE_SCALE_UP']}",
         "InvalidParameterException", "targetType"},
        {"{'hookTargetArn':'http://h/','lifecycleStages':['PRE_SCALE_UP'],'timeoutConfiguration':"
         "{'timeoutInMinutes':1441}}",
         "InvalidParameterException", "between 1 and 1440"},
        {"{'hookTargetArn':'http://h/','lifecycleStages':['PRE_SCALE_UP'],'timeoutConfiguration':"
         "{'timeoutInMinutes':0}}",
         "InvalidParameterException", ""},
        {"{'targetType':'PAUSE','lifecycleStages':['PRE_SCALE_UP'],'timeoutConfiguration':"
         "{'timeoutInMinutes':20161}}",
         "InvalidParameterException", ""},
        {"{'hookTargetArn':'http://h/','lifecycleStages':['PRE_SCALE_UP'],'timeoutConfiguration':"
         "{'action':'RETRY'}}",
         "InvalidParameterException", ""},
        {"{'hookTargetArn':'" ARN "absent:1','lifecycleStages':['PRE_SCALE_UP']}",
         "InvalidParameterException", "there is no active task definition"},
        {"{'hookTargetArn':'" ARN "migrate:2','lifecycleStages':['PRE_SCALE_UP']}",
         "InvalidParameterException", "there is no active task definition"},
        {"{'hookTargetArn':'arn:aws:ecs:us-east-1:000000000000:task-definition/"
         "migrate:1','lifecycleStages':"
         "['PRE_SCALE_UP']}",
         "InvalidParameterException", "there is no active task definition"},
    };
    cleanup(world_done) struct world w;
    cleanup(strbuf_done) struct strbuf many = {0}, details = {0};

    prepare(&w);
    for (size_t i = 0; i < ARRAY_COUNT(bad); i++)
        world_refuse(&w, "CreateService", create(bad[i][0]), bad[i][1], bad[i][2]);
    for (int i = 0; i < 11; i++)
        strbuf_addf(&many, "%s{'hookTargetArn':'http://h/','lifecycleStages':['PRE_SCALE_UP']}",
                    i > 0 ? "," : "");
    world_refuse(&w, "CreateService", create(strbuf_cstr(&many)), "InvalidParameterException",
                 "at most 10 lifecycleHooks");
    strbuf_add_cstr(&details, ",'hookDetails':{'x':'");
    for (int i = 0; i < 16384; i++)
        strbuf_add_char(&details, 'x');
    strbuf_add_cstr(&details, "'}");
    world_refuse(&w, "CreateService", hook("http://h/", strbuf_cstr(&details)),
                 "InvalidParameterException", "at most 16384 bytes");
    CHECK(w.core->services == NULL);
}

TEST(a_hook_that_is_called_is_shown_with_its_status)
{
    cleanup(world_done) struct world w;
    const struct json *shown, *sd, *detail;
    const char *arn;

    prepare(&w);
    world_call(&w, "CreateService", "%s",
               hook("https://h/x", ",'targetType':'AWS_LAMBDA','hookDetails':{'team':'a'},"
                                   "'roleArn':'arn:aws:iam::000000000000:role/r'"));
    world_expects(
        &w, "{'service':{'deploymentConfiguration':{'lifecycleHooks':[{'targetType':'AWS_LAMBDA',"
            "'hookTargetArn':'https://h/x','roleArn':'arn:aws:iam::000000000000:role/r',"
            "'lifecycleStages':['PRE_SCALE_UP'],'hookDetails':{'team':'a'},"
            "'timeoutConfiguration':{'timeoutInMinutes':1440,'action':'ROLLBACK'}}]}}}");
    shown =
        json_at(json_get(json_get(service(&w), "deploymentConfiguration"), "lifecycleHooks"), 0);
    CHECK_TEXT(text_at(shown, "targetType"), "AWS_LAMBDA");
    CHECK_TEXT(text_at(shown, "hookTargetArn"), "https://h/x");
    CHECK_TEXT(text_at(shown, "roleArn"), "arn:aws:iam::000000000000:role/r");
    CHECK_TEXT(text_at(json_get(shown, "hookDetails"), "team"), "a");
    CHECK_EQ(json_get_i64(json_get(shown, "timeoutConfiguration"), "timeoutInMinutes", 0), 1440);
    CHECK_TEXT(text_at(json_get(shown, "timeoutConfiguration"), "action"), "ROLLBACK");
    sd = current(&w);
    world_expects(
        &w,
        "{'serviceDeployments':[{'lifecycleHookDetails':[{'hookId':'*','targetType':'AWS_LAMBDA',"
        "'targetArn':'https://h/x','status':'IN_PROGRESS','expiresAt':'*','timeoutAction':"
        "'ROLLBACK'}]}]}");
    CHECK_TEXT(text_at(sd, "status"), "IN_PROGRESS");
    CHECK_TEXT(text_at(sd, "lifecycleStage"), "PRE_SCALE_UP");
    detail = json_at(json_get(sd, "lifecycleHookDetails"), 0);
    CHECK_TEXT(text_at(detail, "targetType"), "AWS_LAMBDA");
    CHECK_TEXT(text_at(detail, "targetArn"), "https://h/x");
    CHECK_TEXT(text_at(detail, "status"), "IN_PROGRESS");
    CHECK_TEXT(text_at(detail, "timeoutAction"), "ROLLBACK");
    CHECK(json_f64(json_get(detail, "expiresAt"), 0) > 0);
    CHECK(json_get(json_get(sd, "targetServiceRevision"), "requestedProductionTrafficWeight") ==
          NULL);
    arn = arena_format(&test_arena, "{'serviceDeploymentArn':'%s','hookId':'%s'}",
                       text_at(sd, "serviceDeploymentArn"), text_at(detail, "hookId"));
    world_refuse(&w, "ContinueServiceDeployment", arn, "InvalidParameterException",
                 "not awaiting an action");
}

TEST(a_task_definition_without_a_revision_is_the_newest_of_now)
{
    cleanup(world_done) struct world w;
    const struct json *tasks, *detail;

    prepare(&w);
    world_call(&w, "CreateService", "%s", hook(ARN "migrate", ""));
    CHECK_EQ(w.core->tasks != NULL && w.core->tasks->next == NULL, true);
    CHECK_TEXT(w.core->tasks->task_definition_arn, ARN "migrate:1");
    world_settle(&w); /* it runs */
    tasks = json_get(world_call(&w, "ListTasks", "{'cluster':'c','startedBy':'%s'}",
                                service_current(w.core->services)->id),
                     "taskArns");
    CHECK_EQ(json_size(tasks), 1);
    detail = json_at(json_get(current(&w), "lifecycleHookDetails"), 0);
    CHECK_TEXT(text_at(detail, "targetArn"), ARN "migrate:1");
    CHECK_TEXT(text_at(detail, "status"), "IN_PROGRESS");
    world_report_task(&w, w.core->tasks->arn, TASK_STOPPED, 0);
    world_wait(&w, 60000);
    CHECK_TEXT(text_at(current(&w), "status"), "SUCCESSFUL");
    world_call(
        &w, "RegisterTaskDefinition",
        "{'family':'migrate','containerDefinitions':[{'name':'m','image':'x','memory':64}]}");
    world_call(&w, "UpdateService",
               "{'cluster':'c','service':'s','deploymentConfiguration':"
               "{'maximumPercent':150}}"); /* keeps the hooks, and what they meant */
    detail =
        json_at(json_get(json_get(service(&w), "deploymentConfiguration"), "lifecycleHooks"), 0);
    CHECK_TEXT(text_at(detail, "hookTargetArn"), ARN "migrate:1");
}

TEST(a_task_that_can_not_run_where_the_service_does_is_refused)
{
    cleanup(world_done) struct world w;

    prepare(&w);
    world_call(
        &w, "RegisterTaskDefinition",
        "{'family':'far','requiresCompatibilities':['FARGATE'],'networkMode':'awsvpc','cpu':'256',"
        "'memory':'512','containerDefinitions':[{'name':'app','image':'x'}]}");
    world_refuse(
        &w, "CreateService",
        "{'cluster':'c','serviceName':'s','taskDefinition':'far','launchType':'FARGATE',"
        "'networkConfiguration':{'awsvpcConfiguration':{'subnets':['subnet-a']}},'desiredCount':1,"
        "'deploymentConfiguration':{'lifecycleHooks':[{'hookTargetArn':'" ARN "migrate:1',"
        "'lifecycleStages':['PRE_SCALE_UP']}]}}",
        "InvalidParameterException", "does not support launch_type FARGATE");
}

TEST(a_failing_hook_is_the_reason_of_the_deployment)
{
    cleanup(world_done) struct world w;

    prepare(&w);
    world_call(&w, "CreateService", "%s", hook(ARN "migrate:1", ""));
    world_report_task(&w, w.core->tasks->arn, TASK_STOPPED, 3);
    CHECK(strstr(text_at(current(&w), "statusReason"),
                 "PRE_SCALE_UP lifecycle hook(s) failed: " ARN "migrate:1: task ") != NULL);
    CHECK(strstr(text_at(current(&w), "statusReason"), "container m exited with code 3") != NULL);
    CHECK(json_get(current(&w), "lifecycleHookDetails") == NULL);
}

TEST(a_pause_of_a_rolling_update_is_answered)
{
    cleanup(world_done) struct world w;
    const struct json *sd, *detail;
    const char *answer;

    prepare(&w);
    world_call(&w, "CreateService", "%s",
               create("{'targetType':'PAUSE','lifecycleStages':['PRE_SCALE_UP']}"));
    sd = current(&w);
    detail = json_at(json_get(sd, "lifecycleHookDetails"), 0);
    CHECK_TEXT(text_at(detail, "status"), "AWAITING_ACTION");
    CHECK(json_get(detail, "targetArn") == NULL);
    answer = arena_format(&test_arena, "{'serviceDeploymentArn':'%s','hookId':'%s'}",
                          text_at(sd, "serviceDeploymentArn"), text_at(detail, "hookId"));
    CHECK(w.core->tasks == NULL);
    world_call(&w, "ContinueServiceDeployment", "%s", answer);
    world_settle(&w);
    CHECK(w.core->tasks != NULL);
    world_wait(&w, 60000);
    CHECK_TEXT(text_at(current(&w), "status"), "SUCCESSFUL");
    world_refuse(&w, "ContinueServiceDeployment", answer, "InvalidParameterException",
                 "in its present stage");
}
