/* SPDX-License-Identifier: MIT */
#include "model/service.h"
#include <assert.h>
#include "model/row.h"

#define EVENTS_KEPT (EVENTS_MAX + EVENTS_A_ROW)
#define DEPLOYMENTS_MAX 1000 /* far above what the core keeps: a limit for damaged rows */

static const struct row_field load_balancer_fields[] = {
    TEXT_FIELD(struct service_load_balancer, target_group_arn),
    TEXT_FIELD(struct service_load_balancer, container_name),
    INT_FIELD(struct service_load_balancer, container_port),
    TEXT_FIELD(struct service_load_balancer, alternate_group_arn),
    TEXT_FIELD(struct service_load_balancer, production_listener_arn),
    TEXT_FIELD(struct service_load_balancer, test_listener_arn),
    FIELDS_END,
};

static const struct row_field breaker_fields[] = {
    BOOL_FIELD(struct breaker_config, enable),
    BOOL_FIELD(struct breaker_config, rollback),
    BOOL_FIELD(struct breaker_config, reset_on_healthy_task),
    ENUM_FIELD(struct breaker_config, type, threshold_type),
    INT_FIELD(struct breaker_config, value),
    FIELDS_END,
};

static const struct row_field hook_config_fields[] = {
    ENUM_FIELD(struct hook_config, kind, hook_kind),
    INT_FIELD(struct hook_config, stages),
    INT_FIELD(struct hook_config, timeout_min),
    BOOL_FIELD(struct hook_config, continues),
    FIELDS_END,
};

static const struct row_field strategy_fields[] = {
    ENUM_FIELD(struct strategy_config, strategy, deployment_strategy),
    INT_FIELD(struct strategy_config, bake_min),
    INT_FIELD(struct strategy_config, step_permille),
    INT_FIELD(struct strategy_config, step_bake_min),
    BOOL_FIELD(struct strategy_config, succeeds_early),
    BOOL_FIELD(struct strategy_config, cleans_up_later),
    INT_FIELD(struct strategy_config, early_percent),
    FIELDS_END,
};

static const struct row_field hook_run_fields[] = {
    TEXT_FIELD(struct hook_run, id),
    INT_FIELD(struct hook_run, hook),
    ENUM_FIELD(struct hook_run, status, hook_status),
    I64_FIELD(struct hook_run, expires_at_ms),
    INT_FIELD(struct hook_run, attempt),
    I64_FIELD(struct hook_run, call_at_ms),
    INT_FIELD(struct hook_run, unreached),
    TEXT_FIELD(struct hook_run, task_id),
    FIELDS_END,
};

static const struct row_field course_fields[] = {
    BOOL_FIELD(struct course, is_on),
    BOOL_FIELD(struct course, is_returning),
    BOOL_FIELD(struct course, is_frozen),
    ENUM_FIELD(struct course, stage, lifecycle_stage),
    BOOL_FIELD(struct course, has_begun),
    BOOL_FIELD(struct course, has_hooks),
    TEXT_FIELD(struct course, base_id),
    TEXT_FIELD(struct course, via_id),
    INT_FIELD(struct course, share),
    INT_FIELD(struct course, test_share),
    I64_FIELD(struct course, began_at_ms),
    I64_FIELD(struct course, stage_at_ms),
    I64_FIELD(struct course, wait_until_ms),
    ENUM_FIELD(struct course, hook_stage, lifecycle_stage),
    TEXT_FIELD(struct course, hook_note),
    INT_FIELD(struct course, again),
    FIELDS_END,
};

static const struct row_field config_fields[] = {
    INT_FIELD(struct deployment_config, minimum_healthy_percent),
    INT_FIELD(struct deployment_config, maximum_percent),
    BOOL_FIELD(struct deployment_config, watches_alarms),
    BOOL_FIELD(struct deployment_config, alarms_roll_back),
    JSON_FIELD(struct deployment_config, doc),
    FIELDS_END,
};

