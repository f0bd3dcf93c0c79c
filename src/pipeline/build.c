/* SPDX-License-Identifier: MIT */
#include "pipeline/build.h"

#include <ctype.h>
#include <stdio.h>
#include "base/clock.h"
#include "base/log.h"
#include "io/file.h"
#include "pipeline/secrets.h"

#define RECORD_MAX ((size_t)4 << 20)

static const char *const state_names[] = {"QUEUED", "RUNNING", "ENDED"};
static const char *const reasons[] = {"WHEN", "FAILURE", "UNSTABLE", "RESTART"};

struct build *
build_new(const char *pipeline, int64_t number)
{
    struct build *b = mem_new(sizeof(*b));

    b->pipeline = text_dup(pipeline);
    b->number = number;
    b->attempt = 1;
    b->cpu_ms = b->memory_peak_bytes = b->disk_bytes = -1;
    return b;
}

void
build_free(struct build *b)
{
    if (b == NULL)
        return;
    for (size_t i = 0; i < b->stage_count; i++) {
        free(b->stages[i].name);
        free(b->stages[i].key);
    }
    free(b->stages);
    for (size_t i = 0; i < b->path_count; i++)
        free(b->paths[i]);
    free(b->paths);
    free(b->pipeline);
    free(b->branch);
    free(b->commit);
    free(b->before);
    free(b->ref);
    free(b->head);
    json_unref(b->change);
    free(b->cause);
    free(b->message);
    free(b->author);
    free(b->cookie);
    free(b->upstream);
    free(b->started_by);
    free(b->script);
    free(b->restart_stage);
    free(b->reason);
    free(b->display_name);
    free(b->description);
    json_unref(b->parameters);
    json_unref(b->questions);
    json_unref(b->answers);
    json_unref(b->tests);
    json_unref(b->plain);
    free(b->sealed);
    free(b->waiting);
    free(b);
}

const char *
build_state_name(enum build_state s)
{
    return state_names[s];
}

static void
set_text(struct json *j, const char *key, const char *value)
{
    if (value != NULL)
        json_set(j, key, json_text(value));
}

static void
set_time(struct json *j, const char *key, int64_t ms)
{
    if (ms != 0)
        json_set(j, key, json_int(ms));
}

static struct json *
stages_to_json(const struct build *b)
{
    struct json *list = json_array();

    for (size_t i = 0; i < b->stage_count; i++) {
        const struct build_stage *s = &b->stages[i];
        struct json *one = json_object();
        json_set(one, "name", json_text(s->name));
        json_set(one, "depth", json_int(s->depth));
        set_text(one, "key", s->key);
        if (s->is_branch)
            json_set(one, "branch", json_bool(true));
        json_set(one, "status", json_text(stage_state_name(s->state)));
        set_text(one, "skippedBecause", s->reason);
        set_time(one, "startedAtMs", s->started_ms);
        json_set(one, "tookMs", json_int(s->took_ms));
        json_append(list, one);
    }
    return list;
}

static struct json *
shown_parameters(const struct build *b)
{
    struct json *shown = json_object();

    for (void *it = json_first(b->parameters); it != NULL; it = json_next(b->parameters, it))
        json_set(shown, json_key(it), json_get_bool(b->plain, json_key(it), false)
                                          ? json_ref(json_value(it))
                                          : json_text("****"));
    return shown;
}

