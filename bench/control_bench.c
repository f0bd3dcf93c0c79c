/* SPDX-License-Identifier: MIT */
/* control_bench - the control plane's speed, beside what its parts do alone on the same machine.
 *   control_bench --naru build/naru [--root DIRECTORY] [--seconds N] [--services N]
 * Starts servers of its own below --root (which must not exist; removed at the end), without Docker: what
 * is measured are signed calls, durable changes and the opening of a large store.  `young` services are as
 * CreateService leaves them, `old` ones have as many deployments and events behind them as are kept. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include "api_load.h"
#include "base/clock.h"
#include "base/json.h"
#include "floors.h"
#include "io/file.h"

#define KEY_ID "AKIABENCHBENCHBENCH1"
#define SECRET "bench-secret-bench-secret-bench-secret-0"
#define REGION "eu-west-1"
#define TARGET "AmazonEC2ContainerServiceV20141113."
#define CLIENTS 32
#define YOUNG 1024 /* services that are measured, of either kind */
#define OLD 64
#define OLD_DEPLOYMENTS 60
#define SERVICES_A_CLUSTER 5000
#define READY_MS 60000

struct options {
    const char *naru, *root;
    int64_t seconds, services;
};

struct server {
    const struct options *options;
    char data_dir[600];
    int port;
    pid_t pid;
    double open_ms; /* from its start to the first answer */
};

/* ---- a server ---- */

static int
free_port(void)
{
    static int next;

    if (next == 0)
        next = 20000 + (int)(getpid() % 10000); /* below those that connections get */
    return next++;
}

static void
run_server(const struct server *s)
{
    char port[16], log[640];
    int fd;

    snprintf(port, sizeof(port), "%d", s->port);
    snprintf(log, sizeof(log), "%s.log", s->data_dir);
    fd = open(log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0640);
    if (fd < 0 || dup2(fd, 1) < 0 || dup2(fd, 2) < 0)
        _exit(127);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    setenv("NARU_ACCESS_KEY_ID", KEY_ID, 1);
    setenv("NARU_SECRET_ACCESS_KEY", SECRET, 1);
    execl(s->options->naru, "naru", "server", "--data-dir", s->data_dir, "--port", port, "--region", REGION,
          "--docker-socket", "/nonexistent/docker.sock", (char *)NULL);
    _exit(127);
}

static void
set_load(const struct server *s, struct api_load *load, const char *target)
{
    *load = (struct api_load){.port = s->port, .access_key_id = KEY_ID, .secret = SECRET, .region = REGION,
                              .service = "ecs", .target = target, .connections = 1};
}

static void
empty_body(void *arg, int64_t number, struct strbuf *out)
{
    (void)arg;
    (void)number;
    strbuf_add_cstr(out, "{}");
}

static bool
wait_until_ready(struct server *s, struct err *err)
{
    const int64_t begin_us = clock_monotonic_us();
    struct api_load_report report;
    struct api_load load;

    set_load(s, &load, TARGET "ListClusters");
    load.calls = 1;
    load.body = empty_body;
    for (;;) {
        struct err not_yet = {0};

        if (api_load_run(&load, &report, &not_yet))
            break;
        if (waitpid(s->pid, NULL, WNOHANG) != 0 || clock_monotonic_us() - begin_us > READY_MS * 1000)
            return err_set(err, ERR_INTERNAL, "the server does not answer (%s.log): %.150s", s->data_dir,
                           not_yet.message);
        clock_sleep_ms(1);
    }
    s->open_ms = (double)(clock_monotonic_us() - begin_us) / 1000;
    return true;
}

static bool
server_start(struct server *s, const struct options *o, const char *name, struct err *err)
{
    *s = (struct server){.options = o, .port = free_port()};
    snprintf(s->data_dir, sizeof(s->data_dir), "%s/%s", o->root, name);
    s->pid = fork();
    if (s->pid == 0)
        run_server(s);
    return s->pid > 0 ? wait_until_ready(s, err) : err_errno(err, "cannot fork");
}

static void
server_stop(struct server *s)
{
    if (s->pid <= 0)
        return;
    kill(s->pid, SIGTERM);
    waitpid(s->pid, NULL, 0);
    s->pid = 0;
}

/* ---- bodies ---- */

/* Of service number `first` + n modulo `count`; names are ageK-N of cluster "bench". */
struct target_services {
    const char *age;
    int count;
};

static void
describe_body(void *arg, int64_t number, struct strbuf *out)
{
    const struct target_services *t = arg;

    strbuf_addf(out, "{\"cluster\":\"bench\",\"services\":[\"%s-%d\"]}", t->age,
                (int)(number % t->count));
}

/* Each call changes the count of its service: 2, 3, 2, ... */
static void
update_body(void *arg, int64_t number, struct strbuf *out)
{
    const struct target_services *t = arg;

    strbuf_addf(out, "{\"cluster\":\"bench\",\"service\":\"%s-%d\",\"desiredCount\":%d}", t->age,
                (int)(number % t->count), (int)(number / t->count % 2 + 2));
}

