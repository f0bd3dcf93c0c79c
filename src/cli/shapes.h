/* SPDX-License-Identifier: MIT */
/* shapes.h - what the command line knows of the AWS services: operations, members, types.
 * The tables are generated at build time from src/api/models/ (tools/gen_cli_shapes.py), the same
 * models that the server decodes with.  All of it is constant and lives for ever.
 * Start at service_find(). */
#pragma once
#include <stdbool.h>

enum shape_kind {
    SHAPE_STRING,
    SHAPE_INTEGER,
    SHAPE_REAL,
    SHAPE_BOOLEAN,
    SHAPE_TIMESTAMP,
    SHAPE_BLOB,
    SHAPE_DOCUMENT,
    SHAPE_LIST,
    SHAPE_MAP,
    SHAPE_STRUCTURE,
};

struct shape_member;
struct shape {
    enum shape_kind kind;
    const struct shape *element;        /* of lists and maps */
    const struct shape_member *members; /* of structures; in the model's order */
    int member_count;
};

struct shape_member {
    const char *name;   /* in JSON: "desiredCount" */
    const char *wire;   /* in a form; another one in EC2's */
    const char *option; /* on the command line, without dashes: "desired-count" */
    const struct shape *shape;
    bool is_required;
};

struct aws_operation {
    const char *name;          /* "UpdateService" */
    const char *option;        /* "update-service" */
    const struct shape *input; /* a structure; NULL: naru has not built the operation */
    /* Pagination as the AWS CLI does it by itself; all NULL where it does not, limit where a page has its own size. */
    const char *token_in, *token_out, *limit, *result;
};

struct aws_service {
    const char *name;          /* "ecs" */
    const char *signing_name;  /* "elasticloadbalancing" */
    const char *target_prefix; /* of X-Amz-Target; NULL: the Query protocol */
    bool is_ec2;               /* which has EC2's dialect (ec2_form.h) */
    const char *version;       /* "2015-12-01" */
    const struct aws_operation *operations;
    int operation_count;
};

const struct aws_service *service_find(const char *name);
const struct aws_service *service_at(int index); /* NULL behind the last */
const struct aws_operation *operation_find(const struct aws_service *service, const char *option);
const struct aws_operation *operation_named(const struct aws_service *service, const char *name);
const struct shape_member *shape_member_find(const struct shape *structure, const char *name);
const struct shape_member *shape_option_find(const struct shape *structure, const char *option);
const char *shape_kind_name(enum shape_kind kind);
