/* SPDX-License-Identifier: MIT */
/* The cluster query language, and the regular expressions in it. */
#include "check.h"
#include "model/cluster_query.h"
#include "model/pattern.h"

/* ---- patterns ---- */

static bool
matches(const char *pattern, const char *text)
{
    struct err err = {0};
    struct pattern *p = pattern_parse(str_of(pattern), &err);
    bool result;

    if (p == NULL)
        check_fail(__FILE__, __LINE__, "%s: %s", pattern, err.message);
    result = pattern_matches(p, str_of(text));
    pattern_free(p);
    return result;
}

static void
refuse_pattern(const char *pattern, const char *words)
{
    struct err err = {0};
    struct pattern *p = pattern_parse(str_of(pattern), &err);

    if (p != NULL)
        check_fail(__FILE__, __LINE__, "'%s' is taken", pattern);
    CHECK_EQ(err.code, ERR_INVALID_PARAMETER);
    if (strstr(err.message, words) == NULL)
        check_fail(__FILE__, __LINE__, "'%s': '%s' lacks '%s'", pattern, err.message, words);
}

TEST(a_pattern_has_to_match_the_whole_text)
{
    static const struct {
        const char *pattern, *yes, *no;
    } rows[] = {
        {"g2.*", "g2.large", "a g2.large"},
        {"abc", "abc", "abcd"},
        {"a|bc|d", "bc", "abc"},
        {"(a|b)*c", "ababc", "abab"},
        {"(?:ab)+", "abab", ""},
        {"ab?c", "ac", "abbc"},
        {"a{3}", "aaa", "aa"},
        {"a{2,}", "aaaaa", "a"},
        {"a{1,3}", "aa", "aaaa"},
        {"a{0,2}b", "b", "aaab"},
        {"(a{0}b){2}", "bb", "ab"},
        {"[a-c]x", "bx", "dx"},
        {"[^a-c]x", "dx", "bx"},
        {"[]a]+", "]a]", "b"},
        {"[a-]+", "a-a", "b"},
        {"[\\d_]+", "1_2", "a"},
        {"\\d+\\.\\d+", "1.50", "1x50"},
        {"\\w+\\s\\W", "ab ;", "ab x"},
        {"\\D\\S", "ab", "1b"},
        {"^abc$", "abc", "abcabc"},
        {"(^a|b)+", "ab", "aab"},
        {"a.c", "abc", "a\nc"},
        {"a*?b", "aab", "aa"},
        {"", "", "x"},
        {"(a*)*", "aaaa", "ab"},
        {"(|a)+b", "aab", "a"},
        {"a\\tb", "a\tb", "atb"},
    };

    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        if (!matches(rows[i].pattern, rows[i].yes) || matches(rows[i].pattern, rows[i].no))
            check_fail(__FILE__, __LINE__, "row %s", rows[i].pattern);
    }
}

TEST(what_a_pattern_can_not_be_is_said)
{
    cleanup(strbuf_done) struct strbuf deep = {0};

    refuse_pattern("a(", "lacks a ')'");
    refuse_pattern("a)", "a ')' too many");
    refuse_pattern("[a", "lacks a ']'");
    refuse_pattern("[z-a]", "ends before it begins");
    refuse_pattern("*a", "nothing before it");
    refuse_pattern("a**", "behind a quantifier");
    refuse_pattern("a{2", "repetition");
    refuse_pattern("a{3,2}", "repetition");
    refuse_pattern("a{1001}", "repetition");
    refuse_pattern("(a)\\1", "not built");
    refuse_pattern("\\bword", "not built");
    refuse_pattern("(?=a)", "not built");
    refuse_pattern("a\\", "backslash");
    refuse_pattern("((a{100}){100}){100}", "too large");
    for (int i = 0; i < 60; i++)
        strbuf_add_char(&deep, '(');
    refuse_pattern(strbuf_cstr(&deep), "nested too deeply");
}

/* The shapes that take a backtracking matcher for ever. */
TEST(no_pattern_takes_long)
{
    char text[1001];

    memset(text, 'a', sizeof(text) - 1);
    text[sizeof(text) - 1] = '\0';
    CHECK(!matches("(a*)*b", text));
    CHECK(!matches("(a|aa)+b", text));
    CHECK(!matches("(.*)(.*)(.*)(.*)(.*)b", text));
    CHECK(matches("(a?){1000}a{1000}", text));
}

