/* SPDX-License-Identifier: MIT */
/* door_tls.h - the certificate of naru's own port: the operator's files (--tls-certificate,
 * --tls-key), or, with --tls-names, one of an authority that is made at the first such start and
 * kept in <data>/tls/: ca.crt, ca.key, server.crt, server.key. That one is made anew when the names
 * have changed or it has less than 30 days left; the authority stays, so that whoever trusts it
 * goes on. */
#pragma once
#include "base/x509_make.h"
#include "daemon/config.h"

/* False in `wanted_out`: neither was asked for, and the port speaks HTTP alone. */
bool door_tls_open(const struct config *c, bool *wanted_out, struct x509_made *out,
                   struct err *err) MUST_CHECK;
