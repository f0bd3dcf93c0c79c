/* SPDX-License-Identifier: MIT */
/* server.h - `naru server`: one process that holds every room. */
#pragma once

/* Runs until SIGTERM or SIGINT; the process's exit status.  Options are read from `argv` (argv[0] is "server")
 * and the environment; see config.h. */
int server_main(int argc, char **argv);
