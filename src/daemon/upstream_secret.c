/* SPDX-License-Identifier: MIT */
/* upstream_secret.c - the credentials of other registries, as Secrets Manager has them. */
#include "daemon/upstream_secret.h"

#include "base/json.h"
#include "daemon/named_secret.h"

/* {"username", "accessToken"}, or the members of a password. */
static bool
pair_read(const char *text, char **username_out, char **password_out)
{
    cleanup_json struct json *pair = json_parse(str_of(text), NULL);
    const char *username = json_get_cstr(pair, "username", NULL);
    const char *password = json_get_cstr(pair, "password", json_get_cstr(pair, "accessToken", NULL));

    if (username == NULL || password == NULL || strpbrk(username, ":\r\n") != NULL)
        return false;
    *username_out = text_dup(username);
    *password_out = text_dup(password);
    return true;
}

bool
upstream_secret(void *ctx, const char *arn, char **username_out, char **password_out,
                struct err *err)
{
    cleanup_free char *directory = text_format("%s/secrets", (const char *)ctx);
    struct err why = {0};
    cleanup_free char *text = named_secret(directory, arn, &why);

    if (text == NULL && why.code == ERR_RESOURCE_NOT_FOUND)
        return err_set(err, ERR_SECRET_NOT_FOUND, "%.900s, with '--kind password --username <name>'", why.message);
    if (text == NULL)
        return err_set(err, ERR_SECRET_NOT_READ, "%.900s", why.message);
    return pair_read(text, username_out, password_out) ||
           err_set(err, ERR_SECRET_NOT_READ,
                   "the secret of '%.300s' is neither a password nor a text with username and accessToken", arn);
}
