/* SPDX-License-Identifier: MIT */
#include "api/elbv2.h"

#include <ctype.h>
#include <stdio.h>
#include <strings.h>

const struct operation elbv2_operations[] = {
    {"CreateLoadBalancer", ACCESS_WRITE, elb_create_load_balancer},
    {"DescribeLoadBalancers", ACCESS_READ, elb_describe_load_balancers},
    {"DeleteLoadBalancer", ACCESS_WRITE, elb_delete_load_balancer},
    {"DescribeLoadBalancerAttributes", ACCESS_READ, elb_describe_load_balancer_attributes},
    {"ModifyLoadBalancerAttributes", ACCESS_WRITE, elb_modify_load_balancer_attributes},
    {"SetSubnets", ACCESS_WRITE, elb_set_subnets},
    {"SetSecurityGroups", ACCESS_WRITE, elb_set_security_groups},
    {"SetIpAddressType", ACCESS_WRITE, elb_set_ip_address_type},
    {"CreateTargetGroup", ACCESS_WRITE, elb_create_target_group},
    {"DescribeTargetGroups", ACCESS_READ, elb_describe_target_groups},
    {"ModifyTargetGroup", ACCESS_WRITE, elb_modify_target_group},
    {"DeleteTargetGroup", ACCESS_WRITE, elb_delete_target_group},
    {"DescribeTargetGroupAttributes", ACCESS_READ, elb_describe_target_group_attributes},
    {"ModifyTargetGroupAttributes", ACCESS_WRITE, elb_modify_target_group_attributes},
    {"RegisterTargets", ACCESS_WRITE, elb_register_targets},
    {"DeregisterTargets", ACCESS_WRITE, elb_deregister_targets},
    {"DescribeTargetHealth", ACCESS_READ, elb_describe_target_health},
    {"CreateListener", ACCESS_WRITE, elb_create_listener},
    {"DescribeListeners", ACCESS_READ, elb_describe_listeners},
    {"ModifyListener", ACCESS_WRITE, elb_modify_listener},
    {"DeleteListener", ACCESS_WRITE, elb_delete_listener},
    {"DescribeListenerAttributes", ACCESS_READ, elb_describe_listener_attributes},
    {"ModifyListenerAttributes", ACCESS_WRITE, elb_modify_listener_attributes},
    {"AddListenerCertificates", ACCESS_WRITE, elb_add_listener_certificates},
    {"RemoveListenerCertificates", ACCESS_WRITE, elb_remove_listener_certificates},
    {"DescribeListenerCertificates", ACCESS_READ, elb_describe_listener_certificates},
    {"DescribeSSLPolicies", ACCESS_LOCAL, elb_describe_ssl_policies},
    {"CreateTrustStore", ACCESS_WRITE, elb_create_trust_store},
    {"DescribeTrustStores", ACCESS_READ, elb_describe_trust_stores},
    {"DescribeTrustStoreAssociations", ACCESS_READ, elb_describe_trust_store_associations},
    {"ModifyTrustStore", ACCESS_WRITE, elb_modify_trust_store},
    {"DeleteTrustStore", ACCESS_WRITE, elb_delete_trust_store},
    {"AddTrustStoreRevocations", ACCESS_WRITE, elb_add_trust_store_revocations},
    {"DescribeTrustStoreRevocations", ACCESS_READ, elb_describe_trust_store_revocations},
    {"RemoveTrustStoreRevocations", ACCESS_WRITE, elb_remove_trust_store_revocations},
    {"GetTrustStoreCaCertificatesBundle", ACCESS_READ, elb_get_trust_store_bundle},
    {"GetTrustStoreRevocationContent", ACCESS_READ, elb_get_trust_store_revocation},
    {"CreateRule", ACCESS_WRITE, elb_create_rule},
    {"DescribeRules", ACCESS_READ, elb_describe_rules},
    {"ModifyRule", ACCESS_WRITE, elb_modify_rule},
    {"DeleteRule", ACCESS_WRITE, elb_delete_rule},
    {"SetRulePriorities", ACCESS_WRITE, elb_set_rule_priorities},
    {"AddTags", ACCESS_WRITE, elb_add_tags},
    {"RemoveTags", ACCESS_WRITE, elb_remove_tags},
    {"DescribeTags", ACCESS_READ, elb_describe_tags},
    {"DescribeAccountLimits", ACCESS_READ, elb_describe_account_limits},
    /* Known and not built: they answer so. */
    {"DeleteSharedTrustStoreAssociation", ACCESS_LOCAL, NULL},
    {"DescribeCapacityReservation", ACCESS_LOCAL, NULL},
    {"GetResourcePolicy", ACCESS_LOCAL, NULL},
    {"ModifyCapacityReservation", ACCESS_LOCAL, NULL},
    {"ModifyIpPools", ACCESS_LOCAL, NULL},
    {0},
};

