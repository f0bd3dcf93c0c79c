/* SPDX-License-Identifier: MIT */
#include "cli/up_report.h"

#include <stdlib.h>
#include "base/clock.h"
#include "cli/follow.h"
#include "cli/local.h"
#include "cli/sample.h"
#include "io/file.h"
#include "io/http_client.h"

#define ANSWER_TIMEOUT_MS 10000
#define SERVES_TIMEOUT_MS 120000

/* What the tasks and events of the newest deployment say, in ms since the epoch; 0: unknown. */
struct times {
    int64_t deployed, created, pull_began, pull_ended, started, draining, drained, completed;
};

static int64_t
time_ms(const struct json *object, const char *name)
{
    return (int64_t)(json_f64(json_get(object, name), 0) * 1000 + 0.5);
}

static void
latest(int64_t *at, int64_t ms)
{
    *at = ms > *at ? ms : *at;
}

static void
earliest(int64_t *at, int64_t ms)
{
    if (ms != 0 && (*at == 0 || ms < *at))
        *at = ms;
}

/* The tasks of the service in one state, described. */
static struct json *
describe_tasks(struct client *client, const char *state)
{
    cleanup_json struct json *list_input = json_object(), *listed = NULL, *input = json_object();

    json_set(list_input, "cluster", json_text(SAMPLE_CLUSTER));
    json_set(list_input, "serviceName", json_text(SAMPLE_SERVICE));
    json_set(list_input, "desiredStatus", json_text(state));
    listed = client_call(client, "ecs", "ListTasks", list_input, NULL);
    if (json_size(json_get(listed, "taskArns")) == 0)
        return NULL;
    json_set(input, "cluster", json_text(SAMPLE_CLUSTER));
    json_set(input, "tasks", json_ref(json_get(listed, "taskArns")));
    return client_call(client, "ecs", "DescribeTasks", input, NULL);
}

static void
read_new_tasks(struct client *client, const char *deployment_id, struct times *t)
{
    cleanup_json struct json *answer = describe_tasks(client, "RUNNING");
    const struct json *tasks = json_get(answer, "tasks");

    for (size_t i = 0; i < json_size(tasks); i++) {
        const struct json *task = json_at(tasks, i);

        if (strcmp(json_get_cstr(task, "startedBy", ""), deployment_id) != 0)
            continue;
        earliest(&t->created, time_ms(task, "createdAt"));
        earliest(&t->pull_began, time_ms(task, "pullStartedAt"));
        latest(&t->pull_ended, time_ms(task, "pullStoppedAt"));
        latest(&t->started, time_ms(task, "startedAt"));
    }
}

static void
read_old_tasks(struct client *client, struct times *t)
{
    cleanup_json struct json *answer = describe_tasks(client, "STOPPED");
    const struct json *tasks = json_get(answer, "tasks");

    for (size_t i = 0; i < json_size(tasks); i++)
        if (time_ms(json_at(tasks, i), "stoppingAt") >= t->deployed)
            latest(&t->drained, time_ms(json_at(tasks, i), "stoppingAt"));
}

static void
read_times(struct client *client, struct times *t)
{
    cleanup_json struct json *service =
        service_describe(client, SAMPLE_CLUSTER, SAMPLE_SERVICE, NULL);
    cleanup_json struct json *deployment = service_deployment_describe(
        client, json_get_cstr(service, "currentServiceDeployment", ""), NULL);
    const struct json *events = json_get(service, "events");

    t->deployed = time_ms(deployment, "createdAt");
    t->completed = time_ms(deployment, "finishedAt");
    read_new_tasks(client, json_get_cstr(json_at(json_get(service, "deployments"), 0), "id", ""),
                   t);
    read_old_tasks(client, t);
    for (size_t i = 0; i < json_size(events); i++)
        if (time_ms(json_at(events, i), "createdAt") >= t->started &&
            strstr(json_get_cstr(json_at(events, i), "message", ""), "draining") != NULL)
            earliest(&t->draining, time_ms(json_at(events, i), "createdAt"));
}

static void
row(const char *name, int64_t from_ms, int64_t to_ms)
{
    if (from_ms != 0 && to_ms >= from_ms)
        printf("  %-10s %7.3f s\n", name, (double)(to_ms - from_ms) / 1000);
}

static void
print_times(struct client *client, const struct up_summary *s)
{
    const struct json *stages = json_get(s->build, "stages");
    struct times t = {0};
    int64_t total_ms;

    read_times(client, &t);
    puts("\nfrom git push to live:");
    row("git push", s->pushed_at_ms, json_get_i64(s->build, "startedAtMs", 0));
    for (size_t i = 0; i < json_size(stages); i++) {
        const struct json *stage = json_at(stages, i);
        cleanup_free char *name = text_dup(json_get_cstr(stage, "name", ""));

        for (char *c = name; *c != '\0'; c++)
            *c = *c >= 'A' && *c <= 'Z' ? (char)(*c - 'A' + 'a') : *c;
        if (strcmp(name, "deploy") != 0) /* shown by its parts below */
            printf("  %-10s %7.3f s\n", strstr(name, "checkout") != NULL ? "checkout" : name,
                   (double)json_get_i64(stage, "tookMs", 0) / 1000);
    }
    row("schedule", t.deployed, t.created);
    row("pull", t.pull_began, t.pull_ended);
    row("start", t.pull_ended != 0 ? t.pull_ended : t.created, t.started);
    row("healthy", t.started, t.draining);
    row("drained", t.draining, t.drained);
    row("completed", t.drained, t.completed);
    total_ms = t.completed - s->pushed_at_ms;
    if (t.completed != 0)
        printf("  %-10s %7.3f s\n", "in all", (double)total_ms / 1000);
}

