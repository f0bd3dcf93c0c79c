/* SPDX-License-Identifier: MIT */
#include "docker_world.h"
#include <arpa/inet.h>
#include <stdio.h>
#include <sys/socket.h>
#include "agent/container_spec.h"
#include "base/clock.h"
#include "check.h"
#include "io/file.h"
#include "io/process.h"

/* ---- reports ---- */

static struct told *
find_task(struct world *w, const char *id)
{
    for (int i = 0; i < w->task_count; i++)
        if (strcmp(w->tasks[i].id, id) == 0)
            return &w->tasks[i];
    CHECK(w->task_count < TASKS_MAX);
    struct told *t = &w->tasks[w->task_count++];
    (void)text_copy(t->id, sizeof(t->id), str_of(id));
    return t;
}

static void
take_task(struct world *w, const struct ev_task_state *s)
{
    struct told *t = find_task(w, s->task_id);

    t->has_any = true;
    t->reports++;
    t->status = s->status;
    t->health = s->health;
    t->container_count = s->container_count;
    if (s->container_count > 0)
        memcpy(t->containers, s->containers, (size_t)s->container_count * sizeof(*s->containers));
    for (int i = 0; i < s->container_count; i++) {
        memcpy(t->bindings[i], s->containers[i].bindings,
               (size_t)s->containers[i].binding_count * sizeof(t->bindings[i][0]));
        t->containers[i].bindings = NULL;
    }
    (void)text_copy(t->address, sizeof(t->address), str_of(s->address));
    (void)text_copy(t->mac_address, sizeof(t->mac_address), str_of(s->mac_address));
    (void)text_copy(t->reason, sizeof(t->reason), str_of(s->reason));
    t->is_infrastructure = s->is_infrastructure;
    t->is_environment = s->is_environment;
    t->exited_ago_ms = s->exited_ago_ms;
    if (s->status == TASK_RUNNING && t->running_at_ms == 0)
        t->running_at_ms = clock_monotonic_ms();
    if (s->status == TASK_STOPPED && t->stopped_at_ms == 0)
        t->stopped_at_ms = clock_monotonic_ms();
}

static void
report(void *ctx, const struct event *e)
{
    struct world *w = ctx;

    pthread_mutex_lock(&w->lock);
    if (e->type == EVENT_TASK_STATE) {
        take_task(w, &e->task_state);
    } else if (e->type == EVENT_INSTANCE_REPORT) {
        w->has_instance = true;
        w->is_connected = e->instance_report.is_connected;
        w->cpu_total = e->instance_report.cpu_total;
        w->memory_mib = e->instance_report.memory_total_mib;
    } else if (e->type == EVENT_IMAGE_RESOLVED) {
        w->resolved++;
        (void)text_copy(w->resolve_error, sizeof(w->resolve_error), str_of(e->image_resolved.error));
        if (e->image_resolved.digest_count > 0)
            memcpy(w->digest, e->image_resolved.digests[0], sizeof(w->digest));
    }
    pthread_cond_broadcast(&w->changed);
    pthread_mutex_unlock(&w->lock);
}

static void
password(void *ctx, struct strbuf *out)
{
    (void)ctx;
    strbuf_add_cstr(out, "secret");
}

/* ---- the engine ---- */

/* After the pid: nobody's installation but a test's has it. */
#define TEST_SIGNATURE "7e577e57"
#define OTHER_SIGNATURE "0e577e57"

/* A test that fails cannot clean up: its process is gone. The next one does it. */
static void
purge_the_dead(struct world *w)
{
    struct err err = {0};
    cleanup_json struct json *list = docker_container_list(&w->docker, LABEL_INSTALLATION, &err);

    for (size_t i = 0; i < json_size(list); i++) {
        const char *id = json_get_cstr(json_get(json_at(list, i), "Labels"), LABEL_INSTALLATION, "");
        unsigned pid = 0;
        int removed = 0;

        if (strlen(id) == 16 && (strcmp(id + 8, TEST_SIGNATURE) == 0 || strcmp(id + 8, OTHER_SIGNATURE) == 0) &&
            sscanf(id, "%8x", &pid) == 1 &&
            !process_is_alive((pid_t)pid) && !agent_purge(w->socket, id, &removed, &err))
            printf("cannot purge what test %u left: %s\n", pid, err.message);
    }
}

