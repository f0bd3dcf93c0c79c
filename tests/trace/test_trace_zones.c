/* SPDX-License-Identifier: MIT */
/* Tasks that move to another availability zone, one after the other, until the zones are even
 * (ecs.md 7.5). */
#include "story.h"

#define BALANCED "{\"availabilityZoneRebalancing\":\"ENABLED\"}"

static const struct story_host two_hosts[] = {{"h1", "a", "red", 100, 1000},
                                              {"h2", "a", "blue", 100, 1000},
                                              {0}};
static const struct story_host starved = {"b1", "b", NULL, 100, 1000};

static int
wanted_on(const struct story *st, const char *host)
{
    int n = 0;

    for (const struct task *t = story_instance(st, host)->tasks; t != NULL; t = t->next_here)
        n += task_is_wanted(t);
    return n;
}

static bool
any_is_moving(const struct story *st)
{
    for (const struct task *t = story_service(st)->live; t != NULL; t = t->next_live) {
        if (t->is_moving)
            return true;
    }
    return false;
}

/* Four tasks in zone a; then another host comes. */
static struct story *
crowded_beside(const char *doc, int maximum, const struct story_host *host)
{
    struct story *st = story_new(&(struct story_options){4, 50, maximum, .has_load_balancer = true,
                                                         .hosts = two_hosts, .doc = doc});

    story_at(st, 1000);
    story_run_and_heal(st, 1, 4);
    story_at(st, 2000);
    story_machine(st, host, true);
    return st;
}

static struct story *
crowded(const char *doc, int maximum)
{
    return crowded_beside(doc, maximum, &starved);
}

TEST(tasks_move_to_a_starved_zone_one_after_the_other)
{
    cleanup_story struct story *st = crowded(BALANCED, 200);

    CHECK_TRACE(st, "2000 b1 connects | start t5@b1\n");
    CHECK(story_has_event(st, "is not AZ balanced with 4 tasks in a, 0 tasks in b. AZ Rebalancing in progress."));
    story_running(st, 5);
    CHECK_TRACE(st, "2000 running t5 | register t5\n");
    CHECK(story_has_event(st, "has started 1 tasks in b to AZ Rebalance: (task "));
    story_healthy(st, 5); /* only now does one go, and then the next one comes */
    CHECK_TRACE(st, "2000 healthy t5 | deregister t4 start t6@b1\n");
    CHECK(strstr(story_task(st, 4)->stopped_reason, "Availability-zone rebalancing initiated by") != NULL);
    CHECK(story_has_event(st, "has stopped 1 running tasks in a due to AZ rebalancing: (task "));
    story_running(st, 6);
    story_healthy(st, 6);
    CHECK_EQ(wanted_on(st, "b1"), 2);
    CHECK_EQ(wanted_on(st, "h1") + wanted_on(st, "h2"), 2);
    CHECK(story_has_event(st, "is AZ balanced with 2 tasks in a, 2 tasks in b."));
    CHECK_EQ(service_primary(story_service(st))->rollout_state, ROLLOUT_COMPLETED);
    story_restart(st);
    strbuf_clear(&st->trace);
    story_clock(st);
    CHECK_TRACE(st, "2000 clock | -\n");
}

TEST(a_move_goes_on_after_a_restart)
{
    cleanup_story struct story *st = crowded(BALANCED, 200);

    story_restart(st);
    CHECK_EQ(wanted_on(st, "b1"), 1);
    story_running(st, 5);
    strbuf_clear(&st->trace);
    story_healthy(st, 5);
    CHECK_TRACE(st, "2000 healthy t5 | deregister t4 start t6@b1\n");
}

TEST(room_that_comes_to_a_starved_zone_is_seen)
{
    static const struct story_host full = {"b1", "b", NULL, 1, 1000}, empty = {"b1", "b", NULL, 1000, 1000};
    cleanup_story struct story *st = crowded_beside(BALANCED, 200, &full);

    CHECK_TRACE(st, "2000 b1 connects | -\n"); /* a new zone, and nothing fits there */
    story_machine(st, &empty, true);
    CHECK_TRACE(st, "2000 b1 connects | start t5@b1\n");
}

