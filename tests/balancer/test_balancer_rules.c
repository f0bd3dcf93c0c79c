/* SPDX-License-Identifier: MIT */
/* Rules of listeners, by the real HAProxy: what each condition matches, what rules answer, and how they
 * change under load. */
#include "balancer/haproxy_socket.h"
#include "balancer/world.h"
#include "base/json.h"
#include "base/log.h"
#include "base/random.h"

/* JSON with ' for " */
static char *
quoted(const char *text)
{
    char *copy = text_dup(text);

    for (char *p = copy; *p != '\0'; p++)
        *p = *p == '\'' ? '"' : *p;
    return copy;
}

static void
set_rules(struct world *w, const char *rules)
{
    pthread_mutex_lock(&w->lock);
    free((char *)w->rules);
    w->rules = rules != NULL ? quoted(rules) : NULL;
    pthread_mutex_unlock(&w->lock);
    world_apply(w);
    WAIT_FOR(balancer_is_ready(w->balancer), 5000);
}

static void
rules_end(struct world *w)
{
    free((char *)w->rules);
    w->rules = NULL;
}

/* A rule that answers with its own id; the ids of the tables below say what they match. */
#define ANSWERS                                                                                       \
    ",'Actions':[{'Type':'fixed-response','FixedResponseConfig':{'StatusCode':'200','ContentType':" \
    "'text/plain','MessageBody':"
#define RULE(id, conditions) "{'Id':'" id "','Conditions':[" conditions "]" ANSWERS "'" id "'}}]}"
#define VALUES(field, config, values) "{'Field':'" field "','" config "':{'Values':[" values "]}}"
#define HOST(values) VALUES("host-header", "HostHeaderConfig", values)
#define PATH(values) VALUES("path-pattern", "PathPatternConfig", values)
#define METHOD(values) VALUES("http-request-method", "HttpRequestMethodConfig", values)
#define QUERY(values) VALUES("query-string", "QueryStringConfig", values)
#define SOURCE(values) VALUES("source-ip", "SourceIpConfig", values)
#define HEADER(name, values) \
    "{'Field':'http-header','HttpHeaderConfig':{'HttpHeaderName':'" name "','Values':[" values "]}}"

#define REGEX(field, config, values) "{'Field':'" field "','" config "':{'RegexValues':[" values "]}}"
#define HOST_REGEX(values) REGEX("host-header", "HostHeaderConfig", values)
#define PATH_REGEX(values) REGEX("path-pattern", "PathPatternConfig", values)
#define HEADER_REGEX(name, values) \
    "{'Field':'http-header','HttpHeaderConfig':{'HttpHeaderName':'" name "','RegexValues':[" values "]}}"

static const char table[] =
    "[" RULE("host", HOST("'api.Example.com','*.svc.example.com','x?.io'"))
    "," RULE("pathcase", PATH("'/Case/*','/img/*.jpg','/v?/x'"))
    "," RULE("many", PATH("'/*a*b*c'"))
    "," RULE("literal", PATH("'/lit/\\\\*'"))
    "," RULE("method", METHOD("'DELETE','PURGE'"))
    "," RULE("header", HEADER("X-Canary", "'yes','b?ta*'"))
    "," RULE("agent", HEADER("User-Agent", "'*Firefox/*'"))
    "," RULE("query", QUERY("{'Key':'version','Value':'V2*'},{'Value':'magic'},{'Key':'k*','Value':'a\\\\*b'}"))
    "," RULE("both", PATH("'/both'") "," HEADER("a", "'1'") "," HEADER("b", "'2'") "," QUERY("{'Value':'q'}"))
    "," RULE("elsewhere", SOURCE("'10.0.0.0/8','2001:db8::/32','126.0.0.0/8'") "," PATH("'/source'"))
    "," RULE("source", SOURCE("'127.0.0.0/23'") "," PATH("'/source'"))
    "," RULE("second", PATH("'/both*'"))
    "," RULE("hostre", HOST_REGEX("'^[a-z]+-(EU|us)\\\\.re\\\\.io$','^10\\\\.'"))
    "," RULE("pathre", PATH_REGEX("'^/re/v[0-9]{1,2}(/.*)?$','\\\\.(png|gif)$'") "," METHOD("'GET'"))
    "," RULE("square", PATH_REGEX("'^/xsq.*[a-z]+1$'"))
    "," RULE("headre", HEADER_REGEX("X-Re", "'^a[^b]c$','d d'"))
    "," RULE("rounds", HEADER_REGEX("X-Rounds", "'^(?:a|b|c)*d'") "," PATH("'/rounds'")) "]";

