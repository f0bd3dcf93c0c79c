/* SPDX-License-Identifier: MIT */
/* value_json.h - values from JSON and back. Numbers keep all their digits. */
#pragma once
#include "base/json.h"
#include "pipeline/groovy/value.h"

/* False if it is no JSON, more than VALUE_READ_MAX values, or more than VALUE_ITEMS_MAX of them in one
 * list or map. */
bool value_parse_json(struct arena *a, struct str text, struct value *out,
                      struct err *err) MUST_CHECK;
/* False if it nests deeper than VALUE_DEPTH_MAX or is more than VALUE_WRITTEN_MAX values, as which texts count
 * by VALUE_BYTES_A_VISIT; what JSON does not know becomes text. */
bool value_to_json(struct arena *a, struct value v, struct json **out) MUST_CHECK;
