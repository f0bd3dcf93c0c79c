/* SPDX-License-Identifier: MIT */
#include "core/forecast.h"
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include "core/deployment.h"
#include "core/forecast_world.h"
#include "core/hearing.h"
#include "core/rollout.h"

#define STEPS_MAX 20000
#define FIRST_ADDRESS 0x0ac80001 /* 10.200.0.1 */

const char *
forecast_fault_name(enum forecast_fault fault)
{
    static const char *const names[] = {
#define X(NAME, text) text,
        FORECAST_FAULTS(X)
#undef X
    };

    assert(fault < FORECAST_FAULT_COUNT);
    return names[fault];
}

bool
forecast_fault_parse(const char *text, enum forecast_fault *out)
{
    for (int i = 0; i < FORECAST_FAULT_COUNT; i++) {
        if (strcmp(text, forecast_fault_name((enum forecast_fault)i)) == 0) {
            *out = (enum forecast_fault)i;
            return true;
        }
    }
    return false;
}

const char *
forecast_what_name(enum forecast_what what)
{
    static const char *const names[] = {"start", "running", "healthy", "unhealthy", "exited",
                                        "drain", "stop",    "stopped", "event",     "status"};

    assert(what < ARRAY_COUNT(names));
    return names[what];
}

/* ---- lines ---- */

static void
define(char out[static NAME_SIZE + 16], const struct task *t)
{
    snprintf(out, NAME_SIZE + 16, "%s:%d", t->definition->family, t->definition->revision);
}

static struct forecast_line *
add_line(struct forecast_world *w, enum forecast_what what)
{
    struct forecast_line *line;

    w->fresh = mem_grow(w->fresh, (size_t)w->fresh_count + 1, sizeof(w->fresh[0]));
    line = &w->fresh[w->fresh_count++];
    *line = (struct forecast_line){.at_ms = w->now_ms - w->start_ms, .what = what};
    return line;
}

/* The same thing of several tasks in one moment is one line. */
void
forecast_note_task(struct forecast_world *w, enum forecast_what what, const struct task *t)
{
    char definition[NAME_SIZE + 16];
    struct forecast_line *line;

    if (t == NULL || strcmp(t->service_arn, w->options->service_arn) != 0)
        return;
    define(definition, t);
    for (int i = 0; i < w->fresh_count; i++) {
        line = &w->fresh[i];
        if (line->what == what && strcmp(line->definition, definition) == 0) {
            line->count++;
            return;
        }
    }
    line = add_line(w, what);
    line->count = 1;
    memcpy(line->definition, definition, sizeof(definition));
}

static void
note_text(struct forecast_world *w, enum forecast_what what, const char *text)
{
    add_line(w, what)->text = text_format("%s", text);
}

/* Events that were added since the last look, oldest first. */
static void
note_events(struct forecast_world *w, const struct service *s)
{
    int fresh = 0;

    while (fresh < s->event_count && strcmp(s->events[fresh].id, w->last_event) != 0)
        fresh++;
    for (int i = fresh - 1; i >= 0; i--)
        note_text(w, FORECAST_EVENT, s->events[i].message);
    if (s->event_count > 0)
        text_copy(w->last_event, sizeof(w->last_event), str_of(s->events[0].id));
}

static void
note_status(struct forecast_world *w, const struct service *s)
{
    const struct service_deployment *sd = service_current(s);

    if (sd == NULL || (sd == w->shown && sd->status == w->shown_status))
        return;
    w->shown = sd;
    w->shown_status = sd->status;
    note_text(w, FORECAST_STATUS, sd_status_name(sd->status));
}

/* ---- measures ---- */

static void
measure(struct forecast_world *w, const struct service *s)
{
    const struct task_counts n = core_counts(w->core, s, NULL);
    struct forecast *f = w->out;
    int cpu = 0, memory_mib = 0;

    for (const struct task *t = s->live; t != NULL; t = t->next_live) {
        if (t->last_status != TASK_STOPPED) {
            cpu += t->cpu;
            memory_mib += t->memory_mib;
        }
    }
    if (cpu > f->most_cpu)
        f->most_cpu = cpu;
    if (memory_mib > f->most_memory_mib)
        f->most_memory_mib = memory_mib;
    if (n.desired_running > f->most_tasks)
        f->most_tasks = n.desired_running;
    if (n.healthy < f->least_healthy)
        f->least_healthy = n.healthy;
}

/* The moment is over: its lines get the counts, and go to the result. */
static void
close_moment(struct forecast_world *w)
{
    const struct service *s = core_service_by_arn(w->core, w->options->service_arn);
    const struct task_counts n = core_counts(w->core, s, NULL);
    struct forecast *f = w->out;

    for (int i = 0; i < w->fresh_count; i++) {
        struct forecast_line *line = &w->fresh[i];
        line->tasks = n.desired_running;
        line->healthy = n.healthy;
        if (f->line_count == FORECAST_LINES_MAX) {
            f->is_cut = true;
            free(line->text);
            continue;
        }
        f->lines = mem_grow(f->lines, (size_t)f->line_count + 1, sizeof(f->lines[0]));
        f->lines[f->line_count++] = *line;
    }
    w->fresh_count = 0;
}

