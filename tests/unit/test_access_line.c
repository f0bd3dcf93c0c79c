/* SPDX-License-Identifier: MIT */
/* Entries of access logs: what HAProxy's lines say, and each field that AWS documents. */
#include "balancer/access_line.h"
#include "base/crypto.h"
#include "check.h"

#define GROUP "arn:aws:elasticloadbalancing:ap-northeast-2:000000000000:targetgroup/web/0123456789abcdef"

static const struct access_names names = {
    .load_balancer = "app/shop/00112233445566aa",
    .port = 80,
    .group_arn = GROUP,
    .priority = 7,
    .action = "forward",
};

/* A full line: `start` are the fields of a sample behind the listener, `connection` those until the
 * version; what the client chose is given as it came. */
struct client {
    const char *url, *host, *agent, *trace, *location, *name;
};

static char *
full_line(const char *start, const char *connection, struct client c)
{
    const char *texts[] = {c.url, c.host, c.agent, c.trace, c.location, c.name};
    struct strbuf line = {0};

    strbuf_addf(&line, "<134>F aabbccddeeff0011 %s %s", start, connection);
    for (size_t i = 0; i < ARRAY_COUNT(texts); i++) {
        strbuf_add_char(&line, ' ');
        if (texts[i] == NULL)
            strbuf_add_char(&line, '-');
        else
            base64_encode(&line, str_of(texts[i]));
    }
    strbuf_add_cstr(&line, " 01234567-89ab-cdef-0123-456789abcdef\n");
    return strbuf_take(&line);
}

static const struct client usual = {
    "/a?b=c", "shop.example:8080", "curl/7.88.1", "Root=1-58337262-36d228ad5d99923122bbe354", NULL, NULL};

static void
write_entry(const char *line, const struct access_names *of, struct strbuf *out)
{
    struct access_line l;

    CHECK(access_line_parse(str_of(line), &l));
    access_line_write(&l, of, out);
}

static void
check_entry(const char *line, const struct access_names *of, const char *want)
{
    cleanup(strbuf_done) struct strbuf out = {0};

    write_entry(line, of, &out);
    CHECK_TEXT(strbuf_cstr(&out), want);
}

TEST(an_entry_has_every_field_in_order)
{
    cleanup_free char *line =
        full_line("3 0 1 44 50 group_0123456789abcdef 10.0.0.7 8080 200 ---- 99aabbccddeeff00",
                  "1530570180 186 0 2 192.0.2.9 2817 34 366 - - GET 1.1", usual);

    check_entry(line, &names,
                "http 2018-07-02T22:23:00.236000Z app/shop/00112233445566aa 192.0.2.9:2817 10.0.0.7:8080 "
                "0.001 0.044 0.000 200 200 34 366 \"GET http://shop.example:80/a?b=c HTTP/1.1\" "
                "\"curl/7.88.1\" - - " GROUP " \"Root=1-58337262-36d228ad5d99923122bbe354\" \"-\" \"-\" 7 "
                "2018-07-02T22:23:00.188000Z \"forward\" \"-\" \"-\" \"10.0.0.7:8080\" \"200\" \"-\" \"-\" "
                "TID_0123456789abcdef0123456789abcdef\n");
}

TEST(https_has_cipher_protocol_name_and_certificate)
{
    struct client c = usual;
    c.name = "shop.example";
    struct access_names of = names;
    of.port = 443;
    of.priority = 0;
    of.certificate_arn = "arn:aws:acm:ap-northeast-2:000000000000:certificate/1";
    cleanup_free char *line = full_line(
        "0 0 0 2001 2002 group_0123456789abcdef 10.0.0.7 80 404 ---- -",
        "1530570180 186 12 0 2001:db8::1 2817 34 366 ECDHE-RSA-AES128-GCM-SHA256 TLSv1.2 POST 2.0", c);

    check_entry(line, &of,
                "h2 2018-07-02T22:23:02.199000Z app/shop/00112233445566aa [2001:db8::1]:2817 10.0.0.7:80 "
                "0.000 2.001 0.000 404 404 34 366 \"POST https://shop.example:443/a?b=c HTTP/2.0\" "
                "\"curl/7.88.1\" ECDHE-RSA-AES128-GCM-SHA256 TLSv1.2 " GROUP
                " \"Root=1-58337262-36d228ad5d99923122bbe354\" \"shop.example\" "
                "\"arn:aws:acm:ap-northeast-2:000000000000:certificate/1\" 0 2018-07-02T22:23:00.198000Z "
                "\"forward\" \"-\" \"-\" \"10.0.0.7:80\" \"404\" \"-\" \"-\" "
                "TID_0123456789abcdef0123456789abcdef\n");
}

