/* SPDX-License-Identifier: MIT */
#include "cli/own_image.h"

#include "cli/local.h"

bool
own_image_parse(const struct client_config *config, const char *image, struct image_ref *out,
                struct str *repository_out)
{
    const struct image_home home = {
        .account = config->account, .region = config->region, .registry_port = local_port(config)};
    struct str name;

    if (!image_ref_parse(image, "", &home, out, NULL) || !out->is_ours || out->digest[0] != '\0')
        return false;
    name = str_of(out->name);
    *repository_out = str_slice(name, (size_t)str_index(name, '/') + 1, name.len);
    return str_find(name, STR(".dkr.ecr.")) < 0; /* behind our own host: another region's */
}

bool
own_image_check(struct client *client, const char *image, struct err *err)
{
    cleanup_json struct json *input = json_object(), *ids = json_array(), *id = json_object(), *answer = NULL;
    struct image_ref ref;
    struct str repository;

    if (!own_image_parse(client_get_config(client), image, &ref, &repository))
        return true;
    json_set(id, "imageTag", json_text(ref.tag));
    json_append(ids, json_ref(id));
    json_set(input, "repositoryName", json_str(repository));
    json_set(input, "imageIds", json_ref(ids));
    answer = client_call(client, "ecr", "DescribeImages", input, err);
    return answer != NULL || err_context(err, "image %s (next: docker push %s)", image, image);
}
