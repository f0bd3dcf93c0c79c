/* SPDX-License-Identifier: MIT */
#include "pipeline/run/changes.h"

#include <time.h>
#include "base/log.h"
#include "io/file.h"

#define COMMENT_MAX 16384u
#define KEPT_MAX ((size_t)32 << 20)
#define SECONDS_MAX ((int64_t)253402300799) /* the end of the year 9999 */

/* ---- what git says ---- */

/* A hash, a name, an address, a time, a message; then a status and a path for each file, up to the
 * next hash.  All of them end with NUL, which no message can hold. */
struct reader {
    struct str rest;
    struct json *commits;
    size_t paths;
};

static bool
next(struct reader *r, struct str *out)
{
    return str_split(&r->rest, '\0', out);
}

static bool
is_hash(struct str s)
{
    return s.len == 40 && str_is_hex(s);
}

static const char *
edit_type(struct str status)
{
    if (status.len != 1 || strchr("AMDT", status.at[0]) == NULL)
        return NULL;
    return status.at[0] == 'A' ? "add" : status.at[0] == 'D' ? "delete" : "edit";
}

/* Whoever makes a commit says when; 0: nothing that a calendar has. */
static int64_t
ms_of(struct str seconds_text)
{
    int64_t seconds;

    return str_to_i64(seconds_text, &seconds) && seconds >= 0 && seconds <= SECONDS_MAX
               ? seconds * 1000
               : 0;
}

/* The files of a commit; `hash` gets the next one, or stays empty at the end. */
static struct json *
read_files(struct reader *r, struct str *hash)
{
    struct json *files = json_array(), *one;
    struct str token, path;
    const char *type;

    *hash = (struct str){0};
    while (next(r, &token)) {
        token = str_trim(token);
        if (is_hash(token)) {
            *hash = token;
            break;
        }
        type = edit_type(token);
        if (token.len == 0 || type == NULL)
            continue;
        if (!next(r, &path))
            break;
        if (path.len == 0 || r->paths++ >= CHANGES_PATHS_MAX)
            continue;
        one = json_object();
        json_set(one, "path", json_str(path));
        json_set(one, "editType", json_text(type));
        json_append(files, one);
    }
    return files;
}

struct json *
changes_parse(struct str log)
{
    struct reader r = {.rest = log, .commits = json_array()};
    struct str hash = {0}, author, address, time_s, comment, title, body;

    if (!next(&r, &hash))
        return r.commits;
    hash = str_trim(hash);
    while (is_hash(hash) && json_size(r.commits) < CHANGES_MAX) {
        struct json *one;
        struct str commit = hash;
        if (!next(&r, &author) || !next(&r, &address) || !next(&r, &time_s) || !next(&r, &comment))
            break;
        body = comment;
        if (!str_split(&body, '\n', &title))
            title = (struct str){0};
        one = json_object();
        json_set(one, "commitId", json_str(commit));
        json_set(one, "author", json_str(author));
        json_set(one, "authorEmail", json_str(address));
        json_set(one, "timestampMs", json_int(ms_of(time_s)));
        json_set(one, "msg", json_str(str_slice(str_trim(title), 0, 1000)));
        json_set(one, "comment", json_str(str_slice(comment, 0, COMMENT_MAX)));
        json_set(one, "files", read_files(&r, &hash));
        json_append(r.commits, one);
    }
    return r.commits;
}

/* ---- asked once, and kept ---- */

/* "<from> <to>": those that were asked for before are not asked for again. */
static char *
kept_path(const struct run *run)
{
    return run->config->state_dir == NULL ? NULL
                                          : text_format("%s/changes.json", run->config->state_dir);
}

static struct json *
read_kept(const struct run *run)
{
    cleanup_free char *path = kept_path(run);
    cleanup(strbuf_done) struct strbuf text = {0};
    struct json *j = NULL;
    struct err err;

    if (path != NULL && file_exists(path) && file_read(path, KEPT_MAX, &text, NULL))
        j = json_parse(strbuf_str(&text), &err);
    if (json_type(j) == JSON_OBJECT)
        return j;
    json_unref(j);
    return json_object();
}

