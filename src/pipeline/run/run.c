/* SPDX-License-Identifier: MIT */
#include "pipeline/run/run.h"

#include <stdarg.h>
#include <stdio.h>
#include "base/clock.h"
#include "pipeline/steps/docker.h"
#include "pipeline/run/journal.h"

#define LINE_MAX_BYTES 65536

struct run *
run_of(struct interp *in)
{
    return (struct run *)((char *)in - offsetof(struct run, in));
}

/* Every secret in the line becomes ****. */
void
run_add_masked(const struct run *run, struct str line, struct strbuf *out)
{
    for (size_t i = 0; i < line.len;) {
        size_t longest = 0;
        for (const struct mask *m = run->masks; m != NULL; m = m->next)
            if (m->secret.len > longest && str_starts(str_slice(line, i, line.len), m->secret))
                longest = m->secret.len;
        if (longest > 0)
            strbuf_add_cstr(out, "****");
        else
            strbuf_add_char(out, line.at[i]);
        i += longest > 0 ? longest : 1;
    }
}

void
run_log_flush(struct run *run)
{
    cleanup(strbuf_done) struct strbuf out = {0};

    if (run->line.len == 0)
        return;
    if (run->is_suspended) {
        strbuf_clear(&run->line);
        return;
    }
    if (run->timestamps > 0) {
        char now[32];
        clock_format_iso(clock_wall_ms(), now);
        strbuf_addf(&out, "[%s] ", now);
    }
    if (run->branch.len > 0)
        strbuf_addf(&out, "[" STR_FMT "] ", STR_ARG(run->branch));
    if (run->masks != NULL)
        run_add_masked(run, strbuf_str(&run->line), &out);
    else
        strbuf_add(&out, strbuf_str(&run->line));
    if (out.at[out.len - 1] != '\n')
        strbuf_add_char(&out, '\n');
    strbuf_clear(&run->line);
    if (journal_has_line(run, out.len))
        return;
    if (run->config->on_log != NULL)
        run->config->on_log(run->config->ctx, strbuf_str(&out));
}

void
run_note_output(struct run *run)
{
    int64_t now_ms = clock_monotonic_ms();

    for (struct deadline *d = run->deadlines; d != NULL; d = d->outer)
        d->last_output_ms = now_ms;
}

void
run_log(struct run *run, struct str text)
{
    run_note_output(run);
    while (text.len > 0) {
        ptrdiff_t end = str_index(text, '\n');
        size_t n = end < 0 ? text.len : (size_t)end + 1;
        strbuf_add(&run->line, str_slice(text, 0, n));
        text = str_slice(text, n, text.len);
        if (end >= 0 || run->line.len > LINE_MAX_BYTES)
            run_log_flush(run);
    }
}

void
run_logf(struct run *run, const char *format, ...)
{
    char text[4096];
    va_list args;
    int n;

    va_start(args, format);
    n = vsnprintf(text, sizeof(text) - 1, format, args);
    va_end(args);
    if (n < 0)
        return;
    run_log_flush(run);
    if ((size_t)n > sizeof(text) - 2)
        n = sizeof(text) - 2;
    text[n] = '\n';
    run_log(run, (struct str){text, (size_t)n + 1});
}

void
run_mask(struct run *run, struct str secret)
{
    struct str line;

    /* The log goes by lines, so each line of a secret is one; very short ones would eat the log. */
    while (str_split(&secret, '\n', &line)) {
        struct mask *m;
        line = str_trim(line);
        if (line.len < 3)
            continue;
        m = arena_alloc(&run->arena, sizeof(*m));
        m->secret = arena_dup(&run->arena, line);
        m->next = run->masks;
        run->masks = m;
    }
}

void
run_worsen(struct run *run, enum build_result r)
{
    if (!run->has_result || r > run->result)
        run->result = r;
    run->has_result = true;
    if ((int)r > run->noted_result)
        run->noted_result = (int)r;
    if (run->shows_result && r > run->shown)
        run->shown = r;
}

void
run_mark(struct run *run, enum build_result r)
{
    if ((int)r > run->noted_mark)
        run->noted_mark = (int)r;
    for (struct stage_run *s = run->stage; s != NULL; s = s->outer)
        if (r > s->mark)
            s->mark = r;
}

enum build_result
run_error_result(const struct exception *e)
{
    if (e == NULL)
        return RESULT_SUCCESS;
    return e->interruption == INTERRUPTED_NOT ? RESULT_FAILURE : (enum build_result)e->result;
}

void
run_log_error(struct run *run, struct exception *e)
{
    bool by_step = str_is(e->class_name, "AbortException") || e->interruption != INTERRUPTED_NOT;

    if (e->is_logged)
        return;
    e->is_logged = true;
    if (by_step || e->line == 0)
        run_logf(run, "ERROR: " STR_FMT, STR_ARG(e->message));
    else
        run_logf(run, "ERROR: %s:%u:%u: " STR_FMT " (" STR_FMT ")", run->config->jenkinsfile_name,
                 e->line, e->column, STR_ARG(e->message), STR_ARG(e->class_name));
}

