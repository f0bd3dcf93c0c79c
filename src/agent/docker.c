/* SPDX-License-Identifier: MIT */
#include "agent/docker.h"
#include <stdio.h>
#include "base/crypto.h"
#include "base/uri.h"

#define QUICK_MS 30000
#define CREATE_MS (4 * 60000LL) /* ecs.md 4.3 */
#define START_MS (3 * 60000LL)
#define REMOVE_MS (5 * 60000LL)
#define PULL_MS (120 * 60000LL)
#define PULL_IDLE_MS (5 * 60000LL)
#define ANSWER_MAX ((size_t)32 * 1024 * 1024)

void
docker_init(struct docker *d, const char *socket, int api_minor)
{
    *d = (struct docker){.client = http_client_new(), .api_minor = api_minor};
    (void)text_copy(d->socket, sizeof(d->socket), str_of(socket));
}

void
docker_done(struct docker *d)
{
    http_client_free(d->client);
    d->client = NULL;
}

/* One request; `path` starts with '/', the API version is put in front of it. */
struct request {
    const char *method, *path;
    struct str body;
    const char *content_type, *auth;
    int64_t timeout_ms, idle_ms;
    bool (*on_data)(void *arg, struct str data);
    void *arg;
};

/* http_client.h has one argument for both of its callbacks. */
struct sending {
    struct docker *docker;
    const struct request *request;
};

static bool
on_data(void *arg, struct str data)
{
    const struct sending *s = arg;

    return s->request->on_data(s->request->arg, data);
}

static bool
is_cancelled(void *arg)
{
    const struct sending *s = arg;

    return s->docker->is_cancelled != NULL && s->docker->is_cancelled(s->docker->arg);
}

static bool
send_request(struct docker *d, const struct request *r, struct http_answer *out, struct err *err)
{
    cleanup(strbuf_done) struct strbuf url = {0}, auth = {0}, type = {0};
    const char *headers[3] = {NULL};
    int n = 0;
    struct err cause = {0};
    struct sending sending = {d, r};

    strbuf_add_cstr(&url, "http://localhost");
    if (d->api_minor > 0)
        strbuf_addf(&url, "/v1.%d", d->api_minor);
    strbuf_add_cstr(&url, r->path);
    if (r->body.at != NULL) {
        strbuf_addf(&type, "Content-Type: %s", r->content_type != NULL ? r->content_type : "application/json");
        headers[n++] = strbuf_cstr(&type);
    }
    if (r->auth != NULL) {
        strbuf_addf(&auth, "X-Registry-Auth: %s", r->auth);
        headers[n++] = strbuf_cstr(&auth);
    }
    const struct http_call call = {.method = r->method,
                                   .url = strbuf_cstr(&url),
                                   .unix_socket = d->socket,
                                   .body = r->body,
                                   .headers = headers,
                                   .timeout_ms = r->timeout_ms > 0 ? r->timeout_ms : QUICK_MS,
                                   .idle_timeout_ms = r->idle_ms,
                                   .limit = ANSWER_MAX,
                                   .on_data = r->on_data != NULL ? on_data : NULL,
                                   .is_cancelled = is_cancelled,
                                   .arg = &sending};
    if (!http_client_call(d->client, &call, out, &cause))
        return err_set(err, ERR_UNAVAILABLE, "Docker Engine does not answer: %s", cause.message);
    return true;
}

/* Turns an answer of 400 or more into an error with Docker's own text. */
static bool
check_status(int status, struct str body, struct err *err)
{
    char text[REASON_SIZE];
    enum err_code code = ERR_INTERNAL;

    if (status >= 200 && status < 400)
        return true;
    docker_parse_message(body, text, sizeof(text));
    if (status == 404)
        code = ERR_RESOURCE_NOT_FOUND;
    else if (status == 409)
        code = ERR_CONFLICT;
    else if (status >= 400 && status < 500)
        code = ERR_CLIENT;
    if (text[0] == '\0')
        return err_set(err, code, "Docker Engine answered with status %d", status);
    return err_set(err, code, "%s", text);
}

