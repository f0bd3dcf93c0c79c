/* SPDX-License-Identifier: MIT */
/* upstream_secret.c - the credentials of other registries: what `naru secret` keeps under the name
 * that a credentialArn ends with. */
#include "daemon/upstream_secret.h"

#include "base/json.h"
#include "pipeline/secrets.h"

/* A password, or a text as Secrets Manager has it: {"username", "accessToken"}. */
static bool
pair_read(const struct json *secret, char **username_out, char **password_out)
{
    const char *text = json_get_cstr(secret, "text", NULL);
    cleanup_json struct json *parsed = text != NULL ? json_parse(str_of(text), NULL) : NULL;
    const struct json *from = parsed != NULL ? parsed : secret;
    const char *username = json_get_cstr(from, "username", NULL);
    const char *password =
        json_get_cstr(from, "password", json_get_cstr(from, "accessToken", NULL));

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
    const char *name = strstr(arn, ":secret:");
    cleanup_free char *directory = text_format("%s/secrets", (const char *)ctx);
    struct err why = {0};

    name = name != NULL ? name + strlen(":secret:") : arn;
    cleanup_json struct json *secret = secrets_get(directory, name, &why);
    if (secret == NULL && why.code != ERR_RESOURCE_NOT_FOUND) {
        *err = why;
        err->code = ERR_SECRET_NOT_READ;
        return false;
    }
    if (secret == NULL)
        return err_set(err, ERR_SECRET_NOT_FOUND,
                       "there is no secret '%.200s': 'naru secret set %.200s --kind password "
                       "--username <name>' keeps one",
                       name, name);
    return pair_read(secret, username_out, password_out) ||
           err_set(err, ERR_SECRET_NOT_READ,
                   "the secret '%.200s' is neither a password nor a text with username and "
                   "accessToken",
                   name);
}
