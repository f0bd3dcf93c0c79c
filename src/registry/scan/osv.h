/* SPDX-License-Identifier: MIT */
/* osv.h - the vulnerability database: OSV records that the operator imports as files, kept in
 * <data>/osv.db and looked up by package.
 * A record is JSON of the OSV schema (https://ossf.github.io/osv-schema/). What names no package of
 * an ecosystem whose versions can be compared (osv_version.h), and what was withdrawn, is left out
 * and counted. Importing a record again replaces it. An import is one transaction: scans under way
 * see the database as it was.
 * Threads: a `struct osv` belongs to one thread; several may have the file open. */
#pragma once
#include "base/err.h"
#include "base/json.h"
#include "registry/scan/osv_severity.h"

#define OSV_RECORD_MAX (16 << 20) /* bytes of one record */
#define OSV_RECORDS_MAX 4000000   /* of one import */
#define OSV_EVENTS_MAX 4096       /* of one range */

struct osv;

/* Opens `path`. ERR_RESOURCE_NOT_FOUND if there is none and not `creates`. */
bool osv_open(const char *path, bool creates, struct osv **out, struct err *err) MUST_CHECK;
void osv_close(struct osv *osv);
static inline void
osv_close_(struct osv **osv)
{
    osv_close(*osv);
}

struct osv_import {
    int64_t records, affected, withdrawn,
        skipped; /* skipped: no record, or no package known here */
};
/* Takes all of a directory (*.json and *.zip below it, links not followed), a ZIP file of records,
 * or one record. `replaces` forgets everything that was there first. Nothing changes on failure. */
bool osv_import(struct osv *osv, const char *path, bool replaces, struct osv_import *out,
                struct err *err) MUST_CHECK;
/* When the newest record was modified; 0: the database is empty. */
int64_t osv_modified_ms(struct osv *osv);
/* Is there anything about packages of this ecosystem? "Ubuntu:22.04" stands for "Ubuntu:22.04:LTS",
 * too, and a '*' in it for anything. */
bool osv_has_ecosystem(struct osv *osv, const char *ecosystem);

struct osv_match {
    const char *id; /* "CVE-2024-1" if it has such a name, else the record's */
    const char *summary, *uri;
    const char *fixed; /* the version that mends it, or "" */
    struct osv_rating rating;
};
/* Calls found() for each vulnerability of this version. The texts are lent for the call. */
bool osv_lookup(struct osv *osv, const char *ecosystem, const char *package, const char *version,
                void (*found)(void *arg, const struct osv_match *match), void *arg,
                struct err *err) MUST_CHECK;

/* ---- pure, for tests ---- */
/* Is `version` in one of `affected`'s ranges, or among its versions? `fixed_out` (may be NULL): the
 * event that ends the range it is in. */
bool osv_is_affected(const struct json *affected, struct str ecosystem, struct str version,
                     struct str *fixed_out);
/* The name as the ecosystem compares it: PyPI's foo_bar is foo-bar. */
void osv_package_name(struct str ecosystem, struct str name, struct strbuf *out);
