/* SPDX-License-Identifier: MIT */
/* uri.h - percent encoding and query strings. */
#pragma once
#include "base/str.h"

/* Unreserved A-Za-z0-9-._~ stay, the rest becomes %XX; '/' stays if `keep_slash`. */
void uri_encode(struct strbuf *out, struct str s, bool keep_slash);
/* False on a broken escape or a NUL.  `plus_is_space` for forms. */
bool uri_decode(struct strbuf *out, struct str s, bool plus_is_space);
/* The decoded value of `name` in "a=1&b=2"; false when absent or broken. */
bool uri_query_get(struct str query, const char *name, struct strbuf *out);
