/* SPDX-License-Identifier: MIT */
/* registry_world.h - a registry for tests: behind a real server on a free port (WORLD(w), then ask()),
 * or by itself (REGISTRY(w), then put_image() and the room's own functions). */
#pragma once
#include "check.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "base/clock.h"
#include "base/crypto.h"
#include "base/json.h"
#include "io/file.h"
#include "io/http_client.h"
#include "registry/internal.h"

#define ACCOUNT "000000000000"
#define REGION "ap-northeast-2"
#define OCI_MANIFEST "application/vnd.oci.image.manifest.v1+json"
#define OCI_CONFIG "application/vnd.oci.image.config.v1+json"
#define OCI_INDEX "application/vnd.oci.image.index.v1+json"
#define DOCKER_MANIFEST "application/vnd.docker.distribution.manifest.v2+json"

struct world {
    char dir[64];
    struct registry *reg;
    struct http_server *server;
    struct http_client *client;
    unsigned port;
    char token[4096];
    char digest[REGISTRY_DIGEST_SIZE]; /* for tests with one image */
};

static inline void
registry_up(struct world *w)
{
    struct err err = {0};

    w->reg = registry_open(w->dir, ACCOUNT, REGION, &err);
    CHECK_TEXT(err.message, "");
    CHECK(w->reg != NULL);
}

static inline void
world_open(struct world *w)
{
    struct err err = {0};
    cleanup(strbuf_done) struct strbuf token = {0};

    registry_up(w);
    const struct http_route route = registry_route(w->reg);
    w->server = http_server_start("127.0.0.1", 0, &route, 1, &err);
    CHECK_TEXT(err.message, "");
    w->port = http_server_port(w->server);
    w->client = http_client_new();
    registry_token(w->reg, clock_wall_ms(), &token);
    snprintf(w->token, sizeof w->token, "Authorization: Bearer %s", strbuf_cstr(&token));
}

static inline void
world_close(struct world *w)
{
    http_client_free(w->client);
    if (w->server != NULL)
        http_server_stop(w->server);
    registry_close(w->reg);
}

static inline void
world_make(struct world *w, void (*open)(struct world *w))
{
    struct err err = {0};

    memset(w, 0, sizeof *w);
    snprintf(w->dir, sizeof w->dir, "/tmp/naru-registry-XXXXXX");
    CHECK(mkdtemp(w->dir) != NULL);
    open(w);
    CHECK(registry_repository_create(w->reg, REGION, "my-app", NULL, &err));
}

static inline void
world_end(struct world *w)
{
    struct err err = {0};

    world_close(w);
    CHECK(file_remove_tree(w->dir, &err));
}
#define WORLD(w)                       \
    cleanup(world_end) struct world w; \
    world_make(&w, world_open)
#define REGISTRY(w)                    \
    cleanup(world_end) struct world w; \
    world_make(&w, registry_up)

/* One call with our token; `h1`, `h2` are further headers or NULL. */
static inline int
ask(struct world *w, const char *method, const char *path, struct str body, const char *h1,
    const char *h2, struct http_answer *answer)
{
    cleanup_free char *url = text_format("http://127.0.0.1:%u%s", w->port, path);
    const char *headers[] = {w->token, h1 ? h1 : h2, h1 ? h2 : NULL, NULL};
    const struct http_call call = {.method = method,
                                   .url = url,
                                   .body = body,
                                   .headers = headers,
                                   .timeout_ms = 20000,
                                   .limit = 64 << 20};
    struct err err = {0};

    http_answer_done(answer);
    *answer = (struct http_answer){0};
    CHECK(http_client_call(w->client, &call, answer, &err));
    return answer->status;
}

static inline const char *
error_code(const struct http_answer *a)
{
    static char code[64];
    struct err err = {0};
    cleanup_json struct json *j = json_parse(strbuf_str(&a->body), &err);

    const struct json *first = json_at(json_get(j, "errors"), 0);
    CHECK(json_get(first, "message") != NULL);
    snprintf(code, sizeof code, "%s", json_get_cstr(first, "code", "none"));
    return code;
}

static inline const char *
header(const struct http_answer *a, const char *name)
{
    static char values[4][512];
    static int next;
    char *value = values[next++ % 4];

    CHECK(text_copy(value, sizeof values[0], http_answer_header(a, name)));
    return value;
}

static inline char *
digest_of(struct str bytes)
{
    char hex[SHA256_HEX + 1];
    sha256_hex(bytes, hex);
    return text_format("sha256:%s", hex);
}

/* Pushes a blob in one POST; gives its digest. */
static inline char *
push_blob(struct world *w, const char *repository, struct str bytes)
{
    cleanup(http_answer_done) struct http_answer a = {0};
    char *digest = digest_of(bytes);
    cleanup_free char *path = text_format("/v2/%s/blobs/uploads/?digest=%s", repository, digest);

    CHECK_EQ(ask(w, "POST", path, bytes, "Content-Type: application/octet-stream", NULL, &a), 201);
    CHECK_TEXT(header(&a, "Docker-Content-Digest"), digest);
    return digest;
}

