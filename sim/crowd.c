/* SPDX-License-Identifier: MIT */
/* crowd.c - the course of a large world: people and faults for a quarter of an hour, then hours in which all
 * has to come to rest. */
#include "crowd.h"
#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define SETTLE_MS (8LL * 3600 * 1000)
#define STEPS_MAX 20000000
#define FAULT_KINDS 15
#define RECKON_STEPS 20000 /* everything is compared with the core after so many */

/* ---- telling ---- */

static void
keep_line(struct crowd *w, int service, const char *text)
{
    struct crowd_story *story = &w->stories[service < 0 ? w->service_count : service];
    struct crowd_line *line = &story->lines[story->count++ % CROWD_STORY];

    line->at_ms = w->now_ms;
    line->order = w->lines_told++;
    text_copy(line->text, sizeof(line->text), str_of(text));
    if (w->traces)
        printf("%9lld %s %s\n", (long long)(w->now_ms - w->start_ms),
               service < 0 ? "-" : w->services[service].name, text);
}

void
crowd_tell(struct crowd *w, int service, const char *format, ...)
{
    char text[sizeof(((struct crowd_line *)0)->text)];
    va_list args;

    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    keep_line(w, service, text);
}

/* What is left of a service's story, and of everybody's in between. */
static void
print_story(const struct crowd *w, int service)
{
    const struct crowd_story *stories[2] = {&w->stories[w->service_count],
                                            service < 0 ? NULL : &w->stories[service]};
    int at[2] = {0, 0};

    for (int i = 0; i < 2; i++)
        at[i] = stories[i] == NULL || stories[i]->count < CROWD_STORY ? 0 : stories[i]->count - CROWD_STORY;
    for (;;) {
        const struct crowd_line *next = NULL;
        int from = 0;
        for (int i = 0; i < 2; i++) {
            const struct crowd_line *line =
                stories[i] == NULL || at[i] == stories[i]->count ? NULL : &stories[i]->lines[at[i] % CROWD_STORY];
            if (line != NULL && (next == NULL || line->order < next->order)) {
                next = line;
                from = i;
            }
        }
        if (next == NULL)
            return;
        at[from]++;
        printf("  %9lld %s\n", (long long)(next->at_ms - w->start_ms), next->text);
    }
}

void
crowd_fail(struct crowd *w, int service, const char *format, ...)
{
    va_list args;

    if (w->has_failed)
        return; /* the first one is the cause */
    w->has_failed = true;
    va_start(args, format);
    vsnprintf(w->failure, sizeof(w->failure), format, args);
    va_end(args);
    crowd_tell(w, service, "VIOLATION %s", w->failure);
    print_story(w, service);
}

void
crowd_complain(struct crowd *w, int service, bool is_well, const struct complaint *complaint)
{
    if (!is_well)
        crowd_fail(w, service, "%s", complaint->text);
}

int64_t
crowd_naru_now(const struct crowd *w)
{
    return w->now_ms + w->skew_ms;
}

struct json *
crowd_parse(const char *text)
{
    struct err err;
    struct json *doc = json_parse(str_of(text), &err);

    assert(doc != NULL);
    return doc;
}

/* ---- steps ---- */

/* The store refuses from now on: what is decided is neither performed nor told to anybody. */
static void
commits_begin_to_fail(struct crowd *w)
{
    w->commit_fails_next = false;
    if (w->store_is_away)
        return;
    crowd_tell(w, -1, "commits fail");
    w->sum.failed_commits++;
    w->store_is_away = true;
    w->kept_task_count = w->task_count;
    w->kept_completed_count = w->completed.count;
    effects_clear(&w->effects);
    happen(w, w->now_ms + between(w, 1, 8) * 1000, STORE_BACK, 0)->generation = w->epoch;
}

