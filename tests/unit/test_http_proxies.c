/* SPDX-License-Identifier: MIT */
#include "io/http_proxies.h"

#include <arpa/inet.h>

#include "check.h"
#include "io/http_client.h"
#include "io/http_server.h"

static const struct http_proxies *
proxies(const char *list)
{
    static struct http_proxies p;
    struct err err;

    if (!http_proxies_read(list, &p, &err))
        check_fail(__FILE__, __LINE__, "%s", err.message);
    return &p;
}

#define CHECK_CLIENT(list, peer, forwarded, client)                                                    \
    CHECK(str_is(http_proxies_client(proxies(list), STR(peer), STR(forwarded)), client))

TEST(nobody_is_believed_who_is_no_proxy)
{
    CHECK_CLIENT("", "192.0.2.1", "10.0.0.1", "192.0.2.1");
    CHECK_CLIENT("192.0.2.2, 10.0.0.0/8", "192.0.2.1", "198.51.100.7", "192.0.2.1");
}

TEST(a_proxy_says_who_its_client_is)
{
    CHECK_CLIENT("192.0.2.1", "192.0.2.1", "198.51.100.7", "198.51.100.7");
    CHECK_CLIENT("192.0.2.0/24", "192.0.2.1", " 198.51.100.7 ", "198.51.100.7");
    CHECK_CLIENT("192.0.2.1", "192.0.2.1", "198.51.100.7:4711", "198.51.100.7");
    CHECK_CLIENT("192.0.2.1", "192.0.2.1", "::ffff:198.51.100.7", "198.51.100.7");
    CHECK_CLIENT("::1", "::1", "[2001:db8::7]:4711", "2001:db8::7");
    CHECK_CLIENT("::1", "::1", "2001:db8::7", "2001:db8::7");
}

TEST(what_the_client_wrote_himself_is_not_believed)
{
    CHECK_CLIENT("192.0.2.1", "192.0.2.1", "10.9.9.9, 198.51.100.7", "198.51.100.7");
    CHECK_CLIENT("192.0.2.1", "192.0.2.1", "192.0.2.1,198.51.100.7", "198.51.100.7");
}

TEST(a_row_of_proxies_is_followed)
{
    CHECK_CLIENT("192.0.2.0/24", "192.0.2.1", "198.51.100.7, 192.0.2.9,192.0.2.8", "198.51.100.7");
    CHECK_CLIENT("192.0.2.0/24", "192.0.2.1", "192.0.2.9", "192.0.2.9"); /* a client in the block */
}

TEST(behind_what_is_no_address_nobody_is_looked_for)
{
    CHECK_CLIENT("192.0.2.1", "192.0.2.1", "", "192.0.2.1");
    CHECK_CLIENT("192.0.2.1", "192.0.2.1", "198.51.100.7, unknown", "192.0.2.1");
    CHECK_CLIENT("192.0.2.1", "192.0.2.1", "198.51.100.7,", "192.0.2.1");
    CHECK_CLIENT("192.0.2.1", "192.0.2.1", ",,,", "192.0.2.1");
    CHECK_CLIENT("192.0.2.1", "192.0.2.1", "[", "192.0.2.1");
    CHECK_CLIENT("192.0.2.1", "192.0.2.1", "0.0.0.0/0", "192.0.2.1");
    CHECK_CLIENT("192.0.2.1", "192.0.2.1", "1111:2222:3333:4444:5555:6666:7777:8888:9999:aaaa:bbbb:cccc",
                 "192.0.2.1");
}

TEST(a_list_of_proxies_is_one_of_addresses)
{
    struct http_proxies p;
    struct strbuf many = {0};
    struct err err;

    CHECK(!http_proxies_read("proxy.example", &p, &err));
    CHECK_EQ(err.code, ERR_USAGE);
    CHECK(strstr(err.message, "'proxy.example' is no address") != NULL);
    for (int i = 0; i <= HTTP_PROXIES_MAX; i++)
        strbuf_addf(&many, "10.0.0.%d,", i);
    CHECK(!http_proxies_read(strbuf_cstr(&many), &p, &err));
    CHECK(strstr(err.message, "more than 64") != NULL);
    strbuf_done(&many);
}

TEST(a_socket_says_its_address)
{
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(0x0a000001)};
    struct sockaddr_in6 in6 = {.sin6_family = AF_INET6};
    const struct sockaddr other = {.sa_family = AF_UNIX};
    char text[INET6_ADDRSTRLEN];

    http_address_text((const struct sockaddr *)&in, text);
    CHECK_TEXT(text, "10.0.0.1");
    CHECK(inet_pton(AF_INET6, "::ffff:10.0.0.2", &in6.sin6_addr) == 1);
    http_address_text((const struct sockaddr *)&in6, text);
    CHECK_TEXT(text, "10.0.0.2");
    CHECK(inet_pton(AF_INET6, "2001:db8::7", &in6.sin6_addr) == 1);
    http_address_text((const struct sockaddr *)&in6, text);
    CHECK_TEXT(text, "2001:db8::7");
    http_address_text(&other, text);
    CHECK_TEXT(text, "");
}

static void
answer_client(struct http_exchange *x, void *ctx)
{
    (void)ctx;
    http_reply(x, 200, NULL,
               str_of(arena_format(&x->arena, STR_FMT " %s", STR_ARG(x->peer), x->is_secure ? "secure" : "plain")));
}

TEST(a_server_knows_who_is_behind_its_proxy)
{
    static const struct http_route route = {.prefix = "/", .end = answer_client};
    static const char *const headers[] = {"X-Forwarded-For: 10.9.9.9", "X-Forwarded-For: 198.51.100.7, 127.0.0.2",
                                          "X-Forwarded-Proto: https", NULL};
    static const struct {
        const char *proxies, *answer;
    } rows[] = {{"127.0.0.0/8", "198.51.100.7 secure"}, {"192.0.2.1", "127.0.0.1 plain"}, {"", "127.0.0.1 plain"}};

    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        const struct http_limits limits = {HTTP_PER_ADDRESS, HTTP_BODY_BYTES, HTTP_TRUSTED, rows[i].proxies};
        struct http_client *client = http_client_new();
        struct http_answer answer = {0};
        struct err err = {0};
        struct http_server *server = http_server_start_limited("127.0.0.1", 0, NULL, &limits, &route, 1, &err);
        CHECK(server != NULL);
        cleanup_free char *url = text_format("http://127.0.0.1:%u/", http_server_port(server));
        const struct http_call call = {.method = "GET", .url = url, .headers = headers};

        CHECK(http_client_call(client, &call, &answer, &err));
        CHECK(str_is(strbuf_str(&answer.body), rows[i].answer));
        http_answer_done(&answer);
        http_client_free(client);
        http_server_stop(server);
    }
}