struct env_layer *
run_env_push(struct run *run)
{
    struct env_layer *layer = arena_alloc(&run->arena, sizeof(*layer));

    layer->outer = run->env;
    run->env = layer;
    return layer;
}

static struct env_entry *
layer_find(const struct env_layer *layer, struct str name)
{
    for (struct env_entry *e = layer->entries; e != NULL; e = e->next)
        if (str_equal(e->name, name))
            return e;
    return NULL;
}

void
run_env_set(struct run *run, struct env_layer *layer, struct str name, struct str value)
{
    struct env_entry *e = layer_find(layer, name);

    if (e == NULL) {
        e = arena_alloc(&run->arena, sizeof(*e));
        e->name = arena_dup(&run->arena, name);
        e->next = layer->entries;
        layer->entries = e;
    }
    e->value = value_text(arena_dup(&run->arena, value));
    e->state = ENV_DONE;
}

/* An entry of an environment block, when it is first asked for. */
static bool
entry_evaluate(struct run *run, struct env_entry *e)
{
    struct value v;

    e->state = ENV_BUSY;
    if (!interp_eval(&run->in, e->source, &v))
        return false;
    if (v.type == V_NULL)
        return interp_throw(&run->in, e->source, "IllegalArgumentException",
                            "the value of the environment variable '" STR_FMT "' is null",
                            STR_ARG(e->name));
    e->value = value_text(value_to_text(&run->arena, v));
    e->state = ENV_DONE;
    return true;
}

bool
run_env_evaluate(struct run *run, struct env_layer *layer)
{
    for (struct env_entry *e = layer->entries; e != NULL; e = e->next)
        if (e->state == ENV_TODO && !entry_evaluate(run, e))
            return false;
    return true;
}

bool
run_env_get(struct run *run, struct str name, struct value *out, bool *found)
{
    *found = false;
    for (struct env_layer *layer = run->env; layer != NULL; layer = layer->outer) {
        struct env_entry *e = layer_find(layer, name);
        if (e == NULL || e->state == ENV_BUSY) /* itself: the outer one is meant */
            continue;
        if (e->state == ENV_TODO && !entry_evaluate(run, e))
            return false;
        *out = e->value;
        *found = true;
        return true;
    }
    return true;
}

const char *const *
run_env_list(struct run *run)
{
    size_t count = 0, n = 0;
    const char **list;

    for (const struct env_layer *l = run->env; l != NULL; l = l->outer)
        for (const struct env_entry *e = l->entries; e != NULL; e = e->next)
            count++;
    list = arena_alloc(&run->arena, (count + 1) * sizeof(*list));
    for (const struct env_layer *l = run->env; l != NULL; l = l->outer)
        for (const struct env_entry *e = l->entries; e != NULL; e = e->next) {
            bool hidden = e->state != ENV_DONE;
            for (const struct env_layer *i = run->env; i != l && !hidden; i = i->outer) {
                const struct env_entry *inner = layer_find(i, e->name);
                hidden = inner != NULL && inner->state == ENV_DONE;
            }
            if (!hidden)
                list[n++] = arena_format(&run->arena, STR_FMT "=" STR_FMT, STR_ARG(e->name),
                                         STR_ARG(e->value.text));
        }
    list[n] = NULL;
    return list;
}

const char *
run_state_path(struct run *run, const char *kind, const char *id)
{
    const struct runner_config *c = run->config;

    if (c->state_dir != NULL)
        return arena_format(&run->arena, "%s/%s-%s", c->state_dir, kind, id);
    return arena_format(&run->arena, "%s@tmp/%s-%s", c->workspace, kind, id);
}

bool
run_env_override(struct run *run, const struct node *at, struct env_layer *layer, struct str text)
{
    ptrdiff_t equals = str_index(text, '='), plus;
    struct str name, value;
    struct value before;
    bool found;

    if (equals <= 0)
        return interp_throw(&run->in, at, "IllegalArgumentException",
                            "withEnv needs NAME=value, not '" STR_FMT "'", STR_ARG(text));
    name = str_slice(text, 0, (size_t)equals);
    value = str_slice(text, (size_t)equals + 1, text.len);
    plus = str_index(name, '+');
    if (plus > 0) {
        name = str_slice(name, 0, (size_t)plus);
        if (!run_env_get(run, name, &before, &found))
            return false;
        if (found && before.text.len > 0)
            value = str_of(arena_format(&run->arena, STR_FMT ":" STR_FMT, STR_ARG(value),
                                        STR_ARG(before.text)));
    }
    run_env_set(run, layer, name, value);
    return true;
}

