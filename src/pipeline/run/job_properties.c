/* SPDX-License-Identifier: MIT */
#include "pipeline/run/job_properties.h"

#include "pipeline/cron.h"

static struct str
text_of(struct run *run, const struct map *m, const char *name)
{
    const struct value *v = map_find_text(m, name);

    if (v == NULL)
        v = map_find_text(m, "value");
    return v == NULL || v->type == V_NULL ? STR("") : value_to_text(&run->arena, *v);
}

static void
set_number(struct run *run, struct json *to, const char *key, const struct map *m, const char *name)
{
    const struct value *v = map_find_text(m, name);
    int64_t n;

    if (v != NULL && str_to_i64(str_trim(value_to_text(&run->arena, *v)), &n) && n >= 0)
        json_set(to, key, json_int(n));
}

static bool
add_cron(struct run *run, const struct node *at, struct str kind, const struct map *m,
         struct json *triggers)
{
    struct str spec = text_of(run, m, str_is(kind, "cron") ? "spec" : "scmpoll_spec");
    struct json *one;
    struct cron_look look = {0};
    struct cron cron;
    struct err err;

    if (!cron_parse(spec, str_of(run->config->job_name), &look, &cron, &err))
        return interp_throw(&run->in, at, "IllegalArgumentException", STR_FMT ": %s", STR_ARG(kind),
                            err.message);
    one = json_object();
    json_set(one, "kind", json_str(kind));
    json_set(one, "spec", json_str(spec));
    json_append(triggers, one);
    return true;
}

static bool
add_trigger(struct run *run, const struct node *at, struct str kind, const struct map *m,
            struct json *triggers)
{
    struct json *one;

    if (str_is(kind, "cron") || str_is(kind, "pollSCM"))
        return add_cron(run, at, kind, m, triggers);
    if (str_is(kind, "githubPush"))
        return true;
    if (!str_is(kind, "upstream")) {
        run_logf(run, "WARNING: triggers: '" STR_FMT "' has no effect here", STR_ARG(kind));
        return true;
    }
    one = json_object();
    json_set(one, "kind", json_str(kind));
    json_set(one, "projects", json_str(text_of(run, m, "upstreamProjects")));
    json_set(one, "threshold",
             json_str(map_find_text(m, "threshold") == NULL ? STR("SUCCESS")
                                                            : text_of(run, m, "threshold")));
    json_append(triggers, one);
    return true;
}

static void
add_discarder(struct run *run, const struct map *m, struct json *to)
{
    const struct value *strategy = map_find_text(m, "strategy");

    if (strategy == NULL)
        strategy = map_find_text(m, "value");
    if (strategy == NULL || strategy->type != V_MAP)
        return;
    set_number(run, to, "numToKeep", strategy->map, "numToKeepStr");
    set_number(run, to, "daysToKeep", strategy->map, "daysToKeepStr");
    set_number(run, to, "artifactNumToKeep", strategy->map, "artifactNumToKeepStr");
    set_number(run, to, "artifactDaysToKeep", strategy->map, "artifactDaysToKeepStr");
}

static void
add_rate_limit(struct run *run, const struct map *m, struct json *to)
{
    static const struct {
        const char *name;
        int64_t ms;
    } spans[] = {{"second", 1000},     {"minute", 60000},      {"hour", 3600000},
                 {"day", 86400000},    {"week", 604800000},    {"month", 2678400000},
                 {"year", 31536000000}};
    const struct value *throttle = map_find_text(m, "throttle");
    const struct map *of =
        throttle != NULL && throttle->type == V_MAP ? throttle->map : m;
    const struct value *count = map_find_text(of, "count");
    struct str span = text_of(run, of, "durationName");

    for (size_t i = 0; i < ARRAY_COUNT(spans); i++)
        if (str_is(span, spans[i].name) && count != NULL && value_is_integer(*count) &&
            count->number > 0)
            json_set(to, "rateLimitMs", json_int(spans[i].ms / count->number));
}

