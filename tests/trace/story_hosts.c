/* SPDX-License-Identifier: MIT */
/* story_hosts.c - stories with several machines: they come and go, are drained, and take tasks. */
#include "story.h"

static struct json *
host_doc(const struct story_host *h)
{
    char text[256];

    snprintf(text, sizeof(text),
             "{\"attributes\":[{\"name\":\"ecs.availability-zone\",\"value\":\"%s\"},"
             "{\"name\":\"color\",\"value\":\"%s\"},"
             "{\"name\":\"naru.auto-scaling-group\",\"value\":\"%s\"}]}",
             h->zone == NULL ? "z" : h->zone, h->color == NULL ? "none" : h->color,
             h->zone == NULL ? "" : h->zone);
    return story_json(text);
}

static void
report(struct story *st, const struct story_host *host, bool is_connected, const struct json *doc)
{
    struct event ev = {.type = EVENT_INSTANCE_REPORT};
    char words[64];

    ev.instance_report.host = host->name;
    ev.instance_report.is_connected = is_connected;
    ev.instance_report.cpu_total = host->cpu;
    ev.instance_report.memory_total_mib = host->memory_mib;
    ev.instance_report.doc = doc;
    snprintf(words, sizeof(words), "%s %s", host->name, is_connected ? "connects" : "is lost");
    story_tell(st, &ev, words);
}

void
story_machine(struct story *st, const struct story_host *host, bool is_connected)
{
    cleanup_json struct json *doc = host_doc(host);

    report(st, host, is_connected, doc);
}

void
story_gpus(struct story *st, const char *host, const char *gpus)
{
    const struct story_host roomy = {.name = host};
    cleanup_json struct json *doc = host_doc(&roomy);
    struct str rest = str_of(gpus), gpu;
    struct json *list = json_array();

    while (rest.len > 0 && str_split(&rest, ' ', &gpu)) {
        cleanup_free char *id = str_dup(gpu);
        json_append(list, json_text(id));
    }
    json_set(doc, "gpus", list);
    report(st, &roomy, /* is_connected= */ true, doc);
}

struct container_instance *
story_instance(const struct story *st, const char *host)
{
    for (struct container_instance *i = st->core->instances; i != NULL; i = i->next) {
        if (strcmp(i->host, host) == 0)
            return i;
    }
    return NULL;
}

void
story_status(struct story *st, const char *host, enum instance_status status)
{
    struct event ev = {.type = EVENT_INSTANCE_STATUS};
    char words[64];

    ev.instance_status.arn = story_instance(st, host)->arn;
    ev.instance_status.status = status;
    snprintf(words, sizeof(words), "%s %s", host, instance_status_name(status));
    story_tell(st, &ev, words);
}

void
story_color(struct story *st, const char *host, const char *color)
{
    struct event ev = {.type = EVENT_INSTANCE_ATTRIBUTES};
    char text[128];
    cleanup_json struct json *custom = NULL;

    snprintf(text, sizeof(text), "[{\"name\":\"color\",\"value\":\"%s\"}]", color);
    custom = story_json(text);
    ev.instance_attributes.arn = story_instance(st, host)->arn;
    ev.instance_attributes.custom = custom;
    snprintf(text, sizeof(text), "%s is %s", host, color);
    story_tell(st, &ev, text);
}

void
story_run(struct story *st, int count, const char *instance_host, const char *rules_text)
{
    struct event ev = {.type = EVENT_TASK_RUN};
    cleanup_json struct json *doc = rules_text == NULL ? NULL : story_json(rules_text);
    cleanup(placement_rules_done) struct placement_rules rules = {0};
    struct err err;

    if (!placement_rules_read(json_get(doc, "placementStrategy"), json_get(doc, "placementConstraints"),
                              &rules, &err))
        check_fail(__FILE__, __LINE__, "%s", err.message);
    ev.task_run.cluster_arn = st->cluster;
    ev.task_run.task_definition_arn = st->definitions[0];
    ev.task_run.count = count;
    ev.task_run.launch_type = LAUNCH_EC2;
    ev.task_run.rules = &rules;
    if (instance_host != NULL)
        ev.task_run.instance_arn = story_instance(st, instance_host)->arn;
    story_tell(st, &ev, "run");
}

const char *
story_place(const struct story *st, int task)
{
    const struct container_instance *i = core_instance(st->core, story_task(st, task)->instance_arn);

    return i == NULL ? "nowhere" : i->host;
}
