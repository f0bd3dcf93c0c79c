/* SPDX-License-Identifier: MIT */
#include "api/ec2.h"

#include <stdio.h>
#include "base/random.h"

#define GROUPS_MAX 2500 /* a region */

/* Everything may go out, as in a new group of AWS; nothing enforces or changes that
 * (docs/LIMITS.md). */
static struct json *
egress_rules(const struct network *group)
{
    struct json *rules = json_array(), *rule = json_object();
    char id[EC2_ID_SIZE];

    /* Made of the group's, and other than an ingress rule's of the default group. */
    snprintf(id, sizeof(id), "sgr-%.16s%c", group->id + 3, group->id[3] == '0' ? '1' : '0');
    json_set(rule, "Id", json_text(id));
    json_set(rule, "Protocol", json_text("-1"));
    json_set(rule, "CidrIpv4", json_text("0.0.0.0/0"));
    json_append(rules, rule);
    return rules;
}

static const struct json *
rules_of(const struct network *group)
{
    return json_get(group->doc, "Rules");
}

struct json *
ec2_group_json(const struct request *rq, const struct network *n)
{
    cleanup_json struct json *egress = egress_rules(n);
    struct json *o = json_object();

    json_set(o, "ownerId", json_text(rq->account));
    json_set(o, "groupId", json_text(n->id));
    json_set(o, "groupName", json_text(n->name));
    json_set(o, "groupDescription", json_text(json_get_cstr(n->doc, "Description", "")));
    json_set(o, "vpcId", json_text(n->vpc_id));
    json_set(o, "securityGroupArn", json_text(n->arn));
    json_set(o, "ipPermissions", ec2_permissions_json(rq, rules_of(n)));
    json_set(o, "ipPermissionsEgress", ec2_permissions_json(rq, egress));
    json_set(o, "tagSet", ec2_tag_set(n->tags));
    return o;
}

/* ---- CreateSecurityGroup ---- */

static bool
check_words(const char *what, const char *text, struct err *err)
{
    static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
                                  " ._-:/()#,@[]+=&;{}!$*";

    if (text[0] == '\0' || strlen(text) > 255 || text[strspn(text, allowed)] != '\0')
        return err_set(
            err, ERR_EC2_INVALID_VALUE,
            "Value (%.100s) for parameter %s is invalid. It must have 1 to 255 characters of "
            "a-z, A-Z, 0-9, spaces and ._-:/()#,@[]+=&;{}!$*",
            text, what);
    return true;
}

static const struct network *
vpc_of(const struct request *rq, struct err *err)
{
    const char *id = json_get_cstr(rq->input, "VpcId", NULL);

    return id != NULL ? ec2_find(rq, NETWORK_KIND_vpc, id, err) : ec2_default_vpc(rq, err);
}

static bool
check_create(const struct request *rq, const struct network *vpc, const char *name, struct err *err)
{
    int count = 0;

    if (!check_words("groupName", name, err) ||
        !check_words("groupDescription", json_get_cstr(rq->input, "Description", ""), err))
        return false;
    if (strncmp(name, "sg-", 3) == 0)
        return err_set(err, ERR_EC2_INVALID_VALUE,
                       "Value (%.100s) for parameter groupName is invalid. Group names may not be "
                       "in the format sg-*.",
                       name);
    if (strcmp(name, "default") == 0)
        return err_set(err, ERR_GROUP_RESERVED, "The security group '%s' is reserved", name);
    if (ec2_group_named(rq, vpc->id, name) != NULL)
        return err_set(err, ERR_GROUP_DUPLICATE,
                       "The security group '%s' already exists for VPC '%s'", name, vpc->id);
    for (const struct network *n = rq->core->networks; n != NULL; n = n->next)
        count += n->kind == NETWORK_KIND_group && strcmp(n->region, rq->region) == 0;
    if (count >= GROUPS_MAX)
        return err_set(err, ERR_GROUP_LIMIT,
                       "The maximum number of security groups has been reached.");
    return ec2_check_tag_specifications(rq, "security-group", err);
}

bool
ec2_create_security_group(struct request *rq, struct json *out, struct err *err)
{
    const char *name = json_get_cstr(rq->input, "GroupName", "");
    const struct network *vpc;
    struct network *group;
    struct json *doc;

    if (!ec2_begin(rq, err) || (vpc = vpc_of(rq, err)) == NULL ||
        !check_create(rq, vpc, name, err) || !ec2_may_change(rq, err))
        return false;
    doc = json_object();
    json_set(doc, "Description", json_text(json_get_cstr(rq->input, "Description", "")));
    json_set(doc, "Rules", json_array());
    group = ec2_new(rq, NETWORK_KIND_group, vpc->id, doc);
    text_copy_all(group->name, sizeof(group->name), name);
    ec2_put(rq, group);
    json_set(out, "groupId", json_text(group->id));
    json_set(out, "securityGroupArn", json_text(group->arn));
    json_set(out, "tagSet", ec2_tag_set(group->tags));
    json_set(out, "return", json_bool(true));
    return true;
}

