/* SPDX-License-Identifier: MIT */
/* build_run.c - one build of the room: from the queue through the runner to its record. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include "base/clock.h"
#include "base/log.h"
#include "base/random.h"
#include "io/file.h"
#include "pipeline/steps/docker.h"
#include "pipeline/forge/git_remote.h"
#include "pipeline/run/journal.h"
#include "pipeline/run/build_group.h"
#include "pipeline/run/leftovers.h"
#include "pipeline/build_key.h"
#include "pipeline/forks.h"
#include "pipeline/builds_config.h"
#include "pipeline/room.h"
#include "pipeline/test_history.h"

#define STAGES_SAVED_EVERY_MS 200
#define UPSTREAM_MAX 20u /* builds that started one another */
#define HISTORY_MAX 50u /* earlier builds that a script can see */

void
room_lock(struct pipeline_room *room)
{
    pthread_mutex_lock(&room->mutex);
}

void
room_unlock(struct pipeline_room *room)
{
    pthread_mutex_unlock(&room->mutex);
}

void
room_announce(struct pipeline_room *room, struct json *build)
{
    if (room->config.on_change != NULL)
        room->config.on_change(room->config.ctx, build);
    json_unref(build);
}

void
room_report(struct pipeline_room *room, const struct build *b)
{
    const struct pipeline *p = pipeline_store_find(&room->store, b->pipeline);
    cleanup_json struct json *j = NULL;

    if (room->reports == NULL || p == NULL || p->github == NULL)
        return;
    j = build_to_public_json(b, true);
    github_reports_offer(room->reports, j);
}

void
room_save(struct pipeline_room *room, const struct build *b)
{
    struct err err;

    room_report(room, b);
    if (!build_save(b, room->config.data_dir, &err))
        log_error("pipeline.save", "pipeline=%s build=%lld error=%s", b->pipeline,
                  (long long)b->number, log_quote(err.message));
}

static void
set_text(char **to, const char *text)
{
    free(*to);
    *to = text_dup(text);
}

void
room_end_build(struct build *b, enum build_result result, const char *reason)
{
    b->state = BUILD_ENDED;
    b->result = result;
    b->ended_ms = clock_wall_ms();
    set_text(&b->reason, reason[0] == '\0' ? NULL : reason);
    for (size_t i = 0; i < b->stage_count; i++)
        if (b->stages[i].state == STAGE_RUNNING)
            b->stages[i].state = STAGE_ABORTED;
}

/* One running build, for the runner's callbacks. */
struct work {
    struct pipeline_room *room;
    struct build *build;
    int log_fd;
    int64_t log_size;
    int64_t saved_ms; /* the record, for its stages; the end of the build saves all */
};

static void
on_log(void *ctx, struct str text)
{
    struct work *w = ctx;
    struct err err;

    if (w->log_fd < 0 || w->log_size >= BUILD_LOG_MAX)
        return;
    if (w->log_size + (int64_t)text.len >= BUILD_LOG_MAX)
        text = STR("\n[the log is cut here: it is too long]\n");
    if (!file_write_all(w->log_fd, text, &err)) {
        log_error("pipeline.log", "pipeline=%s build=%lld error=%s", w->build->pipeline,
                  (long long)w->build->number, log_quote(err.message));
        w->log_size = BUILD_LOG_MAX;
        return;
    }
    w->log_size += (int64_t)text.len;
    if (text.at[0] == '\n' && w->log_size + (int64_t)text.len > BUILD_LOG_MAX)
        w->log_size = BUILD_LOG_MAX;
    pthread_cond_broadcast(&w->room->changed);
}

static void
on_stage(void *ctx, const struct stage_report *report)
{
    struct work *w = ctx;
    struct json *j;

    room_lock(w->room);
    build_stage_report(w->build, report);
    if (clock_monotonic_ms() - w->saved_ms >= STAGES_SAVED_EVERY_MS) {
        room_save(w->room, w->build);
        w->saved_ms = clock_monotonic_ms();
    }
    j = build_to_public_json(w->build, true);
    pthread_cond_broadcast(&w->room->changed);
    room_unlock(w->room);
    room_announce(w->room, j);
}

