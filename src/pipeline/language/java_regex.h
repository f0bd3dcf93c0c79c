/* SPDX-License-Identifier: MIT */
#pragma once
#include <stddef.h>
#include <stdint.h>
#include "base/str.h"

/* Java's regular expressions, which Jenkinsfiles hold, are matched by PCRE2. */

#define REGEX_PATTERN_MAX 4000 /* bytes */

struct pcre2_real_code_8;

/* Compiles with PCRE2's `options` and those that hold for all. NULL: see PCRE2's error code and the
 * place, of the pattern as it is translated. */
struct pcre2_real_code_8 *java_regex_compile(struct str pattern, uint32_t options, int *error,
                                             size_t *where) MUST_CHECK;
/* Does it compile?  If not, why. */
bool java_regex_check(struct str pattern, char why[static 200]) MUST_CHECK;
