/* SPDX-License-Identifier: MIT */
/* The agent against a Docker Engine that refuses, hangs, lies and dies: no exit code is lost, no task is
 * declared dead because Docker is away, and what was done once is not done twice. */
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include "base/clock.h"
#include "base/random.h"
#include "check.h"
#include "docker_world.h"
#include "fake_docker.h"

#define T1 "11111111111111111111111111111111"
#define T2 "22222222222222222222222222222222"
#define PLAIN "{'containerDefinitions':[{'name':'app','image':'local:1','memory':64}]}"
#define CHECKED "{'containerDefinitions':[{'name':'app','image':'local:1','memory':64,'healthCheck':{'command':['CMD','true']}}]}"

static struct fake_docker *fake;
static struct world *w;

static void
begin(bool listens)
{
    char path[64], hex[9];

    random_hex(hex, 8);
    (void)snprintf(path, sizeof(path), "/tmp/naru-fake-%s.sock", hex);
    fake = fake_docker_new(path);
    if (listens)
        fake_docker_listen(fake);
    w = world_open(path);
    world_start_agent(w);
    if (listens)
        world_wait_connected(w, true, 10);
}

/* Whether the disk has room, as the test says. */
static atomic_bool has_room, has_looked;

static bool
fake_disk_has_room(const char *root)
{
    CHECK_TEXT(root, "/fake/root");
    atomic_store(&has_looked, true);
    return atomic_load(&has_room);
}

static void
end(void)
{
    world_stop_agent(w);
    world_close(TAKE(w));
    fake_docker_free(TAKE(fake));
}

static void
wait_for_calls(const char *part, int count)
{
    for (int i = 0; fake_docker_count(fake, part) < count && i < 500 * CHECK_PATIENCE; i++)
        clock_sleep_ms(10);
    CHECK_EQ(fake_docker_count(fake, part), count);
}

TEST(a_docker_that_is_not_there_yet)
{
    begin(false);
    world_wait_connected(w, false, 10);
    world_start(w, T1, PLAIN, NULL, false);
    clock_sleep_ms(300);
    CHECK_EQ(world_task(w, T1)->status, TASK_PENDING);
    fake_docker_listen(fake);
    world_wait_connected(w, true, 10);
    CHECK_EQ(w->cpu_total, 2048);
    CHECK_EQ(w->memory_mib, 1024);
    (void)world_wait(w, T1, TASK_RUNNING, 10);
    end();
}

TEST(garbage_at_the_start_is_no_connection)
{
    begin(false);
    fake_docker_fault(fake, "/version", FAKE_GARBAGE, 2);
    fake_docker_listen(fake);
    world_wait_connected(w, true, 10);
    CHECK(fake_docker_count(fake, "/version") >= 3);
    end();
}

static void
survives(const char *part, enum fake_fault fault, int count)
{
    begin(true);
    fake_docker_fault(fake, part, fault, count);
    world_start(w, T1, PLAIN, NULL, false);
    const struct told t = world_wait(w, T1, TASK_RUNNING, 20);
    CHECK_EQ(t.containers[0].last_status, TASK_RUNNING);
    CHECK_EQ((int)strlen(t.containers[0].runtime_id), 64);
    end();
}

/* ---- host ports of ranges ---- */

#define RANGE(fixed)                                                                               \
    "{'containerDefinitions':[{'name':'app','image':'local:1','memory':64,'portMappings':[" fixed       \
    "{'containerPortRange':'8000-8002','protocol':'tcp'},{'containerPortRange':'53-54','protocol':'udp'}]}]}"

static void
check_ranges(const struct told *t)
{
    const struct network_binding *b = t->bindings[0];

    CHECK_EQ(t->containers[0].binding_count, 2);
    CHECK(b[0].container_port == 8000 && b[0].range_len == 3 && !b[0].is_udp && b[0].host_port > 0);
    CHECK(b[1].container_port == 53 && b[1].range_len == 2 && b[1].is_udp && b[1].host_port > 0);
}

TEST(a_range_gets_ports_of_its_own)
{
    begin(true);
    world_start(w, T1, RANGE(""), NULL, false);
    world_start(w, T2, RANGE(""), NULL, false);
    const struct told one = world_wait(w, T1, TASK_RUNNING, 20), two = world_wait(w, T2, TASK_RUNNING, 20);
    check_ranges(&one);
    check_ranges(&two);
    for (int i = 0; i < 2; i++)
        CHECK(abs(one.bindings[0][i].host_port - two.bindings[0][i].host_port) >= 3 - i);
    end();
}

