/* SPDX-License-Identifier: MIT */
/* naru doctor: is this machine fit, and if not, what to do about it. */
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <sys/statvfs.h>
#include <sys/timex.h>
#include "cli/commands.h"
#include "cli/local.h"
#include "cli/sample.h"
#include "io/http_client.h"
#include "io/process.h"

#define DISK_WARN_BYTES (10LL << 30)
#define DISK_FAIL_BYTES (1LL << 30)
#define API_VERSION_MIN 41 /* 1.41: Docker 20.10 */

enum health { HEALTH_OK, HEALTH_WARN, HEALTH_FAIL };

struct doctor {
    const char *data_dir;
    struct client_config config;
    struct json *checks; /* [{"check","result","detail","fix"}] */
    bool has_failed, wants_json;
};

static void
say(struct doctor *d, enum health health, const char *check, const char *detail, const char *fix)
{
    static const char *const words[] = {"ok", "warn", "fail"};
    struct json *row = json_object();

    json_set(row, "check", json_text(check));
    json_set(row, "result", json_text(words[health]));
    json_set(row, "detail", json_text(detail));
    json_set(row, "fix", fix[0] != '\0' ? json_text(fix) : NULL);
    json_append(d->checks, row);
    d->has_failed = d->has_failed || health == HEALTH_FAIL;
    if (d->wants_json)
        return;
    printf("%s%-4s%s  %-8s  %s\n", cli_colour(health == HEALTH_OK ? COLOUR_GOOD : COLOUR_BAD),
           words[health], cli_colour(COLOUR_NONE), check, detail);
    if (fix[0] != '\0')
        printf("                fix: %s\n", fix);
}

static void
check_docker(struct doctor *d)
{
    char socket[256];
    cleanup(http_answer_done) struct http_answer answer = {0};
    cleanup_json struct json *version = NULL;
    cleanup_free char *detail = NULL;
    struct err err = {0};
    const char *api;
    int minor = 0;

    local_docker_socket(socket, sizeof(socket));
    if (local_docker_is_closed(socket, &err)) {
        say(d, HEALTH_FAIL, "docker", err.message, "");
        return;
    }
    if (!local_docker_get(socket, "/version", &answer, &err)) {
        detail = text_format("no Docker Engine answers on %s", socket);
        say(d, HEALTH_FAIL, "docker", detail,
            access("/usr/sbin/dockerd", X_OK) == 0
                ? "naru up starts it (as root); with systemd: systemctl start docker"
                : "apt-get install docker.io");
        return;
    }
    version = json_parse(strbuf_str(&answer.body), NULL);
    api = json_get_cstr(version, "ApiVersion", "0.0");
    detail = text_format("Docker %s, API %s, on %s", json_get_cstr(version, "Version", "?"), api,
                         socket);
    if (sscanf(api, "1.%d", &minor) != 1 || minor < API_VERSION_MIN)
        say(d, HEALTH_FAIL, "docker", detail, "naru needs Docker 20.10 or newer");
    else
        say(d, HEALTH_OK, "docker", detail, "");
}

/* Runs `program argument` and shows the first line of what it says. */
static void
check_program(struct doctor *d, const char *check, const char *program, const char *argument,
              const char *fix, enum health absent)
{
    char path[PATH_MAX]; /* sbin is in nobody's PATH but root's */
    const char *const argv[] = {path, argument, NULL};
    const struct process_spec spec = {.argv = argv, .timeout_ms = 10000, .merge_stderr = true};
    cleanup(process_result_done) struct process_result result = {0};
    struct str text, line;

    if (!local_find_program(program, path, sizeof(path)) || !process_run(&spec, &result, NULL) ||
        result.exit_code != 0) {
        cleanup_free char *detail = text_format("%s is not installed or does not run", program);

        say(d, absent, check, detail, fix);
        return;
    }
    text = strbuf_str(&result.output);
    if (str_split(&text, '\n', &line)) {
        cleanup_free char *detail = text_format(STR_FMT, STR_ARG(str_slice(line, 0, 100)));

        say(d, HEALTH_OK, check, detail, "");
    }
}

static void
check_haproxy(struct doctor *d)
{
    const char *own = getenv("NARU_HAPROXY");

    check_program(d, "haproxy", own != NULL && own[0] != '\0' ? own : "haproxy", "-v",
                  "apt-get install haproxy", HEALTH_FAIL);
}

/* What `naru up` will want next.  HAProxy of a naru that was killed has its listeners still. */
static void
check_sample_port(struct doctor *d)
{
    cleanup_free char *own = text_format("%s/haproxy/haproxy.pid", client_data_dir(d->data_dir));
    cleanup_free char *detail = NULL;

    if (!local_port_is_taken(SAMPLE_LISTENER_PORT) || access(own, F_OK) == 0)
        return;
    detail = text_format("port %d, for the sample's load balancer, belongs to another program",
                         SAMPLE_LISTENER_PORT);
    say(d, HEALTH_WARN, "ports", detail,
        "stop it, or choose another port: naru up --listener-port N");
}

