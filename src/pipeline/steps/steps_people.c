/* SPDX-License-Identifier: MIT */
/* steps_people.c - steps that wait for people and for other builds: input, build, lock, milestone;
 * and properties. */
#include <stdio.h>
#include "base/clock.h"
#include "base/hash.h"
#include "pipeline/run/job_properties.h"
#include "pipeline/run/journal.h"
#include "pipeline/run/credentials.h"
#include "pipeline/run/params.h"

#define PARAMS_MAX 64
#define FOR_EVER_MS ((int64_t)1 << 40)

/* A question, as a step or a directive asks it. */
struct question {
    const char *step; /* that asks */
    struct str id, message, ok, submitter, submitter_parameter;
    struct param params[PARAMS_MAX];
    size_t param_count;
};

static bool
add_param(struct run *run, const struct node *at, struct question *q, struct value v)
{
    if (q->param_count == PARAMS_MAX)
        return interp_throw(&run->in, at, "IllegalArgumentException",
                            "input takes at most %d parameters", PARAMS_MAX);
    return param_of_value(run, at, v, &q->params[q->param_count++]);
}

static struct json *
question_to_json(struct run *run, const struct question *q)
{
    struct json *j = json_object(), *params = json_array();

    json_set(j, "id", json_str(q->id));
    json_set(j, "step", json_text(q->step));
    json_set(j, "message", json_str(q->message));
    json_set(j, "ok", json_str(q->ok));
    if (q->submitter.len > 0)
        json_set(j, "submitter", json_str(q->submitter));
    for (size_t i = 0; i < q->param_count; i++)
        json_append(params, param_to_json(run, &q->params[i]));
    json_set(j, "parameters", params);
    return j;
}

static bool
wait_for_answer(struct run *run, const struct node *at, const struct question *q,
                struct json **answer)
{
    const struct runner_host *host = run->config->host;
    bool ok = true;

    run_rest(run, REST_FOR_OTHERS);
    while (ok && (*answer = host->answer(run->config->ctx, q->step)) == NULL)
        ok = run_wait(run, at, NULL, 0, INT64_MAX);
    return run_come_back(run, at, ok);
}

/* All that was given, by name; who said so is one of them if he is asked for. */
static bool
read_answer(struct run *run, const struct node *at, const struct question *q,
            const struct json *answer, struct map *to)
{
    const struct json *given = json_get(answer, "parameters");
    const char *by = json_get_cstr(answer, "by", "somebody");
    struct value v;

    if (!json_get_bool(answer, "proceed", false)) {
        (void)run_interrupt(run, at, INTERRUPTED_BY_REJECTION, RESULT_ABORTED,
                            arena_format(&run->arena, "Rejected by %s", by));
        run->in.thrown->who = arena_dup(&run->arena, str_of(by));
        return false;
    }
    run_logf(run, "Approved by %s", by);
    for (size_t i = 0; i < q->param_count; i++) {
        if (!param_value(run, at, &q->params[i], given, &v))
            return false;
        if (str_is(q->params[i].kind, "password") && v.text.len > 0)
            credential_mask(run, v.text);
        map_put(&run->arena, to, value_text(q->params[i].name), v);
    }
    if (q->submitter_parameter.len > 0)
        map_put(&run->arena, to, value_text(q->submitter_parameter), value_cstr(&run->arena, by));
    return true;
}

static bool
ask(struct run *run, const struct node *at, const struct question *q, struct map *to)
{
    const struct runner_host *host = run->config->host;
    cleanup_json struct json *asked = question_to_json(run, q);
    cleanup_json struct json *answer = NULL;
    bool ok;

    if ((host == NULL || host->question == NULL) && run->deadlines->outer == NULL)
        return interp_throw(&run->in, at, "AbortException",
                            "'input' needs a server: nobody can answer here");
    run_logf(run, STR_FMT, STR_ARG(q->message));
    if (host == NULL || host->question == NULL) /* until the timeout around it */
        return run_sleep(run, at, FOR_EVER_MS);
    run_logf(run, STR_FMT " or Abort (naru input, id " STR_FMT ")", STR_ARG(q->ok), STR_ARG(q->id));
    host->question(run->config->ctx, asked, false);
    ok = wait_for_answer(run, at, q, &answer);
    if (!run_is_suspended(run))
        host->question(run->config->ctx, asked, true);
    return ok && read_answer(run, at, q, answer, to);
}

static struct str
default_id(struct run *run, struct str message)
{
    const uint32_t h = hash_fnv_32(hash_fnv_32(HASH_FNV_32, message), str_of(flow_path(run)));

    return str_of(arena_format(&run->arena, "%08x", h));
}

