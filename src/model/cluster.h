/* SPDX-License-Identifier: MIT */
/* cluster.h - clusters and container instances. */
#pragma once
#include "model/types.h"

struct cluster {
    char arn[ARN_SIZE];
    char name[NAME_SIZE];
    char region[REGION_SIZE];
    enum cluster_status status;
    int64_t created_at_ms;
    struct json *doc;  /* settings, configuration, capacityProviders, ... as DescribeClusters shows */
    struct json *tags; /* array of {key,value} */
    struct cluster *next;
};

/* This machine, once in every cluster: the same host registers with each (one host, many
 * instances; capacity is the host's and shared). */
struct container_instance {
    char arn[ARN_SIZE];
    char id[ID_SIZE];      /* 32 hex, also the target id of type `instance` */
    char cluster_arn[ARN_SIZE];
    char host[64];
    int cpu_total;         /* ECS units */
    int memory_total_mib;
    bool is_connected;     /* its agent answers and Docker does */
    int64_t registered_at_ms;
    struct json *doc;      /* versionInfo, attributes */
    struct container_instance *next;
};

void cluster_free(struct cluster *c);
struct json *cluster_encode(const struct cluster *c);
struct cluster *cluster_decode(const struct json *row, struct err *err);
void container_instance_free(struct container_instance *i);
struct json *container_instance_encode(const struct container_instance *i);
struct container_instance *container_instance_decode(const struct json *row, struct err *err);
