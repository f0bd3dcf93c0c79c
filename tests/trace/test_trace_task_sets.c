/* SPDX-License-Identifier: MIT */
/* Task sets (deployment controller EXTERNAL): an external deployer decides, the core keeps each set
 * at its size. */
#include "story.h"

#define MINUTE 60000LL
#define PERCENT(n) ((n)*SCALE_PERCENT)

static const struct story_options external = {
    .desired_count = 2,
    .minimum_healthy_percent = 100,
    .maximum_percent = 200,
    .has_load_balancer = true,
    .doc = "{\"deploymentController\":{\"type\":\"EXTERNAL\"}}"};

/* The ARN of the nth set that was made: their ids rise. */
static const char *
arn_of(const struct story *st, int number)
{
    const struct service *s = story_service(st);

    for (const struct deployment *d = s->deployments; d != NULL; d = d->next) {
        int older = 0;
        for (const struct deployment *o = s->deployments; o != NULL; o = o->next)
            older += strcmp(o->id, d->id) < 0;
        if (older == number - 1)
            return d->set->arn;
    }
    check_fail(__FILE__, __LINE__, "there is no set %d", number);
}

static struct deployment *
set_of(const struct story *st, int number)
{
    return core_task_set(st->core, arn_of(st, number), NULL);
}

static void
create(struct story *st, int definition, int scale)
{
    const struct service_load_balancer lb = {.container_name = "app", .container_port = 80};
    struct event ev = {.type = EVENT_TASK_SET_CREATE};
    struct ev_task_set_create *c = &ev.task_set_create;
    struct service_load_balancer lbs[1] = {lb};
    char words[64];

    text_copy(lbs[0].target_group_arn, ARN_SIZE, str_of(st->group));
    c->service_arn = st->service;
    c->external_id = "release";
    c->client_token = "token";
    c->scale = scale;
    c->task_definition_arn = st->definitions[definition - 1];
    c->launch_type = LAUNCH_EC2;
    c->load_balancers = lbs;
    c->load_balancer_count = 1;
    snprintf(words, sizeof(words), "create web:%d %d%%", definition, scale / SCALE_PERCENT);
    story_tell(st, &ev, words);
}

static const struct story_host two_machines[] = {
    {"a", "za", NULL, 4096, 4096}, {"b", "zb", NULL, 4096, 4096}, {0}};

/* With one set, of definition 1. */
static struct story *
on_machines(const struct story_host *hosts, int scale)
{
    struct story_options o = external;
    struct story *st;

    o.hosts = hosts;
    st = story_new(&o);
    create(st, 1, scale);
    return st;
}

static void
scale(struct story *st, int set, int value)
{
    struct event ev = {.type = EVENT_TASK_SET_SCALE};
    char words[64];

    ev.task_set_scale.arn = arn_of(st, set);
    ev.task_set_scale.scale = value;
    snprintf(words, sizeof(words), "scale s%d %d%%", set, value / SCALE_PERCENT);
    story_tell(st, &ev, words);
}

static void
promote(struct story *st, int set)
{
    struct event ev = {.type = EVENT_TASK_SET_PROMOTE};
    char words[64];

    ev.task_set_promote.arn = arn_of(st, set);
    snprintf(words, sizeof(words), "promote s%d", set);
    story_tell(st, &ev, words);
}

static void
delete_set(struct story *st, int set)
{
    struct event ev = {.type = EVENT_TASK_SET_DELETE};
    char words[64];

    ev.task_set_delete.arn = arn_of(st, set);
    snprintf(words, sizeof(words), "delete s%d", set);
    story_tell(st, &ev, words);
}

/* The first set, of definition 1 and with two healthy tasks, is the primary. */
static struct story *
running(void)
{
    struct story *st = story_new(&external);

    create(st, 1, PERCENT(100));
    story_run_and_heal(st, 1, 2);
    promote(st, 1);
    CHECK_EQ(set_of(st, 1)->status, DEPLOYMENT_PRIMARY);
    CHECK_EQ(set_of(st, 1)->set->stability, STABILITY_STEADY_STATE);
    strbuf_clear(&st->trace);
    return st;
}