static enum abort_request
abort_request(void *ctx)
{
    struct work *w = ctx;
    enum abort_request asked;

    if (atomic_load(&w->room->stopping))
        return ABORT_SUSPEND;
    room_lock(w->room);
    asked = w->build->abort_now     ? ABORT_NOW
            : w->build->abort_asked ? ABORT_ASKED
            : w->build->overtaken_by != 0 ? ABORT_OVERTAKEN
                                    : ABORT_NO;
    room_unlock(w->room);
    return asked;
}

static void
question(void *ctx, const struct json *asked, bool is_over)
{
    struct work *w = ctx;
    struct build *b = w->build;
    struct json *open = json_array(), *j;

    room_lock(w->room);
    for (size_t i = 0; i < json_size(b->questions); i++)
        if (strcmp(json_get_cstr(json_at(b->questions, i), "step", ""),
                   json_get_cstr(asked, "step", "")) != 0)
            json_append(open, json_ref(json_at(b->questions, i)));
    if (!is_over)
        json_append(open, json_copy(asked));
    json_unref(b->questions);
    b->questions = open;
    room_save(w->room, b);
    j = build_to_public_json(b, true);
    pthread_cond_broadcast(&w->room->changed);
    room_unlock(w->room);
    room_announce(w->room, j);
}

static struct json *
answer(void *ctx, const char *step)
{
    struct work *w = ctx;
    const struct json *given;
    struct json *j;

    room_lock(w->room);
    given = json_get(w->build->answers, step);
    j = given == NULL ? NULL : json_copy(given);
    room_unlock(w->room);
    return j;
}

static void
parameter_is_plain(void *ctx, const char *name)
{
    const struct work *w = ctx;
    struct build *b = w->build;

    room_lock(w->room);
    if (json_get(b->parameters, name) != NULL) {
        if (b->plain == NULL)
            b->plain = json_object();
        json_set(b->plain, name, json_bool(true)); /* saved with what comes next */
    }
    room_unlock(w->room);
}

/* Kept, as the time of a build does not go on meanwhile, whatever becomes of naru; what it waits for when naru
 * ends it waits for afterwards. */
static void
stand_still(struct pipeline_room *room, struct build *b, bool stands_still)
{
    if (stands_still == (b->waits_since_ms != 0) || atomic_load(&room->stopping))
        return;
    if (!stands_still)
        b->waited_ms += clock_wall_ms() - b->waits_since_ms;
    b->waits_since_ms = stands_still ? clock_wall_ms() : 0;
    room_save(room, b);
}

static void
parked(void *ctx, bool is_parked, bool stands_still)
{
    struct work *w = ctx;
    struct build *b = w->build;

    room_lock(w->room);
    if (!is_parked)
        room_place_taken(w->room, b);
    w->room->parked += is_parked - b->is_parked;
    b->is_parked = is_parked;
    b->keeps_turn = is_parked && b->waiting != NULL;
    stand_still(w->room, b, stands_still);
    room_need_worker(w->room);
    pthread_cond_broadcast(&w->room->changed);
    room_unlock(w->room);
}

static bool
place(void *ctx)
{
    struct work *w = ctx;
    bool has;

    room_lock(w->room);
    has = room_take_place(w->room, w->build);
    room_unlock(w->room);
    return has;
}

static void
properties(void *ctx, const struct json *given)
{
    const struct work *w = ctx;

    room_set_properties(w->room, w->build, given);
}

static bool
start_other(void *ctx, const char *job, const char *key, const struct json *parameters,
            char pipeline[static 64], int64_t *number, struct err *err)
{
    const struct work *w = ctx;

    return room_start_for(w->room, w->build, job, key, parameters, pipeline, number, err);
}

static bool
other_has_ended(void *ctx, const char *pipeline, int64_t number, enum build_result *out, struct json **record)
{
    const struct work *w = ctx;
    cleanup_json struct json *j = pipeline_build(w->room, pipeline, number, NULL);

    *out = RESULT_NOT_BUILT; /* one that is no longer kept */
    if (j != NULL && !build_result_parse(str_of(json_get_cstr(j, "result", "")), out))
        return false;
    *record = TAKE(j);
    return true;
}

static struct json *
tests(void *ctx, const char *step, const struct json *cases, int64_t total)
{
    const struct work *w = ctx;

    return room_tests(w->room, w->build, step, cases, total);
}

