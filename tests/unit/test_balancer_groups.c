/* SPDX-License-Identifier: MIT */
/* What attributes of target groups and stickiness of actions make of HAProxy's configuration. */
#include <sys/stat.h>
#include "balancer/cookie_key.h"
#include "balancer/haproxy_config.h"
#include "base/json.h"
#include "base/random.h"
#include "config_setup.h"
#include "io/file.h"

static struct json *
parse(const char *text)
{
    struct err err;
    struct json *j = json_parse(str_of(text), &err);

    if (j == NULL)
        check_fail(__FILE__, __LINE__, "%s: %s", text, err.message);
    return j;
}

/* ---- attributes ---- */

static struct group_options
options_of(const char *attributes)
{
    cleanup_json struct json *j = parse(attributes);

    return group_options_of(j);
}

TEST(attributes_become_options)
{
    struct group_options o = options_of("{}");

    CHECK(o.stickiness == STICKY_NONE && o.slow_start_s == 0);
    CHECK(o.healthy_min_count == 1 && o.healthy_min_percent == 0);
    o = options_of("{\"stickiness.enabled\":\"true\",\"stickiness.lb_cookie.duration_seconds\":\"60\"}");
    CHECK(o.stickiness == STICKY_BALANCER);
    CHECK_EQ(o.sticky_s, 60);
    o = options_of("{\"stickiness.enabled\":\"true\",\"stickiness.type\":\"app_cookie\","
                   "\"stickiness.app_cookie.cookie_name\":\"SID\","
                   "\"stickiness.app_cookie.duration_seconds\":\"7\"}");
    CHECK(o.stickiness == STICKY_APPLICATION);
    CHECK_TEXT(o.cookie_name, "SID");
    CHECK_EQ(o.sticky_s, 7);
    o = options_of("{\"slow_start.duration_seconds\":\"30\","
                   "\"target_group_health.unhealthy_state_routing.minimum_healthy_targets.count\":\"3\","
                   "\"target_group_health.unhealthy_state_routing.minimum_healthy_targets.percentage\":\"50\"}");
    CHECK(o.slow_start_s == 30 && o.healthy_min_count == 3 && o.healthy_min_percent == 50);
    o = options_of("{\"target_group_health.unhealthy_state_routing.minimum_healthy_targets.percentage\":\"off\"}");
    CHECK_EQ(o.healthy_min_percent, 0);
}

TEST(a_cookie_name_cannot_leave_its_place)
{
    static const char *const bad[] = {"", "a b", "a\"", "a)", "a\n", "a'", "a#", "a%[src]", "a;", "\xc3\xa9"};
    char longest[COOKIE_NAME_MAX + 2];

    for (size_t i = 0; i < ARRAY_COUNT(bad); i++)
        if (cookie_name_is_valid(bad[i]))
            check_fail(__FILE__, __LINE__, "'%s'", bad[i]);
    CHECK(cookie_name_is_valid("connect.sid") && cookie_name_is_valid("__Host-SID"));
    memset(longest, 'a', sizeof(longest));
    longest[COOKIE_NAME_MAX + 1] = '\0';
    CHECK(!cookie_name_is_valid(longest));
    longest[COOKIE_NAME_MAX] = '\0';
    CHECK(cookie_name_is_valid(longest));
    CHECK(options_of("{\"stickiness.enabled\":\"true\",\"stickiness.type\":\"app_cookie\","
                     "\"stickiness.app_cookie.cookie_name\":\"a b\"}")
              .stickiness == STICKY_NONE);
}

/* ---- the text ---- */

#define KEY "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

static struct setup *
with_options(const char *actions)
{
    struct setup *s = setup_new(actions);

    for (int i = 0; i < 2; i++) {
        s->options[i] = group_options_of(NULL);
        s->groups[i].options = &s->options[i];
    }
    s->config.cookie_key = KEY;
    return s;
}

#define FORWARD "[{\"Type\":\"forward\",\"TargetGroupArn\":\"arn:one\"}]"

