/* SPDX-License-Identifier: MIT */
/* Several machines: where tasks go, who gives way, what draining an instance does (ecs.md 5.11, 7). */
#include "story.h"

#define STRATEGY(text) "{\"placementStrategy\":[" text "]}"
#define CONSTRAINT(text) "{\"placementConstraints\":[" text "]}"

static const struct story_host two_zones[] = {{"a1", "a", "red", 100, 1000},
                                              {"a2", "a", "blue", 100, 1000},
                                              {"b1", "b", "red", 100, 1000},
                                              {0}};
static const struct story_host two_hosts[] = {{"h1", "a", "red", 100, 1000},
                                              {"h2", "a", "blue", 100, 1000},
                                              {0}};

/* How many tasks of all kinds are on a host. */
static int
tasks_on(const struct story *st, const char *host)
{
    int n = 0;

    for (const struct task *t = story_instance(st, host)->tasks; t != NULL; t = t->next_here)
        n++;
    return n;
}

static int
wanted_on(const struct story *st, const char *host)
{
    int n = 0;

    for (const struct task *t = story_instance(st, host)->tasks; t != NULL; t = t->next_here)
        n += task_is_wanted(t);
    return n;
}

/* ---- strategies ---- */

TEST(without_a_strategy_tasks_spread_over_zones_then_instances)
{
    cleanup_story struct story *st = story_new(
        &(struct story_options){4, 100, 200, .hosts = two_zones});

    CHECK_TRACE(st, "0 create | start t1@a1 start t2@b1 start t3@a2 start t4@b1\n");
}

TEST(binpack_fills_the_fullest_instance_first)
{
    const struct story_host hosts[] = {{"big", "a", NULL, 100, 1000}, {"small", "a", NULL, 25, 1000}, {0}};
    cleanup_story struct story *st = story_new(&(struct story_options){
        4, 100, 200, .hosts = hosts, .doc = STRATEGY("{\"type\":\"binpack\",\"field\":\"cpu\"}")});

    CHECK_TRACE(st, "0 create | start t1@small start t2@small start t3@big start t4@big\n");
}

TEST(binpack_by_memory_looks_at_memory)
{
    const struct story_host hosts[] = {{"low-cpu", "a", NULL, 50, 1000}, {"low-memory", "a", NULL, 100, 40}, {0}};
    cleanup_story struct story *st = story_new(&(struct story_options){
        3, 100, 200, .hosts = hosts, .doc = STRATEGY("{\"type\":\"binpack\",\"field\":\"MEMORY\"}")});

    CHECK_TRACE(st, "0 create | start t1@low-memory start t2@low-memory start t3@low-cpu\n");
}

TEST(spread_by_an_attribute_counts_its_values)
{
    cleanup_story struct story *st = story_new(&(struct story_options){
        4, 100, 200, .hosts = two_zones,
        .doc = STRATEGY("{\"type\":\"spread\",\"field\":\"attribute:color\"}")});

    /* blue has one instance, red two: as many tasks for each colour */
    CHECK_TRACE(st, "0 create | start t1@a1 start t2@a2 start t3@a1 start t4@a2\n");
}

TEST(strategies_are_applied_one_after_the_other)
{
    cleanup_story struct story *st = story_new(&(struct story_options){
        4, 100, 200, .hosts = two_zones,
        .doc = STRATEGY("{\"type\":\"spread\",\"field\":\"attribute:ecs.availability-zone\"},"
                        "{\"type\":\"binpack\",\"field\":\"memory\"}")});

    CHECK_TRACE(st, "0 create | start t1@a1 start t2@b1 start t3@a1 start t4@b1\n");
}

/* The second strategy chooses among those that the first finds equally good. */
TEST(equally_full_instances_are_told_apart_by_the_next_strategy)
{
    cleanup_story struct story *st = story_new(&(struct story_options){
        12, 100, 200, .hosts = two_zones,
        .doc = STRATEGY("{\"type\":\"binpack\",\"field\":\"cpu\"},"
                        "{\"type\":\"spread\",\"field\":\"attribute:ecs.availability-zone\"}")});

    CHECK_EQ(tasks_on(st, "a1"), 10); /* full */
    CHECK_EQ(tasks_on(st, "a2"), 0);  /* as empty as b1, but in the zone of the other ten */
    CHECK_EQ(tasks_on(st, "b1"), 2);
}

