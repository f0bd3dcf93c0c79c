/* SPDX-License-Identifier: MIT */
/* date_zone.h - the time zones of the tz database, by their names ("Europe/Berlin").
 * Units: seconds since 1970, and east of Greenwich.  Reads a file of the machine at each call. */
#pragma once
#include <stdint.h>
#include "base/err.h"
#include "base/str.h"

struct zone_moment {
    int32_t offset;
    char name[16]; /* "CEST" */
};
/* What holds in a zone at that time; false if the machine knows no such zone. */
bool zone_at(struct str zone, int64_t seconds, struct zone_moment *out) MUST_CHECK;