/* ---- names and finding ---- */

bool
elb_name_check(const char *what, const char *name, bool refuses_double_hyphen, struct err *err)
{
    const size_t len = strlen(name);

    if (len == 0)
        return err_set(err, ERR_ELB_VALIDATION, "%s name cannot be empty", what);
    if (len > 32)
        return err_set(err, ERR_ELB_VALIDATION, "%s name '%s' cannot be longer than '32' characters", what, name);
    for (const char *p = name; *p != '\0'; p++)
        if (!isalnum((unsigned char)*p) && *p != '-')
            return err_set(err, ERR_ELB_VALIDATION,
                           "%s name '%s' can only contain characters that are alphanumeric characters and hyphens(-)",
                           what, name);
    if (name[0] == '-' || name[len - 1] == '-')
        return err_set(err, ERR_ELB_VALIDATION, "%s name '%s' cannot begin or end with '-'", what, name);
    if (refuses_double_hyphen && strstr(name, "--") != NULL)
        return err_set(err, ERR_ELB_VALIDATION, "%s name '%s' cannot contain '--'", what, name);
    return true;
}

bool
elb_arn_is_of(const char *arn, const char *kind)
{
    struct arn parts;

    return arn_parse(str_of(arn), &parts) && str_is(parts.service, "elasticloadbalancing") &&
           str_starts(parts.resource, str_of(kind));
}

struct load_balancer *
elb_find_load_balancer(const struct request *rq, const char *arn, struct err *err)
{
    struct load_balancer *lb = request_is_region_of(rq, arn) ? core_load_balancer(rq->core, arn) : NULL;

    if (lb == NULL && !elb_arn_is_of(arn, "loadbalancer/"))
        err_set(err, ERR_ELB_VALIDATION, "'%s' is not a valid load balancer ARN", arn);
    else if (lb == NULL)
        err_set(err, ERR_LOAD_BALANCER_NOT_FOUND, "Load balancer '%s' not found", arn);
    return lb;
}

struct target_group *
elb_find_target_group(const struct request *rq, const char *arn, struct err *err)
{
    struct target_group *tg = request_is_region_of(rq, arn) ? core_target_group(rq->core, arn) : NULL;

    if (tg == NULL && !elb_arn_is_of(arn, "targetgroup/"))
        err_set(err, ERR_ELB_VALIDATION, "'%s' is not a valid target group ARN", arn);
    else if (tg == NULL)
        err_set(err, ERR_TARGET_GROUP_NOT_FOUND, "Target group '%s' not found", arn);
    return tg;
}

struct listener *
elb_find_listener(const struct request *rq, const char *arn, struct err *err)
{
    struct listener *l = request_is_region_of(rq, arn) ? core_listener(rq->core, arn) : NULL;

    if (l == NULL && !elb_arn_is_of(arn, "listener/"))
        err_set(err, ERR_ELB_VALIDATION, "'%s' is not a valid listener ARN", arn);
    else if (l == NULL)
        err_set(err, ERR_LISTENER_NOT_FOUND, "Listener '%s' not found", arn);
    return l;
}