void
forecast_step(struct forecast_world *w, const struct event *event)
{
    const struct service *s;

    core_step(w->core, event, w->now_ms, &w->effects);
    s = core_service_by_arn(w->core, w->options->service_arn);
    forecast_expect_all(w);
    note_events(w, s);
    note_status(w, s);
    measure(w, s);
}

/* ---- the course ---- */

static bool
is_over(const struct service *s)
{
    const struct service_deployment *sd = service_current(s);

    if (sd == NULL) /* of task sets, perhaps of none */
        return s->is_steady || s->deployments == NULL;
    return sd_is_finished(sd) && (s->is_steady || service_primary(s)->is_failed);
}

/* The next thing that happens, or a deadline of the core; false if it is beyond the horizon. */
static bool
advance(struct forecast_world *w)
{
    const int64_t deadline_ms = core_deadline_ms(w->core);
    const struct event clock = {.type = EVENT_CLOCK};
    int64_t next_ms = w->due_count > 0 ? w->due[w->due_count - 1].at_ms : INT64_MAX;

    if (deadline_ms < next_ms)
        next_ms = deadline_ms;
    if (next_ms > w->start_ms + FORECAST_HORIZON_MS)
        return false;
    if (next_ms > w->now_ms) {
        close_moment(w);
        w->now_ms = next_ms;
    }
    if (w->due_count > 0 && w->due[w->due_count - 1].at_ms <= w->now_ms) {
        const struct happening h = w->due[--w->due_count];
        forecast_happens(w, &h);
    } else {
        forecast_step(w, &clock);
    }
    return true;
}

static void
follow(struct forecast_world *w)
{
    struct forecast *f = w->out;

    for (int steps = 0; steps < STEPS_MAX; steps++) {
        const struct service *s = core_service_by_arn(w->core, w->options->service_arn);
        if (is_over(s)) {
            if (!f->ends)
                f->live_ms = w->now_ms - w->start_ms;
            f->ends = true;
            if (w->due_count == 0)
                break;
        } else {
            f->ends = false; /* it began to move again */
        }
        if (!advance(w))
            break;
    }
    close_moment(w);
    f->over_ms = w->now_ms - w->start_ms;
}

static void
begin(struct forecast_world *w, const struct event *event)
{
    struct service *s;
    const struct service_deployment *before;

    core_resume(w->core, w->now_ms, &w->effects);
    hearing_end_all(w->core);
    s = core_service_by_arn(w->core, w->options->service_arn);
    before = service_current(s);
    for (const struct deployment *d = s->deployments; d != NULL; d = d->next) {
        const uint64_t number = strtoull(d->id + strlen("ecs-svc/"), NULL, 10);
        if (number > w->newest_before)
            w->newest_before = number;
    }
    if (s->event_count > 0)
        text_copy(w->last_event, sizeof(w->last_event), str_of(s->events[0].id));
    if (before != NULL && sd_is_finished(before)) {
        w->shown = before;
        w->shown_status = before->status;
    }
    w->out->least_healthy = core_counts(w->core, s, NULL).healthy;
    forecast_step(w, event);
    w->out->starts_deployment =
        service_current(s) != before || (before != NULL && !sd_is_finished(before));
}

static void
conclude(struct forecast_world *w)
{
    const struct service *s = core_service_by_arn(w->core, w->options->service_arn);
    const struct service_deployment *sd = service_current(s);
    const struct deployment_limits limits = deployment_limits(
        s->desired_count, s->config.minimum_healthy_percent, s->config.maximum_percent);
    struct forecast *f = w->out;
    const int64_t minutes = f->over_ms / 60000;

    f->healthy_min = limits.healthy_min;
    f->total_max = limits.total_max;
    f->status = sd == NULL ? SD_SUCCESSFUL : sd->status;
    if (f->ends && f->status != SD_SUCCESSFUL)
        snprintf(f->reason, sizeof(f->reason), "%s", sd->status_reason);
    else if (!f->ends && s->last_complaint[0] != '\0')
        snprintf(f->reason, sizeof(f->reason), "%s", s->last_complaint);
    else if (!f->ends)
        snprintf(
            f->reason, sizeof(f->reason),
            "Not over after %lld minutes: its tasks do not stay healthy, and nothing ends that.",
            (long long)minutes);
}

bool
forecast_run(const struct core *core, const struct event *event, int64_t now_ms,
             const struct forecast_options *options, struct forecast *out, struct err *err)
{
    struct forecast_world w = {.options = options,
                               .out = out,
                               .start_ms = now_ms,
                               .now_ms = now_ms,
                               .next_address = FIRST_ADDRESS};

    memset(out, 0, sizeof(*out));
    if (!forecast_copy(core, event, options->service_arn, &w.core, err))
        return false;
    forecast_begin_ports(&w);
    begin(&w, event);
    follow(&w);
    conclude(&w);
    core_free(w.core);
    effects_done(&w.effects);
    free(w.due);
    free(w.fresh);
    return true;
}

void
forecast_done(struct forecast *f)
{
    for (int i = 0; i < f->line_count; i++)
        free(f->lines[i].text);
    free(f->lines);
    memset(f, 0, sizeof(*f));
}
