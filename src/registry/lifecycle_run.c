/* SPDX-License-Identifier: MIT */
/* lifecycle_run.c - lifecycle policies at work on repositories. */
#include <stdio.h>

#include "base/log.h"
#include "io/file.h"
#include "registry/internal.h"
#include "registry/lifecycle.h"

#define PREVIEW_MAX (64 << 20)

static bool
is_kept(void *ctx, const char *digest)
{
    const struct view *v = ctx;

    return view_index_of(v, digest, ALL_INDEXES) != NULL || view_unread(v, digest, ALL_INDEXES) != NULL ||
           image_is_in_use(v->reg, v->region, v->repository, digest, NULL);
}

static bool
preview(struct view *v, const char *policy_text, int64_t now_ms, struct json **out, struct err *err)
{
    cleanup(lifecycle_done) struct lifecycle_policy policy = {0};
    cleanup_json struct json *images = NULL;

    if (!lifecycle_parse(str_of(policy_text), &policy, err) ||
        !registry_images(v->reg, v->region, v->repository, &images, err))
        return false;
    cleanup_free int64_t *rules = mem_new((json_size(images) + 1) * sizeof *rules);
    struct json *taken = json_array();
    lifecycle_evaluate(&policy, images, now_ms, is_kept, v, rules);
    for (size_t i = 0; i < json_size(images); i++) {
        if (rules[i] == 0)
            continue;
        struct json *image = json_ref(json_at(images, i));
        json_set(image, "rule", json_int(rules[i]));
        json_set(image, "action", json_text(lifecycle_transitions(&policy, rules[i]) ? "TRANSITION" : "EXPIRE"));
        json_append(taken, image);
    }
    *out = taken;
    return true;
}

bool
registry_lifecycle_preview(struct registry *reg, const char *region, const char *repository,
                           const char *policy_text, int64_t now_ms, struct json **out,
                           struct err *err)
{
    cleanup(view_close_) struct view *v = NULL;

    return view_open(reg, region, repository, &v, err) && preview(v, policy_text, now_ms, out, err);
}

static bool
time_set(void *arg, struct json *document, struct err *err)
{
    (void)err;
    json_set(document, REGISTRY_LIFECYCLE_TIME, json_int(*(const int64_t *)arg));
    return true;
}

/* Expires or archives one image, unless something has happened to it; `*expired`: counts who has gone. */
static bool
image_take(struct view *v, const struct json *image, int64_t *expired, struct err *err)
{
    const bool transitions = strcmp(json_get_cstr(image, "action", ""), "TRANSITION") == 0;
    bool is_done = false;

    if (!(transitions ? image_transition(v, image, &is_done, err) : image_expire(v, image, &is_done, err)))
        return false;
    if (!is_done)
        return true;
    *expired += !transitions;
    log_info(transitions ? "registry.archived" : "registry.expired", "repository=%s digest=%s rule=%lld",
             v->repository, json_get_cstr(image, "digest", ""), (long long)json_get_i64(image, "rule", 0));
    return true;
}

/* One image's trouble is not the others'. `err` is that of the first, the log has the rest. */
static bool
images_take(struct view *v, const struct json *images, int64_t *expired, struct err *err)
{
    bool done = true;

    for (size_t i = 0; i < json_size(images); i++) {
        const struct json *image = json_at(images, i);
        struct err why = {0};
        if (image_take(v, image, expired, &why))
            continue;
        err_context(&why, "image '%s'", json_get_cstr(image, "digest", ""));
        if (!done)
            log_error("registry.lifecycle_failed", "repository=%s error=%s", v->repository, log_quote(why.message));
        else if (err != NULL)
            *err = why;
        done = false;
    }
    return done;
}

bool
registry_lifecycle_apply(struct registry *reg, const char *region, const char *repository,
                         int64_t now_ms, int64_t *expired_out, struct err *err)
{
    cleanup(registry_repository_done) struct registry_repository r = {0};
    cleanup(view_close_) struct view *v = NULL;
    cleanup_json struct json *taken = NULL;

    *expired_out = 0;
    if (!registry_repository_get(reg, region, repository, &r, err))
        return false;
    const char *text = json_get_cstr(r.document, REGISTRY_LIFECYCLE_TEXT, NULL);
    if (text == NULL)
        return true;
    if (!view_open(reg, region, repository, &v, err) || !preview(v, text, now_ms, &taken, err))
        return false;
    return images_take(v, taken, expired_out, err) &&
           registry_repository_change(reg, region, repository, time_set, &now_ms, err);
}

struct run {
    struct registry *reg;
    int64_t before_ms, now_ms, expired;
};

static bool
apply_if_due(void *arg, const char *region, const char *name, struct err *err)
{
    struct run *run = arg;
    cleanup(registry_repository_done) struct registry_repository r = {0};
    struct err why = {0};
    int64_t expired = 0;

    (void)err;
    if (!registry_repository_get(run->reg, region, name, &r, &why)) {
        if (repository_check(run->reg, region, name, NULL)) /* else it was deleted meanwhile */
            log_error("registry.lifecycle_failed", "repository=%s error=%s", name, log_quote(why.message));
        return true;
    }
    if (json_get(r.document, REGISTRY_LIFECYCLE_TEXT) == NULL ||
        json_get_i64(r.document, REGISTRY_LIFECYCLE_TIME, 0) > run->before_ms)
        return true;
    /* One repository's trouble is not the others'. */
    if (!registry_lifecycle_apply(run->reg, region, name, run->now_ms, &expired, &why))
        log_error("registry.lifecycle_failed", "repository=%s error=%s", name,
                  log_quote(why.message));
    run->expired += expired;
    return true;
}

bool
registry_lifecycle_apply_all(struct registry *reg, int64_t age_ms, int64_t now_ms,
                             int64_t *expired_out, struct err *err)
{
    struct run run = {.reg = reg, .before_ms = now_ms - age_ms, .now_ms = now_ms};

    if (!repository_each(reg, apply_if_due, &run, err))
        return false;
    *expired_out = run.expired;
    return true;
}

/* ---- previews ---- */

bool
registry_preview_get(struct registry *reg, const char *region, const char *repository,
                     struct json **out, struct err *err)
{
    cleanup_free char *path = repository_path(reg, region, repository, "_preview.json");

    if (!repository_check(reg, region, repository, err))
        return false;
    if (!file_exists(path))
        return err_set(
            err, ERR_LIFECYCLE_PREVIEW_NOT_FOUND,
            "Lifecycle policy preview does not exist for the repository with name '%s' in the "
            "registry with id '%s'",
            repository, reg->account_id);
    return disk_read_json(path, PREVIEW_MAX, out, err);
}

bool
registry_preview_set(struct registry *reg, const char *region, const char *repository,
                     const struct json *preview, struct err *err)
{
    cleanup_free char *path = repository_path(reg, region, repository, "_preview.json");
    cleanup_free char *text = json_format(preview);
    cleanup(unlock_) pthread_mutex_t *lock UNUSED = repository_lock(reg, region, repository);

    if (strlen(text) > PREVIEW_MAX)
        return err_set(err, ERR_LIMIT_EXCEEDED, "the preview is too large");
    return repository_check(reg, region, repository, err) &&
           disk_store(reg, path, str_of(text), err);
}
