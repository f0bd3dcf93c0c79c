/* SPDX-License-Identifier: MIT */
/* policy_store.c - policies on disk, and what they say. A file of their own (R/_policy.json, and
 * _policy.json of the region's folder), so that whoever has none pays one look for it. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>

#include "base/log.h"
#include "io/file.h"
#include "registry/internal.h"
#include "registry/policy.h"
#include "registry/reference.h"

static char *
policy_path(const struct registry *reg, const char *region, const char *repository)
{
    cleanup_free char *folder = region_path(reg, region);

    return repository != NULL ? repository_path(reg, region, repository, "_policy.json")
                              : text_format("%s/_policy.json", folder);
}

static bool
not_found(const struct registry *reg, const char *repository, struct err *err)
{
    if (repository == NULL)
        return err_set(err, ERR_ECR_REGISTRY_POLICY_NOT_FOUND,
                       "Registry policy does not exist in the registry with id '%s'",
                       reg->account_id);
    return err_set(
        err, ERR_ECR_POLICY_NOT_FOUND,
        "Repository policy does not exist for the repository with name '%s' in the registry "
        "with id '%s'",
        repository, reg->account_id);
}

bool
registry_policy_get(struct registry *reg, const char *region, const char *repository,
                    struct strbuf *out, struct err *err)
{
    cleanup_free char *path = policy_path(reg, region, repository);

    if (repository != NULL && !repository_check(reg, region, repository, err))
        return false;
    if (disk_is_absent(path))
        return not_found(reg, repository, err);
    return file_read(path, POLICY_TEXT_MAX + 1, out, err);
}

static bool
policy_change(struct registry *reg, const char *region, const char *repository, const char *path,
              const char *text, struct err *err)
{
    cleanup_free char *folder = region_path(reg, region);

    if (text != NULL)
        return disk_make_dirs(reg->root_dir, folder, err) &&
               disk_store(reg, path, str_of(text), err);
    if (disk_is_absent(path))
        return not_found(reg, repository, err);
    return disk_remove(path, err) && disk_sync_parent(path, err);
}

bool
registry_policy_set(struct registry *reg, const char *region, const char *repository,
                    const char *text, struct err *err)
{
    cleanup_free char *path = policy_path(reg, region, repository);
    cleanup_json struct json *parsed = NULL;

    if (text != NULL &&
        !policy_parse(str_of(text), repository != NULL ? POLICY_OF_REPOSITORY : POLICY_OF_REGISTRY,
                      &parsed, err))
        return false;
    cleanup(unlock_) pthread_mutex_t *lock UNUSED =
        repository_lock(reg, region, repository != NULL ? repository : "");
    if (repository != NULL && !repository_check(reg, region, repository, err))
        return false;
    const bool is_set = policy_change(reg, region, repository, path, text, err);
    places_change(reg); /* it may be there even if its flush failed */
    return is_set;
}

bool
policy_put(struct registry *reg, const char *region, const char *repository, const char *text, struct err *err)
{
    cleanup_free char *path = policy_path(reg, region, repository);
    cleanup_json struct json *parsed = NULL;

    return policy_parse(str_of(text), POLICY_OF_REPOSITORY, &parsed, err) &&
           policy_change(reg, region, repository, path, text, err);
}

/* ---- what they say ---- */

/* What one of the two says; nothing, if it is not there. */
static enum policy_verdict
ask_one(struct registry *reg, const char *region, const char *repository, bool is_of_registry,
        const struct policy_request *rq)
{
    cleanup_free char *path = policy_path(reg, region, is_of_registry ? NULL : repository);
    cleanup(strbuf_done) struct strbuf bytes = {0};
    struct err err = {0};

    if (disk_is_absent(path))
        return POLICY_NONE;
    if (!file_read(path, POLICY_TEXT_MAX + 1, &bytes, &err)) {
        if (err.sys_errno == ENOENT)
            return POLICY_NONE; /* removed meanwhile */
        log_error("registry.policy_unreadable", "path=%s error=%s", log_quote(path),
                  log_quote(err.message));
        return POLICY_DENY;
    }
    cleanup_json struct json *policy = json_parse(strbuf_str(&bytes), &err);
    if (policy != NULL)
        return policy_verdict(policy, rq);
    log_error("registry.policy_damaged", "path=%s error=%s", log_quote(path),
              log_quote(err.message));
    return POLICY_DENY;
}

static bool
is_about_policies(const char *action)
{
    static const char *const actions[] = {"ecr:GetRepositoryPolicy",    "ecr:SetRepositoryPolicy",
                                          "ecr:DeleteRepositoryPolicy", "ecr:GetRegistryPolicy",
                                          "ecr:PutRegistryPolicy",      "ecr:DeleteRegistryPolicy"};

    for (size_t i = 0; i < ARRAY_COUNT(actions); i++)
        if (strcmp(action, actions[i]) == 0)
            return true;
    return false;
}

