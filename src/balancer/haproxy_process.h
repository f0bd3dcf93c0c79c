/* SPDX-License-Identifier: MIT */
/* haproxy_process.h - HAProxy's life: found again, started, reloaded, watched.
 * HAProxy runs with a master and a worker (-W), in a session of its own, and outlives us.  A running
 * one is found by its master socket, or by the pid file when that is silent.
 * Starting and reloading take 0.05 to 0.3 s; they are asked for and end with exactly one call of
 * ready() or failed().  The caller wrote the configuration before, and does not begin a second one
 * before the first has ended.  A reload is done only when a *new* worker answers with the wanted
 * fingerprint, as a signal can get lost (alb.md B8), and the old one takes no connection any more
 * (it is waited for a second at most).
 * died() comes when the master ends by itself, and never in answer to start().
 * Everything happens on the loop's thread; callbacks never come from inside a call. */
#pragma once
#include "balancer/haproxy_socket.h"
#include "io/loop.h"

enum haproxy_state { HAPROXY_ABSENT, HAPROXY_STARTING, HAPROXY_RUNNING, HAPROXY_RELOADING };

struct haproxy_process;

struct haproxy_process_spec {
    struct loop *loop;
    const char *folder;  /* holds haproxy.cfg, both sockets, haproxy.pid, haproxy.log */
    const char *program;
    void (*ready)(void *ctx);
    void (*failed)(void *ctx, const char *why);
    void (*died)(void *ctx);
    void *ctx;
};

struct haproxy_process *haproxy_process_new(const struct haproxy_process_spec *spec);
void haproxy_process_free(struct haproxy_process *p); /* leaves HAProxy running */

/* Blocking, at most two seconds. True: one runs, with the fingerprint of `info_out`. One that does
 * not answer is killed: nobody could steer it. */
bool haproxy_process_adopt(struct haproxy_process *p, struct haproxy_info *info_out);
void haproxy_process_start(struct haproxy_process *p, const char *fingerprint);
void haproxy_process_reload(struct haproxy_process *p, const char *fingerprint);
/* What was last asked for by start() or reload(). */
void haproxy_process_fingerprint(const struct haproxy_process *p, char out[static 64]);
/* HAProxy writes two lines for each target that comes and goes: now and then its log is emptied. */
void haproxy_process_trim_log(struct haproxy_process *p);
/* It hangs; died() follows. */
void haproxy_process_kill(struct haproxy_process *p);
enum haproxy_state haproxy_process_state(const struct haproxy_process *p);

/* Since when the newest worker serves, on the monotonic clock; its predecessor was told to stop then. */
int64_t haproxy_process_ready_ms(const struct haproxy_process *p);
bool haproxy_process_ask(const struct haproxy_process *p, const char *commands, struct strbuf *answer_out,
                         struct err *err) MUST_CHECK; /* the worker; by its master if its socket is gone */
bool haproxy_process_ask_master(const struct haproxy_process *p, const char *commands,
                                struct strbuf *answer_out, struct err *err) MUST_CHECK;

/* Ends the HAProxy of `folder`, if one runs: SIGTERM, after five seconds SIGKILL. Blocking. */
bool haproxy_process_stop(const char *folder, bool *was_running, struct err *err) MUST_CHECK;
