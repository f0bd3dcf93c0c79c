/* SPDX-License-Identifier: MIT */
/* ecs_service_input.h - from the inputs of CreateService, UpdateService, CreateTaskSet and RunTask
 * to what the core takes. Everything that naru does not build is refused here by name
 * (service_check_built()). Ownership: documents made are the caller's; workload_done() and
 * config_done() free theirs. */
#pragma once
#include "api/operations.h"

/* What runs: the parts of a service revision, and of a task run by hand. */
struct workload {
    const struct task_definition *definition;
    enum launch_type launch_type;
    struct service_load_balancer load_balancers[LOAD_BALANCERS_MAX];
    int load_balancer_count;
    struct json *doc; /* networkConfiguration, platformVersion, platformFamily, capacityProviderStrategy */
};
void workload_done(struct workload *w);

/* Reads them from the input; `old` (may be NULL) gives what the input leaves out.  Then checks that
 * they go together: network mode and configuration, launch type, container, port, target group. */
bool workload_read(const struct request *rq, const struct cluster *cluster,
                   const struct revision *old, struct workload *out, struct err *err) MUST_CHECK;
bool workload_equal(const struct workload *w, const struct revision *old);
/* What makes two calls that create the same: the input without the token and what says where, the
 * definition by its ARN. */
struct json *workload_request(const struct json *input, const struct workload *w);

/* placementStrategy and placementConstraints of the input; both are for instances only. */
bool placement_read(const struct json *input, enum launch_type launch_type,
                    struct placement_rules *out, struct err *err) MUST_CHECK;

/* What does not go with schedulingStrategy DAEMON, of a new service or (`w` may be NULL) an old one. */
bool daemon_check(const struct json *input, const struct workload *w, struct err *err) MUST_CHECK;
extern const struct deployment_config daemon_defaults; /* for config_read(), as what was before */

/* Members of the input that name features without an implementation. */
bool service_check_built(const struct json *input, struct err *err) MUST_CHECK;

/* `given` (may be NULL) over `old` (NULL: the defaults), member by member (ecs.md 2.2). */
bool config_read(const struct json *given, const struct deployment_config *old,
                 struct deployment_config *out, struct err *err) MUST_CHECK;
void config_done(struct deployment_config *config);
