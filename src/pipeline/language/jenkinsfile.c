/* SPDX-License-Identifier: MIT */
#include "pipeline/language/jenkinsfile.h"

#include <stdarg.h>
#include <stdio.h>
#include "pipeline/language/bind.h"
#include "pipeline/language/names.h"
#include "pipeline/language/step_table.h"

static const struct {
    const char *name;
    bool in_pipeline, in_stage, in_matrix;
} sections[SECTION_COUNT] = {
    [SECTION_AGENT] = {"agent", true, true, true},
    [SECTION_STAGES] = {"stages", true, true, true},
    [SECTION_STEPS] = {"steps", false, true, false},
    [SECTION_PARALLEL] = {"parallel", false, true, false},
    [SECTION_MATRIX] = {"matrix", false, true, false},
    [SECTION_FAIL_FAST] = {"failFast", false, true, false},
    [SECTION_ENVIRONMENT] = {"environment", true, true, true},
    [SECTION_TOOLS] = {"tools", true, true, true},
    [SECTION_POST] = {"post", true, true, true},
    [SECTION_OPTIONS] = {"options", true, true, true},
    [SECTION_WHEN] = {"when", false, true, true},
    [SECTION_INPUT] = {"input", false, true, true},
    [SECTION_PARAMETERS] = {"parameters", true, false, false},
    [SECTION_TRIGGERS] = {"triggers", true, false, false},
    [SECTION_LIBRARIES] = {"libraries", true, false, false},
};

const struct node *
section_block(const struct node *call)
{
    if (call == NULL || call->type != N_CALL || call->last == NULL)
        return NULL;
    return call->last->type == N_CLOSURE ? call->last : NULL;
}

const struct node *
section_entry(const struct node *call, const char *name)
{
    const struct node *block = section_block(call);

    if (block == NULL)
        return NULL;
    for (const struct node *n = block->first; n != NULL; n = n->next)
        if (n->type == N_CALL && n->a == NULL && str_is(n->text, name))
            return n;
    return NULL;
}

void
bind_fail(struct binder *b, const struct node *at, const char *code, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    diagnostics_addv(b->d, at->line, at->column, code, format, args);
    va_end(args);
}

void
bind_fail_near(struct binder *b, const struct node *at, const char *code, const char *near,
               const char *format, ...)
{
    char text[300];
    va_list args;

    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    if (near == NULL)
        bind_fail(b, at, code, "%s", text);
    else
        bind_fail(b, at, code, "%s; did you mean '%s'?", text, near);
}

const struct node *
bind_call(const struct node *statement)
{
    return statement->type == N_CALL && statement->a == NULL && statement->b == NULL ? statement
                                                                                     : NULL;
}

static bool
allowed_in_pipeline(enum section s)
{
    return sections[s].in_pipeline;
}

static bool
allowed_in_stage(enum section s)
{
    return sections[s].in_stage;
}

static const char *
renamed(struct str name)
{
    if (str_is(name, "properties") || str_is(name, "wrappers") || str_is(name, "jobProperties"))
        return "options";
    if (str_is(name, "notifications") || str_is(name, "postBuild"))
        return "post";
    return NULL;
}

static void
bind_unknown(struct binder *b, const struct node *call, const char *what)
{
    const char *now = renamed(call->text);
    const char *names[SECTION_COUNT];

    for (size_t i = 0; i < SECTION_COUNT; i++)
        names[i] = sections[i].name;
    if (now != NULL)
        bind_fail(b, call, "E-RENAMED", "'" STR_FMT "' is called '%s' now", STR_ARG(call->text),
                  now);
    else
        bind_fail_near(b, call,
                       strcmp(what, "stage") == 0 ? "E-UNKNOWN-STAGE-SECTION" : "E-UNKNOWN-SECTION",
                       name_near(names, SECTION_COUNT, call->text),
                       "'" STR_FMT "' is not a section of a %s", STR_ARG(call->text), what);
}

