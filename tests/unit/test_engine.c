/* SPDX-License-Identifier: MIT */
/* The engine with hands that only write down what they were asked. */
#include <pthread.h>
#include <signal.h>
#include "daemon/images_in_use.h"
#include "engine_setup.h"

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

static void
create_service_by_tag(void *arg, struct core *core, int64_t now_ms)
{
    struct late l = {.engine = arg};
    cleanup_json struct json *empty = json_object(), *config_doc = json_object();
    cleanup_json struct json *definition = parsed(
        "{\"networkMode\":\"awsvpc\",\"compatibilities\":[\"FARGATE\"],\"containerDefinitions\":[{\"name\":\"app\","
        "\"image\":\"localhost:4566/my-app:v1\",\"cpu\":10,\"memory\":10,\"essential\":true}]}");
    const struct deployment_config config = {.minimum_healthy_percent = 100, .maximum_percent = 200, .doc = config_doc};

    step(&l, (struct event){.type = EVENT_CLUSTER_CREATE,
                            .cluster_create = {.region = "eu-west-1", .name = "c", .doc = empty}});
    step(&l, (struct event){.type = EVENT_TASK_DEFINITION_REGISTER,
                            .task_definition_register = {.region = "eu-west-1", .family = "web", .doc = definition}});
    step(&l, (struct event){.type = EVENT_SERVICE_CREATE,
                            .service_create = {.cluster_arn = core->clusters->arn, .name = "s", .created_by = "",
                                               .client_token = "", .desired_count = 1,
                                               .task_definition_arn = core->task_definitions->arn,
                                               .launch_type = LAUNCH_FARGATE, .config = &config, .doc = empty}});
}

/* From the moment when a deployment begins until its digest is known, somebody may delete what it is about to mean. */
TEST(what_a_deployment_is_about_to_resolve_is_in_use)
{
    struct world w = new_world();
    const struct registry_put put = {.manifest = STR("{}"), .media_type = STR("application/vnd.test+json"), .tag = "v1"};
    cleanup(strbuf_done) struct strbuf users = {0}, others = {0};
    char digest[REGISTRY_DIGEST_SIZE];
    struct err err = {0};
    int count;

    CHECK(registry_repository_create(w.registry, "eu-west-1", "my-app", NULL, &err));
    CHECK(engine_run(w.engine, create_service_by_tag, w.engine));
    CHECK(engine_run(w.engine, count_clusters, &count)); /* it has found no such tag, and looks again in a second */
    CHECK(registry_manifest_put(w.registry, "eu-west-1", "my-app", &put, digest, &err));
    CHECK(images_in_use(w.engine, w.registry, "eu-west-1", "my-app", digest, &users));
    CHECK(str_starts(strbuf_str(&users), STR("service s")));
    CHECK(!images_in_use(w.engine, w.registry, "eu-west-1", "other-app", digest, &others));
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