TEST(a_port_that_docker_says_is_taken_is_another_choice)
{
    begin(true);
    fake_docker_fault(fake, "/start", FAKE_PORT, 3);
    world_start(w, T1, RANGE(""), NULL, false);
    const struct told t = world_wait(w, T1, TASK_RUNNING, 20);
    check_ranges(&t);
    CHECK_EQ(fake_docker_count(fake, "/containers/create"), 4);
    CHECK_EQ(fake_docker_count(fake, "DELETE "), 3);
    CHECK_TEXT(t.reason, "");
    end();
}

TEST(a_start_ends_when_the_ports_of_ten_choices_are_taken)
{
    begin(true);
    fake_docker_fault(fake, "/start", FAKE_PORT, 1000);
    world_start(w, T1, RANGE(""), NULL, false);
    const struct told t = world_wait(w, T1, TASK_STOPPED, 20);
    CHECK_EQ(fake_docker_count(fake, "/start"), 10);
    CHECK(strstr(t.reason, "CannotStartContainerError: Error response from daemon: driver failed") == t.reason);
    CHECK(strstr(t.reason, "port is already allocated") != NULL);
    end();
}

TEST(a_port_of_the_definition_itself_is_not_chosen_again)
{
    begin(true);
    fake_docker_fault(fake, "/start", FAKE_PORT, 1000);
    world_start(w, T1, RANGE("{'containerPort':80,'hostPort':8080},"), NULL, false);
    const struct told t = world_wait(w, T1, TASK_STOPPED, 20);
    CHECK_EQ(fake_docker_count(fake, "/start"), 1);
    CHECK(strstr(t.reason, "Bind for 0.0.0.0:8080 failed") != NULL);
    end();
}

TEST(another_fault_of_a_start_is_no_reason_for_other_ports)
{
    begin(true);
    fake_docker_fault(fake, "/start", FAKE_ERROR, 1000);
    world_start(w, T1, RANGE(""), NULL, false);
    (void)world_wait(w, T1, TASK_STOPPED, 20);
    CHECK_EQ(fake_docker_count(fake, "/containers/create"), 1);
    end();
}

TEST(a_create_answered_with_garbage_is_tried_again) { survives("/containers/create", FAKE_GARBAGE, 2); }
TEST(a_create_that_was_done_but_not_answered_is_adopted) { survives("/containers/create", FAKE_CLOSE, 1); }
TEST(a_create_answer_cut_short_is_adopted) { survives("/containers/create", FAKE_CUT_JSON, 1); }
TEST(a_start_that_was_done_but_not_answered_is_seen) { survives("/start", FAKE_CLOSE, 1); }
TEST(an_inspection_cut_short_is_repeated) { survives("/json", FAKE_CUT_JSON, 1); }

TEST(a_refused_create_is_the_tasks_failure)
{
    begin(true);
    fake_docker_fault(fake, "/containers/create", FAKE_ERROR, 1);
    world_start(w, T1, PLAIN, NULL, false);
    const struct told t = world_wait(w, T1, TASK_STOPPED, 10);
    CHECK_TEXT(t.reason, "CannotCreateContainerError: Error response from daemon: bang");
    CHECK(!t.is_infrastructure && !t.containers[0].has_exit_code);
    end();
}

/* Here there are none. The first container needs none, the second waits for it. */
TEST(no_container_of_a_task_starts_without_the_secrets_of_all)
{
    begin(true);
    world_start(w, T1,
                "{'containerDefinitions':[{'name':'first','image':'local:1','memory':64},"
                "{'name':'second','image':'local:1','memory':64,'dependsOn':[{'containerName':'first','condition':'START'}],"
                "'secrets':[{'name':'TOKEN','valueFrom':'/prod/token'}]}]}",
                NULL, false);
    const struct told t = world_wait(w, T1, TASK_STOPPED, 10);
    CHECK(strstr(t.reason, "ResourceInitializationError: unable to pull secrets or registry auth: secret 'TOKEN' of "
                           "container 'second': ") == t.reason);
    CHECK_EQ(fake_docker_count(fake, "/containers/create"), 0);
    end();
}

