/* SPDX-License-Identifier: MIT */
#include "cli/follow.h"

#include <stdlib.h>
#include "base/clock.h"

#define POLL_MS 150
#define OUTAGE_MAX_MS 30000 /* naru may restart while we look on */
#define EVENTS_SEEN_MAX 100

/* ---- finding ---- */

static struct json *
one_name(const char *list, const char *name, const char *cluster)
{
    struct json *input = json_object(), *names = json_array();

    if (cluster != NULL)
        json_set(input, "cluster", json_text(cluster));
    json_append(names, json_text(name));
    json_set(input, list, names);
    return input;
}

struct json *
service_describe(struct client *client, const char *cluster, const char *service, struct err *err)
{
    cleanup_json struct json *input = one_name("services", service, cluster);
    cleanup_json struct json *answer = client_call(client, "ecs", "DescribeServices", input, err);
    struct json *found = json_at(json_get(answer, "services"), 0);

    if (answer == NULL)
        return NULL;
    if (found != NULL && strcmp(json_get_cstr(found, "status", ""), "INACTIVE") != 0)
        return json_ref(found);
    err_set(err, ERR_SERVICE_NOT_FOUND, "there is no service '%s' in cluster '%s'", service,
            arn_tail(cluster));
    return NULL;
}

struct json *
clusters_list(struct client *client, struct err *err)
{
    cleanup_json struct json *input = json_object(), *all = json_array();

    for (int page = 0; page < 1000; page++) {
        cleanup_json struct json *answer = client_call(client, "ecs", "ListClusters", input, err);
        const struct json *arns = json_get(answer, "clusterArns"),
                          *token = json_get(answer, "nextToken");

        if (answer == NULL)
            return NULL;
        for (size_t i = 0; i < json_size(arns); i++)
            json_append(all, json_ref(json_at(arns, i)));
        if (json_type(token) != JSON_TEXT)
            break;
        json_set(input, "nextToken", json_ref(token));
    }
    return TAKE(all);
}

bool
service_locate(struct client *client, const char *cluster, const char *service, char *cluster_out,
               size_t cluster_size, struct json **service_out, struct err *err)
{
    cleanup_json struct json *clusters = NULL, *found = NULL;

    if (cluster != NULL) {
        found = service_describe(client, cluster, service, err);
        if (found == NULL)
            return false;
        text_copy(cluster_out, cluster_size, str_of(cluster));
        *service_out = TAKE(found);
        return true;
    }
    clusters = clusters_list(client, err);
    if (clusters == NULL)
        return false;
    for (size_t i = 0; i < json_size(clusters); i++) {
        const char *name = arn_tail(json_cstr(json_at(clusters, i), ""));
        struct err cause = {0};
        struct json *here = service_describe(client, name, service, &cause);

        if (here == NULL && cause.code != ERR_SERVICE_NOT_FOUND) {
            *err = cause;
            return false;
        }
        if (here != NULL && found != NULL) {
            json_unref(here);
            return err_set(err, ERR_USAGE,
                           "service '%s' is in the clusters '%s' and '%s': say --cluster", service,
                           cluster_out, name);
        }
        if (here != NULL) {
            found = here;
            text_copy(cluster_out, cluster_size, str_of(name));
        }
    }
    if (found == NULL)
        return err_set(err, ERR_SERVICE_NOT_FOUND,
                       "there is no service '%s' in any cluster (naru status lists them)", service);
    *service_out = TAKE(found);
    return true;
}

bool
service_check_controller(const struct json *service, struct err *err)
{
    const struct json *controller = json_get(service, "deploymentController");

    return strcmp(json_get_cstr(controller, "type", "ECS"), "EXTERNAL") != 0 ||
           err_set(
               err, ERR_USAGE,
               "%s has the deployment controller EXTERNAL: somebody else makes its task sets, and "
               "no service deployment stands for them (naru status shows them; naru aws ecs "
               "create-task-set makes one)",
               json_get_cstr(service, "serviceName", ""));
}

