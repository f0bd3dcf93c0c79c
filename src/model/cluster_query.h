/* SPDX-License-Identifier: MIT */
/* cluster_query.h - the cluster query language (ecs.md 7.4): which container instances are meant.
 * It is the filter of ListContainerInstances and the expression of memberOf constraints.
 *
 *   expression := subject operator [argument] | expression and expression | expression or expression
 *               | not expression | ( expression )
 *   subject    := agentConnected | agentVersion | attribute:NAME | ec2InstanceId | registeredAt
 *               | runningTasksCount | task:group
 *
 * 'not' binds tighter than 'and', 'and' tighter than 'or'; && || ! are the same words.  Operators: ==
 * != > >= < <= exists !exists in !in =~ !~ and their names (equals, not_equals, greater_than, ...).
 * An argument is a word, a text in quotes, or a list [a, b] for `in`.
 * Where the language leaves it open: the operator with '!' is true exactly where the one without is
 * not, so `attribute:x != y` holds for an instance without x; order on an attribute compares numbers,
 * and one that is no number is in no order; task:group holds if any task of the instance fits.
 * Errors: ERR_INVALID_PARAMETER, naming the place.  Pure; ownership: cluster_query_free(). */
#pragma once
#include "base/err.h"
#include "base/str.h"

#define CLUSTER_QUERY_LENGTH_MAX 2000
#define CLUSTER_QUERY_DEPTH_MAX 50
#define CLUSTER_QUERY_LIST_MAX 100 /* items of one `in [...]` */

struct cluster_query;

/* What is asked about one instance.  The functions are called with `ctx`. */
struct query_instance {
    bool is_connected;
    const char *agent_version;   /* "1.50.0" */
    const char *ec2_instance_id;
    int64_t registered_at_ms;
    int running_tasks;
    const void *ctx;
    /* False if it has no attribute of that name; the value is empty if the attribute has none. */
    bool (*attribute)(const void *ctx, struct str name, struct str *value_out);
    /* The group of its task number `index` (from 0), or NULL behind the last. */
    const char *(*task_group)(const void *ctx, int index);
};

struct cluster_query *cluster_query_parse(struct str text, struct err *err) MUST_CHECK;
bool cluster_query_matches(const struct cluster_query *q, const struct query_instance *instance);
/* Asks for attributes of the instance only, so that those with the same ones have one answer. */
bool cluster_query_is_of_attributes(const struct cluster_query *q);
void cluster_query_free(struct cluster_query *q); /* NULL is fine */
