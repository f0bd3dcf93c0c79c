/* SPDX-License-Identifier: MIT */
#include "check.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/stat.h>
#include "base/clock.h"
#include "io/cgroup.h"
#include "io/file.h"
#include "io/process.h"

static struct err err; /* a test runs in a process of its own */

/* A list of mounts with one of version 2, in a folder, and the files that the kernel would make. */
struct fake {
    char root[64], mounts[80], group[80];
};

static void
put(const char *folder, const char *file, const char *text)
{
    cleanup_free char *path = text_format("%s/%s", folder, file);

    CHECK(file_write_atomic(path, str_of(text), 0600, &err));
}

static void
expect_file(const char *folder, const char *file, const char *want)
{
    cleanup_free char *path = text_format("%s/%s", folder, file);
    cleanup(strbuf_done) struct strbuf text = {0};

    CHECK(file_read(path, 4096, &text, &err));
    CHECK_TEXT(strbuf_cstr(&text), want);
}

static void
fake_init(struct fake *f, const char *controllers)
{
    static const char *const files[] = {"memory.max", "memory.swap.max", "cpu.max", "pids.max",
                                        "cgroup.procs", "cgroup.kill"};
    cleanup_free char *line = NULL;

    (void)snprintf(f->root, sizeof(f->root), "/tmp/naru-cgroup.XXXXXX");
    CHECK(mkdtemp(f->root) != NULL);
    (void)snprintf(f->mounts, sizeof(f->mounts), "%s/mounts", f->root);
    (void)snprintf(f->group, sizeof(f->group), "%s/naru/build-1", f->root);
    line = text_format("proc /proc proc rw 0 0\ncgroup2 %s cgroup2 rw 0 0\n", f->root);
    put(f->root, "mounts", line);
    put(f->root, "cgroup.subtree_control", "");
    CHECK(file_make_dirs(f->group, 0755, &err));
    put(f->group, "cgroup.controllers", controllers);
    for (size_t i = 0; i < ARRAY_COUNT(files); i++)
        put(f->group, files[i], "");
}

TEST(limits_of_version_two_are_written_and_read_in_its_words)
{
    const struct cgroup_limits limits = {
        .memory_bytes = 64 << 20, .cpu_milli = 1500, .processes = 100};
    cleanup(strbuf_done) struct strbuf lacking = {0};
    struct cgroup_use use;
    struct cgroup *g;
    struct fake f;

    fake_init(&f, "cpu memory pids\n");
    g = cgroup_make(f.mounts, "build-1", &limits, &lacking, &err);
    CHECK(g != NULL);
    CHECK_TEXT(strbuf_cstr(&lacking), "");
    expect_file(f.group, "memory.max", "67108864");
    expect_file(f.group, "memory.swap.max", "0");
    expect_file(f.group, "cpu.max", "150000 100000");
    expect_file(f.group, "pids.max", "100");
    put(f.group, "cpu.stat", "usage_usec 2500000\nuser_usec 1\n");
    put(f.group, "memory.peak", "1234567\n");
    put(f.group, "memory.events", "low 0\noom 4\noom_kill 3\n");
    put(f.group, "pids.events", "max 7\n");
    put(f.group, "cgroup.procs", "12\n0\n13\n12\n");
    cgroup_used(g, &use);
    CHECK_EQ(use.cpu_ms, 2500);
    CHECK_EQ(use.memory_peak_bytes, 1234567);
    CHECK_EQ(use.killed, 3);
    CHECK_EQ(use.refused, 7);
    pid_t pids[4];
    CHECK_EQ(cgroup_processes(g, pids, ARRAY_COUNT(pids)), 2);
    CHECK_EQ(pids[1], 13);
    CHECK(cgroup_has(g, 13)); /* listed, if no longer by its own word */
    CHECK(!cgroup_has(g, 1));
    cgroup_kill(g);
    expect_file(f.group, "cgroup.kill", "1");
    cgroup_free(g);
    CHECK(file_remove_tree(f.root, &err));
}

TEST(a_limit_without_its_controller_is_named_and_the_group_is_made)
{
    const struct cgroup_limits limits = {
        .memory_bytes = 64 << 20, .cpu_milli = 500, .processes = 100};
    cleanup(strbuf_done) struct strbuf lacking = {0};
    struct cgroup_use use;
    struct cgroup *g;
    struct fake f;

    fake_init(&f, "pids\n");
    g = cgroup_make(f.mounts, "build-1", &limits, &lacking, &err);
    CHECK(g != NULL);
    CHECK_TEXT(strbuf_cstr(&lacking), "memory, cpus");
    cgroup_used(g, &use);
    CHECK_EQ(use.memory_peak_bytes, -1);
    CHECK_EQ(use.killed, -1);
    cgroup_free(g);
    CHECK(file_remove_tree(f.root, &err));
}

