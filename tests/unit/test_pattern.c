/* SPDX-License-Identifier: MIT */
/* Regular expressions of rules as PCRE gets them: that it finds the same as our own matcher, and that nobody can keep it
 * busy.  HAProxy runs PCRE2's JIT with its usual stack and limits, and so does this. */
#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>
#include "check.h"
#include "model/pattern.h"

static const struct pattern_dialect words = {.begin = "(?<=\\n)", .end = "(?=\\n)"};

/* ---- the price ---- */

enum verdict { LINEAR, QUADRATIC, REFUSED, BAD };

static void
check_price_at(int line, const char *text, enum verdict want)
{
    struct pattern_price price;
    struct err err = {0};
    enum verdict is = BAD;

    if (pattern_price(str_of(text), false, &price, &err))
        is = price.growth == PATTERN_LINEAR ? LINEAR : price.growth == PATTERN_QUADRATIC ? QUADRATIC : REFUSED;
    if (is != want)
        check_fail(__FILE__, line, "%s is %d: %s", text, is, err.message);
}
#define check_price(text, want) check_price_at(__LINE__, text, want)

TEST(what_people_write_is_cheap)
{
    check_price("^/api/v[0-9]+/users/\\d+$", LINEAR);
    check_price("^/api/.*", LINEAR);
    check_price("^/api(/.*)?$", LINEAR);
    check_price("/health", LINEAR);
    check_price("\\.(png|jpg|gif)$", LINEAR);
    check_price("^(.+)\\.example\\.com$", LINEAR);
    check_price("^[^.]+\\.(eu|us)-[a-z]+-\\d\\.example\\.com$", LINEAR);
    check_price("^(?:[a-z0-9-]+\\.)+example\\.com$", LINEAR);
    check_price("^/(en|de|fr)/([a-z]+)/([0-9]{1,6})/?$", LINEAR);
    check_price("^/dp/([A-Za-z0-9]+)/?$", LINEAR);
    check_price("^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}$", LINEAR);
    check_price("^/([^/]+)/([^/]+)/(.*)$", LINEAR);
    check_price("Mozilla/.*", LINEAR);
    check_price("^/static/.*\\.js$", LINEAR);
    check_price("/static/.*\\.js$", LINEAR); /* the first place of "/static/" is the best */
    check_price("/(static)/.*\\.js$", QUADRATIC);
    check_price(".*Chrome.*", LINEAR);
    check_price("^/(.+)/(.+)$", LINEAR); /* who comes to the last one is done */
    check_price("(bot|spider)/[0-9.]*", LINEAR); /* there, too */
    check_price("(bot|spider)/[0-9.]*$", QUADRATIC);
    check_price("^/.*/users/.*/edit$", QUADRATIC);
    check_price("[a-z]+[0-9]$", QUADRATIC);
}

TEST(what_can_keep_a_matcher_busy_is_known)
{
    check_price("^(a+)+$", REFUSED);
    check_price("^(a*)*$", REFUSED);
    check_price("^(a|a)*$", REFUSED);
    check_price("^(a|aa)+$", REFUSED);
    check_price("^([a-z]+-?)+$", REFUSED);
    check_price("^(.*,)*x$", REFUSED);
    check_price("^(?:a?){30}a$", REFUSED);
    check_price("^.*a.*b.*c$", REFUSED);
    check_price("a?.*a.*b$", REFUSED); /* where it begins is looked for, too */
    check_price(".*a.*b.*c$", REFUSED);
    check_price(".*Chrome.*|.*Edge", REFUSED);
    check_price("^a?a?a?a?a?a?aaaaaa$", REFUSED);
    check_price("^(\\w+\\s?)+$", REFUSED);
    check_price("^(([a-z])+.)+[A-Z]([a-z])+$", REFUSED);
}

static int
longest_of(const char *text)
{
    struct err err;
    int longest = -1;

    CHECK(pattern_longest(str_of(text), false, &longest, &err));
    return longest;
}

/* PCRE remembers where each round of a group began, be it of one character. */
TEST(who_repeats_a_group_has_a_longest_text)
{
    CHECK_EQ(longest_of("^[^/]+"), 0);
    CHECK_EQ(longest_of("^([^/])+"), 1200);
    CHECK_EQ(longest_of("^([^/]|//)+"), 600);
    CHECK_EQ(longest_of("([^/])+$"), 256);
}

