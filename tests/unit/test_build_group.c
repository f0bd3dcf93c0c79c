/* SPDX-License-Identifier: MIT */
/* The cgroup of a build, and what the operator's builds.json says of it.  Where this user may make
 * no cgroups, those tests that need one say so. */
#include <errno.h>
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include "build_setup.h"
#include "io/cgroup.h"
#include "pipeline/builds_config.h"
#include "pipeline/pipeline.h"
#include "pipeline/run/build_group.h"
#include "pipeline/run/leftovers.h"

static bool
can_make_groups(void)
{
    const struct cgroup_limits limits = {.memory_bytes = 64 << 20, .processes = 100};
    cleanup_free char *name = text_format("probe-%d", (int)getpid());
    cleanup(strbuf_done) struct strbuf lacking = {0};
    struct err err;
    struct cgroup *g = cgroup_make(NULL, name, &limits, &lacking, &err);
    const bool can = g != NULL && lacking.len == 0;

    if (g != NULL)
        CHECK(cgroup_remove(g));
    cgroup_free(g);
    if (!can)
        check_skip("no cgroups with memory and pids here");
    return can;
}

static bool
has_group(const struct build *b)
{
    cleanup_free char *name = text_format(BUILD_GROUP_PREFIX "%s", b->config.cookie);
    struct cgroup *g = cgroup_find(NULL, name);

    cgroup_free(g);
    return g != NULL;
}

TEST(a_script_beyond_the_memory_limit_is_killed_and_the_log_says_why)
{
    static const struct cgroup_limits limits = {.memory_bytes = 48 << 20};
    struct build b;
    const char *log;

    if (!can_make_groups())
        return;
    build_init(&b);
    b.config.limits = &limits;
    log = steps_expect(&b,
                       "sh 'true'\n"
                       "sh(script: 'head -c 300000000 /dev/zero | tail | wc -c', returnStdout: true)\n"
                       "sh 'set -e; head -c 300000000 /dev/zero | tail > /dev/null'\n",
                       RESULT_FAILURE);
    CHECK(strstr(log, "killed: the build's memory limit of 48 MiB was exceeded") != NULL);
    CHECK(b.outcome.memory_peak_bytes > 16 << 20 && b.outcome.memory_peak_bytes <= 49 << 20);
    CHECK(b.outcome.cpu_ms >= 0);
    CHECK(!has_group(&b));
    build_done(&b);
}

TEST(more_processes_than_allowed_are_refused_and_the_log_says_so)
{
    static const struct cgroup_limits limits = {.processes = 16};
    struct build b;
    const char *log;

    if (!can_make_groups())
        return;
    build_init(&b);
    b.config.limits = &limits;
    log = steps_expect(
        &b, "sh 'for i in $(seq 30); do sleep 100 & done; true'\n", RESULT_FAILURE);
    CHECK(strstr(log, "refused: the build's limit of 16 processes was reached") != NULL);
    CHECK(!has_group(&b));
    build_done(&b);
}

TEST(without_limits_met_the_log_has_no_word_of_them)
{
    static const struct cgroup_limits limits = {.memory_bytes = 1 << 30, .processes = 1000};
    struct build b;
    const char *log;

    build_init(&b);
    b.config.limits = &limits; /* also where no group can be made: the build goes on */
    log = steps_expect(&b, "sh 'echo fine'\n", RESULT_SUCCESS);
    CHECK(has(log, "fine"));
    CHECK(strstr(log, "limit") == NULL);
    build_done(&b);
}

/* The pid that a script wrote to a file, which the end of the build does not take along. */
static pid_t
pid_in(const char *path)
{
    cleanup(strbuf_done) struct strbuf text = {0};
    int64_t pid = 0;

    CHECK(file_read(path, 100, &text, NULL));
    CHECK(str_to_i64(str_trim(strbuf_str(&text)), &pid) && pid > 1);
    unlink(path);
    return (pid_t)pid;
}

