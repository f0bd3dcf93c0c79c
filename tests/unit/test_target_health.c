/* SPDX-License-Identifier: MIT */
#include "check.h"
#include "core/target_health.h"

static const struct health_check check = {
    .interval_s = 5, .timeout_s = 2, .healthy_threshold = 3, .unhealthy_threshold = 2};

TEST(one_success_makes_a_new_target_healthy)
{
    struct target_health h;

    target_health_init(&h);
    CHECK_EQ(h.state, TARGET_initial);
    CHECK_TEXT(h.reason, "Elb.RegistrationInProgress");
    CHECK(target_health_checked(&h, &check, CHECK_OK, 200));
    CHECK_EQ(h.state, TARGET_healthy);
    CHECK_TEXT(h.reason, "");
    CHECK_TEXT(h.description, "");
    CHECK(!target_health_checked(&h, &check, CHECK_OK, 200));
}

TEST(the_way_back_needs_the_thresholds)
{
    struct target_health h;

    target_health_init(&h);
    target_health_checked(&h, &check, CHECK_OK, 200);
    CHECK(!target_health_checked(&h, &check, CHECK_BAD_CODE, 503));
    CHECK_EQ(h.state, TARGET_healthy);
    CHECK(target_health_checked(&h, &check, CHECK_BAD_CODE, 503));
    CHECK_EQ(h.state, TARGET_unhealthy);
    CHECK_TEXT(h.reason, "Target.ResponseCodeMismatch");
    CHECK_TEXT(h.description, "Health checks failed with these codes: [503]");
    CHECK(target_health_checked(&h, &check, CHECK_TIMED_OUT, 0));
    CHECK_TEXT(h.reason, "Target.Timeout");
    CHECK_TEXT(h.description, "Request timed out");
    CHECK(!target_health_checked(&h, &check, CHECK_OK, 200));
    CHECK(!target_health_checked(&h, &check, CHECK_OK, 200));
    CHECK_EQ(h.state, TARGET_unhealthy);
    CHECK(target_health_checked(&h, &check, CHECK_OK, 200));
    CHECK_EQ(h.state, TARGET_healthy);
}

TEST(who_does_not_listen_yet_has_the_whole_interval_times_the_threshold)
{
    struct target_health h;
    int64_t waited_ms = 0;

    target_health_init(&h);
    while (h.state == TARGET_initial && waited_ms < 60000) {
        target_health_checked(&h, &check, CHECK_FAILED, 0);
        waited_ms += target_health_next_ms(&h, &check);
        if (h.state == TARGET_initial)
            CHECK_TEXT(h.reason, "Elb.InitialHealthChecking");
    }
    CHECK_EQ(h.state, TARGET_unhealthy);
    CHECK_TEXT(h.reason, "Target.FailedHealthChecks");
    CHECK(waited_ms >= 10000);
}

TEST(probes_are_fast_until_the_first_answer)
{
    struct target_health h;

    target_health_init(&h);
    CHECK_EQ(target_health_next_ms(&h, &check), 250);
    target_health_checked(&h, &check, CHECK_FAILED, 0);
    CHECK_EQ(target_health_next_ms(&h, &check), 250);
    target_health_checked(&h, &check, CHECK_BAD_CODE, 500); /* it is there, and it is not well */
    CHECK_EQ(target_health_next_ms(&h, &check), 5000);
    CHECK_EQ(h.state, TARGET_initial);
    target_health_checked(&h, &check, CHECK_BAD_CODE, 500);
    CHECK_EQ(h.state, TARGET_unhealthy);
}

TEST(only_failures_in_a_row_count)
{
    struct target_health h;

    target_health_init(&h);
    target_health_checked(&h, &check, CHECK_OK, 200);
    for (int i = 0; i < 5; i++) {
        target_health_checked(&h, &check, CHECK_BAD_CODE, 500);
        CHECK_EQ(h.state, TARGET_healthy);
        target_health_checked(&h, &check, CHECK_OK, 200);
    }
    for (int i = 0; i < check.unhealthy_threshold; i++)
        target_health_checked(&h, &check, CHECK_TIMED_OUT, 0);
    CHECK_EQ(h.state, TARGET_unhealthy);
    CHECK_TEXT(h.reason, "Target.Timeout");
    CHECK(target_health_checked(&h, &check, CHECK_BAD_CODE, 500));
    CHECK(!target_health_checked(&h, &check, CHECK_BAD_CODE, 500)); /* nothing new */
    CHECK(target_health_checked(&h, &check, CHECK_BAD_CODE, 503));
    CHECK_TEXT(h.description, "Health checks failed with these codes: [503]");
}