/* ---- queries ---- */

struct fake {
    const char *names[4], *values[4], *groups[4];
};

static bool
attribute(const void *ctx, struct str name, struct str *value_out)
{
    const struct fake *f = ctx;

    for (int i = 0; i < 4 && f->names[i] != NULL; i++) {
        if (str_is(name, f->names[i])) {
            *value_out = str_of(f->values[i]);
            return true;
        }
    }
    return false;
}

static const char *
task_group(const void *ctx, int index)
{
    const struct fake *f = ctx;

    return index < 4 ? f->groups[index] : NULL;
}

static const struct fake host = {
    .names = {"ecs.instance-type", "stack", "n", "bare"},
    .values = {"g2.large", "prod", "7", NULL},
    .groups = {"service:web", "family:job"},
};

static bool
holds(const char *text)
{
    const struct query_instance instance = {.is_connected = true,
                                            .agent_version = "1.50.0",
                                            .ec2_instance_id = "i-0abc",
                                            .registered_at_ms = 1769853600000, /* 2026-01-31T10:00:00Z */
                                            .running_tasks = 3,
                                            .ctx = &host,
                                            .attribute = attribute,
                                            .task_group = task_group};
    struct err err = {0};
    struct cluster_query *q = cluster_query_parse(str_of(text), &err);
    bool result;

    if (q == NULL)
        check_fail(__FILE__, __LINE__, "%s: %s", text, err.message);
    result = cluster_query_matches(q, &instance);
    cluster_query_free(q);
    return result;
}

TEST(every_subject_takes_the_operators_that_suit_it)
{
    static const char *const yes[] = {
        "agentConnected == true", "agentConnected != false", "agentConnected equals true",
        "agentVersion == 1.50.0", "agentVersion == 1.50", "agentVersion > 1.9.0", "agentVersion >= 1.50.0",
        "agentVersion < 2.0", "agentVersion <= 1.50.0", "agentVersion in [1.0.0, 1.50.0]",
        "agentVersion =~ 1\\.5.*", "agentVersion greater_than 1.49.9",
        "attribute:stack == prod", "attribute:stack != test", "attribute:stack exists",
        "attribute:bare exists", "attribute:none !exists", "attribute:none not_exists",
        "attribute:none != x", "attribute:stack in [test, prod]", "attribute:stack !in [test]",
        "attribute:stack not_in [test]", "attribute:ecs.instance-type =~ g2.*",
        "attribute:ecs.instance-type matches (g2|g3)\\..*", "attribute:ecs.instance-type !~ t2.*",
        "attribute:ecs.instance-type not_matches t2.*", "attribute:n > 6", "attribute:n >= 7",
        "attribute:n < 8", "attribute:n <= 7", "attribute:stack == \"prod\"",
        "ec2InstanceId == i-0abc", "ec2InstanceId in ['i-0abc']", "ec2InstanceId =~ i-[0-9a-f]+",
        "registeredAt == 2026-01-31T10:00:00Z", "registeredAt == 2026-01-31T19:00:00+09:00",
        "registeredAt > 2026-01-31", "registeredAt < 2026-02-01T00:00:00.000Z",
        "registeredAt <= 2026-01-31T10:00:00", "registeredAt greater_than_equal 2026-01-31T10:00:00Z",
        "runningTasksCount == 3", "runningTasksCount != 4", "runningTasksCount > 2",
        "runningTasksCount less_than 4", "runningTasksCount less_than_equal 3",
        "task:group == service:web", "task:group != service:api", "task:group in [service:x, family:job]",
        "task:group =~ service:.*", "task:group !~ daemon:.*",
    };
    static const char *const no[] = {
        "agentConnected == false", "agentVersion > 1.50.0", "agentVersion < 1.9", "attribute:stack == test",
        "attribute:none == x", "attribute:none exists", "attribute:stack !exists", "attribute:none > 1",
        "attribute:none <= 1", "attribute:stack > 1", "attribute:stack <= 1", "attribute:bare == x",
        "registeredAt > 2026-01-31T10:00:00Z", "registeredAt < 2026-01-31T10:00:00Z",
        "runningTasksCount > 3", "runningTasksCount < 3", "task:group == service:api",
        "task:group != family:job", "not(task:group == service:web)", "ec2InstanceId != i-0abc",
    };

    for (size_t i = 0; i < ARRAY_COUNT(yes); i++) {
        if (!holds(yes[i]))
            check_fail(__FILE__, __LINE__, "%s does not hold", yes[i]);
    }
    for (size_t i = 0; i < ARRAY_COUNT(no); i++) {
        if (holds(no[i]))
            check_fail(__FILE__, __LINE__, "%s holds", no[i]);
    }
}

