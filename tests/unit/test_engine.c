/* SPDX-License-Identifier: MIT */
/* The engine with hands that only write down what they were asked. */
#include "daemon/engine.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
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

static void
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

static void
close_world(struct world *w)
{
    engine_stop(w->engine);
    engine_free(w->engine);
    registry_close(w->registry);
    store_close(w->store);
}

static struct world
new_world(void)
{
    struct world w = {0};

    snprintf(w.dir, sizeof(w.dir), "/tmp/test_engine_XXXXXX");
    CHECK(mkdtemp(w.dir) != NULL);
    snprintf(w.path, sizeof(w.path), "%s/naru.db", w.dir);
    open_world(&w);
    return w;
}

static void
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

static void
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

static void
count_clusters(void *arg, struct core *core, int64_t now_ms)
{
    int *count = arg;

    *count = 0;
    for (const struct cluster *k = core->clusters; k != NULL; k = k->next)
        (*count)++;
}

TEST(what_was_answered_is_there_after_a_restart)
{
    struct world w = new_world();
    struct create create = {.engine = w.engine, .name = "a"};
    int count = 0;

    CHECK(engine_run(w.engine, create_cluster, &create));
    CHECK_EQ(create.seen, 1);
    close_world(&w);
    open_world(&w);
    CHECK(engine_run(w.engine, count_clusters, &count));
    CHECK_EQ(count, 1);
    end_world(&w);
}

static void *
create_some(void *arg)
{
    struct create *c = arg;
    char name[64];

    for (int i = 0; i < 25; i++) {
        struct create one = {.engine = c->engine, .name = name};

        snprintf(name, sizeof(name), "%s-%d", c->name, i);
        CHECK(engine_run(c->engine, create_cluster, &one));
    }
    return NULL;
}

TEST(calls_of_many_threads_are_all_answered)
{
    struct world w = new_world();
    struct create creates[8];
    pthread_t threads[8];
    char names[8][8];
    int count = 0;

    for (int i = 0; i < 8; i++) {
        snprintf(names[i], sizeof(names[i]), "t%d", i);
        creates[i] = (struct create){.engine = w.engine, .name = names[i]};
        pthread_create(&threads[i], NULL, create_some, &creates[i]);
    }
    for (int i = 0; i < 8; i++)
        pthread_join(threads[i], NULL);
    CHECK(engine_run(w.engine, count_clusters, &count));
    CHECK_EQ(count, 200);
    end_world(&w);
}

struct race {
    struct engine *engine;
    atomic_bool is_over;
    atomic_int reads;
};

/* Sees clusters come and never go: what was read once is durable. */
static void *
read_all_along(void *arg)
{
    struct race *race = arg;
    int before = 0;

    while (!atomic_load(&race->is_over)) {
        int count = 0;

        CHECK(engine_read(race->engine, count_clusters, &count));
        CHECK(count >= before);
        before = count;
        atomic_fetch_add(&race->reads, 1);
    }
    return NULL;
}

TEST(readers_run_beside_the_engine)
{
    struct world w = new_world();
    struct race race = {.engine = w.engine};
    struct create some = {.engine = w.engine, .name = "c"};
    pthread_t readers[4];
    int count = 0;

    for (int i = 0; i < 4; i++)
        pthread_create(&readers[i], NULL, read_all_along, &race);
    create_some(&some);
    CHECK(engine_read(w.engine, count_clusters, &count));
    CHECK_EQ(count, 25); /* what was answered is seen */
    atomic_store(&race.is_over, true);
    for (int i = 0; i < 4; i++)
        pthread_join(readers[i], NULL);
    CHECK(atomic_load(&race.reads) > 0);
    end_world(&w);
}

/* ---- a disk that takes its time ---- */

static atomic_int syncs, sync_takes_ms;
static atomic_bool is_disk_stuck;

/* SQLite's, of this program: a commit is durable when it returns. */
int
fdatasync(int fd)
{
    const int takes_ms = atomic_load(&sync_takes_ms);

    if (takes_ms > 0)
        clock_sleep_ms(takes_ms);
    while (atomic_load(&is_disk_stuck))
        clock_sleep_ms(1);
    atomic_fetch_add(&syncs, 1);
    return fsync(fd);
}

struct writer {
    struct engine *engine;
    int number;
    atomic_bool *is_over;
};

