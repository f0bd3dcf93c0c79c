/* SPDX-License-Identifier: MIT */
/* A service deployment from its start to each of its ends, as the API tells it. */
#include "api_expect.h"

#define DEFINITION                                                                   \
    "{'family':'web','containerDefinitions':[{'name':'app','image':'localhost:4566/web:1',"        \
    "'memory':16}]}"
#define BREAKER(rolls_back)                                                                       \
    "'deploymentConfiguration':{'deploymentCircuitBreaker':{'enable':true,'rollback':" rolls_back \
    ",'thresholdConfiguration':{'type':'COUNT','value':3}}}"
#define MINUTES(n) ((int64_t)(n)*60 * 1000)

static struct arena test_arena; /* each test is a process */

/* A cluster, two revisions of "web", and a service "s" of two tasks that is complete. */
static void
prepare(struct world *w, const char *config)
{
    world_init(w);
    world_call(w, "CreateCluster", "{'clusterName':'c'}");
    world_call(w, "RegisterTaskDefinition", "%s", DEFINITION);
    world_call(w, "RegisterTaskDefinition", "%s", DEFINITION);
    world_call(w, "CreateService",
               "{'cluster':'c','serviceName':'s','taskDefinition':'web:1','desiredCount':2,%s}",
               config);
    world_wait(w, MINUTES(10));
}

/* Deploys the second revision; gives the ARN of the service deployment. */
static const char *
deploy(struct world *w)
{
    world_call(w, "UpdateService",
               "{'cluster':'c','service':'s','taskDefinition':'web:2','forceNewDeployment':true}");
    return arena_format(&test_arena, "%s", w->core->services->history->arn);
}

static void
describe(struct world *w, const char *arn)
{
    world_call(w, "DescribeServiceDeployments", "{'serviceDeploymentArns':['%s']}", arn);
}

static int
count_with(struct world *w, const char *filter)
{
    world_call(w, "ListServiceDeployments", "{'cluster':'c','service':'s',%s}", filter);
    return (int)json_size(json_get(w->answer, "serviceDeployments"));
}

TEST(a_deployment_is_told_from_its_start_to_its_success)
{
    cleanup(world_done) struct world w;
    const char *arn;

    prepare(&w, BREAKER("true"));
    arn = deploy(&w);
    describe(&w, arn);
    world_expects(
        &w,
        "{'failures':[],'serviceDeployments':[{'serviceDeploymentArn':'%s','serviceArn':'" WORLD_ARN
        "service/c/s','clusterArn':'" WORLD_ARN
        "cluster/c','createdAt':'*','startedAt':'*','finishedAt':null,'stoppedAt':null,"
        "'updatedAt':'*','status':'IN_PROGRESS','lifecycleStage':null,"
        "'sourceServiceRevisions':[{'arn':'" WORLD_ARN
        "service-revision/c/s/*','requestedTaskCount':2,'runningTaskCount':2,"
        "'pendingTaskCount':0}],'targetServiceRevision':{'arn':'" WORLD_ARN
        "service-revision/c/s/*','requestedTaskCount':2,'runningTaskCount':0,"
        "'pendingTaskCount':0},'deploymentConfiguration':{'strategy':'ROLLING'},'rollback':null,"
        "'deploymentCircuitBreaker':{'status':'MONITORING','failureCount':0,'threshold':3}}]}",
        arn);
    CHECK_EQ(count_with(&w, "'status':['IN_PROGRESS','PENDING']"), 1);
    world_expects(
        &w,
        "{'serviceDeployments':[{'serviceDeploymentArn':'%s','serviceArn':'" WORLD_ARN
        "service/c/s','clusterArn':'" WORLD_ARN "cluster/c','startedAt':'*','createdAt':'*',"
        "'finishedAt':null,'targetServiceRevisionArn':'" WORLD_ARN "service-revision/c/s/*',"
        "'status':'IN_PROGRESS'}]}",
        arn);
    world_wait(&w, MINUTES(10));
    describe(&w, arn);
    world_expects(&w,
                  "{'serviceDeployments':[{'status':'SUCCESSFUL','finishedAt':'*',"
                  "'stoppedAt':null,'sourceServiceRevisions':[{'requestedTaskCount':0,"
                  "'runningTaskCount':0}],'targetServiceRevision':{'requestedTaskCount':2,"
                  "'runningTaskCount':2},'deploymentCircuitBreaker':{"
                  "'status':'MONITORING_COMPLETE'}}]}");
    CHECK_EQ(count_with(&w, "'status':['SUCCESSFUL']"), 2);
    world_expects(&w, "{'serviceDeployments':[{'finishedAt':'*'},{'finishedAt':'*'}]}");
}

