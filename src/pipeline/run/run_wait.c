/* SPDX-License-Identifier: MIT */
/* run_wait.c - how a build waits, and what ends its waiting: aborts, timeouts, other branches. */
#include "base/clock.h"
#include "pipeline/run/journal.h"

static struct fired *
find_fired(const struct run *run, const struct deadline *d)
{
    for (struct fired *f = run->fired; f != NULL; f = f->next)
        if (f->deadline == d)
            return f;
    return NULL;
}

struct fired *
run_note_fired(struct run *run, const struct deadline *d, int64_t grace_ms)
{
    struct fired *f = find_fired(run, d);

    if (f == NULL) {
        f = arena_alloc(&run->arena, sizeof(*f));
        f->deadline = d;
        f->next = run->fired;
        run->fired = f;
    }
    f->grace_ms = grace_ms;
    f->count++;
    return f;
}

void
run_forget_fired(struct run *run, const struct deadline *d)
{
    for (struct fired **f = &run->fired; *f != NULL; f = &(*f)->next)
        if ((*f)->deadline == d) {
            *f = (*f)->next;
            return;
        }
}

static bool
deadline_is_due(const struct run *run, const struct deadline *d, int64_t now_ms)
{
    const struct fired *f = find_fired(run, d);

    if (f != NULL)
        return f->count > 1 || now_ms >= f->grace_ms;
    return now_ms >= (d->activity_ms > 0 ? d->last_output_ms + d->activity_ms : d->at_ms);
}

static enum abort_request
abort_request(struct run *run)
{
    enum abort_request r = run->config->abort_request == NULL
                               ? ABORT_NO
                               : run->config->abort_request(run->config->ctx);

    run->is_suspended = run->is_suspended || r == ABORT_SUSPEND;
    return run->is_suspended ? ABORT_SUSPEND : r;
}

bool
run_is_suspended(struct run *run)
{
    return abort_request(run) == ABORT_SUSPEND;
}

static bool
has_grace(enum abort_request r)
{
    return r == ABORT_ASKED || r == ABORT_OVERTAKEN;
}

static bool
abort_is_due(struct run *run, int64_t now_ms)
{
    enum abort_request r = abort_request(run);

    if (r == ABORT_NO)
        return false;
    return !has_grace(r) || run->abort_fired != 1 || now_ms >= run->abort_grace_ms;
}

static bool
interrupt_is_due(const struct run *run, struct str *why)
{
    return flow_interrupts(run, why) > run->interrupts_seen;
}

bool
run_is_due(struct run *run)
{
    int64_t now_ms = clock_monotonic_ms();
    struct str why;

    if (journal_is_repeating(run)) /* what interrupted it then is recorded */
        return run_is_suspended(run);
    if (interrupt_is_due(run, &why))
        return true;
    for (const struct deadline *d = run->deadlines; d != NULL; d = d->outer)
        if (deadline_is_due(run, d, now_ms))
            return true;
    return abort_is_due(run, now_ms);
}

bool
run_interrupt(struct run *run, const struct node *at, enum interruption kind, enum build_result result,
              const char *message)
{
    (void)interp_throw(&run->in, at, "FlowInterruptedException", "%s", message);
    run->in.thrown->interruption = kind;
    run->in.thrown->result = (int)result;
    return false;
}

static bool
interrupt_for_abort(struct run *run, const struct node *at, int64_t now_ms)
{
    const enum abort_request r = abort_request(run);
    bool is_final = run->abort_fired > 0 || !has_grace(r);

    run->was_aborted = true;
    run->is_overtaken = run->is_overtaken || r == ABORT_OVERTAKEN;
    run->abort_fired = is_final ? 2 : 1;
    run->abort_grace_ms = now_ms + RUNNER_GRACE_MS;
    if (run->is_overtaken)
        (void)run_interrupt(run, at, INTERRUPTED_BY_NEWER_BUILD, RESULT_NOT_BUILT, "a newer build takes its place");
    else
        (void)run_interrupt(run, at, INTERRUPTED_BY_USER, RESULT_ABORTED, "the build was aborted");
    run->in.thrown->is_final = is_final;
    return false;
}

static bool
interrupt_for_timeout(struct run *run, const struct node *at, const struct deadline *due, int64_t now_ms)
{
    const struct fired *f = run_note_fired(run, due, now_ms + RUNNER_GRACE_MS);

    (void)run_interrupt(run, at, INTERRUPTED_BY_TIMEOUT, RESULT_ABORTED,
                        due->outer == NULL ? "the build ran out of time" : "Timeout has been exceeded");
    run->in.thrown->timeout = due;
    run->in.thrown->is_final = f->count > 1;
    return false;
}

