/* SPDX-License-Identifier: MIT */
#include "api/ec2.h"

#include <arpa/inet.h>
#include <assert.h>
#include <stdio.h>
#include "api/elbv2.h"
#include "base/address_block.h"
#include "base/crypto.h"
#include "base/random.h"

const struct operation ec2_operations[] = {
    {"AuthorizeSecurityGroupIngress", ACCESS_WRITE, ec2_authorize_ingress},
    {"CreateSecurityGroup", ACCESS_WRITE, ec2_create_security_group},
    {"CreateSubnet", ACCESS_WRITE, ec2_create_subnet},
    {"CreateTags", ACCESS_WRITE, ec2_create_tags},
    {"CreateVpc", ACCESS_WRITE, ec2_create_vpc},
    {"DeleteSecurityGroup", ACCESS_WRITE, ec2_delete_security_group},
    {"DeleteSubnet", ACCESS_WRITE, ec2_delete_subnet},
    {"DeleteTags", ACCESS_WRITE, ec2_delete_tags},
    {"DeleteVpc", ACCESS_WRITE, ec2_delete_vpc},
    /* The first to ask makes the region's default VPC: reading writes. */
    {"DescribeAvailabilityZones", ACCESS_WRITE, ec2_describe_availability_zones},
    {"DescribeSecurityGroupRules", ACCESS_WRITE, ec2_describe_security_group_rules},
    {"DescribeSecurityGroups", ACCESS_WRITE, ec2_describe_security_groups},
    {"DescribeSubnets", ACCESS_WRITE, ec2_describe_subnets},
    {"DescribeTags", ACCESS_WRITE, ec2_describe_tags},
    {"DescribeVpcs", ACCESS_WRITE, ec2_describe_vpcs},
    {"RevokeSecurityGroupIngress", ACCESS_WRITE, ec2_revoke_ingress},
    {NULL, ACCESS_READ, NULL},
};

/* ---- the default VPC ---- */

static void
default_id(const struct request *rq, enum network_kind kind, const char *what,
           char out[static EC2_ID_SIZE])
{
    char hex[SHA256_HEX + 1];
    cleanup_free char *text = text_format("%s/%s/%s", rq->account, rq->region, what);

    sha256_hex(str_of(text), hex);
    snprintf(out, EC2_ID_SIZE, "%s%.17s", network_prefix(kind), hex);
}

static void
set_id(const struct request *rq, struct network *n, const char *id)
{
    char arn[ARN_SIZE];

    text_copy_all(n->id, sizeof(n->id), id);
    arn_format(arn, "ec2", rq->region, rq->account, "%s/%s", network_type(n->kind), id);
    text_copy_all(n->arn, sizeof(n->arn), arn);
}

struct network *
ec2_new(const struct request *rq, enum network_kind kind, const char *vpc_id, struct json *doc)
{
    struct network *n = mem_new(sizeof(*n));
    char id[EC2_ID_SIZE], hex[18];

    random_hex(hex, 17);
    snprintf(id, sizeof(id), "%s%s", network_prefix(kind), hex);
    n->kind = kind;
    set_id(rq, n, id);
    text_copy_all(n->region, sizeof(n->region), rq->region);
    text_copy_all(n->vpc_id, sizeof(n->vpc_id), kind == NETWORK_KIND_vpc ? id : vpc_id);
    n->doc = doc;
    n->tags = ec2_given_tags(rq);
    return n;
}

void
ec2_put(struct request *rq, struct network *n)
{
    const struct event event = {.type = EVENT_NETWORK_PUT, .network_put = {.network = n}};

    request_step(rq, &event);
}

void
ec2_delete(struct request *rq, const struct network *n)
{
    char arn[BALANCING_ARN_SIZE];
    const struct event event = {.type = EVENT_NETWORK_DELETE, .network_delete = {.arn = arn}};

    memcpy(arn, n->arn, sizeof(arn));
    request_step(rq, &event);
}

