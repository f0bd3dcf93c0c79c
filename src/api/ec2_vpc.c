/* SPDX-License-Identifier: MIT */
#include "api/ec2.h"

#include <stdio.h>
#include "base/address_block.h"

#define VPCS_MAX 100    /* a region */
#define SUBNETS_MAX 200 /* a VPC */

static struct json *
vpc_json(const struct request *rq, const struct network *n)
{
    struct json *o = json_object(), *associations = json_array(), *one = json_object(),
                *state = json_object();
    cleanup_free char *association = text_format("vpc-cidr-assoc-%s", n->id + 4);
    const char *block = json_get_cstr(n->doc, "CidrBlock", "");

    json_set(o, "vpcId", json_text(n->id));
    json_set(o, "state", json_text("available"));
    json_set(o, "cidrBlock", json_text(block));
    json_set(one, "associationId", json_text(association));
    json_set(one, "cidrBlock", json_text(block));
    json_set(state, "state", json_text("associated"));
    json_set(one, "cidrBlockState", state);
    json_append(associations, one);
    json_set(o, "cidrBlockAssociationSet", associations);
    json_set(o, "ipv6CidrBlockAssociationSet", json_array());
    json_set(o, "dhcpOptionsId", json_text("default"));
    json_set(o, "instanceTenancy", json_text("default"));
    json_set(o, "isDefault", json_bool(n->is_default));
    json_set(o, "ownerId", json_text(rq->account));
    json_set(o, "tagSet", ec2_tag_set(n->tags));
    return o;
}

static int
zone_index(const char *region, const char *name)
{
    char zone[REGION_SIZE + 2];

    for (int i = 0; i < EC2_ZONES; i++) {
        ec2_zone_name(region, i, zone);
        if (strcmp(zone, name) == 0)
            return i;
    }
    return 0;
}

static struct json *
subnet_json(const struct request *rq, const struct network *n)
{
    const char *block = json_get_cstr(n->doc, "CidrBlock", ""),
               *zone = json_get_cstr(n->doc, "AvailabilityZone", "");
    struct json *o = json_object();
    struct address_block parsed;
    char zone_id[32];

    ec2_zone_id(rq->region, zone_index(rq->region, zone), zone_id);
    json_set(o, "subnetId", json_text(n->id));
    json_set(o, "subnetArn", json_text(n->arn));
    json_set(o, "state", json_text("available"));
    json_set(o, "vpcId", json_text(n->vpc_id));
    json_set(o, "cidrBlock", json_text(block));
    json_set(o, "ipv6CidrBlockAssociationSet", json_array());
    if (address_block_parse(block, &parsed)) /* AWS keeps five of each for itself */
        json_set(o, "availableIpAddressCount", json_int((INT64_C(1) << (32 - parsed.bits)) - 5));
    json_set(o, "availabilityZone", json_text(zone));
    json_set(o, "availabilityZoneId", json_text(zone_id));
    json_set(o, "defaultForAz", json_bool(n->is_default));
    json_set(o, "mapPublicIpOnLaunch", json_bool(n->is_default));
    json_set(o, "assignIpv6AddressOnCreation", json_bool(false));
    json_set(o, "ownerId", json_text(rq->account));
    json_set(o, "tagSet", ec2_tag_set(n->tags));
    return o;
}

/* ---- VPCs ---- */

static bool
refuse_members(const struct request *rq, const char *const *names, size_t count, struct err *err)
{
    for (size_t i = 0; i < count; i++) {
        const struct json *value = json_get(rq->input, names[i]);

        if (value != NULL && json_truth(value, true))
            return err_set(err, ERR_EC2_UNSUPPORTED, "The parameter %s is not built in naru",
                           names[i]);
    }
    return true;
}

/* A block of 16 to 28 bits, as VPCs and subnets have. */
static bool
take_block(const struct request *rq, enum err_code range, struct json *doc, struct err *err)
{
    const char *given = json_get_cstr(rq->input, "CidrBlock", NULL);
    struct address_block block;
    char text[64];

    if (given == NULL)
        return err_set(err, ERR_ELB_MISSING_PARAMETER,
                       "The request must contain the parameter cidrBlock");
    if (!ec2_canonical_block(given, false, text) || !address_block_parse(text, &block))
        return err_set(
            err, ERR_EC2_INVALID_VALUE,
            "Value (%.100s) for parameter cidrBlock is invalid. This is not a valid CIDR block.",
            given);
    if (block.bits < 16 || block.bits > 28)
        return err_set(err, range, "The CIDR '%s' is invalid.", given);
    json_set(doc, "CidrBlock", json_text(text));
    return true;
}

