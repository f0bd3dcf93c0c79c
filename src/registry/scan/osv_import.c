/* SPDX-License-Identifier: MIT */
/* osv_import.c - records come in: from a directory, a ZIP file, or one by one. */
#include <archive.h>
#include <archive_entry.h>
#include <dirent.h>
#include <errno.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "io/file.h"
#include "registry/scan/osv_tables.h"
#include "registry/scan/osv_version.h"

#define DIRECTORY_DEPTH_MAX 16
#define SUMMARY_MAX 2000

struct import {
    struct osv *osv;
    struct osv_import count;
    sqlite3_stmt *forget, *forget_affected, *record, *affected, *ecosystem;
};

/* ---- one record ---- */

static bool
statement_run(struct import *in, sqlite3_stmt *s, struct err *err)
{
    const int result = sqlite3_step(s);

    sqlite3_reset(s);
    return result == SQLITE_DONE || osv_fail(in->osv, "write a record", err);
}

static void
bind(sqlite3_stmt *s, int index, const char *text)
{
    sqlite3_bind_text(s, index, text, -1, SQLITE_TRANSIENT);
}

static bool
is_cve(const char *id)
{
    return strncmp(id, "CVE-", 4) == 0;
}

/* What people call it: the CVE, wherever the record names it. */
static const char *
record_name(const struct json *record, const char *id)
{
    static const char *const lists[] = {"aliases", "upstream"};

    for (size_t l = 0; !is_cve(id) && l < ARRAY_COUNT(lists); l++) {
        const struct json *list = json_get(record, lists[l]);
        for (size_t i = 0; i < json_size(list); i++)
            if (is_cve(json_cstr(json_at(list, i), "")))
                return json_cstr(json_at(list, i), "");
    }
    return id;
}

static const char *
record_uri(const struct json *record)
{
    const struct json *list = json_get(record, "references");
    const struct json *advisory = json_find(list, "type", "ADVISORY");

    return json_get_cstr(advisory ? advisory : json_at(list, 0), "url", "");
}

static struct json *
record_aliases(const struct json *record)
{
    static const char *const lists[] = {"aliases", "upstream"}; /* "related" is another one */
    struct json *all = json_array();

    for (size_t l = 0; l < ARRAY_COUNT(lists); l++) {
        const struct json *list = json_get(record, lists[l]);
        for (size_t i = 0; i < json_size(list); i++)
            json_append(all, json_text(json_cstr(json_at(list, i), "")));
    }
    return all;
}

static bool
record_store(struct import *in, const struct json *record, const char *id, struct err *err)
{
    cleanup_json struct json *aliases = record_aliases(record);
    cleanup_free char *aliases_text = json_format(aliases);
    const char *summary = json_get_cstr(record, "summary", json_get_cstr(record, "details", ""));
    struct osv_rating rating;
    int64_t modified_ms = 0;

    osv_rate(record, &rating);
    if (!clock_parse_iso(str_of(json_get_cstr(record, "modified", "")), &modified_ms))
        modified_ms = 0;
    bind(in->record, 1, id);
    bind(in->record, 2, record_name(record, id));
    sqlite3_bind_int64(in->record, 3, modified_ms);
    sqlite3_bind_int(in->record, 4, (int)rating.severity);
    sqlite3_bind_double(in->record, 5, rating.score);
    bind(in->record, 6, rating.vector);
    const size_t len = strlen(summary);
    sqlite3_bind_text(in->record, 7, summary, (int)(len < SUMMARY_MAX ? len : SUMMARY_MAX),
                      SQLITE_TRANSIENT);
    bind(in->record, 8, record_uri(record));
    bind(in->record, 9, aliases_text);
    return statement_run(in, in->record, err);
}

/* Ranges of commits say nothing about packages; the list of versions is what the other ranges give,
 * spelled out, and only kept where there are none. */
static struct json *
affected_document(const struct json *affected)
{
    const struct json *ranges = json_get(affected, "ranges"),
                      *versions = json_get(affected, "versions");
    struct json *document = json_object(), *kept = json_array();

    for (size_t i = 0; i < json_size(ranges); i++)
        if (strcmp(json_get_cstr(json_at(ranges, i), "type", ""), "GIT") != 0)
            json_append(kept, json_ref(json_at(ranges, i)));
    if (json_size(kept) == 0 && versions != NULL)
        json_set(document, "versions", json_ref(versions));
    json_set(document, "ranges", kept);
    return document;
}

