/* SPDX-License-Identifier: MIT */
/* GPUs: who is given which, who waits for one, and what an agent that changes its mind does
 * (ecs.md 3.2, 7.7). */
#include "core/index.h"
#include "story.h"

#define GPUS(n) "\"resourceRequirements\":[{\"type\":\"GPU\",\"value\":\"" #n "\"}],"
#define CONTAINER(name, members) "{\"name\":\"" name "\",\"image\":\"i\"," members "\"memory\":1}"
#define DEFINITION(containers) \
    "{\"compatibilities\":[\"EC2\"],\"containerDefinitions\":[" containers "]}"

static const struct story_host one_host[] = {{"h", NULL, NULL, 100, 1000}, {0}};

/* A service of one host, which has three GPUs. */
static struct story *
three_gpus(int desired_count, int minimum_healthy_percent)
{
    struct story *st = story_new(&(struct story_options){
        desired_count, minimum_healthy_percent, 200, .hosts = one_host, .gpus = 1});

    story_gpus(st, "h", "g1 g2 g3");
    return st;
}

static const struct container_instance *
host_of(const struct story *st, int task)
{
    return core_instance(st->core, story_task(st, task)->instance_arn);
}

static void
check_gpus(const char *file, int line, const struct story *st, int task, const char *want)
{
    const struct json *gpus = story_task(st, task)->gpus;
    cleanup_free char *text = gpus == NULL ? text_dup("none") : json_format(gpus);

    if (strcmp(text, want) != 0)
        check_fail(file, line, "t%d has %s, not %s", task, text, want);
}
#define CHECK_GPUS(st, task, want) check_gpus(__FILE__, __LINE__, st, task, want)

/* RunTask of a definition, 1..; the reason if it found no place. */
static const char *
run(struct story *st, int definition, const char *overrides_text)
{
    cleanup_json struct json *overrides =
        overrides_text == NULL ? NULL : story_json(overrides_text);
    const struct event ev = {.type = EVENT_TASK_RUN,
                             .task_run = {.cluster_arn = st->core->clusters->arn,
                                          .task_definition_arn = st->definitions[definition - 1],
                                          .count = 1,
                                          .launch_type = LAUNCH_EC2,
                                          .overrides = overrides}};

    story_tell(st, &ev, "run");
    return st->core->run_failure == NULL ? "" : st->core->run_failure;
}

TEST(tasks_are_given_the_first_free_gpus_and_the_next_one_waits)
{
    cleanup_story struct story *st = three_gpus(4, 100);

    CHECK_TRACE(st, "0 create | -\n"
                    "0 h connects | start t1@h start t2@h start t3@h\n");
    CHECK_GPUS(st, 1, "{\"app\":[\"g1\"]}");
    CHECK_GPUS(st, 3, "{\"app\":[\"g3\"]}");
    CHECK(story_has_event(st, "has insufficient GPU resource available."));
    story_at(st, 1000);
    story_stop_task(st, 2); /* it holds its GPU until it is gone */
    CHECK_TRACE(st, "1000 stop-task t2 | stop t2\n");
    story_stopped(st, 2, 0);
    CHECK_TRACE(st, "1000 stopped t2 | forget t2 start t4@h\n");
    CHECK_GPUS(st, 4, "{\"app\":[\"g2\"]}");
    CHECK_GPUS(st, 2, "{\"app\":[\"g2\"]}"); /* what it had is still shown */
}

TEST(only_a_host_with_enough_gpus_takes_a_task)
{
    cleanup_story struct story *st = story_new(
        &(struct story_options){2, 100, 200, .hosts = one_host, .gpus = 2});

    story_gpus(st, "one", "a1");
    story_gpus(st, "two", "b1 b2");
    CHECK_TRACE(st, "0 create | -\n"
                    "0 one connects | -\n"
                    "0 two connects | start t1@two\n");
    CHECK_GPUS(st, 1, "{\"app\":[\"b1\",\"b2\"]}");
    CHECK_TEXT(run(st, 1, NULL), "RESOURCE:GPU");
    story_define(st, DEFINITION(CONTAINER("app", "")));
    CHECK_TEXT(run(st, st->definition_count, NULL), ""); /* who asks for none needs none */
    CHECK_GPUS(st, 2, "none");
}

TEST(each_container_has_its_own_gpus)
{
    cleanup_story struct story *st = three_gpus(0, 100);

    story_define(st, DEFINITION(CONTAINER("a", GPUS(1)) "," CONTAINER("b", "") ","
                                CONTAINER("c", GPUS(2))));
    CHECK_TEXT(run(st, st->definition_count, NULL), "");
    CHECK_GPUS(st, 1, "{\"a\":[\"g1\"],\"c\":[\"g2\",\"g3\"]}");
    CHECK_TEXT(run(st, st->definition_count, NULL), "RESOURCE:GPU");
}