void
ec2_put_rules(struct request *rq, const struct network *group, struct json *rules)
{
    struct err err = {0};
    cleanup_json struct json *row = network_encode(group);
    struct network *copy = network_decode(row, &err);

    assert(copy != NULL); /* it was one just now */
    json_unref(copy->doc);
    copy->doc = json_object();
    json_set(copy->doc, "Description", json_text(json_get_cstr(group->doc, "Description", "")));
    json_set(copy->doc, "Rules", rules);
    ec2_put(rq, copy);
}

/* As in AWS: from the group itself, so from nobody else. */
struct network *
ec2_new_default_group(const struct request *rq, const char *vpc_id, const char *id)
{
    struct json *doc = json_object(), *rules = json_array(), *rule = json_object();
    struct network *n = ec2_new(rq, NETWORK_KIND_group, vpc_id, doc);
    cleanup_free char *rule_id = NULL;

    if (id != NULL)
        set_id(rq, n, id);
    rule_id = text_format("sgr-%s", n->id + 3);
    json_unref(n->tags);
    n->tags = json_array();
    n->is_default = true;
    text_copy_all(n->name, sizeof(n->name), "default");
    json_set(rule, "Id", json_text(rule_id));
    json_set(rule, "Protocol", json_text("-1"));
    json_set(rule, "GroupId", json_text(n->id));
    json_append(rules, rule);
    json_set(doc, "Description", json_text("default VPC security group"));
    json_set(doc, "Rules", rules);
    return n;
}

static struct network *
new_default(const struct request *rq, enum network_kind kind, const char *what, const char *vpc_id,
            const char *block, const char *zone)
{
    struct json *doc = json_object();
    struct network *n;
    char id[EC2_ID_SIZE];

    default_id(rq, kind, what, id);
    json_set(doc, "CidrBlock", json_text(block));
    if (zone != NULL)
        json_set(doc, "AvailabilityZone", json_text(zone));
    n = ec2_new(rq, kind, vpc_id, doc);
    json_unref(n->tags);
    n->tags = json_array();
    set_id(rq, n, id);
    if (kind == NETWORK_KIND_vpc)
        text_copy_all(n->vpc_id, sizeof(n->vpc_id), id);
    n->is_default = true;
    return n;
}

static void
make_defaults(struct request *rq)
{
    char vpc[EC2_ID_SIZE], group[EC2_ID_SIZE], arn[ARN_SIZE];

    default_id(rq, NETWORK_KIND_vpc, "default vpc", vpc);
    arn_format(arn, "ec2", rq->region, rq->account, "%s/%s", network_type(NETWORK_KIND_vpc), vpc);
    if (core_network(rq->core, arn) != NULL)
        return;
    default_id(rq, NETWORK_KIND_group, "default group", group);
    ec2_put(rq, new_default(rq, NETWORK_KIND_vpc, "default vpc", vpc, "172.31.0.0/16", NULL));
    ec2_put(rq, ec2_new_default_group(rq, vpc, group));
    for (int i = 0; i < EC2_ZONES; i++) {
        cleanup_free char *what = text_format("default subnet %d", i);
        cleanup_free char *block = text_format("172.31.%d.0/20", i * 16);
        char zone[REGION_SIZE + 2];

        ec2_zone_name(rq->region, i, zone);
        ec2_put(rq, new_default(rq, NETWORK_KIND_subnet, what, vpc, block, zone));
    }
}

bool
ec2_may_change(const struct request *rq, struct err *err)
{
    if (json_get_bool(rq->input, "DryRun", false))
        return err_set(err, ERR_EC2_DRY_RUN,
                       "Request would have succeeded, but DryRun flag is set.");
    return true;
}

bool
ec2_begin(struct request *rq, struct err *err)
{
    make_defaults(rq);
    return strncmp(rq->operation, "Describe", 8) != 0 || ec2_may_change(rq, err);
}

/* ---- finding ---- */

