/* SPDX-License-Identifier: MIT */
#include "story.h"
#include <assert.h>

#define DIGEST "sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define REGION "eu-west-1"

static int
name_task(struct story *st, const char *id)
{
    for (int i = 0; i < st->task_count; i++) {
        if (strcmp(st->ids[i], id) == 0)
            return i + 1;
    }
    assert(st->task_count < STORY_TASKS_MAX);
    text_copy(st->ids[st->task_count++], ID_SIZE, str_of(id));
    return st->task_count;
}

static int
name_target(struct story *st, const struct ef_target_change *c)
{
    for (const struct task *t = st->core->tasks; t != NULL; t = t->next) {
        if (t->target_count > 0 && t->targets[0].port == c->port &&
            strcmp(t->targets[0].target_id, c->target_id) == 0)
            return name_task(st, t->id);
    }
    return 0;
}

static int
name_arn(struct story *st, const char *arn)
{
    return name_task(st, strrchr(arn, '/') + 1);
}

static void
add_effect(struct story *st, const struct effect *e)
{
    struct strbuf *out = &st->trace;

    switch (e->type) {
    case EFFECT_PERSIST:
        return;
    case EFFECT_IMAGE_RESOLVE:
        strbuf_add_cstr(out, " resolve");
        return;
    case EFFECT_TASK_START:
        strbuf_addf(out, " %s t%d", e->task_start.only_adopt ? "adopt" : "start",
                    name_arn(st, e->task_start.task_arn));
        return;
    case EFFECT_TASK_STOP:
        strbuf_addf(out, " stop t%d", name_arn(st, e->task_stop.task_arn));
        return;
    case EFFECT_TASK_FORGET:
        strbuf_addf(out, " forget t%d", name_task(st, e->task_forget.task_id));
        return;
    case EFFECT_TARGET_REGISTER:
        strbuf_addf(out, " register t%d", name_target(st, &e->target_register));
        return;
    case EFFECT_TARGET_DEREGISTER:
        strbuf_addf(out, " deregister t%d", name_target(st, &e->target_deregister));
        return;
    case EFFECT_BALANCER_CONFIG:
        strbuf_add_cstr(out, " balancer");
        return;
    }
}

static void
write_line(struct story *st, const char *words)
{
    const size_t before = st->trace.len;
    size_t bare;

    strbuf_addf(&st->trace, "%lld %s |", (long long)(st->now_ms - st->start_ms), words);
    bare = st->trace.len;
    for (int i = 0; i < st->effects.count; i++)
        add_effect(st, &st->effects.at[i]);
    if (st->trace.len == bare)
        strbuf_add_cstr(&st->trace, " -");
    strbuf_add_char(&st->trace, '\n');
    (void)before;
}

static void
answer_resolve(struct story *st)
{
    for (int i = 0; i < st->effects.count; i++) {
        const struct effect e = st->effects.at[i];
        char digests[1][DIGEST_SIZE] = {DIGEST};
        struct event ev = {.type = EVENT_IMAGE_RESOLVED};
        if (e.type != EFFECT_IMAGE_RESOLVE)
            continue;
        st->effects.at[i].type = EFFECT_PERSIST; /* not part of the story */
        ev.image_resolved.service_arn = e.image_resolve.service_arn;
        ev.image_resolved.revision_arn = e.image_resolve.revision_arn;
        ev.image_resolved.digests = (const char(*)[DIGEST_SIZE])digests;
        ev.image_resolved.digest_count = 1;
        core_step(st->core, &ev, st->now_ms, &st->effects);
    }
}

void
story_tell(struct story *st, const struct event *event, const char *words)
{
    effects_clear(&st->effects);
    core_step(st->core, event, st->now_ms, &st->effects);
    if (st->resolves_by_itself)
        answer_resolve(st);
    core_check(st->core);
    write_line(st, words);
}

static struct json *
parse(const char *text)
{
    struct err err;
    struct json *j = json_parse(str_of(text), &err);

    if (j == NULL)
        check_fail(__FILE__, __LINE__, "%s", err.message);
    return j;
}

