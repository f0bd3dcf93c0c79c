/* SPDX-License-Identifier: MIT */
/* osv_language.c - versions of languages' packages: semver, PEP 440, Maven, RubyGems, Packagist. */
#include "registry/scan/osv_version.h"

/* ---- what they share ---- */

static char
lower(char c)
{
    return (char)(c >= 'A' && c <= 'Z' ? c + 32 : c);
}

static int
nocase_compare(struct str a, struct str b)
{
    const size_t n = a.len < b.len ? a.len : b.len;

    for (size_t i = 0; i < n; i++)
        if (lower(a.at[i]) != lower(b.at[i]))
            return (unsigned char)lower(a.at[i]) - (unsigned char)lower(b.at[i]);
    return (a.len > b.len) - (a.len < b.len);
}

static int
sign(int order)
{
    return (order > 0) - (order < 0);
}

static bool
all_digits(struct str s)
{
    return s.len > 0 && digits_cut(&s).len > 0 && s.len == 0;
}

static struct str
v_cut(struct str s)
{
    s = str_trim(s);
    return s.len > 1 && lower(s.at[0]) == 'v' && is_digit(s.at[1]) ? str_slice(s, 1, s.len) : s;
}

/* What stands before the first `mark`; the rest, without it, stays in `*rest` (at == NULL: none).
 */
static struct str
before(struct str *rest, char mark)
{
    const ptrdiff_t at = str_index(*rest, mark);
    const struct str whole = *rest;

    *rest = at < 0 ? (struct str){0} : str_slice(whole, (size_t)at + 1, whole.len);
    return at < 0 ? whole : str_slice(whole, 0, (size_t)at);
}

/* "1.2.0" and "1.2" are the same. */
static int
numbers_compare(struct str a, struct str b)
{
    while (a.len > 0 || b.len > 0) {
        const int order = digits_compare(digits_cut(&a), digits_cut(&b));
        if (order != 0)
            return order;
        a = str_slice(a, a.len > 0, a.len); /* the dot, or whatever stands in its place */
        b = str_slice(b, b.len > 0, b.len);
    }
    return 0;
}

/* ---- semver ---- */

static int
identifier_compare(struct str a, struct str b, bool has_case)
{
    const bool number_a = all_digits(a), number_b = all_digits(b);

    if (number_a && number_b)
        return digits_compare(a, b);
    if (number_a != number_b)
        return number_a ? -1 : 1;
    if (!has_case)
        return nocase_compare(a, b);
    const size_t n = a.len < b.len ? a.len : b.len;
    const int order = n > 0 ? memcmp(a.at, b.at, n) : 0;
    return order != 0 ? order : (a.len > b.len) - (a.len < b.len);
}

static int
semver_compare(struct str a, struct str b, bool has_case)
{
    struct str x = v_cut(a), y = v_cut(b);

    x = before(&x, '+');
    y = before(&y, '+');
    const struct str core_a = before(&x, '-'), core_b = before(&y, '-');
    const int order = numbers_compare(core_a, core_b);
    if (order != 0)
        return order;
    if (x.len == 0 || y.len == 0) /* a pre-release is older than the release */
        return (x.len == 0) - (y.len == 0);
    struct str part_a, part_b;
    for (;;) {
        const bool more_a = str_split(&x, '.', &part_a), more_b = str_split(&y, '.', &part_b);
        if (!more_a || !more_b)
            return more_a - more_b;
        const int identifiers = identifier_compare(part_a, part_b, has_case);
        if (identifiers != 0)
            return identifiers;
    }
}

int
semver_version_compare(struct str a, struct str b)
{
    return semver_compare(a, b, /* has_case= */ true);
}

int
nuget_version_compare(struct str a, struct str b)
{
    return semver_compare(a, b, /* has_case= */ false);
}

/* ---- PEP 440 ---- */

struct pep440 {
    bool is_valid;
    struct str epoch, release;
    int pre; /* 0: none, 'a', 'b', 'r' */
    struct str pre_number, post_number, dev_number, local;
    bool has_post, has_dev;
};

static struct str
separator_skip(struct str s)
{
    return s.len > 0 && strchr(".-_", s.at[0]) != NULL ? str_slice(s, 1, s.len) : s;
}

