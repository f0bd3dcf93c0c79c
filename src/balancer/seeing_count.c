/* SPDX-License-Identifier: MIT */
#include "balancer/seeing_count.h"

#include <stdio.h>
#include <stdlib.h>

void
stat_worker_free(struct stat_worker *w)
{
    if (w == NULL)
        return;
    free(w->bases);
    free(w);
}

/* ---- series ---- */

static struct traffic_series *
series_of_balancer(struct counting *c, int index)
{
    struct traffic_series *s;

    if (index < 0)
        return NULL;
    s = traffic_book_get(c->book, TRAFFIC_OF_LOAD_BALANCER, c->names->balancers[index].arn);
    if (s != NULL)
        memcpy(s->owner, s->id, sizeof(s->owner));
    return s;
}

static struct traffic_series *
series_of_group(struct counting *c, const struct seen_group *g)
{
    struct traffic_series *s = traffic_book_get(c->book, TRAFFIC_OF_GROUP, g->arn);

    if (s != NULL && g->balancer >= 0)
        memcpy(s->owner, c->names->balancers[g->balancer].arn, sizeof(s->owner));
    return s;
}

static struct traffic_series *
series_of_target(struct counting *c, struct str group, struct str address, int port)
{
    char id[ARN_SIZE];

    snprintf(id, sizeof(id), STR_FMT "/" STR_FMT ":%d", STR_ARG(group), STR_ARG(address), port);
    return traffic_book_get(c->book, TRAFFIC_OF_TARGET, id);
}

static struct traffic_series *
series_of_rule(struct counting *c, const struct seen_rule *r)
{
    return traffic_book_get(c->book, TRAFFIC_OF_RULE, r->key);
}

/* To all that are there. */
static void
add(struct counting *c, struct traffic_series *const series[], int count, enum traffic_count what, int64_t n,
    int64_t now_ms)
{
    for (int i = 0; i < count; i++)
        if (series[i] != NULL)
            traffic_add(c->book, series[i], what, n, now_ms);
}

/* ---- counters ---- */

struct round {
    struct counting *counting;
    struct stat_worker *worker;
    bool is_first;
    int next;
    int64_t now_ms;
};

static const int class_columns[STATUS_CLASSES] = {-1, STAT_hrsp_1xx, STAT_hrsp_2xx, STAT_hrsp_3xx, STAT_hrsp_4xx,
                                                  STAT_hrsp_5xx};

static struct stat_base *
base_of(struct round *r, const struct haproxy_stat *row)
{
    struct stat_worker *w = r->worker;
    struct stat_base *b;

    if (r->next < w->count) {
        b = &w->bases[r->next];
        if (str_is(row->proxy, b->proxy) && str_is(row->server, b->server)) {
            r->next++;
            return b;
        }
        w->count = r->next; /* not the rows that it had: begin anew from here */
    }
    if (w->count == w->capacity) {
        w->capacity = w->capacity == 0 ? 32 : w->capacity * 2;
        w->bases = mem_grow(w->bases, (size_t)w->capacity, sizeof(*w->bases));
    }
    b = &w->bases[w->count++];
    r->next++;
    *b = (struct stat_base){0};
    text_copy(b->proxy, sizeof(b->proxy), row->proxy);
    text_copy(b->server, sizeof(b->server), row->server);
    return b;
}

/* What came since; a counter that fell is one that was put back (`clear counters`). */
static void
take_difference(struct stat_base *b, const struct haproxy_stat *row, bool is_first, int64_t out[static STAT_SIZE])
{
    for (int i = 0; i < STAT_SIZE; i++) {
        const int64_t since = row->value[i] - b->value[i];
        out[i] = is_first ? 0 : since >= 0 ? since : row->value[i];
        b->value[i] = row->value[i];
    }
}

