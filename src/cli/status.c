/* SPDX-License-Identifier: MIT */
/* naru status: what runs, in which version, how healthy, and what was built last. */
#include <stdlib.h>
#include "cli/commands.h"
#include "cli/input.h"
#include "cli/follow.h"
#include "cli/local.h"
#include "cli/waiting.h"
#include "base/uri.h"

#define SERVICES_PER_CALL 10

struct status {
    struct client *client;
    const char *only_cluster;
    struct json *out; /* {"services": [...], "builds": [...], "urls": [...], "problem": "..."} */
};

static struct json *
call1(struct client *client, const char *service, const char *operation, const char *member,
      const struct json *value, struct err *err)
{
    cleanup_json struct json *input = json_object();

    if (value != NULL)
        json_set(input, member, json_ref(value));
    return client_call(client, service, operation, input, err);
}

/* "healthy/registered" over the target groups of the service; "-" without a load balancer. */
static void
add_health(struct status *s, const struct json *service, struct json *row)
{
    const struct json *groups = json_get(service, "loadBalancers");
    int healthy = 0, all = 0;

    for (size_t i = 0; i < json_size(groups); i++) {
        const struct json *arn = json_get(json_at(groups, i), "targetGroupArn");
        cleanup_json struct json *answer =
            call1(s->client, "elbv2", "DescribeTargetHealth", "TargetGroupArn", arn, NULL);
        const struct json *targets = json_get(answer, "TargetHealthDescriptions");

        for (size_t k = 0; k < json_size(targets); k++) {
            const char *state =
                json_get_cstr(json_get(json_at(targets, k), "TargetHealth"), "State", "");

            healthy += strcmp(state, "healthy") == 0;
            all += strcmp(state, "draining") != 0;
        }
    }
    if (json_size(groups) > 0) {
        cleanup_free char *text = text_format("%d/%d healthy", healthy, all);

        json_set(row, "health", json_text(text));
    }
}

/* The image of the PRIMARY deployment by what was resolved: "my-app:latest@4f2a01b9c3de". */
static void
add_image(struct status *s, const struct json *service, struct json *row)
{
    const struct json *current = json_get(service, "currentServiceDeployment");
    cleanup_json struct json *deployments = NULL, *revisions = NULL, *arns = json_array(),
                             *revision_arns = json_array();
    const struct json *image;
    const char *name, *digest;

    if (current == NULL)
        return;
    json_append(arns, json_ref(current));
    deployments =
        call1(s->client, "ecs", "DescribeServiceDeployments", "serviceDeploymentArns", arns, NULL);
    current = json_at(json_get(deployments, "serviceDeployments"), 0);
    json_set(row, "deploymentStatus", json_text(json_get_cstr(current, "status", "")));
    image = json_get(json_get(current, "rollback"),
                     "serviceRevisionArn"); /* what runs after a rollback */
    if (image == NULL)
        image = json_get(json_get(current, "targetServiceRevision"), "arn");
    if (image == NULL)
        return;
    json_append(revision_arns, json_ref(image));
    revisions = call1(s->client, "ecs", "DescribeServiceRevisions", "serviceRevisionArns",
                      revision_arns, NULL);
    image = json_at(
        json_get(json_at(json_get(revisions, "serviceRevisions"), 0), "containerImages"), 0);
    name = arn_tail(json_get_cstr(image, "image", NULL));
    digest = json_get_cstr(image, "imageDigest", "");
    if (name != NULL) {
        cleanup_free char *text =
            text_format("%s%s%.12s", name, digest[0] != '\0' ? "@" : "",
                        strncmp(digest, "sha256:", 7) == 0 ? digest + 7 : digest);
        json_set(row, "image", json_text(text));
        json_set(row, "imageDigest", digest[0] != '\0' ? json_text(digest) : NULL);
    }
}

