/* SPDX-License-Identifier: MIT */
#include "pipeline/run/flow.h"

#include <assert.h>
#include <limits.h>
#include <pthread.h>
#include <stdio.h>
#include <sys/mman.h>
#include <ucontext.h>
#include "base/clock.h"
#include "pipeline/run/run.h"

#if defined(__SANITIZE_ADDRESS__)
#define FLOW_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define FLOW_ASAN 1
#endif
#endif
#if defined(FLOW_ASAN)
#include <sanitizer/common_interface_defs.h>
#endif
#if defined(__SANITIZE_THREAD__)
#include <sanitizer/tsan_interface.h>
#endif

#define STACKS_KEPT 16u

enum flow_state { FLOW_READY, FLOW_WAITING, FLOW_ENDED };

/* What of the run and its interpreter is the flow's, while it does not run. */
struct saved {
#define X(field) __typeof__(((struct run *)0)->field) run_##field;
    FLOW_RUN_FIELDS(X)
#undef X
#define X(field) __typeof__(((struct interp *)0)->field) in_##field;
    FLOW_INTERP_FIELDS(X)
#undef X
};

struct flow {
    struct run *run;
    struct flow *maker; /* NULL: the main one */
    const char *path;
    unsigned steps;
    enum flow_state state;
    struct pollfd *fds;
    size_t fd_count;
    int64_t until_ms;
    unsigned interrupts;
    struct str why;
    bool rests, runs_on; /* flow_rest() */

    flow_body *body;
    void *arg;
    bool ok;
    struct value value;
    struct exception *error;

    struct saved saved;
    ucontext_t context;
    void *stack; /* NULL: the thread's */
    size_t stack_size;
    const void *stack_low;
    void *fake_stack, *fiber; /* the sanitizers' */
    struct flow *next;        /* of the build's */
};


/* All of a build's, in the order in which they were made. */
struct flow_set {
    struct flow *first, *last;
    struct flow *current;
    unsigned count, made;
    void *stacks[STACKS_KEPT];
    unsigned stack_count;
    struct pollfd *fds;
    size_t fd_capacity;
};

static void
save(struct run *run, struct saved *s)
{
#define X(field) s->run_##field = run->field;
    FLOW_RUN_FIELDS(X)
#undef X
#define X(field) s->in_##field = run->in.field;
    FLOW_INTERP_FIELDS(X)
#undef X
}

static void
load(struct run *run, const struct saved *s)
{
#define X(field) run->field = s->run_##field;
    FLOW_RUN_FIELDS(X)
#undef X
#define X(field) run->in.field = s->in_##field;
    FLOW_INTERP_FIELDS(X)
#undef X
}

static void
before_switch(struct flow *from, const struct flow *to)
{
#if defined(FLOW_ASAN)
    __sanitizer_start_switch_fiber(from->state == FLOW_ENDED ? NULL : &from->fake_stack,
                                   to->stack_low, to->stack_size);
#endif
#if defined(__SANITIZE_THREAD__)
    __tsan_switch_to_fiber(to->fiber, 0);
#endif
    (void)from;
    (void)to;
}

/* `self` runs (again); `from` is who ran before. */
static void
after_switch(struct flow *self)
{
#if defined(FLOW_ASAN)
    __sanitizer_finish_switch_fiber(self->fake_stack, NULL, NULL);
#endif
    (void)self;
}

static void
switch_to(struct flow *to)
{
    struct run *run = to->run;
    struct flow *from = run->flows->current;

    if (from == to)
        return;
    save(run, &from->saved);
    load(run, &to->saved);
    run->flows->current = to;
    before_switch(from, to);
    if (swapcontext(&from->context, &to->context) != 0)
        abort();
    after_switch(from);
}

static void
ready_those_with_events(struct flow_set *set, int64_t now_ms)
{
    size_t n = 0;

    for (struct flow *f = set->first; f != NULL; f = f->next) {
        if (f->state != FLOW_WAITING)
            continue;
        for (size_t i = 0; i < f->fd_count; i++, n++) {
            f->fds[i].revents = set->fds[n].revents;
            if (set->fds[n].revents != 0)
                f->state = FLOW_READY;
        }
        if (f->until_ms <= now_ms)
            f->state = FLOW_READY;
    }
}

/* Waits for whatever any flow waits for. */
static void
poll_all(struct flow_set *set)
{
    int64_t until_ms = INT64_MAX, wait_ms;
    size_t n = 0;

    for (struct flow *f = set->first; f != NULL; f = f->next) {
        if (f->state != FLOW_WAITING)
            continue;
        if (f->until_ms < until_ms)
            until_ms = f->until_ms;
        if (n + f->fd_count > set->fd_capacity) {
            set->fd_capacity = (n + f->fd_count) * 2;
            set->fds = mem_grow(set->fds, set->fd_capacity, sizeof(*set->fds));
        }
        for (size_t i = 0; i < f->fd_count; i++)
            set->fds[n++] = f->fds[i];
    }
    wait_ms = until_ms == INT64_MAX ? -1 : until_ms - clock_monotonic_ms();
    if (wait_ms < 0 && until_ms != INT64_MAX)
        wait_ms = 0;
    if (poll(set->fds, n, wait_ms > INT_MAX ? INT_MAX : (int)wait_ms) < 0)
        for (size_t i = 0; i < n; i++)
            set->fds[i].revents = 0;
    ready_those_with_events(set, clock_monotonic_ms());
}

