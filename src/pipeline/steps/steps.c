/* SPDX-License-Identifier: MIT */
#include <stdarg.h>
#include <stdio.h>
#include "io/file.h"
#include "pipeline/run/journal.h"
#include "pipeline/language/step_table.h"

struct value *
step_value(const struct step_call *s, const char *name)
{
    struct value *v = map_find_text(s->values, name);

    return v == NULL || v->type == V_NULL ? NULL : v;
}

struct str
step_text(const struct step_call *s, const char *name, const char *fallback)
{
    const struct value *v = step_value(s, name);

    return v == NULL ? str_of(fallback) : value_to_text(&s->run->arena, *v);
}

bool
step_truth(const struct step_call *s, const char *name, bool fallback)
{
    const struct value *v = step_value(s, name);

    return v == NULL ? fallback : value_truth(*v);
}

int64_t
step_int(const struct step_call *s, const char *name, int64_t fallback)
{
    const struct value *v = step_value(s, name);
    int64_t n;

    if (v == NULL)
        return fallback;
    if (v->type == V_TEXT && str_to_i64(str_trim(v->text), &n))
        return n;
    return value_is_integer(*v) ? v->number : fallback;
}

bool
step_fail(const struct step_call *s, const char *format, ...)
{
    char text[1000];
    va_list args;

    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    return interp_throw(s->in, s->at, "AbortException", "%s", text);
}

bool
step_needs_workspace(const struct step_call *s)
{
    if (s->run->directory != NULL)
        return true;
    return interp_throw(s->in, s->at, "MissingContextVariableException",
                        "'" STR_FMT "' needs a workspace; %s", STR_ARG(s->name),
                        s->run->file->pipeline != NULL
                            ? "the pipeline has 'agent none', so give the stage an agent"
                            : "only the agent of a declarative pipeline { } gives one");
}

const char *
step_path(const struct step_call *s, struct str path)
{
    if (path.len > 0 && path.at[0] == '/')
        return arena_cstr(&s->run->arena, path);
    return arena_format(&s->run->arena, "%s/" STR_FMT, s->run->directory, STR_ARG(path));
}

static bool
run_closure_body(struct run *run, void *arg, struct value *out)
{
    return interp_call_closure(&run->in, arg, NULL, 0, out);
}

/* Unnamed values to their places; a single map without $class stands for named ones. */
static bool
bind_values(struct step_call *s, const struct step_type *type)
{
    struct arg_spec specs[STEP_ARGS_MAX];
    size_t count = type != NULL && type->args != NULL ? step_args_parse(type->args, specs) : 0;
    size_t given = s->args->count - (s->body.run != NULL);
    const struct arg_spec *to = step_args_positional(specs, count);

    s->values = arena_alloc(&s->run->arena, sizeof(*s->values));
    for (size_t i = 0; s->args->named != NULL && i < s->args->named->count; i++)
        map_put(&s->run->arena, s->values, s->args->named->at[i].key, s->args->named->at[i].value);
    if (type == NULL || type->args == NULL)
        return true;
    if (given == 1 && s->args->at[0].type == V_MAP && to != NULL && to->type != 'a' &&
        map_find_text(s->args->at[0].map, "$class") == NULL) {
        const struct map *m = s->args->at[0].map;
        for (size_t i = 0; i < m->count; i++)
            map_put(&s->run->arena, s->values, m->at[i].key, m->at[i].value);
    } else if (given == 1 && to != NULL) {
        map_put(&s->run->arena, s->values, value_text(to->name), s->args->at[0]);
    } else if (given > 0) {
        return interp_throw(s->in, s->at, "IllegalArgumentException", "'" STR_FMT "' takes %s",
                            STR_ARG(s->name),
                            to == NULL ? "no arguments" : "one unnamed argument; name the others");
    }
    for (size_t i = 0; i < s->values->count; i++) {
        bool known = false;
        for (size_t k = 0; k < count && !known; k++)
            known = s->values->at[i].key.type == V_TEXT &&
                    str_equal(specs[k].name, s->values->at[i].key.text);
        if (!known)
            return interp_throw(s->in, s->at, "IllegalArgumentException",
                                "'" STR_FMT "' has no argument '" STR_FMT "'", STR_ARG(s->name),
                                STR_ARG(value_to_text(&s->run->arena, s->values->at[i].key)));
    }
    for (size_t k = 0; k < count; k++) {
        const struct value *v = map_find(s->values, value_text(specs[k].name));
        if (specs[k].is_required && v == NULL)
            return interp_throw(s->in, s->at, "IllegalArgumentException",
                                "'" STR_FMT "' needs '" STR_FMT "'", STR_ARG(s->name),
                                STR_ARG(specs[k].name));
        if (v != NULL && specs[k].type == 'i' && !value_is_integer(*v) &&
            !(v->type == V_TEXT && str_to_i64(str_trim(v->text), &(int64_t){0})))
            return interp_throw(s->in, s->at, "IllegalArgumentException",
                                "'" STR_FMT "' of '" STR_FMT "' must be an integer",
                                STR_ARG(specs[k].name), STR_ARG(s->name));
    }
    return true;
}

