/* SPDX-License-Identifier: MIT */
/* naru explain: what became of a task or a service deployment, and why, then the evidence. */
#include <stdlib.h>
#include "cli/commands.h"
#include "cli/explain_parts.h"
#include "cli/follow.h"

#define PAGES_MAX 1000
#define LINES_MAX 10000

struct search {
    struct explain *x;
    char arn[1024], cluster_name[512];
    int found;
};

/* ---- finding the task ---- */

/* "arn:...:task/CLUSTER/ID" */
static bool
take_arn(struct search *q, const char *arn)
{
    struct str rest = str_of(arn), part;

    if (!str_split(&rest, '/', &part)) /* "arn:...:task" */
        return false;
    if (!str_split(&rest, '/', &part) || rest.at == NULL)
        return false;
    return text_copy(q->cluster_name, sizeof(q->cluster_name), part) &&
           text_copy(q->arn, sizeof(q->arn), str_of(arn));
}

static bool
look_at(struct search *q, const char *cluster, const char *status, struct err *err)
{
    cleanup_json struct json *input = json_object();

    json_set(input, "cluster", json_text(cluster));
    json_set(input, "desiredStatus", json_text(status));
    for (int page = 0; page < PAGES_MAX; page++) {
        cleanup_json struct json *answer = client_call(q->x->client, "ecs", "ListTasks", input, err);
        const struct json *arns = json_get(answer, "taskArns");

        if (answer == NULL)
            return false;
        for (size_t i = 0; i < json_size(arns); i++) {
            const char *arn = json_cstr(json_at(arns, i), "");
            if (!str_starts(str_of(arn_tail(arn)), str_of(q->x->name)))
                continue;
            q->found++;
            text_copy(q->arn, sizeof(q->arn), str_of(arn));
            text_copy(q->cluster_name, sizeof(q->cluster_name), str_of(cluster));
        }
        if (json_get(answer, "nextToken") == NULL)
            break;
        json_set(input, "nextToken", json_ref(json_get(answer, "nextToken")));
    }
    return true;
}

static bool
look_everywhere(struct search *q, struct err *err)
{
    cleanup_json struct json *clusters = clusters_list(q->x->client, err);

    for (size_t i = 0; i < json_size(clusters); i++) {
        const char *name = arn_tail(json_cstr(json_at(clusters, i), ""));
        if (!look_at(q, name, "STOPPED", err) || !look_at(q, name, "RUNNING", err))
            return false;
    }
    return clusters != NULL;
}

static bool
find_task(struct search *q, struct err *err)
{
    if (strncmp(q->x->name, "arn:", 4) == 0)
        return take_arn(q, q->x->name) || err_set(err, ERR_USAGE, "'%s' is no task's ARN", q->x->name);
    if (q->x->cluster != NULL
            ? !look_at(q, q->x->cluster, "STOPPED", err) || !look_at(q, q->x->cluster, "RUNNING", err)
            : !look_everywhere(q, err))
        return false;
    if (q->found > 1)
        return err_set(err, ERR_USAGE, "'%s' is the beginning of several tasks", q->x->name);
    return q->found == 1 || err_set(err, ERR_NOT_FOUND, "there is neither a service nor a task '%s' (naru status lists services)", q->x->name);
}

static bool
describe_task(struct search *q, struct err *err)
{
    cleanup_json struct json *input = json_object(), *answer = NULL;
    struct json *tasks = json_array(), *include = json_array();

    json_append(tasks, json_text(q->arn));
    json_append(include, json_text("POSTMORTEM"));
    json_set(input, "cluster", json_text(q->cluster_name));
    json_set(input, "tasks", tasks);
    json_set(input, "include", include);
    answer = client_call(q->x->client, "ecs", "DescribeTasks", input, err);
    if (answer == NULL)
        return false;
    if (json_size(json_get(answer, "tasks")) != 1)
        return err_set(err, ERR_NOT_FOUND, "there is no task '%s'", q->x->name);
    json_set(q->x->out, "task", json_ref(json_at(json_get(answer, "tasks"), 0)));
    return true;
}

static void
find_changes(struct explain *x)
{
    const struct json *task = json_get(x->out, "task"), *post = json_get(task, "postmortem");
    const struct explain_versions v = {
        .definition_before = json_get_cstr(post, "previousTaskDefinitionArn", NULL),
        .definition = json_get_cstr(task, "taskDefinitionArn", ""),
        .revision_before = json_get_cstr(post, "previousServiceRevisionArn", ""),
        .revision = json_get_cstr(post, "serviceRevisionArn", "")};

    if (v.definition_before != NULL)
        json_set(x->out, "changes", explain_changes(x->client, &v));
}

static void
print_task(const struct explain *x)
{
    const struct json *task = json_get(x->out, "task"), *log = json_get(x->out, "log");
    const struct json *post = json_get(task, "postmortem"), *changes = json_get(x->out, "changes");
    cleanup_free char *story = explain_task_story(task);

    puts(story);
    explain_print_containers(task);
    explain_print_evidence(post);
    if (changes != NULL)
        explain_print_changes(changes,
                              arn_tail(json_get_cstr(post, "previousTaskDefinitionArn", "")));
    puts(json_size(log) > 0 ? "The end of its logs:" : "It left no log on this machine.");
    for (size_t i = 0; i < json_size(log); i++)
        printf("  %s\n", json_cstr(json_at(log, i), ""));
}

static bool
explain_task(struct explain *x, struct err *err)
{
    struct search q = {.x = x};

    if (!find_task(&q, err) || !describe_task(&q, err))
        return false;
    find_changes(x);
    json_set(x->out, "log", explain_log(x->data_dir, arn_tail(q.arn), x->lines));
    if (!x->wants_json)
        print_task(x);
    return true;
}

int
command_explain(int argc, char **argv)
{
    struct explain x = {.lines = 200};
    const struct option_row rows[] = {
        {"cluster", 'c', OPTION_TEXT, &x.cluster},
        {"lines", 'n', OPTION_NUMBER, &x.lines},
        {"output", 'o', OPTION_TEXT, &x.output},
        {"data-dir", 0, OPTION_TEXT, &x.data_dir},
        {0},
    };
    struct err err = {0};
    bool is_deployment = false;
    int status;
    const int count = command_begin(argc, argv, rows, 1, &status);

    if (count < 0)
        return status;
    if (count != 1 || x.lines < 0 || x.lines > LINES_MAX) {
        err_set(&err, ERR_USAGE, "say which task, service or service deployment, and at most %d lines (try: naru "
                "explain --help)",
                LINES_MAX);
        return cli_fail(&err);
    }
    x.name = argv[1];
    if (!cli_wants_json(x.output, &err, &x.wants_json))
        return cli_fail(&err);
    x.client = cli_connect(x.data_dir, &status);
    if (x.client == NULL)
        return status;
    x.out = json_object();
    status = EXIT_LIVE;
    if (!explain_deployment(&x, &is_deployment, &err) || (!is_deployment && !explain_task(&x, &err)))
        status = cli_fail(&err);
    else if (x.wants_json)
        cli_print_json(x.out);
    json_unref(x.out);
    client_free(x.client);
    return status;
}
