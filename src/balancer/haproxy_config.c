/* SPDX-License-Identifier: MIT */
#include "balancer/haproxy_config.h"
#include <stdio.h>
#include "balancer/rule_pattern.h"
#include "base/crypto.h"
#include "base/json.h"

#define GROUPS_PER_ACTION 5 /* alb.md A2 */
#define SHARES 1000         /* resolution of weights (alb.md B10) */

/* The last one decides; those before it authenticate, which the API refuses. */
static const struct json *
last_action(const struct json *actions)
{
    const size_t count = json_size(actions);

    return count == 0 ? NULL : json_at(actions, count - 1);
}

static const char *
action_type(const struct json *actions)
{
    return json_get_cstr(last_action(actions), "Type", "");
}

static const struct config_group *
find_group(const struct config_setup *setup, const char *arn)
{
    for (int i = 0; i < setup->group_count; i++)
        if (strcmp(setup->groups[i].arn, arn) == 0)
            return &setup->groups[i];
    return NULL;
}

/* ---- forward ---- */

struct share {
    const struct config_group *group;
    int64_t weight;
};

/* The groups of a forward action with their weights; not those of weight 0. */
static int
forward_shares(const struct config_setup *setup, const struct json *action,
               struct share shares[static GROUPS_PER_ACTION])
{
    const struct json *list = json_get(json_get(action, "ForwardConfig"), "TargetGroups");
    int count = 0;

    for (size_t i = 0; i < json_size(list) && count < GROUPS_PER_ACTION; i++) {
        const struct json *item = json_at(list, i);
        const int64_t weight = json_get_i64(item, "Weight", 1);
        const struct config_group *g = find_group(setup, json_get_cstr(item, "TargetGroupArn", ""));
        if (g != NULL && weight > 0)
            shares[count++] = (struct share){g, weight};
    }
    if (json_size(list) == 0) {
        const struct config_group *g =
            find_group(setup, json_get_cstr(action, "TargetGroupArn", ""));
        if (g != NULL)
            shares[count++] = (struct share){g, 1};
    }
    return count;
}

static void
format_split(const struct share *shares, int count, struct strbuf *out)
{
    int64_t sum = 0, so_far = 0;

    for (int i = 0; i < count; i++)
        sum += shares[i].weight;
    strbuf_add_cstr(out, "split");
    for (int i = 0; i < count; i++) {
        so_far += shares[i].weight;
        strbuf_addf(out, "|group_%s|%d", shares[i].group->id, (int)(so_far * SHARES / sum));
    }
}

/* "fwd|..." or "split|..."; nothing if nobody is led anywhere. */
static void
format_forward(const struct config_setup *setup, const struct json *action, struct strbuf *out)
{
    struct share shares[GROUPS_PER_ACTION];
    const int count = forward_shares(setup, action, shares);

    if (count == 1)
        strbuf_addf(out, "fwd|group_%s", shares[0].group->id);
    else if (count > 1)
        format_split(shares, count, out);
}

void
haproxy_config_action(const struct config_setup *setup, const struct config_listener *listener,
                      char out[static HAPROXY_ACTION_SIZE])
{
    const char *type = action_type(listener->actions);
    cleanup(strbuf_done) struct strbuf text = {0};

    if (strcmp(type, "forward") == 0)
        format_forward(setup, last_action(listener->actions), &text);
    else if (strcmp(type, "fixed-response") == 0)
        strbuf_add_cstr(&text, "fixed");
    else if (strcmp(type, "redirect") == 0)
        strbuf_add_cstr(&text, "redirect");
    if (text.len == 0)
        strbuf_add_cstr(&text, "none");
    /* five names of 22 characters and a threshold each fit well */
    if (!text_copy(out, HAPROXY_ACTION_SIZE, strbuf_str(&text)))
        text_copy(out, HAPROXY_ACTION_SIZE, STR("none"));
}

/* ---- fixed response ---- */

bool
haproxy_config_body(const char *id, const struct json *actions, char path_out[static 64],
                    struct str *body_out)
{
    char digest[SHA256_HEX + 1];
    const struct json *fixed = json_get(last_action(actions), "FixedResponseConfig");
    const struct str body = str_of(json_get_cstr(fixed, "MessageBody", ""));

    if (strcmp(action_type(actions), "fixed-response") != 0 || body.len == 0)
        return false;
    /* Named by its content: a new body is a new structure, and so a reload. */
    sha256_hex(body, digest);
    snprintf(path_out, 64, "bodies/%s-%.16s", id, digest);
    *body_out = body;
    return true;
}

/* Text inside double quotes in the configuration; `%` is for log-format strings. */
static void
add_quoted(struct strbuf *out, struct str text, bool is_format)
{
    for (size_t i = 0; i < text.len; i++) {
        const unsigned char c = (unsigned char)text.at[i];
        if (c < 0x20 || c == 0x7f)
            strbuf_addf(out, "\\x%02x", c);
        else if (c == '"' || c == '\\' || c == '$')
            strbuf_addf(out, "\\%c", c);
        else if (c == '%' && is_format)
            strbuf_add_cstr(out, "%%");
        else
            strbuf_add_char(out, (char)c);
    }
}

