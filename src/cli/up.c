/* SPDX-License-Identifier: MIT */
/* naru up: Docker, naru, and the sample application from `git push` to live.  Each step looks
 * first, so that a second run changes nothing. */
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include "base/clock.h"
#include "cli/builds.h"
#include "cli/commands.h"
#include "cli/follow.h"
#include "cli/local.h"
#include "cli/sample.h"
#include "cli/up_report.h"
#include "cli/waiting.h"
#include "io/file.h"
#include "io/process.h"
#include "model/image_ref.h"

#define SERVER_START_MS 20000
#define OTHER_START_MS 3000
#define BUILD_TIMEOUT_MS 900000
#define LIVE_TIMEOUT_MS 180000

struct up {
    const char *data_dir, *sample_dir;
    int64_t port, listener_port;
    bool server_only;
    char found_sample[PATH_MAX], work_tree[PATH_MAX], repository[PATH_MAX], commit[64];
    struct client_config config;
    struct client *client;
    struct sample sample;
    struct progress progress;
    bool has_changed;
    int64_t pushed_at_ms;
    struct json *build; /* the one that followed our push; NULL if nothing was pushed */
};

/* ---- Docker and the server ---- */

static bool
start_docker(struct up *u, struct err *err)
{
    cleanup_free char *marker = text_format("%s/dockerd.started", u->data_dir);
    cleanup(http_answer_done) struct http_answer ping = {0};
    cleanup(process_result_done) struct process_result result = {0};
    char socket[256], script[PATH_MAX];
    const char *const argv[] = {"sh", script, "start", NULL};
    const struct process_spec spec = {.argv = argv, .timeout_ms = 120000};

    local_docker_socket(socket, sizeof(socket));
    if (local_docker_is_closed(socket, err))
        return false;
    if (local_docker_get(socket, "/_ping", &ping, NULL))
        return true;
    if (!local_find_asset("tools/dockerd.sh", script, sizeof(script)))
        return err_set(err, ERR_DOCKER,
                       "no Docker Engine answers on %s; start one (systemctl start docker)",
                       socket);
    progress_line(&u->progress, "start", "dockerd");
    if (!process_run(&spec, &result, err))
        return false;
    if (result.exit_code != 0)
        return err_set(err, ERR_DOCKER, "Docker Engine does not start: %.700s",
                       strbuf_cstr(&result.error));
    u->has_changed = true;
    return file_make_dirs(u->data_dir, 0755, err) &&
           file_write_atomic(marker, str_of(socket), 0644, err);
}

/* The last lines of the server's log, for the error that says that it did not start. */
static void
add_log_tail(const char *path, struct err *err)
{
    cleanup(strbuf_done) struct strbuf text = {0};
    struct str tail;

    if (!file_read(path, (size_t)64 << 20, &text, NULL))
        return;
    tail = strbuf_str(&text);
    tail = str_trim(str_slice(tail, tail.len > 600 ? tail.len - 600 : 0, tail.len));
    err_set(err, ERR_INTERNAL, "the server ended at its start; the end of %s:\n" STR_FMT, path,
            STR_ARG(tail));
}

static bool
wait_for_server(struct up *u, pid_t pid, const char *log, struct err *err)
{
    const int64_t end_ms = clock_monotonic_ms() + SERVER_START_MS;

    while (!local_server_answers(&u->config, NULL, 0)) {
        if (!process_is_alive(pid)) {
            err_set(err, ERR_INTERNAL, "the server ended at its start, see %s", log);
            add_log_tail(log, err);
            return false;
        }
        if (clock_monotonic_ms() > end_ms)
            return err_set(err, ERR_TIMEOUT, "the server does not answer on %s, see %s",
                           u->config.endpoint_url, log);
        clock_sleep_ms(10);
    }
    return true;
}

/* Another `naru up` has started it a moment ago, or it runs on another port; or it was just killed, and ends. */
static bool
wait_for_other(struct up *u, const char *pid_file, bool *answers, struct err *err)
{
    const int64_t end_ms = clock_monotonic_ms() + OTHER_START_MS;
    pid_t pid;

    *answers = false;
    while ((pid = local_pid_read(pid_file)) != 0 && !*answers) {
        if (clock_monotonic_ms() > end_ms)
            return err_set(
                err, ERR_USAGE,
                "a naru server (process %ld) uses %s already, and does not answer on %s: "
                "say its --port, or end it first (naru down)",
                (long)pid, u->data_dir, u->config.endpoint_url);
        clock_sleep_ms(50);
        *answers = local_server_answers(&u->config, NULL, 0);
    }
    return true;
}