struct ask {
    const char *method, *target, *headers, *want; /* NULL: the default action, "default" */
};

static const struct ask asks[] = {
    {"GET", "/", "Host: api.example.com\r\n", "host"},
    {"GET", "/", "Host: API.EXAMPLE.COM:8080\r\n", "host"},
    {"GET", "/", "Host: a.b.svc.example.com\r\n", "host"},
    {"GET", "/", "Host: svc.example.com\r\n", NULL},
    {"GET", "/", "Host: api.example.com.evil\r\n", NULL},
    {"GET", "/", "Host: apixexample.com\r\n", NULL}, /* a dot is a dot */
    {"GET", "/", "Host: xy.io\r\n", "host"},
    {"GET", "/", "Host: xyz.io\r\n", NULL},
    {"GET", "/", "Host: evil\r\nX-Host: api.example.com\r\n", NULL},
    {"GET", "/Case/a", "Host: a\r\n", "pathcase"},
    {"GET", "/case/a", "Host: a\r\n", NULL},
    {"GET", "/img/a/b.jpg?x=1", "Host: a\r\n", "pathcase"},
    {"GET", "/img/a/b.jpgx", "Host: a\r\n", NULL},
    {"GET", "/v1/x", "Host: a\r\n", "pathcase"},
    {"GET", "/v12/x", "Host: a\r\n", NULL},
    {"GET", "/x?/Case/a", "Host: a\r\n", NULL}, /* a query is no path */
    {"GET", "/aabbcc", "Host: a\r\n", "many"},
    {"GET", "/abcbc", "Host: a\r\n", "many"},
    {"GET", "/acb", "Host: a\r\n", NULL},
    {"GET", "/lit/*", "Host: a\r\n", "literal"},
    {"GET", "/lit/x", "Host: a\r\n", NULL},
    {"DELETE", "/", "Host: a\r\nContent-Length: 0\r\n", "method"},
    {"PURGE", "/", "Host: a\r\nContent-Length: 0\r\n", "method"},
    {"POST", "/", "Host: a\r\nContent-Length: 0\r\n", NULL},
    {"GET", "/", "Host: a\r\nx-canary: YES\r\n", "header"},
    {"GET", "/", "Host: a\r\nX-CANARY:   betamax  \r\n", "header"},
    {"GET", "/", "X-Canary: no\r\nx-canary: yes\r\nHost: a\r\n", "header"}, /* any of several */
    {"GET", "/", "Host: a\r\nX-Canary: yes!\r\n", NULL},
    {"GET", "/", "Host: a\r\nNot-X-Canary: yes\r\n", NULL},
    {"GET", "/", "Host: a\r\nX-Canary-Not: yes\r\n", NULL},
    {"GET", "/", "Host: a\r\nReferer: x-canary: yes\r\n", NULL},
    {"GET", "/", "Host: a\r\nUser-Agent: Mozilla/5.0 firefox/120.0\r\n", "agent"},
    {"GET", "/?version=v2.1", "Host: a\r\n", "query"},
    {"GET", "/?a=1&VERSION=V2", "Host: a\r\n", "query"},
    {"GET", "/?xversion=v2", "Host: a\r\n", NULL},
    {"GET", "/?version=1&a=v2", "Host: a\r\n", NULL},
    {"GET", "/?any=MAGIC&b", "Host: a\r\n", "query"},
    {"GET", "/?a&magic", "Host: a\r\n", "query"},
    {"GET", "/?a=x=magic", "Host: a\r\n", NULL},
    {"GET", "/?magic=1", "Host: a\r\n", NULL},
    {"GET", "/?key=a*b", "Host: a\r\n", "query"},
    {"GET", "/?key=aab", "Host: a\r\n", NULL},
    {"GET", "/both?x=q", "Host: a\r\na: 1\r\nb: 2\r\n", "both"},
    {"GET", "/both?x=q", "Host: a\r\na: 1\r\nb: 3\r\n", "second"}, /* all of them, else the next rule */
    {"GET", "/both?x=r", "Host: a\r\na: 1\r\nb: 2\r\n", "second"},
    {"GET", "/source", "Host: a\r\nX-Forwarded-For: 10.1.1.1\r\n", "source"},
    {"GET", "/nothing", "Host: a\r\n", NULL},
    {"GET", "/", "Host: web-eu.re.io\r\n", "hostre"},
    {"GET", "/", "Host: WEB-US.RE.IO:80\r\n", "hostre"},
    {"GET", "/", "Host: web-us.re.io.evil\r\n", NULL},
    {"GET", "/", "Host: x\r\nX-Host: web-us.re.io\r\n", NULL},
    {"GET", "/", "Host: 10.1.2.3\r\n", "hostre"},
    {"GET", "/10.1", "Host: 110.1\r\n", NULL},
    {"GET", "/re/v1", "Host: a\r\n", "pathre"},
    {"GET", "/re/v12/x/y?z", "Host: a\r\n", "pathre"},
    {"GET", "/re/v123", "Host: a\r\n", NULL},
    {"GET", "/RE/v1", "Host: a\r\n", NULL}, /* paths have cases */
    {"GET", "/a/re/v1", "Host: a\r\n", NULL},
    {"GET", "/a/b.png", "Host: a\r\n", "pathre"},
    {"GET", "/a/b.png?x", "Host: a\r\n", "pathre"},
    {"GET", "/a?b.png", "Host: a\r\n", NULL},
    {"DELETE", "/re/v1", "Host: a\r\nContent-Length: 0\r\n", "method"},
    {"POST", "/re/v1", "Host: a\r\nContent-Length: 0\r\n", NULL},
    {"GET", "/xsqyyz1", "Host: a\r\n", "square"},
    {"GET", "/", "Host: a\r\nx-re: AxC\r\n", "headre"},
    {"GET", "/", "Host: a\r\nx-re: abc\r\n", NULL},
    {"GET", "/", "Host: a\r\nx-re: a\r\nc: 1\r\n", NULL},
    {"GET", "/", "Host: a\r\nx-re: 1\r\nX-Re: ed dy\r\n", "headre"},
};

