/* SPDX-License-Identifier: MIT */
#include "model/task.h"
#include <assert.h>
#include "model/row.h"

static const struct row_field binding_fields[] = {
    INT_FIELD(struct network_binding, container_port),
    INT_FIELD(struct network_binding, host_port),
    BOOL_FIELD(struct network_binding, is_udp),
    INT_FIELD(struct network_binding, range_len),
    FIELDS_END,
};

static const struct row_field container_fields[] = {
    TEXT_FIELD(struct task_container, name),
    TEXT_FIELD(struct task_container, id),
    TEXT_FIELD(struct task_container, image),
    TEXT_FIELD(struct task_container, digest),
    TEXT_FIELD(struct task_container, runtime_id),
    ENUM_FIELD(struct task_container, last_status, task_status),
    ENUM_FIELD(struct task_container, health, health_status),
    BOOL_FIELD(struct task_container, has_exit_code),
    INT_FIELD(struct task_container, exit_code),
    TEXT_FIELD(struct task_container, reason),
    FIELDS_END,
};

static const struct row_field target_fields[] = {
    TEXT_FIELD(struct task_target, target_group_arn),
    TEXT_FIELD(struct task_target, target_id),
    INT_FIELD(struct task_target, port),
    BOOL_FIELD(struct task_target, is_registered),
    BOOL_FIELD(struct task_target, is_draining),
    ENUM_FIELD(struct task_target, state, target_state),
    BOOL_FIELD(struct task_target, was_healthy),
    FIELDS_END,
};

static const struct row_field task_fields[] = {
    TEXT_FIELD(struct task, id),
    TEXT_FIELD(struct task, arn),
    TEXT_FIELD(struct task, cluster_arn),
    TEXT_FIELD(struct task, cluster_name),
    TEXT_FIELD(struct task, region),
    TEXT_FIELD(struct task, service_arn),
    TEXT_FIELD(struct task, service_name),
    TEXT_FIELD(struct task, deployment_id),
    TEXT_FIELD(struct task, revision_arn),
    TEXT_FIELD(struct task, task_definition_arn),
    TEXT_FIELD(struct task, group),
    TEXT_FIELD(struct task, started_by),
    TEXT_FIELD(struct task, hook_id),
    TEXT_FIELD(struct task, instance_arn),
    TEXT_FIELD(struct task, capacity_provider),
    ENUM_FIELD(struct task, launch_type, launch_type),
    ENUM_FIELD(struct task, last_status, task_status),
    ENUM_FIELD(struct task, desired_status, task_status),
    ENUM_FIELD(struct task, health, health_status),
    BOOL_FIELD(struct task, has_stop_code),
    ENUM_FIELD(struct task, stop_code, stop_code),
    TEXT_FIELD(struct task, stopped_reason),
    TEXT_FIELD(struct task, address),
    TEXT_FIELD(struct task, mac_address),
    TEXT_FIELD(struct task, attachment_id),
    INT_FIELD(struct task, cpu),
    INT_FIELD(struct task, memory_mib),
    I64_FIELD(struct task, created_at_ms),
    I64_FIELD(struct task, pull_started_at_ms),
    I64_FIELD(struct task, pull_stopped_at_ms),
    I64_FIELD(struct task, started_at_ms),
    I64_FIELD(struct task, execution_stopped_at_ms),
    I64_FIELD(struct task, stopping_at_ms),
    I64_FIELD(struct task, stopped_at_ms),
    I64_FIELD(struct task, healthy_at_ms),
    I64_FIELD(struct task, drain_deadline_ms),
    I64_FIELD(struct task, stop_deadline_ms),
    INT_FIELD(struct task, stop_tries),
    BOOL_FIELD(struct task, is_failure_counted),
    BOOL_FIELD(struct task, is_unhealthy_marked),
    TEXT_FIELD(struct task, unhealthy_reason),
    BOOL_FIELD(struct task, is_moving),
    I64_FIELD(struct task, protected_until_ms),
    INT_FIELD(struct task, version),
    JSON_FIELD(struct task, overrides),
    JSON_FIELD(struct task, gpus),
    JSON_FIELD(struct task, doc),
    JSON_FIELD(struct task, tags),
    JSON_FIELD(struct task, evidence),
    FIELDS_END,
};

struct task *
task_new(void)
{
    return mem_new(sizeof(struct task));
}