TEST(instances_with_equally_many_tasks_are_told_apart_by_the_next_strategy)
{
    static const struct story_host hosts[] = {{"large", "a", "red", 400, 4000},
                                              {"short-of-cpu", "a", "red", 100, 3000},
                                              {"short-of-memory", "a", "blue", 300, 1000},
                                              {0}};
    static const struct {
        const char *next, *trace;
    } rows[] = {
        {"{\"type\":\"binpack\",\"field\":\"cpu\"}",
         "0 create | start t1@short-of-cpu start t2@short-of-memory start t3@large"
         " start t4@short-of-cpu start t5@short-of-memory\n"},
        {"{\"type\":\"binpack\",\"field\":\"memory\"}",
         "0 create | start t1@short-of-memory start t2@short-of-cpu start t3@large"
         " start t4@short-of-memory start t5@short-of-cpu\n"},
        {"{\"type\":\"spread\",\"field\":\"attribute:color\"}",
         "0 create | start t1@large start t2@short-of-memory start t3@short-of-cpu"
         " start t4@short-of-memory start t5@large\n"}};

    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        cleanup_story struct story *st = NULL;
        char doc[256];
        snprintf(doc, sizeof(doc), STRATEGY("{\"type\":\"spread\",\"field\":\"instanceId\"},%s"),
                 rows[i].next);
        st = story_new(&(struct story_options){5, 100, 200, .hosts = hosts, .doc = doc});
        CHECK_TRACE(st, rows[i].trace);
    }
}

/* b1 has the least CPU, but more memory. */
TEST(among_the_equally_full_of_memory_cpu_decides)
{
    static const struct story_host hosts[] = {{"a1", "a", "red", 400, 1000},
                                              {"a2", "a", "red", 300, 1000},
                                              {"b1", "b", "red", 200, 1200},
                                              {0}};
    cleanup_story struct story *st = story_new(&(struct story_options){
        2, 100, 200, .hosts = hosts,
        .doc = STRATEGY("{\"type\":\"binpack\",\"field\":\"memory\"},"
                        "{\"type\":\"binpack\",\"field\":\"cpu\"}")});

    CHECK_TRACE(st, "0 create | start t1@a2 start t2@a2\n");
}

TEST(random_uses_every_instance_sooner_or_later)
{
    cleanup_story struct story *st = story_new(&(struct story_options){
        20, 100, 200, .hosts = two_zones, .doc = STRATEGY("{\"type\":\"random\"}")});

    CHECK(tasks_on(st, "a1") > 0 && tasks_on(st, "a2") > 0 && tasks_on(st, "b1") > 0);
    CHECK_EQ(tasks_on(st, "a1") + tasks_on(st, "a2") + tasks_on(st, "b1"), 20);
    CHECK(tasks_on(st, "a1") <= 10 && tasks_on(st, "a2") <= 10 && tasks_on(st, "b1") <= 10);
}

/* Most room of all is where nothing is placed. */
TEST(an_instance_that_takes_no_tasks_is_not_what_is_nearly_large_enough)
{
    static const struct story_host hosts[] = {{"leaving", "a", NULL, 1000, 1000},
                                              {"short", "a", NULL, 9, 1000},
                                              {0}};
    static const struct story_host low = {"short", "a", NULL, 1000, 15};
    cleanup_story struct story *st = story_new(&(struct story_options){0, 100, 200, .hosts = hosts});
    char want[128];

    story_status(st, "leaving", INSTANCE_DRAINING);
    strbuf_clear(&st->trace);
    story_status(st, "leaving", INSTANCE_DRAINING); /* said twice */
    story_desired(st, 1);
    snprintf(want, sizeof(want), "(container-instance %s) has insufficient CPU units available",
             story_instance(st, "short")->id);
    CHECK(story_has_event(st, want));
    story_machine(st, &low, true);
    snprintf(want, sizeof(want), "(container-instance %s) has insufficient memory available",
             story_instance(st, "short")->id);
    CHECK(story_has_event(st, want));
    CHECK_TRACE(st, "0 leaving DRAINING | -\n"
                    "0 desired 1 | -\n"
                    "0 short connects | -\n");
}

