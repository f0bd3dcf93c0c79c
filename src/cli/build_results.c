/* SPDX-License-Identifier: MIT */
#include "cli/build_results.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include "base/clock.h"
#include "base/uri.h"
#include "cli/builds.h"

#define ARTIFACTS_SHOWN 50u

static char *
path_of(const char *pipeline, int64_t number, const char *rest)
{
    return text_format("/naru/builds/%s/%lld%s", pipeline, (long long)number, rest);
}

/* "1.5 GiB"; malloc'd. */
static char *
size_text(int64_t bytes)
{
    static const char *const units[] = {"KiB", "MiB", "GiB", "TiB"};
    double n = (double)bytes;
    size_t unit = 0;

    if (bytes < 1024)
        return text_format("%lld B", (long long)bytes);
    for (n /= 1024; n >= 1024 && unit + 1 < ARRAY_COUNT(units); n /= 1024)
        unit++;
    return text_format("%.1f %s", n, units[unit]);
}

/* "75 ms", "12.3 s", "4 m 05 s"; malloc'd. */
static char *
time_text(int64_t ms)
{
    if (ms < 1000)
        return text_format("%lld ms", (long long)ms);
    if (ms < 60000)
        return text_format("%.1f s", (double)ms / 1000);
    return text_format("%lld m %02lld s", (long long)(ms / 60000), (long long)(ms / 1000 % 60));
}

static char *
member_time(const struct json *build, const char *name)
{
    return json_get(build, name) == NULL ? NULL : time_text(json_get_i64(build, name, 0));
}

static char *
member_size(const struct json *build, const char *name)
{
    return json_get(build, name) == NULL ? NULL : size_text(json_get_i64(build, name, 0));
}

static const char *
state_of(const struct json *build)
{
    return json_get_cstr(build, "result", json_get_cstr(build, "state", ""));
}

/* ---- the list ---- */

static char *
tests_text(const struct json *tests)
{
    return tests == NULL ? NULL
                         : text_format("%lld, failed %lld", (long long)json_get_i64(tests, "total", 0),
                                       (long long)json_get_i64(tests, "failed", 0));
}

static void
add_build(struct table *table, const struct json *b)
{
    cleanup_free char *number = text_format("#%lld", (long long)json_get_i64(b, "number", 0));
    cleanup_free char *commit = str_dup(str_slice(str_of(json_get_cstr(b, "commit", "")), 0, 8));
    cleanup_free char *took = member_time(b, "tookMs"), *cpu = member_time(b, "cpuMs");
    cleanup_free char *memory = member_size(b, "memoryPeakBytes"), *disk = member_size(b, "diskBytes");
    cleanup_free char *tests = tests_text(json_get(b, "tests"));

    table_add(table, number, json_get_cstr(b, "branch", ""), commit, state_of(b), took, cpu, memory,
              disk, tests);
}

bool
build_results_list(struct client *client, const char *pipeline, bool wants_json, struct err *err)
{
    static const char *const titles[] = {"BUILD", "BRANCH", "COMMIT", "RESULT", "TOOK", "CPU",
                                         "MEMORY", "DISK", "TESTS", NULL};
    cleanup_free char *path = text_format("/naru/builds?pipeline=%s", pipeline);
    cleanup_json struct json *answer = builds_ask(client, "GET", path, NULL, err);

    if (answer == NULL)
        return false;
    if (wants_json) {
        cli_print_json(answer);
        return true;
    }
    table_print_list(titles, json_get(answer, "builds"), add_build);
    builds_tell_waiting(json_get(answer, "builds"));
    return true;
}

/* ---- one ---- */

static void
print_times(const struct json *b)
{
    cleanup_free char *took = member_time(b, "tookMs"), *cpu = member_time(b, "cpuMs");
    cleanup_free char *memory = member_size(b, "memoryPeakBytes"), *disk = member_size(b, "diskBytes");
    char queued[32] = "";

    clock_format_iso(json_get_i64(b, "queuedAtMs", 0), queued);
    printf("queued %s%s%s\n", queued, took == NULL ? "" : ", took ", took == NULL ? "" : took);
    if (cpu != NULL || memory != NULL || disk != NULL)
        printf("used: processors %s, memory at most %s, disk %s\n", cpu == NULL ? "-" : cpu,
               memory == NULL ? "-" : memory, disk == NULL ? "-" : disk);
}

static void
print_stages(const struct json *stages)
{
    static const char *const titles[] = {"STAGE", "STATUS", "TOOK", NULL};
    struct table *table = table_new(titles);

    for (size_t i = 0; i < json_size(stages); i++) {
        const struct json *s = json_at(stages, i);
        cleanup_free char *took = member_time(s, "tookMs");
        cleanup_free char *name = text_format("%*s%s", (int)json_get_i64(s, "depth", 0) * 2, "",
                                              json_get_cstr(s, "name", ""));
        table_add(table, name, json_get_cstr(s, "skippedBecause", json_get_cstr(s, "status", "")), took);
    }
    if (json_size(stages) > 0) {
        putchar('\n');
        table_print(table, stdout);
    }
    table_free(table);
}

static void
print_names(const struct json *report, const char *list, const char *title)
{
    const struct json *tests = json_get(report, list);

    for (size_t i = 0; i < json_size(tests); i++) {
        const int64_t since = json_get_i64(json_at(tests, i), "failingSince", 0);
        cleanup_free char *when =
            since == 0 ? text_dup("") : text_format(" (since #%lld)", (long long)since);
        printf("  %-8s %s%s\n", title, json_get_cstr(json_at(tests, i), "name", ""), when);
    }
}