static char *
run_daemon(struct build *b, const char *environment)
{
    static const struct cgroup_limits limits = {.processes = 1000};
    char *path = text_format("/tmp/naru-daemon-%d", (int)getpid());
    cleanup_free char *steps = text_format(
        "sh '''%s setsid sh -c \"echo \\\\$\\\\$ >%s; exec sleep 600\" >/dev/null 2>&1 </dev/null &\n"
        "while [ ! -s %s ]; do sleep 0.01; done'''\n",
        environment, path, path);

    build_init(b);
    b->config.limits = &limits;
    (void)steps_expect(b, steps, RESULT_SUCCESS);
    return path;
}

TEST(a_daemon_without_the_builds_environment_ends_with_the_build)
{
    struct build b;

    if (!can_make_groups())
        return;
    cleanup_free char *path = run_daemon(&b, "env -i PATH=$PATH");
    const pid_t pid = pid_in(path);
    CHECK(!process_is_alive(pid));
    CHECK(strstr(strbuf_cstr(&b.log), "Ended 1 process(es) that the build left behind") != NULL);
    CHECK(!has_group(&b));
    build_done(&b);
}

static void
expect_survival(const char *environment)
{
    struct build b;
    cleanup_free char *path = run_daemon(&b, environment);
    const pid_t pid = pid_in(path);

    CHECK(process_is_alive(pid));
    CHECK(!has_group(&b));
    CHECK(kill(pid, SIGKILL) == 0);
    build_done(&b);
}

TEST(who_says_dont_kill_me_outlives_the_build)
{
    expect_survival("JENKINS_NODE_COOKIE=dontKillMe");
    expect_survival("BUILD_ID=dontKillMe");
}

TEST(who_may_not_stay_is_ended_whatever_he_says)
{
    const struct cgroup_limits limits = {.processes = 100};
    cleanup_free char *cookie = text_format("guest%d", (int)getpid());
    cleanup_free char *name = text_format(BUILD_GROUP_PREFIX "%s", cookie);
    cleanup_free char *pid_path = text_format("/tmp/naru-guest-%d", (int)getpid());
    cleanup_free char *start = NULL;
    cleanup(strbuf_done) struct strbuf lacking = {0}, joins = {0};
    struct cgroup *g;
    struct err err;

    if (!can_make_groups())
        return;
    g = cgroup_make(NULL, name, &limits, &lacking, &err);
    CHECK(g != NULL);
    for (const char *const *file = cgroup_joins(g); *file != NULL; file++)
        strbuf_addf(&joins, "echo $$ >%s; ", *file);
    start = text_format("sh -c '%secho $$ >%s; exec env -i BUILD_ID=dontKillMe sleep 600' &\n"
                        "while [ ! -s %s ]; do sleep 0.01; done",
                        strbuf_cstr(&joins), pid_path, pid_path);
    CHECK_EQ(system(start), 0);
    const pid_t pid = pid_in(pid_path);
    CHECK(cgroup_has(g, pid));
    cgroup_free(g);
    CHECK_EQ(leftovers_end(cookie, false), 1);
    CHECK(!process_is_alive(pid));
}

/* A script of the build may have started the naru that ends it. */
TEST(naru_in_the_group_of_a_build_does_not_end_itself)
{
    const struct cgroup_limits limits = {.processes = 100};
    cleanup_free char *cookie = text_format("self%d", (int)getpid());
    cleanup_free char *name = text_format(BUILD_GROUP_PREFIX "%s", cookie);
    cleanup(strbuf_done) struct strbuf lacking = {0};
    struct cgroup *g;
    struct err err;

    if (!can_make_groups())
        return;
    g = cgroup_make(NULL, name, &limits, &lacking, &err);
    CHECK(g != NULL);
    for (const char *const *file = cgroup_joins(g); *file != NULL; file++) {
        cleanup_free char *enter = text_format("echo %d >%s", (int)getpid(), *file);
        CHECK_EQ(system(enter), 0);
    }
    CHECK(cgroup_has(g, getpid()));
    cgroup_free(g);
    CHECK_EQ(leftovers_end(cookie, true), 0);
    g = cgroup_find(NULL, name);
    CHECK(g == NULL);
}