TEST(what_is_no_expression_is_refused)
{
    static const char *const all[] = {"(", ")", "[a", "a**", "*a", "a{2", "a{3,2}", "a{1001}", "\\", "\\b", "\\1",
                                      "(?=a)", "(?!a)", "(?<=a)b", "(?>a)", "(?i)a", "(?P<n>a)", "\\p{L}", "a++",
                                      "[z-a]", "\\x41", "(?R)"};

    for (size_t i = 0; i < ARRAY_COUNT(all); i++)
        check_price(all[i], BAD);
}

TEST(cases_that_do_not_count_are_one_character)
{
    struct pattern_price price;
    struct err err;

    CHECK(pattern_price(STR("^[a-z]+[A-Z]+!"), false, &price, &err));
    CHECK(price.growth == PATTERN_LINEAR);
    CHECK(pattern_price(STR("^[a-z]+[A-Z]+!"), true, &price, &err));
    CHECK(price.growth == PATTERN_QUADRATIC);
}

/* ---- as PCRE has it ---- */

struct matcher {
    pcre2_code *code;
    pcre2_match_data *data;
};

static struct matcher
matcher_make(const char *pattern)
{
    struct matcher m = {0};
    size_t at;
    int number;

    m.code = pcre2_compile((PCRE2_SPTR)pattern, PCRE2_ZERO_TERMINATED, 0, &number, &at, NULL);
    if (m.code == NULL || pcre2_jit_compile(m.code, PCRE2_JIT_COMPLETE) != 0)
        check_fail(__FILE__, __LINE__, "PCRE does not take %s", pattern);
    m.data = pcre2_match_data_create(1, NULL);
    return m;
}

static void
matcher_done(struct matcher *m)
{
    pcre2_match_data_free(m->data);
    pcre2_code_free(m->code);
}

/* 1, 0, or what went wrong. */
static int
look(const struct matcher *m, const char *text)
{
    const int found = pcre2_jit_match(m->code, (PCRE2_SPTR)text, strlen(text), 0, 0, m->data, NULL);

    return found >= 0 ? 1 : found == PCRE2_ERROR_NOMATCH ? 0 : found;
}

/* Random expressions that look like those that people write. */
static unsigned seed = 7;

static unsigned
dice(unsigned sides)
{
    seed = seed * 1103515245 + 12345;
    return (seed >> 16) % sides;
}

static void
add_random(struct strbuf *out, int depth)
{
    static const char *const atoms[] = {"a", "b", "c", "/", "[ab]", "[^a]", "\\w", "[^/]", ".", "ab", "\\d", "\\W"};
    static const char *const counts[] = {"", "", "", "", "*", "+", "?", "{1,3}", "{2}", "+?", "*?"};
    const unsigned parts = 1 + dice(4);

    for (unsigned i = 0; i < parts; i++) {
        if (depth > 0 && dice(3) == 0) {
            strbuf_add_char(out, '(');
            add_random(out, depth - 1);
            if (dice(2) == 0) {
                strbuf_add_char(out, '|');
                add_random(out, depth - 1);
            }
            strbuf_add_char(out, ')');
        } else {
            strbuf_add_cstr(out, atoms[dice(ARRAY_COUNT(atoms))]);
        }
        strbuf_add_cstr(out, counts[dice(ARRAY_COUNT(counts))]);
    }
}

static char *
random_regex(void)
{
    struct strbuf out = {0};

    strbuf_add_cstr(&out, dice(2) == 0 ? "^" : "");
    add_random(&out, 2);
    strbuf_add_cstr(&out, dice(3) == 0 ? "$" : "");
    return strbuf_take(&out);
}

/* A line of `len` characters between two line ends, of few letters so that much is nearly a match. */
static char *
random_text(size_t len)
{
    static const char *const alphabets[] = {"a", "ab", "abc/", "a/", "ab1", "a", "b", "/", "c1"};
    const char *letters = alphabets[dice(ARRAY_COUNT(alphabets))];
    char *text = mem_new(len + 3);

    text[0] = text[len + 1] = '\n';
    for (size_t i = 0; i < len; i++)
        text[1 + i] = letters[dice((unsigned)strlen(letters))];
    if (len > 0 && dice(2) == 0)
        text[len] = "xab/1"[dice(5)];
    return text;
}