static bool
milestone(void *ctx, int64_t *ordinal, int64_t *last, int64_t *by)
{
    const struct work *w = ctx;

    return room_milestone(w->room, w->build, ordinal, last, by);
}

static bool
executor(void *ctx, struct executor_wish *wish, struct arena *arena, struct executor_given *out)
{
    const struct work *w = ctx;

    return room_executor(w->room, w->build, wish, arena, out);
}

static void
executor_over(void *ctx, const char *key)
{
    const struct work *w = ctx;

    room_executor_over(w->room, w->build, key);
}

static const struct runner_host host = {
    .question = question,
    .answer = answer,
    .parameter_is_plain = parameter_is_plain,
    .properties = properties,
    .start = start_other,
    .ended = other_has_ended,
    .parked = parked,
    .place = place,
    .milestone = milestone,
    .tests = tests,
    .executor = executor,
    .executor_over = executor_over,
};

struct brief { /* what a build is told about itself; taken under the lock, used without it */
    struct arena arena;
    struct json *history, *upstream;
    struct builds_config allowed;
    struct runner_config config;
};

static void
brief_done(struct brief *brief)
{
    json_unref(brief->history);
    json_unref(brief->upstream);
    arena_done(&brief->arena);
}

static void
fill_paths(struct brief *brief, const struct build *b)
{
    struct str *paths = arena_alloc(&brief->arena, (b->path_count + 1) * sizeof(*paths));

    for (size_t i = 0; i < b->path_count; i++)
        paths[i] = arena_dup(&brief->arena, str_of(b->paths[i]));
    brief->config.changed_paths = paths;
    brief->config.changed_path_count = b->path_count;
}

/* For currentBuild.previousBuild: what is behind it in its branch. */
static struct json *
history_of(const struct pipeline *pipeline, const struct build *b)
{
    struct json *list = json_array();
    const struct build *o = b;

    while (json_size(list) < HISTORY_MAX && (o = pipeline_previous(pipeline, o, false)) != NULL)
        json_append(list, build_to_public_json(o, false));
    return list;
}

/* For currentBuild.upstreamBuilds: what started it, and what started that, as far as it is kept. */
static struct json *
upstream_of(struct pipeline_room *room, const struct build *b)
{
    struct json *list = json_array();

    while (b != NULL && b->started_by != NULL && json_size(list) < UPSTREAM_MAX) {
        b = pipeline_find_build(&room->store, b->started_by, b->started_by_number);
        if (b != NULL)
            json_append(list, build_to_public_json(b, false));
    }
    return list;
}

/* Of a change its merge into the target is built, where the forge offers one by now; one that is taken
 * up stays what it was. */
static void
resolve_merge(struct pipeline_room *room, struct build *b, struct brief *brief)
{
    const char *secrets = brief->config.github != NULL ? brief->config.secrets_dir : NULL;
    char commit[41];
    struct err err;

    if (b->head == NULL || b->ref == NULL || strcmp(b->head, b->commit) != 0 ||
        build_has_journal(b, room->config.data_dir))
        return; /* none, or resolved already */
    if (!git_remote_ref(brief->config.git_url, secrets, brief->config.forge, b->ref, commit, &err)) {
        log_info("build.no_merge", "pipeline=%s build=%lld error=%s", b->pipeline,
                 (long long)b->number, log_quote(err.message));
        return;
    }
    room_lock(room);
    set_text(&b->commit, commit);
    room_save(room, b);
    room_unlock(room);
    brief->config.commit = arena_format(&brief->arena, "%s", commit);
}

