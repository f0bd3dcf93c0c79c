/* SPDX-License-Identifier: MIT */
#include "store/store.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <sqlite3.h>
#include <stdio.h>
#include <sys/stat.h>
#include "store/row_parser.h"

/* One entry a schema version; entry i takes the file from version i to i + 1.  Never edit an entry
 * that was released: append. */
static const char *const migrations[] = {
    ("CREATE TABLE rows (kind TEXT NOT NULL, key TEXT NOT NULL, doc TEXT NOT NULL,"
     " PRIMARY KEY (kind, key)) WITHOUT ROWID;"),
    /* Nothing to move: whoever loads a service reads a row with everything in it as well, and writes its
     * parts apart when it changes next.  The number alone keeps a naru out that knows no parts. */
    "",
    /* Likewise: rows of services name several parts in one text, and one by one before. */
    "",
    /* Nothing to move: rows of rules are new, and a naru that knows none would not serve them. */
    "",
    /* Likewise: rows of certificates are new, and listeners name them. */
    "",
    /* Likewise of security groups: it would let everybody in. */
    "",
    /* Likewise of trust stores, and of listeners that name one: it would ask no client for a certificate. */
    "",
    /* Likewise of families of task definitions: it would give revisions out twice. */
    "",
};

struct store {
    sqlite3 *db;
    sqlite3_stmt *put, *delete, *begin, *commit, *rollback;
    struct strbuf text; /* of the row that is being written: its room serves the next one */
    bool in_transaction;
};

static bool
fail(const struct store *s, struct err *err, const char *what)
{
    return err_set(err, ERR_INTERNAL, "store: cannot %s: %s", what,
                   s->db != NULL ? sqlite3_errmsg(s->db) : "out of memory");
}

static bool
run_sql(const struct store *s, const char *sql, const char *what, struct err *err)
{
    if (sqlite3_exec(s->db, sql, NULL, NULL, NULL) != SQLITE_OK)
        return fail(s, err, what);
    return true;
}

static bool
read_number(const struct store *s, const char *sql, int *out, struct err *err)
{
    sqlite3_stmt *statement = NULL;
    bool ok = sqlite3_prepare_v2(s->db, sql, -1, &statement, NULL) == SQLITE_OK &&
              sqlite3_step(statement) == SQLITE_ROW;

    if (ok)
        *out = sqlite3_column_int(statement, 0);
    sqlite3_finalize(statement);
    return ok || fail(s, err, "read its version");
}

static bool
check_integrity(const struct store *s, const char *path, struct err *err)
{
    sqlite3_stmt *statement = NULL;
    bool ok = sqlite3_prepare_v2(s->db, "PRAGMA quick_check(1)", -1, &statement, NULL) == SQLITE_OK &&
              sqlite3_step(statement) == SQLITE_ROW;
    const char *verdict = ok ? (const char *)sqlite3_column_text(statement, 0) : sqlite3_errmsg(s->db);

    ok = ok && strcmp(verdict, "ok") == 0;
    if (!ok)
        err_set(err, ERR_INTERNAL,
                "the database '%s' is damaged (%s): restore a copy of it, or recover what is left with "
                "`sqlite3 '%s' .recover | sqlite3 new.db`, and start again",
                path, verdict, path);
    sqlite3_finalize(statement);
    return ok;
}

static bool
migrate(const struct store *s, const char *path, struct err *err)
{
    const int newest = (int)ARRAY_COUNT(migrations);
    int version = 0;

    if (!read_number(s, "PRAGMA user_version", &version, err))
        return false;
    if (version > newest)
        return err_set(err, ERR_INTERNAL,
                       "the database '%s' has schema version %d, this naru knows up to %d: start the "
                       "newer naru that wrote it",
                       path, version, newest);
    for (; version < newest; version++) {
        char pragma[64];

        snprintf(pragma, sizeof(pragma), "PRAGMA user_version = %d;", version + 1);
        if (!run_sql(s, "BEGIN IMMEDIATE", "begin a migration", err))
            return false;
        if (!run_sql(s, migrations[version], "migrate", err) || !run_sql(s, pragma, "migrate", err) ||
            !run_sql(s, "COMMIT", "commit a migration", err)) {
            (void)sqlite3_exec(s->db, "ROLLBACK", NULL, NULL, NULL);
            return false;
        }
    }
    return true;
}

static bool
prepare(const struct store *s, const char *sql, sqlite3_stmt **out, struct err *err)
{
    if (sqlite3_prepare_v3(s->db, sql, -1, SQLITE_PREPARE_PERSISTENT, out, NULL) != SQLITE_OK)
        return fail(s, err, "prepare a statement");
    return true;
}

/* Private keys are in it: nobody but us reads it.  SQLite gives its other files the same mode; one of the
 * journal's may be left from before. */
static bool
keep_private(const char *path, struct err *err)
{
    cleanup_close int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    cleanup_free char *wal = text_format("%s-wal", path);

    if (fd < 0 || fchmod(fd, 0600) != 0)
        return err_errno(err, "cannot open the database '%s'", path);
    return chmod(wal, 0600) == 0 || errno == ENOENT || err_errno(err, "cannot change the mode of '%s'", wal);
}

