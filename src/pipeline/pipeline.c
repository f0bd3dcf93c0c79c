/* SPDX-License-Identifier: MIT */
#include "pipeline/pipeline.h"

#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <time.h>
#include "base/clock.h"
#include "base/log.h"
#include "base/random.h"
#include "io/file.h"
#include "pipeline/build.h"
#include "pipeline/docker.h"
#include "pipeline/git_remote.h"
#include "pipeline/github.h"
#include "pipeline/leftovers.h"
#include "pipeline/pipeline_store.h"
#include "pipeline/secrets.h"

#define PARALLEL_DEFAULT 2u
#define PARALLEL_MAX 16u
#define QUEUE_MAX 500u
#define STAGES_SAVED_EVERY_MS 200

struct pipeline_room {
    struct pipeline_config config; /* texts are ours */
    pthread_mutex_t mutex;
    pthread_cond_t changed; /* anything: queue, build, log */
    struct pipeline_store store;
    struct github_deliveries deliveries;
    pthread_t threads[PARALLEL_MAX];
    unsigned thread_count;
    bool reconciled; /* heads were compared after the start */
    atomic_bool stopping;
};

static void
lock(struct pipeline_room *room)
{
    pthread_mutex_lock(&room->mutex);
}

static void
unlock(struct pipeline_room *room)
{
    pthread_mutex_unlock(&room->mutex);
}

static void
announce(struct pipeline_room *room, struct json *build)
{
    if (room->config.on_change != NULL)
        room->config.on_change(room->config.ctx, build);
    json_unref(build);
}

static void
save_or_log(struct pipeline_room *room, const struct build *b)
{
    struct err err;

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

static void
end_build(struct build *b, enum build_result result, const char *reason)
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

    lock(w->room);
    build_stage_report(w->build, report);
    if (clock_monotonic_ms() - w->saved_ms >= STAGES_SAVED_EVERY_MS) {
        save_or_log(w->room, w->build);
        w->saved_ms = clock_monotonic_ms();
    }
    j = build_to_public_json(w->build, true);
    pthread_cond_broadcast(&w->room->changed);
    unlock(w->room);
    announce(w->room, j);
}

static enum abort_request
abort_request(void *ctx)
{
    struct work *w = ctx;
    bool asked;

    if (atomic_load(&w->room->stopping))
        return ABORT_NOW;
    lock(w->room);
    asked = w->build->abort_asked;
    unlock(w->room);
    return asked ? ABORT_ASKED : ABORT_NO;
}

/* The next to run: the longest waiting one whose branch has no running build. */
static struct build *
next_queued(struct pipeline_room *room)
{
    struct build *best = NULL;

    for (size_t p = 0; p < room->store.count; p++) {
        struct pipeline *pipeline = room->store.pipelines[p];
        for (size_t i = 0; i < pipeline->build_count; i++) {
            struct build *b = pipeline->builds[i];
            if (b->state == BUILD_QUEUED && !pipeline_branch_is_running(pipeline, b->branch) &&
                (best == NULL || b->queued_ms < best->queued_ms))
                best = b;
        }
    }
    return best;
}

/* What a build is told about itself; taken under the lock, used without it. */
struct brief {
    struct arena arena;
    struct runner_config config;
};

