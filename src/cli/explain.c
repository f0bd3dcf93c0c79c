/* SPDX-License-Identifier: MIT */
/* naru explain: what became of a task and why, then the evidence: its containers, health checks,
 * the balancer's view, what changed since the revision before, and the end of its logs. */
#include <dirent.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/clock.h"
#include "cli/commands.h"
#include "cli/follow.h"

#define PAGES_MAX 1000
#define CHANGES_MAX 50
#define TAIL_SIZE ((off_t)256 * 1024) /* of a log; 200 lines hardly ever need more */
#define LINES_MAX 10000

struct explain {
    const char *task, *cluster, *data_dir, *output;
    int64_t lines;
    bool wants_json;
    struct client *client;
    char arn[1024], cluster_name[512];
    int found;
    struct json *out; /* {"task", "changes": [{"member", "before", "now"}], "log": [text]} */
};

/* ---- finding the task ---- */

/* "arn:...:task/CLUSTER/ID" */
static bool
take_arn(struct explain *x, const char *arn)
{
    struct str rest = str_of(arn), part;

    if (!str_split(&rest, '/', &part) || !str_split(&rest, '/', &part) || rest.at == NULL)
        return false;
    return text_copy(x->cluster_name, sizeof(x->cluster_name), part) &&
           text_copy(x->arn, sizeof(x->arn), str_of(arn));
}

static bool
look_at(struct explain *x, const char *cluster, const char *status, struct err *err)
{
    cleanup_json struct json *input = json_object();

    json_set(input, "cluster", json_text(cluster));
    json_set(input, "desiredStatus", json_text(status));
    for (int page = 0; page < PAGES_MAX; page++) {
        cleanup_json struct json *answer = client_call(x->client, "ecs", "ListTasks", input, err);
        const struct json *arns = json_get(answer, "taskArns");

        if (answer == NULL)
            return false;
        for (size_t i = 0; i < json_size(arns); i++) {
            const char *arn = json_cstr(json_at(arns, i), "");
            if (!str_starts(str_of(arn_tail(arn)), str_of(x->task)))
                continue;
            x->found++;
            text_copy(x->arn, sizeof(x->arn), str_of(arn));
            text_copy(x->cluster_name, sizeof(x->cluster_name), str_of(cluster));
        }
        if (json_get(answer, "nextToken") == NULL)
            break;
        json_set(input, "nextToken", json_ref(json_get(answer, "nextToken")));
    }
    return true;
}

static bool
look_everywhere(struct explain *x, struct err *err)
{
    cleanup_json struct json *input = json_object();

    for (int page = 0; page < PAGES_MAX; page++) {
        cleanup_json struct json *answer =
            client_call(x->client, "ecs", "ListClusters", input, err);
        const struct json *arns = json_get(answer, "clusterArns");

        if (answer == NULL)
            return false;
        for (size_t i = 0; i < json_size(arns); i++) {
            const char *name = arn_tail(json_cstr(json_at(arns, i), ""));
            if (!look_at(x, name, "STOPPED", err) || !look_at(x, name, "RUNNING", err))
                return false;
        }
        if (json_get(answer, "nextToken") == NULL)
            break;
        json_set(input, "nextToken", json_ref(json_get(answer, "nextToken")));
    }
    return true;
}

static bool
find_task(struct explain *x, struct err *err)
{
    if (strncmp(x->task, "arn:", 4) == 0)
        return take_arn(x, x->task) || err_set(err, ERR_USAGE, "'%s' is no task's ARN", x->task);
    if (x->cluster != NULL
            ? !look_at(x, x->cluster, "STOPPED", err) || !look_at(x, x->cluster, "RUNNING", err)
            : !look_everywhere(x, err))
        return false;
    if (x->found > 1)
        return err_set(err, ERR_USAGE, "'%s' is the beginning of several tasks", x->task);
    return x->found == 1 || err_set(err, ERR_NOT_FOUND, "there is no task '%s'", x->task);
}

