/* SPDX-License-Identifier: MIT */
/* date_zone.h - the time zones of the tz database, by their names ("Europe/Berlin").
 * Units: seconds since 1970, and east of Greenwich. */
#pragma once
#include <stdint.h>
#include "base/err.h"
#include "base/str.h"

struct zone_moment {
    int32_t offset;
    char name[16]; /* "CEST" */
};
/* The file of a zone; false if the machine knows no such zone. */
bool zone_read(struct str zone, struct strbuf *out) MUST_CHECK;
/* What holds at that time in the zone of the file; false if it is none. */
bool zone_moment(struct str file, int64_t seconds, struct zone_moment *out) MUST_CHECK;
/* Both. */
bool zone_at(struct str zone, int64_t seconds, struct zone_moment *out) MUST_CHECK;
