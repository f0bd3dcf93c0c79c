/* SPDX-License-Identifier: MIT */
/* What is said of deployments and services that do not get where they were told to. */
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

/* Item `at` of the list `key` of the last answer. */
static const struct json *
item(const struct world *w, const char *key, size_t at)
{
    return json_at(json_get(w->answer, key), at);
}

/* ---- why nothing runs ---- */

static const struct json *
wait_of(struct world *w)
{
    world_call(w, "DescribeServices", "{'cluster':'c','services':['s'],'include':['WAIT']}");
    return json_get(item(w, "services", 0), "wait");
}

TEST(a_service_says_what_it_waits_for_if_it_is_asked)
{
    cleanup(world_done) struct world w;
    const struct json *wait;

    prepare(&w);
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
             w.core->services->launch_after_ms);
    world_call(&w, "DescribeServices", "{'cluster':'c','services':['s']}");
    CHECK(json_get(item(&w, "services", 0), "wait") == NULL); /* only who asks gets it */
    w.tasks_crash = false;
    world_wait(&w, 60000);
    CHECK(wait_of(&w) == NULL);
}
