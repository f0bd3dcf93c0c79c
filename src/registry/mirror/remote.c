/* SPDX-License-Identifier: MIT */
#include "registry/mirror/remote.h"

#include <stdio.h>

#include "base/crypto.h"
#include "base/json.h"
#include "base/uri.h"
#include "io/http_client.h"
#include "registry/reference.h"

#define CONNECT_TIMEOUT_MS 10000
#define IDLE_TIMEOUT_MS 30000
#define REDIRECTS_MAX 5
#define TOKEN_MAX 16384

static const char accept_header[] =
    "Accept: application/vnd.oci.image.index.v1+json, application/vnd.oci.image.manifest.v1+json, "
    "application/vnd.docker.distribution.manifest.list.v2+json, "
    "application/vnd.docker.distribution.manifest.v2+json, */*;q=0.1";

struct remote {
    char *url;
    char *basic;         /* "Authorization: Basic ...", or NULL */
    char *authorization; /* what the last challenge led to, or NULL */
    char scope[512];     /* that `authorization` is good for */
    struct http_client *client;
    bool (*is_cancelled)(void *arg);
    void *cancel_arg;
};

struct remote *
remote_new(const char *url, const char *username, const char *password)
{
    struct remote *r = mem_new(sizeof *r);

    http_client_init();
    r->url = text_dup(url);
    r->client = http_client_new();
    if (username == NULL)
        return r;
    cleanup_free char *pair = text_format("%s:%s", username, password ? password : "");
    cleanup(strbuf_done) struct strbuf encoded = {0};
    base64_encode(&encoded, str_of(pair));
    r->basic = text_format("Authorization: Basic %s", strbuf_cstr(&encoded));
    explicit_bzero(pair, strlen(pair));
    return r;
}

static void
secret_free(char *text)
{
    if (text != NULL)
        explicit_bzero(text, strlen(text));
    free(text);
}

void
remote_free(struct remote *r)
{
    if (r == NULL)
        return;
    http_client_free(r->client);
    secret_free(r->basic);
    secret_free(r->authorization);
    free(r->url);
    free(r);
}

void
remote_set_cancelled(struct remote *r, bool (*is_cancelled)(void *arg), void *arg)
{
    r->is_cancelled = is_cancelled;
    r->cancel_arg = arg;
}

/* ---- one exchange ---- */

struct ask {
    const char *method, *scope; /* scope: "repository:<name>:pull" */
    const char *type;           /* Content-Type of `body`, or NULL */
    const char *header;         /* one more, or NULL */
    struct str body;
    const struct http_file *file; /* in place of `body` */
    size_t limit;
    bool (*on_data)(void *arg, struct str data); /* of a 200 only */
    void *arg;
};

struct stream {
    const struct ask *ask;
    struct remote *remote;
    const struct http_answer *answer;
    bool was_refused;
};

static bool
stream_data(void *arg, struct str data)
{
    struct stream *s = arg;
    const struct str head = strbuf_str(&s->answer->headers);

    /* Bodies of errors and redirects are not the blob. */
    if (head.len < 12 || memcmp(head.at + 8, " 200", 4) != 0)
        return true;
    s->was_refused = !s->ask->on_data(s->ask->arg, data);
    return !s->was_refused;
}

static bool
stream_cancelled(void *arg)
{
    const struct stream *s = arg;
    return s->remote->is_cancelled != NULL && s->remote->is_cancelled(s->remote->cancel_arg);
}

/* The client's errors name the whole URL, whose query may be a signature. */
static bool
no_answer(const struct remote *r, const struct err *why, struct err *err)
{
    const struct str text = str_of(why->message);
    const ptrdiff_t at = str_find(text, STR(": "));
    const struct str host = url_host(str_of(r->url));
    const enum err_code code =
        why->code == ERR_TIMEOUT || why->code == ERR_LIMIT_EXCEEDED ? why->code : ERR_UNAVAILABLE;

    if (why->sys_errno != 0) { /* our disk's fault */
        *err = (struct err){.sys_errno = why->sys_errno};
        return err_set(err, ERR_INTERNAL, "cannot send to the registry '" STR_FMT "': " STR_FMT,
                       STR_ARG(host),
                       STR_ARG(str_slice(text, at < 0 ? 0 : (size_t)at + 2, text.len)));
    }
    return err_set(err, code, "the registry '" STR_FMT "' does not answer: " STR_FMT, STR_ARG(host),
                   STR_ARG(str_slice(text, at < 0 ? 0 : (size_t)at + 2, text.len)));
}