/* One of `words` in front, longest first, with separators around it and the number behind it. */
static int
word_cut(struct str *rest, const char *const *words, size_t count, struct str *number_out)
{
    const struct str s = separator_skip(*rest);

    for (size_t i = 0; i < count; i++) {
        const size_t len = strlen(words[i]);
        if (!str_equal_nocase(str_slice(s, 0, len), str_of(words[i])))
            continue;
        struct str behind = separator_skip(str_slice(s, len, s.len));
        *number_out = digits_cut(&behind);
        *rest = number_out->len > 0 ? behind : str_slice(s, len, s.len);
        return (int)i + 1;
    }
    return 0;
}

static void
post_cut(struct str *rest, struct pep440 *out)
{
    static const char *const words[] = {"post", "rev", "r"};

    if (rest->len > 1 && rest->at[0] == '-' && is_digit(rest->at[1])) { /* "1.0-1" */
        *rest = str_slice(*rest, 1, rest->len);
        out->post_number = digits_cut(rest);
        out->has_post = true;
    } else {
        out->has_post = word_cut(rest, words, ARRAY_COUNT(words), &out->post_number) > 0;
    }
}

static struct pep440
pep440_read(struct str s)
{
    static const char *const pre[] = {"alpha", "a", "beta", "b", "preview", "pre", "rc", "c"};
    static const char *const dev[] = {"dev"};
    static const unsigned char kinds[] = {0, 'a', 'a', 'b', 'b', 'r', 'r', 'r', 'r'};
    struct pep440 v = {0};
    size_t release = 0;

    s = v_cut(s);
    struct str after = s;
    const struct str epoch = digits_cut(&after);
    if (epoch.len > 0 && after.len > 0 && after.at[0] == '!') {
        v.epoch = epoch;
        s = str_slice(after, 1, after.len);
    }
    while (release < s.len &&
           (is_digit(s.at[release]) ||
            (s.at[release] == '.' && release + 1 < s.len && is_digit(s.at[release + 1]))))
        release++;
    v.release = str_slice(s, 0, release);
    s = str_slice(s, release, s.len);
    v.pre = kinds[word_cut(&s, pre, ARRAY_COUNT(pre), &v.pre_number)];
    post_cut(&s, &v);
    v.has_dev = word_cut(&s, dev, ARRAY_COUNT(dev), &v.dev_number) > 0;
    if (s.len > 0 && s.at[0] == '+') {
        v.local = str_slice(s, 1, s.len);
        s = (struct str){0};
    }
    v.is_valid = release > 0 && is_digit(v.release.at[0]) && s.len == 0;
    return v;
}

/* A release with only ".dev" comes before its pre-releases; without any, after them. */
static int
pep440_pre_rank(const struct pep440 *v)
{
    if (v->pre != 0)
        return v->pre;
    return !v->has_post && v->has_dev ? 0 : 0x7f;
}

static int
local_compare(struct str a, struct str b)
{
    while (a.len > 0 && b.len > 0) {
        struct str x = a, y = b;
        size_t n = 0, m = 0;
        while (n < a.len && strchr(".-_", a.at[n]) == NULL)
            n++;
        while (m < b.len && strchr(".-_", b.at[m]) == NULL)
            m++;
        x = str_slice(a, 0, n);
        y = str_slice(b, 0, m);
        const bool number_x = all_digits(x), number_y = all_digits(y);
        const int order = number_x != number_y ? (number_x ? 1 : -1)
                          : number_x           ? digits_compare(x, y)
                                               : nocase_compare(x, y);
        if (order != 0)
            return order;
        a = str_slice(a, n + 1, a.len);
        b = str_slice(b, m + 1, b.len);
    }
    return (a.len > 0) - (b.len > 0);
}

