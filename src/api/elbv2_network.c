/* SPDX-License-Identifier: MIT */
/* elbv2_network.c - where a load balancer stands: subnets, security groups, address type. */
#include "api/elbv2.h"

#include <stdio.h>

/* ---- what follows from the subnets, if they are known here ---- */

static const struct network *
subnet_of(const struct request *rq, const struct load_balancer *lb, size_t index)
{
    const char *id = json_cstr(json_at(json_get(lb->doc, "Subnets"), index), "");
    const struct network *n = core_network_by_id(rq->core, lb->region, id);

    return n != NULL && n->kind == NETWORK_KIND_subnet ? n : NULL;
}

const char *
elb_vpc_of(const struct request *rq, const struct load_balancer *lb)
{
    for (size_t i = 0; i < json_size(json_get(lb->doc, "Subnets")); i++) {
        const struct network *subnet = subnet_of(rq, lb, i);
        if (subnet != NULL)
            return subnet->vpc_id;
    }
    return "vpc-00000000";
}

static struct json *
zone_of(const struct request *rq, const struct load_balancer *lb, size_t index)
{
    const struct network *subnet = subnet_of(rq, lb, index);
    char name[REGION_SIZE + 2];

    if (subnet != NULL)
        return json_text(json_get_cstr(subnet->doc, "AvailabilityZone", ""));
    snprintf(name, sizeof(name), "%s%c", lb->region, (char)('a' + index % 26));
    return json_text(name);
}

/* ---- subnets ---- */

/* What only network load balancers can ask for, and machines with IPv6. */
static bool
check_mapping(const struct json *mapping, bool is_network, struct err *err)
{
    static const char *const refused[] = {"AllocationId", "PrivateIPv4Address", "IPv6Address",
                                          "SourceNatIpv6Prefix"};

    for (size_t i = 0; i < ARRAY_COUNT(refused); i++)
        if (json_get(mapping, refused[i]) != NULL)
            return err_set(err, ERR_INVALID_CONFIGURATION,
                           is_network ? "%s is not built in naru"
                                      : "%s is not supported for load balancers with type 'application'",
                           refused[i]);
    return json_get(mapping, "SubnetId") != NULL ||
           err_set(err, ERR_ELB_VALIDATION, "A subnet mapping must have a SubnetId");
}

/* NULL if it is not known here. */
static const struct network *
known(const struct request *rq, const char *id, enum network_kind kind)
{
    const struct network *n = core_network_by_id(rq->core, rq->region, id);

    return n != NULL && n->kind == kind ? n : NULL;
}

/* The VPC of the subnets, or NULL if none of them is known here. */
static const char *
vpc_of(const struct request *rq, const struct json *subnets)
{
    for (size_t i = 0; i < json_size(subnets); i++) {
        const struct network *n = known(rq, json_cstr(json_at(subnets, i), ""), NETWORK_KIND_subnet);

        if (n != NULL)
            return n->vpc_id;
    }
    return NULL;
}

/* "" if the subnet is not known here: then it is taken to be in a zone of its own. */
static const char *
zone_of_known(const struct request *rq, const char *subnet_id)
{
    const struct network *n = known(rq, subnet_id, NETWORK_KIND_subnet);

    return n != NULL ? json_get_cstr(n->doc, "AvailabilityZone", "") : "";
}

static bool
is_same_zone(const struct request *rq, const char *one, const char *other)
{
    const char *zone = zone_of_known(rq, one);

    return strcmp(one, other) == 0 ||
           (zone[0] != '\0' && strcmp(zone, zone_of_known(rq, other)) == 0);
}

static bool
add_subnet(const struct request *rq, struct json *subnets, const char *id, struct err *err)
{
    const struct network *n = known(rq, id, NETWORK_KIND_subnet);
    const char *vpc = vpc_of(rq, subnets);

    if (n != NULL && vpc != NULL && strcmp(n->vpc_id, vpc) != 0)
        return err_set(err, ERR_INVALID_CONFIGURATION, "All subnets must belong to the same VPC: '%s'", vpc);
    if (strncmp(id, "subnet-", 7) != 0 || id[7] == '\0')
        return err_set(err, ERR_ELB_VALIDATION, "The subnet ID '%s' is not valid", id);
    for (size_t i = 0; i < json_size(subnets); i++)
        if (is_same_zone(rq, json_cstr(json_at(subnets, i), ""), id))
            return err_set(err, ERR_INVALID_CONFIGURATION,
                           "A load balancer cannot be attached to multiple subnets in the same "
                           "Availability Zone");
    json_append(subnets, json_text(id));
    return true;
}

