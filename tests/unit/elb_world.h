/* SPDX-License-Identifier: MIT */
/* elb_world.h - load balancing through the Query protocol, over a real core. */
#pragma once
#include "api_world.h"

static struct arena test_arena; /* each test is a process */

UNUSED static int
query(struct world *w, const char *form)
{
    return world_send(w, "elasticloadbalancing", "application/x-www-form-urlencoded; charset=utf-8",
                      NULL, arena_format(&test_arena, "Version=2015-12-01&%s", form));
}

UNUSED static void
works_at(struct world *w, int line, const char *form)
{
    if (query(w, form) != 200)
        check_fail(__FILE__, line, "%s: %s", form, w->body);
}
#define works(w, ...) works_at(w, __LINE__, arena_format(&test_arena, __VA_ARGS__))

UNUSED static void
refused_at(struct world *w, int line, const char *code, const char *text, const char *form)
{
    if (query(w, form) == 200)
        check_fail(__FILE__, line, "%s works: %s", form, w->body);
    if (strstr(w->body, arena_format(&test_arena, "<Code>%s</Code>", code)) == NULL ||
        strstr(w->body, text) == NULL)
        check_fail(__FILE__, line, "%s: '%s' lacks %s or '%s'", form, w->body, code, text);
}
#define refused(w, code, text, ...) \
    refused_at(w, __LINE__, code, text, arena_format(&test_arena, __VA_ARGS__))

UNUSED static bool
says(const struct world *w, const char *text)
{
    return strstr(w->body, text) != NULL;
}

/* A load balancer and a target group; their ARNs are the core's first. */
UNUSED static void
prepare(struct world *w)
{
    world_init(w);
    works(w,
          "Action=CreateLoadBalancer&Name=lb&Subnets.member.1=subnet-a&Subnets.member.2=subnet-b");
    works(w, "Action=CreateTargetGroup&Name=tg&Protocol=HTTP&Port=80&VpcId=vpc-1&TargetType=ip");
}

UNUSED static const char *
lb_arn(const struct world *w)
{
    return w->core->load_balancers->arn;
}

UNUSED static const char *
tg_arn(const struct world *w)
{
    return w->core->target_groups->arn;
}

/* A CreateListener with the rest of its first default action. */
#define LISTENER \
    "Action=CreateListener&LoadBalancerArn=%s&Protocol=HTTP&Port=8080&DefaultActions.member.1."
