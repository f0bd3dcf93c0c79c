/* SPDX-License-Identifier: MIT */
#include "pipeline/pipeline_store.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include "base/clock.h"
#include "base/log.h"
#include "io/file.h"
#include "io/tree.h"

#define PIPELINE_FILE_MAX ((size_t)32 << 20) /* every branch has a part in it */
#define ASKED_FOR_MS ((int64_t)10 * 60 * 1000)

static void
pipeline_free(struct pipeline *p)
{
    for (size_t i = 0; i < p->build_count; i++)
        build_free(p->builds[i]);
    free(p->builds);
    free(p->name);
    free(p->url);
    free(p->github);
    free(p->forge);
    free(p->jenkinsfile);
    json_unref(p->properties);
    json_unref(p->forks);
    free(p);
}

static void
append(struct pipeline *p, struct build *b)
{
    if (p->build_count == p->build_capacity) {
        p->build_capacity = p->build_capacity == 0 ? 16 : p->build_capacity * 2;
        p->builds = mem_grow(p->builds, p->build_capacity, sizeof(struct build *));
    }
    p->builds[p->build_count++] = b;
}

static int
by_number(const void *a, const void *b)
{
    const struct build *x = *(struct build *const *)a, *y = *(struct build *const *)b;

    return x->number < y->number ? -1 : x->number > y->number;
}

static void
load_builds(struct pipeline_store *s, struct pipeline *p, const char *directory)
{
    DIR *d = opendir(directory);
    struct dirent *e;

    p->next_number = 1;
    while (d != NULL && (e = readdir(d)) != NULL) {
        struct build *b;
        int64_t number;
        struct err err;
        if (!str_to_i64(str_of(e->d_name), &number) || number <= 0)
            continue;
        /* The number is taken even if its record is not readable. */
        if (number >= p->next_number)
            p->next_number = number + 1;
        b = build_load(s->data_dir, p->name, number, &err);
        if (b != NULL)
            append(p, b);
        else
            log_warn("pipeline.record", "error=%s", log_quote(err.message));
    }
    if (d != NULL)
        closedir(d);
    if (p->build_count > 0)
        qsort((void *)p->builds, p->build_count, sizeof(struct build *), by_number);
}

static struct pipeline *
load(struct pipeline_store *s, const char *name, struct err *err)
{
    cleanup_free char *directory = text_format("%s/builds/%s", s->data_dir, name);
    cleanup_free char *path = text_format("%s/pipeline.json", directory);
    cleanup(strbuf_done) struct strbuf text = {0};
    cleanup_json struct json *j = NULL;
    struct pipeline *p;

    if (!file_read(path, PIPELINE_FILE_MAX, &text, err) || (j = json_parse(strbuf_str(&text), err)) == NULL) {
        err_context(err, "%s", path);
        return NULL;
    }
    if (json_get_cstr(j, "url", "")[0] == '\0') {
        err_set(err, ERR_INTERNAL, "%s: no url", path);
        return NULL;
    }
    p = mem_new(sizeof(*p));
    p->name = text_dup(name);
    p->url = text_dup(json_get_cstr(j, "url", ""));
    p->github = text_dup(json_get_cstr(j, "github", NULL));
    p->forge = text_dup(json_get_cstr(j, "forge", NULL));
    p->jenkinsfile = text_dup(json_get_cstr(j, "jenkinsfile", "Jenkinsfile"));
    p->is_local = json_get_bool(j, "local", false);
    if (json_get(j, "forks") != NULL)
        p->forks = json_copy(json_get(j, "forks"));
    if (json_get(j, "branches") != NULL)
        p->properties = json_copy(json_get(j, "branches"));
    load_builds(s, p, directory);
    return p;
}

static void
add(struct pipeline_store *s, struct pipeline *p)
{
    s->pipelines = mem_grow(s->pipelines, s->count + 1, sizeof(struct pipeline *));
    s->pipelines[s->count++] = p;
}

bool
pipeline_store_open(struct pipeline_store *s, const char *data_dir, struct err *err)
{
    cleanup_free char *directory = text_format("%s/builds", data_dir);
    struct dirent *e;
    DIR *d;

    *s = (struct pipeline_store){.data_dir = text_dup(data_dir)};
    d = opendir(directory);
    if (d == NULL)
        return errno == ENOENT || err_errno(err, "cannot open '%s'", directory);
    while ((e = readdir(d)) != NULL && s->count < PIPELINES_MAX) {
        cleanup_free char *path = text_format("%s/%s/pipeline.json", directory, e->d_name);
        struct pipeline *p;
        struct err why;
        if (!build_name_is_valid(str_of(e->d_name)) || !file_exists(path))
            continue;
        p = load(s, e->d_name, &why);
        if (p != NULL)
            add(s, p);
        else
            log_error("pipeline.load", "error=%s", log_quote(why.message));
    }
    closedir(d);
    return true;
}

