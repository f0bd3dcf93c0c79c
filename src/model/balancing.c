/* SPDX-License-Identifier: MIT */
#include "model/balancing.h"
#include "model/row.h"

#define TARGETS_MAX 1000 /* a target group (alb.md A2) */

static const struct row_field load_balancer_fields[] = {
    TEXT_FIELD(struct load_balancer, arn),         TEXT_FIELD(struct load_balancer, name),
    TEXT_FIELD(struct load_balancer, dns_name),    TEXT_FIELD(struct load_balancer, region),
    BOOL_FIELD(struct load_balancer, is_internal), I64_FIELD(struct load_balancer, created_at_ms),
    JSON_FIELD(struct load_balancer, doc),         JSON_FIELD(struct load_balancer, attributes),
    JSON_FIELD(struct load_balancer, tags),        FIELDS_END,
};

static const struct row_field listener_fields[] = {
    TEXT_FIELD(struct listener, arn),
    TEXT_FIELD(struct listener, load_balancer_arn),
    INT_FIELD(struct listener, port),
    TEXT_FIELD(struct listener, protocol),
    TEXT_FIELD(struct listener, ssl_policy),
    JSON_FIELD(struct listener, certificates),
    JSON_FIELD(struct listener, mutual),
    JSON_FIELD(struct listener, actions),
    JSON_FIELD(struct listener, attributes),
    I64_FIELD(struct listener, generation),
    JSON_FIELD(struct listener, tags),
    FIELDS_END,
};

static const struct row_field rule_fields[] = {
    TEXT_FIELD(struct rule, arn),        TEXT_FIELD(struct rule, listener_arn),
    INT_FIELD(struct rule, priority),    JSON_FIELD(struct rule, conditions),
    JSON_FIELD(struct rule, actions),    JSON_FIELD(struct rule, transforms), JSON_FIELD(struct rule, tags),
    FIELDS_END,
};

static const struct row_field check_fields[] = {
    BOOL_FIELD(struct health_check, enabled),
    TEXT_FIELD(struct health_check, protocol),
    INT_FIELD(struct health_check, port),
    TEXT_FIELD(struct health_check, path),
    INT_FIELD(struct health_check, interval_s),
    INT_FIELD(struct health_check, timeout_s),
    INT_FIELD(struct health_check, healthy_threshold),
    INT_FIELD(struct health_check, unhealthy_threshold),
    TEXT_FIELD(struct health_check, matcher),
    FIELDS_END,
};

static const struct row_field target_fields[] = {
    TEXT_FIELD(struct target, id),
    INT_FIELD(struct target, port),
    TEXT_FIELD(struct target, zone),
    I64_FIELD(struct target, registration),
    ENUM_FIELD(struct target, state, target_state),
    TEXT_FIELD(struct target, reason),
    TEXT_FIELD(struct target, description),
    I64_FIELD(struct target, registered_at_ms),
    I64_FIELD(struct target, draining_since_ms),
    FIELDS_END,
};

static const struct row_field target_group_fields[] = {
    TEXT_FIELD(struct target_group, arn),
    TEXT_FIELD(struct target_group, name),
    TEXT_FIELD(struct target_group, id),
    TEXT_FIELD(struct target_group, region),
    TEXT_FIELD(struct target_group, protocol),
    TEXT_FIELD(struct target_group, protocol_version),
    INT_FIELD(struct target_group, port),
    ENUM_FIELD(struct target_group, target_type, target_type),
    INT_FIELD(struct target_group, deregistration_delay_s),
    TEXT_FIELD(struct target_group, algorithm),
    I64_FIELD(struct target_group, registrations),
    JSON_FIELD(struct target_group, doc),
    JSON_FIELD(struct target_group, attributes),
    JSON_FIELD(struct target_group, tags),
    FIELDS_END,
};

void
load_balancer_free(struct load_balancer *lb)
{
    if (lb == NULL)
        return;
    row_free_documents(load_balancer_fields, lb);
    free(lb);
}

struct json *
load_balancer_encode(const struct load_balancer *lb)
{
    return row_encode(load_balancer_fields, lb);
}

struct load_balancer *
load_balancer_decode(const struct json *row, struct err *err)
{
    return row_decode_new(load_balancer_fields, row, sizeof(struct load_balancer), err);
}

void
listener_free(struct listener *l)
{
    if (l == NULL)
        return;
    row_free_documents(listener_fields, l);
    free(l);
}

struct json *
listener_encode(const struct listener *l)
{
    return row_encode(listener_fields, l);
}

