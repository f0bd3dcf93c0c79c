/* SPDX-License-Identifier: MIT */
#include "pipeline/lock_table.h"

#include <pthread.h>
#include "base/cleanup.h"
#include "base/json.h"
#include "base/log.h"
#include "io/file.h"

#define FILE_MAX_BYTES ((size_t)64 << 20)

/* Those that hold something come first, then those that wait in the order in which they are to be
 * served. */
struct claim {
    char *owner;
    int64_t priority;
    bool is_held;
    struct json *wanted; /* [{"names": [...], "quantity": n}] */
    struct json *names;  /* what it holds; an array */
    struct claim *next;
};
struct lock_table {
    pthread_mutex_t mutex;
    char *path;
    struct claim *first;
    unsigned count;
};

static struct json *
wanted_of(const struct lock_claim *claim)
{
    struct json *list = json_array();

    for (size_t i = 0; i < claim->need_count && i < LOCK_NEEDS_MAX; i++) {
        const struct lock_need *need = &claim->needs[i];
        struct json *one = json_object(), *names = json_array();
        for (size_t k = 0; k < need->count && k < LOCK_NAMES_MAX; k++)
            json_append(names, json_text(need->names[k]));
        json_set(one, "names", names);
        json_set(one, "quantity", json_int((int64_t)need->quantity));
        json_append(list, one);
    }
    return list;
}

/* ---- who gets what ---- */

static void
add_all(struct json *to, const struct json *names)
{
    for (size_t i = 0; i < json_size(names); i++)
        json_set(to, json_cstr(json_at(names, i), ""), json_bool(true));
}

static bool
leaves_choice(const struct json *need)
{
    return json_get_i64(need, "quantity", 1) < (int64_t)json_size(json_get(need, "names"));
}

/* `own`: what the claim has chosen for other needs, which does where there is no choice. */
static bool
choose_for(const struct json *need, struct json *taken, struct json *own, struct json *chosen)
{
    const struct json *names = json_get(need, "names");
    const bool shares = !leaves_choice(need);
    int64_t missing = json_get_i64(need, "quantity", 1);

    for (size_t i = 0; i < json_size(names) && missing > 0; i++) {
        const char *name = json_cstr(json_at(names, i), "");
        if (json_get(own, name) != NULL) {
            missing -= shares;
            continue;
        }
        if (json_get(taken, name) != NULL)
            continue;
        json_set(taken, name, json_bool(true));
        json_set(own, name, json_bool(true));
        json_append(chosen, json_text(name));
        missing--;
    }
    if (missing > 0)
        add_all(taken, names);
    return missing <= 0;
}

/* Chooses from what is not `taken` and adds it there; false if something is not free, then all that
 * the claim may come to use is taken: nobody behind it may have that. */
static bool
choose(const struct json *wanted, struct json *taken, struct json *chosen)
{
    cleanup_json struct json *own = json_object(), *parts = json_array();
    bool has_all = true;

    for (size_t i = 0; i < json_size(wanted); i++)
        json_append(parts, json_array());
    for (int chooses = 0; chooses < 2; chooses++)
        for (size_t i = 0; i < json_size(wanted); i++)
            if (leaves_choice(json_at(wanted, i)) == (chooses == 1))
                has_all = choose_for(json_at(wanted, i), taken, own, json_at(parts, i)) && has_all;
    for (size_t i = 0; i < json_size(parts); i++)
        for (size_t k = 0; k < json_size(json_at(parts, i)); k++)
            json_append(chosen, json_ref(json_at(json_at(parts, i), k)));
    return has_all;
}

bool
lock_claim_is_possible(const struct lock_claim *claim)
{
    cleanup_json struct json *wanted = wanted_of(claim), *taken = json_object();
    cleanup_json struct json *chosen = json_array();

    return choose(wanted, taken, chosen);
}

static struct json *
held_names(const struct lock_table *t)
{
    struct json *taken = json_object();

    for (const struct claim *c = t->first; c != NULL; c = c->next)
        if (c->is_held)
            add_all(taken, c->names);
    return taken;
}