static void
fill_changes(struct brief *brief, const struct build *b, const struct pipeline *pipeline,
             const char *from)
{
    cleanup(strbuf_done) struct strbuf text = {0};
    struct str *paths = arena_alloc(&brief->arena, BUILD_PATHS_MAX * sizeof(*paths));
    struct str rest, line;
    size_t count = 0;
    struct err err;

    for (size_t i = 0; i < b->path_count; i++)
        paths[count++] = arena_dup(&brief->arena, str_of(b->paths[i]));
    if (pipeline->is_local && from != NULL &&
        git_remote_changes(pipeline->url, from, b->commit, &text, &err)) {
        rest = arena_dup(&brief->arena, strbuf_str(&text));
        while (count < BUILD_PATHS_MAX && str_split(&rest, '\n', &line))
            if (line.len > 0)
                paths[count++] = line;
    }
    brief->config.changed_paths = paths;
    brief->config.changed_path_count = count;
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

    for (const char *c = b->branch; *c != '\0'; c++) {
        if (*c == '/' || *c == '%')
            strbuf_addf(&branch, "%%%02X", (unsigned)*c);
        else
            strbuf_add_char(&branch, *c);
    }
    brief->config = (struct runner_config){
        .jenkinsfile_name = arena_format(a, "%s", pipeline->jenkinsfile),
        .workspace = arena_format(a, "%s/workspaces/%s/%s", room->config.data_dir, b->pipeline,
                                  strbuf_cstr(&branch)),
        .tool_dir = room->config.tool_dir,
        .extra_env = room->config.extra_env,
        .artifact_dir = arena_format(a, "%s/artifacts", directory),
        .secrets_dir = arena_format(a, "%s/secrets", room->config.data_dir),
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
        .is_primary_branch = strcmp(b->branch, "main") == 0 || strcmp(b->branch, "master") == 0,
        .cause = arena_format(a, "%s", b->cause),
        .on_log = on_log,
        .on_stage = on_stage,
        .abort_request = abort_request,
    };
    if (previous != NULL) {
        brief->config.previous_result = build_result_name(previous->result);
        brief->config.previous_number = previous->number;
        brief->config.previous_commit = arena_format(a, "%s", previous->commit);
    }
    if (good != NULL)
        brief->config.previous_successful_commit = arena_format(a, "%s", good->commit);
}

/* Called with the lock held; gives it up while the build runs. */
static void
run_build(struct pipeline_room *room, struct build *b)
{
    struct pipeline *pipeline = pipeline_store_find(&room->store, b->pipeline);
    cleanup_free char *directory = build_directory(room->config.data_dir, b->pipeline, b->number);
    cleanup_free char *log_path = text_format("%s/log", directory);
    struct work w = {.room = room, .build = b, .log_fd = -1};
    struct runner_outcome outcome;
    struct brief brief = {0};
    struct json *j;
    char cookie[33];
    bool cut_off;

    random_hex(cookie, 32);
    set_text(&b->cookie, cookie);
    b->state = BUILD_RUNNING;
    b->started_ms = clock_wall_ms();
    save_or_log(room, b); /* with its cookie, before any process carries it */
    fill_brief(&brief, room, b, pipeline);
    brief.config.ctx = &w;
    j = build_to_public_json(b, true);
    unlock(room);

    announce(room, j);
    log_info("build.started", "pipeline=%s build=%lld branch=%s commit=%s", b->pipeline,
             (long long)b->number, b->branch, b->commit);
    fill_changes(&brief, b, pipeline, brief.config.previous_commit);
    w.log_fd = open(log_path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0640);
    runner_run(&brief.config, &outcome);
    if (w.log_fd >= 0) {
        (void)fdatasync(w.log_fd);
        close(w.log_fd);
    }

    lock(room);
    cut_off = atomic_load(&room->stopping) && outcome.result == RESULT_ABORTED && !b->abort_asked;
    if (cut_off) {
        /* Stays RUNNING on disk: the next start treats it as it treats a crash. */
        log_info("build.cut_off", "pipeline=%s build=%lld", b->pipeline, (long long)b->number);
        unlock(room);
        arena_done(&brief.arena);
        lock(room);
        return;
    }
    set_text(&b->display_name, outcome.display_name);
    set_text(&b->description, outcome.description[0] == '\0' ? NULL : outcome.description);
    end_build(b, outcome.result, outcome.reason);
    save_or_log(room, b);
    log_info("build.ended", "pipeline=%s build=%lld result=%s took_ms=%lld", b->pipeline,
             (long long)b->number, build_result_name(b->result),
             (long long)(b->ended_ms - b->started_ms));
    j = build_to_public_json(b, true);
    pipeline_prune(&room->store, pipeline);
    pthread_cond_broadcast(&room->changed);
    unlock(room);
    announce(room, j);
    arena_done(&brief.arena);
    lock(room);
}

struct head {
    struct pipeline_room *room;
    const char *pipeline;
    bool is_local;
};

static void
submit_head(void *arg, struct str branch, struct str commit)
{
    const struct head *h = arg;
    cleanup_free char *b = str_dup(branch);
    cleanup_free char *c = str_dup(commit);
    const struct build_request request = {.pipeline = h->pipeline,
                                          .branch = b,
                                          .commit = c,
                                          .cause = "BranchEventCause",
                                          .unless_known = true};
    struct pipeline *pipeline;
    bool known;
    int64_t number;
    struct err err;

    lock(h->room);
    pipeline = pipeline_store_find(&h->room->store, h->pipeline);
    known = pipeline != NULL && pipeline_newest(pipeline, b) != NULL;
    unlock(h->room);
    /* Of somebody else's repository only the branches that were built before are ours. */
    if (!h->is_local && !known)
        return;
    if (!pipeline_submit(h->room, &request, &number, &err))
        log_warn("pipeline.reconcile", "pipeline=%s error=%s", h->pipeline, log_quote(err.message));
}

