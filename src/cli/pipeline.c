/* SPDX-License-Identifier: MIT */
/* naru pipeline: which repositories are built, and their builds started and ended by hand. */
#include <stdlib.h>
#include "cli/build_results.h"
#include "cli/builds.h"
#include "cli/commands.h"
#include "cli/local.h"
#include "io/file.h"

#define TIMEOUT_S 3600
#define SCRIPT_MAX ((size_t)1 << 20)

struct pipelines {
    struct client *client;
    const char *file, *stage, *url, *github, *forks, *trusted, *branch, *commit, *output, *data_dir, *to;
    struct json *params;
    bool waits, wants_json;
    int64_t timeout_s;
};

static double
gib(const struct json *disk, const char *name)
{
    return (double)json_get_i64(disk, name, 0) / (1 << 30);
}

/* What waits for nothing but the disk is said with why. */
static void
tell_disk(const struct json *disk)
{
    if (disk == NULL)
        return;
    printf("\ndisk: workspaces %.1f GiB, builds %.1f GiB", gib(disk, "workspaceBytes"),
           gib(disk, "buildBytes"));
    if (json_get_i64(disk, "budgetBytes", 0) > 0)
        printf(" of %.1f GiB", gib(disk, "budgetBytes"));
    printf("; %.1f GiB free\n", gib(disk, "freeBytes"));
    if (json_get_bool(disk, "buildsWait", false))
        printf("no build begins: less than %.1f GiB are free (diskFree in builds.json)\n",
               gib(disk, "minimumFreeBytes"));
}

/* Groups of a number, and who waits for one of their executors or for the disk. */
static void
tell_waiting(const struct json *answer)
{
    const struct json *groups = json_get(answer, "executors");

    for (size_t i = 0; i < json_size(groups); i++) {
        const struct json *g = json_at(groups, i), *labels = json_get(g, "labels");
        if (json_get(g, "count") == NULL)
            continue;
        printf("executors: %s, %lld of %lld busy%s", json_get_cstr(g, "name", ""),
               (long long)json_get_i64(g, "busy", 0), (long long)json_get_i64(g, "count", 0),
               json_size(labels) > 0 ? ":" : "");
        for (size_t k = 0; k < json_size(labels); k++)
            printf(" %s", json_cstr(json_at(labels, k), ""));
        putchar('\n');
    }
    builds_tell_waiting(json_get(answer, "waiting"));
}

static void
add_pipeline(struct table *table, const struct json *row)
{
    const struct json *last = json_get(row, "lastBuild");
    cleanup_free char *build =
        last == NULL ? NULL
                     : text_format("#%lld %s", (long long)json_get_i64(last, "number", 0),
                                   json_get_cstr(last, "result", json_get_cstr(last, "state", "")));

    table_add(table, json_get_cstr(row, "name", ""), build, json_get_cstr(row, "url", ""),
              json_get_cstr(row, "github", NULL));
}

static bool
list(struct pipelines *p, struct err *err)
{
    static const char *const titles[] = {"PIPELINE", "LAST BUILD", "REPOSITORY", "GITHUB", NULL};
    cleanup_json struct json *answer = builds_ask(p->client, "GET", "/naru/pipelines", NULL, err);

    if (answer == NULL)
        return false;
    if (p->wants_json) {
        cli_print_json(answer);
        return true;
    }
    table_print_list(titles, json_get(answer, "pipelines"), add_pipeline);
    tell_disk(json_get(answer, "disk"));
    tell_waiting(answer);
    return true;
}

/* A repository of naru's own to push to, or one that lies elsewhere. */
static bool
create(struct pipelines *p, const char *name, struct err *err)
{
    cleanup_json struct json *body = json_object(), *answer = NULL;
    const char *url;

    json_set(body, "name", json_text(name));
    if (p->url != NULL)
        json_set(body, "url", json_text(p->url));
    if (p->github != NULL)
        json_set(body, "github", json_text(p->github));
    if (p->forks != NULL)
        json_set(body, "forks", json_text(p->forks));
    if (p->trusted != NULL)
        json_set(body, "trusted", json_text(p->trusted));
    answer = builds_ask(p->client, "POST", p->url != NULL ? "/naru/pipelines" : "/naru/repositories",
                        body, err);
    if (answer == NULL)
        return false;
    if (p->wants_json) {
        cli_print_json(answer);
        return true;
    }
    url = json_get_cstr(answer, "url", "");
    printf("pipeline %s builds %s\n", name, url);
    if (p->url == NULL)
        printf("\npush to it:\n  git remote add naru %s && git push naru main\n", url);
    if (p->github != NULL)
        printf("\npushes to github.com/%s build it, once a webhook there (content type application/json) points at\n"
               "http://<this host>:%u/github/webhook and its secret is known here: naru secret set github-webhook\n",
               p->github, local_port(client_get_config(p->client)));
    return true;
}

