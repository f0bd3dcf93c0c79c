/* SPDX-License-Identifier: MIT */
/* Rules of listeners in HAProxy's configuration: the expression of each, the map, what answers itself,
 * and which changes need a reload.  What the expressions match is tests/balancer/test_balancer_rules.c's,
 * with HAProxy's own matcher. */
#include <pthread.h>
#include "balancer/haproxy_config.h"
#include "balancer/haproxy_socket.h"
#include "balancer/rule_pattern.h"
#include "config_setup.h"
#include "model/pattern.h"

static struct json *
parse(const char *text)
{
    cleanup_free char *copy = text_dup(text);
    struct err err;
    struct json *j;

    for (char *p = copy; *p != '\0'; p++)
        *p = *p == '\'' ? '"' : *p;
    j = json_parse(str_of(copy), &err);
    if (j == NULL)
        check_fail(__FILE__, __LINE__, "%s: %s", copy, err.message);
    return j;
}

/* ---- expressions ---- */

static void
check_pattern_at(int line, const char *conditions, const char *want)
{
    cleanup_json struct json *list = parse(conditions);
    cleanup(strbuf_done) struct strbuf pattern = {0};

    rule_pattern(list, 0, &pattern);
    check_equal_text(__FILE__, line, conditions, strbuf_cstr(&pattern), want);
}
#define check_pattern(conditions, want) check_pattern_at(__LINE__, conditions, want)

#define ANY "(?>[^\\n]*\\n)"

TEST(each_condition_fills_its_part_of_the_expression)
{
    check_pattern("[{'Field':'path-pattern','Values':['/a*','/b?c']}]",
                  "^" ANY ANY "(?>(?:/a[^\\n]*|/b[^\\n]c)\\n)");
    check_pattern("[{'Field':'path-pattern','PathPatternConfig':{'Values':['/A']}}]",
                  "^" ANY ANY "(?>(?:/A)\\n)"); /* paths have cases */
    check_pattern("[{'Field':'host-header','HostHeaderConfig':{'Values':['*.Example.com']}}]",
                  "^" ANY "(?>(?:[^\\n]*\\x2eexample\\x2ecom)\\n)" ANY);
    check_pattern("[{'Field':'http-request-method','HttpRequestMethodConfig':{'Values':['GET','M_*']}}]",
                  "^(?>(?:GET|M_\\x2a)\\n)" ANY ANY); /* methods know no wildcards */
    check_pattern("[{'Field':'http-header','HttpHeaderConfig':{'HttpHeaderName':'X-Key','Values':['a*','b']}}]",
                  "^(?=(?>(?:[^\\n]*\\n){4}[^\\n]*)[\\s\\S]*?\\nx-key\\x3a\\x20"
                  "(?i:(?:a[^\\r\\n]*|b))\\r?\\n)" ANY ANY ANY);
    check_pattern("[{'Field':'query-string','QueryStringConfig':{'Values':[{'Key':'v','Value':'1?'},{'Value':'x'}]}}]",
                  "^(?=(?>(?:[^\\n]*\\n){3})[^\\n]*?&(?i:(?:v\\x3d1[^&\\n]|(?>(?:[^&=\\n]*\\x3d)?)x))[&\\n])"
                  ANY ANY ANY);
    check_pattern("[{'Field':'source-ip','SourceIpConfig':{'Values':['10.0.0.0/8','192.168.1.7/32']}}]",
                  "^" ANY ANY ANY ANY "(?>(?:(?:00000000000000000000FFFF)?0A[^\\n]{6}|"
                  "(?:00000000000000000000FFFF)?C0A80107[^\\n]{0})\\n)");
    check_pattern("[{'Field':'path-pattern','Values':['/a']},{'Field':'http-request-method',"
                  "'HttpRequestMethodConfig':{'Values':['PUT']}}]",
                  "^(?>(?:PUT)\\n)" ANY "(?>(?:/a)\\n)");
}

TEST(what_is_between_two_wildcards_is_not_given_back)
{
    check_pattern("[{'Field':'path-pattern','Values':['/*a*b*']}]",
                  "^" ANY ANY "(?>(?:/(?>[^\\n]*?a)(?>[^\\n]*?b)[^\\n]*)\\n)");
    check_pattern("[{'Field':'path-pattern','Values':['**a?*z']}]",
                  "^" ANY ANY "(?>(?:(?>[^\\n]*?a[^\\n])[^\\n]*z)\\n)");
}

