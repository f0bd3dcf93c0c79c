/* SPDX-License-Identifier: MIT */
#include "core/hooks.h"
#include <assert.h>
#include <stdio.h>
#include "core/capacity.h"
#include "core/placement.h"
#include "core/rollout.h"
#include "core/said.h"
#include "core/task_lifecycle.h"

#define MINUTE_MS 60000LL
#define PAUSE_ID_HEAD "ecs-pause-"
#define PAUSE_ID_CHARS 43
#define ASK_CALL_MS (20 * MINUTE_MS) /* longer than the call of a URL may take */
#define ASK_PLACE_MS 10000           /* no instance took its task: tried again */
#define RETRY_MAX_MS 60000

/* ---- what it is ---- */

const struct json *
hooks_document(const struct service *s, const struct hook_run *run)
{
    return json_at(json_get(service_current(s)->config, "lifecycleHooks"), (size_t)run->hook);
}

const char *
hooks_target(const struct service *s, const struct hook_run *run)
{
    return json_get_cstr(hooks_document(s, run), "hookTargetArn", "");
}

static const struct hook_config *
config_of(const struct course *c, const struct hook_run *run)
{
    return &c->plan.hooks[run->hook];
}

static bool
is_waiting(const struct hook_run *run)
{
    return run->status == HOOK_AWAITING_ACTION || run->status == HOOK_IN_PROGRESS;
}

enum lifecycle_stage
hooks_stage(const struct course *c)
{
    return c->hook_stage != STAGE_NONE ? c->hook_stage : c->stage;
}

/* ---- beginning ---- */

/* The execution id of one that is called; of a PAUSE, as ECS names those. */
static void
name_run(struct core *core, struct hook_run *run)
{
    core_touch_meta(core);
    if (run->status != HOOK_AWAITING_ACTION) {
        rng_uuid(&core->rng, run->id);
        return;
    }
    memcpy(run->id, PAUSE_ID_HEAD, sizeof(PAUSE_ID_HEAD));
    rng_token(&core->rng, run->id + sizeof(PAUSE_ID_HEAD) - 1, PAUSE_ID_CHARS);
}

void
hooks_start(struct core *core, struct service *s, enum lifecycle_stage stage)
{
    struct course *c = &s->course;

    assert(hooks_are_over(c));
    c->has_hooks = true;
    c->hook_stage = stage;
    c->hook_count = 0;
    c->hook_note[0] = '\0';
    for (int i = 0; i < c->plan.hook_count; i++) {
        const struct hook_config *config = &c->plan.hooks[i];
        struct hook_run *run;
        if ((config->stages & 1 << stage) == 0)
            continue;
        run = &c->hooks[c->hook_count++];
        *run = (struct hook_run){.hook = i,
                                 .status = config->kind == HOOK_KIND_PAUSE ? HOOK_AWAITING_ACTION
                                                                           : HOOK_IN_PROGRESS,
                                 .expires_at_ms = core->now_ms + config->timeout_min * MINUTE_MS,
                                 .attempt = config->kind == HOOK_KIND_PAUSE ? 0 : 1};
        name_run(core, run);
    }
    core_touch_service(core, s);
}

/* ---- ending ---- */

static void
cancel(struct core *core, const struct hook_run *run, enum hook_kind kind)
{
    struct task *t = run->task_id[0] == '\0' ? NULL : core_task_by_id(core, run->task_id);

    if (t != NULL)
        task_stop(core, t, STOP_ServiceSchedulerInitiated,
                  "Lifecycle hook is not waited for any more");
    else if (kind == HOOK_KIND_URL || kind == HOOK_KIND_COMMAND)
        memcpy(core_emit(core, EFFECT_HOOK_CANCEL)->hook_cancel.hook_id, run->id, sizeof(run->id));
}

static void
end_run(struct core *core, struct service *s, struct hook_run *run, enum hook_status status)
{
    if (run->status == HOOK_IN_PROGRESS && status == HOOK_TIMED_OUT)
        cancel(core, run, config_of(&s->course, run)->kind);
    run->status = status;
    core_touch_service(core, s);
    core_queue(core, s);
}