static bool
start_server(struct up *u, struct err *err)
{
    cleanup_free char *folder = text_format("%s/log", u->data_dir),
                      *log = text_format("%s/log/naru.log", u->data_dir);
    cleanup_free char *pid_file = text_format("%s/naru.pid", u->data_dir),
                      *self = realpath("/proc/self/exe", NULL);
    cleanup_free char *port = text_format("%u", local_port(&u->config));
    const char *const argv[] = {self, "server", "--data-dir", u->data_dir, "--port", port, NULL};
    bool other_answers;
    pid_t pid;

    if (local_server_answers(&u->config, NULL, 0)) {
        cleanup_free char *credentials = text_format("%s/credentials.json", u->data_dir);

        if (file_exists(credentials))
            return true;
        return err_set(
            err, ERR_USAGE,
            "another naru answers on %s, and its data is not in %s: say --port or --data-dir",
            u->config.endpoint_url, u->data_dir);
    }
    if (self == NULL)
        return err_errno(err, "cannot find this program");
    if (!wait_for_other(u, pid_file, &other_answers, err) || other_answers)
        return other_answers;
    if (!file_make_dirs(folder, 0755, err))
        return err->sys_errno == EACCES
                   ? err_context(err, "run as root, or keep naru's data elsewhere (--data-dir DIR, NARU_DATA_DIR)")
                   : false;
    /* Its number first: if we end here, down still finds it. */
    if (!process_spawn_detached(argv, "/", log, /* pid_file= */ NULL, &pid, err) ||
        !local_pid_write(pid_file, pid, err) || !wait_for_server(u, pid, log, err))
        return false;
    u->has_changed = true;
    progress_line(&u->progress, "start", "naru server on %s (log: %s)", u->config.endpoint_url,
                  log);
    return true;
}

/* The installation in the data directory, whatever AWS the caller's shell is set up for. */
static bool
choose_installation(struct up *u, struct err *err)
{
    cleanup_free char *port = text_format("%lld", (long long)u->port);

    client_forget_environment();
    if (u->port != 0) {
        cleanup_free char *url = text_format("http://localhost:%s", port);

        if (u->port > 65535)
            return err_set(err, ERR_USAGE, "there is no port %s", port);
        setenv("AWS_ENDPOINT_URL", url, 1);
    }
    return client_config_load(&u->config, u->data_dir, err);
}

/* ---- programs ---- */

static bool
run_in(struct up *u, const char *directory, struct strbuf *output, struct err *err,
       const char *const *argv)
{
    const struct process_spec spec = {.argv = argv, .directory = directory, .timeout_ms = 600000};
    cleanup(process_result_done) struct process_result result = {0};

    if (!process_run(&spec, &result, err))
        return false;
    if (output != NULL)
        strbuf_add(output, strbuf_str(&result.output));
    if (result.exit_code == 0)
        return true;
    return err_set(err, ERR_INTERNAL, "'%s %s' failed with %d: %.600s", argv[0], argv[1],
                   result.exit_code,
                   strbuf_cstr(result.error.len > 0 ? &result.error : &result.output));
}

#define RUN(u, directory, output, err, ...) \
    run_in(u, directory, output, err, (const char *const[]){__VA_ARGS__, NULL})

/* As a build's step has it: our tools first in PATH, our keys. */
static void
set_step_environment(struct up *u)
{
    cleanup_free char *path = text_format(
        "%s/bin:%s", u->data_dir, getenv("PATH") != NULL ? getenv("PATH") : "/usr/bin:/bin");

    setenv("PATH", path, 1);
    local_give_environment(&u->config, u->data_dir, true);
}

/* ---- the sample ---- */

static bool
make_work_tree(struct up *u, struct err *err)
{
    cleanup_free char *git = NULL, *from = NULL;

    snprintf(u->work_tree, sizeof(u->work_tree), "%s/sample/my-app", u->data_dir);
    git = text_format("%s/.git", u->work_tree);
    from = text_format("%s/.", u->sample_dir);
    if (file_exists(git))
        return true;
    if (!file_make_dirs(u->work_tree, 0755, err) ||
        !RUN(u, NULL, NULL, err, "cp", "-R", from, u->work_tree) ||
        !RUN(u, u->work_tree, NULL, err, "git", "init", "-q", "-b", "main", ".") ||
        !RUN(u, u->work_tree, NULL, err, "git", "config", "user.name", "naru") ||
        !RUN(u, u->work_tree, NULL, err, "git", "config", "user.email", "naru@localhost") ||
        !RUN(u, u->work_tree, NULL, err, "git", "add", "-A") ||
        !RUN(u, u->work_tree, NULL, err, "git", "commit", "-q", "-m", "my-app: the first version"))
        return err_context(err, "making the sample's work tree %s", u->work_tree);
    progress_line(&u->progress, "create", "work tree %s", u->work_tree);
    u->has_changed = true;
    return true;
}