#define T "agentConnected == true"
#define F "agentConnected == false"

TEST(not_binds_tighter_than_and_and_and_than_or)
{
    CHECK(holds(T " or " F " and " F));
    CHECK(!holds("(" T " or " T ") and " F));
    CHECK(holds("not " F " and " T));
    CHECK(!holds("not (" F " or " T ")"));
    CHECK(holds("!(" F ")&&" T));
    CHECK(holds(F "||" T));
    CHECK(holds("not not " T));
    CHECK(holds("  (((" T ")))  "));
    CHECK(holds("not(" F ")and(" T ")"));
}

static void
refuse(const char *text, const char *words)
{
    struct err err = {0};
    struct cluster_query *q = cluster_query_parse(str_of(text), &err);

    if (q != NULL)
        check_fail(__FILE__, __LINE__, "'%s' is taken", text);
    CHECK_EQ(err.code, ERR_INVALID_PARAMETER);
    if (strstr(err.message, words) == NULL)
        check_fail(__FILE__, __LINE__, "'%s': '%s' lacks '%s'", text, err.message, words);
}

TEST(a_query_that_is_wrong_is_refused_at_its_place)
{
    refuse("", "a subject");
    refuse("memory > 3", "a subject");
    refuse("attribute: == x", "a subject");
    refuse("agentConnected", "an operator");
    refuse("agentConnected true", "an operator");
    refuse("agentConnected == maybe", "true or false");
    refuse("agentConnected > true", "does not suit");
    refuse("registeredAt in [2026-01-01]", "does not suit");
    refuse("runningTasksCount =~ 3", "does not suit");
    refuse("task:group > x", "does not suit");
    refuse("ec2InstanceId exists", "does not suit");
    refuse("registeredAt > yesterday", "a date");
    refuse("registeredAt > 2026-13-01", "a date");
    refuse("runningTasksCount > many", "a number");
    refuse("attribute:a > b", "a number");
    refuse("attribute:a ==", "a value is expected at character 15");
    refuse("attribute:a in x", "a list");
    refuse("attribute:a in [x y]", "a ',' or ']'");
    refuse("attribute:a in []", "a value");
    refuse("attribute:a == 'x", "a quote");
    refuse("attribute:a =~", "a regular expression is expected");
    refuse("attribute:a =~ (x", "lacks a ')'");
    refuse("(" T, "a ')' is expected");
    refuse(T ")", "'and', 'or' or the end");
    refuse(T " " T, "'and', 'or' or the end");
    refuse(T " and", "a subject");
}

TEST(a_query_has_limits)
{
    cleanup(strbuf_done) struct strbuf deep = {0}, wide = {0}, list = {0}, chain = {0};
    struct err err = {0};
    struct cluster_query *q;

    for (int i = 0; i < 51; i++)
        strbuf_add_char(&deep, '(');
    refuse(strbuf_cstr(&deep), "nested too deeply");
    for (int i = 0; i < 2001; i++)
        strbuf_add_char(&wide, ' ');
    refuse(strbuf_cstr(&wide), "longer than 2000");
    strbuf_add_cstr(&list, "attribute:a in [a");
    for (int i = 0; i < 100; i++)
        strbuf_add_cstr(&list, ",a");
    refuse(strbuf_cstr(&list), "more than 100 items");
    strbuf_add_cstr(&chain, "attribute:a exists");
    while (chain.len < 1970)
        strbuf_add_cstr(&chain, "||attribute:a exists");
    q = cluster_query_parse(strbuf_str(&chain), &err);
    CHECK(q != NULL);
    cluster_query_free(q);
}
