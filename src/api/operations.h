/* SPDX-License-Identifier: MIT */
/* operations.h - speaks AWS: from bytes on "/" to a handler and back.
 * A request is verified (sigv4.h), its operation row found by target, action or path, its input
 * turned into JSON and checked against the model's shape (types, required, ranges, enums, lengths), all on the connection's
 * thread.  Then its handler runs: on the engine's thread if it changes the core (ACCESS_WRITE), under the
 * core's lock if it reads it (ACCESS_READ), else right there (ACCESS_LOCAL).  The answer is JSON with the members'
 * wire names; the protocol writes it as JSON, as XML or as CBOR.
 * Times in answers: aws_time(rq, ms), which gives what the protocol wants. */
#pragma once
#include "api/sigv4.h"
#include "base/arena.h"
#include "base/json.h"
#include "core/core.h"
#include "io/http_server.h"
#include "model/traffic_book.h"

enum protocol { PROTOCOL_JSON_1_1, PROTOCOL_QUERY, PROTOCOL_CBOR };
enum access { ACCESS_READ, ACCESS_WRITE, ACCESS_LOCAL };

struct api;
struct access_key;
struct access_keys;
struct audit;
struct guard;
struct ecs_shown;

struct request {
    struct arena *arena;
    struct api *api;
    enum protocol protocol;
    const char *account;   /* "000000000000" */
    const char *region;    /* of the signature's scope */
    const char *principal; /* "arn:aws:iam::000000000000:root"-like, who signed */
    const struct access_key *key; /* which signed; of its secrets nothing may be told */
    const char *peer;      /* the client's address, "127.0.0.1"; or NULL */
    bool is_secure;        /* came by TLS */
    const char *operation; /* "CreateService" */
    char request_id[37];
    const char *invocation; /* what an SDK says again in each attempt at one call; "" if it says none */
    const struct json *input; /* conforms to the operation's input shape; absent members are absent */
    int64_t now_ms;
    const struct core *core;  /* NULL for ACCESS_LOCAL */
};

/* Fills `out` (a JSON object, given empty) or sets err and returns false, having changed nothing.
 * What a failing handler put into `out` stands beside the error's message (ConflictException's
 * resourceIds), in JSON and CBOR only. */
typedef bool operation_handler(struct request *rq, struct json *out, struct err *err);

/* One step of the core, from an ACCESS_WRITE handler. The answer is sent after the commit. */
void request_step(struct request *rq, const struct event *event);
struct json *aws_time(const struct request *rq, int64_t ms);
/* Is the ARN one of the request's region?  What belongs to another one does not exist for it. */
bool request_is_region_of(const struct request *rq, const char *arn);

struct operation {
    const char *name;
    enum access access;
    operation_handler *handler; /* NULL: known and not built; answers UnsupportedFeatureException */
};

/* The tables, one a service, in ecs_*.c, ecr.c, elbv2.c, sts.c, acm.c, ec2.c, cloudwatch.c; ends with a NULL name. */
extern const struct operation ecs_operations[], ecr_operations[], elbv2_operations[], sts_operations[],
    acm_operations[], ec2_operations[], cloudwatch_operations[];

/* May the caller do that in ECR? By the policies of the registry and of the repository (ecr_policy.c). */
bool ecr_is_allowed(struct request *rq, struct err *err);
/* Does the policy of the one repository that is named allow it, whatever the role of the key? */
bool ecr_is_granted(struct request *rq);

typedef void api_traffic_call(void *arg, const struct traffic_book *book, int64_t now_ms);

struct api_config {
    const char *account, *default_region;
    const char *endpoint_url;   /* "http://localhost:4566" */
    unsigned port;
    const char *access_key_id, *secret_access_key; /* the installation's own, role admin */
    struct access_keys *keys; /* those and all others; NULL: there are no others */
    struct guard *guard;      /* slows down who guesses; NULL: nobody does */
    struct audit *audit;      /* who changed what; NULL: not kept */
    /* Runs call(arg) on the engine's thread and returns when what it changed is durable; false: the
     * engine is stopping or the commit failed (then nothing it said may be told). */
    bool (*run)(void *ctx, void (*call)(void *arg, struct core *core, int64_t now_ms), void *arg);
    /* As run(), for a call that changes nothing; on any thread. */
    bool (*read)(void *ctx, void (*call)(void *arg, struct core *core, int64_t now_ms), void *arg);
    void (*step)(void *ctx, const struct event *event); /* only inside run() */
    void *ctx;
    /* Runs call(arg) with what went through load balancers; false: nobody looks. NULL: the same. */
    bool (*traffic)(void *ctx, api_traffic_call *call, void *arg);
    const char *data_dir;       /* buckets that are read are in s3/ there; NULL: there are none */
    void *registry;             /* struct registry *, for ecr.c */
};

struct api *api_new(const struct api_config *config);
void api_free(struct api *api);
struct http_route api_route(struct api *api); /* prefix "/" */
struct http_route api_content_route(struct api *api); /* "/naru/truststores/" (elbv2_content.c) */
const struct api_config *api_get_config(const struct api *api);
struct ecs_shown *api_shown(const struct api *api); /* ecs_shown.h */

/* One call without HTTP: what api_route() does for each exchange, and tests too. */
struct api_request {
    struct sigv4_request signed_part;
    const char *request_id; /* 36 characters */
    struct str peer; /* the client's address; may be empty */
    bool is_secure;  /* came by TLS */
};
struct api_answer {
    int status;
    const char *content_type;
    char error_type[128]; /* of the header x-amzn-ErrorType, JSON only; empty: none */
    char query_error[128]; /* of x-amzn-query-error, CBOR only: the code in Query; empty: none */
    const char *smithy_protocol; /* of smithy-protocol, CBOR only; empty: none */
    struct strbuf body;   /* the caller's */
};
void api_call(struct api *api, const struct api_request *http, struct api_answer *answer);

/* Verifies the SigV4 signature of any exchange with a collected body (service `naru`), and that the
 * key's role has the action naru:<method>: for the routes of other rooms; replies 401/403 with JSON {"message"} and returns false.
 * Writes what is refused to a key, and what may change something, to the audit log. `caller_out` (access.h) may be NULL. */
struct caller;
bool api_authorise(struct api *api, struct http_exchange *x, struct caller *caller_out);