/* This Docker makes neither volumes nor networks.  The volume is what the task asked for by its name. */
TEST(what_cannot_be_prepared_is_the_networks_fault_only_if_the_network_failed)
{
    begin(true);
    world_start(w, T1,
                "{'networkMode':'awsvpc','volumes':[{'name':'v'}],"
                "'containerDefinitions':[{'name':'app','image':'local:1','memory':64}]}", NULL, false);
    world_start(w, T2, "{'networkMode':'awsvpc','containerDefinitions':[{'name':'app','image':'local:1','memory':64}]}",
                NULL, false);
    const struct told volume = world_wait(w, T1, TASK_STOPPED, 20), network = world_wait(w, T2, TASK_STOPPED, 20);
    CHECK(strstr(volume.reason, "CannotCreateVolumeError") == volume.reason);
    CHECK(strstr(network.reason, "ResourceInitializationError") == network.reason);
    CHECK(!volume.is_environment && network.is_environment);
    end();
}

TEST(a_pull_cut_short_is_repeated)
{
    begin(true);
    fake_docker_set_image(fake, false);
    fake_docker_fault(fake, "/images/create", FAKE_CUT_JSON, 2);
    world_start(w, T1, PLAIN, NULL, false);
    (void)world_wait(w, T1, TASK_RUNNING, 20);
    CHECK_EQ(fake_docker_count(fake, "/images/create"), 3);
    end();
}

TEST(an_exit_while_docker_is_away_is_found_and_nothing_is_declared_dead)
{
    begin(true);
    world_start(w, T1, PLAIN, NULL, false);
    (void)world_wait(w, T1, TASK_RUNNING, 10);
    fake_docker_vanish(fake);
    world_wait_connected(w, false, 10);
    clock_sleep_ms(1500);
    CHECK_EQ(world_task(w, T1)->status, TASK_RUNNING);
    fake_docker_listen(fake);
    world_wait_connected(w, true, 10);
    clock_sleep_ms(300);
    CHECK_EQ(world_task(w, T1)->status, TASK_RUNNING);
    fake_docker_vanish(fake);
    fake_docker_exit(fake, "app", 9, false);
    fake_docker_listen(fake);
    const struct told t = world_wait(w, T1, TASK_STOPPED, 15);
    CHECK_EQ(t.containers[0].exit_code, 9);
    CHECK(t.is_infrastructure); /* it went down with Docker */
    CHECK_EQ(fake_docker_count(fake, "/containers/create"), 1);
    end();
}

TEST(a_docker_that_hangs_is_noticed_and_comes_back)
{
    begin(true);
    world_start(w, T1, PLAIN, NULL, false);
    (void)world_wait(w, T1, TASK_RUNNING, 10);
    fake_docker_hang(fake, true);
    world_wait_connected(w, false, 40);
    CHECK_EQ(world_task(w, T1)->status, TASK_RUNNING);
    const int reports = world_task(w, T1)->reports;
    fake_docker_hang(fake, false);
    world_wait_connected(w, true, 40);
    CHECK_EQ(world_wait_report(w, T1, reports + 1, 10).status, TASK_RUNNING); /* it was looked at again */
    fake_docker_exit(fake, "app", 4, true);
    const struct told t = world_wait(w, T1, TASK_STOPPED, 10);
    CHECK_EQ(t.containers[0].exit_code, 4);
    CHECK(!t.is_infrastructure); /* seen running since: its own doing */
    end();
}

TEST(broken_events_do_no_harm)
{
    begin(true);
    world_start(w, T1, PLAIN, NULL, false);
    (void)world_wait(w, T1, TASK_RUNNING, 10);
    fake_docker_send_event(fake, "}}}\n[]\n{\"Type\":\"container\",\"Action\":\"die\"}\n{\"Type\":\"container\",\"Action\":\"die\",\"Actor\":{\"ID\":\"nobody\","
                                 "\"Attributes\":{\"naru.task\":\"" T1 "\"}}}\n{\"half");
    clock_sleep_ms(300);
    CHECK_EQ(world_task(w, T1)->status, TASK_RUNNING);
    CHECK(w->is_connected);
    fake_docker_send_event(fake, "\n");
    fake_docker_exit(fake, "app", 2, true);
    const struct told t = world_wait(w, T1, TASK_STOPPED, 10);
    CHECK_EQ(t.containers[0].exit_code, 2);
    end();
}

