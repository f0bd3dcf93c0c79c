/* SPDX-License-Identifier: MIT */
/* build_setup.h - a build without a server, for tests: build_init(), build_run() or run_steps(). */
#pragma once
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include "base/clock.h"
#include "base/json.h"
#include "io/file.h"
#include "io/process.h"
#include "pipeline/run/run.h"
#include "check.h"

/* A build in a directory of its own; what it logged and reported stays for the checks. */
struct build {
    char *directory;
    struct runner_config config;
    struct runner_outcome outcome;
    struct strbuf log, stages;
    const char *aborted_by; /* a file, when it is there; NULL: none */
    struct json *history;
};

static inline void
on_log(void *ctx, struct str text)
{
    strbuf_add(&((struct build *)ctx)->log, text);
}

static inline void
on_stage(void *ctx, const struct stage_report *r)
{
    if (r->state != STAGE_RUNNING)
        strbuf_addf(&((struct build *)ctx)->stages, "%*s" STR_FMT "=%s%s%s\n", (int)r->depth * 2,
                    "", STR_ARG(r->name), stage_state_name(r->state), r->reason != NULL ? " " : "",
                    r->reason != NULL ? r->reason : "");
}

static inline enum abort_request
abort_request(void *ctx)
{
    const struct build *b = ctx;
    cleanup_free char *path = b->aborted_by == NULL ? NULL : text_format("%s/%s", b->directory, b->aborted_by);

    return path != NULL && file_exists(path) ? ABORT_ASKED : ABORT_NO;
}

static inline void *
run_thread(void *arg)
{
    struct build *b = arg;

    runner_run(&b->config, &b->outcome);
    return NULL;
}

static inline void
build_init(struct build *b)
{
    static char template[64];

    *b = (struct build){0};
    snprintf(template, sizeof(template), "/tmp/naru-runner-XXXXXX");
    CHECK(mkdtemp(template) != NULL);
    b->directory = text_dup(template);
    b->config = (struct runner_config){
        .jenkinsfile_name = "Jenkinsfile",
        .workspace = text_format("%s/ws", b->directory),
        .in_place = true,
        .artifact_dir = text_format("%s/keep/artifacts", b->directory),
        .secrets_dir = text_format("%s/secrets", b->directory),
        .cookie = text_format("cookie%d", (int)getpid()),
        .number = 7,
        .job_name = "web/main",
        .build_url = "http://localhost:4566/naru/builds/web/7/",
        .job_url = "http://localhost:4566/naru/builds/web/",
        .server_url = "http://localhost:4566/",
        .home = b->directory, /* is there: groups of homes that are gone are swept by any naru */
        .previous_result = "SUCCESS",
        .branch = "main",
        .is_primary_branch = true,
        .on_log = on_log,
        .on_stage = on_stage,
        .abort_request = abort_request,
    };
    b->config.ctx = b;
    b->history = json_parse(STR("[{\"number\":6,\"result\":\"SUCCESS\",\"tookMs\":1500,"
                                "\"startedAtMs\":1700000000000,\"cause\":\"TimerTrigger\"},"
                                "{\"number\":4,\"result\":\"FAILURE\",\"displayName\":\"four\","
                                "\"description\":\"the fourth\"}]"),
                            NULL);
    b->config.history = b->history;
    CHECK(file_make_dirs(b->config.workspace, 0755, NULL));
}

static inline void
build_done(struct build *b)
{
    free((void *)(uintptr_t)b->config.workspace);
    free((void *)(uintptr_t)b->config.artifact_dir);
    free((void *)(uintptr_t)b->config.secrets_dir);
    free((void *)(uintptr_t)b->config.cookie);
    json_unref(b->history);
    free(b->directory);
    strbuf_done(&b->log);
    strbuf_done(&b->stages);
}

static inline void
put_file(const struct build *b, const char *name, const char *text)
{
    cleanup_free char *path = text_format("%s/%s", b->directory, name);

    CHECK(file_write_atomic(path, str_of(text), 0600, NULL));
}

/* One life of a runner. */
static inline void
build_live(struct build *b)
{
    pthread_attr_t attr;
    pthread_t thread;

    pthread_attr_init(&attr);
    pthread_attr_setstacksize(&attr, RUNNER_STACK_SIZE);
    CHECK(pthread_create(&thread, &attr, run_thread, b) == 0);
    pthread_join(thread, NULL);
    pthread_attr_destroy(&attr);
}

static inline void
build_run(struct build *b, const char *jenkinsfile)
{
    put_file(b, "ws/Jenkinsfile", jenkinsfile);
    build_live(b);
    CHECK(file_remove_tree(b->directory, NULL));
}

/* As build_run(), with the result that is expected; gives the log. */
static inline const char *
build_expect(struct build *b, const char *jenkinsfile, enum build_result want)
{
    build_run(b, jenkinsfile);
    if (b->outcome.result != want)
        fprintf(stderr, "%s\nreason: %s\n", strbuf_cstr(&b->log), b->outcome.reason);
    CHECK_TEXT(build_result_name(b->outcome.result), build_result_name(want));
    return strbuf_cstr(&b->log);
}

/* A Jenkinsfile whose build needs nothing set before. */
static inline const char *
run_file(struct build *b, const char *jenkinsfile, enum build_result want)
{
    build_init(b);
    return build_expect(b, jenkinsfile, want);
}

/* The steps of one stage, in a build that is set up; and in a new one. */
static inline const char *
steps_expect(struct build *b, const char *steps, enum build_result want)
{
    cleanup_free char *text = text_format(
        "pipeline {\n agent any\n stages {\n  stage('One') {\n   steps {\n%s\n}}}}", steps);

    return build_expect(b, text, want);
}

static inline const char *
run_steps(struct build *b, const char *steps, enum build_result want)
{
    build_init(b);
    return steps_expect(b, steps, want);
}

static inline bool
has(const char *log, const char *line)
{
    cleanup_free char *full = text_format("\n%s\n", line);
    cleanup_free char *text = text_format("\n%s", log);

    return strstr(text, full) != NULL;
}