static const struct row_field image_fields[] = {
    TEXT_FIELD(struct pinned_image, container),
    TEXT_FIELD(struct pinned_image, image),
    TEXT_FIELD(struct pinned_image, digest),
    FIELDS_END,
};

static const struct row_field revision_fields[] = {
    TEXT_FIELD(struct revision, arn),
    TEXT_FIELD(struct revision, id),
    TEXT_FIELD(struct revision, task_definition_arn),
    ENUM_FIELD(struct revision, launch_type, launch_type),
    JSON_FIELD(struct revision, doc),
    I64_FIELD(struct revision, created_at_ms),
    BOOL_FIELD(struct revision, is_resolved),
    INT_FIELD(struct revision, resolve_failures),
    I64_FIELD(struct revision, resolve_at_ms),
    FIELDS_END,
};

static const struct row_field deployment_fields[] = {
    TEXT_FIELD(struct deployment, id),
    ENUM_FIELD(struct deployment, status, deployment_status),
    ENUM_FIELD(struct deployment, rollout_state, rollout_state),
    TEXT_FIELD(struct deployment, rollout_reason),
    INT_FIELD(struct deployment, desired_count),
    INT_FIELD(struct deployment, failed_tasks),
    BOOL_FIELD(struct deployment, has_run),
    BOOL_FIELD(struct deployment, is_failed),
    BOOL_FIELD(struct deployment, is_rollback),
    INT_FIELD(struct deployment, probation_failures),
    I64_FIELD(struct deployment, probation_until_ms),
    I64_FIELD(struct deployment, probation_failed_at_ms),
    INT_FIELD(struct deployment, alternates),
    I64_FIELD(struct deployment, created_at_ms),
    I64_FIELD(struct deployment, updated_at_ms),
    I64_FIELD(struct deployment, completed_at_ms),
    FIELDS_END,
};

static const struct row_field history_fields[] = {
    TEXT_FIELD(struct service_deployment, arn),
    TEXT_FIELD(struct service_deployment, id),
    TEXT_FIELD(struct service_deployment, deployment_id),
    TEXT_FIELD(struct service_deployment, target_revision_arn),
    ENUM_FIELD(struct service_deployment, status, sd_status),
    TEXT_FIELD(struct service_deployment, status_reason),
    ENUM_FIELD(struct service_deployment, breaker_status, breaker_status),
    INT_FIELD(struct service_deployment, breaker_failures),
    INT_FIELD(struct service_deployment, breaker_threshold),
    ENUM_FIELD(struct service_deployment, alarm_status, breaker_status),
    TEXT_FIELD(struct service_deployment, triggered_alarm),
    TEXT_FIELD(struct service_deployment, rollback_reason),
    TEXT_FIELD(struct service_deployment, rollback_revision_arn),
    TEXT_FIELD(struct service_deployment, rollback_deployment_id),
    I64_FIELD(struct service_deployment, rollback_started_at_ms),
    I64_FIELD(struct service_deployment, created_at_ms),
    I64_FIELD(struct service_deployment, started_at_ms),
    I64_FIELD(struct service_deployment, updated_at_ms),
    I64_FIELD(struct service_deployment, finished_at_ms),
    I64_FIELD(struct service_deployment, stopped_at_ms),
    JSON_FIELD(struct service_deployment, config),
    ENUM_FIELD(struct service_deployment, stage, lifecycle_stage),
    I64_FIELD(struct service_deployment, bake_until_ms),
    BOOL_FIELD(struct service_deployment, is_early),
    I64_FIELD(struct service_deployment, stalled_ms),
    FIELDS_END,
};

