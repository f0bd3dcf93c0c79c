/* SPDX-License-Identifier: MIT */
/* The agent against a real Docker Engine: what it starts, sees, stops and leaves alone. */
#include <stdio.h>
#include "agent/container_logs.h"
#include "agent/container_spec.h"
#include "base/clock.h"
#include "check.h"
#include "docker_world.h"
#include "io/file.h"

#define T1 "11111111111111111111111111111111"
#define T2 "22222222222222222222222222222222"
#define IMAGE "'image':'" TEST_IMAGE "'"
#define SH(script) "'command':['sh','-c','" script "']"
#define BRIDGE(containers) "{'networkMode':'bridge','containerDefinitions':[" containers "]}"
#define AWSVPC(containers) "{'networkMode':'awsvpc','containerDefinitions':[" containers "]}"
#define ONE(script, more) "{'name':'app'," IMAGE "," SH(script) ",'memory':64" more "}"
#define WEB "echo hello from $NAME >/www/index.html; exec httpd -f -p 80 -h /www"

static void world_free_(struct world **w) { world_free(*w); }
#define WORLD(w)                                                                                   \
    cleanup(world_free_) struct world *w = world_new();                                            \
    if ((w) == NULL)                                                                               \
        return

TEST(bridge_task_runs_is_reached_and_stops_on_sigterm)
{
    WORLD(w);
    cleanup(strbuf_done) struct strbuf answer = {0};
    const int64_t begin = clock_monotonic_ms();

    CHECK(w->cpu_total >= 1024 && w->memory_mib > 100);
    world_start(w, T1, BRIDGE(ONE("trap `exit 0` TERM; echo hello from $NAME >/www/index.html; httpd -f -p 80 -h /www & wait", ",'environment':[{'name':'NAME','value':'one'}],"
                                       "'portMappings':[{'containerPort':80,'hostPort':0},{'containerPort':81}]")), NULL, false);
    struct told t = world_wait(w, T1, TASK_RUNNING, 20);
    printf("started in %lld ms\n", (long long)(t.running_at_ms - begin));
    CHECK_EQ(t.container_count, 1);
    CHECK_TEXT(t.containers[0].name, "app");
    CHECK(strlen(t.containers[0].runtime_id) == 64);
    CHECK_EQ(t.containers[0].last_status, TASK_RUNNING);
    CHECK_EQ(t.containers[0].binding_count, 2);
    CHECK_EQ(t.bindings[0][0].container_port, 80);
    for (int i = 0; i < 50 * CHECK_PATIENCE && answer.len == 0; i++) {
        world_get("127.0.0.1", t.bindings[0][0].host_port, &answer);
        clock_sleep_ms(20);
    }
    CHECK(strstr(strbuf_cstr(&answer), "hello from one") != NULL);
    const int64_t asked = clock_monotonic_ms();
    agent_stop_task(w->agent, T1);
    t = world_wait(w, T1, TASK_STOPPED, 45);
    printf("stopped in %lld ms\n", (long long)(t.stopped_at_ms - asked));
    CHECK_EQ(t.containers[0].exit_code, 0);
    CHECK(t.stopped_at_ms - asked < 25000); /* before its stop timeout of 30 s */
}

TEST(awsvpc_task_has_an_address_of_its_own)
{
    WORLD(w);
    cleanup(strbuf_done) struct strbuf answer = {0};

    world_start(w, T1, AWSVPC(ONE(WEB, ",'portMappings':[{'containerPort':80}],'stopTimeout':2")), NULL, false);
    world_start(w, T2, AWSVPC(ONE(WEB, ",'portMappings':[{'containerPort':80}],'stopTimeout':2")), NULL, false);
    const struct told one = world_wait(w, T1, TASK_RUNNING, 20), two = world_wait(w, T2, TASK_RUNNING, 20);
    CHECK(one.address[0] != '\0' && one.mac_address[0] != '\0');
    CHECK(strcmp(one.address, two.address) != 0);
    for (int i = 0; i < 50 * CHECK_PATIENCE && answer.len == 0; i++) {
        world_get(one.address, 80, &answer);
        clock_sleep_ms(20);
    }
    CHECK(strstr(strbuf_cstr(&answer), "hello from") != NULL);
}

