/* SPDX-License-Identifier: MIT */
/* network.h - VPCs, subnets and security groups as EC2 knows them.  Containers do not live in them:
 * they are kept for clients that make them and ask for them, but a security group's rules are
 * enforced where a load balancer has it (balancer/haproxy_config.h). `doc` has what clients gave,
 * by our own names: of a VPC CidrBlock; of a subnet CidrBlock and AvailabilityZone; of a group
 * Description and Rules, an array of {Id, Protocol, FromPort, ToPort, one of CidrIpv4, CidrIpv6 and
 * GroupId, Description}: each allows something inwards. */
#pragma once
#include "model/types.h"

#define EC2_ID_SIZE 32 /* "subnet-0123456789abcdef0" */

struct network {
    char arn[BALANCING_ARN_SIZE];
    char id[EC2_ID_SIZE];
    char region[REGION_SIZE];
    enum network_kind kind;
    char vpc_id[EC2_ID_SIZE]; /* of a VPC its own */
    char name[NAME_SIZE];     /* of a group */
    bool is_default;          /* made by us; of a group: its VPC's own */
    bool is_gone;             /* a region's default VPC that was deleted: it is not made again */
    struct json *doc, *tags;
    struct network *next;
};

/* "vpc-", "subnet-", "sg-": what ids of the kind begin with. */
const char *network_prefix(enum network_kind kind);
/* "vpc", "subnet", "security-group": in ARNs, and as what tags call it. */
const char *network_type(enum network_kind kind);
void network_free(struct network *n);
struct json *network_encode(const struct network *n);
struct network *network_decode(const struct json *row, struct err *err);
