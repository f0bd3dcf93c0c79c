/* SPDX-License-Identifier: MIT */
/* osv_version.c - versions of distributions: dpkg, apk, rpm. Those of languages: osv_language.c. */
#include "registry/scan/osv_version.h"

/* ---- what all share ---- */

struct str
digits_cut(struct str *rest)
{
    size_t n = 0;

    while (n < rest->len && is_digit(rest->at[n]))
        n++;
    struct str digits = str_slice(*rest, 0, n);
    *rest = str_slice(*rest, n, rest->len);
    return digits;
}

int
digits_compare(struct str a, struct str b)
{
    while (a.len > 0 && a.at[0] == '0')
        a = str_slice(a, 1, a.len);
    while (b.len > 0 && b.at[0] == '0')
        b = str_slice(b, 1, b.len);
    if (a.len != b.len)
        return a.len < b.len ? -1 : 1;
    return a.len == 0 ? 0 : memcmp(a.at, b.at, a.len);
}

static int
bytes_compare(struct str a, struct str b)
{
    const size_t n = a.len < b.len ? a.len : b.len;
    const int order = n > 0 ? memcmp(a.at, b.at, n) : 0;

    return order != 0 ? order : (a.len > b.len) - (a.len < b.len);
}

/* "<digits>:" in front; the empty view (0) if there is none. */
static struct str
epoch_cut(struct str *rest)
{
    struct str after = *rest, epoch = digits_cut(&after);

    if (after.len == 0 || after.at[0] != ':')
        return (struct str){0};
    *rest = str_slice(after, 1, after.len);
    return epoch;
}

/* What stands behind the last '-', taken off. */
static struct str
revision_cut(struct str *rest)
{
    const ptrdiff_t hyphen = str_rindex(*rest, '-');

    if (hyphen < 0)
        return (struct str){0};
    struct str revision = str_slice(*rest, (size_t)hyphen + 1, rest->len);
    *rest = str_slice(*rest, 0, (size_t)hyphen);
    return revision;
}

/* ---- dpkg ---- */

/* Debian policy 5.6.12: '~' before the end, the end before letters, letters before the rest. */
static int
dpkg_order(struct str s)
{
    if (s.len == 0 || is_digit(s.at[0]))
        return 0;
    if (s.at[0] == '~')
        return -1;
    return is_letter(s.at[0]) ? (unsigned char)s.at[0] : (unsigned char)s.at[0] + 256;
}

static int
dpkg_part_compare(struct str a, struct str b)
{
    while (a.len > 0 || b.len > 0) {
        while ((a.len > 0 && !is_digit(a.at[0])) || (b.len > 0 && !is_digit(b.at[0]))) {
            const int x = dpkg_order(a), y = dpkg_order(b);
            if (x != y)
                return x < y ? -1 : 1;
            a = str_slice(a, 1, a.len);
            b = str_slice(b, 1, b.len);
        }
        const int order = digits_compare(digits_cut(&a), digits_cut(&b));
        if (order != 0)
            return order;
    }
    return 0;
}

int
dpkg_version_compare(struct str a, struct str b)
{
    int order = digits_compare(epoch_cut(&a), epoch_cut(&b));
    const struct str revision_a = revision_cut(&a), revision_b = revision_cut(&b);

    if (order == 0)
        order = dpkg_part_compare(a, b);
    return order != 0 ? order : dpkg_part_compare(revision_a, revision_b);
}

/* ---- rpm ---- */

static bool
rpm_is_separator(char c)
{
    return !is_digit(c) && !is_letter(c) && c != '~' && c != '^';
}

static struct str
rpm_skip(struct str s)
{
    while (s.len > 0 && rpm_is_separator(s.at[0]))
        s = str_slice(s, 1, s.len);
    return s;
}

static struct str
letters_cut(struct str *rest)
{
    size_t n = 0;

    while (n < rest->len && is_letter(rest->at[n]))
        n++;
    struct str letters = str_slice(*rest, 0, n);
    *rest = str_slice(*rest, n, rest->len);
    return letters;
}

