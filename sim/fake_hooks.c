/* SPDX-License-Identifier: MIT */
/* fake_hooks.c - lifecycle hooks: which ones a service has, and how those who are called answer.
 * A receiver may answer at once or late, wrongly, twice, with one attempt's answer to another one,
 * or never; a command may be cancelled and answer all the same.  Tasks that are hooks are Docker's.
 */
#include "world.h"

/* ---- drawing ---- */

#define ROLLING_STAGES (1 << STAGE_PRE_SCALE_UP | 1 << STAGE_POST_PRODUCTION_TRAFFIC_SHIFT)
#define PAUSE_STAGES                                                            \
    (ROLLING_STAGES | 1 << STAGE_RECONCILE_SERVICE | 1 << STAGE_POST_SCALE_UP | \
     1 << STAGE_POST_TEST_TRAFFIC_SHIFT | 1 << STAGE_PRE_PRODUCTION_TRAFFIC_SHIFT)
#define ALL_STAGES \
    (PAUSE_STAGES | 1 << STAGE_TEST_TRAFFIC_SHIFT | 1 << STAGE_PRODUCTION_TRAFFIC_SHIFT)

/* Its task needs a place beside those of the service, which a tight world does not have. */
static bool
may_be_task(const struct world *w, const struct sim_service *s)
{
    return !w->is_tight && s->kind != FIXED_PORT_LB;
}

/* Times are short, so that even what nobody answers has ended when the world is judged. */
void
draw_hooks(struct world *w, const struct sim_service *s, struct strategy_config *c,
           struct json *doc)
{
    struct json *list = json_array();

    while (c->hook_count < 3 && chance(w, 2500)) {
        struct hook_config *hook = &c->hooks[c->hook_count++];
        struct json *o = json_object();
        int stages;
        hook->kind = (enum hook_kind)between(w, HOOK_KIND_PAUSE, HOOK_KIND_TASK);
        if (hook->kind == HOOK_KIND_TASK && !may_be_task(w, s))
            hook->kind = HOOK_KIND_COMMAND;
        stages = c->strategy == STRATEGY_ROLLING ? ROLLING_STAGES
                 : hook->kind == HOOK_KIND_PAUSE ? PAUSE_STAGES
                                                 : ALL_STAGES;
        hook->stages = (int)between(w, 0, 1 << STAGE_ENUM_SIZE) & stages;
        hook->timeout_min = (int)between(w, 1, 5);
        hook->continues = chance(w, 6000);
        if (hook->kind != HOOK_KIND_PAUSE)
            json_set(o, "hookTargetArn",
                     json_text(hook->kind == HOOK_KIND_TASK
                                   ? s->definitions[between(w, 0, VERSIONS_MAX - 1)]
                                   : "naru:command/drawn"));
        json_append(list, o);
    }
    json_set(doc, "lifecycleHooks", list);
}

/* ---- answering ---- */

/* Mostly it lets the deployment go on; some are a trial to everybody's patience. */
static void
answer(struct world *w, const struct ef_hook_call *call)
{
    const int64_t after_ms = chance(w, 7000) ? between(w, 1, 3000) : between(w, 3000, 200000);
    const int64_t dice = between(w, 0, 99);
    struct ef_hook_call other = *call;
    const enum hook_outcome outcome = dice < 55   ? OUTCOME_SUCCEEDED
                                      : dice < 70 ? OUTCOME_IN_PROGRESS
                                      : dice < 85 ? OUTCOME_UNREACHED
                                                  : OUTCOME_FAILED;

    if (chance(w, 700))
        return; /* never */
    report_hook(w, call, outcome, (int)between(w, 1, 90), after_ms);
    if (chance(w, 1500)) /* twice, and not of one mind */
        report_hook(w, call, (enum hook_outcome)between(w, 0, OUTCOME_ENUM_SIZE - 1), 1,
                    after_ms + between(w, 0, 60000));
    if (!chance(w, 1000))
        return;
    other.attempt += (int)between(w, -1, 2);
    report_hook(w, &other, OUTCOME_FAILED, 1, between(w, 1, 60000));
}

void
hooks_effect(struct world *w, const struct effect *e)
{
    if (e->type == EFFECT_HOOK_CALL) {
        world_trace(w, "hook %.8s is called, attempt %d", e->hook_call.hook_id,
                    e->hook_call.attempt);
        answer(w, &e->hook_call);
    } else {
        world_trace(w, "hook %.8s is called off", e->hook_cancel.hook_id);
    }
}

/* ---- judging ---- */

static const struct service *
service_of_hook(const struct world *w, const char *hook_id)
{
    for (const struct service *s = w->core->services; s != NULL; s = s->next) {
        for (int i = 0; i < s->course.hook_count; i++) {
            if (strcmp(s->course.hooks[i].id, hook_id) == 0)
                return s;
        }
    }
    return NULL;
}

/* One task a hook, whatever happened to naru; and only beside those that the same stage waits for.
 */
void
check_hook_task(struct world *w, const struct task *t)
{
    const struct service *s = service_of_hook(w, t->hook_id);

    if (s == NULL) {
        world_fail(w, "task %.8s is of hook %.8s, which nobody waits for", t->id, t->hook_id);
        return;
    }
    for (int i = 0; i < w->container_count; i++) {
        const struct sim_container *c = &w->containers[i];
        if (strcmp(c->hook_id, t->hook_id) == 0)
            world_fail(w, "hook %.8s has the tasks %.8s and %.8s", t->hook_id, c->id, t->id);
        if (c->hook_id[0] != '\0' && !c->told_stopped &&
            c->hook_service == service_number(w, s->arn) && service_of_hook(w, c->hook_id) == NULL)
            world_fail(w, "task %.8s of %s starts beside %.8s of an earlier stage", t->id, s->name,
                       c->id);
    }
}

int
service_number(const struct world *w, const char *arn)
{
    for (int i = 0; i < w->service_count; i++) {
        if (strcmp(w->services[i].arn, arn) == 0)
            return i;
    }
    return -1;
}

/* Whose hook it is, noted when its page in the book is opened. */
int
service_number_of_hook(const struct world *w, const char *hook_id)
{
    const struct service *s = hook_id[0] == '\0' ? NULL : service_of_hook(w, hook_id);

    return s == NULL ? -1 : service_number(w, s->arn);
}

/* No task of a deployment before the hooks of its PRE_SCALE_UP let it go on. */
void
check_hooks_hold(struct world *w, const struct task *t)
{
    const struct service *s = core_service_by_arn(w->core, t->service_arn);
    const struct service_deployment *sd = service_current(s);

    if (sd == NULL) /* of task sets, which have no hooks */
        return;
    if (strcmp(sd->deployment_id, t->deployment_id) != 0 || sd->status != SD_IN_PROGRESS)
        return;
    for (int i = 0; i < s->course.hook_count; i++) {
        const struct hook_run *run = &s->course.hooks[i];
        if (s->course.stage == STAGE_PRE_SCALE_UP && run->status != HOOK_SUCCEEDED &&
            (run->status != HOOK_TIMED_OUT || !s->course.plan.hooks[run->hook].continues))
            world_fail(w, "task %.8s starts before hook %.8s let it", t->id, run->id);
    }
}
