/* SPDX-License-Identifier: MIT */
/* test_history.h - what the `junit` steps of a build found, and what became of its tests since earlier
 * builds of the branch.  <build>/tests.json has it, by step, so that a step that is done again counts
 * once.  A status is P (passed), F (failed), S (skipped) or K: passed, but only when it was tried
 * again.
 *   newly failing   failed, and did not in the build before that had it
 *   fixed           passed, and failed there
 *   flaky           K, or failed in one build of a commit and passed in another one
 * Limits: TESTS_MAX tests of a build, TEST_BUILDS_MAX builds looked back, TEST_NAMES_MAX names of a
 * list; counts are of all that are kept, and "notKept" of a build's tests says how many are not. */
#pragma once
#include "base/json.h"
#include "pipeline/room.h"

#define TESTS_MAX 100000u
#define TEST_BUILDS_MAX 20u
#define TEST_NAMES_MAX 200u

/* As runner_host.tests; called without the lock. */
struct json *room_tests(struct pipeline_room *room, struct build *b, const char *step,
                        const struct json *cases, int64_t total);
/* For the API (<build>/tests-report.json once the build is over): the counts, the names, and of each name that
 * is in a list how it went before. */
struct json *room_test_report(struct pipeline_room *room, const char *pipeline, int64_t number,
                              struct err *err) MUST_CHECK;
