/* SPDX-License-Identifier: MIT */
/* naru-demo - shows the promise on the sample that `naru up` has made: under steady load, a good
 * version is pushed, then one whose health check fails, then one that crashes at its start.  A line
 * per state change; the last line is `requests=N failed=N versions=... live_s=S rollback_s=S`. Exit
 * status 0 only if no request failed and every version ended as it had to. naru-demo [--data-dir
 * DIR] */
#include <stdlib.h>
#include <string.h>
#include "base/clock.h"
#include "cli/builds.h"
#include "cli/follow.h"
#include "cli/sample.h"
#include "io/file.h"
#include "io/process.h"
#include "load.h"

#define DEPLOY_STARTS_MS 120000
#define DEPLOY_ENDS_MS 300000
#define BUILD_ENDS_MS 60000

struct demo {
    const char *data_dir;
    char work_tree[600];
    struct client *client;
    struct load *load;
    struct progress progress;
    int64_t began_ms; /* of the load, wall clock */
    char commit[64];
    double live_s, rollback_s;
    bool is_good;
};

static bool
run(struct demo *d, struct strbuf *output, struct err *err, const char *const *argv)
{
    const struct process_spec spec = {.argv = argv, .directory = d->work_tree, .timeout_ms = 60000};
    cleanup(process_result_done) struct process_result result = {0};

    if (!process_run(&spec, &result, err))
        return false;
    if (output != NULL)
        strbuf_add(output, strbuf_str(&result.output));
    return result.exit_code == 0 ||
           err_set(err, ERR_INTERNAL, "'%s %s' failed: %.500s", argv[0], argv[1],
                   strbuf_cstr(result.error.len > 0 ? &result.error : &result.output));
}

#define RUN(d, output, err, ...) run(d, output, err, (const char *const[]){__VA_ARGS__, NULL})

static bool
write_file(const struct demo *d, const char *name, const char *text, struct err *err)
{
    cleanup_free char *path = text_format("%s/%s", d->work_tree, name);

    return file_write_atomic(path, str_of(text), 0644, err);
}

/* Commits a version and pushes it. */
static bool
push_version(struct demo *d, int version, const char *condition, struct err *err)
{
    cleanup_free char *number = text_format("%d\n", version),
                      *well = text_format("%s\n", condition);
    cleanup_free char *message = text_format("version %d (%s)", version, condition);
    cleanup(strbuf_done) struct strbuf head = {0};

    if (!write_file(d, "VERSION", number, err) || !write_file(d, "CONDITION", well, err) ||
        !RUN(d, NULL, err, "git", "commit", "-q", "-a", "-m", message) ||
        !RUN(d, &head, err, "git", "rev-parse", "HEAD"))
        return false;
    text_copy(d->commit, sizeof(d->commit), str_trim(strbuf_str(&head)));
    progress_line(&d->progress, "git push", "%s", message);
    return RUN(d, NULL, err, "git", "push", "-q", "naru", "main");
}

static bool
current_deployment(struct demo *d, char *out, size_t size, struct err *err)
{
    cleanup_json struct json *service =
        service_describe(d->client, SAMPLE_CLUSTER, SAMPLE_SERVICE, err);

    return service != NULL &&
           text_copy(out, size, str_of(json_get_cstr(service, "currentServiceDeployment", "")));
}

/* Until the build's own update-service has begun another deployment than `before`. */
static bool
wait_for_deployment(struct demo *d, const char *before, char *out, size_t size, struct err *err)
{
    const int64_t end_ms = clock_monotonic_ms() + DEPLOY_STARTS_MS;

    while (clock_monotonic_ms() < end_ms) {
        cleanup_json struct json *build = builds_find(d->client, SAMPLE_REPOSITORY, d->commit, err);

        if (!current_deployment(d, out, size, err))
            return false;
        if (strcmp(out, before) != 0)
            return true;
        if (build_is_over(build))
            return err_set(
                err, ERR_CLIENT,
                "the build ended with %s before it deployed (naru logs --build " SAMPLE_REPOSITORY
                "#%lld)",
                build_result(build), (long long)json_get_i64(build, "number", 0));
        clock_sleep_ms(20);
    }
    return err_set(err, ERR_TIMEOUT, "no deployment within %d s of the push",
                   DEPLOY_STARTS_MS / 1000);
}