struct json *
build_to_public_json(const struct build *b, bool with_stages)
{
    struct json *j = json_object();

    json_set(j, "pipeline", json_text(b->pipeline));
    json_set(j, "number", json_int(b->number));
    set_text(j, "branch", b->branch);
    set_text(j, "commit", b->commit);
    set_text(j, "ref", b->ref);
    set_text(j, "head", b->head);
    if (b->change != NULL)
        json_set(j, "change", json_ref(b->change));
    set_text(j, "cause", b->cause);
    set_text(j, "message", b->message);
    set_text(j, "author", b->author);
    json_set(j, "state", json_text(build_state_name(b->state)));
    if (b->state == BUILD_ENDED)
        json_set(j, "result", json_text(build_result_name(b->result)));
    set_text(j, "reason", b->reason);
    set_text(j, "displayName", b->display_name);
    set_text(j, "description", b->description);
    set_time(j, "supersededBy", b->superseded_by);
    set_time(j, "overtakenBy", b->overtaken_by);
    set_time(j, "retryOf", b->retry_of);
    set_time(j, "replayOf", b->replay_of);
    set_text(j, "restartedAt", b->restart_stage);
    json_set(j, "attempt", json_int(b->attempt));
    set_time(j, "resumed", b->resumed);
    set_time(j, "queuedAtMs", b->queued_ms);
    set_time(j, "startedAtMs", b->started_ms);
    set_time(j, "endedAtMs", b->ended_ms);
    if (b->started_ms != 0 && b->ended_ms != 0)
        json_set(j, "tookMs", json_int(b->ended_ms - b->started_ms));
    if (b->cpu_ms >= 0)
        json_set(j, "cpuMs", json_int(b->cpu_ms));
    if (b->memory_peak_bytes >= 0)
        json_set(j, "memoryPeakBytes", json_int(b->memory_peak_bytes));
    if (b->disk_bytes >= 0)
        json_set(j, "diskBytes", json_int(b->disk_bytes));
    if (b->state != BUILD_ENDED)
        set_text(j, "waitingFor", b->waiting);
    if (b->parameters != NULL)
        json_set(j, "parameters", shown_parameters(b));
    if (b->tests != NULL)
        json_set(j, "tests", json_ref(b->tests));
    if (json_size(b->questions) > 0)
        json_set(j, "inputs", json_copy(b->questions));
    if (with_stages)
        json_set(j, "stages", stages_to_json(b));
    return j;
}

struct json *
build_to_json(const struct build *b)
{
    struct json *j = build_to_public_json(b, true), *paths = json_array();

    json_delete(j, "parameters");
    json_delete(j, "waitingFor");
    if (b->plain != NULL)
        json_set(j, "plainParameters", json_copy(b->plain));
    set_text(j, "sealed", b->sealed);
    set_text(j, "cookie", b->cookie);
    if (b->abort_asked)
        json_set(j, "abortAsked", json_bool(true));
    if (b->abort_now)
        json_set(j, "abortNow", json_bool(true));
    set_time(j, "milestone", b->milestone);
    set_time(j, "place", b->place);
    set_time(j, "wantsSinceMs", b->waits_since_ms);
    set_time(j, "waitedMs", b->waited_ms);
    set_text(j, "before", b->before);
    set_text(j, "upstream", b->upstream);
    set_text(j, "startedBy", b->started_by);
    set_time(j, "startedByNumber", b->started_by_number);
    set_text(j, "jenkinsfile", b->script);
    for (size_t i = 0; i < b->path_count; i++)
        json_append(paths, json_text(b->paths[i]));
    json_set(j, "changedPaths", paths);
    return j;
}

static int
find_name(const char *const *names, size_t count, const char *name)
{
    for (size_t i = 0; i < count; i++)
        if (strcmp(names[i], name) == 0)
            return (int)i;
    return -1;
}

static struct build_stage *
add_stage(struct build *b, struct str name)
{
    struct build_stage *s;

    if (b->stage_count == b->stage_capacity) {
        b->stage_capacity = b->stage_capacity == 0 ? 16 : b->stage_capacity * 2;
        b->stages = mem_grow(b->stages, b->stage_capacity, sizeof(*b->stages));
    }
    s = &b->stages[b->stage_count++];
    *s = (struct build_stage){.name = str_dup(name)};
    return s;
}

