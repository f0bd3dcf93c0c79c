/* SPDX-License-Identifier: MIT */
/* elbv2_rule.c - rules of listeners.  The default rule is the listener's default action under an ARN of
 * its own; it is no row, and ModifyListener changes it. */
#include "api/elbv2.h"

#include <stdio.h>
#include "base/crypto.h"
#include "base/random.h"

#define DEFAULT_PRIORITY "default"

/* ---- names and finding ---- */

/* ".../listener/app/NAME/LB/L" -> ".../listener-rule/app/NAME/LB/L/RULE" */
static void
rule_arn(const char *listener_arn, const char *id, char out[static ARN_SIZE])
{
    const char *part = strstr(listener_arn, ":listener/");
    const int before = (int)(part - listener_arn);

    snprintf(out, ARN_SIZE, "%.*s:listener-rule/%s/%s", before, listener_arn, part + strlen(":listener/"), id);
}

/* The same for ever: made from the listener's. */
static void
default_rule_arn(const struct listener *l, char out[static ARN_SIZE])
{
    cleanup_free char *text = text_format("default rule of %s", l->arn);
    char digest[SHA256_HEX + 1];

    sha256_hex(str_of(text), digest);
    digest[16] = '\0';
    rule_arn(l->arn, digest, out);
}

struct listener *
elb_find_default_rule(const struct request *rq, const char *arn)
{
    const char *part = strstr(arn, ":listener-rule/"), *end = strrchr(arn, '/');
    char listener_arn[ARN_SIZE], of_listener[ARN_SIZE];
    struct listener *l;
    int len;

    if (part == NULL || !request_is_region_of(rq, arn))
        return NULL;
    part += strlen(":listener-rule/");
    if (end < part)
        return NULL;
    len = snprintf(listener_arn, sizeof(listener_arn), "%.*slistener/%.*s",
                   (int)(part - arn - (ptrdiff_t)strlen("listener-rule/")), arn, (int)(end - part), part);
    l = len < ARN_SIZE ? core_listener(rq->core, listener_arn) : NULL;
    if (l == NULL)
        return NULL;
    default_rule_arn(l, of_listener);
    return strcmp(of_listener, arn) == 0 ? l : NULL;
}

struct rule *
elb_find_rule(const struct request *rq, const char *arn, struct err *err)
{
    struct rule *r = request_is_region_of(rq, arn) ? core_rule(rq->core, arn) : NULL;

    if (r == NULL && !elb_arn_is_of(arn, "listener-rule/"))
        err_set(err, ERR_ELB_VALIDATION, "'%s' is not a valid listener rule ARN", arn);
    else if (r == NULL)
        err_set(err, ERR_RULE_NOT_FOUND, "One or more rules not found: '%s'", arn);
    return r;
}

/* A rule that may be changed. */
static struct rule *
find_own_rule(const struct request *rq, const char *arn, const char *what, struct err *err)
{
    if (elb_find_default_rule(rq, arn) != NULL) {
        err_set(err, ERR_OPERATION_NOT_PERMITTED, "Default rule '%s' cannot be %s", arn, what);
        return NULL;
    }
    return elb_find_rule(rq, arn, err);
}

static const struct rule *
rule_at(const struct request *rq, const char *listener_arn, int64_t priority)
{
    for (const struct rule *r = rq->core->rules; r != NULL; r = r->next)
        if (r->priority == priority && strcmp(r->listener_arn, listener_arn) == 0)
            return r;
    return NULL;
}

/* ---- describing ---- */

static struct json *
rule_json(const struct rule *r)
{
    struct json *o = json_object();
    char priority[16];

    snprintf(priority, sizeof(priority), "%d", r->priority);
    json_set(o, "RuleArn", json_text(r->arn));
    json_set(o, "Priority", json_text(priority));
    json_set(o, "Conditions", json_ref(r->conditions));
    json_set(o, "Actions", json_ref(r->actions));
    json_set(o, "IsDefault", json_bool(false));
    json_set(o, "Transforms", r->transforms != NULL ? json_ref(r->transforms) : json_array());
    return o;
}