/* A page that nobody has filled in yet: who reads to it waits. */
static int
make_waiting_page(void **page_out)
{
    const int fd = (int)syscall(SYS_userfaultfd, O_CLOEXEC);
    struct uffdio_api api = {.api = UFFD_API};
    struct uffdio_register range = {.range.len = 4096, .mode = UFFDIO_REGISTER_MODE_MISSING};

    *page_out = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    range.range.start = (uintptr_t)*page_out;
    if (fd >= 0 && ioctl(fd, UFFDIO_API, &api) == 0 && ioctl(fd, UFFDIO_REGISTER, &range) == 0)
        return fd;
    munmap(*page_out, 4096);
    if (fd >= 0)
        close(fd);
    return -1;
}

static bool
has_waiting_pages(void)
{
    void *page;
    const int fd = make_waiting_page(&page);

    if (fd < 0) {
        check_skip("no userfaultfd here");
        return false;
    }
    close(fd);
    return munmap(page, 4096) == 0;
}

struct held_pipe {
    int end, faults;
    void *page;
    bool is_filled;
};

static void *
read_to_the_page(void *arg)
{
    const struct held_pipe *h = arg;
    sigset_t all;

    /* The SIGCHLD of a shell that system() waits for would end the waiting for the page. */
    sigfillset(&all);
    pthread_sigmask(SIG_BLOCK, &all, NULL);
    return read(h->end, h->page, 1) == 1 ? NULL : arg;
}

static void *
fill_the_page_late(void *arg)
{
    struct held_pipe *h = arg;
    struct uffdio_zeropage fill = {.range = {.start = (uintptr_t)h->page, .len = 4096}};

    clock_sleep_ms(50);
    h->is_filled = ioctl(h->faults, UFFDIO_ZEROPAGE, &fill) == 0;
    return NULL;
}

static bool
shows(pid_t pid, const char *file, const char *what)
{
    cleanup_free char *script = text_format("grep -q '%s' /proc/%d/%s", what, (int)pid, file);

    return system(script) == 0;
}

/* Whoever reads from a pipe holds up those that close its other end: so long our child is between its end and leaving the
 * group. Not if the kernel closes it for him later, which it does now and then: false. */
static bool
holds_an_ending_child(void)
{
    const struct cgroup_limits limits = {.processes = 100};
    cleanup_free char *cookie = text_format("ending%d", (int)getpid());
    cleanup_free char *name = text_format(BUILD_GROUP_PREFIX "%s", cookie);
    cleanup(strbuf_done) struct strbuf lacking = {0};
    struct held_pipe h = {0};
    int held[2], go[2];
    pthread_t reader, filler;
    struct cgroup *g;
    struct err err;
    char byte = 'x';
    void *failed;
    pid_t child;
    bool is_held;

    h.faults = make_waiting_page(&h.page);
    CHECK(h.faults >= 0);
    g = cgroup_make(NULL, name, &limits, &lacking, &err);
    CHECK(g != NULL && pipe(held) == 0 && pipe(go) == 0 && write(held[1], &byte, 1) == 1);
    child = fork();
    if (child == 0) {
        close(go[1]);
        _exit((int)read(go[0], &byte, 1));
    }
    for (const char *const *file = cgroup_joins(g); *file != NULL; file++) {
        cleanup_free char *enter = text_format("echo %d >%s", (int)child, *file);
        CHECK_EQ(system(enter), 0);
    }
    close(held[1]);
    h.end = held[0];
    CHECK(pthread_create(&reader, NULL, read_to_the_page, &h) == 0);
    struct pollfd fault = {.fd = h.faults, .events = POLLIN};
    CHECK(poll(&fault, 1, 10000) == 1); /* it reads, and waits */
    close(go[1]);
    for (int i = 0; i < 1000 && !shows(child, "statm", "^0 0 0"); i++)
        clock_sleep_ms(5);
    is_held = cgroup_has(g, child) && !shows(child, "stat", ") Z ");
    cgroup_free(g);
    CHECK(pthread_create(&filler, NULL, fill_the_page_late, &h) == 0);
    CHECK_EQ(leftovers_end(cookie, true), 0);
    pthread_join(filler, NULL);
    pthread_join(reader, &failed);
    CHECK(h.is_filled && failed == NULL);
    CHECK(waitpid(child, NULL, 0) == child);
    close(held[0]);
    close(go[0]);
    close(h.faults);
    munmap(h.page, 4096);
    return is_held;
}

