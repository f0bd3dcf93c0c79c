/* SPDX-License-Identifier: MIT */
/* osv_tables.h - what osv.c (questions) and osv_import.c (records coming in) share. */
#pragma once
#include <sqlite3.h>

#include "registry/scan/osv.h"

struct osv {
    sqlite3 *db;
    sqlite3_stmt *find, *rate, *ecosystems;
};

bool osv_fail(const struct osv *osv, const char *what, struct err *err);
bool osv_run(const struct osv *osv, const char *sql, const char *what, struct err *err) MUST_CHECK;