/* ---- finding one ---- */

/* By GroupId, or by GroupName in the default VPC. */
static const struct network *
named_group(const struct request *rq, struct err *err)
{
    const char *id = json_get_cstr(rq->input, "GroupId", NULL),
               *name = json_get_cstr(rq->input, "GroupName", NULL);
    const struct network *vpc, *group;

    if (id != NULL)
        return ec2_find(rq, NETWORK_KIND_group, id, err);
    if (name == NULL) {
        err_set(err, ERR_ELB_MISSING_PARAMETER,
                "The request must contain the parameter groupName or groupId");
        return NULL;
    }
    vpc = ec2_default_vpc(rq, err);
    group = vpc != NULL ? ec2_group_named(rq, vpc->id, name) : NULL;
    if (vpc != NULL && group == NULL)
        err_set(err, ERR_GROUP_NOT_FOUND,
                "The security group '%.100s' does not exist in default VPC '%s'", name, vpc->id);
    return group;
}

/* ---- DescribeSecurityGroups ---- */

static bool
check_names(const struct request *rq, struct err *err)
{
    const struct json *ids = json_get(rq->input, "GroupIds"),
                      *names = json_get(rq->input, "GroupNames");
    const struct network *vpc = NULL;

    for (size_t i = 0; i < json_size(ids); i++) {
        const char *id = json_cstr(json_at(ids, i), "");

        if (strncmp(id, "sg-", 3) != 0)
            return err_set(err, ERR_GROUP_ID_MALFORMED,
                           "Invalid id: \"%.100s\" (expecting \"sg-...\")", id);
        if (ec2_find(rq, NETWORK_KIND_group, id, err) == NULL)
            return false;
    }
    if (json_size(names) > 0 && (vpc = ec2_default_vpc(rq, err)) == NULL)
        return false;
    for (size_t i = 0; i < json_size(names); i++)
        if (ec2_group_named(rq, vpc->id, json_cstr(json_at(names, i), "")) == NULL)
            return err_set(err, ERR_GROUP_NOT_FOUND,
                           "The security group '%.100s' does not exist in default VPC '%s'",
                           json_cstr(json_at(names, i), ""), vpc->id);
    return true;
}

bool
ec2_describe_security_groups(struct request *rq, struct json *out, struct err *err)
{
    static const struct ec2_filter filters[] = {
        {"group-id", "groupId"},
        {"group-name", "groupName"},
        {"vpc-id", "vpcId"},
        {"description", "groupDescription"},
        {"owner-id", "ownerId"},
        {"ip-permission.cidr", "ipPermissions/ipRanges/cidrIp"},
        {"ip-permission.ipv6-cidr", "ipPermissions/ipv6Ranges/cidrIpv6"},
        {"ip-permission.from-port", "ipPermissions/fromPort"},
        {"ip-permission.to-port", "ipPermissions/toPort"},
        {"ip-permission.protocol", "ipPermissions/ipProtocol"},
        {"ip-permission.group-id", "ipPermissions/groups/groupId"},
        {"egress.ip-permission.cidr", "ipPermissionsEgress/ipRanges/cidrIp"},
    };
    const struct json *ids = json_get(rq->input, "GroupIds"),
                      *names = json_get(rq->input, "GroupNames");
    struct err ignored = {0};
    const struct network *vpc;
    struct json *all;

    if (!ec2_begin(rq, err) || !check_names(rq, err))
        return false;
    vpc = ec2_default_vpc(rq, &ignored);
    all = json_array();
    for (const struct network *n = rq->core->networks; n != NULL; n = n->next) {
        /* Names are of the default VPC; of ids and names together, either. */
        const bool has_id = json_size(ids) > 0 && ec2_is_asked(ids, n->id);
        const bool has_name = json_size(names) > 0 && vpc != NULL &&
                              strcmp(n->vpc_id, vpc->id) == 0 && ec2_is_asked(names, n->name);

        if (n->kind == NETWORK_KIND_group && strcmp(n->region, rq->region) == 0 &&
            (has_id || has_name || (json_size(ids) == 0 && json_size(names) == 0)))
            json_append(all, ec2_group_json(rq, n));
    }
    return ec2_answer(rq, out, "securityGroupInfo", all, "groupId", filters, ARRAY_COUNT(filters),
                      "GroupIds", err);
}