/* From one backend to the next, without its servers. */
static char *
backend_of(const struct setup *s, const char *name)
{
    cleanup(strbuf_done) struct strbuf text = {0};
    cleanup_free char *begin = text_format("backend %s\n", name);

    haproxy_config_format(&s->config, &text);
    const char *at = strstr(strbuf_cstr(&text), begin);
    CHECK(at != NULL);
    const char *end = strstr(at, "    server s1 ");
    CHECK(end != NULL);
    return text_format("%.*s", (int)(end - at), at);
}

static void
check_backend(const struct setup *s, const char *name, const char *want)
{
    cleanup_free char *text = backend_of(s, name);

    CHECK_TEXT(text, want);
}

TEST(a_group_without_options_has_the_text_of_before)
{
    cleanup(setup_free) struct setup *s = with_options(FORWARD);
    cleanup(strbuf_done) struct strbuf with = {0};
    cleanup(strbuf_done) struct strbuf without = {0};

    haproxy_config_format(&s->config, &with);
    s->groups[0].options = s->groups[1].options = NULL;
    s->config.cookie_key = NULL;
    haproxy_config_format(&s->config, &without);
    CHECK_TEXT(strbuf_cstr(&with), strbuf_cstr(&without));
    check_backend(s, "group_one",
                  "backend group_one\n    balance roundrobin\n    timeout server 75s\n"
                  "    timeout tunnel 75s\n");
}

TEST(a_sticky_group_has_a_cookie_and_a_key_of_its_own)
{
    cleanup(setup_free) struct setup *s = with_options(FORWARD);

    s->options[0].stickiness = s->options[1].stickiness = STICKY_BALANCER;
    s->options[0].sticky_s = s->options[1].sticky_s = 60;
    cleanup_free char *one = backend_of(s, "group_one");
    cleanup_free char *two = backend_of(s, "group_two");
    const char *key = strstr(one, "dynamic-cookie-key ");
    CHECK(key != NULL && strlen(key) == 19 + 32 + 1);
    CHECK(strstr(two, key) == NULL);
    CHECK(strstr(one, KEY) == NULL); /* what it is made of stays in its file */
    CHECK(strstr(one,
                 "    http-request add-header Cookie \"AWSALB=%[req.cook(AWSALBCORS)]\""
                 " if { req.cook(AWSALBCORS) -m found } !{ req.cook(AWSALB) -m found }\n"
                 "    cookie AWSALB insert dynamic maxidle 60s attr \"Max-Age=60\"\n"
                 "    http-after-response add-header Set-Cookie \"AWSALBCORS=%[res.cook(AWSALB)];"
                 " path=/; Max-Age=60; SameSite=None; Secure\" if { res.cook(AWSALB) -m found }\n"
                 "    dynamic-cookie-key ") != NULL);
}

TEST(an_application_cookie_carries_ours_beside_it)
{
    cleanup(setup_free) struct setup *s = with_options(FORWARD);

    s->options[0].stickiness = STICKY_APPLICATION;
    s->options[0].sticky_s = 9;
    snprintf(s->options[0].cookie_name, sizeof(s->options[0].cookie_name), "SID");
    cleanup_free char *one = backend_of(s, "group_one");
    CHECK(strstr(one,
                 "    http-request set-var(txn.app) int(1) if { req.cook(SID) -m found }\n"
                 "    http-request replace-header Cookie \"(.*)AWSALBAPP-0=[^;]*;? ?(.*)\" \"\\1\\2\""
                 " if !{ var(txn.app) -m found }\n"
                 "    cookie AWSALBAPP-0 insert dynamic maxidle 9s attr \"Max-Age=9\"\n"
                 "    http-after-response del-header Set-Cookie if !{ var(txn.app) -m found }"
                 " !{ res.cook(SID) -m found } { res.cook(AWSALBAPP-0) -m found }"
                 " { res.fhdr_cnt(set-cookie) eq 1 }\n"
                 "    dynamic-cookie-key ") != NULL);
}