#define TRIES "(*LIMIT_MATCH=1000000)"

TEST(regular_expressions_stay_in_their_part)
{
    check_pattern("[{'Field':'path-pattern','PathPatternConfig':{'RegexValues':['^/v[0-9]+$','b.c']}}]",
                  TRIES "^" ANY ANY "(?>(?:(?:(?<=\\n)\\x2fv[0-9]+(?=\\n))[^\\r\\n]*|"
                  "[^\\r\\n]*?(?:b[^\\r\\n]c)[^\\r\\n]*)\\n)");
    check_pattern("[{'Field':'path-pattern','RegexValues':['(a|b)']}]",
                  TRIES "^" ANY ANY "(?>(?:[^\\r\\n]*?(?:(?:a|b))[^\\r\\n]*)\\n)");
    /* Hosts are in lower case, and have no cases; what takes the square of its length in time has a longest text. */
    check_pattern("[{'Field':'host-header','HostHeaderConfig':{'RegexValues':['[A-C]+D']}}]",
                  TRIES "^" ANY "(?>(?:(?=[^\\r\\n]{0,256}(?=\\n))[^\\r\\n]*?(?:[A-Ca-c]+[Dd])[^\\r\\n]*)\\n)" ANY);
    check_pattern("[{'Field':'http-header','HttpHeaderConfig':{'HttpHeaderName':'X','RegexValues':['^a$','\\\\d']}}]",
                  TRIES "^(?=(?>(?:[^\\n]*\\n){4}[^\\n]*)[\\s\\S]*?\\nx\\x3a\\x20(?i:(?:(?:(?<=\\nx\\x3a\\x20)[Aa]"
                  "(?=\\r?\\n))[^\\r\\n]*|[^\\r\\n]*?(?:[0-9])[^\\r\\n]*))\\r?\\n)" ANY ANY ANY);
    check_pattern("[{'Field':'path-pattern','RegexValues':['(a+)+']}]", TRIES "^" ANY ANY "(?>(?:(?!))\\n)");
}

TEST(a_backslash_takes_a_wildcard_at_its_word)
{
    check_pattern("[{'Field':'path-pattern','Values':['/a\\\\*b\\\\?\\\\\\\\*']}]",
                  "^" ANY ANY "(?>(?:/a\\x2ab\\x3f\\x5c[^\\n]*)\\n)");
    check_pattern("[{'Field':'path-pattern','Values':['/\\\\']}]", "^" ANY ANY "(?>(?:/\\x5c)\\n)");
}

TEST(no_expression_holds_what_maps_and_commands_know)
{
    cleanup_json struct json *list = parse(
        "[{'Field':'path-pattern','Values':['/a b\\tc;d#e<f>\\u00e9\\n\\r|g(h)[i]{j}^k$l+m.n']}]");
    cleanup(strbuf_done) struct strbuf pattern = {0};

    rule_pattern(list, 0, &pattern);
    CHECK(strpbrk(strbuf_cstr(&pattern), " \t;#<\r\n\xc3") == NULL);
    CHECK(strstr(strbuf_cstr(&pattern),
                 "(?:/a\\x20b\\x09c\\x3bd\\x23e\\x3cf\\x3e\\xc3\\xa9\\x0a\\x0d\\x7cg\\x28h\\x29\\x5bi\\x5d\\x7bj"
                 "\\x7d\\x5ek\\x24l\\x2bm\\x2en)") != NULL);
}

static void
check_block_at(int line, const char *text, const char *want)
{
    cleanup_free char *conditions = text_format(
        "[{'Field':'source-ip','SourceIpConfig':{'Values':['%s']}}]", text);
    cleanup_free char *pattern = text_format("^" ANY ANY ANY ANY "(?>(?:%s)\\n)", want);

    check_pattern_at(line, conditions, pattern);
}
#define check_block(text, want) check_block_at(__LINE__, text, want)
#define V4 "(?:00000000000000000000FFFF)?"

