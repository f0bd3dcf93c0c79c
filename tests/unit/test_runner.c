/* SPDX-License-Identifier: MIT */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include "base/clock.h"
#include "io/file.h"
#include "io/process.h"
#include "pipeline/runner.h"
#include "check.h"

/* A build in a directory of its own; what it logged and reported stays for the checks. */
struct build {
    char *directory;
    struct runner_config config;
    struct runner_outcome outcome;
    struct strbuf log, stages;
    int64_t abort_at_ms;
};

static void
on_log(void *ctx, struct str text)
{
    strbuf_add(&((struct build *)ctx)->log, text);
}

static void
on_stage(void *ctx, const struct stage_report *r)
{
    if (r->state != STAGE_RUNNING)
        strbuf_addf(&((struct build *)ctx)->stages, "%*s" STR_FMT "=%s%s%s\n", (int)r->depth * 2, "",
                    STR_ARG(r->name), stage_state_name(r->state), r->reason != NULL ? " " : "",
                    r->reason != NULL ? r->reason : "");
}

static enum abort_request
abort_request(void *ctx)
{
    const struct build *b = ctx;

    return b->abort_at_ms != 0 && clock_monotonic_ms() >= b->abort_at_ms ? ABORT_ASKED : ABORT_NO;
}

static void *
run_thread(void *arg)
{
    struct build *b = arg;

    runner_run(&b->config, &b->outcome);
    return NULL;
}

static void
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
        .credentials_path = text_format("%s/credentials.json", b->directory),
        .cookie = text_format("cookie%d", (int)getpid()),
        .number = 7,
        .job_name = "web/main",
        .build_url = "http://localhost:4566/naru/builds/web/7/",
        .branch = "main",
        .is_primary_branch = true,
        .on_log = on_log,
        .on_stage = on_stage,
        .abort_request = abort_request,
    };
    b->config.ctx = b;
    CHECK(file_make_dirs(b->config.workspace, 0755, NULL));
}

static void
build_done(struct build *b)
{
    free((void *)(uintptr_t)b->config.workspace);
    free((void *)(uintptr_t)b->config.artifact_dir);
    free((void *)(uintptr_t)b->config.credentials_path);
    free((void *)(uintptr_t)b->config.cookie);
    free(b->directory);
    strbuf_done(&b->log);
    strbuf_done(&b->stages);
}

static void
put_file(const struct build *b, const char *name, const char *text)
{
    cleanup_free char *path = text_format("%s/%s", b->directory, name);

    CHECK(file_write_atomic(path, str_of(text), 0600, NULL));
}

static void
build_run(struct build *b, const char *jenkinsfile)
{
    pthread_attr_t attr;
    pthread_t thread;

    put_file(b, "ws/Jenkinsfile", jenkinsfile);
    pthread_attr_init(&attr);
    pthread_attr_setstacksize(&attr, RUNNER_STACK_SIZE);
    CHECK(pthread_create(&thread, &attr, run_thread, b) == 0);
    pthread_join(thread, NULL);
    pthread_attr_destroy(&attr);
    CHECK(file_remove_tree(b->directory, NULL));
}

/* The steps of one stage; gives the log. */
static const char *
run_steps(struct build *b, const char *steps, enum build_result want)
{
    cleanup_free char *text = text_format(
        "pipeline {\n agent any\n stages {\n  stage('One') {\n   steps {\n%s\n}}}}", steps);

    build_init(b);
    build_run(b, text);
    if (b->outcome.result != want)
        fprintf(stderr, "%s\nreason: %s\n", strbuf_cstr(&b->log), b->outcome.reason);
    CHECK_TEXT(build_result_name(b->outcome.result), build_result_name(want));
    return strbuf_cstr(&b->log);
}

static bool
has(const char *log, const char *line)
{
    cleanup_free char *full = text_format("\n%s\n", line);
    cleanup_free char *text = text_format("\n%s", log);

    return strstr(text, full) != NULL;
}

