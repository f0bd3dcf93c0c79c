/* SPDX-License-Identifier: MIT */
/* haproxy_frontend.c - a listener: what is added to a request, which rule it meets, where it is led. */
#include "balancer/haproxy_text.h"
#include "balancer/rule_pattern.h"
#include "base/json.h"

/* The key of rule_pattern.h.  A host is cut where no pattern can tell any more: with it the key is
 * never longer than HAProxy's buffer, which would cut the headers off. */
static void
add_key(const struct config_listener *listener, struct strbuf *out)
{
    bool has_headers = false;

    for (int i = 0; i < listener->rule_count; i++)
        has_headers = has_headers || rule_pattern_asks_headers(listener->rules[i].conditions);
    strbuf_addf(out,
                "    http-request set-var-fmt(txn.key) \"%%[method]\\n"
                "%%[req.hdr(host),field(1,:),lower,bytes(0,256)]\\n%%[path]\\n&%%[query]\\n"
                "%%[src,hex]\\n%s\"\n"
                "    http-request set-var(txn.hit) var(txn.key),map_reg(maps/%s.rules)\n"
                "    http-request unset-var(txn.key)\n",
                has_headers ? "%[req.hdrs]" : "", listener->id);
}

/* X-Forwarded-*, X-Amzn-Trace-Id (alb.md A7). */
static const char forwarding_lines[] =
    "    http-request disable-l7-retry if !{ method GET HEAD OPTIONS PUT DELETE }\n"
    "    http-request return status 405 if { method TRACE }\n"
    "    http-request set-var(txn.proto) str(http)\n"
    "    http-request set-header X-Forwarded-Proto %[var(txn.proto)]\n"
    "    http-request set-header X-Forwarded-Port %[dst_port]\n"
    "    http-request set-var-fmt(txn.xff) \"%[req.fhdr(x-forwarded-for)], %[src]\""
    " if { req.hdr(x-forwarded-for) -m found }\n"
    "    http-request set-var-fmt(txn.xff) \"%[src]\" if !{ var(txn.xff) -m found }\n"
    "    http-request set-header X-Forwarded-For %[var(txn.xff)]\n"
    "    http-request set-var-fmt(txn.id) \"1-%[date,hex,bytes(8,8),lower]-"
    "%[rand(4294967295),hex,bytes(8,8),lower]%[rand(4294967295),hex,bytes(8,8),lower]"
    "%[rand(4294967295),hex,bytes(8,8),lower]\"\n"
    "    http-request set-header X-Amzn-Trace-Id "
    "\"Self=%[var(txn.id)];%[req.hdr(x-amzn-trace-id)]\""
    " if { req.hdr(x-amzn-trace-id) -m sub Root= }\n"
    "    http-request set-header X-Amzn-Trace-Id \"Root=%[var(txn.id)]\""
    " if !{ req.hdr(x-amzn-trace-id) -m sub Root= }\n"
    "    http-request set-var(txn.host) req.hdr(host),field(1,:),lower\n";

/* A refused connection is 502 at Amazon, 503 here; the 503 of an empty group, of a fixed response
 * and of the application stay (alb.md B11). */
static const char answer_lines[] =
    "    http-response set-var(txn.answered) int(1)\n"
    "    http-after-response set-status 502 if { status 503 } !{ var(txn.answered) -m found }"
    " { var(txn.tg),nbsrv gt 0 }\n";

/* A rule's action instead of the listener's. */
static const char hit_lines[] =
    "    http-request set-var(txn.rule) var(txn.hit),field(1,|) if { var(txn.hit) -m found }\n"
    "    http-request set-var(txn.act) var(txn.hit),field(2,|,0) if { var(txn.hit) -m found }\n";

/* Which group: the first threshold above a counter's next value, spread by a factor prime to it. */
static void
add_choice(const struct config_listener *listener, struct strbuf *out)
{
    strbuf_addf(out,
                "    http-request set-var(txn.rule) str(%s.default)\n"
                "    http-request set-var(txn.act) var(txn.rule),map_str(maps/%s.actions,none)\n"
                "%s"
                "    http-request set-var(txn.type) var(txn.act),field(1,|)\n",
                listener->id, listener->id, listener->rule_count > 0 ? hit_lines : "");
    strbuf_add_cstr(out, "    http-request set-var(txn.tg) var(txn.act),field(2,|)"
                         " if { var(txn.type) -m str fwd }\n"
                         "    http-request track-sc0 var(txn.rule) table dice"
                         " if { var(txn.type) -m str split }\n"
                         "    http-request sc-inc-gpc0(0) if { var(txn.type) -m str split }\n"
                         "    http-request set-var(txn.r) sc0_get_gpc0,mul(617),mod(1000)"
                         " if { var(txn.type) -m str split }\n");
    for (int i = 0; i < GROUPS_PER_ACTION; i++) {
        const int name = 2 + 2 * i;
        strbuf_addf(out,
                    "    http-request set-var(txn.t) var(txn.act),field(%d,|)"
                    " if { var(txn.type) -m str split } !{ var(txn.tg) -m found }\n"
                    "    http-request set-var(txn.tg) var(txn.act),field(%d,|)"
                    " if { var(txn.type) -m str split } !{ var(txn.tg) -m found }"
                    " { var(txn.r),sub(txn.t) -m int lt 0 }\n",
                    name + 1, name);
    }
}

void
frontend_add(const struct config_setup *setup, const struct config_listener *listener,
             struct strbuf *out)
{
    const char *type = action_type(listener->actions);
    const bool is_ipv6 = strchr(setup->bind_address, ':') != NULL;

    strbuf_addf(out, "frontend listener_%s_%d\n", listener->id, listener->port);
    strbuf_addf(out, is_ipv6 ? "    bind [%s]:%d\n" : "    bind %s:%d\n", setup->bind_address,
                listener->port);
    strbuf_addf(out, "    timeout client %ds\n", listener->idle_timeout_s);
    if (listener->rule_count > 0)
        add_key(listener, out); /* before our own headers */
    strbuf_add_cstr(out, forwarding_lines);
    add_choice(listener, out);
    if (strcmp(type, "fixed-response") == 0)
        action_add_fixed(listener->id, listener->actions, " if { var(txn.type) -m str fixed }", out);
    if (strcmp(type, "redirect") == 0)
        action_add_redirect(listener->actions, listener->port, " if { var(txn.type) -m str redirect }",
                     " if { var(txn.type) -m str redirect } ", out);
    strbuf_add_cstr(out, answer_lines);
    strbuf_add_cstr(out, "    use_backend %[var(txn.tg)] if { var(txn.tg) -m found }\n"
                         "    default_backend none\n\n");
}