static char *
as_pcre(const char *text, const char *limit)
{
    struct strbuf translated = {0};
    struct err err;
    char *all;

    CHECK(pattern_translate_search(str_of(text), &words, &translated, NULL, &err));
    all = text_format("%s^\\n(?>(?:%s[^\\r\\n]*)\\n)", limit, strbuf_cstr(&translated));
    strbuf_done(&translated);
    return all;
}

static char *
known_of(const char *text)
{
    struct strbuf out = {0};
    struct err err;

    CHECK(pattern_translate_known(str_of(text), &words, &out, &err));
    strbuf_add_cstr(&out, "");
    return strbuf_take(&out);
}

/* So that a text that is too long, but lacks them, is refused by nobody. */
TEST(literals_that_a_text_must_have_are_known)
{
    static const struct {
        const char *text, *known;
    } all[] = {
        {"^/a\\.b?[0-9].*[a-c]+d", "(?=\\x2fa\\x2e)"},
        {"^/(.*)/edit/([a-z]+)", "(?=\\x2f)(?=" PATTERN_OF_LINE "*?\\x2fedit\\x2f)"},
        {"/user/[0-9]+/x$", "(?=" PATTERN_OF_LINE "*?\\x2fuser\\x2f)"},
        {"[/user/]+\\d\\d{10}x{2,3}yz*(long)?(\\)|[)]long)*y", "(?=" PATTERN_OF_LINE "*?y)"},
        {"^(a|b)*", ""},
        {"^abc|d", ""},
        {"[]a]bc+", "(?=" PATTERN_OF_LINE "*?b)"},
    };

    for (size_t i = 0; i < ARRAY_COUNT(all); i++) {
        cleanup_free char *known = known_of(all[i].text);
        check_equal_text(__FILE__, __LINE__, all[i].text, known, all[i].known);
    }
}

TEST(pcre_finds_what_our_own_matcher_finds)
{
    for (int i = 0; i < 400; i++) {
        cleanup_free char *text = random_regex(), *pcre = as_pcre(text, "");
        cleanup_free char *whole = text_format(".*(?:%s).*", text);
        struct err err = {0};
        struct pattern *own = pattern_parse(str_of(whole), &err);
        cleanup_free char *known = known_of(text), *ahead = text_format("^\\n%s", known);
        struct matcher m = matcher_make(pcre), looks_ahead = matcher_make(ahead);

        for (int k = 0; k < 12; k++) {
            cleanup_free char *line = random_text(dice(9));
            const struct str inner = str_slice(str_of(line), 1, strlen(line) - 1);
            const int found = look(&m, line);
            if (found != PCRE2_ERROR_MATCHLIMIT && found != pattern_matches(own, inner)) /* none that is priced */
                check_fail(__FILE__, __LINE__, "%s in '" STR_FMT "': %d", text, STR_ARG(inner), found);
            if (found == 1 && look(&looks_ahead, line) != 1)
                check_fail(__FILE__, __LINE__, "%s in '" STR_FMT "' without %s", text, STR_ARG(inner), known);
        }
        matcher_done(&looks_ahead);
        matcher_done(&m);
        pattern_free(own);
    }
}

TEST(no_text_that_is_looked_at_runs_into_a_limit)
{
    int priced = 0;

    for (int i = 0; i < 250; i++) {
        cleanup_free char *text = random_regex(), *pcre = as_pcre(text, "(*LIMIT_MATCH=1000000)");
        struct matcher m;
        struct err err;
        int longest;

        if (!pattern_longest(str_of(text), false, &longest, &err))
            continue;
        priced++;
        m = matcher_make(pcre);
        for (int k = 0; k < 10; k++) {
            cleanup_free char *line = random_text((size_t)(longest == 0 ? 15000 : longest));
            if (look(&m, line) < 0)
                check_fail(__FILE__, __LINE__, "%s (up to %d) in '%.60s...': %d", text, longest, line, look(&m, line));
        }
        matcher_done(&m);
    }
    CHECK(priced > 40);
}

/* ---- what PCRE does not take ---- */

static const struct pattern_dialect rewriting = {.begin = "^", .end = "$", .has_captures = true};