TEST(deployments_are_found_by_when_they_were_created)
{
    cleanup(world_done) struct world w;
    int64_t between;
    const char *filter;

    prepare(&w, BREAKER("true"));
    between = w.now_ms / 1000;
    world_wait(&w, MINUTES(1));
    deploy(&w);
    filter = arena_format(&test_arena, "'createdAt':{'after':%lld}", (long long)between);
    CHECK_EQ(count_with(&w, filter), 1);
    filter = arena_format(&test_arena, "'createdAt':{'before':%lld.5}", (long long)between);
    CHECK_EQ(count_with(&w, filter), 1);
    filter = arena_format(&test_arena, "'createdAt':{'after':%lld,'before':%lld}",
                          (long long)between, (long long)between + 1);
    CHECK_EQ(count_with(&w, filter), 0);
}

TEST(the_breaker_rolls_back_and_says_why)
{
    cleanup(world_done) struct world w;
    const char *arn;

    prepare(&w, BREAKER("true"));
    w.tasks_crash = true;
    arn = deploy(&w);
    for (int i = 0; i < 600 && service_primary(w.core->services)->is_rollback == false; i++)
        world_wait(&w, 1000);
    describe(&w, arn);
    world_expects(
        &w,
        "{'serviceDeployments':[{'deploymentCircuitBreaker':{'status':'TRIGGERED',"
        "'failureCount':3,'threshold':3},'rollback':{'reason':'*','startedAt':'*',"
        "'serviceRevisionArn':'" WORLD_ARN
        "service-revision/c/s/*'}}]}");
    w.tasks_crash = false;
    world_wait(&w, MINUTES(10));
    describe(&w, arn);
    world_expects(&w,
                  "{'serviceDeployments':[{'status':'ROLLBACK_SUCCESSFUL','finishedAt':'*',"
                  "'statusReason':'Service deployment rolled back because the circuit breaker thr"
                  "eshold was exceeded.'}]}");
    CHECK_EQ(count_with(&w,
                        "'status':['ROLLBACK_SUCCESSFUL','ROLLBACK_FAILED',"
                        "'ROLLBACK_IN_PROGRESS','ROLLBACK_REQUESTED','STOP_REQUESTED']"),
             1);
    world_expects(&w,
                  "{'serviceDeployments':[{'status':'ROLLBACK_SUCCESSFUL','statusReason':'*'}]}");
    world_call(&w, "DescribeServices", "{'cluster':'c','services':['s']}");
    world_expects(&w, "{'services':[{'taskDefinition':'" WORLD_ARN
                      "task-definition/web:1','deployments':[{'rolloutState':'COMPLETED'}]}]}");
}

TEST(the_breaker_without_rollback_stops)
{
    cleanup(world_done) struct world w;
    const char *arn;

    prepare(&w, BREAKER("false"));
    w.tasks_crash = true;
    arn = deploy(&w);
    world_wait(&w, MINUTES(60));
    describe(&w, arn);
    world_expects(&w, "{'serviceDeployments':[{'status':'STOPPED','finishedAt':'*','stoppedAt':'*',"
                      "'rollback':null,'deploymentCircuitBreaker':{'status':'TRIGGERED'}}]}");
    world_call(&w, "DescribeServices", "{'cluster':'c','services':['s']}");
    world_expects(
        &w,
        "{'services':[{'runningCount':2,'deployments':[{'status':'PRIMARY','failedTasks':3,"
        "'rolloutState':'FAILED','rolloutStateReason':'ECS deployment circuit breaker: tasks fail"
        "ed to start.'},{'status':'ACTIVE','runningCount':2}]}]}");
}

