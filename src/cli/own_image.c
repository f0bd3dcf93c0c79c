/* SPDX-License-Identifier: MIT */
#include "cli/own_image.h"

#include "cli/local.h"

bool
own_image_parse(const char *image, const struct image_home *home, struct image_ref *out)
{
    return image_ref_parse(image, "", home, out, NULL) && out->is_ours && out->digest[0] == '\0';
}

/* A name without a region means the server's own, and one with a region that one, whichever the client works in. */
bool
own_image_check(const struct client_config *config, const char *image, struct err *err)
{
    cleanup_json struct json *input = json_object(), *ids = json_array(), *id = json_object(), *answer = NULL;
    cleanup(client_free_) struct client *client = NULL;
    struct client_config there = *config;
    struct image_ref ref;

    (void)local_server_says(config, "region", there.region, sizeof(there.region));
    const struct image_home home = {
        .account = config->account, .region = there.region, .registry_port = local_port(config)};
    if (!own_image_parse(image, &home, &ref))
        return true;
    text_copy_all(there.region, sizeof(there.region), ref.region);
    client = client_new(&there);
    json_set(id, "imageTag", json_text(ref.tag));
    json_append(ids, json_ref(id));
    json_set(input, "repositoryName", json_text(ref.repository));
    json_set(input, "imageIds", json_ref(ids));
    answer = client_call(client, "ecr", "DescribeImages", input, err);
    return answer != NULL || err_context(err, "image %s (next: docker push %s)", image, image);
}
