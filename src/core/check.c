/* SPDX-License-Identifier: MIT */
/* check.c - what must always be true (DESIGN promises 1 to 4 and 7, ecs.md 16), asserted in
 * production too: a supervised restart is a path we test, corrupt state is not. */
#include <assert.h>
#include "core/certificates.h"
#include "core/deployment.h"
#include "core/gpus.h"
#include "core/index.h"
#include "core/networks.h"
#include "core/rollout.h"
#include "core/rules.h"
#include "core/strategy.h"
#include "core/targets.h"
#include "core/task_set.h"

static void
check_targets(const struct core *core, const struct task *t)
{
    char key[ARN_SIZE + ADDRESS_SIZE + 16];

    for (int i = 0; i < t->target_count; i++) {
        const struct task_target *tt = &t->targets[i];
        const struct target_group *tg;
        const struct target *x;
        if (!tt->is_registered) {
            assert(!tt->is_draining);
            continue;
        }
        target_key(key, tt->target_group_arn, tt->target_id, tt->port);
        assert(strmap_get(&core->index->target_owners, key) == t);
        tg = core_target_group(core, tt->target_group_arn);
        x = tg == NULL ? NULL : target_group_find(tg, tt->target_id, tt->port);
        assert(x != NULL);
        assert((x->state == TARGET_draining) == tt->is_draining);
        assert(task_is_wanted(t) || tt->is_draining); /* who stops takes no new requests */
    }
}

static void
check_task(const struct core *core, const struct task *t)
{
    const bool in_traffic = targets_are_registered(t);

    assert(t->desired_status == TASK_RUNNING || t->desired_status == TASK_STOPPED);
    assert(task_is_wanted(t) != t->has_stop_code);
    assert((task_is_wanted(t)) == (t->last_status <= TASK_RUNNING));
    assert(t->version > 0);
    /* Promise 1: signalled only once it is out of every target group. */
    assert(!in_traffic || (t->last_status != TASK_STOPPING && t->last_status > TASK_PENDING));
    assert(t->last_status != TASK_DEACTIVATING || in_traffic);
    assert((t->last_status == TASK_STOPPED) == (t->stopped_at_ms != 0));
    assert(t->last_status != TASK_STOPPED || in_traffic); /* else it is settled, not live */
    assert(t->started_at_ms == 0 || t->started_at_ms >= t->created_at_ms);
    check_targets(core, t);
}

/* Promise 6: the image that a task was given is the one its revision resolved. */
static void
check_digests(const struct task *t)
{
    const struct revision *r = t->deployment->revision;

    for (int i = 0; i < r->image_count && i < t->container_count; i++) {
        assert(r->images[i].digest[0] == '\0' ||
               strstr(t->containers[i].image, r->images[i].digest) != NULL);
    }
}

static void
check_course(const struct service *s, const struct deployment *p)
{
    const struct course *c = &s->course;

    if (!c->is_on)
        return;
    assert(c->stage != STAGE_NONE && c->share >= 0 && c->share <= 1000);
    assert(c->is_frozen == p->is_failed);
    assert(!c->is_returning || c->share == 0);
    assert(c->is_frozen || p->rollout_state == ROLLOUT_IN_PROGRESS);
    /* Promise 4: until it is proved, what ran before is still there to return to. */
    assert(c->base_id[0] == '\0' || c->stage == STAGE_CLEAN_UP ||
           service_find_deployment(s, c->base_id) != NULL);
}

static void
check_deployments(const struct service *s)
{
    const struct service_deployment *sd = service_current(s);
    const struct deployment *p = service_primary(s);
    int primaries = 0, others = 0;

    if (s->is_external) {
        task_sets_check(s);
        return;
    }
    for (const struct deployment *d = s->deployments; d != NULL; d = d->next) {
        primaries += d->status == DEPLOYMENT_PRIMARY;
        others += d->status == DEPLOYMENT_ACTIVE;
        assert(d->desired_count >= 0 && d->failed_tasks >= 0);
        assert(!d->is_failed || d->rollout_state == ROLLOUT_FAILED);
    }
    assert(primaries == (s->status == SERVICE_INACTIVE ? 0 : 1));
    for (; sd != NULL; sd = sd->next) /* only the newest may be under way */
        assert(sd == service_current(s) || sd_is_finished(sd));
    if (s->status != SERVICE_ACTIVE)
        return;
    assert(p == s->deployments); /* the PRIMARY comes first */
    sd = service_current(s);
    assert(sd != NULL);
    /* Promise 3, and ecs.md 16 #3: under way together, ended together. */
    assert((p->rollout_state == ROLLOUT_IN_PROGRESS) == !sd_is_finished(sd));
    assert(p->rollout_state != ROLLOUT_COMPLETED || others == 0 || sd->is_early);
    check_course(s, p);
    assert(p->desired_count == s->desired_count || p->is_failed);
    if (p->rollout_state == ROLLOUT_IN_PROGRESS && s->config.breaker.enable &&
        sd->status == SD_IN_PROGRESS && !strategy_is_cleaning_up(s))
        assert(sd->breaker_failures <
               deployment_breaker_threshold(&s->config.breaker, s->desired_count));
}

