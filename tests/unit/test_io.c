/* SPDX-License-Identifier: MIT */
#include "check.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include "base/clock.h"
#include "base/random.h"
#include "io/file.h"
#include "io/http_client.h"
#include "io/http_server.h"
#include "io/loop.h"
#include "io/process.h"

static struct err err; /* a test runs in a process of its own */

/* --- a folder that goes with the test --- */

struct scratch {
    char path[64];
};

static struct scratch
scratch_new(void)
{
    struct scratch s = {"/tmp/naru-test-io.XXXXXX"};

    CHECK(mkdtemp(s.path) != NULL);
    return s;
}

static void
scratch_done(struct scratch *s)
{
    if (!file_remove_tree(s->path, &err))
        check_fail(__FILE__, __LINE__, "%s", err.message);
}

static const char *
in_scratch(const struct scratch *s, const char *name)
{
    static char paths[4][128];
    static unsigned turn;
    char *out = paths[turn++ % 4];

    (void)snprintf(out, sizeof(paths[0]), "%s/%s", s->path, name);
    return out;
}

#define MUST(call)                                                                                 \
    do {                                                                                           \
        if (!(call))                                                                               \
            check_fail(__FILE__, __LINE__, "%s: %s", #call, err.message);                          \
    } while (0)

/* --- files --- */

TEST(files_are_written_whole_and_read_back)
{
    cleanup(scratch_done) struct scratch dir = scratch_new();
    cleanup(strbuf_done) struct strbuf text = {0};
    struct stat st;

    MUST(file_make_dirs(in_scratch(&dir, "a/b//c"), 0750, &err));
    MUST(file_make_dirs(in_scratch(&dir, "a/b/c/"), 0750, &err));
    MUST(file_write_atomic(in_scratch(&dir, "a/b/c/f"), STR("one"), 0600, &err));
    MUST(file_write_atomic(in_scratch(&dir, "a/b/c/f"), STR("two!"), 0666, &err));
    MUST(file_read(in_scratch(&dir, "a/b/c/f"), 4, &text, &err));
    CHECK_TEXT(strbuf_cstr(&text), "two!");
    CHECK(stat(in_scratch(&dir, "a/b/c/f"), &st) == 0);
    CHECK_EQ(st.st_mode & 0777, 0666);
    CHECK(!file_read(in_scratch(&dir, "a/b/c/f"), 3, &text, &err));
    CHECK_EQ(err.code, ERR_LIMIT_EXCEEDED);
    CHECK_TEXT(strbuf_cstr(&text), "two!");
    CHECK(!file_read(in_scratch(&dir, "none"), 3, &text, &err));
    CHECK_EQ(err.sys_errno, ENOENT);
    CHECK(!file_make_dirs(in_scratch(&dir, "a/b/c/f"), 0750, &err));
    CHECK(!file_write_atomic(in_scratch(&dir, "no/f"), STR("x"), 0600, &err));
    CHECK(file_exists(in_scratch(&dir, "a/b")) && !file_exists(in_scratch(&dir, "a/x")));
}

TEST(a_file_is_read_below_a_folder_only)
{
    static const char *const gone[] = {"",     "/",     "a/f/",  "/a/f",    "a//f",  "../keep/f", "a/../a/f", "a/./f",
                                       "none", "link/f", "a/to", "a/pipe", "a/f/x", "a",          ".",        "a/.."};
    cleanup(scratch_done) struct scratch dir = scratch_new();
    cleanup(strbuf_done) struct strbuf text = {0};
    char long_name[300];

    MUST(file_make_dirs(in_scratch(&dir, "root/a"), 0750, &err));
    MUST(file_make_dirs(in_scratch(&dir, "keep"), 0750, &err));
    MUST(file_write_atomic(in_scratch(&dir, "keep/f"), STR("secret"), 0600, &err));
    MUST(file_write_atomic(in_scratch(&dir, "root/a/f"), STR("four"), 0600, &err));
    CHECK(symlink("../keep", in_scratch(&dir, "root/link")) == 0);
    CHECK(symlink("f", in_scratch(&dir, "root/a/to")) == 0);
    CHECK(mkfifo(in_scratch(&dir, "root/a/pipe"), 0600) == 0);
    cleanup_free char *root = text_dup(in_scratch(&dir, "root"));
    MUST(file_read_below(root, "a/f", 4, &text, &err));
    CHECK_TEXT(strbuf_cstr(&text), "four");
    strbuf_clear(&text);
    CHECK(!file_read_below(root, "a/f", 3, &text, &err) && err.code == ERR_LIMIT_EXCEEDED);
    for (size_t i = 0; i < ARRAY_COUNT(gone); i++) {
        err = (struct err){0};
        if (file_read_below(root, gone[i], 100, &text, &err) || err.code != ERR_RESOURCE_NOT_FOUND ||
            strstr(err.message, root) == NULL)
            check_fail(__FILE__, __LINE__, "'%s': %s", gone[i], err.message);
    }
    memset(long_name, 'x', sizeof(long_name));
    long_name[sizeof(long_name) - 1] = '\0';
    CHECK(!file_read_below(root, long_name, 100, &text, &err));
    CHECK(!file_read_below(in_scratch(&dir, "none"), "a/f", 100, &text, &err));
    CHECK_EQ(text.len, 0);
}

TEST(removing_a_tree_does_not_follow_links)
{
    cleanup(scratch_done) struct scratch dir = scratch_new();

    MUST(file_make_dirs(in_scratch(&dir, "keep"), 0750, &err));
    MUST(file_write_atomic(in_scratch(&dir, "keep/f"), STR("x"), 0600, &err));
    MUST(file_make_dirs(in_scratch(&dir, "gone/deep/er"), 0750, &err));
    MUST(file_write_atomic(in_scratch(&dir, "gone/deep/f"), STR("x"), 0600, &err));
    CHECK(symlink("../../keep", in_scratch(&dir, "gone/deep/link")) == 0);
    CHECK(chmod(in_scratch(&dir, "gone/deep"), 0500) == 0);
    MUST(file_remove_tree(in_scratch(&dir, "gone"), &err));
    CHECK(!file_exists(in_scratch(&dir, "gone")) && file_exists(in_scratch(&dir, "keep/f")));
    MUST(file_remove_tree(in_scratch(&dir, "gone"), &err));
    CHECK(symlink("keep", in_scratch(&dir, "link")) == 0);
    MUST(file_remove_tree(in_scratch(&dir, "link"), &err));
    CHECK(file_exists(in_scratch(&dir, "keep/f")));
}

/* --- the loop --- */

struct notes {
    struct loop *loop;
    struct loop_timer *timer, *other;
    struct loop_fd *fd;
    int ends[2];
    int calls[1000];
    int count;
};

struct note {
    struct notes *notes;
    int number;
};

static void
take_note(void *arg)
{
    struct note *n = arg;

    CHECK(loop_is_mine(n->notes->loop));
    n->notes->calls[n->notes->count++] = n->number;
}

TEST(posts_run_in_order_even_after_stop)
{
    struct notes notes = {.loop = loop_new()};
    struct note list[1000];

    loop_start(notes.loop, "a-rather-long-thread-name");
    CHECK(!loop_is_mine(notes.loop));
    for (int i = 0; i < 1000; i++) {
        list[i] = (struct note){&notes, i};
        if (i == 990)
            loop_stop(notes.loop);
        if (i < 500 && i % 100 == 0)
            loop_call_and_wait(notes.loop, take_note, &list[i]);
        else if (i < 990)
            CHECK(loop_post(notes.loop, take_note, &list[i]));
    }
    loop_join(notes.loop);
    CHECK_EQ(notes.count, 990);
    for (int i = 0; i < 990; i++)
        CHECK_EQ(notes.calls[i], i);
    CHECK(!loop_post(notes.loop, take_note, &list[0])); /* too late: dropped */
    loop_free(notes.loop);
    CHECK_EQ(notes.count, 990);
}

static void
add_one(void *arg)
{
    atomic_fetch_add((atomic_int *)arg, 1);
}

TEST(a_call_to_an_ended_loop_still_returns)
{
    struct loop *loop = loop_new();
    atomic_int count = 0;

    loop_start(loop, "ended");
    loop_stop(loop);
    loop_join(loop);
    loop_call_and_wait(loop, add_one, &count);
    CHECK_EQ(count, 1);
    loop_free(loop);
}

static void
on_other(void *arg)
{
    struct notes *n = arg;

    n->calls[n->count++] = 2;
    loop_timer_free(n->other); /* from within its own call */
    CHECK(write(n->ends[1], "x", 1) == 1);
}

static void
on_timer(void *arg)
{
    struct notes *n = arg;

    n->calls[n->count++] = 1;
    loop_timer_set(n->other, 5);
}

static void
on_readable(void *arg, bool readable, bool writable)
{
    struct notes *n = arg;
    char c;

    CHECK(readable && !writable);
    CHECK(read(n->ends[0], &c, 1) == 1 && c == 'x');
    n->calls[n->count++] = 3;
    loop_fd_free(n->fd);
    loop_timer_free(n->timer);
    loop_stop(n->loop);
}

TEST(timers_and_descriptors_take_turns)
{
    struct notes n = {.loop = loop_new()};
    int64_t start_ms = clock_monotonic_ms();

    CHECK(pipe(n.ends) == 0);
    n.timer = loop_timer_new(n.loop, on_timer, &n);
    n.other = loop_timer_new(n.loop, on_other, &n);
    n.fd = loop_fd_new(n.loop, n.ends[0], on_readable, &n);
    loop_fd_watch(n.fd, true, false);
    loop_timer_set(n.timer, 60000);
    loop_timer_set(n.other, 1);
    loop_timer_clear(n.other);
    loop_timer_set(n.timer, 30); /* replaces */
    loop_run(n.loop);
    CHECK_EQ(n.count, 3);
    CHECK(n.calls[0] == 1 && n.calls[1] == 2 && n.calls[2] == 3);
    CHECK(clock_monotonic_ms() - start_ms >= 34);
    loop_free(n.loop);
    close(n.ends[0]);
    close(n.ends[1]);
}

struct crowd {
    atomic_int inside, most, done;
};

static void
work(void *arg)
{
    struct crowd *c = arg;
    int inside = atomic_fetch_add(&c->inside, 1) + 1, most = atomic_load(&c->most);

    while (most < inside && !atomic_compare_exchange_weak(&c->most, &most, inside))
        ;
    clock_sleep_ms(5);
    atomic_fetch_sub(&c->inside, 1);
    atomic_fetch_add(&c->done, 1);
}

TEST(a_crew_works_in_parallel_within_its_limit)
{
    struct crew *crew = crew_new("workers", 4);
    struct crowd crowd = {0};

    for (int i = 0; i < 100; i++)
        crew_post(crew, work, &crowd);
    crew_free(crew);
    CHECK_EQ(crowd.done, 100);
    CHECK_EQ(crowd.most, 4);
}

/* --- processes --- */

static const char *const shell[] = {"sh", "-c", NULL, NULL};

static struct process_spec
sh(const char *const argv[static 4], const char *script, const char **storage)
{
    storage[0] = argv[0];
    storage[1] = argv[1];
    storage[2] = script;
    storage[3] = NULL;
    return (struct process_spec){.argv = storage};
}

TEST(a_process_gets_input_and_gives_output)
{
    const char *argv[4];
    struct process_spec spec = sh(shell, "cat; echo problem >&2; pwd; echo \"$X\"; exit 7", argv);
    cleanup(process_result_done) struct process_result r;

    spec.input = STR("hello\n");
    spec.directory = "/usr";
    spec.env = (const char *const[]){"PATH=/bin:/usr/bin", "X=y z", NULL};
    MUST(process_run(&spec, &r, &err));
    CHECK_EQ(r.exit_code, 7);
    CHECK_TEXT(strbuf_cstr(&r.output), "hello\n/usr\ny z\n");
    CHECK_TEXT(strbuf_cstr(&r.error), "problem\n");
    CHECK(!r.timed_out && !r.cancelled);
}

TEST(streams_can_be_merged_and_limited)
{
    const char *argv[4];
    struct process_spec spec = sh(shell, "echo a; echo b >&2; echo c", argv);
    cleanup(process_result_done) struct process_result r, large;

    spec.merge_stderr = true;
    MUST(process_run(&spec, &r, &err));
    CHECK_TEXT(strbuf_cstr(&r.output), "a\nb\nc\n");
    spec = sh(shell, "head -c 3000000 /dev/zero; exit 3", argv);
    spec.output_limit = 1000;
    MUST(process_run(&spec, &large, &err));
    CHECK_EQ(large.exit_code, 3);
    CHECK_EQ(large.output.len, 1000);
}

TEST(a_child_inherits_nothing_but_three_descriptors)
{
    const char *argv[4];
    struct process_spec spec = sh(shell, "ls /proc/$$/fd; grep SigIgn /proc/$$/status; "
                                         "ps -o pgid= -p $$ | tr -d ' '; echo $$", argv);
    cleanup(process_result_done) struct process_result r;
    int leaked = open("/dev/null", O_RDONLY); /* without O_CLOEXEC */
    unsigned long long ignored;
    long group, pid;

    CHECK(leaked > 2);
    signal(SIGPIPE, SIG_IGN);
    MUST(process_run(&spec, &r, &err));
    CHECK(sscanf(strbuf_cstr(&r.output), "0\n1\n2\nSigIgn: %llx %ld %ld", &ignored, &group, &pid) ==
          3);
    /* posix_spawn() of glibc leaves its two private signals, 32 and 33, ignored. */
    CHECK_EQ(ignored & ~0x180000000ull, 0);
    CHECK_EQ(group, pid);
    close(leaked);
}

TEST(what_cannot_start_says_why)
{
    struct process_spec spec = {.argv = (const char *const[]){"no-such-program-here", NULL}};
    struct process_result r;

    CHECK(!process_run(&spec, &r, &err));
    CHECK_TEXT(err.message, "cannot start 'no-such-program-here': No such file or directory");
    spec.argv = (const char *const[]){"/etc/passwd", NULL};
    CHECK(!process_run(&spec, &r, &err));
    CHECK_TEXT(err.message, "cannot start '/etc/passwd': Permission denied");
    spec.argv = (const char *const[]){"true", NULL};
    spec.directory = "/no/such/folder";
    CHECK(!process_run(&spec, &r, &err));
    CHECK_TEXT(err.message, "cannot start 'true' in '/no/such/folder': No such file or directory");
}

TEST(a_signal_shows_in_the_exit_code)
{
    const char *argv[4];
    struct process_spec spec = sh(shell, "kill -KILL $$", argv);
    cleanup(process_result_done) struct process_result r;

    MUST(process_run(&spec, &r, &err));
    CHECK_EQ(r.exit_code, 137);
}

/* Twice as long each time: on a busy machine it may not have said a word yet. */
TEST(a_timeout_ends_the_child)
{
    const char *argv[4];
    struct process_spec spec = sh(shell, "echo before; sleep 50; echo after", argv);
    size_t said = 0;

    for (spec.timeout_ms = 200; said == 0 && spec.timeout_ms < 200 << 6; spec.timeout_ms *= 2) {
        cleanup(process_result_done) struct process_result r;
        const int64_t start_ms = clock_monotonic_ms();
        MUST(process_run(&spec, &r, &err));
        CHECK(r.timed_out && !r.cancelled);
        CHECK_EQ(r.exit_code, 143);
        CHECK(clock_monotonic_ms() - start_ms < spec.timeout_ms + 2800 * CHECK_PATIENCE);
        said = r.output.len;
        CHECK(said == 0 || str_is(strbuf_str(&r.output), "before\n"));
    }
    CHECK(said > 0);
}

static void
note_output(void *arg, struct str data, bool is_error)
{
    (void)is_error;
    *(bool *)arg |= data.len > 0;
}

static bool
has_output(void *arg)
{
    return *(const bool *)arg;
}

TEST(a_child_deaf_to_sigterm_is_killed)
{
    const char *argv[4];
    struct process_spec spec = sh(shell, "trap '' TERM; echo deaf; while :; do sleep 0.1; done", argv);
    cleanup(process_result_done) struct process_result r;
    bool has_spoken = false;
    int64_t start_ms = clock_monotonic_ms(), took_ms;

    spec.on_output = note_output;
    spec.is_cancelled = has_output; /* by then it is deaf */
    spec.arg = &has_spoken;
    MUST(process_run(&spec, &r, &err));
    took_ms = clock_monotonic_ms() - start_ms;
    CHECK(r.cancelled && !r.timed_out);
    CHECK_EQ(r.exit_code, 137);
    CHECK(took_ms >= 5000 && took_ms < 9000 * CHECK_PATIENCE);
}

static bool
cancel_after(void *arg)
{
    return clock_monotonic_ms() >= *(int64_t *)arg;
}

TEST(a_cancelled_child_ends_soon)
{
    const char *argv[4];
    struct process_spec spec = sh(shell, "sleep 50", argv);
    cleanup(process_result_done) struct process_result r;
    int64_t start_ms = clock_monotonic_ms(), at_ms = start_ms + 200;

    spec.is_cancelled = cancel_after;
    spec.arg = &at_ms;
    MUST(process_run(&spec, &r, &err));
    CHECK(r.cancelled && !r.timed_out);
    CHECK(clock_monotonic_ms() - start_ms < 3000 * CHECK_PATIENCE);
}

static bool
wait_dead(pid_t pid)
{
    for (int i = 0; i < 100 * CHECK_PATIENCE; i++) {
        if (!process_is_alive(pid))
            return true;
        clock_sleep_ms(20);
    }
    return false;
}

TEST(nobody_of_the_group_outlives_the_leader)
{
    const char *argv[4];
    struct process_spec spec = sh(shell, "sleep 40 & echo $!", argv);
    cleanup(process_result_done) struct process_result r;
    int64_t start_ms = clock_monotonic_ms();
    int pid = 0;

    MUST(process_run(&spec, &r, &err));
    CHECK(clock_monotonic_ms() - start_ms < 3000 * CHECK_PATIENCE); /* although 'sleep' holds the pipe */
    CHECK(sscanf(strbuf_cstr(&r.output), "%d", &pid) == 1);
    CHECK(wait_dead(pid));
}

TEST(a_kept_group_lives_on_until_it_is_killed)
{
    const char *argv[4];
    struct process_spec spec = sh(shell, "sleep 40 & echo $! $$", argv);
    cleanup(process_result_done) struct process_result r;
    int pid = 0, group = 0;

    spec.keep_group = true;
    MUST(process_run(&spec, &r, &err));
    CHECK(sscanf(strbuf_cstr(&r.output), "%d %d", &pid, &group) == 2);
    clock_sleep_ms(100);
    CHECK(process_is_alive(pid));
    process_kill_group(group, SIGKILL);
    CHECK(wait_dead(pid));
}

TEST(what_a_kept_group_writes_later_does_not_kill_it)
{
    cleanup(scratch_done) struct scratch dir = scratch_new();
    const char *argv[4];
    cleanup_free char *script = text_format(
        "{ sleep 0.3; echo late; echo late >&2; head -c 300000 /dev/zero; echo done >%s/done; } &",
        dir.path);
    struct process_spec spec = sh(shell, script, argv);
    cleanup(process_result_done) struct process_result r;
    cleanup(strbuf_done) struct strbuf done = {0};

    spec.keep_group = true;
    MUST(process_run(&spec, &r, &err));
    for (int i = 0; i < 1000 && access(in_scratch(&dir, "done"), F_OK) != 0; i++)
        clock_sleep_ms(20);
    MUST(file_read(in_scratch(&dir, "done"), 100, &done, &err));
}

TEST(a_deserter_that_writes_for_ever_holds_nobody_up)
{
    cleanup(scratch_done) struct scratch dir = scratch_new();
    const char *argv[4];
    cleanup_free char *script =
        text_format("setsid sh -c 'echo $$ >%s/pid; exec yes' & while [ ! -s %s/pid ]; do :; done",
                    dir.path, dir.path);
    struct process_spec spec = sh(shell, script, argv);
    cleanup(process_result_done) struct process_result r;
    cleanup(strbuf_done) struct strbuf pid = {0};
    int64_t start_ms = clock_monotonic_ms(), number = 0;

    spec.output_limit = 100;
    MUST(process_run(&spec, &r, &err));
    CHECK(clock_monotonic_ms() - start_ms < 3000 * CHECK_PATIENCE);
    CHECK_EQ(r.exit_code, 0);
    MUST(file_read(in_scratch(&dir, "pid"), 100, &pid, &err));
    CHECK(str_to_i64(str_trim(strbuf_str(&pid)), &number) && number > 1);
    CHECK(wait_dead((pid_t)number)); /* SIGPIPE, once nobody reads */
}

static void
count_output(void *arg, struct str data, bool is_error)
{
    size_t *sizes = arg;

    sizes[is_error] += data.len;
}

TEST(output_is_delivered_as_it_comes)
{
    const char *argv[4];
    struct process_spec spec =
        sh(shell, "head -c 2000000 /dev/zero & head -c 1000000 /dev/zero >&2; wait", argv);
    cleanup(process_result_done) struct process_result r;
    size_t sizes[2] = {0};

    spec.on_output = count_output;
    spec.arg = sizes;
    MUST(process_run(&spec, &r, &err));
    CHECK_EQ(sizes[0], 2000000);
    CHECK_EQ(sizes[1], 1000000);
    CHECK_EQ(r.output.len, 0);
}

/* As it is read where nobody is left who started it. */
static pid_t
pid_of(const char *path)
{
    cleanup(strbuf_done) struct strbuf text = {0};
    int64_t pid;

    MUST(file_read(path, 100, &text, &err));
    CHECK(str_to_i64(str_trim(strbuf_str(&text)), &pid));
    return (pid_t)pid;
}

TEST(a_detached_process_lives_in_its_own_session)
{
    cleanup(scratch_done) struct scratch dir = scratch_new();
    const char *const argv[] = {"sh", "-c", "echo started; exec sleep 40", NULL};
    cleanup(strbuf_done) struct strbuf log = {0};
    const char *path = in_scratch(&dir, "log");
    cleanup_free char *pid_file = text_format("%s.pid", path);
    uint64_t start_time = 0, again = 0;
    pid_t pid = 0;

    MUST(process_spawn_detached(argv, "/", path, pid_file, &pid, &err));
    CHECK_EQ(pid_of(pid_file), pid);
    CHECK(process_is_alive(pid));
    CHECK_EQ(getsid(pid), pid);
    CHECK(process_start_time(pid, &start_time) && process_start_time(pid, &again));
    CHECK(start_time > 0 && start_time == again);
    for (int i = 0; i < 100 * CHECK_PATIENCE && log.len == 0; i++) {
        clock_sleep_ms(20);
        MUST(file_read(path, 100, &log, &err));
    }
    CHECK_TEXT(strbuf_cstr(&log), "started\n");
    process_kill_group(pid, SIGKILL);
    CHECK(wait_dead(pid));
    CHECK(waitpid(pid, NULL, WNOHANG) < 0 && errno == ECHILD); /* reaped by process_is_alive() */
    CHECK(!process_start_time(pid, &again));
}

static void *
sleep_on(void *arg)
{
    clock_sleep_ms(40000);
    return arg;
}

/* It still has its files open, and the locks that go with them. */
TEST(a_process_is_alive_as_long_as_one_of_its_threads_is)
{
    const pid_t pid = fork();
    siginfo_t info;
    char *state;

    CHECK(pid >= 0);
    if (pid == 0) {
        pthread_t thread;
        if (pthread_create(&thread, NULL, sleep_on, NULL) != 0)
            _exit(1);
        pthread_exit(NULL);
    }
    for (int i = 0; i < 500 * CHECK_PATIENCE; i++) {
        cleanup_free char *command = text_format("cut -d' ' -f3 /proc/%d/stat", (int)pid);
        state = check_shell(command);
        const bool is_zombie = state[0] == 'Z';
        free(state);
        if (is_zombie)
            break;
        clock_sleep_ms(2);
        CHECK(i + 1 < 500 * CHECK_PATIENCE);
    }
    CHECK(process_is_alive(pid));
    CHECK(kill(pid, SIGKILL) == 0);
    CHECK(waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT) == 0);
    CHECK(!process_is_alive(pid));
}