/* Pushes that came while nobody listened. */
static void
reconcile(struct pipeline_room *room)
{
    for (size_t i = 0;; i++) {
        cleanup_free char *name = NULL;
        cleanup_free char *url = NULL;
        struct head h = {.room = room};
        struct err err;
        lock(room);
        if (i < room->store.count) {
            name = text_dup(room->store.pipelines[i]->name);
            url = text_dup(room->store.pipelines[i]->url);
            h.is_local = room->store.pipelines[i]->is_local;
        }
        unlock(room);
        if (name == NULL || atomic_load(&room->stopping))
            return;
        h.pipeline = name;
        if (!git_remote_heads(url, submit_head, &h, &err))
            log_warn("pipeline.reconcile", "pipeline=%s error=%s", name, log_quote(err.message));
    }
}

static void *
worker(void *arg)
{
    struct pipeline_room *room = arg;
    bool mine;

    lock(room);
    mine = !room->reconciled;
    room->reconciled = true;
    unlock(room);
    if (mine)
        reconcile(room);
    lock(room);
    while (!atomic_load(&room->stopping)) {
        struct build *b = next_queued(room);
        if (b != NULL)
            run_build(room, b);
        else
            pthread_cond_wait(&room->changed, &room->mutex);
    }
    unlock(room);
    return NULL;
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

/* Builds that ran when naru ended: their processes end, they are over, their commit may not be. */
static void
recover(struct pipeline_room *room, struct pipeline *p)
{
    size_t count = p->build_count;

    for (size_t i = 0; i < count; i++) {
        struct build *b = p->builds[i], *again;
        unsigned left = 0;
        if (b->state != BUILD_RUNNING)
            continue;
        if (b->cookie != NULL) {
            left = leftovers_end(b->cookie);
            docker_leftovers_end(b->cookie, NULL);
        }
        end_build(b, RESULT_ABORTED, "naru ended while the build was running");
        end_log(room, b);
        save_or_log(room, b);
        log_warn("build.recovered", "pipeline=%s build=%lld processes=%u", b->pipeline,
                 (long long)b->number, left);
        if (pipeline_newest(p, b->branch) != b || b->attempt >= BUILD_ATTEMPTS_MAX)
            continue;
        again = pipeline_add_build(p);
        again->branch = text_dup(b->branch);
        again->commit = text_dup(b->commit);
        again->before = text_dup(b->before);
        again->cause = text_dup(b->cause);
        again->message = text_dup(b->message);
        again->author = text_dup(b->author);
        again->attempt = b->attempt + 1;
        again->retry_of = b->number;
        again->queued_ms = clock_wall_ms();
        save_or_log(room, again);
    }
}

static bool
start_threads(struct pipeline_room *room, struct err *err)
{
    unsigned want =
        room->config.parallel_builds == 0 ? PARALLEL_DEFAULT : room->config.parallel_builds;
    pthread_attr_t attr;
    int failure = 0;

    pthread_attr_init(&attr);
    pthread_attr_setstacksize(&attr, RUNNER_STACK_SIZE);
    while (failure == 0 && room->thread_count < want && room->thread_count < PARALLEL_MAX) {
        failure = pthread_create(&room->threads[room->thread_count], &attr, worker, room);
        room->thread_count += failure == 0;
    }
    pthread_attr_destroy(&attr);
    errno = failure;
    return failure == 0 || err_errno(err, "cannot start a build thread");
}

static void
room_free(struct pipeline_room *room)
{
    pipeline_store_done(&room->store);
    github_deliveries_done(&room->deliveries);
    free((void *)(uintptr_t)room->config.data_dir);
    free((void *)(uintptr_t)room->config.tool_dir);
    free((void *)(uintptr_t)room->config.naru_path);
    free((void *)(uintptr_t)room->config.base_url);
    free((void *)(uintptr_t)room->config.github_secret);
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
    room->config.base_url = text_dup(from->base_url);
    room->config.github_secret = text_dup(from->github_secret);
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
    pthread_condattr_t attr;

    assert(config->data_dir[0] == '/' && config->naru_path != NULL && config->base_url != NULL);
    copy_config(room, config);
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
    for (size_t i = 0; i < room->store.count; i++) {
        struct err hook;
        recover(room, room->store.pipelines[i]);
        /* The binary may have moved since. */
        if (room->store.pipelines[i]->is_local &&
            !git_remote_create(config->data_dir, room->store.pipelines[i]->name, config->naru_path,
                               &hook))
            log_warn("pipeline.repository", "error=%s", log_quote(hook.message));
    }
    if (!start_threads(room, err)) {
        pipeline_room_stop(room);
        return NULL;
    }
    return room;
}

void
pipeline_room_close(struct pipeline_room *room)
{
    lock(room);
    atomic_store(&room->stopping, true);
    pthread_cond_broadcast(&room->changed);
    unlock(room);
}

void
pipeline_room_stop(struct pipeline_room *room)
{
    if (room == NULL)
        return;
    pipeline_room_close(room);
    for (unsigned i = 0; i < room->thread_count; i++)
        pthread_join(room->threads[i], NULL);
    room_free(room);
}

bool
pipeline_create(struct pipeline_room *room, const char *name, const char *url, const char *github,
                struct json **out, struct err *err)
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
    lock(room);
    ok = pipeline_store_put(&room->store, name, url == NULL ? local : url, url == NULL, github, &p,
                            err);
    if (ok)
        *out = pipeline_to_json(p);
    unlock(room);
    return ok;
}

