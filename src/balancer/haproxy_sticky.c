/* SPDX-License-Identifier: MIT */
/* haproxy_sticky.c - clients that stay with their target, and with their group.
 * The cookie names the target by a keyed digest of its address and port, which HAProxy makes itself: a
 * slot that is given to another target inherits no clients, and no reload or restart forgets any.  So does
 * the token of a group, which a map knows while the action leads there: one that is gone, has the weight
 * 0 or was made up by the client is no key, and the weights decide. */
#include <stdio.h>
#include "balancer/haproxy_text.h"
#include "base/crypto.h"
#include "base/json.h"

#define APPLICATION_COOKIE "AWSALBAPP-0"

#define SECRET_SIZE (SHA256_HEX + 1)

/* 32 hex digits that nobody else can tell. */
static void
derive(const struct config_setup *setup, const char *purpose, const struct config_group *group,
       char out[static SECRET_SIZE])
{
    unsigned char digest[SHA256_LEN];
    cleanup_free char *what = text_format("%s %s", purpose, group->id);

    hmac_sha256(str_of(setup->cookie_key), str_of(what), digest);
    hex_encode(digest, sizeof(digest), out);
    out[32] = '\0';
}

/* ---- targets ---- */

/* A key for each group: one's cookie means nothing to another. */
static void
add_key(const struct config_setup *setup, const struct config_group *group, struct strbuf *out)
{
    char key[SECRET_SIZE];

    derive(setup, "targets of", group, key);
    strbuf_addf(out, "    dynamic-cookie-key %s\n", key);
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

/* ---- groups ---- */

/* How long the action keeps a client; 0: it does not. */
static int64_t
sticky_s(const struct json *actions)
{
    const struct json *config = json_get(
        json_get(action_last(actions), "ForwardConfig"), "TargetGroupStickinessConfig");

    if (strcmp(action_type(actions), "forward") != 0 || !json_get_bool(config, "Enabled", false))
        return 0;
    return json_get_i64(config, "DurationSeconds", 0);
}

bool
sticky_is_asked(const struct config_listener *listener)
{
    bool is_asked = sticky_s(listener->actions) > 0;

    for (int i = 0; i < listener->rule_count && !is_asked; i++)
        is_asked = sticky_s(listener->rules[i].actions) > 0;
    return is_asked;
}

static void
add_tokens(const struct config_setup *setup, const char *rule, const struct json *actions,
           struct strbuf *out)
{
    struct share shares[GROUPS_PER_ACTION];
    const int64_t seconds = sticky_s(actions);
    const int count = seconds > 0 ? action_shares(setup, action_last(actions), shares) : 0;

    for (int i = 0; i < count; i++) {
        char token[SECRET_SIZE];
        const char *id = shares[i].group->id;
        derive(setup, "group", shares[i].group, token);
        strbuf_addf(out, "%s.%s group_%s\n%s:group_%s %s|%d\n", rule, token, id, rule, id, token,
                    (int)seconds);
    }
}

bool
haproxy_config_sticky(const struct config_setup *setup, const struct config_listener *listener,
                      struct strbuf *out)
{
    cleanup_free char *rule = text_format("%s.default", listener->id);

    if (!sticky_is_asked(listener))
        return false;
    add_tokens(setup, rule, listener->actions, out);
    for (int i = 0; i < listener->rule_count; i++)
        add_tokens(setup, listener->rules[i].id, listener->rules[i].actions, out);
    return true;
}

/* A client cannot ask for the other kind of key: what it sends stands behind a dot. */
void
sticky_add_choice(const struct config_listener *listener, struct strbuf *out)
{
    strbuf_addf(out,
                "    http-request set-var(txn.want) req.cook(AWSALBTG)\n"
                "    http-request set-var(txn.want) req.cook(AWSALBTGCORS)"
                " if !{ var(txn.want) -m found }\n"
                "    http-request set-var(txn.tg) var(txn.rule),concat(.,txn.want),"
                "map_str(maps/%s.sticky) if { var(txn.want) -m found }\n",
                listener->id);
}

void
sticky_add_answer(const struct config_listener *listener, struct strbuf *out)
{
    static const char cookie[] = "=%[var(txn.tok),field(1,|)]; path=/;"
                                 " Max-Age=%[var(txn.tok),field(2,|)]";

    strbuf_addf(out,
                "    http-response set-var(txn.tok) var(txn.rule),concat(:,txn.tg),"
                "map_str(maps/%s.sticky) if { var(txn.tg) -m found }\n"
                "    http-response add-header Set-Cookie \"AWSALBTG%s\""
                " if { var(txn.tok) -m found }\n"
                "    http-response add-header Set-Cookie \"AWSALBTGCORS%s; SameSite=None; Secure\""
                " if { var(txn.tok) -m found }\n",
                listener->id, cookie, cookie);
}
