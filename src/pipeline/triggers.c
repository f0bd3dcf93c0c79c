/* SPDX-License-Identifier: MIT */
/* triggers.c - builds that nobody pushed: by the clock, by other builds, by steps of other builds; and
 * what Jenkinsfiles say of their jobs (job_properties.h). */
#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include "base/clock.h"
#include "base/log.h"
#include "pipeline/cron.h"
#include "pipeline/forge/git_remote.h"
#include "pipeline/room.h"

const struct json *
room_property(const struct pipeline *p, const char *branch, const char *name)
{
    return json_get(json_get(p->properties, branch), name);
}

void
room_set_properties(struct pipeline_room *room, const struct build *b, const struct json *given)
{
    struct pipeline *p;
    struct err err;

    room_lock(room);
    p = pipeline_store_find(&room->store, b->pipeline);
    if (p != NULL && !json_equal(json_get(p->properties, b->branch), given)) {
        if (p->properties == NULL)
            p->properties = json_object();
        json_set(p->properties, b->branch, json_copy(given));
        if (!pipeline_store_save(&room->store, p, &err))
            log_error("pipeline.properties", "error=%s", log_quote(err.message));
    }
    room_unlock(room);
}

/* One build that is due; collected under the lock, submitted without. */
struct due {
    char *pipeline, *branch;
    const char *cause;
    struct due *next;
};

static void
add_due(struct due **list, const char *pipeline, const char *branch, const char *cause)
{
    struct due *d = mem_new(sizeof(*d));

    d->pipeline = text_dup(pipeline);
    d->branch = text_dup(branch);
    d->cause = cause;
    d->next = *list;
    *list = d;
}

static void
submit_all(struct pipeline_room *room, struct due *list, const char *by, int64_t by_number)
{
    while (list != NULL) {
        struct due *d = list;
        const struct build_request request = {.pipeline = d->pipeline,
                                              .branch = d->branch,
                                              .cause = d->cause,
                                              .started_by = by,
                                              .started_by_number = by_number,
                                              /* nothing new: nothing to poll for */
                                              .unless_known = strcmp(d->cause, "SCMTrigger") == 0};
        int64_t number;
        struct err err;
        if (!pipeline_submit(room, &request, &number, &err))
            log_warn("pipeline.trigger", "pipeline=%s branch=%s cause=%s error=%s", d->pipeline,
                     d->branch, d->cause, log_quote(err.message));
        list = d->next;
        free(d->pipeline);
        free(d->branch);
        free(d);
    }
}

typedef const char *trigger_match(const struct json *trigger, const struct pipeline *p,
                                  const char *branch, const void *arg); /* the cause, or NULL */

static void
match_triggers(struct pipeline_room *room, trigger_match *match, const void *arg,
               const struct build *ended)
{
    cleanup_free char *by = ended == NULL ? NULL : text_dup(ended->pipeline);
    const int64_t by_number = ended == NULL ? 0 : ended->number;
    struct due *list = NULL;

    room_lock(room);
    for (size_t i = 0; i < room->store.count; i++) {
        const struct pipeline *p = room->store.pipelines[i];
        for (void *it = json_first(p->properties); it; it = json_next(p->properties, it)) {
            const struct json *triggers = json_get(json_value(it), "triggers");
            for (size_t k = 0; k < json_size(triggers); k++) {
                const char *cause = match(json_at(triggers, k), p, json_key(it), arg);
                if (cause != NULL)
                    add_due(&list, p->name, json_key(it), cause);
            }
        }
    }
    room_unlock(room);
    submit_all(room, list, by, by_number);
}

static const char *
match_minute(const struct json *trigger, const struct pipeline *p, const char *branch,
             const void *arg)
{
    const char *kind = json_get_cstr(trigger, "kind", "");
    cleanup_free char *job = text_format("%s/%s", p->name, branch);
    struct cron_look *look = *(struct cron_look *const *)arg;
    struct cron cron;
    struct err err;

    if (strcmp(kind, "cron") != 0 && strcmp(kind, "pollSCM") != 0)
        return NULL;
    if (!cron_parse(str_of(json_get_cstr(trigger, "spec", "")), str_of(job), look, &cron, &err) ||
        !cron_matches(&cron, look))
        return NULL;
    return strcmp(kind, "cron") == 0 ? "TimerTrigger" : "SCMTrigger";
}

void
room_minute(struct pipeline_room *room, int64_t now_ms)
{
    struct cron_look look = {.seconds = now_ms / 1000}, *const at = &look;

    match_triggers(room, match_minute, &at, NULL);
}

