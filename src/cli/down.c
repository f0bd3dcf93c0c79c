/* SPDX-License-Identifier: MIT */
/* naru down: ends what `naru up` started; --purge leaves nothing of the installation behind. */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <fcntl.h>
#include "agent/agent.h"
#include "balancer/balancer.h"
#include "base/uri.h"
#include "cli/commands.h"
#include "cli/local.h"
#include "io/file.h"
#include "pipeline/pipeline.h"
#include "io/process.h"

#define SERVER_PATIENCE_MS 20000

struct down {
    const char *data_dir;
    bool purges;
    char installation[32], docker_socket[256];
    char registry[128]; /* "localhost:4566/" */
    int stopped;        /* things that were there to be stopped */
};

static bool
read_installation(struct down *d, struct err *err)
{
    cleanup_free char *path = text_format("%s/credentials.json", d->data_dir);
    cleanup(strbuf_done) struct strbuf text = {0};
    cleanup_json struct json *doc = NULL;
    const char *host;

    if (!file_exists(path)) {
        local_docker_socket(d->docker_socket, sizeof(d->docker_socket));
        return true;
    }
    if (!file_read(path, 65536, &text, err))
        return false;
    doc = json_parse(strbuf_str(&text), err);
    if (doc == NULL)
        return err_context(err, "%s", path);
    text_copy(d->installation, sizeof(d->installation),
              str_of(json_get_cstr(doc, "installation", "")));
    host = strstr(json_get_cstr(doc, "endpoint_url", ""), "://");
    if (host != NULL)
        snprintf(d->registry, sizeof(d->registry), "%.100s/", host + 3);
    text_copy(d->docker_socket, sizeof(d->docker_socket),
              str_of(json_get_cstr(doc, "docker_socket", "/var/run/docker.sock")));
    return true;
}

/* The server holds a lock on its data as long as it lives, whoever started it. */
static bool
data_is_locked(const struct down *d)
{
    cleanup_free char *path = text_format("%s/lock", d->data_dir);
    cleanup_close int fd = open(path, O_RDWR | O_CLOEXEC);

    return fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) < 0 && errno == EWOULDBLOCK;
}

static bool
stop_server(struct down *d, struct err *err)
{
    cleanup_free char *path = text_format("%s/naru.pid", d->data_dir);
    const pid_t pid = local_pid_read(path);

    if (pid != 0) {
        if (!local_stop(pid, SERVER_PATIENCE_MS))
            return err_set(err, ERR_INTERNAL, "the server (process %ld) does not end", (long)pid);
        printf("stopped   naru server (process %ld)\n", (long)pid);
        d->stopped++;
    }
    unlink(path);
    if (data_is_locked(d))
        return err_set(err, ERR_ACCESS_DENIED,
                       "a naru server that `naru up` did not start uses %s: stop it first "
                       "(systemctl stop naru)",
                       d->data_dir);
    return true;
}

/* Else the containers would run on, and after a purge nobody would know them. */
static bool
may_use_docker(const struct down *d, struct err *err)
{
    return d->installation[0] == '\0' || !local_docker_is_closed(d->docker_socket, err) ||
           err_context(err, "nothing was stopped (sudo naru down%s --data-dir %s)", d->purges ? " --purge" : "", d->data_dir);
}

/* Containers by the label of this installation only. */
static bool
list_containers(const struct down *d, struct json **out, struct err *err)
{
    cleanup(http_answer_done) struct http_answer answer = {0};
    cleanup_free char *path = text_format(
        "/containers/json?filters=%%7B%%22label%%22%%3A%%5B%%22naru.installation%%3D%s%%22%%5D%%7D",
        d->installation);

    if (!local_docker_get(d->docker_socket, path, &answer, err))
        return false;
    *out = json_parse(strbuf_str(&answer.body), err);
    return *out != NULL;
}

static bool
stop_container(struct http_client *http, const struct down *d, const char *id, struct err *err)
{
    cleanup(http_answer_done) struct http_answer answer = {0};
    cleanup_free char *url = text_format("http://localhost/containers/%s/stop?t=30", id);
    const struct http_call call = {.method = "POST",
                                   .url = url,
                                   .unix_socket = d->docker_socket,
                                   .timeout_ms = 60000,
                                   .body = STR("")};

    if (!http_client_call(http, &call, &answer, err))
        return false;
    return answer.status < 400 || answer.status == 404 ||
           err_set(err, ERR_DOCKER, "Docker answered %d to stopping container %.12s", answer.status,
                   id);
}