static const char sample[] =
    "pipeline {\n"
    "    agent any\n"
    "    environment {\n"
    "        REGION = 'ap-northeast-2'\n"
    "        REGISTRY = \"${HOST}/my-app\"\n"
    "        HOST = 'localhost:4566'\n"
    "        IMAGE = \"${REGISTRY}:${BUILD_NUMBER}\"\n"
    "    }\n"
    "    options { timeout(time: 10, unit: 'MINUTES') }\n"
    "    stages {\n"
    "        stage('Build') {\n"
    "            steps {\n"
    "                sh '''\n"
    "                    echo \"image $IMAGE\" | cat\n"
    "                    echo joined \\\n"
    "                      here\n"
    "                '''\n"
    "            }\n"
    "        }\n"
    "        stage('Push') { steps { sh \"echo pushing ${IMAGE} \\$REGION\" } }\n"
    "        stage('Deploy') { steps { sh 'echo deploying; exit 3' } }\n"
    "        stage('Never') { steps { sh 'echo never' } }\n"
    "    }\n"
    "    post {\n"
    "        cleanup { echo 'last' }\n"
    "        success { echo 'good' }\n"
    "        failure { sh 'echo rollback of $REGION' }\n"
    "        always { echo \"result ${currentBuild.currentResult}\" }\n"
    "    }\n"
    "}\n";

TEST(a_declarative_pipeline_runs_its_stages_and_its_post)
{
    cleanup(build_done) struct build b = {0};

    build_init(&b);
    build_run(&b, sample);
    const char *log = strbuf_cstr(&b.log);
    CHECK_TEXT(build_result_name(b.outcome.result), "FAILURE");
    CHECK_TEXT(b.outcome.reason, "script returned exit code 3");
    CHECK_TEXT(strbuf_cstr(&b.stages),
               "Build=SUCCESS\nPush=SUCCESS\nDeploy=FAILED\nNever=SKIPPED FAILURE\n");
    CHECK(has(log, "image localhost:4566/my-app:7"));
    CHECK(has(log, "joined here"));
    CHECK(has(log, "pushing localhost:4566/my-app:7 ap-northeast-2"));
    CHECK(has(log, "result FAILURE"));
    CHECK(has(log, "rollback of ap-northeast-2"));
    CHECK(!has(log, "good"));
    CHECK(!has(log, "never"));
    CHECK(strstr(log, "result FAILURE") < strstr(log, "rollback of ap"));
    CHECK(strstr(log, "rollback of ap") < strstr(log, "\nlast\n"));
}

TEST(sh_follows_its_manual)
{
    cleanup(build_done) struct build b = {0};
    const char *log = run_steps(
        &b,
        "sh 'false | true; echo piped'\n"
        "script {\n"
        "  def v = sh(script: 'echo value; echo noise >&2', returnStdout: true)\n"
        "  echo \"[${v.trim()}] ${v.size()}\"\n"
        "  echo 'code ' + sh(script: 'exit 42', returnStatus: true)\n"
        "  echo 'killed ' + sh(script: 'kill -TERM $$', returnStatus: true)\n"
        "}\n"
        "sh '''#!/bin/bash\n[[ a == a ]] && echo direct\nfalse\necho goes on'''\n"
        "sh ''\n"
        "sh 'echo stage $STAGE_NAME in $(basename $WORKSPACE); cat'\n",
        RESULT_SUCCESS);
    CHECK(has(log, "piped"));
    CHECK(has(log, "[value] 6"));
    CHECK(has(log, "noise"));
    CHECK(!has(log, "value"));
    CHECK(has(log, "code 42"));
    CHECK(has(log, "killed 143"));
    CHECK(has(log, "direct"));
    CHECK(has(log, "goes on"));
    CHECK(has(log, "stage One in ws"));
    CHECK(has(log, "+ echo piped"));
}

TEST(the_first_failing_command_ends_the_script)
{
    cleanup(build_done) struct build b = {0};
    const char *log = run_steps(&b, "sh '''\nfalse\necho after\n'''", RESULT_FAILURE);

    CHECK(!has(log, "after"));
    CHECK(has(log, "ERROR: script returned exit code 1"));
    CHECK(has(log, "Finished: FAILURE"));
}
