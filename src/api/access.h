/* SPDX-License-Identifier: MIT */
/* access.h - who signed a request, and may they do what it asks.
 * Start at access_signed(); access_allows() for each operation, when its input is known.
 * Errors: those of sigv4.h; ERR_EXPIRED_TOKEN of a session that is over; ERR_THROTTLING for who has guessed too often (io/guard.h);
 * ERR_ACCESS_DENIED, naming the action, as IAM puts it. */
#pragma once
#include "api/operations.h"
#include "io/access_keys.h"
#include "model/role.h"

struct caller {
    struct access_key key;
    enum role role;
    char principal[KEY_PRINCIPAL_SIZE];
};

/* `peer` is the client's address; empty in tests. */
bool access_signed(const struct api *api, const struct sigv4_request *http, struct str peer,
                   struct sigv4_authorization *auth_out, struct caller *out,
                   struct err *err) MUST_CHECK;
/* Does an Authorization header name a key that there is? It proves nothing yet: only such requests may bring a
 * large body, which is read before its signature can be looked at. */
bool access_is_named(const struct api *api, struct str authorization);
/* `service` as in IAM's actions. `input` may be NULL; what it says of repositories counts. */
bool access_allows(const struct caller *caller, const char *service, const char *operation,
                   const struct json *input, struct err *err) MUST_CHECK;
/* Writes down a deed: who, what, whence, and what came of it ("ok" or an error's code). */
void access_note(const struct api *api, const struct caller *caller, struct str peer,
                 const char *service, const char *operation, const struct json *input,
                 const char *outcome, const char *request_id);
/* The same of a path below /naru/. */
void access_note_path(const struct api *api, const struct caller *caller, struct str peer,
                      const char *method, const char *path, const char *outcome,
                      const char *request_id);