static int
wanted(const struct story *st, int first, int last)
{
    int n = 0;

    for (int i = first; i <= last; i++)
        n += task_is_wanted(story_task(st, i));
    return n;
}

/* ---- how many ---- */

TEST(a_part_of_a_task_is_a_whole_one)
{
    struct task_set set = {.scale = PERCENT(50)};

    CHECK_EQ(task_set_count(&set, 3), 2);
    CHECK_EQ(task_set_count(&set, 4), 2);
    CHECK_EQ(task_set_count(&set, 0), 0);
    set.scale = 1; /* a millionth of a percent */
    CHECK_EQ(task_set_count(&set, 5000), 1);
    set.scale = 33333333;
    CHECK_EQ(task_set_count(&set, 3), 1);
    CHECK_EQ(task_set_count(&set, 5000), 1667);
    set.scale = SCALE_WHOLE;
    CHECK_EQ(task_set_count(&set, 5000), 5000);
    set.scale = 0;
    CHECK_EQ(task_set_count(&set, 5000), 0);
    set.scale = SCALE_WHOLE;
    set.is_draining = true;
    CHECK_EQ(task_set_count(&set, 7), 0);
}

TEST(a_service_without_sets_runs_nothing)
{
    cleanup_story struct story *st = story_new(&external);

    CHECK_TRACE(st, "0 create | -\n");
    CHECK(service_primary(story_service(st)) == NULL);
    CHECK(service_current(story_service(st)) == NULL);
    story_desired(st, 3);
    CHECK_TRACE(st, "0 desired 3 | -\n");
    create(st, 1, 0);
    CHECK_TRACE(st, "0 create web:1 0% | -\n");
    CHECK_EQ(set_of(st, 1)->set->stability,
             STABILITY_STEADY_STATE); /* none is what it shall have */
}

TEST(blue_green_by_an_external_deployer)
{
    cleanup_story struct story *st = running();

    create(st, 2, PERCENT(100));
    CHECK_TRACE(st, "0 create web:2 100% | start t3 start t4\n");
    CHECK_EQ(set_of(st, 2)->set->stability, STABILITY_STABILIZING);
    story_running(st, 3);
    story_healthy(st, 3);
    story_running(st, 4);
    CHECK_EQ(set_of(st, 2)->set->stability, STABILITY_STABILIZING);
    story_healthy(st, 4);
    CHECK_EQ(set_of(st, 2)->set->stability, STABILITY_STEADY_STATE);
    strbuf_clear(&st->trace);
    promote(st, 2);
    CHECK_TRACE(st, "0 promote s2 | -\n"); /* where the listeners lead is not ours to say */
    CHECK_EQ(set_of(st, 1)->status, DEPLOYMENT_ACTIVE);
    CHECK(service_primary(story_service(st)) == set_of(st, 2));
    scale(st, 1, 0);
    CHECK_TRACE(st, "0 scale s1 0% | deregister t2 deregister t1\n");
    story_drained(st, 1);
    story_drained(st, 2);
    CHECK_TRACE(st, "0 drained t1 | stop t1\n"
                    "0 drained t2 | stop t2\n");
    CHECK(strncmp(story_task(st, 1)->stopped_reason,
                  "Scaling activity initiated by (taskSet ecs-svc/", 47) == 0);
}

TEST(each_set_is_a_part_of_the_desired_count)
{
    cleanup_story struct story *st = running();

    create(st, 2, PERCENT(50));
    CHECK_TRACE(st, "0 create web:2 50% | start t3\n");
    story_desired(st, 5);
    CHECK_TRACE(st, "0 desired 5 | start t4 start t5 start t6 start t7 start t8\n");
    CHECK_EQ(set_of(st, 1)->desired_count, 5);
    CHECK_EQ(set_of(st, 2)->desired_count, 3);
    CHECK(story_has_event(st, "updated computedDesiredCount for taskSet ecs-svc/"));
    story_desired(st, 1);
    CHECK_EQ(set_of(st, 2)->desired_count, 1);
    CHECK_EQ(wanted(st, 1, 8), 2);
    CHECK(task_is_wanted(story_task(st, 1)) ||
          task_is_wanted(story_task(st, 2))); /* a healthy one */
}

