/* SPDX-License-Identifier: MIT */
/* ec2_permission.c - from what requests say of permissions to rules, one for each source, and back.
 */
#include "api/ec2.h"

#include <stdio.h>

/* ---- reading ---- */

static bool
take_protocol(const char *given, char out[static 16], struct err *err)
{
    static const struct {
        const char *number, *name;
    } rows[] = {{"6", "tcp"}, {"17", "udp"}, {"1", "icmp"}, {"58", "icmpv6"}};
    int64_t number;

    for (size_t i = 0; i < ARRAY_COUNT(rows); i++)
        if (str_equal_nocase(str_of(given), str_of(rows[i].name)) ||
            strcmp(given, rows[i].number) == 0)
            return text_copy(out, 16, str_of(rows[i].name));
    if (strcmp(given, "-1") == 0 || str_equal_nocase(str_of(given), STR("all")))
        return text_copy(out, 16, STR("-1"));
    if (str_to_i64(str_of(given), &number) && number >= 0 && number <= 255) {
        snprintf(out, 16, "%d", (int)number);
        return true;
    }
    return err_set(err, ERR_EC2_INVALID_VALUE,
                   "Invalid value '%.60s' for IP protocol. Unknown protocol.", given);
}

/* Protocol and ports, as each rule of the permission has them. */
static bool
take_ports(const struct json *permission, struct json *rule, struct err *err)
{
    const char *given = json_get_cstr(permission, "IpProtocol", NULL);
    const bool has_ports =
        json_get(permission, "FromPort") != NULL && json_get(permission, "ToPort") != NULL;
    const int64_t from = json_get_i64(permission, "FromPort", -1),
                  to = json_get_i64(permission, "ToPort", -1);
    char protocol[16];

    if (given == NULL)
        return err_set(err, ERR_ELB_MISSING_PARAMETER,
                       "The request must contain the parameter ipProtocol");
    if (!take_protocol(given, protocol, err))
        return false;
    json_set(rule, "Protocol", json_text(protocol));
    if (strcmp(protocol, "tcp") == 0 || strcmp(protocol, "udp") == 0) {
        if (!has_ports)
            return err_set(
                err, ERR_EC2_INVALID_VALUE,
                "Invalid value 'Must specify both from and to ports with TCP/UDP.' for portRange.");
        if (from < 0 || to > 65535 || from > to)
            return err_set(err, ERR_EC2_INVALID_VALUE,
                           "Invalid value '%lld-%lld' for portRange. It must be within 0 and "
                           "65535, the lower one first.",
                           (long long)from, (long long)to);
    } else if (strncmp(protocol, "icmp", 4) == 0) {
        if (!has_ports)
            return err_set(err, ERR_EC2_INVALID_VALUE,
                           "ICMP rules must name a type (fromPort) and a code (toPort)");
        if (from < -1 || from > 255 || to < -1 || to > 255)
            return err_set(err, ERR_EC2_INVALID_VALUE,
                           "ICMP type and code must be within -1 and 255");
    } else {
        return true; /* every port: what is given besides counts for nothing */
    }
    json_set(rule, "FromPort", json_int(from));
    json_set(rule, "ToPort", json_int(to));
    return true;
}

static void
add_rule(struct json *rules, const struct json *ports, const char *member, const char *source,
         const char *description)
{
    struct json *rule = json_copy(ports);

    json_set(rule, member, json_text(source));
    if (description != NULL)
        json_set(rule, "Description", json_text(description));
    json_append(rules, rule);
}

static bool
check_description(const struct json *source, struct err *err)
{
    if (strlen(json_get_cstr(source, "Description", "")) > 255)
        return err_set(err, ERR_EC2_INVALID_VALUE,
                       "Invalid rule description: at most 255 characters");
    return true;
}

static bool
add_blocks(struct json *rules, const struct json *ports, const struct json *ranges, bool is_ipv6,
           struct err *err)
{
    const char *member = is_ipv6 ? "CidrIpv6" : "CidrIp";