/* An image of one static program: busybox under the names that the tests use. */
static void
make_image(struct world *w)
{
    static const char script[] = "set -e; d=$(mktemp -d); mkdir -p $d/bin $d/tmp $d/www; cp /bin/busybox $d/bin/;"
                                 "for a in sh sleep httpd cat echo dd env kill nc ip tail wc id ls touch test true; do "
                                 "ln -s busybox $d/bin/$a; done; tar -C $d -cf - .; rm -rf $d";
    const char *const argv[] = {"sh", "-c", script, NULL};
    const struct process_spec spec = {.argv = argv, .output_limit = (size_t)32 * 1024 * 1024, .timeout_ms = 30000};
    struct process_result result = {0};
    struct err err = {0};

    json_unref(docker_image_inspect(&w->docker, TEST_IMAGE, &err));
    if (err.code == ERR_NONE)
        return;
    CHECK(process_run(&spec, &result, &err));
    CHECK_EQ(result.exit_code, 0);
    if (!docker_image_import(&w->docker, "naru-test-busybox", "latest", strbuf_str(&result.output), &err))
        check_fail(__FILE__, __LINE__, "%s", err.message);
    process_result_done(&result);
}

void
world_start_agent(struct world *w)
{
    struct err err = {0};

    w->has_instance = w->is_connected = false;
    w->agent = agent_new(&w->config, &err);
    CHECK(w->agent != NULL);
}

void
world_stop_agent(struct world *w)
{
    agent_free(TAKE(w->agent));
}

struct world *
world_new(void)
{
    const char *socket = getenv("NARU_TEST_DOCKER_SOCKET");
    struct docker_info info;
    struct err err = {0};

    if (socket == NULL || socket[0] == '\0') {
        check_skip("NARU_TEST_DOCKER_SOCKET names no Docker Engine (tools/dockerd.sh start DIR)");
        return NULL;
    }
    struct world *w = world_open(socket);
    if (!docker_negotiate(&w->docker, &info, &err))
        check_fail(__FILE__, __LINE__, "%s", err.message);
    purge_the_dead(w);
    make_image(w);
    world_start_agent(w);
    world_wait_connected(w, true, 10);
    return w;
}

struct world *
world_open(const char *socket)
{
    struct world *w = mem_new(sizeof(*w));

    CHECK(text_copy(w->socket, sizeof(w->socket), str_of(socket)));
    (void)snprintf(w->installation, sizeof(w->installation), "%08x" TEST_SIGNATURE, (unsigned)getpid());
    (void)snprintf(w->other, sizeof(w->other), "%08x" OTHER_SIGNATURE, (unsigned)getpid());
    (void)snprintf(w->data_dir, sizeof(w->data_dir), "/tmp/naru-test-%s", w->installation);
    CHECK(file_remove_tree(w->data_dir, NULL)); /* of an earlier process with our pid */
    CHECK(pthread_mutex_init(&w->lock, NULL) == 0 && pthread_cond_init(&w->changed, NULL) == 0);
    docker_init(&w->docker, socket, 0);
    w->config = (struct agent_config){.docker_socket = w->socket,
                                      .host = "machine",
                                      .data_dir = w->data_dir,
                                      .installation = w->installation,
                                      .account = "000000000000",
                                      .region = "ap-northeast-2",
                                      .registry_port = 4566,
                                      .registry_password = password,
                                      .report = report,
                                      .ctx = w};
    return w;
}

void
world_free(struct world *w)
{
    struct err err = {0};
    int removed = 0;

    if (w == NULL)
        return;
    world_stop_agent(w);
    if (!agent_purge(w->socket, w->installation, &removed, &err) ||
        !agent_purge(w->socket, w->other, &removed, &err))
        check_fail(__FILE__, __LINE__, "purge: %s", err.message);
    world_close(w);
}

void
world_close(struct world *w)
{
    struct err err = {0};

    world_stop_agent(w);
    CHECK(file_remove_tree(w->data_dir, &err));
    docker_done(&w->docker);
    free(w);
}

/* ---- tasks ---- */

static struct json *
parse(const char *text)
{
    cleanup_free char *copy = text_dup(text);
    struct err err = {0};

    for (char *c = copy; *c != '\0'; c++)
        *c = *c == '\'' ? '"' : *c == '`' ? '\'' : *c;
    struct json *j = json_parse(str_of(copy), &err);
    if (j == NULL)
        check_fail(__FILE__, __LINE__, "%s in %s", err.message, copy);
    return j;
}

static struct agent_task *
make_task(const struct world *w, const char *id, const char *definition)
{
    struct agent_task *t = mem_new(sizeof(*t));

    (void)text_copy(t->id, sizeof(t->id), str_of(id));
    (void)snprintf(t->arn, sizeof(t->arn), "arn:aws:ecs:ap-northeast-2:000000000000:task/c/%s", id);
    (void)text_copy(t->cluster_name, sizeof(t->cluster_name), STR("c"));
    (void)text_copy(t->region, sizeof(t->region), STR("ap-northeast-2"));
    /* Names of containers follow from it: what a broken run left behind must not stand in our way. */
    (void)snprintf(t->family, sizeof(t->family), "web-%s", w->installation);
    t->revision = 3;
    t->definition = parse(definition);
    return t;
}

