/* SPDX-License-Identifier: MIT */
/* haproxy_transform.c - what rules change of a request that they forward (alb.md A4).
 * The first place that matches is replaced, and the rest stays.  A request that meets another rule
 * pays for one comparison a transform; listeners without any have nothing of it. */
#include <ctype.h>
#include "balancer/haproxy_text.h"
#include "balancer/rule_pattern.h"
#include "model/pattern.h"

#define OF_LINE "[^\\r\\n]"
#define PORT "(?::[0-9]+)?"

/* All of the text: (what is before)(the expression)(what is behind).  False: nothing is changed. `longest_out`: longer texts
 * are not looked at; 0: all are. */
static bool
add_regex(const struct json *rewrite, bool is_host, int *groups_out, int *longest_out, struct strbuf *out)
{
    const struct str regex = str_of(json_get_cstr(rewrite, "Regex", ""));
    const struct pattern_dialect words = {.begin = "^",
                                          .end = is_host ? "(?=" PORT "$)" : "$",
                                          .ignores_case = is_host,
                                          .has_captures = true};
    cleanup(strbuf_done) struct strbuf translated = {0};
    struct err err;

    if (!pattern_longest(regex, is_host, longest_out, &err) ||
        !pattern_translate_search(regex, &words, &translated, groups_out, &err))
        return false; /* the API lets none through */
    strbuf_add_cstr(out, RULE_PATTERN_TRIES "^");
    if (*longest_out > 0)
        strbuf_addf(out, "(?=" OF_LINE "{0,%d}$)", *longest_out);
    strbuf_addf(out, "%s(" OF_LINE "*)$", strbuf_cstr(&translated));
    return true;
}

/* "$1" is their second: ours is the first. */
static void
add_replacement(const char *replace, int groups, struct strbuf *out)
{
    strbuf_add_cstr(out, "\\1");
    for (const char *p = replace; *p != '\0'; p++) {
        if (*p == '$' && isdigit((unsigned char)p[1])) {
            strbuf_addf(out, "\\%d", *++p - '0' + 1);
        } else if (isalnum((unsigned char)*p) || strchr("-._/", *p) != NULL) {
            strbuf_add_char(out, *p);
        } else {
            strbuf_addf(out, "\\x%02x", (unsigned char)*p);
        }
    }
    strbuf_addf(out, "\\%d", groups + 2);
}

/* A text that is too long for the expression, and may be what it is about, is refused: as it came it is not what the
 * target is meant to get. */
static void
add_longer(const struct view_rule *rule, const char *regex, bool is_host, int longest, struct strbuf *out)
{
    const struct pattern_dialect words = {.begin = "^", .end = "$", .ignores_case = is_host};
    const char *text = is_host ? "req.hdr(host)" : "pathq";
    cleanup(strbuf_done) struct strbuf known = {0};
    struct err err;

    strbuf_addf(out, "    http-request return status %d if { var(txn.hit),field(1,|) -m str %s } { %s -m len gt %d }",
                is_host ? 400 : 414, rule->id, text, longest);
    if (pattern_translate_known(str_of(regex), &words, &known, &err) && known.len > 0)
        strbuf_addf(out, " { %s -m reg '^%s' }", text, strbuf_cstr(&known));
    strbuf_add_char(out, '\n');
}

/* A result that is no path or no host is 500, as at AWS. */
static void
add_transform(const struct view_rule *rule, const struct json *transform, struct strbuf *out)
{
    const bool is_host = strcmp(json_get_cstr(transform, "Type", ""), "host-header-rewrite") == 0;
    const char *config = is_host ? "HostHeaderRewriteConfig" : "UrlRewriteConfig";
    const struct json *rewrite = json_at(json_get(json_get(transform, config), "Rewrites"), 0);
    cleanup(strbuf_done) struct strbuf regex = {0};
    int groups = 0, longest;

    if (!add_regex(rewrite, is_host, &groups, &longest, &regex))
        return;
    if (longest > 0)
        add_longer(rule, json_get_cstr(rewrite, "Regex", ""), is_host, longest, out);
    strbuf_addf(out, "    http-request %s '%s' '",
                is_host ? "replace-header Host" : "replace-pathq", strbuf_cstr(&regex));
    add_replacement(json_get_cstr(rewrite, "Replace", ""), groups, out);
    strbuf_addf(out, "' if { var(txn.hit),field(1,|) -m str %s }\n", rule->id);
    strbuf_addf(out,
                "    http-request return status 500 if { var(txn.hit),field(1,|) -m str %s } !{ %s }\n",
                rule->id, is_host ? "req.hdr(host) -m reg '^[!-~]+$'" : "pathq -m beg /");
}

void
transform_add(const struct config_listener *listener, struct strbuf *out)
{
    for (int i = 0; i < listener->rule_count; i++) {
        const struct view_rule *rule = &listener->rules[i];
        const bool forwards = strcmp(action_type(rule->actions), "forward") == 0;
        for (size_t k = 0; k < json_size(rule->transforms) && forwards; k++)
            add_transform(rule, json_at(rule->transforms, k), out);
    }
}