/* ---- DeleteSecurityGroup ---- */

bool
ec2_group_is_used(const struct request *rq, const struct network *group)
{
    for (const struct load_balancer *lb = rq->core->load_balancers; lb != NULL; lb = lb->next) {
        const struct json *groups = json_get(lb->doc, "SecurityGroups");

        if (strcmp(lb->region, rq->region) == 0 && json_size(groups) > 0 &&
            ec2_is_asked(groups, group->id))
            return true;
    }
    for (const struct network *n = rq->core->networks; n != NULL; n = n->next)
        if (n != group && n->kind == NETWORK_KIND_group && strcmp(n->region, group->region) == 0 &&
            json_find(rules_of(n), "GroupId", group->id) != NULL)
            return true;
    return false;
}

bool
ec2_delete_security_group(struct request *rq, struct json *out, struct err *err)
{
    const struct network *group;

    if (!ec2_begin(rq, err) || (group = named_group(rq, err)) == NULL)
        return false;
    if (group->is_default)
        return err_set(err, ERR_GROUP_CANNOT_DELETE,
                       "the specified group: \"%s\" name: \"default\" cannot be deleted by a user",
                       group->id);
    if (ec2_group_is_used(rq, group))
        return err_set(err, ERR_EC2_DEPENDENCY, "resource %s has a dependent object", group->id);
    if (!ec2_may_change(rq, err))
        return false;
    json_set(out, "return", json_bool(true));
    json_set(out, "groupId", json_text(group->id));
    ec2_delete(rq, group);
    return true;
}

/* ---- AuthorizeSecurityGroupIngress ---- */

static const struct json *
find_equal(const struct json *rules, const struct json *rule)
{
    for (size_t i = 0; i < json_size(rules); i++)
        if (ec2_rules_equal(json_at(rules, i), rule))
            return json_at(rules, i);
    return NULL;
}

static bool
check_new_rules(const struct network *group, const struct json *added, struct err *err)
{
    char words[256];

    for (size_t i = 0; i < json_size(added); i++)
        if (find_equal(rules_of(group), json_at(added, i)) != NULL) {
            ec2_rule_words(json_at(added, i), words, sizeof(words));
            return err_set(err, ERR_PERMISSION_DUPLICATE,
                           "the specified rule \"%s\" already exists", words);
        }
    if (json_size(rules_of(group)) + json_size(added) > EC2_RULES_MAX)
        return err_set(err, ERR_GROUP_RULE_LIMIT,
                       "The maximum number of rules per security group has been reached.");
    return true;
}

bool
ec2_authorize_ingress(struct request *rq, struct json *out, struct err *err)
{
    cleanup_json struct json *added = NULL;
    const struct network *group;
    struct json *rules, *shown;

    if (!ec2_begin(rq, err) || (group = named_group(rq, err)) == NULL)
        return false;
    if (json_size(json_get(rq->input, "TagSpecifications")) > 0)
        return err_set(err, ERR_EC2_UNSUPPORTED,
                       "Tags of the rules of security groups are not built in naru");
    added = ec2_read_rules(rq, err);
    if (added == NULL || !check_new_rules(group, added, err) || !ec2_may_change(rq, err))
        return false;
    rules = json_copy(rules_of(group));
    shown = json_array();
    for (size_t i = 0; i < json_size(added); i++) {
        struct json *rule = json_copy(json_at(added, i));
        char hex[18];
        cleanup_free char *id = NULL;

        random_hex(hex, 17);
        id = text_format("sgr-%s", hex);
        json_set(rule, "Id", json_text(id));
        json_append(shown, ec2_rule_json(rq, group, rule, false));
        json_append(rules, rule);
    }
    ec2_put_rules(rq, group, rules);
    json_set(out, "return", json_bool(true));
    json_set(out, "securityGroupRuleSet", shown);
    return true;
}

/* ---- RevokeSecurityGroupIngress ---- */