TEST(programs_are_found_and_folders_passed_over)
{
    cleanup(scratch_done) struct scratch dir = scratch_new();
    char found[256], *path = NULL;

    MUST(file_write_atomic(in_scratch(&dir, "tool"), STR("#!/bin/sh\n"), 0755, &err));
    MUST(file_make_dirs(in_scratch(&dir, "sub"), 0755, &err));
    MUST(file_write_atomic(in_scratch(&dir, "sub/tool"), STR("#!/bin/sh\n"), 0755, &err));
    MUST(file_write_atomic(in_scratch(&dir, "sub/data"), STR("x"), 0644, &err));
    path = text_format("%s:%s/sub", dir.path, dir.path);
    CHECK(setenv("PATH", path, 1) == 0);
    CHECK(process_find("tool", NULL, found, sizeof(found)));
    CHECK_TEXT(found, in_scratch(&dir, "tool"));
    free(path);
    path = text_format("%s/", dir.path);
    CHECK(process_find("tool", path, found, sizeof(found)));
    CHECK_TEXT(found, in_scratch(&dir, "sub/tool"));
    CHECK(!process_find("data", NULL, found, sizeof(found)));
    CHECK(!process_find("tool", NULL, found, 10));
    free(path);
}

/* Who is the user that the child becomes can do that to it. */
TEST(a_start_that_somebody_stops_goes_on_all_the_same)
{
    static const struct identity ours = {0};
    static const char stop[] =
        "while [ -z \"$p\" ]; do for c in $(cat /proc/$PPID/task/$PPID/children); do\n"
        "[ $c = $$ ] || p=$c; done; done; kill -STOP $p; exec cat \"$0\"";
    cleanup(scratch_done) struct scratch dir = scratch_new();
    cleanup_free char *gate = text_format("%s/gate", dir.path); /* the child waits there until it is read */
    const char *const joins[] = {gate, NULL};
    const struct process_place place = {.joins = joins, .as = &ours};
    const char *argv[4];
    struct process_spec spec = sh(shell, "echo goes on", argv);
    cleanup(process_result_done) struct process_result r = {0};
    pid_t pid;

    if (!identity_is_possible()) {
        check_skip("not root");
        return;
    }
    CHECK(mkfifo(gate, 0600) == 0);
    pid = fork();
    if (pid == 0) {
        execl("/bin/sh", "sh", "-c", stop, gate, NULL);
        _exit(1);
    }
    spec.place = &place;
    MUST(process_run(&spec, &r, &err));
    CHECK_TEXT(strbuf_cstr(&r.output), "goes on\n");
    CHECK(waitpid(pid, NULL, 0) == pid);
}

TEST(a_pipe_is_no_plain_file)
{
    cleanup(scratch_done) struct scratch dir = scratch_new();
    cleanup_free char *path = text_format("%s/pipe", dir.path);
    cleanup(strbuf_done) struct strbuf text = {0};
    int fd = -1;

    CHECK(mkfifo(path, 0600) == 0);
    CHECK(!file_read_plain(path, 100, &text, &err));
    CHECK(strstr(err.message, "is a pipe") != NULL);
    CHECK(!file_open_plain(path, O_WRONLY | O_CREAT, 0600, &fd, &err) && fd == -1);
    cleanup_close int reader = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    CHECK(!file_open_plain(path, O_WRONLY | O_CREAT, 0600, &fd, &err) && fd == -1);
    MUST(file_write_atomic(path, STR("x"), 0600, &err));
    MUST(file_read_plain(path, 100, &text, &err));
    CHECK_TEXT(strbuf_cstr(&text), "x");
}