/* An answer of HAProxy's own, of the listener or rule `id`; `condition` is " if ..." or empty. */
static void
add_fixed_response(const char *id, const struct json *actions, const char *condition,
                   struct strbuf *out)
{
    char path[64];
    struct str body;
    const struct json *fixed = json_get(last_action(actions), "FixedResponseConfig");
    int64_t status = 0;

    if (!str_to_i64(str_of(json_get_cstr(fixed, "StatusCode", "")), &status) || status < 200 ||
        status > 599)
        status = 503;
    strbuf_addf(out, "    http-request return status %d", (int)status);
    if (haproxy_config_body(id, actions, path, &body)) {
        strbuf_add_cstr(out, " content-type \"");
        add_quoted(out, str_of(json_get_cstr(fixed, "ContentType", "text/plain")), false);
        strbuf_addf(out, "\" file \"%s\"", path);
    }
    strbuf_addf(out, "%s\n", condition);
}

/* ---- redirect ---- */

/* "#{host}" and its like become HAProxy's expressions, the rest is literal. */
static void
add_template(struct strbuf *out, struct str text, int port)
{
    static const struct {
        struct str keyword;
        const char *expression;
    } keywords[] = {
        {STR("#{protocol}"), "%[var(txn.proto)]"},
        {STR("#{host}"), "%[var(txn.host)]"},
        {STR("#{path}"), "%[path,bytes(1)]"},
        {STR("#{query}"), "%[query]"},
        {STR("#{port}"), NULL},
    };

    while (text.len > 0) {
        size_t skip = 1;
        for (size_t i = 0; i < ARRAY_COUNT(keywords); i++)
            if (str_starts(text, keywords[i].keyword)) {
                skip = keywords[i].keyword.len;
                if (keywords[i].expression != NULL)
                    strbuf_add_cstr(out, keywords[i].expression);
                else
                    strbuf_addf(out, "%d", port);
                break;
            }
        if (skip == 1)
            add_quoted(out, str_slice(text, 0, 1), true);
        text = str_slice(text, skip, text.len);
    }
}

static void
add_redirect_line(int port, const struct json *r, const char *query, const char *condition,
                  struct strbuf *out)
{
    const char *path = json_get_cstr(r, "Path", "/#{path}");
    /* The wire has upper case ("HTTPS"), a URL lower. */
    const char *protocol = json_get_cstr(r, "Protocol", "#{protocol}");
    const bool is_301 = strcmp(json_get_cstr(r, "StatusCode", "HTTP_301"), "HTTP_302") != 0;

    strbuf_add_cstr(out, "    http-request redirect location \"");
    if (str_equal_nocase(str_of(protocol), STR("https")))
        strbuf_add_cstr(out, "https");
    else if (str_equal_nocase(str_of(protocol), STR("http")))
        strbuf_add_cstr(out, "http");
    else
        add_template(out, str_of(protocol), port);
    strbuf_add_cstr(out, "://");
    add_template(out, str_of(json_get_cstr(r, "Host", "#{host}")), port);
    strbuf_add_char(out, ':');
    add_template(out, str_of(json_get_cstr(r, "Port", "#{port}")), port);
    add_template(out, str_of(path), port);
    if (query[0] != '\0') {
        strbuf_add_char(out, '?');
        add_template(out, str_of(query), port);
    }
    strbuf_addf(out, "\" code %d%s\n", is_301 ? 301 : 302, condition);
}

/* As of a fixed response; `condition_and` is the same with a blank for one more, or " if ". */
static void
add_redirect(const struct json *actions, int port, const char *condition, const char *condition_and,
             struct strbuf *out)
{
    const struct json *r = json_get(last_action(actions), "RedirectConfig");
    const char *query = json_get_cstr(r, "Query", "#{query}");
    cleanup_free char *with_query = text_format("%s{ query -m len gt 0 }", condition_and);

    if (strcmp(query, "#{query}") != 0) {
        add_redirect_line(port, r, query, condition, out);
        return;
    }
    /* The query as it came: no lonely '?' where there was none. */
    add_redirect_line(port, r, query, with_query, out);
    add_redirect_line(port, r, "", condition, out);
}

/* ---- rules ---- */

/* What a rule answers itself is a backend of its own: a request that meets another rule does not pay
 * for it, however many there are.  Named by its content, so that a map never leads to an old one. */
struct answer {
    char name[sizeof("answer_0123456789abcdef_0123456789abcdef")];
    struct strbuf lines;
};

static bool
make_answer(const struct config_listener *listener, const struct view_rule *rule, struct answer *out)
{
    const char *type = action_type(rule->actions);
    char digest[SHA256_HEX + 1];

    *out = (struct answer){0};
    if (strcmp(type, "fixed-response") == 0)
        add_fixed_response(rule->id, rule->actions, "", &out->lines);
    else if (strcmp(type, "redirect") == 0)
        add_redirect(rule->actions, listener->port, "", " if ", &out->lines);
    else
        return false;
    sha256_hex(strbuf_str(&out->lines), digest);
    snprintf(out->name, sizeof(out->name), "answer_%s_%.16s", rule->id, digest);
    return true;
}