static bool
step(struct crowd *w, const struct event *event)
{
    const int dies = w->dies_next;
    int first;

    w->dies_next = 0;
    if (w->commit_fails_next)
        commits_begin_to_fail(w);
    if (!w->store_is_away)
        effects_clear(&w->effects);
    first = w->effects.count;
    still_looks(&w->still, w->core, crowd_naru_now(w), w->now_ms);
    core_step(w->core, event, crowd_naru_now(w), &w->effects);
    w->steps++;
    if (dies == 1 || (dies != 0 && w->store_is_away)) { /* not committed: it never happened */
        crowd_naru_dies(w, /* is_committed= */ false);
        return false;
    }
    crowd_told(w, event);
    crowd_judge(w, first);
    if (w->store_is_away) {
        crowd_judge_services(w, first);
        return true;
    }
    crowd_rows_commit(w);
    crowd_count_outcomes(w);
    if (dies != 2)
        crowd_perform(w);
    crowd_judge_services(w, 0);
    if (dies != 0)
        crowd_naru_dies(w, /* is_committed= */ true);
    else if (w->steps % RECKON_STEPS == 0)
        crowd_reckon(w);
    return true;
}

bool
crowd_step(struct crowd *w, const struct event *event)
{
    struct event still;

    if (fate_stood_still(w->core, w->still.look_ms, crowd_naru_now(w), &still) && (!step(w, &still) || w->core == NULL))
        return false;
    return step(w, event);
}

/* As the engine tries again: all that gathered is committed, then performed; nothing is stopped by orders
 * as old as those to take it out of traffic. */
static void
store_returns(struct crowd *w, uint32_t epoch)
{
    static const struct event late = {.type = EVENT_ORDERS_LATE};

    if (!w->store_is_away || epoch != w->epoch)
        return;
    crowd_tell(w, -1, "commits work again");
    w->store_is_away = false;
    crowd_book_forget(w);
    crowd_rows_commit(w);
    crowd_count_outcomes(w);
    for (int i = 0; i < w->effects.count; i++) {
        if (w->effects.at[i].type == EFFECT_TASK_STOP)
            w->effects.at[i].type = EFFECT_PERSIST;
    }
    crowd_perform(w);
    (void)crowd_step(w, &late);
}

/* ---- faults ---- */

static void
draw_faults(struct crowd *w)
{
    static const struct crowd_faults most = {
        .lost = 300, .late = 800, .repeated = 800, .refuses = 200, .image_fails = 800, .hangs = 50,
        .image_gone = 100, .clock_set = 3000, .naru_dies = 350, .commit_fails = 600,
        .host_dies = 5000, .flakes = 5000, .container_lost = 8000, .haproxy_restarts = 500,
        .naru_stalls = 300};
    int *to = &w->faults.lost;
    const int *from = &most.lost;

    static_assert(sizeof(most) == FAULT_KINDS * sizeof(int), "all of them are drawn");
    /* Some worlds are calm in a respect, so that no fault hides another's bug. */
    for (int i = 0; i < FAULT_KINDS; i++)
        to[i] = chance(w, 2500) ? 0 : (int)between(w, 1, from[i]);
}

static void
flake(struct crowd *w)
{
    for (int n = (int)between(w, 1, 10); n > 0 && w->task_count > 0; n--) {
        struct crowd_task *t = w->tasks[between(w, 0, w->task_count - 1)];
        if (!t->target.is_registered || t->target.is_draining || t->state != UP)
            continue;
        t->target.generation++;
        t->target.state = TARGET_initial; /* whatever it was: the verdict comes anew, and late */
        crowd_verdict(w, t);
    }
}

static void
stall(struct crowd *w)
{
    if (w->now_ms < w->stalled_until_ms)
        return;
    w->sum.stalls++;
    w->stalled_until_ms = w->now_ms + between(w, 1, chance(w, 2000) ? 600 : 60) * 1000;
    still_begin(&w->still, crowd_naru_now(w), w->now_ms, w->stalled_until_ms);
    crowd_tell(w, -1, "naru stands still for %lld ms",
               (long long)(w->stalled_until_ms - w->now_ms));
}

