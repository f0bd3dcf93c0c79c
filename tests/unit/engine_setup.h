/* SPDX-License-Identifier: MIT */
/* engine_setup.h - an engine with a store of its own and hands that only write down what they were asked, for tests:
 * new_world(), then engine_run() with what is to be done.  create_tasks() gives it some to look after. */
#pragma once
#include "daemon/engine.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/clock.h"
#include "check.h"
#include "io/file.h"

/* ---- the hands ---- */

static atomic_int views, starts, stops, begins, known, calls, cancels;
static char called[256];
static char refusal[REASON_SIZE]; /* of the last start that only adopts */

void
agent_begin(struct agent *agent, const char *const *task_ids, int count)
{
    atomic_fetch_add(&begins, 1);
    atomic_store(&known, count);
}

void
agent_start_task(struct agent *agent, struct agent_task *task)
{
    if (task->only_adopt)
        text_copy_all(refusal, sizeof(refusal), task->refusal);
    atomic_fetch_add(&starts, 1);
    agent_task_free(task);
}

void
agent_stop_task(struct agent *agent, const char *task_id)
{
    atomic_fetch_add(&stops, 1);
}

void
agent_forget_task(struct agent *agent, const char *task_id)
{
}

void
agent_resolve_images(struct agent *agent, struct agent_resolve *ask)
{
    free(ask);
}

void
agent_prefetch_image(struct agent *agent, const char *image, const char *digest, const char *config_digest)
{
}

void
balancer_apply(struct balancer *b, struct balancer_view *view)
{
    atomic_fetch_add(&views, 1);
    balancer_view_free(view);
}

void
hooks_call(struct hooks *h, struct hook_call *call)
{
    atomic_fetch_add(&calls, 1);
    snprintf(called, sizeof(called), "%s", call->target);
    free(call->target);
    json_unref(call->payload);
    free(call);
}

void
hooks_cancel(struct hooks *h, const char *hook_id)
{
    atomic_fetch_add(&cancels, 1);
}

/* ---- a world ---- */

struct world {
    char dir[64], path[96];
    struct store *store;
    struct registry *registry;
    struct engine *engine;
    bool is_never_started;
    int64_t read_patience_ms;
};

static inline void
open_world(struct world *w)
{
    struct engine_config config = {0};
    struct err err = {0};

    w->store = store_open(w->path, &err);
    CHECK(w->store != NULL);
    w->registry = registry_open(w->dir, "000000000000", "eu-west-1", &err);
    CHECK(w->registry != NULL);
    config.store = w->store;
    config.registry = w->registry;
    config.read_patience_ms = w->read_patience_ms;
    config.options = (struct core_options){.account = "000000000000", .default_region = "eu-west-1", .seed = 7,
                                           .steady_after_ms = 40000, .start_timeout_ms = 60000};
    w->engine = engine_new(&config, &err);
    CHECK(w->engine != NULL);
    if (!w->is_never_started)
        engine_start(w->engine, NULL, NULL, NULL);
}

static inline void
close_world(struct world *w)
{
    engine_stop(w->engine);
    engine_free(w->engine);
    registry_close(w->registry);
    store_close(w->store);
}

static inline struct world
new_world(void)
{
    struct world w = {0};

    snprintf(w.dir, sizeof(w.dir), "/tmp/test_engine_XXXXXX");
    CHECK(mkdtemp(w.dir) != NULL);
    snprintf(w.path, sizeof(w.path), "%s/naru.db", w.dir);
    open_world(&w);
    return w;
}

static inline void
end_world(struct world *w)
{
    struct err err = {0};

    close_world(w);
    CHECK(file_remove_tree(w->dir, &err));
}

struct create {
    struct engine *engine;
    const char *name;
    int seen; /* clusters after it */
};

static inline void
create_cluster(void *arg, struct core *core, int64_t now_ms)
{
    struct create *c = arg;
    struct json *doc = json_object();
    const struct event event = {.type = EVENT_CLUSTER_CREATE,
                                .cluster_create = {.region = "eu-west-1", .name = c->name, .doc = doc}};

    engine_step(c->engine, &event);
    json_unref(doc);
    c->seen = 0;
    for (const struct cluster *k = core->clusters; k != NULL; k = k->next)
        c->seen++;
}

