/* SPDX-License-Identifier: MIT */
/* Who gets traffic, who goes first, and that nobody is signalled before it is out of it. */
#include "blue_green.h"

static const struct story_options two = {.desired_count = 2, STORY_USUAL};

static void
drained_in(struct story *st, int task, int at)
{
    const struct task_target tt = story_task(st, task)->targets[at];
    const struct target *x = target_group_find(core_target_group(st->core, tt.target_group_arn),
                                               tt.target_id, tt.port);
    struct event ev = {.type = EVENT_TARGET_DRAINED};

    CHECK(x != NULL);
    ev.target_drained = (struct ev_target_drained){.target_group_arn = tt.target_group_arn,
                                                   .target_id = tt.target_id,
                                                   .port = tt.port,
                                                   .registration = x->registration};
    story_tell(st, &ev, at == 0 ? "drained first" : "drained second");
}

/* ---- out of traffic, then the signal ---- */

TEST(a_task_in_two_groups_leaves_both_before_it_is_signalled)
{
    struct story_options o = two;
    cleanup_story struct story *st = NULL;

    o.has_second_group = true;
    st = story_new_running(&o, 1);
    story_stop_task(st, 1);
    CHECK_TRACE(st, "0 stop-task t1 | deregister t1 deregister t1 start t2\n");
    CHECK(story_task(st, 1)->targets[0].is_draining && story_task(st, 1)->targets[1].is_draining);
    drained_in(st, 1, 1);
    drained_in(st, 1, 0);
    CHECK_TRACE(st, "0 drained second | -\n"
                    "0 drained first | stop t1\n");
    CHECK(story_has_event(st, "registered 1 targets in (target-group arn:aws:elasticloadbalancing:"
                              "eu-west-1:000000000000:targetgroup/tg2/"));
}

TEST(a_task_that_dies_while_it_drains_is_over)
{
    cleanup_story struct story *st = story_new_running(&two, 1);

    story_stop_task(st, 1);
    story_stopped(st, 1, 0);
    CHECK_EQ(story_task(st, 1)->last_status, TASK_STOPPED);
    CHECK_TEXT(story_task(st, 1)->stopped_reason, "because"); /* the first cause wins */
    strbuf_clear(&st->trace);
    story_drained(st, 1);
    CHECK_TRACE(st, "0 drained t1 | forget t1\n");
}

TEST(the_first_of_two_causes_is_the_one_that_is_told)
{
    cleanup_story struct story *st = story_new_running(&two, 1);

    story_update(st, 2);
    story_running(st, 2);
    story_healthy(st, 2);
    CHECK_EQ(story_task(st, 1)->last_status, TASK_DEACTIVATING);
    story_stop_task(st, 1);
    CHECK_EQ(story_task(st, 1)->stop_code, STOP_ServiceSchedulerInitiated);
    CHECK(strncmp(story_task(st, 1)->stopped_reason, "Scaling activity", 16) == 0);
}

TEST(containers_stop_one_after_the_other_so_their_timeouts_add_up)
{
    cleanup_story struct story *st = story_new_running(&two, 0);

    story_define(st, "{\"networkMode\":\"bridge\",\"compatibilities\":[\"EC2\"],"
                     "\"containerDefinitions\":["
                     "{\"name\":\"app\",\"image\":\"a@sha256:1\",\"cpu\":1,\"memory\":1,\"stopTimeout\":10},"
                     "{\"name\":\"log\",\"image\":\"b@sha256:2\",\"cpu\":1,\"memory\":1,\"stopTimeout\":5}]}");
    story_run_task(st, 5, 1);
    story_running(st, 1);
    story_stop_task(st, 1);
    CHECK_EQ(story_task(st, 1)->stop_deadline_ms - st->now_ms, 10000 + 5000 + 30000);
    CHECK_TEXT(story_task(st, 1)->containers[0].image, "a@sha256:1"); /* pinned by its author */
}

