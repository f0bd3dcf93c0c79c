/* SPDX-License-Identifier: MIT */
/* Deployments that move traffic, through the API: what the door refuses, what it shows, how a hook is
 * answered.  tests/trace tells how the core decides. */
#include "api_world.h"

#define BLUE_GREEN "'deploymentConfiguration':{'strategy':'BLUE_GREEN','bakeTimeInMinutes':5"

struct names { /* ARNs */
    char blue[ARN_SIZE], green[ARN_SIZE], production[ARN_SIZE], test[ARN_SIZE];
};

static struct arena test_arena; /* each test is a process */

static void PRINTF_LIKE(3, 4)
query(struct world *w, int status, const char *format, ...)
{
    char form[4096];
    va_list args;

    va_start(args, format);
    vsnprintf(form, sizeof(form), format, args);
    va_end(args);
    if (world_send(w, "elasticloadbalancing", "application/x-www-form-urlencoded", NULL, form) != status)
        check_fail(__FILE__, __LINE__, "%s: %s", form, w->body);
}

static void
add_listener(struct world *w, int port, const struct names *n, char arn[static ARN_SIZE])
{
    query(w, 200,
          "Action=CreateListener&Version=2015-12-01&LoadBalancerArn=%s&Protocol=HTTP&Port=%d"
          "&DefaultActions.member.1.Type=forward"
          "&DefaultActions.member.1.ForwardConfig.TargetGroups.member.1.TargetGroupArn=%s"
          "&DefaultActions.member.1.ForwardConfig.TargetGroups.member.1.Weight=1"
          "&DefaultActions.member.1.ForwardConfig.TargetGroups.member.2.TargetGroupArn=%s"
          "&DefaultActions.member.1.ForwardConfig.TargetGroups.member.2.Weight=0",
          w->core->load_balancers->arn, port, n->blue, n->green);
    for (const struct listener *l = w->core->listeners; l != NULL; l = l->next) {
        if (l->port == port)
            memcpy(arn, l->arn, ARN_SIZE);
    }
}

static void
prepare(struct world *w, struct names *n)
{
    world_prepare(w);
    query(w, 200,
          "Action=CreateLoadBalancer&Version=2015-12-01&Name=lb&Subnets.member.1=subnet-a"
          "&Subnets.member.2=subnet-b");
    for (int i = 0; i < 2; i++)
        query(w, 200,
              "Action=CreateTargetGroup&Version=2015-12-01&Name=%s&Protocol=HTTP&Port=80&VpcId=vpc-1"
              "&TargetType=instance", i == 0 ? "blue" : "green");
    for (const struct target_group *tg = w->core->target_groups; tg != NULL; tg = tg->next)
        memcpy(strcmp(tg->name, "blue") == 0 ? n->blue : n->green, tg->arn, ARN_SIZE);
    add_listener(w, 8080, n, n->production);
    add_listener(w, 8081, n, n->test);
}

/* {loadBalancers} of one entry, and what follows it. */
static const char *
service(const char *name, const char *group, const char *alternate, const char *production,
        const char *test, const char *rest)
{
    return arena_format(&test_arena,
                        "{'cluster':'c','serviceName':'%s','taskDefinition':'web','desiredCount':2,"
                        "'loadBalancers':[{'targetGroupArn':'%s','containerName':'app','containerPort':80,"
                        "'advancedConfiguration':{'alternateTargetGroupArn':'%s','roleArn':'arn:aws:iam::1:role/r',"
                        "'productionListenerRule':'%s'%s%s%s}}],%s}",
                        name, group, alternate, production, test[0] != '\0' ? ",'testListenerRule':'" : "",
                        test, test[0] != '\0' ? "'" : "", rest);
}

static const struct json *
current(struct world *w)
{
    const struct json *s =
        json_at(json_get(world_call(w, "DescribeServices", "{'cluster':'c','services':['s']}"),
                         "services"), 0);
    const char *arn = arena_format(&test_arena, "%s", text_at(s, "currentServiceDeployment"));

    return json_at(json_get(world_call(w, "DescribeServiceDeployments", "{'serviceDeploymentArns':['%s']}",
                                       arn), "serviceDeployments"), 0);
}

static void
create(struct world *w, const struct names *n, const char *config)
{
    world_call(w, "CreateService", "%s",
               service("s", n->blue, n->green, n->production, n->test, config));
    world_wait(w, 24 * 3600 * 1000);
    CHECK_TEXT(text_at(current(w), "status"), "SUCCESSFUL");
}

