/* SPDX-License-Identifier: MIT */
#include "daemon/server.h"

#include <assert.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <sys/resource.h>
#include <unistd.h>
#include "api/operations.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/random.h"
#include "daemon/config.h"
#include "daemon/door_tls.h"
#include "daemon/engine.h"
#include "daemon/image_pushed.h"
#include "daemon/images_in_use.h"
#include "daemon/named_secret.h"
#include "daemon/observe.h"
#include "daemon/registry_admin.h"
#include "daemon/tools.h"
#include "daemon/upstream_secret.h"
#include "io/access_keys.h"
#include "io/audit.h"
#include "io/guard.h"
#include "pipeline/pipeline.h"
#include "pipeline/step_variables.h"
#include "registry/mirror/pull_through.h"
#include "registry/mirror/replication.h"
#include "registry/scan/scan.h"

/* Everything a running server consists of, in the order in which it is made; undone backwards. */
struct server {
    struct config config;
    int64_t started_at_ms;
    struct access_keys *keys;
    struct guard *guard;
    struct audit *audit;
    struct store *store;
    struct registry *registry;
    struct engine *engine;
    struct agent *agent;
    struct balancer *balancer;
    struct hooks *hooks;
    struct api *api;
    struct pipeline_room *pipeline;
    struct observe observe;
    struct registry_admin registry_admin;
    struct http_server *http;
};

static void
report(void *ctx, const struct event *event)
{
    engine_report(((struct server *)ctx)->engine, event);
}

static void
report_hook(void *ctx, const struct hook_report *r)
{
    struct event event = {.type = EVENT_HOOK_ANSWERED};

    event.hook_answered = (struct ev_hook_answered){
        .service_deployment_arn = r->service_deployment_arn, .hook_id = r->hook_id, .attempt = r->attempt,
        .outcome = r->outcome, .delay_s = r->delay_s, .detail = r->detail,
    };
    report(ctx, &event);
}

static void
registry_password(void *ctx, struct strbuf *out)
{
    registry_token(((struct server *)ctx)->registry, clock_wall_ms(), out);
}

static char *
secret_value(void *ctx, const char *value_from, struct err *err)
{
    cleanup_free char *directory = text_format("%s/secrets", ((struct server *)ctx)->config.data_dir);
    return named_secret(directory, value_from, err);
}

static bool
run_on_engine(void *ctx, void (*call)(void *arg, struct core *core, int64_t now_ms), void *arg)
{
    return engine_run(((struct server *)ctx)->engine, call, arg);
}

static bool
read_on_engine(void *ctx, void (*call)(void *arg, struct core *core, int64_t now_ms), void *arg)
{
    return engine_read(((struct server *)ctx)->engine, call, arg);
}

static void
step_engine(void *ctx, const struct event *event)
{
    engine_step(((struct server *)ctx)->engine, event);
}

static bool
is_in_use(void *ctx, const char *region, const char *repository, const char *digest, struct strbuf *users)
{
    const struct server *s = ctx;

    return images_in_use(s->engine, s->registry, region, repository, digest, users);
}

static void
tell_push(void *ctx, const struct registry_push *push)
{
    const struct server *s = ctx;

    image_pushed_tell(s->engine, &s->config, push);
}

/* ---- making the rooms ---- */

static bool
open_access(struct server *s, struct err *err)
{
    const struct config *c = &s->config;
    char keys[600], log[600];

    snprintf(keys, sizeof(keys), "%s/keys.json", c->data_dir);
    snprintf(log, sizeof(log), "%s/log/audit.log", c->data_dir);
    s->keys = access_keys_new(keys, c->access_key_id, c->secret_access_key);
    s->guard = guard_new();
    s->audit = audit_open(log, err);
    return s->audit != NULL;
}

static bool
open_state(struct server *s, struct err *err)
{
    const struct config *c = &s->config;
    struct engine_config engine = {0};
    char path[600], host[64];

    snprintf(path, sizeof(path), "%s/naru.db", c->data_dir);
    s->store = store_open(path, err);
    if (s->store == NULL)
        return false;
    s->registry = registry_open(c->data_dir, c->account, c->region, err);
    if (s->registry == NULL || !registry_set_quota(s->registry, c->registry_quota, err))
        return false;
    snprintf(host, sizeof(host), "localhost:%u", c->port);
    registry_set_host(s->registry, host);
    registry_set_access(s->registry, s->keys, s->guard, s->audit);
    engine.store = s->store;
    engine.registry = s->registry;
    text_copy(engine.options.account, sizeof(engine.options.account), str_of(c->account));
    text_copy(engine.options.default_region, sizeof(engine.options.default_region), str_of(c->region));
    random_bytes(&engine.options.seed, sizeof(engine.options.seed));
    engine.options.steady_after_ms = 40000;
    engine.options.start_timeout_ms = 3LL * 3600 * 1000;
    s->engine = engine_new(&engine, err);
    if (s->engine == NULL)
        return false;
    registry_set_in_use(s->registry, is_in_use, s);
    if (strcmp(c->prefetch, "on") == 0)
        registry_set_pushed(s->registry, tell_push, s);
    registry_start_collecting(s->registry, s->config.registry_collect_s * 1000, s->config.registry_keep_s * 1000);
    registry_start_scanning(s->registry, c->data_dir);
    registry_set_credentials(s->registry, upstream_secret, (void *)c->data_dir);
    registry_start_pulling(s->registry);
    registry_start_replicating(s->registry, c->data_dir);
    return true;
}

