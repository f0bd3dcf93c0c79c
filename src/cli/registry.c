/* SPDX-License-Identifier: MIT */
/* naru registry verify: reads all that the registry keeps, from the disk, beside a running server.
 */
#include "base/clock.h"
#include "cli/commands.h"
#include "cli/registry.h"
#include "registry/verify.h"

struct verifying {
    bool wants_json, shows_progress;
    struct json *problems;
    int64_t began_ms;
};

static void
clear_progress(const struct verifying *v)
{
    if (v->shows_progress)
        fputs("\r\033[K", stderr);
}

static void
show_problem(void *arg, const struct registry_problem *p)
{
    struct verifying *v = arg;
    struct json *row = json_object();

    json_set(row, "problem", json_text(p->kind));
    json_set(row, "detail", json_text(p->what));
    json_set(row, "fix", json_text(p->remedy));
    json_append(v->problems, row);
    if (v->wants_json)
        return;
    clear_progress(v);
    printf("%s%s%s: %s\n    fix: %s\n", cli_colour(COLOUR_BAD), p->kind, cli_colour(COLOUR_NONE),
           p->what, p->remedy);
}

static void
show_progress(void *arg, int64_t bytes, int64_t all_bytes)
{
    const struct verifying *v = arg;
    const int64_t took_ms = clock_monotonic_ms() - v->began_ms;

    if (!v->shows_progress)
        return;
    fprintf(stderr, "\r\033[K%lld of %lld MB, %lld MB/s", (long long)(bytes / 1000000),
            (long long)(all_bytes / 1000000),
            (long long)(bytes / 1000 / (took_ms > 0 ? took_ms : 1)));
}

static void
show_result(const struct verifying *v, const struct registry_verify *r)
{
    if (!v->wants_json) {
        printf("%lld blobs (%lld bytes), %lld images, %lld tags in %lld repositories: ",
               (long long)r->blobs, (long long)r->bytes, (long long)r->images, (long long)r->tags,
               (long long)r->repositories);
        if (r->problems == 0)
            printf("all whole\n");
        else
            printf("%lld problems\n", (long long)r->problems);
        return;
    }
    cleanup_json struct json *answer = json_object();
    json_set(answer, "blobs", json_int(r->blobs));
    json_set(answer, "bytes", json_int(r->bytes));
    json_set(answer, "repositories", json_int(r->repositories));
    json_set(answer, "images", json_int(r->images));
    json_set(answer, "tags", json_int(r->tags));
    json_set(answer, "links", json_int(r->links));
    json_set(answer, "repaired", json_int(r->repaired));
    json_set(answer, "problems", json_ref(v->problems));
    cli_print_json(answer);
}

int
command_registry(int argc, char **argv)
{
    const char *data_dir = NULL, *output = NULL;
    struct registry_verify_options options = {.problem = show_problem, .progress = show_progress};
    const struct option_row rows[] = {{"data-dir", 0, OPTION_TEXT, &data_dir},
                                      {"output", 'o', OPTION_TEXT, &output},
                                      {"repair", 0, OPTION_FLAG, &options.repair},
                                      {0}};
    struct verifying v = {.shows_progress = isatty(STDERR_FILENO) == 1,
                          .began_ms = clock_monotonic_ms()};
    struct registry_verify result = {0};
    struct err err = {0};
    int status;

    if (argc > 1 && (strcmp(argv[1], "scan") == 0 || strcmp(argv[1], "osv") == 0))
        return registry_scan_command(argc, argv);
    if (argc > 1 && strcmp(argv[1], "gc") == 0)
        return registry_gc_command(argc, argv);
    if (argc > 1 && strcmp(argv[1], "quota") == 0)
        return registry_quota_command(argc, argv);
    if (command_begin(argc, argv, rows, 1, &status) < 0)
        return status;
    if (argv[1] == NULL || strcmp(argv[1], "verify") != 0) {
        err_set(&err, ERR_VALIDATION, "say what to do: naru registry verify, gc, quota, scan or osv import");
        return cli_fail(&err);
    }
    if (!cli_wants_json(output, &err, &v.wants_json))
        return cli_fail(&err);
    options.arg = &v;
    v.problems = json_array();
    const bool done = registry_verify(client_data_dir(data_dir), &options, &result, &err);
    clear_progress(&v);
    if (done)
        show_result(&v, &result);
    json_unref(v.problems);
    if (!done)
        return cli_fail(&err);
    return result.problems > 0 ? EXIT_INFRASTRUCTURE : EXIT_LIVE;
}