/* Does the owner's build ("web#7 " of "web#7 _3") hold anything? */
static bool
holds_some(const struct lock_table *t, const char *owner)
{
    const char *space = strrchr(owner, ' ');
    const struct str build = str_range(owner, space == NULL ? owner : space + 1);

    for (const struct claim *c = t->first; build.len > 0 && c != NULL; c = c->next)
        if (c->is_held && json_size(c->names) > 0 && str_starts(str_of(c->owner), build))
            return true;
    return false;
}

/* As choose(), where `taken` has besides what is held what is kept for others. */
static bool
choose_within(const struct lock_table *t, const char *owner, const struct json *wanted,
              struct json *taken, struct json *chosen)
{
    cleanup_json struct json *held = NULL;

    if (!holds_some(t, owner))
        return choose(wanted, taken, chosen);
    held = held_names(t);
    if (choose(wanted, held, chosen)) {
        add_all(taken, chosen);
        return true;
    }
    return choose(wanted, taken, chosen); /* keeps it for this one */
}

/* Serves those that wait, in their order; true if somebody got something. */
static bool
serve_once(struct lock_table *t)
{
    cleanup_json struct json *taken = held_names(t);
    bool changed = false;

    for (struct claim *c = t->first; c != NULL; c = c->next) {
        struct json *chosen;
        if (c->is_held)
            continue;
        chosen = json_array();
        if (choose_within(t, c->owner, c->wanted, taken, chosen)) {
            c->is_held = changed = true;
            c->names = chosen;
        } else {
            json_unref(chosen);
        }
    }
    return changed;
}

/* Who got something may get more by that. */
static void
serve(struct lock_table *t)
{
    while (serve_once(t)) {
    }
}

/* ---- the list ---- */

static struct claim *
find(struct lock_table *t, const char *owner)
{
    for (struct claim *c = t->first; c != NULL; c = c->next)
        if (strcmp(c->owner, owner) == 0)
            return c;
    return NULL;
}

static struct claim *
insert(struct lock_table *t, const char *owner, struct json *wanted, int64_t priority,
       bool newest_first)
{
    struct claim **at = &t->first, *c = mem_new(sizeof(*c));

    while (*at != NULL && ((*at)->is_held || (*at)->priority > priority ||
                           ((*at)->priority == priority && !newest_first)))
        at = &(*at)->next;
    c->owner = text_dup(owner);
    c->wanted = wanted;
    c->priority = priority;
    c->next = *at;
    *at = c;
    t->count++;
    return c;
}

static void
claim_free(struct claim *c)
{
    json_unref(c->wanted);
    json_unref(c->names);
    free(c->owner);
    free(c);
}

/* ---- on disk ---- */

static void
save(const struct lock_table *t)
{
    cleanup_json struct json *list = json_array();
    cleanup_free char *text = NULL;
    struct err err;

    if (t->path == NULL)
        return;
    for (const struct claim *c = t->first; c != NULL; c = c->next) {
        struct json *one = json_object();
        json_set(one, "owner", json_text(c->owner));
        json_set(one, "priority", json_int(c->priority));
        json_set(one, "wanted", json_ref(c->wanted));
        if (c->is_held)
            json_set(one, "holds", json_ref(c->names));
        json_append(list, one);
    }
    text = json_format(list);
    if (!file_write_atomic(t->path, str_of(text), 0640, &err))
        log_error("pipeline.locks", "error=%s", log_quote(err.message));
}

/* One of an earlier version says "resource", which it holds. */
static void
load_one(struct lock_table *t, const struct json *one)
{
    const char *resource = json_get_cstr(one, "resource", NULL);
    const struct json *wanted = json_get(one, "wanted"), *holds = json_get(one, "holds");
    struct lock_need need = {.names = &resource, .count = 1, .quantity = 1};
    const struct lock_claim old = {.needs = &need, .need_count = 1};
    struct claim *c;

    if (json_get_cstr(one, "owner", NULL) == NULL || (resource == NULL && wanted == NULL))
        return;
    c = insert(t, json_get_cstr(one, "owner", ""),
               resource != NULL ? wanted_of(&old) : json_copy(wanted),
               json_get_i64(one, "priority", 0), false);
    if (resource == NULL && holds == NULL)
        return;
    c->is_held = true;
    c->names = holds != NULL ? json_copy(holds) : json_array();
    if (resource != NULL)
        json_append(c->names, json_text(resource));
}

