/* SPDX-License-Identifier: MIT */
/* The engine sees that naru itself stood still, and takes nothing else for that. */
#include <signal.h>
#include <sys/syscall.h>
#include <time.h>
#include "engine_setup.h"

static atomic_llong ahead_ms;   /* of the clock that goes on while the machine is suspended, and by which the engine goes */
static atomic_llong elapsed_ms; /* of both, that of the timers too */
static atomic_llong next_sync_takes_ms; /* by the clocks only */

int
clock_gettime(clockid_t id, struct timespec *out)
{
    const int result = (int)syscall(SYS_clock_gettime, id, out);
    int64_t more_ms = 0;

    if (id == CLOCK_BOOTTIME)
        more_ms = atomic_load(&ahead_ms) + atomic_load(&elapsed_ms);
    else if (id == CLOCK_MONOTONIC || id == CLOCK_MONOTONIC_COARSE)
        more_ms = atomic_load(&elapsed_ms);
    out->tv_nsec += (long)(more_ms % 1000) * 1000000;
    out->tv_sec += (time_t)(more_ms / 1000) + out->tv_nsec / 1000000000;
    out->tv_nsec %= 1000000000;
    return result;
}

/* SQLite's, of this program: a commit is durable when it returns. */
int
fdatasync(int fd)
{
    atomic_fetch_add(&elapsed_ms, atomic_exchange(&next_sync_takes_ms, 0));
    return fsync(fd);
}

struct look {
    struct late *late;
    bool was_unheard, is_unheard; /* before its own step, and behind it */
};

static void
look_and_step(void *arg, struct core *core, int64_t now_ms)
{
    struct look *k = arg;
    const struct task *t = core_task_by_id(core, k->late->task_id);

    k->was_unheard = t->is_unheard;
    step(k->late, (struct event){.type = EVENT_TASK_PROTECT, .task_protect = {.task_arn = t->arn}});
    k->is_unheard = t->is_unheard;
}

/* It comes late by minutes, as after SIGSTOP, and a request is what wakes it.  Between what that sees and its event
 * nothing may happen: a task that the door found could be forgotten. */
TEST(after_it_stood_still_it_asks_what_became_of_its_tasks_before_anybody_looks)
{
    struct world w = new_world();
    struct late l = {.engine = w.engine};
    struct look k = {.late = &l};
    int begun;

    CHECK(engine_run(w.engine, create_tasks, &l));
    CHECK(engine_run(w.engine, look_and_step, &k));
    CHECK(!k.was_unheard && !k.is_unheard);
    begun = atomic_load(&starts);
    atomic_store(&ahead_ms, 600000);
    CHECK(engine_run(w.engine, look_and_step, &k));
    CHECK(k.was_unheard && k.is_unheard);
    CHECK(engine_run(w.engine, look_and_step, &k));
    CHECK(atomic_load(&starts) > begun);
    end_world(&w);
}

/* Its next deadline is that of a start, in half a minute. */
TEST(it_sees_that_it_stood_still_also_before_anything_is_due)
{
    struct world w = new_world();
    struct late l = {.engine = w.engine};
    struct look k = {.late = &l};

    CHECK(engine_run(w.engine, create_tasks, &l));
    CHECK(engine_run(w.engine, look_and_step, &k));
    CHECK(!k.was_unheard);
    atomic_fetch_add(&ahead_ms, 10000);
    CHECK(engine_run(w.engine, look_and_step, &k));
    CHECK(k.was_unheard);
    end_world(&w);
}

static void
read_next_deadline(void *arg, struct core *core, int64_t now_ms)
{
    *(int64_t *)arg = core_deadline_ms(core) - now_ms;
}

/* Behind a commit that took until so long after the next deadline, or before it. */
static bool
is_unheard_behind_commit(int64_t beyond_ms)
{
    struct world w = new_world();
    struct late l = {.engine = w.engine};
    struct look k = {.late = &l};
    struct create create = {.engine = w.engine, .name = "slow"};
    int64_t due_in_ms = 0;

    CHECK(engine_run(w.engine, create_tasks, &l));
    CHECK(engine_run(w.engine, read_next_deadline, &due_in_ms));
    CHECK(due_in_ms > 20000);
    atomic_store(&next_sync_takes_ms, due_in_ms + beyond_ms);
    CHECK(engine_run(w.engine, create_cluster, &create));
    CHECK_EQ(atomic_load(&next_sync_takes_ms), 0);
    CHECK(engine_run(w.engine, look_and_step, &k));
    end_world(&w);
    return k.was_unheard;
}

/* The hands went on meanwhile, and what they have to say is queued; what is due already would be judged before that. */
TEST(a_commit_that_takes_long_is_a_standstill_only_if_something_came_due)
{
    CHECK(!is_unheard_behind_commit(-10000));
    CHECK(is_unheard_behind_commit(500));
}

static atomic_int refusals; /* of the disk: each is a try to commit */

static void
on_refusal(int signal_number)
{
    atomic_fetch_add(&refusals, 1);
}

/* Its next deadline is that of a start, in half a minute: nobody is late when it comes. */
TEST(while_commits_fail_deadlines_come_when_they_are_due)
{
    struct world w = new_world();
    struct late l = {.engine = w.engine};
    struct look k = {.late = &l};
    struct create create = {.engine = w.engine, .name = "lost-or-late"};

    CHECK(engine_run(w.engine, create_tasks, &l));
    CHECK(engine_run(w.engine, look_and_step, &k));
    signal(SIGXFSZ, on_refusal);
    set_file_limit(1024);
    CHECK(!engine_run(w.engine, create_cluster, &create));
    for (int i = 0; i < 40; i++) {
        const int before = atomic_load(&refusals);

        atomic_fetch_add(&elapsed_ms, 1050);
        while (atomic_load(&refusals) == before)
            CHECK(!engine_run(w.engine, look_and_step, &k)); /* wakes the loop up, whose timers see what time it is */
    }
    set_file_limit(RLIM_INFINITY);
    atomic_fetch_add(&elapsed_ms, 1050);
    while (!engine_run(w.engine, look_and_step, &k))
        continue;
    CHECK(!k.was_unheard);
    end_world(&w);
}
