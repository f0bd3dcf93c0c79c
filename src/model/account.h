/* SPDX-License-Identifier: MIT */
/* account.h - the account settings of one region (PutAccountSetting). */
#pragma once
#include "model/types.h"

#define ACCOUNT_PRINCIPALS_MAX 1000 /* that have settings of their own */

struct account {
    char region[REGION_SIZE];
    struct json *settings; /* {principal's ARN: {setting's name: value}}, never an empty one */
    struct account *next;
};

void account_free(struct account *a);
struct json *account_encode(const struct account *a);
struct account *account_decode(const struct json *row, struct err *err);
