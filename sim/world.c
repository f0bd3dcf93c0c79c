/* SPDX-License-Identifier: MIT */
#include "world.h"
#include <assert.h>
#include <stdarg.h>

#define SETTLE_MS \
    (4LL * 3600 * 1000) /* the longest back-off is 15 min; drains, stops and pulls come on top */
#define STEPS_MAX 400000

void
world_fail(struct world *w, const char *format, ...)
{
    va_list args;

    if (w->has_failed)
        return; /* the first one is the cause */
    w->has_failed = true;
    va_start(args, format);
    vsnprintf(w->failure, sizeof(w->failure), format, args);
    va_end(args);
    world_trace(w, "VIOLATION %s", w->failure);
}

void
world_judge(struct world *w, bool is_well, const struct complaint *complaint)
{
    if (!is_well)
        world_fail(w, "%s", complaint->text);
}

void
world_trace(struct world *w, const char *format, ...)
{
    va_list args;

    if (!w->traces)
        return;
    printf("%9lld ", (long long)(w->now_ms - w->start_ms));
    va_start(args, format);
    vprintf(format, args);
    va_end(args);
    putchar('\n');
}

/* What naru takes for the time; the world's own never jumps. */
int64_t
naru_now(const struct world *w)
{
    return w->now_ms + w->skew_ms;
}

/* ---- reports ---- */

struct report *
report_task(struct world *w, int container)
{
    const struct sim_container *c = &w->containers[container];
    struct report *r = report_of_task(w->epoch, c->id, c->state, c->exit_code, c->port, c->address);
    struct ev_task_state *ev = &r->event.task_state;

    ev->health = c->has_check && c->state == UP ? c->health : HEALTH_UNKNOWN;
    ev->is_infrastructure = c->is_infrastructure;
    ev->is_environment = c->image_is_gone;
    if ((c->behaviour == BAD_IMAGE || c->image_is_gone) && ev->status == TASK_STOPPED)
        ev->reason = "CannotPullContainerError: manifest unknown";
    return r;
}

static void
send_of_target(struct world *w, struct report *r, int target)
{
    r->target = target;
    send_report(w, r);
}

void
report_health(struct world *w, int target)
{
    const struct sim_target *x = &w->targets[target];
    const struct ev_target_health health = {
        .target_group_arn = w->services[x->group / 2].groups[x->group % 2],
        .target_id = x->id, .port = x->port, .registration = x->registration,
        .state = x->health.state, .reason = x->health.reason,
        .description = x->health.description};

    send_of_target(w, report_of_health(w->epoch, &health), target);
}

void
report_in_force(struct world *w, const struct listener *l)
{
    send_report(w, report_of_listener(w->epoch, l));
}

void
report_drained_target(struct world *w, int target, const struct ef_target_change *asked)
{
    send_of_target(w, report_of_drained(w->epoch, asked), target);
}

void
send_report(struct world *w, struct report *r)
{
    /* The agent speaks of its host from one thread, in order. */
    int64_t at_ms = w->now_ms + (r->event.type == EVENT_INSTANCE_REPORT ? 0 : between(w, 0, 5));
    const bool is_ordered = r->target >= 0;
    struct report *again = NULL;

    if (strikes(w, lost) && r->event.type != EVENT_INSTANCE_REPORT) {
        report_free(r);
        return;
    }
    if (strikes(w, late) && r->event.type != EVENT_INSTANCE_REPORT)
        at_ms += between(w, 10, 20000);
    if (is_ordered) { /* the balancer's reports about one registration come from one thread, in order */
        struct sim_target *x = &w->targets[r->target];
        if (at_ms < x->last_report_ms)
            at_ms = x->last_report_ms;
        x->last_report_ms = at_ms;
    }
    if (strikes(w, repeated) && r->event.type == EVENT_TASK_STATE) {
        again = report_task(w, container_find(w, r->event.task_state.task_id));
        happen(w, at_ms + between(w, 0, 30000), DELIVER, 0)->report = again;
    }
    happen(w, at_ms, DELIVER, 0)->report = r;
}

static void
deliver(struct world *w, struct report *r)
{
    if (w->core != NULL && r->epoch == w->epoch && world_step(w, &r->event) && w->core != NULL)
        check_after_step(w);
    report_free(r);
}