static void
check_ask(const struct world *w, const struct ask *a)
{
    cleanup_free char *request =
        text_format("%s %s HTTP/1.1\r\n%s\r\n", a->method, a->target, a->headers);
    const struct reply reply = client_send(w->port, request);

    if (reply.status != 200 || strcmp(reply.body, a->want != NULL ? a->want : "default") != 0)
        check_fail(__FILE__, __LINE__, "%d '%s' for %s", reply.status, reply.body, request);
}

#define DEFAULT                                                                                       \
    "[{\"Type\":\"fixed-response\",\"FixedResponseConfig\":{\"StatusCode\":\"200\",\"MessageBody\":" \
    "\"default\"}}]"

TEST(each_condition_matches_what_it_should)
{
    WORLD;

    w->actions = DEFAULT;
    set_rules(w, table);
    for (size_t i = 0; i < ARRAY_COUNT(asks); i++)
        check_ask(w, &asks[i]);
    printf("   %d requests as they should\n", (int)ARRAY_COUNT(asks));
    rules_end(w);
}

/* A long text of one character between two others. */
static char *
long_text(const char *before, char c, int count, const char *after)
{
    cleanup(strbuf_done) struct strbuf text = {0};

    strbuf_add_cstr(&text, before);
    for (int i = 0; i < count; i++)
        strbuf_add_char(&text, c);
    strbuf_add_cstr(&text, after);
    return strbuf_take(&text);
}