static void
add_definition(struct story *st)
{
    struct event ev = {.type = EVENT_TASK_DEFINITION_REGISTER};
    cleanup_json struct json *doc =
        parse("{\"networkMode\":\"bridge\",\"compatibilities\":[\"EC2\"],"
              "\"containerDefinitions\":[{\"name\":\"app\",\"image\":\"my-app:latest\",\"cpu\":10,"
              "\"memory\":16,\"essential\":true,\"portMappings\":[{\"containerPort\":80,"
              "\"hostPort\":0,\"protocol\":\"tcp\"}]}]}");

    ev.task_definition_register.region = REGION;
    ev.task_definition_register.family = "web";
    ev.task_definition_register.doc = doc;
    story_tell(st, &ev, "definition");
    text_copy(st->definitions[st->definition_count++], ARN_SIZE,
              str_of(st->core->task_definitions->arn));
}

static void
add_balancing(struct story *st)
{
    struct target_group *tg = mem_new(sizeof(*tg));
    struct event ev = {.type = EVENT_TARGET_GROUP_PUT};

    snprintf(tg->arn, sizeof(tg->arn),
             "arn:aws:elasticloadbalancing:eu-west-1:000000000000:targetgroup/tg/0123456789abcdef");
    text_copy(st->group, sizeof(st->group), str_of(tg->arn));
    tg->deregistration_delay_s = 60;
    tg->check = (struct health_check){
        .enabled = true, .interval_s = 5, .unhealthy_threshold = 2, .healthy_threshold = 5};
    ev.target_group_put.target_group = tg;
    story_tell(st, &ev, "group");
}

static void
add_service(struct story *st, const struct story_options *o)
{
    struct service_load_balancer lb = {.container_name = "app", .container_port = 80};
    struct deployment_config config = {.minimum_healthy_percent = o->minimum_healthy_percent,
                                       .maximum_percent = o->maximum_percent,
                                       .breaker = {.enable = o->has_breaker,
                                                   .rollback = o->rolls_back,
                                                   .value = 50,
                                                   .reset_on_healthy_task = !o->no_reset}};
    struct event ev = {.type = EVENT_SERVICE_CREATE};
    struct ev_service_create *c = &ev.service_create;

    text_copy(lb.target_group_arn, sizeof(lb.target_group_arn), str_of(st->group));
    c->cluster_arn = st->cluster;
    c->name = "web";
    c->created_by = "arn:aws:iam::000000000000:root";
    c->client_token = "";
    c->desired_count = o->desired_count;
    c->task_definition_arn = st->definitions[0];
    c->launch_type = LAUNCH_EC2;
    c->load_balancers = &lb;
    c->load_balancer_count = o->has_load_balancer ? 1 : 0;
    c->config = &config;
    story_tell(st, &ev, "create");
    text_copy(st->service, sizeof(st->service), str_of(st->core->services->arn));
}

struct story *
story_new(const struct story_options *options)
{
    const struct core_options core_options = {
        .account = "000000000000", .default_region = REGION, .seed = 7};
    struct story *st = mem_new(sizeof(*st));
    struct event cluster = {.type = EVENT_CLUSTER_CREATE}, host = {.type = EVENT_INSTANCE_REPORT};

    st->core = core_new(&core_options);
    st->start_ms = st->now_ms = 1767000000000;
    st->next_port = 32768;
    st->resolves_by_itself = !options->keeps_unresolved;
    cluster.cluster_create.region = REGION;
    cluster.cluster_create.name = "c";
    story_tell(st, &cluster, "cluster");
    text_copy(st->cluster, sizeof(st->cluster), str_of(st->core->clusters->arn));
    host.instance_report.host = "h";
    host.instance_report.is_connected = true;
    host.instance_report.cpu_total = 4096;
    host.instance_report.memory_total_mib = 4096;
    story_tell(st, &host, "host");
    add_balancing(st);
    for (int i = 0; i < 4; i++)
        add_definition(st);
    strbuf_clear(&st->trace);
    add_service(st, options);
    return st;
}

void
story_free(struct story *st)
{
    if (st == NULL)
        return;
    core_free(st->core);
    effects_done(&st->effects);
    strbuf_done(&st->trace);
    free(st);
}

void
story_at(struct story *st, int64_t ms)
{
    assert(st->start_ms + ms >= st->now_ms);
    st->now_ms = st->start_ms + ms;
}

void
story_clock(struct story *st)
{
    const struct event ev = {.type = EVENT_CLOCK};

    story_tell(st, &ev, "clock");
}

struct task *
story_task(const struct story *st, int task)
{
    return core_task_by_id(st->core, st->ids[task - 1]);
}

struct service *
story_service(const struct story *st)
{
    return core_service_by_arn(st->core, st->service);
}

