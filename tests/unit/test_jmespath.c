/* SPDX-License-Identifier: MIT */
#include <stdlib.h>
#include "check.h"
#include "cli/jmespath.h"

static const char document[] =
    "{\"services\":[{\"name\":\"a\",\"runningCount\":2,\"desiredCount\":2,\"deployments\":[{\"id\":"
    "1}],\"tags\":[]},"
    "{\"name\":\"b\",\"runningCount\":1,\"desiredCount\":2,\"deployments\":[{\"id\":2},{\"id\":3}]}"
    "],"
    "\"failures\":[],\"Account\":\"000000000000\",\"map\":{\"x\":{\"v\":1},\"y\":{\"v\":2}},"
    "\"nested\":[[1,2],[3]],\"odd name\":5,\"nothing\":null}";

static char *
search(const char *expression)
{
    struct err err = {0};
    cleanup_json struct json *doc = json_parse(str_of(document), &err);
    cleanup_json struct json *found = NULL;

    CHECK(doc != NULL);
    found = jmespath_search(expression, doc, &err);
    return found != NULL ? json_format(found) : text_dup(err.code == ERR_USAGE ? "refused" : "odd");
}

#define CHECK_SEARCH(expression, want)                \
    do {                                              \
        cleanup_free char *got_ = search(expression); \
        CHECK_TEXT(got_, want);                       \
    } while (0)

TEST(names_and_indexes)
{
    CHECK_SEARCH("Account", "\"000000000000\"");
    CHECK_SEARCH("services[0].name", "\"a\"");
    CHECK_SEARCH("services[-1].name", "\"b\"");
    CHECK_SEARCH("services[7].name", "null");
    CHECK_SEARCH("\"odd name\"", "5");
    CHECK_SEARCH("nope.deeper", "null");
    CHECK_SEARCH("@.Account", "\"000000000000\"");
}

TEST(projections)
{
    CHECK_SEARCH("services[*].name", "[\"a\",\"b\"]");
    CHECK_SEARCH("services[].deployments[].id", "[1,2,3]");
    CHECK_SEARCH("services[*].deployments[*].id", "[[1],[2,3]]");
    CHECK_SEARCH("services[*].deployments[0].id", "[1,2]");
    CHECK_SEARCH("services[*].deployments | [0]", "[{\"id\":1}]");
    CHECK_SEARCH("map.*.v", "[1,2]");
    CHECK_SEARCH("nested[]", "[1,2,3]");
    CHECK_SEARCH("nested[][]", "[1,2,3]");
    CHECK_SEARCH("nested[0][::-1]", "[2,1]");
    CHECK_SEARCH("nested[0][1:]", "[2]");
    CHECK_SEARCH("services[*].tags", "[[]]");
}

TEST(filters)
{
    CHECK_SEARCH("services[?name=='b'].runningCount", "[1]");
    CHECK_SEARCH("services[?name=='b'].runningCount | [0]", "1");
    CHECK_SEARCH("services[?runningCount<desiredCount].name", "[\"b\"]");
    CHECK_SEARCH("services[?!(length(deployments) == `1` && runningCount == desiredCount)].name",
                 "[\"b\"]");
    CHECK_SEARCH(
        "length(services[?!(length(deployments) == `1` && runningCount == desiredCount)]) == `0`",
        "false");
    CHECK_SEARCH("services[?starts_with(name, 'a') || runningCount==`1`].name", "[\"a\",\"b\"]");
}

TEST(selections)
{
    CHECK_SEARCH("services[].[name,runningCount]", "[[\"a\",2],[\"b\",1]]");
    CHECK_SEARCH("services[].{n: name, \"r c\": runningCount}",
                 "[{\"n\":\"a\",\"r c\":2},{\"n\":\"b\",\"r c\":1}]");
    CHECK_SEARCH("{a: Account, n: length(services)}", "{\"a\":\"000000000000\",\"n\":2}");
    CHECK_SEARCH("[Account, failures]", "[\"000000000000\",[]]");
}

TEST(functions)
{
    CHECK_SEARCH("length(Account)", "12");
    CHECK_SEARCH("join(',', services[].name)", "\"a,b\"");
    CHECK_SEARCH("sort_by(services, &runningCount)[0].name", "\"b\"");
    CHECK_SEARCH("max_by(services, &runningCount).name", "\"a\"");
    CHECK_SEARCH("sum(services[].runningCount)", "3");
    CHECK_SEARCH("reverse(sort(services[].name))", "[\"b\",\"a\"]");
    CHECK_SEARCH("not_null(nothing, Account)", "\"000000000000\"");
    CHECK_SEARCH("contains(services[].name, 'b')", "true");
    CHECK_SEARCH("keys(map)", "[\"x\",\"y\"]");
    CHECK_SEARCH("to_number('12')", "12");
    CHECK_SEARCH("failures || `\"none\"`", "\"none\"");
}

TEST(what_is_not_understood_is_refused)
{
    static const char *const refused[] = {
        "",         "services[",   "services[0",
        "a..b",     "a.",          "[a,]",
        "{a}",      "'open",       "group_by(a)",
        "length()", "length(`1`)", "a ==",
        "&a",       "(a",          "services[?name=='a'",
        "a b",      "#",           "nested[::0]",
        "sort(@)",  "length(&a)",  "sort_by(services, name)",
    };

    for (size_t i = 0; i < ARRAY_COUNT(refused); i++)
        CHECK_SEARCH(refused[i], "refused");
}

TEST(nesting_is_limited)
{
    cleanup(strbuf_done) struct strbuf deep = {0};

    for (int i = 0; i < 1000; i++)
        strbuf_add_char(&deep, '(');
    CHECK_SEARCH(strbuf_cstr(&deep), "refused");
}
