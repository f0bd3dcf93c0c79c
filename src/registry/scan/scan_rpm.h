/* SPDX-License-Identifier: MIT */
/* scan_rpm.h - rpm's database, in the three forms that images have it in. Pure; the bytes come from
 * outside. Each gives false if the database is damaged or of another form: `packages` may then
 * have what stood before the damage, and nobody should say that this was all. */
#pragma once
#include "registry/scan/scan_files.h"

bool scan_rpm_sqlite(struct str bytes, struct json *packages) MUST_CHECK; /* rpmdb.sqlite */
bool scan_rpm_bdb(struct str bytes, struct json *packages) MUST_CHECK;    /* Packages */
bool scan_rpm_ndb(struct str bytes, struct json *packages) MUST_CHECK;    /* Packages.db */
/* One header, as all three hold it. False: it is none, or has no name. */
bool scan_rpm_header(struct str header, struct json *packages) MUST_CHECK;