/* Per project there is nothing to do: builds of a branch run one after another. */
static void
add_throttle(struct run *run, const struct map *m, struct json *to)
{
    const struct value *enabled = map_find_text(m, "throttleEnabled");
    const struct value *list = map_find_text(m, "categories");
    struct json *names;

    if ((enabled != NULL && !value_truth(*enabled)) || list == NULL || list->type != V_LIST ||
        str_is(text_of(run, m, "throttleOption"), "project"))
        return;
    names = json_array();
    for (size_t i = 0; i < list->list->count; i++)
        json_append(names, json_str(value_to_text(&run->arena, list->list->at[i])));
    json_set(to, "throttleCategories", names);
}

static void
add_option(struct run *run, struct str kind, const struct map *m, struct json *to)
{
    const struct value *v;

    if (str_is(kind, "buildDiscarder")) {
        add_discarder(run, m, to);
    } else if (str_is(kind, "disableConcurrentBuilds")) {
        v = map_find_text(m, "abortPrevious");
        json_set(to, "abortPrevious", json_bool(v != NULL && value_truth(*v)));
    } else if (str_is(kind, "quietPeriod")) {
        set_number(run, to, "quietPeriod", m, "value");
    } else if (str_is(kind, "rateLimitBuilds")) {
        add_rate_limit(run, m, to);
    } else if (str_is(kind, "throttleJobProperty") || str_is(kind, "ThrottleJobProperty")) {
        add_throttle(run, m, to);
    }
}

static void
tell(struct run *run, struct json *properties)
{
    const struct runner_host *host = run->config->host;

    if (host != NULL && host->properties != NULL)
        host->properties(run->config->ctx, properties);
}

static bool
map_of_call(struct run *run, const struct node *call, struct map **out)
{
    struct args args;

    if (!interp_args(&run->in, call, &args))
        return false;
    *out = arena_alloc(&run->arena, sizeof(**out));
    if (args.count > 0)
        map_put_text(&run->arena, *out, "value", args.at[0]);
    for (size_t i = 0; args.named != NULL && i < args.named->count; i++)
        map_put(&run->arena, *out, args.named->at[i].key, args.named->at[i].value);
    return true;
}

static bool
is_property(struct str name)
{
    return str_is(name, "buildDiscarder") || str_is(name, "disableConcurrentBuilds") ||
           str_is(name, "quietPeriod") || str_is(name, "rateLimitBuilds") ||
           str_is(name, "throttleJobProperty");
}

bool
job_properties_declarative(struct run *run, const struct stage *pipeline)
{
    const struct node *options = section_block(pipeline->section[SECTION_OPTIONS]);
    const struct node *triggers = section_block(pipeline->section[SECTION_TRIGGERS]);
    cleanup_json struct json *to = json_object();
    struct json *list = json_array();
    struct map *m;

    json_set(to, "triggers", list);
    for (const struct node *n = options == NULL ? NULL : options->first; n != NULL; n = n->next) {
        if (!is_property(n->text))
            continue;
        if (!map_of_call(run, n, &m))
            return false;
        add_option(run, n->text, m, to);
    }
    for (const struct node *n = triggers == NULL ? NULL : triggers->first; n != NULL; n = n->next)
        if (!map_of_call(run, n, &m) || !add_trigger(run, n, n->text, m, list))
            return false;
    tell(run, to);
    return true;
}

bool
job_properties_list(struct run *run, const struct node *at, const struct list *l)
{
    cleanup_json struct json *to = json_object();
    struct json *triggers = json_array();

    json_set(to, "triggers", triggers);
    for (size_t i = 0; i < l->count; i++) {
        const struct map *m = l->at[i].type == V_MAP ? l->at[i].map : NULL;
        const struct value *kind = m == NULL ? NULL : map_find_text(m, "$class");
        const struct value *of = m == NULL ? NULL : map_find_text(m, "value");
        if (kind == NULL || kind->type != V_TEXT)
            continue;
        add_option(run, kind->text, m, to);
        if (!str_is(kind->text, "pipelineTriggers") || of == NULL || of->type != V_LIST)
            continue;
        for (size_t k = 0; k < of->list->count; k++) {
            const struct map *t = of->list->at[k].type == V_MAP ? of->list->at[k].map : NULL;
            const struct value *name = t == NULL ? NULL : map_find_text(t, "$class");
            if (name != NULL && name->type == V_TEXT &&
                !add_trigger(run, at, name->text, t, triggers))
                return false;
        }
    }
    tell(run, to);
    return true;
}