static bool
start_hands(struct server *s, struct err *err)
{
    const struct config *c = &s->config;
    const struct agent_config agent = {
        .docker_socket = c->docker_socket, .data_dir = c->data_dir, .installation = c->installation,
        .host = c->host, .gpu_directory = c->gpu_directory,
        .account = c->account, .region = c->region, .endpoint_url = c->endpoint_url,
        .registry_port = c->port, .registry_password = registry_password, .secret = secret_value, .report = report, .ctx = s,
    };
    const struct balancer_config balancer = {
        .data_dir = c->data_dir, .haproxy = c->haproxy[0] != '\0' ? c->haproxy : NULL,
        .bind_address = c->balancer_address, .account = c->account, .report = report, .ctx = s,
    };

    s->agent = agent_new(&agent, err);
    if (s->agent == NULL)
        return false;
    s->balancer = balancer_new(&balancer, err);
    if (s->balancer == NULL)
        return false;
    s->hooks = hooks_new(&(struct hooks_config){
        .commands_dir = c->hooks_dir, .report = report_hook, .ctx = s,
    });
    engine_start(s->engine, s->agent, s->balancer, s->hooks);
    return true;
}

struct traffic_ask {
    api_traffic_call *call;
    void *arg;
};

static void
tell_traffic(void *arg, const struct balancer_traffic *traffic)
{
    const struct traffic_ask *ask = arg;

    ask->call(ask->arg, traffic->book, traffic->now_ms);
}

static bool
read_traffic(void *ctx, api_traffic_call *call, void *arg)
{
    struct traffic_ask ask = {call, arg};

    return balancer_traffic(((struct server *)ctx)->balancer, tell_traffic, &ask);
}

static bool
authorise(void *ctx, struct http_exchange *x)
{
    return api_authorise(((struct server *)ctx)->api, x, NULL);
}

struct step_env {
    char *lines[16]; /* NULL-terminated */
    size_t count;
};

static void
put_line(void *arg, const char *name, const char *value)
{
    struct step_env *e = arg;

    assert(e->count + 1 < ARRAY_COUNT(e->lines));
    e->lines[e->count++] = text_format("%s=%s", name, value);
}

static bool
start_pipeline(struct server *s, struct err *err)
{
    const struct config *c = &s->config;
    const struct step_place place = {c->endpoint_url, c->account, c->region, c->region, c->data_dir};
    cleanup_free char *docker_host = text_format("unix://%s", c->docker_socket);
    struct step_env env = {0};
    char tools[600], self[620];
    struct pipeline_config config = {
        .data_dir = c->data_dir, .tool_dir = tools, .extra_env = (const char *const *)env.lines,
        .guard = s->guard, .keys = s->keys, .build_roles = c->build_role, .naru_path = self, .base_url = c->endpoint_url, .github_secret = c->github_secret,
        .github_api_url = c->github_api_url,
        .ctx = s, .authorise = authorise,
    };

    snprintf(tools, sizeof(tools), "%s/bin", c->data_dir);
    snprintf(self, sizeof(self), "%s/naru", tools);
    step_variables_each(&place, put_line, &env);
    put_line(&env, "DOCKER_HOST", docker_host);
    s->pipeline = pipeline_room_start(&config, err);
    for (size_t i = 0; i < env.count; i++)
        free(env.lines[i]);
    return s->pipeline != NULL;
}

static bool
open_port(struct server *s, const struct http_route *routes, size_t count, struct err *err)
{
    cleanup(x509_made_done) struct x509_made pair = {0};
    const struct config *c = &s->config;
    bool is_tls;

    if (!door_tls_open(c, &is_tls, &pair, err))
        return false;
    const struct http_tls tls = {strbuf_cstr(&pair.certificate), strbuf_cstr(&pair.private_key)};
    const struct http_limits limits = {c->per_address, c->body_bytes, c->trusted_addresses, c->proxies};
    s->http = http_server_start_limited(c->listen, c->port, is_tls ? &tls : NULL, &limits, routes, count, err);
    return s->http != NULL;
}

