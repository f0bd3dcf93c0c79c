/* SPDX-License-Identifier: MIT */
/* requests.h - what operators ask for, one function an event; called by core_step() only.
 * Ids in an event were looked up by the API's door just before, so an unknown one asserts. */
#pragma once
#include "core/index.h"

/* ---- instances.c ---- */
void cluster_create(struct core *core, const struct ev_cluster_create *ev);
void cluster_delete(struct core *core, const struct ev_cluster_delete *ev);
void cluster_update(struct core *core, const struct ev_cluster_update *ev);
void instance_status_set(struct core *core, const struct ev_instance_status *ev);
void instance_attributes_set(struct core *core, const struct ev_instance_attributes *ev);
void instance_reported(struct core *core, const struct ev_instance_report *ev); /* any host */
void instance_link(struct core *core, struct container_instance *i); /* to cluster and machine */
void instance_touch(struct core *core, struct container_instance *i); /* and version + 1 */

/* ---- requests.c ---- */
void task_definition_register(struct core *core, const struct ev_task_definition_register *ev);
void task_definition_deregister(struct core *core, const struct ev_task_definition_deregister *ev);
void tags_set(struct core *core, const struct ev_tags_set *ev);
void load_balancer_put(struct core *core, const struct ev_load_balancer_put *ev);
void load_balancer_delete(struct core *core, const struct ev_load_balancer_delete *ev);
void listener_put(struct core *core, const struct ev_listener_put *ev);
void listener_delete(struct core *core, const struct ev_listener_delete *ev);
void target_group_put(struct core *core, const struct ev_target_group_put *ev);
void target_group_delete(struct core *core, const struct ev_target_group_delete *ev);
/* The balancer gets a new view, and the row is written. */
void config_changed(struct core *core, enum row_kind kind, const char *arn);

/* Where in a list of rows the one of that ARN hangs, or the list's end: what is put there replaces it. */
#define SLOT_OF(list, wanted)                                                                      \
    ({                                                                                             \
        __auto_type at_ = &(list);                                                                 \
        while (*at_ != NULL && strcmp((*at_)->arn, (wanted)) != 0)                                 \
            at_ = &(*at_)->next;                                                                   \
        at_;                                                                                       \
    })

/* ---- service_scheduler.c ---- */
void service_create(struct core *core, const struct ev_service_create *ev);
void service_update(struct core *core, const struct ev_service_update *ev);
void service_rollback(struct core *core, const struct ev_service_rollback *ev);
void service_delete(struct core *core, const struct ev_service_delete *ev);
void service_deployment_stop(struct core *core, const struct ev_service_deployment_stop *ev);
void task_run(struct core *core, const struct ev_task_run *ev);
void task_stop_request(struct core *core, const struct ev_task_stop_request *ev);

/* Puts a service into the lists and maps; used by creation and by loading. */
void service_add(struct core *core, struct service *s);
void replace_doc(struct json **at, const struct json *doc); /* NULL doc: keep */
