/* SPDX-License-Identifier: MIT */
/* remote.h - another registry, as a client of it (OCI distribution with Docker's tokens).
 * A `struct remote` belongs to one thread at a time and keeps its connection and its token. Calls
 * block; each has limits of its own: 10 s to connect, 30 s without a byte, five redirects (which
 * never take the credentials to another host, nor lead from https to http).
 * Errors: IMAGE_NOT_FOUND (404), ACCESS_DENIED (401, 403), THROTTLING (429), UNAVAILABLE (no
 * answer, 5xx), UPSTREAM_IMAGE (an answer that is none), TIMEOUT (given up). Messages name the
 * host, never credentials, tokens or queries. */
#pragma once
#include "base/err.h"
#include "registry/registry.h"

struct remote;

/* `url` is "https://registry.example" without a path. `username` and `password` may be NULL. */
struct remote *remote_new(const char *url, const char *username, const char *password);
void remote_free(struct remote *r);
static inline void
remote_free_(struct remote **r)
{
    remote_free(*r);
}
/* Asked about four times a second; true gives up. */
void remote_set_cancelled(struct remote *r, bool (*is_cancelled)(void *arg), void *arg);

/* Is it a registry, and does it take the credentials? */
bool remote_ping(struct remote *r, struct err *err) MUST_CHECK;
/* The manifest's bytes, checked against `reference` if that is a digest, else against what the
 * answer says. */
bool remote_manifest_get(struct remote *r, const char *repository, const char *reference,
                         struct strbuf *bytes_out, char digest_out[static REGISTRY_DIGEST_SIZE],
                         char type_out[static REGISTRY_MEDIA_TYPE_SIZE],
                         struct err *err) MUST_CHECK;
/* The digest that a tag names there now; "" if the answer does not say. */
bool remote_manifest_head(struct remote *r, const char *repository, const char *reference,
                          char digest_out[static REGISTRY_DIGEST_SIZE], struct err *err) MUST_CHECK;
/* Bytes as they come; not yet checked. on_data() false ends the call with its own error. */
bool remote_blob_get(struct remote *r, const char *repository, const char *digest,
                     bool (*on_data)(void *arg, struct str data), void *arg,
                     struct err *err) MUST_CHECK;

/* ---- to it ---- */
/* A header of every manifest that is put and of every upload that begins. Another naru makes the
 * repository that it has not yet, if the key may do so, and sends such an image no further, or two
 * that have each other as their destination would send it for ever. Other registries pass over it.
 */
#define REMOTE_REPLICA "Naru-Replica"
bool remote_blob_exists(struct remote *r, const char *repository, const char *digest, bool *out,
                        struct err *err) MUST_CHECK;
bool remote_blob_put(struct remote *r, const char *repository, const char *digest, int fd,
                     int64_t size, struct err *err) MUST_CHECK;
/* `knows_subject_out`: whether it says that it lists the manifest under its subject; may be NULL. */
bool remote_manifest_put(struct remote *r, const char *repository, const char *reference,
                         struct str bytes, const char *type, bool *knows_subject_out,
                         struct err *err) MUST_CHECK;

/* ---- remote_challenge.c: pure ---- */
struct challenge {
    bool is_bearer; /* else Basic */
    char realm[1024], service[256], scope[1024];
};
/* Of a WWW-Authenticate header; false: neither Bearer with a realm nor Basic. */
bool challenge_parse(struct str header, struct challenge *out);
/* The host (with its port) of an absolute http or https URL; the empty view if it is none. */
struct str url_host(struct str url);
/* Of a Location header, against the URL that was asked. False: it leads to no http(s) place, or
 * from https to http. */
bool url_follow(struct str base, struct str location, struct strbuf *out);
