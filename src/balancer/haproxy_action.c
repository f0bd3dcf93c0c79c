/* SPDX-License-Identifier: MIT */
/* haproxy_action.c - what listeners and rules do with a request: forward, fixed response, redirect. */
#include <stdio.h>
#include "balancer/haproxy_text.h"
#include "balancer/rule_pattern.h"
#include "base/crypto.h"
#include "base/json.h"

#define SHARES 1000         /* resolution of weights (alb.md B10) */

const struct json *
action_last(const struct json *actions)
{
    const size_t count = json_size(actions);

    return count == 0 ? NULL : json_at(actions, count - 1);
}

const char *
action_type(const struct json *actions)
{
    return json_get_cstr(action_last(actions), "Type", "");
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

bool
action_has_groups(const struct json *actions)
{
    return json_size(json_get(json_get(action_last(actions), "ForwardConfig"), "TargetGroups")) > 1;
}

int
action_shares(const struct config_setup *setup, const struct json *action,
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
    const int count = action_shares(setup, action, shares);

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
        format_forward(setup, action_last(listener->actions), &text);
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
    const struct json *fixed = json_get(action_last(actions), "FixedResponseConfig");
    const struct str body = str_of(json_get_cstr(fixed, "MessageBody", ""));

    if (strcmp(action_type(actions), "fixed-response") != 0 || body.len == 0)
        return false;
    /* Named by its content: a new body is a new structure, and so a reload. */
    sha256_hex(body, digest);
    snprintf(path_out, 64, "bodies/%s-%.16s", id, digest);
    *body_out = body;
    return true;
}

void
text_add_quoted(struct strbuf *out, struct str text, bool is_format)
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

void
action_add_fixed(const char *id, const struct json *actions, const char *condition,
                   struct strbuf *out)
{
    char path[64];
    struct str body;
    const struct json *fixed = json_get(action_last(actions), "FixedResponseConfig");
    int64_t status = 0;

    if (!str_to_i64(str_of(json_get_cstr(fixed, "StatusCode", "")), &status) || status < 200 ||
        status > 599)
        status = 503;
    strbuf_addf(out, "    http-request return status %d", (int)status);
    if (haproxy_config_body(id, actions, path, &body)) {
        strbuf_add_cstr(out, " content-type \"");
        text_add_quoted(out, str_of(json_get_cstr(fixed, "ContentType", "text/plain")), false);
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
        {STR("#{protocol}"), "%[ssl_fc,iif(https,http)]"},
        {STR("#{host}"), "%[req.hdr(host),field(1,:),lower]"},
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
            text_add_quoted(out, str_slice(text, 0, 1), true);
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

void
action_add_redirect(const struct json *actions, int port, const char *condition,
                    const char *condition_and, struct strbuf *out)
{
    const struct json *r = json_get(action_last(actions), "RedirectConfig");
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
#define ANSWER_LONGER "answer_longer_"

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
        action_add_fixed(rule->id, rule->actions, "", &out->lines);
    else if (strcmp(type, "redirect") == 0)
        action_add_redirect(rule->actions, listener->port, "", " if ", &out->lines);
    else
        return false;
    sha256_hex(strbuf_str(&out->lines), digest);
    snprintf(out->name, sizeof(out->name), "answer_%s_%.16s", rule->id, digest);
    return true;
}

/* Behind the rule, for what it can not look at: not told by it whether it is meant, nobody may have it. */
static void
add_longer(const struct view_rule *rule, int longest, struct strbuf *out)
{
    for (size_t i = 0; i < json_size(rule->conditions); i++) {
        const int status = rule_pattern_longer(rule->conditions, i, longest, out);
        if (status > 0)
            strbuf_addf(out, " %s|fwd|" ANSWER_LONGER "%d\n", rule->id, status);
    }
}

void
haproxy_config_rules(const struct config_setup *setup, const struct config_listener *listener,
                     struct strbuf *out)
{
    int64_t steps = 0;

    for (int i = 0; i < listener->rule_count; i++)
        steps += rule_pattern_steps(listener->rules[i].conditions);
    const int longest = rule_pattern_longest(steps);
    for (int i = 0; i < listener->rule_count; i++) {
        const struct view_rule *rule = &listener->rules[i];
        cleanup(strbuf_done) struct strbuf action = {0};
        struct answer answer;
        if (make_answer(listener, rule, &answer))
            strbuf_addf(&action, "fwd|%s", answer.name);
        else
            format_forward(setup, action_last(rule->actions), &action);
        strbuf_done(&answer.lines);
        rule_pattern(rule->conditions, longest, out);
        strbuf_addf(out, " %s|%s\n", rule->id, action.len > 0 ? strbuf_cstr(&action) : "none");
        add_longer(rule, longest, out);
    }
}

/* All of them with the first rule, whatever it asks for: so none comes by a reload. */
static void
add_answers_longer(struct strbuf *out)
{
    static const int statuses[] = {400, 414, 431};

    for (size_t i = 0; i < ARRAY_COUNT(statuses); i++)
        strbuf_addf(out, "backend " ANSWER_LONGER "%d\n    http-request return status %d\n\n", statuses[i], statuses[i]);
}

static int
compare_answers(const void *a, const void *b)
{
    return strcmp(((const struct answer *)a)->name, ((const struct answer *)b)->name);
}

void
action_add_answers(const struct config_setup *setup, struct strbuf *out)
{
    struct answer *answers;
    size_t count = 0;

    for (int i = 0; i < setup->listener_count; i++)
        count += (size_t)setup->listeners[i].rule_count;
    if (count == 0)
        return;
    answers = mem_new(count * sizeof(*answers));
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
    add_answers_longer(out);
}
