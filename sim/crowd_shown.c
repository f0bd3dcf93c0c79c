/* SPDX-License-Identifier: MIT */
/* crowd_shown.c - what naru shows of a service, whenever that or one of its tasks has changed:
 * whether it is so by the book, and honest (promises 3, 4, 5, 8); shown.h and task_sets.h judge. */
#include "crowd.h"
#include <string.h>

/* ---- promise 5 ---- */

/* Whoever says COMPLETED says that the old revisions take no traffic any more. */
static void
judge_verdict(struct crowd *w, int service, const struct service *now)
{
    struct crowd_service *s = &w->services[service];
    const struct deployment *p = service_primary(now);
    struct complaint complaint;

    if (p == NULL || p->rollout_state != ROLLOUT_COMPLETED)
        return;
    if (s->kind == CROWD_SHIFTS)
        crowd_complain(
            w, service,
            is_led_well(p, (const char(*)[BALANCING_ARN_SIZE])s->groups, s->weights, &complaint),
            &complaint);
    for (const struct crowd_task *t = crowd_first_of_service(w, s); t != NULL;
         t = t->next_of_service) {
        const bool serves =
            t->target.is_registered && t->state == UP &&
            (t->target.is_draining ? t->target.has_requests : t->target.state == TARGET_healthy);
        if (serves && strcmp(t->deployment_id, p->id) != 0)
            crowd_fail(w, service,
                       "promise 5: %s is COMPLETED and task %.8s of %s still takes traffic", p->id,
                       t->id, t->deployment_id);
    }
}

static void
judge_progress(struct crowd *w, int service, const struct service *now)
{
    struct crowd_service *s = &w->services[service];
    const struct deployment *p = service_primary(now);
    struct complaint complaint;
    char late_id[ID_SIZE];
    bool is_well;
    int healthy = 0;

    for (const struct crowd_task *t = crowd_first_of_service(w, s); p != NULL && t != NULL;
         t = t->next_of_service)
        healthy += crowd_is_told_healthy(w, t) && strcmp(t->deployment_id, p->id) == 0;
    text_copy(late_id, sizeof(late_id), str_of(s->book.watch.late_id));
    still_note(&w->still, w->core, crowd_naru_now(w), w->now_ms);
    is_well = progress_is_judged_well(&s->book.watch, now, healthy, w->now_ms, w->still.stood_ms,
                                      w->now_ms < w->stalled_until_ms, &complaint);
    w->sum.late += strcmp(late_id, s->book.watch.late_id) != 0;
    crowd_complain(w, service, is_well, &complaint);
}

static void
judge_probation(struct crowd *w, int service, const struct service *now)
{
    const struct deployment *failed = NULL;
    const bool is_news = is_taken_back(&w->services[service].book.watch, now, &failed);
    struct complaint complaint;
    int exits = 0;

    for (int i = 0; failed != NULL && i < w->task_count; i++)
        exits += w->tasks[i]->service == service && w->tasks[i]->book.exited_early &&
                 strcmp(w->tasks[i]->deployment_id, failed->id) == 0;
    w->sum.taken_back += is_news;
    crowd_complain(w, service, probation_is_judged_well(now, is_news, exits, &complaint),
                   &complaint);
}

/* ---- task sets ---- */

struct set_service
crowd_set_service(const struct crowd_service *s)
{
    return (struct set_service){.book = s->sets,
                                .name = s->name,
                                .desired_count = s->book.desired_count,
                                .minimum = s->book.minimum,
                                .maximum = s->book.maximum,
                                .has_balancer = crowd_has_balancer(s)};
}

static void
judge_stability(struct crowd *w, int service, const struct deployment *d)
{
    struct crowd_service *s = &w->services[service];
    struct complaint complaint;
    int well = 0, wanted = 0;

    for (const struct crowd_task *t = crowd_first_of_service(w, s); t != NULL;
         t = t->next_of_service) {
        if (strcmp(t->deployment_id, d->id) != 0 || !crowd_is_wanted(t))
            continue;
        wanted++;
        well += t->book.told_running_ms != 0 &&
                (!crowd_has_balancer(s) || crowd_is_told_healthy(w, t)) &&
                (t->host < 0 || !w->hosts[t->host].book.told_draining);
    }
    crowd_complain(w, service, stability_is_well(d, wanted, well, &complaint), &complaint);
}