static bool
exchange(struct remote *r, const struct ask *ask, const char *url, const char *authorization,
         struct http_answer *out, struct err *err)
{
    struct stream stream = {ask, r, out, false};
    const char *headers[5] = {accept_header};
    cleanup_free char *type = ask->type ? text_format("Content-Type: %s", ask->type) : NULL;
    struct err why = {0};
    int count = 1;

    if (authorization != NULL)
        headers[count++] = authorization;
    if (type != NULL)
        headers[count++] = type;
    if (ask->header != NULL)
        headers[count++] = ask->header;
    const struct http_call call = {
        .method = ask->method,
        .url = url,
        .body = ask->body,
        .file = ask->file,
        .headers = headers,
        .connect_timeout_ms = CONNECT_TIMEOUT_MS,
        .idle_timeout_ms = IDLE_TIMEOUT_MS,
        .limit = ask->limit,
        .on_data = ask->on_data ? stream_data : NULL,
        .arg = &stream,
        .is_cancelled = stream_cancelled,
    };
    if (!http_client_call(r->client, &call, out, &why))
        return no_answer(r, &why, err);
    return !stream.was_refused || err_set(err, ERR_UPSTREAM_LAYER, "the bytes were not taken");
}

static bool
is_redirect(int status)
{
    return status == 301 || status == 302 || status == 303 || status == 307 || status == 308;
}

/* Follows redirects; the credentials stay with the host that they are for. */
static bool
exchange_followed(struct remote *r, const struct ask *ask, const char *url,
                  const char *authorization, struct http_answer *out, struct err *err)
{
    cleanup(strbuf_done) struct strbuf at = {0};

    strbuf_add_cstr(&at, url);
    for (int i = 0; i <= REDIRECTS_MAX; i++) {
        cleanup(strbuf_done) struct strbuf next = {0};
        const bool is_home = str_equal(url_host(strbuf_str(&at)), url_host(str_of(url)));
        if (!exchange(r, ask, strbuf_cstr(&at), is_home ? authorization : NULL, out, err))
            return false;
        if (!is_redirect(out->status) || ask->body.at != NULL || ask->file != NULL)
            return true;
        const bool leads_on =
            url_follow(strbuf_str(&at), http_answer_header(out, "Location"), &next);
        http_answer_done(out);
        if (!leads_on)
            return err_set(err, ERR_UPSTREAM_IMAGE, "the registry '%s' redirects to nowhere",
                           r->url);
        strbuf_clear(&at);
        strbuf_add(&at, strbuf_str(&next));
    }
    return err_set(err, ERR_UPSTREAM_IMAGE, "the registry '%s' redirects for ever", r->url);
}

/* ---- who we are ---- */

static void
query_add(struct strbuf *url, const char *name, const char *value)
{
    if (value[0] == '\0')
        return;
    strbuf_addf(url, "%s%s=", strchr(strbuf_cstr(url), '?') ? "&" : "?", name);
    uri_encode(url, str_of(value), /* keep_slash= */ false);
}

static bool
token_fetch(struct remote *r, const struct challenge *c, const char *scope, struct err *err)
{
    cleanup(strbuf_done) struct strbuf url = {0};
    cleanup(http_answer_done) struct http_answer answer = {0};
    const struct ask ask = {.method = "GET", .limit = 1 << 20};

    /* The password goes only where nobody else reads it. */
    if (str_starts(str_of(r->url), STR("https://")) &&
        !str_starts(str_of(c->realm), STR("https://")))
        return err_set(err, ERR_ACCESS_DENIED,
                       "the registry '%s' has its tokens given out over http", r->url);
    strbuf_add_cstr(&url, c->realm);
    query_add(&url, "service", c->service);
    query_add(&url, "scope", scope[0] != '\0' ? scope : c->scope);
    if (!exchange_followed(r, &ask, strbuf_cstr(&url), r->basic, &answer, err))
        return false;
    cleanup_json struct json *document = json_parse(strbuf_str(&answer.body), NULL);
    const char *token =
        json_get_cstr(document, "token", json_get_cstr(document, "access_token", NULL));
    if (answer.status != 200 || token == NULL || strlen(token) > TOKEN_MAX ||
        strpbrk(token, "\r\n") != NULL)
        return err_set(err, ERR_ACCESS_DENIED,
                       "the registry '%s' gave no token (status %d): check the credentials", r->url,
                       answer.status);
    secret_free(r->authorization);
    r->authorization = text_format("Authorization: Bearer %s", token);
    return true;
}

