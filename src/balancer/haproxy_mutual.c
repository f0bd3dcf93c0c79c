/* SPDX-License-Identifier: MIT */
/* haproxy_mutual.c - what targets are told of a client whose certificate was verified, and nobody else can tell them.
 * Names of headers may be others by attributes of the listener.  What takes a regular expression is done once a
 * connection. */
#include <ctype.h>
#include "balancer/haproxy_text.h"

bool
mutual_is_asked(const struct config_listener *listener)
{
    return listener->tls != NULL && listener->tls->trust.id != NULL;
}

static bool
passes_on(const struct config_listener *listener)
{
    return mutual_is_asked(listener) && listener->tls->trust.is_passed_on;
}

/* Sessions of one listener could be resumed at another one, which then asks for no certificate (HAProxy 2.6: the cache
 * and what it goes by are the process's).  So nobody resumes by the cache, nor at such listeners by tickets. */
void
mutual_add_global(const struct config_setup *setup, struct strbuf *out)
{
    bool is_any = false, is_passed_on = false;

    for (int i = 0; i < setup->listener_count; i++) {
        is_any = is_any || mutual_is_asked(&setup->listeners[i]);
        is_passed_on = is_passed_on || passes_on(&setup->listeners[i]);
    }
    if (is_any)
        strbuf_add_cstr(out, "    tune.ssl.cachesize 0\n");
    if (is_passed_on)
        strbuf_add_cstr(out, "    lua-load " HAPROXY_CHAIN_FILE "\n");
}

/* From YYMMDDhhmmssZ; HAProxy has dates of this century only. */
#define DATE(fetch) fetch ",regsub(\\\"^(..)(..)(..)(..)(..)(..)Z\\\",\\\"20\\\\1-\\\\2-\\\\3T\\\\4:\\\\5:\\\\6Z\\\")"

/* PEM as in a URL: lines of 64, "+=/" as they are. */
static const char once_lines[] =
    "    http-request set-var-fmt(sess.c_valid) \"NotBefore=%[" DATE("ssl_c_notbefore") "];NotAfter=%["
    DATE("ssl_c_notafter") "]\" if !{ var(sess.c_valid) -m found } { ssl_c_notbefore -m found } "
    "{ ssl_c_notafter -m found }\n"
    "    http-request set-var(sess.c_leaf) \"ssl_c_der,base64,regsub(\\\"(.{64})(?=.)\\\",\\\"\\\\1%0A\\\",g)\""
    " if !{ var(sess.c_leaf) -m found }\n";

/* All that the client showed, its own first: at the server's end OpenSSL has that apart from the others. */
static const char chain_lines[] =
    "    http-request set-var(sess.c_own) ssl_c_der,hex,lua.pem_in_url if !{ var(sess.c_own) -m found }"
    " { ssl_c_used }\n"
    "    http-request set-var(sess.c_rest) ssl_c_chain_der,hex,lua.pem_in_url if !{ var(sess.c_rest) -m found }"
    " { ssl_c_used }\n"
    /* Its own alone would say that there were no others. */
    "    http-request return status 431 if { ssl_c_used } { ssl_c_chain_der -m found } !{ var(sess.c_rest) -m len gt 0 }\n"
    "    http-request set-header X-Amzn-Mtls-Clientcert %[var(sess.c_own)] if { var(sess.c_own) -m len gt 0 }\n"
    "    http-request set-header X-Amzn-Mtls-Clientcert %[var(sess.c_own)]%[var(sess.c_rest)]"
    " if { var(sess.c_own) -m len gt 0 } { var(sess.c_rest) -m len gt 0 }\n";

static const struct {
    const char *attribute, *name; /* routing.http.request.x_amzn_<attribute>.header_name */
    const char *value;
} headers[] = {
    {"mtls_clientcert_serial_number", "X-Amzn-Mtls-Clientcert-Serial-Number", "%[ssl_c_serial,hex]"},
    {"mtls_clientcert_issuer", "X-Amzn-Mtls-Clientcert-Issuer", "%[ssl_c_i_dn(,0,rfc2253)]"},
    {"mtls_clientcert_subject", "X-Amzn-Mtls-Clientcert-Subject", "%[ssl_c_s_dn(,0,rfc2253)]"},
    {"mtls_clientcert_validity", "X-Amzn-Mtls-Clientcert-Validity",
     "%[var(sess.c_valid)] if { var(sess.c_valid) -m found }"},
    {"mtls_clientcert_leaf", "X-Amzn-Mtls-Clientcert-Leaf",
     "-----BEGIN%%20CERTIFICATE-----%%0A%[var(sess.c_leaf)]%%0A-----END%%20CERTIFICATE-----%%0A"
     " if { var(sess.c_leaf) -m found }"},
};

/* Another name for it, or NULL. */
static const char *
renamed(const struct config_listener *listener, size_t index)
{
    cleanup_free char *key = text_format("routing.http.request.x_amzn_%s.header_name", headers[index].attribute);
    const char *name = attributes_get(listener, key, "");

    return name[0] != '\0' && strcmp(name, headers[index].name) != 0 ? name : NULL;
}

/* Targets may take '_' for '-'. HAProxy has names in small letters. */
static void
remove_name(const char *name, struct strbuf *out)
{
    strbuf_add_cstr(out, "    http-request del-header '^");
    for (; *name != '\0'; name++)
        if (*name == '-' || *name == '_')
            strbuf_add_cstr(out, "[-_]");
        else
            strbuf_add_char(out, (char)tolower((unsigned char)*name));
    strbuf_add_cstr(out, "$' -m reg\n");
}

void
mutual_add_checks(const struct config_listener *listener, struct strbuf *out)
{
    if (!mutual_is_asked(listener))
        return;
    strbuf_add_cstr(out, "    http-request del-header '^x[-_]amzn[-_]mtls[-_]clientcert' -m reg\n");
    for (size_t i = 0; i < ARRAY_COUNT(headers); i++)
        if (renamed(listener, i) != NULL)
            remove_name(renamed(listener, i), out);
}

void
mutual_add_request(const struct config_listener *listener, struct strbuf *out)
{
    if (!mutual_is_asked(listener))
        return;
    if (passes_on(listener)) {
        strbuf_add_cstr(out, chain_lines);
        return;
    }
    strbuf_add_cstr(out, once_lines);
    for (size_t i = 0; i < ARRAY_COUNT(headers); i++) {
        const char *other = renamed(listener, i);
        strbuf_addf(out, "    http-request set-header %s %s\n", other != NULL ? other : headers[i].name,
                    headers[i].value);
    }
}
