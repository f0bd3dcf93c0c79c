/* SPDX-License-Identifier: MIT */
/* ecr_cache.c - rules of the pull-through cache: which registry stands behind which prefix. */
#include "api/ecr.h"

#include "registry/mirror/pull_through.h"
#include "registry/reference.h"

#define PREFIX_SIZE 64
#define RULES "pullThroughCacheRules"
#define SECRET_PREFIX "secret:ecr-pullthroughcache/"

/* ---- what a rule may say ---- */

static bool
component_chars(const char *text)
{
    return text[0] != '\0' &&
           text[strspn(text, "abcdefghijklmnopqrstuvwxyz0123456789._-/")] == '\0';
}

static bool
prefix_fails(const char *member, struct err *err)
{
    return err_set(err, ERR_INVALID_PARAMETER,
                   "Invalid parameter at '%s' failed to satisfy constraint: 'must be ROOT or "
                   "satisfy regular expression "
                   "'(?:[a-z0-9]+(?:[._-][a-z0-9]+)*/)*[a-z0-9]+(?:[._-][a-z0-9]+)*/?''",
                   member);
}

/* "docker-hub" or "team/hub"; a '/' at the end says the same. */
static bool
prefix_read(const struct json *input, const char *member, char *out, size_t size, struct err *err)
{
    const char *text = json_get_cstr(input, member, "");
    const bool is_root = strcmp(text, "ROOT") == 0 || text[0] == '\0';

    if (!text_copy(out, size, ecr_prefix_bare(text)) || (!is_root && (!component_chars(out) || out[0] == '/')))
        return prefix_fails(member, err);
    return true;
}

/* A rule of any other prefix would stand for no repository that there can be. */
static bool
prefix_check(const char *prefix, struct err *err)
{
    return strcmp(prefix, "ROOT") == 0 || name_prefix_is_valid(str_of(prefix)) || prefix_fails("ecrRepositoryPrefix", err);
}

static bool
credential_check(const char *arn, struct err *err)
{
    if (arn == NULL || (strncmp(arn, "arn:aws:secretsmanager:", 23) == 0 &&
                        strstr(arn, ":" SECRET_PREFIX) != NULL))
        return true;
    return err_set(
        err, ERR_INVALID_PARAMETER,
        "Invalid parameter at 'credentialArn' failed to satisfy constraint: it is "
        "arn:aws:secretsmanager:<region>:<account>:" SECRET_PREFIX
        "<name>, and means the password that 'naru secret set ecr-pullthroughcache/<name> "
        "--kind password' keeps");
}

static bool
role_check(const struct json *input, struct err *err)
{
    return json_get(input, "customRoleArn") == NULL ||
           err_set(err, ERR_UNSUPPORTED_FEATURE, "customRoleArn is for registries of AWS's ECR, which are not built");
}

static bool
upstream_check(const struct json *input, const char *url, struct err *err)
{
    const char *said = json_get_cstr(input, "upstreamRegistry", NULL);
    const char *known = pull_upstream_name(url);

    return said == NULL || (known != NULL && strcmp(said, known) == 0) ||
           err_set(err, ERR_UNSUPPORTED_UPSTREAM, "'%s' is not the registry '%s'", url, said);
}

/* A rule whose secret cannot be read would fail each pull, as "upstream": said now. */
static bool
secret_check(struct request *rq, const struct json *rule, struct err *err)
{
    cleanup(remote_free_) struct remote *remote = NULL;
    struct pull_rule r = {0};

    if (!pull_rule_read(rule, &r))
        return err_set(err, ERR_INVALID_PARAMETER, "The pull through cache rule is none");
    return pull_remote_open(ecr_registry(rq), &r, &remote, err);
}

/* ---- the list of them ---- */

static struct json *
rule_answer(struct request *rq, const struct json *rule)
{
    static const char *const members[] = {"ecrRepositoryPrefix", "upstreamRegistryUrl",
                                          "upstreamRegistry", "credentialArn",
                                          "upstreamRepositoryPrefix"};
    struct json *j = json_object();

    for (size_t i = 0; i < ARRAY_COUNT(members); i++)
        if (json_get(rule, members[i]) != NULL)
            json_set(j, members[i], json_ref(json_get(rule, members[i])));
    json_set(j, "createdAt", aws_time(rq, json_get_i64(rule, "createdAt", 0)));
    json_set(j, "updatedAt", aws_time(rq, json_get_i64(rule, "updatedAt", 0)));
    json_set(j, "registryId", json_text(rq->account));
    return j;
}