    for (size_t i = 0; i < json_size(ranges); i++) {
        const char *given = json_get_cstr(json_at(ranges, i), member, "");
        char block[64];

        if (!ec2_canonical_block(given, is_ipv6, block))
            return err_set(err, ERR_EC2_INVALID_VALUE, "CIDR block %.100s is malformed", given);
        if (!check_description(json_at(ranges, i), err))
            return false;
        add_rule(rules, ports, is_ipv6 ? "CidrIpv6" : "CidrIpv4", block,
                 json_get_cstr(json_at(ranges, i), "Description", NULL));
    }
    return true;
}

/* Rules whose source is a group are kept; nobody comes in by them (docs/LIMITS.md). */
static bool
add_groups(const struct request *rq, struct json *rules, const struct json *ports,
           const struct json *pairs, struct err *err)
{
    for (size_t i = 0; i < json_size(pairs); i++) {
        const char *id = json_get_cstr(json_at(pairs, i), "GroupId", NULL);
        const char *name = json_get_cstr(json_at(pairs, i), "GroupName", NULL);
        const char *owner = json_get_cstr(json_at(pairs, i), "UserId", rq->account);
        const struct network *group = NULL, *vpc;

        if (id != NULL && strcmp(owner, rq->account) == 0) {
            group = ec2_find(rq, NETWORK_KIND_group, id, err);
        } else if (id == NULL && name != NULL && strcmp(owner, rq->account) == 0) {
            vpc = ec2_default_vpc(rq, err);
            if (vpc == NULL)
                return false;
            group = ec2_group_named(rq, vpc->id, name);
        }
        if (group == NULL)
            return err_set(err, ERR_GROUP_NOT_FOUND, "The security group '%.100s' does not exist",
                           id != NULL     ? id
                           : name != NULL ? name
                                          : "");
        if (!check_description(json_at(pairs, i), err))
            return false;
        add_rule(rules, ports, "GroupId", group->id,
                 json_get_cstr(json_at(pairs, i), "Description", NULL));
    }
    return true;
}

static bool
add_permission(const struct request *rq, struct json *rules, const struct json *permission,
               struct err *err)
{
    cleanup_json struct json *ports = json_object();
    const struct json *lists = json_get(permission, "PrefixListIds");
    const size_t before = json_size(rules);

    if (!take_ports(permission, ports, err))
        return false;
    if (json_size(lists) > 0)
        return err_set(err, ERR_PREFIX_LIST_NOT_FOUND,
                       "The prefix list ID '%.100s' does not exist: naru has none",
                       json_get_cstr(json_at(lists, 0), "PrefixListId", ""));
    if (!add_blocks(rules, ports, json_get(permission, "IpRanges"), false, err) ||
        !add_blocks(rules, ports, json_get(permission, "Ipv6Ranges"), true, err) ||
        !add_groups(rq, rules, ports, json_get(permission, "UserIdGroupPairs"), err))
        return false;
    if (json_size(rules) == before)
        return err_set(
            err, ERR_PERMISSION_MALFORMED,
            "The permission names no source: give IpRanges, Ipv6Ranges or UserIdGroupPairs");
    return true;
}

/* CidrIp, FromPort, ... of the request itself, in the form of a permission. */
static struct json *
plain_permission(const struct request *rq)
{
    static const char *const kept[] = {"IpProtocol", "FromPort", "ToPort"};
    struct json *permission = json_object(), *list = json_array(), *one = json_object();
    const char *block = json_get_cstr(rq->input, "CidrIp", NULL);
    const char *group = json_get_cstr(rq->input, "SourceSecurityGroupName", NULL);

    for (size_t i = 0; i < ARRAY_COUNT(kept); i++)
        if (json_get(rq->input, kept[i]) != NULL)
            json_set(permission, kept[i], json_ref(json_get(rq->input, kept[i])));
    if (group != NULL && json_get(permission, "IpProtocol") == NULL)
        json_set(permission, "IpProtocol", json_text("-1"));
    json_set(one, block != NULL ? "CidrIp" : "GroupName", json_text(block != NULL ? block : group));
    if (json_get(rq->input, "SourceSecurityGroupOwnerId") != NULL)
        json_set(one, "UserId", json_ref(json_get(rq->input, "SourceSecurityGroupOwnerId")));
    if (block != NULL || group != NULL)
        json_append(list, json_ref(one));
    json_unref(one);
    json_set(permission, block != NULL ? "IpRanges" : "UserIdGroupPairs", list);
    return permission;
}