/* ---- attributes ---- */

struct json *
attributes_default(const struct attribute_row *rows, size_t count)
{
    struct json *all = json_object();

    for (size_t i = 0; i < count; i++)
        json_set(all, rows[i].key, json_text(rows[i].fallback));
    return all;
}

static bool
is_one_of(struct str list, const char *value)
{
    struct str word;

    while (str_split(&list, ',', &word))
        if (str_is(word, value))
            return true;
    return false;
}

static bool
attribute_check(const struct attribute_row *row, const char *value, struct err *err)
{
    struct str rule = str_of(row->rule), kind, low, high;
    int64_t n, min = 0, max = 0;

    if (strcmp(value, row->fallback) == 0)
        return true;
    str_split(&rule, ':', &kind);
    if (str_is(kind, "fixed"))
        return err_set(err, ERR_INVALID_CONFIGURATION,
                       "The attribute '%s' can only be '%s' here: naru has not built what other values ask for",
                       row->key, row->fallback);
    if (str_is(kind, "bool") && !is_one_of(STR("true,false"), value))
        return err_set(err, ERR_ELB_VALIDATION, "The value of '%s' must be true or false", row->key);
    if (str_is(kind, "one") && !is_one_of(rule, value))
        return err_set(err, ERR_ELB_VALIDATION, "The value of '%s' must be one of: " STR_FMT, row->key, STR_ARG(rule));
    if (!str_is(kind, "int"))
        return true;
    str_split(&rule, ':', &low);
    str_split(&rule, ':', &high);
    str_to_i64(low, &min);
    str_to_i64(high, &max);
    if (!str_to_i64(str_of(value), &n) || n < min || n > max)
        return err_set(err, ERR_ELB_VALIDATION, "'%s' must be in the range from %lld to %lld, not '%s'", row->key,
                       (long long)min, (long long)max, value);
    return true;
}

static const struct attribute_row *
find_row(const struct attribute_row *rows, size_t count, const char *key)
{
    for (size_t i = 0; i < count; i++)
        if (strcmp(rows[i].key, key) == 0)
            return &rows[i];
    return NULL;
}

struct json *
attributes_change(const struct attribute_row *rows, size_t count, const struct json *old,
                  const struct json *list, struct err *err)
{
    struct json *changed = json_copy(old);

    for (size_t i = 0; i < json_size(list); i++) {
        const char *key = json_get_cstr(json_at(list, i), "Key", "");
        const char *value = json_get_cstr(json_at(list, i), "Value", "");
        const struct attribute_row *row = find_row(rows, count, key);

        if (row == NULL)
            err_set(err, ERR_ELB_VALIDATION, "Attribute key '%s' is not recognized", key);
        if (row == NULL || !attribute_check(row, value, err)) {
            json_unref(changed);
            return NULL;
        }
        json_set(changed, key, json_text(value));
    }
    return changed;
}

struct json *
attributes_list(const struct json *attributes)
{
    struct json *list = json_array();

    for (void *it = json_first(attributes); it != NULL; it = json_next(attributes, it)) {
        struct json *entry = json_object();

        json_set(entry, "Key", json_text(json_key(it)));
        json_set(entry, "Value", json_ref(json_value(it)));
        json_append(list, entry);
    }
    return list;
}

/* ---- paging ---- */

bool
page_read(const struct request *rq, const char *begins, struct page *out, struct err *err)
{
    out->after = json_get_cstr(rq->input, "Marker", "");
    out->size = json_get_i64(rq->input, "PageSize", 400);
    if (out->size < 1 || out->size > 400)
        return err_set(err, ERR_ELB_VALIDATION, "PageSize must be in the range from 1 to 400");
    if (out->after[0] != '\0' && !str_starts(str_of(out->after), str_of(begins)))
        return err_set(err, ERR_ELB_VALIDATION, "The marker '%.100s' is not valid", out->after);
    return true;
}

