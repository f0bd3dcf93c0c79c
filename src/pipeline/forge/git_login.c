/* SPDX-License-Identifier: MIT */
#include "pipeline/forge/git_login.h"

#include "base/crypto.h"
#include "base/seal.h"
#include "pipeline/secrets.h"

/* "https://host/" of the URL, if the token may go there; malloc'd. */
static char *
scope_of(const char *url)
{
    struct str s = str_of(url), rest;
    ptrdiff_t slash;

    if (!str_starts(s, STR("https://")) && !str_starts(s, STR("http://127.0.0.1:")) &&
        !str_starts(s, STR("http://localhost:")))
        return NULL;
    rest = str_slice(s, (size_t)str_find(s, STR("://")) + 3, s.len);
    slash = str_index(rest, '/');
    if (slash <= 0 || str_index(str_slice(rest, 0, (size_t)slash), '@') >= 0)
        return NULL; /* it carries a login of its own */
    return str_dup(str_range(url, rest.at + slash + 1));
}

void
git_login_find(const char *secrets_dir, const char *url, struct git_login *out)
{
    cleanup(strbuf_done) struct strbuf plain = {0}, base64 = {0};
    cleanup_free char *scope = url == NULL ? NULL : scope_of(url);
    cleanup_json struct json *c = NULL;
    const char *token;
    struct err err;

    *out = (struct git_login){0};
    if (scope == NULL || secrets_dir == NULL)
        return;
    c = secrets_get(secrets_dir, "github", &err);
    token = json_get_cstr(c, "text", json_get_cstr(c, "password", ""));
    if (token[0] == '\0')
        return;
    strbuf_addf(&plain, "x-access-token:%s", token);
    base64_encode(&base64, strbuf_str(&plain));
    out->variables[0] = text_dup("GIT_CONFIG_COUNT=1");
    out->variables[1] = text_format("GIT_CONFIG_KEY_0=http.%s.extraHeader", scope);
    out->variables[2] =
        text_format("GIT_CONFIG_VALUE_0=Authorization: Basic %s", strbuf_cstr(&base64));
    out->token = text_dup(token);
    secret_wipe(plain.at, plain.len);
}

void
git_login_done(struct git_login *l)
{
    for (size_t i = 0; i < GIT_LOGIN_VARIABLES; i++)
        free(l->variables[i]);
    if (l->token != NULL)
        secret_wipe(l->token, strlen(l->token));
    free(l->token);
    *l = (struct git_login){0};
}