static bool
affected_store(struct import *in, const char *id, int ordinal, const struct json *affected,
               struct err *err)
{
    const struct json *package = json_get(affected, "package");
    const char *ecosystem = json_get_cstr(package, "ecosystem", ""),
               *name = json_get_cstr(package, "name", "");
    cleanup(strbuf_done) struct strbuf folded = {0};
    cleanup_json struct json *document = affected_document(affected);
    cleanup_free char *text = json_format(document);

    if (name[0] == '\0' || version_compare_of(str_of(ecosystem)) == NULL)
        return true;
    osv_package_name(str_of(ecosystem), str_of(name), &folded);
    bind(in->ecosystem, 1, ecosystem);
    bind(in->affected, 1, ecosystem);
    bind(in->affected, 2, strbuf_cstr(&folded));
    bind(in->affected, 3, id);
    sqlite3_bind_int(in->affected, 4, ordinal);
    bind(in->affected, 5, text);
    in->count.affected++;
    return statement_run(in, in->ecosystem, err) && statement_run(in, in->affected, err);
}

static bool
record_forget(struct import *in, const char *id, struct err *err)
{
    bind(in->forget, 1, id);
    bind(in->forget_affected, 1, id);
    return statement_run(in, in->forget, err) && statement_run(in, in->forget_affected, err);
}

/* A record that names no package known here may still rate others (a CVE by which a distribution
 * calls its own), so it is kept. */
static bool
record_take(struct import *in, struct str text, struct err *err)
{
    cleanup_json struct json *record = json_parse(text, NULL);
    const char *id = json_get_cstr(record, "id", "");
    const struct json *affected = json_get(record, "affected");

    if (in->count.records + in->count.skipped >= OSV_RECORDS_MAX)
        return err_set(err, ERR_LIMIT_EXCEEDED, "more than %d records", OSV_RECORDS_MAX);
    if (id[0] == '\0' || json_get_cstr(record, "modified", NULL) == NULL) {
        in->count.skipped++;
        return true;
    }
    if (!record_forget(in, id, err))
        return false;
    if (json_get_cstr(record, "withdrawn", NULL) != NULL) {
        in->count.withdrawn++;
        return true;
    }
    in->count.records++;
    if (!record_store(in, record, id, err))
        return false;
    for (size_t i = 0; i < json_size(affected); i++)
        if (!affected_store(in, id, (int)i, json_at(affected, i), err))
            return false;
    return true;
}

/* ---- files ---- */

static bool
entry_read(struct archive *zip, struct strbuf *out, const char *path, struct err *err)
{
    char buffer[65536];
    la_ssize_t n;

    strbuf_clear(out);
    while ((n = archive_read_data(zip, buffer, sizeof buffer)) > 0) {
        if (out->len + (size_t)n > OSV_RECORD_MAX)
            return err_set(err, ERR_LIMIT_EXCEEDED, "a record in '%s' has more than %d bytes", path,
                           OSV_RECORD_MAX);
        strbuf_add(out, (struct str){buffer, (size_t)n});
    }
    return n == 0 || err_set(err, ERR_INVALID_PARAMETER, "'%s' is damaged: %s", path,
                             archive_error_string(zip));
}

static bool
zip_entries(struct import *in, struct archive *zip, const char *path, struct err *err)
{
    cleanup(strbuf_done) struct strbuf text = {0};
    struct archive_entry *entry;
    int result;

    while ((result = archive_read_next_header(zip, &entry)) == ARCHIVE_OK ||
           result == ARCHIVE_WARN) {
        const char *name = archive_entry_pathname(entry);
        if (name == NULL || archive_entry_filetype(entry) != AE_IFREG ||
            !str_ends(str_of(name), STR(".json")))
            continue;
        if (!entry_read(zip, &text, path, err) || !record_take(in, strbuf_str(&text), err))
            return false;
    }
    return result == ARCHIVE_EOF || err_set(err, ERR_INVALID_PARAMETER, "'%s' is damaged: %s", path,
                                            archive_error_string(zip));
}