struct keyed {
    const char *key;
    struct json *item;
};

static int
compare_keys(const void *a, const void *b)
{
    return strcmp(((const struct keyed *)a)->key, ((const struct keyed *)b)->key);
}

void
elb_answer_one(struct json *out, const char *list, struct json *item)
{
    struct json *all = json_array();

    json_append(all, item);
    json_set(out, list, all);
}

struct json *
sorted_by(struct json *items, const char *key)
{
    const size_t count = json_size(items);
    struct keyed *all = mem_new(sizeof(*all) * (count + 1));
    struct json *sorted = json_array();

    for (size_t i = 0; i < count; i++)
        all[i] = (struct keyed){json_get_cstr(json_at(items, i), key, ""), json_at(items, i)};
    qsort(all, count, sizeof(*all), compare_keys);
    for (size_t i = 0; i < count; i++)
        json_append(sorted, json_ref(all[i].item));
    free(all);
    json_unref(items);
    return sorted;
}

void
page_write(const struct page *page, struct json *items, const char *key, const char *name, struct json *out)
{
    struct json *chosen = json_array();
    const char *last = "";
    bool has_more = false;

    for (size_t i = 0; i < json_size(items); i++) {
        struct json *item = json_at(items, i);
        const char *text = json_get_cstr(item, key, "");

        if (strcmp(text, page->after) <= 0 && page->after[0] != '\0')
            continue;
        if ((int64_t)json_size(chosen) == page->size) {
            has_more = true;
            break;
        }
        json_append(chosen, json_ref(item));
        last = text;
    }
    if (has_more)
        json_set(out, "NextMarker", json_text(last));
    json_set(out, name, chosen);
    json_unref(items);
}

/* ---- tags ---- */

bool
elb_tags_check(const struct json *tags, struct err *err)
{
    if (json_size(tags) > 50)
        return err_set(err, ERR_ELB_TOO_MANY_TAGS, "The maximum number of tags a resource can have is 50");
    for (size_t i = 0; i < json_size(tags); i++) {
        const char *key = json_get_cstr(json_at(tags, i), "Key", "");

        if (strncasecmp(key, "aws:", 4) == 0)
            return err_set(err, ERR_ELB_VALIDATION, "Tag keys beginning with 'aws:' are reserved");
        for (size_t k = 0; k < i; k++)
            if (strcmp(json_get_cstr(json_at(tags, k), "Key", ""), key) == 0)
                return err_set(err, ERR_DUPLICATE_TAG_KEYS, "Tag keys must be unique: '%s' comes twice", key);
    }
    return true;
}

/* The tags of any resource by its ARN. */
static bool
find_tags(const struct request *rq, const char *arn, const struct json **out, struct err *err)
{
    const struct load_balancer *lb;
    const struct target_group *tg;
    const struct trust_store *t;
    const struct listener *l;
    const struct rule *r;

    if (elb_arn_is_of(arn, "targetgroup/")) {
        tg = elb_find_target_group(rq, arn, err);
        *out = tg != NULL ? tg->tags : NULL;
        return tg != NULL;
    }
    if (elb_arn_is_of(arn, "listener/")) {
        l = elb_find_listener(rq, arn, err);
        *out = l != NULL ? l->tags : NULL;
        return l != NULL;
    }
    if (elb_arn_is_of(arn, "listener-rule/")) {
        *out = NULL;
        if (elb_find_default_rule(rq, arn) != NULL)
            return true;
        r = elb_find_rule(rq, arn, err);
        *out = r != NULL ? r->tags : NULL;
        return r != NULL;
    }
    if (elb_arn_is_of(arn, "truststore/")) {
        t = elb_find_trust_store(rq, arn, err);
        *out = t != NULL ? t->tags : NULL;
        return t != NULL;
    }
    lb = elb_find_load_balancer(rq, arn, err);
    *out = lb != NULL ? lb->tags : NULL;
    return lb != NULL;
}

