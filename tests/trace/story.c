/* SPDX-License-Identifier: MIT */
#include "story.h"
#include <assert.h>

#define DIGEST "sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define REGION "eu-west-1"
#define MANY_ROWS 200

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
name_hook(struct story *st, const char *id)
{
    for (int i = 0; i < st->hook_count; i++) {
        if (strcmp(st->hooks[i], id) == 0)
            return i + 1;
    }
    assert(st->hook_count < (int)ARRAY_COUNT(st->hooks));
    text_copy(st->hooks[st->hook_count++], sizeof(st->hooks[0]), str_of(id));
    return st->hook_count;
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
add_weights(struct story *st, const char *arn)
{
    const struct listener *l = core_listener(st->core, arn);
    int first = 0, second = 0;

    if (l == NULL) {
        strbuf_add_cstr(&st->trace, " balancer");
        return;
    }
    (void)listener_forwards_to(l, st->group, &first);
    (void)listener_forwards_to(l, st->group2, &second);
    strbuf_addf(&st->trace, " %s %d/%d", strcmp(arn, st->test) == 0 ? "test" : "production", first,
                second);
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
    case EFFECT_IMAGE_PREFETCH:
        strbuf_addf(out, " prefetch %s@%s", e->image_prefetch.image, e->image_prefetch.host);
        return;
    case EFFECT_TASK_START:
        strbuf_addf(out, " %s t%d", e->task_start.only_adopt ? "adopt" : "start",
                    name_arn(st, e->task_start.task_arn));
        if (st->names_hosts)
            strbuf_addf(out, "@%s", story_place(st, name_arn(st, e->task_start.task_arn)));
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
        add_weights(st, e->balancer_config.arn);
        return;
    case EFFECT_HOOK_CALL:
        strbuf_addf(out, " call h%d#%d", name_hook(st, e->hook_call.hook_id), e->hook_call.attempt);
        return;
    case EFFECT_HOOK_CANCEL:
        strbuf_addf(out, " cancel h%d", name_hook(st, e->hook_cancel.hook_id));
        return;
    }
}

static void
write_line(struct story *st, const char *words)
{
    size_t bare;

    strbuf_addf(&st->trace, "%lld %s |", (long long)(st->now_ms - st->start_ms), words);
    bare = st->trace.len;
    for (int i = 0; i < st->effects.count; i++)
        add_effect(st, &st->effects.at[i]);
    if (st->trace.len == bare)
        strbuf_add_cstr(&st->trace, " -");
    strbuf_add_char(&st->trace, '\n');
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
        st->effects.count--; /* not part of the story */
        memmove(&st->effects.at[i], &st->effects.at[i + 1],
                (size_t)(st->effects.count - i) * sizeof(e));
        i--;
        ev.image_resolved.service_arn = e.image_resolve.service_arn;
        ev.image_resolved.revision_arn = e.image_resolve.revision_arn;
        ev.image_resolved.digests = (const char(*)[DIGEST_SIZE])digests;
        ev.image_resolved.digest_count = 1;
        core_step(st->core, &ev, st->now_ms, &st->effects);
    }
}

/* ---- the store: what was committed, as text ---- */

static int
row_find(const struct story *st, enum row_kind kind, const char *key)
{
    int i = 0;

    while (i < st->row_count && (st->rows[i].kind != kind || strcmp(st->rows[i].key, key) != 0))
        i++;
    return i;
}

static void
commit_row(struct story *st, const struct ef_persist *p)
{
    cleanup_json struct json *doc = core_row(st->core, p->kind, p->key);
    const int at = row_find(st, p->kind, p->key);
    struct story_row *row;

    if (at == st->row_count) {
        if (doc == NULL)
            return;
        st->rows = mem_grow(st->rows, (size_t)++st->row_count, sizeof(st->rows[0]));
        st->rows[at] = (struct story_row){.kind = p->kind};
        text_copy(st->rows[at].key, ARN_SIZE, str_of(p->key));
    }
    row = &st->rows[at];
    free(row->text);
    row->text = doc == NULL ? NULL : json_format(doc);
    if (doc == NULL)
        *row = st->rows[--st->row_count];
}

