/* SPDX-License-Identifier: MIT */
/* policy.h - IAM policy documents as resources carry them: who may do what, decided. Pure.
 * A document is checked once, when it is set, by policy_parse(); what it says about one request is
 * policy_verdict(). Elements: Version, Id, Statement with Sid, Effect, Principal and NotPrincipal,
 * Action and NotAction, Resource and NotResource, Condition.
 * Conditions: String*, Numeric*, Date*, Bool, IpAddress, NotIpAddress, Arn*, Null, with IfExists
 * and the prefixes ForAllValues: and ForAnyValue: (every key has one value here). Keys: those of
 * struct policy_request; any other one is absent, as it may be in AWS, too.
 * Not known, and refused: policy variables ("${...}").
 * Limits: POLICY_*. Errors: INVALID_PARAMETER with AWS's text, and behind it what is wrong. */
#pragma once
#include "base/err.h"
#include "base/json.h"

#define POLICY_TEXT_MAX 10240 /* bytes */
#define POLICY_STATEMENTS_MAX 100
#define POLICY_VALUES_MAX 500 /* of one list */

enum policy_kind {
    POLICY_OF_REPOSITORY, /* no Resource: it is the repository's own */
    POLICY_OF_REGISTRY,   /* with Resource */
};

struct policy_request {
    const char *principal; /* "arn:aws:iam::<account>:user/a"; NULL: nobody has signed */
    const char *service;   /* "ecs.amazonaws.com" if a service asks, else NULL */
    const char *action;    /* "ecr:PutImage" */
    const char *resource;  /* the repository's ARN, or "*" */
    const char *source_ip; /* "127.0.0.1", or NULL */
    const char *region;
    bool is_secure; /* came by TLS */
    int64_t now_ms;
    const struct json *resource_tags; /* of {"Key", "Value"}; may be NULL */
    bool are_tags_unread; /* which it has cannot be told: conditions on them deny, and do not allow */
};

enum policy_verdict { POLICY_NONE, POLICY_ALLOW, POLICY_DENY };

/* The document's own JSON, checked. */
bool policy_parse(struct str text, enum policy_kind kind, struct json **out,
                  struct err *err) MUST_CHECK;
/* An explicit deny wins over any allow; POLICY_NONE: nothing was said. */
enum policy_verdict policy_verdict(const struct json *policy, const struct policy_request *rq);
/* The same of several documents together. */
enum policy_verdict policy_verdict_add(enum policy_verdict a, enum policy_verdict b);

/* ---- policy_condition.c ---- */
/* "StringEquals", "ForAnyValue:ArnLikeIfExists", ... */
bool policy_operator_is_known(const char *name);
/* Can these be values of the operator (a date, an address)? NULL, or what they should be. */
const char *policy_value_fault(const char *operator, const struct json * value);
/* `denies`: what its statement does if it holds. */
bool policy_condition_holds(const struct json *condition, const struct policy_request *rq, bool denies);
