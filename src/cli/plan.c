/* SPDX-License-Identifier: MIT */
/* naru plan, naru simulate: what an update would do, told by the server without doing it. */
#include <stdlib.h>
#include "cli/commands.h"
#include "cli/follow.h"
#include "cli/own_image.h"

struct plan {
    const char *service, *cluster, *image, *definition, *fault, *data_dir, *output;
    int64_t desired_count, minimum, maximum, start_ms, healthy_ms, drain_ms, stop_ms;
    bool is_rollback, is_simulation, wants_json;
    struct client *client;
    char cluster_name[512];
    struct json *found; /* the service as it is */
};

/* ---- the question ---- */

static void
set_number(struct json *o, const char *name, int64_t value)
{
    if (value >= 0)
        json_set(o, name, json_int(value));
}

static struct json *
question(const struct plan *p)
{
    struct json *input = json_object(), *plan = json_object(), *bounds = json_object();

    json_set(input, "cluster", json_text(p->cluster_name));
    json_set(input, "service", json_text(p->service));
    set_number(input, "desiredCount", p->desired_count);
    if (p->definition != NULL)
        json_set(input, "taskDefinition", json_text(p->definition));
    if (p->is_rollback)
        json_set(input, "rollbackDeployment", json_bool(true));
    else if (p->image != NULL || p->definition != NULL || p->desired_count < 0)
        json_set(input, "forceNewDeployment", json_bool(true));
    set_number(bounds, "minimumHealthyPercent", p->minimum);
    set_number(bounds, "maximumPercent", p->maximum);
    if (json_size(bounds) > 0)
        json_set(input, "deploymentConfiguration", json_ref(bounds));
    json_unref(bounds);
    set_number(plan, "startMilliseconds", p->start_ms);
    set_number(plan, "healthyMilliseconds", p->healthy_ms);
    set_number(plan, "drainMilliseconds", p->drain_ms);
    set_number(plan, "stopMilliseconds", p->stop_ms);
    if (p->fault != NULL)
        json_set(plan, "fault", json_text(p->fault));
    json_set(input, "plan", plan);
    return input;
}

/* ---- the answer ---- */

/* What the other lines say already. */
static bool
is_plain_event(const char *text)
{
    static const char *const parts[] = {") has started ",        ") has stopped ",
                                        ") registered ",         ") deregistered ",
                                        ") has begun draining ", ") has reached a steady state."};

    for (size_t i = 0; i < ARRAY_COUNT(parts); i++)
        if (strstr(text, parts[i]) != NULL)
            return true;
    return false;
}

static void
print_line(struct table *table, const struct json *line)
{
    static const struct {
        const char *what, *words;
    } words[] = {
        {"start", "start"},         {"running", "RUNNING"}, {"healthy", "healthy"},
        {"unhealthy", "unhealthy"}, {"exited", "exited"},   {"drain", "out of traffic"},
        {"stop", "SIGTERM"},        {"stopped", "STOPPED"}, {"status", "deployment"},
        {"event", "event"},
    };
    const char *what = json_get_cstr(line, "what", ""), *text = json_get_cstr(line, "text", NULL);
    const int64_t ms = json_get_i64(line, "atMilliseconds", 0);
    char time[32], tasks[48];
    const char *named = what;

    if (text != NULL && is_plain_event(text))
        return;
    for (size_t i = 0; i < ARRAY_COUNT(words); i++)
        if (strcmp(words[i].what, what) == 0)
            named = words[i].words;
    cleanup_free char *subject =
        text != NULL ? event_without_arns(text)
                     : text_format("%lld of %s", (long long)json_get_i64(line, "count", 0),
                                   json_get_cstr(line, "taskDefinition", ""));
    snprintf(time, sizeof(time), "%lld.%03lld s", (long long)(ms / 1000), (long long)(ms % 1000));
    snprintf(tasks, sizeof(tasks), "%lld/%lld", (long long)json_get_i64(line, "healthyTasks", 0),
             (long long)json_get_i64(line, "tasks", 0));
    table_add(table, time, tasks, named, subject);
}

