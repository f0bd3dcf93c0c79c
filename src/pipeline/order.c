/* SPDX-License-Identifier: MIT */
/* order.c - which builds may wait and run beside each other: the queue, milestones, places of those that come back,
 * categories of throttleJobProperty, and locks of builds that are gone.  All is called with the room's lock held, but
 * for room_milestone(). */
#include <stdio.h>
#include "base/clock.h"
#include "base/log.h"
#include "io/file.h"
#include "pipeline/room.h"

#define SETTINGS_MAX ((size_t)1 << 20)
#define SETTINGS_AGE_MS 1000

/* ---- milestones ---- */

static bool
is_under_way(const struct build *b)
{
    return b->state != BUILD_ENDED && b->started_ms != 0;
}

/* Older builds that passed an earlier milestone and not this one. */
static void
end_older(struct pipeline_room *room, struct pipeline *p, const struct build *by)
{
    for (size_t i = 0; i < p->build_count; i++) {
        struct build *b = p->builds[i];
        if (b->number >= by->number || strcmp(b->branch, by->branch) != 0 || !is_under_way(b) ||
            b->milestone == 0 || b->milestone >= by->milestone || b->overtaken_by != 0)
            continue;
        b->overtaken_by = by->number;
        room_save(room, b);
        log_info("build.overtaken", "pipeline=%s build=%lld by=%lld", b->pipeline,
                 (long long)b->number, (long long)by->number);
    }
    pthread_cond_broadcast(&room->changed);
}

static bool
pass(struct pipeline_room *room, struct pipeline *p, struct build *b, int64_t *ordinal,
     int64_t *last, int64_t *by)
{
    *last = b->milestone - 1;
    if (*ordinal == MILESTONE_NEXT)
        *ordinal = *last + 1;
    /* A build that is taken up may have passed it without having heard so. */
    if (*ordinal < *last || (*ordinal == *last && b->resumed == 0))
        return false;
    for (size_t i = 0; i < p->build_count; i++) {
        const struct build *o = p->builds[i];
        if (o->number > b->number && strcmp(o->branch, b->branch) == 0 &&
            o->milestone > *ordinal && o->number > *by)
            *by = o->number;
    }
    if (*by != 0)
        return false;
    b->milestone = *ordinal + 1;
    room_save(room, b);
    end_older(room, p, b);
    return true;
}

bool
room_milestone(struct pipeline_room *room, struct build *b, int64_t *ordinal, int64_t *last,
               int64_t *by)
{
    struct pipeline *p;
    bool ok;

    room_lock(room);
    p = pipeline_store_find(&room->store, b->pipeline);
    *by = 0;
    ok = p != NULL && pass(room, p, b, ordinal, last, by);
    room_unlock(room);
    return ok;
}

static bool
is_aside(const struct build *b)
{
    return b->is_parked && !b->keeps_turn;
}

/* Builds of a branch run one after another.  One that passed a milestone and waits for people lets
 * newer ones begin: they may pass the next milestone before it, which ends it. */
bool
room_branch_is_busy(const struct pipeline *p, const char *branch)
{
    const bool one_at_a_time = room_property(p, branch, "abortPrevious") != NULL;

    for (size_t i = 0; i < p->build_count; i++) {
        const struct build *b = p->builds[i];
        if (b->state == BUILD_RUNNING && strcmp(b->branch, branch) == 0 &&
            (one_at_a_time || !is_aside(b) || b->milestone == 0))
            return true;
    }
    return false;
}

/* The lowest number that no other build of the branch works under. */
void
room_choose_place(const struct pipeline *p, struct build *b)
{
    bool again = true;

    for (b->place = 0; again;) {
        again = false;
        for (size_t i = 0; i < p->build_count && !again; i++) {
            const struct build *o = p->builds[i];
            again = o != b && is_under_way(o) && o->place == b->place &&
                    strcmp(o->branch, b->branch) == 0;
        }
        b->place += again;
    }
}

/* ---- the queue ---- */

bool
room_has_same(const struct build *b, const struct json *parameters)
{
    return b->parameters == NULL || parameters == NULL ? b->parameters == parameters
                                                       : json_equal(b->parameters, parameters);
}

bool
room_gives_way(const struct build *b, const char *branch, const struct json *parameters)
{
    return b->state == BUILD_QUEUED && b->started_ms == 0 && b->upstream == NULL &&
           strcmp(b->branch, branch) == 0 && room_has_same(b, parameters);
}

static size_t
waiting_of(const struct pipeline *p)
{
    size_t waiting = 0;

    for (size_t i = 0; i < p->build_count; i++)
        waiting += p->builds[i]->state == BUILD_QUEUED && p->builds[i]->started_ms == 0;
    return waiting;
}

