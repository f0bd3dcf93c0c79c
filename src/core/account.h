/* SPDX-License-Identifier: MIT */
/* account.h - settings of the account, one document a region; core/ keeps them, and only the API knows
 * which there are. */
#pragma once
#include "core/index.h"

void account_setting_put(struct core *core, const struct ev_account_setting_put *ev);
struct account *account_of(const struct core *core, const char *region); /* NULL: nothing is set */
bool account_load(struct core *core, const struct json *row, struct err *err) MUST_CHECK;