/* Older builds of the branch that still wait give way. */
static void
supersede(struct pipeline_room *room, struct pipeline *p, const struct build *by)
{
    for (size_t i = 0; i < p->build_count; i++) {
        struct build *b = p->builds[i];
        cleanup_free char *reason = NULL;
        if (b == by || b->state != BUILD_QUEUED || strcmp(b->branch, by->branch) != 0)
            continue;
        reason = text_format("superseded by build %lld", (long long)by->number);
        b->superseded_by = by->number;
        end_build(b, RESULT_NOT_BUILT, reason);
        save_or_log(room, b);
    }
}

static bool
queue_is_full(const struct pipeline_store *store)
{
    size_t waiting = 0;

    for (size_t p = 0; p < store->count; p++)
        for (size_t i = 0; i < store->pipelines[p]->build_count; i++)
            waiting += store->pipelines[p]->builds[i]->state == BUILD_QUEUED;
    return waiting >= QUEUE_MAX;
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
    if (newest != NULL && ((r->unless_known && strcmp(newest->commit, commit) == 0) ||
                           (r->may_be_late && is_overtaken(p, newest, r, commit)))) {
        *number_out = newest->number;
        return true;
    }
    if (queue_is_full(&room->store))
        return err_set(err, ERR_LIMIT_EXCEEDED, "the queue is full (%u builds)", QUEUE_MAX);
    b = pipeline_add_build(p);
    b->branch = text_dup(r->branch);
    b->commit = text_dup(commit);
    b->before = text_dup(r->before);
    b->cause = text_dup(r->cause);
    b->message = message == NULL || message[0] == '\0' ? NULL : text_dup(message);
    b->author = author == NULL || author[0] == '\0' ? NULL : text_dup(author);
    b->queued_ms = clock_wall_ms();
    if (r->path_count > 0)
        b->paths = mem_new(BUILD_PATHS_MAX * sizeof(*b->paths));
    for (size_t i = 0; i < r->path_count && i < BUILD_PATHS_MAX; i++)
        b->paths[b->path_count++] = text_dup(r->paths[i]);
    if (!build_save(b, room->config.data_dir, err)) {
        pipeline_drop_last(p);
        return false;
    }
    supersede(room, p, b);
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
    cleanup_free char *url = NULL;
    struct pipeline *p;
    struct json *j = NULL;
    bool is_local = false, ok;
    struct err ignored;

    if (!build_name_is_valid(str_of(r->pipeline)) || !build_branch_is_valid(str_of(r->branch)))
        return err_set(err, ERR_VALIDATION, "a build needs a pipeline and a branch");
    if (r->commit != NULL && !build_commit_is_valid(str_of(r->commit)))
        return err_set(err, ERR_VALIDATION, "'%.60s' is not a full commit id", r->commit);
    lock(room);
    p = pipeline_store_find(&room->store, r->pipeline);
    if (p != NULL) {
        url = text_dup(p->url);
        is_local = p->is_local;
    }
    unlock(room);
    if (url == NULL)
        return err_set(err, ERR_NOT_FOUND, "there is no pipeline '%s'", r->pipeline);
    /* git is asked without the lock. */
    if (r->commit != NULL)
        (void)text_copy(commit, sizeof(commit), str_of(r->commit));
    else if (!git_remote_resolve(url, r->branch, commit, err))
        return false;
    if (is_local && r->message == NULL &&
        !git_remote_describe(url, commit, message, author, &ignored))
        return err_set(err, ERR_NOT_FOUND, "repository '%s' has no commit %s", r->pipeline, commit);
    lock(room);
    ok = submit_locked(room, r, commit, r->message != NULL ? r->message : message,
                       r->author != NULL ? r->author : author, number_out, &j, err);
    unlock(room);
    if (j != NULL)
        announce(room, j);
    return ok;
}