static void
deploy_body(void *arg, int64_t number, struct strbuf *out)
{
    const struct target_services *t = arg;

    strbuf_addf(out, "{\"cluster\":\"bench\",\"service\":\"%s-%d\",\"forceNewDeployment\":true}", t->age,
                (int)(number % t->count));
}

static void
create_body(void *arg, int64_t number, struct strbuf *out)
{
    const struct target_services *t = arg;

    strbuf_addf(out,
                "{\"cluster\":\"bench\",\"serviceName\":\"%s-%d\",\"taskDefinition\":\"web\","
                "\"desiredCount\":0}", /* so that deployments complete, without a task */
                t->age, (int)(number % t->count));
}

/* A full store: services of several clusters, since one holds SERVICES_A_CLUSTER. */
static void
create_many_body(void *arg, int64_t number, struct strbuf *out)
{
    (void)arg;
    strbuf_addf(out,
                "{\"cluster\":\"c%lld\",\"serviceName\":\"service-%lld\",\"taskDefinition\":\"web\","
                "\"desiredCount\":1}",
                (long long)(number / SERVICES_A_CLUSTER), (long long)number);
}

static void
cluster_body(void *arg, int64_t number, struct strbuf *out)
{
    if (arg != NULL)
        strbuf_addf(out, "{\"clusterName\":\"%s\"}", (const char *)arg);
    else
        strbuf_addf(out, "{\"clusterName\":\"c%lld\"}", (long long)number);
}

static void
definition_body(void *arg, int64_t number, struct strbuf *out)
{
    (void)arg;
    (void)number;
    strbuf_add_cstr(out, "{\"family\":\"web\",\"containerDefinitions\":[{\"name\":\"web\",\"image\":"
                         "\"registry.example/web@sha256:"
                         "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef\",\"cpu\":10,"
                         "\"memory\":64,\"portMappings\":[{\"containerPort\":8080}]}]}");
}

/* ---- measuring ---- */

static bool
run_calls(const struct server *s, const char *target, void (*body)(void *, int64_t, struct strbuf *),
          void *arg, int64_t calls, struct err *err)
{
    struct api_load_report report;
    struct api_load load;

    set_load(s, &load, target);
    load.connections = calls < CLIENTS ? 1 : CLIENTS;
    load.calls = calls;
    load.body = body;
    load.arg = arg;
    return api_load_run(&load, &report, err) || err_context(err, "preparing with %s", target);
}

static bool
make_services(const struct server *s, struct target_services *young, struct target_services *old,
              struct err *err)
{
    const int64_t begin_ms = clock_monotonic_ms();
    const bool ok =
        run_calls(s, TARGET "CreateCluster", cluster_body, "bench", 1, err) &&
        run_calls(s, TARGET "RegisterTaskDefinition", definition_body, NULL, 1, err) &&
        run_calls(s, TARGET "CreateService", create_body, young, young->count, err) &&
        run_calls(s, TARGET "CreateService", create_body, old, old->count, err) &&
        run_calls(s, TARGET "UpdateService", deploy_body, old,
                  (int64_t)old->count * OLD_DEPLOYMENTS, err);

    if (ok)
        printf("prepared   %d young services and %d old ones in %lld ms\n", young->count, old->count,
               (long long)(clock_monotonic_ms() - begin_ms));
    return ok;
}

