/* SPDX-License-Identifier: MIT */
/* elbv2_network.c - what of a load balancer follows from the subnets that it was given, if they are known here. */
#include "api/elbv2.h"

#include <stdio.h>

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

struct json *
elb_zone_of(const struct request *rq, const struct load_balancer *lb, size_t index)
{
    const struct network *subnet = subnet_of(rq, lb, index);
    char name[REGION_SIZE + 2];

    if (subnet != NULL)
        return json_text(json_get_cstr(subnet->doc, "AvailabilityZone", ""));
    snprintf(name, sizeof(name), "%s%c", lb->region, (char)('a' + index % 26));
    return json_text(name);
}
