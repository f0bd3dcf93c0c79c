/* SPDX-License-Identifier: MIT */
/* bring.h - an image with all that it names, from one place to another: what it names first, so that whoever
 * finds it finds it whole; each manifest once, however often it is named. Where from and where to is its user's. */
#pragma once
#include "registry/manifest.h"

struct bringing {
    void *ctx;
    /* Of the image itself (`is_top`) or of one that an index names: is it there already? NULL: never. */
    bool (*is_here)(void *ctx, const char *digest, bool is_top);
    bool (*read)(void *ctx, const char *digest, struct strbuf *bytes,
                 char type[static REGISTRY_MEDIA_TYPE_SIZE], struct err *err);
    bool (*is_manifest)(void *ctx, const struct manifest_reference *r);
    bool (*blob)(void *ctx, const struct manifest_reference *r, struct err *err);
    bool (*put)(void *ctx, struct str bytes, const char *type, const char *digest, bool is_top,
                struct err *err);
};
bool bring_image(const struct bringing *b, const char *digest, struct err *err) MUST_CHECK;