TEST(the_same_scale_again_changes_nothing)
{
    cleanup_story struct story *st = running();
    const int64_t before = set_of(st, 1)->updated_at_ms;

    story_at(st, 1000);
    scale(st, 1, PERCENT(100));
    CHECK_TRACE(st, "1000 scale s1 100% | -\n");
    CHECK_EQ(set_of(st, 1)->updated_at_ms, before);
    promote(st, 1);
    CHECK_EQ(set_of(st, 1)->updated_at_ms, before);
}

/* ---- its end ---- */

TEST(a_deleted_set_drains_and_is_forgotten_with_its_last_task)
{
    cleanup_story struct story *st = running();

    create(st, 2, PERCENT(100));
    story_run_and_heal(st, 3, 4);
    delete_set(st, 1);
    CHECK_TRACE(st, "0 delete s1 | deregister t2 deregister t1\n");
    CHECK(set_of(st, 1)->set->is_draining);
    CHECK(service_primary(story_service(st)) == NULL); /* nobody was made one instead */
    story_drained(st, 1);
    story_drained(st, 2);
    story_stopped(st, 1, 0);
    CHECK_EQ(strcmp(set_of(st, 1)->id, set_of(st, 2)->id) < 0, 1);
    story_stopped(st, 2, 0);
    CHECK(story_service(st)->deployments->next == NULL);
    CHECK_TEXT(story_service(st)->deployments->revision->task_definition_arn, st->definitions[1]);
}

TEST(a_set_without_tasks_is_forgotten_at_once)
{
    cleanup_story struct story *st = story_new(&external);

    create(st, 1, 0);
    delete_set(st, 1);
    CHECK(story_service(st)->deployments == NULL);
}

TEST(a_set_deleted_again_is_deleted_once)
{
    cleanup_story struct story *st = running();

    delete_set(st, 1);
    strbuf_clear(&st->trace);
    delete_set(st, 1);
    CHECK_TRACE(st, "0 delete s1 | -\n");
}

TEST(a_deleted_service_takes_its_sets_along)
{
    cleanup_story struct story *st = running();

    create(st, 2, PERCENT(50));
    story_running(st, 3);
    strbuf_clear(&st->trace);
    story_delete(st);
    CHECK_TRACE(st, "0 delete | deregister t3 deregister t2 deregister t1\n");
    CHECK(set_of(st, 1)->set->is_draining && set_of(st, 2)->set->is_draining);
    for (int i = 1; i <= 3; i++)
        story_drained(st, i);
    CHECK_EQ(story_service(st)->status, SERVICE_INACTIVE);
    for (int i = 1; i <= 3; i++)
        story_stopped(st, i, 0);
    CHECK(strncmp(story_task(st, 1)->stopped_reason,
                  "Scaling activity initiated by (taskSet ecs-svc/", 47) == 0);
    story_restart(st);
}

/* ---- replacing ---- */

TEST(an_unhealthy_task_is_replaced_within_its_set)
{
    cleanup_story struct story *st = running();

    create(st, 2, PERCENT(50));
    story_run_and_heal(st, 3, 3);
    story_unhealthy(st, 1);
    CHECK_TRACE(st, "0 unhealthy t1 | start t4\n");
    CHECK_TEXT(story_task(st, 4)->deployment_id, set_of(st, 1)->id);
    CHECK_EQ(set_of(st, 1)->set->stability, STABILITY_STABILIZING);
    CHECK_EQ(set_of(st, 2)->set->stability, STABILITY_STEADY_STATE);
    story_running(st, 4);
    strbuf_clear(&st->trace);
    story_healthy(st, 4);
    CHECK_TRACE(st, "0 healthy t4 | deregister t1\n");
    CHECK_TEXT(story_task(st, 1)->group, "service:web");
    CHECK_TEXT(story_task(st, 1)->started_by, set_of(st, 1)->id);
}

