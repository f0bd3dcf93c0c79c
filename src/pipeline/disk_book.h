/* SPDX-License-Identifier: MIT */
/* disk_book.h - the places on disk where builds work, how large they are and when they were last used.
 * A place is a workspace with all that lies beside it under its name: "main", "main@2", "main@tmp" with
 * the stashes.  What is known of places is kept in a file, so that a start walks through nothing.
 * Not thread safe: the room's lock is held around every call. */
#pragma once
#include "base/err.h"
#include "base/json.h"
#include "base/str.h"

#define DISK_PLACES_MAX 100000u

struct disk_place {
    char *pipeline, *name; /* "web", "feature%2Fx" */
    int64_t bytes;
    int64_t used_ms; /* since the epoch */
    bool is_stale;   /* used since it was measured */
    bool is_gone;    /* what it was for is gone: it goes as soon as nobody works there */
    bool is_used;    /* somebody works there; only while the room looks */
    uint32_t hash, next; /* the book's own */
};

struct disk_book {
    struct disk_place *places; /* in no order, and moved by disk_book_enter() and disk_book_drop() */
    size_t count;
    uint32_t *heads; /* by the hash of both names (seeded: a book stays where it is): one more than the index of the
                      * first place; 0: none */
    size_t head_count; /* for as many places there is room, too */
};

/* Of the file, if there is one; a damaged one counts as none.  Its text is disk_book_text(), malloc'd: writing it takes
 * longer than anybody may wait for the lock. */
void disk_book_open(struct disk_book *b, const char *path);
void disk_book_done(struct disk_book *b);
char *disk_book_text(const struct disk_book *b);
/* NULL: not known. */
struct disk_place *disk_book_find(const struct disk_book *b, const char *pipeline, const char *name);
/* Finds or enters it; NULL if there are DISK_PLACES_MAX. */
struct disk_place *disk_book_enter(struct disk_book *b, const char *pipeline, const char *name);
void disk_book_drop(struct disk_book *b, struct disk_place *place);
int64_t disk_book_bytes(const struct disk_book *b);
/* Of those that `may_go`, the first that is gone, else the one that was not used for longest; NULL: none. */
struct disk_place *disk_book_victim(const struct disk_book *b,
                                    bool (*may_go)(void *arg, const struct disk_place *place),
                                    void *arg);