TEST(who_is_ending_was_not_left_behind)
{
    bool was_held = false;

    if (!can_make_groups() || !has_waiting_pages())
        return;
    for (int i = 0; i < 10 && !was_held; i++)
        was_held = holds_an_ending_child();
    if (!was_held)
        check_skip("the kernel holds nobody up");
}

TEST(an_interrupted_script_ends_with_all_that_it_started)
{
    struct build b;
    cleanup_free char *path = text_format("/tmp/naru-interrupted-%d", (int)getpid());
    cleanup_free char *script = text_format(
        "echo $$ >%s.new; mv %s.new %s\nwhile :; do sleep 0.1; done\n", path, path, path);

    build_init(&b);
    put_file(&b, "ws/daemon.sh", script);
    (void)steps_expect(&b,
                       "timeout(time: 1, unit: 'SECONDS') { sh '''\n"
                       "setsid sh daemon.sh >/dev/null 2>&1 </dev/null & sleep 600''' }\n",
                       RESULT_ABORTED);
    CHECK(!process_is_alive(pid_in(path)));
    /* at the end of the step, and not only at that of the build */
    CHECK(strstr(strbuf_cstr(&b.log), "left behind") == NULL);
    build_done(&b);
}

/* --- builds.json --- */

static bool
read_config(const char *text, const char *pipeline, struct builds_config *c, struct err *err)
{
    char directory[] = "/tmp/naru-config-XXXXXX";
    bool ok;

    CHECK(mkdtemp(directory) != NULL);
    cleanup_free char *path = text_format("%s/builds.json", directory);
    CHECK(text == NULL || file_write_atomic(path, str_of(text), 0600, NULL));
    ok = builds_config_read(directory, pipeline, false, c, err);
    CHECK(file_remove_tree(directory, NULL));
    return ok;
}

TEST(builds_json_has_limits_for_all_and_for_one_pipeline)
{
    static const char text[] = "{\"memory\": \"2G\", \"cpus\": 1.5,"
                               " \"pipelines\": {\"web\": {\"memory\": 1073741824, \"processes\": 0}}}";
    struct builds_config c;
    struct err err;

    CHECK(read_config(NULL, "web", &c, &err));
    CHECK(c.limits.memory_bytes > 0);
    CHECK_EQ(c.limits.cpu_milli, 0);
    CHECK_EQ(c.limits.processes, BUILDS_PROCESSES_DEFAULT);
    CHECK(read_config(text, "api", &c, &err));
    CHECK_EQ(c.limits.memory_bytes, 2LL << 30);
    CHECK_EQ(c.limits.cpu_milli, 1500);
    CHECK_EQ(c.limits.processes, BUILDS_PROCESSES_DEFAULT);
    CHECK(read_config(text, "web", &c, &err));
    CHECK_EQ(c.limits.memory_bytes, 1LL << 30);
    CHECK_EQ(c.limits.cpu_milli, 1500);
    CHECK_EQ(c.limits.processes, 0);
}

TEST(the_disk_of_builds_is_a_size_or_a_share)
{
    const int64_t tib = (int64_t)1 << 40, gib = (int64_t)1 << 30;
    struct builds_config c;
    struct err err;

    builds_config_default(&c, false);
    CHECK_EQ(builds_disk_bytes(&c, tib), tib / 100 * BUILDS_DISK_PERCENT);
    CHECK_EQ(builds_disk_free_bytes(&c, tib), BUILDS_DISK_FREE_MAX);
    CHECK_EQ(builds_disk_free_bytes(&c, gib), gib / 100 * BUILDS_DISK_FREE_PERCENT);
    CHECK(read_config("{\"disk\": \"40G\", \"diskFree\": \"10%\"}", "", &c, &err));
    CHECK_EQ(builds_disk_bytes(&c, tib), 40 * gib);
    CHECK_EQ(builds_disk_free_bytes(&c, tib), tib / 100 * 10);
    CHECK(read_config("{\"disk\": 0, \"diskFree\": \"0\"}", "web", &c, &err));
    CHECK_EQ(builds_disk_bytes(&c, tib), 0);
    CHECK_EQ(builds_disk_free_bytes(&c, tib), 0);
}