static struct json *
default_rule_json(const struct listener *l)
{
    struct json *o = json_object();
    char arn[ARN_SIZE];

    default_rule_arn(l, arn);
    json_set(o, "RuleArn", json_text(arn));
    json_set(o, "Priority", json_text(DEFAULT_PRIORITY));
    json_set(o, "Conditions", json_array());
    json_set(o, "Actions", json_ref(l->actions));
    json_set(o, "IsDefault", json_bool(true));
    json_set(o, "Transforms", json_array());
    return o;
}

static int
compare_rules(const void *a, const void *b)
{
    return (*(const struct rule *const *)a)->priority - (*(const struct rule *const *)b)->priority;
}

/* One page of the listener's rules by priority, the default rule last.  The marker is the priority of the
 * last one given. */
static bool
describe_listener(const struct request *rq, const struct listener *l, struct json *out, struct err *err)
{
    cleanup_json struct json *chosen = json_array();
    const struct rule **all;
    struct page page;
    int64_t after = 0;
    size_t count = 0, i = 0;
    char marker[16];

    if (!page_read(rq, "", &page, err))
        return false;
    if (page.after[0] != '\0' && !str_to_i64(str_of(page.after), &after))
        return err_set(err, ERR_ELB_VALIDATION, "The marker '%.100s' is not valid", page.after);
    for (const struct rule *r = rq->core->rules; r != NULL; r = r->next)
        count += strcmp(r->listener_arn, l->arn) == 0;
    all = arena_alloc(rq->arena, sizeof(*all) * (count + 1));
    count = 0;
    for (const struct rule *r = rq->core->rules; r != NULL; r = r->next)
        if (strcmp(r->listener_arn, l->arn) == 0 && r->priority > after)
            all[count++] = r;
    qsort(all, count, sizeof(*all), compare_rules);
    for (; i < count && (int64_t)json_size(chosen) < page.size; i++)
        json_append(chosen, rule_json(all[i]));
    if (i == count && (int64_t)json_size(chosen) < page.size) {
        json_append(chosen, default_rule_json(l));
    } else {
        snprintf(marker, sizeof(marker), "%d", all[i - 1]->priority);
        json_set(out, "NextMarker", json_text(marker));
    }
    json_set(out, "Rules", TAKE(chosen));
    return true;
}

bool
elb_describe_rules(struct request *rq, struct json *out, struct err *err)
{
    const char *listener_arn = json_get_cstr(rq->input, "ListenerArn", NULL);
    const struct json *arns = json_get(rq->input, "RuleArns");
    cleanup_json struct json *all = json_array();

    if ((listener_arn != NULL) == (json_size(arns) > 0))
        return err_set(err, ERR_ELB_VALIDATION, "You must specify either listener rule ARNs or a listener ARN");
    if (listener_arn != NULL) {
        const struct listener *l = elb_find_listener(rq, listener_arn, err);

        return l != NULL && describe_listener(rq, l, out, err);
    }
    for (size_t i = 0; i < json_size(arns); i++) {
        const char *arn = json_cstr(json_at(arns, i), "");
        const struct listener *l = elb_find_default_rule(rq, arn);
        const struct rule *r = l == NULL ? elb_find_rule(rq, arn, err) : NULL;

        if (l == NULL && r == NULL)
            return false;
        json_append(all, l != NULL ? default_rule_json(l) : rule_json(r));
    }
    json_set(out, "Rules", TAKE(all));
    return true;
}

/* ---- CreateRule, ModifyRule, DeleteRule ---- */

/* What the rule is to have instead of `old` (NULL: none), in `out`. */
static bool
take_transforms(const struct request *rq, struct json *old, struct json **out, struct err *err)
{
    const struct json *given = json_get(rq->input, "Transforms");
    const bool is_reset = json_get_bool(rq->input, "ResetTransforms", false);

    if (json_size(given) > 0 && is_reset)
        return err_set(err, ERR_ELB_VALIDATION, "You cannot specify both Transforms and ResetTransforms");
    if (json_size(given) > 0)
        *out = elb_accept_transforms(given, err);
    else
        *out = old == NULL || is_reset ? NULL : json_ref(old);
    return *out != NULL || json_size(given) == 0;
}