static void
check_server(struct doctor *d)
{
    const unsigned port = local_port(&d->config);
    cleanup_free char *detail = NULL, *key = NULL;
    char version[64], problem[512];
    struct err err = {0};

    if (local_server_answers(&d->config, version, sizeof(version))) {
        detail = text_format("naru %s answers on %s", version, d->config.endpoint_url);
        say(d, HEALTH_OK, "server", detail, "");
        key = text_format("%s/credentials.json", client_data_dir(d->data_dir));
        if (!d->config.has_keys)
            say(d, HEALTH_WARN, "keys",
                "no access key in the environment, and the credentials file cannot be read",
                "run as naru's owner, or eval \"$(sudo naru env)\"");
        if (local_server_says(&d->config, "problem", problem, sizeof(problem)))
            say(d, HEALTH_FAIL, "traffic", problem,
                "stop the program that has the port, or give the listener another one");
        if (local_server_says(&d->config, "advice", problem, sizeof(problem)))
            say(d, HEALTH_WARN, "rules", problem, "ModifyRule: [^;]* instead of [a-z0-9]+; where that is what is meant");
    } else if (local_port_is_taken(port)) {
        detail = text_format("port %u belongs to another program", port);
        say(d, HEALTH_FAIL, "server", detail,
            "stop it, or choose another port: naru up --port N (NARU_PORT)");
    } else if (!cli_has_keys(&d->config, d->data_dir, &err) && err.code == ERR_ACCESS_DENIED) {
        say(d, HEALTH_WARN, "server", err.message, "");
    } else {
        detail = text_format("naru is not running; port %u is free", port);
        say(d, HEALTH_WARN, "server", detail, "naru up");
        check_sample_port(d);
    }
}

static void
check_disk(struct doctor *d)
{
    const char *path = client_data_dir(d->data_dir);
    struct statvfs fs;
    cleanup_free char *detail = NULL;
    long long bytes;

    if (statvfs(path, &fs) < 0 && statvfs("/", &fs) < 0) {
        say(d, HEALTH_WARN, "disk", "the file system cannot be asked", "");
        return;
    }
    bytes = (long long)fs.f_bavail * (long long)fs.f_frsize;
    detail = text_format("%.1f GiB free for %s", (double)bytes / (1 << 30), path);
    if (bytes < DISK_FAIL_BYTES)
        say(d, HEALTH_FAIL, "disk", detail,
            "make room (docker image prune), or choose another --data-dir");
    else
        say(d, bytes < DISK_WARN_BYTES ? HEALTH_WARN : HEALTH_OK, "disk", detail,
            bytes < DISK_WARN_BYTES ? "images grow: keep 10 GiB free (docker image prune)" : "");
}

/* Signatures older than 15 minutes are refused, and certificates have dates. */
static void
check_clock(struct doctor *d)
{
    struct timex state = {0};
    const int result = adjtimex(&state);

    if (result < 0)
        say(d, HEALTH_WARN, "clock", "the kernel does not say whether the clock is synchronised",
            "");
    else if (result == TIME_ERROR || (state.status & STA_UNSYNC) != 0)
        say(d, HEALTH_WARN, "clock",
            "the clock is not synchronised; clients on other machines may be refused",
            "apt-get install systemd-timesyncd (or chrony)");
    else
        say(d, HEALTH_OK, "clock", "synchronised", "");
}

int
command_doctor(int argc, char **argv)
{
    const char *output = NULL;
    struct doctor d = {0};
    const struct option_row rows[] = {
        {"data-dir", 0, OPTION_TEXT, &d.data_dir}, {"output", 'o', OPTION_TEXT, &output}, {0}};
    struct err err = {0};
    int status;

    if (command_begin(argc, argv, rows, 0, &status) < 0)
        return status;
    if (!cli_wants_json(output, &err, &d.wants_json) ||
        !client_config_load(&d.config, d.data_dir, &err))
        return cli_fail(&err);
    d.checks = json_array();
    check_server(&d);
    check_docker(&d);
    check_haproxy(&d);
    check_program(&d, "git", "git", "--version", "apt-get install git", HEALTH_FAIL);
    check_program(&d, "client", "docker", "--version",
                  "apt-get install docker.io (builds run `docker build`)", HEALTH_WARN);
    check_disk(&d);
    check_clock(&d);
    if (d.wants_json)
        cli_print_json(d.checks);
    json_unref(d.checks);
    return d.has_failed ? EXIT_INFRASTRUCTURE : EXIT_LIVE;
}
