/* SPDX-License-Identifier: MIT */
#include "model/trust_store.h"
#include "model/row.h"

static const struct row_field trust_store_fields[] = {
    TEXT_FIELD(struct trust_store, arn),
    TEXT_FIELD(struct trust_store, name),
    I64_FIELD(struct trust_store, created_at_ms),
    INT_FIELD(struct trust_store, certificate_count),
    I64_FIELD(struct trust_store, last_revocation_id),
    JSON_FIELD(struct trust_store, bundle),
    JSON_FIELD(struct trust_store, revocations),
    JSON_FIELD(struct trust_store, tags),
    FIELDS_END,
};

void
trust_store_free(struct trust_store *t)
{
    if (t == NULL)
        return;
    row_free_documents(trust_store_fields, t);
    free(t);
}

struct json *
trust_store_encode(const struct trust_store *t)
{
    return row_encode(trust_store_fields, t);
}

struct trust_store *
trust_store_decode(const struct json *row, struct err *err)
{
    return row_decode_new(trust_store_fields, row, sizeof(struct trust_store), err);
}