static void
check_long(const struct world *w, const char *before, char c, int count, const char *after,
           const char *want)
{
    cleanup_free char *request = long_text(before, c, count, after);
    const int64_t from_ms = clock_monotonic_ms();
    const struct reply reply = client_send(w->port, request);

    if (reply.status != 200 || strcmp(reply.body, want) != 0)
        check_fail(__FILE__, __LINE__, "%d '%s' for %.40s...", reply.status, reply.body, before);
    CHECK(clock_monotonic_ms() - from_ms < 500 * CHECK_PATIENCE);
}

/* Nobody slips past a rule by sending much, and no request keeps HAProxy long. */
TEST(long_requests_meet_their_rules)
{
    WORLD;

    w->actions = DEFAULT;
    set_rules(w, table);
    check_long(w, "GET /?", '&', 14000, "version=v2 HTTP/1.1\r\nHost: a\r\n\r\n", "query");
    check_long(w, "GET /?", 'v', 14000, "&version=v2 HTTP/1.1\r\nHost: a\r\n\r\n", "query");
    check_long(w, "GET /", 'a', 14000, " HTTP/1.1\r\nHost: a\r\n\r\n", "default");
    check_long(w, "GET /", 'a', 14000, "bc HTTP/1.1\r\nHost: a\r\n\r\n", "many");
    check_long(w, "GET / HTTP/1.1\r\nHost: ", 'h', 7000, "\r\nx-canary: yes\r\n\r\n", "header");
    check_long(w, "GET / HTTP/1.1\r\nHost: a\r\nA: ", 'x', 14500, "\r\nx-canary: yes\r\n\r\n", "header");
    check_long(w, "GET / HTTP/1.1\r\nHost: a\r\nUser-Agent: ", 'F', 14500, "\r\n\r\n", "default");
    cleanup(strbuf_done) struct strbuf many = {0};
    strbuf_add_cstr(&many, "GET / HTTP/1.1\r\nHost: a\r\n");
    for (int i = 0; i < 95; i++)
        strbuf_addf(&many, "h%d: v\r\n", i);
    strbuf_add_cstr(&many, "x-canary: yes\r\n\r\n");
    CHECK_TEXT(client_send(w->port, strbuf_cstr(&many)).body, "header");
    rules_end(w);
}

static int
status_of_long(const struct world *w, const char *before, char c, int count, const char *after)
{
    cleanup_free char *request = long_text(before, c, count, after);

    return client_send(w->port, request).status;
}

/* A rule with an expression that looks at no more than so much is met by nobody who sends more: whoever might be meant
 * by it gets neither what it gives nor what those behind it give. */
TEST(nobody_passes_a_rule_by_a_text_that_it_does_not_look_at)
{
    WORLD;

    w->actions = DEFAULT;
    set_rules(w, table);
    check_long(w, "GET /xsq", 'a', 251, "1 HTTP/1.1\r\nHost: a\r\n\r\n", "square");
    CHECK_EQ(status_of_long(w, "GET /xsq", 'a', 252, "1 HTTP/1.1\r\nHost: a\r\n\r\n"), 414);
    CHECK_EQ(status_of_long(w, "GET /xsq", 'a', 14000, "1 HTTP/1.1\r\nHost: a\r\n\r\n"), 414);
    check_long(w, "GET /xs", 'a', 252, "1 HTTP/1.1\r\nHost: a\r\n\r\n", "default"); /* it is not about those */
    check_long(w, "GET /rounds HTTP/1.1\r\nHost: a\r\nX-Rounds: ", 'a', 399, "d\r\n\r\n", "rounds");
    CHECK_EQ(status_of_long(w, "GET /rounds HTTP/1.1\r\nHost: a\r\nX-Rounds: ", 'a', 400, "d\r\n\r\n"), 431);
    check_long(w, "GET /other HTTP/1.1\r\nHost: a\r\nX-Rounds: ", 'a', 400, "d\r\n\r\n", "default");
    check_long(w, "GET /rounds HTTP/1.1\r\nHost: a\r\nX-Rounds: ", 'a', 400, "\r\n\r\n", "default"); /* there is no d */
    rules_end(w);
}

