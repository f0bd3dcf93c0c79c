/* SPDX-License-Identifier: MIT */
/* access_keys.h - the access keys of an installation: the one that it made for itself (role admin,
 * in memory), and those that `naru keys` makes, in <data>/keys.json (mode 0600, secrets in clear:
 * a signature can only be checked by who has the secret).
 * The file is the only way in: whoever may write it may make keys. A server reads it again when it
 * has changed, so a key that was deleted is refused from the next request on.
 * Limits: KEYS_MAX keys.  Threads: access_keys_find() from any.  Errors: ERR_VALIDATION and
 * ERR_NOT_FOUND name what is wrong with what was asked for. */
#pragma once
#include "base/err.h"
#include "base/json.h"

#define KEYS_MAX 1000
#define KEY_REPOSITORIES_SIZE 1024

struct access_key {
    char id[64], secret[128];
    char name[65]; /* [A-Za-z0-9+=,.@_-]; empty: the installation's own */
    char role[16]; /* of model/role.h */
    char repositories[KEY_REPOSITORIES_SIZE]; /* patterns, joined by commas; empty: all */
};

struct access_keys;
struct access_keys *access_keys_new(const char *path, const char *own_id, const char *own_secret);
void access_keys_free(struct access_keys *keys); /* NULL is fine */
/* False: there is no such key. A file that cannot be read has none; that is logged. */
bool access_keys_find(struct access_keys *keys, struct str id, struct access_key *out);

/* ---- for `naru keys`; each takes the file's lock ---- */
/* Fills id and secret. The caller checked role and name. */
bool access_keys_create(const char *path, struct access_key *key, int64_t now_ms,
                        struct err *err) MUST_CHECK;
/* An array of {"accessKeyId","name","role","repositories","createdAt"}; never secrets. */
bool access_keys_list(const char *path, struct json **out, struct err *err) MUST_CHECK;
/* By id or by name. */
bool access_keys_delete(const char *path, const char *id_or_name, struct err *err) MUST_CHECK;
