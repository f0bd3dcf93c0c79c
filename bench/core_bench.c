/* SPDX-License-Identifier: MIT */
/* core_bench - what a decision costs, and whether that grows with what exists.
 *   core_bench [--tasks N]...   (default: 1000, 10000 and 100000)
 * Worlds of services with 20 tasks each, on an instance for each 10 tasks in three zones, in which every order is
 * obeyed at once: an image resolves, a task runs, its target is healthy, a drain is over.  Of each four services
 * one is placed zone by zone and then packed by memory, with its zones balanced; one is spread over zones and instances
 * and has no target group; one runs on FARGATE, its tasks with addresses of their own; one is packed by CPU.
 * Each world is made, then every service is rolled over to a new revision: printed are the steps of that rollover only,
 * in processor time of this process, and the time within which 99 of 100 steps are done.
 * Then what changes stays the same while the world grows: single services are updated, single tasks run and
 * single instances drained.  A line for each prints the median, world beside world. */
#include <assert.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include "core/core.h"

#define TASKS_A_SERVICE 20
#define TASKS_AN_INSTANCE 10
#define WORLDS_MAX 16
#define SAMPLES 50 /* of each single change */

enum kind { PACKED_BY_MEMORY, SPREAD, FARGATE, PACKED_BY_CPU, KINDS };
enum change { SERVICE_UPDATE, TASK_RUN, INSTANCE_DRAIN, CHANGES };

struct world {
    struct core *core;
    struct effects effects, obeyed; /* to be obeyed; room for the next ones */
    int64_t now_ms;
    uint64_t steps, starts;
    uint32_t *took_ns; /* of each step of the rollover; NULL: nobody asks */
    int next_port, service_count, instance_count;
    char cluster[ARN_SIZE], definitions[2][ARN_SIZE]; /* on instances, with an address of its own */
    char (*groups)[ARN_SIZE], (*services)[ARN_SIZE];
};