static const struct row_field service_fields[] = {
    TEXT_FIELD(struct service, arn),
    TEXT_FIELD(struct service, name),
    TEXT_FIELD(struct service, cluster_arn),
    TEXT_FIELD(struct service, cluster_name),
    TEXT_FIELD(struct service, region),
    TEXT_FIELD(struct service, created_by),
    ENUM_FIELD(struct service, status, service_status),
    INT_FIELD(struct service, desired_count),
    INT_FIELD(struct service, health_check_grace_s),
    JSON_FIELD(struct service, doc),
    JSON_FIELD(struct service, tags),
    TEXT_FIELD(struct service, client_token),
    TEXT_FIELD(struct service, invocation),
    I64_FIELD(struct service, created_at_ms),
    I64_FIELD(struct service, deleted_at_ms),
    NAMED_FIELD(INT, struct service, start_failures, launches.start_failures),
    NAMED_FIELD(I64, struct service, launch_after_ms, launches.after_ms),
    BOOL_FIELD(struct service, environment_failed),
    BOOL_FIELD(struct service, is_steady),
    TEXT_FIELD(struct service, last_complaint),
    I64_FIELD(struct service, last_complaint_ms),
    I64_FIELD(struct service, version),
    TEXT_FIELD(struct service, live_id),
    I64_FIELD(struct service, events_ever),
    I64_FIELD(struct service, event_rows),
    FIELDS_END,
};

struct service *
service_new(void)
{
    return mem_new(sizeof(struct service));
}

/* Keeps the newest `count`. */
static void
forget_events(struct service *s, int count)
{
    while (s->event_count > count) {
        struct service_event *e = &s->events[--s->event_count];
        free(e->message);
        json_unref(e->shown);
        json_unref(e->shown_row);
    }
}

static void
reserve_event(struct service *s)
{
    if (s->event_count < s->event_capacity)
        return;
    s->event_capacity = s->event_capacity == 0 ? 8 : s->event_capacity * 2;
    s->events = mem_grow(s->events, (size_t)s->event_capacity, sizeof(s->events[0]));
}

static void
forget_loaded(struct service *s)
{
    json_unref(s->loaded_row);
    s->loaded_row = NULL;
    for (size_t i = 0; i < ARRAY_COUNT(s->loaded_parts); i++) {
        json_unref(s->loaded_parts[i]);
        s->loaded_parts[i] = NULL;
    }
}

void
service_free(struct service *s)
{
    if (s == NULL)
        return;
    for (int i = 0; i < s->revision_count; i++)
        revision_free(s->revisions[i]);
    free(s->revisions);
    while (s->deployments != NULL) {
        struct deployment *d = s->deployments;
        s->deployments = d->next;
        deployment_free(d);
    }
    while (s->history != NULL) {
        struct service_deployment *sd = s->history;
        s->history = sd->next;
        row_free_documents(history_fields, sd);
        free(sd);
    }
    forget_events(s, 0);
    free(s->events);
    placement_rules_done(&s->rules);
    row_free_documents(config_fields, &s->config);
    row_free_documents(service_fields, s);
    forget_loaded(s);
    free(s);
}

void
service_add_event(struct service *s, const char *id, int64_t now_ms, char *message)
{
    struct service_event *e;

    reserve_event(s);
    e = &s->events[0];
    memmove(&s->events[1], e, (size_t)s->event_count * sizeof(*e));
    *e = (struct service_event){.created_at_ms = now_ms, .message = message};
    s->event_count++;
    s->events_ever++;
    text_copy(e->id, sizeof(e->id), str_of(id));
    /* A whole row of them goes at once, and the row that is full by now takes its place in the store. */
    if (s->event_count == EVENTS_KEPT)
        forget_events(s, EVENTS_MAX);
}

struct deployment *
service_primary(const struct service *s)
{
    for (struct deployment *d = s->deployments; d != NULL; d = d->next) {
        if (d->status == DEPLOYMENT_PRIMARY)
            return d;
    }
    return NULL;
}

struct deployment *
service_find_deployment(const struct service *s, const char *id)
{
    for (struct deployment *d = s->deployments; d != NULL; d = d->next) {
        if (strcmp(d->id, id) == 0)
            return d;
    }
    return NULL;
}