static int
count_of(const struct request *rq, enum network_kind kind, const char *vpc_id)
{
    int count = 0;

    for (const struct network *n = rq->core->networks; n != NULL; n = n->next)
        count += n->kind == kind && !n->is_gone && strcmp(n->region, rq->region) == 0 &&
                 (vpc_id == NULL || strcmp(n->vpc_id, vpc_id) == 0);
    return count;
}

bool
ec2_create_vpc(struct request *rq, struct json *out, struct err *err)
{
    static const char *const unbuilt[] = {"AmazonProvidedIpv6CidrBlock",
                                          "Ipv6Pool",
                                          "Ipv6CidrBlock",
                                          "Ipv4IpamPoolId",
                                          "Ipv4NetmaskLength",
                                          "Ipv6IpamPoolId",
                                          "Ipv6NetmaskLength",
                                          "Ipv6CidrBlockNetworkBorderGroup"};
    cleanup_json struct json *doc = json_object();
    struct network *vpc;

    if (!ec2_begin(rq, err) || !refuse_members(rq, unbuilt, ARRAY_COUNT(unbuilt), err) ||
        !take_block(rq, ERR_VPC_RANGE, doc, err) || !ec2_check_tag_specifications(rq, "vpc", err))
        return false;
    if (strcmp(json_get_cstr(rq->input, "InstanceTenancy", "default"), "default") != 0)
        return err_set(err, ERR_EC2_UNSUPPORTED,
                       "The parameter InstanceTenancy is not built in naru; use default");
    if (count_of(rq, NETWORK_KIND_vpc, NULL) >= VPCS_MAX)
        return err_set(err, ERR_VPC_LIMIT, "The maximum number of VPCs has been reached.");
    if (!ec2_may_change(rq, err))
        return false;
    vpc = ec2_new(rq, NETWORK_KIND_vpc, NULL, TAKE(doc));
    ec2_put(rq, vpc);
    json_set(out, "vpc", vpc_json(rq, vpc));
    ec2_put(rq, ec2_new_default_group(rq, vpc->id, NULL));
    return true;
}

bool
ec2_describe_vpcs(struct request *rq, struct json *out, struct err *err)
{
    static const struct ec2_filter filters[] = {
        {"vpc-id", "vpcId"},
        {"cidr", "cidrBlock"},
        {"cidr-block-association.cidr-block", "cidrBlockAssociationSet/cidrBlock"},
        {"dhcp-options-id", "dhcpOptionsId"},
        {"is-default", "isDefault"},
        {"isDefault", "isDefault"},
        {"owner-id", "ownerId"},
        {"state", "state"},
    };
    const struct json *ids = json_get(rq->input, "VpcIds");
    struct json *all;

    if (!ec2_begin(rq, err))
        return false;
    for (size_t i = 0; i < json_size(ids); i++)
        if (ec2_find(rq, NETWORK_KIND_vpc, json_cstr(json_at(ids, i), ""), err) == NULL)
            return false;
    all = json_array();
    for (const struct network *n = rq->core->networks; n != NULL; n = n->next)
        if (n->kind == NETWORK_KIND_vpc && !n->is_gone && strcmp(n->region, rq->region) == 0 &&
            ec2_is_asked(ids, n->id))
            json_append(all, vpc_json(rq, n));
    return ec2_answer(rq, out, "vpcSet", all, "vpcId", filters, ARRAY_COUNT(filters), "VpcIds",
                      err);
}

/* A region's default VPC stays as a row that says it is gone. */
static void
bury_default_vpc(struct request *rq, const struct network *vpc)
{
    struct network *gone = ec2_new(rq, NETWORK_KIND_vpc, NULL, json_object());

    memcpy(gone->arn, vpc->arn, sizeof(gone->arn));
    memcpy(gone->id, vpc->id, sizeof(gone->id));
    memcpy(gone->vpc_id, vpc->id, sizeof(gone->vpc_id));
    gone->is_default = gone->is_gone = true;
    ec2_put(rq, gone);
}

