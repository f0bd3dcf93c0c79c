/* SPDX-License-Identifier: MIT */
#include "pipeline/executors.h"

#include <ctype.h>
#include <stdio.h>
#include "pipeline/language/label.h"

#define LABEL_BYTES_MAX 100u
#define ASKS_BEFORE_OLD 20u /* until then a build that is taken up has asked for what it still holds */

/* ---- the plan ---- */

static void
group_done(struct executor_group *g)
{
    for (size_t i = 0; i < g->label_count; i++)
        free(g->labels[i]);
    free(g->labels);
    free(g->name);
}

void
executor_plan_done(struct executor_plan *p)
{
    for (size_t i = 0; i < p->group_count; i++)
        group_done(&p->groups[i]);
    free(p->groups);
    *p = (struct executor_plan){0};
}

static struct executor_group *
add_group(struct executor_plan *p)
{
    struct executor_group *g;

    p->groups = mem_grow(p->groups, p->group_count + 1, sizeof(*p->groups));
    g = &p->groups[p->group_count++];
    *g = (struct executor_group){0};
    return g;
}

static void
plan_without_limits(struct executor_plan *p)
{
    executor_plan_done(p);
    p->has_all_labels = true;
    add_group(p)->name = text_dup(EXECUTOR_NODE);
}

static bool
is_word(struct str s)
{
    for (size_t i = 0; i < s.len; i++)
        if (isspace((unsigned char)s.at[i]) || iscntrl((unsigned char)s.at[i]))
            return false;
    return s.len > 0 && s.len <= LABEL_BYTES_MAX;
}

static bool
add_labels(struct executor_group *g, const struct json *list, struct err *err)
{
    if (list == NULL)
        return true;
    if (json_type(list) != JSON_ARRAY || json_size(list) + g->label_count > EXECUTOR_LABELS_MAX)
        return err_set(err, ERR_VALIDATION, "builds.json: 'labels' is a list of at most %u labels",
                       EXECUTOR_LABELS_MAX);
    for (size_t i = 0; i < json_size(list); i++) {
        const char *label = json_cstr(json_at(list, i), "");
        if (!is_word(str_of(label)))
            return err_set(err, ERR_VALIDATION,
                           "builds.json: a label is a text of at most %u bytes without blanks",
                           LABEL_BYTES_MAX);
        g->labels = mem_grow(g->labels, g->label_count + 1, sizeof(*g->labels));
        g->labels[g->label_count++] = text_dup(label);
    }
    return true;
}

static bool
set_count(struct executor_plan *p, struct executor_group *g, const struct json *count, struct err *err)
{
    const int64_t n = json_i64(count, 0);

    if (n < 1 || n > EXECUTORS_MAX - p->total)
        return err_set(err, ERR_VALIDATION,
                       "builds.json: the number of executors is from 1 to %d in all", EXECUTORS_MAX);
    g->count = (int)n;
    p->total += (int)n;
    return true;
}

static bool
read_group(struct executor_plan *p, const struct json *j, const struct json *labels, struct err *err)
{
    static const char *const known[] = {"name", "labels", "count", "exclusive"};
    const struct json *exclusive = json_get(j, "exclusive"), *count = json_get(j, "count");
    const char *stranger = json_stranger(j, known, ARRAY_COUNT(known));
    const char *name = json_get(j, "name") == NULL ? EXECUTOR_NODE : json_get_cstr(j, "name", "");
    struct executor_group *g;
    struct json *one = NULL;
    bool ok;

    if (json_type(j) != JSON_OBJECT || stranger != NULL || !is_word(str_of(name)) ||
        (exclusive != NULL && json_type(exclusive) != JSON_BOOL))
        return err_set(err, ERR_VALIDATION,
                       "builds.json: a group of executors is {\"name\", \"labels\": [...], \"count\", "
                       "\"exclusive\"}");
    g = add_group(p);
    g->name = text_dup(name);
    g->is_exclusive = json_truth(exclusive, false);
    if (count == NULL)
        count = one = json_int(1);
    ok = set_count(p, g, count, err) && add_labels(g, json_get(j, "labels"), err) &&
         add_labels(g, labels, err);
    json_unref(one);
    return ok;
}

static bool
read_plan(struct executor_plan *p, const struct json *executors, const struct json *labels,
          struct err *err)
{
    struct executor_group *g;

