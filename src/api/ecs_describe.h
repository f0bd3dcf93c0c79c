/* SPDX-License-Identifier: MIT */
/* ecs_describe.h - what the ECS handlers share: finding what a request names, tags, pages, and the
 * one writer of each resource's wire form (ecs.md 14, 5.14).
 * Errors: lookups fail with the exception that clients expect (ecs.md 10.2).
 * Ownership: writers give a new object; parts of it may be shared with the core's own documents,
 * which nobody changes. */
#pragma once
#include "api/operations.h"

/* ---- finding ---- */
/* Within the request's region, in any state; NULL: not there. */
struct cluster *ecs_cluster_named(const struct request *rq, const char *name_or_arn);
struct task_definition *ecs_definition_named(const struct request *rq, const char *name_or_arn);
/* The request's "cluster" (name or ARN, default "default"); only an ACTIVE one exists. */
struct cluster *ecs_find_cluster(const struct request *rq, struct err *err);
/* The request's "service" within the cluster; also DRAINING and INACTIVE ones. */
struct service *ecs_find_service(const struct request *rq, const struct cluster *cluster,
                                 const char *name_or_arn, struct err *err);
/* A definition that may be started: ACTIVE.  `name` is family, family:revision or ARN. */
struct task_definition *ecs_find_usable_definition(const struct request *rq, const char *name,
                                                   struct err *err);
struct container_instance *ecs_find_instance(const struct request *rq, const struct cluster *cluster,
                                             const char *id_or_arn); /* NULL: not there */
bool ecs_includes(const struct request *rq, const char *field); /* in the member "include" */
/* A list of 1 to `max` identifiers of sane length; `empty_text` says that it has none. */
bool ecs_check_list(const struct request *rq, const char *member, size_t max, const char *empty_text,
                    struct err *err);
/* Is what an ARN names in this cluster?  Of one identifier, of each in a list of the input. */
bool ecs_check_owner(const struct cluster *cluster, const char *name_or_arn, struct err *err);
bool ecs_check_owners(const struct request *rq, const struct cluster *cluster, const char *member,
                      struct err *err);

/* ---- tags ---- */
bool ecs_check_tags(const struct json *tags, struct err *err); /* NULL is fine */
/* A list of at most 50, those of `added` replacing those of the same key; both may be NULL. */
struct json *ecs_merge_tags(const struct json *old, const struct json *added);
struct json *ecs_tags_or_empty(const struct json *tags);

/* ---- pages ---- */
/* Items are sorted by key; a token names the last key given, so that what comes or goes between two
 * pages neither repeats nor hides the rest. */
struct ecs_page {
    struct ecs_page_item {
        char *key;
        struct json *value;
    } *at;
    size_t count, capacity;
};
void ecs_page_add(struct ecs_page *page, struct json *value, const char *format, ...)
    PRINTF_LIKE(3, 4);
/* Writes one page as `member` of `out`, and "nextToken" if there is more. */
bool ecs_page_write(struct ecs_page *page, const struct request *rq, const char *member,
                    size_t default_size, bool descending, struct json *out, struct err *err);
void ecs_page_done(struct ecs_page *page);

/* ---- writing ---- */
/* An empty text and a time of 0 are absent. */
static inline void
ecs_set_text(struct json *o, const char *key, const char *text)
{
    if (text[0] != '\0')
        json_set(o, key, json_text(text));
}

static inline void
ecs_set_time(const struct request *rq, struct json *o, const char *key, int64_t ms)
{
    if (ms != 0)
        json_set(o, key, aws_time(rq, ms));
}

struct json *ecs_failure(const char *arn, const char *reason);
/* The ARN that what is missing would have: an ARN given stands for itself.  `kind` is "task", ... */
struct json *ecs_failure_missing(const struct request *rq, const struct cluster *cluster,
                                 const char *kind, const char *name);
struct json *ecs_describe_cluster(const struct request *rq, const struct cluster *cluster);
struct json *ecs_describe_instance(const struct request *rq, const struct container_instance *instance);
struct json *ecs_describe_definition(const struct request *rq, const struct task_definition *td);
struct json *ecs_describe_service(const struct request *rq, const struct service *service, bool with_tags);
/* Ours: why tasks of it are missing, and when they are tried next (include WAIT); NULL: none are. */
struct json *ecs_service_wait(const struct request *rq, const struct service *service);
struct json *ecs_describe_task(const struct request *rq, const struct task *task, bool with_tags);
/* Its own and what it has from its service or task definition, as DescribeTasks shows them. */
struct json *ecs_task_tags(const struct request *rq, const struct task *task);
/* Ours: what is known beside the task's own members about why it ended (include POSTMORTEM). */
struct json *ecs_postmortem(const struct request *rq, const struct task *task);
struct json *ecs_describe_service_deployment(const struct request *rq, const struct service *service,
                                             const struct service_deployment *sd);
struct json *ecs_describe_revision(const struct request *rq, const struct service *service,
                                   const struct revision *revision);
/* Stage and hooks of a service deployment; the share of the traffic that a revision of it has. */
void ecs_describe_course(const struct request *rq, const struct service *service,
                         const struct service_deployment *sd, struct json *out);
void ecs_describe_weights(const struct service *service, const struct service_deployment *sd,
                          const char *revision_arn, struct json *out);
/* The newest deployment's revision; also of an INACTIVE service. NULL if there never was one, or no task set
 * is the primary. */
const struct revision *ecs_current_revision(const struct service *service);
struct json *ecs_load_balancers(const struct revision *revision);
/* launchType or the strategy, platform, network: the same members in five places. */
void ecs_set_workload(struct json *o, const struct revision *revision);