static void
image_effect(struct world *w, const struct effect *e)
{
    const bool fails = strikes(w, lost);

    send_report(w, report_of_image(w->epoch, &e->image_resolve, fails ? 0 : ++w->image_version));
}

void
world_perform(struct world *w)
{
    for (int i = 0; i < w->effects.count && w->core != NULL; i++) {
        const struct effect e = w->effects.at[i];
        switch (e.type) {
        case EFFECT_TASK_START:
        case EFFECT_TASK_STOP:
        case EFFECT_TASK_FORGET:
            docker_effect(w, &e);
            break;
        case EFFECT_TARGET_REGISTER:
            balancer_effect(w, &e);
            break;
        case EFFECT_TARGET_DEREGISTER: {
            const struct ef_target_change *c = &e.target_deregister;
            const int t = target_find(w, c->target_group_arn, c->target_id, c->port);
            balancer_effect(w, &e);
            if (t < 0 || !w->targets[t].is_registered)
                report_drained_target(w, t, c);
            break;
        }
        case EFFECT_IMAGE_RESOLVE:
            image_effect(w, &e);
            break;
        case EFFECT_HOOK_CALL:
            world_trace(w, "hook %.8s is called, attempt %d", e.hook_call.hook_id,
                        e.hook_call.attempt);
            hook_is_called(&w->fate, w->now_ms, w->epoch, &e.hook_call);
            break;
        case EFFECT_HOOK_CANCEL:
            world_trace(w, "hook %.8s is called off", e.hook_cancel.hook_id);
            break;
        case EFFECT_BALANCER_CONFIG:
            balancer_weights_ordered(w, e.balancer_config.arn);
            balancer_rule_ordered(w, e.balancer_config.arn);
            break;
        case EFFECT_IMAGE_PREFETCH: /* a hint: whether it is followed changes nothing here */
        case EFFECT_PERSIST:
            break;
        }
    }
}

/* ---- naru's life ---- */

int
host_find(const struct world *w, const char *instance_arn)
{
    for (int i = 0; i < w->host_count; i++) {
        if (strcmp(w->hosts[i].instance_arn, instance_arn) == 0)
            return i;
    }
    return -1;
}

static int
host_gpu_count(const struct world *w)
{
    const int fitting = w->host_cpu / TASK_CPU;

    return !w->has_gpus ? 0 : w->is_tight && fitting < GPUS_MAX ? fitting : GPUS_MAX;
}

int
gpus_wanted_by(const struct world *w, int service)
{
    return w->has_gpus && service >= 0 && w->services[service].kind != AWSVPC_LB &&
           (w->is_tight || service == 0);
}

/* In another order in each of naru's lives; where there are plenty, one of them is missing. */
static struct json *
host_gpus(const struct world *w, int host)
{
    struct json *list = json_array();
    const int count = host_gpu_count(w);
    char text[32];

    for (int i = w->is_tight ? 0 : 1; i < count; i++) {
        snprintf(text, sizeof(text), "GPU-%d-%d", host,
                 (int)((w->epoch + (uint32_t)i) % (uint32_t)count));
        json_append(list, json_text(text));
    }
    return list;
}

uint64_t
gpu_bits(const struct json *list, int host)
{
    uint64_t bits = 0;
    int of, gpu;

    for (size_t i = 0; i < json_size(list); i++) {
        const int read = sscanf(json_cstr(json_at(list, i), ""), "GPU-%d-%d", &of, &gpu);
        assert(read == 2 && gpu >= 0 && gpu < GPUS_MAX);
        bits |= of == host ? (uint64_t)1 << gpu : 0;
    }
    return bits;
}

struct json *
host_doc(const struct world *w, int host)
{
    char text[192];
    struct json *doc;
    struct err err;

    snprintf(text, sizeof(text),
             "{\"attributes\":[{\"name\":\"ecs.availability-zone\",\"value\":\"zone%d\"},"
             "{\"name\":\"" HOST_GROUP_ATTRIBUTE "\",\"value\":\"group%d\"}]}",
             host % 2, host % 2);
    doc = json_parse(str_of(text), &err);
    assert(doc != NULL);
    json_set(doc, "gpus", host_gpus(w, host));
    return doc;
}