/* One that a version of before let through; how it matches is that version's, but for the length. */
TEST(a_rule_that_is_not_made_any_more_is_named)
{
    WORLD;
    char advice[512] = "";

    w->actions = DEFAULT;
    set_rules(w, "[" RULE("cookie", HEADER_REGEX("Cookie", "'session=[a-z0-9]+;'")) "]");
    CHECK_EQ(status_of_long(w, "GET / HTTP/1.1\r\nHost: a\r\nCookie: session=", 'a', 300, ";\r\n\r\n"), 431);
    CHECK(balancer_advice(w->balancer, advice, sizeof(advice)));
    CHECK(strncmp(advice, "rule cookie (port ", 18) == 0);
    set_rules(w, "[" RULE("cookie", HEADER_REGEX("Cookie", "'session=[^;]*'")) "]");
    CHECK(!balancer_advice(w->balancer, advice, sizeof(advice)));
    rules_end(w);
}

#define TO(group) ",'Actions':[{'Type':'forward','TargetGroupArn':'" group "'}]}"
#define SPLIT(one, two)                                                                          \
    ",'Actions':[{'Type':'forward','ForwardConfig':{'TargetGroups':[{'TargetGroupArn':'" GROUP_ARN \
    "','Weight':" one "},{'TargetGroupArn':'" OTHER_ARN "','Weight':" two "}]}}]}"
#define LEADS(id, path, to) "{'Id':'" id "','Conditions':[" PATH("'" path "'") "]" to
#define REDIRECT(config) ",'Actions':[{'Type':'redirect','RedirectConfig':{" config "}}]}"
#define FIXED(config) ",'Actions':[{'Type':'fixed-response','FixedResponseConfig':{" config "}}]}"

static void
check_location(const struct world *w, const char *path, int status, const char *want)
{
    const struct reply reply = client_once(w->port, "GET", path);
    cleanup_free char *line = text_format("location: %s\r\n", want);

    if (reply.status != status || strstr(reply.head, line) == NULL)
        check_fail(__FILE__, __LINE__, "%d, no '%s' in %s", reply.status, want, reply.head);
}

TEST(rules_forward_split_redirect_and_answer)
{
    WORLD;
    struct app *one = app_start(w), *two = app_start(w);
    char want[128];
    int seconds = 0;

    two->group = 1;
    one->is_registered = two->is_registered = true;
    set_rules(w, "[" LEADS("one", "/one", TO(GROUP_ARN)) "," LEADS("two", "/two", TO(OTHER_ARN)) ","
                 LEADS("split", "/split", SPLIT("9", "1")) ","
                 LEADS("zero", "/zero", SPLIT("0", "0")) ","
                 LEADS("moved", "/moved*", REDIRECT("'Protocol':'HTTPS','Port':'8443','Host':'new.#{host}',"
                       "'Path':'/#{path}/x','Query':'#{query}','StatusCode':'HTTP_301'")) ","
                 LEADS("found", "/found", REDIRECT("'Path':'/b','Query':'p=#{port}&q=#{query}','StatusCode':'HTTP_302'")) ","
                 LEADS("text", "/text", FIXED("'StatusCode':'503','ContentType':'text/html','MessageBody':'<a> %[src] |'")) ","
                 LEADS("bare", "/bare", FIXED("'StatusCode':'404'")) "]");
    world_wait_healthy(one);
    world_wait_healthy(two);
    CHECK_TEXT(client_once(w->port, "GET", "/one").body, one->name);
    CHECK_TEXT(client_once(w->port, "GET", "/two").body, two->name);
    CHECK_TEXT(client_once(w->port, "GET", "/").body, one->name);
    for (int i = 0; i < 100; i++)
        seconds += strcmp(client_once(w->port, "GET", "/split").body, two->name) == 0;
    CHECK(seconds >= 8 && seconds <= 12);
    CHECK_EQ(client_once(w->port, "GET", "/zero").status, 503);
    check_location(w, "/moved?a=1", 301, "https://new.test.local:8443/moved/x?a=1");
    check_location(w, "/moved/1", 301, "https://new.test.local:8443/moved/1/x");
    snprintf(want, sizeof(want), "http://test.local:%d/b?p=%d&q=z", w->port, w->port);
    check_location(w, "/found?z", 302, want);
    const struct reply text = client_once(w->port, "GET", "/text");
    CHECK_EQ(text.status, 503);
    CHECK_TEXT(text.body, "<a> %[src] |");
    CHECK(strstr(text.head, "content-type: text/html\r\n") != NULL);
    CHECK_EQ(client_once(w->port, "GET", "/bare").status, 404);
    rules_end(w);
}