TEST(a_report_that_it_was_pending_comes_too_late)
{
    cleanup_story struct story *st = story_new_running(&two, 1);
    const int version = story_task(st, 1)->version;

    story_pending(st, 1);
    CHECK_TRACE(st, "0 pending t1 | -\n");
    CHECK_EQ(story_task(st, 1)->version, version);
    CHECK_EQ(story_task(st, 1)->containers[0].binding_count, 1);
}

TEST(a_group_that_is_deleted_sends_nobody_anywhere)
{
    cleanup_story struct story *st = story_new_running(&two, 1);
    struct event ev = {.type = EVENT_TARGET_GROUP_DELETE};

    ev.target_group_delete.arn = st->group;
    story_tell(st, &ev, "delete-group");
    CHECK(!story_task(st, 1)->targets[0].is_registered);
    CHECK(story_has_event(st, "failed to register targets in (target-group "));
    strbuf_clear(&st->trace);
    story_stop_task(st, 1); /* nothing to wait for */
    CHECK(strncmp(strbuf_cstr(&st->trace), "0 stop-task t1 | stop t1", 24) == 0);
}

TEST(a_group_that_is_deleted_under_a_draining_task_lets_it_go)
{
    cleanup_story struct story *st = story_new_running(&two, 1);
    struct event ev = {.type = EVENT_TARGET_GROUP_DELETE};

    story_stop_task(st, 1);
    ev.target_group_delete.arn = st->group;
    strbuf_clear(&st->trace);
    story_tell(st, &ev, "delete-group");
    CHECK_TRACE(st, "0 delete-group | balancer stop t1\n");
}

/* ---- one target, one task ---- */

TEST(a_port_that_another_task_still_has_is_not_registered_again)
{
    cleanup_story struct story *st = story_new_running(&two, 1);
    const int port = story_task(st, 1)->targets[0].port;

    story_desired(st, 2);
    st->next_port = port; /* t1 died, its port went to t2, and t2's report was faster */
    story_running(st, 2);
    CHECK(!story_task(st, 2)->targets[0].is_registered);
    strbuf_clear(&st->trace);
    story_stopped(st, 1, 1);
    story_drained(st, 1);
    CHECK_TRACE(st, "0 stopped t1 | deregister t1 start t3\n"
                    "0 drained t1 | register t2 forget t1\n");
}

TEST(a_port_that_an_operator_drains_is_waited_for)
{
    cleanup_story struct story *st = story_new_running(&two, 1);
    const struct target_group *tg = core_target_group(st->core, st->group);
    const struct target *x;
    struct event ev = {.type = EVENT_TARGET_DRAINED};

    story_targets(st, 5000, true);
    story_targets(st, 5000, false);
    story_desired(st, 2);
    st->next_port = 5000;
    strbuf_clear(&st->trace);
    story_running(st, 2);
    CHECK_TRACE(st, "0 running t2 | -\n");
    x = target_group_find(tg, st->core->instances->id, 5000);
    ev.target_drained = (struct ev_target_drained){.target_group_arn = st->group,
                                                   .target_id = st->core->instances->id,
                                                   .port = 5000,
                                                   .registration = x->registration};
    story_tell(st, &ev, "drained 5000");
    story_at(st, 5000); /* looked at again */
    story_clock(st);
    CHECK_TRACE(st, "0 drained 5000 | -\n"
                    "5000 clock | register t2 adopt t2 register t2\n"); /* and asked for, as all that runs */
}

TEST(an_operators_target_is_kept_and_leaves_by_itself_when_nobody_says_so)
{
    cleanup_story struct story *st = story_new_running(&two, 0);
    const struct target_group *tg = core_target_group(st->core, st->group);

    story_targets(st, 5000, true);
    story_targets(st, 5000, true); /* twice is once */
    CHECK_EQ(tg->target_count, 1);
    story_targets(st, 0, false); /* every port */
    CHECK_EQ(tg->targets->state, TARGET_draining);
    story_targets(st, 5000, false);
    CHECK_EQ(core_deadline_ms(st->core) - st->start_ms, 130000); /* 60 s, and 70 s more */
    story_at(st, 130000);
    story_clock(st);
    CHECK_EQ(tg->target_count, 0);
}

