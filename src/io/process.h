/* SPDX-License-Identifier: MIT */
/* process.h - child processes, each in a process group of its own.
 * Blocking API for worker threads.  Safe in a threaded program.  The child gets
 * default signals, no inherited descriptors but 0-2, and (unless detached) dies with us only if
 * the caller kills it: process_kill_group(). */
#pragma once
#include <poll.h>
#include <sys/types.h>
#include "base/err.h"
#include "base/str.h"
#include "io/identity.h"

/* What a process is to be before it is the program. */
struct process_place {
    const char *const *joins; /* files of which each gets a "0" from it (cgroup_joins()); NULL: none */
    const struct identity *as; /* NULL: ourselves */
    bool no_network;           /* it has a loopback interface of its own, and nothing else */
    const char *passwd;        /* what it sees as /etc/passwd, where that can be done; NULL: that */
};

struct process_spec {
    const char *const *argv;  /* NULL-terminated; argv[0] is looked up in PATH of env (or ours) */
    const char *const *env;   /* NULL: ours */
    const char *directory;    /* NULL: ours */
    const struct process_place *place; /* NULL: ours */
    struct str input;         /* written to stdin, then closed; none: /dev/null */
    int64_t timeout_ms;       /* 0: none; then SIGTERM to the group, 5 s later SIGKILL */
    size_t output_limit;      /* of the collected output; 0: 1 MiB; more is dropped */
    bool merge_stderr;        /* stderr goes with stdout */
    bool keep_group;          /* what is left of the group when the leader ends may go on */
    /* Gets output as it comes instead of collecting it; `is_error` tells stderr. */
    void (*on_output)(void *arg, struct str data, bool is_error);
    /* Asked about ten times a second; true ends the child as the timeout does. */
    bool (*is_cancelled)(void *arg);
    /* Waits in place of poll(), for callers that have other things to do meanwhile; may return
     * early. */
    void (*wait)(void *arg, struct pollfd *fds, size_t count, int timeout_ms);
    void *arg;
};

struct process_result {
    int exit_code; /* 128 + signal when killed by one */
    bool timed_out, cancelled;
    struct strbuf output, error;
};

/* Runs to the end. False only if it could not be started. After the leader ends, what is left of
 * its group is killed, unless `keep_group` (a timeout or a cancellation kills it all the same); what
 * goes on may go on writing, but nobody reads it. */
bool process_run(const struct process_spec *spec, struct process_result *out, struct err *err) MUST_CHECK;
void process_result_done(struct process_result *r);

/* Starts a daemon of its own session that outlives us; stdout and stderr go to `log_path`. `pid_file` (may be NULL, must
 * not be there yet) has its number before it is the program: also if we are killed just then. */
bool process_spawn_detached(const char *const *argv, const char *directory, const char *log_path, const char *pid_file,
                            pid_t *pid_out, struct err *err) MUST_CHECK;
/* The same with an environment (NULL: ours) and descriptors for 0, 1, 2 and 3; it leads a session. */
struct process_session {
    const char *const *argv, *const *env, *directory;
    int fds[4];
    /* Made by the process with its number in it, before anything else; if it is there nothing is started. */
    const char *pid_file;
    const struct process_place *place; /* NULL: ours */
};
bool process_start_session(const struct process_session *s, pid_t *pid_out, struct err *err) MUST_CHECK;
/* Becomes readable when the process ends, whoever's child it is; -1 if there is none (any more). */
int process_open(pid_t pid);
/* The exit code of a child of ours that has ended; false if it is none or has not. */
bool process_reap(pid_t pid, int *exit_code_out);
bool process_is_alive(pid_t pid);                    /* zombies are reaped and count as dead, once all their threads are */
bool process_start_time(pid_t pid, uint64_t *out);   /* field 22 of /proc/pid/stat: guards against reuse */
void process_kill_group(pid_t pgid, int signal);
/* Full path of `program` in PATH; false if there is none. `skip_directory` (may be NULL) is passed over. */
bool process_find(const char *program, const char *skip_directory, char *out, size_t size);
