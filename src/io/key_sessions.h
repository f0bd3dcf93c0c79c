/* SPDX-License-Identifier: MIT */
/* key_sessions.h - the rows of <data>/sessions.json: credentials for some hours, made by access_keys_begin_session(),
 * by their access key ids. A row names the key that began it and the role that it assumed; what it may do is asked of
 * both when it is used. Rows whose time is over stay for an hour, so that their holder hears why he is refused.
 * Limits: SESSIONS_MAX, SESSIONS_OF_KEY_MAX.
 * Errors: ERR_NOT_FOUND; those of access_keys_begin_session(). */
#pragma once
#include "io/access_keys.h"

#define SESSIONS_MEMBER "sessions"
#define SESSION_KIND "ASIA"
#define SESSIONS_MAX 4096
#define SESSIONS_OF_KEY_MAX 1000 /* with those that its sessions began */
#define SESSION_CHAINED_SECONDS_MAX 3600 /* as in AWS, of a session's session */

int64_t key_session_end(const struct json *row); /* in milliseconds */
const char *key_session_parent(const struct json *row);
/* The session as it is by its key and its role, one of `roles` (NULL: the role is not looked at). False: the role is not
 * there any more, or is another. */
bool key_session_fill(const char *id, const struct json *row, const struct json *roles, const struct access_key *parent,
                      struct access_key *out);
/* Is it not too long for the role (or NULL) and the parent? */
bool key_session_check(const struct json *role, const struct access_key *parent, int64_t seconds,
                       struct err *err) MUST_CHECK;
struct json *key_session_row(const struct access_key *made, const struct access_key *parent, const struct json *role,
                             const struct session_wish *wish, int64_t now_ms);
/* Takes the file's lock. is_orphan(ctx, id of a key) is asked when there is no room. */
bool key_sessions_add(const char *path, const char *id, const struct json *row, int64_t now_ms,
                      bool (*is_orphan)(void *ctx, const char *parent), void *ctx, struct err *err) MUST_CHECK;

/* ---- for `naru keys` ---- */
/* Those whose time is not over: an array of {"accessKeyId","session","role","parent","createdAt","expiresAt"}. */
bool key_sessions_list(const char *path, int64_t now_ms, struct json **out, struct err *err) MUST_CHECK;
/* By its access key id. */
bool key_sessions_end(const char *path, const char *id, struct err *err) MUST_CHECK;
