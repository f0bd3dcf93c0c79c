/* SPDX-License-Identifier: MIT */
/* ecr_policy.c - policies of repositories and of the registry: set, told, and asked at the door. */
#include "api/ecr.h"

#include <stdio.h>

#include "io/access_keys.h"
#include "registry/policy.h"
#include "registry/registry.h"

/* ---- the door ---- */

struct registry_caller
ecr_caller(const struct request *rq)
{
    char holder[KEY_PRINCIPAL_SIZE];
    const bool has_holder = rq->key != NULL && access_key_holder(rq->key, rq->account, holder);

    return (struct registry_caller){
        .principal = rq->principal, .holder = has_holder ? arena_cstr(rq->arena, str_of(holder)) : NULL,
        .source_ip = rq->peer, .is_secure = rq->is_secure};
}

static bool
is_denied(struct request *rq, const char *repository, struct err *err)
{
    const struct registry_caller caller = ecr_caller(rq);
    char action[80];

    snprintf(action, sizeof action, "ecr:%s", rq->operation);
    if (registry_policy_says(ecr_registry(rq), rq->region, repository, action, &caller,
                             rq->now_ms) != REGISTRY_DENIES)
        return false;
    registry_refuse(ecr_registry(rq), rq->region, repository, action, &caller,
                    /* is_explicit= */ true, err);
    return true;
}

bool
ecr_is_allowed(struct request *rq, struct err *err)
{
    const struct json *names = json_get(rq->input, "repositoryNames");
    const char *one = json_get_cstr(rq->input, "repositoryName", NULL);
    const char *arn = json_get_cstr(rq->input, "resourceArn", NULL);

    if (ecr_registry(rq) == NULL)
        return true; /* a server without a registry has nothing to protect */
    if (one == NULL && arn != NULL && strstr(arn, ":repository/") != NULL)
        one = strstr(arn, ":repository/") + strlen(":repository/");
    for (size_t i = 0; i < json_size(names); i++)
        if (is_denied(rq, json_cstr(json_at(names, i), ""), err))
            return false;
    return json_size(names) > 0 || !is_denied(rq, one, err);
}

bool
ecr_is_granted(struct request *rq)
{
    const char *repository = json_get_cstr(rq->input, "repositoryName", NULL);
    const struct registry_caller caller = ecr_caller(rq);
    char action[80];

    snprintf(action, sizeof action, "ecr:%s", rq->operation);
    return repository != NULL && ecr_registry(rq) != NULL &&
           registry_policy_says(ecr_registry(rq), rq->region, repository, action, &caller,
                                rq->now_ms) == REGISTRY_ALLOWS;
}

/* ---- of a repository ---- */

static void
answer_repository(struct request *rq, const char *name, const char *text, struct json *out)
{
    json_set(out, "registryId", json_text(rq->account));
    json_set(out, "repositoryName", json_text(name));
    json_set(out, "policyText", json_text(text));
}

/* Whoever would not be let in again has to say `force`. */
static bool
lockout_check(struct request *rq, const char *name, const char *text, struct err *err)
{
    cleanup_json struct json *policy = NULL;
    cleanup(strbuf_done) struct strbuf arn = {0};
    const struct policy_request again = {.principal = rq->principal,
                                         .action = "ecr:SetRepositoryPolicy",
                                         .source_ip = rq->peer,
                                         .region = rq->region,
                                         .is_secure = rq->is_secure,
                                         .now_ms = rq->now_ms,
                                         .resource = name};

    if (!policy_parse(str_of(text), POLICY_OF_REPOSITORY, &policy, err))
        return false;
    return json_get_bool(rq->input, "force", false) ||
           policy_verdict(policy, &again) != POLICY_DENY ||
           err_set(
               err, ERR_INVALID_PARAMETER,
               "Invalid parameter at 'PolicyText' failed to satisfy constraint: 'The new policy "
               "would prevent you from setting another one; use force if that is meant'");
}

bool
ecr_set_repository_policy(struct request *rq, struct json *out, struct err *err)
{
    const char *name = ecr_repository_name(rq, err);
    const char *text = json_get_cstr(rq->input, "policyText", "");
    cleanup(registry_repository_done) struct registry_repository r = {0};

    if (name == NULL || !registry_repository_get(ecr_registry(rq), rq->region, name, &r, err) ||
        !lockout_check(rq, name, text, err) ||
        !registry_policy_set(ecr_registry(rq), rq->region, name, text, err))
        return false;
    answer_repository(rq, name, text, out);
    return true;
}

bool
ecr_get_repository_policy(struct request *rq, struct json *out, struct err *err)
{
    const char *name = ecr_repository_name(rq, err);
    cleanup(strbuf_done) struct strbuf text = {0};

    if (name == NULL || !registry_policy_get(ecr_registry(rq), rq->region, name, &text, err))
        return false;
    answer_repository(rq, name, strbuf_cstr(&text), out);
    return true;
}

bool
ecr_delete_repository_policy(struct request *rq, struct json *out, struct err *err)
{
    return ecr_get_repository_policy(rq, out, err) &&
           registry_policy_set(ecr_registry(rq), rq->region,
                               json_get_cstr(rq->input, "repositoryName", ""), NULL, err);
}

/* ---- of the registry ---- */

static void
answer_registry(struct request *rq, const char *text, struct json *out)
{
    json_set(out, "registryId", json_text(rq->account));
    json_set(out, "policyText", json_text(text));
}

bool
ecr_put_registry_policy(struct request *rq, struct json *out, struct err *err)
{
    const char *text = json_get_cstr(rq->input, "policyText", "");

    if (!registry_policy_set(ecr_registry(rq), rq->region, NULL, text, err))
        return false;
    answer_registry(rq, text, out);
    return true;
}

bool
ecr_get_registry_policy(struct request *rq, struct json *out, struct err *err)
{
    cleanup(strbuf_done) struct strbuf text = {0};

    if (!registry_policy_get(ecr_registry(rq), rq->region, NULL, &text, err))
        return false;
    answer_registry(rq, strbuf_cstr(&text), out);
    return true;
}

bool
ecr_delete_registry_policy(struct request *rq, struct json *out, struct err *err)
{
    return ecr_get_registry_policy(rq, out, err) &&
           registry_policy_set(ecr_registry(rq), rq->region, NULL, NULL, err);
}
