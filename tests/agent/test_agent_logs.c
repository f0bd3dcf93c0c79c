/* SPDX-License-Identifier: MIT */
/* The capture of logs when the disk refuses them, and the room that old ones leave. */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include "agent/container_logs.h"
#include "agent/log_room.h"
#include "agent/log_tail.h"
#include "base/clock.h"
#include "base/random.h"
#include "check.h"
#include "fake_docker.h"
#include "io/file.h"

#define TASK "11111111111111111111111111111111"
#define ID "2222222222222222222222222222222222222222222222222222222222222222"
#define ONE "2026-01-02T03:04:05.000000001Z one\n"
#define TWO "2026-01-02T03:04:05.000000002Z two\n"

static char dir[64];

static void
make_dir(void)
{
    char hex[9];
    struct err err;

    random_hex(hex, 8);
    (void)snprintf(dir, sizeof(dir), "/tmp/naru-logs-%s", hex);
    CHECK(file_make_dirs(dir, 0700, &err));
}

static bool
log_is(const char *want)
{
    cleanup(strbuf_done) struct strbuf got = {0};
    char path[256];
    struct err err;

    CHECK(container_logs_path(dir, TASK, "app", path, sizeof(path)));
    return file_read(path, 65536, &got, &err) && strcmp(strbuf_cstr(&got), want) == 0;
}

static void
wait_for_log(const char *want)
{
    for (int i = 0; !log_is(want); i++) {
        CHECK(i < 2000 * CHECK_PATIENCE);
        clock_sleep_ms(10);
    }
}

TEST(what_the_disk_refused_is_written_later)
{
    char socket[80], blocked[80];
    struct err err;

    make_dir();
    (void)snprintf(socket, sizeof(socket), "%s/docker.sock", dir);
    (void)snprintf(blocked, sizeof(blocked), "%s/log", dir);
    struct fake_docker *fake = fake_docker_new(socket);
    fake_docker_listen(fake);
    fake_docker_say(fake, ONE);
    CHECK(file_write_atomic(blocked, STR("no directory"), 0600, &err));
    struct container_logs *logs = container_logs_new(socket, dir);
    container_logs_follow(logs, 41, TASK, "app", ID, true);
    clock_sleep_ms(300);
    CHECK(unlink(blocked) == 0);
    wait_for_log("2026-01-02T03:04:05.000000001Z stdout one\n");
    fake_docker_say(fake, ONE TWO); /* Docker tells all of it again */
    wait_for_log("2026-01-02T03:04:05.000000001Z stdout one\n2026-01-02T03:04:05.000000002Z stdout two\n");
    container_logs_free(logs);
    fake_docker_free(fake);
    CHECK(file_remove_tree(dir, &err));
}

/* A file size limit stands for the full disk: half of a line still fits. */
TEST(half_a_line_is_taken_back)
{
    char socket[80], path[256];
    const char *const first = "2026-01-02T03:04:05.000000001Z stdout one\n";
    struct err err;

    make_dir();
    (void)snprintf(socket, sizeof(socket), "%s/docker.sock", dir);
    struct fake_docker *fake = fake_docker_new(socket);
    fake_docker_listen(fake);
    fake_docker_say(fake, ONE);
    struct container_logs *logs = container_logs_new(socket, dir);
    container_logs_follow(logs, 41, TASK, "app", ID, true);
    wait_for_log(first);
    (void)signal(SIGXFSZ, SIG_IGN);
    const struct rlimit small = {strlen(first) + 10, RLIM_INFINITY}, large = {RLIM_INFINITY, RLIM_INFINITY};
    CHECK(setrlimit(RLIMIT_FSIZE, &small) == 0);
    fake_docker_say(fake, ONE TWO);
    const int asked = fake_docker_count(fake, "/logs?");
    for (int i = 0; fake_docker_count(fake, "/logs?") < asked + 2; i++) {
        CHECK(i < 2000 * CHECK_PATIENCE);
        clock_sleep_ms(10);
    }
    clock_sleep_ms(200);
    CHECK(log_is(first));
    CHECK(setrlimit(RLIMIT_FSIZE, &large) == 0);
    wait_for_log("2026-01-02T03:04:05.000000001Z stdout one\n2026-01-02T03:04:05.000000002Z stdout two\n");
    CHECK(container_logs_path(dir, TASK, "app", path, sizeof(path)));
    container_logs_free(logs);
    fake_docker_free(fake);
    CHECK(file_remove_tree(dir, &err));
}

