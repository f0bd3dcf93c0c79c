/* SPDX-License-Identifier: MIT */
/* value_json.h - values from JSON and back; and numbers from text, as JSON and YAML write them.
 * A real number becomes a decimal of up to 15 digits, or stays text where that does not hold it. */
#pragma once
#include "base/json.h"
#include "pipeline/groovy/value.h"

/* False if it is more than VALUE_READ_MAX values. */
bool value_of_json(struct arena *a, const struct json *j, struct value *out) MUST_CHECK;
/* False if it nests deeper than VALUE_DEPTH_MAX or is more than VALUE_WRITTEN_MAX values; what JSON
 * does not know becomes text. */
bool value_to_json(struct arena *a, struct value v, struct json **out) MUST_CHECK;
/* "12", "-0.5", "1e3"; false if it is no number or beyond 64 bits. */
bool value_of_number(struct str text, struct value *out) MUST_CHECK;
