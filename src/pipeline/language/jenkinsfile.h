/* SPDX-License-Identifier: MIT */
/* jenkinsfile.h - a Jenkinsfile: its tree, and the declarative pipeline found in it.
 * jenkinsfile_parse() reads the text, checks the declarative rules (all errors at once, each with
 * line, column and code) and gives an immutable structure that lives until jenkinsfile_free().
 * A section keeps the call node it was written as; section_block() gives its statements.  What the
 * rules accept but a run cannot do (kubernetes agents, bat ...) is no error here: it fails when it
 * is reached.  Pure: no files, no clock. */
#pragma once
#include "pipeline/language/syntax.h"

enum section {
    SECTION_AGENT,
    SECTION_STAGES,
    SECTION_STEPS,
    SECTION_PARALLEL,
    SECTION_MATRIX,
    SECTION_FAIL_FAST,
    SECTION_ENVIRONMENT,
    SECTION_TOOLS,
    SECTION_POST,
    SECTION_OPTIONS,
    SECTION_WHEN,
    SECTION_INPUT,
    SECTION_PARAMETERS,
    SECTION_TRIGGERS,
    SECTION_LIBRARIES,
    SECTION_COUNT,
};

enum agent_type {
    AGENT_INHERIT, /* no agent section */
    AGENT_ANY,
    AGENT_NONE,
    AGENT_LABEL, /* also node */
    AGENT_DOCKER,
    AGENT_DOCKERFILE,
    AGENT_KUBERNETES,
};

/* A stage, or the pipeline itself (then without a name). */
struct stage {
    struct str name;
    unsigned line, column;
    bool is_broken; /* something in it is no section at all */
    const struct node *section[SECTION_COUNT]; /* the calls, NULL where absent */
    enum agent_type agent;
    const struct node *custom_workspace; /* an expression, or NULL */
    struct stage *stages, *last_stage;   /* of `stages` or `parallel` */
    struct stage *matrix;                /* what every cell of `matrix` is, without a name */
    struct stage *next;
};

struct jenkinsfile {
    struct arena arena;
    struct node *script;              /* the whole file */
    const struct node *pipeline_call; /* NULL: a scripted one */
    struct stage *pipeline;
};

/* NULL with at least one diagnostic. */
struct jenkinsfile *jenkinsfile_parse(struct str text, struct diagnostics *d) MUST_CHECK;
/* A pipeline block that a library calls, checked by the same rules; in `arena`. NULL with at least
 * one diagnostic. */
struct stage *jenkinsfile_bind_call(struct arena *arena, const struct node *call,
                                    struct diagnostics *d) MUST_CHECK;
void jenkinsfile_free(struct jenkinsfile *j);
static inline void
jenkinsfile_free_(struct jenkinsfile **j)
{
    jenkinsfile_free(*j);
}
#define cleanup_jenkinsfile cleanup(jenkinsfile_free_)

/* The closure behind a call, or NULL. */
const struct node *section_block(const struct node *call);
/* The entry `name` of a post, options, when ... section; NULL when it is not there. */
const struct node *section_entry(const struct node *call, const char *name);
