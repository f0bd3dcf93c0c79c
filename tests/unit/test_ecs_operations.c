/* SPDX-License-Identifier: MIT */
/* Operations beside the deployments themselves: task protection, settings, definitions that go. */
#include "api_world.h"

#define DEFINITION                                                                          \
    "{'family':'web','containerDefinitions':[{'name':'app','image':'localhost:4566/web:1'," \
    "'memory':64,'portMappings':[{'containerPort':80}]}]}"

static void
prepare(struct world *w)
{
    world_init(w);
    world_call(w, "CreateCluster", "{'clusterName':'c'}");
    world_call(w, "RegisterTaskDefinition", "%s", DEFINITION);
}

static const char *
text_at(const struct json *o, const char *key)
{
    return json_get_cstr(o, key, "(absent)");
}

/* Item `at` of the list `key` of the last answer. */
static const struct json *
item(const struct world *w, const char *key, size_t at)
{
    return json_at(json_get(w->answer, key), at);
}

static size_t
count(const struct world *w, const char *key)
{
    return json_size(json_get(w->answer, key));
}

static int64_t
seconds_at(const struct json *o, const char *key)
{
    return (int64_t)json_f64(json_get(o, key), -1);
}

/* ---- task protection ---- */

static const char *
service_task(struct world *w, int at)
{
    const struct task *t = w->core->services->live;

    for (int i = 0; i < at; i++)
        t = t->next_live;
    return t->id;
}

static void
prepare_service(struct world *w)
{
    prepare(w);
    world_call(w, "CreateService",
               "{'cluster':'c','serviceName':'s','taskDefinition':'web','desiredCount':2}");
    world_wait(w, 60000);
}

TEST(a_task_of_a_service_is_protected_until_its_date)
{
    cleanup(world_done) struct world w;
    int64_t from_ms;

    prepare_service(&w);
    from_ms = w.now_ms;
    world_call(&w, "UpdateTaskProtection",
               "{'cluster':'c','tasks':['%s'],'protectionEnabled':true}", service_task(&w, 0));
    CHECK_EQ(count(&w, "failures"), 0);
    CHECK_TEXT(text_at(item(&w, "protectedTasks", 0), "taskArn"), w.core->services->live->arn);
    CHECK(json_get_bool(item(&w, "protectedTasks", 0), "protectionEnabled", false));
    /* two hours, if nothing is said; seconds since the epoch */
    CHECK_EQ(seconds_at(item(&w, "protectedTasks", 0), "expirationDate"),
             (from_ms + 7200001) / 1000);
    world_call(&w, "UpdateTaskProtection",
               "{'cluster':'c','tasks':['%s'],'protectionEnabled':true,'expiresInMinutes':2880}",
               w.core->services->live->arn);
    CHECK_EQ(seconds_at(item(&w, "protectedTasks", 0), "expirationDate"),
             (w.now_ms + 2880LL * 60000) / 1000);
    world_call(&w, "GetTaskProtection", "{'cluster':'c'}");
    CHECK_EQ(count(&w, "protectedTasks"), 1);
    world_call(&w, "GetTaskProtection", "{'cluster':'c','tasks':['%s','%s']}", service_task(&w, 0),
               service_task(&w, 1));
    CHECK_EQ(count(&w, "protectedTasks"), 2);
    CHECK(!json_get_bool(item(&w, "protectedTasks", 1), "protectionEnabled", true));
    CHECK(json_get(item(&w, "protectedTasks", 1), "expirationDate") == NULL);
    world_call(&w, "UpdateTaskProtection",
               "{'cluster':'c','tasks':['%s'],'protectionEnabled':true,'expiresInMinutes':1}",
               service_task(&w, 0));
    world_wait(&w, 60001);
    world_call(&w, "GetTaskProtection", "{'cluster':'c'}");
    CHECK_EQ(count(&w, "protectedTasks"), 0);
}

TEST(a_protected_task_outlives_a_scale_in)
{
    cleanup(world_done) struct world w;
    cleanup_free char *id = NULL;

    prepare_service(&w);
    id = text_dup(service_task(&w, 1));
    world_call(&w, "UpdateTaskProtection",
               "{'cluster':'c','tasks':['%s'],'protectionEnabled':true,'expiresInMinutes':10}", id);
    world_call(&w, "UpdateService", "{'cluster':'c','service':'s','desiredCount':0}");
    world_wait(&w, 5 * 60000);
    CHECK_EQ(core_counts(w.core, w.core->services, NULL).running, 1);
    world_call(&w, "UpdateTaskProtection",
               "{'cluster':'c','tasks':['%s'],'protectionEnabled':true}", id);
    CHECK_EQ(count(&w, "protectedTasks"), 0);
    CHECK_TEXT(text_at(item(&w, "failures", 0), "reason"), "DEPLOYMENT_BLOCKED");
    CHECK(json_get(item(&w, "failures", 0), "detail") != NULL);
    world_call(&w, "UpdateTaskProtection",
               "{'cluster':'c','tasks':['%s'],'protectionEnabled':false}", id);
    CHECK(!json_get_bool(item(&w, "protectedTasks", 0), "protectionEnabled", true));
    world_wait(&w, 60000);
    CHECK_EQ(core_counts(w.core, w.core->services, NULL).running, 0);
}

