/* SPDX-License-Identifier: MIT */
/* task_runner.c - one task on its way from PENDING to STOPPED.
 * Level-triggered: whatever happens (an event, a job's end, a timer, an order) changes a few fields and
 * calls runner_advance(), which looks at all containers and posts the jobs that are due.  Each container
 * has at most one job under way.  So an event that comes twice, late or never does no harm, and after a
 * lost connection the same code goes on from what an inspection says.
 *
 * A container that is signalled gets the image's stop signal, then SIGKILL after stopTimeout; this is
 * done with kill calls and a timer, because Docker's own stop call would hold a thread for as long. */
#include <stdio.h>
#include "agent/internal.h"
#include "base/clock.h"

#define KILL_AGAIN_MS 10000
#define NEVER INT64_MAX

struct runner_container *
runner_at(struct runner *r, int index)
{
    return &r->containers[index];
}

static int
total(const struct runner *r)
{
    return r->has_pause ? PAUSE_INDEX + 1 : r->count;
}

/* Walks the containers, and the pause container at last if there is one. */
#define EACH_CONTAINER(r, i)                                                                       \
    for (int i = 0; (i) < total(r); (i) = (i) + 1 == (r)->count && (r)->has_pause ? PAUSE_INDEX : (i) + 1)

/* ---- what is due ---- */

static void
begin_job(struct runner_container *c)
{
    c->is_busy = true;
    c->health_is_newer = false;
}

static void
dispatch(struct runner *r, int index, job_work *work, job_done *done, struct crew *crew)
{
    struct runner_container *c = runner_at(r, index);
    struct job *job = job_new(r->agent, r, index, work, done);

    begin_job(c);
    memcpy(job->id, c->id, sizeof(job->id));
    if (work == job_image)
        job->is_cancelled = &r->cancels_pulls;
    job_post(job, crew);
}

static void
send_signal(struct runner *r, int index, const char *name)
{
    struct runner_container *c = runner_at(r, index);
    struct job *job = job_new(r->agent, r, index, job_signal, outcome_signal);

    begin_job(c);
    memcpy(job->id, c->id, sizeof(job->id));
    (void)text_copy(job->signal, sizeof(job->signal), str_of(name));
    job_post(job, r->agent->quick);
}

static bool
wants_stop(const struct runner *r)
{
    /* Without its pause container a task has lost its network. */
    if (r->is_stopping || (r->has_pause && r->containers[PAUSE_INDEX].is_stopped))
        return true;
    for (int i = 0; i < r->count; i++)
        if (r->containers[i].plan.is_essential && r->containers[i].is_stopped)
            return true;
    return runner_all_stopped(r);
}

/* Or the end of the line, if it does not stand there. */
static struct runner **
place_in_line(const struct runner *r)
{
    struct runner **at = &r->agent->line;

    while (*at != NULL && *at != r)
        at = &(*at)->next_in_line;
    return at;
}

static void
leave_line(struct runner *r)
{
    struct runner **at = place_in_line(r);

    if (*at == r)
        *at = TAKE(r->next_in_line);
}

static bool
may_look(const struct runner *r)
{
    return r->agent->looks < (wants_stop(r) ? LOOKS_ENDING_MAX : LOOKS_MAX);
}

void
runner_looked(struct agent *agent)
{
    struct runner **at = &agent->line;

    agent->looks--;
    while (*at != NULL) {
        struct runner *r = *at;

        if (!may_look(r)) {
            at = &r->next_in_line;
            continue;
        }
        leave_line(r);
        runner_advance(r);
        at = &agent->line; /* it may have changed */
    }
}

/* Or when others are done: it is not busy with it until then, and can be signalled. */
static void
look(struct runner *r, int index)
{
    if (!may_look(r)) {
        *place_in_line(r) = r;
        return;
    }
    r->agent->looks++;
    runner_at(r, index)->needs_inspect = false;
    dispatch(r, index, job_inspect, outcome_inspect, r->agent->quick);
}

/* Does anything that depends on `index` still live?  Then it is not yet its turn to stop. */
static bool
is_needed(const struct runner *r, int index)
{
    for (int i = 0; i < r->count; i++)
        for (int d = 0; !r->containers[i].is_stopped && d < r->containers[i].plan.dependency_count; d++)
            if (r->containers[i].plan.dependencies[d].container == index)
                return true;
    return false;
}