/* What a 401 asks for; false if we have nothing that helps. */
static bool
authorise(struct remote *r, const char *scope, const struct http_answer *answer, struct err *err)
{
    struct challenge c;

    if (!challenge_parse(http_answer_header(answer, "WWW-Authenticate"), &c))
        return err_set(err, ERR_ACCESS_DENIED,
                       "the registry '%s' wants an authentication that is not known here", r->url);
    if (c.is_bearer) {
        if (!token_fetch(r, &c, scope, err))
            return false;
    } else if (r->basic == NULL) {
        return err_set(err, ERR_ACCESS_DENIED, "the registry '%s' wants credentials", r->url);
    } else {
        secret_free(r->authorization);
        r->authorization = text_dup(r->basic);
    }
    (void)text_copy(r->scope, sizeof r->scope, str_of(scope));
    return true;
}

static bool
call(struct remote *r, const struct ask *ask, const char *path, struct http_answer *out,
     struct err *err)
{
    cleanup_free char *url = path[0] == '/' ? text_format("%s%s", r->url, path) : text_dup(path);

    for (int i = 0;; i++) {
        const char *authorization = strcmp(r->scope, ask->scope) == 0 ? r->authorization : NULL;
        if (!exchange_followed(r, ask, url, authorization, out, err))
            return false;
        if (out->status != 401 || i > 0)
            return true;
        const bool is_authorised = authorise(r, ask->scope, out, err);
        http_answer_done(out);
        if (!is_authorised)
            return false;
    }
}

static bool
status_check(const struct remote *r, const struct http_answer *answer, int wanted, const char *what,
             struct err *err)
{
    const struct str host = url_host(str_of(r->url));
    const int status = answer->status;

    if (status == wanted)
        return true;
    if (status == 404)
        return err_set(err, ERR_IMAGE_NOT_FOUND, "the registry '" STR_FMT "' has no %s",
                       STR_ARG(host), what);
    return err_set(err,
                   status == 401 || status == 403 ? ERR_ACCESS_DENIED
                   : status == 429                ? ERR_THROTTLING
                   : status >= 500                ? ERR_UNAVAILABLE
                                                  : ERR_UPSTREAM_IMAGE,
                   "the registry '" STR_FMT "' answered %d for %s", STR_ARG(host), status, what);
}

/* ---- from it ---- */

bool
remote_ping(struct remote *r, struct err *err)
{
    cleanup(http_answer_done) struct http_answer answer = {0};
    const struct ask ask = {.method = "GET", .scope = "", .limit = 1 << 20};

    return call(r, &ask, "/v2/", &answer, err) &&
           status_check(r, &answer, 200, "API version 2", err);
}

static char *
scope_of(const char *repository, const char *actions)
{
    return text_format("repository:%s:%s", repository, actions);
}

static bool
digest_check(struct str bytes, const char *digest, struct err *err)
{
    return digest_is_of(str_of(digest), bytes) ||
           err_set(err, ERR_UPSTREAM_IMAGE, "the manifest that came is not '%s'", digest);
}

static bool
manifest_take(const struct http_answer *answer, const char *reference,
              char digest_out[static REGISTRY_DIGEST_SIZE],
              char type_out[static REGISTRY_MEDIA_TYPE_SIZE], struct err *err)
{
    const struct str said = http_answer_header(answer, "Docker-Content-Digest");
    struct str type = http_answer_header(answer, "Content-Type");
    const ptrdiff_t semicolon = str_index(type, ';');
    char digest[REGISTRY_DIGEST_SIZE] = "sha256:";

    if (digest_is_valid(str_of(reference)))
        text_copy_all(digest, sizeof digest, reference);
    else if (digest_is_valid(said))
        (void)text_copy(digest, sizeof digest, said);
    else
        sha256_hex(strbuf_str(&answer->body), digest + 7);
    if (!digest_check(strbuf_str(&answer->body), digest, err))
        return false;
    memcpy(digest_out, digest, sizeof digest);
    type = str_trim(str_slice(type, 0, semicolon >= 0 ? (size_t)semicolon : type.len));
    return text_copy(type_out, REGISTRY_MEDIA_TYPE_SIZE, type) ||
           err_set(err, ERR_UPSTREAM_IMAGE, "the manifest's media type is too long");
}

bool
remote_manifest_get(struct remote *r, const char *repository, const char *reference,
                    struct strbuf *bytes_out, char digest_out[static REGISTRY_DIGEST_SIZE],
                    char type_out[static REGISTRY_MEDIA_TYPE_SIZE], struct err *err)
{
    cleanup_free char *path = text_format("/v2/%s/manifests/%s", repository, reference);
    cleanup_free char *scope = scope_of(repository, "pull");
    cleanup(http_answer_done) struct http_answer answer = {0};
    const struct ask ask = {.method = "GET", .scope = scope, .limit = REGISTRY_MANIFEST_MAX};

    if (!call(r, &ask, path, &answer, err) ||
        !status_check(r, &answer, 200, "such manifest", err) ||
        !manifest_take(&answer, reference, digest_out, type_out, err))
        return false;
    strbuf_add(bytes_out, strbuf_str(&answer.body));
    return true;
}

