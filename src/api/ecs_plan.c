/* SPDX-License-Identifier: MIT */
#include "api/ecs_plan.h"
#include <stdlib.h>
#include "core/forecast.h"

#define LOOKED_AT_MAX 50 /* newest tasks, for how long things take */

/* ---- how long things take ---- */

/* Of a service of which nothing is known yet: an image that is there, a process that listens soon.
 */
static const struct forecast_options usual = {
    .resolve_ms = 20, .start_ms = 500, .healthy_ms = 300, .drain_ms = 100, .stop_ms = 200};

struct samples {
    int64_t at[LOOKED_AT_MAX];
    int count;
};

static void
sample(struct samples *s, int64_t from_ms, int64_t to_ms)
{
    if (from_ms > 0 && to_ms >= from_ms && s->count < LOOKED_AT_MAX)
        s->at[s->count++] = to_ms - from_ms;
}

static int
smaller_first(const void *a, const void *b)
{
    const int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

    return x < y ? -1 : x > y;
}

static int64_t
median(struct samples *s, int64_t fallback_ms)
{
    if (s->count == 0)
        return fallback_ms;
    qsort(s->at, (size_t)s->count, sizeof(s->at[0]), smaller_first);
    return s->at[s->count / 2];
}

static struct forecast_options
lately(const struct core *core, const struct service *service)
{
    struct forecast_options o = usual;
    struct samples start = {0}, healthy = {0}, stop = {0};
    int count = 0;

    for (const struct task *t = core->tasks; t != NULL && count < LOOKED_AT_MAX; t = t->next) {
        if (strcmp(t->service_arn, service->arn) != 0)
            continue;
        count++;
        sample(&start, t->created_at_ms, t->started_at_ms);
        if (t->target_count > 0 || task_definition_has_health_check(t->definition))
            sample(&healthy, t->started_at_ms, t->healthy_at_ms);
        sample(&stop, t->stopping_at_ms, t->stopped_at_ms);
    }
    o.service_arn = service->arn;
    o.start_ms = median(&start, usual.start_ms);
    o.healthy_ms = median(&healthy, usual.healthy_ms);
    o.stop_ms = median(&stop, usual.stop_ms);
    return o;
}

static bool
read_options(const struct json *plan, struct forecast_options *o, struct err *err)
{
    const char *fault = json_get_cstr(plan, "fault", forecast_fault_name(FORECAST_NONE));

    o->start_ms = json_get_i64(plan, "startMilliseconds", o->start_ms);
    o->healthy_ms = json_get_i64(plan, "healthyMilliseconds", o->healthy_ms);
    o->drain_ms = json_get_i64(plan, "drainMilliseconds", o->drain_ms);
    o->stop_ms = json_get_i64(plan, "stopMilliseconds", o->stop_ms);
    return forecast_fault_parse(fault, &o->fault) ||
           err_set(err, ERR_INVALID_PARAMETER, "There is no fault '%.64s' to plan with.", fault);
}

/* ---- the answer ---- */

static struct json *
describe_line(const struct forecast_line *line)
{
    struct json *o = json_object();

    json_set(o, "atMilliseconds", json_int(line->at_ms));
    json_set(o, "what", json_text(forecast_what_name(line->what)));
    if (line->text != NULL) {
        json_set(o, "text", json_text(line->text));
    } else {
        json_set(o, "count", json_int(line->count));
        json_set(o, "taskDefinition", json_text(line->definition));
    }
    json_set(o, "tasks", json_int(line->tasks));
    json_set(o, "healthyTasks", json_int(line->healthy));
    return o;
}

static struct json *
describe_times(const struct forecast_options *o)
{
    struct json *times = json_object();

    json_set(times, "startMilliseconds", json_int(o->start_ms));
    json_set(times, "healthyMilliseconds", json_int(o->healthy_ms));
    json_set(times, "drainMilliseconds", json_int(o->drain_ms));
    json_set(times, "stopMilliseconds", json_int(o->stop_ms));
    return times;
}

static struct json *
describe(const struct forecast *f, const struct forecast_options *o)
{
    struct json *plan = json_object(), *lines = json_array();

    for (int i = 0; i < f->line_count; i++)
        json_append(lines, describe_line(&f->lines[i]));
    json_set(plan, "startsDeployment", json_bool(f->starts_deployment));
    json_set(plan, "ends", json_bool(f->ends));
    json_set(plan, "status", json_text(sd_status_name(f->status)));
    if (f->reason[0] != '\0')
        json_set(plan, "reason", json_text(f->reason));
    if (f->ends)
        json_set(plan, "liveMilliseconds", json_int(f->live_ms));
    json_set(plan, "overMilliseconds", json_int(f->over_ms));
    json_set(plan, "lowerBound", json_int(f->healthy_min));
    json_set(plan, "upperBound", json_int(f->total_max));
    json_set(plan, "fewestHealthyTasks", json_int(f->least_healthy));
    json_set(plan, "mostTasks", json_int(f->most_tasks));
    json_set(plan, "mostCpu", json_int(f->most_cpu));
    json_set(plan, "mostMemory", json_int(f->most_memory_mib));
    json_set(plan, "fault", json_text(forecast_fault_name(o->fault)));
    json_set(plan, "times", describe_times(o));
    json_set(plan, "lines", lines);
    json_set(plan, "linesAreCut", json_bool(f->is_cut));
    return plan;
}

bool
ecs_step_or_plan(struct request *rq, const struct service *service, const struct event *event,
                 struct json *out, struct err *err)
{
    const struct json *plan = json_get(rq->input, "plan");
    struct forecast_options options;
    cleanup(forecast_done) struct forecast f = {0};

    if (plan == NULL) {
        request_step(rq, event);
        return true;
    }
    options = lately(rq->core, service);
    if (!read_options(plan, &options, err) ||
        !forecast_run(rq->core, event, rq->now_ms, &options, &f, err))
        return false;
    json_set(out, "plan", describe(&f, &options));
    return true;
}