TEST(a_provider_is_of_its_region_and_keeps_its_machines_when_it_is_changed)
{
    static const struct story_host hosts[] = {{"a1", "a", NULL, 100, 1000},
                                              {"b1", "b", NULL, 100, 1000},
                                              {0}};
    cleanup_story struct story *st = story_new(&(struct story_options){
        1, 100, 200, .hosts = hosts, .providers = "[{\"capacityProvider\":\"pb\",\"weight\":1}]"});
    struct event put = {.type = EVENT_CAPACITY_PROVIDER_PUT};
    struct event gone = {.type = EVENT_CAPACITY_PROVIDER_DELETE};
    cleanup_json struct json *tags = story_json("[{\"key\":\"team\",\"value\":\"a\"}]");

    put.capacity_provider_put.region = "us-east-1"; /* a namesake */
    put.capacity_provider_put.name = "pb";
    put.capacity_provider_put.host_group = "a";
    story_tell(st, &put, "provider elsewhere");
    put.capacity_provider_put.region = "eu-west-1";
    put.capacity_provider_put.tags = tags;
    story_tell(st, &put, "provider changed");
    gone.capacity_provider_delete.arn = core_capacity_provider(st->core, "us-east-1", "pb")->arn;
    story_tell(st, &gone, "provider gone");
    strbuf_clear(&st->trace);
    story_desired(st, 2);
    CHECK_TRACE(st, "0 desired 2 | start t2@b1\n");
    CHECK(json_equal(core_capacity_provider(st->core, "eu-west-1", "pb")->tags, tags));
    CHECK(core_capacity_provider(st->core, "us-east-1", "pb") == NULL);
}

/* A tree over them holds the order (core/place_index.c); what it does must not be seen. */
TEST(forty_machines_are_chosen_as_if_each_was_looked_at)
{
    static char names[40][8];
    struct story_host hosts[41] = {{0}};
    struct story_options o = {40, 100, 200, .hosts = hosts,
                              .doc = STRATEGY("{\"type\":\"binpack\",\"field\":\"cpu\"}")};
    cleanup_story struct story *st = NULL;
    int cpu[40];

    for (int i = 0; i < 40; i++) {
        snprintf(names[i], sizeof(names[i]), "h%d", i);
        cpu[i] = 20 + 10 * (i * 7 % 11); /* two to twelve tasks */
        hosts[i] = (struct story_host){names[i], "a", NULL, cpu[i], 10000};
    }
    st = story_new(&o);
    for (int task = 1; task <= 120; task++) {
        int best = -1;
        if (task > 40 && task % 10 == 1)
            story_desired(st, task + 9);
        for (int i = 0; i < 40; i++) {
            if (cpu[i] >= 10 && (best < 0 || cpu[i] < cpu[best]))
                best = i;
        }
        CHECK_TEXT(story_place(st, task), names[best]);
        cpu[best] -= 10;
    }
}

/* ---- constraints and accounts ---- */

TEST(distinct_instances_take_one_task_each_and_the_next_waits)
{
    cleanup_story struct story *st = story_new(&(struct story_options){
        3, 0, 100, .hosts = two_hosts, .doc = CONSTRAINT("{\"type\":\"distinctInstance\"}")});

    CHECK_TRACE(st, "0 create | start t1@h1 start t2@h2\n");
    CHECK(story_has_event(st, "DistinctInstance placement constraint unsatisfied."));
    story_at(st, 1000);
    story_machine(st, &(struct story_host){"h3", "a", NULL, 100, 1000}, true);
    CHECK_TRACE(st, "1000 h3 connects | start t3@h3\n");
    story_at(st, 2000);
    story_stop_task(st, 1); /* its successor waits until it is gone */
    story_stopped(st, 1, 0);
    CHECK_TRACE(st, "2000 stop-task t1 | stop t1\n"
                    "2000 stopped t1 | forget t1 start t4@h1\n");
}

TEST(member_of_binds_and_is_looked_at_again_when_attributes_change)
{
    cleanup_story struct story *st = story_new(&(struct story_options){
        2, 100, 200, .hosts = two_hosts,
        .doc = CONSTRAINT("{\"type\":\"memberOf\",\"expression\":\"attribute:color == green\"}")});

    CHECK_TRACE(st, "0 create | -\n");
    CHECK(story_has_event(st, "MemberOf placement constraint unsatisfied."));
    story_color(st, "h2", "green");
    CHECK_TRACE(st, "0 h2 is green | start t1@h2 start t2@h2\n");
    story_color(st, "h2", "red"); /* what runs stays */
    CHECK_TRACE(st, "0 h2 is red | -\n");
}

TEST(a_constraint_may_keep_groups_apart)
{
    cleanup_story struct story *st = story_new(&(struct story_options){1, 100, 200, .hosts = two_hosts});

    CHECK_TRACE(st, "0 create | start t1@h1\n");
    story_run(st, 2, NULL,
              CONSTRAINT("{\"type\":\"memberOf\",\"expression\":\"not(task:group == service:web)\"}"));
    story_run(st, 1, NULL,
              CONSTRAINT("{\"type\":\"memberOf\",\"expression\":\"task:group == service:web\"}"));
    CHECK_TRACE(st, "0 run | start t2@h2 start t3@h2\n"
                    "0 run | start t4@h1\n");
}