/* Only one of cpu, memory and GPUs is ever short. */
void
host_sizes(const struct world *w, struct ev_instance_report *ev)
{
    ev->cpu_total = w->seed % 2 == 0 && !w->has_gpus ? w->host_cpu : ROOMY;
    ev->memory_total_mib = w->seed % 2 == 0 || w->has_gpus ? ROOMY : w->host_cpu;
}

void
report_host(struct world *w, int host)
{
    struct report *r = report_new(w->epoch, EVENT_INSTANCE_REPORT);
    struct ev_instance_report *ev = &r->event.instance_report;

    r->doc = host_doc(w, host);
    ev->host = w->hosts[host].name;
    ev->is_connected = w->hosts[host].docker_is_up;
    host_sizes(w, ev);
    ev->doc = r->doc;
    send_report(w, r);
}

static void
naru_dies(struct world *w)
{
    world_trace(w, "naru dies");
    core_free(w->core);
    w->core = NULL;
    if (w->store_is_away)
        book_return(w);
    nobody_watched(w, /* host= */ -1);
    w->store_is_away = false;
    w->epoch++;
    happen(w, w->now_ms + between(w, 50, chance(w, 2000) ? 120000 : 3000), NARU_BACK, 0);
}

/* The host's clock may have been set meanwhile; the engine never goes back behind what is written. */
static void
set_clock(struct world *w)
{
    if (strikes(w, clock_set))
        w->skew_ms += between(w, -7200, 7200) * 1000;
    if (naru_now(w) < w->core->now_ms)
        w->skew_ms = w->core->now_ms - w->now_ms;
}

static void
naru_returns(struct world *w)
{
    struct err err;

    w->core = core_new(&w->options);
    for (int i = 0; i < w->row_count; i++) {
        if (!core_load(w->core, w->rows[i].kind, w->rows[i].doc, &err))
            world_fail(w, "row %s: %s", w->rows[i].key, err.message);
    }
    if (!core_link(w->core, &err))
        world_fail(w, "linking: %s", err.message);
    check_rows_read_back(w);
    set_clock(w);
    world_trace(w, "naru returns, its clock %lld ms off", (long long)w->skew_ms);
    effects_clear(&w->effects);
    core_resume(w->core, naru_now(w), &w->effects);
    still_begin(&w->still, naru_now(w), w->now_ms, w->stalled_until_ms);
    if (w->stores_every_step)
        store_commit_rows(w);
    check_effects(w);
    check_after_step(w);
    world_perform(w);
    balancer_view_again(w);
    for (int i = 0; i < w->host_count; i++)
        report_host(w, i);
}

/* The store refuses from now on: what the core does is neither performed nor told to anybody. */
static void
store_goes_away(struct world *w)
{
    world_trace(w, "commits fail");
    if (!w->stores_every_step)
        store_take_all(w);
    book_keep(w);
    w->store_is_away = true;
    effects_clear(&w->effects);
    happen(w, w->now_ms + 1000, STORE_BACK, 0)->generation = w->epoch;
}

/* As the engine does: nothing is stopped by orders as old as those to take it out of traffic. */
static void
hold_back_stops(struct world *w)
{
    for (int i = 0; i < w->effects.count; i++) {
        if (w->effects.at[i].type == EFFECT_TASK_STOP)
            w->effects.at[i].type = EFFECT_PERSIST;
    }
}

/* As the engine tries again: all that gathered is committed, then performed. */
static void
store_returns(struct world *w, uint32_t epoch)
{
    static const struct event late = {.type = EVENT_ORDERS_LATE};

    if (!w->store_is_away || epoch != w->epoch)
        return;
    if (strikes(w, commit_fails) || chance(w, w->faults.commit_fails == 0 ? 0 : 3000)) {
        happen(w, w->now_ms + 1000, STORE_BACK, 0)->generation = w->epoch;
        return;
    }
    world_trace(w, "commits work again");
    w->store_is_away = false;
    book_forget(w);
    if (w->stores_every_step)
        store_commit_rows(w);
    hold_back_stops(w);
    world_perform(w);
    if (w->core != NULL && world_step(w, &late) && w->core != NULL)
        check_after_step(w);
}

