/* SPDX-License-Identifier: MIT */
/* drain.c - nothing in flight any more, in no worker?  Then a target may be stopped.
 * The truth is `used_cur` of `show servers conn`, of the present worker and of every old one that
 * still has clients, found by address.  It must be zero twice in a row: a request that was on its
 * way to the target when the slot closed shows up by the second look. */
#include <assert.h>
#include <stdio.h>
#include "balancer/haproxy_stat.h"
#include "balancer/traffic.h"
#include "base/clock.h"
#include "base/log.h"

#define FIRST_PAUSE_MS 8
#define LONGEST_PAUSE_MS 100
#define LEAVING_PAUSE_MS 500 /* nobody waits for those */
#define IDLE_POLLS 2
/* After a member's gate only clients that have not spoken yet can reach it by an old worker: so long. */
#define SILENT_MS (HAPROXY_FIRST_REQUEST_MS - HAPROXY_KEEP_ALIVE_MS)
#define CUT_MS 250 /* connections that were cut need a moment to go */

void
drain_soon(struct balancer *b)
{
    b->drain_pause_ms = FIRST_PAUSE_MS;
    loop_timer_set(b->drain_timer, FIRST_PAUSE_MS / 4);
}

static bool
is_draining(const struct member *m)
{
    return m->is_draining && !m->is_drained;
}

static bool
needs_count(const struct group *g)
{
    for (const struct member *m = g->members; m != NULL; m = m->next)
        if (is_draining(m))
            return true;
    return slots_count(&g->slots, SLOT_LEAVING) > 0;
}

/* ---- counting ---- */

static void
reset_counts(struct group *g)
{
    for (struct member *m = g->members; m != NULL; m = m->next)
        m->used = 0;
    for (int i = 0; i < g->slots.count; i++)
        g->slots.at[i].used = 0;
}

static void
add_used(struct group *g, const char *address, int port, int used)
{
    for (struct member *m = g->members; m != NULL; m = m->next)
        if (m->port == port && strcmp(m->address, address) == 0)
            m->used += used;
    const int slot = slots_find(&g->slots, address, port);
    if (slot >= 0)
        g->slots.at[slot].used += used;
}

static void
add_count(void *arg, const struct haproxy_server *row)
{
    if (row->used > 0)
        add_used(arg, row->address, row->port, row->used);
}

struct sessions {
    struct group *group;
    bool is_bad; /* a server without a place, or one that nobody can have */
};

static void
add_sessions(void *arg, const struct haproxy_stat *row)
{
    struct sessions *s = arg;
    const int64_t used = row->value[STAT_scur];
    char address[ADDRESS_SIZE];

    if (row->address.len == 0 || !text_copy(address, sizeof(address), row->address) || used > INT32_MAX)
        s->is_bad = true;
    else if (used > 0)
        add_used(s->group, address, row->port, (int)used);
}

static bool
read_sessions(struct group *g, struct str answer, struct err *err)
{
    struct sessions s = {.group = g};

    if (!haproxy_parse_stat(answer, add_sessions, &s, err))
        return false;
    return !s.is_bad || err_set(err, ERR_HAPROXY, "HAProxy does not tell where the servers of group_%s are", g->id);
}

/* What is in flight: requests; or sessions, where connections are handed on as they are (`used_cur` is none
 * then, measured). */
static char *
count_command(const struct group *g)
{
    return g->tcp.is_on ? text_format("show stat group_%s 4 -1", g->id)
                        : text_format("show servers conn group_%s", g->id);
}

static bool
read_count(struct group *g, struct str answer, struct err *err)
{
    return g->tcp.is_on ? read_sessions(g, answer, err)
                        : haproxy_parse_connections(answer, add_count, g, err);
}

static bool
count_present(struct balancer *b, struct group *g, struct err *err)
{
    cleanup(strbuf_done) struct strbuf answer = {0};
    cleanup_free char *command = count_command(g);

    return haproxy_process_ask(b->haproxy, command, &answer, err) &&
           read_count(g, strbuf_str(&answer), err);
}