/* The application says its version in a header. */
static bool
ask_version(int port, char *out, size_t size, struct err *err)
{
    struct http_client *http = http_client_new();
    struct str version;
    cleanup_free char *url = text_format("http://localhost:%d/", port);
    cleanup(http_answer_done) struct http_answer answer = {0};
    const struct http_call call = {.method = "GET", .url = url, .timeout_ms = ANSWER_TIMEOUT_MS};
    const bool is_good = http_client_call(http, &call, &answer, err);

    http_client_free(http);
    if (!is_good)
        return false;
    if (answer.status != 200)
        return err_set(err, ERR_HAPROXY, "%s answers %d", url, answer.status);
    version = http_answer_header(&answer, "X-Version");
    return text_copy(out, size, version.len > 0 && version.len < size ? version : STR("unknown"));
}

static int64_t
count_healthy(struct client *client, const struct json *service)
{
    cleanup_json struct json *input = json_object(), *answer = NULL;
    const struct json *targets;
    int64_t healthy = 0;

    json_set(input, "TargetGroupArn",
             json_text(json_get_cstr(json_at(json_get(service, "loadBalancers"), 0),
                                     "targetGroupArn", "")));
    answer = client_call(client, "elbv2", "DescribeTargetHealth", input, NULL);
    targets = json_get(answer, "TargetHealthDescriptions");
    for (size_t i = 0; i < json_size(targets); i++)
        healthy += strcmp(json_get_cstr(json_get(json_at(targets, i), "TargetHealth"), "State", ""),
                          "healthy") == 0;
    return healthy;
}

/* After a restart the tasks come back one by one. */
static bool
is_service_whole(struct client *client, struct err *err)
{
    cleanup_json struct json *service =
        service_describe(client, SAMPLE_CLUSTER, SAMPLE_SERVICE, err);
    const int64_t desired = json_get_i64(service, "desiredCount", 0),
                  running = json_get_i64(service, "runningCount", 0);
    int64_t healthy;

    if (service == NULL)
        return false;
    healthy = count_healthy(client, service);
    if (json_size(json_get(service, "deployments")) == 1 && running == desired &&
        healthy >= desired)
        return true;
    return err_set(err, ERR_TIMEOUT,
                   "of %lld tasks of " SAMPLE_SERVICE " %lld run and %lld are healthy; naru logs "
                   "--service " SAMPLE_SERVICE " may say why",
                   (long long)desired, (long long)running, (long long)healthy);
}

/* Another program on our port would answer, too. */
static bool
has_traffic(struct client *client, struct err *err)
{
    char problem[512];

    return !local_server_says(client_get_config(client), "problem", problem, sizeof(problem)) ||
           err_set(err, ERR_HAPROXY, "%s", problem);
}

/* Until the service is whole and HAProxy has its new targets: before, it answers 503, or nobody. */
static bool
wait_for_version(struct client *client, int port, char *out, size_t size, struct err *err)
{
    const int64_t end_ms = clock_monotonic_ms() + SERVES_TIMEOUT_MS;

    while (!is_service_whole(client, err) || !ask_version(port, out, size, err) ||
           !has_traffic(client, err)) {
        if (clock_monotonic_ms() > end_ms)
            return false;
        clock_sleep_ms(50);
    }
    return true;
}

/* What the next push would be called. */
static int64_t
next_version(const char *work_tree)
{
    cleanup_free char *path = text_format("%s/VERSION", work_tree);
    cleanup(strbuf_done) struct strbuf text = {0};
    int64_t number = 1;

    if (!file_read(path, 64, &text, NULL) || !str_to_i64(str_trim(strbuf_str(&text)), &number))
        return 2;
    return number + 1;
}

bool
up_report(struct client *client, const struct up_summary *s, struct err *err)
{
    char version[64];
    int64_t next;

    if (!wait_for_version(client, s->listener_port, version, sizeof(version), err))
        return false;
    if (s->build != NULL)
        print_times(client, s);
    if (!s->has_changed)
        puts("nothing to do: everything is there, and nothing was changed");
    printf("\n%shttp://localhost:%d/%s serves version %s\n\n", cli_colour(COLOUR_GOOD),
           s->listener_port, cli_colour(COLOUR_NONE), version);
    next = next_version(s->work_tree);
    printf("try next:\n"
           "  curl http://localhost:%d/\n"
           "  cd %s && echo %lld > VERSION && echo well > CONDITION && git commit -qam 'version "
           "%lld' && git push naru main\n"
           "  naru status\n",
           s->listener_port, s->work_tree, (long long)next, (long long)next);
    return true;
}
