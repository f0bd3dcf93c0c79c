/* SPDX-License-Identifier: MIT */
/* naru explain of a service deployment, or of a service (its newest one): one paragraph, then the
 * events, the tasks that failed, what the load balancer sees, and what changed since the revision
 * before. */
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include "base/clock.h"
#include "cli/commands.h"
#include "cli/explain_parts.h"
#include "cli/follow.h"
#include "cli/waiting.h"

#define PAGES_MAX 1000
#define DEPLOYMENT_ID_SIZE 21
#define TASKS_A_CALL 100
#define FAILED_MAX 20   /* told of; all are counted */
#define FAILED_SHOWN 5  /* to people */
#define EVENTS_AFTER_S 1 /* what is said as it ends */

struct inquiry {
    struct explain *x;
    char arn[1024], cluster[512], service[512];
    const struct json *sd;      /* in x->out */
    struct json *described;     /* the service; NULL once it is gone */
    char suspect[1024];         /* the revision whose tasks are looked at */
    char before[1024];          /* the one before it; empty: there was none */
    int failed_count;
};

/* ---- which one ---- */

/* "arn:...:KIND/CLUSTER/SERVICE[/ID]" */
static bool
take_arn(struct inquiry *q, const char *arn, const char *kind)
{
    cleanup_free char *mark = text_format(":%s/", kind);
    const char *found = strstr(arn, mark);
    struct str rest = str_of(found == NULL ? "" : found + strlen(mark)), cluster, service;

    if (found == NULL || !str_split(&rest, '/', &cluster) || rest.at == NULL)
        return false;
    (void)str_split(&rest, '/', &service);
    return text_copy(q->cluster, sizeof(q->cluster), cluster) &&
           text_copy(q->service, sizeof(q->service), service);
}

/* Whose id ends with what was asked for. */
static void
look_in_service(struct inquiry *q, const char *cluster, const char *service_arn)
{
    cleanup_json struct json *input = json_object();

    json_set(input, "service", json_text(service_arn));
    json_set(input, "cluster", json_text(cluster));
    for (int page = 0; page < PAGES_MAX && q->arn[0] == '\0'; page++) {
        cleanup_json struct json *answer =
            client_call(q->x->client, "ecs", "ListServiceDeployments", input, NULL);
        const struct json *list = json_get(answer, "serviceDeployments");

        for (size_t i = 0; i < json_size(list); i++) {
            const char *arn = json_get_cstr(json_at(list, i), "serviceDeploymentArn", "");
            if (strcmp(arn_tail(arn), q->x->name) == 0)
                text_copy(q->arn, sizeof(q->arn), str_of(arn));
        }
        if (json_type(json_get(answer, "nextToken")) != JSON_TEXT)
            return;
        json_set(input, "nextToken", json_ref(json_get(answer, "nextToken")));
    }
}

static void
look_in_cluster(struct inquiry *q, const char *cluster)
{
    cleanup_json struct json *input = json_object();

    json_set(input, "cluster", json_text(cluster));
    for (int page = 0; page < PAGES_MAX && q->arn[0] == '\0'; page++) {
        cleanup_json struct json *answer = client_call(q->x->client, "ecs", "ListServices", input, NULL);
        const struct json *arns = json_get(answer, "serviceArns");

        for (size_t i = 0; i < json_size(arns) && q->arn[0] == '\0'; i++)
            look_in_service(q, cluster, json_cstr(json_at(arns, i), ""));
        if (json_type(json_get(answer, "nextToken")) != JSON_TEXT)
            return;
        json_set(input, "nextToken", json_ref(json_get(answer, "nextToken")));
    }
}

static bool
find_by_id(struct inquiry *q)
{
    cleanup_json struct json *clusters = NULL;

    if (strlen(q->x->name) != DEPLOYMENT_ID_SIZE)
        return false;
    clusters = q->x->cluster != NULL ? NULL : clusters_list(q->x->client, NULL);
    if (q->x->cluster != NULL)
        look_in_cluster(q, q->x->cluster);
    for (size_t i = 0; i < json_size(clusters) && q->arn[0] == '\0'; i++)
        look_in_cluster(q, arn_tail(json_cstr(json_at(clusters, i), "")));
    return q->arn[0] != '\0' && take_arn(q, q->arn, "service-deployment");
}