struct lock_table *
lock_table_new(const char *path)
{
    struct lock_table *t = mem_new(sizeof(*t));
    cleanup(strbuf_done) struct strbuf text = {0};
    cleanup_json struct json *list = NULL;
    struct err err;

    pthread_mutex_init(&t->mutex, NULL);
    t->path = text_dup(path);
    if (path != NULL && file_exists(path) &&
        (!file_read(path, FILE_MAX_BYTES, &text, &err) ||
         (list = json_parse(strbuf_str(&text), &err)) == NULL))
        log_error("pipeline.locks", "path=%s error=%s", path, log_quote(err.message));
    for (size_t i = 0; i < json_size(list) && t->count < LOCKS_MAX; i++)
        load_one(t, json_at(list, i));
    serve(t); /* an earlier version kept more back */
    return t;
}

void
lock_table_free(struct lock_table *t)
{
    if (t == NULL)
        return;
    while (t->first != NULL) {
        struct claim *next = t->first->next;
        claim_free(t->first);
        t->first = next;
    }
    pthread_mutex_destroy(&t->mutex);
    free(t->path);
    free(t);
}

/* ---- the steps' side ---- */

/* Who asks again finds what the last change gave him. */
static struct claim *
enter(struct lock_table *t, const struct lock_claim *claim)
{
    struct claim *c = find(t, claim->owner);

    if (c != NULL || t->count >= LOCKS_MAX)
        return c;
    c = insert(t, claim->owner, wanted_of(claim), claim->priority, claim->newest_first);
    serve(t);
    save(t);
    return c;
}

bool
lock_table_take(struct lock_table *t, const struct lock_claim *claim, struct strbuf *names_out)
{
    const struct claim *c;
    bool ours;

    pthread_mutex_lock(&t->mutex);
    c = enter(t, claim);
    ours = c != NULL && c->is_held;
    for (size_t i = 0; ours && names_out != NULL && i < json_size(c->names); i++) {
        if (i > 0)
            strbuf_add_char(names_out, ',');
        strbuf_add_cstr(names_out, json_cstr(json_at(c->names, i), ""));
    }
    pthread_mutex_unlock(&t->mutex);
    return ours;
}

/* Behind all that wait. */
static bool
is_free(const struct lock_table *t, const struct lock_claim *claim)
{
    cleanup_json struct json *taken = held_names(t), *wanted = wanted_of(claim), *chosen = json_array();

    for (const struct claim *c = t->first; c != NULL; c = c->next)
        if (!c->is_held) {
            cleanup_json struct json *theirs = json_array();
            (void)choose_within(t, c->owner, c->wanted, taken, theirs);
        }
    return choose_within(t, claim->owner, wanted, taken, chosen);
}

bool
lock_table_try(struct lock_table *t, const struct lock_claim *claim)
{
    const struct claim *c;
    bool ours;

    pthread_mutex_lock(&t->mutex);
    c = find(t, claim->owner);
    if (c == NULL && is_free(t, claim))
        c = enter(t, claim);
    ours = c != NULL && c->is_held;
    pthread_mutex_unlock(&t->mutex);
    return ours;
}

void
lock_table_sweep(struct lock_table *t, bool (*is_over)(void *arg, const char *owner), void *arg)
{
    bool changed = false;

    pthread_mutex_lock(&t->mutex);
    for (struct claim **at = &t->first; *at != NULL;) {
        struct claim *c = *at;
        if (!is_over(arg, c->owner)) {
            at = &c->next;
            continue;
        }
        *at = c->next;
        claim_free(c);
        t->count--;
        changed = true;
    }
    if (changed) {
        serve(t);
        save(t);
    }
    pthread_mutex_unlock(&t->mutex);
}

static bool
is_owner(void *arg, const char *owner)
{
    return strcmp(owner, *(const char **)arg) == 0;
}

void
lock_table_give(struct lock_table *t, const char *owner)
{
    lock_table_sweep(t, is_owner, &owner);
}

static bool
has_prefix(void *arg, const char *owner)
{
    return str_starts(str_of(owner), str_of(*(const char **)arg));
}

void
lock_table_give_all(struct lock_table *t, const char *prefix)
{
    lock_table_sweep(t, has_prefix, &prefix);
}
