/* SPDX-License-Identifier: MIT */
#include "api/ec2.h"

#include <assert.h>

#define TAGS_MAX 50
#define RESOURCES_MAX 1000

struct json *
ec2_tag_set(const struct json *tags)
{
    struct json *set = json_array();

    for (size_t i = 0; i < json_size(tags); i++) {
        struct json *tag = json_object();

        json_set(tag, "key", json_text(json_get_cstr(json_at(tags, i), "Key", "")));
        json_set(tag, "value", json_text(json_get_cstr(json_at(tags, i), "Value", "")));
        json_append(set, tag);
    }
    return set;
}

static bool
check_tags(const struct json *tags, struct err *err)
{
    if (json_size(tags) > TAGS_MAX)
        return err_set(err, ERR_EC2_TAG_LIMIT, "The maximum number of tags for a resource is %d.",
                       TAGS_MAX);
    for (size_t i = 0; i < json_size(tags); i++) {
        const char *key = json_get_cstr(json_at(tags, i), "Key", "");

        if (key[0] == '\0' || text_characters(key) > 127 ||
            text_characters(json_get_cstr(json_at(tags, i), "Value", "")) > 256)
            return err_set(
                err, ERR_EC2_INVALID_VALUE,
                "Tag keys must have 1 to 127 characters, tag values at most 256: '%.100s'", key);
        if (strncmp(key, "aws:", 4) == 0)
            return err_set(err, ERR_EC2_INVALID_VALUE,
                           "Tag keys starting with 'aws:' are reserved for internal use");
        if (json_find(tags, "Key", key) != json_at(tags, i))
            return err_set(err, ERR_EC2_INVALID_VALUE, "Duplicate tag key '%.100s' specified.",
                           key);
    }
    return true;
}

bool
ec2_check_tag_specifications(const struct request *rq, const char *type, struct err *err)
{
    const struct json *list = json_get(rq->input, "TagSpecifications");

    if (json_size(list) > 1)
        return err_set(err, ERR_EC2_INVALID_VALUE, "Only one tag specification can be given here");
    if (json_size(list) == 1 &&
        strcmp(json_get_cstr(json_at(list, 0), "ResourceType", ""), type) != 0)
        return err_set(err, ERR_EC2_INVALID_VALUE,
                       "'%.60s' is not a valid taggable resource type for this operation.",
                       json_get_cstr(json_at(list, 0), "ResourceType", ""));
    return check_tags(json_get(json_at(list, 0), "Tags"), err);
}

struct json *
ec2_given_tags(const struct request *rq)
{
    const struct json *tags =
        json_get(json_at(json_get(rq->input, "TagSpecifications"), 0), "Tags");

    return tags != NULL ? json_copy(tags) : json_array();
}

/* ---- CreateTags, DeleteTags ---- */

static struct network *
find_resource(const struct request *rq, const char *id, struct err *err)
{
    static const enum network_kind kinds[] = {NETWORK_KIND_vpc, NETWORK_KIND_subnet,
                                              NETWORK_KIND_group};

    for (size_t i = 0; i < ARRAY_COUNT(kinds); i++)
        if (strncmp(id, network_prefix(kinds[i]), strlen(network_prefix(kinds[i]))) == 0)
            return ec2_find(rq, kinds[i], id, err);
    if (strncmp(id, "sgr-", 4) == 0)
        err_set(err, ERR_EC2_UNSUPPORTED,
                "Tags of the rules of security groups are not built in naru");
    else
        err_set(err, ERR_EC2_INVALID_ID, "The ID '%.100s' is not valid", id);
    return NULL;
}

static bool
is_removed(const struct json *removed, const struct json *tag)
{
    const struct json *named = json_find(removed, "Key", json_get_cstr(tag, "Key", ""));
    const char *value = json_get_cstr(named, "Value", NULL);

    return named != NULL && (value == NULL || strcmp(value, json_get_cstr(tag, "Value", "")) == 0);
}

