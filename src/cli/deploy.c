/* SPDX-License-Identifier: MIT */
/* naru deploy, naru rollback. */
#include <stdlib.h>
#include "cli/commands.h"
#include "cli/follow.h"
#include "cli/own_image.h"

#define TIMEOUT_S 600

struct deploy {
    const char *service, *image, *cluster, *container, *data_dir, *output, *to;
    bool waits, is_rollback, wants_json;
    int64_t timeout_s;
    struct client *client;
    char cluster_name[512];
    struct json *found; /* the service as it was */
    bool was_over;
};

/* Whose image changes: the one named, the one behind the load balancer, or the only one. */
static struct json *
choose_container(const struct deploy *d, const struct json *definition, struct err *err)
{
    const struct json *containers = json_get(definition, "containerDefinitions");
    const char *wanted = d->container;

    if (wanted == NULL && json_size(containers) == 1)
        return json_at(containers, 0);
    if (wanted == NULL)
        wanted =
            json_get_cstr(json_at(json_get(d->found, "loadBalancers"), 0), "containerName", NULL);
    if (wanted == NULL) {
        err_set(err, ERR_USAGE, "the task definition has %zu containers: say --container",
                json_size(containers));
        return NULL;
    }
    if (json_find(containers, "name", wanted) == NULL)
        err_set(err, ERR_USAGE, "the task definition has no container '%s'", wanted);
    return json_find(containers, "name", wanted);
}

/* The newest revision with another image; the ARN in `out`. */
static bool
register_revision(const struct deploy *d, char *out, size_t size, struct err *err)
{
    const struct shape *input_shape =
        operation_named(service_find("ecs"), "RegisterTaskDefinition")->input;
    cleanup_json struct json *described = NULL, *definition = NULL, *input = json_object(),
                             *answer = NULL;
    struct json *container;

    described =
        task_definition_describe(d->client, json_get_cstr(d->found, "taskDefinition", ""), err);
    if (described == NULL)
        return false;
    definition = json_copy(json_get(described, "taskDefinition"));
    container = choose_container(d, definition, err);
    if (container == NULL)
        return false;
    json_set(container, "image", json_text(d->image));
    for (int i = 0; i < input_shape->member_count; i++) {
        const char *name = input_shape->members[i].name;
        const struct json *value = json_get(definition, name);

        if (value != NULL)
            json_set(input, name, json_ref(value));
    }
    answer = client_call(d->client, "ecs", "RegisterTaskDefinition", input, err);
    if (answer == NULL)
        return err_context(err, "registering the new revision");
    return text_copy(
        out, size,
        str_of(json_get_cstr(json_get(answer, "taskDefinition"), "taskDefinitionArn", "")));
}

static bool
update_service(const struct deploy *d, const char *definition, char *deployment_out, size_t size,
               struct err *err)
{
    cleanup_json struct json *input = json_object(), *answer = NULL;
    const char *deployment;

    json_set(input, "cluster", json_text(d->cluster_name));
    json_set(input, "service", json_text(d->service));
    if (d->to != NULL)
        json_set(input, "rollbackTo", json_text(d->to));
    else if (d->is_rollback)
        json_set(input, "rollbackDeployment", json_bool(true));
    else
        json_set(input, "taskDefinition", json_text(definition));
    answer = client_call(d->client, "ecs", "UpdateService", input, err);
    if (answer == NULL)
        return false;
    deployment = json_get_cstr(json_get(answer, "service"), "currentServiceDeployment", "");
    if (deployment[0] == '\0')
        return err_set(err, ERR_INTERNAL, "the answer names no service deployment");
    return text_copy(deployment_out, size, str_of(deployment));
}

static int
report(const struct deploy *d, const char *definition, const char *deployment,
       const struct follow *f, int code)
{
    if (d->wants_json) {
        cleanup_json struct json *out = json_object();

        json_set(out, "cluster", json_text(d->cluster_name));
        json_set(out, "service", json_text(d->service));
        json_set(out, "taskDefinition", definition[0] != '\0' ? json_text(definition) : NULL);
        json_set(out, "serviceDeployment", json_text(deployment));
        json_set(out, "verdict", json_text(f != NULL ? f->verdict : "started"));
        json_set(out, "reason", f != NULL && f->reason[0] != '\0' ? json_text(f->reason) : NULL);
        json_set(out, "cause", f != NULL && f->cause[0] != '\0' ? json_text(f->cause) : NULL);
        cli_print_json(out);
    } else if (f == NULL) {
        printf("%s of %s started: %s\n", d->is_rollback ? "rollback" : "deployment", d->service,
               deployment);
    }
    return code;
}