/* Nobody says that they are drained; the first group is changed meanwhile, and gives less time. */
TEST(each_of_an_operators_targets_leaves_at_its_own_time)
{
    struct story_options o = two;
    cleanup_story struct story *st = NULL;
    struct target_group *changed = mem_new(sizeof(*changed));
    struct target x = {.port = 5000};
    struct event ev = {.type = EVENT_TARGETS_CHANGE}, put = {.type = EVENT_TARGET_GROUP_PUT};
    const struct target_group *first, *second;

    o.has_second_group = true;
    st = story_new_running(&o, 0);
    second = core_target_group(st->core, st->second_group);
    text_copy(x.id, sizeof(x.id), str_of(st->core->instances->id));
    ev.targets_change = (struct ev_targets_change){
        .target_group_arn = st->second_group, .targets = &x, .target_count = 1, .registers = true};
    story_tell(st, &ev, "register in second");
    story_targets(st, 5000, true);
    story_targets(st, 5001, true);
    story_targets(st, 5000, false);
    story_at(st, 5000);
    ev.targets_change.registers = false;
    story_tell(st, &ev, "deregister in second");
    story_at(st, 10000);
    story_targets(st, 5001, false);
    text_copy(changed->arn, ARN_SIZE, str_of(st->group));
    changed->deregistration_delay_s = 30;
    put.target_group_put.target_group = changed;
    story_tell(st, &put, "group");
    first = core_target_group(st->core, st->group);
    CHECK_EQ(first->target_count, 2);
    CHECK_EQ(core_deadline_ms(st->core) - st->start_ms, 100000); /* 30 s, and 70 s more */
    story_at(st, 100000);
    story_clock(st);
    CHECK_EQ(first->target_count, 1);
    CHECK_EQ(first->targets->port, 5001);
    story_at(st, 110000);
    story_clock(st);
    CHECK_EQ(first->target_count, 0);
    CHECK_EQ(second->target_count, 1);
    story_at(st, 135000); /* its group gives 60 s */
    story_clock(st);
    CHECK_EQ(second->target_count, 0);
}

TEST(an_operator_cannot_send_traffic_to_a_task_that_stops)
{
    cleanup_story struct story *st = story_new_running(&two, 1);
    const int port = story_task(st, 1)->targets[0].port;

    story_stop_task(st, 1);
    strbuf_clear(&st->trace);
    story_targets(st, port, true);
    CHECK_TRACE(st, "0 register-targets | -\n");
    CHECK(story_task(st, 1)->targets[0].is_draining);
    story_drained(st, 1);
    CHECK_TRACE(st, "0 drained t1 | stop t1\n");
}

TEST(an_operator_takes_a_running_task_out_and_lets_it_in_again)
{
    cleanup_story struct story *st = story_new_running(&two, 1);
    const struct task_target *tt = &story_task(st, 1)->targets[0];
    const int port = tt->port;

    story_targets(st, port, false);
    CHECK_EQ(core_counts(st->core, story_service(st), NULL).healthy, 0);
    story_targets(st, port, true); /* a draining one becomes active again */
    CHECK(tt->is_registered && !tt->is_draining && tt->state == TARGET_initial);
    story_healthy(st, 1);
    CHECK_EQ(core_counts(st->core, story_service(st), NULL).healthy, 1);
    strbuf_clear(&st->trace);
    story_targets(st, port, false);
    story_drained(st, 1); /* it is out, and still wanted: registered again */
    CHECK_TRACE(st, "0 deregister-targets | deregister t1\n"
                    "0 drained t1 | register t1\n");
}

/* ---- who is replaced, who goes ---- */

TEST(a_task_that_recovers_stays_and_its_replacement_goes)
{
    cleanup_story struct story *st = story_new_running(&two, 2);

    story_unhealthy(st, 1);
    strbuf_clear(&st->trace);
    story_healthy(st, 1);
    CHECK_TRACE(st, "0 healthy t1 | stop t3\n");
    CHECK(!story_task(st, 1)->is_unhealthy_marked);
    CHECK(task_is_wanted(story_task(st, 1)) && task_is_wanted(story_task(st, 2)));
}