/* The old parameters. */
static bool
has_plain(const struct request *rq)
{
    static const char *const names[] = {"CidrIp", "FromPort", "ToPort", "IpProtocol",
                                        "SourceSecurityGroupName"};

    for (size_t i = 0; i < ARRAY_COUNT(names); i++)
        if (json_get(rq->input, names[i]) != NULL)
            return true;
    return false;
}

bool
ec2_names_permissions(const struct request *rq)
{
    return json_size(json_get(rq->input, "IpPermissions")) > 0 || has_plain(rq);
}

struct json *
ec2_read_rules(const struct request *rq, struct err *err)
{
    const struct json *permissions = json_get(rq->input, "IpPermissions");
    struct json *rules = json_array();
    bool ok = true;

    if (json_size(permissions) > 0 && has_plain(rq)) {
        ok =
            err_set(err, ERR_EC2_INVALID_COMBINATION,
                    "The parameter ipPermissions may not be used in combination with the old ones");
    } else if (json_size(permissions) > 0) {
        for (size_t i = 0; ok && i < json_size(permissions); i++)
            ok = add_permission(rq, rules, json_at(permissions, i), err);
    } else if (json_get(rq->input, "CidrIp") != NULL &&
               json_get(rq->input, "SourceSecurityGroupName") != NULL) {
        ok = err_set(err, ERR_EC2_INVALID_COMBINATION,
                     "The parameters cidrIp and sourceSecurityGroupName may not be used together");
    } else if (has_plain(rq)) {
        cleanup_json struct json *permission = plain_permission(rq);
        ok = add_permission(rq, rules, permission, err);
    } else {
        ok = err_set(err, ERR_ELB_MISSING_PARAMETER,
                     "The request must contain the parameter ipPermissions");
    }
    if (ok && json_size(rules) > EC2_RULES_PER_REQUEST)
        ok = err_set(err, ERR_EC2_INVALID_VALUE, "A request can name at most %d rules",
                     EC2_RULES_PER_REQUEST);
    for (size_t i = 0; ok && i < json_size(rules); i++)
        for (size_t k = 0; ok && k < i; k++)
            if (ec2_rules_equal(json_at(rules, i), json_at(rules, k)))
                ok = err_set(err, ERR_EC2_INVALID_VALUE,
                             "The same permission must not appear multiple times");
    if (ok)
        return rules;
    json_unref(rules);
    return NULL;
}

/* ---- comparing ---- */

static bool
is_same_text(const struct json *a, const struct json *b, const char *member)
{
    return strcmp(json_get_cstr(a, member, ""), json_get_cstr(b, member, "")) == 0;
}

static bool
has_same_ports(const struct json *a, const struct json *b)
{
    return is_same_text(a, b, "Protocol") &&
           json_get_i64(a, "FromPort", -2) == json_get_i64(b, "FromPort", -2) &&
           json_get_i64(a, "ToPort", -2) == json_get_i64(b, "ToPort", -2);
}

bool
ec2_rules_equal(const struct json *a, const struct json *b)
{
    return has_same_ports(a, b) && is_same_text(a, b, "CidrIpv4") &&
           is_same_text(a, b, "CidrIpv6") && is_same_text(a, b, "GroupId");
}

static const char *
source_of(const struct json *rule)
{
    return json_get_cstr(rule, "CidrIpv4",
                         json_get_cstr(rule, "CidrIpv6", json_get_cstr(rule, "GroupId", "")));
}

void
ec2_rule_words(const struct json *rule, char *out, size_t size)
{
    const char *protocol = json_get_cstr(rule, "Protocol", "");
    char upper[16] = "ALL";

    for (size_t i = 0; strcmp(protocol, "-1") != 0 && i <= strlen(protocol) && i < sizeof(upper);
         i++)
        upper[i] = (char)(protocol[i] >= 'a' && protocol[i] <= 'z' ? protocol[i] - 'a' + 'A'
                                                                   : protocol[i]);
    if (json_get(rule, "FromPort") == NULL)
        snprintf(out, size, "peer: %s, %s, ALLOW", source_of(rule), upper);
    else
        snprintf(out, size, "peer: %s, %s, from port: %lld, to port: %lld, ALLOW", source_of(rule),
                 upper, (long long)json_get_i64(rule, "FromPort", 0),
                 (long long)json_get_i64(rule, "ToPort", 0));
}

