/* SPDX-License-Identifier: MIT */
#include "cli/local.h"

#include <errno.h>
#include <netinet/in.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include "base/clock.h"
#include "io/file.h"
#include "io/process.h"
#include "pipeline/step_variables.h"

#define LEVELS_MAX 5 /* from the program upwards, looking for what ships with it */

bool
local_find_program(const char *program, char *out, size_t size)
{
    static const char *const folders[] = {"/usr/local/sbin", "/usr/sbin", "/sbin"};
    char found[PATH_MAX];

    if (process_find(program, NULL, found, sizeof(found)))
        return text_copy(out, size, str_of(found));
    for (size_t i = 0; i < ARRAY_COUNT(folders); i++) {
        snprintf(found, sizeof(found), "%s/%s", folders[i], program);
        if (access(found, X_OK) == 0)
            return text_copy(out, size, str_of(found));
    }
    return false;
}

void
local_docker_socket(char *out, size_t size)
{
    const char *host = getenv("DOCKER_HOST");

    if (host == NULL || strncmp(host, "unix://", 7) != 0 || !text_copy(out, size, str_of(host + 7)))
        text_copy(out, size, STR("/var/run/docker.sock"));
}

bool
local_docker_is_closed(const char *socket, struct err *err)
{
    if (access(socket, R_OK | W_OK) == 0 || errno != EACCES)
        return false;
    err_set(err, ERR_ACCESS_DENIED,
            "this user may not use %s: run as root, or have root say `usermod -aG docker USER` and log in anew",
            socket);
    return true;
}

bool
local_docker_get(const char *socket, const char *path, struct http_answer *out, struct err *err)
{
    struct http_client *http = http_client_new();
    cleanup_free char *url = text_format("http://localhost%s", path);
    const struct http_call call = {
        .method = "GET", .url = url, .unix_socket = socket, .timeout_ms = 10000};
    const bool is_good = http_client_call(http, &call, out, err);

    http_client_free(http);
    return is_good && (out->status < 400 ||
                       err_set(err, ERR_DOCKER, "Docker answered %d to %s", out->status, path));
}

unsigned
local_port(const struct client_config *config)
{
    const unsigned port = client_endpoint_port(config->endpoint_url);

    return port != 0 ? port : strncmp(config->endpoint_url, "https:", 6) == 0 ? 443 : 80;
}

static void
put_variable(void *arg, const char *name, const char *value)
{
    const bool *overwrites = arg;

    setenv(name, value, *overwrites);
}

void
local_give_environment(const struct client_config *config, const char *data_dir, bool overwrites)
{
    cleanup_free char *real = data_dir == NULL || data_dir[0] == '/' ? NULL : realpath(data_dir, NULL);
    const struct step_place place = {.endpoint_url = config->endpoint_url,
                                     .account = config->account,
                                     .region = config->region,
                                     .home_region = config->home_region[0] != '\0' ? config->home_region : NULL,
                                     .data_dir = real != NULL ? real : data_dir};

    if (place.data_dir != NULL && place.data_dir[0] != '\0')
        setenv("NARU_DATA_DIR", place.data_dir, 1);
    step_variables_each(&place, put_variable, &overwrites);
    setenv("AWS_ACCESS_KEY_ID", config->access_key_id, overwrites);
    setenv("AWS_SECRET_ACCESS_KEY", config->secret_access_key, overwrites);
}

bool
local_server_answers(const struct client_config *config, char *version, size_t size)
{
    cleanup(client_free_) struct client *client = client_new(config);
    cleanup(client_answer_done) struct client_answer answer = {0};

    if (!client_probe(client, "/healthz", 3000, &answer, NULL) ||
        json_get(answer.body, "version") == NULL)
        return false;
    return version == NULL ||
           text_copy(version, size, str_of(json_get_cstr(answer.body, "version", "")));
}

bool
local_server_says(const struct client_config *config, const char *member, char *out, size_t size)
{
    cleanup(client_free_) struct client *client = client_new(config);
    cleanup(client_answer_done) struct client_answer answer = {0};

    if (!client_probe(client, "/healthz", 3000, &answer, NULL))
        return false;
    const char *said = json_get_cstr(answer.body, member, "");
    if (said[0] == '\0') /* a naru of an older version may know no such member */
        return false;
    snprintf(out, size, "%s", said);
    return true;
}

bool
local_port_is_taken(unsigned port)
{
    const struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    const int on = 1; /* connections that linger from before are no listeners */
    cleanup_close int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    return fd >= 0 && setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) == 0 &&
           bind(fd, (const struct sockaddr *)&address, sizeof(address)) < 0 && errno == EADDRINUSE;
}

bool
local_find_asset(const char *name, char *out, size_t size)
{
    static const char *const below[] = {"share/naru/", ""};
    cleanup_free char *self = realpath("/proc/self/exe", NULL);

    for (int level = 0; self != NULL && level < LEVELS_MAX; level++) {
        char *slash = strrchr(self, '/');

        if (slash == NULL)
            return false;
        *slash = '\0';
        for (size_t i = 0; i < ARRAY_COUNT(below); i++) {
            cleanup_free char *path = text_format("%s/%s%s", self, below[i], name);

            if (access(path, R_OK) == 0)
                return text_copy(out, size, str_of(path));
        }
    }
    return false;
}

pid_t
local_pid_read(const char *path)
{
    cleanup(strbuf_done) struct strbuf text = {0};
    unsigned long long started;
    uint64_t now_started;
    long pid;

    if (!file_read(path, 64, &text, NULL) ||
        sscanf(strbuf_cstr(&text), "%ld %llu", &pid, &started) != 2 || pid <= 1)
        return 0;
    /* The number may belong to somebody else by now. */
    if (!process_is_alive((pid_t)pid) || !process_start_time((pid_t)pid, &now_started) ||
        now_started != started)
        return 0;
    return (pid_t)pid;
}

bool
local_pid_write(const char *path, pid_t pid, struct err *err)
{
    cleanup_free char *text = NULL;
    uint64_t started;

    if (!process_start_time(pid, &started))
        return err_set(err, ERR_INTERNAL, "process %ld ended at once", (long)pid);
    text = text_format("%ld %llu\n", (long)pid, (unsigned long long)started);
    return file_write_atomic(path, str_of(text), 0644, err);
}

bool
local_stop(pid_t pid, int64_t patience_ms)
{
    const int64_t kill_ms = clock_monotonic_ms() + patience_ms;
    bool is_killed = false;

    if (pid <= 1 || kill(pid, SIGTERM) < 0)
        return errno == ESRCH;
    while (process_is_alive(pid)) {
        if (!is_killed && clock_monotonic_ms() > kill_ms) {
            kill(pid, SIGKILL);
            is_killed = true;
        }
        if (clock_monotonic_ms() > kill_ms + 5000)
            return false;
        clock_sleep_ms(50);
    }
    return true;
}