struct json *
task_definition_describe(struct client *client, const char *name, struct err *err)
{
    cleanup_json struct json *input = json_object();

    json_set(input, "taskDefinition", json_text(name));
    return client_call(client, "ecs", "DescribeTaskDefinition", input, err);
}

struct json *
service_deployment_describe(struct client *client, const char *arn, struct err *err)
{
    cleanup_json struct json *input = one_name("serviceDeploymentArns", arn, NULL);
    cleanup_json struct json *answer =
        client_call(client, "ecs", "DescribeServiceDeployments", input, err);
    struct json *found = json_at(json_get(answer, "serviceDeployments"), 0);

    if (answer != NULL && found == NULL)
        err_set(err, ERR_SERVICE_DEPLOYMENT_NOT_FOUND, "the service deployment %s is not known",
                arn);
    return found != NULL ? json_ref(found) : NULL;
}

/* ---- following ---- */

struct watch {
    struct follow *f;
    struct progress own, *progress;
    char seen[EVENTS_SEEN_MAX][64]; /* ids of events that were printed, or were there before us */
    int seen_count;
    char last_status[64], last_tasks[256];
    char deployment_id[128]; /* "ecs-svc/..." of what is deployed */
    bool has_looked;
};

static bool
saw_event(struct watch *w, const char *id)
{
    for (int i = 0; i < w->seen_count && i < EVENTS_SEEN_MAX; i++)
        if (strcmp(w->seen[i], id) == 0)
            return true;
    text_copy(w->seen[w->seen_count % EVENTS_SEEN_MAX], sizeof(w->seen[0]), str_of(id));
    w->seen_count++;
    return false;
}

char *
event_without_arns(const char *text)
{
    static const char begin[] = "arn:", middle[] = "targetgroup/";
    const char *arn = strstr(text, begin), *name = arn != NULL ? strstr(arn, middle) : NULL;
    const char *end = name != NULL ? strchr(name + sizeof(middle) - 1, '/') : NULL;
    const char *rest = end != NULL ? strchr(end, ')') : NULL;

    if (rest == NULL)
        return text_dup(text);
    name += sizeof(middle) - 1;
    return text_format("%.*s%.*s%s", (int)(arn - text), text, (int)(end - name), name, rest);
}

static size_t
event_count(const struct json *events)
{
    return json_size(events) < EVENTS_SEEN_MAX / 2 ? json_size(events) : EVENTS_SEEN_MAX / 2;
}

/* No task ever ran whose end could tell what is wrong with the image. */
static void
take_cause(struct watch *w, const char *text)
{
    const char *found = strstr(text, "could not resolve the images of (deployment "),
               *why = found != NULL ? strstr(found, "): ") : NULL;

    if (why != NULL && strstr(found, w->deployment_id) != NULL)
        snprintf(w->f->cause, sizeof(w->f->cause), "%s", why + 3);
}

/* Events come newest first, and are told oldest first. */
static void
tell_events(struct watch *w, const struct json *service)
{
    const struct json *events = json_get(service, "events");
    const size_t count = event_count(events);

    for (size_t i = count; i > 0; i--) {
        const struct json *event = json_at(events, i - 1);
        cleanup_free char *text = event_without_arns(json_get_cstr(event, "message", ""));

        if (saw_event(w, json_get_cstr(event, "id", "")) ||
            (!w->has_looked && w->f->before == NULL))
            continue;
        take_cause(w, text);
        if (!w->f->is_quiet)
            progress_line(w->progress, "event", "%s", text);
    }
    w->has_looked = true;
}

