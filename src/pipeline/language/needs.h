/* SPDX-License-Identifier: MIT */
/* needs.h - what a Jenkinsfile asks for before anything of it runs: agents, tools, commands,
 * credentials, parameters, variables, libraries; and what it names that is not here.
 * Found by reading, so what a script computes (a credentials id in a variable) is not seen.
 * Pure; the result lives in the arena that is given. */
#pragma once
#include "pipeline/language/jenkinsfile.h"

#define NEEDS_MAX 2000

enum need_type {
    NEED_AGENT,
    NEED_TOOL,
    NEED_COMMAND, /* of a script: docker, mvn */
    NEED_CREDENTIAL,
    NEED_PARAMETER,
    NEED_VARIABLE, /* of the environment, set neither in the file nor by naru */
    NEED_LIBRARY,
    NEED_UNSUPPORTED, /* known to Jenkins, not built here: fails when it is reached */
    NEED_UNKNOWN,     /* a step that nobody knows */
};
const char *need_type_name(enum need_type type); /* "credential" */

struct need {
    enum need_type type;
    struct str name;
    bool is_label;    /* of a NEED_AGENT: its name is a label expression */
    const char *note; /* "use sh", "did you mean 'echo'?"; or NULL */
    unsigned line, column;
    unsigned count; /* how often it is named; the place is the first */
    struct need *next;
};

/* In the order of types, then of the file; NULL if there are none. */
struct need *needs_find(const struct jenkinsfile *j, struct arena *arena);