/* "web", "web/main", "../web/main": a build of which branch is meant? */
static bool
names_build(struct str job, const struct build *b)
{
    cleanup_free char *full = text_format("%s/%s", b->pipeline, b->branch);
    bool primary = strcmp(b->branch, "main") == 0 || strcmp(b->branch, "master") == 0;

    while (str_starts(job, STR("../")))
        job = str_slice(job, 3, job.len);
    if (job.len > 0 && job.at[0] == '/')
        job = str_slice(job, 1, job.len);
    return str_is(job, full) || (primary && str_is(job, b->pipeline));
}

static const char *
match_upstream(const struct json *trigger, const struct pipeline *p, const char *branch,
               const void *arg)
{
    const struct build *b = arg;
    struct str rest = str_of(json_get_cstr(trigger, "projects", "")), one;
    enum build_result threshold = RESULT_SUCCESS;

    (void)build_result_parse(str_of(json_get_cstr(trigger, "threshold", "SUCCESS")), &threshold);
    if (strcmp(json_get_cstr(trigger, "kind", ""), "upstream") != 0 || b->result > threshold ||
        b->superseded_by != 0)
        return NULL;
    while (str_split(&rest, ',', &one))
        if (names_build(str_trim(one), b))
            return "UpstreamCause";
    return NULL;
}

void
room_start_downstream(struct pipeline_room *room, const struct build *ended)
{
    match_triggers(room, match_upstream, ended, ended);
}

static const struct build *
find_by_key(struct pipeline_room *room, const char *key)
{
    for (size_t i = 0; i < room->store.count; i++)
        for (size_t k = 0; k < room->store.pipelines[i]->build_count; k++) {
            const struct build *b = room->store.pipelines[i]->builds[k];
            if (b->upstream != NULL && strcmp(b->upstream, key) == 0)
                return b;
        }
    return NULL;
}

/* The name and branch in "web/feature/x"; `branch` empty: the primary one. */
static bool
split_job(const char *job, char pipeline[static 64], struct str *branch)
{
    struct str rest = str_of(job), name;

    while (str_starts(rest, STR("../")) || str_starts(rest, STR("/")))
        rest = str_slice(rest, rest.at[0] == '/' ? 1 : 3, rest.len);
    (void)str_split(&rest, '/', &name);
    *branch = rest;
    return build_name_is_valid(name) && text_copy(pipeline, 64, name);
}

bool
room_start_for(struct pipeline_room *room, const struct build *by, const char *job, const char *key,
               const struct json *parameters, char pipeline[static 64], int64_t *number,
               struct err *err)
{
    static const char *const primary[] = {"main", "master"};
    cleanup_free char *named = NULL;
    struct build_request request = {.pipeline = pipeline,
                                    .cause = "BuildUpstreamCause",
                                    .parameters = parameters,
                                    .upstream = key,
                                    .started_by = by->pipeline,
                                    .started_by_number = by->number};
    const struct build *known;
    struct str branch;

    if (!split_job(job, pipeline, &branch))
        return err_set(err, ERR_VALIDATION, "'%.100s' is not the name of a pipeline", job);
    room_lock(room);
    known = find_by_key(room, key);
    *number = known == NULL ? 0 : known->number;
    room_unlock(room);
    if (*number != 0)
        return true;
    if (branch.len > 0) {
        named = str_dup(branch);
        request.branch = named;
        return pipeline_submit(room, &request, number, err);
    }
    for (size_t i = 0; i < ARRAY_COUNT(primary); i++) {
        request.branch = primary[i];
        if (pipeline_submit(room, &request, number, err))
            return true;
    }
    return false;
}

static void *
run_clock(void *arg)
{
    struct pipeline_room *room = arg;
    int64_t minute = clock_wall_ms() / 60000;

    while (pipeline_wait(room, 1000)) {
        int64_t now_ms = clock_wall_ms();
        if (now_ms / 60000 != minute) {
            minute = now_ms / 60000;
            room_minute(room, now_ms);
        }
        room_lock(room);
        if (room->has_postponed) /* quiet periods and rate limits end by themselves */
            pthread_cond_broadcast(&room->changed);
        if (room->lacks_worker)
            room_need_worker(room);
        room_unlock(room);
    }
    return NULL;
}

bool
room_clock_start(struct pipeline_room *room, struct err *err)
{
    const int failure = pthread_create(&room->clock, NULL, run_clock, room);

    room->has_clock = failure == 0;
    errno = failure;
    return room->has_clock || err_errno(err, "cannot start a thread");
}

void
room_clock_stop(struct pipeline_room *room)
{
    if (room->has_clock)
        pthread_join(room->clock, NULL);
    room->has_clock = false;
}
