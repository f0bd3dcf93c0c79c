/* SPDX-License-Identifier: MIT */
/* HTTPS in HAProxy's configuration, and what it answers about certificates. */
#include "balancer/haproxy_config.h"
#include "balancer/haproxy_socket.h"
#include "base/json.h"
#include "check.h"

static char *
format(const struct config_tls *tls)
{
    struct err err;
    cleanup_json struct json *actions = json_parse(STR("[]"), &err);
    const struct config_listener listener = {
        .id = "abc", .port = 443, .idle_timeout_s = 60, .actions = actions, .tls = tls};
    const struct config_setup setup = {.bind_address = "0.0.0.0", .listeners = &listener, .listener_count = 1};
    struct strbuf out = {0};

    haproxy_config_format(&setup, &out);
    return strbuf_take(&out);
}

static struct config_tls
tls_of(const char *policy)
{
    return (struct config_tls){
        .policy = ssl_policy_find(policy), .has_http2 = true, .default_id = "one", .large = ""};
}

static void
check_has_at(int line, const struct config_tls *tls, const char *want)
{
    cleanup_free char *text = format(tls);

    if (strstr(text, want) == NULL)
        check_fail(__FILE__, line, "%s\nlacks\n%s", text, want);
}
#define check_has(tls, want) check_has_at(__LINE__, tls, want)

TEST(a_listener_of_https_names_its_list_and_its_ciphers)
{
    struct config_tls tls = tls_of("ELBSecurityPolicy-TLS13-1-2-Res-2021-06");

    check_has(&tls, "frontend listener_abc_443\n"
                    "    bind 0.0.0.0:443 ssl crt-list certs/abc.list alpn h2,http/1.1 ssl-min-ver TLSv1.2 "
                    "ssl-max-ver TLSv1.3 ciphers ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:"
                    "ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384 ciphersuites "
                    "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256\n"
                    "    # default certificate one\n"
                    "    timeout client 60s\n");
    check_has(&tls, "    http-request set-header X-Forwarded-Proto https\n");
    tls.has_http2 = false;
    check_has(&tls, " alpn http/1.1 ");
    tls.large = "    # large certificate two 00\n";
    check_has(&tls, "one\n    # large certificate two 00\n");
    tls = tls_of("ELBSecurityPolicy-TLS13-1-3-2021-06");
    check_has(&tls, " ssl-min-ver TLSv1.3 ssl-max-ver TLSv1.3 ciphersuites TLS_");
    tls = tls_of("ELBSecurityPolicy-2016-08"); /* old versions need OpenSSL's lowest level */
    check_has(&tls, ":AES256-SHA:@SECLEVEL=0\n");
    check_has(&tls, " ssl-min-ver TLSv1.0 ssl-max-ver TLSv1.2 ");
}

TEST(a_listener_of_http_has_nothing_of_it)
{
    cleanup_free char *text = format(NULL);

    CHECK(strstr(text, "    bind 0.0.0.0:443\n    timeout client 60s\n") != NULL);
    CHECK(strstr(text, "certs/") == NULL && strstr(text, "ssl") == NULL && strstr(text, "# default") == NULL);
    CHECK(strstr(text, "X-Forwarded-Proto http\n") != NULL);
}

static const char mutual_lines[] =
    "    http-request set-var-fmt(sess.c_valid) \"NotBefore=%[ssl_c_notbefore,regsub(\\\"^(..)(..)(..)(..)(..)(..)Z\\\","
    "\\\"20\\\\1-\\\\2-\\\\3T\\\\4:\\\\5:\\\\6Z\\\")];NotAfter=%[ssl_c_notafter,regsub(\\\"^(..)(..)(..)(..)(..)(..)Z\\\","
    "\\\"20\\\\1-\\\\2-\\\\3T\\\\4:\\\\5:\\\\6Z\\\")]\" if !{ var(sess.c_valid) -m found } "
    "{ ssl_c_notbefore -m found } { ssl_c_notafter -m found }\n"
    "    http-request set-var(sess.c_leaf) \"ssl_c_der,base64,regsub(\\\"(.{64})(?=.)\\\",\\\"\\\\1%0A\\\",g)\""
    " if !{ var(sess.c_leaf) -m found }\n"
    "    http-request set-header X-Amzn-Mtls-Clientcert-Serial-Number %[ssl_c_serial,hex]\n"
    "    http-request set-header X-Amzn-Mtls-Clientcert-Issuer %[ssl_c_i_dn(,0,rfc2253)]\n"
    "    http-request set-header X-Amzn-Mtls-Clientcert-Subject %[ssl_c_s_dn(,0,rfc2253)]\n"
    "    http-request set-header X-Amzn-Mtls-Clientcert-Validity %[var(sess.c_valid)]"
    " if { var(sess.c_valid) -m found }\n"
    "    http-request set-header X-Amzn-Mtls-Clientcert-Leaf -----BEGIN%%20CERTIFICATE-----%%0A%[var(sess.c_leaf)]"
    "%%0A-----END%%20CERTIFICATE-----%%0A if { var(sess.c_leaf) -m found }\n";