/* Is the last deployment at its end?  If a rollback starts no other it changes nothing, and must not look
 * as if it had. */
static bool
is_over(const struct deploy *d)
{
    const char *current = json_get_cstr(d->found, "currentServiceDeployment", "");
    cleanup_json struct json *deployment =
        current[0] != '\0' ? service_deployment_describe(d->client, current, NULL) : NULL;

    return json_get(deployment, "finishedAt") != NULL;
}

static int
report_nothing_to_do(const struct deploy *d, const char *deployment)
{
    struct follow f = {.verdict = "live"};

    (void)text_copy(f.reason, sizeof(f.reason),
                    d->to != NULL ? STR("it runs already; nothing changed")
                                  : STR("it was rolled back already; nothing changed"));
    if (!d->wants_json)
        printf("%s %s: %s runs, and nothing changed\n", d->service,
               d->to != NULL ? "needs no rollback" : "was rolled back already",
               arn_tail(json_get_cstr(d->found, "taskDefinition", "")));
    return d->wants_json ? report(d, "", deployment, &f, EXIT_LIVE) : EXIT_LIVE;
}

static int
deploy_run(struct deploy *d)
{
    char definition[1024] = "", deployment[1024] = "";
    struct follow f = {.client = d->client,
                       .cluster = d->cluster_name,
                       .service = d->service,
                       .deployment_arn = deployment,
                       .timeout_ms = d->timeout_s * 1000,
                       .is_rollback = d->is_rollback};
    struct err err = {0};

    if (!cli_wants_json(d->output, &err, &d->wants_json) ||
        !service_locate(d->client, d->cluster, d->service, d->cluster_name, sizeof(d->cluster_name),
                        &d->found, &err) ||
        !service_check_controller(d->found, &err) || /* before a revision is made that nobody runs */
        (!d->is_rollback && !own_image_check(client_get_config(d->client), d->image, &err)))
        return cli_fail(&err);
    if (!d->is_rollback && !register_revision(d, definition, sizeof(definition), &err))
        return cli_fail(&err);
    d->was_over = d->is_rollback && is_over(d);
    if (!update_service(d, definition, deployment, sizeof(deployment), &err))
        return cli_fail(&err);
    if (d->was_over &&
        strcmp(deployment, json_get_cstr(d->found, "currentServiceDeployment", "")) == 0)
        return report_nothing_to_do(d, deployment);
    f.is_quiet = d->wants_json;
    f.before = d->found;
    if (!d->waits)
        return report(d, definition, deployment, NULL, EXIT_LIVE);
    return report(d, definition, deployment, &f, follow_deployment(&f));
}

static int
deploy_main(int argc, char **argv, bool is_rollback)
{
    struct deploy d = {.timeout_s = TIMEOUT_S, .is_rollback = is_rollback};
    const struct option_row rows[] = {
        {"service", 's', OPTION_TEXT, &d.service},
        {"cluster", 'c', OPTION_TEXT, &d.cluster},
        {"wait", 'w', OPTION_FLAG, &d.waits},
        {"timeout", 0, OPTION_NUMBER, &d.timeout_s},
        {"data-dir", 0, OPTION_TEXT, &d.data_dir},
        {"output", 'o', OPTION_TEXT, &d.output},
        {is_rollback ? "to" : "image", is_rollback ? 0 : 'i', OPTION_TEXT,
         is_rollback ? &d.to : &d.image},
        {is_rollback ? NULL : "container", 0, OPTION_TEXT, &d.container}, /* or the table ends */
        {0},
    };
    struct err err = {0};
    int status;

    if (command_begin(argc, argv, rows, 0, &status) < 0)
        return status;
    if (d.service == NULL || (!is_rollback && d.image == NULL)) {
        err_set(&err, ERR_USAGE, "say %s (try: naru %s --help)",
                d.service == NULL ? "--service" : "--image", argv[0]);
        return cli_fail(&err);
    }
    d.client = cli_connect(d.data_dir, &status);
    if (d.client == NULL)
        return status;
    status = deploy_run(&d);
    json_unref(d.found);
    client_free(d.client);
    return status;
}

int
command_deploy(int argc, char **argv)
{
    return deploy_main(argc, argv, false);
}

int
command_rollback(int argc, char **argv)
{
    return deploy_main(argc, argv, true);
}