static inline void
count_clusters(void *arg, struct core *core, int64_t now_ms)
{
    int *count = arg;

    *count = 0;
    for (const struct cluster *k = core->clusters; k != NULL; k = k->next)
        (*count)++;
}

/* The file may not grow any more: what a full disk looks like to SQLite. */
static inline void
set_file_limit(rlim_t bytes)
{
    struct rlimit limit;

    CHECK(getrlimit(RLIMIT_FSIZE, &limit) == 0);
    limit.rlim_cur = bytes;
    CHECK(setrlimit(RLIMIT_FSIZE, &limit) == 0);
}

/* ---- tasks ---- */

#define GROUP "arn:aws:elasticloadbalancing:eu-west-1:000000000000:targetgroup/tg/0123456789abcdef"

/* Two tasks of their own, and one of a service that is in traffic; then what is done to them. */
struct late {
    struct engine *engine;
    char task_id[ID_SIZE];      /* of the service */
    int64_t drain_deadline_ms;
    int64_t first_deadline_ms;  /* as it was told to stop */
};

static inline void
step(struct late *l, struct event event)
{
    engine_step(l->engine, &event);
}

static inline struct json *
parsed(const char *text)
{
    struct err err = {0};
    struct json *doc = json_parse(str_of(text), &err);

    CHECK(doc != NULL);
    return doc;
}

static inline void
run_tasks(struct late *l, const struct core *core, int count)
{
    step(l, (struct event){.type = EVENT_TASK_RUN,
                           .task_run = {.cluster_arn = core->clusters->arn,
                                        .task_definition_arn = core->task_definitions->arn,
                                        .count = count,
                                        .launch_type = LAUNCH_FARGATE}});
}

static inline void
create_tasks(void *arg, struct core *core, int64_t now_ms)
{
    struct late *l = arg;
    struct service_load_balancer lb = {.target_group_arn = GROUP, .container_name = "app",
                                       .container_port = 80};
    cleanup_json struct json *empty = json_object(), *config_doc = json_object();
    cleanup_json struct json *definition =
        parsed("{\"networkMode\":\"awsvpc\",\"compatibilities\":[\"FARGATE\"],\"containerDefinitions\":[{"
               "\"name\":\"app\",\"image\":\"app@sha256:"
               "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef\",\"cpu\":10,"
               "\"memory\":10,\"essential\":true,\"portMappings\":[{\"containerPort\":80,"
               "\"hostPort\":80,\"protocol\":\"tcp\"}]}]}");
    const struct deployment_config config = {.minimum_healthy_percent = 100, .maximum_percent = 200,
                                             .doc = config_doc};
    struct target_group *group = mem_new(sizeof(*group));

    text_copy(group->arn, sizeof(group->arn), STR(GROUP));
    group->deregistration_delay_s = 300;
    step(l, (struct event){.type = EVENT_CLUSTER_CREATE,
                           .cluster_create = {.region = "eu-west-1", .name = "c", .doc = empty}});
    step(l, (struct event){.type = EVENT_TASK_DEFINITION_REGISTER,
                           .task_definition_register = {.region = "eu-west-1", .family = "web",
                                                        .doc = definition}});
    step(l, (struct event){.type = EVENT_TARGET_GROUP_PUT, .target_group_put = {.target_group = group}});
    run_tasks(l, core, 2);
    step(l, (struct event){.type = EVENT_SERVICE_CREATE,
                           .service_create = {.cluster_arn = core->clusters->arn, .name = "s",
                                              .created_by = "", .client_token = "",
                                              .desired_count = 1,
                                              .task_definition_arn = core->task_definitions->arn,
                                              .launch_type = LAUNCH_FARGATE, .load_balancers = &lb,
                                              .load_balancer_count = 1, .config = &config,
                                              .doc = empty}});
    CHECK(core->services->live != NULL);
    text_copy(l->task_id, sizeof(l->task_id), str_of(core->services->live->id));
    struct task_container container = core->services->live->containers[0];
    container.last_status = TASK_RUNNING;
    step(l, (struct event){.type = EVENT_TASK_STATE,
                           .task_state = {.task_id = l->task_id, .status = TASK_RUNNING,
                                          .containers = &container, .container_count = 1,
                                          .address = "10.0.0.1"}});
    CHECK(core->target_groups->targets != NULL);
}