TEST(blocks_of_addresses_become_digits)
{
    check_block("0.0.0.0/0", V4 "[^\\n]{8}");
    check_block("128.0.0.0/1", V4 "[89ABCDEF][^\\n]{7}");
    check_block("10.32.0.0/11", V4 "0A[23][^\\n]{5}");
    check_block("10.47.255.0/11", V4 "0A[23][^\\n]{5}"); /* what does not count may be anything */
    check_block("10.1.2.0/23", V4 "0A010[23][^\\n]{2}");
    check_block("1.2.3.4/31", V4 "0102030[45][^\\n]{0}");
    check_block("2001:db8::/32", "20010DB8[^\\n]{24}");
    check_block("2001:db8::/33", "20010DB8[01234567][^\\n]{23}");
    check_block("::1/128", "00000000000000000000000000000001[^\\n]{0}");
    check_block("nobody", "(?!)");
}

/* ---- the configuration ---- */

static void
setup_rules(struct setup *s, const char *rules)
{
    json_unref(s->list);
    s->list = parse(rules);
    s->listener.rules = s->rules;
    s->listener.rule_count = (int)json_size(s->list);
    CHECK(s->listener.rule_count <= SETUP_RULES_MAX);
    for (int i = 0; i < s->listener.rule_count; i++) {
        struct json *rule = json_at(s->list, (size_t)i);
        text_copy(s->rules[i].id, sizeof(s->rules[i].id), str_of(json_get_cstr(rule, "Id", "")));
        s->rules[i].conditions = json_get(rule, "Conditions");
        s->rules[i].transforms = json_get(rule, "Transforms");
        s->rules[i].actions = json_get(rule, "Actions");
    }
}

static struct setup *
with_rules(const char *rules)
{
    struct setup *s = setup_new("[{\"Type\":\"forward\",\"TargetGroupArn\":\"arn:one\"}]");

    s->config.group_count = 1;
    setup_rules(s, rules);
    return s;
}

static void
format(const struct setup *s, struct strbuf *out)
{
    strbuf_clear(out);
    haproxy_config_format(&s->config, out);
}

static bool
contains(const struct strbuf *text, const char *part)
{
    return strstr(strbuf_cstr(text), part) != NULL;
}

#define PATH(path) "'Conditions':[{'Field':'path-pattern','Values':['" path "']}]"
#define FORWARD "'Actions':[{'Type':'forward','TargetGroupArn':'arn:one'}]"
#define GONE                                                                                      \
    "'Actions':[{'Type':'fixed-response','FixedResponseConfig':{'StatusCode':'410','ContentType':" \
    "'text/html','MessageBody':'gone'}}]"
#define MOVED                                                                                        \
    "'Actions':[{'Type':'redirect','RedirectConfig':{'Protocol':'HTTPS','Port':'443','Host':'#{host}'," \
    "'Path':'/new/#{path}','Query':'#{query}','StatusCode':'HTTP_302'}}]"
#define NO_ANY "^(?>[^\\n]*\\n)(?>[^\\n]*\\n)"

TEST(a_listener_without_rules_has_nothing_of_them)
{
    cleanup(setup_free) struct setup *s = with_rules("[]");
    cleanup(strbuf_done) struct strbuf text = {0};
    cleanup(strbuf_done) struct strbuf map = {0};

    format(s, &text);
    CHECK(!contains(&text, ".rules") && !contains(&text, "txn.key") && !contains(&text, "txn.hit"));
    CHECK(!contains(&text, "answer_") && !contains(&text, "map_reg"));
    haproxy_config_rules(&s->config, &s->listener, &map);
    CHECK_EQ((int)map.len, 0);
}

