/* SPDX-License-Identifier: MIT */
/* Counters and lines to the book: bases, whose they are, sharing out. */
#include "balancer/seeing_count.h"
#include <stdio.h>
#include "base/json.h"
#include "check.h"

#define NOON (INT64_C(1530532800) * 1000)
#define LB "arn:aws:elasticloadbalancing:eu-west-1:000000000000:loadbalancer/app/x/0011223344556677"
#define GROUP "arn:aws:elasticloadbalancing:eu-west-1:000000000000:targetgroup/web/0123456789abcdef"
#define LISTENER "aaaaaaaaaaaaaaaa"
#define HEADER                                                                                            \
    "# pxname,svname,type,scur,stot,bin,bout,dreq,econ,eresp,wretr,wredis,hrsp_1xx,hrsp_2xx,hrsp_3xx,"    \
    "hrsp_4xx,hrsp_5xx,req_tot,addr,conn_tot,dcon,used_conn_cur\n"

static struct json *
parse(const char *text)
{
    struct err err;
    struct json *j = json_parse(str_of(text), &err);

    CHECK(j != NULL);
    return j;
}

struct scene {
    struct counting c;
    struct stat_worker *worker;
};

/* One listener with `rules` rules (at most two) that leads to one group. */
static struct seen_names *
names_with(int rules, const char *bucket)
{
    struct balancer_view *v = mem_new(sizeof(*v));
    struct view_listener *l;

    v->groups = mem_new(sizeof(*v->groups));
    v->group_count = 1;
    text_copy_all(v->groups[0].arn, ARN_SIZE, GROUP);
    text_copy_all(v->groups[0].id, 17, "0123456789abcdef");
    v->listeners = l = mem_new(sizeof(*v->listeners));
    v->listener_count = 1;
    text_copy_all(l->id, 17, LISTENER);
    text_copy_all(l->load_balancer_arn, ARN_SIZE, LB);
    text_copy_all(l->log_bucket, LOG_BUCKET_SIZE, bucket);
    l->port = 80;
    l->actions = parse("[{\"Type\":\"forward\",\"TargetGroupArn\":\"" GROUP "\"}]");
    l->rules = mem_new(2 * sizeof(*l->rules));
    for (l->rule_count = 0; l->rule_count < rules; l->rule_count++) {
        struct view_rule *r = &l->rules[l->rule_count];
        text_copy_all(r->id, sizeof(r->id), l->rule_count == 0 ? "0000000000000001" : "0000000000000002");
        r->priority = l->rule_count + 1;
        r->conditions = parse("[]");
        r->actions = parse("[{\"Type\":\"redirect\"}]");
    }
    struct seen_names *n = names_new(v);
    balancer_view_free(v);
    return n;
}

static struct scene
scene_new(int rules)
{
    return (struct scene){{traffic_book_new(), names_with(rules, "")}, mem_new(sizeof(struct stat_worker))};
}

static void
scene_end(struct scene *s)
{
    traffic_book_free(s->c.book);
    names_free(s->c.names);
    stat_worker_free(s->worker);
}

/* A round with `rows`. */
static void
hear(struct scene *s, const char *rows, bool is_first)
{
    cleanup_free char *text = text_format("%s%s", HEADER, rows);
    struct err err;

    count_begin(&s->c);
    CHECK(count_stat(&s->c, s->worker, str_of(text), is_first, NOON, &err));
    count_end(&s->c, NOON);
}

static void
say(struct scene *s, const char *line)
{
    struct access_line l;

    CHECK(access_line_parse(str_of(line), &l));
    count_line(&s->c, &l, NOON);
}

static int64_t
total(const struct scene *s, enum traffic_kind kind, const char *id, enum traffic_count what)
{
    const struct traffic_series *series = traffic_book_find(s->c.book, kind, id);

    return series != NULL ? series->total[what] : -1;
}

/* pxname,svname,type,scur,stot,bin,bout,dreq,econ,eresp,wretr,wredis,1xx,2xx,3xx,4xx,5xx,req_tot,addr,conn_tot,dcon,used */
#define FRONTEND(stat5xx, requests)                                                                     \
    "listener_" LISTENER "_80,FRONTEND,0,3,9,100,200,0,,,,,0,80,5,10," #stat5xx "," #requests ",,50,0,\n"
#define SERVER(address, sent, again, answers)                                                           \
    "group_0123456789abcdef,s1,2,2," #sent ",10,20,,1,0,0," #again ",0," #answers ",0,10,1,0," address ",,,1\n"