bool
room_queue_is_full(const struct pipeline_room *room, const struct pipeline *of, const struct build_request *r)
{
    const struct json *parameters = json_size(r->parameters) > 0 ? r->parameters : NULL;
    size_t waiting = 0;

    for (size_t p = 0; p < room->store.count; p++)
        waiting += waiting_of(room->store.pipelines[p]);
    for (size_t i = 0; waiting >= room->queue_max && i < of->build_count; i++)
        if (r->replay_of == 0 && room_gives_way(of->builds[i], r->branch, parameters))
            return false;
    return waiting >= room->queue_max;
}

/* ---- places ---- */

static const char waits_for_place[] = "Waiting for a place among the builds that run";

bool
room_take_place(struct pipeline_room *room, struct build *b)
{
    if (!b->is_parked)
        return true;
    if (room_has_place(room, 0)) {
        room_place_taken(room, b);
        b->is_parked = false;
        room->parked--;
        return true;
    }
    if (b->waiting == NULL)
        room_set_waiting(b, waits_for_place);
    room->returning += !b->wants_place;
    b->wants_place = true;
    return false;
}

void
room_place_taken(struct pipeline_room *room, struct build *b)
{
    room->returning -= b->wants_place;
    b->wants_place = false;
    if (b->waiting != NULL && strcmp(b->waiting, waits_for_place) == 0)
        room_set_waiting(b, NULL);
}

/* ---- locks ---- */

/* "web/feature%2Fx#7 _3": is there such a build that was under way? */
static bool
is_of_no_build(void *arg, const char *owner)
{
    const struct pipeline_room *room = arg;
    const char *space = strrchr(owner, ' ');
    struct str build = str_range(owner, space == NULL ? owner : space), name;
    const ptrdiff_t hash = str_rindex(build, '#');
    cleanup_free char *pipeline = NULL;
    const struct pipeline *p;
    int64_t number = 0;

    if (hash >= 0 && str_to_i64(str_slice(build, (size_t)hash + 1, build.len), &number) &&
        str_split(&build, '/', &name))
        pipeline = str_dup(name);
    p = pipeline == NULL ? NULL : pipeline_store_find(&room->store, pipeline);
    for (size_t i = 0; p != NULL && i < p->build_count; i++)
        if (p->builds[i]->number == number && is_under_way(p->builds[i]))
            return false;
    log_warn("pipeline.lock_swept", "owner=%s", log_quote(owner));
    return true;
}

void
room_sweep_locks(struct pipeline_room *room)
{
    lock_table_sweep(room->locks, is_of_no_build, room);
}

/* ---- throttleJobProperty ---- */

/* As the step `throttle` has it: what is no limit lets one build at a time. */
static int64_t
limit_in(const struct json *throttle, const char *category)
{
    const int64_t limit = json_get_i64(throttle, category, -1);

    return limit < 0 ? 1 : limit;
}

/* Asked for each build that waits whenever anything happens: the file is read once a second. */
static int64_t
limit_of(struct pipeline_room *room, const char *category)
{
    cleanup_free char *path = NULL;
    cleanup(strbuf_done) struct strbuf text = {0};
    const int64_t now_ms = clock_monotonic_ms();
    struct err err;

    if (room->throttle_ms != 0 && now_ms < room->throttle_ms + SETTINGS_AGE_MS)
        return limit_in(room->throttle, category);
    path = text_format("%s/throttle.json", room->config.data_dir);
    json_unref(room->throttle);
    room->throttle = NULL;
    room->throttle_ms = now_ms;
    if (file_exists(path) && (!file_read(path, SETTINGS_MAX, &text, &err) ||
                              (room->throttle = json_parse(strbuf_str(&text), &err)) == NULL))
        log_warn("pipeline.throttle", "error=%s", log_quote(err.message));
    return limit_in(room->throttle, category);
}

static int64_t
running_in(const struct pipeline_room *room, const char *category)
{
    int64_t n = 0;

    for (size_t i = 0; i < room->store.count; i++) {
        const struct pipeline *p = room->store.pipelines[i];
        for (size_t k = 0; k < p->build_count; k++) {
            const struct build *b = p->builds[k];
            n += b->state == BUILD_RUNNING && !is_aside(b) &&
                 json_has_text(room_property(p, b->branch, "throttleCategories"), category);
        }
    }
    return n;
}

bool
room_is_throttled(struct pipeline_room *room, const struct pipeline *p, const struct build *b)
{
    const struct json *categories = room_property(p, b->branch, "throttleCategories");

    for (size_t i = 0; i < json_size(categories); i++) {
        const char *category = json_cstr(json_at(categories, i), "");
        const int64_t limit = limit_of(room, category);
        if (limit > 0 && running_in(room, category) >= limit)
            return true;
    }
    return false;
}
