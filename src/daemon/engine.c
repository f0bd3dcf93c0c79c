/* SPDX-License-Identifier: MIT */
#include "daemon/engine.h"

#include <assert.h>
#include <errno.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdio.h>
#include "base/clock.h"
#include "base/hash.h"
#include "base/log.h"
#include "daemon/effects.h"
#include "daemon/envelope.h"
#include "daemon/turns.h"
#include "io/loop.h"

/* At the clock, since who only comes when something is due does not see that it stood still before; and commits that
 * failed are tried again then. */
#define LOOK_EVERY_MS 1000
#define READ_PATIENCE_MS 10000

/* A caller that waits on its own stack for the commit of what it did. */
struct caller {
    struct engine *engine;
    void (*call)(void *arg, struct core *core, int64_t now_ms);
    void *arg;
    struct caller *next;
    sem_t done;
    bool is_good;
};

struct report {
    struct engine *engine;
    struct envelope *envelope;
};

struct engine {
    struct engine_config config;
    struct loop *loop;
    struct loop_timer *deadline;
    struct core *core;
    struct agent *agent;
    struct balancer *balancer;
    struct hooks *hooks;
    struct effects fresh;    /* of the steps since the last commit */
    struct caller *waiting;  /* ran, not answered yet */
    bool is_flush_posted;
    struct turns *turns;     /* with the core, and with is_commit_failing */
    bool has_turn;           /* the engine's thread, in the middle of one */
    bool is_commit_failing;
    atomic_bool is_started;  /* and the core whole */
    int64_t wall_at_start_ms, boot_at_start_ms;
    int64_t look_ms; /* the next look at the clock, at the latest */
    atomic_bool is_stopping;
};

/* Wall time that never jumps: the wall clock at the start, and from there one that only runs, while the machine is
 * suspended, too.  If the wall clock was set back while we were down, it goes on from the latest moment that the rows
 * know. */
static int64_t
engine_now_ms(const struct engine *e)
{
    const int64_t now = e->wall_at_start_ms + clock_boot_ms() - e->boot_at_start_ms;

    return now > e->core->now_ms ? now : e->core->now_ms;
}

/* A turn: from the first step after a commit until the next one is over. */
static void
begin_turn(struct engine *e)
{
    if (!e->has_turn)
        turns_begin(e->turns);
    e->has_turn = true;
}

static void
end_turn(struct engine *e)
{
    assert(e->has_turn);
    e->has_turn = false;
    turns_end(e->turns);
}

static bool
load_row(void *arg, const char *kind, const char *key, const struct json *doc, struct err *err)
{
    struct engine *e = arg;

    for (int k = 0; k < ROW_KIND_COUNT; k++)
        if (strcmp(row_kind_name((enum row_kind)k), kind) == 0)
            return core_load(e->core, (enum row_kind)k, doc, err) ||
                   err_context(err, "loading %s '%s'", kind, key);
    return err_set(err, ERR_INTERNAL, "the database holds a row of the unknown kind '%s'", kind);
}

struct engine *
engine_new(const struct engine_config *config, struct err *err)
{
    struct engine *e = mem_new(sizeof(*e));

    e->config = *config;
    if (e->config.read_patience_ms == 0)
        e->config.read_patience_ms = READ_PATIENCE_MS;
    e->turns = turns_new();
    e->core = core_new(&config->options);
    if (!store_each(config->store, load_row, e, err) || !core_link(e->core, err)) {
        engine_free(e);
        return NULL;
    }
    e->loop = loop_new();
    e->wall_at_start_ms = clock_wall_ms();
    if (e->wall_at_start_ms < e->core->now_ms)
        e->wall_at_start_ms = e->core->now_ms;
    e->boot_at_start_ms = clock_boot_ms();
    return e;
}

void
engine_free(struct engine *e)
{
    if (e == NULL)
        return;
    if (e->loop != NULL)
        loop_free(e->loop);
    effects_done(&e->fresh);
    core_free(e->core);
    turns_free(e->turns);
    free(e);
}

/* ---- committing ---- */

static bool
write_row(struct engine *e, const struct ef_persist *row, struct err *err)
{
    cleanup_json struct json *doc = core_row(e->core, row->kind, row->key);
    const char *kind = row_kind_name(row->kind);

    return doc != NULL ? store_put(e->config.store, kind, row->key, doc, err)
                       : store_delete(e->config.store, kind, row->key, err);
}

/* Rows that were written in this commit: a row named by several steps is written once, as it is now.
 * An open-addressed table of indexes into the effects, at most half full. */
struct written {
    int *slots; /* index + 1; 0: free */
    size_t size;
};

