/* SPDX-License-Identifier: MIT */
#include "api/ecs_operations.h"

/* Operations of the model without a row here are known and not built. */
const struct operation ecs_operations[] = {
    {"CreateCluster", ACCESS_WRITE, ecs_create_cluster},
    {"CreateService", ACCESS_WRITE, ecs_create_service},
    {"DeleteCluster", ACCESS_WRITE, ecs_delete_cluster},
    {"DeleteService", ACCESS_WRITE, ecs_delete_service},
    {"DeregisterTaskDefinition", ACCESS_WRITE, ecs_deregister_task_definition},
    {"DescribeClusters", ACCESS_READ, ecs_describe_clusters},
    {"DescribeContainerInstances", ACCESS_READ, ecs_describe_container_instances},
    {"DescribeServiceDeployments", ACCESS_READ, ecs_describe_service_deployments},
    {"DescribeServiceRevisions", ACCESS_READ, ecs_describe_service_revisions},
    {"DescribeServices", ACCESS_READ, ecs_describe_services},
    {"DescribeTaskDefinition", ACCESS_READ, ecs_describe_task_definition},
    {"DescribeTasks", ACCESS_READ, ecs_describe_tasks},
    {"ListClusters", ACCESS_READ, ecs_list_clusters},
    {"ListContainerInstances", ACCESS_READ, ecs_list_container_instances},
    {"ListServiceDeployments", ACCESS_READ, ecs_list_service_deployments},
    {"ListServices", ACCESS_READ, ecs_list_services},
    {"ListTagsForResource", ACCESS_READ, ecs_list_tags_for_resource},
    {"ListTaskDefinitionFamilies", ACCESS_READ, ecs_list_task_definition_families},
    {"ListTaskDefinitions", ACCESS_READ, ecs_list_task_definitions},
    {"ListTasks", ACCESS_READ, ecs_list_tasks},
    {"RegisterTaskDefinition", ACCESS_WRITE, ecs_register_task_definition},
    {"RunTask", ACCESS_WRITE, ecs_run_task},
    {"StopServiceDeployment", ACCESS_WRITE, ecs_stop_service_deployment},
    {"StopTask", ACCESS_WRITE, ecs_stop_task},
    {"TagResource", ACCESS_WRITE, ecs_tag_resource},
    {"UntagResource", ACCESS_WRITE, ecs_untag_resource},
    {"UpdateService", ACCESS_WRITE, ecs_update_service},
    {0},
};
