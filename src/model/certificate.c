/* SPDX-License-Identifier: MIT */
#include "model/certificate.h"
#include "model/row.h"

static const struct row_field certificate_fields[] = {
    TEXT_FIELD(struct certificate, arn),
    I64_FIELD(struct certificate, created_at_ms),
    I64_FIELD(struct certificate, imported_at_ms),
    JSON_FIELD(struct certificate, facts),
    JSON_FIELD(struct certificate, body),
    JSON_FIELD(struct certificate, chain),
    JSON_FIELD(struct certificate, private_key),
    JSON_FIELD(struct certificate, tags),
    FIELDS_END,
};

void
certificate_free(struct certificate *c)
{
    if (c == NULL)
        return;
    row_free_documents(certificate_fields, c);
    free(c);
}

struct json *
certificate_encode(const struct certificate *c)
{
    return row_encode(certificate_fields, c);
}

struct certificate *
certificate_decode(const struct json *row, struct err *err)
{
    return row_decode_new(certificate_fields, row, sizeof(struct certificate), err);
}
