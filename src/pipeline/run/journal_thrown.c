/* SPDX-License-Identifier: MIT */
#include "pipeline/run/journal_thrown.h"

#include "base/clock.h"
#include "pipeline/run/journal_value.h"

/* From the outermost, which is 1; JOURNAL_BY_ITSELF if it is none. */
static int64_t
timeout_number(const struct run *run, const void *cause)
{
    int64_t number = 0;

    for (const struct deadline *d = run->deadlines; d != NULL; d = d->outer)
        number = d == cause ? 1 : number > 0 ? number + 1 : 0;
    return number > 0 ? number : JOURNAL_BY_ITSELF;
}

struct json *
journal_thrown_to_json(const struct run *run, const struct exception *e)
{
    struct json *x = json_object();
    int64_t by = 0;

    json_set(x, "class", json_str(e->class_name));
    json_set(x, "message", json_str(e->message));
    json_set(x, "line", json_int(e->line));
    json_set(x, "column", json_int(e->column));
    if (e->is_interruption)
        by = e->cause == NULL         ? JOURNAL_BY_ABORT
             : e->cause == run->flows ? JOURNAL_BY_BRANCH
                                      : timeout_number(run, e->cause);
    json_set(x, "by", json_int(by));
    if (e->cause == &downstream)
        json_set(x, "downstream", json_bool(true));
    if (e->is_final)
        json_set(x, "final", json_bool(true));
    if (e->result != 0)
        json_set(x, "result", json_text(build_result_name((enum build_result)e->result)));
    return x;
}

const char rejection, downstream;

/* An earlier naru knew one that is not ABORTED, and called it "notBuilt". */
static int
result_of(const struct json *x)
{
    enum build_result r = RESULT_SUCCESS;

    if (json_get_bool(x, "notBuilt", false))
        return RESULT_NOT_BUILT;
    return build_result_parse(str_of(json_get_cstr(x, "result", "")), &r) ? (int)r : 0;
}

bool
journal_throw_again(struct run *run, const struct json *x)
{
    struct arena *a = &run->arena;
    struct exception *e = arena_alloc(a, sizeof(*e));
    int64_t level = json_get_i64(x, "by", 0);
    struct deadline *d = run->deadlines;
    unsigned depth = 0, told;
    struct str why;

    e->class_name = arena_dup(a, str_of(json_get_cstr(x, "class", "AbortException")));
    e->message = arena_dup(a, str_of(json_get_cstr(x, "message", "")));
    e->line = (unsigned)json_get_i64(x, "line", 0);
    e->column = (unsigned)json_get_i64(x, "column", 0);
    e->is_interruption = level != 0;
    e->result = result_of(x);
    e->is_final = json_get_bool(x, "final", false);
    if (level == JOURNAL_BY_ITSELF) {
        e->cause = json_get_bool(x, "downstream", false) ? &downstream : &rejection;
    } else if (level == JOURNAL_BY_ABORT) {
        run->was_aborted = true;
        run->abort_fired = e->is_final ? 2 : 1;
        run->is_overtaken = e->result == RESULT_NOT_BUILT;
        run->abort_grace_ms = clock_monotonic_ms() + RUNNER_GRACE_MS;
    } else if (level == JOURNAL_BY_BRANCH) {
        /* The branch that failed repeats as well: it may be yet to come, and is known then. */
        told = flow_interrupts(run, &why);
        run->interrupts_seen = told > run->interrupts_seen ? told : run->interrupts_seen + 1;
        e->cause = run->flows;
    } else if (level > 0) { /* the how manieth timeout from the outermost */
        for (const struct deadline *i = d; i != NULL; i = i->outer)
            depth++;
        for (; d != NULL && depth > (unsigned)level; d = d->outer)
            depth--;
        e->cause = d;
        if (d != NULL)
            run_note_fired(run, d, clock_monotonic_ms() + RUNNER_GRACE_MS);
    }
    return interp_rethrow(&run->in, e);
}