TEST(who_verifies_clients_says_who_they_are)
{
    struct config_tls tls = tls_of("ELBSecurityPolicy-TLS13-1-3-2021-06");
    cleanup_free char *plain = format(&tls);

    CHECK(strstr(plain, "tune.ssl") == NULL && strstr(plain, "verify") == NULL && strstr(plain, "mtls") == NULL);
    CHECK(strstr(plain, "trust") == NULL && strstr(plain, "c_leaf") == NULL);
    tls.trust = (struct config_trust){.id = "0123456789abcdef", .digest = "d1"};
    check_has(&tls, "0s\n    tune.bufsize 32768\n    tune.maxrewrite 16384\n    tune.ssl.cachesize 0\n\ndefaults\n");
    check_has(&tls, "_SHA256 no-tls-tickets ca-file certs/0123456789abcdef.ca verify required no-ca-names\n"
                    "    # default certificate one\n    # trust store 0123456789abcdef d1\n");
    check_has(&tls, "    http-request del-header '^x[-_]amzn[-_]mtls[-_]clientcert' -m reg\n"
                    "    http-request return status 405");
    check_has(&tls, mutual_lines);
    tls.trust.shows_names = tls.trust.ignores_expiry = true;
    check_has(&tls, ".ca verify required crt-ignore-err 10\n");
    tls.trust.has_revocations = true;
    check_has(&tls, ".ca verify required crl-file certs/0123456789abcdef.crl ca-ignore-err 3,12 crt-ignore-err 3,12,10\n");
    tls.trust.shows_names = tls.trust.ignores_expiry = false;
    check_has(&tls, ".ca verify required no-ca-names crl-file certs/0123456789abcdef.crl ca-ignore-err 3,12"
                    " crt-ignore-err 3,12\n");
}

TEST(who_passes_clients_on_verifies_nobody)
{
    struct config_tls tls = tls_of("ELBSecurityPolicy-TLS13-1-3-2021-06");

    tls.trust = (struct config_trust){.id = "0123456789abcdef", .digest = "", .is_passed_on = true};
    check_has(&tls, "    tune.ssl.cachesize 0\n    lua-load chain.lua\n\ndefaults\n");
    check_has(&tls, "_SHA256 no-tls-tickets ca-file certs/0123456789abcdef.ca verify optional no-ca-names"
                    " ca-ignore-err all crt-ignore-err all\n");
    check_has(&tls, "    http-request del-header '^x[-_]amzn[-_]mtls[-_]clientcert' -m reg\n");
    check_has(&tls, "    http-request set-var(sess.c_own) ssl_c_der,hex,lua.pem_in_url"
                    " if !{ var(sess.c_own) -m found } { ssl_c_used }\n"
                    "    http-request set-var(sess.c_rest) ssl_c_chain_der,hex,lua.pem_in_url"
                    " if !{ var(sess.c_rest) -m found } { ssl_c_used }\n"
                    "    http-request return status 431 if { ssl_c_used } { ssl_c_chain_der -m found }"
                    " !{ var(sess.c_rest) -m len gt 0 }\n"
                    "    http-request set-header X-Amzn-Mtls-Clientcert %[var(sess.c_own)]"
                    " if { var(sess.c_own) -m len gt 0 }\n"
                    "    http-request set-header X-Amzn-Mtls-Clientcert %[var(sess.c_own)]%[var(sess.c_rest)]"
                    " if { var(sess.c_own) -m len gt 0 } { var(sess.c_rest) -m len gt 0 }\n");
    cleanup_free char *text = format(&tls);
    CHECK(strstr(text, "Clientcert-") == NULL);
}

TEST(headers_about_clients_may_have_other_names)
{
    struct err err;
    cleanup_json struct json *actions = json_parse(STR("[]"), &err);
    cleanup_json struct json *attributes = json_parse(
        STR("{\"routing.http.request.x_amzn_mtls_clientcert_issuer.header_name\":\"X-Who_Issued\","
            "\"routing.http.request.x_amzn_mtls_clientcert_leaf.header_name\":\"X-Amzn-Mtls-Clientcert-Leaf\"}"), &err);
    struct config_tls tls = tls_of("ELBSecurityPolicy-TLS13-1-3-2021-06");
    struct config_listener listener = {.id = "abc", .port = 443, .actions = actions, .attributes = attributes, .tls = &tls};
    const struct config_setup setup = {.bind_address = "::", .listeners = &listener, .listener_count = 1};
    cleanup(strbuf_done) struct strbuf text = {0};

    haproxy_config_format(&setup, &text);
    CHECK(strstr(strbuf_cstr(&text), "X-Who_Issued") == NULL); /* it verifies nobody */
    strbuf_clear(&text);
    tls.trust = (struct config_trust){.id = "0123456789abcdef", .digest = "d1"};
    haproxy_config_format(&setup, &text);
    CHECK(strstr(strbuf_cstr(&text), "clientcert' -m reg\n    http-request del-header '^x[-_]who[-_]issued$' -m reg\n"
                                     "    http-request return") != NULL);
    CHECK(strstr(strbuf_cstr(&text), "set-header X-Who_Issued %[ssl_c_i_dn") != NULL);
    CHECK(strstr(strbuf_cstr(&text), "set-header X-Amzn-Mtls-Clientcert-Issuer") == NULL);
}