bool
ec2_delete_vpc(struct request *rq, struct json *out, struct err *err)
{
    const struct network *vpc, *group;

    if (!ec2_begin(rq, err))
        return false;
    vpc = ec2_find(rq, NETWORK_KIND_vpc, json_get_cstr(rq->input, "VpcId", ""), err);
    if (vpc == NULL)
        return false;
    group = ec2_group_named(rq, vpc->id, "default");
    if (count_of(rq, NETWORK_KIND_subnet, vpc->id) > 0 ||
        count_of(rq, NETWORK_KIND_group, vpc->id) > (group != NULL ? 1 : 0) ||
        (group != NULL && ec2_group_is_used(rq, group)))
        return err_set(err, ERR_EC2_DEPENDENCY,
                       "The vpc '%s' has dependencies and cannot be deleted.", vpc->id);
    if (!ec2_may_change(rq, err))
        return false;
    if (group != NULL)
        ec2_delete(rq, group);
    if (vpc->is_default)
        bury_default_vpc(rq, vpc);
    else
        ec2_delete(rq, vpc);
    json_set(out, "return", json_bool(true));
    return true;
}

/* ---- subnets ---- */

static bool
check_subnet_block(const struct request *rq, const struct network *vpc, const char *text,
                   struct err *err)
{
    struct address_block outer, block, other;

    if (!address_block_parse(json_get_cstr(vpc->doc, "CidrBlock", ""), &outer) ||
        !address_block_parse(text, &block) || !address_block_holds(&outer, &block))
        return err_set(err, ERR_SUBNET_RANGE, "The CIDR '%s' is invalid.", text);
    for (const struct network *n = rq->core->networks; n != NULL; n = n->next)
        if (n->kind == NETWORK_KIND_subnet && strcmp(n->vpc_id, vpc->id) == 0 &&
            strcmp(n->region, vpc->region) == 0 &&
            address_block_parse(json_get_cstr(n->doc, "CidrBlock", ""), &other) &&
            (address_block_holds(&other, &block) || address_block_holds(&block, &other)))
            return err_set(err, ERR_SUBNET_CONFLICT, "The CIDR '%s' conflicts with another subnet",
                           text);
    return true;
}

static bool
take_zone(const struct request *rq, struct json *doc, struct err *err)
{
    const char *name = json_get_cstr(rq->input, "AvailabilityZone", NULL);
    const char *id = json_get_cstr(rq->input, "AvailabilityZoneId", NULL);
    cleanup(strbuf_done) struct strbuf all = {0};
    char zone[REGION_SIZE + 2], zone_id[32];

    for (int i = 0; i < EC2_ZONES; i++) {
        ec2_zone_name(rq->region, i, zone);
        ec2_zone_id(rq->region, i, zone_id);
        if ((name == NULL || strcmp(name, zone) == 0) && (id == NULL || strcmp(id, zone_id) == 0)) {
            json_set(doc, "AvailabilityZone", json_text(zone));
            return true;
        }
        strbuf_addf(&all, "%s%s", i > 0 ? ", " : "", zone);
    }
    return err_set(err, ERR_EC2_INVALID_VALUE,
                   "Value (%.60s) for parameter availabilityZone is invalid. Subnets can currently "
                   "only be created "
                   "in the following availability zones: %s.",
                   name != NULL ? name : id, strbuf_cstr(&all));
}

bool
ec2_create_subnet(struct request *rq, struct json *out, struct err *err)
{
    static const char *const unbuilt[] = {"Ipv6CidrBlock", "OutpostArn", "Ipv6Native"};
    cleanup_json struct json *doc = json_object();
    const struct network *vpc;
    struct network *subnet;

    if (!ec2_begin(rq, err) || !refuse_members(rq, unbuilt, ARRAY_COUNT(unbuilt), err) ||
        !ec2_check_tag_specifications(rq, "subnet", err))
        return false;
    vpc = ec2_find(rq, NETWORK_KIND_vpc, json_get_cstr(rq->input, "VpcId", ""), err);
    if (vpc == NULL || !take_block(rq, ERR_SUBNET_RANGE, doc, err) ||
        !check_subnet_block(rq, vpc, json_get_cstr(doc, "CidrBlock", ""), err) ||
        !take_zone(rq, doc, err))
        return false;
    if (count_of(rq, NETWORK_KIND_subnet, vpc->id) >= SUBNETS_MAX)
        return err_set(err, ERR_SUBNET_LIMIT,
                       "The maximum number of subnets for the VPC has been reached.");
    if (!ec2_may_change(rq, err))
        return false;
    subnet = ec2_new(rq, NETWORK_KIND_subnet, vpc->id, TAKE(doc));
    ec2_put(rq, subnet);
    json_set(out, "subnet", subnet_json(rq, subnet));
    return true;
}