static void
answer_take(struct json *out, struct json *rule)
{
    for (void *it = json_first(rule); it != NULL; it = json_next(rule, it))
        json_set(out, json_key(it), json_ref(json_value(it)));
    json_unref(rule);
}

static bool
rule_not_found(struct request *rq, const char *prefix, struct err *err)
{
    return err_set(
        err, ERR_PULL_RULE_NOT_FOUND,
        "The pull through cache rule with prefix '%s' does not exist in the registry with "
        "id '%s'",
        prefix, rq->account);
}

/* A copy of the rule with this prefix; NULL if there is none. */
static struct json *
rule_get(struct request *rq, const char *prefix, struct err *err)
{
    cleanup_json struct json *document = NULL;

    if (!registry_document_get(ecr_registry(rq), rq->region, &document, err))
        return NULL;
    const struct json *rule = json_find(json_get(document, RULES), "ecrRepositoryPrefix", prefix);
    if (rule == NULL)
        rule_not_found(rq, prefix, err);
    return rule != NULL ? json_copy(rule) : NULL;
}

/* The same of the one that the request names. */
static struct json *
rule_named(struct request *rq, char prefix_out[static PREFIX_SIZE], struct err *err)
{
    if (!ecr_registry_id_check(rq, err) ||
        !prefix_read(rq->input, "ecrRepositoryPrefix", prefix_out, PREFIX_SIZE, err))
        return NULL;
    return rule_get(rq, prefix_out, err);
}

struct change {
    struct request *rq;
    const char *prefix;
    struct json *rule; /* stands in for the one with the prefix; NULL: it goes */
    bool is_new;
};

static bool
rule_change(void *arg, struct json *document, struct err *err)
{
    struct change *c = arg;
    const struct json *now = json_get(document, RULES);
    cleanup_json struct json *kept = json_array();
    bool was_there = false;

    for (size_t i = 0; i < json_size(now); i++) {
        struct json *rule = json_at(now, i);
        const bool is_it = strcmp(json_get_cstr(rule, "ecrRepositoryPrefix", ""), c->prefix) == 0;
        was_there |= is_it;
        if (!is_it)
            json_append(kept, json_ref(rule));
    }
    if (was_there && c->is_new)
        return err_set(err, ERR_PULL_RULE_EXISTS,
                       "A pull through cache rule with prefix '%s' already exists in the registry "
                       "with id '%s'",
                       c->prefix, c->rq->account);
    if (!was_there && !c->is_new)
        return rule_not_found(c->rq, c->prefix, err);
    if (c->rule != NULL)
        json_append(kept, json_ref(c->rule));
    if (json_size(kept) > PULL_RULES_MAX)
        return err_set(err, ERR_LIMIT_EXCEEDED,
                       "A registry has at most %d pull through cache rules", PULL_RULES_MAX);
    json_set(document, RULES, TAKE(kept));
    return true;
}

/* ---- the operations ---- */

bool
ecr_create_pull_through_cache_rule(struct request *rq, struct json *out, struct err *err)
{
    const struct json *in = rq->input;
    const char *text = json_get_cstr(in, "upstreamRegistryUrl", "");
    const char *credential = json_get_cstr(in, "credentialArn", NULL);
    cleanup_json struct json *rule = json_object();
    struct pull_rule r = {0};

    if (!ecr_registry_id_check(rq, err) ||
        !prefix_read(in, "ecrRepositoryPrefix", r.prefix, sizeof r.prefix, err) || !prefix_check(r.prefix, err) ||
        !prefix_read(in, "upstreamRepositoryPrefix", r.upstream_prefix, sizeof r.upstream_prefix,
                     err) ||
        !pull_url_read(text, r.url, sizeof r.url, err) || !role_check(in, err) || !upstream_check(in, r.url, err) ||
        !credential_check(credential, err))
        return false;
    json_set(rule, "ecrRepositoryPrefix", json_text(r.prefix));
    json_set(rule, "upstreamRegistryUrl", json_text(text));
    if (pull_upstream_name(r.url) != NULL)
        json_set(rule, "upstreamRegistry", json_text(pull_upstream_name(r.url)));
    if (credential != NULL)
        json_set(rule, "credentialArn", json_text(credential));
    json_set(rule, "upstreamRepositoryPrefix",
             json_text(r.upstream_prefix[0] != '\0' ? r.upstream_prefix : "ROOT"));
    json_set(rule, "createdAt", json_int(rq->now_ms));
    json_set(rule, "updatedAt", json_int(rq->now_ms));
    struct change change = {rq, r.prefix, rule, /* is_new= */ true};
    if (!secret_check(rq, rule, err) ||
        !registry_document_change(ecr_registry(rq), rq->region, rule_change, &change, err))
        return false;
    answer_take(out, rule_answer(rq, rule));
    json_delete(out, "updatedAt");
    return true;
}

