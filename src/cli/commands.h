/* SPDX-License-Identifier: MIT */
/* commands.h - the table of commands (commands.def) and their functions. */
#pragma once
#include "cli/cli.h"

#define COMMAND(name, function, usage, summary, help) int function(int argc, char **argv);
#include "cli/commands.def"
#undef COMMAND

void command_list(FILE *out); /* a line each, for `naru --help` */
