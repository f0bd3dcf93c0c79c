/* SPDX-License-Identifier: MIT */
/* One program, three names: naru, aws, docker. */
#include <libgen.h>
#include <locale.h>
#include <signal.h>
#include <stdlib.h>
#include "cli/aws.h"
#include "cli/cli.h"
#include "cli/commands.h"
#include "cli/docker.h"

static int
print_usage(FILE *out)
{
    fputs("naru " NARU_VERSION
          ": from merge to live, on your own machine\n\nusage: naru <command> [options]\n\n",
          out);
    command_list(out);
    fputs("\nexamples:\n"
          "  naru up                                  start, and take the sample application live\n"
          "  eval \"$(naru env)\"                       let aws, docker and the SDKs find naru\n"
          "  naru status                              what runs\n"
          "\n`naru <command> --help` tells more.\n",
          out);
    return out == stdout ? EXIT_LIVE : EXIT_USAGE;
}

static int
run_command(int argc, char **argv)
{
    const struct command *command = command_find(argv[0]);
    const char *near = command_near(argv[0]);
    struct err err = {0};

    if (command != NULL)
        return command->run(argc, argv);
    if (near != NULL)
        err_set(&err, ERR_USAGE, "unknown command '%s': did you mean `naru %s`?", argv[0], near);
    else
        err_set(&err, ERR_USAGE, "unknown command '%s' (naru --help lists them)", argv[0]);
    return cli_fail(&err);
}

int
main(int argc, char **argv)
{
    cleanup_free char *path = text_dup(argc > 0 ? argv[0] : "naru");
    const char *name = basename(path);
    char help[] = "--help";

    signal(SIGPIPE, SIG_DFL);
    if (strcmp(name, "aws") == 0)
        return aws_main(argc, argv);
    if (strcmp(name, "docker") == 0)
        return docker_main(argc, argv);
    if (argc < 2)
        return print_usage(stderr);
    if (strcmp(argv[1], "help") == 0 && argc > 2) /* `naru help deploy` is `naru deploy --help` */
        return run_command(2, (char *[]){argv[2], help, NULL});
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0 ||
        strcmp(argv[1], "help") == 0)
        return print_usage(stdout);
    if (strcmp(argv[1], "--version") == 0) {
        puts("naru " NARU_VERSION);
        return EXIT_LIVE;
    }
    return run_command(argc - 1, argv + 1);
}