struct other {
    const char *mounts;
    atomic_bool is_over;
};

static void *
forget_all_along(void *arg)
{
    struct other *o = arg;

    while (!atomic_load(&o->is_over))
        cgroup_forget_all(o->mounts);
    return NULL;
}

/* One that is purged removes the folder of all, if nothing is in it. */
TEST(a_group_is_made_while_another_naru_goes)
{
    const struct cgroup_limits none = {0};
    cleanup(strbuf_done) struct strbuf lacking = {0};
    struct other other = {0};
    pthread_t thread;
    struct fake f;

    fake_init(&f, "pids\n");
    CHECK(file_remove_tree(f.group, &err));
    other.mounts = f.mounts;
    CHECK(pthread_create(&thread, NULL, forget_all_along, &other) == 0);
    for (int i = 0; i < 100; i++) {
        struct cgroup *g = cgroup_make(f.mounts, "build-2", &none, &lacking, &err);
        CHECK(g != NULL);
        CHECK(cgroup_remove(g));
        cgroup_free(g);
    }
    atomic_store(&other.is_over, true);
    CHECK(pthread_join(thread, NULL) == 0);
    CHECK(file_remove_tree(f.root, &err));
}

struct each {
    const char *mounts;
    struct strbuf names;
};

static void
look_at_each(void *arg, const char *name, const struct cgroup *g)
{
    struct each *e = arg;

    (void)unlink(e->mounts); /* so many groups may be left that the list is not to be read for each */
    strbuf_addf(&e->names, "%s ", name);
    CHECK(strcmp(name, "a") == 0 || cgroup_remove(g));
}

TEST(each_group_is_given_once_in_whichever_hierarchies_it_lies)
{
    static const char *const folders[] = {"memory/naru/a", "memory/naru/kept", "pids/naru/a", "pids/naru/b"};
    char root[] = "/tmp/naru-cgroup.XXXXXX";
    struct each e = {0};

    CHECK(mkdtemp(root) != NULL);
    cleanup_free char *mounts = text_format("%s/mounts", root);
    cleanup_free char *lines = text_format("cgroup %s/memory cgroup rw,memory 0 0\n"
                                           "cgroup %s/pids cgroup rw,pids 0 0\n",
                                           root, root);
    for (size_t i = 0; i < ARRAY_COUNT(folders); i++) {
        cleanup_free char *path = text_format("%s/%s", root, folders[i]);
        CHECK(file_make_dirs(path, 0755, &err));
    }
    put(root, "mounts", lines);
    e.mounts = mounts;
    cgroup_each(mounts, look_at_each, &e);
    CHECK_TEXT(strbuf_cstr(&e.names), "a b ");
    cleanup_free char *removed = text_format("%s/pids/naru/b", root);
    CHECK(!file_exists(removed));
    strbuf_done(&e.names);
    CHECK(file_remove_tree(root, &err));
}

TEST(without_a_mount_or_the_right_to_it_there_is_no_group_and_a_reason)
{
    const struct cgroup_limits limits = {0};
    cleanup(strbuf_done) struct strbuf lacking = {0};

    CHECK(cgroup_make("/dev/null", "build-1", &limits, &lacking, &err) == NULL);
    CHECK(strstr(err.message, "no cgroups mounted") != NULL);
    char mounts[] = "/tmp/naru-mounts.XXXXXX";
    const int fd = mkstemp(mounts);
    CHECK(fd >= 0);
    CHECK(dprintf(fd, "cgroup2 /proc cgroup2 rw 0 0\n") > 0); /* nobody may make folders there */
    close(fd);
    CHECK(cgroup_make(mounts, "build-1", &limits, &lacking, &err) == NULL);
    CHECK(strstr(err.message, "cannot make a cgroup") != NULL);
    CHECK(cgroup_make(NULL, "../x", &limits, &lacking, &err) == NULL);
    CHECK(cgroup_find(NULL, "build-that-never-was") == NULL);
    unlink(mounts);
}

/* --- with the kernel's own, where this user may make them --- */

static struct cgroup *
make_real(const struct cgroup_limits *limits, struct strbuf *lacking, char name[static 64])
{
    struct cgroup *g;

    (void)snprintf(name, 64, "test-%d", (int)getpid());
    g = cgroup_make(NULL, name, limits, lacking, &err);
    if (g == NULL)
        check_skip("%s", err.message);
    return g;
}