struct json *
elb_accept_subnets(const struct request *rq, bool is_network, struct err *err)
{
    const struct json *given = json_get(rq->input, "Subnets"),
                      *mappings = json_get(rq->input, "SubnetMappings");
    cleanup_json struct json *subnets = json_array();

    if (json_size(given) > 0 && json_size(mappings) > 0) {
        err_set(err, ERR_ELB_VALIDATION, "Subnets and SubnetMappings cannot be given together");
        return NULL;
    }
    for (size_t i = 0; i < json_size(given); i++)
        if (!add_subnet(rq, subnets, json_cstr(json_at(given, i), ""), err))
            return NULL;
    for (size_t i = 0; i < json_size(mappings); i++)
        if (!check_mapping(json_at(mappings, i), is_network, err) ||
            !add_subnet(rq, subnets, json_get_cstr(json_at(mappings, i), "SubnetId", ""), err))
            return NULL;
    if (json_size(subnets) == 0 && is_network) {
        err_set(err, ERR_ELB_VALIDATION, "At least one subnet must be specified");
        return NULL;
    }
    if (json_size(subnets) < 2 && !is_network) {
        err_set(err, ERR_ELB_VALIDATION,
                "At least two subnets in two different Availability Zones must be specified");
        return NULL;
    }
    return TAKE(subnets);
}

struct json *
elb_zones_json(const struct request *rq, const struct load_balancer *lb)
{
    const struct json *subnets = json_get(lb->doc, "Subnets");
    struct json *zones = json_array();

    for (size_t i = 0; i < json_size(subnets); i++) {
        struct json *zone = json_object();

        json_set(zone, "ZoneName", zone_of(rq, lb, i));
        json_set(zone, "SubnetId", json_ref(json_at(subnets, i)));
        json_set(zone, "LoadBalancerAddresses", json_array());
        json_append(zones, zone);
    }
    return zones;
}

/* ---- security groups ---- */

struct json *
elb_accept_security_groups(const struct request *rq, const struct json *subnets, struct err *err)
{
    const struct json *given = json_get(rq->input, "SecurityGroups");
    const char *vpc = vpc_of(rq, subnets);
    cleanup_json struct json *groups = json_array();

    if (json_size(given) > SECURITY_GROUPS_PER_LOAD_BALANCER) {
        err_set(err, ERR_INVALID_CONFIGURATION,
                "A load balancer can have at most %d security groups",
                SECURITY_GROUPS_PER_LOAD_BALANCER);
        return NULL;
    }
    for (size_t i = 0; i < json_size(given); i++) {
        const char *id = json_cstr(json_at(given, i), "");
        const struct network *group = known(rq, id, NETWORK_KIND_group);

        if (group != NULL && vpc != NULL && strcmp(group->vpc_id, vpc) != 0) {
            err_set(err, ERR_INVALID_CONFIGURATION, "The security group '%s' does not belong to VPC '%s'", id, vpc);
            return NULL;
        }
        if (strncmp(id, "sg-", 3) != 0 || id[3] == '\0') {
            err_set(err, ERR_INVALID_SECURITY_GROUP, "The security group ID '%s' is not valid", id);
            return NULL;
        }
        for (size_t k = 0; k < json_size(groups); k++)
            if (strcmp(json_cstr(json_at(groups, k), ""), id) == 0) {
                err_set(err, ERR_INVALID_CONFIGURATION, "The security group '%s' is named more than once", id);
                return NULL;
            }
        json_append(groups, json_text(id));
    }
    return TAKE(groups);
}

/* ---- address type ---- */

bool
elb_check_address_type(const struct json *input, struct err *err)
{
    const char *type = json_get_cstr(input, "IpAddressType", "ipv4");

    if (strcmp(type, "ipv4") != 0)
        return err_set(err, ERR_INVALID_CONFIGURATION,
                       "IpAddressType '%s' is not built in naru; use ipv4", type);
    if (strcmp(json_get_cstr(input, "EnablePrefixForIpv6SourceNat", "off"), "off") != 0)
        return err_set(err, ERR_INVALID_CONFIGURATION,
                       "EnablePrefixForIpv6SourceNat is not built in naru");
    return true;
}

