/* SPDX-License-Identifier: MIT */
/* haproxy_log.c - what HAProxy says of requests, to log.sock; access_line.h reads it.
 * Saying all of each costs a fifth to a third of what a request costs (decisions/seeing.md).  So a load balancer that
 * keeps no access logs has samples: of a listener with few requests all, of one with more one of SAMPLE_EVERY, of one
 * with many one of as many of those: naru has to read them, on the machine that the requests need.  "silent" is decided
 * before a line is made, and costs next to nothing.
 * The level tells nothing and `short` leaves all else out: the line is ours. */
#include "balancer/access_line.h"
#include "balancer/haproxy_text.h"

#define SAMPLE_ABOVE 200 /* requests a second of the listener */
#define SAMPLE_FAR_ABOVE 3200
#define SAMPLE_EVERY 16

static void
add_samples(struct strbuf *out)
{
    /* One line: whom the first half silences costs no second look. */
    strbuf_addf(out,
                "    http-request set-log-level silent if { rand(%d) gt 0 } { fe_req_rate gt %d }"
                " || { rand(%d) gt 0 } { fe_req_rate gt %d }\n",
                SAMPLE_EVERY, SAMPLE_ABOVE, SAMPLE_EVERY, SAMPLE_FAR_ABOVE);
}

/* The request as it came; when it is over, HAProxy has it no more. */
static void
add_captures(struct strbuf *out)
{
    strbuf_addf(out,
                "    http-request set-var(sess.l_id) uuid() if !{ var(sess.l_id) -m found }\n"
                "    http-request set-var(txn.l_method) method\n"
                "    http-request set-var(txn.l_version) req.ver\n"
                "    http-request set-var(txn.l_url) pathq,bytes(0,%d)\n"
                "    http-request set-var(txn.l_host) req.hdr(host),bytes(0,%d)\n"
                "    http-request set-var(txn.l_agent) req.fhdr(user-agent),bytes(0,%d)\n"
                "    http-request set-var(txn.l_name) ssl_fc_sni,bytes(0,%d)\n",
                ACCESS_URL_MAX, ACCESS_HOST_MAX, ACCESS_AGENT_MAX, ACCESS_HOST_MAX);
}

void
log_add(const struct config_listener *listener, struct strbuf *out)
{
    const bool is_all = listener->log == CONFIG_LOG_ALL;

    if (listener->log == CONFIG_LOG_NONE)
        return;
    strbuf_addf(out,
                "    log unix@log.sock len %d format short local0\n"
                "    option dontlognull\n"
                "    log-format \"",
                ACCESS_LINE_MAX);
    access_line_format(is_all, listener->id, listener->rule_count > 0, out);
    strbuf_add_cstr(out, "\"\n");
    if (is_all)
        add_captures(out);
    else
        add_samples(out);
}

void
log_add_late(const struct config_listener *listener, struct strbuf *out)
{
    if (listener->log != CONFIG_LOG_ALL)
        return;
    strbuf_addf(out,
                "    http-request set-var(txn.l_trace) req.fhdr(x-amzn-trace-id),bytes(0,%d)\n"
                "    http-after-response set-var(txn.l_location) res.fhdr(location),bytes(0,%d)"
                " if { status 301 302 }\n",
                ACCESS_TRACE_MAX, ACCESS_LOCATION_MAX);
}