static bool
step_input(struct step_call *s)
{
    struct run *run = s->run;
    const struct value *params = step_value(s, "parameters");
    struct question *q = arena_alloc(&run->arena, sizeof(*q));
    struct map *to = arena_alloc(&run->arena, sizeof(*to));

    q->step = s->id;
    q->message = step_text(s, "message", "");
    q->id = step_text(s, "id", "");
    if (q->id.len == 0)
        q->id = default_id(run, q->message);
    q->ok = step_text(s, "ok", "Proceed");
    q->submitter = step_text(s, "submitter", "");
    q->submitter_parameter = step_text(s, "submitterParameter", "");
    for (size_t i = 0; params != NULL && params->type == V_LIST && i < params->list->count; i++)
        if (!add_param(run, s->at, q, params->list->at[i]))
            return false;
    if (!ask(run, s->at, q, to))
        return false;
    if (to->count == 1)
        *s->out = to->at[0].value;
    else if (to->count > 1)
        *s->out = (struct value){.type = V_MAP, .map = to};
    return true;
}

/* The directive: what is given becomes environment of the stage.  A step for the journal. */
struct directive {
    const struct stage *stage;
    struct question q;
};

static bool
read_directive(struct run *run, const struct stage *stage, struct question *q)
{
    const struct node *call = stage->section[SECTION_INPUT], *block = section_block(call);
    static const struct {
        const char *name;
        size_t at;
    } fields[] = {
        {"message", offsetof(struct question, message)},
        {"id", offsetof(struct question, id)},
        {"ok", offsetof(struct question, ok)},
        {"submitter", offsetof(struct question, submitter)},
        {"submitterParameter", offsetof(struct question, submitter_parameter)},
    };

    q->id = stage->name;
    q->ok = STR("Proceed");
    if (block == NULL) /* input 'Deploy?' */
        return call->first == NULL || interp_eval_text(&run->in, call->first, &q->message);
    for (const struct node *n = block->first; n != NULL; n = n->next) {
        for (size_t i = 0; i < ARRAY_COUNT(fields); i++)
            if (str_is(n->text, fields[i].name) && n->first != NULL &&
                !interp_eval_text(&run->in, n->first,
                                  (struct str *)(void *)((char *)q + fields[i].at)))
                return false;
        if (!str_is(n->text, "parameters"))
            continue;
        for (const struct node *p = section_block(n)->first; p != NULL; p = p->next) {
            struct args args;
            if (q->param_count == PARAMS_MAX || !interp_args(&run->in, p, &args) ||
                !param_declared(run, p, p->text, &args, &q->params[q->param_count++]))
                return false;
        }
    }
    return true;
}

static bool
run_directive(struct step_call *s)
{
    const struct question *q = s->body.arg;
    struct map *to = arena_alloc(&s->run->arena, sizeof(*to));

    *s->out = (struct value){.type = V_MAP, .map = to};
    return ask(s->run, s->at, q, to);
}

bool
input_directive(struct run *run, const struct stage *stage)
{
    struct question *q = arena_alloc(&run->arena, sizeof(*q));
    struct value given = value_null();
    struct args none = {0};
    struct step_call s = {.run = run,
                          .in = &run->in,
                          .at = stage->section[SECTION_INPUT],
                          .name = STR("input"),
                          .args = &none,
                          .out = &given,
                          .body = {NULL, q}};
    struct env_layer *layer;

    if (!read_directive(run, stage, q))
        return false;
    s.values = arena_alloc(&run->arena, sizeof(*s.values));
    s.id = q->step = step_make_id(run);
    if (!step_act(&s, run_directive))
        return false;
    layer = run_env_push(run);
    for (size_t i = 0; given.type == V_MAP && i < given.map->count; i++)
        run_env_set(run, layer, given.map->at[i].key.text,
                    value_to_text(&run->arena, given.map->at[i].value));
    return true;
}

static bool
step_properties(struct step_call *s)
{
    const struct value *list = step_value(s, "properties");

    if (list != NULL && list->type == V_LIST && !job_properties_list(s->run, s->at, list->list))
        return false;
    for (size_t i = 0; list != NULL && list->type == V_LIST && i < list->list->count; i++) {
        struct value v = list->list->at[i];
        const struct value *kind = v.type == V_MAP ? map_find_text(v.map, "$class") : NULL;
        const struct value *of = v.type == V_MAP ? map_find_text(v.map, "value") : NULL;
        if (kind == NULL || kind->type != V_TEXT)
            continue;
        if (!str_is(kind->text, "parameters") || of == NULL || of->type != V_LIST)
            continue;
        for (size_t k = 0; k < of->list->count; k++) {
            struct param p;
            if (!param_of_value(s->run, s->at, of->list->at[k], &p) ||
                !param_bind(s->run, s->at, &p))
                return false;
        }
    }
    return true;
}