struct deployment *
service_deployment_of(const struct service *s, const struct revision *r)
{
    for (struct deployment *d = s->deployments; d != NULL; d = d->next) {
        if (d->revision == r)
            return d;
    }
    return NULL;
}

void
deployment_free(struct deployment *d)
{
    task_set_free(d->set);
    free(d);
}

const char *
deployment_word(const struct deployment *d)
{
    return d->set != NULL ? "taskSet" : "deployment";
}

const char *
deployment_number(const struct deployment *d)
{
    const char *slash = strchr(d->id, '/');

    return slash == NULL ? d->id : slash + 1;
}

void
revision_free(struct revision *r)
{
    if (r == NULL)
        return;
    row_free_documents(revision_fields, r);
    free(r->load_balancers);
    free(r->images);
    free(r);
}

void
service_add_revision(struct service *s, struct revision *r)
{
    assert(s->revision_count < SERVICE_REVISIONS_MAX);
    if (s->revision_count == s->revision_capacity) {
        s->revision_capacity = s->revision_capacity == 0 ? 2 : s->revision_capacity * 2;
        s->revisions =
            mem_grow(s->revisions, (size_t)s->revision_capacity, sizeof(s->revisions[0]));
    }
    s->revisions[s->revision_count++] = r;
}

struct revision *
service_find_revision(const struct service *s, const char *arn)
{
    for (int i = s->revision_count - 1; i >= 0; i--) {
        if (strcmp(s->revisions[i]->arn, arn) == 0)
            return s->revisions[i];
    }
    return NULL;
}

struct service_deployment *
service_current(const struct service *s)
{
    return s->history;
}

const char *
deployment_target_group(const struct deployment *d, int at)
{
    const struct service_load_balancer *lb = &d->revision->load_balancers[at];

    return (d->alternates & 1 << at) != 0 ? lb->alternate_group_arn : lb->target_group_arn;
}

/* ---- to rows ---- */

static struct json *
encode_strategy(const struct strategy_config *config)
{
    struct json *row = row_encode(strategy_fields, config);

    json_set(row, "hooks",
             row_encode_array(hook_config_fields, config->hooks, config->hook_count,
                              sizeof(config->hooks[0])));
    return row;
}

static struct json *
encode_course(const struct course *c)
{
    struct json *row;

    if (!c->is_on && c->stage == STAGE_NONE)
        return NULL;
    row = row_encode(course_fields, c);
    json_set(row, "plan", encode_strategy(&c->plan));
    json_set(row, "hooks",
             row_encode_array(hook_run_fields, c->hooks, c->hook_count, sizeof(c->hooks[0])));
    return row;
}

static struct json *
encode_revision(const struct revision *r)
{
    struct json *row = row_encode(revision_fields, r);

    json_set(row, "load_balancers",
             row_encode_array(load_balancer_fields, r->load_balancers, r->load_balancer_count,
                              sizeof(r->load_balancers[0])));
    json_set(row, "images",
             row_encode_array(image_fields, r->images, r->image_count, sizeof(r->images[0])));
    return row;
}

static struct json *
encode_deployment(const struct deployment *d)
{
    struct json *row = row_encode(deployment_fields, d);

    json_set(row, "revision", json_text(d->revision->arn));
    if (d->set != NULL)
        json_set(row, "set", task_set_encode(d->set));
    return row;
}

static struct json *
encode_service_deployment(const struct service_deployment *sd)
{
    struct json *row = row_encode(history_fields, sd), *sources = json_array();

    for (int i = 0; i < sd->source_count; i++)
        json_append(sources, json_text(sd->source_revision_arns[i]));
    json_set(row, "sources", sources);
    return row;
}