static void
remove_real(struct cgroup *g)
{
    for (int i = 0; i < 1000 && !cgroup_remove(g); i++)
        clock_sleep_ms(10);
    CHECK(cgroup_remove(g)); /* and again is no error */
    cgroup_free(g);
}

static void
note_name(void *arg, const char *name, const struct cgroup *g)
{
    const char **want = arg;

    if (*want != NULL && strcmp(*want, name) == 0)
        *want = NULL;
}

TEST(a_child_and_what_it_leaves_are_in_the_group_until_they_are_killed)
{
    static const char *const argv[] = {
        "sh", "-c", "setsid sleep 600 </dev/null >/dev/null 2>&1 & echo $0 $1", "a", "b c", NULL};
    const struct cgroup_limits limits = {.processes = 50};
    cleanup(strbuf_done) struct strbuf lacking = {0};
    struct process_result r;
    char name[64];
    const char *want = name;
    struct cgroup *g = make_real(&limits, &lacking, name), *again;
    pid_t pids[8];

    if (g == NULL)
        return;
    const struct process_place place = {.joins = cgroup_joins(g)};
    const struct process_spec spec = {
        .argv = argv, .place = &place, .keep_group = true};
    CHECK(process_run(&spec, &r, &err));
    CHECK_EQ(r.exit_code, 0);
    CHECK_TEXT(strbuf_cstr(&r.output), "a b c\n");
    process_result_done(&r);
    again = cgroup_find(NULL, name);
    CHECK(again != NULL);
    CHECK_EQ(cgroup_processes(again, pids, ARRAY_COUNT(pids)), 1);
    CHECK(cgroup_has(again, pids[0]));
    CHECK(!cgroup_has(again, getpid()));
    CHECK(!cgroup_has(again, 1));
    CHECK(!cgroup_remove(again));
    cgroup_each(NULL, note_name, &want);
    CHECK(want == NULL);
    CHECK(kill(pids[0], SIGKILL) == 0);
    cgroup_free(again);
    remove_real(g);
}

TEST(a_program_that_is_not_there_is_still_said_by_name)
{
    static const char *const argv[] = {"no-such-program", NULL};
    static const char *const joins[] = {"/no/such/group", NULL};
    const struct process_place place = {.joins = joins};
    const struct process_spec spec = {.argv = argv, .place = &place};
    struct process_result r;

    CHECK(!process_run(&spec, &r, &err));
    CHECK(strstr(err.message, "no-such-program") != NULL);
}

TEST(the_kernel_kills_beyond_the_memory_limit_and_counts_it)
{
    /* tail keeps what has no line end */
    static const char *const argv[] = {"sh", "-c", "head -c 200000000 /dev/zero | tail | wc -c",
                                       NULL};
    const struct cgroup_limits limits = {.memory_bytes = 32 << 20};
    cleanup(strbuf_done) struct strbuf lacking = {0};
    struct process_result r;
    struct cgroup_use use;
    char name[64];
    struct cgroup *g = make_real(&limits, &lacking, name);

    if (g == NULL)
        return;
    if (lacking.len == 0) {
        const struct process_place place = {.joins = cgroup_joins(g)};
        const struct process_spec spec = {.argv = argv, .place = &place};
        CHECK(process_run(&spec, &r, &err));
        CHECK(strstr(strbuf_cstr(&r.output), "200000000") == NULL);
        process_result_done(&r);
        cgroup_used(g, &use);
        CHECK(use.killed > 0);
        CHECK(use.memory_peak_bytes > 16 << 20 && use.memory_peak_bytes <= 33 << 20);
        CHECK(use.cpu_ms >= 0);
    }
    remove_real(g);
}

TEST(a_group_that_is_taken_again_has_no_limit_of_before)
{
    const struct cgroup_limits limits = {
        .memory_bytes = 64 << 20, .cpu_milli = 1500, .processes = 100};
    const struct cgroup_limits none = {0};
    cleanup(strbuf_done) struct strbuf lacking = {0};
    struct fake f;

    fake_init(&f, "cpu memory pids\n");
    cgroup_free(cgroup_make(f.mounts, "build-1", &limits, &lacking, &err));
    expect_file(f.group, "pids.max", "100");
    put(f.group, "memory.max", ""); /* the kernel replaces what a file says, a file does not */
    put(f.group, "cpu.max", "");
    put(f.group, "pids.max", "");
    cgroup_free(cgroup_make(f.mounts, "build-1", &none, &lacking, &err));
    expect_file(f.group, "memory.max", "max");
    expect_file(f.group, "cpu.max", "max 100000");
    expect_file(f.group, "pids.max", "max");
    CHECK_EQ(lacking.len, 0);
    CHECK(file_remove_tree(f.root, &err));
}