/* CHANGE_ID=7 and so on of a change, TAG_NAME of a tag. */
static const char *const *
change_env(struct arena *a, const struct build *b)
{
    static const struct {
        const char *name, *member;
    } names[] = {
        {"CHANGE_ID", "id"},         {"CHANGE_URL", "url"},
        {"CHANGE_TITLE", "title"},   {"CHANGE_AUTHOR", "author"},
        {"CHANGE_AUTHOR_DISPLAY_NAME", "author"}, {"CHANGE_TARGET", "target"},
        {"CHANGE_BRANCH", "branch"}, {"CHANGE_FORK", "fork"},
    };
    const char **env = arena_alloc(a, (ARRAY_COUNT(names) + 2) * sizeof(*env));
    size_t n = 0;

    if (b->ref != NULL && strncmp(b->ref, "refs/tags/", 10) == 0)
        env[n++] = arena_format(a, "TAG_NAME=%s", b->branch);
    for (size_t i = 0; i < ARRAY_COUNT(names); i++) {
        const char *v = json_get_cstr(b->change, names[i].member, NULL);
        if (v != NULL)
            env[n++] = arena_format(a, "%s=%s", names[i].name, v);
    }
    return env;
}

static void
fill_brief(struct brief *brief, struct pipeline_room *room, const struct build *b,
           const struct pipeline *pipeline)
{
    struct arena *a = &brief->arena;
    const struct build *previous = pipeline_previous(pipeline, b, false);
    const struct build *good = pipeline_previous(pipeline, b, true);
    cleanup_free char *directory = build_directory(room->config.data_dir, b->pipeline, b->number);
    cleanup(strbuf_done) struct strbuf branch = {0};
    cleanup_free char *place = room_place_name(b);

    runner_add_branch(&branch, b->branch);
    brief->config = (struct runner_config){
        .jenkinsfile_name = arena_format(a, "%s", pipeline->jenkinsfile),
        .workspace = arena_format(
            a, "%s/workspaces/%s/%s%s", room->config.data_dir, b->pipeline, place,
            build_is_untrusted(b) ? "@fork" : ""), /* what strangers leave is for none of ours */
        .tool_dir = room->config.tool_dir,
        .extra_env = room->config.extra_env,
        .artifact_dir = arena_format(a, "%s/artifacts", directory),
        .secrets_dir =
            build_is_untrusted(b) ? NULL : arena_format(a, "%s/secrets", room->config.data_dir),
        .trusted_ref = build_is_untrusted(b)
                           ? arena_format(a, "refs/heads/%s", json_get_cstr(b->change, "target", ""))
                           : NULL,
        .state_dir = arena_format(a, "%s/run", directory),
        .started_ms = b->started_ms,
        .waited_ms = b->waited_ms,
        .parameters = b->parameters, /* these three never change */
        .script = b->script,
        .restart_stage = b->restart_stage,
        .locks = room->locks,
        .host = &host,
        .cookie = arena_format(a, "%s", b->cookie),
        .timeout_ms = room->config.build_timeout_ms,
        .number = b->number,
        .job_name = arena_format(a, "%s/%s", b->pipeline, strbuf_cstr(&branch)),
        .server_url = arena_format(a, "%s/", room->config.base_url),
        .job_url = arena_format(a, "%s/naru/builds/%s/", room->config.base_url, b->pipeline),
        .home = arena_format(a, "%s", room->config.data_dir),
        .build_url = arena_format(a, "%s/naru/builds/%s/%lld/", room->config.base_url, b->pipeline,
                                  (long long)b->number),
        .branch = arena_format(a, "%s", b->branch),
        .commit = arena_format(a, "%s", b->commit),
        .git_url = arena_format(a, "%s", pipeline->url),
        .ref = b->ref == NULL ? NULL : arena_format(a, "%s", b->ref),
        .github = pipeline->github == NULL ? NULL : arena_format(a, "%s", pipeline->github),
        .github_api_url = room->config.github_api_url,
        .forge = pipeline->forge == NULL ? NULL : arena_format(a, "%s", pipeline->forge),
        .change_env = change_env(a, b),
        .is_primary_branch = strcmp(b->branch, "main") == 0 || strcmp(b->branch, "master") == 0,
        .cause = arena_format(a, "%s", b->cause),
        .on_log = on_log,
        .on_stage = on_stage,
        .abort_request = abort_request,
    };
    brief->history = history_of(pipeline, b);
    brief->config.history = brief->history;
    brief->upstream = upstream_of(room, b);
    brief->config.upstream = brief->upstream;
    if (previous != NULL) {
        brief->config.previous_result = build_result_name(previous->result);
        brief->config.previous_commit = arena_format(a, "%s", previous->commit);
    }
    if (good != NULL)
        brief->config.previous_successful_commit = arena_format(a, "%s", good->commit);
}

