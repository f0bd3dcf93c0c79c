/* SPDX-License-Identifier: MIT */
/* trust_store.h - certificate authorities by which listeners verify their clients.
 * What is in one changes only by ModifyTrustStore and by adding and removing revocations, and then for every listener
 * that names it. */
#pragma once
#include "model/types.h"

#define TRUST_STORE_NAME_SIZE 33

struct trust_store {
    char arn[ARN_SIZE];
    char name[TRUST_STORE_NAME_SIZE];
    int64_t created_at_ms;
    int certificate_count;
    int64_t last_revocation_id; /* none is given twice */
    struct json *bundle; /* PEM text, as x509_read_authorities() wrote it */
    /* Array of {RevocationId, NumberOfRevokedEntries, Lists: PEM text of x509_read_revocations()}; NULL: none were ever. */
    struct json *revocations;
    struct json *tags;   /* array of {Key,Value} */
    struct trust_store *next;
};

void trust_store_free(struct trust_store *t);
struct json *trust_store_encode(const struct trust_store *t);
struct trust_store *trust_store_decode(const struct json *row, struct err *err);
