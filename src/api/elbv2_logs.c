/* SPDX-License-Identifier: MIT */
/* elbv2_logs.c - where access logs go: the bucket is a folder of that name (docs/LIMITS.md). */
#include "api/elbv2.h"
#include "model/log_place.h"

bool
elb_check_logs(const struct json *attributes, struct err *err)
{
    const bool is_on = strcmp(json_get_cstr(attributes, "access_logs.s3.enabled", "false"), "true") == 0;
    const char *bucket = json_get_cstr(attributes, "access_logs.s3.bucket", "");
    const char *prefix = json_get_cstr(attributes, "access_logs.s3.prefix", "");

    if (is_on && bucket[0] == '\0')
        return err_set(err, ERR_INVALID_CONFIGURATION,
                       "The value of 'access_logs.s3.bucket' cannot be empty when access logs are enabled");
    if (bucket[0] == '\0' && prefix[0] == '\0')
        return true;
    if (log_place_check(bucket[0] != '\0' ? bucket : "any", prefix, err))
        return true;
    err->code = ERR_INVALID_CONFIGURATION;
    return false;
}
