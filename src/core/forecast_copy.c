/* SPDX-License-Identifier: MIT */
#include <assert.h>
#include "core/forecast_world.h"
#include "core/parts.h"

static bool
copy_row(const struct core *from, struct core *to, enum row_kind kind, const char *key,
         struct err *err)
{
    cleanup_json struct json *row = core_row(from, kind, key);

    assert(row != NULL);
    return core_load(to, kind, row, err);
}

struct copying {
    const struct core *from;
    struct core *to;
    bool is_good;
    struct err *err;
};

static void
copy_part(void *arg, enum row_kind kind, const char *key)
{
    struct copying *c = arg;

    c->is_good = c->is_good && copy_row(c->from, c->to, kind, key, c->err);
}

static bool
copy_service(const struct core *from, struct core *to, const struct service *s, struct err *err)
{
    struct copying c = {from, to, copy_row(from, to, ROW_SERVICE, s->arn, err), err};

    parts_each(from, s, copy_part, &c);
    return c.is_good;
}

static bool
copy_definition(const struct core *from, struct core *to, const char *arn, struct err *err)
{
    if (strmap_get(&to->index->definitions, arn) != NULL ||
        strmap_get(&from->index->definitions, arn) == NULL)
        return true;
    return copy_row(from, to, ROW_TASK_DEFINITION, arn, err);
}

/* Those that lifecycle hooks are tasks of; the names of other hooks name no definition. */
static bool
copy_hooks(const struct core *from, struct core *to, const struct json *config, struct err *err)
{
    const struct json *list = json_get(config, "lifecycleHooks");

    for (size_t i = 0; i < json_size(list); i++) {
        if (!copy_definition(from, to, json_get_cstr(json_at(list, i), "hookTargetArn", ""), err))
            return false;
    }
    return true;
}

static bool
copy_tasks(const struct core *from, struct core *to, struct err *err)
{
    int count = 0;

    for (const struct task *t = from->tasks; t != NULL; t = t->next) {
        if (t->is_settled)
            continue;
        if (++count > FORECAST_TASKS_MAX)
            return err_set(err, ERR_LIMIT_EXCEEDED,
                           "There are more than %d tasks, the most that a forecast can copy.",
                           FORECAST_TASKS_MAX);
        if (!copy_definition(from, to, t->task_definition_arn, err) ||
            !copy_row(from, to, ROW_TASK, t->arn, err))
            return false;
    }
    return true;
}

#define COPY_ALL(list, kind)                                     \
    for (__auto_type o_ = from->list; o_ != NULL; o_ = o_->next) \
        if (!copy_row(from, to, kind, o_->arn, err))             \
            return false;

static bool
copy_rows(const struct core *from, struct core *to, const char *service_arn, struct err *err)
{
    const struct service *s = core_service_by_arn(from, service_arn);
    const struct service_deployment *sd;

    assert(s != NULL);
    sd = service_current(s); /* NULL: of task sets */
    if (!copy_row(from, to, ROW_META, "core", err) ||
        !copy_service(from, to, s, err) || !copy_hooks(from, to, s->config.doc, err) ||
        (sd != NULL && !copy_hooks(from, to, sd->config, err)))
        return false;
    for (int i = 0; i < s->revision_count; i++) {
        if (!copy_definition(from, to, s->revisions[i]->task_definition_arn, err))
            return false;
    }
    COPY_ALL(clusters, ROW_CLUSTER)
    COPY_ALL(instances, ROW_INSTANCE)
    COPY_ALL(capacity_providers, ROW_CAPACITY_PROVIDER)
    COPY_ALL(target_groups, ROW_TARGET_GROUP)
    COPY_ALL(load_balancers, ROW_LOAD_BALANCER)
    COPY_ALL(listeners, ROW_LISTENER)
    return copy_tasks(from, to, err);
}

bool
forecast_copy(const struct core *from, const struct event *event, const char *service_arn,
              struct core **out, struct err *err)
{
    struct core *to = core_new(&from->options);
    bool is_good = copy_rows(from, to, service_arn, err);

    if (is_good && event->type == EVENT_SERVICE_UPDATE && event->service_update.starts_deployment)
        is_good = copy_definition(from, to, event->service_update.task_definition_arn, err);
    if (is_good && event->type == EVENT_SERVICE_UPDATE && event->service_update.config != NULL)
        is_good = copy_hooks(from, to, event->service_update.config->doc, err);
    if (!is_good || !core_link(to, err)) {
        core_free(to);
        return false;
    }
    *out = to;
    return true;
}