void
task_free(struct task *t)
{
    if (t == NULL)
        return;
    row_free_documents(task_fields, t);
    for (int i = 0; i < t->container_count; i++)
        free(t->containers[i].bindings);
    free(t->containers);
    free(t->targets);
    free(t);
}

void
task_make_parts(struct task *t, int container_count, int target_count)
{
    assert(t->containers == NULL && t->targets == NULL);
    assert(container_count >= 0 && container_count <= CONTAINERS_MAX);
    assert(target_count >= 0 && target_count <= LOAD_BALANCERS_MAX);
    t->containers = mem_new((size_t)container_count * sizeof(t->containers[0]));
    t->container_count = container_count;
    t->targets = mem_new((size_t)target_count * sizeof(t->targets[0]));
    t->target_count = target_count;
}

static bool
is_same_binding(const struct network_binding *a, const struct network_binding *b)
{
    return a->container_port == b->container_port && a->host_port == b->host_port &&
           a->is_udp == b->is_udp && a->range_len == b->range_len;
}

bool
task_container_bind(struct task_container *c, const struct network_binding *bindings, int count)
{
    struct network_binding *own = NULL;
    bool is_same = count == c->binding_count;

    assert(count >= 0 && count <= BINDINGS_MAX);
    for (int i = 0; is_same && i < count; i++)
        is_same = is_same_binding(&bindings[i], &c->bindings[i]);
    if (is_same)
        return false;
    if (count > 0) {
        own = mem_new((size_t)count * sizeof(*own));
        memcpy(own, bindings, (size_t)count * sizeof(*own));
    }
    free(c->bindings);
    c->bindings = own;
    c->binding_count = count;
    return true;
}

bool
task_is_wanted(const struct task *t)
{
    return t->desired_status == TASK_RUNNING;
}

const struct json *
task_container_override(const struct json *overrides, const char *container)
{
    return json_find(json_get(overrides, "containerOverrides"), "name", container);
}

static struct json *
encode_containers(const struct task *t)
{
    struct json *array = json_array();

    for (int i = 0; i < t->container_count; i++) {
        const struct task_container *c = &t->containers[i];
        struct json *row = row_encode(container_fields, c);
        json_set(row, "bindings",
                 row_encode_array(binding_fields, c->bindings, c->binding_count,
                                  sizeof(c->bindings[0])));
        json_append(array, row);
    }
    return array;
}

struct json *
task_encode(const struct task *t)
{
    struct json *row = row_encode(task_fields, t);

    json_set(row, "containers", encode_containers(t));
    json_set(row, "targets",
             row_encode_array(target_fields, t->targets, t->target_count, sizeof(t->targets[0])));
    return row;
}

static bool
decode_containers(struct task *t, const struct json *array, struct err *err)
{
    if (!row_decode_array(container_fields, array, t->containers, CONTAINERS_MAX,
                          sizeof(t->containers[0]), &t->container_count, err))
        return false;
    for (int i = 0; i < t->container_count; i++) {
        struct task_container *c = &t->containers[i];
        const struct json *bindings = json_get(json_at(array, (size_t)i), "bindings");
        struct network_binding found[BINDINGS_MAX] = {{0}};
        int count = 0;

        if (!row_decode_array(binding_fields, bindings, found, BINDINGS_MAX, sizeof(found[0]),
                              &count, err))
            return false;
        (void)task_container_bind(c, found, count);
    }
    return true;
}

struct task *
task_decode(const struct json *row, struct err *err)
{
    struct task *t = row_decode_new(task_fields, row, sizeof(*t), err);
    const struct json *containers = json_get(row, "containers"), *targets = json_get(row, "targets");

    if (t == NULL)
        return NULL;
    if (json_size(containers) > CONTAINERS_MAX || json_size(targets) > LOAD_BALANCERS_MAX) {
        err_set(err, ERR_INTERNAL, "a stored task has too many containers or targets");
        task_free(t);
        return NULL;
    }
    task_make_parts(t, (int)json_size(containers), (int)json_size(targets));
    if (!decode_containers(t, containers, err) ||
        !row_decode_array(target_fields, targets, t->targets, LOAD_BALANCERS_MAX, sizeof(t->targets[0]),
                          &t->target_count, err)) {
        task_free(t);
        return NULL;
    }
    return t;
}
