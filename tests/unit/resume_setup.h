/* SPDX-License-Identifier: MIT */
/* resume_setup.h - builds whose runner is killed at a point of its journal or its log, and what is left
 * to compare: the log, the stages, and what the tools were called with. */
#pragma once
#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>
#include "build_setup.h"
#include "pipeline/run/journal.h"

/* Where a life ends: at the `count`th time that the journal is at `point`, or at that line of the log;
 * 0: it comes to its end. */
struct kill_at {
    enum journal_point point;
    unsigned count, lines;
};

static struct kill_at kill_at;
static atomic_uint points[JOURNAL_POINTS];
static unsigned logged;
static int log_file, stage_file, points_file;

static inline void
kill_in_time(void *ctx, enum journal_point point)
{
    const unsigned count = atomic_fetch_add(&points[point], 1) + 1;

    if (point == kill_at.point && count == kill_at.count)
        raise(SIGKILL);
}

static inline void
log_to_file(void *ctx, struct str text)
{
    CHECK(file_write_all(log_file, text, NULL));
    if (kill_at.lines > 0 && ++logged >= kill_at.lines)
        raise(SIGKILL);
}

static inline void
stage_to_file(void *ctx, const struct stage_report *r)
{
    if (r->state != STAGE_RUNNING)
        dprintf(stage_file, "%s " STR_FMT " %s\n", r->key, STR_ARG(r->name),
                stage_state_name(r->state));
}

/* One life of a runner, in a process of its own; true if it came to the end. */
static inline bool
live(struct build *b, struct kill_at at)
{
    cleanup_free char *points_path = text_format("%s/points", b->directory);
    pid_t child = fork();
    int status;

    if (child == 0) {
        cleanup_free char *log_path = text_format("%s/log", b->directory);
        cleanup_free char *stage_path = text_format("%s/stages", b->directory);
        kill_at = at;
        log_file = open(log_path, O_WRONLY | O_CREAT | O_APPEND, 0600);
        if (ftruncate(log_file, journal_log_size(b->config.state_dir)) != 0)
            _exit(1);
        stage_file = open(stage_path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
        points_file = open(points_path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
        build_live(b);
        dprintf(points_file, "%u", atomic_load(&points[JOURNAL_DUE]));
        _exit(0);
    }
    CHECK(waitpid(child, &status, 0) == child);
    if (WIFSIGNALED(status)) {
        CHECK_EQ(WTERMSIG(status), SIGKILL);
        return false;
    }
    CHECK_EQ(WEXITSTATUS(status), 0);
    return true;
}

/* How many records the last life that came to its end wrote. */
static inline unsigned
records_written(const struct build *b)
{
    cleanup(strbuf_done) struct strbuf text = {0};
    cleanup_free char *path = text_format("%s/points", b->directory);
    int64_t n;

    CHECK(file_read(path, 20, &text, NULL) && str_to_i64(strbuf_str(&text), &n));
    return (unsigned)n;
}

static inline char *
sorted(const struct build *b, const char *name)
{
    const char *const argv[] = {"sh", "-c",
                                /* Without what shells say of a child that a signal ended: a naru that is
                                 * killed right before the signal leaves it to SIGKILL. */
                                "sort \"$0\" | sed -E 's/web:[0-9]{10,}/web:TIME/g; /Terminated$/d'",
                                text_format("%s/%s", b->directory, name), NULL};
    const struct process_spec spec = {.argv = argv};
    struct process_result r;
    char *text;

    CHECK(process_run(&spec, &r, NULL));
    text = str_dup(strbuf_str(&r.output));
    process_result_done(&r);
    free((void *)(uintptr_t)argv[3]);
    return text;
}

static inline void
put_tool(const struct build *b, const char *name)
{
    cleanup_free char *path = text_format("%s/tools/%s", b->directory, name);
    cleanup_free char *text =
        text_format("#!/bin/sh\ncase $1 in inspect) echo true; exit;; ps|rm) exit;; esac\n"
                    "case \"$1 $2\" in 'run -t') echo 0123456789abcdef; exit;; esac\n"
                    "[ $1 = exec ] && set -- exec\necho %s \"$@\" >> %s/calls\n",
                    name, b->directory);

    CHECK(file_write_atomic(path, str_of(text), 0700, NULL));
}

static inline void
clean(const struct build *b, const char *jenkinsfile)
{
    static const char *const names[] = {"run",    "ws",    "ws@tmp", "log",
                                        "stages", "calls", "marks"};
    cleanup_free char *marks = text_format("%s/marks", b->directory);

    for (size_t i = 0; i < ARRAY_COUNT(names); i++) {
        cleanup_free char *path = text_format("%s/%s", b->directory, names[i]);
        CHECK(file_remove_tree(path, NULL));
    }
    CHECK(file_make_dirs(b->config.workspace, 0755, NULL));
    CHECK(file_make_dirs(marks, 0755, NULL));
    put_file(b, "ws/Jenkinsfile", jenkinsfile);
}

static inline void
setup_to_kill(struct build *b, const char *jenkinsfile)
{
    build_init(b);
    b->config.state_dir = text_format("%s/run", b->directory);
    b->config.tool_dir = text_format("%s/tools", b->directory);
    b->config.on_log = log_to_file;
    b->config.on_stage = stage_to_file;
    b->config.on_journal = kill_in_time;
    b->config.started_ms = clock_wall_ms();
    CHECK(file_make_dirs(b->config.tool_dir, 0755, NULL));
    put_tool(b, "docker");
    put_tool(b, "aws");
    clean(b, jenkinsfile);
}

static inline void
teardown(struct build *b)
{
    CHECK(file_remove_tree(b->directory, NULL));
    free((void *)(uintptr_t)b->config.state_dir);
    free((void *)(uintptr_t)b->config.tool_dir);
}

struct course {
    char *log, *stages, *calls;
};

static inline struct course
course_of(const struct build *b)
{
    return (struct course){sorted(b, "log"), sorted(b, "stages"), sorted(b, "calls")};
}

static inline void
course_done(struct course *c)
{
    free(c->log);
    free(c->stages);
    free(c->calls);
}

static inline void
expect_course(const struct build *b, const struct course *want)
{
    cleanup(course_done) struct course got = course_of(b);

    CHECK_TEXT(got.calls, want->calls);
    CHECK_TEXT(got.stages, want->stages);
    CHECK_TEXT(got.log, want->log);
}

