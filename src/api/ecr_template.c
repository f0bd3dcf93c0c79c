/* SPDX-License-Identifier: MIT */
/* ecr_template.c - repository creation templates. They are checked when they are made, as the
 * repositories that come of them would be. */
#include "api/ecr.h"

#include "registry/policy.h"
#include "registry/reference.h"
#include "registry/registry.h"

#define TEMPLATES_MAX 100 /* of a region */

struct change {
    struct request *rq;
    struct json *template; /* as it is told, but for the times */
};

static size_t
index_of(const struct json *templates, const char *prefix)
{
    size_t i = 0;

    while (i < json_size(templates) &&
           !str_equal(ecr_prefix_bare(json_get_cstr(json_at(templates, i), "prefix", "")), ecr_prefix_bare(prefix)))
        i++;
    return i;
}

static bool
is_wanted(const struct json *prefixes, const char *prefix)
{
    for (size_t i = 0; i < json_size(prefixes); i++)
        if (str_equal(ecr_prefix_bare(json_cstr(json_at(prefixes, i), "")), ecr_prefix_bare(prefix)))
            return true;
    return prefixes == NULL;
}

static bool
not_found(struct request *rq, const char *prefix, struct err *err)
{
    return err_set(
        err, ERR_TEMPLATE_NOT_FOUND,
        "The repository creation template with prefix '%s' does not exist in the registry with "
        "id '%s'",
        prefix, rq->account);
}

/* ---- checking ---- */

static bool
prefix_check(const char *prefix, struct err *err)
{
    return strcmp(prefix, "ROOT") == 0 || name_prefix_is_valid(ecr_prefix_bare(prefix)) ||
           err_set(
               err, ERR_INVALID_PARAMETER,
               "Invalid parameter at 'prefix' failed to satisfy constraint: 'must be ROOT or the "
               "beginning of names of repositories'");
}

/* What a repository of this template would have to be. */
static bool
template_check(const struct json *t, struct err *err)
{
    cleanup_json struct json *scratch = json_object(), *policy = NULL, *tags = NULL;
    const char *repository_policy = json_get_cstr(t, "repositoryPolicy", NULL);
    const char *lifecycle_policy = json_get_cstr(t, "lifecyclePolicy", NULL);

    return prefix_check(json_get_cstr(t, "prefix", ""), err) &&
           (json_size(json_get(t, "appliedFor")) > 0 ||
            err_set(err, ERR_INVALID_PARAMETER,
                    "Invalid parameter at 'appliedFor' failed to satisfy constraint: 'must not be "
                    "empty'")) &&
           ecr_mutability_set(scratch, t, err) &&
           ecr_encryption_check(json_get(t, "encryptionConfiguration"), err) &&
           ecr_tags_merge(NULL, json_get(t, "resourceTags"), &tags, err) &&
           (repository_policy == NULL ||
            policy_parse(str_of(repository_policy), POLICY_OF_REPOSITORY, &policy, err)) &&
           (lifecycle_policy == NULL || ecr_lifecycle_check(lifecycle_policy, err));
}

/* Members of the input into the template; an empty policy takes one away. */
static void
template_fill(struct json *t, const struct json *input)
{
    static const char *const members[] = {
        "description",      "encryptionConfiguration",
        "resourceTags",     "imageTagMutability", "imageTagMutabilityExclusionFilters",
        "repositoryPolicy", "lifecyclePolicy",    "appliedFor",
        "customRoleArn"};

    for (size_t i = 0; i < ARRAY_COUNT(members); i++) {
        const struct json *value = json_get(input, members[i]);
        if (value == NULL)
            continue;
        if (json_type(value) == JSON_TEXT && json_cstr(value, "")[0] == '\0')
            json_delete(t, members[i]);
        else
            json_set(t, members[i], json_copy(value));
    }
    /* Another kind of mutability does not inherit the filters. */
    if (json_get(input, "imageTagMutability") != NULL &&
        json_get(input, "imageTagMutabilityExclusionFilters") == NULL)
        json_delete(t, "imageTagMutabilityExclusionFilters");
}

static struct json *
template_json(struct request *rq, const struct json *t)
{
    struct json *j = json_copy(t);

    ecr_encryption_tell(j);
    json_set(j, "createdAt", aws_time(rq, json_get_i64(t, "createdAt", 0)));
    json_set(j, "updatedAt", aws_time(rq, json_get_i64(t, "updatedAt", 0)));
    return j;
}

/* ---- changing ---- */

static struct json *
templates_of(struct json *document)
{
    if (json_get(document, REGISTRY_TEMPLATES) == NULL)
        json_set(document, REGISTRY_TEMPLATES, json_array());
    return json_get(document, REGISTRY_TEMPLATES);
}

