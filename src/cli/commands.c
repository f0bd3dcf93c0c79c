/* SPDX-License-Identifier: MIT */
#include "cli/commands.h"

#include <stdlib.h>
#include "cli/aws.h"

static const struct command commands[] = {
#define COMMAND(name, function, usage, summary, help) {name, function, usage, summary, help},
#include "cli/commands.def"
#undef COMMAND
};

const struct command *
command_find(const char *name)
{
    for (size_t i = 0; i < ARRAY_COUNT(commands); i++)
        if (strcmp(commands[i].name, name) == 0)
            return &commands[i];
    return NULL;
}

const char *
command_near(const char *name)
{
    const char *near = NULL;
    unsigned least = strlen(name) > 4 ? 3 : 2; /* so many letters may be wrong, less one */

    for (size_t i = 0; i < ARRAY_COUNT(commands); i++) {
        const unsigned distance = str_distance(str_of(name), str_of(commands[i].name));

        if (distance < least) {
            least = distance;
            near = commands[i].name;
        }
    }
    return near;
}

void
command_list(FILE *out)
{
    fputs("commands:\n", out);
    for (size_t i = 0; i < ARRAY_COUNT(commands); i++)
        fprintf(out, "  %-10s %s\n", commands[i].name, commands[i].summary);
}

int
command_begin(int argc, char **argv, const struct option_row *rows, int positional_max, int *status)
{
    struct err err = {0};
    bool wants_help;
    const int count = options_parse(argc, argv, rows, &wants_help, &err);

    if (count >= 0 && wants_help) {
        const struct command *command = command_find(argv[0]);

        printf("usage: naru %s\n\n%s.\n\n%s", command->usage, command->summary, command->help);
        *status = EXIT_LIVE;
        return -2;
    }
    if (count > positional_max)
        err_set(&err, ERR_USAGE, "unexpected argument '%s' (try: naru %s --help)",
                argv[1 + positional_max], argv[0]);
    if (count < 0 || count > positional_max) {
        *status = cli_fail(&err);
        return -1;
    }
    return count;
}

int
command_aws(int argc, char **argv)
{
    static const struct option_row none[] = {{0}};
    int status;

    /* Behind an operation, and for a program called aws, these are the AWS CLI's own business. */
    if (argc == 2 && (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0) &&
        command_begin(argc, argv, none, 0, &status) < 0)
        return status;
    return aws_main(argc, argv);
}

/* ---- naru env ---- */

/* For a shell: single quotes, with those inside spelled '\''. */
static void
print_export(const char *name, const char *value)
{
    printf("export %s='", name);
    for (; *value != '\0'; value++)
        fputs(*value == '\'' ? "'\\''" : (char[]){*value, '\0'}, stdout);
    puts("'");
}

int
command_env(int argc, char **argv)
{
    const char *data_dir = NULL;
    const struct option_row rows[] = {{"data-dir", 0, OPTION_TEXT, &data_dir}, {0}};
    struct client_config config;
    struct err err = {0};
    struct str host;
    int status;

    if (command_begin(argc, argv, rows, 0, &status) < 0)
        return status;
    /* Another installation's environment, or a real account's, must not shine through. */
    if (data_dir != NULL || getenv("NARU_DATA_DIR") != NULL || client_has_credentials(data_dir))
        client_forget_environment();
    if (!client_config_load(&config, data_dir, &err) || !cli_has_keys(&config, data_dir, &err))
        return cli_fail(&err);
    host = str_of(config.endpoint_url);
    if (str_find(host, STR("://")) >= 0)
        host = str_slice(host, (size_t)str_find(host, STR("://")) + 3, host.len);
    print_export("AWS_ENDPOINT_URL", config.endpoint_url);
    print_export("AWS_ACCESS_KEY_ID", config.access_key_id);
    print_export("AWS_SECRET_ACCESS_KEY", config.secret_access_key);
    print_export("AWS_DEFAULT_REGION", config.region);
    print_export("AWS_REGION", config.region); /* some SDKs read only this one */
    print_export("AWS_ACCOUNT_ID", config.account);
    print_export("ECR_REGISTRY", host.at);
    puts("unset AWS_SESSION_TOKEN AWS_PROFILE"); /* they go before the keys */
    return EXIT_LIVE;
}
