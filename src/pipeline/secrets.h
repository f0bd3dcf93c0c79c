/* SPDX-License-Identifier: MIT */
/* secrets.h - the credentials that Jenkinsfiles and task definitions name, encrypted on disk.
 *   <directory>/key         32 random bytes, mode 0600, made at first use
 *   <directory>/store.json  {id: {"kind", "description", "updatedAtMs", "sealed"}}, mode 0600
 * `sealed` is the value as JSON, sealed (seal.h) with the id and the kind as its context.  Both
 * files are refused if others may read them.  Any process may read and write: a lock file keeps
 * writers apart, readers see the old or the new store.
 *
 * A value is an object with its "kind", and by that:
 *   text         "text"
 *   password     "username", "password"
 *   ssh          "username", "privateKey", "passphrase"
 *   file         "contentBase64", "name"
 *   aws          "accessKeyId", "secretAccessKey"
 *   certificate  "contentBase64", "password", "alias"
 *   github-app   "appId", "installationId", "privateKey"
 *
 * Limits: SECRETS_MAX of them, SECRET_LEN_MAX bytes each. */
#pragma once
#include "base/json.h"

#define SECRETS_MAX 1000
#define SECRET_LEN_MAX ((size_t)1 << 20)

bool secrets_id_is_valid(struct str id); /* up to 200 printable characters, no blank at the ends */
bool secrets_set(const char *directory, const char *id, const struct json *value,
                 const char *description, struct err *err) MUST_CHECK;
bool secrets_delete(const char *directory, const char *id, struct err *err) MUST_CHECK;
/* [{"id", "kind", "description", "updatedAtMs"}], by id, no values; NULL on failure. */
struct json *secrets_list(const char *directory, struct err *err) MUST_CHECK;
/* The value, for the caller to unref; NULL: ERR_RESOURCE_NOT_FOUND, or it cannot be read. */
struct json *secrets_get(const char *directory, const char *id, struct err *err) MUST_CHECK;
/* Of a value that is a token: its text, or its password; "" if it has neither.  Borrowed. */
const char *secret_token(const struct json *value);
/* Seals any text with the store's key (made if there is none), as base64; `context` is what it belongs to. */
bool secrets_seal(const char *directory, struct str context, struct str text, struct strbuf *out,
                  struct err *err) MUST_CHECK;
bool secrets_unseal(const char *directory, struct str context, struct str sealed,
                    struct strbuf *out, struct err *err) MUST_CHECK;
/* Takes the credentials of a plain file of earlier versions over and removes it; without such a
 * file nothing happens.  Those that are stored already stay as they are. */
bool secrets_take_over(const char *data_dir,
                       struct err *err) MUST_CHECK; /* at the daemon's start */
bool secrets_migrate(const char *directory, const char *plain_path, unsigned *count_out,
                     struct err *err) MUST_CHECK;