/* Processor time of a process so far, all its threads. */
static double
cpu_us(pid_t pid)
{
    struct timespec t = {0};
    clockid_t clock;

    if (clock_getcpuclockid(pid, &clock) != 0 || clock_gettime(clock, &t) < 0)
        return 0;
    return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

static bool
measure(const struct server *s, const char *name, const char *target,
        void (*body)(void *, int64_t, struct strbuf *), struct target_services *t, const char *wanted,
        struct api_load_report *out, struct err *err)
{
    struct api_load load;
    double server_us, client_us;

    set_load(s, &load, target);
    load.connections = CLIENTS;
    load.duration_ms = s->options->seconds * 1000;
    load.body = body;
    load.arg = t;
    server_us = cpu_us(s->pid);
    client_us = cpu_us(getpid());
    if (!api_load_run(&load, out, err))
        return err_context(err, "measuring %s", name);
    server_us = (cpu_us(s->pid) - server_us) / (double)out->calls;
    client_us = (cpu_us(getpid()) - client_us) / (double)out->calls;
    printf("%-10s %s services: %.0f a second, p50 %.2f ms, p99 %.2f ms, answers of %.1f kB; processor time a "
           "call: server %.1f us, client %.1f us%s\n",
           name, t->age, out->a_second, out->p50_ms, out->p99_ms, (double)out->answer_size / 1000, server_us,
           client_us, wanted);
    return true;
}

static bool
measure_calls(const struct options *o, struct err *err)
{
    struct target_services young = {"young", YOUNG}, old = {"old", OLD};
    struct api_load_report report, bare;
    struct api_load load;
    struct server s;
    bool ok = server_start(&s, o, "calls", err) && make_services(&s, &young, &old, err) &&
              measure(&s, "describe", TARGET "DescribeServices", describe_body, &young,
                      " (wanted: 30,000 a second)", &report, err);

    set_load(&s, &load, TARGET "DescribeServices");
    load.connections = CLIENTS;
    load.duration_ms = o->seconds * 1000;
    load.body = describe_body;
    load.arg = &young;
    ok = ok && floor_http(&load, (size_t)report.answer_size, &bare, err);
    if (ok)
        printf("floor      libmicrohttpd answering a constant of that size to the same calls: %.0f a "
               "second, p99 %.2f ms\n", bare.a_second, bare.p99_ms);
    ok = ok &&
         measure(&s, "describe", TARGET "DescribeServices", describe_body, &old, "", &report, err) &&
         measure(&s, "update", TARGET "UpdateService", update_body, &young,
                 " (wanted: 5,000 a second)", &report, err) &&
         measure(&s, "update", TARGET "UpdateService", update_body, &old, "", &report, err);
    server_stop(&s);
    return ok;
}

static bool
measure_floors(const struct options *o, struct err *err)
{
    double commits;

    printf("floor      one SigV4 key and signature, five HMACs: %.2f us\n", floor_hmac_chain_us());
    if (!floor_commits(o->root, 2000, 1000, &commits, err))
        return false;
    printf("floor      SQLite commits of one row, each flushed: %.0f a second\n", commits);
    return true;
}

static bool
measure_opening(const struct options *o, struct err *err)
{
    const int64_t clusters = (o->services + SERVICES_A_CLUSTER - 1) / SERVICES_A_CLUSTER;
    struct server s;
    bool ok = server_start(&s, o, "open", err);
    const double empty_ms = s.open_ms;

    ok = ok && run_calls(&s, TARGET "CreateCluster", cluster_body, NULL, clusters, err) &&
         run_calls(&s, TARGET "RegisterTaskDefinition", definition_body, NULL, 1, err) &&
         run_calls(&s, TARGET "CreateService", create_many_body, NULL, o->services, err);
    server_stop(&s);
    if (!ok || !server_start(&s, o, "open", err))
        return false;
    printf("open       a store of %lld services: %.0f ms from start to first answer (processor time %.0f ms), an "
           "empty one %.0f ms (wanted: under 1000 ms)\n",
           (long long)o->services, s.open_ms, cpu_us(s.pid) / 1000, empty_ms);
    server_stop(&s);
    return true;
}

static bool
read_options(struct options *o, int argc, char **argv, struct err *err)
{
    for (int i = 1; i + 1 < argc; i += 2) {
        const char *value = argv[i + 1];

        if (strcmp(argv[i], "--naru") == 0)
            o->naru = value;
        else if (strcmp(argv[i], "--root") == 0)
            o->root = value;
        else if (strcmp(argv[i], "--seconds") != 0 && strcmp(argv[i], "--services") != 0)
            return err_set(err, ERR_USAGE, "unknown option '%s'", argv[i]);
        else if (!str_to_i64(str_of(value), strcmp(argv[i], "--seconds") == 0 ? &o->seconds : &o->services))
            return err_set(err, ERR_USAGE, "%s needs a number, not '%s'", argv[i], value);
    }
    if (argc % 2 == 0 || o->naru == NULL || o->seconds < 1 || o->services < 1)
        return err_set(err, ERR_USAGE, "control_bench --naru PROGRAM [--root DIRECTORY] [--seconds N] "
                                       "[--services N]");
    return true;
}

int
main(int argc, char **argv)
{
    char made[] = "/tmp/control-bench-XXXXXX";
    struct options o = {.seconds = 3, .services = 10000};
    struct err err = {0};
    bool ok;

    setvbuf(stdout, NULL, _IOLBF, 0);
    if (!read_options(&o, argc, argv, &err)) {
        fprintf(stderr, "Usage: %s\n", err.message);
        return 2;
    }
    if (o.root == NULL ? (o.root = mkdtemp(made)) == NULL : mkdir(o.root, 0750) < 0) {
        fprintf(stderr, "cannot make the directory '%s': %s\n", o.root == NULL ? made : o.root, strerror(errno));
        return 1; /* nor use one that is there: it is removed at the end */
    }
    ok = measure_floors(&o, &err) && measure_calls(&o, &err) && measure_opening(&o, &err);
    if (!ok)
        fprintf(stderr, "control_bench: %s\n", err.message);
    else
        ok = file_remove_tree(o.root, &err);
    return !ok;
}
