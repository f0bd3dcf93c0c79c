/* SPDX-License-Identifier: MIT */
/* http_proxies.h - proxies whose word is taken for who their clients are, and where a request came from that
 * such a one passed on: X-Forwarded-For, read from its end, as each proxy adds whom it heard; the first address
 * that is no such proxy's is the client's. What stands before it anybody can have written.  Pure. */
#pragma once
#include <netinet/in.h>

#include "base/address_block.h"
#include "base/err.h"
#include "base/str.h"

#define HTTP_PROXIES_MAX 64

struct http_proxies {
    struct address_block blocks[HTTP_PROXIES_MAX];
    size_t count;
};

/* Addresses and blocks, joined by commas. False: one is none, or there are more (ERR_USAGE). */
bool http_proxies_read(const char *list, struct http_proxies *out, struct err *err) MUST_CHECK;
bool http_proxies_have(const struct http_proxies *p, struct str address);
/* Who is behind `peer`; `forwarded` has the header's values, joined by commas. `peer` itself if he is no
 * proxy, or named nobody; behind what is no address nobody is looked for. A view into one of both. */
struct str http_proxies_client(const struct http_proxies *p, struct str peer, struct str forwarded);

/* "10.0.0.1"; IPv4 that came by a socket of IPv6 is said as IPv4. "" where there is no address. */
void http_address_text(const struct sockaddr *from, char out[static INET6_ADDRSTRLEN]);