#define REWRITES(id, path, transforms)                                                                            \
    "{'Id':'" id "','Conditions':[" PATH("'" path "'") "],'Actions':[{'Type':'forward','TargetGroupArn':'" GROUP_ARN \
    "'}],'Transforms':[" transforms "]}"
#define TRANSFORM(type, config, regex, replace) \
    "{'Type':'" type "','" config "':{'Rewrites':[{'Regex':'" regex "','Replace':'" replace "'}]}}"
#define URL_REWRITE(regex, replace) TRANSFORM("url-rewrite", "UrlRewriteConfig", regex, replace)
#define HOST_REWRITE(regex, replace) TRANSFORM("host-header-rewrite", "HostHeaderRewriteConfig", regex, replace)

static void
check_seen_at(int line, const struct world *w, const char *target, const char *host, const char *want)
{
    cleanup_free char *request = text_format("GET %s HTTP/1.1\r\nHost: %s\r\n\r\n", target, host);
    const struct reply reply = client_send(w->port, request);

    if (reply.status != 200 || strcmp(reply.body, want) != 0)
        check_fail(__FILE__, line, "%d '%s' for %s of %s", reply.status, reply.body, target, host);
}
#define check_seen(target, host, want) check_seen_at(__LINE__, w, target, host, want)

/* /seen tells its query and host. */
TEST(transforms_change_what_targets_see)
{
    WORLD;
    struct app *one = app_start(w);

    one->is_registered = true;
    set_rules(w, "[" REWRITES("r1", "/dp/*", URL_REWRITE("^\\\\/dp\\\\/([A-Za-z0-9]+)\\\\/?$", "/seen?id=$1&p=50%25\\u0027"))
              "," REWRITES("r2", "/old/*", URL_REWRITE("/old/", "/") "," HOST_REWRITE("^my-(.+)\\\\.com$", "in.dev.$1.my.com"))
              "," REWRITES("r3", "/q/*", URL_REWRITE("^/q/([a-z]+)\\\\?(.*)$", "/$1?$2&q"))
              "," REWRITES("r4", "/bad", URL_REWRITE("^/bad$", "bad"))
              "," REWRITES("r5", "/seen", HOST_REWRITE("^gone$", ""))
              "," REWRITES("r6", "/long*", URL_REWRITE("[a-z]+1$", "/seen")) "]");
    world_wait_healthy(one);
    check_seen("/dp/X1/", "a", "id=X1&p=50%25' a");
    check_seen("/old/seen?x=/old/", "MY-ex.com:8080", "x=/old/ in.dev.ex.my.com:8080"); /* the first place only */
    check_seen("/old/seen", "other.com", " other.com"); /* no match: as it came */
    check_seen("/q/seen?a=1", "a", "a=1&q a");
    CHECK_EQ(client_once(w->port, "GET", "/bad").status, 500);
    check_seen("/seen?1", "a", "1 a");
    CHECK_EQ(client_send(w->port, "GET /seen HTTP/1.1\r\nHost: gone\r\n\r\n").status, 500);
    CHECK_EQ(status_of_long(w, "GET /long", 'a', 252, "1 HTTP/1.1\r\nHost: a\r\n\r\n"), 414);
    CHECK_EQ(status_of_long(w, "GET /long?", 'a', 3000, " HTTP/1.1\r\nHost: a\r\n\r\n"), 200); /* there is no 1 */
    rules_end(w);
}

