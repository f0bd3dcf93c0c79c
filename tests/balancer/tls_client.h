/* SPDX-License-Identifier: MIT */
/* tls_client.h - a TLS client for tests: what was negotiated, which certificate came, and one request. */
#pragma once
#include "balancer/client.h"

struct tls_wish {
    const char *name;   /* SNI; NULL: none */
    const char *alpn;   /* "h2" or "http/1.1" offered alone; NULL: none offered */
    int min, max;       /* 10 to 13; 0: whatever OpenSSL wants */
    const char *path;   /* requested by HTTP/1.1; NULL: only the handshake */
};

struct tls_talk {
    bool is_done;          /* the handshake */
    char subject[128];     /* the common name of the certificate */
    char serial[64];       /* of it, in hex */
    int chain_count;       /* certificates that came */
    char alpn[16];
    char version[16];      /* "TLSv1.3" */
    char cipher[64];
    struct reply reply;    /* status 0: none */
};

struct tls_talk tls_talk(int port, const struct tls_wish *wish);
