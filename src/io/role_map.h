/* SPDX-License-Identifier: MIT */
/* role_map.h - the roles that AssumeRole knows: <data>/roles.json, written by `naru roles`.
 * There is no IAM here. The owner says which of naru's own roles (model/role.h) a role's name stands for, and so what
 * remains of a key's rights when it assumes that role; what is not in the file cannot be assumed.
 * A name is what follows "role/" in an ARN of this account ("deploy", "team/deploy"), or the whole ARN of a role of
 * another account. Limits: ROLES_MAX.
 * Errors: ERR_VALIDATION and ERR_NOT_FOUND name what is wrong with what was asked for. */
#pragma once
#include "base/err.h"
#include "base/json.h"

#define ROLES_MAX 200
#define ROLE_MAP_NAME_MAX 640
#define ROLE_EXTERNAL_ID_MAX 1224
#define ROLE_SECONDS_MIN 900
#define ROLE_SECONDS_MAX 43200

struct role_map {
    const char *name, *role;
    const char *repositories; /* patterns, joined by commas; NULL or empty: all */
    const char *external_id;  /* NULL or empty: none is asked for */
    int64_t seconds_max;      /* 0: ROLE_SECONDS_MAX */
};

/* "arn:aws:iam::000000000000:role/team/deploy". */
struct role_arn {
    struct str account, name; /* "team/deploy" */
    struct str last;          /* "deploy" */
};
bool role_arn_parse(struct str arn, struct role_arn *out);

/* The row of `roles` (an array as role_map_list() gives) that the ARN means; NULL: none. */
const struct json *role_map_find(const struct json *roles, const char *arn, const char *account);

/* May the principal assume the role of that row (NULL: there is none) with that external id (or NULL)?
 * ERR_ACCESS_DENIED, naming the command that sets it; ERR_VALIDATION: this is no ARN of a role. */
bool role_map_admits(const struct json *role, const char *arn, const char *external_id, const char *account,
                     const char *principal, struct err *err) MUST_CHECK;

/* ---- for `naru roles`; each takes the file's lock ---- */
/* The caller checked role and repositories. Takes the place of one of that name; its sessions end. */
bool role_map_set(const char *path, const struct role_map *map, int64_t now_ms, struct err *err) MUST_CHECK;
/* An array of {"name","role","repositories","externalId","maxSessionDuration","createdAt"}. */
bool role_map_list(const char *path, struct json **out, struct err *err) MUST_CHECK;
bool role_map_delete(const char *path, const char *name, struct err *err) MUST_CHECK;
