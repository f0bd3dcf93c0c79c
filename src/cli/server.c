/* SPDX-License-Identifier: MIT */
#include "daemon/server.h"

#include <string.h>
#include "cli/commands.h"

/* The server reads its own options; only the help is the table's, as everywhere. */
int
command_server(int argc, char **argv)
{
    const struct option_row none[] = {{0}};
    int status;

    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0) {
            char *help[] = {argv[0], argv[i]};

            (void)command_begin(2, help, none, 0, &status);
            return status;
        }
    }
    return server_main(argc, argv);
}
