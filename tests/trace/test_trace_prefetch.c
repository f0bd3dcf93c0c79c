/* SPDX-License-Identifier: MIT */
/* test_trace_prefetch.c - an image is pushed, and machines that will want it are told (core/prefetch.h). */
#include "story.h"

#define DIGEST "sha256:1111111111111111111111111111111111111111111111111111111111111111"

static const struct story_host hosts[] = {{"h1", NULL, NULL, 40, 64}, {"h2", NULL, NULL, 40, 64}, {"h3", NULL, NULL, 40, 64},
                                          {NULL, NULL, NULL, 0, 0}};
static const struct story_options wide = {STORY_USUAL, .hosts = hosts};

static void
push(struct story *st, const char *name, const char *tag)
{
    const struct event ev = {.type = EVENT_IMAGE_PUSHED,
                             .image_pushed = {.name = name, .home = {"000000000000", "eu-west-1", 4566}, .tag = tag,
                                              .digest = DIGEST, .config_digest = ""}};

    story_tell(st, &ev, tag);
}

static void
define(struct story *st, const char *image)
{
    cleanup_free char *doc =
        text_format("{\"networkMode\":\"bridge\",\"compatibilities\":[\"EC2\"],\"containerDefinitions\":"
                    "[{\"name\":\"log\",\"image\":\"logger\",\"cpu\":1,\"memory\":8,\"essential\":false},"
                    "{\"name\":\"app\",\"image\":\"%s\",\"cpu\":10,\"memory\":16,\"essential\":true}]}",
                    image);
    story_define(st, doc);
    strbuf_clear(&st->trace);
}

TEST(what_the_newest_deployment_names_is_fetched_where_it_runs)
{
    cleanup_story struct story *st = story_new_running(&wide, 2);

    strbuf_clear(&st->trace);
    push(st, "my-app", "latest");
    push(st, "my-app", "v2");      /* another tag */
    push(st, "my-app-too", "latest");
    push(st, "my", "latest");      /* names are not compared by their beginnings */
    push(st, "my-app", "");        /* by digest, which no definition names */
    CHECK_TRACE(st, "0 latest | prefetch my-app:latest@h2 prefetch my-app:latest@h1\n"
                    "0 v2 | -\n"
                    "0 latest | -\n"
                    "0 latest | -\n"
                    "0  | -\n");
}

TEST(so_is_what_the_newest_revision_of_its_family_names)
{
    cleanup_story struct story *st = story_new_running(&wide, 1);

    define(st, "localhost:4566/my-app:v2");
    push(st, "localhost:4566/my-app", "v2");
    CHECK_TRACE(st, "0 v2 | prefetch localhost:4566/my-app:v2@h1\n");
    define(st, "123456789012.dkr.ecr.eu-west-1.amazonaws.com/my-app:v2"); /* whatever account */
    push(st, "localhost:4566/my-app", "v2");
    CHECK_TRACE(st, "0 v2 | prefetch 123456789012.dkr.ecr.eu-west-1.amazonaws.com/my-app:v2@h1\n");
    define(st, "123456789012.dkr.ecr.us-east-1.amazonaws.com/my-app:v2");
    push(st, "localhost:4566/my-app", "v2");
    push(st, "localhost:4566/000000000000.dkr.ecr.us-east-1.amazonaws.com/my-app", "v2");
    CHECK_TRACE(st, "0 v2 | -\n"
                    "0 v2 | prefetch 123456789012.dkr.ecr.us-east-1.amazonaws.com/my-app:v2@h1\n");
    define(st, "my-app@" DIGEST);
    push(st, "my-app", "v2"); /* of the revision before the newest: nobody deploys that next, but for its digest */
    push(st, "my-app", "v1");
    push(st, "logger", "v9");
    push(st, "logger", "latest"); /* any container's */
    CHECK_TRACE(st, "0 v2 | prefetch my-app@" DIGEST "@h1\n"
                    "0 v1 | prefetch my-app@" DIGEST "@h1\n"
                    "0 v9 | -\n"
                    "0 latest | prefetch logger@h1\n");
}

TEST(a_service_without_tasks_wants_it_on_as_many_machines_as_it_wants_tasks)
{
    const struct story_options o = {STORY_USUAL, .hosts = hosts, .desired_count = 2, .keeps_unresolved = true};
    cleanup_story struct story *st = story_new(&o); /* nothing runs before its tag is a digest */

    strbuf_clear(&st->trace);
    story_status(st, "h1", INSTANCE_DRAINING);
    strbuf_clear(&st->trace);
    push(st, "my-app", "latest");
    story_desired(st, 0);
    push(st, "my-app", "latest");
    CHECK_TRACE(st, "0 latest | prefetch my-app:latest@h2 prefetch my-app:latest@h3\n"
                    "0 desired 0 | -\n"
                    "0 latest | -\n");
}

TEST(a_machine_that_takes_no_tasks_is_not_told)
{
    cleanup_story struct story *st = story_new_running(&wide, 3);

    story_machine(st, &hosts[0], /* is_connected= */ false);
    story_status(st, "h2", INSTANCE_DRAINING);
    strbuf_clear(&st->trace);
    push(st, "my-app", "latest");
    CHECK_TRACE(st, "0 latest | prefetch my-app:latest@h3\n");
}

TEST(a_service_that_goes_wants_nothing)
{
    cleanup_story struct story *st = story_new_running(&wide, 1);

    story_delete(st);
    strbuf_clear(&st->trace);
    push(st, "my-app", "latest");
    CHECK_TRACE(st, "0 latest | -\n");
}
