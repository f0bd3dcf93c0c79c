/* SPDX-License-Identifier: MIT */
#include "cli/aws.h"

#include <stdio.h>
#include <stdlib.h>
#include "base/crypto.h"
#include "cli/aws_arguments.h"
#include "cli/aws_output.h"
#include "cli/aws_wait.h"
#include "cli/cli.h"
#include "cli/jmespath.h"

#define AWS_USAGE_ERROR 252
#define AWS_CONFIGURATION_ERROR 253
#define AWS_SERVICE_ERROR 254
#define AWS_GENERAL_ERROR 255
#define PAGES_MAX 10000

struct call {
    struct aws_globals globals;
    struct client *client;
    const struct aws_service *service;
    const struct aws_operation *operation;
};

static int
usage_error(const char *text)
{
    fprintf(stderr,
            "\nusage: aws [options] <command> <subcommand> [parameters]\n"
            "To see help text, you can run:\n\n  aws help\n  aws <command> help\n\n"
            "aws: error: %s\n",
            text);
    return AWS_USAGE_ERROR;
}

static int
input_error(const struct err *err)
{
    if (err->code == ERR_USAGE)
        return usage_error(err->message);
    fprintf(stderr, "\n%s\n", err->message);
    return err->code == ERR_MISSING_AUTHENTICATION_TOKEN ? AWS_CONFIGURATION_ERROR
                                                         : AWS_GENERAL_ERROR;
}

/* ---- help ---- */

static int
print_help(const struct aws_service *service)
{
    cleanup(strbuf_done) struct strbuf waiters = {0};

    printf("aws, naru's own (" NARU_VERSION "): the AWS CLI's syntax for %s\n\n",
           service != NULL ? service->name : "naru");
    if (service == NULL) {
        printf("usage: aws [options] <service> <operation> [--member value ...]\n\nservices:");
        for (int i = 0; service_at(i) != NULL; i++)
            printf(" %s", service_at(i)->name);
        printf("\noptions:  --region --endpoint-url --output json|text|table --query JMESPATH "
               "--no-cli-pager --no-paginate\n"
               "          --page-size; operations take --cli-input-json and file://\n\nexamples:\n"
               "  aws ecs update-service --cluster my-cluster --service my-service "
               "--force-new-deployment\n"
               "  aws ecs wait services-stable --cluster my-cluster --services my-service\n"
               "  aws sts get-caller-identity --query Account --output text\n");
        return 0;
    }
    printf("operations:\n");
    for (int i = 0; i < service->operation_count; i++)
        if (service->operations[i].input != NULL)
            printf("  %s\n", service->operations[i].option);
    if (strcmp(service->name, "ecr") == 0)
        printf("  get-login\n  get-login-password\n");
    aws_waiter_list(service->name, &waiters);
    if (waiters.len > 0)
        printf("  wait (%s)\n", strbuf_cstr(&waiters));
    printf("\n`aws %s <operation> help` lists the members of one.\n", service->name);
    return 0;
}

static int
print_operation_help(const struct aws_service *service, const struct aws_operation *operation)
{
    printf("usage: aws %s %s\n", service->name, operation->option);
    for (int i = 0; i < operation->input->member_count; i++) {
        const struct shape_member *m = &operation->input->members[i];

        printf("  %s--%s <%s>%s\n", m->is_required ? "" : "[", m->option,
               shape_kind_name(m->shape->kind), m->is_required ? "" : "]");
    }
    printf("  [--cli-input-json <json>]\n");
    return 0;
}

/* ---- the client ---- */

static const char *
service_endpoint(const struct aws_service *service)
{
    static const struct {
        const char *service, *variable;
    } rows[] = {
        {"ecs", "AWS_ENDPOINT_URL_ECS"},
        {"ecr", "AWS_ENDPOINT_URL_ECR"},
        {"elbv2", "AWS_ENDPOINT_URL_ELASTIC_LOAD_BALANCING_V2"},
        {"sts", "AWS_ENDPOINT_URL_STS"},
        {"acm", "AWS_ENDPOINT_URL_ACM"},
        {"ec2", "AWS_ENDPOINT_URL_EC2"},
        {"cloudwatch", "AWS_ENDPOINT_URL_CLOUDWATCH"},
    };

    for (size_t i = 0; i < ARRAY_COUNT(rows); i++)
        if (strcmp(rows[i].service, service->name) == 0)
            return getenv(rows[i].variable);
    return NULL;
}

static bool
connect_client(struct call *call, struct err *err)
{
    const char *endpoint = call->globals.endpoint_url != NULL ? call->globals.endpoint_url
                                                              : service_endpoint(call->service);
    struct client_config config;

    if (!client_config_load(&config, NULL, err))
        return false;
    if (endpoint != NULL &&
        !text_copy(config.endpoint_url, sizeof(config.endpoint_url), str_of(endpoint)))
        return err_set(err, ERR_USAGE, "the endpoint URL is too long");
    if (strncmp(config.endpoint_url, "http://", 7) != 0 &&
        strncmp(config.endpoint_url, "https://", 8) != 0)
        return err_set(err, ERR_USAGE, "Invalid endpoint: %s", config.endpoint_url);
    while (str_ends(str_of(config.endpoint_url), STR("/")))
        config.endpoint_url[strlen(config.endpoint_url) - 1] = '\0';
    if (call->globals.region != NULL &&
        !text_copy(config.region, sizeof(config.region), str_of(call->globals.region)))
        return err_set(err, ERR_USAGE, "Invalid region name");
    call->client = client_new(&config);
    return true;
}

