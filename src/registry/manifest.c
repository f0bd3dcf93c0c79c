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

/* Signed, and without the digests of what they name: no client has pushed them for years. */
static const char *const refused_types[] = {
    "application/vnd.docker.distribution.manifest.v1+json",
    "application/vnd.docker.distribution.manifest.v1+prettyjws",
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

static bool
is_token_character(char c)
{
    return c > ' ' && c < 0x7f && strchr("\"(),/:;<=>?@[\\]{}", c) == NULL;
}

bool
media_type_is_valid(struct str type)
{
    ptrdiff_t slash = str_index(type, '/');

    if (slash <= 0 || (size_t)slash + 1 >= type.len || type.len >= REGISTRY_MEDIA_TYPE_SIZE)
        return false;
    for (size_t i = 0; i < type.len; i++)
        if (i != (size_t)slash && !is_token_character(type.at[i]))
            return false;
    return true;
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
                       "a digest of the manifest's %s is missing or neither sha256 nor sha512",
                       what);
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
references_reserve(const struct json *document, struct arena *arena, struct manifest *m,
                   struct err *err)
{
    static const char *const lists[] = {"layers", "blobs", "manifests"};
    size_t count = 1;

    for (size_t i = 0; i < ARRAY_COUNT(lists); i++)
        count += json_size(json_get(document, lists[i]));
    if (count > MANIFEST_REFERENCES_MAX)
        return err_set(err, ERR_MANIFEST_INVALID, "the manifest names more than %d things",
                       MANIFEST_REFERENCES_MAX - 1);
    m->references = arena_alloc(arena, count * sizeof *m->references);
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
    if (!m->is_index && !descriptor_read(json_get(document, "config"), "config", arena,
                                         &m->references[used++], err))
        return false;
    for (size_t i = 0; i < count; i++) {
        struct json *item = json_at(list, i);
        if (!descriptor_read(item, member, arena, &m->references[used], err))
            return false;
        m->references[used].is_manifest = m->is_index;
        m->references[used].is_either =
            m->is_index && !media_type_is_manifest(str_of(json_get_cstr(item, "mediaType", "")));
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

/* ---- what a manifest of a type that we do not know may name ---- */

static void
reference_guess(const struct json *descriptor, bool is_manifest, struct arena *arena,
                struct manifest *m)
{
    struct manifest_reference *r = &m->references[m->reference_count];

    if (!descriptor_read(descriptor, "", arena, r, NULL))
        return;
    r->is_manifest = is_manifest;
    r->is_either = is_manifest;
    r->is_foreign = true;
    m->reference_count++;
    if (!is_manifest && __builtin_add_overflow(m->image_size, r->size, &m->image_size))
        m->image_size = 0;
}

static void
references_guess(const struct json *document, struct arena *arena, struct manifest *m)
{
    static const char *const lists[] = {"layers", "blobs", "manifests"};

    reference_guess(json_get(document, "config"), /* is_manifest= */ false, arena, m);
    for (size_t i = 0; i < ARRAY_COUNT(lists); i++) {
        const struct json *list = json_get(document, lists[i]);
        for (size_t k = 0; json_type(list) == JSON_ARRAY && k < json_size(list); k++)
            reference_guess(json_at(list, k), i == 2, arena, m);
    }
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
    if (!media_type_is_valid(type))
        return err_set(err, ERR_MANIFEST_INVALID, "'" STR_FMT "' is no media type",
                       STR_ARG(str_slice(type, 0, 128)));
    for (size_t i = 0; i < ARRAY_COUNT(refused_types); i++)
        if (str_is(type, refused_types[i]))
            return err_set(err, ERR_MANIFEST_INVALID, "media type '" STR_FMT "' is not supported",
                           STR_ARG(type));
    m->is_known = media_type_is_manifest(type);
    m->is_index = media_type_is_index(type);
    return text_copy(m->media_type, sizeof m->media_type, type);
}

static bool
subject_read(const struct json *document, struct manifest *m, struct err *err)
{
    const struct json *subject = json_get(document, "subject");
    struct str digest = str_of(json_get_cstr(subject, "digest", NULL));

    if (subject == NULL || json_type(subject) == JSON_NULL)
        return true;
    if (digest_is_valid(digest))
        return text_copy(m->subject, sizeof m->subject, digest);
    return !m->is_known || err_set(err, ERR_MANIFEST_INVALID,
                                   "the manifest's subject has no sha256 or sha512 digest");
}

/* OCI: of a manifest without an artifactType it is the config's type; of an index it is none. */
static bool
artifact_type_read(const struct json *document, struct manifest *m, struct err *err)
{
    const char *artifact = json_get_cstr(document, "artifactType", "");

    if (artifact[0] == '\0' && !m->is_index)
        artifact = json_get_cstr(json_get(document, "config"), "mediaType", "");
    return text_copy(m->artifact_type, sizeof m->artifact_type, str_of(artifact)) ||
           err_set(err, ERR_MANIFEST_INVALID, "the manifest's artifactType is too long");
}

static bool
known_check(const struct json *document, const struct manifest *m, struct err *err)
{
    if (json_get_i64(document, "schemaVersion", 0) != 2)
        return err_set(err, ERR_MANIFEST_INVALID, "the manifest's schemaVersion is not 2");
    if (json_get(document, m->is_index ? "layers" : "manifests") != NULL)
        return err_set(err, ERR_MANIFEST_INVALID, "the manifest is both an image and an index");
    return true;
}

static bool
document_read(const struct json *document, struct arena *arena, struct manifest *m, struct err *err)
{
    if (!references_reserve(document, arena, m, err) || !subject_read(document, m, err) ||
        !artifact_type_read(document, m, err))
        return false;
    if (m->is_known)
        return known_check(document, m, err) && references_read(document, arena, m, err);
    references_guess(document, arena, m);
    return true;
}

/* Bytes that are no JSON object are a manifest too, if they are of a type that we do not know. */
static bool
opaque_read(struct str media_type, struct manifest *m, struct err *err)
{
    if (media_type.len == 0 || media_type_is_manifest(media_type))
        return err_set(err, ERR_MANIFEST_INVALID, "the manifest is no JSON object");
    return media_type_choose(NULL, media_type, m, err);
}

bool
manifest_parse(struct str bytes, struct str media_type, struct arena *arena, struct manifest *out,
               struct err *err)
{
    struct manifest m = {0};
    struct err why = {0};

    if (bytes.len > REGISTRY_MANIFEST_MAX)
        return err_set(err, ERR_SIZE_INVALID, "the manifest is larger than %d bytes",
                       REGISTRY_MANIFEST_MAX);
    cleanup_json struct json *document = json_parse(bytes, &why);
    if (json_type(document) != JSON_OBJECT) {
        if (!opaque_read(media_type, &m, err))
            return err_context(err, "%s", why.message[0] ? why.message : "not understood");
    } else if (!media_type_choose(document, media_type, &m, err) ||
               !document_read(document, arena, &m, err)) {
        return false;
    }
    *out = m;
    return true;
}

void
manifest_guess(struct str bytes, struct arena *arena, struct manifest *out)
{
    cleanup_json struct json *document = json_parse(bytes, NULL);
    struct manifest m = {0};

    if (json_type(document) == JSON_OBJECT && references_reserve(document, arena, &m, NULL))
        references_guess(document, arena, &m);
    *out = m;
}