/* False if it is neither; then err->code says whether that is an error. */
static bool
find(struct inquiry *q, struct err *err)
{
    const char *name = q->x->name;

    if (take_arn(q, name, "service-deployment"))
        return text_copy(q->arn, sizeof(q->arn), str_of(name));
    if (take_arn(q, name, "service"))
        q->described = service_describe(q->x->client, q->cluster, q->service, err);
    else if (strncmp(name, "arn:", 4) == 0)
        return false;
    else if (service_locate(q->x->client, q->x->cluster, name, q->cluster, sizeof(q->cluster),
                            &q->described, err))
        text_copy(q->service, sizeof(q->service), str_of(name));
    if (q->described == NULL) {
        if (strncmp(name, "arn:", 4) == 0 || err->code != ERR_SERVICE_NOT_FOUND)
            return false;
        *err = (struct err){0}; /* perhaps it is a task */
        return find_by_id(q);
    }
    return service_check_controller(q->described, err) &&
           text_copy(q->arn, sizeof(q->arn),
                     str_of(json_get_cstr(q->described, "currentServiceDeployment", "")));
}

/* ---- what is known ---- */

/* With what it waits for. */
static void
describe_service(struct inquiry *q)
{
    cleanup_json struct json *input = json_object(), *answer = NULL;
    struct json *services = json_array(), *include = json_array(), *found;

    json_append(services, json_text(q->service));
    json_append(include, json_text("WAIT"));
    json_set(input, "cluster", json_text(q->cluster));
    json_set(input, "services", services);
    json_set(input, "include", include);
    answer = client_call(q->x->client, "ecs", "DescribeServices", input, NULL);
    found = json_at(json_get(answer, "services"), 0);
    json_unref(q->described);
    q->described = found == NULL ? NULL : json_ref(found);
}

static bool
is_newest(const struct inquiry *q)
{
    return strcmp(json_get_cstr(q->described, "currentServiceDeployment", ""), q->arn) == 0;
}

/* One that took a complete deployment back is about the tasks of what it replaced. */
static void
choose_revisions(struct inquiry *q)
{
    const char *target = json_get_cstr(json_get(q->sd, "targetServiceRevision"), "arn", "");
    const char *source =
        json_get_cstr(json_at(json_get(q->sd, "sourceServiceRevisions"), 0), "arn", "");
    const char *restored = json_get_cstr(json_get(q->sd, "rollback"), "serviceRevisionArn", "");
    const bool is_return = strcmp(restored, target) == 0;

    text_copy(q->suspect, sizeof(q->suspect), str_of(is_return ? source : target));
    text_copy(q->before, sizeof(q->before), str_of(is_return ? target : source));
}

/* The task definition of a service revision, "family:revision"; "" if it is not known any more. */
static char *
definition_arn(struct inquiry *q, const char *revision_arn)
{
    cleanup_json struct json *input = json_object(), *answer = NULL;
    struct json *arns = json_array();

    json_append(arns, json_text(revision_arn));
    json_set(input, "serviceRevisionArns", arns);
    answer = revision_arn[0] == '\0'
                 ? NULL
                 : client_call(q->x->client, "ecs", "DescribeServiceRevisions", input, NULL);
    return text_dup(
        json_get_cstr(json_at(json_get(answer, "serviceRevisions"), 0), "taskDefinition", ""));
}

/* Those of its time, oldest first. */
static void
take_events(struct inquiry *q)
{
    const struct json *events = json_get(q->described, "events");
    const double from = json_f64(json_get(q->sd, "createdAt"), 0);
    const double until = json_f64(json_get(q->sd, "finishedAt"), 0);
    struct json *list = json_array();

    for (size_t i = json_size(events); i > 0; i--) {
        const struct json *e = json_at(events, i - 1);
        const double at = json_f64(json_get(e, "createdAt"), 0);
        if (at >= from && (until == 0 || at <= until + EVENTS_AFTER_S))
            json_append(list, json_ref(e));
    }
    json_set(q->x->out, "events", list);
}