/* ---- calls ---- */

static int
refused(const struct call *call, const struct client_answer *answer)
{
    fflush(stdout);
    fprintf(stderr, "\nAn error occurred (%s) when calling the %s operation: %s\n", answer->code,
            call->operation->name, answer->message);
    return AWS_SERVICE_ERROR;
}

static void
append_page(struct json *all, const struct json *page, const char *member)
{
    struct json *list = json_get(all, member);
    const struct json *more = json_get(page, member);

    if (list == NULL) {
        list = json_array();
        json_set(all, member, list);
    }
    for (size_t i = 0; i < json_size(more); i++)
        json_append(list, json_ref(json_at(more, i)));
}

/* Follows the tokens to the end, as the AWS CLI does, unless the caller pages by itself. */
static int
call_operation(struct call *call, struct json *input, struct json **out)
{
    const struct aws_operation *operation = call->operation;
    const bool pages = operation->result != NULL && !call->globals.no_paginate &&
                       json_get(input, operation->token_in) == NULL &&
                       (operation->limit == NULL || json_get(input, operation->limit) == NULL);
    struct json *all = NULL;

    if (call->globals.page_size > 0 && operation->result != NULL && operation->limit == NULL)
        return usage_error("Unknown options: --page-size");
    if (pages && call->globals.page_size > 0)
        json_set(input, operation->limit, json_int(call->globals.page_size));
    for (int page = 0; page < PAGES_MAX; page++) {
        cleanup(client_answer_done) struct client_answer answer = {0};
        struct err err = {0};
        const struct json *token;

        if (!client_send(call->client, call->service, operation->name, input, &answer, &err)) {
            json_unref(all);
            return input_error(&err);
        }
        if (answer.code[0] != '\0') {
            json_unref(all);
            return refused(call, &answer);
        }
        if (!pages) {
            *out = TAKE(answer.body);
            return 0;
        }
        if (all == NULL)
            all = json_object();
        append_page(all, answer.body, operation->result);
        token = json_get(answer.body, operation->token_out);
        if (json_type(token) != JSON_TEXT || json_cstr(token, "")[0] == '\0')
            break;
        json_set(input, operation->token_in, json_ref(token));
    }
    *out = all;
    return 0;
}

static int
print_answer(const struct call *call, const struct json *answer)
{
    const char *format =
        call->globals.output != NULL ? call->globals.output : getenv("AWS_DEFAULT_OUTPUT");
    cleanup_json struct json *value = aws_with_iso_times(answer);
    struct err err = {0};

    if (call->globals.query != NULL) {
        struct json *selected = jmespath_search(call->globals.query, value, &err);

        if (selected == NULL)
            return input_error(&err);
        json_unref(value);
        value = selected;
    }
    aws_print(value, call->operation->name, format != NULL ? format : "json");
    return 0;
}

static int
run_operation(struct call *call, int argc, char **argv)
{
    cleanup_json struct json *input = NULL, *answer = NULL;
    struct err err = {0};
    int status;

    if (call->operation->input == NULL) {
        cleanup_free char *text = text_format("naru has not built the operation '%s %s'",
                                              call->service->name, call->operation->option);
        return usage_error(text);
    }
    if (argc > 0 && strcmp(argv[0], "help") == 0)
        return print_operation_help(call->service, call->operation);
    if (call->globals.query != NULL) { /* a bad query must not be noticed after the deed */
        struct jmespath *path = jmespath_parse(str_of(call->globals.query), &err);

        if (path == NULL)
            return input_error(&err);
        jmespath_free(path);
    }
    input = aws_arguments_parse(call->operation, argc, argv, &err);
    if (input == NULL || !connect_client(call, &err))
        return input_error(&err);
    status = call_operation(call, input, &answer);
    return status != 0 ? status : print_answer(call, answer);
}

static int
run_wait(struct call *call, int argc, char **argv)
{
    cleanup(strbuf_done) struct strbuf text = {0};
    cleanup_json struct json *input = NULL;
    const struct aws_waiter *waiter =
        argc > 0 ? aws_waiter_find(call->service->name, argv[0]) : NULL;
    struct err err = {0};

    if (waiter == NULL) {
        strbuf_add_cstr(&text, "");
        aws_waiter_list(call->service->name, &text);
        err_set(&err, ERR_USAGE, "argument waiter: Invalid choice, valid choices are: %s",
                strbuf_cstr(&text));
        return input_error(&err);
    }
    call->operation = operation_named(call->service, aws_waiter_operation(waiter));
    input = aws_arguments_parse(call->operation, argc - 1, argv + 1, &err);
    if (input == NULL || !connect_client(call, &err))
        return input_error(&err);
    return aws_wait(call->client, call->service, waiter, input);
}