/* ---- showing ---- */

static void
copy_ports(struct json *to, const struct json *rule)
{
    json_set(to, "ipProtocol", json_text(json_get_cstr(rule, "Protocol", "")));
    if (json_get(rule, "FromPort") != NULL)
        json_set(to, "fromPort", json_ref(json_get(rule, "FromPort")));
    if (json_get(rule, "ToPort") != NULL)
        json_set(to, "toPort", json_ref(json_get(rule, "ToPort")));
}

static struct json *
source_json(const struct request *rq, const struct json *rule)
{
    struct json *o = json_object();

    if (json_get(rule, "CidrIpv4") != NULL)
        json_set(o, "cidrIp", json_ref(json_get(rule, "CidrIpv4")));
    if (json_get(rule, "CidrIpv6") != NULL)
        json_set(o, "cidrIpv6", json_ref(json_get(rule, "CidrIpv6")));
    if (json_get(rule, "GroupId") != NULL) {
        json_set(o, "groupId", json_ref(json_get(rule, "GroupId")));
        json_set(o, "userId", json_text(rq->account));
    }
    if (json_get(rule, "Description") != NULL)
        json_set(o, "description", json_ref(json_get(rule, "Description")));
    return o;
}

/* The one of `all` that has the rule's protocol and ports; made if there is none. */
static struct json *
permission_of(struct json *all, const struct json *rule)
{
    struct json *permission;

    for (size_t i = 0; i < json_size(all); i++) {
        permission = json_at(all, i);
        if (strcmp(json_get_cstr(permission, "ipProtocol", ""),
                   json_get_cstr(rule, "Protocol", "")) == 0 &&
            json_get_i64(permission, "fromPort", -2) == json_get_i64(rule, "FromPort", -2) &&
            json_get_i64(permission, "toPort", -2) == json_get_i64(rule, "ToPort", -2))
            return permission;
    }
    permission = json_object();
    copy_ports(permission, rule);
    json_set(permission, "groups", json_array());
    json_set(permission, "ipRanges", json_array());
    json_set(permission, "ipv6Ranges", json_array());
    json_set(permission, "prefixListIds", json_array());
    json_append(all, permission);
    return permission;
}

/* Rules of one protocol and one range of ports are one permission. */
struct json *
ec2_permissions_json(const struct request *rq, const struct json *rules)
{
    struct json *all = json_array();

    for (size_t i = 0; i < json_size(rules); i++) {
        const struct json *rule = json_at(rules, i);
        const char *list = json_get(rule, "CidrIpv4") != NULL   ? "ipRanges"
                           : json_get(rule, "CidrIpv6") != NULL ? "ipv6Ranges"
                                                                : "groups";

        json_append(json_get(permission_of(all, rule), list), source_json(rq, rule));
    }
    return all;
}

struct json *
ec2_rule_json(const struct request *rq, const struct network *group, const struct json *rule,
              bool is_egress)
{
    struct json *o = json_object(), *other;

    json_set(o, "securityGroupRuleId", json_ref(json_get(rule, "Id")));
    json_set(o, "groupId", json_text(group->id));
    json_set(o, "groupOwnerId", json_text(rq->account));
    json_set(o, "isEgress", json_bool(is_egress));
    copy_ports(o, rule);
    if (json_get(rule, "FromPort") == NULL) {
        json_set(o, "fromPort", json_int(-1));
        json_set(o, "toPort", json_int(-1));
    }
    if (json_get(rule, "CidrIpv4") != NULL)
        json_set(o, "cidrIpv4", json_ref(json_get(rule, "CidrIpv4")));
    if (json_get(rule, "CidrIpv6") != NULL)
        json_set(o, "cidrIpv6", json_ref(json_get(rule, "CidrIpv6")));
    if (json_get(rule, "GroupId") != NULL) {
        other = json_object();
        json_set(other, "groupId", json_ref(json_get(rule, "GroupId")));
        json_set(other, "userId", json_text(rq->account));
        json_set(o, "referencedGroupInfo", other);
    }
    if (json_get(rule, "Description") != NULL)
        json_set(o, "description", json_ref(json_get(rule, "Description")));
    json_set(o, "tagSet", json_array());
    return o;
}