TEST(containers_of_an_awsvpc_task_share_localhost)
{
    WORLD(w);
    /* The second asks the first over localhost and tells by its exit code. */
    world_start(w, T1, AWSVPC("{'name':'web'," IMAGE "," SH(WEB) ",'memory':64,'stopTimeout':1},"
                              "{'name':'asks','essential':false," IMAGE
                              "," SH("for i in 1 2 3 4 5 6 7 8 9; do printf `GET / HTTP/1.0\\\\r\\\\n\\\\r\\\\n` | nc -w 2 127.0.0.1 80 "
                                     ">/tmp/a && test -s /tmp/a && exit 7; sleep 1; done; exit 9")
                              ",'memory':64,'dependsOn':[{'containerName':'web','condition':'START'}]}"), NULL, false);
    struct told t = world_wait(w, T1, TASK_RUNNING, 30);
    CHECK(t.address[0] != '\0');
    for (int i = 0; i < 200 * CHECK_PATIENCE && !t.containers[1].has_exit_code; i++) {
        clock_sleep_ms(50);
        t = world_wait(w, T1, TASK_RUNNING, 1);
    }
    CHECK_EQ(t.containers[1].exit_code, 7);
    agent_stop_task(w->agent, T1);
    t = world_wait(w, T1, TASK_STOPPED, 20);
    CHECK_EQ(t.containers[0].exit_code, 137);
}

TEST(a_crash_is_told_with_its_exit_code)
{
    WORLD(w);
    world_start(w, T1, BRIDGE(ONE("sleep 0.2; exit 42", "")), NULL, false);
    struct told t = world_wait(w, T1, TASK_STOPPED, 20);
    CHECK(t.containers[0].has_exit_code);
    CHECK_EQ(t.containers[0].exit_code, 42);
    CHECK_TEXT(t.reason, "");
    world_start(w, T2, BRIDGE(ONE("exit 3", "")), NULL, false);
    t = world_wait(w, T2, TASK_STOPPED, 20);
    CHECK_EQ(t.containers[0].exit_code, 3);
}

TEST(an_essential_exit_ends_the_others)
{
    WORLD(w);
    world_start(w, T1, BRIDGE("{'name':'a'," IMAGE "," SH("sleep 1; exit 5") ",'memory':64},"
                              "{'name':'b'," IMAGE "," SH("trap `exit 9` TERM; while true; do sleep 0.1; done") ",'memory':64}"), NULL, false);
    struct told t = world_wait(w, T1, TASK_RUNNING, 20);
    t = world_wait(w, T1, TASK_STOPPED, 20);
    CHECK_EQ(t.containers[0].exit_code, 5);
    CHECK_EQ(t.containers[1].exit_code, 9);
}

TEST(out_of_memory_is_named)
{
    WORLD(w);
    world_start(w, T1, BRIDGE("{'name':'app'," IMAGE "," SH("exec tail /dev/zero") ",'memory':16,'linuxParameters':{'maxSwap':0}}"), NULL, false);
    const struct told t = world_wait(w, T1, TASK_STOPPED, 40);
    CHECK_EQ(t.containers[0].exit_code, 137);
    CHECK_TEXT(t.containers[0].reason, "OutOfMemoryError: Container killed due to memory usage");
}

TEST(who_ignores_sigterm_is_killed_after_its_stop_timeout)
{
    WORLD(w);
    world_start(w, T1, BRIDGE(ONE("trap : TERM; while true; do sleep 0.1; done", ",'stopTimeout':2")), NULL, false);
    struct told t = world_wait(w, T1, TASK_RUNNING, 20);
    const int64_t asked = clock_monotonic_ms();
    agent_stop_task(w->agent, T1);
    t = world_wait(w, T1, TASK_STOPPED, 20);
    CHECK_EQ(t.containers[0].exit_code, 137);
    CHECK(t.stopped_at_ms - asked >= 2000 && t.stopped_at_ms - asked < 25000);
}