/* Of a service with the deployment controller EXTERNAL: what runs side by side. */
static void
add_task_sets(struct status *s, const struct json *service, struct json *row)
{
    const struct json *sets = json_get(service, "taskSets");
    struct json *list = json_array();

    for (size_t i = 0; i < json_size(sets); i++) {
        const struct json *set = json_at(sets, i), *scale = json_get(set, "scale");
        struct json *o = json_object();

        json_set(o, "id", json_text(json_get_cstr(set, "id", "")));
        json_set(o, "status", json_text(json_get_cstr(set, "status", "")));
        json_set(o, "stabilityStatus", json_text(json_get_cstr(set, "stabilityStatus", "")));
        json_set(o, "desiredCount", json_int(json_get_i64(set, "computedDesiredCount", 0)));
        json_set(o, "runningCount", json_int(json_get_i64(set, "runningCount", 0)));
        json_set(o, "pendingCount", json_int(json_get_i64(set, "pendingCount", 0)));
        json_set(o, "taskDefinition", json_text(arn_tail(json_get_cstr(set, "taskDefinition", ""))));
        if (scale != NULL)
            json_set(o, "scale", json_ref(scale));
        add_health(s, set, o);
        json_append(list, o);
    }
    json_set(row, "rolloutState", json_text("EXTERNAL"));
    json_set(row, "taskSets", list);
}

static void
add_service(struct status *s, const char *cluster, const struct json *service)
{
    const struct json *primary = json_at(json_get(service, "deployments"), 0);
    struct json *row = json_object();

    if (strcmp(json_get_cstr(service, "status", ""), "INACTIVE") == 0) {
        json_unref(row);
        return;
    }
    json_set(row, "cluster", json_text(cluster));
    json_set(row, "service", json_text(json_get_cstr(service, "serviceName", "")));
    json_set(row, "desiredCount", json_int(json_get_i64(service, "desiredCount", 0)));
    json_set(row, "runningCount", json_int(json_get_i64(service, "runningCount", 0)));
    json_set(row, "pendingCount", json_int(json_get_i64(service, "pendingCount", 0)));
    json_set(row, "taskDefinition",
             json_text(arn_tail(json_get_cstr(service, "taskDefinition", ""))));
    json_set(row, "rolloutState", json_text(json_get_cstr(primary, "rolloutState", "")));
    if (json_get(service, "wait") != NULL)
        json_set(row, "wait", json_ref(json_get(service, "wait")));
    add_image(s, service, row);
    add_health(s, service, row);
    if (json_get(service, "taskSets") != NULL)
        add_task_sets(s, service, row);
    json_append(json_get(s->out, "services"), row);
}

static bool
add_cluster(struct status *s, const char *cluster, struct err *err)
{
    cleanup_json struct json *input = json_object();

    json_set(input, "cluster", json_text(cluster));
    json_set(input, "maxResults", json_int(SERVICES_PER_CALL));
    for (;;) {
        cleanup_json struct json *page = client_call(s->client, "ecs", "ListServices", input, err);
        cleanup_json struct json *ask = json_object(), *described = NULL;
        const struct json *arns = json_get(page, "serviceArns"),
                          *token = json_get(page, "nextToken");

        if (page == NULL)
            return false;
        if (json_size(arns) > 0) {
            struct json *include = json_array();

            json_append(include, json_text("WAIT"));
            json_set(ask, "include", include);
            json_set(ask, "cluster", json_text(cluster));
            json_set(ask, "services", json_ref(arns));
            described = client_call(s->client, "ecs", "DescribeServices", ask, err);
            if (described == NULL)
                return false;
            for (size_t i = 0; i < json_size(json_get(described, "services")); i++)
                add_service(s, cluster, json_at(json_get(described, "services"), i));
        }
        if (json_type(token) != JSON_TEXT)
            return true;
        json_set(input, "nextToken", json_ref(token));
    }
}

static bool
add_clusters(struct status *s, struct err *err)
{
    cleanup_json struct json *clusters = NULL;

    if (s->only_cluster != NULL)
        return add_cluster(s, s->only_cluster, err);
    clusters = clusters_list(s->client, err);
    if (clusters == NULL)
        return false;
    for (size_t i = 0; i < json_size(clusters); i++)
        if (!add_cluster(s, arn_tail(json_cstr(json_at(clusters, i), "")), err))
            return false;
    return true;
}