static struct json *
given_parameters(struct run *run, const struct value *list)
{
    struct json *j = json_object();

    for (size_t i = 0; list != NULL && list->type == V_LIST && i < list->list->count; i++) {
        struct value v = list->list->at[i];
        const struct value *name = v.type == V_MAP ? map_find_text(v.map, "name") : NULL;
        const struct value *value = v.type == V_MAP ? map_find_text(v.map, "value") : NULL;
        if (name != NULL && name->type == V_TEXT && value != NULL)
            json_set(j, arena_cstr(&run->arena, name->text),
                     json_str(value_to_text(&run->arena, *value)));
    }
    return j;
}

static bool
wait_for_build(struct step_call *s, const char *pipeline, int64_t number, enum build_result *result,
               struct json **record)
{
    struct run *run = s->run;
    const struct runner_host *host = run->config->host;
    bool ok = true;

    run_rest(run, run_rest_kind(run));
    while (ok && !host->ended(run->config->ctx, pipeline, number, result, record))
        ok = run_wait(run, s->at, NULL, 0, INT64_MAX);
    return run_come_back(run, s->at, ok);
}

static void
put_member(struct run *run, struct map *to, const char *name, const char *text)
{
    map_put_text(&run->arena, to, name, value_cstr(&run->arena, text));
}

/* What scripts ask of a build that they have started and that is over. */
static void
describe(struct run *run, const struct json *record, const char *pipeline, int64_t number, struct map *to)
{
    const struct json *given = json_get(record, "parameters");
    struct value variables = value_map(&run->arena);

    build_info_of_other(run, record, to);
    if (run->config->server_url != NULL)
        put_member(run, to, "absoluteUrl",
                   arena_format(&run->arena, "%snaru/builds/%s/%lld/", run->config->server_url, pipeline,
                                (long long)number));
    for (void *it = given == NULL ? NULL : json_first(given); it != NULL; it = json_next(given, it))
        put_member(run, variables.map, json_key(it), json_cstr(json_value(it), ""));
    map_put_text(&run->arena, to, "buildVariables", variables);
}

static bool
step_build(struct step_call *s)
{
    struct run *run = s->run;
    const struct runner_host *host = run->config->host;
    cleanup_json struct json *parameters = given_parameters(run, step_value(s, "parameters"));
    const char *job = arena_cstr(&run->arena, step_text(s, "job", ""));
    cleanup_json struct json *record = NULL;
    enum build_result result = RESULT_SUCCESS;
    struct map *members;
    char pipeline[64];
    int64_t number;
    struct err err;

    if ((host == NULL || host->start == NULL) && !step_truth(s, "wait", true)) {
        run_logf(run, "WARNING: '%s' is not started: there are no other pipelines in a local run", job);
        return true; /* nobody waits for it; its value is null */
    }
    if (host == NULL || host->start == NULL)
        return step_fail(s, "'build' needs a server: there are no other pipelines here");
    if (!host->start(run->config->ctx, job, step_owner(s), parameters, pipeline, &number, &err))
        return step_fail(s, "cannot start '%s': %s", job, err.message);
    run_logf(run, "Starting building: %s #%lld", job, (long long)number);
    *s->out = value_record(&run->arena, "RunWrapper",
                           value_cstr(&run->arena, arena_format(&run->arena, "%s #%lld", job, (long long)number)));
    members = s->out->object->fields;
    map_put_text(&run->arena, members, "number", value_int(number));
    put_member(run, members, "id", arena_format(&run->arena, "%lld", (long long)number));
    put_member(run, members, "fullProjectName", job);
    if (!step_truth(s, "wait", true))
        return true;
    if (!wait_for_build(s, pipeline, number, &result, &record))
        return false;
    if (record != NULL)
        describe(run, record, pipeline, number, members);
    put_member(run, members, "result", build_result_name(result));
    put_member(run, members, "currentResult", build_result_name(result));
    run_logf(run, "Build %s #%lld completed: %s", job, (long long)number,
             build_result_name(result));
    if (result == RESULT_SUCCESS || !step_truth(s, "propagate", true))
        return true;
    /* Its result is this build's from here on, as if it had been interrupted with it. */
    return run_interrupt(run, s->at, INTERRUPTED_BY_DOWNSTREAM, result,
                         arena_format(&run->arena, "%s #%lld completed with status %s (propagate: false to ignore)", job,
                                      (long long)number, build_result_name(result)));
}

step_function *
step_people_find(struct str name)
{
    static const struct step_row table[] = {
        {"input", step_input},
        {"properties", step_properties},
        {"build", step_build},
    };

    return step_row_find(table, ARRAY_COUNT(table), name);
}