/* ---- ecr get-login-password, ecr get-login ---- */

static int
run_login(struct call *call, bool prints_command, int argc, char **argv)
{
    cleanup_json struct json *input = json_object(), *answer = NULL;
    cleanup(strbuf_done) struct strbuf pair = {0};
    const struct json *data;
    struct err err = {0};
    ptrdiff_t colon;
    int status;

    for (int i = 0; i < argc; i++)
        if (!prints_command ||
            (strcmp(argv[i], "--no-include-email") != 0 && strcmp(argv[i], "--include-email") != 0))
            return usage_error("Unknown options for the login commands");
    call->operation = operation_named(call->service, "GetAuthorizationToken");
    if (!connect_client(call, &err))
        return input_error(&err);
    status = call_operation(call, input, &answer);
    if (status != 0)
        return status;
    data = json_at(json_get(answer, "authorizationData"), 0);
    if (!base64_decode(&pair, str_of(json_get_cstr(data, "authorizationToken", ""))) ||
        (colon = str_index(strbuf_str(&pair), ':')) < 0) {
        fprintf(stderr, "\nthe authorization token in the answer cannot be read\n");
        return AWS_GENERAL_ERROR;
    }
    if (prints_command)
        printf("docker login -u %.*s -p %s %s\n", (int)colon, pair.at, pair.at + colon + 1,
               json_get_cstr(data, "proxyEndpoint", ""));
    else
        printf("%s\n", pair.at + colon + 1);
    return 0;
}

/* ---- configure list|get ---- */

static int
configure_get(const struct client_config *config, const char *name)
{
    const struct {
        const char *name, *value;
    } rows[] = {
        {"region", config->region},
        {"aws_access_key_id", config->access_key_id},
        {"aws_secret_access_key", config->secret_access_key},
        {"endpoint_url", config->endpoint_url},
    };

    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        if (strcmp(rows[i].name, name) == 0 && rows[i].value[0] != '\0') {
            printf("%s\n", rows[i].value);
            return 0;
        }
    }
    return 1; /* as the real one: nothing on either stream */
}

static int
run_configure(int argc, char **argv)
{
    struct client_config config;
    struct err err = {0};
    const size_t key_length = 4;

    if (!client_config_load(&config, NULL, &err))
        return input_error(&err);
    if (argc == 2 && strcmp(argv[0], "get") == 0)
        return configure_get(&config, argv[1]);
    if (argc == 1 && strcmp(argv[0], "list") == 0) {
        const size_t length = strlen(config.access_key_id);
        const char *tail =
            config.access_key_id + (length > key_length ? length - key_length : length);

        printf("      Name                    Value             Type    Location\n"
               "      ----                    -----             ----    --------\n"
               "   profile                <not set>             None    None\n"
               "access_key     ****************%-4s              env\n"
               "secret_key     ****************%-4s              env\n"
               "    region           %14s              env\n",
               config.has_keys ? tail : "none", config.has_keys ? "****" : "none", config.region);
        return 0;
    }
    return usage_error(
        "'aws configure' is built for 'list' and 'get'; set AWS_DEFAULT_REGION, AWS_ACCESS_KEY_ID "
        "and "
        "AWS_SECRET_ACCESS_KEY in the environment (eval \"$(naru env)\") instead of 'set'");
}

int
aws_main(int argc, char **argv)
{
    struct call call = {0};
    struct err err = {0};
    int count = argc - 1, status;

    argv++;
    if (!aws_globals_parse(&count, argv, &call.globals, &err))
        return input_error(&err);
    if (count > 0 && strcmp(argv[0], "--version") == 0)
        return printf("aws-cli/2.9.19 naru/" NARU_VERSION "\n") < 0;
    if (count == 0)
        return usage_error("the following arguments are required: command");
    if (strcmp(argv[0], "help") == 0)
        return print_help(NULL);
    if (strcmp(argv[0], "configure") == 0)
        return run_configure(count - 1, argv + 1);
    call.service = service_find(argv[0]);
    if (call.service == NULL) {
        cleanup_free char *text = text_format(
            "naru has not built the service '%s'; acm, cloudwatch, ec2, ecr, ecs, elbv2 and sts are built", argv[0]);

        return usage_error(text);
    }
    if (count == 1)
        return usage_error("the following arguments are required: operation");
    if (strcmp(argv[1], "help") == 0)
        return print_help(call.service);
    call.operation = operation_find(call.service, argv[1]);
    if (strcmp(argv[1], "wait") == 0) {
        status = run_wait(&call, count - 2, argv + 2);
    } else if (strcmp(call.service->name, "ecr") == 0 && strncmp(argv[1], "get-login", 9) == 0) {
        status = run_login(&call, strcmp(argv[1], "get-login") == 0, count - 2, argv + 2);
    } else if (call.operation == NULL) {
        cleanup_free char *text =
            text_format("argument operation: Invalid choice: '%s' (see: aws %s help)", argv[1],
                        call.service->name);
        status = usage_error(text);
    } else {
        status = run_operation(&call, count - 2, argv + 2);
    }
    client_free(call.client);
    return status;
}
