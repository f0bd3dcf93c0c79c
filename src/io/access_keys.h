/* SPDX-License-Identifier: MIT */
/* access_keys.h - the access keys of an installation: the one that it made for itself (role admin,
 * in memory), those that `naru keys` makes, in <data>/keys.json (mode 0600, secrets in clear:
 * a signature can only be checked by who has the secret), those lent for a while, to a build for
 * example: in memory, for as long as access_keys_take_back() is not called; and sessions: what a key
 * got from STS for some hours (key_sessions.h), which may never do more than that key and end with it.
 * The files are the only way in: whoever may write them may make keys. A server reads them again when they
 * have changed, so a key that was deleted is refused from the next request on.
 * Limits: KEYS_MAX keys in the file, KEYS_LENT_MAX lent.  Threads: all but `naru keys`'s from any.
 * Errors: ERR_VALIDATION and ERR_NOT_FOUND name what is wrong with what was asked for. */
#pragma once
#include "base/err.h"
#include "base/json.h"

#define KEYS_MAX 1000
#define KEYS_LENT_MAX 1024
#define SESSION_DEPTH_MAX 3 /* a session's session's session */
#define KEY_REPOSITORIES_SIZE 1024
#define KEY_NAME_SIZE 160
#define KEY_PRINCIPAL_SIZE 224
#define KEY_LOG_NAME_SIZE 352
#define SESSION_TOKEN_CHARS 64

struct access_key {
    char id[64], secret[128];
    char name[KEY_NAME_SIZE]; /* [A-Za-z0-9+=,.@_-], 64 at most; empty: the installation's own; with is_role ROLE/SESSION */
    bool is_role;             /* its principal is a role's session: lent to a build, or assumed */
    char role[64];            /* of model/role.h; several, joined by commas: what all of them allow */
    /* Patterns, joined by commas; empty: all. Several such lists, joined by semicolons: each must fit. */
    char repositories[(SESSION_DEPTH_MAX + 1) * KEY_REPOSITORIES_SIZE];
    /* ---- of a session ---- */
    char token[SESSION_TOKEN_CHARS + 1]; /* comes with each request; empty: this is no session */
    int64_t until_ms;                    /* when it ends */
    int depth;                           /* 1: of a key; 2: of a session of a key */
    char root_id[64];                    /* that key's id */
    bool has_holder; /* a role was assumed by the key that is named in the next two as above */
    bool holder_is_role;
    char holder[KEY_NAME_SIZE];
};

struct access_keys;
struct access_keys *access_keys_new(const char *path, const char *own_id, const char *own_secret);
void access_keys_free(struct access_keys *keys); /* NULL is fine */
/* False: there is no such key, or it is a session that has ended. A file that cannot be read has none; that is
 * logged. */
bool access_keys_find(struct access_keys *keys, struct str id, struct access_key *out);

/* Is it a session whose time is over, and was it one not long ago? */
bool access_keys_has_expired(struct access_keys *keys, struct str id);

/* Its owner as AWS names him: "arn:aws:iam::000000000000:root", ":user/NAME", of a lent key or an assumed role
 * "arn:aws:sts::000000000000:assumed-role/ROLE/SESSION". */
void access_key_principal(const struct access_key *key, const char *account,
                          char out[static KEY_PRINCIPAL_SIZE]);
/* The same of the key that assumed the role; false: nobody did. */
bool access_key_holder(const struct access_key *key, const char *account, char out[static KEY_PRINCIPAL_SIZE]);
/* The id of the key behind it, its own if it is no session: what one may have at once he has with all his sessions. */
const char *access_key_root_id(const struct access_key *key);
/* For lines of the audit log, behind "who=": "root", "NAME", or of a role that somebody assumed two fields,
 * "ROLE/SESSION assumed_by=NAME": whoever assumes it chooses what the session is called. */
void access_key_log_name(const struct access_key *key, char out[static KEY_LOG_NAME_SIZE]);

/* ---- sessions ---- */
struct session_wish {
    const char *role_arn; /* NULL: the key's own rights, as GetSessionToken gives them */
    const char *session_name, *external_id; /* of AssumeRole; the second may be NULL */
    int64_t seconds;
};
/* `parent` begins a session (`out`: its id, secret, token, name and end), kept in <data>/sessions.json when this returns. ERR_ACCESS_DENIED: there is no such role
 * here, its external id is another, or no more sessions of sessions; ERR_VALIDATION: it is too long; ERR_THROTTLING: there
 * are SESSIONS_OF_KEY_MAX of that key, or SESSIONS_MAX of all. */
bool access_keys_begin_session(struct access_keys *keys, const struct access_key *parent, const struct session_wish *wish,
                               const char *account, int64_t now_ms, struct access_key *out, struct err *err) MUST_CHECK;

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
