/* SPDX-License-Identifier: MIT */
/* clock.h - the only clock. Milliseconds since the epoch, and a monotonic one for durations. */
#pragma once
#include <stdint.h>
#include "base/str.h"

int64_t clock_wall_ms(void);
int64_t clock_monotonic_ms(void);
int64_t clock_monotonic_us(void);
int64_t clock_boot_ms(void); /* as the monotonic one, which stands while the machine is suspended: this one does not */
void clock_sleep_ms(int64_t ms);
/* "2026-01-02T03:04:05.678Z" */
void clock_format_iso(int64_t ms, char out[static 32]);
/* "20260102T030405Z" of SigV4; parse gives false on any other form. */
void clock_format_basic(int64_t ms, char out[static 24]);
bool clock_parse_basic(struct str text, int64_t *ms_out);
bool clock_parse_iso(struct str text, int64_t *ms_out); /* fraction optional, Z or +hh:mm */
