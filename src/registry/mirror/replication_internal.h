/* SPDX-License-Identifier: MIT */
/* replication_internal.h - what replication.c (the queue) and replica.c (one image to one place)
 * share. */
#pragma once
#include "registry/internal.h"
#include "registry/mirror/remote.h"
#include "registry/mirror/replication.h"

struct replica {
    char region[REGISTRY_REGION_SIZE];
    char repository[REGISTRY_NAME_SIZE];
    char digest[REGISTRY_DIGEST_SIZE];
};

/* Both bring the image with what it names and the tags that it has now; what is there stays. They give up when
 * the replicator is stopping. */
bool replica_link(struct registry *reg, const struct replica *image, const char *to_region,
                  struct err *err) MUST_CHECK;
/* `registry`: {"url", "credentialArn"}. */
bool replica_send(struct registry *reg, const struct replica *image, const struct json *registry,
                  struct err *err) MUST_CHECK;
/* Of a registry that lists no referrers: notes the manifest in the index under its subject's tag,
 * as the distribution specification asks its clients to. */
bool replica_referrer_note(struct remote *remote, const char *repository, struct str bytes,
                           const char *type, const char *digest, struct err *err) MUST_CHECK;
bool replicator_is_stopping(void *reg); /* also for remote_set_cancelled() */