/* Docker says nothing more about a health that stays as it is. */
static void
check_health_told_meanwhile(const char *before, const char *now, enum health_status expected)
{
    cleanup_free char *event = text_format("{\"Type\":\"container\",\"Action\":\"oom\",\"Actor\":{\"ID\":\"%064d\","
                                           "\"Attributes\":{\"naru.task\":\"" T1 "\"}}}\n", 1);

    begin(true);
    world_start(w, T1, CHECKED, NULL, false);
    (void)world_wait(w, T1, TASK_RUNNING, 10);
    const int looks = fake_docker_count(fake, "/json");
    fake_docker_fault(fake, "/json", FAKE_HANG, 1);
    fake_docker_send_event(fake, event);
    wait_for_calls("/json", looks + 1);
    fake_docker_set_health(fake, "app", now);
    const int reports = world_wait_health(w, T1, expected, 10).reports;
    fake_docker_end_look(fake, "app", before);
    CHECK_EQ(world_wait_report(w, T1, reports + 1, 10).health, expected);
    end();
}

TEST(what_was_looked_at_before_an_event_is_older_than_the_event)
{
    check_health_told_meanwhile("starting", "healthy", HEALTH_HEALTHY);
    check_health_told_meanwhile("healthy", "unhealthy", HEALTH_UNHEALTHY);
}

TEST(a_stop_while_docker_is_away_happens_afterwards)
{
    begin(true);
    world_start(w, T1, PLAIN, NULL, false);
    (void)world_wait(w, T1, TASK_RUNNING, 10);
    fake_docker_vanish(fake);
    world_wait_connected(w, false, 10);
    agent_stop_task(w->agent, T1);
    clock_sleep_ms(500);
    CHECK_EQ(world_task(w, T1)->status, TASK_RUNNING);
    fake_docker_listen(fake);
    const struct told t = world_wait(w, T1, TASK_STOPPED, 10);
    CHECK_EQ(t.containers[0].exit_code, 143);
    end();
}

TEST(a_stop_before_anything_was_created_needs_no_docker)
{
    begin(false);
    world_wait_connected(w, false, 10);
    world_start(w, T1, PLAIN, NULL, false);
    agent_stop_task(w->agent, T1);
    const struct told t = world_wait(w, T1, TASK_STOPPED, 5);
    CHECK(!t.is_infrastructure && !t.containers[0].has_exit_code);
    end();
}

TEST(told_twice_is_started_once)
{
    begin(true);
    world_start(w, T1, PLAIN, NULL, false);
    world_start(w, T1, PLAIN, NULL, false);
    (void)world_wait(w, T1, TASK_RUNNING, 10);
    world_start(w, T1, PLAIN, NULL, false);
    agent_stop_task(w->agent, T1);
    agent_stop_task(w->agent, T1);
    (void)world_wait(w, T1, TASK_STOPPED, 10);
    CHECK_EQ(fake_docker_count(fake, "/containers/create"), 1);
    CHECK_EQ(fake_docker_count(fake, "/kill"), 1);
    end();
}

/* The call is answered by a closed connection, twice, since one that was kept is tried again. */
static void
stop_while_a_start_is_unknown(int starts)
{
    for (int i = 0; fake_docker_count(fake, "/start") == starts && i < 500 * CHECK_PATIENCE; i++)
        clock_sleep_ms(10);
    agent_stop_task(w->agent, T1);
    const struct told t = world_wait(w, T1, TASK_STOPPED, 10);
    CHECK_EQ(fake_docker_count(fake, "/kill"), 1);
    CHECK(t.containers[0].has_exit_code && t.containers[0].exit_code == 143);
}

TEST(what_was_started_but_not_answered_is_signalled)
{
    begin(true);
    fake_docker_fault(fake, "/start", FAKE_CLOSE, 2);
    world_start(w, T1, PLAIN, NULL, false);
    stop_while_a_start_is_unknown(0);
    end();
}

TEST(what_was_restarted_but_not_answered_is_signalled)
{
    begin(true);
    world_start(w, T1, "{'containerDefinitions':[{'name':'app','image':'local:1','memory':64,'restartPolicy':{"
                       "'enabled':true,'restartAttemptPeriod':0}}]}", NULL, false);
    (void)world_wait(w, T1, TASK_RUNNING, 10);
    const int starts = fake_docker_count(fake, "/start");
    fake_docker_fault(fake, "/start", FAKE_CLOSE, 2);
    fake_docker_exit(fake, "app", 7, /* tells= */ true);
    stop_while_a_start_is_unknown(starts);
    end();
}

TEST(what_is_adopted_but_gone_has_stopped)
{
    begin(true);
    world_start(w, T1, PLAIN, NULL, true);
    const struct told t = world_wait(w, T1, TASK_STOPPED, 10);
    CHECK(strstr(t.containers[0].reason, "DockerStateError") != NULL);
    CHECK_EQ(fake_docker_count(fake, "/containers/create"), 0);
    end();
}