void
haproxy_config_rules(const struct config_setup *setup, const struct config_listener *listener,
                     struct strbuf *out)
{
    for (int i = 0; i < listener->rule_count; i++) {
        const struct view_rule *rule = &listener->rules[i];
        cleanup(strbuf_done) struct strbuf action = {0};
        struct answer answer;
        if (make_answer(listener, rule, &answer))
            strbuf_addf(&action, "fwd|%s", answer.name);
        else
            format_forward(setup, last_action(rule->actions), &action);
        strbuf_done(&answer.lines);
        rule_pattern(rule->conditions, out);
        strbuf_addf(out, " %s|%s\n", rule->id, action.len > 0 ? strbuf_cstr(&action) : "none");
    }
}

static int
compare_answers(const void *a, const void *b)
{
    return strcmp(((const struct answer *)a)->name, ((const struct answer *)b)->name);
}

/* By name: rules that change places change no structure. */
static void
add_answers(const struct config_setup *setup, struct strbuf *out)
{
    struct answer *answers;
    size_t count = 0;

    for (int i = 0; i < setup->listener_count; i++)
        count += (size_t)setup->listeners[i].rule_count;
    answers = mem_new((count + 1) * sizeof(*answers));
    count = 0;
    for (int i = 0; i < setup->listener_count; i++)
        for (int k = 0; k < setup->listeners[i].rule_count; k++)
            count += make_answer(&setup->listeners[i], &setup->listeners[i].rules[k], &answers[count]);
    qsort(answers, count, sizeof(*answers), compare_answers);
    for (size_t i = 0; i < count; i++) {
        strbuf_addf(out, "backend %s\n%s\n", answers[i].name, strbuf_cstr(&answers[i].lines));
        strbuf_done(&answers[i].lines);
    }
    free(answers);
}

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

/* ---- the text ---- */

/* An old worker's last requests are let go after the longest drain. In two steps only, the usual
 * and the greatest delay, because each other value would be a reload. */
static int
hard_stop_s(int longest_drain_s)
{
    return (longest_drain_s <= 300 ? 300 : 3600) + 10;
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
                "    hard-stop-after %ds\n\n",
                fingerprint, hard_stop_s(setup->longest_drain_s));
    strbuf_addf(out,
                "defaults\n"
                "    mode http\n"
                "    option idle-close-on-response\n" /* no request lost at a reload */
                "    timeout connect 10s\n"
                "    timeout client 60s\n"
                "    timeout server 60s\n"
                "    timeout http-request %dms\n"
                "    timeout http-keep-alive %dms\n"
                "    retries 3\n"
                "    option redispatch 1\n"
                "    retry-on conn-failure empty-response\n"
                "    http-reuse safe\n\n",
                HAPROXY_FIRST_REQUEST_MS, HAPROXY_KEEP_ALIVE_MS);
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

static void
add_listener(const struct config_setup *setup, const struct config_listener *listener,
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
        add_fixed_response(listener->id, listener->actions, " if { var(txn.type) -m str fixed }", out);
    if (strcmp(type, "redirect") == 0)
        add_redirect(listener->actions, listener->port, " if { var(txn.type) -m str redirect }",
                     " if { var(txn.type) -m str redirect } ", out);
    strbuf_add_cstr(out, answer_lines);
    strbuf_add_cstr(out, "    use_backend %[var(txn.tg)] if { var(txn.tg) -m found }\n"
                         "    default_backend none\n\n");
}

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

static void
add_group(const struct config_setup *setup, const struct config_group *group, bool with_servers,
          struct strbuf *out)
{
    const int timeout_s = server_timeout_s(setup, group);
    const char *balance = strcmp(group->algorithm, "least_outstanding_requests") == 0 ? "leastconn"
                          : strcmp(group->algorithm, "weighted_random") == 0          ? "random(1)"
                                                                             : "roundrobin";

    strbuf_addf(out,
                "backend group_%s\n"
                "    balance %s\n"
                "    timeout server %ds\n"
                "    timeout tunnel %ds\n",
                group->id, balance, timeout_s, timeout_s);
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

static void
format_config(const struct config_setup *setup, const char *fingerprint, bool with_servers,
              struct strbuf *out)
{
    add_global(setup, fingerprint, out);
    for (int i = 0; i < setup->listener_count; i++)
        add_listener(setup, &setup->listeners[i], out);
    strbuf_add_cstr(out, "backend none\n"
                         "    http-request return status 503\n\n"
                         "backend dice\n"
                         "    stick-table type string len 64 size 10k expire 1d store gpc0\n\n");
    add_answers(setup, out);
    for (int i = 0; i < setup->group_count; i++)
        add_group(setup, &setup->groups[i], with_servers, out);
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
