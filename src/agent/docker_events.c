/* SPDX-License-Identifier: MIT */
/* docker_events.c - the link to Docker: connect, list, follow events, ping; lose it and come back.
 * DOWN -> CONNECTING (version, info) -> LISTING (the event stream is open, so nothing that happens from
 * now on is missed; then what exists is listed) -> UP.  Any failure leads back to DOWN and a timer. */
#include <stdio.h>
#include "agent/host_gpus.h"
#include "agent/internal.h"
#include "base/clock.h"
#include "base/log.h"

#define BACKOFF_MIN_MS 100
#define BACKOFF_MAX_MS 5000
#define PING_EVERY_MS 10000
#define PING_FAILURES_MAX 2

/* ---- what the control plane is told ---- */

static void
add_attribute(struct json *list, const char *name, const char *value)
{
    struct json *row = json_object();

    json_set(row, "name", json_text(name));
    if (value != NULL)
        json_set(row, "value", json_text(value));
    json_append(list, row);
}

static struct json *
instance_doc(const struct agent *agent)
{
    struct json *doc = json_object(), *versions = json_object(), *attributes = json_array();
    const bool is_arm = strcmp(agent->info.arch, "arm64") == 0;
    char text[128];

    (void)snprintf(text, sizeof(text), "DockerVersion: %s", agent->info.version);
    json_set(versions, "agentVersion", json_text(NARU_VERSION));
    json_set(versions, "dockerVersion", json_text(text));
    json_set(doc, "versionInfo", versions);
    add_attribute(attributes, "ecs.os-type", "linux");
    add_attribute(attributes, "ecs.cpu-architecture", is_arm ? "arm64" : "x86_64");
    (void)snprintf(text, sizeof(text), "%sa", agent->config.region != NULL ? agent->config.region : "");
    add_attribute(attributes, "ecs.availability-zone", text);
    add_attribute(attributes, "ecs.instance-type", "naru.host");
    for (int minor = 17; minor <= agent->info.api_minor; minor++) {
        (void)snprintf(text, sizeof(text), "com.amazonaws.ecs.capability.docker-remote-api.1.%d", minor);
        add_attribute(attributes, text, NULL);
    }
    add_attribute(attributes, "com.amazonaws.ecs.capability.ecr-auth", NULL);
    add_attribute(attributes, "com.amazonaws.ecs.capability.logging-driver.json-file", NULL);
    add_attribute(attributes, "com.amazonaws.ecs.capability.logging-driver.awslogs", NULL);
    add_attribute(attributes, "ecs.capability.task-eni", NULL);
    add_attribute(attributes, "ecs.capability.container-health-check", NULL);
    add_attribute(attributes, "ecs.capability.container-ordering", NULL);
    add_attribute(attributes, "ecs.capability.container-restart-policy", NULL);
    add_attribute(attributes, "ecs.capability.container-port-range", NULL);
    add_attribute(attributes, "ecs.capability.secrets.asm.environment-variables", NULL);
    add_attribute(attributes, "ecs.capability.secrets.ssm.environment-variables", NULL);
    json_set(doc, "attributes", attributes);
    if (agent->config.gpu_directory != NULL)
        json_set(doc, "gpus", host_gpus(agent->config.gpu_directory));
    return doc;
}

static void
tell_instance(struct agent *agent, bool is_connected)
{
    cleanup_json struct json *doc = instance_doc(agent);
    const struct event e = {
        .type = EVENT_INSTANCE_REPORT,
        .instance_report = {.host = agent->config.host,
                            .is_connected = is_connected,
                            .cpu_total = agent->info.cpu_count * 1024,
                            .memory_total_mib = (int)(agent->info.memory_bytes / (1024 * 1024)),
                            .doc = doc}};

    if (agent->has_reported && agent->is_reported == is_connected)
        return;
    agent->has_reported = true;
    agent->is_reported = is_connected;
    agent->config.report(agent->config.ctx, &e);
}

/* ---- down ---- */

static void
link_down(struct agent *agent, const char *why)
{
    docker_stream_free(TAKE(agent->events));
    docker_lines_done(&agent->event_lines);
    if (agent->link == LINK_UP || !agent->has_reported)
        log_warn("docker.disconnected", "socket=%s error=%s", agent->config.docker_socket, log_quote(why));
    if (agent->down_since_ms == 0)
        agent->down_since_ms = clock_monotonic_ms();
    const bool was_up = agent->link == LINK_UP;
    agent->link = LINK_DOWN;
    agent->ping_failures = 0;
    tell_instance(agent, false);
    if (was_up)
        for (int b = 0; b < RUNNER_BUCKETS; b++)
            for (struct runner *r = agent->runners[b]; r != NULL; r = r->next)
                runner_lost(r);
    loop_timer_set(agent->link_timer, agent->backoff_ms);
    agent->backoff_ms = agent->backoff_ms * 2 > BACKOFF_MAX_MS ? BACKOFF_MAX_MS : agent->backoff_ms * 2;
    agent_advance_all(agent); /* some may have waited long enough */
    resolve_retry(agent);
}

/* ---- events ---- */

