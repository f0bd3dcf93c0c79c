/* SPDX-License-Identifier: MIT */
/* scan_rpm.c - rpm's database where it is a file of SQLite: rows of headers. The file comes from
 * outside, so SQLite may neither run what its schema says nor work for ever. */
#include "registry/scan/scan_rpm.h"

#include <sqlite3.h>

#include "base/clock.h"

#define TAG_NAME 1000
#define TAG_VERSION 1001
#define TAG_RELEASE 1002
#define TAG_EPOCH 1003
#define TAG_SOURCERPM 1044
#define TYPE_INT32 4
#define TYPE_STRING 6
#define ENTRY_SIZE 16
#define STEPS_MAX 200000     /* of a hundred instructions each */
#define STEPS_MS 30000       /* an instruction may be one on a value of VALUE_MAX */
#define VALUE_MAX (64 << 20) /* a schema can reckon values that no file holds; a kernel's header has 10 MB */

static uint32_t
be32(struct str s, size_t at)
{
    const unsigned char *p = (const unsigned char *)s.at + at;
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

struct header {
    struct str name, version, release, source;
    bool has_epoch;
    uint32_t epoch;
};

/* Many entries may name one place: what is too long for a name is not looked through for each. */
static struct str
store_text(struct str store, uint32_t offset)
{
    const struct str rest = str_slice(store, offset, (size_t)offset + SCAN_TEXT_MAX + 1);
    const char *end = rest.len > 0 ? memchr(rest.at, '\0', rest.len) : NULL;

    return end != NULL ? str_range(rest.at, end) : (struct str){0};
}

static void
entry_take(struct header *h, struct str store, uint32_t tag, uint32_t type, uint32_t offset)
{
    if (tag == TAG_EPOCH && type == TYPE_INT32 && store.len >= 4 && offset <= store.len - 4) {
        h->has_epoch = true;
        h->epoch = be32(store, offset);
    }
    if (type != TYPE_STRING)
        return;
    if (tag == TAG_NAME)
        h->name = store_text(store, offset);
    else if (tag == TAG_VERSION)
        h->version = store_text(store, offset);
    else if (tag == TAG_RELEASE)
        h->release = store_text(store, offset);
    else if (tag == TAG_SOURCERPM)
        h->source = store_text(store, offset);
}

/* "bash-5.1.8-6.el9.src.rpm" is of "bash". */
static struct str
source_name(struct str file)
{
    for (int i = 0; i < 2; i++) {
        const ptrdiff_t hyphen = str_rindex(file, '-');
        if (hyphen <= 0)
            return (struct str){0};
        file = str_slice(file, 0, (size_t)hyphen);
    }
    return file;
}

bool
scan_rpm_header(struct str blob, struct json *packages)
{
    struct header h = {0};

    if (blob.len < 8)
        return false;
    const uint64_t entries = be32(blob, 0), size = be32(blob, 4);
    if (8 + entries * ENTRY_SIZE + size > blob.len)
        return false;
    const struct str store = str_slice(blob, 8 + (size_t)entries * ENTRY_SIZE,
                                       8 + (size_t)(entries * ENTRY_SIZE + size));
    for (size_t i = 0; i < entries; i++) {
        const size_t at = 8 + i * ENTRY_SIZE;
        entry_take(&h, store, be32(blob, at), be32(blob, at + 4), be32(blob, at + 8));
    }
    if (h.name.len == 0 || h.version.len == 0 || str_is(h.name, "gpg-pubkey"))
        return h.name.len > 0; /* a key that somebody trusts is kept as a package */
    cleanup(strbuf_done) struct strbuf version = {0};
    if (h.has_epoch)
        strbuf_addf(&version, "%u:", h.epoch);
    strbuf_add(&version, h.version);
    strbuf_add_char(&version, '-');
    strbuf_add(&version, h.release);
    const size_t count = json_size(packages);
    package_add(packages, "rpm", "", h.name, strbuf_str(&version));
    struct json *package = json_at(packages, count);
    const struct str source = source_name(h.source);
    if (package != NULL) {
        json_set(package, "source", json_str(source.len > 0 ? source : h.name));
        json_set(package, "sourceVersion", json_str(strbuf_str(&version)));
    }
    return true;
}

/* ---- the file around the headers ---- */

struct patience {
    int steps_left;
    int64_t until_ms;
};

static int
count_steps(void *arg)
{
    struct patience *p = arg;

    return --p->steps_left <= 0 || clock_monotonic_ms() > p->until_ms;
}

static sqlite3 *
open_bytes(struct str bytes)
{
    sqlite3 *db = NULL;
    unsigned char *copy;

    if (bytes.len < 512 || !str_starts(bytes, STR("SQLite format 3")) ||
        (copy = sqlite3_malloc64(bytes.len)) == NULL)
        return NULL;
    memcpy(copy, bytes.at, bytes.len);
    copy[18] = copy[19] = 1; /* no WAL beside it: what the layer has is what there is */
    if (sqlite3_open_v2(":memory:", &db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, NULL) !=
        SQLITE_OK) {
        sqlite3_free(copy);
        sqlite3_close(db);
        return NULL;
    }
    sqlite3_db_config(db, SQLITE_DBCONFIG_DEFENSIVE, 1, (int *)NULL);
    sqlite3_db_config(db, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, (int *)NULL);
    sqlite3_db_config(db, SQLITE_DBCONFIG_ENABLE_VIEW, 0, (int *)NULL);
    if (sqlite3_deserialize(db, "main", copy, (sqlite3_int64)bytes.len, (sqlite3_int64)bytes.len,
                            SQLITE_DESERIALIZE_FREEONCLOSE | SQLITE_DESERIALIZE_READONLY) !=
        SQLITE_OK) {
        sqlite3_close(db);
        return NULL;
    }
    return db;
}

/* The rows' headers; false if one is damaged, or SQLite gave up. */
static bool
rows_take(sqlite3_stmt *rows, struct json *packages)
{
    bool ok = true;
    int result;

    while ((result = sqlite3_step(rows)) == SQLITE_ROW && json_size(packages) < SCAN_PACKAGES_MAX) {
        const char *at = sqlite3_column_blob(rows, 0);
        const int size = sqlite3_column_bytes(rows, 0);
        if (at == NULL || size <= 0 || !scan_rpm_header((struct str){at, (size_t)size}, packages))
            ok = false;
    }
    return ok && result == SQLITE_DONE;
}

bool
scan_rpm_sqlite(struct str bytes, struct json *packages)
{
    sqlite3 *db = open_bytes(bytes);
    sqlite3_stmt *rows = NULL;
    struct patience patience = {STEPS_MAX, clock_monotonic_ms() + STEPS_MS};
    bool ok = false;

    if (db == NULL)
        return false;
    (void)sqlite3_limit(db, SQLITE_LIMIT_LENGTH, VALUE_MAX);
    sqlite3_progress_handler(db, 100, count_steps, &patience);
    (void)sqlite3_exec(db, "PRAGMA cell_size_check = ON", NULL, NULL, NULL);
    if (sqlite3_prepare_v2(db, "SELECT blob FROM Packages", -1, &rows, NULL) == SQLITE_OK)
        ok = rows_take(rows, packages);
    sqlite3_finalize(rows);
    sqlite3_close(db);
    return ok;
}
