/* SPDX-License-Identifier: MIT */
#include "model/role.h"

#include <assert.h>

#define LOOKS "*:Describe*", "*:List*", "*:Get*", "*:BatchGet*", "*:BatchCheck*", "*:Validate*"
/* Less of what one has, for a while. */
#define LENDS "sts:AssumeRole", "sts:GetSessionToken"
#define PULLS                                                                            \
    "ecr:GetAuthorizationToken", "ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", \
        "ecr:GetDownloadUrlForLayer", "ecr:DescribeImages", "ecr:DescribeRepositories",  \
        "ecr:ListImages", "ecr:ListImageReferrers", "sts:GetCallerIdentity", LENDS
#define PUSHES \
    "ecr:InitiateLayerUpload", "ecr:UploadLayerPart", "ecr:CompleteLayerUpload", "ecr:PutImage"

static const struct {
    const char *name;
    const char *const *actions; /* ends with NULL */
} roles[] = {
    [ROLE_ADMIN] = {"admin", (const char *const[]){"*", NULL}},
    [ROLE_DEPLOY] = {"deploy",
                     (const char *const[]){LOOKS, PULLS, PUSHES, "ecs:*", "elasticloadbalancing:*",
                                           "naru:*", "ecr:CreateRepository",
                                           "ecr:StartImageScan", NULL}},
    [ROLE_PUSH] = {"push", (const char *const[]){PULLS, PUSHES, NULL}},
    [ROLE_PULL] = {"pull", (const char *const[]){PULLS, NULL}},
    [ROLE_READ_ONLY] = {"read-only", (const char *const[]){LOOKS, "naru:GET", LENDS, NULL}},
};

bool
role_parse(struct str name, enum role *out)
{
    for (size_t i = 0; i < ARRAY_COUNT(roles); i++) {
        if (str_is(name, roles[i].name)) {
            *out = (enum role)i;
            return true;
        }
    }
    return false;
}

/* Each allows what the ones below it do; push and read-only have just pull's actions in common. */
static enum role
role_meet(enum role a, enum role b)
{
    if ((a == ROLE_PUSH && b == ROLE_READ_ONLY) || (a == ROLE_READ_ONLY && b == ROLE_PUSH))
        return ROLE_PULL;
    if (a == ROLE_PULL || b == ROLE_PULL)
        return ROLE_PULL;
    return a > b ? a : b;
}

bool
roles_parse(struct str names, enum role *out)
{
    enum role all = ROLE_ADMIN, one;
    struct str name;

    if (names.len == 0)
        return false;
    while (str_split(&names, ',', &name)) {
        if (!role_parse(name, &one))
            return false;
        all = role_meet(all, one);
    }
    *out = all;
    return true;
}

const char *
role_name(enum role role)
{
    assert((size_t)role < ARRAY_COUNT(roles));
    return roles[role].name;
}

bool
role_allows(enum role role, const char *service, const char *operation)
{
    const struct str parts[] = {str_of(service), STR(":"), str_of(operation)};
    cleanup_free char *action = str_join(parts, ARRAY_COUNT(parts));

    assert((size_t)role < ARRAY_COUNT(roles));
    for (const char *const *a = roles[role].actions; *a != NULL; a++)
        if (str_like(str_of(*a), str_of(action)))
            return true;
    return false;
}

bool
names_match(struct str patterns, struct str name)
{
    struct str pattern;

    if (patterns.len == 0)
        return true;
    while (str_split(&patterns, ',', &pattern))
        if (str_like(str_trim(pattern), name))
            return true;
    return false;
}

bool
names_match_all(struct str lists, struct str name)
{
    struct str one;

    while (str_split(&lists, ';', &one))
        if (!names_match(one, name))
            return false;
    return true;
}