TEST(cpu_and_ports_are_counted_on_each_machine)
{
    const struct story_host hosts[] = {{"h1", "a", NULL, 25, 1000}, {"h2", "a", NULL, 10, 1000}, {0}};
    cleanup_story struct story *st = story_new(&(struct story_options){4, 0, 100, .hosts = hosts});

    CHECK_TRACE(st, "0 create | start t1@h1 start t2@h2 start t3@h1\n");
    CHECK(story_has_event(st, "has insufficient CPU units available"));
    story_at(st, 1000);
    story_stop_task(st, 2);
    CHECK_TRACE(st, "1000 stop-task t2 | stop t2\n");
    story_stopped(st, 2, 0); /* its place is free only now */
    CHECK_TRACE(st, "1000 stopped t2 | forget t2 start t4@h2\n");
}

TEST(a_fixed_port_is_taken_once_on_each_machine)
{
    cleanup_story struct story *st = story_new(
        &(struct story_options){3, 0, 100, .hosts = two_hosts, .fixed_port = 8080});

    CHECK_TRACE(st, "0 create | start t1@h1 start t2@h2\n");
    CHECK(story_has_event(st, "is already using a port required by your task"));
}

TEST(start_task_goes_where_it_is_told_or_nowhere)
{
    cleanup_story struct story *st = story_new(&(struct story_options){0, 100, 200, .hosts = two_hosts});

    CHECK_TRACE(st, "0 create | -\n");
    story_run(st, 1, "h2", NULL);
    story_status(st, "h2", INSTANCE_DRAINING);
    story_run(st, 1, "h2", NULL);
    CHECK_TRACE(st, "0 run | start t1@h2\n"
                    "0 h2 DRAINING | -\n"
                    "0 run | -\n");
}

/* ---- scale-in ---- */

static struct story *
six_spread(const char *doc)
{
    struct story *st = story_new(&(struct story_options){6, 0, 200, .has_load_balancer = true,
                                                         .hosts = two_zones, .doc = doc});

    story_at(st, 1000);
    story_run_and_heal(st, 1, 6);
    return st;
}

TEST(scale_in_takes_from_the_fullest_zone_then_the_fullest_instance)
{
    cleanup_story struct story *st = six_spread(NULL);

    CHECK_EQ(wanted_on(st, "b1"), 3);
    CHECK_EQ(wanted_on(st, "a1"), 2);
    story_at(st, 2000);
    story_desired(st, 5); /* both zones have three: then the fullest instance */
    CHECK_EQ(wanted_on(st, "b1"), 2);
    story_desired(st, 4);
    CHECK_EQ(wanted_on(st, "a1"), 1);
    story_desired(st, 2);
    CHECK_EQ(wanted_on(st, "b1"), 1);
    CHECK_EQ(wanted_on(st, "a1") + wanted_on(st, "a2"), 1);
}

TEST(scale_in_of_binpack_empties_the_emptiest_instance)
{
    const struct story_host hosts[] = {{"h1", "a", NULL, 35, 1000}, {"h2", "a", NULL, 100, 1000}, {0}};
    cleanup_story struct story *st = story_new(&(struct story_options){
        4, 0, 200, .hosts = hosts, .has_load_balancer = true,
        .doc = STRATEGY("{\"type\":\"binpack\",\"field\":\"cpu\"}")});

    CHECK_TRACE(st, "0 create | start t1@h1 start t2@h1 start t3@h1 start t4@h2\n");
    story_at(st, 1000);
    story_run_and_heal(st, 1, 4);
    story_desired(st, 3);
    CHECK_TRACE(st, "1000 desired 3 | deregister t4\n");
}

TEST(scale_in_takes_the_unhealthy_first_wherever_they_are)
{
    cleanup_story struct story *st = story_new(&(struct story_options){
        3, 0, 200, .has_load_balancer = true, .hosts = two_zones});

    CHECK_TRACE(st, "0 create | start t1@a1 start t2@b1 start t3@a2\n");
    story_at(st, 1000);
    story_running(st, 1);
    story_running(st, 2);
    story_running(st, 3);
    story_healthy(st, 1);
    story_healthy(st, 3);
    strbuf_clear(&st->trace);
    story_desired(st, 2); /* zone a has more, but t2 is not healthy yet */
    CHECK_TRACE(st, "1000 desired 2 | deregister t2\n");
}

