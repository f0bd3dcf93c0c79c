/* SPDX-License-Identifier: MIT */
/* github.h - GitHub's webhooks, as pure functions over bytes.
 * Verify first, parse then: an unsigned body is never parsed. */
#pragma once
#include "base/err.h"
#include "base/json.h"
#include "base/str.h"

#define GITHUB_BODY_MAX ((size_t)25 << 20) /* GitHub's own limit */
#define GITHUB_DELIVERIES_MAX 1000         /* ids remembered, oldest forgotten first */

/* `header` is X-Hub-Signature-256, "sha256=<hex>". Constant time; an empty secret never fits. */
bool github_signature_is_valid(struct str secret, struct str body, struct str header);

struct github_push {
    char repository[256]; /* "owner/name" */
    char branch[256];
    char commit[41],
        before[41]; /* before: where the branch stood; "" if it was made by this push */
    char message[512], author[128];
    bool is_branch; /* false: a tag */
    bool is_deleted;
    char **paths; /* changed, as far as the payload names them */
    size_t path_count;
};

/* A push event's JSON. On success github_push_done() is due. */
bool github_push_parse(struct str body, struct github_push *out, struct err *err) MUST_CHECK;
void github_push_done(struct github_push *p);
/* The first line of what people wrote, without control characters, as far as it fits. */
void github_copy_line(char *to, size_t size, const char *from);
/* The JSON inside a request body: itself, or the form field `payload`. */
bool github_payload(struct str body, struct str content_type, struct strbuf *out,
                    struct err *err) MUST_CHECK;

/* Delivery ids already seen, in a JSON file. Not thread safe. */
struct github_deliveries {
    char *path;
    struct json *ids;
};
bool github_deliveries_open(struct github_deliveries *d, const char *path,
                            struct err *err) MUST_CHECK;
bool github_deliveries_has(const struct github_deliveries *d, struct str id);
bool github_deliveries_add(struct github_deliveries *d, struct str id, struct err *err) MUST_CHECK;
void github_deliveries_done(struct github_deliveries *d);