TEST(without_room_an_unhealthy_task_makes_it)
{
    struct story_options o = external;
    cleanup_story struct story *st = NULL;

    o.maximum_percent = 100;
    o.minimum_healthy_percent = 50;
    st = story_new(&o);
    create(st, 1, PERCENT(100));
    story_run_and_heal(st, 1, 2);
    story_unhealthy(st, 1);
    CHECK_TRACE(st, "0 unhealthy t1 | deregister t1 start t3\n");
    CHECK_EQ(wanted(st, 2, 3), 2);
}

static const struct story_host small[] = {{"a", "za", NULL, 20, 4096}, {0}}; /* two tasks fit */

TEST(where_no_instance_takes_another_an_unhealthy_task_makes_room)
{
    struct story_options o = external;
    cleanup_story struct story *st = NULL;

    o.hosts = small;
    o.minimum_healthy_percent = 50;
    st = story_new(&o);
    create(st, 1, PERCENT(100));
    story_run_and_heal(st, 1, 2);
    story_unhealthy(st, 1);
    CHECK_TRACE(st, "0 unhealthy t1 | deregister t1\n");
    story_drained(st, 1);
    story_stopped(st, 1, 0);
    CHECK_TRACE(st, "0 drained t1 | stop t1\n"
                    "0 stopped t1 | forget t1 start t3@a\n");
}

TEST(below_the_lower_bound_an_unhealthy_task_stays_until_there_is_room)
{
    struct story_options o = external;
    cleanup_story struct story *st = NULL;

    o.hosts = small;
    st = story_new(&o);
    create(st, 1, PERCENT(100));
    story_run_and_heal(st, 1, 2);
    story_unhealthy(st, 1);
    CHECK_TRACE(st, "0 unhealthy t1 | -\n");
    story_machine(st, &(struct story_host){"b", "zb", NULL, 20, 4096}, true);
    CHECK_EQ(wanted(st, 1, 3), 3);
    CHECK_TEXT(story_place(st, 3), "b");
}

TEST(a_protected_task_is_not_replaced_for_its_health)
{
    struct story_options o = external;
    cleanup_story struct story *st = NULL;

    o.maximum_percent = 100;
    o.minimum_healthy_percent = 50;
    st = story_new(&o);
    create(st, 1, PERCENT(100));
    story_run_and_heal(st, 1, 2);
    story_protect(st, 1, 30);
    strbuf_clear(&st->trace);
    story_unhealthy(st, 1); /* no room for another */
    CHECK_TRACE(st, "0 unhealthy t1 | -\n");
    story_at(st, 30 * MINUTE);
    story_clock(st);
    CHECK(!task_is_wanted(story_task(st, 1)));
}

TEST(a_protected_task_stays_beside_its_replacement)
{
    cleanup_story struct story *st = running();

    story_protect(st, 1, 30);
    story_unhealthy(st, 1);
    story_running(st, 3);
    strbuf_clear(&st->trace);
    story_healthy(st, 3);
    CHECK_TRACE(st, "0 healthy t3 | -\n");
    CHECK_EQ(set_of(st, 1)->set->stability, STABILITY_STABILIZING);
    story_at(st, 30 * MINUTE);
    story_clock(st);
    CHECK(!task_is_wanted(story_task(st, 1)));
    CHECK_EQ(set_of(st, 1)->set->stability, STABILITY_STEADY_STATE);
}

TEST(a_task_that_recovers_costs_its_replacement)
{
    cleanup_story struct story *st = running();

    story_unhealthy(st, 1);
    strbuf_clear(&st->trace);
    story_healthy(st, 1);
    CHECK_TRACE(st, "0 healthy t1 | stop t3\n");
}

TEST(a_task_that_ends_is_started_again_by_its_own_set)
{
    cleanup_story struct story *st = running();

    create(st, 2, PERCENT(100));
    story_run_and_heal(st, 3, 4);
    story_stopped(st, 1, 1);
    CHECK_TRACE(st, "0 stopped t1 | deregister t1 start t5\n");
    CHECK_TEXT(story_task(st, 5)->deployment_id, set_of(st, 1)->id);
    CHECK_TEXT(story_task(st, 5)->task_definition_arn, st->definitions[0]);
}

