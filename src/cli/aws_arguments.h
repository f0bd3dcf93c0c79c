/* SPDX-License-Identifier: MIT */
/* aws_arguments.h - the AWS CLI's arguments of one operation, as its JSON input.
 * Options are the kebab-case names of the members; lists take several values or JSON; structures
 * take shorthand or JSON; `file://path` stands for a file's content; booleans are `--flag` and
 * `--no-flag`. Every mistake is ERR_USAGE with the AWS CLI's own words where they matter to people.
 */
#pragma once
#include "base/err.h"
#include "base/json.h"
#include "cli/shapes.h"

/* What is understood with every operation. */
struct aws_globals {
    const char *region, *endpoint_url, *output, *query, *profile;
    bool no_paginate;
    int64_t page_size;
};

/* Takes the global options out of argv[*argc] and leaves the rest. */
bool aws_globals_parse(int *argc, char **argv, struct aws_globals *out, struct err *err) MUST_CHECK;
/* The rest, behind the operation's name. */
struct json *aws_arguments_parse(const struct aws_operation *operation, int argc, char **argv,
                                 struct err *err) MUST_CHECK;
