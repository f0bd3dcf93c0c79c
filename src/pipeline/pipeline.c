/* SPDX-License-Identifier: MIT */
#include "pipeline/pipeline.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <time.h>
#include "base/clock.h"
#include "base/log.h"
#include "io/file.h"
#include "pipeline/build.h"
#include "pipeline/forge/git_remote.h"
#include "pipeline/room.h"
#include "pipeline/run/build_user.h"
#include "pipeline/secrets.h"

#define PARALLEL_DEFAULT 2u
#define QUEUE_MAX 500u
#define WAITING_SHOWN 100u /* in the list of pipelines */

/* Does its job say that it has to wait for a time? */
static bool
is_postponed(const struct pipeline *p, const struct build *b, int64_t now_ms)
{
    int64_t quiet_ms = json_i64(room_property(p, b->branch, "quietPeriod"), 0) * 1000;
    int64_t between_ms = json_i64(room_property(p, b->branch, "rateLimitMs"), 0);
    int64_t last_ms = 0;

    for (size_t i = 0; between_ms > 0 && i < p->build_count; i++)
        if (strcmp(p->builds[i]->branch, b->branch) == 0 && p->builds[i]->started_ms > last_ms)
            last_ms = p->builds[i]->started_ms;
    return b->started_ms == 0 && (b->queued_ms + quiet_ms > now_ms || last_ms + between_ms > now_ms);
}

static unsigned
running_of(const struct pipeline *p)
{
    unsigned n = 0;

    for (size_t i = 0; i < p->build_count; i++)
        n += p->builds[i]->state == BUILD_RUNNING;
    return n;
}

/* Was it under way when naru ended?  Such builds go on at once and beside each other, as they did: one may
 * wait for a lock that another one holds. */
static bool
is_taken_up(const struct build *b)
{
    return b->started_ms != 0;
}

static bool
comes_before(const struct build *a, const struct build *b)
{
    return is_taken_up(a) != is_taken_up(b) ? is_taken_up(a) : a->queued_ms < b->queued_ms;
}

/* The oldest that waits and may run: one at a time of a branch. */
static struct build *
next_of(struct pipeline_room *room, const struct pipeline *p, int64_t now_ms, bool has_place)
{
    struct build *best = NULL;

    for (size_t i = 0; i < p->build_count; i++) {
        struct build *b = p->builds[i];
        if (b->state != BUILD_QUEUED ||
            (!is_taken_up(b) && (!has_place || room_branch_is_busy(p, b->branch) ||
                                 room_is_throttled(room, p, b))))
            continue;
        if (is_postponed(p, b, now_ms))
            room->has_postponed = true;
        else if (best == NULL || comes_before(b, best))
            best = b;
    }
    return best;
}

/* Is `a`, of a pipeline where `running_a` builds run, to begin before `b`? */
static bool
is_fairer(const struct build *a, unsigned running_a, const struct build *b, unsigned running_b)
{
    if (is_taken_up(a) != is_taken_up(b) || running_a == running_b)
        return comes_before(a, b);
    return running_a < running_b;
}

/* Of the pipelines with the fewest running builds, the one that waits longest. */
static struct build *
next_queued(struct pipeline_room *room, bool has_place)
{
    const int64_t now_ms = clock_wall_ms();
    struct build *best = NULL;
    unsigned least = 0;

    room->has_postponed = false;
    for (size_t i = 0; i < room->store.count; i++) {
        const struct pipeline *p = room->store.pipelines[i];
        struct build *b = next_of(room, p, now_ms, has_place);
        unsigned running = b == NULL ? 0 : running_of(p);
        if (b == NULL || (best != NULL && !is_fairer(b, running, best, least)))
            continue;
        best = b;
        least = running;
    }
    return best;
}

static unsigned
wanted(struct pipeline_room *room)
{
    const unsigned n =
        room->config.parallel_builds == 0 ? PARALLEL_DEFAULT : room->config.parallel_builds;

    return room_builds_at_once(room, n < PARALLEL_MAX ? n : PARALLEL_MAX);
}