/* The group's rules without those of the ids; NULL and err if one is not there. */
static struct json *
rules_without_ids(const struct network *group, const struct json *ids, struct err *err)
{
    struct json *left = json_array();

    for (size_t i = 0; i < json_size(ids); i++)
        if (json_find(rules_of(group), "Id", json_cstr(json_at(ids, i), "")) == NULL) {
            err_set(err, ERR_GROUP_RULE_NOT_FOUND,
                    "The security group rule ID '%.100s' does not exist",
                    json_cstr(json_at(ids, i), ""));
            json_unref(left);
            return NULL;
        }
    for (size_t i = 0; i < json_size(rules_of(group)); i++)
        if (!ec2_is_asked(ids, json_get_cstr(json_at(rules_of(group), i), "Id", "")))
            json_append(left, json_copy(json_at(rules_of(group), i)));
    return left;
}

/* As AWS: what is not there is told in an answer in a default VPC, and refused in another one. */
static struct json *
rules_without(const struct request *rq, const struct network *group, const struct json *removed,
              struct json *out, struct err *err)
{
    cleanup_json struct json *unknown = json_array();
    const struct network *vpc = ec2_find(rq, NETWORK_KIND_vpc, group->vpc_id, err);
    struct json *left;

    for (size_t i = 0; i < json_size(removed); i++)
        if (find_equal(rules_of(group), json_at(removed, i)) == NULL)
            json_append(unknown, json_copy(json_at(removed, i)));
    if (json_size(unknown) > 0 && (vpc == NULL || !vpc->is_default)) {
        err_set(err, ERR_PERMISSION_NOT_FOUND,
                "The specified rule does not exist in this security group.");
        return NULL;
    }
    if (json_size(unknown) > 0)
        json_set(out, "unknownIpPermissionSet", ec2_permissions_json(rq, unknown));
    left = json_array();
    for (size_t i = 0; i < json_size(rules_of(group)); i++)
        if (find_equal(removed, json_at(rules_of(group), i)) == NULL)
            json_append(left, json_copy(json_at(rules_of(group), i)));
    return left;
}

bool
ec2_revoke_ingress(struct request *rq, struct json *out, struct err *err)
{
    const struct json *ids = json_get(rq->input, "SecurityGroupRuleIds");
    cleanup_json struct json *removed = NULL, *left = NULL;
    const struct network *group;

    if (!ec2_begin(rq, err) || (group = named_group(rq, err)) == NULL)
        return false;
    if (json_size(ids) > 0 && ec2_names_permissions(rq))
        return err_set(err, ERR_EC2_INVALID_COMBINATION,
                       "The parameter securityGroupRuleIds may not be used in combination with "
                       "permissions");
    if (json_size(ids) > 0) {
        left = rules_without_ids(group, ids, err);
    } else {
        removed = ec2_read_rules(rq, err);
        if (removed != NULL)
            left = rules_without(rq, group, removed, out, err);
    }
    if (left == NULL || !ec2_may_change(rq, err))
        return false;
    if (json_size(left) < json_size(rules_of(group)))
        ec2_put_rules(rq, group, TAKE(left));
    json_set(out, "return", json_bool(true));
    return true;
}

/* ---- DescribeSecurityGroupRules ---- */

static size_t
add_rules(const struct request *rq, struct json *all, const struct network *group,
          const struct json *rules, bool is_egress)
{
    const struct json *ids = json_get(rq->input, "SecurityGroupRuleIds");
    size_t count = 0;

    for (size_t i = 0; i < json_size(rules); i++)
        if (ec2_is_asked(ids, json_get_cstr(json_at(rules, i), "Id", ""))) {
            json_append(all, ec2_rule_json(rq, group, json_at(rules, i), is_egress));
            count++;
        }
    return count;
}

bool
ec2_describe_security_group_rules(struct request *rq, struct json *out, struct err *err)
{
    static const struct ec2_filter filters[] = {{"group-id", "groupId"},
                                                {"security-group-rule-id", "securityGroupRuleId"}};
    const struct json *ids = json_get(rq->input, "SecurityGroupRuleIds");
    struct json *all;
    size_t found = 0;

    if (!ec2_begin(rq, err))
        return false;
    all = json_array();
    for (const struct network *n = rq->core->networks; n != NULL; n = n->next) {
        cleanup_json struct json *egress = NULL;

        if (n->kind != NETWORK_KIND_group || strcmp(n->region, rq->region) != 0)
            continue;
        egress = egress_rules(n);
        found += add_rules(rq, all, n, rules_of(n), false) + add_rules(rq, all, n, egress, true);
    }
    if (found < json_size(ids)) {
        json_unref(all);
        return err_set(err, ERR_GROUP_RULE_NOT_FOUND,
                       "One or more of the security group rule IDs does not exist");
    }
    return ec2_answer(rq, out, "securityGroupRuleSet", all, "securityGroupRuleId", filters,
                      ARRAY_COUNT(filters), "SecurityGroupRuleIds", err);
}
