/* SPDX-License-Identifier: MIT */
/* room_watch.c - finds pushes that nobody told of: at the start and every few minutes the heads of
 * every repository are compared with those of the last time (heads.json beside the pipeline).  What
 * a repository elsewhere had before the first look is not built: only what was pushed since.
 * Also keeps the thread that reports to GitHub. */
#include <errno.h>
#include <stdio.h>
#include "base/clock.h"
#include "base/log.h"
#include "io/file.h"
#include "pipeline/forge/git_login.h"
#include "pipeline/forge/git_remote.h"
#include "pipeline/room.h"

#define RECONCILE_MS ((int64_t)5 * 60 * 1000)
#define HEADS_MAX ((size_t)16 << 20)
#define REPORT_AGE_MS ((int64_t)24 * 60 * 60 * 1000)

struct heads {
    struct pipeline_room *room;
    const char *pipeline;
    bool is_local, is_tied; /* to a repository on GitHub: its token may go there */
    int64_t looked_at; /* build_request */
    struct json *before; /* {branch: commit}; NULL: never looked */
    struct json *now;
};

static bool
was_built(const struct heads *h, const char *branch)
{
    const struct pipeline *p;
    bool built;

    room_lock(h->room);
    p = pipeline_store_find(&h->room->store, h->pipeline);
    built = p != NULL && pipeline_newest(p, branch) != NULL;
    room_unlock(h->room);
    return built;
}

/* Once more the next time: it is as it was, and not gone. */
static void
take_back(const struct heads *h, const char *branch)
{
    const char *before = json_get_cstr(h->before, branch, NULL);

    if (before == NULL)
        json_delete(h->now, branch);
    else
        json_set(h->now, branch, json_text(before));
}

static void
take_head(void *arg, struct str branch, struct str commit)
{
    const struct heads *h = arg;
    cleanup_free char *b = str_dup(branch);
    cleanup_free char *c = str_dup(commit);
    const struct build_request request = {.pipeline = h->pipeline,
                                          .branch = b,
                                          .commit = c,
                                          .looked_at = h->looked_at,
                                          .cause = "BranchEventCause",
                                          .unless_known = true};
    int64_t number;
    struct err err;

    json_set(h->now, b, json_text(c));
    if (!h->is_local && h->before != NULL ? strcmp(json_get_cstr(h->before, b, ""), c) == 0
                                          : !h->is_local && !was_built(h, b))
        return;
    if (!pipeline_submit(h->room, &request, &number, &err)) {
        log_warn("pipeline.reconcile", "pipeline=%s error=%s", h->pipeline, log_quote(err.message));
        take_back(h, b);
    }
}

static struct json *
read_heads(const char *path)
{
    cleanup(strbuf_done) struct strbuf text = {0};
    struct json *j;
    struct err err;

    if (!file_exists(path) || !file_read(path, HEADS_MAX, &text, &err))
        return NULL;
    j = json_parse(strbuf_str(&text), &err);
    if (json_type(j) == JSON_OBJECT)
        return j;
    json_unref(j);
    return NULL;
}

static void
forget_branches(const struct heads *h)
{
    for (void *it = h->before == NULL ? NULL : json_first(h->before); it != NULL;
         it = json_next(h->before, it))
        if (json_get(h->now, json_key(it)) == NULL &&
            !pipeline_gone(h->room, h->pipeline, json_key(it), h->looked_at))
            take_back(h, json_key(it));
}

static void
reconcile_one(struct heads *h, const char *url, const char *forge)
{
    cleanup_free char *path =
        text_format("%s/builds/%s/heads.json", h->room->config.data_dir, h->pipeline);
    cleanup_json struct json *before = read_heads(path), *now = json_object();
    cleanup_free char *secrets =
        h->is_tied ? text_format("%s/secrets", h->room->config.data_dir) : NULL;
    cleanup_free char *text = NULL;
    struct err err;

    h->before = before;
    h->now = now;
    if (!git_remote_heads(url, secrets, forge, take_head, h, &err)) {
        log_warn("pipeline.reconcile", "pipeline=%s error=%s", h->pipeline, log_quote(err.message));
        return;
    }
    if (before != NULL && json_equal(before, now))
        return;
    forget_branches(h);
    text = json_format(now);
    if (!file_write_atomic(path, str_of(text), 0640, &err))
        log_warn("pipeline.reconcile", "pipeline=%s error=%s", h->pipeline, log_quote(err.message));
}