/* Once per cause; what the script does about it (post, catch) has its grace.  After that nothing
 * catches it, else `while (true) { try { sh 'x' } catch (e) { } }` would never end. */
static bool
interrupt_if_due(struct run *run, const struct node *at)
{
    int64_t now_ms = clock_monotonic_ms();
    struct deadline *due = NULL;
    struct str why;

    if (abort_is_due(run, now_ms))
        return interrupt_for_abort(run, at, now_ms);
    for (struct deadline *d = run->deadlines; d != NULL; d = d->outer)
        if (deadline_is_due(run, d, now_ms))
            due = d; /* the outermost: it ends the inner ones too */
    if (due != NULL)
        return interrupt_for_timeout(run, at, due, now_ms);
    if (interrupt_is_due(run, &why)) {
        run->interrupts_seen = flow_interrupts(run, &why);
        return run_interrupt(run, at, INTERRUPTED_BY_BRANCH, RESULT_ABORTED, arena_cstr(&run->arena, why));
    }
    return true;
}

bool
run_poll(struct interp *in, const struct node *at)
{
    struct run *run = run_of(in);

    if (!run_is_suspended(run)) {
        if (journal_strikes(run))
            return false;
        if (journal_is_repeating(run))
            return true;
    }
    if (interrupt_if_due(run, at))
        return true;
    if (!run->acts)
        journal_struck(run);
    return false;
}

bool
run_wait(struct run *run, const struct node *at, struct pollfd *fds, size_t count, int64_t until_ms)
{
    int64_t soon_ms = clock_monotonic_ms() + RUN_POLL_MS;

    if (!run_poll(&run->in, at))
        return false;
    flow_wait(run, fds, count, until_ms < soon_ms ? until_ms : soon_ms);
    return run_poll(&run->in, at);
}

bool
run_fetch_begin(struct run *run)
{
    while (run->is_fetching) {
        if (run_is_due(run))
            return false;
        flow_wait(run, NULL, 0, clock_monotonic_ms() + RUN_POLL_MS);
    }
    run->is_fetching = true;
    return true;
}

void
run_fetch_end(struct run *run)
{
    run->is_fetching = false;
}

/* ---- what interrupted it, as Jenkins's classes are called ---- */

static const char *const classes[INTERRUPTIONS] = {
    [INTERRUPTED_BY_USER] = "UserInterruption",
    [INTERRUPTED_BY_NEWER_BUILD] = "CancelledCause",
    [INTERRUPTED_BY_MILESTONE] = "CancelledCause",
    [INTERRUPTED_BY_REJECTION] = "Rejection",
    [INTERRUPTED_BY_TIMEOUT] = "ExceededTimeout",
    [INTERRUPTED_BY_BRANCH] = "FailFastCause",
    [INTERRUPTED_BY_DOWNSTREAM] = "DownstreamFailureCause",
};

/* Nobody is SYSTEM, by which scripts tell a timeout from a person. */
static struct value
cause_of(struct run *run, const struct exception *e)
{
    struct arena *a = &run->arena;
    const struct value name = value_text(e->interruption == INTERRUPTED_BY_REJECTION ? e->who
                                         : e->interruption == INTERRUPTED_BY_USER    ? STR("somebody")
                                                                                     : STR("SYSTEM"));
    struct value cause = value_record(a, classes[e->interruption], value_text(e->message));
    struct value user = value_record(a, "User", name);

    map_put_text(a, user.object->fields, "id", name);
    map_put_text(a, user.object->fields, "fullName", name);
    map_put_text(a, user.object->fields, "displayName", name);
    map_put_text(a, cause.object->fields, "shortDescription", value_text(e->message));
    map_put_text(a, cause.object->fields, "user", user);
    return cause;
}

bool
run_is_interrupted(const struct run *run, const struct exception *e)
{
    return e->interruption != INTERRUPTED_NOT && e->interruption != INTERRUPTED_BY_DOWNSTREAM &&
           (e->interruption != INTERRUPTED_BY_TIMEOUT || e->timeout != NULL || run->abort_fired > 0);
}

bool
run_interruption_method(struct run *run, const struct exception *e, struct str name, const struct args *args,
                        struct value *out)
{
    if (args->count > 0)
        return false;
    if (str_is(name, "getResult")) {
        *out = value_cstr(&run->arena, build_result_name(run_error_result(e)));
    } else if (str_is(name, "isActualInterruption")) {
        *out = value_bool(run_is_interrupted(run, e));
    } else if (str_is(name, "getCauses")) {
        *out = value_list(&run->arena);
        list_add(&run->arena, out->list, cause_of(run, e));
    } else {
        return false;
    }
    return true;
}