TEST(scale_in_of_random_takes_anyone)
{
    int hosts_hit = 0;
    cleanup_story struct story *st = six_spread(STRATEGY("{\"type\":\"random\"}"));
    const int before[] = {wanted_on(st, "a1"), wanted_on(st, "a2"), wanted_on(st, "b1")};

    story_desired(st, 1);
    hosts_hit += wanted_on(st, "a1") < before[0];
    hosts_hit += wanted_on(st, "a2") < before[1];
    hosts_hit += wanted_on(st, "b1") < before[2];
    CHECK(hosts_hit >= 2);
    CHECK_EQ(wanted_on(st, "a1") + wanted_on(st, "a2") + wanted_on(st, "b1"), 1);
}

/* ---- draining ---- */

static struct story *
two_on_two(int minimum, int maximum)
{
    struct story *st = story_new(&(struct story_options){2, minimum, maximum, .has_load_balancer = true,
                                                         .hosts = two_hosts});

    story_at(st, 1000);
    story_run_and_heal(st, 1, 2);
    CHECK_TEXT(story_place(st, 1), "h1");
    CHECK_TEXT(story_place(st, 2), "h2");
    return st;
}

TEST(a_draining_instance_gives_its_tasks_up_for_healthy_ones_elsewhere)
{
    cleanup_story struct story *st = two_on_two(100, 200);

    story_at(st, 2000);
    story_status(st, "h1", INSTANCE_DRAINING);
    story_at(st, 2300);
    story_running(st, 3);
    CHECK_TRACE(st, "2000 h1 DRAINING | start t3@h2\n"
                    "2300 running t3 | register t3\n");
    story_healthy(st, 3);
    story_drained(st, 1);
    story_stopped(st, 1, 143);
    CHECK_TRACE(st, "2300 healthy t3 | deregister t1\n"
                    "2300 drained t1 | stop t1\n"
                    "2300 stopped t1 | forget t1\n");
    CHECK_EQ(tasks_on(st, "h1"), 0);
    CHECK_EQ(service_primary(story_service(st))->rollout_state, ROLLOUT_COMPLETED);
    story_desired(st, 4); /* nothing new there */
    CHECK_TRACE(st, "2300 desired 4 | start t4@h2 start t5@h2\n");
    story_status(st, "h1", INSTANCE_ACTIVE); /* nothing returns by itself */
    CHECK_TRACE(st, "2300 h1 ACTIVE | -\n");
    story_desired(st, 5);
    CHECK_TRACE(st, "2300 desired 5 | start t6@h1\n");
}

TEST(draining_with_a_full_upper_bound_stops_first)
{
    cleanup_story struct story *st = two_on_two(50, 100);

    story_at(st, 2000);
    story_status(st, "h1", INSTANCE_DRAINING);
    CHECK_TRACE(st, "2000 h1 DRAINING | deregister t1 start t3@h2\n");
}

TEST(pending_tasks_on_a_draining_instance_stop_at_once)
{
    cleanup_story struct story *st = story_new(&(struct story_options){2, 100, 100, .hosts = two_hosts});

    CHECK_TRACE(st, "0 create | start t1@h1 start t2@h2\n");
    story_status(st, "h1", INSTANCE_DRAINING);
    CHECK_TRACE(st, "0 h1 DRAINING | stop t1 start t3@h2\n");
    CHECK_EQ(story_task(st, 1)->stop_code, STOP_ServiceSchedulerInitiated);
}

TEST(standalone_tasks_stay_on_a_draining_instance)
{
    cleanup_story struct story *st = story_new(&(struct story_options){0, 100, 200, .hosts = two_hosts});

    story_run(st, 1, "h1", NULL);
    story_running(st, 1);
    story_status(st, "h1", INSTANCE_DRAINING);
    CHECK_TRACE(st, "0 create | -\n"
                    "0 run | start t1@h1\n"
                    "0 running t1 | -\n"
                    "0 h1 DRAINING | -\n");
    CHECK(task_is_wanted(story_task(st, 1)));
}

TEST(a_drain_that_the_bounds_forbid_is_said)
{
    cleanup_story struct story *st = story_new(&(struct story_options){1, 100, 150, .has_load_balancer = true,
                                                                       .hosts = two_hosts});

    story_at(st, 1000);
    story_run_and_heal(st, 1, 1);
    story_status(st, "h1", INSTANCE_DRAINING);
    CHECK_TRACE(st, "1000 h1 DRAINING | -\n");
    CHECK(story_has_event(st, "was unable to stop or start tasks during a deployment"));
}