static void
reconcile(struct pipeline_room *room)
{
    for (size_t i = 0; !atomic_load(&room->stopping); i++) {
        cleanup_free char *name = NULL, *url = NULL, *forge = NULL;
        struct heads h = {.room = room};
        room_lock(room);
        if (i < room->store.count) {
            name = text_dup(room->store.pipelines[i]->name);
            url = text_dup(room->store.pipelines[i]->url);
            forge = text_dup(room->store.pipelines[i]->forge);
            h.is_local = room->store.pipelines[i]->is_local;
            h.is_tied = room->store.pipelines[i]->github != NULL;
            h.looked_at = room->store.pipelines[i]->next_number;
        }
        room_unlock(room);
        if (name == NULL)
            return;
        h.pipeline = name;
        reconcile_one(&h, url, forge);
    }
}

static bool
repository_of(void *ctx, const char *pipeline, char **repository_out, char **url_out,
              char **forge_out)
{
    struct pipeline_room *room = ctx;
    const struct pipeline *p;
    bool tied;

    room_lock(room);
    p = pipeline_store_find(&room->store, pipeline);
    tied = p != NULL && p->github != NULL;
    if (tied) {
        *repository_out = text_dup(p->github);
        *url_out = text_dup(p->url);
        *forge_out = text_dup(p->forge);
    }
    room_unlock(room);
    return tied;
}

/* What the last run had no time to send; what was sent is noted, and not sent again. */
static void
offer_recent(struct pipeline_room *room)
{
    int64_t since_ms = clock_wall_ms() - REPORT_AGE_MS;

    room_lock(room);
    for (size_t p = 0; p < room->store.count; p++) {
        const struct pipeline *pipeline = room->store.pipelines[p];
        for (size_t i = 0; pipeline->github != NULL && i < pipeline->build_count; i++) {
            const struct build *b = pipeline->builds[i];
            cleanup_json struct json *j = NULL;
            if (b->queued_ms < since_ms)
                continue;
            j = build_to_public_json(b, true);
            github_reports_offer(room->reports, j);
        }
    }
    room_unlock(room);
}

static void *
watch(void *arg)
{
    struct pipeline_room *room = arg;
    int64_t interval_ms = room->config.reconcile_ms > 0 ? room->config.reconcile_ms : RECONCILE_MS;
    bool goes_on = true;

    offer_recent(room);
    while (goes_on && !atomic_load(&room->stopping)) {
        int64_t until_ms;
        reconcile(room);
        for (until_ms = clock_monotonic_ms() + interval_ms;
             goes_on && clock_monotonic_ms() < until_ms;)
            goes_on = pipeline_wait(room, until_ms - clock_monotonic_ms());
    }
    return NULL;
}

bool
room_watch_start(struct pipeline_room *room, struct err *err)
{
    const struct github_reports_config config = {
        .data_dir = room->config.data_dir,
        .base_url = room->config.base_url,
        .api_url = room->config.github_api_url != NULL && room->config.github_api_url[0] != '\0'
                       ? room->config.github_api_url
                       : NULL,
        .ctx = room,
        .repository_of = repository_of};
    int failure;

    git_login_use_api(config.api_url);
    room->reports = github_reports_start(&config, err);
    if (room->reports == NULL)
        return false;
    failure = pthread_create(&room->watch, NULL, watch, room);
    errno = failure;
    if (failure != 0)
        return err_errno(err, "cannot start the thread that compares heads");
    room->is_watching = true;
    return true;
}

void
room_watch_stop(struct pipeline_room *room)
{
    if (room->is_watching)
        pthread_join(room->watch, NULL);
    github_reports_stop(room->reports);
    room->reports = NULL;
}