static void
tell_tasks(struct watch *w, const struct json *service)
{
    const struct json *deployments = json_get(service, "deployments");
    char text[256] = "";
    size_t used = 0;

    for (size_t i = 0; i < json_size(deployments) && used < sizeof(text) - 90; i++) {
        const struct json *d = json_at(deployments, i);
        const char *definition = arn_tail(json_get_cstr(d, "taskDefinition", ""));

        used += (size_t)snprintf(text + used, sizeof(text) - used, "%s%s %.40s %lld/%lld running",
                                 i > 0 ? ", " : "", i == 0 ? "new" : "old", definition,
                                 (long long)json_get_i64(d, "runningCount", 0),
                                 (long long)json_get_i64(d, "desiredCount", 0));
        if (used < sizeof(text) - 40 && json_get_i64(d, "pendingCount", 0) > 0)
            used += (size_t)snprintf(text + used, sizeof(text) - used, " %lld pending",
                                     (long long)json_get_i64(d, "pendingCount", 0));
        if (used < sizeof(text) - 40 && json_get_i64(d, "failedTasks", 0) > 0)
            used += (size_t)snprintf(text + used, sizeof(text) - used, " %lld failed",
                                     (long long)json_get_i64(d, "failedTasks", 0));
    }
    if (strcmp(text, w->last_tasks) != 0 && !w->f->is_quiet)
        progress_line(w->progress, "tasks", "%s", text);
    memcpy(w->last_tasks, text, sizeof(text));
}

/* The newest task of the deployment that stopped by itself or for its health; NULL if none is
 * known.
 */
static struct json *
newest_failed(const struct watch *w)
{
    cleanup_json struct json *input = json_object(), *listed = NULL, *described = NULL;
    struct json *newest = NULL;

    json_set(input, "cluster", json_text(w->f->cluster));
    json_set(input, "startedBy", json_text(w->deployment_id));
    json_set(input, "desiredStatus", json_text("STOPPED"));
    listed = client_call(w->f->client, "ecs", "ListTasks", input, NULL);
    if (json_size(json_get(listed, "taskArns")) == 0)
        return NULL;
    json_delete(input, "startedBy");
    json_delete(input, "desiredStatus");
    json_set(input, "tasks", json_ref(json_get(listed, "taskArns")));
    described = client_call(w->f->client, "ecs", "DescribeTasks", input, NULL);
    for (size_t i = 0; i < json_size(json_get(described, "tasks")); i++) {
        struct json *task = json_at(json_get(described, "tasks"), i);

        if (str_starts(str_of(json_get_cstr(task, "stoppedReason", "")), STR("Scaling activity")))
            continue; /* one that went with the others when they were rolled back */
        if (newest == NULL ||
            json_f64(json_get(task, "createdAt"), 0) > json_f64(json_get(newest, "createdAt"), 0))
            newest = task;
    }
    return newest != NULL ? json_ref(newest) : NULL;
}

/* "Essential container in task exited (container app: exit code 1)" */
static void
describe_stop(struct watch *w, const struct json *task)
{
    cleanup_free char *reason = event_without_arns(json_get_cstr(task, "stoppedReason", ""));
    const struct json *containers = json_get(task, "containers");

    snprintf(w->f->cause, sizeof(w->f->cause), "%s", reason);
    for (size_t i = 0; i < json_size(containers); i++) {
        const struct json *c = json_at(containers, i);
        const char *why = json_get_cstr(c, "reason", "");
        const int64_t code = json_get_i64(c, "exitCode", 0);

        if (why[0] == '\0' && code == 0)
            continue;
        if (why[0] != '\0')
            snprintf(w->f->cause, sizeof(w->f->cause), "%s (container %s: %s)", reason,
                     json_get_cstr(c, "name", ""), why);
        else
            snprintf(w->f->cause, sizeof(w->f->cause), "%s (container %s: exit code %lld)", reason,
                     json_get_cstr(c, "name", ""), (long long)code);
        return;
    }
}

/* That a breaker opened is no answer to "what is wrong with my version?". */
static void
find_cause(struct watch *w)
{
    cleanup_json struct json *task = newest_failed(w);

    if (task != NULL)
        describe_stop(w, task);
    if (w->f->cause[0] != '\0' && !w->f->is_quiet)
        progress_line(w->progress, "cause", "%s", w->f->cause);
}

static int
conclude(struct watch *w, int code, const char *verdict, const char *reason)
{
    const enum cli_colour colour = code == EXIT_LIVE ? COLOUR_GOOD : COLOUR_BAD;

    text_copy(w->f->verdict, sizeof(w->f->verdict), str_of(verdict));
    text_copy(w->f->reason, sizeof(w->f->reason),
              str_slice(str_of(reason), 0, sizeof(w->f->reason) - 1));
    if (!w->f->is_quiet)
        progress_line(w->progress, "verdict", "%s%s%s%s%s", cli_colour(colour), verdict,
                      cli_colour(COLOUR_NONE), reason[0] != '\0' ? ": " : "", reason);
    return code;
}