static void
report_at(struct story *st, int task, int port, enum task_status status, int exit_code,
          const char *reason, bool is_infrastructure, const char *verb)
{
    struct task_container c = {.name = "app", .last_status = status};
    struct event ev = {.type = EVENT_TASK_STATE};
    char words[64];

    if (status == TASK_RUNNING) {
        c.binding_count = 1;
        c.bindings[0].container_port = 80;
        c.bindings[0].host_port = port;
    }
    c.has_exit_code = status == TASK_STOPPED && reason == NULL;
    c.exit_code = exit_code;
    ev.task_state.task_id = st->ids[task - 1];
    ev.task_state.status = status;
    ev.task_state.containers = &c;
    ev.task_state.container_count = 1;
    ev.task_state.reason = reason;
    ev.task_state.is_infrastructure = is_infrastructure;
    snprintf(words, sizeof(words), "%s t%d", verb, task);
    story_tell(st, &ev, words);
}

static void
report(struct story *st, int task, enum task_status status, int exit_code, const char *reason,
       bool is_infrastructure, const char *verb)
{
    const struct task *t = story_task(st, task);
    int port = t != NULL && t->target_count > 0 ? t->targets[0].port : 0;

    if (port == 0 && status == TASK_RUNNING)
        port = st->next_port++;
    report_at(st, task, port, status, exit_code, reason, is_infrastructure, verb);
}

void
story_moved(struct story *st, int task)
{
    report_at(st, task, st->next_port++, TASK_RUNNING, 0, NULL, false, "moved");
}

void
story_running(struct story *st, int task)
{
    report(st, task, TASK_RUNNING, 0, NULL, false, "running");
}

void
story_stopped(struct story *st, int task, int exit_code)
{
    report(st, task, TASK_STOPPED, exit_code, NULL, false, "stopped");
}

void
story_failed_to_start(struct story *st, int task)
{
    report(st, task, TASK_STOPPED, 0, "CannotPullContainerError: manifest unknown", false,
           "failed");
}

void
story_lost(struct story *st, int task)
{
    report(st, task, TASK_STOPPED, 0, "DockerTimeoutError: no answer", true, "lost");
}

int64_t
story_registration(const struct story *st, int task)
{
    const struct task_target *tt = &story_task(st, task)->targets[0];
    const struct target *x =
        target_group_find(core_target_group(st->core, st->group), tt->target_id, tt->port);

    return x == NULL ? 0 : x->registration;
}

static void
health(struct story *st, int task, enum target_state state)
{
    const struct task_target *tt = &story_task(st, task)->targets[0];
    struct event ev = {.type = EVENT_TARGET_HEALTH};
    char words[64];

    ev.target_health.target_group_arn = st->group;
    ev.target_health.target_id = tt->target_id;
    ev.target_health.port = tt->port;
    ev.target_health.registration = story_registration(st, task);
    ev.target_health.state = state;
    if (state == TARGET_unhealthy) {
        ev.target_health.reason = "Target.ResponseCodeMismatch";
        ev.target_health.description = "Health checks failed with these codes: [500]";
    }
    snprintf(words, sizeof(words), "%s t%d", target_state_name(state), task);
    story_tell(st, &ev, words);
}

void
story_healthy(struct story *st, int task)
{
    health(st, task, TARGET_healthy);
}

void
story_unhealthy(struct story *st, int task)
{
    health(st, task, TARGET_unhealthy);
}

void
story_drained(struct story *st, int task)
{
    story_drained_of(st, task, story_registration(st, task));
}

void
story_drained_of(struct story *st, int task, int64_t registration)
{
    const struct task_target *tt = &story_task(st, task)->targets[0];
    struct event ev = {.type = EVENT_TARGET_DRAINED};
    char words[64];

    ev.target_drained.target_group_arn = st->group;
    ev.target_drained.target_id = tt->target_id;
    ev.target_drained.port = tt->port;
    ev.target_drained.registration = registration;
    snprintf(words, sizeof(words), "drained t%d", task);
    story_tell(st, &ev, words);
}

static void
update(struct story *st, int definition, int desired_count, const char *words)
{
    struct event ev = {.type = EVENT_SERVICE_UPDATE};
    struct ev_service_update *u = &ev.service_update;

    u->service_arn = st->service;
    u->desired_count = desired_count;
    u->health_check_grace_s = -1;
    u->launch_type = -1;
    if (definition > 0) {
        u->starts_deployment = true;
        u->task_definition_arn = st->definitions[definition - 1];
    }
    story_tell(st, &ev, words);
}

