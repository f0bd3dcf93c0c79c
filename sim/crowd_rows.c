/* SPDX-License-Identifier: MIT */
/* crowd_rows.c - the store, and naru's deaths.  When naru dies, and when it is back, all rows are compared with the
 * core: a change that forgot its PERSIST is found there. */
#include "crowd.h"
#include <stdio.h>
#include <string.h>

static struct crowd_row *
row_of(struct crowd *w, enum row_kind kind, const char *key)
{
    char name[ARN_SIZE + 8];
    struct crowd_row *row;

    snprintf(name, sizeof(name), "%d %s", (int)kind, key);
    row = strmap_get(&w->rows, name);
    if (row != NULL)
        return row;
    if (w->row_count == w->row_capacity) {
        w->row_capacity = w->row_capacity == 0 ? 1024 : w->row_capacity * 2;
        w->row_list = mem_grow(w->row_list, (size_t)w->row_capacity, sizeof(struct crowd_row *));
    }
    row = mem_new(sizeof(*row));
    row->kind = kind;
    text_copy(row->key, sizeof(row->key), str_of(key));
    w->row_list[w->row_count++] = row;
    strmap_put(&w->rows, name, row);
    return row;
}

void
crowd_rows_commit(struct crowd *w)
{
    for (int i = 0; i < w->effects.count; i++) {
        const struct effect *e = &w->effects.at[i];
        struct crowd_row *row;
        if (e->type != EFFECT_PERSIST)
            continue;
        row = row_of(w, e->persist.kind, e->persist.key);
        json_unref(row->doc);
        row->doc = core_row(w->core, row->kind, row->key);
    }
}

void
crowd_rows_free(struct crowd *w)
{
    for (int i = 0; i < w->row_count; i++) {
        json_unref(w->row_list[i]->doc);
        free(w->row_list[i]);
    }
    free(w->row_list);
    strmap_done(&w->rows);
}

/* Promise 7. */
static void
compare(void *arg, enum row_kind kind, const char *key)
{
    struct crowd *w = arg;
    const struct crowd_row *row = row_of(w, kind, key);
    cleanup_json struct json *doc = core_row(w->core, kind, key);

    w->kept_count++;
    if (row->doc == NULL || !json_equal(row->doc, doc))
        crowd_fail(w, -1, "promise 7: a change of %s %s was not persisted", row_kind_name(kind), key);
}

static int
count_rows(const struct crowd *w)
{
    int n = 0;

    for (int i = 0; i < w->row_count; i++)
        n += w->row_list[i]->doc != NULL;
    return n;
}

static void
compare_rows(struct crowd *w)
{
    w->kept_count = 0;
    core_each_row(w->core, compare, w);
    if (w->kept_count != count_rows(w))
        crowd_fail(w, -1, "promise 7: %d rows are stored, %d should be", count_rows(w), w->kept_count);
}

void
crowd_naru_dies(struct crowd *w, bool is_committed)
{
    crowd_tell(w, -1, "naru dies");
    w->sum.deaths++;
    if (is_committed)
        compare_rows(w);
    core_free(w->core);
    w->core = NULL;
    if (w->store_is_away)
        crowd_book_return(w);
    crowd_nobody_watched(w, /* host= */ -1);
    crowd_book_forget(w);
    w->store_is_away = false;
    w->epoch++;
    happen(w, w->now_ms + between(w, 50, chance(w, 2000) ? 120000 : 3000), NARU_BACK, 0);
}

static void
load_rows(struct crowd *w)
{
    struct err err;

    for (int i = 0; i < w->row_count; i++) {
        const struct crowd_row *row = w->row_list[i];
        if (row->doc != NULL && !core_load(w->core, row->kind, row->doc, &err))
            crowd_fail(w, -1, "promise 7: row %s: %s", row->key, err.message);
    }
    if (!core_link(w->core, &err))
        crowd_fail(w, -1, "promise 7: linking: %s", err.message);
}

/* The host's clock may have been set meanwhile; the engine never goes back behind what it
 * wrote. */
static void
set_clock(struct crowd *w)
{
    if (chance(w, w->faults.clock_set)) {
        w->skew_ms += between(w, -7200, 7200) * 1000;
        w->sum.clocks_set++;
    }
    if (crowd_naru_now(w) < w->core->now_ms)
        w->skew_ms = w->core->now_ms - w->now_ms;
}

void
crowd_naru_returns(struct crowd *w)
{
    w->core = core_new(&w->options);
    load_rows(w);
    if (w->has_failed)
        return;
    compare_rows(w);
    set_clock(w);
    crowd_tell(w, -1, "naru returns, its clock %lld ms off", (long long)w->skew_ms);
    effects_clear(&w->effects);
    core_resume(w->core, crowd_naru_now(w), &w->effects);
    still_begin(&w->still, crowd_naru_now(w), w->now_ms, w->stalled_until_ms);
    crowd_judge(w, 0);
    crowd_rows_commit(w);
    crowd_perform(w);
    crowd_judge_all_services(w);
    crowd_reckon(w);
    for (int i = 0; i < w->service_count; i++) {
        if (w->services[i].kind == CROWD_SHIFTS)
            crowd_weights_ordered(w, i);
    }
    for (int i = 0; i < w->host_count; i++)
        crowd_report_host(w, i);
}