static void
count_frontend(struct round *r, const struct haproxy_stat *row, const int64_t *since)
{
    struct counting *c = r->counting;
    struct seen_listener *l = names_listener(c->names, names_listener_id(row->proxy));
    struct traffic_series *s;

    if (l == NULL || (s = series_of_balancer(c, l->balancer)) == NULL)
        return;
    struct seen_balancer *b = &c->names->balancers[l->balancer];
    traffic_add(c->book, s, TRAFFIC_requests, since[STAT_req_tot], r->now_ms);
    traffic_add(c->book, s, TRAFFIC_connections, since[STAT_conn_tot], r->now_ms);
    traffic_add(c->book, s, TRAFFIC_received_bytes, since[STAT_bin], r->now_ms);
    traffic_add(c->book, s, TRAFFIC_sent_bytes, since[STAT_bout], r->now_ms);
    for (int i = 1; i < STATUS_CLASSES; i++)
        b->seen[i] += since[class_columns[i]];
    b->connections += row->value[STAT_scur];
    l->requests_left += since[STAT_req_tot];
}

static void
count_server(struct round *r, const struct haproxy_stat *row, const int64_t *since)
{
    static const enum traffic_count classes[STATUS_CLASSES] = {0,
                                                               TRAFFIC_target_1xx,
                                                               TRAFFIC_target_2xx,
                                                               TRAFFIC_target_3xx,
                                                               TRAFFIC_target_4xx,
                                                               TRAFFIC_target_5xx};
    struct counting *c = r->counting;
    struct seen_group *g = names_group(c->names, names_group_id(row->proxy));
    /* An attempt that was made again, elsewhere, is no request more. */
    const int64_t again = since[STAT_wretr] + since[STAT_wredis];
    const int64_t sent = since[STAT_stot] > again ? since[STAT_stot] - again : 0;

    if (g == NULL || row->address.len == 0 || (row->port == 1 && str_is(row->address, "0.0.0.0")))
        return;
    struct traffic_series *const all[] = {
        series_of_target(c, str_of(g->id), row->address, row->port),
        series_of_group(c, g),
        series_of_balancer(c, g->balancer),
    };
    add(c, all, 2, TRAFFIC_requests, sent, r->now_ms);
    add(c, all, 3, TRAFFIC_routed, sent, r->now_ms);
    add(c, all, 3, TRAFFIC_connection_errors, since[STAT_econ], r->now_ms);
    add(c, all, 3, TRAFFIC_response_errors, since[STAT_eresp], r->now_ms);
    add(c, all, 3, TRAFFIC_retries, again, r->now_ms);
    add(c, all, 2, TRAFFIC_sent_bytes, since[STAT_bout], r->now_ms);
    add(c, all, 2, TRAFFIC_received_bytes, since[STAT_bin], r->now_ms);
    for (int i = 1; i < STATUS_CLASSES; i++) {
        add(c, all, 3, classes[i], since[class_columns[i]], r->now_ms);
        if (g->balancer >= 0)
            c->names->balancers[g->balancer].of_targets[i] += since[class_columns[i]];
    }
    g->in_flight += row->value[STAT_scur];
    if (all[0] != NULL) {
        all[0]->is_seen = true;
        all[0]->now[GAUGE_in_flight] += row->value[STAT_scur];
    }
}

static void
count_row(void *arg, const struct haproxy_stat *row)
{
    struct round *r = arg;
    int64_t since[STAT_SIZE];

    if (row->kind == STAT_BACKEND)
        return; /* sums of its servers, and what found none */
    take_difference(base_of(r, row), row, r->is_first, since);
    if (row->kind == STAT_FRONTEND)
        count_frontend(r, row, since);
    else
        count_server(r, row, since);
}

bool
count_stat(struct counting *c, struct stat_worker *worker, struct str answer, bool is_first, int64_t now_ms,
           struct err *err)
{
    struct round r = {.counting = c, .worker = worker, .is_first = is_first, .now_ms = now_ms};

    return haproxy_parse_stat(answer, count_row, &r, err);
}

/* ---- sharing out ---- */

