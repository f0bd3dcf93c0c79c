/* SPDX-License-Identifier: MIT */
/* http_head.h - reads the head of an HTTP/1 answer, as a health check sees it.
 * Strict about what makes an answer an answer (status line, header names, line ends), indifferent
 * to what the headers say.  Interim answers (1xx) are passed over; 101 is final.  Pure. */
#pragma once
#include "base/str.h"

#define HTTP_HEAD_LIMIT 16384 /* a longer head is malformed */

enum http_head { HTTP_HEAD_MORE, HTTP_HEAD_DONE, HTTP_HEAD_BAD };

/* `bytes` is all that came so far.  DONE sets the status, 100..999. */
enum http_head http_head_parse(struct str bytes, int *status_out);
