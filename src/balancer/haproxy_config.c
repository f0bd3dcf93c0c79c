/* SPDX-License-Identifier: MIT */
/* haproxy_config.c - the whole text and its fingerprint. */
#include <stdio.h>
#include "balancer/haproxy_text.h"
#include "base/crypto.h"

/* An old worker's last requests are let go after the longest drain. In two steps only, the usual
 * and the greatest delay, because each other value would be a reload. */
static int
hard_stop_s(int longest_drain_s)
{
    return (longest_drain_s <= 300 ? 300 : 3600) + 10;
}

/* HAProxy keeps 1 KB for all that is added to a request or an answer: what comes with a body that fills its buffer at
 * once would be answered by 500.  A client's certificate takes 2.5 KB of a request if its key is RSA of 4096 bits; of
 * headers of answers half of that 1 KB is for our own cookies.  Heads may have what they had before: the rest of
 * 16 KB. */
static void
add_buffers(const struct config_setup *setup, struct strbuf *out)
{
    bool is_large = false;

    for (int i = 0; i < setup->listener_count; i++)
        is_large = is_large || mutual_is_asked(&setup->listeners[i]) ||
                   attributes_answer_size(&setup->listeners[i]) > 512;
    if (is_large)
        strbuf_add_cstr(out, "    tune.bufsize 32768\n    tune.maxrewrite 16384\n");
}

static void
add_global(const struct config_setup *setup, const char *fingerprint, struct strbuf *out)
{
    strbuf_addf(out,
                "# Written by naru; changes are lost.\n"
                "global\n"
                "    nbthread 2\n"
                "    description %s\n"
                "    stats socket unix@admin.sock mode 600 level admin expose-fd listeners\n"
                "    stats timeout 1h\n"
                "    fd-hard-limit 100000\n"
                "    tune.idle-pool.shared off\n" /* else 1,000 targets cost a third more: threads take each other's */
                "    hard-stop-after %ds\n",
                fingerprint, hard_stop_s(setup->longest_drain_s));
    add_buffers(setup, out);
    mutual_add_global(setup, out);
    strbuf_add_char(out, '\n');
    strbuf_addf(out,
                "defaults\n"
                "    mode http\n"
                "    option idle-close-on-response\n" /* no request lost at a reload */
                "    timeout connect %dms\n"
                "    timeout client 60s\n"
                "    timeout server 60s\n"
                "    timeout http-request %dms\n"
                "    timeout http-keep-alive %dms\n"
                "    retries %d\n"
                "    option redispatch 1\n"
                "    retry-on conn-failure empty-response\n"
                "    http-reuse safe\n"
                /* Whichever of 502, 503 and 504 comes of it. */
                "    http-error status 503 content-type text/html hdr Cache-Control no-cache string"
                " \"<html><body><h1>No target could be reached</h1></body></html>\"\n\n",
                ATTEMPT_MS, HAPROXY_FIRST_REQUEST_MS, HAPROXY_KEEP_ALIVE_MS, RETRIES);
}

static void
format_config(const struct config_setup *setup, const char *fingerprint, bool with_servers,
              struct strbuf *out)
{
    add_global(setup, fingerprint, out);
    for (int i = 0; i < setup->listener_count; i++)
        frontend_add(setup, &setup->listeners[i], out);
    strbuf_add_cstr(out, "backend none\n"
                         "    http-request return status 503\n\n"
                         "backend dice\n"
                         "    stick-table type string len 64 size 10k expire 1d store gpc0\n\n");
    tcp_add_nobody(setup, out);
    action_add_answers(setup, out);
    for (int i = 0; i < setup->group_count; i++)
        backend_add(setup, &setup->groups[i], with_servers, out);
}

void
haproxy_config_fingerprint(const struct config_setup *setup,
                           char out[static HAPROXY_FINGERPRINT_SIZE])
{
    char digest[SHA256_HEX + 1];
    cleanup(strbuf_done) struct strbuf text = {0};

    format_config(setup, "", false, &text);
    sha256_hex(strbuf_str(&text), digest);
    snprintf(out, HAPROXY_FINGERPRINT_SIZE, "naru-%.32s", digest);
}

void
haproxy_config_format(const struct config_setup *setup, struct strbuf *out)
{
    char fingerprint[HAPROXY_FINGERPRINT_SIZE];

    haproxy_config_fingerprint(setup, fingerprint);
    format_config(setup, fingerprint, true, out);
}