TEST(rules_are_a_map_in_their_order_and_answers_are_backends)
{
    cleanup(setup_free) struct setup *s = with_rules(
        "[{'Id':'r2'," PATH("/a") "," FORWARD "},{'Id':'r1'," PATH("/b") "," GONE "},"
        "{'Id':'r0'," PATH("/c") "," MOVED "},"
        "{'Id':'r3'," PATH("/d") ",'Actions':[{'Type':'forward','TargetGroupArn':'arn:strange'}]}]");
    cleanup(strbuf_done) struct strbuf text = {0};
    cleanup(strbuf_done) struct strbuf map = {0};
    char path[64], want[256];
    struct str body;

    haproxy_config_rules(&s->config, &s->listener, &map);
    CHECK_TEXT(strbuf_cstr(&map),
               NO_ANY "(?>(?:/a)\\n) r2|fwd|group_one\n"
               NO_ANY "(?>(?:/b)\\n) r1|fwd|answer_r1_b0d6a7cd79a6f574\n"
               NO_ANY "(?>(?:/c)\\n) r0|fwd|answer_r0_d56d56990c8a67cf\n"
               NO_ANY "(?>(?:/d)\\n) r3|none\n");
    format(s, &text);
    CHECK(contains(&text,
                   "    http-request set-var-fmt(txn.key) \"%[method]\\n"
                   "%[req.hdr(host),field(1,:),lower,bytes(0,256)]\\n%[path]\\n&%[query]\\n%[src,hex]\\n\"\n"
                   "    http-request set-var(txn.hit) var(txn.key),map_reg(maps/listen.rules)\n"
                   "    http-request unset-var(txn.key)\n"
                   "    http-request add-header X-Forwarded-For"));
    CHECK(contains(&text,
                   "    use_backend %[var(txn.hit),field(3,|)] if { var(txn.hit) -m found }\n"
                   "    use_backend %[str(listen.default),map_str(maps/listen.actions),field(2,|)]\n"
                   "    default_backend none\n"));
    CHECK(!contains(&text, "split"));
    CHECK(haproxy_config_body("r1", s->rules[1].actions, path, &body) && str_is(body, "gone"));
    snprintf(want, sizeof(want),
             "backend answer_r1_b0d6a7cd79a6f574\n"
             "    http-request return status 410 content-type \"text/html\" file \"%s\"\n\n",
             path);
    CHECK(contains(&text, want));
    CHECK(contains(&text,
                   "backend answer_r0_d56d56990c8a67cf\n"
                   "    http-request redirect location \"https://%[req.hdr(host),field(1,:),lower]:443/new/%[path,bytes(1)]?%[query]\""
                   " code 302 if { query -m len gt 0 }\n"
                   "    http-request redirect location \"https://%[req.hdr(host),field(1,:),lower]:443/new/%[path,bytes(1)]\" code 302\n\n"));
}

#define REGEX_PATH(regex) "{'Field':'path-pattern','PathPatternConfig':{'RegexValues':['" regex "']}}"

static void
fingerprint(const struct setup *s, char out[static HAPROXY_FINGERPRINT_SIZE])
{
    haproxy_config_fingerprint(&s->config, out);
}

TEST(only_answers_headers_and_the_first_rule_need_a_reload)
{
    cleanup(setup_free) struct setup *s = with_rules("[]");
    char none[HAPROXY_FINGERPRINT_SIZE], one[HAPROXY_FINGERPRINT_SIZE], now[HAPROXY_FINGERPRINT_SIZE];

    fingerprint(s, none);
    setup_rules(s, "[{'Id':'r1'," PATH("/a") "," FORWARD "}]");
    fingerprint(s, one);
    CHECK(strcmp(one, none) != 0);
    setup_rules(s, "[{'Id':'r2'," PATH("/b") "," FORWARD "},{'Id':'r1'," PATH("/a") "," FORWARD "}]");
    fingerprint(s, now);
    CHECK_TEXT(now, one); /* forwarding rules come, change and go at run time */
    setup_rules(s, "[{'Id':'r1','Conditions':[" REGEX_PATH("[a-c]+d") "]," FORWARD "}]");
    fingerprint(s, now);
    CHECK_TEXT(now, one); /* also those whose expression looks at short texts only */
    setup_rules(s, "[{'Id':'r1'," PATH("/a") "," GONE "},{'Id':'r2'," PATH("/b") "," MOVED "}]");
    fingerprint(s, now);
    CHECK(strcmp(now, one) != 0);
    setup_rules(s, "[{'Id':'r2'," PATH("/c") "," MOVED "},{'Id':'r1'," PATH("/a") "," GONE "}]");
    fingerprint(s, one);
    CHECK_TEXT(now, one); /* also those that answer, in what they ask for and in their order */
    setup_rules(s, "[{'Id':'r2','Conditions':[{'Field':'http-header','HttpHeaderConfig':{"
                   "'HttpHeaderName':'a','Values':['b']}}]," MOVED "},{'Id':'r1'," PATH("/a") "," GONE "}]");
    fingerprint(s, now);
    CHECK(strcmp(now, one) != 0);
}

#define TRANSFORMS(type, config, regex, replace) \
    "'Transforms':[{'Type':'" type "','" config "':{'Rewrites':[{'Regex':'" regex "','Replace':'" replace "'}]}}]"
#define URL_REWRITE(regex, replace) TRANSFORMS("url-rewrite", "UrlRewriteConfig", regex, replace)
#define HOST_REWRITE(regex, replace) TRANSFORMS("host-header-rewrite", "HostHeaderRewriteConfig", regex, replace)
#define TRIED "'(*LIMIT_MATCH=1000000)^"
#define FOR(id) " if { var(txn.hit),field(1,|) -m str " id " }"