static void
advance_stop(struct runner *r, int index, int64_t now)
{
    struct runner_container *c = runner_at(r, index);

    if (c->is_stopped || c->is_busy)
        return;
    if (c->may_exist || (c->needs_inspect && !c->is_running)) { /* is it there, and does it run? */
        if (now >= c->retry_at_ms)
            look(r, index);
        return;
    }
    if (!c->is_running) {
        runner_container_stopped(r, c); /* never started: nothing to signal, no exit code */
        return;
    }
    if (index == PAUSE_INDEX ? !runner_all_stopped(r) : is_needed(r, index))
        return;
    if (index == PAUSE_INDEX) {
        if (c->signalled_at_ms == 0 || now >= c->kill_at_ms) {
            c->signalled_at_ms = now;
            c->kill_at_ms = now + KILL_AGAIN_MS;
            send_signal(r, index, "SIGKILL"); /* it has nothing to finish */
        }
    } else if (c->signalled_at_ms == 0) {
        c->signalled_at_ms = now;
        c->kill_at_ms = now + (c->plan.stop_timeout_s > 0 ? c->plan.stop_timeout_s : 1) * 1000LL;
        send_signal(r, index, c->stop_signal);
    } else if (now >= c->kill_at_ms) {
        c->kill_at_ms = now + KILL_AGAIN_MS;
        send_signal(r, index, "SIGKILL");
    }
}

enum verdict { WAIT, READY, IMPOSSIBLE };

static enum verdict
judge(const struct runner *r, const struct dependency *d, int64_t now)
{
    const struct runner_container *on = &r->containers[d->container];
    const bool is_late = on->is_running && now - on->started_at_ms >= on->plan.start_timeout_s * 1000LL;

    switch (d->condition) {
    case DEPENDS_CREATE: return on->id[0] != '\0' ? READY : on->is_stopped ? IMPOSSIBLE : WAIT;
    case DEPENDS_START: return on->has_run ? READY : on->is_stopped ? IMPOSSIBLE : WAIT;
    case DEPENDS_COMPLETE:
        if (on->is_stopped)
            return on->has_run ? READY : IMPOSSIBLE;
        break;
    case DEPENDS_SUCCESS:
        if (on->is_stopped)
            return on->has_exit_code && on->exit_code == 0 ? READY : IMPOSSIBLE;
        break;
    case DEPENDS_HEALTHY:
        if (on->is_stopped)
            return IMPOSSIBLE;
        if (on->is_running && on->health == HEALTH_HEALTHY)
            return READY;
        break;
    }
    return is_late ? IMPOSSIBLE : WAIT;
}

static enum verdict
judge_all(struct runner *r, struct runner_container *c, int64_t now)
{
    static const char *const words[] = {"be created", "start", "complete", "succeed", "become healthy"};
    enum verdict all = READY;

    for (int i = 0; i < c->plan.dependency_count; i++) {
        const struct dependency *d = &c->plan.dependencies[i];
        const enum verdict one = judge(r, d, now);

        if (one == IMPOSSIBLE) {
            char reason[REASON_SIZE];

            (void)snprintf(reason, sizeof(reason), "CannotStartContainerError: dependency '%s' did not %s",
                           r->containers[d->container].plan.name, words[d->condition]);
            c->has_exit_code = true; /* as ECS shows it, though it never ran */
            c->exit_code = 143;
            runner_container_failed(r, c, reason);
            return IMPOSSIBLE;
        }
        all = one == WAIT ? WAIT : all;
    }
    return all;
}

static void
advance_start(struct runner *r, int index, int64_t now)
{
    struct runner_container *c = runner_at(r, index);

    if (c->is_stopped || c->is_busy || c->is_running || c->needs_inspect || now < c->retry_at_ms)
        return; /* or it stands in line: first see what there is */
    if (!c->has_image) { /* all images come first, also while a dependency runs */
        if (r->pull_started_at_ms == 0)
            r->pull_started_at_ms = clock_wall_ms();
        dispatch(r, index, job_image, outcome_image, r->agent->pullers);
        return;
    }
    if (judge_all(r, c, now) == READY && r->is_prepared)
        dispatch(r, index, job_run, outcome_run, r->agent->workers);
}

static void
advance_prepare(struct runner *r, int64_t now)
{
    bool is_waiting = false;

    for (int i = 0; i < r->count; i++)
        is_waiting = is_waiting || (!r->containers[i].is_running && !r->containers[i].is_stopped);
    if (!is_waiting || r->is_prepared || r->is_preparing || now < r->prepare_retry_at_ms)
        return; /* adopted whole: nothing will be started */
    if (!r->needs_preparing) {
        r->is_prepared = true;
        return;
    }
    /* One at a time until it exists: Docker would make two networks of one name. */
    if (container_spec_is_awsvpc(r->task) && r->agent->network_state == NETWORK_MAKING)
        return;
    struct job *job = job_new(r->agent, r, PAUSE_INDEX, job_prepare, outcome_prepare);
    job->makes_network = container_spec_is_awsvpc(r->task) && r->agent->network_state == NETWORK_UNKNOWN;
    if (job->makes_network)
        r->agent->network_state = NETWORK_MAKING;
    r->is_preparing = true;
    job_post(job, r->agent->workers);
}

