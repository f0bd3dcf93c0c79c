/* SPDX-License-Identifier: MIT */
#include <ctype.h>
#include "pipeline/language/bind.h"
#include "pipeline/language/names.h"
#include "pipeline/language/java_regex.h"
#include "pipeline/language/step_table.h"

static bool
is_identifier(struct str s)
{
    static const bool is_part[256] = {
        ['a' ... 'z'] = true, ['A' ... 'Z'] = true, ['0' ... '9'] = true, ['_'] = true};
    size_t i = 0;

    while (i < s.len && is_part[(unsigned char)s.at[i]])
        i++;
    return i > 0 && i == s.len && !isdigit((unsigned char)s.at[0]);
}

/* Room for the name of each node of a list. */
static struct names
names_of_list(struct binder *b, const struct node *first)
{
    struct names names = {0};
    size_t count = 0;

    for (const struct node *n = first; n != NULL; n = n->next)
        count++;
    names_reserve(&b->j->arena, &names, count);
    return names;
}

/* `${X}` outside of a string is a call of a function `$`. */
static bool
find_bare_dollar(struct binder *b, const struct node *n)
{
    bool found = false;

    if (n->type == N_CALL && n->a == NULL && str_is(n->text, "$")) {
        bind_fail(b, n, "E-BARE-DOLLAR", "'${...}' stands outside of a string; add quotes");
        return true;
    }
    if (n->type == N_CLOSURE)
        return false;
    if (n->a != NULL)
        found = find_bare_dollar(b, n->a);
    if (n->b != NULL && !found)
        found = find_bare_dollar(b, n->b);
    for (const struct node *c = n->first; c != NULL && !found; c = c->next)
        found = find_bare_dollar(b, c);
    return found;
}

static void
bind_parallel_step(struct binder *b, const struct node *call, bool is_only)
{
    unsigned branches = 0;

    if (!is_only) {
        bind_fail(
            b, call, "E-BLOCKED-STEP",
            "'parallel' cannot be used as a step here; use a parallel section, or script { }");
        return;
    }
    for (const struct node *n = call->first; n != NULL; n = n->next) {
        if (n->type != N_NAMED)
            continue;
        if (str_is(n->text, "failFast")) {
            if (n->b->type != N_BOOL)
                bind_fail(b, n, "E-BOOLEAN-EXPECTED", "'failFast' takes true or false");
            continue;
        }
        branches++;
        if (n->b->type != N_CLOSURE)
            bind_fail(b, n, "E-PARALLEL-BRANCH", "a branch of 'parallel' must be a block");
    }
    if (branches == 0)
        bind_fail(b, call, "E-NO-BODY", "'parallel' has no branches");
}

/* node and the like stand for themselves or not at all. */
static void
bind_blocked_arguments(struct binder *b, const struct node *call)
{
    for (const struct node *n = call->first; n != NULL; n = n->next) {
        const struct node *arg = n->type == N_NAMED ? n->b : n;
        const struct step_type *type =
            arg->type == N_CALL && arg->a == NULL ? step_type_find(arg->text) : NULL;
        if (type != NULL && (type->kind == STEP_BLOCKED || str_is(arg->text, "node")))
            bind_fail(b, arg, "E-BLOCKED-STEP", "'" STR_FMT "' cannot be an argument of a step",
                      STR_ARG(arg->text));
    }
}