/* What the operator's file says.  One that cannot be read holds nothing up: it says so, and the
 * defaults hold. */
static void
fill_limits(struct brief *brief, const struct pipeline_room *room, const struct build *b)
{
    struct err err;

    if (!builds_config_read(room->config.data_dir, b->pipeline, build_is_untrusted(b),
                            &brief->allowed, &err)) {
        log_warn("build.config", "error=%s", log_quote(err.message));
        brief->config.warning =
            arena_format(&brief->arena, "%s; the defaults hold", err.message);
    }
    brief->config.limits = &brief->allowed.limits;
    brief->config.rights = &brief->allowed.rights;
}

/* The log, cut to what the journal of a build that is taken up again knows of. */
static int
open_log(const char *log_path, const char *state_dir, int64_t *size_out)
{
    int fd = open(log_path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0640);
    off_t size = fd < 0 ? 0 : lseek(fd, 0, SEEK_END);
    int64_t known = journal_log_size(state_dir);

    if (fd >= 0 && size > (off_t)known && ftruncate(fd, (off_t)known) == 0)
        size = (off_t)known;
    *size_out = size;
    return fd;
}

static void
begin_build(struct pipeline_room *room, const struct pipeline *p, struct build *b)
{
    char cookie[33];

    b->state = BUILD_RUNNING;
    if (b->started_ms != 0)
        room->to_take_up--;
    if (b->started_ms == 0) {
        room_choose_place(p, b);
        random_hex(cookie, 32);
        set_text(&b->cookie, cookie);
        b->started_ms = clock_wall_ms();
    }
    if (b->waits_since_ms != 0) /* when naru ended */
        b->waited_ms += clock_wall_ms() - b->waits_since_ms;
    b->waits_since_ms = 0;
    free(TAKE(b->waiting));
    room_disk_began(room, b);
    room_save(room, b); /* with its cookie, before any process carries it */
}

/* What a build that is over does not keep: its key, its locks, and its journal with the secrets in it. */
static void
let_go(struct pipeline_room *room, const struct build *b)
{
    cleanup_free char *directory = build_directory(room->config.data_dir, b->pipeline, b->number);
    cleanup_free char *state_dir = text_format("%s/run", directory), *owner = NULL;
    cleanup(strbuf_done) struct strbuf branch = {0};
    struct err err;

    runner_add_branch(&branch, b->branch);
    if (room->config.keys != NULL)
        build_key_end(room->config.keys, b->pipeline, b->number);
    owner = text_format("%s/%s#%lld ", b->pipeline, strbuf_cstr(&branch), (long long)b->number);
    lock_table_give_all(room->locks, owner);
    if (!file_remove_tree(state_dir, &err))
        log_warn("build.state", "error=%s", log_quote(err.message));
}

static bool
give_key(const struct pipeline_room *room, const struct build *b, struct brief *brief, struct err *err)
{
    struct access_key key;

    if (build_is_untrusted(b)) {
        brief->config.extra_env = build_key_env(&brief->arena, brief->config.extra_env, NULL);
        return true;
    }
    if (room->config.keys == NULL)
        return true;
    if (!build_key_begin(room->config.keys, room->config.build_roles, b->pipeline, b->number,
                         brief->config.state_dir, &key, err))
        return false;
    brief->config.extra_env = build_key_env(&brief->arena, brief->config.extra_env, &key);
    return true;
}

static unsigned
end_processes(const struct build *b)
{
    unsigned left;

    if (b->cookie == NULL)
        return 0;
    left = leftovers_end(b->cookie, !build_is_untrusted(b));
    docker_leftovers_end(b->cookie, NULL, NULL);
    return left;
}

/* A build that got no key runs nothing; of one that is taken up scripts may run already. */
static void
run_with_key(const struct pipeline_room *room, const struct build *b, struct brief *brief,
             struct runner_outcome *out)
{
    struct err err;

    if (give_key(room, b, brief, &err)) {
        runner_run(&brief->config, out);
        return;
    }
    if (b->resumed > 0)
        (void)end_processes(b);
    *out = (struct runner_outcome){.result = RESULT_FAILURE};
    snprintf(out->reason, sizeof(out->reason), "the build got no access key: %.300s", err.message);
    snprintf(out->display_name, sizeof(out->display_name), "#%lld", (long long)b->number);
}