static bool
check_room(const struct request *rq, const struct listener *l, int64_t priority, struct err *err)
{
    int count = 0;

    if (rule_at(rq, l->arn, priority) != NULL)
        return err_set(err, ERR_PRIORITY_IN_USE, "Priority '%lld' is currently in use", (long long)priority);
    for (const struct rule *r = rq->core->rules; r != NULL; r = r->next)
        count += strcmp(core_listener(rq->core, r->listener_arn)->load_balancer_arn, l->load_balancer_arn) == 0;
    return count < RULES_PER_LOAD_BALANCER ||
           err_set(err, ERR_TOO_MANY_RULES, "The limit of %d rules a load balancer is reached",
                   RULES_PER_LOAD_BALANCER);
}

/* A request meets all rules of its listener, so together they must not keep HAProxy busy; `before` is what the rule was. */
static bool
check_slow(const struct request *rq, const char *listener_arn, const struct rule *before, const struct json *conditions,
           struct err *err)
{
    int count = elb_count_slow(conditions);

    if (count == 0 || (before != NULL && count <= elb_count_slow(before->conditions)))
        return true;
    for (const struct rule *r = rq->core->rules; r != NULL; r = r->next)
        if (r != before && strcmp(r->listener_arn, listener_arn) == 0)
            count += elb_count_slow(r->conditions);
    return count <= SLOW_REGEXES_PER_LISTENER ||
           err_set(err, ERR_ELB_VALIDATION,
                   "The rules of a listener can have '%d' regular expressions in naru whose time grows with the square of the "
                   "text: two parts of them that repeat, or one and the search for where they begin, can take the same "
                   "characters", SLOW_REGEXES_PER_LISTENER);
}

bool
elb_create_rule(struct request *rq, struct json *out, struct err *err)
{
    const struct listener *l = elb_find_listener(rq, json_get_cstr(rq->input, "ListenerArn", ""), err);
    const int64_t priority = json_get_i64(rq->input, "Priority", 0);
    struct event event = {.type = EVENT_RULE_PUT};
    cleanup_json struct json *conditions = NULL, *actions = NULL, *transforms = NULL;
    char id[17], arn[ARN_SIZE];
    struct rule *r;

    if (l == NULL || !take_transforms(rq, NULL, &transforms, err) || !elb_tags_check(json_get(rq->input, "Tags"), err))
        return false;
    if (elb_is_network(l->load_balancer_arn))
        return err_set(err, ERR_INVALID_CONFIGURATION, "Rules are not supported for listeners of protocol '%s'", l->protocol);
    conditions = elb_accept_conditions(json_get(rq->input, "Conditions"), err);
    if (conditions == NULL)
        return false;
    actions = elb_accept_actions(rq, l->load_balancer_arn, json_get(rq->input, "Actions"), err);
    if (actions == NULL || !check_room(rq, l, priority, err) || !check_slow(rq, l->arn, NULL, conditions, err) ||
        !elb_check_groups(rq, l->load_balancer_arn, actions, NULL, NULL, err))
        return false;
    random_hex(id, 16);
    rule_arn(l->arn, id, arn);
    r = mem_new(sizeof(*r));
    memcpy(r->arn, arn, sizeof(r->arn));
    memcpy(r->listener_arn, l->arn, sizeof(r->listener_arn));
    r->priority = (int)priority;
    r->conditions = TAKE(conditions);
    r->actions = TAKE(actions);
    r->transforms = TAKE(transforms);
    r->tags = json_get(rq->input, "Tags") != NULL ? json_copy(json_get(rq->input, "Tags")) : json_array();
    event.rule_put.rule = r;
    request_step(rq, &event);
    elb_answer_one(out, "Rules", rule_json(core_rule(rq->core, arn)));
    return true;
}

