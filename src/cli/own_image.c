/* SPDX-License-Identifier: MIT */
#include "cli/own_image.h"

#include "cli/local.h"

static bool
is_own_host(const struct client_config *config, struct str host)
{
    cleanup_free char *local = text_format("localhost:%u", local_port(config));
    cleanup_free char *address = text_format("127.0.0.1:%u", local_port(config));
    cleanup_free char *ecr = text_format(".dkr.ecr.%s.amazonaws.com", config->region);

    return str_is(host, local) || str_is(host, address) || str_ends(host, str_of(ecr));
}

bool
own_image_split(const struct client_config *config, const char *image, struct str *repository_out,
                struct str *tag_out)
{
    const struct str all = str_of(image);
    const ptrdiff_t slash = str_index(all, '/');
    struct str rest;
    ptrdiff_t colon;

    if (slash < 0 || str_index(all, '@') >= 0 || !is_own_host(config, str_slice(all, 0, (size_t)slash)))
        return false;
    rest = str_slice(all, (size_t)slash + 1, all.len);
    if (strstr(image + slash, ".dkr.ecr.") != NULL) /* behind our own host, another region's */
        return false;
    colon = str_rindex(rest, ':');
    *tag_out = colon < 0 ? STR("latest") : str_slice(rest, (size_t)colon + 1, rest.len);
    *repository_out = colon < 0 ? rest : str_slice(rest, 0, (size_t)colon);
    return true;
}

bool
own_image_check(struct client *client, const char *image, struct err *err)
{
    cleanup_json struct json *input = json_object(), *ids = json_array(), *id = json_object(), *answer = NULL;
    struct str repository, tag;

    if (!own_image_split(client_get_config(client), image, &repository, &tag))
        return true;
    json_set(id, "imageTag", json_str(tag));
    json_append(ids, json_ref(id));
    json_set(input, "repositoryName", json_str(repository));
    json_set(input, "imageIds", json_ref(ids));
    answer = client_call(client, "ecr", "DescribeImages", input, err);
    return answer != NULL || err_context(err, "image %s (next: docker push %s)", image, image);
}
