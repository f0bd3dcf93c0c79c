/* SPDX-License-Identifier: MIT */
/* data_yaml.h - values from YAML 1.1 and back; the only user of libyaml.
 * Plain scalars resolve as in Jenkins (SnakeYAML): null, yes/no/on/off/true/false, integers (also
 * 0x and 0 octal), decimals; dates stay text.  Anchors, aliases and merge keys (<<) are followed.
 * Limits: VALUE_DEPTH_MAX deep, YAML_ALIASES_MAX aliases, VALUE_ITEMS_MAX values;
 * written are VALUE_WRITTEN_MAX of them, and VALUE_TEXT_MAX bytes. */
#pragma once
#include "base/err.h"
#include "pipeline/groovy/value.h"

#define YAML_ALIASES_MAX 50

/* The documents of a text as a list. */
bool data_yaml_parse(struct arena *a, struct str text, struct value *list_out,
                     struct err *err) MUST_CHECK;
/* One document in block style; a list of documents with `---` between them if `many`. */
bool data_yaml_format(struct arena *a, struct value v, bool many, struct strbuf *out,
                      struct err *err) MUST_CHECK;
