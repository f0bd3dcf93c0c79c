/* SPDX-License-Identifier: MIT */
#include "api/elbv2.h"

#include <arpa/inet.h>
#include <stdio.h>

/* ---- RegisterTargets, DeregisterTargets ---- */

/* Not "this" network, which HAProxy takes for the address that its client asked for, multicast or reserved. */
static bool
is_of_one_machine(uint32_t address)
{
    return address >> 24 != 0 && address >> 24 < 224;
}

static bool
check_zone(const struct request *rq, const struct target_group *tg, const char *zone, struct err *err)
{
    const size_t len = strlen(rq->region);

    if (zone[0] == '\0')
        return true;
    if (tg->target_type == TARGET_TYPE_instance)
        return err_set(err, ERR_ELB_VALIDATION, "You cannot specify an Availability Zone for targets of type 'instance'");
    return strcmp(zone, "all") == 0 ||
           (strncmp(zone, rq->region, len) == 0 && zone[len] >= 'a' && zone[len] <= 'z' && zone[len + 1] == '\0') ||
           err_set(err, ERR_ELB_VALIDATION, "The Availability Zone '%s' is not valid", zone);
}

static bool
check_target(const struct request *rq, const struct target_group *tg, const struct target *t, struct err *err)
{
    struct in_addr address;

    if (t->id[0] == '\0')
        return err_set(err, ERR_ELB_VALIDATION, "A target id must be specified");
    if (!check_zone(rq, tg, t->zone, err))
        return false;
    if (tg->target_type == TARGET_TYPE_ip) {
        if (inet_pton(AF_INET, t->id, &address) != 1)
            return err_set(err, ERR_ELB_VALIDATION, "The IP address '%s' is not a valid IPv4 address", t->id);
        return is_of_one_machine(ntohl(address.s_addr)) ||
               err_set(err, ERR_ELB_VALIDATION, "The IP address '%s' is not one of a machine", t->id);
    }
    for (const struct container_instance *i = rq->core->instances; i != NULL; i = i->next)
        if (strcmp(i->id, t->id) == 0)
            return true;
    return err_set(err, ERR_INVALID_TARGET, "The following targets are not in a running state and cannot be registered: '%s'",
                   t->id);
}

/* The request's targets; in the request's arena. `default_port` 0: none was given means every port. */
static bool
read_targets(const struct request *rq, int default_port, struct target **out, int *count_out, struct err *err)
{
    const struct json *list = json_get(rq->input, "Targets");
    const size_t count = json_size(list);
    struct target *targets = arena_alloc(rq->arena, sizeof(*targets) * (count + 1));

    if (count == 0)
        return err_set(err, ERR_ELB_VALIDATION, "At least one target must be specified");
    if (count > TARGETS_PER_GROUP)
        return err_set(err, ERR_TOO_MANY_TARGETS, "At most %d targets can be given", TARGETS_PER_GROUP);
    for (size_t i = 0; i < count; i++) {
        const int64_t port = json_get_i64(json_at(list, i), "Port", default_port);

        if (!text_copy(targets[i].id, sizeof(targets[i].id), str_of(json_get_cstr(json_at(list, i), "Id", ""))))
            return err_set(err, ERR_ELB_VALIDATION, "A target id is longer than %d characters", ADDRESS_SIZE - 1);
        if (!text_copy(targets[i].zone, sizeof(targets[i].zone),
                       str_of(json_get_cstr(json_at(list, i), "AvailabilityZone", ""))))
            return err_set(err, ERR_ELB_VALIDATION, "The name of an Availability Zone is too long");
        if (port < 0 || port > 65535)
            return err_set(err, ERR_ELB_VALIDATION, "Port '%lld' must be in the range from 1 to 65535", (long long)port);
        targets[i].port = (int)port;
    }
    *out = targets;
    *count_out = (int)count;
    return true;
}

bool
elb_register_targets(struct request *rq, struct json *out, struct err *err)
{
    const char *arn = json_get_cstr(rq->input, "TargetGroupArn", "");
    const struct target_group *tg = elb_find_target_group(rq, arn, err);
    const struct load_balancer *lb;
    struct event event = {.type = EVENT_TARGETS_CHANGE};
    struct target *targets;
    int count, total;

    if (tg == NULL || !read_targets(rq, tg->port, &targets, &count, err))
        return false;
    total = tg->target_count;
    for (int i = 0; i < count; i++) {
        if (!check_target(rq, tg, &targets[i], err))
            return false;
        total += target_group_find(tg, targets[i].id, targets[i].port) == NULL;
    }
    if (total > TARGETS_PER_GROUP)
        return err_set(err, ERR_TOO_MANY_TARGETS, "The limit of %d targets a target group would be exceeded",
                       TARGETS_PER_GROUP);
    lb = total > tg->target_count ? target_group_load_balancer(rq->core, arn) : NULL;
    if (lb != NULL &&
        elb_targets_of(rq, lb->arn) + total - tg->target_count > TARGETS_PER_LOAD_BALANCER)
        return err_set(err, ERR_TOO_MANY_TARGETS,
                       "The limit of %d targets a load balancer would be exceeded",
                       TARGETS_PER_LOAD_BALANCER);
    event.targets_change = (struct ev_targets_change){arn, true, targets, count};
    request_step(rq, &event);
    return true;
}