static char *
resource_arn(const struct registry *reg, const char *region, const char *repository)
{
    return repository != NULL
               ? text_format("arn:aws:ecr:%s:%s:repository/%s", region, reg->account_id, repository)
               : str_dup(STR("*"));
}

static enum policy_verdict
ask_both(struct registry *reg, const char *region, const char *repository, bool has_own,
         const struct policy_request *rq)
{
    const enum policy_verdict common = ask_one(reg, region, repository, /* is_of_registry= */ true, rq);

    return has_own ? policy_verdict_add(common, ask_one(reg, region, repository, false, rq)) : common;
}

/* False: it has some, or none, which cannot be told. Where there is no such repository there are none. */
static bool
tags_read(struct registry *reg, const char *region, const char *repository, struct registry_repository *out)
{
    struct err err = {0};

    if (registry_repository_get(reg, region, repository, out, &err) || err.code == ERR_REPOSITORY_NOT_FOUND ||
        !repository_check(reg, region, repository, NULL)) /* or it was deleted meanwhile */
        return true;
    log_error("registry.tags_unreadable", "repository=%s error=%s", repository, log_quote(err.message));
    return false;
}

static enum registry_verdict
policies_say(struct registry *reg, const char *region, const char *repository, bool has_own,
             const char *action, const struct registry_caller *caller, int64_t now_ms)
{
    cleanup_free char *arn = resource_arn(reg, region, repository);
    cleanup(registry_repository_done) struct registry_repository r = {0};
    struct policy_request rq = {
        .principal = caller->principal,
        .service = caller->service,
        .action = action,
        .resource = arn,
        .source_ip = caller->source_ip,
        .region = region,
        .is_secure = caller->is_secure,
        .now_ms = now_ms,
    };

    if (repository != NULL && !tags_read(reg, region, repository, &r))
        rq.are_tags_unread = true;
    rq.resource_tags = json_get(r.document, "tags");
    enum policy_verdict verdict = ask_both(reg, region, repository, has_own, &rq);
    if (caller->holder != NULL) {
        rq.principal = caller->holder;
        if (ask_both(reg, region, repository, has_own, &rq) == POLICY_DENY)
            verdict = POLICY_DENY;
    }
    return verdict == POLICY_DENY    ? REGISTRY_DENIES
           : verdict == POLICY_ALLOW ? REGISTRY_ALLOWS
                                     : REGISTRY_SAYS_NOTHING;
}

/* AWS lists referrers to whoever holds BatchGetImage; ListImageReferrers by its own name allows and denies them, too. */
static enum registry_verdict
policies_say_of(struct registry *reg, const char *region, const char *repository, bool has_own,
                const char *action, const struct registry_caller *caller, int64_t now_ms)
{
    const enum registry_verdict verdict = policies_say(reg, region, repository, has_own, action, caller, now_ms);

    if (verdict == REGISTRY_DENIES || strcmp(action, "ecr:ListImageReferrers") != 0)
        return verdict;
    const enum registry_verdict of_image =
        policies_say(reg, region, repository, has_own, "ecr:BatchGetImage", caller, now_ms);
    return of_image != REGISTRY_SAYS_NOTHING ? of_image : verdict;
}

enum registry_verdict
registry_policy_says(struct registry *reg, const char *region, const char *repository,
                     const char *action, const struct registry_caller *caller, int64_t now_ms)
{
    if (caller->principal != NULL && strcmp(caller->principal, reg->root_principal) == 0 &&
        is_about_policies(action))
        return REGISTRY_ALLOWS;
    if (!region_is_valid(str_of(region)) ||
        (repository != NULL && !name_is_valid(str_of(repository))))
        return REGISTRY_SAYS_NOTHING; /* there is none of that name */
    const unsigned as_of = places_changed(reg);
    if (repository != NULL && place_is(reg, region, repository, PLACE_WITHOUT_POLICY))
        return REGISTRY_SAYS_NOTHING;
    cleanup_free char *own = repository != NULL ? policy_path(reg, region, repository) : NULL;
    cleanup_free char *common = policy_path(reg, region, NULL);
    const bool has_own = own != NULL && !disk_is_absent(own), has_common = !disk_is_absent(common);
    if (has_own || has_common)
        return policies_say_of(reg, region, repository, has_own, action, caller, now_ms);
    if (repository != NULL)
        place_note(reg, region, repository, PLACE_WITHOUT_POLICY, as_of);
    return REGISTRY_SAYS_NOTHING;
}

bool
registry_refuse(struct registry *reg, const char *region, const char *repository,
                const char *action, const struct registry_caller *caller, bool is_explicit,
                struct err *err)
{
    cleanup_free char *arn = resource_arn(reg, region, repository);

    return err_set(err, ERR_ACCESS_DENIED,
                   "User: %s is not authorized to perform: %s on resource: %s %s",
                   caller->principal != NULL ? caller->principal : "anonymous", action, arn,
                   is_explicit ? "with an explicit deny in a resource-based policy"
                               : "because no policy allows the action");
}