void
pipeline_store_done(struct pipeline_store *s)
{
    for (size_t i = 0; i < s->count; i++)
        pipeline_free(s->pipelines[i]);
    free(s->pipelines);
    free(s->data_dir);
}

struct pipeline *
pipeline_store_find(const struct pipeline_store *s, const char *name)
{
    for (size_t i = 0; i < s->count; i++)
        if (strcmp(s->pipelines[i]->name, name) == 0)
            return s->pipelines[i];
    return NULL;
}

struct json *
pipeline_to_json(const struct pipeline *p)
{
    struct json *j = json_object();
    const struct build *last = p->build_count > 0 ? p->builds[p->build_count - 1] : NULL;

    json_set(j, "name", json_text(p->name));
    json_set(j, "url", json_text(p->url));
    json_set(j, "local", json_bool(p->is_local));
    if (p->github != NULL)
        json_set(j, "github", json_text(p->github));
    if (p->forge != NULL)
        json_set(j, "forge", json_text(p->forge));
    if (p->forks != NULL)
        json_set(j, "forks", json_copy(p->forks));
    json_set(j, "jenkinsfile", json_text(p->jenkinsfile));
    if (p->properties != NULL)
        json_set(j, "branches", json_copy(p->properties));
    if (last != NULL)
        json_set(j, "lastBuild", build_to_public_json(last, false));
    return j;
}

bool
pipeline_store_save(const struct pipeline_store *s, const struct pipeline *p, struct err *err)
{
    cleanup_free char *directory = text_format("%s/builds/%s", s->data_dir, p->name);
    cleanup_free char *path = text_format("%s/pipeline.json", directory);
    cleanup_json struct json *j = pipeline_to_json(p);
    cleanup_free char *text = NULL;

    json_delete(j, "lastBuild");
    text = json_format_pretty(j);
    return file_make_dirs(directory, 0755, err) && file_write_atomic(path, str_of(text), 0640, err);
}

static void
put_back(struct pipeline *p, char *github, struct json *forks)
{
    free(p->github);
    json_unref(p->forks);
    p->github = github;
    p->forks = forks;
}

bool
pipeline_store_put(struct pipeline_store *s, const char *name, const char *url, bool is_local,
                   const char *github, const struct json *forks, struct pipeline **out,
                   struct err *err)
{
    struct pipeline *p = pipeline_store_find(s, name);
    bool is_new = p == NULL;
    char *github_before;
    struct json *forks_before;

    if (is_new && s->count >= PIPELINES_MAX)
        return err_set(err, ERR_LIMIT_EXCEEDED, "there are %u pipelines already", PIPELINES_MAX);
    if (!is_new && strcmp(p->url, url) != 0)
        return err_set(err, ERR_CONFLICT, "pipeline '%s' exists with the repository '%s'", name,
                       p->url);
    if (is_new) {
        p = mem_new(sizeof(*p));
        p->name = text_dup(name);
        p->url = text_dup(url);
        p->is_local = is_local;
        p->jenkinsfile = text_dup("Jenkinsfile");
        p->next_number = 1;
    }
    github_before = p->github;
    forks_before = p->forks;
    p->github = text_dup(github != NULL ? github : github_before);
    p->forks = forks != NULL ? json_copy(forks) : json_ref(forks_before);
    if (!pipeline_store_save(s, p, err)) {
        put_back(p, github_before, forks_before);
        if (is_new)
            pipeline_free(p);
        return false;
    }
    free(github_before);
    json_unref(forks_before);
    if (is_new)
        add(s, p);
    *out = p;
    return true;
}

struct build *
pipeline_add_build(struct pipeline *p)
{
    struct build *b = build_new(p->name, p->next_number++);

    append(p, b);
    return b;
}

void
pipeline_drop_last(struct pipeline *p)
{
    build_free(p->builds[--p->build_count]);
}

struct build *
pipeline_newest(const struct pipeline *p, const char *branch)
{
    for (size_t i = p->build_count; i > 0; i--)
        if (strcmp(p->builds[i - 1]->branch, branch) == 0)
            return p->builds[i - 1];
    return NULL;
}

/* A replay knows nothing new. */
bool
pipeline_has_news(const struct pipeline *p, const char *branch, const char *commit, int64_t since)
{
    for (size_t i = p->build_count; since > 0 && i > 0 && p->builds[i - 1]->number >= since; i--) {
        const struct build *b = p->builds[i - 1];
        if (b->replay_of == 0 && strcmp(b->branch, branch) == 0)
            return strcmp(b->head != NULL ? b->head : b->commit, commit) != 0;
    }
    return false;
}

const struct build *
pipeline_previous(const struct pipeline *p, const struct build *b, bool only_good)
{
    for (size_t i = p->build_count; i > 0; i--) {
        const struct build *o = p->builds[i - 1];
        if (o->number < b->number && o->state == BUILD_ENDED && o->superseded_by == 0 &&
            strcmp(o->branch, b->branch) == 0 && (!only_good || o->result == RESULT_SUCCESS))
            return o;
    }
    return NULL;
}