TEST(an_instance_back_in_time_keeps_its_tasks)
{
    cleanup_story struct story *st = two_on_two(100, 200);

    story_at(st, 2000);
    story_status(st, "h1", INSTANCE_DRAINING);
    story_status(st, "h1", INSTANCE_ACTIVE);
    CHECK_TRACE(st, "2000 h1 DRAINING | start t3@h2\n"
                    "2000 h1 ACTIVE | stop t3\n");
    CHECK(task_is_wanted(story_task(st, 1)));
}

TEST(a_drain_goes_on_after_a_restart)
{
    cleanup_story struct story *st = two_on_two(100, 200);

    story_at(st, 2000);
    story_status(st, "h1", INSTANCE_DRAINING);
    story_restart(st);
    CHECK_TRACE(st, "2000 h1 DRAINING | start t3@h2\n"
                    "2000 restart | start t3@h2 register t2 adopt t2@h2 register t1 adopt t1@h1\n");
    story_running(st, 3);
    story_healthy(st, 3);
    CHECK_TRACE(st, "2000 running t3 | register t3\n"
                    "2000 healthy t3 | deregister t1\n");
}

TEST(a_rolling_update_takes_from_the_draining_instance_first)
{
    cleanup_story struct story *st = two_on_two(50, 150);

    story_at(st, 2000);
    story_update(st, 2);
    story_status(st, "h2", INSTANCE_DRAINING);
    CHECK_TRACE(st, "2000 update web:2 | start t3@h1\n"
                    "2000 h2 DRAINING | -\n");
    story_running(st, 3);
    story_healthy(st, 3);
    CHECK_TRACE(st, "2000 running t3 | register t3\n"
                    "2000 healthy t3 | deregister t2 start t4@h1\n");
}

/* ---- capacity providers ---- */

#define ITEM(name, base, weight) \
    "{\"capacityProvider\":\"" name "\",\"base\":" #base ",\"weight\":" #weight "}"

TEST(the_base_goes_first_and_the_rest_by_weight)
{
    cleanup_story struct story *st = story_new(&(struct story_options){
        8, 100, 200, .hosts = two_zones,
        .providers = "[" ITEM("pa", 0, 3) "," ITEM("pb", 2, 1) "]"});

    /* two to pb, then three to pa for one to pb */
    CHECK_TRACE(st, "0 create | start t1@b1 start t2@b1 start t3@a1 start t4@a2 start t5@b1 start t6@a1 "
                    "start t7@a2 start t8@a1\n");
    CHECK_TEXT(story_task(st, 1)->capacity_provider, "pb");
    CHECK_TEXT(story_task(st, 3)->capacity_provider, "pa");
}

TEST(a_lost_task_comes_back_by_its_own_share)
{
    cleanup_story struct story *st = story_new(&(struct story_options){
        4, 0, 100, .hosts = two_zones,
        .providers = "[" ITEM("pa", 0, 1) "," ITEM("pb", 0, 1) "]"});

    CHECK_TRACE(st, "0 create | start t1@a1 start t2@b1 start t3@a2 start t4@b1\n");
    story_at(st, 1000);
    story_stop_task(st, 4);
    CHECK_TRACE(st, "1000 stop-task t4 | stop t4 start t5@b1\n");
    story_restart(st); /* the names of the providers are stored with the tasks */
    story_at(st, 2000);
    strbuf_clear(&st->trace);
    story_stop_task(st, 1);
    CHECK_TRACE(st, "2000 stop-task t1 | stop t1 start t6@a1\n");
}

TEST(a_provider_without_instances_is_said_and_waited_for)
{
    const struct story_host hosts[] = {{"a1", "a", NULL, 100, 1000}, {0}};
    cleanup_story struct story *st = story_new(&(struct story_options){
        2, 100, 200, .hosts = hosts, .providers = "[" ITEM("pb", 0, 1) "]"});

    CHECK_TRACE(st, "0 create | -\n");
    CHECK(story_has_event(st, "No Container Instances were found in your capacity provider."));
    story_at(st, 5000);
    story_machine(st, &(struct story_host){"b1", "b", NULL, 100, 1000}, true);
    CHECK_TRACE(st, "5000 b1 connects | start t1@b1 start t2@b1\n");
}

TEST(a_strategy_without_weight_ends_at_its_base)
{
    cleanup_story struct story *st = story_new(&(struct story_options){
        1, 100, 200, .hosts = two_zones, .providers = "[" ITEM("pa", 1, 0) "]"});

    story_at(st, 1000);
    story_desired(st, 2);
    CHECK_TRACE(st, "0 create | start t1@a1\n"
                    "1000 desired 2 | -\n");
    CHECK(story_has_event(st, "No capacity provider of its strategy has a weight."));
}

