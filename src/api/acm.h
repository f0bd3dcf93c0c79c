/* SPDX-License-Identifier: MIT */
/* acm.h - what the handlers of certificates share.
 * Certificates are imported, never requested: nobody here could prove who owns a domain. */
#pragma once
#include "api/operations.h"

/* The certificate of the request's region, or NULL and err. */
struct certificate *acm_find(const struct request *rq, const char *arn, struct err *err);
/* "ISSUED" or "EXPIRED" */
const char *acm_status(const struct request *rq, const struct certificate *c);
/* What DescribeCertificate and ListCertificates both show. */
void acm_set_common(const struct request *rq, const struct certificate *c, struct json *out);

operation_handler acm_list;
