/* SPDX-License-Identifier: MIT */
/* Options of target groups by the real HAProxy: clients that stay, slow starts, failing open. */
#include <signal.h>
#include <sys/stat.h>
#include "balancer/haproxy_socket.h"
#include "balancer/world.h"

#define VALUE_SIZE 128

/* A request with a Cookie header. */
static struct reply
ask(const struct world *w, const char *path, const char *cookies)
{
    cleanup_free char *request =
        text_format("GET %s HTTP/1.1\r\nHost: a\r\n%s%s%s\r\n", path, cookies[0] != '\0' ? "Cookie: " : "",
                    cookies, cookies[0] != '\0' ? "\r\n" : "");
    const struct reply reply = client_send(w->port, request);

    if (reply.status != 200)
        check_fail(__FILE__, __LINE__, "%d for %s", reply.status, request);
    return reply;
}

/* "name=value" of an answer's Set-Cookie; empty: it sets none. */
static bool
find_cookie(const struct reply *reply, const char *name, char out[static VALUE_SIZE])
{
    cleanup_free char *want = text_format("set-cookie: %s=", name);
    const char *at = strcasestr(reply->head, want);

    out[0] = '\0';
    if (at == NULL)
        return false;
    at += strlen("set-cookie: ");
    snprintf(out, VALUE_SIZE, "%.*s", (int)strcspn(at, ";\r"), at);
    return true;
}

static void
check_stays(const struct world *w, const char *cookies, const char *name)
{
    for (int i = 0; i < 12; i++)
        CHECK_TEXT(ask(w, "/", cookies).body, name);
}

/* How many of `count` requests meet the target. */
static int
count_at(const struct world *w, const char *cookies, const char *name, int count)
{
    int met = 0;

    for (int i = 0; i < count; i++)
        met += strcmp(ask(w, "/", cookies).body, name) == 0;
    return met;
}

static void
start_apps(struct world *w, int count)
{
    for (int i = 0; i < count; i++)
        world_register(w, app_start(w));
    for (int i = 0; i < count; i++)
        world_wait_healthy(&w->apps[i]);
}

static struct app *
app_named(struct world *w, const char *name)
{
    for (int i = 0; i < w->app_count; i++)
        if (strcmp(w->apps[i].name, name) == 0)
            return &w->apps[i];
    check_fail(__FILE__, __LINE__, "no app %s", name);
}

static void
be_sticky(struct world *w)
{
    w->options.stickiness = STICKY_BALANCER;
    w->options.sticky_s = 60;
}

TEST(a_client_stays_with_its_target_by_either_cookie)
{
    WORLD;
    char cookie[VALUE_SIZE], cors[VALUE_SIZE];

    be_sticky(w);
    start_apps(w, 3);
    const struct reply first = ask(w, "/", "");
    CHECK(find_cookie(&first, "AWSALB", cookie) && find_cookie(&first, "AWSALBCORS", cors));
    CHECK_TEXT(cookie + strlen("AWSALB="), cors + strlen("AWSALBCORS="));
    CHECK(strstr(first.head, "SameSite=None; Secure") != NULL && strstr(first.head, "Max-Age=60") != NULL);
    CHECK(strstr(first.head, "127.0.0.1") == NULL);
    check_stays(w, cookie, first.body);
    check_stays(w, cors, first.body);
    CHECK_EQ(count_at(w, "", first.body, 30), 10); /* others are shared out */
    const struct reply forged = ask(w, "/", "AWSALB=0123456789abcdef|aaaaa");
    CHECK(find_cookie(&forged, "AWSALB", cors));
    CHECK_EQ(count_at(w, "AWSALB=0123456789abcdef|aaaaa", first.body, 30), 10);
}

/* Its time is five characters behind the '|': one more of the second is twelve days. */
TEST(a_cookie_that_is_too_old_is_ignored)
{
    WORLD;
    char cookie[VALUE_SIZE];
    char *date;

    be_sticky(w);
    start_apps(w, 3);
    const struct reply first = ask(w, "/", "");
    CHECK(find_cookie(&first, "AWSALB", cookie));
    date = strchr(cookie, '|');
    CHECK(date != NULL && strlen(date) == 6);
    check_stays(w, cookie, first.body);
    date[2] = date[2] == 'A' ? 'Z' : 'A'; /* long ago, or not yet */
    CHECK_EQ(count_at(w, cookie, first.body, 30), 10);
    const struct reply again = ask(w, "/", cookie);
    CHECK(find_cookie(&again, "AWSALB", cookie)); /* another one */
}