/* Those that come back have theirs before any that is to begin. */
bool
room_has_place(struct pipeline_room *room, unsigned returning)
{
    return room->running - room->parked + returning < wanted(room);
}

/* Builds that only wait take no place, but memory and a thread. */
static bool
is_crowded(struct pipeline_room *room)
{
    const bool is = room->running >= room->builds_max;
    cleanup_free char *why = NULL;

    if (is)
        why = text_format("%u builds are under way, most of which wait themselves: no more can begin",
                          room->running);
    if (is || room->was_crowded)
        room_tell_queued(room, why);
    room->was_crowded = is;
    return is;
}

/* The build that is to begin or to be taken up now, or NULL. */
static struct build *
next_build(struct pipeline_room *room)
{
    bool is_free, may_begin;
    struct build *b = NULL;

    if (is_crowded(room))
        return NULL;
    is_free = room_has_place(room, room->returning);
    may_begin = is_free && room_disk_allows(room);
    if (may_begin || room->to_take_up > 0)
        b = next_queued(room, may_begin);
    if (b == NULL)
        room->has_postponed |= may_begin != is_free;
    return b;
}

static void *
worker(void *arg)
{
    struct worker *self = arg;
    struct pipeline_room *room = self->room;

    room_lock(room);
    while (!atomic_load(&room->stopping)) {
        struct build *b = next_build(room);
        if (b != NULL) {
            room->running++;
            room_need_worker(room);
            room_run_build(room, b);
            room->running--;
        } else if (room->worker_count - room->running > WORKERS_IDLE) {
            break;
        } else {
            pthread_cond_wait(&room->changed, &room->mutex);
        }
    }
    room->worker_count--;
    self->is_over = true;
    room_unlock(room);
    return NULL;
}

static bool
start_worker(struct pipeline_room *room, struct worker *w, struct err *err)
{
    pthread_attr_t attr;
    int failure;

    if (w->is_there)
        pthread_join(w->thread, NULL);
    *w = (struct worker){.room = room};
    pthread_attr_init(&attr);
    pthread_attr_setstacksize(&attr, RUNNER_STACK_SIZE);
    failure = pthread_create(&w->thread, &attr, worker, w);
    pthread_attr_destroy(&attr);
    w->is_there = failure == 0;
    room->worker_count += failure == 0;
    errno = failure;
    return failure == 0 || err_errno(err, "cannot start a build thread");
}

static bool
need_worker(struct pipeline_room *room, struct err *err)
{
    if (room->worker_count > room->running || atomic_load(&room->stopping))
        return true;
    for (size_t i = 0; i < ARRAY_COUNT(room->workers); i++)
        if (!room->workers[i].is_there || room->workers[i].is_over)
            return start_worker(room, &room->workers[i], err);
    return true; /* so many builds are not begun */
}

/* One that cannot be made now is tried again by the clock: those that build may all wait for people. */
void
room_need_worker(struct pipeline_room *room)
{
    struct err err;
    const bool has = need_worker(room, &err);

    if (!has && !room->lacks_worker)
        log_warn("pipeline.thread", "builds=%u error=%s", room->running, log_quote(err.message));
    room->lacks_worker = !has;
}

static bool
start_workers(struct pipeline_room *room, struct err *err)
{
    bool ok;

    room_lock(room);
    ok = need_worker(room, err);
    room_unlock(room);
    return ok;
}

static void
room_free(struct pipeline_room *room)
{
    pipeline_store_done(&room->store);
    github_deliveries_done(&room->deliveries);
    lock_table_free(room->locks);
    executor_table_free(room->executors);
    json_unref(room->throttle);
    free((void *)(uintptr_t)room->config.data_dir);
    free((void *)(uintptr_t)room->config.tool_dir);
    free((void *)(uintptr_t)room->config.naru_path);
    free((void *)(uintptr_t)room->config.build_roles);
    free((void *)(uintptr_t)room->config.base_url);
    free((void *)(uintptr_t)room->config.github_secret);
    free((void *)(uintptr_t)room->config.github_api_url);
    for (size_t i = 0; room->config.extra_env != NULL && room->config.extra_env[i] != NULL; i++)
        free((void *)(uintptr_t)room->config.extra_env[i]);
    free((void *)(uintptr_t)room->config.extra_env);
    pthread_cond_destroy(&room->changed);
    pthread_mutex_destroy(&room->mutex);
    free(room);
}