TEST(an_unhealthy_task_stays_while_there_is_no_place_for_another)
{
    cleanup_story struct story *st = story_new_running(&two, 1);

    story_host(st, 10, true); /* room for one */
    strbuf_clear(&st->trace);
    story_unhealthy(st, 1);
    CHECK_TRACE(st, "0 unhealthy t1 | -\n");
    CHECK(task_is_wanted(story_task(st, 1)));
    CHECK(story_has_event(st, "has insufficient CPU units available."));
    story_host(st, 20, true);
    CHECK_TRACE(st, "0 host | start t2\n");
}

TEST(a_place_that_gets_free_goes_to_whoever_waits_for_it)
{
    cleanup_story struct story *st = story_new_running(&two, 1);

    story_run_task(st, 1, 1);
    story_running(st, 2);
    story_host(st, 20, true); /* full */
    story_desired(st, 2);
    strbuf_clear(&st->trace);
    story_stopped(st, 2, 0);
    CHECK_TRACE(st, "0 stopped t2 | forget t2 start t3\n");
}

TEST(the_tasks_of_the_oldest_deployment_go_first)
{
    cleanup_story struct story *st = story_new_running(&two, 2);

    story_update(st, 2);
    story_running(st, 3);
    story_running(st, 4);
    story_healthy(st, 3); /* one old task drains */
    story_drained(st, 2);
    story_update(st, 3); /* t1 of the first, t3 of the second are healthy */
    for (int i = 5; i <= st->task_count; i++)
        story_running(st, i);
    strbuf_clear(&st->trace);
    story_healthy(st, 5);
    CHECK_TRACE(st, "0 healthy t5 | deregister t1\n");
}

TEST(a_minimum_above_one_hundred_percent_does_not_block_an_update)
{
    struct story_options o = two;
    cleanup_story struct story *st = NULL;

    o.minimum_healthy_percent = 150;
    st = story_new_running(&o, 2);
    story_update(st, 2);
    story_run_and_heal(st, 3, 4);
    story_drained(st, 1);
    story_drained(st, 2);
    CHECK_EQ(service_primary(story_service(st))->rollout_state, ROLLOUT_COMPLETED);
}

TEST(a_scale_in_during_an_update_reaches_the_old_revision)
{
    cleanup_story struct story *st = story_new_running(&two, 2);
    const struct service *s = story_service(st);

    story_update(st, 2);
    story_desired(st, 1);
    CHECK_EQ(service_primary(s)->next->desired_count, 1);
    CHECK_EQ(core_counts(st->core, s, service_primary(s)).desired_running, 1);
    CHECK_EQ(core_counts(st->core, s, NULL).desired_running, 2); /* one of each */
}

TEST(of_stopped_tasks_the_newest_five_hundred_are_kept)
{
    cleanup_story struct story *st = story_new_running(&two, 0);
    const struct task *t;
    int kept = 0;

    for (int i = 1; i <= 510; i++) {
        story_run_task(st, 1, 1);
        story_stopped(st, i, 0);
    }
    for (t = st->core->tasks; t != NULL; t = t->next)
        kept++;
    CHECK_EQ(kept, 500);
    CHECK(story_task(st, 10) == NULL && story_task(st, 11) != NULL);
}

/* ---- pairs ---- */

/* Blue's group is deleted after green came up: there is no pair any more that weights could be of. */
TEST(a_pair_that_lost_a_group_fails_the_shift)
{
    cleanup_story struct story *st = blue_running(&blue_green);
    struct event gone = {.type = EVENT_TARGET_GROUP_DELETE, .target_group_delete = {st->group}};

    story_update(st, 2);
    story_running(st, 3);
    story_running(st, 4);
    story_healthy(st, 3);
    story_tell(st, &gone, "delete-group");
    strbuf_clear(&st->trace);
    story_healthy(st, 4);
    CHECK(strstr(service_current(story_service(st))->status_reason,
                 "a listener or target group of its loadBalancers does not exist any more") != NULL);
    CHECK(strstr(strbuf_cstr(&st->trace), "production") == NULL);
    CHECK(task_is_wanted(story_task(st, 1)) && task_is_wanted(story_task(st, 2)));
}