static bool
template_create(void *arg, struct json *document, struct err *err)
{
    struct change *c = arg;
    struct json *templates = templates_of(document);
    const char *prefix = json_get_cstr(c->rq->input, "prefix", "");

    if (index_of(templates, prefix) < json_size(templates))
        return err_set(
            err, ERR_TEMPLATE_EXISTS,
            "A repository creation template with prefix '%s' already exists in the registry "
            "with id '%s'",
            prefix, c->rq->account);
    if (json_size(templates) >= TEMPLATES_MAX)
        return err_set(err, ERR_LIMIT_EXCEEDED,
                       "A registry has at most %d repository creation templates", TEMPLATES_MAX);
    json_set(c->template, "prefix", json_text(prefix));
    template_fill(c->template, c->rq->input);
    if (json_get(c->template, "imageTagMutability") == NULL)
        json_set(c->template, "imageTagMutability", json_text("MUTABLE"));
    json_set(c->template, "createdAt", json_int(c->rq->now_ms));
    json_set(c->template, "updatedAt", json_int(c->rq->now_ms));
    if (!template_check(c->template, err))
        return false;
    json_append(templates, json_copy(c->template));
    return true;
}

/* All but that one, which becomes the change's; false if it is not there. */
static bool
template_delete(void *arg, struct json *document, struct err *err)
{
    struct change *c = arg;
    struct json *templates = templates_of(document), *left = json_array();
    const char *prefix = json_get_cstr(c->rq->input, "prefix", "");
    const size_t at = index_of(templates, prefix);

    if (at == json_size(templates)) {
        json_unref(left);
        return not_found(c->rq, prefix, err);
    }
    for (size_t i = 0; i < json_size(templates); i++)
        if (i != at)
            json_append(left, json_ref(json_at(templates, i)));
    json_unref(c->template);
    c->template = json_copy(json_at(templates, at));
    json_set(document, REGISTRY_TEMPLATES, left);
    return true;
}

static bool
template_update(void *arg, struct json *document, struct err *err)
{
    struct change *c = arg;

    if (!template_delete(c, document, err))
        return false;
    template_fill(c->template, c->rq->input);
    json_set(c->template, "updatedAt", json_int(c->rq->now_ms));
    if (!template_check(c->template, err))
        return false;
    json_append(json_get(document, REGISTRY_TEMPLATES), json_copy(c->template));
    return true;
}

static bool
run(struct request *rq, bool (*change)(void *arg, struct json *document, struct err *err),
    struct json *out, struct err *err)
{
    struct change c = {rq, json_object()};
    const bool done = registry_document_change(ecr_registry(rq), rq->region, change, &c, err);

    if (done) {
        json_set(out, "registryId", json_text(rq->account));
        json_set(out, "repositoryCreationTemplate", template_json(rq, c.template));
    }
    json_unref(c.template);
    return done;
}

void
ecr_create_on_push(struct request *rq, const char *repository)
{
    const struct registry_caller caller = ecr_caller(rq);

    (void)registry_create_on_push(ecr_registry(rq), rq->region, repository, &caller, rq->now_ms);
}

/* ---- the operations ---- */

bool
ecr_create_repository_creation_template(struct request *rq, struct json *out, struct err *err)
{
    return run(rq, template_create, out, err);
}

bool
ecr_update_repository_creation_template(struct request *rq, struct json *out, struct err *err)
{
    return run(rq, template_update, out, err);
}

bool
ecr_delete_repository_creation_template(struct request *rq, struct json *out, struct err *err)
{
    return run(rq, template_delete, out, err);
}

bool
ecr_describe_repository_creation_templates(struct request *rq, struct json *out, struct err *err)
{
    const struct json *wanted = json_get(rq->input, "prefixes");
    cleanup_json struct json *document = NULL;
    struct ecr_page page = {.member = "repositoryCreationTemplates"};

    if (!registry_document_get(ecr_registry(rq), rq->region, &document, err))
        return false;
    const struct json *templates = json_get(document, REGISTRY_TEMPLATES);
    for (size_t i = 0; i < json_size(wanted); i++) {
        const char *prefix = json_cstr(json_at(wanted, i), "");
        if (index_of(templates, prefix) == json_size(templates))
            return not_found(rq, prefix, err);
    }
    for (size_t i = 0; i < json_size(templates); i++) {
        const struct json *t = json_at(templates, i);
        const char *prefix = json_get_cstr(t, "prefix", "");
        if (is_wanted(wanted, prefix))
            ecr_page_add(&page, prefix, template_json(rq, t));
    }
    json_set(out, "registryId", json_text(rq->account));
    return ecr_page_write(rq, &page, out, err);
}
