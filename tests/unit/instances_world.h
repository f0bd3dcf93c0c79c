/* SPDX-License-Identifier: MIT */
/* instances_world.h - an API world (api_world.h) of three machines, "here", "two" and "three", with a cluster "c"
 * and a task definition "web". */
#pragma once
#include "api_world.h"

#define DEFINITION                                                                                 \
    "{'family':'web','containerDefinitions':[{'name':'app','image':'localhost:4566/web:1',"          \
    "'cpu':100,'memory':64}]}"

UNUSED static void
add_host(struct world *w, const char *name, bool is_connected, int cpu)
{
    char text[512];
    struct err err;
    cleanup_json struct json *doc = NULL;

    snprintf(text, sizeof(text),
             "{\"versionInfo\":{\"agentVersion\":\"1.2.3\"},\"attributes\":[{\"name\":\"ecs.os-type\","
             "\"value\":\"linux\"},{\"name\":\"ecs.availability-zone\",\"value\":\"zone-%s\"},"
             "{\"name\":\"ecs.capability.task-eni\"}]}", name);
    doc = json_parse(str_of(text), &err);
    CHECK(doc != NULL);
    world_step(w, &(struct event){.type = EVENT_INSTANCE_REPORT,
                                  .instance_report = {.host = name, .is_connected = is_connected,
                                                      .cpu_total = cpu, .memory_total_mib = 8192,
                                                      .doc = doc}});
}

/* "here" of world_init(), and two more with attributes. */
UNUSED static void
prepare(struct world *w)
{
    world_init(w);
    add_host(w, "two", true, 1000);
    add_host(w, "three", true, 1000);
    world_call(w, "CreateCluster", "{'clusterName':'c'}");
    world_call(w, "RegisterTaskDefinition", "%s", DEFINITION);
}

UNUSED static const struct container_instance *
instance(const struct world *w, const char *host)
{
    for (const struct container_instance *i = w->core->instances; i != NULL; i = i->next) {
        if (strcmp(i->host, host) == 0)
            return i;
    }
    check_fail(__FILE__, __LINE__, "no instance %s", host);
}

UNUSED static const struct json *
first(const struct json *answer, const char *list)
{
    return json_at(json_get(answer, list), 0);
}

UNUSED static const struct json *
describe(struct world *w, const char *host, const char *include)
{
    return first(world_call(w, "DescribeContainerInstances",
                            "{'cluster':'c','containerInstances':['%s'],'include':[%s]}",
                            instance(w, host)->id, include), "containerInstances");
}

UNUSED static const struct json *
named(const struct json *list, const char *name)
{
    return json_find(list, "name", name);
}