bool
elb_modify_rule(struct request *rq, struct json *out, struct err *err)
{
    const char *arn = json_get_cstr(rq->input, "RuleArn", "");
    const struct rule *r = find_own_rule(rq, arn, "modified", err);
    const struct json *given_conditions = json_get(rq->input, "Conditions");
    const struct json *given_actions = json_get(rq->input, "Actions");
    struct event event = {.type = EVENT_RULE_PUT};
    cleanup_json struct json *conditions = NULL, *actions = NULL, *transforms = NULL, *row = NULL;
    const char *lb_arn;
    struct rule *copy;

    if (r == NULL || !take_transforms(rq, r->transforms, &transforms, err))
        return false;
    lb_arn = core_listener(rq->core, r->listener_arn)->load_balancer_arn;
    conditions =
        given_conditions != NULL ? elb_accept_conditions(given_conditions, err) : json_ref(r->conditions);
    if (conditions == NULL || !check_slow(rq, r->listener_arn, r, conditions, err))
        return false;
    actions = given_actions != NULL ? elb_accept_actions(rq, lb_arn, given_actions, err) : json_ref(r->actions);
    if (actions == NULL || !elb_check_groups(rq, lb_arn, actions, NULL, r, err))
        return false;
    row = rule_encode(r);
    copy = rule_decode(row, err);
    if (copy == NULL)
        return false;
    json_unref(copy->conditions);
    copy->conditions = TAKE(conditions);
    json_unref(copy->actions);
    copy->actions = TAKE(actions);
    json_unref(copy->transforms);
    copy->transforms = TAKE(transforms);
    event.rule_put.rule = copy;
    request_step(rq, &event);
    elb_answer_one(out, "Rules", rule_json(core_rule(rq->core, arn)));
    return true;
}

bool
elb_delete_rule(struct request *rq, struct json *out, struct err *err)
{
    const char *arn = json_get_cstr(rq->input, "RuleArn", "");
    const struct event event = {.type = EVENT_RULE_DELETE, .rule_delete = {.arn = arn}};

    if (find_own_rule(rq, arn, "deleted", err) == NULL)
        return false;
    request_step(rq, &event);
    return true;
}

/* ---- SetRulePriorities ---- */

static bool
is_listed(const struct rule_priority *list, int count, const char *arn)
{
    for (int i = 0; i < count; i++)
        if (strcmp(list[i].rule_arn, arn) == 0)
            return true;
    return false;
}

/* The next of the list; what came before it is good. */
static bool
read_priority(const struct request *rq, const struct json *pair, struct rule_priority *list, int count,
              struct err *err)
{
    const char *arn = json_get_cstr(pair, "RuleArn", "");
    const int64_t priority = json_get_i64(pair, "Priority", 0);
    const struct rule *r = find_own_rule(rq, arn, "given a priority", err);

    if (r == NULL)
        return false;
    if (priority == 0)
        return err_set(err, ERR_ELB_VALIDATION, "A priority must be specified for the rule '%s'", arn);
    if (is_listed(list, count, arn))
        return err_set(err, ERR_ELB_VALIDATION, "The rule '%s' is named more than once", arn);
    for (int i = 0; i < count; i++)
        if (list[i].priority == priority &&
            strcmp(core_rule(rq->core, list[i].rule_arn)->listener_arn, r->listener_arn) == 0)
            return err_set(err, ERR_ELB_VALIDATION, "Priority '%lld' is named more than once", (long long)priority);
    list[count] = (struct rule_priority){r->arn, (int)priority};
    return true;
}

/* All or nothing, by what comes of it: rules of the list may change places. */
bool
elb_set_rule_priorities(struct request *rq, struct json *out, struct err *err)
{
    const struct json *pairs = json_get(rq->input, "RulePriorities");
    const int count = (int)json_size(pairs);
    struct rule_priority *list = arena_alloc(rq->arena, sizeof(*list) * (size_t)(count + 1));
    const struct event event = {.type = EVENT_RULE_PRIORITIES, .rule_priorities = {list, count}};
    cleanup_json struct json *all = json_array();

    if (count == 0 || count > RULES_PER_LOAD_BALANCER)
        return err_set(err, ERR_ELB_VALIDATION, "1 to %d rule priorities must be specified", RULES_PER_LOAD_BALANCER);
    for (int i = 0; i < count; i++)
        if (!read_priority(rq, json_at(pairs, (size_t)i), list, i, err))
            return false;
    for (int i = 0; i < count; i++) {
        const char *listener_arn = core_rule(rq->core, list[i].rule_arn)->listener_arn;
        const struct rule *there = rule_at(rq, listener_arn, list[i].priority);

        if (there != NULL && !is_listed(list, count, there->arn))
            return err_set(err, ERR_PRIORITY_IN_USE, "Priority '%d' is currently in use", list[i].priority);
    }
    request_step(rq, &event);
    for (int i = 0; i < count; i++)
        json_append(all, rule_json(core_rule(rq->core, list[i].rule_arn)));
    json_set(out, "Rules", TAKE(all));
    return true;
}
