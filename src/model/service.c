/* SPDX-License-Identifier: MIT */
#include "model/service.h"
#include "model/row.h"

#define DEPLOYMENTS_MAX 1000 /* far above what the core keeps: a limit for damaged rows */

static const struct row_field load_balancer_fields[] = {
    TEXT_FIELD(struct service_load_balancer, target_group_arn),
    TEXT_FIELD(struct service_load_balancer, container_name),
    INT_FIELD(struct service_load_balancer, container_port),
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

static const struct row_field config_fields[] = {
    INT_FIELD(struct deployment_config, minimum_healthy_percent),
    INT_FIELD(struct deployment_config, maximum_percent),
    JSON_FIELD(struct deployment_config, doc),
    FIELDS_END,
};

struct pinned_image { /* the members of revision.images, named so that a table can describe them */
    char container[NAME_SIZE];
    char image[IMAGE_SIZE];
    char digest[DIGEST_SIZE];
};
_Static_assert(sizeof(struct pinned_image) == sizeof(((struct revision *)0)->images[0]),
               "pinned_image follows revision.images");

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
    I64_FIELD(struct service, created_at_ms),
    I64_FIELD(struct service, deleted_at_ms),
    INT_FIELD(struct service, start_failures),
    I64_FIELD(struct service, launch_after_ms),
    BOOL_FIELD(struct service, is_steady),
    TEXT_FIELD(struct service, last_complaint),
    I64_FIELD(struct service, last_complaint_ms),
    I64_FIELD(struct service, version),
    FIELDS_END,
};

struct service *
service_new(void)
{
    return mem_new(sizeof(struct service));
}

static void
revision_free(struct revision *r)
{
    if (r == NULL)
        return;
    row_free_documents(revision_fields, r);
    free(r);
}

