/* SPDX-License-Identifier: MIT */
/* sts.c - who am I, and credentials for some hours: with the rights of the caller, or with what remains of them in a
 * role (io/role_map.h). */
#include "api/operations.h"

#include <ctype.h>
#include <stdio.h>

#include "base/crypto.h"
#include "io/access_keys.h"

#define SECONDS_DEFAULT 3600
#define OWN_SECONDS_DEFAULT 43200
#define ROOT_SECONDS_MAX 3600
#define ROLE_ID_SIZE 22

/* "AROA" and letters made of the role's name. */
static void
format_role_id(struct str role, char out[static ROLE_ID_SIZE])
{
    char hex[SHA256_HEX + 1];

    sha256_hex(role, hex);
    snprintf(out, ROLE_ID_SIZE, "AROA%.17s", hex);
    for (char *p = out; *p != '\0'; p++)
        *p = (char)toupper((unsigned char)*p);
}

/* Of the principal "...:assumed-role/ROLE/SESSION": "AROA...:SESSION". False: it is no role's. */
static bool
format_session_id(const char *principal, char out[static KEY_PRINCIPAL_SIZE])
{
    static const char kind[] = ":assumed-role/";
    const char *at = strstr(principal, kind), *session = strrchr(principal, '/');
    char id[ROLE_ID_SIZE];

    if (at == NULL || session == NULL)
        return false;
    at += sizeof(kind) - 1;
    format_role_id((struct str){at, (size_t)(session - at)}, id);
    snprintf(out, KEY_PRINCIPAL_SIZE, "%s:%s", id, session + 1);
    return true;
}

/* The installation's own key is the root user's, those of `naru keys` are users'; the id is the account's for both. A
 * build has assumed a role, too. */
static bool
get_caller_identity(struct request *rq, struct json *out, struct err *err)
{
    char id[KEY_PRINCIPAL_SIZE];

    (void)err;
    json_set(out, "UserId", json_text(format_session_id(rq->principal, id) ? id : rq->account));
    json_set(out, "Account", json_text(rq->account));
    json_set(out, "Arn", json_text(rq->principal));
    return true;
}

static bool
begin_session(struct request *rq, const struct session_wish *wish, struct access_key *made, struct json *out,
              struct err *err)
{
    struct access_keys *keys = api_get_config(rq->api)->keys;

    if (keys == NULL)
        return err_set(err, ERR_UNSUPPORTED_FEATURE, "This server has but one access key; there are no others, for no time.");
    if (!access_keys_begin_session(keys, rq->key, wish, rq->account, rq->now_ms, made, err))
        return false;
    struct json *credentials = json_object();
    json_set(credentials, "AccessKeyId", json_text(made->id));
    json_set(credentials, "SecretAccessKey", json_text(made->secret));
    json_set(credentials, "SessionToken", json_text(made->token));
    json_set(credentials, "Expiration", aws_time(rq, made->until_ms));
    json_set(out, "Credentials", credentials);
    return true;
}

/* What would make the session narrower, or ask for more, and is not built. */
static bool
refuse_members(const struct request *rq, const char *const *names, struct err *err)
{
    for (; *names != NULL; names++)
        if (json_get(rq->input, *names) != NULL)
            return err_set(err, ERR_UNSUPPORTED_FEATURE, "%s of %s is not built in naru.", *names, rq->operation);
    return true;
}

static bool
assume_role(struct request *rq, struct json *out, struct err *err)
{
    static const char *const refused[] = {"Policy", "PolicyArns", "Tags", "TransitiveTagKeys", "SerialNumber",
                                          "TokenCode", "SourceIdentity", "ProvidedContexts", NULL};
    const struct session_wish wish = {
        .role_arn = json_get_cstr(rq->input, "RoleArn", ""),
        .session_name = json_get_cstr(rq->input, "RoleSessionName", ""),
        .external_id = json_get_cstr(rq->input, "ExternalId", NULL),
        .seconds = json_get_i64(rq->input, "DurationSeconds", SECONDS_DEFAULT),
    };
    char arn[KEY_PRINCIPAL_SIZE], id[KEY_PRINCIPAL_SIZE];
    struct access_key made;

    if (!refuse_members(rq, refused, err) || !begin_session(rq, &wish, &made, out, err))
        return false;
    struct json *user = json_object();
    access_key_principal(&made, rq->account, arn);
    (void)format_session_id(arn, id);
    json_set(user, "AssumedRoleId", json_text(id));
    json_set(user, "Arn", json_text(arn));
    json_set(out, "AssumedRoleUser", user);
    return true;
}

static bool
get_session_token(struct request *rq, struct json *out, struct err *err)
{
    static const char *const refused[] = {"SerialNumber", "TokenCode", NULL};
    struct session_wish wish = {.seconds = json_get_i64(rq->input, "DurationSeconds", OWN_SECONDS_DEFAULT)};
    struct access_key made;

    if (!refuse_members(rq, refused, err))
        return false;
    if (rq->key->depth > 0 || rq->key->is_role)
        return err_set(err, ERR_ACCESS_DENIED, "Cannot call GetSessionToken with session credentials");
    if (rq->key->name[0] == '\0' && wish.seconds > ROOT_SECONDS_MAX)
        wish.seconds = ROOT_SECONDS_MAX; /* as in AWS, of the account's owner */
    return begin_session(rq, &wish, &made, out, err);
}

const struct operation sts_operations[] = {
    {"AssumeRole", ACCESS_LOCAL, assume_role},
    {"GetCallerIdentity", ACCESS_LOCAL, get_caller_identity},
    {"GetSessionToken", ACCESS_LOCAL, get_session_token},
    {0},
};