TEST(forwarding_rules_change_without_a_reload)
{
    WORLD;
    struct app *one = app_start(w), *two = app_start(w);
    cleanup(strbuf_done) struct strbuf many = {0};

    two->group = 1;
    one->is_registered = two->is_registered = true;
    set_rules(w, "[" LEADS("b", "/b", TO(OTHER_ARN)) "]");
    world_wait_healthy(one);
    world_wait_healthy(two);
    const pid_t worker = haproxy_worker(w);
    CHECK_TEXT(client_once(w->port, "GET", "/b").body, two->name);
    CHECK_TEXT(client_once(w->port, "GET", "/a").body, one->name);
    set_rules(w, "[" LEADS("a", "/a", TO(OTHER_ARN)) "," LEADS("b", "/b", TO(GROUP_ARN)) "]");
    CHECK_TEXT(client_once(w->port, "GET", "/b").body, one->name);
    CHECK_TEXT(client_once(w->port, "GET", "/a").body, two->name);
    set_rules(w, "[" LEADS("a", "/*", TO(OTHER_ARN)) "," LEADS("b", "/b", TO(GROUP_ARN)) "]");
    CHECK_TEXT(client_once(w->port, "GET", "/b").body, two->name);
    set_rules(w, "[" LEADS("b", "/b", TO(GROUP_ARN)) "," LEADS("a", "/*", TO(OTHER_ARN)) "]");
    CHECK_TEXT(client_once(w->port, "GET", "/b").body, one->name);
    /* more of them than one command holds */
    for (int i = 0; i < 300; i++)
        strbuf_addf(&many, "%s{'Id':'n%d','Conditions':[" PATH("'/n%d','/m%d/*/*/x'") "]" TO(OTHER_ARN),
                    i == 0 ? "[" : ",", i, i, i);
    strbuf_add_cstr(&many, "]");
    set_rules(w, strbuf_cstr(&many));
    CHECK_TEXT(client_once(w->port, "GET", "/n0").body, two->name);
    CHECK_TEXT(client_once(w->port, "GET", "/n299").body, two->name);
    CHECK_TEXT(client_once(w->port, "GET", "/m299/a/b/c/x").body, two->name);
    CHECK_TEXT(client_once(w->port, "GET", "/n300").body, one->name);
    CHECK_EQ(haproxy_worker(w), worker);
    rules_end(w);
}

/* Rules come, change places, answer themselves, lead elsewhere and go, by maps and by reloads. */
TEST(rules_that_change_under_load_lose_no_request)
{
    static const char *const lists[] = {
        "[" LEADS("b", "/b", TO(OTHER_ARN)) "]",
        "[" LEADS("b", "/b", TO(GROUP_ARN)) "," LEADS("c", "/c", TO(OTHER_ARN)) "]",
        "[" LEADS("c", "/c", TO(OTHER_ARN)) "," LEADS("b", "/b", SPLIT("1", "1")) "]",
        "[" LEADS("c", "/c", TO(OTHER_ARN)) "," LEADS("x", "/b", FIXED("'StatusCode':'200','MessageBody':'x'")) "]",
        "[{'Id':'h','Conditions':[" HEADER("Host", "'test*'") "]" TO(OTHER_ARN) "]",
        NULL,
    };
    WORLD;
    struct load loads[4] = {{.path = "/"},
                            {.path = "/b"},
                            {.path = "/b", .is_fresh = true, .pause_ms = 2},
                            {.path = "/", .pause_ms = 20}};
    long total = 0;

    for (int i = 0; i < 4; i++) {
        struct app *app = app_start(w);
        app->group = i / 2;
        app->is_registered = true;
    }
    set_rules(w, lists[0]);
    for (int i = 0; i < 4; i++)
        world_wait_healthy(&w->apps[i]);
    for (int i = 0; i < 4; i++) {
        loads[i].port = w->port;
        load_start(&loads[i]);
    }
    for (int round = 0; round < 60; round++) {
        const size_t list = (size_t)round % (ARRAY_COUNT(lists) - 1);
        set_rules(w, lists[list]);
        clock_sleep_ms(20);
        if (round % 10 == 9)
            for (int i = 0; i < 5; i++) /* at once after each other */
                set_rules(w, lists[i % 3]);
    }
    for (int i = 0; i < 4; i++) {
        WAIT_FOR(atomic_load(&loads[i].requests) > 20, 5000);
        load_stop(&loads[i]);
        total += atomic_load(&loads[i].requests);
    }
    printf("   %ld requests\n", total);
    check_no_failures(&loads[0], "keep-alive");
    check_no_failures(&loads[1], "keep-alive of a rule");
    check_no_failures(&loads[2], "fresh of a rule");
    check_no_failures(&loads[3], "pausing");
    rules_end(w);
}