static void
bind_step(struct binder *b, const struct node *n, bool is_only)
{
    const struct step_type *type;
    const struct node *block = section_block(n);

    if (n->type == N_CALL && (n->a != NULL || n->b != NULL)) {
        bind_fail(b, n, "E-OBJECT-CALL",
                  "a method call is not a step; wrap it in script { } (or is a line end missing "
                  "before '" STR_FMT "'?)",
                  STR_ARG(n->text));
        return;
    }
    if (n->type == N_NAME) {
        bind_fail(b, n, "E-STEP-EXPECTED", "'" STR_FMT "' is not a call; write '" STR_FMT "()'",
                  STR_ARG(n->text), STR_ARG(n->text));
        return;
    }
    if (n->type != N_CALL) {
        bind_fail(b, n, "E-STEP-EXPECTED",
                  "expected a step; ordinary Groovy (def, if, for, assignments) belongs into "
                  "script { }");
        return;
    }
    if (find_bare_dollar(b, n))
        return;
    bind_blocked_arguments(b, n);
    type = step_type_find(n->text);
    if (type != NULL && str_is(n->text, "parallel")) {
        bind_parallel_step(b, n, is_only);
        return;
    }
    if (type != NULL && type->kind == STEP_BLOCKED) {
        bind_fail(b, n, "E-BLOCKED-STEP", "'" STR_FMT "' cannot be used as a step here",
                  STR_ARG(n->text));
        return;
    }
    if (type != NULL && type->kind == STEP_SCRIPT) {
        if (block == NULL)
            bind_fail(b, n, "E-BLOCK-EXPECTED", "'script' needs a block in braces");
        return;
    }
    if (type != NULL && type->kind == STEP_BLOCK && block == NULL)
        bind_fail(b, n, "E-BLOCK-EXPECTED", "'" STR_FMT "' needs a block in braces",
                  STR_ARG(n->text));
    if (type != NULL)
        step_args_check(n, type, "STEP", b->d);
    if (block != NULL && block->is_block_arg)
        bind_steps(b, n);
}

void
bind_steps(struct binder *b, const struct node *call)
{
    const struct node *block = section_block(call);

    if (block == NULL) {
        bind_fail(b, call, "E-BLOCK-EXPECTED", "'" STR_FMT "' needs a block in braces",
                  STR_ARG(call->text));
        return;
    }
    if (block->first == NULL) {
        bind_fail(b, call, "E-NO-STEPS", "'" STR_FMT "' has no steps", STR_ARG(call->text));
        return;
    }
    for (const struct node *n = block->first; n != NULL; n = n->next)
        bind_step(b, n, block->first == block->last);
}

static bool
is_env_constant(const struct node *n)
{
    if (n->type == N_UNARY && n->op == T_SUB)
        n = n->a;
    return n->type == N_TEXT || n->type == N_GSTRING || n->type == N_INT || n->type == N_DECIMAL ||
           n->type == N_BOOL;
}

static void
bind_env_value(struct binder *b, const struct node *n, struct str name)
{
    if (find_bare_dollar(b, n) || is_env_constant(n))
        return;
    if (n->type == N_CALL) {
        const struct node *arg = n->first;
        if (n->a == NULL && str_is(n->text, "credentials") &&
            (arg == NULL || arg->next != NULL || (arg->type != N_TEXT && arg->type != N_GSTRING)))
            bind_fail(b, n, "E-ENV-VALUE", "credentials() takes the id as a string");
        return;
    }
    if (n->type == N_BINARY && n->op == T_ADD) {
        const struct node *left = n;
        for (; left->type == N_BINARY && left->op == T_ADD; left = left->a)
            if (!is_env_constant(left->b))
                break;
        if (!is_env_constant(left))
            bind_fail(b, n, "E-ENV-CONCAT",
                      "'" STR_FMT "': only strings and constants can be joined with '+'; use "
                      "\"${...}\"",
                      STR_ARG(name));
        return;
    }
    bind_fail(b, n, n->type == N_BINARY || n->type == N_UNARY ? "E-ENV-OP" : "E-ENV-VALUE",
              "the value of '" STR_FMT "' must be a string, a constant or a call; write it as "
              "\"${...}\"",
              STR_ARG(name));
}

void
bind_environment(struct binder *b, const struct node *call)
{
    const struct node *block = section_block(call);
    struct names names = names_of_list(b, block->first);

    if (block->first == NULL)
        bind_fail(b, call, "E-EMPTY-ENV", "'environment' is empty");
    for (const struct node *n = block->first; n != NULL; n = n->next) {
        if (n->type != N_ASSIGN || n->op != T_ASSIGN) {
            bind_fail(b, n, "E-ENV-NV", "'environment' holds only lines of the form NAME = value");
            continue;
        }
        if (n->a->type != N_NAME || !is_identifier(n->a->text)) {
            bind_fail(b, n, "E-ENV-IDENT",
                      "the name of an environment variable has letters, digits and '_'");
            continue;
        }
        if (names_add(&b->j->arena, &names, n->a->text, n) != NULL)
            bind_fail(b, n, "E-DUP-ENV", "'" STR_FMT "' is set twice", STR_ARG(n->a->text));
        bind_env_value(b, n->b, n->a->text);
    }
}

