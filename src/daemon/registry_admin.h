/* SPDX-License-Identifier: MIT */
/* registry_admin.h - what an operator asks of the running server's registry, signed as service `naru`.
 * POST /naru/registry/gc {"dryRun": bool, "lifecycle": bool}: collects garbage now (dryRun: only
 * counts it), after applying all lifecycle policies if asked to, which takes a key that may
 * ecr:BatchDeleteImage; a key that is held to some repositories may not, as it works on all. Answers
 * {"dryRun", "imagesExpired", "blobsRemoved", "bytesRemoved", "linksRemoved", "blobsKept",
 * "tookMs"}. */
#pragma once
#include "io/http_server.h"

struct api;
struct registry;

struct registry_admin {
    struct api *api;
    struct registry *registry;
};

struct http_route registry_admin_route(struct registry_admin *admin);
