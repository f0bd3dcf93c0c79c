/* SPDX-License-Identifier: MIT */
/* ec2.h - what the handlers of the EC2 subset share: VPCs, subnets, security groups, tags.
 * Members of answers have the wire's names ("vpcId"), those of requests the model's ("VpcId").
 * Every region has a default VPC with three subnets and a default group, as accounts of AWS do;
 * their ids are made from the account and the region, so a fresh naru has the same ones.  They
 * become rows when the region's EC2 is first asked: ec2_begin(), in the beginning of each handler.
 */
#pragma once
#include "api/operations.h"
#include "model/arn.h"
#include "model/network.h"

#define EC2_ZONES 3

/* False and err: the request is a dry run of something that only reads. */
bool ec2_begin(struct request *rq, struct err *err) MUST_CHECK;
/* Right before the first change: false and DryRunOperation if nothing may change. */
bool ec2_may_change(const struct request *rq, struct err *err) MUST_CHECK;

/* ---- finding and making ---- */
/* Of the kind; NULL and the kind's NotFound. */
struct network *ec2_find(const struct request *rq, enum network_kind kind, const char *id,
                         struct err *err);
/* The region's default VPC; NULL and VPCIdNotSpecified. */
struct network *ec2_default_vpc(const struct request *rq, struct err *err);
/* NULL: there is none of that name. */
struct network *ec2_group_named(const struct request *rq, const char *vpc_id, const char *name);
/* With a fresh id; `doc` is taken over, tags are those that the request gives. */
struct network *ec2_new(const struct request *rq, enum network_kind kind, const char *vpc_id,
                        struct json *doc);
void ec2_put(struct request *rq, struct network *n); /* taken over */
void ec2_delete(struct request *rq, const struct network *n);
/* The group with other rules, which are taken over. */
void ec2_put_rules(struct request *rq, const struct network *group, struct json *rules);
/* By a load balancer or another group's rule: then it has to stay, or who had it closed is open. */
bool ec2_group_is_used(const struct request *rq, const struct network *group);
struct network *ec2_new_default_group(const struct request *rq, const char *vpc_id, const char *id);
/* "ap-northeast-2a", "apne2-az1" */
void ec2_zone_name(const char *region, int index, char out[static REGION_SIZE + 2]);
void ec2_zone_id(const char *region, int index, char out[static 32]);

/* "10.1.2.3/8" -> "10.0.0.0/8"; false: no block of the family. */
bool ec2_canonical_block(const char *text, bool is_ipv6, char out[static 64]) MUST_CHECK;

/* ---- tags ---- */
/* Those of TagSpecifications for the type of resource: checked, and then taken. */
bool ec2_check_tag_specifications(const struct request *rq, const char *type,
                                  struct err *err) MUST_CHECK;
struct json *ec2_given_tags(const struct request *rq);
struct json *ec2_tag_set(const struct json *tags); /* as answers have them */

/* ---- describing ---- */
struct ec2_filter {
    const char *name; /* "vpc-id" */
    const char *path; /* in the answer's item: "vpcId", "ipPermissions/ipRanges/cidrIp" */
};
/* What of `items` (an array, freed) the request's filters let through, sorted by `key`, one page of
 * it: out[name], and nextToken.  Filters of tags are known everywhere; `list` is what names single
 * ones in the request, which goes with no paging. */
bool ec2_answer(const struct request *rq, struct json *out, const char *name, struct json *items,
                const char *key, const struct ec2_filter *filters, size_t filter_count,
                const char *list, struct err *err) MUST_CHECK;
/* Is the text among the strings of the list?  Everything is, if the list is absent. */
bool ec2_is_asked(const struct json *list, const char *text);
struct json *ec2_group_json(const struct request *rq, const struct network *group);

/* ---- permissions (ec2_permission.c) ---- */
#define EC2_RULES_MAX 60           /* of a group */
#define EC2_RULES_PER_REQUEST 1000 /* each is compared with each */
/* The rules that a request to authorize or revoke names, without ids, or NULL and err. */
struct json *ec2_read_rules(const struct request *rq, struct err *err) MUST_CHECK;
/* By IpPermissions or by the old parameters (CidrIp, FromPort, ...). */
bool ec2_names_permissions(const struct request *rq);
bool ec2_rules_equal(const struct json *a, const struct json *b); /* in what they allow */
struct json *ec2_permissions_json(const struct request *rq,
                                  const struct json *rules); /* IpPermissions */
struct json *ec2_rule_json(const struct request *rq, const struct network *group,
                           const struct json *rule, bool is_egress);
/* "peer: 0.0.0.0/0, TCP, from port: 80, to port: 80, ALLOW" */
void ec2_rule_words(const struct json *rule, char *out, size_t size);

/* ---- handlers ---- */
operation_handler ec2_create_vpc, ec2_describe_vpcs, ec2_delete_vpc, ec2_create_subnet,
    ec2_describe_subnets, ec2_delete_subnet, ec2_describe_availability_zones;
operation_handler ec2_create_security_group, ec2_describe_security_groups,
    ec2_delete_security_group, ec2_authorize_ingress, ec2_revoke_ingress,
    ec2_describe_security_group_rules;
operation_handler ec2_create_tags, ec2_delete_tags, ec2_describe_tags;
