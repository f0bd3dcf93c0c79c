/* SPDX-License-Identifier: MIT */
/* Alarms that a deployment watches. */
#include "blue_green.h"

TEST(an_alarm_in_the_bake_time_leads_back)
{
    struct story_options o = blue_green;
    cleanup_story struct story *st = NULL;
    const struct service_deployment *sd;

    o.watches_alarms = true;
    st = green_baking(&o);
    story_alarm(st, "other", true); /* nobody named it */
    story_alarm(st, "worse", true);
    CHECK_TRACE(st, "0 alarm | -\n"
                    "0 alarm | production 100/0\n");
    story_in_force(st);
    story_drained(st, 3);
    story_drained(st, 4);
    check_rolled_back(st);
    sd = service_current(story_service(st));
    CHECK_EQ(sd->alarm_status, BREAKER_TRIGGERED);
    CHECK_TEXT(sd->triggered_alarm, "worse");
    CHECK(story_has_event(st, "deployment failed: alarm detected."));
}

TEST(an_alarm_that_rings_already_does_not_hold_up_the_fix)
{
    struct story_options o = blue_green;
    cleanup_story struct story *st = NULL;

    o.watches_alarms = true;
    st = blue_running(&o);
    story_alarm(st, "bad", true);
    story_update(st, 2);
    story_restart(st);
    story_alarm(st, "bad", false);
    story_alarm(st, "worse", true); /* the whole set is ignored for this one */
    story_run_and_heal(st, 3, 4);
    CHECK_EQ(story_stage(st), STAGE_PRODUCTION_TRAFFIC_SHIFT);
    CHECK_EQ(service_current(story_service(st))->alarm_status, BREAKER_DISABLED);
}