static void
check_service(const struct core *core, const struct service *s)
{
    for (const struct task *t = s->live; t != NULL; t = t->next_live) {
        assert(t->service == s && t->deployment != NULL && !t->is_settled);
        check_task(core, t);
        check_digests(t);
        assert(s->status == SERVICE_ACTIVE || !task_is_wanted(t));
    }
    check_deployments(s);
    assert(!s->is_queued);
}

void
core_check_touched(const struct core *core, const struct effects *out, int first)
{
    for (int i = first; i < out->count; i++) {
        const struct ef_persist *p = &out->at[i].persist;
        const struct service *s;
        if (out->at[i].type != EFFECT_PERSIST)
            continue;
        if (p->kind == ROW_TASK) {
            const struct task *t = core_task_by_arn(core, p->key);
            if (t != NULL && !t->is_settled)
                check_task(core, t);
        } else if (p->kind == ROW_SERVICE) {
            s = core_service_by_arn(core, p->key);
            if (s != NULL)
                check_deployments(s);
        } else if (p->kind == ROW_RULE && core_rule(core, p->key) != NULL) {
            rule_check(core, core_rule(core, p->key));
        } else if (p->kind == ROW_LISTENER && core_listener(core, p->key) != NULL) {
            listener_check_certificates(core, core_listener(core, p->key));
        } else if (p->kind == ROW_NETWORK && core_network(core, p->key) != NULL) {
            network_check(core, core_network(core, p->key));
        }
    }
}

/* What a machine has given away is what the tasks on its instances hold (ecs.md 7.7). */
static void
check_machines(const struct core *core)
{
    for (struct host *h = core->index->hosts; h != NULL; h = h->next)
        h->cpu_found = h->memory_found_mib = 0, h->gpus_found = 0;
    for (const struct container_instance *i = core->instances; i != NULL; i = i->next) {
        assert(i->machine != NULL && i->cluster != NULL);
        for (const struct task *t = i->tasks; t != NULL; t = t->next_here) {
            assert(t->instance == i && t->last_status != TASK_STOPPED);
            assert(strcmp(t->instance_arn, i->arn) == 0);
            i->machine->cpu_found += t->cpu;
            i->machine->memory_found_mib += t->memory_mib;
            assert((i->machine->gpus_found & gpus_of(i->machine, t)) == 0); /* each is one task's */
            i->machine->gpus_found |= gpus_of(i->machine, t);
        }
    }
    for (const struct host *h = core->index->hosts; h != NULL; h = h->next)
        assert(h->cpu_found == h->cpu_used && h->memory_found_mib == h->memory_used_mib &&
               h->gpus_found == h->gpus_taken);
}

void
core_check(const struct core *core)
{
    size_t count = 0, listed = 0;
    int unheard = 0;

    for (const struct service *s = core->services; s != NULL; s = s->next) {
        check_service(core, s);
        for (const struct task *t = s->live; t != NULL; t = t->next_live)
            listed++;
        for (const struct task *t = s->settled; t != NULL; t = t->next_live)
            listed++;
    }
    for (const struct task *t = core->index->standalone; t != NULL; t = t->next_live) {
        check_task(core, t);
        listed++;
    }
    for (const struct task *t = core->index->standalone_settled; t != NULL; t = t->next_live)
        listed++;
    for (const struct task *t = core->tasks; t != NULL; t = t->next) {
        assert(core_task_by_id(core, t->id) == t);
        assert(!t->is_unheard || task_is_wanted(t));
        unheard += t->is_unheard;
        count++;
    }
    for (const struct rule *r = core->rules; r != NULL; r = r->next)
        rule_check(core, r);
    for (const struct listener *l = core->listeners; l != NULL; l = l->next)
        listener_check_certificates(core, l);
    for (const struct network *n = core->networks; n != NULL; n = n->next)
        network_check(core, n);
    check_machines(core);
    assert(count == listed && count == core->index->tasks.count);
    assert(unheard == core->index->unheard_count);
}