TEST(by_hand_a_deployment_is_rolled_back_or_left_where_it_is)
{
    cleanup(world_done) struct world w;
    const char *arn;

    prepare(&w, "'deploymentConfiguration':{'minimumHealthyPercent':0,'maximumPercent':100}");
    arn = deploy(&w);
    world_settle(&w); /* the old tasks are gone: going back takes its time */
    world_call(&w, "StopServiceDeployment", "{'serviceDeploymentArn':'%s','stopType':'ROLLBACK'}",
               arn);
    world_expects(&w, "{'serviceDeploymentArn':'%s'}", arn);
    world_call(&w, "StopServiceDeployment", "{'serviceDeploymentArn':'%s'}",
               arn); /* under way already */
    world_wait(&w, MINUTES(10));
    describe(&w, arn);
    world_expects(&w, "{'serviceDeployments':[{'status':'ROLLBACK_SUCCESSFUL','stoppedAt':'*','"
                      "statusReason':'*'}]}");
    arn = deploy(&w);
    world_call(&w, "StopServiceDeployment", "{'serviceDeploymentArn':'%s','stopType':'ABORT'}",
               arn);
    world_wait(&w, MINUTES(10));
    describe(&w, arn);
    world_expects(&w,
                  "{'serviceDeployments':[{'status':'STOPPED','stoppedAt':'*','rollback':null}]}");
    CHECK_EQ(count_with(&w, "'status':['STOPPED']"), 1);
    world_refuse(&w, "StopServiceDeployment",
                 arena_format(&test_arena, "{'serviceDeploymentArn':'%s'}", arn),
                 "ConflictException", "terminal state");
}

TEST(a_newer_deployment_supersedes)
{
    cleanup(world_done) struct world w;
    const char *first, *second;

    prepare(&w, BREAKER("true"));
    first = deploy(&w);
    second = deploy(&w);
    CHECK(strcmp(first, second) != 0);
    describe(&w, first);
    world_expects(
        &w, "{'serviceDeployments':[{'status':'STOPPED','finishedAt':'*','statusReason':'*'}]}");
    world_wait(&w, MINUTES(10));
    describe(&w, second);
    world_expects(&w, "{'serviceDeployments':[{'status':'SUCCESSFUL'}]}");
}

/* ---- hooks ---- */

#define HOOKS(stages, action)                                                                      \
    "'deploymentConfiguration':{'strategy':'BLUE_GREEN','bakeTimeInMinutes':1,"                    \
    "'lifecycleHooks':[{'targetType':'PAUSE',"                                                     \
    "'lifecycleStages':[" stages                                                                   \
    "],'hookDetails':{'ask':['the','team']},'timeoutConfiguration':{'timeoutInMinutes':5,"         \
    "'action':'" action "'}}]}"

/* The id of the hook that waits. */
static const char *
waiting_hook(struct world *w, const char *arn, const char *stage)
{
    world_wait(w, MINUTES(1));
    describe(w, arn);
    world_expects(
        w,
        "{'serviceDeployments':[{'status':'IN_PROGRESS','lifecycleStage':'%s',"
        "'lifecycleHookDetails':[{'hookId':'ecs-pause-*','targetType':'PAUSE','targetArn':null,"
        "'status':'AWAITING_ACTION','expiresAt':'*','timeoutAction':'*'}]}]}",
        stage);
    return arena_format(
        &test_arena, "%s",
        json_get_cstr(json_at(json_get(json_at(json_get(w->answer, "serviceDeployments"), 0),
                                       "lifecycleHookDetails"),
                              0),
                      "hookId", ""));
}

