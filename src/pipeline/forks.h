/* SPDX-License-Identifier: MIT */
/* forks.h - what becomes of pull requests from forks, which are strangers' code.
 *   none      they are not built (the default)
 *   target    they are built with the Jenkinsfile of the branch that they are for, as Jenkins does with
 *             those that it does not trust: without secrets, without an access key of naru
 *   everyone  they are built as those of the repository itself
 * Whoever is named as trusted is built as those of the repository itself, unless the policy is none:
 * he has to be the author, and the fork has to be his or of somebody else who is named, as its owner
 * decides what is pushed there later.
 * What such a build runs is a user of its own, without Docker, in a workspace of its own (run/build_user.h);
 * where naru is not root it is the server's user, and can read what he can. */
#pragma once
#include "pipeline/room.h"

#define FORKS_TRUSTED_MAX 500u

enum fork_trust { FORK_REFUSED, FORK_UNTRUSTED, FORK_TRUSTED };

/* `fork` is the repository that the change is from ("eve/web"); empty: not known. */
enum fork_trust room_fork_trust(struct pipeline_room *room, const char *pipeline,
                                const char *author, const char *fork);
/* Is there such a policy (NULL: none is given, and nobody is trusted), with FORKS_TRUSTED_MAX names at most?
 * ERR_VALIDATION. */
bool fork_policy_check(const char *policy, const char *trusted, struct err *err) MUST_CHECK;
/* `trusted`: names with commas between; NULL: none.  ERR_VALIDATION as fork_policy_check(). */
/* As pipelines keep it; NULL: no policy was said.  The caller's. */
struct json *fork_policy_json(const char *policy, const char *trusted);
bool room_set_forks(struct pipeline_room *room, const char *pipeline, const char *policy,
                    const char *trusted, struct err *err) MUST_CHECK;
bool build_is_untrusted(const struct build *b);