static void
keep(struct run *run)
{
    cleanup_free char *path = kept_path(run), *text = NULL;
    struct err err;

    if (path == NULL)
        return;
    text = json_format(run->changes);
    /* Not in the build's log: a build that is taken up does not do this again, and its lines are counted. */
    if (!file_write_atomic(path, str_of(text), 0600, &err))
        log_warn("build.changes", "job=%s build=%lld error=%s", run->config->job_name,
                 (long long)run->config->number, log_quote(err.message));
}

static const struct json *
nothing(struct run *run)
{
    if (run->changes == NULL)
        run->changes = read_kept(run);
    if (json_get(run->changes, "") == NULL)
        json_set(run->changes, "", json_array());
    return json_get(run->changes, "");
}

/* False is kept for what git does not know: that is said each time, also by a build that is taken up. */
static const struct json *
told(struct run *run, const struct json *commits, const char *from)
{
    if (json_type(commits) == JSON_ARRAY)
        return commits;
    run_logf(run, "WARNING: what has changed is not known: commit %s is no longer there (a force push?)",
             from);
    return nothing(run);
}

const struct json *
changes_between(struct run *run, const char *from, const char *to)
{
    cleanup_free char *key = text_format("%s %s", from, to);
    cleanup(strbuf_done) struct strbuf log = {0};
    struct json *commits;
    bool is_known = true;

    if (run->changes == NULL)
        run->changes = read_kept(run);
    if (json_get(run->changes, key) != NULL)
        return told(run, json_get(run->changes, key), from);
    if (!run_fetch_begin(run))
        return nothing(run);
    if (json_get(run->changes, key) == NULL)
        is_known = strcmp(from, to) == 0 || run->config->in_place ||
                   workspace_log(run, from, to, CHANGES_MAX, &log);
    run_fetch_end(run);
    if (json_get(run->changes, key) != NULL) /* another branch asked meanwhile */
        return told(run, json_get(run->changes, key), from);
    commits = is_known ? changes_parse(strbuf_str(&log)) : json_bool(false);
    if (!is_known && run_is_due(run)) { /* what was interrupted is asked for again */
        json_unref(commits);
        return nothing(run);
    }
    json_set(run->changes, key, commits);
    keep(run);
    return told(run, commits, from);
}

static bool
is_of_change(const struct run *run)
{
    const char *const *env = run->config->change_env;

    for (; env != NULL && *env != NULL; env++)
        if (strncmp(*env, "CHANGE_ID=", 10) == 0)
            return true;
    return false;
}

/* A change is built as a merge: what its first parent (the target) does not have. */
static const struct json *
brought_by_change(struct run *run)
{
    cleanup_free char *target = text_format("%s^1", run->config->commit);

    return changes_between(run, target, run->config->commit);
}

const struct json *
changes_of_build(struct run *run)
{
    const struct runner_config *c = run->config;

    if (c->changes != NULL)
        return c->changes;
    if (c->commit == NULL)
        return nothing(run);
    if (c->previous_commit != NULL)
        return changes_between(run, c->previous_commit, c->commit);
    return is_of_change(run) ? brought_by_change(run) : nothing(run);
}

const struct json *
changes_to_judge(struct run *run)
{
    if (run->config->changes == NULL && run->config->commit != NULL && is_of_change(run))
        return brought_by_change(run);
    return changes_of_build(run);
}

/* ---- for scripts ---- */

static void
put(struct arena *a, struct value to, const char *name, struct value v)
{
    map_put_text(a, to.object->fields, name, v);
}

static struct value
text_of(struct arena *a, const struct json *from, const char *key)
{
    return value_cstr(a, json_get_cstr(from, key, ""));
}