/* A whole call; the answer's JSON goes to `json_out` unless that is NULL. */
static bool
perform(struct docker *d, const struct request *r, struct json **json_out, int *status_out, struct err *err)
{
    cleanup(http_answer_done) struct http_answer answer = {0};
    struct err cause = {0};

    if (!send_request(d, r, &answer, err))
        return false;
    if (status_out != NULL)
        *status_out = answer.status;
    if (!check_status(answer.status, strbuf_str(&answer.body), err))
        return false;
    if (json_out == NULL)
        return true;
    *json_out = json_parse(strbuf_str(&answer.body), &cause);
    if (*json_out == NULL)
        return err_set(err, ERR_UNAVAILABLE, "Docker Engine gave a broken answer: %s", cause.message);
    return true;
}

static bool
get_json(struct docker *d, const char *path, struct json **out, struct err *err)
{
    return perform(d, &(struct request){.method = "GET", .path = path}, out, NULL, err);
}

bool
docker_ping(struct docker *d, struct err *err)
{
    return perform(d, &(struct request){.method = "GET", .path = "/_ping", .timeout_ms = 5000}, NULL, NULL, err);
}

bool
docker_negotiate(struct docker *d, struct docker_info *out, struct err *err)
{
    cleanup_json struct json *version = NULL, *info = NULL;
    struct docker_info i = {0};
    int64_t minor = 0;

    d->api_minor = 0; /* this one call goes without a version */
    if (!perform(d, &(struct request){.method = "GET", .path = "/version", .timeout_ms = 5000}, &version, NULL, err))
        return false;
    const struct str api = str_of(json_get_cstr(version, "ApiVersion", ""));
    if (!str_starts(api, STR("1.")) || !str_to_i64(str_slice(api, 2, api.len), &minor) ||
        minor < DOCKER_API_MIN || minor > 10000)
        return err_set(err, ERR_UNAVAILABLE,
                       "Docker Engine speaks API '" STR_FMT "', at least 1.%d (Docker 20.10) is needed",
                       STR_ARG(api), DOCKER_API_MIN);
    i.api_minor = minor > DOCKER_API_MAX ? DOCKER_API_MAX : (int)minor;
    d->api_minor = i.api_minor;
    (void)text_copy(i.version, sizeof(i.version), str_of(json_get_cstr(version, "Version", "")));
    (void)text_copy(i.arch, sizeof(i.arch), str_of(json_get_cstr(version, "Arch", "")));
    if (!get_json(d, "/info", &info, err))
        return false;
    (void)text_copy(i.os_name, sizeof(i.os_name), str_of(json_get_cstr(info, "OperatingSystem", "")));
    i.cpu_count = (int)json_get_i64(info, "NCPU", 1);
    i.memory_bytes = json_get_i64(info, "MemTotal", 0);
    i.has_cpu_quota = json_get_bool(info, "CpuCfsQuota", false);
    i.has_memory_limit = json_get_bool(info, "MemoryLimit", false);
    (void)text_copy(i.root, sizeof(i.root), str_of(json_get_cstr(info, "DockerRootDir", "")));
    *out = i;
    return true;
}

/* ---- images ---- */

struct json *
docker_image_inspect(struct docker *d, const char *name, struct err *err)
{
    cleanup(strbuf_done) struct strbuf path = {0};
    struct json *out = NULL;

    strbuf_add_cstr(&path, "/images/");
    uri_encode(&path, str_of(name), true);
    strbuf_add_cstr(&path, "/json");
    return get_json(d, strbuf_cstr(&path), &out, err) ? out : NULL;
}

static bool
feed_pull(void *arg, struct str data)
{
    docker_pull_feed(arg, data);
    return true;
}