/* Not one that was merely not needed any more, or that somebody stopped. */
static bool
has_failed(const struct inquiry *q, const struct json *task)
{
    const char *code = json_get_cstr(task, "stopCode", ""),
               *reason = json_get_cstr(task, "stoppedReason", "");

    return strcmp(json_get_cstr(json_get(task, "postmortem"), "serviceRevisionArn", ""),
                  q->suspect) == 0 &&
           code[0] != '\0' && strcmp(code, "UserInitiated") != 0 &&
           !str_starts(str_of(reason), STR("Scaling activity")) &&
           !str_starts(str_of(reason), STR("Availability-zone rebalancing"));
}

static void
take_tasks(struct inquiry *q, const struct json *arns, struct json *failed)
{
    cleanup_json struct json *input = json_object(), *answer = NULL;
    struct json *include = json_array();

    json_append(include, json_text("POSTMORTEM"));
    json_set(input, "cluster", json_text(q->cluster));
    json_set(input, "tasks", json_ref(arns));
    json_set(input, "include", include);
    answer = client_call(q->x->client, "ecs", "DescribeTasks", input, NULL);
    for (size_t i = 0; i < json_size(json_get(answer, "tasks")); i++) {
        struct json *task = json_at(json_get(answer, "tasks"), i);
        if (has_failed(q, task))
            json_append(failed, json_ref(task));
    }
}

static int
newest_first(const void *a, const void *b)
{
    const double left = json_f64(json_get(*(struct json *const *)a, "createdAt"), 0);
    const double right = json_f64(json_get(*(struct json *const *)b, "createdAt"), 0);

    return (left < right) - (left > right);
}

/* The newest ones, with what is left of their logs. */
static void
keep_newest(struct inquiry *q, const struct json *failed)
{
    const size_t count = json_size(failed);
    cleanup_free struct json **all = mem_new((count + 1) * sizeof(*all));
    struct json *list = json_array();

    for (size_t i = 0; i < count; i++)
        all[i] = json_at(failed, i);
    qsort(all, count, sizeof(*all), newest_first);
    for (size_t i = 0; i < count && i < FAILED_MAX; i++) {
        json_set(all[i], "log",
                 explain_log(q->x->data_dir, arn_tail(json_get_cstr(all[i], "taskArn", "")),
                             q->x->lines));
        json_append(list, json_ref(all[i]));
    }
    q->failed_count = (int)count;
    json_set(q->x->out, "failedTaskCount", json_int((int64_t)count));
    json_set(q->x->out, "failedTasks", list);
}

static void
find_failed(struct inquiry *q)
{
    cleanup_json struct json *input = json_object(), *failed = json_array();

    json_set(input, "cluster", json_text(q->cluster));
    json_set(input, "serviceName", json_text(q->service));
    json_set(input, "desiredStatus", json_text("STOPPED"));
    json_set(input, "maxResults", json_int(TASKS_A_CALL));
    for (int page = 0; page < PAGES_MAX; page++) {
        cleanup_json struct json *answer = client_call(q->x->client, "ecs", "ListTasks", input, NULL);

        if (json_size(json_get(answer, "taskArns")) > 0)
            take_tasks(q, json_get(answer, "taskArns"), failed);
        if (json_type(json_get(answer, "nextToken")) != JSON_TEXT)
            break;
        json_set(input, "nextToken", json_ref(json_get(answer, "nextToken")));
    }
    keep_newest(q, failed);
}

/* As the balancer sees them now; of those that are gone, their post-mortems tell. */
static void
find_targets(struct inquiry *q)
{
    const struct json *groups = json_get(q->described, "loadBalancers");
    struct json *list = json_array();

    for (size_t i = 0; is_newest(q) && i < json_size(groups); i++) {
        cleanup_json struct json *input = json_object(), *answer = NULL;
        const char *arn = json_get_cstr(json_at(groups, i), "targetGroupArn", "");

        json_set(input, "TargetGroupArn", json_text(arn));
        answer = client_call(q->x->client, "elbv2", "DescribeTargetHealth", input, NULL);
        for (size_t k = 0; k < json_size(json_get(answer, "TargetHealthDescriptions")); k++)
            json_append(list, json_ref(json_at(json_get(answer, "TargetHealthDescriptions"), k)));
    }
    json_set(q->x->out, "targets", list);
}

/* ---- the paragraph ---- */

