/* SPDX-License-Identifier: MIT */
/* naru build: a directory's Jenkinsfile, here and now, as the server would run it. */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include "cli/commands.h"
#include "cli/local.h"
#include "io/file.h"
#include "pipeline/pipeline.h"

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

    printf("%s%*s[%s] " STR_FMT, cli_colour(colour), (int)report->depth * 2, "",
           stage_state_name(report->state), STR_ARG(report->name));
    if (!is_start && report->state != STAGE_SKIPPED)
        printf("  %.3f s", (double)report->took_ms / 1000);
    printf("%s\n", cli_colour(COLOUR_NONE));
    fflush(stdout);
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
    if (c.home_region[0] == '\0')
        (void)local_server_says(&c, "region", c.home_region, sizeof(c.home_region));
    local_give_environment(&c, data_dir, false);
}

/* Made if missing; NULL with err. */
static char *
make_artifact_dir(const char *path, struct err *err)
{
    char *real = NULL;

    if (file_make_dirs(path, 0755, err) && (real = realpath(path, NULL)) == NULL)
        err_errno(err, "cannot use '%s'", path);
    return real;
}

/* The file that is not there is the first thing to go wrong. */
static bool
check_file(const char *directory, const char *file, struct err *err)
{
    cleanup_free char *path = text_format("%s/%s", directory, file != NULL ? file : "Jenkinsfile");

    return file_exists(path) ||
           err_set(err, ERR_NOT_FOUND, "there is no file '%s' (--file names another)", path);
}

int
command_build(int argc, char **argv)
{
    const char *data_dir = NULL, *artifacts = NULL;
    struct json *params = NULL;
    struct pipeline_local build = {
        .on_log = on_log, .on_stage = on_stage, .abort_request = abort_request};
    const struct option_row rows[] = {{"branch", 'b', OPTION_TEXT, &build.branch},
                                      {"file", 'f', OPTION_TEXT, &build.jenkinsfile},
                                      {"artifacts", 'a', OPTION_TEXT, &artifacts},
                                      {"param", 'p', OPTION_PAIR, &params},
                                      {"data-dir", 0, OPTION_TEXT, &data_dir},
                                      {0}};
    cleanup_free char *directory = NULL, *artifact_dir = NULL;
    struct runner_outcome outcome;
    char tools[64];
    struct err err = {0};
    bool has_run;
    int status;
    const int count = command_begin(argc, argv, rows, 1, &status);

    if (count < 0)
        return status;
    directory = realpath(count == 1 ? argv[1] : ".", NULL);
    if (directory == NULL) {
        err_set(&err, ERR_USAGE, "there is no directory '%s'", count == 1 ? argv[1] : ".");
        return cli_fail(&err);
    }
    if (!check_file(directory, build.jenkinsfile, &err))
        return cli_fail(&err);
    if (artifacts != NULL && (artifact_dir = make_artifact_dir(artifacts, &err)) == NULL)
        return cli_fail(&err);
    build.artifact_dir = artifact_dir;
    if (!make_tools(tools, sizeof(tools), &err))
        return cli_fail(&err);
    give_environment(data_dir);
    signal(SIGINT, on_interrupt);
    signal(SIGTERM, on_interrupt);
    build.directory = directory;
    build.parameters = params;
    build.tool_dir = tools;
    build.data_dir = client_data_dir(data_dir);
    has_run = pipeline_run_directory(&build, &outcome, &err);
    remove_tools(tools);
    json_unref(params);
    if (!has_run)
        return cli_fail(&err);
    printf("%s%s%s%s%s\n", cli_colour(outcome.result == RESULT_SUCCESS ? COLOUR_GOOD : COLOUR_BAD),
           build_result_name(outcome.result), cli_colour(COLOUR_NONE),
           outcome.reason[0] != '\0' ? ": " : "", outcome.reason);
    return outcome.result == RESULT_SUCCESS ? EXIT_LIVE : EXIT_ERROR;
}
