/* SPDX-License-Identifier: MIT */
#include "model/task_set.h"
#include <stdlib.h>
#include "model/row.h"

static const struct row_field task_set_fields[] = {
    TEXT_FIELD(struct task_set, arn),
    TEXT_FIELD(struct task_set, external_id),
    TEXT_FIELD(struct task_set, client_token),
    INT_FIELD(struct task_set, scale),
    BOOL_FIELD(struct task_set, is_draining),
    ENUM_FIELD(struct task_set, stability, stability_status),
    I64_FIELD(struct task_set, stability_at_ms),
    NAMED_FIELD(INT, struct task_set, start_failures, launches.start_failures),
    NAMED_FIELD(I64, struct task_set, launch_after_ms, launches.after_ms),
    JSON_FIELD(struct task_set, tags),
    JSON_FIELD(struct task_set, request),
    FIELDS_END,
};

void
task_set_free(struct task_set *set)
{
    if (set == NULL)
        return;
    row_free_documents(task_set_fields, set);
    free(set);
}

int
task_set_count(const struct task_set *set, int desired_count)
{
    const int64_t part = (int64_t)desired_count * set->scale;

    return set->is_draining ? 0 : (int)((part + SCALE_WHOLE - 1) / SCALE_WHOLE);
}

struct json *
task_set_encode(const struct task_set *set)
{
    return row_encode(task_set_fields, set);
}

struct task_set *
task_set_decode(const struct json *row, struct err *err)
{
    return row_decode_new(task_set_fields, row, sizeof(struct task_set), err);
}
