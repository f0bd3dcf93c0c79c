/* SPDX-License-Identifier: MIT */
/* What attributes of load balancers and listeners change of HAProxy's configuration. */
#include "balancer/haproxy_config.h"
#include "base/json.h"
#include "check.h"

struct setup {
    struct config_setup config;
    struct config_listener listener;
    struct json *actions, *attributes, *balancer_attributes;
};

static struct json *
parse(const char *text)
{
    struct err err;
    struct json *j = text != NULL ? json_parse(str_of(text), &err) : NULL;

    CHECK(text == NULL || j != NULL);
    return j;
}

static void
setup_init(struct setup *s, const char *attributes, const char *balancer_attributes)
{
    s->actions = parse("[]");
    s->attributes = parse(attributes);
    s->balancer_attributes = parse(balancer_attributes);
    s->listener = (struct config_listener){.id = "listen",
                                           .port = 8080,
                                           .idle_timeout_s = 75,
                                           .actions = s->actions,
                                           .attributes = s->attributes,
                                           .balancer_attributes = s->balancer_attributes};
    s->config = (struct config_setup){.bind_address = "127.0.0.1",
                                      .longest_drain_s = 300,
                                      .listeners = &s->listener,
                                      .listener_count = 1};
}

static void
setup_done(struct setup *s)
{
    json_unref(s->actions);
    json_unref(s->attributes);
    json_unref(s->balancer_attributes);
}

static void
format(const char *attributes, const char *balancer_attributes, struct strbuf *out)
{
    cleanup(setup_done) struct setup s;

    setup_init(&s, attributes, balancer_attributes);
    strbuf_clear(out);
    haproxy_config_format(&s.config, out);
}

/* The lines that the attributes bring must stand in the text, those that they take away must not,
 * and without both it is the text of a listener that has none. */
static void
check_lines(const char *attributes, const char *balancer_attributes, const char *added,
            const char *removed)
{
    cleanup(strbuf_done) struct strbuf text = {0}, plain = {0};

    format(attributes, balancer_attributes, &text);
    format(NULL, NULL, &plain);
    if (strstr(strbuf_cstr(&text), added) == NULL)
        check_fail(__FILE__, __LINE__, "'%s' is not in\n%s", added, strbuf_cstr(&text));
    CHECK(strstr(strbuf_cstr(&plain), added) == NULL || added[0] == '\0');
    if (removed != NULL) {
        CHECK(strstr(strbuf_cstr(&plain), removed) != NULL);
        CHECK(strstr(strbuf_cstr(&text), removed) == NULL);
    }
}

/* Every default, as the API writes them out. */
#define DEFAULTS                                                                             \
    "{\"client_keep_alive.seconds\":\"3600\",\"idle_timeout.timeout_seconds\":\"60\","       \
    "\"routing.http.desync_mitigation_mode\":\"defensive\","                                 \
    "\"routing.http.drop_invalid_header_fields.enabled\":\"false\","                         \
    "\"routing.http.preserve_host_header.enabled\":\"false\","                               \
    "\"routing.http.xff_header_processing.mode\":\"append\","                                \
    "\"routing.http.xff_client_port.enabled\":\"false\",\"routing.http2.enabled\":\"true\"," \
    "\"routing.http.x_amzn_tls_version_and_cipher_suite.enabled\":\"false\"}"
#define LISTENER_DEFAULTS                                          \
    "{\"routing.http.response.server.enabled\":\"true\","          \
    "\"routing.http.response.x_frame_options.header_value\":\"\"," \
    "\"routing.http.request.x_amzn_tls_version.header_name\":\"X-Amzn-Tls-Version\"}"

TEST(defaults_cost_nothing)
{
    cleanup(strbuf_done) struct strbuf text = {0}, plain = {0};

    format(NULL, NULL, &plain);
    format(LISTENER_DEFAULTS, DEFAULTS, &text);
    CHECK_TEXT(strbuf_cstr(&text), strbuf_cstr(&plain));
    /* What naru acts upon without a line of its own. */
    format(NULL,
           "{\"routing.http.preserve_host_header.enabled\":\"true\","
           "\"routing.http.desync_mitigation_mode\":\"monitor\"}",
           &text);
    CHECK_TEXT(strbuf_cstr(&text), strbuf_cstr(&plain));
}