/* What its junit steps found, and what became of that since the build before. */
static void
tell_tests(struct progress *progress, const struct json *tests)
{
    if (tests == NULL)
        return;
    progress_line(progress, "tests", "%lld, failed %lld (new: %lld), skipped %lld, fixed %lld, flaky %lld",
                  (long long)json_get_i64(tests, "total", 0),
                  (long long)json_get_i64(tests, "failed", 0),
                  (long long)json_get_i64(tests, "newlyFailing", 0),
                  (long long)json_get_i64(tests, "skipped", 0),
                  (long long)json_get_i64(tests, "fixed", 0),
                  (long long)json_get_i64(tests, "flaky", 0));
}

static void
tell_end(struct progress *progress, const struct json *build, const char *name, int64_t number)
{
    const char *result = build_result(build), *reason = json_get_cstr(build, "reason", "");
    const bool is_good = strcmp(result, "SUCCESS") == 0;

    progress_line(progress, "build", "#%lld %s%s%s%s%s", (long long)number,
                  cli_colour(is_good ? COLOUR_GOOD : COLOUR_BAD), result, cli_colour(COLOUR_NONE),
                  reason[0] != '\0' ? ": " : "", reason);
    tell_tests(progress, json_get(build, "tests"));
    if (!is_good)
        printf("its log: naru logs --build %s#%lld\n", name, (long long)number);
}

static bool
start(struct pipelines *p, const char *name, int *status, struct err *err)
{
    cleanup_json struct json *body = json_object(), *queued = NULL, *ended = NULL;
    struct progress progress;
    int64_t number;

    json_set(body, "pipeline", json_text(name));
    json_set(body, "branch", json_text(p->branch != NULL ? p->branch : "main"));
    if (p->commit != NULL)
        json_set(body, "commit", json_text(p->commit));
    if (p->params != NULL)
        json_set(body, "parameters", json_ref(p->params));
    queued = builds_ask(p->client, "POST", "/naru/builds", body, err);
    if (queued == NULL)
        return false;
    number = json_get_i64(queued, "number", 0);
    if (p->waits) {
        progress_begin(&progress);
        ended = builds_follow(p->client, name, number, &progress, p->timeout_s * 1000, err);
        if (ended == NULL)
            return false;
        *status = strcmp(build_result(ended), "SUCCESS") == 0 ? EXIT_LIVE : EXIT_ERROR;
        if (!p->wants_json)
            tell_end(&progress, ended, name, number);
    }
    if (p->wants_json)
        cli_print_json(ended != NULL ? ended : queued);
    else if (!p->waits)
        printf("build #%lld of %s queued (naru logs --build %s#%lld -f)\n", (long long)number, name, name,
               (long long)number);
    return true;
}

static bool
abort_build(struct pipelines *p, const char *name, const char *number, struct err *err)
{
    cleanup_free char *path = NULL;
    cleanup_json struct json *answer = NULL;
    int64_t n;

    if (!str_to_i64(str_of(number), &n) || n < 1)
        return err_set(err, ERR_USAGE, "'%s' is no number of a build", number);
    path = text_format("/naru/builds/%s/%lld/abort", name, (long long)n);
    answer = builds_ask(p->client, "POST", path, NULL, err);
    if (answer == NULL)
        return false;
    printf("build #%lld of %s is being aborted\n", (long long)n, name);
    return true;
}

