/* SPDX-License-Identifier: MIT */
/* row.h - structs to store rows and back, by tables; used inside model/ (and by the core's META row).
 * A table names the members of a struct: X_FIELD(struct, member) each, then FIELDS_END.  The member's
 * name is its name in the row.  What is zero or empty is left out, so rows stay small; what a row
 * lacks is zero, so an older row can be read by a newer program.
 * A row was written by us: a wrong type, an unknown enum name or a text that does not fit means that the
 * store is damaged, and is refused with the member's name. */
#pragma once
#include <stddef.h>
#include "model/types.h"

enum field_type { FIELD_TEXT, FIELD_INT, FIELD_I64, FIELD_BOOL, FIELD_ENUM, FIELD_JSON };

struct enum_names {
    const char *const *names;
    int count;
};

struct row_field {
    const char *name;
    enum field_type type;
    size_t offset, size;
    const struct enum_names *names;
};

#define FIELD_OF(kind, type, member, names)                                                        \
    {                                                                                              \
        #member, FIELD_##kind, offsetof(type, member), sizeof(((type *)0)->member), names          \
    }
#define TEXT_FIELD(type, member) FIELD_OF(TEXT, type, member, NULL)
#define INT_FIELD(type, member) FIELD_OF(INT, type, member, NULL)
#define I64_FIELD(type, member) FIELD_OF(I64, type, member, NULL)
#define BOOL_FIELD(type, member) FIELD_OF(BOOL, type, member, NULL)
#define JSON_FIELD(type, member) FIELD_OF(JSON, type, member, NULL)
/* Of a part of the object, with a name of its own in the row. */
#define NAMED_FIELD(kind, type, name, member)                                                      \
    {                                                                                              \
        #name, FIELD_##kind, offsetof(type, member), sizeof(((type *)0)->member), NULL             \
    }
#define ENUM_FIELD(type, member, prefix) FIELD_OF(ENUM, type, member, &prefix##_names)
#define FIELDS_END {NULL, FIELD_TEXT, 0, 0, NULL}

struct json *row_encode(const struct row_field *fields, const void *object);
/* Fills a zeroed object; references to documents are taken, also when it fails half-way. */
bool row_decode(const struct row_field *fields, const struct json *row, void *object,
                struct err *err);
/* The same for an array inside a struct: `stride` bytes an item, at most `max` of them. */
struct json *row_encode_array(const struct row_field *fields, const void *items, int count,
                              size_t stride);
bool row_decode_array(const struct row_field *fields, const struct json *array, void *items,
                      int max, size_t stride, int *count_out, struct err *err);
/* Decodes into a fresh object of `size` bytes or calls `discard` and gives NULL. */
void *row_decode_new(const struct row_field *fields, const struct json *row, size_t size,
                     struct err *err) MUST_CHECK;
void row_free_documents(const struct row_field *fields, void *object); /* its FIELD_JSON members */

#define DECLARE_NAMES(prefix) extern const struct enum_names prefix##_names;
DECLARE_NAMES(cluster_status)
DECLARE_NAMES(instance_status)
DECLARE_NAMES(service_status)
DECLARE_NAMES(task_definition_status)
DECLARE_NAMES(task_status)
DECLARE_NAMES(health_status)
DECLARE_NAMES(launch_type)
DECLARE_NAMES(network_mode)
DECLARE_NAMES(deployment_status)
DECLARE_NAMES(stability_status)
DECLARE_NAMES(rollout_state)
DECLARE_NAMES(sd_status)
DECLARE_NAMES(breaker_status)
DECLARE_NAMES(threshold_type)
DECLARE_NAMES(deployment_strategy)
DECLARE_NAMES(lifecycle_stage)
DECLARE_NAMES(hook_status)
DECLARE_NAMES(hook_kind)
DECLARE_NAMES(hook_outcome)
DECLARE_NAMES(target_state)
DECLARE_NAMES(target_type)
DECLARE_NAMES(network_kind)
DECLARE_NAMES(stop_code)
