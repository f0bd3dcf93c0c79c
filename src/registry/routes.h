/* SPDX-License-Identifier: MIT */
/* routes.h - the HTTP side of the registry, shared by its files: one `struct call` a request. */
#pragma once
#include "base/err.h"
#include "registry/internal.h"
#include "registry/reference.h"
#include "registry/visitor.h"

#define REPLY_HEADERS_MAX 10

struct call {
    struct registry *reg;
    struct http_exchange *x;
    const char *principal;   /* the ARN of who asks; NULL: nobody has signed */
    struct visitor visitor;
    struct route_path route; /* as the client wrote it */
    char region[REGISTRY_REGION_SIZE];
    char repository[REGISTRY_NAME_SIZE];
    char argument[REGISTRY_DIGEST_SIZE]; /* digest, tag or upload id; "" if there is none */
    struct upload *upload;            /* held by this request */
    bool upload_is_ours;              /* begun by this very request: a cut-off body ends it */
    bool receives;                    /* the body belongs to the upload */
    bool collects;                    /* a manifest's body goes to `body` */
    int64_t chunk_size;               /* of Content-Range, or -1 */
    int64_t received;
    struct strbuf body;
    struct err err; /* the first thing that went wrong while receiving */
    bool has_failed;
};

/* ---- routes.c ---- */
struct reply {
    struct http_header headers[REPLY_HEADERS_MAX + 1];
    int count;
};
void reply_header(struct reply *r, const char *name, const char *value);
/* Both give the upload back first; what is sent must not lie in it. */
void reply_send(struct call *c, struct reply *r, int status, struct str body);
void reply_error(struct call *c, const struct err *err);
/* What an error is called by the protocol, and its status. */
const char *registry_error_code(enum err_code code, int *status_out);
/* The value of a query parameter, in the exchange's arena; NULL if absent or empty. */
const char *call_query(struct call *c, const char *name);

/* The visitor's ARN, as policies have it; NULL: nobody's. */
const char *call_principal(const struct call *c);
/* The region of the host that was asked, or the default. */
struct str region_asked(const struct call *c);
/* Writes down a deed of the visitor: "registry.push" of "manifest" or "blob". `digest` may be NULL. */
void call_note(const struct call *c, const char *at, const char *what, const char *digest);

/* ---- routes_token.c ---- */
/* The headers of a 401: how to get in, and for which visits (0: in general). */
void challenge_add(struct call *c, struct reply *r, unsigned visits, bool is_insufficient);
bool token_end(struct call *c, struct err *err);

/* ---- routes_blob.c: begin gives true if the request goes on to its end ---- */
bool blob_begin(struct call *c, struct err *err);
bool blob_end(struct call *c, struct err *err);
void blob_body(struct call *c, struct str data);
/* Gives the upload back, if this request still holds one (or ends it, if it is ours). */
void blob_done(struct call *c);

/* ---- routes_policy.c ---- */
const char *call_action(const struct call *c); /* "ecr:PutImage" */
/* Who asks, for registry_policy_says(). */
struct registry_caller call_caller(const struct call *c);
/* May layers of that other repository be had, by the visitor's rights, the token's scopes and the
 * policies? `name` as the client wrote it. */
bool call_may_read(struct call *c, const char *region, const char *repository, struct str name);
/* False with ACCESS_DENIED where a policy denies; else `out` says whether one allows. */
bool call_check_policy(struct call *c, enum registry_verdict *out, struct err *err) MUST_CHECK;

/* ---- routes_manifest.c ---- */
bool manifest_begin(struct call *c, struct err *err);
bool manifest_end(struct call *c, struct err *err);

/* ---- routes_discovery.c ---- */
bool tags_end(struct call *c, struct err *err);
bool catalog_end(struct call *c, struct err *err);
bool referrers_end(struct call *c, struct err *err);
