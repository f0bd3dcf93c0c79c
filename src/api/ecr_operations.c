/* SPDX-License-Identifier: MIT */
/* ecr_operations.c - which function answers which operation of ECR. */
#include "api/ecr.h"

const struct operation ecr_operations[] = {
    {"BatchCheckLayerAvailability", ACCESS_LOCAL, ecr_batch_check_layer_availability},
    {"BatchDeleteImage", ACCESS_LOCAL, ecr_batch_delete_image},
    {"BatchGetImage", ACCESS_LOCAL, ecr_batch_get_image},
    {"CompleteLayerUpload", ACCESS_LOCAL, ecr_complete_layer_upload},
    {"CreateRepository", ACCESS_LOCAL, ecr_create_repository},
    {"DeleteRegistryPolicy", ACCESS_LOCAL, ecr_delete_registry_policy},
    {"DeleteRepository", ACCESS_LOCAL, ecr_delete_repository},
    {"DeleteRepositoryPolicy", ACCESS_LOCAL, ecr_delete_repository_policy},
    {"DescribeImages", ACCESS_LOCAL, ecr_describe_images},
    {"DescribeRepositories", ACCESS_LOCAL, ecr_describe_repositories},
    {"GetAuthorizationToken", ACCESS_LOCAL, ecr_get_authorization_token},
    {"GetDownloadUrlForLayer", ACCESS_LOCAL, ecr_get_download_url_for_layer},
    {"GetRegistryPolicy", ACCESS_LOCAL, ecr_get_registry_policy},
    {"GetRepositoryPolicy", ACCESS_LOCAL, ecr_get_repository_policy},
    {"InitiateLayerUpload", ACCESS_LOCAL, ecr_initiate_layer_upload},
    {"ListImages", ACCESS_LOCAL, ecr_list_images},
    {"ListTagsForResource", ACCESS_LOCAL, ecr_list_tags_for_resource},
    {"PutImage", ACCESS_LOCAL, ecr_put_image},
    {"PutImageTagMutability", ACCESS_LOCAL, ecr_put_image_tag_mutability},
    {"PutRegistryPolicy", ACCESS_LOCAL, ecr_put_registry_policy},
    {"SetRepositoryPolicy", ACCESS_LOCAL, ecr_set_repository_policy},
    {"TagResource", ACCESS_LOCAL, ecr_tag_resource},
    {"UntagResource", ACCESS_LOCAL, ecr_untag_resource},
    {"UploadLayerPart", ACCESS_LOCAL, ecr_upload_layer_part},
    {0},
};
