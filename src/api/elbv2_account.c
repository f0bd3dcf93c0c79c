/* SPDX-License-Identifier: MIT */
/* elbv2_account.c - what an account may have. */
#include "api/elbv2.h"

#include <stdio.h>

static const struct {
    const char *name;
    int max;
} limits[] = {
    /* By name: the pages are in this order. */
    {"application-load-balancers", LOAD_BALANCERS_PER_REGION},
    {"certificates-per-application-load-balancer", CERTIFICATES_PER_LOAD_BALANCER},
    {"certificates-per-network-load-balancer", CERTIFICATES_PER_LOAD_BALANCER},
    {"condition-values-per-alb-rule", VALUES_PER_RULE},
    {"condition-wildcards-per-alb-rule", WILDCARDS_PER_RULE},
    {"listeners-per-application-load-balancer", LISTENERS_PER_LOAD_BALANCER},
    {"listeners-per-network-load-balancer", LISTENERS_PER_LOAD_BALANCER},
    {"network-load-balancers", LOAD_BALANCERS_PER_REGION},
    {"rules-per-application-load-balancer", RULES_PER_LOAD_BALANCER},
    {"target-groups", TARGET_GROUPS_PER_REGION},
    {"target-groups-per-action-on-application-load-balancer", GROUPS_PER_ACTION},
    {"target-groups-per-action-on-network-load-balancer", GROUPS_PER_NETWORK_ACTION},
    {"target-groups-per-application-load-balancer", GROUPS_PER_LOAD_BALANCER},
    {"target-id-registrations-per-application-load-balancer", TARGETS_PER_LOAD_BALANCER},
    {"targets-per-application-load-balancer", TARGETS_PER_LOAD_BALANCER},
    {"targets-per-availability-zone-per-network-load-balancer", TARGETS_PER_LOAD_BALANCER},
    {"targets-per-network-load-balancer", TARGETS_PER_LOAD_BALANCER},
    {"targets-per-target-group", TARGETS_PER_GROUP},
};

bool
elb_describe_account_limits(struct request *rq, struct json *out, struct err *err)
{
    struct json *all;
    struct page page;

    if (!page_read(rq, "", &page, err))
        return false;
    all = json_array();
    for (size_t i = 0; i < ARRAY_COUNT(limits); i++) {
        struct json *limit = json_object();
        char max[16];

        snprintf(max, sizeof(max), "%d", limits[i].max);
        json_set(limit, "Name", json_text(limits[i].name));
        json_set(limit, "Max", json_text(max));
        json_append(all, limit);
    }
    page_write(&page, all, "Name", "Limits", out);
    return true;
}