/* ---- SetSubnets, SetSecurityGroups, SetIpAddressType ---- */

struct load_balancer *
elb_copy_load_balancer(const struct load_balancer *lb, struct err *err)
{
    cleanup_json struct json *row = load_balancer_encode(lb);

    return load_balancer_decode(row, err);
}

/* The load balancer's document with `value` for `member`; takes `value` over. */
static bool
put_member(struct request *rq, const struct load_balancer *lb, const char *member,
           struct json *value, struct err *err)
{
    struct event event = {.type = EVENT_LOAD_BALANCER_PUT};
    struct load_balancer *copy = elb_copy_load_balancer(lb, err);

    if (copy == NULL) {
        json_unref(value);
        return false;
    }
    json_unref(copy->doc); /* the row's own, which only the event changes */
    copy->doc = json_copy(lb->doc);
    json_set(copy->doc, member, value);
    event.load_balancer_put.load_balancer = copy;
    request_step(rq, &event);
    return true;
}

static bool
stays_in_vpc(const struct request *rq, const struct load_balancer *lb, const struct json *subnets, struct err *err)
{
    const char *old = vpc_of(rq, json_get(lb->doc, "Subnets")), *vpc = vpc_of(rq, subnets);

    return old == NULL || vpc == NULL || strcmp(old, vpc) == 0 ||
           err_set(err, ERR_INVALID_CONFIGURATION, "All subnets must belong to the same VPC: '%s'", old);
}

bool
elb_set_subnets(struct request *rq, struct json *out, struct err *err)
{
    const char *arn = json_get_cstr(rq->input, "LoadBalancerArn", "");
    const struct load_balancer *lb = elb_find_load_balancer(rq, arn, err);
    cleanup_json struct json *subnets = NULL;

    if (lb == NULL || !elb_check_address_type(rq->input, err))
        return false;
    subnets = elb_accept_subnets(rq, elb_is_network(arn), err);
    if (subnets == NULL || !stays_in_vpc(rq, lb, subnets, err) || !put_member(rq, lb, "Subnets", TAKE(subnets), err))
        return false;
    lb = core_load_balancer(rq->core, arn);
    json_set(out, "AvailabilityZones", elb_zones_json(rq, lb));
    json_set(out, "IpAddressType", json_text(json_get_cstr(lb->doc, "IpAddressType", "ipv4")));
    return true;
}

bool
elb_set_security_groups(struct request *rq, struct json *out, struct err *err)
{
    const char *arn = json_get_cstr(rq->input, "LoadBalancerArn", "");
    const struct load_balancer *lb = elb_find_load_balancer(rq, arn, err);
    cleanup_json struct json *groups = NULL;

    if (lb == NULL)
        return false;
    if (json_get(rq->input, "EnforceSecurityGroupInboundRulesOnPrivateLinkTraffic") != NULL)
        return err_set(err, ERR_INVALID_CONFIGURATION,
                       "EnforceSecurityGroupInboundRulesOnPrivateLinkTraffic is not built in naru");
    groups = elb_accept_security_groups(rq, json_get(lb->doc, "Subnets"), err);
    if (groups == NULL)
        return false;
    if (json_size(groups) == 0)
        return err_set(err, ERR_INVALID_CONFIGURATION,
                       "A load balancer must have at least one security group");
    if (!put_member(rq, lb, "SecurityGroups", json_ref(groups), err))
        return false;
    json_set(out, "SecurityGroupIds", TAKE(groups));
    return true;
}

bool
elb_set_ip_address_type(struct request *rq, struct json *out, struct err *err)
{
    const struct load_balancer *lb =
        elb_find_load_balancer(rq, json_get_cstr(rq->input, "LoadBalancerArn", ""), err);

    /* There is one type so far, and every load balancer has it. */
    if (lb == NULL || !elb_check_address_type(rq->input, err))
        return false;
    json_set(out, "IpAddressType", json_text(json_get_cstr(lb->doc, "IpAddressType", "ipv4")));
    return true;
}