TEST(dependencies_order_the_start)
{
    WORLD(w);
    /* `app` needs what `init` wrote on the shared volume; `bad` waits for a success that fails. */
    world_start(w, T1, "{'networkMode':'bridge','volumes':[{'name':'data'}],'containerDefinitions':["
                       "{'name':'app'," IMAGE "," SH("test -s /d/ready && sleep 60") ",'memory':64,'stopTimeout':1,"
                       "'mountPoints':[{'sourceVolume':'data','containerPath':'/d'}],"
                       "'dependsOn':[{'containerName':'init','condition':'SUCCESS'}]},"
                       "{'name':'init','essential':false," IMAGE "," SH("sleep 1; echo yes >/d/ready") ",'memory':64,"
                       "'mountPoints':[{'sourceVolume':'data','containerPath':'/d'}]}]}", NULL, false);
    struct told t = world_wait(w, T1, TASK_RUNNING, 20);
    CHECK_EQ(t.containers[0].last_status, TASK_RUNNING);
    CHECK_EQ(t.containers[1].last_status, TASK_STOPPED);
    CHECK_EQ(t.containers[1].exit_code, 0);
    world_start(w, T2, BRIDGE("{'name':'app'," IMAGE "," SH("sleep 60") ",'memory':64,"
                              "'dependsOn':[{'containerName':'bad','condition':'SUCCESS'}]},"
                              "{'name':'bad','essential':false," IMAGE "," SH("exit 4") ",'memory':64}"), NULL, false);
    t = world_wait(w, T2, TASK_STOPPED, 20);
    CHECK_EQ(t.containers[0].exit_code, 143);
    CHECK(strstr(t.reason, "CannotStartContainerError") == t.reason);
    CHECK(t.containers[0].runtime_id[0] == '\0');
}

TEST(health_comes_from_the_definitions_check)
{
    WORLD(w);
    world_start(w, T1, BRIDGE(ONE("sleep 3; touch /tmp/ok; sleep 120",
                                  ",'stopTimeout':1,'healthCheck':{'command':['CMD-SHELL','test -f /tmp/ok'],'interval':5,'timeout':2,'retries':3}")),
                NULL, false);
    struct told t = world_wait(w, T1, TASK_RUNNING, 20);
    CHECK_EQ(t.health, HEALTH_UNKNOWN);
    t = world_wait_health(w, T1, HEALTH_HEALTHY, 30);
    CHECK_EQ(t.containers[0].health, HEALTH_HEALTHY);
}

TEST(a_new_agent_adopts_what_runs_and_learns_what_ended_meanwhile)
{
    WORLD(w);
    const char *const ids[] = {T1, T2};
    char id[DOCKER_ID_SIZE], path[512];
    cleanup(strbuf_done) struct strbuf text = {0};
    struct err err = {0};

#define COUNTS "i=0; while true; do echo line $i; i=$((i+1)); sleep 0.1; done"
    world_start(w, T1, BRIDGE(ONE(COUNTS, ",'stopTimeout':1,'portMappings':[{'containerPort':80}]")), NULL, false);
    world_start(w, T2, BRIDGE(ONE("sleep 2; exit 6", "")), NULL, false);
    const struct told before = world_wait(w, T1, TASK_RUNNING, 20);
    (void)world_wait(w, T2, TASK_RUNNING, 20);
    memcpy(id, before.containers[0].runtime_id, sizeof(id));
    world_stop_agent(w);
    clock_sleep_ms(2500);
    memset(w->tasks, 0, sizeof(w->tasks));
    w->task_count = 0;
    world_start_agent(w);
    agent_begin(w->agent, ids, 2);
    world_start(w, T1, BRIDGE(ONE(COUNTS, ",'stopTimeout':1,'portMappings':[{'containerPort':80}]")), NULL, true);
    world_start(w, T2, BRIDGE(ONE("sleep 2; exit 6", "")), NULL, true);
    struct told t = world_wait(w, T1, TASK_RUNNING, 20);
    CHECK_TEXT(t.containers[0].runtime_id, id);
    CHECK_EQ(t.bindings[0][0].host_port, before.bindings[0][0].host_port);
    t = world_wait(w, T2, TASK_STOPPED, 20);
    CHECK_EQ(t.containers[0].exit_code, 6);
    clock_sleep_ms(1000);
    agent_stop_task(w->agent, T1);
    t = world_wait(w, T1, TASK_STOPPED, 20);
    CHECK_EQ(world_count(w, LABEL_TASK "=" T1), 1);
    clock_sleep_ms(500);
    /* Every line once, in order, although nobody listened for a while. */
    CHECK(container_logs_path(w->data_dir, T1, "app", path, sizeof(path)));
    CHECK(file_read(path, 1 << 20, &text, &err));
    struct str rest = strbuf_str(&text), line;
    int count = 0;
    while (str_split(&rest, '\n', &line) && line.len > 0) {
        char want[64];
        (void)snprintf(want, sizeof(want), " stdout line %d", count++);
        CHECK(str_ends(line, str_of(want)));
    }
    CHECK(count > 30);
}