TEST(tasks_move_off_an_instance_that_is_drained)
{
    cleanup_story struct story *st = on_machines(two_machines, PERCENT(100));
    const char *from;

    story_run_and_heal(st, 1, 2);
    from = story_place(st, 1);
    CHECK(strcmp(from, story_place(st, 2)) != 0);
    story_status(st, from, INSTANCE_DRAINING);
    CHECK_EQ(set_of(st, 1)->set->stability, STABILITY_STABILIZING);
    CHECK_EQ(wanted(st, 1, 3), 3); /* its replacement comes first */
    story_running(st, 3);
    story_healthy(st, 3);
    CHECK(!task_is_wanted(story_task(st, 1)));
    CHECK_EQ(set_of(st, 1)->set->stability, STABILITY_STEADY_STATE);
}

TEST(what_is_not_healthy_leaves_a_drained_instance_first)
{
    cleanup_story struct story *st = on_machines(two_machines, PERCENT(100));

    story_run_and_heal(st, 2, 2);
    story_running(st, 1); /* its targets are not healthy yet */
    story_status(st, story_place(st, 1), INSTANCE_DRAINING);
    CHECK_EQ(wanted(st, 1, 3), 3);
    story_running(st, 3);
    story_healthy(st, 3);
    CHECK(!task_is_wanted(story_task(st, 1)));
    CHECK_EQ(wanted(st, 2, 3), 2);
}

TEST(what_has_not_started_leaves_a_drained_instance_at_once)
{
    cleanup_story struct story *st = on_machines(two_machines, PERCENT(50));

    story_status(st, story_place(st, 1), INSTANCE_DRAINING);
    CHECK(!task_is_wanted(story_task(st, 1)));
    CHECK(task_is_wanted(story_task(st, 2)));
}

TEST(nobody_is_steady_on_an_instance_that_is_drained)
{
    static const struct story_host hosts[] = {{"a", "za", NULL, 4096, 4096}, {0}};
    cleanup_story struct story *st = on_machines(hosts, PERCENT(100));

    story_run_and_heal(st, 1, 2);
    story_status(st, "a", INSTANCE_DRAINING); /* and there is no other */
    CHECK_EQ(wanted(st, 1, 2), 2);
    CHECK_EQ(set_of(st, 1)->set->stability, STABILITY_STABILIZING);
}

/* ---- back-off: each set by itself ---- */

TEST(a_bad_new_set_is_spaced_and_the_old_one_is_not)
{
    cleanup_story struct story *st = running();

    create(st, 2, PERCENT(50));
    story_failed_to_start(st, 3);
    story_failed_to_start(st, 4);
    strbuf_clear(&st->trace);
    CHECK_EQ(set_of(st, 2)->set->launches.start_failures, 2);
    CHECK_EQ(set_of(st, 2)->set->launches.after_ms, st->now_ms + 10000);
    story_stopped(st, 1, 1); /* of the one that serves: replaced at once */
    CHECK_TRACE(st, "0 stopped t1 | deregister t1 start t5\n");
    story_drained(st, 1);
    strbuf_clear(&st->trace);
    story_at(st, 10000);
    story_clock(st);
    CHECK_TRACE(st, "10000 clock | start t6\n");
    story_running(st, 6);
    CHECK_EQ(set_of(st, 2)->set->launches.start_failures, 0);
    CHECK_EQ(set_of(st, 2)->set->launches.after_ms, 0);
    CHECK_EQ(set_of(st, 2)->failed_tasks, 0); /* nobody judges it */
}

