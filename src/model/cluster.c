/* SPDX-License-Identifier: MIT */
#include "model/cluster.h"
#include "model/row.h"

static const struct row_field cluster_fields[] = {
    TEXT_FIELD(struct cluster, arn),          TEXT_FIELD(struct cluster, name),
    TEXT_FIELD(struct cluster, region),       ENUM_FIELD(struct cluster, status, cluster_status),
    I64_FIELD(struct cluster, created_at_ms), JSON_FIELD(struct cluster, doc),
    JSON_FIELD(struct cluster, tags),         FIELDS_END,
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
    JSON_FIELD(struct container_instance, doc),
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
