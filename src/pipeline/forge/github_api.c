/* SPDX-License-Identifier: MIT */
#include "pipeline/forge/github_api.h"

#include <stdatomic.h>
#include <stdio.h>
#include "base/clock.h"
#include "base/seal.h"
#include "io/http_client.h"
#include "pipeline/secrets.h"

#define CALL_TIMEOUT_MS 30000
#define TOKEN_LIFE_MS ((int64_t)50 * 60 * 1000) /* GitHub's live an hour */
#define RETRY_MAX_MS ((int64_t)5 * 60 * 1000)
#define WAIT_MAX_MS ((int64_t)65 * 60 * 1000) /* a rate limit ends within the hour */
#define SECONDARY_MS 60000

struct github_api {
    char *url, *secrets_dir;
    struct http_client *client;
    atomic_bool cancelled;
    /* An installation's token, and whose. */
    char *token, *token_owner;
    int64_t token_ends_ms;
};

struct github_api *
github_api_new(const char *api_url, const char *secrets_dir)
{
    struct github_api *api = mem_new(sizeof(*api));

    api->url = text_dup(api_url);
    api->secrets_dir = text_dup(secrets_dir);
    api->client = http_client_new();
    return api;
}

static void
forget_token(struct github_api *api)
{
    if (api->token != NULL)
        secret_wipe(api->token, strlen(api->token));
    free(api->token);
    free(api->token_owner);
    api->token = api->token_owner = NULL;
}

void
github_api_free(struct github_api *api)
{
    if (api == NULL)
        return;
    forget_token(api);
    http_client_free(api->client);
    free(api->url);
    free(api->secrets_dir);
    free(api);
}

void
github_api_cancel(struct github_api *api)
{
    atomic_store(&api->cancelled, true);
}

static bool
is_cancelled(void *arg)
{
    return atomic_load(&((struct github_api *)arg)->cancelled);
}

bool
github_api_is_of(const struct github_api *api, const char *api_url)
{
    return strcmp(api->url, api_url) == 0;
}

bool
github_api_has_identity(struct github_api *api, bool *is_app_out)
{
    struct err err;
    cleanup_json struct json *c =
        api->secrets_dir == NULL ? NULL : secrets_get(api->secrets_dir, "github", &err);

    *is_app_out = strcmp(json_get_cstr(c, "kind", ""), "github-app") == 0;
    return c != NULL;
}

int64_t
github_retry_ms(int status, struct str retry_after, struct str remaining, struct str reset,
                int64_t now_s, unsigned attempt)
{
    int64_t seconds, backoff = RETRY_MAX_MS;

    if (attempt < 9)
        backoff = (int64_t)1000 << attempt;
    if (backoff > RETRY_MAX_MS)
        backoff = RETRY_MAX_MS;
    if (str_to_i64(retry_after, &seconds) && seconds >= 0 && seconds <= WAIT_MAX_MS / 1000)
        return seconds * 1000 > 0 ? seconds * 1000 : 1000;
    if (str_is(remaining, "0") && str_to_i64(reset, &seconds) && seconds >= now_s &&
        seconds - now_s <= WAIT_MAX_MS / 1000)
        return (seconds - now_s + 1) * 1000;
    /* A secondary limit says no more than that it is one. */
    return (status == 403 || status == 429) && backoff < SECONDARY_MS ? SECONDARY_MS : backoff;
}

char *
github_api_url_of(const char *repository_url)
{
    struct str url = str_of(repository_url);
    ptrdiff_t scheme = str_find(url, STR("://")), end;

    if (scheme < 0 || str_starts(url, STR("file://")))
        return text_dup("https://api.github.com");
    url = str_slice(url, (size_t)scheme + 3, url.len);
    end = str_index(url, '/');
    if (end >= 0)
        url = str_slice(url, 0, (size_t)end);
    end = str_rindex(url, '@');
    if (end >= 0)
        url = str_slice(url, (size_t)end + 1, url.len);
    if (str_is(url, "github.com") || str_is(url, "ssh.github.com") || url.len == 0)
        return text_dup("https://api.github.com");
    return text_format("https://" STR_FMT "/api/v3", STR_ARG(url));
}

/* A rate limit is told by 429, or by a 403 with its marks; any other 403 is a refusal. */
static bool
is_limit(const struct http_answer *a)
{
    struct str body = strbuf_str(&a->body);

    return a->status == 429 ||
           (a->status == 403 &&
            (http_answer_header(a, "Retry-After").len > 0 ||
             str_is(http_answer_header(a, "X-RateLimit-Remaining"), "0") ||
             str_find(body, STR("rate limit")) >= 0 || str_find(body, STR("abuse")) >= 0));
}

static enum github_outcome
judge(const struct http_answer *a, unsigned attempt, struct github_reply *out, struct err *err)
{
    struct err ignored;
    cleanup_json struct json *body = json_parse(strbuf_str(&a->body), &ignored);

    if (a->status >= 200 && a->status < 300) {
        out->body = TAKE(body);
        return GITHUB_DONE;
    }
    err_set(err, ERR_UNAVAILABLE, "GitHub answered %d: %.150s", a->status,
            json_get_cstr(body, "message", ""));
    if (!is_limit(a) && a->status < 500 && a->status != 408)
        return GITHUB_REFUSED;
    out->retry_ms = github_retry_ms(a->status, http_answer_header(a, "Retry-After"),
                                    http_answer_header(a, "X-RateLimit-Remaining"),
                                    http_answer_header(a, "X-RateLimit-Reset"),
                                    clock_wall_ms() / 1000, attempt);
    return GITHUB_LATER;
}