static void
copy_config(struct pipeline_room *room, const struct pipeline_config *from)
{
    size_t count = 0;
    const char **env;

    room->config = *from;
    room->config.data_dir = text_dup(from->data_dir);
    room->config.tool_dir = text_dup(from->tool_dir);
    room->config.naru_path = text_dup(from->naru_path);
    room->config.build_roles = text_dup(from->build_roles);
    room->config.base_url = text_dup(from->base_url);
    room->config.github_secret = text_dup(from->github_secret);
    room->config.github_api_url = text_dup(from->github_api_url);
    while (from->extra_env != NULL && from->extra_env[count] != NULL)
        count++;
    env = mem_new((count + 1) * sizeof(*env));
    for (size_t i = 0; i < count; i++)
        env[i] = text_dup(from->extra_env[i]);
    room->config.extra_env = env;
}

struct pipeline_room *
pipeline_room_start(const struct pipeline_config *config, struct err *err)
{
    struct pipeline_room *room = mem_new(sizeof(*room));
    cleanup_free char *deliveries = text_format("%s/builds/deliveries.json", config->data_dir);
    cleanup_free char *builds = text_format("%s/builds", config->data_dir);
    cleanup_free char *locks = text_format("%s/builds/locks.json", config->data_dir);
    pthread_condattr_t attr;

    assert(config->data_dir[0] == '/' && config->naru_path != NULL && config->base_url != NULL);
    copy_config(room, config);
    room->builds_max = BUILDS_MAX;
    room->queue_max = QUEUE_MAX;
    pthread_mutex_init(&room->mutex, NULL);
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&room->changed, &attr);
    pthread_condattr_destroy(&attr);
    if (!file_make_dirs(builds, 0755, err) || !secrets_take_over(config->data_dir, err) ||
        !github_deliveries_open(&room->deliveries, deliveries, err) ||
        !pipeline_store_open(&room->store, config->data_dir, err)) {
        room_free(room);
        return NULL;
    }
    room->locks = lock_table_new(locks);
    build_users_begin(config->data_dir);
    for (size_t i = 0; i < room->store.count; i++) {
        struct err hook;
        room_recover(room, room->store.pipelines[i]);
        /* The binary may have moved since. */
        if (room->store.pipelines[i]->is_local &&
            !git_remote_create(config->data_dir, room->store.pipelines[i]->name, config->naru_path,
                               &hook))
            log_warn("pipeline.repository", "error=%s", log_quote(hook.message));
    }
    room_sweep(room);
    room_sweep_locks(room);
    /* What the clock submits is reported: it begins behind what reports, and ends before. */
    if (!room_disk_start(room, err) || !room_watch_start(room, err) || !room_clock_start(room, err) ||
        !start_workers(room, err)) {
        pipeline_room_stop(room);
        return NULL;
    }
    return room;
}

void
pipeline_room_close(struct pipeline_room *room)
{
    room_lock(room);
    atomic_store(&room->stopping, true);
    pthread_cond_broadcast(&room->changed);
    room_unlock(room);
}

void
pipeline_room_stop(struct pipeline_room *room)
{
    if (room == NULL)
        return;
    pipeline_room_close(room);
    for (size_t i = 0; i < ARRAY_COUNT(room->workers); i++)
        if (room->workers[i].is_there)
            pthread_join(room->workers[i].thread, NULL);
    room_clock_stop(room);
    room_watch_stop(room);
    room_disk_stop(room);
    room_free(room);
}

bool
pipeline_create(struct pipeline_room *room, const char *name, const char *url, const char *github,
                struct json **out, struct err *err)
{
    return pipeline_create_with(room, name, url, github, NULL, out, err);
}