static void
judge_sets(struct crowd *w, int service, const struct service *now)
{
    const struct set_service s = crowd_set_service(&w->services[service]);
    struct complaint complaint;

    crowd_complain(w, service, sets_are_shown_well(w->core, &s, now, &complaint), &complaint);
    for (const struct deployment *d = now->deployments; d != NULL && !w->has_failed; d = d->next)
        judge_stability(w, service, d);
}

bool
crowd_sets_are_steady(struct crowd *w, int service, char *why, size_t why_size)
{
    struct crowd_service *s = &w->services[service];
    const struct set_service known = crowd_set_service(s);

    for (int i = 0; i < s->sets->count; i++) {
        const struct sim_set *set = &s->sets->sets[i];
        struct set_census n = {0};
        for (const struct crowd_task *t = crowd_first_of_service(w, s); t != NULL;
             t = t->next_of_service) {
            if (strcmp(t->deployment_id, set_id(set)) != 0)
                continue;
            n.up += t->state == UP;
            n.starting += t->state == PULLING;
            n.leaving += t->state == UP && t->host >= 0 && w->hosts[t->host].book.told_draining;
            n.in_rotation += t->target.is_registered && !t->target.is_draining &&
                             t->target.state == TARGET_healthy;
        }
        if (!set_is_steady(w->core, &known, set, &n,
                           crowd_is_bad(crowd_behaviour_of(w, set->definition)), why, why_size))
            return false;
    }
    return true;
}

/* ---- a look ---- */

static void
judge_service(struct crowd *w, struct crowd_service *s)
{
    const struct service *now = core_service_by_arn(w->core, s->arn);
    const int service = (int)(s - w->services);
    struct complaint complaint;

    if (now == NULL || s->judged == w->looks)
        return;
    s->judged = w->looks;
    crowd_note(w, &s->book, sizeof(s->book));
    judge_verdict(w, service, now);
    judge_probation(w, service, now);
    judge_progress(w, service, now);
    crowd_complain(w, service, hooks_are_heard(&s->hooks, now, &complaint), &complaint);
    if (s->sets != NULL)
        judge_sets(w, service, now);
    else
        crowd_complain(w, service, service_is_shown_well(w->core, now, &w->completed, &complaint),
                       &complaint);
}

static struct crowd_service *
service_of_row(const struct crowd *w, const struct effect *e)
{
    const struct crowd_task *t;

    if (e->type != EFFECT_PERSIST)
        return NULL;
    if (e->persist.kind == ROW_SERVICE)
        return crowd_service_of(w, e->persist.key);
    t = e->persist.kind == ROW_TASK ? strmap_get(&w->tasks_by_id, strrchr(e->persist.key, '/') + 1)
                                    : NULL;
    return t == NULL || t->service < 0 ? NULL : &w->services[t->service];
}

void
crowd_judge_services(struct crowd *w, int first)
{
    w->looks++;
    for (int i = first; i < w->effects.count; i++) {
        struct crowd_service *s = service_of_row(w, &w->effects.at[i]);
        if (s != NULL)
            judge_service(w, s);
    }
}

void
crowd_judge_all_services(struct crowd *w)
{
    w->looks++;
    for (int i = 0; i < w->service_count; i++)
        judge_service(w, &w->services[i]);
}

/* ---- outcomes ---- */

/* Of what is committed: the newest deployment of a service, and the one that it replaced. */
void
crowd_count_outcomes(struct crowd *w)
{
    for (int i = 0; i < w->effects.count; i++) {
        const struct effect *e = &w->effects.at[i];
        struct crowd_service *s = e->type == EFFECT_PERSIST && e->persist.kind == ROW_SERVICE
                                      ? crowd_service_of(w, e->persist.key)
                                      : NULL;
        const struct service *now = s == NULL ? NULL : core_service_by_arn(w->core, s->arn);
        const struct service_deployment *sd = now == NULL ? NULL : service_current(now);

        if (sd != NULL && sd->finished_at_ms == 0)
            sd = sd->next;
        if (sd == NULL || strcmp(sd->id, s->counted_id) == 0)
            continue;
        text_copy(s->counted_id, sizeof(s->counted_id), str_of(sd->id));
        w->sum.outcomes[sd->status]++;
        crowd_tell(w, (int)(s - w->services), "deployment of %s is %s", sd->deployment_id,
                   sd_status_name(sd->status));
    }
}
