/* SPDX-License-Identifier: MIT */
#include "daemon/server.h"
#include "cli/commands.h"

int
command_server(int argc, char **argv)
{
    return server_main(argc, argv);
}