bool
pipeline_create_with(struct pipeline_room *room, const char *name, const char *url,
                     const char *github, const struct json *forks, struct json **out,
                     struct err *err)
{
    cleanup_free char *local = git_remote_path(room->config.data_dir, name);
    struct pipeline *p;
    bool ok;

    if (!build_name_is_valid(str_of(name)))
        return err_set(
            err, ERR_VALIDATION,
            "'%s' is not a pipeline name: a letter or digit, then [a-z0-9._-], at most 63 "
            "in all",
            name);
    if (url != NULL && (url[0] == '-' || url[0] == '\0' || strlen(url) > 1000))
        return err_set(err, ERR_VALIDATION, "'%.100s' is not a repository", url);
    if (url == NULL && !git_remote_create(room->config.data_dir, name, room->config.naru_path, err))
        return false;
    room_lock(room);
    ok = pipeline_store_put(&room->store, name, url == NULL ? local : url, url == NULL, github,
                            forks, &p, err);
    if (ok)
        *out = pipeline_to_json(p);
    room_unlock(room);
    return ok;
}

/* It runs, and all that it does is wait for its first executor. */
static bool
waits_to_begin(const struct build *b)
{
    return b->state == BUILD_RUNNING && b->waiting != NULL && !b->had_executor &&
           b->stage_count == 0 && b->overtaken_by == 0;
}

/* Older builds of the branch that still wait give way. */
static void
supersede(struct pipeline_room *room, struct pipeline *p, const struct build *by)
{
    for (size_t i = 0; i < p->build_count; i++) {
        struct build *b = p->builds[i];
        cleanup_free char *reason = NULL;
        if (b == by || strcmp(b->branch, by->branch) != 0)
            continue;
        if (b->state != BUILD_ENDED && (b->state == BUILD_RUNNING || b->started_ms != 0) &&
            json_truth(room_property(p, b->branch, "abortPrevious"), false)) {
            b->abort_asked = true;
            room_save(room, b);
        }
        if (waits_to_begin(b) && b->upstream == NULL && room_has_same(b, by->parameters)) {
            b->overtaken_by = b->superseded_by = by->number;
            room_save(room, b);
        }
        if (!room_gives_way(b, by->branch, by->parameters))
            continue;
        reason = text_format("superseded by build %lld", (long long)by->number);
        b->superseded_by = by->number;
        room_end_build(b, RESULT_NOT_BUILT, reason);
        room_save(room, b);
    }
}

/* Was the branch moved on from `commit` by pushes that are known already?  A push that says it
 * comes after the newest one is no late one, whatever it goes back to. */
static bool
is_overtaken(const struct pipeline *p, const struct build *newest, const struct build_request *r,
             const char *commit)
{
    const struct build *at = newest;

    if (r->before != NULL && strcmp(r->before, newest->commit) == 0)
        return false;
    for (size_t i = p->build_count; i > 0 && at->before != NULL; i--) {
        const struct build *older = p->builds[i - 1];
        if (strcmp(at->before, commit) == 0)
            return true;
        if (strcmp(older->branch, r->branch) == 0 && strcmp(older->commit, at->before) == 0)
            at = older;
    }
    return at->before != NULL && strcmp(at->before, commit) == 0;
}

static bool
submit_locked(struct pipeline_room *room, const struct build_request *r, const char *commit,
              const char *message, const char *author, int64_t *number_out, struct json **out,
              struct err *err)
{
    struct pipeline *p = pipeline_store_find(&room->store, r->pipeline);
    const struct build *newest;
    struct build *b;

