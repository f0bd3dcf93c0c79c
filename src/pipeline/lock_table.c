/* SPDX-License-Identifier: MIT */
#include "pipeline/lock_table.h"

#include <pthread.h>
#include "base/cleanup.h"
#include "base/json.h"
#include "base/log.h"
#include "io/file.h"

#define LOCKS_MAX 10000u /* held and waited for; beyond it nobody gets in line */
#define FILE_MAX_BYTES ((size_t)8 << 20)

/* In the order in which they came; the first of a resource holds it. */
struct claim {
    char *resource, *owner;
    struct claim *next;
};
struct lock_table {
    pthread_mutex_t mutex;
    char *path;
    struct claim *first;
    unsigned count;
};

static const struct claim *
holder(const struct lock_table *t, const char *resource)
{
    for (const struct claim *c = t->first; c != NULL; c = c->next)
        if (strcmp(c->resource, resource) == 0)
            return c;
    return NULL;
}

static struct claim *
append(struct lock_table *t, const char *resource, const char *owner)
{
    struct claim **at = &t->first, *c = mem_new(sizeof(*c));

    while (*at != NULL)
        at = &(*at)->next;
    c->resource = text_dup(resource);
    c->owner = text_dup(owner);
    *at = c;
    t->count++;
    return c;
}

static void
save(const struct lock_table *t)
{
    cleanup_json struct json *list = json_array();
    cleanup_free char *text = NULL;
    struct err err;

    if (t->path == NULL)
        return;
    for (const struct claim *c = t->first; c != NULL; c = c->next) {
        struct json *one;
        if (holder(t, c->resource) != c)
            continue; /* those that wait come again by themselves */
        one = json_object();
        json_set(one, "resource", json_text(c->resource));
        json_set(one, "owner", json_text(c->owner));
        json_append(list, one);
    }
    text = json_format(list);
    if (!file_write_atomic(t->path, str_of(text), 0640, &err))
        log_error("pipeline.locks", "error=%s", log_quote(err.message));
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
    if (path != NULL && file_read(path, FILE_MAX_BYTES, &text, NULL))
        list = json_parse(strbuf_str(&text), &err);
    for (size_t i = 0; i < json_size(list) && t->count < LOCKS_MAX; i++)
        append(t, json_get_cstr(json_at(list, i), "resource", ""),
               json_get_cstr(json_at(list, i), "owner", ""));
    return t;
}

static void
claim_free(struct claim *c)
{
    free(c->resource);
    free(c->owner);
    free(c);
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

static struct claim *
find(struct lock_table *t, const char *resource, const char *owner)
{
    for (struct claim *c = t->first; c != NULL; c = c->next)
        if (strcmp(c->resource, resource) == 0 && strcmp(c->owner, owner) == 0)
            return c;
    return NULL;
}

bool
lock_table_take(struct lock_table *t, const char *resource, const char *owner)
{
    struct claim *c;
    bool is_new, ours;

    pthread_mutex_lock(&t->mutex);
    c = find(t, resource, owner);
    is_new = c == NULL && t->count < LOCKS_MAX;
    if (is_new)
        c = append(t, resource, owner);
    ours = c != NULL && holder(t, resource) == c;
    if (ours && is_new)
        save(t);
    pthread_mutex_unlock(&t->mutex);
    return ours;
}

bool
lock_table_is_free(struct lock_table *t, const char *resource, const char *owner)
{
    const struct claim *c;
    bool is_free;

    pthread_mutex_lock(&t->mutex);
    c = holder(t, resource);
    is_free = c == NULL || strcmp(c->owner, owner) == 0;
    pthread_mutex_unlock(&t->mutex);
    return is_free;
}

static void
give_where(struct lock_table *t, const char *resource, struct str owner, bool is_prefix)
{
    bool changed = false;

    pthread_mutex_lock(&t->mutex);
    for (struct claim **at = &t->first; *at != NULL;) {
        struct claim *c = *at;
        struct str o = str_of(c->owner);
        if ((resource != NULL && strcmp(c->resource, resource) != 0) ||
            !(is_prefix ? str_starts(o, owner) : str_equal(o, owner))) {
            at = &c->next;
            continue;
        }
        *at = c->next;
        claim_free(c);
        t->count--;
        changed = true;
    }
    if (changed)
        save(t);
    pthread_mutex_unlock(&t->mutex);
}

void
lock_table_give(struct lock_table *t, const char *resource, const char *owner)
{
    give_where(t, resource, str_of(owner), false);
}

void
lock_table_give_all(struct lock_table *t, const char *prefix)
{
    give_where(t, NULL, str_of(prefix), true);
}