static void
fingerprint_of(const struct config_tls *tls, char out[static HAPROXY_FINGERPRINT_SIZE])
{
    struct err err;
    cleanup_json struct json *actions = json_parse(STR("[]"), &err);
    const struct config_listener listener = {.id = "abc", .port = 443, .actions = actions, .tls = tls};
    const struct config_setup setup = {.bind_address = "::", .listeners = &listener, .listener_count = 1};

    haproxy_config_fingerprint(&setup, out);
}

TEST(another_default_certificate_or_policy_is_another_structure)
{
    struct config_tls tls = tls_of("ELBSecurityPolicy-2016-08");
    char first[HAPROXY_FINGERPRINT_SIZE], other[HAPROXY_FINGERPRINT_SIZE];

    fingerprint_of(&tls, first);
    fingerprint_of(&tls, other);
    CHECK_TEXT(first, other);
    tls.default_id = "two";
    fingerprint_of(&tls, other);
    CHECK(strcmp(first, other) != 0);
    tls = tls_of("ELBSecurityPolicy-TLS-1-1-2017-01");
    fingerprint_of(&tls, other);
    CHECK(strcmp(first, other) != 0);
    memcpy(first, other, sizeof(first));
    tls.trust = (struct config_trust){.id = "0123456789abcdef", .digest = "d1"};
    fingerprint_of(&tls, other);
    CHECK(strcmp(first, other) != 0);
    memcpy(first, other, sizeof(first));
    tls.trust.digest = "d2"; /* another bundle under the same name */
    fingerprint_of(&tls, other);
    CHECK(strcmp(first, other) != 0);
}

TEST(every_policy_has_ciphers_for_its_versions)
{
    for (const struct ssl_policy *p = ssl_policies; p->name != NULL; p++) {
        CHECK(p->min >= 10 && p->min <= p->max && p->max <= 13);
        CHECK((p->min < 13) == (p->ciphers[0] != '\0'));
        CHECK((p->max == 13) == (p->cipher_suites[0] != '\0'));
        CHECK(strlen(p->name) < SSL_POLICY_SIZE && ssl_policy_find(p->name) == p);
        CHECK(ssl_policy_obstacle(p->name) == NULL);
    }
    CHECK(ssl_policy_find("") == NULL);
    CHECK(ssl_policy_obstacle("ELBSecurityPolicy-TLS13-1-3-PQ-2025-09") != NULL);
    CHECK(ssl_policy_obstacle("ELBSecurityPolicy-TLS-1-0-2015-04") != NULL);
    CHECK(ssl_policy_obstacle("other") == NULL);
}

static void
note(void *arg, struct str id)
{
    strbuf_addf(arg, STR_FMT " ", STR_ARG(id));
}

TEST(haproxys_words_about_certificates_are_read)
{
    cleanup(strbuf_done) struct strbuf ids = {0};
    char fingerprint[41];

    haproxy_parse_certificates(STR("# transaction\n*certs/b.pem\n# filename\ncerts/a.pem\ncerts/.pem\nx/c.pem\n"
                                   "certs/d.pem\n\n"), note, &ids);
    CHECK_TEXT(strbuf_cstr(&ids), "a d ");
    CHECK(haproxy_parse_fingerprint(STR("Filename: certs/a.pem\nStatus: Used\n"
                                        "SHA1 FingerPrint: E596EA6F73B84569552938CA759A3B6C41A6EF70\n"
                                        "Subject: /CN=a\n\n"), fingerprint));
    CHECK_TEXT(fingerprint, "E596EA6F73B84569552938CA759A3B6C41A6EF70");
    CHECK(!haproxy_parse_fingerprint(STR("SHA1 FingerPrint: E596\n"), fingerprint));
    CHECK(!haproxy_parse_fingerprint(STR("SHA1 FingerPrint: e596EA6F73B84569552938CA759A3B6C41A6EF70\n"), fingerprint));
    CHECK(!haproxy_parse_fingerprint(STR("Can't display the certificate: Not found or the certificate is a bundle!\n"),
                                     fingerprint));
}
