/* SPDX-License-Identifier: MIT */
#include "pipeline/forge/git_login.h"

#include <pthread.h>
#include "base/crypto.h"
#include "base/log.h"
#include "base/seal.h"
#include "pipeline/forge/forge_status.h"
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

/* One identity is kept, with its token: builds and comparisons of heads ask again and again. */
static struct {
    pthread_mutex_t mutex;
    char *given_url, *url, *secrets_dir;
    struct github_api *api;
} app = {.mutex = PTHREAD_MUTEX_INITIALIZER};

void
git_login_use_api(const char *api_url)
{
    pthread_mutex_lock(&app.mutex);
    free(app.given_url);
    app.given_url = api_url == NULL || api_url[0] == '\0' ? NULL : text_dup(api_url);
    pthread_mutex_unlock(&app.mutex);
}

/* "acme/shop" of https://github.com/acme/shop.git; malloc'd. */
static char *
repository_of(const char *url, const char *scope)
{
    struct str path = str_of(url + strlen(scope));

    if (str_ends(path, STR(".git")))
        path.len -= 4;
    return str_dup(path);
}

/* The one that is kept, if it is of these; else a new one.  Nobody else has it then: GitHub is asked without
 * the lock, and who comes meanwhile asks for himself. */
static struct github_api *
take_api(const char *api_url, const char *secrets_dir)
{
    struct github_api *api = NULL;

    pthread_mutex_lock(&app.mutex);
    if (app.api != NULL && strcmp(app.url, api_url) == 0 &&
        strcmp(app.secrets_dir, secrets_dir) == 0)
        api = TAKE(app.api);
    pthread_mutex_unlock(&app.mutex);
    return api != NULL ? api : github_api_new(api_url, secrets_dir);
}

static void
keep_api(struct github_api *api, const char *api_url, const char *secrets_dir)
{
    struct github_api *before;

    pthread_mutex_lock(&app.mutex);
    before = app.api;
    free(app.url);
    free(app.secrets_dir);
    app.url = text_dup(api_url);
    app.secrets_dir = text_dup(secrets_dir);
    app.api = api;
    pthread_mutex_unlock(&app.mutex);
    github_api_free(before);
}

static void
token_of_app(const char *secrets_dir, const char *url, const char *scope, struct strbuf *out)
{
    cleanup_free char *repository = repository_of(url, scope), *api_url = NULL;
    struct github_api *api;
    struct err err;

    pthread_mutex_lock(&app.mutex);
    api_url = app.given_url != NULL ? text_dup(app.given_url) : github_api_url_of(url);
    pthread_mutex_unlock(&app.mutex);
    api = take_api(api_url, secrets_dir);
    if (!github_api_token(api, repository, out, &err))
        log_warn("git.login", "repository=%s error=%s", repository, log_quote(err.message));
    keep_api(api, api_url, secrets_dir);
}

static void
find_token(const char *secrets_dir, enum forge forge, const char *url, const char *scope,
           struct strbuf *out)
{
    struct err err;
    cleanup_json struct json *c = secrets_get(secrets_dir, forge_name(forge), &err);

    if (forge == FORGE_GITHUB && strcmp(json_get_cstr(c, "kind", ""), "github-app") == 0)
        token_of_app(secrets_dir, url, scope, out);
    else
        strbuf_add_cstr(out, secret_token(c));
}

void
git_login_find(const char *secrets_dir, const char *told, const char *url, struct git_login *out)
{
    const enum forge forge = forge_of(told, url);
    cleanup(strbuf_done) struct strbuf plain = {0}, base64 = {0}, token = {0};
    cleanup_free char *scope = url == NULL ? NULL : scope_of(url);

    *out = (struct git_login){0};
    if (scope == NULL || secrets_dir == NULL)
        return;
    find_token(secrets_dir, forge, url, scope, &token);
    if (token.len == 0)
        return;
    strbuf_addf(&plain, "%s:%s", forge == FORGE_GITHUB ? "x-access-token" : "oauth2",
                strbuf_cstr(&token));
    base64_encode(&base64, strbuf_str(&plain));
    out->variables[0] = text_dup("GIT_CONFIG_COUNT=1");
    out->variables[1] = text_format("GIT_CONFIG_KEY_0=http.%s.extraHeader", scope);
    out->variables[2] =
        text_format("GIT_CONFIG_VALUE_0=Authorization: Basic %s", strbuf_cstr(&base64));
    out->token = text_dup(strbuf_cstr(&token));
    secret_wipe(plain.at, plain.len);
    secret_wipe(token.at, token.len);
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