struct listener *
listener_decode(const struct json *row, struct err *err)
{
    return row_decode_new(listener_fields, row, sizeof(struct listener), err);
}

void
rule_free(struct rule *r)
{
    if (r == NULL)
        return;
    row_free_documents(rule_fields, r);
    free(r);
}

struct json *
rule_encode(const struct rule *r)
{
    return row_encode(rule_fields, r);
}

struct rule *
rule_decode(const struct json *row, struct err *err)
{
    return row_decode_new(rule_fields, row, sizeof(struct rule), err);
}

void
target_group_free(struct target_group *tg)
{
    if (tg == NULL)
        return;
    while (tg->targets != NULL) {
        struct target *t = tg->targets;
        tg->targets = t->next;
        free(t);
    }
    row_free_documents(target_group_fields, tg);
    free(tg);
}

struct target *
target_group_find(const struct target_group *tg, const char *id, int port)
{
    for (struct target *t = tg->targets; t != NULL; t = t->next) {
        if (t->port == port && strcmp(t->id, id) == 0)
            return t;
    }
    return NULL;
}

struct json *
target_group_encode(const struct target_group *tg)
{
    struct json *row = row_encode(target_group_fields, tg);
    struct json *targets = json_array();

    for (const struct target *t = tg->targets; t != NULL; t = t->next)
        json_append(targets, row_encode(target_fields, t));
    json_set(row, "check", row_encode(check_fields, &tg->check));
    json_set(row, "targets", targets);
    return row;
}

static bool
decode_targets(struct target_group *tg, const struct json *targets, struct err *err)
{
    struct target **end = &tg->targets;

    if (json_size(targets) > TARGETS_MAX)
        return err_set(err, ERR_INTERNAL, "a stored target group has more than %d targets",
                       TARGETS_MAX);
    for (size_t i = 0; i < json_size(targets); i++) {
        struct target *t =
            row_decode_new(target_fields, json_at(targets, i), sizeof(struct target), err);
        if (t == NULL)
            return false;
        *end = t;
        end = &t->next;
        tg->target_count++;
    }
    return true;
}

struct target_group *
target_group_decode(const struct json *row, struct err *err)
{
    struct target_group *tg =
        row_decode_new(target_group_fields, row, sizeof(struct target_group), err);

    if (tg == NULL)
        return NULL;
    if (!row_decode(check_fields, json_get(row, "check"), &tg->check, err) ||
        !decode_targets(tg, json_get(row, "targets"), err)) {
        target_group_free(tg);
        return NULL;
    }
    memcpy(tg->check.version, tg->protocol_version, sizeof(tg->check.version));
    return tg;
}

/* An action forwards to one group by TargetGroupArn, or to several by ForwardConfig; both may be
 * there and then say the same (alb.md A4). */
static bool
action_forwards_to(const struct json *action, const char *arn, int *weight_out)
{
    const struct json *groups = json_get(json_get(action, "ForwardConfig"), "TargetGroups");

    if (strcmp(json_get_cstr(action, "Type", ""), "forward") != 0)
        return false;
    for (size_t i = 0; i < json_size(groups); i++) {
        const struct json *tuple = json_at(groups, i);
        if (strcmp(json_get_cstr(tuple, "TargetGroupArn", ""), arn) == 0) {
            *weight_out = (int)json_get_i64(tuple, "Weight", 1);
            return true;
        }
    }
    if (strcmp(json_get_cstr(action, "TargetGroupArn", ""), arn) != 0)
        return false;
    *weight_out = 1;
    return true;
}

bool
actions_forward_to(const struct json *actions, const char *arn, int *weight_out)
{
    int weight = 0;

    for (size_t i = 0; i < json_size(actions); i++) {
        if (action_forwards_to(json_at(actions, i), arn, &weight)) {
            if (weight_out != NULL)
                *weight_out = weight;
            return true;
        }
    }
    return false;
}

bool
listener_forwards_to(const struct listener *l, const char *target_group_arn, int *weight_out)
{
    return actions_forward_to(l->actions, target_group_arn, weight_out);
}

bool
listener_has_certificate(const struct listener *l, const char *certificate_arn)
{
    return json_has_text(l->certificates, certificate_arn);
}

const char *
listener_trust_store(const struct listener *l)
{
    return json_get_cstr(l->mutual, "TrustStoreArn", "");
}

bool
rule_forwards_to(const struct rule *r, const char *target_group_arn)
{
    return actions_forward_to(r->actions, target_group_arn, NULL);
}