TEST(transforms_are_lines_for_their_rule)
{
    cleanup(setup_free) struct setup *s = with_rules(
        "[{'Id':'r1'," PATH("/dp/*") "," FORWARD "," URL_REWRITE("^/dp/([a-z]+)/?$", "/p.php?id=$1&x=%d\\u0027") "},"
        "{'Id':'r2'," PATH("/b") "," FORWARD "," HOST_REWRITE("^www[0-9]?\\\\.(.+)$", "in.$1") "},"
        "{'Id':'r3'," PATH("/c") "," GONE "," URL_REWRITE("a", "b") "},"
        "{'Id':'r4'," PATH("/d") "," FORWARD "," URL_REWRITE("^x.*[a-z]+1", "") "}]");
    cleanup(strbuf_done) struct strbuf text = {0};

    format(s, &text);
    CHECK(contains(&text, "    http-request replace-pathq " TRIED
                          "()(?:^\\x2fdp\\x2f([a-z]+)\\x2f?$)([^\\r\\n]*)$' "
                          "'\\1/p.php\\x3fid\\x3d\\2\\x26x\\x3d\\x25d\\x27\\3'" FOR("r1") "\n"
                          "    http-request return status 500" FOR("r1") " !{ pathq -m beg / }\n"));
    CHECK(contains(&text, "    http-request replace-header Host " TRIED
                          "()(?:^[Ww][Ww][Ww][0-9]?\\x2e([^\\r\\n]+)(?=(?::[0-9]+)?$))([^\\r\\n]*)$' "
                          "'\\1in.\\2\\3'" FOR("r2") "\n"));
    CHECK(contains(&text, "    http-request return status 414" FOR("r4") " { pathq -m len gt 256 } { pathq -m reg '^(?=x)' }\n"
                          "    http-request replace-pathq"
                          " " TRIED "(?=[^\\r\\n]{0,256}$)()(?:^x[^\\r\\n]*[a-z]+1)([^\\r\\n]*)$' '\\1\\2'" FOR("r4")));
    CHECK(!contains(&text, FOR("r3"))); /* it forwards nothing */
    setup_rules(s, "[{'Id':'r1'," PATH("/dp/*") "," FORWARD "}]");
    format(s, &text);
    CHECK(!contains(&text, "replace-pathq") && !contains(&text, "replace-header Host") && !contains(&text, "status 500"));
}

#define HAS_D "(?=[^\\r\\n]*?d)"
#define SLOW_PATH "(?=[^\\r\\n]{0,256}(?=\\n))[^\\r\\n]*?(?:[a-c]+d)[^\\r\\n]*"

TEST(a_text_that_no_expression_may_look_at_is_answered_behind_its_rule)
{
    cleanup(setup_free) struct setup *s = with_rules(
        "[{'Id':'r1','Conditions':[" REGEX_PATH("[a-c]+d','^/x") ",{'Field':'http-request-method',"
        "'HttpRequestMethodConfig':{'Values':['PUT']}}],'Actions':[{'Type':'forward','TargetGroupArn':'arn:one'}]},"
        "{'Id':'r2','Conditions':[" REGEX_PATH("^/y") "],'Actions':[{'Type':'forward','TargetGroupArn':'arn:one'}]}]");
    cleanup(strbuf_done) struct strbuf text = {0};

    haproxy_config_rules(&s->config, &s->listener, &text);
    CHECK_TEXT(strbuf_cstr(&text),
               TRIES "^(?>(?:PUT)\\n)" ANY "(?>(?:" SLOW_PATH "|(?:(?<=\\n)\\x2fx)[^\\r\\n]*)\\n) r1|fwd|group_one\n"
               TRIES "^(?>(?:PUT)\\n)" ANY "(?>(?:" HAS_D "[^\\r\\n]{257,}|(?!))\\n) r1|fwd|answer_longer_414\n"
               TRIES "^" ANY ANY "(?>(?:(?:(?<=\\n)\\x2fy)[^\\r\\n]*)\\n) r2|fwd|group_one\n");
    format(s, &text);
    CHECK(contains(&text, "backend answer_longer_414\n    http-request return status 414\n\n"));
    setup_rules(s, "[]");
    format(s, &text);
    CHECK(!contains(&text, "answer_longer"));
}