TEST(a_hook_in_each_stage_is_continued_by_hand)
{
    static const struct {
        const char *stage, *shown;
    } stages[] = {
        {"PRE_SCALE_UP", "PRE_SCALE_UP"},
        {"POST_SCALE_UP", "POST_SCALE_UP"},
        {"POST_TEST_TRAFFIC_SHIFT", "POST_TEST_TRAFFIC_SHIFT"},
        {"PRE_PRODUCTION_TRAFFIC_SHIFT", "PRODUCTION_TRAFFIC_SHIFT"},
        {"POST_PRODUCTION_TRAFFIC_SHIFT", "POST_PRODUCTION_TRAFFIC_SHIFT"},
    };
    cleanup(world_done) struct world w;
    const char *arn, *id;

    prepare(&w, BREAKER("true"));
    world_call(
        &w, "UpdateService",
        "{'cluster':'c','service':'s'," HOOKS("'RECONCILE_SERVICE','PRE_SCALE_UP','POST_SCALE_UP',"
                                              "'POST_TEST_TRAFFIC_SHIFT',"
                                              "'PRE_PRODUCTION_TRAFFIC_SHIFT',"
                                              "'POST_PRODUCTION_TRAFFIC_SHIFT'",
                                              "ROLLBACK") "}");
    world_expects(&w, "{'service':{'deploymentConfiguration':{'lifecycleHooks':[{'targetType':'"
                      "PAUSE','hookTargetArn':null,'roleArn':null,'hookDetails':{'ask':['the',"
                      "'team']},'lifecycleStages':'*','timeoutConfiguration':{"
                      "'timeoutInMinutes':5,'action':'ROLLBACK'}}]}}}");
    arn = deploy(&w);
    for (size_t i = 0; i < ARRAY_COUNT(stages); i++) {
        id = waiting_hook(&w, arn, stages[i].shown);
        world_call(&w, "ContinueServiceDeployment",
                   "{'serviceDeploymentArn':'%s','hookId':'%s','action':'CONTINUE'}", arn, id);
        world_expects(&w, "{'serviceDeploymentArn':'%s'}", arn);
    }
    world_wait(&w, MINUTES(10));
    describe(&w, arn);
    world_expects(&w, "{'serviceDeployments':[{'status':'SUCCESSFUL'}]}");
    world_refuse(&w, "ContinueServiceDeployment",
                 arena_format(&test_arena, "{'serviceDeploymentArn':'%s','hookId':'%s'}", arn, id),
                 "InvalidParameterException", "no lifecycle hook");
}

TEST(a_hook_rolls_back_by_hand_and_by_its_timeout)
{
    cleanup(world_done) struct world w;
    const char *arn, *id;

    prepare(&w, BREAKER("true"));
    world_call(&w, "UpdateService",
               "{'cluster':'c','service':'s'," HOOKS("'POST_SCALE_UP'", "ROLLBACK") "}");
    arn = deploy(&w);
    id = waiting_hook(&w, arn, "POST_SCALE_UP");
    w.region = "us-west-2";
    world_refuse(&w, "ContinueServiceDeployment",
                 arena_format(&test_arena, "{'serviceDeploymentArn':'%s','hookId':'%s'}", arn, id),
                 "ServiceDeploymentNotFoundException", "Service deployment not found.");
    w.region = NULL;
    world_call(&w, "ContinueServiceDeployment",
               "{'serviceDeploymentArn':'%s','hookId':'%s','action':'ROLLBACK'}", arn, id);
    world_wait(&w, MINUTES(10));
    describe(&w, arn);
    world_expects(&w, "{'serviceDeployments':[{'status':'ROLLBACK_SUCCESSFUL','statusReason':'"
                      "Service deployment rolled back because POST_SCALE_UP lifecycle hook(s) fai"
                      "led.*'}]}");
    arn = deploy(&w);
    waiting_hook(&w, arn, "POST_SCALE_UP");
    world_wait(&w, MINUTES(20));
    describe(&w, arn);
    world_expects(&w, "{'serviceDeployments':[{'status':'ROLLBACK_SUCCESSFUL'}]}");
}

