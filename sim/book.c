/* SPDX-License-Identifier: MIT */
/* book.c - the world's book while commits fail.
 * The core goes on deciding, and the book goes on judging; but if naru dies before a commit works
 * again, none of it happened: the book returns to what it was.  What really runs did not change
 * meanwhile, since nothing was performed. */
#include "world.h"

struct book {
    struct sim_container *containers;
    struct sim_target *targets;
    struct sim_service services[SERVICES_MAX];
    struct sim_host hosts[HOSTS_MAX];
    int container_count, target_count, pinned_count, completed_count;
};

static void *
copy_of(const void *from, size_t count, size_t size)
{
    void *copy = mem_new((count + 1) * size);

    if (count > 0)
        memcpy(copy, from, count * size);
    return copy;
}

void
book_keep(struct world *w)
{
    struct book *b = mem_new(sizeof(*b));

    b->containers = copy_of(w->containers, (size_t)w->container_count, sizeof(w->containers[0]));
    b->targets = copy_of(w->targets, (size_t)w->target_count, sizeof(w->targets[0]));
    memcpy(b->services, w->services, sizeof(b->services));
    memcpy(b->hosts, w->hosts, sizeof(b->hosts));
    b->container_count = w->container_count;
    b->target_count = w->target_count;
    b->pinned_count = w->pinned_count;
    b->completed_count = w->completed.count;
    w->book = b;
}

void
book_forget(struct world *w)
{
    if (w->book == NULL)
        return;
    free(w->book->containers);
    free(w->book->targets);
    free(w->book);
    w->book = NULL;
}

void
book_return(struct world *w)
{
    const struct book *b = w->book;

    w->container_count = b->container_count; /* the others never were: nothing was performed for them */
    for (int i = 0; i < w->container_count; i++) {
        struct sim_container *c = &w->containers[i];
        c->told_stopped = b->containers[i].told_stopped;
        c->asked_stop = b->containers[i].asked_stop;
        c->by_user = b->containers[i].by_user;
        c->exited_early = b->containers[i].exited_early;
        c->protected_until_ms = b->containers[i].protected_until_ms;
        c->told_running_ms = b->containers[i].told_running_ms;
        c->asked_stop_ms = b->containers[i].asked_stop_ms;
        c->told_health = b->containers[i].told_health;
        c->was_steady = b->containers[i].was_steady;
        c->version = b->containers[i].version;
    }
    for (int i = 0; i < b->target_count; i++) {
        if (w->targets[i].registration != b->targets[i].registration)
            continue;
        w->targets[i].told = b->targets[i].told;
        w->targets[i].by_hand = b->targets[i].by_hand;
    }
    for (int i = 0; i < w->service_count; i++) {
        const struct sim_service now = w->services[i];
        w->services[i] = b->services[i];
        memcpy(w->services[i].weights, now.weights, sizeof(now.weights)); /* HAProxy's own */
        w->services[i].served_rules = now.served_rules;
    }
    for (int i = 0; i < w->host_count; i++) {
        w->hosts[i].told_connected = b->hosts[i].told_connected;
        w->hosts[i].told_draining = b->hosts[i].told_draining;
        w->hosts[i].told_red = b->hosts[i].told_red;
        w->hosts[i].told_gpus = b->hosts[i].told_gpus;
    }
    w->pinned_count = b->pinned_count;
    completed_cut(&w->completed, b->completed_count);
    book_forget(w);
}