void
service_free(struct service *s)
{
    if (s == NULL)
        return;
    for (int i = 0; i < s->revision_count; i++)
        revision_free(s->revisions[i]);
    while (s->deployments != NULL) {
        struct deployment *d = s->deployments;
        s->deployments = d->next;
        free(d);
    }
    while (s->history != NULL) {
        struct service_deployment *sd = s->history;
        s->history = sd->next;
        row_free_documents(history_fields, sd);
        free(sd);
    }
    for (int i = 0; i < s->event_count; i++)
        free(s->events[i].message);
    row_free_documents(config_fields, &s->config);
    row_free_documents(service_fields, s);
    free(s);
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

/* ---- to a row ---- */

static struct json *
encode_revisions(const struct service *s)
{
    struct json *array = json_array();

    for (int i = 0; i < s->revision_count; i++) {
        const struct revision *r = s->revisions[i];
        struct json *row = row_encode(revision_fields, r);
        json_set(row, "load_balancers",
                 row_encode_array(load_balancer_fields, r->load_balancers, r->load_balancer_count,
                                  sizeof(r->load_balancers[0])));
        json_set(row, "images",
                 row_encode_array(image_fields, r->images, r->image_count, sizeof(r->images[0])));
        json_append(array, row);
    }
    return array;
}

static struct json *
encode_deployments(const struct service *s)
{
    struct json *array = json_array();

    for (const struct deployment *d = s->deployments; d != NULL; d = d->next) {
        struct json *row = row_encode(deployment_fields, d);
        json_set(row, "revision", json_text(d->revision->arn));
        json_append(array, row);
    }
    return array;
}

static struct json *
encode_history(const struct service *s)
{
    struct json *array = json_array();

    for (const struct service_deployment *sd = s->history; sd != NULL; sd = sd->next) {
        struct json *row = row_encode(history_fields, sd);
        struct json *sources = json_array();
        for (int i = 0; i < sd->source_count; i++)
            json_append(sources, json_text(sd->source_revision_arns[i]));
        json_set(row, "sources", sources);
        json_append(array, row);
    }
    return array;
}

static struct json *
encode_events(const struct service *s)
{
    struct json *array = json_array();

    for (int i = 0; i < s->event_count; i++) {
        struct json *row = json_object();
        json_set(row, "id", json_text(s->events[i].id));
        json_set(row, "at_ms", json_int(s->events[i].created_at_ms));
        json_set(row, "message", json_text(s->events[i].message));
        json_append(array, row);
    }
    return array;
}

struct json *
service_encode(const struct service *s)
{
    struct json *row = row_encode(service_fields, s);
    struct json *config = row_encode(config_fields, &s->config);

    json_set(config, "breaker", row_encode(breaker_fields, &s->config.breaker));
    json_set(row, "config", config);
    json_set(row, "revisions", encode_revisions(s));
    json_set(row, "deployments", encode_deployments(s));
    json_set(row, "history", encode_history(s));
    json_set(row, "events", encode_events(s));
    return row;
}

/* ---- and back ---- */

static bool
decode_revision(struct service *s, const struct json *row, struct err *err)
{
    struct revision *r = row_decode_new(revision_fields, row, sizeof(*r), err);

    if (r == NULL)
        return false;
    s->revisions[s->revision_count++] = r;
    return row_decode_array(load_balancer_fields, json_get(row, "load_balancers"),
                            r->load_balancers, LOAD_BALANCERS_MAX, sizeof(r->load_balancers[0]),
                            &r->load_balancer_count, err) &&
           row_decode_array(image_fields, json_get(row, "images"), r->images, CONTAINERS_MAX,
                            sizeof(r->images[0]), &r->image_count, err);
}

static bool
decode_revisions(struct service *s, const struct json *array, struct err *err)
{
    if (json_size(array) > ARRAY_COUNT(s->revisions))
        return err_set(err, ERR_INTERNAL, "a stored service has too many revisions");
    for (size_t i = 0; i < json_size(array); i++) {
        if (!decode_revision(s, json_at(array, i), err))
            return false;
    }
    return true;
}

static bool
decode_deployments(struct service *s, const struct json *array, struct err *err)
{
    struct deployment **end = &s->deployments;

    if (json_size(array) > DEPLOYMENTS_MAX)
        return err_set(err, ERR_INTERNAL, "a stored service has too many deployments");
    for (size_t i = 0; i < json_size(array); i++) {
        const struct json *row = json_at(array, i);
        struct deployment *d = row_decode_new(deployment_fields, row, sizeof(*d), err);
        if (d == NULL)
            return false;
        *end = d;
        end = &d->next;
        d->revision = service_find_revision(s, json_get_cstr(row, "revision", ""));
        if (d->revision == NULL)
            return err_set(err, ERR_INTERNAL, "stored deployment '%s' has no revision", d->id);
    }
    return true;
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
decode_history(struct service *s, const struct json *array, struct err *err)
{
    struct service_deployment **end = &s->history;

    if (json_size(array) > DEPLOYMENTS_MAX)
        return err_set(err, ERR_INTERNAL, "a stored service has too many service deployments");
    for (size_t i = 0; i < json_size(array); i++) {
        const struct json *row = json_at(array, i);
        struct service_deployment *sd = row_decode_new(history_fields, row, sizeof(*sd), err);
        if (sd == NULL)
            return false;
        *end = sd;
        end = &sd->next;
        if (!decode_sources(sd, json_get(row, "sources"), err))
            return false;
    }
    return true;
}

static bool
decode_events(struct service *s, const struct json *array, struct err *err)
{
    if (json_size(array) > EVENTS_MAX)
        return err_set(err, ERR_INTERNAL, "a stored service has too many events");
    for (size_t i = 0; i < json_size(array); i++) {
        const struct json *row = json_at(array, i);
        struct service_event *e = &s->events[s->event_count++];
        e->message = text_dup(json_get_cstr(row, "message", ""));
        e->created_at_ms = json_get_i64(row, "at_ms", 0);
        if (!text_copy(e->id, sizeof(e->id), str_of(json_get_cstr(row, "id", ""))))
            return err_set(err, ERR_INTERNAL, "a stored service event has a damaged id");
    }
    return true;
}

static bool
decode_config(struct deployment_config *config, const struct json *row, struct err *err)
{
    return row_decode(config_fields, row, config, err) &&
           row_decode(breaker_fields, json_get(row, "breaker"), &config->breaker, err);
}

struct service *
service_decode(const struct json *row, struct err *err)
{
    struct service *s = row_decode_new(service_fields, row, sizeof(*s), err);

    if (s == NULL)
        return NULL;
    if (!decode_config(&s->config, json_get(row, "config"), err) ||
        !decode_revisions(s, json_get(row, "revisions"), err) ||
        !decode_deployments(s, json_get(row, "deployments"), err) ||
        !decode_history(s, json_get(row, "history"), err) ||
        !decode_events(s, json_get(row, "events"), err)) {
        service_free(s);
        return NULL;
    }
    return s;
}
