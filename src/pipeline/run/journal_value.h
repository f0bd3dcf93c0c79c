/* SPDX-License-Identifier: MIT */
/* journal_value.h - values as JSON that gives back exactly what they were. */
#pragma once
#include "base/json.h"
#include "pipeline/groovy/value.h"

/* Who interrupted a step; timeouts count from 1. */
enum journal_by { JOURNAL_BY_ITSELF = -3, JOURNAL_BY_BRANCH = -2, JOURNAL_BY_ABORT = -1 };

/* False for closures and the like, what nests too deeply, and more than VALUE_WRITTEN_MAX values, as which texts
 * and numbers count by VALUE_BYTES_A_VISIT. */
bool journal_value_write(struct value v, struct json **out) MUST_CHECK;
bool journal_value_read(struct arena *a, const struct json *j, struct value *out) MUST_CHECK;
