/* SPDX-License-Identifier: MIT */
/* docker.h - the calls of Docker Engine's API that we need, one function each.
 * Blocking: for worker threads.  A `struct docker` belongs to one thread and keeps its connection.
 * Start with docker_negotiate(), which finds the API version: the server's, at most 1.43, at least 1.41.
 * Errors: ERR_UNAVAILABLE means that Docker did not answer (nobody there, too slow, an answer cut
 * short); whatever was asked may or may not have happened.  Everything else is Docker's own answer:
 * ERR_RESOURCE_NOT_FOUND (404), ERR_CONFLICT (409), ERR_CLIENT (other 4xx), ERR_INTERNAL (5xx), with its
 * text as the message. */
#pragma once
#include "agent/docker_parse.h"
#include "model/image_ref.h"
#include "io/http_client.h"

#define DOCKER_API_MIN 41 /* of 1.x */
#define DOCKER_API_MAX 43

struct docker {
    struct http_client *client;
    char socket[108]; /* as long as a unix socket's path may be */
    int api_minor;
    bool (*is_cancelled)(void *arg); /* may be NULL */
    void *arg;
};

struct docker_info {
    int api_minor;
    char version[64], arch[16], os_name[128];
    int cpu_count;
    int64_t memory_bytes;
    bool has_cpu_quota, has_memory_limit;
    char root[256]; /* where it keeps its images, on its machine; "" if that is longer */
};

void docker_init(struct docker *d, const char *socket, int api_minor);
void docker_done(struct docker *d);

bool docker_ping(struct docker *d, struct err *err) MUST_CHECK;
bool docker_negotiate(struct docker *d, struct docker_info *out, struct err *err) MUST_CHECK;

struct json *docker_image_inspect(struct docker *d, const char *name, struct err *err) MUST_CHECK;
/* `auth`: the value of X-Registry-Auth, or NULL. */
bool docker_image_pull(struct docker *d, const struct image_ref *ref, const char *auth, struct err *err) MUST_CHECK;
bool docker_image_digest(struct docker *d, const struct image_ref *ref, const char *auth,
                         char out[static DIGEST_SIZE], struct err *err) MUST_CHECK; /* asks the registry */
bool docker_image_import(struct docker *d, const char *repository, const char *tag, struct str tar,
                         struct err *err) MUST_CHECK;
void docker_auth(const char *user, const char *password, const char *server, struct strbuf *out);

bool docker_container_create(struct docker *d, const char *name, const struct json *spec,
                             char id_out[static DOCKER_ID_SIZE], struct err *err) MUST_CHECK;
bool docker_container_start(struct docker *d, const char *id, struct err *err) MUST_CHECK; /* started already is success */
bool docker_container_kill(struct docker *d, const char *id, const char *signal, struct err *err) MUST_CHECK;
bool docker_container_inspect(struct docker *d, const char *id_or_name, const char *network,
                              const struct json *mappings, struct docker_state *out,
                              struct err *err) MUST_CHECK; /* as docker_parse_state() */
bool docker_container_remove(struct docker *d, const char *id, struct err *err) MUST_CHECK; /* force, v=1; gone is success */
/* Arrays as Docker answers them; `label` is "key=value". */
struct json *docker_container_list(struct docker *d, const char *label, struct err *err) MUST_CHECK;
struct json *docker_volume_list(struct docker *d, const char *label, struct err *err) MUST_CHECK;
struct json *docker_network_list(struct docker *d, const char *label, struct err *err) MUST_CHECK;
bool docker_volume_create(struct docker *d, const struct json *body, struct err *err) MUST_CHECK;
bool docker_volume_inspect(struct docker *d, const char *name, struct err *err) MUST_CHECK;
bool docker_volume_remove(struct docker *d, const char *name, struct err *err) MUST_CHECK; /* gone is success */
/* Makes the bridge network if it does not exist; Docker picks a free subnet from its own pools, which
 * it checks against the host's routes. */
bool docker_network_ensure(struct docker *d, const char *name, const char *installation, struct err *err) MUST_CHECK;
bool docker_network_remove(struct docker *d, const char *id, struct err *err) MUST_CHECK;

/* "/v1.41/containers/json?..." for docker_stream.h: `filters` is a JSON object, encoded here. */
void docker_path_events(int api_minor, const char *label, struct strbuf *out);
void docker_path_logs(int api_minor, const char *id, const char *since, struct strbuf *out);