static bool
describe_task(struct explain *x, struct err *err)
{
    cleanup_json struct json *input = json_object(), *answer = NULL;
    struct json *tasks = json_array(), *include = json_array();

    json_append(tasks, json_text(x->arn));
    json_append(include, json_text("POSTMORTEM"));
    json_set(input, "cluster", json_text(x->cluster_name));
    json_set(input, "tasks", tasks);
    json_set(input, "include", include);
    answer = client_call(x->client, "ecs", "DescribeTasks", input, err);
    if (answer == NULL)
        return false;
    if (json_size(json_get(answer, "tasks")) != 1)
        return err_set(err, ERR_NOT_FOUND, "there is no task '%s'", x->task);
    json_set(x->out, "task", json_ref(json_at(json_get(answer, "tasks"), 0)));
    return true;
}

/* ---- what changed ---- */

static void
add_change(struct json *changes, const char *member, const struct json *before,
           const struct json *now)
{
    struct json *o;

    if (json_size(changes) == CHANGES_MAX)
        return;
    o = json_object();
    json_set(o, "member", json_text(member));
    if (before != NULL)
        json_set(o, "before", json_ref(before));
    if (now != NULL)
        json_set(o, "now", json_ref(now));
    json_append(changes, o);
}

static void
compare(struct json *changes, const char *path, const struct json *before, const struct json *now)
{
    const bool is_list = json_type(before) == JSON_ARRAY && json_type(now) == JSON_ARRAY;

    if (json_equal(before, now))
        return;
    if (is_list && json_size(before) == json_size(now) &&
        json_type(json_at(before, 0)) == JSON_OBJECT) {
        for (size_t i = 0; i < json_size(now); i++) {
            const char *name = json_get_cstr(json_at(now, i), "name", NULL);
            cleanup_free char *item =
                name != NULL ? text_format("%s.%s", path, name) : text_format("%s.%zu", path, i);
            compare(changes, item, json_at(before, i), json_at(now, i));
        }
    } else if (json_type(before) == JSON_OBJECT && json_type(now) == JSON_OBJECT) {
        for (void *it = json_first(now); it != NULL; it = json_next(now, it)) {
            cleanup_free char *member = text_format("%s.%s", path, json_key(it));
            compare(changes, member, json_get(before, json_key(it)), json_value(it));
        }
        for (void *it = json_first(before); it != NULL; it = json_next(before, it)) {
            cleanup_free char *member = text_format("%s.%s", path, json_key(it));
            if (json_get(now, json_key(it)) == NULL)
                add_change(changes, member, json_value(it), NULL);
        }
    } else {
        add_change(changes, path, before, now);
    }
}

/* What RegisterTaskDefinition takes; times and numbers always differ. */
static void
compare_definitions(const struct explain *x, struct json *changes, const char *before_arn,
                    const char *now_arn)
{
    const struct shape *shape =
        operation_named(service_find("ecs"), "RegisterTaskDefinition")->input;
    cleanup_json struct json *before = NULL, *now = NULL;

    if (strcmp(before_arn, now_arn) == 0)
        return;
    before = task_definition_describe(x->client, before_arn, NULL); /* may be deleted meanwhile */
    now = task_definition_describe(x->client, now_arn, NULL);
    if (before == NULL || now == NULL)
        return;
    for (int i = 0; i < shape->member_count; i++) {
        const char *name = shape->members[i].name;
        compare(changes, name, json_get(json_get(before, "taskDefinition"), name),
                json_get(json_get(now, "taskDefinition"), name));
    }
}

static struct json *
images_of(const struct explain *x, const char *revision_arn)
{
    cleanup_json struct json *input = json_object(), *answer = NULL;
    struct json *arns = json_array(), *images = json_object();
    const struct json *list;

    json_append(arns, json_text(revision_arn));
    json_set(input, "serviceRevisionArns", arns);
    answer = client_call(x->client, "ecs", "DescribeServiceRevisions", input, NULL);
    list = json_get(json_at(json_get(answer, "serviceRevisions"), 0), "containerImages");
    for (size_t i = 0; i < json_size(list); i++) {
        const struct json *digest = json_get(json_at(list, i), "imageDigest");
        if (digest != NULL)
            json_set(images, json_get_cstr(json_at(list, i), "containerName", ""),
                     json_ref(digest));
    }
    return images;
}

