/* SPDX-License-Identifier: MIT */
/* follow.h - finds services, and follows one service deployment to its own verdict.
 * The verdict is that of the deployment asked for, never "the service is stable again" (DESIGN
 * promise 5): after a rollback, a stable service runs something else. */
#pragma once
#include "cli/cli.h"

/* Where a service is. ERR_SERVICE_NOT_FOUND if nowhere; ERR_USAGE if in several clusters. `cluster`
 * may be NULL. */
bool service_locate(struct client *client, const char *cluster, const char *service,
                    char *cluster_out, size_t cluster_size, struct json **service_out,
                    struct err *err) MUST_CHECK;
/* The ARNs of all clusters of the region. */
struct json *clusters_list(struct client *client, struct err *err) MUST_CHECK;
/* DescribeServices of one ACTIVE service. */
struct json *service_describe(struct client *client, const char *cluster, const char *service,
                              struct err *err) MUST_CHECK;
/* Has it deployments of naru's?  ERR_USAGE with the controller EXTERNAL. */
bool service_check_controller(const struct json *service, struct err *err) MUST_CHECK;
struct json *task_definition_describe(struct client *client, const char *name,
                                      struct err *err) MUST_CHECK;

/* [DescribeServiceDeployments].serviceDeployments[0] */
struct json *service_deployment_describe(struct client *client, const char *arn,
                                         struct err *err) MUST_CHECK;

/* A service event for people: the texts are ECS's own, and a whole target group's ARN in the middle
 * of a line is not for reading. The caller frees. */
char *event_without_arns(const char *text);

struct follow {
    struct client *client;
    const char *cluster, *service;
    const char *deployment_arn;
    const struct json
        *before; /* the service before the update: its events are old news; may be NULL */
    int64_t timeout_ms;
    bool is_rollback;          /* then a successful rollback is what was wanted */
    bool is_quiet;             /* no lines: the caller prints JSON */
    struct progress *progress; /* the caller's clock; NULL: it starts now */
    char verdict[32];          /* out: "live", "rolled back", ... */
    char reason[512];
    char cause[512]; /* out: why the newest task of what failed stopped; "" if it is not known */
};
/* Prints a line per state change; gives an exit code of promise 5. */
int follow_deployment(struct follow *f);
