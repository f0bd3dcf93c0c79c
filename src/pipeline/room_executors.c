/* SPDX-License-Identifier: MIT */
/* room_executors.c - the executors of a room's builds (executors.h): builds.json looked at now and then,
 * labels for the environment, and why a build waits.  With the lock held, but for those of the host. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include "base/clock.h"
#include "base/log.h"
#include "io/file.h"
#include "pipeline/language/label.h"
#include "pipeline/room.h"

#define LOOK_EVERY_MS 1000
#define HELD_MAX ((size_t)16 << 20)

/* ---- what outlives naru ---- */

static char *
held_path(const struct pipeline_room *room)
{
    return text_format("%s/builds/executors.json", room->config.data_dir);
}

/* Only where there are not any number of them.  Not flushed: what a power cut takes from it, it took from
 * the builds, too. */
static void
keep_held(const struct pipeline_room *room)
{
    cleanup_free char *path = NULL, *next = NULL, *text = NULL;
    cleanup_json struct json *held = NULL;
    struct err err;

    if (executor_table_plan(room->executors)->total == 0)
        return;
    path = held_path(room);
    next = text_format("%s.next", path);
    held = executor_table_held(room->executors);
    text = json_format(held);
    cleanup_close int fd = open(next, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0640);
    if (fd < 0 || !file_write_all(fd, str_of(text), &err) || rename(next, path) != 0)
        log_warn("pipeline.executors", "path=%s error=%s", path, strerror(errno));
}

static bool
is_over(void *arg, const char *pipeline, int64_t number)
{
    const struct pipeline_room *room = arg;
    const struct build *b = pipeline_find_build(&room->store, pipeline, number);

    return b == NULL || b->state == BUILD_ENDED || b->started_ms == 0;
}

static void
read_held(struct pipeline_room *room)
{
    cleanup_free char *path = held_path(room);
    cleanup(strbuf_done) struct strbuf text = {0};
    cleanup_json struct json *held = NULL;
    struct err err;

    if (!file_exists(path))
        return;
    if (!file_read(path, HELD_MAX, &text, &err) ||
        (held = json_parse(strbuf_str(&text), &err)) == NULL)
        log_warn("pipeline.executors", "error=%s", log_quote(err.message));
    executor_table_hold(room->executors, held, is_over, room);
}

/* ---- what there is ---- */

/* A file that cannot be read (each build says what is wrong with it) changes nothing. */
static void
look(struct pipeline_room *room)
{
    struct executor_plan plan;
    struct err err;
    cleanup_json struct json *j = NULL;
    bool has_file;

    if (room->executors == NULL) {
        room->executors = executor_table_new();
        read_held(room);
    }
    if (room->executors_ms != 0 && clock_monotonic_ms() < room->executors_ms + LOOK_EVERY_MS)
        return;
    room->executors_ms = clock_monotonic_ms();
    j = builds_config_json(room->config.data_dir, &err);
    has_file = j != NULL || err.code == ERR_NONE;
    if (executor_plan_read(&plan, j, &err) && has_file)
        executor_table_use(room->executors, &plan);
    else
        executor_plan_done(&plan);
}

unsigned
room_builds_at_once(struct pipeline_room *room, unsigned otherwise)
{
    int total;

    look(room);
    total = executor_table_plan(room->executors)->total;
    return total == 0 ? otherwise : (unsigned)total < PARALLEL_MAX ? (unsigned)total : PARALLEL_MAX;
}

struct json *
room_executors_json(struct pipeline_room *room)
{
    look(room);
    return executor_table_json(room->executors);
}

void
room_executors_ended(struct pipeline_room *room, const struct build *b)
{
    if (room->executors != NULL)
        executor_table_give(room->executors, b->pipeline, b->number, NULL);
    if (room->executors != NULL)
        keep_held(room);
}

void
room_set_waiting(struct build *b, const char *why)
{
    if (why != NULL && (b->waiting == NULL || strcmp(why, b->waiting) != 0))
        log_warn("build.waiting", "pipeline=%s build=%lld reason=%s", b->pipeline,
                 (long long)b->number, log_quote(why));
    free(b->waiting);
    b->waiting = text_dup(why);
}

/* ---- for the runner ---- */

static void
add_label(void *arg, struct str name)
{
    strbuf_addf(arg, " " STR_FMT, STR_ARG(name));
}

/* Of a machine that has them all: those that were asked for. */
static const char *
labels_of(const struct executor_plan *plan, const struct executor_group *g, struct str asked,
          struct arena *arena)
{
    cleanup(strbuf_done) struct strbuf labels = {0};

    strbuf_add_cstr(&labels, g->name);
    for (size_t i = 0; i < g->label_count; i++)
        add_label(&labels, str_of(g->labels[i]));
    if (plan->has_all_labels && asked.len > 0)
        label_wants(label_parse_any(asked, arena), add_label, &labels);
    return arena_cstr(arena, strbuf_str(&labels));
}

static void
fill_given(const struct pipeline_room *room, const struct executor_grant *grant, struct str label,
           struct arena *arena, struct executor_given *out)
{
    if (grant->number >= 0)
        *out = (struct executor_given){
            .number = grant->number,
            .node = arena_cstr(arena, str_of(grant->group->name)),
            .labels = labels_of(executor_table_plan(room->executors), grant->group, label, arena)};
    else if (grant->why[0] != '\0' && (out->why == NULL || strcmp(out->why, grant->why) != 0))
        out->why = arena_cstr(arena, str_of(grant->why)); /* who waits for days is told every second */
}

/* Another branch of it may still wait. */
static void
waits_no_more(const struct pipeline_room *room, struct build *b)
{
    if (!executor_table_waits(room->executors, b->pipeline, b->number))
        room_set_waiting(b, NULL);
}

bool
room_executor(struct pipeline_room *room, struct build *b, struct executor_wish *wish,
              struct arena *arena, struct executor_given *out)
{
    const struct executor_ask ask = {.pipeline = b->pipeline,
                                     .build = b->number,
                                     .key = wish->key,
                                     .label = wish->label,
                                     .held = wish->held,
                                     .known = wish->known,
                                     .seen = wish->seen};
    struct executor_grant grant;
    bool has;

    room_lock(room);
    look(room);
    has = executor_table_take(room->executors, &ask, &grant);
    wish->seen = grant.changes;
    fill_given(room, &grant, wish->label, arena, out);
    if (grant.why[0] != '\0')
        room_set_waiting(b, grant.why);
    b->had_executor |= has;
    if (has) {
        waits_no_more(room, b);
        keep_held(room);
    }
    room_unlock(room);
    return has;
}

void
room_executor_over(struct pipeline_room *room, struct build *b, const char *key)
{
    room_lock(room);
    executor_table_give(room->executors, b->pipeline, b->number, key);
    keep_held(room);
    waits_no_more(room, b);
    room_unlock(room);
}