static void
print_numbers(const struct json *plan)
{
    const struct json *times = json_get(plan, "times");

    printf("bounds      at least %lld healthy, at most %lld tasks; fewest %lld healthy, most %lld "
           "tasks\n",
           (long long)json_get_i64(plan, "lowerBound", 0),
           (long long)json_get_i64(plan, "upperBound", 0),
           (long long)json_get_i64(plan, "fewestHealthyTasks", 0),
           (long long)json_get_i64(plan, "mostTasks", 0));
    printf("peak        %lld MiB of memory, %lld CPU units\n",
           (long long)json_get_i64(plan, "mostMemory", 0),
           (long long)json_get_i64(plan, "mostCpu", 0));
    printf("reckoned    start %lld ms, healthy %lld ms, drain %lld ms, stop %lld ms\n",
           (long long)json_get_i64(times, "startMilliseconds", 0),
           (long long)json_get_i64(times, "healthyMilliseconds", 0),
           (long long)json_get_i64(times, "drainMilliseconds", 0),
           (long long)json_get_i64(times, "stopMilliseconds", 0));
}

/* The next command for what stands in the way. */
static void
print_cure(const struct plan *p, const char *reason)
{
    static const struct {
        const char *part, *cure;
    } cures[] = {
        {"because of the service deployment configuration",
         "leave room: a lower minimumHealthyPercent or a higher maximumPercent\n"
         "            (try: naru plan --service %s --minimum 50)"},
        {"insufficient memory",
         "free memory on the host, give the task less, or let an old task go first\n"
         "            (try: naru plan --service %s --minimum 50)"},
        {"insufficient CPU",
         "free CPU on the host, give the task less, or let an old task go first\n"
         "            (try: naru plan --service %s --minimum 50)"},
        {"insufficient GPU",
         "its tasks want more GPUs than are free on any host: let an old task go first, ask for\n"
         "            fewer, or add a host that has some\n"
         "            (try: naru plan --service %s --minimum 50)"},
        {"already using a port",
         "a fixed host port fits one task a host: use hostPort 0, or let the old task go first\n"
         "            (try: naru plan --service %s --minimum 0 --maximum 100)"},
        {"agent", "Docker does not answer: naru doctor (service %s)"},
    };

    for (size_t i = 0; i < ARRAY_COUNT(cures); i++) {
        if (strstr(reason, cures[i].part) == NULL)
            continue;
        printf("fix         ");
        /* Each cure is a literal above with one %s. */
        const char *mark = strstr(cures[i].cure, "%s");
        printf("%.*s%s%s\n", (int)(mark - cures[i].cure), cures[i].cure, p->service, mark + 2);
        return;
    }
}

static int
verdict_of(const struct json *plan, const char **words_out)
{
    const char *status = json_get_cstr(plan, "status", "");

    *words_out = "it does not end";
    if (!json_get_bool(plan, "ends", false))
        return EXIT_ERROR;
    *words_out = json_get_bool(plan, "startsDeployment", false) ? "live" : "done";
    if (!json_get_bool(plan, "startsDeployment", false) || strcmp(status, "SUCCESSFUL") == 0)
        return EXIT_LIVE;
    *words_out = strcmp(status, "ROLLBACK_SUCCESSFUL") == 0 ? "rolled back" : "failed";
    return strcmp(status, "ROLLBACK_SUCCESSFUL") == 0 ? EXIT_ROLLED_BACK : EXIT_ERROR;
}