/* True the first time a row is seen. */
static bool
is_first_mention(struct written *w, const struct effects *all, int index)
{
    const struct ef_persist *row = &all->at[index].persist;

    for (size_t i = hash_text(str_of(row->key), (uint64_t)row->kind) % w->size;; i = (i + 1) % w->size) {
        const struct ef_persist *other;

        if (w->slots[i] == 0) {
            w->slots[i] = index + 1;
            return true;
        }
        other = &all->at[w->slots[i] - 1].persist;
        if (other->kind == row->kind && strcmp(other->key, row->key) == 0)
            return false;
    }
}

static bool
write_rows(struct engine *e, struct err *err)
{
    struct written w = {.size = (size_t)e->fresh.count * 2 + 1};
    bool ok = true;

    w.slots = mem_new(w.size * sizeof(*w.slots));
    for (int i = 0; i < e->fresh.count && ok; i++)
        if (e->fresh.at[i].type == EFFECT_PERSIST && is_first_mention(&w, &e->fresh, i))
            ok = write_row(e, &e->fresh.at[i].persist, err);
    free(w.slots);
    return ok;
}

static bool
commit(struct engine *e, struct err *err)
{
    bool has_rows = false;

    for (int i = 0; i < e->fresh.count && !has_rows; i++)
        has_rows = e->fresh.at[i].type == EFFECT_PERSIST;
    if (!has_rows)
        return true;
    if (!store_begin(e->config.store, err))
        return false;
    if (!write_rows(e, err) || !store_commit(e->config.store, err)) {
        store_rollback(e->config.store);
        return false;
    }
    return true;
}

static void
answer_all(struct engine *e, bool is_good)
{
    struct caller *c;

    while ((c = e->waiting) != NULL) {
        e->waiting = c->next;
        c->is_good = is_good;
        (void)sem_post(&c->done); /* and from here on there may be no `c` any more */
    }
}

/* ---- performing ---- */

static void
report_resolved(struct engine *e, const struct agent_resolve *ask, const char *error)
{
    char digests[CONTAINERS_MAX][DIGEST_SIZE];
    struct event event = {.type = EVENT_IMAGE_RESOLVED};

    for (int i = 0; i < ask->image_count; i++)
        memcpy(digests[i], ask->images[i].digest, DIGEST_SIZE);
    event.image_resolved = (struct ev_image_resolved){
        .service_arn = ask->service_arn, .revision_arn = ask->revision_arn,
        .digests = digests, .digest_count = ask->image_count, .error = error,
    };
    engine_report(e, &event);
}

static void
perform_resolve(struct engine *e, const struct ef_image_resolve *effect)
{
    struct agent_resolve *ask = mem_new(sizeof(*ask));
    struct err err = {0};

    if (resolve_images(e->core, e->config.registry, effect, ask, &err)) {
        report_resolved(e, ask, NULL);
    } else if (err.code != ERR_NONE) {
        report_resolved(e, ask, err.message);
    } else {
        agent_resolve_images(e->agent, ask);
        return;
    }
    free(ask);
}

static void
perform_start(struct engine *e, const struct ef_task_start *effect)
{
    struct agent_task *task = agent_task_of(e->core, effect);
    struct err err = {0};

    if (task == NULL)
        return;
    if (task->only_adopt || agent_task_check_images(task, e->config.registry, &err)) {
        agent_start_task(e->agent, task);
        return;
    }
    cleanup_free char *reason = text_format("CannotPullContainerError: %s", err.message);
    if (task->is_repeated) { /* its containers may exist, and the image was good when they were made */
        task->only_adopt = true;
        (void)snprintf(task->refusal, sizeof(task->refusal), "%.1000s", reason);
        agent_start_task(e->agent, task);
        return;
    }
    const struct event event = {.type = EVENT_TASK_STATE,
                                .task_state = {.task_id = task->id, .status = TASK_STOPPED, .reason = reason}};
    engine_report(e, &event);
    agent_task_free(task);
}