static struct build *
find_build(struct pipeline_room *room, const char *pipeline, int64_t number)
{
    struct pipeline *p = pipeline_store_find(&room->store, pipeline);

    for (size_t i = 0; p != NULL && i < p->build_count; i++)
        if (p->builds[i]->number == number)
            return p->builds[i];
    return NULL;
}

bool
pipeline_abort(struct pipeline_room *room, const char *pipeline, int64_t number, struct err *err)
{
    struct build *b;
    bool ok = true;

    lock(room);
    b = find_build(room, pipeline, number);
    if (b == NULL) {
        ok = err_set(err, ERR_NOT_FOUND, "there is no build %lld of '%s'", (long long)number,
                     pipeline);
    } else if (b->state == BUILD_QUEUED) {
        end_build(b, RESULT_ABORTED, "aborted before it started");
        save_or_log(room, b);
    } else if (b->state == BUILD_RUNNING) {
        b->abort_asked = true;
    }
    pthread_cond_broadcast(&room->changed);
    unlock(room);
    return ok;
}

struct json *
pipeline_list(struct pipeline_room *room)
{
    struct json *j = json_object(), *list = json_array();

    lock(room);
    for (size_t i = 0; i < room->store.count; i++)
        json_append(list, pipeline_to_json(room->store.pipelines[i]));
    unlock(room);
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

    lock(room);
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
    unlock(room);
    json_set(j, "builds", list);
    return j;
}

struct json *
pipeline_build(struct pipeline_room *room, const char *pipeline, int64_t number, struct err *err)
{
    struct json *j = NULL;
    const struct build *b;

    lock(room);
    b = find_build(room, pipeline, number);
    if (b != NULL)
        j = build_to_public_json(b, true);
    unlock(room);
    if (j == NULL)
        err_set(err, ERR_NOT_FOUND, "there is no build %lld of '%.63s'", (long long)number,
                pipeline);
    return j;
}

bool
pipeline_of_github(struct pipeline_room *room, const char *repository, char *name_out, size_t size)
{
    bool found = false;

    lock(room);
    for (size_t i = 0; i < room->store.count && !found; i++) {
        const struct pipeline *p = room->store.pipelines[i];
        found = p->github != NULL && str_equal_nocase(str_of(p->github), str_of(repository)) &&
                text_copy(name_out, size, str_of(p->name));
    }
    unlock(room);
    return found;
}

const struct pipeline_config *
pipeline_room_config(const struct pipeline_room *room)
{
    return &room->config;
}

const char *
pipeline_github_secret(const struct pipeline_room *room)
{
    return room->config.github_secret == NULL ? "" : room->config.github_secret;
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
    lock(room);
    if (!atomic_load(&room->stopping))
        (void)pthread_cond_timedwait(&room->changed, &room->mutex, &until);
    goes_on = !atomic_load(&room->stopping);
    unlock(room);
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

    lock(room);
    seen = github_deliveries_has(&room->deliveries, id);
    unlock(room);
    return !seen;
}

bool
pipeline_delivery_seen(struct pipeline_room *room, struct str id, struct err *err)
{
    bool ok;

    lock(room);
    ok = github_deliveries_has(&room->deliveries, id) ||
         github_deliveries_add(&room->deliveries, id, err);
    unlock(room);
    return ok;
}
