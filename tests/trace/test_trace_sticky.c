/* SPDX-License-Identifier: MIT */
/* Listeners that keep clients with their group, whose weights a deployment moves. */
#include "blue_green.h"

/* Somebody changes the default action, as ModifyListener does. */
static void
keep_clients(struct story *st, int seconds)
{
    cleanup_json struct json *row = listener_encode(core_listener(st->core, st->production));
    struct event ev = {.type = EVENT_LISTENER_PUT};
    struct json *sticky = json_object(), *actions = json_copy(json_get(row, "actions"));
    struct err err;

    json_set(sticky, "Enabled", json_bool(true));
    json_set(sticky, "DurationSeconds", json_int(seconds));
    json_set(json_get(json_at(actions, 0), "ForwardConfig"), "TargetGroupStickinessConfig", sticky);
    json_set(row, "actions", actions);
    ev.listener_put.listener = listener_decode(row, &err);
    CHECK(ev.listener_put.listener != NULL);
    story_tell(st, &ev, "listener");
}

static void
check_kept(struct story *st, int seconds)
{
    const struct listener *l = core_listener(st->core, st->production);
    const struct json *config = json_get(json_get(json_at(l->actions, 0), "ForwardConfig"),
                                         "TargetGroupStickinessConfig");

    CHECK(json_get_bool(config, "Enabled", false));
    CHECK_EQ(json_get_i64(config, "DurationSeconds", 0), seconds);
}

TEST(weights_that_move_leave_the_stickiness_of_the_listener)
{
    cleanup_story struct story *st = blue_running(&blue_green);

    keep_clients(st, 60);
    strbuf_clear(&st->trace);
    story_update(st, 2);
    story_run_and_heal(st, 3, 4);
    CHECK_EQ(story_stage(st), STAGE_PRODUCTION_TRAFFIC_SHIFT);
    check_kept(st, 60);
    story_in_force(st);
    story_at(st, MINUTES(5));
    story_clock(st);
    CHECK_EQ(story_stage(st), STAGE_CLEAN_UP);
    check_kept(st, 60);
}

TEST(traffic_that_goes_back_leaves_it_too)
{
    cleanup_story struct story *st = green_baking(&blue_green);

    keep_clients(st, 604800);
    story_stop_deployment(st, true);
    CHECK_EQ(story_stage(st), STAGE_PRODUCTION_TRAFFIC_SHIFT);
    check_kept(st, 604800);
}
