/* SPDX-License-Identifier: MIT */
/* store.h - remembers rows: (kind, key) -> JSON document; one interface, whatever is behind it.
 * Writes between store_begin() and store_commit() become durable together or not at all; they are
 * durable when store_commit() returns true.  One thread at a time. */
#pragma once
#include "base/err.h"
#include "base/json.h"

struct store;

/* SQLite in WAL mode. Creates the file and its schema, migrates an older one, refuses a newer one, and
 * checks its integrity; a damaged file is refused with what to do. */
struct store *store_open(const char *path, struct err *err) MUST_CHECK;
void store_close(struct store *s);
bool store_begin(struct store *s, struct err *err) MUST_CHECK;
bool store_put(struct store *s, const char *kind, const char *key, const struct json *doc, struct err *err) MUST_CHECK;
bool store_delete(struct store *s, const char *kind, const char *key, struct err *err) MUST_CHECK;
bool store_commit(struct store *s, struct err *err) MUST_CHECK;
void store_rollback(struct store *s);
/* Calls `each` for every row, in order of kind and key; it returns false (and sets err) to stop. */
bool store_each(struct store *s, bool (*each)(void *arg, const char *kind, const char *key, const struct json *doc, struct err *err),
                void *arg, struct err *err) MUST_CHECK;