/* `note` is what the deployment's reason will say of it, if it fails because of this one. */
static void
fail_run(struct core *core, struct service *s, struct hook_run *run, enum hook_status status,
         const char *why)
{
    struct course *c = &s->course;

    snprintf(c->hook_note, sizeof(c->hook_note), "%.150s: %.350s", hooks_target(s, run), why);
    said_event(core, s, "(service %s) lifecycle hook %.150s of stage %s %s: %s", s->name,
               hooks_target(s, run), lifecycle_stage_name(hooks_stage(c)),
               status == HOOK_TIMED_OUT ? "timed out" : "failed", why);
    end_run(core, s, run, status);
}

static void
expire(struct core *core, struct service *s, struct hook_run *run)
{
    struct course *c = &s->course;
    const struct hook_config *config = config_of(c, run);
    char why[512], last[400] = "";

    if (config->kind == HOOK_KIND_PAUSE) {
        end_run(core, s, run, HOOK_TIMED_OUT);
        return;
    }
    if (run->unreached > 0)
        snprintf(last, sizeof(last), "; last: %.390s", c->hook_note);
    snprintf(why, sizeof(why), "its %d minutes are over%s", config->timeout_min, last);
    fail_run(core, s, run, HOOK_TIMED_OUT, why);
}

/* ---- tasks ---- */

static bool
is_of_present_hooks(const struct service *s, const struct task *t)
{
    for (int i = 0; i < s->course.hook_count; i++) {
        if (strcmp(s->course.hooks[i].id, t->hook_id) == 0)
            return true;
    }
    return false;
}

/* Or of a service of that name before. */
static bool
is_hook_of(const struct task *t, const struct service *s)
{
    return t->hook_id[0] != '\0' && strcmp(t->service_name, s->name) == 0 &&
           strcmp(t->cluster_arn, s->cluster_arn) == 0;
}

/* Of a stage or a deployment that was left, and told to go: two migrations at once are what nobody
 * wants. */
static bool
has_older_tasks(const struct core *core, const struct service *s)
{
    for (const struct task *t = core->index->standalone; t != NULL; t = t->next_live) {
        if (is_hook_of(t, s) && t->last_status != TASK_STOPPED && !is_of_present_hooks(s, t))
            return true;
    }
    return false;
}

static struct task_definition *
definition_of(const struct core *core, const struct service *s, const struct hook_run *run)
{
    struct task_definition *td = strmap_get(&core->index->definitions, hooks_target(s, run));

    return td == NULL || td->status == TASK_DEFINITION_DELETE_IN_PROGRESS ? NULL : td;
}

/* The door saw that it was there, and what launch type the service had then. */
static void
check_definition(struct core *core, struct service *s, struct hook_run *run)
{
    const struct task_definition *td = definition_of(core, s, run);
    const enum launch_type type = service_primary(s)->revision->launch_type;

    if (td == NULL)
        fail_run(core, s, run, HOOK_FAILED, "the task definition does not exist any more");
    else if (type == LAUNCH_FARGATE ? !td->fits_fargate : !td->fits_ec2)
        fail_run(core, s, run, HOOK_FAILED,
                 "the task definition does not support the launch type of the service");
}

/* Like a task of the service, but that it is one of its own family: it may stand beside theirs. */
static bool
place(struct core *core, struct service *s, const struct revision *r, struct task_definition *td,
      struct task_plan *plan)
{
    struct place_request rq = {.cluster = s->cluster,
                               .definition = td,
                               .launch_type = r->launch_type,
                               .rules = &s->rules,
                               .group = plan->group};
    struct container_instance *closest = NULL;
    char complaint[REASON_SIZE];
    int counts[PROVIDERS_MAX] = {0};
    enum place_lack lack;

