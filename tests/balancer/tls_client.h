/* SPDX-License-Identifier: MIT */
/* tls_client.h - a TLS client for tests: what was negotiated, which certificate came, and one request. */
#pragma once
#include "balancer/client.h"

struct tls_wish {
    const char *name;   /* SNI; NULL: none */
    const char *alpn;   /* "h2" or "http/1.1" offered alone; NULL: none offered */
    int min, max;       /* 10 to 13; 0: whatever OpenSSL wants */
    const char *path;   /* requested by HTTP/1.1; NULL: only the handshake */
    const char *headers; /* lines of the request, each with its end; NULL: none more */
    size_t body_size;   /* so many bytes are sent with it, by POST */
    int first_port;     /* where a session was had before, which is resumed here; 0: none was */
    bool has_no_tickets; /* it is remembered by the server */
    const struct made *own; /* the client's certificate (cert_maker.h); NULL: none */
    const struct made *behind; /* shown behind it; NULL: nothing */
};

struct tls_talk {
    bool is_done;          /* the handshake */
    bool is_resumed;       /* another session goes on */
    char subject[128];     /* the common name of the certificate */
    char serial[64];       /* of it, in hex */
    int chain_count;       /* certificates that came */
    char alpn[16];
    char version[16];      /* "TLSv1.3" */
    char cipher[64];
    int authority_count;   /* names of authorities that it was shown */
    struct reply reply;    /* status 0: none */
    char text[16384];      /* the whole answer, as far as it fits */
};

struct tls_talk tls_talk(int port, const struct tls_wish *wish);