static void
print_plan(const struct plan *p, const struct json *plan)
{
    static const char *const titles[] = {"AFTER", "HEALTHY/TASKS", "WHAT", "DETAIL", NULL};
    const struct json *lines = json_get(plan, "lines");
    const char *reason = json_get_cstr(plan, "reason", ""), *words;
    struct table *table = table_new(titles);
    const int code = verdict_of(plan, &words);
    const enum cli_colour colour = code == EXIT_LIVE ? COLOUR_GOOD : COLOUR_BAD;

    for (size_t i = 0; i < json_size(lines); i++)
        print_line(table, json_at(lines, i));
    table_print(table, stdout);
    table_free(table);
    if (json_get_bool(plan, "linesAreCut", false))
        printf("... and so on\n");
    printf("\nverdict     %s%s%s", cli_colour(colour), words, cli_colour(COLOUR_NONE));
    if (json_get_bool(plan, "ends", false))
        printf(" after %.2f s", (double)json_get_i64(plan, "liveMilliseconds", 0) / 1000);
    printf("%s%s\n", reason[0] != '\0' ? ": " : "", reason);
    print_cure(p, reason);
    print_numbers(plan);
    if (!p->is_simulation)
        printf("Nothing was changed.\n");
}

/* ---- the commands ---- */

static int
plan_run(struct plan *p)
{
    cleanup_json struct json *input = NULL, *answer = NULL;
    struct err err = {0};
    const struct json *plan;
    const char *words;

    if (!cli_wants_json(p->output, &err, &p->wants_json) ||
        !service_locate(p->client, p->cluster, p->service, p->cluster_name, sizeof(p->cluster_name),
                        &p->found, &err) ||
        !service_check_controller(p->found, &err) ||
        (p->image != NULL && !own_image_check(client_get_config(p->client), p->image, &err)))
        return cli_fail(&err);
    input = question(p);
    answer = client_call(p->client, "ecs", "UpdateService", input, &err);
    if (answer == NULL)
        return cli_fail(&err);
    plan = json_get(answer, "plan");
    if (plan == NULL) {
        err_set(&err, ERR_INTERNAL, "the server answered without a plan");
        return cli_fail(&err);
    }
    if (p->wants_json)
        cli_print_json(plan);
    else
        print_plan(p, plan);
    return verdict_of(plan, &words);
}

static int
plan_main(int argc, char **argv, bool is_simulation)
{
    struct plan p = {.desired_count = -1,
                     .minimum = -1,
                     .maximum = -1,
                     .start_ms = -1,
                     .healthy_ms = -1,
                     .drain_ms = -1,
                     .stop_ms = -1,
                     .is_simulation = is_simulation};
    const struct option_row rows[] = {
        {"service", 's', OPTION_TEXT, &p.service},
        {"cluster", 'c', OPTION_TEXT, &p.cluster},
        {"image", 'i', OPTION_TEXT, &p.image},
        {"task-definition", 't', OPTION_TEXT, &p.definition},
        {"desired-count", 0, OPTION_NUMBER, &p.desired_count},
        {"minimum", 0, OPTION_NUMBER, &p.minimum},
        {"maximum", 0, OPTION_NUMBER, &p.maximum},
        {"rollback", 0, OPTION_FLAG, &p.is_rollback},
        {"data-dir", 0, OPTION_TEXT, &p.data_dir},
        {"output", 'o', OPTION_TEXT, &p.output},
        {is_simulation ? "fault" : NULL, 'f', OPTION_TEXT, &p.fault}, /* a plan's table ends here */
        {"start", 0, OPTION_NUMBER, &p.start_ms},
        {"healthy", 0, OPTION_NUMBER, &p.healthy_ms},
        {"drain", 0, OPTION_NUMBER, &p.drain_ms},
        {"stop", 0, OPTION_NUMBER, &p.stop_ms},
        {0},
    };
    struct err err = {0};
    int status;

    if (command_begin(argc, argv, rows, 0, &status) < 0)
        return status;
    if (p.service == NULL) {
        err_set(&err, ERR_USAGE, "say --service (try: naru %s --help)", argv[0]);
        return cli_fail(&err);
    }
    p.client = cli_connect(p.data_dir, &status);
    if (p.client == NULL)
        return status;
    status = plan_run(&p);
    json_unref(p.found);
    client_free(p.client);
    return status;
}

int
command_plan(int argc, char **argv)
{
    return plan_main(argc, argv, false);
}

int
command_simulate(int argc, char **argv)
{
    return plan_main(argc, argv, true);
}