static void
put_tag(struct json *tags, const struct json *tag)
{
    for (size_t i = 0; i < json_size(tags); i++)
        if (strcmp(json_get_cstr(json_at(tags, i), "Key", ""), json_get_cstr(tag, "Key", "")) == 0) {
            json_set(json_at(tags, i), "Value", json_text(json_get_cstr(tag, "Value", "")));
            return;
        }
    json_append(tags, json_copy(tag));
}

/* The tags of `arn` after the request, or NULL and err. */
static struct json *
tags_after(const struct request *rq, const char *arn, struct err *err)
{
    const struct json *added = json_get(rq->input, "Tags"), *removed = json_get(rq->input, "TagKeys");
    const struct json *old = NULL;
    struct json *tags;

    if (!find_tags(rq, arn, &old, err))
        return NULL;
    if (elb_find_default_rule(rq, arn) != NULL) {
        err_set(err, ERR_INVALID_CONFIGURATION, "Tags of default rules are not built in naru; tag the listener");
        return NULL;
    }
    tags = json_array();
    for (size_t i = 0; i < json_size(old); i++)
        if (!json_has_text(removed, json_get_cstr(json_at(old, i), "Key", "")))
            json_append(tags, json_copy(json_at(old, i)));
    for (size_t i = 0; i < json_size(added); i++)
        put_tag(tags, json_at(added, i));
    if (!elb_tags_check(tags, err)) {
        json_unref(tags);
        return NULL;
    }
    return tags;
}

/* All or nothing: every resource is checked before the first is changed. */
static bool
change_tags(struct request *rq, struct err *err)
{
    const struct json *arns = json_get(rq->input, "ResourceArns");

    if (json_size(arns) > 20)
        return err_set(err, ERR_ELB_VALIDATION, "At most 20 resources can be given in one call");
    if (!elb_tags_check(json_get(rq->input, "Tags"), err))
        return false;
    for (size_t i = 0; i < json_size(arns); i++) {
        struct json *tags = tags_after(rq, json_cstr(json_at(arns, i), ""), err);

        if (tags == NULL)
            return false;
        json_unref(tags);
    }
    for (size_t i = 0; i < json_size(arns); i++) {
        const char *arn = json_cstr(json_at(arns, i), "");
        cleanup_json struct json *tags = tags_after(rq, arn, err);
        const struct event event = {.type = EVENT_TAGS_SET, .tags_set = {.arn = arn, .tags = tags}};

        request_step(rq, &event);
    }
    return true;
}

bool
elb_add_tags(struct request *rq, struct json *out, struct err *err)
{
    return change_tags(rq, err);
}

bool
elb_remove_tags(struct request *rq, struct json *out, struct err *err)
{
    return change_tags(rq, err);
}

bool
elb_describe_tags(struct request *rq, struct json *out, struct err *err)
{
    const struct json *arns = json_get(rq->input, "ResourceArns");
    cleanup_json struct json *all = json_array();

    if (json_size(arns) > 20)
        return err_set(err, ERR_ELB_VALIDATION, "At most 20 resources can be given in one call");
    for (size_t i = 0; i < json_size(arns); i++) {
        const char *arn = json_cstr(json_at(arns, i), "");
        const struct json *tags = NULL;
        struct json *entry;

        if (!find_tags(rq, arn, &tags, err))
            return false;
        entry = json_object();
        json_set(entry, "ResourceArn", json_text(arn));
        json_set(entry, "Tags", tags != NULL ? json_ref(tags) : json_array());
        json_append(all, entry);
    }
    json_set(out, "TagDescriptions", TAKE(all));
    return true;
}