/* The event is still on its way, or was lost: naru asks when it stood still itself, for instance. */
TEST(whoever_is_asked_what_became_of_a_task_looks_first)
{
    begin(true);
    world_start(w, T1, PLAIN, NULL, false);
    const int reports = world_wait(w, T1, TASK_RUNNING, 10).reports;
    fake_docker_exit(fake, "app", 7, /* tells= */ false);
    world_start(w, T1, PLAIN, NULL, /* only_adopt= */ true);
    const struct told t = world_wait(w, T1, TASK_STOPPED, 10);
    CHECK_EQ(t.containers[0].exit_code, 7);
    CHECK_EQ(t.reports, reports + 1); /* nothing was said of it that was not so */
    CHECK(t.exited_ago_ms > 0);       /* Docker says when: long ago */
    end();
}

#define REFUSAL "CannotPullContainerError: the image 'local:1' is archived"

/* Its image was archived after its container was made, and before anybody heard that it runs. */
TEST(what_may_not_be_made_any_more_goes_on_if_it_is_there)
{
    begin(true);
    world_start(w, T1, PLAIN, NULL, false);
    (void)world_wait(w, T1, TASK_RUNNING, 10);
    world_start_again(w, T1, PLAIN, REFUSAL);
    world_stop_agent(w);
    world_start_agent(w);
    world_start_again(w, T1, PLAIN, REFUSAL);
    world_start_again(w, T2, PLAIN, REFUSAL);
    const struct told none = world_wait(w, T2, TASK_STOPPED, 10);
    CHECK_TEXT(none.reason, REFUSAL);
    (void)world_wait(w, T1, TASK_RUNNING, 10);
    agent_stop_task(w->agent, T1);
    const struct told t = world_wait(w, T1, TASK_STOPPED, 10);
    CHECK_EQ(t.containers[0].exit_code, 143); /* it was signalled */
    CHECK_EQ(fake_docker_count(fake, "/containers/create"), 1);
    end();
}

/* Of the one that was ordered before, an earlier agent may have made containers. */
TEST(only_a_start_of_which_nothing_can_exist_fails_for_want_of_docker)
{
    begin(false);
    world_stop_agent(w);
    w->config.unreachable_ms = 300;
    world_start_agent(w);
    world_start_again(w, T1, PLAIN, NULL);
    world_start(w, T2, PLAIN, NULL, false);
    const struct told t = world_wait(w, T2, TASK_STOPPED, 10);
    CHECK(t.is_infrastructure);
    CHECK_EQ(world_task(w, T1)->status, TASK_PENDING);
    fake_docker_listen(fake);
    (void)world_wait(w, T1, TASK_RUNNING, 10);
    end();
}

static void
run_and_stop(bool only_adopt)
{
    world_start(w, T1, PLAIN, NULL, only_adopt);
    (void)world_wait(w, T1, TASK_RUNNING, 10);
    agent_stop_task(w->agent, T1);
    (void)world_wait(w, T1, TASK_STOPPED, 10);
    agent_forget_task(w->agent, T1);
}

TEST(what_the_agent_made_is_removed_without_a_search)
{
    begin(true);
    fake_docker_fault(fake, "DELETE ", FAKE_GARBAGE, 1); /* it asks until there is an answer */
    run_and_stop(false);
    wait_for_calls("DELETE ", 2);
    CHECK_EQ(fake_docker_count(fake, "GET /v1.41/containers/json"), 1); /* the one of the connection */
    CHECK_EQ(fake_docker_count(fake, "/volumes"), 0);
    end();
}

TEST(what_an_earlier_agent_made_is_searched_for_all_that_belongs_to_it)
{
    begin(true);
    world_start(w, T1, PLAIN, NULL, false);
    (void)world_wait(w, T1, TASK_RUNNING, 10);
    world_stop_agent(w);
    world_start_agent(w);
    world_wait_connected(w, true, 10);
    run_and_stop(true);
    wait_for_calls("DELETE ", 1);
    wait_for_calls("/volumes", 1);
    CHECK_EQ(fake_docker_count(fake, "GET /v1.41/containers/json"), 3);
    end();
}

TEST(what_may_exist_unseen_is_searched_for)
{
    begin(true);
    fake_docker_fault(fake, "/containers/", FAKE_CLOSE, 1000000); /* created, and never told so */
    world_start(w, T1, PLAIN, NULL, false);
    wait_for_calls("/containers/create", 1);
    agent_stop_task(w->agent, T1);
    agent_forget_task(w->agent, T1);
    wait_for_calls("DELETE /v1.41/containers/0", 1);
    end();
}