TEST(a_sticky_client_leaves_a_target_that_is_unhealthy)
{
    WORLD;
    char cookie[VALUE_SIZE], other[VALUE_SIZE];

    be_sticky(w);
    w->check.interval_s = w->check.timeout_s = 1;
    start_apps(w, 2);
    const struct reply first = ask(w, "/", "");
    CHECK(find_cookie(&first, "AWSALB", cookie));
    struct app *app = app_named(w, first.body);
    atomic_store(&app->health_status, 500);
    WAIT_FOR(atomic_load(&app->told_state) == TARGET_unhealthy, 5000);
    WAIT_FOR(strcmp(ask(w, "/", cookie).body, first.body) != 0, 2000);
    const struct reply next = ask(w, "/", cookie);
    CHECK(find_cookie(&next, "AWSALB", other) && strcmp(cookie, other) != 0);
    check_stays(w, other, next.body);
    atomic_store(&app->health_status, 200);
    world_wait_healthy(app);
    check_stays(w, other, next.body); /* it does not move back by itself */
}

TEST(a_slot_in_other_hands_inherits_no_clients)
{
    WORLD;
    char cookie[VALUE_SIZE], now[VALUE_SIZE];

    be_sticky(w);
    start_apps(w, 1);
    const struct reply first = ask(w, "/", "");
    CHECK(find_cookie(&first, "AWSALB", cookie));
    for (int i = 0; i < 2; i++)
        world_register(w, app_start(w));
    for (int i = 1; i < 3; i++)
        world_wait_healthy(&w->apps[i]);
    world_drain(w, &w->apps[0]);
    world_stop_app(w, &w->apps[0]);
    struct app *third = app_start(w); /* into the slot that is free now */
    world_register(w, third);
    world_wait_healthy(third);
    CHECK_EQ(count_at(w, cookie, third->name, 30), 10);
    const struct reply reply = ask(w, "/", cookie);
    CHECK(find_cookie(&reply, "AWSALB", now) && strcmp(cookie, now) != 0);
}

TEST(cookies_outlive_naru_and_haproxy)
{
    WORLD;
    char cookie[VALUE_SIZE];
    struct stat st;
    cleanup_free char *key = text_format("%s/haproxy/cookie.key", w->dir);

    be_sticky(w);
    start_apps(w, 3);
    const struct reply first = ask(w, "/", "");
    CHECK(find_cookie(&first, "AWSALB", cookie));
    CHECK(stat(key, &st) == 0 && (st.st_mode & 0777) == 0600);
    balancer_free(w->balancer);
    world_open(w);
    world_apply(w);
    WAIT_FOR(balancer_is_ready(w->balancer), 5000);
    check_stays(w, cookie, first.body);
    const pid_t before = haproxy_master(w);
    kill(before, SIGKILL);
    WAIT_FOR(haproxy_master(w) != before, 5000);
    WAIT_FOR(client_once(w->port, "GET", "/").status == 200, 5000);
    check_stays(w, cookie, first.body);
}

TEST(an_application_decides_when_its_clients_stay)
{
    WORLD;
    char cookie[VALUE_SIZE], both[2 * VALUE_SIZE];

    w->options.stickiness = STICKY_APPLICATION;
    w->options.sticky_s = 60;
    snprintf(w->options.cookie_name, sizeof(w->options.cookie_name), "SID");
    start_apps(w, 3);
    const struct reply before = ask(w, "/", "");
    CHECK(!find_cookie(&before, "AWSALBAPP-0", cookie)); /* it asked for nothing */
    const struct reply login = ask(w, "/login", "");
    CHECK(find_cookie(&login, "AWSALBAPP-0", cookie));
    snprintf(both, sizeof(both), "SID=abc; %s", cookie);
    check_stays(w, both, login.body);
    CHECK_EQ(count_at(w, cookie, login.body, 30), 10); /* ours alone says nothing */
    snprintf(both, sizeof(both), "a=1; %s; SID=abc; b=2", cookie);
    check_stays(w, both, login.body);
    struct app *app = app_named(w, login.body);
    world_drain(w, app);
    world_stop_app(w, app);
    const struct reply moved = ask(w, "/", both);
    CHECK(strcmp(moved.body, login.body) != 0 && find_cookie(&moved, "AWSALBAPP-0", cookie));
    snprintf(both, sizeof(both), "SID=abc; %s", cookie);
    check_stays(w, both, moved.body);
}