/* Looks which of the task's containers Docker has already. */
static void
find_containers(struct runner *r)
{
    r->is_found = true;
    EACH_CONTAINER(r, i) {
        struct runner_container *c = runner_at(r, i);
        const struct json *row = adopt_find(r->agent, c->plan.docker_name);

        if (c->is_stopped || c->id[0] != '\0')
            continue;
        if (row != NULL && strcmp(json_get_cstr(json_get(row, "Labels"), LABEL_TASK, ""), r->id) == 0) {
            (void)text_copy(c->id, sizeof(c->id), str_of(json_get_cstr(row, "Id", "")));
            c->needs_inspect = true;
        } else if (r->task->only_adopt && i != PAUSE_INDEX) {
            runner_container_failed(r, c, r->task->refusal[0] != '\0' ? r->task->refusal
                                                                      : "DockerStateError: the container is gone");
        }
    }
}

/* A start that has waited too long for Docker has failed, if nothing of it can exist. */
static void
advance_unreachable(struct runner *r, int64_t now)
{
    bool is_untouched = !r->task->only_adopt && !r->task->is_repeated && r->jobs == 0;

    EACH_CONTAINER(r, i) {
        const struct runner_container *c = runner_at(r, i);
        is_untouched = is_untouched && c->id[0] == '\0' && !c->may_exist && !c->has_run;
    }
    if (!is_untouched || runner_all_stopped(r))
        return;
    const int64_t since =
        r->made_at_ms > r->agent->down_since_ms ? r->made_at_ms : r->agent->down_since_ms;
    if (!r->is_stopping && now - since < r->agent->config.unreachable_ms)
        return;
    if (!r->is_stopping)
        r->is_infrastructure = true;
    for (int i = 0; i < r->count; i++)
        if (r->is_stopping)
            runner_container_stopped(r, runner_at(r, i));
        else
            runner_container_failed(r, runner_at(r, i), "DockerTimeoutError: Docker Engine does not answer");
}

static void
set_timer(struct runner *r, int64_t now)
{
    int64_t next = NEVER;

#define EARLIER(t) next = (t) > now && (t) < next ? (t) : next
    EARLIER(r->prepare_retry_at_ms);
    if (r->agent->link != LINK_UP) {
        const int64_t since = r->made_at_ms > r->agent->down_since_ms ? r->made_at_ms : r->agent->down_since_ms;
        EARLIER(since + r->agent->config.unreachable_ms);
    }
    EACH_CONTAINER(r, i) {
        const struct runner_container *c = runner_at(r, i);

        if (c->is_stopped)
            continue;
        EARLIER(c->retry_at_ms);
        EARLIER(c->kill_at_ms);
        if (c->is_running) /* somebody may depend on it in time */
            EARLIER(c->started_at_ms + c->plan.start_timeout_s * 1000LL);
    }
#undef EARLIER
    if (next == NEVER)
        loop_timer_clear(r->timer);
    else
        loop_timer_set(r->timer, next - now);
}

static void
advance_linked(struct runner *r, int64_t now)
{
    bool is_looking = false;

    if (!r->is_found)
        find_containers(r);
    EACH_CONTAINER(r, i) {
        struct runner_container *c = runner_at(r, i);

        if (c->needs_inspect && !c->is_busy && !c->is_stopped && now >= c->retry_at_ms)
            look(r, i);
        is_looking = is_looking || (!c->is_stopped && c->id[0] != '\0' && !c->has_run && (c->is_busy || c->needs_inspect));
    }
    if (is_looking && !r->is_prepared)
        return; /* first see what there is, then decide */
    /* A container that stops may end the task or let others go on: twice is enough to see both. */
    if (!wants_stop(r)) {
        advance_prepare(r, now);
        for (int i = 0; i < r->count; i++)
            advance_start(r, i, now);
    }
    if (wants_stop(r)) {
        atomic_store(&r->cancels_pulls, true);
        /* Last to first, over and over: stopping one may free what it depended on. */
        for (int round = 0; round < r->count; round++)
            for (int i = r->count - 1; i >= 0; i--)
                advance_stop(r, i, now);
        if (r->has_pause)
            advance_stop(r, PAUSE_INDEX, now);
    }
}

/* Is what it knows still being looked at?  An end of something is said at once. */
static bool
is_looking(struct runner *r)
{
    bool is_looking = false;

    EACH_CONTAINER(r, i) {
        const struct runner_container *c = runner_at(r, i);
        is_looking = is_looking || (!c->is_stopped && c->id[0] != '\0' && (c->needs_inspect || c->recheck || c->is_busy));
    }
    r->looks_first = r->looks_first && is_looking && !wants_stop(r);
    return r->looks_first;
}