static bool
zip_take(struct import *in, const char *path, struct err *err)
{
    struct archive *zip = archive_read_new();
    bool ok = false;

    if (zip == NULL)
        return err_set(err, ERR_INTERNAL, "out of memory");
    if (archive_read_support_format_zip(zip) == ARCHIVE_OK &&
        archive_read_open_filename(zip, path, 65536) == ARCHIVE_OK)
        ok = zip_entries(in, zip, path, err);
    else
        err_set(err, ERR_INVALID_PARAMETER, "cannot read '%s': %s", path,
                archive_error_string(zip));
    archive_read_free(zip);
    return ok;
}

static bool
file_take(struct import *in, const char *path, struct err *err)
{
    cleanup(strbuf_done) struct strbuf text = {0};

    if (str_ends(str_of(path), STR(".zip")))
        return zip_take(in, path, err);
    return file_read(path, OSV_RECORD_MAX, &text, err) && record_take(in, strbuf_str(&text), err);
}

static bool path_take(struct import *in, const char *path, int depth, struct err *err);

static bool
directory_take(struct import *in, const char *path, int depth, struct err *err)
{
    DIR *dir = opendir(path);
    bool ok = true;

    if (dir == NULL)
        return err_errno(err, "cannot read the directory '%s'", path);
    for (struct dirent *e; ok && (e = readdir(dir)) != NULL;) {
        cleanup_free char *below = text_format("%s/%s", path, e->d_name);
        const bool is_wanted = str_ends(str_of(e->d_name), STR(".json")) ||
                               str_ends(str_of(e->d_name), STR(".zip")) || e->d_type == DT_DIR;
        if (e->d_name[0] != '.' && e->d_type != DT_LNK && is_wanted)
            ok = path_take(in, below, depth + 1, err);
    }
    closedir(dir);
    return ok;
}

static bool
path_take(struct import *in, const char *path, int depth, struct err *err)
{
    struct stat st;

    if (depth > DIRECTORY_DEPTH_MAX)
        return err_set(err, ERR_LIMIT_EXCEEDED, "'%s' is more than %d directories deep", path,
                       DIRECTORY_DEPTH_MAX);
    if (stat(path, &st) < 0)
        return err_errno(err, "cannot read '%s'", path);
    return S_ISDIR(st.st_mode) ? directory_take(in, path, depth, err) : file_take(in, path, err);
}

/* ---- all of it ---- */

static bool
statements_prepare(struct import *in, struct err *err)
{
    const struct {
        sqlite3_stmt **at;
        const char *sql;
    } rows[] = {
        {&in->forget, "DELETE FROM records WHERE id = ?1"},
        {&in->forget_affected, "DELETE FROM affected WHERE id = ?1"},
        {&in->record, "INSERT INTO records VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)"},
        {&in->affected, "INSERT INTO affected VALUES (?1, ?2, ?3, ?4, ?5)"},
        {&in->ecosystem, "INSERT OR IGNORE INTO ecosystems VALUES (?1)"},
    };

    for (size_t i = 0; i < ARRAY_COUNT(rows); i++)
        if (sqlite3_prepare_v2(in->osv->db, rows[i].sql, -1, rows[i].at, NULL) != SQLITE_OK)
            return osv_fail(in->osv, "prepare a statement", err);
    return true;
}

static void
statements_done(struct import *in)
{
    sqlite3_finalize(in->forget);
    sqlite3_finalize(in->forget_affected);
    sqlite3_finalize(in->record);
    sqlite3_finalize(in->affected);
    sqlite3_finalize(in->ecosystem);
}

bool
osv_import(struct osv *osv, const char *path, bool replaces, struct osv_import *out,
           struct err *err)
{
    struct import in = {.osv = osv};

    if (!osv_run(osv, "BEGIN IMMEDIATE", "begin an import", err))
        return false;
    bool ok = statements_prepare(&in, err) &&
              (!replaces || osv_run(osv,
                                    "DELETE FROM records; DELETE FROM affected;"
                                    "DELETE FROM ecosystems",
                                    "empty it", err)) &&
              path_take(&in, path, 0, err);
    statements_done(&in);
    if (ok && in.count.records == 0)
        ok = err_set(err, ERR_INVALID_PARAMETER, "'%s' holds no OSV record", path);
    if (ok)
        ok = osv_run(osv, "COMMIT", "commit an import", err);
    if (!ok)
        (void)sqlite3_exec(osv->db, "ROLLBACK", NULL, NULL, NULL);
    else
        *out = in.count;
    return ok;
}