TEST(algorithms_and_slow_start_are_structure)
{
    cleanup(setup_free) struct setup *s = with_options(FORWARD);
    char first[HAPROXY_FINGERPRINT_SIZE], now[HAPROXY_FINGERPRINT_SIZE];

    haproxy_config_fingerprint(&s->config, first);
    s->options[0].healthy_min_count = 3; /* changes at run time */
    haproxy_config_fingerprint(&s->config, now);
    CHECK_TEXT(now, first);
    s->options[0].slow_start_s = 30;
    haproxy_config_fingerprint(&s->config, now);
    CHECK(strcmp(now, first) != 0);
    s->groups[1].algorithm = "weighted_random";
    check_backend(s, "group_one",
                  "backend group_one\n    balance roundrobin\n    timeout server 75s\n"
                  "    timeout tunnel 75s\n    default-server slowstart 30s\n");
    check_backend(s, "group_two",
                  "backend group_two\n    balance random(1)\n    timeout server 60s\n"
                  "    timeout tunnel 60s\n");
}

TEST(targets_may_speak_tls_and_http2)
{
#define HEAD(algorithm) "backend group_one\n    balance " algorithm "\n    timeout server 75s\n    timeout tunnel 75s\n"
#define TLS "    timeout connect 5000ms\n"
#define ONLY_H2 "    http-request return status 464 if !{ req.ver 2.0 }\n"
#define ONLY_POST "    http-request return status 464 if !{ method POST }\n"
    static const struct {
        const char *protocol, *version, *want;
    } rows[] = {
        {"HTTP", "HTTP1", HEAD("roundrobin")},
        {"HTTPS", "HTTP1", HEAD("roundrobin") TLS "    default-server ssl verify none\n"},
        {"HTTP", "HTTP2", HEAD("roundrobin") ONLY_H2 "    default-server proto h2\n"},
        {"HTTPS", "HTTP2", HEAD("roundrobin") ONLY_H2 TLS "    default-server ssl verify none alpn h2 proto h2\n"},
        {"HTTP", "GRPC", HEAD("roundrobin") ONLY_H2 ONLY_POST "    default-server proto h2\n"},
        {"HTTPS", "GRPC", HEAD("roundrobin") ONLY_H2 ONLY_POST TLS "    default-server ssl verify none alpn h2 proto h2\n"},
    };
    cleanup(setup_free) struct setup *s = with_options(FORWARD);

    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        group_options_set_protocol(&s->options[0], rows[i].protocol, rows[i].version);
        check_backend(s, "group_one", rows[i].want);
    }
    s->options[0].slow_start_s = 30;
    check_backend(s, "group_one", HEAD("roundrobin") ONLY_H2 ONLY_POST TLS
                  "    default-server slowstart 30s ssl verify none alpn h2 proto h2\n");
}

/* ---- clients that stay with a group ---- */

#define STICKY(one, two, enabled)                                                                   \
    "[{\"Type\":\"forward\",\"ForwardConfig\":{\"TargetGroups\":["                                  \
    "{\"TargetGroupArn\":\"arn:one\",\"Weight\":" one "},"                                          \
    "{\"TargetGroupArn\":\"arn:two\",\"Weight\":" two "}],\"TargetGroupStickinessConfig\":"         \
    "{\"Enabled\":" enabled ",\"DurationSeconds\":60}}}]"

static char *
sticky_map(const struct setup *s)
{
    cleanup(strbuf_done) struct strbuf text = {0};

    CHECK(haproxy_config_sticky(&s->config, &s->listener, &text));
    return text_dup(strbuf_cstr(&text));
}

TEST(the_map_of_tokens_knows_the_groups_that_have_a_weight)
{
    cleanup(setup_free) struct setup *s = with_options(STICKY("1", "2", "true"));
    cleanup(setup_free) struct setup *less = with_options(STICKY("0", "2", "true"));
    cleanup(setup_free) struct setup *none = with_options(STICKY("0", "0", "true"));
    cleanup(setup_free) struct setup *off = with_options(STICKY("1", "1", "false"));
    cleanup(strbuf_done) struct strbuf ignored = {0};
    cleanup_free char *map = sticky_map(s);
    cleanup_free char *of_less = sticky_map(less);
    cleanup_free char *of_none = sticky_map(none);
    char one[33], two[33];

    CHECK_EQ(sscanf(map, "listen.default.%32[0-9a-f] group_one\nlisten.default:group_one %*32[0-9a-f]|60\n"
                         "listen.default.%32[0-9a-f] group_two\n", one, two), 2);
    CHECK(strlen(one) == 32 && strlen(two) == 32 && strcmp(one, two) != 0);
    cleanup_free char *want = text_format("listen.default.%s group_one\nlisten.default:group_one %s|60\n"
                                          "listen.default.%s group_two\nlisten.default:group_two %s|60\n",
                                          one, one, two, two);
    CHECK_TEXT(map, want);
    CHECK_TEXT(of_less, strstr(map, "listen.default." ) + strlen(map) - strlen(of_less));
    CHECK_TEXT(of_none, ""); /* a map, but an empty one: weights are no structure */
    CHECK(!haproxy_config_sticky(&off->config, &off->listener, &ignored));
}