int
pep440_version_compare(struct str a, struct str b)
{
    const struct pep440 x = pep440_read(a), y = pep440_read(b);
    int order;

    if (!x.is_valid || !y.is_valid)
        return x.is_valid != y.is_valid ? (x.is_valid ? 1 : -1) : nocase_compare(a, b);
    if ((order = digits_compare(x.epoch, y.epoch)) != 0 ||
        (order = numbers_compare(x.release, y.release)) != 0 ||
        (order = pep440_pre_rank(&x) - pep440_pre_rank(&y)) != 0 ||
        (order = digits_compare(x.pre_number, y.pre_number)) != 0 ||
        (order = x.has_post - y.has_post) != 0 ||
        (order = digits_compare(x.post_number, y.post_number)) != 0 ||
        (order = y.has_dev - x.has_dev) != 0 ||
        (order = digits_compare(x.dev_number, y.dev_number)) != 0)
        return order;
    return local_compare(x.local, y.local);
}

/* ---- Maven ---- */

#define MAVEN_TOKENS_MAX 64

struct maven_token {
    char prefix; /* '.' or '-' */
    bool is_number;
    struct str text; /* of a qualifier; "" is the release itself */
};
struct maven {
    struct maven_token tokens[MAVEN_TOKENS_MAX];
    int count;
};

static int
maven_rank(struct str text)
{
    static const struct {
        const char *name;
        int rank;
    } known[] = {{"alpha", 0}, {"beta", 1},     {"milestone", 2}, {"rc", 3},
                 {"cr", 3},    {"snapshot", 4}, {"", 5},          {"ga", 5},
                 {"final", 5}, {"release", 5},  {"sp", 6}};

    for (size_t i = 0; i < ARRAY_COUNT(known); i++)
        if (str_equal_nocase(text, str_of(known[i].name)))
            return known[i].rank;
    return 7;
}

static bool
maven_is_null(const struct maven_token *t)
{
    return t->is_number ? digits_compare(t->text, (struct str){0}) == 0 : maven_rank(t->text) == 5;
}

/* Nulls at the end, and before a hyphen, mean nothing: 1.0.0-ga is 1. */
static void
maven_trim(struct maven *v)
{
    for (int i = v->count - 1; i > 0; i--) {
        const bool is_edge = i == v->count - 1 || v->tokens[i + 1].prefix == '-';
        if (!is_edge || !maven_is_null(&v->tokens[i]))
            continue;
        memmove(&v->tokens[i], &v->tokens[i + 1], (size_t)(v->count - i - 1) * sizeof v->tokens[0]);
        v->count--;
    }
}

static struct str
maven_alias(struct str text, bool before_number)
{
    if (!before_number || text.len != 1)
        return text;
    switch (lower(text.at[0])) {
    case 'a':
        return STR("alpha");
    case 'b':
        return STR("beta");
    case 'm':
        return STR("milestone");
    default:
        return text;
    }
}

static void
maven_read(struct str s, struct maven *out)
{
    char prefix = '-';

    out->count = 0;
    s = str_trim(s);
    for (size_t i = 0; i <= s.len && out->count < MAVEN_TOKENS_MAX;) {
        size_t end = i;
        const bool is_number = i < s.len && is_digit(s.at[i]);
        while (end < s.len && s.at[end] != '.' && s.at[end] != '-' && s.at[end] != '_' &&
               is_digit(s.at[end]) == is_number)
            end++;
        struct str text = str_slice(s, i, end);
        const bool turns =
            end < s.len && end > i && s.at[end] != '.' && s.at[end] != '-' && s.at[end] != '_';
        out->tokens[out->count++] =
            (struct maven_token){prefix, is_number || text.len == 0,
                                 is_number || text.len == 0 ? text : maven_alias(text, turns)};
        if (end >= s.len)
            break;
        prefix = s.at[end] == '.' ? '.' : '-'; /* a turn from digits to letters is a hyphen */
        i = turns ? end : end + 1;
    }
    maven_trim(out);
}

/* ".qualifier" = "-qualifier" < "-number" < ".number" */
static int
maven_kind(const struct maven_token *t)
{
    return !t->is_number ? 0 : t->prefix == '-' ? 1 : 2;
}

static int
maven_token_compare(const struct maven_token *a, const struct maven_token *b)
{
    if (maven_kind(a) != maven_kind(b))
        return maven_kind(a) - maven_kind(b);
    if (a->is_number)
        return digits_compare(a->text, b->text);
    const int x = maven_rank(a->text), y = maven_rank(b->text);
    return x != y ? x - y : x == 7 ? nocase_compare(a->text, b->text) : 0;
}

