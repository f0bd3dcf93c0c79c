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

/* ---- what a backfill (backfill.h) asks of the queue; `key` is "<registryId>/<region>" ---- */
struct backfills *replicator_backfills(const struct registry *reg); /* NULL: nobody replicates */
/* Do the rules of a region lead a repository there? NULL: any repository. */
bool replication_leads_to(struct registry *reg, const char *region, const char *repository, const char *key, bool *out,
                          struct err *err) MUST_CHECK;
struct replica_state {
    char asked[17];   /* by whom: as given to replica_ask(); another push has another one */
    char status[16];  /* "": nobody asked */
    char failure[64]; /* of FAILED */
};
/* Empty, and false, where the record cannot be read. */
bool replica_state_get(struct registry *reg, const struct replica *image, const char *key,
                       struct replica_state *out, struct err *err) MUST_CHECK;
/* Sends an image out, whether or not it went there before; where a push has sent it out already, that one goes on.
 * THROTTLING: too many are on their way, and nothing was asked. */
bool replica_ask(struct registry *reg, const struct replica *image, const char *key, const char *asked,
                 struct err *err) MUST_CHECK;
/* Takes that back, unless it was pushed since. False: it is being sent, or has just been; backfills_settled() will
 * say or has said so. */
bool replica_withdraw(struct registry *reg, const struct replica *image, const char *key, const char *asked);
