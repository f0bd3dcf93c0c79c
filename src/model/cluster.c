/* SPDX-License-Identifier: MIT */
#include "model/cluster.h"
#include "model/row.h"

static const struct row_field cluster_fields[] = {
    TEXT_FIELD(struct cluster, arn),          TEXT_FIELD(struct cluster, name),
    TEXT_FIELD(struct cluster, region),       ENUM_FIELD(struct cluster, status, cluster_status),
    I64_FIELD(struct cluster, created_at_ms), I64_FIELD(struct cluster, deleted_at_ms),
    JSON_FIELD(struct cluster, doc),          JSON_FIELD(struct cluster, tags),
    FIELDS_END,
};

static const struct row_field instance_fields[] = {
    TEXT_FIELD(struct container_instance, arn),
    TEXT_FIELD(struct container_instance, id),
    TEXT_FIELD(struct container_instance, cluster_arn),
    TEXT_FIELD(struct container_instance, host),
    INT_FIELD(struct container_instance, cpu_total),
    INT_FIELD(struct container_instance, memory_total_mib),
    BOOL_FIELD(struct container_instance, is_connected),
    I64_FIELD(struct container_instance, registered_at_ms),
    ENUM_FIELD(struct container_instance, status, instance_status),
    I64_FIELD(struct container_instance, version),
    JSON_FIELD(struct container_instance, doc),
    JSON_FIELD(struct container_instance, custom),
    JSON_FIELD(struct container_instance, tags),
    FIELDS_END,
};

void
cluster_free(struct cluster *c)
{
    if (c == NULL)
        return;
    row_free_documents(cluster_fields, c);
    free(c);
}

struct json *
cluster_encode(const struct cluster *c)
{
    return row_encode(cluster_fields, c);
}

struct cluster *
cluster_decode(const struct json *row, struct err *err)
{
    return row_decode_new(cluster_fields, row, sizeof(struct cluster), err);
}

void
container_instance_free(struct container_instance *i)
{
    if (i == NULL)
        return;
    row_free_documents(instance_fields, i);
    free(i);
}

struct json *
container_instance_encode(const struct container_instance *i)
{
    return row_encode(instance_fields, i);
}

struct container_instance *
container_instance_decode(const struct json *row, struct err *err)
{
    return row_decode_new(instance_fields, row, sizeof(struct container_instance), err);
}

static bool
find_attribute(const struct json *list, struct str name, struct str *value_out)
{
    for (size_t i = 0; i < json_size(list); i++) {
        const struct json *a = json_at(list, i);
        if (!str_is(name, json_get_cstr(a, "name", "")))
            continue;
        *value_out = str_of(json_get_cstr(a, "value", NULL));
        return true;
    }
    return false;
}

bool
container_instance_attribute(const struct container_instance *i, struct str name,
                             struct str *value_out)
{
    return find_attribute(i->custom, name, value_out) ||
           find_attribute(json_get(i->doc, "attributes"), name, value_out);
}