TEST(a_pair_that_can_not_work_is_refused)
{
    cleanup(world_done) struct world w;
    struct names n;
    const char *const config = BLUE_GREEN "}";

    prepare(&w, &n);
#define REFUSE(type, message, ...)                                                                   \
    world_refuse(&w, "CreateService", service("s", __VA_ARGS__), type, message)
    REFUSE("InvalidParameterException", "Duplicate targetGroupArn found", n.blue, n.blue, n.production, "",
           config);
    REFUSE("InvalidParameterException", "both production and test listener rules", n.blue, n.green,
           n.production, n.production, config);
    REFUSE("InvalidParameterException", "has an invalid ARN format", n.blue, n.green, "arn:x", "", config);
    REFUSE("UnsupportedFeatureException", "listener rules are not built", n.blue, n.green,
           "arn:aws:elasticloadbalancing:eu-west-1:0:listener-rule/app/lb/1/2/3", "", config);
    REFUSE("InvalidParameterException", "does not exist", n.blue, n.green,
           "arn:aws:elasticloadbalancing:eu-west-1:0:listener/app/lb/1/2", "", config);
    REFUSE("InvalidParameterException", "needs alternateTargetGroupArn and productionListenerRule", n.blue,
           "", n.production, "", config);
    REFUSE("InvalidParameterException", "bakeTimeInMinutes is required", n.blue, n.green, n.production, "",
           "'deploymentConfiguration':{'strategy':'BLUE_GREEN'}");
    REFUSE("InvalidParameterException", "canaryPercent must be between 0.1 and 100.0", n.blue, n.green,
           n.production, "",
           "'deploymentConfiguration':{'strategy':'CANARY','canaryConfiguration':{'canaryPercent':0.05}}");
    REFUSE("InvalidParameterException", "stepPercent must be between 3.0 and 100.0", n.blue, n.green,
           n.production, "",
           "'deploymentConfiguration':{'strategy':'LINEAR','linearConfiguration':{'stepPercent':2.9}}");
    REFUSE("InvalidParameterException", "linearConfiguration is only valid", n.blue, n.green, n.production,
           "", "'deploymentConfiguration':{'strategy':'CANARY','linearConfiguration':{}}");
    REFUSE("InvalidParameterException", "can not be in TEST_TRAFFIC_SHIFT", n.blue, n.green, n.production, "",
           BLUE_GREEN ",'lifecycleHooks':[{'targetType':'PAUSE','lifecycleStages':['TEST_TRAFFIC_SHIFT']}]}");
    REFUSE("InvalidParameterException", "only valid with the ROLLING", n.blue, n.green, n.production, "",
           BLUE_GREEN ",'earlySuccessCriteria':{'enable':true}}");
    REFUSE("InvalidParameterException", "can not be less than minimumHealthyPercent", n.blue, n.green,
           n.production, "",
           "'deploymentConfiguration':{'earlySuccessCriteria':{'enable':true,'healthyPercent':50}}");
    world_refuse(&w, "CreateService",
                 "{'cluster':'c','serviceName':'s','taskDefinition':'web','desiredCount':1,"
                 "'deploymentConfiguration':{'strategy':'CANARY'}}",
                 "InvalidParameterException", "needs a load balancer");
    world_refuse(&w, "CreateService",
                 arena_format(&test_arena,
                              "{'cluster':'c','serviceName':'s','taskDefinition':'web','desiredCount':1,"
                              "'loadBalancers':[{'targetGroupArn':'%s','containerName':'app',"
                              "'containerPort':80}]," BLUE_GREEN "}}", n.blue),
                 "InvalidParameterException", "advancedConfiguration field is required");
    CHECK_EQ(json_size(json_get(world_call(&w, "ListServices", "{'cluster':'c'}"), "serviceArns")), 0);
}