/* How much of `whole` belongs to who has `part` of `sum`, when `*given` went to those before him: what is
 * left by rounding never exceeds one, and the last one gets it. */
static int64_t
share_of(int64_t whole, int64_t part, int64_t sum, int64_t *parts_before, int64_t *given)
{
    int64_t share;

    *parts_before += part;
    share = (int64_t)((double)whole * (double)*parts_before / (double)sum + 0.5) - *given;
    *given += share;
    return share;
}

static void
share_requests(struct counting *c, struct seen_listener *l, int64_t now_ms)
{
    struct traffic_series *balancer = series_of_balancer(c, l->balancer);
    int64_t sum = l->other_samples, before = 0, given = 0;

    if (l->rule_count == 1) {
        l->rules[0].samples = 1; /* all of them */
        sum = l->other_samples = 0;
    }
    for (int i = 0; i < l->rule_count; i++)
        sum += l->rules[i].samples;
    if (sum == 0 || l->requests_left == 0)
        return; /* until lines of them come */
    for (int i = 0; i < l->rule_count; i++) {
        struct seen_rule *r = &l->rules[i];
        const int64_t share = share_of(l->requests_left, r->samples, sum, &before, &given);
        struct traffic_series *s = series_of_rule(c, r);

        if (s != NULL)
            traffic_add(c->book, s, TRAFFIC_requests, share, now_ms);
        /* Rules were tried in order until this one; the default costs a try of each. */
        if (balancer != NULL)
            traffic_add(c->book, balancer, TRAFFIC_rule_evaluations,
                        share * (r->priority == 0 ? i : i + 1), now_ms);
        r->samples = 0;
    }
    l->requests_left = l->other_samples = 0;
}

static void
share_errors(struct counting *c, struct seen_balancer *b, struct traffic_series *s, int64_t now_ms)
{
    static const enum traffic_count whats[ELB_CODES] = {TRAFFIC_elb_500, TRAFFIC_elb_502, TRAFFIC_elb_503,
                                                        TRAFFIC_elb_504};
    int64_t sum = b->other_code_samples, before = 0, given = 0;

    for (int i = 0; i < ELB_CODES; i++)
        sum += b->code_samples[i];
    if (sum == 0 || b->errors_left == 0)
        return;
    for (int i = 0; i < ELB_CODES; i++) {
        traffic_add(c->book, s, whats[i], share_of(b->errors_left, b->code_samples[i], sum, &before, &given), now_ms);
        b->code_samples[i] = 0;
    }
    b->errors_left = b->other_code_samples = 0;
}

static void
end_balancer(struct counting *c, int index, int64_t now_ms)
{
    static const enum traffic_count classes[STATUS_CLASSES] = {
        0, 0, TRAFFIC_elb_2xx, TRAFFIC_elb_3xx, TRAFFIC_elb_4xx, TRAFFIC_elb_5xx};
    struct seen_balancer *b = &c->names->balancers[index];
    struct traffic_series *s = series_of_balancer(c, index);

    if (s == NULL)
        return;
    for (int i = 2; i < STATUS_CLASSES; i++) {
        const int64_t own = b->seen[i] - b->of_targets[i] - b->booked[i];
        if (own <= 0)
            continue; /* a target's answer is counted a little before the client's */
        traffic_add(c->book, s, classes[i], own, now_ms);
        b->booked[i] += own;
        b->errors_left += i == 5 ? own : 0;
    }
    share_errors(c, b, s, now_ms);
    traffic_look(c->book, s, GAUGE_connections, b->connections, now_ms);
    traffic_look(c->book, s, GAUGE_in_flight, b->in_flight, now_ms);
}

static bool
is_known(const struct traffic_series *s)
{
    if (s->kind == TRAFFIC_OF_TARGET || s->kind == TRAFFIC_OF_RULE)
        return s->is_seen;
    return s->point_count > 0; /* what was, can be asked for until it is too old */
}

