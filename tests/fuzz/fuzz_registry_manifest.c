/* SPDX-License-Identifier: MIT */
/* Manifests as anybody may push them. The first byte chooses the Content-Type. */
#include <assert.h>

#include "registry/manifest.h"
#include "registry/reference.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const types[] = {
        "", "application/vnd.oci.image.manifest.v1+json", "application/vnd.oci.image.index.v1+json",
        "application/vnd.docker.distribution.manifest.v2+json",
        "application/vnd.docker.distribution.manifest.list.v2+json",
        "application/vnd.example.thing"};
    cleanup(arena_done) struct arena arena = {0};
    struct manifest m;
    struct err err = {0};

    if (size == 0)
        return 0;
    struct str type = str_of(types[data[0] % ARRAY_COUNT(types)]);
    struct str bytes = {(const char *)data + 1, size - 1};
    if (!manifest_parse(bytes, type, &arena, &m, &err)) {
        assert((err.code == ERR_MANIFEST_INVALID || err.code == ERR_SIZE_INVALID) &&
               err.message[0] != '\0');
        return 0;
    }
    assert(media_type_is_valid(str_of(m.media_type)) && m.image_size >= 0);
    assert(m.is_known == media_type_is_manifest(str_of(m.media_type)));
    assert(m.subject[0] == '\0' || digest_is_valid(str_of(m.subject)));
    assert(m.is_index == media_type_is_index(str_of(m.media_type)));
    assert(m.reference_count <= MANIFEST_REFERENCES_MAX);
    for (size_t i = 0; i < m.reference_count; i++) {
        assert(digest_is_valid(m.references[i].digest) && m.references[i].size >= 0);
        assert(!m.is_known || m.references[i].is_manifest == m.is_index);
    }
    return 0;
}
