/* SPDX-License-Identifier: MIT */
#include "cli/docker.h"

#include <errno.h>
#include <limits.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include "base/cleanup.h"
#include "base/clock.h"
#include "cli/cli.h"
#include "io/process.h"

#define ACCOUNT_DIGITS 12
#define RESTART_PATIENCE_MS 60000
#define RESTART_LOOK_MS 100

static bool
is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* Length of "<12 digits>.dkr.ecr.<region>.amazonaws.com" at `at`, or 0. */
static size_t
ecr_host_length(const char *at)
{
    static const char service[] = ".dkr.ecr.", domain[] = ".amazonaws.com", china[] = ".cn";
    size_t length = ACCOUNT_DIGITS;

    for (size_t i = 0; i < ACCOUNT_DIGITS; i++)
        if (!is_digit(at[i]))
            return 0;
    if (strncmp(at + length, service, sizeof(service) - 1) != 0)
        return 0;
    length += sizeof(service) - 1;
    while (is_digit(at[length]) || at[length] == '-' || (at[length] >= 'a' && at[length] <= 'z'))
        length++;
    if (strncmp(at + length, domain, sizeof(domain) - 1) != 0)
        return 0;
    length += sizeof(domain) - 1;
    if (strncmp(at + length, china, sizeof(china) - 1) == 0)
        length += sizeof(china) - 1;
    return length;
}

bool
docker_rewrite(const char *argument, const char *port, struct strbuf *out)
{
    bool found = false;

    for (const char *at = argument; *at != '\0';) {
        const bool is_inside_number = at > argument && is_digit(at[-1]);
        const size_t length = is_inside_number ? 0 : ecr_host_length(at);

        if (length == 0) {
            strbuf_add_char(out, *at++);
            continue;
        }
        strbuf_addf(out, "localhost:%s", port);
        at += length;
        found = true;
    }
    return found;
}

/* Where naru listens: the port of AWS_ENDPOINT_URL, else NARU_PORT, else 4566. */
static void
find_port(char *out, size_t size)
{
    const char *url = getenv("AWS_ENDPOINT_URL"), *port = getenv("NARU_PORT");
    const char *host = url != NULL ? strstr(url, "://") : NULL;
    const char *colon = host != NULL ? strrchr(host + 3, ':') : NULL;
    int64_t number;
    size_t digits = 0;

    while (colon != NULL && is_digit(colon[1 + digits]))
        digits++;
    if (digits > 0 && digits < size)
        text_copy(out, size, (struct str){colon + 1, digits});
    else if (port != NULL && str_to_i64(str_of(port), &number) && number > 0 && number < 65536)
        text_copy(out, size, str_of(port));
    else
        text_copy(out, size, STR("4566"));
}

/* The docker behind us in PATH: the first that is not this program under another name. */
static bool
find_real(char *out, size_t size)
{
    cleanup_free char *own = realpath("/proc/self/exe", NULL);
    struct str rest = str_of(getenv("PATH")), directory;

    while (str_split(&rest, ':', &directory)) {
        cleanup_free char *path = text_format(STR_FMT "/docker", STR_ARG(directory)), *real = NULL;

        if (directory.len == 0 || access(path, X_OK) != 0)
            continue;
        real = realpath(path, NULL);
        if (real != NULL && own != NULL && strcmp(real, own) == 0)
            continue;
        return text_copy(out, size, str_of(path));
    }
    return false;
}

/* Docker's client before 23 builds by the old builder unless told otherwise (0.9 s instead of 0.2 s
 * for one changed layer), and carries BuildKit itself; from 23 on the default is right, and
 * setting the variable would fail where the buildx plugin is not installed. */
static bool
wants_buildkit(const char *docker)
{
    const char *const argv[] = {docker, "--version", NULL};
    const struct process_spec spec = {.argv = argv, .timeout_ms = 5000};
    cleanup(process_result_done) struct process_result result = {0};
    int major = 0;

    if (getenv("DOCKER_BUILDKIT") != NULL || !process_run(&spec, &result, NULL))
        return false;
    return sscanf(strbuf_cstr(&result.output), "Docker version %d.", &major) == 1 && major > 0 &&
           major < 23;
}

static bool
is_build(int argc, char **argv)
{
    for (int i = 1; i < argc; i++)
        if (argv[i][0] != '-')
            return strcmp(argv[i], "build") == 0;
    return false;
}

static bool
is_reachable(const char *port)
{
    struct sockaddr_in to = {.sin_family = AF_INET,
                             .sin_port = htons((uint16_t)atoi(port)),
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    cleanup_close int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    return fd >= 0 && connect(fd, (struct sockaddr *)&to, sizeof(to)) == 0;
}

/* A build goes on while naru is restarted; its registry is there again in a moment. */
static void
wait_for_registry(const char *port)
{
    const int64_t end_ms = clock_monotonic_ms() + RESTART_PATIENCE_MS;

    while (getenv("JENKINS_NODE_COOKIE") != NULL && !is_reachable(port) &&
           clock_monotonic_ms() < end_ms)
        clock_sleep_ms(RESTART_LOOK_MS);
}

int
docker_main(int argc, char **argv)
{
    char real[PATH_MAX], port[8];
    char **arguments = mem_new(((size_t)argc + 1) * sizeof(*arguments));
    bool uses_registry = false;
    struct err err = {0};

    if (getenv("NARU_NO_DOCKER") != NULL) {
        err_set(&err, ERR_ACCESS_DENIED, "%s", getenv("NARU_NO_DOCKER"));
        cli_fail(&err);
        return 126;
    }
    if (!find_real(real, sizeof(real))) {
        err_set(&err, ERR_DOCKER, "no docker client in PATH (Debian: apt-get install docker.io)");
        cli_fail(&err);
        return 127;
    }
    find_port(port, sizeof(port));
    for (int i = 1; i < argc; i++) {
        struct strbuf text = {0};

        arguments[i] = docker_rewrite(argv[i], port, &text) ? strbuf_take(&text) : argv[i];
        uses_registry = uses_registry || arguments[i] != argv[i];
    }
    if (uses_registry)
        wait_for_registry(port);
    arguments[0] = real;
    if (is_build(argc, argv) && wants_buildkit(real))
        setenv("DOCKER_BUILDKIT", "1", /* overwrite= */ 0);
    execv(real, arguments);
    err_errno(&err, "cannot run %s", real);
    cli_fail(&err);
    return 126;
}