static void
see_rules(struct counting *c)
{
    for (int i = 0; i < c->names->listener_count; i++) {
        const struct seen_listener *l = &c->names->listeners[i];

        for (int k = 0; k < l->rule_count; k++) {
            struct traffic_series *s = traffic_book_find(c->book, TRAFFIC_OF_RULE, l->rules[k].key);
            if (s != NULL)
                s->is_seen = true;
        }
    }
}

void
count_begin(struct counting *c)
{
    for (size_t i = 0; i < traffic_book_count(c->book); i++) {
        struct traffic_series *s = traffic_book_at(c->book, i);

        s->is_seen = false;
        if (s->kind == TRAFFIC_OF_TARGET)
            s->now[GAUGE_in_flight] = 0; /* summed over all workers */
    }
    for (int i = 0; i < c->names->balancer_count; i++)
        c->names->balancers[i].connections = c->names->balancers[i].in_flight = 0;
    for (int i = 0; i < c->names->group_count; i++)
        c->names->groups[i].in_flight = 0;
}

void
count_end(struct counting *c, int64_t now_ms)
{
    for (int i = 0; i < c->names->listener_count; i++)
        share_requests(c, &c->names->listeners[i], now_ms);
    for (int i = 0; i < c->names->group_count; i++) {
        struct seen_group *g = &c->names->groups[i];
        struct traffic_series *s = g->balancer >= 0 ? series_of_group(c, g) : NULL;

        if (s != NULL) {
            traffic_look(c->book, s, GAUGE_in_flight, g->in_flight, now_ms);
            traffic_look(c->book, s, GAUGE_healthy, g->healthy, now_ms);
            traffic_look(c->book, s, GAUGE_unhealthy, g->unhealthy, now_ms);
        }
        if (g->balancer >= 0)
            c->names->balancers[g->balancer].in_flight += g->in_flight;
    }
    for (int i = 0; i < c->names->balancer_count; i++)
        end_balancer(c, i, now_ms);
    see_rules(c);
    for (size_t i = traffic_book_count(c->book); i > 0; i--)
        if (!is_known(traffic_book_at(c->book, i - 1)))
            traffic_book_drop(c->book, traffic_book_at(c->book, i - 1));
    traffic_book_trim(c->book, now_ms);
}

/* ---- lines ---- */

static void
count_answer(struct counting *c, const struct access_line *line, const struct seen_listener *l,
             const struct seen_rule *r, int64_t now_ms)
{
    const struct seen_group *g = names_group(c->names, names_group_id(line->backend));
    struct traffic_series *const all[] = {
        series_of_balancer(c, l->balancer),
        g != NULL ? series_of_group(c, g) : NULL,
        g != NULL ? series_of_target(c, str_of(g->id), line->address, line->port) : NULL,
        r != NULL ? series_of_rule(c, r) : NULL,
    };

    for (size_t i = 0; i < ARRAY_COUNT(all); i++)
        if (all[i] != NULL)
            traffic_answered(c->book, all[i], line->response_ms, now_ms);
}

/* Of a 5xx of the load balancer's own; a fixed response may be any. */
static void
count_code(struct seen_balancer *b, int status)
{
    static const int codes[ELB_CODES] = {500, 502, 503, 504};

    if (status < 500 || status > 599)
        return;
    for (int i = 0; i < ELB_CODES; i++)
        if (status == codes[i]) {
            b->code_samples[i]++;
            return;
        }
    b->other_code_samples++;
}

void
count_line(struct counting *c, const struct access_line *line, int64_t now_ms)
{
    struct seen_listener *l = names_listener(c->names, line->listener);
    struct seen_rule *r;

    if (l == NULL)
        return; /* gone, or not known yet */
    r = names_rule_of(l, line);
    if (r != NULL)
        r->samples++;
    else
        l->other_samples++;
    if (access_line_has_answer(line))
        count_answer(c, line, l, r, now_ms);
    else
        count_code(&c->names->balancers[l->balancer], line->status);
}