/* The group that only the old action led to is served until HAProxy has forgotten that action. */
TEST(a_listener_that_turns_to_another_group_loses_no_request)
{
    WORLD;
    struct load loads[2] = {{.path = "/"}, {.path = "/", .is_fresh = true}};

    for (int i = 0; i < 2; i++) {
        struct app *app = app_start(w);
        app->group = i;
        app->is_registered = true;
    }
    set_rules(w, "[" LEADS("b", "/b", TO(OTHER_ARN)) "," LEADS("a", "/a", TO(GROUP_ARN)) "]");
    world_wait_healthy(&w->apps[0]);
    world_wait_healthy(&w->apps[1]);
    for (int i = 0; i < 2; i++) {
        loads[i].port = w->port;
        load_start(&loads[i]);
    }
    for (int round = 0; round < 10; round++) {
        static const char to_other[] = "[{\"Type\":\"forward\",\"TargetGroupArn\":\"" OTHER_ARN "\"}]";
        const int to = 1 - round % 2;
        struct app *left = &w->apps[1 - to];
        pthread_mutex_lock(&w->lock);
        w->actions = to == 1 ? to_other : FORWARD;
        pthread_mutex_unlock(&w->lock);
        set_rules(w, NULL); /* the other is led to by nobody now */
        WAIT_FOR(atomic_load(&left->told_state) == TARGET_unused, 5000);
        clock_sleep_ms(50);
        set_rules(w, to == 1 ? "[" LEADS("a", "/a", TO(GROUP_ARN)) "]" : "[" LEADS("b", "/b", TO(OTHER_ARN)) "]");
        world_wait_healthy(left);
    }
    for (int i = 0; i < 2; i++)
        load_stop(&loads[i]);
    check_no_failures(&loads[0], "keep-alive");
    check_no_failures(&loads[1], "fresh");
    rules_end(w);
}

/* What others did to the map is seen and undone; a restart finds it as it should be. */
TEST(the_map_of_rules_is_read_back_and_repaired)
{
    WORLD;
    struct app *one = app_start(w), *two = app_start(w);
    cleanup(strbuf_done) struct strbuf answer = {0};
    cleanup_free char *socket_path = text_format("%s/haproxy/admin.sock", w->dir);
    struct err err;

    two->group = 1;
    one->is_registered = two->is_registered = true;
    set_rules(w, "[" LEADS("b", "/b", TO(OTHER_ARN)) "]");
    world_wait_healthy(one);
    world_wait_healthy(two);
    const pid_t worker = haproxy_worker(w);
    balancer_free(w->balancer);
    CHECK_TEXT(client_once(w->port, "GET", "/b").body, two->name);
    CHECK(haproxy_ask(socket_path, "clear map maps/aaaaaaaaaaaaaaaa.rules", &answer, &err));
    CHECK_TEXT(client_once(w->port, "GET", "/b").body, one->name);
    world_open(w);
    world_apply(w);
    WAIT_FOR(balancer_is_ready(w->balancer), 5000);
    CHECK_TEXT(client_once(w->port, "GET", "/b").body, two->name);
    CHECK(haproxy_ask(socket_path, "clear map maps/aaaaaaaaaaaaaaaa.rules", &answer, &err));
    CHECK_TEXT(client_once(w->port, "GET", "/b").body, one->name);
    WAIT_FOR(strcmp(client_once(w->port, "GET", "/b").body, two->name) == 0, 15000); /* by the audit */
    CHECK_EQ(haproxy_worker(w), worker);
    rules_end(w);
}