TEST(forwarded_for_is_appended_to_kept_or_removed)
{
    const char *const line = "-header X-Forwarded-For %";

    check_lines(NULL, "{\"routing.http.xff_header_processing.mode\":\"preserve\"}", "", line);
    check_lines(NULL, "{\"routing.http.xff_header_processing.mode\":\"remove\"}",
                "    http-request del-header X-Forwarded-For\n", line);
    check_lines(NULL, "{\"routing.http.xff_client_port.enabled\":\"true\"}",
                "    http-request set-header X-Forwarded-For \"%[req.fhdr(x-forwarded-for)], %[src]:%[src_port]\""
                " if { req.fhdr_cnt(x-forwarded-for) 1 }\n"
                "    http-request add-header X-Forwarded-For \"%[src]:%[src_port]\""
                " if !{ req.fhdr_cnt(x-forwarded-for) 1 }\n", line);
    /* The port is of what is appended. */
    check_lines(NULL,
                "{\"routing.http.xff_header_processing.mode\":\"remove\","
                "\"routing.http.xff_client_port.enabled\":\"true\"}",
                "    http-request del-header X-Forwarded-For\n", line);
}

TEST(an_address_with_colons_has_brackets_before_its_port)
{
    cleanup(setup_done) struct setup s;
    cleanup(strbuf_done) struct strbuf text = {0};

    setup_init(&s, NULL, "{\"routing.http.xff_client_port.enabled\":\"true\"}");
    s.config.bind_address = "::";
    haproxy_config_format(&s.config, &text);
    CHECK(strstr(strbuf_cstr(&text), "\"[%[src]]:%[src_port]\"") != NULL);
}

TEST(checks_stand_before_everything_else)
{
    cleanup(strbuf_done) struct strbuf text = {0};
    const char *drop, *strict, *age, *first;

    format(NULL,
           "{\"routing.http.drop_invalid_header_fields.enabled\":\"true\","
           "\"routing.http.desync_mitigation_mode\":\"strictest\",\"client_keep_alive.seconds\":"
           "\"60\"}",
           &text);
    age = strstr(strbuf_cstr(&text), "tcp-request connection set-var(sess.born) date\n");
    strict = strstr(strbuf_cstr(&text), "{ method GET HEAD } { req.hdr(content-length) -m found }");
    drop = strstr(strbuf_cstr(&text), "http-request del-header \"[^-A-Za-z0-9]\" -m reg\n");
    first = strstr(strbuf_cstr(&text), "http-request add-header X-Forwarded-For");
    CHECK(age != NULL && strict != NULL && drop != NULL && first != NULL);
    /* What is dropped is looked at first: a name that a target may take for a length is refused. */
    CHECK(age < strict && strict < drop && drop < first);
    CHECK(strstr(strbuf_cstr(&text),
                 "set-header Connection close if { date,sub(sess.born) ge 60 }") != NULL);
}

TEST(without_http2_nobody_may_begin_with_it)
{
    check_lines(NULL, "{\"routing.http2.enabled\":\"false\"}", "    option disable-h2-upgrade\n", NULL);
}

TEST(headers_of_tls_may_have_other_names)
{
    const char *const on =
        "{\"routing.http.x_amzn_tls_version_and_cipher_suite.enabled\":\"true\"}";

    check_lines(NULL, on,
                "    http-request set-header X-Amzn-Tls-Version %[ssl_fc_protocol] if { ssl_fc }\n",
                NULL);
    check_lines("{\"routing.http.request.x_amzn_tls_cipher_suite.header_name\":\"X-Suite\"}", on,
                "    http-request set-header X-Suite %[ssl_fc_cipher] if { ssl_fc }\n", NULL);
}

TEST(headers_of_answers_are_set_and_quoted)
{
    check_lines("{\"routing.http.response.server.enabled\":\"false\"}", NULL,
                "    http-after-response del-header Server\n", NULL);
    check_lines(
        "{\"routing.http.response.strict_transport_security.header_value\":\"max-age=1; a\"}", NULL,
        "    http-after-response set-header Strict-Transport-Security \"max-age=1; a\"\n", NULL);
    check_lines("{\"routing.http.response.content_security_policy.header_value\":"
                "\"a 'b' \\\"c\\\" 50% \\\\ $HOME %[src] #\"}",
                NULL, "Content-Security-Policy \"a 'b' \\\"c\\\" 50%% \\\\ \\$HOME %%[src] #\"\n",
                NULL);
}

TEST(long_headers_of_answers_get_their_room)
{
    char value[512];
    cleanup(strbuf_done) struct strbuf text = {0};
    static const char form[] = "{\"routing.http.response.content_security_policy.header_value\":\"%s\"}";

    memset(value, 'x', sizeof(value));
    value[512 - strlen("Content-Security-Policy: \r\n")] = '\0';
    cleanup_free char *fits = text_format(form, value);
    format(fits, NULL, &text);
    CHECK(strstr(strbuf_cstr(&text), "tune.bufsize") == NULL);
    value[strlen(value)] = 'x';
    value[513 - strlen("Content-Security-Policy: \r\n")] = '\0';
    cleanup_free char *more = text_format(form, value);
    check_lines(more, NULL, "    tune.bufsize 32768\n    tune.maxrewrite 16384\n", NULL);
}
