/* SPDX-License-Identifier: MIT */
/* pattern.h - regular expressions of the cluster query language (ecs.md 7.4, operators =~ and !~).
 * The part of Java's syntax that such expressions use: literals, '.', [classes] with ranges and '^',
 * \d \w \s \D \W \S, escapes, groups ( ) and (?: ), '|', the quantifiers * + ? {m} {m,} {m,n}, also
 * with a lazy '?' behind, and the anchors ^ $.  As with Java's matches() the whole text has to match.
 * What remembers (back references) or looks around is refused by name.
 * Matching takes time proportional to text times pattern, whatever the pattern: nobody can make the core
 * think for long.  Bytes are compared, so a multi-byte character is several.
 * Errors: ERR_INVALID_PARAMETER, naming what is wrong.  Ownership: pattern_free(). */
#pragma once
#include "base/err.h"
#include "base/str.h"

#define PATTERN_LENGTH_MAX 2000
#define PATTERN_SIZE_MAX 4000 /* instructions after repetitions were unrolled */

struct pattern;

struct pattern *pattern_parse(struct str text, struct err *err) MUST_CHECK;
bool pattern_matches(const struct pattern *p, struct str text); /* all of `text` */
void pattern_free(struct pattern *p);                           /* NULL is fine */

/* ---- the same expressions for a matcher that tries and goes back (PCRE) ---- */

struct pattern_dialect {
    const char *begin, *end; /* what ^ and $ are there */
    bool ignores_case, has_captures; /* else groups remember nothing */
    bool is_rough; /* pattern_price()'s own */
};
/* Appends what PCRE takes for it: within a line, and of letters, digits and signs only, no blank and no
 * quote.  Refused is also what PCRE refuses: quantifiers behind ^ and $, and groups that repeat until
 * they are too large for it (five expressions fit into one).  `captures_out` may be NULL. */
bool pattern_translate(struct str text, const struct pattern_dialect *dialect, struct strbuf *out, int *captures_out,
                       struct err *err) MUST_CHECK;

/* The same, looked for anywhere in a line, whose beginning is where PCRE is then; with what is before it, which is a
 * capture of its own, the first, if the dialect has some.  Literals with ".*" behind are looked for once: what begins at
 * another place of them would match from the first, too.  On failure something may have been appended. */
#define PATTERN_OF_LINE "[^\\r\\n]"
bool pattern_translate_search(struct str text, const struct pattern_dialect *dialect, struct strbuf *out, int *captures_out,
                              struct err *err) MUST_CHECK;

/* Looks ahead, for PCRE at the beginning of a text, that let through what holds the literals that each text has in which
 * it is found; nothing if none are known.  On failure something may have been appended. */
bool pattern_translate_known(struct str text, const struct pattern_dialect *dialect, struct strbuf *out,
                             struct err *err) MUST_CHECK;

/* How the time of such a matcher grows with the text, at worst, wherever in the text the expression is looked for: by
 * how many ways through it a text can have, told from loops that can take the same characters.  Rather too high than too
 * low, but for expressions without loops that have many ways nevertheless ((a|a)(a|a)...). */
enum pattern_growth { PATTERN_LINEAR, PATTERN_QUADRATIC, PATTERN_WORSE };
struct pattern_price {
    enum pattern_growth growth;
    int choices; /* in a group that repeats, each of which it remembers each time; 0: no group repeats */
    int steps; /* that a character of the text may cost, as it is looked for at each; 1: at one place of the text only */
};
#define PATTERN_PRICED_MAX 250 /* characters and classes, repetitions not counted; larger ones are refused */
/* It may take milliseconds, so the last thousands of prices are remembered, process-wide.  Any thread. */
bool pattern_price(struct str text, bool ignores_case, struct pattern_price *out, struct err *err) MUST_CHECK;
int64_t pattern_prices_reckoned(void); /* since the start, those remembered left out; for tests */
/* By it: how long a text may be to be looked at in some milliseconds and with PCRE's usual stack (32 KB, of its JIT);
 * 0: as it likes.  Expressions for which no length is short enough are refused. */
bool pattern_limit(const struct pattern_price *price, struct str text, int *longest_out, struct err *err) MUST_CHECK;
/* Both. */
bool pattern_longest(struct str text, bool ignores_case, int *longest_out, struct err *err) MUST_CHECK;