struct store *
store_open(const char *path, struct err *err)
{
    struct store *s;

    if (!keep_private(path, err))
        return NULL;
    s = mem_new(sizeof(*s));
    if (sqlite3_open_v2(path, &s->db,
                        SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX, NULL) != SQLITE_OK) {
        fail(s, err, "open the database");
        err_context(err, "%s", path);
        goto rollback;
    }
    sqlite3_busy_timeout(s->db, 500);
    /* FULL: the WAL is flushed at each commit, so an answered request survives a power cut.  The
     * exclusive lock keeps a second naru from serving the same data.  A checkpoint flushes the file itself, so
     * there is one for each 8 MiB of changes only. */
    if (!run_sql(s, "PRAGMA locking_mode = EXCLUSIVE; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;"
                    "PRAGMA wal_autocheckpoint = 2048; PRAGMA cache_size = -2048;",
                 "set up the database", err) ||
        !check_integrity(s, path, err) || !migrate(s, path, err))
        goto rollback;
    /* REPLACE writes over what it finds; an upsert looks for it, deletes it and inserts. */
    if (!prepare(s, "REPLACE INTO rows (kind, key, doc) VALUES (?1, ?2, ?3)", &s->put, err) ||
        !prepare(s, "DELETE FROM rows WHERE kind = ?1 AND key = ?2", &s->delete, err) ||
        !prepare(s, "BEGIN IMMEDIATE", &s->begin, err) || !prepare(s, "COMMIT", &s->commit, err) ||
        !prepare(s, "ROLLBACK", &s->rollback, err))
        goto rollback;
    return s;

rollback:
    store_close(s);
    return NULL;
}

void
store_close(struct store *s)
{
    if (s == NULL)
        return;
    sqlite3_finalize(s->put);
    sqlite3_finalize(s->delete);
    sqlite3_finalize(s->begin);
    sqlite3_finalize(s->commit);
    sqlite3_finalize(s->rollback);
    sqlite3_close(s->db);
    strbuf_done(&s->text);
    free(s);
}

static bool
run(const struct store *s, sqlite3_stmt *statement, const char *what, struct err *err)
{
    const int result = sqlite3_step(statement);

    sqlite3_reset(statement);
    return result == SQLITE_DONE || fail(s, err, what);
}

bool
store_begin(struct store *s, struct err *err)
{
    assert(!s->in_transaction);
    s->in_transaction = run(s, s->begin, "begin", err);
    return s->in_transaction;
}

bool
store_put(struct store *s, const char *kind, const char *key, const struct json *doc, struct err *err)
{
    assert(s->in_transaction);
    strbuf_clear(&s->text);
    json_write(&s->text, doc);
    sqlite3_bind_text(s->put, 1, kind, -1, SQLITE_STATIC);
    sqlite3_bind_text(s->put, 2, key, -1, SQLITE_STATIC);
    sqlite3_bind_text64(s->put, 3, s->text.at, s->text.len, SQLITE_STATIC, SQLITE_UTF8);
    return run(s, s->put, "write a row", err);
}

bool
store_delete(struct store *s, const char *kind, const char *key, struct err *err)
{
    assert(s->in_transaction);
    sqlite3_bind_text(s->delete, 1, kind, -1, SQLITE_STATIC);
    sqlite3_bind_text(s->delete, 2, key, -1, SQLITE_STATIC);
    return run(s, s->delete, "delete a row", err);
}

bool
store_commit(struct store *s, struct err *err)
{
    assert(s->in_transaction);
    if (!run(s, s->commit, "commit", err))
        return false;
    s->in_transaction = false;
    return true;
}

void
store_rollback(struct store *s)
{
    if (!s->in_transaction)
        return;
    /* A failed COMMIT may have ended the transaction already; then there is nothing to undo. */
    (void)sqlite3_step(s->rollback);
    sqlite3_reset(s->rollback);
    s->in_transaction = false;
}

bool
store_each(struct store *s,
           bool (*each)(void *arg, const char *kind, const char *key, const struct json *doc, struct err *err),
           void *arg, struct err *err)
{
    struct row_parser *parser = row_parser_new(each, arg);
    sqlite3_stmt *statement = NULL;
    int result = SQLITE_DONE;
    bool ok = prepare(s, "SELECT kind, key, doc FROM rows ORDER BY kind, key", &statement, err);

    while (ok && (result = sqlite3_step(statement)) == SQLITE_ROW) {
        const char *kind = (const char *)sqlite3_column_text(statement, 0);
        const char *key = (const char *)sqlite3_column_text(statement, 1);
        const struct str text = {(const char *)sqlite3_column_text(statement, 2),
                                 (size_t)sqlite3_column_bytes(statement, 2)};

        ok = row_parser_add(parser, kind, key, text, err);
    }
    ok = ok && row_parser_finish(parser, err);
    if (ok && result != SQLITE_DONE)
        ok = fail(s, err, "read the rows");
    row_parser_free(parser);
    sqlite3_finalize(statement);
    return ok;
}