void
bind_post(struct binder *b, const struct node *call)
{
    static const char *const names[] = {"always",  "changed",  "fixed",        "regression",
                                        "aborted", "success",  "unsuccessful", "unstable",
                                        "failure", "notBuilt", "cleanup"};
    const struct node *block = section_block(call);
    struct names seen = {0};

    if (block->first == NULL)
        bind_fail(b, call, "E-POST-CONTENT", "'post' is empty");
    for (const struct node *n = block->first; n != NULL; n = n->next) {
        bool known = false;
        if (bind_call(n) == NULL || section_block(n) == NULL) {
            bind_fail(b, n, "E-POST-CONTENT", "'post' holds conditions with blocks: always { }");
            continue;
        }
        for (size_t i = 0; i < ARRAY_COUNT(names); i++)
            known = known || str_is(n->text, names[i]);
        if (!known) {
            bind_fail_near(b, n, "E-POST-CONDITION", name_near(names, ARRAY_COUNT(names), n->text),
                           "'" STR_FMT "' is not a condition of 'post'", STR_ARG(n->text));
            continue;
        }
        if (names_add(&b->j->arena, &seen, n->text, n) != NULL)
            bind_fail(b, n, "E-DUP-POST", "'" STR_FMT "' stands twice in 'post'", STR_ARG(n->text));
        bind_steps(b, n);
    }
}

static bool
is_before(struct str name)
{
    return str_is(name, "beforeAgent") || str_is(name, "beforeInput") ||
           str_is(name, "beforeOptions");
}

static void bind_conditions(struct binder *b, const struct node *call, bool is_top);

static void
bind_condition(struct binder *b, const struct node *n, bool is_top)
{
    const struct step_type *type;

    if (bind_call(n) == NULL) {
        bind_fail(b, n, "E-WHEN-EXPECTED", "expected a condition such as branch 'main'");
        return;
    }
    type = when_type_find(n->text);
    if (type == NULL || (is_before(n->text) && !is_top)) {
        bind_fail_near(b, n, "E-UNKNOWN-WHEN", type != NULL ? NULL : when_name_near(n->text),
                       "'" STR_FMT "' is not a condition of 'when'", STR_ARG(n->text));
        return;
    }
    if (is_before(n->text)) {
        if (n->first == NULL || n->first->type != N_BOOL)
            bind_fail(b, n, "E-BOOLEAN-EXPECTED", "'" STR_FMT "' takes true or false",
                      STR_ARG(n->text));
        return;
    }
    if (type->kind == STEP_BLOCK) {
        if (n->first != NULL && n->first->type != N_CLOSURE)
            bind_fail(b, n, "E-WHEN-NESTED-ARGS", "'" STR_FMT "' takes conditions, no arguments",
                      STR_ARG(n->text));
        else
            bind_conditions(b, n, false);
        return;
    }
    if (type->kind == STEP_SCRIPT) {
        if (section_block(n) == NULL)
            bind_fail(b, n, "E-BLOCK-EXPECTED", "'expression' needs a block in braces");
        return;
    }
    if (section_block(n) != NULL) {
        bind_fail(b, n, "E-WHEN-NO-NESTING", "'" STR_FMT "' takes no conditions inside",
                  STR_ARG(n->text));
        return;
    }
    step_args_check(n, type, "WHEN", b->d);
    if (str_is(n->text, "changelog") && n->first != NULL && n->first->type == N_TEXT) {
        char why[200];
        if (!java_regex_check(n->first->text, why))
            bind_fail(b, n, "E-WHEN-PARAM", "'changelog' needs a regular expression: %s", why);
    }
}

