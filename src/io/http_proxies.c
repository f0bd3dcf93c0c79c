/* SPDX-License-Identifier: MIT */
#include "io/http_proxies.h"

#include <arpa/inet.h>

bool
http_proxies_read(const char *list, struct http_proxies *out, struct err *err)
{
    return address_blocks_read(list, out->blocks, HTTP_PROXIES_MAX, &out->count, err);
}

static bool
is_address(struct str s, struct address_block *out)
{
    char text[INET6_ADDRSTRLEN];

    return str_index(s, '/') < 0 && text_copy(text, sizeof(text), s) && address_block_parse_any(text, out);
}

bool
http_proxies_have(const struct http_proxies *p, struct str address)
{
    struct address_block one;

    return p->count > 0 && is_address(address, &one) && address_blocks_hold(p->blocks, p->count, &one);
}

/* "::ffff:10.0.0.1" is an address of IPv4. */
static struct str
plain_ipv4(struct str s)
{
    return str_starts(s, STR("::ffff:")) && str_index(s, '.') > 0 ? str_slice(s, 7, s.len) : s;
}

/* "10.0.0.1:4711", "[2001:db8::1]:4711": what some proxies write. */
static struct str
bare_address(struct str s)
{
    const ptrdiff_t colon = str_index(s, ':'), end = str_index(s, ']');

    if (str_starts(s, STR("[")) && end > 0)
        s = str_slice(s, 1, (size_t)end);
    else if (colon >= 0 && colon == str_rindex(s, ':'))
        s = str_slice(s, 0, (size_t)colon);
    return plain_ipv4(s);
}

struct str
http_proxies_client(const struct http_proxies *p, struct str peer, struct str forwarded)
{
    struct str client = peer;

    while (forwarded.len > 0 && http_proxies_have(p, client)) {
        const ptrdiff_t comma = str_rindex(forwarded, ',');
        const struct str last = bare_address(str_trim(str_slice(forwarded, (size_t)(comma + 1), forwarded.len)));
        struct address_block ignored;

        if (!is_address(last, &ignored))
            break;
        client = last;
        forwarded = str_slice(forwarded, 0, comma < 0 ? 0 : (size_t)comma);
    }
    return client;
}

void
http_address_text(const struct sockaddr *from, char out[static INET6_ADDRSTRLEN])
{
    char text[INET6_ADDRSTRLEN] = "";

    if (from->sa_family == AF_INET)
        (void)inet_ntop(AF_INET, &((const struct sockaddr_in *)(const void *)from)->sin_addr, text, sizeof(text));
    else if (from->sa_family == AF_INET6)
        (void)inet_ntop(AF_INET6, &((const struct sockaddr_in6 *)(const void *)from)->sin6_addr, text, sizeof(text));
    (void)text_copy(out, INET6_ADDRSTRLEN, plain_ipv4(str_of(text)));
}