/* The one that is to run now: whoever is ready, the one after `after` first, so that all come in
 * turn. */
static struct flow *
next_ready(struct flow_set *set, const struct flow *after)
{
    for (struct flow *f = after->next; f != NULL; f = f->next)
        if (f->state == FLOW_READY)
            return f;
    for (struct flow *f = set->first; f != NULL; f = f->next)
        if (f->state == FLOW_READY)
            return f;
    return NULL;
}

static void
run_others(struct flow_set *set)
{
    struct flow *next;

    while ((next = next_ready(set, set->current)) == NULL)
        poll_all(set);
    switch_to(next);
}

void
flow_wait(struct run *run, struct pollfd *fds, size_t count, int64_t until_ms)
{
    struct flow *self = run->flows->current;

    assert(count <= FLOW_FDS_MAX);
    assert(!run->acts_as_user); /* the others are not to */
    for (size_t i = 0; i < count; i++)
        fds[i].revents = 0;
    self->fds = fds;
    self->fd_count = count;
    self->until_ms = until_ms;
    self->state = FLOW_WAITING;
    run_others(run->flows);
    self->fds = NULL;
    self->fd_count = 0;
}

void
flow_wake(struct flow *f)
{
    if (f->state == FLOW_WAITING)
        f->state = FLOW_READY;
}

static void
add(struct flow_set *set, struct flow *f)
{
    if (set->last != NULL)
        set->last->next = f;
    else
        set->first = f;
    set->last = f;
    set->count++;
}

static void
take_out(struct flow_set *set, struct flow *f)
{
    struct flow *before = NULL;

    for (struct flow *i = set->first; i != f; i = i->next)
        before = i;
    if (before != NULL)
        before->next = f->next;
    else
        set->first = f->next;
    if (set->last == f)
        set->last = before;
    set->count--;
}

/* The calling thread's. */
static void
find_stack(struct flow *f)
{
    pthread_attr_t attr;
    void *low = NULL;
    size_t size = 0;

    if (pthread_getattr_np(pthread_self(), &attr) != 0)
        abort();
    pthread_attr_getstack(&attr, &low, &size);
    pthread_attr_destroy(&attr);
    f->stack_low = low;
    f->stack_size = size;
}

struct flow *
flow_main_new(struct run *run)
{
    struct flow_set *set = mem_new(sizeof(*set));
    struct flow *f = mem_new(sizeof(*f));

    f->run = run;
    f->path = "";
    find_stack(f);
#if defined(__SANITIZE_THREAD__)
    f->fiber = __tsan_get_current_fiber();
#endif
    run->in.stack_end = (const char *)f->stack_low + FLOW_STACK_MARGIN;
    run->flows = set;
    set->current = f;
    add(set, f);
    return f;
}

static void *
stack_take(struct flow_set *set)
{
    void *at;

    if (set->stack_count > 0)
        return set->stacks[--set->stack_count];
    at = mmap(NULL, FLOW_STACK_SIZE, PROT_READ | PROT_WRITE,
              MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_STACK, -1, 0);
    if (at == MAP_FAILED)
        return NULL;
    if (mprotect(at, 65536, PROT_NONE) != 0) {
        munmap(at, FLOW_STACK_SIZE);
        return NULL;
    }
    return at;
}

static void
stack_give(struct flow_set *set, void *at)
{
    if (set->stack_count < STACKS_KEPT)
        set->stacks[set->stack_count++] = at;
    else
        munmap(at, FLOW_STACK_SIZE);
}

/* The first function of a flow; it never returns. */
static void
flow_start(unsigned high, unsigned low)
{
    struct flow *f = (struct flow *)(((uintptr_t)high << 32) | (uintptr_t)low);
    struct run *run = f->run;

    after_switch(f);
    f->ok = f->body(run, f->arg, &f->value);
    if (!f->ok && run->in.completion == COMPLETION_THROW)
        f->error = interp_catch(&run->in);
    else
        f->ok = true; /* `return` at the end of a branch */
    run_log_flush(run);
    strbuf_done(&run->line);
    f->state = FLOW_ENDED;
    flow_wake(f->maker);
    run_others(run->flows);
    abort();
}

/* Apart: getcontext() may return twice, as far as the compiler knows. */
__attribute__((noinline)) static void
make_context(struct flow *f)
{
    if (getcontext(&f->context) != 0)
        abort();
    f->context.uc_stack.ss_sp = f->stack;
    f->context.uc_stack.ss_size = FLOW_STACK_SIZE;
    f->context.uc_link = NULL;
    makecontext(&f->context, (void (*)(void))flow_start, 2, (unsigned)((uintptr_t)f >> 32),
                (unsigned)(uintptr_t)f);
}