TEST(an_override_replaces_what_its_container_asks_for)
{
    cleanup_story struct story *st = three_gpus(0, 100);

    story_define(st, DEFINITION(CONTAINER("a", GPUS(1)) "," CONTAINER("b", GPUS(2))));
    CHECK_TEXT(run(st, st->definition_count,
                   "{\"containerOverrides\":[{\"name\":\"b\"," GPUS(1) "\"cpu\":1}]}"), "");
    CHECK_GPUS(st, 1, "{\"a\":[\"g1\"],\"b\":[\"g2\"]}");
    CHECK_TEXT(run(st, st->definition_count,
                   "{\"containerOverrides\":[{\"name\":\"b\"," GPUS(1) "\"cpu\":1}]}"),
               "RESOURCE:GPU");
}

TEST(a_restart_leaves_every_task_its_gpus)
{
    cleanup_story struct story *st = three_gpus(2, 100);

    story_run_and_heal(st, 1, 2);
    story_stop_task(st, 1);
    story_stopped(st, 1, 0); /* it was replaced at once */
    CHECK_GPUS(st, 3, "{\"app\":[\"g3\"]}");
    story_restart(st);
    CHECK_GPUS(st, 2, "{\"app\":[\"g2\"]}");
    CHECK_GPUS(st, 3, "{\"app\":[\"g3\"]}");
    CHECK_EQ(host_of(st, 2)->machine->gpus_taken, 6);
    CHECK_TEXT(run(st, 1, NULL), "");
    CHECK_GPUS(st, 4, "{\"app\":[\"g1\"]}");
    CHECK_TEXT(run(st, 1, NULL), "RESOURCE:GPU");
}

TEST(a_gpu_that_goes_and_comes_back_is_still_its_tasks)
{
    cleanup_story struct story *st = three_gpus(2, 0);

    story_gpus(st, "h", "g3 g2"); /* and other places */
    CHECK_TEXT(run(st, 1, NULL), "");
    CHECK_GPUS(st, 3, "{\"app\":[\"g3\"]}"); /* g2 is taken, g1 is not there */
    CHECK_TEXT(run(st, 1, NULL), "RESOURCE:GPU");
    story_gpus(st, "h", "g1 g2 g3");
    CHECK_TEXT(run(st, 1, NULL), "RESOURCE:GPU"); /* g1 is t1's */
    story_gpus(st, "h", "g2");
    story_stop_task(st, 1);
    story_stopped(st, 1, 0); /* gives back what is not there */
    story_gpus(st, "h", "g3 g2 g1 g4");
    CHECK_GPUS(st, 4, "{\"app\":[\"g1\"]}");
    CHECK_TEXT(run(st, 1, NULL), "");
    CHECK_GPUS(st, 5, "{\"app\":[\"g4\"]}");
}

TEST(all_clusters_of_a_machine_share_its_gpus)
{
    cleanup_story struct story *st = three_gpus(2, 100);
    struct event ev = {.type = EVENT_CLUSTER_CREATE};

    ev.cluster_create.region = st->core->clusters->region;
    ev.cluster_create.name = "other";
    story_tell(st, &ev, "cluster");
    ev = (struct event){.type = EVENT_TASK_RUN};
    ev.task_run.cluster_arn = st->core->clusters->next->arn;
    ev.task_run.task_definition_arn = st->definitions[0];
    ev.task_run.count = 2;
    ev.task_run.launch_type = LAUNCH_EC2;
    story_tell(st, &ev, "run");
    CHECK_EQ(st->core->created_count, 1);
    CHECK_TEXT(st->core->run_failure, "RESOURCE:GPU");
    CHECK_GPUS(st, 3, "{\"app\":[\"g3\"]}");
    story_gpus(st, "h", "g3 g1 g2");
    CHECK_EQ(host_of(st, 3)->machine->gpus_taken, 7);
}

TEST(the_rollout_of_a_service_that_has_all_gpus_waits_for_an_old_task)
{
    cleanup_story struct story *st = three_gpus(3, 50);

    story_at(st, 1000);
    for (int t = 1; t <= 3; t++)
        story_running(st, t);
    story_at(st, 60000);
    story_clock(st);
    story_update(st, 2);
    CHECK(story_has_event(st, "has insufficient GPU resource available."));
    strbuf_clear(&st->trace);
    story_at(st, 61000);
    story_stopped(st, 1, 0);
    CHECK_GPUS(st, 4, "{\"app\":[\"g1\"]}");
}