struct network *
ec2_find(const struct request *rq, enum network_kind kind, const char *id, struct err *err)
{
    struct network *n = core_network_by_id(rq->core, rq->region, id);

    if (n != NULL && n->kind == kind)
        return n;
    if (kind == NETWORK_KIND_vpc)
        err_set(err, ERR_VPC_NOT_FOUND, "The vpc ID '%.100s' does not exist", id);
    else if (kind == NETWORK_KIND_subnet)
        err_set(err, ERR_SUBNET_NOT_FOUND, "The subnet ID '%.100s' does not exist", id);
    else
        err_set(err, ERR_GROUP_NOT_FOUND, "The security group '%.100s' does not exist", id);
    return NULL;
}

struct network *
ec2_default_vpc(const struct request *rq, struct err *err)
{
    for (struct network *n = rq->core->networks; n != NULL; n = n->next)
        if (n->kind == NETWORK_KIND_vpc && n->is_default && !n->is_gone &&
            strcmp(n->region, rq->region) == 0)
            return n;
    err_set(err, ERR_VPC_NOT_SPECIFIED, "No default VPC for this user");
    return NULL;
}

struct network *
ec2_group_named(const struct request *rq, const char *vpc_id, const char *name)
{
    for (struct network *n = rq->core->networks; n != NULL; n = n->next)
        if (n->kind == NETWORK_KIND_group && strcmp(n->name, name) == 0 &&
            strcmp(n->vpc_id, vpc_id) == 0 && strcmp(n->region, rq->region) == 0)
            return n;
    return NULL;
}

/* ---- zones and blocks ---- */

void
ec2_zone_name(const char *region, int index, char out[static REGION_SIZE + 2])
{
    snprintf(out, REGION_SIZE + 2, "%s%c", region, 'a' + index);
}

/* "northeast" is "ne", "central" is "c" */
void
ec2_zone_id(const char *region, int index, char out[static 32])
{
    struct str rest = str_of(region), word;
    cleanup(strbuf_done) struct strbuf id = {0};

    for (int i = 0; str_split(&rest, '-', &word); i++) {
        const bool is_whole = i == 0 || (word.len > 0 && word.at[0] >= '0' && word.at[0] <= '9');

        strbuf_add(&id, is_whole ? word : str_slice(word, 0, 1));
        if (i > 0 && (str_ends(word, STR("east")) || str_ends(word, STR("west"))) && word.len > 4)
            strbuf_add_char(&id, word.at[5]);
    }
    snprintf(out, 32, "%.20s-az%c", strbuf_cstr(&id), '1' + index);
}

bool
ec2_canonical_block(const char *text, bool is_ipv6, char out[static 64])
{
    struct address_block block;
    char address[INET6_ADDRSTRLEN];

    if (!address_block_parse(text, &block) || (block.size == 16) != is_ipv6)
        return false;
    for (int bit = block.bits; bit < block.size * 8; bit++)
        block.address[bit / 8] &= (unsigned char)~(0x80 >> bit % 8);
    if (inet_ntop(is_ipv6 ? AF_INET6 : AF_INET, block.address, address, sizeof(address)) == NULL)
        return false;
    snprintf(out, 64, "%s/%d", address, block.bits);
    return true;
}

/* ---- filters ---- */

/* '*' stands for any text, '?' for one character. */
static bool
value_matches(const struct json *value, const struct json *patterns)
{
    cleanup_free char *text =
        json_type(value) == JSON_TEXT ? text_dup(json_cstr(value, "")) : json_format(value);

    for (size_t i = 0; i < json_size(patterns); i++)
        if (str_like(str_of(json_cstr(json_at(patterns, i), "")), str_of(text)))
            return true;
    return false;
}

/* Does any value at the end of the path match?  Lists on the way are walked through. */
static bool
path_matches(const struct json *at, struct str path, const struct json *patterns)
{
    struct str step;
    char key[64];

    if (at == NULL)
        return false;
    if (json_type(at) == JSON_ARRAY) {
        for (size_t i = 0; i < json_size(at); i++)
            if (path_matches(json_at(at, i), path, patterns))
                return true;
        return false;
    }
    if (path.at == NULL || path.len == 0)
        return value_matches(at, patterns);
    return str_split(&path, '/', &step) && text_copy(key, sizeof(key), step) &&
           path_matches(json_get(at, key), path, patterns);
}