/* The exit code if `status` is an end, else -1. */
static int
verdict_of(struct watch *w, const struct json *deployment, const struct json *service)
{
    const char *status = json_get_cstr(deployment, "status", "");
    const char *reason = json_get_cstr(deployment, "statusReason", "");
    const char *current = json_get_cstr(service, "currentServiceDeployment", w->f->deployment_arn);

    if (!w->f->is_rollback && str_starts(str_of(status), STR("ROLLBACK_")) &&
        (str_ends(str_of(status), STR("_SUCCESSFUL")) || str_ends(str_of(status), STR("_FAILED"))))
        find_cause(w);
    if (strcmp(status, "SUCCESSFUL") == 0)
        return conclude(w, EXIT_LIVE, "live", reason);
    if (strcmp(status, "ROLLBACK_SUCCESSFUL") == 0)
        return w->f->is_rollback
                   ? conclude(w, EXIT_LIVE, "live", "the previous revision runs again")
                   : conclude(w, EXIT_ROLLED_BACK, "rolled back", reason);
    if (strcmp(status, "ROLLBACK_FAILED") == 0)
        return conclude(w, EXIT_INFRASTRUCTURE, "rollback failed", reason);
    if (strcmp(status, "STOPPED") != 0)
        return -1;
    if (strcmp(current, w->f->deployment_arn) != 0)
        return conclude(w, EXIT_SUPERSEDED, "superseded", "a newer deployment took its place");
    return conclude(w, EXIT_ERROR, "stopped", reason);
}

static int
look(struct watch *w, struct err *err)
{
    cleanup_json struct json *deployment =
        service_deployment_describe(w->f->client, w->f->deployment_arn, err);
    cleanup_json struct json *service = NULL;
    const char *status;

    if (deployment == NULL)
        return -2;
    service = service_describe(w->f->client, w->f->cluster, w->f->service, err);
    if (service == NULL)
        return -2;
    status = json_get_cstr(deployment, "status", "");
    if (strcmp(status, w->last_status) != 0 && !w->f->is_quiet)
        progress_line(w->progress, "deployment", "%s", status);
    text_copy(w->last_status, sizeof(w->last_status), str_of(status));
    if (!w->has_looked)
        text_copy(w->deployment_id, sizeof(w->deployment_id),
                  str_of(json_get_cstr(json_at(json_get(service, "deployments"), 0), "id", "")));
    tell_tasks(w, service);
    tell_events(w, service);
    return verdict_of(w, deployment, service);
}

int
follow_deployment(struct follow *f)
{
    struct watch w = {.f = f};
    const int64_t end_ms = clock_monotonic_ms() + f->timeout_ms;
    int64_t answered_ms = clock_monotonic_ms();

    for (size_t i = 0; i < event_count(json_get(f->before, "events")); i++)
        (void)saw_event(&w, json_get_cstr(json_at(json_get(f->before, "events"), i), "id", ""));
    w.progress = f->progress != NULL ? f->progress : &w.own;
    if (f->progress == NULL)
        progress_begin(&w.own);
    for (;;) {
        struct err err = {0};
        const int code = look(&w, &err);
        const int64_t now_ms = clock_monotonic_ms();

        if (code >= 0)
            return code;
        if (code == -1)
            answered_ms = now_ms;
        else if (cli_exit_code(&err) != EXIT_INFRASTRUCTURE)
            return conclude(&w, EXIT_ERROR, "unknown", err.message);
        else if (now_ms - answered_ms > OUTAGE_MAX_MS)
            return conclude(&w, EXIT_INFRASTRUCTURE, "unknown", err.message);
        if (now_ms > end_ms) {
            find_cause(&w);
            return conclude(&w, EXIT_INFRASTRUCTURE, "unknown",
                            "timed out; the deployment goes on");
        }
        clock_sleep_ms(POLL_MS);
    }
}