static bool
start_doors(struct server *s, struct err *err)
{
    const struct config *c = &s->config;
    const struct api_config api = {
        .account = c->account, .default_region = c->region, .endpoint_url = c->endpoint_url,
        .port = c->port, .access_key_id = c->access_key_id, .secret_access_key = c->secret_access_key,
        .keys = s->keys, .guard = s->guard, .audit = s->audit,
        .run = run_on_engine, .read = read_on_engine, .step = step_engine, .traffic = read_traffic, .ctx = s, .registry = s->registry,
        .data_dir = c->data_dir,
    };
    struct http_route routes[7 + PIPELINE_ROUTES_MAX];
    size_t count = 0;

    s->api = api_new(&api);
    if (!start_pipeline(s, err))
        return false;
    count = pipeline_routes(s->pipeline, routes);
    s->observe = (struct observe){s->engine, s->balancer, s->started_at_ms, s->config.region, s->registry};
    routes[count++] = api_route(s->api);
    routes[count++] = api_content_route(s->api);
    routes[count++] = registry_route(s->registry);
    routes[count++] = registry_download_route(s->registry);
    s->registry_admin = (struct registry_admin){s->api, s->registry};
    routes[count++] = registry_admin_route(&s->registry_admin);
    routes[count++] = observe_health_route(&s->observe);
    routes[count++] = observe_metrics_route(&s->observe);
    return open_port(s, routes, count, err);
}

/* The doors close first, so that nobody comes in; then nothing more is decided; then the hands rest.
 * Containers and HAProxy go on: traffic does not need naru to be up. */
static void
stop(struct server *s)
{
    if (s->pipeline != NULL)
        pipeline_room_close(s->pipeline); /* or those who follow a log would hold the doors open */
    if (s->registry != NULL)
        registry_stop_pulling(s->registry); /* an upstream may take as long as it likes */
    if (s->http != NULL)
        http_server_stop(s->http);
    if (s->pipeline != NULL)
        pipeline_room_stop(s->pipeline);
    if (s->engine != NULL)
        engine_stop(s->engine);
    hooks_free(s->hooks);
    agent_free(s->agent);
    balancer_free(s->balancer);
    api_free(s->api);
    if (s->registry != NULL)
        registry_close(s->registry); /* its collector asks the engine, which only says no by now */
    engine_free(s->engine);
    store_close(s->store);
    audit_close(s->audit);
    guard_free(s->guard);
    access_keys_free(s->keys);
}

/* A descriptor for each of 1,024 client connections, and for files, checks and pipes beside them. */
static void
raise_descriptor_limit(void)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
        return;
    limit.rlim_cur = limit.rlim_max < 65536 ? limit.rlim_max : 65536;
    if (setrlimit(RLIMIT_NOFILE, &limit) < 0)
        log_warn("server.descriptor_limit", "wanted=%llu", (unsigned long long)limit.rlim_cur);
}

static void
wait_for_signal(const sigset_t *signals)
{
    int number = 0;

    while (sigwait(signals, &number) != 0)
        ;
    log_info("server.stopping", "signal=%d", number);
}

int
server_main(int argc, char **argv)
{
    struct server s = {.started_at_ms = clock_monotonic_ms()};
    struct err err = {0};
    sigset_t signals;

    /* Blocked before the first thread starts, so that only sigwait() below hears them. */
    sigemptyset(&signals);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGINT);
    sigprocmask(SIG_BLOCK, &signals, NULL);
    signal(SIGPIPE, SIG_IGN);
    raise_descriptor_limit();
    if (!config_parse(&s.config, argc, argv, &err)) {
        fprintf(stderr, "Usage: %s\n", err.message);
        return 2;
    }
    if (s.config.is_verbose)
        log_set_level(LOG_DEBUG);
    if (!config_open_data(&s.config, &err) || !tools_link(s.config.data_dir, &err) || !open_access(&s, &err) || !open_state(&s, &err) ||
        !start_hands(&s, &err) || !start_doors(&s, &err)) {
        log_error("server.failed", "error=%s", log_quote(err.message));
        stop(&s);
        return 1;
    }
    log_info("server.started", "port=%u data_dir=%s took_ms=%lld", http_server_port(s.http),
             s.config.data_dir, (long long)(clock_monotonic_ms() - s.started_at_ms));
    wait_for_signal(&signals);
    stop(&s);
    return 0;
}
