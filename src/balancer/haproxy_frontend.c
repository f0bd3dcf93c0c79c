/* SPDX-License-Identifier: MIT */
/* haproxy_frontend.c - a listener: what is added to a request, which rule it meets, where it is led. */
#include "balancer/haproxy_text.h"
#include "balancer/rule_pattern.h"
#include "base/address_block.h"
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

/* No connection to a target is 503 here; at Amazon 504 if it took too long, 502 if it was refused, and the 503 of an
 * empty group, of a fixed response and of the application stay (alb.md B11).  A socket that was refused has no own
 * address any more, one that still waits does; an error of TLS has a number.  What has no three digits is no status:
 * HAProxy would pass "99" on without a length, and the next answer would be its body.  Nothing is behind these lines:
 * usual answers leave at the first of either kind. */
static const char answer_lines[] =
    "    http-response allow if { status 100:502 504:999 }\n"
    "    http-response deny deny_status 502 if !{ status 503 }\n"
    "    http-response set-var(txn.answered) int(1)\n"
    "    http-after-response allow if !{ status 503 } || { var(txn.answered) -m found }\n"
    "    http-after-response set-status 504 if { bc_src -m found } !{ bc_src -m ip 0.0.0.0 :: } !{ bc_err gt 0 }\n"
    "    http-after-response set-status 502 if { status 503 } { be_name,nbsrv gt 0 }\n";

/* ---- where it is led ---- */

/* The listener's own answer is for those that no rule took. */
static void
add_own_answer(const struct config_listener *listener, struct strbuf *out)
{
    const char *type = action_type(listener->actions);
    const bool has_rules = listener->rule_count > 0;

    if (strcmp(type, "fixed-response") == 0)
        action_add_fixed(listener->id, listener->actions,
                         has_rules ? " if !{ var(txn.hit) -m found }" : "", out);
    else if (strcmp(type, "redirect") == 0)
        action_add_redirect(listener->actions, listener->port,
                            has_rules ? " if !{ var(txn.hit) -m found }" : "",
                            has_rules ? " if !{ var(txn.hit) -m found } " : " if ", out);
}

/* May requests be spread over several groups?  Whatever the weights: they change at run time. */
static bool
has_split(const struct config_listener *listener)
{
    bool has = action_has_groups(listener->actions);

    for (int i = 0; i < listener->rule_count && !has; i++)
        has = action_has_groups(listener->rules[i].actions);
    return has;
}

/* A name that is no backend's, as after "none", is the default one. */
static void
add_straight(const struct config_listener *listener, struct strbuf *out)
{
    if (listener->rule_count > 0)
        strbuf_add_cstr(out, "    use_backend %[var(txn.hit),field(3,|)] if { var(txn.hit) -m found }\n");
    strbuf_addf(out, "    use_backend %%[str(%s.default),map_str(maps/%s.actions),field(2,|)]\n",
                listener->id, listener->id);
}

/* A rule's action instead of the listener's. */
static const char hit_lines[] =
    "    http-request set-var(txn.rule) var(txn.hit),field(1,|) if { var(txn.hit) -m found }\n"
    "    http-request set-var(txn.act) var(txn.hit),field(2,|,0) if { var(txn.hit) -m found }\n";

/* Which group: the first threshold above a counter's next value, spread by a factor prime to it. */
static void
add_split(const struct config_listener *listener, struct strbuf *out)
{
    const bool is_sticky = sticky_is_asked(listener);
    /* A client that stays throws no dice. */
    const char *unless = is_sticky ? " !{ var(txn.tg) -m found }" : "";

    strbuf_addf(out,
                "    http-request set-var(txn.rule) str(%s.default)\n"
                "    http-request set-var(txn.act) var(txn.rule),map_str(maps/%s.actions,none)\n"
                "%s"
                "    http-request set-var(txn.type) var(txn.act),field(1,|)\n",
                listener->id, listener->id, listener->rule_count > 0 ? hit_lines : "");
    if (is_sticky)
        sticky_add_choice(listener, out);
    strbuf_addf(out,
                "    http-request set-var(txn.tg) var(txn.act),field(2,|)"
                " if { var(txn.type) -m str fwd }\n"
                "    http-request track-sc0 var(txn.rule) table dice"
                " if { var(txn.type) -m str split }%s\n"
                "    http-request sc-inc-gpc0(0) if { var(txn.type) -m str split }%s\n"
                "    http-request set-var(txn.r) sc0_get_gpc0,mul(617),mod(1000)"
                " if { var(txn.type) -m str split }%s\n",
                unless, unless, unless);
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
    if (is_sticky)
        sticky_add_answer(listener, out);
}

/* Others are let go before they have said anything. */
static void
add_guard(const struct config_listener *listener, struct strbuf *out)
{
    strbuf_addf(out,
                "    tcp-request connection reject if !{ src,map_ip(maps/%s.sources) -m found }\n",
                listener->id);
}

void
haproxy_config_sources(const struct config_listener *listener, struct strbuf *out)
{
    for (size_t i = 0; i < json_size(listener->sources); i++) {
        const char *text = json_cstr(json_at(listener->sources, i), "");
        struct address_block block;
        if (address_block_parse(text, &block)) /* nothing else may get into commands */
            strbuf_addf(out, "%s 1\n", text);
    }
}

void
frontend_add(const struct config_setup *setup, const struct config_listener *listener,
             struct strbuf *out)
{
    const bool is_ipv6 = strchr(setup->bind_address, ':') != NULL;
    const bool is_split = has_split(listener) || sticky_is_asked(listener);

    strbuf_addf(out, "frontend listener_%s_%d\n", listener->id, listener->port);
    strbuf_addf(out, is_ipv6 ? "    bind [%s]:%d" : "    bind %s:%d", setup->bind_address,
                listener->port);
    if (listener->tls != NULL)
        tls_add_bind(listener, out);
    strbuf_add_char(out, '\n');
    if (listener->tls != NULL)
        tls_add_notes(listener, out);
    strbuf_addf(out, "    timeout client %ds\n", listener->idle_timeout_s);
    if (listener->sources != NULL)
        add_guard(listener, out);
    if (listener->is_tcp) {
        tcp_add_listener(listener, out);
        return;
    }
    attributes_add_connection(listener, out);
    request_add_connection(listener, out);
    log_add(listener, out);
    attributes_add_checks(listener, out);
    mutual_add_checks(listener, out);
    request_add_guards(listener, out);
    if (listener->rule_count > 0)
        add_key(listener, out); /* before our own headers */
    request_add_forwarding(setup, listener, out);
    log_add_late(listener, out);
    attributes_add_request(listener, out);
    mutual_add_request(listener, out);
    transform_add(listener, out);
    add_own_answer(listener, out);
    attributes_add_answer(listener, out);
    if (is_split)
        add_split(listener, out);
    strbuf_add_cstr(out, answer_lines);
    request_add_end(listener, out);
    if (is_split)
        strbuf_add_cstr(out, "    use_backend %[var(txn.tg)] if { var(txn.tg) -m found }\n");
    else
        add_straight(listener, out);
    strbuf_add_cstr(out, "    default_backend none\n\n");
}