TEST(failures_of_one_batch_are_one_step)
{
    cleanup_story struct story *st = story_new(&external);

    create(st, 1, PERCENT(100));
    story_failed_to_start(st, 1);
    story_failed_to_start(st, 2);
    CHECK_EQ(set_of(st, 1)->set->launches.start_failures, 2);
    story_failed_to_start(st, 3); /* while it waits already */
    CHECK_EQ(set_of(st, 1)->set->launches.start_failures, 2);
    CHECK_EQ(set_of(st, 1)->set->launches.after_ms, st->now_ms + 10000);
}

TEST(an_update_ends_the_back_off)
{
    cleanup_story struct story *st = running();

    create(st, 2, PERCENT(50));
    story_failed_to_start(st, 3);
    story_failed_to_start(st, 4);
    strbuf_clear(&st->trace);
    scale(st, 2, PERCENT(50));
    CHECK_TRACE(st, "0 scale s2 50% | start t5\n");
    story_failed_to_start(st, 5);
    story_failed_to_start(st, 6);
    strbuf_clear(&st->trace);
    story_desired(st, 2); /* the same count: an update all the same */
    CHECK_TRACE(st, "0 desired 2 | start t7\n");
}

TEST(a_set_that_cannot_start_says_so_once)
{
    cleanup_story struct story *st = running();

    create(st, 2, PERCENT(50));
    for (int i = 3; i < 6; i++) {
        story_failed_to_start(st, i);
        story_at(st, st->now_ms - st->start_ms + 10 * MINUTE);
        story_clock(st);
    }
    CHECK(story_has_event(st, "is unable to consistently start tasks successfully"));
}

TEST(what_crashes_after_it_ran_is_spaced)
{
    cleanup_story struct story *st = story_new(&external);

    story_desired(st, 1);
    create(st, 1, PERCENT(100));
    for (int i = 1; i <= 4; i++) {
        story_running(st, i);
        story_stopped(st, i, 1);
        story_drained(st, i);
    }
    CHECK_EQ(set_of(st, 1)->set->launches.crash_streak, 4);
    CHECK_EQ(set_of(st, 1)->set->launches.after_ms, st->now_ms + 10000);
    strbuf_clear(&st->trace);
    story_at(st, 10000);
    story_clock(st);
    CHECK_TRACE(st, "10000 clock | start t5\n");
    story_running(st, 5);
    story_healthy(st, 5);
    CHECK_EQ(set_of(st, 1)->set->launches.crash_streak, 0);
}

TEST(what_the_runtime_lost_is_no_fault_of_the_set)
{
    cleanup_story struct story *st = running();

    story_lost(st, 1);
    CHECK_EQ(set_of(st, 1)->set->launches.start_failures, 0);
    CHECK_EQ(set_of(st, 1)->set->launches.crash_streak, 0);
    CHECK_EQ(wanted(st, 2, 3), 2);
    story_lost(st, 2);
    CHECK_EQ(story_service(st)->infrastructure_after_ms, st->now_ms + 5000);
    story_at(st, 5000);
    strbuf_clear(&st->trace);
    story_clock(st);
    CHECK_TRACE(st, "5000 clock | start t4\n");
}

/* ---- images ---- */

TEST(each_set_has_its_own_digests)
{
    struct story_options o = external;
    cleanup_story struct story *st = NULL;

    o.keeps_unresolved = true;
    st = story_new(&o);
    strbuf_clear(&st->trace);
    create(st, 1, PERCENT(100));
    CHECK_TRACE(st, "0 create web:1 100% | resolve\n");
    story_clock(st);
    CHECK_TRACE(st, "0 clock | -\n");
    story_at(st, MINUTE); /* nobody answered */
    story_clock(st);
    CHECK_TRACE(st, "60000 clock | resolve\n");
}

TEST(an_image_that_cannot_be_resolved_names_its_set)
{
    struct story_options o = external;
    cleanup_story struct story *st = NULL;
    struct event ev = {.type = EVENT_IMAGE_RESOLVED};
    char part[128];

    o.keeps_unresolved = true;
    st = story_new(&o);
    create(st, 1, PERCENT(100));
    ev.image_resolved.service_arn = st->service;
    ev.image_resolved.revision_arn = set_of(st, 1)->revision->arn;
    ev.image_resolved.error = "no such tag";
    story_tell(st, &ev, "unresolved");
    snprintf(part, sizeof(part), "could not resolve the images of (deployment %s): no such tag",
             set_of(st, 1)->id);
    CHECK(story_has_event(st, part));
    story_tell(st, &ev, "unresolved");
    strbuf_clear(&st->trace);
    story_tell(st, &ev, "unresolved");
    CHECK_TRACE(st, "0 unresolved | start t1 start t2\n"); /* by its tag, as ECS does */
}

