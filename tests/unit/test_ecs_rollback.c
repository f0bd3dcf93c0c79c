/* SPDX-License-Identifier: MIT */
/* Updates that ECS has not: going back, and being asked what would happen. */
#include "api_world.h"

#define SERVICE(extra)                                                                             \
    "{'cluster':'c','serviceName':'s','taskDefinition':'web','desiredCount':2" extra "}"

TEST(our_own_rollback_goes_back_once)
{
    cleanup(world_done) struct world w;
    const struct json *s;

    world_prepare(&w);
    world_call(&w, "CreateService", SERVICE());
    world_wait(&w, 60000);
    world_refuse(&w, "UpdateService", "{'cluster':'c','service':'s','rollbackDeployment':true}",
                 "InvalidParameterException", "No completed deployment to roll back to.");
    world_call(&w, "RegisterTaskDefinition", "%s", WEB_DEFINITION);
    world_call(&w, "UpdateService", "{'cluster':'c','service':'s','taskDefinition':'web'}");
    world_wait(&w, 200000);
    s = json_get(world_call(&w, "UpdateService",
                            "{'cluster':'c','service':'s','desiredCount':3,'rollbackDeployment':true}"),
                 "service");
    CHECK_TEXT(text_at(s, "taskDefinition"), WORLD_ARN "task-definition/web:1");
    CHECK_EQ(json_get_i64(s, "desiredCount", 0), 3);
    s = json_get(world_call(&w, "UpdateService",
                            "{'cluster':'c','service':'s','desiredCount':2,'rollbackDeployment':true}"),
                 "service");
    CHECK_TEXT(text_at(s, "taskDefinition"), WORLD_ARN "task-definition/web:1");
    CHECK_EQ(json_get_i64(s, "desiredCount", 0), 2);
    world_wait(&w, 200000);
    s = json_at(json_get(world_call(&w, "DescribeServices", "{'cluster':'c','services':['s']}"),
                         "services"), 0);
    CHECK_EQ(json_get_i64(s, "runningCount", 0), 2);
    CHECK_EQ(json_size(json_get(s, "deployments")), 1);
    world_refuse(&w, "UpdateService",
                 "{'cluster':'c','service':'s','taskDefinition':'web','rollbackDeployment':true}",
                 "InvalidParameterException", "combined");
}

/* A second one would go back to where the first came from. */
TEST(one_invocation_of_a_rollback_is_done_once)
{
    cleanup(world_done) struct world w;
    const struct json *s;

    world_prepare(&w);
    world_call(&w, "CreateService", SERVICE());
    world_wait(&w, 60000);
    world_call(&w, "RegisterTaskDefinition", "%s", WEB_DEFINITION);
    world_call(&w, "UpdateService", "{'cluster':'c','service':'s','taskDefinition':'web'}");
    world_wait(&w, 200000);
    w.invocation = "11111111-2222-4333-8444-555555555555";
    for (int i = 0; i < 2; i++) {
        s = json_get(world_call(&w, "UpdateService", "{'cluster':'c','service':'s','rollbackDeployment':true}"), "service");
        CHECK_TEXT(text_at(s, "taskDefinition"), WORLD_ARN "task-definition/web:1");
        world_wait(&w, 200000);
    }
}

#define TO(name) "{'cluster':'c','service':'s','rollbackTo':'" name "'}"

