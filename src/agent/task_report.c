/* SPDX-License-Identifier: MIT */
/* task_report.c - one task as the control plane is told of it, always complete. */
#include <stdio.h>
#include "agent/internal.h"
#include "base/clock.h"
#include "base/log.h"
#include "model/task_definition.h"

bool
runner_all_stopped(const struct runner *r)
{
    for (int i = 0; i < r->count; i++)
        if (!r->containers[i].is_stopped)
            return false;
    return true;
}

/* Has every container reached its steady state?  An assistant that ended counts, unless it never
 * started; an essential one that ended is on the way to STOPPED. */
static bool
is_steady(const struct runner *r)
{
    for (int i = 0; i < r->count; i++) {
        const struct runner_container *c = &r->containers[i];

        if (!c->is_running && !(c->is_stopped && !c->plan.is_essential))
            return false;
    }
    return r->count > 0;
}

/* Over essential containers with a check (ecs.md 4.6). */
static enum health_status
health_of(const struct runner *r)
{
    enum health_status worst = HEALTH_UNKNOWN;
    bool has_any = false, has_unknown = false;

    for (int i = 0; i < r->count; i++) {
        const struct runner_container *c = &r->containers[i];

        if (!c->plan.is_essential || !c->plan.has_health_check)
            continue;
        has_any = true;
        if (c->health == HEALTH_UNHEALTHY)
            return HEALTH_UNHEALTHY;
        has_unknown = has_unknown || c->health == HEALTH_UNKNOWN;
    }
    if (has_any && !has_unknown)
        worst = HEALTH_HEALTHY;
    return worst;
}

/* What Docker does not publish and the definition tells: in host mode the process binds by itself,
 * and in awsvpc mode all of a range is there under the task's own address. */
static void
own_bindings(const struct runner *r, int index, struct task_container *out)
{
    const struct json *definition = json_at(json_get(r->task->definition, "containerDefinitions"), (size_t)index),
                      *list = json_get(definition, "portMappings");

    for (size_t i = 0; i < json_size(list) && out->binding_count < BINDINGS_MAX; i++) {
        const struct json *m = json_at(list, i);
        int port = (int)json_get_i64(m, "containerPort", 0), last = 0;
        const bool is_udp = strcmp(json_get_cstr(m, "protocol", ""), "udp") == 0;

        if (out->last_status != TASK_RUNNING)
            continue;
        if (r->containers[index].plan.is_host_network && port > 0)
            out->bindings[out->binding_count++] = (struct network_binding){port, port, is_udp, 0};
        else if (r->containers[index].plan.is_awsvpc &&
                 port_range_parse(json_get_cstr(m, "containerPortRange", ""), &port, &last))
            out->bindings[out->binding_count++] =
                (struct network_binding){port, port, is_udp, last - port + 1};
    }
}

static void
describe(const struct runner *r, int index, struct task_container *out)
{
    const struct runner_container *c = &r->containers[index];

    memcpy(out->name, c->plan.name, sizeof(out->name));
    (void)text_copy(out->runtime_id, sizeof(out->runtime_id), str_of(c->id));
    memcpy(out->digest, c->digest, sizeof(out->digest));
    out->last_status = c->is_stopped ? TASK_STOPPED : c->is_running ? TASK_RUNNING : TASK_PENDING;
    out->health = c->health;
    out->has_exit_code = c->has_exit_code;
    out->exit_code = c->exit_code;
    memcpy(out->reason, c->reason, sizeof(out->reason));
    out->binding_count = c->binding_count;
    memcpy(out->bindings, c->bindings, sizeof(c->bindings));
    own_bindings(r, index, out);
}

/* Since the first essential container exited; 0: none that Docker has a time of. */
static int64_t
exited_ago_ms(const struct runner *r)
{
    const int64_t now = clock_wall_ms();
    int64_t ago = 0;

    for (int i = 0; i < r->count; i++) {
        const struct runner_container *c = &r->containers[i];

        if (c->plan.is_essential && c->exited_at_ms != 0 && now - c->exited_at_ms > ago)
            ago = now - c->exited_at_ms;
    }
    return ago;
}

/* "app: <time> exit 1: output" of every container, once it matters: it is unhealthy, or over. */
static void
add_health_log(const struct runner *r, struct strbuf *out)
{
    for (int i = 0; i < r->count; i++) {
        const struct runner_container *c = &r->containers[i];
        struct str rest = str_of(c->health_log), line;

        if (c->health != HEALTH_UNHEALTHY && !c->is_stopped)
            continue;
        while (str_split(&rest, '\n', &line)) {
            if (line.len > 0)
                strbuf_addf(out, "%s: " STR_FMT "\n", c->plan.name, STR_ARG(line));
        }
    }
}

void
runner_report(struct runner *r)
{
    cleanup(strbuf_done) struct strbuf health_log = {0};
    cleanup_free struct task_container *containers = mem_new(CONTAINERS_MAX * sizeof(*containers));
    cleanup_free struct network_binding *bindings =
        mem_new(CONTAINERS_MAX * BINDINGS_MAX * sizeof(*bindings));
    enum task_status status = TASK_PENDING;

    r->is_dirty = false;
    r->has_run = r->has_run || is_steady(r);
    if (runner_all_stopped(r))
        status = TASK_STOPPED;
    else if (r->has_run)
        status = TASK_RUNNING;
    if (status == TASK_STOPPED && !r->is_over) {
        r->is_over = true;
        log_info("task.stopped", "task=%s reason=%s", r->id, log_quote(r->reason));
    }
    for (int i = 0; i < r->count; i++) {
        containers[i].bindings = &bindings[i * BINDINGS_MAX];
        describe(r, i, &containers[i]);
    }
    add_health_log(r, &health_log);
    const struct event e = {
        .type = EVENT_TASK_STATE,
        .task_state = {.task_id = r->id,
                       .status = status,
                       .health = health_of(r),
                       .containers = containers,
                       .container_count = r->count,
                       .address = r->address[0] != '\0' ? r->address : NULL,
                       .mac_address = r->address[0] != '\0' ? r->mac_address : NULL,
                       .pull_started_at_ms = r->pull_started_at_ms,
                       .pull_stopped_at_ms = r->pull_stopped_at_ms,
                       .reason = r->reason[0] != '\0' ? r->reason : NULL,
                       .exited_ago_ms = status == TASK_STOPPED ? exited_ago_ms(r) : 0,
                       .health_log = health_log.len > 0 ? strbuf_cstr(&health_log) : NULL,
                       .is_infrastructure = r->is_infrastructure,
                       .is_environment = r->is_environment}};
    r->agent->config.report(r->agent->config.ctx, &e);
}
