/* SPDX-License-Identifier: MIT */
#include "check.h"
#include "pipeline/language/label.h"

static bool
is_of_machine(void *arg, struct str name)
{
    struct str rest = str_of(arg), one;

    while (str_split(&rest, ' ', &one))
        if (str_equal(one, name))
            return true;
    return false;
}

/* 1: holds, 0: does not, -1: is none. */
static int
judge(const char *expression, const char *machine)
{
    struct arena a = {0};
    struct err err;
    size_t offset;
    const struct label *l = label_parse(str_of(expression), &a, &offset, &err);
    const int verdict = l == NULL ? -1 : label_holds(l, is_of_machine, (void *)(uintptr_t)machine);

    arena_done(&a);
    return verdict;
}

TEST(label_expressions_hold_as_in_jenkins)
{
    static const struct {
        const char *expression, *machine;
        int verdict;
    } rows[] = {
        {"linux", "linux docker", 1},
        {" linux ", "linux", 1},
        {"Linux", "linux", 0},
        {"linux && docker", "linux docker", 1},
        {"linux&&docker", "linux", 0},
        {"windows || linux", "linux", 1},
        {"!windows", "linux", 1},
        {"!windows && !linux", "linux", 0},
        {"a || b && c", "a", 1}, /* && first */
        {"(a || b) && c", "a", 0},
        {"a -> b", "c", 1},
        {"a -> b", "a", 0},
        {"a->b", "a b", 1},
        {"a <-> b", "c", 1},
        {"a<->b", "a", 0},
        {"a -> b <-> c", "a", 1}, /* (a -> b) <-> c: false <-> false */
        {"a || b -> c", "b", 0},
        {"jdk-17 && x86_64.v2", "jdk-17 x86_64.v2", 1},
        {"\"linux\" && !\"a b\"", "linux", 1},
        {"\"a\\\"b\"", "a\"b", 1},
        {"\"n\\no\"", "n\no", 1},
        {"\"\\b\"", "\b", 1},
        {"a || b || c || d", "d", 1},
        {"((a))", "a", 1},
    };

    for (size_t i = 0; i < ARRAY_COUNT(rows); i++)
        if (judge(rows[i].expression, rows[i].machine) != rows[i].verdict)
            check_fail(__FILE__, __LINE__, "%s with %s: %d", rows[i].expression, rows[i].machine,
                       judge(rows[i].expression, rows[i].machine));
}

TEST(a_malformed_label_expression_is_refused_with_its_place)
{
    static const struct {
        const char *expression;
        size_t offset;
        const char *says;
    } rows[] = {
        {"a && ", 5, "a name is missing"}, {"a b", 2, "does not belong"},
        {"a & b", 2, "does not belong"},   {"(a || b", 7, "')' is missing"},
        {"a)", 1, "does not belong"},      {"\"open", 5, "quotes do not end"},
        {"", 0, "a name is missing"},      {"!!a", 1, "unexpected sign"},
        {"a -> b -> c", 7, "not belong"},  {"\"\"", 2, "empty name"},
        {"'a'", 0, "unexpected sign"},     {"a <- b", 2, "does not belong"},
    };

    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        struct arena a = {0};
        struct err err = {0};
        size_t offset;
        if (label_parse(str_of(rows[i].expression), &a, &offset, &err) != NULL ||
            offset != rows[i].offset || strstr(err.message, rows[i].says) == NULL)
            check_fail(__FILE__, __LINE__, "%s: %zu %s", rows[i].expression, offset, err.message);
        arena_done(&a);
    }
}

TEST(a_label_expression_has_a_limit_of_depth_and_size)
{
    cleanup(strbuf_done) struct strbuf deep = {0}, long_one = {0};

    for (unsigned i = 0; i < LABEL_DEPTH_MAX; i++)
        strbuf_add_cstr(&deep, "(");
    strbuf_add_cstr(&deep, "a");
    CHECK_EQ(judge(strbuf_cstr(&deep), "a"), -1);
    while (long_one.len < LABEL_TEXT_MAX - 4)
        strbuf_add_cstr(&long_one, "b||");
    strbuf_add_cstr(&long_one, "a");
    CHECK_EQ(judge(strbuf_cstr(&long_one), "a"), 1);
    strbuf_add_cstr(&long_one, "||bbbb");
    CHECK_EQ(judge(strbuf_cstr(&long_one), "a"), -1);
}

static void
add_name(void *arg, struct str name)
{
    strbuf_addf(arg, STR_FMT ".", STR_ARG(name));
}

TEST(what_is_no_expression_is_one_name_as_jenkins_takes_it)
{
    cleanup(strbuf_done) struct strbuf names = {0};
    struct arena a = {0};

    label_wants(label_parse_any(STR("my own agent "), &a), add_name, &names);
    label_wants(label_parse_any(STR("a && (b || !c) "), &a), add_name, &names);
    CHECK_TEXT(strbuf_cstr(&names), "my own agent.a.b.");
    arena_done(&a);
}