void
runner_advance(struct runner *r)
{
    const int64_t now = clock_monotonic_ms();

    if (r->is_forgotten)
        return;
    if (r->agent->link == LINK_UP)
        advance_linked(r, now);
    else
        advance_unreachable(r, now);
    set_timer(r, now);
    if (r->is_dirty && !is_looking(r))
        runner_report(r);
}

/* ---- events and the link ---- */

void
runner_event(struct runner *r, const struct docker_event *event)
{
    bool is_known = false;

    EACH_CONTAINER(r, i) {
        struct runner_container *c = runner_at(r, i);

        if (strcmp(c->id, event->id) != 0)
            continue;
        is_known = true;
        if (event->type == DOCKER_HEALTH && c->is_running && c->plan.has_health_check) {
            r->is_dirty = r->is_dirty || c->health != event->health;
            c->health = event->health;
            c->health_is_newer = c->is_busy;
        } else if (event->type == DOCKER_START && (c->is_running || c->is_busy)) {
            continue; /* our own start, or its echo */
        } else if (!c->is_stopped) {
            c->recheck = c->is_busy;
            c->needs_inspect = !c->is_busy;
        }
    }
    /* Of a container whose creation has not come home yet: look again when it has. */
    if (!is_known && event->type != DOCKER_START)
        EACH_CONTAINER(r, i)
            if (runner_at(r, i)->is_busy && runner_at(r, i)->id[0] == '\0')
                runner_at(r, i)->recheck = true;
    runner_advance(r);
}

void
runner_look(struct runner *r)
{
    r->looks_first = true;
    EACH_CONTAINER(r, i) {
        struct runner_container *c = runner_at(r, i);

        if (c->is_stopped || c->id[0] == '\0')
            continue;
        c->recheck = c->recheck || c->is_busy;
        c->needs_inspect = c->needs_inspect || !c->is_busy;
    }
}

void
runner_lost(struct runner *r)
{
    r->is_found = false;
    runner_look(r);
    EACH_CONTAINER(r, i)
        runner_at(r, i)->was_running_when_lost = runner_at(r, i)->is_running;
}

/* ---- life ---- */

static void
on_timer(void *arg)
{
    runner_advance(arg);
}

static bool
plan_all(struct runner *r, const struct spec_host *host, struct err *err)
{
    struct container_plan plans[CONTAINERS_MAX];

    for (int i = 0; i < r->count; i++) {
        struct container_plan *plan = &plans[i];
        cleanup_json struct json *spec = NULL;

        if (!container_spec_plan(r->task, i, host, plan, err))
            return false;
        r->containers[i].plan = *plan;
        r->containers[i].has_image = !plan->pulls_always;
        memcpy(r->containers[i].digest, plan->image.digest, sizeof(plan->image.digest));
        /* What cannot be built is said before anything is pulled or started. */
        spec = container_spec_create(r->task, i, plan->image.full, /* ports= */ NULL, /* secrets= */ NULL, host, err);
        if (spec == NULL)
            return false;
    }
    cleanup_json struct json *volumes = container_spec_volumes(r->task, host, err);
    return volumes != NULL && container_spec_check_order(plans, r->count, err);
}

struct runner *
runner_new(struct agent *agent, struct agent_task *task)
{
    struct runner *r = mem_new(sizeof(*r));
    const struct spec_host host = {.installation = agent->config.installation,
                                   .home = agent_image_home(&agent->config),
                                   .network = agent->network};
    struct err err = {0};

    r->agent = agent;
    r->task = task;
    memcpy(r->id, task->id, sizeof(r->id));
    r->count = container_spec_count(task);
    r->made_at_ms = clock_monotonic_ms();
    r->timer = loop_timer_new(agent->loop, on_timer, r);
    r->has_pause = container_spec_needs_pause(task);
    r->needs_preparing = r->has_pause || container_spec_is_awsvpc(task) || container_spec_has_secrets(task) ||
                         json_size(json_get(task->definition, "volumes")) > 0;
    r->is_dirty = true;
    if (r->has_pause) {
        struct container_plan *plan = &r->containers[PAUSE_INDEX].plan;

        (void)text_copy(plan->name, sizeof(plan->name), STR(PAUSE_NAME));
        container_spec_docker_name(task, PAUSE_NAME, 0, plan->docker_name);
        plan->start_timeout_s = START_TIMEOUT_DEFAULT_S;
    }
    if (!plan_all(r, &host, &err)) {
        (void)snprintf(r->reason, sizeof(r->reason), "%s%.900s",
                       str_starts(str_of(err.message), STR("ResourceInitializationError")) ? "" : "CannotCreateContainerError: ",
                       err.message);
        for (int i = 0; i < r->count; i++)
            runner_container_failed(r, runner_at(r, i), r->reason);
    }
    return r;
}

void
runner_free(struct runner *r)
{
    if (r == NULL)
        return;
    leave_line(r);
    loop_timer_free(r->timer);
    agent_task_free(r->task);
    free(r);
}
