/* SPDX-License-Identifier: MIT */
/* ecs_operations.h - the ECS handlers; their rows stand in ecs_operations.c.
 * See operations.h for what a handler may do. */
#pragma once
#include "api/operations.h"

operation_handler ecs_put_account_setting, ecs_delete_account_setting, ecs_list_account_settings;
operation_handler ecs_create_cluster, ecs_describe_clusters, ecs_list_clusters, ecs_delete_cluster;
operation_handler ecs_update_cluster, ecs_update_cluster_settings;
operation_handler ecs_list_container_instances, ecs_describe_container_instances,
    ecs_update_container_instances_state;
operation_handler ecs_put_attributes, ecs_delete_attributes, ecs_list_attributes;
operation_handler ecs_register_task_definition, ecs_describe_task_definition,
    ecs_list_task_definitions, ecs_list_task_definition_families, ecs_deregister_task_definition,
    ecs_delete_task_definitions;
operation_handler ecs_create_service, ecs_update_service, ecs_describe_services, ecs_list_services,
    ecs_delete_service, ecs_list_services_by_namespace;
operation_handler ecs_create_task_set, ecs_update_task_set, ecs_delete_task_set, ecs_describe_task_sets,
    ecs_update_service_primary_task_set;
operation_handler ecs_run_task, ecs_start_task, ecs_stop_task, ecs_describe_tasks, ecs_list_tasks;
operation_handler ecs_update_task_protection, ecs_get_task_protection;
operation_handler ecs_list_service_deployments, ecs_describe_service_deployments,
    ecs_describe_service_revisions, ecs_stop_service_deployment, ecs_continue_service_deployment;
operation_handler ecs_tag_resource, ecs_untag_resource, ecs_list_tags_for_resource;
operation_handler ecs_create_capacity_provider, ecs_describe_capacity_providers,
    ecs_update_capacity_provider, ecs_delete_capacity_provider, ecs_put_cluster_capacity_providers;

/* What holds for the principal: set for it, for everybody, or the default; "" if there is no such. */
const char *ecs_account_setting(const struct request *rq, const char *principal, const char *name);
/* settings, configuration and serviceConnectDefaults of a cluster. */
bool ecs_check_cluster(const struct json *input, struct err *err);