/* ---- DAEMON ---- */

#define DAEMON "{\"schedulingStrategy\":\"DAEMON\"}"

static struct story *
daemon_on(const struct story_host *hosts, int minimum)
{
    struct story *st = story_new(&(struct story_options){0, minimum, 100, .has_load_balancer = true,
                                                         .has_breaker = true, .rolls_back = true,
                                                         .hosts = hosts, .doc = DAEMON});

    story_at(st, 1000);
    return st;
}

TEST(a_daemon_runs_once_on_each_instance_and_on_each_that_comes)
{
    cleanup_story struct story *st = daemon_on(two_hosts, 0);

    CHECK_TRACE(st, "0 create | start t1@h1 start t2@h2\n");
    CHECK_EQ(story_service(st)->desired_count, 2);
    story_run_and_heal(st, 1, 2);
    CHECK_EQ(service_primary(story_service(st))->rollout_state, ROLLOUT_COMPLETED);
    story_machine(st, &(struct story_host){"h3", "a", NULL, 100, 1000}, true);
    CHECK_TRACE(st, "1000 h3 connects | start t3@h3\n");
    CHECK_EQ(story_service(st)->desired_count, 3);
    story_stop_task(st, 1); /* back only when it is gone */
    story_drained(st, 1);
    CHECK_TRACE(st, "1000 stop-task t1 | deregister t1\n"
                    "1000 drained t1 | stop t1\n");
    story_stopped(st, 1, 0);
    CHECK_TRACE(st, "1000 stopped t1 | forget t1 start t4@h1\n");
}

TEST(a_daemon_is_updated_instance_by_instance_within_its_lower_bound)
{
    cleanup_story struct story *st = daemon_on(two_zones, 50); /* ceil(3 * 50 %) = 2 stay */

    story_run_and_heal(st, 1, 3);
    story_at(st, 2000);
    story_update(st, 2);
    story_drained(st, 3);
    story_stopped(st, 3, 143);
    CHECK_TRACE(st, "2000 update web:2 | deregister t3\n"
                    "2000 drained t3 | stop t3\n"
                    "2000 stopped t3 | forget t3 start t4@b1\n");
    story_running(st, 4);
    story_healthy(st, 4);
    CHECK_TRACE(st, "2000 running t4 | register t4\n"
                    "2000 healthy t4 | deregister t2\n");
    story_drained(st, 2);
    story_stopped(st, 2, 143);
    story_running(st, 5);
    story_healthy(st, 5);
    strbuf_clear(&st->trace);
    story_drained(st, 1);
    story_stopped(st, 1, 143);
    story_running(st, 6);
    CHECK_EQ(service_primary(story_service(st))->rollout_state, ROLLOUT_IN_PROGRESS);
    story_healthy(st, 6);
    CHECK_EQ(service_primary(story_service(st))->rollout_state, ROLLOUT_COMPLETED);
    CHECK_EQ(tasks_on(st, "a1") + tasks_on(st, "a2") + tasks_on(st, "b1"), 3);
}

TEST(a_daemon_that_fails_rolls_back_on_every_instance)
{
    cleanup_story struct story *st = daemon_on(two_hosts, 0);

    story_run_and_heal(st, 1, 2);
    story_at(st, 2000);
    story_update(st, 2);
    for (int t = 1; t <= 2; t++) {
        story_drained(st, t);
        story_stopped(st, t, 143);
    }
    for (int t = 3; t <= 5; t++)
        story_failed_to_start(st, t);
    CHECK_EQ(service_current(story_service(st))->status, SD_ROLLBACK_IN_PROGRESS);
    story_failed_to_start(st, 6); /* was under way */
    strbuf_clear(&st->trace);
    story_run_and_heal(st, 7, 8);
    CHECK_EQ(service_current(story_service(st))->status, SD_ROLLBACK_SUCCESSFUL);
    CHECK_TEXT(story_task(st, 7)->task_definition_arn, st->definitions[0]);
}

/* t1 and t2 are the daemon's, t3 somebody else's, on h1. */
static struct story *
daemon_beside_a_task(void)
{
    struct story *st = daemon_on(two_hosts, 0);

    story_run_and_heal(st, 1, 2);
    story_run(st, 1, "h1", NULL);
    story_running(st, 3);
    return st;
}

