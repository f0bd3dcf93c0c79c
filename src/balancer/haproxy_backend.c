/* SPDX-License-Identifier: MIT */
/* haproxy_backend.c - a target group: its balancing, its timeouts, its slots. */
#include "balancer/haproxy_text.h"
#include "base/json.h"

/* Whatever the weights: moving them must not change the structure. */
static bool
leads_to(const struct config_listener *listener, const struct config_group *group)
{
    bool leads = actions_forward_to(listener->actions, group->arn, NULL);

    for (int i = 0; i < listener->rule_count && !leads; i++)
        leads = actions_forward_to(listener->rules[i].actions, group->arn, NULL);
    return leads;
}

/* The idle timeout of the load balancer that leads here: then 504. */
static int
server_timeout_s(const struct config_setup *setup, const struct config_group *group)
{
    int longest_s = 0;

    for (int i = 0; i < setup->listener_count; i++)
        if (setup->listeners[i].idle_timeout_s > longest_s &&
            leads_to(&setup->listeners[i], group))
            longest_s = setup->listeners[i].idle_timeout_s;
    return longest_s > 0 ? longest_s : 60;
}

/* What clients of HTTP/1.1 and targets of HTTP/2 have to say cannot be put into each other's words for gRPC,
 * and ALB does not try for the others either: 464.  A target's certificate is not verified, as by ALB. */
static void
add_server_manner(const struct group_options *o, struct strbuf *out)
{
    if (o->is_http2)
        strbuf_add_cstr(out, "    http-request return status 464 if !{ req.ver 2.0 }\n");
    if (o->is_grpc)
        strbuf_add_cstr(out, "    http-request return status 464 if !{ method POST }\n");
    if (o->is_tls)
        strbuf_addf(out, "    timeout connect %dms\n", 2 * ATTEMPT_MS);
    if (!o->is_tls && !o->is_http2 && o->slow_start_s == 0)
        return;
    strbuf_add_cstr(out, "    default-server");
    if (o->slow_start_s > 0)
        strbuf_addf(out, " slowstart %ds", o->slow_start_s);
    strbuf_add_cstr(out, o->is_tls ? " ssl verify none" : "");
    strbuf_add_cstr(out, o->is_tls && o->is_http2 ? " alpn h2" : "");
    strbuf_add_cstr(out, o->is_http2 ? " proto h2" : "");
    strbuf_add_char(out, '\n');
}

void
backend_add(const struct config_setup *setup, const struct config_group *group, bool with_servers,
          struct strbuf *out)
{
    const int timeout_s = server_timeout_s(setup, group);
    const char *balance = group->tcp != NULL && group->tcp->by_source                  ? "source"
                          : strcmp(group->algorithm, "least_outstanding_requests") == 0 ? "leastconn"
                          : strcmp(group->algorithm, "weighted_random") == 0          ? "random(1)"
                                                                             : "roundrobin";

    strbuf_addf(out,
                "backend group_%s\n"
                "    balance %s\n"
                "    timeout server %ds\n"
                "    timeout tunnel %ds\n",
                group->id, balance, timeout_s, timeout_s);
    sticky_add_targets(setup, group, out);
    if (group->options != NULL)
        add_server_manner(group->options, out);
    if (group->tcp != NULL)
        tcp_add_group(group->tcp, out);
    if (!with_servers)
        strbuf_addf(out, "    # %d servers\n", group->slots->count);
    for (int i = 0; with_servers && i < group->slots->count; i++) {
        const struct slot *slot = &group->slots->at[i];
        const bool is_used = slot->address[0] != '\0';
        const bool is_ipv6 = strchr(slot->address, ':') != NULL;
        strbuf_addf(out, is_ipv6 ? "    server s%d [%s]:%d%s\n" : "    server s%d %s:%d%s\n", i + 1,
                    is_used ? slot->address : "0.0.0.0", is_used ? slot->port : 1,
                    slot->wants_ready ? "" : " disabled");
    }
    strbuf_add_char(out, '\n');
}
