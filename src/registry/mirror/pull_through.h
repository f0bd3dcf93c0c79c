/* SPDX-License-Identifier: MIT */
/* pull_through.h - repositories that are another registry's, kept here as they are pulled.
 *
 * A rule (of the region's document, "pullThroughCacheRules") says which registry stands behind a
 * prefix of repositories. Who pulls <prefix>/<repository> gets the manifest and the blobs from
 * there as they arrive, and they are kept: a blob that many ask for at once comes once, and the
 * next pull needs nobody. A tag that is here is compared with the upstream's once in 24 hours at
 * most; while that one cannot be reached, what is here goes on.
 *
 * A manifest is an image of the repository when all that it names is here; until then it is kept
 * in memory and brought in behind the client (of an index: every image that it names, as ECR does).
 * On disk: R/_upstream/<tag>, empty: its time is when the tag was last compared.
 *
 * Threads: any; six import, each from another upstream; one more for each blob that is on its way. Blobs
 * beyond PULL_FLIGHTS_MAX, or beyond their upstream's part of it, wait in turn; if their upstream cannot be
 * reached, they all hear that at once. One that waits and that nobody wants any more, as its client has left, is
 * forgotten; one that has begun is brought to its end.
 * Errors: IMAGE_NOT_FOUND, and remote.h's. */
#pragma once
#include "registry/registry.h"
#include "registry/mirror/remote.h"

#define PULL_RULES_MAX 50
#define PULL_CHECK_MS (24LL * 3600 * 1000)
#define PULL_FLIGHTS_MAX 32  /* blobs on their way at once */
#define PULL_WAITING_MAX 256 /* ... that wait for their turn; more are THROTTLING, but those that need not wait */
#define PULL_PENDING_MAX 128 /* manifests that are not images yet */
#define PULL_QUEUE_MAX 256   /* imports that wait */

struct pull_through;
struct call;

/* Starts the threads that import. Once. */
void registry_start_pulling(struct registry *reg);
/* Gives up what is on its way and begins nothing more: before the HTTP server stops, which waits
 * for those who are being answered. */
void registry_stop_pulling(struct registry *reg);
void pull_through_stop(struct pull_through *p); /* registry_close() does; NULL is fine */

/* ---- rules ---- */
struct pull_rule {
    char prefix[64];                          /* "docker-hub", or "ROOT": all of them */
    char url[600];                            /* "https://registry-1.docker.io" */
    char upstream_prefix[REGISTRY_NAME_SIZE]; /* stands in for the prefix there; "" or "ROOT":
                                                 nothing */
    char credential_arn[640];                 /* or "" */
};
/* The URL of a rule, from "registry-1.docker.io" or "http://localhost:5000". UNSUPPORTED_UPSTREAM.
 */
bool pull_url_read(const char *text, char *out, size_t size, struct err *err) MUST_CHECK;
/* ECR's name for a registry that it knows ("docker-hub"), else NULL. */
const char *pull_upstream_name(const char *url);
bool pull_rule_read(const struct json *rule, struct pull_rule *out);
/* The rule of the longest prefix. */
bool pull_rule_find(struct registry *reg, const char *region, const char *repository,
                    struct pull_rule *out);
/* What the repository is called there. */
char *pull_upstream_repository(const struct pull_rule *rule, const char *repository);
bool pull_remote_open(struct registry *reg, const struct pull_rule *rule, struct remote **out,
                      struct err *err) MUST_CHECK;

/* ---- pulls ---- */
/* A client asks for a manifest: makes sure that it is here, or pending, if a rule covers the
 * repository (which is made with its first manifest). `imports`: it wants the rest, too. */
bool pull_manifest(struct registry *reg, const char *region, const char *repository,
                   const char *reference, bool imports, struct err *err) MUST_CHECK;
/* One that is pending. */
bool pull_pending_get(struct registry *reg, const char *region, const char *repository,
                      const char *reference, struct strbuf *bytes_out,
                      char digest_out[static REGISTRY_DIGEST_SIZE],
                      char type_out[static REGISTRY_MEDIA_TYPE_SIZE]);
/* A client asks for a blob that is not in the repository. True: it was answered. False with no
 * error (err->code stays 0): no rule covers it, or it arrived just now. */
bool pull_blob(struct call *c, struct err *err);

/* ---- pull_flight.c: blobs on their way, for pull_through.c ---- */
struct flight;
/* Joins the one that is under way or waits, or starts it. `*out` NULL: the blob is in the repository. */
bool flight_join(struct registry *reg, const struct pull_rule *rule, const char *region,
                 const char *repository, const char *digest, struct flight **out,
                 struct err *err) MUST_CHECK;
void flight_leave(struct registry *reg, struct flight *f);
bool flight_wait(struct registry *reg, struct flight *f, struct err *err) MUST_CHECK;
