/* SPDX-License-Identifier: MIT */
/* certificate.h - certificates with their private keys, as AWS Certificate Manager keeps them.
 * Imported ones only.  What is in one never changes but by another import under the same ARN, which
 * every listener that has it then serves. */
#pragma once
#include "model/types.h"

struct certificate {
    char arn[ARN_SIZE];
    int64_t created_at_ms;  /* of the first import */
    int64_t imported_at_ms; /* of the last one */
    struct json *facts;     /* base/x509.h; read from it when it was imported */
    /* PEM texts.  The private key goes to HAProxy and nowhere else. */
    struct json *body, *chain, *private_key;
    struct json *tags; /* array of {Key,Value} */
    struct certificate *next;
};

void certificate_free(struct certificate *c);
struct json *certificate_encode(const struct certificate *c);
struct certificate *certificate_decode(const struct json *row, struct err *err);