TEST(a_slow_start_grows_to_its_share)
{
    WORLD;

    w->options.slow_start_s = 3;
    start_apps(w, 1);
    clock_sleep_ms(3500);
    struct app *second = app_start(w);
    world_register(w, second);
    world_wait_healthy(second);
    const int at_first = count_at(w, "", second->name, 40);
    clock_sleep_ms(3500);
    const int at_last = count_at(w, "", second->name, 40);
    printf("   %d of 40 at first, %d at last\n", at_first, at_last);
    CHECK(at_first < 15);
    CHECK_EQ(at_last, 20);
}

TEST(too_few_healthy_targets_open_the_group)
{
    WORLD;

    w->check.interval_s = w->check.timeout_s = 1;
    w->options.healthy_min_count = 2;
    start_apps(w, 3);
    const pid_t worker = haproxy_worker(w);
    for (int i = 1; i < 3; i++)
        atomic_store(&w->apps[i].health_status, 500);
    for (int i = 1; i < 3; i++)
        WAIT_FOR(atomic_load(&w->apps[i].told_state) == TARGET_unhealthy, 5000);
    WAIT_FOR(count_at(w, "", "app1", 30) == 10, 3000); /* one is fewer than two */
    w->options.healthy_min_count = 1;
    world_apply(w);
    WAIT_FOR(count_at(w, "", "app1", 30) == 30, 3000);
    w->options.healthy_min_percent = 34;
    world_apply(w);
    WAIT_FOR(count_at(w, "", "app1", 30) == 10, 3000);
    CHECK(haproxy_worker(w) == worker); /* no reload for any of it */
}

/* ---- clients that stay with a group ---- */

#define SPLIT(one, two)                                                                             \
    "[{\"Type\":\"forward\",\"ForwardConfig\":{\"TargetGroups\":["                                  \
    "{\"TargetGroupArn\":\"" GROUP_ARN "\",\"Weight\":" one "},"                                    \
    "{\"TargetGroupArn\":\"" OTHER_ARN "\",\"Weight\":" two "}],"                                   \
    "\"TargetGroupStickinessConfig\":{\"Enabled\":true,\"DurationSeconds\":60}}}]"

static void
weigh(struct world *w, const char *actions)
{
    w->actions = actions;
    w->generation++;
    world_apply(w);
    WAIT_FOR(atomic_load(&w->in_force) == w->generation, 5000);
}

static void
start_groups(struct world *w)
{
    for (int i = 0; i < 2; i++) {
        struct app *app = app_start(w);
        app->group = i;
        world_register(w, app);
    }
    for (int i = 0; i < 2; i++)
        world_wait_healthy(&w->apps[i]);
    WAIT_FOR(balancer_is_ready(w->balancer), 5000);
}

/* The cookies of a client that met the target. */
static void
become_client_of(const struct world *w, const char *name, char cookie[static VALUE_SIZE],
                 char cors[static VALUE_SIZE])
{
    for (int i = 0; i < 100; i++) {
        const struct reply reply = ask(w, "/", "");
        CHECK(find_cookie(&reply, "AWSALBTG", cookie) && find_cookie(&reply, "AWSALBTGCORS", cors));
        CHECK(strstr(reply.head, "Max-Age=60") != NULL);
        if (strcmp(reply.body, name) == 0)
            return;
    }
    check_fail(__FILE__, __LINE__, "never met %s", name);
}