    p->has_all_labels = labels == NULL;
    if (json_type(executors) == JSON_ARRAY) {
        if (json_size(executors) < 1 || json_size(executors) > EXECUTOR_GROUPS_MAX)
            return err_set(err, ERR_VALIDATION, "builds.json: 'executors' has from 1 to %u groups",
                           EXECUTOR_GROUPS_MAX);
        for (size_t i = 0; i < json_size(executors); i++) {
            p->has_all_labels &= json_get(json_at(executors, i), "labels") == NULL;
            if (!read_group(p, json_at(executors, i), labels, err))
                return false;
        }
        return true;
    }
    g = add_group(p);
    g->name = text_dup(EXECUTOR_NODE);
    if (executors != NULL && json_type(executors) != JSON_INT)
        return err_set(err, ERR_VALIDATION, "builds.json: 'executors' is a number, or a list of groups");
    return (executors == NULL || set_count(p, g, executors, err)) && add_labels(g, labels, err);
}

bool
executor_plan_read(struct executor_plan *p, const struct json *builds, struct err *err)
{
    *p = (struct executor_plan){0};
    if (read_plan(p, json_get(builds, "executors"), json_get(builds, "labels"), err))
        return true;
    plan_without_limits(p);
    return false;
}

/* ---- labels ---- */

static bool
group_has(void *arg, struct str name)
{
    const struct executor_group *g = arg;

    for (size_t i = 0; i < g->label_count; i++)
        if (str_is(name, g->labels[i]))
            return true;
    return str_is(name, g->name) || str_is(name, EXECUTOR_NODE);
}

static bool
has_common_group(const struct executor_plan *p)
{
    for (size_t i = 0; i < p->group_count; i++)
        if (!p->groups[i].is_exclusive)
            return true;
    return false;
}

/* `label` NULL: it asks for none. */
static bool
suits(const struct executor_plan *p, const struct executor_group *g, const struct label *label)
{
    if (label == NULL)
        return !g->is_exclusive || !has_common_group(p);
    return p->has_all_labels || label_holds(label, group_has, (void *)(uintptr_t)g);
}

static bool
is_had(const struct executor_plan *p, const struct label *label)
{
    for (size_t i = 0; i < p->group_count; i++)
        if (suits(p, &p->groups[i], label))
            return true;
    return false;
}

bool
executor_plan_has(const struct executor_plan *p, struct str label)
{
    struct arena a = {0};
    const bool has = is_had(p, label.len == 0 ? NULL : label_parse_any(label, &a));

    arena_done(&a);
    return has;
}

/* ---- the table ---- */

struct claim {
    char *pipeline, *key;
    int64_t build;
    struct arena arena; /* of the label */
    const struct label *label;
    int number;     /* -1: a wish */
    bool is_shared; /* with the agent around it */
    bool is_old;    /* of a table before this one, and not asked for since */
    unsigned asks;  /* that were in vain */
};

struct executor_table {
    struct executor_plan plan;
    struct claim **claims; /* in the order in which they came */
    size_t count;
    uint64_t changes;
};

struct executor_table *
executor_table_new(void)
{
    struct executor_table *t = mem_new(sizeof(*t));

    plan_without_limits(&t->plan);
    t->changes = 1;
    return t;
}

static void
claim_free(struct claim *c)
{
    free(c->pipeline);
    free(c->key);
    arena_done(&c->arena);
    free(c);
}

void
executor_table_free(struct executor_table *t)
{
    if (t == NULL)
        return;
    for (size_t i = 0; i < t->count; i++)
        claim_free(t->claims[i]);
    free(t->claims);
    executor_plan_done(&t->plan);
    free(t);
}

void
executor_table_use(struct executor_table *t, struct executor_plan *plan)
{
    executor_plan_done(&t->plan);
    t->plan = *plan;
    *plan = (struct executor_plan){0};
    t->changes++;
}

const struct executor_plan *
executor_table_plan(const struct executor_table *t)
{
    return &t->plan;
}

static struct claim *
find(const struct executor_table *t, const char *pipeline, int64_t build, const char *key)
{
    for (size_t i = 0; i < t->count; i++) {
        struct claim *c = t->claims[i];
        if (c->build == build && strcmp(c->key, key) == 0 && strcmp(c->pipeline, pipeline) == 0)
            return c;
    }
    return NULL;
}