    place_size(&rq, /* overrides= */ NULL);
    lack = capacity_for_run(core, s->region, json_get(r->doc, "capacityProviderStrategy"), counts,
                            &rq, &plan->provider);
    if (lack == PLACE_FITS)
        lack = place_find(core, &rq, &plan->instance, &closest);
    if (lack == PLACE_FITS)
        return true;
    place_complaint(complaint, s, closest, lack);
    said_complaint(core, s, complaint);
    return false;
}

static void
start_task(struct core *core, struct service *s, struct hook_run *run)
{
    const struct revision *r = service_primary(s)->revision;
    struct task_definition *td = definition_of(core, s, run);
    struct task *t;
    char group[NAME_SIZE + 16];
    struct task_plan plan = {.cluster_arn = s->cluster_arn,
                             .cluster_name = s->cluster_name,
                             .region = s->region,
                             .definition = td,
                             .launch_type = r->launch_type,
                             .group = group,
                             .started_by = service_current(s)->id,
                             .hook_id = run->id,
                             .doc = r->doc};

    assert(td != NULL); /* check_definition() was there first */
    snprintf(group, sizeof(group), "family:%s", td->family);
    if (has_older_tasks(core, s) || !place(core, s, r, td, &plan)) {
        run->call_at_ms = core->now_ms + ASK_PLACE_MS;
    } else {
        run->call_at_ms = 0;
        t = task_create(core, &plan);
        text_copy(t->service_name, sizeof(t->service_name), str_of(s->name));
        text_copy(run->task_id, ID_SIZE, str_of(t->id));
        said_event(core, s,
                   "(service %s) has started a task as lifecycle hook of stage %s: (task %s).",
                   s->name, lifecycle_stage_name(hooks_stage(&s->course)), run->task_id);
    }
    core_touch_service(core, s);
}

/* The code of the essential container that did not exit well; NULL: all did. */
static const struct task_container *
find_culprit(const struct task *t)
{
    for (int i = 0; i < t->container_count; i++) {
        if (t->definition->containers[i].essential && t->containers[i].has_exit_code &&
            t->containers[i].exit_code != 0)
            return &t->containers[i];
    }
    return NULL;
}

static void
judge_task(struct core *core, struct service *s, struct hook_run *run, const struct task *t)
{
    const struct task_container *c = find_culprit(t);
    char why[512];

    if (t->stop_code != STOP_EssentialContainerExited) {
        snprintf(why, sizeof(why), "task %s: %.400s", t->id, t->stopped_reason);
    } else if (c != NULL) {
        snprintf(why, sizeof(why), "task %s: container %.100s exited with code %d%s%.200s", t->id,
                 c->name, c->exit_code, c->reason[0] != '\0' ? ": " : "", c->reason);
    } else {
        end_run(core, s, run, HOOK_SUCCEEDED);
        return;
    }
    fail_run(core, s, run, HOOK_FAILED, why);
}

static void
look_after_task(struct core *core, struct service *s, struct hook_run *run)
{
    const struct task *t = core_task_by_id(core, run->task_id);

    if (run->task_id[0] == '\0')
        check_definition(core, s, run);
    else if (t == NULL || t->definition == NULL)
        fail_run(core, s, run, HOOK_FAILED, "its task is gone");
    else if (t->last_status == TASK_STOPPED)
        judge_task(core, s, run, t);
}

/* A task goes on without us.  Who has to be called, or to call, could not answer. */
static bool
needs_us(const struct course *c, const struct hook_run *run)
{
    return is_waiting(run) && config_of(c, run)->kind != HOOK_KIND_TASK;
}

void
hooks_resume(struct core *core, struct service *s)
{
    struct course *c = &s->course;

    for (int i = 0; i < c->hook_count; i++) {
        if (!needs_us(c, &c->hooks[i]))
            continue;
        c->hooks[i].expires_at_ms = core->now_ms + config_of(c, &c->hooks[i])->timeout_min * MINUTE_MS;
        core_touch_service(core, s);
    }
}