TEST(what_is_configured_is_shown_with_its_defaults)
{
    cleanup(world_done) struct world w;
    struct names n;
    const struct json *s, *config, *lb;

    prepare(&w, &n);
    s = json_get(world_call(&w, "CreateService", "%s",
                            service("s", n.blue, n.green, n.production, n.test,
                                    "'deploymentConfiguration':{'strategy':'CANARY','lifecycleHooks':["
                                    "{'targetType':'PAUSE','lifecycleStages':['POST_SCALE_UP']}]}")),
                 "service");
    config = json_get(s, "deploymentConfiguration");
    CHECK_TEXT(text_at(config, "strategy"), "CANARY");
    CHECK_EQ(json_get_i64(config, "bakeTimeInMinutes", -1), 0);
    CHECK_EQ((int)json_f64(json_get(json_get(config, "canaryConfiguration"), "canaryPercent"), 0), 5);
    CHECK_EQ(json_get_i64(json_get(config, "canaryConfiguration"), "canaryBakeTimeInMinutes", -1), 10);
    lb = json_get(json_at(json_get(config, "lifecycleHooks"), 0), "timeoutConfiguration");
    CHECK_EQ(json_get_i64(lb, "timeoutInMinutes", -1), 1440);
    CHECK_TEXT(text_at(lb, "action"), "ROLLBACK");
    lb = json_at(json_get(s, "loadBalancers"), 0);
    CHECK_EQ(json_get_i64(lb, "containerPort", -1), 80);
    lb = json_get(lb, "advancedConfiguration");
    CHECK_TEXT(text_at(lb, "alternateTargetGroupArn"), n.green);
    CHECK_TEXT(text_at(lb, "productionListenerRule"), n.production);
    CHECK_TEXT(text_at(lb, "testListenerRule"), n.test);
    CHECK_TEXT(text_at(lb, "roleArn"), "arn:aws:iam::1:role/r");
    /* given members replace, what is left out of linearConfiguration has its default */
    s = json_get(world_call(&w, "UpdateService",
                            "{'cluster':'c','service':'s','deploymentConfiguration':{'strategy':'LINEAR',"
                            "'linearConfiguration':{'stepPercent':12.5},'bakeTimeInMinutes':3}}"),
                 "service");
    CHECK_EQ(json_size(json_get(s, "deployments")), 1);
    config = json_get(s, "deploymentConfiguration");
    CHECK(json_get(config, "canaryConfiguration") == NULL);
    CHECK_EQ((int)(json_f64(json_get(json_get(config, "linearConfiguration"), "stepPercent"), 0) * 10), 125);
    CHECK_EQ(json_get_i64(json_get(config, "linearConfiguration"), "stepBakeTimeInMinutes", -1), 6);
    CHECK_EQ(json_size(json_get(config, "lifecycleHooks")), 1);
    world_refuse(&w, "UpdateService",
                 "{'cluster':'c','service':'s','deploymentConfiguration':{'strategy':'ROLLING'}}",
                 "InvalidParameterException", "With the ROLLING deployment strategy");
    world_call(&w, "UpdateService",
               "{'cluster':'c','service':'s','deploymentConfiguration':{'strategy':'ROLLING',"
               "'lifecycleHooks':[]}}");
}

TEST(a_hook_is_shown_and_answered)
{
    cleanup(world_done) struct world w;
    struct names n;
    const struct json *sd, *hook;
    const char *arn, *id;

    prepare(&w, &n);
    create(&w, &n,
           BLUE_GREEN ",'lifecycleHooks':[{'targetType':'PAUSE','lifecycleStages':['POST_TEST_TRAFFIC_SHIFT'],"
                      "'timeoutConfiguration':{'timeoutInMinutes':60,'action':'CONTINUE'}}]}");
    world_call(&w, "UpdateService", "{'cluster':'c','service':'s','forceNewDeployment':true}");
    world_wait(&w, 10000);
    sd = current(&w);
    arn = arena_format(&test_arena, "%s", text_at(sd, "serviceDeploymentArn"));
    CHECK_TEXT(text_at(sd, "lifecycleStage"), "POST_TEST_TRAFFIC_SHIFT");
    hook = json_at(json_get(sd, "lifecycleHookDetails"), 0);
    id = arena_format(&test_arena, "%s", text_at(hook, "hookId"));
    CHECK_TEXT(text_at(hook, "status"), "AWAITING_ACTION");
    CHECK_TEXT(text_at(hook, "timeoutAction"), "CONTINUE");
    CHECK_TEXT(text_at(hook, "targetType"), "PAUSE");
    CHECK_EQ((int)json_f64(json_get(json_get(sd, "targetServiceRevision"), "requestedTestTrafficWeight"), -1),
             100);
    CHECK_EQ((int)json_f64(json_get(json_at(json_get(sd, "sourceServiceRevisions"), 0),
                                    "requestedProductionTrafficWeight"), -1), 100);
    world_refuse(&w, "ContinueServiceDeployment",
                 arena_format(&test_arena, "{'serviceDeploymentArn':'%s','hookId':'none'}", arn),
                 "InvalidParameterException", "no lifecycle hook");
    world_refuse(&w, "ContinueServiceDeployment", "{'serviceDeploymentArn':'arn:x','hookId':'none'}",
                 "ServiceDeploymentNotFoundException", "");
    CHECK_TEXT(text_at(world_call(&w, "ContinueServiceDeployment",
                                  "{'serviceDeploymentArn':'%s','hookId':'%s'}", arn, id),
                       "serviceDeploymentArn"), arn);
    world_wait(&w, 10000);
    sd = current(&w);
    CHECK_TEXT(text_at(sd, "lifecycleStage"), "BAKE_TIME");
    CHECK_EQ((int)json_f64(json_get(json_get(sd, "targetServiceRevision"),
                                    "requestedProductionTrafficWeight"), -1), 100);
    world_call(&w, "StopServiceDeployment", "{'serviceDeploymentArn':'%s'}", arn);
    world_wait(&w, 10000);
    CHECK_TEXT(text_at(current(&w), "status"), "ROLLBACK_SUCCESSFUL");
}