static int
reports_of(const char *id)
{
    return world_wait(w, id, TASK_RUNNING, 10).reports;
}

/* A Docker that is slower to look than it is asked for would never be heard of else. */
TEST(whoever_is_asked_again_while_he_looks_says_what_he_sees)
{
    begin(true);
    world_start(w, T1, PLAIN, NULL, false);
    const int reports = reports_of(T1),
              looks = fake_docker_count(fake, "GET /v1.41/images/");
    fake_docker_fault(fake, "GET /v1.41/images/", FAKE_HANG, 2);
    world_start(w, T1, PLAIN, NULL, /* only_adopt= */ true);
    wait_for_calls("GET /v1.41/images/", looks + 1);
    world_start(w, T1, PLAIN, NULL, /* only_adopt= */ true);
    CHECK_EQ(reports_of(T1), reports);
    fake_docker_end_pull(fake); /* of an image, and nobody reads the answer */
    for (int i = 0; reports_of(T1) == reports && i < 100 * CHECK_PATIENCE; i++)
        clock_sleep_ms(10);
    CHECK_EQ(reports_of(T1), reports + 1);
    end();
}

/* A bad volume driver may hold up starts for minutes, while Docker answers all else. */
TEST(starts_that_hang_keep_nobody_from_stopping)
{
    char id[ID_SIZE];

    begin(true);
    world_start(w, T1, PLAIN, NULL, false);
    (void)world_wait(w, T1, TASK_RUNNING, 10);
    fake_docker_fault(fake, "/start", FAKE_HANG, 100);
    for (int i = 0; i < 8; i++) {
        (void)snprintf(id, sizeof(id), "%d%031d", i + 2, 0);
        world_start(w, id, PLAIN, NULL, false);
    }
    for (int i = 0; fake_docker_count(fake, "/start") < 7 && i < 1000 * CHECK_PATIENCE; i++)
        clock_sleep_ms(10);
    CHECK(fake_docker_count(fake, "/start") >= 7);
    agent_stop_task(w->agent, T1);
    const struct told t = world_wait(w, T1, TASK_STOPPED, 10);
    CHECK_EQ(t.containers[0].exit_code, 143);
    end();
}

/* Of the nine first containers: all but the tenth have so many zeros. */
#define NINE_CONTAINERS "/containers/000000000000000000000000000000000000000000000000000000000000000"

static int
count_looks(void)
{
    int count = 0;

    for (int i = 1; i <= 9; i++) {
        cleanup_free char *part = text_format(NINE_CONTAINERS "%d/json", i);
        count += fake_docker_count(fake, part);
    }
    return count;
}

static void
start_ten(char ids[static 10][ID_SIZE])
{
    for (int i = 0; i < 10; i++) {
        (void)snprintf(ids[i], ID_SIZE, "%d%031d", i, 0);
        world_start(w, ids[i], PLAIN, NULL, false);
        (void)world_wait(w, ids[i], TASK_RUNNING, 10);
    }
}

/* Docker holds inspections of a container up while it works on it, half a minute as far as the agent waits. */
TEST(looks_that_hang_keep_nobody_from_stopping)
{
    char ids[10][ID_SIZE];

    begin(true);
    start_ten(ids);
    const int looks = count_looks();
    fake_docker_fault(fake, NINE_CONTAINERS, FAKE_HANG, 100);
    for (int i = 0; i < 10; i++)
        world_start(w, ids[i], PLAIN, NULL, /* only_adopt= */ true);
    for (int i = 0; count_looks() < looks + 4 && i < 500 * CHECK_PATIENCE; i++)
        clock_sleep_ms(10);
    agent_forget_task(w->agent, ids[4]); /* it waits in line, as all behind it do */
    world_start(w, ids[8], PLAIN, NULL, /* only_adopt= */ true);
    agent_stop_task(w->agent, ids[9]);
    const struct told t = world_wait(w, ids[9], TASK_STOPPED, 10);
    CHECK_EQ(t.containers[0].exit_code, 143);
    CHECK_EQ(count_looks(), looks + 4); /* none was given up meanwhile */
    end();
}