static void
finish_build(struct pipeline_room *room, struct build *b, const struct runner_outcome *outcome)
{
    cleanup_free char *reason = NULL;

    set_text(&b->display_name, outcome->display_name);
    set_text(&b->description, outcome->description[0] == '\0' ? NULL : outcome->description);
    if (b->overtaken_by != 0 && outcome->result == RESULT_NOT_BUILT)
        reason = text_format(b->superseded_by != 0
                                 ? "superseded by build %lld"
                                 : "superseded by build %lld, which passed a milestone before it",
                             (long long)b->overtaken_by);
    room_end_build(b, outcome->result, reason != NULL ? reason : outcome->reason);
    b->cpu_ms = outcome->cpu_ms;
    b->memory_peak_bytes = outcome->memory_peak_bytes;
    json_unref(b->questions);
    b->questions = NULL;
    room_save(room, b);
    let_go(room, b);
    room_disk_ended(room, b);
    room_executors_ended(room, b);
    log_info("build.ended", "pipeline=%s build=%lld result=%s took_ms=%lld", b->pipeline,
             (long long)b->number, build_result_name(b->result),
             (long long)(b->ended_ms - b->started_ms));
}

/* What became of its tests, while the builds before it are all there. */
static void
keep_report(struct pipeline_room *room, const struct build *ended)
{
    struct err err;

    if (ended->tests != NULL)
        json_unref(room_test_report(room, ended->pipeline, ended->number, &err));
}

/* Called with the lock held; gives it up while the build runs. */
void
room_run_build(struct pipeline_room *room, struct build *b)
{
    struct pipeline *pipeline = pipeline_store_find(&room->store, b->pipeline);
    cleanup_free char *directory = build_directory(room->config.data_dir, b->pipeline, b->number);
    cleanup_free char *log_path = text_format("%s/log", directory);
    struct work w = {.room = room, .build = b, .log_fd = -1};
    struct runner_outcome outcome;
    struct brief brief = {0};
    struct build ended;
    struct json *j;

    begin_build(room, pipeline, b);
    fill_brief(&brief, room, b, pipeline);
    brief.config.ctx = &w;
    j = build_to_public_json(b, true);
    room_unlock(room);

    room_announce(room, j);
    log_info(b->resumed > 0 ? "build.resumed" : "build.started",
             "pipeline=%s build=%lld branch=%s commit=%s", b->pipeline, (long long)b->number,
             b->branch, b->commit);
    resolve_merge(room, b, &brief);
    fill_paths(&brief, b);
    w.log_fd = open_log(log_path, brief.config.state_dir, &w.log_size);
    fill_limits(&brief, room, b);
    run_with_key(room, b, &brief, &outcome);
    if (w.log_fd >= 0) {
        (void)fdatasync(w.log_fd);
        close(w.log_fd);
    }

    room_lock(room);
    if (outcome.is_suspended) { /* stays RUNNING: the next start takes it up */
        log_info("build.suspended", "pipeline=%s build=%lld", b->pipeline, (long long)b->number);
        room_unlock(room);
        brief_done(&brief);
        room_lock(room);
        return;
    }
    finish_build(room, b, &outcome);
    j = build_to_public_json(b, true);
    ended = (struct build){.pipeline = text_dup(b->pipeline),
                           .branch = text_dup(b->branch),
                           .number = b->number,
                           .result = b->result,
                           .superseded_by = b->superseded_by,
                           .tests = b->tests == NULL ? NULL : json_copy(b->tests)};
    pipeline_prune(&room->store, pipeline); /* this one, too, if newer ones of its branch are over */
    pthread_cond_broadcast(&room->changed);
    room_unlock(room);
    room_announce(room, j);
    keep_report(room, &ended);
    room_start_downstream(room, &ended);
    free(ended.pipeline);
    free(ended.branch);
    json_unref(ended.tests);
    brief_done(&brief);
    room_lock(room);
}

/* The log of a build that was killed along with naru stops anywhere; that of one cut off in an
 * orderly way has its last line. */