/* One of '~' and '^' in front of either: -1 or 1 decides, 0 takes it off both, 2: there is none. */
static int
rpm_mark(struct str *a, struct str *b, char mark)
{
    const bool in_a = a->len > 0 && a->at[0] == mark, in_b = b->len > 0 && b->at[0] == mark;

    if (!in_a && !in_b)
        return 2;
    if (in_a && in_b) {
        *a = str_slice(*a, 1, a->len);
        *b = str_slice(*b, 1, b->len);
        return 0;
    }
    if (mark == '~')
        return in_a ? -1 : 1;
    /* '^' is newer than the end, and older than anything that goes on. */
    if (in_a)
        return b->len == 0 ? 1 : -1;
    return a->len == 0 ? -1 : 1;
}

static int
rpm_part_compare(struct str a, struct str b)
{
    while (a.len > 0 || b.len > 0) {
        a = rpm_skip(a);
        b = rpm_skip(b);
        int mark = rpm_mark(&a, &b, '~');
        if (mark == 2)
            mark = rpm_mark(&a, &b, '^');
        if (mark == 0)
            continue;
        if (mark != 2)
            return mark;
        if (a.len == 0 || b.len == 0)
            break;
        const bool is_number = is_digit(a.at[0]);
        if (is_number != is_digit(b.at[0]))
            return is_number ? 1 : -1;
        const int order = is_number ? digits_compare(digits_cut(&a), digits_cut(&b))
                                    : bytes_compare(letters_cut(&a), letters_cut(&b));
        if (order != 0)
            return order;
    }
    return (a.len > 0) - (b.len > 0);
}

int
rpm_version_compare(struct str a, struct str b)
{
    int order = digits_compare(epoch_cut(&a), epoch_cut(&b));
    const struct str release_a = revision_cut(&a), release_b = revision_cut(&b);

    if (order == 0)
        order = rpm_part_compare(a, b);
    /* Who names no release means all of them, as rpm's own dependencies do. */
    if (order != 0 || release_a.len == 0 || release_b.len == 0)
        return order;
    return rpm_part_compare(release_a, release_b);
}

/* ---- apk ---- */

static const char *const apk_suffixes[] = {"alpha", "beta", "pre", "rc", "",
                                           "cvs",   "svn",  "git", "hg", "p"};
#define APK_NO_SUFFIX 4

static int
apk_suffix_rank(struct str name)
{
    for (size_t i = 0; i < ARRAY_COUNT(apk_suffixes); i++)
        if (str_is(name, apk_suffixes[i]))
            return (int)i;
    return APK_NO_SUFFIX;
}

/* "1.2.10": the first number as a number; later ones with a leading zero as a fraction, as in 1.05.
 */
static int
apk_numbers_compare(struct str *a, struct str *b)
{
    for (bool is_first = true;; is_first = false) {
        const struct str x = digits_cut(a), y = digits_cut(b);
        const bool is_fraction =
            !is_first && ((x.len > 0 && x.at[0] == '0') || (y.len > 0 && y.at[0] == '0'));
        const int order = is_fraction ? bytes_compare(x, y) : digits_compare(x, y);
        if (order != 0)
            return order;
        const bool more_a = a->len > 1 && a->at[0] == '.' && is_digit(a->at[1]);
        const bool more_b = b->len > 1 && b->at[0] == '.' && is_digit(b->at[1]);
        if (!more_a || !more_b)
            return more_a - more_b;
        *a = str_slice(*a, 1, a->len);
        *b = str_slice(*b, 1, b->len);
    }
}

static int
apk_letter_cut(struct str *rest)
{
    if (rest->len == 0 || !is_letter(rest->at[0]))
        return 0;
    const int letter = (unsigned char)rest->at[0];
    *rest = str_slice(*rest, 1, rest->len);
    return letter;
}

static int
apk_suffix_cut(struct str *rest, struct str *number_out)
{
    *number_out = (struct str){0};
    if (rest->len == 0 || rest->at[0] != '_')
        return APK_NO_SUFFIX;
    *rest = str_slice(*rest, 1, rest->len);
    const int rank = apk_suffix_rank(letters_cut(rest));
    *number_out = digits_cut(rest);
    return rank;
}

