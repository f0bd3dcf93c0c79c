/* SPDX-License-Identifier: MIT */
/* build_key.h - the access key that a build works with: lent to it when it begins, taken back when it
 * ends (and every registry token with it, since a token is asked for its key).
 * Over a restart of naru it lies in <state_dir>/key.json (mode 0600), for scripts of the build go on
 * meanwhile. What it may do is said by the operator's configuration alone, not by the Jenkinsfile:
 *   "deploy"                   one role for all
 *   "deploy,infra=admin,docs-*=pull"   and others for some pipelines; the first that fits counts
 * Its name is naru-build/<pipeline>-<number>. */
#pragma once
#include "base/arena.h"
#include "io/access_keys.h"
#include "pipeline/build.h"

#define BUILD_ROLE_DEFAULT "deploy"

bool build_roles_check(const char *roles, struct err *err) MUST_CHECK;
/* NULL or "" as BUILD_ROLE_DEFAULT. */
const char *build_role_of(const char *roles, const char *pipeline, char out[static 16]);

/* Lends the build its key, the one of before a restart if it had one. What cannot be kept on disk is
 * logged, and ends with naru. False: no more keys are lent. */
bool build_key_begin(struct access_keys *keys, const char *roles, const char *pipeline,
                     int64_t number, const char *state_dir, struct access_key *out,
                     struct err *err) MUST_CHECK;
/* The same of a build that waits to be taken up: only if it has one. */
void build_key_again(struct access_keys *keys, const char *roles, const char *pipeline,
                     int64_t number, const char *state_dir);
void build_key_end(struct access_keys *keys, const char *pipeline, int64_t number);
/* The variables of `env` with this key in them, or (NULL) with none, not even the server's own; in the
 * arena. */
const char *const *build_key_env(struct arena *a, const char *const *env,
                                 const struct access_key *key);