TEST(hooks_that_can_not_be_are_refused)
{
    static const struct {
        const char *hook, *type, *message;
    } cases[] = {
        {"{'targetType':'AWS_LAMBDA','hookTargetArn':'arn:f','roleArn':'arn:r','lifecycleStages':['"
         "POST_SCALE_UP']}",
         "InvalidParameterException", "hookTargetArn arn:f is no"},
        {"{'targetType':'PAUSE','hookTargetArn':'arn:f','lifecycleStages':['POST_SCALE_UP']}",
         "InvalidParameterException", "hookTargetArn"},
        {"{'targetType':'PAUSE','lifecycleStages':[]}", "InvalidParameterException",
         "lifecycleStages"},
        {"{'targetType':'PAUSE','lifecycleStages':['PRODUCTION_TRAFFIC_SHIFT']}",
         "InvalidParameterException", "PRODUCTION_TRAFFIC_SHIFT"},
        {"{'targetType':'PAUSE','lifecycleStages':['TEST_TRAFFIC_SHIFT']}",
         "InvalidParameterException", "TEST_TRAFFIC_SHIFT"},
        {"{'targetType':'PAUSE','lifecycleStages':['PRE_SCALE_UP'],'timeoutConfiguration':{'"
         "timeoutInMinutes':0}}",
         "InvalidParameterException", "timeoutInMinutes"},
        {"{'targetType':'PAUSE','lifecycleStages':['PRE_SCALE_UP'],'timeoutConfiguration':{'"
         "timeoutInMinutes':20161}}",
         "InvalidParameterException", "timeoutInMinutes"},
    };
    cleanup(world_done) struct world w;

    prepare(&w, BREAKER("true"));
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++)
        world_refuse(
            &w, "UpdateService",
            arena_format(&test_arena,
                         "{'cluster':'c','service':'s','deploymentConfiguration':{"
                         "'strategy':'BLUE_GREEN','bakeTimeInMinutes':0,'lifecycleHooks':[%s]}}",
                         cases[i].hook),
            cases[i].type, cases[i].message);
}

/* ---- ours ---- */

TEST(a_plan_takes_times_and_each_fault)
{
    static const char *const faults[] = {
        "none",          "image-missing",  "cannot-pull",  "crashes-at-start",
        "crashes-later", "hangs-at-start", "never-healthy"};
    cleanup(world_done) struct world w;

    prepare(&w, BREAKER("true"));
    world_call(&w, "RegisterTaskDefinition",
               "{'family':'web','containerDefinitions':[{'name':'app',"
               "'image':'localhost:4566/web:1','memory':16,'healthCheck':{'command':['CMD',"
               "'true']}}]}");
    for (size_t i = 0; i < ARRAY_COUNT(faults); i++) {
        const struct json *plan;
        const char *status;

        world_call(
            &w, "UpdateService",
            "{'cluster':'c','service':'s','taskDefinition':'web:3',"
            "'plan':{'startMilliseconds':100,'healthyMilliseconds':200,'drainMilliseconds':300,"
            "'stopMilliseconds':400,'fault':'%s'}"
            "}",
            faults[i]);
        plan = json_get(w.answer, "plan");
        status = json_get_cstr(plan, "status", "(none)");
        CHECK_EQ(json_get_i64(json_get(plan, "times"), "drainMilliseconds", -1), 300);
        CHECK_TEXT(json_get_cstr(plan, "fault", "none"), faults[i]);
        if (i == 0)
            CHECK_TEXT(status, "SUCCESSFUL");
        else if (strcmp(faults[i], "crashes-later") != 0) /* later than "complete", perhaps */
            CHECK(strcmp(status, "SUCCESSFUL") != 0);
    }
    CHECK_EQ(count_with(&w, "'status':[]"), 1);
}
