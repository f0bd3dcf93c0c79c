/* SPDX-License-Identifier: MIT */
/* log_room.h - keeps a folder of folders below a size and a number: removes the longest untouched
 * first, and never one that is still written to. */
#pragma once
#include <stdbool.h>
#include <stdint.h>

struct log_room {
    int64_t bytes_max;
    int folders_max;
    bool (*is_in_use)(void *arg, const char *name);
    void *arg;
};

/* Failures are logged: logs are no reason to stop. */
void log_room_make(const char *folder, const struct log_room *room);
