/* SPDX-License-Identifier: MIT */
/* sample.h - what the sample application needs, made through the public APIs like anybody would.
 * Each function looks first and changes nothing that is there; `*made` counts what it made. */
#pragma once
#include "cli/cli.h"

struct sample {
    struct client *client;
    const char *sample_dir; /* of the application: Dockerfile, Jenkinsfile, task-definition.json */
    int listener_port;
    int made;
    char target_group_arn[1024];
    struct progress *progress;
};

#define SAMPLE_REPOSITORY "my-app"
#define SAMPLE_CLUSTER "my-cluster"
#define SAMPLE_LOAD_BALANCER "my-alb"
#define SAMPLE_TARGET_GROUP "my-targets"
#define SAMPLE_SERVICE "my-service"
#define SAMPLE_DESIRED_COUNT 2
#define SAMPLE_LISTENER_PORT 8080

bool sample_make_repository(struct sample *s, struct err *err) MUST_CHECK;
bool sample_make_cluster(struct sample *s, struct err *err) MUST_CHECK;
bool sample_make_load_balancer(struct sample *s,
                               struct err *err) MUST_CHECK; /* with target group and listener */
bool sample_has_image(struct sample *s, bool *out, struct err *err) MUST_CHECK;
bool sample_make_task_definition(struct sample *s, struct err *err) MUST_CHECK;
/* *deployment_arn (size 1024) is empty if the service was there. */
bool sample_make_service(struct sample *s, char *deployment_arn, struct err *err) MUST_CHECK;
