/* SPDX-License-Identifier: MIT */
/* haproxy_tcp.c - what listeners and target groups of network load balancers have instead:
 * connections are handed on as they are. */
#include "balancer/haproxy_text.h"

void
tcp_add_listener(const struct config_listener *listener, struct strbuf *out)
{
    strbuf_addf(out,
                "    mode tcp\n"
                "    no option idle-close-on-response\n"
                "    use_backend %%[str(%s.default),map_str(maps/%s.actions),field(2,|)]\n"
                "    default_backend none_tcp\n\n",
                listener->id, listener->id);
}

void
tcp_add_nobody(const struct config_setup *setup, struct strbuf *out)
{
    for (int i = 0; i < setup->listener_count; i++)
        if (setup->listeners[i].is_tcp) {
            strbuf_add_cstr(out, "backend none_tcp\n    mode tcp\n\n");
            return;
        }
}

void
tcp_add_group(const struct tcp_options *tcp, struct strbuf *out)
{
    strbuf_add_cstr(out, "    mode tcp\n");
    if (tcp->by_source)
        strbuf_add_cstr(out, "    hash-type consistent\n"); /* who is there already moves seldom */
    if (tcp->sends_proxy)
        strbuf_add_cstr(out, "    default-server send-proxy-v2\n");
}