/* What the resource's tags become. */
static struct json *
tags_after(const struct request *rq, const struct network *n)
{
    const struct json *given = json_get(rq->input, "Tags");
    const bool removes = strcmp(rq->operation, "DeleteTags") == 0;
    struct json *tags = json_array();

    if (removes && given == NULL) /* all of them */
        return tags;
    for (size_t i = 0; i < json_size(n->tags); i++) {
        const struct json *tag = json_at(n->tags, i);

        if (removes ? !is_removed(given, tag)
                    : json_find(given, "Key", json_get_cstr(tag, "Key", "")) == NULL)
            json_append(tags, json_copy(tag));
    }
    for (size_t i = 0; i < json_size(given) && !removes; i++) {
        struct json *tag = json_object();

        json_set(tag, "Key", json_text(json_get_cstr(json_at(given, i), "Key", "")));
        json_set(tag, "Value", json_text(json_get_cstr(json_at(given, i), "Value", "")));
        json_append(tags, tag);
    }
    return tags;
}

/* All or nothing: every resource is looked at before the first is changed. */
static bool
change_tags(struct request *rq, struct json *out, struct err *err)
{
    const struct json *ids = json_get(rq->input, "Resources");

    if (!ec2_begin(rq, err))
        return false;
    if (json_size(ids) == 0 || json_size(ids) > RESOURCES_MAX)
        return err_set(err, ERR_EC2_INVALID_VALUE, "1 to %d resources can be given", RESOURCES_MAX);
    for (size_t i = 0; i < json_size(ids); i++) {
        const struct network *n = find_resource(rq, json_cstr(json_at(ids, i), ""), err);
        cleanup_json struct json *tags = NULL;

        if (n == NULL)
            return false;
        tags = tags_after(rq, n);
        if (!check_tags(tags, err))
            return false;
    }
    if (!ec2_may_change(rq, err))
        return false;
    for (size_t i = 0; i < json_size(ids); i++) {
        const struct network *n = find_resource(rq, json_cstr(json_at(ids, i), ""), err);
        cleanup_json struct json *tags = tags_after(rq, n);
        const struct event event = {.type = EVENT_TAGS_SET,
                                    .tags_set = {.arn = n->arn, .tags = tags}};

        request_step(rq, &event);
    }
    json_set(out, "return", json_bool(true));
    return true;
}

bool
ec2_create_tags(struct request *rq, struct json *out, struct err *err)
{
    if (!check_tags(json_get(rq->input, "Tags"), err))
        return false;
    return change_tags(rq, out, err);
}

bool
ec2_delete_tags(struct request *rq, struct json *out, struct err *err)
{
    return change_tags(rq, out, err);
}

/* ---- DescribeTags ---- */

static void
add_tags(struct json *all, const struct network *n)
{
    for (size_t i = 0; i < json_size(n->tags); i++) {
        const char *key = json_get_cstr(json_at(n->tags, i), "Key", "");
        cleanup_free char *order = text_format("%s %s", n->id, key);
        struct json *o = json_object(), *set = json_array();

        json_append(set, json_copy(json_at(n->tags, i)));
        json_set(o, "order", json_text(order)); /* and taken out again */
        json_set(o, "tagSet", ec2_tag_set(set));
        json_set(o, "resourceId", json_text(n->id));
        json_set(o, "resourceType", json_text(network_type(n->kind)));
        json_set(o, "key", json_text(key));
        json_set(o, "value", json_text(json_get_cstr(json_at(n->tags, i), "Value", "")));
        json_append(all, o);
        json_unref(set);
    }
}

bool
ec2_describe_tags(struct request *rq, struct json *out, struct err *err)
{
    static const struct ec2_filter filters[] = {{"key", "key"},
                                                {"value", "value"},
                                                {"resource-id", "resourceId"},
                                                {"resource-type", "resourceType"}};
    const int64_t max = json_get_i64(rq->input, "MaxResults", 1000);
    const struct json *shown;
    struct json *all;

    if (!ec2_begin(rq, err))
        return false;
    if (max < 5 || max > 1000)
        return err_set(err, ERR_EC2_INVALID_VALUE,
                       "Value (%lld) for parameter maxResults is invalid. It must be 5 to 1000",
                       (long long)max);
    all = json_array();
    for (const struct network *n = rq->core->networks; n != NULL; n = n->next)
        if (!n->is_gone && strcmp(n->region, rq->region) == 0)
            add_tags(all, n);
    if (!ec2_answer(rq, out, "tagSet", all, "order", filters, ARRAY_COUNT(filters), NULL, err))
        return false;
    shown = json_get(out, "tagSet");
    for (size_t i = 0; i < json_size(shown); i++) {
        json_delete(json_at(shown, i), "order");
        json_delete(json_at(shown, i), "tagSet");
    }
    return true;
}