/* As the API does; NULL: it is refused. */
static char *
taken(const char *text, const struct pattern_dialect *dialect)
{
    struct strbuf translated = {0};
    struct err err;
    int longest;

    if (pattern_longest(str_of(text), dialect->ignores_case, &longest, &err) &&
        pattern_translate(str_of(text), dialect, &translated, NULL, &err))
        return strbuf_take(&translated);
    strbuf_done(&translated);
    return NULL;
}

TEST(what_pcre_would_refuse_is_refused_before)
{
    static const char *const bad[] = {"^*a", "a$+", "(a|^?)b", "^{2}", "((){1000}){1000}", "([a-m][n-z]){1000}",
                                      "((ab){100}){100}", "(([a-m]|^)){200}", "(){999}"};
    static const char *const good[] = {"(^)*a", "(a|$)?", "[\\n]*a", "([\\n]){20}a", "(?:[0-9a-f]{2}:){5}[0-9a-f]{2}",
                                       "[a-m]{200}", "(^|/)[a-z]{1,63}([01]|2){50}", "^/a|^/b|^/c|^/d|^/e|^/f|^/g|^/h$"};

    for (size_t i = 0; i < ARRAY_COUNT(bad); i++) {
        cleanup_free char *one = taken(bad[i], &words), *other = taken(bad[i], &rewriting);
        if (one != NULL || other != NULL)
            check_fail(__FILE__, __LINE__, "%s is taken", bad[i]);
    }
    for (size_t i = 0; i < ARRAY_COUNT(good); i++) {
        cleanup_free char *one = taken(good[i], &words), *other = taken(good[i], &rewriting);
        if (one == NULL || other == NULL)
            check_fail(__FILE__, __LINE__, "%s is refused", good[i]);
        struct matcher m = matcher_make(one), n = matcher_make(other);
        matcher_done(&m);
        matcher_done(&n);
    }
}

/* With places in it that take nothing, and counts that are large. */
static char *
random_worse(void)
{
    static const char *const places[] = {"^", "$", "()", "[\\n]", "c"};
    cleanup_free char *text = random_regex();
    struct strbuf out = {0};

    for (const char *p = text; *p != '\0'; p++) {
        if (*p == 'c')
            strbuf_add_cstr(&out, places[dice(ARRAY_COUNT(places))]);
        else if (*p == '{' && dice(2) == 0)
            strbuf_addf(&out, "{%u}", dice(1001)), p = strchr(p, '}');
        else
            strbuf_add_char(&out, *p);
    }
    return strbuf_take(&out);
}

/* A rule has five at most, in one expression. */
TEST(what_is_taken_is_taken_by_pcre_too)
{
    int count = 0;

    for (int i = 0; i < 300; i++) {
        cleanup_free char *text = random_worse(), *one = taken(text, &words), *other = taken(text, &rewriting);
        if (one == NULL || other == NULL)
            continue;
        cleanup_free char *five = text_format("%s|%s|%s|%s|%s", one, one, one, one, one);
        struct matcher m = matcher_make(five), n = matcher_make(other);
        matcher_done(&m);
        matcher_done(&n);
        count++;
    }
    CHECK(count > 40);
}

TEST(line_ends_are_in_no_class)
{
    static const char *const all[] = {"^a[^b]c$", "^a\\Dc$", "^a\\sc$", "^a\\Wc$", "^a\\nc$", "^a.c$", "^a[\\W\\n]c$", "^a[\\t-z]c$"};

    for (size_t i = 0; i < ARRAY_COUNT(all); i++) {
        cleanup_free char *pcre = as_pcre(all[i], "");
        struct matcher m = matcher_make(pcre);
        CHECK_EQ(look(&m, "\na\nc\n"), 0);
        CHECK_EQ(look(&m, "\na\rc\n"), 0);
        matcher_done(&m);
    }
}

TEST(what_is_written_for_pcre_fits_maps_and_commands)
{
    struct strbuf out = {0};
    struct err err;

    CHECK(pattern_translate(STR("a b;#\"'<>\\\\ \\.[ ;#'\"]~%$$"), &words, &out, NULL, &err));
    CHECK(strpbrk(strbuf_cstr(&out), " ;#\"'<>%~") == NULL);
    strbuf_done(&out);
}