static void
take_event(void *arg, struct str line)
{
    struct agent *agent = arg;
    struct docker_event event;
    struct err err = {0};

    if (!docker_parse_event(line, &event, &err)) {
        log_warn("docker.bad_event", "error=%s", log_quote(err.message));
        return;
    }
    if (event.type == DOCKER_OTHER)
        return;
    struct runner *r = agent_find(agent, event.task);
    if (r != NULL)
        runner_event(r, &event);
}

static void
events_data(void *arg, struct str bytes)
{
    struct agent *agent = arg;

    docker_lines_feed(&agent->event_lines, bytes, take_event, agent);
}

static void
events_ended(void *arg, int status, const char *error)
{
    struct agent *agent = arg;

    (void)status;
    link_down(agent, error != NULL ? error : "the event stream ended");
}

/* ---- up ---- */

static void
work_list(struct job *job, struct docker *d)
{
    cleanup_free char *label = text_format(LABEL_INSTALLATION "=%s", job->agent->config.installation);

    job->json = docker_container_list(d, label, &job->err);
    job->is_ok = job->json != NULL;
}

static void
listed(struct job *job)
{
    struct agent *agent = job->agent;

    if (agent->link != LINK_LISTING)
        return; /* the stream broke meanwhile */
    if (!job->is_ok) {
        link_down(agent, job->err.message);
        return;
    }
    json_unref(agent->seen);
    agent->seen = TAKE(job->json);
    agent->link = LINK_UP;
    agent->backoff_ms = BACKOFF_MIN_MS;
    agent->down_since_ms = 0;
    agent->network_state = NETWORK_UNKNOWN;
    log_info("docker.connected", "version=%s api=1.%d containers=%zu", agent->info.version,
             agent->info.api_minor, json_size(agent->seen));
    tell_instance(agent, true);
    loop_timer_set(agent->link_timer, PING_EVERY_MS);
    adopt_resync(agent);
    if (agent->has_begun)
        adopt_begin(agent);
    adopt_retry_stops(agent);
    adopt_retry_removals(agent);
    resolve_retry(agent);
    agent_advance_all(agent);
}

static void
events_opened(void *arg)
{
    struct agent *agent = arg;

    agent->link = LINK_LISTING;
    job_post(job_new(agent, NULL, 0, work_list, listed), agent->watcher);
}

static void
work_connect(struct job *job, struct docker *d)
{
    job->is_ok = docker_negotiate(d, &job->info, &job->err);
}

static void
connected(struct job *job)
{
    static const struct docker_stream_calls calls = {events_opened, events_data, events_ended};
    struct agent *agent = job->agent;
    cleanup(strbuf_done) struct strbuf path = {0};
    cleanup_free char *label = text_format(LABEL_INSTALLATION "=%s", agent->config.installation);

    if (!job->is_ok) {
        link_down(agent, job->err.message);
        return;
    }
    agent->info = job->info;
    docker_path_events(agent->info.api_minor, label, &path);
    agent->events = docker_stream_new(agent->loop, agent->config.docker_socket, strbuf_cstr(&path), &calls, agent);
    loop_timer_set(agent->link_timer, PING_EVERY_MS); /* a stream that never opens is seen by the pings */
}

static void
link_connect(struct agent *agent)
{
    agent->link = LINK_CONNECTING;
    job_post(job_new(agent, NULL, 0, work_connect, connected), agent->watcher);
}

/* ---- pings ---- */

static void
work_ping(struct job *job, struct docker *d)
{
    job->is_ok = docker_ping(d, &job->err);
}

static void
pinged(struct job *job)
{
    struct agent *agent = job->agent;

    agent->is_pinging = false;
    if (agent->link == LINK_DOWN || agent->link == LINK_CONNECTING)
        return;
    if (job->is_ok) {
        agent->ping_failures = 0;
        adopt_retry_removals(agent);
        resolve_retry(agent);
    } else if (++agent->ping_failures >= PING_FAILURES_MAX) {
        link_down(agent, job->err.message);
        return;
    }
    loop_timer_set(agent->link_timer, agent->ping_failures > 0 ? BACKOFF_MIN_MS : PING_EVERY_MS);
}

static void
ping(struct agent *agent)
{
    if (agent->is_pinging)
        return;
    agent->is_pinging = true;
    job_post(job_new(agent, NULL, 0, work_ping, pinged), agent->watcher);
}

static void
on_timer(void *arg)
{
    struct agent *agent = arg;

    if (agent->link == LINK_DOWN)
        link_connect(agent);
    else if (agent->link == LINK_CONNECTING)
        link_down(agent, "the event stream does not open");
    else
        ping(agent);
}

void
link_suspect(struct agent *agent)
{
    if (agent->link == LINK_UP)
        ping(agent);
}

void
link_start(struct agent *agent)
{
    agent->link_timer = loop_timer_new(agent->loop, on_timer, agent);
    agent->backoff_ms = BACKOFF_MIN_MS;
    agent->down_since_ms = clock_monotonic_ms();
    link_connect(agent);
}

void
link_done(struct agent *agent)
{
    docker_stream_free(TAKE(agent->events));
    docker_lines_done(&agent->event_lines);
    loop_timer_free(TAKE(agent->link_timer));
}
