/* SPDX-License-Identifier: MIT */
/* template.c - repositories that come into being with what a template says. */
#include "base/log.h"
#include "registry/internal.h"
#include "registry/reference.h"

/* How specific the template is to the name: the length of its prefix, 0 for ROOT; -1: it is not for
 * it. */
static int64_t
fit_of(const struct json *template, struct str name)
{
    struct str prefix = str_of(json_get_cstr(template, "prefix", ""));

    if (str_is(prefix, "ROOT"))
        return 0;
    if (str_ends(prefix, STR("/")))
        prefix = str_slice(prefix, 0, prefix.len - 1);
    return prefix.len > 0 && str_starts(name, prefix) && name.len > prefix.len &&
                   name.at[prefix.len] == '/'
               ? (int64_t)prefix.len
               : -1;
}

static const struct json *
template_find(const struct json *templates, struct str name, const char *reason)
{
    const struct json *best = NULL;

    for (size_t i = 0; i < json_size(templates); i++) {
        const struct json *one = json_at(templates, i);
        const int64_t fit = fit_of(one, name);
        if (fit >= 0 && json_has_text(json_get(one, "appliedFor"), reason) &&
            (best == NULL || fit > fit_of(best, name)))
            best = one;
    }
    return best;
}

static struct json *
document_of(const struct json *template)
{
    static const struct {
        const char *from, *to;
    } members[] = {{"resourceTags", "tags"},
                   {"imageTagMutability", "imageTagMutability"},
                   {"imageTagMutabilityExclusionFilters", "imageTagMutabilityExclusionFilters"},
                   {"lifecyclePolicy", REGISTRY_LIFECYCLE_TEXT}};
    struct json *document = json_object();

    for (size_t i = 0; i < ARRAY_COUNT(members); i++)
        if (json_get(template, members[i].from) != NULL)
            json_set(document, members[i].to, json_copy(json_get(template, members[i].from)));
    return document;
}

static bool
make(struct registry *reg, const char *region, const char *name, const struct json *template,
     struct err *err)
{
    cleanup_json struct json *document = document_of(template);
    const char *policy = json_get_cstr(template, "repositoryPolicy", NULL);
    struct err why = {0};

    if (!repository_create(reg, region, name, document, policy, &why)) {
        if (err != NULL)
            *err = why;
        return why.code == ERR_REPOSITORY_EXISTS; /* another push was faster */
    }
    log_info("registry.created_by_template", "repository=%s region=%s prefix=%s", name, region,
             json_get_cstr(template, "prefix", ""));
    return true;
}

bool
registry_create_by_template(struct registry *reg, const char *region, const char *name,
                            const char *reason, struct err *err)
{
    cleanup_json struct json *document = NULL;

    if (repository_check(reg, region, name, err))
        return true;
    if (!name_is_valid(str_of(name)) || !region_is_valid(str_of(region)) ||
        !registry_document_get(reg, region, &document, err))
        return false;
    const struct json *template =
        template_find(json_get(document, REGISTRY_TEMPLATES), str_of(name), reason);
    return template != NULL ? make(reg, region, name, template, err)
                            : repository_check(reg, region, name, err);
}

bool
registry_create_on_push(struct registry *reg, const char *region, const char *name,
                        const struct registry_caller *caller, int64_t now_ms)
{
    struct err err = {0};

    if (repository_check(reg, region, name, NULL) ||
        registry_policy_says(reg, region, name, "ecr:CreateRepository", caller, now_ms) == REGISTRY_DENIES)
        return false;
    if (registry_create_by_template(reg, region, name, "CREATE_ON_PUSH", &err))
        return true;
    if (err_http(err.code) >= 500)
        log_error("registry.create_failed", "repository=%s region=%s error=%s", log_quote(name), region,
                  log_quote(err.message));
    return false;
}

bool
repository_ensure(struct registry *reg, const char *region, const char *name, const char *reason,
                  struct err *err)
{
    cleanup_json struct json *document = json_object();
    struct err why = {0};

    if (registry_create_by_template(reg, region, name, reason, &why))
        return true;
    json_set(document, "imageTagMutability", json_text("MUTABLE"));
    if (why.code == ERR_REPOSITORY_NOT_FOUND) {
        why = (struct err){0};
        if (registry_repository_create(reg, region, name, document, &why) ||
            why.code == ERR_REPOSITORY_EXISTS)
            return true;
    }
    *err = why;
    return false;
}