bool
docker_image_pull(struct docker *d, const struct image_ref *ref, const char *auth, struct err *err)
{
    cleanup(strbuf_done) struct strbuf path = {0};
    cleanup(docker_pull_done) struct docker_pull pull = {0};
    cleanup(http_answer_done) struct http_answer answer = {0};
    const struct request r = {.method = "POST", .timeout_ms = PULL_MS, .idle_ms = PULL_IDLE_MS,
                              .auth = auth, .on_data = feed_pull, .arg = &pull};
    struct request with_path = r;

    strbuf_add_cstr(&path, "/images/create?fromImage=");
    uri_encode(&path, str_of(ref->name), false);
    strbuf_add_cstr(&path, "&tag=");
    uri_encode(&path, str_of(ref->digest[0] != '\0' ? ref->digest : ref->tag), false);
    with_path.path = strbuf_cstr(&path);
    if (!send_request(d, &with_path, &answer, err))
        return false;
    if (answer.status >= 400) {
        /* Where an error answer has no newline at its end, what is left in the splitter is all of it. */
        const struct str rest = strbuf_str(&pull.lines.partial);

        return check_status(answer.status, rest.len > 0 ? rest : str_of(pull.error), err);
    }
    if (pull.has_error)
        return err_set(err, strstr(pull.error, "not found") != NULL || strstr(pull.error, "unknown") != NULL
                                ? ERR_RESOURCE_NOT_FOUND : ERR_INTERNAL, "%s", pull.error);
    if (!pull.is_done)
        return err_set(err, ERR_UNAVAILABLE, "Docker Engine ended the pull of '%s' without a result", ref->full);
    return true;
}

bool
docker_image_digest(struct docker *d, const struct image_ref *ref, const char *auth,
                    char out[static DIGEST_SIZE], struct err *err)
{
    cleanup(strbuf_done) struct strbuf path = {0};
    cleanup_json struct json *answer = NULL;

    strbuf_add_cstr(&path, "/distribution/");
    uri_encode(&path, str_of(ref->full), true);
    strbuf_add_cstr(&path, "/json");
    if (!perform(d, &(struct request){.method = "GET", .path = strbuf_cstr(&path), .auth = auth}, &answer, NULL, err))
        return false;
    if (!text_copy(out, DIGEST_SIZE, str_of(json_get_cstr(json_get(answer, "Descriptor"), "digest", ""))) ||
        out[0] == '\0')
        return err_set(err, ERR_INTERNAL, "the registry gave no digest for '%s'", ref->full);
    return true;
}

bool
docker_image_import(struct docker *d, const char *repository, const char *tag, struct str tar, struct err *err)
{
    cleanup(strbuf_done) struct strbuf path = {0};

    strbuf_add_cstr(&path, "/images/create?fromSrc=-&repo=");
    uri_encode(&path, str_of(repository), false);
    strbuf_add_cstr(&path, "&tag=");
    uri_encode(&path, str_of(tag), false);
    return perform(d, &(struct request){.method = "POST", .path = strbuf_cstr(&path), .body = tar,
                                        .content_type = "application/x-tar"}, NULL, NULL, err);
}

void
docker_auth(const char *user, const char *password, const char *server, struct strbuf *out)
{
    cleanup_json struct json *j = json_object();

    json_set(j, "username", json_text(user));
    json_set(j, "password", json_text(password));
    json_set(j, "serveraddress", json_text(server));
    cleanup_free char *text = json_format(j);
    const size_t from = out->len;
    base64_encode(out, str_of(text));
    for (size_t i = from; i < out->len; i++) /* the URL alphabet, as Docker reads it */
        out->at[i] = (char)(out->at[i] == '+' ? '-' : out->at[i] == '/' ? '_' : out->at[i]);
}

/* ---- containers ---- */

static bool
post_json(struct docker *d, const char *path, const struct json *body, int64_t timeout_ms,
          struct json **out, int *status_out, struct err *err)
{
    cleanup_free char *text = body != NULL ? json_format(body) : NULL;

    return perform(d, &(struct request){.method = "POST", .path = path, .timeout_ms = timeout_ms,
                                        .body = body != NULL ? str_of(text) : STR("")},
                   out, status_out, err);
}