static bool
make_git_repository(struct up *u, struct err *err)
{
    bool is_new = false;

    if (!builds_make_repository(u->client, SAMPLE_REPOSITORY, u->repository, sizeof(u->repository),
                                &is_new, err))
        return false;
    if (is_new) {
        progress_line(&u->progress, "create", "git repository %s", u->repository);
        u->has_changed = true;
    }
    /* Said every time: the data directory may have moved. */
    if (!RUN(u, u->work_tree, NULL, err, "git", "config", "remote.naru.url", u->repository) ||
        !RUN(u, u->work_tree, NULL, err, "git", "config", "remote.naru.fetch",
             "+refs/heads/*:refs/remotes/naru/*"))
        return false;
    return true;
}

/* A service needs an image before its first push has been built; later ones come from the pipeline.
 */
static bool
push_first_image(struct up *u, struct err *err)
{
    static const char commands[] =
        "set -e\n./build.sh\ndocker build -q -t my-app:latest . >/dev/null\n"
        "aws ecr get-login-password --region $AWS_DEFAULT_REGION | docker login --username AWS "
        "--password-stdin $REGISTRY >/dev/null 2>&1\n"
        "docker tag my-app:latest $REGISTRY/my-app:latest\ndocker push -q $REGISTRY/my-app:latest "
        ">/dev/null\n";
    cleanup_free char *registry = image_ref_ecr_host_of(str_of(u->config.account), str_of(u->config.region));
    bool has_image;

    if (!sample_has_image(&u->sample, &has_image, err))
        return false;
    if (has_image)
        return true;
    setenv("REGISTRY", registry, 1);
    if (!RUN(u, u->work_tree, NULL, err, "sh", "-c", commands))
        return err_context(err, "building and pushing the first image");
    u->has_changed = true;
    progress_line(&u->progress, "push", "the first image, my-app:latest");
    return true;
}

static bool
make_resources(struct up *u, struct err *err)
{
    struct sample *s = &u->sample;
    char deployment[1024];
    bool is_good;

    is_good = sample_make_repository(s, err) && sample_make_cluster(s, err) &&
              sample_make_load_balancer(s, err) && make_work_tree(u, err) &&
              push_first_image(u, err) && sample_make_task_definition(s, err) &&
              sample_make_service(s, deployment, err);
    if (!is_good)
        return false;
    u->has_changed = u->has_changed || s->made > 0;
    if (deployment[0] != '\0') {
        struct follow f = {.client = u->client,
                           .cluster = SAMPLE_CLUSTER,
                           .service = SAMPLE_SERVICE,
                           .is_quiet = true,
                           .deployment_arn = deployment,
                           .timeout_ms = LIVE_TIMEOUT_MS};

        if (follow_deployment(&f) != EXIT_LIVE)
            return err_set(err, ERR_INTERNAL,
                           "the first tasks of " SAMPLE_SERVICE " do not get live: %s: %s",
                           f.verdict, f.reason);
        progress_line(&u->progress, "live", "%d tasks of " SAMPLE_SERVICE, SAMPLE_DESIRED_COUNT);
    }
    return true;
}

/* ---- git push, and what follows ---- */

static bool
push_main(struct up *u, bool *has_pushed, struct err *err)
{
    cleanup(strbuf_done) struct strbuf head = {0}, remote = {0};

    if (!RUN(u, u->work_tree, &head, err, "git", "rev-parse", "main") ||
        !RUN(u, u->work_tree, &remote, err, "git", "ls-remote", "naru", "refs/heads/main"))
        return false;
    text_copy(u->commit, sizeof(u->commit), str_trim(strbuf_str(&head)));
    *has_pushed = !str_starts(strbuf_str(&remote), str_of(u->commit));
    if (!*has_pushed)
        return true;
    u->pushed_at_ms = clock_wall_ms();
    if (!RUN(u, u->work_tree, NULL, err, "git", "push", "-q", "naru", "main"))
        return false;
    u->has_changed = true;
    progress_line(&u->progress, "git push", "main %.10s", u->commit);
    return true;
}

static struct json *
wait_for_build(struct up *u, struct err *err)
{
    const int64_t end_ms = clock_monotonic_ms() + 10000;

    for (;;) {
        struct json *build = builds_find(u->client, SAMPLE_REPOSITORY, u->commit, err);

        if (build != NULL)
            return build;
        if (clock_monotonic_ms() > end_ms) {
            err_set(err, ERR_TIMEOUT, "the push started no build (is `naru git-hook` in %s/hooks?)",
                    u->repository);
            return NULL;
        }
        clock_sleep_ms(50);
    }
}

