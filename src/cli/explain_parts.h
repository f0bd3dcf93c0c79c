/* SPDX-License-Identifier: MIT */
/* explain_parts.h - what `naru explain` is made of: tasks, changes, service deployments.
 * Ownership: functions that give text or JSON give a new one. */
#pragma once
#include "cli/cli.h"

/* What an explanation is asked for, and how. */
struct explain {
    const char *name, *cluster, *data_dir, *output;
    int64_t lines; /* of each container's log */
    bool wants_json;
    struct client *client;
    struct json *out;
};

/* `task` is one of DescribeTasks with include POSTMORTEM. */
char *explain_task_story(const struct json *task); /* one sentence */
void explain_print_containers(const struct json *task);
void explain_print_evidence(const struct json *postmortem);
/* The last lines of its containers, each as "container: line": from its logs, or what is kept of
 * them. */
struct json *explain_log(const char *data_dir, const char *task_id, int64_t lines);

struct explain_versions {
    const char *definition_before, *definition; /* ARNs of task definitions */
    const char *revision_before, *revision;     /* and of service revisions, for their digests */
};
/* [{"member", "before", "now"}] */
struct json *explain_changes(struct client *client, const struct explain_versions *v);
void explain_print_changes(const struct json *changes, const char *since);

/* Is `x->name` a service, or a service deployment?  Then it is told, or *err says why not; else
 * nothing is done.  False on errors. */
bool explain_deployment(struct explain *x, bool *is_one, struct err *err);