TEST(differences_are_booked)
{
    cleanup(scene_end) struct scene s = scene_new(0);

    hear(&s, FRONTEND(2, 90) SERVER("10.0.0.1:80", 95, 1, 80), true); /* before our time */
    CHECK_EQ(total(&s, TRAFFIC_OF_LOAD_BALANCER, LB, TRAFFIC_requests), 0);
    hear(&s, FRONTEND(6, 100) SERVER("10.0.0.1:80", 105, 3, 85), false);
    CHECK_EQ(total(&s, TRAFFIC_OF_LOAD_BALANCER, LB, TRAFFIC_requests), 10);
    CHECK_EQ(total(&s, TRAFFIC_OF_LOAD_BALANCER, LB, TRAFFIC_routed), 8);
    CHECK_EQ(total(&s, TRAFFIC_OF_LOAD_BALANCER, LB, TRAFFIC_target_2xx), 5);
    CHECK_EQ(total(&s, TRAFFIC_OF_LOAD_BALANCER, LB, TRAFFIC_elb_5xx), 4);
    CHECK_EQ(total(&s, TRAFFIC_OF_GROUP, GROUP, TRAFFIC_requests), 8);
    CHECK_EQ(total(&s, TRAFFIC_OF_GROUP, GROUP, TRAFFIC_retries), 2);
    CHECK_EQ(total(&s, TRAFFIC_OF_TARGET, "0123456789abcdef/10.0.0.1:80", TRAFFIC_requests), 8);
    CHECK_EQ(total(&s, TRAFFIC_OF_RULE, LISTENER ".default", TRAFFIC_requests), 10);
    CHECK_EQ(traffic_book_find(s.c.book, TRAFFIC_OF_LOAD_BALANCER, LB)->now[GAUGE_connections], 3);
    CHECK_EQ(traffic_book_find(s.c.book, TRAFFIC_OF_GROUP, GROUP)->now[GAUGE_in_flight], 2);
}

TEST(a_new_worker_begins_at_zero)
{
    cleanup(scene_end) struct scene s = scene_new(0);

    hear(&s, FRONTEND(2, 90), false);
    CHECK_EQ(total(&s, TRAFFIC_OF_LOAD_BALANCER, LB, TRAFFIC_requests), 90);
    stat_worker_free(s.worker);
    s.worker = mem_new(sizeof(*s.worker));
    hear(&s, FRONTEND(0, 4), false);
    CHECK_EQ(total(&s, TRAFFIC_OF_LOAD_BALANCER, LB, TRAFFIC_requests), 94);
    hear(&s, FRONTEND(0, 1), false); /* put back by somebody: counted from there */
    CHECK_EQ(total(&s, TRAFFIC_OF_LOAD_BALANCER, LB, TRAFFIC_requests), 95);
}

/* The line stays, who sits there changes: what comes then is the new one's. */
TEST(a_slot_changes_hands)
{
    cleanup(scene_end) struct scene s = scene_new(0);

    hear(&s, SERVER("10.0.0.1:80", 10, 0, 10), false);
    hear(&s, SERVER("10.0.0.2:80", 14, 0, 14), false);
    CHECK_EQ(total(&s, TRAFFIC_OF_TARGET, "0123456789abcdef/10.0.0.2:80", TRAFFIC_requests), 4);
    CHECK_EQ(total(&s, TRAFFIC_OF_TARGET, "0123456789abcdef/10.0.0.1:80", TRAFFIC_requests), -1); /* is gone */
    CHECK_EQ(total(&s, TRAFFIC_OF_GROUP, GROUP, TRAFFIC_requests), 14);
    hear(&s, SERVER("0.0.0.0:1", 14, 0, 14), false); /* nobody */
    CHECK_EQ(total(&s, TRAFFIC_OF_TARGET, "0123456789abcdef/0.0.0.0:1", TRAFFIC_requests), -1);
}

TEST(requests_are_shared_out_among_rules)
{
    cleanup(scene_end) struct scene s = scene_new(2);

    hear(&s, FRONTEND(0, 100), false); /* no line yet: they wait */
    CHECK_EQ(total(&s, TRAFFIC_OF_RULE, "0000000000000001", TRAFFIC_requests), -1);
    for (int i = 0; i < 3; i++)
        say(&s, "<134>S " LISTENER " 0 -1 -1 -1 0 answer_0000000000000001_x - - 302 LR-- 0000000000000001");
    say(&s, "<134>S " LISTENER " 0 0 0 7 8 group_0123456789abcdef 10.0.0.1 80 200 ---- -");
    say(&s, "<134>S " LISTENER " -1 -1 -1 -1 0 listener_x_80 - - 400 PR-- -");
    hear(&s, FRONTEND(0, 100), false);
    CHECK_EQ(total(&s, TRAFFIC_OF_RULE, "0000000000000001", TRAFFIC_requests), 60);
    CHECK_EQ(total(&s, TRAFFIC_OF_RULE, "0000000000000002", TRAFFIC_requests), 0);
    CHECK_EQ(total(&s, TRAFFIC_OF_RULE, LISTENER ".default", TRAFFIC_requests), 20);
    CHECK_EQ(total(&s, TRAFFIC_OF_LOAD_BALANCER, LB, TRAFFIC_rule_evaluations), 60 + 20 * 2);
}