bool
ec2_describe_subnets(struct request *rq, struct json *out, struct err *err)
{
    static const struct ec2_filter filters[] = {
        {"subnet-id", "subnetId"},
        {"subnet-arn", "subnetArn"},
        {"vpc-id", "vpcId"},
        {"cidr", "cidrBlock"},
        {"cidr-block", "cidrBlock"},
        {"cidrBlock", "cidrBlock"},
        {"availability-zone", "availabilityZone"},
        {"availabilityZone", "availabilityZone"},
        {"availability-zone-id", "availabilityZoneId"},
        {"available-ip-address-count", "availableIpAddressCount"},
        {"default-for-az", "defaultForAz"},
        {"defaultForAz", "defaultForAz"},
        {"map-public-ip-on-launch", "mapPublicIpOnLaunch"},
        {"owner-id", "ownerId"},
        {"state", "state"},
    };
    const struct json *ids = json_get(rq->input, "SubnetIds");
    struct json *all;

    if (!ec2_begin(rq, err))
        return false;
    for (size_t i = 0; i < json_size(ids); i++)
        if (ec2_find(rq, NETWORK_KIND_subnet, json_cstr(json_at(ids, i), ""), err) == NULL)
            return false;
    all = json_array();
    for (const struct network *n = rq->core->networks; n != NULL; n = n->next)
        if (n->kind == NETWORK_KIND_subnet && strcmp(n->region, rq->region) == 0 &&
            ec2_is_asked(ids, n->id))
            json_append(all, subnet_json(rq, n));
    return ec2_answer(rq, out, "subnetSet", all, "subnetId", filters, ARRAY_COUNT(filters),
                      "SubnetIds", err);
}

bool
ec2_delete_subnet(struct request *rq, struct json *out, struct err *err)
{
    const struct network *subnet;

    if (!ec2_begin(rq, err))
        return false;
    subnet = ec2_find(rq, NETWORK_KIND_subnet, json_get_cstr(rq->input, "SubnetId", ""), err);
    if (subnet == NULL)
        return false;
    for (const struct load_balancer *lb = rq->core->load_balancers; lb != NULL; lb = lb->next) {
        const struct json *subnets = json_get(lb->doc, "Subnets");

        if (strcmp(lb->region, rq->region) == 0 && json_size(subnets) > 0 &&
            ec2_is_asked(subnets, subnet->id))
            return err_set(err, ERR_EC2_DEPENDENCY,
                           "The subnet '%s' has dependencies and cannot be deleted.", subnet->id);
    }
    if (!ec2_may_change(rq, err))
        return false;
    ec2_delete(rq, subnet);
    json_set(out, "return", json_bool(true));
    return true;
}

/* ---- availability zones ---- */

bool
ec2_describe_availability_zones(struct request *rq, struct json *out, struct err *err)
{
    static const struct ec2_filter filters[] = {
        {"zone-name", "zoneName"},        {"zone-id", "zoneId"},
        {"zone-type", "zoneType"},        {"state", "zoneState"},
        {"region-name", "regionName"},    {"group-name", "groupName"},
        {"opt-in-status", "optInStatus"},
    };
    const struct json *names = json_get(rq->input, "ZoneNames"),
                      *ids = json_get(rq->input, "ZoneIds");
    struct json *all;
    size_t found = 0;

    if (!ec2_begin(rq, err))
        return false;
    all = json_array();
    for (int i = 0; i < EC2_ZONES; i++) {
        struct json *o;
        char name[REGION_SIZE + 2], id[32];

        ec2_zone_name(rq->region, i, name);
        ec2_zone_id(rq->region, i, id);
        if (!ec2_is_asked(names, name) || !ec2_is_asked(ids, id))
            continue;
        o = json_object();
        json_set(o, "optInStatus", json_text("opt-in-not-required"));
        json_set(o, "messageSet", json_array());
        json_set(o, "zoneState", json_text("available"));
        json_set(o, "regionName", json_text(rq->region));
        json_set(o, "zoneName", json_text(name));
        json_set(o, "zoneId", json_text(id));
        json_set(o, "groupName", json_text(rq->region));
        json_set(o, "networkBorderGroup", json_text(rq->region));
        json_set(o, "zoneType", json_text("availability-zone"));
        json_append(all, o);
        found++;
    }
    if (found < json_size(names) || found < json_size(ids)) {
        json_unref(all);
        return err_set(err, ERR_EC2_INVALID_VALUE, "Invalid availability zones: [%.100s]",
                       json_cstr(json_at(json_size(names) > 0 ? names : ids, 0), ""));
    }
    return ec2_answer(rq, out, "availabilityZoneInfo", all, "zoneName", filters,
                      ARRAY_COUNT(filters), NULL, err);
}
