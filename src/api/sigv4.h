/* SPDX-License-Identifier: MIT */
/* sigv4.h - AWS Signature Version 4, the Authorization header form (ecs.md 1.3).
 * Start at sigv4_verify(); sigv4_sign() is the client's side of the same arithmetic.
 * A presigned query is refused with an error that says so.
 * Units: times in milliseconds since the epoch.  Errors: the codes and texts of ecs.md 1.2.
 * Ownership: views are borrowed from the request and the header text.  Pure: no clock. */
#pragma once
#include "base/err.h"
#include "base/str.h"

#define SIGV4_SKEW_MS (5 * 60 * 1000)
#define SIGV4_HEADERS_MAX 128 /* of a request, and of SignedHeaders */
#define SIGV4_QUERY_MAX 1024  /* parameters behind the '?' */

struct sigv4_header {
    struct str name, value;
};

struct sigv4_request {
    struct str method;
    struct str path;  /* as sent, percent-encoded */
    struct str query; /* as sent, without '?' */
    const struct sigv4_header *headers; /* in the order received */
    size_t header_count;
    struct str body;
};

struct sigv4_authorization {
    struct str access_key_id;
    struct str date;   /* "20260102" */
    struct str region; /* of the scope; taken as it is */
    struct str service;
    struct str signed_headers; /* "host;x-amz-date" */
    struct str signature;      /* 64 hex */
};

/* Takes the header apart.  Fails with ERR_INCOMPLETE_SIGNATURE naming what is missing. */
bool sigv4_parse(struct str header, struct sigv4_authorization *out, struct err *err) MUST_CHECK;

/* Is the request signed by `access_key_id` with `secret`, now, and is its body the one signed? `token` is what
 * X-Amz-Security-Token has to say; empty: there must be none.
 * `out` holds who and for which scope; the caller checks the service (sigv4_check_service). */
bool sigv4_verify(const struct sigv4_request *rq, const char *access_key_id, const char *secret,
                  const char *token, int64_t now_ms, struct sigv4_authorization *out, struct err *err) MUST_CHECK;
bool sigv4_check_service(const struct sigv4_authorization *auth, const char *service,
                         struct err *err) MUST_CHECK;

/* The first header of that name without case; the empty view (at == NULL) when absent. */
struct str sigv4_header(const struct sigv4_request *rq, const char *name);

/* Appends the Authorization header's value.  `rq` must carry Host and X-Amz-Date (as `amz_date`), and
 * `signed_headers` is the sorted, lower-case list "host;x-amz-date". */
void sigv4_sign(const struct sigv4_request *rq, const char *access_key_id, const char *secret,
                const char *region, const char *service, const char *amz_date,
                const char *signed_headers, struct strbuf *out);

/* The canonical request of `rq`; for tests and the debug log. */
void sigv4_canonical(const struct sigv4_request *rq, struct str signed_headers, struct strbuf *out);