static bool
remove_image(struct http_client *http, const struct down *d, const char *reference, struct err *err)
{
    cleanup(http_answer_done) struct http_answer answer = {0};
    cleanup(strbuf_done) struct strbuf url = {0};
    struct http_call call = {
        .method = "DELETE", .unix_socket = d->docker_socket, .timeout_ms = 60000};

    strbuf_add_cstr(&url, "http://localhost/images/");
    uri_encode(&url, str_of(reference), /* keep_slash= */ true);
    call.url = strbuf_cstr(&url);
    if (!http_client_call(http, &call, &answer, err))
        return false;
    /* 409: a container of somebody else's runs from it; then it stays. */
    return answer.status < 400 || answer.status == 404 || answer.status == 409 ||
           err_set(err, ERR_DOCKER, "Docker answered %d to removing image %s", answer.status,
                   reference);
}

/* Docker's copies of what our registry held, by their names: nobody could pull them again. */
static bool
remove_images(const struct down *d, struct err *err)
{
    static const char *const lists[] = {"RepoTags", "RepoDigests"};
    cleanup(http_answer_done) struct http_answer answer = {0};
    cleanup_json struct json *images = NULL;
    struct http_client *http;
    bool is_good = true;

    if (d->registry[0] == '\0')
        return true;
    if (!local_docker_get(d->docker_socket, "/images/json", &answer, err))
        return false;
    images = json_parse(strbuf_str(&answer.body), err);
    if (images == NULL)
        return false;
    http = http_client_new();
    for (size_t i = 0; i < json_size(images) && is_good; i++) {
        for (size_t l = 0; l < ARRAY_COUNT(lists) && is_good; l++) {
            const struct json *names = json_get(json_at(images, i), lists[l]);

            for (size_t k = 0; k < json_size(names) && is_good; k++)
                if (str_starts(str_of(json_cstr(json_at(names, k), "")), str_of(d->registry)))
                    is_good = remove_image(http, d, json_cstr(json_at(names, k), ""), err);
        }
    }
    /* The agent's own, for tasks of several containers; another installation makes it again. */
    is_good = is_good && remove_image(http, d, "naru-pause:1", err);
    http_client_free(http);
    return is_good;
}

/* The password that steps gave `docker login` is worth nothing any more. */
static void
log_out(const struct down *d)
{
    cleanup_free char *host = text_format("%.*s", (int)strcspn(d->registry, "/"), d->registry);
    const char *const argv[] = {"docker", "logout", host, NULL};
    const struct process_spec spec = {.argv = argv, .timeout_ms = 10000};
    cleanup(process_result_done) struct process_result result = {0};

    if (host[0] != '\0')
        (void)!process_run(&spec, &result, NULL);
}

/* Nothing sends traffic any more: HAProxy is down by now. */
static bool
stop_containers(struct down *d, struct err *err)
{
    cleanup_json struct json *containers = NULL;
    cleanup(http_answer_done) struct http_answer ping = {0};
    struct http_client *http;
    bool is_good = true;
    size_t count;

    if (d->installation[0] == '\0')
        return true;
    if (!local_docker_get(d->docker_socket, "/_ping", &ping,
                          NULL)) { /* no Docker, no containers that run */
        if (d->purges)
            fprintf(stderr,
                    "warning: no Docker answers on %s; containers, volumes and networks of this installation, if any, stay in it; "
                    "when it runs:\n"
                    "  docker rm -fv $(docker ps -aq --filter label=naru.installation=%s)\n"
                    "  docker volume rm $(docker volume ls -q --filter label=naru.installation=%s)\n"
                    "  docker network rm $(docker network ls -q --filter label=naru.installation=%s)\n",
                    d->docker_socket, d->installation, d->installation, d->installation);
        return true;
    }
    if (d->purges) {
        cleanup_free char *host = text_format("unix://%s", d->docker_socket);
        int removed = 0;

        (void)setenv("DOCKER_HOST", host, 1);
        pipeline_purge(d->data_dir);
        if (!agent_purge(d->docker_socket, d->installation, &removed, err))
            return false;
        if (removed > 0)
            printf("removed   %d containers, networks and volumes\n", removed);
        d->stopped += removed;
        log_out(d);
        return remove_images(d, err);
    }
    if (!list_containers(d, &containers, err))
        return false;
    count = json_size(containers);
    http = http_client_new();
    for (size_t i = 0; i < count && is_good; i++)
        is_good = stop_container(http, d, json_get_cstr(json_at(containers, i), "Id", ""), err);
    http_client_free(http);
    if (is_good && count > 0)
        printf("stopped   %zu containers\n", count);
    d->stopped += (int)count;
    return is_good;
}