static void
bind_conditions(struct binder *b, const struct node *call, bool is_top)
{
    const struct node *block = section_block(call);
    size_t count = 0;

    if (block != NULL)
        for (const struct node *n = block->first; n != NULL; n = n->next) {
            count += n->type != N_CALL || !is_before(n->text);
            bind_condition(b, n, is_top);
        }
    if (is_top && count == 0)
        bind_fail(b, call, "E-EMPTY-WHEN", "'when' has no condition");
    else if (!is_top && str_is(call->text, "not") && count != 1)
        bind_fail(b, call, "E-WHEN-CHILD-COUNT", "'not' takes exactly one condition");
    else if (!is_top && count == 0)
        bind_fail(b, call, "E-WHEN-NO-CHILD", "'" STR_FMT "' has no condition",
                  STR_ARG(call->text));
}

void
bind_when(struct binder *b, const struct node *call)
{
    bind_conditions(b, call, true);
}

/* What options, parameters and triggers have in common. Gives the type of a well-formed entry. */
static const struct step_type *
bind_entry(struct binder *b, const struct node *section, const struct node *n,
           const struct step_type *(*find)(struct str name), const char *(*near)(struct str name))
{
    const struct step_type *type;

    if (bind_call(n) == NULL) {
        bind_fail(b, n, n->type == N_MAP ? "E-MAP-NOT-ALLOWED" : "E-ENTRY-EXPECTED",
                  "'" STR_FMT "' holds calls such as timeout(time: 1, unit: 'HOURS')",
                  STR_ARG(section->text));
        return NULL;
    }
    if (section_block(n) != NULL) {
        bind_fail(b, n, "E-BLOCK-FORBIDDEN", "'" STR_FMT "' takes no block here", STR_ARG(n->text));
        return NULL;
    }
    type = find(n->text);
    if (type == NULL) {
        bind_fail_near(b, n, "E-UNKNOWN-TYPE", near(n->text),
                       "'" STR_FMT "' is not known in '" STR_FMT "'", STR_ARG(n->text),
                       STR_ARG(section->text));
        return NULL;
    }
    return type;
}

static void
bind_duplicate(struct binder *b, struct names *names, const struct node *n)
{
    if (names_add(&b->j->arena, names, n->text, n) != NULL)
        bind_fail(b, n, "E-DUP-ENTRY", "'" STR_FMT "' stands twice", STR_ARG(n->text));
}

void
bind_options(struct binder *b, const struct node *call, bool is_stage)
{
    const struct node *block = section_block(call);
    struct names names = {0};

    if (block->first == NULL)
        bind_fail(b, call, "E-EMPTY-SECTION", "'options' is empty");
    for (const struct node *n = block->first; n != NULL; n = n->next) {
        const struct step_type *type;
        if (n->type == N_CALL && (str_is(n->text, "parameters") || str_is(n->text, "triggers") ||
                                  str_is(n->text, "pipelineTriggers"))) {
            bind_fail(b, n, "E-PARAMS-TRIGGERS-IN-OPTIONS",
                      "'" STR_FMT "' is a section of its own, not an option", STR_ARG(n->text));
            continue;
        }
        type = bind_entry(b, call, n, option_type_find, option_name_near);
        if (type == NULL)
            continue;
        bind_duplicate(b, &names, n);
        if (is_stage && type->kind == STEP_PLAIN)
            bind_fail(b, n, "E-UNKNOWN-TYPE", "'" STR_FMT "' is an option of the pipeline only",
                      STR_ARG(n->text));
        step_args_check(n, type, "OPTION", b->d);
    }
}

void
bind_parameters(struct binder *b, const struct node *call)
{
    const struct node *block = section_block(call);

    if (block->first == NULL)
        bind_fail(b, call, "E-EMPTY-SECTION", "'parameters' is empty");
    for (const struct node *n = block->first; n != NULL; n = n->next) {
        const struct step_type *type =
            bind_entry(b, call, n, parameter_type_find, parameter_name_near);
        if (type != NULL)
            step_args_check(n, type, "PARAMETER", b->d);
    }
}