static bool
step(struct world *w, const struct event *event)
{
    const int crash = strikes(w, naru_crash) ? (int)between(w, 1, 3) : 0;
    int first;

    if (!w->store_is_away && strikes(w, commit_fails))
        store_goes_away(w);
    if (crash == 1 && !w->stores_every_step && !w->store_is_away)
        store_take_all(w);
    if (!w->store_is_away)
        effects_clear(&w->effects);
    first = w->effects.count;
    still_looks(&w->still, w->core, naru_now(w), w->now_ms);
    core_step(w->core, event, naru_now(w), &w->effects);
    w->steps++;
    if (w->traces)
        world_trace(w, "%s", event_name(event->type));
    if (crash == 1 || (crash != 0 && w->store_is_away)) { /* not committed: it never happened */
        naru_dies(w);
        return false;
    }
    told(w, event);
    if (w->store_is_away) {
        check_effects_from(w, first);
        return true;
    }
    if (w->stores_every_step)
        store_commit_rows(w);
    check_effects(w);
    if (crash == 0)
        world_perform(w);
    if (crash == 3)
        world_perform(w);
    if (crash != 0) {
        store_take_all(w); /* and, if every step was stored, compares */
        naru_dies(w);
    }
    return true;
}

bool
world_step(struct world *w, const struct event *event)
{
    struct event still;

    if (fate_stood_still(w->core, w->still.look_ms, naru_now(w), &still) && (!step(w, &still) || w->core == NULL))
        return false;
    return step(w, event);
}

/* ---- faults ---- */

/* `docker rm -f` by somebody, or a bug of Docker: gone, and nobody says so. */
static void
lose_container(struct world *w)
{
    const int i = w->container_count == 0 ? -1 : (int)between(w, 0, w->container_count - 1);
    struct sim_container *c = i < 0 ? NULL : &w->containers[i];

    if (c == NULL || c->state != UP || c->is_signalled)
        return;
    world_trace(w, "container %.8s is lost", c->id);
    c->state = EXITED;
    c->exit_code = 137;
    c->is_infrastructure = true;
    c->generation++;
}

static void
fault(struct world *w)
{
    const int host = (int)between(w, 0, w->host_count - 1);

    if (strikes(w, container_lost))
        lose_container(w);
    if (strikes(w, naru_stalls) && w->now_ms >= w->stalled_until_ms) {
        w->stalled_until_ms = w->now_ms + between(w, 1, 600) * 1000;
        still_begin(&w->still, naru_now(w), w->now_ms, w->stalled_until_ms);
        world_trace(w, "naru stands still for %lld ms", (long long)(w->stalled_until_ms - w->now_ms));
    }
    if (strikes(w, docker_death) && w->hosts[host].docker_is_up) {
        docker_dies(w, host);
        report_host(w, host);
        happen(w, w->now_ms + between(w, 500, w->host_count > 1 && chance(w, 2000) ? 900000 : 90000),
               DOCKER_BACK, host);
    }
    if (strikes(w, haproxy_restart)) {
        /* What was in flight there is lost with it; the rotation comes back from its state file. */
        world_trace(w, "haproxy restarts");
        for (int i = 0; i < w->target_count; i++) {
            struct sim_target *x = &w->targets[i];
            x->in_flight = 0;
            if (x->is_registered && x->is_draining)
                happen(w, w->now_ms, DRAIN_END, i)->generation = x->generation;
        }
    }
    if (w->now_ms < w->operators_end_ms)
        happen(w, w->now_ms + between(w, 1000, 15000), FAULT, 0);
}

/* ---- the course ---- */

static void
happened(struct world *w, const struct happening *h)
{
    if (w->now_ms < w->stalled_until_ms && fate_put_off(&w->fate, h, w->stalled_until_ms))
        return;
    switch (h->kind) {
    case DELIVER:
        deliver(w, h->report);
        break;
    case DOCKER:
        docker_happened(w, h->index, h->generation);
        break;
    case PROBE:
        balancer_probe(w, h->index, h->generation);
        break;
    case TRAFFIC:
        balancer_traffic(w);
        break;
    case REQUEST_END:
        balancer_request_end(w, h->index, h->generation);
        break;
    case DRAIN_END:
        balancer_drain_end(w, h->index, h->generation);
        break;
    case OPERATOR:
        operator_acts(w);
        break;
    case FAULT:
        fault(w);
        break;
    case DOCKER_BACK:
        docker_returns(w, h->index);
        report_host(w, h->index);
        break;
    case NARU_BACK:
        naru_returns(w);
        break;
    case STORE_BACK:
        store_returns(w, h->generation);
        break;
    case WEIGHTS:
        balancer_weights_set(w, h->index, h->generation);
        break;
    }
}