/* Only the engine that `naru up` started: the marker says so. */
static bool
stop_docker(struct down *d, struct err *err)
{
    cleanup_free char *marker = text_format("%s/dockerd.started", d->data_dir);
    char script[1024];
    const char *const argv[] = {"sh", script, "stop", NULL};
    const struct process_spec spec = {.argv = argv, .timeout_ms = 60000, .merge_stderr = true};
    cleanup(process_result_done) struct process_result result = {0};

    if (!file_exists(marker))
        return true;
    if (!local_find_asset("tools/dockerd.sh", script, sizeof(script)))
        return err_set(err, ERR_NOT_FOUND,
                       "tools/dockerd.sh is missing beside naru; stop dockerd by hand");
    if (!process_run(&spec, &result, err))
        return false;
    if (result.exit_code != 0)
        return err_set(err, ERR_DOCKER, "stopping dockerd failed: %.500s",
                       strbuf_cstr(&result.output));
    unlink(marker);
    puts("stopped   dockerd");
    d->stopped++;
    return true;
}

/* Only what the server made; a directory that holds something else stays. */
static bool
remove_data(struct down *d, struct err *err)
{
    static const char *const names[] = {
        "blobs",        "builds",  "git",         "haproxy",         "log",
        "bin",          "sample",  "registry",    "registry.key",    "pipelines",
        "workspaces",   "users",   "naru.db", "naru.db-wal", "naru.db-shm",     "credentials.json",
        "keys.json",    "keys.json.lock", "roles.json", "roles.json.lock", "sessions.json", "sessions.json.lock", "tls",      "secrets",
        "osv.db",       "osv.db-wal",  "osv.db-shm",
        "installation", "host",    "lock",        "naru.pid",        "dockerd.started",
    };
    bool was_there = file_exists(d->data_dir);

    for (size_t i = 0; i < ARRAY_COUNT(names); i++) {
        cleanup_free char *path = text_format("%s/%s", d->data_dir, names[i]);

        if (!file_remove_tree(path, err))
            return err->sys_errno == EACCES && geteuid() != 0
                       ? err_context(err, "root has to remove it (sudo naru down --purge --data-dir %s)", d->data_dir)
                       : false;
    }
    if (rmdir(d->data_dir) < 0 && errno != ENOENT) {
        fprintf(stderr, "%s is kept: %s\n", d->data_dir,
                errno == ENOTEMPTY ? "there is something in it that is not naru's"
                                   : strerror(errno));
        return true;
    }
    if (was_there)
        printf("removed   %s\n", d->data_dir);
    d->stopped += was_there;
    return true;
}

static bool
run_down(struct down *d, struct err *err)
{
    bool was_running;

    if (!read_installation(d, err) || !may_use_docker(d, err) || !stop_server(d, err))
        return false;
    if (!balancer_shutdown(d->data_dir, &was_running, err))
        return err_context(err, "stopping HAProxy");
    if (was_running)
        puts("stopped   HAProxy");
    d->stopped += was_running;
    return stop_containers(d, err) && stop_docker(d, err) && (!d->purges || remove_data(d, err));
}

int
command_down(int argc, char **argv)
{
    struct down d = {0};
    const struct option_row rows[] = {
        {"data-dir", 0, OPTION_TEXT, &d.data_dir}, {"purge", 0, OPTION_FLAG, &d.purges}, {0}};
    struct err err = {0};
    int status;

    if (command_begin(argc, argv, rows, 0, &status) < 0)
        return status;
    d.data_dir = client_data_dir(d.data_dir);
    if (!run_down(&d, &err))
        return cli_fail(&err);
    if (d.stopped == 0)
        puts("nothing of naru's was running");
    return EXIT_LIVE;
}