void
bind_triggers(struct binder *b, const struct node *call)
{
    const struct node *block = section_block(call);
    struct names names = {0};

    if (block->first == NULL)
        bind_fail(b, call, "E-EMPTY-SECTION", "'triggers' is empty");
    for (const struct node *n = block->first; n != NULL; n = n->next) {
        const struct step_type *type = bind_entry(b, call, n, trigger_type_find, trigger_name_near);
        if (type == NULL)
            continue;
        bind_duplicate(b, &names, n);
        step_args_check(n, type, "TRIGGER", b->d);
    }
}

void
bind_tools(struct binder *b, const struct node *call)
{
    static const char *const known[] = {"maven",      "jdk", "gradle", "nodejs", "terraform",
                                        "dockerTool", "git", "ant",    "go",     "allure"};
    const struct node *block = section_block(call);

    if (block->first == NULL)
        bind_fail(b, call, "E-EMPTY-TOOLS", "'tools' is empty");
    for (const struct node *n = block->first; n != NULL; n = n->next) {
        bool found = false;
        if (bind_call(n) == NULL || n->first == NULL || n->first->next != NULL) {
            bind_fail(b, n, "E-TOOL-DEF", "'tools' holds entries such as maven '3.9'");
            continue;
        }
        for (size_t i = 0; i < ARRAY_COUNT(known); i++)
            found = found || str_is(n->text, known[i]);
        if (!found)
            bind_fail_near(b, n, "E-UNKNOWN-TYPE", name_near(known, ARRAY_COUNT(known), n->text),
                           "'" STR_FMT "' is not a kind of tool", STR_ARG(n->text));
    }
}

void
bind_libraries(struct binder *b, const struct node *call)
{
    const struct node *block = section_block(call);

    if (block->first == NULL)
        bind_fail(b, call, "E-EMPTY-SECTION", "'libraries' is empty");
    for (const struct node *n = block->first; n != NULL; n = n->next)
        if (bind_call(n) == NULL || !str_is(n->text, "lib") || n->first == NULL)
            bind_fail(b, n, "E-LIB-EXPECTED", "'libraries' holds only lib('name@version')");
}

void
bind_input(struct binder *b, const struct node *call)
{
    static const char *const fields[] = {"message",   "id", "ok", "submitter", "submitterParameter",
                                         "parameters"};
    const struct node *block = section_block(call);
    struct names names = {0};
    bool has_message = false;

    if (block == NULL)
        return; /* input 'message' */
    for (const struct node *n = block->first; n != NULL; n = n->next) {
        bool known = false;
        for (size_t i = 0; i < ARRAY_COUNT(fields); i++)
            known = known || (bind_call(n) != NULL && str_is(n->text, fields[i]));
        if (!known) {
            bind_fail(b, n, "E-INPUT-FIELD",
                      "'input' takes message, id, ok, submitter, submitterParameter, parameters");
            continue;
        }
        has_message = has_message || str_is(n->text, "message");
        bind_duplicate(b, &names, n);
        if (str_is(n->text, "parameters") && section_block(n) != NULL)
            bind_parameters(b, n);
    }
    if (!has_message)
        bind_fail(b, call, "E-INPUT-MESSAGE", "'input' needs a message");
}

struct agent_kind {
    const char *name;
    enum agent_type type;
    const char *keys; /* " a b " */
};

static const struct agent_kind agent_kinds[] = {
    {"label", AGENT_LABEL, " label customWorkspace retries "},
    {"node", AGENT_LABEL, " label customWorkspace retries "},
    {"docker", AGENT_DOCKER,
     " image args label registryUrl registryCredentialsId alwaysPull reuseNode customWorkspace "
     "containerPerStageRoot "},
    {"dockerfile", AGENT_DOCKERFILE,
     " filename dir additionalBuildArgs args label registryUrl registryCredentialsId reuseNode "
     "customWorkspace "},
    {"kubernetes", AGENT_KUBERNETES, NULL},
};

