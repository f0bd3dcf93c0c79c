/* SPDX-License-Identifier: MIT */
/* naru build: a directory's Jenkinsfile, here and now, as the server would run it. */
#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/stat.h>
#include "base/random.h"
#include "cli/commands.h"
#include "io/process.h"
#include "pipeline/runner.h"

struct run {
    struct runner_config config;
    struct runner_outcome outcome;
};

static volatile sig_atomic_t is_interrupted;

static void
on_interrupt(int number)
{
    is_interrupted = is_interrupted + 1; /* the second Ctrl-C means it */
}

static enum abort_request
abort_request(void *ctx)
{
    return is_interrupted == 0 ? ABORT_NO : is_interrupted == 1 ? ABORT_ASKED : ABORT_NOW;
}

static void
on_log(void *ctx, struct str text)
{
    fwrite(text.at, 1, text.len, stdout);
    fflush(stdout);
}

static void
on_stage(void *ctx, const struct stage_report *report)
{
    const bool is_start = report->state == STAGE_RUNNING;
    const enum cli_colour colour = is_start || report->state == STAGE_SKIPPED ? COLOUR_BOLD
                                   : report->state == STAGE_SUCCESS           ? COLOUR_GOOD
                                                                              : COLOUR_BAD;

    printf("%s%*s[%s] " STR_FMT, cli_colour(colour), (int)report->depth * 2, "", stage_state_name(report->state),
           STR_ARG(report->name));
    if (!is_start && report->state != STAGE_SKIPPED)
        printf("  %.3f s", (double)report->took_ms / 1000);
    printf("%s\n", cli_colour(COLOUR_NONE));
    fflush(stdout);
}

static void *
run_thread(void *arg)
{
    struct run *run = arg;

    runner_run(&run->config, &run->outcome);
    return NULL;
}

/* What `git` says in the directory, without its newline; NULL if it says nothing. */
static char *
git_says(const char *directory, const char *const *argv)
{
    const struct process_spec spec = {.argv = argv, .directory = directory, .timeout_ms = 10000};
    cleanup(process_result_done) struct process_result result = {0};

    if (!process_run(&spec, &result, NULL) || result.exit_code != 0 || str_trim(strbuf_str(&result.output)).len == 0)
        return NULL;
    return str_dup(str_trim(strbuf_str(&result.output)));
}

/* A folder that holds this program as `aws`, `docker` and `naru`. */
static bool
make_tools(char *out, size_t size, struct err *err)
{
    static const char *const names[] = {"aws", "docker", "naru"};
    cleanup_free char *self = realpath("/proc/self/exe", NULL);

    text_copy(out, size, STR("/tmp/naru-tools-XXXXXX"));
    if (self == NULL || mkdtemp(out) == NULL)
        return err_errno(err, "cannot make a folder for the build's tools");
    for (size_t i = 0; i < ARRAY_COUNT(names); i++) {
        cleanup_free char *path = text_format("%s/%s", out, names[i]);

        if (symlink(self, path) < 0)
            return err_errno(err, "cannot link '%s'", path);
    }
    return true;
}

static void
remove_tools(const char *folder)
{
    static const char *const names[] = {"aws", "docker", "naru"};

    for (size_t i = 0; i < ARRAY_COUNT(names); i++) {
        cleanup_free char *path = text_format("%s/%s", folder, names[i]);

        unlink(path);
    }
    rmdir(folder);
}

/* The steps speak to the same naru as we would. */
static void
give_environment(const char *data_dir)
{
    struct client_config c;

    if (!client_config_load(&c, data_dir, NULL) || !c.has_keys)
        return;
    setenv("AWS_ENDPOINT_URL", c.endpoint_url, 0);
    setenv("AWS_ACCESS_KEY_ID", c.access_key_id, 0);
    setenv("AWS_SECRET_ACCESS_KEY", c.secret_access_key, 0);
    setenv("AWS_DEFAULT_REGION", c.region, 0);
    setenv("AWS_ACCOUNT_ID", c.account, 0);
}

static int
run_build(struct run *run)
{
    pthread_attr_t attributes;
    pthread_t thread;

    signal(SIGINT, on_interrupt);
    signal(SIGTERM, on_interrupt);
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, RUNNER_STACK_SIZE);
    if (pthread_create(&thread, &attributes, run_thread, run) != 0)
        abort();
    pthread_join(thread, NULL);
    pthread_attr_destroy(&attributes);
    printf("%s%s%s%s%s\n", cli_colour(run->outcome.result == RESULT_SUCCESS ? COLOUR_GOOD : COLOUR_BAD),
           build_result_name(run->outcome.result), cli_colour(COLOUR_NONE), run->outcome.reason[0] != '\0' ? ": " : "",
           run->outcome.reason);
    return run->outcome.result == RESULT_SUCCESS ? EXIT_LIVE : EXIT_ERROR;
}

int
command_build(int argc, char **argv)
{
    const char *branch = NULL, *data_dir = NULL;
    const struct option_row rows[] = {{"branch", 'b', OPTION_TEXT, &branch}, {"data-dir", 0, OPTION_TEXT, &data_dir}, {0}};
    cleanup_free char *directory = NULL, *commit = NULL, *found_branch = NULL;
    char tools[64], cookie[33];
    struct run run = {0};
    struct err err = {0};
    int status;
    const int count = command_begin(argc, argv, rows, 1, &status);

    if (count < 0)
        return status;
    directory = realpath(count == 1 ? argv[1] : ".", NULL);
    if (directory == NULL) {
        err_set(&err, ERR_USAGE, "there is no directory '%s'", count == 1 ? argv[1] : ".");
        return cli_fail(&err);
    }
    if (!make_tools(tools, sizeof(tools), &err))
        return cli_fail(&err);
    give_environment(data_dir);
    commit = git_says(directory, (const char *const[]){"git", "rev-parse", "HEAD", NULL});
    found_branch = git_says(directory, (const char *const[]){"git", "rev-parse", "--abbrev-ref", "HEAD", NULL});
    random_hex(cookie, 32);
    run.config = (struct runner_config){
        .jenkinsfile_name = "Jenkinsfile", .workspace = directory, .in_place = true, .tool_dir = tools, .cookie = cookie,
        .number = 1, .job_name = strrchr(directory, '/') + 1, .branch = branch != NULL ? branch : found_branch,
        .commit = commit, .is_primary_branch = true, .cause = "UserIdCause",
        .on_log = on_log, .on_stage = on_stage, .abort_request = abort_request,
    };
    status = run_build(&run);
    remove_tools(tools);
    return status;
}