/* `agent any` and `failFast true` are the only sections without a block. */
static bool
section_has_form(struct binder *b, enum section s, const struct node *call)
{
    const struct node *block = section_block(call);

    if (s == SECTION_FAIL_FAST) {
        if (call->first == NULL || call->first->type != N_BOOL || call->first->next != NULL)
            bind_fail(b, call, "E-BOOLEAN-EXPECTED", "'failFast' takes true or false");
        return true;
    }
    if (s == SECTION_AGENT)
        return true;
    if (s == SECTION_INPUT && call->first != NULL && call->first->type == N_TEXT)
        return true;
    if (block == NULL || call->first != block) {
        bind_fail(b, call, "E-BLOCK-EXPECTED", "'%s' needs a block in braces", sections[s].name);
        return false;
    }
    return true;
}

void
bind_sections(struct binder *b, struct stage *stage, const struct node *block,
              bool (*is_allowed)(enum section s), const char *what)
{
    for (const struct node *n = block->first; n != NULL; n = n->next) {
        const struct node *call = bind_call(n);
        int found = -1;
        if (call == NULL) {
            stage->is_broken = true;
            if (n->type == N_CALL)
                bind_fail(b, n, "E-OBJECT-CALL",
                          "expected a section here; is a line end or ';' missing before '" STR_FMT
                          "'?",
                          STR_ARG(n->text));
            else
                bind_fail(b, n, "E-SECTION-DEF",
                          "expected a section of the %s, such as 'steps { }'", what);
            continue;
        }
        for (int s = 0; s < SECTION_COUNT; s++)
            if (str_is(call->text, sections[s].name))
                found = s;
        if (found < 0 || !is_allowed((enum section)found)) {
            bind_unknown(b, call, what);
            continue;
        }
        if (stage->section[found] != NULL) {
            bind_fail(b, call, "E-DUP-SECTION", "'%s' stands twice in this %s",
                      sections[found].name, what);
            continue;
        }
        if (section_has_form(b, (enum section)found, call))
            stage->section[found] = call;
        else
            stage->section[found] = NULL;
    }
}

void
bind_common(struct binder *b, struct stage *stage, bool is_stage)
{
    const struct node *const *s = stage->section;

    if (s[SECTION_AGENT] != NULL)
        bind_agent(b, stage);
    if (s[SECTION_ENVIRONMENT] != NULL)
        bind_environment(b, s[SECTION_ENVIRONMENT]);
    if (s[SECTION_OPTIONS] != NULL)
        bind_options(b, s[SECTION_OPTIONS], is_stage);
    if (s[SECTION_TOOLS] != NULL)
        bind_tools(b, s[SECTION_TOOLS]);
    if (s[SECTION_POST] != NULL)
        bind_post(b, s[SECTION_POST]);
    if (s[SECTION_WHEN] != NULL)
        bind_when(b, s[SECTION_WHEN]);
    if (s[SECTION_INPUT] != NULL)
        bind_input(b, s[SECTION_INPUT]);
    if (s[SECTION_PARAMETERS] != NULL)
        bind_parameters(b, s[SECTION_PARAMETERS]);
    if (s[SECTION_TRIGGERS] != NULL)
        bind_triggers(b, s[SECTION_TRIGGERS]);
    if (s[SECTION_LIBRARIES] != NULL)
        bind_libraries(b, s[SECTION_LIBRARIES]);
}

