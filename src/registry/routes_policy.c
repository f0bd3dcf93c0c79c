/* SPDX-License-Identifier: MIT */
/* routes_policy.c - which of ECR's actions a request on /v2/ is, and what the policies say about it. */
#include "base/clock.h"
#include "registry/routes.h"

static const char *
action_of_blob(struct str method)
{
    return str_is(method, "GET")    ? "ecr:GetDownloadUrlForLayer"
           : str_is(method, "HEAD") ? "ecr:BatchCheckLayerAvailability"
                                    : "ecr:BatchDeleteImage";
}

static const char *
action_of_manifest(struct str method)
{
    return str_is(method, "PUT")      ? "ecr:PutImage"
           : str_is(method, "DELETE") ? "ecr:BatchDeleteImage"
                                      : "ecr:BatchGetImage";
}

const char *
call_action(const struct call *c)
{
    const struct str method = c->x->method;

    switch (c->route.kind) {
    case ROUTE_BASE:
    case ROUTE_TOKEN:
        return "ecr:GetAuthorizationToken";
    case ROUTE_CATALOG:
        return "ecr:DescribeRepositories";
    case ROUTE_TAGS:
        return "ecr:ListImages";
    case ROUTE_REFERRERS:
        return "ecr:ListImageReferrers";
    case ROUTE_MANIFEST:
        return action_of_manifest(method);
    case ROUTE_BLOB:
        return action_of_blob(method);
    case ROUTE_UPLOADS:
        return "ecr:InitiateLayerUpload";
    case ROUTE_UPLOAD:
        return str_is(method, "PUT") ? "ecr:CompleteLayerUpload" : "ecr:UploadLayerPart";
    }
    return "ecr:DescribeRepositories";
}

struct registry_caller
call_caller(const struct call *c)
{
    char holder[KEY_PRINCIPAL_SIZE];
    const bool has_holder = c->visitor.kind == VISITOR_KEY &&
                            access_key_holder(&c->visitor.key, c->reg->account_id, holder);

    return (struct registry_caller){.principal = c->principal,
                                    .holder = has_holder ? arena_cstr(&c->x->arena, str_of(holder)) : NULL,
                                    .source_ip = arena_cstr(&c->x->arena, c->x->peer),
                                    .is_secure = c->x->is_secure};
}

bool
call_may_read(struct call *c, const char *region, const char *repository, struct str name)
{
    const unsigned may = visitor_may(c->reg, &c->visitor, region, repository);
    const struct registry_caller caller = call_caller(c);

    return (may & visitor_scope(&c->visitor, name) & VISIT_PULL) != 0 &&
           registry_policy_says(c->reg, region, repository, "ecr:GetDownloadUrlForLayer", &caller,
                                clock_wall_ms()) != REGISTRY_DENIES;
}

bool
call_check_policy(struct call *c, enum registry_verdict *out, struct err *err)
{
    const struct registry_caller caller = call_caller(c);
    const char *repository = c->repository[0] != '\0' ? c->repository : NULL;
    const char *action = call_action(c);

    *out = registry_policy_says(c->reg, c->region, repository, action, &caller, clock_wall_ms());
    return *out != REGISTRY_DENIES || registry_refuse(c->reg, c->region, repository, action, &caller,
                                                      /* is_explicit= */ true, err);
}
