/* SPDX-License-Identifier: MIT */
/* cluster.h - clusters and container instances. */
#pragma once
#include "model/types.h"

struct place_pool;
struct container_instance;

struct cluster {
    char arn[ARN_SIZE];
    char name[NAME_SIZE];
    char region[REGION_SIZE];
    enum cluster_status status;
    int64_t created_at_ms;
    int64_t deleted_at_ms; /* 0: it is not, or a naru of before deleted it */
    struct json *doc;  /* settings, configuration, capacityProviders, ... as DescribeClusters shows */
    struct json *tags; /* array of {key,value} */
    struct cluster *next;

    /* The core's own; not stored. */
    struct container_instance *instances, *last_instance; /* oldest first */
    struct place_pool *pool; /* place_index.h */
};

struct host;
struct place_node;
struct task;

/* A machine, once in every cluster: the same host registers with each (one host, many instances;
 * capacity is the host's and shared). */
struct container_instance {
    char arn[ARN_SIZE];
    char id[ID_SIZE];      /* 32 hex, also the target id of type `instance` */
    char cluster_arn[ARN_SIZE];
    char host[64];
    int cpu_total;         /* ECS units */
    int memory_total_mib;
    bool is_connected;     /* its agent answers and Docker does */
    int64_t registered_at_ms;
    enum instance_status status;
    int64_t version;       /* rises with every change */
    struct json *doc;      /* versionInfo, attributes, gpus (identifiers): what its agent says */
    struct json *custom;   /* array of {name,value}: what PutAttributes added */
    struct json *tags;     /* array of {key,value} */
    struct container_instance *next;

    /* The core's own; not stored. */
    struct cluster *cluster;
    struct container_instance *next_in_cluster, *next_on_machine;
    struct host *machine;
    struct place_node *place; /* where it is filed */
    struct task *tasks;    /* those that hold a place here, newest first */
    int peer_count;        /* of the tasks that the present decision is about; counted anew in each */
};

/* An attribute of its agent or of a user; the value is empty if it has none. */
bool container_instance_attribute(const struct container_instance *i, struct str name,
                                  struct str *value_out);

void cluster_free(struct cluster *c);
struct json *cluster_encode(const struct cluster *c);
struct cluster *cluster_decode(const struct json *row, struct err *err);
void container_instance_free(struct container_instance *i);
struct json *container_instance_encode(const struct container_instance *i);
struct container_instance *container_instance_decode(const struct json *row, struct err *err);
