/* SPDX-License-Identifier: MIT */
/* resume.c - after the rows were loaded: everything is linked again, and the hands are told what
 * they must know.  What was committed but not yet performed when naru died is performed now. */
#include <assert.h>
#include "core/definitions.h"
#include "core/hearing.h"
#include "core/hooks.h"
#include "core/placement.h"
#include "core/requests.h"
#include "core/targets.h"
#include "core/task_lifecycle.h"

#define FORGET_WITHIN_MS \
    600000 /* containers of tasks that stopped longer ago were removed already */

/* Sorts a singly linked list by `compare`: rows come in the order of their keys, not of their age.
 */
#define SORT_LIST(type, list, compare)                            \
    do {                                                          \
        size_t count_ = 0, at_ = 0;                               \
        struct type **all_;                                       \
        for (struct type *o_ = (list); o_ != NULL; o_ = o_->next) \
            count_++;                                             \
        all_ = mem_new((count_ + 1) * sizeof(*all_));             \
        for (struct type *o_ = (list); o_ != NULL; o_ = o_->next) \
            all_[at_++] = o_;                                     \
        qsort(all_, count_, sizeof(*all_), compare);              \
        for (size_t i_ = 0; i_ < count_; i_++)                    \
            all_[i_]->next = all_[i_ + 1];                        \
        (list) = all_[0];                                         \
        free(all_);                                               \
    } while (0)

static int
order(int64_t a, int64_t b, const char *a_name, const char *b_name)
{
    return a < b ? -1 : a > b ? 1 : strcmp(a_name, b_name);
}

static int
newest_task_first(const void *a, const void *b)
{
    const struct task *x = *(struct task *const *)a, *y = *(struct task *const *)b;

    return order(y->created_at_ms, x->created_at_ms, y->id, x->id);
}

static int
newest_definition_first(const void *a, const void *b)
{
    const struct task_definition *x = *(struct task_definition *const *)a;
    const struct task_definition *y = *(struct task_definition *const *)b;

    if (strcmp(x->family, y->family) == 0 && x->revision != y->revision)
        return x->revision > y->revision ? -1 : 1;
    return order(y->registered_at_ms, x->registered_at_ms, x->arn, y->arn);
}

static int
oldest_service_first(const void *a, const void *b)
{
    const struct service *x = *(struct service *const *)a, *y = *(struct service *const *)b;

    return order(x->created_at_ms, y->created_at_ms, x->arn, y->arn);
}

static void
sort_lists(struct core *core)
{
    struct task *before = NULL;

    SORT_LIST(task, core->tasks, newest_task_first);
    for (struct task *t = core->tasks; t != NULL; t = t->next) {
        t->prev = before;
        before = t;
    }
    SORT_LIST(task_definition, core->task_definitions, newest_definition_first);
    SORT_LIST(service, core->services, oldest_service_first);
    for (struct service *s = core->services; s != NULL; s = s->next)
        core->index->last_service = s;
}

static void
make_hosts(struct core *core)
{
    for (const struct container_instance *i = core->instances; i != NULL; i = i->next) {
        struct host *h = core_host(core, i->host);
        if (h != NULL)
            continue;
        h = mem_new(sizeof(*h));
        text_copy(h->name, sizeof(h->name), str_of(i->host));
        h->is_connected = i->is_connected;
        h->cpu_total = i->cpu_total;
        h->memory_total_mib = i->memory_total_mib;
        replace_doc(&h->doc, i->doc);
        core_add_host(core, h);
    }
}

static int
oldest_instance_first(const void *a, const void *b)
{
    const struct container_instance *x = *(struct container_instance *const *)a;
    const struct container_instance *y = *(struct container_instance *const *)b;

    return order(x->registered_at_ms, y->registered_at_ms, x->arn, y->arn);
}