static void
bind_stage_body(struct binder *b, struct stage *stage, const struct node *at, bool in_parallel)
{
    static const enum section bodies[] = {SECTION_STEPS, SECTION_STAGES, SECTION_PARALLEL,
                                          SECTION_MATRIX};
    const struct node *const *s = stage->section;
    bool splits = s[SECTION_PARALLEL] != NULL || s[SECTION_MATRIX] != NULL;
    unsigned count = 0;

    for (size_t i = 0; i < ARRAY_COUNT(bodies); i++)
        count += s[bodies[i]] != NULL;
    if (count == 0 && !stage->is_broken) /* what is missing may stand in the chain that was told */
        bind_fail(b, at, "E-NO-BODY",
                  "stage '" STR_FMT "' needs one of steps, stages, parallel or matrix",
                  STR_ARG(stage->name));
    else if (count > 1)
        bind_fail(b, at, "E-TWO-BODIES",
                  "stage '" STR_FMT "' has more than one of steps, stages, parallel and matrix",
                  STR_ARG(stage->name));
    if (splits && in_parallel)
        bind_fail(b, at, "E-NESTED-PARALLEL",
                  "stage '" STR_FMT "': parallel and matrix cannot stand inside parallel or matrix",
                  STR_ARG(stage->name));
    if (splits && s[SECTION_AGENT] != NULL)
        bind_fail(b, s[SECTION_AGENT], "E-AGENT-WITH-PARALLEL",
                  "a stage with parallel or matrix has no agent of its own");
    if (splits && s[SECTION_TOOLS] != NULL)
        bind_fail(b, s[SECTION_TOOLS], "E-TOOLS-WITH-PARALLEL",
                  "a stage with parallel or matrix has no tools of its own");
    if (s[SECTION_STEPS] != NULL)
        bind_steps(b, s[SECTION_STEPS]);
    if (s[SECTION_STAGES] != NULL)
        bind_stages(b, stage, s[SECTION_STAGES], in_parallel);
    if (s[SECTION_PARALLEL] != NULL)
        bind_stages(b, stage, s[SECTION_PARALLEL], true);
    if (s[SECTION_MATRIX] != NULL)
        bind_matrix(b, stage);
}

static struct stage *
bind_stage(struct binder *b, const struct node *call, bool in_parallel)
{
    struct stage *stage = arena_alloc(&b->j->arena, sizeof(*stage));
    const struct node *block = section_block(call);
    const struct node *name = call->first;

    stage->line = call->line;
    stage->column = call->column;
    if (name == NULL || name == block) {
        bind_fail(b, call, "E-STAGE-NAME", "a stage needs a name: stage('Build') { }");
        return NULL;
    }
    if (name->type == N_NAMED && str_is(name->text, "name"))
        name = name->b;
    if (name->type != N_TEXT) {
        bind_fail(b, call, "E-STAGE-NAME-LITERAL",
                  "the name of a stage must be a constant string, without interpolation");
        return NULL;
    }
    stage->name = name->text;
    if (str_trim(stage->name).len == 0)
        bind_fail(b, call, "E-STAGE-NAME", "the name of a stage cannot be empty");
    if (block == NULL) {
        bind_fail(b, call, "E-BLOCK-EXPECTED", "stage '" STR_FMT "' needs a block in braces",
                  STR_ARG(stage->name));
        return NULL;
    }
    bind_sections(b, stage, block, allowed_in_stage, "stage");
    bind_common(b, stage, true);
    bind_stage_body(b, stage, call, in_parallel);
    return stage;
}

void
bind_stages(struct binder *b, struct stage *parent, const struct node *call, bool in_parallel)
{
    const struct node *block = section_block(call);
    struct names names = {0};

    for (const struct node *n = block->first; n != NULL; n = n->next) {
        const struct stage *first;
        struct stage *stage;
        if (bind_call(n) == NULL || !str_is(n->text, "stage")) {
            bind_fail(b, n, "E-STAGE-EXPECTED", "expected stage('name') { } inside '" STR_FMT "'",
                      STR_ARG(call->text));
            continue;
        }
        stage = bind_stage(b, n, in_parallel);
        if (stage == NULL)
            continue;
        first = names_add(&b->j->arena, &names, stage->name, stage);
        if (first != NULL)
            bind_fail(b, n, "E-DUP-STAGE", "stage '" STR_FMT "' stands twice (first on line %u)",
                      STR_ARG(stage->name), first->line);
        if (parent->last_stage == NULL)
            parent->stages = stage;
        else
            parent->last_stage->next = stage;
        parent->last_stage = stage;
    }
    if (block->first == NULL)
        bind_fail(b, call, "E-NO-STAGES", "'" STR_FMT "' needs at least one stage",
                  STR_ARG(call->text));
}