TEST(a_machine_that_moved_to_another_zone_is_seen)
{
    static const struct story_host other = {"b1", "a", NULL, 1000, 1000}, moved = {"b1", "b", NULL, 1000, 1000};
    cleanup_story struct story *st = crowded_beside(BALANCED, 200, &other);

    CHECK_TRACE(st, "2000 b1 connects | -\n");
    story_machine(st, &moved, true);
    CHECK_TRACE(st, "2000 b1 connects | start t5@b1\n");
}

TEST(zones_are_left_alone_where_balancing_is_off_or_has_no_room)
{
    cleanup_story struct story *off = crowded("{\"availabilityZoneRebalancing\":\"DISABLED\"}", 200);
    cleanup_story struct story *full = crowded(BALANCED, 100);
    cleanup_story struct story *packed = crowded(
        "{\"availabilityZoneRebalancing\":\"ENABLED\",\"placementStrategy\":[{\"type\":\"binpack\","
        "\"field\":\"cpu\"}]}", 200);
    cleanup_story struct story *by_color = crowded(
        "{\"availabilityZoneRebalancing\":\"ENABLED\",\"placementStrategy\":[{\"type\":\"spread\","
        "\"field\":\"attribute:color\"}]}", 200);
    cleanup_story struct story *tight = crowded(BALANCED, 110); /* four and no more of four */

    CHECK_TRACE(off, "2000 b1 connects | -\n");
    CHECK_TRACE(by_color, "2000 b1 connects | -\n");
    CHECK_TRACE(tight, "2000 b1 connects | -\n");
    CHECK_TRACE(full, "2000 b1 connects | -\n");
    CHECK_TRACE(packed, "2000 b1 connects | -\n");
}

/* Its second try was under way: that one goes on elsewhere, and there it ends. */
TEST(a_move_that_lost_its_place_ends)
{
    cleanup_story struct story *st = crowded(BALANCED, 200);

    story_lost(st, 5);
    strbuf_clear(&st->trace);
    story_status(st, "b1", INSTANCE_DRAINING);
    CHECK_TRACE(st, "2000 b1 DRAINING | start t7@h1 stop t6\n");
    CHECK(story_has_event(st, "has started 1 tasks: (task "));
    story_stopped(st, 6, 0);
    story_running(st, 7);
    strbuf_clear(&st->trace);
    story_healthy(st, 7);
    CHECK_TRACE(st, "2000 healthy t7 | deregister t4\n");
    story_drained(st, 4);
    story_stopped(st, 4, 0);
    strbuf_clear(&st->trace);
    story_at(st, 600000);
    story_clock(st);
    CHECK_EQ(wanted_on(st, "h1") + wanted_on(st, "h2"), 4);
    CHECK(strstr(strbuf_cstr(&st->trace), "start") == NULL);
    CHECK(story_has_event(st, "stopped AZ Rebalancing.")); /* and not: is AZ balanced */
    CHECK(!story_has_event(st, "is AZ balanced with"));
}

/* The other hosts are full, so nothing can take its place at all. */
TEST(a_mark_is_taken_back_when_the_other_zone_has_no_room_any_more)
{
    static const struct story_host full[] = {{"h1", "a", "red", 20, 1000},
                                             {"h2", "a", "blue", 20, 1000},
                                             {0}};
    static const struct story_host small = {"b1", "b", NULL, 1, 1000};
    cleanup_story struct story *st = story_new(&(struct story_options){
        4, 50, 200, .has_load_balancer = true, .hosts = full, .doc = BALANCED});

    story_run_and_heal(st, 1, 4);
    story_machine(st, &starved, true);
    CHECK_TRACE(st, "0 b1 connects | start t5@b1\n");
    story_machine(st, &small, true);
    CHECK(any_is_moving(st));
    story_restart(st);
    CHECK(any_is_moving(st)); /* it is remembered */
    story_stopped(st, 5, 1);
    CHECK(!any_is_moving(st));
    CHECK(story_has_event(st, "stopped AZ Rebalancing."));
    strbuf_clear(&st->trace);
    story_machine(st, &starved, true);
    CHECK_TRACE(st, "0 b1 connects | start t6@b1\n");
}

