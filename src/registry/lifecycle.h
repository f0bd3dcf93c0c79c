/* SPDX-License-Identifier: MIT */
/* lifecycle.h - lifecycle policies: which images of a repository have to go, or go into the archive. Pure.
 * As in ECR, all rules look at all images, then they are applied by priority: an image that a
 * rule's tag selection takes is not expired by a rule of lower priority, and whoever counts, counts
 * also what another rule has marked. Images of an index and those in use are never marked. Rules of
 * storageClass "archive" see archived images only, the others those that are not. An image that was
 * restored counts from then, as if it had been pushed.
 * Limits: LIFECYCLE_*. Errors: INVALID_PARAMETER with AWS's text. */
#pragma once
#include "base/err.h"
#include "base/json.h"

#define LIFECYCLE_TEXT_MAX 30720
#define LIFECYCLE_RULES_MAX 50
#define LIFECYCLE_TAGS_MAX 100 /* patterns or prefixes of a rule */
#define LIFECYCLE_ARCHIVE_DAYS_MIN 90 /* what is archived stays for so long, whatever a policy says */

enum lifecycle_tags { LIFECYCLE_UNTAGGED, LIFECYCLE_TAGGED, LIFECYCLE_ANY };
enum lifecycle_count { LIFECYCLE_MORE_THAN, LIFECYCLE_SINCE_PUSHED, LIFECYCLE_SINCE_PULLED, LIFECYCLE_SINCE_TRANSITIONED };

struct lifecycle_rule {
    int64_t priority;
    enum lifecycle_tags tags;
    enum lifecycle_count count;
    int64_t number; /* of images, or of days */
    bool is_archive;  /* selects archived images, else those that are not */
    bool transitions; /* into the archive; else they go for good */
    /* All of them have to match one of an image's tags; NULL unless TAGGED. */
    const struct json *patterns, *prefixes;
};

struct lifecycle_policy {
    struct json *document;
    struct lifecycle_rule rules[LIFECYCLE_RULES_MAX]; /* lowest priority number first */
    size_t rule_count;
};

bool lifecycle_parse(struct str text, struct lifecycle_policy *out, struct err *err) MUST_CHECK;
void lifecycle_done(struct lifecycle_policy *policy);

typedef bool lifecycle_is_kept(void *ctx, const char *digest);
/* `images` as registry_images() gives them, newest push first. `rules_out` has as many items and
 * gets for each image the priority of the rule that takes it, or 0. `is_kept` (may be NULL) is
 * asked about those only that would go. */
void lifecycle_evaluate(const struct lifecycle_policy *policy, const struct json *images,
                        int64_t now_ms, lifecycle_is_kept *is_kept, void *ctx, int64_t *rules_out);
bool lifecycle_transitions(const struct lifecycle_policy *policy, int64_t priority); /* does that rule? */