TEST(a_target_that_does_not_answer_leaves_minus_one_and_a_dash)
{
    cleanup_free char *line =
        full_line("0 0 1 -1 60001 group_0123456789abcdef 10.0.0.7 80 504 sH-- 99aabbccddeeff00",
                  "1530570180 0 0 0 192.0.2.9 2817 34 120 - - GET 1.1", usual);
    cleanup_free char *none =
        full_line("0 -1 -1 -1 0 group_0123456789abcdef - - 503 SC-- 99aabbccddeeff00",
                  "1530570180 0 0 0 192.0.2.9 2817 34 120 - - GET 1.1", usual);

    check_entry(line, &names,
                "http 2018-07-02T22:24:00.001000Z app/shop/00112233445566aa 192.0.2.9:2817 10.0.0.7:80 "
                "-1 -1 -1 504 - 34 120 \"GET http://shop.example:80/a?b=c HTTP/1.1\" \"curl/7.88.1\" - - "
                GROUP " \"Root=1-58337262-36d228ad5d99923122bbe354\" \"-\" \"-\" 7 "
                "2018-07-02T22:23:00.000000Z \"forward\" \"-\" \"-\" \"10.0.0.7:80\" \"-\" \"-\" \"-\" "
                "TID_0123456789abcdef0123456789abcdef\n");
    check_entry(none, &names,
                "http 2018-07-02T22:23:00.000000Z app/shop/00112233445566aa 192.0.2.9:2817 - "
                "-1 -1 -1 503 - 34 120 \"GET http://shop.example:80/a?b=c HTTP/1.1\" \"curl/7.88.1\" - - "
                GROUP " \"Root=1-58337262-36d228ad5d99923122bbe354\" \"-\" \"-\" 7 "
                "2018-07-02T22:23:00.000000Z \"forward\" \"-\" \"-\" \"-\" \"-\" \"-\" \"-\" "
                "TID_0123456789abcdef0123456789abcdef\n");
}

TEST(a_client_that_goes_away_is_460)
{
    cleanup_free char *line =
        full_line("0 0 1 -1 700 group_0123456789abcdef 10.0.0.7 80 400 CH-- 99aabbccddeeff00",
                  "1530570180 0 0 0 192.0.2.9 2817 34 0 - - GET 1.1", usual);
    cleanup(strbuf_done) struct strbuf out = {0};

    write_entry(line, &names, &out);
    CHECK(str_find(strbuf_str(&out), STR(" -1 -1 -1 460 - 34 0 ")) > 0);
}

TEST(a_request_that_was_not_understood_has_no_rule_and_no_words)
{
    struct access_names of = names;
    of.group_arn = NULL;
    cleanup_free char *line = full_line("-1 -1 -1 -1 1 listener_aabbccddeeff0011_80 - - 400 PR-- -",
                                        "1530570180 5 0 0 192.0.2.9 2817 4 187 - - - -", (struct client){0});

    check_entry(line, &of,
                "http 2018-07-02T22:23:00.006000Z app/shop/00112233445566aa 192.0.2.9:2817 - -1 -1 -1 400 - "
                "4 187 \"- http://-:80- -\" \"-\" - - - \"-\" \"-\" \"-\" - 2018-07-02T22:23:00.005000Z \"-\" "
                "\"-\" \"-\" \"-\" \"-\" \"-\" \"-\" TID_0123456789abcdef0123456789abcdef\n");
}

TEST(a_redirect_says_where_to)
{
    struct client c = usual;
    c.location = "https://shop.example:443/a?b=c";
    struct access_names of = names;
    of.group_arn = NULL;
    of.action = "redirect";
    cleanup_free char *line =
        full_line("0 -1 -1 -1 0 answer_99aabbccddeeff00_0123 - - 301 LR-- 99aabbccddeeff00",
                  "1530570180 0 0 0 192.0.2.9 2817 34 120 - - GET 1.1", c);
    cleanup(strbuf_done) struct strbuf out = {0};

    write_entry(line, &of, &out);
    CHECK(str_find(strbuf_str(&out), STR(" 301 - 34 120 ")) > 0);
    CHECK(str_find(strbuf_str(&out), STR("\"redirect\" \"https://shop.example:443/a?b=c\" \"-\" \"-\" \"-\"")) > 0);
}