TEST(matchers_take_codes_lists_and_ranges)
{
    CHECK(matcher_accepts("HTTP1", "200", 200));
    CHECK(!matcher_accepts("HTTP1", "200", 201));
    CHECK(matcher_accepts("HTTP1", "200-299", 204));
    CHECK(matcher_accepts("HTTP1", "200,301-302", 302));
    CHECK(!matcher_accepts("HTTP1", "200,301-302", 300));
    CHECK(matcher_is_valid("HTTP1", "200") && matcher_is_valid("HTTP1", "200-299,302") && matcher_is_valid("HTTP1", "499"));
    CHECK(!matcher_is_valid("HTTP1", "") && !matcher_is_valid("HTTP1", "abc") && !matcher_is_valid("HTTP1", "200-"));
    CHECK(!matcher_is_valid("HTTP1", "299-200") && !matcher_is_valid("HTTP1", "500") && !matcher_is_valid("HTTP1", "100"));
    CHECK(!matcher_is_valid("HTTP1", "200,,201") && !matcher_is_valid("HTTP1", "2000") && !matcher_is_valid("HTTP1", "-200"));
    CHECK(!matcher_is_valid("HTTP1", "2x0") && !matcher_is_valid("HTTP1", "200-2x0") && !matcher_is_valid("HTTP1", "200-2999"));
    CHECK(!matcher_is_valid("HTTP1", "099-200") && !matcher_is_valid("HTTP1", "200-600") && !matcher_is_valid("HTTP1", "150"));
    CHECK(!matcher_accepts("HTTP1", "2x0,404", 200) && !matcher_accepts("HTTP1", "300-399", 200));
}

TEST(matchers_of_grpc_take_its_codes)
{
    CHECK(matcher_accepts("GRPC", "12", 12) && !matcher_accepts("GRPC", "12", 1));
    CHECK(matcher_accepts("GRPC", "0,2-5", 0) && matcher_accepts("GRPC", "0,2-5", 5));
    CHECK(!matcher_accepts("GRPC", "0,2-5", 1));
    CHECK(matcher_is_valid("GRPC", "0") && matcher_is_valid("GRPC", "99") && matcher_is_valid("GRPC", "0-99,12"));
    CHECK(!matcher_is_valid("GRPC", "100") && !matcher_is_valid("GRPC", "200") && !matcher_is_valid("GRPC", ""));
    CHECK(!matcher_is_valid("GRPC", "-1") && !matcher_is_valid("GRPC", "5-1") && !matcher_is_valid("GRPC", "1,") &&
          !matcher_is_valid("GRPC", "+1"));
    CHECK(!matcher_is_valid("HTTP2", "12"));
}

TEST(a_check_that_could_not_be_made_says_nothing_about_the_target)
{
    struct target_health h;

    target_health_init(&h);
    CHECK(target_health_checked(&h, &check, CHECK_NOT_MADE, 0));
    CHECK(h.state == TARGET_initial);
    CHECK_TEXT(h.reason, "Elb.InternalError");
    CHECK(target_health_checked(&h, &check, CHECK_OK, 200) && h.state == TARGET_healthy);
    for (int i = 0; i < 5; i++)
        CHECK(!target_health_checked(&h, &check, CHECK_NOT_MADE, 0));
    CHECK(h.state == TARGET_healthy);
    CHECK(!target_health_checked(&h, &check, CHECK_TIMED_OUT, 0));
    CHECK(!target_health_checked(&h, &check, CHECK_NOT_MADE, 0)); /* nor does it break a row */
    CHECK(target_health_checked(&h, &check, CHECK_TIMED_OUT, 0) && h.state == TARGET_unhealthy);
}

TEST(a_group_with_too_few_healthy_targets_fails_open)
{
    CHECK(target_group_fails_open(0, 3, 1, 0));
    CHECK(target_group_fails_open(0, 0, 1, 0));
    CHECK(!target_group_fails_open(1, 3, 1, 0));
    CHECK(target_group_fails_open(1, 3, 2, 0));
    CHECK(target_group_fails_open(2, 0, 3, 0)); /* also where there are no more */
    CHECK(!target_group_fails_open(1, 1, 1, 50));
    CHECK(target_group_fails_open(1, 2, 1, 50));
    CHECK(target_group_fails_open(999, 1, 1, 100));
}

TEST(a_group_that_fails_open_serves_by_all_that_answered_once)
{
    CHECK(target_in_rotation(TARGET_healthy, false));
    CHECK(!target_in_rotation(TARGET_unhealthy, false));
    CHECK(target_in_rotation(TARGET_unhealthy, true));
    CHECK(!target_in_rotation(TARGET_initial, true));
    CHECK(!target_in_rotation(TARGET_draining, true));
    CHECK(!target_in_rotation(TARGET_unused, true));
    CHECK(target_in_rotation(TARGET_unavailable, true)); /* checks are off: served unchecked */
}