/* NULL of NULL: all are wanted. */
static struct json *
prefixes_bare(const struct json *prefixes)
{
    struct json *bare = prefixes != NULL ? json_array() : NULL;

    for (size_t i = 0; i < json_size(prefixes); i++)
        json_append(bare, json_str(ecr_prefix_bare(json_cstr(json_at(prefixes, i), ""))));
    return bare;
}

bool
ecr_describe_pull_through_cache_rules(struct request *rq, struct json *out, struct err *err)
{
    cleanup_json struct json *wanted = prefixes_bare(json_get(rq->input, "ecrRepositoryPrefixes")), *document = NULL;
    struct ecr_page page = {.member = RULES};

    if (!ecr_registry_id_check(rq, err) ||
        !registry_document_get(ecr_registry(rq), rq->region, &document, err))
        return false;
    const struct json *rules = json_get(document, RULES);
    for (size_t i = 0; i < json_size(wanted); i++) {
        const char *prefix = json_cstr(json_at(wanted, i), "");
        if (json_find(rules, "ecrRepositoryPrefix", prefix) == NULL)
            return rule_not_found(rq, prefix, err);
    }
    for (size_t i = 0; i < json_size(rules); i++) {
        const char *prefix = json_get_cstr(json_at(rules, i), "ecrRepositoryPrefix", "");
        if (wanted == NULL || json_has_text(wanted, prefix))
            ecr_page_add(&page, prefix, rule_answer(rq, json_at(rules, i)));
    }
    return ecr_page_write(rq, &page, out, err);
}

bool
ecr_update_pull_through_cache_rule(struct request *rq, struct json *out, struct err *err)
{
    const char *credential = json_get_cstr(rq->input, "credentialArn", NULL);
    char prefix[PREFIX_SIZE];

    if (!ecr_registry_id_check(rq, err) ||
        !prefix_read(rq->input, "ecrRepositoryPrefix", prefix, sizeof prefix, err) ||
        !role_check(rq->input, err) || !credential_check(credential, err))
        return false;
    if (credential == NULL)
        return err_set(err, ERR_INVALID_PARAMETER,
                       "Invalid parameter at 'credentialArn': there is nothing else to update");
    cleanup_json struct json *rule = rule_get(rq, prefix, err);
    if (rule == NULL)
        return false;
    json_set(rule, "credentialArn", json_text(credential));
    json_set(rule, "updatedAt", json_int(rq->now_ms));
    struct change change = {rq, prefix, rule, /* is_new= */ false};
    if (!secret_check(rq, rule, err) ||
        !registry_document_change(ecr_registry(rq), rq->region, rule_change, &change, err))
        return false;
    answer_take(out, rule_answer(rq, rule));
    json_delete(out, "createdAt");
    return true;
}

bool
ecr_delete_pull_through_cache_rule(struct request *rq, struct json *out, struct err *err)
{
    char prefix[PREFIX_SIZE];
    cleanup_json struct json *rule = rule_named(rq, prefix, err);
    struct change change = {rq, prefix, NULL, /* is_new= */ false};
    if (rule == NULL ||
        !registry_document_change(ecr_registry(rq), rq->region, rule_change, &change, err))
        return false;
    answer_take(out, rule_answer(rq, rule));
    json_delete(out, "updatedAt");
    return true;
}

bool
ecr_validate_pull_through_cache_rule(struct request *rq, struct json *out, struct err *err)
{
    cleanup(remote_free_) struct remote *remote = NULL;
    struct pull_rule r = {0};
    struct err why = {0};
    char prefix[PREFIX_SIZE];
    cleanup_json struct json *rule = rule_named(rq, prefix, err);
    if (rule == NULL)
        return false;
    const bool is_valid = pull_rule_read(rule, &r) &&
                          pull_remote_open(ecr_registry(rq), &r, &remote, &why) &&
                          remote_ping(remote, &why);
    answer_take(out, rule_answer(rq, rule));
    json_delete(out, "createdAt");
    json_delete(out, "updatedAt");
    json_delete(out, "upstreamRegistry");
    json_set(out, "isValid", json_bool(is_valid));
    if (!is_valid)
        json_set(out, "failure", json_text(why.message));
    return true;
}