TEST(an_expression_that_is_not_made_any_more_is_named)
{
#define REGEX_HEADER(regex) "[{'Field':'http-header','HttpHeaderConfig':{'HttpHeaderName':'Cookie','RegexValues':['^a','" regex "']}}]"
    cleanup_json struct json *square = parse(REGEX_HEADER("session=[a-z0-9]+;")), *linear = parse(REGEX_HEADER("session=[^;]*")),
                             *path = parse("[" REGEX_PATH("[a-c]+d") "]");

    CHECK_TEXT(rule_pattern_outdated(square), "session=[a-z0-9]+;");
    CHECK(rule_pattern_outdated(linear) == NULL);
    CHECK(rule_pattern_outdated(path) == NULL); /* a path may have it */
}

/* The rules of a listener: `count` of five times the same expression, and one that is looked for at one place. */
static void
many_regexes(const char *regex, int count, struct strbuf *out)
{
    cleanup(strbuf_done) struct strbuf rules = {0};

    for (int i = 0; i < count; i++)
        strbuf_addf(&rules, "%s{'Id':'r%d','Conditions':[{'Field':'path-pattern','PathPatternConfig':{'RegexValues':["
                    "'%s','%s','%s','%s','%s']}}]," FORWARD "}", i > 0 ? "," : "[", i, regex, regex, regex, regex, regex);
    strbuf_add_cstr(&rules, ",{'Id':'last','Conditions':[" REGEX_PATH("^/a[0-9]+") "]," FORWARD "}]");
    cleanup(setup_free) struct setup *s = with_rules(strbuf_cstr(&rules));
    haproxy_config_rules(&s->config, &s->listener, out);
}

TEST(many_expressions_look_at_shorter_texts)
{
    cleanup(strbuf_done) struct strbuf few = {0};
    cleanup(strbuf_done) struct strbuf many = {0};

    many_regexes("a{50}b", 2, &few); /* a listener may have so many for nothing */
    CHECK(strstr(strbuf_cstr(&few), "{0,") == NULL && strstr(strbuf_cstr(&few), "answer_longer") == NULL);
    many_regexes("a{100}b", SETUP_RULES_MAX - 1, &many); /* 35 of 102 steps */
    CHECK(strstr(strbuf_cstr(&many), "(?=[^\\r\\n]{0,2801}(?=\\n))[^\\r\\n]*?(?:a{100}b)[^\\r\\n]*") != NULL);
    CHECK(strstr(strbuf_cstr(&many), "[^\\r\\n]{2802,}|") != NULL);
    CHECK(str_ends(strbuf_str(&many), /* who costs nothing looks at all of it */
                   STR(TRIES "^" ANY ANY "(?>(?:(?:(?<=\\n)\\x2fa[0-9]+)[^\\r\\n]*)\\n) last|fwd|group_one\n")));
    CHECK_EQ(rule_pattern_longest(651), 0);
    CHECK_EQ(rule_pattern_longest(652), 15337);
    CHECK_EQ(rule_pattern_longest(500 * 102), 256);
}

/* Of two such texts each may be the one that is too long, or both. */
TEST(a_text_that_is_too_long_hides_no_other)
{
    cleanup_json struct json *list = parse(
        "[" REGEX_PATH("[a-c]+d") ",{'Field':'host-header','HostHeaderConfig':{'RegexValues':['^(a|b|c|d|e)*']}}]");
    cleanup(strbuf_done) struct strbuf path = {0};
    cleanup(strbuf_done) struct strbuf host = {0};

    CHECK_EQ(rule_pattern_longer(list, 0, 0, &path), 414);
    CHECK_TEXT(strbuf_cstr(&path), TRIES "^(?>[^\\n]*\\n)(?>(?:[^\\r\\n]{241,}|" "(?=[^\\r\\n]{0,240}(?=\\n))"
               "(?:(?<=\\n)(?:[Aa]|[Bb]|[Cc]|[Dd]|[Ee])*)[^\\r\\n]*)\\n)(?>(?:" HAS_D "[^\\r\\n]{257,})\\n)");
    cleanup_json struct json *known = parse("[" REGEX_PATH("^/a\\\\.b?[0-9].*[a-c]+d") "]");
    strbuf_clear(&host);
    CHECK_EQ(rule_pattern_longer(known, 0, 0, &host), 414);
    CHECK_TEXT(strbuf_cstr(&host), TRIES "^" ANY ANY "(?>(?:(?=\\x2fa\\x2e)[^\\r\\n]{257,})\\n)");
    strbuf_clear(&host);
    CHECK_EQ(rule_pattern_longer(list, 1, 0, &host), 400);
    CHECK_TEXT(strbuf_cstr(&host), TRIES "^(?>[^\\n]*\\n)(?>(?:[^\\r\\n]{241,})\\n)(?>(?:" HAS_D "[^\\r\\n]{257,}|" SLOW_PATH ")\\n)");
}

