/* SPDX-License-Identifier: MIT */
#include "balancer/seeing.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include "balancer/access_files.h"
#include "balancer/haproxy_socket.h"
#include "balancer/seeing_count.h"
#include "balancer/seeing_reader.h"
#include "base/clock.h"
#include "base/log.h"
#include "io/loop.h"

#define POLL_MS 1000
#define HURRY_POLL_MS 30 /* about a reload, for so long: */
#define HURRY_SHARE 10
#define HURRY_MS 3000
#define POLL_SHARE 50 /* asking takes a fiftieth of the time at most: a large HAProxy is asked less often */
#define POLL_MAX_MS 60000
#define LOG_BUDGET_BYTES (INT64_C(2) << 30)

struct seeing {
    struct loop *loop;
    struct loop_timer *timer;
    struct reader *reader;
    struct access_files *files;
    char *admin, *master;       /* sockets */
    struct counting counting;
    struct stat_worker *workers; /* who answered last is the first; old ones until they are gone */
    int64_t started_ms;         /* monotonic */
    int64_t hurry_until_ms;     /* likewise */
    int64_t lines, lost_lines, dropped_lines;
};

/* ---- lines ---- */

static void
keep_entry(struct seeing *s, const struct access_line *line, int64_t now_ms)
{
    const struct seen_listener *l = names_listener(s->counting.names, line->listener);
    const struct seen_balancer *b = l != NULL ? &s->counting.names->balancers[l->balancer] : NULL;
    const struct seen_rule *r = l != NULL ? names_rule_of(l, line) : NULL;
    const struct seen_group *g = names_group(s->counting.names, names_group_id(line->backend));
    cleanup(strbuf_done) struct strbuf entry = {0};
    struct access_line known = *line;

    if (b == NULL || b->bucket[0] == '\0')
        return;
    if (r == NULL)
        known.is_refused = true; /* no rule, or one that is gone meanwhile */
    const struct access_names names = {
        .load_balancer = b->name, .port = l->port, .group_arn = g != NULL ? g->arn : NULL,
        .priority = r != NULL ? r->priority : 0, .action = r != NULL ? r->action : "-"};
    const struct access_place place = {
        .region = b->region, .load_balancer = b->name, .bucket = b->bucket, .prefix = b->prefix};
    access_line_write(&known, &names, &entry);
    access_files_write(s->files, &place, strbuf_str(&entry), now_ms);
}

static void
take_lines(void *arg)
{
    struct seeing *s = arg;
    cleanup(strbuf_done) struct strbuf lines = {0};
    const int64_t now_ms = clock_wall_ms();

    reader_take(s->reader, &lines, &s->lost_lines);
    for (size_t at = 0; at < lines.len;) {
        const struct str datagram = {lines.at + at, strnlen(lines.at + at, lines.len - at)};
        struct access_line line;

        at += datagram.len + 1;
        if (!access_line_parse(datagram, &line))
            continue; /* HAProxy's own notices, or what a stranger sent */
        s->lines++;
        count_line(&s->counting, &line, now_ms);
        if (line.is_full)
            keep_entry(s, &line, now_ms);
    }
}

static void
wake(void *ctx)
{
    struct seeing *s = ctx;

    loop_post(s->loop, take_lines, s);
}

/* ---- counters ---- */

/* The one with that pid, as the first. About a reload, an old one may answer once more after the new one did: what
 * it had counted before is not counted again. */
static struct stat_worker *
worker_first(struct seeing *s, int64_t pid)
{
    struct stat_worker **at = &s->workers, *w;

    while (*at != NULL && (*at)->pid != pid)
        at = &(*at)->next;
    w = *at;
    if (w != NULL) {
        *at = w->next;
    } else {
        w = mem_new(sizeof(*w));
        w->pid = pid;
    }
    w->next = s->workers;
    s->workers = w;
    return w;
}

/* Who it is and what it counted, over one connection: of two, the second may lead to another worker. */
static bool
ask_newest(struct seeing *s, int64_t now_ms, struct err *err)
{
    cleanup(strbuf_done) struct strbuf answers = {0};
    struct str rest, info_text, stat;
    struct haproxy_info info;
    struct stat_worker *w;
    bool is_first;

    if (!haproxy_ask(s->admin, "show info;show stat", &answers, err))
        return false;
    rest = strbuf_str(&answers);
    if (!haproxy_next_answer(&rest, &info_text) || !haproxy_next_answer(&rest, &stat))
        return err_set(err, ERR_HAPROXY, "HAProxy's answer to show info and show stat has no end");
    if (!haproxy_parse_info(info_text, &info, err))
        return false;
    is_first = s->workers == NULL && info.uptime_s * 1000 > clock_monotonic_ms() - s->started_ms;
    s->dropped_lines = haproxy_dropped_logs(info_text);
    w = worker_first(s, info.pid);
    if (count_stat(&s->counting, w, stat, is_first, now_ms, err))
        return true;
    if (is_first) { /* the next answer is the first one, then */
        s->workers = w->next;
        stat_worker_free(w);
    }
    return false;
}

/* They go on with the connections that they have, and count; the master leads to them.  It hears nobody
 * while it reloads: only who has ended is forgotten. */
static void
ask_old(struct seeing *s, int64_t now_ms)
{
    for (struct stat_worker **at = &s->workers->next; *at != NULL;) {
        struct stat_worker *w = *at;
        cleanup_free char *command = text_format("@!%lld show stat", (long long)w->pid);
        cleanup(strbuf_done) struct strbuf stat = {0};
        struct err err;

        if ((haproxy_ask(s->master, command, &stat, &err) &&
             count_stat(&s->counting, w, strbuf_str(&stat), false, now_ms, &err)) ||
            kill((pid_t)w->pid, 0) == 0) {
            at = &w->next;
            continue;
        }
        *at = w->next;
        stat_worker_free(w);
    }
}