static void
find_changes(struct explain *x)
{
    const struct json *task = json_get(x->out, "task"), *post = json_get(task, "postmortem");
    const char *before = json_get_cstr(post, "previousTaskDefinitionArn", NULL);
    struct json *changes;

    if (before == NULL)
        return;
    changes = json_array();
    compare_definitions(x, changes, before, json_get_cstr(task, "taskDefinitionArn", ""));
    cleanup_json struct json *old_images =
        images_of(x, json_get_cstr(post, "previousServiceRevisionArn", ""));
    cleanup_json struct json *images = images_of(x, json_get_cstr(post, "serviceRevisionArn", ""));
    compare(changes, "digest", old_images, images);
    json_set(x->out, "changes", changes);
}

/* ---- the end of the logs ---- */

static void
read_tail(struct explain *x, struct json *log, const char *path, struct str container)
{
    cleanup_close int fd = open(path, O_RDONLY | O_CLOEXEC);
    cleanup_free char *buffer = mem_new((size_t)TAIL_SIZE);
    struct stat st;
    struct str rest, line;
    int64_t lines = 0;
    ssize_t got;

    if (fd < 0 || fstat(fd, &st) < 0)
        return;
    got = pread(fd, buffer, (size_t)TAIL_SIZE, st.st_size > TAIL_SIZE ? st.st_size - TAIL_SIZE : 0);
    if (got <= 0)
        return;
    rest = str_trim((struct str){buffer, (size_t)got});
    for (const char *p = rest.at + rest.len; p > rest.at && lines < x->lines; p--) {
        if (p[-1] == '\n' && ++lines == x->lines)
            rest = str_slice(rest, (size_t)(p - rest.at), rest.len);
    }
    while (x->lines > 0 && str_split(&rest, '\n', &line)) {
        cleanup_free char *text =
            text_format(STR_FMT ": " STR_FMT, STR_ARG(container), STR_ARG(line));
        json_append(log, json_text(text));
    }
}

static void
read_logs(struct explain *x)
{
    cleanup_free char *folder =
        text_format("%s/log/tasks/%s", client_data_dir(x->data_dir), arn_tail(x->arn));
    struct json *log = json_array();
    DIR *dir = opendir(folder);

    for (struct dirent *e = dir != NULL ? readdir(dir) : NULL; e != NULL; e = readdir(dir)) {
        const struct str name = str_of(e->d_name);
        cleanup_free char *path = text_format("%s/%s", folder, e->d_name);
        if (str_ends(name, STR(".log")))
            read_tail(x, log, path, str_slice(name, 0, name.len - 4));
    }
    if (dir != NULL)
        closedir(dir);
    json_set(x->out, "log", log);
}

/* ---- for people ---- */

static double
time_of(const struct json *task, const char *member)
{
    return json_f64(json_get(task, member), 0);
}

static void
print_story(const struct json *task)
{
    const char *status = json_get_cstr(task, "lastStatus", ""),
               *group = json_get_cstr(task, "group", "");
    const char *reason = json_get_cstr(task, "stoppedReason", "");
    const double started = time_of(task, "startedAt"), stopped = time_of(task, "stoppedAt");

    printf("Task %s (%s, %s) ", arn_tail(json_get_cstr(task, "taskArn", "")),
           arn_tail(json_get_cstr(task, "taskDefinitionArn", "")), group);
    if (reason[0] == '\0') {
        printf("is %s.\n", status);
        return;
    }
    if (started == 0)
        printf("never ran");
    else if (stopped == 0)
        printf("is being stopped");
    else
        printf("ran for %.1f s and stopped", stopped - started);
    printf(": %s%s%s (%s)\n", cli_colour(COLOUR_BOLD), reason, cli_colour(COLOUR_NONE),
           json_get_cstr(task, "stopCode", "no code"));
}

