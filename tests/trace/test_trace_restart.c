/* SPDX-License-Identifier: MIT */
/* naru dies and comes back: what was committed is all it has. */
#include "story.h"

static const struct story_options one = {.desired_count = 1, STORY_USUAL};

TEST(after_a_restart_a_drain_gets_its_whole_time_again)
{
    cleanup_story struct story *st = story_new_running(&one, 1);

    story_stop_task(st, 1);
    story_at(st, 129000); /* one second before its deadline of 130 s */
    story_restart(st);
    strbuf_clear(&st->trace);
    story_at(st, 130000);
    story_clock(st);
    CHECK_TRACE(st, "130000 clock | -\n"); /* the first order may have died with naru */
    story_at(st, 259000);
    story_clock(st);
    CHECK(strstr(strbuf_cstr(&st->trace), "stop t1") != NULL);
}

TEST(after_a_restart_a_stop_is_ordered_again)
{
    cleanup_story struct story *st = story_new_running(&one, 1);

    story_stop_task(st, 1);
    story_drained(st, 1);
    strbuf_clear(&st->trace);
    story_at(st, 100);
    story_restart(st);
    CHECK_TRACE(st, "100 restart | stop t1 start t2\n");
}

TEST(after_a_restart_what_ended_is_removed_again)
{
    cleanup_story struct story *st = story_new_running(&one, 1);

    story_run_task(st, 1, 1);
    story_stopped(st, 2, 0);
    strbuf_clear(&st->trace);
    story_at(st, 100);
    story_restart(st);
    CHECK_TRACE(st, "100 restart | forget t2 register t1 adopt t1\n");
    story_at(st, 600001); /* that was long ago */
    story_restart(st);
    CHECK_TRACE(st, "600001 restart | register t1 adopt t1\n");
}

TEST(after_a_restart_places_are_still_taken)
{
    cleanup_story struct story *st = story_new_running(&one, 1);

    story_host(st, 15, true); /* room for one */
    story_restart(st);
    strbuf_clear(&st->trace);
    story_desired(st, 2);
    CHECK_TRACE(st, "0 desired 2 | -\n");
}

TEST(after_a_restart_nothing_is_resolved_twice)
{
    struct story_options o = one;
    cleanup_story struct story *st = NULL;

    o.keeps_unresolved = true;
    st = story_new(&o);
    story_restart(st); /* before the answer: asked again */
    CHECK_TRACE(st, "0 create | resolve\n"
                    "0 restart | resolve\n");
    story_resolved(st, "sha256:0000000000000000000000000000000000000000000000000000000000000001",
                   NULL);
    story_restart(st);
    CHECK_TRACE(st, "0 resolved | start t1\n"
                    "0 restart | start t1\n");
    story_desired(st, 2);
    CHECK_TRACE(st, "0 desired 2 | start t2\n");
}

/* An image that exists on this host only has no digest; a later answer may not give it one. */
TEST(an_image_without_a_digest_keeps_none)
{
    struct story_options o = one;
    cleanup_story struct story *st = NULL;

    o.keeps_unresolved = true;
    o.desired_count = 1;
    st = story_new(&o);
    story_resolved(st, NULL, NULL);
    story_resolved(st, "sha256:0000000000000000000000000000000000000000000000000000000000000001",
                   NULL); /* late */
    story_desired(st, 2);
    CHECK_TEXT(story_task(st, 1)->containers[0].image, "my-app:latest");
    CHECK_TEXT(story_task(st, 2)->containers[0].image, "my-app:latest");
}

TEST(after_a_restart_the_counters_of_a_deployment_go_on)
{
    cleanup_story struct story *st = story_new_running(&one, 1);
    char deployment[ID_SIZE];

    story_update(st, 2);
    story_failed_to_start(st, 2);
    story_failed_to_start(st, 3);
    text_copy(deployment, ID_SIZE, str_of(service_primary(story_service(st))->id));
    story_restart(st);
    CHECK_TEXT(service_primary(story_service(st))->id, deployment);
    CHECK_EQ(service_current(story_service(st))->breaker_failures, 2);
    story_failed_to_start(st, 4); /* the third */
    CHECK_EQ(service_current(story_service(st))->status, SD_ROLLBACK_SUCCESSFUL);
}

TEST(a_clock_that_was_set_back_does_not_stop_time)
{
    cleanup_story struct story *st = NULL;

    st = story_new(&one);
    story_at(st, 3600 * 1000);
    story_update(st, 2); /* t2 is created an hour after the start */
    st->now_ms = st->start_ms;
    story_restart(st);
    CHECK_EQ(st->now_ms - st->start_ms, 3600 * 1000); /* from the latest moment that was written */
    story_running(st, 2);
    CHECK(story_task(st, 2)->started_at_ms >= story_task(st, 2)->created_at_ms);
    story_at(st, 3600 * 1000 + 30000);
    story_clock(st); /* deadlines go on */
    CHECK(strstr(strbuf_cstr(&st->trace), "adopt t2") != NULL);
}

TEST(a_name_may_be_used_again_while_the_old_services_last_task_stops)
{
    cleanup_story struct story *st = story_new_running(&one, 1);
    struct event ev = {.type = EVENT_SERVICE_CREATE};
    struct deployment_config config = {.minimum_healthy_percent = 100, .maximum_percent = 200};

    story_delete(st);
    story_drained(st, 1);
    CHECK_EQ(story_service(st)->status, SERVICE_INACTIVE);
    ev.service_create = (struct ev_service_create){.cluster_arn = st->cluster,
                                                   .name = "web",
                                                   .created_by = "",
                                                   .client_token = "",
                                                   .desired_count = 1,
                                                   .task_definition_arn = st->definitions[0],
                                                   .config = &config};
    strbuf_clear(&st->trace);
    story_tell(st, &ev, "create");
    CHECK_TRACE(st, "0 create | start t2\n");
    CHECK_EQ(core_counts(st->core, story_service(st), NULL).desired_running, 1);
    story_restart(st); /* the old one is still ended */
    CHECK_TRACE(st, "0 restart | stop t1 start t2\n");
    story_stopped(st, 1, 143);
    CHECK_TRACE(st, "0 stopped t1 | forget t1\n");
}

/* Rows of the version before do not say which deployment serves: it is the newest complete one, and where
 * traffic is moved everything depends on it. */
TEST(a_row_that_does_not_say_who_serves_is_read)
{
    struct story_options o = one;
    cleanup_story struct story *st = NULL;
    char served[ID_SIZE];

    o.strategy = (struct strategy_config){.strategy = STRATEGY_BLUE_GREEN};
    st = story_new(&o);
    story_run_and_heal(st, 1, 1);
    story_in_force(st);
    CHECK_EQ(service_current(story_service(st))->status, SD_SUCCESSFUL);
    text_copy(served, ID_SIZE, str_of(story_service(st)->live_id));
    CHECK_TEXT(served, service_primary(story_service(st))->id);
    for (int i = 0; i < st->row_count; i++) {
        cleanup_json struct json *row = story_json(st->rows[i].text);
        if (st->rows[i].kind != ROW_SERVICE)
            continue;
        json_delete(row, "live_id");
        free(st->rows[i].text);
        st->rows[i].text = json_format(row);
    }
    story_restart(st);
    CHECK_TEXT(story_service(st)->live_id, "");
    story_update(st, 2);
    CHECK_TEXT(story_service(st)->live_id, served);
    CHECK_TEXT(story_service(st)->course.base_id, served);
    CHECK(task_is_wanted(story_task(st, 1)));
}