const char *
step_owner(const struct step_call *s)
{
    return arena_format(&s->run->arena, "%s#%lld %s", s->run->config->job_name,
                        (long long)s->run->config->number, s->id);
}

step_function *
step_row_find(const struct step_row *rows, size_t count, struct str name)
{
    for (size_t i = 0; i < count; i++)
        if (str_is(name, rows[i].name))
            return rows[i].function;
    return NULL;
}

static step_function *
find_in(step_function *(*const *tables)(struct str name), size_t count, struct str name)
{
    for (size_t i = 0; i < count; i++) {
        step_function *f = tables[i](name);
        if (f != NULL)
            return f;
    }
    return NULL;
}

/* Steps that only work on files of the workspace. */
static step_function *
find_on_files(struct str name)
{
    step_function *(*const tables[])(struct str name) = {
        step_file_find, step_stash_find, step_junit_find, step_data_find, step_archive_find};

    return find_in(tables, ARRAY_COUNT(tables), name);
}

static step_function *
find_function(struct str name)
{
    step_function *(*const tables[])(struct str name) = {
        step_flow_find,   find_on_files,    step_parallel_find, step_people_find, step_scm_find,
        step_docker_find, step_credentials_find, step_env_find, step_aws_find, step_notify_find, step_github_find,
        step_plugin_find, step_library_find, step_lock_find,
    };

    return find_in(tables, ARRAY_COUNT(tables), name);
}

/* Such a one does as the build's user what it does. */
static bool
call(struct step_call *s, step_function *function)
{
    if (find_on_files(s->name) == function) {
        USER_ACTS(s->run);
        return function(s);
    }
    return function(s);
}

/* Calls that only describe something: string(credentialsId: ..), scmGit(..), logRotator(..). */
static bool
describe(struct step_call *s)
{
    static const char *const names[] = {
        "string",
        "usernamePassword",
        "usernameColonPassword",
        "file",
        "sshUserPrivateKey",
        "certificate",
        "zip",
        "aws",
        "gitUsernamePassword",
        "scmGit",
        "logRotator",
        "throttleJobProperty",
        "booleanParam",
        "choice",
        "text",
        "modernSCM",
        "cloneOption",
        "relativeTargetDirectory",
        "cleanBeforeCheckout",
        "cleanAfterCheckout",
        "localBranch",
        "submodule",
        "userIdentity",
        "sparseCheckoutPaths",
        "lfs",
        "pruneStaleBranch",
        "checkoutOption",
        "parameters",
        "pipelineTriggers",
    };
    bool known = option_type_find(s->name) != NULL || parameter_type_find(s->name) != NULL ||
                 trigger_type_find(s->name) != NULL || step_symbol_is_known(s->name);
    struct value v;

    for (size_t i = 0; i < ARRAY_COUNT(names) && !known; i++)
        known = str_is(s->name, names[i]);
    if (!known)
        return false;
    v = value_map(&s->run->arena);
    map_put_text(&s->run->arena, v.map, "$class", value_text(s->name));
    if (s->args->count > 0)
        map_put_text(&s->run->arena, v.map, "value", s->args->at[0]);
    for (size_t k = 0; s->args->named != NULL && k < s->args->named->count; k++)
        map_put(&s->run->arena, v.map, s->args->named->at[k].key, s->args->named->at[k].value);
    *s->out = v;
    return true;
}

/* zip(credentialsId: ..) describes a credential, zip(zipFile: ..) is a step. */
static bool
is_zip_binding(const struct step_call *s)
{
    return str_is(s->name, "zip") && s->args->named != NULL &&
           map_find_text(s->args->named, "credentialsId") != NULL;
}

/* Steps whose effect is the script's own course: they are repeated after a restart, as are blocks.
 * `parallel` has its blocks in a map. */
static bool
only_says(struct str name)
{
    static const char *const names[] = {
        "echo",  "print",   "println", "error",  "unstable",   "isUnix",          "pwd",
        "stage", "library", "load",    "script", "properties", "libraryResource", "pipeline",
        "parallel"};

    for (size_t i = 0; i < ARRAY_COUNT(names); i++)
        if (str_is(name, names[i]))
            return true;
    return false;
}

