/* SPDX-License-Identifier: MIT */
#include "registry/manifest.h"

#include "registry/reference.h"

static const struct {
    const char *type;
    bool is_index;
} manifest_types[] = {
    {"application/vnd.docker.distribution.manifest.v2+json", false},
    {"application/vnd.oci.image.manifest.v1+json", false},
    {"application/vnd.docker.distribution.manifest.list.v2+json", true},
    {"application/vnd.oci.image.index.v1+json", true},
};

bool
media_type_is_manifest(struct str type)
{
    for (size_t i = 0; i < ARRAY_COUNT(manifest_types); i++)
        if (str_is(type, manifest_types[i].type))
            return true;
    return false;
}

bool
media_type_is_index(struct str type)
{
    for (size_t i = 0; i < ARRAY_COUNT(manifest_types); i++)
        if (str_is(type, manifest_types[i].type))
            return manifest_types[i].is_index;
    return false;
}

/* Layers of Windows images that may only be fetched from their maker. */
static bool
layer_is_foreign(const struct json *descriptor)
{
    const char *type = json_get_cstr(descriptor, "mediaType", "");
    return (strstr(type, ".foreign.") != NULL || strstr(type, ".nondistributable.") != NULL) &&
           json_size(json_get(descriptor, "urls")) > 0;
}

static bool
descriptor_read(const struct json *descriptor, const char *what, struct arena *arena,
                struct manifest_reference *out, struct err *err)
{
    struct str digest = str_of(json_get_cstr(descriptor, "digest", NULL));
    struct json *size = json_get(descriptor, "size");

    if (json_type(descriptor) != JSON_OBJECT)
        return err_set(err, ERR_MANIFEST_INVALID, "the manifest's %s is missing or no object",
                       what);
    if (!digest_is_valid(digest))
        return err_set(err, ERR_MANIFEST_INVALID,
                       "a digest of the manifest's %s is missing or none of sha256 or sha512", what);
    if (json_type(size) != JSON_INT || json_i64(size, -1) < 0)
        return err_set(err, ERR_MANIFEST_INVALID,
                       "a size of the manifest's %s is missing or negative", what);
    if (json_type(json_get(descriptor, "mediaType")) != JSON_TEXT)
        return err_set(err, ERR_MANIFEST_INVALID, "a mediaType of the manifest's %s is missing",
                       what);
    *out =
        (struct manifest_reference){.digest = arena_dup(arena, digest), .size = json_i64(size, 0)};
    return true;
}

static bool
references_read(const struct json *document, struct arena *arena, struct manifest *m,
                struct err *err)
{
    const char *member = m->is_index ? "manifests" : "layers";
    const struct json *list = json_get(document, member);
    size_t count = json_size(list), used = 0;

    if (json_type(list) != JSON_ARRAY)
        return err_set(err, ERR_MANIFEST_INVALID, "the manifest has no list '%s'", member);
    if (count >= MANIFEST_REFERENCES_MAX)
        return err_set(err, ERR_MANIFEST_INVALID, "the manifest names more than %d things",
                       MANIFEST_REFERENCES_MAX);
    m->references = arena_alloc(arena, (count + 1) * sizeof *m->references);
    if (!m->is_index && !descriptor_read(json_get(document, "config"), "config", arena,
                                         &m->references[used++], err))
        return false;
    for (size_t i = 0; i < count; i++) {
        struct json *item = json_at(list, i);
        if (!descriptor_read(item, member, arena, &m->references[used], err))
            return false;
        m->references[used].is_manifest = m->is_index;
        m->references[used].is_foreign = !m->is_index && layer_is_foreign(item);
        used++;
    }
    m->reference_count = used;
    for (size_t i = 0; !m->is_index && i < used; i++)
        if (__builtin_add_overflow(m->image_size, m->references[i].size, &m->image_size))
            return err_set(err, ERR_MANIFEST_INVALID,
                           "the sizes in the manifest add up to no number");
    return true;
}

/* The client's Content-Type and the manifest's own word must agree: one of them decides how every
 * later client reads these bytes. */
static bool
media_type_choose(const struct json *document, struct str sent, struct manifest *m, struct err *err)
{
    struct str own = str_of(json_get_cstr(document, "mediaType", NULL));

    if (sent.len == 0 && own.len == 0)
        own = json_get(document, "manifests") ? STR("application/vnd.oci.image.index.v1+json")
                                              : STR("application/vnd.oci.image.manifest.v1+json");
    struct str type = sent.len > 0 ? sent : own;
    if (json_get(document, "mediaType") && !str_equal(own, type))
        return err_set(err, ERR_MANIFEST_INVALID,
                       "the manifest calls itself '" STR_FMT "' but was sent as '" STR_FMT "'",
                       STR_ARG(str_slice(own, 0, 128)), STR_ARG(str_slice(type, 0, 128)));
    if (!media_type_is_manifest(type))
        return err_set(err, ERR_MANIFEST_INVALID, "media type '" STR_FMT "' is not supported",
                       STR_ARG(str_slice(type, 0, 128)));
    m->is_index = media_type_is_index(type);
    return text_copy(m->media_type, sizeof m->media_type, type);
}

bool
manifest_parse(struct str bytes, struct str media_type, struct arena *arena, struct manifest *out,
               struct err *err)
{
    struct manifest m = {0};

    if (bytes.len > REGISTRY_MANIFEST_MAX)
        return err_set(err, ERR_SIZE_INVALID, "the manifest is larger than %d bytes",
                       REGISTRY_MANIFEST_MAX);
    cleanup_json struct json *document = json_parse(bytes, err);
    if (document == NULL) {
        if (err != NULL)
            err->code = ERR_MANIFEST_INVALID;
        return err_context(err, "the manifest is no JSON");
    }
    if (json_type(document) != JSON_OBJECT)
        return err_set(err, ERR_MANIFEST_INVALID, "the manifest is no JSON object");
    if (json_get_i64(document, "schemaVersion", 0) != 2)
        return err_set(err, ERR_MANIFEST_INVALID, "the manifest's schemaVersion is not 2");
    if (!media_type_choose(document, media_type, &m, err))
        return false;
    if (json_get(document, m.is_index ? "layers" : "manifests") != NULL)
        return err_set(err, ERR_MANIFEST_INVALID, "the manifest is both an image and an index");
    if (!references_read(document, arena, &m, err))
        return false;
    const char *artifact = json_get_cstr(document, "artifactType", NULL);
    if (artifact == NULL)
        artifact = json_get_cstr(json_get(document, "config"), "mediaType", "");
    if (!text_copy(m.artifact_type, sizeof m.artifact_type, str_of(artifact)))
        return err_set(err, ERR_MANIFEST_INVALID, "the manifest's artifactType is too long");
    *out = m;
    return true;
}
