/* SPDX-License-Identifier: MIT */
/* row_parser.h - parses the documents of rows on a few threads, and hands them on in order.
 * Parsing is most of what opening a large store costs, and no row needs another one for it.  Rows
 * are gathered into batches; each full batch is parsed by a thread of its own, while the caller
 * goes on reading and hands on older ones.  There are as many such threads as processors, but few.
 * Errors: the first bad row, in the order they were added, is the one that is told of; all rows
 * before it were handed on, none behind it.
 * Ownership: what is added is copied.  Held are five batches at most; each is full at
 * ROW_BATCH_SIZE bytes, which its last row may exceed. */
#pragma once
#include "base/err.h"
#include "base/json.h"

#define ROW_BATCH_SIZE (512u * 1024u)
#define ROW_BATCH_ROWS 1024

/* Called on the thread that adds; false (with err) stops. */
typedef bool row_call(void *arg, const char *kind, const char *key, const struct json *doc,
                      struct err *err);

struct row_parser;
struct row_parser *row_parser_new(row_call *each, void *arg);
/* After a failure only row_parser_free() may follow. */
bool row_parser_add(struct row_parser *p, const char *kind, const char *key, struct str text,
                    struct err *err) MUST_CHECK;
bool row_parser_finish(struct row_parser *p, struct err *err) MUST_CHECK; /* hands on the rest */
void row_parser_free(struct row_parser *p); /* waits for threads that still parse */
