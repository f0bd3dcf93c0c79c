/* SPDX-License-Identifier: MIT */
/* rule_pattern.h - the conditions of a rule as one regular expression over one text, the key.
 * HAProxy makes the key of each request to a listener that has rules, and looks it up in an ordered
 * map of these expressions (alb.md B9): the order of the map is that of the priorities.  The key is
 *     method LF host LF path LF & query LF address LF headers
 * with the host in lower case and without port, the client's address as HAProxy writes it in hex, and
 * the headers as "name: value CR LF".  No part can hold a LF, so none can pass for another; only
 * the headers' part is left out where no rule asks for one.
 * Whatever clients send is matched in time linear in its length and with little stack, else it could
 * slip past a rule at PCRE's limits: what stands between two wildcards is looked for once and not
 * given back (an atomic group; the first place is the best), and nothing but single characters repeats.
 * A value that is a regular expression is written anew from what model/pattern.h read in it, which is within its
 * part of the key, too; and looked for only in texts that are short enough for it.
 * Pure.  The expression holds neither blanks nor what HAProxy's map files and commands know. */
#pragma once
#include "base/json.h"

/* PCRE counts how often it tries, and gives up: expressions of users get no further than this, some 10 ms.  What the API
 * lets through does not come near it but for the kind that pattern.h names. */
#define RULE_PATTERN_TRIES "(*LIMIT_MATCH=1000000)"

/* Appends the expression.  `conditions` is as DescribeRules shows it (alb.md A4). `longest`: of rule_pattern_longest(). */
void rule_pattern(const struct json *conditions, int longest, struct strbuf *out);
/* What a character of a path or a header may cost by the expressions of a rule that are looked for at each; and how long
 * a text those of all rules of a listener may look at together, as a request may meet all: 0: as long as it may be. */
int rule_pattern_steps(const struct json *conditions);
int rule_pattern_longest(int64_t steps);
/* A text that is longer than an expression of the rule may look at is met by nobody, and would slip past a rule that
 * shuts out: the status to answer with, 400, 414 or 431, where the condition `index` has such expressions, else 0.  Then
 * `out`, if not NULL, gets the expression of the requests whose text is longer and that meet all other conditions. */
int rule_pattern_longer(const struct json *conditions, size_t index, int longest, struct strbuf *out);
/* An expression for a header whose time grows with the square of the text; NULL: there is none.  The API lets none
 * through any more; those from before stay, and a longer header is answered by 431. */
const char *rule_pattern_outdated(const struct json *conditions);
bool rule_pattern_asks_headers(const struct json *conditions);