static bool
count_old(struct balancer *b, struct group *g, pid_t worker, struct err *err)
{
    cleanup(strbuf_done) struct strbuf answer = {0};
    cleanup_free char *counts = count_command(g);
    cleanup_free char *command = text_format("@!%d %s", (int)worker, counts);

    if (!haproxy_process_ask_master(b->haproxy, command, &answer, err))
        return false;
    const struct str text = str_trim(strbuf_str(&answer));
    /* It did not know the group, or has gone since we asked who is there. */
    if (text.len == 0 || str_starts(text, STR("Can't find")) || str_starts(text, STR("No such proxy")))
        return true;
    return read_count(g, text, err);
}

static bool
ask_old_workers(struct balancer *b, struct haproxy_processes *out, struct err *err)
{
    cleanup(strbuf_done) struct strbuf answer = {0};

    return haproxy_process_ask_master(b->haproxy, "show proc", &answer, err) &&
           haproxy_parse_processes(strbuf_str(&answer), out, err);
}

static bool
is_gated_by_silent(const struct member *m, int64_t now_ms)
{
    return is_draining(m) && m->gate_until_ms != 0 && now_ms >= m->gate_until_ms &&
           now_ms < m->gate_until_ms + SILENT_MS;
}

static bool
must_count_silent(const struct balancer *b)
{
    const int64_t now_ms = clock_monotonic_ms();

    for (const struct group *g = b->groups; g != NULL; g = g->next)
        for (const struct member *m = g->members; m != NULL; m = m->next)
            if (is_gated_by_silent(m, now_ms))
                return true;
    return false;
}

static bool
count_silent(struct balancer *b, pid_t worker, int64_t *count_out, struct err *err)
{
    char command[64];
    cleanup(strbuf_done) struct strbuf answer = {0};

    *count_out = 0;
    snprintf(command, sizeof(command), "@!%d show stat -1 3 -1", (int)worker);
    if (!haproxy_process_ask_master(b->haproxy, command, &answer, err))
        return false;
    return str_trim(strbuf_str(&answer)).len == 0 || /* it has gone */
           haproxy_parse_waiting(strbuf_str(&answer), count_out, err);
}

/* Do clients of old workers wait with a request that those would send to old targets? */
static bool
look_for_silent(struct balancer *b, const struct haproxy_processes *processes, bool *has_silent_out,
                struct err *err)
{
    int64_t count = 0;

    *has_silent_out = false;
    if (processes->old_worker_count == 0 || !must_count_silent(b))
        return true;
    for (int i = 0; i < processes->old_worker_count && !*has_silent_out; i++) {
        if (!count_silent(b, processes->old_workers[i], &count, err))
            return false;
        *has_silent_out = count > 0;
    }
    return true;
}

/* False if somebody did not answer: then nothing may be concluded. */
static bool
count_all(struct balancer *b, struct haproxy_processes *processes, struct err *err)
{
    const bool is_running = haproxy_process_state(b->haproxy) == HAPROXY_RUNNING;

    if (is_running && !ask_old_workers(b, processes, err))
        return false;
    for (struct group *g = b->groups; g != NULL; g = g->next) {
        if (!needs_count(g))
            continue;
        reset_counts(g);
        if (is_running && g->has_slots > 0 && !count_present(b, g, err))
            return false;
        for (int i = 0; i < processes->old_worker_count; i++)
            if (!count_old(b, g, processes->old_workers[i], err))
                return false;
    }
    return true;
}

/* ---- deciding ---- */

/* The deregistration delay is over: its requests and WebSockets end now. */
static void
cut(struct balancer *b, struct member *m, const struct haproxy_processes *processes)
{
    const struct group *g = m->group;
    cleanup(strbuf_done) struct strbuf answer = {0};
    struct err err = {0};
    char command[128];

    log_info("target.cut", "group=%s target=%s port=%d in_flight=%d", g->id, m->id, m->port,
             m->used);
    m->cut_ms = clock_monotonic_ms();
    if (m->slot >= 0 && m->slot < g->has_slots) {
        snprintf(command, sizeof(command), "shutdown sessions server group_%s/s%d", g->id,
                 m->slot + 1);
        if (!haproxy_process_ask(b->haproxy, command, &answer, &err) ||
            !haproxy_did_set_quietly(strbuf_str(&answer)))
            log_warn("target.cut_failed", "error=%s answer=%s", log_quote(err.message),
                     log_quote(strbuf_cstr(&answer)));
    }
    /* An old worker may have had the target in another slot. It can't be asked to cut just that
     * one; hard-stop-after ends what is left. */
    if (processes->old_worker_count > 0)
        log_debug("target.cut_old", "old_workers=%d", processes->old_worker_count);
}

