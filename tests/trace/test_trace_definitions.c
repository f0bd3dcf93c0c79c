/* SPDX-License-Identifier: MIT */
#include "story.h"

static const struct story_options two = {.desired_count = 2, STORY_USUAL};

static void
delete_definition(struct story *st, int definition)
{
    struct event ev = {.type = EVENT_TASK_DEFINITION_DEREGISTER};

    ev.task_definition_deregister.arn = st->definitions[definition - 1];
    story_tell(st, &ev, "deregister definition");
    ev = (struct event){.type = EVENT_TASK_DEFINITION_DELETE};
    ev.task_definition_delete.arn = st->definitions[definition - 1];
    story_tell(st, &ev, "delete definition");
}

/* Does it still exist a while later? */
static bool
lasts(struct story *st, int definition)
{
    const struct task_definition *td;

    story_at(st, st->now_ms - st->start_ms + 11000);
    story_clock(st);
    td = core_task_definition(st->core, "eu-west-1", str_of(st->definitions[definition - 1]));
    CHECK(td == NULL || td->status == TASK_DEFINITION_DELETE_IN_PROGRESS);
    return td != NULL;
}

static void
run_update(struct story *st, int definition, int first_new, int last_new)
{
    story_update(st, definition);
    story_run_and_heal(st, first_new, last_new);
    for (int i = first_new - 2; i < first_new; i++) {
        story_drained(st, i);
        story_stopped(st, i, 0);
    }
    CHECK_EQ(service_primary(story_service(st))->rollout_state, ROLLOUT_COMPLETED);
}

TEST(a_definition_that_nobody_uses_goes_after_a_moment)
{
    cleanup_story struct story *st = story_new(&two);

    delete_definition(st, 4);
    CHECK(core_task_definition(st->core, "eu-west-1", str_of(st->definitions[3])) != NULL);
    CHECK_EQ(core_deadline_ms(st->core), st->now_ms + 1000);
    CHECK(!lasts(st, 4));
}

TEST(a_definition_stays_while_a_deployment_has_it)
{
    cleanup_story struct story *st = story_new(&two);

    story_run_and_heal(st, 1, 2);
    delete_definition(st, 1);
    CHECK(lasts(st, 1));
    story_stopped(st, 1, 1); /* and what it lost is started from it */
    story_run_and_heal(st, 3, 3);
    CHECK_TEXT(story_task(st, 3)->task_definition_arn, st->definitions[0]);
    CHECK(lasts(st, 1));
}

TEST(a_definition_stays_while_a_rollback_would_return_to_it)
{
    cleanup_story struct story *st = story_new(&two);

    story_run_and_heal(st, 1, 2);
    run_update(st, 2, 3, 4);
    delete_definition(st, 1);
    CHECK(lasts(st, 1));
    strbuf_clear(&st->trace);
    story_rollback(st); /* it can still be done */
    CHECK(strstr(strbuf_cstr(&st->trace), "rollback | start t5 start t6\n") != NULL);
    story_run_and_heal(st, 5, 6);
    for (int i = 3; i <= 4; i++) {
        story_drained(st, i);
        story_stopped(st, i, 0);
    }
    CHECK(lasts(st, 1));
    run_update(st, 2, 7, 8);
    run_update(st, 3, 9, 10); /* now a rollback would go to 2 */
    CHECK(!lasts(st, 1));
    CHECK_TEXT(core_rollback_target(st->core, story_service(st))->revision->task_definition_arn,
               st->definitions[1]);
    CHECK(story_task(st, 5)->definition == NULL); /* over, and still told about */
}

TEST(a_rollback_does_not_return_to_what_is_gone)
{
    cleanup_story struct story *st = story_new(&two);

    story_run_and_heal(st, 1, 2);
    run_update(st, 2, 3, 4);
    run_update(st, 3, 5, 6);
    delete_definition(st, 1); /* of no use: the way back leads to 2 */
    CHECK(!lasts(st, 1));
    story_rollback(st);
    story_run_and_heal(st, 7, 8);
    for (int i = 5; i <= 6; i++) {
        story_drained(st, i);
        story_stopped(st, i, 0);
    }
    CHECK_EQ(service_primary(story_service(st))->rollout_state, ROLLOUT_COMPLETED);
    CHECK(core_rollback_target(st->core, story_service(st)) == NULL);
}

TEST(a_definition_stays_while_a_task_runs_from_it)
{
    cleanup_story struct story *st = story_new(&two);
    struct event ev = {.type = EVENT_TASK_RUN};

    ev.task_run.cluster_arn = st->cluster;
    ev.task_run.task_definition_arn = st->definitions[3];
    ev.task_run.count = 1;
    story_tell(st, &ev, "run-task");
    delete_definition(st, 4);
    CHECK(lasts(st, 4));
    story_running(st, 3);
    CHECK(lasts(st, 4));
    story_stopped(st, 3, 0);
    CHECK(!lasts(st, 4));
    CHECK(story_task(st, 3)->definition == NULL);
    CHECK_EQ(story_task(st, 3)->last_status, TASK_STOPPED);
}

TEST(a_deletion_goes_on_after_a_restart)
{
    cleanup_story struct story *st = story_new(&two);
    struct event ev = {.type = EVENT_SERVICE_DELETE};

    story_run_and_heal(st, 1, 2);
    delete_definition(st, 1);
    delete_definition(st, 4);
    story_restart(st);
    CHECK(!lasts(st, 4));
    CHECK(lasts(st, 1));
    ev.service_delete.service_arn = st->service;
    story_tell(st, &ev, "delete");
    for (int i = 1; i <= 2; i++) {
        story_drained(st, i);
        CHECK(lasts(st, 1)); /* it stops, and its stopTimeout is in the definition */
        story_stopped(st, i, 0);
    }
    CHECK(!lasts(st, 1));
    story_restart(st); /* its tasks are over and name what is gone */
    CHECK(story_task(st, 1)->definition == NULL);
}

TEST(digests_of_a_deleted_definition_come_too_late)
{
    struct story_options o = two;
    cleanup_story struct story *st = NULL;
    char arn[ARN_SIZE];
    char digests[1][DIGEST_SIZE] = {"sha256:0"};
    struct event ev = {.type = EVENT_IMAGE_RESOLVED};

    o.keeps_unresolved = true;
    st = story_new(&o);
    text_copy(arn, sizeof(arn), str_of(service_primary(story_service(st))->revision->arn));
    story_update(st, 2); /* nothing ran of 1, so nothing can return to it */
    story_resolved(st, "sha256:1", NULL);
    story_run_and_heal(st, 1, 2);
    CHECK_EQ(service_primary(story_service(st))->rollout_state, ROLLOUT_COMPLETED);
    delete_definition(st, 1);
    CHECK(!lasts(st, 1));
    ev.image_resolved.service_arn = st->service;
    ev.image_resolved.revision_arn = arn;
    ev.image_resolved.digests = (const char(*)[DIGEST_SIZE])digests;
    ev.image_resolved.digest_count = 1;
    story_tell(st, &ev, "late");
    CHECK(!service_find_revision(story_service(st), arn)->is_resolved);
}