/* ---- protection, placement ---- */

TEST(protected_tasks_hold_a_scale_in_but_not_a_deletion)
{
    cleanup_story struct story *st = running();

    story_protect(st, 1, 30);
    story_protect(st, 2, 30);
    strbuf_clear(&st->trace);
    scale(st, 1, 0);
    CHECK_TRACE(st, "0 scale s1 0% | -\n");
    CHECK(set_of(st, 1)->is_held);
    CHECK_EQ(set_of(st, 1)->set->stability, STABILITY_STABILIZING);
    CHECK(story_has_event(st, "because task set (ecs-svc/"));
    delete_set(st, 1);
    CHECK_TRACE(st, "0 delete s1 | deregister t2 deregister t1\n");
}

TEST(a_scale_in_waits_for_a_protected_task_rather_than_take_the_healthy_one)
{
    cleanup_story struct story *st = story_new(&external);

    create(st, 1, PERCENT(100));
    story_run_and_heal(st, 1, 1);
    story_protect(st, 2, 30);
    strbuf_clear(&st->trace);
    scale(st, 1, PERCENT(50));
    CHECK_TRACE(st, "0 scale s1 50% | -\n");
    story_running(st, 2);
    strbuf_clear(&st->trace);
    story_healthy(st, 2);
    CHECK_TRACE(st, "0 healthy t2 | deregister t1\n");
}

TEST(a_set_that_found_no_place_gets_the_one_that_comes_free)
{
    static const struct story_host hosts[] = {{"a", "za", NULL, 20, 4096}, {0}};
    cleanup_story struct story *st = on_machines(hosts, PERCENT(100));

    story_run_and_heal(st, 1, 2);
    create(st, 2, PERCENT(50));
    CHECK_TRACE(st, "0 create web:2 50% | -\n");
    CHECK(story_has_event(st, "was unable to place a task"));
    CHECK_EQ(set_of(st, 2)->set->stability, STABILITY_STABILIZING);
    scale(st, 1, PERCENT(50));
    story_drained(st, 2);
    strbuf_clear(&st->trace);
    story_stopped(st, 2, 0);
    CHECK_TRACE(st, "0 stopped t2 | forget t2 start t3@a\n");
}

/* Two sets that find no place for different reasons do not take turns in saying so. */
TEST(of_two_sets_that_are_held_the_older_one_is_named)
{
    cleanup_story struct story *st = running();
    char want[128];

    create(st, 2, PERCENT(100));
    story_run_and_heal(st, 3, 4);
    for (int i = 1; i <= 4; i++)
        story_protect(st, i, 30);
    scale(st, 2, 0);
    story_at(st, 1000); /* of one moment the first is said */
    scale(st, 1, 0);
    CHECK(set_of(st, 1)->is_held && set_of(st, 2)->is_held);
    snprintf(want, sizeof(want), "because task set (%s) was unable to scale in", set_of(st, 1)->id);
    CHECK(strstr(story_service(st)->last_complaint, want) != NULL);
}

