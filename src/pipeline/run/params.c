/* SPDX-License-Identifier: MIT */
#include "pipeline/run/params.h"

#include "pipeline/run/credentials.h"

static const struct list *
read_choices(struct run *run, const struct value *v)
{
    struct value list = value_list(&run->arena);

    if (v != NULL && v->type == V_LIST)
        for (size_t i = 0; i < v->list->count; i++)
            list_add(&run->arena, list.list,
                     value_text(value_to_text(&run->arena, v->list->at[i])));
    if (v != NULL && v->type == V_TEXT) {
        struct str rest = v->text, one;
        while (str_split(&rest, '\n', &one))
            list_add(&run->arena, list.list, value_text(one));
    }
    return list.list;
}

static bool
read_map(struct run *run, const struct node *at, struct str kind, const struct map *m,
         struct param *out)
{
    const struct value *name = map_find_text(m, "name");
    const struct value *initial = map_find_text(m, "defaultValue");
    const struct value *description = map_find_text(m, "description");
    struct arena *a = &run->arena;

    if (name == NULL || name->type != V_TEXT || name->text.len == 0)
        return interp_throw(&run->in, at, "IllegalArgumentException", "a parameter needs a name");
    *out = (struct param){.name = name->text, .kind = kind};
    if (description != NULL && description->type != V_NULL)
        out->description = value_to_text(a, *description);
    if (str_is(kind, "choice")) {
        out->choices = read_choices(run, map_find_text(m, "choices"));
        out->initial =
            out->choices->count > 0 ? out->choices->at[0] : value_text(STR(""));
    } else if (str_is(kind, "booleanParam")) {
        out->initial = value_bool(initial != NULL && value_truth(*initial));
    } else {
        out->initial =
            value_text(initial == NULL || initial->type == V_NULL ? STR("")
                                                                  : value_to_text(a, *initial));
    }
    return true;
}

bool
param_declared(struct run *run, const struct node *at, struct str kind, const struct args *args,
               struct param *out)
{
    struct map *m = arena_alloc(&run->arena, sizeof(*m));

    if (args->count > 0)
        map_put_text(&run->arena, m, "name", args->at[0]);
    for (size_t i = 0; args->named != NULL && i < args->named->count; i++)
        map_put(&run->arena, m, args->named->at[i].key, args->named->at[i].value);
    return read_map(run, at, kind, m, out);
}

bool
param_of_value(struct run *run, const struct node *at, struct value v, struct param *out)
{
    const struct value *kind = v.type == V_MAP ? map_find_text(v.map, "$class") : NULL;

    if (kind == NULL || kind->type != V_TEXT)
        return interp_throw(&run->in, at, "IllegalArgumentException",
                            "a parameter is written as string(name: ...), choice(name: ...) ...");
    return read_map(run, at, kind->text, v.map, out);
}

static bool
read_boolean(const struct json *given, struct value *out)
{
    struct str text = str_of(json_cstr(given, ""));
    bool truth = json_type(given) == JSON_BOOL ? json_truth(given, false) : str_is(text, "true");

    *out = value_bool(truth);
    return truth || json_type(given) == JSON_BOOL || str_is(text, "false");
}

bool
param_value(struct run *run, const struct node *at, const struct param *p, const struct json *given,
            struct value *out)
{
    const char *name = arena_cstr(&run->arena, p->name);
    const struct json *one = json_get(given, name);
    bool fits = true;

    *out = p->initial;
    if (one == NULL)
        return true;
    if (str_is(p->kind, "booleanParam")) {
        fits = read_boolean(one, out);
    } else if (json_type(one) == JSON_TEXT) {
        *out = value_text(arena_dup(&run->arena, str_of(json_cstr(one, ""))));
    } else {
        cleanup_free char *text = json_format(one);
        *out = value_text(arena_dup(&run->arena, str_of(text)));
    }
    if (p->choices != NULL) {
        fits = false;
        for (size_t i = 0; i < p->choices->count && !fits; i++)
            fits = str_equal(p->choices->at[i].text, out->text);
    }
    return fits || interp_throw(&run->in, at, "IllegalArgumentException",
                                "the parameter '%s' cannot be '" STR_FMT "'", name,
                                STR_ARG(str_is(p->kind, "booleanParam")
                                            ? str_of(json_cstr(one, "?"))
                                            : out->text));
}

struct json *
param_to_json(struct run *run, const struct param *p)
{
    struct json *j = json_object(), *choices;

    json_set(j, "name", json_str(p->name));
    json_set(j, "kind", json_str(p->kind));
    if (p->description.len > 0)
        json_set(j, "description", json_str(p->description));
    if (p->initial.type == V_BOOL)
        json_set(j, "default", json_bool(p->initial.truth));
    else if (!str_is(p->kind, "password"))
        json_set(j, "default", json_str(p->initial.text));
    if (p->choices == NULL)
        return j;
    choices = json_array();
    for (size_t i = 0; i < p->choices->count; i++)
        json_append(choices, json_str(p->choices->at[i].text));
    json_set(j, "choices", choices);
    return j;
}

static void
tell_plain(struct run *run, struct str name)
{
    const struct runner_host *host = run->config->host;

    if (host != NULL && host->parameter_is_plain != NULL)
        host->parameter_is_plain(run->config->ctx, arena_cstr(&run->arena, name));
}

bool
param_bind(struct run *run, const struct node *at, const struct param *p)
{
    struct value v;

    if (!param_value(run, at, p, run->config->parameters, &v))
        return false;
    if (!str_is(p->kind, "password"))
        tell_plain(run, p->name);
    else if (v.text.len > 0)
        credential_mask(run, v.text);
    map_put(&run->arena, run->params, value_text(p->name), v);
    run_env_set(run, &run->base, p->name, value_to_text(&run->arena, v));
    return true;
}