static void
container_path(struct strbuf *path, const char *id, const char *rest)
{
    strbuf_add_cstr(path, "/containers/");
    uri_encode(path, str_of(id), false);
    strbuf_add_cstr(path, rest);
}

bool
docker_container_create(struct docker *d, const char *name, const struct json *spec,
                        char id_out[static DOCKER_ID_SIZE], struct err *err)
{
    cleanup(strbuf_done) struct strbuf path = {0};
    cleanup_json struct json *answer = NULL;

    strbuf_add_cstr(&path, "/containers/create?name=");
    uri_encode(&path, str_of(name), false);
    if (!post_json(d, strbuf_cstr(&path), spec, CREATE_MS, &answer, NULL, err))
        return false;
    if (!text_copy(id_out, DOCKER_ID_SIZE, str_of(json_get_cstr(answer, "Id", ""))) || id_out[0] == '\0')
        return err_set(err, ERR_UNAVAILABLE, "Docker Engine gave no id for container '%s'", name);
    return true;
}

bool
docker_container_start(struct docker *d, const char *id, struct err *err)
{
    cleanup(strbuf_done) struct strbuf path = {0};

    container_path(&path, id, "/start");
    return post_json(d, strbuf_cstr(&path), NULL, START_MS, NULL, NULL, err);
}

bool
docker_container_kill(struct docker *d, const char *id, const char *signal, struct err *err)
{
    cleanup(strbuf_done) struct strbuf path = {0};

    container_path(&path, id, "/kill?signal=");
    uri_encode(&path, str_of(signal), false);
    return post_json(d, strbuf_cstr(&path), NULL, 0, NULL, NULL, err);
}

bool
docker_container_inspect(struct docker *d, const char *id_or_name, const char *network,
                         const struct json *mappings, struct docker_state *out, struct err *err)
{
    cleanup(strbuf_done) struct strbuf path = {0};
    cleanup_json struct json *answer = NULL;
    struct err cause = {0};

    container_path(&path, id_or_name, "/json");
    if (!get_json(d, strbuf_cstr(&path), &answer, err))
        return false;
    if (!docker_parse_state(answer, network, mappings, out, &cause))
        return err_set(err, ERR_UNAVAILABLE, "%s", cause.message);
    return true;
}

static bool
remove_thing(struct docker *d, const char *path, struct err *err)
{
    struct err cause = {0};

    if (perform(d, &(struct request){.method = "DELETE", .path = path, .timeout_ms = REMOVE_MS}, NULL, NULL, &cause) ||
        cause.code == ERR_RESOURCE_NOT_FOUND)
        return true;
    /* Somebody removes it at this very moment: what we wanted. */
    if (cause.code == ERR_CONFLICT && strstr(cause.message, "already in progress") != NULL)
        return true;
    return err_set(err, cause.code, "%s", cause.message);
}

bool
docker_container_remove(struct docker *d, const char *id, struct err *err)
{
    cleanup(strbuf_done) struct strbuf path = {0};

    container_path(&path, id, "?force=1&v=1");
    return remove_thing(d, strbuf_cstr(&path), err);
}

static void
add_label_filter(struct strbuf *path, const char *label, const char *const *events)
{
    cleanup_json struct json *filters = json_object();
    struct json *labels = json_array();

    json_append(labels, json_text(label));
    json_set(filters, "label", labels);
    if (events != NULL) {
        struct json *list = json_array(), *types = json_array();

        for (; *events != NULL; events++)
            json_append(list, json_text(*events));
        json_append(types, json_text("container"));
        json_set(filters, "event", list);
        json_set(filters, "type", types);
    }
    cleanup_free char *text = json_format(filters);
    strbuf_add_cstr(path, "filters=");
    uri_encode(path, str_of(text), false);
}

