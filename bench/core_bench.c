/* SPDX-License-Identifier: MIT */
/* core_bench - what a decision costs, and whether that grows with what exists.
 *   core_bench [--tasks N]...   (default: 1000, 10000 and 100000)
 * Worlds of services with 20 tasks each, half of them behind a target group of their own, in which every
 * order is obeyed at once: an image resolves, a task runs, its target is healthy, a drain is over.  Each
 * world is made, and then every service is rolled over to a new revision.  Printed are the steps of that
 * rollover only: steps a second on one core, nanoseconds a step, memory a task. */
#include <assert.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include "core/core.h"

#define TASKS_A_SERVICE 20
#define WORLDS_MAX 16
#define CPU_MANY 2000000000

struct world {
    struct core *core;
    struct effects effects, obeyed; /* to be obeyed; room for the next ones */
    int64_t now_ms;
    uint64_t steps, starts;
    int next_port, service_count;
    char cluster[ARN_SIZE], definition[ARN_SIZE];
    char (*groups)[ARN_SIZE], (*services)[ARN_SIZE];
};

/* Of this process: others on the machine do not slow a decision down. */
static int64_t
cpu_ns(void)
{
    struct timespec t;

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static void
step(struct world *w, const struct event *event)
{
    core_step(w->core, event, w->now_ms, &w->effects);
    w->steps++;
}

/* ---- the obedient world ---- */

static void
report_task(struct world *w, const struct task *t, enum task_status status)
{
    struct event event = {.type = EVENT_TASK_STATE};
    struct task_container container = {.last_status = status};

    text_copy(container.name, sizeof(container.name), str_of(t->containers[0].name));
    if (status == TASK_STOPPED) {
        container.has_exit_code = true;
    } else {
        container.bindings[0] = (struct network_binding){8080, 1 + w->next_port++ % 2000000000, false};
        container.binding_count = 1;
    }
    event.task_state = (struct ev_task_state){.task_id = t->id, .status = status, .containers = &container,
                                              .container_count = 1};
    step(w, &event);
}

static void
obey(struct world *w, const struct effect *e)
{
    static const char digests[1][DIGEST_SIZE] = {"sha256:0123456789abcdef"};
    const struct task *t;

    switch (e->type) {
    case EFFECT_IMAGE_RESOLVE:
        step(w, &(struct event){.type = EVENT_IMAGE_RESOLVED,
                                .image_resolved = {.service_arn = e->image_resolve.service_arn,
                                                   .revision_arn = e->image_resolve.revision_arn,
                                                   .digests = digests,
                                                   .digest_count = 1}});
        break;
    case EFFECT_TASK_START:
        t = core_task_by_arn(w->core, e->task_start.task_arn);
        if (t != NULL && t->last_status < TASK_RUNNING) {
            w->starts++;
            report_task(w, t, TASK_RUNNING);
        }
        break;
    case EFFECT_TASK_STOP:
        t = core_task_by_arn(w->core, e->task_stop.task_arn);
        if (t != NULL)
            report_task(w, t, TASK_STOPPED);
        break;
    case EFFECT_TARGET_REGISTER:
        step(w, &(struct event){.type = EVENT_TARGET_HEALTH,
                                .target_health = {.target_group_arn = e->target_register.target_group_arn,
                                                  .target_id = e->target_register.target_id,
                                                  .port = e->target_register.port,
                                                  .registration = e->target_register.registration,
                                                  .state = TARGET_healthy}});
        break;
    case EFFECT_TARGET_DEREGISTER:
        step(w, &(struct event){.type = EVENT_TARGET_DRAINED,
                                .target_drained = {.target_group_arn = e->target_deregister.target_group_arn,
                                                   .target_id = e->target_deregister.target_id,
                                                   .port = e->target_deregister.port,
                                                   .registration = e->target_deregister.registration}});
        break;
    case EFFECT_PERSIST:
    case EFFECT_TASK_FORGET:
    case EFFECT_BALANCER_CONFIG:
    case EFFECT_HOOK_CALL:
    case EFFECT_HOOK_CANCEL:
        break;
    }
}

/* Obeys until nothing is asked any more. */
static void
settle(struct world *w)
{
    while (w->effects.count > 0) {
        const struct effects asked = w->effects;

        w->effects = w->obeyed;
        for (int i = 0; i < asked.count; i++)
            obey(w, &asked.at[i]);
        w->obeyed = asked;
        effects_clear(&w->obeyed);
    }
}

/* Lets deadlines pass (tasks without a target group count as healthy after a while). */
static void
run_until(struct world *w, int64_t end_ms)
{
    static const struct event clock = {.type = EVENT_CLOCK};

    settle(w);
    while (core_deadline_ms(w->core) <= end_ms) {
        w->now_ms = core_deadline_ms(w->core);
        step(w, &clock);
        settle(w);
    }
    w->now_ms = end_ms;
}

/* ---- making it ---- */

static void
make_definition(struct world *w)
{
    struct json *doc = json_object(), *containers = json_array(), *container = json_object();
    struct json *ports = json_array(), *port = json_object(), *fits = json_array();

    json_set(port, "containerPort", json_int(8080));
    json_append(ports, port);
    json_set(container, "name", json_text("web"));
    json_set(container, "image", json_text("registry.example/web:1"));
    json_set(container, "portMappings", ports);
    json_append(containers, container);
    json_append(fits, json_text("EC2"));
    json_set(doc, "containerDefinitions", containers);
    json_set(doc, "compatibilities", fits);
    json_set(doc, "networkMode", json_text("bridge"));
    step(w, &(struct event){.type = EVENT_TASK_DEFINITION_REGISTER,
                            .task_definition_register = {.region = "eu-west-1", .family = "web",
                                                         .doc = doc}});
    text_copy(w->definition, ARN_SIZE, str_of(w->core->task_definitions->arn));
    json_unref(doc);
}

static void
make_group(struct world *w, int index)
{
    struct target_group *tg = mem_new(sizeof(*tg));

    snprintf(tg->arn, sizeof(tg->arn), "arn:aws:elasticloadbalancing:eu-west-1:000000000000:targetgroup/g%d/0",
             index);
    snprintf(tg->name, sizeof(tg->name), "g%d", index);
    tg->target_type = TARGET_TYPE_instance;
    tg->deregistration_delay_s = 300;
    text_copy(w->groups[index], ARN_SIZE, str_of(tg->arn));
    step(w, &(struct event){.type = EVENT_TARGET_GROUP_PUT, .target_group_put = {.target_group = tg}});
}

static void
make_service(struct world *w, int index)
{
    const struct deployment_config config = {.minimum_healthy_percent = 100, .maximum_percent = 200};
    struct service_load_balancer lb = {.container_name = "web", .container_port = 8080};
    char name[NAME_SIZE];

    snprintf(name, sizeof(name), "service-%d", index);
    if (index % 2 == 0) {
        make_group(w, index / 2);
        text_copy(lb.target_group_arn, ARN_SIZE, str_of(w->groups[index / 2]));
    }
    step(w, &(struct event){.type = EVENT_SERVICE_CREATE,
                            .service_create = {.cluster_arn = w->cluster,
                                               .name = name,
                                               .created_by = "bench",
                                               .client_token = "",
                                               .desired_count = TASKS_A_SERVICE,
                                               .task_definition_arn = w->definition,
                                               .launch_type = LAUNCH_EC2,
                                               .load_balancers = &lb,
                                               .load_balancer_count = index % 2 == 0,
                                               .config = &config}});
    snprintf(w->services[index], ARN_SIZE, "arn:aws:ecs:eu-west-1:000000000000:service/bench/%s", name);
}

static struct world *
world_new(int tasks)
{
    const struct core_options options = {.account = "000000000000", .default_region = "eu-west-1", .seed = 7};
    struct world *w = mem_new(sizeof(*w));

    w->core = core_new(&options);
    w->now_ms = 1000000;
    w->service_count = (tasks + TASKS_A_SERVICE - 1) / TASKS_A_SERVICE;
    w->groups = mem_new((size_t)w->service_count * ARN_SIZE);
    w->services = mem_new((size_t)w->service_count * ARN_SIZE);
    step(w, &(struct event){.type = EVENT_INSTANCE_REPORT,
                            .instance_report = {.host = "host", .is_connected = true, .cpu_total = CPU_MANY,
                                                .memory_total_mib = CPU_MANY}});
    step(w, &(struct event){.type = EVENT_CLUSTER_CREATE,
                            .cluster_create = {.region = "eu-west-1", .name = "bench"}});
    text_copy(w->cluster, ARN_SIZE, str_of(w->core->clusters->arn));
    make_definition(w);
    for (int i = 0; i < w->service_count; i++) {
        make_service(w, i);
        settle(w);
    }
    run_until(w, w->now_ms + 60000);
    return w;
}

static void
world_free(struct world *w)
{
    core_free(w->core);
    effects_done(&w->effects);
    effects_done(&w->obeyed);
    free(w->groups);
    free(w->services);
    free(w);
}

/* ---- rolling it over ---- */

static void
roll_over(struct world *w)
{
    for (int i = 0; i < w->service_count; i++) {
        step(w, &(struct event){.type = EVENT_SERVICE_UPDATE,
                                .service_update = {.service_arn = w->services[i],
                                                   .desired_count = -1,
                                                   .health_check_grace_s = -1,
                                                   .launch_type = -1,
                                                   .starts_deployment = true}});
        settle(w);
    }
    run_until(w, w->now_ms + 60000);
}

static void
check_all_complete(const struct world *w)
{
    for (int i = 0; i < w->service_count; i++) {
        const struct service *s = core_service_by_arn(w->core, w->services[i]);

        if (service_primary(s)->rollout_state != ROLLOUT_COMPLETED || s->revision_count != 2) {
            fprintf(stderr, "core_bench: %s did not roll over\n", s->name);
            exit(1);
        }
    }
}

static void
measure(int tasks)
{
    const size_t before = mallinfo2().uordblks + mallinfo2().hblkhd;
    struct world *w = world_new(tasks);
    const size_t bytes = mallinfo2().uordblks + mallinfo2().hblkhd - before;
    const uint64_t steps = w->steps, starts = w->starts;
    const int64_t begin_ns = cpu_ns();
    double took_s;

    roll_over(w);
    took_s = (double)(cpu_ns() - begin_ns) / 1e9;
    check_all_complete(w);
    printf("core       %d tasks of %d services rolled over: %.0f steps a second, %.0f ns a step (%llu steps, "
           "%llu tasks started, %.2f s), %.1f kB a task\n",
           w->service_count * TASKS_A_SERVICE, w->service_count, (double)(w->steps - steps) / took_s,
           took_s * 1e9 / (double)(w->steps - steps), (unsigned long long)(w->steps - steps),
           (unsigned long long)(w->starts - starts), took_s,
           (double)bytes / 1000 / (w->service_count * TASKS_A_SERVICE));
    fflush(stdout);
    world_free(w);
}

int
main(int argc, char **argv)
{
    int tasks[WORLDS_MAX] = {1000, 10000, 100000};
    int count = argc > 1 ? 0 : 3;

    for (int i = 1; i < argc; i += 2) {
        int64_t n;

        if (strcmp(argv[i], "--tasks") != 0 || i + 1 == argc || count == WORLDS_MAX ||
            !str_to_i64(str_of(argv[i + 1]), &n) || n < 1 || n > 1000000) {
            fprintf(stderr, "Usage: core_bench [--tasks N]...\n");
            return 2;
        }
        tasks[count++] = (int)n;
    }
    for (int i = 0; i < count; i++)
        measure(tasks[i]);
    return 0;
}