static void
fault(struct crowd *w)
{
    if (chance(w, w->faults.host_dies)) {
        const int count = chance(w, 500) ? w->host_count / 30 + 1 : 1; /* a rack */
        for (int i = 0, first = (int)between(w, 0, w->host_count - count); i < count; i++)
            crowd_host_dies(w, first + i);
    }
    if (chance(w, w->faults.flakes))
        flake(w);
    if (chance(w, w->faults.commit_fails))
        w->commit_fails_next = true;
    if (chance(w, w->faults.naru_dies))
        w->dies_next = (int)between(w, 1, 3);
    if (chance(w, w->faults.container_lost))
        crowd_container_lost(w);
    if (chance(w, w->faults.haproxy_restarts))
        crowd_haproxy_restarts(w);
    if (chance(w, w->faults.naru_stalls))
        stall(w);
    if (w->acts_left > 0)
        happen(w, w->now_ms + between(w, 500, 8000), FAULT, 0);
}

/* ---- the course ---- */

static void
deliver(struct crowd *w, struct report *r)
{
    if (w->core != NULL && r->epoch == w->epoch)
        (void)crowd_step(w, &r->event);
    report_free(r);
}

static void
happened(struct crowd *w, const struct happening *h)
{
    if (w->now_ms < w->stalled_until_ms && fate_put_off(&w->fate, h, w->stalled_until_ms))
        return;
    switch (h->kind) {
    case DELIVER:
        deliver(w, h->report);
        break;
    case DOCKER:
        if (h->generation == h->task->generation)
            crowd_docker_happened(w, h->task);
        break;
    case PROBE:
        if (h->generation == h->task->target.generation)
            crowd_verdict(w, h->task);
        break;
    case DRAIN_END:
        if (h->generation == h->task->target.generation)
            crowd_drain_ended(w, h->task);
        break;
    case WEIGHTS:
        if (h->generation == w->epoch && w->core != NULL)
            crowd_weights_set(w, h->index);
        break;
    case OPERATOR:
        crowd_operator_acts(w);
        break;
    case FAULT:
        fault(w);
        break;
    case DOCKER_BACK:
        crowd_host_returns(w, h->index);
        break;
    case NARU_BACK:
        crowd_naru_returns(w);
        break;
    case STORE_BACK:
        store_returns(w, h->generation);
        break;
    case TRAFFIC:
    case REQUEST_END:
        assert(false); /* requests are not counted one by one here */
    }
}

/* One happening, or the core's own deadline if that comes first. */
static bool
advance(struct crowd *w)
{
    static const struct event clock = {.type = EVENT_CLOCK};
    const int64_t due_ms = deadline_due_ms(w->core, &w->still, w->skew_ms, w->stalled_until_ms);
    struct happening h;

    if (w->has_failed || w->steps >= STEPS_MAX || (w->fate.count == 0 && due_ms == INT64_MAX))
        return false;
    if (w->fate.count == 0 || due_ms < w->fate.heap[0].at_ms) {
        w->now_ms = due_ms > w->now_ms ? due_ms : w->now_ms;
        (void)crowd_step(w, &clock);
        return true;
    }
    h = fate_take(&w->fate);
    w->now_ms = h.at_ms;
    happened(w, &h);
    return true;
}

static void
settle(struct crowd *w)
{
    const int64_t end_ms = w->now_ms + SETTLE_MS;
    char why[256] = "";
    int service = -1;

    while (!w->has_failed) {
        const int64_t until_ms = w->now_ms + 30000;
        while (w->now_ms < until_ms && advance(w))
            ;
        if (w->has_failed || crowd_is_steady(w, why, sizeof(why), &service))
            return;
        if (w->now_ms >= end_ms || w->steps >= STEPS_MAX || (w->fate.count == 0 && w->now_ms < until_ms))
            crowd_fail(w, service, "promise 3: it does not settle: %s", why);
        text_copy(w->sum.last, sizeof(w->sum.last), str_of(why));
    }
}

static struct crowd *
crowd_new(uint64_t seed, const struct crowd_size *size, bool traces)
{
    struct crowd *w = mem_new(sizeof(*w));

    w->seed = seed;
    w->traces = traces;
    rng_seed(&w->fate.rng, seed);
    w->start_ms = w->now_ms = 1767000000000;
    still_begin(&w->still, w->now_ms, w->now_ms, w->stalled_until_ms);
    w->options = (struct core_options){.account = "000000000000", .default_region = "eu-west-1", .seed = seed,
                                       .start_timeout_ms = 2 * SETTLE_MS}; /* no way out for a start that got lost */
    w->core = core_new(&w->options);
    w->service_count = size->services;
    w->host_count = size->hosts;
    w->services = mem_new((size_t)size->services * sizeof(w->services[0]));
    w->hosts = mem_new((size_t)size->hosts * sizeof(w->hosts[0]));
    w->stories = mem_new(((size_t)size->services + 1) * sizeof(w->stories[0]));
    w->acts_left = size->services * 5 / 2; /* they are made, and then changed */
    return w;
}