void
hooks_stood_still(struct core *core, int64_t late_ms)
{
    for (struct service *s = core->services; s != NULL; s = s->next) {
        struct course *c = &s->course;

        for (int i = 0; i < c->hook_count; i++) {
            if (!needs_us(c, &c->hooks[i]))
                continue;
            c->hooks[i].expires_at_ms = extended_ms(core, c->hooks[i].expires_at_ms, late_ms);
            core_touch_service(core, s);
        }
    }
}

void
hooks_task_changed(struct core *core, const struct task *t)
{
    for (struct service *s = core->services; s != NULL; s = s->next) {
        if (is_hook_of(t, s))
            core_queue(core, s);
    }
}

/* ---- calls ---- */

static void
advance_call(struct core *core, struct service *s, struct hook_run *run)
{
    struct effect *e;

    if ((run->call_at_ms != 0 ? run->call_at_ms : run->ask_at_ms) > core->now_ms)
        return;
    if (run->call_at_ms != 0)
        core_touch_service(core, s);
    run->call_at_ms = 0;
    run->ask_at_ms = core->now_ms + ASK_CALL_MS;
    e = core_emit(core, EFFECT_HOOK_CALL);
    text_copy(e->hook_call.service_deployment_arn, ARN_SIZE, str_of(service_current(s)->arn));
    memcpy(e->hook_call.hook_id, run->id, sizeof(run->id));
    e->hook_call.attempt = run->attempt;
}

static void
call_again(struct core *core, struct service *s, struct hook_run *run, int64_t after_ms)
{
    run->attempt++;
    run->call_at_ms = core->now_ms + after_ms;
    core_touch_service(core, s);
    core_queue(core, s);
}

static void
reached_nobody(struct core *core, struct service *s, struct hook_run *run, const char *why)
{
    const int64_t wait_ms = run->unreached < 6 ? 1000LL << run->unreached : RETRY_MAX_MS;

    if (run->unreached == 0)
        said_event(core, s, "(service %s) lifecycle hook %.150s of stage %s is tried again: %.350s",
                   s->name, hooks_target(s, run), lifecycle_stage_name(hooks_stage(&s->course)),
                   why);
    run->unreached++;
    snprintf(s->course.hook_note, sizeof(s->course.hook_note), "%.500s", why);
    call_again(core, s, run, wait_ms);
}

static void
judge_answer(struct core *core, struct service *s, struct hook_run *run,
             const struct ev_hook_answered *ev)
{
    const char *why =
        ev->detail != NULL && ev->detail[0] != '\0' ? ev->detail : "no reason was given";

    switch (ev->outcome) {
    case OUTCOME_SUCCEEDED:
        end_run(core, s, run, HOOK_SUCCEEDED);
        break;
    case OUTCOME_FAILED:
    case OUTCOME_ENUM_SIZE:
        fail_run(core, s, run, HOOK_FAILED, why);
        break;
    case OUTCOME_IN_PROGRESS:
        run->unreached = 0;
        call_again(core, s, run, ev->delay_s * 1000LL);
        break;
    case OUTCOME_UNREACHED:
        reached_nobody(core, s, run, why);
        break;
    }
}

/* The run of the deployment under way; NULL: of none, or answered already. */
static struct hook_run *
find_run(struct service *s, const struct service_deployment *sd, const char *hook_id)
{
    struct course *c = s == NULL ? NULL : &s->course;

    if (c == NULL || sd != service_current(s) || c->is_frozen)
        return NULL;
    for (int i = 0; i < c->hook_count; i++) {
        if (strcmp(c->hooks[i].id, hook_id) == 0 && is_waiting(&c->hooks[i]))
            return &c->hooks[i];
    }
    return NULL;
}

void
hooks_answered(struct core *core, const struct ev_hook_answered *ev)
{
    struct service_deployment *sd = NULL;
    struct service *s = core_service_of_deployment(core, ev->service_deployment_arn, &sd);
    struct hook_run *run = find_run(s, sd, ev->hook_id);

    if (run != NULL && run->status == HOOK_IN_PROGRESS && run->attempt == ev->attempt &&
        run->call_at_ms == 0 && config_of(&s->course, run)->kind != HOOK_KIND_TASK)
        judge_answer(core, s, run, ev);
}