    if (p == NULL)
        return err_set(err, ERR_NOT_FOUND, "there is no pipeline '%s'", r->pipeline);
    newest = pipeline_newest(p, r->branch);
    if (newest != NULL && ((r->unless_known && strcmp(newest->head != NULL ? newest->head : newest->commit, commit) == 0) ||
                           (r->may_be_late && is_overtaken(p, newest, r, commit)))) {
        *number_out = newest->number;
        return true;
    }
    if (room_queue_is_full(room, p, r))
        return err_set(err, ERR_UNAVAILABLE, "the queue is full (%u builds)", room->queue_max);
    b = pipeline_add_build(p);
    b->branch = text_dup(r->branch);
    b->commit = text_dup(commit);
    b->before = text_dup(r->before);
    b->ref = text_dup(r->ref);
    b->head = text_dup(r->head);
    b->change = r->change == NULL ? NULL : json_copy(r->change);
    b->upstream = text_dup(r->upstream);
    b->started_by = text_dup(r->started_by);
    b->started_by_number = r->started_by_number;
    b->replay_of = r->replay_of;
    b->script = text_dup(r->script);
    b->restart_stage = text_dup(r->restart_stage);
    b->cause = text_dup(r->cause);
    b->message = message == NULL || message[0] == '\0' ? NULL : text_dup(message);
    b->author = author == NULL || author[0] == '\0' ? NULL : text_dup(author);
    b->queued_ms = clock_wall_ms();
    b->parameters = json_size(r->parameters) > 0 ? json_copy(r->parameters) : NULL;
    if (r->path_count > 0)
        b->paths = mem_new(BUILD_PATHS_MAX * sizeof(*b->paths));
    for (size_t i = 0; i < r->path_count && i < BUILD_PATHS_MAX; i++)
        b->paths[b->path_count++] = text_dup(r->paths[i]);
    if (!build_save(b, room->config.data_dir, err)) {
        pipeline_drop_last(p);
        return false;
    }
    if (r->replay_of == 0) /* an old commit is no news */
        supersede(room, p, b);
    room_report(room, b);
    *number_out = b->number;
    *out = build_to_public_json(b, true);
    pthread_cond_broadcast(&room->changed);
    return true;
}

bool
pipeline_submit(struct pipeline_room *room, const struct build_request *r, int64_t *number_out,
                struct err *err)
{
    char commit[41] = "", message[512] = "", author[128] = "";
    cleanup_free char *secrets = NULL; /* whose pipeline is tied to GitHub, its token goes there */
    cleanup_free char *url = NULL, *forge = NULL;
    struct pipeline *p;
    struct json *j = NULL;
    bool is_local = false, ok = true, again;
    int64_t since = r->looked_at;
    struct err ignored;

    if (!build_name_is_valid(str_of(r->pipeline)) || !build_branch_is_valid(str_of(r->branch)))
        return err_set(err, ERR_VALIDATION, "a build needs a pipeline and a branch");
    if (r->commit != NULL && !build_commit_is_valid(str_of(r->commit)))
        return err_set(err, ERR_VALIDATION, "'%.60s' is not a full commit id", r->commit);
    room_lock(room);
    p = pipeline_store_find(&room->store, r->pipeline);
    if (p != NULL) {
        url = text_dup(p->url);
        is_local = p->is_local;
        forge = text_dup(p->forge);
        since = r->commit == NULL ? p->next_number : since;
        if (p->github != NULL)
            secrets = text_format("%s/secrets", room->config.data_dir);
    }
    room_unlock(room);
    if (url == NULL)
        return err_set(err, ERR_NOT_FOUND, "there is no pipeline '%s'", r->pipeline);
    if (r->commit != NULL)
        (void)text_copy(commit, sizeof(commit), str_of(r->commit));
    /* git is asked without the lock, and once more if somebody has told of a newer commit meanwhile. */
    do {
        if (commit[0] == '\0' && !git_remote_resolve(url, secrets, forge, r->branch, commit, err))
            return false;
        if (is_local && r->message == NULL &&
            !git_remote_describe(url, commit, message, author, &ignored))
            return err_set(err, ERR_NOT_FOUND, "repository '%s' has no commit %s", r->pipeline, commit);
        room_lock(room);
        again = pipeline_has_news(p, r->branch, commit, since);
        since = p->next_number;
        if (again)
            commit[0] = '\0';
        else
            ok = submit_locked(room, r, commit, r->message != NULL ? r->message : message,
                               r->author != NULL ? r->author : author, number_out, &j, err);
        room_unlock(room);
    } while (again);
    if (j != NULL)
        room_announce(room, j);
    return ok;
}

