/* SPDX-License-Identifier: MIT */
/* haproxy_request.c - what is refused of a request, and what targets are told of it (alb.md A7).
 * Every request pays for what stands here (decisions/requests.md has what each costs), so the usual one meets little of
 * it: our headers are added behind its own, and one line lets it go.  What comes behind that line is for those
 * that may be two, that bring such headers themselves, or that must not be sent twice. */
#include "balancer/haproxy_text.h"

#define CLIENTS_MAX 30      /* addresses in X-Forwarded-For; more is 463 */
#define SENT_TWICE "GET HEAD OPTIONS PUT DELETE" /* methods that mean the same if they come twice */

/* "1-<8 hex: seconds>-<24 hex>": 64 bits by dice, in decimal digits, as each step costs; behind the milliseconds. */
#define DICE "%[rand(4294967295),add(1000000000)]"
#define TRACE_ID "1-%[date,hex,bytes(8),lower]-1%ms" DICE DICE

/* May its end be behind the line that lets usual requests go?  Nothing that everybody has to meet comes later then:
 * no answer of the listener's own, no capture of what the target gets. */
static bool
is_short(const struct config_listener *listener)
{
    return strcmp(action_type(listener->actions), "forward") == 0 && listener->log != CONFIG_LOG_ALL &&
           attributes_has_usual_forwarded_for(listener);
}

/* What a target could take for two requests, or for a way past us (decisions/requests.md): tunnels, by
 * CONNECT or to another protocol than WebSocket; chunks in HTTP/1.0, and "chunked," for "chunked". */
static void
add_guards(int clients_max, struct strbuf *out)
{
    strbuf_addf(out,
                "    http-request return status 405 if { method TRACE CONNECT }\n"
                "    http-request return status 463 if { req.hdr_cnt(x-forwarded-for) gt %d }\n"
                "    http-request deny deny_status 400 if { req.fhdr(transfer-encoding) -m reg -i '^(?!chunked$)' }\n"
                "    http-request deny deny_status 400 if { req.ver 1.0 } { req.hdr(transfer-encoding) -m found }\n"
                "    http-request del-header Upgrade if { req.hdr(upgrade) -m reg -i '^(?!websocket$)' }\n",
                clients_max);
}

static void
add_protocol(const struct config_listener *listener, const char *verb, struct strbuf *out)
{
    strbuf_addf(out,
                "    http-request %s-header X-Forwarded-Proto %s\n"
                "    http-request %s-header X-Forwarded-Port %d\n",
                verb, listener->tls != NULL ? "https" : "http", verb, listener->port);
}

/* Behind those that the client brought. */
static void
add_own(const struct config_setup *setup, const struct config_listener *listener, const char *verb,
        struct strbuf *out)
{
    if (attributes_has_usual_forwarded_for(listener))
        strbuf_add_cstr(out, "    http-request add-header X-Forwarded-For %[var(sess.client)]\n");
    else
        attributes_add_forwarded_for(setup, listener, out);
    add_protocol(listener, verb, out);
    strbuf_add_cstr(out, "    http-request add-header X-Amzn-Trace-Id \"Root=" TRACE_ID "\"\n");
}

/* One line of both, where the client brought one; several stay, and ours is the last.  Of two Self in a trace ours
 * takes the other's place. */
static void
add_joined(const struct config_listener *listener, struct strbuf *out)
{
    strbuf_add_cstr(out, "    http-request disable-l7-retry if !{ method " SENT_TWICE " }\n");
    if (attributes_has_usual_forwarded_for(listener))
        strbuf_add_cstr(out,
                        "    http-request set-header X-Forwarded-For"
                        " \"%[req.fhdr(x-forwarded-for,-2)], %[var(sess.client)]\""
                        " if { req.fhdr_cnt(x-forwarded-for) 2 }\n");
    strbuf_add_cstr(out,
                    "    http-request replace-header X-Amzn-Trace-Id"
                    " '^(?:Self=[^;]*;? ?(.*)|(.*); ?Self=[^;]*(.*))' '\\1\\2\\3'"
                    " if { req.fhdr_cnt(x-amzn-trace-id) gt 1 }\n"
                    "    http-request set-header X-Amzn-Trace-Id"
                    " \"Self=%[req.fhdr(x-amzn-trace-id,-1),bytes(5)];%[req.fhdr(x-amzn-trace-id,-2)]\""
                    " if { req.fhdr(x-amzn-trace-id,-2) -m sub Root= }\n"
                    "    http-request set-header X-Amzn-Trace-Id %[req.fhdr(x-amzn-trace-id,-1)]"
                    " if { req.fhdr_cnt(x-amzn-trace-id) gt 1 }\n");
}

void
request_add_connection(const struct config_listener *listener, struct strbuf *out)
{
    /* As text, which costs more than the whole header: once. */
    if (attributes_has_usual_forwarded_for(listener))
        strbuf_add_cstr(out, "    tcp-request connection set-var(sess.client) src,concat()\n");
}

void
request_add_guards(const struct config_listener *listener, struct strbuf *out)
{
    if (!is_short(listener))
        add_guards(CLIENTS_MAX, out);
}

void
request_add_forwarding(const struct config_setup *setup, const struct config_listener *listener,
                       struct strbuf *out)
{
    const bool is_first = is_short(listener);

    add_own(setup, listener, is_first ? "add" : "set", out);
    if (!is_first)
        add_joined(listener, out);
}

/* Names come in small letters.  Ours are the last, and X-Forwarded-For is the first of them: one that is before it
 * is the client's. */
void
request_add_end(const struct config_listener *listener, struct strbuf *out)
{
    if (!is_short(listener))
        return;
    strbuf_add_cstr(out,
                    "    http-request allow if { method " SENT_TWICE " } !{ req.hdr_names(:) -m reg"
                    " 'transfer-encoding|upgrade:|(?:x-forwarded-|x-amzn-trace-id).*x-forwarded-for' }\n");
    add_guards(CLIENTS_MAX + 1, out);
    add_protocol(listener, "set", out);
    add_joined(listener, out);
}