/* Is it the last good build of its branch? */
static bool
is_last_good(const struct pipeline *p, const struct build *b)
{
    for (size_t i = p->build_count; i > 0; i--) {
        const struct build *o = p->builds[i - 1];
        if (o->state == BUILD_ENDED && o->result == RESULT_SUCCESS &&
            strcmp(o->branch, b->branch) == 0)
            return o == b;
    }
    return false;
}

/* How many builds of its branch have ended since. */
static int64_t
rank_of(const struct pipeline *p, const struct build *b)
{
    int64_t rank = 0;

    for (size_t i = p->build_count; i > 0 && p->builds[i - 1] != b; i--)
        rank += p->builds[i - 1]->state == BUILD_ENDED &&
                strcmp(p->builds[i - 1]->branch, b->branch) == 0;
    return rank;
}

/* Does buildDiscarder give it (or its artifacts) up? */
static bool
is_discarded(const struct pipeline *p, const struct build *b, bool artifacts)
{
    const struct json *of = json_get(p->properties, b->branch);
    int64_t count = json_get_i64(of, artifacts ? "artifactNumToKeep" : "numToKeep", -1);
    int64_t days = json_get_i64(of, artifacts ? "artifactDaysToKeep" : "daysToKeep", -1);

    return (count >= 0 && rank_of(p, b) >= count) ||
           (days >= 0 && b->ended_ms + days * 86400000 < clock_wall_ms());
}

/* In one step: of a build there is its whole folder, or nothing. */
static bool
let_go(const struct pipeline_store *s, const struct build *b, const char *name)
{
    cleanup_free char *root = text_format("%s/builds", s->data_dir);
    cleanup_free char *below = text_format("%s/%lld%s", b->pipeline, (long long)b->number, name);
    struct err err;

    if (tree_let_go(root, below, &err))
        return true;
    log_warn("pipeline.prune", "error=%s", log_quote(err.message));
    return false;
}

static void
let_artifacts_go(const struct pipeline_store *s, struct build *b)
{
    cleanup_free char *directory = build_directory(s->data_dir, b->pipeline, b->number);
    cleanup_free char *path = text_format("%s/artifacts", directory);

    if (file_exists(path) && let_go(s, b, "/artifacts"))
        b->disk_bytes = -1;
}

struct build *
pipeline_find_build(const struct pipeline_store *s, const char *pipeline, int64_t number)
{
    struct pipeline *p = pipeline_store_find(s, pipeline);

    for (size_t i = 0; p != NULL && i < p->build_count; i++)
        if (p->builds[i]->number == number)
            return p->builds[i];
    return NULL;
}

bool
pipeline_remove_build(struct pipeline_store *s, struct pipeline *p, const struct build *b)
{
    size_t i = 0;

    while (p->builds[i] != b)
        i++;
    if (!let_go(s, b, ""))
        return false;
    memmove((void *)&p->builds[i], (void *)&p->builds[i + 1],
            (p->build_count - i - 1) * sizeof(struct build *));
    p->build_count--;
    build_free((struct build *)(uintptr_t)b);
    return true;
}

void
pipeline_prune(struct pipeline_store *s, struct pipeline *p)
{
    for (size_t i = 0; i < p->build_count;) {
        struct build *b = p->builds[i];
        bool is_old = p->build_count > BUILDS_KEPT || is_discarded(p, b, false);
        /* What was just built, and what may still be shown as running, stays. */
        if (b->state != BUILD_ENDED || i + 1 == p->build_count || is_last_good(p, b) || !is_old) {
            if (b->state == BUILD_ENDED && is_discarded(p, b, true))
                let_artifacts_go(s, b);
            i++;
        } else if (!pipeline_remove_build(s, p, b)) {
            return;
        }
    }
}

/* Whoever started it may not have heard yet that it is over. */
static bool
may_be_asked_for(const struct build *b)
{
    return b->upstream != NULL && b->ended_ms + ASKED_FOR_MS > clock_wall_ms();
}

static bool
has_discarder(const struct pipeline *p, const struct build *b)
{
    const struct json *of = json_get(p->properties, b->branch);

    return json_get_i64(of, "numToKeep", -1) >= 0 || json_get_i64(of, "daysToKeep", -1) >= 0;
}

const struct build *
pipeline_oldest_build(const struct pipeline_store *s, struct pipeline **of_out)
{
    const struct build *best = NULL;

    for (size_t k = 0; k < s->count; k++)
        for (size_t i = 0; i < s->pipelines[k]->build_count; i++) {
            const struct pipeline *p = s->pipelines[k];
            const struct build *b = p->builds[i];
            if (b->state != BUILD_ENDED || (best != NULL && b->ended_ms >= best->ended_ms) ||
                has_discarder(p, b) || may_be_asked_for(b) || is_last_good(p, b) ||
                pipeline_newest(p, b->branch) == b)
                continue;
            best = b;
            *of_out = s->pipelines[k];
        }
    return best;
}