static void *
write_all_along(void *arg)
{
    struct writer *writer = arg;
    char name[32];

    for (int i = 0; !atomic_load(writer->is_over); i++) {
        struct create one = {.engine = writer->engine, .name = name};

        snprintf(name, sizeof(name), "w%d-%d", writer->number, i);
        CHECK(engine_run(writer->engine, create_cluster, &one));
    }
    return NULL;
}

/* How many commits there were when the reader's turn came: later ones it did not wait for. */
static void
count_syncs(void *arg, struct core *core, int64_t now_ms)
{
    *(int *)arg = atomic_load(&syncs);
}

TEST(who_reads_waits_for_the_commit_under_way_and_for_no_other)
{
    struct world w = new_world();
    struct writer writers[4];
    pthread_t threads[4];
    atomic_bool is_over = false;
    int count = 0, longest = 0;

    atomic_store(&sync_takes_ms, 20);
    for (int i = 0; i < 4; i++) {
        writers[i] = (struct writer){w.engine, i, &is_over};
        pthread_create(&threads[i], NULL, write_all_along, &writers[i]);
    }
    for (int i = 0; i < 40; i++) {
        const int before = atomic_load(&syncs);
        int seen = 0;

        CHECK(engine_read(w.engine, count_syncs, &seen));
        const int commits = seen - before;
        longest = commits > longest ? commits : longest;
        clock_sleep_ms(7);
    }
    atomic_store(&is_over, true);
    for (int i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
    atomic_store(&sync_takes_ms, 0);
    CHECK(engine_read(w.engine, count_clusters, &count));
    CHECK(count > 0);
    CHECK(longest <= 1);
    end_world(&w);
}

static void *
write_one(void *arg)
{
    CHECK(engine_run(((struct create *)arg)->engine, create_cluster, arg));
    return NULL;
}

TEST(a_disk_that_stalls_keeps_nobody_who_reads_for_ever)
{
    struct world w = new_world();
    struct create create = {.name = "late"};
    pthread_t writer;
    int count = 0;

    close_world(&w);
    w.read_patience_ms = 50;
    open_world(&w);
    create.engine = w.engine;
    atomic_store(&is_disk_stuck, true);
    pthread_create(&writer, NULL, write_one, &create);
    while (engine_read(w.engine, count_clusters, &count)) /* until the commit has begun */
        continue;
    for (int i = 0; i < 3; i++)
        CHECK(!engine_read(w.engine, count_clusters, &count));
    CHECK_EQ(count, 0); /* what is not durable was not told */
    atomic_store(&is_disk_stuck, false);
    pthread_join(writer, NULL);
    CHECK(engine_read(w.engine, count_clusters, &count));
    CHECK_EQ(count, 1);
    end_world(&w);
}

/* The file may not grow any more: what a full disk looks like to SQLite. */
static void
set_file_limit(rlim_t bytes)
{
    struct rlimit limit;

    CHECK(getrlimit(RLIMIT_FSIZE, &limit) == 0);
    limit.rlim_cur = bytes;
    CHECK(setrlimit(RLIMIT_FSIZE, &limit) == 0);
}

TEST(a_failing_commit_is_told_and_heals)
{
    struct world w = new_world();
    struct create create = {.engine = w.engine, .name = "lost-or-late"};
    int count = 0;
    int64_t until;

    signal(SIGXFSZ, SIG_IGN);
    set_file_limit(1024);
    CHECK(!engine_run(w.engine, create_cluster, &create));
    /* What could not be committed may not be told either. */
    CHECK(!engine_run(w.engine, count_clusters, &count));
    CHECK(!engine_read(w.engine, count_clusters, &count));
    set_file_limit(RLIM_INFINITY);
    until = clock_monotonic_ms() + 10000;
    while (!engine_run(w.engine, count_clusters, &count) && clock_monotonic_ms() < until)
        clock_sleep_ms(50);
    CHECK(engine_run(w.engine, count_clusters, &count));
    CHECK(engine_read(w.engine, count_clusters, &count));
    close_world(&w);
    open_world(&w);
    int after = -1;
    CHECK(engine_run(w.engine, count_clusters, &after));
    CHECK_EQ(after, count);
    end_world(&w);
}

/* ---- orders that go out late ---- */

#define GROUP "arn:aws:elasticloadbalancing:eu-west-1:000000000000:targetgroup/tg/0123456789abcdef"

/* Two tasks of their own, and one of a service that is in traffic; then what is done to them. */
struct late {
    struct engine *engine;
    char task_id[ID_SIZE];      /* of the service */
    int64_t drain_deadline_ms;
    int64_t first_deadline_ms;  /* as it was told to stop */
};

static void
step(struct late *l, struct event event)
{
    engine_step(l->engine, &event);
}

static struct json *
parsed(const char *text)
{
    struct err err = {0};
    struct json *doc = json_parse(str_of(text), &err);

    CHECK(doc != NULL);
    return doc;
}

static void
run_tasks(struct late *l, const struct core *core, int count)
{
    step(l, (struct event){.type = EVENT_TASK_RUN,
                           .task_run = {.cluster_arn = core->clusters->arn,
                                        .task_definition_arn = core->task_definitions->arn,
                                        .count = count,
                                        .launch_type = LAUNCH_FARGATE}});
}

static void
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

static void
stop_standalone(struct late *l, const struct core *core)
{
    const struct task *t = core->tasks;

    while (t->service != NULL || !task_is_wanted(t))
        t = t->next;
    step(l, (struct event){.type = EVENT_TASK_STOP_REQUEST, .task_stop_request = {.task_arn = t->arn}});
}

static void
stop_one(void *arg, struct core *core, int64_t now_ms)
{
    stop_standalone(arg, core);
}

/* One call, so one commit: a task that no one is led to is signalled, another one starts, and the task
 * of the service is taken out of traffic. */
static void
stop_and_start(void *arg, struct core *core, int64_t now_ms)
{
    struct late *l = arg;
    const struct task *t = core_task_by_id(core, l->task_id);

    stop_standalone(l, core);
    run_tasks(l, core, 1);
    step(l, (struct event){.type = EVENT_TASK_STOP_REQUEST, .task_stop_request = {.task_arn = t->arn}});
    CHECK_EQ(t->last_status, TASK_DEACTIVATING);
    l->first_deadline_ms = t->drain_deadline_ms;
}

static void
read_drain(void *arg, struct core *core, int64_t now_ms)
{
    struct late *l = arg;

    l->drain_deadline_ms = core_task_by_id(core, l->task_id)->drain_deadline_ms;
}

TEST(orders_that_go_out_late_stop_nothing_and_drains_begin_anew)
{
    struct world w = new_world();
    struct late l = {.engine = w.engine};
    int64_t until;
    int begun, views_before;

    CHECK(engine_run(w.engine, create_tasks, &l));
    CHECK(engine_run(w.engine, read_drain, &l)); /* the orders of before are performed by now */
    CHECK_EQ(atomic_load(&starts), 3);
    CHECK(engine_run(w.engine, stop_one, &l));
    CHECK(engine_run(w.engine, read_drain, &l));
    CHECK_EQ(atomic_load(&stops), 1); /* a prompt one is performed */
    begun = atomic_load(&starts);
    views_before = atomic_load(&views);
    signal(SIGXFSZ, SIG_IGN);
    set_file_limit(1024);
    CHECK(!engine_run(w.engine, stop_and_start, &l));
    clock_sleep_ms(1200); /* a try of the timer's fails, too */
    CHECK_EQ(atomic_load(&starts), begun);
    CHECK_EQ(atomic_load(&views), views_before);
    set_file_limit(RLIM_INFINITY);
    until = clock_monotonic_ms() + 10000;
    while (!engine_run(w.engine, read_drain, &l) && clock_monotonic_ms() < until)
        clock_sleep_ms(50);
    CHECK(engine_run(w.engine, read_drain, &l));
    CHECK(atomic_load(&starts) > begun);       /* what is harmless is performed */
    CHECK(atomic_load(&views) > views_before); /* and the balancer hears what goes out of traffic */
    CHECK_EQ(atomic_load(&stops), 1);          /* but nothing is signalled */
    /* The balancer has its whole delay from when it could hear of it. */
    CHECK(l.drain_deadline_ms >= l.first_deadline_ms + 1000);
    end_world(&w);
}

TEST(a_start_tells_the_hands_what_is_known)
{
    struct world w = new_world();
    int count;

    CHECK(engine_run(w.engine, count_clusters, &count));
    CHECK_EQ(atomic_load(&begins), 1);
    CHECK_EQ(atomic_load(&known), 0);
    CHECK(atomic_load(&views) >= 1);
    end_world(&w);
}

TEST(reports_about_strangers_change_nothing)
{
    struct world w = new_world();
    char task_id[] = "00000000000000000000000000000000", reason[] = "gone";
    struct event event = {.type = EVENT_TASK_STATE};
    int count;

    event.task_state = (struct ev_task_state){.task_id = task_id, .status = TASK_STOPPED, .reason = reason};
    engine_report(w.engine, &event);
    /* The report was copied: what it pointed to may change at once. */
    memset(task_id, 'x', sizeof(task_id) - 1);
    memset(reason, 'x', sizeof(reason) - 1);
    CHECK(engine_run(w.engine, count_clusters, &count));
    CHECK_EQ(count, 0);
    end_world(&w);
}

/* ---- naru itself stands still ---- */

static atomic_llong ahead_ms; /* of the clock that goes on while the machine is suspended, and by which the engine goes */

int
clock_gettime(clockid_t id, struct timespec *out)
{
    const int result = (int)syscall(SYS_clock_gettime, id, out);

    if (id == CLOCK_BOOTTIME)
        out->tv_sec += (time_t)(atomic_load(&ahead_ms) / 1000);
    return result;
}

struct look {
    struct late *late;
    bool was_unheard, is_unheard; /* before its own step, and behind it */
};

static void
look_and_step(void *arg, struct core *core, int64_t now_ms)
{
    struct look *k = arg;
    const struct task *t = core_task_by_id(core, k->late->task_id);

    k->was_unheard = t->is_unheard;
    step(k->late, (struct event){.type = EVENT_TASK_PROTECT, .task_protect = {.task_arn = t->arn}});
    k->is_unheard = t->is_unheard;
}

/* It comes late by minutes, as after SIGSTOP, and a request is what wakes it.  Between what that sees and its event
 * nothing may happen: a task that the door found could be forgotten. */
TEST(after_it_stood_still_it_asks_what_became_of_its_tasks_before_anybody_looks)
{
    struct world w = new_world();
    struct late l = {.engine = w.engine};
    struct look k = {.late = &l};
    int begun;

    CHECK(engine_run(w.engine, create_tasks, &l));
    CHECK(engine_run(w.engine, look_and_step, &k));
    CHECK(!k.was_unheard && !k.is_unheard);
    begun = atomic_load(&starts);
    atomic_store(&ahead_ms, 600000);
    CHECK(engine_run(w.engine, look_and_step, &k));
    CHECK(k.was_unheard && k.is_unheard);
    CHECK(engine_run(w.engine, look_and_step, &k));
    CHECK(atomic_load(&starts) > begun);
    end_world(&w);
}

/* Its next deadline is that of a start, in half a minute. */
TEST(it_sees_that_it_stood_still_also_before_anything_is_due)
{
    struct world w = new_world();
    struct late l = {.engine = w.engine};
    struct look k = {.late = &l};

    CHECK(engine_run(w.engine, create_tasks, &l));
    CHECK(engine_run(w.engine, look_and_step, &k));
    CHECK(!k.was_unheard);
    atomic_fetch_add(&ahead_ms, 10000);
    CHECK(engine_run(w.engine, look_and_step, &k));
    CHECK(k.was_unheard);
    end_world(&w);
}

/* ---- images of our own registry by their digest ---- */

struct by_digest {
    struct engine *engine;
    char digest[REGISTRY_DIGEST_SIZE];
    enum task_status status;
    char reason[REASON_SIZE];
};

static void
run_by_digest(void *arg, struct core *core, int64_t now_ms)
{
    struct by_digest *d = arg;
    struct late l = {.engine = d->engine};
    cleanup_json struct json *empty = json_object();
    cleanup_free char *text = text_format(
        "{\"networkMode\":\"awsvpc\",\"compatibilities\":[\"FARGATE\"],\"containerDefinitions\":[{\"name\":\"app\","
        "\"image\":\"localhost:4566/my-app@%s\",\"cpu\":10,\"memory\":10,\"essential\":true}]}",
        d->digest);
    cleanup_json struct json *definition = parsed(text);

    if (core->clusters == NULL) {
        step(&l, (struct event){.type = EVENT_CLUSTER_CREATE,
                                .cluster_create = {.region = "eu-west-1", .name = "c", .doc = empty}});
        step(&l, (struct event){.type = EVENT_TASK_DEFINITION_REGISTER,
                                .task_definition_register = {.region = "eu-west-1", .family = "web", .doc = definition}});
    }
    run_tasks(&l, core, 1);
}

static void
read_stopped_task(void *arg, struct core *core, int64_t now_ms)
{
    struct by_digest *d = arg;

    for (const struct task *t = core->tasks; t != NULL; t = t->next)
        if (t->last_status == TASK_STOPPED) {
            d->status = t->last_status;
            text_copy_all(d->reason, sizeof(d->reason), t->stopped_reason);
        }
}

/* Docker may have the image, and would start it without asking anybody. */
TEST(an_archived_image_starts_no_task_by_its_digest_either)
{
    struct world w = new_world();
    struct by_digest d = {.engine = w.engine};
    const struct registry_put put = {.manifest = STR("{}"), .media_type = STR("application/vnd.test+json"), .tag = "v1"};
    struct err err = {0};

    CHECK(registry_repository_create(w.registry, "eu-west-1", "my-app", NULL, &err));
    CHECK(registry_manifest_put(w.registry, "eu-west-1", "my-app", &put, d.digest, &err));
    CHECK(engine_run(w.engine, run_by_digest, &d));
    CHECK(engine_run(w.engine, read_stopped_task, &d));
    CHECK_EQ(atomic_load(&starts), 1);
    CHECK(registry_image_archive(w.registry, "eu-west-1", "my-app", d.digest, clock_wall_ms(), &err));
    CHECK(engine_run(w.engine, run_by_digest, &d));
    for (int i = 0; i < 100 && d.status != TASK_STOPPED; i++)
        CHECK(engine_run(w.engine, read_stopped_task, &d));
    CHECK_EQ(d.status, TASK_STOPPED);
    CHECK(strstr(d.reason, "CannotPullContainerError: the image '") == d.reason);
    CHECK(strstr(d.reason, "is archived: restore it") != NULL);
    CHECK_EQ(atomic_load(&starts), 1);
    end_world(&w);
}

/* Its containers were made while the image was good: they may run by now, and only the agent knows. */
TEST(a_start_that_is_ordered_again_is_not_refused_for_what_has_happened_to_the_image)
{
    struct world w = new_world();
    struct by_digest d = {.engine = w.engine};
    const struct registry_put put = {.manifest = STR("{}"), .media_type = STR("application/vnd.test+json"), .tag = "v1"};
    struct err err = {0};

    CHECK(registry_repository_create(w.registry, "eu-west-1", "my-app", NULL, &err));
    CHECK(registry_manifest_put(w.registry, "eu-west-1", "my-app", &put, d.digest, &err));
    CHECK(engine_run(w.engine, run_by_digest, &d));
    CHECK(engine_run(w.engine, read_stopped_task, &d)); /* behind what the first one ordered */
    CHECK(registry_image_archive(w.registry, "eu-west-1", "my-app", d.digest, clock_wall_ms(), &err));
    close_world(&w);
    CHECK_EQ(atomic_load(&starts), 1);
    open_world(&w); /* which orders again what is not RUNNING yet */
    for (int i = 0; i < 3; i++)
        CHECK(engine_run(w.engine, read_stopped_task, &d));
    CHECK_EQ(atomic_load(&starts), 2);
    CHECK_EQ(d.status, TASK_PROVISIONING); /* none has stopped */
    CHECK(strstr(refusal, "CannotPullContainerError: the image '") == refusal);
    end_world(&w);
}

/* A service whose rolling updates begin with a hook. */
static void
create_hooked_service(void *arg, struct core *core, int64_t now_ms)
{
    struct world *w = arg;
    struct err err;
    cleanup_json struct json *td = json_parse(
        STR("{\"networkMode\":\"bridge\",\"compatibilities\":[\"EC2\"],\"containerDefinitions\":[{\"name\":"
            "\"app\",\"image\":\"x\",\"cpu\":1,\"memory\":8,\"essential\":true}]}"), &err);
    struct deployment_config config = {
        .maximum_percent = 200,
        .strategy = {.hooks = {{.kind = HOOK_KIND_COMMAND, .stages = 1 << STAGE_PRE_SCALE_UP, .timeout_min = 5}},
                     .hook_count = 1},
        .doc = json_parse(STR("{\"lifecycleHooks\":[{\"hookTargetArn\":\"naru:command/go\"}]}"), &err)};
    const struct event cluster = {.type = EVENT_CLUSTER_CREATE,
                                  .cluster_create = {.region = "eu-west-1", .name = "c"}};
    const struct event definition = {
        .type = EVENT_TASK_DEFINITION_REGISTER,
        .task_definition_register = {.region = "eu-west-1", .family = "f", .doc = td}};
    struct event service = {.type = EVENT_SERVICE_CREATE};

    engine_step(w->engine, &cluster);
    engine_step(w->engine, &definition);
    service.service_create = (struct ev_service_create){
        .cluster_arn = core->clusters->arn, .name = "s", .created_by = "", .client_token = "",
        .desired_count = 1, .task_definition_arn = core->task_definitions->arn, .launch_type = LAUNCH_EC2,
        .config = &config};
    engine_step(w->engine, &service);
    json_unref(config.doc);
}

static void
delete_service(void *arg, struct core *core, int64_t now_ms)
{
    const struct event event = {.type = EVENT_SERVICE_DELETE,
                                .service_delete = {.service_arn = core->services->arn}};

    engine_step(((struct world *)arg)->engine, &event);
}

TEST(a_hook_is_called_once_and_after_a_restart_again)
{
    struct world w = new_world();
    int count;

    CHECK(engine_run(w.engine, create_hooked_service, &w));
    CHECK(engine_run(w.engine, count_clusters, &count));
    CHECK_EQ(atomic_load(&calls), 1);
    CHECK_TEXT(called, "naru:command/go");
    close_world(&w);
    open_world(&w);
    CHECK(engine_run(w.engine, count_clusters, &count));
    CHECK_EQ(atomic_load(&calls), 2);
    CHECK_EQ(atomic_load(&starts), 0);
    CHECK(engine_run(w.engine, delete_service, &w));
    CHECK(engine_run(w.engine, count_clusters, &count));
    CHECK_EQ(atomic_load(&cancels), 1);
    end_world(&w);
}

/* ---- the end ---- */

static void *
ask_until_refused(void *arg)
{
    int count;

    while (engine_run(arg, count_clusters, &count))
        continue;
    return NULL;
}

TEST(whoever_asks_during_a_stop_gets_an_answer)
{
    for (int i = 0; i < 4; i++) {
        struct world w = new_world();
        pthread_t threads[4];

        for (int k = 0; k < 4; k++)
            CHECK(pthread_create(&threads[k], NULL, ask_until_refused, w.engine) == 0);
        clock_sleep_ms(5);
        engine_stop(w.engine);
        for (int k = 0; k < 4; k++)
            pthread_join(threads[k], NULL);
        engine_free(w.engine);
        registry_close(w.registry);
        store_close(w.store);
        struct err err;
        CHECK(file_remove_tree(w.dir, &err));
    }
}

/* Another room could not be made: the registry's collector may be asking already. */
TEST(an_engine_that_never_started_says_no)
{
    struct world w = new_world();
    pthread_t thread;

    close_world(&w);
    w.is_never_started = true;
    open_world(&w);
    CHECK(pthread_create(&thread, NULL, ask_until_refused, w.engine) == 0);
    clock_sleep_ms(50);
    engine_stop(w.engine);
    pthread_join(thread, NULL);
    engine_free(w.engine);
    registry_close(w.registry);
    store_close(w.store);
    struct err err;
    CHECK(file_remove_tree(w.dir, &err));
}

TEST(every_report_of_the_hands_crosses_to_the_engine)
{
    struct world w = new_world();
    const struct event reports[] = {
        {.type = EVENT_INSTANCE_REPORT, .instance_report = {.host = "h"}},
        {.type = EVENT_IMAGE_RESOLVED, .image_resolved = {.service_arn = "s", .revision_arn = "r"}},
        {.type = EVENT_TASK_STATE, .task_state = {.task_id = "t"}},
        {.type = EVENT_TARGET_HEALTH, .target_health = {.target_group_arn = "g", .target_id = "t"}},
        {.type = EVENT_TARGET_DRAINED, .target_drained = {.target_group_arn = "g", .target_id = "t"}},
        {.type = EVENT_HOOK_ANSWERED, .hook_answered = {.service_deployment_arn = "d", .hook_id = "h"}},
        {.type = EVENT_LISTENER_IN_FORCE, .listener_in_force = {.listener_arn = "l", .generation = 1}},
    };
    int count;

    for (size_t i = 0; i < ARRAY_COUNT(reports); i++)
        engine_report(w.engine, &reports[i]);
    CHECK(engine_run(w.engine, count_clusters, &count));
    end_world(&w);
}