static struct claim *
enter(struct executor_table *t, const struct executor_ask *ask)
{
    struct claim *c = find(t, ask->pipeline, ask->build, ask->key);

    if (c != NULL || t->count >= EXECUTOR_CLAIMS_MAX)
        return c;
    c = mem_new(sizeof(*c));
    c->pipeline = text_dup(ask->pipeline);
    c->key = text_dup(ask->key);
    c->build = ask->build;
    c->label = ask->label.len == 0 ? NULL : label_parse_any(ask->label, &c->arena);
    c->number = -1;
    t->claims = mem_grow(t->claims, t->count + 1, sizeof(struct claim *));
    t->claims[t->count++] = c;
    return c;
}

/* One for each number that can be chosen. */
static bool *
busy_ones(const struct executor_table *t)
{
    const size_t size = (size_t)t->plan.total + t->count + 1;
    bool *busy = mem_new(size);

    for (size_t i = 0; i < t->count; i++)
        if (t->claims[i]->number >= 0 && (size_t)t->claims[i]->number < size)
            busy[t->claims[i]->number] = true;
    return busy;
}

static unsigned
held_by(const struct executor_table *t, const char *pipeline)
{
    unsigned n = 0;

    for (size_t i = 0; i < t->count; i++)
        n += t->claims[i]->number >= 0 && !t->claims[i]->is_shared &&
             strcmp(t->claims[i]->pipeline, pipeline) == 0;
    return n;
}

/* Is there somebody who could use the group's executor and comes before `c`? */
static bool
is_promised(const struct executor_table *t, const struct executor_group *g, const struct claim *c)
{
    const unsigned own = held_by(t, c->pipeline);
    bool is_behind = false;

    for (size_t i = 0; i < t->count; i++) {
        const struct claim *o = t->claims[i];
        if (o == c)
            is_behind = true;
        else if (o->number < 0 && suits(&t->plan, g, o->label)) {
            const unsigned others = held_by(t, o->pipeline);
            if (others < own || (others == own && !is_behind))
                return true;
        }
    }
    return false;
}

static const struct executor_group *
group_of(const struct executor_plan *p, int number)
{
    for (size_t i = 0; i < p->group_count; i++) {
        if (p->groups[i].count == 0 || number < p->groups[i].count)
            return &p->groups[i];
        number -= p->groups[i].count;
    }
    return &p->groups[0]; /* of a plan that is no more */
}

/* The number of a free executor for it, or -1. */
static int
choose(const struct executor_table *t, const struct claim *c)
{
    cleanup_free bool *busy = busy_ones(t);
    int first = 0;

    for (size_t i = 0; i < t->plan.group_count; i++) {
        const struct executor_group *g = &t->plan.groups[i];
        const int count = g->count > 0 ? g->count : (int)t->count + 1;
        if (suits(&t->plan, g, c->label))
            for (int n = first; n < first + count; n++)
                if (!busy[n] && (g->count == 0 || !is_promised(t, g, c)))
                    return n;
        first += count;
    }
    return -1;
}

static void
say_why(const struct executor_table *t, const struct executor_ask *ask, const struct claim *c,
        struct executor_grant *out)
{
    if (c == NULL)
        snprintf(out->why, sizeof(out->why), "there are %u agents and wishes for one already",
                 EXECUTOR_CLAIMS_MAX);
    else if (!is_had(&t->plan, c->label))
        snprintf(out->why, sizeof(out->why), "There are no nodes with the label ‘" STR_FMT "’",
                 STR_ARG(str_slice(ask->label, 0, 400)));
    else if (ask->label.len > 0)
        snprintf(out->why, sizeof(out->why), "Waiting for next available executor on ‘" STR_FMT "’",
                 STR_ARG(str_slice(ask->label, 0, 400)));
    else
        snprintf(out->why, sizeof(out->why), "Waiting for next available executor");
}

/* The number of what its build held when naru ended and asks for no more, or -1: that it was given back was
 * not written any more, and the build would wait for itself. */
static int
inherit(struct executor_table *t, const struct claim *c)
{
    for (size_t i = 0; i < t->count; i++) {
        const struct claim *o = t->claims[i];
        const int number = o->number;
        cleanup_free char *key = NULL;
        if (!o->is_old || o->is_shared || o->build != c->build ||
            strcmp(o->pipeline, c->pipeline) != 0 ||
            !suits(&t->plan, group_of(&t->plan, number), c->label))
            continue;
        key = text_dup(o->key);
        executor_table_give(t, c->pipeline, c->build, key);
        return number;
    }
    return -1;
}

bool
executor_table_take(struct executor_table *t, const struct executor_ask *ask,
                    struct executor_grant *out)
{
    struct claim *c;