static void
bind_pipeline(struct binder *b, const struct node *call)
{
    struct stage *root = arena_alloc(&b->j->arena, sizeof(*root));

    root->line = call->line;
    root->column = call->column;
    bind_sections(b, root, section_block(call), allowed_in_pipeline, "pipeline");
    if (root->section[SECTION_AGENT] == NULL)
        bind_fail(b, call, "E-MISSING-AGENT",
                  "the pipeline needs an agent, for example: agent any");
    if (root->section[SECTION_STAGES] == NULL && !root->is_broken)
        bind_fail(b, call, "E-MISSING-STAGES", "the pipeline needs stages { }");
    bind_common(b, root, false);
    if (root->section[SECTION_STAGES] != NULL)
        bind_stages(b, root, root->section[SECTION_STAGES], false);
    b->j->pipeline = root;
}

static bool
is_pipeline_call(const struct node *n)
{
    return n->type == N_CALL && n->a == NULL && str_is(n->text, "pipeline") && n->first != NULL &&
           n->first == n->last && n->first->type == N_CLOSURE;
}

/* A pipeline block below the top of the file. */
static const struct node *
find_nested_pipeline(const struct node *n, bool is_top)
{
    const struct node *parts[NODE_PARTS_MAX], *found = NULL;
    size_t count;

    if (!is_top && is_pipeline_call(n))
        return n;
    count = node_parts(n, parts) - (node_has_params(n) && n->params != NULL);
    for (size_t i = 0; i < count; i++)
        for (const struct node *c = parts[i]; c != NULL && found == NULL; c = c->next)
            found = find_nested_pipeline(c, false);
    return found;
}

/* 0, 1, or 2 for more: a block inside of another needs the word, and most files say it once. */
static unsigned
says_pipeline(struct str text)
{
    const struct str word = STR("pipeline");
    unsigned times = 0;
    ptrdiff_t at;

    for (; times < 2 && (at = str_find(text, word)) >= 0; times++)
        text = str_slice(text, (size_t)at + word.len, text.len);
    return times;
}

struct jenkinsfile *
jenkinsfile_parse(struct str text, struct diagnostics *d)
{
    struct jenkinsfile *j = mem_new(sizeof(*j));
    struct binder b = {.j = j, .d = d};

    j->script = syntax_parse(text, &j->arena, d);
    if (j->script == NULL) {
        jenkinsfile_free(j);
        return NULL;
    }
    const unsigned times = says_pipeline(text);
    for (const struct node *n = j->script->first; n != NULL; n = n->next) {
        const bool is_pipeline = is_pipeline_call(n);
        const struct node *nested =
            times > is_pipeline ? find_nested_pipeline(n, true) : NULL;
        if (is_pipeline) {
            if (j->pipeline_call != NULL)
                bind_fail(&b, n, "E-DUP-SECTION", "the file has two pipeline blocks");
            else
                j->pipeline_call = n;
        }
        if (nested != NULL)
            bind_fail(&b, nested, "E-PIPELINE-NOT-TOP",
                      "'pipeline' must stand at the top of the file, not inside a block");
    }
    if (j->script->first == NULL)
        diagnostics_add(d, 1, 1, "E-EMPTY", "the file holds no pipeline");
    if (j->pipeline_call != NULL && d->count == 0)
        bind_pipeline(&b, j->pipeline_call);
    if (d->count > 0) {
        diagnostics_sort(d);
        jenkinsfile_free(j);
        return NULL;
    }
    return j;
}

struct stage *
jenkinsfile_bind_call(struct arena *arena, const struct node *call, struct diagnostics *d)
{
    struct jenkinsfile j = {.arena = *arena};
    struct binder b = {.j = &j, .d = d};

    bind_pipeline(&b, call);
    *arena = j.arena;
    diagnostics_sort(d);
    return d->count > 0 ? NULL : j.pipeline;
}

void
jenkinsfile_free(struct jenkinsfile *j)
{
    if (j == NULL)
        return;
    arena_done(&j->arena);
    free(j);
}