TEST(errors_of_its_own_are_shared_out_among_codes)
{
    cleanup(scene_end) struct scene s = scene_new(0);

    say(&s, "<134>S " LISTENER " 0 0 1 -1 9 group_0123456789abcdef 10.0.0.1 80 504 sH-- -");
    say(&s, "<134>S " LISTENER " 0 0 -1 -1 9 group_0123456789abcdef 10.0.0.1 80 502 SC-- -");
    say(&s, "<134>S " LISTENER " 0 0 -1 -1 9 group_0123456789abcdef 10.0.0.1 80 502 SC-- -");
    hear(&s, FRONTEND(30, 100), false);
    CHECK_EQ(total(&s, TRAFFIC_OF_LOAD_BALANCER, LB, TRAFFIC_elb_5xx), 30);
    CHECK_EQ(total(&s, TRAFFIC_OF_LOAD_BALANCER, LB, TRAFFIC_elb_502), 20);
    CHECK_EQ(total(&s, TRAFFIC_OF_LOAD_BALANCER, LB, TRAFFIC_elb_504), 10);
    CHECK_EQ(total(&s, TRAFFIC_OF_LOAD_BALANCER, LB, TRAFFIC_elb_503), 0);
}

/* A fixed response of 501 is none of the four codes, and takes none of their number. */
TEST(errors_of_other_codes_have_their_share)
{
    cleanup(scene_end) struct scene s = scene_new(1);

    for (int i = 0; i < 2; i++)
        say(&s, "<134>S " LISTENER " 0 -1 -1 -1 0 answer_0000000000000001_x - - 501 LR-- 0000000000000001");
    hear(&s, FRONTEND(20, 100), false); /* all of them */
    say(&s, "<134>S " LISTENER " 0 0 -1 -1 9 group_0123456789abcdef 10.0.0.1 80 502 SC-- -");
    hear(&s, FRONTEND(21, 101), false);
    CHECK_EQ(total(&s, TRAFFIC_OF_LOAD_BALANCER, LB, TRAFFIC_elb_5xx), 21);
    CHECK_EQ(total(&s, TRAFFIC_OF_LOAD_BALANCER, LB, TRAFFIC_elb_502), 1);
}

TEST(latencies_are_those_of_targets)
{
    cleanup(scene_end) struct scene s = scene_new(0);
    const char *target = "0123456789abcdef/10.0.0.1:80";

    say(&s, "<134>S " LISTENER " 9 9 9 7 99 group_0123456789abcdef 10.0.0.1 80 500 ---- -");
    say(&s, "<134>S " LISTENER " 0 0 1 -1 9 group_0123456789abcdef 10.0.0.1 80 504 sH-- -");
    say(&s, "<134>S ffffffffffffffff 0 0 1 1 9 group_0123456789abcdef 10.0.0.1 80 200 ---- -"); /* unknown */
    CHECK_EQ(traffic_book_find(s.c.book, TRAFFIC_OF_LOAD_BALANCER, LB)->latency_samples, 1);
    CHECK_EQ(traffic_book_find(s.c.book, TRAFFIC_OF_LOAD_BALANCER, LB)->latency_total_ms, 7);
    CHECK_EQ(traffic_book_find(s.c.book, TRAFFIC_OF_TARGET, target)->latency_samples, 1);
    CHECK_EQ(traffic_book_find(s.c.book, TRAFFIC_OF_GROUP, GROUP)->latency_samples, 1);
    hear(&s, FRONTEND(1, 2), false); /* the target's own 500 is none of the load balancer's codes */
    CHECK_EQ(total(&s, TRAFFIC_OF_LOAD_BALANCER, LB, TRAFFIC_elb_500), 0);
}

/* A new view: what waited goes on, what is given anew counts. */
TEST(names_inherit_what_was_not_booked_yet)
{
    cleanup(scene_end) struct scene s = scene_new(2);
    struct seen_names *next = names_with(1, "logs");

    say(&s, "<134>S " LISTENER " 0 -1 -1 -1 0 answer_0000000000000001_x - - 302 LR-- 0000000000000001");
    s.c.names->balancers[0].seen[5] = 9;
    s.c.names->groups[0].healthy = 4;
    names_inherit(next, s.c.names);
    names_free(s.c.names);
    s.c.names = next;
    CHECK_EQ(next->balancers[0].seen[5], 9);
    CHECK_TEXT(next->balancers[0].bucket, "logs");
    CHECK_TEXT(next->balancers[0].name, "app/x/0011223344556677");
    CHECK_TEXT(next->balancers[0].region, "eu-west-1");
    CHECK_EQ(next->groups[0].healthy, 4);
    CHECK_EQ(next->groups[0].balancer, 0);
    hear(&s, FRONTEND(0, 5), false);
    CHECK_EQ(total(&s, TRAFFIC_OF_RULE, "0000000000000001", TRAFFIC_requests), 5);
}