void
hooks_continued(struct core *core, const struct ev_service_deployment_continue *ev)
{
    struct service_deployment *sd = NULL;
    struct service *s = core_service_of_deployment(core, ev->arn, &sd);
    struct hook_run *run = find_run(s, sd, ev->hook_id);

    if (run != NULL && run->status == HOOK_AWAITING_ACTION && !s->course.is_returning)
        end_run(core, s, run, ev->rolls_back ? HOOK_FAILED : HOOK_SUCCEEDED);
}

/* ---- all of a stage ---- */

static bool
is_task(const struct course *c, const struct hook_run *run)
{
    return config_of(c, run)->kind == HOOK_KIND_TASK;
}

static bool
all_are_good(const struct course *c)
{
    bool is_good = true;

    for (int i = 0; i < c->hook_count; i++) {
        const struct hook_run *run = &c->hooks[i];
        is_good &= run->status != HOOK_FAILED &&
                   (run->status != HOOK_TIMED_OUT || config_of(c, run)->continues);
    }
    return is_good;
}

bool
hooks_advance(struct core *core, struct service *s)
{
    struct course *c = &s->course;

    for (int i = 0; i < c->hook_count; i++) {
        struct hook_run *run = &c->hooks[i];
        if (run->status == HOOK_IN_PROGRESS && is_task(c, run))
            look_after_task(core, s, run); /* first: it may have ended in time, and be heard of now */
        if (is_waiting(run) && core->now_ms >= run->expires_at_ms)
            expire(core, s, run);
    }
    if (!all_are_good(c) && !c->is_returning)
        return false; /* nothing more is begun for it */
    for (int i = 0; i < c->hook_count; i++) {
        struct hook_run *run = &c->hooks[i];
        if (run->status != HOOK_IN_PROGRESS)
            continue;
        if (!is_task(c, run))
            advance_call(core, s, run);
        else if (run->task_id[0] == '\0' && run->call_at_ms <= core->now_ms)
            start_task(core, s, run);
    }
    return all_are_good(c);
}

/* Of a PAUSE there is nothing to say: somebody decided so, or nobody came. */
void
hooks_fail(struct core *core, struct service *s)
{
    const struct course *c = &s->course;
    char because[700];

    snprintf(because, sizeof(because), "%s lifecycle hook(s) failed%s%s",
             lifecycle_stage_name(hooks_stage(c)), c->hook_note[0] != '\0' ? ": " : "",
             c->hook_note);
    rollout_fail(core, s, because);
}

bool
hooks_are_over(const struct course *c)
{
    for (int i = 0; i < c->hook_count; i++) {
        if (is_waiting(&c->hooks[i]))
            return false;
    }
    return true;
}

void
hooks_drop(struct core *core, struct service *s)
{
    struct course *c = &s->course;
    const int count = c->hook_count;

    c->hook_count = 0; /* first: a task that is stopped looks for whoever waits for it */
    c->hook_stage = STAGE_NONE;
    c->hook_note[0] = '\0';
    for (int i = 0; i < count; i++) {
        if (c->hooks[i].status == HOOK_IN_PROGRESS)
            cancel(core, &c->hooks[i], config_of(c, &c->hooks[i])->kind);
    }
}

int64_t
hooks_deadline_ms(const struct service *s)
{
    const struct course *c = &s->course;
    int64_t due = INT64_MAX;

    for (int i = 0; i < c->hook_count; i++) {
        const struct hook_run *run = &c->hooks[i];
        if (!is_waiting(run))
            continue;
        due = earlier(due, run->expires_at_ms);
        if (run->call_at_ms != 0)
            due = earlier(due, run->call_at_ms);
        else if (run->ask_at_ms != 0)
            due = earlier(due, run->ask_at_ms);
    }
    return due;
}
