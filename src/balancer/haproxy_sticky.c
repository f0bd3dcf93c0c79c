/* SPDX-License-Identifier: MIT */
/* haproxy_sticky.c - clients that stay with their target.
 * The cookie names the target by a keyed digest of its address and port, which HAProxy makes itself: a
 * slot that is given to another target inherits no clients, and no reload or restart forgets any. */
#include <stdio.h>
#include "balancer/haproxy_text.h"
#include "base/crypto.h"

#define APPLICATION_COOKIE "AWSALBAPP-0"

/* A key for each group: one's cookie means nothing to another. */
static void
add_key(const struct config_setup *setup, const struct config_group *group, struct strbuf *out)
{
    unsigned char digest[SHA256_LEN];
    char hex[2 * SHA256_LEN + 1];
    cleanup_free char *what = text_format("targets of %s", group->id);

    hmac_sha256(str_of(setup->cookie_key), str_of(what), digest);
    hex_encode(digest, sizeof(digest), hex);
    strbuf_addf(out, "    dynamic-cookie-key %.32s\n", hex);
}

/* `maxidle` puts the time into the cookie, and renews it: a stale one is ignored. */
static void
add_cookie(const char *name, int seconds, struct strbuf *out)
{
    strbuf_addf(out, "    cookie %s insert dynamic maxidle %ds attr \"Max-Age=%d\"\n", name, seconds,
                seconds);
}

/* AWSALBCORS is the same for requests that come from pages of other sites, where it may come alone. */
static void
add_balancer_cookie(int seconds, struct strbuf *out)
{
    strbuf_add_cstr(out, "    http-request add-header Cookie \"AWSALB=%[req.cook(AWSALBCORS)]\""
                         " if { req.cook(AWSALBCORS) -m found } !{ req.cook(AWSALB) -m found }\n");
    add_cookie("AWSALB", seconds, out);
    strbuf_addf(out,
                "    http-after-response add-header Set-Cookie \"AWSALBCORS=%%[res.cook(AWSALB)];"
                " path=/; Max-Age=%d; SameSite=None; Secure\" if { res.cook(AWSALB) -m found }\n",
                seconds);
}

/* Ours counts only beside the application's, and is given only with it: where the answer sets nothing
 * but ours it is taken out again. */
static void
add_application_cookie(const char *name, int seconds, struct strbuf *out)
{
    strbuf_addf(out,
                "    http-request set-var(txn.app) int(1) if { req.cook(%s) -m found }\n"
                "    http-request replace-header Cookie \"(.*)" APPLICATION_COOKIE
                "=[^;]*;? ?(.*)\" \"\\1\\2\" if !{ var(txn.app) -m found }\n",
                name);
    add_cookie(APPLICATION_COOKIE, seconds, out);
    strbuf_addf(out,
                "    http-after-response del-header Set-Cookie if !{ var(txn.app) -m found }"
                " !{ res.cook(%s) -m found } { res.cook(" APPLICATION_COOKIE
                ") -m found } { res.fhdr_cnt(set-cookie) eq 1 }\n",
                name);
}

void
sticky_add_targets(const struct config_setup *setup, const struct config_group *group,
                   struct strbuf *out)
{
    const struct group_options *o = group->options;

    if (o == NULL || o->stickiness == STICKY_NONE)
        return;
    if (o->stickiness == STICKY_APPLICATION)
        add_application_cookie(o->cookie_name, o->sticky_s, out);
    else
        add_balancer_cookie(o->sticky_s, out);
    add_key(setup, group, out);
}
