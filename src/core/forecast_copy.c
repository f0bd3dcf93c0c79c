/* SPDX-License-Identifier: MIT */
#include <assert.h>
#include "core/forecast_world.h"
#include "core/parts.h"

/* A copy under way.  What a core wrote it can read, so a fault is a bug: the first one is told, and
 * what comes after it is left out. */
struct copying {
    const struct core *from;
    struct core *to;
    bool is_good;
    struct err *err;
};

static void
copy_row(void *arg, enum row_kind kind, const char *key)
{
    struct copying *c = arg;
    cleanup_json struct json *row = core_row(c->from, kind, key);

    assert(row != NULL);
    c->is_good = c->is_good && core_load(c->to, kind, row, c->err);
}

static void
copy_definition(struct copying *c, const char *arn)
{
    if (strmap_get(&c->to->index->definitions, arn) == NULL &&
        strmap_get(&c->from->index->definitions, arn) != NULL)
        copy_row(c, ROW_TASK_DEFINITION, arn);
}

/* Those that lifecycle hooks are tasks of; the names of other hooks name no definition. */
static void
copy_hooks(struct copying *c, const struct json *config)
{
    const struct json *list = json_get(config, "lifecycleHooks");

    for (size_t i = 0; i < json_size(list); i++)
        copy_definition(c, json_get_cstr(json_at(list, i), "hookTargetArn", ""));
}

static void
copy_service(struct copying *c, const struct service *s)
{
    const struct service_deployment *sd = service_current(s); /* NULL: of task sets */

    copy_row(c, ROW_SERVICE, s->arn);
    parts_each(c->from, s, copy_row, c);
    copy_hooks(c, s->config.doc);
    if (sd != NULL)
        copy_hooks(c, sd->config);
    for (int i = 0; i < s->revision_count; i++)
        copy_definition(c, s->revisions[i]->task_definition_arn);
}

/* Of an update: what it brings. */
static void
copy_update(struct copying *c, const struct ev_service_update *u)
{
    if (u->starts_deployment)
        copy_definition(c, u->task_definition_arn);
    if (u->config != NULL)
        copy_hooks(c, u->config->doc);
}

static void
copy_tasks(struct copying *c)
{
    int count = 0;

    for (const struct task *t = c->from->tasks; t != NULL; t = t->next) {
        if (t->is_settled)
            continue;
        if (++count > FORECAST_TASKS_MAX) {
            c->is_good = err_set(c->err, ERR_LIMIT_EXCEEDED,
                                 "There are more than %d tasks, the most that a forecast can copy.",
                                 FORECAST_TASKS_MAX);
            return;
        }
        copy_definition(c, t->task_definition_arn);
        copy_row(c, ROW_TASK, t->arn);
    }
}

#define COPY_ALL(c, list, kind)                                        \
    for (__auto_type o_ = (c)->from->list; o_ != NULL; o_ = o_->next)  \
        copy_row(c, kind, o_->arn)

bool
forecast_copy(const struct core *from, const struct event *event, const char *service_arn,
              struct core **out, struct err *err)
{
    const struct service *s = core_service_by_arn(from, service_arn);
    struct copying c = {from, core_new(&from->options), /* is_good= */ true, err};

    assert(s != NULL);
    copy_row(&c, ROW_META, "core");
    copy_service(&c, s);
    if (event->type == EVENT_SERVICE_UPDATE)
        copy_update(&c, &event->service_update);
    COPY_ALL(&c, clusters, ROW_CLUSTER);
    COPY_ALL(&c, instances, ROW_INSTANCE);
    COPY_ALL(&c, capacity_providers, ROW_CAPACITY_PROVIDER);
    COPY_ALL(&c, target_groups, ROW_TARGET_GROUP);
    COPY_ALL(&c, load_balancers, ROW_LOAD_BALANCER);
    COPY_ALL(&c, certificates, ROW_CERTIFICATE);
    COPY_ALL(&c, trust_stores, ROW_TRUST_STORE);
    COPY_ALL(&c, listeners, ROW_LISTENER);
    COPY_ALL(&c, rules, ROW_RULE);
    copy_tasks(&c);
    if (!c.is_good || !core_link(c.to, err)) {
        core_free(c.to);
        return false;
    }
    *out = c.to;
    return true;
}
