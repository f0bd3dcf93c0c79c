/* SPDX-License-Identifier: MIT */
/* step_table.h - the steps, options, conditions and parameters a Jenkinsfile can name, with their
 * arguments.  The declarative checks and the run read the same rows.
 * An argument list is text: "script!s returnStdout:b": name, '!' required or ':' optional, then the
 * type: s text, i integer, b boolean, a anything.  A single unnamed value goes to the first
 * required argument, or to the first one if none is required. */
#pragma once
#include "pipeline/language/syntax.h"

#define STEP_ARGS_MAX 24

enum step_kind {
    STEP_PLAIN,
    STEP_BLOCK,   /* takes a block */
    STEP_SCRIPT,  /* its block is free Groovy */
    STEP_BLOCKED, /* not allowed as a declarative step */
    STEP_LATER,   /* known, not built yet: fails when reached */
    STEP_OPEN,    /* known, arguments unchecked */
    STEP_SKIPPED, /* a plugin's: does nothing but run its block (steps_plugin.c) */
    STEP_REFUSED, /* fails when reached and says what to do instead */
};

struct step_type {
    const char *name;
    enum step_kind kind;
    const char *args; /* NULL: unchecked */
};

const struct step_type *step_type_find(struct str name);
/* Is it how plugins whose steps are skipped name things in their arguments: recordIssues(tools: [java()])? */
bool step_symbol_is_known(struct str name);
const struct step_type *when_type_find(struct str name);
const struct step_type *option_type_find(struct str name);
const struct step_type *parameter_type_find(struct str name);
const struct step_type *trigger_type_find(struct str name);

struct arg_spec {
    struct str name;
    bool is_required;
    char type;
};
size_t step_args_parse(const char *args, struct arg_spec out[static STEP_ARGS_MAX]);
/* The argument a single unnamed value goes to; NULL if there is none. */
const struct arg_spec *step_args_positional(const struct arg_spec *specs, size_t count);

/* Checks a call's arguments; codes are "E-<kind>-PARAM" and so on. */
void step_args_check(const struct node *call, const struct step_type *type, const char *kind,
                     struct diagnostics *d);
/* The name nearest to `name` among all steps, or NULL. */
const char *step_name_near(struct str name);
const char *when_name_near(struct str name);
const char *option_name_near(struct str name);
const char *parameter_name_near(struct str name);
const char *trigger_name_near(struct str name);
/* The one of `names` that is spelled much like it, or NULL. */
const char *name_near(const char *const *names, size_t count, struct str name);