bool
pipeline_abort(struct pipeline_room *room, const char *pipeline, int64_t number, struct err *err)
{
    struct build *b;
    bool ok = true;

    room_lock(room);
    b = pipeline_find_build(&room->store, pipeline, number);
    if (b == NULL) {
        ok = err_set(err, ERR_NOT_FOUND, "'%s' has no build %lld", pipeline, (long long)number);
    } else if (b->state == BUILD_QUEUED && b->started_ms == 0) {
        room_end_build(b, RESULT_ABORTED, "aborted before it started");
        room_save(room, b);
    } else if (b->state != BUILD_ENDED) {
        b->abort_now = b->abort_asked; /* whoever asks again has seen that it does not end */
        b->abort_asked = true;
        room_save(room, b);
    }
    pthread_cond_broadcast(&room->changed);
    room_unlock(room);
    return ok;
}

bool
pipeline_replay(struct pipeline_room *room, const char *pipeline, int64_t number,
                const char *script, const char *stage, int64_t *number_out, struct err *err)
{
    cleanup_free char *branch = NULL, *commit = NULL, *old_script = NULL, *message = NULL;
    cleanup_free char *ref = NULL, *head = NULL;
    cleanup_json struct json *parameters = NULL, *change = NULL;
    struct build_request r = {.pipeline = pipeline, .cause = "ReplayCause", .replay_of = number};
    const struct build *b;

    if (script != NULL && strlen(script) > SYNTAX_TEXT_MAX)
        return err_set(err, ERR_VALIDATION, "a Jenkinsfile has at most %u bytes", SYNTAX_TEXT_MAX);
    room_lock(room);
    b = pipeline_find_build(&room->store, pipeline, number);
    if (b != NULL) {
        branch = text_dup(b->branch);
        commit = text_dup(b->commit);
        message = text_dup(b->message);
        /* A change stays one: what `when` keeps from it must not be done by its replay. */
        ref = text_dup(b->ref);
        head = text_dup(b->head);
        change = b->change == NULL ? NULL : json_ref(b->change);
        old_script = text_dup(b->script);
        parameters = b->parameters == NULL ? NULL : json_copy(b->parameters);
    }
    room_unlock(room);
    if (b == NULL)
        return err_set(err, ERR_NOT_FOUND, "'%s' has no build %lld", pipeline, (long long)number);
    r.branch = branch;
    r.commit = commit;
    r.ref = ref;
    r.head = head;
    r.change = change;
    r.message = message;
    r.parameters = parameters;
    r.script = script != NULL ? script : old_script;
    r.restart_stage = stage;
    return pipeline_submit(room, &r, number_out, err);
}

/* Is he among "anna, bert"? */
static bool
may_answer(const char *submitters, const char *by)
{
    struct str rest = str_of(submitters), one;

    if (submitters[0] == '\0')
        return true;
    while (str_split(&rest, ',', &one))
        if (str_equal(str_trim(one), str_of(by)))
            return true;
    return false;
}

static bool
answer_locked(struct build *b, const char *id, const struct json *answer, struct err *err)
{
    const struct json *q = id != NULL ? json_find(b->questions, "id", id)
                           : json_size(b->questions) == 1 ? json_at(b->questions, 0)
                                                          : NULL;
    const char *by = json_get_cstr(answer, "by", "");

    if (q == NULL)
        return err_set(err, ERR_NOT_FOUND,
                       id != NULL                     ? "the build asks nothing of that id"
                       : json_size(b->questions) == 0 ? "the build asks nothing"
                                                      : "the build asks several things: name one");
    if (!may_answer(json_get_cstr(q, "submitter", ""), by))
        return err_set(err, ERR_ACCESS_DENIED, "'%.100s' is none of those who may answer (%.200s)",
                       by, json_get_cstr(q, "submitter", ""));
    if (b->answers == NULL)
        b->answers = json_object();
    json_set(b->answers, json_get_cstr(q, "step", ""), json_copy(answer));
    return true;
}

