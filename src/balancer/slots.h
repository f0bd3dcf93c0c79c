/* SPDX-License-Identifier: MIT */
/* slots.h - which target sits in which server line of its group's backend.
 * HAProxy 2.6 must never add or delete a server (alb.md B2), so every backend has a fixed row of
 * servers, s1..sN, and a target takes a free one.  A slot whose target has gone is *leaving* until
 * nothing is in flight on it: giving its address to somebody else earlier would mix up two
 * targets' counters and cut requests.
 * A slot says what it should be (`address`, `port`, `wants_ready`) and what the running HAProxy has
 * (`has_*`), so that the least change is the difference between the two.
 * Pure. Indexes count from 0, server names from s1. */
#pragma once
#include "model/types.h"

#define SLOTS_FIRST 16  /* a service of eight can roll at 200 % without a reload */
#define SLOTS_MAX 2048  /* 1000 targets and as many leaving ones */

enum slot_use { SLOT_FREE, SLOT_TAKEN, SLOT_LEAVING };

struct slot {
    enum slot_use use;
    char address[ADDRESS_SIZE]; /* empty: never used */
    int port;
    bool wants_ready;
    char has_address[ADDRESS_SIZE];
    int has_port;
    bool has_ready;
    int idle_polls; /* of a leaving one: how often nothing was in flight, in a row */
    int used;       /* connections with a request in flight, as last counted */
};

struct slots {
    struct slot *at;
    int count;
};

void slots_done(struct slots *s);
/* At least `needed` slots: 16, 32, 64...; never fewer than there are.  True if the row grew, which
 * needs a reload before the new ones can be used. */
bool slots_reserve(struct slots *s, int needed);
int slots_find(const struct slots *s, const char *address, int port); /* not free; or -1 */
/* The slot that already has this address, else a free one, which is now taken; -1: none. */
int slots_take(struct slots *s, const char *address, int port);
void slots_leave(struct slots *s, int index); /* out of rotation; its requests may still run */
void slots_free(struct slots *s, int index);  /* nothing in flight any more */
int slots_count(const struct slots *s, enum slot_use use);
/* What HAProxy has is now what its configuration file says, as it was just written. */
void slots_loaded(struct slots *s);