TEST(a_client_stays_with_its_group_while_that_has_a_weight)
{
    WORLD;
    char cookie[VALUE_SIZE], cors[VALUE_SIZE], other[VALUE_SIZE];

    w->actions = SPLIT("1", "1");
    start_groups(w);
    become_client_of(w, "app2", cookie, cors);
    become_client_of(w, "app1", other, cors);
    become_client_of(w, "app2", cookie, cors);
    CHECK(strcmp(cookie, other) != 0);
    check_stays(w, cookie, "app2");
    check_stays(w, cors, "app2");
    const pid_t worker = haproxy_worker(w);
    weigh(w, SPLIT("99", "1"));
    check_stays(w, cookie, "app2"); /* however small it is */
    weigh(w, SPLIT("1", "0"));
    check_stays(w, cookie, "app1");
    const struct reply moved = ask(w, "/", cookie);
    CHECK(find_cookie(&moved, "AWSALBTG", cors)); /* and is told so */
    CHECK_TEXT(cors, other);
    weigh(w, SPLIT("0", "1"));
    check_stays(w, other, "app2");
    weigh(w, SPLIT("1", "1"));
    check_stays(w, other, "app1");
    CHECK(haproxy_worker(w) == worker); /* weights are no reload */
}

TEST(who_stays_does_not_shift_the_shares_of_the_others)
{
    WORLD;
    char cookie[VALUE_SIZE], cors[VALUE_SIZE];
    int met = 0;

    w->actions = SPLIT("9", "1");
    start_groups(w);
    become_client_of(w, "app2", cookie, cors);
    const int before = atomic_load(&w->apps[1].requests);
    for (int i = 0; i < 100; i++) {
        check_stays(w, cookie, "app2");
        met += strcmp(ask(w, "/", "").body, "app2") == 0;
    }
    CHECK_EQ(atomic_load(&w->apps[1].requests) - before, 1200 + met);
    printf("   %d of 100\n", met);
    CHECK(met >= 8 && met <= 12);
}

TEST(a_forged_token_of_a_group_is_ignored)
{
    static const char *const forged[] = {
        "AWSALBTG=", "AWSALBTG=x", "AWSALBTG=00000000000000000000000000000000",
        "AWSALBTG=group_fedcba9876543210", "AWSALBTG=default:group_fedcba9876543210",
        "AWSALBTG=../../x", "AWSALBTG=a b", "AWSALBTG=%5b",
    };
    WORLD;
    char cookie[VALUE_SIZE];

    w->actions = SPLIT("1", "0");
    start_groups(w);
    for (size_t i = 0; i < ARRAY_COUNT(forged); i++) {
        const struct reply reply = ask(w, "/", forged[i]);
        CHECK_TEXT(reply.body, "app1");
        CHECK(find_cookie(&reply, "AWSALBTG", cookie));
    }
}

TEST(tokens_outlive_restarts_and_their_map_is_repaired)
{
    WORLD;
    char cookie[VALUE_SIZE], cors[VALUE_SIZE];
    struct err err;
    cleanup_free char *path = text_format("%s/haproxy/admin.sock", w->dir);
    cleanup(strbuf_done) struct strbuf answer = {0};

    w->actions = SPLIT("1", "1");
    start_groups(w);
    become_client_of(w, "app2", cookie, cors);
    balancer_free(w->balancer);
    const pid_t worker = haproxy_worker(w);
    world_open(w);
    world_apply(w);
    WAIT_FOR(balancer_is_ready(w->balancer), 5000);
    CHECK(haproxy_worker(w) == worker);
    check_stays(w, cookie, "app2");
    CHECK(haproxy_ask(path, "clear map maps/aaaaaaaaaaaaaaaa.sticky", &answer, &err));
    WAIT_FOR(count_at(w, cookie, "app2", 12) == 12, 15000); /* the audit */
}

TEST(a_rule_keeps_clients_by_itself)
{
    WORLD;
    char cookie[VALUE_SIZE], cors[VALUE_SIZE], ignored[VALUE_SIZE];

    w->rules = "[{\"Id\":\"sticky\",\"Conditions\":[{\"Field\":\"path-pattern\",\"PathPatternConfig\":{\"Values\":"
               "[\"/\"]}}],\"Actions\":" SPLIT("1", "1") "}]";
    start_groups(w);
    become_client_of(w, "app2", cookie, cors);
    check_stays(w, cookie, "app2");
    const struct reply reply = ask(w, "/elsewhere", cookie); /* the default action keeps nobody */
    CHECK_TEXT(reply.body, "app1");
    CHECK(!find_cookie(&reply, "AWSALBTG", ignored));
}
