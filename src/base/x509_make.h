/* SPDX-License-Identifier: MIT */
/* x509_make.h - an authority of our own and certificates of it, for servers whose owner has none:
 * EC keys (P-256), signed by SHA-256. The authority can only sign servers: no further authorities.
 * Everything is PEM.  Errors: ERR_VALIDATION for names that a certificate cannot have. */
#pragma once
#include "base/err.h"
#include "base/str.h"

struct x509_made {
    struct strbuf certificate, private_key;
};
void x509_made_done(struct x509_made *made); /* wipes the key */

/* Valid for ten years. */
bool x509_make_authority(const char *common_name, struct x509_made *out,
                         struct err *err) MUST_CHECK;
/* Valid for 397 days, which is the most that browsers take. `names` are host names and addresses,
 * joined by commas; the first is the common name. */
bool x509_make_server(const struct x509_made *authority, struct str names, struct x509_made *out,
                      struct err *err) MUST_CHECK;
/* Is `certificate` of that authority, for exactly these names, and good for 30 days more? */
bool x509_is_made_for(struct str certificate, struct str authority, struct str names,
                      int64_t now_ms);