TEST(of_two_complaints_one_is_said)
{
    static const struct story_host hosts[] = {{"a", "za", NULL, 4096, 20}, {0}};
    struct story_options o = external;
    cleanup_story struct story *st = NULL;
    int before;

    o.hosts = hosts;
    st = story_new(&o);
    story_define(
        st, "{\"networkMode\":\"bridge\",\"compatibilities\":[\"EC2\"],\"containerDefinitions\":[{"
            "\"name\":\"app\",\"image\":\"x\",\"cpu\":9999,\"memory\":1,\"portMappings\":"
            "[{\"containerPort\":80,\"hostPort\":0,\"protocol\":\"tcp\"}]}]}");
    create(st, 1, PERCENT(100)); /* 16 MiB each */
    create(st, 5, PERCENT(50));
    before = story_service(st)->event_count;
    CHECK(story_has_event(st, "was unable to place a task"));
    for (int i = 0; i < 5; i++) {
        story_at(st, st->now_ms - st->start_ms + 1000);
        scale(st, 1, PERCENT(100));
    }
    CHECK(story_service(st)->event_count - before <=
          5); /* an update has it said again, once each */
}

/* ---- what is the service's ---- */

TEST(the_whole_is_steady_when_every_set_is)
{
    cleanup_story struct story *st = running();
    const int before = story_service(st)->event_count;

    CHECK(story_service(st)->is_steady);
    CHECK(story_has_event(st, "(service web) has reached a steady state."));
    create(st, 2, PERCENT(50));
    CHECK(!story_service(st)->is_steady);
    story_running(st, 3);
    story_healthy(st, 3);
    CHECK(story_service(st)->is_steady);
    CHECK(story_service(st)->event_count > before);
}

/* Without any check nobody waits for the forty seconds that make a task healthy. */
TEST(a_set_without_checks_is_steady_when_it_runs)
{
    struct story_options o = external;
    struct event ev = {.type = EVENT_TASK_SET_CREATE};
    cleanup_story struct story *st = story_new(&o);

    ev.task_set_create = (struct ev_task_set_create){.service_arn = st->service,
                                                     .external_id = "",
                                                     .client_token = "",
                                                     .scale = PERCENT(50),
                                                     .task_definition_arn = st->definitions[0],
                                                     .launch_type = LAUNCH_EC2};
    story_tell(st, &ev, "create");
    CHECK_EQ(set_of(st, 1)->set->stability, STABILITY_STABILIZING);
    story_at(st, 100);
    story_running(st, 1);
    CHECK_EQ(set_of(st, 1)->set->stability, STABILITY_STEADY_STATE);
    CHECK_EQ(set_of(st, 1)->set->stability_at_ms, st->now_ms);
}

/* ---- restart ---- */

TEST(sets_survive_a_restart)
{
    cleanup_story struct story *st = running();

    create(st, 2, PERCENT(50));
    story_running(st, 3);
    story_healthy(st, 3);
    create(st, 3, 0);
    scale(st, 1, PERCENT(50));
    delete_set(st, 1);
    strbuf_clear(&st->trace);
    story_restart(st);
    CHECK_TRACE(st, "0 restart | deregister t1 deregister t2 register t3 adopt t3\n");
    CHECK(set_of(st, 1)->set->is_draining);
    CHECK_EQ(set_of(st, 2)->set->scale, PERCENT(50));
    CHECK_TEXT(set_of(st, 2)->set->external_id, "release");
    CHECK_TEXT(set_of(st, 2)->set->client_token, "token");
    CHECK_EQ(set_of(st, 2)->set->stability, STABILITY_STEADY_STATE);
    promote(st, 2);
    for (int i = 1; i <= 2; i++) {
        story_drained(st, i);
        story_stopped(st, i, 0);
    }
    CHECK_TEXT(set_of(st, 1)->revision->task_definition_arn, st->definitions[1]);
    CHECK_EQ(set_of(st, 1)->status, DEPLOYMENT_PRIMARY);
    CHECK_EQ(set_of(st, 2)->desired_count, 0);
}

TEST(tags_of_a_set_are_its_own)
{
    cleanup_story struct story *st = running();
    cleanup_json struct json *tags = story_json("[{\"key\":\"a\",\"value\":\"b\"}]");
    struct event ev = {.type = EVENT_TAGS_SET};

    ev.tags_set.arn = arn_of(st, 1);
    ev.tags_set.tags = tags;
    story_tell(st, &ev, "tags");
    story_restart(st);
    CHECK(json_equal(set_of(st, 1)->set->tags, tags));
    CHECK(story_service(st)->tags == NULL);
}