static void
bind_agent_keys(struct binder *b, struct stage *stage, const struct node *entry,
                const struct agent_kind *kind)
{
    const struct node *block = section_block(entry);
    bool has_image = block == NULL;

    if (block == NULL || kind->keys == NULL)
        return;
    for (const struct node *n = block->first; n != NULL; n = n->next) {
        cleanup(strbuf_done) struct strbuf key = {0};
        if (bind_call(n) == NULL) {
            bind_fail(b, n, "E-AGENT-PARAM", "'%s' holds entries such as image 'node:20'",
                      kind->name);
            continue;
        }
        strbuf_addf(&key, " " STR_FMT " ", STR_ARG(n->text));
        if (strstr(kind->keys, strbuf_cstr(&key)) == NULL)
            bind_fail(b, n, "E-AGENT-PARAM", "'%s' has no entry '" STR_FMT "'", kind->name,
                      STR_ARG(n->text));
        has_image = has_image || str_is(n->text, "image");
        if (str_is(n->text, "customWorkspace") && n->first != NULL)
            stage->custom_workspace = n->first;
    }
    if (kind->type == AGENT_DOCKER && !has_image)
        bind_fail(b, entry, "E-AGENT-MISSING-PARAM", "a docker agent needs an image");
}

void
bind_agent(struct binder *b, struct stage *stage)
{
    const struct node *call = stage->section[SECTION_AGENT];
    const struct node *block = section_block(call);
    const struct node *entry = block == NULL ? NULL : block->first;

    if (block == NULL) {
        if (call->first != NULL && call->first->type == N_NAME && call->first->next == NULL) {
            if (str_is(call->first->text, "any"))
                stage->agent = AGENT_ANY;
            else if (str_is(call->first->text, "none"))
                stage->agent = AGENT_NONE;
        }
        if (stage->agent == AGENT_INHERIT)
            bind_fail(b, call, "E-INVALID-AGENT",
                      "expected 'agent any', 'agent none' or agent { ... }");
        return;
    }
    if (entry == NULL) {
        bind_fail(b, call, "E-AGENT-EXPECTED", "'agent { }' is empty");
        return;
    }
    if (entry->next != NULL) {
        bind_fail(b, entry->next, "E-ONE-AGENT", "an agent has exactly one type");
        return;
    }
    if (entry->type == N_NAME && (str_is(entry->text, "any") || str_is(entry->text, "none"))) {
        stage->agent = str_is(entry->text, "any") ? AGENT_ANY : AGENT_NONE;
        return;
    }
    for (size_t i = 0; bind_call(entry) != NULL && i < ARRAY_COUNT(agent_kinds); i++) {
        if (!str_is(entry->text, agent_kinds[i].name))
            continue;
        stage->agent = agent_kinds[i].type;
        bind_agent_keys(b, stage, entry, &agent_kinds[i]);
        return;
    }
    const char *names[ARRAY_COUNT(agent_kinds)];
    for (size_t i = 0; i < ARRAY_COUNT(agent_kinds); i++)
        names[i] = agent_kinds[i].name;
    bind_fail_near(
        b, entry, "E-UNKNOWN-AGENT", name_near(names, ARRAY_COUNT(names), entry->text),
        "unknown type of agent; there are any, none, label, node, docker, dockerfile and "
        "kubernetes");
}

/* `axis { name 'A'; values 'x', 'y' }`: of each entry the first. */
struct axis_entries {
    const struct node *name, *values, *others;
};

static struct axis_entries
axis_entries(const struct node *axis)
{
    const struct node *block = section_block(axis);
    struct axis_entries e = {0};

    for (const struct node *n = block == NULL ? NULL : block->first; n != NULL; n = n->next) {
        if (n->type != N_CALL || n->a != NULL)
            continue;
        if (e.name == NULL && str_is(n->text, "name"))
            e.name = n;
        else if (e.values == NULL && str_is(n->text, "values"))
            e.values = n;
        else if (e.others == NULL && str_is(n->text, "notValues"))
            e.others = n;
    }
    return e;
}