static struct deadline *
whole_build(const struct run *run)
{
    struct deadline *d = run->deadlines;

    while (d->outer != NULL)
        d = d->outer;
    return d;
}

static void
park(struct run *run, bool is_parked, bool stands_still)
{
    const struct runner_host *host = run->config->host;
    struct deadline *whole = whole_build(run);

    if (stands_still != run->stands_still) {
        const int64_t now_ms = clock_monotonic_ms();
        if (stands_still)
            run->left_ms = whole->at_ms - now_ms;
        whole->at_ms = stands_still ? INT64_MAX : now_ms + run->left_ms;
    }
    run->is_parked = is_parked;
    run->stands_still = stands_still;
    if (host != NULL && host->parked != NULL)
        host->parked(run->config->ctx, is_parked, stands_still);
}

void
run_rest(struct run *run, enum rest rest)
{
    bool runs_on;

    flow_rest(run, rest == REST_ON_TIME);
    if (flow_all_rest(run, &runs_on))
        park(run, true, !runs_on);
}

void
run_rested(struct run *run)
{
    flow_rested(run);
    if (run->is_parked)
        park(run, false, false);
}

static bool
holds_nothing(const struct run *run)
{
    uint64_t nodes = 0;

    for (size_t i = 0; i < ARRAY_COUNT(run->nodes); i++)
        nodes |= run->nodes[i];
    return nodes == 0 && run->locks_held == 0;
}

/* Who holds something comes back at once: who has a place may wait for just that. */
bool
run_come_back(struct run *run, const struct node *at, bool ok)
{
    const struct runner_host *host = run->config->host;
    const bool asks = host != NULL && host->place != NULL && holds_nothing(run);
    bool waits = false;

    while (ok && asks && run->is_parked && !host->place(run->config->ctx)) {
        if (!waits) /* said once: all who wait for something of the room wake up */
            run_rest(run, REST_FOR_OTHERS);
        waits = true;
        ok = run_wait(run, at, NULL, 0, INT64_MAX);
    }
    run_rested(run);
    return ok;
}

enum rest
run_rest_kind(const struct run *run)
{
    return run->node != 0 || run->locks_held > 0 ? REST_ON_TIME : REST_FOR_OTHERS;
}

static bool
sleep_until(struct run *run, const struct node *at, int64_t until_ms)
{
    do {
        if (!run_wait(run, at, NULL, 0, until_ms))
            return false;
    } while (clock_monotonic_ms() < until_ms);
    return true;
}

/* Whoever has an agent keeps its place: what was started there may go on meanwhile. */
bool
run_sleep(struct run *run, const struct node *at, int64_t ms)
{
    const int64_t until_ms = clock_monotonic_ms() + ms;
    bool ok;

    if (journal_is_repeating(run))
        return run_poll(&run->in, at);
    if (run->node == 0)
        run_rest(run, REST_ON_TIME);
    ok = sleep_until(run, at, until_ms);
    return run->node == 0 ? run_come_back(run, at, ok) : ok;
}

/* Stands between a process and the step that waits for it. */
struct waiting {
    struct run *run;
    const struct process_spec *spec;
};

static void
forward_output(void *arg, struct str data, bool is_error)
{
    const struct waiting *w = arg;

    w->spec->on_output(w->spec->arg, data, is_error);
}

static bool
is_cancelled(void *arg)
{
    const struct waiting *w = arg;

    if (w->spec->is_cancelled != NULL)
        return w->spec->is_cancelled(w->spec->arg);
    return run_is_due(w->run);
}

static void
wait_in_flow(void *arg, struct pollfd *fds, size_t count, int timeout_ms)
{
    const struct waiting *w = arg;

    flow_wait(w->run, fds, count, timeout_ms < 0 ? INT64_MAX : clock_monotonic_ms() + timeout_ms);
}

static bool
run_in(struct run *run, const struct process_place *place, const struct process_spec *spec,
       struct process_result *out, struct err *err)
{
    struct waiting w = {run, spec};
    struct process_spec inner = *spec;

    if (run_is_suspended(run)) {
        *out = (struct process_result){0};
        return err_set(err, ERR_UNAVAILABLE, "naru is being stopped");
    }
    inner.on_output = spec->on_output != NULL ? forward_output : NULL;
    inner.is_cancelled = is_cancelled;
    inner.place = place;
    inner.wait = wait_in_flow;
    inner.arg = &w;
    return process_run(&inner, out, err);
}

bool
run_process(struct run *run, const struct process_spec *spec, struct process_result *out,
            struct err *err)
{
    return run_in(run, &run->place, spec, out, err);
}

bool
run_own_process(struct run *run, const struct process_spec *spec, struct process_result *out,
                struct err *err)
{
    return run_in(run, &run->own_place, spec, out, err);
}