bool
pipeline_answer(struct pipeline_room *room, const char *pipeline, int64_t number, const char *id,
                const struct json *answer, struct err *err)
{
    struct build *b;
    bool ok;

    room_lock(room);
    b = pipeline_find_build(&room->store, pipeline, number);
    ok = b == NULL ? err_set(err, ERR_NOT_FOUND, "'%s' has no build %lld", pipeline,
                             (long long)number)
                   : answer_locked(b, id, answer, err) &&
                         build_save(b, room->config.data_dir, err); /* said only once */
    pthread_cond_broadcast(&room->changed);
    room_unlock(room);
    return ok;
}

static struct json *
waiting_builds(const struct pipeline_room *room)
{
    struct json *list = json_array();

    for (size_t p = 0; p < room->store.count; p++)
        for (size_t i = 0; i < room->store.pipelines[p]->build_count; i++) {
            const struct build *b = room->store.pipelines[p]->builds[i];
            if (b->waiting != NULL && b->state != BUILD_ENDED && json_size(list) < WAITING_SHOWN)
                json_append(list, build_to_public_json(b, false));
        }
    return list;
}

struct json *
pipeline_list(struct pipeline_room *room)
{
    struct json *j = json_object(), *list = json_array();

    room_lock(room);
    for (size_t i = 0; i < room->store.count; i++)
        json_append(list, pipeline_to_json(room->store.pipelines[i]));
    json_set(j, "disk", room_disk_json(room));
    json_set(j, "executors", room_executors_json(room));
    json_set(j, "waiting", waiting_builds(room));
    room_unlock(room);
    json_set(j, "pipelines", list);
    return j;
}

static int
newer_first(const void *a, const void *b)
{
    const struct build *x = *(const struct build *const *)a, *y = *(const struct build *const *)b;

    if (x->queued_ms != y->queued_ms)
        return x->queued_ms < y->queued_ms ? 1 : -1;
    return x->number < y->number ? 1 : x->number > y->number ? -1 : 0;
}

struct json *
pipeline_builds(struct pipeline_room *room, const char *pipeline, size_t limit)
{
    struct json *j = json_object(), *list = json_array();
    cleanup_free const struct build **all = NULL;
    size_t count = 0;

    room_lock(room);
    for (size_t p = 0; p < room->store.count; p++)
        count += room->store.pipelines[p]->build_count;
    all = mem_new((count + 1) * sizeof(*all));
    count = 0;
    for (size_t p = 0; p < room->store.count; p++)
        for (size_t i = 0; i < room->store.pipelines[p]->build_count; i++)
            if (pipeline == NULL || strcmp(room->store.pipelines[p]->name, pipeline) == 0)
                all[count++] = room->store.pipelines[p]->builds[i];
    qsort((void *)(uintptr_t)all, count, sizeof(*all), newer_first);
    for (size_t i = 0; i < count && i < limit; i++)
        json_append(list, build_to_public_json(all[i], false));
    room_unlock(room);
    json_set(j, "builds", list);
    return j;
}

struct json *
pipeline_build(struct pipeline_room *room, const char *pipeline, int64_t number, struct err *err)
{
    struct json *j = NULL;
    const struct build *b;

    room_lock(room);
    b = pipeline_find_build(&room->store, pipeline, number);
    if (b != NULL)
        j = build_to_public_json(b, true);
    room_unlock(room);
    if (j == NULL)
        err_set(err, ERR_NOT_FOUND, "there is no build %lld of '%.63s'", (long long)number,
                pipeline);
    return j;
}

bool
pipeline_of_github(struct pipeline_room *room, const char *repository, char *name_out, size_t size)
{
    bool found = false;

    room_lock(room);
    for (size_t i = 0; i < room->store.count && !found; i++) {
        const struct pipeline *p = room->store.pipelines[i];
        found = p->github != NULL && str_equal_nocase(str_of(p->github), str_of(repository)) &&
                text_copy(name_out, size, str_of(p->name));
    }
    room_unlock(room);
    return found;
}