static void
crowd_free(struct crowd *w)
{
    struct strmap *maps[] = {&w->services_by_arn, &w->services_by_listener, &w->groups, &w->hosts_by_arn,
                             &w->behaviours, &w->tasks_by_id, &w->tasks_by_target};

    fate_done(&w->fate);
    for (int i = 0; i < w->task_count; i++)
        free(w->tasks[i]);
    for (size_t i = 0; i < ARRAY_COUNT(maps); i++)
        strmap_done(maps[i]);
    crowd_rows_free(w);
    crowd_book_forget(w);
    completed_done(&w->completed);
    for (int i = 0; i < w->service_count; i++)
        free(w->services[i].sets);
    core_free(w->core);
    effects_done(&w->effects);
    free(w->undo);
    free(w->tasks);
    free(w->services);
    free(w->hosts);
    free(w->stories);
    free(w);
}

static void
print_sum(const struct crowd *w)
{
    printf("seed %llu: %d services on %d instances, up to %d tasks at once and %d ever, %llu steps in %lld simulated "
           "minutes;\n  deployments:", (unsigned long long)w->seed, w->service_count, w->host_count,
           w->sum.most_tasks, w->task_count, (unsigned long long)w->steps,
           (long long)(w->now_ms - w->start_ms) / 60000);
    for (int i = 0; i < SD_ENUM_SIZE; i++) {
        if (w->sum.outcomes[i] > 0)
            printf(" %llu %s", (unsigned long long)w->sum.outcomes[i], sd_status_name((enum sd_status)i));
    }
    printf(", %llu too slow, %llu taken back by a probation;\n"
           "  %llu hooks called and %llu tasks that are hooks, %llu task sets, %llu protections, "
           "%llu alarms, %llu changes of rules;\n",
           (unsigned long long)w->sum.late, (unsigned long long)w->sum.taken_back,
           (unsigned long long)w->sum.hook_calls, (unsigned long long)w->sum.hook_tasks,
           (unsigned long long)w->sum.sets, (unsigned long long)w->sum.protections,
           (unsigned long long)w->sum.alarms, (unsigned long long)w->sum.rules);
    printf("  naru died %llu times and stood still %llu times, its clock was set %llu times, "
           "commits failed %llu times, machines died %llu times\n",
           (unsigned long long)w->sum.deaths, (unsigned long long)w->sum.stalls,
           (unsigned long long)w->sum.clocks_set, (unsigned long long)w->sum.failed_commits,
           (unsigned long long)w->sum.dead_hosts);
    if (w->sum.last[0] != '\0')
        printf("  the last to rest: %s\n", w->sum.last);
    fflush(stdout);
}

bool
crowd_run(uint64_t seed, const struct crowd_size *size, bool traces, char *failure, size_t failure_size,
          unsigned long long *steps)
{
    struct crowd *w = crowd_new(seed, size, traces);
    bool is_well;

    crowd_make(w);
    draw_faults(w);
    happen(w, w->now_ms + 10, OPERATOR, 0);
    happen(w, w->now_ms + 2000, FAULT, 0);
    while (w->acts_left > 0 && advance(w))
        ;
    crowd_tell(w, -1, "faults end");
    w->faults = (struct crowd_faults){0};
    w->dies_next = 0;
    w->commit_fails_next = false;
    while ((w->core == NULL || w->store_is_away || w->now_ms < w->stalled_until_ms) && advance(w))
        ;
    w->operators_end_ms = w->now_ms;
    if (!w->has_failed)
        crowd_operators_finish(w);
    settle(w);
    if (!w->has_failed)
        crowd_reckon(w);
    print_sum(w);
    is_well = !w->has_failed;
    text_copy(failure, failure_size, str_of(w->failure));
    *steps += w->steps;
    crowd_free(w);
    return is_well;
}
