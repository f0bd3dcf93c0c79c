/* SPDX-License-Identifier: MIT */
/* What HAProxy's configuration has where not everybody may connect. */
#include "balancer/haproxy_config.h"
#include "balancer/haproxy_socket.h"
#include "base/json.h"
#include "config_setup.h"

#define FORWARD "[{\"Type\":\"forward\",\"TargetGroupArn\":\"arn:one\"}]"

static void
set_sources(struct setup *s, const char *text)
{
    struct err err;

    json_unref(s->sources);
    s->sources = json_parse(str_of(text), &err);
    CHECK(s->sources != NULL);
    s->listener.sources = s->sources;
}

/* The text but for the fingerprint. */
static void
format(const struct setup *s, struct strbuf *out)
{
    cleanup(strbuf_done) struct strbuf text = {0};
    char *at, *end;

    haproxy_config_format(&s->config, &text);
    at = strstr(text.at, "description naru-");
    CHECK(at != NULL);
    end = strchr(at, '\n');
    memset(at, '-', (size_t)(end - at));
    strbuf_clear(out);
    strbuf_add_cstr(out, strbuf_cstr(&text));
}

TEST(a_listener_that_lets_in_only_some_has_one_line_more)
{
    static const char guard[] =
        "    tcp-request connection reject if !{ src,map_ip(maps/listen.sources) -m found }\n";
    cleanup(setup_free) struct setup *s = setup_new(FORWARD);
    cleanup(strbuf_done) struct strbuf open = {0};
    cleanup(strbuf_done) struct strbuf guarded = {0};
    char *at;

    format(s, &open);
    CHECK(strstr(strbuf_cstr(&open), "sources") == NULL);
    set_sources(s, "[]");
    format(s, &guarded);
    at = strstr(guarded.at, guard);
    CHECK(at != NULL);
    memmove(at, at + sizeof(guard) - 1, strlen(at + sizeof(guard) - 1) + 1);
    CHECK_TEXT(guarded.at, strbuf_cstr(&open));
}

TEST(whom_it_lets_in_is_a_map_and_no_structure)
{
    cleanup(setup_free) struct setup *s = setup_new(FORWARD);
    cleanup(strbuf_done) struct strbuf map = {0};
    char open[HAPROXY_FINGERPRINT_SIZE], none[HAPROXY_FINGERPRINT_SIZE],
        some[HAPROXY_FINGERPRINT_SIZE];

    haproxy_config_fingerprint(&s->config, open);
    set_sources(s, "[]");
    haproxy_config_fingerprint(&s->config, none);
    haproxy_config_sources(&s->listener, &map);
    CHECK_EQ(map.len, 0);
    set_sources(s, "[\"10.0.0.0/8\",\"2001:db8::/32\",\"all;shutdown\",\"0.0.0.0/0\"]");
    haproxy_config_fingerprint(&s->config, some);
    CHECK(strcmp(open, none) != 0);
    CHECK_TEXT(some, none);
    haproxy_config_sources(&s->listener, &map);
    CHECK_TEXT(strbuf_cstr(&map), "10.0.0.0/8 1\n2001:db8::/32 1\n0.0.0.0/0 1\n");
}

TEST(a_tcp_listener_hands_connections_on)
{
    cleanup(setup_free) struct setup *s = setup_new(FORWARD);
    cleanup(strbuf_done) struct strbuf text = {0};
    const struct tcp_options plain = {.is_on = true};
    const struct tcp_options all = {.is_on = true, .sends_proxy = true, .by_source = true};
    char one[HAPROXY_FINGERPRINT_SIZE], other[HAPROXY_FINGERPRINT_SIZE];

    s->listener.is_tcp = true;
    s->listener.idle_timeout_s = 350;
    s->groups[0].tcp = &plain;
    format(s, &text);
    CHECK(strstr(strbuf_cstr(&text),
                 "frontend listener_listen_8080\n"
                 "    bind 127.0.0.1:8080\n"
                 "    timeout client 350s\n"
                 "    mode tcp\n"
                 "    no option idle-close-on-response\n"
                 "    use_backend %[str(listen.default),map_str(maps/listen.actions),field(2,|)]\n"
                 "    default_backend none_tcp\n\n") != NULL);
    CHECK(strstr(strbuf_cstr(&text), "backend none_tcp\n    mode tcp\n\n") != NULL);
    CHECK(strstr(strbuf_cstr(&text), "backend group_one\n"
                                     "    balance roundrobin\n"
                                     "    timeout server 350s\n"
                                     "    timeout tunnel 350s\n"
                                     "    mode tcp\n"
                                     "    server s1 0.0.0.0:1 disabled\n") != NULL);
    haproxy_config_fingerprint(&s->config, one);
    s->groups[0].tcp = &all;
    format(s, &text);
    CHECK(strstr(strbuf_cstr(&text), "    balance source\n"
                                     "    timeout server 350s\n"
                                     "    timeout tunnel 350s\n"
                                     "    mode tcp\n"
                                     "    hash-type consistent\n"
                                     "    default-server send-proxy-v2\n"
                                     "    server s1 0.0.0.0:1 disabled\n") != NULL);
    haproxy_config_fingerprint(&s->config, other);
    CHECK(strcmp(one, other) != 0);
}

TEST(beside_http_listeners_only_nothing_is_of_tcp)
{
    cleanup(setup_free) struct setup *s = setup_new(FORWARD);
    cleanup(strbuf_done) struct strbuf text = {0};

    format(s, &text);
    CHECK(strstr(strbuf_cstr(&text), "mode tcp") == NULL);
}