TEST(a_websocket_is_said_when_it_ends)
{
    cleanup_free char *line =
        full_line("0 0 1 5 90000 group_0123456789abcdef 10.0.0.7 80 101 ---- 99aabbccddeeff00",
                  "1530570180 0 0 0 192.0.2.9 2817 34 120 - - GET 1.1", usual);
    cleanup(strbuf_done) struct strbuf out = {0};

    write_entry(line, &names, &out);
    CHECK(str_starts(strbuf_str(&out), STR("ws 2018-07-02T22:24:30.000000Z app/shop")));
}

/* Nothing that a client sends ends a field or a line. */
TEST(hostile_texts_stay_in_their_fields)
{
    const struct client c = {"/\"\n200 200 \\", "a\"b:1:2", "x\" \"y\r\n\x01\xff\x7f", "Root=\"", NULL, NULL};
    cleanup_free char *line =
        full_line("0 0 1 5 9 group_0123456789abcdef 10.0.0.7 80 200 ---- 99aabbccddeeff00",
                  "1530570180 0 0 0 192.0.2.9 2817 34 120 - - GET 1.1", c);
    cleanup(strbuf_done) struct strbuf out = {0};

    write_entry(line, &names, &out);
    CHECK(str_find(strbuf_str(&out),
                   STR("\"GET http://a\\x22b:1:80/\\x22\\x0A200 200 \\x5C HTTP/1.1\" "
                       "\"x\\x22 \\x22y\\x0D\\x0A\\x01\\xFF\\x7F\" - - ")) > 0);
    CHECK(str_find(strbuf_str(&out), STR(" \"Root=\\x22\" ")) > 0);
    CHECK_EQ(str_index(strbuf_str(&out), '\n'), (ptrdiff_t)out.len - 1);
}

TEST(a_sample_has_the_first_fields_only)
{
    struct access_line l;

    CHECK(access_line_parse(
        STR("<134>S aabb 3 0 1 44 50 group_0123456789abcdef 10.0.0.7 8080 200 ---- aabb\n"), &l));
    CHECK(!l.is_full);
    CHECK(str_is(l.listener, "aabb"));
    CHECK_EQ(l.response_ms, 44);
    CHECK_EQ(l.port, 8080);
    CHECK(access_line_has_answer(&l));
    CHECK(str_is(l.rule, "aabb"));
    CHECK(!l.is_refused);
    CHECK(access_line_parse(STR("<134>S aabb -1 -1 -1 -1 0 x - - 400 PR-- -"), &l) && l.is_refused);
    CHECK(access_line_parse(STR("<134>S aabb 0 -1 -1 -1 0 x - - 405 LR-- -"), &l) && !l.is_refused);
}

TEST(what_is_no_line_of_ours_is_refused)
{
    static const char *const bad[] = {
        "",
        "<134>",
        "S aabb 3 0 1 44 50 group_1 10.0.0.7 8080 200 ---- aabb",
        "<134>S aabb 3 0 1 44 50 group_1 10.0.0.7 8080 200 ----",
        "<134>S aabb 3 0 1 44 50 group_1 10.0.0.7 8080 200 ---- aabb more",
        "<134>S aabb 3 0 1 x 50 group_1 10.0.0.7 8080 200 ---- aabb",
        "<134>S aabb 3 0 1 44 50 group_1 10.0.0.7 80800 200 ---- aabb",
        "<134>S aabb 3 0 1 44 50 gro\"up 10.0.0.7 8080 200 ---- aabb",
        "<134>S - 3 0 1 44 50 group_1 10.0.0.7 8080 200 ---- aabb",
        "<134>F aabb 3 0 1 44 50 group_1 10.0.0.7 8080 200 ---- aabb",
        "<5>Proxy listener_1 started.",
    };

    for (size_t i = 0; i < ARRAY_COUNT(bad); i++) {
        struct access_line l;
        CHECK(!access_line_parse(str_of(bad[i]), &l));
    }
}

TEST(the_formats_have_the_listener_in_front)
{
    cleanup(strbuf_done) struct strbuf sample = {0}, full = {0};

    access_line_format(false, "aabb", false, &sample);
    access_line_format(true, "aabb", true, &full);
    CHECK_TEXT(strbuf_cstr(&sample), "S aabb %TR %Tw %Tc %Tr %Ta %b %si %sp %ST %tsc -");
    CHECK(str_starts(strbuf_str(&full), STR("F aabb %TR %Tw %Tc %Tr %Ta %b %si %sp %ST %tsc %[var(txn.hit),field(1,|)] %Ts ")));
}
