/* SPDX-License-Identifier: MIT */
/* pull_rule.c - which registry stands behind which prefix. */
#include <fnmatch.h>

#include "registry/internal.h"
#include "registry/mirror/pull_through.h"

/* The registries that ECR knows by name. */
static const struct {
    const char *name, *host; /* host: a pattern */
} upstreams[] = {
    {"docker-hub", "registry-1.docker.io"},
    {"quay", "quay.io"},
    {"ecr-public", "public.ecr.aws"},
    {"k8s", "registry.k8s.io"},
    {"github-container-registry", "ghcr.io"},
    {"gitlab-container-registry", "registry.gitlab.com"},
    {"azure-container-registry", "*.azurecr.io"},
    {"chainguard", "cgr.dev"},
    {"ecr", "*.dkr.ecr.*.amazonaws.com"},
};

const char *
pull_upstream_name(const char *url)
{
    cleanup_free char *host = str_dup(url_host(str_of(url)));

    for (size_t i = 0; i < ARRAY_COUNT(upstreams); i++)
        if (fnmatch(upstreams[i].host, host, 0) == 0)
            return upstreams[i].name;
    return NULL;
}

bool
pull_url_read(const char *text, char *out, size_t size, struct err *err)
{
    const bool has_scheme = strstr(text, "://") != NULL;
    cleanup_free char *url = text_format("%s%s", has_scheme ? "" : "https://", text);
    struct str whole = str_of(url), host;

    while (whole.len > 0 && whole.at[whole.len - 1] == '/')
        whole.len--;
    host = url_host(whole);
    if (host.len == 0 || host.at + host.len != whole.at + whole.len || !text_copy(out, size, whole))
        return err_set(err, ERR_UNSUPPORTED_UPSTREAM,
                       "'%.200s' is no registry: say its host, or https:// or http:// and its host "
                       "without a path",
                       text);
    const char *name = pull_upstream_name(out);
    if (name != NULL && strcmp(name, "ecr") == 0)
        return err_set(err, ERR_UNSUPPORTED_UPSTREAM,
                       "'%.200s' is a registry of AWS's ECR, whose credentials naru cannot make",
                       text);
    return true;
}

bool
pull_rule_read(const struct json *rule, struct pull_rule *out)
{
    const struct {
        const char *member;
        char *to;
        size_t size;
    } rows[] = {
        {"ecrRepositoryPrefix", out->prefix, sizeof out->prefix},
        {"upstreamRepositoryPrefix", out->upstream_prefix, sizeof out->upstream_prefix},
        {"credentialArn", out->credential_arn, sizeof out->credential_arn},
    };

    for (size_t i = 0; i < ARRAY_COUNT(rows); i++)
        if (!text_copy(rows[i].to, rows[i].size, str_of(json_get_cstr(rule, rows[i].member, ""))))
            return false;
    return pull_url_read(json_get_cstr(rule, "upstreamRegistryUrl", ""), out->url, sizeof out->url,
                         NULL);
}

static bool
is_root(const char *prefix)
{
    return prefix[0] == '\0' || strcmp(prefix, "ROOT") == 0;
}

static bool
covers(const char *prefix, const char *repository)
{
    const size_t len = strlen(prefix);

    return is_root(prefix) || (strncmp(repository, prefix, len) == 0 && repository[len] == '/');
}

bool
pull_rule_find(struct registry *reg, const char *region, const char *repository,
               struct pull_rule *out)
{
    cleanup_json struct json *document = NULL;
    const struct json *best = NULL;
    size_t best_len = 0;

    if (!registry_document_get(reg, region, &document, NULL))
        return false;
    const struct json *rules = json_get(document, "pullThroughCacheRules");
    for (size_t i = 0; i < json_size(rules); i++) {
        const char *prefix = json_get_cstr(json_at(rules, i), "ecrRepositoryPrefix", "");
        const size_t len = is_root(prefix) ? 0 : strlen(prefix);
        if (!covers(prefix, repository) || (best != NULL && len <= best_len))
            continue;
        best = json_at(rules, i);
        best_len = len;
    }
    return best != NULL && pull_rule_read(best, out);
}

char *
pull_upstream_repository(const struct pull_rule *rule, const char *repository)
{
    const char *rest = is_root(rule->prefix) ? repository : repository + strlen(rule->prefix) + 1;

    if (is_root(rule->upstream_prefix))
        return text_dup(rest);
    return text_format("%s/%s", rule->upstream_prefix, rest);
}

void
registry_set_credentials(struct registry *reg, registry_credential *credential, void *ctx)
{
    reg->credential = credential;
    reg->credential_ctx = ctx;
}

bool
pull_remote_open(struct registry *reg, const struct pull_rule *rule, struct remote **out,
                 struct err *err)
{
    char *username = NULL, *password = NULL;

    if (rule->credential_arn[0] != '\0') {
        if (reg->credential == NULL)
            return err_set(err, ERR_ACCESS_DENIED, "there are no credentials in this process");
        if (!reg->credential(reg->credential_ctx, rule->credential_arn, &username, &password, err))
            return false;
    }
    *out = remote_new(rule->url, username, password);
    if (password != NULL)
        explicit_bzero(password, strlen(password));
    free(username);
    free(password);
    return true;
}
