/* SPDX-License-Identifier: MIT */
#include "cli/shapes.h"

#include <stddef.h>
#include <string.h>
#include "base/cleanup.h"

#include "cli_shapes.inc"

const struct aws_service *
service_find(const char *name)
{
    for (size_t i = 0; i < ARRAY_COUNT(aws_services); i++)
        if (strcmp(aws_services[i].name, name) == 0)
            return &aws_services[i];
    return NULL;
}

const struct aws_service *
service_at(int index)
{
    return index >= 0 && (size_t)index < ARRAY_COUNT(aws_services) ? &aws_services[index] : NULL;
}

const struct aws_operation *
operation_find(const struct aws_service *service, const char *option)
{
    for (int i = 0; i < service->operation_count; i++)
        if (strcmp(service->operations[i].option, option) == 0)
            return &service->operations[i];
    return NULL;
}

const struct aws_operation *
operation_named(const struct aws_service *service, const char *name)
{
    for (int i = 0; i < service->operation_count; i++)
        if (strcmp(service->operations[i].name, name) == 0)
            return &service->operations[i];
    return NULL;
}

const struct shape_member *
shape_member_find(const struct shape *structure, const char *name)
{
    for (int i = 0; i < structure->member_count; i++)
        if (strcmp(structure->members[i].name, name) == 0)
            return &structure->members[i];
    return NULL;
}

const struct shape_member *
shape_option_find(const struct shape *structure, const char *option)
{
    for (int i = 0; i < structure->member_count; i++)
        if (strcmp(structure->members[i].option, option) == 0)
            return &structure->members[i];
    return NULL;
}

const char *
shape_kind_name(enum shape_kind kind)
{
    static const char *const names[] = {
        [SHAPE_STRING] = "string",       [SHAPE_INTEGER] = "integer",     [SHAPE_REAL] = "number",
        [SHAPE_BOOLEAN] = "boolean",     [SHAPE_TIMESTAMP] = "timestamp", [SHAPE_BLOB] = "blob",
        [SHAPE_DOCUMENT] = "document",   [SHAPE_LIST] = "list",           [SHAPE_MAP] = "map",
        [SHAPE_STRUCTURE] = "structure",
    };
    return names[kind];
}
