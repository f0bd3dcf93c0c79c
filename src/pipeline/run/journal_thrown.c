/* SPDX-License-Identifier: MIT */
#include "pipeline/run/journal_thrown.h"

#include "base/clock.h"
#include "pipeline/run/journal_value.h"

/* From the outermost, which is 1; JOURNAL_BY_ITSELF if it is none. */
static int64_t
timeout_number(const struct run *run, const void *timeout)
{
    int64_t number = 0;

    for (const struct deadline *d = run->deadlines; d != NULL; d = d->outer)
        number = d == timeout ? 1 : number > 0 ? number + 1 : 0;
    return number > 0 ? number : JOURNAL_BY_ITSELF;
}

static const char *const kinds[INTERRUPTIONS] = {
    [INTERRUPTED_NOT] = "",
    [INTERRUPTED_BY_USER] = "user",
    [INTERRUPTED_BY_NEWER_BUILD] = "newerBuild",
    [INTERRUPTED_BY_MILESTONE] = "milestone",
    [INTERRUPTED_BY_REJECTION] = "rejection",
    [INTERRUPTED_BY_TIMEOUT] = "timeout",
    [INTERRUPTED_BY_BRANCH] = "branch",
    [INTERRUPTED_BY_DOWNSTREAM] = "downstream",
};

/* All that an earlier naru wrote of the kind, and which timeout it is. */
static int64_t
by_number(const struct run *run, const struct exception *e)
{
    switch (e->interruption) {
    case INTERRUPTED_NOT:
        return 0;
    case INTERRUPTED_BY_USER:
    case INTERRUPTED_BY_NEWER_BUILD:
        return JOURNAL_BY_ABORT;
    case INTERRUPTED_BY_BRANCH:
        return JOURNAL_BY_BRANCH;
    case INTERRUPTED_BY_TIMEOUT:
        return timeout_number(run, e->timeout);
    default:
        return JOURNAL_BY_ITSELF;
    }
}

struct json *
journal_thrown_to_json(const struct run *run, const struct exception *e)
{
    struct json *x = json_object();

    json_set(x, "class", json_str(e->class_name));
    json_set(x, "message", json_str(e->message));
    json_set(x, "line", json_int(e->line));
    json_set(x, "column", json_int(e->column));
    json_set(x, "by", json_int(by_number(run, e)));
    if (e->is_final)
        json_set(x, "final", json_bool(true));
    if (e->interruption == INTERRUPTED_NOT)
        return x;
    json_set(x, "kind", json_text(kinds[e->interruption]));
    json_set(x, "result", json_text(build_result_name((enum build_result)e->result)));
    if (e->who.len > 0)
        json_set(x, "who", json_str(e->who));
    return x;
}

/* An earlier naru knew one that is not ABORTED, and called it "notBuilt". */
static enum build_result
result_of(const struct json *x)
{
    enum build_result r = RESULT_ABORTED;

    if (json_get_bool(x, "notBuilt", false))
        return RESULT_NOT_BUILT;
    (void)build_result_parse(str_of(json_get_cstr(x, "result", "")), &r);
    return r;
}

/* An earlier naru wrote no kind, and who had rejected in the message only. */
static void
read_older_kind(const struct json *x, int64_t by, struct exception *e)
{
    static const char rejected_by[] = "Rejected by ";
    const bool is_overtaken = e->result == RESULT_NOT_BUILT;

    if (by > 0)
        e->interruption = INTERRUPTED_BY_TIMEOUT;
    else if (by == JOURNAL_BY_BRANCH)
        e->interruption = INTERRUPTED_BY_BRANCH;
    else if (by == JOURNAL_BY_ABORT)
        e->interruption = is_overtaken ? INTERRUPTED_BY_NEWER_BUILD : INTERRUPTED_BY_USER;
    else if (by == JOURNAL_BY_ITSELF && json_get_bool(x, "downstream", false))
        e->interruption = INTERRUPTED_BY_DOWNSTREAM;
    else if (by == JOURNAL_BY_ITSELF)
        e->interruption = is_overtaken ? INTERRUPTED_BY_MILESTONE : INTERRUPTED_BY_REJECTION;
    if (e->interruption == INTERRUPTED_BY_REJECTION && str_starts(e->message, STR(rejected_by)))
        e->who = str_slice(e->message, sizeof(rejected_by) - 1, e->message.len);
}

static void
read_kind(struct arena *a, const struct json *x, int64_t by, struct exception *e)
{
    const struct str kind = str_of(json_get_cstr(x, "kind", ""));

    e->result = (int)result_of(x);
    e->who = arena_dup(a, str_of(json_get_cstr(x, "who", "")));
    for (size_t i = 1; i < ARRAY_COUNT(kinds); i++)
        if (str_is(kind, kinds[i]))
            e->interruption = (enum interruption)i;
    if (e->interruption == INTERRUPTED_NOT)
        read_older_kind(x, by, e);
}

static void
abort_again(struct run *run, const struct exception *e)
{
    run->was_aborted = true;
    run->abort_fired = e->is_final ? 2 : 1;
    run->is_overtaken = e->interruption == INTERRUPTED_BY_NEWER_BUILD;
    run->abort_grace_ms = clock_monotonic_ms() + RUNNER_GRACE_MS;
}

/* The branch that failed repeats as well: it may be yet to come, and is known then. */
static void
note_branch(struct run *run)
{
    struct str why;
    const unsigned told = flow_interrupts(run, &why);

    run->interrupts_seen = told > run->interrupts_seen ? told : run->interrupts_seen + 1;
}

/* The how manieth from the outermost; NULL: none of those around the step. */
static const struct deadline *
fire_again(struct run *run, int64_t number)
{
    struct deadline *d = run->deadlines;
    int64_t depth = 0;

    for (const struct deadline *i = d; i != NULL; i = i->outer)
        depth++;
    for (; d != NULL && (number < 1 || depth > number); d = d->outer)
        depth--;
    if (d != NULL)
        run_note_fired(run, d, clock_monotonic_ms() + RUNNER_GRACE_MS);
    return d;
}

bool
journal_throw_again(struct run *run, const struct json *x)
{
    struct arena *a = &run->arena;
    struct exception *e = arena_alloc(a, sizeof(*e));
    const int64_t by = json_get_i64(x, "by", 0);

    e->class_name = arena_dup(a, str_of(json_get_cstr(x, "class", "AbortException")));
    e->message = arena_dup(a, str_of(json_get_cstr(x, "message", "")));
    e->line = (unsigned)json_get_i64(x, "line", 0);
    e->column = (unsigned)json_get_i64(x, "column", 0);
    e->is_final = json_get_bool(x, "final", false);
    read_kind(a, x, by, e);
    if (e->interruption == INTERRUPTED_BY_USER || e->interruption == INTERRUPTED_BY_NEWER_BUILD)
        abort_again(run, e);
    else if (e->interruption == INTERRUPTED_BY_BRANCH)
        note_branch(run);
    else if (e->interruption == INTERRUPTED_BY_TIMEOUT)
        e->timeout = fire_again(run, by);
    return interp_rethrow(&run->in, e);
}
