/* SPDX-License-Identifier: MIT */
/* ssl_policy.h - the security policies of HTTPS listeners, by their names (alb.md A3).
 * A policy is a range of TLS versions and lists of ciphers in OpenSSL's names, the preferred one first. */
#pragma once
#include <stdbool.h>

#define SSL_POLICY_DEFAULT "ELBSecurityPolicy-2016-08"
#define SSL_POLICY_SIZE 64

struct ssl_policy {
    const char *name;
    int min, max;              /* 10 to 13: TLS 1.0 to 1.3 */
    const char *ciphers;       /* up to TLS 1.2, with ':' between; "" : none */
    const char *cipher_suites; /* of TLS 1.3, likewise */
};

extern const struct ssl_policy ssl_policies[]; /* ends with a NULL name */
const struct ssl_policy *ssl_policy_find(const char *name); /* NULL: none of ours */
/* One that AWS has and OpenSSL 3.0 has not: why, or NULL. */
const char *ssl_policy_obstacle(const char *name);