struct checking {
    struct story *st;
    int count;
};

static void
check_row(void *arg, enum row_kind kind, const char *key)
{
    struct checking *c = arg;
    cleanup_json struct json *doc = core_row(c->st->core, kind, key);
    const int at = row_find(c->st, kind, key);
    char *text = json_format(doc);

    check_equal_text(__FILE__, __LINE__, row_kind_name(kind),
                     at == c->st->row_count ? "never persisted" : c->st->rows[at].text, text);
    free(text);
    c->count++;
}

/* Promise 7: whatever a step changed, it persisted.  What one forgot stays wrong until that row is
 * written again, so with MANY_ROWS, where this takes its time, each sixteenth step is looked at. */
static void
check_rows(struct story *st)
{
    struct checking c = {.st = st};

    core_each_row(st->core, check_row, &c);
    check_equal_int(__FILE__, __LINE__, "rows", st->row_count, c.count);
}

static void
commit(struct story *st)
{
    for (int i = 0; i < st->effects.count; i++) {
        if (st->effects.at[i].type == EFFECT_PERSIST)
            commit_row(st, &st->effects.at[i].persist);
    }
    if (st->row_count < MANY_ROWS || ++st->unchecked == 16) {
        check_rows(st);
        st->unchecked = 0;
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
    commit(st);
    write_line(st, words);
}

struct json *
story_json(const char *text)
{
    struct err err;
    struct json *j = json_parse(str_of(text), &err);

    if (j == NULL)
        check_fail(__FILE__, __LINE__, "%s", err.message);
    return j;
}

static void
add_definition(struct story *st, int port, int gpus)
{
    char text[640], required[80] = "";

    if (gpus > 0)
        snprintf(required, sizeof(required),
                 "\"resourceRequirements\":[{\"type\":\"GPU\",\"value\":\"%d\"}],", gpus);
    snprintf(text, sizeof(text),
             "{\"networkMode\":\"bridge\",\"compatibilities\":[\"EC2\"],"
             "\"containerDefinitions\":[{\"name\":\"app\",\"image\":\"my-app:latest\",\"cpu\":10,"
             "\"memory\":16,\"essential\":true,%s\"portMappings\":[{\"containerPort\":80,"
             "\"hostPort\":%d,\"protocol\":\"tcp\"}]}]}",
             required, port);
    story_define(st, text);
}

static void
add_balancing(struct story *st, const char *name, char out[static ARN_SIZE])
{
    struct target_group *tg = mem_new(sizeof(*tg));
    struct event ev = {.type = EVENT_TARGET_GROUP_PUT};

    snprintf(tg->arn, sizeof(tg->arn),
             "arn:aws:elasticloadbalancing:eu-west-1:000000000000:targetgroup/%s/0123456789abcdef",
             name);
    text_copy(out, ARN_SIZE, str_of(tg->arn));
    tg->deregistration_delay_s = 60;
    tg->check = (struct health_check){
        .enabled = true, .interval_s = 5, .unhealthy_threshold = 2, .healthy_threshold = 5};
    ev.target_group_put.target_group = tg;
    story_tell(st, &ev, "group");
}

/* "pa" and "pb": the hosts of the groups "a" and "b". */
static void
add_providers(struct story *st)
{
    static const char *const names[][2] = {{"pa", "a"}, {"pb", "b"}};

    for (size_t i = 0; i < ARRAY_COUNT(names); i++) {
        struct event ev = {.type = EVENT_CAPACITY_PROVIDER_PUT};
        ev.capacity_provider_put.region = REGION;
        ev.capacity_provider_put.name = names[i][0];
        ev.capacity_provider_put.host_group = names[i][1];
        story_tell(st, &ev, "provider");
    }
}

static void
add_listener(struct story *st, const char *name, char arn[static ARN_SIZE])
{
    struct listener *l = mem_new(sizeof(*l));
    struct event ev = {.type = EVENT_LISTENER_PUT, .listener_put = {.listener = l}};
    char text[2 * ARN_SIZE + 256];

    snprintf(l->arn, sizeof(l->arn),
             "arn:aws:elasticloadbalancing:eu-west-1:000000000000:listener/app/lb/0/%s", name);
    text_copy(arn, ARN_SIZE, str_of(l->arn));
    snprintf(text, sizeof(text),
             "[{\"Type\":\"forward\",\"ForwardConfig\":{\"TargetGroups\":[{\"TargetGroupArn\":"
             "\"%s\",\"Weight\":1},{\"TargetGroupArn\":\"%s\",\"Weight\":0}]}}]",
             st->group, st->group2);
    l->actions = story_json(text);
    story_tell(st, &ev, "listener");
}

static void
prepare_balancing(struct story *st, const struct story_options *o)
{
    add_balancing(st, "tg", st->group);
    if (o->has_second_group)
        add_balancing(st, "tg2", st->second_group);
    if (o->strategy.strategy == STRATEGY_ROLLING)
        return;
    add_balancing(st, "tg2", st->group2);
    add_listener(st, "production", st->production);
    if (o->has_test_listener)
        add_listener(st, "test", st->test);
}

static void
add_service(struct story *st, const struct story_options *o)
{
    struct service_load_balancer lb[2] = {{.container_name = "app", .container_port = 80},
                                          {.container_name = "app", .container_port = 80}};
    struct deployment_config config = {.minimum_healthy_percent = o->minimum_healthy_percent,
                                       .maximum_percent = o->maximum_percent,
                                       .breaker = {.enable = o->has_breaker,
                                                   .rollback = o->rolls_back,
                                                   .value = 50,
                                                   .reset_on_healthy_task = !o->no_reset},
                                       .strategy = o->strategy,
                                       .watches_alarms = o->watches_alarms,
                                       .alarms_roll_back = o->watches_alarms};
    cleanup_json struct json *alarms = story_json("{\"alarms\":{\"alarmNames\":[\"bad\",\"worse\"]}}");
    cleanup_json struct json *hooks = o->hooks == NULL ? NULL : story_json(o->hooks);
    struct event ev = {.type = EVENT_SERVICE_CREATE};
    struct ev_service_create *c = &ev.service_create;
    cleanup_json struct json *doc = o->doc == NULL ? NULL : story_json(o->doc), *revision = NULL;
    cleanup_json struct json *tags = o->tags == NULL ? NULL : story_json(o->tags);

    text_copy(lb[0].target_group_arn, ARN_SIZE, str_of(st->group));
    text_copy(lb[1].target_group_arn, ARN_SIZE, str_of(st->second_group));
    text_copy(lb[0].alternate_group_arn, BALANCING_ARN_SIZE, str_of(st->group2));
    text_copy(lb[0].production_listener_arn, BALANCING_ARN_SIZE, str_of(st->production));
    text_copy(lb[0].test_listener_arn, BALANCING_ARN_SIZE, str_of(st->test));
    c->cluster_arn = st->cluster;
    c->name = "web";
    c->created_by = "arn:aws:iam::000000000000:root";
    c->client_token = "";
    c->desired_count = o->desired_count;
    c->task_definition_arn = st->definitions[0];
    c->launch_type = LAUNCH_EC2;
    c->load_balancers = lb;
    c->load_balancer_count = o->has_second_group ? 2 : o->has_load_balancer ? 1 : 0;
    if (o->providers != NULL) {
        revision = json_object();
        json_set(revision, "capacityProviderStrategy", story_json(o->providers));
    }
    if (hooks != NULL)
        json_set(alarms, "lifecycleHooks", json_ref(hooks));
    config.doc = alarms;
    c->config = &config;
    c->revision_doc = revision;
    c->doc = doc;
    c->tags = tags;
    story_tell(st, &ev, "create");
    text_copy(st->service, sizeof(st->service), str_of(st->core->services->arn));
}

struct story *
story_new(const struct story_options *options)
{
    const struct core_options core_options = {
        .account = "000000000000", .default_region = REGION, .seed = 7};
    struct story *st = mem_new(sizeof(*st));
    struct event cluster = {.type = EVENT_CLUSTER_CREATE};

    st->core = core_new(&core_options);
    commit_row(st, &(struct ef_persist){.kind = ROW_META, .key = "core"}); /* made by the seed */
    st->start_ms = st->now_ms = 1767000000000;
    st->next_port = 32768;
    st->resolves_by_itself = !options->keeps_unresolved;
    cluster.cluster_create.region = REGION;
    cluster.cluster_create.name = "c";
    story_tell(st, &cluster, "cluster");
    text_copy(st->cluster, sizeof(st->cluster), str_of(st->core->clusters->arn));
    st->names_hosts = options->hosts != NULL;
    for (const struct story_host *h = options->hosts; h != NULL && h->name != NULL; h++)
        story_machine(st, h, true);
    if (options->hosts == NULL)
        story_host(st, /* cpu= */ 4096, /* is_connected= */ true);
    prepare_balancing(st, options);
    for (int i = 0; i < 4; i++)
        add_definition(st, options->fixed_port, options->gpus);
    if (options->providers != NULL)
        add_providers(st);
    strbuf_clear(&st->trace);
    add_service(st, options);
    return st;
}

struct story *
story_new_running(const struct story_options *options, int desired_count)
{
    struct story_options o = *options;
    struct story *st;

    o.desired_count = desired_count;
    st = story_new(&o);
    story_run_and_heal(st, 1, desired_count);
    CHECK_EQ(service_primary(story_service(st))->rollout_state, ROLLOUT_COMPLETED);
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
    for (int i = 0; i < st->row_count; i++)
        free(st->rows[i].text);
    free(st->rows);
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
story_rollback_to(struct story *st, const char *deployment_id)
{
    struct event ev = {.type = EVENT_SERVICE_ROLLBACK};

    ev.service_rollback.service_arn = st->service;
    ev.service_rollback.deployment_id = deployment_id;
    ev.service_rollback.desired_count = -1;
    story_tell(st, &ev, "rollback");
}

void
story_rollback(struct story *st)
{
    story_rollback_to(st, NULL);
}

void
story_in_force(struct story *st)
{
    int64_t generations[2] = {0};
    int count = 0;

    effects_clear(&st->effects);
    for (const struct listener *l = st->core->listeners; l != NULL; l = l->next)
        generations[count++] = l->generation; /* the balancer has not seen what comes of its word */
    count = 0;
    for (const struct listener *l = st->core->listeners; l != NULL; l = l->next) {
        struct event ev = {.type = EVENT_LISTENER_IN_FORCE};
        ev.listener_in_force.listener_arn = l->arn;
        ev.listener_in_force.generation = generations[count++];
        core_step(st->core, &ev, st->now_ms, &st->effects);
        if (st->resolves_by_itself)
            answer_resolve(st);
    }
    core_check(st->core);
    commit(st);
    write_line(st, "in force");
}

void
story_stop_deployment(struct story *st, bool rolls_back)
{
    struct event ev = {.type = EVENT_SERVICE_DEPLOYMENT_STOP};
    char arn[ARN_SIZE];

    text_copy(arn, sizeof(arn), str_of(service_current(story_service(st))->arn));
    ev.service_deployment_stop.arn = arn;
    ev.service_deployment_stop.rolls_back = rolls_back;
    story_tell(st, &ev, rolls_back ? "stop ROLLBACK" : "stop ABORT");
}

void
story_strategy(struct story *st, const struct strategy_config *strategy)
{
    struct deployment_config config = story_service(st)->config;
    struct event ev = {.type = EVENT_SERVICE_UPDATE};

    config.strategy = *strategy;
    ev.service_update.service_arn = st->service;
    ev.service_update.desired_count = ev.service_update.health_check_grace_s = -1;
    ev.service_update.launch_type = -1;
    ev.service_update.config = &config;
    story_tell(st, &ev, "strategy");
}

enum lifecycle_stage
story_stage(const struct story *st)
{
    return service_current(story_service(st))->stage;
}

void
story_tag(struct story *st, const char *tags)
{
    cleanup_json struct json *doc = story_json(tags);
    struct event ev = {.type = EVENT_TAGS_SET, .tags_set = {.arn = st->service, .tags = doc}};

    story_tell(st, &ev, "tag");
}

void
story_alarm(struct story *st, const char *name, bool is_alarm)
{
    struct event ev = {.type = EVENT_ALARM_STATE};

    ev.alarm_state.region = REGION;
    ev.alarm_state.name = name;
    ev.alarm_state.is_alarm = is_alarm;
    story_tell(st, &ev, is_alarm ? "alarm" : "ok");
}

void
story_protect(struct story *st, int task, int minutes)
{
    struct event ev = {.type = EVENT_TASK_PROTECT};
    char words[64];

    ev.task_protect.task_arn = story_task(st, task)->arn;
    ev.task_protect.duration_ms = minutes * 60000LL;
    snprintf(words, sizeof(words), "protect t%d", task);
    story_tell(st, &ev, words);
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
story_delete(struct story *st)
{
    struct event ev = {.type = EVENT_SERVICE_DELETE};

    ev.service_delete.service_arn = st->service;
    story_tell(st, &ev, "delete");
}

void
story_targets(struct story *st, int port, bool registers)
{
    struct target x = {.port = port};
    struct event ev = {.type = EVENT_TARGETS_CHANGE};

    text_copy(x.id, sizeof(x.id), str_of(st->core->instances->id));
    ev.targets_change = (struct ev_targets_change){.target_group_arn = st->group,
                                                   .registers = registers,
                                                   .targets = &x,
                                                   .target_count = 1};
    story_tell(st, &ev, registers ? "register-targets" : "deregister-targets");
}

void
story_run_task(struct story *st, int definition, int count)
{
    struct event ev = {.type = EVENT_TASK_RUN};

    ev.task_run.cluster_arn = st->cluster;
    ev.task_run.task_definition_arn = st->definitions[definition - 1];
    ev.task_run.count = count;
    story_tell(st, &ev, "run");
}

void
story_define(struct story *st, const char *doc)
{
    struct event ev = {.type = EVENT_TASK_DEFINITION_REGISTER};
    cleanup_json struct json *parsed = story_json(doc);

    ev.task_definition_register.region = REGION;
    ev.task_definition_register.family = "web";
    ev.task_definition_register.doc = parsed;
    story_tell(st, &ev, "definition");
    text_copy(st->definitions[st->definition_count++], ARN_SIZE,
              str_of(st->core->task_definitions->arn));
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

/* What the agent says of a task for which nothing happened meanwhile. */
static void
tell_as_it_was(struct story *st, const struct task *t)
{
    struct event ev = {.type = EVENT_TASK_STATE};

    ev.task_state.task_id = t->id;
    ev.task_state.status = t->last_status;
    ev.task_state.health = t->health;
    ev.task_state.containers = t->containers;
    ev.task_state.container_count = t->container_count;
    core_step(st->core, &ev, st->now_ms, &st->effects);
}

static void
tell_all_as_they_were(struct story *st)
{
    for (int i = 0; i < st->task_count; i++) {
        const struct task *t = story_task(st, i + 1);
        if (t != NULL && t->is_unheard)
            tell_as_it_was(st, t);
    }
}

void
story_heard(struct story *st)
{
    effects_clear(&st->effects);
    tell_all_as_they_were(st);
    commit(st);
    write_line(st, "heard");
}

static void
restart(struct story *st, bool hears_all)
{
    const struct core_options options = st->core->options;
    struct err err;

    core_free(st->core);
    st->core = core_new(&options);
    for (int i = 0; i < st->row_count; i++) {
        cleanup_json struct json *doc = story_json(st->rows[i].text);
        if (!core_load(st->core, st->rows[i].kind, doc, &err))
            check_fail(__FILE__, __LINE__, "%s", err.message);
    }
    if (!core_link(st->core, &err))
        check_fail(__FILE__, __LINE__, "%s", err.message);
    if (st->now_ms < st->core->now_ms)
        st->now_ms = st->core->now_ms; /* the clock was set back: as the engine does */
    effects_clear(&st->effects);
    core_resume(st->core, st->now_ms, &st->effects);
    if (hears_all)
        tell_all_as_they_were(st);
    if (st->resolves_by_itself)
        answer_resolve(st);
    commit(st);
    write_line(st, "restart");
}

void
story_restart(struct story *st)
{
    restart(st, /* hears_all= */ true);
}

void
story_return(struct story *st)
{
    restart(st, /* hears_all= */ false);
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