/* Those from `first` to before `end`, counted from the newest. */
static struct json *
encode_events(const struct service *s, int64_t first, int64_t end)
{
    struct json *array = json_array();

    for (int64_t i = first; i < end; i++) {
        struct json *row = json_object();
        json_set(row, "id", json_text(s->events[i].id));
        json_set(row, "at_ms", json_int(s->events[i].created_at_ms));
        json_set(row, "message", json_text(s->events[i].message));
        json_append(array, row);
    }
    return array;
}

/* Of the newest five that any row took, or of the one before ... that stands in this slot. */
static struct json *
encode_event_row(const struct service *s, int64_t slot)
{
    const int64_t last = s->event_rows - 1;
    const int64_t number = last - (last - slot + EVENT_ROWS_MAX) % EVENT_ROWS_MAX;
    const int64_t end = s->events_ever - number * EVENTS_A_ROW; /* counted from the newest */
    struct json *row;

    if (last < 0 || slot < 0 || slot >= EVENT_ROWS_MAX || number < 0 || end > s->event_count)
        return NULL;
    row = json_object();
    json_set(row, "number", json_int(number));
    json_set(row, "events", encode_events(s, end - EVENTS_A_ROW, end));
    return row;
}

static struct json *
encode_any_part(const struct service *s, enum service_part kind, const char *id)
{
    int64_t slot;

    switch (kind) {
    case PART_REVISION:
        for (int i = 0; i < s->revision_count; i++)
            if (s->revisions[i]->has_row && strcmp(s->revisions[i]->id, id) == 0)
                return encode_revision(s->revisions[i]);
        return NULL;
    case PART_DEPLOYMENT:
        for (const struct deployment *d = s->deployments; d != NULL; d = d->next)
            if (d->has_row && strcmp(deployment_number(d), id) == 0)
                return encode_deployment(d);
        return NULL;
    case PART_SERVICE_DEPLOYMENT:
        for (const struct service_deployment *sd = s->history; sd != NULL; sd = sd->next)
            if (sd->has_row && strcmp(sd->id, id) == 0)
                return encode_service_deployment(sd);
        return NULL;
    case PART_EVENTS:
        return str_to_i64(str_of(id), &slot) ? encode_event_row(s, slot) : NULL;
    }
    return NULL;
}

struct json *
service_encode_part(const struct service *s, enum service_part kind, const char *id)
{
    struct json *row = encode_any_part(s, kind, id);

    if (row != NULL)
        json_set(row, "service", json_text(s->arn));
    return row;
}

/* In the service's own row parts that have their rows are only named, in their places: all of them
 * that follow one another in one text, with spaces between.  There may be a hundred, and each
 * change of a count writes this row. */
struct list_out {
    struct json *array;
    struct strbuf names; /* that follow the last item */
};

static void
end_names(struct list_out *list)
{
    if (list->names.len > 0)
        json_append(list->array, json_str(strbuf_str(&list->names)));
    strbuf_clear(&list->names);
}

static void
add_name(struct list_out *list, const char *id)
{
    if (list->names.len > 0)
        strbuf_add_char(&list->names, ' ');
    strbuf_add_cstr(&list->names, id);
}

static void
add_item(struct list_out *list, struct json *item)
{
    end_names(list);
    json_append(list->array, item);
}

static void
encode_lists(const struct service *s, struct json *row)
{
    struct list_out list = {.array = json_array()};
    struct json *revisions = json_array();

    for (int i = 0; i < s->revision_count; i++)
        if (!s->revisions[i]->has_row) /* their ids tell their order */
            json_append(revisions, encode_revision(s->revisions[i]));
    for (const struct deployment *d = s->deployments; d != NULL; d = d->next) {
        if (d->has_row)
            add_name(&list, d->id);
        else
            add_item(&list, encode_deployment(d));
    }
    end_names(&list);
    json_set(row, "revisions", revisions);
    json_set(row, "deployments", list.array);
    list.array = json_array();
    for (const struct service_deployment *sd = s->history; sd != NULL; sd = sd->next) {
        if (sd->has_row)
            add_name(&list, sd->id);
        else
            add_item(&list, encode_service_deployment(sd));
    }
    end_names(&list);
    json_set(row, "history", list.array);
    strbuf_done(&list.names);
}