TEST(a_new_agent_stops_well_what_it_was_never_told_of)
{
    WORLD(w);
    const char *const ids[] = {T1, T2};

    world_start(w, T1, BRIDGE(ONE("trap `sleep 1; exit 21` TERM; while true; do sleep 0.1; done", ",'stopTimeout':20")), NULL, false);
    world_start(w, T2, AWSVPC(ONE("trap : TERM; while true; do sleep 0.1; done", ",'stopTimeout':2") ","
                              "{'name':'b_2'," IMAGE "," SH("trap `exit 22` TERM; while true; do sleep 0.1; done") ",'memory':64}"), NULL, false);
    (void)world_wait(w, T1, TASK_RUNNING, 20);
    (void)world_wait(w, T2, TASK_RUNNING, 20);
    world_stop_agent(w);
    memset(w->tasks, 0, sizeof(w->tasks));
    w->task_count = 0;
    world_start_agent(w);
    agent_begin(w->agent, ids, 2);
    agent_stop_task(w->agent, T1);
    agent_stop_task(w->agent, T2);
    struct told t = world_wait(w, T1, TASK_STOPPED, 20);
    CHECK_TEXT(t.containers[0].name, "app");
    CHECK_EQ(t.containers[0].exit_code, 21);
    t = world_wait(w, T2, TASK_STOPPED, 20);
    CHECK_EQ(t.container_count, 2);
    /* They were created side by side: Docker lists them in either order. */
    const bool is_swapped = strcmp(t.containers[0].name, "app") != 0;
    CHECK_TEXT(t.containers[is_swapped].name, "app");
    CHECK_EQ(t.containers[is_swapped].exit_code, 137);
    CHECK_TEXT(t.containers[!is_swapped].name, "b_2");
    CHECK_EQ(t.containers[!is_swapped].exit_code, 22);
    agent_stop_task(w->agent, "33333333333333333333333333333333");
    (void)world_wait(w, "33333333333333333333333333333333", TASK_STOPPED, 5);
}

TEST(what_belongs_to_no_known_task_is_removed_and_others_are_left_alone)
{
    WORLD(w);
    const char *const ids[] = {T2};
    char other[DOCKER_ID_SIZE], name[64];
    struct err err = {0};
    struct docker_state state;
    /* Another installation's, by the same task id. */
    cleanup_free char *spec_text = text_format(
        "{\"Image\":\"" TEST_IMAGE "\",\"Cmd\":[\"sleep\",\"600\"],\"Labels\":{\"naru.task\":\"" T1
        "\",\"naru.installation\":\"%s\"}}", w->other);
    cleanup_json struct json *spec = json_parse(str_of(spec_text), &err);

    (void)snprintf(name, sizeof(name), "other-%s", w->installation);
    CHECK(docker_container_create(&w->docker, name, spec, other, &err));
    CHECK(docker_container_start(&w->docker, other, &err));
    world_start(w, T1, BRIDGE(ONE("sleep 100", ",'stopTimeout':1")), NULL, false);
    world_start(w, T2, BRIDGE(ONE("sleep 100", ",'stopTimeout':1")), NULL, false);
    (void)world_wait(w, T1, TASK_RUNNING, 20);
    (void)world_wait(w, T2, TASK_RUNNING, 20);
    world_stop_agent(w);
    world_start_agent(w);
    agent_begin(w->agent, ids, 1);
    for (int i = 0; i < 100 * CHECK_PATIENCE && world_count(w, LABEL_TASK "=" T1) > 0; i++)
        clock_sleep_ms(100);
    CHECK_EQ(world_count(w, LABEL_TASK "=" T1), 0);
    CHECK_EQ(world_count(w, LABEL_TASK "=" T2), 1);
    world_start(w, T2, BRIDGE(ONE("sleep 100", ",'stopTimeout':1")), NULL, true);
    (void)world_wait(w, T2, TASK_RUNNING, 20);
    agent_forget_task(w->agent, T2);
    for (int i = 0; i < 100 * CHECK_PATIENCE && world_count(w, LABEL_TASK "=" T2) > 0; i++)
        clock_sleep_ms(100);
    CHECK_EQ(world_count(w, LABEL_TASK "=" T2), 0);
    CHECK(docker_container_inspect(&w->docker, other, NULL, NULL, &state, &err));
    CHECK(state.is_running);
}

