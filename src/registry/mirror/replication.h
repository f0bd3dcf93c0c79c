/* SPDX-License-Identifier: MIT */
/* replication.h - images that are pushed here go on to other regions and other registries.
 *
 * The rules are the region document's "replicationConfiguration": {"rules": [{"destinations":
 * [{"region", "registryId"}], "repositoryFilters": [{"filter", "filterType": "PREFIX_MATCH"}]}]}. A
 * destination with our own account is a region of this machine: its repository gets links to the
 * same blobs, no bytes. Any other registryId is a registry of <data>/registries.json,
 * {"<registryId>": {"url", "credentialArn"}}, reached over HTTP (remote.h); its region is only a
 * name, its repositories have the same names.
 *
 * On disk: R/_replicated/<hex>, an object of "<registryId>/<region>" to {"status", "failureCode"},
 * with ECR's words, "asked", the mark of the push or backfill that it is of, and "before", what a
 * backfill that is stopped puts back. What is IN_PROGRESS there is the queue: it is read again at every start. One that
 * cannot be read is replaced, and its image sent to all destinations again; a push that cannot be written down is
 * in the queue all the same, however full that is, and is tried again until it can, as long as the process lives. What
 * the queue had no room for is read from the records again when half of it is free. A
 * destination that fails is asked again after 1, 2, 4, ... 300 s, twelve times in all (an hour),
 * then it is FAILED until the image is pushed again. What was replicated here goes no further, and
 * deletions do not go on, as in ECR. */
#pragma once
#include "registry/registry.h"

#define REPLICATION_QUEUE_MAX 10000
#define REPLICATION_ATTEMPTS_MAX 12
#define REPLICATION_THREADS 6 /* a registry keeps one of them at most, and a region of this machine */

struct replicator;

void registry_start_replicating(struct registry *reg, const char *data_dir); /* once */
void replicator_stop(struct replicator *r); /* registry_close() does; NULL is fine */
/* An image, or another tag of it, was pushed: notes its destinations and sets out. */
void replication_pushed(struct registry *reg, const char *region, const char *repository,
                        const char *digest);
/* Does the registry know where this registryId is? */
bool replication_knows(struct registry *reg, const char *registry_id);
/* An array of {"region", "registryId", "status", "failureCode"}; empty: it goes nowhere. INTERNAL: nobody can tell; a
 * record that cannot be read is then replaced, as at a start. */
bool registry_replication_get(struct registry *reg, const char *region, const char *repository,
                              const char *digest, struct json **out, struct err *err) MUST_CHECK;
