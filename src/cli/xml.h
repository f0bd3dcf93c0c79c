/* SPDX-License-Identifier: MIT */
/* xml.h - answers of the Query protocol (alb.md A1) as JSON.
 * <X><member>..</member></X> is a list, elements with elements are objects, the rest is text;
 * numbers and booleans are told by the member's name (xml.c holds the list; names have one type
 * throughout the services we speak to).  The root's own name is dropped.  No DTDs, entities of
 * XML 1.0 and character references only, nesting at most 32. */
#pragma once
#include "base/err.h"
#include "base/json.h"

struct json *xml_to_json(struct str text, struct err *err) MUST_CHECK;