static enum github_outcome
call(struct github_api *api, const char *token, const char *method, const char *path,
     const struct json *body, struct github_reply *out, struct err *err)
{
    cleanup_free char *url = text_format("%s%s", api->url, path);
    cleanup_free char *authorization = text_format("Authorization: Bearer %s", token);
    cleanup_free char *text = body == NULL ? NULL : json_format(body);
    const char *const headers[] = {authorization,
                                   "Accept: application/vnd.github+json",
                                   "X-GitHub-Api-Version: 2022-11-28",
                                   "User-Agent: naru",
                                   "Content-Type: application/json",
                                   NULL};
    const struct http_call request = {.method = method,
                                      .url = url,
                                      .headers = headers,
                                      .body = str_of(text),
                                      .timeout_ms = CALL_TIMEOUT_MS,
                                      .is_cancelled = is_cancelled,
                                      .arg = api};
    struct http_answer answer;
    enum github_outcome outcome;

    *out = (struct github_reply){0};
    if (!http_client_call(api->client, &request, &answer, err)) {
        out->retry_ms = 1000;
        outcome = GITHUB_LATER;
    } else {
        outcome = judge(&answer, 0, out, err);
        http_answer_done(&answer);
    }
    secret_wipe(authorization, strlen(authorization));
    return outcome;
}

static bool
make_jwt(const struct json *app, struct strbuf *out, struct err *err)
{
    cleanup_json struct json *claims = json_object();
    cleanup_free char *text = NULL;
    int64_t now_s = clock_wall_ms() / 1000;

    /* A minute back, for clocks that differ; GitHub takes ten minutes at most. */
    json_set(claims, "iat", json_int(now_s - 60));
    json_set(claims, "exp", json_int(now_s + 540));
    json_set(claims, "iss", json_text(json_get_cstr(app, "appId", "")));
    text = json_format(claims);
    return jwt_rs256(str_of(json_get_cstr(app, "privateKey", "")), str_of(text), out, err);
}

static enum github_outcome
find_installation(struct github_api *api, const char *jwt, const struct json *app,
                  const char *repository, char id[static 32], struct err *err)
{
    cleanup_free char *path = text_format("/repos/%s/installation", repository);
    const char *given = json_get_cstr(app, "installationId", "");
    struct github_reply reply;
    enum github_outcome outcome;

    if (given[0] != '\0')
        return text_copy(id, 32, str_of(given)) ? GITHUB_DONE : GITHUB_REFUSED;
    outcome = call(api, jwt, "GET", path, NULL, &reply, err);
    if (outcome != GITHUB_DONE)
        return outcome;
    snprintf(id, 32, "%lld", (long long)json_get_i64(reply.body, "id", 0));
    json_unref(reply.body);
    return GITHUB_DONE;
}

/* The installation's token is kept for its owner ("acme" of "acme/shop"). */
static enum github_outcome
token_of_app(struct github_api *api, const struct json *app, const char *repository,
             struct err *err)
{
    const char *slash = strchr(repository, '/');
    struct str owner = str_range(repository, slash == NULL ? repository : slash);
    cleanup(strbuf_done) struct strbuf jwt = {0};
    cleanup_free char *path = NULL;
    struct github_reply reply;
    enum github_outcome outcome;
    char id[32];

    if (api->token != NULL && str_is(owner, api->token_owner) &&
        clock_monotonic_ms() < api->token_ends_ms)
        return GITHUB_DONE;
    forget_token(api);
    if (!make_jwt(app, &jwt, err))
        return GITHUB_REFUSED;
    outcome = find_installation(api, strbuf_cstr(&jwt), app, repository, id, err);
    if (outcome != GITHUB_DONE)
        return outcome;
    path = text_format("/app/installations/%s/access_tokens", id);
    outcome = call(api, strbuf_cstr(&jwt), "POST", path, NULL, &reply, err);
    if (outcome != GITHUB_DONE)
        return outcome;
    if (json_get_cstr(reply.body, "token", "")[0] != '\0') {
        api->token = text_dup(json_get_cstr(reply.body, "token", ""));
        api->token_owner = str_dup(owner);
        api->token_ends_ms = clock_monotonic_ms() + TOKEN_LIFE_MS;
    }
    json_unref(reply.body);
    if (api->token != NULL)
        return GITHUB_DONE;
    err_set(err, ERR_INTERNAL, "GitHub's answer has no token of the installation");
    return GITHUB_LATER;
}

bool
github_api_token(struct github_api *api, const char *repository, struct strbuf *out,
                 struct err *err)
{
    cleanup_json struct json *who = secrets_get(api->secrets_dir, "github", err);
    const bool is_app = strcmp(json_get_cstr(who, "kind", ""), "github-app") == 0;

    if (who == NULL || (is_app && token_of_app(api, who, repository, err) != GITHUB_DONE))
        return false;
    strbuf_add_cstr(out, is_app ? api->token : secret_token(who));
    return out->len > 0 || err_set(err, ERR_VALIDATION, "the secret 'github' has no token");
}

enum github_outcome
github_api_call(struct github_api *api, const char *repository, const char *method,
                const char *path, const struct json *body, struct github_reply *out,
                struct err *err)
{
    cleanup_json struct json *who = secrets_get(api->secrets_dir, "github", err);
    enum github_outcome outcome;

    *out = (struct github_reply){.retry_ms = 1000};
    if (who == NULL)
        return GITHUB_REFUSED;
    if (strcmp(json_get_cstr(who, "kind", ""), "github-app") != 0)
        return call(api, secret_token(who), method, path, body, out, err);
    outcome = token_of_app(api, who, repository, err);
    if (outcome != GITHUB_DONE)
        return outcome;
    outcome = call(api, api->token, method, path, body, out, err);
    if (outcome == GITHUB_REFUSED)
        forget_token(api); /* it may have been revoked; the next call gets a new one */
    return outcome;
}