static void
end_log(struct pipeline_room *room, const struct build *b)
{
    static const char last[] = "\nFinished: ABORTED\n";
    const size_t length = sizeof(last) - 1;
    cleanup_free char *path = pipeline_log_path(room, b->pipeline, b->number);
    cleanup_close int fd = open(path, O_RDWR | O_APPEND | O_CREAT | O_CLOEXEC, 0640);
    const off_t size = fd < 0 ? -1 : lseek(fd, 0, SEEK_END);
    char tail[sizeof(last)];

    if (size >= (off_t)length && pread(fd, tail, length, size - (off_t)length) == (ssize_t)length &&
        memcmp(tail, last, length) == 0)
        return;
    if (size < 0 || dprintf(fd, "\n%s%s", b->reason, last) < 0)
        log_warn("build.log", "path=%s error=%s", path, strerror(errno));
}

/* One that was taken up again and again: it ends, with its processes. */
static void
give_up(struct pipeline_room *room, struct build *b)
{
    unsigned left = end_processes(b);

    room_end_build(b, RESULT_ABORTED, "naru ended again and again while the build was running");
    end_log(room, b);
    room_save(room, b);
    let_go(room, b);
    log_warn("build.given_up", "pipeline=%s build=%lld processes=%u", b->pipeline,
             (long long)b->number, left);
}

/* Its scripts go on already, while it waits for a thread. */
static void
take_up_key(const struct pipeline_room *room, const struct build *b)
{
    cleanup_free char *directory = build_directory(room->config.data_dir, b->pipeline, b->number);
    cleanup_free char *state_dir = text_format("%s/run", directory);

    if (room->config.keys != NULL)
        build_key_again(room->config.keys, room->config.build_roles, b->pipeline, b->number, state_dir);
}

/* Builds that ran when naru ended wait for a thread again; on disk they are running. */
void
room_recover(struct pipeline_room *room, struct pipeline *p)
{
    for (size_t i = 0; i < p->build_count; i++) {
        struct build *b = p->builds[i];
        if (b->state == BUILD_ENDED)
            let_go(room, b); /* naru may have ended right behind its record */
        /* One that waited for its thread and was saved meanwhile (an abort) is queued on disk. */
        if (b->state != BUILD_RUNNING && (b->state != BUILD_QUEUED || b->started_ms == 0))
            continue;
        if (++b->resumed > BUILD_RESUMES_MAX) {
            give_up(room, b);
            continue;
        }
        b->state = BUILD_QUEUED;
        room->to_take_up += b->started_ms != 0;
        take_up_key(room, b);
        if (!build_has_journal(b, room->config.data_dir)) /* from its start: nothing of it may run */
            (void)end_processes(b);
    }
}

/* Of a data directory that is no more: nobody takes its builds up.  Somebody may still be in there, then the
 * group stays. */
static void
sweep_orphan(const char *name, const struct cgroup *g, const char *home)
{
    if (home[0] != '\0' && !file_exists(home) && cgroup_remove(g))
        log_info("build.group_swept", "group=%s data_dir=%s", name, log_quote(home));
}

/* naru may have ended between a build's record and its group. */
static void
sweep_group(void *arg, const char *name, const struct cgroup *g)
{
    const struct pipeline_room *room = arg;
    const size_t prefix = sizeof(BUILD_GROUP_PREFIX) - 1;
    cleanup(strbuf_done) struct strbuf home = {0};

    if (strncmp(name, BUILD_GROUP_PREFIX, prefix) != 0)
        return;
    cgroup_owner(g, &home);
    if (home.len > 0 && strcmp(strbuf_cstr(&home), room->config.data_dir) != 0 && file_exists(strbuf_cstr(&home)))
        return; /* another naru's */
    for (size_t p = 0; p < room->store.count; p++)
        for (size_t i = 0; i < room->store.pipelines[p]->build_count; i++) {
            const struct build *b = room->store.pipelines[p]->builds[i];
            if (b->state == BUILD_ENDED && b->cookie != NULL &&
                strcmp(b->cookie, name + prefix) == 0)
                (void)end_processes(b);
        }
    sweep_orphan(name, g, strbuf_cstr(&home));
}

void
room_sweep(struct pipeline_room *room)
{
    cgroup_each(NULL, sweep_group, room);
}