struct flow *
flow_new(struct run *run, const char *path, struct str branch, flow_body *body, void *arg)
{
    struct flow_set *set = run->flows;
    struct flow *f, *maker = set->current;
    void *stack = set->count < FLOWS_MAX ? stack_take(set) : NULL;

    if (stack == NULL) {
        interp_throw(&run->in, NULL, "OutOfMemoryError",
                     "a build has at most %u parallel branches at a time", FLOWS_MAX);
        return NULL;
    }
    f = mem_new(sizeof(*f));
    *f = (struct flow){.run = run, .maker = maker, .path = path, .body = body, .arg = arg};
    f->stack = stack;
    f->stack_low = stack;
    f->stack_size = FLOW_STACK_SIZE;
    run_log_flush(run);
    save(run, &f->saved);
    f->saved.run_line = (struct strbuf){0};
    f->saved.run_past = NULL;
    f->saved.run_acts = false;
    f->saved.run_files = ++set->made << 16;
    f->saved.run_branch = branch;
    f->saved.in_depth = 0;
    f->saved.in_entered = 0;
    f->saved.in_completion = COMPLETION_NONE;
    f->saved.in_thrown = NULL;
    f->saved.in_stack_end = (const char *)stack + FLOW_STACK_MARGIN;
#if defined(__SANITIZE_THREAD__)
    f->fiber = __tsan_create_fiber(0);
#endif
    make_context(f);
    add(set, f);
    return f;
}

void
flow_run(struct flow *f)
{
    switch_to(f); /* the caller is ready: it goes on as soon as this one waits or ends */
}

void
flow_free(struct flow *f)
{
    struct flow_set *set;

    if (f == NULL)
        return;
    set = f->run->flows;
    take_out(set, f);
    if (f->maker != NULL) {
        assert(f->state == FLOW_ENDED);
        stack_give(set, f->stack);
#if defined(__SANITIZE_THREAD__)
        __tsan_destroy_fiber(f->fiber);
#endif
    } else {
        assert(set->count == 0);
        while (set->stack_count > 0)
            munmap(set->stacks[--set->stack_count], FLOW_STACK_SIZE);
        f->run->flows = NULL;
        free(set->fds);
        free(set);
    }
    free(f);
}

bool
flow_has_ended(const struct flow *f)
{
    return f->state == FLOW_ENDED;
}

bool
flow_outcome(const struct flow *f, struct value *out, struct exception **error)
{
    *out = f->value;
    *error = f->error;
    return f->error == NULL;
}

void
flow_inherit(struct run *run, const struct flow *from)
{
    if (from->saved.run_abort_fired > run->abort_fired)
        run->abort_fired = from->saved.run_abort_fired;
    if (from->saved.run_abort_grace_ms > run->abort_grace_ms)
        run->abort_grace_ms = from->saved.run_abort_grace_ms;
    for (const struct fired *f = from->saved.run_fired; f != NULL; f = f->next)
        for (const struct deadline *d = run->deadlines; d != NULL; d = d->outer)
            if (d == f->deadline)
                run_note_fired(run, d, f->grace_ms)->count = f->count;
}

void
flow_interrupt(struct flow *f, struct str why)
{
    struct flow_set *set = f->run->flows;

    if (f->state == FLOW_ENDED)
        return;
    f->interrupts++;
    f->why = why;
    for (struct flow *i = set->first; i != NULL; i = i->next) /* it and all below it look up */
        flow_wake(i);
}

unsigned
flow_interrupts(const struct run *run, struct str *why)
{
    unsigned count = 0;

    *why = STR("");
    for (const struct flow *f = run->flows->current; f != NULL; f = f->maker) {
        count += f->interrupts;
        if (why->len == 0)
            *why = f->why;
    }
    return count;
}

const char *
flow_path(const struct run *run)
{
    return run->flows->current->path;
}

unsigned
flow_next_step(struct run *run)
{
    return ++run->flows->current->steps;
}

unsigned
flow_steps(const struct run *run)
{
    return run->flows->current->steps;
}

void
flow_step_back(struct run *run, unsigned steps)
{
    assert(steps <= run->flows->current->steps);
    run->flows->current->steps = steps;
}

void
flow_rest(struct run *run, bool runs_on)
{
    run->flows->current->rests = true;
    run->flows->current->runs_on = runs_on;
}

void
flow_rested(struct run *run)
{
    run->flows->current->rests = run->flows->current->runs_on = false;
}

bool
flow_all_rest(const struct run *run, bool *runs_on_out)
{
    *runs_on_out = false;
    for (const struct flow *f = run->flows->first; f != NULL; f = f->next) {
        if (!f->rests && f->state != FLOW_ENDED)
            return false;
        *runs_on_out |= f->runs_on;
    }
    return true;
}

struct flow *
flow_current(const struct run *run)
{
    return run->flows->current;
}