TEST(a_mistake_in_builds_json_is_named_and_the_defaults_hold)
{
    static const char *const rows[][2] = {
        {"{\"memory\": \"lots\"}", "'memory' is a size"},
        {"{\"memory\": 1000}", "'memory' is a size"},
        {"{\"memory\": -1}", "'memory' is a size"},
        {"{\"cpus\": \"2\"}", "'cpus' is a number"},
        {"{\"cpus\": 0.001}", "'cpus' is a number"},
        {"{\"processes\": 3}", "'processes' is a number"},
        {"{\"processes\": 1.5}", "'processes' is a number"},
        {"{\"memroy\": \"2G\"}", "'memroy' is not known"},
        {"{\"pipelines\": []}", "'pipelines' is an object"},
        {"{\"pipelines\": {\"api\": {\"pipelines\": {}}}}", "'pipelines' is not known"},
        {"{\"pipelines\": {\"api\": {\"cpus\": -2}}}", "pipeline 'api'"},
        {"{\"disk\": \"0%\"}", "'disk' is a size, or from 1%"},
        {"{\"diskFree\": \"101%\"}", "'diskFree' is a size"},
        {"{\"diskFree\": true}", "'diskFree' is a size"},
        {"{\"pipelines\": {\"api\": {\"disk\": \"1G\"}}}", "'disk' is not known"},
        {"[]", "an object is expected"},
        {"{", "builds.json"},
    };
    struct builds_config c;
    struct err err;

    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        CHECK(!read_config(rows[i][0], "web", &c, &err));
        if (strstr(err.message, rows[i][1]) == NULL)
            check_fail(__FILE__, __LINE__, "%s: %s", rows[i][0], err.message);
        CHECK_EQ(c.limits.processes, BUILDS_PROCESSES_DEFAULT);
    }
}

/* --- groups of data directories that are gone --- */

static void
make_group(const char *cookie, const char *home)
{
    const struct cgroup_limits limits = {.processes = 100};
    cleanup_free char *name = text_format(BUILD_GROUP_PREFIX "%s", cookie);
    cleanup(strbuf_done) struct strbuf lacking = {0};
    struct err err;
    struct cgroup *g = cgroup_make(NULL, name, &limits, &lacking, &err);

    CHECK(g != NULL);
    cgroup_mark(g, home);
    cgroup_free(g);
}

static bool
is_there(const char *cookie)
{
    cleanup_free char *name = text_format(BUILD_GROUP_PREFIX "%s", cookie);
    struct cgroup *g = cgroup_find(NULL, name);

    cgroup_free(g);
    return g != NULL;
}

TEST(empty_groups_of_data_directories_that_are_gone_are_swept)
{
    cleanup_free char *gone = text_format("gone%d", (int)getpid());
    cleanup_free char *other = text_format("other%d", (int)getpid());
    char home[] = "/tmp/naru-sweep-XXXXXX";
    struct pipeline_config config = {
        .data_dir = home, .naru_path = "/bin/true", .base_url = "http://localhost:4566"};
    struct pipeline_room *room;
    struct err err;

    if (!can_make_groups())
        return;
    CHECK(mkdtemp(home) != NULL);
    make_group(gone, "/nonexistent/naru");
    make_group(other, "/tmp"); /* of somebody else, who may go on */
    room = pipeline_room_start(&config, &err);
    CHECK(room != NULL);
    pipeline_room_stop(room);
    CHECK(!is_there(gone));
    CHECK(is_there(other));
    CHECK_EQ(leftovers_end(other, true), 0);
    CHECK(file_remove_tree(home, &err));
}