/* One happening, or the core's own deadline if that comes first; false if there is nothing left. */
static bool
advance(struct world *w)
{
    static const struct event clock = {.type = EVENT_CLOCK};
    const int64_t due_ms = deadline_due_ms(w->core, &w->still, w->skew_ms, w->stalled_until_ms);
    struct happening h;

    if (w->fate.count == 0 && due_ms == INT64_MAX)
        return false;
    if (w->fate.count == 0 || due_ms < w->fate.heap[0].at_ms) {
        w->now_ms = due_ms > w->now_ms ? due_ms : w->now_ms;
        if (world_step(w, &clock) && w->core != NULL)
            check_after_step(w);
        return true;
    }
    h = fate_take(&w->fate);
    assert(h.at_ms >= w->now_ms);
    w->now_ms = h.at_ms;
    happened(w, &h);
    return true;
}

static void
draw_faults(struct world *w)
{
    struct faults *f = &w->faults;

    /* A third of the worlds are calm in each respect, so that one fault cannot hide another's bug.
     */
#define X(field, most) f->field = chance(w, 3300) ? 0 : (int)between(w, 1, most);
    FAULTS(X)
#undef X
}

struct world *
world_new(uint64_t seed, const struct cut *cut, bool traces)
{
    struct world *w = mem_new(sizeof(*w));

    if (cut != NULL)
        w->cut = *cut;
    w->seed = seed;
    w->traces = traces;
    rng_seed(&w->fate.rng, seed);
    w->start_ms = w->now_ms = 1767000000000;
    still_begin(&w->still, w->now_ms, w->now_ms, w->stalled_until_ms);
    w->options = (struct core_options){
        .account = "000000000000", .default_region = "eu-west-1", .seed = seed};
    w->core = core_new(&w->options);
    w->next_port = 32768;
    w->stores_every_step = seed % 16 == 0;
    return w;
}

void
world_free(struct world *w)
{
    if (w == NULL)
        return;
    fate_done(&w->fate);
    store_clear(w);
    core_free(w->core);
    effects_done(&w->effects);
    free(w->rows);
    free(w->containers);
    free(w->targets);
    free(w->pinned);
    completed_done(&w->completed);
    book_forget(w);
    free(w);
}

bool
world_run(struct world *w)
{
    char why[256] = "";

    operators_begin(w);
    draw_faults(w);
    w->operators_end_ms = w->now_ms + between(w, 60, 900) * 1000;
    happen(w, w->now_ms + 500, OPERATOR, 0);
    happen(w, w->now_ms + 2000, FAULT, 0);
    happen(w, w->now_ms, TRAFFIC, 0);
    while (!w->has_failed && w->now_ms < w->operators_end_ms && advance(w) && w->steps < STEPS_MAX)
        ;
    world_trace(w, "faults end");
    w->faults = (struct faults){0};
    while (!w->has_failed &&
           (w->core == NULL || w->store_is_away || w->now_ms < w->stalled_until_ms) && advance(w))
        ;
    if (!w->has_failed)
        operators_finish(w);
    for (const int64_t end_ms = w->now_ms + SETTLE_MS; !w->has_failed;) {
        const int64_t until_ms = w->now_ms + 5000;
        while (!w->has_failed && w->now_ms < until_ms && advance(w) && w->steps < STEPS_MAX)
            ;
        if (w->has_failed || world_is_steady(w, why, sizeof(why)))
            break;
        if (w->now_ms >= end_ms || w->steps >= STEPS_MAX)
            world_fail(w, "it does not settle: %s", why);
    }
    if (!w->has_failed && w->core != NULL)
        core_check(w->core);
    return !w->has_failed;
}