static struct json *
list_things(struct docker *d, const char *begin, const char *label, struct err *err)
{
    cleanup(strbuf_done) struct strbuf path = {0};
    struct json *out = NULL;

    strbuf_add_cstr(&path, begin);
    add_label_filter(&path, label, NULL);
    return get_json(d, strbuf_cstr(&path), &out, err) ? out : NULL;
}

struct json *
docker_container_list(struct docker *d, const char *label, struct err *err)
{
    return list_things(d, "/containers/json?all=1&", label, err);
}

struct json *
docker_volume_list(struct docker *d, const char *label, struct err *err)
{
    cleanup_json struct json *answer = list_things(d, "/volumes?", label, err);
    struct json *volumes = json_get(answer, "Volumes");

    if (answer == NULL)
        return NULL;
    return json_type(volumes) == JSON_ARRAY ? json_ref(volumes) : json_array(); /* null: none */
}

struct json *
docker_network_list(struct docker *d, const char *label, struct err *err)
{
    return list_things(d, "/networks?", label, err);
}

/* ---- volumes and networks ---- */

bool
docker_volume_create(struct docker *d, const struct json *body, struct err *err)
{
    return post_json(d, "/volumes/create", body, 0, NULL, NULL, err);
}

static void
named_path(struct strbuf *path, const char *kind, const char *name)
{
    strbuf_addf(path, "/%s/", kind);
    uri_encode(path, str_of(name), false);
}

bool
docker_volume_inspect(struct docker *d, const char *name, struct err *err)
{
    cleanup(strbuf_done) struct strbuf path = {0};
    cleanup_json struct json *answer = NULL;

    named_path(&path, "volumes", name);
    return get_json(d, strbuf_cstr(&path), &answer, err);
}

bool
docker_volume_remove(struct docker *d, const char *name, struct err *err)
{
    cleanup(strbuf_done) struct strbuf path = {0};

    named_path(&path, "volumes", name);
    return remove_thing(d, strbuf_cstr(&path), err);
}

bool
docker_network_ensure(struct docker *d, const char *name, const char *installation, struct err *err)
{
    cleanup(strbuf_done) struct strbuf path = {0};
    cleanup_json struct json *found = NULL, *body = json_object();
    struct json *labels;
    struct err cause = {0};

    named_path(&path, "networks", name);
    if (get_json(d, strbuf_cstr(&path), &found, &cause))
        return true;
    if (cause.code != ERR_RESOURCE_NOT_FOUND)
        return err_set(err, cause.code, "%s", cause.message);
    json_set(body, "Name", json_text(name));
    json_set(body, "CheckDuplicate", json_bool(true));
    json_set(body, "Driver", json_text("bridge"));
    labels = json_object();
    json_set(labels, "naru.installation", json_text(installation));
    json_set(body, "Labels", labels);
    if (post_json(d, "/networks/create", body, 0, NULL, NULL, &cause) || cause.code == ERR_CONFLICT)
        return true; /* conflict: another worker was faster */
    return err_set(err, cause.code, "%s", cause.message);
}

bool
docker_network_remove(struct docker *d, const char *id, struct err *err)
{
    cleanup(strbuf_done) struct strbuf path = {0};

    named_path(&path, "networks", id);
    return remove_thing(d, strbuf_cstr(&path), err);
}

/* ---- streams ---- */

void
docker_path_events(int api_minor, const char *label, struct strbuf *out)
{
    /* Only what the runners need: every health check would be three events more. */
    static const char *const events[] = {"start", "die", "oom", "destroy", "health_status", NULL};

    strbuf_addf(out, "/v1.%d/events?", api_minor);
    add_label_filter(out, label, events);
}

void
docker_path_logs(int api_minor, const char *id, const char *since, struct strbuf *out)
{
    strbuf_addf(out, "/v1.%d", api_minor);
    container_path(out, id, "/logs?follow=1&stdout=1&stderr=1&timestamps=1");
    if (since[0] != '\0') {
        strbuf_add_cstr(out, "&since=");
        uri_encode(out, str_of(since), false);
    }
}
