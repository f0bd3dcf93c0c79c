/* SPDX-License-Identifier: MIT */
/* image_ref.h - an image name of a task definition, as Docker has to be asked for it.
 * Our own registry has two names, `localhost:<port>/<repository>` and
 * `<account>.dkr.ecr.<region>.amazonaws.com/<repository>`, of whatever account; both are asked for under localhost, because
 * Docker takes plain HTTP from there only.  localhost:<port>/<repository> means the default region; a
 * repository of another keeps its ECR name behind it, as the registry reads it:
 * `localhost:<port>/<account>.dkr.ecr.<region>.amazonaws.com/<repository>`.
 * A digest wins over a tag.  Pure. */
#pragma once
#include "base/err.h"
#include "model/types.h"

#define REPOSITORY_SIZE 257

/* Who we are: the names of our own registry follow from it. Borrowed. */
struct image_home {
    const char *account, *region; /* the default region */
    unsigned registry_port;
};

struct image_ref {
    char name[IMAGE_SIZE];               /* without tag and digest, as Docker is asked for it */
    char tag[132];                       /* "latest" if there was none; empty with a digest */
    char digest[DIGEST_SIZE];            /* empty: by tag */
    char full[IMAGE_SIZE + DIGEST_SIZE]; /* name:tag or name@digest */
    bool is_ours;
    char region[REGION_SIZE], repository[REPOSITORY_SIZE]; /* of ours */
};

/* `digest` pins the image if not empty; it wins over one in the name. */
bool image_ref_parse(const char *image, const char *digest, const struct image_home *home,
                     struct image_ref *out, struct err *err) MUST_CHECK;
/* "<account>.dkr.ecr.<region>.amazonaws.com"; malloc'd. */
char *image_ref_ecr_host_of(struct str account, struct str region);
/* The length of the ECR host that `text` begins with, and its region; 0: it begins otherwise. */
size_t image_ref_ecr_host(struct str text, struct str *region_out);
/* Does `name` of a RepoDigests entry mean the same repository as `ref`?  Docker shortens
 * docker.io/library/busybox to busybox. */
bool image_ref_same_name(struct str a, struct str b);
/* The digest of ref's repository among an image's RepoDigests; empty if there is none. */
void image_ref_repo_digest(const struct image_ref *ref, const struct json *repo_digests,
                           char out[static DIGEST_SIZE]);