static void
stages_from_json(struct build *b, const struct json *list)
{
    for (size_t i = 0; i < json_size(list) && i < BUILD_STAGES_MAX; i++) {
        const struct json *one = json_at(list, i);
        struct build_stage *s = add_stage(b, str_of(json_get_cstr(one, "name", "")));
        const char *state = json_get_cstr(one, "status", "");
        int reason =
            find_name(reasons, ARRAY_COUNT(reasons), json_get_cstr(one, "skippedBecause", ""));
        s->key = text_dup(json_get_cstr(one, "key", ""));
        s->is_branch = json_get_bool(one, "branch", false);
        s->depth = (unsigned)json_get_i64(one, "depth", 0);
        for (enum stage_state k = STAGE_RUNNING; k <= STAGE_SKIPPED; k++)
            if (strcmp(stage_state_name(k), state) == 0)
                s->state = k;
        s->reason = reason < 0 ? NULL : reasons[reason];
        s->started_ms = json_get_i64(one, "startedAtMs", 0);
        s->took_ms = json_get_i64(one, "tookMs", 0);
    }
}

static struct json *
kept(const struct json *j)
{
    return j == NULL ? NULL : json_copy(j);
}

struct build *
build_from_json(const struct json *j, struct err *err)
{
    struct build *b;
    const struct json *paths = json_get(j, "changedPaths");
    int state = find_name(state_names, ARRAY_COUNT(state_names), json_get_cstr(j, "state", ""));

    if (state < 0 || json_get_i64(j, "number", 0) <= 0 ||
        !build_name_is_valid(str_of(json_get_cstr(j, "pipeline", "")))) {
        err_set(err, ERR_INTERNAL, "not a build record");
        return NULL;
    }
    b = build_new(json_get_cstr(j, "pipeline", ""), json_get_i64(j, "number", 0));
    b->state = (enum build_state)state;
    b->branch = text_dup(json_get_cstr(j, "branch", ""));
    b->commit = text_dup(json_get_cstr(j, "commit", ""));
    b->before = text_dup(json_get_cstr(j, "before", NULL));
    b->ref = text_dup(json_get_cstr(j, "ref", NULL));
    b->head = text_dup(json_get_cstr(j, "head", NULL));
    b->change = json_type(json_get(j, "change")) == JSON_OBJECT ? json_ref(json_get(j, "change"))
                                                                 : NULL;
    b->cause = text_dup(json_get_cstr(j, "cause", "UserIdCause"));
    b->message = text_dup(json_get_cstr(j, "message", NULL));
    b->author = text_dup(json_get_cstr(j, "author", NULL));
    b->cookie = text_dup(json_get_cstr(j, "cookie", NULL));
    b->upstream = text_dup(json_get_cstr(j, "upstream", NULL));
    b->started_by = text_dup(json_get_cstr(j, "startedBy", NULL));
    b->started_by_number = json_get_i64(j, "startedByNumber", 0);
    b->reason = text_dup(json_get_cstr(j, "reason", NULL));
    b->display_name = text_dup(json_get_cstr(j, "displayName", NULL));
    b->description = text_dup(json_get_cstr(j, "description", NULL));
    if (!build_result_parse(str_of(json_get_cstr(j, "result", "SUCCESS")), &b->result))
        b->result = RESULT_FAILURE;
    b->superseded_by = json_get_i64(j, "supersededBy", 0);
    b->overtaken_by = json_get_i64(j, "overtakenBy", 0);
    b->milestone = json_get_i64(j, "milestone", 0);
    b->place = json_get_i64(j, "place", 0);
    b->waits_since_ms = json_get_i64(j, "wantsSinceMs", 0);
    b->waited_ms = json_get_i64(j, "waitedMs", 0);
    b->retry_of = json_get_i64(j, "retryOf", 0);
    b->replay_of = json_get_i64(j, "replayOf", 0);
    b->restart_stage = text_dup(json_get_cstr(j, "restartedAt", NULL));
    b->script = text_dup(json_get_cstr(j, "jenkinsfile", NULL));
    b->attempt = (int)json_get_i64(j, "attempt", 1);
    b->resumed = (int)json_get_i64(j, "resumed", 0);
    b->abort_asked = json_get_bool(j, "abortAsked", false);
    b->abort_now = json_get_bool(j, "abortNow", false);
    b->parameters = kept(json_get(j, "parameters"));
    b->answers = kept(json_get(j, "answers"));
    b->tests = kept(json_get(j, "tests"));
    b->plain = kept(json_get(j, "plainParameters"));
    b->sealed = text_dup(json_get_cstr(j, "sealed", NULL));
    b->queued_ms = json_get_i64(j, "queuedAtMs", 0);
    b->started_ms = json_get_i64(j, "startedAtMs", 0);
    b->ended_ms = json_get_i64(j, "endedAtMs", 0);
    b->cpu_ms = json_get_i64(j, "cpuMs", -1);
    b->memory_peak_bytes = json_get_i64(j, "memoryPeakBytes", -1);
    b->disk_bytes = json_get_i64(j, "diskBytes", -1);
    stages_from_json(b, json_get(j, "stages"));
    if (json_size(paths) > 0)
        b->paths = mem_new(json_size(paths) * sizeof(*b->paths));
    for (size_t i = 0; i < json_size(paths) && i < BUILD_PATHS_MAX; i++)
        b->paths[b->path_count++] = text_dup(json_cstr(json_at(paths, i), ""));
    return b;
}