static char *
url_of(const struct json *listener)
{
    const char *protocol = json_get_cstr(listener, "Protocol", "HTTP");
    const long long port = json_get_i64(listener, "Port", 0);

    if (strcmp(protocol, "TCP") == 0)
        return text_format("tcp://localhost:%lld", port);
    return text_format("%s://localhost:%lld/", strcmp(protocol, "HTTPS") == 0 ? "https" : "http", port);
}

static bool
add_urls(struct status *s, struct err *err)
{
    cleanup_json struct json *answer =
        client_call(s->client, "elbv2", "DescribeLoadBalancers", NULL, err);
    const struct json *balancers = json_get(answer, "LoadBalancers");

    if (answer == NULL)
        return false;
    for (size_t i = 0; i < json_size(balancers); i++) {
        const struct json *arn = json_get(json_at(balancers, i), "LoadBalancerArn");
        cleanup_json struct json *listeners =
            call1(s->client, "elbv2", "DescribeListeners", "LoadBalancerArn", arn, err);

        if (listeners == NULL)
            return false;
        for (size_t k = 0; k < json_size(json_get(listeners, "Listeners")); k++) {
            const struct json *listener = json_at(json_get(listeners, "Listeners"), k);
            cleanup_free char *url = url_of(listener);
            struct json *row = json_object();

            json_set(row, "loadBalancer",
                     json_text(json_get_cstr(json_at(balancers, i), "LoadBalancerName", "")));
            json_set(row, "url", json_text(url));
            json_append(json_get(s->out, "urls"), row);
        }
    }
    return true;
}

/* A port that another program has, say: the services may be well, and yet nobody reaches them. */
static void
add_problem(struct status *s)
{
    char problem[512];

    if (local_server_says(client_get_config(s->client), "problem", problem, sizeof(problem)))
        json_set(s->out, "problem", json_text(problem));
}

/* Builds are naru's own, not Amazon's; a server without pipelines simply has none. */
static void
add_builds(struct status *s)
{
    cleanup(client_answer_done) struct client_answer answer = {0};
    const struct json *builds;

    if (!client_http(s->client, "GET", "/naru/builds", NULL, &answer, NULL) ||
        answer.code[0] != '\0')
        return;
    builds = json_type(answer.body) == JSON_ARRAY ? answer.body : json_get(answer.body, "builds");
    for (size_t i = 0; i < json_size(builds) && i < 10; i++)
        json_append(json_get(s->out, "builds"), json_ref(json_at(builds, i)));
}

static const char *
number_cell(const struct json *row, const char *name, char buffer[static 24])
{
    snprintf(buffer, 24, "%lld", (long long)json_get_i64(row, name, 0));
    return buffer;
}

static void
print_task_sets(struct table *t, const struct json *sets)
{
    char desired[24], running[24], pending[24];

    for (size_t i = 0; i < json_size(sets); i++) {
        const struct json *set = json_at(sets, i);
        cleanup_free char *name = text_format("  %s", json_get_cstr(set, "id", ""));
        cleanup_free char *state =
            text_format("%s %s", json_get_cstr(set, "status", ""), json_get_cstr(set, "stabilityStatus", ""));

        table_add(t, "", name, number_cell(set, "desiredCount", desired),
                  number_cell(set, "runningCount", running), number_cell(set, "pendingCount", pending), state,
                  json_get_cstr(set, "taskDefinition", ""), "", json_get_cstr(set, "health", ""));
    }
}