struct json *
service_encode(const struct service *s)
{
    struct json *row = row_encode(service_fields, s);
    struct json *config = row_encode(config_fields, &s->config);

    json_set(config, "breaker", row_encode(breaker_fields, &s->config.breaker));
    json_set(config, "strategy", encode_strategy(&s->config.strategy));
    json_set(row, "config", config);
    json_set(row, "course", encode_course(&s->course));
    encode_lists(s, row);
    json_set(row, "events",
             encode_events(s, 0, s->events_ever - s->event_rows * EVENTS_A_ROW));
    return row;
}

/* ---- and back ---- */

/* For a list; NULL if it is empty, or longer than it may be: decoding it refuses that. */
static void *
room_for(const struct json *array, size_t max, size_t item_size)
{
    const size_t count = json_size(array);

    return count == 0 || count > max ? NULL : mem_new(count * item_size);
}

static bool
decode_revision(struct service *s, const struct json *row, bool has_row, struct err *err)
{
    const struct json *load_balancers = json_get(row, "load_balancers");
    const struct json *images = json_get(row, "images");
    struct revision *r;

    if (s->revision_count == SERVICE_REVISIONS_MAX)
        return err_set(err, ERR_INTERNAL, "a stored service has too many revisions");
    r = row_decode_new(revision_fields, row, sizeof(*r), err);
    if (r == NULL)
        return false;
    service_add_revision(s, r);
    r->has_row = has_row;
    r->load_balancers = room_for(load_balancers, LOAD_BALANCERS_MAX, sizeof(r->load_balancers[0]));
    r->images = room_for(images, CONTAINERS_MAX, sizeof(r->images[0]));
    return row_decode_array(load_balancer_fields, load_balancers, r->load_balancers,
                            LOAD_BALANCERS_MAX, sizeof(r->load_balancers[0]),
                            &r->load_balancer_count, err) &&
           row_decode_array(image_fields, images, r->images, CONTAINERS_MAX, sizeof(r->images[0]),
                            &r->image_count, err);
}

static int
older_revision_first(const void *a, const void *b)
{
    return strcmp((*(struct revision *const *)a)->id, (*(struct revision *const *)b)->id);
}

static bool
decode_revisions(struct service *s, const struct json *array, const struct json *parts, struct err *err)
{
    for (size_t i = 0; i < json_size(array); i++) {
        if (!decode_revision(s, json_at(array, i), false, err))
            return false;
    }
    for (size_t i = 0; i < json_size(parts); i++) {
        if (!decode_revision(s, json_at(parts, i), true, err))
            return false;
    }
    if (s->revision_count > 1)
        qsort(s->revisions, (size_t)s->revision_count, sizeof(s->revisions[0]),
              older_revision_first);
    return true;
}

static const struct json *
find_part(const struct json *parts, struct str id)
{
    for (size_t i = 0; i < json_size(parts); i++) {
        const char *here = json_get_cstr(json_at(parts, i), "id", NULL);
        if (here != NULL && str_is(id, here))
            return json_at(parts, i);
    }
    return NULL;
}

/* A list being read: items that are there, and texts that name parts. */
struct list_in {
    const struct service *service;
    const struct json *array, *parts;
    size_t index;     /* of the next item */
    struct str names; /* that are left of the present one */
    int count;
    bool has_row;     /* the item given last */
};