char *
build_directory(const char *data_dir, const char *pipeline, int64_t number)
{
    return text_format("%s/builds/%s/%lld", data_dir, pipeline, (long long)number);
}

bool
build_has_journal(const struct build *b, const char *data_dir)
{
    cleanup_free char *directory = build_directory(data_dir, b->pipeline, b->number);
    cleanup_free char *path = text_format("%s/run/journal", directory);

    return file_exists(path);
}

/* ---- what is sealed ---- */

static bool
seal_given(const struct build *b, const char *data_dir, struct json *record, struct err *err)
{
    cleanup_free char *directory = text_format("%s/secrets", data_dir);
    cleanup_free char *context = text_format("build\n%s/%lld", b->pipeline, (long long)b->number);
    cleanup(strbuf_done) struct strbuf base64 = {0};
    cleanup_json struct json *given = json_object();

    if (b->sealed != NULL || (b->parameters == NULL && b->answers == NULL))
        return true;
    if (b->parameters != NULL)
        json_set(given, "parameters", json_ref(b->parameters));
    if (b->answers != NULL)
        json_set(given, "answers", json_ref(b->answers));
    cleanup_free char *text = json_format(given);
    if (!secrets_seal(directory, str_of(context), str_of(text), &base64, err))
        return err_context(err, "the parameters of a build");
    json_set(record, "sealed", json_str(strbuf_str(&base64)));
    return true;
}

static bool
unseal_given(struct build *b, const char *data_dir, struct err *err)
{
    cleanup_free char *directory = text_format("%s/secrets", data_dir);
    cleanup_free char *context = text_format("build\n%s/%lld", b->pipeline, (long long)b->number);
    cleanup(strbuf_done) struct strbuf text = {0};
    cleanup_json struct json *given = NULL;

    if (!secrets_unseal(directory, str_of(context), str_of(b->sealed), &text, err))
        return false;
    given = json_parse(strbuf_str(&text), err);
    if (given == NULL)
        return false;
    b->parameters = kept(json_get(given, "parameters"));
    b->answers = kept(json_get(given, "answers"));
    free(b->sealed);
    b->sealed = NULL;
    return true;
}

static void
save_opened(const struct build *b, const char *data_dir)
{
    struct err err;

    if (!build_save(b, data_dir, &err))
        log_warn("build.save", "pipeline=%s build=%lld error=%s", b->pipeline, (long long)b->number,
                 log_quote(err.message));
}

/* With other values than were given nothing may be built; not later either, when the key is back:
 * that nobody would expect. */
static void
open_given(struct build *b, const char *data_dir)
{
    struct err err;

    if (b->sealed == NULL) {
        if (b->parameters != NULL || b->answers != NULL)
            save_opened(b, data_dir);
        return;
    }
    if (unseal_given(b, data_dir, &err))
        return;
    log_warn("build.sealed", "pipeline=%s build=%lld error=%s", b->pipeline, (long long)b->number,
             log_quote(err.message));
    if (b->state == BUILD_ENDED)
        return;
    b->state = BUILD_ENDED;
    b->result = RESULT_FAILURE;
    b->ended_ms = clock_wall_ms();
    free(b->reason);
    b->reason = text_dup("its parameters cannot be read with the key of the secrets; see the log");
    save_opened(b, data_dir);
}