static int64_t
now_ns(clockid_t clock)
{
    struct timespec t;

    clock_gettime(clock, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

/* Of this process: others on the machine do not slow a decision down. */
static int64_t
cpu_ns(void)
{
    return now_ns(CLOCK_PROCESS_CPUTIME_ID);
}

/* A single step is timed by the clock that costs nothing to read. */
static void
step(struct world *w, const struct event *event)
{
    const int64_t begin_ns = w->took_ns == NULL ? 0 : now_ns(CLOCK_MONOTONIC);

    core_step(w->core, event, w->now_ms, &w->effects);
    if (w->took_ns != NULL) {
        const int64_t ns = now_ns(CLOCK_MONOTONIC) - begin_ns;
        if ((w->steps & (w->steps - 1)) == 0)
            w->took_ns = mem_grow(w->took_ns, w->steps == 0 ? 1 : (size_t)w->steps * 2, sizeof(uint32_t));
        w->took_ns[w->steps] = ns > UINT32_MAX ? UINT32_MAX : (uint32_t)ns;
    }
    w->steps++;
}

/* ---- the obedient world ---- */

static void
report_task(struct world *w, const struct task *t, enum task_status status)
{
    struct event event = {.type = EVENT_TASK_STATE};
    struct task_container container = {.last_status = status};
    struct network_binding binding;
    char address[ADDRESS_SIZE];

    text_copy(container.name, sizeof(container.name), str_of(t->containers[0].name));
    if (status == TASK_STOPPED) {
        container.has_exit_code = true;
    } else {
        binding = (struct network_binding){8080, 1 + w->next_port++ % 2000000000, false, 0};
        container.bindings = &binding;
        container.binding_count = 1;
    }
    event.task_state = (struct ev_task_state){.task_id = t->id, .status = status, .containers = &container,
                                              .container_count = 1};
    if (t->definition->network_mode == NETWORK_awsvpc && status == TASK_RUNNING) {
        snprintf(address, sizeof(address), "10.%d.%d.%d", w->next_port >> 16 & 255, w->next_port >> 8 & 255,
                 w->next_port & 255);
        event.task_state.address = address;
    }
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
    case EFFECT_IMAGE_PREFETCH:
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

static struct json *
parse(const char *text)
{
    struct err err = {0};
    struct json *j = json_parse(str_of(text), &err);

    assert(j != NULL);
    return j;
}

static void
make_definition(struct world *w, enum launch_type launch_type)
{
    const bool is_fargate = launch_type == LAUNCH_FARGATE;
    cleanup_json struct json *doc = NULL;
    char text[600];

    snprintf(text, sizeof(text), "{\"containerDefinitions\":[{\"name\":\"web\",\"image\":\"registry.example/web:1\","
             "\"portMappings\":[{\"containerPort\":8080}]}],\"compatibilities\":[\"%s\"],\"networkMode\":\"%s\","
             "\"cpu\":\"128\",\"memory\":\"512\"}", is_fargate ? "FARGATE" : "EC2", is_fargate ? "awsvpc" : "bridge");
    doc = parse(text);
    step(w, &(struct event){.type = EVENT_TASK_DEFINITION_REGISTER,
                            .task_definition_register = {.region = "eu-west-1",
                                                         .family = is_fargate ? "fargate" : "web",
                                                         .doc = doc}});
    text_copy(w->definitions[is_fargate], ARN_SIZE, str_of(w->core->task_definitions->arn));
}

static void
make_instance(struct world *w, int index)
{
    char name[64], text[400];
    cleanup_json struct json *doc = NULL;

    snprintf(name, sizeof(name), "host-%d", index);
    snprintf(text, sizeof(text), "{\"versionInfo\":{\"agentVersion\":\"1.0.0\"},\"attributes\":[{\"name\":\""
             "ecs.os-type\",\"value\":\"linux\"},{\"name\":\"ecs.availability-zone\",\"value\":\"zone-%d\"}]}", index % 3);
    doc = parse(text);
    step(w, &(struct event){.type = EVENT_INSTANCE_REPORT,
                            .instance_report = {.host = name, .is_connected = true, .cpu_total = 4096,
                                                .memory_total_mib = 16384, .doc = doc}});
}

static void
make_group(struct world *w, int index)
{
    struct target_group *tg = mem_new(sizeof(*tg));

    snprintf(tg->arn, sizeof(tg->arn), "arn:aws:elasticloadbalancing:eu-west-1:000000000000:targetgroup/g%d/0",
             index);
    snprintf(tg->name, sizeof(tg->name), "g%d", index);
    tg->target_type = index % KINDS == FARGATE ? TARGET_TYPE_ip : TARGET_TYPE_instance;
    tg->deregistration_delay_s = 300;
    text_copy(w->groups[index], ARN_SIZE, str_of(tg->arn));
    step(w, &(struct event){.type = EVENT_TARGET_GROUP_PUT, .target_group_put = {.target_group = tg}});
}

#define BY_ZONE "{\"type\":\"spread\",\"field\":\"attribute:ecs.availability-zone\"}"

static void
make_service(struct world *w, int index)
{
    static const char *const docs[KINDS] = {
        [PACKED_BY_MEMORY] = "{\"availabilityZoneRebalancing\":\"ENABLED\",\"placementStrategy\":[" BY_ZONE
                             ",{\"type\":\"binpack\",\"field\":\"memory\"}]}",
        [SPREAD] = "{\"placementStrategy\":[" BY_ZONE ",{\"type\":\"spread\",\"field\":\"instanceId\"}]}",
        [FARGATE] = "{}",
        [PACKED_BY_CPU] = "{\"placementStrategy\":[{\"type\":\"binpack\",\"field\":\"cpu\"}]}",
    };
    const struct deployment_config config = {.minimum_healthy_percent = 100, .maximum_percent = 200};
    struct service_load_balancer lb = {.container_name = "web", .container_port = 8080};
    const enum kind kind = (enum kind)(index % KINDS);
    cleanup_json struct json *doc = parse(docs[kind]);
    char name[NAME_SIZE];

    snprintf(name, sizeof(name), "service-%d", index);
    if (kind != SPREAD) {
        make_group(w, index);
        text_copy(lb.target_group_arn, ARN_SIZE, str_of(w->groups[index]));
    }
    step(w, &(struct event){.type = EVENT_SERVICE_CREATE,
                            .service_create = {.cluster_arn = w->cluster,
                                               .name = name,
                                               .created_by = "bench",
                                               .client_token = "",
                                               .desired_count = TASKS_A_SERVICE,
                                               .task_definition_arn = w->definitions[kind == FARGATE],
                                               .launch_type = kind == FARGATE ? LAUNCH_FARGATE : LAUNCH_EC2,
                                               .load_balancers = &lb,
                                               .load_balancer_count = kind != SPREAD,
                                               .config = &config,
                                               .doc = doc}});
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
    w->instance_count = (tasks + TASKS_AN_INSTANCE - 1) / TASKS_AN_INSTANCE;
    for (int i = 0; i < w->instance_count; i++)
        make_instance(w, i);
    step(w, &(struct event){.type = EVENT_CLUSTER_CREATE,
                            .cluster_create = {.region = "eu-west-1", .name = "bench"}});
    text_copy(w->cluster, ARN_SIZE, str_of(w->core->clusters->arn));
    make_definition(w, LAUNCH_EC2);
    make_definition(w, LAUNCH_FARGATE);
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
    free(w->took_ns);
    free(w);
}

/* ---- rolling it over ---- */

static void
update_service(struct world *w, int index)
{
    step(w, &(struct event){.type = EVENT_SERVICE_UPDATE,
                            .service_update = {.service_arn = w->services[index],
                                               .desired_count = -1,
                                               .health_check_grace_s = -1,
                                               .launch_type = -1,
                                               .starts_deployment = true}});
    settle(w);
}

static void
roll_over(struct world *w)
{
    for (int i = 0; i < w->service_count; i++)
        update_service(w, i);
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

static int
compare_ns(const void *a, const void *b)
{
    const uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

    return x < y ? -1 : x > y;
}

static void
measure_rollover(struct world *w, double bytes)
{
    const uint64_t starts = w->starts;
    int64_t begin_ns;
    double took_s, count;

    w->steps = 0;
    w->took_ns = mem_new(sizeof(uint32_t));
    begin_ns = cpu_ns();
    roll_over(w);
    took_s = (double)(cpu_ns() - begin_ns) / 1e9;
    check_all_complete(w);
    count = (double)w->steps;
    qsort(w->took_ns, w->steps, sizeof(uint32_t), compare_ns);
    printf("core       %d tasks of %d services on %d instances rolled over: %.0f steps a second, %.0f ns a step, p99 "
           "%.1f us (%llu steps, %llu tasks started, %.2f s), %.1f kB a task (wanted: 50,000 steps a second)\n",
           w->service_count * TASKS_A_SERVICE, w->service_count, w->instance_count, count / took_s,
           took_s * 1e9 / count, w->took_ns[w->steps * 99 / 100] / 1e3, (unsigned long long)w->steps,
           (unsigned long long)(w->starts - starts), took_s, bytes / 1000 / (w->service_count * TASKS_A_SERVICE));
    free(TAKE(w->took_ns));
}

/* ---- one change at a time ---- */

static void
run_task(struct world *w)
{
    step(w, &(struct event){.type = EVENT_TASK_RUN,
                            .task_run = {.cluster_arn = w->cluster,
                                         .task_definition_arn = w->definitions[0],
                                         .count = 1,
                                         .launch_type = LAUNCH_EC2}});
    settle(w);
}

/* Its tasks are replaced elsewhere; then it takes tasks again. */
static void
drain_instance(struct world *w, int index)
{
    static const enum instance_status states[] = {INSTANCE_DRAINING, INSTANCE_ACTIVE};
    struct container_instance *i = w->core->instances;

    while (index-- > 0)
        i = i->next;
    for (size_t k = 0; k < ARRAY_COUNT(states); k++) {
        step(w, &(struct event){.type = EVENT_INSTANCE_STATUS, .instance_status = {i->arn, states[k]}});
        settle(w);
    }
}

/* Microseconds of processor time, the median of several in different places. */
static double
measure_change(struct world *w, enum change change)
{
    uint32_t took_ns[SAMPLES];

    for (int n = 0; n < SAMPLES; n++) {
        const int service = (int)((int64_t)n * w->service_count / SAMPLES);
        const int64_t begin_ns = cpu_ns();
        if (change == SERVICE_UPDATE)
            update_service(w, service / KINDS * KINDS); /* of one kind */
        else if (change == TASK_RUN)
            run_task(w);
        else
            drain_instance(w, n);
        took_ns[n] = (uint32_t)(cpu_ns() - begin_ns);
        run_until(w, w->now_ms + 60000);
    }
    qsort(took_ns, SAMPLES, sizeof(took_ns[0]), compare_ns);
    return took_ns[SAMPLES / 2] / 1e3;
}

static void
measure(int tasks, double took_us[static CHANGES])
{
    const size_t before = mallinfo2().uordblks + mallinfo2().hblkhd;
    struct world *w = world_new(tasks);

    measure_rollover(w, (double)(mallinfo2().uordblks + mallinfo2().hblkhd - before));
    for (int change = 0; change < CHANGES; change++)
        took_us[change] = measure_change(w, (enum change)change);
    fflush(stdout);
    world_free(w);
}

static void
print_curves(const int *tasks, int count, double (*took_us)[CHANGES])
{
    static const char *const names[CHANGES] = {"a service of 20 tasks updated", "a task run",
                                               "an instance drained"};

    for (int change = 0; change < CHANGES; change++) {
        printf("core       %s, in worlds of", names[change]);
        for (int i = 0; i < count; i++)
            printf("%s %d tasks %.0f us", i == 0 ? "" : ",", tasks[i], took_us[i][change]);
        printf("\n");
    }
}

int
main(int argc, char **argv)
{
    int tasks[WORLDS_MAX] = {1000, 10000, 100000};
    double took_us[WORLDS_MAX][CHANGES];
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
        measure(tasks[i], took_us[i]);
    print_curves(tasks, count, took_us);
    return 0;
}