static struct str
apk_build_cut(struct str *rest)
{
    const ptrdiff_t hyphen = str_rindex(*rest, '-');

    if (hyphen < 0 || (size_t)hyphen + 1 >= rest->len || rest->at[hyphen + 1] != 'r')
        return (struct str){0};
    struct str build = str_slice(*rest, (size_t)hyphen + 2, rest->len);
    *rest = str_slice(*rest, 0, (size_t)hyphen);
    return digits_cut(&build);
}

int
apk_version_compare(struct str a, struct str b)
{
    const struct str build_a = apk_build_cut(&a), build_b = apk_build_cut(&b);
    int order = apk_numbers_compare(&a, &b);

    if (order == 0)
        order = apk_letter_cut(&a) - apk_letter_cut(&b);
    while (order == 0 && ((a.len > 0 && a.at[0] == '_') || (b.len > 0 && b.at[0] == '_'))) {
        struct str x, y;
        order = apk_suffix_cut(&a, &x) - apk_suffix_cut(&b, &y);
        if (order == 0)
            order = digits_compare(x, y);
    }
    return order != 0 ? order : digits_compare(build_a, build_b);
}

/* ---- numbers ---- */

/* What stands in front of the next '.' or '-', taken off with it. */
static struct str
component_cut(struct str *rest)
{
    size_t n = 0;

    while (n < rest->len && rest->at[n] != '.' && rest->at[n] != '-')
        n++;
    const struct str component = str_slice(*rest, 0, n);
    *rest = str_slice(*rest, n + 1, rest->len);
    return component;
}

static bool
is_number(struct str s)
{
    return digits_cut(&s).len > 0 && s.len == 0;
}

/* A component that is no number is less than one. */
static int
component_compare(struct str a, struct str b)
{
    const int order = is_number(a) - is_number(b);

    if (order != 0)
        return order;
    return is_number(a) ? digits_compare(a, b) : bytes_compare(a, b);
}

int
numbers_version_compare(struct str a, struct str b)
{
    while (a.len > 0 && b.len > 0) {
        const struct str x = component_cut(&a), y = component_cut(&b);
        const int order = component_compare(x, y);
        if (order != 0)
            return order;
    }
    return (a.len > 0) - (b.len > 0);
}

/* ---- whose is it? ---- */

version_compare *
version_compare_of(struct str ecosystem)
{
    static const struct {
        const char *name;
        version_compare *compare;
    } rows[] = {
        {"Debian", dpkg_version_compare},      {"Ubuntu", dpkg_version_compare},
        {"Alpine", apk_version_compare},       {"Wolfi", apk_version_compare},
        {"Chainguard", apk_version_compare},   {"Red Hat", rpm_version_compare},
        {"Rocky Linux", rpm_version_compare},  {"AlmaLinux", rpm_version_compare},
        {"openSUSE", rpm_version_compare},     {"SUSE", rpm_version_compare},
        {"openEuler", rpm_version_compare},    {"Mageia", rpm_version_compare},
        {"Azure Linux", rpm_version_compare},  {"npm", semver_version_compare},
        {"crates.io", semver_version_compare}, {"Go", semver_version_compare},
        {"PyPI", pep440_version_compare},      {"Maven", maven_version_compare},
        {"RubyGems", gem_version_compare},     {"Packagist", composer_version_compare},
        {"NuGet", nuget_version_compare},      {"Hex", semver_version_compare},
        {"Pub", semver_version_compare},       {"SwiftURL", semver_version_compare},
        {"ConanCenter", semver_version_compare}, {"Hackage", numbers_version_compare},
        {"CRAN", numbers_version_compare},
    };
    const ptrdiff_t colon = str_index(ecosystem, ':');

    if (colon >= 0)
        ecosystem = str_slice(ecosystem, 0, (size_t)colon);
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++)
        if (str_is(ecosystem, rows[i].name))
            return rows[i].compare;
    return NULL;
}