static bool
tag_matches(const struct json *item, const char *key, const struct json *patterns)
{
    const struct json *tag = json_find(json_get(item, "tagSet"), "key", key);

    return tag != NULL && value_matches(json_get(tag, "value"), patterns);
}

static const char *
path_of(const struct ec2_filter *filters, size_t count, const char *name)
{
    for (size_t i = 0; i < count; i++)
        if (strcmp(filters[i].name, name) == 0)
            return filters[i].path;
    return strcmp(name, "tag-key") == 0 ? "tagSet/key" : NULL;
}

static bool
check_filters(const struct json *given, const struct ec2_filter *filters, size_t count,
              struct err *err)
{
    for (size_t i = 0; i < json_size(given); i++) {
        const char *name = json_get_cstr(json_at(given, i), "Name", "");

        if (strncmp(name, "tag:", 4) != 0 && path_of(filters, count, name) == NULL)
            return err_set(err, ERR_EC2_INVALID_VALUE, "The filter '%.100s' is invalid", name);
        if (json_size(json_get(json_at(given, i), "Values")) == 0)
            return err_set(err, ERR_EC2_INVALID_VALUE, "The filter '%.100s' has no values", name);
    }
    return true;
}

static bool
passes(const struct json *item, const struct json *given, const struct ec2_filter *filters,
       size_t count)
{
    for (size_t i = 0; i < json_size(given); i++) {
        const char *name = json_get_cstr(json_at(given, i), "Name", "");
        const struct json *values = json_get(json_at(given, i), "Values");
        const bool is_tag = strncmp(name, "tag:", 4) == 0;

        if (is_tag ? !tag_matches(item, name + 4, values)
                   : !path_matches(item, str_of(path_of(filters, count, name)), values))
            return false;
    }
    return true;
}

/* ---- one page ---- */

static bool
check_paging(const struct request *rq, const char *list, struct err *err)
{
    const bool pages =
        json_get(rq->input, "MaxResults") != NULL || json_get(rq->input, "NextToken") != NULL;

    if (pages && list != NULL && json_size(json_get(rq->input, list)) > 0)
        return err_set(err, ERR_EC2_INVALID_COMBINATION,
                       "The parameter MaxResults cannot be used with the parameter %s", list);
    return true;
}

static void
write_page(const struct request *rq, struct json *out, const char *name, const struct json *sorted,
           const char *key)
{
    const char *after = json_get_cstr(rq->input, "NextToken", "");
    const int64_t size = json_get_i64(rq->input, "MaxResults", INT64_MAX);
    struct json *chosen = json_array();
    const char *last = "";

    for (size_t i = 0; i < json_size(sorted); i++) {
        const char *text = json_get_cstr(json_at(sorted, i), key, "");

        if (after[0] != '\0' && strcmp(text, after) <= 0)
            continue;
        if ((int64_t)json_size(chosen) == size) {
            json_set(out, "nextToken", json_text(last));
            break;
        }
        json_append(chosen, json_ref(json_at(sorted, i)));
        last = text;
    }
    json_set(out, name, chosen);
}

bool
ec2_answer(const struct request *rq, struct json *out, const char *name, struct json *items,
           const char *key, const struct ec2_filter *filters, size_t filter_count, const char *list,
           struct err *err)
{
    const struct json *given = json_get(rq->input, "Filters");
    struct json *chosen = json_array();

    if (!check_paging(rq, list, err) || !check_filters(given, filters, filter_count, err)) {
        json_unref(items);
        json_unref(chosen);
        return false;
    }
    for (size_t i = 0; i < json_size(items); i++)
        if (passes(json_at(items, i), given, filters, filter_count))
            json_append(chosen, json_ref(json_at(items, i)));
    json_unref(items);
    chosen = sorted_by(chosen, key);
    write_page(rq, out, name, chosen, key);
    json_unref(chosen);
    return true;
}

bool
ec2_is_asked(const struct json *list, const char *text)
{
    return json_size(list) == 0 || json_has_text(list, text);
}