static void
print_containers(const struct json *task)
{
    const struct json *list = json_get(task, "containers");

    for (size_t i = 0; i < json_size(list); i++) {
        const struct json *c = json_at(list, i), *code = json_get(c, "exitCode");
        const char *reason = json_get_cstr(c, "reason", "");

        printf("  container %s: %s", json_get_cstr(c, "name", ""),
               json_get_cstr(c, "lastStatus", ""));
        if (code != NULL)
            printf(", exit code %lld", (long long)json_i64(code, 0));
        if (json_i64(code, 0) > 128)
            printf(" (signal %lld)", (long long)json_i64(code, 0) - 128);
        printf("%s%s\n", reason[0] != '\0' ? ", " : "", reason);
    }
}

static void
print_evidence(const struct json *post)
{
    const struct json *targets = json_get(post, "targets");
    struct str rest = str_of(json_get_cstr(post, "healthLog", "")), line;

    if (rest.len > 0)
        puts("Health checks, newest first:");
    while (rest.len > 0 && str_split(&rest, '\n', &line))
        if (line.len > 0)
            printf("  " STR_FMT "\n", STR_ARG(line));
    if (json_size(targets) > 0)
        puts("Load balancer, when the task was taken out of traffic:");
    for (size_t i = 0; i < json_size(targets); i++) {
        const struct json *t = json_at(targets, i);
        const char *description = json_get_cstr(t, "description", "");

        printf("  %s:%lld in %s was %s%s%s%s\n", json_get_cstr(t, "targetId", ""),
               (long long)json_get_i64(t, "port", 0), json_get_cstr(t, "targetGroupArn", ""),
               json_get_cstr(t, "state", ""), description[0] != '\0' ? ": " : "", description,
               json_get_bool(t, "wasHealthy", false) ? "" : "; it had never been healthy");
    }
}

static void
print_changes(const struct explain *x)
{
    const struct json *changes = json_get(x->out, "changes");
    const struct json *post = json_get(json_get(x->out, "task"), "postmortem");

    if (changes == NULL)
        return;
    printf("Changed since %s, which was complete%s\n",
           arn_tail(json_get_cstr(post, "previousTaskDefinitionArn", "")),
           json_size(changes) == 0 ? ": nothing" : ":");
    for (size_t i = 0; i < json_size(changes); i++) {
        const struct json *c = json_at(changes, i);
        cleanup_free char *before = json_get(c, "before") == NULL
                                        ? text_dup("(absent)")
                                        : json_format(json_get(c, "before"));
        cleanup_free char *now =
            json_get(c, "now") == NULL ? text_dup("(absent)") : json_format(json_get(c, "now"));
        printf("  %s: %s -> %s\n", json_get_cstr(c, "member", ""), before, now);
    }
}

static void
print_all(const struct explain *x)
{
    const struct json *task = json_get(x->out, "task"), *log = json_get(x->out, "log");

    print_story(task);
    print_containers(task);
    print_evidence(json_get(task, "postmortem"));
    print_changes(x);
    puts(json_size(log) > 0 ? "The end of its logs:" : "It left no log on this machine.");
    for (size_t i = 0; i < json_size(log); i++)
        printf("  %s\n", json_cstr(json_at(log, i), ""));
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
    int status;
    const int count = command_begin(argc, argv, rows, 1, &status);

    if (count < 0)
        return status;
    if (count != 1 || x.lines < 0 || x.lines > LINES_MAX) {
        err_set(&err, ERR_USAGE, "say which task, and at most %d lines (try: naru explain --help)",
                LINES_MAX);
        return cli_fail(&err);
    }
    x.task = argv[1];
    if (!cli_wants_json(x.output, &err, &x.wants_json))
        return cli_fail(&err);
    x.client = cli_connect(x.data_dir, &status);
    if (x.client == NULL)
        return status;
    x.out = json_object();
    status = EXIT_LIVE;
    if (!find_task(&x, &err) || !describe_task(&x, &err)) {
        status = cli_fail(&err);
    } else {
        find_changes(&x);
        read_logs(&x);
        if (x.wants_json)
            cli_print_json(x.out);
        else
            print_all(&x);
    }
    json_unref(x.out);
    client_free(x.client);
    return status;
}
