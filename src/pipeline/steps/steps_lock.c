/* SPDX-License-Identifier: MIT */
/* steps_lock.c - steps that make builds wait for each other: lock, throttle, milestone.
 * In the data directory, both may be missing:
 *   resources.json  {"printer-1": ["printers", "colour"], ...}  resources with their labels
 *   throttle.json   {"deploy": 2, ...}  how many builds of a category work at a time; 0: any number
 * A label that no resource has is a resource of that name; a category that is not there lets one
 * build at a time. */
#include "io/file.h"
#include "pipeline/lock_table.h"
#include "pipeline/run/journal.h"

#define SETTINGS_MAX ((size_t)1 << 20)

/* An object for the caller to unref; NULL without such a file; false: it is broken. */
static bool
read_settings(struct step_call *s, const char *name, struct json **out)
{
    cleanup(strbuf_done) struct strbuf text = {0};
    const char *home = s->run->config->home;
    const char *path = home == NULL ? "" : arena_format(&s->run->arena, "%s/%s", home, name);
    struct err err;

    *out = NULL;
    if (home == NULL || !file_exists(path))
        return true;
    if (!file_read(path, SETTINGS_MAX, &text, &err) ||
        (*out = json_parse(strbuf_str(&text), &err)) == NULL)
        return step_fail(s, "%s: %s", name, err.message);
    return json_type(*out) == JSON_OBJECT || step_fail(s, "%s is not a JSON object", name);
}

/* ---- what is wanted ---- */

struct wish {
    struct step_call *s;
    const struct json *resources; /* NULL: none are described */
    struct lock_need needs[LOCK_NEEDS_MAX];
    struct lock_claim claim;
    struct strbuf shown; /* for the log */
};

static bool
add_need(struct wish *w, const char *const *names, size_t count, size_t quantity)
{
    if (w->claim.need_count == LOCK_NEEDS_MAX)
        return step_fail(w->s, "a lock has at most %u resources and labels", LOCK_NEEDS_MAX);
    w->needs[w->claim.need_count++] =
        (struct lock_need){.names = names, .count = count, .quantity = quantity};
    return true;
}

static bool
add_resource(struct wish *w, struct str name)
{
    struct arena *a = &w->s->run->arena;
    const char **names = arena_alloc(a, sizeof(*names));

    for (size_t i = 0; i < w->claim.need_count; i++)
        if (w->needs[i].count == 1 && str_is(name, w->needs[i].names[0]))
            return true; /* said twice */
    names[0] = arena_cstr(a, name);
    strbuf_addf(&w->shown, "%s%s", w->shown.len > 0 ? ", " : "", names[0]);
    return add_need(w, names, 1, 1);
}

/* `quantity` 0: all that have the label. */
static bool
add_label(struct wish *w, struct str label, int64_t quantity)
{
    struct arena *a = &w->s->run->arena;
    const char *text = arena_cstr(a, label);
    const char **names = arena_alloc(a, LOCK_NAMES_MAX * sizeof(*names));
    size_t count = 0;

    for (void *it = w->resources == NULL ? NULL : json_first(w->resources); it != NULL;
         it = json_next(w->resources, it)) {
        if (!json_has_text(json_value(it), text))
            continue;
        if (count == LOCK_NAMES_MAX)
            return step_fail(w->s, "more than %u resources have the label '%s'", LOCK_NAMES_MAX, text);
        names[count++] = arena_cstr(a, str_of(json_key(it)));
    }
    if (count == 0)
        names[count++] = text;
    if (quantity < 0 || quantity > (int64_t)count)
        return step_fail(w->s, "there are %zu resources with the label '%s', not %lld", count, text,
                         (long long)quantity);
    strbuf_addf(&w->shown, "%s%s", w->shown.len > 0 ? ", " : "", text);
    if (quantity > 0)
        strbuf_addf(&w->shown, " x%lld", (long long)quantity);
    return add_need(w, names, count, quantity > 0 ? (size_t)quantity : count);
}

static struct str
member(const struct wish *w, const struct map *m, const char *name)
{
    const struct value *v = map_find_text(m, name);

    return v == NULL || v->type == V_NULL ? STR("") : value_to_text(&w->s->run->arena, *v);
}