/* True if the balancer needs a new view. */
static bool
perform_one(struct engine *e, const struct effect *effect)
{
    switch (effect->type) {
    case EFFECT_PERSIST:
        return false;
    case EFFECT_IMAGE_RESOLVE:
        perform_resolve(e, &effect->image_resolve);
        return false;
    case EFFECT_IMAGE_PREFETCH: /* of this machine: there is no other one yet */
        agent_prefetch_image(e->agent, effect->image_prefetch.image, effect->image_prefetch.digest,
                             effect->image_prefetch.config_digest);
        return false;
    case EFFECT_TASK_START:
        perform_start(e, &effect->task_start);
        return false;
    case EFFECT_TASK_STOP: {
        const struct task *task = core_task_by_arn(e->core, effect->task_stop.task_arn);

        if (task != NULL)
            agent_stop_task(e->agent, task->id);
        return false;
    }
    case EFFECT_TASK_FORGET:
        agent_forget_task(e->agent, effect->task_forget.task_id);
        return false;
    case EFFECT_HOOK_CALL: {
        struct hook_call *call = hook_call_of(e->core, &effect->hook_call);

        if (call != NULL)
            hooks_call(e->hooks, call);
        return false;
    }
    case EFFECT_HOOK_CANCEL:
        hooks_cancel(e->hooks, effect->hook_cancel.hook_id);
        return false;
    case EFFECT_TARGET_REGISTER:
    case EFFECT_TARGET_DEREGISTER:
    case EFFECT_BALANCER_CONFIG:
        return true;
    }
    assert(!"an effect that nobody performs");
    return false;
}

/* While commits failed, time went on for the core, and it may have given up waiting for a balancer that
 * never got the order.  So what `is_late` stops nothing: the core asks again within a minute or so
 * (its stop deadline), and by then the balancer has taken it out of traffic.  See EVENT_ORDERS_LATE. */
static void
perform(struct engine *e, bool is_late)
{
    bool has_balancer_change = false;

    for (int i = 0; i < e->fresh.count; i++) {
        const struct effect *effect = &e->fresh.at[i];

        if (effect->type != EFFECT_PERSIST)
            log_debug("core.effect", "effect=%s", effect_name(effect->type));
        if (is_late && effect->type == EFFECT_TASK_STOP)
            continue;
        if (perform_one(e, effect))
            has_balancer_change = true;
    }
    effects_clear(&e->fresh);
    if (has_balancer_change)
        balancer_apply(e->balancer, balancer_view_of(e->core));
}

static void
arm_deadline(struct engine *e)
{
    const int64_t due_ms = core_deadline_ms(e->core),
                  delay_ms = (due_ms < e->look_ms ? due_ms : e->look_ms) - engine_now_ms(e);

    if (e->deadline == NULL)
        return; /* stopping */
    loop_timer_set(e->deadline, delay_ms < 1 ? 1 : delay_ms);
}

/* Before anybody looks: between what a caller has seen and the event that he makes of it nothing else may happen. */
static void
tell_if_stood_still(struct engine *e)
{
    const int64_t now_ms = engine_now_ms(e), late_ms = core_stood_still_ms(e->core, e->look_ms, now_ms);

    e->look_ms = now_ms + LOOK_EVERY_MS;
    if (late_ms == 0)
        return;
    log_info("engine.stood_still", "late_ms=%lld", (long long)late_ms);
    core_step(e->core, &(struct event){.type = EVENT_STOOD_STILL, .stood_still = {late_ms}}, now_ms, &e->fresh);
}

static void step_now(struct engine *e, const struct event *event);

/* While the disk takes its time, the hands go on, and what they have to say is queued.  It is heard before whatever is
 * due later; only what came due meanwhile would be judged without it. */
static bool
commit_unhurried(struct engine *e, struct err *err)
{
    const int64_t began_ms = clock_monotonic_ms(); /* which stands while the machine is suspended, and all hands */
    const bool is_good = commit(e, err);

    if (core_deadline_ms(e->core) > engine_now_ms(e))
        e->look_ms += clock_monotonic_ms() - began_ms;
    return is_good;
}

static void
flush(void *arg)
{
    struct engine *e = arg;
    struct err err = {0};

    e->is_flush_posted = false;
    tell_if_stood_still(e);
    if (!commit_unhurried(e, &err)) {
        if (!e->is_commit_failing)
            log_error("engine.commit_failed", "error=%s", log_quote(err.message));
        e->is_commit_failing = true;
        effects_compact(&e->fresh); /* for as long as the disk is full */
        end_turn(e);
        answer_all(e, false);
        arm_deadline(e);
        return;
    }
    const bool is_late = e->is_commit_failing;
    if (is_late)
        log_info("engine.commit_works_again", "rows=%d", e->fresh.count);
    e->is_commit_failing = false;
    end_turn(e);
    answer_all(e, true);
    perform(e, is_late);
    if (is_late)
        step_now(e, &(struct event){.type = EVENT_ORDERS_LATE});
    arm_deadline(e);
}

/* Runs behind all that is queued now, so that one commit serves them all. */
static void
post_flush(struct engine *e)
{
    if (e->is_flush_posted)
        return;
    e->is_flush_posted = true;
    loop_post(e->loop, flush, e);
}

/* ---- coming in ---- */

