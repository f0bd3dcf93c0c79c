/* SPDX-License-Identifier: MIT */
/* access_keys.h - the access keys of an installation: the one that it made for itself (role admin,
 * in memory), those that `naru keys` makes, in <data>/keys.json (mode 0600, secrets in clear:
 * a signature can only be checked by who has the secret), and those lent for a while, to a build for
 * example: in memory, for as long as access_keys_take_back() is not called.
 * The file is the only way in: whoever may write it may make keys. A server reads it again when it
 * has changed, so a key that was deleted is refused from the next request on.
 * Limits: KEYS_MAX keys in the file, KEYS_LENT_MAX lent.  Threads: find, lend and take_back from any.
 * Errors: ERR_VALIDATION and ERR_NOT_FOUND name what is wrong with what was asked for. */
#pragma once
#include "base/err.h"
#include "base/json.h"

#define KEYS_MAX 1000
#define KEYS_LENT_MAX 1024
#define KEY_REPOSITORIES_SIZE 1024
#define KEY_PRINCIPAL_SIZE 192

struct access_key {
    char id[64], secret[128];
    char name[128]; /* [A-Za-z0-9+=,.@_-], 64 at most; empty: the installation's own; of a lent one ROLE/SESSION */
    bool is_lent;
    char role[16]; /* of model/role.h */
    char repositories[KEY_REPOSITORIES_SIZE]; /* patterns, joined by commas; empty: all */
};

struct access_keys;
struct access_keys *access_keys_new(const char *path, const char *own_id, const char *own_secret);
void access_keys_free(struct access_keys *keys); /* NULL is fine */
/* False: there is no such key. A file that cannot be read has none; that is logged. */
bool access_keys_find(struct access_keys *keys, struct str id, struct access_key *out);

/* Its owner as AWS names him: "arn:aws:iam::000000000000:root", ":user/NAME", of a lent key
 * "arn:aws:sts::000000000000:assumed-role/ROLE/SESSION". */
void access_key_principal(const struct access_key *key, const char *account,
                          char out[static KEY_PRINCIPAL_SIZE]);

/* ---- keys lent ---- */
/* Fills id and secret of a new one. */
void access_key_make_lent(struct access_key *key);
/* Takes the place of one of that name. The caller keeps it over a restart, if it is to live on. */
bool access_keys_lend(struct access_keys *keys, const struct access_key *key,
                      struct err *err) MUST_CHECK;
void access_keys_take_back(struct access_keys *keys, const char *name); /* if there is one */

/* ---- for `naru keys`; each takes the file's lock ---- */
/* Fills id and secret. The caller checked role and name. */
bool access_keys_create(const char *path, struct access_key *key, int64_t now_ms,
                        struct err *err) MUST_CHECK;
/* An array of {"accessKeyId","name","role","repositories","createdAt"}; never secrets. */
bool access_keys_list(const char *path, struct json **out, struct err *err) MUST_CHECK;
/* By id or by name. */
bool access_keys_delete(const char *path, const char *id_or_name, struct err *err) MUST_CHECK;