static bool
wait_for_build(struct demo *d, const char *wanted, struct err *err)
{
    const int64_t end_ms = clock_monotonic_ms() + BUILD_ENDS_MS;

    while (clock_monotonic_ms() < end_ms) {
        cleanup_json struct json *build = builds_find(d->client, SAMPLE_REPOSITORY, d->commit, err);

        if (build_is_over(build)) {
            progress_line(&d->progress, "build", "#%lld %s",
                          (long long)json_get_i64(build, "number", 0), build_result(build));
            if (strcmp(build_result(build), wanted) == 0)
                return true;
            return err_set(err, ERR_CLIENT, "the build ended with %s instead of %s",
                           build_result(build), wanted);
        }
        clock_sleep_ms(20);
    }
    return err_set(err, ERR_TIMEOUT, "the build does not end");
}

/* Seconds from the first task of the deployment's own revision to its end. */
static double
seconds_to_rollback(struct demo *d, const char *deployment_arn)
{
    cleanup_json struct json *deployment =
        service_deployment_describe(d->client, deployment_arn, NULL);
    const double began =
        json_f64(json_get(deployment, "startedAt"), json_f64(json_get(deployment, "createdAt"), 0));
    const double ended = json_f64(json_get(deployment, "finishedAt"), 0);

    return ended > began ? ended - began : 0;
}

/* When the last answer of any other version came, in ms since the load began. */
static int64_t
last_answer_of_others(const struct load_report *report, const char *version)
{
    int64_t last = 0;

    for (int i = 0; i < report->version_count; i++)
        if (strcmp(report->versions[i].name, version) != 0 && report->versions[i].last_ms > last)
            last = report->versions[i].last_ms;
    return last;
}

static bool
has_answered(const struct load_report *report, const char *version)
{
    for (int i = 0; i < report->version_count; i++)
        if (strcmp(report->versions[i].name, version) == 0)
            return true;
    return false;
}

struct expectation {
    int version;
    const char *condition;
    int verdict; /* enum cli_exit */
    const char *build;
};

static bool
check_answers(struct demo *d, const struct expectation *e, int64_t pushed_ms, struct err *err)
{
    cleanup_free char *version = text_format("%d", e->version);
    struct load_report report;

    clock_sleep_ms(300); /* answers on their way */
    load_look(d->load, &report);
    if (e->verdict == EXIT_LIVE) {
        if (!has_answered(&report, version))
            return err_set(err, ERR_CLIENT, "version %s is said to be live, but never answered",
                           version);
        d->live_s = (double)(last_answer_of_others(&report, version) - pushed_ms) / 1000;
        progress_line(&d->progress, "live", "version %s answers everything, %.3f s after the push",
                      version, d->live_s);
    } else if (has_answered(&report, version)) {
        return err_set(err, ERR_CLIENT, "version %s answered users, and must not have", version);
    }
    return true;
}

static bool
try_version(struct demo *d, const struct expectation *e, struct err *err)
{
    char before[1024], deployment[1024];
    struct follow f = {.client = d->client,
                       .cluster = SAMPLE_CLUSTER,
                       .service = SAMPLE_SERVICE,
                       .deployment_arn = deployment,
                       .timeout_ms = DEPLOY_ENDS_MS,
                       .progress = &d->progress};
    struct load_report report;
    int verdict;

    load_look(d->load, &report);
    if (!current_deployment(d, before, sizeof(before), err) ||
        !push_version(d, e->version, e->condition, err) ||
        !wait_for_deployment(d, before, deployment, sizeof(deployment), err))
        return false;
    verdict = follow_deployment(&f);
    if (verdict != e->verdict)
        return err_set(err, ERR_CLIENT, "version %d (%s) ended as '%s': %s", e->version,
                       e->condition, f.verdict, f.reason);
    if (verdict == EXIT_ROLLED_BACK) {
        const double seconds = seconds_to_rollback(d, deployment);

        d->rollback_s = seconds > d->rollback_s ? seconds : d->rollback_s;
        progress_line(&d->progress, "rollback", "version %d rolled back after %.3f s", e->version,
                      seconds);
    }
    return wait_for_build(d, e->build, err) && check_answers(d, e, report.elapsed_ms, err);
}