static const struct {
    const char *status, *words;
} courses[] = {
    {"PENDING", "has not begun for"},
    {"IN_PROGRESS", "is under way for"},
    {"SUCCESSFUL", "completed after"},
    {"STOP_REQUESTED", "is being stopped after"},
    {"STOPPED", "ended without success after"},
    {"ROLLBACK_REQUESTED", "is about to be rolled back after"},
    {"ROLLBACK_IN_PROGRESS", "is being rolled back, for"},
    {"ROLLBACK_SUCCESSFUL", "was rolled back, which was over after"},
    {"ROLLBACK_FAILED", "failed, and could not be rolled back; that was over after"},
};

static void
add_course(const struct inquiry *q, struct strbuf *text)
{
    const char *status = json_get_cstr(q->sd, "status", ""),
               *reason = json_get_cstr(q->sd, "statusReason", "");
    const double began = json_f64(json_get(q->sd, "createdAt"), 0);
    const double ended =
        json_f64(json_get(q->sd, "finishedAt"), (double)clock_wall_ms() / 1000);

    for (size_t i = 0; i < ARRAY_COUNT(courses); i++) {
        if (strcmp(courses[i].status, status) == 0)
            strbuf_addf(text, " It %s %.1f s.", courses[i].words, ended - began);
    }
    if (reason[0] != '\0')
        strbuf_addf(text, " %s%s", reason, reason[strlen(reason) - 1] == '.' ? "" : ".");
}

static void
add_failures(const struct inquiry *q, struct strbuf *text)
{
    const struct json *newest = json_at(json_get(q->x->out, "failedTasks"), 0);
    const struct json *breaker = json_get(q->sd, "deploymentCircuitBreaker");
    const bool has_breaker = strcmp(json_get_cstr(breaker, "status", "DISABLED"), "DISABLED") != 0;
    cleanup_free char *story = newest == NULL ? NULL : explain_task_story(newest);

    if (newest == NULL)
        return;
    strbuf_addf(text, " %d of its tasks failed", q->failed_count);
    if (has_breaker)
        strbuf_addf(text, " (%lld counted, the circuit breaker opens at %lld)",
                    (long long)json_get_i64(breaker, "failureCount", 0),
                    (long long)json_get_i64(breaker, "threshold", 0));
    strbuf_addf(text, "; the newest one: %s.", story);
}

static void
add_now(struct inquiry *q, struct strbuf *text)
{
    const char *restored = json_get_cstr(json_get(q->sd, "rollback"), "serviceRevisionArn", "");
    const struct json *wait = json_get(q->described, "wait");
    cleanup_free char *definition = definition_arn(q, restored);

    if (definition[0] != '\0' &&
        strcmp(json_get_cstr(q->sd, "status", ""), "ROLLBACK_SUCCESSFUL") == 0)
        strbuf_addf(text, " %s was restored.", arn_tail(definition));
    if (q->described == NULL)
        strbuf_add_cstr(text, " The service is gone by now.");
    else if (!is_newest(q))
        strbuf_addf(text, " Since then %s came.",
                    arn_tail(json_get_cstr(q->described, "currentServiceDeployment", "another one")));
    else if (wait != NULL) {
        cleanup_free char *words = waiting_words(wait);
        strbuf_addf(text, " Now %s.", words);
    }
}

static char *
paragraph(struct inquiry *q)
{
    cleanup(strbuf_done) struct strbuf text = {0};
    cleanup_free char *target =
        definition_arn(q, json_get_cstr(json_get(q->sd, "targetServiceRevision"), "arn", ""));
    cleanup_free char *source = definition_arn(
        q, json_get_cstr(json_at(json_get(q->sd, "sourceServiceRevisions"), 0), "arn", ""));
    const time_t at = (time_t)json_f64(json_get(q->sd, "createdAt"), 0);
    char began[32];
    struct tm tm;

    localtime_r(&at, &tm);
    strftime(began, sizeof(began), "%Y-%m-%d %H:%M:%S", &tm);
    strbuf_addf(&text, "Service deployment %s of service %s (cluster %s) began %s: %s",
                arn_tail(q->arn), q->service, q->cluster, began,
                target[0] != '\0' ? arn_tail(target) : "a revision that is not known any more");
    if (source[0] != '\0')
        strbuf_addf(&text, " in place of %s", arn_tail(source));
    strbuf_add_char(&text, '.');
    add_course(q, &text);
    add_failures(q, &text);
    add_now(q, &text);
    return text_dup(strbuf_cstr(&text));
}