TEST(a_daemon_is_the_last_to_leave_a_draining_instance)
{
    cleanup_story struct story *st = daemon_beside_a_task();

    story_status(st, "h1", INSTANCE_DRAINING);
    CHECK_TRACE(st, "1000 run | start t3@h1\n"
                    "1000 running t3 | -\n"
                    "1000 h1 DRAINING | -\n");
    CHECK_EQ(story_service(st)->desired_count, 1);
    story_stopped(st, 3, 0);
    CHECK_TRACE(st, "1000 stopped t3 | forget t3 deregister t1\n");
    story_drained(st, 1);
    story_stopped(st, 1, 0);
    story_status(st, "h1", INSTANCE_ACTIVE);
    CHECK_TRACE(st, "1000 drained t1 | stop t1\n"
                    "1000 stopped t1 | forget t1\n"
                    "1000 h1 ACTIVE | start t4@h1\n");
}

/* Somebody else's task may run for days. */
TEST(a_daemons_deployment_waits_for_nobody_elses_task)
{
    cleanup_story struct story *st = daemon_beside_a_task();

    story_status(st, "h1", INSTANCE_DRAINING);
    strbuf_clear(&st->trace);
    story_update(st, 2);
    CHECK_TRACE(st, "1000 update web:2 | deregister t2 deregister t1\n");
    story_drained(st, 1);
    story_stopped(st, 1, 0);
    story_drained(st, 2);
    story_stopped(st, 2, 0);
    story_run_and_heal(st, 4, 4);
    CHECK_EQ(service_current(story_service(st))->status, SD_SUCCESSFUL);
    CHECK_EQ(story_task(st, 3)->last_status, TASK_RUNNING);
}

TEST(a_new_daemon_on_an_instance_that_begins_to_drain_holds_its_deployment_up_neither)
{
    cleanup_story struct story *st = daemon_beside_a_task();

    story_update(st, 2);
    for (int i = 1; i <= 2; i++) {
        story_drained(st, i);
        story_stopped(st, i, 0);
    }
    story_run_and_heal(st, 4, 4);
    story_running(st, 5);
    story_status(st, "h1", INSTANCE_DRAINING);
    CHECK_EQ(service_current(story_service(st))->status, SD_IN_PROGRESS);
    strbuf_clear(&st->trace);
    story_healthy(st, 5); /* whichever of them is where */
    CHECK_EQ(service_current(story_service(st))->status, SD_SUCCESSFUL);
    CHECK(story_service(st)->is_steady);
    CHECK_TRACE(st, "1000 healthy t5 | -\n"); /* and goes last */
    story_stopped(st, 3, 0);
    CHECK(strstr(strbuf_cstr(&st->trace), "1000 stopped t3 | forget t3 deregister t") != NULL);
}

TEST(a_daemon_leaves_an_instance_that_no_longer_meets_its_constraint)
{
    cleanup_story struct story *st = story_new(&(struct story_options){
        0, 0, 100, .hosts = two_hosts,
        .doc = "{\"schedulingStrategy\":\"DAEMON\",\"placementConstraints\":[{\"type\":\"memberOf\","
               "\"expression\":\"attribute:color == red\"}]}"});

    CHECK_TRACE(st, "0 create | start t1@h1\n");
    story_running(st, 1);
    story_color(st, "h2", "red");
    story_color(st, "h1", "green");
    CHECK_TRACE(st, "0 running t1 | -\n"
                    "0 h2 is red | start t2@h2\n"
                    "0 h1 is green | stop t1\n");
    CHECK_TEXT(story_task(st, 1)->stopped_reason, "MemberOf placement constraint unsatisfied.");
    CHECK(story_has_event(st, "does not meet its placement constraints any more."));
}

TEST(a_lost_machine_does_not_hold_a_daemon_up)
{
    cleanup_story struct story *st = daemon_on(two_hosts, 0);

    story_run_and_heal(st, 1, 2);
    story_machine(st, &(struct story_host){"h2", "a", "blue", 100, 1000}, false);
    CHECK_EQ(story_service(st)->desired_count, 2); /* its task is there, as far as anybody knows */
    story_lost(st, 2);
    CHECK_EQ(story_service(st)->desired_count, 1);
    story_drained(st, 2);
    strbuf_clear(&st->trace);
    story_machine(st, &(struct story_host){"h2", "a", "blue", 100, 1000}, true);
    story_at(st, 10000);
    story_clock(st);
    CHECK(strstr(strbuf_cstr(&st->trace), "start t3@h2") != NULL);
    CHECK_EQ(story_service(st)->desired_count, 2);
}