TEST(protection_names_what_it_cannot_protect)
{
    cleanup(world_done) struct world w;
    cleanup_free char *alone = NULL;

    prepare_service(&w);
    alone = text_dup(text_at(
        json_at(
            json_get(world_call(&w, "RunTask", "{'cluster':'c','taskDefinition':'web'}"), "tasks"),
            0),
        "taskArn"));
    world_call(&w, "UpdateTaskProtection",
               "{'cluster':'c','tasks':['%s','gone','%s'],'protectionEnabled':true}", alone,
               service_task(&w, 0));
    CHECK_EQ(count(&w, "protectedTasks"), 1);
    CHECK_TEXT(text_at(item(&w, "failures", 0), "arn"), alone);
    CHECK_TEXT(text_at(item(&w, "failures", 0), "reason"), "TASK_NOT_VALID");
    CHECK_TEXT(text_at(item(&w, "failures", 1), "arn"), WORLD_ARN "task/c/gone");
    CHECK_TEXT(text_at(item(&w, "failures", 1), "reason"), "MISSING");
    world_call(&w, "GetTaskProtection", "{'cluster':'c','tasks':['%s','gone']}", alone);
    CHECK_TEXT(text_at(item(&w, "failures", 0), "reason"), "TASK_NOT_VALID");
    CHECK_TEXT(text_at(item(&w, "failures", 1), "reason"), "MISSING");
    CHECK_EQ(count(&w, "protectedTasks"), 0);
    world_call(&w, "StopTask", "{'cluster':'c','task':'%s'}", service_task(&w, 0));
    world_call(&w, "UpdateTaskProtection",
               "{'cluster':'c','tasks':['%s'],'protectionEnabled':true}",
               text_at(json_get(w.answer, "task"), "taskArn"));
    CHECK_TEXT(text_at(item(&w, "failures", 0), "reason"), "TASK_NOT_VALID");
}

TEST(bad_protection_requests_are_refused)
{
    cleanup(world_done) struct world w;
    cleanup(strbuf_done) struct strbuf many = {0};

    prepare_service(&w);
    world_refuse(&w, "UpdateTaskProtection",
                 "{'cluster':'x','tasks':['t'],'protectionEnabled':true}",
                 "ClusterNotFoundException", "Cluster not found.");
    world_refuse(&w, "GetTaskProtection", "{'cluster':'x'}", "ClusterNotFoundException",
                 "Cluster not found.");
    world_refuse(&w, "UpdateTaskProtection", "{'tasks':['t'],'protectionEnabled':true}",
                 "InvalidParameterException", "'cluster'");
    world_refuse(&w, "GetTaskProtection", "{}", "InvalidParameterException", "'cluster'");
    world_refuse(&w, "UpdateTaskProtection", "{'cluster':'c','tasks':['t']}",
                 "InvalidParameterException", "'protectionEnabled'");
    world_refuse(&w, "UpdateTaskProtection", "{'cluster':'c','tasks':[],'protectionEnabled':true}",
                 "InvalidParameterException", "Tasks cannot be empty.");
    world_refuse(&w, "UpdateTaskProtection",
                 "{'cluster':'c','tasks':['t'],'protectionEnabled':true,'expiresInMinutes':0}",
                 "InvalidParameterException", "greater than or equal to 1");
    world_refuse(&w, "UpdateTaskProtection",
                 "{'cluster':'c','tasks':['t'],'protectionEnabled':true,'expiresInMinutes':2881}",
                 "InvalidParameterException", "less than or equal to 2880");
    world_refuse(&w, "UpdateTaskProtection",
                 "{'cluster':'c','tasks':['t'],'protectionEnabled':false,'expiresInMinutes':5}",
                 "InvalidParameterException", "only be given with protectionEnabled true");
    strbuf_add_cstr(&many, "{'cluster':'c','protectionEnabled':true,'tasks':['t'");
    for (int i = 0; i < 10; i++)
        strbuf_add_cstr(&many, ",'t'");
    strbuf_add_cstr(&many, "]}");
    world_refuse(&w, "UpdateTaskProtection", strbuf_cstr(&many), "InvalidParameterException",
                 "at most 10 items");
    strbuf_clear(&many);
    strbuf_add_cstr(&many, "{'cluster':'c','tasks':['t'");
    for (int i = 0; i < 100; i++)
        strbuf_add_cstr(&many, ",'t'");
    strbuf_add_cstr(&many, "]}");
    world_refuse(&w, "GetTaskProtection", strbuf_cstr(&many), "InvalidParameterException",
                 "at most 100 items");
}
