/* SPDX-License-Identifier: MIT */
#include "core/gpus.h"
#include <assert.h>

static const struct json *
names_of(const struct host *h)
{
    return json_get(h->doc, "gpus");
}

static int
count_of(const struct host *h)
{
    const size_t count = json_size(names_of(h));

    return count < GPUS_MAX ? (int)count : GPUS_MAX;
}

static int
container_wants(const struct container_definition *c, const struct json *overrides)
{
    const int n = task_definition_gpus(task_container_override(overrides, c->name));

    return n > 0 ? n : c->gpu_count;
}

int
gpus_wanted(const struct task_definition *td, const struct json *overrides)
{
    int sum = 0;

    if (overrides == NULL)
        return td->gpu_count;
    for (int i = 0; i < td->container_count; i++)
        sum += container_wants(&td->containers[i], overrides);
    return sum;
}

int
gpus_free(const struct host *h)
{
    return count_of(h) - __builtin_popcountll(h->gpus_taken);
}

void
gpus_choose(struct task *t, const struct host *h)
{
    int at = 0;

    assert(t->gpus == NULL);
    if (gpus_wanted(t->definition, t->overrides) == 0)
        return;
    t->gpus = json_object();
    for (int i = 0; i < t->definition->container_count; i++) {
        const struct container_definition *c = &t->definition->containers[i];
        struct json *list = json_array();
        for (int n = container_wants(c, t->overrides); n > 0; at++) {
            assert(at < count_of(h));
            if ((h->gpus_taken >> at & 1) != 0)
                continue;
            json_append(list, json_ref(json_at(names_of(h), (size_t)at)));
            n--;
        }
        if (json_size(list) > 0)
            json_set(t->gpus, c->name, list);
        else
            json_unref(list);
    }
}

static uint64_t
bit_of(const struct host *h, const char *gpu)
{
    for (int i = 0; i < count_of(h); i++) {
        if (strcmp(json_cstr(json_at(names_of(h), (size_t)i), ""), gpu) == 0)
            return (uint64_t)1 << i;
    }
    return 0;
}

uint64_t
gpus_of(const struct host *h, const struct task *t)
{
    uint64_t bits = 0;

    for (void *it = json_first(t->gpus); it != NULL; it = json_next(t->gpus, it)) {
        const struct json *list = json_value(it);
        for (size_t i = 0; i < json_size(list); i++)
            bits |= bit_of(h, json_cstr(json_at(list, i), ""));
    }
    return bits;
}

void
gpus_mark(struct host *h, const struct task *t, bool taken)
{
    const uint64_t bits = gpus_of(h, t);

    assert(!taken || (h->gpus_taken & bits) == 0);
    h->gpus_taken = taken ? h->gpus_taken | bits : h->gpus_taken & ~bits;
}

void
gpus_mark_all(struct host *h, const struct container_instance *i)
{
    for (const struct task *t = i->tasks; t != NULL; t = t->next_here)
        gpus_mark(h, t, /* taken= */ true);
}