TEST(a_missing_image_fails_with_its_reason)
{
    WORLD(w);
    world_start(w, T1, "{'containerDefinitions':[{'name':'app','image':'localhost:1/nobody:1','memory':64}]}", NULL, false);
    const struct told t = world_wait(w, T1, TASK_STOPPED, 60);
    CHECK(strstr(t.reason, "CannotPullContainerError: ") == t.reason);
    CHECK(!t.containers[0].has_exit_code);
    CHECK(!t.is_infrastructure);
}

TEST(a_missing_command_fails_with_its_reason)
{
    WORLD(w);
    world_start(w, T1, "{'containerDefinitions':[{'name':'app'," IMAGE ",'command':['/no/such'],'memory':64}]}", NULL, false);
    const struct told t = world_wait(w, T1, TASK_STOPPED, 20);
    CHECK(strstr(t.reason, "CannotStartContainerError: ") == t.reason);
    CHECK(strstr(t.reason, "no such file") != NULL);
}

TEST(overrides_change_command_and_environment)
{
    WORLD(w);
    world_start(w, T1, BRIDGE(ONE("exit 1", ",'environment':[{'name':'CODE','value':'2'}]")),
                "{'containerOverrides':[{'name':'app','command':['sh','-c','exit $CODE'],'environment':[{'name':'CODE','value':'33'}]}]}", false);
    const struct told t = world_wait(w, T1, TASK_STOPPED, 20);
    CHECK_EQ(t.containers[0].exit_code, 33);
}

TEST(a_container_killed_from_outside_is_seen_at_once)
{
    WORLD(w);
    struct err err = {0};

    world_start(w, T1, BRIDGE(ONE("sleep 100", "")), NULL, false);
    struct told t = world_wait(w, T1, TASK_RUNNING, 20);
    const int64_t at = clock_monotonic_ms();
    CHECK(docker_container_kill(&w->docker, t.containers[0].runtime_id, "SIGKILL", &err));
    t = world_wait(w, T1, TASK_STOPPED, 10);
    printf("seen after %lld ms\n", (long long)(t.stopped_at_ms - at));
    CHECK_EQ(t.containers[0].exit_code, 137);
    world_start(w, T2, BRIDGE(ONE("sleep 100", "")), NULL, false);
    t = world_wait(w, T2, TASK_RUNNING, 20);
    CHECK(docker_container_remove(&w->docker, t.containers[0].runtime_id, &err));
    t = world_wait(w, T2, TASK_STOPPED, 10);
}

TEST(images_are_resolved_or_refused)
{
    WORLD(w);
    struct agent_resolve *ask = mem_new(sizeof(*ask));

    ask->image_count = 1;
    (void)text_copy(ask->images[0].image, IMAGE_SIZE, STR(TEST_IMAGE));
    agent_resolve_images(w->agent, ask);
    for (int i = 0; i < 100 * CHECK_PATIENCE && w->resolved < 1; i++)
        clock_sleep_ms(50);
    CHECK_EQ(w->resolved, 1);
    CHECK_TEXT(w->resolve_error, "");
    CHECK_TEXT(w->digest, ""); /* imported: no registry knows it */
    ask = mem_new(sizeof(*ask));
    ask->image_count = 1;
    (void)text_copy(ask->images[0].image, IMAGE_SIZE, STR("localhost:1/nobody:1"));
    agent_resolve_images(w->agent, ask);
    for (int i = 0; i < 400 * CHECK_PATIENCE && w->resolved < 2; i++)
        clock_sleep_ms(50);
    CHECK(strstr(w->resolve_error, "CannotPullContainerError") == w->resolve_error);
}

TEST(twelve_tasks_start_side_by_side)
{
    WORLD(w);
    char id[33];
    const int64_t begin = clock_monotonic_ms();

    for (int i = 0; i < 12; i++) {
        (void)snprintf(id, sizeof(id), "%02x%030x", i + 1, 0);
        world_start(w, id, BRIDGE(ONE("sleep 100", ",'stopTimeout':1")), NULL, false);
    }
    for (int i = 0; i < 12; i++) {
        (void)snprintf(id, sizeof(id), "%02x%030x", i + 1, 0);
        (void)world_wait(w, id, TASK_RUNNING, 30);
    }
    printf("12 tasks in %lld ms\n", (long long)(clock_monotonic_ms() - begin));
}