    *out = (struct executor_grant){.number = -1, .changes = t->changes};
    if (ask->seen == t->changes)
        return false;
    c = enter(t, ask);
    if (c != NULL && c->number < 0) {
        /* What it had before it has again: it works there, whoever else came meanwhile. */
        c->number = ask->known >= 0 ? ask->known : choose(t, c);
        if (c->number < 0 && c->asks++ >= ASKS_BEFORE_OLD)
            c->number = inherit(t, c);
        if (c->number < 0 && ask->held >= 0 &&
            suits(&t->plan, group_of(&t->plan, ask->held), c->label)) {
            c->number = ask->held;
            c->is_shared = true;
        }
    }
    if (c == NULL || c->number < 0) {
        say_why(t, ask, c, out);
        return false;
    }
    c->is_old = false;
    t->changes++; /* who holds fewer than others may be somebody else now */
    out->number = c->number;
    out->group = group_of(&t->plan, c->number);
    return true;
}

void
executor_table_give(struct executor_table *t, const char *pipeline, int64_t build, const char *key)
{
    size_t kept = 0;

    for (size_t i = 0; i < t->count; i++) {
        struct claim *c = t->claims[i];
        if (c->build == build && (key == NULL || strcmp(c->key, key) == 0) &&
            strcmp(c->pipeline, pipeline) == 0)
            claim_free(c);
        else
            t->claims[kept++] = c;
    }
    t->changes += t->count != kept;
    t->count = kept;
}

bool
executor_table_waits(const struct executor_table *t, const char *pipeline, int64_t build)
{
    for (size_t i = 0; i < t->count; i++) {
        const struct claim *c = t->claims[i];
        if (c->number < 0 && c->build == build && strcmp(c->pipeline, pipeline) == 0)
            return true;
    }
    return false;
}

static struct json *
group_json(const struct executor_table *t, const struct executor_group *g)
{
    struct json *j = json_object(), *labels = json_array();
    int64_t busy = 0;

    for (size_t i = 0; i < g->label_count; i++)
        json_append(labels, json_text(g->labels[i]));
    for (size_t i = 0; i < t->count; i++)
        busy += t->claims[i]->number >= 0 && !t->claims[i]->is_shared &&
                group_of(&t->plan, t->claims[i]->number) == g;
    json_set(j, "name", json_text(g->name));
    if (t->plan.has_all_labels)
        json_unref(labels);
    else
        json_set(j, "labels", labels);
    if (g->count > 0)
        json_set(j, "count", json_int(g->count));
    json_set(j, "busy", json_int(busy));
    if (g->is_exclusive)
        json_set(j, "exclusive", json_bool(true));
    return j;
}

struct json *
executor_table_json(const struct executor_table *t)
{
    struct json *list = json_array();

    for (size_t i = 0; i < t->plan.group_count; i++)
        json_append(list, group_json(t, &t->plan.groups[i]));
    return list;
}

struct json *
executor_table_held(const struct executor_table *t)
{
    struct json *list = json_array();

    for (size_t i = 0; i < t->count; i++) {
        const struct claim *c = t->claims[i];
        struct json *one = json_object();
        json_set(one, "pipeline", json_text(c->pipeline));
        json_set(one, "build", json_int(c->build));
        json_set(one, "key", json_text(c->key));
        json_set(one, "number", json_int(c->number));
        if (c->is_shared)
            json_set(one, "shared", json_bool(true));
        if (c->number >= 0)
            json_append(list, one);
        else
            json_unref(one);
    }
    return list;
}

void
executor_table_hold(struct executor_table *t, const struct json *held,
                    bool (*is_over)(void *arg, const char *pipeline, int64_t build), void *arg)
{
    for (size_t i = 0; i < json_size(held); i++) {
        const struct json *one = json_at(held, i);
        const int64_t number = json_get_i64(one, "number", -1);
        const struct executor_ask ask = {.pipeline = json_get_cstr(one, "pipeline", ""),
                                         .build = json_get_i64(one, "build", 0),
                                         .key = json_get_cstr(one, "key", "")};
        struct claim *c;
        if (number < 0 || number > EXECUTORS_MAX || is_over(arg, ask.pipeline, ask.build) ||
            (c = enter(t, &ask)) == NULL)
            continue;
        c->number = (int)number;
        c->is_shared = json_get_bool(one, "shared", false);
        c->is_old = true;
    }
}