void
engine_step(struct engine *e, const struct event *event)
{
    assert(loop_is_mine(e->loop)); /* who only reads has no commit behind it */
    if (event->type != EVENT_CLOCK)
        log_debug("core.event", "event=%s", event_name(event->type));
    core_step(e->core, event, engine_now_ms(e), &e->fresh);
}

static void
run_caller(void *arg)
{
    struct caller *c = arg;
    struct engine *e = c->engine;

    /* While commits fail, what the core holds may never be told. */
    if (!e->is_commit_failing) {
        begin_turn(e);
        tell_if_stood_still(e);
        c->call(c->arg, e->core, engine_now_ms(e));
    }
    c->next = e->waiting;
    e->waiting = c;
    if (e->is_commit_failing)
        answer_all(e, false);
    else
        post_flush(e);
}

bool
engine_run(struct engine *e, void (*call)(void *arg, struct core *core, int64_t now_ms), void *arg)
{
    struct caller c = {.engine = e, .call = call, .arg = arg};

    if (atomic_load(&e->is_stopping))
        return false;
    assert(!loop_is_mine(e->loop));
    /* A semaphore wakes up its waiter once; with a condition it wakes up, finds the lock still held
     * by who signalled, and sleeps again. */
    (void)sem_init(&c.done, /* between processes */ 0, 0);
    if (loop_post(e->loop, run_caller, &c)) { /* else it has just stopped */
        while (sem_wait(&c.done) < 0)
            assert(errno == EINTR);
    }
    (void)sem_destroy(&c.done);
    return c.is_good;
}

bool
engine_read(struct engine *e, void (*call)(void *arg, struct core *core, int64_t now_ms), void *arg)
{
    bool is_good;

    if (!atomic_load(&e->is_started))
        return engine_run(e, call, arg); /* queued until it is */
    if (atomic_load(&e->is_stopping))
        return false;
    if (!turns_read_begin(e->turns, e->config.read_patience_ms))
        return false;
    is_good = !e->is_commit_failing;
    if (is_good)
        call(arg, e->core, engine_now_ms(e));
    turns_read_end(e->turns);
    return is_good;
}

static void
run_report(void *arg)
{
    struct report *r = arg;

    step_now(r->engine, &r->envelope->event);
    envelope_free(r->envelope);
    free(r);
}

void
engine_report(struct engine *e, const struct event *event)
{
    struct report *r = mem_new(sizeof(*r));

    r->engine = e;
    r->envelope = envelope_new(event);
    if (loop_post(e->loop, run_report, r))
        return;
    envelope_free(r->envelope); /* stopped: the hands tell it again after the next start */
    free(r);
}

static void
step_now(struct engine *e, const struct event *event)
{
    begin_turn(e);
    tell_if_stood_still(e);
    engine_step(e, event);
    post_flush(e);
}

static void
on_deadline(void *arg)
{
    step_now(arg, &(struct event){.type = EVENT_CLOCK});
}

/* ---- life ---- */

static void
begin_agent(struct engine *e)
{
    const char **ids = NULL;
    int count = 0;

    for (const struct task *t = e->core->tasks; t != NULL; t = t->next) {
        ids = mem_grow(ids, (size_t)count + 1, sizeof(*ids));
        ids[count++] = t->id;
    }
    agent_begin(e->agent, ids, count);
    free(ids);
}

static void
resume(struct engine *e)
{
    begin_turn(e);
    begin_agent(e);
    core_resume(e->core, engine_now_ms(e), &e->fresh);
    balancer_apply(e->balancer, balancer_view_of(e->core));
    e->look_ms = engine_now_ms(e) + LOOK_EVERY_MS;
    flush(e);
}

void
engine_start(struct engine *e, struct agent *agent, struct balancer *balancer, struct hooks *hooks)
{
    e->agent = agent;
    e->balancer = balancer;
    e->hooks = hooks;
    e->deadline = loop_timer_new(e->loop, on_deadline, e);
    resume(e); /* before the reports that wait already: the core is not whole until then */
    atomic_store(&e->is_started, true);
    loop_start(e->loop, "engine");
}

static void
end_timer(void *arg)
{
    struct engine *e = arg;

    loop_timer_free(TAKE(e->deadline));
}

void
engine_stop(struct engine *e)
{
    atomic_store(&e->is_stopping, true);
    if (!atomic_load(&e->is_started)) { /* somebody may wait for an answer all the same */
        begin_turn(e);
        e->is_commit_failing = true; /* it is no */
        end_turn(e);
        loop_start(e->loop, "engine");
    }
    loop_call_and_wait(e->loop, end_timer, e);
    loop_stop(e->loop);
    loop_join(e->loop);
    answer_all(e, false);
}
