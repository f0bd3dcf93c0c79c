/* SPDX-License-Identifier: MIT */
/* osv.c - the database file: its tables, and the questions that scans ask. */
#include "registry/scan/osv_tables.h"

#include <stdio.h>

#include "io/file.h"
#include "registry/scan/osv_version.h"

#define SCHEMA_VERSION 1
#define ALIASES_MAX 32

static const char schema[] =
    "CREATE TABLE IF NOT EXISTS records (id TEXT PRIMARY KEY, name TEXT NOT NULL,"
    " modified_ms INTEGER NOT NULL, severity INTEGER NOT NULL, score REAL NOT NULL,"
    " vector TEXT NOT NULL, summary TEXT NOT NULL, uri TEXT NOT NULL, aliases TEXT NOT NULL)"
    " WITHOUT ROWID;"
    "CREATE TABLE IF NOT EXISTS affected (ecosystem TEXT NOT NULL, package TEXT NOT NULL,"
    " id TEXT NOT NULL, ordinal INTEGER NOT NULL, document TEXT NOT NULL,"
    " PRIMARY KEY (ecosystem, package, id, ordinal)) WITHOUT ROWID;"
    "CREATE INDEX IF NOT EXISTS affected_by_id ON affected (id);"
    "CREATE TABLE IF NOT EXISTS ecosystems (name TEXT PRIMARY KEY) WITHOUT ROWID;"
    "PRAGMA user_version = 1;";

bool
osv_fail(const struct osv *osv, const char *what, struct err *err)
{
    return err_set(err, ERR_INTERNAL, "the vulnerability database: cannot %s: %s", what,
                   osv->db != NULL ? sqlite3_errmsg(osv->db) : "out of memory");
}

bool
osv_run(const struct osv *osv, const char *sql, const char *what, struct err *err)
{
    return sqlite3_exec(osv->db, sql, NULL, NULL, NULL) == SQLITE_OK || osv_fail(osv, what, err);
}

static bool
prepare(const struct osv *osv, const char *sql, sqlite3_stmt **out, struct err *err)
{
    return sqlite3_prepare_v3(osv->db, sql, -1, SQLITE_PREPARE_PERSISTENT, out, NULL) ==
               SQLITE_OK ||
           osv_fail(osv, "prepare a statement", err);
}

static bool
version_check(struct osv *osv, const char *path, bool creates, struct err *err)
{
    sqlite3_stmt *ask = NULL;
    int version = -1;

    if (prepare(osv, "PRAGMA user_version", &ask, err) && sqlite3_step(ask) == SQLITE_ROW)
        version = sqlite3_column_int(ask, 0);
    sqlite3_finalize(ask);
    if (version < 0)
        return osv_fail(osv, "read it", err);
    if (version > SCHEMA_VERSION || (version == 0 && !creates))
        return err_set(err, ERR_INTERNAL,
                       "'%s' has schema version %d, this naru knows %d: import anew into an empty "
                       "file",
                       path, version, SCHEMA_VERSION);
    return version == SCHEMA_VERSION ||
           (osv_run(osv, "PRAGMA journal_mode = WAL", "make it", err) &&
            osv_run(osv, schema, "make its tables", err));
}

static bool
statements_prepare(struct osv *osv, struct err *err)
{
    return prepare(osv,
                   "SELECT a.document, r.id, r.name, r.severity, r.score, r.vector, r.summary,"
                   " r.uri, r.aliases FROM affected a JOIN records r ON r.id = a.id"
                   " WHERE a.ecosystem = ?1 AND a.package = ?2 ORDER BY a.id, a.ordinal",
                   &osv->find, err) &&
           prepare(osv, "SELECT severity, score, vector FROM records WHERE id = ?1", &osv->rate,
                   err) &&
           prepare(osv,
                   "SELECT name FROM ecosystems WHERE name = ?1 OR"
                   " (name > ?1 || ':' AND name < ?1 || ';') OR"
                   " (?1 LIKE '%*%' AND name GLOB ?1) ORDER BY name",
                   &osv->ecosystems, err);
}

bool
osv_open(const char *path, bool creates, struct osv **out, struct err *err)
{
    if (!creates && !file_exists(path))
        return err_set(err, ERR_RESOURCE_NOT_FOUND, "there is no vulnerability database '%s'",
                       path);
    struct osv *osv = mem_new(sizeof *osv);
    const int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_PRIVATECACHE |
                      (creates ? SQLITE_OPEN_CREATE : 0);
    if (sqlite3_open_v2(path, &osv->db, flags, NULL) != SQLITE_OK) {
        osv_fail(osv, "open it", err);
        osv_close(osv);
        return false;
    }
    sqlite3_busy_timeout(osv->db, 30000);
    if (!version_check(osv, path, creates, err) || !statements_prepare(osv, err)) {
        osv_close(osv);
        return false;
    }
    *out = osv;
    return true;
}