/* It takes up to some milliseconds an expression, and there is a view for every change of a target. */
TEST(expressions_are_priced_once)
{
    cleanup(strbuf_done) struct strbuf rules = {0};
    cleanup(strbuf_done) struct strbuf text = {0};
    int64_t before;

    for (int i = 0; i < SETUP_RULES_MAX; i++) {
        strbuf_addf(&rules, "%s{'Id':'r%d','Conditions':[{'Field':'path-pattern','PathPatternConfig':{'RegexValues':[", i > 0 ? "," : "[", i);
        for (int k = 0; k < 5; k++)
            strbuf_addf(&rules, "%s'^([a-z]?[0-9]?){9}[a-z]{20}[^/]%d%d'", k > 0 ? "," : "", i, k);
        strbuf_add_cstr(&rules, "]}}]," FORWARD "," URL_REWRITE("^/([a-z]+)/x", "/$1") "}");
    }
    strbuf_add_cstr(&rules, "]");
    before = pattern_prices_reckoned();
    cleanup(setup_free) struct setup *s = with_rules(strbuf_cstr(&rules));
    for (int view = 0; view < 3; view++) {
        char name[HAPROXY_FINGERPRINT_SIZE];
        haproxy_config_fingerprint(&s->config, name);
        strbuf_clear(&text);
        haproxy_config_rules(&s->config, &s->listener, &text);
        format(s, &text);
    }
    CHECK_EQ((int)(pattern_prices_reckoned() - before), SETUP_RULES_MAX * 5 + 1); /* the transforms are all the same */
}

#define PRICED 6000 /* more than are remembered */

static void *
price_many(void *arg)
{
    bool *is_right = arg;

    *is_right = true;
    for (int i = 0; i < PRICED; i++) {
        cleanup_free char *text = text_format(i % 2 == 0 ? "^%d" : "^(%d)+", i);
        struct pattern_price price;
        struct err err;

        *is_right = pattern_price(str_of(text), false, &price, &err) && price.choices == i % 2 && *is_right;
    }
    return NULL;
}

/* The balancer asks on its thread while the API does on another. */
TEST(prices_are_asked_for_by_several_threads)
{
    pthread_t other;
    bool is_right, is_right_there;

    CHECK(pthread_create(&other, NULL, price_many, &is_right_there) == 0);
    price_many(&is_right);
    CHECK(pthread_join(other, NULL) == 0);
    CHECK(is_right && is_right_there);
}

/* ---- HAProxy's answers ---- */

TEST(a_map_is_read_as_it_was_written)
{
    cleanup(strbuf_done) struct strbuf text = {0};
    cleanup(strbuf_done) struct strbuf other = {0};

    CHECK(haproxy_parse_map(STR("0x557f01e8db70 ^a r1|fwd|x\n0x557f01e8dbe0 ^b\\x20 r2|none\n\n"), &text));
    CHECK_TEXT(strbuf_cstr(&text), "^a r1|fwd|x\n^b\\x20 r2|none\n");
    CHECK(!haproxy_parse_map(STR("Unknown map identifier. Please use #<id> or <file>.\n\n"), &other));
    CHECK(!haproxy_parse_map(STR("0x557f01e8db70\n\n"), &other));
    CHECK(haproxy_parse_map(STR("\n"), &other) && other.len == 0);
}

TEST(the_version_of_a_prepared_map_is_read)
{
    int64_t version = 0;

    CHECK(haproxy_parse_version(STR("New version created: 7\n\n"), &version) && version == 7);
    CHECK(!haproxy_parse_version(STR("New version created: x\n\n"), &version));
    CHECK(!haproxy_parse_version(STR("New version created: -1\n\n"), &version));
    CHECK(!haproxy_parse_version(STR("Unknown map identifier. Please use #<id> or <file>.\n\n"), &version));
    CHECK_EQ(version, 7);
}
