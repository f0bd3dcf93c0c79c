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
#include "cli/client.h"
#include "io/process.h"

#define RESTART_PATIENCE_MS 60000
#define RESTART_LOOK_MS 100

static bool
is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* What stands for an ECR host: of a login only ours; of an image what the agent asks Docker for, too. */
static void
host_rewrite(struct str host, bool has_repository, const struct image_home *home, struct strbuf *out)
{
    cleanup_free char *image = text_format(STR_FMT "/x", STR_ARG(host));
    struct image_ref ref;

    if (has_repository && image_ref_parse(image, "", home, &ref, NULL))
        strbuf_add(out, str_slice(str_of(ref.name), 0, strlen(ref.name) - 2));
    else
        strbuf_addf(out, "localhost:%u", home->registry_port);
}

/* Neither in the middle of a number nor behind a host that is named already. */
static bool
may_begin(const char *argument, const char *at)
{
    const size_t before = (size_t)(at - argument);

    return before == 0 || (!is_digit(at[-1]) && (at[-1] != '/' || (before > 1 && at[-2] == '/')));
}

bool
docker_rewrite(const char *argument, const struct image_home *home, struct strbuf *out)
{
    const char *const end = argument + strlen(argument);
    bool found = false;

    for (const char *at = argument; at < end;) {
        const struct str rest = {at, (size_t)(end - at)};
        struct str region;
        const size_t length = may_begin(argument, at) ? image_ref_ecr_host(rest, &region) : 0;

        if (length == 0) {
            strbuf_add_char(out, *at++);
            continue;
        }
        const char *behind = at + length;
        host_rewrite((struct str){at, length}, behind[0] == '/' && behind[1] != '\0', home, out);
        at = behind;
        found = true;
    }
    return found;
}

/* Where naru listens: the port of its endpoint, else NARU_PORT, else 4566. */
static unsigned
find_port(const char *endpoint_url)
{
    const unsigned named = client_endpoint_port(endpoint_url);
    const char *port = getenv("NARU_PORT");
    int64_t number;

    if (named != 0)
        return named;
    if (port != NULL && str_to_i64(str_of(port), &number) && number > 0 && number < 65536)
        return (unsigned)number;
    return 4566;
}

/* The server's region, whatever a Jenkinsfile makes of AWS_DEFAULT_REGION. Where nobody says it all names keep theirs,
 * which the registry reads as well. */
static void
find_home(struct client_config *config, struct image_home *out)
{
    if (!client_config_load(config, NULL, NULL))
        *config = (struct client_config){.account = "000000000000"};
    *out = (struct image_home){.account = config->account, .region = config->home_region, .registry_port = find_port(config->endpoint_url)};
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
is_reachable(unsigned port)
{
    struct sockaddr_in to = {.sin_family = AF_INET,
                             .sin_port = htons((uint16_t)port),
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    cleanup_close int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    return fd >= 0 && connect(fd, (struct sockaddr *)&to, sizeof(to)) == 0;
}

/* A build goes on while naru is restarted; its registry is there again in a moment. */
static void
wait_for_registry(unsigned port)
{
    const int64_t end_ms = clock_monotonic_ms() + RESTART_PATIENCE_MS;

    while (getenv("JENKINS_NODE_COOKIE") != NULL && !is_reachable(port) &&
           clock_monotonic_ms() < end_ms)
        clock_sleep_ms(RESTART_LOOK_MS);
}

int
docker_main(int argc, char **argv)
{
    char real[PATH_MAX];
    struct client_config config;
    struct image_home home;
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
    find_home(&config, &home);
    for (int i = 1; i < argc; i++) {
        struct strbuf text = {0};

        arguments[i] = docker_rewrite(argv[i], &home, &text) ? strbuf_take(&text) : argv[i];
        uses_registry = uses_registry || arguments[i] != argv[i];
    }
    if (uses_registry)
        wait_for_registry(home.registry_port);
    arguments[0] = real;
    if (is_build(argc, argv) && wants_buildkit(real))
        setenv("DOCKER_BUILDKIT", "1", /* overwrite= */ 0);
    execv(real, arguments);
    err_errno(&err, "cannot run %s", real);
    cli_fail(&err);
    return 126;
}