bool
step_act(struct step_call *s, step_function *function)
{
    struct run *run = s->run;
    const uint64_t entered = run->in.entered;
    const unsigned files = run->files;
    const bool acted = run->acts;
    bool ok;

    if (journal_ended_before(s, &ok))
        return ok;
    run->acts = true;
    /* One that had begun is taken up in any case: an abort is for it to see. */
    ok = !journal_begun(s) || run_poll(s->in, s->at);
    run->noted_result = run->noted_mark = -1;
    ok = ok && call(s, function);
    run->acts = acted;
    /* What it evaluated is not evaluated when its end is repeated, and its files are gone. */
    run->in.entered = entered;
    run->files = files;
    journal_ended(s, ok);
    if (s->folder != NULL && !run->is_suspended && !file_remove_tree(s->folder, NULL))
        run_logf(run, "WARNING: cannot remove %s", s->folder);
    return ok;
}

/* "3.0_5.2-7": the branch in which it is called and the how manieth of it. */
const char *
step_make_id(struct run *run)
{
    char *id = arena_format(&run->arena, "%s-%u", flow_path(run), flow_next_step(run));

    for (char *c = id; *c != '\0'; c++)
        if (*c == '/')
            *c = '_';
    return id;
}

static bool
dispatch(struct step_call *s, const struct step_type *type, bool *found)
{
    step_function *function = find_function(s->name);
    const char *near;

    *found = true;
    if (type != NULL && type->kind == STEP_LATER)
        return interp_throw(s->in, s->at, "UnsupportedFeature",
                            "the step '" STR_FMT "' is not supported yet", STR_ARG(s->name));
    if ((type == NULL || is_zip_binding(s)) && describe(s))
        return true;
    if (function == NULL) {
        near = step_name_near(s->name);
        if (near == NULL) {
            *found = false;
            return true;
        }
        return interp_throw(s->in, s->at, "NoSuchMethodError",
                            "No such DSL method '" STR_FMT
                            "' found among steps; did you mean '%s'?",
                            STR_ARG(s->name), near);
    }
    if (type != NULL && type->kind == STEP_BLOCK && s->body.run == NULL)
        return interp_throw(s->in, s->at, "IllegalArgumentException",
                            "'" STR_FMT "' needs a block in braces", STR_ARG(s->name));
    s->id = step_make_id(s->run);
    if (!bind_values(s, type))
        return false;
    return s->body.run != NULL || only_says(s->name) ? run_poll(s->in, s->at) && call(s, function)
                                                     : step_act(s, function);
}

bool
step_invoke(struct run *run, const struct node *at, const char *name, struct map *named,
            const struct body *body, struct value *out)
{
    struct args args = {.named = named};
    struct step_call s = {
        .run = run, .in = &run->in, .at = at, .name = str_of(name), .args = &args, .out = out};
    bool found;

    *out = value_null();
    if (body != NULL) {
        args.at[args.count++] = value_null(); /* bind_values() takes the last one for the block */
        s.body = *body;
    }
    return dispatch(&s, step_type_find(s.name), &found);
}

bool
step_call(struct interp *in, const struct node *call, const struct args *args, struct value *out,
          bool *found)
{
    struct step_call s = {
        .run = run_of(in), .in = in, .at = call, .name = call->text, .args = args, .out = out};

    *out = value_null();
    if (args->count > 0 && args->at[args->count - 1].type == V_CLOSURE) {
        s.body.run = run_closure_body;
        s.body.arg = args->at[args->count - 1].closure;
    }
    return dispatch(&s, step_type_find(call->text), found);
}

bool
step_wrap(struct run *run, const struct node *option, const struct body *body, struct value *out,
          bool *found)
{
    const struct step_type *type = option_type_find(option->text);
    struct args args = {0};
    struct step_call s = {
        .run = run, .in = &run->in, .at = option, .name = option->text, .args = &args, .out = out};

    *found = type != NULL && type->kind == STEP_BLOCK;
    *out = value_null();
    if (!*found)
        return true;
    if (!interp_args(&run->in, option, &args))
        return false;
    /* bind_values() takes the last argument for the block. */
    args.at[args.count++] = value_null();
    s.body = *body;
    if (step_type_find(option->text) == NULL || step_type_find(option->text)->kind == STEP_LATER)
        return interp_throw(&run->in, option, "UnsupportedFeature",
                            "the option '" STR_FMT "' is not supported yet", STR_ARG(option->text));
    return dispatch(&s, type->args != NULL ? type : step_type_find(option->text), found);
}