void
world_start(struct world *w, const char *id, const char *definition, const char *overrides, bool only_adopt)
{
    struct agent_task *t = make_task(w, id, definition);

    t->overrides = overrides != NULL ? parse(overrides) : NULL;
    t->only_adopt = only_adopt;
    agent_start_task(w->agent, t);
}

void
world_start_again(struct world *w, const char *id, const char *definition, const char *refusal)
{
    struct agent_task *t = make_task(w, id, definition);

    t->is_repeated = true;
    t->only_adopt = refusal != NULL;
    (void)text_copy(t->refusal, sizeof(t->refusal), str_of(refusal));
    agent_start_task(w->agent, t);
}

struct told *
world_task(struct world *w, const char *id)
{
    pthread_mutex_lock(&w->lock);
    struct told *t = find_task(w, id);
    pthread_mutex_unlock(&w->lock);
    return t;
}

/* One turn of waiting; false when the time is up. The lock is held. */
static bool
wait_turn(struct world *w, int64_t deadline_ms)
{
    struct timespec until;

    if (clock_monotonic_ms() >= deadline_ms)
        return false;
    (void)clock_gettime(CLOCK_REALTIME, &until);
    until.tv_nsec += 100000000;
    if (until.tv_nsec >= 1000000000) {
        until.tv_nsec -= 1000000000;
        until.tv_sec++;
    }
    (void)pthread_cond_timedwait(&w->changed, &w->lock, &until);
    return true;
}

static struct told
wait_for(struct world *w, const char *id, int status, int health, int seconds)
{
    const int64_t deadline = clock_monotonic_ms() + seconds * 1000 * CHECK_PATIENCE / 2;

    pthread_mutex_lock(&w->lock);
    const struct told *t = find_task(w, id);
    while (!(t->has_any && (status < 0 || (int)t->status == status) && (health < 0 || (int)t->health == health)))
        if (!wait_turn(w, deadline))
            check_fail(__FILE__, __LINE__, "task %s: status %s health %s reason '%s', container '%s'", id,
                       task_status_name(t->status), health_status_name(t->health), t->reason,
                       t->containers[0].reason);
    const struct told copy = *t;
    pthread_mutex_unlock(&w->lock);
    return copy;
}

struct told
world_wait(struct world *w, const char *id, enum task_status status, int seconds)
{
    return wait_for(w, id, (int)status, -1, seconds);
}

struct told
world_wait_health(struct world *w, const char *id, enum health_status health, int seconds)
{
    return wait_for(w, id, -1, (int)health, seconds);
}

struct told
world_wait_report(struct world *w, const char *id, int count, int seconds)
{
    const int64_t deadline = clock_monotonic_ms() + seconds * 1000 * CHECK_PATIENCE / 2;

    pthread_mutex_lock(&w->lock);
    const struct told *t = find_task(w, id);
    while (t->reports < count)
        if (!wait_turn(w, deadline))
            check_fail(__FILE__, __LINE__, "task %s: %d reports, want %d", id, t->reports, count);
    const struct told copy = *t;
    pthread_mutex_unlock(&w->lock);
    return copy;
}

void
world_wait_connected(struct world *w, bool is_connected, int seconds)
{
    const int64_t deadline = clock_monotonic_ms() + seconds * 1000 * CHECK_PATIENCE / 2;

    pthread_mutex_lock(&w->lock);
    while (!w->has_instance || w->is_connected != is_connected)
        if (!wait_turn(w, deadline))
            check_fail(__FILE__, __LINE__, "no instance report with connected=%d", is_connected);
    pthread_mutex_unlock(&w->lock);
}

/* ---- looking from outside ---- */

void
world_get(const char *address, int port, struct strbuf *out)
{
    static const char request[] = "GET / HTTP/1.0\r\n\r\n";
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    const struct timeval limit = {.tv_sec = 3};
    char buffer[4096];

    strbuf_clear(out);
    CHECK(inet_pton(AF_INET, address, &to.sin_addr) == 1);
    cleanup_close int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    CHECK(fd >= 0);
    (void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
    (void)setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
    if (connect(fd, (struct sockaddr *)&to, sizeof(to)) < 0 ||
        write(fd, request, sizeof(request) - 1) != (ssize_t)sizeof(request) - 1)
        return;
    for (;;) {
        const ssize_t n = read(fd, buffer, sizeof(buffer));

        if (n <= 0)
            return;
        strbuf_add(out, (struct str){buffer, (size_t)n});
    }
}

int
world_count(struct world *w, const char *label)
{
    struct err err = {0};
    cleanup_json struct json *list = docker_container_list(&w->docker, label, &err);
    int count = 0;

    if (list == NULL)
        check_fail(__FILE__, __LINE__, "%s", err.message);
    for (size_t i = 0; i < json_size(list); i++)
        count += strcmp(json_get_cstr(json_get(json_at(list, i), "Labels"), LABEL_INSTALLATION, ""),
                        w->installation) == 0;
    return count;
}