/* Users' pain 5 of ecs.md 11. */
TEST(our_own_rollback_goes_to_any_completed_deployment)
{
    cleanup(world_done) struct world w;
    char revision[ARN_SIZE];
    const struct json *s;

    world_prepare(&w);
    world_call(&w, "CreateService", SERVICE());
    world_wait(&w, 60000);
    for (int i = 2; i <= 3; i++) {
        world_call(&w, "RegisterTaskDefinition", "%s", WEB_DEFINITION);
        world_call(&w, "UpdateService", "{'cluster':'c','service':'s','taskDefinition':'web'}");
        world_wait(&w, 200000);
    }
    world_refuse(&w, "UpdateService", TO("web:9"), "InvalidParameterException",
                 "No completed deployment of 'web:9' that this service can return to now. It can to: "
                 "web:2, web:1.");
    s = json_get(world_call(&w, "UpdateService", TO("web:3")), "service"); /* it runs */
    CHECK_TEXT(text_at(s, "taskDefinition"), WORLD_ARN "task-definition/web:3");
    CHECK_EQ(json_size(json_get(s, "deployments")), 1);
    s = json_get(world_call(&w, "UpdateService", TO("web:1")), "service");
    CHECK_TEXT(text_at(s, "taskDefinition"), WORLD_ARN "task-definition/web:1");
    CHECK_EQ(json_size(json_get(s, "deployments")), 2);
    world_wait(&w, 200000);
    s = json_get(world_call(&w, "UpdateService", TO("web:3")), "service"); /* and forward again */
    text_copy(revision, sizeof(revision),
              str_of(text_at(json_at(json_get(s, "deployments"), 0), "id")));
    CHECK_TEXT(text_at(s, "taskDefinition"), WORLD_ARN "task-definition/web:3");
    world_wait(&w, 200000);
    s = json_get(world_call(&w, "UpdateService", TO(WORLD_ARN "task-definition/web:2")), "service");
    CHECK_TEXT(text_at(s, "taskDefinition"), WORLD_ARN "task-definition/web:2");
    world_wait(&w, 200000);
    s = json_get(world_call(&w, "UpdateService", "{'cluster':'c','service':'s','rollbackTo':'%s'}",
                            revision), "service");
    CHECK_TEXT(text_at(s, "taskDefinition"), WORLD_ARN "task-definition/web:3");
    world_wait(&w, 200000);
    world_call(&w, "UpdateService", "{'cluster':'c','service':'s','taskDefinition':'web:1'}");
    world_call(&w, "UpdateService", TO("web:2")); /* past the last one */
    world_call(&w, "UpdateService", TO("web:2"));
    world_refuse(&w, "UpdateService", TO("web:3"), "InvalidParameterException",
                 "The service is being rolled back already. Wait for its end.");
    world_refuse(&w, "UpdateService",
                 "{'cluster':'c','service':'s','rollbackTo':'web:1','forceNewDeployment':true}",
                 "InvalidParameterException", "combined");
}

/* Users' pain 13 of ecs.md 11. */
TEST(an_update_keeps_the_desired_count_unless_it_is_given)
{
    static const char *const updates[] = {
        "{'cluster':'c','service':'s','taskDefinition':'web'}",
        "{'cluster':'c','service':'s','forceNewDeployment':true}",
        "{'cluster':'c','service':'s','deploymentConfiguration':{'maximumPercent':150}}",
        "{'cluster':'c','service':'s','rollbackDeployment':true}"};
    cleanup(world_done) struct world w;

    world_prepare(&w);
    world_call(&w, "CreateService", SERVICE());
    world_call(&w, "UpdateService", "{'cluster':'c','service':'s','desiredCount':3}");
    for (size_t i = 0; i < ARRAY_COUNT(updates); i++) {
        world_wait(&w, 200000);
        world_call(&w, "UpdateService", "%s", updates[i]);
        CHECK_EQ(json_get_i64(json_get(w.answer, "service"), "desiredCount", 0), 3);
    }
}

TEST(an_update_with_a_plan_changes_nothing)
{
    cleanup(world_done) struct world w;
    const struct json *plan, *s;

    world_prepare(&w);
    world_call(&w, "CreateService", SERVICE());
    world_wait(&w, 60000);
    plan = json_get(world_call(&w, "UpdateService",
                               "{'cluster':'c','service':'s','forceNewDeployment':true,"
                               "'plan':{'startMilliseconds':700}}"), "plan");
    CHECK(json_get_bool(plan, "ends", false) && json_get_bool(plan, "startsDeployment", false));
    CHECK_TEXT(text_at(plan, "status"), "SUCCESSFUL");
    CHECK(json_get_i64(plan, "liveMilliseconds", 0) >= 700);
    CHECK_EQ(json_get_i64(json_get(plan, "times"), "startMilliseconds", 0), 700);
    plan = json_get(world_call(&w, "UpdateService",
                               "{'cluster':'c','service':'s','desiredCount':7,'plan':{}}"), "plan");
    CHECK_EQ(json_get_i64(plan, "mostTasks", 0), 7);
    CHECK(!json_get_bool(plan, "startsDeployment", true));
    s = json_at(json_get(world_call(&w, "DescribeServices", "{'cluster':'c','services':['s']}"),
                         "services"), 0);
    CHECK_EQ(json_size(json_get(s, "deployments")), 1);
    CHECK(json_get_i64(s, "desiredCount", 0) < 7);
    world_refuse(&w, "UpdateService", "{'cluster':'c','service':'s','plan':{'fault':'bad-luck'}}",
                 "InvalidParameterException", "");
    world_refuse(&w, "UpdateService",
                 "{'cluster':'c','service':'s','taskDefinition':'none','plan':{}}",
                 "ClientException", "");
    world_refuse(&w, "UpdateService",
                 "{'cluster':'c','service':'s','rollbackDeployment':true,'plan':{}}",
                 "InvalidParameterException", "No completed deployment to roll back to.");
}

/* ---- tasks ---- */
