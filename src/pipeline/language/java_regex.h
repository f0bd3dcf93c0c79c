/* SPDX-License-Identifier: MIT */
#pragma once
#include "base/str.h"

/* Java's regular expressions, which Jenkinsfiles hold, are matched by PCRE2. */

#define REGEX_PATTERN_MAX 4000 /* bytes */

/* Java writes the POSIX classes as \p{Alpha}; the rest of its syntax is PCRE's. */
void java_regex_translate(struct str pattern, struct strbuf *out);
/* Does it compile?  If not, why. */
bool java_regex_check(struct str pattern, char why[static 200]) MUST_CHECK;
