/* SPDX-License-Identifier: MIT */
#include "model/account.h"
#include "model/row.h"

static const struct row_field account_fields[] = {
    TEXT_FIELD(struct account, region),
    JSON_FIELD(struct account, settings),
    FIELDS_END,
};

void
account_free(struct account *a)
{
    if (a == NULL)
        return;
    row_free_documents(account_fields, a);
    free(a);
}

struct json *
account_encode(const struct account *a)
{
    return row_encode(account_fields, a);
}

struct account *
account_decode(const struct json *row, struct err *err)
{
    struct account *a = row_decode_new(account_fields, row, sizeof(*a), err);

    if (a != NULL && json_type(a->settings) != JSON_OBJECT) {
        account_free(a);
        err_set(err, ERR_INTERNAL, "stored account settings are damaged");
        return NULL;
    }
    return a;
}