static bool
replay(struct pipelines *p, const char *name, const char *number, struct err *err)
{
    cleanup(strbuf_done) struct strbuf script = {0};
    cleanup_json struct json *body = json_object(), *queued = NULL;
    cleanup_free char *path = NULL;
    int64_t n;

    if (!str_to_i64(str_of(number), &n) || n < 1)
        return err_set(err, ERR_USAGE, "'%s' is no number of a build", number);
    if (p->file != NULL && !file_read(p->file, SCRIPT_MAX, &script, err))
        return false;
    if (p->file != NULL)
        json_set(body, "jenkinsfile", json_str(strbuf_str(&script)));
    if (p->stage != NULL)
        json_set(body, "stage", json_text(p->stage));
    path = text_format("/naru/builds/%s/%lld/replay", name, (long long)n);
    queued = builds_ask(p->client, "POST", path, body, err);
    if (queued == NULL)
        return false;
    if (p->wants_json)
        cli_print_json(queued);
    else
        printf("build #%lld of %s queued: #%lld again\n",
               (long long)json_get_i64(queued, "number", 0), name, (long long)n);
    return true;
}

/* A name goes into a path: what it may hold is checked here as the server will. */
static bool
check_name(const char *name, struct err *err)
{
    return name[strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789._-")] == '\0' ||
           err_set(err, ERR_USAGE, "'%s' is not a pipeline name: [a-z0-9._-]", name);
}

static bool
run(struct pipelines *p, int count, char **argv, int *status, struct err *err)
{
    const char *verb = count > 0 ? argv[1] : "list", *name = count > 1 ? argv[2] : "";

    if (count > 1 && !check_name(name, err))
        return false;
    if (strcmp(verb, "list") == 0 && count < 2)
        return list(p, err);
    if (strcmp(verb, "create") == 0 && count == 2)
        return create(p, name, err);
    if (strcmp(verb, "start") == 0 && count == 2)
        return start(p, name, status, err);
    if (strcmp(verb, "builds") == 0 && count == 2)
        return build_results_list(p->client, name, p->wants_json, err);
    if (strcmp(verb, "show") == 0 && (count == 2 || count == 3))
        return build_results_show(p->client, name, count == 3 ? argv[3] : NULL, p->wants_json, err);
    if (strcmp(verb, "artifact") == 0 && count == 4)
        return build_results_fetch(p->client, name, argv[3], argv[4], p->to, err);
    if (strcmp(verb, "abort") == 0 && count == 3)
        return abort_build(p, name, argv[3], err);
    if (strcmp(verb, "replay") == 0 && count == 3)
        return replay(p, name, argv[3], err);
    return err_set(err, ERR_USAGE, "say list, create NAME, start NAME, builds NAME, show NAME [NUMBER], artifact NAME "
                                   "NUMBER PATH, replay NAME NUMBER or abort NAME NUMBER "
                                   "(try: naru pipeline --help)");
}

int
command_pipeline(int argc, char **argv)
{
    struct pipelines p = {.timeout_s = TIMEOUT_S};
    const struct option_row rows[] = {
        {"url", 0, OPTION_TEXT, &p.url},
        {"github", 0, OPTION_TEXT, &p.github},
        {"forks", 0, OPTION_TEXT, &p.forks},
        {"trusted", 0, OPTION_TEXT, &p.trusted},
        {"branch", 'b', OPTION_TEXT, &p.branch},
        {"commit", 0, OPTION_TEXT, &p.commit},
        {"param", 'p', OPTION_PAIR, &p.params},
        {"file", 'f', OPTION_TEXT, &p.file},
        {"stage", 0, OPTION_TEXT, &p.stage},
        {"to", 0, OPTION_TEXT, &p.to},
        {"wait", 'w', OPTION_FLAG, &p.waits},
        {"timeout", 0, OPTION_NUMBER, &p.timeout_s},
        {"output", 'o', OPTION_TEXT, &p.output},
        {"data-dir", 0, OPTION_TEXT, &p.data_dir},
        {0},
    };
    struct err err = {0};
    int status;
    const int count = command_begin(argc, argv, rows, 4, &status);

    if (count < 0)
        return status;
    if (!cli_wants_json(p.output, &err, &p.wants_json))
        return cli_fail(&err);
    p.client = cli_connect(p.data_dir, &status);
    if (p.client == NULL)
        return status;
    status = EXIT_LIVE;
    if (!run(&p, count, argv, &status, &err))
        status = cli_fail(&err);
    client_free(p.client);
    json_unref(p.params);
    return status;
}