static bool
add_extra(struct wish *w, const struct value *list)
{
    if (list == NULL || list->type == V_NULL)
        return true;
    if (list->type != V_LIST)
        return step_fail(w->s, "lock: 'extra' is a list of resources and labels");
    for (size_t i = 0; i < list->list->count; i++) {
        const struct value one = list->list->at[i];
        struct str resource, label, quantity_text;
        int64_t quantity = 0;
        if (one.type != V_MAP)
            return step_fail(w->s, "lock: 'extra' is a list of maps");
        resource = member(w, one.map, "resource");
        label = member(w, one.map, "label");
        quantity_text = member(w, one.map, "quantity");
        if (quantity_text.len > 0 && !str_to_i64(quantity_text, &quantity))
            return step_fail(w->s, "lock: 'quantity' of an item of 'extra' must be an integer");
        if (resource.len == 0 && label.len == 0)
            return step_fail(w->s, "lock: an item of 'extra' needs a resource or a label");
        if (resource.len > 0 ? !add_resource(w, resource) : !add_label(w, label, quantity))
            return false;
    }
    return true;
}

static bool
read_wish(struct wish *w)
{
    struct step_call *s = w->s;
    struct str resource = step_text(s, "resource", ""), label = step_text(s, "label", "");

    if (resource.len == 0 && label.len == 0 && s->args->count > 0 && s->args->at[0].type == V_TEXT)
        resource = s->args->at[0].text;
    if (resource.len > 0 && label.len > 0)
        return step_fail(s, "lock takes a resource or a label, not both");
    if (resource.len > 0 ? !add_resource(w, resource)
                         : label.len > 0 && !add_label(w, label, step_int(s, "quantity", 0)))
        return false;
    if (!add_extra(w, step_value(s, "extra")))
        return false;
    w->claim.owner = step_owner(s);
    w->claim.needs = w->needs;
    w->claim.priority = step_int(s, "priority", 0);
    w->claim.newest_first = step_truth(s, "inversePrecedence", false);
    if (w->claim.need_count == 0)
        return step_fail(s, "lock needs a resource");
    return lock_claim_is_possible(&w->claim) ||
           step_fail(s, "lock: [" STR_FMT "] wants more resources than there are",
                     STR_ARG(strbuf_str(&w->shown)));
}

/* ---- lock ---- */

/* As it was when the step was first come to; if it is not, it is ours. */
static bool
is_locked(const struct wish *w)
{
    struct run *run = w->s->run;
    const char *key = arena_format(&run->arena, "locked-%s", w->s->id);
    struct value v;

    if (journal_known(run, key, &v))
        return value_truth(v);
    v = value_bool(!lock_table_try(run->locks, &w->claim));
    journal_note(run, key, v);
    return value_truth(v);
}

/* One that only waits leaves its place to others: it may be them for whom it waits. */
static bool
wait_for(struct wish *w, struct strbuf *names)
{
    struct run *run = w->s->run;
    bool has = lock_table_take(run->locks, &w->claim, names), ok = true;

    if (has)
        return true;
    run_rest(run, run_rest_kind(run));
    while (ok && !has) {
        ok = run_wait(run, w->s->at, NULL, 0, INT64_MAX);
        has = ok && lock_table_take(run->locks, &w->claim, names);
    }
    run_rested(run);
    return ok;
}

/* X is all names, X0 the first of them. */
static void
set_variable(struct step_call *s, struct str names)
{
    struct str variable = step_text(s, "variable", ""), rest = names, one;
    struct env_layer *layer = run_env_push(s->run);

    if (variable.len == 0)
        return;
    run_env_set(s->run, layer, variable, arena_dup(&s->run->arena, names));
    for (unsigned i = 0; str_split(&rest, ',', &one); i++)
        run_env_set(s->run, layer,
                    str_of(arena_format(&s->run->arena, STR_FMT "%u", STR_ARG(variable), i)),
                    arena_dup(&s->run->arena, one));
}

/* Runs the body with what is wanted; `shown` NULL: says nothing. */
static bool
hold(struct wish *w, const char *shown)
{
    cleanup(strbuf_done) struct strbuf names = {0};
    struct step_call *s = w->s;
    struct run *run = s->run;
    const bool is_over = journal_is_over(run, s->id);
    struct env_layer *before = run->env;
    bool ok = is_over || wait_for(w, &names);

    if (ok) {
        if (shown != NULL)
            run_logf(run, "Lock acquired on [%s]", shown);
        set_variable(s, strbuf_str(&names));
        run->locks_held++;
        ok = s->body.run(run, s->body.arg, s->out);
        run->locks_held--;
        run->env = before;
        if (!run_is_suspended(run))
            journal_over(run, s->id);
        if (shown != NULL)
            run_logf(run, "Lock released on resource [%s]", shown);
    }
    if (!run_is_suspended(run))
        lock_table_give(run->locks, w->claim.owner);
    return ok;
}

