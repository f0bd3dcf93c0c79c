/* SPDX-License-Identifier: MIT */
/* haproxy_tls.c - what a listener of HTTPS has on its bind line, and whom it lets in. */
#include "balancer/haproxy_text.h"

#define CERT_HAS_EXPIRED "10" /* X509_V_ERR_CERT_HAS_EXPIRED */

static const char *
version(int v)
{
    static const char *const names[] = {"TLSv1.0", "TLSv1.1", "TLSv1.2", "TLSv1.3"};

    return names[v - 10];
}

void
tls_add_bind(const struct config_listener *listener, struct strbuf *out)
{
    const struct config_tls *tls = listener->tls;
    const struct ssl_policy *p = tls->policy;

    strbuf_addf(out, " ssl crt-list certs/%s.list alpn %shttp/1.1 ssl-min-ver %s ssl-max-ver %s", listener->id,
                tls->has_http2 ? "h2," : "", version(p->min), version(p->max));
    /* OpenSSL 3 speaks what is older than TLS 1.2 at its lowest level of security only. */
    if (p->ciphers[0] != '\0')
        strbuf_addf(out, " ciphers %s%s", p->ciphers, p->min < 12 ? ":@SECLEVEL=0" : "");
    if (p->cipher_suites[0] != '\0')
        strbuf_addf(out, " ciphersuites %s", p->cipher_suites);
    if (tls->trust.id != NULL)
        strbuf_addf(out, " no-tls-tickets ca-file certs/%s.ca verify required%s%s", tls->trust.id,
                    tls->trust.shows_names ? "" : " no-ca-names",
                    tls->trust.ignores_expiry ? " crt-ignore-err " CERT_HAS_EXPIRED : "");
}

void
tls_add_notes(const struct config_listener *listener, struct strbuf *out)
{
    strbuf_addf(out, "    # default certificate %s\n%s", listener->tls->default_id, listener->tls->large);
    if (listener->tls->trust.id != NULL)
        strbuf_addf(out, "    # trust store %s %s\n", listener->tls->trust.id, listener->tls->trust.digest);
}