void
pipeline_note_forge(struct pipeline_room *room, const char *pipeline, const char *forge)
{
    struct pipeline *p;
    struct err err;

    room_lock(room);
    p = pipeline_store_find(&room->store, pipeline);
    if (p != NULL && strcmp(p->forge == NULL ? "github" : p->forge, forge) != 0) {
        free(p->forge);
        p->forge = text_dup(forge);
        if (!pipeline_store_save(&room->store, p, &err))
            log_error("pipeline.forge", "error=%s", log_quote(err.message));
    }
    room_unlock(room);
}

const struct pipeline_config *
pipeline_room_config(const struct pipeline_room *room)
{
    return &room->config;
}

char *
pipeline_webhook_secret(struct pipeline_room *room, const char *forge)
{
    cleanup_free char *directory = text_format("%s/secrets", room->config.data_dir);
    cleanup_free char *id = text_format("%s-webhook", forge);
    struct err err;
    cleanup_json struct json *c = secrets_get(directory, id, &err);
    const char *given = room->config.github_secret;

    if (c != NULL)
        return text_dup(secret_token(c));
    return text_dup(given == NULL || strcmp(forge, "github") != 0 ? "" : given);
}

/* What its Jenkinsfile said of its job; a build of it would say it again. */
static void
forget_properties(struct pipeline_room *room, struct pipeline *p, const char *branch)
{
    struct err err;

    if (json_get(p->properties, branch) == NULL)
        return;
    json_delete(p->properties, branch);
    if (!pipeline_store_save(&room->store, p, &err))
        log_error("pipeline.properties", "error=%s", log_quote(err.message));
}

bool
pipeline_gone(struct pipeline_room *room, const char *pipeline, const char *branch, int64_t looked_at)
{
    struct pipeline *p;
    bool is_news = false, is_back;

    room_lock(room);
    p = pipeline_store_find(&room->store, pipeline);
    is_back = p != NULL && pipeline_has_news(p, branch, "", looked_at);
    p = is_back ? NULL : p;
    if (p != NULL)
        forget_properties(room, p, branch);
    if (p != NULL)
        is_news = room_disk_gone(room, pipeline, branch);
    for (size_t i = 0; p != NULL && i < p->build_count; i++) {
        struct build *b = p->builds[i];
        /* One that is to be taken up has scripts, containers and locks: it goes on as those that
         * run do. */
        if (b->state != BUILD_QUEUED || b->started_ms != 0 || strcmp(b->branch, branch) != 0)
            continue;
        room_end_build(b, RESULT_NOT_BUILT, "what it was to build is gone");
        room_save(room, b);
    }
    pthread_cond_broadcast(&room->changed);
    room_unlock(room);
    if (is_news)
        room_disk_keep(room);
    return !is_back;
}

bool
pipeline_wait(struct pipeline_room *room, int64_t wait_ms)
{
    struct timespec until;
    bool goes_on;

    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += wait_ms / 1000;
    until.tv_nsec += (wait_ms % 1000) * 1000000;
    if (until.tv_nsec >= 1000000000) {
        until.tv_sec++;
        until.tv_nsec -= 1000000000;
    }
    room_lock(room);
    if (!atomic_load(&room->stopping))
        (void)pthread_cond_timedwait(&room->changed, &room->mutex, &until);
    goes_on = !atomic_load(&room->stopping);
    room_unlock(room);
    return goes_on;
}

char *
pipeline_log_path(struct pipeline_room *room, const char *pipeline, int64_t number)
{
    cleanup_free char *directory = build_directory(room->config.data_dir, pipeline, number);

    return text_format("%s/log", directory);
}

bool
pipeline_delivery_is_new(struct pipeline_room *room, struct str id)
{
    bool seen;

    room_lock(room);
    seen = github_deliveries_has(&room->deliveries, id);
    room_unlock(room);
    return !seen;
}

bool
pipeline_delivery_seen(struct pipeline_room *room, struct str id, struct err *err)
{
    bool ok;

    room_lock(room);
    ok = github_deliveries_has(&room->deliveries, id) ||
         github_deliveries_add(&room->deliveries, id, err);
    room_unlock(room);
    return ok;
}