static struct value
user_value(struct arena *a, const struct json *commit)
{
    struct value user = value_record(a, "User", text_of(a, commit, "author"));

    put(a, user, "fullName", text_of(a, commit, "author"));
    put(a, user, "displayName", text_of(a, commit, "author"));
    put(a, user, "id", text_of(a, commit, "author"));
    return user;
}

static struct value
file_value(struct arena *a, const struct json *file)
{
    struct value v = value_record(a, "Path", text_of(a, file, "path"));
    struct value type = value_record(a, "EditType", text_of(a, file, "editType"));

    put(a, type, "name", text_of(a, file, "editType"));
    put(a, v, "path", text_of(a, file, "path"));
    put(a, v, "editType", type);
    return v;
}

/* What stands in HTML for a message. */
static struct value
annotated(struct arena *a, const char *text)
{
    cleanup(strbuf_done) struct strbuf out = {0};

    for (const char *c = text; *c != '\0'; c++)
        switch (*c) {
        case '&': strbuf_add_cstr(&out, "&amp;"); break;
        case '<': strbuf_add_cstr(&out, "&lt;"); break;
        case '>': strbuf_add_cstr(&out, "&gt;"); break;
        case '"': strbuf_add_cstr(&out, "&quot;"); break;
        default: strbuf_add_char(&out, *c);
        }
    return value_cstr(a, strbuf_cstr(&out));
}

static struct value
date_value_of(struct arena *a, int64_t ms)
{
    time_t s = (time_t)(ms / 1000);
    char out[40];
    struct tm tm;

    gmtime_r(&s, &tm);
    strftime(out, sizeof(out), "%Y-%m-%d %H:%M:%S +0000", &tm);
    return value_cstr(a, out);
}

static struct value
commit_value(struct arena *a, const struct json *commit)
{
    struct value v = value_record(a, "GitChangeSet", text_of(a, commit, "commitId"));
    struct value files = value_list(a), paths = value_list(a);
    const struct json *list = json_get(commit, "files");
    const int64_t ms = json_get_i64(commit, "timestampMs", 0);

    for (size_t i = 0; i < json_size(list); i++) {
        list_add(a, files.list, file_value(a, json_at(list, i)));
        list_add(a, paths.list, text_of(a, json_at(list, i), "path"));
    }
    put(a, v, "commitId", text_of(a, commit, "commitId"));
    put(a, v, "id", text_of(a, commit, "commitId"));
    put(a, v, "revision", text_of(a, commit, "commitId"));
    put(a, v, "author", user_value(a, commit));
    put(a, v, "authorName", text_of(a, commit, "author"));
    put(a, v, "authorEmail", text_of(a, commit, "authorEmail"));
    put(a, v, "msg", text_of(a, commit, "msg"));
    put(a, v, "title", text_of(a, commit, "msg"));
    put(a, v, "comment", text_of(a, commit, "comment"));
    put(a, v, "msgAnnotated", annotated(a, json_get_cstr(commit, "msg", "")));
    put(a, v, "commentAnnotated", annotated(a, json_get_cstr(commit, "comment", "")));
    put(a, v, "timestamp", value_long(ms));
    put(a, v, "date", date_value_of(a, ms));
    put(a, v, "affectedFiles", files);
    put(a, v, "affectedPaths", paths);
    put(a, v, "paths", files);
    return v;
}

struct value
changes_value(struct run *run, const struct json *commits)
{
    struct arena *a = &run->arena;
    struct value sets = value_list(a), items = value_list(a), set;

    if (json_size(commits) == 0)
        return sets;
    for (size_t i = 0; i < json_size(commits); i++)
        list_add(a, items.list, commit_value(a, json_at(commits, i)));
    set = value_record(a, "GitChangeSetList", value_text(STR("changes")));
    put(a, set, "items", items);
    put(a, set, "logs", items);
    put(a, set, "kind", value_text(STR("git")));
    put(a, set, "emptySet", value_bool(false));
    put(a, set, "browser", value_null());
    list_add(a, sets.list, set);
    return sets;
}