bool
remote_manifest_head(struct remote *r, const char *repository, const char *reference,
                     char digest_out[static REGISTRY_DIGEST_SIZE], struct err *err)
{
    cleanup_free char *path = text_format("/v2/%s/manifests/%s", repository, reference);
    cleanup_free char *scope = scope_of(repository, "pull");
    cleanup(http_answer_done) struct http_answer answer = {0};
    const struct ask ask = {.method = "HEAD", .scope = scope};

    if (!call(r, &ask, path, &answer, err) || !status_check(r, &answer, 200, "such manifest", err))
        return false;
    const struct str said = http_answer_header(&answer, "Docker-Content-Digest");
    digest_out[0] = '\0';
    if (digest_is_valid(said))
        (void)text_copy(digest_out, REGISTRY_DIGEST_SIZE, said);
    return true;
}

bool
remote_blob_get(struct remote *r, const char *repository, const char *digest,
                bool (*on_data)(void *arg, struct str data), void *arg, struct err *err)
{
    cleanup_free char *path = text_format("/v2/%s/blobs/%s", repository, digest);
    cleanup_free char *scope = scope_of(repository, "pull");
    cleanup(http_answer_done) struct http_answer answer = {0};
    const struct ask ask = {.method = "GET", .scope = scope, .on_data = on_data, .arg = arg};

    return call(r, &ask, path, &answer, err) && status_check(r, &answer, 200, "such blob", err);
}

/* ---- to it ---- */

bool
remote_blob_exists(struct remote *r, const char *repository, const char *digest, bool *out,
                   struct err *err)
{
    cleanup_free char *path = text_format("/v2/%s/blobs/%s", repository, digest);
    cleanup_free char *scope = scope_of(repository, "pull,push");
    cleanup(http_answer_done) struct http_answer answer = {0};
    const struct ask ask = {.method = "HEAD", .scope = scope};

    if (!call(r, &ask, path, &answer, err))
        return false;
    *out = answer.status == 200;
    return *out || answer.status == 404 || status_check(r, &answer, 200, "such blob", err);
}

bool
remote_blob_put(struct remote *r, const char *repository, const char *digest, int fd, int64_t size,
                struct err *err)
{
    cleanup_free char *path = text_format("/v2/%s/blobs/uploads/", repository);
    cleanup_free char *scope = scope_of(repository, "pull,push");
    cleanup(http_answer_done) struct http_answer begun = {0}, ended = {0};
    cleanup(strbuf_done) struct strbuf url = {0};
    const struct http_file file = {fd, size};
    const struct ask begin = {
        .method = "POST", .scope = scope, .header = REMOTE_REPLICA ": 1", .body = STR("")};
    const struct ask end = {
        .method = "PUT", .scope = scope, .type = "application/octet-stream", .file = &file};

    if (!call(r, &begin, path, &begun, err) ||
        !status_check(r, &begun, 202, "place for an upload", err))
        return false;
    cleanup_free char *asked = text_format("%s%s", r->url, path);
    if (!url_follow(str_of(asked), http_answer_header(&begun, "Location"), &url) ||
        !str_equal(url_host(strbuf_str(&url)), url_host(str_of(r->url))))
        return err_set(err, ERR_UPSTREAM_IMAGE, "the registry '%s' does not say where to upload",
                       r->url);
    query_add(&url, "digest", digest);
    return call(r, &end, strbuf_cstr(&url), &ended, err) &&
           status_check(r, &ended, 201, "the upload of a blob", err);
}

bool
remote_manifest_put(struct remote *r, const char *repository, const char *reference,
                    struct str bytes, const char *type, bool *knows_subject_out,
                    struct err *err)
{
    cleanup_free char *path = text_format("/v2/%s/manifests/%s", repository, reference);
    cleanup_free char *scope = scope_of(repository, "pull,push");
    cleanup(http_answer_done) struct http_answer answer = {0};
    const struct ask ask = {.method = "PUT",
                            .scope = scope,
                            .type = type,
                            .header = REMOTE_REPLICA ": 1",
                            .body = bytes};

    if (!call(r, &ask, path, &answer, err) ||
        !status_check(r, &answer, 201, "the upload of a manifest", err))
        return false;
    if (knows_subject_out != NULL)
        *knows_subject_out = http_answer_header(&answer, "OCI-Subject").len > 0;
    return true;
}
