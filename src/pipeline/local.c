/* SPDX-License-Identifier: MIT */
/* local.c - `naru build`: a directory's Jenkinsfile in the foreground. */
#include <errno.h>
#include <pthread.h>
#include <string.h>
#include "base/random.h"
#include "io/file.h"
#include "io/cgroup.h"
#include "io/process.h"
#include "pipeline/forks.h"
#include "pipeline/steps/docker.h"
#include "pipeline/run/leftovers.h"
#include "pipeline/pipeline.h"
#include "pipeline/pipeline_store.h"

struct local {
    struct runner_config config;
    struct runner_outcome *out;
};

static void *
run_local(void *arg)
{
    struct local *l = arg;

    runner_run(&l->config, l->out);
    return NULL;
}

/* The branch that is checked out; NULL outside of a repository or on none. */
static char *
branch_of(const char *directory)
{
    const char *const argv[] = {"git", "symbolic-ref", "--quiet", "--short", "HEAD", NULL};
    const struct process_spec spec = {.argv = argv, .directory = directory, .timeout_ms = 10000};
    struct process_result result = {0};
    char *branch = NULL;

    if (!process_run(&spec, &result, NULL))
        return NULL;
    if (result.exit_code == 0)
        branch = str_dup(str_trim(strbuf_str(&result.output)));
    process_result_done(&result);
    return branch;
}

static bool
run_on_a_thread(struct local *l, struct err *err)
{
    pthread_attr_t attr;
    pthread_t thread;
    int failure;

    pthread_attr_init(&attr);
    pthread_attr_setstacksize(&attr, RUNNER_STACK_SIZE);
    failure = pthread_create(&thread, &attr, run_local, l);
    pthread_attr_destroy(&attr);
    errno = failure;
    if (failure != 0)
        return err_errno(err, "cannot start a build thread");
    pthread_join(thread, NULL);
    return true;
}

void
pipeline_purge(const char *data_dir)
{
    cleanup_free char *builds = text_format("%s/builds", data_dir);
    struct pipeline_store store;
    struct err err;

    docker_leftovers_purge(data_dir);
    /* Scripts of builds that would have been taken up by the next start. */
    if (!file_exists(builds) || !pipeline_store_open(&store, data_dir, &err))
        return;
    for (size_t i = 0; i < store.count; i++)
        for (size_t k = 0; k < store.pipelines[i]->build_count; k++) {
            const struct build *b = store.pipelines[i]->builds[k];
            if (b->state == BUILD_RUNNING && b->cookie != NULL)
                (void)leftovers_end(b->cookie, !build_is_untrusted(b));
        }
    cgroup_forget_all(NULL);
    pipeline_store_done(&store);
}

bool
pipeline_run_directory(const struct pipeline_local *spec, struct runner_outcome *out,
                       struct err *err)
{
    const char *file = spec->jenkinsfile == NULL ? "Jenkinsfile" : spec->jenkinsfile;
    const char *slash = strrchr(spec->directory, '/');
    cleanup_free char *path = text_format("%s/%s", spec->directory, file);
    cleanup_free char *branch =
        spec->branch != NULL ? text_dup(spec->branch) : branch_of(spec->directory);
    cleanup_free char *secrets = spec->data_dir == NULL ? NULL : text_format("%s/secrets", spec->data_dir);
    struct local l = {.out = out};
    char cookie[33];

    if (spec->directory[0] != '/')
        return err_set(err, ERR_VALIDATION, "'%s' is not an absolute path", spec->directory);
    if (!file_exists(path))
        return err_set(err, ERR_NOT_FOUND, "there is no file '%s'", path);
    random_hex(cookie, 32);
    l.config = (struct runner_config){
        .jenkinsfile_name = file,
        .workspace = spec->directory,
        .in_place = true,
        .tool_dir = spec->tool_dir,
        .extra_env = spec->extra_env,
        .artifact_dir = spec->artifact_dir,
        .home = spec->data_dir,
        .secrets_dir = secrets,
        .cookie = cookie,
        .timeout_ms = spec->timeout_ms,
        .parameters = spec->parameters,
        .number = 1,
        .job_name = spec->job_name != NULL              ? spec->job_name
                    : slash != NULL && slash[1] != '\0' ? slash + 1
                                                        : "local",
        .branch = branch,
        .cause = "UserIdCause",
        .ctx = spec->ctx,
        .on_log = spec->on_log,
        .on_stage = spec->on_stage,
        .abort_request = spec->abort_request,
    };
    return run_on_a_thread(&l, err);
}