bool
elb_deregister_targets(struct request *rq, struct json *out, struct err *err)
{
    const char *arn = json_get_cstr(rq->input, "TargetGroupArn", "");
    struct event event = {.type = EVENT_TARGETS_CHANGE};
    struct target *targets;
    int count;

    if (elb_find_target_group(rq, arn, err) == NULL || !read_targets(rq, 0, &targets, &count, err))
        return false;
    event.targets_change = (struct ev_targets_change){arn, false, targets, count};
    request_step(rq, &event);
    return true;
}

/* ---- DescribeTargetHealth ---- */

static struct json *
health_json(const char *state, const char *reason, const char *description)
{
    struct json *health = json_object();

    json_set(health, "State", json_text(state));
    if (reason[0] != '\0')
        json_set(health, "Reason", json_text(reason));
    if (description[0] != '\0')
        json_set(health, "Description", json_text(description));
    return health;
}

static struct json *
entry_json(const struct target_group *tg, const char *id, int port, const char *zone, struct json *health)
{
    struct json *entry = json_object(), *target = json_object();
    char check_port[16];

    snprintf(check_port, sizeof(check_port), "%d", tg->check.port != 0 ? tg->check.port : port);
    json_set(target, "Id", json_text(id));
    json_set(target, "Port", json_int(port));
    if (zone[0] != '\0')
        json_set(target, "AvailabilityZone", json_text(zone));
    json_set(entry, "Target", target);
    json_set(entry, "HealthCheckPort", json_text(check_port));
    json_set(entry, "TargetHealth", health);
    return entry;
}

/* Who registers an instance names a machine; with that gone, nothing answers for it. */
static bool
is_stopped(const struct request *rq, const struct target_group *tg, const struct target *t)
{
    if (tg->target_type != TARGET_TYPE_instance)
        return false;
    for (const struct container_instance *i = rq->core->instances; i != NULL; i = i->next)
        if (strcmp(i->id, t->id) == 0)
            return false;
    return true;
}

/* Overrides come of zonal shifts, which there are none of. */
static struct json *
override_json(void)
{
    struct json *none = json_object();

    json_set(none, "State", json_text("no_override"));
    json_set(none, "Reason", json_text("AdministrativeOverride.NoOverride"));
    json_set(none, "Description", json_text("No override is currently active on target"));
    return none;
}

/* The texts of alb.md A6. */
static struct json *
target_json(const struct request *rq, const struct target_group *tg, const struct target *t)
{
    struct json *health, *entry;

    if (t->draining_since_ms != 0)
        health = health_json("draining", "Target.DeregistrationInProgress", "Target deregistration is in progress");
    else if (is_stopped(rq, tg, t))
        health = health_json("unused", "Target.InvalidState", "Target is in the stopped state");
    else if (!core_target_group_in_use(rq->core, tg->arn))
        health = health_json("unused", "Target.NotInUse",
                             "Target group is not configured to receive traffic from the load balancer");
    else
        health = health_json(target_state_name(t->state), t->reason, t->description);
    entry = entry_json(tg, t->id, t->port, t->zone, health);
    json_set(entry, "AdministrativeOverride", override_json());
    return entry;
}

bool
elb_describe_target_health(struct request *rq, struct json *out, struct err *err)
{
    const struct target_group *tg =
        elb_find_target_group(rq, json_get_cstr(rq->input, "TargetGroupArn", ""), err);
    const struct json *asked = json_get(rq->input, "Targets");
    cleanup_json struct json *all = json_array();
    struct target *targets;
    int count = 0;

    if (tg != NULL && json_size(json_get(rq->input, "Include")) > 0)
        return err_set(err, ERR_INVALID_CONFIGURATION,
                       "Anomaly detection is not built in naru; describe target health without Include");
    if (tg == NULL || (json_size(asked) > 0 && !read_targets(rq, tg->port, &targets, &count, err)))
        return false;
    for (int i = 0; i < count; i++) {
        const struct target *t = target_group_find(tg, targets[i].id, targets[i].port);

        json_append(all, t != NULL ? target_json(rq, tg, t)
                                   : entry_json(tg, targets[i].id, targets[i].port, targets[i].zone,
                                                health_json("unused", "Target.NotRegistered",
                                                            "Target is not registered to the target group")));
    }
    for (const struct target *t = tg->targets; t != NULL && count == 0; t = t->next)
        json_append(all, target_json(rq, tg, t));
    json_set(out, "TargetHealthDescriptions", TAKE(all));
    return true;
}