/* Gives its name, which is empty if it has none. */
static struct str
bind_axis(struct binder *b, const struct node *axis, bool in_exclude)
{
    const struct axis_entries e = axis_entries(axis);
    const struct node *name = e.name == NULL ? NULL : e.name->first;
    const bool has_name = name != NULL && name->type == N_TEXT;
    const bool has_several = e.values != NULL && e.values->first != e.values->last;
    struct names known = {0};

    if (e.name == NULL || (e.values == NULL && !(in_exclude && e.others != NULL))) {
        bind_fail(b, axis, "E-AXIS-MISSING", "an axis needs name and values");
        return has_name ? name->text : (struct str){0};
    }
    if (e.values != NULL && e.others != NULL)
        bind_fail(b, axis, "E-AXIS-BOTH", "an axis has either values or notValues");
    if (!has_name)
        bind_fail(b, e.name, "E-AXIS-NAME-LITERAL", "the name of an axis must be a constant string");
    else if (!is_identifier(name->text))
        bind_fail(b, e.name, "E-ENV-IDENT", "the name of an axis has letters, digits and '_'");
    if (has_several)
        known = names_of_list(b, e.values->first);
    for (const struct node *v = (e.values != NULL ? e.values : e.others)->first; v != NULL; v = v->next) {
        if (v->type != N_TEXT && v->type != N_INT && v->type != N_BOOL)
            bind_fail(b, v, "E-AXIS-VALUE-LITERAL", "the values of an axis must be constants");
        if (has_several && v->type == N_TEXT && names_add(&b->j->arena, &known, v->text, v) != NULL)
            bind_fail(b, v, "E-DUP-AXIS-VALUE", "the value stands twice");
    }
    return has_name ? name->text : (struct str){0};
}

static void
bind_axes(struct binder *b, const struct node *block)
{
    struct names known = names_of_list(b, block->first);

    for (const struct node *n = block->first; n != NULL; n = n->next) {
        const struct str name = bind_axis(b, n, false);
        if (name.len > 0 && names_add(&b->j->arena, &known, name, n) != NULL)
            bind_fail(b, n, "E-DUP-AXIS", "axis '" STR_FMT "' stands twice", STR_ARG(name));
    }
}

static bool
allowed_in_matrix(enum section s)
{
    return s == SECTION_AGENT || s == SECTION_STAGES || s == SECTION_ENVIRONMENT ||
           s == SECTION_TOOLS || s == SECTION_POST || s == SECTION_OPTIONS || s == SECTION_WHEN ||
           s == SECTION_INPUT;
}

void
bind_matrix(struct binder *b, struct stage *stage)
{
    const struct node *call = stage->section[SECTION_MATRIX];
    const struct node *axes = section_entry(call, "axes");
    const struct node *excludes = section_entry(call, "excludes");
    struct node rest = {.type = N_CLOSURE};
    struct stage *cell = arena_alloc(&b->j->arena, sizeof(*cell));

    stage->matrix = cell;
    for (const struct node *n = section_block(call)->first; n != NULL; n = n->next) {
        struct node *copy;
        if (n == axes || n == excludes)
            continue;
        copy = arena_alloc(&b->j->arena, sizeof(*copy));
        *copy = *n;
        copy->next = NULL;
        node_append(&rest, copy);
    }
    bind_sections(b, cell, &rest, allowed_in_matrix, "matrix");
    if (axes == NULL || cell->section[SECTION_STAGES] == NULL)
        bind_fail(b, call, "E-MATRIX-MISSING", "a matrix needs axes { } and stages { }");
    bind_common(b, cell, true);
    if (cell->section[SECTION_STAGES] != NULL)
        bind_stages(b, cell, cell->section[SECTION_STAGES], true);
    if (axes != NULL && (section_block(axes) == NULL || section_block(axes)->first == NULL))
        bind_fail(b, axes, "E-NO-AXES", "'axes' is empty");
    else if (axes != NULL)
        bind_axes(b, section_block(axes));
    if (excludes != NULL &&
        (section_block(excludes) == NULL || section_block(excludes)->first == NULL))
        bind_fail(b, excludes, "E-NO-EXCLUDES", "'excludes' is empty");
    else if (excludes != NULL)
        for (const struct node *e = section_block(excludes)->first; e != NULL; e = e->next) {
            if (section_block(e) == NULL || section_block(e)->first == NULL)
                bind_fail(b, e, "E-NO-AXES", "'exclude' has no axis");
            else
                for (const struct node *n = section_block(e)->first; n != NULL; n = n->next)
                    (void)bind_axis(b, n, true);
        }
}
