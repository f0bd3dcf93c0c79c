/* SPDX-License-Identifier: MIT */
/* lock_setup.h - claims of one resource, for tests. */
#pragma once
#include "pipeline/lock_table.h"

static inline bool
take_lock(struct lock_table *t, const char *resource, const char *owner)
{
    const struct lock_need need = {.names = &resource, .count = 1, .quantity = 1};
    const struct lock_claim claim = {.owner = owner, .needs = &need, .need_count = 1};

    return lock_table_take(t, &claim, NULL);
}

static inline bool
try_lock(struct lock_table *t, const char *resource, const char *owner)
{
    const struct lock_need need = {.names = &resource, .count = 1, .quantity = 1};
    const struct lock_claim claim = {.owner = owner, .needs = &need, .need_count = 1};

    return lock_table_try(t, &claim);
}
