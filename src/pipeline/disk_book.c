/* SPDX-License-Identifier: MIT */
#include "pipeline/disk_book.h"

#include "base/hash.h"
#include "base/log.h"
#include "io/file.h"

#define FILE_MAX ((size_t)64 << 20)

static void
read_place(struct disk_book *b, const struct json *j)
{
    const char *pipeline = json_get_cstr(j, "pipeline", ""), *name = json_get_cstr(j, "name", "");
    struct disk_place *p = pipeline[0] == '\0' || name[0] == '\0' || strchr(name, '/') != NULL
                               ? NULL
                               : disk_book_enter(b, pipeline, name);

    if (p == NULL)
        return;
    p->bytes = json_get_i64(j, "bytes", 0);
    p->used_ms = json_get_i64(j, "usedAtMs", 0);
    p->is_stale = json_get_bool(j, "stale", false) || p->bytes < 0;
    p->is_gone = json_get_bool(j, "gone", false);
}

void
disk_book_open(struct disk_book *b, const char *path)
{
    cleanup(strbuf_done) struct strbuf text = {0};
    cleanup_json struct json *j = NULL;
    const struct json *list;
    struct err err;

    *b = (struct disk_book){0};
    if (!file_exists(path))
        return;
    if (!file_read(path, FILE_MAX, &text, &err) ||
        (j = json_parse(strbuf_str(&text), &err)) == NULL)
        log_warn("disk.book", "error=%s", log_quote(err.message));
    list = json_get(j, "places");
    for (size_t i = 0; i < json_size(list); i++)
        read_place(b, json_at(list, i));
}

void
disk_book_done(struct disk_book *b)
{
    for (size_t i = 0; i < b->count; i++) {
        free(b->places[i].pipeline);
        free(b->places[i].name);
    }
    free(b->places);
    free(b->heads);
    *b = (struct disk_book){0};
}

char *
disk_book_text(const struct disk_book *b)
{
    cleanup_json struct json *j = json_object();
    struct json *list = json_array();

    for (size_t i = 0; i < b->count; i++) {
        const struct disk_place *p = &b->places[i];
        struct json *one = json_object();
        json_set(one, "pipeline", json_text(p->pipeline));
        json_set(one, "name", json_text(p->name));
        json_set(one, "bytes", json_int(p->bytes));
        json_set(one, "usedAtMs", json_int(p->used_ms));
        if (p->is_stale)
            json_set(one, "stale", json_bool(true));
        if (p->is_gone)
            json_set(one, "gone", json_bool(true));
        json_append(list, one);
    }
    json_set(j, "places", list);
    return json_format(j);
}

/* ---- by name ---- */

static uint32_t
hash_of(const struct disk_book *b, const char *pipeline, const char *name)
{
    return (uint32_t)hash_text(str_of(name), hash_text(str_of(pipeline), (uintptr_t)b));
}

static uint32_t *
head_of(const struct disk_book *b, uint32_t hash)
{
    return &b->heads[hash & (b->head_count - 1)];
}

static void
link_place(struct disk_book *b, size_t index)
{
    struct disk_place *p = &b->places[index];
    uint32_t *head = head_of(b, p->hash);

    p->next = *head;
    *head = (uint32_t)index + 1;
}

static void
unlink_place(struct disk_book *b, size_t index)
{
    uint32_t *at = head_of(b, b->places[index].hash);

    while (*at != index + 1)
        at = &b->places[*at - 1].next;
    *at = b->places[index].next;
}

static void
grow(struct disk_book *b)
{
    if (b->count < b->head_count)
        return;
    free(b->heads);
    b->head_count = b->head_count == 0 ? 64 : b->head_count * 2;
    b->places = mem_grow(b->places, b->head_count, sizeof(*b->places));
    b->heads = mem_new(b->head_count * sizeof(*b->heads));
    for (size_t i = 0; i < b->count; i++)
        link_place(b, i);
}

struct disk_place *
disk_book_find(const struct disk_book *b, const char *pipeline, const char *name)
{
    const uint32_t hash = hash_of(b, pipeline, name);

    for (uint32_t at = b->head_count == 0 ? 0 : *head_of(b, hash); at != 0; at = b->places[at - 1].next) {
        struct disk_place *p = &b->places[at - 1];
        if (p->hash == hash && strcmp(p->name, name) == 0 && strcmp(p->pipeline, pipeline) == 0)
            return p;
    }
    return NULL;
}

struct disk_place *
disk_book_enter(struct disk_book *b, const char *pipeline, const char *name)
{
    struct disk_place *p = disk_book_find(b, pipeline, name);

    if (p != NULL || b->count == DISK_PLACES_MAX)
        return p;
    grow(b);
    p = &b->places[b->count++];
    *p = (struct disk_place){.pipeline = text_dup(pipeline),
                             .name = text_dup(name),
                             .is_stale = true,
                             .hash = hash_of(b, pipeline, name)};
    link_place(b, b->count - 1);
    return p;
}

void
disk_book_drop(struct disk_book *b, struct disk_place *place)
{
    const size_t index = (size_t)(place - b->places), last = b->count - 1;

    unlink_place(b, index);
    free(place->pipeline);
    free(place->name);
    if (index != last) {
        unlink_place(b, last);
        *place = b->places[last];
        link_place(b, index);
    }
    b->count--;
}

int64_t
disk_book_bytes(const struct disk_book *b)
{
    int64_t bytes = 0;

    for (size_t i = 0; i < b->count; i++)
        bytes += b->places[i].bytes;
    return bytes;
}

struct disk_place *
disk_book_victim(const struct disk_book *b, bool (*may_go)(void *arg, const struct disk_place *place),
                 void *arg)
{
    struct disk_place *best = NULL;

    for (size_t i = 0; i < b->count; i++) {
        struct disk_place *p = &b->places[i];
        if (best != NULL &&
            (p->is_gone != best->is_gone ? best->is_gone : p->used_ms >= best->used_ms))
            continue;
        if (may_go(arg, p))
            best = p;
    }
    return best;
}
