/* SPDX-License-Identifier: MIT */
/* manifest.h - what a manifest says: image manifests (Docker schema 2, OCI) and indexes (OCI index,
 * Docker manifest list), which are checked, and manifests of any other type, which are kept as they
 * are with whatever they seem to name. Pure: bytes in, digests out. */
#pragma once
#include "base/arena.h"
#include "registry/registry.h"

#define MANIFEST_REFERENCES_MAX 4096

struct manifest_reference {
    struct str digest; /* valid */
    int64_t size;
    bool is_manifest; /* of an index */
    bool is_either;   /* so called by an index, but of a type that we do not know: a manifest or a blob */
    bool is_foreign;  /* its bytes need not be here: a layer that lives elsewhere, or a guess */
};

struct manifest {
    char media_type[REGISTRY_MEDIA_TYPE_SIZE];
    char
        artifact_type[REGISTRY_MEDIA_TYPE_SIZE]; /* artifactType, or the config's type; may be "" */
    char subject[REGISTRY_DIGEST_SIZE];          /* the manifest that this one refers to, or "" */
    bool is_known;                               /* of one of the four types whose form we know */
    bool is_index;
    struct manifest_reference
        *references; /* config first, then layers; or the manifests of an index */
    size_t reference_count;
    int64_t image_size; /* config and layers; 0 for an index */
};

bool media_type_is_manifest(struct str type); /* one of the four */
bool media_type_is_valid(struct str type);    /* "type/subtype", no parameters */
bool media_type_is_index(struct str type);

/* Reads `bytes`, sent as `media_type` (without parameters; empty: the manifest says it itself).
 * What `out` points to lives in `arena`. Fails with MANIFEST_INVALID or SIZE_INVALID and a sentence
 * for the client. */
bool manifest_parse(struct str bytes, struct str media_type, struct arena *arena,
                    struct manifest *out, struct err *err) MUST_CHECK;

/* The references alone, of bytes that were accepted once, whatever their type: none where the bytes
 * are no JSON object. The caller knows that the bytes are those of their digest. */
void manifest_guess(struct str bytes, struct arena *arena, struct manifest *out);
