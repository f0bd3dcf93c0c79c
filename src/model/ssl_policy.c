/* SPDX-License-Identifier: MIT */
#include "model/ssl_policy.h"
#include <stddef.h>
#include <string.h>

#define GCM_128 "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256"
#define GCM_256 "ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384"
#define CBC_128 "ECDHE-ECDSA-AES128-SHA256:ECDHE-RSA-AES128-SHA256"
#define CBC_256 "ECDHE-ECDSA-AES256-SHA384:ECDHE-RSA-AES256-SHA384"
#define SHA1_128 "ECDHE-ECDSA-AES128-SHA:ECDHE-RSA-AES128-SHA"
#define SHA1_256 "ECDHE-RSA-AES256-SHA:ECDHE-ECDSA-AES256-SHA"

/* With forward secrecy: authenticated only, also CBC, also SHA-1. */
#define FS_GCM GCM_128 ":" GCM_256
#define FS GCM_128 ":" CBC_128 ":" GCM_256 ":" CBC_256
#define FS_SHA1 GCM_128 ":" CBC_128 ":" SHA1_128 ":" GCM_256 ":" CBC_256 ":" SHA1_256
/* And without. */
#define ALL FS ":AES128-GCM-SHA256:AES128-SHA256:AES256-GCM-SHA384:AES256-SHA256"
#define ALL_SHA1                                                                                   \
    FS_SHA1 ":AES128-GCM-SHA256:AES128-SHA256:AES128-SHA:AES256-GCM-SHA384:AES256-SHA256:AES256-SHA"
#define SUITES "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256"

#define P "ELBSecurityPolicy-"
const struct ssl_policy ssl_policies[] = {
    {P "2016-08", 10, 12, ALL_SHA1, ""},
    {P "TLS13-1-2-2021-06", 12, 13, FS, SUITES},
    {P "TLS13-1-2-Res-2021-06", 12, 13, FS_GCM, SUITES},
    {P "TLS13-1-2-Ext1-2021-06", 12, 13, ALL, SUITES},
    {P "TLS13-1-2-Ext2-2021-06", 12, 13, ALL_SHA1, SUITES},
    {P "TLS13-1-1-2021-06", 11, 13, ALL_SHA1, SUITES},
    {P "TLS13-1-0-2021-06", 10, 13, ALL_SHA1, SUITES},
    {P "TLS13-1-3-2021-06", 13, 13, "", SUITES},
    {P "TLS-1-2-2017-01", 12, 12, ALL, ""},
    {P "TLS-1-1-2017-01", 11, 12, ALL_SHA1, ""},
    {P "TLS-1-2-Ext-2018-06", 12, 12, ALL_SHA1, ""},
    {P "FS-2018-06", 10, 12, FS_SHA1, ""},
    {P "FS-1-1-2019-08", 11, 12, FS_SHA1, ""},
    {P "FS-1-2-2019-08", 12, 12, FS_SHA1, ""},
    {P "FS-1-2-Res-2019-08", 12, 12, FS, ""},
    {P "FS-1-2-Res-2020-10", 12, 12, FS_GCM, ""},
    {P "2015-05", 10, 12, ALL_SHA1, ""},
    {NULL, 0, 0, NULL, NULL},
};

const struct ssl_policy *
ssl_policy_find(const char *name)
{
    for (const struct ssl_policy *p = ssl_policies; p->name != NULL; p++)
        if (strcmp(p->name, name) == 0)
            return p;
    return NULL;
}

const char *
ssl_policy_obstacle(const char *name)
{
    if (strncmp(name, P, strlen(P)) != 0)
        return NULL;
    if (strstr(name, "-FIPS-") != NULL)
        return "it promises a FIPS module, which is not built in naru";
    if (strstr(name, "-PQ-") != NULL)
        return "it promises post-quantum key exchange, which OpenSSL 3.0 does not have";
    if (strcmp(name, P "TLS-1-0-2015-04") == 0)
        return "it promises 3DES, which OpenSSL 3.0 does not have";
    return NULL;
}