/* The next one in `row_out`, NULL at the end.  Fails if a part is missing or there are too many. */
static bool
next_item(struct list_in *list, const struct json **row_out, struct err *err)
{
    *row_out = NULL;
    list->has_row = list->names.len > 0;
    if (!list->has_row && list->index < json_size(list->array)) {
        const struct json *item = json_at(list->array, list->index++);
        list->has_row = json_type(item) == JSON_TEXT;
        if (list->has_row)
            list->names = str_of(json_cstr(item, ""));
        else
            *row_out = item;
    }
    if (list->has_row) {
        const ptrdiff_t space = str_index(list->names, ' ');
        const size_t end = space < 0 ? list->names.len : (size_t)space;
        const struct str id = str_slice(list->names, 0, end);
        list->names = str_slice(list->names, id.len + 1, list->names.len);
        *row_out = find_part(list->parts, id);
        if (*row_out == NULL)
            return err_set(err, ERR_INTERNAL, "the row of '%.*s' of stored service '%s' is missing",
                           id.len < 100 ? (int)id.len : 100, id.at, list->service->name);
    }
    list->count += *row_out != NULL;
    return list->count <= DEPLOYMENTS_MAX ||
           err_set(err, ERR_INTERNAL, "stored service '%s' has too many deployments",
                   list->service->name);
}

static bool
decode_deployments(struct service *s, const struct json *array, const struct json *parts, struct err *err)
{
    struct list_in list = {.service = s, .array = array, .parts = parts};
    struct deployment **end = &s->deployments;
    const struct json *row;

    for (;;) {
        struct deployment *d;
        if (!next_item(&list, &row, err))
            return false;
        if (row == NULL)
            return true;
        d = row_decode_new(deployment_fields, row, sizeof(*d), err);
        if (d == NULL)
            return false;
        *end = d;
        end = &d->next;
        d->has_row = list.has_row;
        d->revision = service_find_revision(s, json_get_cstr(row, "revision", ""));
        if (d->revision == NULL)
            return err_set(err, ERR_INTERNAL, "stored deployment '%s' has no revision", d->id);
        if (json_get(row, "set") != NULL &&
            (d->set = task_set_decode(json_get(row, "set"), err)) == NULL)
            return false;
    }
}

static bool
decode_sources(struct service_deployment *sd, const struct json *array, struct err *err)
{
    const size_t max = ARRAY_COUNT(sd->source_revision_arns);

    if (json_size(array) > max)
        return err_set(err, ERR_INTERNAL, "a stored service deployment has too many sources");
    for (size_t i = 0; i < json_size(array); i++) {
        if (!text_copy(sd->source_revision_arns[i], ARN_SIZE,
                       str_of(json_cstr(json_at(array, i), ""))))
            return err_set(err, ERR_INTERNAL, "a stored source revision is damaged");
        sd->source_count++;
    }
    return true;
}

static bool
decode_history(struct service *s, const struct json *array, const struct json *parts, struct err *err)
{
    struct list_in list = {.service = s, .array = array, .parts = parts};
    struct service_deployment **end = &s->history;
    const struct json *row;

    for (;;) {
        struct service_deployment *sd;
        if (!next_item(&list, &row, err))
            return false;
        if (row == NULL)
            return true;
        sd = row_decode_new(history_fields, row, sizeof(*sd), err);
        if (sd == NULL)
            return false;
        *end = sd;
        end = &sd->next;
        sd->has_row = list.has_row;
        if (!decode_sources(sd, json_get(row, "sources"), err))
            return false;
    }
}

static bool
decode_events(struct service *s, const struct json *array, struct err *err)
{
    if (json_size(array) + (size_t)s->event_count > EVENTS_KEPT)
        return err_set(err, ERR_INTERNAL, "a stored service has too many events");
    for (size_t i = 0; i < json_size(array); i++) {
        const struct json *row = json_at(array, i);
        struct service_event *e;
        reserve_event(s);
        e = &s->events[s->event_count++];
        *e = (struct service_event){.created_at_ms = json_get_i64(row, "at_ms", 0),
                                    .message = text_dup(json_get_cstr(row, "message", ""))};
        if (!text_copy(e->id, sizeof(e->id), str_of(json_get_cstr(row, "id", ""))))
            return err_set(err, ERR_INTERNAL, "a stored service event has a damaged id");
    }
    return true;
}