void
osv_close(struct osv *osv)
{
    if (osv == NULL)
        return;
    sqlite3_finalize(osv->find);
    sqlite3_finalize(osv->rate);
    sqlite3_finalize(osv->ecosystems);
    sqlite3_close(osv->db);
    free(osv);
}

static const char *
column(sqlite3_stmt *s, int index)
{
    const char *text = (const char *)sqlite3_column_text(s, index);
    return text != NULL ? text : "";
}

int64_t
osv_modified_ms(struct osv *osv)
{
    sqlite3_stmt *ask = NULL;
    int64_t ms = 0;

    if (sqlite3_prepare_v2(osv->db, "SELECT max(modified_ms) FROM records", -1, &ask, NULL) ==
            SQLITE_OK &&
        sqlite3_step(ask) == SQLITE_ROW)
        ms = sqlite3_column_int64(ask, 0);
    sqlite3_finalize(ask);
    return ms;
}

/* The ecosystems of the database that `name` stands for, as an array of texts. */
static struct json *
ecosystems_of(struct osv *osv, const char *name)
{
    struct json *list = json_array();

    sqlite3_bind_text(osv->ecosystems, 1, name, -1, SQLITE_TRANSIENT);
    while (sqlite3_step(osv->ecosystems) == SQLITE_ROW)
        json_append(list, json_text(column(osv->ecosystems, 0)));
    sqlite3_reset(osv->ecosystems);
    return list;
}

bool
osv_has_ecosystem(struct osv *osv, const char *ecosystem)
{
    cleanup_json struct json *list = ecosystems_of(osv, ecosystem);
    return json_size(list) > 0;
}

static void
rating_read(sqlite3_stmt *s, int first, struct osv_rating *out)
{
    const int severity = sqlite3_column_int(s, first);

    out->severity = severity >= 0 && severity < SEVERITY_COUNT ? (enum osv_severity)severity
                                                               : SEVERITY_UNDEFINED;
    out->score = sqlite3_column_double(s, first + 1);
    if (!text_copy(out->vector, sizeof out->vector, str_of(column(s, first + 2))))
        out->score = 0;
}

/* A distribution's record often says nothing itself, and the CVE behind it does. */
static void
rating_of_aliases(struct osv *osv, const char *aliases, struct osv_rating *out)
{
    cleanup_json struct json *list = json_parse(str_of(aliases), NULL);

    for (size_t i = 0; i < json_size(list) && i < ALIASES_MAX; i++) {
        sqlite3_bind_text(osv->rate, 1, json_cstr(json_at(list, i), ""), -1, SQLITE_TRANSIENT);
        if (sqlite3_step(osv->rate) == SQLITE_ROW)
            rating_read(osv->rate, 0, out);
        sqlite3_reset(osv->rate);
        if (out->severity != SEVERITY_UNDEFINED)
            return;
    }
}

static void
row_judge(struct osv *osv, struct str ecosystem, const char *version,
          void (*found)(void *arg, const struct osv_match *match), void *arg)
{
    sqlite3_stmt *s = osv->find;
    cleanup_json struct json *affected = json_parse(str_of(column(s, 0)), NULL);
    struct osv_match match = {0};
    struct str fixed;

    if (!osv_is_affected(affected, ecosystem, str_of(version), &fixed))
        return;
    cleanup_free char *fixed_text = str_dup(fixed);
    match.id = column(s, 2);
    rating_read(s, 3, &match.rating);
    match.summary = column(s, 6);
    match.uri = column(s, 7);
    match.fixed = fixed_text;
    if (match.rating.severity == SEVERITY_UNDEFINED)
        rating_of_aliases(osv, column(s, 8), &match.rating);
    found(arg, &match);
}

bool
osv_lookup(struct osv *osv, const char *ecosystem, const char *package, const char *version,
           void (*found)(void *arg, const struct osv_match *match), void *arg, struct err *err)
{
    cleanup_json struct json *names = ecosystems_of(osv, ecosystem);
    cleanup(strbuf_done) struct strbuf name = {0};

    osv_package_name(str_of(ecosystem), str_of(package), &name);
    for (size_t i = 0; i < json_size(names); i++) {
        int result;
        sqlite3_bind_text(osv->find, 1, json_cstr(json_at(names, i), ""), -1, SQLITE_TRANSIENT);
        sqlite3_bind_text(osv->find, 2, strbuf_cstr(&name), -1, SQLITE_TRANSIENT);
        while ((result = sqlite3_step(osv->find)) == SQLITE_ROW)
            row_judge(osv, str_of(ecosystem), version, found, arg);
        sqlite3_reset(osv->find);
        if (result != SQLITE_DONE)
            return osv_fail(osv, "read it", err);
    }
    return true;
}