TEST(protected_tasks_do_not_move)
{
    cleanup_story struct story *st = story_new(&(struct story_options){
        4, 50, 200, .has_load_balancer = true, .hosts = two_hosts, .doc = BALANCED});

    story_run_and_heal(st, 1, 4);
    for (int i = 1; i <= 4; i++)
        story_protect(st, i, 60);
    strbuf_clear(&st->trace);
    story_machine(st, &starved, true);
    CHECK(!any_is_moving(st));
    CHECK_TRACE(st, "0 b1 connects | -\n");
    story_protect(st, 2, 0); /* whichever is free to go goes, and no other */
    CHECK_TRACE(st, "0 protect t2 | start t5@b1\n");
    CHECK(story_task(st, 2)->is_moving);
    story_running(st, 5);
    strbuf_clear(&st->trace);
    story_healthy(st, 5);
    CHECK_TRACE(st, "0 healthy t5 | deregister t2\n");
}

TEST(nothing_moves_while_a_task_is_missing)
{
    cleanup_story struct story *st = story_new(&(struct story_options){
        4, 50, 200, .has_load_balancer = true, .hosts = two_hosts, .doc = BALANCED});

    story_run_and_heal(st, 1, 4);
    story_stopped(st, 4, 1);
    CHECK_TRACE(st, "0 stopped t4 | deregister t4 start t5@h2\n");
    story_machine(st, &starved, true);
    CHECK_TRACE(st, "0 b1 connects | -\n");
    story_running(st, 5);
    CHECK_TRACE(st, "0 running t5 | register t5\n");
    story_healthy(st, 5);
    CHECK_TRACE(st, "0 healthy t5 | start t6@b1\n");
}

/* A service that cannot start tasks has other worries than the zone that they are in. */
TEST(nothing_moves_while_launches_wait)
{
    cleanup_story struct story *st = crowded(BALANCED, 200);

    story_lost(st, 5);
    story_lost(st, 6);
    CHECK(story_service(st)->infrastructure_after_ms > st->now_ms);
    CHECK(!any_is_moving(st));
    strbuf_clear(&st->trace);
    story_at(st, 6000);
    story_clock(st);
    CHECK_TRACE(st, "6000 clock | -\n");
    story_at(st, 7000);
    story_clock(st);
    CHECK_TRACE(st, "7000 clock | start t7@b1\n");
}

/* All but the first are too small for a task; whatever comes behind the sixteenth is not looked at,
 * though a task that moves may be placed there. */
TEST(sixteen_zones_are_looked_at)
{
    static char names[16][8];
    struct story_host hosts[17] = {{"h0", "z0", NULL, 100, 1000}};
    cleanup_story struct story *st = NULL;

    for (int i = 1; i < 16; i++) {
        snprintf(names[i], sizeof(names[i]), "z%d", i);
        hosts[i] = (struct story_host){names[i], names[i], NULL, 1, 1000};
    }
    st = story_new(&(struct story_options){4, 50, 200, .has_load_balancer = true, .hosts = hosts,
                                           .doc = BALANCED});
    story_run_and_heal(st, 1, 4);
    story_machine(st, &starved, true);
    CHECK_TRACE(st, "0 b1 connects | -\n");
    story_machine(st, &(struct story_host){"big", "z15", NULL, 100, 1000}, true);
    CHECK_TRACE(st, "0 big connects | start t5@b1\n");
}
