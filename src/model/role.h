/* SPDX-License-Identifier: MIT */
/* role.h - what the holder of an access key may do. Five roles, each a list of actions
 * ("service:Operation", with '*' for any letters); what is in no list is denied.
 *   admin      everything
 *   deploy     releases: ECS, load balancing, builds, images in and out; not repositories' settings
 *   push       images in and out
 *   pull       images out
 *   read-only  looks at everything, images too, and changes nothing
 * Pure. */
#pragma once
#include "base/str.h"

enum role { ROLE_ADMIN, ROLE_DEPLOY, ROLE_PUSH, ROLE_PULL, ROLE_READ_ONLY };

bool role_parse(struct str name, enum role *out);
const char *role_name(enum role role);
/* "deploy,push": what all of them allow, which is again one of the five. */
bool roles_parse(struct str roles, enum role *out);
/* `service` as in IAM's actions: "ecs", "ecr", "elasticloadbalancing", "naru". */
bool role_allows(enum role role, const char *service, const char *operation);

/* "team/" and "*", joined by commas: does one of them match the whole text? An empty list takes
 * everything. */
bool names_match(struct str patterns, struct str name);
/* Such lists joined by semicolons: does each of them take the name? */
bool names_match_all(struct str lists, struct str name);