TEST(only_a_listener_that_keeps_clients_pays_for_it)
{
    cleanup(setup_free) struct setup *s = with_options(STICKY("1", "2", "true"));
    cleanup(setup_free) struct setup *other = with_options(STICKY("0", "9", "true"));
    cleanup(setup_free) struct setup *off = with_options(STICKY("1", "2", "false"));
    char first[HAPROXY_FINGERPRINT_SIZE], now[HAPROXY_FINGERPRINT_SIZE];
    cleanup(strbuf_done) struct strbuf text = {0};
    cleanup(strbuf_done) struct strbuf plain = {0};

    haproxy_config_fingerprint(&s->config, first);
    haproxy_config_fingerprint(&other->config, now);
    CHECK_TEXT(now, first); /* weights move at run time */
    haproxy_config_fingerprint(&off->config, now);
    CHECK(strcmp(now, first) != 0);
    haproxy_config_format(&s->config, &text);
    haproxy_config_format(&off->config, &plain);
    CHECK(strstr(strbuf_cstr(&plain), "AWSALBTG") == NULL && strstr(strbuf_cstr(&plain), ".sticky") == NULL);
    CHECK(strstr(strbuf_cstr(&text),
                 "    http-request set-var(txn.want) req.cook(AWSALBTG)\n"
                 "    http-request set-var(txn.want) req.cook(AWSALBTGCORS) if !{ var(txn.want) -m found }\n"
                 "    http-request set-var(txn.tg) var(txn.rule),concat(.,txn.want),map_str(maps/listen.sticky)"
                 " if { var(txn.want) -m found }\n"
                 "    http-request set-var(txn.tg) var(txn.act),field(2,|) if { var(txn.type) -m str fwd }\n"
                 "    http-request track-sc0 var(txn.rule) table dice if { var(txn.type) -m str split }"
                 " !{ var(txn.tg) -m found }\n") != NULL);
    CHECK(strstr(strbuf_cstr(&text),
                 "    http-response add-header Set-Cookie \"AWSALBTG=%[var(txn.tok),field(1,|)]; path=/;"
                 " Max-Age=%[var(txn.tok),field(2,|)]\" if { var(txn.tok) -m found }\n") != NULL);
}

/* ---- the key ---- */

TEST(the_key_of_cookies_is_made_once_and_private)
{
    char folder[64], path[96], suffix[9];
    char first[COOKIE_KEY_SIZE], again[COOKIE_KEY_SIZE];
    struct stat st;
    struct err err;

    random_hex(suffix, 8);
    snprintf(folder, sizeof(folder), "/tmp/naru-key-%s", suffix);
    snprintf(path, sizeof(path), "%s/cookie.key", folder);
    CHECK(file_make_dirs(folder, 0700, &err));
    CHECK(cookie_key_read(folder, first, &err) && strlen(first) == 64);
    CHECK(stat(path, &st) == 0 && (st.st_mode & 0777) == 0600);
    CHECK(cookie_key_read(folder, again, &err));
    CHECK_TEXT(again, first);
    CHECK(file_write_atomic(path, STR("short"), 0600, &err));
    CHECK(!cookie_key_read(folder, again, &err)); /* a new one would scatter every client */
    CHECK(strstr(err.message, "cookie.key") != NULL && strstr(err.message, "short") == NULL);
    CHECK(file_remove_tree(folder, &err));
}
