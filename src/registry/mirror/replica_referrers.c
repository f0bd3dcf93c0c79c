/* SPDX-License-Identifier: MIT */
/* replica_referrers.c - an image with a subject at a registry that keeps no list of referrers: its
 * clients keep an index under a tag. Whoever else writes that index at the same moment may lose, or
 * make us lose, an entry; the specification has nothing against that. We are one at a time: a registry
 * has one thread of ours (replication_queue.h). */
#include "registry/manifest.h"
#include "registry/mirror/replication_internal.h"
#include "registry/reference.h"

#define INDEX_TYPE "application/vnd.oci.image.index.v1+json"

/* The list as it is there; an empty one if there is none. NULL: what is there is no list. */
static struct json *
list_get(struct remote *remote, const char *repository, const char *tag, struct err *err)
{
    cleanup(strbuf_done) struct strbuf bytes = {0};
    char digest[REGISTRY_DIGEST_SIZE], type[REGISTRY_MEDIA_TYPE_SIZE];
    struct err why = {0};

    if (!remote_manifest_get(remote, repository, tag, &bytes, digest, type, &why)) {
        if (why.code == ERR_IMAGE_NOT_FOUND)
            return json_array();
        if (err != NULL)
            *err = why;
        return NULL;
    }
    cleanup_json struct json *index = json_parse(strbuf_str(&bytes), NULL);
    struct json *list = json_get(index, "manifests");
    if (media_type_is_index(str_of(type)) && json_type(list) == JSON_ARRAY)
        return json_ref(list);
    err_set(err, ERR_UPSTREAM_IMAGE, "the tag '%s' of '%s' there is no list of referrers", tag,
            repository);
    return NULL;
}

static bool
list_put(struct remote *remote, const char *repository, const char *tag, struct json *list,
         struct err *err)
{
    cleanup_json struct json *index = json_object();

    json_set(index, "schemaVersion", json_int(2));
    json_set(index, "mediaType", json_text(INDEX_TYPE));
    json_set(index, "manifests", json_ref(list));
    cleanup_free char *text = json_format(index);
    return remote_manifest_put(remote, repository, tag, str_of(text), INDEX_TYPE, NULL, err);
}

bool
replica_referrer_note(struct remote *remote, const char *repository, struct str bytes,
                      const char *type, const char *digest, struct err *err)
{
    cleanup_json struct json *document = json_parse(bytes, NULL);
    const struct str subject =
        str_of(json_get_cstr(json_get(document, "subject"), "digest", NULL));

    if (!digest_is_valid(subject))
        return true;
    cleanup_free char *tag = referrers_tag(subject);
    cleanup_json struct json *list = list_get(remote, repository, tag, err);
    if (list == NULL)
        return false;
    if (json_find(list, "digest", digest) != NULL)
        return true;
    json_append(list, referrer_descriptor(document, digest, type, bytes.len));
    return list_put(remote, repository, tag, list, err);
}
