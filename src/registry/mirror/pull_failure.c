/* SPDX-License-Identifier: MIT */
/* pull_failure.c - which upstreams and tags need not be asked again yet, and which somebody is
 * asking just now. Pure: it is told the time. */
#include "registry/mirror/pull_failure.h"

#include <stdlib.h>
#include <string.h>

struct row {
    char *key;
    int64_t until_ms; /* INT64_MAX: somebody asks */
    enum err_code code;
    struct row *next;
};

static void
row_free(struct row *r)
{
    free(r->key);
    free(r);
}

void
pull_failures_done(struct pull_failures *f)
{
    while (f->rows != NULL) {
        struct row *next = f->rows->next;
        row_free(f->rows);
        f->rows = next;
    }
    f->count = 0;
}

/* Forgets what is over, and `key` (may be NULL). */
static void
rows_prune(struct pull_failures *f, const char *key, int64_t now_ms)
{
    for (struct row **at = &f->rows; *at != NULL;) {
        struct row *r = *at;
        if (r->until_ms > now_ms && (key == NULL || strcmp(r->key, key) != 0)) {
            at = &r->next;
            continue;
        }
        *at = r->next;
        row_free(r);
        f->count--;
    }
}

static bool
rows_have(const struct pull_failures *f, const char *key)
{
    for (const struct row *r = f->rows; r != NULL; r = r->next)
        if (strcmp(r->key, key) == 0)
            return true;
    return false;
}

static void
rows_set(struct pull_failures *f, const char *key, int64_t until_ms, enum err_code code, int64_t now_ms)
{
    const int max = code == ERR_IMAGE_NOT_FOUND ? PULL_ABSENT_MAX : PULL_FAILURES_MAX;

    rows_prune(f, key, now_ms);
    if (until_ms <= now_ms || f->count >= max)
        return; /* where it is not remembered it is asked again */
    struct row *r = mem_new(sizeof *r);
    r->key = text_dup(key);
    r->until_ms = until_ms;
    r->code = code;
    r->next = f->rows;
    f->rows = r;
    f->count++;
}

bool
pull_ask_begin(struct pull_failures *f, const char *url, const char *tag, int64_t now_ms)
{
    rows_prune(f, NULL, now_ms);
    if (rows_have(f, url) || rows_have(f, tag))
        return false;
    rows_set(f, tag, INT64_MAX, ERR_NONE, now_ms);
    return true;
}

bool
pull_is_absent(const struct pull_failures *f, const char *tag, int64_t now_ms)
{
    const struct row *r = f->rows;

    while (r != NULL && strcmp(r->key, tag) != 0)
        r = r->next;
    return r != NULL && r->until_ms > now_ms && r->code == ERR_IMAGE_NOT_FOUND;
}

void
pull_ask_end(struct pull_failures *f, const char *url, const char *tag, enum err_code code,
             int64_t began_ms, int64_t now_ms)
{
    const int64_t took_ms = now_ms - began_ms;
    int64_t for_ms = took_ms < PULL_FAILURE_FREE_MS ? 0 : took_ms * PULL_FAILURE_FACTOR;

    if (for_ms > PULL_FAILURE_MAX_MS)
        for_ms = PULL_FAILURE_MAX_MS;
    if (code == ERR_THROTTLING && for_ms < PULL_THROTTLED_MS)
        for_ms = PULL_THROTTLED_MS;
    if (code == ERR_IMAGE_NOT_FOUND)
        for_ms = PULL_ABSENT_MS;
    const bool is_upstreams =
        code == ERR_UNAVAILABLE || code == ERR_TIMEOUT || code == ERR_THROTTLING;
    rows_set(f, tag, code != ERR_NONE && !is_upstreams ? now_ms + for_ms : 0, code, now_ms);
    rows_set(f, url, is_upstreams ? now_ms + for_ms : 0, code, now_ms);
}