static bool
world_name(struct interp *in, struct str name, struct value *out, bool *found)
{
    static const struct {
        const char *name;
        enum host host;
    } hosts[] = {
        {"env", HOST_ENV}, {"params", HOST_PARAMS}, {"currentBuild", HOST_CURRENT_BUILD},
        {"scm", HOST_SCM}, {"docker", HOST_DOCKER}, {"steps", HOST_STEPS},
    };
    struct run *run = run_of(in);
    const struct value *param;

    *found = true;
    for (size_t i = 0; i < ARRAY_COUNT(hosts); i++)
        if (str_is(name, hosts[i].name)) {
            *out = value_host(hosts[i].host);
            return true;
        }
    if (!run_env_get(run, name, out, found) || *found)
        return in->completion != COMPLETION_THROW;
    param = map_find(run->params, value_text(name));
    if (param != NULL) {
        *out = *param;
        *found = true;
    }
    return true;
}

enum build_result
run_visible_result(const struct run *run)
{
    return run->shows_result ? run->shown : run->result;
}

static bool
world_get(struct interp *in, const struct node *at, struct value object, struct str name,
          struct value *out)
{
    struct run *run = run_of(in);
    const struct value *param;
    bool found;

    *out = value_null();
    switch (object.host) {
    case HOST_ENV:
        return run_env_get(run, name, out, &found);
    case HOST_PARAMS:
        param = map_find(run->params, value_text(name));
        if (param != NULL)
            *out = *param;
        return true;
    case HOST_CURRENT_BUILD:
    case HOST_BUILD:
        return build_info_get(run, at, object, name, out);
    case HOST_SCM:
        if (str_is(name, "branches") || str_is(name, "userRemoteConfigs")) {
            struct value item = value_map(in->arena);
            *out = value_list(in->arena);
            map_put_text(in->arena, item.map, "name", value_cstr(in->arena, run->config->branch));
            map_put_text(in->arena, item.map, "url", value_cstr(in->arena, run->config->git_url));
            list_add(in->arena, out->list, item);
            return true;
        }
        if (str_is(name, "extensions")) {
            *out = value_list(in->arena);
            return true;
        }
        if (str_is(name, "doGenerateSubmoduleConfigurations")) {
            *out = value_bool(false);
            return true;
        }
        break;
    case HOST_DOCKER:
    case HOST_DOCKER_IMAGE:
    case HOST_DOCKER_CONTAINER:
        return docker_get(run, at, object, name, out);
    default:
        break;
    }
    return interp_throw(in, at, "MissingPropertyException", "No such property: " STR_FMT,
                        STR_ARG(name));
}

static bool
world_set(struct interp *in, const struct node *at, struct value object, struct str name,
          struct value v)
{
    struct run *run = run_of(in);
    struct str text = value_to_text(in->arena, v);
    enum build_result r;

    if (object.host == HOST_ENV) {
        run_env_set(run, &run->assigned, name, text);
        return true;
    }
    if (object.host == HOST_CURRENT_BUILD && str_is(name, "result")) {
        if (!build_result_parse(text, &r))
            return interp_throw(in, at, "IllegalArgumentException",
                                "'" STR_FMT "' is not a build result", STR_ARG(text));
        run_worsen(run, r);
        return true;
    }
    if (object.host == HOST_CURRENT_BUILD && str_is(name, "displayName")) {
        snprintf(run->display_name, sizeof(run->display_name), STR_FMT, STR_ARG(text));
        return true;
    }
    if (object.host == HOST_CURRENT_BUILD && str_is(name, "description")) {
        snprintf(run->description, sizeof(run->description), STR_FMT, STR_ARG(text));
        return true;
    }
    return interp_throw(in, at, "ReadOnlyPropertyException", "'" STR_FMT "' cannot be set",
                        STR_ARG(name));
}

static bool
world_method(struct interp *in, const struct node *call, struct value object, struct str name,
             const struct args *args, struct value *out, bool *found)
{
    struct run *run = run_of(in);

    *found = true;
    if (object.type == V_EXCEPTION) {
        *found = run_interruption_method(run, object.exception, name, args, out);
        return true;
    }
    if (object.host == HOST_DOCKER || object.host == HOST_DOCKER_IMAGE ||
        object.host == HOST_DOCKER_CONTAINER)
        return docker_method(run, call, object, name, args, out);
    if (object.host == HOST_CURRENT_BUILD || object.host == HOST_BUILD)
        return build_info_method(run, call, object, name, args, out, found);
    if (object.host == HOST_PARAMS || (object.host == HOST_ENV && str_is(name, "getEnvironment"))) {
        struct value map = {.type = V_MAP, .map = run->params};
        if (object.host == HOST_ENV) {
            *out = value_map(in->arena);
            for (const struct env_entry *e = run->assigned.entries; e != NULL; e = e->next)
                map_put(in->arena, out->map, value_text(e->name), e->value);
            return true;
        }
        if (str_is(name, "put") || str_is(name, "remove") || str_is(name, "putAll"))
            return interp_throw(in, call, "UnsupportedOperationException", "params is read-only");
        return method_call(in, call, map, name, args, out, found);
    }
    *found = false;
    return true;
}

const struct interp_world run_world = {
    .name = world_name,
    .call = step_call,
    .get = world_get,
    .set = world_set,
    .method = world_method,
    .poll = run_poll,
    .settle = journal_settle,
};