/* ---- the record ---- */

bool
build_save(const struct build *b, const char *data_dir, struct err *err)
{
    cleanup_free char *directory = build_directory(data_dir, b->pipeline, b->number);
    cleanup_free char *path = text_format("%s/build.json", directory);
    cleanup_json struct json *j = build_to_json(b);

    if (!seal_given(b, data_dir, j, err))
        return false;
    cleanup_free char *text = json_format_pretty(j);
    return file_make_dirs(directory, 0755, err) && file_write_atomic(path, str_of(text), 0640, err);
}

struct build *
build_load(const char *data_dir, const char *pipeline, int64_t number, struct err *err)
{
    cleanup_free char *directory = build_directory(data_dir, pipeline, number);
    cleanup_free char *path = text_format("%s/build.json", directory);
    cleanup(strbuf_done) struct strbuf text = {0};
    cleanup_json struct json *j = NULL;
    struct build *b;

    if (!file_read(path, RECORD_MAX, &text, err))
        return NULL;
    j = json_parse(strbuf_str(&text), err);
    b = j == NULL ? NULL : build_from_json(j, err);
    if (b != NULL && (b->number != number || strcmp(b->pipeline, pipeline) != 0)) {
        build_free(b);
        b = NULL;
        err_set(err, ERR_INTERNAL, "the record is of another build");
    }
    if (b == NULL)
        err_context(err, "%s", path);
    else
        open_given(b, data_dir);
    return b;
}

void
build_stage_report(struct build *b, const struct stage_report *r)
{
    struct build_stage *s = NULL;

    for (size_t i = b->stage_count; i > 0 && s == NULL; i--)
        if (strcmp(b->stages[i - 1].key, r->key) == 0)
            s = &b->stages[i - 1];
    if (s == NULL) {
        if (b->stage_count == BUILD_STAGES_MAX)
            return;
        s = add_stage(b, r->name);
        s->key = text_dup(r->key);
        s->is_branch = r->is_branch;
        s->depth = r->depth;
        s->started_ms = r->started_ms;
    } else if (r->state == STAGE_RUNNING || r->state == s->state) {
        return; /* the build is taken up again: what it was stands */
    }
    s->state = r->state;
    s->took_ms = r->took_ms;
    for (size_t i = 0; r->reason != NULL && i < ARRAY_COUNT(reasons); i++)
        if (strcmp(reasons[i], r->reason) == 0)
            s->reason = reasons[i];
}

bool
build_name_is_valid(struct str name)
{
    if (name.len == 0 || name.len > 63 || !isalnum((unsigned char)name.at[0]))
        return false;
    for (size_t i = 0; i < name.len; i++) {
        unsigned char c = (unsigned char)name.at[i];
        if (!islower(c) && !isdigit(c) && c != '-' && c != '_' && c != '.')
            return false;
    }
    return str_find(name, STR("..")) < 0 && !str_ends(name, STR(".git"));
}

bool
build_branch_is_valid(struct str branch)
{
    if (branch.len == 0 || branch.len > 200 || branch.at[0] == '-' || branch.at[0] == '/' ||
        branch.at[branch.len - 1] == '/' || branch.at[branch.len - 1] == '.')
        return false;
    for (size_t i = 0; i < branch.len; i++) {
        unsigned char c = (unsigned char)branch.at[i];
        if (c <= ' ' || c == 0x7F || strchr("~^:?*[\\", c) != NULL)
            return false;
    }
    return str_find(branch, STR("..")) < 0 && str_find(branch, STR("//")) < 0 &&
           str_find(branch, STR("@{")) < 0 && str_find(branch, STR("/.")) < 0 &&
           branch.at[0] != '.' && !str_ends(branch, STR(".lock"));
}

bool
build_commit_is_valid(struct str commit)
{
    return commit.len == 40 && str_is_hex(commit) &&
           !str_is(commit, "0000000000000000000000000000000000000000");
}