/* A row of before there were strategies has none: ROLLING. */
static bool
decode_strategy(struct strategy_config *config, const struct json *row, struct err *err)
{
    return row == NULL ||
           (row_decode(strategy_fields, row, config, err) &&
            row_decode_array(hook_config_fields, json_get(row, "hooks"), config->hooks, HOOKS_MAX,
                             sizeof(config->hooks[0]), &config->hook_count, err));
}

static bool
decode_course(struct course *c, const struct json *row, struct err *err)
{
    return row == NULL ||
           (row_decode(course_fields, row, c, err) &&
            decode_strategy(&c->plan, json_get(row, "plan"), err) &&
            row_decode_array(hook_run_fields, json_get(row, "hooks"), c->hooks, HOOKS_MAX,
                             sizeof(c->hooks[0]), &c->hook_count, err));
}

static const struct json *
find_event_row(const struct json *parts, int64_t number)
{
    for (size_t i = 0; i < json_size(parts); i++) {
        if (json_get_i64(json_at(parts, i), "number", -1) == number)
            return json_get(json_at(parts, i), "events");
    }
    return NULL;
}

/* Newest first: those of the service's own row, then row by row. */
static bool
decode_all_events(struct service *s, const struct json *array, const struct json *parts, struct err *err)
{
    if (!decode_events(s, array, err))
        return false;
    if (s->events_ever == 0)
        s->events_ever = s->event_count; /* by a naru that did not count them */
    if (s->event_rows < 0 || s->event_count != s->events_ever - s->event_rows * EVENTS_A_ROW)
        return err_set(err, ERR_INTERNAL, "the events of stored service '%s' are damaged", s->name);
    for (int64_t n = s->event_rows - 1; n >= 0 && n >= s->event_rows - EVENT_ROWS_MAX; n--) {
        const struct json *events = find_event_row(parts, n);
        if (json_size(events) != EVENTS_A_ROW)
            return err_set(err, ERR_INTERNAL, "older events of stored service '%s' are missing", s->name);
        if (!decode_events(s, events, err))
            return false;
    }
    return true;
}

static bool
decode_config(struct deployment_config *config, const struct json *row, struct err *err)
{
    return row_decode(config_fields, row, config, err) &&
           row_decode(breaker_fields, json_get(row, "breaker"), &config->breaker, err) &&
           decode_strategy(&config->strategy, json_get(row, "strategy"), err);
}

struct service *
service_decode(const struct json *row, struct err *err)
{
    struct service *s = row_decode_new(service_fields, row, sizeof(*s), err);

    if (s == NULL)
        return NULL;
    if (!decode_config(&s->config, json_get(row, "config"), err) ||
        !decode_course(&s->course, json_get(row, "course"), err)) {
        service_free(s);
        return NULL;
    }
    s->loaded_row = json_ref(row);
    return s;
}

void
service_add_part(struct service *s, enum service_part kind, const struct json *row)
{
    if (s->loaded_parts[kind] == NULL)
        s->loaded_parts[kind] = json_array();
    json_append(s->loaded_parts[kind], json_ref(row));
}

bool
service_link(struct service *s, struct err *err)
{
    const struct json *row = s->loaded_row;
    struct json *const *parts = s->loaded_parts;

    if (!decode_revisions(s, json_get(row, "revisions"), parts[PART_REVISION], err) ||
        !decode_deployments(s, json_get(row, "deployments"), parts[PART_DEPLOYMENT], err) ||
        !decode_history(s, json_get(row, "history"), parts[PART_SERVICE_DEPLOYMENT], err) ||
        !decode_all_events(s, json_get(row, "events"), parts[PART_EVENTS], err))
        return false;
    forget_loaded(s);
    return true;
}