static bool
follow_build(struct up *u, struct err *err)
{
    cleanup_json struct json *found = wait_for_build(u, err);
    const int64_t number = json_get_i64(found, "number", 0);
    cleanup(strbuf_done) struct strbuf log = {0};

    if (found == NULL)
        return false;
    progress_line(&u->progress, "build", "#%lld of " SAMPLE_REPOSITORY, (long long)number);
    u->build =
        builds_follow(u->client, SAMPLE_REPOSITORY, number, &u->progress, BUILD_TIMEOUT_MS, err);
    if (u->build == NULL)
        return false;
    progress_line(&u->progress, "build", "#%lld %s", (long long)number, build_result(u->build));
    if (strcmp(build_result(u->build), "SUCCESS") == 0)
        return true;
    if (builds_log(u->client, SAMPLE_REPOSITORY, number, &log, NULL))
        fprintf(stderr, "%s\n", strbuf_cstr(&log));
    return err_set(err, ERR_CLIENT, "build #%lld ended with %s; its log is above",
                   (long long)number, build_result(u->build));
}

static bool
check_listener_port(struct up *u, struct err *err)
{
    if (u->listener_port < 1 || u->listener_port > 65535)
        return err_set(err, ERR_USAGE, "there is no port %lld", (long long)u->listener_port);
    return true;
}

static bool
find_sample(struct up *u, struct err *err)
{
    cleanup_free char *jenkinsfile = NULL;

    if (u->sample_dir == NULL &&
        local_find_asset("examples/my-app", u->found_sample, sizeof(u->found_sample)))
        u->sample_dir = u->found_sample;
    if (u->sample_dir == NULL)
        return err_set(
            err, ERR_USAGE,
            "the sample application is not beside naru: say --sample DIR, or --server-only");
    jenkinsfile = text_format("%s/Jenkinsfile", u->sample_dir);
    if (!file_exists(jenkinsfile))
        return err_set(err, ERR_USAGE, "there is no sample in %s: it has no Jenkinsfile",
                       u->sample_dir);
    return true;
}

static bool
run_up(struct up *u, struct err *err)
{
    struct up_summary summary;
    bool has_pushed = false;

    if (!check_listener_port(u, err) || (!u->server_only && !find_sample(u, err)) ||
        !choose_installation(u, err) || !start_docker(u, err) || !start_server(u, err) ||
        !client_config_load(&u->config, u->data_dir, err))
        return false;
    u->client = client_new(&u->config);
    if (u->server_only) {
        printf("%snaru is up on %s\n",
               u->has_changed ? "" : "nothing to do: ", u->config.endpoint_url);
        return true;
    }
    set_step_environment(u);
    u->sample = (struct sample){.client = u->client,
                                .sample_dir = u->sample_dir,
                                .listener_port = (int)u->listener_port,
                                .progress = &u->progress};
    if (!make_resources(u, err) || !make_git_repository(u, err) || !push_main(u, &has_pushed, err))
        return false;
    if (has_pushed && !follow_build(u, err))
        return false;
    summary = (struct up_summary){.build = u->build,
                                  .pushed_at_ms = u->pushed_at_ms,
                                  .has_changed = u->has_changed,
                                  .listener_port = u->sample.listener_port,
                                  .work_tree = u->work_tree};
    return up_report(u->client, &summary, err);
}

int
command_up(int argc, char **argv)
{
    struct up u = {.listener_port = SAMPLE_LISTENER_PORT};
    const struct option_row rows[] = {
        {"sample", 0, OPTION_TEXT, &u.sample_dir},
        {"port", 0, OPTION_NUMBER, &u.port},
        {"listener-port", 0, OPTION_NUMBER, &u.listener_port},
        {"data-dir", 0, OPTION_TEXT, &u.data_dir},
        {"server-only", 0, OPTION_FLAG, &u.server_only},
        {0},
    };
    cleanup_free char *data_dir = NULL;
    struct err err = {0};
    bool is_good;
    int status;

    if (command_begin(argc, argv, rows, 0, &status) < 0)
        return status;
    u.data_dir = client_data_dir(u.data_dir);
    if (u.data_dir[0] != '/') { /* the server works elsewhere */
        cleanup_free char *here = getcwd(NULL, 0);

        u.data_dir = data_dir = text_format("%s/%s", here != NULL ? here : "", u.data_dir);
    }
    progress_begin(&u.progress);
    is_good = run_up(&u, &err);
    if (u.client != NULL)
        waiting_print(u.client, is_good ? stdout : stderr);
    json_unref(u.build);
    client_free(u.client);
    return is_good ? EXIT_LIVE : cli_fail(&err);
}