static void
print_tests(const struct json *report)
{
    const struct json *counts = json_get(report, "counts");

    if (counts == NULL)
        return;
    printf("\ntests: %lld, failed %lld (new: %lld), skipped %lld, fixed %lld, flaky %lld\n",
           (long long)json_get_i64(counts, "total", 0), (long long)json_get_i64(counts, "failed", 0),
           (long long)json_get_i64(counts, "newlyFailing", 0),
           (long long)json_get_i64(counts, "skipped", 0), (long long)json_get_i64(counts, "fixed", 0),
           (long long)json_get_i64(counts, "flaky", 0));
    print_names(report, "failed", "failed");
    print_names(report, "newlyFailing", "new");
    print_names(report, "fixed", "fixed");
    print_names(report, "flaky", "flaky");
}

static void
print_artifacts(const struct json *artifacts)
{
    for (size_t i = 0; i < json_size(artifacts) && i < ARTIFACTS_SHOWN; i++) {
        cleanup_free char *size = size_text(json_get_i64(json_at(artifacts, i), "size", 0));
        printf("%s  %s  %s\n", i == 0 ? "\nartifacts:\n" : "",
               json_get_cstr(json_at(artifacts, i), "path", ""), size);
    }
    if (json_size(artifacts) > ARTIFACTS_SHOWN)
        printf("  and %zu more (--output json)\n", json_size(artifacts) - ARTIFACTS_SHOWN);
}

static void
print_build(const char *pipeline, const struct json *b, const struct json *tests,
            const struct json *artifacts)
{
    const bool is_good = strcmp(state_of(b), "SUCCESS") == 0;
    const char *reason = json_get_cstr(b, "reason", json_get_cstr(b, "waitingFor", ""));
    const long long number = (long long)json_get_i64(b, "number", 0);

    printf("%s#%lld %s%s%s%s%s\n", pipeline, number,
           cli_colour(build_is_over(b) ? is_good ? COLOUR_GOOD : COLOUR_BAD : COLOUR_BOLD), state_of(b),
           cli_colour(COLOUR_NONE), reason[0] != '\0' ? ": " : "", reason);
    printf("%s at %.12s  %s\n", json_get_cstr(b, "branch", ""), json_get_cstr(b, "commit", ""),
           json_get_cstr(b, "message", ""));
    print_times(b);
    print_stages(json_get(b, "stages"));
    print_tests(tests);
    print_artifacts(json_get(artifacts, "artifacts"));
    printf("\nits log: naru logs --build %s#%lld\n", pipeline, number);
}

static bool
find_number(struct client *client, const char *pipeline, const char *text, int64_t *out,
            struct err *err)
{
    cleanup_json struct json *newest = NULL;

    if (text != NULL)
        return (str_to_i64(str_of(text), out) && *out > 0) ||
               err_set(err, ERR_USAGE, "'%s' is no number of a build", text);
    newest = builds_find(client, pipeline, /* commit= */ NULL, err);
    *out = json_get_i64(newest, "number", 0);
    return *out > 0 || err->code != ERR_NONE ||
           err_set(err, ERR_NOT_FOUND, "pipeline '%s' has no builds", pipeline);
}

bool
build_results_show(struct client *client, const char *pipeline, const char *number, bool wants_json,
                   struct err *err)
{
    cleanup_json struct json *build = NULL, *tests = NULL, *artifacts = NULL, *all = NULL;
    cleanup_free char *tests_path = NULL, *artifacts_path = NULL;
    int64_t n;

    *err = (struct err){0};
    if (!find_number(client, pipeline, number, &n, err) || n == 0)
        return false;
    build = builds_get(client, pipeline, n, err);
    if (build == NULL)
        return false;
    tests_path = path_of(pipeline, n, "/tests");
    artifacts_path = path_of(pipeline, n, "/artifacts");
    if (json_get(build, "tests") != NULL &&
        (tests = builds_ask(client, "GET", tests_path, NULL, err)) == NULL)
        return false;
    artifacts = builds_ask(client, "GET", artifacts_path, NULL, err);
    if (artifacts == NULL)
        return false;
    if (!wants_json) {
        print_build(pipeline, build, tests, artifacts);
        return true;
    }
    all = json_object();
    json_set(all, "build", json_ref(build));
    if (tests != NULL)
        json_set(all, "tests", json_ref(tests));
    json_set(all, "artifacts", json_ref(json_get(artifacts, "artifacts")));
    if (json_get_bool(artifacts, "truncated", false))
        json_set(all, "artifactsTruncated", json_bool(true));
    cli_print_json(all);
    return true;
}

/* ---- artifacts ---- */

static bool
fetch_file(struct client *client, const char *path, const char *to, struct err *err)
{
    cleanup_free char *part = text_format("%s.part", to);
    cleanup_close int fd = open(part, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

    if (fd < 0)
        return err_errno(err, "cannot write '%s'", part);
    if (client_http_file(client, path, fd, err) &&
        (rename(part, to) == 0 || err_errno(err, "cannot write '%s'", to)))
        return true;
    (void)unlink(part);
    return false;
}

bool
build_results_fetch(struct client *client, const char *pipeline, const char *number,
                    const char *artifact, const char *to, struct err *err)
{
    cleanup(strbuf_done) struct strbuf path = {0};
    cleanup_free char *begin = NULL;
    int64_t n;

    if (!find_number(client, pipeline, number, &n, err))
        return false;
    begin = path_of(pipeline, n, "/artifacts/");
    strbuf_add_cstr(&path, begin);
    uri_encode(&path, str_of(artifact), true);
    return to == NULL || strcmp(to, "-") == 0
               ? client_http_file(client, strbuf_cstr(&path), STDOUT_FILENO, err)
               : fetch_file(client, strbuf_cstr(&path), to, err);
}
