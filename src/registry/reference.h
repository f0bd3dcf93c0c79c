/* SPDX-License-Identifier: MIT */
/* reference.h - the words of a registry: names, tags, digests, URLs, ranges. Pure; every parser
 * takes bytes from outside and answers false for whatever is not exactly right. */
#pragma once
#include "registry/registry.h"

/* ECR's grammar: 2 to 256 of [a-z0-9], with single '.', '_' or '-' inside components, '/' between.
 */
bool name_is_valid(struct str name);
/* What stands before a '/' of names: "team" or "a/b". */
bool name_prefix_is_valid(struct str prefix);
bool tag_is_valid(struct str tag);       /* [A-Za-z0-9_][A-Za-z0-9._-]{0,127} */
bool region_is_valid(struct str region); /* [a-z0-9-]{1,32}, no '-' at the ends */
/* "sha256:" and 64, or "sha512:" and 128 lower-case hex digits. */
bool digest_is_valid(struct str digest);
static inline struct str
digest_hex(struct str digest)
{
    return str_slice(digest, 7, digest.len);
}
static inline struct str
digest_algorithm(struct str digest)
{
    return str_slice(digest, 0, 6);
}
/* The digest of a file's name: the number of digits tells the algorithm. False: it is none. */
bool digest_from_hex(struct str hex, char out[static REGISTRY_DIGEST_SIZE]);
/* The digest of `bytes` by the algorithm of the digest `like` (empty: sha256). */
void digest_make(struct str bytes, struct str like, char out[static REGISTRY_DIGEST_SIZE]);
bool digest_is_of(struct str digest, struct str bytes);

/* Is all of `host` an ECR host (model/image_ref.h), of a region that can be? */
bool ecr_host_parse(struct str host, struct str *region_out);

enum route_kind {
    ROUTE_BASE,      /* /v2/ */
    ROUTE_TOKEN,     /* /v2/token */
    ROUTE_CATALOG,   /* /v2/_catalog */
    ROUTE_TAGS,      /* /v2/<name>/tags/list */
    ROUTE_MANIFEST,  /* /v2/<name>/manifests/<argument> */
    ROUTE_BLOB,      /* /v2/<name>/blobs/<argument> */
    ROUTE_UPLOADS,   /* /v2/<name>/blobs/uploads/ */
    ROUTE_UPLOAD,    /* /v2/<name>/blobs/uploads/<argument> */
    ROUTE_REFERRERS, /* /v2/<name>/referrers/<argument> */
};
struct route_path {
    enum route_kind kind;
    struct str name, argument; /* views into the path; not yet checked */
};
/* `path` is decoded. False: no such place. */
bool route_path_parse(struct str path, struct route_path *out);

/* "bytes=0-9", "bytes=5-", "bytes=-3" of a thing of `size` bytes. RANGE_WHOLE where the header is
 * to be ignored (absent, another unit, several ranges, nonsense), as RFC 9110 allows. */
enum range_kind { RANGE_WHOLE, RANGE_PART, RANGE_UNSATISFIABLE };
enum range_kind range_parse(struct str header, int64_t size, int64_t *first_out,
                            int64_t *count_out);
/* "0-1023" or "bytes 0-1023/2048" of a chunk; first <= last. */
bool content_range_parse(struct str header, int64_t *first_out, int64_t *last_out);
/* Is `digest` among the entity tags of If-Match or If-None-Match ("*" is any)? Weak ones count as strong:
 * what they name never changes. */
bool etags_match(struct str list, struct str digest);
/* Does an Accept list (values joined by commas) take `type`? An empty list takes everything. */
bool accept_matches(struct str accept, struct str type);