int
maven_version_compare(struct str a, struct str b)
{
    struct maven x, y;

    maven_read(a, &x);
    maven_read(b, &y);
    for (int i = 0; i < x.count || i < y.count; i++) {
        struct maven_token nothing = {.prefix = '-'};
        /* Against the end stands a null of the other's own kind. */
        if (i >= x.count || i >= y.count) {
            const struct maven_token *other = i >= x.count ? &y.tokens[i] : &x.tokens[i];
            nothing.prefix = other->prefix;
            nothing.is_number = other->is_number;
        }
        const int order = maven_token_compare(i < x.count ? &x.tokens[i] : &nothing,
                                              i < y.count ? &y.tokens[i] : &nothing);
        if (order != 0)
            return order;
    }
    return 0;
}

/* ---- RubyGems and Packagist: segments of digits or letters ---- */

/* The next run of digits or of letters; what stands between separates. Empty at the end. */
static struct str
segment_cut(struct str *rest)
{
    size_t n = 0;

    while (rest->len > 0 && !is_digit(rest->at[0]) && !is_letter(rest->at[0]))
        *rest = str_slice(*rest, 1, rest->len);
    while (n < rest->len &&
           (is_digit(rest->at[0]) ? is_digit(rest->at[n]) : is_letter(rest->at[n])))
        n++;
    struct str segment = str_slice(*rest, 0, n);
    *rest = str_slice(*rest, n, rest->len);
    return segment;
}

/* Of '-' RubyGems makes ".pre.", so a release with one is a pre-release. */
static struct str
gem_segment_cut(struct str *rest)
{
    if (rest->len > 0 && rest->at[0] == '-') {
        *rest = str_slice(*rest, 1, rest->len);
        return STR("pre");
    }
    if (rest->len > 0 && rest->at[0] == '.')
        *rest = str_slice(*rest, 1, rest->len);
    return rest->len > 0 && rest->at[0] == '-' ? gem_segment_cut(rest) : segment_cut(rest);
}

int
gem_version_compare(struct str a, struct str b)
{
    a = str_trim(a);
    b = str_trim(b);
    while (a.len > 0 || b.len > 0) {
        const struct str x = gem_segment_cut(&a), y = gem_segment_cut(&b);
        const bool number_x = x.len == 0 || is_digit(x.at[0]);
        const bool number_y = y.len == 0 || is_digit(y.at[0]);
        const int order = number_x != number_y ? (number_x ? 1 : -1)
                          : number_x           ? digits_compare(x, y)
                                               : identifier_compare(x, y, /* has_case= */ true);
        if (order != 0)
            return sign(order);
    }
    return 0;
}

static int
composer_rank(struct str segment)
{
    static const struct {
        const char *name;
        int rank;
    } known[] = {{"dev", 1}, {"alpha", 2},  {"a", 2},  {"beta", 3}, {"b", 3},    {"rc", 4},
                 {"#", 5},   {"stable", 5}, {"pl", 7}, {"p", 7},    {"patch", 7}};

    if (segment.len == 0)
        return 5;
    if (is_digit(segment.at[0]))
        return digits_compare(segment, (struct str){0}) == 0 ? 5 : 6;
    for (size_t i = 0; i < ARRAY_COUNT(known); i++)
        if (str_equal_nocase(segment, str_of(known[i].name)))
            return known[i].rank;
    return 0;
}

int
composer_version_compare(struct str a, struct str b)
{
    a = v_cut(a);
    b = v_cut(b);
    a = before(&a, '+');
    b = before(&b, '+');
    while (a.len > 0 || b.len > 0) {
        const struct str x = segment_cut(&a), y = segment_cut(&b);
        int order = composer_rank(x) - composer_rank(y);
        if (order == 0 && composer_rank(x) == 6)
            order = digits_compare(x, y);
        if (order == 0 && composer_rank(x) == 0)
            order = nocase_compare(x, y);
        if (order != 0)
            return sign(order);
    }
    return 0;
}
