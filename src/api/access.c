/* SPDX-License-Identifier: MIT */
#include "api/access.h"

#include <stdio.h>

#include "base/clock.h"
#include "base/log.h"
#include "io/audit.h"
#include "io/guard.h"

/* ---- who ---- */

/* The key of that id; the installation's own where there is no such one, so that an unknown id is
 * told from a wrong signature by sigv4_verify(), as always. */
static bool
key_find(const struct api_config *config, struct str id, struct access_key *out)
{
    if (config->keys != NULL && access_keys_find(config->keys, id, out))
        return true;
    *out = (struct access_key){.role = "admin"};
    text_copy_all(out->id, sizeof(out->id), config->access_key_id);
    text_copy_all(out->secret, sizeof(out->secret), config->secret_access_key);
    return false;
}

static bool
caller_fill(const struct api_config *config, struct caller *caller, struct err *err)
{
    if (!roles_parse(str_of(caller->key.role), &caller->role))
        return err_set(err, ERR_ACCESS_DENIED, "The access key's role '%s' is not known.",
                       caller->key.role);
    access_key_principal(&caller->key, config->account, caller->principal);
    return true;
}

/* A wrong clock or a missing header is a mistake; only these are how guessing looks. */
static bool
is_guess(const struct err *err)
{
    return err->code == ERR_UNRECOGNIZED_CLIENT ||
           (err->code == ERR_INVALID_SIGNATURE &&
            str_starts(str_of(err->message), STR("The request signature we calculated")));
}

bool
access_is_named(const struct api *api, struct str authorization)
{
    struct sigv4_authorization said;
    struct access_key key;

    return sigv4_parse(authorization, &said, NULL) &&
           (key_find(api_get_config(api), said.access_key_id, &key) ||
            str_is(said.access_key_id, key.id));
}

bool
access_signed(const struct api *api, const struct sigv4_request *http, struct str peer,
              struct sigv4_authorization *auth_out, struct caller *out, struct err *err)
{
    const struct api_config *config = api_get_config(api);
    struct sigv4_authorization said = {0};
    struct caller caller;
    const int64_t now_ms = clock_wall_ms();

    if (!sigv4_parse(sigv4_header(http, "authorization"), &said, NULL))
        said = (struct sigv4_authorization){0};
    const int64_t wait_ms =
        config->guard != NULL
            ? guard_wait_ms(config->guard, peer, said.access_key_id, clock_monotonic_ms())
            : 0;
    if (wait_ms > 0)
        return err_set(err, ERR_THROTTLING,
                       "Rate exceeded: too many wrong signatures; try again in %lld ms.",
                       (long long)wait_ms);
    if (!key_find(config, said.access_key_id, &caller.key) && config->keys != NULL &&
        access_keys_has_expired(config->keys, said.access_key_id))
        return err_set(err, ERR_EXPIRED_TOKEN, "The security token included in the request is expired");
    if (!sigv4_verify(http, caller.key.id, caller.key.secret, caller.key.token, now_ms, auth_out, err)) {
        if (config->guard != NULL && is_guess(err))
            guard_failed(config->guard, peer, said.access_key_id, clock_monotonic_ms());
        return false;
    }
    if (config->guard != NULL)
        guard_passed(config->guard, peer, said.access_key_id);
    if (!caller_fill(config, &caller, err))
        return false;
    *out = caller;
    return true;
}

/* ---- what ---- */

static struct str
repository_of_arn(const char *arn)
{
    struct str s = str_of(arn);
    const ptrdiff_t at = str_find(s, STR(":repository/"));

    return at < 0 ? (struct str){0} : str_slice(s, (size_t)at + 12, s.len);
}

/* Does the key's list of repositories have all that the input names? */
static bool
repositories_fit(const struct caller *caller, const struct json *input)
{
    const struct str lists = str_of(caller->key.repositories);
    const struct str name = str_of(json_get_cstr(input, "repositoryName", NULL));
    const struct str of_arn = repository_of_arn(json_get_cstr(input, "resourceArn", NULL));
    const struct json *names = json_get(input, "repositoryNames");

    if (lists.len == 0)
        return true;
    for (size_t i = 0; i < json_size(names); i++)
        if (!names_match_all(lists, str_of(json_cstr(json_at(names, i), ""))))
            return false;
    return (name.len == 0 || names_match_all(lists, name)) &&
           (of_arn.len == 0 || names_match_all(lists, of_arn));
}

bool
access_allows(const struct caller *caller, const char *service, const char *operation,
              const struct json *input, struct err *err)
{
    if (!role_allows(caller->role, service, operation))
        return err_set(
            err, ERR_ACCESS_DENIED,
            "User: %s is not authorized to perform: %s:%s because no identity-based policy "
            "allows the %s:%s action",
            caller->principal, service, operation, service, operation);
    return strcmp(service, "ecr") != 0 || repositories_fit(caller, input) ||
           err_set(err, ERR_ACCESS_DENIED,
                   "User: %s is not authorized to perform: %s:%s on this repository because no "
                   "identity-based policy allows the %s:%s action there",
                   caller->principal, service, operation, service, operation);
}

static void
note_line(const struct api *api, const struct caller *caller, struct str peer, const char *action,
          const char *outcome, const char *request_id)
{
    char who[KEY_LOG_NAME_SIZE];

    access_key_log_name(&caller->key, who);
    audit_line(api_get_config(api)->audit, "api.call",
               "who=%s key=%s peer=" STR_FMT " action=%s outcome=%s request_id=%s", who, caller->key.id,
               STR_ARG(peer), action, outcome, request_id);
}

void
access_note(const struct api *api, const struct caller *caller, struct str peer,
            const char *service, const char *operation, const struct json *input,
            const char *outcome, const char *request_id)
{
    const char *repository = json_get_cstr(input, "repositoryName", NULL);
    const char *role = json_get_cstr(input, "RoleArn", NULL); /* of AssumeRole */
    cleanup_free char *action =
        repository != NULL ? text_format("%s:%s repository=%s", service, operation, log_quote(repository))
        : role != NULL     ? text_format("%s:%s role=%s session=%s", service, operation, log_quote(role),
                                         log_quote(json_get_cstr(input, "RoleSessionName", "")))
                           : text_format("%s:%s", service, operation);

    note_line(api, caller, peer, action, outcome, request_id);
}

void
access_note_path(const struct api *api, const struct caller *caller, struct str peer,
                 const char *method, const char *path, const char *outcome, const char *request_id)
{
    cleanup_free char *action = text_format("naru:%s path=%s", method, log_quote(path));

    note_line(api, caller, peer, action, outcome, request_id);
}
