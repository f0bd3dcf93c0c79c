/* SPDX-License-Identifier: MIT */
/* client.h - an AWS API client: signs with SigV4, speaks JSON 1.1 and Query.
 * Where to and who as: AWS_ENDPOINT_URL (or NARU_PORT), AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY,
 * AWS_SESSION_TOKEN, AWS_DEFAULT_REGION (or AWS_REGION); what the environment does not say comes
 * from <data dir>/credentials.json, which the server writes for its owner's eyes only. Errors:
 * `err` with ERR_UNAVAILABLE when nothing answered; a refusal of the server is an answer
 * (client_send) or an error with the server's own code in front (client_call).
 * One thread; nothing is shared. */
#pragma once
#include "base/err.h"
#include "base/json.h"
#include "cli/shapes.h"

struct client_config {
    char endpoint_url[512]; /* without a slash at the end */
    char access_key_id[128], secret_access_key[256], session_token[2048];
    char region[64];
    char home_region[64]; /* the server's own: NARU_REGION, that of the installation on this machine; else empty */
    char account[16];
    bool has_keys;
};

struct client_answer {
    int status;
    char code[128]; /* "ClusterNotFoundException"; empty on success */
    char message[2048];
    struct json *body;  /* of a success; may be NULL for /naru routes without JSON */
    struct strbuf text; /* as it came */
};

/* <data dir>: `data_dir` or NARU_DATA_DIR or /var/lib/naru. */
const char *client_data_dir(const char *data_dir);
/* Takes AWS_* out of the environment, so that the installation in the data directory is meant,
 * whatever the caller's shell is set up for: for up and git-hook. */
void client_forget_environment(void);
bool client_has_credentials(const char *data_dir); /* an installation on this machine wrote its own */
/* Never fails for missing keys (has_keys tells); only for a credentials file that cannot be
 * understood. */
bool client_config_load(struct client_config *out, const char *data_dir,
                        struct err *err) MUST_CHECK;

/* 0: it names none. */
unsigned client_endpoint_port(const char *endpoint_url);

struct client;
struct client *client_new(const struct client_config *config);
void client_free(struct client *client);
static inline void
client_free_(struct client **c)
{
    client_free(*c);
}
const struct client_config *client_get_config(const struct client *client);

/* One operation; `input` may be NULL. False only if no answer came. */
bool client_send(struct client *client, const struct aws_service *service, const char *operation,
                 const struct json *input, struct client_answer *out, struct err *err) MUST_CHECK;
/* The answer of a success, or NULL and err: "ClusterNotFoundException: Cluster not found.". */
struct json *client_call(struct client *client, const char *service, const char *operation,
                         const struct json *input, struct err *err) MUST_CHECK;
/* naru's own routes: `path` is "/naru/builds?pipeline=x" (query encoded and sorted), signed as
 * service `naru`. */
bool client_http(struct client *client, const char *method, const char *path,
                 const struct json *body, struct client_answer *out, struct err *err) MUST_CHECK;
/* GET of a text (a log), which need not be JSON. */
bool client_http_text(struct client *client, const char *path, struct strbuf *out,
                      struct err *err) MUST_CHECK;
/* GET of bytes of any number, which go into the descriptor as they come. */
bool client_http_file(struct client *client, const char *path, int fd, struct err *err) MUST_CHECK;
/* As client_http() without a signature and with a limit of time: /healthz. */
bool client_probe(struct client *client, const char *path, int64_t timeout_ms,
                  struct client_answer *out, struct err *err) MUST_CHECK;
void client_answer_done(struct client_answer *a);
/* Sets err to what the server said; false. */
bool client_refused(const struct client_answer *a, struct err *err);

/* Query form of `input`, for client_send() and its tests. */
void query_encode(struct strbuf *out, const char *operation, const char *version,
                  const struct json *input);
