/* SPDX-License-Identifier: MIT */
/* pipeline_store.h - the pipelines and builds in memory, as they stand on disk.
 * <data>/builds/<pipeline>/pipeline.json describes a pipeline; its builds lie beside it.
 * Not thread safe: pipeline.c holds its lock around every call. */
#pragma once
#include "pipeline/build.h"

#define PIPELINES_MAX 1000u
#define BUILDS_KEPT 200u /* of a pipeline; older ones go, the last good one of a branch stays */

struct pipeline {
    char *name, *url, *github, *jenkinsfile;
    char *forge; /* whose webhooks came last, if they were not GitHub's: "gitlab"; or NULL */
    bool is_local;         /* url is naru's own bare repository */
    struct build **builds; /* by number */
    size_t build_count, build_capacity;
    int64_t next_number;
    struct json *forks; /* {"build": "target", "trusted": ["ann"]} (forks.h), or NULL */
    struct json *properties; /* by branch (job_properties.h), or NULL */
};

struct pipeline_store {
    char *data_dir;
    struct pipeline **pipelines;
    size_t count;
};

bool pipeline_store_open(struct pipeline_store *s, const char *data_dir,
                         struct err *err) MUST_CHECK;
void pipeline_store_done(struct pipeline_store *s);
struct pipeline *pipeline_store_find(const struct pipeline_store *s, const char *name);
/* Adds a pipeline or changes where it comes from, and its policy for forks; NULL: that stays.  On failure all
 * is as it was. */
bool pipeline_store_put(struct pipeline_store *s, const char *name, const char *url, bool is_local,
                        const char *github, const struct json *forks, struct pipeline **out,
                        struct err *err) MUST_CHECK;
bool pipeline_store_save(const struct pipeline_store *s, const struct pipeline *p,
                         struct err *err) MUST_CHECK;
struct json *pipeline_to_json(const struct pipeline *p);

struct build *pipeline_add_build(struct pipeline *p); /* with the next number, not saved */
void pipeline_drop_last(struct pipeline *p);          /* takes that back */
struct build *pipeline_newest(const struct pipeline *p, const char *branch); /* NULL if none */
/* Does a build of the branch, of the number `since` (0: none) or after it, know of another commit? */
bool pipeline_has_news(const struct pipeline *p, const char *branch, const char *commit, int64_t since);
/* The last completed build of the branch before `b`; superseded ones do not count. */
const struct build *pipeline_previous(const struct pipeline *p, const struct build *b,
                                      bool only_good);
struct build *pipeline_find_build(const struct pipeline_store *s, const char *pipeline,
                                  int64_t number); /* NULL if there is none */
/* What is given up goes into `.gone` of the builds (io/tree.h). */
void pipeline_prune(struct pipeline_store *s, struct pipeline *p);
/* The build that ended first of those that no `buildDiscarder` keeps and nobody may still look at: not the
 * newest of its branch, nor its last good one; NULL: none. */
const struct build *pipeline_oldest_build(const struct pipeline_store *s, struct pipeline **of_out);
bool pipeline_remove_build(struct pipeline_store *s, struct pipeline *p, const struct build *b);
