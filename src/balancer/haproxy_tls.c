/* SPDX-License-Identifier: MIT */
/* haproxy_tls.c - what a listener of HTTPS has on its bind line, and whom it lets in. */
#include "balancer/haproxy_text.h"

/* Of OpenSSL's errors: X509_V_ERR_CERT_HAS_EXPIRED; X509_V_ERR_UNABLE_TO_GET_CRL and _CRL_HAS_EXPIRED.  Who has a list of one
 * authority needs none of the others, and an old list still tells what was taken back. */
#define CERT_HAS_EXPIRED "10"
#define NO_LIST_OR_OLD "3,12"

static const char *
version(int v)
{
    static const char *const names[] = {"TLSv1.0", "TLSv1.1", "TLSv1.2", "TLSv1.3"};

    return names[v - 10];
}

static void
add_trust(const struct config_trust *trust, struct strbuf *out)
{
    if (trust->is_passed_on) {
        strbuf_addf(out, " no-tls-tickets ca-file certs/%s.ca verify optional no-ca-names ca-ignore-err all crt-ignore-err all",
                    trust->id);
        return;
    }
    strbuf_addf(out, " no-tls-tickets ca-file certs/%s.ca verify required%s", trust->id,
                trust->shows_names ? "" : " no-ca-names");
    if (trust->has_revocations)
        strbuf_addf(out, " crl-file certs/%s.crl ca-ignore-err " NO_LIST_OR_OLD " crt-ignore-err " NO_LIST_OR_OLD "%s",
                    trust->id, trust->ignores_expiry ? "," CERT_HAS_EXPIRED : "");
    else if (trust->ignores_expiry)
        strbuf_add_cstr(out, " crt-ignore-err " CERT_HAS_EXPIRED);
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
        add_trust(&tls->trust, out);
}

void
tls_add_notes(const struct config_listener *listener, struct strbuf *out)
{
    strbuf_addf(out, "    # default certificate %s\n%s", listener->tls->default_id, listener->tls->large);
    if (listener->tls->trust.id != NULL)
        strbuf_addf(out, "    # trust store %s %s\n", listener->tls->trust.id, listener->tls->trust.digest);
}
