/* SPDX-License-Identifier: MIT */
#include "balancer/tls_client.h"
#include "cert_maker.h"
#include <openssl/ssl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static const int versions[] = {TLS1_VERSION, TLS1_1_VERSION, TLS1_2_VERSION, TLS1_3_VERSION};

static SSL_CTX *
make_ctx(const struct tls_wish *wish)
{
    SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());

    if (ctx == NULL)
        abort();
    SSL_CTX_set_security_level(ctx, 0); /* all that there is: the server shall choose */
    SSL_CTX_set_cipher_list(ctx, "ALL:@SECLEVEL=0");
    SSL_CTX_set_min_proto_version(ctx, wish->min != 0 ? versions[wish->min - 10] : TLS1_VERSION);
    SSL_CTX_set_max_proto_version(ctx, wish->max != 0 ? versions[wish->max - 10] : TLS1_3_VERSION);
    SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_CLIENT);
    if (wish->has_no_tickets)
        SSL_CTX_set_options(ctx, SSL_OP_NO_TICKET);
    SSL_CTX_set_verify(ctx, SSL_VERIFY_NONE, NULL);
    if (wish->own != NULL &&
        (SSL_CTX_use_certificate(ctx, wish->own->x) != 1 || SSL_CTX_use_PrivateKey(ctx, wish->own->key) != 1))
        abort();
    if (wish->behind != NULL && SSL_CTX_add1_chain_cert(ctx, wish->behind->x) != 1)
        abort();
    return ctx;
}

static void
set_wish(SSL *ssl, const struct tls_wish *wish)
{
    unsigned char offer[16];

    if (wish->name != NULL)
        SSL_set_tlsext_host_name(ssl, wish->name);
    if (wish->alpn == NULL)
        return;
    offer[0] = (unsigned char)strlen(wish->alpn);
    memcpy(offer + 1, wish->alpn, offer[0]);
    SSL_set_alpn_protos(ssl, offer, (unsigned)offer[0] + 1);
}

static void
look(SSL *ssl, struct tls_talk *out)
{
    X509 *x = SSL_get1_peer_certificate(ssl);
    const unsigned char *alpn = NULL;
    unsigned len = 0;
    BIGNUM *serial;
    char *hex;

    SSL_get0_alpn_selected(ssl, &alpn, &len);
    snprintf(out->alpn, sizeof(out->alpn), "%.*s", (int)len, alpn != NULL ? (const char *)alpn : "");
    snprintf(out->version, sizeof(out->version), "%s", SSL_get_version(ssl));
    snprintf(out->cipher, sizeof(out->cipher), "%s", SSL_get_cipher_name(ssl));
    out->authority_count = sk_X509_NAME_num(SSL_get0_peer_CA_list(ssl));
    if (out->authority_count < 0) /* no list */
        out->authority_count = 0;
    out->chain_count = sk_X509_num(SSL_get_peer_cert_chain(ssl));
    if (x == NULL)
        return;
    X509_NAME_get_text_by_NID(X509_get_subject_name(x), NID_commonName, out->subject, sizeof(out->subject));
    serial = ASN1_INTEGER_to_BN(X509_get0_serialNumber(x), NULL);
    hex = BN_bn2hex(serial);
    snprintf(out->serial, sizeof(out->serial), "%s", hex);
    OPENSSL_free(hex);
    BN_free(serial);
    X509_free(x);
}

static void
send_request(SSL *ssl, const struct tls_wish *wish)
{
    char *line = text_format("%s %s HTTP/1.1\r\nHost: %s\r\nConnection: close\r\nContent-Length: %zu\r\n%s\r\n",
                             wish->body_size > 0 ? "POST" : "GET", wish->path, wish->name != NULL ? wish->name : "test",
                             wish->body_size, wish->headers != NULL ? wish->headers : "");
    const size_t len = strlen(line);
    char *all = mem_new(len + wish->body_size);

    memcpy(all, line, len);
    memset(all + len, 'b', wish->body_size);
    SSL_write(ssl, all, (int)(len + wish->body_size));
    free(all);
    free(line);
}

/* Its head and body to the end of the connection. */
static void
request(SSL *ssl, const struct tls_wish *wish, struct tls_talk *talk)
{
    struct reply *out = &talk->reply;
    size_t len = 0;
    int got;
    const char *end;

    send_request(ssl, wish);
    while (len < sizeof(talk->text) - 1 &&
           (got = SSL_read(ssl, talk->text + len, (int)(sizeof(talk->text) - 1 - len))) > 0)
        len += (size_t)got;
    talk->text[len] = '\0';
    end = strstr(talk->text, "\r\n\r\n");
    if (strncmp(talk->text, "HTTP/1.1 ", 9) != 0 || end == NULL)
        return;
    out->status = atoi(talk->text + 9);
    snprintf(out->head, sizeof(out->head), "%.*s", (int)(end - talk->text), talk->text);
    snprintf(out->body, sizeof(out->body), "%.255s", end + 4);
}

/* With the session `before`, if there is one; gives the one that was had. */
static SSL_SESSION *
talk_once(SSL_CTX *ctx, int port, const struct tls_wish *wish, SSL_SESSION *before, struct tls_talk *talk)
{
    SSL *ssl = SSL_new(ctx);
    const int fd = client_connect(port);
    SSL_SESSION *session = NULL;

    set_wish(ssl, wish);
    if (before != NULL)
        SSL_set_session(ssl, before);
    if (fd >= 0 && SSL_set_fd(ssl, fd) == 1 && SSL_connect(ssl) == 1) {
        talk->is_done = true;
        talk->is_resumed = SSL_session_reused(ssl) == 1;
        look(ssl, talk);
        if (wish->path != NULL)
            request(ssl, wish, talk);
        SSL_shutdown(ssl);
        session = SSL_get1_session(ssl);
    }
    if (fd >= 0)
        close(fd);
    SSL_free(ssl);
    return session;
}

struct tls_talk
tls_talk(int port, const struct tls_wish *wish)
{
    struct tls_talk talk = {0}, first = {0};
    SSL_CTX *ctx = make_ctx(wish);
    SSL_SESSION *before = wish->first_port == 0 ? NULL : talk_once(ctx, wish->first_port, wish, NULL, &first);

    SSL_SESSION_free(talk_once(ctx, port, wish, before, &talk));
    SSL_SESSION_free(before);
    SSL_CTX_free(ctx);
    return talk;
}