void
story_update(struct story *st, int definition)
{
    char words[64];

    snprintf(words, sizeof(words), "update web:%d", definition);
    update(st, definition, -1, words);
}

void
story_desired(struct story *st, int count)
{
    char words[64];

    snprintf(words, sizeof(words), "desired %d", count);
    update(st, 0, count, words);
}

void
story_rollback(struct story *st)
{
    struct event ev = {.type = EVENT_SERVICE_ROLLBACK};

    ev.service_rollback.service_arn = st->service;
    ev.service_rollback.desired_count = -1;
    story_tell(st, &ev, "rollback");
}

void
story_stop_task(struct story *st, int task)
{
    struct event ev = {.type = EVENT_TASK_STOP_REQUEST};
    char words[64];

    ev.task_stop_request.task_arn = story_task(st, task)->arn;
    ev.task_stop_request.reason = "because";
    snprintf(words, sizeof(words), "stop-task t%d", task);
    story_tell(st, &ev, words);
}

void
story_resolved(struct story *st, const char *digest, const char *error)
{
    const struct deployment *p = service_primary(story_service(st));
    char digests[1][DIGEST_SIZE] = {""};
    char revision[ARN_SIZE];
    struct event ev = {.type = EVENT_IMAGE_RESOLVED};

    text_copy(revision, sizeof(revision), str_of(p->revision->arn));
    if (digest != NULL)
        text_copy(digests[0], DIGEST_SIZE, str_of(digest));
    ev.image_resolved.service_arn = st->service;
    ev.image_resolved.revision_arn = revision;
    ev.image_resolved.digests = (const char(*)[DIGEST_SIZE])digests;
    ev.image_resolved.digest_count = 1;
    ev.image_resolved.error = error;
    story_tell(st, &ev, error != NULL ? "unresolved" : "resolved");
}

void
story_run_and_heal(struct story *st, int first, int last)
{
    for (int i = first; i <= last; i++)
        story_running(st, i);
    for (int i = first; i <= last; i++) {
        if (story_task(st, i)->target_count > 0)
            story_healthy(st, i);
    }
    strbuf_clear(&st->trace);
}

#define ROWS_MAX 1024

struct rows {
    enum row_kind kinds[ROWS_MAX];
    struct json *docs[ROWS_MAX];
    int count;
};

struct taking {
    const struct core *core;
    struct rows *rows;
};

static void
keep_row(void *arg, enum row_kind kind, const char *key)
{
    const struct taking *t = arg;
    cleanup_json struct json *row = core_row(t->core, kind, key);
    char *text = json_format(row);

    assert(t->rows->count < ROWS_MAX);
    t->rows->kinds[t->rows->count] = kind;
    t->rows->docs[t->rows->count++] = parse(text); /* through text, as through the store */
    free(text);
}

static struct rows *
take_rows(const struct core *core)
{
    struct taking t = {core, mem_new(sizeof(struct rows))};

    core_each_row(core, keep_row, &t);
    return t.rows;
}

void
story_restart(struct story *st)
{
    const struct core_options options = st->core->options;
    struct rows *rows = take_rows(st->core);
    struct err err;

    core_free(st->core);
    st->core = core_new(&options);
    for (int i = 0; i < rows->count; i++) {
        if (!core_load(st->core, rows->kinds[i], rows->docs[i], &err))
            check_fail(__FILE__, __LINE__, "%s", err.message);
        json_unref(rows->docs[i]);
    }
    free(rows);
    if (!core_link(st->core, &err))
        check_fail(__FILE__, __LINE__, "%s", err.message);
    effects_clear(&st->effects);
    core_resume(st->core, st->now_ms, &st->effects);
    if (st->resolves_by_itself)
        answer_resolve(st);
    write_line(st, "restart");
}

bool
story_has_event(const struct story *st, const char *part)
{
    const struct service *s = story_service(st);

    for (int i = 0; i < s->event_count; i++) {
        if (strstr(s->events[i].message, part) != NULL)
            return true;
    }
    return false;
}

void
story_check_trace(struct story *st, const char *file, int line, const char *want)
{
    check_equal_text(file, line, "trace", strbuf_cstr(&st->trace), want);
    strbuf_clear(&st->trace);
}
