/* SPDX-License-Identifier: MIT */
/* pull_internal.h - what pull_through.c and pull_flight.c share. */
#pragma once
#include <pthread.h>
#include <stdatomic.h>

#include "registry/internal.h"
#include "registry/mirror/pull_failure.h"
#include "registry/mirror/pull_through.h"
#include "registry/mirror/slots.h"

struct flight {
    char *key; /* "<region>\n<repository>\n<digest>" */
    struct pull_rule rule;
    char region[REGISTRY_REGION_SIZE];
    char repository[REGISTRY_NAME_SIZE];
    char digest[REGISTRY_DIGEST_SIZE];
    struct registry *reg;
    struct upload *upload; /* its thread's own */
    int fd;                /* reads what was written; a name does not matter to it; -1 until it begins */
    int64_t size;          /* written so far */
    bool has_begun;        /* it has a thread; else it waits for its turn */
    bool is_over;
    struct err err; /* why it failed; code 0: it arrived */
    int users;      /* readers, and its thread (also the one to come) */
    pthread_cond_t changed; /* of the three before; all who wait for this one hear of it, and nobody else */
    struct flight *next;
};

struct pending {
    char region[REGISTRY_REGION_SIZE];
    char repository[REGISTRY_NAME_SIZE];
    char tag[REGISTRY_TAG_SIZE]; /* or "" */
    char digest[REGISTRY_DIGEST_SIZE];
    char type[REGISTRY_MEDIA_TYPE_SIZE];
    struct strbuf bytes;
    int64_t since_ms; /* monotonic */
    struct pending *next;
};

/* What is not here, and somebody asks for upstream: all who want it meanwhile get his answer. */
struct asking {
    char *key;
    int users;
    bool is_over;
    struct err err; /* code 0: it is pending */
    pthread_cond_t changed;
    struct asking *next;
};

#define PULL_IMPORTERS 6           /* threads; one upstream keeps one of them at most */
#define PULL_FLIGHTS_OF_ONE_MAX 24 /* of PULL_FLIGHTS_MAX, so that a slow upstream leaves some */
#define PULL_WAITING_OF_ONE_MAX 192 /* of PULL_WAITING_MAX, likewise */

_Static_assert(PULL_IMPORTERS <= SLOTS_MAX, "each keeps a slot");

struct import {
    char region[REGISTRY_REGION_SIZE];
    char repository[REGISTRY_NAME_SIZE];
    char tag[REGISTRY_TAG_SIZE];
    char digest[REGISTRY_DIGEST_SIZE];
    char url[600]; /* of the upstream */
    struct import *next;
};

struct pull_through {
    struct registry *reg;
    pthread_t importers[PULL_IMPORTERS];
    int importer_count;
    pthread_mutex_t lock;   /* guards all below but `is_stopping`; taken alone */
    pthread_cond_t work;    /* an import came; or it is stopping */
    pthread_cond_t landed;  /* the last flight is over */
    struct flight *flights;  /* the oldest first */
    int flight_count;        /* threads of flights */
    int waiting_count;       /* flights without one */
    struct pending *pending; /* the newest first */
    int pending_count;
    struct import *imports, **imports_end;
    int import_count;
    struct slots serving; /* upstreams that are being imported from */
    struct pull_failures failures;
    struct asking *askings;
    atomic_bool is_stopping;
};

bool pull_is_stopping(void *reg); /* for remote_set_cancelled() */
void flights_give_up(struct pull_through *p); /* with the lock held: those that wait, when it is stopping */
