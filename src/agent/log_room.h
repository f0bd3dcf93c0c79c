/* SPDX-License-Identifier: MIT */
/* log_room.h - keeps a folder of folders below a size: removes the longest untouched first. */
#pragma once
#include <stdint.h>

/* Failures are logged: logs are no reason to stop. */
void log_room_make(const char *folder, int64_t limit_bytes);