static void
print_services(const struct json *services)
{
    struct table *t =
        table_new((const char *const[]){"CLUSTER", "SERVICE", "DESIRED", "RUNNING", "PENDING",
                                        "DEPLOYMENT", "REVISION", "IMAGE", "HEALTH", NULL});
    char desired[24], running[24], pending[24];

    for (size_t i = 0; i < json_size(services); i++) {
        const struct json *r = json_at(services, i);

        table_add(t, json_get_cstr(r, "cluster", ""), json_get_cstr(r, "service", ""),
                  number_cell(r, "desiredCount", desired), number_cell(r, "runningCount", running),
                  number_cell(r, "pendingCount", pending),
                  json_get_cstr(r, "deploymentStatus", json_get_cstr(r, "rolloutState", "")),
                  json_get_cstr(r, "taskDefinition", ""), json_get_cstr(r, "image", ""),
                  json_get_cstr(r, "health", ""));
        print_task_sets(t, json_get(r, "taskSets"));
    }
    table_print(t, stdout);
    table_free(t);
    for (size_t i = 0; i < json_size(services); i++) {
        const struct json *r = json_at(services, i), *wait = json_get(r, "wait");
        cleanup_free char *words = wait == NULL ? NULL : waiting_words(wait);

        if (wait != NULL)
            printf("%s%s%s: %s\n", cli_colour(COLOUR_BAD), json_get_cstr(r, "service", ""),
                   cli_colour(COLOUR_NONE), words);
    }
}

static void
print_builds(const struct json *builds)
{
    struct table *t = table_new(
        (const char *const[]){"PIPELINE", "BUILD", "BRANCH", "COMMIT", "RESULT", "SECONDS", NULL});

    for (size_t i = 0; i < json_size(builds); i++) {
        const struct json *b = json_at(builds, i);
        cleanup_free char *commit = text_format("%.10s", json_get_cstr(b, "commit", ""));
        cleanup_free char *took = text_format("%.1f", (double)json_get_i64(b, "tookMs", 0) / 1000);
        char number[24];

        table_add(t, json_get_cstr(b, "pipeline", ""), number_cell(b, "number", number),
                  json_get_cstr(b, "branch", ""), commit,
                  json_get_cstr(b, "result", json_get_cstr(b, "state", "")), took);
    }
    table_print(t, stdout);
    table_free(t);
    for (size_t i = 0; i < json_size(builds); i++)
        input_print(json_at(builds, i));
}

static void
print_status(const struct json *out)
{
    const struct json *urls = json_get(out, "urls");

    if (json_size(json_get(out, "services")) == 0)
        puts("no services");
    else
        print_services(json_get(out, "services"));
    if (json_size(json_get(out, "builds")) > 0) {
        putchar('\n');
        print_builds(json_get(out, "builds"));
    }
    for (size_t i = 0; i < json_size(urls); i++)
        printf("%s%s  %s\n", i == 0 ? "\n" : "",
               json_get_cstr(json_at(urls, i), "loadBalancer", ""),
               json_get_cstr(json_at(urls, i), "url", ""));
    if (json_get(out, "problem") != NULL)
        printf("\n%sproblem%s: %s\n", cli_colour(COLOUR_BAD), cli_colour(COLOUR_NONE),
               json_get_cstr(out, "problem", ""));
}

int
command_status(int argc, char **argv)
{
    const char *data_dir = NULL, *output = NULL;
    struct status s = {0};
    const struct option_row rows[] = {{"data-dir", 0, OPTION_TEXT, &data_dir},
                                      {"output", 'o', OPTION_TEXT, &output},
                                      {"cluster", 'c', OPTION_TEXT, &s.only_cluster},
                                      {0}};
    cleanup_json struct json *out = json_object();
    struct err err = {0};
    bool wants_json, is_good;
    int status;

    if (command_begin(argc, argv, rows, 0, &status) < 0)
        return status;
    if (!cli_wants_json(output, &err, &wants_json))
        return cli_fail(&err);
    s.client = cli_connect(data_dir, &status);
    if (s.client == NULL)
        return status;
    s.out = out;
    json_set(out, "services", json_array());
    json_set(out, "builds", json_array());
    json_set(out, "urls", json_array());
    is_good = add_clusters(&s, &err) && add_urls(&s, &err);
    if (is_good) {
        add_builds(&s);
        add_problem(&s);
    }
    client_free(s.client);
    if (!is_good)
        return cli_fail(&err);
    if (wants_json)
        cli_print_json(out);
    else
        print_status(out);
    return EXIT_LIVE;
}