static bool
find_listener(struct demo *d, struct load_config *load, struct err *err)
{
    cleanup_json struct json *input =
                                 json_parse(STR("{\"Names\":[\"" SAMPLE_LOAD_BALANCER "\"]}"), err),
                             *ask = json_object();
    cleanup_json struct json *balancers = NULL, *listeners = NULL;

    balancers = client_call(d->client, "elbv2", "DescribeLoadBalancers", input, err);
    if (balancers == NULL)
        return err_context(err, "is the sample up (make up)?");
    json_set(
        ask, "LoadBalancerArn",
        json_ref(json_get(json_at(json_get(balancers, "LoadBalancers"), 0), "LoadBalancerArn")));
    listeners = client_call(d->client, "elbv2", "DescribeListeners", ask, err);
    if (listeners == NULL)
        return false;
    load->port =
        (int)json_get_i64(json_find(json_get(listeners, "Listeners"), "Protocol", "HTTP"), "Port", 0);
    return load->port != 0 ||
           err_set(err, ERR_LISTENER_NOT_FOUND, "the load balancer has no listener of HTTP");
}

static bool
next_version(struct demo *d, int *out, struct err *err)
{
    cleanup_free char *path = text_format("%s/VERSION", d->work_tree);
    cleanup(strbuf_done) struct strbuf text = {0};
    int64_t number;

    if (!file_read(path, 64, &text, err))
        return err_context(err, "is the sample up (make up)?");
    if (!str_to_i64(str_trim(strbuf_str(&text)), &number) || number < 1 || number > 1000000)
        return err_set(err, ERR_USAGE, "%s holds no number", path);
    *out = (int)number + 1;
    return true;
}

static bool
run_demo(struct demo *d, struct err *err)
{
    struct load_config load = {.host = "127.0.0.1",
                               .path = "/",
                               .slow_path = "/slow?ms=400",
                               .keep_alive = 6,
                               .fresh = 2,
                               .slow = 2,
                               .rate = 400,
                               .timeout_ms = 10000};
    int version = 0;

    if (!find_listener(d, &load, err) || !next_version(d, &version, err))
        return false;
    progress_begin(&d->progress);
    d->load = load_start(&load);
    progress_line(
        &d->progress, "load",
        "%d requests a second on http://localhost:%d/: kept and fresh connections, slow answers",
        load.rate, load.port);
    clock_sleep_ms(1000);
    const struct expectation expectations[] = {
        {version, "well", EXIT_LIVE, "SUCCESS"},
        {version + 1, "unhealthy", EXIT_ROLLED_BACK, "FAILURE"},
        {version + 2, "crashing", EXIT_ROLLED_BACK, "FAILURE"},
    };
    for (size_t i = 0; i < ARRAY_COUNT(expectations); i++)
        if (!try_version(d, &expectations[i], err))
            return false;
    return true;
}

static void
print_result(struct demo *d)
{
    struct load_report r;

    load_stop(d->load, &r);
    for (int i = 0; i < r.sample_count; i++)
        printf("failure at %.3f s: %s\n", (double)r.samples[i].at_ms / 1000, r.samples[i].text);
    printf("answers: p50 %.2f ms, p99 %.2f ms, longest %.1f ms (without the slow ones); %lld idle "
           "connections reopened\n",
           r.p50_ms, r.p99_ms, r.max_ms, (long long)r.resent);
    printf("requests=%lld failed=%lld versions=", (long long)r.requests, (long long)r.failed);
    for (int i = 0; i < r.version_count; i++)
        printf("%s%s:%lld", i > 0 ? "," : "", r.versions[i].name, (long long)r.versions[i].count);
    printf(" live_s=%.3f rollback_s=%.3f\n", d->live_s, d->rollback_s);
    d->is_good = d->is_good && r.failed == 0;
}

int
main(int argc, char **argv)
{
    struct demo d = {0};
    struct client_config config;
    struct err err = {0};
    int status = EXIT_LIVE;

    if (argc == 3 && strcmp(argv[1], "--data-dir") == 0)
        d.data_dir = argv[2];
    else if (argc != 1) {
        fputs("Usage: naru-demo [--data-dir DIR]\n", stderr);
        return EXIT_USAGE;
    }
    client_forget_environment();
    if (!client_config_load(&config, d.data_dir, &err))
        return cli_fail(&err);
    snprintf(d.work_tree, sizeof(d.work_tree), "%.500s/sample/my-app", client_data_dir(d.data_dir));
    d.client = client_new(&config);
    d.is_good = run_demo(&d, &err);
    if (!d.is_good)
        status = cli_fail(&err);
    if (d.load != NULL)
        print_result(&d);
    client_free(d.client);
    return d.is_good ? EXIT_LIVE : status != EXIT_LIVE ? status : EXIT_ERROR;
}