static bool
is_first(void *arg, const char *name)
{
    (void)arg;
    return strcmp(name, "task0") == 0;
}

/* Folders task0 to task9, 100 bytes each, task0 the longest untouched. */
static void
make_ten(void)
{
    char path[128];
    struct err err;

    make_dir();
    for (int i = 0; i < 10; i++) {
        const struct timespec times[2] = {{.tv_sec = 1000000 + i}, {.tv_sec = 1000000 + i}};

        (void)snprintf(path, sizeof(path), "%s/task%d", dir, i);
        CHECK(file_make_dirs(path, 0700, &err));
        (void)snprintf(path, sizeof(path), "%s/task%d/app.log", dir, i);
        cleanup_close int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
        CHECK(ftruncate(fd, 100) == 0);
        CHECK(futimens(fd, times) == 0);
    }
}

static void
check_left(const char *want)
{
    char path[128], left[11] = "";

    for (int i = 0; i < 10; i++) {
        (void)snprintf(path, sizeof(path), "%s/task%d", dir, i);
        if (file_exists(path))
            left[strlen(left)] = (char)('0' + i);
    }
    CHECK_TEXT(left, want);
}

TEST(the_longest_untouched_go_first_and_never_one_in_use)
{
    const struct log_room by_size = {.bytes_max = 500, .folders_max = 100, .is_in_use = is_first},
                          by_number = {.bytes_max = 10000, .folders_max = 3, .is_in_use = is_first};
    struct err err;

    make_ten();
    log_room_make(dir, &by_size);
    check_left("06789");
    log_room_make(dir, &by_number);
    check_left("089");
    CHECK(file_remove_tree(dir, &err));
}

TEST(the_ends_that_are_kept_have_a_room_of_their_own)
{
    char path[128], socket[80];
    struct err err;

    make_dir();
    for (int i = 0; i < 3; i++) {
        const struct timespec times[2] = {{.tv_sec = 1000000 + i}, {.tv_sec = 1000000 + i}};

        (void)snprintf(path, sizeof(path), "%s/log/tails/task%d", dir, i);
        CHECK(file_make_dirs(path, 0700, &err));
        (void)snprintf(path, sizeof(path), "%s/log/tails/task%d/app.log", dir, i);
        cleanup_close int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
        CHECK(ftruncate(fd, LOG_TAILS_TOTAL_MAX / 2) == 0); /* holes: nothing is written */
        CHECK(futimens(fd, times) == 0);
    }
    (void)snprintf(socket, sizeof(socket), "%s/docker.sock", dir);
    struct container_logs *logs = container_logs_new(socket, dir);
    container_logs_forget(logs, TASK);
    container_logs_free(logs);
    for (int i = 0; i < 3; i++) {
        (void)snprintf(path, sizeof(path), "%s/log/tails/task%d", dir, i);
        CHECK_EQ(file_exists(path), i > 0);
    }
    CHECK(file_remove_tree(dir, &err));
}

TEST(a_name_that_leads_elsewhere_names_no_file)
{
    char path[64];

    CHECK(!container_logs_path("/data", "..", "a/b", path, sizeof(path)));
    CHECK_TEXT(path, "");
    CHECK(!container_logs_path("/data", "a/b", "app", path, sizeof(path)));
    CHECK_TEXT(path, "");
    CHECK(!container_logs_path("/a/path/that/is/longer/than/that", TASK, "app", path, sizeof(path)));
    CHECK_TEXT(path, "");
}