/* ---- for people ---- */

static void
print_events(const struct json *events)
{
    if (json_size(events) > 0)
        puts("\nEvents:");
    for (size_t i = 0; i < json_size(events); i++) {
        const struct json *e = json_at(events, i);
        const time_t at = (time_t)json_f64(json_get(e, "createdAt"), 0);
        cleanup_free char *text = event_without_arns(json_get_cstr(e, "message", ""));
        char clock[16];
        struct tm tm;

        localtime_r(&at, &tm);
        strftime(clock, sizeof(clock), "%H:%M:%S", &tm);
        printf("  %s %s\n", clock, text);
    }
}

static void
print_failed(const struct inquiry *q)
{
    const struct json *failed = json_get(q->x->out, "failedTasks");
    const struct json *log = json_get(json_at(failed, 0), "log");

    if (json_size(failed) > 0)
        printf("\nTasks that failed, newest first%s:\n",
               q->failed_count > FAILED_SHOWN ? " (naru explain TASK tells of the others)" : "");
    for (size_t i = 0; i < json_size(failed) && i < FAILED_SHOWN; i++) {
        const struct json *task = json_at(failed, i);
        cleanup_free char *story = explain_task_story(task);

        puts(story);
        explain_print_containers(task);
        explain_print_evidence(json_get(task, "postmortem"));
    }
    if (json_size(log) > 0)
        puts("The end of the newest one's logs:");
    for (size_t i = 0; i < json_size(log); i++)
        printf("  %s\n", json_cstr(json_at(log, i), ""));
}

static void
print_targets(const struct json *targets)
{
    if (json_size(targets) > 0)
        puts("\nLoad balancer, now:");
    for (size_t i = 0; i < json_size(targets); i++) {
        const struct json *t = json_at(targets, i), *health = json_get(t, "TargetHealth");
        const char *description = json_get_cstr(health, "Description", "");

        printf("  %s:%lld is %s%s%s\n", json_get_cstr(json_get(t, "Target"), "Id", ""),
               (long long)json_get_i64(json_get(t, "Target"), "Port", 0),
               json_get_cstr(health, "State", ""), description[0] != '\0' ? ": " : "", description);
    }
}

static void
find_changes(struct inquiry *q, char **before_out)
{
    cleanup_free char *now = definition_arn(q, q->suspect);
    const struct explain_versions v = {.definition_before = *before_out = definition_arn(q, q->before),
                                       .definition = now,
                                       .revision_before = q->before,
                                       .revision = q->suspect};

    if (v.definition_before[0] != '\0' && now[0] != '\0')
        json_set(q->x->out, "changes", explain_changes(q->x->client, &v));
}

static void
inquiry_done(struct inquiry *q)
{
    json_unref(q->described);
}

bool
explain_deployment(struct explain *x, bool *is_one, struct err *err)
{
    cleanup(inquiry_done) struct inquiry q = {.x = x};
    cleanup_free char *before = NULL, *words = NULL;
    struct json *sd;

    *is_one = find(&q, err);
    if (!*is_one)
        return err->code == ERR_NONE;
    sd = service_deployment_describe(x->client, q.arn, err);
    if (sd == NULL)
        return false;
    json_set(x->out, "serviceDeployment", sd);
    q.sd = sd;
    describe_service(&q);
    choose_revisions(&q);
    take_events(&q);
    find_failed(&q);
    find_targets(&q);
    find_changes(&q, &before);
    words = paragraph(&q);
    json_set(x->out, "summary", json_text(words));
    if (json_get(q.described, "wait") != NULL && is_newest(&q))
        json_set(x->out, "wait", json_ref(json_get(q.described, "wait")));
    if (x->wants_json)
        return true;
    puts(words);
    print_events(json_get(x->out, "events"));
    print_failed(&q);
    print_targets(json_get(x->out, "targets"));
    if (json_get(x->out, "changes") != NULL) {
        putchar('\n');
        explain_print_changes(json_get(x->out, "changes"), arn_tail(before));
    }
    return true;
}