static void
link_instances(struct core *core)
{
    SORT_LIST(container_instance, core->instances, oldest_instance_first);
    for (struct container_instance *i = core->instances; i != NULL; i = i->next) {
        core->index->last_instance = i;
        instance_link(core, i);
    }
    for (struct service *s = core->services; s != NULL; s = s->next)
        s->cluster = strmap_get(&core->index->clusters, s->cluster_arn);
}

static void
link_task(struct core *core, struct task *t)
{
    struct container_instance *i = core_instance(core, t->instance_arn);
    struct service *s = core_service_by_arn(core, t->service_arn);

    t->definition = strmap_get(&core->index->definitions, t->task_definition_arn);
    t->is_settled = t->last_status == TASK_STOPPED && !targets_are_registered(t);
    t->service = s;
    if (!t->is_settled) {
        assert(t->definition != NULL); /* never deleted while a task that is not over names it */
        t->deployment = s == NULL ? NULL : service_find_deployment(s, t->deployment_id);
        if (t->deployment == NULL)
            t->service = NULL; /* of a service that was deleted; a new one has its name */
        if (t->last_status != TASK_STOPPED && t->launch_type == LAUNCH_EC2 && i != NULL)
            place_take(core, t, i);
        if (task_is_wanted(t))
            hearing_begin(core, t);
    }
    core_link_task(core, t);
}

static void
forget_again(struct core *core, const struct task *t)
{
    if (t->stopped_at_ms + FORGET_WITHIN_MS >= core->now_ms)
        text_copy(core_emit(core, EFFECT_TASK_FORGET)->task_forget.task_id, ID_SIZE, str_of(t->id));
}

static void
link_tasks(struct core *core)
{
    struct task *t = core->tasks;

    while (t != NULL && t->next != NULL)
        t = t->next;
    for (; t != NULL; t = t->prev) /* oldest first: each goes to the front of its list */
        link_task(core, t);
}

static void
ask_for_digests(struct core *core, struct service *s)
{
    for (int i = 0; i < s->revision_count; i++) {
        if (s->revisions[i]->is_resolved || s->revisions[i]->resolve_at_ms == 0)
            continue;
        s->revisions[i]->resolve_at_ms = 0;
        core_touch_service(core, s);
    }
}

static void
give_families_rows(struct core *core)
{
    if (!core->index->has_old_families)
        return;
    core_touch_meta(core);
    for (void *it = json_first(core->families); it != NULL; it = json_next(core->families, it))
        core_touch(core, ROW_FAMILY, json_key(it));
}

/* What goes is ordered before what comes: a task may have been started for the room of another whose
 * end was committed with it, and neither order had left when naru died. */
static void
resume_tasks(struct core *core)
{
    for (struct task *t = core->tasks; t != NULL; t = t->next) {
        if (t->is_settled)
            forget_again(core, t);
        else if (!task_is_wanted(t))
            task_resume(core, t);
    }
    for (struct task *t = core->tasks; t != NULL; t = t->next) {
        if (!t->is_settled && task_is_wanted(t))
            task_resume(core, t);
    }
}

void
core_resume(struct core *core, int64_t now_ms, struct effects *out)
{
    static const struct event clock = {.type = EVENT_CLOCK};

    assert(core->index->is_linked && !core->index->is_resumed);
    core->index->is_resumed = true;
    assert(now_ms >= core->now_ms);
    core->now_ms = core->index->resumed_at_ms = now_ms;
    core->index->out = out;
    sort_lists(core);
    make_hosts(core);
    link_instances(core);
    link_tasks(core);
    definitions_resume(core);
    give_families_rows(core);
    targets_resume(core);
    resume_tasks(core);
    for (struct service *s = core->services; s != NULL; s = s->next) {
        ask_for_digests(core, s);
        hooks_resume(core, s);
        core_queue(core, s);
    }
    core_queue(core, /* service= */ NULL);
    core_step(core, &clock, now_ms, out);
    core_check(core);
}