static int64_t
next_look_ms(const struct seeing *s, int64_t took_ms)
{
    const bool is_hurry = clock_monotonic_ms() < s->hurry_until_ms;
    const int64_t least_ms = is_hurry ? HURRY_POLL_MS : POLL_MS;
    const int64_t pause_ms = took_ms * (is_hurry ? HURRY_SHARE : POLL_SHARE);

    return pause_ms < least_ms ? least_ms : pause_ms > POLL_MAX_MS ? POLL_MAX_MS : pause_ms;
}

static void
look(void *arg)
{
    struct seeing *s = arg;
    const int64_t began_ms = clock_monotonic_ms(), now_ms = clock_wall_ms();
    struct err err;

    take_lines(s); /* what was said before is counted before */
    count_begin(&s->counting);
    if (s->counting.names->listener_count > 0) {
        if (ask_newest(s, now_ms, &err)) {
            ask_old(s, now_ms);
            count_end(&s->counting, now_ms);
        } else {
            log_debug("traffic.ask", "error=%s", log_quote(err.message));
        }
    }
    access_files_turn(s->files, now_ms);
    loop_timer_set(s->timer, next_look_ms(s, clock_monotonic_ms() - began_ms));
}

/* ---- from other threads ---- */

struct delivery {
    struct seeing *seeing;
    struct seen_names *names;
};

static void
deliver(void *arg)
{
    struct delivery *d = arg;
    struct counting *c = &d->seeing->counting;

    names_inherit(d->names, c->names);
    names_free(c->names);
    c->names = d->names;
    free(d);
}

void
seeing_apply(struct seeing *s, const struct balancer_view *view)
{
    struct delivery *d = mem_new(sizeof(*d));

    d->seeing = s;
    d->names = names_new(view);
    if (!loop_post(s->loop, deliver, d)) {
        names_free(d->names);
        free(d);
    }
}

static void
hurry(void *arg)
{
    struct seeing *s = arg;

    s->hurry_until_ms = clock_monotonic_ms() + HURRY_MS;
    look(s);
}

void
seeing_hurry(struct seeing *s)
{
    loop_post(s->loop, hurry, s);
}

struct health {
    struct seeing *seeing;
    char group[17];
    int healthy, unhealthy;
};

static void
take_health(void *arg)
{
    struct health *h = arg;
    struct seen_group *g = names_group(h->seeing->counting.names, str_of(h->group));

    if (g != NULL) {
        g->healthy = h->healthy;
        g->unhealthy = h->unhealthy;
    }
    free(h);
}

void
seeing_health(struct seeing *s, const char *group_id, int healthy, int unhealthy)
{
    struct health *h = mem_new(sizeof(*h));

    *h = (struct health){.seeing = s, .healthy = healthy, .unhealthy = unhealthy};
    text_copy(h->group, sizeof(h->group), str_of(group_id));
    if (!loop_post(s->loop, take_health, h))
        free(h);
}

struct question {
    struct seeing *seeing;
    balancer_traffic_call *call;
    void *arg;
};

static int
count_old(const struct seeing *s)
{
    int count = 0;

    for (const struct stat_worker *w = s->workers; w != NULL; w = w->next)
        count += w != s->workers;
    return count;
}

static void
answer(void *arg)
{
    struct question *q = arg;
    struct seeing *s = q->seeing;
    const struct balancer_traffic traffic = {
        .book = s->counting.book,
        .now_ms = clock_wall_ms(),
        .lines = s->lines,
        .dropped_lines = s->dropped_lines + s->lost_lines,
        .lost_log_bytes = access_files_lost(s->files),
        .old_workers = count_old(s),
    };

    q->call(q->arg, &traffic);
}

void
seeing_read(struct seeing *s, balancer_traffic_call *call, void *arg)
{
    struct question q = {s, call, arg};

    loop_call_and_wait(s->loop, answer, &q);
}

/* ---- life ---- */

struct seeing *
seeing_new(const struct seeing_config *config, struct err *err)
{
    cleanup_free char *root = text_format("%s/log/s3", config->data_dir);
    cleanup_free char *socket = text_format("%s/log.sock", config->folder);
    struct seeing *s = mem_new(sizeof(*s));

    s->loop = loop_new();
    s->reader = reader_new(socket, wake, s, err);
    if (s->reader == NULL) {
        loop_free(s->loop);
        free(s);
        return NULL;
    }
    s->started_ms = clock_monotonic_ms();
    s->admin = text_format("%s/admin.sock", config->folder);
    s->master = text_format("%s/master.sock", config->folder);
    s->counting.book = traffic_book_new();
    s->counting.names = names_new(&(struct balancer_view){0});
    s->files = access_files_new(&(struct access_files_config){
        .root = root, .account = config->account, .address = config->address, .budget_bytes = LOG_BUDGET_BYTES});
    s->timer = loop_timer_new(s->loop, look, s);
    loop_timer_set(s->timer, POLL_MS);
    loop_start(s->loop, "seeing");
    return s;
}

void
seeing_free(struct seeing *s)
{
    if (s == NULL)
        return;
    loop_stop(s->loop);
    loop_join(s->loop);
    reader_free(s->reader); /* it may still wake the loop, which hears nothing any more */
    loop_timer_free(s->timer);
    loop_free(s->loop);
    access_files_free(s->files);
    while (s->workers != NULL) {
        struct stat_worker *w = s->workers;
        s->workers = w->next;
        stat_worker_free(w);
    }
    traffic_book_free(s->counting.book);
    names_free(s->counting.names);
    free(s->admin);
    free(s->master);
    free(s);
}