TEST(looks_at_those_that_end_keep_nobody_from_being_signalled)
{
    char ids[10][ID_SIZE];

    begin(true);
    start_ten(ids);
    const int looks = count_looks();
    fake_docker_fault(fake, "/json", FAKE_HANG, 100);
    for (int i = 0; i < 9; i++)
        world_start(w, ids[i], PLAIN, NULL, /* only_adopt= */ true);
    for (int i = 0; i < 9; i++)
        agent_stop_task(w->agent, ids[i]);
    for (int i = 0; count_looks() < looks + 6 && i < 500 * CHECK_PATIENCE; i++)
        clock_sleep_ms(10);
    agent_stop_task(w->agent, ids[9]);
    wait_for_calls("0000010/kill", 1);
    CHECK_EQ(count_looks(), looks + 6);
    end();
}

TEST(more_than_are_looked_at_at_once_have_their_turn)
{
    char ids[10][ID_SIZE];
    int reports[10];

    begin(true);
    start_ten(ids);
    for (int i = 0; i < 10; i++)
        reports[i] = reports_of(ids[i]);
    for (int i = 0; i < 10; i++)
        world_start(w, ids[i], PLAIN, NULL, /* only_adopt= */ true);
    for (int i = 0; i < 10; i++) {
        for (int k = 0; reports_of(ids[i]) == reports[i] && k < 100 * CHECK_PATIENCE; k++)
            clock_sleep_ms(10);
        CHECK_EQ(reports_of(ids[i]), reports[i] + 1);
    }
    end();
}

/* Its start went unanswered, and the container has ended: a look says so, and another start may make another one. */
TEST(who_waits_to_be_looked_at_is_not_started_meanwhile)
{
    char ids[10][ID_SIZE];

    begin(true);
    start_ten(ids);
    const int looks = count_looks(), starts = fake_docker_count(fake, "/start");
    fake_docker_fault(fake, NINE_CONTAINERS, FAKE_HANG, 100);
    for (int i = 0; i < 4; i++)
        world_start(w, ids[i], PLAIN, NULL, /* only_adopt= */ true);
    for (int i = 0; count_looks() < looks + 4 && i < 500 * CHECK_PATIENCE; i++)
        clock_sleep_ms(10);
    const int64_t begun_ms = clock_monotonic_ms();
    fake_docker_fault(fake, "/start", FAKE_CLOSE, 2); /* a connection that was kept is closed once for nothing */
    world_start(w, T1, "{'containerDefinitions':[{'name':'brief','image':'local:1','memory':64}]}", NULL, false);
    wait_for_calls("/start", starts + 2);
    fake_docker_exit(fake, "brief", 7, /* tells= */ true);
    clock_sleep_ms(100);
    world_start(w, T2, PLAIN, NULL, /* only_adopt= */ true); /* nothing of it is there, which is said at once */
    (void)world_wait(w, T2, TASK_STOPPED, 10);
    if (clock_monotonic_ms() - begun_ms < 1000) { /* else it may have been started again before that was heard */
        clock_sleep_ms(1500);
        CHECK_EQ(fake_docker_count(fake, "/containers/create"), 11);
        CHECK_EQ(world_task(w, T1)->status, TASK_PENDING);
    }
    end();
}

static int
resolved_count(void)
{
    pthread_mutex_lock(&w->lock);
    const int count = w->resolved;
    pthread_mutex_unlock(&w->lock);
    return count;
}

/* A deployment waits for this answer: there has to be one, also from a registry that gives none. */
TEST(an_image_whose_registry_is_silent_is_given_up)
{
    struct agent_resolve *ask = mem_new(sizeof(*ask));

    begin(true);
    world_stop_agent(w);
    w->config.unreachable_ms = 4000;
    world_start_agent(w);
    world_wait_connected(w, true, 10);
    fake_docker_fault(fake, "/distribution", FAKE_GARBAGE, 1000000);
    (void)text_copy(ask->images[0].image, sizeof(ask->images[0].image), STR("far.example/app:1"));
    ask->image_count = 1;
    agent_resolve_images(w->agent, ask);
    for (int i = 0; i < 9000 * CHECK_PATIENCE && resolved_count() < 1; i++)
        clock_sleep_ms(10);
    CHECK_EQ(resolved_count(), 1);
    CHECK(strstr(w->resolve_error, "does not answer") != NULL);
    CHECK(fake_docker_count(fake, "/distribution") < 20);
    end();
}

#define WANTED "sha256:1111111111111111111111111111111111111111111111111111111111111111"

static void
wait_for_requests(const char *part, int count)
{
    for (int i = 0; i < 1000 * CHECK_PATIENCE && fake_docker_count(fake, part) < count; i++)
        clock_sleep_ms(10);
    CHECK_EQ(fake_docker_count(fake, part), count);
}