static inline char *
digest512_of(struct str bytes)
{
    char hex[SHA512_HEX + 1];
    sha512_hex(bytes, hex);
    return text_format("sha512:%s", hex);
}

static inline char *
manifest_text(const char *config, size_t config_size, const char *layer, size_t layer_size)
{
    return text_format(
        "{\"schemaVersion\":2,\"mediaType\":\"" OCI_MANIFEST "\",\"config\":{\"mediaType\":"
        "\"application/vnd.oci.image.config.v1+json\",\"digest\":\"%s\",\"size\":%zu},\"layers\":["
        "{\"mediaType\":\"application/"
        "vnd.oci.image.layer.v1.tar\",\"digest\":\"%s\",\"size\":%zu}]}",
        config, config_size, layer, layer_size);
}

/* The same without a server; false where the registry refuses. */
static inline bool
put_blob(struct registry *reg, const char *repository, struct str bytes,
         char digest[static REGISTRY_DIGEST_SIZE])
{
    struct err err = {0};
    struct upload *u = NULL;

    memcpy(digest, "sha256:", 7);
    sha256_hex(bytes, digest + 7);
    return upload_start(reg, REGION, repository, "", &u, &err) && upload_add(reg, u, bytes, &err) &&
           upload_finish(reg, u, str_of(digest), &err);
}

/* Puts config and layer of a small image; gives the manifest, NULL where the registry refuses. */
static inline char *
put_parts(struct registry *reg, const char *repository, const char *content)
{
    char config[REGISTRY_DIGEST_SIZE], layer[REGISTRY_DIGEST_SIZE];
    cleanup_free char *config_bytes = text_format("{\"made\":\"%s\"}", content);

    return put_blob(reg, repository, str_of(config_bytes), config) &&
                   put_blob(reg, repository, str_of(content), layer)
               ? manifest_text(config, strlen(config_bytes), layer, strlen(content))
               : NULL;
}

static inline bool
put_image(struct registry *reg, const char *repository, const char *tag, const char *content,
          char digest[static REGISTRY_DIGEST_SIZE])
{
    struct err err = {0};
    cleanup_free char *manifest = put_parts(reg, repository, content);

    if (manifest == NULL)
        return false;
    const struct registry_put put = {.manifest = str_of(manifest), .tag = tag};
    return registry_manifest_put(reg, REGION, repository, &put, digest, &err);
}

/* A whole small image; gives the manifest's digest. */
static inline char *
push_image(struct world *w, const char *repository, const char *tag, const char *content)
{
    cleanup(http_answer_done) struct http_answer a = {0};
    cleanup_free char *config_bytes = text_format("{\"made\":\"%s\"}", content);
    cleanup_free char *config = push_blob(w, repository, str_of(config_bytes));
    cleanup_free char *layer = push_blob(w, repository, str_of(content));
    cleanup_free char *manifest =
        manifest_text(config, strlen(config_bytes), layer, strlen(content));
    cleanup_free char *path = text_format("/v2/%s/manifests/%s", repository, tag);

    CHECK_EQ(ask(w, "PUT", path, str_of(manifest), "Content-Type: " OCI_MANIFEST, NULL, &a), 201);
    return digest_of(str_of(manifest));
}

/* What is logged in between. */
struct log_catch {
    int kept, file;
};

static inline struct log_catch
log_catch_begin(void)
{
    const struct log_catch c = {dup(STDERR_FILENO), memfd_create("log", MFD_CLOEXEC)};

    CHECK(c.kept >= 0 && c.file >= 0 && dup2(c.file, STDERR_FILENO) >= 0);
    return c;
}

static inline char *
log_catch_end(const struct log_catch *c)
{
    cleanup(strbuf_done) struct strbuf text = {0};
    char bytes[4096];

    CHECK(dup2(c->kept, STDERR_FILENO) >= 0 && lseek(c->file, 0, SEEK_SET) == 0);
    for (ssize_t n; (n = read(c->file, bytes, sizeof bytes)) > 0;)
        strbuf_add(&text, (struct str){bytes, (size_t)n});
    close(c->kept);
    close(c->file);
    return text_dup(strbuf_cstr(&text));
}

/* Whoever connects never hears a word. */
static inline int
silent_listen(unsigned *port_out)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof at;
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    CHECK(bind(fd, (struct sockaddr *)&at, sizeof at) == 0 && listen(fd, 4) == 0 &&
          getsockname(fd, (struct sockaddr *)&at, &len) == 0);
    *port_out = ntohs(at.sin_port);
    return fd;
}

static inline int
files_below(const char *path)
{
    cleanup_free char *command = text_format("find %s -type f | wc -l", path);
    cleanup_free char *said = check_shell(command);
    int64_t count = -1;

    CHECK(str_to_i64(str_trim(str_of(said)), &count));
    return (int)count;
}

static inline int
files_in(const struct world *w, const char *leaf)
{
    cleanup_free char *path = text_format("%s/%s", w->dir, leaf);
    return files_below(path);
}