static bool
lock_with(struct wish *w)
{
    const char *shown;

    if (!read_wish(w))
        return false;
    shown = arena_cstr(&w->s->run->arena, strbuf_str(&w->shown));
    if (step_truth(w->s, "skipIfLocked", false) && is_locked(w)) {
        run_logf(w->s->run, "[%s] is locked, skipping execution...", shown);
        return true;
    }
    run_logf(w->s->run, "Trying to acquire lock on [%s]", shown);
    return hold(w, shown);
}

static bool
step_lock(struct step_call *s)
{
    struct wish *w = arena_alloc(&s->run->arena, sizeof(*w));
    struct json *resources;
    bool ok;

    w->s = s;
    ok = read_settings(s, "resources.json", &resources);
    w->resources = resources;
    ok = ok && lock_with(w);
    strbuf_done(&w->shown);
    json_unref(resources);
    return ok;
}

/* ---- throttle ---- */

/* As many names as builds may be in the category at a time. */
static bool
add_category(struct wish *w, const struct json *limits, struct str category)
{
    struct arena *a = &w->s->run->arena;
    const char *name = arena_cstr(a, category);
    int64_t limit = json_get_i64(limits, name, -1);
    const char **names;

    if (limit < 0) {
        run_logf(w->s->run, "WARNING: throttle.json has no category '%s': one build at a time", name);
        limit = 1;
    }
    if (limit == 0)
        return true;
    for (size_t i = 0; i < w->claim.need_count; i++)
        if (strcmp(w->needs[i].names[0], arena_format(a, "throttle %s 1", name)) == 0)
            return true; /* said twice */
    if (limit > (int64_t)LOCK_NAMES_MAX)
        limit = LOCK_NAMES_MAX;
    names = arena_alloc(a, (size_t)limit * sizeof(*names));
    for (int64_t i = 0; i < limit; i++)
        names[i] = arena_format(a, "throttle %s %lld", name, (long long)i + 1);
    return add_need(w, names, (size_t)limit, 1);
}

static bool
step_throttle(struct step_call *s)
{
    struct wish *w = arena_alloc(&s->run->arena, sizeof(*w));
    const struct value *list = step_value(s, "categories");
    cleanup_json struct json *limits = NULL;

    w->s = s;
    w->claim = (struct lock_claim){.owner = step_owner(s), .needs = w->needs};
    if (!read_settings(s, "throttle.json", &limits))
        return false;
    if (list == NULL || list->type != V_LIST)
        return step_fail(s, "throttle needs a list of categories");
    for (size_t i = 0; i < list->list->count; i++)
        if (!add_category(w, limits, value_to_text(&s->run->arena, list->list->at[i])))
            return false;
    return hold(w, NULL);
}

/* ---- milestone ---- */

static bool
overtaken(struct step_call *s, int64_t by)
{
    return run_interrupt(s->run, s->at, INTERRUPTED_BY_MILESTONE, RESULT_NOT_BUILT,
                         arena_format(&s->run->arena, "Canceled since build #%lld already got here", (long long)by));
}

static bool
step_milestone(struct step_call *s)
{
    struct run *run = s->run;
    const struct runner_host *host = run->config->host;
    const struct value *given = step_value(s, "ordinal");
    const bool has_ordinal = given != NULL && value_is_integer(*given);
    int64_t ordinal = has_ordinal ? given->number : MILESTONE_NEXT, last = run->milestone, by = 0;

    if (run->branch.len > 0 && !step_truth(s, "unsafe", false))
        return step_fail(s, "Using a milestone step inside parallel is not allowed");
    if (has_ordinal && ordinal < 0)
        return step_fail(s, "a milestone's ordinal is not below zero");
    if (ordinal > INT32_MAX)
        return step_fail(s, "a milestone's ordinal is at most %d", INT32_MAX);
    if (host != NULL && host->milestone != NULL) {
        if (!host->milestone(run->config->ctx, &ordinal, &last, &by))
            return by != 0 ? overtaken(s, by)
                           : step_fail(s, "Invalid ordinal %lld, as the previous one was %lld",
                                       (long long)ordinal, (long long)last);
    } else if (has_ordinal && ordinal <= last) {
        return step_fail(s, "Invalid ordinal %lld, as the previous one was %lld",
                         (long long)ordinal, (long long)last);
    } else if (!has_ordinal) {
        ordinal = last + 1;
    }
    run->milestone = ordinal;
    run_logf(run, "Trying to pass milestone %lld", (long long)ordinal);
    return true;
}

step_function *
step_lock_find(struct str name)
{
    static const struct step_row table[] = {
        {"lock", step_lock}, {"throttle", step_throttle}, {"milestone", step_milestone}};

    return step_row_find(table, ARRAY_COUNT(table), name);
}
