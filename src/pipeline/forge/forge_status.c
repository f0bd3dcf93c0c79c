/* SPDX-License-Identifier: MIT */
#include "pipeline/forge/forge_status.h"

#include <strings.h>
#include "base/clock.h"
#include "base/seal.h"
#include "base/uri.h"
#include "pipeline/secrets.h"

#define CALL_TIMEOUT_MS 30000

static const char *const names[] = {
    [FORGE_GITHUB] = "github", [FORGE_GITLAB] = "gitlab", [FORGE_GITEA] = "gitea"};

const char *
forge_name(enum forge forge)
{
    return names[forge];
}

/* "git.example.org:8443" of https://me@git.example.org:8443/a/b.git or git@git.example.org:a/b;
 * empty for a path. */
static struct str
host_of(const char *url)
{
    struct str s = str_of(url);
    ptrdiff_t scheme = str_find(s, STR("://")), end;

    if (str_starts(s, STR("file://")) || str_starts(s, STR("/")))
        return STR("");
    if (scheme >= 0)
        s = str_slice(s, (size_t)scheme + 3, s.len);
    end = str_index(s, scheme >= 0 ? '/' : ':');
    if (end < 0 && scheme < 0)
        return STR("");
    if (end >= 0)
        s = str_slice(s, 0, (size_t)end);
    end = str_rindex(s, '@');
    return end < 0 ? s : str_slice(s, (size_t)end + 1, s.len);
}

enum forge
forge_of(const char *told, const char *url)
{
    cleanup_free char *host = str_dup(host_of(url == NULL ? "" : url));

    if (strncasecmp(host, "github.com", 10) == 0 && (host[10] == '\0' || host[10] == ':'))
        return FORGE_GITHUB;
    for (size_t i = 0; told != NULL && i < ARRAY_COUNT(names); i++)
        if (strcmp(told, names[i]) == 0)
            return (enum forge)i;
    if (strcasestr(host, "gitlab") != NULL)
        return FORGE_GITLAB;
    return strcasestr(host, "gitea") != NULL || strcasestr(host, "forgejo") != NULL ||
                   strcasestr(host, "codeberg") != NULL
               ? FORGE_GITEA
               : FORGE_GITHUB;
}

char *
forge_api_url(enum forge forge, const char *url)
{
    const char *tail = forge == FORGE_GITLAB ? "/api/v4" : "/api/v1";
    struct str host = host_of(url), name = host;
    const bool is_http = strncmp(url, "http://", 7) == 0;
    ptrdiff_t port = str_index(host, ':');

    if (port >= 0)
        name = str_slice(host, 0, (size_t)port);
    if (host.len == 0 || (is_http && !str_is(name, "127.0.0.1") && !str_is(name, "localhost")))
        return NULL;
    /* The port of ssh is not that of the API. */
    if (strncmp(url, "https://", 8) != 0 && !is_http)
        host = name;
    return text_format("%s://" STR_FMT "%s", is_http ? "http" : "https", STR_ARG(host), tail);
}

const char *
forge_status_word(enum forge forge, const struct forge_status *s)
{
    if (strcmp(s->state, "ENDED") != 0)
        return forge == FORGE_GITLAB && strcmp(s->state, "RUNNING") == 0 ? "running" : "pending";
    if (strcmp(s->result, "SUCCESS") == 0)
        return "success";
    if (strcmp(s->result, "FAILURE") == 0 || strcmp(s->result, "UNSTABLE") == 0)
        return forge == FORGE_GITLAB ? "failed" : "failure";
    return forge == FORGE_GITLAB ? "canceled" : "error";
}

static char *
url_of(enum forge forge, const char *api, const struct forge_status *s)
{
    cleanup(strbuf_done) struct strbuf project = {0};

    if (forge == FORGE_GITEA)
        return text_format("%s/repos/%s/statuses/%s", api, s->repository, s->commit);
    uri_encode(&project, str_of(s->repository), false); /* "group/shop" is one segment there */
    return text_format("%s/projects/%s/statuses/%s", api, strbuf_cstr(&project), s->commit);
}

static struct json *
body_of(enum forge forge, const struct forge_status *s)
{
    struct json *body = json_object();

    json_set(body, "state", json_text(forge_status_word(forge, s)));
    json_set(body, "target_url", json_text(s->link));
    json_set(body, "description", json_text(s->description));
    json_set(body, forge == FORGE_GITLAB ? "name" : "context", json_text(s->context));
    if (forge == FORGE_GITLAB && s->branch != NULL)
        json_set(body, "ref", json_text(s->branch));
    return body;
}

static struct str
limit_header(const struct http_answer *a, const char *name)
{
    cleanup_free char *prefixed = text_format("X-%s", name);
    struct str plain = http_answer_header(a, name);

    return plain.len > 0 ? plain : http_answer_header(a, prefixed);
}

static enum github_outcome
judge(enum forge forge, const struct http_answer *a, int64_t *retry_ms, struct err *err)
{
    struct str body = strbuf_str(&a->body);

    if (a->status >= 200 && a->status < 300)
        return GITHUB_DONE;
    /* GitLab's way to say that this is what it knows. */
    if (forge == FORGE_GITLAB && a->status == 400 &&
        str_find(body, STR("Cannot transition status")) >= 0)
        return GITHUB_DONE;
    err_set(err, ERR_UNAVAILABLE, "%s answered %d: " STR_FMT, names[forge], a->status,
            STR_ARG(str_slice(body, 0, 150)));
    if (a->status != 429 && a->status < 500 && a->status != 408)
        return GITHUB_REFUSED;
    *retry_ms = github_retry_ms(a->status, http_answer_header(a, "Retry-After"),
                                limit_header(a, "RateLimit-Remaining"),
                                limit_header(a, "RateLimit-Reset"), clock_wall_ms() / 1000, 0);
    return GITHUB_LATER;
}

enum github_outcome
forge_status_send(struct http_client *client, enum forge forge, const char *secrets_dir,
                  const char *repository_url, const struct forge_status *s,
                  bool (*is_cancelled)(void *arg), void *arg, int64_t *retry_ms, struct err *err)
{
    cleanup_json struct json *secret = secrets_get(secrets_dir, names[forge], err), *body = NULL;
    const char *token = secret_token(secret);
    cleanup_free char *api = forge_api_url(forge, repository_url), *url = NULL, *text = NULL;
    cleanup_free char *authorization = text_format(
        forge == FORGE_GITLAB ? "PRIVATE-TOKEN: %s" : "Authorization: token %s", token);
    const char *const headers[] = {authorization, "Content-Type: application/json",
                                   "User-Agent: naru", NULL};
    struct http_call call = {.method = "POST", .headers = headers, .timeout_ms = CALL_TIMEOUT_MS,
                             .is_cancelled = is_cancelled, .arg = arg};
    enum github_outcome outcome = GITHUB_DONE;
    struct http_answer answer;

    *retry_ms = 1000;
    if (token[0] != '\0' && api != NULL) {
        url = url_of(forge, api, s);
        body = body_of(forge, s);
        text = json_format(body);
        call.url = url;
        call.body = str_of(text);
        if (http_client_call(client, &call, &answer, err)) {
            outcome = judge(forge, &answer, retry_ms, err);
            http_answer_done(&answer);
        } else {
            outcome = GITHUB_LATER;
        }
    }
    secret_wipe(authorization, strlen(authorization));
    return outcome;
}
