/* SPDX-License-Identifier: MIT */
/* haproxy_attributes.c - what attributes of a load balancer and of its listener change of a request
 * and of its answer (alb.md A5).  Each has lines only while its value is not the default's. */
#include <stdio.h>
#include "balancer/haproxy_text.h"
#include "base/json.h"

#define DEFAULT_AGE_S 3600 /* of client_keep_alive.seconds: nothing is limited */

const char *
attributes_get(const struct config_listener *listener, const char *key, const char *fallback)
{
    return json_get_cstr(listener->attributes, key,
                         json_get_cstr(listener->balancer_attributes, key, fallback));
}

static bool
is_set(const struct config_listener *listener, const char *key, const char *value,
       const char *fallback)
{
    return strcmp(attributes_get(listener, key, fallback), value) == 0;
}

/* 0: as long as they are used. */
static int64_t
connection_age_s(const struct config_listener *listener)
{
    int64_t age = DEFAULT_AGE_S;

    if (!str_to_i64(str_of(attributes_get(listener, "client_keep_alive.seconds", "")), &age) ||
        age == DEFAULT_AGE_S)
        return 0;
    return age;
}

/* What HAProxy lets pass and AWS calls ambiguous or merely acceptable (decisions/requests.md):
 * lengths of what has no body, names that a target may take for those of the framing, empty values,
 * and bytes that are no visible ASCII. */
static const char strictest_lines[] =
    "    http-request deny deny_status 400 if { method GET HEAD } { req.hdr(content-length) -m "
    "found }\n"
    "    http-request deny deny_status 400 if { method GET HEAD } { req.hdr(transfer-encoding) -m "
    "found "
    "}\n"
    "    http-request deny deny_status 400 if { req.hdrs -m reg "
    "'(?m)^(?!content-length:|transfer-encoding:)"
    "(?:content[^a-z:\\n]*length|transfer[^a-z:\\n]*encoding)[^a-z:\\n]*:"
    "|^[^:\\n]+:[ \\t]*\\r?$|[^\\t\\r\\n\\x20-\\x7e]' }\n";

/* HTTP/2 is offered, or not, on the bind line; some clients just begin with it. */
void
attributes_add_connection(const struct config_listener *listener, struct strbuf *out)
{
    if (is_set(listener, "routing.http2.enabled", "false", "true"))
        strbuf_add_cstr(out, "    option disable-h2-upgrade\n");
    if (connection_age_s(listener) > 0)
        strbuf_add_cstr(out, "    tcp-request connection set-var(sess.born) date\n");
}

void
attributes_add_checks(const struct config_listener *listener, struct strbuf *out)
{
    if (is_set(listener, "routing.http.desync_mitigation_mode", "strictest", "defensive"))
        strbuf_add_cstr(out, strictest_lines);
    if (is_set(listener, "routing.http.drop_invalid_header_fields.enabled", "true", "false"))
        strbuf_add_cstr(out, "    http-request del-header \"[^-A-Za-z0-9]\" -m reg\n");
}

static const char *
forwarded_for_mode(const struct config_listener *listener)
{
    return attributes_get(listener, "routing.http.xff_header_processing.mode", "append");
}

bool
attributes_has_usual_forwarded_for(const struct config_listener *listener)
{
    return strcmp(forwarded_for_mode(listener), "append") == 0 &&
           !is_set(listener, "routing.http.xff_client_port.enabled", "true", "false");
}

/* Behind the client's one line; of several all stay, and ours is one more. */
void
attributes_add_forwarded_for(const struct config_setup *setup,
                             const struct config_listener *listener, struct strbuf *out)
{
    const char *mode = forwarded_for_mode(listener);
    const char *client =
        strchr(setup->bind_address, ':') != NULL ? "[%[src]]:%[src_port]" : "%[src]:%[src_port]";

    if (strcmp(mode, "remove") == 0)
        strbuf_add_cstr(out, "    http-request del-header X-Forwarded-For\n");
    if (strcmp(mode, "append") != 0)
        return;
    strbuf_addf(out,
                "    http-request set-header X-Forwarded-For"
                " \"%%[req.fhdr(x-forwarded-for)], %s\" if { req.fhdr_cnt(x-forwarded-for) 1 }\n"
                "    http-request add-header X-Forwarded-For \"%s\" if !{ req.fhdr_cnt(x-forwarded-for) 1 }\n",
                client, client);
}

static void
add_request_header(const struct config_listener *listener, const char *key, const char *name,
                   const char *value, struct strbuf *out)
{
    const char *renamed = attributes_get(listener, key, "");

    strbuf_addf(out, "    http-request set-header %s %s if { ssl_fc }\n",
                renamed[0] != '\0' ? renamed : name, value);
}

void
attributes_add_request(const struct config_listener *listener, struct strbuf *out)
{
    if (!is_set(listener, "routing.http.x_amzn_tls_version_and_cipher_suite.enabled", "true",
                "false"))
        return;
    add_request_header(listener, "routing.http.request.x_amzn_tls_version.header_name",
                       "X-Amzn-Tls-Version", "%[ssl_fc_protocol]", out);
    add_request_header(listener, "routing.http.request.x_amzn_tls_cipher_suite.header_name",
                       "X-Amzn-Tls-Cipher-Suite", "%[ssl_fc_cipher]", out);
}

/* ---- the answer ---- */

static const struct {
    const char *key, *name;
} answer_headers[] = {
    {"strict_transport_security", "Strict-Transport-Security"},
    {"access_control_allow_origin", "Access-Control-Allow-Origin"},
    {"access_control_allow_methods", "Access-Control-Allow-Methods"},
    {"access_control_allow_headers", "Access-Control-Allow-Headers"},
    {"access_control_allow_credentials", "Access-Control-Allow-Credentials"},
    {"access_control_expose_headers", "Access-Control-Expose-Headers"},
    {"access_control_max_age", "Access-Control-Max-Age"},
    {"content_security_policy", "Content-Security-Policy"},
    {"x_content_type_options", "X-Content-Type-Options"},
    {"x_frame_options", "X-Frame-Options"},
};

static const char *
answer_value(const struct config_listener *listener, size_t index)
{
    char key[128];

    snprintf(key, sizeof(key), "routing.http.response.%s.header_value", answer_headers[index].key);
    return attributes_get(listener, key, "");
}

size_t
attributes_answer_size(const struct config_listener *listener)
{
    size_t size = 0;

    for (size_t i = 0; i < ARRAY_COUNT(answer_headers); i++) {
        const size_t len = strlen(answer_value(listener, i));
        size += len > 0 ? strlen(answer_headers[i].name) + len + 4 : 0; /* ": " and the end of the line */
    }
    return size;
}

/* HAProxy's own answers have them, too, as those of a load balancer of AWS. */
void
attributes_add_answer(const struct config_listener *listener, struct strbuf *out)
{
    const int64_t age_s = connection_age_s(listener);

    if (is_set(listener, "routing.http.response.server.enabled", "false", "true"))
        strbuf_add_cstr(out, "    http-after-response del-header Server\n");
    for (size_t i = 0; i < ARRAY_COUNT(answer_headers); i++) {
        const char *value = answer_value(listener, i);
        if (value[0] == '\0')
            continue;
        strbuf_addf(out, "    http-after-response set-header %s \"", answer_headers[i].name);
        text_add_quoted(out, str_of(value), true);
        strbuf_add_cstr(out, "\"\n");
    }
    if (age_s > 0)
        strbuf_addf(out,
                    "    http-after-response set-header Connection close"
                    " if { date,sub(sess.born) ge %lld }\n",
                    (long long)age_s);
}