/* By ECR's name or our host's, always by its digest; what fails is not tried again, what is here costs two questions. */
TEST(an_image_that_is_wanted_next_is_pulled_if_it_is_not_here)
{
    begin(true);
    fake_docker_fault(fake, "/images/create", FAKE_ERROR, 1);
    agent_prefetch_image(w->agent, "localhost:4566/first:1", WANTED, "");
    wait_for_requests("fromImage=localhost%3A4566%2Ffirst&tag=sha256%3A1111", 1);
    agent_prefetch_image(w->agent, "localhost:4566/second:1", WANTED, FAKE_IMAGE_ID);
    wait_for_requests("/images/" FAKE_IMAGE_PATH "/json", 1);
    agent_prefetch_image(w->agent, "localhost:4566/third", WANTED, "");
    wait_for_requests("fromImage=localhost%3A4566%2Fthird&tag=sha256%3A1111", 1);
    CHECK_EQ(fake_docker_count(fake, "/images/create"), 2);
    CHECK_EQ(fake_docker_count(fake, "/containers/create"), 0);
    end();
}

TEST(of_what_is_wanted_next_the_sixteen_newest_are_kept)
{
    begin(true);
    fake_docker_fault(fake, "/images/create", FAKE_HANG, 1);
    agent_prefetch_image(w->agent, "localhost:4566/hangs:1", WANTED, "");
    wait_for_requests("hangs&tag", 1);
    for (int i = 1; i <= 19; i++) { /* the last one twice */
        cleanup_free char *image = text_format("localhost:4566/n%02d:1", i < 18 ? i : 18);
        agent_prefetch_image(w->agent, image, WANTED, "");
    }
    fake_docker_end_pull(fake);
    wait_for_requests("n18&tag", 1);
    CHECK_EQ(fake_docker_count(fake, "n02&tag"), 0);
    CHECK_EQ(fake_docker_count(fake, "n03&tag"), 1);
    CHECK_EQ(fake_docker_count(fake, "/images/create"), 1 + 16);
    end();
}

/* Nor is a pull finished that would fill the disk: it is what nobody has asked for. */
TEST(what_is_wanted_next_leaves_room_on_the_disk)
{
    begin(true);
    world_stop_agent(w);
    w->config.has_disk_room = fake_disk_has_room;
    atomic_store(&has_room, false);
    world_start_agent(w);
    world_wait_connected(w, true, 10);
    agent_prefetch_image(w->agent, "localhost:4566/first:1", WANTED, "");
    for (int i = 0; i < 1000 * CHECK_PATIENCE && !atomic_load(&has_looked); i++)
        clock_sleep_ms(10);
    CHECK(atomic_load(&has_looked));
    atomic_store(&has_room, true);
    fake_docker_fault(fake, "/images/create", FAKE_HANG, 1);
    agent_prefetch_image(w->agent, "localhost:4566/hangs:1", WANTED, "");
    wait_for_requests("hangs&tag", 1);
    CHECK_EQ(fake_docker_count(fake, "/images/create"), 1);
    atomic_store(&has_room, false); /* while it is pulled: it is given up, and the next is not begun */
    agent_prefetch_image(w->agent, "localhost:4566/third:1", WANTED, FAKE_IMAGE_ID);
    wait_for_requests("/images/" FAKE_IMAGE_PATH "/json", 1);
    CHECK_EQ(fake_docker_count(fake, "/images/create"), 1);
    end();
}

TEST(what_is_wanted_next_is_nothing_to_wait_for)
{
    begin(false);
    world_wait_connected(w, false, 10);
    agent_prefetch_image(w->agent, "localhost:4566/early:1", WANTED, "");
    fake_docker_listen(fake);
    world_wait_connected(w, true, 10);
    fake_docker_fault(fake, "/images/create", FAKE_HANG, 1);
    agent_prefetch_image(w->agent, "localhost:4566/hangs:1", WANTED, "");
    wait_for_requests("hangs&tag", 1);
    CHECK_EQ(fake_docker_count(fake, "early"), 0);
    agent_prefetch_image(w->agent, "localhost:4566/waits:1", WANTED, "");
    world_start(w, T1, PLAIN, NULL, false); /* tasks do not stand behind it */
    (void)world_wait(w, T1, TASK_RUNNING, 10);
    end(); /* nor does a stop */
    CHECK(true);
}