static void
member_drained(struct balancer *b, struct member *m)
{
    log_info("target.drained", "group=%s target=%s port=%d", m->group->id, m->id, m->port);
    m->is_drained = true;
    if (m->slot >= 0 && m->used > 0 && m->group->tcp.outlives_drain)
        slots_leave(&m->group->slots, m->slot); /* somebody stays on (tcp_options.outlives_drain) */
    else if (m->slot >= 0)
        slots_free(&m->group->slots, m->slot);
    m->slot = -1;
    member_tell_drained(b, m);
}

static void
judge_member(struct balancer *b, struct member *m, const struct haproxy_processes *processes, bool has_silent)
{
    const struct group *g = m->group;
    const int64_t now_ms = clock_monotonic_ms();
    const bool is_gated = processes->old_worker_count > 0 &&
                          (now_ms < m->gate_until_ms || (has_silent && is_gated_by_silent(m, now_ms)));

    if (m->slot >= 0 && (g->slots.at[m->slot].has_ready || g->slots.at[m->slot].wants_ready))
        return; /* HAProxy was not told yet */
    m->idle_polls = m->used == 0 ? m->idle_polls + 1 : 0;
    const bool is_late = m->used > 0 && now_ms >= m->deadline_ms;
    if (is_late && m->cut_ms == 0 && !g->tcp.outlives_drain)
        cut(b, m, processes);
    const bool is_over = m->idle_polls >= IDLE_POLLS || (is_late && g->tcp.outlives_drain) ||
                         (m->cut_ms != 0 && now_ms - m->cut_ms > CUT_MS);
    if (is_over && !is_gated)
        member_drained(b, m);
}

static void
judge_leaving(struct group *g)
{
    for (int i = 0; i < g->slots.count; i++) {
        struct slot *s = &g->slots.at[i];
        if (s->use != SLOT_LEAVING || s->has_ready || s->wants_ready)
            continue;
        s->idle_polls = s->used == 0 ? s->idle_polls + 1 : 0;
        if (s->idle_polls >= IDLE_POLLS)
            slots_free(&g->slots, i);
    }
}

static void
poll_again(struct balancer *b)
{
    bool is_any_draining = false, is_any_leaving = false;

    for (const struct group *g = b->groups; g != NULL; g = g->next) {
        is_any_leaving |= slots_count(&g->slots, SLOT_LEAVING) > 0;
        for (const struct member *m = g->members; m != NULL; m = m->next)
            is_any_draining |= is_draining(m);
    }
    if (is_any_draining) {
        loop_timer_set(b->drain_timer, b->drain_pause_ms);
        b->drain_pause_ms += b->drain_pause_ms / 2;
        if (b->drain_pause_ms > LONGEST_PAUSE_MS)
            b->drain_pause_ms = LONGEST_PAUSE_MS;
    } else if (is_any_leaving) {
        loop_timer_set(b->drain_timer, LEAVING_PAUSE_MS);
    }
}

void
drain_poll(void *arg)
{
    struct balancer *b = arg;
    const enum haproxy_state state = haproxy_process_state(b->haproxy);
    struct haproxy_processes processes = {0};
    bool has_silent = false;
    struct err err;

    /* While a worker takes over from another, or before we know what it has: wait. */
    if (state == HAPROXY_STARTING || state == HAPROXY_RELOADING || b->must_learn) {
        poll_again(b);
        return;
    }
    if (!count_all(b, &processes, &err) || !look_for_silent(b, &processes, &has_silent, &err)) {
        log_debug("drain.count", "error=%s", log_quote(err.message));
        poll_again(b);
        return;
    }
    for (struct group *g = b->groups; g != NULL; g = g->next) {
        for (struct member *m = g->members; m != NULL; m = m->next)
            if (is_draining(m))
                judge_member(b, m, &processes, has_silent);
        judge_leaving(g);
    }
    poll_again(b);
}