TEST(while_it_moves_traffic_the_listener_belongs_to_the_deployment)
{
    cleanup(world_done) struct world w;
    struct names n;
    const struct json *sd, *revision;

    prepare(&w, &n);
    create(&w, &n, BLUE_GREEN "}");
    world_call(&w, "UpdateService", "{'cluster':'c','service':'s','forceNewDeployment':true}");
    world_wait(&w, 10000);
    sd = current(&w);
    CHECK_TEXT(text_at(sd, "lifecycleStage"), "BAKE_TIME");
    revision = json_at(json_get(world_call(&w, "DescribeServiceRevisions", "{'serviceRevisionArns':['%s']}",
                                           arena_format(&test_arena, "%s",
                                                        text_at(json_get(sd, "targetServiceRevision"), "arn"))),
                                "serviceRevisions"), 0);
    CHECK_TEXT(text_at(json_at(json_get(json_get(revision, "resolvedConfiguration"), "loadBalancers"), 0),
                       "targetGroupArn"), n.green);
    query(&w, 400,
          "Action=ModifyListener&Version=2015-12-01&ListenerArn=%s&DefaultActions.member.1.Type=forward"
          "&DefaultActions.member.1.TargetGroupArn=%s", n.production, n.blue);
    CHECK(strstr(w.body, "<Code>ResourceInUse</Code>") != NULL);
    query(&w, 400, "Action=DeleteListener&Version=2015-12-01&ListenerArn=%s", n.production);
    query(&w, 400, "Action=DeleteLoadBalancer&Version=2015-12-01&LoadBalancerArn=%s",
          w.core->load_balancers->arn);
    world_refuse(&w, "CreateService",
                 service("other", n.blue, n.green, n.production, "", BLUE_GREEN "}"),
                 "InvalidParameterException", "moves the traffic of this listener already");
    world_wait(&w, 600000);
    CHECK_TEXT(text_at(current(&w), "status"), "SUCCESSFUL");
    /* its tasks are in green now: nobody may take that from it by mistake */
    world_refuse(&w, "UpdateService",
                 arena_format(&test_arena,
                              "{'cluster':'c','service':'s','deploymentConfiguration':{'strategy':'ROLLING'},"
                              "'loadBalancers':[{'targetGroupArn':'%s','containerName':'app',"
                              "'containerPort':80}]}", n.blue),
                 "InvalidParameterException", "must name the target group");
    query(&w, 200,
          "Action=ModifyListener&Version=2015-12-01&ListenerArn=%s&DefaultActions.member.1.Type=forward"
          "&DefaultActions.member.1.TargetGroupArn=%s", n.production, n.green);
}

TEST(nobody_goes_back_once_the_old_tasks_leave)
{
    cleanup(world_done) struct world w;
    struct names n;
    const struct json *sd;

    prepare(&w, &n);
    create(&w, &n, "'deploymentConfiguration':{'strategy':'BLUE_GREEN','bakeTimeInMinutes':0}");
    w.drains_hang = true;
    world_call(&w, "UpdateService", "{'cluster':'c','service':'s','forceNewDeployment':true}");
    world_wait(&w, 5000);
    sd = current(&w);
    CHECK_TEXT(text_at(sd, "lifecycleStage"), "CLEAN_UP");
    world_refuse(&w, "StopServiceDeployment",
                 arena_format(&test_arena, "{'serviceDeploymentArn':'%s'}",
                              text_at(sd, "serviceDeploymentArn")),
                 "ConflictException", "CLEAN_UP");
    w.drains_hang = false;
    world_wait(&w, 5000);
    CHECK_TEXT(text_at(current(&w), "status"), "SUCCESSFUL");
}
